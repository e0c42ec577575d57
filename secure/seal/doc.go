// Package seal is what lies around every message between a machine and its ground: nobody in between can read, change or make one.
//
// A machine's process begins a Session, with fresh keys. Its opening says whose it is, is signed by the device's identity, and goes
// first over every connection; what follows is sealed. The ground keeps Sessions, by what their openings said.
//
// # Messages
//
// The first byte is the version, 2, by which a sealed message is told from one in the clear; the second says which it is. Integers are
// big endian.
//
//	offset  size  opening                              offset  size  up                       offset  size  down
//	     0     2  2, 1                                      0     2  2, 2                          0     2  2, 3
//	     2     2  KEM, as in RFC 9180's registry            2    16  session                       2    16  session
//	     4     2  KDF                                      18     8  counter                      18    16  ground's process
//	     6     2  AEAD                                     26     …  sealed, with 16 of tag       34     8  counter
//	     8     8  key that is sealed to                                                           42     …  sealed, with 16 of tag
//	    16     8  begun, ns since 1970 by the device's clock
//	    24     8  number of the trust that it has       offset  size  unknown
//	    32    16  challenge                                  0     2  2, 4
//	    48     2  length of the certificate                  2    16  session
//	    50     …  the device's certificate, X.509, DER
//	     …     2  length of the encapsulated key
//	     …     …  the encapsulated key
//	     …    64  Ed25519 over "fulmar session v1", a zero, and all before
//
// A session's name is the first 16 bytes of the SHA-256 of its opening: whoever opens what is sealed in it agrees on all that the
// opening says. Unknown is the ground's word that it has no such session, in the clear: the machine sends its opening again.
//
// # Keys
//
// HPKE (RFC 9180) in base mode, to the ground's key that the device's trust names, exports two secrets; the exporter's context is
// "fulmar up v1" or "fulmar down v1" with the session's name. The first is the AEAD's key for what goes up. From the second, HKDF
// (RFC 5869) with "fulmar down v1" and the name of the ground's process makes a key for each process of each ground. So no two
// senders share a key, each sender's key is new with its process, and its counter begins at 0 with the key: no pair of key and
// counter comes twice. The nonce is four zeros and the counter; what precedes the sealed part is authenticated with it. The AEAD is
// AES-256-GCM where the device's processor has AES, otherwise ChaCha20-Poly1305.
//
// That only the ground could derive the second key is how the machine knows the ground's word: an acknowledgement that anybody else
// makes would let the machine forget what is not stored.
//
// What a ground says is opened over starts of the machine's process too: of its last sessions a device keeps the second secret, sealed
// with a key that is derived from its identity's. An acknowledgement that was on its way, or on a stick, is understood so.
//
// # Repeats
//
// Both ends remember which of the last counters they have seen. What comes again is told: an acknowledgement is not taken twice; a
// frame that comes again is acknowledged again if it is stored, and is not stored for it.
//
// The package starts no goroutine and knows no time. It may be imported by the rooms above row 4.
package seal

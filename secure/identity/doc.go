// Package identity says who a device is, and who its ground: certificates of the operator's own authority, the keys to which
// frames are sealed, and what of them is trusted no more.
//
// An Authority is a folder that only its operator has: the certificates and keys with which it signs, and a register of what it
// issued. From it come identities, each a folder of its own:
//
//	identity.pem       the private key, Ed25519 (PKCS #8), and its certificate (X.509), with the role and the name in a URI:
//	                   fulmar://device/rover-1; readable by its owner alone
//	trust.pem          what it trusts: authorities, keys to seal to, revocations; signed, numbered
//	authorities.pem    the authorities of that, for other programs
//	sealing-ID.pem     of grounds: the private keys that open what is sealed to them; readable by its owner alone
//
// A Keyring is such a folder in use. It makes TLS configurations in which both ends are known by role and name, whatever host or
// address they have, and verifies the certificates that come with sealed sessions. It reads the folder again when it is told to,
// and tells whoever asked for it that the trust has changed: a ground cuts the connections of what was revoked.
//
// The trust is one signed file. An update is taken only with a higher number and the signature of an authority that is trusted
// already, so it may come over any path. That is how keys are changed without a gap: the new one is added to the trust first,
// used once it has reached everyone, and the old one is removed last.
//
// It starts no goroutine, has no clock of its own, and may be imported by the rooms above row 4. Keys are never logged, and no
// error has one in it.
package identity

// Package enroll gives devices their identity over the network: a device that has a token of its operator's comes once, with a request
// for a key that it made itself, and goes with a certificate and what it is to trust.
//
// The server is a ground that has its operator's authority at hand. It is known to the device by the fingerprint in the token, so
// nobody in between can give the device an identity of another fleet, or learn the token. It takes anybody's connection; what one can
// cost it is bounded: the size of a request, its time, how many at once.
//
// In: POST /enroll with {"token": …, "request": …}, both base64, the request a PKCS #10 (DER). Out: {"certificate": DER, "trust": …},
// or 403. It is imported by the binary.
package enroll

// Package linktest is what every carrier is held to: Run, the one conformance suite; DialErrors, how a Dialer fails; Proxy,
// a network between a carrier and its broker that delays, narrows, stalls and cuts; and Lossy, a link that loses,
// duplicates and reorders whole messages, which cannot be had under TCP.
//
// In: a carrier's constructors. Out: test failures. Imported by tests only.
package linktest

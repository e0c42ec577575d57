// Package identitytest makes identities for tests: an authority of its own per fleet, in a folder that goes with the test. In: a test.
// Out: keyrings as identity.Open returns them, and revocations that they know of. It is imported by tests alone.
package identitytest

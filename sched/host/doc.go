// Package host is what a real-time process asks of the machine that it runs on: Prepare takes what it can have, locked memory
// and a processor that does not sleep deeply, and says what it did not get; Inspect tells whether the machine is fit for real
// time, and for each finding what to do about it.
//
// Only Linux has any of it. Elsewhere Prepare takes nothing and says so.
package host

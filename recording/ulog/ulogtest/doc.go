// Package ulogtest writes PX4 logs for tests, message by message: whole ones, and ones that no logger would write.
//
// In: what a message holds. Out: its bytes. Imported by tests only.
package ulogtest

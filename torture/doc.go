// Torture is the long tests of the project: what make torture runs, for as long as it is let. It has a table of rows, each of which is
// a test with a size far beyond that of the ordinary run, and the planted bugs.
//
//	go run ./torture                 all rows, the one that is furthest behind first
//	go run ./torture crash damage    these rows
//	go run ./torture -for 30m        no new work after half an hour
//	go run ./torture -list           the rows, and what was covered so far
//	go run ./torture -bugs           the planted bugs
//
// A row goes on where it stopped: what was done is in the folder that TORTURE_DIR names, by default torture/state, in a folder
// for each state of the code, so that what an earlier build withstood is not counted for this one. Whatever failed
// is kept there with its output and the command that shows it again.
//
// The planted bugs are patches in torture/bugs, each with what it breaks and which test must notice. They are applied, one at a time, to
// a copy of the code; the test must hold without the patch and fail with it, by its own verdict.
//
// In flow the packages' own tests, run as processes; out flows a table. Nobody imports it.
package main

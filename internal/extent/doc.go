// Package extent says how much of a long test is to be done, and lets the test say how much it did. In the ordinary run a test does
// its short form: the cases from 0 up to its own number. The torture (package torture) has it do others, a stretch at a time, by the
// environment's FULMAR_EXTENT, as in 2000:2500, and reads from the test's log what was covered. A case is a number that a test makes everything of:
// the same number is the same case, so that what failed once can be seen again.
//
// In flow a range of numbers, out flow lines "covered 500 crash points". It is imported by tests alone.
package extent

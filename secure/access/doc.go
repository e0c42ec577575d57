// Package access says who may use a ground's page and API: people with a name and a password, programs with a token, and what each
// of them may do.
//
// What flows in: names and passwords, the secrets of sessions, tokens and links, and a file of accounts that fulmar users changes
// while the ground runs. What flows out: a Grant, which says who it is and in which Role, and which ends when that is true no more:
// after a logout, a change of password or role, a removal, at its expiry; within a second also if another process made the change.
//
// Passwords are kept as argon2id (RFC 9106, section 4, the second recommended option) with their parameters beside them, and a hash
// of weaker ones is renewed at the next login. Secrets that the program makes have 256 random bits and are kept as SHA-256. Sessions
// are in memory alone: a ground that starts anew knows none.
//
// Attempts are limited by account and by address, in tables whose size is fixed. One address alone cannot use up an account's
// attempts, so it cannot keep the account's owner out; an address from which the account has signed in before does not depend on
// them at all. Passwords are computed a few at once, for each takes 64 MiB.
//
// A file that cannot be read lets nobody in: no error is ever taken for a permission. Nothing that is secret is in an error or a log.
//
// A Gate has no clock and no randomness of its own and starts no goroutine; its Run is one that the caller starts. It may be imported
// by the rooms above row 4; it imports env.
package access

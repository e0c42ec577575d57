// Package file is the link that is carried by hand: each message is a file, in a folder that both ends come to see, on a
// USB stick or a shared disk.
//
//	DIR/up/DEVICE/00000000000000000042.msg     from the machine, removed by the ground
//	DIR/down/DEVICE/00000000000000000007.msg   from the ground, removed by the machine
//
// A message appears whole or not at all: it is written under another name, synced, and renamed. What its header does not
// vouch for (a copy that was torn, a foreign file with such a name) is left where it is and told once; other files are
// nobody's business. A folder holds a bounded number of messages and bytes: beyond that the machine waits, and what the
// ground has to say is dropped, for the machine asks again.
//
// In: whole messages from the courier and the ground's station. Out: the same at the other end. Imported by the binary and
// by tests.
package file

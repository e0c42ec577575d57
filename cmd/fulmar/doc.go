// Command fulmar runs machines, the ground that they report to, and what goes with them. It wires the rooms together and
// decides nothing: each command is a file with its flags, and what it does is a room's.
//
//	fulmar demo                                    a simulated rover, its broker, its ground and its page
//	fulmar ground --data G                         the receiver
//	fulmar replay flight.ulg --to mqtt://host      a recording, as if a machine had just lived it
//	fulmar export --data G --out flight.mcap       what a ground has stored
//	fulmar inspect FOLDER                          what is in a spool or a ground's data, and whether it is whole
//	fulmar check FILE                              what is wrong with settings, where, and what was probably meant
//
// In: arguments, signals, files of settings, and FULMAR_ variables over those. Out: what was asked for on stdout, as JSON with
// --json; everything else on stderr. The exit status is 0 if it held, 1 if it did not, 2 for wrong usage or settings; an error
// is a line, with the place in the file where it has one, and a hint says what to do. Nothing imports it.
//
// How it looks from the outside is told, and tested, by the scripts in testdata/script.
package main

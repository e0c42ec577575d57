// Package gnss is the driver of satellite receivers on a serial line: NMEA 0183 and UBX, also mixed on one line.
//
//	hal.UART ──Poll──▶ ubx.Framer ──frames──▶ epochs of frames ──┐
//	                       └─rest─▶ nmea.Framer ─▶ epochs of sentences ─┴─▶ Next: Fix
//	hal.UART ◀──requests── Configure
//
// A control loop calls Poll each time it runs, and Next until there is no more. Poll reads what has arrived, at most 1 KiB, waits
// for nothing and allocates nothing unless the line fails. So at 50 Hz it keeps up with 512 kbit/s, at 10 Hz with 102.
//
// # When a Fix is complete
//
// A receiver solves once per epoch and says so in several messages. NAV-PVT alone is everything, and is a Fix when it has
// arrived. Sentences, and the frames of receivers before NAV-PVT, are collected; an epoch of them is complete when the first
// of these happens:
//
//   - the message arrives by which earlier epochs have ended. That is learned: three epochs in a row that end with the same
//     message teach it, and a message that comes after it corrects it at once.
//   - a message of another time arrives, or one of a type and talker that the epoch already has (GSA aside, of which there is
//     one for each constellation). Then it opens the next epoch.
//   - the line has been quiet for Options.Quiet.
//
// A message of an epoch that is complete already is counted as Late and otherwise ignored. The first epoch may lack what was
// sent before the line was listened to. VTG and GSA carry no time: with a receiver that sends one of them first in its epochs,
// only the quiet before it tells which epoch it belongs to.
//
// In an epoch any message that says that there is no fix outweighs those that give one. There is none either if fewer than
// three satellites are in use, or if the time is that of the epoch before: some receivers repeat what they had. Whether a fix is
// 2D or 3D is what GSA says, the best of its constellations; an epoch without GSA is 3D if it has a height and four satellites. A date, which GGA does not carry, goes on
// from epoch to epoch and turns at midnight. It is the receiver's: after 1024 weeks some are off by as much.
//
// While NAV-PVT or NAV-SOL arrive, sentences make no Fix: they would repeat it in fewer digits.
//
// # Faults
//
// Noise costs the sentence or frame that it hits, and no other; what a false begin of a frame holds back is handed on when
// it turns out, or when the line is quiet. A line that is silent is no error of Poll: Status says for how long. One that
// is gone is (hal.ErrGone); then open it again, and make a new Receiver.
//
// Drivers import hal. Components import this package. A Receiver is for one goroutine at a time.
package gnss

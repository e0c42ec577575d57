// Package filter holds records back before they are numbered, by rules that are data.
//
// What a filter holds back was never numbered, is not lost, and is counted as filtered. In go the rules, as a
// configuration has them; out comes a telemetry.Filter for each publisher:
//
//	filters:
//	  - match: "imu/*"           # one of ten
//	    one_of: 10
//	  - match: "battery/voltage" # where it moved by 50 mV, and every 10 s all the same
//	    deadband: {absolute: 0.05, max_silence: 10s}
//	  - kinds: [event]           # no chatter
//	    min_severity: info
//	  - match: "lidar/*"         # at most 5 a second
//	    rate: {per_second: 5, burst: 10}
//	  - match: "debug/**"
//	    drop: true
//
// # Which rules apply
//
// All rules that concern a record apply, in their order, and it passes if each of them lets it pass. A rule with keep lets
// it pass at once, and the rules after it are not asked: "keep: true" for "nav/*" and then "drop: true" for "**" is a list
// of what to send.
//
// What a rule remembers (the values of the last record, the tokens that are left) moves on only with records that the whole
// set let pass. So a deadband bounds the error of what was really published, whatever other rules hold back.
//
// # What cannot be silenced by accident
//
//   - Definitions always pass: without its layout no record could be read. No rule can name them.
//   - Alarms are records of severity warning or worse, and the urgent health records that tell a change of status. A rule
//     leaves them alone unless it says "alarms: true".
//   - A rule is about readings and diagnostics, or with min_severity about events. Others it must name in kinds, so that
//     thinning "imu/*" takes no event of the imu with it.
//   - A rule that drops must say what: there is no default match for it.
//   - A record that does not hold what its layout promises passes: whoever reads it says what is wrong with it.
//
// # Time and memory
//
// Time is the monotonic time in the record's header. No clock is read, so a simulated run, or a recording that is executed
// again, is filtered as the real one was. Which rules are about a layout is found out at its first record, and that is
// when memory is taken, up to MaxLayouts and MaxWatched for a publisher; after it Pass allocates nothing.
//
// A program's own filter is anything with a Pass method, and Func makes one of a function; All joins several.
//
// The package imports telemetry and telemetry/packet, and may be imported by everything above them.
package filter

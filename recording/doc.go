// Package recording is the room of the file formats that recordings of machines come in; the readers and writers are its
// sub-packages. What flows in and out is telemetry.Record: a packet and its layout.
//
// A reader takes files from anywhere: it checks every size against a limit before it takes memory, never panics, delivers
// everything before a damaged place, and says where that place is.
//
// The sub-packages import telemetry and what is below, and may be imported by replay, sim, ground and the command.
package recording

// Package store keeps what reached the ground: Frames is the log of frames as they arrived, each acknowledged only after
// it is durable here; Index is what answers questions about them.
//
// The log is the truth. The index is SQLite beside it, and says up to which frame of the log it has got: when it is behind
// it catches up, when it is damaged or missing it is built again from the log. Layouts arrive in frames, too; they are kept
// in a small log of their own inside the log's folder, so that retention (FramesOptions.MaxBytes) takes nothing that
// explains what is left.
package store

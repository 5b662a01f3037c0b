//! Samples only: G.711, digits as events and as tones, sounds of ours and their echo, announcements,
//! levels, sound files. No packets, no time of day.
//!
//! Linear samples are 16-bit at 8000 Hz; 0 dBov is a full-scale square wave (RFC 6464 §3 counts the
//! same way). `calls`, `analysis`, `impair` and the lab use it.

pub mod activity;
pub mod chirp;
mod correlate;
pub mod dtmf;
pub mod echo;
mod extent;
mod fingerprint;
pub mod g711;
pub mod keypad;
pub mod level;
#[cfg(feature = "pesq")]
pub mod pesq;
pub mod prompt;
#[cfg(test)]
mod sounds;
mod speech_level;
pub mod tone;
pub mod wav;

/// Samples per second of everything here (G.711).
pub const SAMPLE_RATE: u32 = 8000;

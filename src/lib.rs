//! vigie, a watchdog for call centres that must never go silent.
//!
//! The modules below are in reading order. Everything outside [`io`] and [`cli`] is pure: it takes
//! bytes, facts and `now`, and gives outputs; it opens no socket, reads no clock, spawns no task.
//!
//! The one rule of use is the same at every level, from one SIP transaction to the whole product:
//! after each `handle(now, input)`, call `poll_output()` until it returns `None`, then sleep until
//! `deadline()` and come back with `Input::Wake`.

pub mod id;
pub mod secret;
pub mod time;
pub mod wheel;

pub mod audio;
pub mod rtp;
pub mod sdp;
pub mod sip;

pub mod quality;

pub mod calls;
pub mod load;
pub mod probe;

pub mod health;
pub mod schedule;

pub mod incident;

pub mod sla;

pub mod board;

pub mod alert;

pub mod engine;
pub mod sim;

pub mod capture;

pub mod analysis;
pub mod impair;

pub mod config;
pub mod lab;

pub mod cli;
pub mod io;

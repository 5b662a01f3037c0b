//! The four transaction machines of RFC 3261 §17, one figure per file, with RFC 6026 and RFC 4320.
//!
//! Each is a pure step: `(state, event, transport)` at `now` gives the next state and what to do. They hold
//! no message and send nothing; whoever keeps the state keeps the bytes: `sip::endpoint` and what it joins.
//! Timers are moments inside the state: `deadline` is the next one, `due` says which one has come.

pub mod client;
pub mod client_invite;
pub mod key;
pub mod server;
pub mod server_invite;
pub mod timer;

#[cfg(test)]
mod table;

//! RTP and RTCP (RFC 3550) without sockets: packets, what was received, when to send next.
//!
//! Payload bytes are opaque here: sound is `audio`'s, digits too. `calls` and the lab use it.

mod adaptive;
mod arrived;
mod clock;
pub mod delay;
pub mod jitter;
mod log;
pub mod loss;
pub mod packet;
pub mod patch;
pub mod playout;
pub mod rtcp;
pub mod sender;
pub mod session;
mod skew;
pub mod source;
pub mod spacing;
pub mod stream;
mod voice;

pub use packet::{Malformed, Packet};
pub use session::Session;
pub use stream::{Content, Figures, Stream};

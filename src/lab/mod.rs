//! The embedded lab: XIVO 1, XIVO 2, XIVO 3, the Patton and desk phones, simulated.
//!
//! Pure like everything else: it takes SIP messages and RTP packets, and gives them; `io::lab` lends it
//! sockets on loopback. It is what `vigie demo` watches, and what tests use for speed. It proves nothing
//! by itself: every behaviour is also shown against a real Asterisk.

pub mod fault;

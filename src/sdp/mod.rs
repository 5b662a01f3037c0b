//! SDP: the text of RFC 8866 and the offer/answer rules of RFC 3264, for one G.711 audio stream.
//!
//! `parse` reads what a far end sent, tolerantly; `offer_answer` writes our side and says what both
//! agreed on. It is not RTP and sends nothing. `calls` uses it, and the lab.

pub mod offer_answer;
pub mod parse;

pub use offer_answer::{Agreed, Codec, Local, Unusable, accept_answer, answer, hold_direction};
pub use parse::{Description, Direction, Format, ParseError, Stream, parse};

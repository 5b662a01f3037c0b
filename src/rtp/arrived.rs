//! One packet that arrived, as far as figures look at it.

use crate::time::Instant;

/// What the payload type of a packet says it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    Sound,
    /// RFC 3389, seldom sent.
    ComfortNoise,
    /// A telephone event (RFC 4733): one timestamp over many packets.
    Event,
}

/// What the figures take of a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived {
    pub(super) at: Instant,
    pub(super) timestamp: u32,
    pub(super) marker: bool,
    pub(super) payload_type: u8,
    pub(super) content: Content,
}

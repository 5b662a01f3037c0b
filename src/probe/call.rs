//! The `call` probe: place a call, listen, hang up; the oracle of a line.

use std::time::Duration;

use super::Account;
use crate::sip::Transport;

/// What to ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Whom to call (Request-URI): `sip:0199001199@192.0.2.10`. Never an emergency number.
    pub to: String,
    /// Who calls (From URI): the one number of ours that the statistics of the call centre leave out.
    pub from: String,
    /// `host` or `host:port` to send to instead of where `to` points.
    pub proxy: Option<String>,
    pub transport: Transport,
    pub account: Option<Account>,
    /// How long to stay after the answer.
    pub hold: Duration,
    /// A later final response is as bad as none.
    pub answer_within: Duration,
    /// From the answer to the first RTP packet.
    pub media_within: Duration,
    /// One of these must be heard (`*1#`, `*2#`: which PBX answered); empty: none is expected.
    pub signatures: Vec<String>,
    pub hear: Hear,
    /// Digits sent once the far end is heard.
    pub send_dtmf: String,
    /// More RTP packets lost than this is degraded. Percent, 0 to 100.
    pub loss_percent_max: u8,
    /// More interarrival jitter than this (RFC 3550 A.8) is degraded.
    pub jitter_max: Duration,
}

/// What must be heard for the call to be proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hear {
    /// Our own tone, sent back by the far end: both directions carry sound.
    Echo,
    /// RTP with any content: an announcement, music on hold.
    Anything,
    /// Signalling is all that is asked.
    Nothing,
}

impl Settings {
    /// Three seconds of echo, answered within eight.
    #[must_use]
    pub fn new(to: impl Into<String>, from: impl Into<String>) -> Self {
        Self {
            to: to.into(),
            from: from.into(),
            proxy: None,
            transport: Transport::Udp,
            account: None,
            hold: Duration::from_secs(3),
            answer_within: Duration::from_secs(8),
            media_within: Duration::from_secs(2),
            signatures: Vec::new(),
            hear: Hear::Echo,
            send_dtmf: String::new(),
            loss_percent_max: 5,
            jitter_max: Duration::from_millis(30),
        }
    }
}

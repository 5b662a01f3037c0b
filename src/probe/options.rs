//! The `options` probe: any SIP answer is a sign of life. A hint: a PBX whose dialplan is dead answers too.

use std::time::Duration;

use crate::sip::Transport;

/// What to ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Request-URI: `sip:192.0.2.11`.
    pub to: String,
    /// From URI.
    pub from: String,
    /// `host` or `host:port` to send to instead of where `to` points.
    pub proxy: Option<String>,
    pub transport: Transport,
    pub answer_within: Duration,
}

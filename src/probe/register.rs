//! The `register` probe: register an account of our own, then remove the binding again.

use std::time::Duration;

use super::Account;
use crate::sip::Transport;

/// What to ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Address of record: `sip:vigie@192.0.2.11`.
    pub aor: String,
    /// `host` or `host:port` to send to instead of the host of `aor`.
    pub proxy: Option<String>,
    pub transport: Transport,
    pub account: Account,
    /// Asked for; the registrar may grant another.
    pub expires: Duration,
    pub answer_within: Duration,
}

//! What the owner asks of an endpoint: place a call, register, ask for options; and how it answers.
//!
//! Every command names a flow that was announced with `Input::FlowOpened`, and a `user` number that comes
//! back with every event, so that the owner finds its own slot without a map.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::sip::FlowId;
use crate::sip::digest::Account;
use crate::sip::header::Uri;
use crate::sip::wire::{HeaderName, StatusCode};

/// Where a request leaves from and goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    pub flow: FlowId,
    pub peer: SocketAddr,
}

/// Place a call.
#[derive(Clone, Debug)]
pub struct Invite {
    pub hop: Hop,
    /// Request-URI and To.
    pub to: Uri,
    /// From; its user part also stands in our Contact.
    pub from: Uri,
    /// The SDP offer; without one the far end offers, and its answer is `accept_offer`ed.
    pub offer: Option<Arc<[u8]>>,
    pub account: Option<Arc<Account>>,
    /// Session interval to ask for (RFC 4028, at least 90 s); `None` leaves it to the far end.
    pub session_expires: Option<Duration>,
    /// Report every message as `Happened::Trace`, and the far end's `Server`; off for load.
    pub ladder: bool,
    pub user: u64,
}

/// Bind our Contact to an address of record, once.
#[derive(Clone, Debug)]
pub struct Register {
    pub hop: Hop,
    /// `sip:4001@127.0.1.1`; its host is the Request-URI (RFC 3261 §10.2).
    pub aor: Uri,
    pub account: Option<Arc<Account>>,
    /// How long to bind; the registrar decides.
    pub expires: Duration,
    pub ladder: bool,
    pub user: u64,
}

/// Ask for options: any answer is a sign of life.
#[derive(Clone, Debug)]
pub struct Options {
    pub hop: Hop,
    pub to: Uri,
    pub from: Uri,
    pub account: Option<Arc<Account>>,
    pub ladder: bool,
    pub user: u64,
}

/// A response that the owner of a server-side call or request decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: StatusCode,
    /// The customary one if `None`.
    pub reason: Option<String>,
    pub headers: Vec<(HeaderName, String)>,
    /// Content-Type and bytes.
    pub body: Option<(&'static str, Vec<u8>)>,
}

impl Response {
    #[must_use]
    pub const fn new(status: StatusCode) -> Self {
        Self {
            status,
            reason: None,
            headers: Vec::new(),
            body: None,
        }
    }

    /// One more header field.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    #[must_use]
    pub fn with_sdp(mut self, sdp: impl Into<Vec<u8>>) -> Self {
        self.body = Some(("application/sdp", sdp.into()));
        self
    }

    /// A Q.850 cause for the ISDN side (RFC 3326), as gateways send it.
    #[must_use]
    pub fn with_cause(self, cause: u8) -> Self {
        self.with(HeaderName::Reason, format!("Q.850;cause={cause}"))
    }
}

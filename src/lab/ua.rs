//! What every machine of the lab works with, whatever its role: a SIP endpoint and its voices.

use std::net::IpAddr;

use super::voice::Voices;
use crate::sip::FlowId;
use crate::sip::endpoint::{Endpoint, Key, Response};
use crate::sip::header::uri::Uri;
use crate::sip::wire::{Index, StartLine, StatusCode};
use crate::time::Now;

/// What a role works with: the endpoint and the voices of its machine.
#[derive(Debug)]
pub(super) struct UserAgent {
    pub(super) endpoint: Endpoint,
    pub(super) voices: Voices,
    pub(super) flow: Option<FlowId>,
    pub(super) ip: IpAddr,
    /// New calls are refused with 503.
    pub(super) rejects: bool,
}

impl UserAgent {
    /// Says no, in SIP and in ISDN.
    pub(super) fn refuse(&mut self, now: Now, key: Key, status: u16, cause: u8) {
        let status = StatusCode::new(status).expect("the lab's own codes are valid");
        self.endpoint
            .reject(now, key, &Response::new(status).with_cause(cause));
    }
}

/// The user part of the Request-URI, which is the number that was dialled.
pub(super) fn called_number(request: &Index<'_>) -> Option<String> {
    request_uri(request)?.number().map(str::to_owned)
}

pub(super) fn request_uri(request: &Index<'_>) -> Option<Uri> {
    match request.start() {
        StartLine::Request { uri, .. } => Uri::read(&String::from_utf8_lossy(uri)).ok(),
        StartLine::Response { .. } => None,
    }
}

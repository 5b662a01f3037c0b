//! What a refusal says (RFC 3261 §21, RFC 3326): status, reason, ISDN cause, when to come back.

use std::time::Duration;

use super::event::Refusal;
use super::party::server_of;
use crate::sip::header::Reason;
use crate::sip::wire::index::text_of;
use crate::sip::wire::{HeaderName, Index, StartLine, StatusCode};

/// A refusal as events tell it.
pub(in crate::sip) fn refusal(status: StatusCode, response: &Index<'_>, server: bool) -> Refusal {
    Refusal {
        status,
        reason: reason_of(response),
        cause: q850(response),
        retry_after: response
            .first(HeaderName::RetryAfter)
            .and_then(|header| {
                let text = header.text();
                let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
                digits.parse().ok()
            })
            .map(Duration::from_secs),
        server: server.then(|| server_of(response)).flatten(),
        detail: None,
    }
}

/// The reason phrase as it came.
pub(in crate::sip) fn reason_of(response: &Index<'_>) -> Box<str> {
    match response.start() {
        StartLine::Response { reason, .. } => text_of(reason).into(),
        StartLine::Request { .. } => "".into(),
    }
}

/// The ISDN cause in the Reason header fields (RFC 3326).
pub(in crate::sip) fn q850(message: &Index<'_>) -> Option<u8> {
    message
        .all(HeaderName::Reason)
        .filter_map(|header| Reason::list(&header.text()).ok())
        .flatten()
        .find_map(|reason| reason.q850())
}

//! Responses to requests of others (RFC 3261 §8.2.6, §18.2.2): made of the request, and where they go.
//!
//! Nothing is kept or sent here: whoever holds the server transaction does both.

use std::net::SocketAddr;

use super::command::Response;
use super::core::Core;
use crate::sip::Transport;
use crate::sip::header::Via;
use crate::sip::wire::writer::{MessageWriter, WriteError};
use crate::sip::wire::{HeaderName, Index, Method, StatusCode, index};

/// The methods that we answer, as Allow lists them.
pub(in crate::sip) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO";

/// Where a request goes when no port is named (§18.2.2).
const PORT: u16 = 5060;

/// A response made of `request`. `contact` is ours where the response makes or refreshes a dialog.
pub(in crate::sip) fn reply(
    core: &mut Core,
    request: &Index<'_>,
    from: SocketAddr,
    tag: &str,
    contact: Option<&str>,
    response: &Response,
) -> Vec<u8> {
    let mut out = core.buffer();
    if write_reply(core, &mut out, request, from, tag, contact, response).is_err() {
        // The owner gave a value that would break its line: the far end hears that we failed.
        let plain = Response::new(StatusCode::SERVER_INTERNAL_ERROR);
        out.clear();
        write_reply(core, &mut out, request, from, tag, None, &plain)
            .expect("nothing of the owner's is in it");
    }
    if let Some(reason) = &response.reason
        && !reason.chars().any(char::is_control)
        && let Some(end) = out.iter().position(|byte| *byte == b'\r')
    {
        let line = format!("SIP/2.0 {} {reason}", response.status);
        out.splice(..end, line.into_bytes());
    }
    out
}

fn write_reply(
    core: &Core,
    out: &mut Vec<u8>,
    request: &Index<'_>,
    from: SocketAddr,
    tag: &str,
    contact: Option<&str>,
    response: &Response,
) -> Result<(), WriteError> {
    let mut writer = MessageWriter::answer(out, request, response.status, Some(tag), Some(from));
    if let Some(contact) = contact {
        for route in request.all(HeaderName::RecordRoute) {
            writer.copy(&route);
        }
        writer.header(HeaderName::Contact, contact);
        if response.status.is_success() {
            writer.header(HeaderName::Allow, ALLOW);
            writer.header(HeaderName::Supported, "100rel, timer");
        }
    }
    for (name, value) in &response.headers {
        writer.header(*name, value);
    }
    writer.header(HeaderName::Server, &core.user_agent);
    let body = response
        .body
        .as_ref()
        .map(|(kind, bytes)| (*kind, bytes.as_slice()));
    writer.finish(body)
}

/// 100 Trying (§8.2.6.1): it makes no dialog, so no tag is added.
pub(in crate::sip) fn trying(core: &mut Core, request: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
    let request = index(request).ok()?;
    let mut out = core.buffer();
    MessageWriter::answer(&mut out, &request, StatusCode::TRYING, None, Some(from))
        .finish(None)
        .ok()?;
    Some(out)
}

/// Where a response goes (§18.2.2, RFC 3581 §4): back to where the request came from, or to the port of
/// its Via if it did not ask for `rport`.
pub(in crate::sip) fn reply_address(
    request: &Index<'_>,
    from: SocketAddr,
    transport: Transport,
) -> SocketAddr {
    let Some(via) = request.first(HeaderName::Via) else {
        return from;
    };
    let asks_rport = via.raw.windows(6).any(|part| part == b";rport");
    if transport.is_reliable() || asks_rport {
        return from;
    }
    let port = Via::list(&via.text())
        .ok()
        .and_then(|vias| vias.into_iter().next())
        .map_or_else(|| from.port(), |via| via.port.unwrap_or(PORT));
    SocketAddr::new(from.ip(), port)
}

/// 405 for methods that we know, 501 for the others (§8.2.1).
pub(in crate::sip) fn not_allowed(method: Method<'_>) -> Response {
    let status = match method {
        Method::Other(_) => StatusCode::NOT_IMPLEMENTED,
        Method::Ack
        | Method::Bye
        | Method::Cancel
        | Method::Info
        | Method::Invite
        | Method::Message
        | Method::Notify
        | Method::Options
        | Method::Prack
        | Method::Publish
        | Method::Refer
        | Method::Register
        | Method::Subscribe
        | Method::Update => StatusCode::METHOD_NOT_ALLOWED,
    };
    Response::new(status).with(HeaderName::Allow, ALLOW)
}

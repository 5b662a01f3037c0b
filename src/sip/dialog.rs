//! Dialog (RFC 3261 §12): tags, route set, remote target, numbering; and the head of requests inside it.
//!
//! It is not the call: it knows no transaction and no timer. `uac` makes one of a response, `uas` of a
//! request; `call` asks it for BYE, ACK and the rest.

use std::borrow::Cow;
use std::net::SocketAddr;

use super::agent::core::{Core, Flow};
use super::agent::lines::{Lines, decimal};
use super::agent::party::{Party, Suffix};
use super::header::{Contacts, Route, Uri};
use super::wire::{Header, HeaderName, Index};

/// Where SIP listens if nobody says otherwise (§19.1.2).
const PORT: u16 = 5060;
const TLS_PORT: u16 = 5061;

#[derive(Debug)]
pub(in crate::sip) struct Dialog {
    names: Names,
    /// Request-URI of requests inside the dialog.
    pub(in crate::sip) target: Box<str>,
    routes: Vec<Route>,
    /// Number of their last request, 0 before the first.
    pub(in crate::sip) remote_cseq: u32,
    /// Where our requests go.
    pub(in crate::sip) next_hop: SocketAddr,
}

impl Dialog {
    /// The dialog that a 2xx or a provisional response with a tag makes for the side that called (§12.1.2).
    ///
    /// # Errors
    /// What is missing, citing the clause.
    pub(in crate::sip) fn of_response(
        response: &Index<'_>,
        flow: Option<&Flow>,
        peer: SocketAddr,
        request_uri: &str,
    ) -> Result<Self, &'static str> {
        let remote_tag = response
            .to_tag()
            .ok_or("a response that makes a dialog has no To tag (RFC 3261 §8.2.6.2)")?;
        let routes = record_routes(response)?;
        let routes = routes.into_iter().rev().collect();
        let target = contact(response)?.unwrap_or_else(|| request_uri.into());
        let mut dialog = Self {
            names: Names::new([
                &raw(response, HeaderName::CallId)?,
                &raw(response, HeaderName::From)?,
                &raw(response, HeaderName::To)?,
                remote_tag,
            ]),
            target,
            routes,
            remote_cseq: 0,
            next_hop: peer,
        };
        dialog.route(flow, peer);
        Ok(dialog)
    }

    /// The dialog that an INVITE makes for the side that is called (§12.1.1).
    ///
    /// # Errors
    /// What is missing, citing the clause.
    pub(in crate::sip) fn of_request(
        request: &Index<'_>,
        flow: Option<&Flow>,
        peer: SocketAddr,
        tag: &str,
    ) -> Result<Self, &'static str> {
        let mut local = raw(request, HeaderName::To)?.into_owned();
        local.extend_from_slice(b";tag=");
        local.extend_from_slice(tag.as_bytes());
        let (number, _) = request.cseq().ok_or("a request without CSeq (§8.1.1)")?;
        let mut dialog = Self {
            names: Names::new([
                &raw(request, HeaderName::CallId)?,
                &local,
                &raw(request, HeaderName::From)?,
                request.from_tag().unwrap_or_default(),
            ]),
            target: contact(request)?.ok_or("an INVITE without Contact (RFC 3261 §8.1.1.8)")?,
            routes: record_routes(request)?,
            remote_cseq: number,
            next_hop: peer,
        };
        dialog.route(flow, peer);
        Ok(dialog)
    }

    /// Takes over the Contact of a re-INVITE, an UPDATE or an answer to them (§12.2, RFC 3311 §5.1).
    pub(in crate::sip) fn refresh_target(&mut self, message: &Index<'_>, flow: Option<&Flow>) {
        if let Ok(Some(target)) = contact(message) {
            self.target = target;
            self.route(flow, self.next_hop);
        }
    }

    /// The head of a request: everything that the dialog decides.
    pub(in crate::sip) fn head<'b>(
        &self,
        core: &Core,
        party: &Party,
        out: &'b mut Vec<u8>,
        method: &str,
        number: u32,
        suffix: Suffix,
    ) -> Lines<'b> {
        // §12.2.1.1: a strict first router takes the Request-URI, and the target goes to the end of the list.
        let strict = self.routes.first().filter(|route| !route.is_loose());
        let uri = strict.map_or(&*self.target, |route| route.address.uri.as_request_uri());
        let mut lines = party.head(core, out, method, uri, suffix);
        for route in self.routes.iter().skip(usize::from(strict.is_some())) {
            lines.line("Route", &[route.to_string().as_bytes()]);
        }
        if strict.is_some() {
            lines.line("Route", &[b"<", self.target.as_bytes(), b">"]);
        }
        lines
            .line("From", &[self.names.local()])
            .line("To", &[self.names.remote()])
            .line("Call-ID", &[self.call_id()])
            .line(
                "CSeq",
                &[decimal(number, &mut [0; 10]), b" ", method.as_bytes()],
            );
        lines
    }

    /// The Request-URI that `head` writes, which a digest signs.
    pub(in crate::sip) fn request_uri(&self) -> &str {
        self.routes
            .first()
            .filter(|route| !route.is_loose())
            .map_or(&self.target, |route| route.address.uri.as_request_uri())
    }

    /// Whether a message with this tag of the far end belongs here.
    pub(in crate::sip) fn is_with(&self, remote_tag: Option<&[u8]>) -> bool {
        remote_tag.unwrap_or_default() == self.remote_tag()
    }

    pub(in crate::sip) fn call_id(&self) -> &[u8] {
        self.names.call_id()
    }

    /// Empty if an RFC 2543 server gave none.
    pub(in crate::sip) fn remote_tag(&self) -> &[u8] {
        self.names.remote_tag()
    }

    /// Finds the next hop: the first route or the target (§8.1.2), where it is an address that the flow can
    /// reach; else where the dialog came from.
    fn route(&mut self, flow: Option<&Flow>, fallback: SocketAddr) {
        // Whatever the URI says, a flow with one peer reaches no other.
        if flow.is_none_or(|flow| flow.peer == Some(fallback)) {
            self.next_hop = fallback;
            return;
        }
        let uri = match self.routes.first() {
            Some(route) => Some(route.address.uri.clone()),
            None => Uri::read(&self.target).ok(),
        };
        self.next_hop = uri
            .and_then(|uri| reachable(&uri, flow?))
            .unwrap_or(fallback);
    }
}

/// What names a dialog, in one piece of memory: a load test makes thousands of dialogs a second.
#[derive(Debug)]
struct Names {
    /// Call-ID, local address, remote address, remote tag, one after the other.
    text: Box<[u8]>,
    /// Where the first three of them end.
    ends: [usize; 3],
}

impl Names {
    fn new(parts: [&[u8]; 4]) -> Self {
        let [call_id, local, remote, _] = parts.map(<[u8]>::len);
        Self {
            text: parts.concat().into(),
            ends: [call_id, call_id + local, call_id + local + remote],
        }
    }

    fn call_id(&self) -> &[u8] {
        &self.text[..self.ends[0]]
    }

    /// Our address with our tag, as it stands in From of our requests.
    fn local(&self) -> &[u8] {
        &self.text[self.ends[0]..self.ends[1]]
    }

    /// Their address with their tag.
    fn remote(&self) -> &[u8] {
        &self.text[self.ends[1]..self.ends[2]]
    }

    fn remote_tag(&self) -> &[u8] {
        &self.text[self.ends[2]..]
    }
}

/// The address that a URI names, if the flow can send to it: no name to be resolved, the flow's own transport,
/// the flow's own peer if it has only one.
pub(in crate::sip) fn reachable(uri: &Uri, flow: &Flow) -> Option<SocketAddr> {
    if uri
        .transport()
        .is_some_and(|transport| transport != flow.transport)
    {
        return None;
    }
    let default = if flow.transport == super::Transport::Tls {
        TLS_PORT
    } else {
        PORT
    };
    let address = SocketAddr::new(uri.address()?, uri.port().unwrap_or(default));
    flow.peer
        .is_none_or(|peer| peer == address)
        .then_some(address)
}

/// The URI of the first Contact.
pub(in crate::sip) fn contact(message: &Index<'_>) -> Result<Option<Box<str>>, &'static str> {
    let Some(header) = message.first(HeaderName::Contact) else {
        return Ok(None);
    };
    let text = header.text();
    // The common form, read without taking it apart: one URI in angle brackets.
    if let Some(uri) = plain_contact(&text) {
        return Ok(Some(uri.into()));
    }
    let contacts =
        Contacts::read(&text).map_err(|_| "a Contact that cannot be read (RFC 3261 §20.10)")?;
    Ok(contacts
        .first()
        .map(|contact| contact.address.uri.as_request_uri().into()))
}

fn plain_contact(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('<')?.strip_suffix('>')?;
    let plain = (inside.starts_with("sip:") || inside.starts_with("sips:"))
        && inside.bytes().all(|byte| {
            byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"' | b'?' | b',' | b'%')
        });
    plain.then_some(inside)
}

/// All of Record-Route in its order.
fn record_routes(message: &Index<'_>) -> Result<Vec<Route>, &'static str> {
    let mut routes = Vec::new();
    for header in message.all(HeaderName::RecordRoute) {
        let listed = Route::list(&header.text())
            .map_err(|_| "a Record-Route that cannot be read (RFC 3261 §20.30)")?;
        routes.extend(listed);
    }
    Ok(routes)
}

/// The value of a field that must be there, on one line.
fn raw<'a>(message: &Index<'a>, name: HeaderName) -> Result<Cow<'a, [u8]>, &'static str> {
    let header: Header<'_> = message
        .first(name)
        .ok_or("From, To or Call-ID is missing (RFC 3261 §8.1.1)")?;
    Ok(header.unfolded())
}

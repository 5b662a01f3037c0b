//! Where a received message belongs: an answer to its request, a request to its call, the rest to the owner.

use super::asked::Asked;
use super::{Endpoint, Occupant};
use crate::sip::agent::Key;
use crate::sip::agent::command::{Hop, Response};
use crate::sip::agent::event::Output;
use crate::sip::agent::party::{Party, read_suffix};
use crate::sip::agent::reply::{not_allowed, reply, reply_address};
use crate::sip::call::{Call, Remains};
use crate::sip::dialog::Dialog;
use crate::sip::header::{Scheme, Uri};
use crate::sip::transaction::key::{MAGIC_COOKIE, ServerKey, Token};
use crate::sip::wire::index::{WireError, index_head};
use crate::sip::wire::{HeaderName, Index, Method, StartLine, StatusCode, index};
use crate::time::Instant;

/// The branch of what is sent for a call that has ended; calls count theirs from 1.
const LAST_SUFFIX: u16 = 0xffff;

impl Endpoint {
    pub(super) fn receive(&mut self, now: Instant, stamp: Instant, hop: Hop, bytes: &[u8]) {
        let message = match index(bytes) {
            Ok(message) => message,
            Err(WireError::KeepAlive) => return,
            Err(fault) => {
                if let Ok((head, _)) = index_head(bytes) {
                    self.complain(now, hop, &head, fault);
                }
                return;
            }
        };
        if let Err(fault) = message.check() {
            self.complain(now, hop, &message, fault);
            return;
        }
        match message.start() {
            StartLine::Response { .. } => self.receive_response(now, stamp, hop, &message),
            StartLine::Request { method, .. } => {
                self.receive_request(now, stamp, hop, &message, method);
            }
        }
    }

    /// A message that breaks the rules: a request is answered, a response ignored, its call told.
    fn complain(&mut self, now: Instant, hop: Hop, message: &Index<'_>, fault: WireError) {
        match message.method() {
            Some(Method::Ack) => {}
            Some(_) => self.answer_statelessly(hop, message, &Response::new(fault.answer())),
            None => self.blame(
                now,
                message,
                "a response that cannot be read (RFC 3261 §18.1.2)",
            ),
        }
    }

    /// Tells the call that a response seems to be for.
    fn blame(&mut self, now: Instant, response: &Index<'_>, words: &'static str) {
        let key = self
            .key_of_branch(response)
            .map(|(key, _)| key)
            .or_else(|| self.key_of_tag(response.from_tag()))
            .or_else(|| self.key_of_tag(response.call_id()));
        let Some(key) = key else {
            return;
        };
        let Some(mut occupant) = self.slots.take(key) else {
            return;
        };
        let party = match &mut occupant {
            Occupant::Call(call) => Some(&mut call.party),
            Occupant::Registration(registration) => Some(&mut registration.party),
            Occupant::Asking(asking) => Some(&mut asking.party),
            Occupant::Asked(_) | Occupant::Remains(_) => None,
        };
        if let Some(party) = party {
            party.misbehaved(&mut self.core, now, words);
        }
        self.slots.put(key, occupant);
    }

    fn receive_response(&mut self, now: Instant, stamp: Instant, hop: Hop, response: &Index<'_>) {
        let Some((key, suffix)) = self.key_of_branch(response) else {
            let words = "a response whose Via is not ours (RFC 3261 §17.1.3)";
            self.blame(now, response, words);
            return;
        };
        if has_many_vias(response) {
            let words = "a response with more than our Via (RFC 3261 §8.1.3.3)";
            self.blame(now, response, words);
            return;
        }
        let Some(mut occupant) = self.slots.take(key) else {
            return;
        };
        let core = &mut self.core;
        match &mut occupant {
            Occupant::Call(call) => {
                call.party.heard(core, stamp, hop.peer, response);
                if call.owns(response) {
                    call.on_response(core, now, suffix, response);
                } else {
                    let words = "the Call-ID or From tag of a response is not ours (§8.2.6.2)";
                    call.party.misbehaved(core, now, words);
                }
            }
            Occupant::Registration(registration) => {
                registration.party.heard(core, stamp, hop.peer, response);
                registration.on_response(core, now, suffix, response);
            }
            Occupant::Asking(asking) => {
                asking.party.heard(core, stamp, hop.peer, response);
                asking.on_response(core, now, suffix, response);
            }
            Occupant::Asked(_) => {}
            Occupant::Remains(remains) => {
                self.answer_for_the_ended(key, hop, remains, response);
            }
        }
        self.settle(now, key, occupant);
    }

    /// A straggler for a call that has ended: a refusal or a 2xx whose ACK was lost, or another leg.
    fn answer_for_the_ended(
        &mut self,
        key: Key,
        hop: Hop,
        remains: &Remains,
        response: &Index<'_>,
    ) {
        let (Some(status), Some((number, Method::Invite))) = (response.status(), response.cseq())
        else {
            return;
        };
        if status.is_refusal() || status.is_redirect() {
            if let Some(ack) = &remains.ack {
                let ack = self.core.copy(ack);
                self.send(remains.hop, ack);
            }
            return;
        }
        let flow = self.core.flow(hop.flow);
        let Ok(leg) = Dialog::of_response(response, flow, hop.peer, "sip:invalid") else {
            return;
        };
        if !status.is_success() {
            return;
        }
        let party = Party::new(&self.core, key, remains.hop, 0, false);
        let mut requests = vec![("ACK", number)];
        if remains
            .remote_tag
            .as_ref()
            .is_some_and(|tag| **tag != *leg.remote_tag())
        {
            // Any number above those of the call.
            requests.push(("BYE", number + 1000));
        }
        for (method, number) in requests {
            let mut message = self.core.buffer();
            leg.head(
                &self.core,
                &party,
                &mut message,
                method,
                number,
                LAST_SUFFIX,
            )
            .finish(b"");
            let peer = leg.next_hop;
            self.send(Hop { peer, ..hop }, message);
        }
    }

    fn receive_request(
        &mut self,
        now: Instant,
        stamp: Instant,
        hop: Hop,
        request: &Index<'_>,
        method: Method<'_>,
    ) {
        match request.to_tag() {
            Some(tag) => match self.key_of_tag(Some(tag)) {
                Some(key) => self.receive_in_dialog(now, stamp, hop, request, (key, method)),
                None => self.no_such_call(hop, request, method),
            },
            None => self.receive_first(now, stamp, hop, request, method),
        }
    }

    /// §12.2.2: 481 for what belongs to no call of ours; an ACK is never answered.
    fn no_such_call(&mut self, hop: Hop, request: &Index<'_>, method: Method<'_>) {
        if method != Method::Ack {
            let response = Response::new(StatusCode::CALL_DOES_NOT_EXIST);
            self.answer_statelessly(hop, request, &response);
        }
    }

    fn receive_in_dialog(
        &mut self,
        now: Instant,
        stamp: Instant,
        hop: Hop,
        request: &Index<'_>,
        (key, method): (Key, Method<'_>),
    ) {
        let Some(mut occupant) = self.slots.take(key) else {
            self.no_such_call(hop, request, method);
            return;
        };
        match &mut occupant {
            Occupant::Call(call) => {
                call.party.heard(&mut self.core, stamp, hop.peer, request);
                call.on_request(&mut self.core, now, request, hop.peer);
            }
            // The answer to its BYE was lost, or both hung up at once.
            Occupant::Remains(_) if method == Method::Bye => {
                self.answer_statelessly(hop, request, &Response::new(StatusCode::OK));
            }
            Occupant::Remains(_)
            | Occupant::Registration(_)
            | Occupant::Asking(_)
            | Occupant::Asked(_) => self.no_such_call(hop, request, method),
        }
        self.settle(now, key, occupant);
    }

    /// A request that begins something, or repeats one that did.
    fn receive_first(
        &mut self,
        now: Instant,
        stamp: Instant,
        hop: Hop,
        request: &Index<'_>,
        method: Method<'_>,
    ) {
        if method == Method::Cancel {
            self.receive_cancel(now, stamp, hop, request);
            return;
        }
        let Some(server_key) = ServerKey::of(request) else {
            return;
        };
        if let Some(key) = self.server_keys.get(&server_key).copied() {
            self.receive_again(now, stamp, hop, request, key);
            return;
        }
        if let Some(refusal) = refusal_of(request, method) {
            self.answer_statelessly(hop, request, &refusal);
            return;
        }
        match method {
            Method::Ack => {}
            Method::Invite => self.receive_call(now, hop, request, server_key),
            Method::Info
            | Method::Message
            | Method::Notify
            | Method::Options
            | Method::Publish
            | Method::Refer
            | Method::Register
            | Method::Subscribe => {
                let key = self.slots.reserve();
                self.server_keys.insert(server_key.clone(), key);
                let names = (key, server_key);
                let asked = Asked::start(&mut self.core, now, names, request, hop);
                self.settle(now, key, Occupant::Asked(Box::new(asked)));
            }
            Method::Bye | Method::Cancel | Method::Prack | Method::Update => {
                self.no_such_call(hop, request, method);
            }
            Method::Other(_) => self.answer_statelessly(hop, request, &not_allowed(method)),
        }
    }

    fn receive_call(&mut self, now: Instant, hop: Hop, request: &Index<'_>, server_key: ServerKey) {
        let key = self.slots.reserve();
        let names = (key, server_key.clone());
        match Call::called(&mut self.core, now, names, request, hop) {
            Ok(call) => {
                self.server_keys.insert(server_key, key);
                self.settle(now, key, Occupant::Call(Box::new(call)));
            }
            Err(response) => {
                self.slots.release(key);
                self.answer_statelessly(hop, request, &response);
            }
        }
    }

    /// The first request of a call or an `Asked`, again.
    fn receive_again(
        &mut self,
        now: Instant,
        stamp: Instant,
        hop: Hop,
        request: &Index<'_>,
        key: Key,
    ) {
        let Some(mut occupant) = self.slots.take(key) else {
            return;
        };
        let core = &mut self.core;
        match &mut occupant {
            Occupant::Call(call) => {
                call.party.heard(core, stamp, hop.peer, request);
                if let (Some(branch), Some((number, _))) = (request.top_branch(), request.cseq()) {
                    call.repeat_invite(core, now, branch, number);
                }
            }
            Occupant::Asked(asked) => {
                asked.party.heard(core, stamp, hop.peer, request);
                asked.repeat(core, now);
            }
            Occupant::Registration(_) | Occupant::Asking(_) | Occupant::Remains(_) => {}
        }
        self.settle(now, key, occupant);
    }

    fn receive_cancel(&mut self, now: Instant, stamp: Instant, hop: Hop, request: &Index<'_>) {
        let key =
            ServerKey::of_cancelled(request).and_then(|name| self.server_keys.get(&name).copied());
        let occupant = key.and_then(|key| self.slots.take(key).map(|occupant| (key, occupant)));
        let Some((key, mut occupant)) = occupant else {
            self.no_such_call(hop, request, Method::Cancel);
            return;
        };
        match &mut occupant {
            Occupant::Call(call) => {
                call.party.heard(&mut self.core, stamp, hop.peer, request);
                call.on_cancel(&mut self.core, now, request, hop.peer);
            }
            Occupant::Remains(_) => {
                self.answer_statelessly(hop, request, &Response::new(StatusCode::OK));
            }
            Occupant::Registration(_) | Occupant::Asking(_) | Occupant::Asked(_) => {
                self.no_such_call(hop, request, Method::Cancel);
            }
        }
        self.settle(now, key, occupant);
    }

    /// Answers without keeping anything. The tag is the same for every such answer (§8.2.7).
    fn answer_statelessly(&mut self, hop: Hop, request: &Index<'_>, response: &Response) {
        let Some(flow) = self.core.flow(hop.flow) else {
            return;
        };
        let peer = reply_address(request, hop.peer, flow.transport);
        let tag = format!("{:08x}", self.core.salt);
        let message = reply(&mut self.core, request, hop.peer, &tag, None, response);
        self.send(Hop { peer, ..hop }, message);
    }

    fn send(&mut self, hop: Hop, message: Vec<u8>) {
        self.core.outputs.push_back(Output::Send {
            flow: hop.flow,
            to: hop.peer,
            message,
        });
    }

    /// The slot that a branch of ours names, and which of its transactions.
    fn key_of_branch(&self, response: &Index<'_>) -> Option<(Key, u16)> {
        let branch = response.top_branch()?.strip_prefix(MAGIC_COOKIE)?;
        let (token, rest) = Token::read(branch)?;
        Some((self.key_of(token)?, read_suffix(rest)?))
    }

    /// The slot that a tag of ours names.
    fn key_of_tag(&self, tag: Option<&[u8]>) -> Option<Key> {
        let (token, rest) = Token::read(tag?)?;
        rest.is_empty().then(|| self.key_of(token)).flatten()
    }

    fn key_of(&self, token: Token) -> Option<Key> {
        (token.salt == self.core.salt).then_some(Key {
            index: token.index,
            generation: token.generation,
        })
    }
}

/// Why a first request is refused whoever it is for (§8.2.2).
fn refusal_of(request: &Index<'_>, method: Method<'_>) -> Option<Response> {
    if method == Method::Ack {
        return None;
    }
    if let StartLine::Request { uri, .. } = request.start() {
        let scheme = std::str::from_utf8(uri)
            .ok()
            .and_then(|uri| Uri::read(uri).ok())
            .map(|uri| uri.scheme());
        match scheme {
            None => return Some(Response::new(StatusCode::BAD_REQUEST)),
            Some(Scheme::Other) => return Some(Response::new(StatusCode::UNSUPPORTED_URI_SCHEME)),
            Some(Scheme::Sip | Scheme::Sips | Scheme::Tel) => {}
        }
    }
    let unknown: Vec<String> = request
        .all(HeaderName::Require)
        .flat_map(|header| {
            let tags = header.text().into_owned();
            tags.split(',')
                .map(|tag| tag.trim().to_owned())
                .collect::<Vec<_>>()
        })
        .filter(|tag| !tag.is_empty() && !["100rel", "timer"].contains(&tag.as_str()))
        .collect();
    (!unknown.is_empty()).then(|| {
        Response::new(StatusCode::BAD_EXTENSION).with(HeaderName::Unsupported, unknown.join(", "))
    })
}

/// Whether the response names more hops than ours.
fn has_many_vias(response: &Index<'_>) -> bool {
    let mut vias = response.all(HeaderName::Via);
    let first = vias.next();
    vias.next().is_some() || first.is_some_and(|via| via.raw.contains(&b','))
}

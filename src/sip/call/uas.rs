//! Being called (RFC 3261 §13.3): the responses to an INVITE, and its ACK.

use std::sync::Arc;

use super::invite::{Incoming, Reliable, Repeat};
use super::{Call, Stage, sdp_of};
use crate::sip::agent::Key;
use crate::sip::agent::authorization::Authorization;
use crate::sip::agent::command::{Hop, Response};
use crate::sip::agent::core::Core;
use crate::sip::agent::event::Happened;
use crate::sip::agent::party::Party;
use crate::sip::agent::reply::reply;
use crate::sip::dialog::Dialog;
use crate::sip::header::{Scheme, Uri};
use crate::sip::transaction::key::ServerKey;
use crate::sip::transaction::server_invite::{Effect, Event};
use crate::sip::wire::index::lists;
use crate::sip::wire::{HeaderName, Index, StatusCode, index};
use crate::time::Instant;

impl Call {
    /// A call that comes in. `Err` is the answer to an INVITE that cannot make a dialog.
    pub(in crate::sip) fn called(
        core: &mut Core,
        now: Instant,
        (key, server_key): (Key, ServerKey),
        request: &Index<'_>,
        hop: Hop,
    ) -> Result<Self, Response> {
        let mut party = Party::new(core, key, hop, 0, false);
        let tag = party.token_text();
        let dialog = Dialog::of_request(request, core.flow(hop.flow), hop.peer, tag)
            .map_err(|_| Response::new(StatusCode::BAD_REQUEST))?;
        let called = called_uri(request);
        let scheme = called.as_ref().map_or(Scheme::Sip, Uri::scheme);
        let contact = party.contact(core, scheme, called.as_ref().and_then(Uri::user));
        party.branch();
        let incoming = Incoming::new(true, request, hop.peer, party.transport, now);
        core.tell(
            key,
            0,
            Happened::Incoming {
                flow: hop.flow,
                from: hop.peer,
                message: request.bytes().to_vec(),
            },
        );
        Ok(Self {
            party,
            stage: Stage::Ringing,
            dialog: Some(dialog),
            contact,
            authorization: Authorization::new(None),
            cseq: 0,
            local_sdp: None,
            caller: None,
            server_key: Some(server_key),
            outgoing: Vec::new(),
            incoming: Some(Box::new(incoming)),
            exchanges: Vec::new(),
            answers: Vec::new(),
            pending: None,
            session: super::SessionTimer::Off,
        })
    }

    /// Sends a provisional response, reliably if the caller requires it, or if it supports it and
    /// `response` has `Require: 100rel`.
    pub(in crate::sip) fn ring(&mut self, core: &mut Core, now: Instant, mut response: Response) {
        if !matches!(self.stage, Stage::Ringing) || !response.status.is_provisional() {
            return;
        }
        let Some(incoming) = &mut self.incoming else {
            return;
        };
        let Ok(request) = index(&incoming.request) else {
            return;
        };
        let wanted = response
            .headers
            .iter()
            .position(|(name, value)| *name == HeaderName::Require && lists(value, "100rel"));
        let reliable = request.lists(HeaderName::Require, "100rel")
            || (wanted.is_some() && request.lists(HeaderName::Supported, "100rel"));
        if reliable && incoming.reliable.is_some() {
            incoming.queued.push(response);
            return;
        }
        if let Some(at) = wanted {
            response.headers.remove(at);
        }
        if let Some((_, sdp)) = &response.body {
            self.local_sdp = Some(Arc::from(sdp.as_slice()));
        }
        let has_sdp = response.body.is_some();
        if reliable {
            incoming.last_rseq += 1;
            response = response
                .with(HeaderName::Require, "100rel")
                .with(HeaderName::RSeq, incoming.last_rseq.to_string());
        }
        let tag = self.party.token_text();
        let contact = Some(&*self.contact);
        let message = reply(core, &request, incoming.from, tag, contact, &response);
        if reliable {
            incoming.reliable = Some(Reliable {
                rseq: incoming.last_rseq,
                response: message.clone(),
                repeat: Repeat::start(now),
                has_sdp,
            });
        }
        incoming.on(
            &mut self.party,
            core,
            now,
            Event::Provisional,
            Some(message),
        );
    }

    /// Answers the call with a 2xx, now or when a description sent earlier was acknowledged.
    pub(in crate::sip) fn answer(&mut self, core: &mut Core, now: Instant, response: Response) {
        if !matches!(self.stage, Stage::Ringing) || !response.status.is_success() {
            return;
        }
        let Some(incoming) = &mut self.incoming else {
            return;
        };
        if incoming
            .reliable
            .as_ref()
            .is_some_and(|reliable| reliable.has_sdp)
        {
            incoming.queued.push(response);
            return;
        }
        incoming.reliable = None;
        self.stage = Stage::Up;
        self.accept_invite(core, now, response);
    }

    /// Sends a 2xx to their INVITE, the first or a later one, and repeats it until its ACK.
    pub(super) fn accept_invite(&mut self, core: &mut Core, now: Instant, mut response: Response) {
        if let Some((_, sdp)) = &response.body {
            self.local_sdp = Some(Arc::from(sdp.as_slice()));
        }
        let Some(mut incoming) = self.incoming.take() else {
            return;
        };
        if let Ok(request) = index(&incoming.request) {
            let session = self.accept_session_timer(now, &request);
            response.headers.extend(session);
            let tag = self.party.token_text();
            let contact = Some(&*self.contact);
            let message = reply(core, &request, incoming.from, tag, contact, &response);
            incoming.on(&mut self.party, core, now, Event::Success, Some(message));
            incoming.repeat = Some(Repeat::start(now));
        }
        self.incoming = Some(incoming);
    }

    /// Refuses the call.
    pub(in crate::sip) fn reject(&mut self, core: &mut Core, now: Instant, response: &Response) {
        if matches!(self.stage, Stage::Ringing) && response.status.is_refusal()
            || response.status.is_redirect()
        {
            self.refuse(core, now, response);
            // The owner knows; no event.
            self.stage = Stage::Over;
        }
    }

    /// Sends a final refusal to their INVITE, the first or a later one.
    pub(super) fn refuse(&mut self, core: &mut Core, now: Instant, response: &Response) {
        let Some(incoming) = &mut self.incoming else {
            return;
        };
        incoming.reliable = None;
        incoming.queued.clear();
        let Ok(request) = index(&incoming.request) else {
            return;
        };
        let tag = self.party.token_text();
        let message = reply(core, &request, incoming.from, tag, None, response);
        incoming.on(&mut self.party, core, now, Event::Refusal, Some(message));
    }

    /// Their INVITE again.
    pub(in crate::sip) fn repeat_invite(
        &mut self,
        core: &mut Core,
        now: Instant,
        branch: &[u8],
        number: u32,
    ) -> bool {
        let Some(incoming) = &mut self.incoming else {
            return false;
        };
        if *incoming.branch != *branch || incoming.cseq != number {
            return false;
        }
        incoming.on(&mut self.party, core, now, Event::Request, None);
        true
    }

    pub(super) fn on_ack(
        &mut self,
        core: &mut Core,
        now: Instant,
        request: &Index<'_>,
        number: u32,
    ) {
        let Some(incoming) = &mut self.incoming else {
            return;
        };
        if incoming.cseq != number {
            return;
        }
        let effects = incoming.on(&mut self.party, core, now, Event::Ack, None);
        if effects.contains(&Effect::DeliverAck) && incoming.repeat.is_some() {
            incoming.repeat = None;
            let sdp = sdp_of(request);
            if incoming.is_first || sdp.is_some() {
                self.party.tell(core, Happened::Confirmed { sdp });
            }
        }
    }

    pub(super) fn wake_incoming(&mut self, core: &mut Core, now: Instant) {
        let Some(incoming) = &mut self.incoming else {
            return;
        };
        while let Some(event) = incoming.state.due(now) {
            let effects = incoming.on(&mut self.party, core, now, event, None);
            if effects.contains(&Effect::NoAck) {
                let words = "our refusal was never acknowledged (RFC 3261 §17.1.1.3)";
                self.party.misbehaved(core, now, words);
            }
        }
        if let Some(reliable) = &mut incoming.reliable {
            if reliable.repeat.give_up <= now {
                let words = "our reliable provisional response got no PRACK (RFC 3262 §4)";
                self.party.misbehaved(core, now, words);
                self.refuse(core, now, &Response::new(StatusCode::SERVER_INTERNAL_ERROR));
                self.over(core, Happened::TimedOut { heard: None });
                return;
            }
            while reliable.repeat.resend.at <= now {
                let copy = core.copy(&reliable.response);
                self.party.send(core, now, incoming.reply_to, copy);
                reliable.repeat.resend = reliable.repeat.resend.doubled();
            }
        }
        self.repeat_success(core, now);
    }

    /// Repeats our 2xx (§13.3.1.4); without an ACK for 64 · T1 the call is ended.
    fn repeat_success(&mut self, core: &mut Core, now: Instant) {
        let Some(incoming) = &mut self.incoming else {
            return;
        };
        let Some(repeat) = &mut incoming.repeat else {
            return;
        };
        if repeat.give_up <= now {
            incoming.repeat = None;
            let words = "our 2xx was never acknowledged (RFC 3261 §13.3.1.4)";
            self.party.misbehaved(core, now, words);
            self.bye(core, now, Happened::TimedOut { heard: None });
            return;
        }
        while repeat.resend.at <= now {
            let copy = core.copy(&incoming.last);
            self.party.send(core, now, incoming.reply_to, copy);
            repeat.resend = repeat.resend.doubled_to_t2();
        }
    }
}

/// The Request-URI: its user goes into our Contact.
fn called_uri(request: &Index<'_>) -> Option<Uri> {
    match request.start() {
        crate::sip::wire::StartLine::Request { uri, .. } => {
            Uri::read(std::str::from_utf8(uri).ok()?).ok()
        }
        crate::sip::wire::StartLine::Response { .. } => None,
    }
}

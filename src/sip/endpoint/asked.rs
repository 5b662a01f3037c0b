//! A request of somebody else outside of calls: handed up, answered once, the answer repeated.

use std::net::SocketAddr;

use crate::sip::agent::Key;
use crate::sip::agent::command::{Hop, Response};
use crate::sip::agent::core::Core;
use crate::sip::agent::event::Happened;
use crate::sip::agent::party::Party;
use crate::sip::agent::reply::{ALLOW, reply, reply_address, trying};
use crate::sip::transaction::key::ServerKey;
use crate::sip::transaction::server::{Effect, Event, State};
use crate::sip::wire::{HeaderName, Index, StatusCode, index};
use crate::time::Instant;

#[derive(Debug)]
pub(super) struct Asked {
    pub(super) party: Party,
    pub(super) server_key: ServerKey,
    state: State,
    request: Vec<u8>,
    from: SocketAddr,
    reply_to: SocketAddr,
    response: Vec<u8>,
}

impl Asked {
    pub(super) fn start(
        core: &mut Core,
        now: Instant,
        (key, server_key): (Key, ServerKey),
        request: &Index<'_>,
        hop: Hop,
    ) -> Self {
        let party = Party::new(core, key, hop, 0, false);
        let message = request.bytes().to_vec();
        let (flow, from) = (hop.flow, hop.peer);
        party.tell(
            core,
            Happened::Request {
                flow,
                from,
                message,
            },
        );
        Self {
            server_key,
            state: State::start(now),
            request: request.bytes().to_vec(),
            from,
            reply_to: reply_address(request, from, party.transport),
            response: Vec::new(),
            party,
        }
    }

    pub(super) fn respond(&mut self, core: &mut Core, now: Instant, response: Response) {
        let Ok(request) = index(&self.request) else {
            return;
        };
        let event = if response.status == StatusCode::REQUEST_TIMEOUT {
            Event::RequestTimeout
        } else {
            Event::Final
        };
        let allowed = response
            .headers
            .iter()
            .any(|(name, _)| *name == HeaderName::Allow);
        let response = if allowed {
            response
        } else {
            response.with(HeaderName::Allow, ALLOW)
        };
        let tag = self.party.token_text();
        let message = reply(core, &request, self.from, tag, None, &response);
        let (state, effects) = self.state.on(now, event, self.party.transport);
        self.state = state;
        if effects.contains(&Effect::Respond) {
            self.response.clone_from(&message);
            self.request = Vec::new();
            self.party.send(core, now, self.reply_to, message);
        }
    }

    /// The request came again.
    pub(super) fn repeat(&mut self, core: &mut Core, now: Instant) {
        let (state, effects) = self.state.on(now, Event::Request, self.party.transport);
        self.state = state;
        if effects.contains(&Effect::Repeat) && !self.response.is_empty() {
            let copy = core.copy(&self.response);
            self.party.send(core, now, self.reply_to, copy);
        }
    }

    pub(super) fn wake(&mut self, core: &mut Core, now: Instant) {
        while let Some(event) = self.state.due(now) {
            let (state, effects) = self.state.on(now, event, self.party.transport);
            self.state = state;
            if effects.contains(&Effect::SendTrying)
                && let Some(trying) = trying(core, &self.request, self.from)
            {
                self.response.clone_from(&trying);
                self.party.send(core, now, self.reply_to, trying);
            }
        }
    }

    pub(super) fn on_flow_failed(&mut self) {
        self.state = State::Terminated;
    }

    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.state.deadline()
    }

    pub(super) const fn is_over(&self) -> bool {
        matches!(self.state, State::Terminated)
    }
}

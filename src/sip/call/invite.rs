//! INVITE transactions with the bytes they repeat: ours (`Outgoing`) and theirs (`Incoming`).

use std::net::SocketAddr;

use crate::sip::Transport;
use crate::sip::agent::command::Response;
use crate::sip::agent::core::Core;
use crate::sip::agent::party::{Party, Suffix};
use crate::sip::agent::reply::{reply_address, trying};
use crate::sip::transaction::timer::{GIVE_UP, Resend, T1};
use crate::sip::transaction::{client_invite, server_invite};
use crate::sip::wire::Index;
use crate::time::Instant;

/// What an INVITE of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It places the call.
    Call,
    /// The owner changes the session.
    Change,
    /// It refreshes the session (RFC 4028).
    Refresh,
}

/// An INVITE of ours.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) why: Why,
    pub(super) suffix: Suffix,
    pub(super) cseq: u32,
    pub(super) state: client_invite::State,
    pub(super) to: SocketAddr,
    /// Request-URI, which the ACK of a refusal and CANCEL repeat.
    pub(super) uri: Box<str>,
    pub(super) request: Vec<u8>,
    /// The ACK that was sent, of a 2xx or of a refusal.
    pub(super) ack: Vec<u8>,
    /// The header lines of the credentials, which the ACK of a 2xx repeats (§22.1).
    pub(super) credentials: Box<str>,
}

impl Outgoing {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.state.deadline()
    }

    /// Whether it has no final response.
    pub(super) const fn is_open(&self) -> bool {
        match self.state {
            client_invite::State::Calling { .. } | client_invite::State::Proceeding => true,
            client_invite::State::Accepted { .. }
            | client_invite::State::Completed { .. }
            | client_invite::State::Terminated => false,
        }
    }

    /// The request's buffer, and the ACK of a refusal that is still to be repeated.
    pub(super) fn into_buffers(self) -> (Vec<u8>, Option<Box<[u8]>>) {
        let refused = matches!(self.state, client_invite::State::Completed { .. });
        let ack = refused.then(|| self.ack.into_boxed_slice());
        (self.request, ack)
    }
}

/// A message that is repeated until it is acknowledged or given up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repeat {
    pub(super) resend: Resend,
    pub(super) give_up: Instant,
}

impl Repeat {
    /// §13.3.1.4: a 2xx is repeated over every transport, because its ACK comes from end to end.
    pub(super) fn start(now: Instant) -> Self {
        Self {
            resend: Resend {
                at: now + T1,
                interval: T1,
            },
            give_up: now + GIVE_UP,
        }
    }

    pub(super) fn deadline(self) -> Instant {
        self.resend.at.min(self.give_up)
    }
}

/// A provisional response that waits for its PRACK (RFC 3262 §3).
#[derive(Debug)]
pub(super) struct Reliable {
    pub(super) rseq: u32,
    pub(super) response: Vec<u8>,
    pub(super) repeat: Repeat,
    pub(super) has_sdp: bool,
}

/// An INVITE of theirs.
#[derive(Debug)]
pub(super) struct Incoming {
    /// Whether it is the INVITE that made the call.
    pub(super) is_first: bool,
    pub(super) branch: Box<[u8]>,
    pub(super) cseq: u32,
    pub(super) state: server_invite::State,
    /// The INVITE as it came; responses are made of it.
    pub(super) request: Vec<u8>,
    /// Where it came from.
    pub(super) from: SocketAddr,
    /// Where its responses go.
    pub(super) reply_to: SocketAddr,
    /// The last response, to be repeated.
    pub(super) last: Vec<u8>,
    /// Of our 2xx, until its ACK.
    pub(super) repeat: Option<Repeat>,
    pub(super) reliable: Option<Reliable>,
    pub(super) last_rseq: u32,
    /// Responses that wait for a PRACK (RFC 3262 §3: one at a time, and no 2xx while a description is
    /// unacknowledged).
    pub(super) queued: Vec<Response>,
}

impl Incoming {
    pub(super) fn new(
        is_first: bool,
        request: &Index<'_>,
        from: SocketAddr,
        transport: Transport,
        now: Instant,
    ) -> Self {
        Self {
            is_first,
            branch: request.top_branch().unwrap_or_default().into(),
            cseq: request.cseq().map_or(0, |(number, _)| number),
            state: server_invite::State::start(now),
            request: request.bytes().to_vec(),
            from,
            reply_to: reply_address(request, from, transport),
            last: Vec::new(),
            repeat: None,
            reliable: None,
            last_rseq: 0,
            queued: Vec::new(),
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let reliable = self.reliable.as_ref().map(|reliable| reliable.repeat);
        self.state
            .deadline()
            .into_iter()
            .chain(self.repeat.map(Repeat::deadline))
            .chain(reliable.map(Repeat::deadline))
            .min()
    }

    pub(super) const fn stop_repeating(&mut self) {
        self.repeat = None;
    }

    /// Whether it has a final response that is acknowledged, or that the dialog takes care of.
    pub(super) const fn is_done(&self) -> bool {
        match self.state {
            server_invite::State::Received { .. }
            | server_invite::State::Proceeding
            | server_invite::State::Completed { .. } => false,
            server_invite::State::Accepted { .. }
            | server_invite::State::Confirmed { .. }
            | server_invite::State::Terminated => true,
        }
    }

    /// Whether it has a final response.
    pub(super) const fn is_answered(&self) -> bool {
        match self.state {
            server_invite::State::Received { .. } | server_invite::State::Proceeding => false,
            server_invite::State::Accepted { .. }
            | server_invite::State::Completed { .. }
            | server_invite::State::Confirmed { .. }
            | server_invite::State::Terminated => true,
        }
    }

    /// Lets `event` happen and sends what it asks for; `response` is the one at hand.
    pub(super) fn on(
        &mut self,
        party: &mut Party,
        core: &mut Core,
        now: Instant,
        event: server_invite::Event,
        response: Option<Vec<u8>>,
    ) -> &'static [server_invite::Effect] {
        let (state, effects) = self.state.on(now, event, party.transport);
        self.state = state;
        for effect in effects {
            match effect {
                server_invite::Effect::SendTrying => {
                    if let Some(trying) = trying(core, &self.request, self.from) {
                        self.last.clone_from(&trying);
                        party.send(core, now, self.reply_to, trying);
                    }
                }
                server_invite::Effect::Respond => {
                    if let Some(response) = &response {
                        self.last.clone_from(response);
                        let copy = core.copy(response);
                        party.send(core, now, self.reply_to, copy);
                    }
                }
                server_invite::Effect::Repeat => {
                    if !self.last.is_empty() {
                        let copy = core.copy(&self.last);
                        party.send(core, now, self.reply_to, copy);
                    }
                }
                server_invite::Effect::DeliverAck
                | server_invite::Effect::NoAck
                | server_invite::Effect::TransportFailed => {}
            }
        }
        if let Some(response) = response {
            core.recycle(response);
        }
        effects
    }
}

//! One request of ours that is not INVITE, on its way: the client transaction with the bytes it repeats.

use std::net::SocketAddr;

use super::core::Core;
use super::party::{Party, Suffix};
use crate::sip::Transport;
use crate::sip::transaction::client::{Effect, Event, State};
use crate::sip::wire::{Index, StatusCode};
use crate::time::Instant;

#[derive(Debug)]
pub(in crate::sip) struct Exchange<P> {
    /// What the owner wants with it.
    pub(in crate::sip) purpose: P,
    pub(in crate::sip) method: &'static str,
    pub(in crate::sip) suffix: Suffix,
    pub(in crate::sip) cseq: u32,
    state: State,
    to: SocketAddr,
    request: Vec<u8>,
}

/// How an exchange stands after its timers ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sip) enum Standing {
    Waiting,
    TimedOut,
    Over,
}

impl<P> Exchange<P> {
    /// Sends `request` for the first time.
    pub(in crate::sip) fn start(
        purpose: P,
        (method, suffix, cseq): (&'static str, Suffix, u32),
        party: &mut Party,
        core: &mut Core,
        now: Instant,
        (to, request): (SocketAddr, Vec<u8>),
    ) -> Self {
        let request = if party.transport.is_reliable() {
            party.send(core, now, to, request);
            Vec::new()
        } else {
            let copy = core.copy(&request);
            party.send(core, now, to, copy);
            request
        };
        Self {
            purpose,
            method,
            suffix,
            cseq,
            state: State::start(now, party.transport),
            to,
            request,
        }
    }

    /// A response came; true if it is new to the owner.
    pub(in crate::sip) fn heard(
        &mut self,
        now: Instant,
        status: StatusCode,
        transport: Transport,
    ) -> bool {
        let event = if status.is_provisional() {
            Event::Provisional
        } else {
            Event::Final
        };
        let (state, effects) = self.state.on(now, event, transport);
        self.state = state;
        effects.contains(&Effect::Deliver)
    }

    /// Runs the timers that are due.
    pub(in crate::sip) fn wake(
        &mut self,
        party: &mut Party,
        core: &mut Core,
        now: Instant,
    ) -> Standing {
        while let Some(event) = self.state.due(now) {
            let (state, effects) = self.state.on(now, event, party.transport);
            self.state = state;
            for effect in effects {
                match effect {
                    Effect::SendRequest => {
                        let copy = core.copy(&self.request);
                        party.send(core, now, self.to, copy);
                    }
                    Effect::TimedOut | Effect::TransportFailed => return Standing::TimedOut,
                    Effect::Deliver => {}
                }
            }
        }
        match self.state {
            State::Terminated => Standing::Over,
            State::Trying { .. } | State::Proceeding { .. } | State::Completed { .. } => {
                Standing::Waiting
            }
        }
    }

    /// Whether the answer is still to come.
    pub(in crate::sip) const fn is_open(&self) -> bool {
        match self.state {
            State::Trying { .. } | State::Proceeding { .. } => true,
            State::Completed { .. } | State::Terminated => false,
        }
    }

    pub(in crate::sip) fn deadline(&self) -> Option<Instant> {
        self.state.deadline()
    }

    /// Gives the buffer back.
    pub(in crate::sip) fn close(self, core: &mut Core) {
        core.recycle(self.request);
    }
}

/// The status of a response that ends the current exchange; what else comes is noted or ignored.
pub(in crate::sip) fn final_status<P>(
    exchange: &mut Option<Exchange<P>>,
    party: &mut Party,
    heard: &mut Option<StatusCode>,
    core: &mut Core,
    now: Instant,
    suffix: Suffix,
    response: &Index<'_>,
) -> Option<StatusCode> {
    let (status, (number, method)) = response.status().zip(response.cseq())?;
    let exchange = exchange
        .as_mut()
        .filter(|exchange| exchange.suffix == suffix)?;
    if exchange.cseq != number || exchange.method != method.as_str() {
        let words = "the CSeq of a response is not that of our request (RFC 3261 §8.2.6.2)";
        party.misbehaved(core, now, words);
        return None;
    }
    if !exchange.heard(now, status, party.transport) {
        return None;
    }
    if status.is_provisional() {
        *heard = Some(status);
        return None;
    }
    Some(status)
}

//! Requests of the far end inside a dialog, but for INVITE: each is answered once, and the answer repeated.

use std::net::SocketAddr;

use super::Call;
use crate::sip::agent::command::Response;
use crate::sip::agent::core::Core;
use crate::sip::agent::reply::{reply, reply_address, trying};
use crate::sip::transaction::server::{Effect, Event, State};
use crate::sip::wire::{Index, Method};
use crate::time::Instant;

/// Answers kept for repetition; a peer that sends more within 32 s gets the oldest anew.
const ANSWERS_MAX: usize = 16;

/// A request of theirs and what became of it.
#[derive(Debug)]
pub(super) struct Answer {
    branch: Box<[u8]>,
    cseq: u32,
    state: State,
    /// As it came, until it is answered.
    request: Vec<u8>,
    from: SocketAddr,
    reply_to: SocketAddr,
    response: Vec<u8>,
}

impl Answer {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.state.deadline()
    }

    pub(super) const fn is_open(&self) -> bool {
        match self.state {
            State::Trying { .. } | State::Proceeding { .. } => true,
            State::Completed { .. } | State::Terminated => false,
        }
    }
}

impl Call {
    /// A request that is answered now.
    pub(super) fn answer_at_once(
        &mut self,
        core: &mut Core,
        now: Instant,
        request: &Index<'_>,
        from: SocketAddr,
        response: &Response,
    ) {
        self.answer_later(now, request, from);
        self.give_answer(core, now, response);
    }

    /// A request that `give_answer` will answer.
    pub(super) fn answer_later(&mut self, now: Instant, request: &Index<'_>, from: SocketAddr) {
        if self.answers.len() >= ANSWERS_MAX {
            self.answers.remove(0);
        }
        self.answers.push(Answer {
            branch: request.top_branch().unwrap_or_default().into(),
            cseq: request.cseq().map_or(0, |(number, _)| number),
            state: State::start(now),
            request: request.bytes().to_vec(),
            from,
            reply_to: reply_address(request, from, self.party.transport),
            response: Vec::new(),
        });
    }

    /// Answers the request that waits longest.
    pub(super) fn give_answer(&mut self, core: &mut Core, now: Instant, response: &Response) {
        let Some(answer) = self.answers.iter_mut().find(|answer| answer.is_open()) else {
            return;
        };
        let Ok(request) = crate::sip::wire::index(&answer.request) else {
            return;
        };
        let tag = self.party.token_text();
        let contact = (request.method() == Some(Method::Update)).then_some(&*self.contact);
        let message = reply(core, &request, answer.from, tag, contact, response);
        let (state, effects) = answer.state.on(now, Event::Final, self.party.transport);
        answer.state = state;
        if effects.contains(&Effect::Respond) {
            answer.response = message.clone();
            let reply_to = answer.reply_to;
            answer.request = Vec::new();
            self.party.send(core, now, reply_to, message);
        }
    }

    /// Whether the request came before; its answer is then sent again.
    pub(super) fn repeat_answer(
        &mut self,
        core: &mut Core,
        now: Instant,
        request: &Index<'_>,
    ) -> bool {
        let (Some((number, method)), Some(branch)) = (request.cseq(), request.top_branch()) else {
            return false;
        };
        if method == Method::Invite {
            return self.repeat_invite(core, now, branch, number);
        }
        let found = self.answers.iter_mut().find(|answer| {
            answer.cseq == number && *answer.branch == *branch && method != Method::Cancel
        });
        let Some(answer) = found else {
            return false;
        };
        let (state, effects) = answer.state.on(now, Event::Request, self.party.transport);
        answer.state = state;
        if effects.contains(&Effect::Repeat) && !answer.response.is_empty() {
            let copy = core.copy(&answer.response);
            let reply_to = answer.reply_to;
            self.party.send(core, now, reply_to, copy);
        }
        true
    }

    pub(super) fn wake_answers(&mut self, core: &mut Core, now: Instant) {
        for answer in &mut self.answers {
            while let Some(event) = answer.state.due(now) {
                let (state, effects) = answer.state.on(now, event, self.party.transport);
                answer.state = state;
                if effects.contains(&Effect::SendTrying)
                    && let Some(trying) = trying(core, &answer.request, answer.from)
                {
                    answer.response.clone_from(&trying);
                    self.party.send(core, now, answer.reply_to, trying);
                }
            }
        }
        self.answers
            .retain(|answer| !matches!(answer.state, State::Terminated));
    }
}

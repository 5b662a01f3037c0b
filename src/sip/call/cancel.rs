//! CANCEL (RFC 3261 §9): ours takes back an INVITE that was heard, theirs stops one that we have not answered.

use std::net::SocketAddr;

use super::{Call, Cancel, Purpose, Stage};
use crate::sip::agent::command::Response;
use crate::sip::agent::core::Core;
use crate::sip::agent::event::Happened;
use crate::sip::agent::exchange::Exchange;
use crate::sip::agent::refusal::q850;
use crate::sip::transaction::timer::GIVE_UP;
use crate::sip::wire::{Index, StatusCode};
use crate::time::Instant;

impl Call {
    /// Sends CANCEL (§9.1); a provisional response was heard.
    pub(super) fn cancel(&mut self, core: &mut Core, now: Instant) {
        let Some(at) = self.outgoing.len().checked_sub(1) else {
            return;
        };
        let message = self.same_branch(core, at, "CANCEL", None);
        let outgoing = &self.outgoing[at];
        let exchange = Exchange::start(
            Purpose::Cancel,
            ("CANCEL", outgoing.suffix, outgoing.cseq),
            &mut self.party,
            core,
            now,
            (outgoing.to, message),
        );
        self.exchanges.push(exchange);
        if let Stage::Calling { cancel, .. } = &mut self.stage {
            *cancel = Cancel::Sent {
                until: now + GIVE_UP,
            };
        }
    }

    /// CANCEL (§9.2): it stops an INVITE that has no final response, and has no effect on one that has.
    pub(in crate::sip) fn on_cancel(
        &mut self,
        core: &mut Core,
        now: Instant,
        request: &Index<'_>,
        from: SocketAddr,
    ) {
        self.answer_at_once(core, now, request, from, &Response::new(StatusCode::OK));
        let open = self
            .incoming
            .as_ref()
            .is_some_and(|incoming| !incoming.is_answered());
        if !open {
            return;
        }
        self.refuse(core, now, &Response::new(StatusCode::REQUEST_TERMINATED));
        self.pending = None;
        if matches!(self.stage, Stage::Ringing) {
            let cause = q850(request);
            self.over(core, Happened::EndedByPeer { cause });
        }
    }
}

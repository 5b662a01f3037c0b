//! A call of ours that more than one answers (RFC 3261 §13.2.2.4): the first leg is the call, each other one is
//! acknowledged and ended.

use super::{Call, Purpose};
use crate::sip::agent::core::Core;
use crate::sip::agent::exchange::Exchange;
use crate::sip::dialog::Dialog;
use crate::sip::wire::Index;
use crate::time::Instant;

impl Call {
    /// A 2xx after the first: the same leg again, or another leg of a fork (§13.2.2.4).
    pub(super) fn on_another_success(
        &mut self,
        core: &mut Core,
        now: Instant,
        at: usize,
        response: &Index<'_>,
    ) {
        let Some(dialog) = &self.dialog else {
            return;
        };
        if dialog.is_with(response.to_tag()) {
            let outgoing = &self.outgoing[at];
            if !outgoing.ack.is_empty() {
                let (copy, to) = (core.copy(&outgoing.ack), dialog.next_hop);
                self.party.send(core, now, to, copy);
            }
            return;
        }
        self.end_leg(core, now, response);
    }

    /// Acknowledges another leg of a fork, and ends it (once).
    pub(super) fn end_leg(&mut self, core: &mut Core, now: Instant, response: &Index<'_>) {
        let flow = core.flow(self.party.hop.flow);
        let peer = self.party.hop.peer;
        let (Ok(leg), Some((number, _))) = (
            Dialog::of_response(response, flow, peer, ""),
            response.cseq(),
        ) else {
            return;
        };
        let ack = self.ack_of(core, &leg, number, "", b"");
        self.party.send(core, now, leg.next_hop, ack);
        let Some(caller) = &mut self.caller else {
            return;
        };
        if caller
            .other_legs
            .iter()
            .any(|tag| **tag == *leg.remote_tag())
        {
            return;
        }
        caller.other_legs.push(leg.remote_tag().into());
        let words = "another leg of the call answered: acknowledged and ended (RFC 3261 §13.2.2.4)";
        self.party.note(core, now, words);
        self.cseq += 1;
        let suffix = self.party.branch();
        let mut message = core.buffer();
        leg.head(core, &self.party, &mut message, "BYE", self.cseq, suffix)
            .line("User-Agent", &[core.user_agent.as_bytes()])
            .finish(b"");
        let exchange = Exchange::start(
            Purpose::LegBye,
            ("BYE", suffix, self.cseq),
            &mut self.party,
            core,
            now,
            (leg.next_hop, message),
        );
        self.exchanges.push(exchange);
    }
}

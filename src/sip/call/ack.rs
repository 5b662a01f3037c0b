//! The ACK of our INVITEs: of a 2xx a request of the dialog (RFC 3261 §13.2.2.4), kept for its repetitions; of
//! a refusal a part of the transaction (§17.1.1.3), made of the INVITE as CANCEL is.

use std::sync::Arc;

use super::Call;
use crate::sip::agent::core::Core;
use crate::sip::agent::lines::decimal;
use crate::sip::dialog::Dialog;
use crate::sip::wire::{HeaderName, Index, index};
use crate::time::Instant;

impl Call {
    /// The answer to an offer that came with the 2xx goes into the ACK (§13.2.2.4).
    pub(super) fn answer_in_ack(&mut self, core: &mut Core, now: Instant, sdp: &[u8]) {
        self.local_sdp = Some(Arc::from(sdp));
        if let Some(at) = self.outgoing.len().checked_sub(1) {
            self.acknowledge(core, now, at, sdp);
        }
    }

    /// Sends the ACK of a 2xx, with the answer if the offer was theirs, and keeps it for repetition.
    pub(super) fn acknowledge(&mut self, core: &mut Core, now: Instant, at: usize, sdp: &[u8]) {
        let outgoing = &self.outgoing[at];
        let Some(dialog) = &self.dialog else {
            return;
        };
        let ack = {
            let suffix = self.party.branch();
            let mut message = core.buffer();
            let mut head = dialog.head(
                core,
                &self.party,
                &mut message,
                "ACK",
                outgoing.cseq,
                suffix,
            );
            head.lines(outgoing.credentials.as_bytes())
                .line("User-Agent", &[core.user_agent.as_bytes()]);
            if !sdp.is_empty() {
                head.line("Content-Type", &[b"application/sdp"]);
            }
            head.finish(sdp);
            message
        };
        let copy = core.copy(&ack);
        let to = dialog.next_hop;
        let old = std::mem::replace(&mut self.outgoing[at].ack, ack);
        core.recycle(old);
        self.party.send(core, now, to, copy);
    }

    pub(super) fn ack_of(
        &mut self,
        core: &mut Core,
        dialog: &Dialog,
        number: u32,
        credentials: &str,
        sdp: &[u8],
    ) -> Vec<u8> {
        let suffix = self.party.branch();
        let mut message = core.buffer();
        dialog
            .head(core, &self.party, &mut message, "ACK", number, suffix)
            .lines(credentials.as_bytes())
            .line("User-Agent", &[core.user_agent.as_bytes()])
            .finish(sdp);
        message
    }

    /// The ACK of a refusal belongs to the transaction: same branch, same Request-URI (§17.1.1.3).
    pub(super) fn acknowledge_refusal(
        &mut self,
        core: &mut Core,
        now: Instant,
        at: usize,
        response: &Index<'_>,
    ) {
        let outgoing = &self.outgoing[at];
        let to = outgoing.to;
        if outgoing.ack.is_empty() {
            let ack = self.same_branch(core, at, "ACK", Some(response));
            let outgoing = &mut self.outgoing[at];
            outgoing.ack = ack;
            let request = std::mem::take(&mut outgoing.request);
            core.recycle(request);
        }
        let copy = core.copy(&self.outgoing[at].ack);
        self.party.send(core, now, to, copy);
    }

    /// A request with the branch of an INVITE: its CANCEL (§9.1) or the ACK of its refusal.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other fields are not repeated"
    )]
    pub(super) fn same_branch(
        &self,
        core: &mut Core,
        at: usize,
        method: &str,
        response: Option<&Index<'_>>,
    ) -> Vec<u8> {
        let outgoing = &self.outgoing[at];
        let mut message = core.buffer();
        let mut head = self
            .party
            .head(core, &mut message, method, &outgoing.uri, outgoing.suffix);
        // Route, From, Call-ID as in the INVITE; To too, but in an ACK it is that of the response.
        if let Ok(invite) = index(&outgoing.request) {
            for header in invite.headers() {
                let name = match header.name {
                    HeaderName::Route => "Route",
                    HeaderName::From => "From",
                    HeaderName::CallId => "Call-ID",
                    HeaderName::To if response.is_none() => "To",
                    _ => continue,
                };
                head.line(name, &[header.raw]);
            }
        }
        if let Some(to) = response.and_then(|response| response.first(HeaderName::To)) {
            head.line("To", &[&to.unfolded()]);
        }
        let mut digits = [0; 10];
        let number = decimal(outgoing.cseq, &mut digits);
        head.line("CSeq", &[number, b" ", method.as_bytes()])
            .line("User-Agent", &[core.user_agent.as_bytes()]);
        head.finish(b"");
        message
    }
}

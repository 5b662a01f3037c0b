//! PRACK (RFC 3262): ours for reliable provisional responses (§4), and theirs for those that `ring` sends (§3).

use std::net::SocketAddr;

use super::{Call, Purpose, sdp_of};
use crate::sip::agent::command::Response;
use crate::sip::agent::core::Core;
use crate::sip::agent::exchange::Exchange;
use crate::sip::dialog::Dialog;
use crate::sip::header::{RAck, RSeq};
use crate::sip::wire::{HeaderName, Index, Method, StatusCode};
use crate::time::Instant;

impl Call {
    /// PRACK for a provisional response that asks for it (RFC 3262 §4). False if the response is to be
    /// ignored: a repetition, or one that overtook another.
    pub(super) fn acknowledge_provisional(
        &mut self,
        core: &mut Core,
        now: Instant,
        at: usize,
        response: &Index<'_>,
    ) -> bool {
        let requires = response.lists(HeaderName::Require, "100rel");
        if !requires {
            return true;
        }
        let rseq = response
            .first(HeaderName::RSeq)
            .and_then(|header| RSeq::read(&header.text()).ok());
        let Some(RSeq(rseq)) = rseq else {
            let words = "a reliable provisional response has no RSeq (RFC 3262 §7.1)";
            self.party.misbehaved(core, now, words);
            return false;
        };
        let outgoing = &self.outgoing[at];
        let flow = core.flow(self.party.hop.flow);
        let dialog = match Dialog::of_response(response, flow, outgoing.to, &outgoing.uri) {
            Ok(dialog) => dialog,
            Err(words) => {
                self.party.misbehaved(core, now, words);
                return false;
            }
        };
        let Some(caller) = &mut self.caller else {
            return true;
        };
        let known = caller
            .early
            .iter_mut()
            .find(|(early, _)| early.is_with(response.to_tag()));
        match known {
            Some((_, last)) if rseq != last.wrapping_add(1) => return false,
            Some((early, last)) => {
                *last = rseq;
                early.refresh_target(response, flow);
            }
            None => caller.early.push((dialog, rseq)),
        }
        self.prack(core, now, response, rseq);
        true
    }

    fn prack(&mut self, core: &mut Core, now: Instant, response: &Index<'_>, rseq: u32) {
        let Some(caller) = &self.caller else {
            return;
        };
        let Some((dialog, _)) = caller
            .early
            .iter()
            .find(|(early, _)| early.is_with(response.to_tag()))
        else {
            return;
        };
        let Some((invited, _)) = response.cseq() else {
            return;
        };
        self.cseq += 1;
        let suffix = self.party.branch();
        let credentials = self
            .authorization
            .lines(core, "PRACK", dialog.request_uri(), b"");
        let mut message = core.buffer();
        let mut head = dialog.head(core, &self.party, &mut message, "PRACK", self.cseq, suffix);
        head.lines(credentials.as_bytes())
            .line("RAck", &[format!("{rseq} {invited} INVITE").as_bytes()])
            .line("User-Agent", &[core.user_agent.as_bytes()])
            .finish(b"");
        let to = dialog.next_hop;
        let exchange = Exchange::start(
            Purpose::Prack,
            ("PRACK", suffix, self.cseq),
            &mut self.party,
            core,
            now,
            (to, message),
        );
        self.exchanges.push(exchange);
    }

    pub(super) fn on_prack(
        &mut self,
        core: &mut Core,
        now: Instant,
        request: &Index<'_>,
        from: SocketAddr,
    ) {
        let text = request
            .first(HeaderName::RAck)
            .map(|header| header.text())
            .unwrap_or_default();
        let meant = RAck::read(&text).ok();
        let fits = self.incoming.as_mut().is_some_and(|incoming| {
            let waiting = incoming.reliable.as_ref();
            let fits = waiting.zip(meant).is_some_and(|(waiting, meant)| {
                meant.rseq.0 == waiting.rseq
                    && meant.cseq.number == incoming.cseq
                    && meant.cseq.method == Method::Invite
            });
            if fits {
                incoming.reliable = None;
            }
            fits
        });
        if !fits {
            let response = Response::new(StatusCode::CALL_DOES_NOT_EXIST);
            self.answer_at_once(core, now, request, from, &response);
            return;
        }
        let mut response = Response::new(StatusCode::OK);
        if let (Some(_), Some(sdp)) = (sdp_of(request), &self.local_sdp) {
            response = response.with_sdp(sdp.to_vec());
        }
        self.answer_at_once(core, now, request, from, &response);
        self.send_queued(core, now);
    }

    /// Sends what waited for the PRACK, up to the next response that must be acknowledged itself.
    fn send_queued(&mut self, core: &mut Core, now: Instant) {
        while let Some(incoming) = &mut self.incoming
            && incoming.reliable.is_none()
            && !incoming.queued.is_empty()
        {
            let next = incoming.queued.remove(0);
            if next.status.is_provisional() {
                self.ring(core, now, next);
            } else {
                self.answer(core, now, next);
            }
        }
    }
}

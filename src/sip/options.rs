//! OPTIONS (RFC 3261 §11): asked once, and any final answer counts.

use super::agent::Key;
use super::agent::authorization::{Authorization, Verdict};
use super::agent::command::Options;
use super::agent::core::Core;
use super::agent::event::Happened;
use super::agent::exchange::{Exchange, Standing, final_status};
use super::agent::lines::decimal;
use super::agent::party::{Party, Suffix, server_of};
use super::agent::refusal::reason_of;
use super::wire::{Index, StatusCode};
use crate::time::Instant;

/// One OPTIONS on its way.
#[derive(Debug)]
pub(in crate::sip) struct Asking {
    pub(in crate::sip) party: Party,
    options: Options,
    authorization: Authorization,
    cseq: u32,
    exchange: Option<Exchange<()>>,
    heard: Option<StatusCode>,
    over: bool,
}

impl Asking {
    pub(in crate::sip) fn start(core: &mut Core, now: Instant, key: Key, options: Options) -> Self {
        let party = Party::new(core, key, options.hop, options.user, options.ladder);
        let mut asking = Self {
            party,
            authorization: Authorization::new(options.account.clone()),
            options,
            cseq: 0,
            exchange: None,
            heard: None,
            over: false,
        };
        asking.send(core, now);
        asking
    }

    fn send(&mut self, core: &mut Core, now: Instant) {
        self.cseq += 1;
        let suffix = self.party.branch();
        let uri = self.options.to.as_request_uri();
        let from = self.options.from.as_str().as_bytes();
        let credentials = self.authorization.lines(core, "OPTIONS", uri, b"");
        let contact = self
            .party
            .contact(core, self.options.to.scheme(), self.options.from.user());
        let mut message = core.buffer();
        self.party
            .head(core, &mut message, "OPTIONS", uri, suffix)
            .line("From", &[b"<", from, b">;tag=", &self.party.token])
            .line("To", &[b"<", self.options.to.as_str().as_bytes(), b">"])
            .line("Call-ID", &[&self.party.token])
            .line("CSeq", &[decimal(self.cseq, &mut [0; 10]), b" OPTIONS"])
            .line("Contact", &[contact.as_bytes()])
            .lines(credentials.as_bytes())
            .line("Accept", &[b"application/sdp"])
            .line("User-Agent", &[core.user_agent.as_bytes()])
            .finish(b"");
        let to = self.options.hop.peer;
        let names = ("OPTIONS", suffix, self.cseq);
        let party = &mut self.party;
        self.exchange = Some(Exchange::start((), names, party, core, now, (to, message)));
    }

    pub(in crate::sip) fn on_response(
        &mut self,
        core: &mut Core,
        now: Instant,
        suffix: Suffix,
        response: &Index<'_>,
    ) {
        let Some(status) = final_status(
            &mut self.exchange,
            &mut self.party,
            &mut self.heard,
            core,
            now,
            suffix,
            response,
        ) else {
            return;
        };
        if status.is_challenge() && self.authorization.challenged(response) == Verdict::Answer {
            self.send(core, now);
            return;
        }
        self.over = true;
        let server = self
            .party
            .has_ladder()
            .then(|| server_of(response))
            .flatten();
        let reason = reason_of(response);
        self.party.tell(
            core,
            Happened::Replied {
                status,
                reason,
                server,
            },
        );
    }

    pub(in crate::sip) fn on_flow_failed(&mut self, core: &mut Core, words: &str) {
        if !self.over {
            self.over = true;
            let words = words.into();
            self.party.tell(core, Happened::FlowFailed { words });
        }
    }

    pub(in crate::sip) fn wake(&mut self, core: &mut Core, now: Instant) {
        let Some(exchange) = &mut self.exchange else {
            return;
        };
        if exchange.wake(&mut self.party, core, now) == Standing::TimedOut {
            self.over = true;
            let heard = self.heard;
            self.party.tell(core, Happened::TimedOut { heard });
        }
    }

    pub(in crate::sip) fn deadline(&self) -> Option<Instant> {
        self.exchange.as_ref().and_then(Exchange::deadline)
    }

    pub(in crate::sip) const fn is_over(&self) -> bool {
        self.over
    }
}

//! Placing a call (RFC 3261 §13.2): the INVITE, and what each response to it does with the call.
//!
//! What follows from a response stands beside: `ack`, `prack`, `cancel`, `fork`, `redirect`.

use std::time::Duration;

use super::invite::{Outgoing, Why};
use super::redirect::emergency_contact;
use super::session::Pending;
use super::{Call, Cancel, Stage, sdp_of};
use crate::sip::agent::Key;
use crate::sip::agent::authorization::{Authorization, Verdict};
use crate::sip::agent::command::Invite;
use crate::sip::agent::core::Core;
use crate::sip::agent::event::{Detail, Happened, Refusal};
use crate::sip::agent::party::{Party, Suffix, server_of};
use crate::sip::agent::refusal::refusal;
use crate::sip::agent::reply::ALLOW;
use crate::sip::dialog::Dialog;
use crate::sip::header::session_expires::MIN_SE;
use crate::sip::header::{MinSe, Uri};
use crate::sip::transaction::client_invite::{Effect, Event, State};
use crate::sip::wire::{HeaderName, Index, StatusCode};
use crate::time::Instant;

/// Requests for a longer session interval (422) that one call follows.
const LONGER_MAX: u8 = 2;

/// What placing a call takes, beyond what every call has.
#[derive(Debug)]
pub(super) struct Caller {
    invite: Invite,
    /// Request-URI; the first Contact of the last redirect.
    pub(super) target: Uri,
    /// Where we were sent already (§8.1.3.4: never twice).
    pub(super) visited: Vec<Uri>,
    min_se: Option<Duration>,
    longer: u8,
    /// Dialogs that reliable provisional responses made (RFC 3262 §4), with the last RSeq of each.
    pub(super) early: Vec<(Dialog, u32)>,
    /// Tags of other legs of a fork, which were acknowledged and ended.
    pub(super) other_legs: Vec<Box<[u8]>>,
}

impl Call {
    /// Sends the INVITE of a new call.
    pub(in crate::sip) fn place(core: &mut Core, now: Instant, key: Key, invite: Invite) -> Self {
        let party = Party::new(core, key, invite.hop, invite.user, invite.ladder);
        let contact = party.contact(core, invite.to.scheme(), invite.from.user());
        let mut call = Self {
            party,
            stage: Stage::Calling {
                cancel: Cancel::No,
                heard: None,
            },
            dialog: None,
            contact,
            authorization: Authorization::new(invite.account.clone()),
            cseq: 0,
            local_sdp: invite.offer.clone(),
            caller: Some(Box::new(Caller {
                target: invite.to.clone(),
                invite,
                visited: Vec::new(),
                min_se: None,
                longer: 0,
                early: Vec::new(),
                other_legs: Vec::new(),
            })),
            server_key: None,
            outgoing: Vec::with_capacity(1),
            incoming: None,
            exchanges: Vec::new(),
            answers: Vec::new(),
            pending: None,
            session: super::SessionTimer::Off,
        };
        call.send_invite(core, now);
        call
    }

    fn send_invite(&mut self, core: &mut Core, now: Instant) {
        let Some(caller) = &self.caller else {
            return;
        };
        self.cseq += 1;
        let suffix = self.party.branch();
        let offer = self.local_sdp.clone();
        let body = offer.as_deref().unwrap_or_default();
        let uri = caller.target.as_request_uri();
        let credentials = self.authorization.lines(core, "INVITE", uri, body);
        let mut message = core.buffer();
        let mut head = self.party.head(core, &mut message, "INVITE", uri, suffix);
        head.line(
            "From",
            &[
                b"<",
                caller.invite.from.as_str().as_bytes(),
                b">;tag=",
                &self.party.token,
            ],
        )
        .line("To", &[b"<", caller.invite.to.as_str().as_bytes(), b">"])
        .line("Call-ID", &[&self.party.token])
        .number("CSeq", self.cseq, " INVITE")
        .line("Contact", &[self.contact.as_bytes()])
        .lines(credentials.as_bytes())
        .line("Allow", &[ALLOW.as_bytes()])
        .line("Supported", &[b"100rel, timer"]);
        // Asked for a longer one (422) where we had asked for none, a proxy had put in its own: ours stands.
        if let Some(interval) = caller.invite.session_expires.or(caller.min_se) {
            let interval = interval.max(caller.min_se.unwrap_or(MIN_SE));
            let seconds = u32::try_from(interval.as_secs()).unwrap_or(u32::MAX);
            head.number("Session-Expires", seconds, "");
        }
        if let Some(min_se) = caller.min_se {
            let seconds = u32::try_from(min_se.as_secs()).unwrap_or(u32::MAX);
            head.number("Min-SE", seconds, "");
        }
        head.line("User-Agent", &[core.user_agent.as_bytes()]);
        if !body.is_empty() {
            head.line("Content-Type", &[b"application/sdp"]);
        }
        head.finish(body);
        let to = self.party.hop.peer;
        let uri = uri.into();
        self.launch(
            core,
            now,
            Why::Call,
            (suffix, uri),
            (to, message),
            credentials,
        );
    }

    /// Sends an INVITE and keeps what its transaction needs.
    pub(super) fn launch(
        &mut self,
        core: &mut Core,
        now: Instant,
        why: Why,
        (suffix, uri): (Suffix, Box<str>),
        (to, message): (std::net::SocketAddr, Vec<u8>),
        credentials: String,
    ) {
        let copy = core.copy(&message);
        self.party.send(core, now, to, copy);
        self.outgoing.push(Outgoing {
            why,
            suffix,
            cseq: self.cseq,
            state: State::start(now, self.party.transport),
            to,
            uri,
            request: message,
            ack: Vec::new(),
            credentials: credentials.into(),
        });
    }

    pub(super) fn on_invite_response(
        &mut self,
        core: &mut Core,
        now: Instant,
        suffix: Suffix,
        response: &Index<'_>,
        (status, number): (StatusCode, u32),
    ) {
        let Some(at) = self
            .outgoing
            .iter()
            .position(|outgoing| outgoing.suffix == suffix)
        else {
            return;
        };
        if self.outgoing[at].cseq != number {
            let words = "the CSeq of a response is not that of our request (RFC 3261 §8.2.6.2)";
            self.party.misbehaved(core, now, words);
            return;
        }
        if status.code() > 100 && response.to_tag().is_none() {
            let words = "a response to INVITE has no To tag (RFC 3261 §8.2.6.2)";
            self.party.misbehaved(core, now, words);
            return;
        }
        let event = if status.is_provisional() {
            Event::Provisional
        } else if status.is_success() {
            Event::Success
        } else {
            Event::Refusal
        };
        let outgoing = &mut self.outgoing[at];
        let (state, effects) = outgoing.state.on(now, event, self.party.transport);
        let is_first = outgoing.is_open();
        outgoing.state = state;
        for effect in effects {
            match effect {
                Effect::SendAck => self.acknowledge_refusal(core, now, at, response),
                Effect::Deliver if status.is_provisional() => {
                    self.on_provisional(core, now, at, status, response);
                }
                Effect::Deliver if status.is_success() => {
                    self.on_success(core, now, at, is_first, response);
                }
                Effect::Deliver => self.on_refusal(core, now, at, status, response),
                Effect::SendRequest | Effect::TimedOut | Effect::TransportFailed => {}
            }
        }
    }

    fn on_provisional(
        &mut self,
        core: &mut Core,
        now: Instant,
        at: usize,
        status: StatusCode,
        response: &Index<'_>,
    ) {
        let Stage::Calling { cancel, heard } = &mut self.stage else {
            return;
        };
        *heard = Some(status);
        if *cancel == Cancel::WhenHeard {
            self.cancel(core, now);
        }
        if status != StatusCode::TRYING && !self.acknowledge_provisional(core, now, at, response) {
            return;
        }
        let sdp = sdp_of(response);
        self.party.tell(core, Happened::Provisional { status, sdp });
    }

    fn on_success(
        &mut self,
        core: &mut Core,
        now: Instant,
        at: usize,
        is_first: bool,
        response: &Index<'_>,
    ) {
        if !is_first {
            self.on_another_success(core, now, at, response);
            return;
        }
        if self.outgoing[at].why != Why::Call {
            self.on_change_accepted(core, now, at, response);
            return;
        }
        let flow = core.flow(self.party.hop.flow);
        let outgoing = &self.outgoing[at];
        match Dialog::of_response(response, flow, outgoing.to, &outgoing.uri) {
            Ok(dialog) => self.dialog = Some(dialog),
            Err(words) => {
                self.party.misbehaved(core, now, words);
                self.over(core, Happened::Ended);
                return;
            }
        }
        let request = std::mem::take(&mut self.outgoing[at].request);
        core.recycle(request);
        let cancelled = match self.stage {
            Stage::Calling { cancel, .. } => cancel != Cancel::No,
            Stage::Ringing | Stage::Up | Stage::Ending { .. } | Stage::Over => false,
        };
        if self.is_over() || cancelled {
            // §9.1: the answer crossed our CANCEL, so the call is up and ends by BYE.
            self.acknowledge(core, now, at, b"");
            if cancelled {
                let words = "the answer crossed our CANCEL: acknowledged and ended";
                self.party.note(core, now, words);
                self.bye(core, now, Happened::Ended);
            } else {
                self.end_leg(core, now, response);
            }
            return;
        }
        self.stage = Stage::Up;
        self.start_session_timer(now, response);
        if self.local_sdp.is_some() {
            self.acknowledge(core, now, at, b"");
        } else {
            self.pending = Some(Pending::late_answer(now));
        }
        let server = self
            .party
            .has_ladder()
            .then(|| server_of(response))
            .flatten();
        let sdp = sdp_of(response);
        self.party.tell(core, Happened::Answered { sdp, server });
    }

    fn on_refusal(
        &mut self,
        core: &mut Core,
        now: Instant,
        at: usize,
        status: StatusCode,
        response: &Index<'_>,
    ) {
        if self.outgoing[at].why != Why::Call {
            self.on_change_refused(core, now, at, status, response);
            return;
        }
        let Stage::Calling { cancel, .. } = self.stage else {
            return;
        };
        if cancel != Cancel::No {
            self.over(core, Happened::Ended);
            return;
        }
        let mut refusal = self.refusal(status, response);
        let again = if status.is_challenge() {
            match self.authorization.challenged(response) {
                Verdict::Answer => true,
                Verdict::SecretRefused => {
                    refusal.detail = Some(Detail::SecretRefused);
                    false
                }
                Verdict::Unanswerable => false,
            }
        } else if status.is_redirect() {
            if let Some(number) = emergency_contact(response) {
                let words = format!("sent on to {number}, an emergency number: not followed");
                self.party.note(core, now, &words);
                refusal.detail = Some(Detail::SentToEmergency);
                false
            } else {
                match self.follow(core, response) {
                    Ok(()) => true,
                    Err(words) => {
                        refusal.reason = format!("{}: {words}", refusal.reason).into();
                        false
                    }
                }
            }
        } else {
            status == StatusCode::SESSION_INTERVAL_TOO_SMALL && self.lengthen(response)
        };
        if again {
            self.send_invite(core, now);
        } else {
            self.over(core, Happened::Refused(refusal));
        }
    }

    fn refusal(&self, status: StatusCode, response: &Index<'_>) -> Refusal {
        refusal(status, response, self.party.has_ladder())
    }

    /// Takes over the Min-SE of a 422 (RFC 4028 §7.3).
    fn lengthen(&mut self, response: &Index<'_>) -> bool {
        let Some(caller) = &mut self.caller else {
            return false;
        };
        let min_se = response
            .first(HeaderName::MinSe)
            .and_then(|header| MinSe::read(&header.text()).ok());
        let Some(MinSe(min_se)) = min_se else {
            return false;
        };
        caller.longer += 1;
        caller.min_se = Some(min_se);
        caller.longer <= LONGER_MAX
    }

    pub(super) fn wake_outgoing(&mut self, core: &mut Core, now: Instant) {
        for at in 0..self.outgoing.len() {
            let outgoing = &mut self.outgoing[at];
            let Some(event) = outgoing.state.due(now) else {
                continue;
            };
            let (state, effects) = outgoing.state.on(now, event, self.party.transport);
            outgoing.state = state;
            for effect in effects {
                match effect {
                    Effect::SendRequest => {
                        let (copy, to) = (core.copy(&outgoing.request), outgoing.to);
                        self.party.send(core, now, to, copy);
                    }
                    Effect::TimedOut if outgoing.why == Why::Call => {
                        let heard = match self.stage {
                            Stage::Calling { heard, .. } => heard,
                            Stage::Ringing | Stage::Up | Stage::Ending { .. } | Stage::Over => None,
                        };
                        self.over(core, Happened::TimedOut { heard });
                        break;
                    }
                    Effect::TimedOut => {
                        // §14.1: a re-INVITE that nobody answers ends the call.
                        self.bye(core, now, Happened::SessionExpired);
                        break;
                    }
                    Effect::SendAck | Effect::Deliver | Effect::TransportFailed => {}
                }
            }
        }
        if self.outgoing.len() > 1 {
            self.outgoing
                .retain(|outgoing| outgoing.state != State::Terminated);
        }
    }

    /// Whether responses with this Call-ID and From tag can be ours (§8.1.3.3, §12.2.1).
    pub(in crate::sip) fn owns(&self, response: &Index<'_>) -> bool {
        let call_id = response.call_id();
        let tag_fits = response.from_tag() == Some(&self.party.token);
        match &self.dialog {
            Some(dialog) if self.caller.is_none() => tag_fits && call_id == Some(dialog.call_id()),
            Some(_) | None => tag_fits && call_id == Some(&self.party.token),
        }
    }
}

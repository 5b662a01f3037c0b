//! One call, placed or received: its INVITE transactions, its dialog, its session, its end.
//!
//! The parts are `uac` (placing; with `ack`, `fork`, `redirect`), `uas` (being called), `cancel` and `prack` both
//! ways, `session` (changes while it lasts), `answers` (other requests of theirs). This file holds what they
//! share: the state, the timers, BYE both ways. Only `endpoint` calls it.

mod ack;
mod answers;
mod cancel;
mod fork;
mod invite;
mod prack;
mod redirect;
mod session;
mod uac;
mod uas;

use std::net::SocketAddr;
use std::sync::Arc;

use super::agent::authorization::{Authorization, Verdict};
use super::agent::command::{Hop, Response};
use super::agent::core::Core;
use super::agent::event::Happened;
use super::agent::exchange::{Exchange, Standing};
use super::agent::party::{Party, Suffix};
use super::agent::refusal::q850;
use super::agent::reply::{ALLOW, not_allowed};
use super::dialog::Dialog;
use super::transaction::key::ServerKey;
use super::wire::{HeaderName, Index, Method, StatusCode};
use crate::time::Instant;

use answers::Answer;
use invite::{Incoming, Outgoing};
use session::{Pending, SessionTimer};

/// A call in one slot of an endpoint.
#[derive(Debug)]
pub(in crate::sip) struct Call {
    pub(in crate::sip) party: Party,
    stage: Stage,
    dialog: Option<Dialog>,
    /// The value of our Contact.
    contact: Arc<str>,
    authorization: Authorization,
    /// Number of our last request.
    cseq: u32,
    /// The last session description of ours.
    local_sdp: Option<Arc<[u8]>>,
    /// What placing the call takes; `None` if it was placed by the far end.
    caller: Option<Box<uac::Caller>>,
    /// The name of their first INVITE, under which its repetitions and its CANCEL find us.
    server_key: Option<ServerKey>,
    /// Our INVITEs: the last is the current one, those before it are refused and absorb.
    outgoing: Vec<Outgoing>,
    /// Their INVITE, the first or the last re-INVITE.
    incoming: Option<Box<Incoming>>,
    exchanges: Vec<Exchange<Purpose>>,
    answers: Vec<Answer>,
    pending: Option<Pending>,
    session: SessionTimer,
}

/// How far the call is.
#[derive(Debug)]
enum Stage {
    /// Our INVITE has no final response.
    Calling {
        cancel: Cancel,
        heard: Option<StatusCode>,
    },
    /// Their INVITE has no final response.
    Ringing,
    Up,
    /// Our BYE is under way; this is told when it is done.
    Ending {
        last: Happened,
    },
    /// The final event was told.
    Over,
}

/// Whether we want to take our INVITE back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cancel {
    No,
    /// §9.1: CANCEL must not be sent before a provisional response came.
    WhenHeard,
    /// Sent; without a final response by then (64 · T1, §9.1) the call counts as cancelled.
    Sent {
        until: Instant,
    },
}

/// What a request of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Bye,
    Cancel,
    /// Ends another leg of a forked call.
    LegBye,
    Prack,
    /// Refreshes the session.
    Refresh,
}

/// What is kept of a call for 32 s after its end, to answer what is still on its way.
#[derive(Debug)]
pub(in crate::sip) struct Remains {
    pub(in crate::sip) hop: Hop,
    /// The ACK of a refused INVITE, sent as often as the refusal comes (timer D).
    pub(in crate::sip) ack: Option<Box<[u8]>>,
    /// The leg that the call was with; a 2xx of another one is still to be ended.
    pub(in crate::sip) remote_tag: Option<Box<[u8]>>,
    /// The name under which repeated INVITEs find this slot (timers I and L).
    pub(in crate::sip) server_key: Option<ServerKey>,
}

impl Call {
    /// Ends the call from whatever state it is in.
    pub(in crate::sip) fn hang_up(&mut self, core: &mut Core, now: Instant) {
        match &mut self.stage {
            Stage::Calling { cancel, heard } => {
                if *cancel == Cancel::No {
                    *cancel = Cancel::WhenHeard;
                    if heard.is_some() {
                        self.cancel(core, now);
                    }
                }
            }
            Stage::Ringing => {
                self.refuse(
                    core,
                    now,
                    &Response::new(StatusCode::TEMPORARILY_UNAVAILABLE),
                );
                self.over(core, Happened::Ended);
            }
            Stage::Up => self.bye(core, now, Happened::Ended),
            Stage::Ending { .. } | Stage::Over => {}
        }
    }

    /// Sends BYE; `last` is told when it was answered or given up.
    fn bye(&mut self, core: &mut Core, now: Instant, last: Happened) {
        self.pending = None;
        self.session = SessionTimer::Off;
        if let Some(incoming) = &mut self.incoming {
            incoming.stop_repeating();
        }
        self.authorization.begin();
        self.stage = Stage::Ending { last };
        self.request(core, now, "BYE", Purpose::Bye, &[], b"");
    }

    /// Sends a request inside the dialog. `lines` are whole header lines.
    fn request(
        &mut self,
        core: &mut Core,
        now: Instant,
        method: &'static str,
        purpose: Purpose,
        lines: &[u8],
        sdp: &[u8],
    ) {
        let Some(dialog) = &self.dialog else {
            return;
        };
        self.cseq += 1;
        let suffix = self.party.branch();
        let mut message = core.buffer();
        let credentials = self
            .authorization
            .lines(core, method, dialog.request_uri(), sdp);
        let mut head = dialog.head(core, &self.party, &mut message, method, self.cseq, suffix);
        head.lines(credentials.as_bytes()).lines(lines);
        head.line("User-Agent", &[core.user_agent.as_bytes()]);
        if !sdp.is_empty() {
            head.line("Content-Type", &[b"application/sdp"]);
        }
        head.finish(sdp);
        let to = dialog.next_hop;
        let exchange = Exchange::start(
            purpose,
            (method, suffix, self.cseq),
            &mut self.party,
            core,
            now,
            (to, message),
        );
        // Nearly every call has its BYE and nothing else.
        self.exchanges.reserve_exact(1);
        self.exchanges.push(exchange);
    }

    /// Tells the final event, once.
    fn over(&mut self, core: &mut Core, last: Happened) {
        if !matches!(self.stage, Stage::Over) {
            self.party.tell(core, last);
            self.stage = Stage::Over;
            self.pending = None;
            self.session = SessionTimer::Off;
        }
    }

    /// Whether the final event was told.
    pub(in crate::sip) const fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// A response to one of our requests; `suffix` is the end of its branch.
    pub(in crate::sip) fn on_response(
        &mut self,
        core: &mut Core,
        now: Instant,
        suffix: Suffix,
        response: &Index<'_>,
    ) {
        let (Some(status), Some((number, method))) = (response.status(), response.cseq()) else {
            return;
        };
        if method == Method::Invite {
            self.on_invite_response(core, now, suffix, response, (status, number));
            return;
        }
        let transport = self.party.transport;
        let Some(exchange) = self
            .exchanges
            .iter_mut()
            .find(|exchange| exchange.suffix == suffix && exchange.method == method.as_str())
        else {
            return;
        };
        if exchange.cseq != number {
            let words = "the CSeq of a response is not that of our request (RFC 3261 §8.2.6.2)";
            self.party.misbehaved(core, now, words);
            return;
        }
        let purpose = exchange.purpose;
        if exchange.heard(now, status, transport) && status.is_final() {
            self.on_final(core, now, purpose, status, response);
        }
    }

    fn on_final(
        &mut self,
        core: &mut Core,
        now: Instant,
        purpose: Purpose,
        status: StatusCode,
        response: &Index<'_>,
    ) {
        match purpose {
            Purpose::Bye => {
                if status.is_challenge()
                    && self.authorization.challenged(response) == Verdict::Answer
                {
                    self.request(core, now, "BYE", Purpose::Bye, &[], b"");
                } else {
                    self.bye_done(core);
                }
            }
            Purpose::Refresh => self.on_refreshed(core, now, status, response),
            // §9.1: the answer to CANCEL says nothing; the INVITE has its own. A PRACK that is refused
            // leaves the provisional response unacknowledged, which is for the far end to end.
            Purpose::Cancel | Purpose::Prack | Purpose::LegBye => {}
        }
    }

    /// The BYE was answered, or never will be: both end the call (§15.1.1).
    fn bye_done(&mut self, core: &mut Core) {
        if let Stage::Ending { last } = &self.stage {
            let last = last.clone();
            self.over(core, last);
        }
    }

    /// BYE from the far end (§15.1.2).
    fn on_bye(&mut self, core: &mut Core, now: Instant, request: &Index<'_>, from: SocketAddr) {
        self.answer_at_once(core, now, request, from, &Response::new(StatusCode::OK));
        match self.stage {
            Stage::Up | Stage::Calling { .. } => {
                let cause = q850(request);
                self.over(core, Happened::EndedByPeer { cause });
            }
            // It ended the call before we answered it: the INVITE is still owed a response (§15.1.2).
            Stage::Ringing => {
                self.refuse(core, now, &Response::new(StatusCode::REQUEST_TERMINATED));
                self.over(
                    core,
                    Happened::EndedByPeer {
                        cause: q850(request),
                    },
                );
            }
            // Both hung up at once: ours is done too.
            Stage::Ending { .. } => self.bye_done(core),
            Stage::Over => {}
        }
    }

    /// A request that carries our tag.
    pub(in crate::sip) fn on_request(
        &mut self,
        core: &mut Core,
        now: Instant,
        request: &Index<'_>,
        from: SocketAddr,
    ) {
        let (Some(method), Some((number, _))) = (request.method(), request.cseq()) else {
            return;
        };
        // Before an answer of ours made a dialog, our tag and Call-ID are proof enough: an UPDATE may come
        // in an early dialog.
        let known = match &self.dialog {
            Some(dialog) => {
                dialog.is_with(request.from_tag()) && request.call_id() == Some(dialog.call_id())
            }
            None => request.call_id() == Some(&self.party.token),
        };
        if method == Method::Ack {
            self.on_ack(core, now, request, number);
            return;
        }
        if self.repeat_answer(core, now, request) {
            return;
        }
        let refusal = match &mut self.dialog {
            Some(dialog) if known => {
                // §12.2.2: a lower number has been overtaken. CANCEL has that of its INVITE.
                if number < dialog.remote_cseq && method != Method::Cancel {
                    Some(StatusCode::SERVER_INTERNAL_ERROR)
                } else {
                    dialog.remote_cseq = dialog.remote_cseq.max(number);
                    None
                }
            }
            None if known => None,
            Some(_) | None => Some(StatusCode::CALL_DOES_NOT_EXIST),
        };
        if let Some(status) = refusal {
            self.answer_at_once(core, now, request, from, &Response::new(status));
            return;
        }
        match method {
            Method::Bye => self.on_bye(core, now, request, from),
            Method::Cancel => self.on_cancel(core, now, request, from),
            Method::Invite => self.on_reinvite(core, now, request, from),
            Method::Update => self.on_update(core, now, request, from),
            Method::Prack => self.on_prack(core, now, request, from),
            Method::Info => {
                self.answer_at_once(core, now, request, from, &Response::new(StatusCode::OK));
            }
            Method::Options => {
                let response = Response::new(StatusCode::OK).with(HeaderName::Allow, ALLOW);
                self.answer_at_once(core, now, request, from, &response);
            }
            Method::Ack
            | Method::Message
            | Method::Notify
            | Method::Publish
            | Method::Refer
            | Method::Register
            | Method::Subscribe
            | Method::Other(_) => {
                self.answer_at_once(core, now, request, from, &not_allowed(method));
            }
        }
    }

    /// The flow broke: whatever waits for an answer will not get one.
    pub(in crate::sip) fn on_flow_failed(&mut self, core: &mut Core, words: &str) {
        let last = match &self.stage {
            Stage::Ending { last } => last.clone(),
            Stage::Calling { .. } | Stage::Ringing | Stage::Up => Happened::FlowFailed {
                words: words.into(),
            },
            Stage::Over => return,
        };
        self.over(core, last);
        self.exchanges.clear();
        self.incoming = None;
    }

    /// Runs every timer that is due.
    pub(in crate::sip) fn wake(&mut self, core: &mut Core, now: Instant) {
        self.wake_outgoing(core, now);
        self.wake_incoming(core, now);
        self.wake_exchanges(core, now);
        self.wake_answers(core, now);
        self.wake_session(core, now);
        if let Stage::Calling {
            cancel: Cancel::Sent { until },
            ..
        } = self.stage
            && until <= now
        {
            let words = "no final response 32 s after CANCEL (RFC 3261 §9.1): given up";
            self.party.note(core, now, words);
            self.over(core, Happened::Ended);
        }
    }

    fn wake_exchanges(&mut self, core: &mut Core, now: Instant) {
        let mut at = 0;
        while let Some(exchange) = self.exchanges.get_mut(at) {
            let purpose = exchange.purpose;
            match exchange.wake(&mut self.party, core, now) {
                Standing::Waiting => at += 1,
                Standing::Over => self.exchanges.swap_remove(at).close(core),
                Standing::TimedOut => {
                    self.exchanges.swap_remove(at).close(core);
                    match purpose {
                        Purpose::Bye => self.bye_done(core),
                        // §12.2.1.2: a request inside the dialog that nobody answers ends it.
                        Purpose::Refresh => self.bye(core, now, Happened::SessionExpired),
                        Purpose::Cancel | Purpose::LegBye | Purpose::Prack => {}
                    }
                }
            }
        }
    }

    /// The next moment at which `wake` has something to do.
    pub(in crate::sip) fn deadline(&self) -> Option<Instant> {
        let cancelled = match self.stage {
            Stage::Calling {
                cancel: Cancel::Sent { until },
                ..
            } => Some(until),
            Stage::Calling { .. }
            | Stage::Ringing
            | Stage::Up
            | Stage::Ending { .. }
            | Stage::Over => None,
        };
        self.outgoing
            .iter()
            .filter_map(Outgoing::deadline)
            .chain(self.exchanges.iter().filter_map(Exchange::deadline))
            .chain(self.answers.iter().filter_map(Answer::deadline))
            .chain(
                self.incoming
                    .as_ref()
                    .and_then(|incoming| incoming.deadline()),
            )
            .chain(self.pending.as_ref().map(Pending::deadline))
            .chain(self.session.deadline())
            .chain(cancelled)
            .min()
    }

    /// Whether nothing is left but absorbing what may still come, which `Remains` do for less memory.
    pub(in crate::sip) fn is_finished(&self) -> bool {
        self.is_over()
            && !self
                .exchanges
                .iter()
                .any(|exchange| exchange.purpose == Purpose::LegBye && exchange.is_open())
            && self
                .incoming
                .as_ref()
                .is_none_or(|incoming| incoming.is_done())
    }

    /// Gives back the buffers and keeps what is needed for stragglers.
    pub(in crate::sip) fn remains(mut self, core: &mut Core) -> Remains {
        for exchange in self.exchanges.drain(..) {
            exchange.close(core);
        }
        let mut ack = None;
        for outgoing in self.outgoing.drain(..) {
            let (request, refused) = outgoing.into_buffers();
            core.recycle(request);
            ack = refused;
        }
        Remains {
            hop: self.party.hop,
            ack,
            remote_tag: self.dialog.map(|dialog| dialog.remote_tag().into()),
            server_key: self.server_key,
        }
    }
}

/// The session description in a message, if that is what its body is.
fn sdp_of(message: &Index<'_>) -> Option<Box<[u8]>> {
    let body = message.body();
    if body.is_empty() {
        return None;
    }
    let is_sdp = message.first(HeaderName::ContentType).is_none_or(|header| {
        let kind = header.raw.split(|byte| *byte == b';').next();
        kind.is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case(b"application/sdp"))
    });
    is_sdp.then(|| body.into())
}

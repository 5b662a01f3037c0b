//! Changes while a call lasts: re-INVITE (RFC 3261 §14) and UPDATE (RFC 3311) both ways, session timers
//! (RFC 4028). The descriptions are the owner's; here is who may offer when, and what if nobody answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::invite::{Incoming, Outgoing, Why};
use super::{Call, Purpose, Stage, sdp_of};
use crate::sip::agent::authorization::Verdict;
use crate::sip::agent::command::Response;
use crate::sip::agent::core::Core;
use crate::sip::agent::event::{Happened, OfferMethod};
use crate::sip::agent::reply::{ALLOW, reply, reply_address};
use crate::sip::emergency::is_emergency;
use crate::sip::header::session_expires::MIN_SE;
use crate::sip::header::{MinSe, Refresher, SessionExpires};
use crate::sip::wire::{HeaderName, Index, Method, StatusCode};
use crate::time::Instant;

/// How long the owner may take to answer an offer. Longer, and the far end repeats its re-INVITE (T1).
const OFFER_PATIENCE: Duration = Duration::from_millis(200);

/// When a refresh is tried again with the interval that was asked for: at once, a far end that asks for more
/// each time would be answered without end.
const SOON: Duration = Duration::from_secs(1);

/// An offer that waits for the owner, or a change of ours that waits for its second try.
#[derive(Debug)]
pub(super) struct Pending {
    what: Waiting,
    until: Instant,
    /// What the answer says about the session timer.
    headers: Vec<(HeaderName, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// Their 2xx held the offer; the ACK will hold the answer.
    LateAnswer,
    Reinvite,
    Update,
    /// Our re-INVITE met theirs (491); it is sent again.
    Again(Why),
}

/// When the session is refreshed or given up (RFC 4028 §10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionTimer {
    Off,
    /// We refresh; if that does not succeed, we end the call while the far end still knows it.
    Refresh {
        at: Instant,
        until: Instant,
        interval: Duration,
        by_update: bool,
    },
    /// They refresh; if they do not, the call ends.
    Expire {
        at: Instant,
    },
}

impl Pending {
    pub(super) fn late_answer(now: Instant) -> Self {
        Self::new(Waiting::LateAnswer, now + OFFER_PATIENCE)
    }

    const fn new(what: Waiting, until: Instant) -> Self {
        Self {
            what,
            until,
            headers: Vec::new(),
        }
    }

    pub(super) const fn deadline(&self) -> Instant {
        self.until
    }
}

impl SessionTimer {
    pub(super) const fn deadline(self) -> Option<Instant> {
        match self {
            Self::Off => None,
            Self::Refresh { at, .. } | Self::Expire { at } => Some(at),
        }
    }

    /// §10: the refresher refreshes at half the interval; the other side ends the call a little before
    /// the interval is over.
    fn start(now: Instant, interval: Duration, ours: bool, by_update: bool) -> Self {
        let margin = (interval / 3).min(Duration::from_secs(32));
        let until = now + (interval - margin);
        if ours {
            Self::Refresh {
                at: now + interval / 2,
                until,
                interval,
                by_update,
            }
        } else {
            Self::Expire { at: until }
        }
    }
}

impl Call {
    /// The owner's answer to an offer.
    pub(in crate::sip) fn accept_offer(&mut self, core: &mut Core, now: Instant, sdp: &[u8]) {
        let Some(pending) = self.pending.take() else {
            return;
        };
        match pending.what {
            Waiting::LateAnswer => self.answer_in_ack(core, now, sdp),
            Waiting::Reinvite => {
                let response = Response::new(StatusCode::OK).with_sdp(sdp);
                self.accept_invite(core, now, response);
            }
            Waiting::Update => {
                self.local_sdp = Some(Arc::from(sdp));
                let mut response = Response::new(StatusCode::OK).with_sdp(sdp);
                response.headers = pending.headers;
                self.give_answer(core, now, &response);
            }
            Waiting::Again(_) => self.pending = Some(pending),
        }
    }

    /// The owner does not want the offer.
    pub(in crate::sip) fn refuse_offer(
        &mut self,
        core: &mut Core,
        now: Instant,
        response: &Response,
    ) {
        let Some(pending) = self.pending.take() else {
            return;
        };
        match pending.what {
            Waiting::LateAnswer => {
                self.answer_in_ack(core, now, b"");
                self.bye(core, now, Happened::Ended);
            }
            Waiting::Reinvite => self.refuse(core, now, response),
            Waiting::Update => self.give_answer(core, now, response),
            Waiting::Again(_) => self.pending = Some(pending),
        }
    }

    /// The owner changes the session.
    pub(in crate::sip) fn change(&mut self, core: &mut Core, now: Instant, sdp: &[u8]) {
        if matches!(self.stage, Stage::Up) {
            self.local_sdp = Some(Arc::from(sdp));
            self.authorization.begin();
            self.reinvite(core, now, Why::Change);
        }
    }

    fn reinvite(&mut self, core: &mut Core, now: Instant, why: Why) {
        let Some(dialog) = &self.dialog else {
            return;
        };
        // Their Contact is the Request-URI now, if no strict router takes its place. Whoever does not know
        // the dialog could take this for a call.
        if is_emergency(&dialog.target) || is_emergency(dialog.request_uri()) {
            let words =
                "their Contact is an emergency number: no INVITE goes there, the call is ended";
            self.party.note(core, now, words);
            self.bye(core, now, Happened::SessionExpired);
            return;
        }
        self.cseq += 1;
        let suffix = self.party.branch();
        let sdp = self.local_sdp.clone();
        let body = sdp.as_deref().unwrap_or_default();
        let uri = dialog.request_uri();
        let credentials = self.authorization.lines(core, "INVITE", uri, body);
        let mut message = core.buffer();
        let mut head = dialog.head(core, &self.party, &mut message, "INVITE", self.cseq, suffix);
        head.line("Contact", &[self.contact.as_bytes()])
            .lines(credentials.as_bytes())
            .line("Allow", &[ALLOW.as_bytes()])
            .line("Supported", &[b"100rel, timer"]);
        if let SessionTimer::Refresh { interval, .. } = self.session {
            let value = session_expires(interval, Refresher::Uac);
            head.line("Session-Expires", &[value.as_bytes()]);
        }
        head.line("User-Agent", &[core.user_agent.as_bytes()]);
        if !body.is_empty() {
            head.line("Content-Type", &[b"application/sdp"]);
        }
        head.finish(body);
        let (to, uri) = (dialog.next_hop, uri.into());
        self.launch(core, now, why, (suffix, uri), (to, message), credentials);
    }

    /// A re-INVITE of theirs.
    pub(super) fn on_reinvite(
        &mut self,
        core: &mut Core,
        now: Instant,
        request: &Index<'_>,
        from: SocketAddr,
    ) {
        let ours_open = self.outgoing.iter().any(Outgoing::is_open);
        let theirs_open = self
            .incoming
            .as_ref()
            .is_some_and(|incoming| !incoming.is_answered() || incoming.repeat.is_some());
        if theirs_open || !matches!(self.stage, Stage::Up) {
            // §14.2: a second INVITE before the first has its end.
            let seconds = self.seconds_to_wait(core);
            let response = Response::new(StatusCode::SERVER_INTERNAL_ERROR)
                .with(HeaderName::RetryAfter, seconds);
            self.refuse_beside(core, now, request, from, &response);
            return;
        }
        let transport = self.party.transport;
        let incoming = Incoming::new(false, request, from, transport, now);
        self.incoming = Some(Box::new(incoming));
        if ours_open {
            self.refuse(core, now, &Response::new(StatusCode::REQUEST_PENDING));
            return;
        }
        self.take_target(core, request);
        self.pending = Some(Pending::new(Waiting::Reinvite, now + OFFER_PATIENCE));
        let (method, sdp) = (OfferMethod::Invite, sdp_of(request));
        self.party.tell(core, Happened::Offer { method, sdp });
    }

    /// A refusal of an INVITE that does not become the current one: it is not repeated by itself, but each
    /// repeated INVITE gets it anew.
    fn refuse_beside(
        &mut self,
        core: &mut Core,
        now: Instant,
        request: &Index<'_>,
        from: SocketAddr,
        response: &Response,
    ) {
        let tag = self.party.token_text();
        let message = reply(core, request, from, tag, None, response);
        let to = reply_address(request, from, self.party.transport);
        self.party.send(core, now, to, message);
    }

    /// An UPDATE of theirs.
    pub(super) fn on_update(
        &mut self,
        core: &mut Core,
        now: Instant,
        request: &Index<'_>,
        from: SocketAddr,
    ) {
        let sdp = sdp_of(request);
        let ours_open = self
            .outgoing
            .iter()
            .any(|outgoing| outgoing.is_open() && outgoing.why != Why::Call);
        if sdp.is_some() && ours_open {
            // RFC 3311 §5.2: offers that meet.
            let response = Response::new(StatusCode::REQUEST_PENDING);
            self.answer_at_once(core, now, request, from, &response);
            return;
        }
        if sdp.is_some() && self.pending.is_some() {
            let seconds = self.seconds_to_wait(core);
            let response = Response::new(StatusCode::SERVER_INTERNAL_ERROR)
                .with(HeaderName::RetryAfter, seconds);
            self.answer_at_once(core, now, request, from, &response);
            return;
        }
        self.take_target(core, request);
        if sdp.is_none() {
            let mut response = Response::new(StatusCode::OK);
            response.headers = self.accept_session_timer(now, request);
            self.answer_at_once(core, now, request, from, &response);
            return;
        }
        self.answer_later(now, request, from);
        let mut pending = Pending::new(Waiting::Update, now + OFFER_PATIENCE);
        pending.headers = self.accept_session_timer(now, request);
        self.pending = Some(pending);
        let method = OfferMethod::Update;
        self.party.tell(core, Happened::Offer { method, sdp });
    }

    fn take_target(&mut self, core: &Core, message: &Index<'_>) {
        let flow = core.flow(self.party.hop.flow);
        if let Some(dialog) = &mut self.dialog {
            dialog.refresh_target(message, flow);
        }
    }

    /// §14.2: between 0 and 10 s.
    fn seconds_to_wait(&self, core: &mut Core) -> String {
        core.random.u32(0..=10).to_string()
    }

    /// A 2xx to a re-INVITE of ours.
    pub(super) fn on_change_accepted(
        &mut self,
        core: &mut Core,
        now: Instant,
        at: usize,
        response: &Index<'_>,
    ) {
        self.take_target(core, response);
        self.acknowledge(core, now, at, b"");
        if !matches!(self.stage, Stage::Up) {
            return;
        }
        self.start_session_timer(now, response);
        if self.outgoing[at].why == Why::Change {
            let sdp = sdp_of(response);
            let status = response.status().unwrap_or(StatusCode::OK);
            self.party
                .tell(core, Happened::OfferAnswered { status, sdp });
        }
    }

    /// A refusal of a re-INVITE of ours.
    pub(super) fn on_change_refused(
        &mut self,
        core: &mut Core,
        now: Instant,
        at: usize,
        status: StatusCode,
        response: &Index<'_>,
    ) {
        if !matches!(self.stage, Stage::Up) {
            return;
        }
        let why = self.outgoing[at].why;
        if status.is_challenge() && self.authorization.challenged(response) == Verdict::Answer {
            self.reinvite(core, now, why);
        } else if status == StatusCode::REQUEST_PENDING {
            let until = now + self.glare_delay(core);
            self.pending = Some(Pending::new(Waiting::Again(why), until));
        } else if ends_dialog(status) {
            self.bye(core, now, Happened::EndedByPeer { cause: None });
        } else if why == Why::Refresh {
            self.lengthen_session(now, status, response);
        } else if why == Why::Change {
            self.party
                .tell(core, Happened::OfferAnswered { status, sdp: None });
        }
    }

    /// §14.1: who made the Call-ID waits 2.1 to 4 s, the other up to 2 s, in steps of 10 ms.
    fn glare_delay(&self, core: &mut Core) -> Duration {
        let steps = if self.caller.is_some() {
            core.random.u64(210..=400)
        } else {
            core.random.u64(0..=200)
        };
        Duration::from_millis(steps * 10)
    }

    /// The final answer to our UPDATE that refreshes the session.
    pub(super) fn on_refreshed(
        &mut self,
        core: &mut Core,
        now: Instant,
        status: StatusCode,
        response: &Index<'_>,
    ) {
        if !matches!(self.stage, Stage::Up) {
            return;
        }
        if status.is_success() {
            self.take_target(core, response);
            self.start_session_timer(now, response);
        } else if status.is_challenge()
            && self.authorization.challenged(response) == Verdict::Answer
        {
            self.refresh(core, now);
        } else if ends_dialog(status) {
            self.bye(core, now, Happened::EndedByPeer { cause: None });
        } else {
            self.lengthen_session(now, status, response);
        }
    }

    /// A refresh was refused. Of 422 the interval is learnt for a try soon (§7.4); of any other the next try
    /// comes with the timer, which `refresh` has set.
    fn lengthen_session(&mut self, now: Instant, status: StatusCode, response: &Index<'_>) {
        let SessionTimer::Refresh { at, interval, .. } = &mut self.session else {
            return;
        };
        let asked = response
            .first(HeaderName::MinSe)
            .and_then(|header| MinSe::read(&header.text()).ok());
        if status == StatusCode::SESSION_INTERVAL_TOO_SMALL
            && let Some(MinSe(asked)) = asked
            && asked > *interval
        {
            *interval = asked;
            *at = now + SOON;
        }
    }

    /// What a 2xx says about the session timer; one that says nothing ends it (§7.2).
    pub(super) fn start_session_timer(&mut self, now: Instant, response: &Index<'_>) {
        let Some(header) = response.first(HeaderName::SessionExpires) else {
            self.session = SessionTimer::Off;
            return;
        };
        if let Ok(session) = SessionExpires::read(&header.text()) {
            let ours = session.refresher != Some(Refresher::Uas);
            let by_update = response.lists(HeaderName::Allow, Method::Update.as_str());
            let interval = session.interval.max(MIN_SE);
            self.session = SessionTimer::start(now, interval, ours, by_update);
        }
    }

    /// Takes over the session interval that a request asks for; what the 2xx says about it (§9).
    pub(super) fn accept_session_timer(
        &mut self,
        now: Instant,
        request: &Index<'_>,
    ) -> Vec<(HeaderName, String)> {
        let asked = request
            .first(HeaderName::SessionExpires)
            .and_then(|header| SessionExpires::read(&header.text()).ok());
        let Some(asked) = asked else {
            return Vec::new();
        };
        let they_can = request.lists(HeaderName::Supported, "timer");
        let refresher = match asked.refresher {
            Some(asked) => asked,
            None if they_can => Refresher::Uac,
            None => Refresher::Uas,
        };
        let interval = asked.interval.max(MIN_SE);
        let ours = refresher == Refresher::Uas;
        self.session = SessionTimer::start(
            now,
            interval,
            ours,
            request.lists(HeaderName::Allow, Method::Update.as_str()),
        );
        let mut headers = vec![(
            HeaderName::SessionExpires,
            session_expires(interval, refresher),
        )];
        if !ours {
            headers.push((HeaderName::Require, "timer".to_owned()));
        }
        headers
    }

    fn refresh(&mut self, core: &mut Core, now: Instant) {
        let SessionTimer::Refresh {
            until,
            interval,
            by_update,
            ..
        } = self.session
        else {
            return;
        };
        // The next try, should this one be refused.
        self.session = SessionTimer::Refresh {
            at: (now + interval / 8).min(until),
            until,
            interval,
            by_update,
        };
        // §14.1: one at a time.
        let under_way = self.outgoing.iter().any(Outgoing::is_open)
            || self
                .exchanges
                .iter()
                .any(|exchange| exchange.purpose == Purpose::Refresh && exchange.is_open());
        if under_way {
            return;
        }
        if by_update {
            let lines = format!(
                "Contact: {}\r\nSupported: timer\r\nSession-Expires: {}\r\n",
                self.contact,
                session_expires(interval, Refresher::Uac)
            );
            self.request(core, now, "UPDATE", Purpose::Refresh, lines.as_bytes(), b"");
        } else {
            self.reinvite(core, now, Why::Refresh);
        }
    }

    pub(super) fn wake_session(&mut self, core: &mut Core, now: Instant) {
        if self
            .pending
            .as_ref()
            .is_some_and(|pending| pending.until <= now)
        {
            self.decide(core, now);
        }
        match self.session {
            SessionTimer::Refresh { until, .. } if until <= now => {
                let words = "our refreshes had no success (RFC 4028 §10): ended";
                self.party.note(core, now, words);
                self.bye(core, now, Happened::SessionExpired);
            }
            SessionTimer::Refresh { at, .. } if at <= now => {
                self.authorization.begin();
                self.refresh(core, now);
            }
            SessionTimer::Expire { at } if at <= now => {
                let words = "the session was not refreshed in time (RFC 4028 §10): ended";
                self.party.note(core, now, words);
                self.bye(core, now, Happened::SessionExpired);
            }
            SessionTimer::Off | SessionTimer::Refresh { .. } | SessionTimer::Expire { .. } => {}
        }
    }

    /// The owner did not answer an offer: our last description still holds.
    fn decide(&mut self, core: &mut Core, now: Instant) {
        if let Some(Pending {
            what: Waiting::Again(why),
            ..
        }) = self.pending
        {
            self.pending = None;
            self.reinvite(core, now, why);
            return;
        }
        match self.local_sdp.clone() {
            Some(sdp) => self.accept_offer(core, now, &sdp),
            None => {
                let response = Response::new(StatusCode::NOT_ACCEPTABLE_HERE);
                self.refuse_offer(core, now, &response);
            }
        }
    }
}

/// §12.2.1.2: these say that the dialog is gone.
fn ends_dialog(status: StatusCode) -> bool {
    status == StatusCode::CALL_DOES_NOT_EXIST || status == StatusCode::REQUEST_TIMEOUT
}

fn session_expires(interval: Duration, refresher: Refresher) -> String {
    let refresher = Some(refresher);
    SessionExpires {
        interval,
        refresher,
    }
    .to_string()
}

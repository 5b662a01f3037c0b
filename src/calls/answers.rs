//! What the far end does: every event of the endpoint and every remark about sound, and what follows.

use std::net::SocketAddr;

use super::FlowFault;
use super::job::{Name, Stage};
use super::machine::Calls;
use super::media::Remark;
use super::observe::Outcome;
use crate::sdp::{self, Local};
use crate::sip::endpoint::{Detail, Event, Happened, Key, OfferMethod, Refusal, Response};
use crate::sip::wire::StatusCode;
use crate::time::{Instant, Now};

impl Calls {
    pub(super) fn event(&mut self, now: Now, event: Event) {
        let name = Name::from_user(event.user);
        let key = event.key;
        match event.happened {
            Happened::Trace(trace) => {
                let Some(flow) = self.job(name).map(|job| job.flow) else {
                    return;
                };
                let local = self.flows.flow(flow).and_then(|flow| flow.local);
                if let Some(job) = self.job(name) {
                    job.message(trace, local);
                }
            }
            Happened::Provisional { status, sdp } => self.provisional(now, name, status, sdp),
            Happened::Answered { sdp, server } => self.answered(now, name, sdp, server),
            Happened::Confirmed { sdp } | Happened::OfferAnswered { sdp, .. } => {
                // Their answer to an offer that we made on their request.
                self.take_answer(now, name, sdp.as_deref());
            }
            Happened::Offer { method, sdp } => {
                self.offered(now, name, key, method, sdp.as_deref());
            }
            Happened::Registered { granted } => self.registered(now, name, granted),
            Happened::Misbehaved { words } => self.note(name, words),
            // We call and are not called; a registrar may still ask whether we live.
            Happened::Incoming { .. } => {
                let busy = Response::new(StatusCode::TEMPORARILY_UNAVAILABLE);
                self.endpoint.reject(now, key, &busy);
            }
            Happened::Request { message, .. } => {
                let status = if message.starts_with(b"OPTIONS ") {
                    StatusCode::OK
                } else {
                    StatusCode::METHOD_NOT_ALLOWED
                };
                self.endpoint.respond(now, key, Response::new(status));
            }
            Happened::Unregistered { status } => self.unregistered(now, name, status),
            Happened::Replied {
                status,
                reason: _,
                server,
            } => {
                self.saw_answer(name, server);
                let status = status.code();
                self.ended(now, name, Outcome::Completed { status });
            }
            Happened::Refused(refusal) => self.refused(now, name, refusal),
            Happened::TimedOut { heard } => {
                let after = self.since_asked(name);
                let heard = heard.map(StatusCode::code);
                self.ended(now, name, Outcome::NoAnswer { heard, after });
            }
            Happened::EndedByPeer { cause } => {
                let after = self.since_answered(name);
                let cause = cause.map(u16::from);
                self.ended(now, name, Outcome::HungUpByFarEnd { after, cause });
            }
            Happened::Ended => self.ended(now, name, Outcome::Completed { status: 200 }),
            Happened::SessionExpired => {
                let words = "the session timer ran out: nobody refreshed (RFC 4028 section 10)";
                let words = words.to_owned();
                self.ended(now, name, Outcome::Misbehaved { words });
            }
            Happened::FlowFailed { words: _ } => {
                let fault = self.fault.clone().unwrap_or(FlowFault::Closed);
                self.ended(now, name, Outcome::Flow(fault));
            }
        }
    }

    fn provisional(&mut self, now: Now, name: Name, status: StatusCode, sdp: Option<Box<[u8]>>) {
        let stamp = self.stamp;
        let Some(job) = self.job(name) else { return };
        if let Stage::Asking { since } = job.stage {
            job.seen.provisional = Some(status);
            job.seen
                .progress_after
                .get_or_insert_with(|| stamp.since(since));
            if sdp.is_some() {
                self.take_answer(now, name, sdp.as_deref());
            }
        }
    }

    fn answered(&mut self, now: Now, name: Name, sdp: Option<Box<[u8]>>, server: Option<Box<str>>) {
        let stamp = self.stamp;
        self.saw_answer(name, server);
        let Some(job) = self.job(name) else { return };
        if !matches!(job.stage, Stage::Asking { .. }) {
            // It crossed our CANCEL; the endpoint says BYE.
            return;
        }
        job.seen.answered = Some(stamp);
        if self.has_media(name) {
            let unusable = self.take_answer(now, name, sdp.as_deref());
            let Some(media) = self.job(name).and_then(|job| job.media.as_mut()) else {
                return;
            };
            media.answer();
            if !media.is_agreed() {
                let words = unusable.unwrap_or_else(|| {
                    "a 200 without an answer to our offer (RFC 3261 section 13.2.1)".to_owned()
                });
                self.leave(now, name, Outcome::Misbehaved { words });
                return;
            }
        }
        self.talk(now, name);
    }

    /// Reads an answer to our offer; says why it is of no use.
    fn take_answer(&mut self, now: Now, name: Name, sdp: Option<&[u8]>) -> Option<String> {
        let media = self.job(name).and_then(|job| job.media.as_mut())?;
        match media.accept_answer(now, sdp?) {
            Ok(remarks) => {
                let peer = media.peer()?;
                for remark in remarks {
                    let at = media_stamp(&remark, self, name).unwrap_or(self.stamp);
                    self.remark(now, name, at, peer, remark);
                }
                self.send_media(now, name);
                None
            }
            Err(words) => {
                let words = format!("the SDP answer is of no use: {words}");
                self.note(name, words.clone());
                Some(words)
            }
        }
    }

    /// A re-INVITE or UPDATE: hold, media moved elsewhere, or only a new name on the display.
    fn offered(&mut self, now: Now, name: Name, key: Key, method: OfferMethod, sdp: Option<&[u8]>) {
        let method = match method {
            OfferMethod::Invite => "re-INVITE",
            OfferMethod::Update => "UPDATE",
        };
        let before = self.media_peer(name);
        let answer = match (self.job(name).and_then(|job| job.media.as_mut()), sdp) {
            (Some(media), Some(offer)) => media.answer_offer(now, offer),
            (Some(media), None) => Ok(media.offer()),
            (None, offer) => self.answer_silently(name, offer),
        };
        match answer {
            Ok(answer) => {
                self.endpoint.accept_offer(now, key, answer.as_bytes());
                let moved = self.media_peer(name).filter(|peer| Some(*peer) != before);
                if let Some(peer) = moved {
                    self.note(name, format!("media moved to {peer} by {method}"));
                }
                self.send_media(now, name);
            }
            Err(words) => {
                self.note(
                    name,
                    format!("the offer of the {method} is refused: {words}"),
                );
                let refusal = Response::new(StatusCode::NOT_ACCEPTABLE_HERE);
                self.endpoint.refuse_offer(now, key, &refusal);
            }
        }
    }

    /// For a call without sound: agrees to whatever it can, on the port where nobody listens.
    fn answer_silently(&mut self, name: Name, offer: Option<&[u8]>) -> Result<String, String> {
        let flow = self.job(name).map(|job| job.flow);
        let local = flow.and_then(|flow| self.flows.flow(flow)?.local);
        let ip = local.ok_or("the call is over")?.ip();
        let ours = self.silent_offer(ip);
        let Some(offer) = offer else {
            return Ok(String::from_utf8_lossy(&ours).into_owned());
        };
        let offer = sdp::parse(offer).map_err(|error| error.to_string())?;
        let mut local = Local::new(ip, 9, self.random.u64(..));
        sdp::answer(&offer, &mut local)
            .map(|(text, _)| text)
            .map_err(|error| error.to_string())
    }

    fn registered(&mut self, now: Now, name: Name, granted: std::time::Duration) {
        self.saw_answer(name, None);
        if let Some(job) = self.job(name) {
            job.seen.granted.get_or_insert(granted);
        }
        // One proof is enough; the binding would draw calls to us.
        self.leave(now, name, Outcome::Completed { status: 200 });
    }

    fn unregistered(&mut self, now: Now, name: Name, status: Option<StatusCode>) {
        match status {
            Some(status) if !status.is_success() => {
                let code = status.code();
                self.note(name, format!("the binding was not removed: {code}"));
            }
            Some(_) | None => {}
        }
        self.ended(now, name, Outcome::Completed { status: 200 });
    }

    fn refused(&mut self, now: Now, name: Name, refusal: Refusal) {
        self.saw_answer(name, refusal.server);
        let status = refusal.status.code();
        let outcome = match refusal.detail {
            Some(Detail::SentToEmergency) => Outcome::SentToEmergency { status },
            Some(Detail::SecretRefused) | None => Outcome::Refused {
                status,
                reason: refusal.reason.into(),
                cause: refusal.cause.map(u16::from),
            },
        };
        self.ended(now, name, outcome);
    }

    /// A final event: the endpoint knows the job no more.
    fn ended(&mut self, now: Now, name: Name, outcome: Outcome) {
        let Some(job) = self.job(name) else { return };
        job.key = None;
        match &job.stage {
            Stage::Reported => self.vacate(now, name),
            // We were leaving anyway: why is known, how it ended is a detail of the ladder.
            Stage::Leaving { outcome } => {
                let outcome = outcome.clone();
                self.finish(now, name, outcome);
            }
            Stage::Opening | Stage::Asking { .. } | Stage::Talking => {
                self.finish(now, name, outcome);
            }
        }
    }

    /// A final response came: when, and from whom.
    fn saw_answer(&mut self, name: Name, server: Option<Box<str>>) {
        let stamp = self.stamp;
        let Some(job) = self.job(name) else { return };
        if let Stage::Asking { since } = job.stage {
            job.seen
                .answer_after
                .get_or_insert_with(|| stamp.since(since));
        }
        if server.is_some() {
            job.seen.server = server;
        }
    }

    fn since_asked(&mut self, name: Name) -> std::time::Duration {
        let stamp = self.stamp;
        self.job(name)
            .map_or_else(Default::default, |job| match job.stage {
                Stage::Asking { since } => stamp.since(since),
                Stage::Opening | Stage::Talking | Stage::Leaving { .. } | Stage::Reported => {
                    stamp.since(job.started)
                }
            })
    }

    fn since_answered(&mut self, name: Name) -> std::time::Duration {
        let stamp = self.stamp;
        let answered = self.job(name).and_then(|job| job.seen.answered);
        answered.map_or_else(Default::default, |answered| stamp.since(answered))
    }

    fn media_peer(&mut self, name: Name) -> Option<SocketAddr> {
        self.job(name)?.media.as_ref()?.peer()
    }

    fn note(&mut self, name: Name, words: impl Into<String>) {
        let at = self.stamp;
        if let Some(job) = self.job(name) {
            job.ladder.note(at, words);
        }
    }

    /// Something about sound for the ladder; the first sound also starts our digits.
    pub(super) fn remark(
        &mut self,
        now: Now,
        name: Name,
        at: Instant,
        from: SocketAddr,
        remark: Remark,
    ) {
        let Some(job) = self.job(name) else { return };
        match remark {
            Remark::First { codec } => {
                job.ladder
                    .heard(at, from, format!("RTP first packet, {codec}"));
            }
            Remark::Digit(digit) => job.ladder.heard(at, from, format!("DTMF {digit}")),
            Remark::WrongSource => job.ladder.note(
                at,
                format!("RTP from {from} ignored: the SDP named another host"),
            ),
            Remark::WrongPayload(payload_type) => job.ladder.note(
                at,
                format!("RTP payload type {payload_type} ignored: not agreed on"),
            ),
            Remark::NoRtp => job.ladder.note(
                at,
                format!("datagram from {from} ignored: on the port of the sound, and no RTP"),
            ),
        }
        self.send_digits(name);
        self.send_media(now, name);
    }
}

/// When the first packet of sound came, for remarks about packets that overtook their SDP.
fn media_stamp(remark: &Remark, calls: &mut Calls, name: Name) -> Option<Instant> {
    match remark {
        Remark::First { .. } => {
            calls
                .job(name)?
                .media
                .as_ref()?
                .hearing
                .moments()
                .first_sound
        }
        Remark::Digit(_) | Remark::WrongSource | Remark::WrongPayload(_) | Remark::NoRtp => None,
    }
}

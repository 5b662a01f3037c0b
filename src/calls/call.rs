//! Asking and leaving: the request that starts a task, its limits of patience, and the way out.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::job::{Name, Stage};
use super::machine::{Calls, Due};
use super::observe::Outcome;
use super::script::{CallPlan, Credentials, MediaPlan, OptionsPlan, Purpose, RegisterPlan, Task};
use super::{FlowFault, Output};
use crate::sdp::{Direction, Local};
use crate::secret::Secret;
use crate::sip::digest::Account;
use crate::sip::emergency::is_emergency;
use crate::sip::endpoint::{self, Hop, Key};
use crate::sip::header::Uri;
use crate::time::Now;

/// A call of a probe that hears nothing at all, not even 100, is given up after this: three INVITEs went
/// out by then (at 0, 0.5 and 1.5 s, RFC 3261 §17.1.1.2), and a hung PBX must show within seconds.
const UNHEARD: Duration = Duration::from_secs(2);
/// How long the report waits for a clean end; the end itself goes on in the background.
const LEAVING: Duration = Duration::from_secs(2);
/// The far end is silent this long after the answer: send the digits anyway.
const DIGITS_AFTER: Duration = Duration::from_secs(1);
/// How often a call that is watched says how it goes: a picture that moves, ten packets each.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Addresses kept as they were read; a plant has few, and looking through many costs as much as reading.
const URIS_MAX: usize = 8;
/// Where nobody listens (RFC 863); the port of an offer without media.
const DISCARD_PORT: u16 = 9;

impl Calls {
    /// The way is open: send the request of the task.
    pub(super) fn ask(&mut self, now: Now, name: Name, local: SocketAddr) {
        let Some(job) = self.job(name) else { return };
        let hop = Hop {
            flow: job.flow,
            peer: job.route().peer,
        };
        let patience = job.answer_within();
        let watched = job.is_watched();
        let task = Arc::clone(&job.task);
        let asked = match &*task {
            Task::Call(plan) => self.invite(now, name, hop, local.ip(), plan),
            Task::Register(plan) => self.register(now, name, hop, plan),
            Task::Options(plan) => self.options(now, name, hop, plan),
        };
        let Some(job) = self.job(name) else { return };
        match asked {
            Ok(key) => {
                job.key = Some(key);
                job.stage = Stage::Asking { since: now.instant };
                self.after(now, patience, name, Due::GiveUp);
                if watched && UNHEARD < patience {
                    self.after(now, UNHEARD, name, Due::Unheard);
                }
                self.drain_endpoint(now);
            }
            Err(words) => self.finish(now, name, Outcome::Ours { words }),
        }
    }

    fn invite(
        &mut self,
        now: Now,
        name: Name,
        hop: Hop,
        ip: IpAddr,
        plan: &CallPlan,
    ) -> Result<Key, String> {
        let offer = match self.job(name).and_then(|job| job.media.as_mut()) {
            Some(media) => Arc::from(media.offer().into_bytes()),
            None => self.silent_offer(ip),
        };
        self.refuse_emergency(&plan.to)?;
        let invite = endpoint::Invite {
            hop,
            to: self.uri(&plan.to)?,
            from: self.uri(&plan.from)?,
            offer: Some(offer),
            account: account(plan.credentials.as_ref()),
            session_expires: None,
            ladder: plan.purpose == Purpose::Trace || plan.keep.is_some(),
            user: name.as_user(),
        };
        Ok(self.endpoint.invite(now, invite))
    }

    /// The last gate before an INVITE; whoever planned the call should have asked before.
    fn refuse_emergency(&mut self, to: &str) -> Result<(), String> {
        // A load test calls one address thousands of times a second; judging it once is enough.
        if *self.harmless == *to {
            return Ok(());
        }
        if is_emergency(to) {
            return Err(format!(
                "{to} could ring an emergency service: it is never called"
            ));
        }
        self.harmless = to.into();
        Ok(())
    }

    fn register(
        &mut self,
        now: Now,
        name: Name,
        hop: Hop,
        plan: &RegisterPlan,
    ) -> Result<Key, String> {
        let register = endpoint::Register {
            hop,
            aor: self.uri(&plan.aor)?,
            account: account(plan.credentials.as_ref()),
            expires: plan.expires,
            ladder: plan.ladder,
            user: name.as_user(),
        };
        Ok(self.endpoint.register(now, register))
    }

    fn options(
        &mut self,
        now: Now,
        name: Name,
        hop: Hop,
        plan: &OptionsPlan,
    ) -> Result<Key, String> {
        let options = endpoint::Options {
            hop,
            to: self.uri(&plan.to)?,
            from: self.uri(&plan.from)?,
            account: None,
            ladder: plan.ladder,
            user: name.as_user(),
        };
        Ok(self.endpoint.options(now, options))
    }

    /// The offer of a call without sound, written once per own address.
    pub(super) fn silent_offer(&mut self, ip: IpAddr) -> Arc<[u8]> {
        if let Some((_, offer)) = self.silent_offers.iter().find(|(known, _)| *known == ip) {
            return Arc::clone(offer);
        }
        let text = Local::new(ip, DISCARD_PORT, self.random.u64(..)).offer(Direction::SendRecv);
        let offer: Arc<[u8]> = Arc::from(text.into_bytes());
        self.silent_offers.push((ip, Arc::clone(&offer)));
        offer
    }

    /// Reads an address of a task; the last few are kept.
    fn uri(&mut self, text: &str) -> Result<Uri, String> {
        if let Some(known) = self.uris.iter().find(|uri| uri.as_str() == text) {
            return Ok(known.clone());
        }
        let uri = Uri::read(text).map_err(|error| format!("{text} is no SIP address: {error}"))?;
        if self.uris.len() >= URIS_MAX {
            self.uris.pop_front();
        }
        self.uris.push_back(uri.clone());
        Ok(uri)
    }

    /// The call was answered: stay for the time of the plan.
    pub(super) fn talk(&mut self, now: Now, name: Name) {
        let Some(job) = self.job(name) else { return };
        let Task::Call(plan) = &*job.task else {
            return;
        };
        let (hold, digits) = (plan.hold, !plan.send_dtmf.is_empty());
        let live = plan.live;
        job.stage = Stage::Talking;
        if hold.is_zero() {
            self.hold_is_over(now, name);
            return;
        }
        self.after(now, hold, name, Due::HangUp);
        if digits {
            self.after(now, DIGITS_AFTER, name, Due::SendDigits);
        }
        if live {
            self.after(now, LOOK_EVERY, name, Due::Look);
        }
        self.send_media(now, name);
    }

    /// Says how the call goes, until it is over.
    pub(super) fn look(&mut self, now: Now, name: Name) {
        let Some(job) = self.job(name) else { return };
        if !matches!(job.stage, Stage::Talking) {
            return;
        }
        let id = job.id;
        if let Some(live) = job.live(now) {
            self.outputs.push_back(Output::Live { job: id, live });
        }
        self.after(now, LOOK_EVERY, name, Due::Look);
    }

    pub(super) fn hold_is_over(&mut self, now: Now, name: Name) {
        let talking = self
            .job(name)
            .is_some_and(|job| matches!(job.stage, Stage::Talking));
        if talking {
            self.leave(now, name, Outcome::Completed { status: 200 });
        }
    }

    /// Sends the digits of the plan, once.
    pub(super) fn send_digits(&mut self, name: Name) {
        let at = self.stamp;
        let Some(job) = self.job(name) else { return };
        let (Task::Call(plan), Stage::Talking) = (&*job.task, &job.stage) else {
            return;
        };
        if job.digits_sent || plan.send_dtmf.is_empty() {
            return;
        }
        job.digits_sent = true;
        if let Some(media) = job.media.as_mut() {
            media.send_digits(&plan.send_dtmf);
            job.ladder
                .note(at, format!("sending DTMF {}", plan.send_dtmf));
        }
    }

    /// Nothing came in time.
    pub(super) fn give_up(&mut self, now: Now, name: Name) {
        let Some(job) = self.job(name) else { return };
        match &job.stage {
            Stage::Opening => {
                let fault = FlowFault::Unreachable {
                    peer: job.route().peer,
                    words: "no connection in time".to_owned(),
                };
                self.finish(now, name, Outcome::Flow(fault));
            }
            Stage::Asking { since } => {
                let outcome = Outcome::NoAnswer {
                    heard: job.seen.provisional.map(|status| status.code()),
                    after: now.instant.since(*since),
                };
                self.leave(now, name, outcome);
            }
            Stage::Talking | Stage::Leaving { .. } | Stage::Reported => {}
        }
    }

    /// Not even a provisional response came.
    pub(super) fn unheard(&mut self, now: Now, name: Name) {
        if self
            .job(name)
            .is_some_and(|job| job.seen.provisional.is_none())
        {
            self.give_up(now, name);
        }
    }

    /// The way out of any stage; the report follows when it is done, or after [`LEAVING`].
    pub(super) fn leave(&mut self, now: Now, name: Name, outcome: Outcome) {
        let Some(job) = self.job(name) else { return };
        match job.stage {
            Stage::Leaving { .. } | Stage::Reported => return,
            Stage::Opening | Stage::Asking { .. } | Stage::Talking => {}
        }
        let Some(key) = job.key else {
            self.finish(now, name, outcome);
            return;
        };
        // Where nobody spoke nobody will say goodbye: the report need not wait for it.
        let unheard = matches!(outcome, Outcome::NoAnswer { heard: None, .. });
        match *job.task {
            Task::Call(_) => {
                job.seen.held = job.seen.answered.map(|at| now.instant.since(at));
                job.stage = Stage::Leaving { outcome };
                self.endpoint.hang_up(now, key);
                if unheard {
                    self.report_now(now, name);
                } else {
                    self.after(now, LEAVING, name, Due::Report);
                }
            }
            Task::Register(_) => {
                job.stage = Stage::Leaving { outcome };
                // A binding may exist although its 200 was lost: it is removed in any case.
                self.endpoint.unregister(now, key);
                self.after(now, LEAVING, name, Due::Report);
            }
            Task::Options(_) => {
                job.key = None;
                self.endpoint.forget(key);
                self.finish(now, name, outcome);
            }
        }
        self.drain_endpoint(now);
    }

    /// The end took too long to wait for.
    pub(super) fn report_now(&mut self, now: Now, name: Name) {
        let Some(job) = self.job(name) else { return };
        if let Stage::Leaving { outcome } = &job.stage {
            let outcome = outcome.clone();
            job.seen.goodbye_unanswered =
                job.seen.answered.is_some() && matches!(outcome, Outcome::Completed { .. });
            job.ladder.note(
                now.instant,
                "no answer to our leaving yet; reported without it",
            );
            self.finish(now, name, outcome);
        }
    }

    /// Whether the call carries sound.
    pub(super) fn has_media(&mut self, name: Name) -> bool {
        self.job(name).is_some_and(
            |job| matches!(&*job.task, Task::Call(plan) if plan.media != MediaPlan::None),
        )
    }
}

fn account(credentials: Option<&Credentials>) -> Option<Arc<Account>> {
    let Credentials { user, secret } = credentials?;
    Some(Arc::new(Account::new(user, Secret::new(secret.clone()))))
}

//! The whole product without a world: schedule, health, facts and view behind three verbs.
//!
//! The shell (`io::daemon`) or a test drives it: `handle` what happened, `poll_output` until `None`,
//! come back at `deadline`. It opens no socket, reads no clock and knows neither TOML nor SQL.
//!
//! What the shell must keep to:
//! - `Output::Record` goes to the journal in this order; `Input::Committed` says how far it got.
//! - `Output::Publish` is shown once `view.fact` is committed; a newer view replaces one that waits.
//! - Every `Output::Probe` is answered by exactly one `Input::ProbeDone` with its run.

mod account;
mod alerts;
mod boot;
pub mod clocks;
pub mod fact;
pub mod history;
mod incidents;
pub mod input;
pub mod output;
mod own;
pub mod plant;
mod publish;
mod replay;
mod tally;
mod week;
mod wiring;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::board::view::Answer;
use crate::health::standing::{Change, Subject};
use crate::health::{Effect, Health, Seen};
use crate::id::ProbeId;
use crate::probe::{Failure, Verdict, Word};
use crate::schedule::{self, Schedule, Start, Why};
use crate::time::{Day, Instant, Now, Utc};
use alerts::Alerts;
use boot::Boot;
use fact::{BootId, Chain, Configured, Event, Judged, Watched};
use incidents::Incidents;
use input::{Input, RunId};
use output::Output;
pub use own::STORE_FAULT;
use plant::Plant;
pub use replay::ReplayError;
use tally::Tally;
use week::Weeks;
use wiring::Wired;

/// The view is published at least this often, so that a page can tell its age; whoever watches no page may say
/// otherwise (`Engine::publishing_every`).
const PUBLISH_EVERY: Duration = Duration::from_secs(1);
/// Changes within this time share one view: a fallen switch changes hundreds of targets at once.
const PUBLISH_PAUSE: Duration = Duration::from_millis(100);
/// A gap between heartbeats is time in which nobody watched: this is how sharp its edges are. The fast lane
/// is stale after 17 s: this, a restart of five seconds and first runs within five more have to fit in.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(5);
/// Good runs are journalled together this often; a crash forgets at most so many counts and figures, no
/// state. One row for every probe makes this the bulk of the journal: every minute would be 30 MB a day.
const TALLY_EVERY: Duration = Duration::from_secs(600);
/// While a target or line is down its proof is asked this often, as far as the allowance of its trunk goes:
/// it bounds the end of an outage.
const HURRY: Duration = Duration::from_secs(15);

/// Why the engine wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// A probe is due.
    ProbeDue,
    /// A proof grows stale, or a held state is to be decided.
    StateDue,
    /// An incident was quiet for long enough.
    IncidentDue,
    /// Somebody is to be told, again or at last.
    AlertDue,
    /// A running probe has not reported in time.
    RunLost,
    /// The view is published at least every second.
    Publish,
    Heartbeat,
}

/// The watchdog.
#[derive(Clone, Debug)]
pub struct Engine {
    plant: Arc<Plant>,
    wired: BTreeMap<ProbeId, Wired>,
    described: BTreeMap<Subject, Watched>,
    schedule: Schedule,
    health: Health,
    chain: Chain,
    /// Of the last fact.
    boot: Boot,
    runs: BTreeMap<ProbeId, Run>,
    next_run: u64,
    /// The last `Configured`: numbers of the probes, and what each asked.
    numbered: Vec<(ProbeId, String)>,
    /// Targets and lines that have facts.
    known: BTreeSet<Subject>,
    tally: Tally,
    weeks: Weeks,
    incidents: Incidents,
    alerts: Alerts,
    /// Of the last fact.
    day: Option<Day>,
    own_faults: BTreeMap<String, Failure>,
    stall: Option<own::Stall>,
    /// The wall clock was set, and nobody has confirmed it since.
    clock_stepped: bool,
    answer: Answer,
    answered_since: Utc,
    committed: u64,
    watching: Option<Watching>,
    publish_every: Duration,
    is_dirty: bool,
    verdicts: u64,
    late_max: Duration,
    outputs: VecDeque<Output>,
}

/// What runs only between `Started` and `Stopping`.
#[derive(Clone, Copy, Debug)]
struct Watching {
    published: Instant,
    heartbeat_at: Instant,
    tally_at: Instant,
}

#[derive(Clone, Debug)]
struct Run {
    id: RunId,
    started: Instant,
    confirm: bool,
    /// Steps of the wall clock since, in nanoseconds.
    steps: Vec<i64>,
}

impl Engine {
    #[must_use]
    pub fn new(plant: Arc<Plant>, boot_id: BootId) -> Self {
        Self {
            wired: wiring::wired(&plant),
            described: wiring::described(&plant),
            schedule: Schedule::new(plant.seed),
            health: Health::new(Now::default(), wiring::health(&plant)),
            chain: Chain::new(boot_id),
            boot: Boot::default(),
            runs: BTreeMap::new(),
            next_run: 0,
            numbered: Vec::new(),
            known: BTreeSet::new(),
            tally: Tally::default(),
            weeks: Weeks::default(),
            incidents: Incidents::default(),
            alerts: Alerts::new(plant.alerts.clone()),
            day: None,
            own_faults: BTreeMap::new(),
            stall: None,
            clock_stepped: false,
            answer: Answer::Unknown,
            answered_since: Utc(0),
            committed: 0,
            watching: None,
            publish_every: PUBLISH_EVERY,
            is_dirty: false,
            verdicts: 0,
            late_max: Duration::ZERO,
            outputs: VecDeque::new(),
            plant,
        }
    }

    /// Publishes a view that tells nothing new only this often. A view costs as much as ten good runs: a
    /// simulated year has no reader for one a second. What changed is published as soon as ever.
    #[must_use]
    pub const fn publishing_every(mut self, every: Duration) -> Self {
        self.publish_every = every;
        self
    }

    pub fn handle(&mut self, now: Now, input: Input) {
        self.notice_stall(now);
        match input {
            Input::Started { version } => self.started(now, version),
            Input::Stopping => self.stopping(now),
            Input::ProbeDone {
                run,
                probe,
                sent,
                verdict,
                signature,
            } => {
                let sent = self.by_present_clock(now, &probe, sent);
                self.probe_done(now, run, &probe, sent, verdict, signature);
            }
            Input::Reconfigured(plant) => self.reconfigured(now, plant),
            Input::Committed { up_to } => self.committed = self.committed.max(up_to),
            Input::OwnFault(failure) => self.begin_fault(now, failure),
            Input::OwnFaultOver { code } => self.end_fault(now, &code),
            Input::Clock(state) => self.clock(state),
            Input::ClockStepped { by_ns } => self.clock_stepped(now, by_ns),
            Input::Act { token, act } => self.act(now, token, act),
            Input::Delivered { id, outcome } => self.delivered(now, id, outcome),
            Input::Wake => {}
        }
        if self.watching.is_some() {
            self.advance(now);
            self.decide(now);
            self.pass_marks(now);
            self.alert(now);
            self.sleep(now);
        }
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Verdicts since the start.
    #[must_use]
    pub const fn verdicts(&self) -> u64 {
        self.verdicts
    }

    #[must_use]
    pub fn deadline(&self) -> Option<(Instant, Reason)> {
        let watching = self.watching?;
        let schedule = self.schedule.deadline().map(|(at, reason)| match reason {
            schedule::Reason::Due => (at, Reason::ProbeDue),
            schedule::Reason::Lost => (at, Reason::RunLost),
        });
        let state = self.health.deadline().map(|at| (at, Reason::StateDue));
        let pause = if self.is_dirty {
            PUBLISH_PAUSE
        } else {
            self.publish_every
        };
        let heartbeat = watching.heartbeat_at.min(watching.tally_at);
        let incident = self.incidents.wake().map(|at| (at, Reason::IncidentDue));
        let alert = self.alerts.wake().map(|at| (at, Reason::AlertDue));
        [
            schedule,
            state,
            incident,
            alert,
            Some((watching.published + pause, Reason::Publish)),
            Some((heartbeat, Reason::Heartbeat)),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn started(&mut self, now: Now, version: String) {
        self.own_faults.clear();
        self.health.replay_start();
        self.notice_missed_step(now);
        self.record(now, &Event::ServiceStarted { version });
        self.watching = Some(Watching {
            published: now.instant,
            heartbeat_at: now.instant + HEARTBEAT_EVERY,
            tally_at: now.instant + TALLY_EVERY,
        });
        self.configured(now);
        self.leave_refused_accounts(now);
        self.health.resume(now);
        self.perform_effects(now);
        if self.answered_since == Utc(0) {
            self.answered(now, self.answer_now());
        }
        self.is_dirty = true;
    }

    /// A server that refused an account before the restart counts the tries after it too.
    fn leave_refused_accounts(&mut self, now: Now) {
        for probe in wiring::probes(&self.plant) {
            let last = self
                .health
                .record(&probe.id)
                .and_then(|record| record.last.as_ref());
            if let Some(last) = last
                && last.failure.as_ref().is_some_and(Failure::is_of_login)
                && now.utc - schedule::REFUSED_PAUSE < last.sent
            {
                self.schedule.refused(now.instant, &probe.id);
            }
        }
    }

    /// Puts `self.plant` in force over whatever was watched before.
    fn configured(&mut self, now: Now) {
        let probes: Vec<(ProbeId, String)> = wiring::probes(&self.plant)
            .map(|probe| (probe.id.clone(), self.wired[&probe.id].digest.clone()))
            .collect();
        let digests: BTreeMap<_, _> = probes.iter().map(|(id, digest)| (id, digest)).collect();
        let forgotten: Vec<ProbeId> = self
            .numbered
            .iter()
            .filter(|(id, digest)| digests.get(id) != Some(&digest))
            .map(|(id, _)| id.clone())
            .collect();
        let subjects = self.health.subjects();
        let dropped: Vec<Subject> = self.known.difference(&subjects).cloned().collect();
        let configured = Configured {
            plant: self.plant.name.clone(),
            digest: wiring::digest(&self.plant),
            probes: probes.clone(),
            forgotten: forgotten.clone(),
            watched: wiring::watched(&self.plant),
            topology: wiring::topology(&self.plant),
            dropped: dropped.clone(),
        };
        self.record(now, &Event::Configured(configured));
        self.health.replay_forget(now, &forgotten, &dropped);
        self.weeks.forget(&forgotten);
        self.known.retain(|subject| subjects.contains(subject));
        self.numbered = probes;
        self.schedule.reconcile(
            now.instant,
            wiring::schedule(&self.plant),
            wiring::calls_per_hour_max(&self.plant),
        );
        self.health.announce(now);
        self.perform_effects(now);
        // A line may be gone whose going changed nothing that is left.
        self.answer_again(now);
    }

    fn reconfigured(&mut self, now: Now, plant: Arc<Plant>) {
        self.flush_tally(now);
        self.wired = wiring::wired(&plant);
        self.described = wiring::described(&plant);
        self.health.reconcile(now, wiring::health(&plant));
        self.alerts.reconfigure(plant.alerts.clone());
        self.plant = plant;
        if self.watching.is_some() {
            self.configured(now);
            self.is_dirty = true;
        }
    }

    fn stopping(&mut self, now: Now) {
        if self.watching.is_some() {
            self.flush_tally(now);
            self.record(now, &Event::ServiceStopped);
            self.publish(now);
            self.watching = None;
        }
    }

    fn probe_done(
        &mut self,
        now: Now,
        run: RunId,
        probe: &ProbeId,
        sent: Utc,
        verdict: Verdict,
        signature: Option<String>,
    ) {
        // A late report of a run that was given up changes nothing.
        if self.runs.get(probe).is_none_or(|open| open.id != run) {
            return;
        }
        let Some(run) = self.runs.remove(probe) else {
            return;
        };
        let verdict = self.doubted(run.started, verdict);
        self.schedule
            .ended(now.instant, probe, answered(verdict.word));
        match (verdict.word, &verdict.failure) {
            (Word::Blind, Some(failure)) if failure.is_of_login() => {
                self.schedule.refused(now.instant, probe);
            }
            (Word::Good | Word::Degraded, _) => self.schedule.let_in(now.instant, probe),
            // Silence and other failures tell nothing of the account.
            (Word::Down | Word::Blind, _) => {}
        }
        let Some(wired) = self.wired.get(probe) else {
            return;
        };
        let is_call = wired.is_call;
        let limits = wired.limits();
        let verdict = match limits {
            Some(limits) => self.weeks.compared(probe, limits, verdict),
            None => verdict,
        };
        let Some(record) = self.health.record(probe) else {
            return;
        };
        self.verdicts += 1;
        let mut seen = Seen {
            started: run.started,
            sent,
            word: verdict.word,
            failure: verdict.failure,
            took_ns: verdict
                .took
                .map(|took| u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)),
            measures: verdict.measures,
            signature,
        };
        // JSON has no infinity; such a figure tells nothing.
        seen.measures.retain(|measure| measure.value.is_finite());
        if is_call || record.is_news(seen.word, seen.failure.as_ref()) {
            let judged = judged(probe, &run, &seen, record.last_good);
            self.tally.told(probe);
            if limits.is_some() {
                self.weeks.learn(&judged);
            }
            self.record(now, &Event::Verdict(judged));
        } else {
            // The words of a repeated blindness stay those of its fact.
            if seen.word == Word::Blind {
                seen.failure = record.last.as_ref().and_then(|last| last.failure.clone());
            }
            self.tally.count(probe, &seen);
        }
        self.health.observe(now, probe, seen);
        self.perform_effects(now);
    }

    /// Everything that time brings.
    fn advance(&mut self, now: Now) {
        while let Some(probe) = self.schedule.lost(now.instant) {
            self.give_up(now, &probe);
        }
        self.end_stall(now);
        self.health.tick(now);
        self.perform_effects(now);
        while let Some(start) = self.schedule.due(now.instant) {
            self.start(now, start);
        }
        let Some(mut watching) = self.watching else {
            return;
        };
        if now.instant >= watching.heartbeat_at {
            watching.heartbeat_at = now.instant + HEARTBEAT_EVERY;
            self.heartbeat(now);
        }
        if now.instant >= watching.tally_at {
            watching.tally_at = now.instant + TALLY_EVERY;
            self.flush_tally(now);
        }
        let pause = if self.is_dirty {
            PUBLISH_PAUSE
        } else {
            self.publish_every
        };
        self.watching = Some(watching);
        if now.instant >= watching.published + pause {
            self.publish(now);
        }
    }

    fn give_up(&mut self, now: Now, probe: &ProbeId) {
        match self.runs.get(probe) {
            Some(run) => {
                let verdict = Verdict::blind(
                    "run_lost",
                    "the prober never reported the end of this run: look at its log",
                );
                let id = run.id;
                self.probe_done(now, id, probe, now.utc, verdict, None);
            }
            None => self.schedule.ended(now.instant, probe, None),
        }
    }

    fn start(&mut self, now: Now, start: Start) {
        let Some(wired) = self.wired.get(&start.probe) else {
            self.schedule.ended(now.instant, &start.probe, None);
            return;
        };
        self.next_run += 1;
        let run = Run {
            id: RunId(self.next_run),
            started: now.instant,
            confirm: start.why == Why::Confirmation,
            steps: Vec::new(),
        };
        self.outputs.push_back(Output::Probe {
            run: run.id,
            probe: start.probe.clone(),
            check: Arc::clone(&wired.check),
            timeout: wired.timeout,
            confirm: run.confirm,
        });
        self.runs.insert(start.probe, run);
    }

    fn perform_effects(&mut self, now: Now) {
        while let Some(effect) = self.health.poll_effect() {
            match effect {
                Effect::Ask {
                    probe,
                    after,
                    confirm,
                } => {
                    let why = if confirm {
                        Why::Confirmation
                    } else {
                        Why::Suspicion
                    };
                    self.schedule.ask(&probe, now.instant + after, why);
                }
                Effect::Hurry { probe, on } => {
                    self.schedule
                        .hurry(now.instant, &probe, on.then_some(HURRY));
                }
                Effect::Stale { probe } => self.record(now, &Event::BlindBegan { probe }),
                Effect::Corroborated { probe } => {
                    self.record(now, &Event::Corroborated { probe });
                }
                Effect::Changed(change) => self.changed(now, change),
            }
        }
    }

    fn changed(&mut self, now: Now, change: Change) {
        self.known.insert(change.subject.clone());
        self.is_dirty = true;
        let event = if change.is_hard() {
            Event::Hard(change)
        } else {
            Event::Soft(change)
        };
        self.record(now, &event);
        self.answer_again(now);
    }

    fn answer_again(&mut self, now: Now) {
        let answer = self.answer_now();
        if answer != self.answer {
            self.answered(now, answer);
        }
    }

    fn answered(&mut self, now: Now, to: Answer) {
        let from = std::mem::replace(&mut self.answer, to);
        self.answered_since = now.utc;
        self.record(now, &Event::Answered { from, to });
    }

    fn heartbeat(&mut self, now: Now) {
        self.end_day(now);
        let late = std::mem::take(&mut self.late_max);
        let event = Event::Heartbeat {
            runs: self.verdicts,
            in_flight: self.schedule.in_flight() as u64,
            late_ms: u64::try_from(late.as_millis()).unwrap_or(u64::MAX),
        };
        self.record(now, &event);
    }

    /// Seals the civil day that is over.
    fn end_day(&mut self, now: Now) {
        let today = now.utc.civil_day();
        let Some(day) = self.day.replace(today).filter(|day| *day < today) else {
            return;
        };
        let event = Event::DayRoot {
            day: day.to_string(),
            up_to: self.chain.seq,
            hash: self.chain.hash.to_string(),
        };
        self.record(now, &event);
    }

    fn flush_tally(&mut self, now: Now) {
        let rows = self.tally.take(&self.numbered);
        if !rows.is_empty() {
            self.record(now, &Event::Tally { rows });
        }
    }

    /// The only place where facts are made.
    fn record(&mut self, now: Now, event: &Event) {
        let fact = self.chain.append(now, event);
        self.enter(&fact.boot_id, now);
        self.incidents.take(fact.seq, &fact.boot_id, now, event);
        self.tell(fact.seq, fact.utc, event);
        self.outputs.push_back(Output::Record(fact));
    }

    fn publish(&mut self, now: Now) {
        self.is_dirty = false;
        if let Some(watching) = &mut self.watching {
            watching.published = now.instant;
        }
        let view = Arc::new(self.view(now));
        self.outputs.push_back(Output::Publish(view));
    }
}

/// Did the far end answer the way it should, for the rule that spares a plant in a crisis?
const fn answered(word: Word) -> Option<bool> {
    match word {
        Word::Good | Word::Degraded => Some(true),
        Word::Down => Some(false),
        Word::Blind => None,
    }
}

fn judged(probe: &ProbeId, run: &Run, seen: &Seen, last_good: Option<Utc>) -> Judged {
    Judged {
        probe: probe.clone(),
        run: run.id.0,
        sent: seen.sent,
        confirm: run.confirm,
        word: seen.word,
        failure: seen.failure.clone(),
        took_ns: seen.took_ns,
        measures: seen.measures.clone(),
        signature: seen.signature.clone(),
        last_good,
    }
}

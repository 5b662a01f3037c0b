//! One story lived through: the engine, the world, the journal and the clocks, event by event.
//!
//! It does what the shell does (`io::daemon`), in virtual time: it jumps to the next deadline of the engine or the
//! next thing that happens. It stops at the first property that breaks.

mod acting;
mod posting;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::alert::outbox::Outgoing;
use crate::alert::record::{self, MessageId};
use crate::board::view::View;
use crate::engine::fact::{BootId, ClockState, Event, Fact};
use crate::engine::input::{Input, RunId};
use crate::engine::output::Output;
use crate::engine::plant::Plant;
use crate::engine::{Engine, STORE_FAULT};
use crate::health::standing::Subject;
use crate::id::ProbeId;
use crate::incident::act::Refusal;
use crate::probe::{Blame, Failure, Word};
use crate::schedule::GRACE;
use crate::sim::auditor::Auditor;
use crate::sim::journal::Journal;
use crate::sim::plant::{CALL_PATIENCE, Edition, Pace, plant};
use crate::sim::post::Post;
use crate::sim::property::{Absence, Broken, Moment, PROPERTIES, Told};
use crate::sim::sabotage::Sabotage;
use crate::sim::story::{Story, What};
use crate::sim::summary::Summary;
use crate::sim::witness::Witness;
use crate::sim::world::{ASKED, Answer, How, World};
use crate::time::{Instant, Now, Utc};

/// 2026-11-24 00:00:00 UTC.
const START: Utc = Utc(1_795_478_400_000_000_000);
/// The machine has been up for a while.
const BOOTED: Instant = Instant(1_000_000_000_000);
/// Nobody looks at the page: what tells nothing new is published for the checks alone.
const PUBLISH_EVERY: Duration = Duration::from_secs(600);
/// The page is compared with what the journal gives this often; more often costs more than the days themselves.
const AUDIT_EVERY: Duration = Duration::from_secs(6 * 3_600);
/// The writer tries again this long after the disk was full.
const RETRY: Duration = Duration::from_secs(5);
/// Somebody sets the clock right and vouches for it.
const SYNCHRONISED_AFTER: Duration = Duration::from_secs(45);

/// Kinds of facts that are read as they are made; the others are most of the journal.
const AUDITED: [&str; 7] = [
    "hard",
    "incident",
    "act",
    "alert",
    "clock_stepped",
    "configured",
    "service_started",
];

/// How a story is lived through.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub pace: Pace,
    pub sabotage: Sabotage,
}

/// How it ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub summary: Summary,
    /// The first rule that did not hold.
    pub broken: Option<Broken>,
}

/// Lives through a story.
#[must_use]
pub fn run(story: &Story, settings: Settings) -> Outcome {
    Run::new(story, settings).live_through()
}

enum Due {
    Report(Box<Report>),
    Begins(usize),
    Ends(usize),
    Flaps(usize),
    Commits,
    Synchronised,
    Audit,
    /// What became of a message is known.
    Sent(MessageId, Result<(), record::Failure>),
}

struct Report {
    run: RunId,
    probe: ProbeId,
    sent: Utc,
    answer: Answer,
    /// The engine has this result already, or gave up waiting for it.
    is_stale: bool,
}

/// What goes on.
struct Active {
    happening: usize,
    what: What,
    /// A flapping part is away now.
    is_away: bool,
}

struct Run<'s> {
    story: &'s Story,
    settings: Settings,
    chance: fastrand::Rng,
    now: Instant,
    /// Wall clock less boot clock, since when; nanoseconds.
    offsets: Vec<(Instant, i64)>,
    /// The same, by what the journal tells.
    told_offset_ns: i64,
    plants: [Arc<Plant>; 2],
    edition: Edition,
    /// None while the service is killed.
    engine: Option<Engine>,
    world: World,
    active: Vec<Active>,
    journal: Journal,
    commit_is_due: bool,
    store_trouble: Option<&'static str>,
    absence: Option<Absence>,
    agenda: BTreeMap<(Instant, u64), Due>,
    planned: u64,
    witness: Witness,
    auditor: Auditor,
    post: Post,
    /// Chance of people and of the far ends of channels: what they do changes no probe.
    chance_of_people: fastrand::Rng,
    /// What people plan, as they said it.
    works: Vec<(Vec<Subject>, Utc, Utc)>,
    /// The answer to the act that was given last.
    answered: Option<Result<u64, Refusal>>,
    /// For a sabotage: a message is on its way until then.
    post_is_free: Instant,
    /// For a sabotage: the last message.
    posted: Option<Outgoing>,
    /// Probes that failed last, for a sabotage.
    failed: BTreeSet<ProbeId>,
    summary: Summary,
    broken: Option<Broken>,
}

impl<'s> Run<'s> {
    fn new(story: &'s Story, settings: Settings) -> Self {
        let plants = [Edition::First, Edition::Second]
            .map(|edition| Arc::new(plant(story.seed, settings.pace, edition)));
        let boot = BootId::from("simulated");
        let offset_ns = START.0 - i64::try_from(BOOTED.0).expect("the boot was minutes ago");
        let mut run = Self {
            story,
            settings,
            chance: fastrand::Rng::with_seed(!story.seed),
            now: BOOTED,
            offsets: vec![(BOOTED, offset_ns)],
            told_offset_ns: offset_ns,
            journal: Journal::new(&plants[0], &boot),
            engine: None,
            witness: Witness::new(BOOTED, &plants[0], settings.pace),
            plants,
            edition: Edition::First,
            world: World::default(),
            active: Vec::new(),
            commit_is_due: false,
            store_trouble: None,
            absence: None,
            agenda: BTreeMap::new(),
            planned: 0,
            auditor: Auditor::default(),
            post: Post::default(),
            chance_of_people: fastrand::Rng::with_seed(story.seed.rotate_left(32)),
            works: Vec::new(),
            answered: None,
            post_is_free: BOOTED,
            posted: None,
            failed: BTreeSet::new(),
            summary: Summary::default(),
            broken: None,
        };
        for (number, happening) in story.happenings.iter().enumerate() {
            let at = BOOTED + Duration::from_millis(happening.at_ms);
            run.plan(at, Due::Begins(number));
        }
        run.plan(BOOTED + AUDIT_EVERY, Due::Audit);
        run
    }

    fn live_through(mut self) -> Outcome {
        let end = BOOTED + Duration::from_secs(86_400) * self.story.days;
        self.start();
        while self.broken.is_none() {
            let wake = self.engine.as_ref().and_then(Engine::deadline);
            let due = self.agenda.first_key_value().map(|((at, _), _)| *at);
            let next = [wake.map(|(at, _)| at), due].into_iter().flatten().min();
            let next = next.unwrap_or(end);
            if next >= end {
                break;
            }
            self.now = self.now.max(next) + self.stall();
            if due.is_some_and(|at| at <= self.now)
                && let Some(((at, _), due)) = self.agenda.pop_first()
            {
                self.happens(at, due);
            } else {
                self.give(Input::Wake);
            }
        }
        if self.broken.is_none() {
            self.now = self.now.max(end);
            self.stop();
        }
        self.summed_up()
    }

    fn summed_up(mut self) -> Outcome {
        let (facts, hash) = self.journal.end();
        self.summary.days = self.story.days;
        self.summary.happenings = self.story.happenings.len();
        self.summary.facts = facts;
        self.summary.bytes = self.journal.bytes();
        self.summary.hash = hash.to_string();
        self.summary.outages = self.witness.outages;
        self.summary.outages_to_see = self.witness.outages_to_see;
        self.summary.outages_seen = self.witness.outages_seen;
        self.summary.alarms = self.witness.alarms;
        self.summary.detection = std::mem::take(&mut self.witness.detection);
        self.summary.blind = self.witness.blind;
        self.summary.incidents = self.auditor.opened;
        self.summary.acts = self.auditor.acts;
        self.summary.notices = self.post.taken;
        self.summary.messages = self.post.sent;
        self.summary.subjects = self.witness.subjects();
        Outcome {
            summary: self.summary,
            broken: self.broken,
        }
    }

    // Clocks.

    fn offset_ns(&self) -> i64 {
        self.offsets.last().map_or(0, |(_, offset_ns)| *offset_ns)
    }

    fn now(&self) -> Now {
        let instant = i64::try_from(self.now.0).unwrap_or(i64::MAX);
        Now {
            instant: self.now,
            utc: Utc(instant + self.offset_ns()),
        }
    }

    /// The moments at which the wall clock showed this.
    fn instants_of(&self, utc: Utc) -> Vec<Instant> {
        let mut until = self.now;
        let mut moments = Vec::new();
        for (since, offset_ns) in self.offsets.iter().rev() {
            let at = u64::try_from(utc.0 - offset_ns).map(Instant);
            moments.extend(at.ok().filter(|at| at >= since && *at <= until));
            until = *since;
        }
        moments
    }

    /// How much later than asked our machine wakes us now.
    fn stall(&mut self) -> Duration {
        let most = self.active.iter().filter_map(|one| {
            if let What::Stalls { up_to_ms } = one.what {
                Some(up_to_ms)
            } else {
                None
            }
        });
        match most.max() {
            Some(up_to_ms) if self.chance.u8(..50) == 0 => {
                Duration::from_millis(self.chance.u64(..=up_to_ms))
            }
            Some(_) | None => Duration::ZERO,
        }
    }

    // The service.

    fn plant(&self) -> &Arc<Plant> {
        &self.plants[self.edition as usize]
    }

    /// The service starts, on what the journal tells.
    fn start(&mut self) {
        let now = self.now();
        self.told_offset_ns = self.offset_ns();
        let mut engine = match self.journal.read(now) {
            Ok(engine) => engine.clone().publishing_every(PUBLISH_EVERY),
            Err(words) => return self.tell(&Moment::Read(Err(words))),
        };
        if self.settings.sabotage == Sabotage::ForgetsIncidents {
            engine = Engine::new(Arc::clone(self.plant()), BootId::from("simulated"));
        }
        let (broken, at) = (&mut self.broken, self.now);
        self.auditor
            .taken_over(engine.book(), &mut |moment| check(broken, at, moment));
        self.post.back(at);
        let before = told(&engine.view(now));
        self.witness.taken_over(self.now, |subject| {
            before.get(subject).map(|told| told.word)
        });
        self.engine = Some(engine);
        self.commit_is_due = false;
        self.store_trouble = None;
        self.give(Input::Started {
            version: "simulated".into(),
        });
        self.give(Input::Clock(ClockState::Synchronised));
        let Some(engine) = &self.engine else { return };
        let after = told(&engine.view(now));
        for (subject, journal) in &before {
            if let Some(now) = after.get(subject) {
                self.tell(&Moment::Back {
                    subject,
                    journal,
                    now,
                });
            }
        }
    }

    /// The end of the story: a clean stop, and all of the journal read again.
    fn stop(&mut self) {
        let now = self.now();
        if let Some(engine) = &self.engine {
            for (subject, now) in &told(&engine.view(now)) {
                self.tell(&Moment::Calm { subject, now });
            }
        }
        self.give(Input::Stopping);
        self.commit_all();
        self.compare(now, whole);
        let (broken, at) = (&mut self.broken, self.now);
        let mut tell = |moment: &Moment<'_>| check(broken, at, moment);
        if let Some(engine) = &self.engine {
            self.auditor.ends(engine.book(), &mut tell);
            self.post.ends(now, &mut tell);
        }
    }

    fn commit_all(&mut self) {
        let up_to = self.journal.commit();
        self.auditor.committed(up_to);
        self.post.committed(up_to);
        self.give(Input::Committed { up_to });
    }

    fn compare(&mut self, now: Now, shown: fn(View) -> String) {
        let Some(engine) = &self.engine else { return };
        let live = shown(engine.view(now));
        match self.journal.read(now) {
            Ok(reader) => {
                let replayed = shown(reader.view(now));
                self.tell(&Moment::Replayed {
                    live: &live,
                    replayed: &replayed,
                });
            }
            Err(words) => self.tell(&Moment::Read(Err(words))),
        }
    }

    fn give(&mut self, input: Input) {
        let now = self.now();
        let Some(engine) = &mut self.engine else {
            return;
        };
        engine.handle(now, input);
        while let Some(output) = self.engine.as_mut().and_then(Engine::poll_output) {
            match output {
                Output::Probe {
                    run,
                    probe,
                    timeout,
                    ..
                } => self.ask(run, probe, timeout),
                Output::Record(fact) => {
                    if self.settings.sabotage.doubles(&fact) {
                        self.keep(fact.clone());
                    }
                    self.keep(fact);
                }
                Output::Acted { outcome, .. } => self.answered = Some(outcome),
                Output::Send(outgoing) => self.send(&outgoing),
                Output::Publish(view) => {
                    let made = self.journal.last().map_or(0, |last| last.seq);
                    self.tell(&Moment::Page {
                        fact: view.fact,
                        made,
                    });
                }
            }
        }
        let (broken, at) = (&mut self.broken, self.now);
        self.auditor
            .settles(&mut |moment| check(broken, at, moment));
    }

    fn ask(&mut self, run: RunId, probe: ProbeId, timeout: Duration) {
        let Some(asked) = ASKED.iter().find(|asked| asked.name == probe.as_str()) else {
            return;
        };
        self.summary.runs += 1;
        let answer = self.world.answer(asked, &mut self.chance);
        self.witness.ran(self.now, asked, answer.verdict.word);
        let sent = self.now().utc;
        let at = self.now + answer.after;
        let mut report = Report {
            run,
            probe,
            sent,
            answer,
            is_stale: false,
        };
        if self.is(|what| matches!(what, What::ResultsRepeat)) {
            match self.chance.u8(..10) {
                0 => {
                    let again = Report {
                        probe: report.probe.clone(),
                        answer: report.answer.clone(),
                        is_stale: true,
                        ..report
                    };
                    let later = Duration::from_millis(self.chance.u64(1..60_000));
                    self.plan(at + later, Due::Report(Box::new(again)));
                }
                1 => {
                    report.is_stale = true;
                    let later = Duration::from_millis(self.chance.u64(1..60_000));
                    let at = self.now + timeout + GRACE + later;
                    return self.plan(at, Due::Report(Box::new(report)));
                }
                _ => {}
            }
        }
        self.plan(at, Due::Report(Box::new(report)));
    }

    fn keep(&mut self, fact: Fact) {
        let event = AUDITED.contains(&fact.kind.as_str()).then(|| fact.event());
        let event = event.and_then(Result::ok);
        if let Some(Event::ClockStepped { by_ns }) = &event {
            self.told_offset_ns += by_ns;
        }
        let moment = Moment::Fact {
            fact: &fact,
            last: self.journal.last(),
            offset_ns: self.told_offset_ns,
            absence: self.absence.take(),
        };
        check(&mut self.broken, self.now, &moment);
        if let Some(event) = &event {
            self.audit(&fact, event);
        }
        if let Some(Event::Hard(change)) = &event {
            let starts = self.instants_of(change.to.since);
            let (broken, now) = (&mut self.broken, self.now);
            self.witness.said(now, change, &starts, &mut |moment| {
                check(broken, now, moment);
            });
        }
        self.journal.append(fact);
        if !self.commit_is_due {
            self.commit_is_due = true;
            let writes_in = Duration::from_micros(self.chance.u64(2_000..40_000));
            self.plan(self.now + writes_in, Due::Commits);
        }
    }

    fn tell(&mut self, moment: &Moment<'_>) {
        check(&mut self.broken, self.now, moment);
    }

    // What happens.

    fn plan(&mut self, at: Instant, due: Due) {
        self.planned += 1;
        self.agenda.insert((at, self.planned), due);
    }

    fn is(&self, what: impl Fn(&What) -> bool) -> bool {
        self.active.iter().any(|one| what(&one.what))
    }

    fn happens(&mut self, at: Instant, due: Due) {
        match due {
            Due::Report(report) => self.report(*report),
            Due::Commits => self.commit(),
            Due::Synchronised => self.give(Input::Clock(ClockState::Synchronised)),
            Due::Sent(id, outcome) => self.give(Input::Delivered { id, outcome }),
            Due::Audit => {
                if !self.journal.has_pending() {
                    self.compare(self.now(), states);
                }
                self.plan(at + AUDIT_EVERY, Due::Audit);
            }
            Due::Begins(number) => self.begins(at, number),
            Due::Ends(number) => self.ends(at, number),
            Due::Flaps(number) => {
                if let Some(one) = self.active.iter_mut().find(|one| one.happening == number)
                    && let What::Flaps { every_ms, .. } = one.what
                {
                    one.is_away = !one.is_away;
                    self.plan(at + Duration::from_millis(every_ms), Due::Flaps(number));
                    self.turn(at);
                }
            }
        }
    }

    fn report(&mut self, report: Report) {
        let was_down = self.failed.contains(&report.probe);
        if report.answer.verdict.word == Word::Down {
            self.failed.insert(report.probe.clone());
        }
        let is_stale = report.is_stale;
        let input = Input::ProbeDone {
            run: report.run,
            probe: report.probe,
            sent: report.sent,
            verdict: report.answer.verdict,
            signature: report.answer.signature,
        };
        let input = self.settings.sabotage.hears(input, was_down);
        if !is_stale {
            return self.give(input);
        }
        self.give(Input::Wake);
        let now = self.now();
        let before = self.engine.as_ref().map(|engine| whole(engine.view(now)));
        self.give(input);
        let after = self.engine.as_ref().map(|engine| whole(engine.view(now)));
        if let (Some(before), Some(after)) = (&before, &after) {
            self.tell(&Moment::Repeated { before, after });
        }
    }

    fn commit(&mut self) {
        let goes_on = |what| self.active.iter().any(|one| one.what == what);
        let trouble = if goes_on(What::DiskIsFull) {
            Some("full")
        } else if goes_on(What::DatabaseIsLocked) {
            Some("locked")
        } else {
            None
        };
        if let Some(trouble) = trouble {
            self.plan(self.now + RETRY, Due::Commits);
            if self.store_trouble.is_none() {
                self.store_trouble = Some(trouble);
                let code = format!("{STORE_FAULT}{trouble}");
                let words = "the journal cannot be written: look at its disk";
                self.give(Input::OwnFault(Failure::new(Blame::Ours, code, words)));
            }
            return;
        }
        self.commit_is_due = false;
        self.commit_all();
        if let Some(trouble) = self.store_trouble.take() {
            let code = format!("{STORE_FAULT}{trouble}");
            self.give(Input::OwnFaultOver { code });
        }
    }

    fn begins(&mut self, at: Instant, number: usize) {
        let happening = &self.story.happenings[number];
        let (what, lasting) = (happening.what, Duration::from_millis(happening.for_ms));
        match what {
            What::ClockSet { by_ms } => return self.set_clock(by_ms),
            What::Reloaded => return self.reload(),
            What::Suspended => return self.sleep(lasting),
            What::Acts { choice } => return self.somebody_acts(choice),
            What::Killed => {
                if self.engine.is_none() {
                    return;
                }
                self.kill();
            }
            What::Flaps { .. } => self.plan(at, Due::Flaps(number)),
            What::Fails { .. }
            | What::Isolated { .. }
            | What::Loss { .. }
            | What::Stalls { .. }
            | What::DnsIsSlow
            | What::DiskIsFull
            | What::DatabaseIsLocked
            | What::Channel { .. }
            | What::ResultsRepeat => {}
        }
        if keeps_us_from_seeing(&what) {
            self.witness.trouble();
        }
        self.active.push(Active {
            happening: number,
            what,
            is_away: false,
        });
        self.plan(at + lasting, Due::Ends(number));
        self.turn(at);
    }

    fn ends(&mut self, at: Instant, number: usize) {
        let Some(place) = self.active.iter().position(|one| one.happening == number) else {
            return;
        };
        let ended = self.active.remove(place);
        if ended.what == What::Killed {
            self.summary.restarts += 1;
            self.was_away(self.now);
            self.start();
        }
        if keeps_us_from_seeing(&ended.what) {
            // Results that left late are late until they are given up.
            let over = if ended.what == What::ResultsRepeat {
                self.now + CALL_PATIENCE + GRACE
            } else {
                self.now
            };
            self.witness.trouble_over(over);
        }
        self.turn(at);
    }

    /// The world as all that goes on leaves it.
    fn turn(&mut self, at: Instant) {
        self.world = World::default();
        for one in &self.active {
            match one.what {
                What::Fails { part, how } => self.world.worsen(part, how),
                What::Flaps { part, .. } if one.is_away => self.world.worsen(part, How::Silent),
                What::Isolated { vantage } => self.world.cut(vantage),
                What::Loss { per_mille } => {
                    self.world.loss_per_mille = self.world.loss_per_mille.max(per_mille);
                }
                What::DnsIsSlow => self.world.dns_is_slow = true,
                What::Flaps { .. }
                | What::Stalls { .. }
                | What::ClockSet { .. }
                | What::Suspended
                | What::DiskIsFull
                | What::DatabaseIsLocked
                | What::Killed
                | What::Reloaded
                | What::Acts { .. }
                | What::Channel { .. }
                | What::ResultsRepeat => {}
            }
        }
        let (broken, now) = (&mut self.broken, self.now);
        self.witness
            .look(at, &self.world, &mut |moment| check(broken, now, moment));
    }

    fn set_clock(&mut self, by_ms: i64) {
        let by_ns = by_ms * 1_000_000;
        let offset_ns = self.offset_ns() + by_ns;
        self.offsets.push((self.now, offset_ns));
        self.give(Input::ClockStepped { by_ns });
        self.plan(self.now + SYNCHRONISED_AFTER, Due::Synchronised);
    }

    fn reload(&mut self) {
        self.edition = self.edition.other();
        let plant = Arc::clone(self.plant());
        self.witness.trouble();
        self.give(Input::Reconfigured(Arc::clone(&plant)));
        let now = self.now();
        if let Err(words) = self.journal.replanted(now, &plant) {
            self.tell(&Moment::Read(Err(words)));
        }
        let targets: BTreeSet<Subject> = plant
            .targets
            .iter()
            .map(|target| Subject::Target(target.id.clone()))
            .collect();
        self.witness.replanted(self.now, |subject| {
            matches!(subject, Subject::Line(_)) || targets.contains(subject)
        });
        self.witness.trouble_over(self.now);
    }

    fn sleep(&mut self, lasting: Duration) {
        self.witness.trouble();
        let from = self.now;
        let facts_lost = self.engine.is_none();
        let absence = Absence {
            from,
            to: from,
            facts_lost,
        };
        self.absence.get_or_insert(absence);
        self.now = self.now + lasting;
        if self.engine.is_some() {
            self.was_away(self.now);
        }
        // A run that left before it is doubted until it ends.
        self.witness.trouble_over(self.now + CALL_PATIENCE + GRACE);
    }

    fn kill(&mut self) {
        self.absence = Some(Absence {
            from: self.now,
            to: self.now,
            facts_lost: self.journal.has_pending(),
        });
        self.engine = None;
        self.journal.lose_pending();
        self.post.killed();
        self.agenda.retain(|_, due| {
            !matches!(
                due,
                Due::Report(_) | Due::Commits | Due::Synchronised | Due::Sent(..)
            )
        });
    }

    fn was_away(&mut self, to: Instant) {
        if let Some(absence) = &mut self.absence {
            absence.to = to;
            self.summary.away += to.since(absence.from);
        }
    }
}

/// While this lasts an outage may pass unseen.
fn keeps_us_from_seeing(what: &What) -> bool {
    matches!(
        what,
        What::Isolated { .. }
            | What::Stalls { .. }
            | What::DnsIsSlow
            | What::Killed
            | What::ResultsRepeat
    )
}

/// Shows a moment to every property; the first one broken is kept.
fn check(broken: &mut Option<Broken>, now: Instant, moment: &Moment<'_>) {
    if broken.is_some() {
        return;
    }
    for property in PROPERTIES {
        if let Err(words) = (property.check)(moment) {
            *broken = Some(Broken {
                property: property.name,
                after: now.since(BOOTED),
                words,
            });
            return;
        }
    }
}

fn told(view: &View) -> BTreeMap<Subject, Told> {
    let targets = view.targets.iter().map(|one| {
        let subject = Subject::Target(one.id.clone());
        (
            subject,
            Told {
                word: one.state,
                since: one.since,
                confirmed: one.confirmed,
            },
        )
    });
    let lines = view.lines.iter().map(|one| {
        let subject = Subject::Line(one.id.clone());
        (
            subject,
            Told {
                word: one.state,
                since: one.since,
                confirmed: one.confirmed,
            },
        )
    });
    targets.chain(lines).collect()
}

fn whole(view: View) -> String {
    serde_json::to_string(&view).expect("a view is text and numbers")
}

/// Without counts and last runs, which a tally tells later.
fn states(mut view: View) -> String {
    for target in &mut view.targets {
        target.last_proof = None;
        target.probes.clear();
    }
    for line in &mut view.lines {
        line.last_proof = None;
    }
    whole(view)
}

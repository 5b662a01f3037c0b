//! A small world around the engine: far ends that answer or not, a journal that always commits, and
//! one virtual clock. It checks at every step what must hold in any world.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use vigie::alert::outbox::Outgoing;
use vigie::board::view::View;
use vigie::engine::Engine;
use vigie::engine::fact::{BootId, Event, Fact};
use vigie::engine::input::{ActToken, Input, RunId};
use vigie::engine::output::Output;
use vigie::engine::plant::{Line, Plant, Probe, Role, Target};
use vigie::health::standing::{Change, Subject};
use vigie::id::{ProbeId, Seed, TargetId, TrunkId};
use vigie::incident::act::{self, Act, Refusal};
use vigie::probe::{Blame, Check, EXCLUDED, Failure, Verdict, WRONG_PASSWORD, Word, call, icmp};
use vigie::sip::emergency;
use vigie::sla::contract::Terms;
use vigie::time::{Instant, Now, Utc};

/// 2026-11-24 00:00:00 UTC.
const START: Utc = Utc(1_795_478_400_000_000_000);

pub(crate) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// How a far end behaves towards one probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FarEnd {
    Answers,
    /// A call answered by this PBX.
    Signs(&'static str),
    /// A call with this jitter, good by any limit; our own machine may have been too busy to say so.
    Jitters {
        microseconds: u32,
        we_overloaded: bool,
    },
    Limps,
    /// A call that passes with a voice callers complain of.
    Mumbles,
    Refuses,
    Silent,
    /// The date of its certificate is over, by our clock.
    Expired,
    /// Our own side fails.
    Blind,
    /// It refuses our account.
    LockedOut,
    /// The prober never reports.
    Lost,
}

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) now: Now,
    boot: String,
    pub(crate) plant: Arc<Plant>,
    far: BTreeMap<ProbeId, FarEnd>,
    /// How the far end meets the very next runs of a probe, before it is itself again.
    next_runs: BTreeMap<ProbeId, VecDeque<FarEnd>>,
    open: BTreeSet<(Instant, u64)>,
    runs: BTreeMap<u64, Open>,
    pub(crate) facts: Vec<Fact>,
    pub(crate) view: Option<Arc<View>>,
    pub(crate) changes: Vec<(Instant, Change)>,
    /// Every start: when, which, and whether it confirmed.
    pub(crate) starts: Vec<(Instant, ProbeId, bool)>,
    /// What became of the last act of a person.
    pub(crate) acted: Option<Result<u64, Refusal>>,
    /// Every message that left, and when.
    pub(crate) sent: Vec<(Instant, Outgoing)>,
    /// Who is told says that he was.
    pub(crate) providers_answer: bool,
    /// The journal commits.
    pub(crate) store_works: bool,
}

struct Open {
    probe: ProbeId,
    trunk: Option<TrunkId>,
    sent: Utc,
    timeout: Duration,
    started: Instant,
    /// How this run alone is met.
    met: Option<FarEnd>,
}

impl World {
    /// Starts watching this plant; everything answers.
    pub(crate) fn watching(plant: Plant) -> Self {
        let mut world = Self::asleep(plant);
        world.start();
        world
    }

    pub(crate) fn asleep(plant: Plant) -> Self {
        let plant = Arc::new(plant);
        Self {
            engine: Engine::new(Arc::clone(&plant), BootId::from("one")),
            now: Now {
                instant: Instant(1_000_000_000_000),
                utc: START,
            },
            boot: "one".into(),
            plant,
            far: BTreeMap::new(),
            next_runs: BTreeMap::new(),
            open: BTreeSet::new(),
            runs: BTreeMap::new(),
            facts: Vec::new(),
            view: None,
            changes: Vec::new(),
            starts: Vec::new(),
            acted: None,
            sent: Vec::new(),
            providers_answer: true,
            store_works: true,
        }
    }

    pub(crate) fn start(&mut self) {
        self.give(Input::Started {
            version: "test".into(),
        });
    }

    /// The far end of every probe whose name begins so.
    pub(crate) fn far_end(&mut self, prefix: &str, far: &FarEnd) {
        for probe in self.plant.targets.iter().flat_map(|target| &target.probes) {
            if probe.id.as_str().starts_with(prefix) {
                self.far.insert(probe.id.clone(), far.clone());
            }
        }
    }

    /// How everything meets this place from now on; `None` is the main one.
    pub(crate) fn far_ends_meet(&mut self, place: Option<&str>, far: &FarEnd) {
        for probe in self.plant.targets.iter().flat_map(|target| &target.probes) {
            if probe.id.vantage() == place {
                self.far.insert(probe.id.clone(), far.clone());
            }
        }
    }

    /// The very next runs of this probe are met so, one after the other.
    pub(crate) fn next_runs(&mut self, probe: &str, met: &[FarEnd]) {
        let runs = self.next_runs.entry(probe.into()).or_default();
        runs.extend(met.iter().cloned());
    }

    /// The operator edits the file and has it read again.
    pub(crate) fn reload(&mut self, plant: Plant) {
        self.plant = Arc::new(plant);
        self.give(Input::Reconfigured(Arc::clone(&self.plant)));
    }

    /// When this probe was started since `from`.
    pub(crate) fn starts_of(&self, probe: &str, from: Instant) -> Vec<Duration> {
        self.starts
            .iter()
            .filter(|(at, id, _)| *at >= from && id.as_str() == probe)
            .map(|(at, _, _)| at.since(from))
            .collect()
    }

    pub(crate) fn give(&mut self, input: Input) {
        self.engine.handle(self.now, input);
        self.perform();
    }

    /// Lets time pass, event by event.
    pub(crate) fn run_for(&mut self, duration: Duration) {
        let until = self.now.instant + duration;
        loop {
            let wake = self.engine.deadline().map(|(at, _)| at);
            let end = self.open.first().map(|(at, _)| *at);
            let next = wake.into_iter().chain(end).min().unwrap_or(until);
            if next > until {
                self.pass(until.since(self.now.instant));
                return;
            }
            self.pass(next.since(self.now.instant));
            self.step();
        }
    }

    pub(crate) fn pass(&mut self, duration: Duration) {
        self.now = self.now.after(duration);
    }

    /// Reports the runs that ended by now, or wakes the engine.
    pub(crate) fn step(&mut self) {
        let mut reported = false;
        while let Some((at, run)) = self.open.first().copied() {
            if at > self.now.instant {
                break;
            }
            self.open.pop_first();
            reported = true;
            self.report(run);
        }
        if !reported {
            self.give(Input::Wake);
        }
    }

    fn report(&mut self, run: u64) {
        let open = self.runs.remove(&run).expect("every open run is known");
        let far = open.met.as_ref().or_else(|| self.far.get(&open.probe));
        let Some((verdict, signature)) = verdict(far, open.timeout) else {
            return;
        };
        self.give(Input::ProbeDone {
            run: RunId(run),
            probe: open.probe,
            sent: open.sent,
            verdict,
            signature,
        });
    }

    fn perform(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Probe {
                    run,
                    probe,
                    check,
                    timeout,
                    confirm,
                } => self.begin(run.0, probe, &check, timeout, confirm),
                Output::Record(fact) => self.keep(fact),
                Output::Acted { outcome, .. } => self.acted = Some(outcome),
                Output::Send(outgoing) => self.deliver(*outgoing),
                Output::Publish(view) => {
                    if self.store_works {
                        let last = self.facts.last().map_or(0, |fact| fact.seq);
                        assert!(view.fact <= last, "a page must not be ahead of the journal");
                    }
                    self.view = Some(view);
                }
            }
        }
        if self.store_works
            && let Some(fact) = self.facts.last()
        {
            self.engine
                .handle(self.now, Input::Committed { up_to: fact.seq });
            while let Some(output) = self.engine.poll_output() {
                match output {
                    Output::Publish(view) => self.view = Some(view),
                    Output::Record(fact) => self.keep(fact),
                    Output::Acted { outcome, .. } => self.acted = Some(outcome),
                    Output::Send(outgoing) => self.deliver(*outgoing),
                    Output::Probe {
                        run,
                        probe,
                        check,
                        timeout,
                        confirm,
                    } => self.begin(run.0, probe, &check, timeout, confirm),
                }
            }
        }
    }

    /// A provider takes what it gets.
    fn deliver(&mut self, outgoing: Outgoing) {
        let id = outgoing.id;
        self.sent.push((self.now.instant, outgoing));
        if !self.providers_answer {
            return;
        }
        self.engine.handle(
            self.now,
            Input::Delivered {
                id,
                outcome: Ok(()),
            },
        );
    }

    fn keep(&mut self, fact: Fact) {
        match fact.event().expect("the engine writes facts it can read") {
            Event::Hard(change) | Event::Soft(change) => {
                self.changes.push((self.now.instant, change));
            }
            Event::ServiceStarted { .. }
            | Event::ServiceStopped
            | Event::Configured(_)
            | Event::Verdict(_)
            | Event::Tally { .. }
            | Event::BlindBegan { .. }
            | Event::Corroborated { .. }
            | Event::Answered { .. }
            | Event::OwnFaultBegan { .. }
            | Event::OwnFaultEnded { .. }
            | Event::ClockStepped { .. }
            | Event::Clock(_)
            | Event::Alert(_)
            | Event::Incident(_)
            | Event::Act(_)
            | Event::DayRoot { .. }
            | Event::Heartbeat { .. } => {}
        }
        self.facts.push(fact);
    }

    fn begin(&mut self, run: u64, id: ProbeId, check: &Check, timeout: Duration, confirm: bool) {
        if let Check::Call(call) = check {
            assert!(!emergency::is_emergency(&call.to), "called {}", call.to);
        }
        let probes = self.plant.targets.iter().flat_map(|target| &target.probes);
        let trunk = probes
            .filter(|probe| probe.id == id)
            .find_map(|probe| probe.trunk.clone());
        for open in self.runs.values() {
            assert_ne!(open.probe, id, "a probe overlaps itself");
            assert!(
                trunk.is_none() || open.trunk != trunk,
                "{id} and {} call on one trunk",
                open.probe
            );
        }
        self.starts.push((self.now.instant, id.clone(), confirm));
        let met = self.next_runs.get_mut(&id).and_then(VecDeque::pop_front);
        let far = met.as_ref().or_else(|| self.far.get(&id));
        let lasting = match far.unwrap_or(&FarEnd::Answers) {
            FarEnd::Answers
            | FarEnd::Signs(_)
            | FarEnd::Jitters { .. }
            | FarEnd::Limps
            | FarEnd::Mumbles
                if trunk.is_some() =>
            {
                seconds(3)
            }
            FarEnd::Answers
            | FarEnd::Signs(_)
            | FarEnd::Jitters { .. }
            | FarEnd::Limps
            | FarEnd::Mumbles
            | FarEnd::Refuses
            | FarEnd::Expired
            | FarEnd::LockedOut => Duration::from_millis(5),
            FarEnd::Blind => Duration::from_micros(100),
            FarEnd::Silent => timeout,
            FarEnd::Lost => return,
        };
        self.open.insert((self.now.instant + lasting, run));
        let open = Open {
            probe: id,
            trunk,
            sent: self.now.utc,
            timeout,
            started: self.now.instant,
            met,
        };
        self.runs.insert(run, open);
    }

    /// The confirmed word of a target.
    pub(crate) fn word(&self, target: &str) -> Word {
        let subject = Subject::Target(TargetId::from(target));
        self.view_now()
            .targets
            .iter()
            .find(|one| Subject::Target(one.id.clone()) == subject)
            .expect("known target")
            .state
    }

    pub(crate) fn line(&self, line: &str) -> Word {
        let view = self.view_now();
        let line = view.lines.iter().find(|one| one.id.as_str() == line);
        line.expect("known line").state
    }

    pub(crate) fn view_now(&self) -> View {
        self.engine.view(self.now)
    }

    /// When this target was first confirmed to be `word`, since `from`.
    pub(crate) fn confirmed(
        &self,
        subject: &Subject,
        word: Word,
        from: Instant,
    ) -> Option<Duration> {
        self.changes
            .iter()
            .find(|(at, change)| {
                *at >= from
                    && change.subject == *subject
                    && change.is_hard()
                    && change.to.word == word
            })
            .map(|(at, _)| at.since(from))
    }

    /// Each word that was confirmed of this target, in order.
    pub(crate) fn changes_to(&self, target: &str) -> Vec<Word> {
        let subject = Subject::Target(TargetId::from(target));
        self.changes
            .iter()
            .filter(|(_, change)| change.subject == subject && change.is_hard())
            .map(|(_, change)| change.to.word)
            .collect()
    }

    /// Every subject that was ever confirmed down.
    pub(crate) fn ever_down(&self) -> BTreeSet<Subject> {
        self.changes
            .iter()
            .filter(|(_, change)| change.to.word == Word::Down)
            .map(|(_, change)| change.subject.clone())
            .collect()
    }

    /// Somebody acts; the fact that it became, or why not.
    pub(crate) fn act(&mut self, author: &str, what: act::What) -> Result<u64, Refusal> {
        self.give(Input::Act {
            token: ActToken(1),
            act: Act {
                author: author.to_owned(),
                what,
            },
        });
        self.acted.take().expect("every act is answered")
    }

    /// The engine that a restart at this moment would give, before it starts.
    pub(crate) fn replayed(&self) -> Engine {
        let mut engine = Engine::new(Arc::clone(&self.plant), BootId::from(self.boot.as_str()));
        engine
            .replay(self.now, &self.facts)
            .expect("the journal is whole");
        engine
    }

    /// The machine boots again within `pause`, with a wall clock that is wrong by so much.
    pub(crate) fn rebooted(&mut self, pause: Duration, wrong_ns: i64) {
        self.pass(pause);
        self.now.instant = Instant(40_000_000_000);
        self.now.utc.0 += wrong_ns;
        self.boot = format!("{}, again", self.boot);
        self.killed_and_back(Duration::ZERO);
    }

    /// The process is killed and comes back after `pause`; what was in flight is lost.
    pub(crate) fn killed_and_back(&mut self, pause: Duration) {
        self.pass(pause);
        self.engine = self.replayed();
        self.open.clear();
        self.runs.clear();
        self.start();
    }

    pub(crate) fn oldest_run(&self) -> Option<Instant> {
        self.runs.values().map(|open| open.started).min()
    }
}

/// `None` if the prober is lost before it can report.
fn verdict(far: Option<&FarEnd>, timeout: Duration) -> Option<(Verdict, Option<String>)> {
    let took = Duration::from_micros(4_321);
    let failure =
        |blame, code: &'static str| Failure::new(blame, code, format!("{code} after {timeout:?}"));
    Some(match far.unwrap_or(&FarEnd::Answers) {
        FarEnd::Answers => (Verdict::good(took), None),
        FarEnd::Signs(signature) => (
            Verdict::good(took).measuring("answer_ms", 4.321),
            Some((*signature).to_owned()),
        ),
        FarEnd::Jitters {
            microseconds,
            we_overloaded,
        } => {
            let jitter_ms = f64::from(*microseconds) / 1000.0;
            let good = Verdict::good(took).measuring("jitter_ms", jitter_ms);
            let verdict = if *we_overloaded {
                good.measuring(EXCLUDED, 1.0)
            } else {
                good
            };
            (verdict, None)
        }
        FarEnd::Limps => (Verdict::degraded(failure(Blame::Misbehaved, "limps")), None),
        FarEnd::Mumbles => (
            Verdict::degraded(failure(Blame::Misbehaved, "mos_cq").severe()),
            None,
        ),
        FarEnd::Refuses => (Verdict::down(failure(Blame::Refused, "refused")), None),
        FarEnd::Silent => (Verdict::down(failure(Blame::Silent, "silent")), None),
        FarEnd::Expired => (
            Verdict::down(failure(Blame::Misbehaved, "certificate_expired")),
            None,
        ),
        FarEnd::Blind => (Verdict::blind("no_socket", "no free descriptor"), None),
        FarEnd::LockedOut => (
            Verdict::blind(WRONG_PASSWORD, "401: the server refuses vigie"),
            None,
        ),
        FarEnd::Lost => return None,
    })
}

pub(crate) fn call(id: &str, trunk: &str, every: u64) -> Probe {
    Probe {
        id: id.into(),
        check: Arc::new(Check::Call(call::Settings::new(
            "sip:0199001199@127.0.1.10",
            "sip:0199001111@127.0.0.1",
        ))),
        every: seconds(every),
        timeout: seconds(2),
        trunk: Some(trunk.into()),
        role: Role::Oracle,
    }
}

pub(crate) fn hint(id: &str, every: u64) -> Probe {
    Probe {
        id: id.into(),
        check: Arc::new(Check::Icmp(icmp::Settings::new(vec![
            std::net::Ipv4Addr::LOCALHOST.into(),
        ]))),
        every: seconds(every),
        timeout: seconds(2),
        trunk: None,
        role: Role::Hint,
    }
}

pub(crate) fn target(id: &str, parents: &[&str], probes: Vec<Probe>) -> Target {
    Target {
        id: id.into(),
        name: id.to_uppercase(),
        group: "Téléphonie".into(),
        description: String::new(),
        label: "PROD".into(),
        support: "HNO".into(),
        hds: false,
        parents: parents
            .iter()
            .map(|parent| TargetId::from(*parent))
            .collect(),
        probes,
    }
}

/// The telephony of the plant: a gateway to two PBXs behind a switch, and one line.
pub(crate) fn telephony(seed: u64) -> Plant {
    Plant {
        name: "119".into(),
        seed: Seed(seed),
        targets: vec![
            target("switch", &[], vec![hint("switch/ping", 30)]),
            target(
                "patton",
                &["switch"],
                vec![
                    hint("patton/options", 5),
                    hint("patton/ping", 5),
                    call("patton/call", "t2", 60),
                ],
            ),
            pbx("xivo1"),
            pbx("xivo2"),
        ],
        lines: vec![Line {
            id: "119".into(),
            name: "119, accueil".into(),
            proofs: vec!["patton/call".into()],
            signatures: vec![
                ("*1#".into(), "XIVO1".into()),
                ("*2#".into(), "XIVO2".into()),
            ],
        }],
        trunks: Vec::new(),
        terms: Terms::default(),
        alerts: Vec::new(),
        places: vigie::health::Places::default(),
    }
}

/// The same, and every probe is asked from these places too.
pub(crate) fn watched_also_from(mut plant: Plant, places: &[&str]) -> Plant {
    for target in &mut plant.targets {
        let probes = std::mem::take(&mut target.probes);
        for probe in probes {
            let elsewhere = places.iter().map(|place| Probe {
                id: probe.id.at(place),
                ..probe.clone()
            });
            let all: Vec<Probe> = std::iter::once(probe.clone()).chain(elsewhere).collect();
            target.probes.extend(all);
        }
    }
    for line in &mut plant.lines {
        let proofs = std::mem::take(&mut line.proofs);
        for proof in proofs {
            let elsewhere: Vec<ProbeId> = places.iter().map(|place| proof.at(place)).collect();
            line.proofs.push(proof);
            line.proofs.extend(elsewhere);
        }
    }
    plant
}

fn pbx(id: &str) -> Target {
    target(
        id,
        &["switch"],
        vec![
            hint(&format!("{id}/options"), 5),
            hint(&format!("{id}/ping"), 5),
            call(&format!("{id}/call"), id, 60),
        ],
    )
}

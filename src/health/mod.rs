//! What the verdicts mean: soft and hard states of targets and lines, and what to ask next.
//!
//! It knows words and names, not SIP. The engine hands in every finished run and the passing of time,
//! and performs the effects: ask a probe at once, hurry it, record a change. Blind is a state of its
//! own: a verdict we could not form never moves anything towards down.

mod flap;
mod judge;
mod parents;
mod places;
pub mod record;
pub mod replay;
mod sight;
pub mod standing;
pub mod state;
mod topology;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::id::{LineId, ProbeId, TargetId, VantageId};
use crate::probe::{Failure, Word};
use crate::time::{Instant, Now, Utc};
use flap::Flap;
pub use judge::SERVED_BY_BACKUP;
use judge::{Behind, Judgement};
pub use places::{Places, QUORUM, SEEN_FROM_SOME_PLACES};
pub use record::{Record, Seen};
use standing::{Change, Standing, Subject};
use state::{Event, State};
use topology::Topology;

/// A failure is confirmed, and a recovery, after this pause: long enough for one lost burst to end.
const CONFIRM_AFTER: Duration = Duration::from_millis(500);
/// Gateways ask a PBX that was away by OPTIONS, commonly every 5 s; a call before that still goes to the
/// backup and tells nothing.
const GATEWAY_SEES_WITHIN: Duration = Duration::from_secs(6);

/// Since when what was not announced yet is in its state: it has no fact so far.
const UNBORN: Utc = Utc(0);

/// What is judged, and how it hangs together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    pub places: Places,
    pub targets: Vec<TargetSettings>,
    pub lines: Vec<LineSettings>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TargetSettings {
    pub id: TargetId,
    pub name: String,
    pub parents: Vec<TargetId>,
    pub probes: Vec<ProbeSettings>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ProbeSettings {
    pub id: ProbeId,
    pub every: Duration,
    pub timeout: Duration,
    pub is_oracle: bool,
    /// It holds a channel while it runs, so it is not asked lightly.
    pub is_call: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LineSettings {
    pub id: LineId,
    pub proofs: Vec<ProbeId>,
    /// DTMF signature to the name of its PBX, the normal one first.
    pub signatures: Vec<(String, String)>,
}

/// What the engine must do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Run this probe after so long; `confirm` from another source port.
    Ask {
        probe: ProbeId,
        after: Duration,
        confirm: bool,
    },
    /// While its target or line is down this proof is asked more often.
    Hurry { probe: ProbeId, on: bool },
    /// Nothing conclusive was heard of this probe for too long, or too often in a row.
    Stale { probe: ProbeId },
    /// Fewer failures of this oracle were enough, for others fail with it.
    Corroborated { probe: ProbeId },
    /// Record this; it is in force already.
    Changed(Change),
}

#[derive(Clone, Debug)]
pub struct Health {
    places: Places,
    topology: Topology,
    probes: BTreeMap<ProbeId, Record>,
    subjects: BTreeMap<Subject, Judged>,
    /// When each probe goes stale.
    stale: BTreeSet<(Instant, ProbeId)>,
    /// When to judge again although nothing happened.
    again: BTreeSet<(Instant, Subject)>,
    /// The last heartbeat that the journal tells, until `resume`.
    last_beat: Option<Instant>,
    /// What the schedule was told to hurry.
    hurried: BTreeSet<ProbeId>,
    effects: VecDeque<Effect>,
}

/// A target or a line under judgement.
#[derive(Clone, Debug)]
struct Judged {
    standing: Standing,
    flap: Flap,
    /// Shortest interval of its probes.
    every: Duration,
    /// Down by its own probes, waiting for its parents until then.
    held_until: Option<Instant>,
    again_at: Option<Instant>,
}

/// What the probes say of a target or line, and who of several places sees it so.
#[derive(Clone, Debug)]
struct Opinion {
    judgement: Judgement,
    answered_by: Option<String>,
    /// Empty where there is but one place.
    seen_from: BTreeMap<VantageId, Word>,
}

impl Opinion {
    const fn alone(judgement: Judgement) -> Self {
        Self {
            judgement,
            answered_by: None,
            seen_from: BTreeMap::new(),
        }
    }
}

impl Health {
    #[must_use]
    pub fn new(now: Now, settings: Settings) -> Self {
        let mut health = Self {
            places: Places::default(),
            topology: Topology::default(),
            probes: BTreeMap::new(),
            subjects: BTreeMap::new(),
            stale: BTreeSet::new(),
            again: BTreeSet::new(),
            last_beat: None,
            hurried: BTreeSet::new(),
            effects: VecDeque::new(),
        };
        health.reconcile(now, settings);
        health
    }

    /// Records the first standing of what is new, then judges everything.
    pub fn announce(&mut self, now: Now) {
        for record in self.probes.values_mut() {
            record.born(now);
        }
        for (subject, judged) in &mut self.subjects {
            if judged.standing.since == UNBORN {
                judged.standing.since = now.utc;
                self.effects.push_back(Effect::Changed(Change {
                    subject: subject.clone(),
                    from: judged.standing.word,
                    to: judged.standing.clone(),
                }));
            }
        }
        self.judge(now, self.subjects());
        self.hurry_anew();
    }

    #[must_use]
    pub fn subjects(&self) -> BTreeSet<Subject> {
        self.subjects.keys().cloned().collect()
    }

    /// Judges these from now on (`announce` follows). What stays keeps its
    /// state, what is new is unseen, what is gone is forgotten.
    pub fn reconcile(&mut self, now: Now, settings: Settings) {
        let mut old_probes = std::mem::take(&mut self.probes);
        let mut old_subjects = std::mem::take(&mut self.subjects);
        self.stale.clear();
        self.again.clear();
        self.topology = Topology::new(&settings);
        self.places = settings.places;
        for target in settings.targets {
            let every = target.probes.iter().map(|probe| probe.every).min();
            self.keep(&mut old_subjects, Subject::Target(target.id), every);
            for probe in target.probes {
                let kept = old_probes.remove(&probe.id);
                let mut record = kept.unwrap_or_else(|| Record::new(probe.clone(), now));
                record.settings = probe;
                self.probes.insert(record.settings.id.clone(), record);
            }
        }
        for line in settings.lines {
            let every = line.proofs.iter().filter_map(|id| self.probes.get(id));
            let every = every.map(|record| record.settings.every).min();
            self.keep(&mut old_subjects, Subject::Line(line.id), every);
        }
        for (id, record) in &self.probes {
            self.stale
                .extend(record.stale_at().map(|at| (at, id.clone())));
        }
    }

    fn keep(
        &mut self,
        old: &mut BTreeMap<Subject, Judged>,
        subject: Subject,
        every: Option<Duration>,
    ) {
        let every = every.unwrap_or(Duration::from_secs(60));
        let mut judged = old.remove(&subject).unwrap_or_else(|| Judged {
            standing: Standing::unseen(UNBORN),
            flap: Flap::default(),
            every,
            held_until: None,
            again_at: None,
        });
        judged.every = every;
        judged.again_at = None;
        self.subjects.insert(subject, judged);
    }

    /// Takes in a finished run.
    pub fn observe(&mut self, now: Now, probe: &ProbeId, seen: Seen) {
        let Some(record) = self.probes.get_mut(probe) else {
            return;
        };
        let (before, signed_before) = (record.state, record.last_signature.clone());
        if let Some(at) = record.stale_at() {
            self.stale.remove(&(at, probe.clone()));
        }
        let next = record.observe(Some(now.instant), seen);
        if next.lost_sight {
            record.step(now.instant, Event::Stale, now.utc);
            self.effects.push_back(Effect::Stale {
                probe: probe.clone(),
            });
        }
        if let Some(at) = record.stale_at() {
            self.stale.insert((at, probe.clone()));
        }
        let (after, signed) = (record.state, record.last_signature.clone());
        if next.ask_again {
            self.effects.push_back(Effect::Ask {
                probe: probe.clone(),
                after: CONFIRM_AFTER,
                confirm: true,
            });
        }
        if before.turn() != after.turn()
            && let Some(worse) = after.turn()
        {
            self.ask_around(probe, worse, false);
        } else if after == State::Down && before.word() != Word::Down {
            self.ask_around(probe, true, true);
        } else if after == State::Good && before.word() == Word::Down {
            self.ask_lines_on_backup(probe);
        }
        if signed_before.is_some() && signed.is_some() && signed != signed_before {
            self.ask_pbxs(probe);
        }
        self.corroborate(now.instant, probe);
        self.judge(now, self.topology.touched_by(probe));
    }

    /// A first failure asks at once those that could prove, disprove or explain it; a first good run
    /// asks those that still fail. Calls are spared for a flapping target, which would ask for them all day:
    /// they are asked when its failure is confirmed.
    fn ask_around(&mut self, probe: &ProbeId, worse: bool, confirmed: bool) {
        let flaps = self
            .topology
            .target_of(probe)
            .and_then(|target| self.standing_of(target))
            .is_some_and(|standing| standing.unstable);
        for near in self.topology.near(probe) {
            let Some(record) = self.probes.get(near) else {
                continue;
            };
            let wanted = if worse {
                !record.state.fails_again()
            } else {
                record.state.word() != Word::Good
            };
            let spared = record.settings.is_call && (flaps || self.is_unstable_around(near));
            if wanted && spared == confirmed {
                self.effects.push_back(Effect::Ask {
                    probe: near.clone(),
                    after: Duration::ZERO,
                    confirm: confirmed,
                });
            }
        }
    }

    /// Another PBX answers the line than before: whether the one that did still takes calls is asked at
    /// once, for its OPTIONS may go on answering.
    fn ask_pbxs(&mut self, call: &ProbeId) {
        for near in self.topology.near(call) {
            if !self.topology.is_hint(near) && !self.is_unstable_around(near) {
                self.effects.push_back(Effect::Ask {
                    probe: near.clone(),
                    after: Duration::ZERO,
                    confirm: false,
                });
            }
        }
    }

    /// A PBX is back: whether its lines are back on it is asked when the gateway had time to see it too.
    fn ask_lines_on_backup(&mut self, probe: &ProbeId) {
        for near in self.topology.near(probe) {
            let on_backup = self.topology.lines_of(near).into_iter().any(|line| {
                self.standing(&Subject::Line(line))
                    .is_some_and(|standing| standing.word != Word::Good)
            });
            if on_backup && !self.is_unstable_around(near) {
                self.effects.push_back(Effect::Ask {
                    probe: near.clone(),
                    after: GATEWAY_SEES_WITHIN,
                    confirm: false,
                });
            }
        }
    }

    fn is_unstable_around(&self, probe: &ProbeId) -> bool {
        self.topology
            .touched_by(probe)
            .iter()
            .filter_map(|subject| self.subjects.get(subject))
            .any(|judged| judged.standing.unstable)
    }

    /// Failures of several probes confirm each other.
    fn corroborate(&mut self, now: Instant, probe: &ProbeId) {
        self.corroborate_target(now, probe);
        self.corroborate_lines(now, probe);
    }

    /// Hints that fail again and again make one failure of the oracle enough, and the other way round.
    fn corroborate_target(&mut self, now: Instant, probe: &ProbeId) {
        let Some(target) = self.topology.target_of(probe) else {
            return;
        };
        let (hints, oracles): (Vec<_>, Vec<_>) = self
            .topology
            .probes_of(target)
            .cloned()
            .partition(|id| self.topology.is_hint(id));
        for id in oracles {
            let oracle = &self.probes[&id];
            let corroborated = oracle.state.step(Event::Corroborated).state != oracle.state
                // From another place a hint may fail for a reason of that place.
                && hints.iter().any(|hint| {
                    hint.vantage() == id.vantage() && self.probes[hint].corroborates(oracle)
                });
            if corroborated {
                self.effects
                    .push_back(Effect::Corroborated { probe: id.clone() });
                self.step_corroborated(now, &id);
            }
        }
    }

    fn step_corroborated(&mut self, at: Instant, probe: &ProbeId) {
        if let Some(record) = self.probes.get_mut(probe) {
            let sent = record.turned;
            record.step(at, Event::Corroborated, sent);
        }
    }

    /// Three failed calls in a row are an outage of the line, whichever of its proofs met them: they
    /// share a trunk, one call at a time, and each alone would have to wait for all the others.
    fn corroborate_lines(&mut self, now: Instant, probe: &ProbeId) {
        for id in self.topology.lines_of(probe) {
            let proofs = self.topology.line(&id).map(|line| line.proofs.clone());
            let proofs = proofs.unwrap_or_default();
            let downs = proofs.iter().map(|proof| {
                let record = self.probes.get(proof)?;
                record.state.fresh_downs()
            });
            // One that passed, or that was down before, says nothing about what began now.
            let Some(downs) = downs.collect::<Option<Vec<u8>>>() else {
                continue;
            };
            // Once each at the same moment may be one lost burst: one must have failed again after it.
            let again = downs.iter().any(|downs| *downs >= 2);
            if !again || downs.iter().sum::<u8>() < state::FAILURES_OF_AN_OUTAGE {
                continue;
            }
            for proof in proofs {
                self.effects.push_back(Effect::Corroborated {
                    probe: proof.clone(),
                });
                self.step_corroborated(now, &proof);
            }
        }
    }

    /// Time has passed: proofs go stale, held states are decided.
    pub fn tick(&mut self, now: Now) {
        while let Some((at, probe)) = self.stale.first().cloned() {
            if at > now.instant {
                break;
            }
            self.stale.pop_first();
            if let Some(record) = self.probes.get_mut(&probe)
                && record.stale_at() == Some(at)
            {
                record.step(now.instant, Event::Stale, now.utc);
                self.effects.push_back(Effect::Stale {
                    probe: probe.clone(),
                });
                self.judge(now, self.topology.touched_by(&probe));
            }
        }
        let mut due = BTreeSet::new();
        while let Some((at, subject)) = self.again.first().cloned() {
            if at > now.instant {
                break;
            }
            self.again.pop_first();
            if let Some(judged) = self.subjects.get_mut(&subject) {
                judged.again_at = None;
            }
            due.insert(subject);
        }
        if !due.is_empty() {
            self.judge(now, due);
        }
    }

    /// Judges these, and whatever their change touches.
    fn judge(&mut self, now: Now, mut open: BTreeSet<Subject>) {
        while let Some(subject) = open.pop_first() {
            if self.judge_one(now, &subject) {
                // A change is seen by its neighbours; parents form no circle, so this ends.
                open.extend(self.topology.neighbours(&subject));
            }
        }
    }

    fn judge_one(&mut self, now: Now, subject: &Subject) -> bool {
        let opinion = match subject {
            Subject::Target(id) => self.judge_target(now.instant, id),
            Subject::Line(id) => self.judge_line(now.instant, id),
        };
        let (Some(opinion), Some(judged)) = (opinion, self.subjects.get(subject)) else {
            return false;
        };
        let judgement = opinion.judgement;
        let mut judged = judged.clone();
        let mut next = judged.standing.clone();
        let explanation = self.explanation(now.instant, subject, &judgement, &judged);
        judged.held_until = explanation.held_until;
        let word = if explanation.held_until.is_some() {
            judged.standing.word
        } else {
            judgement.word
        };
        next.confirmed = judgement.settled && explanation.held_until.is_none();
        if word != next.word {
            next.word = word;
            next.since = judgement.since;
        }
        // The words of a failure vary from run to run ("after 2001 ms"): those of its beginning stay.
        let same_story = next.word == judged.standing.word
            && next.confirmed == judged.standing.confirmed
            && opinion.seen_from == judged.standing.seen_from
            && code(next.failure.as_ref()) == code(judgement.failure.as_ref());
        if !same_story {
            next.failure.clone_from(&judgement.failure);
        }
        if next.word == Word::Good && next.confirmed {
            next.failure = None;
        }
        next.because_of = explanation.because_of;
        next.answered_by = opinion.answered_by;
        next.seen_from = opinion.seen_from;
        if judged.standing.swings_to(&next) {
            judged.flap.swing(now.instant);
        }
        next.unstable =
            judged
                .flap
                .is_unstable(now.instant, judged.every, judged.standing.unstable);
        let flap_ends = next
            .unstable
            .then(|| now.instant + judged.flap.may_end_in(now.instant, judged.every));
        let again_at = [judged.held_until, judgement.again_at, flap_ends];
        self.settle(
            now.instant,
            subject,
            judged,
            next,
            again_at.into_iter().flatten().min(),
        )
    }

    /// Puts the new standing in force; says whether it changed.
    fn settle(
        &mut self,
        now: Instant,
        subject: &Subject,
        mut judged: Judged,
        next: Standing,
        again_at: Option<Instant>,
    ) -> bool {
        // A moment that has come already would wake us in a circle.
        let again_at = again_at.map(|at| at.max(now + Duration::from_millis(100)));
        if let Some(old) = judged.again_at {
            self.again.remove(&(old, subject.clone()));
        }
        self.again.extend(again_at.map(|at| (at, subject.clone())));
        judged.again_at = again_at;
        let changed = next != judged.standing;
        let word_changed = next.word != judged.standing.word;
        if changed {
            self.effects.push_back(Effect::Changed(Change {
                subject: subject.clone(),
                from: judged.standing.word,
                to: next.clone(),
            }));
            judged.standing = next;
        }
        self.subjects.insert(subject.clone(), judged);
        if word_changed {
            self.hurry(subject);
        }
        changed
    }

    /// Hurries the proofs of this while it is down; one that proves something else too, until both are back.
    fn hurry(&mut self, subject: &Subject) {
        for probe in self.topology.proofs_of(subject) {
            let on = self.topology.touched_by(&probe).iter().any(|one| {
                let is_down = self
                    .standing(one)
                    .is_some_and(|standing| standing.word == Word::Down);
                is_down && self.topology.proofs_of(one).contains(&probe)
            });
            let changes = if on {
                self.hurried.insert(probe.clone())
            } else {
                self.hurried.remove(&probe)
            };
            if changes {
                self.effects.push_back(Effect::Hurry { probe, on });
            }
        }
    }

    /// Says it all again: the schedule may have new entries, and the plant other proofs.
    fn hurry_anew(&mut self) {
        let before = std::mem::take(&mut self.hurried);
        for subject in self.subjects() {
            self.hurry(&subject);
        }
        for probe in before.difference(&self.hurried).cloned() {
            self.effects.push_back(Effect::Hurry { probe, on: false });
        }
    }

    fn behind(&self, gateway: &TargetId) -> Behind {
        let mut pbxs = self
            .topology
            .behind(gateway)
            .filter_map(|id| self.standing_of(id))
            .peekable();
        if pbxs.peek().is_none() {
            return Behind::Answering;
        }
        let (mut all_down, mut unsettled) = (true, false);
        for standing in pbxs {
            all_down &= standing.word == Word::Down;
            unsettled |= !standing.confirmed;
        }
        match (all_down, unsettled) {
            (true, _) => Behind::AllDown,
            (false, true) => Behind::Unsettled,
            (false, false) => Behind::Answering,
        }
    }

    fn standing_of(&self, target: &TargetId) -> Option<&Standing> {
        self.standing(&Subject::Target(target.clone()))
    }

    #[must_use]
    pub fn standing(&self, subject: &Subject) -> Option<&Standing> {
        self.subjects.get(subject).map(|judged| &judged.standing)
    }

    #[must_use]
    pub fn record(&self, probe: &ProbeId) -> Option<&Record> {
        self.probes.get(probe)
    }

    /// The probes whose good runs prove this target or line.
    pub fn proofs_of(&self, subject: &Subject) -> Vec<ProbeId> {
        self.topology.proofs_of(subject)
    }

    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When `tick` has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let stale = self.stale.first().map(|(at, _)| *at);
        let again = self.again.first().map(|(at, _)| *at);
        [stale, again].into_iter().flatten().min()
    }
}

fn code(failure: Option<&Failure>) -> Option<&str> {
    failure.map(|failure| failure.code.as_ref())
}

//! From changes of state to decisions about incidents.
//!
//! It keeps what the runs told of each target and line, and says what is to be decided; the engine makes a
//! fact of it, and the [`Book`] takes that over. Nothing is decided twice or forgotten: after a crash the same
//! facts leave the same decision open.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::book::{Book, Incident, State};
use super::cause::{Place, Topology};
use super::span::Bounds;
use super::step::{Failed, Step, What};
use crate::health::standing::{Change, Standing, Subject};
use crate::health::{SEEN_FROM_SOME_PLACES, SERVED_BY_BACKUP};
use crate::id::{ProbeId, VantageId};
use crate::probe::Word;
use crate::time::Utc;

/// A failure within this time of the end of the last one is the same incident: its clock never stopped.
pub const RELAPSE_WITHIN: Duration = Duration::from_secs(15 * 60);

/// Calls in a row that prove a line to be restored, and the time that they must span. Fewer, or closer ones,
/// take one lucky call for the end of an outage; their first is the end all the same.
const PROOF_CALLS: u32 = 3;
const PROOF_SPAN: Duration = Duration::from_secs(120);
/// And the places that they come from, of those that call the line and see. From one alone, a line that only that
/// place reaches would be restored.
const PROOF_PLACES: usize = 2;

/// Nobody watched for longer than this: what happened meanwhile is not known. A restart takes less.
const GAP: Duration = Duration::from_secs(20);

/// Turns of a probe that are remembered: more than lie between the first failure and its confirmation.
const TURNS_KEPT: usize = 16;

/// One finished run, as its fact tells it.
#[derive(Clone, Copy, Debug)]
pub struct Run<'f> {
    pub probe: &'f ProbeId,
    pub sent: Utc,
    pub word: Word,
    pub last_good: Option<Utc>,
}

/// What is seen, and what is to be decided of it.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    topology: Topology,
    subjects: BTreeMap<Subject, Tracked>,
    probes: BTreeMap<ProbeId, Runs>,
    /// What may have to be decided.
    undecided: BTreeSet<Subject>,
    last_fact: Utc,
}

#[derive(Clone, Debug)]
struct Tracked {
    standing: Standing,
    /// The fact that told so.
    fact: u64,
    at: Utc,
    /// It failed, and was not seen from then on.
    unseen_from: Option<Utc>,
    /// Calls in a row that were good, and that at least passed.
    good: Proof,
    passed: Proof,
}

#[derive(Clone, Debug, Default)]
struct Proof {
    calls: u32,
    first: Utc,
    last: Utc,
    /// The places that they were made from.
    places: BTreeSet<Option<VantageId>>,
}

#[derive(Clone, Debug, Default)]
struct Runs {
    turns: VecDeque<Turn>,
    last_failed: Option<Utc>,
    /// Send time of the last good run that a fact tells; a verdict may name it as its other bound.
    last_good: Option<Utc>,
}

/// A run that has a fact of its own.
#[derive(Clone, Copy, Debug)]
struct Turn {
    /// Send time as it was stamped: older journals go on naming it so after a step of the clock.
    stamped: Utc,
    /// The same moment by the present wall clock.
    sent: Utc,
    last_good: Option<Utc>,
}

impl Watch {
    /// This is watched from now on; `dropped` is no more.
    pub fn configured(&mut self, topology: Topology, dropped: &[Subject]) {
        self.topology = topology;
        for subject in dropped {
            self.subjects.remove(subject);
            self.undecided.insert(subject.clone());
        }
        self.probes
            .retain(|probe, _| self.topology.probes.contains_key(probe));
    }

    /// Every fact passes here first.
    pub fn stamped(&mut self, at: Utc) {
        self.last_fact = at;
    }

    /// The service watches again; nobody did since the fact before. A clock that went back over a boot does not
    /// say for how long.
    pub fn started(&mut self, at: Utc) {
        let since = self.last_fact;
        if at < since || at.since(since) > GAP {
            for (subject, tracked) in &mut self.subjects {
                if tracked.standing.word != Word::Good {
                    let last_failed = last_failed(&self.topology, &self.probes, subject);
                    tracked
                        .unseen_from
                        .get_or_insert_with(|| last_failed.unwrap_or(since));
                }
                tracked.good = Proof::default();
                tracked.passed = Proof::default();
            }
        }
    }

    pub fn run(&mut self, run: Run<'_>) {
        let runs = self.probes.entry(run.probe.clone()).or_default();
        if runs.turns.len() == TURNS_KEPT {
            runs.turns.pop_front();
        }
        runs.turns.push_back(Turn {
            stamped: run.sent,
            sent: run.sent,
            last_good: run.last_good,
        });
        let fails = matches!(run.word, Word::Down | Word::Degraded);
        if fails {
            runs.last_failed = Some(run.sent);
        }
        if run.word == Word::Good {
            runs.last_good = Some(run.sent);
        }
        let place = self.topology.place_of(run.probe);
        for subject in self.topology.subjects_of(run.probe) {
            let is_line = matches!(subject, Subject::Line(_));
            let Some(tracked) = self.subjects.get_mut(&subject) else {
                continue;
            };
            if fails {
                tracked.unseen_from = None;
            }
            if is_line && run.word != Word::Blind {
                let proves_nothing = place
                    .as_ref()
                    .is_some_and(|place| tracked.is_suspect(place));
                for (proof, holds) in [
                    (&mut tracked.passed, run.word != Word::Down),
                    (&mut tracked.good, run.word == Word::Good),
                ] {
                    if holds || !proves_nothing {
                        proof.hear(run.sent, place.as_ref(), holds);
                    }
                }
                self.undecided.insert(subject);
            }
        }
    }

    /// Good runs without a fact of their own, the last of them sent then.
    pub fn tallied(&mut self, probe: &ProbeId, last_good: Utc) {
        let runs = self.probes.entry(probe.clone()).or_default();
        runs.last_good = Some(last_good);
    }

    pub fn changed(&mut self, fact: u64, at: Utc, change: &Change) {
        let last_failed = last_failed(&self.topology, &self.probes, &change.subject);
        let old = self.subjects.remove(&change.subject);
        let mut tracked = old.unwrap_or_else(|| Tracked {
            standing: Standing::unseen(at),
            fact,
            at,
            unseen_from: None,
            good: Proof::default(),
            passed: Proof::default(),
        });
        if change.is_hard() {
            (tracked.fact, tracked.at) = (fact, at);
            if change.to.word == Word::Blind && change.from != Word::Good {
                tracked.unseen_from = Some(last_failed.unwrap_or(at));
            }
        }
        tracked.standing = change.to.clone();
        self.subjects.insert(change.subject.clone(), tracked);
        self.undecided.insert(change.subject.clone());
    }

    /// Shows every stamp that is remembered, to be corrected after a step of the wall clock.
    pub fn each_stamp(&mut self, visit: &mut dyn FnMut(&mut Utc)) {
        for runs in self.probes.values_mut() {
            for turn in &mut runs.turns {
                visit(&mut turn.sent);
                turn.last_good.iter_mut().for_each(&mut *visit);
            }
            runs.last_failed.iter_mut().for_each(&mut *visit);
            runs.last_good.iter_mut().for_each(&mut *visit);
        }
        for tracked in self.subjects.values_mut() {
            visit(&mut tracked.at);
            visit(&mut tracked.standing.since);
            tracked.unseen_from.iter_mut().for_each(&mut *visit);
            for proof in [&mut tracked.good, &mut tracked.passed] {
                visit(&mut proof.first);
                visit(&mut proof.last);
            }
        }
        visit(&mut self.last_fact);
    }

    /// When there will be something to decide although nothing happens.
    #[must_use]
    pub fn deadline(&self, book: &Book) -> Option<Utc> {
        self.quiet(book)
            .filter_map(|incident| Some(incident.ended()?.at + RELAPSE_WITHIN))
            .min()
    }

    /// Incidents in which all works, and nothing waits to be confirmed.
    fn quiet<'b>(&self, book: &'b Book) -> impl Iterator<Item = &'b Incident> {
        let is_sure = |subject: &Subject| {
            self.subjects
                .get(subject)
                .is_none_or(|tracked| tracked.standing.confirmed && tracked.word() == Word::Good)
        };
        book.current().filter(move |incident| {
            incident.state == State::Restored && incident.members.keys().all(is_sure)
        })
    }

    /// The next decision, if there is one.
    pub fn due(&mut self, now: Utc, book: &Book) -> Option<Step> {
        while let Some(subject) = self.undecided.first().cloned() {
            if let Some(step) = self.decide(&subject, book) {
                return Some(step);
            }
            self.undecided.remove(&subject);
        }
        let over = self.quiet(book).find(|incident| {
            incident
                .ended()
                .is_some_and(|end| end.at + RELAPSE_WITHIN <= now)
        })?;
        Some(Step {
            incident: over.id,
            subject: over.cause.clone(),
            because: over.timeline.last().map_or(0, |entry| entry.fact),
            what: What::Closed,
        })
    }

    fn decide(&self, subject: &Subject, book: &Book) -> Option<Step> {
        let holding = book.holding(subject);
        let open = holding
            .and_then(|incident| incident.span_of(subject))
            .filter(|span| span.end.is_none());
        let step = |incident, because, what| {
            Some(Step {
                incident,
                subject: subject.clone(),
                because,
                what,
            })
        };
        let Some(tracked) = self.subjects.get(subject) else {
            let (incident, span) = holding.zip(open)?;
            let end = Bounds {
                at: self.last_fact,
                earliest: span.start.at,
                latest: self.last_fact,
            };
            let because = incident.timeline.last().map_or(0, |entry| entry.fact);
            return step(incident.id, because, What::Dropped { end });
        };
        let word = tracked.word();
        match (word, holding, open) {
            (Word::Blind, _, _) | (Word::Good, _, None) => None,
            (Word::Good, Some(incident), Some(span)) => {
                let confirmed = self.confirmed(subject, tracked, &tracked.good)?;
                let end = self.end(subject, tracked, span.start);
                let what = What::Restored { end, confirmed };
                step(incident.id, tracked.fact, what)
            }
            (_, Some(_), Some(span)) if span.word == word => None,
            (_, Some(incident), Some(span)) => {
                if word == Word::Degraded {
                    self.confirmed(subject, tracked, &tracked.passed)?;
                }
                let mut failed = self.failed(subject, tracked);
                if word == Word::Degraded {
                    failed.start = self.end(subject, tracked, span.start);
                }
                step(incident.id, tracked.fact, What::Changed(failed))
            }
            (_, holding, _) => {
                let failed = self.failed(subject, tracked);
                let relapsed = holding.filter(|incident| {
                    let ended = incident.span_of(subject).and_then(|span| span.end);
                    ended.is_some_and(|end| failed.start.at.since(end.at) <= RELAPSE_WITHIN)
                });
                if let Some(incident) = relapsed {
                    return step(incident.id, tracked.fact, What::Relapsed(failed));
                }
                let place = self
                    .topology
                    .place(book, subject, &tracked.standing, failed.start);
                let (incident, what) = match place {
                    Place::New => (book.next(), What::Opened(failed)),
                    // What only limps may lame others and takes nobody down.
                    Place::With(known) | Place::Under(known) => {
                        let is_cause =
                            matches!(place, Place::Under(_)) && failed.word == Word::Down;
                        (known, What::Joined { failed, is_cause })
                    }
                };
                step(incident, tracked.fact, what)
            }
        }
    }

    fn failed(&self, subject: &Subject, tracked: &Tracked) -> Failed {
        let turn = self.turn(subject, tracked.standing.since);
        let at = turn.map_or(tracked.standing.since, |turn| turn.sent);
        // By a clock that is wrong since the machine booted, the boot before may lie ahead.
        let last_good = turn.and_then(|turn| turn.last_good);
        let earliest = last_good.filter(|good| *good <= at).unwrap_or(at);
        Failed {
            word: tracked.standing.word,
            start: Bounds {
                at,
                earliest,
                latest: at,
            },
            failure: tracked.standing.failure.clone(),
            seen_from: tracked.standing.seen_from.clone(),
        }
    }

    /// Since it works again. What proves it may be older than the failure (a gateway answered all along while no
    /// call passed): then it ends when that was sure.
    fn end(&self, subject: &Subject, tracked: &Tracked, start: Bounds) -> Bounds {
        let turn = self.turn(subject, tracked.standing.since);
        let at = turn.map_or(tracked.standing.since, |turn| turn.sent);
        let at = if at > start.at { at } else { tracked.at };
        // One good call among bad ones ends nothing: the end is the first of those that prove it.
        let at = match subject {
            Subject::Line(_) if tracked.word() == Word::Good => at.max(tracked.good.first),
            Subject::Line(_) => at.max(tracked.passed.first),
            Subject::Target(_) => at,
        };
        Bounds {
            at,
            earliest: tracked.unseen_from.map_or(at, |unseen| unseen.min(at)),
            latest: at,
        }
    }

    /// When it was sure that it works; `None` while it is not.
    fn confirmed(&self, subject: &Subject, tracked: &Tracked, proof: &Proof) -> Option<Utc> {
        match subject {
            Subject::Target(_) => Some(tracked.at),
            Subject::Line(_) => {
                let sure = proof.calls >= PROOF_CALLS
                    && proof.last.since(proof.first) >= PROOF_SPAN
                    && proof.places.len() >= self.places_needed(subject, tracked);
                sure.then_some(proof.last)
            }
        }
    }

    /// From how many places the calls must come that prove this line.
    fn places_needed(&self, subject: &Subject, tracked: &Tracked) -> usize {
        let calling: BTreeSet<_> = self
            .topology
            .probes_of(subject)
            .map(|probe| self.topology.place_of(probe))
            .filter(|place| {
                let word = place
                    .as_ref()
                    .and_then(|place| tracked.standing.seen_from.get(place));
                word != Some(&Word::Blind)
            })
            .collect();
        calling.len().clamp(1, PROOF_PLACES)
    }

    /// The run that was stamped so.
    fn turn(&self, subject: &Subject, stamped: Utc) -> Option<Turn> {
        self.topology
            .probes_of(subject)
            .filter_map(|probe| self.probes.get(probe))
            .flat_map(|runs| &runs.turns)
            .find(|turn| turn.sent == stamped || turn.stamped == stamped)
            .copied()
    }
}

/// When it was last seen to fail.
fn last_failed(
    topology: &Topology,
    probes: &BTreeMap<ProbeId, Runs>,
    subject: &Subject,
) -> Option<Utc> {
    topology
        .probes_of(subject)
        .filter_map(|probe| probes.get(probe)?.last_failed)
        .max()
}

impl Tracked {
    /// What counts for incidents: a line that its reserve answers takes calls, and what fails from too few places
    /// works.
    fn word(&self) -> Word {
        let works = |code: &str| [SERVED_BY_BACKUP, SEEN_FROM_SOME_PLACES].contains(&code);
        let failure = self.standing.failure.as_ref();
        if self.standing.word == Word::Degraded
            && failure.is_some_and(|failure| works(&failure.code))
        {
            Word::Good
        } else {
            self.standing.word
        }
    }

    /// It works, and not from this place: a failure there proves nothing.
    fn is_suspect(&self, place: &VantageId) -> bool {
        let disputed = self
            .standing
            .failure
            .as_ref()
            .is_some_and(|failure| failure.code == SEEN_FROM_SOME_PLACES);
        disputed && self.standing.seen_from.get(place) != Some(&Word::Good)
    }
}

impl Proof {
    fn hear(&mut self, sent: Utc, place: Option<&VantageId>, holds: bool) {
        if !holds {
            *self = Self::default();
            return;
        }
        if self.calls == 0 {
            self.first = sent;
        }
        self.calls = self.calls.saturating_add(1);
        self.last = sent;
        self.places.insert(place.cloned());
    }
}

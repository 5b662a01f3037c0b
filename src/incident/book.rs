//! All incidents, as their facts tell them: the engine's decisions and what people did.
//!
//! A fold and nothing else: the same facts give the same book, live, after a restart and for an auditor.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::IncidentId;
use super::act::{self, Act, Audience, Phase};
use super::span::{Bounds, Span};
use super::step::{self, Failed, Step};
use crate::health::standing::Subject;
use crate::probe::{Failure, Word};
use crate::time::Utc;

/// From the first failed probe to the end of the quiet time after the last good one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Incident {
    pub id: IncidentId,
    /// What failed first, or what the others rest on.
    pub cause: Subject,
    pub failure: Option<Failure>,
    pub state: State,
    /// What the page says of it.
    pub phase: Phase,
    pub audience: Audience,
    /// Confirmed (T1).
    pub detected: Utc,
    /// The customer said so.
    pub declared: Option<Utc>,
    pub acknowledged: Option<Acknowledged>,
    pub cause_text: Option<String>,
    pub members: BTreeMap<Subject, Vec<Span>>,
    /// When the last restoration was sure (T6).
    pub confirmed: Option<Utc>,
    pub closed: Option<Utc>,
    pub merged_into: Option<IncidentId>,
    /// Steps of the wall clock while it was open, in nanoseconds: its times are those of the clock after them.
    pub clock_steps: Vec<i64>,
    pub timeline: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Something still fails.
    Open,
    /// All works again; a relapse would be the same incident.
    Restored,
    Closed,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Acknowledged {
    pub by: String,
    pub at: Utc,
}

/// One line of the timeline: a fact, by number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    pub fact: u64,
    pub at: Utc,
    #[serde(flatten)]
    pub what: Happened,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Happened {
    Step(Step),
    Act(Act),
}

/// An act that needs a second person, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proposal {
    pub act: Act,
    pub at: Utc,
    pub approved: Option<Approval>,
}

/// The second person's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Approval {
    pub by: String,
    /// Number of the fact that says so.
    pub fact: u64,
}

/// Planned work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Maintenance {
    pub fact: u64,
    pub author: String,
    pub subjects: Vec<Subject>,
    pub from: Utc,
    pub until: Utc,
    pub text: String,
}

#[derive(Clone, Debug, Default)]
pub struct Book {
    incidents: BTreeMap<IncidentId, Incident>,
    /// Those that are not closed.
    current: BTreeSet<IncidentId>,
    /// By the number of their fact.
    proposals: BTreeMap<u64, Proposal>,
    maintenance: Vec<Maintenance>,
    last: u64,
}

impl Book {
    #[must_use]
    pub fn incident(&self, id: IncidentId) -> Option<&Incident> {
        self.incidents.get(&id)
    }

    /// Oldest first; those that were merged into others are among them.
    pub fn incidents(&self) -> impl DoubleEndedIterator<Item = &Incident> {
        self.incidents.values()
    }

    /// Closed, or part of another.
    #[must_use]
    pub fn is_closed(&self, id: IncidentId) -> bool {
        self.incident(id)
            .is_some_and(|incident| incident.state == State::Closed)
    }

    /// What waits for a second person.
    #[must_use]
    pub fn proposal(&self, fact: u64) -> Option<&Proposal> {
        self.proposals
            .get(&fact)
            .filter(|proposal| proposal.approved.is_none())
    }

    /// All that waits for a second person, by the number of its fact.
    pub fn waiting(&self) -> impl Iterator<Item = (u64, &Proposal)> {
        self.proposals
            .iter()
            .filter(|(_, proposal)| proposal.approved.is_none())
            .map(|(fact, proposal)| (*fact, proposal))
    }

    /// Exclusions and corrections that two people agreed on, by the number of their fact.
    pub fn agreed(&self) -> impl Iterator<Item = (u64, &Proposal)> {
        self.proposals
            .iter()
            .filter(|(_, proposal)| proposal.approved.is_some())
            .map(|(fact, proposal)| (*fact, proposal))
    }

    #[must_use]
    pub fn maintenance(&self) -> &[Maintenance] {
        &self.maintenance
    }

    /// When planned work that goes on there at `at` will be over.
    #[must_use]
    pub fn maintained_until(&self, subject: &Subject, at: Utc) -> Option<Utc> {
        let going_on = self
            .maintenance
            .iter()
            .filter(|work| work.from <= at && at < work.until && work.subjects.contains(subject));
        going_on.map(|work| work.until).max()
    }

    /// The newest incident.
    #[must_use]
    pub const fn last(&self) -> IncidentId {
        IncidentId(self.last)
    }

    /// The number of the next incident.
    pub(super) const fn next(&self) -> IncidentId {
        IncidentId(self.last + 1)
    }

    /// The incident that is not closed and holds this subject: the one in which it fails, else the newest.
    #[must_use]
    pub fn holding(&self, subject: &Subject) -> Option<&Incident> {
        let fails = |incident: &&Incident| {
            let span = incident.span_of(subject);
            span.is_some_and(|span| span.end.is_none())
        };
        self.current().find(fails).or_else(|| {
            self.current()
                .find(|incident| incident.members.contains_key(subject))
        })
    }

    /// Those that are not closed, newest first.
    pub fn current(&self) -> impl Iterator<Item = &Incident> {
        let newest_first = self.current.iter().rev();
        newest_first.filter_map(|id| self.incidents.get(id))
    }

    /// Takes over a decision, of the fact numbered `fact`.
    pub fn decide(&mut self, fact: u64, at: Utc, step: &Step) {
        if let step::What::Opened(failed) = &step.what {
            self.open(at, step, failed);
        }
        let Some(incident) = self.incidents.get_mut(&step.incident) else {
            return;
        };
        incident.take(fact, at, step);
        if incident.state == State::Closed {
            self.current.remove(&step.incident);
        }
        incident.timeline.push(Entry {
            fact,
            at,
            what: Happened::Step(step.clone()),
        });
    }

    fn open(&mut self, at: Utc, step: &Step, failed: &Failed) {
        self.last = self.last.max(step.incident.0);
        self.current.insert(step.incident);
        self.incidents.insert(
            step.incident,
            Incident {
                id: step.incident,
                cause: step.subject.clone(),
                failure: failed.failure.clone(),
                state: State::Open,
                phase: Phase::default(),
                audience: Audience::default(),
                detected: at,
                declared: None,
                acknowledged: None,
                cause_text: None,
                members: BTreeMap::new(),
                confirmed: None,
                closed: None,
                merged_into: None,
                clock_steps: Vec::new(),
                timeline: Vec::new(),
            },
        );
    }

    /// Takes over an act of a person, of the fact numbered `fact`. It was checked before it became a fact.
    pub fn act(&mut self, fact: u64, at: Utc, act: &Act) {
        if act.needs_two() {
            let proposal = Proposal {
                act: act.clone(),
                at,
                approved: None,
            };
            self.proposals.insert(fact, proposal);
        }
        match &act.what {
            act::What::Approve { fact: proposed } => {
                if let Some(proposal) = self.proposals.get_mut(proposed) {
                    let by = act.author.clone();
                    proposal.approved = Some(Approval { by, fact });
                }
            }
            act::What::Reject { fact, .. } => {
                self.proposals.remove(fact);
            }
            act::What::Maintain {
                subjects,
                from,
                until,
                text,
            } => self.maintenance.push(Maintenance {
                fact,
                author: act.author.clone(),
                subjects: subjects.clone(),
                // What is past was not planned: leaving it out takes two people.
                from: (*from).max(at),
                until: *until,
                text: text.clone(),
            }),
            act::What::Merge { incident, into } => self.merge(*incident, *into, at),
            act::What::Split { incident, subjects } => self.split(*incident, subjects),
            act::What::Acknowledge { .. }
            | act::What::Comment { .. }
            | act::What::Cause { .. }
            | act::What::Attach { .. }
            | act::What::Publish { .. }
            | act::What::Show { .. }
            | act::What::Declare { .. }
            | act::What::Exclude { .. }
            | act::What::Correct { .. } => {}
        }
        let mut concerned = act.what.incidents();
        if matches!(act.what, act::What::Split { .. }) {
            concerned.push(IncidentId(self.last));
        }
        for id in concerned {
            if let Some(incident) = self.incidents.get_mut(&id) {
                incident.hear(at, act);
                incident.timeline.push(Entry {
                    fact,
                    at,
                    what: Happened::Act(act.clone()),
                });
            }
        }
    }

    fn merge(&mut self, id: IncidentId, into: IncidentId, at: Utc) {
        let Some(mut from) = self.incidents.remove(&id) else {
            return;
        };
        if let Some(target) = self.incidents.get_mut(&into) {
            for (subject, mut spans) in std::mem::take(&mut from.members) {
                let all = target.members.entry(subject).or_default();
                all.append(&mut spans);
                all.sort_by_key(|span| span.start.at);
            }
            target.detected = target.detected.min(from.detected);
            target.declared = match (target.declared, from.declared) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
            target.acknowledged = target
                .acknowledged
                .take()
                .or_else(|| from.acknowledged.clone());
            target.cause_text = target.cause_text.take().or_else(|| from.cause_text.clone());
            target.settle();
        }
        self.current.remove(&id);
        from.state = State::Closed;
        from.closed = Some(at);
        from.merged_into = Some(into);
        self.incidents.insert(id, from);
    }

    fn split(&mut self, id: IncidentId, subjects: &[Subject]) {
        let next = self.next();
        let Some(old) = self.incidents.get_mut(&id) else {
            return;
        };
        let mut members = BTreeMap::new();
        for subject in subjects {
            if let Some(spans) = old.members.remove(subject) {
                members.insert(subject.clone(), spans);
            }
        }
        if subjects.contains(&old.cause)
            && let Some(first) = old.members.keys().next()
        {
            old.cause = first.clone();
        }
        let Some(cause) = members.keys().next().cloned() else {
            return;
        };
        let failure = old.failure_of(&cause);
        old.failure = old.failure_of(&old.cause);
        let mut new = Incident {
            id: next,
            cause,
            failure,
            members,
            timeline: Vec::new(),
            ..old.clone()
        };
        old.settle();
        new.settle();
        self.last = next.0;
        if new.state != State::Closed {
            self.current.insert(next);
        }
        self.incidents.insert(next, new);
    }

    /// The wall clock was set: open times are told by the clock after it, so that a duration stays what it was.
    /// Shows every stamp of theirs to `correct`.
    pub fn clock_stepped(&mut self, by_ns: i64, correct: &mut dyn FnMut(&mut Utc)) {
        for id in &self.current {
            if let Some(incident) = self.incidents.get_mut(id) {
                incident.clock_steps.push(by_ns);
            }
        }
        self.each_stamp(correct);
    }

    /// Shows every stamp of the incidents that are not closed.
    pub fn each_stamp(&mut self, visit: &mut dyn FnMut(&mut Utc)) {
        for id in &self.current {
            let Some(incident) = self.incidents.get_mut(id) else {
                continue;
            };
            visit(&mut incident.detected);
            incident.confirmed.iter_mut().for_each(&mut *visit);
            if let Some(acknowledged) = &mut incident.acknowledged {
                visit(&mut acknowledged.at);
            }
            for span in incident.members.values_mut().flatten() {
                span.start.each_stamp(visit);
                if let Some(end) = &mut span.end {
                    end.each_stamp(visit);
                }
            }
        }
    }
}

impl Bounds {
    fn each_stamp(&mut self, visit: &mut dyn FnMut(&mut Utc)) {
        visit(&mut self.at);
        visit(&mut self.earliest);
        visit(&mut self.latest);
    }
}

impl Incident {
    /// Why this member failed, as the first decision about it said.
    fn failure_of(&self, subject: &Subject) -> Option<Failure> {
        self.timeline.iter().find_map(|entry| match &entry.what {
            Happened::Step(step) if step.subject == *subject => step.what.failure().cloned(),
            Happened::Step(_) | Happened::Act(_) => None,
        })
    }

    /// Since when, and whether it still fails.
    #[must_use]
    pub fn span_of(&self, subject: &Subject) -> Option<&Span> {
        self.members.get(subject)?.last()
    }

    /// From the first failed probe of all.
    #[must_use]
    pub fn started(&self) -> Option<Bounds> {
        let starts = self.members.values().flatten().map(|span| span.start);
        starts.min_by_key(|start| (start.at, start.earliest))
    }

    /// The last restoration; `None` while something fails.
    #[must_use]
    pub fn ended(&self) -> Option<Bounds> {
        let mut last: Option<Bounds> = None;
        for spans in self.members.values() {
            let end = spans.last()?.end?;
            last = Some(last.map_or(end, |known| if end.at > known.at { end } else { known }));
        }
        last
    }

    /// The worst that it still is.
    #[must_use]
    pub fn word(&self) -> Word {
        let open = self.members.values().filter_map(|spans| spans.last());
        let words: Vec<Word> = open
            .filter(|span| span.end.is_none())
            .map(|span| span.word)
            .collect();
        if words.contains(&Word::Down) {
            Word::Down
        } else if words.is_empty() {
            Word::Good
        } else {
            Word::Degraded
        }
    }

    fn take(&mut self, fact: u64, at: Utc, step: &Step) {
        let spans = self.members.entry(step.subject.clone()).or_default();
        let mut begin = |failed: &Failed| {
            if let Some(open) = spans.last_mut().filter(|span| span.end.is_none()) {
                open.end = Some(failed.start);
                open.facts.push(step.because);
            }
            spans.push(Span {
                word: failed.word,
                start: failed.start,
                end: None,
                facts: vec![step.because, fact],
            });
        };
        match &step.what {
            step::What::Opened(failed)
            | step::What::Relapsed(failed)
            | step::What::Changed(failed) => begin(failed),
            step::What::Joined { failed, is_cause } => {
                begin(failed);
                if *is_cause {
                    self.cause = step.subject.clone();
                    self.failure.clone_from(&failed.failure);
                }
            }
            step::What::Restored { end, .. } | step::What::Dropped { end } => {
                if let Some(open) = spans.last_mut().filter(|span| span.end.is_none()) {
                    open.end = Some(*end);
                    open.facts.extend([step.because, fact]);
                }
            }
            step::What::Closed => {}
        }
        if let step::What::Restored { confirmed, .. } = &step.what {
            self.confirmed = Some(*confirmed);
        }
        self.settle();
        if step.what == step::What::Closed {
            self.state = State::Closed;
            self.closed = Some(at);
            self.phase = Phase::Resolved;
        }
    }

    /// Open while something fails, else restored; what is closed stays so.
    fn settle(&mut self) {
        if self.state == State::Closed {
            return;
        }
        if self.ended().is_some() {
            self.state = State::Restored;
            self.phase = Phase::Monitoring;
        } else {
            if self.state == State::Restored {
                self.phase = Phase::Investigating;
            }
            self.state = State::Open;
        }
    }

    fn hear(&mut self, at: Utc, act: &Act) {
        match &act.what {
            act::What::Acknowledge { .. } => {
                let by = act.author.clone();
                self.acknowledged.get_or_insert(Acknowledged { by, at });
            }
            act::What::Cause { text, .. } => self.cause_text = Some(text.clone()),
            act::What::Publish { phase, .. } => self.phase = *phase,
            act::What::Show { audience, .. } => self.audience = *audience,
            act::What::Declare { at, .. } => {
                self.declared = Some(*at);
            }
            act::What::Comment { .. }
            | act::What::Attach { .. }
            | act::What::Merge { .. }
            | act::What::Split { .. }
            | act::What::Maintain { .. }
            | act::What::Exclude { .. }
            | act::What::Correct { .. }
            | act::What::Approve { .. }
            | act::What::Reject { .. } => {}
        }
    }
}

//! One cause, one incident: how targets and lines rest on each other, and which failure explains which.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::IncidentId;
use super::book::{Book, Incident, State};
use super::span::{Bounds, Span};
use crate::health::standing::{Standing, Subject};
use crate::id::{LineId, ProbeId, TargetId, VantageId};
use crate::time::Utc;

/// What rests on what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// Each target and its parents.
    pub targets: BTreeMap<TargetId, Vec<TargetId>>,
    pub lines: BTreeMap<LineId, Resting>,
    /// Each probe and its target.
    pub probes: BTreeMap<ProbeId, TargetId>,
    /// The place of probes that name none, where it is watched from several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub main: Option<VantageId>,
}

/// What a line rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resting {
    /// Where its calls enter, and the PBX that answers them when all is well.
    pub on: BTreeSet<TargetId>,
    /// The PBXs that answer when that one does not.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub reserve: BTreeSet<TargetId>,
    /// The calls that prove it.
    pub proofs: Vec<ProbeId>,
}

/// What came down so much earlier or later is another matter: twice the minute between two calls.
const EXPLAINS_WITHIN: Duration = Duration::from_secs(120);

/// Neighbours under one parent that fail within this time fail of one cause. Longer takes two faults for one.
const STORM: Duration = Duration::from_secs(10);

/// Where a failure belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    New,
    /// It is one more of these.
    With(IncidentId),
    /// It explains these.
    Under(IncidentId),
}

impl Topology {
    /// Where the failure of `subject` that began at `start` belongs.
    pub(super) fn place(
        &self,
        book: &Book,
        subject: &Subject,
        standing: &Standing,
        start: Bounds,
    ) -> Place {
        let open = || book.current().filter(|known| known.state == State::Open);
        if let Some(parent) = &standing.because_of {
            let parent = Subject::Target(parent.clone());
            if let Some(known) = open().find(|known| fails(known, &parent).is_some()) {
                return Place::With(known.id);
            }
        }
        let below = self.below(subject);
        for known in open() {
            for (member, span) in failing(known).filter(|(member, _)| *member != subject) {
                let apart = apart(span.start.at, start.at);
                let joins = apart <= EXPLAINS_WITHIN && below.contains(member)
                    || apart <= STORM && self.are_neighbours(subject, member)
                    || apart <= EXPLAINS_WITHIN && self.share_a_way(subject, member);
                if joins {
                    return Place::With(known.id);
                }
                if apart <= EXPLAINS_WITHIN && self.below(member).contains(subject) {
                    return Place::Under(known.id);
                }
            }
        }
        Place::New
    }

    /// All that `subject` rests on.
    fn below(&self, subject: &Subject) -> BTreeSet<Subject> {
        let mut found = BTreeSet::new();
        let mut to_visit: Vec<&TargetId> = match subject {
            Subject::Target(id) => self.targets.get(id).into_iter().flatten().collect(),
            Subject::Line(id) => self
                .lines
                .get(id)
                .map(|line| line.on.iter().collect())
                .unwrap_or_default(),
        };
        while let Some(id) = to_visit.pop() {
            if found.insert(Subject::Target(id.clone())) {
                to_visit.extend(self.targets.get(id).into_iter().flatten());
            }
        }
        found
    }

    /// Two targets under one parent, or a line and its reserve.
    fn are_neighbours(&self, one: &Subject, other: &Subject) -> bool {
        match (one, other) {
            (Subject::Target(one), Subject::Target(other)) => {
                let parents = |id| self.targets.get(id).map(Vec::as_slice).unwrap_or_default();
                parents(one)
                    .iter()
                    .any(|parent| parents(other).contains(parent))
            }
            (Subject::Line(line), Subject::Target(pbx))
            | (Subject::Target(pbx), Subject::Line(line)) => self
                .lines
                .get(line)
                .is_some_and(|line| line.reserve.contains(pbx)),
            (Subject::Line(_), Subject::Line(_)) => false,
        }
    }

    /// Two lines over one gateway or PBX.
    fn share_a_way(&self, one: &Subject, other: &Subject) -> bool {
        let (Subject::Line(one), Subject::Line(other)) = (one, other) else {
            return false;
        };
        match (self.lines.get(one), self.lines.get(other)) {
            (Some(one), Some(other)) => !one.on.is_disjoint(&other.on),
            (None, _) | (_, None) => false,
        }
    }

    /// The targets and lines that this probe speaks of.
    pub(super) fn subjects_of(&self, probe: &ProbeId) -> Vec<Subject> {
        let target = self.probes.get(probe).cloned().map(Subject::Target);
        let lines = self.lines.iter();
        let lines = lines.filter(|(_, line)| line.proofs.contains(probe));
        target
            .into_iter()
            .chain(lines.map(|(id, _)| Subject::Line(id.clone())))
            .collect()
    }

    /// Where a probe is asked from; `None` where there is but one place.
    pub(super) fn place_of(&self, probe: &ProbeId) -> Option<VantageId> {
        probe
            .vantage()
            .map(VantageId::from)
            .or_else(|| self.main.clone())
    }

    pub(super) fn probes_of<'t>(
        &'t self,
        subject: &'t Subject,
    ) -> Box<dyn Iterator<Item = &'t ProbeId> + 't> {
        match subject {
            Subject::Target(id) => Box::new(
                self.probes
                    .iter()
                    .filter(move |(_, target)| *target == id)
                    .map(|(probe, _)| probe),
            ),
            Subject::Line(id) => {
                Box::new(self.lines.get(id).into_iter().flat_map(|line| &line.proofs))
            }
        }
    }
}

fn fails<'i>(incident: &'i Incident, subject: &Subject) -> Option<&'i Span> {
    incident.span_of(subject).filter(|span| span.end.is_none())
}

fn failing(incident: &Incident) -> impl Iterator<Item = (&Subject, &Span)> {
    incident
        .members
        .iter()
        .filter_map(|(subject, spans)| Some((subject, spans.last()?)))
        .filter(|(_, span)| span.end.is_none())
}

fn apart(one: Utc, other: Utc) -> Duration {
    one.since(other).max(other.since(one))
}

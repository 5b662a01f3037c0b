//! The view of the plant, made from health: the only thing that pages, API and metrics see.

use super::Engine;
use super::plant::{Line, Target};
use crate::board::answer::{self, LineStory};
use crate::board::view::{Answer, LineView, ProbeView, TargetView, View};
use crate::health::standing::{Standing, Subject};
use crate::id::{LineId, ProbeId, TargetId};
use crate::probe::Word;
use crate::time::{Now, Utc};

impl Engine {
    /// The plant as it stands at `now`.
    #[must_use]
    pub fn view(&self, now: Now) -> View {
        let own_faults: Vec<_> = self.own_faults.values().cloned().collect();
        View {
            at: now.utc,
            made: now.instant,
            fact: self.shown_fact(),
            plant: self.plant.name.clone(),
            answer: self.answer,
            because: answer::because(&self.stories(), &own_faults),
            since: self.answered_since,
            lines: self
                .plant
                .lines
                .iter()
                .map(|line| self.line(line))
                .collect(),
            targets: self
                .plant
                .targets
                .iter()
                .map(|target| self.target(target))
                .collect(),
            incidents: self.incidents_now(now.utc),
            own_faults,
        }
    }

    pub(super) fn answer_now(&self) -> Answer {
        answer::answer(&self.stories())
    }

    fn stories(&self) -> Vec<LineStory<'_>> {
        self.plant
            .lines
            .iter()
            .map(|line| {
                let standing = self.health.standing(&Subject::Line(line.id.clone()));
                LineStory {
                    name: &line.name,
                    word: standing.map_or(Word::Blind, |one| one.word),
                    answered_by: standing.and_then(|one| one.answered_by.as_deref()),
                    failure: standing.and_then(|one| one.failure.as_ref()),
                    because_of: standing
                        .and_then(|one| one.because_of.as_ref())
                        .and_then(|id| self.name_of(id)),
                }
            })
            .collect()
    }

    fn name_of(&self, id: &TargetId) -> Option<&str> {
        let target = self.plant.targets.iter().find(|one| one.id == *id);
        target.map(|one| one.name.as_str())
    }

    fn standing(&self, subject: &Subject) -> Standing {
        let known = self.health.standing(subject).cloned();
        known.unwrap_or_else(|| Standing::unseen(self.answered_since))
    }

    fn line(&self, line: &Line) -> LineView {
        let subject = Subject::Line(LineId::clone(&line.id));
        let standing = self.standing(&subject);
        LineView {
            id: line.id.clone(),
            name: line.name.clone(),
            state: standing.word,
            confirmed: standing.confirmed,
            unstable: standing.unstable,
            since: standing.since,
            last_proof: self.last_proof(&subject),
            answered_by: standing.answered_by,
            failure: standing.failure,
            seen_from: standing.seen_from,
        }
    }

    fn target(&self, target: &Target) -> TargetView {
        let subject = Subject::Target(target.id.clone());
        let standing = self.standing(&subject);
        TargetView {
            id: target.id.clone(),
            name: target.name.clone(),
            group: target.group.clone(),
            description: target.description.clone(),
            label: target.label.clone(),
            support: target.support.clone(),
            hds: target.hds,
            expect: target.expect(),
            state: standing.word,
            confirmed: standing.confirmed,
            unstable: standing.unstable,
            since: standing.since,
            last_proof: self.last_proof(&subject),
            failure: standing.failure,
            because_of: standing.because_of,
            seen_from: standing.seen_from,
            probes: target
                .probes
                .iter()
                .map(|probe| self.probe(&probe.id, probe.check.kind()))
                .collect(),
        }
    }

    fn probe(&self, id: &ProbeId, kind: &'static str) -> ProbeView {
        let record = self.health.record(id);
        let last = record.and_then(|record| record.last.as_ref());
        ProbeView {
            id: id.clone(),
            kind,
            state: last.map_or(Word::Blind, |last| last.word),
            last_run: last.map(|last| last.sent),
            runs: record.map_or([0; 4], |record| record.runs),
            took_ms: last
                .and_then(|last| last.took_ns)
                .map(|ns| std::time::Duration::from_nanos(ns).as_secs_f64() * 1e3),
            failure: last.and_then(|last| last.failure.clone()),
            measures: last.map(|last| last.measures.clone()).unwrap_or_default(),
        }
    }

    fn last_proof(&self, subject: &Subject) -> Option<Utc> {
        self.health
            .proofs_of(subject)
            .iter()
            .filter_map(|probe| self.health.record(probe)?.last_good)
            .max()
    }
}

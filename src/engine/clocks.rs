//! The restoration clocks while they run: who is warned before the time of the contract is over, and when it is.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Engine;
use super::fact::Event;
use crate::board::view::{ClockView, IncidentView, LossView};
use crate::board::words_fr;
use crate::health::standing::Subject;
use crate::incident::IncidentId;
use crate::incident::book::{Incident, State};
use crate::sla::clock::{Clock, Outage};
use crate::sla::contract::{Indicator, Support};
use crate::sla::extent::{Extent, Lines, Loss};
use crate::sla::interval::Intervals;
use crate::sla::outage::{Around, Known, of_incident};
use crate::time::{Now, Utc};

/// A clock passed a mark.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark {
    pub incident: IncidentId,
    pub indicator: Indicator,
    pub passed: Passed,
    /// When it did.
    pub at: Utc,
    /// When its time is over.
    pub deadline: Utc,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Passed {
    /// So much of the time is used that a fail-over fits just in.
    AtRisk,
    Breached,
}

/// What is known of the marks.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    passed: Vec<(IncidentId, Indicator, Passed)>,
    /// The next one of each incident that is open. Kept for each: hundreds fail with one switch, and civil hours
    /// counted for all of them at every change would hold up the alert.
    next: BTreeMap<IncidentId, Mark>,
    stale: Stale,
}

/// Whose next mark is to be looked for again.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stale {
    These(BTreeSet<IncidentId>),
    All,
}

impl Default for Stale {
    fn default() -> Self {
        Self::These(BTreeSet::new())
    }
}

impl Marks {
    /// This incident did.
    pub(super) fn changed(&mut self, incident: IncidentId) {
        match &mut self.stale {
            Stale::These(stale) => {
                stale.insert(incident);
            }
            Stale::All => {}
        }
    }

    /// Something did that any of them may rest on: the terms, the clock, what people agreed on.
    pub(super) fn all_changed(&mut self) {
        self.stale = Stale::All;
    }

    pub(super) fn passed(&mut self, mark: &Mark) {
        self.passed
            .push((mark.incident, mark.indicator, mark.passed));
        self.changed(mark.incident);
    }

    /// What was told of one incident is not told again of the other that took over its members.
    pub(super) fn inherited(&mut self, from: IncidentId, to: IncidentId) {
        let told = self.passed.iter().filter(|(of, ..)| *of == from);
        let told: Vec<_> = told
            .map(|(_, clock, passed)| (to, *clock, *passed))
            .collect();
        self.passed.extend(told);
    }

    pub(super) fn closed(&mut self, incident: IncidentId) {
        self.passed.retain(|(of, ..)| *of != incident);
    }

    /// When the next one is passed.
    pub(super) fn next_at(&self) -> Option<Utc> {
        self.next.values().map(|mark| mark.at).min()
    }

    /// The first one that is passed by now, of the newest incident.
    fn take_due(&mut self, now: Utc) -> Option<Mark> {
        let due = self.next.values().rev().min_by_key(|mark| mark.at)?;
        let incident = (due.at <= now).then_some(due.incident)?;
        self.next.remove(&incident)
    }
}

impl Engine {
    /// Makes a fact of every mark that is passed by now.
    pub(super) fn pass_marks(&mut self, now: Now) {
        loop {
            self.look_for_marks(now.utc);
            let Some(mark) = self.incidents.marks.take_due(now.utc) else {
                return;
            };
            self.record(now, &Event::Clock(mark));
            self.is_dirty = true;
        }
    }

    fn look_for_marks(&mut self, now: Utc) {
        let stale = match std::mem::take(&mut self.incidents.marks.stale) {
            Stale::These(stale) => stale,
            Stale::All => {
                self.incidents.marks.next.clear();
                self.book().current().map(|incident| incident.id).collect()
            }
        };
        for id in stale {
            let open = self
                .book()
                .incident(id)
                .filter(|incident| incident.state == State::Open && incident.merged_into.is_none());
            let marks = open.map(|incident| self.marks_of(incident, now));
            let next = marks
                .unwrap_or_default()
                .into_iter()
                .min_by_key(|mark| mark.at);
            match next {
                Some(mark) => self.incidents.marks.next.insert(id, mark),
                None => self.incidents.marks.next.remove(&id),
            };
        }
    }

    fn marks_of(&self, incident: &Incident, now: Utc) -> Vec<Mark> {
        let profile = self.plant.terms.contract.in_force(now);
        let mut marks = Vec::new();
        for outage in self.outages(incident, now) {
            let clock = Clock::new(&outage, profile, &self.plant.terms.calendars);
            let Some((clock, None)) = clock.map(|clock| (clock, outage.end())) else {
                continue;
            };
            let Some(deadline) = clock.deadline() else {
                continue;
            };
            let risk = clock.at_risk_at().map(|at| (Passed::AtRisk, at));
            for (passed, at) in risk.into_iter().chain([(Passed::Breached, deadline)]) {
                let key = (incident.id, outage.indicator, passed);
                if !self.incidents.marks.passed.contains(&key) {
                    marks.push(Mark {
                        incident: incident.id,
                        indicator: outage.indicator,
                        passed,
                        at,
                        deadline,
                    });
                }
            }
        }
        marks
    }

    /// The incidents that are not closed, as pages show them.
    pub(super) fn incidents_now(&self, now: Utc) -> Vec<IncidentView> {
        self.book()
            .current()
            .map(|incident| IncidentView {
                id: incident.id,
                cause: self.called(&incident.cause).to_owned(),
                state: incident.word(),
                phase: incident.phase,
                audience: incident.audience,
                since: incident
                    .started()
                    .map_or(incident.detected, |start| start.at),
                detected: incident.detected,
                restored: incident.ended().map(|end| end.at),
                in_hand: incident.acknowledged.as_ref().map(|ack| ack.by.clone()),
                hit: incident
                    .members
                    .keys()
                    .map(|subject| self.called(subject).to_owned())
                    .collect(),
                lines: self.loss_now(incident, now),
                clocks: self.clocks_now(incident, now),
            })
            .collect()
    }

    pub(super) fn clocks_now(&self, incident: &Incident, now: Utc) -> Vec<ClockView> {
        if incident.state != State::Open {
            return Vec::new();
        }
        let terms = &self.plant.terms;
        let profile = terms.contract.in_force(now);
        self.outages(incident, now)
            .iter()
            .filter(|outage| outage.end().is_none())
            .filter_map(|outage| {
                let clock = Clock::new(outage, profile, &terms.calendars)?;
                let deadline = clock.deadline()?;
                Some(ClockView {
                    indicator: outage.indicator.as_str(),
                    deadline,
                    at_risk: clock.at_risk_at().is_some_and(|at| at <= now),
                    breached: deadline <= now,
                })
            })
            .collect()
    }

    /// What the contract counts of an incident, as far as it is known.
    #[must_use]
    pub fn outages(&self, incident: &Incident, now: Utc) -> Vec<Outage> {
        let profile = self.plant.terms.contract.in_force(now);
        let around = Around {
            book: self.book(),
            blind: &Intervals::default(),
            lines: &self.lines_of(incident),
            profile,
            now,
        };
        of_incident(incident, around, |subject| self.known(subject))
    }

    /// What an incident takes of the lines, as far as it is known.
    fn loss(&self, incident: &Incident, now: Utc) -> Option<Loss> {
        let profile = self.plant.terms.contract.in_force(now);
        let lines = self.lines_of(incident);
        lines.loss(incident, profile.lines_up_percent_min, now)
    }

    /// The same as pages show it.
    pub(super) fn loss_now(&self, incident: &Incident, now: Utc) -> Option<LossView> {
        let loss = self.loss(incident, now)?;
        let part = loss.shown()?;
        Some(LossView {
            extent: part.extent.as_str(),
            down: part.down,
            of: part.of,
            words: words_fr::extent(part.extent == Extent::Total, part.down, part.of),
            line_minutes_lost: loss.line_time.as_secs_f64() / 60.0,
        })
    }

    /// The lines in the time of an incident.
    fn lines_of(&self, incident: &Incident) -> Lines<'_> {
        self.incidents
            .lines(incident.started().map(|start| start.at))
    }
}

impl Engine {
    /// What people call it; what is watched no more keeps its short name.
    pub(super) fn called<'s>(&'s self, subject: &'s Subject) -> &'s str {
        self.known(subject).name
    }

    fn known<'s>(&'s self, subject: &'s Subject) -> Known<'s> {
        let watched = self.described.get(subject);
        let id = match subject {
            Subject::Target(id) => id.as_str(),
            Subject::Line(id) => id.as_str(),
        };
        Known {
            name: watched.map_or(id, |watched| &watched.name),
            support: watched
                .and_then(|watched| Support::named(&watched.support))
                .unwrap_or(Support::Untold),
        }
    }

    /// Its folder of the inventory; lines have none.
    pub(super) fn group_of(&self, subject: &Subject) -> Option<String> {
        let watched = self.described.get(subject)?;
        (!watched.group.is_empty()).then(|| watched.group.clone())
    }
}

//! IC1 to IC7 over a month or a half-year: n of N, each item with its verdict and the facts it rests on.
//!
//! An item that has a clock belongs to the period in which it was restored or solved; its down time is split by
//! period. A half-year is computed from the same facts as its months, never from their figures. Nothing in the
//! denominator is *not applicable*, never 100 %.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use super::clock::{Clock, Measured, Outage, Verdict};
use super::contract::{Calendars, Contract, Indicator, Profile, Promise, Support};
use super::exclusion::Exclusion;
use super::extent::Extent;
use super::interval::Interval;
use super::ledger::Coverage;
use super::period::Period;
use super::ticket::{Kind, Ticket};
use crate::incident::IncidentId;
use crate::incident::span::Bounds;
use crate::time::Utc;

/// All that figures are made of.
#[derive(Clone, Copy, Debug)]
pub struct Material<'a> {
    /// One for each incident and indicator.
    pub outages: &'a [Outage],
    pub tickets: &'a [Ticket],
    /// How much of the period was looked at, for the indicators that are measured.
    pub coverage: &'a BTreeMap<Indicator, Coverage>,
    pub contract: &'a Contract,
    pub calendars: &'a Calendars,
    /// Until when facts are known.
    pub now: Utc,
}

/// One indicator of one period.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    pub indicator: Indicator,
    pub period: Period,
    /// Version of the profile in force at the end of the period; each item has its own.
    pub profile: u32,
    /// n: items that kept what was promised.
    pub kept: u32,
    /// N: items that count.
    pub of: u32,
    /// Of N, those that two people have to look at; none of them is among n.
    pub to_qualify: u32,
    /// `None` if nothing counts.
    pub percent: Option<f64>,
    pub objective_percent: u32,
    pub verdict: Verdict,
    pub items: Vec<Item>,
    /// What is not over at the end of the period; it is judged in that of its end. For IC1 and IC2, which
    /// count what was opened, the part of N that is not resolved.
    pub carried: Vec<Item>,
    /// IC2: incidents without a ticket and tickets without an incident of ours.
    pub orphans: Vec<Of>,
    /// IC5 to IC7: time really down that lies in the period, of all outages together.
    pub down: Duration,
    /// IC6: line-minutes lost in the period, of all lines, raw, whether their outage counts or not.
    pub line_time: Option<Duration>,
    pub coverage_percent: Option<f64>,
    /// It was looked at for less than the profile asks.
    pub marked: bool,
    /// Every fact used, in order.
    pub facts: Vec<u64>,
}

/// What an item is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    Incident(IncidentId),
    Ticket(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    pub of: Of,
    pub subject: String,
    /// Of the profile that judged it.
    pub profile: u32,
    pub verdict: Verdict,
    pub limit: Option<Duration>,
    pub raw: Option<Measured>,
    pub net: Option<Measured>,
    /// Of its down time, what lies in the period.
    pub down: Duration,
    /// IC6: the worst that it was. One that was only partial, and of no emergency line, is not judged.
    pub extent: Option<Extent>,
    /// IC6: line-minutes lost in the period, raw.
    pub line_time: Option<Duration>,
    /// What the net figure leaves out, and who agreed.
    pub exclusions: Vec<Exclusion>,
    pub facts: Vec<u64>,
}

/// Items that belong to a period, and those that only pass through it.
#[derive(Debug, Default)]
struct Sorted {
    items: Vec<Item>,
    carried: Vec<Item>,
    orphans: Vec<Of>,
    down: Duration,
    line_time: Option<Duration>,
}

impl Material<'_> {
    /// All seven, in order.
    #[must_use]
    pub fn figures(&self, period: Period) -> Vec<Figure> {
        let figures = Indicator::ALL.iter();
        figures
            .filter_map(|indicator| self.figure(*indicator, period))
            .collect()
    }

    /// `None` for a period that no clock here can show.
    #[must_use]
    pub fn figure(&self, indicator: Indicator, period: Period) -> Option<Figure> {
        let time = period.time()?;
        let sorted = match indicator {
            Indicator::Ic1 => self.requests_received(time),
            Indicator::Ic2 => self.incidents_opened(time),
            Indicator::Ic3 => self.tickets_solved(Kind::Request, time),
            Indicator::Ic4 => self.tickets_solved(Kind::Incident, time),
            Indicator::Ic5 | Indicator::Ic6 | Indicator::Ic7 => self.outages(indicator, time),
        };
        let profile = self.contract.in_force(Utc(time.until.0 - 1));
        let coverage = self.coverage.get(&indicator).copied();
        Some(sorted.into_figure(indicator, period, profile, coverage, self.now < time.until))
    }

    /// IC1: what was received in the period; kept if it was solved in it.
    fn requests_received(&self, time: Interval) -> Sorted {
        let mut sorted = Sorted::default();
        for ticket in self.of_kind(Kind::Request) {
            if time.contains(ticket.opened.bounds.at) {
                sorted.add_rated(self.rated(ticket, is_solved(ticket, time.until)));
            }
        }
        sorted
    }

    /// IC2: tickets and incidents of ours, each incident once, resolved by either.
    fn incidents_opened(&self, time: Interval) -> Sorted {
        let mut sorted = Sorted::default();
        let mut told: BTreeSet<IncidentId> = BTreeSet::new();
        for ticket in self.of_kind(Kind::Incident) {
            told.extend(ticket.incident);
            if !time.contains(ticket.opened.bounds.at) {
                continue;
            }
            let ours = self.outages_of(ticket.incident);
            let is_resolved = is_solved(ticket, time.until)
                || ours.is_some_and(|ours| are_over(&ours, time.until));
            let mut item = self.rated(ticket, is_resolved);
            match self.outages_of(ticket.incident) {
                Some(ours) => item.facts = facts_of(&ours),
                None => sorted.orphans.push(item.of.clone()),
            }
            sorted.add_rated(item);
        }
        let untold: BTreeSet<IncidentId> = self
            .outages
            .iter()
            .map(|outage| outage.incident)
            .filter(|incident| !told.contains(incident))
            .collect();
        for incident in untold {
            let ours = self.outages_of(Some(incident)).unwrap_or_default();
            let begun = ours.iter().filter_map(|outage| outage.began()).min();
            if begun.is_some_and(|begun| time.contains(begun)) {
                let subject = ours.first().map(|outage| outage.subject.clone());
                sorted.orphans.push(Of::Incident(incident));
                sorted.add_rated(Item {
                    of: Of::Incident(incident),
                    subject: subject.unwrap_or_default(),
                    facts: facts_of(&ours),
                    ..self.unjudged(begun.unwrap_or(time.from), are_over(&ours, time.until))
                });
            }
        }
        sorted
    }

    /// IC3 and IC4: what was solved in the period, against its limit.
    fn tickets_solved(&self, kind: Kind, time: Interval) -> Sorted {
        let mut sorted = Sorted::default();
        for ticket in self.of_kind(kind) {
            let solved = ticket.solved.as_ref().map(|solved| solved.bounds);
            match solved {
                Some(solved) if time.contains(solved.at) => {
                    sorted.items.push(self.judged(ticket, solved, true));
                }
                Some(solved) if solved.at < time.from => {}
                Some(_) | None if ticket.opened.bounds.at < time.until => {
                    let so_far = Bounds::exactly(time.until.min(self.now));
                    sorted.carried.push(self.judged(ticket, so_far, false));
                }
                Some(_) | None => {}
            }
        }
        sorted
    }

    /// IC5 to IC7: what was restored in the period, against its limit.
    fn outages(&self, indicator: Indicator, time: Interval) -> Sorted {
        let mut sorted = Sorted {
            line_time: (indicator == Indicator::Ic6).then_some(Duration::ZERO),
            ..Sorted::default()
        };
        for outage in self
            .outages
            .iter()
            .filter(|outage| outage.indicator == indicator)
        {
            let (begun, end) = (outage.began(), outage.over());
            if begun.is_none_or(|begun| begun >= time.until)
                || end.is_some_and(|end| end < time.from)
            {
                continue;
            }
            let profile = self.contract.in_force(end.unwrap_or(self.now));
            let Some(clock) = Clock::new(outage, profile, self.calendars) else {
                continue;
            };
            let reading = clock.reading(self.now);
            let line_time = (indicator == Indicator::Ic6).then(|| outage.line_time(time, self.now));
            let item = Item {
                of: Of::Incident(outage.incident),
                subject: outage.subject.clone(),
                profile: reading.profile,
                verdict: reading.verdict,
                limit: Some(reading.limit),
                raw: reading.counted.map(|counted| counted.raw),
                net: reading.counted.map(|counted| counted.net),
                down: outage.down(self.now).within(time).total(),
                extent: outage.extent,
                line_time,
                exclusions: outage.exclusions.clone(),
                facts: reading.facts,
            };
            sorted.down += item.down;
            sorted.line_time = sorted
                .line_time
                .zip(line_time)
                .map(|(sum, more)| sum + more);
            if end.is_some_and(|end| time.contains(end)) {
                sorted.items.push(item);
            } else {
                sorted.carried.push(item);
            }
        }
        sorted
    }

    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Ticket> {
        self.tickets
            .iter()
            .filter(move |ticket| ticket.kind == kind)
    }

    /// `None` if there is no such incident.
    fn outages_of(&self, incident: Option<IncidentId>) -> Option<Vec<&Outage>> {
        let incident = incident?;
        let ours = self
            .outages
            .iter()
            .filter(|outage| outage.incident == incident);
        let ours: Vec<&Outage> = ours.collect();
        (!ours.is_empty()).then_some(ours)
    }

    /// A ticket that only counts as resolved or not.
    fn rated(&self, ticket: &Ticket, is_resolved: bool) -> Item {
        Item {
            of: Of::Ticket(ticket.id.clone()),
            subject: ticket.category.clone(),
            ..self.unjudged(ticket.opened.bounds.at, is_resolved)
        }
    }

    fn unjudged(&self, opened: Utc, is_resolved: bool) -> Item {
        Item {
            of: Of::Ticket(String::new()),
            subject: String::new(),
            profile: self.contract.in_force(opened).version,
            verdict: if is_resolved {
                Verdict::Compliant
            } else {
                Verdict::Running
            },
            limit: None,
            raw: None,
            net: None,
            down: Duration::ZERO,
            extent: None,
            line_time: None,
            exclusions: Vec::new(),
            facts: Vec::new(),
        }
    }

    /// A ticket against its limit, until it was solved or as far as is known.
    fn judged(&self, ticket: &Ticket, until: Bounds, is_solved: bool) -> Item {
        let profile = self.contract.in_force(until.at);
        let promise = promise_of(ticket, profile);
        let calendar = self.calendars.of(promise.hours, Support::Untold);
        let net = ticket.handled_in(calendar, until);
        let judged = net.judge(promise.limit);
        let verdict = if is_solved || judged == Verdict::Breach {
            judged
        } else {
            Verdict::Running
        };
        Item {
            of: Of::Ticket(ticket.id.clone()),
            subject: ticket.category.clone(),
            profile: profile.version,
            verdict,
            limit: Some(promise.limit),
            raw: Some(Measured::between(
                ticket.opened.bounds,
                until,
                Interval::length,
            )),
            net: Some(net),
            down: Duration::ZERO,
            extent: None,
            line_time: None,
            exclusions: Vec::new(),
            facts: Vec::new(),
        }
    }
}

impl Sorted {
    /// Counts in N either way; carried too if it is not resolved.
    fn add_rated(&mut self, item: Item) {
        if item.verdict == Verdict::Running {
            self.carried.push(item.clone());
        }
        self.items.push(item);
    }

    fn into_figure(
        self,
        indicator: Indicator,
        period: Period,
        profile: &Profile,
        coverage: Option<Coverage>,
        is_running: bool,
    ) -> Figure {
        let count = |of: &dyn Fn(Verdict) -> bool| -> u32 {
            let items = self.items.iter().filter(|item| of(item.verdict)).count();
            u32::try_from(items).unwrap_or(u32::MAX)
        };
        let kept = count(&|verdict| verdict == Verdict::Compliant);
        let to_qualify = count(&|verdict| verdict == Verdict::ToQualify);
        let broken = count(&|verdict| verdict == Verdict::Breach);
        let of = count(&|verdict| verdict != Verdict::NotApplicable);
        let objective_percent = profile.objective_percent(indicator);
        let reaches =
            |kept: u32| u64::from(kept) * 100 >= u64::from(objective_percent) * u64::from(of);
        let verdict = if is_running {
            // What is to come cannot mend a promise that binds each item.
            if broken > 0 && objective_percent == 100 {
                Verdict::Breach
            } else {
                Verdict::Running
            }
        } else if of == 0 {
            Verdict::NotApplicable
        } else if reaches(kept) {
            Verdict::Compliant
        } else if reaches(kept + to_qualify) {
            Verdict::ToQualify
        } else {
            Verdict::Breach
        };
        let used = self
            .items
            .iter()
            .chain(&self.carried)
            .flat_map(|item| &item.facts);
        let facts: BTreeSet<u64> = used.copied().collect();
        Figure {
            indicator,
            period,
            profile: profile.version,
            kept,
            of,
            to_qualify,
            percent: (of > 0).then(|| f64::from(kept) * 100.0 / f64::from(of)),
            objective_percent,
            verdict,
            coverage_percent: coverage.and_then(Coverage::percent),
            marked: coverage
                .is_some_and(|coverage| !coverage.reaches(profile.coverage_min_percent)),
            items: self.items,
            carried: self.carried,
            orphans: self.orphans,
            down: self.down,
            line_time: self.line_time,
            facts: facts.into_iter().collect(),
        }
    }
}

/// IC3 for a request, IC4 for an incident, by what it concerns.
const fn promise_of(ticket: &Ticket, profile: &Profile) -> Promise {
    match ticket.kind {
        Kind::Request => profile.request,
        Kind::Incident if ticket.infrastructure => profile.infrastructure,
        Kind::Incident => profile.office,
    }
}

fn is_solved(ticket: &Ticket, before: Utc) -> bool {
    let solved = ticket.solved.as_ref();
    solved.is_some_and(|solved| solved.bounds.at < before)
}

fn are_over(outages: &[&Outage], before: Utc) -> bool {
    outages
        .iter()
        .all(|outage| outage.over().is_some_and(|end| end < before))
}

fn facts_of(outages: &[&Outage]) -> Vec<u64> {
    let facts: BTreeSet<u64> = outages
        .iter()
        .flat_map(|outage| outage.all_facts())
        .collect();
    facts.into_iter().collect()
}

#[cfg(test)]
mod tests;

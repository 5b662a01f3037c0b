//! The restoration clock of one outage: how long, at best and at worst, raw and net, and what is left.
//!
//! *Raw* is what the clock on the wall says from start to end. *Net* is what the contract counts of it: the
//! open hours, without what is excluded. The clock runs from the first start to the last end of an incident and
//! never stops between; the time in which it really was down stands beside.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::calendar::Calendar;
use super::contract::{Calendars, Indicator, Profile, Promise, Start, Support};
use super::exclusion::{Exclusion, excluded_time};
use super::extent::{self, Extent};
use super::interval::{Interval, Intervals};
use crate::incident::IncidentId;
use crate::incident::span::{Bounds, Span};
use crate::probe::Word;
use crate::time::Utc;

/// What is known of one incident for one indicator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outage {
    pub incident: IncidentId,
    /// IC5, IC6 or IC7.
    pub indicator: Indicator,
    /// What failed, as people name it.
    pub subject: String,
    pub support: Support,
    /// What counts, in order of their starts. One that is only degraded starts no clock, but a clock that runs
    /// ends with it: restored is a line that sounds well.
    pub spans: Vec<Span>,
    /// IC6: each line that failed, whether it counts or not.
    pub lines: Vec<FailedLine>,
    /// IC6: the worst that it was; `None` if no line was down.
    pub extent: Option<Extent>,
    /// Confirmed (T1).
    pub detected: Option<Utc>,
    /// The customer said so.
    pub declared: Option<Utc>,
    /// Agreed ones only.
    pub exclusions: Vec<Exclusion>,
    /// When nobody looked.
    pub blind: Intervals,
    /// Numbers of all facts that say so.
    pub facts: Vec<u64>,
}

/// A line that failed, counted or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedLine {
    pub name: String,
    pub spans: Vec<Span>,
}

/// A duration that probes can only bracket: `best <= value <= worst`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    pub value: Duration,
    pub best: Duration,
    pub worst: Duration,
}

/// What can be said before a committee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Even the worst bound keeps the limit.
    Compliant,
    /// Even the best bound breaks it.
    Breach,
    /// The limit lies between the bounds: two people look at outside evidence.
    ToQualify,
    /// It still runs, and even the best bound has not broken the limit yet.
    Running,
    /// Nothing to judge: no clock ran, or all of its time is excluded.
    NotApplicable,
}

/// One way to count, both figures side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Counted {
    pub from: Bounds,
    pub raw: Measured,
    pub net: Measured,
}

/// All that a clock shows at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reading {
    pub profile: u32,
    pub start: Start,
    pub limit: Duration,
    /// `None`: it runs, and the figures are those of now.
    pub end: Option<Bounds>,
    /// By the start that the profile chooses; `None` if that never came.
    pub counted: Option<Counted>,
    /// By each start that there is.
    pub by_start: Vec<(Start, Counted)>,
    /// Time really down or degraded since the first failure, raw: relapses apart.
    pub down: Duration,
    /// Of it nobody looked for so long: *non mesuré*.
    pub unmeasured: Duration,
    /// Open time that exclusions took from the value.
    pub excluded: Duration,
    pub verdict: Verdict,
    pub at_risk_at: Option<Utc>,
    pub deadline: Option<Utc>,
    pub facts: Vec<u64>,
}

/// What a countdown shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Left {
    /// Open time that is left.
    Time(Duration),
    /// It is this much over.
    Over(Duration),
}

/// An outage under one profile.
#[derive(Clone, Debug)]
pub struct Clock<'a> {
    outage: &'a Outage,
    profile: &'a Profile,
    promise: Promise,
    calendar: &'a Calendar,
    excluded: Intervals,
}

impl Measured {
    #[must_use]
    pub const fn exactly(value: Duration) -> Self {
        Self {
            value,
            best: value,
            worst: value,
        }
    }

    /// Of something that ended.
    #[must_use]
    pub fn judge(self, limit: Duration) -> Verdict {
        if self.worst <= limit {
            Verdict::Compliant
        } else if self.best > limit {
            Verdict::Breach
        } else {
            Verdict::ToQualify
        }
    }

    /// Counts from one moment to another by `count`, for what was seen and for both extremes.
    pub(super) fn between(
        from: Bounds,
        until: Bounds,
        count: impl Fn(Interval) -> Duration,
    ) -> Self {
        Self {
            value: count(Interval::new(from.at, until.at)),
            best: count(Interval::new(from.latest, until.earliest)),
            worst: count(Interval::new(from.earliest, until.latest)),
        }
    }
}

impl Outage {
    /// When it began to fail: the start of the first span that was down.
    #[must_use]
    pub fn fact(&self) -> Option<Bounds> {
        let down = self.spans.iter().find(|span| span.word == Word::Down)?;
        Some(self.doubted(down.start))
    }

    /// When all worked again; `None` while something does not.
    #[must_use]
    pub fn end(&self) -> Option<Bounds> {
        let ends: Option<Vec<Bounds>> = self.spans.iter().map(|span| span.end).collect();
        let last = ends?.into_iter().max_by_key(|end| end.at)?;
        Some(self.doubted(last))
    }

    /// When something began to be down, counted or not.
    #[must_use]
    pub fn began(&self) -> Option<Utc> {
        let uncounted = self.lines.iter().flat_map(|line| &line.spans);
        let down = uncounted.filter(|span| span.word == Word::Down);
        let fact = self.fact().map(|fact| fact.at);
        down.map(|span| span.start.at).chain(fact).min()
    }

    /// When all of it worked again, counted or not; `None` while something does not.
    #[must_use]
    pub fn over(&self) -> Option<Utc> {
        let uncounted = self.lines.iter().flat_map(|line| &line.spans);
        let ends: Option<Vec<Utc>> = self
            .spans
            .iter()
            .chain(uncounted)
            .map(|span| span.end.map(|end| end.at))
            .collect();
        ends?.into_iter().max()
    }

    /// Line-minutes lost in that time: each line by itself, counted or not, raw.
    #[must_use]
    pub fn line_time(&self, time: Interval, now: Utc) -> Duration {
        let lines = self.lines.iter();
        lines
            .map(|line| extent::down(&line.spans, now).within(time).total())
            .sum()
    }

    #[must_use]
    pub fn starts_at(&self, start: Start) -> Option<Bounds> {
        match start {
            Start::Fact => self.fact(),
            Start::Detected => self.detected.map(Bounds::exactly),
            Start::Declared => self.declared.map(Bounds::exactly),
        }
    }

    /// The time in which it was down, or degraded after that, as far as `now`.
    #[must_use]
    pub fn down(&self, now: Utc) -> Intervals {
        let since = self.fact().map_or(now, |fact| fact.at);
        self.spans
            .iter()
            .map(|span| Interval::new(span.start.at.max(since), span.end.map_or(now, |end| end.at)))
            .collect()
    }

    /// Every fact that its figures rest on, in order.
    #[must_use]
    pub fn all_facts(&self) -> Vec<u64> {
        let of_spans = self.spans.iter().flat_map(|span| &span.facts);
        let of_exclusions = self.exclusions.iter();
        let of_exclusions = of_exclusions.flat_map(|known| [&known.fact, &known.approval]);
        let all = self.facts.iter().chain(of_spans).chain(of_exclusions);
        let facts: BTreeSet<u64> = all.copied().collect();
        facts.into_iter().collect()
    }

    /// A change that was seen first after nobody had looked may be as old as the blindness.
    fn doubted(&self, change: Bounds) -> Bounds {
        let unseen = self.blind.iter().find(|blind| {
            blind.from < change.at && (blind.until > change.earliest || blind.until >= change.at)
        });
        Bounds {
            earliest: unseen.map_or(change.earliest, |blind| blind.from.min(change.earliest)),
            ..change
        }
    }

    /// Now, as an end that did not come: while nobody looks it may have come already.
    fn not_yet(&self, now: Utc) -> Bounds {
        let blind = self
            .blind
            .iter()
            .find(|blind| blind.from < now && now <= blind.until);
        Bounds {
            at: now,
            earliest: blind.map_or(now, |blind| blind.from),
            latest: now,
        }
    }
}

impl<'a> Clock<'a> {
    /// `None` if the indicator of the outage promises no time.
    #[must_use]
    pub fn new(outage: &'a Outage, profile: &'a Profile, calendars: &'a Calendars) -> Option<Self> {
        let promise = profile.promise(outage.indicator)?;
        Some(Self {
            outage,
            profile,
            promise,
            calendar: calendars.of(promise.hours, outage.support),
            excluded: excluded_time(&outage.exclusions),
        })
    }

    /// The figures by one start; `None` if that start never came.
    #[must_use]
    pub fn counted(&self, start: Start, now: Utc) -> Option<Counted> {
        let from = self.outage.starts_at(start)?;
        // Without a span that was down there is nothing to restore, whoever declared it.
        self.outage.fact()?;
        let until = self
            .outage
            .end()
            .unwrap_or_else(|| self.outage.not_yet(now));
        Some(Counted {
            from,
            raw: Measured::between(from, until, Interval::length),
            net: Measured::between(from, until, |time| self.net(time)),
        })
    }

    /// All figures as of `now`.
    #[must_use]
    pub fn reading(&self, now: Utc) -> Reading {
        let start = self.profile.start;
        let counted = self.counted(start, now);
        let end = self.outage.end();
        let until = end.map_or(now, |end| end.at);
        let down = self.outage.down(now);
        Reading {
            profile: self.profile.version,
            start,
            limit: self.promise.limit,
            end,
            counted,
            by_start: [Start::Fact, Start::Detected, Start::Declared]
                .into_iter()
                .filter_map(|start| Some((start, self.counted(start, now)?)))
                .collect(),
            unmeasured: down.intersection(&self.outage.blind).total(),
            down: down.total(),
            excluded: counted.map_or(Duration::ZERO, |counted| {
                let whole = Interval::new(counted.from.at, until);
                let open = self.calendar.open_within(whole);
                open.intersection(&self.excluded).total()
            }),
            verdict: self.verdict(now),
            at_risk_at: self.used_up(self.profile.risk(self.promise.limit)),
            deadline: self.deadline(),
            facts: self.outage.all_facts(),
        }
    }

    #[must_use]
    pub fn verdict(&self, now: Utc) -> Verdict {
        let Some(counted) = self.counted(self.profile.start, now) else {
            return Verdict::NotApplicable;
        };
        let judged = counted.net.judge(self.promise.limit);
        if self.outage.end().is_none() {
            return if judged == Verdict::Breach {
                Verdict::Breach
            } else {
                Verdict::Running
            };
        }
        if counted.net.worst.is_zero() && !self.excluded.is_empty() {
            return Verdict::NotApplicable;
        }
        judged
    }

    /// What is left of the limit, or how far it is over; `None` if no clock runs.
    #[must_use]
    pub fn left(&self, now: Utc) -> Option<Left> {
        let used = self.counted(self.profile.start, now)?.net.value;
        Some(match self.promise.limit.checked_sub(used) {
            Some(left) => Left::Time(left),
            None => Left::Over(used.saturating_sub(self.promise.limit)),
        })
    }

    /// When the open time is used up; always in open hours, or as they end.
    #[must_use]
    pub fn deadline(&self) -> Option<Utc> {
        self.used_up(self.promise.limit)
    }

    /// When so much of the limit is used that it is at risk.
    #[must_use]
    pub fn at_risk_at(&self) -> Option<Utc> {
        self.used_up(self.profile.risk(self.promise.limit))
    }

    fn used_up(&self, budget: Duration) -> Option<Utc> {
        self.outage.fact()?;
        let from = self.outage.starts_at(self.profile.start)?.at;
        self.calendar.after_open_time(from, budget, &self.excluded)
    }

    /// What the contract counts of this time.
    fn net(&self, time: Interval) -> Duration {
        let open = self.calendar.open_within(time);
        open.subtract(&self.excluded).total()
    }
}

#[cfg(test)]
pub(super) mod tests;

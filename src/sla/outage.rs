//! From an incident to what the contract counts of it: one outage for each indicator that it touches.

use std::collections::BTreeMap;

use super::clock::{FailedLine, Outage};
use super::contract::{Indicator, Profile, Support};
use super::exclusion::{Exclusion, Ground, excluded_time};
use super::extent::Lines;
use super::interval::{Interval, Intervals};
use crate::health::standing::Subject;
use crate::incident::act::What;
use crate::incident::book::{Book, Incident};
use crate::incident::span::Span;
use crate::probe::Word;
use crate::time::Utc;

/// A target or line, as the contract knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known<'n> {
    pub name: &'n str,
    pub support: Support,
}

/// What an incident is read against.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    pub book: &'a Book,
    /// When nobody looked.
    pub blind: &'a Intervals,
    pub lines: &'a Lines<'a>,
    pub profile: &'a Profile,
    /// As far as is known.
    pub now: Utc,
}

impl Profile {
    /// The indicator that an outage of this counts for.
    #[must_use]
    pub fn of_subject(&self, subject: &Subject) -> Indicator {
        match subject {
            Subject::Line(_) => Indicator::Ic6,
            Subject::Target(id) => self.of_target(id.as_str()),
        }
    }
}

/// What `incident` is for the contract: the failures of its lines, of its web site, of the rest.
#[must_use]
pub fn of_incident<'n>(
    incident: &'n Incident,
    around: Around<'_>,
    known: impl Fn(&'n Subject) -> Known<'n>,
) -> Vec<Outage> {
    let Around {
        book,
        blind,
        lines,
        profile,
        now,
    } = around;
    let up_percent_min = profile.lines_up_percent_min;
    let mut outages: BTreeMap<Indicator, Outage> = BTreeMap::new();
    // What failed and nobody excuses.
    let mut still: BTreeMap<Indicator, Intervals> = BTreeMap::new();
    for (subject, spans) in &incident.members {
        let indicator = profile.of_subject(subject);
        let Known { name, support } = known(subject);
        let outage = outages.entry(indicator).or_insert_with(|| Outage {
            incident: incident.id,
            indicator,
            subject: name.to_owned(),
            support,
            spans: Vec::new(),
            lines: Vec::new(),
            extent: None,
            detected: Some(incident.detected),
            declared: incident.declared,
            exclusions: Vec::new(),
            blind: blind.clone(),
            facts: Vec::new(),
        });
        if *subject == incident.cause {
            name.clone_into(&mut outage.subject);
        }
        // Of several hours the longest: a figure may be too severe then, never too kind.
        if support != Support::Ho {
            outage.support = support;
        }
        let counted = match subject {
            Subject::Target(_) => spans.clone(),
            Subject::Line(line) => {
                outage.lines.push(FailedLine {
                    name: name.to_owned(),
                    spans: spans.clone(),
                });
                let (counted, facts) = lines.counted(line, spans, up_percent_min);
                outage.facts.extend(facts);
                counted
            }
        };
        let agreed = exclusions(book, subject, &counted);
        let failing: Intervals = counted.iter().map(lasting).collect();
        outage.spans.extend(counted);
        let counted = failing.subtract(&excluded_time(&agreed));
        let known = still.entry(indicator).or_default();
        *known = known.union(&counted);
        outage.exclusions.extend(agreed);
    }
    outages
        .into_values()
        .map(|mut outage| {
            outage.spans.sort_by_key(|span| span.start.at);
            if let Some(still) = still.get(&outage.indicator) {
                outage.exclusions = excused(outage.exclusions, still);
            }
            if outage.indicator == Indicator::Ic6 {
                let loss = lines.loss(incident, up_percent_min, now);
                outage.extent = loss.map(|loss| loss.extent);
            }
            outage.facts = facts(&outage);
            outage
        })
        .collect()
}

/// One excuses no other: an exclusion counts where all that fails is excluded.
fn excused(exclusions: Vec<Exclusion>, still: &Intervals) -> Vec<Exclusion> {
    let parts = exclusions.into_iter().flat_map(|exclusion| {
        let time: Intervals = std::iter::once(exclusion.time).collect();
        let left: Vec<Interval> = time.subtract(still).iter().collect();
        left.into_iter().map(move |time| Exclusion {
            time,
            ..exclusion.clone()
        })
    });
    parts.collect()
}

/// From the first failed to the first good probe; what still fails does so for ever.
fn lasting(span: &Span) -> Interval {
    let until = span.end.map_or(Utc(i64::MAX), |end| end.at);
    Interval::new(span.start.at, until)
}

fn facts(outage: &Outage) -> Vec<u64> {
    let uncounted = outage.lines.iter().flat_map(|line| &line.spans);
    let spans = outage.spans.iter().chain(uncounted);
    let of_spans = spans.flat_map(|span| &span.facts).copied();
    let of_exclusions = outage.exclusions.iter().flat_map(|exclusion| {
        let approved = exclusion.approval;
        [exclusion.fact, approved]
    });
    let already = outage.facts.iter().copied();
    let mut facts: Vec<u64> = of_spans.chain(of_exclusions).chain(already).collect();
    facts.sort_unstable();
    facts.dedup();
    facts
}

/// What two people agreed on for this subject, as far as it touches these spans.
fn exclusions(book: &Book, subject: &Subject, spans: &[Span]) -> Vec<Exclusion> {
    let touches = |time: Interval| {
        spans.iter().any(|span| {
            span.start.earliest < time.until && span.end.is_none_or(|end| time.from < end.latest)
        })
    };
    let agreed = book.agreed();
    agreed
        .filter_map(|(fact, proposal)| {
            let approval = proposal.approved.as_ref()?;
            let (of, time, ground, text, sha256) = not_counted(&proposal.act.what)?;
            (of == subject && touches(time)).then(|| Exclusion {
                fact,
                time,
                ground,
                author: proposal.act.author.clone(),
                approver: approval.by.clone(),
                approval: approval.fact,
                reason: text.to_owned(),
                sha256: sha256.to_owned(),
            })
        })
        .collect()
}

/// Time that leaves the net figure: what was excluded, and what was corrected to have worked.
fn not_counted(what: &What) -> Option<(&Subject, Interval, Ground, &str, &str)> {
    if let What::Exclude {
        subject,
        from,
        until,
        reason,
        text,
        sha256,
    } = what
    {
        return Some((subject, Interval::new(*from, *until), *reason, text, sha256));
    }
    if let What::Correct {
        subject,
        from,
        until,
        word: Word::Good | Word::Degraded,
        text,
    } = what
    {
        let time = Interval::new(*from, *until);
        return Some((subject, time, Ground::Corrected, text, ""));
    }
    None
}

//! What a restoration clock has to show, counted second by second, and what has to hold when an outage is split,
//! paused or made longer. It shares the list of holidays with `sla`, and no arithmetic.

use std::time::Duration;

use jiff::civil::{Date, Weekday};

use super::property::Moment;
use super::sabotage::Sabotage;
use crate::incident::span::{Bounds, Span};
use crate::probe::Word;
use crate::sla::clock::{Clock, Counted, Outage};
use crate::sla::contract::{Hours, Start, Support, Terms};
use crate::sla::exclusion::{Exclusion, Ground};
use crate::sla::holiday::Holidays;
use crate::sla::interval::Interval;
use crate::time::Utc;

/// Of longer times every minute is counted, not every second: people merge incidents of different days.
const BY_SECONDS_UP_TO: Duration = Duration::from_secs(6 * 3_600);

/// Tells of an outage that ended: is it counted as it should be?
pub(super) fn audit(
    outage: &Outage,
    terms: &Terms,
    sabotage: Sabotage,
    now: Utc,
    tell: &mut impl FnMut(&Moment<'_>),
) {
    let count = |outage: &Outage| counted(outage, terms, sabotage, now);
    let Some((whole, promise)) = count(outage) else {
        return;
    };
    let from = whole.from.at;
    let until = from + whole.raw.value;
    let is_always = match promise {
        Hours::OfTarget => outage.support != Support::Ho,
        Hours::Always(support) => support != Support::Ho,
    };
    let (seconds, edges) = seconds(from, until, is_always, &outage.exclusions);
    tell(&Moment::Counted {
        incident: outage.incident,
        net: whole.net.value,
        seconds,
        edges,
    });
    let mut vary = |what, sum: Duration, holds: fn(Duration, Duration) -> bool| {
        tell(&Moment::Varied {
            incident: outage.incident,
            what,
            before: whole.net.value,
            after: sum,
            holds: holds(whole.net.value, sum),
        });
    };
    let net =
        |outage: &Outage| count(outage).map_or(Duration::ZERO, |(counted, _)| counted.net.value);
    let lasting = until.since(from);
    let middle = from + lasting.mul_f64(0.37);
    let parts = net(&one_span(outage, from, middle)) + net(&one_span(outage, middle, until));
    vary("split in two", parts, |before, after| before == after);
    let paused = Outage {
        exclusions: outage
            .exclusions
            .iter()
            .cloned()
            .chain([pause(from + lasting / 3, from + lasting / 2)])
            .collect(),
        ..outage.clone()
    };
    vary("paused", net(&paused), |before, after| after <= before);
    let longer = one_span(outage, from, until + Duration::from_secs(600));
    vary("made longer", net(&longer), |before, after| before <= after);
}

/// By the start that counts what callers suffered, and the hours that were promised.
pub(super) fn counted(
    outage: &Outage,
    terms: &Terms,
    sabotage: Sabotage,
    now: Utc,
) -> Option<(Counted, Hours)> {
    let profile = terms.contract.in_force(now);
    let hours = profile.promise(outage.indicator)?.hours;
    let read = sabotage.reads(outage);
    let outage = read.as_ref().unwrap_or(outage);
    let clock = Clock::new(outage, profile, &terms.calendars)?;
    Some((clock.counted(Start::Fact, now)?, hours))
}

fn one_span(outage: &Outage, from: Utc, until: Utc) -> Outage {
    Outage {
        spans: vec![Span {
            word: Word::Down,
            start: Bounds::exactly(from),
            end: Some(Bounds::exactly(until)),
            facts: Vec::new(),
        }],
        ..outage.clone()
    }
}

fn pause(from: Utc, until: Utc) -> Exclusion {
    Exclusion {
        fact: 0,
        time: Interval::new(from, until),
        ground: Ground::Operator,
        author: "Léa Durand".into(),
        approver: "Karim Benali".into(),
        approval: 0,
        reason: "une variante".into(),
        sha256: "0".repeat(64),
    }
}

/// How much of the time counts, and how much the sum may be wrong: one step for each edge that lies within one.
fn seconds(from: Utc, until: Utc, is_always: bool, excluded: &[Exclusion]) -> (Duration, Duration) {
    let step = if until.since(from) <= BY_SECONDS_UP_TO {
        Duration::from_secs(1)
    } else {
        Duration::from_secs(60)
    };
    let mut hours = OfficeHours::default();
    let (mut sum, mut edges, mut before) = (Duration::ZERO, Duration::ZERO, None);
    let mut at = from;
    while at < until {
        let is_out = excluded.iter().any(|one| one.time.contains(at));
        let counts = !is_out && (is_always || hours.include(at));
        let next = (at + step).min(until);
        if counts {
            sum += next.since(at);
        }
        if before
            .replace(counts)
            .is_some_and(|before| before != counts)
        {
            edges += step;
        }
        at = next;
    }
    // An exclusion may be shorter than a step, and fall between two.
    let short = excluded.iter().filter(|one| one.time.length() < step);
    edges += step * u32::try_from(short.count()).unwrap_or(u32::MAX);
    (sum, edges)
}

/// Monday to Friday, 9 h to 18 h in Paris, no holiday; the minute asked last is remembered.
#[derive(Debug, Default)]
struct OfficeHours {
    minute: Option<(i64, bool)>,
    day: Option<(Date, bool)>,
}

impl OfficeHours {
    fn include(&mut self, at: Utc) -> bool {
        const MINUTE_NS: i64 = 60_000_000_000;
        let minute = at.0.div_euclid(MINUTE_NS);
        if let Some((known, is_open)) = self.minute
            && known == minute
        {
            return is_open;
        }
        let civil = Utc(minute * MINUTE_NS).civil();
        let is_open = (9..18).contains(&civil.hour()) && self.is_working_day(civil.date());
        self.minute = Some((minute, is_open));
        is_open
    }

    fn is_working_day(&mut self, day: Date) -> bool {
        if let Some((known, is_one)) = self.day
            && known == day
        {
            return is_one;
        }
        let weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
        let is_one = !weekend && !Holidays::France.include(day);
        self.day = Some((day, is_one));
        is_one
    }
}

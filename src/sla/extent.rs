//! How much of the lines an outage takes, at each moment: all that counts, or a part.
//!
//! It follows from facts alone: which lines there were and what each weighs, and which of them were down when.
//! A degraded line takes calls, and what nobody sees is not down: both count as up. IC6 counts an emergency line
//! whenever it is down, and any other while the outage is total; the line-minutes lost are told of all.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::interval::{Interval, Intervals};
use crate::health::standing::Subject;
use crate::id::LineId;
use crate::incident::book::{Book, Incident};
use crate::incident::span::{Bounds, Span};
use crate::probe::Word;
use crate::time::Utc;

/// What a line weighs when it is said how much is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weight {
    /// Callers in need have no other number: its outage always counts.
    pub emergency: bool,
    /// Calls it can carry at once.
    pub channels: u16,
}

/// The lines that there were, by the facts that told of them.
#[derive(Clone, Debug, Default)]
pub struct Lineups(Vec<Lineup>);

#[derive(Clone, Debug)]
struct Lineup {
    from: Utc,
    fact: u64,
    lines: BTreeMap<LineId, Weight>,
}

/// How many lines are down at a moment, and what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub down: u32,
    pub of: u32,
    emergency: u32,
    emergency_up: u32,
    channels: u32,
    channels_up: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    Partial,
    /// No emergency line is up, or less than the contract asks of all channels.
    Total,
}

/// From one change to the next, while a line is down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub from: Bounds,
    /// `None`: it still is so.
    pub until: Option<Bounds>,
    pub standing: Standing,
    /// Numbers of the facts that say so.
    pub facts: BTreeSet<u64>,
}

/// The lines over time.
#[derive(Clone, Debug)]
pub struct Lines<'l> {
    lineups: &'l Lineups,
    stretches: Vec<Stretch>,
}

/// What one incident took of the lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The worst that it was.
    pub extent: Extent,
    /// In order, while a line of this incident was down.
    pub parts: Vec<Part>,
    /// A minute in which one line was down is a line-minute; raw, of all lines.
    pub line_time: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    pub from: Utc,
    pub until: Option<Utc>,
    pub extent: Extent,
    /// Lines that were down then, those of other incidents too.
    pub down: u32,
    pub of: u32,
}

impl Default for Weight {
    /// What nobody told of counts always: a figure may then be too severe, never too kind.
    fn default() -> Self {
        Self {
            emergency: true,
            channels: 1,
        }
    }
}

impl Lineups {
    /// From now on there are these lines, by the fact of that number.
    pub fn configured(&mut self, fact: u64, at: Utc, lines: BTreeMap<LineId, Weight>) {
        let last = self.0.last();
        if last.is_some_and(|last| last.lines == lines) {
            return;
        }
        // A clock that was set back does not change the order of facts.
        let from = last.map_or(at, |last| last.from.max(at));
        self.0.push(Lineup { from, fact, lines });
    }

    /// The first one also holds for what was before it.
    fn in_force(&self, at: Utc) -> Option<&Lineup> {
        let begun = self.0.iter().rfind(|lineup| lineup.from <= at);
        begun.or_else(|| self.0.first())
    }

    fn weight(&self, line: &LineId, at: Utc) -> Weight {
        let known = self.in_force(at).and_then(|lineup| lineup.lines.get(line));
        known.copied().unwrap_or_default()
    }
}

impl Standing {
    fn of(lines: &BTreeMap<LineId, Weight>, down: &BTreeMap<&LineId, Vec<&Span>>) -> Self {
        let untold = down.keys().filter(|line| !lines.contains_key(**line));
        let untold = untold.map(|line| (*line, Weight::default()));
        let all = lines
            .iter()
            .map(|(line, weight)| (line, *weight))
            .chain(untold);
        let mut standing = Self {
            down: 0,
            of: 0,
            emergency: 0,
            emergency_up: 0,
            channels: 0,
            channels_up: 0,
        };
        for (line, weight) in all {
            let is_down = down.contains_key(line);
            let channels = u32::from(weight.channels);
            standing.of += 1;
            standing.channels += channels;
            standing.emergency += u32::from(weight.emergency);
            if is_down {
                standing.down += 1;
            } else {
                standing.channels_up += channels;
                standing.emergency_up += u32::from(weight.emergency);
            }
        }
        standing
    }

    /// Total if no emergency line is up, or if less than `up_percent_min` of all channels are.
    #[must_use]
    pub const fn extent(&self, up_percent_min: u32) -> Extent {
        let nobody_in_need = self.emergency > 0 && self.emergency_up == 0;
        let too_few = self.channels_up as u64 * 100 < self.channels as u64 * up_percent_min as u64;
        if nobody_in_need || too_few {
            Extent::Total
        } else {
            Extent::Partial
        }
    }
}

/// A moment at which something changes.
struct Edge<'s> {
    at: Bounds,
    change: Change<'s>,
}

#[derive(Clone, Copy)]
enum Change<'s> {
    Down(&'s LineId, &'s Span),
    Up(&'s LineId, &'s Span),
    Lineup,
}

/// Every stretch in which at least one line is down, in order.
fn stretches<'s>(
    lineups: &Lineups,
    spans: impl IntoIterator<Item = (&'s LineId, &'s Span)>,
) -> Vec<Stretch> {
    let mut edges: Vec<Edge<'s>> = Vec::new();
    for (line, span) in spans {
        let is_empty = span.end.is_some_and(|end| end.at <= span.start.at);
        if span.word != Word::Down || is_empty {
            continue;
        }
        edges.push(Edge {
            at: span.start,
            change: Change::Down(line, span),
        });
        edges.extend(span.end.map(|at| Edge {
            at,
            change: Change::Up(line, span),
        }));
    }
    edges.extend(lineups.0.iter().map(|lineup| Edge {
        at: Bounds::exactly(lineup.from),
        change: Change::Lineup,
    }));
    edges.sort_by_key(|edge| edge.at.at);
    let mut down: BTreeMap<&LineId, Vec<&Span>> = BTreeMap::new();
    let mut found: Vec<Stretch> = Vec::new();
    for moment in edges.chunk_by(|one, next| one.at.at == next.at.at) {
        for edge in moment {
            match edge.change {
                Change::Down(line, span) => down.entry(line).or_default().push(span),
                Change::Up(line, span) => {
                    if let Some(spans) = down.get_mut(line) {
                        spans.retain(|known| !std::ptr::eq(*known, span));
                        if spans.is_empty() {
                            down.remove(line);
                        }
                    }
                }
                Change::Lineup => {}
            }
        }
        turn(&mut found, lineups, widest(moment), &down);
    }
    found
}

/// From `at` on these are down.
fn turn(
    found: &mut Vec<Stretch>,
    lineups: &Lineups,
    at: Bounds,
    down: &BTreeMap<&LineId, Vec<&Span>>,
) {
    let lineup = lineups.in_force(at.at);
    let nothing_told = BTreeMap::new();
    let lines = lineup.map_or(&nothing_told, |lineup| &lineup.lines);
    let standing = Standing::of(lines, down);
    let of_spans = down.values().flatten().flat_map(|span| &span.facts);
    let facts = of_spans.copied().chain(lineup.map(|lineup| lineup.fact));
    if let Some(last) = found.last_mut().filter(|last| last.until.is_none()) {
        if last.standing == standing {
            last.facts.extend(facts);
            return;
        }
        last.until = Some(at);
    }
    if !down.is_empty() {
        found.push(Stretch {
            from: at,
            until: None,
            standing,
            facts: facts.collect(),
        });
    }
}

/// Of several changes at one moment the widest doubt: a figure is then left to people rather than decided wrongly.
fn widest(moment: &[Edge<'_>]) -> Bounds {
    let mut bounds = moment[0].at;
    for edge in moment {
        bounds.earliest = bounds.earliest.min(edge.at.earliest);
        bounds.latest = bounds.latest.max(edge.at.latest);
    }
    bounds
}

impl<'l> Lines<'l> {
    /// As the book tells of everything that was not over before `since`; `None`: of all.
    #[must_use]
    pub fn of(lineups: &'l Lineups, book: &Book, since: Option<Utc>) -> Self {
        let concerned = book.incidents().filter(|incident| {
            let closed = incident.closed.zip(since);
            closed.is_none_or(|(closed, since)| closed >= since)
        });
        let spans = concerned
            .flat_map(lines_of)
            .flat_map(|(line, spans)| spans.iter().map(move |span| (line, span)));
        Self {
            lineups,
            stretches: stretches(lineups, spans),
        }
    }

    /// What IC6 counts of the spans of one line, and the facts of other lines that this rests on.
    #[must_use]
    pub fn counted(
        &self,
        line: &LineId,
        spans: &[Span],
        up_percent_min: u32,
    ) -> (Vec<Span>, BTreeSet<u64>) {
        let mut counted: Vec<Span> = Vec::new();
        let mut facts = BTreeSet::new();
        for span in spans {
            if self.lineups.weight(line, span.start.at).emergency {
                counted.push(span.clone());
                continue;
            }
            match span.word {
                Word::Down => {
                    for total in self.total(up_percent_min) {
                        if let Some(part) = shared(span, &total) {
                            counted.push(part);
                            facts.extend(total.facts);
                        }
                    }
                }
                // A clock that runs ends when the line sounds well again.
                Word::Degraded => {
                    let ended = counted.last().and_then(|last| last.end);
                    if ended.is_some_and(|end| end.at == span.start.at) {
                        counted.push(span.clone());
                    }
                }
                Word::Good | Word::Blind => {}
            }
        }
        (counted, facts)
    }

    /// What this incident took; `None` if no line of it was down.
    #[must_use]
    pub fn loss(&self, incident: &Incident, up_percent_min: u32, now: Utc) -> Option<Loss> {
        let mut line_time = Duration::ZERO;
        let mut any = Intervals::default();
        for (_, spans) in lines_of(incident) {
            let down = down(spans, now);
            line_time += down.total();
            any = any.union(&down);
        }
        let mut parts: Vec<Part> = Vec::new();
        for stretch in &self.stretches {
            let until = stretch.until.map_or(now, |until| until.at);
            for time in any.within(Interval::new(stretch.from.at, until)).iter() {
                parts.push(Part {
                    from: time.from,
                    until: (stretch.until.is_some() || time.until < now).then_some(time.until),
                    extent: stretch.standing.extent(up_percent_min),
                    down: stretch.standing.down,
                    of: stretch.standing.of,
                });
            }
        }
        Some(Loss {
            extent: parts.iter().map(|part| part.extent).max()?,
            parts,
            line_time,
        })
    }

    /// The stretches in which the outage is total, joined where they meet.
    fn total(&self, up_percent_min: u32) -> Vec<Stretch> {
        let mut total: Vec<Stretch> = Vec::new();
        for stretch in &self.stretches {
            if stretch.standing.extent(up_percent_min) != Extent::Total {
                continue;
            }
            let follows = |last: &Stretch| last.until.is_some_and(|end| end.at == stretch.from.at);
            match total.last_mut().filter(|last| follows(last)) {
                Some(last) => {
                    last.until = stretch.until;
                    last.facts.extend(&stretch.facts);
                }
                None => total.push(stretch.clone()),
            }
        }
        total
    }
}

impl Extent {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Partial => "partial",
            Self::Total => "total",
        }
    }
}

impl Loss {
    /// How it is now, or the worst that it was once its lines are up.
    #[must_use]
    pub fn shown(&self) -> Option<&Part> {
        let now = self.parts.iter().rfind(|part| part.until.is_none());
        now.or_else(|| {
            self.parts
                .iter()
                .max_by_key(|part| (part.extent, part.down))
        })
    }
}

/// When a line of these spans was down, until now at most.
#[must_use]
pub fn down(spans: &[Span], now: Utc) -> Intervals {
    let down = spans.iter().filter(|span| span.word == Word::Down);
    down.map(|span| Interval::new(span.start.at, span.end.map_or(now, |end| end.at)))
        .collect()
}

fn lines_of(incident: &Incident) -> impl Iterator<Item = (&LineId, &[Span])> {
    let members = incident.members.iter();
    members.filter_map(|(subject, spans)| match subject {
        Subject::Line(line) => Some((line, spans.as_slice())),
        Subject::Target(_) => None,
    })
}

/// The part of a span that lies in a stretch, each end with the bounds of what makes it.
fn shared(span: &Span, stretch: &Stretch) -> Option<Span> {
    let start = if span.start.at < stretch.from.at {
        stretch.from
    } else {
        span.start
    };
    let end = match (span.end, stretch.until) {
        (Some(one), Some(other)) => Some(if other.at < one.at { other } else { one }),
        (one, other) => one.or(other),
    };
    if end.is_some_and(|end| end.at <= start.at) {
        return None;
    }
    Some(Span {
        start,
        end,
        ..span.clone()
    })
}

#[cfg(test)]
mod tests;

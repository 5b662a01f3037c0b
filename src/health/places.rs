//! One target or line seen from several places: whether what one of them sees is an outage, or its own trouble.
//!
//! Each place is judged by its own probes, as if it were alone. What enough of those that see agree on holds; what
//! fewer see makes them suspect, for the way there may be cut and not the thing itself. A place that sees nothing
//! counts for nothing.

use std::collections::BTreeMap;

use super::judge::{self, Judgement, ONE_FAILURE, Part, WAIT_FOR_EXPLANATION};
use super::record::Record;
use super::state::State;
use super::{Health, Opinion};
use crate::id::{LineId, ProbeId, TargetId, VantageId};
use crate::probe::{Blame, Failure, Word};
use crate::time::{Instant, Utc};

/// Where the plant is watched from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// That of all probes whose id names no other.
    pub main: VantageId,
    /// So many places must see a failure; where fewer see at all, all of these.
    pub quorum: u8,
}

/// One alone may be cut off; a third one that must agree would delay the alarm for nothing.
pub const QUORUM: u8 = 2;

/// Fewer places than the quorum see it fail, and others see it work.
pub const SEEN_FROM_SOME_PLACES: &str = "seen_from_some_places";

impl Default for Places {
    fn default() -> Self {
        Self {
            main: VantageId::from("vigie"),
            quorum: QUORUM,
        }
    }
}

impl Places {
    /// Where this probe is asked from.
    #[must_use]
    pub fn of(&self, probe: &ProbeId) -> VantageId {
        probe
            .vantage()
            .map_or_else(|| self.main.clone(), VantageId::from)
    }
}

/// What the probes of one place say of a target or line.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) place: VantageId,
    pub(super) judgement: Judgement,
    /// It asks what decides. A place that only pings cannot deny what another hears in a call.
    pub(super) votes: bool,
    /// Start of the first failed run of the present series.
    pub(super) first_failed: Option<Instant>,
    /// When the first of its failures was confirmed.
    pub(super) confirmed_at: Instant,
    /// All that decides here was good in a run that began then, or later.
    pub(super) good_since: Option<Instant>,
}

impl Told {
    /// `deciding` are the probes of this place whose word counts.
    fn new(place: VantageId, judgement: Judgement, votes: bool, deciding: &[&Record]) -> Self {
        let good = |record: &&Record| {
            let started = record.conclusive.filter(|_| record.state == State::Good);
            started.ok_or(())
        };
        let good: Result<Vec<Instant>, ()> = deciding.iter().map(good).collect();
        Self {
            place,
            judgement,
            votes,
            first_failed: deciding
                .iter()
                .filter_map(|record| record.first_failed)
                .min(),
            confirmed_at: deciding
                .iter()
                .filter(|record| matches!(record.state.word(), Word::Down | Word::Degraded))
                .map(|record| record.confirmed_at)
                .min()
                .unwrap_or_default(),
            good_since: good.ok().and_then(|started| started.into_iter().min()),
        }
    }

    const fn sees(&self) -> bool {
        !matches!(self.judgement.word, Word::Blind)
    }

    const fn fails(&self) -> bool {
        matches!(self.judgement.word, Word::Down | Word::Degraded)
    }

    const fn is_down(&self) -> bool {
        matches!(self.judgement.word, Word::Down)
    }
}

/// What they say together. `None` if nobody votes.
pub(super) fn combine(told: &[Told], quorum: u8, now: Instant) -> Option<Judgement> {
    let (voters, others): (Vec<&Told>, Vec<&Told>) = told.iter().partition(|one| one.votes);
    let (seeing, blind): (Vec<&Told>, Vec<&Told>) = voters.iter().partition(|one| one.sees());
    let wanted = usize::from(quorum).min(voters.len());
    let needed = wanted.min(seeing.len());
    let of = |is: fn(&Told) -> bool| -> Vec<&Told> {
        seeing.iter().copied().filter(|one| is(one)).collect()
    };
    let (down, failing) = (of(Told::is_down), of(Told::fails));
    let mut judged = if seeing.is_empty() {
        latest(&blind)?
    } else if down.len() >= needed {
        agreed(&down, needed)
    } else if failing.len() >= needed {
        let mut judged = agreed(&failing, needed);
        judged.word = Word::Degraded;
        // Why it is bad for those who get through, and not that one gets nothing.
        let limps = failing.iter().find(|one| !one.is_down());
        judged.failure = limps.and_then(|one| one.judgement.failure.clone());
        judged
    } else {
        let alone: Vec<&Told> = failing
            .into_iter()
            .chain(others.iter().copied().filter(|one| one.fails()))
            .collect();
        let good = of(|one| !one.fails());
        disputed(&alone, &good, now)?
    };
    if needed < wanted && judged.word != Word::Blind && judged.word != Word::Good {
        // It is so since those who might have denied it see nothing any more.
        let unseen = blind.iter().map(|one| one.judgement.since).max();
        judged.since = unseen.map_or(judged.since, |unseen| judged.since.max(unseen));
    }
    for one in &voters {
        judged.settled &= one.judgement.settled;
        if !one.judgement.settled && judged.failure.is_none() {
            judged.failure.clone_from(&one.judgement.failure);
        }
        let again = [judged.again_at, one.judgement.again_at];
        judged.again_at = again.into_iter().flatten().min();
    }
    Some(judged)
}

/// The judgement of the one that came to it last.
fn latest(told: &[&Told]) -> Option<Judgement> {
    let last = told.iter().max_by_key(|one| one.judgement.since)?;
    let mut judged = last.judgement.clone();
    if judged.failure.is_none() {
        let why = told.iter().find_map(|one| one.judgement.failure.clone());
        judged.failure = why;
    }
    Some(judged)
}

/// `needed` places or more fail. It began with the first of them, unless that failed long before there were enough.
fn agreed(failing: &[&Told], needed: usize) -> Judgement {
    let mut failing = failing.to_vec();
    failing.sort_by_key(|one| one.judgement.since);
    let enough: Utc = failing[needed.saturating_sub(1)].judgement.since;
    let first = failing
        .iter()
        .find(|one| enough.since(one.judgement.since) <= ONE_FAILURE)
        .expect("the one that made it enough is among them");
    first.judgement.clone()
}

/// `alone` see it fail and are too few, `good` see it work. It waits until these were asked since.
fn disputed(alone: &[&Told], good: &[&Told], now: Instant) -> Option<Judgement> {
    let mut judged = latest(good)?;
    let Some(first) = alone.iter().min_by_key(|one| one.judgement.since) else {
        return Some(judged);
    };
    let failed = alone.iter().filter_map(|one| one.first_failed).max();
    let failed = failed.unwrap_or_default();
    let denied = good
        .iter()
        .all(|one| one.good_since.is_some_and(|good| good >= failed));
    // The first of them: what is disputed already stays so, whoever joins.
    let confirmed_at = alone.iter().map(|one| one.confirmed_at).min();
    let asked_until = confirmed_at.unwrap_or_default() + WAIT_FOR_EXPLANATION;
    if denied || now >= asked_until {
        judged.word = Word::Degraded;
        judged.since = judged.since.max(first.judgement.since);
        judged.failure = Some(seen_from_some(alone, good));
    } else {
        judged.settled = false;
        judged.failure.clone_from(&first.judgement.failure);
        judged.again_at = Some(asked_until);
    }
    Some(judged)
}

fn seen_from_some(alone: &[&Told], good: &[&Told]) -> Failure {
    let names = |told: &[&Told]| -> String {
        let names: Vec<&str> = told.iter().map(|one| one.place.as_str()).collect();
        names.join(", ")
    };
    let why = alone
        .iter()
        .find_map(|one| one.judgement.failure.as_ref())
        .map_or("", |failure| &failure.words);
    Failure::new(
        Blame::Ours,
        SEEN_FROM_SOME_PLACES,
        format!(
            "fails from {} ({why}) and works from {}: look at the way from {} first",
            names(alone),
            names(good),
            names(alone)
        ),
    )
}

impl Health {
    /// Probes by the place they are asked from.
    fn by_place<'h>(
        &'h self,
        probes: impl Iterator<Item = &'h ProbeId>,
    ) -> BTreeMap<VantageId, Vec<(Part, &'h Record)>> {
        let mut places: BTreeMap<VantageId, Vec<_>> = BTreeMap::new();
        for id in probes {
            if let Some(record) = self.probes.get(id) {
                let place = places.entry(self.places.of(id)).or_default();
                place.push((self.topology.part(id), record));
            }
        }
        places
    }

    pub(super) fn judge_target(&self, now: Instant, id: &TargetId) -> Option<Opinion> {
        let behind = self.behind(id);
        let mut places = self.by_place(self.topology.probes_of(id));
        if places.len() < 2 {
            let (_, probes) = places.pop_first()?;
            return Some(Opinion::alone(judge::target(&probes, behind, now)?));
        }
        let parts = [Part::Oracle, Part::Hint, Part::Line];
        let has = |probes: &[(Part, &Record)], part| probes.iter().any(|(its, _)| *its == part);
        let decides = parts
            .into_iter()
            .find(|part| places.values().any(|probes| has(probes, *part)))?;
        let told = places.into_iter().filter_map(|(place, mut probes)| {
            let votes = has(&probes, decides);
            if !votes {
                // What it has of a line is the line's matter.
                probes.retain(|(part, _)| *part != Part::Line);
            }
            let judgement = judge::target(&probes, behind, now)?;
            let deciding: Vec<&Record> = probes
                .iter()
                .filter(|(part, _)| *part == decides || !votes)
                .map(|(_, record)| *record)
                .collect();
            Some(Told::new(place, judgement, votes, &deciding))
        });
        self.opinion(&told.collect::<Vec<_>>(), now)
    }

    pub(super) fn judge_line(&self, now: Instant, id: &LineId) -> Option<Opinion> {
        let line = self.topology.line(id)?;
        let places = self.by_place(line.proofs.iter());
        let several = places.len() > 1;
        let told = places.into_iter().filter_map(|(place, calls)| {
            let calls: Vec<&Record> = calls.into_iter().map(|(_, record)| record).collect();
            Some(Told::new(place, judge::calls(&calls)?, true, &calls))
        });
        let told: Vec<Told> = told.collect();
        let mut opinion = if several {
            self.opinion(&told, now)?
        } else {
            Opinion::alone(told.into_iter().next()?.judgement)
        };
        let calls: Vec<&Record> = line
            .proofs
            .iter()
            .filter_map(|probe| self.probes.get(probe))
            .collect();
        let serving = |signature: &str| {
            let known = line.signatures.iter().find(|(dtmf, _)| dtmf == signature);
            known.map(|(_, pbx)| pbx.clone())
        };
        opinion.answered_by = judge::answering(&calls, serving);
        let normal = line.signatures.first().map(|(_, pbx)| pbx.as_str());
        if let (Some(by), Some(normal)) = (opinion.answered_by.as_deref(), normal)
            && by != normal
        {
            judge::put_on_backup(&mut opinion.judgement, by, normal);
        }
        Some(opinion)
    }

    fn opinion(&self, told: &[Told], now: Instant) -> Option<Opinion> {
        let seen_from = told
            .iter()
            .map(|one| (one.place.clone(), one.judgement.word));
        Some(Opinion {
            seen_from: seen_from.collect(),
            ..Opinion::alone(combine(told, self.places.quorum, now)?)
        })
    }
}

#[cfg(test)]
mod tests;

//! From a journal that was read to what figures are made of: outages, the ledger's changes, and what was seen.

use std::collections::BTreeMap;

use super::history::{History, Story};
use crate::health::standing::Subject;
use crate::incident::act::What;
use crate::incident::book::Incident;
use crate::probe::Word;
use crate::sla::clock::Outage;
use crate::sla::contract::{Indicator, Profile, Support, Terms};
use crate::sla::extent::Lines;
use crate::sla::interval::{Interval, Intervals};
use crate::sla::ledger::{Change, Cover, Coverage, Covered};
use crate::sla::outage::{Around, Known, of_incident};
use crate::time::Utc;

impl History {
    /// What the contract counts of every incident, each under the profile in force at its restoration.
    #[must_use]
    pub fn outages(&self, terms: &Terms) -> Vec<Outage> {
        let lines = self.lines(None);
        let incidents = self.book().incidents();
        incidents
            .flat_map(|incident| self.outages_of(incident, &lines, terms))
            .collect()
    }

    /// What the contract counts of one; `lines` are those of its time.
    #[must_use]
    pub fn outages_of(&self, incident: &Incident, lines: &Lines<'_>, terms: &Terms) -> Vec<Outage> {
        let blind: Intervals = self.unwatched().iter().map(|gap| gap.time()).collect();
        let known = |subject: &Subject| {
            let story = self.subjects().get(subject);
            Known {
                name: story.map_or("?", |story| &story.watched.name),
                support: story
                    .and_then(|story| Support::named(&story.watched.support))
                    .unwrap_or(Support::Untold),
            }
        };
        let around = Around {
            book: self.book(),
            blind: &blind,
            lines,
            profile: terms.contract.in_force(self.judged_at(incident)),
            now: self.known_until(incident),
        };
        of_incident(incident, around, known)
    }

    /// The moment whose profile judges an incident: its restoration; while there is none, the last fact.
    #[must_use]
    pub fn judged_at(&self, incident: &Incident) -> Utc {
        let end = incident.ended().map(|end| end.at);
        end.unwrap_or_else(|| self.known_until(incident))
    }

    /// The last fact; of what came after it nothing is known.
    fn known_until(&self, incident: &Incident) -> Utc {
        self.last().map_or(incident.detected, |last| last.at)
    }

    /// The words of a target or line, as they were seen.
    #[must_use]
    pub fn changes(&self, subject: &Subject) -> Vec<Change> {
        let turns = self.subjects().get(subject).map(|story| &story.turns);
        turns
            .into_iter()
            .flatten()
            .map(|turn| Change {
                since: turn.at,
                word: turn.word.unwrap_or(Word::Blind),
                fact: turn.fact,
            })
            .collect()
    }

    /// The same as two people corrected it; what they did not touch stays.
    #[must_use]
    pub fn corrected(&self, subject: &Subject) -> Vec<Change> {
        let mut changes = self.changes(subject);
        for (fact, proposal) in self.book().agreed() {
            let What::Correct {
                subject: of,
                from,
                until,
                word,
                ..
            } = &proposal.act.what
            else {
                continue;
            };
            if of == subject {
                correct(&mut changes, Interval::new(*from, *until), *word, fact);
            }
        }
        changes
    }

    /// What counts before the words, as it was seen: nobody looked, planned work.
    #[must_use]
    pub fn covers(&self, subject: &Subject) -> Vec<Cover> {
        let blind = self.unwatched().iter().map(|gap| Cover {
            time: gap.time(),
            kind: Covered::Blind,
            fact: gap.fact,
        });
        let planned = self.book().maintenance().iter();
        let planned = planned
            .filter(|work| work.subjects.contains(subject))
            .map(|work| Cover {
                time: Interval::new(work.from, work.until),
                kind: Covered::Maintenance,
                fact: work.fact,
            });
        // Of what came after the last fact nothing is known.
        let unknown = self.last().map(|last| Cover {
            time: Interval::new(last.at, Utc(i64::MAX)),
            kind: Covered::Blind,
            fact: last.fact,
        });
        blind.chain(unknown).chain(planned).collect()
    }

    /// Time that two people agreed not to count.
    #[must_use]
    pub fn excluded(&self, subject: &Subject) -> Vec<Cover> {
        let agreed = self.book().agreed();
        let excluded = agreed.filter_map(|(fact, proposal)| {
            let What::Exclude {
                subject: of,
                from,
                until,
                ..
            } = &proposal.act.what
            else {
                return None;
            };
            (of == subject).then(|| Cover {
                time: Interval::new(*from, *until),
                kind: Covered::Excluded,
                fact,
            })
        });
        excluded.collect()
    }

    /// How much of `time` was looked at, for the indicators that are measured.
    #[must_use]
    pub fn coverage(&self, time: Interval, profile: &Profile) -> BTreeMap<Indicator, Coverage> {
        let known_until = self.last().map_or(time.from, |last| last.at);
        let time = time.intersection(Interval::new(time.from, known_until));
        let unwatched: Intervals = self.unwatched().iter().map(|gap| gap.time()).collect();
        let mut coverage: BTreeMap<Indicator, Coverage> = BTreeMap::new();
        if time.is_empty() {
            return coverage;
        }
        for (subject, story) in self.subjects() {
            let unseen = story.unseen(time).union(&unwatched.within(time));
            let sum = coverage.entry(profile.of_subject(subject)).or_default();
            sum.of += time.length();
            sum.seen += time.length().saturating_sub(unseen.total());
        }
        coverage
    }

    /// The whole of the journal, from its first fact to its last.
    #[must_use]
    pub fn time(&self) -> Option<Interval> {
        Some(Interval::new(self.first()?, self.last()?.at))
    }
}

impl Story {
    /// When it was not seen, or not watched yet.
    fn unseen(&self, time: Interval) -> Intervals {
        let first = self.turns.first().map_or(time.until, |turn| turn.at);
        let before = Interval::new(time.from, first.min(time.until));
        let ends = self.turns.iter().skip(1).map(|turn| turn.at);
        let stretches = self.turns.iter().zip(ends.chain([time.until]));
        stretches
            .filter(|(turn, _)| matches!(turn.word, None | Some(Word::Blind)))
            .map(|(turn, until)| Interval::new(turn.at, until))
            .chain([before])
            .map(|unseen| unseen.intersection(time))
            .collect()
    }
}

/// Between `time.from` and `time.until` it was `word`; after that what it was before, or what came meanwhile.
fn correct(changes: &mut Vec<Change>, time: Interval, word: Word, fact: u64) {
    let after = changes
        .iter()
        .filter(|change| change.since <= time.until)
        .max_by_key(|change| (change.since, change.fact))
        .copied();
    changes.retain(|change| !time.contains(change.since));
    changes.push(Change {
        since: time.from,
        word,
        fact,
    });
    if let Some(after) = after
        && after.since < time.until
    {
        changes.push(Change {
            since: time.until,
            ..after
        });
    }
    changes.sort_by_key(|change| (change.since, change.fact));
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn change(since: i64, word: Word, fact: u64) -> Change {
        Change {
            since: Utc(since),
            word,
            fact,
        }
    }

    #[test]
    fn a_correction_touches_its_own_time_alone() {
        let seen = [
            change(0, Word::Good, 1),
            change(10, Word::Down, 2),
            change(30, Word::Good, 3),
        ];
        for (name, from, until, expected) in [
            (
                "all of the outage",
                10,
                30,
                vec![
                    change(0, Word::Good, 1),
                    change(10, Word::Good, 9),
                    change(30, Word::Good, 3),
                ],
            ),
            (
                "its first half",
                5,
                20,
                vec![
                    change(0, Word::Good, 1),
                    change(5, Word::Good, 9),
                    change(20, Word::Down, 2),
                    change(30, Word::Good, 3),
                ],
            ),
        ] {
            let mut changes = seen.to_vec();
            let time = Interval::new(Utc(from), Utc(until));
            correct(&mut changes, time, Word::Good, 9);
            assert_eq!(changes, expected, "{name}");
        }
    }
}

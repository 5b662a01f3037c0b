//! What the journal tells of the past: every state, every gap, every incident, each with its fact.
//!
//! For whoever reads a journal without watching: indicators, the ledger, an auditor. It makes no fact.

use std::collections::BTreeMap;
use std::time::Duration;

use super::fact::{Configured, Event, Fact, Watched};
use super::incidents::Incidents;
use super::replay::ReplayError;
use crate::health::standing::{Change, Subject};
use crate::incident::book::Book;
use crate::incident::step::Step;
use crate::probe::Word;
use crate::sla::extent::Lines;
use crate::sla::interval::Interval;
use crate::time::{Instant, Utc};

/// A heartbeat is due every five seconds: without any fact for longer, nobody watched.
const UNWATCHED: Duration = Duration::from_secs(15);

/// A journal, read.
#[derive(Clone, Debug, Default)]
pub struct History {
    incidents: Incidents,
    subjects: BTreeMap<Subject, Story>,
    unwatched: Vec<Unwatched>,
    roots: Vec<Root>,
    differences: Vec<Difference>,
    first: Option<Utc>,
    last: Option<Last>,
}

/// The last fact.
#[derive(Clone, Copy, Debug)]
pub struct Last {
    pub fact: u64,
    pub at: Utc,
    boot: Instant,
}

/// One target or line.
#[derive(Clone, Debug)]
pub struct Story {
    pub watched: Watched,
    /// In order of time.
    pub turns: Vec<Turn>,
}

/// From `at` on it was `word`; `None`: it is watched no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    pub at: Utc,
    pub word: Option<Word>,
    pub fact: u64,
}

/// Nobody watched; `fact` is the first one after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwatched {
    pub from: Utc,
    pub until: Utc,
    pub fact: u64,
}

impl Unwatched {
    #[must_use]
    pub const fn time(&self) -> Interval {
        Interval::new(self.from, self.until)
    }
}

/// A sealed day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    pub day: String,
    pub up_to: u64,
    pub hash: String,
}

/// A fact that does not follow from those before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub fact: u64,
    pub words: String,
}

impl History {
    /// Takes the next fact, whose link was verified.
    pub fn take(&mut self, fact: &Fact) -> Result<(), ReplayError> {
        let event = fact.event().map_err(|error| ReplayError::Unreadable {
            seq: fact.seq,
            error,
        })?;
        self.first.get_or_insert(fact.utc);
        self.notice_gap(fact, &event);
        self.check_nothing_is_left(fact, &event);
        match &event {
            Event::Configured(configured) => self.configured(fact, configured),
            Event::Soft(change) | Event::Hard(change) => self.changed(fact, change),
            Event::Incident(step) => self.check_step(fact, step),
            Event::Act(act) => {
                if let Err(refusal) = act.check(self.incidents.book()) {
                    self.differs(fact.seq, refusal.0);
                }
            }
            Event::DayRoot { day, up_to, hash } => self.check_root(fact, day, *up_to, hash),
            Event::ServiceStarted { .. }
            | Event::ServiceStopped
            | Event::Verdict(_)
            | Event::Tally { .. }
            | Event::BlindBegan { .. }
            | Event::Corroborated { .. }
            | Event::Answered { .. }
            | Event::OwnFaultBegan { .. }
            | Event::OwnFaultEnded { .. }
            | Event::ClockStepped { .. }
            | Event::Clock(_)
            | Event::Alert(_)
            | Event::Heartbeat { .. } => {}
        }
        self.incidents
            .take(fact.seq, &fact.boot_id, fact.now(), &event);
        self.last = Some(Last {
            fact: fact.seq,
            at: fact.utc,
            boot: fact.boot,
        });
        Ok(())
    }

    #[must_use]
    pub const fn book(&self) -> &Book {
        self.incidents.book()
    }

    /// The lines while anything was down that was not over before `since`; `None`: ever.
    #[must_use]
    pub fn lines(&self, since: Option<Utc>) -> Lines<'_> {
        self.incidents.lines(since)
    }

    #[must_use]
    pub const fn subjects(&self) -> &BTreeMap<Subject, Story> {
        &self.subjects
    }

    #[must_use]
    pub fn unwatched(&self) -> &[Unwatched] {
        &self.unwatched
    }

    #[must_use]
    pub fn roots(&self) -> &[Root] {
        &self.roots
    }

    #[must_use]
    pub const fn first(&self) -> Option<Utc> {
        self.first
    }

    #[must_use]
    pub const fn last(&self) -> Option<Last> {
        self.last
    }

    /// Where the journal says something else than its own facts.
    #[must_use]
    pub fn differences(&self) -> &[Difference] {
        &self.differences
    }

    /// What people call it.
    #[must_use]
    pub fn name<'s>(&'s self, subject: &'s Subject) -> &'s str {
        match (self.subjects.get(subject), subject) {
            (Some(story), _) => &story.watched.name,
            (None, Subject::Target(id)) => id.as_str(),
            (None, Subject::Line(id)) => id.as_str(),
        }
    }

    fn notice_gap(&mut self, fact: &Fact, event: &Event) {
        let Some(last) = self.last else {
            return;
        };
        let from = if let Event::ClockStepped { by_ns } = event {
            Utc(last.at.0.saturating_add(*by_ns))
        } else {
            last.at
        };
        if fact.utc.since(from) > UNWATCHED {
            self.unwatched.push(Unwatched {
                from,
                until: fact.utc,
                fact: fact.seq,
            });
        }
    }

    fn configured(&mut self, fact: &Fact, configured: &Configured) {
        for watched in &configured.watched {
            let story = self
                .subjects
                .entry(watched.subject.clone())
                .or_insert_with(|| Story {
                    watched: watched.clone(),
                    turns: Vec::new(),
                });
            story.watched = watched.clone();
        }
        for subject in &configured.dropped {
            if let Some(story) = self.subjects.get_mut(subject) {
                story.turn(Turn {
                    at: fact.utc,
                    word: None,
                    fact: fact.seq,
                });
            }
        }
    }

    /// A word counts from the first run that led to it. What proves it may be older than the word before (one call
    /// of two fails on): then it counts from its fact.
    fn changed(&mut self, fact: &Fact, change: &Change) {
        let Some(story) = self.subjects.get_mut(&change.subject) else {
            return;
        };
        let word = Some(change.to.word);
        let last = story.turns.last();
        if last.is_some_and(|turn| turn.word == word) {
            return;
        }
        let is_older = last.is_some_and(|turn| change.to.since <= turn.at);
        story.turn(Turn {
            at: if is_older { fact.utc } else { change.to.since },
            word,
            fact: fact.seq,
        });
    }

    /// Before a later moment begins everything was decided; only a crash leaves something for the start.
    fn check_nothing_is_left(&mut self, fact: &Fact, event: &Event) {
        let Some(last) = self.last else {
            return;
        };
        let goes_on = fact.boot <= last.boot || matches!(event, Event::ServiceStarted { .. });
        if !goes_on && let Some(due) = self.incidents.due(last.at) {
            self.differs(
                fact.seq,
                format!("a decision is missing before it: {due:?}"),
            );
        }
    }

    /// A decision is what the facts before it lead to, or the journal was not written by this engine.
    fn check_step(&mut self, fact: &Fact, step: &Step) {
        let due = self.incidents.due(fact.utc);
        if due.as_ref() != Some(step) {
            let words = match due {
                Some(due) => format!("the facts before it lead to {due:?}"),
                None => "nothing before it leads to this decision".to_owned(),
            };
            self.differs(fact.seq, words);
        }
    }

    fn check_root(&mut self, fact: &Fact, day: &str, up_to: u64, hash: &str) {
        if up_to + 1 != fact.seq || hash != fact.prev.to_string() {
            self.differs(
                fact.seq,
                format!("the root of {day} is not the hash of the fact before it"),
            );
        }
        self.roots.push(Root {
            day: day.to_owned(),
            up_to,
            hash: hash.to_owned(),
        });
    }

    fn differs(&mut self, fact: u64, words: String) {
        self.differences.push(Difference { fact, words });
    }
}

impl Story {
    /// Backdated changes never overtake the one before them.
    fn turn(&mut self, turn: Turn) {
        let not_before = self.turns.last().map_or(turn.at, |last| last.at);
        self.turns.push(Turn {
            at: turn.at.max(not_before),
            ..turn
        });
    }
}

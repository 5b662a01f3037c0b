//! Who reads every fact about incidents as it is made, with a book of his own, and remembers what was on disk.
//!
//! His book is a fold of the facts alone: the engine, live or after a restart, has to know the same.

use std::collections::BTreeMap;

use super::property::{Moment, Rested};
use crate::engine::fact::Event;
use crate::health::standing::{Change, Subject};
use crate::incident::IncidentId;
use crate::incident::act::Act;
use crate::incident::book::{Book, Incident, State};
use crate::incident::span::Span;
use crate::incident::step::{Step, What};
use crate::probe::Word;
use crate::time::Utc;

/// A fact that the book takes over.
#[derive(Clone, Debug)]
enum Entry {
    Step(Step),
    Act(Act),
    ClockStepped(i64),
}

#[derive(Debug, Default)]
pub(super) struct Auditor {
    /// As of the last fact made.
    pub(super) book: Book,
    /// As of the last fact on disk.
    on_disk: Book,
    not_on_disk: Vec<(u64, Utc, Entry)>,
    /// The last confirmed word of each, and the facts that a decision may rest on.
    words: BTreeMap<Subject, (u64, Word)>,
    confirmed: BTreeMap<u64, (Subject, Word)>,
    committed: u64,
    /// Something was said to be down, or an incident changed: is the one in the other?
    is_stale: bool,
    /// The last act that is a fact.
    pub(super) last_act: Option<(u64, String)>,
    pub(super) opened: u64,
    pub(super) acts: u64,
}

impl Auditor {
    pub(super) fn reads(
        &mut self,
        fact: u64,
        at: Utc,
        event: &Event,
        tell: &mut impl FnMut(&Moment<'_>),
    ) {
        match event {
            Event::Hard(change) => self.confirmed(fact, change),
            Event::Incident(step) => {
                self.decided(fact, at, step, tell);
                self.not_on_disk.push((fact, at, Entry::Step(step.clone())));
            }
            Event::Act(act) => {
                self.acted(fact, at, act, tell);
                self.not_on_disk.push((fact, at, Entry::Act(act.clone())));
            }
            Event::ClockStepped { by_ns } => {
                self.book
                    .clock_stepped(*by_ns, &mut |at| *at = shifted(*at, *by_ns));
                self.not_on_disk
                    .push((fact, at, Entry::ClockStepped(*by_ns)));
            }
            Event::Configured(configured) => {
                for subject in &configured.dropped {
                    self.words.remove(subject);
                }
            }
            Event::ServiceStarted { .. }
            | Event::ServiceStopped
            | Event::Verdict(_)
            | Event::Tally { .. }
            | Event::BlindBegan { .. }
            | Event::Corroborated { .. }
            | Event::Soft(_)
            | Event::Answered { .. }
            | Event::OwnFaultBegan { .. }
            | Event::OwnFaultEnded { .. }
            | Event::Clock(_)
            | Event::Alert(_)
            | Event::DayRoot { .. }
            | Event::Heartbeat { .. } => {}
        }
    }

    fn confirmed(&mut self, fact: u64, change: &Change) {
        let word = change.to.word;
        self.words.insert(change.subject.clone(), (fact, word));
        self.confirmed.insert(fact, (change.subject.clone(), word));
        self.is_stale = true;
    }

    fn decided(&mut self, fact: u64, at: Utc, step: &Step, tell: &mut impl FnMut(&Moment<'_>)) {
        let before = self.book.incident(step.incident);
        let was = before.map(|incident| (incident.state, incident.members.clone()));
        self.opened += u64::from(matches!(step.what, What::Opened(_)));
        self.book.decide(fact, at, step);
        let Some(is) = self.book.incident(step.incident) else {
            return;
        };
        let rested = match (&step.what, self.confirmed.get(&step.because)) {
            // These rest on time that passed, or on what is watched no more.
            (What::Closed | What::Dropped { .. }, _) => Rested::OnTime,
            (_, Some((subject, word))) if *subject == step.subject => Rested::On(*word),
            (_, _) => Rested::OnNothing,
        };
        tell(&Moment::Decided {
            step,
            was: was.as_ref().map(|(state, members)| (*state, members)),
            is,
            rested,
        });
        self.is_stale = true;
    }

    /// Whatever people do, no span is lost or made.
    fn acted(&mut self, fact: u64, at: Utc, act: &Act, tell: &mut impl FnMut(&Moment<'_>)) {
        let concerned = act.what.incidents();
        let last = self.book.last();
        let before = spans(&self.book, concerned.iter().copied());
        self.book.act(fact, at, act);
        let split = (self.book.last() != last).then(|| self.book.last());
        let after = spans(&self.book, concerned.into_iter().chain(split));
        tell(&Moment::Rearranged {
            before: &before,
            after: &after,
        });
        self.last_act = Some((fact, act.author.clone()));
        self.acts += 1;
        self.is_stale = true;
    }

    /// After all that one input led to: what is down is in one open incident.
    pub(super) fn settles(&mut self, tell: &mut impl FnMut(&Moment<'_>)) {
        if !std::mem::take(&mut self.is_stale) {
            return;
        }
        for (subject, (_, word)) in &self.words {
            if *word == Word::Down {
                let holding = self
                    .book
                    .current()
                    .filter(|incident| fails(incident, subject));
                tell(&Moment::Held {
                    subject,
                    by: holding.count(),
                });
            }
        }
    }

    /// Everything made so far is on disk.
    pub(super) fn committed(&mut self, up_to: u64) {
        self.committed = up_to;
        for (fact, at, entry) in self.not_on_disk.drain(..) {
            match entry {
                Entry::Step(step) => self.on_disk.decide(fact, at, &step),
                Entry::Act(act) => self.on_disk.act(fact, at, &act),
                Entry::ClockStepped(by_ns) => self
                    .on_disk
                    .clock_stepped(by_ns, &mut |at| *at = shifted(*at, by_ns)),
            }
        }
    }

    /// The service is back, with this book.
    pub(super) fn taken_over(&mut self, book: &Book, tell: &mut impl FnMut(&Moment<'_>)) {
        same(&self.on_disk, book, tell);
        if !self.not_on_disk.is_empty() {
            self.not_on_disk.clear();
            self.book = self.on_disk.clone();
            self.confirmed.split_off(&(self.committed + 1));
            self.words.retain(|_, (fact, _)| *fact <= self.committed);
        }
    }

    /// Nothing fails since an hour.
    pub(super) fn ends(&self, engine: &Book, tell: &mut impl FnMut(&Moment<'_>)) {
        let open = self.book.current().map(|incident| incident.id);
        tell(&Moment::Quiet {
            open: &open.collect::<Vec<_>>(),
        });
        same(&self.book, engine, tell);
    }
}

/// Do both know the same of every incident, proposal and work?
fn same(facts: &Book, engine: &Book, tell: &mut impl FnMut(&Moment<'_>)) {
    let differing = facts.incidents().map(|one| one.id).find(|id| {
        let found = engine.incident(*id);
        found.is_none() || found != facts.incident(*id)
    });
    let more = engine.last() != facts.last();
    let people = !facts.waiting().eq(engine.waiting())
        || !facts.agreed().eq(engine.agreed())
        || facts.maintenance() != engine.maintenance();
    tell(&Moment::Survived {
        differing: differing.or_else(|| more.then(|| engine.last())),
        people_differ: people,
    });
}

fn fails(incident: &Incident, subject: &Subject) -> bool {
    incident.state == State::Open
        && incident
            .span_of(subject)
            .is_some_and(|span| span.end.is_none())
}

/// All spans of these incidents, of each subject in the order of their starts.
fn spans(book: &Book, incidents: impl Iterator<Item = IncidentId>) -> BTreeMap<Subject, Vec<Span>> {
    let mut all: BTreeMap<Subject, Vec<Span>> = BTreeMap::new();
    for incident in incidents.filter_map(|id| book.incident(id)) {
        for (subject, spans) in &incident.members {
            all.entry(subject.clone())
                .or_default()
                .extend(spans.clone());
        }
    }
    for spans in all.values_mut() {
        spans.sort_by_key(|span| (span.start.at, span.start.earliest, span.facts.clone()));
    }
    all
}

/// A stamp by the clock after a step: the simulated machine boots once, so that all stamps are of its boot.
const fn shifted(at: Utc, by_ns: i64) -> Utc {
    Utc(at.0.saturating_add(by_ns))
}

//! Incidents inside the engine: facts go in, decisions come out and become facts.

use std::collections::BTreeMap;

use super::Engine;
use super::boot::Boot;
use super::clocks::Marks;
use super::fact::{BootId, Configured, Event, TallyRow};
use super::input::ActToken;
use super::output::Output;
use crate::health::standing::Subject;
use crate::id::{LineId, ProbeId};
use crate::incident::act::{self, Act, Refusal};
use crate::incident::book::Book;
use crate::incident::step::{Step, What};
use crate::incident::watch::{Run, Watch};
use crate::probe::{Blame, Failure};
use crate::sla::extent::{Lines, Lineups, Weight};
use crate::time::{Instant, Now, Utc};

/// All that facts tell of incidents.
#[derive(Clone, Debug, Default)]
pub(super) struct Incidents {
    book: Book,
    watch: Watch,
    lineups: Lineups,
    pub(super) marks: Marks,
    boot: Boot,
    /// The last `Configured`: a tally tells of probes by their number in it.
    numbered: Vec<ProbeId>,
    /// When something is to be decided although nothing happens.
    wake: Option<Instant>,
}

impl Incidents {
    /// Takes over a fact, live or replayed.
    pub(super) fn take(&mut self, seq: u64, boot: &BootId, now: Now, event: &Event) {
        let utc = now.utc;
        let Self { book, watch, .. } = self;
        self.boot.stamped(boot, now, |visit| {
            watch.each_stamp(visit);
            book.each_stamp(visit);
        });
        match event {
            Event::ServiceStarted { .. } => self.watch.started(utc),
            Event::Configured(configured) => {
                let Configured {
                    topology,
                    dropped,
                    probes,
                    ..
                } = configured;
                self.numbered = probes.iter().map(|(probe, _)| probe.clone()).collect();
                self.watch.configured(topology.clone(), dropped);
                self.lineups.configured(seq, utc, lineup(configured));
                // Other hours or limits may hold.
                self.marks.all_changed();
            }
            Event::Verdict(judged) => self.watch.run(Run {
                probe: &judged.probe,
                sent: judged.sent,
                word: judged.word,
                last_good: judged.last_good,
            }),
            Event::Soft(change) | Event::Hard(change) => self.watch.changed(seq, utc, change),
            Event::ClockStepped { by_ns } => {
                let boot = &self.boot;
                let mut correct = |at: &mut Utc| boot.correct(*by_ns, at);
                self.watch.each_stamp(&mut correct);
                self.book.clock_stepped(*by_ns, &mut correct);
                self.marks.all_changed();
            }
            Event::Incident(step) => {
                self.book.decide(seq, utc, step);
                match step.subject {
                    // One more line that is down may make an outage total, and that of other incidents with it.
                    Subject::Line(_) => self.marks.all_changed(),
                    Subject::Target(_) => self.marks.changed(step.incident),
                }
                if step.what == What::Closed {
                    self.marks.closed(step.incident);
                }
            }
            Event::Clock(mark) => self.marks.passed(mark),
            Event::Act(act) => {
                self.book.act(seq, utc, act);
                if let act::What::Split { incident, .. } = &act.what {
                    self.marks.inherited(*incident, self.book.last());
                } else if let act::What::Merge { incident, into } = &act.what {
                    self.marks.inherited(*incident, *into);
                }
                self.marks.all_changed();
            }
            Event::Tally { rows } => {
                for TallyRow {
                    probe, last_good, ..
                } in rows
                {
                    if let (Some(probe), Some(last_good)) = (self.numbered.get(*probe), last_good) {
                        self.watch.tallied(probe, *last_good);
                    }
                }
            }
            Event::ServiceStopped
            | Event::BlindBegan { .. }
            | Event::Corroborated { .. }
            | Event::Answered { .. }
            | Event::OwnFaultBegan { .. }
            | Event::OwnFaultEnded { .. }
            | Event::Alert(_)
            | Event::DayRoot { .. }
            | Event::Heartbeat { .. } => {}
        }
        self.watch.stamped(utc);
    }

    pub(super) const fn book(&self) -> &Book {
        &self.book
    }

    /// The lines while anything was down that was not over before `since`; `None`: ever.
    pub(super) fn lines(&self, since: Option<Utc>) -> Lines<'_> {
        Lines::of(&self.lineups, &self.book, since)
    }

    /// The next decision, if there is one.
    pub(super) fn due(&mut self, now: Utc) -> Option<Step> {
        self.watch.due(now, &self.book)
    }

    pub(super) const fn wake(&self) -> Option<Instant> {
        self.wake
    }
}

/// The lines that are watched. Journals of before weights were told have the names alone.
fn lineup(configured: &Configured) -> BTreeMap<LineId, Weight> {
    let lines = configured.watched.iter().filter_map(|watched| {
        let Subject::Line(line) = &watched.subject else {
            return None;
        };
        Some((line.clone(), watched.weight.unwrap_or_default()))
    });
    lines.collect()
}

impl Engine {
    /// All incidents so far.
    #[must_use]
    pub const fn book(&self) -> &Book {
        &self.incidents.book
    }

    /// Makes a fact of everything that is to be decided now.
    pub(super) fn decide(&mut self, now: Now) {
        let mut last = None;
        while let Some(step) = self.incidents.due(now.utc) {
            // A decision that leaves itself open would be made for ever.
            if last.as_ref() == Some(&step) {
                let words = format!(
                    "a decision about incident {} changes nothing: report this with its journal",
                    step.incident
                );
                self.begin_fault(now, Failure::new(Blame::Ours, "incident_stuck", words));
                break;
            }
            last = Some(step.clone());
            self.record(now, &Event::Incident(step));
            self.is_dirty = true;
        }
    }

    /// Remembers when something is to be decided although nothing happens.
    pub(super) fn sleep(&mut self, now: Now) {
        let Incidents {
            book,
            watch,
            lineups: _,
            marks,
            wake,
            ..
        } = &mut self.incidents;
        let next = watch.deadline(book).into_iter().chain(marks.next_at());
        *wake = next.min().map(|at| now.instant + at.since(now.utc));
    }

    pub(super) fn act(&mut self, now: Now, token: ActToken, act: Act) {
        let unknown = act
            .what
            .subjects()
            .iter()
            .find(|subject| !self.described.contains_key(subject));
        let known = match unknown {
            Some(subject) => Err(Refusal(format!(
                "{subject} is not watched: vigie check lists what is"
            ))),
            None => Ok(()),
        };
        let checked = known.and_then(|()| act.check(&self.incidents.book));
        let outcome = checked.map(|()| {
            self.record(now, &Event::Act(act));
            self.is_dirty = true;
            self.chain.seq
        });
        self.outputs.push_back(Output::Acted { token, outcome });
    }
}

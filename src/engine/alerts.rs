//! Who has to be told what of the incidents: facts become notices, and the outbox decides the rest.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Engine;
use super::clocks::{Mark, Passed};
use super::fact::Event;
use super::output::Output;
use crate::alert::notice::{Deadline, Notice, Reason, key_of};
use crate::alert::outbox::Outbox;
use crate::alert::record;
use crate::alert::settings::Channel;
use crate::health::standing::Subject;
use crate::incident::act::{Act, What};
use crate::incident::book::{Incident, State};
use crate::incident::step::{self, Step};
use crate::probe::{Failure, Word};
use crate::time::{Instant, Now, Utc};

/// A fault of our own that is over within this time is told on the page alone: a busy minute wakes nobody.
const OWN_FAULT_TOLD_AFTER: Duration = Duration::from_secs(60);

/// What is owed, and what became of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Alerts {
    outbox: Outbox,
    own_faults: BTreeMap<String, OwnFault>,
    wake: Option<Instant>,
}

/// A fault of our own that stands.
#[derive(Clone, Debug)]
struct OwnFault {
    failure: Failure,
    fact: u64,
    since: Utc,
    is_told: bool,
}

impl Alerts {
    pub(super) fn new(channels: Vec<Channel>) -> Self {
        Self {
            outbox: Outbox::new(channels),
            ..Self::default()
        }
    }

    pub(super) fn reconfigure(&mut self, channels: Vec<Channel>) {
        self.outbox.reconfigure(channels);
    }

    pub(super) const fn wake(&self) -> Option<Instant> {
        self.wake
    }

    /// Shows every stamp that is remembered. The end of planned work is a time of day and does not move.
    pub(super) fn each_stamp(&mut self, visit: &mut dyn FnMut(&mut Utc)) {
        self.outbox.each_stamp(visit);
        for fault in self.own_faults.values_mut() {
            visit(&mut fault.since);
        }
    }

    fn own_fault_began(&mut self, fact: u64, since: Utc, failure: &Failure) {
        let fault = OwnFault {
            failure: failure.clone(),
            fact,
            since,
            is_told: false,
        };
        self.own_faults.insert(failure.code.to_string(), fault);
    }

    fn own_fault_ended(&mut self, fact: u64, at: Utc, code: &str) {
        if let Some(fault) = self.own_faults.remove(code)
            && fault.is_told
        {
            self.outbox
                .owe(Notice::own_fault_over(code, fact, fault.since, at));
        }
    }

    /// Those that stand for too long.
    fn tell_own_faults(&mut self, at: Utc) {
        for fault in self.own_faults.values_mut() {
            if !fault.is_told && at.since(fault.since) >= OWN_FAULT_TOLD_AFTER {
                fault.is_told = true;
                let notice = Notice::own_fault(&fault.failure, fault.fact, fault.since);
                self.outbox.owe(notice);
            }
        }
    }
}

impl Engine {
    /// Takes over what a fact, live or replayed, gives to tell.
    pub(super) fn tell(&mut self, fact: u64, at: Utc, event: &Event) {
        match event {
            Event::Incident(step) => self.tell_step(fact, at, step),
            Event::Clock(mark) => self.tell_mark(fact, at, mark),
            Event::Act(act) => self.tell_act(fact, at, act),
            Event::Alert(record) => self.alerts.outbox.apply(fact, at, record),
            Event::OwnFaultBegan { failure } => self.alerts.own_fault_began(fact, at, failure),
            Event::OwnFaultEnded { code } => self.alerts.own_fault_ended(fact, at, code),
            Event::Heartbeat { .. } => self.alerts.tell_own_faults(at),
            // The faults of the run before ended with it.
            Event::ServiceStarted { .. } => {
                let codes: Vec<String> = self.alerts.own_faults.keys().cloned().collect();
                for code in codes {
                    self.alerts.own_fault_ended(fact, at, &code);
                }
            }
            Event::ServiceStopped
            | Event::ClockStepped { .. }
            | Event::Configured(_)
            | Event::Verdict(_)
            | Event::Tally { .. }
            | Event::BlindBegan { .. }
            | Event::Corroborated { .. }
            | Event::Soft(_)
            | Event::Hard(_)
            | Event::Answered { .. }
            | Event::DayRoot { .. } => {}
        }
    }

    fn tell_step(&mut self, fact: u64, at: Utc, step: &Step) {
        let Some(incident) = self.book().incident(step.incident) else {
            return;
        };
        // Watched no more: nothing was seen to be restored, and the end of the thread says so.
        let is_given_up =
            matches!(step.what, step::What::Dropped { .. }) && incident.state == State::Restored;
        if step.what == step::What::Closed || is_given_up {
            self.alerts.outbox.closed(&key_of(step.incident), at);
            return;
        }
        let Some(reason) = reason(incident, step) else {
            return;
        };
        let words = step.what.failure().map_or_else(
            || "tout fonctionne de nouveau".to_owned(),
            Failure::words_fr,
        );
        let notice = self.notice(incident, reason, fact, &step.subject, (words, at));
        self.alerts.outbox.owe(notice);
    }

    fn tell_mark(&mut self, fact: u64, at: Utc, mark: &Mark) {
        let Some(incident) = self.book().incident(mark.incident) else {
            return;
        };
        let (reason, words) = match mark.passed {
            Passed::AtRisk => (Reason::AtRisk, "le délai du contrat est bientôt écoulé"),
            Passed::Breached => (Reason::Breach, "le délai du contrat est dépassé"),
        };
        let mut notice = self.notice(
            incident,
            reason,
            fact,
            &incident.cause,
            (words.to_owned(), at),
        );
        notice.id = format!("{}/{}", notice.id, mark.indicator);
        notice.deadline = Some(Deadline {
            indicator: mark.indicator.to_string(),
            at: mark.deadline,
        });
        self.alerts.outbox.owe(notice);
    }

    fn tell_act(&mut self, fact: u64, at: Utc, act: &Act) {
        match &act.what {
            What::Acknowledge { incident } => self.alerts.outbox.acknowledged(&key_of(*incident)),
            What::Merge { incident, into } => {
                self.alerts.outbox.merged(&key_of(*incident), *into, at);
            }
            What::Maintain {
                subjects,
                from,
                until,
                ..
            } if *from <= at => {
                let hit: Vec<String> = self
                    .book()
                    .current()
                    .filter(|known| known.members.keys().all(|member| subjects.contains(member)))
                    .map(|known| key_of(known.id))
                    .collect();
                for key in hit {
                    self.alerts.outbox.quiet(&key, *until);
                }
            }
            // Whoever hears of it as of a new one hears of its end.
            What::Split { .. } => {
                let id = self.book().last();
                if let Some(incident) = self.book().incident(id) {
                    let words = "séparé d’un autre incident".to_owned();
                    let (cause, reason) = (incident.cause.clone(), Reason::Opened);
                    let notice = self.notice(incident, reason, fact, &cause, (words, at));
                    if incident.state == State::Open {
                        self.alerts.outbox.owe(notice);
                    }
                }
            }
            What::Maintain { .. }
            | What::Comment { .. }
            | What::Cause { .. }
            | What::Attach { .. }
            | What::Publish { .. }
            | What::Show { .. }
            | What::Declare { .. }
            | What::Exclude { .. }
            | What::Correct { .. }
            | What::Approve { .. }
            | What::Reject { .. } => {}
        }
    }

    fn notice(
        &self,
        incident: &Incident,
        reason: Reason,
        fact: u64,
        subject: &Subject,
        (words, at): (String, Utc),
    ) -> Notice {
        let since = incident
            .started()
            .map_or(incident.detected, |start| start.at);
        let word = if reason == Reason::Restored {
            Word::Good
        } else {
            incident.word()
        };
        let name = self.called(subject).to_owned();
        let mut notice =
            Notice::of_incident(incident.id, reason, fact, &name, (word, words), (since, at));
        notice.hit = incident
            .members
            .keys()
            .filter(|member| *member != subject)
            .map(|member| self.called(member).to_owned())
            .collect();
        notice.groups = incident
            .members
            .keys()
            .filter_map(|member| self.group_of(member))
            .collect();
        notice.groups.sort_unstable();
        notice.groups.dedup();
        notice.deadline = self.next_deadline(incident, at);
        notice.quiet_until = self.quiet_until(incident, at);
        notice
    }

    /// The first time of the contract that will be over.
    fn next_deadline(&self, incident: &Incident, now: Utc) -> Option<Deadline> {
        let clocks = self.clocks_now(incident, now);
        let first = clocks.into_iter().min_by_key(|clock| clock.deadline)?;
        Some(Deadline {
            indicator: first.indicator.to_owned(),
            at: first.deadline,
        })
    }

    /// The end of planned work, if it goes on at all that fails.
    fn quiet_until(&self, incident: &Incident, now: Utc) -> Option<Utc> {
        let ends: Option<Vec<Utc>> = incident
            .members
            .keys()
            .map(|member| self.book().maintained_until(member, now))
            .collect();
        ends?.into_iter().min()
    }

    /// Makes a fact of everything the outbox decides, and sends what may leave.
    pub(super) fn alert(&mut self, now: Now) {
        while let Some(record) = self.alerts.outbox.due(now.utc) {
            self.record(now, &Event::Alert(record));
        }
        // While the disk fails, an alert that leaves twice after a crash is better than none.
        let on_disk = self.sendable_fact();
        while let Some(outgoing) = self.alerts.outbox.sendable(now.utc, on_disk) {
            self.outputs.push_back(Output::Send(Box::new(outgoing)));
        }
        let next = self.alerts.outbox.deadline(now.utc);
        self.alerts.wake = next.map(|at| now.instant + at.since(now.utc));
    }

    pub(super) fn delivered(
        &mut self,
        now: Now,
        id: record::MessageId,
        outcome: Result<(), record::Failure>,
    ) {
        let record = self.alerts.outbox.tried(id, outcome);
        self.record(now, &Event::Alert(record));
    }
}

/// Is this worth telling?
fn reason(incident: &Incident, step: &Step) -> Option<Reason> {
    let others_down = incident.members.iter().any(|(member, spans)| {
        let failing = spans
            .last()
            .is_some_and(|span| span.end.is_none() && span.word == Word::Down);
        *member != step.subject && failing
    });
    let is_line = matches!(step.subject, Subject::Line(_));
    let grows = |word: Word| word == Word::Down && (is_line || !others_down);
    match &step.what {
        step::What::Opened(_) => Some(Reason::Opened),
        step::What::Joined { failed, .. } | step::What::Changed(failed) => {
            grows(failed.word).then_some(Reason::Worse)
        }
        step::What::Relapsed(failed) => {
            let only = incident
                .members
                .values()
                .filter(|spans| spans.last().is_some_and(|span| span.end.is_none()))
                .count()
                == 1;
            (only || grows(failed.word)).then_some(Reason::Relapsed)
        }
        step::What::Restored { .. } => {
            (incident.state == State::Restored).then_some(Reason::Restored)
        }
        step::What::Dropped { .. } | step::What::Closed => None,
    }
}

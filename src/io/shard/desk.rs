//! What one shard thread owes the daemon: a result for each job, and the faults of our own, each told once.
//!
//! It waits for no one: what the daemon does not take stays here and is offered again by the circle of `thread`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::sockets::Sockets;
use super::{Event, Told};
use crate::calls::JobId;
use crate::calls::observe::{Observed, Outcome};
use crate::io::clock;
use crate::probe::{Blame, Failure};
use crate::time::{Instant, Now};

/// How often results are offered again to a daemon that does not take them.
const OFFER_AGAIN: Duration = Duration::from_millis(10);

/// A fault not seen for this long is over. Shorter, and a fault that comes and goes fills the journal.
const FAULT_OVER_AFTER: Duration = Duration::from_secs(60);

/// Lateness is judged over this long.
const LATENESS_WINDOW: Duration = Duration::from_secs(10);

/// Media later than this, for one packet in a hundred, says more about us than about the line.
const LATE_MAX: Duration = Duration::from_millis(5);

/// What is owed to the daemon: a result for each job, and the faults of our own.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) events: mpsc::Sender<Event>,
    /// What the daemon has not taken yet; never thrown away.
    backlog: VecDeque<Event>,
    pub(super) running: BTreeSet<JobId>,
    /// Faults that were told, and when each was last seen.
    faults: BTreeMap<String, Instant>,
    judge_next: Instant,
    /// Results since the last panic.
    pub(super) results: u64,
}

impl Desk {
    pub(super) fn new(events: mpsc::Sender<Event>) -> Self {
        Self {
            events,
            backlog: VecDeque::new(),
            running: BTreeSet::new(),
            faults: BTreeMap::new(),
            judge_next: Instant(0),
            results: 0,
        }
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.backlog.push_back(event);
        self.offer();
    }

    /// Gives the daemon what it takes.
    pub(super) fn offer(&mut self) {
        while let Some(event) = self.backlog.pop_front() {
            match self.events.try_send(event) {
                Ok(()) => {}
                Err(TrySendError::Full(event)) => {
                    self.backlog.push_front(event);
                    let now = clock::instant();
                    // Told behind the backlog, once; `fault` does not call `offer` again.
                    self.note_fault(now, &full_queue());
                    return;
                }
                Err(TrySendError::Closed(_)) => self.backlog.clear(),
            }
        }
    }

    pub(super) fn hear(&mut self, told: Told) {
        match told {
            Told::Done { job, observed } => self.done(job, observed),
            Told::Live { job, live } => self.tell(Event::Live { job, live }),
        }
    }

    pub(super) fn done(&mut self, job: JobId, observed: Box<Observed>) {
        if self.running.remove(&job) {
            self.results += 1;
            self.tell(Event::Done { job, observed });
        }
    }

    /// Every running job ends as a fault of our own.
    pub(super) fn fail_all(&mut self, words: &str) {
        for job in std::mem::take(&mut self.running) {
            let observed = Box::new(ours(clock::now(), words.to_owned()));
            self.tell(Event::Done { job, observed });
        }
    }

    pub(super) fn fault(&mut self, now: Instant, fault: Failure) {
        self.note_fault(now, &fault);
        self.offer();
    }

    /// Queues the fault, unless it is already known to be on.
    fn note_fault(&mut self, now: Instant, fault: &Failure) {
        let known = self.faults.insert(fault.code.to_string(), now).is_some();
        if !known {
            self.backlog.push_back(Event::OwnFault(fault.clone()));
        }
    }

    pub(super) fn end_faults(&mut self, now: Instant) {
        let over: Vec<String> = self
            .faults
            .iter()
            .filter(|(_, seen)| now.since(**seen) >= FAULT_OVER_AFTER)
            .map(|(code, _)| code.clone())
            .collect();
        for code in over {
            self.faults.remove(&code);
            self.tell(Event::OwnFaultOver { code });
        }
    }

    pub(super) fn judge_lateness(&mut self, now: Instant, sockets: &mut Sockets) {
        if now < self.judge_next {
            return;
        }
        self.judge_next = now + LATENESS_WINDOW;
        let (packets, p99) = sockets.take_lateness();
        if packets > 0 && p99 > LATE_MAX {
            let words = format!(
                "1 % of {packets} media packets left {} ms late or more: this machine is \
                 overloaded or gives no real-time priority, so jitter and loss of these calls say \
                 nothing about the line",
                p99.as_millis()
            );
            self.fault(now, Failure::new(Blame::Ours, "media_late", words));
        }
    }

    /// When there is something to do although nothing happens.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let offer = (!self.backlog.is_empty()).then(|| now + OFFER_AGAIN);
        let over = self.faults.values().min().map(|at| *at + FAULT_OVER_AFTER);
        offer.into_iter().chain(over).min()
    }
}

fn full_queue() -> Failure {
    Failure::new(
        Blame::Ours,
        "results_waiting",
        "results of calls wait for the service to take them: it is overloaded, or its disk is slow",
    )
}

/// What was seen of a task that a fault of our own ended.
pub(super) fn ours(now: Now, words: String) -> Observed {
    Observed::nothing(now.instant, now.instant, Outcome::Ours { words })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desk(queue: usize) -> (Desk, mpsc::Receiver<Event>) {
        let (events, taken) = mpsc::channel(queue);
        (Desk::new(events), taken)
    }

    fn result(words: &str) -> Box<Observed> {
        Box::new(ours(Now::default(), words.to_owned()))
    }

    #[test]
    fn a_full_queue_loses_no_result_and_is_told_as_a_fault() {
        let (mut desk, mut taken) = desk(1);
        for job in [JobId(1), JobId(2)] {
            desk.running.insert(job);
            desk.done(job, result("ended"));
        }
        assert!(desk.deadline(Instant(5)).is_some_and(|at| at > Instant(5)));
        let mut told = Vec::new();
        while let Ok(event) = taken.try_recv() {
            told.push(match event {
                Event::Done { job, .. } => format!("done {}", job.0),
                Event::Live { .. } => "live".to_owned(),
                Event::OwnFault(fault) => fault.code.to_string(),
                Event::OwnFaultOver { code } => format!("{code} over"),
                Event::Started { .. } => "started".to_owned(),
            });
            desk.offer();
        }
        assert_eq!(told, ["done 1", "done 2", "results_waiting"]);
    }

    #[test]
    fn a_job_gets_one_result_only() {
        let (mut desk, mut taken) = desk(8);
        desk.running.insert(JobId(1));
        desk.done(JobId(1), result("first"));
        desk.done(JobId(1), result("second"));
        desk.fail_all("stopped");
        assert!(matches!(
            taken.try_recv(),
            Ok(Event::Done { job: JobId(1), .. })
        ));
        assert!(taken.try_recv().is_err());
    }

    #[test]
    fn a_fault_is_told_once_and_ends_when_it_is_not_seen_any_more() {
        let (mut desk, mut taken) = desk(8);
        let fault = Failure::new(Blame::Ours, "media_late", "late");
        let start = Instant(1_000_000_000);
        desk.fault(start, fault.clone());
        desk.fault(start + Duration::from_secs(59), fault);
        desk.end_faults(start + Duration::from_secs(60));
        assert!(matches!(taken.try_recv(), Ok(Event::OwnFault(_))));
        assert!(taken.try_recv().is_err());
        desk.end_faults(start + Duration::from_secs(119));
        assert!(
            matches!(taken.try_recv(), Ok(Event::OwnFaultOver { code }) if code == "media_late")
        );
        assert_eq!(desk.deadline(start), None);
    }
}

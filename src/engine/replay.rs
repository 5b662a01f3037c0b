//! Rebuilding the states from the journal, so that a restart in the middle of an outage goes on with
//! that outage, and an auditor who replays the same facts sees the same page.

use super::Engine;
use super::fact::{ChainBreak, Event, Fact, Judged, TallyRow};
use crate::health::{Seen, replay::Uncounted};
use crate::time::{Instant, Now, Utc};

/// Why a journal cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Chain(#[from] ChainBreak),
    #[error("fact {seq} cannot be read by this version: {error}")]
    Unreadable { seq: u64, error: serde_json::Error },
}

impl Engine {
    /// Takes over what the journal tells, before `Input::Started`; verifies its chain.
    pub fn replay<'a>(
        &mut self,
        now: Now,
        facts: impl IntoIterator<Item = &'a Fact>,
    ) -> Result<(), ReplayError> {
        for fact in facts {
            fact.follows(self.chain.seq, self.chain.hash)?;
            self.take_over(now, fact)?;
        }
        Ok(())
    }

    /// Takes over the next fact of a journal that verifies its chain itself.
    pub fn take_over(&mut self, now: Now, fact: &Fact) -> Result<(), ReplayError> {
        let event = fact.event().map_err(|error| ReplayError::Unreadable {
            seq: fact.seq,
            error,
        })?;
        self.chain.seq = fact.seq;
        self.chain.hash = fact.hash;
        self.committed = fact.seq;
        self.enter(&fact.boot_id, fact.now());
        self.incidents
            .take(fact.seq, &fact.boot_id, fact.now(), &event);
        self.tell(fact.seq, fact.utc, &event);
        // A day that ended while nobody watched is sealed at the first heartbeat.
        let is_sealed = matches!(event, Event::DayRoot { .. });
        self.day = self
            .day
            .filter(|_| !is_sealed)
            .or_else(|| Some(fact.utc.civil_day()));
        let at = self.boot_moment(now, fact);
        self.apply(at, fact.utc, event);
        Ok(())
    }

    /// When the fact was stamped, on the present boot clock; `None` if that was before this boot.
    fn boot_moment(&self, now: Now, fact: &Fact) -> Option<Instant> {
        if fact.boot_id == self.chain.boot_id {
            return Some(fact.boot.min(now.instant));
        }
        let ago = now.utc.since(fact.utc);
        let ago = u64::try_from(ago.as_nanos()).ok()?;
        now.instant.0.checked_sub(ago).map(Instant)
    }

    fn apply(&mut self, at: Option<Instant>, utc: Utc, event: Event) {
        match event {
            Event::ServiceStarted { .. } => {
                self.own_faults.clear();
                self.health.replay_start();
            }
            Event::Configured(configured) => {
                let (probes, subjects) = (&configured.forgotten, &configured.dropped);
                let instant = at.unwrap_or_default();
                let then = Now { instant, utc };
                self.health.replay_forget(then, probes, subjects);
                self.weeks.forget(probes);
                for subject in subjects {
                    self.known.remove(subject);
                }
                self.numbered = configured.probes;
            }
            Event::Verdict(judged) => self.apply_verdict(at, judged),
            Event::Tally { rows } => {
                for row in rows {
                    self.apply_tally(at, utc, row);
                }
            }
            Event::BlindBegan { probe } => self.health.replay_stale(at, utc, &probe),
            Event::Corroborated { probe } => self.health.replay_corroborated(at, &probe),
            Event::Soft(change) | Event::Hard(change) => {
                self.health.replay_change(at, &change);
                self.known.insert(change.subject);
            }
            Event::Answered { to, .. } => {
                self.answer = to;
                self.answered_since = utc;
            }
            Event::OwnFaultBegan { failure } => {
                self.own_faults
                    .insert(failure.code.clone().into_owned(), failure);
            }
            Event::OwnFaultEnded { code } => {
                self.own_faults.remove(&code);
            }
            Event::Heartbeat { .. } => self.health.replay_heartbeat(at),
            Event::ClockStepped { by_ns } => self.correct_stamps(by_ns),
            Event::ServiceStopped
            | Event::Incident(_)
            | Event::Clock(_)
            | Event::Alert(_)
            | Event::Act(_)
            | Event::DayRoot { .. } => {}
        }
    }

    fn apply_verdict(&mut self, at: Option<Instant>, judged: Judged) {
        let wired = self.wired.get(&judged.probe);
        if wired.is_some_and(|wired| wired.limits().is_some()) {
            self.weeks.learn(&judged);
        }
        let seen = Seen {
            started: at.unwrap_or_default(),
            sent: judged.sent,
            word: judged.word,
            failure: judged.failure,
            took_ns: judged.took_ns,
            measures: judged.measures,
            signature: judged.signature,
        };
        self.health.replay_verdict(at, &judged.probe, seen);
        self.next_run = self.next_run.max(judged.run);
    }

    fn apply_tally(&mut self, at: Option<Instant>, utc: Utc, row: TallyRow) {
        let Some((probe, _)) = self.numbered.get(row.probe) else {
            return;
        };
        // The row was written at `utc`, and tells of a run some time before.
        let ago = utc.since(row.last_good.unwrap_or(utc));
        let ago = u64::try_from(ago.as_nanos()).unwrap_or(u64::MAX);
        let at = at.and_then(|at| at.0.checked_sub(ago)).map(Instant);
        let uncounted = Uncounted {
            good: row.good,
            blind: row.blind,
            last_good: row.last_good,
            last: row
                .last
                .map(|last| (last.sent, last.took_ns, last.measures)),
            at,
        };
        self.health.replay_uncounted(probe, uncounted);
    }
}

//! Taking over what the journal tells, before anything is judged anew.
//!
//! Verdicts step the probes exactly as they did when they happened; standings are taken as recorded.

use super::flap::Flap;
use super::record::{Record, Seen};
use super::standing::{Change, Standing, Subject};
use super::state::Event;
use super::{Health, UNBORN};
use crate::id::ProbeId;
use crate::probe::{Measure, Word};
use crate::time::{Instant, Now, Utc};

/// Runs of one probe that the journal tells only together.
#[derive(Clone, Debug)]
pub struct Uncounted {
    pub good: u64,
    pub blind: u64,
    pub last_good: Option<Utc>,
    /// Send time, duration and figures of its last run, if that is one of these.
    pub last: Option<(Utc, Option<u64>, Vec<Measure>)>,
    /// When the last good one was sent, on the present boot clock; `None` for an earlier boot.
    pub at: Option<Instant>,
}

impl Health {
    /// A verdict of the past; `at` is when it came on the present boot clock, if it can be said.
    pub fn replay_verdict(&mut self, at: Option<Instant>, probe: &ProbeId, seen: Seen) {
        if let Some(record) = self.probes.get_mut(probe) {
            record.observe(at, seen);
        }
    }

    pub fn replay_corroborated(&mut self, at: Option<Instant>, probe: &ProbeId) {
        self.step_corroborated(at.unwrap_or_default(), probe);
    }

    pub fn replay_uncounted(&mut self, probe: &ProbeId, uncounted: Uncounted) {
        let Some(record) = self.probes.get_mut(probe) else {
            return;
        };
        record.runs[0] += uncounted.good;
        record.runs[3] += uncounted.blind;
        if let Some(last_good) = uncounted.last_good {
            record.last_good = Some(last_good);
            // What came after these runs has facts of its own, which were taken over before their counts.
            record.seen_at = record.seen_at.max(uncounted.at);
            record.conclusive = record.conclusive.max(uncounted.at);
            record.proved = record.proved.max(uncounted.at);
        }
        if let Some((sent, took_ns, measures)) = uncounted.last {
            // The last of these is good exactly when the last good one is the last.
            let good = uncounted.last_good == Some(sent);
            let failure = record.last.as_ref().and_then(|last| last.failure.clone());
            record.last = Some(Seen {
                started: uncounted.at.unwrap_or_default(),
                sent,
                word: if good { Word::Good } else { Word::Blind },
                failure: if good { None } else { failure },
                took_ns,
                measures,
                signature: None,
            });
        }
    }

    /// We were watching at `at`.
    pub fn replay_heartbeat(&mut self, at: Option<Instant>) {
        self.last_beat = at;
    }

    pub fn replay_stale(&mut self, at: Option<Instant>, utc: Utc, probe: &ProbeId) {
        if let Some(record) = self.probes.get_mut(probe) {
            record.step(at.unwrap_or_default(), Event::Stale, utc);
        }
    }

    /// A swing from before this boot is forgotten: after a reboot the flag ends if nothing swings any more.
    pub fn replay_change(&mut self, at: Option<Instant>, change: &Change) {
        if let Some(judged) = self.subjects.get_mut(&change.subject) {
            if let Some(at) = at
                && judged.standing.swings_to(&change.to)
            {
                judged.flap.swing(at);
            }
            judged.standing = change.to.clone();
        }
    }

    /// These ask something else now, those are watched no more.
    pub fn replay_forget(&mut self, now: Now, probes: &[ProbeId], subjects: &[Subject]) {
        for id in probes {
            if let Some(record) = self.probes.get_mut(id) {
                *record = Record::new(record.settings.clone(), now);
            }
        }
        for subject in subjects {
            if let Some(judged) = self.subjects.get_mut(subject) {
                judged.standing = Standing::unseen(UNBORN);
                judged.flap = Flap::default();
            }
        }
    }

    /// Shows every stamp that is remembered, to be corrected after a step of the wall clock. What has no fact yet has
    /// no stamp either.
    pub fn each_stamp(&mut self, visit: &mut dyn FnMut(&mut Utc)) {
        let mut visit = |at: &mut Utc| {
            if *at != UNBORN {
                visit(at);
            }
        };
        for record in self.probes.values_mut() {
            record.each_stamp(&mut visit);
        }
        for judged in self.subjects.values_mut() {
            visit(&mut judged.standing.since);
        }
    }

    /// The service starts: counts begin anew.
    pub fn replay_start(&mut self) {
        for record in self.probes.values_mut() {
            record.runs = [0; 4];
        }
    }

    /// Goes on from what was taken over.
    pub fn resume(&mut self, now: Now) {
        if let Some(beat) = self.last_beat.take() {
            for record in self.probes.values_mut() {
                record.good_until(beat);
            }
        }
        self.stale.clear();
        for (id, record) in &self.probes {
            self.stale
                .extend(record.stale_at().map(|at| (at, id.clone())));
        }
        self.tick(now);
    }
}

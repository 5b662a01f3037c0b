//! An adaptive jitter buffer as a soft switch has it: it follows the spread of the last transits and pays
//! for it with frames played twice or left out. Own emulation of the published rules; `playout` calls it.
//!
//! The target is the spread of the last 500 transits without the outermost 3 % on either side, plus 40 ms.
//! The buffer grows by a frame at most every 40 ms and shrinks by one at most every 500 ms.

use std::collections::VecDeque;

use super::delay::{ALL_LATE_NS, Mean, milliseconds};
use super::log::Heard;

const HISTORY: usize = 500;
/// One in so many is left out at either end: 3 %.
const OUTLIERS_OF: (usize, usize) = (3, 100);
const EXTRA_NS: i64 = 40_000_000;
const TARGET_NS_MAX: i64 = 500_000_000;
const GROW_NS: i64 = 40_000_000;
const SHRINK_NS: i64 = 500_000_000;
/// Nothing to play for so long is a pause: the next frame is waited for at once.
const PAUSE_NS: i64 = 1_000_000_000;

/// Which lines were of no use, and the mean delay in milliseconds that the quickest packets have in it.
pub(super) fn late(log: &[Heard], timed: &[usize], frame_ns: i64) -> (Vec<bool>, f64) {
    let mut late = vec![false; log.len()];
    let mut delay = Mean::default();
    for arrivals in timed.chunk_by(|a, b| log[*a].epoch == log[*b].epoch) {
        let mut buffer = Adaptive::new(log, arrivals, frame_ns);
        buffer.play(&mut late, |delay_ns| delay.add(milliseconds(delay_ns)));
    }
    (late, delay.mean())
}

struct Adaptive<'a> {
    log: &'a [Heard],
    /// Lines of the log still to arrive.
    arrivals: &'a [usize],
    frame_ns: i64,
    /// Transit that it waits for, on the scale of its epoch.
    plays_ns: i64,
    adjusted_ns: i64,
    late_since_ns: Option<u64>,
    recent: VecDeque<i64>,
    sorted: Vec<i64>,
}

impl<'a> Adaptive<'a> {
    fn new(log: &'a [Heard], arrivals: &'a [usize], frame_ns: i64) -> Self {
        let first_ns = arrivals.first().map_or(0, |line| log[*line].transit_ns);
        Self {
            log,
            arrivals,
            frame_ns,
            plays_ns: first_ns + EXTRA_NS,
            adjusted_ns: i64::MIN / 2,
            late_since_ns: None,
            recent: VecDeque::with_capacity(HISTORY + 1),
            sorted: Vec::with_capacity(HISTORY + 1),
        }
    }

    /// Plays frame by frame; `played` is told the delay of each.
    fn play(&mut self, late: &mut [bool], mut played: impl FnMut(i64)) {
        let log = self.log;
        let mut frames = self.arrivals.to_vec();
        frames.sort_by_key(|line| log[*line].number);
        let mut rest = frames.as_slice();
        let Some(first) = rest.first() else { return };
        let mut spoken_ns = log[*first].spoken_ns();
        while let Some(next) = rest.first() {
            let pause_ns = log[*next].spoken_ns() - spoken_ns;
            if pause_ns > PAUSE_NS {
                spoken_ns += pause_ns;
            }
            let now_ns = spoken_ns + self.plays_ns;
            self.arrive(now_ns);
            let since_ns = now_ns - self.adjusted_ns;
            let target_ns = self.target_ns();
            if target_ns - self.plays_ns > self.frame_ns && since_ns >= GROW_NS {
                self.plays_ns += self.frame_ns;
                self.adjusted_ns = now_ns;
                continue;
            }
            if self.plays_ns - target_ns > EXTRA_NS && since_ns >= SHRINK_NS {
                self.plays_ns -= self.frame_ns;
                self.adjusted_ns = now_ns;
                spoken_ns += self.frame_ns;
                while let Some(line) = next_before(log, &mut rest, spoken_ns) {
                    late[line] = true;
                }
            }
            spoken_ns += self.frame_ns;
            while let Some(line) = next_before(log, &mut rest, spoken_ns) {
                late[line] = self.is_late(&log[line], now_ns);
            }
            let quickest_ns = self.sorted.first().copied();
            played(quickest_ns.map_or(EXTRA_NS, |transit_ns| self.plays_ns - transit_ns));
        }
    }

    /// Begins anew with this packet when a second of them came too late.
    fn is_late(&mut self, heard: &Heard, now_ns: i64) -> bool {
        if heard.at.0.cast_signed() <= now_ns {
            self.late_since_ns = None;
            return false;
        }
        let since = *self.late_since_ns.get_or_insert(heard.at.0);
        if heard.at.0.saturating_sub(since) < ALL_LATE_NS {
            return true;
        }
        self.plays_ns = heard.transit_ns + EXTRA_NS;
        self.late_since_ns = None;
        self.recent.clear();
        self.sorted.clear();
        false
    }

    /// What came by now enters the history.
    fn arrive(&mut self, now_ns: i64) {
        while let Some((line, others)) = self.arrivals.split_first()
            && self.log[*line].at.0.cast_signed() <= now_ns
        {
            self.arrivals = others;
            let transit_ns = self.log[*line].transit_ns;
            let place = self.sorted.partition_point(|other| *other < transit_ns);
            self.sorted.insert(place, transit_ns);
            self.recent.push_back(transit_ns);
            if self.recent.len() > HISTORY
                && let Some(oldest) = self.recent.pop_front()
            {
                let place = self.sorted.partition_point(|other| *other < oldest);
                self.sorted.remove(place);
            }
        }
    }

    /// The spread above the quickest, whatever their transit is on a scale that drifts and steps.
    fn target_ns(&self) -> i64 {
        let outliers = self.sorted.len() * OUTLIERS_OF.0 / OUTLIERS_OF.1;
        let Some(last) = self.sorted.len().checked_sub(outliers + 1) else {
            return self.plays_ns;
        };
        let (least_ns, greatest_ns) = (self.sorted[outliers], self.sorted[last]);
        least_ns + (greatest_ns - least_ns + EXTRA_NS).min(TARGET_NS_MAX)
    }
}

/// Frames spoken before the moment leave the buffer.
fn next_before(log: &[Heard], rest: &mut &[usize], before_ns: i64) -> Option<usize> {
    let (line, others) = rest.split_first()?;
    let spoken = log[*line].spoken_ns() < before_ns;
    spoken.then(|| {
        *rest = others;
        *line
    })
}

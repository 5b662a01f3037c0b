//! An adaptive jitter buffer as a soft switch has it: it follows the spread of the last transits and pays
//! for it with frames played twice or left out. Own emulation of the published rules; `playout` calls it.
//!
//! The target is the spread of the last 500 transits without the outermost 3 % on either side, plus 40 ms.
//! The buffer grows by a frame at most every 40 ms and shrinks by one at most every 500 ms.

use std::collections::VecDeque;

use super::delay::milliseconds;
use super::stream::Heard;

const HISTORY: usize = 500;
/// One in so many is left out at either end: 3 %.
const OUTLIERS_OF: (usize, usize) = (3, 100);
const EXTRA_NS: i64 = 40_000_000;
const TARGET_NS_MAX: i64 = 500_000_000;
const GROW_NS: i64 = 40_000_000;
const SHRINK_NS: i64 = 500_000_000;
/// Nothing to play for so long is a pause: the next frame is waited for at once.
const PAUSE_NS: i64 = 1_000_000_000;

/// Which lines were of no use, and the mean delay in milliseconds.
pub(super) fn late(log: &[Heard], frame_ns: i64) -> (Vec<bool>, f64) {
    let sound: Vec<usize> = (0..log.len()).filter(|n| log[*n].is_sound()).collect();
    let mut late = vec![false; log.len()];
    let (mut sum_ms, mut frames) = (0.0, 0_u32);
    for arrivals in sound.chunk_by(|a, b| log[*a].epoch == log[*b].epoch) {
        let mut buffer = Adaptive::new(log, arrivals, frame_ns);
        buffer.play(&mut late, |delay_ns| {
            sum_ms += milliseconds(delay_ns);
            frames += 1;
        });
    }
    (late, sum_ms / f64::from(frames.max(1)))
}

struct Adaptive<'a> {
    log: &'a [Heard],
    /// Lines of the log still to arrive.
    arrivals: &'a [usize],
    frame_ns: i64,
    delay_ns: i64,
    adjusted_ns: i64,
    recent: VecDeque<i64>,
    sorted: Vec<i64>,
}

impl<'a> Adaptive<'a> {
    fn new(log: &'a [Heard], arrivals: &'a [usize], frame_ns: i64) -> Self {
        Self {
            log,
            arrivals,
            frame_ns,
            delay_ns: EXTRA_NS,
            adjusted_ns: i64::MIN / 2,
            recent: VecDeque::with_capacity(HISTORY + 1),
            sorted: Vec::with_capacity(HISTORY + 1),
        }
    }

    /// Plays frame by frame; `played` is told the delay of each.
    fn play(&mut self, late: &mut [bool], mut played: impl FnMut(i64)) {
        let mut frames = self.arrivals.to_vec();
        frames.sort_by_key(|line| self.log[*line].number);
        let mut rest = frames.as_slice();
        let Some(first) = rest.first() else { return };
        let mut spoken_ns = self.log[*first].spoken_ns();
        while let Some(next) = rest.first() {
            let pause_ns = self.log[*next].spoken_ns().saturating_sub(spoken_ns);
            if pause_ns > PAUSE_NS {
                spoken_ns += pause_ns;
            }
            let now_ns = spoken_ns + self.delay_ns;
            self.arrive(now_ns);
            let since_ns = now_ns - self.adjusted_ns;
            let target_ns = self.target_ns();
            if target_ns - self.delay_ns > self.frame_ns && since_ns >= GROW_NS {
                self.delay_ns += self.frame_ns;
                self.adjusted_ns = now_ns;
                continue;
            }
            if self.delay_ns - target_ns > EXTRA_NS && since_ns >= SHRINK_NS {
                self.delay_ns -= self.frame_ns;
                self.adjusted_ns = now_ns;
                spoken_ns += self.frame_ns;
                self.take(&mut rest, spoken_ns, |line| late[line] = true);
            }
            spoken_ns += self.frame_ns;
            let log = self.log;
            self.take(&mut rest, spoken_ns, |line| {
                late[line] = log[line].at.0.cast_signed() > now_ns;
            });
            played(self.delay_ns);
        }
    }

    /// Frames spoken before the moment leave the buffer.
    fn take(&self, rest: &mut &[usize], before_ns: i64, mut each: impl FnMut(usize)) {
        while let Some((line, others)) = rest.split_first()
            && self.log[*line].spoken_ns() < before_ns
        {
            each(*line);
            *rest = others;
        }
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

    fn target_ns(&self) -> i64 {
        let outliers = self.sorted.len() * OUTLIERS_OF.0 / OUTLIERS_OF.1;
        let greatest = self.sorted.len().checked_sub(outliers + 1);
        let greatest_ns = greatest.map_or(0, |place| self.sorted[place]);
        (greatest_ns + EXTRA_NS).min(TARGET_NS_MAX)
    }
}

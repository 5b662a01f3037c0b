//! Packet delay variation (RFC 5481 §4.2 PDV): how much later than the quickest packet each one came.
//!
//! Unlike jitter it sees a step and a stall for as long as they last, and a change of packet time does not
//! fool it. The quickest is sought in windows, so that the drift of two clocks is not taken for delay.

use serde::Serialize;

use super::log::Heard;
use crate::time::Instant;

/// Two clocks that differ by 100 ppm drift 1 ms in it.
const WINDOW_NS: u64 = 10_000_000_000;

/// Delay beyond the least, in milliseconds; of each hundred packets 50, 95 or 99 stay below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Pdv {
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

/// Lines of one clock that came within the same ten seconds.
pub(super) fn windows<'a>(log: &[Heard], timed: &'a [usize]) -> impl Iterator<Item = &'a [usize]> {
    let first = timed.first().map_or(0, |line| log[*line].at.0);
    let window = move |heard: &Heard| (heard.epoch, heard.at.0.saturating_sub(first) / WINDOW_NS);
    timed.chunk_by(move |a, b| window(&log[*a]) == window(&log[*b]))
}

/// The quickest of them.
pub(super) fn least_ns(log: &[Heard], lines: &[usize]) -> i64 {
    let transits = lines.iter().map(|line| log[*line].transit_ns);
    transits.min().unwrap_or(0)
}

/// `None` without a packet of sound.
pub(super) fn pdv(log: &[Heard], timed: &[usize]) -> Option<Pdv> {
    let mut variations = Vec::with_capacity(timed.len());
    for lines in windows(log, timed) {
        let least = least_ns(log, lines);
        variations.extend(lines.iter().map(|line| log[*line].transit_ns - least));
    }
    if variations.is_empty() {
        return None;
    }
    variations.sort_unstable();
    // Nearest rank: the least value that so many of a hundred do not exceed.
    let percentile = |percent: usize| {
        let rank = (variations.len() * percent).div_ceil(100).max(1);
        milliseconds(variations[rank - 1])
    };
    Some(Pdv {
        p50_ms: percentile(50),
        p95_ms: percentile(95),
        p99_ms: percentile(99),
        max_ms: percentile(100),
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "nanoseconds of a call are far below 2^52"
)]
pub(super) fn milliseconds(nanos: i64) -> f64 {
    nanos as f64 / 1e6
}

/// From one moment to another, negative when the stamps are out of order.
pub(super) fn milliseconds_between(from: Instant, to: Instant) -> f64 {
    if to >= from {
        to.since(from).as_secs_f64() * 1000.0
    } else {
        -(from.since(to).as_secs_f64() * 1000.0)
    }
}

/// No device plays nothing for ever: when all packets of a second came late it begins anew.
pub(super) const ALL_LATE_NS: u64 = 1_000_000_000;

/// Zero of nothing.
#[derive(Default)]
pub(super) struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    pub(super) fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    pub(super) fn mean(&self) -> f64 {
        self.sum / f64::from(self.count.max(1))
    }
}

//! How much the far end's clock runs slow against ours, from the slope of the least transit.
//!
//! The quickest packet of each second met no queue: what is left in it is the drift of two clocks, until the way
//! itself changes. So only a stretch without a step is judged, and by the median of all slopes in it (Theil and
//! Sen), which a stall does not move.

use super::delay::{least_ns, milliseconds};
use super::log::Heard;

const WINDOW_NS: u64 = 1_000_000_000;
/// Half a minute: with less the slope says more about the network than about the clocks.
const WINDOWS_MIN: usize = 30;
/// More would cost time for digits that nobody reads; of a longer stretch some seconds are left out.
const POINTS_MAX: usize = 120;
/// The median of so many seconds before and after a moment shows whether the way changed there.
const SIDE: usize = 5;
/// Twice what the worst clocks drift between the two middles.
const STEP_MS: f64 = 5.0;
/// No two clocks of telephones differ by more: it is something else.
const PPM_MAX: f64 = 500.0;

/// Parts per million; positive when packets come later and later. `None` without half a minute of sound on one
/// clock and one way, and for a slope that no clock has.
pub(super) fn skew_ppm(log: &[Heard], timed: &[usize]) -> Option<f64> {
    let epochs = timed.chunk_by(|a, b| log[*a].epoch == log[*b].epoch);
    let stretches = epochs.map(|lines| without_step(&quickest(log, lines)));
    let longest = stretches.max_by_key(Vec::len)?;
    if longest.len() < WINDOWS_MIN {
        return None;
    }
    let ppm = slope(&longest) * 1e6;
    (ppm.abs() <= PPM_MAX).then_some(ppm)
}

/// A second and its least transit, both in milliseconds.
type Point = (f64, f64);

fn quickest(log: &[Heard], lines: &[usize]) -> Vec<Point> {
    let first = lines.first().map_or(0, |line| log[*line].at.0);
    let second = |line: &usize| log[*line].at.0.saturating_sub(first) / WINDOW_NS;
    let seconds = lines.chunk_by(|a, b| second(a) == second(b));
    let point = |lines: &[usize]| {
        let least = least_ns(log, lines);
        let quickest = lines.iter().find(|line| log[**line].transit_ns == least)?;
        let at = log[*quickest].at.0.saturating_sub(first);
        let at = milliseconds(i64::try_from(at).unwrap_or(i64::MAX));
        Some((at, milliseconds(least)))
    };
    seconds.filter_map(point).collect()
}

/// The longest part in which the way did not change.
fn without_step(points: &[Point]) -> Vec<Point> {
    let level = |points: &[Point]| median(points.iter().map(|(_, transit)| *transit).collect());
    let steps = |n: usize| {
        let before = &points[n.saturating_sub(SIDE)..n];
        let after = &points[n..points.len().min(n + SIDE)];
        n > 0 && (level(after) - level(before)).abs() > STEP_MS
    };
    let numbered: Vec<(bool, Point)> = (0..).zip(points).map(|(n, it)| (steps(n), *it)).collect();
    let parts = numbered.split(|(steps, _)| *steps);
    let longest = parts.max_by_key(|part| part.len()).unwrap_or_default();
    longest.iter().map(|(_, point)| *point).collect()
}

/// The median slope between any two.
fn slope(points: &[Point]) -> f64 {
    let points: Vec<Point> = points
        .iter()
        .step_by(points.len().div_ceil(POINTS_MAX).max(1))
        .copied()
        .collect();
    let slopes = (0..points.len()).flat_map(|n| {
        let (at, transit) = points[n];
        let later = points[n + 1..].iter();
        later.map(move |(later_at, later)| (later - transit) / (later_at - at).max(1.0))
    });
    median(slopes.collect())
}

/// Zero of nothing.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Instant;

    /// Of so many seconds of 20 ms packets with this transit each, in milliseconds.
    fn skew(seconds: u32, transit_ms: impl Fn(u32) -> f64) -> Option<f64> {
        #[expect(clippy::cast_possible_truncation, reason = "some seconds")]
        let line = |n: u32| {
            let transit_ns = (transit_ms(n) * 1e6) as i64;
            Heard {
                at: Instant((i64::from(n) * 20_000_000 + transit_ns).cast_unsigned()),
                transit_ns,
                number: n,
                epoch: 0,
                timed: true,
            }
        };
        let log: Vec<Heard> = (0..seconds * 50).map(line).collect();
        let timed: Vec<usize> = (0..log.len()).collect();
        skew_ppm(&log, &timed)
    }

    #[test]
    fn drift_is_found_under_jitter_and_steps_and_stalls() {
        let jitter = |n: u32| f64::from(n.wrapping_mul(2_654_435_761) >> 16 & 1023) * 40.0 / 1024.0;
        let drift = |n: u32, ppm: f64| f64::from(n) * 20.0 * ppm / 1e6;
        let step = |n: u32, at: u32| if n / 50 >= at { 40.0 } else { 0.0 };
        let stall = |n: u32| {
            if (500..600).contains(&n) {
                f64::from(600 - n) * 20.0
            } else {
                0.0
            }
        };
        let near = |name: &str, found: Option<f64>, ppm: f64, off: f64| {
            let found = found.unwrap_or(f64::NAN);
            assert!((found - ppm).abs() <= off, "{name}: {found}");
        };
        near("nothing", skew(30, |_| 0.0), 0.0, 0.0);
        near("200 ppm", skew(40, |n| drift(n, 200.0)), 200.0, 0.1);
        near("an hour", skew(3600, |n| drift(n, -150.0)), -150.0, 0.1);
        near("jitter", skew(60, jitter), 0.0, 25.0);
        near(
            "jitter and drift",
            skew(300, |n| jitter(n) + drift(n, 50.0)),
            50.0,
            5.0,
        );
        near(
            "a step",
            skew(90, |n| step(n, 40) + drift(n, 20.0)),
            20.0,
            0.1,
        );
        near(
            "a stall",
            skew(60, |n| stall(n) + drift(n, 20.0)),
            20.0,
            3.0,
        );
        for (name, found) in [
            ("a step in half a minute", skew(30, |n| step(n, 15))),
            ("too short", skew(29, |_| 0.0)),
            ("no clock", skew(60, |n| drift(n, 900.0))),
        ] {
            assert_eq!(found, None, "{name}");
        }
    }
}

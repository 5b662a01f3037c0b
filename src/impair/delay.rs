//! How long a packet is on its way: delay, jitter, the drift of a clock, and stalls.

use std::f64::consts::TAU;

use fastrand::Rng;

use super::settings::{Jitter, Settings, Shape, Stall, milliseconds};
use crate::time::Instant;

/// The delays of one direction.
#[derive(Debug)]
pub(super) struct Delay {
    random: Rng,
    /// When the first packet came: drift and stalls are counted from here.
    start: Option<Instant>,
    /// The latest moment given so far: in a queue nobody is earlier.
    latest: Instant,
}

impl Delay {
    pub(super) const fn new(random: Rng) -> Self {
        Self {
            random,
            start: None,
            latest: Instant(0),
        }
    }

    /// The extra milliseconds of the next packet. Takes two numbers from the seed whatever they decide.
    pub(super) fn jitter_ms(&mut self, jitter: Option<Jitter>) -> f64 {
        // 1 - [0, 1) is never zero, so neither the logarithm nor the power is infinite.
        let (one, two) = (1.0 - self.random.f64(), self.random.f64());
        let Some(jitter) = jitter else { return 0.0 };
        let of_ms = match jitter.shape {
            Shape::Uniform => two,
            Shape::Normal => normal(one, two),
            Shape::Pareto => (one.powf(-1.0 / 3.0) - 1.0).min(100.0),
        };
        of_ms * jitter.ms
    }

    /// When a packet is due that came at `came` and may go on from `at`.
    pub(super) fn due(
        &mut self,
        came: Instant,
        at: Instant,
        jitter_ms: f64,
        settings: &Settings,
    ) -> Instant {
        let start = *self.start.get_or_insert(came);
        let drift_ms = came.since(start).as_secs_f64() * settings.skew_ppm / 1000.0;
        let delayed = at + milliseconds(settings.delay_ms + jitter_ms + drift_ms);
        let due = settings
            .stall
            .map_or(delayed, |stall| after_stall(start, delayed, stall));
        if settings.jitter.is_some_and(|jitter| jitter.overtake) {
            return due;
        }
        self.latest = self.latest.max(due);
        self.latest
    }
}

/// A number of the standard normal distribution from two even ones (Box and Muller).
pub(super) fn normal(one: f64, two: f64) -> f64 {
    (-2.0 * one.ln()).sqrt() * (TAU * two).cos()
}

/// The same moment, or the end of the stall that it falls into.
fn after_stall(start: Instant, due: Instant, stall: Stall) -> Instant {
    let every = milliseconds(stall.every_ms).as_nanos();
    let passed = due.since(start).as_nanos();
    let into = passed % every.max(1);
    let held = milliseconds(stall.for_ms);
    if passed < every || into >= held.as_nanos() {
        return due;
    }
    let into = u64::try_from(into).expect("less than a stall of a minute");
    Instant(due.0 - into) + held
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn settings(text: &str) -> Settings {
        serde_json::from_str(text).expect(text)
    }

    /// Delay of each of `count` packets that come every 20 ms, in microseconds.
    fn delays_us(text: &str, count: u64) -> Vec<u64> {
        let settings = settings(text);
        let mut delay = Delay::new(Rng::with_seed(1));
        (0..count)
            .map(|n| {
                let came = Instant((1000 + n * 20) * MS);
                let jitter_ms = delay.jitter_ms(settings.jitter);
                let due = delay.due(came, came, jitter_ms, &settings);
                u64::try_from(due.since(came).as_micros()).unwrap()
            })
            .collect()
    }

    #[test]
    fn delay_drift_and_stalls_are_exact() {
        for (text, expected) in [
            (r#"{"delay_ms": 60}"#, [60_000; 5]),
            (r#"{"skew_ppm": 200}"#, [0, 4, 8, 12, 16]),
            (r#"{"delay_ms": 0.01, "skew_ppm": -200}"#, [10, 6, 2, 0, 0]),
            // From 40 ms to 70 ms nothing moves: 40 waits 30 ms, 60 waits 10.
            (
                r#"{"stall": {"every_ms": 40, "for_ms": 30}}"#,
                [0, 0, 30_000, 10_000, 30_000],
            ),
        ] {
            assert_eq!(delays_us(text, 5), expected, "{text}");
        }
    }

    #[test]
    fn each_shape_spreads_as_it_says() {
        let shape = |name: &str, overtake: bool| {
            let text = format!(
                r#"{{"delay_ms": 100, "jitter": {{"shape": "{name}", "ms": 10, "overtake": {overtake}}}}}"#
            );
            let mut delays = delays_us(&text, 100_001);
            delays.sort_unstable();
            let at = |share: usize| delays[100_000 * share / 1000].abs_diff(100_000);
            [at(0), at(500), at(999), at(1000)]
        };
        let [least, half, _, most] = shape("uniform", true);
        assert!(least < 10 && half.abs_diff(5_000) < 100 && most.abs_diff(10_000) < 10);
        let [_, half, late, _] = shape("normal", true);
        assert!(half < 150 && late.abs_diff(30_900) < 1500, "{half} {late}");
        let [least, half, late, most] = shape("pareto", true);
        assert!(least < 10 && half.abs_diff(2_599) < 60, "{half}");
        assert!(late.abs_diff(90_000) < 8_000 && most <= 1_000_000, "{late}");
    }

    #[test]
    fn in_a_queue_nobody_overtakes() {
        for (overtake, passed) in [(false, false), (true, true)] {
            let text = format!(
                r#"{{"jitter": {{"shape": "uniform", "ms": 100, "overtake": {overtake}}}}}"#
            );
            let due: Vec<u64> = (0..)
                .zip(delays_us(&text, 1000))
                .map(|(n, delay): (u64, u64)| n * 20_000 + delay)
                .collect();
            assert_eq!(!due.is_sorted(), passed, "{text}");
        }
    }
}

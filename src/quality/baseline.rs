//! What is usual for one leg: its own last seven days, hour by hour, and when a reading falls out of them.
//!
//! A line at 35 ms of jitter that had 4 ms all week is in trouble though no fixed limit says so. Each
//! hour keeps a summary per metric, whatever the number of calls; whoever owns the baseline teaches it the
//! same readings again after a restart. Fixed limits are in [`super::limits`]. A change that stays becomes
//! the usual after half a week: by then somebody has heard of it.

use std::collections::BTreeMap;

use super::limits::{Breach, Severity};
use super::metric::Metric;

/// The week of one leg.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Baseline {
    /// By hours since 1970, as many as a week has.
    hours: BTreeMap<u64, BTreeMap<Metric, Readings>>,
}

/// The readings of one metric in one hour: count, sum, sum of squares and the worst, in thousandths of
/// the unit. Whole numbers, so that the order in which calls end leaves no trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Readings {
    count: u32,
    sum: i64,
    squares: u64,
    worst: i64,
}

/// Seven days. Fewer would make each Monday unusual, more would remember a line that is no more.
const HOURS: u64 = 7 * 24;
const HOURS_KEPT: usize = 7 * 24;

/// Calls are recorded when they end: a long one may be recorded hours after those that began later.
const OVERTAKING: u64 = 12;

/// A day of hours with readings: with fewer, the busy hour itself would be unusual.
const HOURS_MIN: usize = 24;

/// The spread of so many readings is known to a tenth (one over the root of twice their number); with
/// ten of them it would be off by a quarter, and six times that is a false alarm.
const READINGS_MIN: u32 = 50;

/// How many spreads from the usual: by chance alone one reading in a thousand million comes so far when
/// they scatter like a bell. At 3, a line called each minute would breach twice a day.
const SPREADS: f64 = 6.0;

/// How often as far as a usual hour reaches: for noise with a long tail, as jitter is, of which six
/// spreads are too few. At 1, each tenth hour would breach.
const REACHES: f64 = 2.0;

/// Of the hours, the share left out as not usual, worst first: a bad half-day does not widen the limits.
const UNUSUAL: usize = 10;

impl Baseline {
    /// One more reading; `hour` counts hours since 1970. Of hours that have left the week nothing is kept.
    pub fn learn(&mut self, hour: u64, metric: Metric, value: f64) {
        if !value.is_finite() {
            return;
        }
        let readings = Readings::of(value);
        self.room_for(hour)
            .entry(metric)
            .and_modify(|known| known.join(metric, readings))
            .or_insert(readings);
    }

    /// The place of this hour. Readings come as calls are recorded, so an hour far behind the latest says that the
    /// clock was ahead and was set back: what was learnt ahead is no hour of this week. Until then nothing is
    /// lost: as many hours are kept as a week has, wherever they lie, and [`Self::known`] looks at the last week.
    fn room_for(&mut self, hour: u64) -> &mut BTreeMap<Metric, Readings> {
        let ahead = hour.saturating_add(OVERTAKING + 1);
        if self.latest() >= ahead {
            self.hours.split_off(&ahead);
        }
        if !self.hours.contains_key(&hour) && self.hours.len() >= HOURS_KEPT {
            self.hours.pop_first();
        }
        self.hours.entry(hour).or_default()
    }

    fn latest(&self) -> u64 {
        self.hours.last_key_value().map_or(0, |(latest, _)| *latest)
    }

    /// Whether this reading falls out of the week. `None` too while too little is known.
    #[must_use]
    pub fn breach(&self, metric: Metric, value: f64) -> Option<Breach> {
        let (hours, usual) = self.known_and_usual(metric)?;
        // The limit is never nearer: of most calls no more need be asked.
        let nearest = towards_worse(metric).mul_add(metric.margin(), usual);
        if !metric.is_worse(value, nearest) {
            return None;
        }
        let limit = limit(metric, hours, usual);
        metric.is_worse(value, limit).then_some(Breach {
            severity: Severity::Degraded,
            metric,
            value,
            limit,
            usual: Some(usual),
        })
    }

    fn known_and_usual(&self, metric: Metric) -> Option<(Vec<Readings>, f64)> {
        let mut hours = self.known(metric)?;
        let usual = middle(&mut hours);
        Some((hours, usual))
    }

    /// The hours that know the metric, when they are enough to tell what is usual.
    fn known(&self, metric: Metric) -> Option<Vec<Readings>> {
        let oldest = self.latest().saturating_sub(HOURS - 1);
        let hours: Vec<Readings> = self
            .hours
            .range(oldest..)
            .filter_map(|(_, hour)| hour.get(&metric).copied())
            .collect();
        let readings = hours
            .iter()
            .fold(0, |sum: u32, hour| sum.saturating_add(hour.count));
        (hours.len() >= HOURS_MIN && readings >= READINGS_MIN).then_some(hours)
    }
}

/// The mean of the hour in the middle.
fn middle(hours: &mut [Readings]) -> f64 {
    let middle = hours.len() / 2;
    let by_mean = |one: &Readings, other: &Readings| one.mean().total_cmp(&other.mean());
    hours.select_nth_unstable_by(middle, by_mean).1.mean()
}

fn towards_worse(metric: Metric) -> f64 {
    if metric.is_worse(1.0, 0.0) { 1.0 } else { -1.0 }
}

/// The most lenient of three: a margin that means something to a caller beyond the usual; six spreads; twice as
/// far as one usual hour in ten reaches.
fn limit(metric: Metric, mut hours: Vec<Readings>, usual: f64) -> f64 {
    let towards_worse = towards_worse(metric);
    hours.sort_by(|one, other| one.square_from(usual).total_cmp(&other.square_from(usual)));
    hours.truncate(hours.len() - hours.len() / UNUSUAL);
    let squares: f64 = hours.iter().map(|hour| hour.square_from(usual)).sum();
    let spread = (squares / f64::from(small(hours.len()))).sqrt();

    let mut reached: Vec<f64> = hours
        .iter()
        .map(|hour| towards_worse * (unit(hour.worst) - usual))
        .collect();
    reached.sort_by(f64::total_cmp);
    let reach = reached[reached.len() - 1 - reached.len() / UNUSUAL];

    let far = metric.margin().max(SPREADS * spread).max(REACHES * reach);
    towards_worse.mul_add(far, usual)
}

impl Readings {
    fn of(value: f64) -> Self {
        let thousandths = thousandths(value);
        Self {
            count: 1,
            sum: thousandths,
            squares: thousandths.unsigned_abs().pow(2),
            worst: thousandths,
        }
    }

    fn join(&mut self, metric: Metric, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
        self.squares = self.squares.saturating_add(other.squares);
        if metric.is_worse(unit(other.worst), unit(self.worst)) {
            self.worst = other.worst;
        }
    }

    fn mean(&self) -> f64 {
        unit(self.sum) / f64::from(self.count.max(1))
    }

    /// Mean square of the distance from `usual`.
    fn square_from(&self, usual: f64) -> f64 {
        let mean = self.mean();
        let squares = unit_squared(self.squares) / f64::from(self.count.max(1));
        (mean - usual).mul_add(mean - usual, (squares - mean * mean).max(0.0))
    }
}

/// Beyond this every unit is absurd (10 s of jitter), and the squares of an hour still fit.
const VALUE_MAX: f64 = 10_000.0;

#[expect(
    clippy::cast_possible_truncation,
    reason = "clamped to ten million thousandths"
)]
fn thousandths(value: f64) -> i64 {
    (value.clamp(-VALUE_MAX, VALUE_MAX) * 1000.0).round() as i64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a sum over an hour stays below 2^53"
)]
fn unit(thousandths: i64) -> f64 {
    thousandths as f64 / 1000.0
}

#[expect(
    clippy::cast_precision_loss,
    reason = "beyond 2^53 the last of sixteen digits is lost"
)]
fn unit_squared(squares: u64) -> f64 {
    squares as f64 / 1e6
}

/// A number of hours.
fn small(count: usize) -> u32 {
    u32::try_from(count).expect("a week has 168 hours")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Any hour, as hours since 1970.
    const START: u64 = 495_000;

    /// A week of twelve readings an hour.
    fn week(metric: Metric, mut reading: impl FnMut(u64) -> f64) -> Baseline {
        let mut baseline = Baseline::default();
        for n in 0..HOURS * 12 {
            baseline.learn(START + n / 12, metric, reading(n));
        }
        baseline
    }

    #[test]
    fn a_reading_out_of_the_week_is_a_sentence() {
        let jitter = week(Metric::JitterMs, |n| if n % 2 == 0 { 3.5 } else { 4.5 });
        assert_eq!(jitter.breach(Metric::JitterMs, 12.0), None);
        let breach = jitter.breach(Metric::JitterMs, 19.25).unwrap();
        assert_eq!(
            breach.to_string(),
            "jitter 19.25 ms, limit 12 ms (usual here 4 ms)"
        );
        assert_eq!(breach.severity, Severity::Degraded);

        let mos = week(Metric::MosCq, |_| 4.4);
        assert_eq!(mos.breach(Metric::MosCq, 4.15), None);
        assert_eq!(
            mos.breach(Metric::MosCq, 3.9).unwrap().to_string(),
            "MOS-CQ 3.9, limit 4.1 (usual here 4.4)"
        );

        let level = week(Metric::LevelLowDbov, |_| -24.0);
        assert_eq!(
            level
                .breach(Metric::LevelLowDbov, -31.0)
                .unwrap()
                .to_string(),
            "level -31 dBov, limit -30 dBov (usual here -24 dBov)"
        );
    }

    #[test]
    fn too_little_is_known_at_first() {
        for (name, hours, each, known) in [
            ("nothing", 0, 0, false),
            ("many readings in few hours", 23, 100, false),
            ("few readings in many hours", 24, 2, false),
            ("a day", 24, 3, true),
            ("one an hour for two days", 49, 1, false),
            ("one an hour for longer", 50, 1, true),
        ] {
            let mut baseline = Baseline::default();
            for hour in 0..hours {
                for _ in 0..each {
                    baseline.learn(START + hour, Metric::JitterMs, 2.0);
                }
            }
            let breach = baseline.breach(Metric::JitterMs, 200.0);
            assert_eq!(breach.is_some(), known, "{name}");
        }
    }

    /// Fourteen bad hours of the 168 leave the limit where it was: the usual is not what is wrong.
    #[test]
    fn a_bad_half_day_does_not_widen_the_limit() {
        let bad = |n: u64| (600..600 + 14 * 12).contains(&n);
        let jitter = week(Metric::JitterMs, |n| if bad(n) { 150.0 } else { 4.0 });
        let breach = jitter.breach(Metric::JitterMs, 13.0).unwrap();
        assert!((breach.limit - 12.0).abs() < 1e-9, "{breach}");
    }

    #[test]
    fn what_comes_each_evening_is_usual() {
        let evening = |n: u64| (n / 12) % 24 >= 20;
        let jitter = week(Metric::JitterMs, |n| if evening(n) { 25.0 } else { 4.0 });
        assert_eq!(jitter.breach(Metric::JitterMs, 25.0), None);
    }

    /// A seeded year, an hour each, of noise that is flat, a bell, or long-tailed: no three readings in a
    /// row breach, and only the long tail ever does.
    #[test]
    fn natural_noise_is_no_breach() {
        type Noise = fn(&mut fastrand::Rng) -> f64;
        let noises: [(&str, Noise, usize); 3] = [
            ("flat", |random| random.f64(), 0),
            (
                "bell",
                |random| (0..12).map(|_| random.f64()).sum::<f64>() - 6.0,
                0,
            ),
            ("long tail", |random| -random.f64().max(1e-9).ln(), 5),
        ];
        for (name, noise, allowed) in noises {
            for (metric, usual, scale) in [
                (Metric::JitterMs, 4.0, 4.0),
                (Metric::PdvP99Ms, 8.0, 8.0),
                (Metric::LossPercent, 0.1, 0.4),
                (Metric::MosCq, 4.2, -0.2),
                (Metric::LevelLowDbov, -24.0, -3.0),
            ] {
                let mut random = fastrand::Rng::with_seed(11);
                let mut reading = || usual + scale * noise(&mut random);
                let (hours, usual) = week(metric, |_| reading()).known_and_usual(metric).unwrap();
                let limit = limit(metric, hours, usual);
                let breaches: Vec<bool> = (0..365 * 24)
                    .map(|_| metric.is_worse(reading(), limit))
                    .collect();
                let count = breaches.iter().filter(|breach| **breach).count();
                assert!(count <= allowed, "{name} {metric:?}: {count}");
                assert!(!breaches.windows(3).any(|three| three == [true; 3]));
            }
        }
    }

    /// By a day, by six days or by years: one call under a clock that was ahead costs an hour of the week.
    #[test]
    fn a_clock_that_was_ahead_for_one_call_costs_nothing_once_it_is_right() {
        for ahead in [13, 24, 144, 50_000, u64::MAX - START - 2 * HOURS] {
            let mut jitter = week(Metric::JitterMs, |_| 4.0);
            jitter.learn(START + HOURS + ahead, Metric::JitterMs, 4000.0);
            jitter.learn(START + HOURS, Metric::JitterMs, 4.0);
            let breach = jitter.breach(Metric::JitterMs, 200.0);
            assert!(
                breach.is_some_and(|breach| breach.limit < 13.0),
                "{ahead} hours"
            );
            assert_eq!(jitter.latest(), START + HOURS, "{ahead} hours");
        }
    }

    #[test]
    fn a_week_that_has_passed_is_not_compared_with() {
        let mut jitter = week(Metric::JitterMs, |_| 4.0);
        jitter.learn(START + 2 * HOURS, Metric::JitterMs, 4.0);
        assert_eq!(jitter.breach(Metric::JitterMs, 200.0), None);
    }

    /// A call of three hours is recorded after those that began and ended meanwhile.
    #[test]
    fn a_long_call_takes_no_hour_away() {
        let mut jitter = week(Metric::JitterMs, |_| 4.0);
        let before = jitter.hours.len();
        jitter.learn(START + HOURS - 4, Metric::JitterMs, 4.0);
        assert_eq!(jitter.hours.len(), before);
        assert_eq!(jitter.latest(), START + HOURS - 1);
    }

    fn of_an_hour() -> impl Strategy<Value = Vec<f64>> {
        proptest::collection::vec(-20_000.0..20_000.0_f64, 1..80)
    }

    proptest! {
        #[test]
        fn the_order_within_an_hour_leaves_no_trace(
            values in of_an_hour().prop_flat_map(|values| (Just(values.clone()), Just(values).prop_shuffle())),
        ) {
            let learnt = |values: &[f64]| {
                let mut baseline = Baseline::default();
                for value in values {
                    baseline.learn(START, Metric::AudioRoundTripMs, *value);
                    baseline.learn(START, Metric::MosCq, *value);
                }
                baseline
            };
            prop_assert_eq!(learnt(&values.0), learnt(&values.1));
        }

        #[test]
        fn no_more_than_a_week_is_kept(
            readings in proptest::collection::vec((0..2000_u64, any::<f64>()), 0..400),
        ) {
            let mut baseline = Baseline::default();
            for (hour, value) in &readings {
                baseline.learn(START + hour, Metric::LossPercent, *value);
                prop_assert!(baseline.hours.len() <= usize::try_from(HOURS).unwrap());
            }
            for (_, value) in readings {
                let _ = baseline.breach(Metric::LossPercent, value);
            }
        }

        /// A worse reading than one that breaches, breaches.
        #[test]
        fn worse_is_never_better(seed in any::<u64>(), value in 0.0..60.0_f64, more in 0.0..60.0_f64) {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut baseline = Baseline::default();
            for n in 0..72 {
                baseline.learn(START + n % 24, Metric::JitterMs, random.f64() * 10.0);
            }
            if baseline.breach(Metric::JitterMs, value).is_some() {
                prop_assert!(baseline.breach(Metric::JitterMs, value + more).is_some());
            }
        }
    }
}

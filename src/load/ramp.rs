//! When the next call of a load test may start: an even rate on absolute time, after a ramp.

use std::time::Duration;

use super::Plan;
use crate::time::Instant;

/// The schedule of one load test.
#[derive(Clone, Debug)]
pub struct Ramp {
    plan: Plan,
    began: Instant,
    /// Starts that were due so far, whether they happened or not.
    due: u64,
    withheld: u64,
}

impl Ramp {
    #[must_use]
    pub fn new(plan: Plan, now: Instant) -> Self {
        Self {
            plan,
            began: now,
            due: 0,
            withheld: 0,
        }
    }

    /// How many calls may start now. The others that are due are withheld for good.
    pub fn take(&mut self, now: Instant, in_flight: u32) -> u32 {
        let due = self.due_by(now.since(self.began));
        let new = due.saturating_sub(self.due);
        self.due = self.due.max(due);
        let room = self.plan.in_flight_max.saturating_sub(in_flight);
        let allowed = u32::try_from(new).unwrap_or(u32::MAX).min(room);
        self.withheld += new - u64::from(allowed);
        allowed
    }

    /// When the next call is due; `None` when all have been.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let at = self.due_at(self.due + 1);
        (at <= self.plan.lasts).then(|| self.began + at)
    }

    /// Calls that were due while as many as allowed were under way.
    #[must_use]
    pub fn withheld(&self) -> u64 {
        self.withheld
    }

    /// Starts that are due this long after the beginning: the integral of the rate.
    fn due_by(&self, elapsed: Duration) -> u64 {
        let elapsed = elapsed.min(self.plan.lasts).as_secs_f64();
        let (rate, ramp) = (self.plan.calls_per_second, self.plan.ramp.as_secs_f64());
        let due = if elapsed < ramp {
            rate * elapsed * elapsed / (2.0 * ramp)
        } else {
            rate * (elapsed - ramp / 2.0)
        };
        // The small addition takes the rounding of `due_at` into account, so that a call is due at its
        // own deadline and no empty wake-up follows.
        whole(due + 1e-6)
    }

    /// When start number `count` is due: the inverse of `due_by`.
    fn due_at(&self, count: u64) -> Duration {
        let (rate, ramp) = (self.plan.calls_per_second, self.plan.ramp.as_secs_f64());
        if rate <= 0.0 {
            return Duration::MAX;
        }
        let count = float(count);
        let seconds = if count < rate * ramp / 2.0 {
            (2.0 * ramp * count / rate).sqrt()
        } else {
            count / rate + ramp / 2.0
        };
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of calls: never negative, far below 2^53"
)]
fn whole(count: f64) -> u64 {
    count.floor() as u64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a count of calls is far below 2^53"
)]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant(7_000_000_000);

    fn plan(calls_per_second: f64, ramp: u64, lasts: u64, in_flight_max: u32) -> Plan {
        Plan {
            calls_per_second,
            ramp: Duration::from_secs(ramp),
            lasts: Duration::from_secs(lasts),
            in_flight_max,
        }
    }

    #[test]
    fn calls_start_evenly_and_at_their_own_deadline() {
        let mut ramp = Ramp::new(plan(4.0, 0, 2, 100), START);
        let mut starts = Vec::new();
        while let Some(at) = ramp.deadline() {
            starts.push((at.since(START).as_millis(), ramp.take(at, 0)));
        }
        let expected: Vec<(u128, u32)> = (1..=8).map(|n| (n * 250, 1)).collect();
        assert_eq!(starts, expected);
    }

    #[test]
    fn the_rate_grows_during_the_ramp() {
        let mut ramp = Ramp::new(plan(100.0, 10, 20, u32::MAX), START);
        let mut each_second = |second| ramp.take(START + Duration::from_secs(second), 0);
        let counts: Vec<u32> = (1..=20).map(&mut each_second).collect();
        assert!(counts[..10].is_sorted(), "{counts:?}");
        assert_eq!(counts[..10].iter().sum::<u32>(), 500);
        assert_eq!(counts[10..], [100; 10]);
    }

    #[test]
    fn what_finds_no_room_is_withheld_and_never_made_up_for() {
        let mut ramp = Ramp::new(plan(10.0, 0, 10, 5), START);
        assert_eq!(ramp.take(START + Duration::from_secs(1), 0), 5);
        assert_eq!(ramp.take(START + Duration::from_secs(2), 5), 0);
        assert_eq!(ramp.withheld(), 15);
        assert_eq!(ramp.take(START + Duration::from_millis(2100), 0), 1);
    }

    proptest::proptest! {
        #[test]
        fn as_many_are_due_as_the_plan_says_however_often_one_asks(
            rate in 0.5_f64..50_000.0,
            ramp_seconds in 0_u64..5,
            steps in proptest::collection::vec(0_u64..3_000_000_000, 1..40),
        ) {
            let plan = plan(rate, ramp_seconds, 10, u32::MAX);
            let (mut often, mut once) = (Ramp::new(plan, START), Ramp::new(plan, START));
            let (mut now, mut sum) = (START, 0);
            for step in steps {
                now = now + Duration::from_nanos(step);
                sum += often.take(now, 0);
            }
            proptest::prop_assert_eq!(sum, once.take(now, 0));
        }
    }
}

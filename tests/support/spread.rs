//! A handful of durations, told as a distribution.

use std::fmt;
use std::time::Duration;

/// Durations in order. Never empty.
#[derive(Clone, Debug)]
pub(crate) struct Spread(Vec<Duration>);

impl Spread {
    pub(crate) fn of(mut all: Vec<Duration>) -> Self {
        assert!(!all.is_empty(), "nothing was measured");
        all.sort_unstable();
        Self(all)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn worst(&self) -> Duration {
        self.at_percent(100)
    }

    pub(crate) fn median(&self) -> Duration {
        self.at_percent(50)
    }

    /// The least duration that so many percent do not exceed (nearest rank).
    fn at_percent(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0[rank - 1]
    }
}

impl Spread {
    /// `min 1.00, median 2.00, p90 3.00, worst 4.00 s of 20`.
    pub(crate) fn summary(&self) -> String {
        let [min, median, p90, worst] =
            [0, 50, 90, 100].map(|at| self.at_percent(at).as_secs_f64());
        format!(
            "min {min:.2}, median {median:.2}, p90 {p90:.2}, worst {worst:.2} s of {}",
            self.count()
        )
    }
}

/// The summary, and every one of them.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.summary())?;
        let mut all = self.0.iter();
        all.try_for_each(|one| write!(f, " {:.2}", one.as_secs_f64()))
    }
}

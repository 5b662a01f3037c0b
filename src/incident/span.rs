//! A stretch of time in which something did not work, with the bounds of what we know of its ends.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::probe::Word;
use crate::time::Utc;

/// A moment that probes can only bracket: `earliest <= at <= latest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// The moment that counts: send time of the first failed probe, or of the first good one.
    pub at: Utc,
    pub earliest: Utc,
    pub latest: Utc,
}

/// One subject was down, or degraded, from `start` to `end`, half open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub word: Word,
    pub start: Bounds,
    /// `None`: it still is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Bounds>,
    /// Numbers of the facts that say so.
    pub facts: Vec<u64>,
}

impl Bounds {
    /// Known to the nanosecond.
    #[must_use]
    pub const fn exactly(at: Utc) -> Self {
        Self {
            at,
            earliest: at,
            latest: at,
        }
    }
}

impl Span {
    /// From the first failed to the first good probe.
    #[must_use]
    pub fn lasted(&self) -> Option<Duration> {
        self.end.map(|end| end.at.since(self.start.at))
    }

    /// The shortest that it can have been.
    #[must_use]
    pub fn at_best(&self) -> Option<Duration> {
        self.end.map(|end| end.earliest.since(self.start.latest))
    }

    /// The longest that it can have been.
    #[must_use]
    pub fn at_worst(&self) -> Option<Duration> {
        self.end.map(|end| end.latest.since(self.start.earliest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn what_lies_between_the_probes_is_the_doubt() {
        let at = |second: i64| Utc(second * SECOND);
        let span = Span {
            word: Word::Down,
            start: Bounds {
                at: at(30),
                earliest: at(0),
                latest: at(30),
            },
            end: Some(Bounds::exactly(at(90))),
            facts: vec![1, 2],
        };
        let seconds = |duration: Option<Duration>| duration.map(|duration| duration.as_secs());
        assert_eq!(seconds(span.lasted()), Some(60));
        assert_eq!(seconds(span.at_best()), Some(60));
        assert_eq!(seconds(span.at_worst()), Some(90));
    }
}

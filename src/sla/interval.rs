//! Stretches of time, half open: the first instant belongs to them, the last one does not.
//!
//! Half open, so that two stretches that meet share nothing and a sum of parts is the whole.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Utc;

/// `from <= t < until`. Empty if `until` does not lie after `from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Interval {
    pub from: Utc,
    pub until: Utc,
}

/// A set of instants: intervals in order, none empty, none that overlap or touch.
/// So two sets are equal exactly if they hold the same instants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Intervals(Vec<Interval>);

impl Interval {
    #[must_use]
    pub const fn new(from: Utc, until: Utc) -> Self {
        Self { from, until }
    }

    #[must_use]
    pub fn is_empty(self) -> bool {
        self.until <= self.from
    }

    #[must_use]
    pub fn length(self) -> Duration {
        self.until.since(self.from)
    }

    #[must_use]
    pub fn contains(self, at: Utc) -> bool {
        self.from <= at && at < self.until
    }

    /// What both hold; empty if they share nothing.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self {
            from: self.from.max(other.from),
            until: self.until.min(other.until),
        }
    }
}

impl FromIterator<Interval> for Intervals {
    /// In any order, overlapping or empty: the set is put in order.
    fn from_iter<I: IntoIterator<Item = Interval>>(parts: I) -> Self {
        let mut parts: Vec<Interval> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.sort_unstable();
        let mut merged: Vec<Interval> = Vec::with_capacity(parts.len());
        for part in parts {
            match merged.last_mut() {
                Some(last) if part.from <= last.until => last.until = last.until.max(part.until),
                Some(_) | None => merged.push(part),
            }
        }
        Self(merged)
    }
}

impl From<Interval> for Intervals {
    fn from(whole: Interval) -> Self {
        std::iter::once(whole).collect()
    }
}

impl Intervals {
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Interval> + '_ {
        self.0.iter().copied()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[must_use]
    pub fn contains(&self, at: Utc) -> bool {
        self.iter().any(|part| part.contains(at))
    }

    /// The lengths of all parts together.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.iter().map(Interval::length).sum()
    }

    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.iter().chain(other.iter()).collect()
    }

    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut mine, mut theirs) = (self.iter().peekable(), other.iter().peekable());
        let mut shared = Vec::new();
        while let (Some(one), Some(two)) = (mine.peek(), theirs.peek()) {
            let both = one.intersection(*two);
            if !both.is_empty() {
                shared.push(both);
            }
            // The one that ends first can meet nothing more.
            if one.until <= two.until {
                mine.next();
            } else {
                theirs.next();
            }
        }
        Self(shared)
    }

    /// What of it lies in `window`.
    #[must_use]
    pub fn within(&self, window: Interval) -> Self {
        self.intersection(&Self::from(window))
    }

    /// What it holds and `other` does not.
    #[must_use]
    pub fn subtract(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        for part in self.iter() {
            let mut from = part.from;
            for hole in other.within(part).iter() {
                left.push(Interval::new(from, hole.from));
                from = hole.until;
            }
            left.push(Interval::new(from, part.until));
        }
        left.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Small numbers, so that intervals often meet, touch and nest.
    fn any_set() -> impl Strategy<Value = Intervals> {
        proptest::collection::vec((0_i64..60, 0_i64..60), 0..8).prop_map(|ends| {
            ends.into_iter()
                .map(|(from, until)| Interval::new(Utc(from), Utc(until)))
                .collect()
        })
    }

    fn members(set: &Intervals) -> Vec<i64> {
        (0..60).filter(|at| set.contains(Utc(*at))).collect()
    }

    proptest! {
        #[test]
        fn a_set_does_what_its_instants_do(one in any_set(), two in any_set()) {
            let (in_one, in_two) = (members(&one), members(&two));
            let either = (0..60).filter(|at| in_one.contains(at) || in_two.contains(at));
            prop_assert_eq!(members(&one.union(&two)), either.collect::<Vec<_>>());
            let both = in_one.iter().copied().filter(|at| in_two.contains(at));
            prop_assert_eq!(members(&one.intersection(&two)), both.collect::<Vec<_>>());
            let only_one = in_one.iter().copied().filter(|at| !in_two.contains(at));
            prop_assert_eq!(members(&one.subtract(&two)), only_one.collect::<Vec<_>>());
            prop_assert_eq!(one.total().as_nanos(), in_one.len() as u128);
        }

        #[test]
        fn every_result_is_in_order_and_nothing_touches(one in any_set(), two in any_set()) {
            for set in [one.union(&two), one.intersection(&two), one.subtract(&two), one] {
                for pair in set.0.windows(2) {
                    prop_assert!(pair[0].until < pair[1].from, "{:?}", set);
                }
                prop_assert!(set.iter().all(|part| !part.is_empty()));
            }
        }

        #[test]
        fn what_is_taken_and_what_is_left_are_the_whole(one in any_set(), two in any_set()) {
            let (taken, left) = (one.intersection(&two), one.subtract(&two));
            prop_assert_eq!(taken.total() + left.total(), one.total());
            prop_assert_eq!(taken.union(&left), one);
        }
    }
}

//! R over the course of a call: averaged in windows of 10 s, then the mean and the worst window, then MOS.
//!
//! MOS bends: two halves at 4.4 and 1.0 are not a call of 2.7. So it is R that is averaged, and MOS is
//! read from the average. One scale per course, by its type.

use std::time::Duration;

use serde::Serialize;

use super::scale::{Mos, RFactor, Scale};
use crate::time::Instant;

/// Fills with the R of a call as it goes on.
#[derive(Clone, Debug)]
pub struct Course<S: Scale> {
    began: Instant,
    /// In order of time, empty ones left out; a call of an hour has 360.
    windows: Vec<Window<S>>,
}

/// What the course amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(bound = "")]
pub struct Summary<S: Scale> {
    pub windows: usize,
    pub r_mean: RFactor<S>,
    pub r_min: RFactor<S>,
    pub mos_mean: Mos<S>,
    pub mos_min: Mos<S>,
}

#[derive(Clone, Copy, Debug)]
struct Window<S: Scale> {
    place: u128,
    sum: RFactor<S>,
    count: f64,
    /// How far into the window anything was heard.
    until: Duration,
}

/// About as long as a caller remembers a bad patch. Were it shorter, one lost packet would make the
/// worst window; were it longer, a bad patch would vanish in it.
const WINDOW: Duration = Duration::from_secs(10);

/// A last window shorter than this joins the one before: it would judge by a handful of packets.
const SHORTEST: Duration = Duration::from_secs(5);

impl<S: Scale> Course<S> {
    #[must_use]
    pub const fn new(began: Instant) -> Self {
        Self {
            began,
            windows: Vec::new(),
        }
    }

    /// R of the stretch that ended at `at`; each stands for an equal stretch (a second, or a window).
    pub fn hear(&mut self, at: Instant, r: RFactor<S>) {
        let elapsed = at.since(self.began);
        // What ends where a window ends belongs to that window.
        let place = elapsed.as_nanos().saturating_sub(1) / WINDOW.as_nanos();
        let within = elapsed.as_nanos() - place * WINDOW.as_nanos();
        let fresh = Window {
            place,
            sum: r,
            count: 1.0,
            until: Duration::from_nanos(u64::try_from(within).unwrap_or(u64::MAX)),
        };
        match self.windows.last_mut() {
            Some(open) if open.place >= place => open.join(fresh),
            _ => self.windows.push(fresh),
        }
    }

    /// `None` before anything was heard.
    #[must_use]
    pub fn summary(&self) -> Option<Summary<S>> {
        let mut windows = self.windows.clone();
        if let [.., before, last] = windows.as_mut_slice()
            && last.until < SHORTEST
            && last.place == before.place + 1
        {
            before.join(*last);
            windows.pop();
        }
        let total = windows.iter().copied().reduce(|mut sum, window| {
            sum.join(window);
            sum
        })?;
        let r_min = windows
            .iter()
            .map(|window| window.mean())
            .reduce(|worst, r| if r < worst { r } else { worst })?;
        Some(Summary {
            windows: windows.len(),
            r_mean: total.mean(),
            r_min,
            mos_mean: total.mean().mos(),
            mos_min: r_min.mos(),
        })
    }
}

impl<S: Scale> Window<S> {
    fn join(&mut self, later: Self) {
        self.sum = RFactor::new(self.sum.value() + later.sum.value());
        self.count += later.count;
        self.until = self.until.max(later.until);
    }

    fn mean(&self) -> RFactor<S> {
        RFactor::new(self.sum.value() / self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::scale::Narrowband;

    /// Windows, mean and least R of a call with this R in each second.
    fn course(seconds: &[f64]) -> Option<(usize, f64, f64)> {
        let began = Instant(7_000_000_000);
        let mut course = Course::<Narrowband>::new(began);
        for (second, r) in (1..).zip(seconds) {
            course.hear(began + Duration::from_secs(second), RFactor::new(*r));
        }
        let summary = course.summary()?;
        assert_eq!(summary.mos_mean, summary.r_mean.mos());
        assert_eq!(summary.mos_min, summary.r_min.mos());
        Some((
            summary.windows,
            summary.r_mean.value(),
            summary.r_min.value(),
        ))
    }

    #[test]
    fn windows_of_ten_seconds() {
        let bad_half = [[90.0; 10], [10.0; 10]].concat();
        let bad_tail = [vec![90.0; 20], vec![0.0; 4]].concat();
        let bad_end = [vec![90.0; 20], vec![0.0; 5]].concat();
        for (name, seconds, expected) in [
            ("nothing", vec![], None),
            ("a short call", vec![80.0; 3], Some((1, 80.0, 80.0))),
            ("one window", vec![80.0; 10], Some((1, 80.0, 80.0))),
            ("two halves", bad_half, Some((2, 50.0, 10.0))),
            (
                "4 s at the end join the window before",
                bad_tail,
                Some((2, 75.0, 900.0 / 14.0)),
            ),
            ("5 s at the end stand alone", bad_end, Some((3, 72.0, 0.0))),
        ] {
            assert_eq!(course(&seconds), expected, "{name}");
        }
    }

    #[test]
    fn a_call_half_unusable_is_not_the_mean_of_its_mos() {
        let (_, r, _) = course(&[[93.2; 10], [0.0; 10]].concat()).unwrap();
        let mos = RFactor::<Narrowband>::new(r).mos().value();
        assert!((mos - 2.39).abs() < 0.01, "{mos}"); // (4.41 + 1) / 2 would be 2.70
    }

    #[test]
    fn a_pause_in_the_figures_is_no_window() {
        let mut course = Course::<Narrowband>::new(Instant(0));
        course.hear(Instant(1_000_000_000), RFactor::new(90.0));
        course.hear(Instant(u64::MAX), RFactor::new(80.0));
        assert_eq!(course.summary().map(|summary| summary.windows), Some(2));
    }
}

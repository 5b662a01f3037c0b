//! R over the course of a call: the mean over its patches of ten seconds and the worst of them, then MOS.
//!
//! MOS bends: two halves at 4.4 and 1.0 are not a call of 2.7. So it is R that is averaged, and MOS is
//! read from the average. One scale per course, by its type.

use serde::Serialize;

use super::scale::{Mos, RFactor, Scale};

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

impl<S: Scale> Summary<S> {
    /// From R of each stretch and what it weighs: its packets. `None` of nothing.
    ///
    /// No stretch is worse than useless, or better than perfect: one lost whole second would else outweigh a minute.
    #[must_use]
    pub fn of(windows: impl IntoIterator<Item = (RFactor<S>, u32)>) -> Option<Self> {
        let (mut sum, mut weights, mut count) = (0.0, 0.0, 0);
        let mut least: Option<f64> = None;
        for (r, packets) in windows {
            let r = r.value().clamp(0.0, 100.0 * S::REACH);
            let weight = f64::from(packets.max(1));
            sum += r * weight;
            weights += weight;
            count += 1;
            least = Some(least.map_or(r, |least| least.min(r)));
        }
        let (r_mean, r_min) = (RFactor::<S>::new(sum / weights), RFactor::<S>::new(least?));
        Some(Self {
            windows: count,
            r_mean,
            r_min,
            mos_mean: r_mean.mos(),
            mos_min: r_min.mos(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::scale::Narrowband;

    fn summary(windows: &[(f64, u32)]) -> Option<Summary<Narrowband>> {
        Summary::of(
            windows
                .iter()
                .map(|(r, packets)| (RFactor::new(*r), *packets)),
        )
    }

    #[test]
    fn windows_weigh_by_their_packets() {
        for (name, windows, expected) in [
            ("nothing", vec![], None),
            ("one window", vec![(80.0, 500)], Some((1, 80.0, 80.0))),
            (
                "two halves",
                vec![(90.0, 500), (10.0, 500)],
                Some((2, 50.0, 10.0)),
            ),
            (
                "a short end",
                vec![(90.0, 500), (90.0, 500), (0.0, 250)],
                Some((3, 72.0, 0.0)),
            ),
            (
                "worse than useless",
                vec![(90.0, 500), (-230.0, 500)],
                Some((2, 45.0, 0.0)),
            ),
        ] {
            let summary = summary(&windows);
            let found = summary.map(|it| (it.windows, it.r_mean.value(), it.r_min.value()));
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn a_call_half_unusable_is_not_the_mean_of_its_mos() {
        let summary = summary(&[(93.2, 500), (0.0, 500)]).unwrap();
        assert_eq!(summary.mos_min, summary.r_min.mos());
        let mos = summary.mos_mean.value();
        assert!((mos - 2.39).abs() < 0.01, "{mos}"); // (4.41 + 1) / 2 would be 2.70
    }

    #[test]
    fn no_number_stays_none() {
        let summary = summary(&[(f64::NAN, 500), (90.0, 500)]).unwrap();
        assert!(summary.mos_mean.value().is_nan());
    }
}

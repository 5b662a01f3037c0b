//! The three scales of opinion, as types that do not meet: narrowband, wideband, fullband.
//!
//! A MOS of 4.0 on a telephone scale and one of 4.0 on a fullband scale were given by listeners who
//! knew different best sounds, so no operation here takes two of different scales. Within a scale a
//! MOS can be ordered but not added: it is R that averages (see [`super::average`]).
//!
//! ```compile_fail
//! use vigie::quality::scale::{Fullband, Mos, Narrowband, RFactor};
//! let telephone: Mos<Narrowband> = RFactor::new(93.2).mos();
//! let music: Mos<Fullband> = RFactor::new(93.2).mos();
//! assert!(telephone > music); // mismatched types
//! ```

use std::cmp::Ordering;
use std::marker::PhantomData;

use serde::{Serialize, Serializer};

/// One of the three scales; the trait is closed by having no other implementations to offer.
pub trait Scale: Copy + std::fmt::Debug {
    /// As published beside each figure.
    const NAME: &'static str;
    /// How much further R reaches on this scale than on the narrowband one, for MOS is read from
    /// R divided by it (G.107.1 Annex A, G.107.2 Annex A).
    const REACH: f64;
}

/// 300–3400 Hz (G.107).
#[derive(Clone, Copy, Debug)]
pub enum Narrowband {}

/// 50–7000 Hz (G.107.1).
#[derive(Clone, Copy, Debug)]
pub enum Wideband {}

/// 20–20 000 Hz (G.107.2).
#[derive(Clone, Copy, Debug)]
pub enum Fullband {}

impl Scale for Narrowband {
    const NAME: &'static str = "narrowband";
    const REACH: f64 = 1.0;
}

impl Scale for Wideband {
    const NAME: &'static str = "wideband";
    const REACH: f64 = 1.29;
}

impl Scale for Fullband {
    const NAME: &'static str = "fullband";
    const REACH: f64 = 1.48;
}

/// Transmission rating factor R of one scale: 0 is useless, 100, 129 or 148 is perfect.
pub struct RFactor<S>(f64, PhantomData<S>);

/// Mean opinion score of one scale, between 1 and 4.5; a number only where it is printed.
pub struct Mos<S>(f64, PhantomData<S>);

impl<S: Scale> RFactor<S> {
    #[must_use]
    pub const fn new(r: f64) -> Self {
        Self(r, PhantomData)
    }

    #[must_use]
    pub const fn value(self) -> f64 {
        self.0
    }

    /// G.107 Annex B, on this scale. The polynomial dips below 1 for R under 6.5 (0.994 at 1): clamped.
    #[must_use]
    pub fn mos(self) -> Mos<S> {
        let r = self.0 / S::REACH;
        let score = if r <= 0.0 {
            1.0
        } else if r >= 100.0 {
            BEST
        } else {
            (r * (r - 60.0) * (100.0 - r)).mul_add(7e-6, 0.035_f64.mul_add(r, 1.0))
        };
        // Clamped so that no number stays none: a fault of ours must not look like a bad line.
        Mos(score.clamp(WORST, BEST), PhantomData)
    }
}

const WORST: f64 = 1.0;
const BEST: f64 = 4.5;

impl<S: Scale> Mos<S> {
    /// Outside 1 to 4.5 it is the nearer end: a listener gives no other.
    #[must_use]
    pub const fn new(score: f64) -> Self {
        Self(score.clamp(WORST, BEST), PhantomData)
    }

    #[must_use]
    pub const fn value(self) -> f64 {
        self.0
    }

    /// The R that gives this MOS (G.107 Annex B, inverse), between 6.5 and 100 times the reach.
    #[must_use]
    pub fn r(self) -> RFactor<S> {
        let m = self.0;
        let height = 15.0
            * (1_113_960.0_f64.mul_add(m, -903_522.0) - 202_500.0 * m * m)
                .max(0.0)
                .sqrt();
        let angle = height.atan2(6750.0_f64.mul_add(-m, 18_566.0)) / 3.0;
        let r = 20.0 / 3.0
            * 226.0_f64
                .sqrt()
                .mul_add(-(angle + std::f64::consts::FRAC_PI_3).cos(), 8.0);
        RFactor(r * S::REACH, PhantomData)
    }
}

// Written out, since a derive would ask the scale itself to be comparable, which has no values.

impl<S> Clone for RFactor<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for RFactor<S> {}

impl<S: Scale> std::fmt::Debug for RFactor<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "R {} {}", self.0, S::NAME)
    }
}

impl<S> PartialEq for RFactor<S> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<S> PartialOrd for RFactor<S> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.0.partial_cmp(&other.0)
    }
}

impl<S> Serialize for RFactor<S> {
    fn serialize<To: Serializer>(&self, to: To) -> Result<To::Ok, To::Error> {
        to.serialize_f64(self.0)
    }
}

impl<S> Clone for Mos<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Mos<S> {}

impl<S: Scale> std::fmt::Debug for Mos<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MOS {} {}", self.0, S::NAME)
    }
}

impl<S> PartialEq for Mos<S> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<S> PartialOrd for Mos<S> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.0.partial_cmp(&other.0)
    }
}

impl<S> Serialize for Mos<S> {
    fn serialize<To: Serializer>(&self, to: To) -> Result<To::Ok, To::Error> {
        to.serialize_f64(self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn narrow(r: f64) -> RFactor<Narrowband> {
        RFactor::new(r)
    }

    #[test]
    fn no_number_gives_no_score() {
        assert!(RFactor::<Narrowband>::new(f64::NAN).mos().value().is_nan());
    }

    #[test]
    fn mos_of_r() {
        for (r, expected) in [
            (-5.0, 1.0),
            (0.0, 1.0),
            (1.0, 1.0), // the bare polynomial says 0.9941
            (6.5, 1.0),
            (10.0, 1.0350),
            (20.0, 1.2520),
            (30.0, 1.6090),
            (40.0, 2.0640),
            (50.0, 2.5750),
            (60.0, 3.1000),
            (70.0, 3.5970),
            (80.0, 4.0240),
            (90.0, 4.3390),
            (93.2, 4.4093),
            (100.0, 4.5),
            (120.0, 4.5),
        ] {
            let mos = narrow(r).mos().value();
            assert!((mos - expected).abs() < 1e-4, "R {r}: {mos}");
        }
    }

    /// G.107 table B.1 and the classes of G.109, as printed there.
    #[test]
    fn classes_of_g_109() {
        for (r, printed) in [
            (90.0, 4.34),
            (80.0, 4.03),
            (70.0, 3.60),
            (60.0, 3.10),
            (50.0, 2.58),
        ] {
            let mos = narrow(r).mos().value();
            assert!((mos - printed).abs() < 0.01, "R {r}: {mos}");
        }
    }

    #[test]
    fn r_of_mos() {
        for (mos, expected) in [
            (2.0, 38.684),
            (3.1, 60.000),
            (3.6, 70.064),
            (4.03, 80.159),
            (4.34, 90.041),
            (4.41, 93.237),
        ] {
            let r = Mos::<Narrowband>::new(mos).r().value();
            assert!((r - expected).abs() < 1e-3, "MOS {mos}: {r}");
        }
    }

    #[test]
    fn a_figure_is_a_number_in_json() {
        let score = Mos::<Wideband>::new(4.25);
        assert_eq!(serde_json::to_string(&score).unwrap(), "4.25");
        assert_eq!(format!("{score:?}"), "MOS 4.25 wideband");
    }

    proptest! {
        #[test]
        fn mos_returns_from_r(score in 1.0..=4.5_f64) {
            prop_assert!((Mos::<Narrowband>::new(score).r().mos().value() - score).abs() < 1e-6);
            prop_assert!((Mos::<Fullband>::new(score).r().mos().value() - score).abs() < 1e-6);
        }

        #[test]
        fn r_returns_from_mos(r in 6.6..99.9_f64) {
            prop_assert!((narrow(r).mos().r().value() - r).abs() < 1e-3);
        }

        #[test]
        fn a_better_r_is_never_a_worse_mos(one in -20.0..160.0_f64, other in -20.0..160.0_f64) {
            let (low, high) = (one.min(other), one.max(other));
            prop_assert!(narrow(low).mos() <= narrow(high).mos());
        }
    }
}

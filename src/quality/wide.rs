//! The E-model for wideband (ITU-T G.107.1, 06/2019) and fullband (G.107.2), as far as its inputs are measured here.
//!
//! A wider band starts from a better sound (Ro 129 and 148 instead of 93.2), so its R and MOS stand on
//! scales of their own. Echo and room noise keep their perfect values: no measured call of ours tells
//! them for these bands.

use serde::Serialize;

use super::emodel::{self, Delay, Loss};
use super::scale::{Fullband, RFactor, Wideband};

/// R and what it is made of: `r = ro − idd − ie_eff`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rating<R> {
    pub r: R,
    /// R of a flawless connection.
    pub ro: f64,
    /// Impairment of a long pause.
    pub idd: f64,
    /// Effective equipment impairment: codec and loss.
    pub ie_eff: f64,
}

/// G.107.1: Ie and Bpl on the wideband scale. Loss still weighs against 95, not 129 (7-15).
#[must_use]
pub fn wideband(ie: f64, bpl: f64, loss: Loss, delay: Delay) -> Rating<RFactor<Wideband>> {
    let idd = emodel::pause(delay);
    let ie_eff = emodel::effective(ie, bpl, loss, emodel::IE_MAX);
    Rating {
        r: RFactor::new(WIDEBAND_RO - idd - ie_eff),
        ro: WIDEBAND_RO,
        idd,
        ie_eff,
    }
}

/// G.107.2: Ie and Bpl on the fullband scale, where loss weighs against 132 and the pause 1.48 times.
#[must_use]
pub fn fullband(ie: f64, bpl: f64, loss: Loss, delay: Delay) -> Rating<RFactor<Fullband>> {
    let idd = emodel::pause(delay) * FULLBAND_RO / 100.0;
    let ie_eff = emodel::effective(ie, bpl, loss, FULLBAND_IE_MAX);
    Rating {
        r: RFactor::new(FULLBAND_RO - idd - ie_eff),
        ro: FULLBAND_RO,
        idd,
        ie_eff,
    }
}

const WIDEBAND_RO: f64 = 129.0;
const FULLBAND_RO: f64 = 148.0;
const FULLBAND_IE_MAX: f64 = 132.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(percent: f64) -> Loss {
        Loss {
            percent,
            ..Loss::default()
        }
    }

    fn pause(mouth_to_ear_ms: f64) -> Delay {
        Delay {
            mouth_to_ear_ms,
            ..Delay::default()
        }
    }

    #[test]
    fn mos_of_wideband_codecs() {
        for (ie, expected) in [
            (0.0, 4.5000),
            (1.0, 4.4940),
            (8.0, 4.4206),
            (13.0, 4.3371),
            (20.0, 4.182),
            (31.0, 3.863),
            (36.0, 3.694), // G.711 heard by someone used to wideband
            (41.0, 3.5123),
            (56.0, 2.9220),
        ] {
            let rating = wideband(ie, 4.3, lost(0.0), pause(0.0));
            let mos = rating.r.mos().value();
            assert!((mos - expected).abs() < 1e-3, "Ie {ie}: {mos}");
        }
    }

    #[test]
    fn wideband_loss_weighs_against_95() {
        // AMR-WB 12.65 with both ears.
        let rating = wideband(20.0, 4.3, lost(2.0), pause(0.0));
        assert!((rating.ie_eff - 43.8095).abs() < 1e-3, "{rating:?}");
        assert!((rating.r.mos().value() - 3.4062).abs() < 1e-3, "{rating:?}");
    }

    #[test]
    fn fullband_with_loss_and_delay() {
        for (percent, ta, expected) in [
            (0.0, 0.0, 4.4075),
            (1.0, 0.0, 3.929),
            (5.0, 0.0, 2.515),
            (0.0, 200.0, 4.341),
        ] {
            let rating = fullband(10.2, 4.3, lost(percent), pause(ta));
            let mos = rating.r.mos().value();
            assert!((mos - expected).abs() < 1e-3, "{percent} % {ta} ms: {mos}");
        }
    }
}

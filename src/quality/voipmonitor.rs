//! The MOS that voipmonitor shows, for those who move from it and want to lay old and new graphs side by side.
//!
//! Its formula knows no delay and takes every codec for G.711 with concealment, so it is no judgement of
//! ours: a type of its own keeps it away from the scales of [`super::scale`], limits do not know it.

use serde::Serialize;

use super::emodel::Loss;

/// Named so wherever it is printed.
pub const LABEL: &str = "mos_vm (voipmonitor's formula, for migration only)";

/// MOS as voipmonitor counts it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct MosVm(f64);

impl MosVm {
    /// From the loss behind one of the emulated jitter buffers; voipmonitor's least MOS is that of the
    /// fixed 200 ms one. Without loss it says 4.5, above half 1.
    #[must_use]
    pub fn of(loss: Loss) -> Self {
        let Loss { percent, burst_r } = loss;
        if percent <= 0.0 {
            return Self(4.5);
        }
        if percent > 50.0 {
            return Self(1.0);
        }
        let r = 93.2062 - 95.0 * percent / (percent / burst_r + 17.2647);
        Self(2.06405 + 0.031_738 * r - 0.000_356_641 * r * r + 2.93143e-6 * r * r * r)
    }

    #[must_use]
    pub const fn value(self) -> f64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_voipmonitor() {
        for (percent, random, in_twos) in [
            (0.0, 4.5, 4.5),
            (1.0, 4.093, 4.088),
            (2.0, 3.929, 3.911),
            (3.0, 3.795, 3.761),
            (5.0, 3.591, 3.523),
            (10.0, 3.284, 3.136),
            (20.0, 2.989, 2.651),
            (51.0, 1.0, 1.0),
        ] {
            for (burst_r, expected) in [(1.0, random), (2.0, in_twos)] {
                let mos = MosVm::of(Loss { percent, burst_r }).value();
                assert!(
                    (mos - expected).abs() < 1e-3,
                    "{percent} % BurstR {burst_r}: {mos}"
                );
            }
        }
    }
}

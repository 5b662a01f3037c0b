//! The MOS that voipmonitor shows, for those who move from it and want to lay old and new graphs side by side.
//!
//! Its formula knows no delay and takes every codec for G.711 with concealment, so it is no judgement of
//! ours: a type of its own keeps it away from the scales of [`super::scale`], limits do not know it.

use serde::Serialize;

use super::emodel::Loss;
use crate::rtp::patch::Patch;

/// MOS as voipmonitor counts it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct MosVm(f64);

const BEST: f64 = 4.5;

/// With fewer packets of no use in ten seconds voipmonitor sees no loss.
const UNSEEN: u32 = 5;

impl MosVm {
    /// As voipmonitor scores a call: ten seconds for themselves, then the mean of the scores by their length.
    #[must_use]
    pub fn over(patches: &[Patch]) -> Self {
        let (mut sum, mut weights) = (0.0, 0.0);
        for patch in patches {
            let unseen = patch.useless < UNSEEN;
            let mos = Self::of(Loss {
                percent: if unseen { 0.0 } else { patch.loss_percent },
                burst_r: patch.burst_r,
            });
            let weight = f64::from(patch.packets);
            sum += mos.0 * weight;
            weights += weight;
        }
        Self(if weights > 0.0 { sum / weights } else { BEST })
    }

    /// From the loss behind one of the emulated jitter buffers. Without loss it says 4.5, above half 1.
    fn of(loss: Loss) -> Self {
        let Loss { percent, burst_r } = loss;
        if percent <= 0.0 {
            return Self(BEST);
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

    #[test]
    fn ten_seconds_with_few_losses_are_none() {
        let patch = |packets, useless: u32| Patch {
            began: crate::time::Instant(0),
            ended: crate::time::Instant(1),
            packets,
            useless,
            loss_percent: 100.0 * f64::from(useless) / f64::from(packets),
            burst_r: 1.0,
        };
        // 5 % of 500 is 3.591.
        for (patches, expected) in [
            (vec![], 4.5),
            (vec![patch(500, 4)], 4.5),
            (vec![patch(500, 25)], 3.591),
            (vec![patch(500, 25), patch(500, 4), patch(250, 0)], 4.1364),
        ] {
            let mos = MosVm::over(&patches).value();
            assert!((mos - expected).abs() < 1e-3, "{mos}, not {expected}");
        }
    }
}

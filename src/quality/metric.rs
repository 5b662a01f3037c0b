//! The metrics that limits and baselines know, and what is said of each: key, name, unit, which way is worse.
//!
//! Their values come in [`super::limits::Measured`]. A metric is added here and there, nowhere else.

use serde::{Deserialize, Serialize};

/// What is measured of one direction of a leg, the most telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    MosCq,
    MosCqWideband,
    MosCqFullband,
    LossPercent,
    LossRun,
    DiscardPercent,
    PdvP99Ms,
    JitterMs,
    AudioRoundTripMs,
    GreetingDelayMs,
    LevelLowDbov,
    LevelHighDbov,
    ClipPercent,
}

impl Metric {
    pub const ALL: [Self; 13] = [
        Self::MosCq,
        Self::MosCqWideband,
        Self::MosCqFullband,
        Self::LossPercent,
        Self::LossRun,
        Self::DiscardPercent,
        Self::PdvP99Ms,
        Self::JitterMs,
        Self::AudioRoundTripMs,
        Self::GreetingDelayMs,
        Self::LevelLowDbov,
        Self::LevelHighDbov,
        Self::ClipPercent,
    ];

    /// As in configuration, records and labels; serde writes the same.
    #[must_use]
    pub fn key(self) -> &'static str {
        self.about().key
    }

    /// The metric that configuration calls so.
    #[must_use]
    pub fn named(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.key() == key)
    }

    /// Is it the opinion of a caller, on the scale of whichever codec?
    #[must_use]
    pub const fn is_opinion(self) -> bool {
        match self {
            Self::MosCq | Self::MosCqWideband | Self::MosCqFullband => true,
            Self::LossPercent
            | Self::LossRun
            | Self::DiscardPercent
            | Self::PdvP99Ms
            | Self::JitterMs
            | Self::AudioRoundTripMs
            | Self::GreetingDelayMs
            | Self::LevelLowDbov
            | Self::LevelHighDbov
            | Self::ClipPercent => false,
        }
    }

    /// Whether `value` is on the wrong side of `limit`.
    #[must_use]
    pub fn is_worse(self, value: f64, limit: f64) -> bool {
        match self.about().worse {
            Worse::Above => value > limit,
            Worse::Below => value < limit,
        }
    }

    /// By how much, in its unit, a reading differs from the usual ones before anybody could call it
    /// worse; `None` for what is right or wrong and has no usual.
    pub(super) fn margin(self) -> f64 {
        self.about().margin
    }

    pub(super) fn about(self) -> About {
        use Worse::{Above, Below};
        let about = |key, name, unit, worse, margin| About {
            key,
            name,
            unit,
            worse,
            margin,
        };
        match self {
            // A step between two words of the opinion scale is 1; a third of it is heard side by side.
            Self::MosCq => about("mos_cq", "MOS-CQ", "", Below, 0.3),
            Self::MosCqWideband => about("mos_cq_wideband", "MOS-CQ (wideband)", "", Below, 0.3),
            Self::MosCqFullband => about("mos_cq_fullband", "MOS-CQ (fullband)", "", Below, 0.3),
            // Two packets more in a call of 10 s are chance.
            Self::LossPercent => about("loss_percent", "packet loss", " %", Above, 0.5),
            Self::LossRun => about("loss_run", "longest run of lost packets", "", Above, 3.0),
            Self::DiscardPercent => about(
                "discard_percent",
                "packets too late for a 200 ms jitter buffer",
                " %",
                Above,
                0.5,
            ),
            // Less than one packet of 20 ms: any jitter buffer holds it.
            Self::PdvP99Ms => about("pdv_p99_ms", "delay variation (p99)", " ms", Above, 15.0),
            Self::JitterMs => about("jitter_ms", "jitter", " ms", Above, 8.0),
            // Two packets: a jitter buffer that chose to be one deeper each way.
            Self::AudioRoundTripMs => about(
                "audio_round_trip_ms",
                "audio round trip",
                " ms",
                Above,
                50.0,
            ),
            // A greeting that starts at the next beat of some queue.
            Self::GreetingDelayMs => {
                about("greeting_delay_ms", "greeting delay", " ms", Above, 1000.0)
            }
            // Half of what P.56 calls a usual spread.
            Self::LevelLowDbov => about("level_low_dbov", "level", " dBov", Below, 6.0),
            Self::LevelHighDbov => about("level_high_dbov", "level", " dBov", Above, 6.0),
            Self::ClipPercent => about("clip_percent", "clipping", " %", Above, 0.5),
        }
    }
}

/// What is said of a metric wherever it appears.
pub(super) struct About {
    key: &'static str,
    /// Begins a sentence about it.
    pub(super) name: &'static str,
    /// Printed after the value, empty for a count or a score.
    pub(super) unit: &'static str,
    worse: Worse,
    margin: f64,
}

enum Worse {
    Above,
    Below,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_serde_and_lead_back() {
        for metric in Metric::ALL {
            let written = serde_json::to_string(&metric).unwrap();
            assert_eq!(written, format!("\"{}\"", metric.key()));
            assert_eq!(Metric::named(metric.key()), Some(metric));
        }
        assert_eq!(Metric::named("mos"), None);
    }
}

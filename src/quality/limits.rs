//! Where good ends: the limits of each metric, and what breaks them, in a sentence an engineer can act on.
//!
//! A breach names the metric, its value and the limit it passed. This is one reading against fixed
//! limits; [`super::baseline`] compares with the leg's own week, and how many readings in a row make an
//! alarm is for `health`. A figure that is missing breaks nothing.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::metric::{About, Metric};
use super::scale::{Fullband, Mos, Narrowband, Wideband};

/// The figures of one reading; what was not measured is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Measured {
    /// Conversational MOS, worst window, on the scale of the codec: one of the three.
    pub mos_cq: Option<Mos<Narrowband>>,
    pub mos_cq_wideband: Option<Mos<Wideband>>,
    pub mos_cq_fullband: Option<Mos<Fullband>>,
    pub loss_percent: Option<f64>,
    /// How many packets the percentages are of.
    pub packets: Option<u64>,
    /// Longest run of lost packets.
    pub loss_run: Option<u32>,
    /// What a fixed jitter buffer of 200 ms would throw away as late, percent.
    pub discard_percent: Option<f64>,
    /// 99th percentile of delay variation above the least transit (RFC 5481), ms.
    pub pdv_p99_ms: Option<f64>,
    /// Interarrival jitter (RFC 3550), ms.
    pub jitter_ms: Option<f64>,
    /// From our sound to its echo, ms.
    pub audio_round_trip_ms: Option<f64>,
    /// From the answer to the first word, ms.
    pub greeting_delay_ms: Option<f64>,
    /// Level of active speech.
    pub active_dbov: Option<f64>,
    /// Share of active samples at full scale.
    pub clip_percent: Option<f64>,
}

/// How bad a breach is; a word each for the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Callers notice.
    Degraded,
    /// Callers complain; three calls in a row with such an opinion score are as good as none.
    Severe,
    /// Callers hang up: as good as no call.
    Down,
}

/// The last good values of one metric; `None` where it has no such step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    pub degraded: Option<f64>,
    pub severe: Option<f64>,
    pub down: Option<f64>,
}

/// The limits of one line. A metric that has none here is never a breach.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limits(BTreeMap<Metric, Limit>);

/// A figure on the wrong side of its limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Breach {
    pub severity: Severity,
    pub metric: Metric,
    pub value: f64,
    /// The worst value that would still have been right.
    pub limit: f64,
    /// What this leg has on other days, when that is what the limit comes from.
    pub usual: Option<f64>,
}

/// All breaches of one reading, worst first; of equals the most telling metric.
#[must_use]
pub fn breaches(limits: &Limits, measured: &Measured) -> Vec<Breach> {
    let mut breaches: Vec<Breach> = limits
        .0
        .iter()
        .filter(|(metric, _)| !measured.is_chance(**metric))
        .filter_map(|(metric, limit)| limit.breach(*metric, measured.value(*metric)?))
        .collect();
    breaches.sort_by_key(|breach| (std::cmp::Reverse(breach.severity), breach.metric));
    breaches
}

impl Default for Limits {
    /// What is good for an ordinary telephone line.
    fn default() -> Self {
        Self(
            Metric::ALL
                .map(|metric| (metric, usual_limit(metric)))
                .into(),
        )
    }
}

/// Each number with its reason.
fn usual_limit(metric: Metric) -> Limit {
    let limit = |degraded, severe, down| Limit {
        degraded,
        severe,
        down,
    };
    match metric {
        // R 70 and 60 (G.109: some, many callers dissatisfied); R 50 is where nearly all are. On the
        // wider scales 3.6 is about what a clean G.711 call has (3.69): less is not worth the name.
        Metric::MosCq | Metric::MosCqWideband | Metric::MosCqFullband => {
            limit(Some(3.6), Some(3.1), Some(2.6))
        }
        // With concealment 1 % is just heard, 3 % is heard in each sentence.
        Metric::LossPercent => limit(Some(1.0), Some(3.0), None),
        // Five in a row are 100 ms, a syllable: gone, while MOS may still say 4.
        Metric::LossRun => limit(Some(4.0), None, None),
        // What even a patient telephone throws away counts as lost.
        Metric::DiscardPercent => limit(Some(0.5), None, None),
        // A usual jitter buffer starts at 40 ms and rarely grows beyond 100.
        Metric::PdvP99Ms => limit(Some(40.0), Some(100.0), None),
        // One and a half packets of 20 ms.
        Metric::JitterMs => limit(Some(30.0), None, None),
        // Twice 150 ms (G.114); from 500 ms on they talk into each other's words.
        Metric::AudioRoundTripMs => limit(Some(300.0), Some(500.0), None),
        // After three seconds of nothing callers say hello, then hang up.
        Metric::GreetingDelayMs => limit(Some(3000.0), None, None),
        // Speech is at −26 dBov, give or take 6. Under −45 it is lost in the noise of a call centre. A tone at 0 dBm0
        // is at −6 and loud music at −13, and both are as they should be: only what leaves no room is too loud.
        Metric::LevelLowDbov => limit(None, Some(-45.0), None),
        Metric::LevelHighDbov => limit(Some(-3.0), None, None),
        // More than the peaks of a hearty laugh: an amplifier is set wrong.
        Metric::ClipPercent => limit(Some(0.5), None, None),
    }
}

impl Limits {
    /// Other limits for one metric of this line; `Limit::default()` asks nothing of it.
    pub fn set(&mut self, metric: Metric, limit: Limit) {
        self.0.insert(metric, limit);
    }

    #[must_use]
    pub fn limit(&self, metric: Metric) -> Limit {
        self.0.get(&metric).copied().unwrap_or_default()
    }
}

impl Limit {
    fn breach(self, metric: Metric, value: f64) -> Option<Breach> {
        let (severity, limit) = [
            (Severity::Down, self.down),
            (Severity::Severe, self.severe),
            (Severity::Degraded, self.degraded),
        ]
        .into_iter()
        .filter_map(|(severity, limit)| Some((severity, limit?)))
        .find(|(_, limit)| metric.is_worse(value, *limit))?;
        Some(Breach {
            severity,
            metric,
            value,
            limit,
            usual: None,
        })
    }
}

/// A percentage of fewer packets than this is chance: in a call of three seconds 1 % is one packet and a half.
const PACKETS_MIN: f64 = 5.0;

impl Measured {
    /// Too few packets make the percentage to say anything of the line.
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of packets stay far below 2^52"
    )]
    fn is_chance(&self, metric: Metric) -> bool {
        let is_share = matches!(metric, Metric::LossPercent | Metric::DiscardPercent);
        let percent = self.value(metric).filter(|_| is_share);
        percent
            .zip(self.packets)
            .is_some_and(|(percent, packets)| percent * packets as f64 / 100.0 < PACKETS_MIN - 0.5)
    }

    /// The figure of this metric, in its unit.
    #[must_use]
    pub fn value(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::MosCq => self.mos_cq.map(Mos::value),
            Metric::MosCqWideband => self.mos_cq_wideband.map(Mos::value),
            Metric::MosCqFullband => self.mos_cq_fullband.map(Mos::value),
            Metric::LossPercent => self.loss_percent,
            Metric::LossRun => self.loss_run.map(f64::from),
            Metric::DiscardPercent => self.discard_percent,
            Metric::PdvP99Ms => self.pdv_p99_ms,
            Metric::JitterMs => self.jitter_ms,
            Metric::AudioRoundTripMs => self.audio_round_trip_ms,
            Metric::GreetingDelayMs => self.greeting_delay_ms,
            Metric::LevelLowDbov | Metric::LevelHighDbov => self.active_dbov,
            Metric::ClipPercent => self.clip_percent,
        }
    }
}

impl fmt::Display for Breach {
    /// One sentence: `packet loss 2.3 %, limit 1 %`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let About { name, unit, .. } = self.metric.about();
        let (value, limit) = told_apart(self.value, self.limit);
        write!(f, "{name} {value}{unit}, limit {limit}{unit}")?;
        match self.usual {
            Some(usual) => write!(f, " (usual here {}{unit})", short(usual, 2)),
            None => Ok(()),
        }
    }
}

/// Both with as few decimals, two at most, as keep a value just past its limit from printing as the limit.
fn told_apart(value: f64, limit: f64) -> (String, String) {
    (2..6)
        .map(|decimals| (short(value, decimals), short(limit, decimals)))
        .find(|(value, limit)| value != limit)
        .unwrap_or_else(|| (value.to_string(), limit.to_string()))
}

/// At most so many decimals, no zeros at the end.
fn short(value: f64, decimals: usize) -> String {
    let digits = format!("{value:.decimals$}");
    digits
        .trim_end_matches('0')
        .trim_end_matches('.')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sentences(measured: &Measured) -> Vec<String> {
        breaches(&Limits::default(), measured)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn each_breach_is_a_sentence() {
        let none = Measured::default();
        for (measured, severity, sentence) in [
            (
                Measured {
                    mos_cq: Some(Mos::new(3.59)),
                    ..none
                },
                Severity::Degraded,
                "MOS-CQ 3.59, limit 3.6",
            ),
            (
                Measured {
                    mos_cq: Some(Mos::new(3.0)),
                    ..none
                },
                Severity::Severe,
                "MOS-CQ 3, limit 3.1",
            ),
            (
                Measured {
                    mos_cq: Some(Mos::new(2.5)),
                    ..none
                },
                Severity::Down,
                "MOS-CQ 2.5, limit 2.6",
            ),
            (
                Measured {
                    mos_cq_wideband: Some(Mos::new(3.2)),
                    ..none
                },
                Severity::Degraded,
                "MOS-CQ (wideband) 3.2, limit 3.6",
            ),
            (
                Measured {
                    mos_cq_fullband: Some(Mos::new(3.2)),
                    ..none
                },
                Severity::Degraded,
                "MOS-CQ (fullband) 3.2, limit 3.6",
            ),
            (
                Measured {
                    loss_percent: Some(2.3),
                    ..none
                },
                Severity::Degraded,
                "packet loss 2.3 %, limit 1 %",
            ),
            (
                Measured {
                    loss_percent: Some(1.0004),
                    ..none
                },
                Severity::Degraded,
                "packet loss 1.0004 %, limit 1 %",
            ),
            (
                Measured {
                    loss_percent: Some(100.0 / 3.0),
                    ..none
                },
                Severity::Severe,
                "packet loss 33.33 %, limit 3 %",
            ),
            (
                Measured {
                    loss_run: Some(5),
                    ..none
                },
                Severity::Degraded,
                "longest run of lost packets 5, limit 4",
            ),
            (
                Measured {
                    discard_percent: Some(0.6),
                    ..none
                },
                Severity::Degraded,
                "packets too late for a 200 ms jitter buffer 0.6 %, limit 0.5 %",
            ),
            (
                Measured {
                    pdv_p99_ms: Some(100.0),
                    ..none
                },
                Severity::Degraded,
                "delay variation (p99) 100 ms, limit 40 ms",
            ),
            (
                Measured {
                    pdv_p99_ms: Some(100.1),
                    ..none
                },
                Severity::Severe,
                "delay variation (p99) 100.1 ms, limit 100 ms",
            ),
            (
                Measured {
                    jitter_ms: Some(31.0),
                    ..none
                },
                Severity::Degraded,
                "jitter 31 ms, limit 30 ms",
            ),
            (
                Measured {
                    audio_round_trip_ms: Some(612.4),
                    ..none
                },
                Severity::Severe,
                "audio round trip 612.4 ms, limit 500 ms",
            ),
            (
                Measured {
                    greeting_delay_ms: Some(4200.0),
                    ..none
                },
                Severity::Degraded,
                "greeting delay 4200 ms, limit 3000 ms",
            ),
            (
                Measured {
                    active_dbov: Some(-50.0),
                    ..none
                },
                Severity::Severe,
                "level -50 dBov, limit -45 dBov",
            ),
            (
                Measured {
                    active_dbov: Some(-2.0),
                    ..none
                },
                Severity::Degraded,
                "level -2 dBov, limit -3 dBov",
            ),
            (
                Measured {
                    clip_percent: Some(0.75),
                    ..none
                },
                Severity::Degraded,
                "clipping 0.75 %, limit 0.5 %",
            ),
        ] {
            let found = breaches(&Limits::default(), &measured);
            let [breach] = found.as_slice() else {
                panic!("{sentence}: {found:?}");
            };
            assert_eq!(breach.to_string(), sentence);
            assert_eq!(breach.severity, severity, "{sentence}");
        }
    }

    /// Just at each limit all is well, and so it is where nothing was measured.
    #[test]
    fn the_limit_itself_is_still_good() {
        assert_eq!(sentences(&Measured::default()), [""; 0]);
        let at_the_limit = Measured {
            mos_cq: Some(Mos::new(3.6)),
            mos_cq_wideband: Some(Mos::new(3.6)),
            mos_cq_fullband: Some(Mos::new(3.6)),
            loss_percent: Some(1.0),
            loss_run: Some(4),
            discard_percent: Some(0.5),
            pdv_p99_ms: Some(40.0),
            jitter_ms: Some(30.0),
            audio_round_trip_ms: Some(300.0),
            greeting_delay_ms: Some(3000.0),
            active_dbov: Some(-45.0),
            clip_percent: Some(0.5),
            packets: None,
        };
        assert_eq!(sentences(&at_the_limit), [""; 0]);
    }

    #[test]
    fn a_few_packets_are_chance() {
        let of = |percent, packets| Measured {
            loss_percent: Some(percent),
            discard_percent: Some(percent),
            packets: Some(packets),
            ..Measured::default()
        };
        assert_eq!(sentences(&of(2.0, 150)), [""; 0]);
        assert_eq!(sentences(&of(2.0, 500)).len(), 2);
        assert_eq!(sentences(&of(4.0, 150)).len(), 2);
    }

    #[test]
    fn the_worst_stands_first() {
        let measured = Measured {
            mos_cq: Some(Mos::new(2.4)),
            loss_percent: Some(1.5),
            loss_run: Some(9),
            jitter_ms: Some(12.0),
            ..Measured::default()
        };
        assert_eq!(
            sentences(&measured),
            [
                "MOS-CQ 2.4, limit 2.6",
                "packet loss 1.5 %, limit 1 %",
                "longest run of lost packets 9, limit 4",
            ]
        );
    }

    #[test]
    fn a_line_has_limits_of_its_own() {
        let mut limits = Limits::default();
        let own = Limit {
            severe: Some(5.0),
            ..Limit::default()
        };
        limits.set(Metric::LossPercent, own);
        limits.set(Metric::JitterMs, Limit::default());
        assert_eq!(limits.limit(Metric::LossPercent), own);
        let measured = |percent| Measured {
            loss_percent: Some(percent),
            jitter_ms: Some(200.0),
            ..Measured::default()
        };
        assert_eq!(breaches(&limits, &measured(4.0)), []);
        let [breach] = breaches(&limits, &measured(6.0)).try_into().unwrap();
        assert_eq!(breach.severity, Severity::Severe);
    }

    #[test]
    fn limits_survive_being_written() {
        let limits = Limits::default();
        let written = serde_json::to_string(&limits).unwrap();
        assert_eq!(serde_json::from_str::<Limits>(&written).unwrap(), limits);
    }

    proptest! {
        #[test]
        fn a_breach_never_prints_its_value_as_its_limit(percent in 1.0..1.1_f64) {
            for sentence in sentences(&Measured { loss_percent: Some(percent), ..Measured::default() }) {
                prop_assert!(!sentence.starts_with("packet loss 1 %"), "{}", sentence);
            }
        }

        /// NaN and infinity come from no measurement of ours, but they must not panic.
        #[test]
        fn any_figure_is_judged(value in any::<f64>()) {
            let measured = Measured {
                loss_percent: Some(value),
                jitter_ms: Some(value),
                active_dbov: Some(value),
                ..Measured::default()
            };
            sentences(&measured);
        }
    }
}

//! Each line against its own last seven days: what its calls usually have, and when one falls out of that.
//!
//! Learnt from the verdicts of calls as they are recorded, live as in a replay, so the journal alone gives
//! it back. A call is compared before its verdict is recorded: a replay takes over what was decided then.
//! Fixed limits come first, in `probe::call`; here only a call that is good by them is judged.

use std::collections::BTreeMap;

use super::fact::Judged;
use crate::id::ProbeId;
use crate::probe::{Blame, EXCLUDED, Failure, Measure, UNUSUAL, Verdict, Word};
use crate::quality::baseline::Baseline;
use crate::quality::limits::{Limit, Limits};
use crate::quality::metric::Metric;
use crate::time::Utc;

/// The weeks of all lines.
#[derive(Clone, Debug, Default)]
pub(super) struct Weeks(BTreeMap<ProbeId, Baseline>);

impl Weeks {
    /// One more call. One that failed has no figures of a call, and one that our own overload spoilt none
    /// of the line.
    pub(super) fn learn(&mut self, call: &Judged) {
        let heard = match call.word {
            Word::Good | Word::Degraded => !is_excluded(&call.measures),
            Word::Down | Word::Blind => false,
        };
        if !heard {
            return;
        }
        let week = self.0.entry(call.probe.clone()).or_default();
        for (metric, value) in metrics(&call.measures) {
            week.learn(hour(call.sent), metric, value);
        }
    }

    /// The verdict of a call, degraded when it is good and yet worse than this line has been all week. A
    /// metric that is not judged on this line is not compared either.
    pub(super) fn compared(&self, probe: &ProbeId, limits: &Limits, verdict: Verdict) -> Verdict {
        let Some(week) = self.0.get(probe) else {
            return verdict;
        };
        if verdict.word != Word::Good || is_excluded(&verdict.measures) {
            return verdict;
        }
        let breach = metrics(&verdict.measures)
            .filter(|(metric, _)| limits.limit(*metric) != Limit::default())
            .filter_map(|(metric, value)| week.breach(metric, value))
            .min_by_key(|breach| breach.metric);
        let Some(breach) = breach else {
            return verdict;
        };
        let code = format!("{UNUSUAL}{}", breach.metric.key());
        Verdict {
            word: Word::Degraded,
            failure: Some(Failure::new(Blame::Misbehaved, code, breach.to_string())),
            ..verdict
        }
    }

    /// These ask something else now, or are watched no more.
    pub(super) fn forget(&mut self, probes: &[ProbeId]) {
        for probe in probes {
            self.0.remove(probe);
        }
    }
}

fn is_excluded(measures: &[Measure]) -> bool {
    measures
        .iter()
        .any(|measure| measure.name == EXCLUDED && measure.value > 0.0)
}

/// The figures that limits know, as far as they are figures. Faint and loud are two limits of one level, which is
/// measured under the name of the first.
fn metrics(measures: &[Measure]) -> impl Iterator<Item = (Metric, f64)> {
    measures
        .iter()
        .filter(|measure| measure.value.is_finite())
        .filter_map(|measure| Some((Metric::named(&measure.name)?, measure.value)))
        .flat_map(|(metric, value)| {
            let loud = (metric == Metric::LevelLowDbov).then_some(Metric::LevelHighDbov);
            [Some(metric), loud]
                .into_iter()
                .flatten()
                .map(move |metric| (metric, value))
        })
}

/// Hours since 1970.
fn hour(sent: Utc) -> u64 {
    const NANOSECONDS: u64 = 3600 * 1_000_000_000;
    u64::try_from(sent.0).unwrap_or(0) / NANOSECONDS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A metric without words of its own would be told as any misbehaviour.
    #[test]
    fn a_supervisor_has_words_for_every_metric() {
        let words = |code: &str| Failure::new(Blame::Misbehaved, code.to_owned(), "").words_fr();
        let (any, any_unusual) = (words("x"), words("unusual_x"));
        for metric in Metric::ALL {
            let key = metric.key();
            assert_ne!(words(key), any, "{key}");
            let unusual = words(&format!("{UNUSUAL}{key}"));
            assert_ne!(unusual, any_unusual, "{key}");
        }
        for code in [
            "no_media",
            "late_media",
            "media_stopped",
            "digital_silence",
            "comfort_noise_only",
            "low_level",
            "wrong_payload",
            "wrong_source",
            "one_way_audio",
            "wrong_prompt",
            "prompt_truncated",
            "prompt_late",
            "no_prompt_reference",
            "no_prompt",
            "prompt_level",
        ] {
            assert_ne!(words(code), any, "{code}");
        }
    }
}

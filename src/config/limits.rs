//! `limits`: where good ends for each metric of a call; for all calls in `[voice.limits]`, for one in its probe.
//!
//! What a table does not say stays as it was: that of a probe begins from `[voice.limits]`, and this from the
//! limits of an ordinary telephone line. A step that would then contradict one that is said is dropped, for
//! nobody asked for it. Only two steps that both stand in the file can contradict each other.

use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::DeValue;

use super::error::Span;
use super::reader::{At, Findings, Section, as_fraction, kind_of, section_of};
use crate::quality::limits::{Limit, Limits};
use crate::quality::metric::Metric;

/// The steps of a limit, from the mildest.
const STEPS: [&str; 3] = ["degraded", "severe", "down"];

/// What the file says of one step.
#[derive(Clone, Debug)]
enum Step {
    Unsaid,
    /// `false`: there is no such step.
    Off,
    Said(At<f64>),
}

/// `[voice]`: what all calls of this plant are judged by.
pub(super) fn read_voice(section: &Section<'_>) -> Limits {
    let limits = section.section("limits");
    section.finish();
    let usual = Limits::default();
    match limits {
        Some(limits) => read_limits(&limits.titled("[voice.limits]".to_owned()), usual),
        None => usual,
    }
}

/// `limits` of a probe, over those of all calls.
pub(super) fn of_call(probe: &Section<'_>, usual: &Limits) -> Limits {
    let usual = usual.clone();
    match probe.section("limits") {
        Some(limits) => read_limits(&limits.titled(format!("limits of {}", probe.title)), usual),
        None => usual,
    }
}

fn read_limits(section: &Section<'_>, mut limits: Limits) -> Limits {
    for metric in Metric::ALL {
        if let Some(value) = section.value(metric.key())
            && let Some(steps) = read_steps(metric, value, section.findings())
        {
            limits.set(metric, joined(metric, &steps, limits.limit(metric)));
        }
    }
    section.finish();
    limits
}

/// A number is where degraded begins, `false` judges the metric no more, a table says each step.
fn read_steps(
    metric: Metric,
    value: &Spanned<DeValue<'_>>,
    findings: &Findings,
) -> Option<[Step; 3]> {
    match value.get_ref() {
        DeValue::Boolean(false) => Some([Step::Off, Step::Off, Step::Off]),
        DeValue::Integer(_) | DeValue::Float(_) => {
            let what = format!("{:?}", metric.key());
            let degraded = as_fraction(value, &what, range(metric), findings)?;
            Some([Step::Said(degraded), Step::Unsaid, Step::Unsaid])
        }
        DeValue::Table(_) => {
            let title = format!("{:?}", metric.key());
            let section = section_of(value, title, value.span(), findings)?;
            let steps = STEPS.map(|step| read_step(&section, step, metric));
            section.finish();
            refuse_contradiction(metric, &steps, findings);
            Some(steps)
        }
        DeValue::Boolean(true) | DeValue::String(_) | DeValue::Datetime(_) | DeValue::Array(_) => {
            findings.wrong(
                &value.span(),
                format!(
                    "{:?} is {}; write a number, false, or {{ degraded = …, severe = …, down = … }}",
                    metric.key(),
                    kind_of(value)
                ),
            );
            None
        }
    }
}

fn read_step(section: &Section<'_>, step: &'static str, metric: Metric) -> Step {
    let Some(value) = section.value(step) else {
        return Step::Unsaid;
    };
    if let DeValue::Boolean(false) = value.get_ref() {
        return Step::Off;
    }
    let what = format!("{step:?} of {}", section.title);
    as_fraction(value, &what, range(metric), section.findings()).map_or(Step::Unsaid, Step::Said)
}

/// What is severe is no better than what is degraded, and what is down no better than either.
fn refuse_contradiction(metric: Metric, steps: &[Step; 3], findings: &Findings) {
    let mut milder: Option<(&str, f64)> = None;
    for (name, step) in STEPS.iter().zip(steps) {
        let Step::Said(At { value, span }) = step else {
            continue;
        };
        if let Some((milder, limit)) = milder
            && metric.is_worse(limit, *value)
        {
            let side = if metric.is_worse(1.0, 0.0) {
                "more"
            } else {
                "less"
            };
            let span: &Span = span;
            findings.wrong(
                span,
                format!(
                    "{name:?} of {:?} is {value}, which is better than {milder} at {limit}; write {limit} or {side}",
                    metric.key()
                ),
            );
        }
        milder = Some((name, *value));
    }
}

/// What is said, and of the rest of `usual` what does not contradict it.
fn joined(metric: Metric, steps: &[Step; 3], usual: Limit) -> Limit {
    let fits = |place: usize, limit: f64| {
        steps.iter().enumerate().all(|(other, step)| match step {
            Step::Said(said) if other < place => !metric.is_worse(said.value, limit),
            Step::Said(said) => !metric.is_worse(limit, said.value),
            Step::Unsaid | Step::Off => true,
        })
    };
    let step = |place: usize, usual: Option<f64>| match &steps[place] {
        Step::Said(said) => Some(said.value),
        Step::Off => None,
        Step::Unsaid => usual.filter(|limit| fits(place, *limit)),
    };
    Limit {
        degraded: step(0, usual.degraded),
        severe: step(1, usual.severe),
        down: step(2, usual.down),
    }
}

/// What the metric can be at all; a limit beyond it is a slip of the pen.
fn range(metric: Metric) -> RangeInclusive<f64> {
    match metric {
        // Three windows are compared.
        Metric::MosCq | Metric::MosCqWideband | Metric::MosCqFullband => 1.0..=5.0,
        Metric::LossPercent | Metric::DiscardPercent | Metric::ClipPercent => 0.0..=100.0,
        // 20 s of packets.
        Metric::LossRun => 0.0..=1000.0,
        Metric::PdvP99Ms
        | Metric::JitterMs
        | Metric::AudioRoundTripMs
        | Metric::GreetingDelayMs => 0.0..=60_000.0,
        // RFC 6464 §3.
        Metric::LevelLowDbov | Metric::LevelHighDbov => -127.0..=0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read;
    use crate::probe::Check;

    /// The limits of a call in a plant with this `[voice]`, or the mistakes.
    fn limits(voice: &str, probe: &str) -> Result<Limits, Vec<String>> {
        let text = format!(
            "[plant]\nname = \"p\"\n{voice}\n[target.a]\nname = \"A\"\ngroup = \"G\"\naddress = \"192.0.2.1\"\n\
             probes = [{{ kind = \"call\", number = \"43\", {probe} }}]\n"
        );
        let loaded = read("f", &text)
            .map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        let Check::Call(settings) = loaded.plant.targets[0].probes[0].check.as_ref() else {
            panic!("{text}");
        };
        Ok(settings.limits.clone())
    }

    const fn limit(degraded: Option<f64>, severe: Option<f64>, down: Option<f64>) -> Limit {
        Limit {
            degraded,
            severe,
            down,
        }
    }

    #[test]
    fn what_is_not_said_stays_as_it_was() {
        assert_eq!(limits("", "hold = \"3s\""), Ok(Limits::default()));
        assert_eq!(limits("[voice]", "limits = {}"), Ok(Limits::default()));
        let read = limits(
            "[voice.limits]\nloss_percent = 2\njitter_ms = 20",
            "limits = { jitter_ms = 10.5 }",
        );
        let mut expected = Limits::default();
        expected.set(Metric::LossPercent, limit(Some(2.0), Some(3.0), None));
        expected.set(Metric::JitterMs, limit(Some(10.5), None, None));
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn each_way_to_write_a_limit_means_what_the_sample_says() {
        for (written, metric, expected) in [
            (
                "loss_percent = 2",
                Metric::LossPercent,
                limit(Some(2.0), Some(3.0), None),
            ),
            // The usual severe (3) would be better than what degrades.
            (
                "loss_percent = 5",
                Metric::LossPercent,
                limit(Some(5.0), None, None),
            ),
            (
                "loss_percent = 3",
                Metric::LossPercent,
                limit(Some(3.0), Some(3.0), None),
            ),
            (
                "mos_cq = 3",
                Metric::MosCq,
                limit(Some(3.0), None, Some(2.6)),
            ),
            (
                "mos_cq = { degraded = 3.8, down = 2.0 }",
                Metric::MosCq,
                limit(Some(3.8), Some(3.1), Some(2.0)),
            ),
            (
                "pdv_p99_ms = { degraded = 60, severe = 120 }",
                Metric::PdvP99Ms,
                limit(Some(60.0), Some(120.0), None),
            ),
            (
                "pdv_p99_ms = { severe = 20 }",
                Metric::PdvP99Ms,
                limit(None, Some(20.0), None),
            ),
            (
                "mos_cq = { severe = false }",
                Metric::MosCq,
                limit(Some(3.6), None, Some(2.6)),
            ),
            (
                "clip_percent = false",
                Metric::ClipPercent,
                Limit::default(),
            ),
            (
                "level_low_dbov = -41.5",
                Metric::LevelLowDbov,
                limit(Some(-41.5), Some(-45.0), None),
            ),
            (
                "level_high_dbov = -10",
                Metric::LevelHighDbov,
                limit(Some(-10.0), None, None),
            ),
        ] {
            let read = limits("", &format!("limits = {{ {written} }}")).unwrap();
            assert_eq!(read.limit(metric), expected, "{written}");
        }
    }

    #[test]
    fn every_mistake_is_named_with_what_to_write() {
        assert_eq!(
            limits(
                "[voice]\nlimit = 1\n[voice.limits]\njiter_ms = 5\nmos_cq = 44\nloss_percent = \"2\"\nclip_percent = true\n\
                 pdv_p99_ms = { degraded = 60, severe = 20, down = 10 }\nmos_cq_wideband = { degraded = 3, down = 3.5 }\n\
                 loss_run = { degraded = inf, sever = 3 }\ngreeting_delay_ms = nan",
                "limits = { jitter = 5, level_low_dbov = 38, packet_loss = 2 }, jitter_max = \"30ms\"",
            ),
            Err([
                "f:4:1: unknown key \"limit\" in [voice]; write \"limits\"",
                "f:6:1: unknown key \"jiter_ms\" in [voice.limits]; write \"jitter_ms\"",
                "f:7:10: \"mos_cq\" is 44; write 1 to 5",
                "f:8:16: \"loss_percent\" is a text; write a number, false, or { degraded = …, severe = …, down = … }",
                "f:9:16: \"clip_percent\" is true or false; write a number, false, or { degraded = …, severe = …, down = … }",
                "f:10:40: \"severe\" of \"pdv_p99_ms\" is 20, which is better than degraded at 60; write 60 or more",
                "f:10:51: \"down\" of \"pdv_p99_ms\" is 10, which is better than severe at 20; write 20 or more",
                "f:11:42: \"down\" of \"mos_cq_wideband\" is 3.5, which is better than degraded at 3; write 3 or less",
                "f:12:25: \"degraded\" of \"loss_run\" is inf; write 0 to 1000",
                "f:12:30: unknown key \"sever\" in \"loss_run\"; write \"severe\"",
                "f:13:21: \"greeting_delay_ms\" is nan; write 0 to 60000",
                "f:18:54: unknown key \"jitter\" in limits of probe \"call\"; write \"jitter_ms\"",
                "f:18:83: \"level_low_dbov\" is 38; write -127 to 0",
                "f:18:87: unknown key \"packet_loss\" in limits of probe \"call\"; write \"loss_percent\"",
                "f:18:106: unknown key \"jitter_max\" in probe \"call\"; write \"limits\"",
            ]
            .map(str::to_owned)
            .to_vec())
        );
    }

    /// The way a limit is documented: `key = number, severe = number`.
    #[test]
    fn the_sample_documents_each_metric_with_its_default() {
        let sample = include_str!("../../deploy/vigie.toml");
        for metric in Metric::ALL {
            let limit = Limits::default().limit(metric);
            let steps = [limit.degraded, limit.severe, limit.down];
            let said: Vec<String> = STEPS
                .iter()
                .zip(steps)
                .filter_map(|(name, step)| Some(format!("{name} = {}", step?)))
                .collect();
            let line = format!("{} = {{ {} }}", metric.key(), said.join(", "));
            assert!(sample.contains(&line), "the sample does not say {line}");
        }
    }
}

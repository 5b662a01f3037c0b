//! `GET /metrics`: the view as Prometheus reads it (OpenMetrics text), made anew at each scrape.
//!
//! States are one series per word with 0 or 1, so that an alert rule needs no number table. Names end in
//! their unit; the help text stands next to the name.

use std::sync::atomic::AtomicU64;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::{Age, Pages, usage};
use crate::board::view::{Answer, View};
use crate::probe::Word;

type Figure = Gauge<f64, AtomicU64>;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LineState {
    line: String,
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TargetState {
    target: String,
    group: String,
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ProbeName {
    probe: String,
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ProbeRuns {
    probe: String,
    kind: &'static str,
    verdict: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ProbeMeasure {
    probe: String,
    measure: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AnswerState {
    answer: &'static str,
}

pub(super) async fn scrape(State(pages): State<Pages>) -> Response {
    let view = pages.view();
    let mut registry = Registry::with_prefix("vigie");
    plant(&mut registry, &view);
    probes(&mut registry, &view);
    ourselves(&mut registry, &view);
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => (
            [(
                header::CONTENT_TYPE,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The answer, the lines and the targets, one series per state with 0 or 1.
fn plant(registry: &mut Registry, view: &View) {
    let answers = Family::<AnswerState, Gauge>::default();
    let lines = Family::<LineState, Gauge>::default();
    let targets = Family::<TargetState, Gauge>::default();
    registry.register(
        "answer",
        "Can calls be taken? 1 for the answer that holds",
        answers.clone(),
    );
    registry.register(
        "line_state",
        "State of a line, 1 for the state that holds",
        lines.clone(),
    );
    registry.register(
        "target_state",
        "State of a target, 1 for the state that holds",
        targets.clone(),
    );
    for (answer, name) in [
        (Answer::Yes, "yes"),
        (Answer::Partly, "partly"),
        (Answer::No, "no"),
        (Answer::Unknown, "unknown"),
    ] {
        answers
            .get_or_create(&AnswerState { answer: name })
            .set(i64::from(view.answer == answer));
    }
    for word in Word::ALL {
        for line in &view.lines {
            let labels = LineState {
                line: line.id.to_string(),
                state: word.as_str(),
            };
            lines
                .get_or_create(&labels)
                .set(i64::from(line.state == word));
        }
        for target in &view.targets {
            let labels = TargetState {
                target: target.id.to_string(),
                group: target.group.clone(),
                state: word.as_str(),
            };
            targets
                .get_or_create(&labels)
                .set(i64::from(target.state == word));
        }
    }
}

/// How often each probe ran, with what verdict, and what it last measured.
fn probes(registry: &mut Registry, view: &View) {
    let runs = Family::<ProbeRuns, Counter>::default();
    let took = Family::<ProbeName, Figure>::default();
    let measures = Family::<ProbeMeasure, Figure>::default();
    for probe in view.targets.iter().flat_map(|target| &target.probes) {
        for (word, count) in Word::ALL.into_iter().zip(probe.runs) {
            let labels = ProbeRuns {
                probe: probe.id.to_string(),
                kind: probe.kind,
                verdict: word.as_str(),
            };
            runs.get_or_create(&labels).inc_by(count);
        }
        if let Some(ms) = probe.took_ms {
            let labels = ProbeName {
                probe: probe.id.to_string(),
                kind: probe.kind,
            };
            took.get_or_create(&labels).set(ms / 1000.0);
        }
        for measure in &probe.measures {
            let labels = ProbeMeasure {
                probe: probe.id.to_string(),
                measure: measure.name.to_string(),
            };
            measures.get_or_create(&labels).set(measure.value);
        }
    }
    registry.register(
        "probe_runs",
        "Runs of a probe since start, by verdict",
        runs,
    );
    registry.register_with_unit(
        "probe_duration",
        "Duration of the last run; absent while that had no answer to time",
        Unit::Seconds,
        took,
    );
    registry.register(
        "probe_measure",
        "Last value of a figure of a probe, in the unit its name ends in",
        measures,
    );
}

/// The watchdog itself: its own faults, the age of its view, its facts, its CPU and memory.
fn ourselves(registry: &mut Registry, view: &View) {
    let age = Figure::default();
    age.set(Age::of(view).seconds.as_secs_f64());
    registry.register_with_unit("view_age", "Age of the published view", Unit::Seconds, age);
    let faults = Gauge::<i64>::default();
    faults.set(i64::try_from(view.own_faults.len()).unwrap_or(i64::MAX));
    registry.register(
        "own_faults",
        "Faults of the watchdog itself that are open now",
        faults,
    );
    registry.register(
        "facts",
        "Facts committed to the journal",
        ConstCounter::new(view.fact),
    );
    let usage = usage::of_this_process();
    registry.register_with_unit(
        "process_cpu",
        "CPU time used, user and system",
        Unit::Seconds,
        ConstCounter::new(usage.cpu.as_secs_f64()),
    );
    let memory = Gauge::<i64>::default();
    memory.set(i64::try_from(usage.resident_bytes).unwrap_or(i64::MAX));
    registry.register_with_unit(
        "process_resident_memory",
        "Resident memory",
        Unit::Bytes,
        memory,
    );
}

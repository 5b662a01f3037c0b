//! What can only be judged with the whole file in hand: parents and their cycles, doubled probes, trunks
//! and their load, the proofs of lines.

use std::collections::{BTreeMap, BTreeSet};

use super::context::Context;
use super::error::Span;
use super::probe_sip::holds_channel;
use super::reader::{At, instead};
use super::target::{ReadLine, ReadTarget, Trunk};
use crate::engine::plant::Probe;
use crate::probe::Check;
use crate::schedule::CALLS_PER_HOUR_MAX;

pub(super) fn judge(
    targets: &[ReadTarget],
    trunks: &[(Trunk, Span)],
    lines: &[ReadLine],
    context: &Context<'_>,
) {
    judge_parents(targets, context);
    judge_probe_ids(targets, context);
    judge_trunks(targets, trunks, context);
    for line in lines {
        judge_line(line, targets, context);
    }
}

fn judge_parents(targets: &[ReadTarget], context: &Context<'_>) {
    let known: Vec<&str> = targets.iter().map(|read| read.target.id.as_str()).collect();
    let mut arrows: BTreeMap<&str, Vec<&At<String>>> = BTreeMap::new();
    for read in targets {
        let id = read.target.id.as_str();
        let mut seen = BTreeSet::new();
        for parent in &read.parents {
            let name = parent.value.as_str();
            if name == id {
                context.findings.wrong(
                    &parent.span,
                    format!("{id:?} cannot be its own parent; remove it"),
                );
            } else if !known.contains(&name) {
                context.findings.missing(
                    &parent.span,
                    format!("no target is called {name:?}; {}", instead(name, &known)),
                );
            } else if !seen.insert(name) {
                context.findings.wrong(
                    &parent.span,
                    format!("{name:?} stands here twice; write it once"),
                );
            } else {
                arrows.entry(id).or_default().push(parent);
            }
        }
    }
    for read in targets {
        report_cycle(read.target.id.as_str(), &arrows, context);
    }
}

/// Reports a cycle once: at the target of it that comes first in the alphabet.
fn report_cycle(start: &str, arrows: &BTreeMap<&str, Vec<&At<String>>>, context: &Context<'_>) {
    let mut came_from: BTreeMap<&str, (&str, &At<String>)> = BTreeMap::new();
    let mut to_visit = vec![start];
    while let Some(id) = to_visit.pop() {
        for parent in arrows.get(id).map(Vec::as_slice).unwrap_or_default() {
            let name = parent.value.as_str();
            if name == start {
                let mut path = vec![start];
                let mut at = id;
                while at != start {
                    path.push(at);
                    at = came_from.get(at).map_or(start, |(before, _)| *before);
                }
                path.push(start);
                path.reverse();
                if path.iter().min() == Some(&start) {
                    context.findings.wrong(
                        &parent.span,
                        format!(
                            "parents form a circle: {}; remove one of them",
                            path.join(" needs ")
                        ),
                    );
                }
                return;
            }
            if !came_from.contains_key(name) {
                came_from.insert(name, (id, parent));
                to_visit.push(name);
            }
        }
    }
}

fn judge_probe_ids(targets: &[ReadTarget], context: &Context<'_>) {
    for read in targets {
        // The same entry for another place is no other probe.
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for probe in &read.probes {
            let begins = probe.span.start;
            if *seen.entry(probe.probe.id.check()).or_insert(begins) != begins {
                context.findings.wrong(
                    &probe.span,
                    format!(
                        "two probes are called {:?}; give one of them name = \"…\"",
                        probe.probe.id.check()
                    ),
                );
            }
        }
    }
}

/// All calls with the place of their probe.
fn calls(
    targets: &[ReadTarget],
) -> impl Iterator<Item = (&super::probe::Read, &crate::probe::call::Settings)> {
    targets
        .iter()
        .flat_map(|read| &read.probes)
        .filter_map(|read| {
            if let Check::Call(settings) = read.probe.check.as_ref() {
                Some((read, settings))
            } else {
                None
            }
        })
}

fn judge_trunks(targets: &[ReadTarget], trunks: &[(Trunk, Span)], context: &Context<'_>) {
    let known: Vec<&str> = trunks.iter().map(|(trunk, _)| trunk.id.as_str()).collect();
    let mut load: BTreeMap<&str, f64> = BTreeMap::new();
    for (read, settings) in calls(targets) {
        let Some(id) = read.probe.trunk.as_ref().map(|trunk| trunk.as_str()) else {
            continue;
        };
        if let Some(named) = &read.trunk
            && !known.contains(&id)
        {
            context.findings.missing(
                &named.span,
                format!("no trunk is called {id:?}; {}", instead_or_add(id, &known)),
            );
        }
        let max = trunks
            .iter()
            .find(|(trunk, _)| trunk.id.as_str() == id)
            .map_or(CALLS_PER_HOUR_MAX, |(trunk, _)| trunk.calls_per_hour_max);
        let sum = load.entry(id).or_default();
        let before = *sum;
        *sum += calls_per_hour(&read.probe);
        if before <= f64::from(max) && *sum > f64::from(max) {
            context.findings.wrong(
                &read.span,
                format!(
                    "with this probe {sum:.0} calls an hour go over trunk {id:?} (each holds a channel for \
                     {:.0} s); at most {max} are allowed: call more rarely",
                    holds_channel(settings).as_secs_f64()
                ),
            );
        }
    }
    for (trunk, span) in trunks {
        if !load.contains_key(trunk.id.as_str()) {
            context.findings.warn(
                span,
                format!("no call goes over trunk {:?}", trunk.id.as_str()),
            );
        }
    }
}

pub(super) fn calls_per_hour(probe: &Probe) -> f64 {
    3600.0 / probe.every.as_secs_f64().max(1.0)
}

fn instead_or_add(id: &str, known: &[&str]) -> String {
    if known.is_empty() {
        format!("add a table [trunk.{id}]")
    } else {
        instead(id, known)
    }
}

fn judge_line(line: &ReadLine, targets: &[ReadTarget], context: &Context<'_>) {
    let call_ids: Vec<&str> = calls(targets)
        .map(|(read, _)| read.probe.id.as_str())
        .collect();
    let mut checks: Vec<&str> = calls(targets)
        .map(|(read, _)| read.probe.id.check())
        .collect();
    checks.dedup();
    for proof in &line.proofs {
        let id = proof.value.as_str();
        if !call_ids.contains(&id) && !checks.contains(&id) {
            let mut known = checks.clone();
            known.extend(&call_ids);
            context.findings.missing(
                &proof.span,
                format!("no call is called {id:?}; {}", instead(id, &known)),
            );
        }
    }
    let names: Vec<&str> = targets
        .iter()
        .flat_map(|read| [read.target.id.as_str(), read.target.name.as_str()])
        .collect();
    for (keys, pbx) in &line.signatures {
        if !names.contains(&pbx.value.as_str()) {
            context.findings.missing(
                &pbx.span,
                format!(
                    "signature {:?} stands for {:?}, which is no target; write the name or id of one",
                    keys.value, pbx.value
                ),
            );
        }
    }
    let said: BTreeSet<&str> = line
        .signatures
        .iter()
        .map(|(keys, _)| keys.value.as_str())
        .collect();
    let proofs = calls(targets).filter(|(read, _)| line.line.proofs.contains(&read.probe.id));
    for (read, settings) in proofs {
        for keys in settings
            .signatures
            .iter()
            .filter(|keys| !said.contains(keys.as_str()))
        {
            context.findings.wrong(
                &read.span,
                format!(
                    "this call may hear {keys:?}, and line {:?} does not say which PBX that is; add it to \
                     its signatures",
                    line.line.id.as_str()
                ),
            );
        }
    }
}

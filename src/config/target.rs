//! The tables `[target.ID]`, `[trunk.ID]` and `[line.ID]`.

use super::context::Context;
use super::error::Span;
use super::kind::Lane;
use super::probe::{Machine, Read, is_id, read_addresses, read_probe};
use super::probe_sip::digits;
use super::reader::{At, Section};
use super::vantage;
use crate::engine::plant::{Line, Target};
use crate::id::{LineId, ProbeId, TargetId, TrunkId};
use crate::schedule::CALLS_PER_HOUR_MAX;

/// A target as read, with what is still to be compared with the rest of the file.
#[derive(Debug)]
pub(super) struct ReadTarget {
    pub(super) target: Target,
    pub(super) parents: Vec<At<String>>,
    pub(super) probes: Vec<Read>,
}

const LABELS: [(&str, &str); 5] = [
    ("PROD", "PROD"),
    ("BACKUP", "BACKUP"),
    ("SUPPORT", "SUPPORT"),
    ("ETEINT", "ETEINT"),
    ("PROJET", "PROJET"),
];

const SUPPORTS: [(&str, &str); 3] = [("HO", "HO"), ("HNO", "HNO"), ("N/C", "N/C")];

pub(super) fn read_target(
    id: &At<String>,
    section: &Section<'_>,
    context: &Context<'_>,
) -> Option<ReadTarget> {
    let name = section.required("name", "\"…\"", section.text("name"));
    let group = section.required("group", "\"Linux\"", section.text("group"));
    let description = section.text("description");
    let note = section.text("note");
    let label = section.choice("label", &LABELS).unwrap_or("PROD");
    let support = section.choice("support", &SUPPORTS).unwrap_or("HO");
    let hds = section.flag("hds").unwrap_or(false);
    let lane = section.choice("lane", &Lane::CHOICES).unwrap_or_default();
    let parents = section.texts("parents").unwrap_or_default();
    let count = section.number("count", 1..=10_000u32);
    let addresses = read_addresses(section).unwrap_or_default();
    let places = vantage::read_from(section, context).unwrap_or_else(|| vec![None]);
    if let Some(count) = count {
        let listed = addresses.list.len();
        if listed > 0 && !addresses.broken && u32::try_from(listed).ok() != Some(count.value) {
            section.findings().wrong(
                &count.span,
                format!(
                    "\"count\" is {} and \"address\" holds {listed}; mend one",
                    count.value
                ),
            );
        }
    }
    let target_id = TargetId::from(id.value.as_str());
    let machine = Machine {
        id: &target_id,
        addresses: &addresses,
        lane,
        places: &places,
        switched_off: label == "ETEINT",
        hds,
    };
    let probes = read_probes(section, &machine, context);
    section.finish();
    check_id("target", id, context)?;
    let description = [
        description,
        note.map(|note| At {
            value: format!("({})", note.value),
            ..note
        }),
    ];
    Some(ReadTarget {
        target: Target {
            id: target_id,
            name: name?.value,
            group: group?.value,
            description: description
                .into_iter()
                .flatten()
                .map(|at| at.value)
                .collect::<Vec<_>>()
                .join(" "),
            label: label.to_owned(),
            support: support.to_owned(),
            hds,
            parents: parents
                .iter()
                .map(|at| TargetId::from(at.value.as_str()))
                .collect(),
            probes: probes.iter().map(|read| read.probe.clone()).collect(),
        },
        parents,
        probes,
    })
}

fn read_probes(section: &Section<'_>, machine: &Machine<'_>, context: &Context<'_>) -> Vec<Read> {
    let entries = section.entries("probes");
    if entries.is_none_or(<[_]>::is_empty) && (entries.is_some() || !section.has("probes")) {
        section.findings().missing(
            &section.span,
            format!(
                "{} has no probe, so nobody watches it; add probes = [\"ping\"]",
                section.title
            ),
        );
    }
    entries
        .unwrap_or_default()
        .iter()
        .filter_map(|entry| read_probe(entry, machine, context))
        .flat_map(|read| vantage::spread(&read).collect::<Vec<_>>())
        .collect()
}

/// What one synthetic call may hold at a time, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trunk {
    pub id: TrunkId,
    pub name: String,
    /// Calls it can carry at once; 30 for a T2.
    pub channels: u16,
    /// More synthetic calls than this an hour would take the place of callers: a file with more is refused,
    /// and what failures ask for besides waits.
    pub calls_per_hour_max: u16,
}

/// Sixteen T2 of thirty channels: a larger number is a slip of the pen, and would hide all other lines.
const CHANNELS_MAX: u16 = 480;

pub(super) fn read_trunk(
    id: &At<String>,
    section: &Section<'_>,
    context: &Context<'_>,
) -> Option<(Trunk, Span)> {
    let name = section.required("name", "\"…\"", section.text("name"));
    let channels = section.number("channels", 1..=CHANNELS_MAX);
    let calls = section.number("calls_per_hour_max", 1..=3600u16);
    section.finish();
    check_id("trunk", id, context)?;
    let trunk = Trunk {
        id: TrunkId::from(id.value.as_str()),
        name: name?.value,
        channels: channels.map_or(1, |at| at.value),
        calls_per_hour_max: calls.map_or(CALLS_PER_HOUR_MAX, |at| at.value),
    };
    Some((trunk, id.span.clone()))
}

/// A line as read.
#[derive(Debug)]
pub(super) struct ReadLine {
    pub(super) line: Line,
    pub(super) proofs: Vec<At<String>>,
    /// The signature, and the PBX it stands for.
    pub(super) signatures: Vec<(At<String>, At<String>)>,
    /// What the contract is told of it; `None`: nothing.
    pub(super) emergency: Option<bool>,
    pub(super) channels: Option<u16>,
}

pub(super) fn read_line(
    id: &At<String>,
    section: &Section<'_>,
    probes: &[&ProbeId],
    context: &Context<'_>,
) -> Option<ReadLine> {
    let name = section.required("name", "\"…\"", section.text("name"));
    let proofs = section.texts("proofs");
    let signatures = section.pairs("signatures").unwrap_or_default();
    let emergency = section.flag("emergency");
    let channels = section.number("channels", 1..=CHANNELS_MAX);
    if proofs.as_ref().is_none_or(Vec::is_empty) {
        section.findings().missing(
            &section.span,
            format!(
                "{} has no proof; add proofs = [\"target/call\"]",
                section.title
            ),
        );
    }
    for (keys, _) in &signatures {
        if let Err(words) = digits(&keys.value) {
            section
                .findings()
                .wrong(&keys.span, format!("a signature: {words}"));
        }
    }
    section.finish();
    check_id("line", id, context)?;
    let proofs = proofs.unwrap_or_default();
    Some(ReadLine {
        line: Line {
            id: LineId::from(id.value.as_str()),
            name: name?.value,
            proofs: read_proofs(&proofs, probes),
            signatures: signatures
                .iter()
                .map(|(keys, pbx)| (keys.value.clone(), pbx.value.clone()))
                .collect(),
        },
        proofs,
        signatures,
        emergency,
        channels: channels.map(|at| at.value),
    })
}

/// Each of them once, in the order of the file.
fn read_proofs(proofs: &[At<String>], probes: &[&ProbeId]) -> Vec<ProbeId> {
    let mut all: Vec<ProbeId> = Vec::new();
    for proof in proofs {
        for id in vantage::meant_by(&proof.value, probes.iter().copied()) {
            if !all.contains(&id) {
                all.push(id);
            }
        }
    }
    all
}

pub(super) fn check_id(what: &str, id: &At<String>, context: &Context<'_>) -> Option<()> {
    if is_id(&id.value) {
        return Some(());
    }
    let article = if what == "alert" { "an" } else { "a" };
    context.findings.wrong(
        &id.span,
        format!(
            "the id of {article} {what} holds small letters, digits and -; write for example [{what}.{}]",
            id_like(&id.value)
        ),
    );
    None
}

/// The nearest id: `SRV SQL1` becomes `srv-sql1`.
fn id_like(text: &str) -> String {
    let parts: Vec<String> = text
        .to_lowercase()
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect();
    if parts.is_empty() {
        "xivo1".to_owned()
    } else {
        parts.join("-").chars().take(48).collect()
    }
}

//! The configuration file: TOML in, settings and plant out, or every mistake at once.
//!
//! Pure: [`read`] takes the text; `io::config_file` fetches it and looks whether references resolve. The
//! structs it fills belong to the modules that use them. Called at start, by `vigie check` and on reload.
//!
//! One file per table (`service`, `target`, `probe`…) on top of `reader`, which walks TOML and remembers
//! what is wrong; `whole` judges what needs the whole file.

mod alert;
mod context;
mod contract;
mod entry;
mod error;
mod kind;
mod limits;
mod probe;
mod probe_beat;
mod probe_net;
mod probe_sip;
mod reader;
mod service;
mod settings;
mod sip;
mod suggest;
mod summary;
mod target;
mod value;
mod vantage;
mod whole;

pub use context::Reference;
pub use error::ConfigError;
pub use settings::{Evidence, Settings, Vantage};
pub use target::Trunk;
pub use value::parse_duration;

use std::cell::RefCell;

use toml::de::DeTable;

use crate::engine::plant::{self, Plant};
use crate::id::ProbeId;
use crate::sla::contract::Terms;
use context::Context;
use error::Place;
use reader::{Findings, Section};

/// A file without a mistake.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    pub settings: Settings,
    pub plant: Plant,
    pub trunks: Vec<Trunk>,
    /// Worth a look, but no reason to refuse the file.
    pub warnings: Vec<ConfigError>,
    /// What the file refers to outside itself; whether it is there, only the shell can see.
    pub references: Vec<Referred>,
}

/// One reference and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referred {
    pub reference: Reference,
    pub at: (usize, usize),
    /// The probe that is blind without it; `None`: the service itself needs it.
    pub probe: Option<ProbeId>,
}

/// Reads the text of a configuration; `file` is its name for messages.
///
/// # Errors
/// Every mistake of the file, in its order.
pub fn read(file: &str, text: &str) -> Result<Loaded, Vec<ConfigError>> {
    let place = Place::new(file, text);
    let findings = Findings::default();
    let (document, grammar) = DeTable::parse_recoverable(text);
    // One bracket left open may come with an error on the same line that hides it: the whole list decides.
    let unclosed = grammar
        .iter()
        .any(|error| error.message().starts_with("unclosed"));
    for error in grammar {
        let span = error.span().unwrap_or(0..0);
        let words = if error.message() == "duplicate key" {
            let key = text.get(span.clone()).unwrap_or_default();
            format!("{key:?} stands twice; rename or remove one")
        } else {
            format!("this is no TOML: {}", error.message())
        };
        findings.grammar(span, words, unclosed);
    }
    let root = Section::new("the file".to_owned(), 0..0, document.get_ref(), &findings);
    let (settings, plant, trunks, references) = read_root(&root, &findings);
    let (mistakes, warnings) = findings.into_inner().into_lists(&place);
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let references = references
        .into_iter()
        .map(|(span, reference, probe)| Referred {
            reference,
            at: place.line_and_column(span.start),
            probe,
        })
        .collect();
    Ok(Loaded {
        settings,
        plant,
        trunks,
        warnings,
        references,
    })
}

type Root = (
    Settings,
    Plant,
    Vec<Trunk>,
    Vec<(error::Span, Reference, Option<ProbeId>)>,
);

fn read_root<'t>(root: &Section<'t>, findings: &'t Findings) -> Root {
    let plant_section = root.section("plant");
    if plant_section.is_none() && !root.has("plant") {
        findings.missing(
            &root.span,
            "there is no [plant]; add [plant] with name = \"…\"",
        );
    }
    let head = plant_section.as_ref().map(service::read_plant);
    let sip = root.section("sip").as_ref().map(sip::read_sip);
    let limits = root.section("voice").as_ref().map(limits::read_voice);
    let vantage = root.section("vantage");
    let context = Context {
        findings,
        places: vantage
            .as_ref()
            .map(vantage::read_places)
            .unwrap_or_default(),
        sip: sip.unwrap_or_default(),
        limits: limits.unwrap_or_default(),
        references: RefCell::default(),
    };
    let evidence = root
        .section("evidence")
        .as_ref()
        .map(service::read_evidence);
    let prompts = root.section("prompts").as_ref().map(service::read_prompts);
    let channels: Vec<_> = root
        .named("alert")
        .iter()
        .filter_map(|(name, section)| alert::read_alert(name, section, &context))
        .collect();
    let heartbeat = root.section("heartbeat");
    let apart = Settings {
        heartbeat: heartbeat.and_then(|section| alert::read_heartbeat(&section, &context)),
        alerts: channels.iter().map(|read| read.channel.clone()).collect(),
        vantage: context.places.main.clone(),
        elsewhere: context.places.elsewhere.clone(),
        evidence: evidence.unwrap_or_default(),
        prompts: prompts.flatten(),
        ..Settings::default()
    };
    let settings = match root.section("service") {
        Some(section) => service::read_service(&section, apart, &context),
        None => apart,
    };
    let trunks: Vec<_> = root
        .named("trunk")
        .iter()
        .filter_map(|(id, section)| target::read_trunk(id, section, &context))
        .collect();
    let targets: Vec<_> = root
        .named("target")
        .iter()
        .filter_map(|(id, section)| target::read_target(id, section, &context))
        .collect();
    let probes: Vec<&ProbeId> = targets
        .iter()
        .flat_map(|read| &read.probes)
        .map(|read| &read.probe.id)
        .collect();
    let lines: Vec<_> = root
        .named("line")
        .iter()
        .filter_map(|(id, section)| target::read_line(id, section, &probes, &context))
        .collect();
    if let Some(section) = &vantage {
        vantage::judge(&context.places, section, &probes, findings);
    }
    let terms = root
        .section("contract")
        .map(|section| contract::read_contract(&section, &targets, &context));
    if !root.has("target") {
        findings.missing(
            &root.span,
            "there is no target, so nothing to watch; add [target.ID]",
        );
    }
    root.finish();
    whole::judge(&targets, &trunks, &lines, &context);
    alert::judge(&channels, &targets, &context);
    let trunks: Vec<Trunk> = trunks.into_iter().map(|(trunk, _)| trunk).collect();
    let terms = Terms {
        lines: contract::weights(&lines, &targets, &trunks),
        ..terms.unwrap_or_default()
    };
    let plant = Plant {
        name: head
            .as_ref()
            .map_or_else(String::new, |head| head.name.clone()),
        seed: head.map_or(crate::id::Seed(119), |head| head.seed),
        targets: targets.into_iter().map(|read| read.target).collect(),
        lines: lines.into_iter().map(|read| read.line).collect(),
        terms,
        alerts: settings.alerts.clone(),
        places: context.places.of_health(),
        trunks: trunks
            .iter()
            .map(|trunk| plant::Trunk {
                id: trunk.id.clone(),
                calls_per_hour_max: trunk.calls_per_hour_max,
            })
            .collect(),
    };
    (settings, plant, trunks, context.references.into_inner())
}

#[cfg(test)]
mod tests;

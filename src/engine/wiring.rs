//! From the plant to the settings of the schedule and of health, and its digest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::fact::{Hash, Watched};
use super::plant::{Plant, Probe, Role};
use crate::health::standing::Subject;
use crate::health::{self, LineSettings, ProbeSettings, TargetSettings};
use crate::id::{ProbeId, TrunkId};
use crate::incident::cause::{Resting, Topology};
use crate::probe::Check;
use crate::probe::task::Sip;
use crate::quality::limits::Limits;
use crate::schedule;

/// What the engine needs to start a probe.
#[derive(Clone, Debug)]
pub(super) struct Wired {
    pub(super) check: Arc<Check>,
    pub(super) timeout: Duration,
    pub(super) is_call: bool,
    /// Short digest of what it asks: another one makes it another probe.
    pub(super) digest: String,
}

impl Wired {
    /// By what its calls are judged, if it calls.
    pub(super) fn limits(&self) -> Option<&Limits> {
        self.check.as_call().map(|call| &call.limits)
    }
}

pub(super) fn probes(plant: &Plant) -> impl Iterator<Item = &Probe> {
    plant.targets.iter().flat_map(|target| &target.probes)
}

pub(super) fn wired(plant: &Plant) -> BTreeMap<ProbeId, Wired> {
    let wire = |probe: &Probe| Wired {
        check: Arc::clone(&probe.check),
        timeout: probe.timeout,
        is_call: is_call(probe),
        digest: sha256(&format!("{:?}", probe.check)).to_string()[..16].to_owned(),
    };
    probes(plant)
        .map(|probe| (probe.id.clone(), wire(probe)))
        .collect()
}

pub(super) fn schedule(plant: &Plant) -> Vec<schedule::Settings> {
    probes(plant)
        .map(|probe| schedule::Settings {
            probe: probe.id.clone(),
            every: probe.every,
            timeout: probe.timeout,
            trunk: probe.trunk.clone(),
            account: Sip::of(&probe.check).and_then(Sip::login),
        })
        .collect()
}

pub(super) fn calls_per_hour_max(plant: &Plant) -> BTreeMap<TrunkId, u16> {
    let trunks = plant.trunks.iter();
    trunks
        .map(|trunk| (trunk.id.clone(), trunk.calls_per_hour_max))
        .collect()
}

pub(super) fn health(plant: &Plant) -> health::Settings {
    let probe = |probe: &Probe| ProbeSettings {
        id: probe.id.clone(),
        every: probe.every,
        timeout: probe.timeout,
        is_oracle: probe.role == Role::Oracle,
        is_call: is_call(probe),
    };
    health::Settings {
        places: plant.places.clone(),
        targets: plant
            .targets
            .iter()
            .map(|target| TargetSettings {
                id: target.id.clone(),
                name: target.name.clone(),
                parents: target.parents.clone(),
                probes: target.probes.iter().map(probe).collect(),
            })
            .collect(),
        lines: plant
            .lines
            .iter()
            .map(|line| LineSettings {
                id: line.id.clone(),
                proofs: line.proofs.clone(),
                signatures: line.signatures.clone(),
            })
            .collect(),
    }
}

/// SHA-256 of all that is watched and how. Secrets are references in a plant, never values.
pub(super) fn digest(plant: &Plant) -> String {
    sha256(&format!("{plant:?}")).to_string()
}

fn sha256(text: &str) -> Hash {
    Hash(Sha256::digest(text.as_bytes()).into())
}

fn is_call(probe: &Probe) -> bool {
    probe.trunk.is_some() || probe.check.as_call().is_some()
}

/// All that is watched, as people know it.
pub(super) fn watched(plant: &Plant) -> Vec<Watched> {
    let targets = plant.targets.iter().map(|target| Watched {
        subject: Subject::Target(target.id.clone()),
        name: target.name.clone(),
        support: target.support.clone(),
        group: target.group.clone(),
        weight: None,
    });
    let lines = plant.lines.iter().map(|line| Watched {
        subject: Subject::Line(line.id.clone()),
        name: line.name.clone(),
        support: DAY_AND_NIGHT.to_owned(),
        group: String::new(),
        weight: Some(plant.terms.weight(&line.id)),
    });
    targets.chain(lines).collect()
}

/// The same, to be looked up.
pub(super) fn described(plant: &Plant) -> BTreeMap<Subject, Watched> {
    watched(plant)
        .into_iter()
        .map(|watched| (watched.subject.clone(), watched))
        .collect()
}

/// The hours of a line: callers call whenever they need to.
const DAY_AND_NIGHT: &str = "HNO";

/// What rests on what, for incidents.
pub(super) fn topology(plant: &Plant) -> Topology {
    let several = probes(plant).any(|probe| probe.id.vantage().is_some());
    let mut topology = Topology {
        main: several.then(|| plant.places.main.clone()),
        ..Topology::default()
    };
    for target in &plant.targets {
        let parents = target.parents.clone();
        topology.targets.insert(target.id.clone(), parents);
        for probe in &target.probes {
            topology.probes.insert(probe.id.clone(), target.id.clone());
        }
    }
    for line in &plant.lines {
        let gateways = line
            .proofs
            .iter()
            .filter_map(|proof| topology.probes.get(proof).cloned());
        let mut pbxs = line.signatures.iter().filter_map(|(_, pbx)| {
            let mut targets = plant.targets.iter();
            let known = targets.find(|target| target.name == *pbx || target.id.as_str() == pbx)?;
            Some(known.id.clone())
        });
        let on = gateways.chain(pbxs.next()).collect();
        let reserve = pbxs.collect();
        let proofs = line.proofs.clone();
        topology.lines.insert(
            line.id.clone(),
            Resting {
                on,
                reserve,
                proofs,
            },
        );
    }
    topology
}

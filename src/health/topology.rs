//! How probes, targets and lines hang together: who proves whom, who explains whom.

use std::collections::{BTreeMap, BTreeSet};

use super::judge::Part;
use super::standing::Subject;
use super::{LineSettings, Settings};
use crate::id::{LineId, ProbeId, TargetId};

#[derive(Clone, Debug, Default)]
pub(super) struct Topology {
    probes: BTreeMap<ProbeId, Placed>,
    targets: BTreeMap<TargetId, Node>,
    lines: BTreeMap<LineId, Linked>,
}

#[derive(Clone, Debug)]
struct Placed {
    target: TargetId,
    part: Part,
    lines: Vec<LineId>,
    /// Asked at once when this one fails for the first time.
    near: Vec<ProbeId>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    probes: Vec<ProbeId>,
    /// Probes that hold no channel.
    light: Vec<ProbeId>,
    parents: Vec<TargetId>,
    children: Vec<TargetId>,
    /// PBXs that lines through this gateway lead to.
    behind: BTreeSet<TargetId>,
    /// Lines that this target carries or answers.
    lines: BTreeSet<LineId>,
}

#[derive(Clone, Debug)]
struct Linked {
    settings: LineSettings,
    /// Where its calls enter.
    gateways: BTreeSet<TargetId>,
    pbxs: BTreeSet<TargetId>,
}

impl Topology {
    pub(super) fn new(settings: &Settings) -> Self {
        let mut topology = Self::default();
        for target in &settings.targets {
            let node = topology.targets.entry(target.id.clone()).or_default();
            node.parents.clone_from(&target.parents);
            for probe in &target.probes {
                node.probes.push(probe.id.clone());
                if !probe.is_call {
                    node.light.push(probe.id.clone());
                }
                let placed = Placed {
                    target: target.id.clone(),
                    part: if probe.is_oracle {
                        Part::Oracle
                    } else {
                        Part::Hint
                    },
                    lines: Vec::new(),
                    near: Vec::new(),
                };
                topology.probes.insert(probe.id.clone(), placed);
            }
            for parent in &target.parents {
                let node = topology.targets.entry(parent.clone()).or_default();
                node.children.push(target.id.clone());
            }
        }
        for line in &settings.lines {
            topology.link(settings, line);
        }
        topology.find_near();
        topology
    }

    /// A call straight into a PBX whose signature the line knows is that PBX's own oracle; it stands
    /// for the line only if no call of a caller's path is listed.
    fn link(&mut self, settings: &Settings, line: &LineSettings) {
        let names = |target: &TargetId| {
            let name = settings.targets.iter().find(|one| one.id == *target);
            line.signatures
                .iter()
                .any(|(_, pbx)| pbx == target.as_str() || name.is_some_and(|one| one.name == *pbx))
        };
        let pbxs: BTreeSet<TargetId> = self
            .targets
            .keys()
            .filter(|id| names(id))
            .cloned()
            .collect();
        let known = line
            .proofs
            .iter()
            .filter(|probe| self.probes.contains_key(*probe));
        let (direct, public): (Vec<_>, Vec<_>) = known
            .cloned()
            .partition(|probe| pbxs.contains(&self.probes[probe].target));
        let proofs = if public.is_empty() { direct } else { public };
        let mut gateways = BTreeSet::new();
        for probe in &proofs {
            let placed = self
                .probes
                .get_mut(probe)
                .expect("only known probes were kept");
            placed.lines.push(line.id.clone());
            if !pbxs.contains(&placed.target) {
                placed.part = Part::Line;
                gateways.insert(placed.target.clone());
            }
        }
        for gateway in &gateways {
            let node = self.targets.entry(gateway.clone()).or_default();
            node.behind.extend(pbxs.iter().cloned());
        }
        for target in gateways.iter().chain(&pbxs) {
            let node = self.targets.entry(target.clone()).or_default();
            node.lines.insert(line.id.clone());
        }
        let settings = LineSettings {
            proofs,
            ..line.clone()
        };
        let linked = Linked {
            settings,
            gateways,
            pbxs,
        };
        self.lines.insert(line.id.clone(), linked);
    }

    fn find_near(&mut self) {
        let all: Vec<(ProbeId, BTreeSet<ProbeId>)> = self
            .probes
            .iter()
            .map(|(id, placed)| (id.clone(), self.near_of(id, placed)))
            .collect();
        for (id, near) in all {
            if let Some(placed) = self.probes.get_mut(&id) {
                placed.near = near.into_iter().collect();
            }
        }
    }

    fn near_of(&self, id: &ProbeId, placed: &Placed) -> BTreeSet<ProbeId> {
        let node = &self.targets[&placed.target];
        let mut near: BTreeSet<ProbeId> = node.probes.iter().cloned().collect();
        for parent in &node.parents {
            near.extend(self.targets[parent].light.iter().cloned());
        }
        // A PBX that stops answering: does the line still pass?
        for line in &node.lines {
            near.extend(self.lines[line].settings.proofs.iter().cloned());
        }
        // A call that fails: is it the gateway or a PBX?
        for line in &placed.lines {
            for target in &self.lines[line].pbxs {
                near.extend(self.targets[target].probes.iter().cloned());
            }
        }
        near.remove(id);
        near
    }

    pub(super) fn near(&self, probe: &ProbeId) -> &[ProbeId] {
        self.probes.get(probe).map_or(&[], |placed| &placed.near)
    }

    pub(super) fn target_of(&self, probe: &ProbeId) -> Option<&TargetId> {
        self.probes.get(probe).map(|placed| &placed.target)
    }

    /// The lines that this call proves.
    pub(super) fn lines_of(&self, probe: &ProbeId) -> Vec<LineId> {
        let placed = self.probes.get(probe);
        placed
            .map(|placed| placed.lines.clone())
            .unwrap_or_default()
    }

    pub(super) fn part(&self, probe: &ProbeId) -> Part {
        self.probes
            .get(probe)
            .map_or(Part::Hint, |placed| placed.part)
    }

    pub(super) fn is_hint(&self, probe: &ProbeId) -> bool {
        self.part(probe) == Part::Hint
    }

    pub(super) fn probes_of(&self, target: &TargetId) -> impl Iterator<Item = &ProbeId> {
        self.targets
            .get(target)
            .into_iter()
            .flat_map(|node| &node.probes)
    }

    pub(super) fn all_probes_of(&self, subject: &Subject) -> impl Iterator<Item = &ProbeId> {
        let (target, line) = match subject {
            Subject::Target(id) => (self.targets.get(id), None),
            Subject::Line(id) => (None, self.lines.get(id)),
        };
        let of_target = target.into_iter().flat_map(|node| &node.probes);
        of_target.chain(line.into_iter().flat_map(|line| &line.settings.proofs))
    }

    /// The probes whose good runs prove it: oracles, else whatever it has.
    pub(super) fn proofs_of(&self, subject: &Subject) -> Vec<ProbeId> {
        let all: Vec<ProbeId> = self.all_probes_of(subject).cloned().collect();
        let oracles: Vec<ProbeId> = all.iter().filter(|id| !self.is_hint(id)).cloned().collect();
        if oracles.is_empty() { all } else { oracles }
    }

    pub(super) fn behind(&self, gateway: &TargetId) -> impl Iterator<Item = &TargetId> {
        self.targets
            .get(gateway)
            .into_iter()
            .flat_map(|node| &node.behind)
    }

    pub(super) fn line(&self, id: &LineId) -> Option<&LineSettings> {
        self.lines.get(id).map(|line| &line.settings)
    }

    /// Whose failure explains a failure of this: parents of a target, gateways of a line.
    pub(super) fn explained_by(&self, subject: &Subject) -> impl Iterator<Item = &TargetId> {
        let (parents, gateways) = match subject {
            Subject::Target(id) => (self.targets.get(id), None),
            Subject::Line(id) => (None, self.lines.get(id)),
        };
        let parents = parents.into_iter().flat_map(|node| &node.parents);
        parents.chain(gateways.into_iter().flat_map(|line| &line.gateways))
    }

    /// What a verdict of this probe can change.
    pub(super) fn touched_by(&self, probe: &ProbeId) -> BTreeSet<Subject> {
        let Some(placed) = self.probes.get(probe) else {
            return BTreeSet::new();
        };
        let mut touched: BTreeSet<Subject> =
            placed.lines.iter().cloned().map(Subject::Line).collect();
        touched.insert(Subject::Target(placed.target.clone()));
        // A verdict of a parent may decide its held children even if its own state stays.
        let node = &self.targets[&placed.target];
        touched.extend(node.children.iter().cloned().map(Subject::Target));
        touched
    }

    /// What a change of this can change.
    pub(super) fn neighbours(&self, subject: &Subject) -> BTreeSet<Subject> {
        match subject {
            Subject::Line(_) => BTreeSet::new(),
            Subject::Target(id) => {
                let Some(node) = self.targets.get(id) else {
                    return BTreeSet::new();
                };
                let children = node.children.iter().cloned().map(Subject::Target);
                let lines = node.lines.iter().cloned().map(Subject::Line);
                let gateways = node
                    .lines
                    .iter()
                    .flat_map(|line| self.lines[line].gateways.iter())
                    .filter(|gateway| *gateway != id)
                    .cloned()
                    .map(Subject::Target);
                children.chain(lines).chain(gateways).collect()
            }
        }
    }
}

//! The plant as the engine knows it: targets, their probes and parents, and the lines. Built by
//! `config` (or by a test), never changed by the engine.

use std::sync::Arc;
use std::time::Duration;

use crate::alert::settings::Channel;
use crate::health::Places;
use crate::id::{LineId, ProbeId, Seed, TargetId, TrunkId};
use crate::probe::Check;
use crate::probe::icmp::Expect;
use crate::sla::contract::Terms;

/// All that is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Plant {
    pub name: String,
    pub seed: Seed,
    pub targets: Vec<Target>,
    pub lines: Vec<Line>,
    /// What is known of trunks that probes name; another carries as many calls as a schedule allows by itself.
    pub trunks: Vec<Trunk>,
    /// What the restoration clocks run by.
    pub terms: Terms,
    /// Who is told of incidents, and how.
    pub alerts: Vec<Channel>,
    /// Where it is watched from.
    pub places: Places,
}

/// How much of a trunk is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trunk {
    pub id: TrunkId,
    /// Synthetic calls; more would take the place of callers.
    pub calls_per_hour_max: u16,
}

/// One thing watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub id: TargetId,
    pub name: String,
    /// Folder of the inventory: `Téléphonie`, `Linux`, …
    pub group: String,
    pub description: String,
    /// PROD, BACKUP, SUPPORT, ETEINT, PROJET.
    pub label: String,
    /// HO, HNO or N/C.
    pub support: String,
    pub hds: bool,
    /// If one of these is down, this one cannot be seen: it is held, not blamed.
    pub parents: Vec<TargetId>,
    pub probes: Vec<Probe>,
}

impl Target {
    /// What it does when all is well: answer, or stay silent because it is off or not there yet.
    #[must_use]
    pub fn expect(&self) -> Expect {
        let silent = |probe: &Probe| matches!(&*probe.check, Check::Icmp(ping) if ping.expect == Expect::Silent);
        if !self.probes.is_empty() && self.probes.iter().all(silent) {
            Expect::Silent
        } else {
            Expect::Answer
        }
    }
}

/// One check of a target and how often it is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    pub id: ProbeId,
    pub check: Arc<Check>,
    pub every: Duration,
    pub timeout: Duration,
    /// Only one probe at a time may hold this trunk.
    pub trunk: Option<TrunkId>,
    /// An oracle decides alone; a hint only explains when an oracle of the target exists.
    pub role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Proof: a call answered and heard, a page fetched.
    Oracle,
    /// A sign: OPTIONS, REGISTER, ping.
    Hint,
}

/// A public number or channel group that must be answerable.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub id: LineId,
    /// As the supervisor knows it: `119, accueil`.
    pub name: String,
    /// The synthetic calls that prove this line by the path a caller takes, best first. Such a call
    /// blames the line, not the target it is listed under (the gateway): a direct call to a PBX is a
    /// probe of that PBX and does not belong here.
    pub proofs: Vec<ProbeId>,
    /// DTMF signature to the name of the PBX that gave it, the normal one first: `*1#` → `XIVO 1`. The
    /// name is a target's `name` or id, so that a failing hint of that PBX triggers a call at once.
    pub signatures: Vec<(String, String)>,
}

//! The published view of the plant: one value, made by the engine, read by every page, the API and the
//! metrics. Readers never see the engine's own state.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::health::SEEN_FROM_SOME_PLACES;
use crate::id::{LineId, ProbeId, TargetId, VantageId};
use crate::incident::IncidentId;
use crate::incident::act::{Audience, Phase};
use crate::probe::icmp::Expect;
use crate::probe::{Failure, Measure, Word};
use crate::time::{Instant, Utc};

/// *Peut-on prendre des appels ?*
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    Yes,
    Partly,
    No,
    Unknown,
}

/// The whole plant at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct View {
    /// When this view was true.
    #[serde(serialize_with = "rfc3339")]
    pub at: Utc,
    /// The same moment by the clock that nobody sets: how old the view is, is told by it.
    #[serde(skip)]
    pub made: Instant,
    /// Last fact it includes; a reader that saw N never sees less than N again. While a fault of the
    /// store is open this stays at the last committed fact, and `own_faults` says that what is shown
    /// is not in the journal yet.
    pub fact: u64,
    pub plant: String,
    pub answer: Answer,
    /// The sentence behind the answer, in French, for the supervisor.
    pub because: String,
    #[serde(serialize_with = "rfc3339")]
    pub since: Utc,
    pub lines: Vec<LineView>,
    pub targets: Vec<TargetView>,
    /// Those that are not closed, newest first.
    pub incidents: Vec<IncidentView>,
    /// Faults of our own that are open now, in words (storage, clock, overload).
    pub own_faults: Vec<Failure>,
}

/// One line: a public number, or the trunk it stands on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LineView {
    pub id: LineId,
    pub name: String,
    #[serde(rename = "verdict")]
    pub state: Word,
    /// As for a target: false while something else than `state` was seen and is being confirmed.
    pub confirmed: bool,
    pub unstable: bool,
    #[serde(serialize_with = "rfc3339")]
    pub since: Utc,
    /// Send time of the last call that was answered as it should.
    #[serde(serialize_with = "rfc3339_option")]
    pub last_proof: Option<Utc>,
    /// Which PBX answered that call, by its signature: `XIVO 1`.
    pub answered_by: Option<String>,
    pub failure: Option<Failure>,
    /// What each place sees of it, where it is watched from several.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub seen_from: BTreeMap<VantageId, Word>,
}

/// One target of the plant with its probes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TargetView {
    pub id: TargetId,
    pub name: String,
    /// Folder of the inventory: `Téléphonie`, `VMWARE`, `Linux`, `Windows`, `Réseau`…
    pub group: String,
    pub description: String,
    /// PROD, BACKUP, SUPPORT, ETEINT, PROJET.
    pub label: String,
    /// HO, HNO or N/C.
    pub support: String,
    pub hds: bool,
    /// `silent`: good says that nothing answers, as it should; nobody may read that as *in service*.
    pub expect: Expect,
    #[serde(rename = "verdict")]
    pub state: Word,
    /// False while something else than `state` was seen (`failure` says what) and is being confirmed:
    /// `state` stays the last confirmed word, so a page may paint it without fear of a false alarm.
    pub confirmed: bool,
    /// Flapping.
    pub unstable: bool,
    #[serde(serialize_with = "rfc3339")]
    pub since: Utc,
    #[serde(serialize_with = "rfc3339_option")]
    pub last_proof: Option<Utc>,
    pub failure: Option<Failure>,
    /// The parent whose failure explains this one.
    pub because_of: Option<TargetId>,
    /// As for a line.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub seen_from: BTreeMap<VantageId, Word>,
    pub probes: Vec<ProbeView>,
}

/// An incident that is not closed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IncidentView {
    pub id: IncidentId,
    /// What failed first, or what the others rest on, as people name it.
    pub cause: String,
    /// The worst that it still is; good once all works again.
    #[serde(rename = "verdict")]
    pub state: Word,
    pub phase: Phase,
    pub audience: Audience,
    /// T0: send time of the first failed probe.
    #[serde(serialize_with = "rfc3339")]
    pub since: Utc,
    /// T1.
    #[serde(serialize_with = "rfc3339")]
    pub detected: Utc,
    /// T5, once all works again.
    #[serde(serialize_with = "rfc3339_option")]
    pub restored: Option<Utc>,
    pub in_hand: Option<String>,
    /// All that fails or failed of it.
    pub hit: Vec<String>,
    /// How much of the lines it takes or took; nothing if no line of it was down.
    pub lines: Option<LossView>,
    pub clocks: Vec<ClockView>,
}

/// How much of the lines an incident takes: now, or at its worst once they are up.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LossView {
    /// `total` or `partial`.
    pub extent: &'static str,
    /// Lines that are down, those of other incidents too.
    pub down: u32,
    pub of: u32,
    /// The same for the supervisor: `partielle : 1 ligne sur 3`.
    pub words: String,
    /// So far: a minute in which one line was down is one.
    pub line_minutes_lost: f64,
}

/// A restoration clock of the contract that runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClockView {
    /// `IC6`.
    pub indicator: &'static str,
    /// When its time is over.
    #[serde(serialize_with = "rfc3339")]
    pub deadline: Utc,
    pub at_risk: bool,
    pub breached: bool,
}

/// The last result of one probe.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProbeView {
    pub id: ProbeId,
    pub kind: &'static str,
    #[serde(rename = "verdict")]
    pub state: Word,
    #[serde(serialize_with = "rfc3339_option")]
    pub last_run: Option<Utc>,
    /// Runs so far since start, and how many were good, degraded, down, blind.
    pub runs: [u64; 4],
    pub took_ms: Option<f64>,
    pub failure: Option<Failure>,
    pub measures: Vec<Measure>,
}

impl View {
    /// Places that see something fail that works from the others: their own way out is to be looked at first.
    #[must_use]
    pub fn suspects(&self) -> BTreeSet<&VantageId> {
        let lines = self.lines.iter();
        let lines = lines.map(|line| (line.failure.as_ref(), &line.seen_from));
        let targets = self.targets.iter();
        let targets = targets.map(|target| (target.failure.as_ref(), &target.seen_from));
        let disputed = |failure: Option<&Failure>| {
            failure.is_some_and(|failure| failure.code == SEEN_FROM_SOME_PLACES)
        };
        lines
            .chain(targets)
            .filter(|(failure, _)| disputed(*failure))
            .flat_map(|(_, seen_from)| seen_from)
            .filter(|(_, word)| matches!(word, Word::Down | Word::Degraded))
            .map(|(place, _)| place)
            .collect()
    }
}

fn rfc3339<S: serde::Serializer>(at: &Utc, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.rfc3339())
}

#[expect(clippy::ref_option, reason = "serde hands the field by reference")]
fn rfc3339_option<S: serde::Serializer>(
    at: &Option<Utc>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => rfc3339(at, serializer),
        None => serializer.serialize_none(),
    }
}

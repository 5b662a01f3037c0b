//! What happened: one stamped, chained record, and the closed list of its kinds.
//!
//! Only the engine makes facts; the store keeps them in order and decides nothing. States, pages and
//! later incidents are computed from them. The hash of a fact covers the hash of the one before it,
//! so that nobody can change, drop or insert one without breaking every fact after it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::alert;
use crate::board::view::Answer;
use crate::health::standing::{Change, Subject};
use crate::id::ProbeId;
use crate::incident;
use crate::probe::{Failure, Measure, Word};
use crate::sla::extent::Weight;
use crate::time::{Instant, Now, Utc};

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// 1, 2, 3… without a gap.
    pub seq: u64,
    pub utc: Utc,
    /// The same moment on the boot clock: only this one measures durations across a clock step.
    pub boot: Instant,
    pub boot_id: BootId,
    pub clock: ClockState,
    /// The kind of the event, as a word that queries can filter on.
    pub kind: String,
    /// The event as JSON text; these very bytes are hashed and stored.
    pub payload: String,
    pub prev: Hash,
    pub hash: Hash,
}

/// Which boot of the machine the boot clock counts from (`/proc/sys/kernel/random/boot_id`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootId(Arc<str>);

/// Whether the wall clock was disciplined when the fact was stamped (`adjtimex`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClockState {
    Synchronised,
    Unsynchronised,
    #[default]
    Unknown,
}

/// SHA-256 of one fact.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    ServiceStarted {
        version: String,
    },
    ServiceStopped,
    /// This plant is watched from now on.
    Configured(Configured),
    /// One probe ended: every failure, every call, and every good one that ends a failure.
    Verdict(Judged),
    /// The good and the repeatedly blind runs that got no fact of their own since the last tally.
    Tally {
        rows: Vec<TallyRow>,
    },
    /// A probe has had no conclusive verdict for longer than its freshness limit, or three blind ones in a
    /// row: we do not see.
    BlindBegan {
        probe: ProbeId,
    },
    /// Fewer failures of this oracle were enough: hints of its target, or the other proofs of its line,
    /// fail with it.
    Corroborated {
        probe: ProbeId,
    },
    /// Soft: something was seen, or explained, that does not change the word.
    Soft(Change),
    /// Hard: the word of a target or a line changed.
    Hard(Change),
    /// The answer of the whole page changed.
    Answered {
        from: Answer,
        to: Answer,
    },
    OwnFaultBegan {
        failure: Failure,
    },
    OwnFaultEnded {
        code: String,
    },
    ClockStepped {
        by_ns: i64,
    },
    /// A decision about an incident.
    Incident(incident::step::Step),
    /// The restoration clock of one passed a mark.
    Clock(super::clocks::Mark),
    /// Who is told of one, and what became of it.
    Alert(alert::record::Record),
    /// What a person did about one.
    Act(incident::act::Act),
    /// The civil day of the contract is over; whoever keeps this hash elsewhere can prove that nothing of it was
    /// changed since.
    DayRoot {
        /// `2026-11-24`.
        day: String,
        /// Its last fact, and the hash of that.
        up_to: u64,
        hash: String,
    },
    /// We were alive: a gap between two of these is time in which nobody watched.
    Heartbeat {
        /// Verdicts received since start.
        runs: u64,
        in_flight: u64,
        /// How late we were woken at worst since the last heartbeat.
        late_ms: u64,
    },
}

/// A plant that came into force.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Configured {
    pub plant: String,
    /// SHA-256 of all that is watched and how.
    pub digest: String,
    /// Numbers the probes for the tallies that follow, each with a short digest of what it asks.
    pub probes: Vec<(ProbeId, String)>,
    /// Probes that ask something else than before: what was known of them is forgotten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forgotten: Vec<ProbeId>,
    /// All targets and lines, as people know them.
    #[serde(default)]
    pub watched: Vec<Watched>,
    /// What rests on what, for the incidents that follow.
    #[serde(default)]
    pub topology: incident::cause::Topology,
    /// Targets and lines that are watched no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<Subject>,
}

/// A target or a line, as whoever reads the journal alone has to know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    pub subject: Subject,
    pub name: String,
    /// HO, HNO or N/C: which hours count. Lines count day and night.
    pub support: String,
    /// Folder of the inventory; lines have none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Of a line: what it weighs in the contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Weight>,
}

/// A probe's result as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    pub probe: ProbeId,
    pub run: u64,
    /// When the first packet left.
    pub sent: Utc,
    /// It confirmed a suspicion, from another source port.
    #[serde(default, skip_serializing_if = "is_false")]
    pub confirm: bool,
    pub word: Word,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measures: Vec<Measure>,
    /// DTMF heard: which PBX answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Send time of the last good run before this one: the other bound of a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_good: Option<Utc>,
}

/// Runs of one probe since the last tally that have no fact of their own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TallyRow {
    /// Place of the probe in the last `Configured`.
    #[serde(rename = "p")]
    pub probe: usize,
    #[serde(rename = "g", default, skip_serializing_if = "is_zero")]
    pub good: u64,
    #[serde(rename = "b", default, skip_serializing_if = "is_zero")]
    pub blind: u64,
    /// Send time of the last good one among them.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub last_good: Option<Utc>,
    /// The probe's last run, if it has no fact of its own.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub last: Option<TallyLast>,
}

/// The last run of a probe, if no fact of its own tells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TallyLast {
    #[serde(rename = "s")]
    pub sent: Utc,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub took_ns: Option<u64>,
    #[serde(rename = "m", default, skip_serializing_if = "Vec::is_empty")]
    pub measures: Vec<Measure>,
}

impl Event {
    /// The word of this kind, equal to the `kind` in its JSON.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ServiceStarted { .. } => "service_started",
            Self::ServiceStopped => "service_stopped",
            Self::Configured(_) => "configured",
            Self::Verdict(_) => "verdict",
            Self::Tally { .. } => "tally",
            Self::BlindBegan { .. } => "blind_began",
            Self::Corroborated { .. } => "corroborated",
            Self::Soft(_) => "soft",
            Self::Hard(_) => "hard",
            Self::Answered { .. } => "answered",
            Self::OwnFaultBegan { .. } => "own_fault_began",
            Self::OwnFaultEnded { .. } => "own_fault_ended",
            Self::ClockStepped { .. } => "clock_stepped",
            Self::Incident(_) => "incident",
            Self::Clock(_) => "clock",
            Self::Alert(_) => "alert",
            Self::Act(_) => "act",
            Self::DayRoot { .. } => "day_root",
            Self::Heartbeat { .. } => "heartbeat",
        }
    }
}

impl Judged {
    #[must_use]
    pub fn took(&self) -> Option<Duration> {
        self.took_ns.map(Duration::from_nanos)
    }
}

/// Why a fact cannot be the next of a chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainBreak {
    #[error("fact {expected} is missing: the next one is {found}")]
    Gap { expected: u64, found: u64 },
    #[error("fact {seq} does not follow the one before it: that one was changed or replaced")]
    NotLinked { seq: u64 },
    #[error("fact {seq} was changed after it was written: its content does not match its hash")]
    Changed { seq: u64 },
}

impl Fact {
    /// The hash that this content must have, over canonical bytes: every field in this order, numbers
    /// big-endian, texts after their length.
    #[must_use]
    pub fn computed_hash(&self) -> Hash {
        let mut sha = Sha256::new();
        sha.update(b"vigie fact 1\0");
        sha.update(self.prev.0);
        sha.update(self.seq.to_be_bytes());
        sha.update(self.utc.0.to_be_bytes());
        sha.update(self.boot.0.to_be_bytes());
        for text in [
            self.boot_id.as_str(),
            self.clock.as_str(),
            &self.kind,
            &self.payload,
        ] {
            sha.update((text.len() as u64).to_be_bytes());
            sha.update(text.as_bytes());
        }
        Hash(sha.finalize().into())
    }

    /// Does this fact follow the one numbered `seq` with hash `hash`?
    pub fn follows(&self, seq: u64, hash: Hash) -> Result<(), ChainBreak> {
        if self.seq != seq + 1 {
            return Err(ChainBreak::Gap {
                expected: seq + 1,
                found: self.seq,
            });
        }
        if self.prev != hash {
            return Err(ChainBreak::NotLinked { seq: self.seq });
        }
        if self.hash != self.computed_hash() {
            return Err(ChainBreak::Changed { seq: self.seq });
        }
        Ok(())
    }

    /// When it was stamped.
    #[must_use]
    pub const fn now(&self) -> Now {
        Now {
            instant: self.boot,
            utc: self.utc,
        }
    }

    /// What happened, read back.
    pub fn event(&self) -> Result<Event, serde_json::Error> {
        serde_json::from_str(&self.payload)
    }
}

/// The end of the chain, from which the next fact is made.
#[derive(Clone, Debug)]
pub struct Chain {
    pub seq: u64,
    pub hash: Hash,
    pub boot_id: BootId,
    pub clock: ClockState,
}

impl Chain {
    /// An empty journal.
    #[must_use]
    pub fn new(boot_id: BootId) -> Self {
        Self {
            seq: 0,
            hash: Hash::default(),
            boot_id,
            clock: ClockState::Unknown,
        }
    }

    /// Stamps the event and links it.
    pub fn append(&mut self, now: Now, event: &Event) -> Fact {
        let mut fact = Fact {
            seq: self.seq + 1,
            utc: now.utc,
            boot: now.instant,
            boot_id: self.boot_id.clone(),
            clock: self.clock,
            kind: event.kind().to_owned(),
            payload: serde_json::to_string(event)
                .expect("events have text keys and finite numbers, which JSON can hold"),
            prev: self.hash,
            hash: Hash::default(),
        };
        fact.hash = fact.computed_hash();
        self.seq = fact.seq;
        self.hash = fact.hash;
        fact
    }

    /// Goes on after `fact`, which must follow.
    pub fn resume(&mut self, fact: &Fact) -> Result<(), ChainBreak> {
        fact.follows(self.seq, self.hash)?;
        self.seq = fact.seq;
        self.hash = fact.hash;
        Ok(())
    }
}

impl BootId {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for BootId {
    fn from(text: &str) -> Self {
        Self(Arc::from(text.trim()))
    }
}

impl fmt::Debug for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ClockState {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Synchronised => "synchronised",
            Self::Unsynchronised => "unsynchronised",
            Self::Unknown => "unknown",
        }
    }

    /// Reads what `as_str` wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Synchronised, Self::Unsynchronised, Self::Unknown]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands the field by reference"
)]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands the field by reference"
)]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain_of(events: &[Event]) -> Vec<Fact> {
        let mut chain = Chain::new(BootId::from("boot"));
        events
            .iter()
            .map(|event| chain.append(Now::default(), event))
            .collect()
    }

    fn follow(facts: &[Fact]) -> Result<(), ChainBreak> {
        let mut chain = Chain::new(BootId::from("boot"));
        facts.iter().try_for_each(|fact| chain.resume(fact))
    }

    fn three() -> Vec<Fact> {
        chain_of(&[
            Event::ServiceStarted {
                version: "1".into(),
            },
            Event::ClockStepped { by_ns: -7 },
            Event::ServiceStopped,
        ])
    }

    #[test]
    fn a_chain_verifies_and_reads_back() {
        let facts = three();
        assert_eq!(follow(&facts), Ok(()));
        assert_eq!(facts[1].event().unwrap(), Event::ClockStepped { by_ns: -7 });
        assert_eq!(facts[1].kind, "clock_stepped");
        assert!(facts[1].payload.contains("\"kind\":\"clock_stepped\""));
    }

    #[test]
    fn every_kind_of_tampering_is_found_at_its_fact() {
        type Tamper = fn(&mut Vec<Fact>);
        const CASES: &[(&str, Tamper, ChainBreak)] = &[
            (
                "payload",
                |facts| facts[1].payload = facts[1].payload.replace('7', "8"),
                ChainBreak::Changed { seq: 2 },
            ),
            (
                "time",
                |facts| facts[2].utc = Utc(1),
                ChainBreak::Changed { seq: 3 },
            ),
            (
                "dropped",
                |facts| drop(facts.remove(1)),
                ChainBreak::Gap {
                    expected: 2,
                    found: 3,
                },
            ),
            (
                "rehashed",
                |facts| {
                    facts[1].payload = facts[1].payload.replace('7', "8");
                    facts[1].hash = facts[1].computed_hash();
                },
                ChainBreak::NotLinked { seq: 3 },
            ),
        ];
        for (name, tamper, expected) in CASES {
            let mut facts = three();
            tamper(&mut facts);
            assert_eq!(follow(&facts), Err(expected.clone()), "{name}");
        }
    }

    #[test]
    fn a_verdict_keeps_its_floats_to_the_last_bit() {
        let judged = Judged {
            probe: ProbeId::from("a/b"),
            run: 1,
            sent: Utc(5),
            confirm: false,
            word: Word::Good,
            failure: None,
            took_ns: Some(4_123_456),
            measures: vec![Measure {
                name: "answer_ms".into(),
                value: 4.123_456 / 3.0,
            }],
            signature: None,
            last_good: None,
        };
        let facts = chain_of(&[Event::Verdict(judged.clone())]);
        assert_eq!(facts[0].event().unwrap(), Event::Verdict(judged));
    }
}

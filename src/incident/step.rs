//! What the engine decides about incidents; each decision is a fact of its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::IncidentId;
use super::span::Bounds;
use crate::health::standing::Subject;
use crate::id::VantageId;
use crate::probe::{Failure, Word};
use crate::time::Utc;

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub incident: IncidentId,
    pub subject: Subject,
    /// Number of the fact that it rests on.
    pub because: u64,
    #[serde(flatten)]
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum What {
    /// A failure that nothing open explains.
    Opened(Failed),
    /// One more subject fails of the same cause; `is_cause`: it is what the others rest on.
    Joined {
        #[serde(flatten)]
        failed: Failed,
        is_cause: bool,
    },
    /// It failed again before the incident was closed: the clock never stopped.
    Relapsed(Failed),
    /// Worse or better than before, and still not good.
    Changed(Failed),
    /// It works again; `confirmed` is when that was sure (T6).
    Restored { end: Bounds, confirmed: Utc },
    /// It is watched no more: nobody will see its end.
    Dropped { end: Bounds },
    /// All is quiet for long enough.
    Closed,
}

impl What {
    /// Why it failed, of a step that says so.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Opened(failed)
            | Self::Relapsed(failed)
            | Self::Changed(failed)
            | Self::Joined { failed, .. } => failed.failure.as_ref(),
            Self::Restored { .. } | Self::Dropped { .. } | Self::Closed => None,
        }
    }
}

/// Since when, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    pub word: Word,
    pub start: Bounds,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What each place saw, where it is watched from several.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub seen_from: BTreeMap<VantageId, Word>,
}

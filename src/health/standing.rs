//! The state of a target or a line as people see it, and its changes.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{LineId, TargetId, VantageId};
use crate::probe::{Failure, Word};
use crate::time::Utc;

/// Whose state it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    Target(TargetId),
    Line(LineId),
}

impl fmt::Display for Subject {
    /// As people write it: `xivo1`, `line:119`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(id) => write!(f, "{id}"),
            Self::Line(id) => write!(f, "line:{id}"),
        }
    }
}

/// The whole state of a target or a line as the page shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The confirmed word.
    pub word: Word,
    /// False while something else was seen (`failure` says what) and is being confirmed.
    pub confirmed: bool,
    /// Flapping: it swung too often of late.
    pub unstable: bool,
    /// Send time of the first run that gave this word.
    pub since: Utc,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The parent whose failure explains this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because_of: Option<TargetId>,
    /// For a line: the PBX that answered the last good call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<String>,
    /// What each place sees of it, where it is asked from several.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub seen_from: BTreeMap<VantageId, Word>,
}

impl Standing {
    /// Before anything was seen.
    #[must_use]
    pub const fn unseen(since: Utc) -> Self {
        Self {
            word: Word::Blind,
            confirmed: true,
            unstable: false,
            since,
            failure: None,
            because_of: None,
            answered_by: None,
            seen_from: BTreeMap::new(),
        }
    }

    /// Does going to `to` leave a confirmed word or put it in doubt? Blind is about us: not counted.
    pub(super) fn swings_to(&self, to: &Self) -> bool {
        self.confirmed
            && self.word != Word::Blind
            && to.word != Word::Blind
            && (!to.confirmed || to.word != self.word)
    }
}

/// A state before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub subject: Subject,
    pub from: Word,
    pub to: Standing,
}

impl Change {
    /// The word itself changed.
    #[must_use]
    pub fn is_hard(&self) -> bool {
        self.from != self.to.word
    }
}

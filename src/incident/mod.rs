//! From states to incidents: what happened, from the first failed probe to the first good one.

pub mod act;
pub mod book;
pub mod cause;
pub mod span;
pub mod step;
pub mod watch;

use std::fmt;

use serde::{Deserialize, Serialize};

/// Number of an incident, 1, 2, 3… for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncidentId(pub u64);

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

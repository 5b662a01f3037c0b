//! Names of things that outlive a call: targets, probes, lines, and the seed of all chance.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(Arc::from(text))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// One thing watched, as the configuration names it: `xivo1`, `srv-sql1`.
    TargetId
}
name! {
    /// One check of one target: `xivo1/options`; asked from elsewhere than the main place, `xivo1/options@4g`.
    /// Unique in the plant.
    ProbeId
}
name! {
    /// A place that probes leave from: `4g`, `salle serveurs`.
    VantageId
}
name! {
    /// A public number or channel group that must be answerable.
    LineId
}
name! {
    /// What one synthetic call may hold at a time: a trunk of the operator or a PBX entry.
    TrunkId
}
name! {
    /// What a server counts failed log-ins by: a user, the reference to its secret, and the server.
    AccountId
}

impl ProbeId {
    /// The place that it is asked from; `None`: the main one.
    #[must_use]
    pub fn vantage(&self) -> Option<&str> {
        self.0.split_once('@').map(|(_, place)| place)
    }

    /// What is asked, wherever from: `xivo1/options`.
    #[must_use]
    pub fn check(&self) -> &str {
        self.0.split_once('@').map_or(&*self.0, |(check, _)| check)
    }

    /// The same check, asked from another place than the main one.
    #[must_use]
    pub fn at(&self, vantage: &str) -> Self {
        Self::from(format!("{}@{vantage}", self.check()).as_str())
    }
}

/// The seed of every random choice (schedule offsets, tags, branches): the same seed, the same day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seed(pub u64);

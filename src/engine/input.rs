//! The closed list of what can happen to the engine.

use std::sync::Arc;

use super::fact::ClockState;
use super::plant::Plant;
use crate::alert::record::{self, MessageId};
use crate::id::ProbeId;
use crate::incident::act::Act;
use crate::probe::{Failure, Verdict};
use crate::time::Utc;

/// One run of one probe; returned with its verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub u64);

/// Tells one act of a person from another until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActToken(pub u64);

#[derive(Debug)]
pub enum Input {
    /// The shell is ready to probe: watching starts now.
    Started {
        version: String,
    },
    /// The shell is about to stop; what is recorded after this is lost.
    Stopping,
    /// A probe ended. `sent` is when its first packet left, `signature` the DTMF heard by a call.
    ProbeDone {
        run: RunId,
        probe: ProbeId,
        sent: Utc,
        verdict: Verdict,
        signature: Option<String>,
    },
    /// A new plant was checked and is to be watched from now on.
    Reconfigured(Arc<Plant>),
    /// The store has all facts up to this number.
    Committed {
        up_to: u64,
    },
    /// A fault of our own began (`code` names it) or is over.
    OwnFault(Failure),
    OwnFaultOver {
        code: String,
    },
    /// Whether the wall clock is disciplined; facts carry it.
    Clock(ClockState),
    /// The wall clock jumped by this many nanoseconds.
    ClockStepped {
        by_ns: i64,
    },
    /// What became of the message of an `Output::Send`.
    Delivered {
        id: MessageId,
        outcome: Result<(), record::Failure>,
    },
    /// A person acts; answered by `Output::Acted` with the same token.
    Act {
        token: ActToken,
        act: Act,
    },
    Wake,
}

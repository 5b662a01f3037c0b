//! The closed list of what the engine asks of the shell.

use std::sync::Arc;
use std::time::Duration;

use super::fact::Fact;
use super::input::{ActToken, RunId};
use crate::alert::outbox::Outgoing;
use crate::board::view::View;
use crate::id::ProbeId;
use crate::incident::act::Refusal;
use crate::probe::Check;

#[derive(Clone, Debug)]
pub enum Output {
    /// Run this probe now and report `Input::ProbeDone`, exactly once.
    Probe {
        run: RunId,
        probe: ProbeId,
        check: Arc<Check>,
        timeout: Duration,
        /// Ask from another source port than last time: this confirms a suspicion.
        confirm: bool,
    },
    /// Append to the journal; `Input::Committed` follows.
    Record(Fact),
    /// Send this now and report `Input::Delivered`, exactly once.
    Send(Box<Outgoing>),
    /// The act of that token is this fact, or is refused.
    Acted {
        token: ActToken,
        outcome: Result<u64, Refusal>,
    },
    /// Show this once the store has committed fact number `view.fact`.
    Publish(Arc<View>),
}

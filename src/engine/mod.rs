//! The whole product without a world: schedule, health, facts and view behind three verbs.
//!
//! The shell (`io::daemon`) or a test drives it: `handle` what happened, `poll_output` until `None`,
//! come back at `deadline`. It opens no socket, reads no clock and knows neither TOML nor SQL.

pub mod fact;
pub mod input;
pub mod output;
pub mod plant;

use std::sync::Arc;

use crate::time::{Instant, Now};
use fact::{BootId, Fact};
use input::Input;
use output::Output;
use plant::Plant;

/// Why the engine wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A probe is due.
    ProbeDue,
    /// A proof grows stale, or a held state is to be decided.
    StateDue,
    /// A running probe has not reported in time.
    RunLost,
    /// The view is published at least every second.
    Publish,
    Heartbeat,
}

/// The watchdog.
#[derive(Debug)]
pub struct Engine {}

/// Why a journal cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Chain(#[from] fact::ChainBreak),
    #[error("fact {seq} cannot be read by this version: {error}")]
    Unreadable { seq: u64, error: serde_json::Error },
}

impl Engine {
    #[must_use]
    pub fn new(_plant: Arc<Plant>, _boot_id: BootId) -> Self {
        Self {}
    }

    /// Takes over what the journal tells, before `Input::Started`.
    pub fn replay<'a>(
        &mut self,
        _now: Now,
        _facts: impl IntoIterator<Item = &'a Fact>,
    ) -> Result<(), ReplayError> {
        Ok(())
    }

    pub fn handle(&mut self, _now: Now, _input: Input) {}

    pub fn poll_output(&mut self) -> Option<Output> {
        None
    }

    #[must_use]
    pub fn deadline(&self) -> Option<(Instant, Reason)> {
        None
    }
}

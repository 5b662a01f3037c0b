//! The journal on disk: facts in order, nothing else.
//!
//! One writer thread owns the SQLite file (WAL, synchronous=FULL) and commits all that is queued in
//! one transaction; an acknowledged fact survives `kill -9` and a power cut. It decides nothing: the
//! engine makes the facts and the daemon hands the reports below back to it as inputs.

use std::path::Path;

use crate::engine::fact::{ChainBreak, Fact};
use crate::probe::Failure;

/// What the writer has to say; each maps to one `engine::input::Input`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// `Input::Committed`.
    Committed { up_to: u64 },
    /// `Input::OwnFault`: facts are kept in memory and written when it is over.
    Trouble(Failure),
    /// `Input::OwnFaultOver`.
    TroubleOver { code: String },
}

/// The queue to the writer; dropping it writes what is left and ends the writer.
#[derive(Debug)]
pub struct Journal {}

/// An open journal.
#[derive(Debug)]
pub struct Opened {
    pub journal: Journal,
    pub reports: tokio::sync::mpsc::UnboundedReceiver<Report>,
    /// Every fact on disk, verified, for `Engine::replay`.
    pub facts: Vec<Fact>,
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "the journal {path} is in use by another vigie; stop that one or choose another --data folder"
    )]
    InUse { path: String },
    #[error(
        "the journal {path} is damaged: {broken}; keep the file as evidence and start with an empty data folder"
    )]
    Broken { path: String, broken: ChainBreak },
    #[error("the journal {path} cannot be opened: {words}")]
    Unusable { path: String, words: String },
}

impl Journal {
    /// Opens or creates `facts.sqlite` in `folder`, locks it, and verifies its chain.
    #[expect(clippy::unused_async, reason = "it will read the file")]
    pub async fn open(_folder: &Path) -> Result<Opened, OpenError> {
        Err(OpenError::Unusable {
            path: String::new(),
            words: "not built yet".into(),
        })
    }

    /// Queues a fact; never waits.
    pub fn append(&self, _fact: Fact) {}

    /// Writes what is queued, then ends the writer.
    #[expect(clippy::unused_async, reason = "it will wait for the writer")]
    pub async fn close(self) {}
}

//! The journal on disk: facts in order, nothing else.
//!
//! One writer task owns the SQLite file (WAL, synchronous=FULL) and commits all that is queued in
//! one transaction; an acknowledged fact survives `kill -9` and a power cut. It decides nothing: the
//! engine makes the facts and the daemon hands the reports below back to it as inputs.

mod fault;
mod table;
mod writer;

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::engine::ReplayError;
use crate::engine::fact::{ChainBreak, Fact};
use crate::probe::Failure;
use writer::{FileId, Queue, Writer};

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

/// The queue to the writer. Dropped without `close`, what is queued is still written while the
/// runtime lives.
#[derive(Debug)]
pub struct Journal {
    queue: Arc<Queue>,
    writer: Option<JoinHandle<()>>,
}

/// An open journal.
#[derive(Debug)]
pub struct Opened {
    pub journal: Journal,
    pub reports: mpsc::UnboundedReceiver<Report>,
    /// How many facts it holds; each was verified and handed over.
    pub facts: u64,
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
    #[error(
        "the journal {path} cannot be taken over: {error}; keep the file as evidence and start with an empty data folder"
    )]
    NotTaken { path: String, error: ReplayError },
    #[error("the journal {path} cannot be opened: {words}")]
    Unusable { path: String, words: String },
}

impl Journal {
    /// Opens or creates `facts.sqlite` in `folder`, locks it, verifies its chain, and hands every fact to
    /// `take` (`Engine::take_over`) on the way: a journal of years is never in memory as a whole.
    pub async fn open(
        folder: &Path,
        take: impl FnMut(&Fact) -> Result<(), ReplayError>,
    ) -> Result<Opened, OpenError> {
        Self::open_on(folder, writer::SLOW, take).await
    }

    /// `slow`: an append that takes longer is told as a fault.
    async fn open_on(
        folder: &Path,
        slow: Duration,
        take: impl FnMut(&Fact) -> Result<(), ReplayError>,
    ) -> Result<Opened, OpenError> {
        let path = folder.join("facts.sqlite");
        let shown = path.display().to_string();
        let unusable = |words: String| OpenError::Unusable {
            path: shown.clone(),
            words,
        };
        std::fs::create_dir_all(folder).map_err(|error| unusable(error.to_string()))?;
        let lock = lock(&folder.join("facts.lock"), &shown)?;
        let sql = |error: sqlx::Error| unusable(fault::of(&path, &error).words);
        let mut connection = table::connect(&path, true).await.map_err(sql)?;
        table::migrate(&mut connection).await.map_err(sql)?;
        let facts = table::read(&mut connection, &path, take).await?;

        let queue = Arc::new(Queue::default());
        let (sender, reports) = mpsc::unbounded_channel();
        let writer = Writer {
            file: FileId::of(&path),
            path,
            connection: Some(connection),
            queue: Arc::clone(&queue),
            reports: sender,
            slow,
            committed: facts,
            _lock: lock,
        };
        let journal = Self {
            queue,
            writer: Some(tokio::spawn(writer.run())),
        };
        Ok(Opened {
            journal,
            reports,
            facts,
        })
    }

    /// Reads the journal of `folder` from its first fact, verifying every link, beside a service that writes it.
    ///
    /// # Errors
    /// There is none, it is damaged, or `take` refuses a fact.
    pub async fn read(
        folder: &Path,
        take: impl FnMut(&Fact) -> Result<(), ReplayError>,
    ) -> Result<u64, OpenError> {
        let path = folder.join("facts.sqlite");
        let mut connection =
            table::connect_to_read(&path)
                .await
                .map_err(|error| OpenError::Unusable {
                    path: path.display().to_string(),
                    words: fault::of(&path, &error).words,
                })?;
        table::read(&mut connection, &path, take).await
    }

    /// Queues a fact; never waits.
    pub fn append(&self, fact: Fact) {
        self.queue.push(fact);
    }

    /// Writes what is queued, then ends the writer.
    pub async fn close(mut self) {
        self.queue.close();
        if let Some(writer) = self.writer.take() {
            // The writer does not panic; if the runtime ends first there is nobody left to tell.
            drop(writer.await);
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// One writer per journal, on this machine.
fn lock(path: &Path, journal: &str) -> Result<File, OpenError> {
    let unusable = |error: std::io::Error| OpenError::Unusable {
        path: path.display().to_string(),
        words: error.to_string(),
    };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            path: journal.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Connection as _;

    use super::*;
    use crate::engine::fact::{BootId, Chain, Event};
    use crate::time::Now;

    #[tokio::test]
    async fn an_append_that_takes_long_is_told_until_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let mut opened = Journal::open_on(folder.path(), Duration::from_millis(1), |_| Ok(()))
            .await
            .unwrap();
        // A foreign lock holds the append as a disk that hangs would.
        let path = folder.path().join("facts.sqlite");
        let mut other = table::connect(&path, false).await.unwrap();
        let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let fact = Chain::new(BootId::from("test")).append(Now::default(), &Event::ServiceStopped);
        opened.journal.append(fact);
        let Some(Report::Trouble(failure)) = opened.reports.recv().await else {
            panic!("a slow disk went unseen");
        };
        assert_eq!(failure.code, "store_slow");
        lock.rollback().await.unwrap();
        let mut told = Vec::new();
        while told.last() != Some(&Report::Committed { up_to: 1 }) {
            told.push(opened.reports.recv().await.expect("the writer lives"));
        }
        let over = Report::TroubleOver {
            code: "store_slow".into(),
        };
        told.push(opened.reports.recv().await.expect("the writer lives"));
        assert!(told.contains(&over), "{told:?}");
        opened.journal.close().await;
    }
}

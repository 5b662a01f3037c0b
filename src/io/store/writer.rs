//! The one writer: takes what is queued, commits it in one transaction, says so.
//!
//! When the disk fails, facts wait in memory, in order; the file is opened again until it takes them.
//! A commit whose answer was lost is recognised by the last number on disk, so no fact comes twice.

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{Notify, mpsc};

use super::{Report, fault, table};
use crate::engine::fact::Fact;
use crate::probe::{Blame, Failure};

/// Facts in one transaction at most: keeps a commit after a long trouble below a fifth of a second.
const BATCH: usize = 1_000;

/// Facts kept in memory at most while the disk fails: about 250 MB, half a day of the whole plant.
const KEPT: usize = 250_000;

/// An append that takes longer is told as a fault, since nothing is shown meanwhile. Longer than a foreign
/// lock is waited for, which has a name of its own; short enough to be told before the page grows stale.
pub(super) const SLOW: Duration = Duration::from_secs(2);

/// A failing disk is tried again this often.
const RETRY: Duration = Duration::from_secs(1);

/// What the engine's side and the writer share.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<Queued>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Queued {
    facts: VecDeque<Fact>,
    is_closed: bool,
    /// The queue was full once: what came later is lost, and nothing may follow a gap.
    overflowed: bool,
}

impl Queue {
    pub(super) fn push(&self, fact: Fact) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.facts.len() >= KEPT {
            state.overflowed = true;
        }
        if !state.overflowed {
            state.facts.push_back(fact);
        }
        drop(state);
        self.changed.notify_one();
    }

    pub(super) fn close(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_closed = true;
        drop(state);
        self.changed.notify_one();
    }

    /// The next facts to write, kept until `written`.
    fn batch(&self) -> (Vec<Fact>, bool, bool) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let facts = state.facts.iter().take(BATCH).cloned().collect();
        (facts, state.is_closed, state.overflowed)
    }

    fn written(&self, up_to: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.facts.front().is_some_and(|fact| fact.seq <= up_to) {
            state.facts.pop_front();
        }
    }
}

pub(super) type Reports = mpsc::UnboundedSender<Report>;

pub(super) struct Writer {
    pub(super) path: PathBuf,
    pub(super) connection: Option<SqliteConnection>,
    pub(super) queue: Arc<Queue>,
    pub(super) reports: Reports,
    /// [`SLOW`], but in a test.
    pub(super) slow: Duration,
    /// The last fact that is known to be on disk.
    pub(super) committed: u64,
    /// The file we opened: a fact in a file that was deleted or replaced is lost.
    pub(super) file: Option<FileId>,
    /// Held as long as we may write; the system lets go of it even after `kill -9`.
    pub(super) _lock: File,
}

/// Device and inode of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId(u64, u64);

impl FileId {
    pub(super) fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self(metadata.dev(), metadata.ino()))
    }
}

impl Writer {
    /// Runs until the queue is closed and empty, or closed while the disk fails.
    pub(super) async fn run(mut self) {
        let mut trouble: Option<String> = None;
        loop {
            let (facts, is_closed, overflowed) = self.queue.batch();
            if facts.is_empty() && trouble.is_none() {
                if is_closed {
                    break;
                }
                self.queue.changed.notified().await;
                continue;
            }
            match self.write_watched(&facts, &mut trouble).await {
                Ok(()) => {
                    self.queue.written(self.committed);
                    self.report(Report::Committed {
                        up_to: self.committed,
                    });
                    // After a loss nothing can follow: the fault stays until the service restarts.
                    if overflowed {
                        begin(&self.reports, &mut trouble, overflow(&self.path));
                    } else if let Some(code) = trouble.take() {
                        self.report(Report::TroubleOver { code });
                    }
                    if overflowed && facts.is_empty() {
                        self.pause(is_closed).await;
                    }
                }
                Err(failure) => {
                    self.connection = None;
                    begin(&self.reports, &mut trouble, failure);
                    if is_closed {
                        break;
                    }
                    self.pause(is_closed).await;
                }
            }
            if is_closed && overflowed && facts.is_empty() {
                break;
            }
        }
        if let Some(connection) = self.connection.take() {
            // A clean close folds the WAL into the file; the facts are safe without it.
            drop(connection.close().await);
        }
    }

    /// Writes to the end, and tells when that takes long: a disk that hangs gives no error.
    async fn write_watched(
        &mut self,
        facts: &[Fact],
        trouble: &mut Option<String>,
    ) -> Result<(), Failure> {
        let (reports, slow) = (self.reports.clone(), self.slow);
        let slowness = slowness(&self.path, slow);
        let mut writing = pin!(self.write(facts));
        match tokio::time::timeout(slow, &mut writing).await {
            Ok(written) => written,
            Err(_) => {
                begin(&reports, trouble, slowness);
                writing.await
            }
        }
    }

    async fn write(&mut self, facts: &[Fact]) -> Result<(), Failure> {
        if FileId::of(&self.path) != self.file {
            return Err(replaced(&self.path));
        }
        let outcome = match self.connection.take() {
            Some(connection) => Ok(connection),
            None => self.reconnect().await,
        };
        let mut connection = outcome?;
        let missing: Vec<Fact> = facts
            .iter()
            .filter(|fact| fact.seq > self.committed)
            .cloned()
            .collect();
        if !missing.is_empty() {
            table::append(&mut connection, &missing)
                .await
                .map_err(|error| fault::of(&self.path, &error))?;
        }
        if let Some(last) = missing.last() {
            self.committed = last.seq;
        }
        self.connection = Some(connection);
        Ok(())
    }

    /// Opens the file again, and learns what a lost answer left unsaid.
    async fn reconnect(&mut self) -> Result<SqliteConnection, Failure> {
        let outcome = async {
            let mut connection = table::connect(&self.path, false).await?;
            let last = table::last_seq(&mut connection).await?;
            Ok((connection, last))
        };
        let (connection, last) = outcome
            .await
            .map_err(|error: sqlx::Error| fault::of(&self.path, &error))?;
        if last < self.committed {
            return Err(replaced(&self.path));
        }
        self.committed = last;
        Ok(connection)
    }

    fn report(&self, report: Report) {
        tell(&self.reports, report);
    }

    async fn pause(&self, is_closed: bool) {
        if !is_closed {
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Tells a trouble that is not open yet, in place of the one that is.
fn begin(reports: &Reports, open: &mut Option<String>, failure: Failure) {
    if open.as_deref() == Some(failure.code.as_ref()) {
        return;
    }
    if let Some(code) = open.replace(failure.code.clone().into_owned()) {
        tell(reports, Report::TroubleOver { code });
    }
    tell(reports, Report::Trouble(failure));
}

/// Nobody listens any more when the daemon ends: nothing to do about it.
fn tell(reports: &Reports, report: Report) {
    drop(reports.send(report));
}

fn slowness(path: &Path, slow: Duration) -> Failure {
    Failure::new(
        Blame::Ours,
        "store_slow",
        format!(
            "writing {} takes more than {} s: look at the disk, and at what else writes to it",
            path.display(),
            slow.as_secs()
        ),
    )
}

fn replaced(path: &Path) -> Failure {
    Failure::new(
        Blame::Ours,
        "store_gone",
        format!(
            "{} was deleted or replaced while in use: put it back, or restart with an empty data folder",
            path.display()
        ),
    )
}

fn overflow(path: &Path) -> Failure {
    Failure::new(
        Blame::Ours,
        "store_overflow",
        format!(
            "facts were lost while {} could not be written: restart the service, the journal goes on from what it has",
            path.display()
        ),
    )
}

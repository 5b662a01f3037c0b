//! The truth log: JSON lines, written by a thread that may wait for a disk.

use std::io::{self, BufWriter, Write};
use std::sync::mpsc;
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};

use crate::calls::Component;
use crate::impair::{self, Record};
use crate::time::Now;

/// Lines that wait for the disk: ten minutes of a call both ways. When they are full the proxy waits too,
/// and packets are late rather than a fate lost.
const QUEUE: usize = 65_536;

/// The direction of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// From whoever sends to us, to the far end.
    There,
    Back,
}

/// The first line: what one must know to have the same again.
#[derive(Debug, Serialize)]
pub(super) struct Head<'a> {
    pub(super) seed: u64,
    /// Moments of the log are boot time; this added makes them nanoseconds since 1970 (UTC).
    pub(super) utc_minus_boot_ns: i64,
    pub(super) there: &'a impair::Settings,
    pub(super) back: &'a impair::Settings,
}

impl Head<'_> {
    pub(super) fn utc_minus_boot_ns(now: Now) -> i64 {
        now.utc.0.saturating_sub_unsigned(now.instant.0)
    }
}

/// Every other line: one packet.
#[derive(Debug, Serialize, Deserialize)]
pub struct Line {
    pub way: Way,
    /// `rtp`, or `rtcp` for what came to the next port.
    pub component: Component,
    #[serde(flatten)]
    pub record: Record,
}

/// The writing end.
#[derive(Debug)]
pub(super) struct Log {
    lines: Option<mpsc::SyncSender<Line>>,
    writer: Option<JoinHandle<io::Result<()>>>,
}

impl Log {
    /// Nothing is written.
    pub(super) const fn none() -> Self {
        Self {
            lines: None,
            writer: None,
        }
    }

    pub(super) fn to(file: Box<dyn Write + Send>, head: &Head<'_>) -> io::Result<Self> {
        let mut file = BufWriter::new(file);
        serde_json::to_writer(&mut file, head)?;
        file.write_all(b"\n")?;
        let (lines, received) = mpsc::sync_channel(QUEUE);
        let writer = std::thread::Builder::new()
            .name("truth".into())
            .spawn(move || write(&mut file, &received))?;
        Ok(Self {
            lines: Some(lines),
            writer: Some(writer),
        })
    }

    pub(super) fn line(&self, line: Line) {
        if let Some(lines) = &self.lines {
            // Only fails when the writer has ended; `close` says why.
            let _ = lines.send(line);
        }
    }

    /// Writes what is left.
    pub(super) fn close(&mut self) -> io::Result<()> {
        self.lines = None;
        match self.writer.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(done)) => done,
            Some(Err(_)) => Err(io::Error::other("its thread panicked")),
        }
    }
}

fn write(file: &mut impl Write, lines: &mpsc::Receiver<Line>) -> io::Result<()> {
    while let Ok(line) = lines.recv() {
        let mut next = Some(line);
        while let Some(line) = next {
            serde_json::to_writer(&mut *file, &line)?;
            file.write_all(b"\n")?;
            next = lines.try_recv().ok();
        }
        // Whoever reads along sees all that has happened.
        file.flush()?;
    }
    file.flush()
}

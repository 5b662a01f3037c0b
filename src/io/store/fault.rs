//! What SQLite's errors mean, sorted by who has to act. All of them are faults of our own.

use std::path::Path;

use crate::probe::{Blame, Failure};

/// Result codes of SQLite (<https://www.sqlite.org/rescode.html>), the low byte of extended ones.
const BUSY: u32 = 5;
const LOCKED: u32 = 6;
const READONLY: u32 = 8;
const IOERR: u32 = 10;
const CORRUPT: u32 = 11;
const FULL: u32 = 13;
const CANTOPEN: u32 = 14;
const NOTADB: u32 = 26;

/// The fault with what the operator should do about it.
pub(super) fn of(path: &Path, error: &sqlx::Error) -> Failure {
    let path = path.display();
    let primary = error
        .as_database_error()
        .and_then(|error| error.code())
        .and_then(|code| code.parse::<u32>().ok())
        .map(|code| code & 0xff);
    let (code, words) = match primary {
        Some(FULL) => (
            "store_full",
            format!("the disk under {path} is full: free some space"),
        ),
        Some(READONLY) => (
            "store_read_only",
            format!("{path} cannot be written: look at its rights and at the mount"),
        ),
        Some(BUSY | LOCKED) => (
            "store_locked",
            format!("another program holds a lock on {path}: end it"),
        ),
        Some(CORRUPT | NOTADB) => (
            "store_damaged",
            format!("{path} is damaged: keep it as evidence and start with an empty data folder"),
        ),
        Some(IOERR) => (
            "store_io",
            format!(
                "reading or writing {path} fails ({error}): look at the disk, and at the size limit of files"
            ),
        ),
        Some(CANTOPEN) => (
            "store_gone",
            format!("{path} cannot be opened: look at the folder and its rights"),
        ),
        Some(_) | None => ("store_error", format!("{path}: {error}")),
    };
    Failure::new(Blame::Ours, code, words)
}

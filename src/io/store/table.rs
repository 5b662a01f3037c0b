//! The table of facts: open, read and verify, append. SQL lives here alone.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqliteConnection};

use super::OpenError;
use crate::engine::ReplayError;
use crate::engine::fact::{BootId, ChainBreak, ClockState, Fact, Hash};
use crate::time::{Instant, Utc};

/// A lock of somebody else (a backup, a `sqlite3` shell) is waited for so long before it counts as a
/// fault: long enough for a read of theirs to end, short against the freshness of the page.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// Rows read ahead. Each hand-over between SQLite's thread and ours costs two switches, which was most of the
/// start on a journal of months; more rows than this save nothing more.
const READ_AHEAD: usize = 1_000;

/// Connects for writing. WAL with synchronous=FULL: every commit reaches the disk before it is
/// acknowledged, so it survives a power cut; readers never block the writer.
pub(super) async fn connect(path: &Path, create: bool) -> Result<SqliteConnection, sqlx::Error> {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(create)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .row_buffer_size(READ_AHEAD)
        .disable_statement_logging()
        .connect()
        .await
}

/// Connects for reading alone.
pub(super) async fn connect_to_read(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(BUSY_TIMEOUT)
        .row_buffer_size(READ_AHEAD)
        .disable_statement_logging()
        .connect()
        .await
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an error of the database is told as it is, the others as what they are"
)]
pub(super) async fn migrate(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::migrate!("src/io/store/migrations")
        .run(connection)
        .await
        .map_err(|error| match error {
            sqlx::migrate::MigrateError::Execute(error) => error,
            other => sqlx::Error::Migrate(Box::new(other)),
        })
}

/// Reads the journal from the start, verifying every link, and hands each fact to `take`; only one is in
/// memory at a time. Returns the number of the last. Never repairs anything.
pub(super) async fn read(
    connection: &mut SqliteConnection,
    path: &Path,
    mut take: impl FnMut(&Fact) -> Result<(), ReplayError>,
) -> Result<u64, OpenError> {
    use tokio_stream::StreamExt as _;
    let unusable = |error: sqlx::Error| OpenError::Unusable {
        path: path.display().to_string(),
        words: error.to_string(),
    };
    let broken = |broken| OpenError::Broken {
        path: path.display().to_string(),
        broken,
    };
    let mut last = (0, Hash::default());
    let mut rows = sqlx::query(
        "SELECT seq, utc, boot, boot_id, clock, kind, payload, prev, hash FROM fact ORDER BY seq",
    )
    .fetch(connection);
    while let Some(row) = rows.next().await {
        let row = row.map_err(unusable)?;
        let seq: i64 = row.try_get("seq").map_err(unusable)?;
        let seq = u64::try_from(seq).unwrap_or(0);
        let fact = fact(&row).ok_or_else(|| broken(ChainBreak::Changed { seq }))?;
        fact.follows(last.0, last.1).map_err(broken)?;
        last = (fact.seq, fact.hash);
        take(&fact).map_err(|error| OpenError::NotTaken {
            path: path.display().to_string(),
            error,
        })?;
    }
    Ok(last.0)
}

/// The number of the last fact on disk.
pub(super) async fn last_seq(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let seq: i64 = sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM fact")
        .fetch_one(connection)
        .await?;
    Ok(u64::try_from(seq).unwrap_or(0))
}

/// Appends all of these, or none.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    facts: &[Fact],
) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    for fact in facts {
        sqlx::query(
            "INSERT INTO fact (seq, utc, boot, boot_id, clock, kind, payload, prev, hash) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(signed(fact.seq))
        .bind(fact.utc.0)
        .bind(signed(fact.boot.0))
        .bind(fact.boot_id.as_str())
        .bind(fact.clock.as_str())
        .bind(&fact.kind)
        .bind(&fact.payload)
        .bind(&fact.prev.0[..])
        .bind(&fact.hash.0[..])
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await
}

/// The row as a fact; `None` if a column cannot hold what the writer writes there.
fn fact(row: &SqliteRow) -> Option<Fact> {
    let number =
        |column: &str| -> Option<u64> { u64::try_from(row.try_get::<i64, _>(column).ok()?).ok() };
    let text = |column: &str| row.try_get::<String, _>(column).ok();
    let hash = |column: &str| -> Option<Hash> {
        let bytes: Vec<u8> = row.try_get(column).ok()?;
        Some(Hash(bytes.try_into().ok()?))
    };
    Some(Fact {
        seq: number("seq")?,
        utc: Utc(row.try_get("utc").ok()?),
        boot: Instant(number("boot")?),
        boot_id: BootId::from(text("boot_id")?.as_str()),
        clock: ClockState::parse(&text("clock")?)?,
        kind: text("kind")?,
        payload: text("payload")?,
        prev: hash("prev")?,
        hash: hash("hash")?,
    })
}

/// SQLite's integers are signed; a boot clock passes 2^63 ns after 292 years.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

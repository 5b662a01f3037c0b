//! An acknowledged fact is never lost: not by `kill -9`, not by a failing disk; and a changed one is found.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use sqlx::{Connection as _, SqliteConnection};
use vigie::engine::fact::{BootId, Chain, ChainBreak, Event, Fact};
use vigie::io::store::{Journal, OpenError, Opened, Report};
use vigie::time::Now;

/// Set for the child process of this file: the folder to write into.
const CHILD: &str = "VIGIE_TEST_JOURNAL_CHILD";

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

fn event(number: u64) -> Event {
    Event::Heartbeat {
        runs: number,
        in_flight: 0,
        late_ms: 0,
    }
}

/// The chain behind what is on disk.
fn chain(facts: &[Fact]) -> Chain {
    let mut chain = Chain::new(BootId::from("test"));
    for fact in facts {
        chain.resume(fact).unwrap();
    }
    chain
}

/// The journal, and what it hands over when it is opened.
async fn open(folder: &Path) -> Result<(Opened, Vec<Fact>), OpenError> {
    let mut facts = Vec::new();
    let opened = Journal::open(folder, |fact| {
        facts.push(fact.clone());
        Ok(())
    })
    .await?;
    assert_eq!(opened.facts, facts.len() as u64);
    Ok((opened, facts))
}

async fn committed(opened: &mut Opened, up_to: u64) {
    while let Some(report) = opened.reports.recv().await {
        if let Report::Committed { up_to: reached } = report
            && reached >= up_to
        {
            return;
        }
    }
    panic!("the writer ended before fact {up_to}");
}

#[test]
fn facts_come_back_in_order_after_a_clean_stop() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let (opened, facts) = open(folder.path()).await.unwrap();
        assert_eq!(facts, []);
        let mut chain = chain(&[]);
        let written: Vec<Fact> = (0..2_500)
            .map(|number| chain.append(Now::default(), &event(number)))
            .collect();
        for fact in &written {
            opened.journal.append(fact.clone());
        }
        opened.journal.close().await;
        let (opened, facts) = open(folder.path()).await.unwrap();
        assert_eq!(facts, written);
        opened.journal.close().await;
    });
}

#[test]
fn a_second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let (first, _) = open(folder.path()).await.unwrap();
        let second = open(folder.path()).await;
        assert!(matches!(second, Err(OpenError::InUse { .. })), "{second:?}");
        first.journal.close().await;
        open(folder.path()).await.unwrap();
    });
}

#[test]
fn a_changed_fact_is_found_and_not_repaired() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let (opened, _) = open(folder.path()).await.unwrap();
        let mut chain = chain(&[]);
        for number in 0..9 {
            opened
                .journal
                .append(chain.append(Now::default(), &event(number)));
        }
        opened.journal.close().await;
        let mut sql = sql(folder.path()).await;
        let refused = sqlx::query("UPDATE fact SET payload = '{}' WHERE seq = 5")
            .execute(&mut sql)
            .await;
        assert!(refused.unwrap_err().to_string().contains("never changed"));
        for statement in [
            "DROP TRIGGER fact_is_never_changed",
            "UPDATE fact SET payload = replace(payload, '4', '5') WHERE seq = 5",
        ] {
            sqlx::query(statement).execute(&mut sql).await.unwrap();
        }
        sql.close().await.unwrap();
        for _ in 0..2 {
            let Err(OpenError::Broken { broken, .. }) = open(folder.path()).await else {
                panic!("a changed fact went unseen");
            };
            assert_eq!(broken, ChainBreak::Changed { seq: 5 });
        }
    });
}

#[test]
fn what_is_no_journal_is_refused_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("facts.sqlite"),
        "no database, just text. ".repeat(99),
    )
    .unwrap();
    runtime().block_on(async {
        let error = open(folder.path()).await.unwrap_err();
        assert!(error.to_string().contains("is damaged"), "{error}");
    });
}

#[test]
fn a_locked_file_is_a_fault_of_ours_and_its_facts_come_later() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let (mut opened, _) = open(folder.path()).await.unwrap();
        let mut chain = chain(&[]);
        let mut sql = sql(folder.path()).await;
        sqlx::query("BEGIN IMMEDIATE")
            .execute(&mut sql)
            .await
            .unwrap();
        opened
            .journal
            .append(chain.append(Now::default(), &event(1)));
        let Some(Report::Trouble(failure)) = opened.reports.recv().await else {
            panic!("the lock went unseen");
        };
        assert_eq!(failure.code, "store_locked", "{}", failure.words);
        opened
            .journal
            .append(chain.append(Now::default(), &event(2)));
        sqlx::query("ROLLBACK").execute(&mut sql).await.unwrap();
        assert_eq!(
            opened.reports.recv().await,
            Some(Report::Committed { up_to: 2 })
        );
        let over = Report::TroubleOver {
            code: "store_locked".into(),
        };
        assert_eq!(opened.reports.recv().await, Some(over));
        opened.journal.close().await;
        assert_eq!(open(folder.path()).await.unwrap().1.len(), 2);
    });
}

#[test]
fn a_deleted_file_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let (mut opened, _) = open(folder.path()).await.unwrap();
        let mut chain = chain(&[]);
        opened
            .journal
            .append(chain.append(Now::default(), &event(1)));
        committed(&mut opened, 1).await;
        let (file, aside) = (
            folder.path().join("facts.sqlite"),
            folder.path().join("aside"),
        );
        std::fs::rename(&file, &aside).unwrap();
        opened
            .journal
            .append(chain.append(Now::default(), &event(2)));
        let Some(Report::Trouble(failure)) = opened.reports.recv().await else {
            panic!("the loss of the file went unseen");
        };
        assert_eq!(failure.code, "store_gone");
        std::fs::rename(&aside, &file).unwrap();
        committed(&mut opened, 2).await;
        opened.journal.close().await;
    });
}

#[test]
fn a_disk_that_takes_no_more_is_a_fault_of_ours_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let output = child("child_meets_a_full_disk", folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("all facts are there"), "{said}{output:?}");
}

#[test]
fn a_kill_at_any_moment_loses_no_acknowledged_fact() {
    let folder = tempfile::tempdir().unwrap();
    let mut chance = fastrand::Rng::with_seed(119);
    let mut acknowledged = 0;
    for round in 0..20 {
        let mut child = child("child_writes_until_it_is_killed", folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut left = chance.u32(1..15);
        let output = BufReader::new(child.stdout.take().unwrap());
        for line in output.lines() {
            let line = line.unwrap();
            if let Some(up_to) = line.strip_prefix("acknowledged ") {
                acknowledged = up_to.parse().unwrap();
                left -= 1;
                if left == 0 {
                    child.kill().unwrap();
                    break;
                }
            }
        }
        assert_eq!(left, 0, "round {round}: the child ended by itself");
        child.wait().unwrap();
        runtime().block_on(async {
            let (opened, facts) = open(folder.path()).await.unwrap();
            let last = facts.last().unwrap().seq;
            assert!(
                last >= acknowledged,
                "round {round}: {last} < {acknowledged}"
            );
            opened.journal.close().await;
        });
    }
}

/// Not a promise of its own: the process that the test above kills.
#[test]
fn child_writes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(CHILD) else {
        return;
    };
    runtime().block_on(async {
        let (mut opened, facts) = open(Path::new(&folder)).await.unwrap();
        let mut chain = chain(&facts);
        let mut chance = fastrand::Rng::with_seed(chain.seq);
        loop {
            for _ in 0..chance.u32(1..40) {
                opened
                    .journal
                    .append(chain.append(Now::default(), &event(chain.seq)));
            }
            if let Some(Report::Committed { up_to }) = opened.reports.recv().await {
                let mut out = std::io::stdout().lock();
                writeln!(out, "\nacknowledged {up_to}").unwrap();
                out.flush().unwrap();
            }
        }
    });
}

/// Not a promise of its own: limits the size of files of its own process.
#[test]
fn child_meets_a_full_disk() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    use nix::sys::signal::{SigHandler, Signal, signal};
    let Some(folder) = std::env::var_os(CHILD) else {
        return;
    };
    #[expect(unsafe_code, reason = "ignoring a signal installs no handler of ours")]
    // SAFETY: SIG_IGN runs no code.
    unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }.unwrap();
    runtime().block_on(async {
        let (mut opened, _) = open(Path::new(&folder)).await.unwrap();
        let mut chain = chain(&[]);
        let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
        setrlimit(Resource::RLIMIT_FSIZE, 200_000, hard).unwrap();
        let failure = loop {
            for _ in 0..100 {
                opened
                    .journal
                    .append(chain.append(Now::default(), &event(chain.seq)));
            }
            match opened.reports.recv().await.unwrap() {
                Report::Committed { .. } => {}
                Report::Trouble(failure) => break failure,
                Report::TroubleOver { code } => panic!("{code} over before it began"),
            }
        };
        assert!(
            ["store_io", "store_full"].contains(&failure.code.as_ref()),
            "{failure:?}"
        );
        setrlimit(Resource::RLIMIT_FSIZE, hard, hard).unwrap();
        committed(&mut opened, chain.seq).await;
        opened.journal.close().await;
        let (_, facts) = open(Path::new(&folder)).await.unwrap();
        assert_eq!(facts.last().unwrap().seq, chain.seq);
        writeln!(std::io::stdout(), "all facts are there").unwrap();
    });
}

fn child(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .arg("--exact")
        .arg(format!("journal_keeps_every_fact::{name}"))
        .arg("--nocapture")
        .env(CHILD, folder);
    command
}

async fn sql(folder: &Path) -> SqliteConnection {
    let path = folder.join("facts.sqlite");
    SqliteConnection::connect(&format!("sqlite://{}", path.display()))
        .await
        .unwrap()
}

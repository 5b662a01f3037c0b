//! `vigie demo` as a newcomer meets it: it starts with one command, ends without a trace, goes on where
//! it was, and says what to do when it cannot.

use std::fs;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::demo::Demo;
use crate::support::patience::wait_for;

/// Exit code, and what was said to whoever has to mend something.
fn refused(arguments: &[&str]) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_vigie"))
        .args(arguments)
        .output()
        .expect("the program under test");
    let words = String::from_utf8(done.stderr).expect("vigie writes UTF-8");
    assert_eq!(done.status.code(), Some(3), "{arguments:?}: {words}");
    words
}

/// The number of the last fact that the page rests on.
fn fact(demo: &Demo) -> Option<u64> {
    let answer = demo.fetch("/api/v1/status")?;
    let (_, after) = answer.split_once("\"fact\":")?;
    after.split_once(',')?.0.parse().ok()
}

#[test]
fn both_ways_to_end_it_leave_nothing_but_the_journal_that_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    // A folder as people write it, and one that a configuration file would trip over.
    let data = "my \"demo\"";
    let mut first = Demo::start_in(folder.path(), &["--data", data]);
    let (before, _) = wait_for("some facts", Duration::from_secs(20), || {
        fact(&first).filter(|fact| *fact > 5)
    });
    assert_eq!(first.ended_by(Signal::SIGINT), (Some(0), vec![]));
    let journal = folder.path().join(data).join("facts.sqlite");
    assert!(journal.exists(), "the journal is where it was asked for");

    let mut second = Demo::start_in(folder.path(), &["--data", data]);
    let (after, _) = wait_for("the facts of before", Duration::from_secs(20), || {
        fact(&second).filter(|fact| *fact > 0)
    });
    assert!(after >= before, "it goes on from {before}, not at {after}");
    assert_eq!(second.ended_by(Signal::SIGTERM), (Some(0), vec![]));

    let mut third = Demo::start_in(folder.path(), &[]);
    assert_eq!(third.ended_by(Signal::SIGTERM), (Some(0), vec![]));
    let left = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1, "without --data nothing stays");
}

#[test]
fn what_is_in_the_way_of_a_demonstration_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start_in(folder.path(), &["--data", "journal"]);
    let words = refused(&["demo", "--listen", demo.address()]);
    assert_eq!(
        words,
        format!(
            "vigie: cannot listen on {}: Address already in use (os error 98); end what listens there \
             (another vigie?) or choose another address: --listen of the demo, `listen` of the \
             configuration\n",
            demo.address()
        )
    );
    let taken = folder.path().join("journal");
    let words = refused(&[
        "demo",
        "--listen",
        "127.0.0.1:0",
        "--data",
        taken.to_str().unwrap(),
    ]);
    assert!(words.contains("is in use by another vigie"), "{words}");
    assert!(words.contains("choose another --data folder"), "{words}");
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let words = refused(&[
        "demo",
        "--listen",
        "127.0.0.1:0",
        "--data",
        file.to_str().unwrap(),
    ]);
    assert!(
        words.ends_with("is no folder; the journal needs one of its own\n"),
        "{words}"
    );
}

#[test]
fn a_fault_that_cannot_be_is_refused_with_the_names_that_can() {
    let words = refused(&["lab", "fault", "xivo9", "kill"]);
    assert!(
        words.contains("\"xivo9\"; write one of xivo1, xivo2, xivo3, patton"),
        "{words}"
    );
    let words = refused(&["lab", "fault", "xivo1", "explode"]);
    assert!(
        words.contains("\"explode\"; write one of kill, hang, drop-rtp, reject, slow, restore"),
        "{words}"
    );
    // Nobody listens on the port of the discard service, least of all a demonstration.
    let words = refused(&["lab", "fault", "xivo1", "kill", "--at", "127.0.0.1:9"]);
    assert!(
        words.starts_with("vigie: no demonstration to break (`vigie demo` starts one): nothing answers at 127.0.0.1:9"),
        "{words}"
    );
}

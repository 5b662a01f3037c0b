//! What the command line promises to people and scripts: exit codes, and every mistake at once.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

fn vigie(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigie"));
    command.args(arguments).env_clear();
    command
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    ended(
        vigie(arguments)
            .output()
            .expect("the binary was built for this test"),
    )
}

fn ended(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("vigie writes UTF-8");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    fs::write(&path, content).expect("the folder is ours");
    path.to_str()
        .expect("a temporary folder has a plain name")
        .to_owned()
}

const GOOD: &str = "[plant]\nname = \"p\"\n[target.a]\nname = \"A\"\ngroup = \"G\"\naddress = \"192.0.2.1\"\nprobes = [\"ping\"]\n";

#[test]
fn a_good_file_is_exit_0_and_a_summary() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "good.toml", GOOD);
    let (code, out, err) = run(&["check", &file]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.starts_with("p: 1 target, 1 probe, 0 lines\n"), "{out}");
}

#[test]
fn a_bad_file_is_exit_3_and_all_its_mistakes_with_their_places() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(
        folder.path(),
        "bad.toml",
        GOOD.replace("group", "gruop")
            .replace("[\"ping\"]", "[{ kind = \"call\", number = \"119\" }]"),
    );
    let (code, out, err) = run(&["check", &file]);
    assert_eq!((code, out.as_str()), (Some(3), ""));
    assert_eq!(
        err,
        format!(
            "{file}:3:9: target \"a\" has no \"group\"; add group = \"Linux\"\n\
             {file}:5:1: unknown key \"gruop\" in target \"a\"; write \"group\"\n\
             {file}:7:37: \"number\" would ring an emergency service; write the unpublished test number (SDA) \
             that leads to the echo of the PBX\n\
             refused: 3 mistakes\n"
        )
    );
}

#[test]
fn what_is_no_file_of_ours_gets_a_clear_word() {
    let folder = tempfile::tempdir().unwrap();
    let latin = write(folder.path(), "latin1.toml", b"# T\xe9l\xe9phonie\n");
    let absent = folder.path().join("absent.toml");
    let itself = folder.path().to_str().unwrap();
    for (file, words) in [
        (
            latin.as_str(),
            "is not UTF-8 text (byte 4); save it as UTF-8",
        ),
        (absent.to_str().unwrap(), "no such file"),
        (itself, "is a folder; name the file in it"),
        ("/dev/null", "is no regular file"),
    ] {
        let (code, out, err) = run(&["check", file]);
        assert_eq!((code, out.as_str()), (Some(3), ""), "{file}");
        assert_eq!(err, format!("{file}: {words}\nrefused: 1 mistake\n"));
    }
}

#[test]
fn a_missing_secret_is_exit_1_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let secret = write(folder.path(), "secret", "hunter2\n");
    let plant = |reference: &str| {
        GOOD.replace(
            "\"ping\"",
            &format!("{{ kind = \"register\", user = \"u\", secret = \"{reference}\" }}"),
        )
    };
    let by_env = write(folder.path(), "env.toml", plant("env:VIGIE_TEST_SECRET"));
    let (code, _, err) = run(&["check", &by_env]);
    assert_eq!(code, Some(1), "{err}");
    assert!(
        err.contains(
            ":7:53: env:VIGIE_TEST_SECRET: the variable is not set (a/register will be blind)"
        ),
        "{err}"
    );
    assert_eq!(run(&["check", "--skip-references", &by_env]).0, Some(0));

    let set = vigie(&["check", &by_env])
        .env("VIGIE_TEST_SECRET", "hunter2")
        .output()
        .unwrap();
    let (code, out, err) = ended(set);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(!out.contains("hunter2"));

    let by_file = write(folder.path(), "file.toml", plant(&format!("file:{secret}")));
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o400)).unwrap();
    assert_eq!(run(&["check", &by_file]).2, "");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    let (code, out, err) = run(&["check", &by_file]);
    assert_eq!(code, Some(0));
    assert!(
        err.contains("everybody on this machine may read it (mode 644); chmod 0400"),
        "{err}"
    );
    assert!(!format!("{out}{err}").contains("hunter2"));
}

#[test]
fn wrong_arguments_are_exit_3_because_2_means_down() {
    for arguments in [
        &["chekc"][..],
        &["probe", "call"],
        &[],
        &["check", "--colour", "x"],
    ] {
        assert_eq!(run(arguments).0, Some(3), "{arguments:?}");
    }
    assert_eq!(run(&["--help"]).0, Some(0));
    assert_eq!(run(&["--version"]).0, Some(0));
}

#[test]
fn a_script_that_asked_for_json_gets_json_for_bad_input_too() {
    for arguments in [
        ["call", "sip:@@"].as_slice(),
        &["call", "sip:1@192.0.2.1", "--hold", "soon"],
        &["call", "sip:1@192.0.2.1", "--secret", "env:NOBODYS"],
        &["register", "sip:192.0.2.1", "--secret", "env:NOBODYS"],
        &["options", "nonsense"],
    ] {
        let (code, out, _) = run(&[["probe"].as_slice(), arguments, &["--json"]].concat());
        assert_eq!(code, Some(3), "{arguments:?}: {out}");
        let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(json["verdict"], "blind", "{out}");
        assert_eq!(json["failure"]["code"], "bad_input", "{out}");
    }
}

#[test]
fn a_call_that_cannot_be_placed_leaves_the_files_it_would_write() {
    let folder = tempfile::tempdir().unwrap();
    let sound = write(folder.path(), "sound.wav", "of yesterday");
    let capture = write(folder.path(), "call.pcap", "of yesterday");
    let (code, _, err) = run(&["call", "accueil", "--record", &sound, "--pcap", &capture]);
    assert_eq!(code, Some(3), "{err}");
    for file in [sound, capture] {
        assert_eq!(fs::read(&file).unwrap(), b"of yesterday", "{file}");
    }
    let missing = folder.path().join("missing/sound.wav");
    let missing = missing.to_str().unwrap();
    let (code, _, err) = run(&["call", "sip:1@192.0.2.1", "--record", missing]);
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains("cannot be written"), "{err}");
}

#[test]
fn reload_refuses_a_bad_file_and_says_when_nobody_listens() {
    let folder = tempfile::tempdir().unwrap();
    let bad = write(folder.path(), "bad.toml", "x = 1\n");
    let (code, _, err) = run(&["reload", "--config", &bad]);
    assert_eq!(code, Some(3));
    assert!(
        err.ends_with("not reloaded: the service goes on with what it has\n"),
        "{err}"
    );
    let data = folder.path().to_str().unwrap();
    let good = write(
        folder.path(),
        "good.toml",
        format!("{GOOD}[service]\ndata = \"{data}\"\n"),
    );
    // The second is this very test: alive, and not the service.
    let other = std::process::id().to_string();
    for pid in [
        None,
        Some(other.as_str()),
        Some("0"),
        Some("-1"),
        Some("1"),
        Some("many"),
        Some(""),
    ] {
        if let Some(pid) = pid {
            write(folder.path(), "vigie.pid", pid);
        }
        let (code, _, err) = run(&["reload", "--config", &good]);
        assert_eq!(code, Some(3), "{pid:?}: {err}");
    }
}

#[test]
fn a_bad_network_that_cannot_be_is_refused_before_it_begins() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("none/truth");
    let nowhere = nowhere.to_str().unwrap();
    let weather = write(folder.path(), "weather.toml", "[there]\ndelay = 5\n");
    for (arguments, words) in [
        (
            &["--there", "loss = { p = 2, r = 1 }"][..],
            "on the way there: loss.p = 2: write a number from 0 to 1",
        ),
        (&["--back", "delay_ms"], "--back is not as --help shows it"),
        (&["--weather", &weather], "unknown field `delay`"),
        (&["--weather", nowhere], "No such file"),
        (&["--truth", nowhere], "No such file"),
        (&["--to", "127.0.0.1:0"], "nobody listens on port 0"),
        (
            &["--rtcp", "--to", "127.0.0.1:65535"],
            "there is none for RTCP",
        ),
        (
            &["--listen", "192.0.2.1:0"],
            "this address is on no interface of this machine",
        ),
    ] {
        let mut all = vec!["impair"];
        for (flag, value) in [("--listen", "127.0.0.1:0"), ("--to", "127.0.0.1:4000")] {
            if !arguments.contains(&flag) {
                all.extend([flag, value]);
            }
        }
        all.extend(arguments);
        let (code, out, err) = run(&all);
        assert_eq!((code, out.as_str()), (Some(3), ""), "{arguments:?}: {err}");
        assert!(err.contains(words), "{arguments:?}: {err}");
    }
}

#[test]
fn the_shipped_sample_is_good() {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/vigie.toml");
    let (code, out, err) = run(&["check", "--skip-references", sample]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.lines().count() <= 24, "more than a screen:\n{out}");
}

//! Calls of an engineer, and announcements, at a real Asterisk: what is played comes back in a file, every
//! packet lies in a capture that tshark reads, and a service tells the right announcement from the others.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use vigie::audio::prompt::{Reference, Word};
use vigie::audio::wav;

use crate::support::patience::wait_for;
use crate::support::plant::RealPlant;
use crate::support::vigie::Service;

const ECHO: &str = "sip:0199001100@127.0.1.1";
const GREETING: &str = "sip:0199001101@127.0.1.1";

fn vigie(arguments: &[&str]) -> (Option<i32>, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_vigie"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the program under test");
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let errors = String::from_utf8_lossy(&done.stderr).into_owned();
    (done.status.code(), text + &errors)
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_string_lossy().into_owned()
}

fn sound(file: &str) -> Vec<i16> {
    wav::read(&fs::read(file).expect("a recording")).expect("WAV of 8 kHz")
}

/// What tshark finds in a capture, one line each.
fn tshark(capture: &str, arguments: &[&str]) -> Vec<String> {
    let done = Command::new("tshark")
        .args(["-n", "-r", capture])
        .args(arguments)
        .output()
        .expect("tshark");
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    text.lines().map(str::to_owned).collect()
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn what_is_played_comes_back_in_a_file_and_every_packet_in_a_capture() {
    let plant = RealPlant::start(&["xivo1"]);
    let folder = tempfile::tempdir().unwrap();
    let (played, recorded, capture) = (
        path(folder.path(), "played.wav"),
        path(folder.path(), "recorded.wav"),
        path(folder.path(), "call.pcap"),
    );
    let greeting = plant.sound("greeting");
    fs::write(&played, wav::write(&greeting)).unwrap();
    let (code, text) = vigie(&[
        "call", ECHO, "--play", &played, "--record", &recorded, "--pcap", &capture, "--hold", "7s",
        "--json",
    ]);
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
    assert_eq!(
        (code, &report["verdict"]),
        (Some(0), &"good".into()),
        "{text}"
    );

    let found = Reference::new(&greeting)
        .unwrap()
        .compare(&sound(&recorded));
    let place = found.found.unwrap_or_else(|| panic!("{found:?}"));
    assert!(place.whole && place.louder_db.abs() < 0.5, "{found:?}");
    assert!(
        found.windows.iter().all(|window| window.ncc > 0.99),
        "{found:?}"
    );

    let methods = tshark(
        &capture,
        &["-Y", "sip.Method", "-T", "fields", "-e", "sip.Method"],
    );
    assert_eq!(methods, ["INVITE", "ACK", "BYE"]);
    let rtp = |from: &str| {
        let filter = format!("rtp && ip.src {from} 127.0.1.1");
        tshark(&capture, &["-Y", &filter]).len() as u64
    };
    assert_eq!(report["rtp"]["sent"], rtp("!="), "{text}");
    assert_eq!(report["rtp"]["received"], rtp("=="), "{text}");
    assert_eq!(tshark(&capture, &["-Y", "_ws.malformed"]), [""; 0]);
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn an_echo_is_timed_and_watched_and_ctrl_c_says_goodbye() {
    let plant = RealPlant::start(&["xivo1"]);
    plant.log_sip("xivo1");
    let (code, text) = vigie(&["call", ECHO, "--echo", "--hold", "3s", "--json"]);
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
    assert_eq!(code, Some(0), "{text}");
    let round_trip = report["audio_round_trip_ms"].as_f64();
    assert!(
        round_trip.is_some_and(|ms| ms < 25.0),
        "the same machine: {text}"
    );

    // A terminal would see it move; a pipe gets a line a second.
    let (code, text) = vigie(&["call", ECHO, "--watch", "--hold", "3s"]);
    let looks = text.lines().filter(|line| line.contains("  MOS 4."));
    assert_eq!((code, looks.count()), (Some(0), 2), "{text}");

    let child = Command::new(env!("CARGO_BIN_EXE_vigie"))
        .args(["call", ECHO, "--hold", "60s"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program under test");
    wait_for("the call is up", Duration::from_secs(5), || {
        plant
            .console("xivo1", "core show channels count")
            .contains("1 active channel")
            .then_some(())
    });
    let pid = i32::try_from(child.id()).expect("a process id");
    kill(Pid::from_raw(pid), Signal::SIGINT).expect("to interrupt a child of ours");
    let done = child
        .wait_with_output()
        .expect("to wait for a child of ours");
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(text.contains("BYE sip:"), "{text}");
    wait_for("the call ends", Duration::from_secs(2), || {
        plant
            .console("xivo1", "core show channels count")
            .contains("0 active channels")
            .then_some(())
    });
}

/// Calls of one PBX, one number each; the folders of the service are its own.
fn configuration(prompts: &str, evidence: &str) -> String {
    let calls = [
        ("right", "0199001101", ""),
        ("wrong", "0199001102", ""),
        ("cut", "0199001104", ""),
        ("late", "0199001105", ", prompt_within = \"1s\""),
    ];
    let probes: String = calls
        .iter()
        .map(|(name, number, more)| {
            format!(
                "{{ kind = \"call\", name = \"{name}\", number = \"{number}\", prompt = \"accueil\", hold = \"8s\", \
                 timeout = \"20s\", every = \"3m\"{more} }},\n"
            )
        })
        .collect();
    format!(
        "[plant]\nname = \"p\"\n[service]\nlisten = \"127.0.1.60:8119\"\ndata = \"@DATA@\"\n\
         [prompts]\ndirectory = \"{prompts}\"\n[evidence]\ndirectory = \"{evidence}\"\n\
         [target.pbx]\nname = \"PBX\"\ngroup = \"G\"\naddress = \"127.0.1.1\"\nprobes = [\n{probes}]\n"
    )
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn a_service_tells_the_right_announcement_and_keeps_evidence_of_the_others() {
    let plant = RealPlant::start(&["xivo1"]);
    let folder = tempfile::tempdir().unwrap();
    let (prompts, evidence) = (
        path(folder.path(), "prompts"),
        path(folder.path(), "evidence"),
    );
    let (code, text) = vigie(&[
        "prompt",
        "learn",
        "accueil",
        GREETING,
        "--hold",
        "6s",
        "--directory",
        &prompts,
    ]);
    assert_eq!(code, Some(0), "{text}");
    let learned = path(Path::new(&prompts), "accueil.wav");
    let greeting = Reference::new(&plant.sound("greeting")).unwrap();
    assert_eq!(greeting.compare(&sound(&learned)).word, Word::Right);
    let other = path(folder.path(), "other.wav");
    fs::write(&other, wav::write(&plant.sound("other"))).unwrap();
    for (file, expected) in [(&learned, 0), (&other, 1)] {
        let (code, text) = vigie(&["prompt", "test", "accueil", file, "--directory", &prompts]);
        assert_eq!(code, Some(expected), "{file}: {text}");
    }

    let file = path(folder.path(), "vigie.toml");
    let settings = configuration(&prompts, &evidence);
    fs::write(
        &file,
        settings.replace("@DATA@", &path(folder.path(), "data")),
    )
    .unwrap();
    let (code, text) = vigie(&["check", &file]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("vigie prompt approve accueil"), "{text}");
    let (code, text) = vigie(&[
        "prompt",
        "approve",
        "accueil",
        "--by",
        "Ada",
        "--directory",
        &prompts,
    ]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(vigie(&["check", &file]).0, Some(0));

    let service = Service::run(&settings, "127.0.1.60:8119", &[]);
    let code = |name: &str| -> Option<String> {
        let status = service.status();
        let probes = status["targets"][0]["probes"].as_array()?;
        let id = format!("pbx/{name}");
        let probe = probes.iter().find(|probe| probe["id"] == id.as_str())?;
        match probe["verdict"].as_str()? {
            "good" => Some("good".to_owned()),
            _ => Some(probe["failure"]["code"].as_str()?.to_owned()),
        }
    };
    for (name, expected) in [
        ("right", "good"),
        ("wrong", "wrong_prompt"),
        ("cut", "prompt_truncated"),
        ("late", "prompt_late"),
    ] {
        let (found, _) = wait_for(name, Duration::from_secs(240), || {
            code(name).filter(|found| !matches!(found.as_str(), "" | "not_seen_yet"))
        });
        assert_eq!(found, expected, "{name}: {:#}", service.status());
    }
    let kept: Vec<String> = fs::read_dir(&evidence)
        .expect("evidence")
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    for name in ["wrong", "cut", "late"] {
        for kind in ["json", "pcap", "wav"] {
            let end = format!("-pbx-{name}.{kind}");
            assert!(
                kept.iter().any(|file| file.ends_with(&end)),
                "{end}: {kept:?}"
            );
        }
    }
    assert!(
        !kept.iter().any(|file| file.contains("-pbx-right")),
        "{kept:?}"
    );
}

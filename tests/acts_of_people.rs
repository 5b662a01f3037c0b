//! What people do about an incident reaches the journal, survives a kill, and is told by the command line.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use crate::support::patience::wait_for;
use crate::support::vigie::Service;

fn vigie(data: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vigie"))
        .args(arguments)
        .arg("--data")
        .arg(data)
        .output()
        .expect("the program under test")
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A port where nobody listens.
fn closed_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("its number").port()
}

#[test]
fn an_act_is_on_disk_when_it_is_answered() {
    let listen = format!("127.0.0.1:{}", closed_port());
    let configuration = format!(
        "[plant]\nname = \"one server\"\n[service]\nlisten = \"{listen}\"\ndata = \"@DATA@\"\n\
         [target.web]\nname = \"Site internet\"\ngroup = \"Web\"\naddress = \"127.0.0.1\"\nlane = \"fast\"\n\
         probes = [{{ kind = \"tcp\", port = {} }}]\n",
        closed_port()
    );
    let mut service = Service::run(&configuration, &listen, &[]);
    let data = service.data();
    wait_for("the incident", Duration::from_secs(20), || {
        let told = said(&vigie(&data, &["incidents"]));
        told.contains("down Site internet").then_some(())
    });
    for (arguments, code, words) in [
        (
            &["incident", "1", "ack", "--by", "Léa"][..],
            0,
            "recorded as fact",
        ),
        (
            &[
                "incident",
                "1",
                "comment",
                "le site est coupé",
                "--by",
                "Karim",
            ],
            0,
            "recorded as fact",
        ),
        (
            &["incident", "2", "ack", "--by", "Léa"],
            3,
            "there is no incident 2",
        ),
        (
            &["incident", "1", "comment", "", "--by", "Léa"],
            3,
            "the text is empty",
        ),
        (
            &[
                "ledger",
                "correct",
                "web",
                "--from",
                "2026-11-24 09:00",
                "--until",
                "2026-11-24 09:30",
                "--word",
                "good",
                "--why",
                "our own cable",
                "--by",
                "Karim",
            ],
            0,
            "once somebody else says",
        ),
    ] {
        let output = vigie(&data, arguments);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {}",
            said(&output)
        );
        assert!(
            said(&output).contains(words),
            "{arguments:?}: {}",
            said(&output)
        );
    }
    let waiting = said(&vigie(&data, &["ledger", "waiting"]));
    let fact = waiting
        .split_whitespace()
        .next()
        .expect("one waits")
        .to_owned();
    service.killed_and_back();
    let same = vigie(&data, &["ledger", "approve", &fact, "--by", "karim"]);
    assert_eq!(same.status.code(), Some(3), "{}", said(&same));
    let other = vigie(&data, &["ledger", "approve", &fact, "--by", "Léa"]);
    assert_eq!(other.status.code(), Some(0), "{}", said(&other));
    let told = said(&vigie(&data, &["incident", "1"]));
    for words in [
        "in hand     Léa",
        "Karim: le site est coupé",
        "opened: Site internet",
    ] {
        assert!(told.contains(words), "{words:?} in:\n{told}");
    }
    let verified = vigie(&data, &["verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", said(&verified));
    service.kill();
    let late = vigie(&data, &["incident", "1", "ack", "--by", "Léa"]);
    assert_eq!(late.status.code(), Some(3), "{}", said(&late));
    assert!(
        said(&late).contains("no service answers"),
        "{}",
        said(&late)
    );
    figures_handed_out_are_held_against_the_facts(&data);
}

fn figures_handed_out_are_held_against_the_facts(data: &Path) {
    let verified = said(&vigie(data, &["verify"]));
    let (_, last) = verified.split_once("chain to ").expect("the last fact");
    let figures = vigie(data, &["indicators", "--month", &last[..7], "--json"]);
    let figures = String::from_utf8(figures.stdout).expect("JSON is text");
    let file = data.join("figures.json");
    let path = file.to_str().expect("a path in text");
    for (text, code, words) in [
        (figures.clone(), 0, "in one chain"),
        (
            figures.replacen("\"objective_percent\": 95", "\"objective_percent\": 94", 1),
            1,
            "IC1, objective_percent: told 94, the facts say 95",
        ),
        (
            figures.replacen("\"indicator\": \"IC7\"", "\"indicator\": \"IC8\"", 1),
            1,
            "told \"IC8\", the facts say \"IC7\"",
        ),
        ("[]".to_owned(), 3, "holds no figures"),
        ("no JSON".to_owned(), 3, "holds no figures"),
    ] {
        std::fs::write(&file, text).expect("room for a file");
        let output = vigie(data, &["verify", "--figures", path]);
        let told = said(&output);
        assert_eq!(output.status.code(), Some(code), "{words}: {told}");
        assert!(told.contains(words), "{words:?} in:\n{told}");
    }
}

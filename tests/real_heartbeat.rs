//! Two services watch each other by their heartbeats, and a job tells of itself with curl: who falls silent is down,
//! who is back is good, and who came back himself accuses nobody.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::namespace::enter_own_network;
use crate::support::patience::wait_for;
use crate::support::vigie::Service;

const TOKEN: &str = "s3cret-beat";

/// A beat may be this old, and the service beats every 10 s. Then a run within 1 s, and two confirmations of half a
/// second each; the rest is for a machine that has other work.
const SILENT_WITHIN: Duration = Duration::from_secs(12 + 2 + 4);

fn service(own: &str, other: &str) -> Service {
    let configuration = format!(
        "[plant]\nname = \"p\"\n[service]\nlisten = \"{own}\"\ndata = \"@DATA@\"\n\
         [heartbeat]\nurl = \"http://{other}/api/v1/beat/other/heartbeat\"\nmethod = \"POST\"\nevery = \"10s\"\n\
         secret = \"env:TOKEN\"\n\
         [target.other]\nname = \"The other\"\ngroup = \"Linux\"\nprobes = [{{ kind = \"heartbeat\", every = \"1s\", \
         within = \"12s\", secret = \"env:TOKEN\" }}]\n\
         [target.backup]\nname = \"Backup\"\ngroup = \"Linux\"\nprobes = [{{ kind = \"heartbeat\", every = \"1s\", \
         within = \"5s\", secret = \"env:TOKEN\" }}]\n"
    );
    Service::run(&configuration, own, &[("TOKEN", TOKEN)])
}

/// The word of a target, and why.
fn word(service: &Service, target: &str) -> (String, String) {
    let status = service.status();
    let targets = status["targets"].as_array().expect("targets");
    // The very first page knows no target.
    let nothing = Value::Null;
    let target = targets.iter().find(|one| one["id"] == target);
    let target = target.unwrap_or(&nothing);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&target["verdict"]), text(&target["failure"]["words"]))
}

#[track_caller]
fn wait_until(service: &Service, target: &str, expected: &str, within: Duration) -> String {
    let mut last = (String::new(), String::new());
    let what = format!("{target} is {expected}");
    let (words, _) = wait_for(&what, within, || {
        last = word(service, target);
        (last.0 == expected).then(|| last.1.clone())
    });
    words
}

/// What curl prints: the body, and the status on the last line.
fn curl(arguments: &[&str]) -> (u16, String) {
    let done = Command::new("curl")
        .args(["-sS", "--max-time", "5", "-w", "\n%{http_code}"])
        .args(arguments)
        .output()
        .expect("curl");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let (body, status) = said.rsplit_once('\n').expect("a status");
    (status.parse().expect("a number"), body.to_owned())
}

#[test]
#[ignore = "needs a network namespace and curl: tests/run peers"]
fn two_services_hear_each_other_and_the_one_that_is_killed_is_missed() {
    enter_own_network();
    let (one, two) = ("127.0.0.1:8201", "127.0.0.1:8202");
    let watcher = service(two, one);
    let mut killed = service(one, two);
    // The first beat of the watcher found nobody there and is tried again.
    wait_until(&watcher, "other", "good", Duration::from_secs(5));
    wait_until(&killed, "other", "good", Duration::from_secs(5));

    killed.kill();
    let url = format!("http://{two}/api/v1/beat/backup/heartbeat");
    let bearer = format!("Authorization: Bearer {TOKEN}");
    for (name, status, arguments) in [
        ("no token", 401, vec!["-X", "POST", url.as_str()]),
        (
            "another token",
            401,
            vec!["-X", "POST", "-H", "Authorization: Bearer x", &url],
        ),
        (
            "a failure",
            200,
            vec![
                "-H",
                &bearer,
                "-d",
                "status=failed",
                "--data-urlencode",
                "text=disk full",
                &url,
            ],
        ),
    ] {
        let (answered, body) = curl(&arguments);
        assert_eq!(answered, status, "{name}: {body}");
        assert!(!body.contains(TOKEN), "{body}");
    }
    let words = wait_until(&watcher, "backup", "down", Duration::from_secs(4));
    assert!(words.contains("disk full"), "{words}");
    let (status, body) = curl(&["-X", "POST", "-H", &bearer, &url]);
    assert!(status == 200 && body.contains("\"next_before\""), "{body}");
    wait_until(&watcher, "backup", "good", Duration::from_secs(4));

    let words = wait_until(&watcher, "other", "down", SILENT_WITHIN);
    assert!(words.contains("no sign of life for 1"), "{words}");
    let words = wait_until(&watcher, "backup", "down", Duration::from_secs(1));
    assert!(words.contains("no sign of life for"), "{words}");

    killed.start_again();
    wait_until(&watcher, "other", "good", Duration::from_secs(6));
    wait_until(&killed, "other", "good", Duration::from_secs(6));
    assert_eq!(
        word(&killed, "backup").0,
        "blind",
        "it has just begun to listen"
    );
    for log in [killed.log(), watcher.log()] {
        assert!(!log.contains(TOKEN), "{log}");
    }
}

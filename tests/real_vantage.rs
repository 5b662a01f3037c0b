//! A real Asterisk seen from two addresses of this machine: one of them cut off is suspect, both together are an
//! outage, and an address that is gone sees nothing.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::support::namespace;
use crate::support::patience::look_for;
use crate::support::plant::RealPlant;
use crate::support::vigie::Service;

/// Packets from `source` no longer reach anybody in this network, until it is dropped.
struct Cut(&'static str);

impl Cut {
    fn of(name: &'static str, matching: &str) -> Self {
        // Where they arrive: a firewall of our own would be told to the sender.
        let rules = [
            format!("add table inet {name}"),
            format!("add chain inet {name} in {{ type filter hook input priority 0; }}"),
            format!("add rule inet {name} in {matching} drop"),
        ];
        namespace::nft(&rules.join("\n"));
        Self(name)
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        namespace::nft(&format!("delete table inet {}", self.0));
    }
}

/// Seconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "it is compared with what the service wrote down"
)]
fn now() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.expect("a clock after 1970").as_secs_f64()
}

fn seconds_of(time: &Value) -> f64 {
    let time = time.as_str().expect("a time");
    let stamp: jiff::Timestamp = time.parse().expect("RFC 3339");
    stamp.as_duration().as_secs_f64()
}

/// Waits until the status is as `seen` wants it.
fn status_when(service: &Service, what: &str, seen: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let found = look_for(Duration::from_secs(20), || {
        last = service.status();
        seen(&last).then(|| last.clone())
    });
    found
        .unwrap_or_else(|| panic!("{what}: {last:#}\n{}", service.log()))
        .0
}

fn words(status: &Value, from: &str) -> [String; 2] {
    ["lines", "targets"].map(|all| {
        let word = status[all][0]["seen_from"][from].as_str();
        word.unwrap_or_default().to_owned()
    })
}

#[test]
#[ignore = "needs Asterisk and nftables: tests/run peers"]
fn one_place_cut_off_is_suspect_and_two_are_an_outage() {
    namespace::enter_own_network();
    namespace::ip(&["address", "add", "10.99.0.2/32", "dev", "lo"]);
    let callers = [("VIGIE_LAB_CALLERS", "127.0.1.50,10.99.0.2")];
    let _plant = RealPlant::start_here(&["xivo1"], &callers);
    let service = Service::run(
        include_str!("testdata/two_places.toml"),
        "127.0.0.1:8119",
        &[],
    );
    let well = |status: &Value| {
        let good = ["good".to_owned(), "good".to_owned()];
        status["answer"] == "yes"
            && words(status, "4g") == good
            && words(status, "salle") == good
            && status["targets"][0]["verdict"] == "good"
    };
    status_when(&service, "all well from both places", well);

    let modem_cut_at = now();
    let modem = Cut::of("modem", "ip saddr 10.99.0.2");
    let status = status_when(&service, "the modem is suspect", |status| {
        words(status, "4g") == ["down", "down"]
            && status["lines"][0]["verdict"] == "degraded"
            && status["targets"][0]["verdict"] == "degraded"
    });
    assert_eq!(status["answer"], "yes", "{status:#}");
    assert_eq!(status["suspect"], serde_json::json!(["4g"]), "{status:#}");
    for subject in [&status["lines"][0], &status["targets"][0]] {
        let code = &subject["failure"]["code"];
        assert_eq!(code, "seen_from_some_places", "{status:#}");
    }
    // Every kind left by the way of its place, and no other.
    for probe in status["targets"][0]["probes"].as_array().expect("probes") {
        let id = probe["id"].as_str().expect("an id");
        let expected = if id.ends_with("@4g") { "down" } else { "good" };
        assert_eq!(probe["verdict"], expected, "{id}: {status:#}");
    }
    let page = service.fetch("/").expect("the page");
    assert!(page.contains("Point de vue suspect"), "{page}");
    let none = service.fetch("/api/v1/incidents").expect("incidents");
    assert_eq!(none, "[]", "what one place sees is no incident");

    let pbx_cut_at = now();
    let pbx = Cut::of("pbx", "ip daddr 127.0.1.1");
    status_when(&service, "both see it down", |status| {
        status["lines"][0]["verdict"] == "down" && status["targets"][0]["verdict"] == "down"
    });
    let body = service.fetch("/api/v1/incidents").expect("incidents");
    let incidents: Value = serde_json::from_str(&body).expect("JSON");
    let (since, detected) = (
        seconds_of(&incidents[0]["since"]),
        seconds_of(&incidents[0]["detected"]),
    );
    // Both places confirm it within 90 s, so it began with the first failure of the first of them. Probes come every
    // second.
    assert!(
        (modem_cut_at..modem_cut_at + 1.5).contains(&since) && detected > pbx_cut_at,
        "cut at {modem_cut_at} and {pbx_cut_at}: {incidents:#}"
    );
    drop((pbx, modem));
    status_when(&service, "all well again", well);

    namespace::ip(&["address", "delete", "10.99.0.2/32", "dev", "lo"]);
    let status = status_when(&service, "the modem has no address", |status| {
        words(status, "4g") == ["blind", "blind"]
    });
    assert_eq!(status["answer"], "yes", "{status:#}");
    assert_eq!(status["targets"][0]["verdict"], "good", "{status:#}");
    assert_eq!(status["lines"][0]["verdict"], "good", "{status:#}");
}

//! A switch falls and takes 650 machines with it, for real: how long until the page has the last of them, and until
//! somebody is told.
//!
//! Six hundred and fifty addresses of this network answer pings and connections, until a rule of the kernel drops every
//! packet to them at once. First they hang below one switch, then below nothing. The 650 are in the fast lane, at the
//! cadences of the product.
#![expect(clippy::print_stdout, reason = "the figures are what one runs it for")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::namespace;
use crate::support::patience::{Stopwatch, look_for};
use crate::support::spread::Spread;
use crate::support::told::{self, Told};
use crate::support::vigie::Service;

const TARGETS: usize = 650;
/// All are down on the page, and somebody is told, on two cores.
const SEEN_WITHIN: Duration = Duration::from_secs(15);
/// Until all were seen good once.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Reading the whole page costs us both some milliseconds, so not more often than this.
const LOOK_EVERY: Duration = Duration::from_millis(200);

const DROP: &str = "table ip storm {\n chain in {\n  type filter hook input priority 0;\n\
                    ip daddr 10.119.0.0/22 drop\n }\n}\n";

/// Each address answers pings and takes connections on port 7000.
fn machines() {
    namespace::own_network_of("10.119.0.0/22");
    let listener = TcpListener::bind("0.0.0.0:7000").expect("a free port");
    // For the life of the test, as its network.
    thread::spawn(move || listener.incoming().for_each(drop));
}

fn configuration(told: &Told, below_a_switch: bool) -> String {
    let mut text = format!(
        "[plant]\nname = \"650\"\n[service]\nlisten = \"127.0.0.1:8119\"\ndata = \"@DATA@\"\n{}{}",
        told.tls_ca(),
        told.channels()
    );
    let mut target = |id: &str, name: &str, address: &str, more: &str| {
        let _ = write!(
            text,
            "[target.{id}]\nname = \"{name}\"\ngroup = \"Linux\"\naddress = \"{address}\"\nlane = \"fast\"\n{more}\n"
        );
    };
    let parents = if below_a_switch {
        target(
            "switch",
            "Commutateur",
            "10.119.3.254",
            "probes = [\"ping\"]",
        );
        "parents = [\"switch\"]\n"
    } else {
        ""
    };
    for number in 0..TARGETS {
        let address = format!("10.119.{}.{}", number / 250, number % 250 + 1);
        let probe = if number % 2 == 0 {
            "\"ping\""
        } else {
            "{ kind = \"tcp\", port = 7000 }"
        };
        let more = format!("{parents}probes = [{probe}]");
        target(
            &format!("t{number}"),
            &format!("Machine {number}"),
            &address,
            &more,
        );
    }
    text
}

/// How many targets have this word, and the id of each.
fn having(status: &Value, word: &str) -> BTreeSet<String> {
    let targets = status["targets"].as_array().expect("targets");
    targets
        .iter()
        .filter(|target| target["verdict"] == word)
        .map(|target| target["id"].as_str().expect("an id").to_owned())
        .collect()
}

/// What came of it.
struct Storm {
    /// Since the drop: when each target was down on the page.
    down: BTreeMap<String, Duration>,
    mail: Duration,
    http: Duration,
    incidents: usize,
    /// Alarms by webhook until all were down.
    messages: usize,
    cpu: Duration,
}

fn storm(below_a_switch: bool) -> Storm {
    let mut told = Told::start();
    let service = Service::run(
        &configuration(&told, below_a_switch),
        "127.0.0.1:8119",
        &told::SECRETS,
    );
    let all = TARGETS + usize::from(below_a_switch);
    let well = look_for(READY_WITHIN, || {
        (having(&service.status(), "good").len() == all).then_some(())
    });
    well.unwrap_or_else(|| panic!("not all good:\n{}", service.log()));

    let cpu = service.cpu();
    let clock = Stopwatch::start();
    namespace::nft(DROP);
    let mut down = BTreeMap::new();
    let (mut mail, mut http) = (None, None);
    let mut messages = BTreeSet::new();
    let mut looked = Duration::ZERO;
    let seen = look_for(SEEN_WITHIN * 3, || {
        let posts = told.new_posts();
        if posts.iter().any(|post| post.alert["status"] == "firing") {
            http.get_or_insert_with(|| clock.elapsed());
        }
        messages.extend(posts.into_iter().map(|post| post.id));
        if mail.is_none() && !told.message_ids().is_empty() {
            mail = Some(clock.elapsed());
        }
        if clock.elapsed() >= looked + LOOK_EVERY {
            looked = clock.elapsed();
            let status = service.status();
            for id in having(&status, "down") {
                down.entry(id).or_insert(looked);
            }
        }
        (down.len() == all).then_some(())?;
        Some((mail?, http?))
    });
    let cpu = service.cpu() - cpu;
    let status = service.status();
    namespace::nft("delete table ip storm");
    let ((mail, http), _) = seen.unwrap_or_else(|| {
        panic!(
            "{} of {all} down, mail {mail:?}, HTTP {http:?}\n{}",
            down.len(),
            service.log()
        )
    });
    Storm {
        down,
        mail,
        http,
        incidents: status["incidents"].as_array().map_or(0, Vec::len),
        messages: messages.len(),
        cpu,
    }
}

#[test]
#[ignore = "needs nftables, Exim and Python: tests/run peers"]
fn six_hundred_and_fifty_machines_dropped_at_once_are_seen_and_told_in_time() {
    namespace::enter_own_network();
    machines();
    for (what, below_a_switch) in [("below one switch", true), ("below nothing", false)] {
        let storm = storm(below_a_switch);
        let down = Spread::of(storm.down.values().copied().collect());
        println!(
            "storm: {TARGETS} {what}: down on the page {}; first alert by mail {:.2} s, by HTTP {:.2} s; \
             {} incidents, {} messages by HTTP so far; {:.2} s of CPU",
            down.summary(),
            storm.mail.as_secs_f64(),
            storm.http.as_secs_f64(),
            storm.incidents,
            storm.messages,
            storm.cpu.as_secs_f64()
        );
        assert!(down.worst() <= SEEN_WITHIN, "{what}: {down}");
        assert!(storm.mail.max(storm.http) <= SEEN_WITHIN, "{what}");
        if below_a_switch {
            assert_eq!(storm.incidents, 1, "one cause");
        }
    }
}

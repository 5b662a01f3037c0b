//! Bad files and the exact list of their mistakes; good files and what they mean.

mod contract;
mod vantage;

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::engine::plant::Role;
use crate::probe::call::Hear;
use crate::probe::icmp::Expect;
use crate::probe::{Check, http};
use crate::quality::metric::Metric;

/// A plant of one machine, on the first lines of every file below.
const HEAD: &str =
    "[plant]\nname = \"p\"\n[target.a]\nname = \"A\"\ngroup = \"G\"\naddress = \"192.0.2.1\"\n";

fn mistakes(text: &str) -> Vec<String> {
    match read("f", text) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
    }
}

/// What is wrong with a machine that has these further lines (from line 7 on).
fn check(lines: &str, expected: &[&str]) {
    assert_eq!(mistakes(&format!("{HEAD}{lines}\n")), expected, "{lines}");
}

fn good(text: &str) -> Loaded {
    read("f", text).unwrap_or_else(|mistakes| panic!("{text}\n{mistakes:#?}"))
}

fn probe(entry: &str) -> plant::Probe {
    let loaded = good(&format!("{HEAD}probes = [{entry}]\n"));
    loaded.plant.targets[0].probes[0].clone()
}

#[test]
fn an_empty_file_says_what_is_needed() {
    assert_eq!(
        mistakes(""),
        [
            "f:1:1: there is no [plant]; add [plant] with name = \"…\"",
            "f:1:1: there is no target, so nothing to watch; add [target.ID]",
        ]
    );
}

#[test]
fn unknown_keys_are_refused_with_the_word_that_was_meant() {
    check(
        "intervall = \"5s\"\nprobes = [{ kind = \"icmp\", intervall = \"5s\" }]\ncolour = 1",
        &[
            "f:7:1: unknown key \"intervall\" in target \"a\"; write \"lane\"",
            "f:8:28: unknown key \"intervall\" in probe \"icmp\"; write \"interval\"",
            "f:9:1: unknown key \"colour\" in target \"a\"; known are address, count, description, group, \
             hds, label, lane, name, note, parents, probes, support, vantage",
        ],
    );
    check(
        "probes = [{ kind = \"ssh\", intervall = \"5s\" }]\n[servise]\nlisten = \"127.0.0.1:1\"",
        &[
            "f:7:27: unknown key \"intervall\" in probe \"ssh\"; write \"every\"",
            "f:8:2: unknown key \"servise\" in the file; write \"service\"",
        ],
    );
}

#[test]
fn all_mistakes_come_at_once_in_the_order_of_the_file() {
    check(
        "label = \"PRODD\"\nsupport = \"24/7\"\nhds = \"yes\"\nlane = 5\nparents = [\"b\", 7]\n\
         probes = [\"pign\", { kind = \"tcp\" }, { every = \"1s\" }, 3]\n[service]\nlisten = \"here\"",
        &[
            "f:7:9: \"label\" cannot be \"PRODD\"; write \"PROD\"",
            "f:8:11: \"support\" cannot be \"24/7\"; known are HNO, HO, N/C",
            "f:9:7: \"hds\" is a text; write true or false",
            "f:10:8: \"lane\" is a whole number; write a text in quotes",
            "f:11:12: no target is called \"b\"; known are a",
            "f:11:17: each entry of \"parents\" is a whole number; write a text in quotes",
            "f:12:11: unknown kind \"pign\"; write \"ping\"",
            "f:12:19: probe \"tcp\" has no \"port\"; add port = 22",
            "f:12:37: a probe has no \"kind\"; add kind = \"icmp\"",
            "f:12:55: a probe is a whole number; write a table",
            "f:14:10: \"listen\" cannot be \"here\"; write for example \"127.0.0.1:8119\"",
        ],
    );
}

#[test]
fn a_file_that_is_no_toml_hides_only_what_may_follow_from_that() {
    check(
        "probes = [\"ping\"\nlabel = \"PRODD\"\n",
        &["f:8:1: this is no TOML: missing comma between array elements, expected `,`"],
    );
}

#[test]
fn numbers_and_durations_have_bounds_and_units() {
    for (entry, expected) in [
        (
            "kind = \"icmp\", every = 5",
            "f:7:36: \"every\" is a whole number; write a number and its unit in quotes: \"5s\"",
        ),
        (
            "kind = \"icmp\", every = \"5\"",
            "f:7:36: \"every\": \"5\" is not a duration; write a number and ms, s, m, h or d: \"5s\"",
        ),
        (
            "kind = \"icmp\", every = \"2d\"",
            "f:7:36: \"every\" is 2d; write 1s to 1d",
        ),
        (
            "kind = \"icmp\", every = \"5s\", timeout = \"6s\"",
            "f:7:52: \"timeout\" is 6s and the probe comes every 5s; write 5s or less",
        ),
        (
            "kind = \"icmp\", timeout = \"1s\"",
            "f:7:38: \"timeout\" is 1s and what is asked takes 1s600ms; write 1s600ms or more",
        ),
        (
            "kind = \"register\", user = \"u\", secret = \"env:S\", every = \"6s\", timeout = \"5s\"",
            "f:7:86: \"timeout\" is 5s and the probe comes every 6s; write 4s or less",
        ),
        ("kind = \"tcp\", port = 70000", "f:7:34: each"),
        (
            "kind = \"tcp\", port = 0",
            "f:7:34: \"port\" is 0; write 1 to 65535",
        ),
        (
            "kind = \"tcp\", port = \"22\"",
            "f:7:34: \"port\" is a text; write a whole number without quotes",
        ),
        (
            "kind = \"icmp\", packets = 2.5",
            "f:7:38: \"packets\" is a number with a fraction; write a whole number without quotes",
        ),
        (
            "kind = \"icmp\", min_up = 2",
            "f:7:37: \"min_up\" is 2 and there are 1 addresses; write 1 or less",
        ),
        (
            "kind = \"icmp\", packets = 99999999999999999999",
            "f:7:38: \"packets\" is 99999999999999999999; write 1 to 20",
        ),
        (
            "kind = \"http\", status = [99]",
            "f:7:38: each entry of \"status\" is 99; write 100 to 599",
        ),
    ] {
        let expected = expected.replace(
            "f:7:34: each",
            "f:7:34: \"port\" is 70000; write 1 to 65535",
        );
        check(&format!("probes = [{{ {entry} }}]"), &[&expected]);
    }
}

#[test]
fn addresses_are_addresses() {
    for (line, expected) in [
        (
            "probes = [{ kind = \"ping\", address = \"xivo1\" }]",
            "f:7:38: \"xivo1\" is no address; write one (\"192.0.2.7\"), a range (\"192.0.2.7-12\") or a prefix \
             (\"192.0.2.96/28\")",
        ),
        (
            "probes = [{ kind = \"ssh\", address = [\"192.0.2.1-3\"] }]",
            "f:7:11: probe \"ssh\" goes to one address, and the target has 3; add address = \"…\" to the probe",
        ),
        (
            "count = 2\nprobes = [\"ping\"]",
            "f:7:9: \"count\" is 2 and \"address\" holds 1; mend one",
        ),
    ] {
        check(line, &[expected]);
    }
    assert_eq!(
        mistakes(
            "[plant]\nname = \"p\"\n[target.a]\nname = \"A\"\ngroup = \"G\"\nprobes = [\"ssh\"]"
        ),
        ["f:6:11: probe \"ssh\" has nowhere to go; add address = \"192.0.2.…\" to the target"]
    );
}

#[test]
fn emergency_numbers_are_refused_in_every_key_that_dials() {
    let words = |key: &str| {
        format!(
            "\"{key}\" would ring an emergency service; write the unpublished test number (SDA) that leads to \
             the echo of the PBX"
        )
    };
    for (keys, key, column) in [
        ("number = \"119\"", "number", 37),
        ("number = \"+33 1-1-9\"", "number", 37),
        ("number = \"#31#119\"", "number", 37),
        ("to = \"sip:%31%31%39@{address}\"", "to", 33),
        ("to = \"tel:119;phone-context=+33\"", "to", 33),
        ("to = \"TEL:0033119\"", "to", 33),
        ("to = \"urn:service:sos\"", "to", 33),
        ("to = \"sip:15@{address};user=phone\"", "to", 33),
        ("number = \"*43\", send_dtmf = \"119\"", "send_dtmf", 56),
    ] {
        check(
            &format!("probes = [{{ kind = \"call\", {keys} }}]"),
            &[&format!("f:7:{column}: {}", words(key))],
        );
    }
    check(
        "probes = [{ kind = \"plugin\", command = \"/bin/x\", arguments = [\"-u\", \"sip:119@h\"] }]",
        &["f:7:69: this argument would ring an emergency service"],
    );
}

#[test]
fn literal_secrets_are_refused_and_never_repeated() {
    for (entry, place) in [
        (
            "kind = \"register\", user = \"u\", secret = \"hunter2\"",
            "\"secret\"",
        ),
        (
            "kind = \"register\", user = \"u\", secret = \"env:2hunter2\"",
            "\"secret\"",
        ),
        (
            "kind = \"register\", user = \"u\", secret = \"file:hunter2\"",
            "\"secret\"",
        ),
        (
            "kind = \"register\", user = \"u\", secret = [\"hunter2\"]",
            "\"secret\"",
        ),
        (
            "kind = \"register\", user = \"u\", password = \"hunter2\"",
            "unknown key",
        ),
        (
            "kind = \"call\", to = \"sip:u:hunter2@192.0.2.1\"",
            "\"to\"",
        ),
        (
            "kind = \"http\", url = \"https://u:hunter2@192.0.2.1/\"",
            "\"url\"",
        ),
        (
            "kind = \"plugin\", command = \"/x\", arguments = [\"--password=hunter2\"]",
            "--password",
        ),
        (
            "kind = \"plugin\", command = \"/x\", environment = { DB_PASS = \"hunter2\" }",
            "DB_PASS",
        ),
        (
            "kind = \"plugin\", command = \"/x\", secrets = { DB = \"hunter2\" }",
            "\"DB\"",
        ),
    ] {
        let found = mistakes(&format!("{HEAD}probes = [{{ {entry} }}]"));
        assert!(!found.is_empty(), "{entry}");
        let all = found.join("\n");
        assert!(all.contains(place), "{entry}: {all}");
        assert!(!all.contains("hunter2"), "{entry}: {all}");
    }
}

#[test]
fn half_an_account_is_none() {
    for (keys, expected) in [
        (
            "user = \"u\"",
            "f:7:50: \"user\" has no secret; add secret = \"env:NAME\" or \"file:/path\"",
        ),
        (
            "secret = \"env:S\"",
            "f:7:43: \"secret\" has no user; add user = \"…\"",
        ),
    ] {
        check(
            &format!("probes = [{{ kind = \"call\", number = \"43\", {keys} }}]"),
            &[expected],
        );
    }
}

#[test]
fn parents_exist_and_form_no_circle() {
    let text = "[plant]\nname = \"p\"\n\
         [target.a]\nname = \"A\"\ngroup = \"G\"\naddress = \"192.0.2.1\"\nparents = [\"c\"]\nprobes = [\"ping\"]\n\
         [target.b]\nname = \"B\"\ngroup = \"G\"\naddress = \"192.0.2.2\"\nparents = [\"a\", \"a\"]\nprobes = [\"ping\"]\n\
         [target.c]\nname = \"C\"\ngroup = \"G\"\naddress = \"192.0.2.3\"\nparents = [\"b\", \"c\", \"patton\"]\nprobes = [\"ping\"]\n";
    assert_eq!(
        mistakes(text),
        [
            "f:13:17: \"a\" stands here twice; write it once",
            "f:13:12: parents form a circle: a needs c needs b needs a; remove one of them",
            "f:19:17: \"c\" cannot be its own parent; remove it",
            "f:19:22: no target is called \"patton\"; known are a, b, c",
        ]
        .map(str::to_owned)
        .into_iter()
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect::<Vec<_>>()
    );
}

#[test]
fn names_are_unique_and_well_formed() {
    check(
        "probes = [\"ping\", \"icmp\", \"icmp\"]",
        &["f:7:27: two probes are called \"a/icmp\"; give one of them name = \"…\""],
    );
    check(
        "probes = [{ kind = \"ping\", name = \"Ping 1\" }]\n[target.\"SRV SQL1\"]\nname = \"S\"\ngroup = \"G\"\n\
         address = \"192.0.2.9\"\nprobes = [\"ping\"]",
        &[
            "f:7:35: \"name\": \"Ping 1\" may hold small letters, digits and -; write for example \"sda\"",
            "f:8:9: the id of a target holds small letters, digits and -; write for example [target.srv-sql1]",
        ],
    );
    let twice = mistakes(&format!(
        "{HEAD}probes = [\"ping\"]\n[target.a]\nname = \"B\"\n"
    ));
    assert_eq!(
        twice,
        [
            "f:8:9: \"a\" stands twice; rename or remove one",
            "f:9:1: \"name\" stands twice; rename or remove one",
        ]
    );
}

#[test]
fn a_target_without_a_probe_is_not_watched() {
    for line in ["", "probes = []"] {
        check(
            line,
            &["f:3:9: target \"a\" has no probe, so nobody watches it; add probes = [\"ping\"]"],
        );
    }
}

#[test]
fn lines_are_proven_by_calls_that_exist() {
    check(
        "probes = [\"ping\", { kind = \"call\", number = \"0199001199\", signatures = [\"*1#\", \"*2#\"] }]\n\
         [line.l]\nname = \"L\"\nproofs = [\"a/cal\", \"a/ping\", \"a/call\"]\nsignatures = { \"*1#\" = \"XIVO 1\", \"x\" = \"A\" }",
        &[
            "f:7:19: this call may hear \"*2#\", and line \"l\" does not say which PBX that is; add it to its \
             signatures",
            "f:10:11: no call is called \"a/cal\"; write \"a/call\"",
            "f:10:20: no call is called \"a/ping\"; known are a/call",
            "f:11:24: signature \"*1#\" stands for \"XIVO 1\", which is no target; write the name or id of one",
            "f:11:34: a signature: \"x\" is no row of keys; write digits, *, # and A to D, such as \"*1#\"",
        ],
    );
}

#[test]
fn synthetic_calls_do_not_crowd_a_trunk() {
    check(
        "probes = [{ kind = \"call\", number = \"0199001199\", every = \"20s\", timeout = \"13s\" }]",
        &[
            "f:7:11: with this probe 180 calls an hour go over trunk \"a\" (each holds a channel for 4 s); at most \
           90 are allowed: call more rarely",
        ],
    );
    check(
        "probes = [{ kind = \"call\", number = \"0199001199\", trunk = \"t3\" }]\n[trunk.t2]\nname = \"T2\"",
        &["f:7:59: no trunk is called \"t3\"; known are t2"],
    );
}

#[test]
fn a_call_is_filled_with_all_that_the_file_says() {
    let probe = probe(
        "{ kind = \"call\", name = \"sda\", number = \"0199001199\", user = \"u\", secret = \"env:S\", hold = \"4s\", \
         answer_within = \"6s\", signatures = [\"*1#\"], hear = \"anything\", transport = \"tcp\", \
         proxy = \"192.0.2.9:5070\", limits = { jitter_ms = 20 }, send_dtmf = \"12#\", every = \"2m\" }",
    );
    assert_eq!(probe.id.as_str(), "a/sda");
    assert_eq!(probe.every, Duration::from_secs(120));
    assert_eq!(probe.trunk.as_ref().map(|t| t.as_str()), Some("a"));
    assert_eq!(probe.role, Role::Oracle);
    let Check::Call(settings) = probe.check.as_ref() else {
        panic!("{probe:?}");
    };
    assert_eq!(settings.to, "sip:0199001199@192.0.2.1");
    assert_eq!(settings.from, "sip:u@192.0.2.1");
    assert_eq!(
        settings.account.as_ref().unwrap().secret.to_string(),
        "env:S"
    );
    assert_eq!(settings.signatures, ["*1#"]);
    let jitter = settings.limits.limit(Metric::JitterMs);
    assert_eq!(jitter.degraded, Some(20.0));
    assert_eq!(settings.hear, Hear::Anything);
    assert_eq!(settings.hold, Duration::from_secs(4));
    assert_eq!(settings.proxy.as_deref(), Some("192.0.2.9:5070"));
}

#[test]
fn short_names_and_defaults_mean_what_the_sample_says() {
    let loaded = good(
        "[plant]\nname = \"p\"\n[target.a]\nname = \"A\"\ngroup = \"G\"\nlane = \"fast\"\nlabel = \"ETEINT\"\n\
         note = \"n\"\ndescription = \"d\"\naddress = \"2001:db8::7\"\n\
         probes = [\"ping\", \"ssh\", \"https\", { kind = \"tcp\", port = 4444 }, \"options\",\n\
         { kind = \"icmp\", expect = \"silent\" }, { kind = \"http\", url = \"https://pbx.example/x\", every = \"1m\" }]",
    );
    let target = &loaded.plant.targets[0];
    assert_eq!(target.description, "d (n)");
    let ids: Vec<&str> = target
        .probes
        .iter()
        .map(|probe| probe.id.as_str())
        .collect();
    assert_eq!(
        ids,
        [
            "a/ping",
            "a/ssh",
            "a/https",
            "a/tcp-4444",
            "a/options",
            "a/icmp",
            "a/http"
        ]
    );
    for probe in &target.probes {
        assert!(probe.timeout <= probe.every, "{probe:?}");
    }
    let [ping, ssh, https, _, options, silent, named] = target.probes.as_slice() else {
        panic!("{ids:?}");
    };
    assert_eq!(
        (ping.every, ping.role),
        (Duration::from_secs(5), Role::Hint)
    );
    // The cadence, three time-outs and two pauses of half a second: silence is sure within 12 s.
    for probe in [ping, ssh, options] {
        assert_eq!(probe.timeout, Duration::from_secs(2), "{probe:?}");
    }
    let Check::Tcp(tcp) = ssh.check.as_ref() else {
        panic!()
    };
    assert_eq!(
        (tcp.peer.to_string().as_str(), tcp.banner.as_deref()),
        ("[2001:db8::7]:22", Some("SSH-"))
    );
    let Check::Http(page) = https.check.as_ref() else {
        panic!()
    };
    assert_eq!(
        (page.url.as_str(), &page.trust),
        ("https://[2001:db8::7]/", &http::Trust::Any)
    );
    let Check::Options(question) = options.check.as_ref() else {
        panic!()
    };
    assert_eq!(question.to, "sip:[2001:db8::7]");
    let Check::Icmp(echo) = silent.check.as_ref() else {
        panic!()
    };
    assert_eq!(echo.expect, Expect::Silent);
    let Check::Http(page) = named.check.as_ref() else {
        panic!()
    };
    assert_eq!(
        page.connect_to.map(|to| to.to_string()).as_deref(),
        Some("2001:db8::7")
    );
    assert_eq!(page.trust, http::Trust::System);
    let warned: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warned,
        [
            "f:11:11: the target is labelled ETEINT and this probe wants an answer; write expect = \"silent\""
        ]
    );
}

#[test]
fn no_page_is_read_on_a_machine_with_health_data() {
    let page = "probes = [{ kind = \"https\", contains = \"Dossier\" }]";
    check(
        &format!("hds = true\n{page}"),
        &["f:8:40: \"contains\" reads pages and the target holds health data (hds); remove it"],
    );
    check(&format!("hds = false\n{page}"), &[]);
}

#[test]
fn a_registration_that_meets_silence_has_time_to_leave() {
    for (timeout, answer_within, lasting) in [("", 5, 7), (", timeout = \"3s\"", 3, 5)] {
        let probe = probe(&format!(
            "{{ kind = \"register\", user = \"u\", secret = \"env:S\"{timeout} }}"
        ));
        let Check::Register(settings) = probe.check.as_ref() else {
            panic!("{probe:?}");
        };
        assert_eq!(settings.answer_within.as_secs(), answer_within);
        assert_eq!(probe.timeout.as_secs(), lasting);
    }
}

#[test]
fn a_group_is_pinged_whole() {
    let probe =
        probe("{ kind = \"ping\", address = [\"192.0.2.101-117\", \"192.0.2.200\"], min_up = 12 }");
    let Check::Icmp(settings) = probe.check.as_ref() else {
        panic!()
    };
    assert_eq!((settings.addresses.len(), settings.min_up), (18, 12));
}

#[test]
fn the_settings_of_the_service_are_read() {
    let loaded = good(&format!(
        "{HEAD}probes = [\"ping\"]\n[service]\nlisten = \"[::1]:80\"\ndata = \"/x\"\nresolvers = [\"192.0.2.53\"]\n\
         tls_ca = \"/ca\"\n[vantage]\nname = \"v\"\nlocal = \"127.0.0.9\"\nmedia_ports = \"30000-30099\"\n"
    ));
    let settings = &loaded.settings;
    assert_eq!(settings.listen.to_string(), "[::1]:80");
    assert_eq!(settings.resolvers[0].to_string(), "192.0.2.53:53");
    assert_eq!(settings.vantage.media_ports, 30_000..=30_099);
    assert_eq!(loaded.references.len(), 1);
    check(
        "probes = [\"ping\"]\n[vantage]\nmedia_ports = \"20001-20999\"\nlocal = \"eth0\"\n[service]\ndata = \"var\"",
        &[
            "f:9:15: \"media_ports\": \"20001-20999\" must begin with an even port of 1024 or more and end with a \
             higher one, such as \"20000-20999\"",
            "f:10:9: \"local\" cannot be \"eth0\"; write for example \"192.0.2.5\" or \"0.0.0.0\"",
            "f:12:8: \"data\": \"var\" is not an absolute path; begin it with /",
        ],
    );
}

#[test]
fn the_same_text_gives_the_same_plant_and_another_text_another() {
    let text = format!("{HEAD}probes = [\"ping\"]\n");
    assert_eq!(
        good(&text).plant,
        good(&format!("# a remark\n{text}")).plant
    );
    assert_ne!(good(&text).plant, good(&text.replace("ping", "ssh")).plant);
}

#[test]
fn sip_addresses_are_judged_by_people_first_and_by_the_grammar_then() {
    let refused = |text: &str| {
        format!(
            "f:7:33: \"to\": {text:?} is no SIP address; write for example \"sip:0199001199@192.0.2.10\""
        )
    };
    for text in [
        "0199001199",
        "sip:@192.0.2.1",
        "sip:a b@192.0.2.1",
        "sip:a@",
        "sip:a@h:0",
        "sip:a@h:70000",
        "tel:abc",
        "tel:+33x",
        "sip:a@é",
        "http://h/",
    ] {
        check(
            &format!("probes = [{{ kind = \"call\", to = \"{text}\" }}]"),
            &[&refused(text)],
        );
    }
    for text in [
        "sip:0199001199@{address}",
        "sips:a@pbx.example:5061;transport=tls",
        "tel:+33199001199",
        "sip:a@[2001:db8::1]:5060",
    ] {
        check(
            &format!("probes = [{{ kind = \"call\", to = \"{text}\" }}]"),
            &[],
        );
    }
    let by_number = probe("{ kind = \"call\", to = \"tel:+33199001199\" }");
    let Check::Call(settings) = by_number.check.as_ref() else {
        panic!();
    };
    assert_eq!(settings.proxy.as_deref(), Some("192.0.2.1"));
}

#[test]
fn a_call_is_held_until_its_signature_is_heard() {
    check(
        "probes = [{ kind = \"call\", number = \"43\", hold = \"1s\", signatures = [\"*1#\"] }]",
        &[
            "f:7:50: a signature takes about a second to be heard and the call is held for 1s; write \"2s\" or more",
        ],
    );
}

/// Lines that are nearly right, to be thrown together.
fn line() -> impl Strategy<Value = String> {
    let whole = proptest::sample::select(
        include_str!("../../deploy/vigie.toml")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect::<Vec<_>>(),
    );
    prop_oneof![
        8 => whole.prop_map(str::to_owned),
        1 => "[a-z]{1,8} = [\\[\\]{}\"0-9a-z.,= -]{0,20}",
        1 => "\\[{1,2}[a-z.]{0,12}\\]{0,2}",
        1 => "\\PC{0,30}",
    ]
}

proptest! {
    #[test]
    fn no_text_makes_the_loader_panic(text in any::<String>()) {
        let _ = read("f", &text);
    }

    #[test]
    fn no_shuffled_sample_makes_the_loader_panic(lines in proptest::collection::vec(line(), 0..40)) {
        let text = lines.join("\n");
        if let Err(mistakes) = read("f", &text) {
            prop_assert!(!mistakes.is_empty());
            for mistake in mistakes {
                let (line, column) = mistake.at.unwrap();
                prop_assert!(line <= lines.len() + 1 && column >= 1);
            }
        }
    }

    #[test]
    fn no_cut_of_the_sample_makes_the_loader_panic(at in 0usize..23_000, length in 0usize..40) {
        let sample = include_str!("../../deploy/vigie.toml");
        let text: String = sample
            .char_indices()
            .filter(|(index, _)| !(at..at + length).contains(index))
            .map(|(_, c)| c)
            .collect();
        let _ = read("f", &text);
    }
}

#[test]
fn an_announcement_has_a_name_a_folder_and_a_time_to_begin() {
    let entry =
        r#"{ kind = "call", number = "0199001190", prompt = "accueil", prompt_within = "2s" }"#;
    let loaded = good(&format!("{HEAD}probes = [{entry}]\n"));
    let Check::Call(settings) = &*loaded.plant.targets[0].probes[0].check else {
        panic!("a call");
    };
    let prompt = settings.prompt.as_ref().unwrap();
    let within = Duration::from_secs(2);
    assert_eq!((prompt.name.as_str(), prompt.within), ("accueil", within));
    assert_eq!(settings.hear, Hear::Anything);
    let reference = Reference::Prompt("accueil".to_owned());
    assert_eq!(loaded.references[0].reference, reference);
    let folder = loaded.settings.prompt_directory();
    assert_eq!(folder.to_str(), Some("/var/lib/vigie/prompts"));
    for (more, words) in [
        (r#"prompt = "../x""#, "no name of an announcement"),
        (
            r#"prompt = "accueil", hear = "echo""#,
            "neither an echo nor nothing",
        ),
        (r#"prompt_within = "2s""#, "there is no \"prompt\""),
    ] {
        let entry = format!(r#"{{ kind = "call", number = "0199001190", {more} }}"#);
        let found = mistakes(&format!("{HEAD}probes = [{entry}]\n"));
        assert!(found[0].contains(words), "{more}: {found:#?}");
    }
}

#[test]
fn the_contract_has_its_limits_and_its_web_site() {
    let with = |contract: &str| {
        let text = format!(
            "[plant]\nname = \"p\"\n[contract]\n{contract}\n[target.site]\nname = \"Site\"\ngroup = \"Web\"\n\
             address = \"192.0.2.1\"\nprobes = [\"https\"]\n"
        );
        read("vigie.toml", &text)
    };
    let loaded =
        with("ic6 = \"45m\"\nstart = \"declared\"\nweb = [\"site\"]").expect("a good file");
    let profile = loaded
        .plant
        .terms
        .contract
        .in_force(crate::time::Utc(0))
        .clone();
    assert_eq!(profile.lines.limit.as_secs(), 45 * 60);
    assert_eq!(profile.web.limit.as_secs(), 30 * 60);
    assert!(profile.web_targets.contains("site"));
    for (contract, words) in [
        ("web = [\"sit\"]", "no target is called"),
        ("ic6 = \"1s\"", "ic6"),
        ("start = \"first\"", "start"),
        ("ic8 = \"1h\"", "ic8"),
    ] {
        let mistakes = with(contract).expect_err("a bad file");
        assert!(
            mistakes[0].to_string().contains(words),
            "{contract}: {}",
            mistakes[0]
        );
    }
}

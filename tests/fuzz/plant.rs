//! The rest of the plant, what people write, and what is read back from disk.

use std::time::Duration;

use vigie::config;
use vigie::engine::fact::{BootId, Chain, Fact};
use vigie::io::prober::foreign;
use vigie::probe::dns::{self, Record};
use vigie::probe::{Verdict, Word, http, icmp, perfdata, plugin, tcp};
use vigie::secret::SecretRef;
use vigie::sip::Transport;
use vigie::sip::emergency::is_emergency;
use vigie::sip::locate::{Naptr, Srv, Target, in_order};
use vigie::time::{Instant, Now, Utc};

use super::text;
use crate::support::world::{FarEnd, World, minutes, telephony};

const AFTER: Duration = Duration::from_millis(7);

/// A failure exactly when it is not good, in one line, and figures that can be kept.
fn assert_sound(verdict: &Verdict) {
    assert_eq!(verdict.failure.is_none(), verdict.word == Word::Good);
    for measure in &verdict.measures {
        assert!(measure.value.is_finite(), "{measure:?}");
    }
    let kept = serde_json::to_string(verdict).expect("a verdict can be kept");
    assert!(serde_json::from_str::<Verdict>(&kept).is_ok(), "{kept}");
}

pub(super) fn dns_reply(bytes: &[u8]) {
    let server = ([192, 0, 2, 53], 53).into();
    let id = bytes
        .get(..2)
        .map_or(0, |id| u16::from_be_bytes([id[0], id[1]]));
    for record in Record::ALL {
        let seen = match foreign::dns_reply(id, record, bytes) {
            Ok(Some(seen)) => seen,
            Ok(None) => continue,
            Err(words) => dns::Seen::Garbage { words },
        };
        let settings = dns::Settings::new(server, "pbx.example.org", record);
        assert_sound(&dns::judge(&settings, &seen));
    }
    assert_eq!(
        foreign::dns_reply(id ^ 1, Record::A, bytes).unwrap_or(None),
        None
    );
}

pub(super) fn dns_replies() -> Vec<Vec<u8>> {
    let question = b"\x03pbx\x07example\x03org\x00";
    let reply = |kind: u8, data: &[u8]| {
        let length = u8::try_from(data.len()).expect("short");
        [
            b"\0\x77\x81\x80\0\x01\0\x01\0\0\0\0".as_slice(),
            question,
            &[0, kind, 0, 1],
            // The name again, by a pointer to the first.
            &[0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, length],
            data,
        ]
        .concat()
    };
    vec![
        reply(1, &[192, 0, 2, 10]),
        reply(33, b"\0\0\0\x64\x13\xc4\x02dc\xc0\x0c"),
        reply(16, b"\x05hello\x00"),
        reply(5, b"\xc0\x0c"),
        b"\0\x77\x81\x83\0\x01\0\0\0\0\0\0\x03pbx\x07example\x03org\x00\0\x01\0\x01".to_vec(),
    ]
}

/// Where the records of a foreign zone lead: every one with a name is tried, in some order.
pub(super) fn records(bytes: &[u8]) {
    let text = text(bytes);
    let mut naptr = Vec::new();
    let mut srv = Vec::new();
    for line in text.lines() {
        let number = |at: usize| line.as_bytes().get(at).copied().map_or(0, u16::from) * 257;
        naptr.push(Naptr {
            order: number(0),
            preference: number(1),
            flags: line.chars().take(1).collect(),
            service: line.split(' ').nth(1).unwrap_or_default().to_owned(),
            replacement: line.to_owned(),
        });
        srv.push(Srv {
            priority: number(0),
            weight: number(1),
            port: number(2),
            target: line.to_owned(),
        });
    }
    for (transport, secure) in [(None, false), (Some(Transport::Tls), true)] {
        let target = Target {
            host: text.lines().next().unwrap_or_default().to_owned(),
            port: None,
            transport,
            secure,
        };
        let _ = (target.first(), target.services(&naptr), target.fallback());
    }
    let named = srv
        .iter()
        .filter(|record| !matches!(&*record.target, "" | "."))
        .count();
    let ordered = in_order(srv, |below| below.saturating_sub(1));
    assert_eq!(ordered.len(), named);
}

pub(super) fn zones() -> Vec<Vec<u8>> {
    vec![b"s SIP+D2U _sip._udp.example.org.\nS SIPS+D2T _sips._tcp.example.org\n\0\0\n".to_vec()]
}

/// A redirect leads to a page or is told as theirs.
pub(super) fn redirect(bytes: &[u8]) {
    let text = text(bytes);
    let (url, location) = text
        .split_once('\n')
        .unwrap_or(("http://a.example/b", &text));
    let settings = http::Settings::new(url);
    let outcome = match foreign::next_page(url, location) {
        Ok(next) => {
            assert!(next.contains("://"), "{next}");
            http::Outcome::Answered {
                status: 200,
                found: Some(tcp::holds(bytes, location)),
            }
        }
        Err(outcome) => outcome,
    };
    let seen = http::Seen {
        peer: location.to_owned(),
        phases: http::Phases::default(),
        certificate: None,
        outcome,
    };
    let verdict = http::judge(&settings, &seen, Utc(0));
    assert_ne!(verdict.word, Word::Blind, "{verdict:?}");
    assert_sound(&verdict);
}

pub(super) fn redirects() -> Vec<Vec<u8>> {
    [
        "https://192.0.2.7/a/b?c=//d#e\n../login",
        "http://site.example\n//other.example:8080/",
        "http://u:p@site.example/é\nhttps://[2001:db8::1]:65535/?q",
        "http://site.example/\nhttp://:80",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

/// A certificate's end, and what a page says of it.
pub(super) fn certificate(bytes: &[u8]) {
    let Some(not_after) = foreign::not_after(bytes) else {
        return;
    };
    let seen = http::Seen {
        peer: "192.0.2.7:443".to_owned(),
        phases: http::Phases::default(),
        certificate: Some(http::Certificate {
            not_after,
            objection: None,
        }),
        outcome: http::Outcome::Answered {
            status: 200,
            found: None,
        },
    };
    for now in [Utc(0), Utc(i64::MAX), Utc(i64::MIN)] {
        let settings = http::Settings::new("https://192.0.2.7/");
        assert_sound(&http::judge(&settings, &seen, now));
    }
}

pub(super) fn certificates() -> Vec<Vec<u8>> {
    vec![
        include_bytes!("../testdata/x509/ec.der").to_vec(),
        include_bytes!("../testdata/x509/rsa.der").to_vec(),
    ]
}

/// Which packets came back and when: the reply itself is read by the kernel and `surge_ping`.
pub(super) fn pings(bytes: &[u8]) {
    let hosts = bytes
        .chunks(5)
        .map(|chunk| icmp::Host {
            address: [192, 0, 2, chunk[0]].into(),
            sent: chunk.get(1).copied().unwrap_or_default().into(),
            replies: chunk[1..]
                .iter()
                .map(|byte| Duration::from_millis(u64::from(*byte) << (byte & 31)))
                .collect(),
            fault: None,
        })
        .collect::<Vec<_>>();
    let addresses = hosts.iter().map(|host| host.address).collect();
    let mut settings = icmp::Settings::new(addresses);
    for expect in [icmp::Expect::Answer, icmp::Expect::Silent] {
        settings.expect = expect;
        assert_sound(&icmp::judge(&settings, &icmp::Seen::Pinged(hosts.clone())));
    }
}

pub(super) fn banner(bytes: &[u8]) {
    const WANTED: &str = "SSH-2.0-";
    let mut settings = tcp::Settings::new(([192, 0, 2, 22], 22).into());
    settings.banner = Some(WANTED.to_owned());
    let ended = if tcp::holds(bytes, WANTED) {
        tcp::Ended::Enough
    } else {
        tcp::Ended::TooMuch
    };
    let seen = tcp::Seen::Connected {
        connect: AFTER,
        heard: bytes.to_vec(),
        after: AFTER,
        ended,
    };
    let verdict = tcp::judge(&settings, &seen);
    assert_sound(&verdict);
    if let Some(failure) = &verdict.failure {
        assert!(!failure.words.contains(char::is_control), "{failure:?}");
    }
}

pub(super) fn banners() -> Vec<Vec<u8>> {
    vec![
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n".to_vec(),
        b"220 mail.example.org ESMTP\r\n".to_vec(),
        b"J\0\0\0\n8.0.36\0\x08\0\0\0mysql_native_password\0".to_vec(),
    ]
}

/// Whatever a plug-in prints, its exit code alone decides.
pub(super) fn plugin_output(bytes: &[u8]) {
    let settings = plugin::Settings::new("/usr/lib/nagios/plugins/check_x");
    let words = |code, stdout: &[u8], stderr: &[u8]| {
        let seen = plugin::Seen::Ended {
            how: plugin::End::Code(code),
            after: AFTER,
            stdout: stdout.to_vec(),
            stderr: stderr.to_vec(),
        };
        let verdict = plugin::judge(&settings, &seen);
        assert_sound(&verdict);
        verdict.word
    };
    for code in [0, 1, 2, 3, 126, 127, -1] {
        assert_eq!(words(code, bytes, b""), words(code, b"", bytes), "{code}");
    }
    for item in perfdata::parse(&text(bytes)) {
        for range in [item.warning, item.critical].into_iter().flatten() {
            assert!(range.start <= range.end, "{range:?}");
            let _ = range.alerts(item.value.unwrap_or_default());
        }
        if let Some(measure) = item.measure() {
            assert!(measure.value.is_finite(), "{item:?}");
        }
    }
    let _ = perfdata::Range::parse(&text(bytes));
}

pub(super) fn plugin_outputs() -> Vec<Vec<u8>> {
    [
        "DISK OK - free space: / 3326 MB | /=2643MB;5948;5958;0;5968\n/home 69%|'/my home'=12%;@10:20;~:5",
        "PING OK|rta=0.5ms;3000.000;5000.000;0; pl=0%;80;100;; 'a''b'=U time=1e400s x=-1,5c",
        "CRITICAL: no\n| a=1;2;3;4;5;6 b==1 c='",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

/// Blanks around it change nothing, and no escape hides what stands there plainly.
pub(super) fn emergency(bytes: &[u8]) {
    let text = text(bytes);
    let found = is_emergency(&text);
    assert_eq!(is_emergency(&format!(" {text}\t")), found, "{text:?}");
    let digits = text.chars().all(|c| c.is_ascii_digit());
    if found && digits {
        let escaped: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        assert!(
            is_emergency(&format!("sip:{escaped}@192.0.2.10")),
            "{escaped}"
        );
        assert!(is_emergency(&format!("tel:{text}")), "{text}");
    }
}

pub(super) fn numbers() -> Vec<Vec<u8>> {
    [
        "119",
        "116000",
        "\"Accueil\" <sip:%31%31%39@192.0.2.10;user=phone>;tag=1",
        "tel:19;phone-context=+331",
        "sip:*31#１１９@[2001:db8::1]",
        "urn%3Aservice%3Asos.fire",
        "sip:0199001199@192.0.2.10",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

/// A good file, or a list of mistakes of which each says where it is, in one line.
pub(super) fn configuration(bytes: &[u8]) {
    let text = text(bytes);
    let Err(mistakes) = config::read("f", &text) else {
        return;
    };
    assert!(!mistakes.is_empty(), "refused without a reason");
    let lines = text.split('\n').count();
    for mistake in &mistakes {
        let (line, column) = mistake.at.expect("a mistake stands somewhere");
        assert!((1..=lines + 1).contains(&line), "{mistake}");
        assert!(column >= 1, "{mistake}");
        assert!(!mistake.words.contains(['\n', '\r']), "{mistake}");
    }
}

/// Each part of the sample alone, and the smallest whole of every kind.
pub(super) fn configurations() -> Vec<Vec<u8>> {
    let sample = include_str!("../../deploy/vigie.toml");
    let mut parts: Vec<Vec<u8>> = sample
        .split("\n\n")
        .filter(|part| part.len() < 1200)
        .map(|part| part.as_bytes().to_vec())
        .collect();
    parts.push(WHOLE.as_bytes().to_vec());
    parts
}

const WHOLE: &str = r#"[plant]
name = "p"
[service]
listen = "127.0.0.1:8119"
tls_ca = "/etc/vigie/ca.pem"
[sip]
caller = "0199001197"
[trunk.t2]
name = "T2"
[target.a]
name = "A"
group = "G"
address = "192.0.2.1"
parents = ["b"]
probes = [
  { kind = "icmp", every = "5s", packets = 3 },
  { kind = "options" },
  { kind = "call", number = "0199001199", trunk = "t2", hold = "3s", signature = ["*1#"] },
  { kind = "register", user = "4001", secret = "env:SECRET" },
]
[target.b]
name = "B"
group = "G"
address = "2001:db8::1"
probes = [
  { kind = "tcp", port = 22, banner = "SSH-2.0-" },
  { kind = "http", url = "https://site.example/", status = [200], contains = "é" },
  { kind = "dns", name = "example.org", record = "A" },
  { kind = "plugin", command = "/bin/true", arguments = ["-H", "x"] },
]
"#;

/// A duration that is read is one that the same text gives again; a reference prints as it was written.
pub(super) fn words(bytes: &[u8]) {
    let text = text(bytes);
    assert_eq!(config::parse_duration(&text), config::parse_duration(&text));
    if let Ok(reference) = text.parse::<SecretRef>() {
        assert_eq!(reference.to_string(), text);
    }
}

pub(super) fn durations() -> Vec<Vec<u8>> {
    [
        "5s",
        "1h30m",
        "500ms",
        "18446744073709551615d",
        "213503982334d601ms",
        "2 m",
        "env:SECRET",
        "file:/etc/vigie/secrets/xivo1",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

/// A fact whose payload was changed is noticed; one that can be read can be written and read again.
pub(super) fn stored_fact(bytes: &[u8]) {
    let payload = text(bytes);
    let now = Now {
        instant: Instant(1),
        utc: Utc(2),
    };
    let mut chain = Chain::new(BootId::from("boot"));
    let original = Fact {
        payload: "{\"kind\":\"service_stopped\"}".to_owned(),
        ..chain.append(now, &vigie::engine::fact::Event::ServiceStopped)
    };
    let changed = Fact {
        payload: payload.clone(),
        ..original.clone()
    };
    let same = payload == original.payload;
    assert_eq!(
        changed.computed_hash() == original.computed_hash(),
        same,
        "{payload}"
    );
    if let Ok(event) = changed.event() {
        let fact = chain.append(now, &event);
        assert_eq!(fact.kind, event.kind());
        let again = fact.event().expect("an event of ours can be read back");
        assert_eq!(again.kind(), event.kind());
    }
}

/// One fact of each kind that an outage and its end leave.
pub(super) fn facts() -> Vec<Vec<u8>> {
    let mut world = World::watching(telephony(119));
    world.run_for(minutes(1));
    world.far_end("xivo1", &FarEnd::Refuses);
    world.run_for(minutes(2));
    world.far_end("xivo1", &FarEnd::Blind);
    world.run_for(minutes(2));
    world.far_end("xivo1", &FarEnd::Answers);
    world.run_for(minutes(2));
    let mut kinds = std::collections::BTreeMap::new();
    for fact in &world.facts {
        kinds
            .entry(fact.kind.clone())
            .or_insert_with(|| fact.payload.clone().into_bytes());
    }
    kinds.into_values().collect()
}

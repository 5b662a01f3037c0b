//! SIP over TCP and over TLS, against a real Asterisk: the same calls, and what a certificate is worth.
//!
//! `tests/run` runs these where Asterisk is installed; `cargo test` alone lists them as ignored.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::support::certificate::Certificate;
use crate::support::plant::RealPlant;
use crate::support::vigie::{Report, probe, probe_with};

/// What a phone of the lab needs, and where it is unknown by its address: the PBX has to ask.
const SECRET: [(&str, &str); 1] = [("SECRET", "s3cret-4001")];
const AS_A_PHONE: [&str; 6] = [
    "--user",
    "4001",
    "--secret",
    "env:SECRET",
    "--local",
    "127.0.1.77:0",
];

/// A test call that must be signed by the PBX, and leave by `transport`.
#[track_caller]
fn assert_called(uri: &str, signature: &str, arguments: &[&str]) {
    let call = ["call", uri, "--hold", "3s", "--expect-dtmf", signature];
    let report = probe_with(&[&call, arguments].concat(), &SECRET);
    report.assert_good();
    assert_eq!(report.steps("BYE sip"), 1, "{:#}", report.json);
    assert!(
        report.json["rtp"]["received"].as_u64() > Some(50),
        "{:#}",
        report.json
    );
}

/// Whatever came from the addresses of the watchdog came by this transport.
#[track_caller]
fn assert_only(transport: &str, log: &str) {
    for address in ["127.0.0.1", "127.0.1.77"] {
        for other in ["UDP", "TCP", "TLS"] {
            let came = log.contains(&format!("from {other}:{address}:"));
            assert_eq!(came, other == transport, "{other} {address}:\n{log}");
        }
    }
}

/// How many messages of ours went out again: over a stream none does.
fn resent(report: &Report) -> usize {
    let ladder = report.json["ladder"].as_array().expect("a ladder");
    ladder
        .iter()
        .filter(|step| step["direction"] == "sent" && step["repeat"] != 0)
        .count()
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn calls_go_over_tcp_with_and_without_a_password() {
    let plant = RealPlant::start(&["xivo1", "xivo3"]);
    for pbx in ["xivo1", "xivo3"] {
        plant.log_sip(pbx);
    }
    let tcp = ["--transport", "tcp"];
    for (address, signature) in [("127.0.1.1", "*1#"), ("127.0.1.3", "*3#")] {
        let options = probe(&["options", &format!("sip:{address}"), "--transport", "tcp"]);
        options.assert_good();
        assert_eq!(resent(&options), 0, "{:#}", options.json);

        assert_called(&format!("sip:0199001199@{address}"), signature, &tcp);
        // The URI may ask for it too.
        let uri = format!("sip:0199001199@{address};transport=tcp");
        assert_called(&uri, signature, &[]);
        let uri = format!("sip:*43@{address}");
        assert_called(&uri, signature, &[&tcp[..], &AS_A_PHONE].concat());

        let aor = format!("sip:4001@{address}");
        let register = ["register", &aor, "--secret", "env:SECRET"];
        let report = probe_with(&[&register[..], &tcp].concat(), &SECRET);
        report.assert_good();
        assert_eq!(resent(&report), 0, "{:#}", report.json);
    }
    for pbx in ["xivo1", "xivo3"] {
        let log = plant.log(pbx);
        assert_only("TCP", &log);
    }
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn a_wrong_password_over_tcp_is_said_once() {
    let plant = RealPlant::start(&["xivo1"]);
    plant.log_sip("xivo1");
    let report = probe_with(
        &[
            "call",
            "sip:*43@127.0.1.1",
            "--transport",
            "tcp",
            "--user",
            "4001",
            "--secret",
            "env:SECRET",
            "--local",
            "127.0.1.77:0",
        ],
        &[("SECRET", "wrong")],
    );
    assert_eq!(report.verdict(), "blind", "{:#}", report.json);
    assert_eq!(report.blame(), "ours", "{:#}", report.json);
    assert_eq!(report.failure(), "wrong_password", "{:#}", report.json);
    // What came is logged twice where two messages came in one segment; what it answered is not.
    let log = plant.log("xivo1");
    assert_eq!(log.matches("SIP/2.0 401 ").count(), 2, "{log}");
}

/// A PBX with a certificate, and what vigie is given to trust it.
struct TlsPlant {
    plant: RealPlant,
    folder: TempDir,
}

impl TlsPlant {
    /// XIVO 1 with this certificate.
    fn with(certificate: &Certificate) -> Self {
        let folder = tempfile::tempdir().expect("a folder for certificates");
        let server = folder.path().join("server.pem");
        fs::write(&server, certificate.server_pem()).expect("written");
        let server = server.to_string_lossy().into_owned();
        let plant = RealPlant::start_with(&["xivo1"], &[("VIGIE_LAB_CERTIFICATE", &server)]);
        plant.log_sip("xivo1");
        let tls = Self { plant, folder };
        tls.write("ca.pem", &certificate.authority);
        tls
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        fs::write(&file, text).expect("written");
        file
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    /// A call that must not be placed: what is said, and that no INVITE ever came.
    #[track_caller]
    fn assert_refused(&self, arguments: &[&str], expected: (&str, &str, &str), words: &[&str]) {
        let call = ["call", "sip:0199001199@127.0.1.1", "--transport", "tls"];
        let report = probe(&[&call, arguments].concat());
        let said = (report.verdict(), report.blame(), report.failure());
        assert_eq!(said, expected, "{:#}", report.json);
        let text = report.json["failure"]["words"].as_str().expect("words");
        for word in words {
            assert!(text.contains(word), "{word:?} is not in {text:?}");
        }
        let log = self.plant.log("xivo1");
        assert!(!log.contains("INVITE sip:"), "{log}");
    }
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn calls_go_over_tls_with_and_without_a_password() {
    let tls = TlsPlant::with(&Certificate::signed_by("plant", "127.0.1.1", 2099));
    let ca = tls.path("ca.pem");
    let trust = ["--transport", "tls", "--tls-ca", &ca];

    let options = probe(&[&["options", "sip:127.0.1.1"], &trust[..]].concat());
    options.assert_good();
    assert_called("sip:0199001199@127.0.1.1", "*1#", &trust);
    assert_called("sips:0199001199@127.0.1.1", "*1#", &["--tls-ca", &ca]);
    assert_called(
        "sip:*43@127.0.1.1",
        "*1#",
        &[&trust[..], &AS_A_PHONE].concat(),
    );
    let register = ["register", "sip:4001@127.0.1.1", "--secret", "env:SECRET"];
    let report = probe_with(&[&register[..], &trust].concat(), &SECRET);
    report.assert_good();
    assert!(report.steps("REGISTER") >= 3, "{:#}", report.json);

    let log = tls.plant.log("xivo1");
    assert_only("TLS", &log);
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn an_authority_that_nobody_named_is_our_lack_and_a_wrong_one_is_theirs() {
    let tls = TlsPlant::with(&Certificate::signed_by("plant", "127.0.1.1", 2099));
    tls.assert_refused(
        &[],
        ("blind", "ours", "no_tls_authority"),
        &["--tls-ca", "name the PEM file"],
    );
    let other = Certificate::signed_by("somebody else", "127.0.1.1", 2099);
    tls.write("other.pem", &other.authority);
    let other = tls.path("other.pem");
    tls.assert_refused(
        &["--tls-ca", &other],
        ("down", "misbehaved", "tls"),
        &["nobody we trust", &other, "ask who changed it"],
    );
    let missing = tls.path("missing.pem");
    tls.assert_refused(
        &["--tls-ca", &missing],
        ("blind", "ours", "no_tls_authority"),
        &[&missing],
    );
    tls.write("no.pem", "not a certificate\n");
    let nonsense = tls.path("no.pem");
    tls.assert_refused(
        &["--tls-ca", &nonsense],
        ("blind", "ours", "no_tls_authority"),
        &[&nonsense, "no certificate in it"],
    );
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn a_certificate_that_has_ended_is_theirs_to_renew() {
    let tls = TlsPlant::with(&Certificate::signed_by("plant", "127.0.1.1", 2021));
    tls.assert_refused(
        &["--tls-ca", &tls.path("ca.pem")],
        ("down", "misbehaved", "certificate_dates"),
        &["has expired", "renew it"],
    );
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn a_certificate_for_another_name_says_which_names_it_has() {
    let tls = TlsPlant::with(&Certificate::signed_by("plant", "pbx.example", 2099));
    tls.assert_refused(
        &["--tls-ca", &tls.path("ca.pem")],
        ("down", "misbehaved", "tls"),
        &["another name", "pbx.example", "127.0.1.1"],
    );
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn a_port_without_tls_and_a_closed_port_are_told_apart() {
    let _plant = RealPlant::start(&["xivo1"]);
    let plain = probe(&["options", "sip:127.0.1.1:5060", "--transport", "tls"]);
    assert_eq!(plain.verdict(), "down", "{:#}", plain.json);
    assert_eq!(plain.failure(), "tls", "{:#}", plain.json);
    assert_eq!(plain.blame(), "misbehaved", "{:#}", plain.json);

    let closed = probe(&["options", "sip:127.0.1.1", "--transport", "tls"]);
    assert_eq!(closed.verdict(), "down", "{:#}", closed.json);
    assert_eq!(closed.failure(), "port_closed", "{:#}", closed.json);
    assert_eq!(closed.blame(), "refused", "{:#}", closed.json);
}

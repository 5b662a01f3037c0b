//! Alerts reach a real mail server and a real HTTP receiver, signed, in time, once; and go nowhere else.
//!
//! `tests/run` runs these where Exim and Python are installed; `cargo test` alone lists them as ignored.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use vigie::alert::notice::{Notice, Reason};
use vigie::alert::outbox::{Outbox, Outgoing};
use vigie::alert::record::Failure;
use vigie::config;
use vigie::incident::IncidentId;
use vigie::io::dns::Resolver;
use vigie::io::notify::Senders;
use vigie::probe::Word;
use vigie::time::Utc;

use crate::support::alert_peers::{MailServer, Receiver};
use crate::support::certificate::Certificate;
use crate::support::namespace::enter_own_network;
use crate::support::patience::Stopwatch;

const PLANT: &str = "[plant]\nname = \"p\"\n[target.a]\nname = \"A\"\ngroup = \"Linux\"\naddress = \"127.0.0.1\"\n\
                     probes = [\"ping\"]\n";

/// A mail channel for the real server.
fn mail(name: &str, port: u16, to: &str, more: &str) -> String {
    format!(
        "[alert.{name}]\nkind = \"mail\"\nserver = \"127.0.0.1:{port}\"\ntls_name = \"mail.example.org\"\n\
         from = \"vigie <vigie@example.org>\"\nto = {to}\nuser = \"vigie\"\n\
         timeout = \"4s\"\n{more}\n"
    )
}

/// The program, a configuration and the authority that signed the servers' certificate.
struct Vigie {
    folder: TempDir,
}

impl Vigie {
    /// `trusting`: the authority is named in `tls_ca`.
    fn with(channels: &str, authority: &str, trusting: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        fs::write(&file, authority).unwrap();
        let service = if trusting {
            format!("[service]\ntls_ca = {:?}\n", file.display().to_string())
        } else {
            String::new()
        };
        fs::write(
            folder.path().join("vigie.toml"),
            format!("{PLANT}{service}{channels}"),
        )
        .unwrap();
        Self { folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("vigie.toml")
    }

    /// `vigie alert test NAME`: the exit code, and all it said.
    fn test(&self, name: &str) -> (Option<i32>, String) {
        let done = Command::new(env!("CARGO_BIN_EXE_vigie"))
            .args(["alert", "test", name, "--config"])
            .arg(self.file())
            .envs([
                ("SMTP", "s3cret-smtp"),
                ("WRONG", "hunter2"),
                ("HOOK", "s3cret-hook"),
                ("NRDP", "s3cret-nrdp"),
                ("BEARER", "s3cret-bearer"),
            ])
            .stdin(Stdio::null())
            .output()
            .expect("the program under test");
        let said = [done.stdout, done.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        for secret in ["s3cret", "hunter2"] {
            assert!(!said.contains(secret), "{said}");
        }
        (done.status.code(), said)
    }

    /// The channels as the service has them.
    fn outbox(&self) -> Outbox {
        let text = fs::read_to_string(self.file()).unwrap();
        Outbox::new(config::read("f", &text).unwrap().settings.alerts)
    }

    fn senders(&self) -> Arc<Senders> {
        let resolver = Resolver::new(&["127.0.0.1:53".parse().unwrap()]).unwrap();
        Senders::new(resolver, Some(self.folder.path().join("ca.pem")))
    }
}

fn certificate() -> Certificate {
    Certificate::signed_by("authority of the test", "mail.example.org", 2040)
}

#[test]
#[ignore = "needs Exim: tests/run peers"]
fn mail_is_handed_over_under_tls_and_a_login_or_not_at_all() {
    enter_own_network();
    let certificate = certificate();
    let server = MailServer::start(&certificate.server_pem());
    let one = "[\"astreinte@example.org\"]";
    let good = "secret = \"env:SMTP\"";
    let channels = [
        mail("good", 2525, one, good),
        mail("wrong-password", 2525, one, "secret = \"env:WRONG\""),
        mail("no-tls-there", 2526, one, good),
        mail("unknown", 2525, "[\"nobody@example.org\"]", good),
        mail(
            "one-unknown",
            2525,
            "[\"nobody@example.org\", \"equipe@example.org\"]",
            good,
        ),
        mail("other-name", 2525, one, good).replace("mail.example.org", "mail.example.net"),
    ]
    .concat();
    let vigie = Vigie::with(&channels, &certificate.authority, true);

    let (code, said) = vigie.test("good");
    assert_eq!(code, Some(0), "{said}\n{}", server.log());
    let mails = server.wait_for(1);
    let mail = &mails[0];
    for part in [
        // Under TLS, with a login (RFC 3848).
        "with esmtpsa",
        "Subject: [vigie] ESSAI : essai",
        "Auto-Submitted: auto-generated",
        "Message-ID: <vigie-good-0-",
        "Content-Type: text/plain; charset=utf-8",
        "Envelope-to: astreinte@example.org",
    ] {
        assert!(mail.contains(part), "{part}:\n{mail}");
    }

    for (name, words) in [
        ("wrong-password", "535"),
        ("no-tls-there", "STARTTLS"),
        ("unknown", "no such user here"),
        ("other-name", "certificate"),
    ] {
        let (code, said) = vigie.test(name);
        assert_eq!(code, Some(3), "{name}: {said}");
        assert!(said.contains(words), "{name}: {said}");
    }
    // Nobody who is unknown keeps the others from being told.
    let (code, said) = vigie.test("one-unknown");
    assert_eq!(code, Some(0), "{said}");
    let mails = server.wait_for(2);
    assert!(
        mails[1].contains("Envelope-to: equipe@example.org"),
        "{mails:?}"
    );

    // An authority that nobody named is not believed.
    let distrusting = Vigie::with(&channels, &certificate.authority, false);
    let (code, said) = distrusting.test("good");
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("certificate"), "{said}");
    assert_eq!(server.box_().len(), 2);
}

#[test]
#[ignore = "needs Python: tests/run peers"]
fn what_is_signed_or_holds_a_token_arrives_where_it_was_sent_and_nowhere_else() {
    enter_own_network();
    let certificate = Certificate::signed_by("authority of the test", "127.0.0.1", 2040);
    let stranger = Certificate::signed_by("another authority", "127.0.0.1", 2040);
    let clear = Receiver::start(8080);
    let secure = Receiver::start_tls(8443, &certificate.server_pem());
    let strange = Receiver::start_tls(8444, &stranger.server_pem());
    let hook = |name: &str, url: &str| {
        format!(
            "[alert.{name}]\nkind = \"webhook\"\nurl = \"{url}\"\nsecret = \"env:HOOK\"\ntimeout = \"2s\"\n"
        )
    };
    let channels = [
        hook("hook", "https://127.0.0.1:8443/hook"),
        hook("strange", "https://127.0.0.1:8444/hook"),
        hook("moved", "http://127.0.0.1:8080/gone"),
        hook("later", "http://127.0.0.1:8080/broken"),
        hook("closed", "http://127.0.0.1:8081/hook"),
        hook("silent", "http://127.0.0.1:8080/hang"),
        "[alert.am]\nkind = \"alertmanager\"\nurl = \"https://127.0.0.1:8443/am?x=1\"\nsecret = \"env:BEARER\"\n"
            .to_owned(),
        "[alert.nagios]\nkind = \"nagios\"\nurl = \"https://127.0.0.1:8443/nrdp/\"\nsecret = \"env:NRDP\"\n\
         host = \"centre-119\"\n"
            .to_owned(),
        "[alert.token]\nkind = \"nagios\"\nurl = \"https://127.0.0.1:8443/nrdp/\"\nsecret = \"env:WRONG\"\n\
         host = \"centre-119\"\n"
            .to_owned(),
        "[heartbeat]\nurl = \"https://127.0.0.1:8443/ping/abc\"\n".to_owned(),
    ]
    .concat();
    let vigie = Vigie::with(&channels, &certificate.authority, true);

    for name in ["hook", "am", "nagios", "heartbeat"] {
        let (code, said) = vigie.test(name);
        assert_eq!(code, Some(0), "{name}: {said}");
    }
    let requests = secure.requests();
    let [hook, am, nagios, beat] = requests.as_slice() else {
        panic!("{requests:#?}");
    };
    // Python's HMAC and clock agree with ours.
    assert_eq!(hook["signature_is_right"], true, "{hook:#}");
    assert!(hook["age"].as_f64().unwrap().abs() < 5.0, "{hook:#}");
    let body: Value = serde_json::from_str(hook["body"].as_str().unwrap()).unwrap();
    assert_eq!(hook["headers"]["x-vigie-id"], body["id"]);
    assert_eq!(body["alerts"][0]["reason"], "test");

    assert_eq!(am["path"], "/am?x=1");
    assert_eq!(am["headers"]["authorization"], "Bearer s3cret-bearer");
    let body: Value = serde_json::from_str(am["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["version"], "4");
    assert_eq!(body["alerts"][0]["labels"]["alertname"], "VigieTest");

    let form: BTreeMap<_, _> =
        url::form_urlencoded::parse(nagios["body"].as_str().unwrap().as_bytes())
            .into_owned()
            .collect();
    assert_eq!(form["cmd"], "submitcheck");
    let body: Value = serde_json::from_str(&form["JSONDATA"]).unwrap();
    assert_eq!(body["checkresults"][0]["hostname"], "centre-119");

    assert_eq!(beat["method"], "GET");
    assert!(
        beat["path"]
            .as_str()
            .unwrap()
            .starts_with("/ping/abc?fact=0"),
        "{beat:#}"
    );

    for (name, words) in [
        ("strange", "certificate"),
        ("moved", "redirects are not followed"),
        ("later", "503"),
        ("closed", "does not listen"),
        ("silent", "no answer within 2 s"),
        ("token", "BAD TOKEN"),
    ] {
        let (code, said) = vigie.test(name);
        assert_eq!(code, Some(3), "{name}: {said}");
        assert!(said.contains(words), "{name}: {said}");
    }
    assert_eq!(strange.requests().len(), 0);
    // The redirect was not followed.
    let paths: Vec<_> = clear
        .requests()
        .iter()
        .map(|request| request["path"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(paths, ["/gone", "/broken", "/hang"]);
}

/// What the engine does around an outbox, with a clock that the test sets.
struct Desk {
    outbox: Outbox,
    seq: u64,
    now: Utc,
}

impl Desk {
    fn owe(&mut self, reason: Reason, word: Word) {
        self.outbox.owe(Notice::of_incident(
            IncidentId(7),
            reason,
            self.seq,
            "XIVO 1",
            (word, "machine allumée, service arrêté".to_owned()),
            (self.now, self.now),
        ));
        self.decide();
    }

    fn decide(&mut self) {
        while let Some(record) = self.outbox.due(self.now) {
            self.seq += 1;
            self.outbox.apply(self.seq, self.now, &record);
        }
    }

    fn sendable(&mut self) -> Vec<Outgoing> {
        std::iter::from_fn(|| self.outbox.sendable(self.now, self.seq)).collect()
    }

    fn answer(&mut self, id: u64, outcome: Result<(), Failure>) {
        let record = self.outbox.tried(id, outcome);
        self.seq += 1;
        self.outbox.apply(self.seq, self.now, &record);
        self.decide();
    }
}

#[tokio::test]
#[ignore = "needs Exim and Python: tests/run peers"]
async fn a_receiver_that_hangs_delays_nobody_and_a_mail_server_that_was_down_gets_it_all_once() {
    enter_own_network();
    let certificate = certificate();
    let mut server = MailServer::start(&certificate.server_pem());
    let receiver = Receiver::start(8080);
    let channels = [
        "[alert.hangs]\nkind = \"alertmanager\"\nurl = \"http://127.0.0.1:8080/hang\"\ntimeout = \"60s\"\n"
            .to_owned(),
        mail(
            "mail",
            2525,
            "[\"astreinte@example.org\"]",
            "secret = \"file:@SECRET@\"",
        ),
    ]
    .concat();
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("smtp");
    fs::write(&secret, "s3cret-smtp\n").unwrap();
    let channels = channels.replace("@SECRET@", &secret.display().to_string());
    let vigie = Vigie::with(&channels, &certificate.authority, true);
    let senders = vigie.senders();
    let mut desk = Desk {
        outbox: vigie.outbox(),
        seq: 100,
        now: Utc(1_795_525_087_000_000_000),
    };

    desk.owe(Reason::Opened, Word::Down);
    let leaving = desk.sendable();
    let clock = Stopwatch::start();
    let mut hanging = None;
    for outgoing in leaving {
        let senders = Arc::clone(&senders);
        if outgoing.channel.name == "hangs" {
            hanging = Some(tokio::spawn(async move { senders.send(&outgoing).await }));
        } else {
            let outcome = senders.send(&outgoing).await;
            assert_eq!(outcome, Ok(()), "{}", server.log());
            desk.answer(outgoing.id, outcome);
        }
    }
    let hanging = hanging.expect("both are told");
    server.wait_for(1);
    assert!(
        clock.elapsed() < Duration::from_secs(5),
        "{:?}",
        clock.elapsed()
    );
    assert!(!hanging.is_finished());
    assert_eq!(receiver.requests().len(), 1);
    hanging.abort();

    // The mail server dies, and the outage ends.
    server.stop();
    desk.now = desk.now + Duration::from_secs(60);
    desk.owe(Reason::Restored, Word::Good);
    let mut keys = Vec::new();
    for _ in 0..3 {
        for outgoing in desk.sendable() {
            let outcome = senders.send(&outgoing).await;
            assert!(
                outcome.as_ref().is_err_and(|failure| !failure.refused),
                "{outcome:?}"
            );
            keys.push(outgoing.key());
            desk.answer(outgoing.id, outcome);
        }
        desk.now = desk.outbox.deadline(desk.now).expect("it is tried again");
    }
    assert_eq!(keys.len(), 3);
    server.start_again();
    for outgoing in desk.sendable() {
        assert_eq!(outgoing.key(), keys[0]);
        let outcome = senders.send(&outgoing).await;
        assert_eq!(outcome, Ok(()), "{}", server.log());
        desk.answer(outgoing.id, outcome);
    }
    let mails = server.wait_for(2);
    assert_eq!(mails.len(), 2, "{mails:#?}");
    let id = format!("Message-ID: <{}@example.org>", keys[0]);
    assert!(mails[1].contains(&id), "{}", mails[1]);
    assert!(desk.sendable().is_empty());
    assert_eq!(desk.outbox.stuck().count(), 0);
}

//! Nothing that a far end says makes vigie call an emergency number.
//!
//! What a person writes is refused by the check of the configuration and by `vigie probe` (`cli.rs`); here
//! the number called is harmless, and the far end does what it can.

use std::net::SocketAddr;
use std::time::Duration;

use vigie::calls::observe::Outcome;
use vigie::calls::script::{CallPlan, MediaPlan, Task};
use vigie::probe::call::Settings;
use vigie::sip::emergency::is_emergency;

use crate::support::network::{Network, Script, Weather, call, respond};

const FAR: SocketAddr = SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 10)),
    5060,
);

fn quiet_call(number: &str) -> Task {
    Task::Call(CallPlan {
        media: MediaPlan::None,
        hold: Duration::from_secs(1),
        ..call(FAR, number)
    })
}

/// Calls a harmless number at a far end that answers so.
fn called(answers: impl FnMut(&str) -> Vec<String> + 'static) -> (Outcome, Network<Script>) {
    let mut network = Network::joining(Script::at(FAR, answers), Weather::CALM, 1);
    network.start(1, quiet_call("0199001199"));
    let observed = network.result(Duration::from_secs(60));
    // What is still under way must not call either.
    network.run_for(Duration::from_secs(120));
    for line in &network.invites {
        let uri = line.split(' ').nth(1).unwrap();
        assert!(!is_emergency(uri), "left: {line}");
    }
    (observed.outcome, network)
}

#[test]
fn a_redirect_to_one_is_told_and_not_followed() {
    let cases = [
        "<sip:119@192.0.2.10>",
        "<sip:119@192.0.2.10:5060>",
        "<sip:0199001198@192.0.2.10>, <sip:119@192.0.2.10>",
        "\"Accueil\" <sip:%31%31%39@192.0.2.10;user=phone>;q=0.9",
        "<sip:+33119@192.0.2.10>",
        "<tel:119>",
        "<tel:19;phone-context=+331>",
        "<urn:service:sos>",
        "sip:112@192.0.2.10",
    ];
    for contact in cases {
        let (outcome, network) = called(move |request| {
            if request.starts_with("INVITE ") {
                let contact = format!("Contact: {contact}");
                vec![respond(request, "302 Moved Temporarily", &[&contact], "")]
            } else {
                Vec::new()
            }
        });
        assert_eq!(
            outcome,
            Outcome::SentToEmergency { status: 302 },
            "{contact}"
        );
        assert_eq!(network.invites.len(), 1, "{contact}: {:?}", network.invites);
        assert_eq!(network.far.heard("ACK"), 1, "{contact}");
    }
}

#[test]
fn a_redirect_to_one_is_a_verdict_that_says_what_to_mend() {
    let mut network = Network::joining(
        Script::at(FAR, |request| {
            if request.starts_with("INVITE ") {
                let contact = "Contact: <sip:119@192.0.2.10>";
                vec![respond(request, "302 Moved Temporarily", &[contact], "")]
            } else {
                Vec::new()
            }
        }),
        Weather::CALM,
        1,
    );
    network.start(1, quiet_call("0199001199"));
    let observed = network.result(Duration::from_secs(10));
    let settings = Settings::new("sip:0199001199@192.0.2.10", "sip:vigie@192.0.2.50");
    let failure = settings.judge(&observed).failure.expect("not good");
    assert_eq!(failure.code, "emergency_redirect");
    assert!(
        failure.words.contains("take the forwarding off"),
        "{failure:?}"
    );
    let ladder: Vec<&str> = observed.ladder.iter().map(|step| &*step.what).collect();
    assert!(
        ladder
            .iter()
            .any(|step| step.contains("sip:119@192.0.2.10")),
        "{ladder:?}"
    );
}

#[test]
fn a_redirect_by_stages_ends_where_it_turns_dangerous() {
    let mut redirects = 0;
    let (outcome, network) = called(move |request| {
        if !request.starts_with("INVITE ") {
            return Vec::new();
        }
        redirects += 1;
        let contact = match redirects {
            1 => "Contact: <sip:0199001198@192.0.2.10>",
            _ => "Contact: <sip:0,119@192.0.2.10>",
        };
        vec![respond(request, "302 Moved Temporarily", &[contact], "")]
    });
    assert_eq!(outcome, Outcome::SentToEmergency { status: 302 });
    assert_eq!(network.invites.len(), 2, "{:?}", network.invites);
}

/// An answer with the timer of RFC 4028, so that we have to refresh, and no UPDATE to do it with.
const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
                   m=audio 4000 RTP/AVP 8\r\n";

#[test]
fn a_far_end_that_answers_under_one_gets_bye_and_no_invite() {
    let mut network = Network::joining(
        Script::at(FAR, |request| {
            let lines: &[&str] = &[
                "Contact: <sip:119@192.0.2.10>",
                "Record-Route: <sip:192.0.2.10;lr>",
                "Require: timer",
                "Session-Expires: 90;refresher=uac",
                "Allow: INVITE, ACK, BYE",
            ];
            match request.split(' ').next() {
                Some("INVITE") => vec![respond(request, "200 OK", lines, SDP)],
                Some("BYE") => vec![respond(request, "200 OK", &[], "")],
                _ => Vec::new(),
            }
        }),
        Weather::CALM,
        1,
    );
    let Task::Call(plan) = quiet_call("0199001199") else {
        unreachable!("it is a call");
    };
    // Longer than half the session interval: a refresh falls due.
    let hold = Duration::from_secs(60);
    network.start(1, Task::Call(CallPlan { hold, ..plan }));
    let observed = network.result(Duration::from_secs(120));
    assert!(
        matches!(observed.outcome, Outcome::Misbehaved { .. }),
        "{observed:?}"
    );
    assert_eq!(
        network.invites,
        ["INVITE sip:0199001199@192.0.2.10:5060 SIP/2.0"]
    );
    assert_eq!(network.far.heard("BYE"), 1, "{:?}", network.far.heard);
}

#[test]
fn a_transfer_to_one_is_refused() {
    let refer = "REFER sip:vigie@192.0.2.50 SIP/2.0\r\n\
                 Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKrefer\r\n\
                 From: <sip:0199001199@192.0.2.10>;tag=far\r\n\
                 Max-Forwards: 70\r\nCSeq: 1 REFER\r\nRefer-To: <sip:119@192.0.2.10>\r\n\
                 Contact: <sip:far@192.0.2.10>\r\n";
    let (outcome, network) = called(move |request| match request.split(' ').next() {
        Some("INVITE") => {
            let field = |name: &str| {
                let line = request.lines().find(|line| line.starts_with(name));
                line.unwrap()[name.len()..].to_owned()
            };
            let transfer = format!(
                "{refer}To:{}\r\nCall-ID:{}\r\nContent-Length: 0\r\n\r\n",
                field("From:"),
                field("Call-ID:")
            );
            let contact = "Contact: <sip:far@192.0.2.10>";
            vec![respond(request, "200 OK", &[contact], SDP), transfer]
        }
        Some("BYE") => vec![respond(request, "200 OK", &[], "")],
        _ => Vec::new(),
    });
    assert_eq!(outcome, Outcome::Completed { status: 200 });
    assert_eq!(network.invites.len(), 1, "{:?}", network.invites);
    let heard = &network.far.heard;
    assert!(
        heard
            .iter()
            .any(|message| message.starts_with("SIP/2.0 405 ")),
        "{heard:?}"
    );
}

#[test]
fn a_plan_that_slipped_by_every_check_still_does_not_leave() {
    let mut network = Network::joining(Script::at(FAR, |_| Vec::new()), Weather::CALM, 1);
    for (job, number) in (1..).zip(["119", "0199001199", "119"]) {
        network.start(job, quiet_call(number));
        let observed = network.result(Duration::from_secs(60));
        let ours = matches!(observed.outcome, Outcome::Ours { .. });
        assert_eq!(ours, number == "119", "{:?}", observed.outcome);
    }
    assert!(network.invites.iter().all(|line| !line.contains("sip:119")));
}

//! Session timers (RFC 4028): refreshes from either side keep a call, their absence ends it in time.
//!
//! A probe holds a line for thirty seconds at most, and the shortest session interval is ninety: what falls
//! due at half of it comes only in longer calls, by hand or under load. So these hours pass in virtual time;
//! `real_sipp` and `real_asterisk` show the same against peers that we did not write.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use vigie::calls::observe::{Observed, Outcome};
use vigie::calls::script::{CallPlan, MediaPlan, Task};

use crate::support::network::{Network, Script, Weather, call, respond};

const FAR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10)), 5060);
const CONTACT: &str = "Contact: <sip:far@192.0.2.10>";
const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
                   m=audio 4000 RTP/AVP 8\r\n";

/// A far end that answers INVITE with these lines, BYE with 200, the rest as told.
fn far_end(lines: &'static [&str], rest: impl Fn(&str) -> Vec<String> + 'static) -> Script {
    let answered = Cell::new(false);
    Script::at(FAR, move |request| match request.split(' ').next() {
        Some("INVITE") if !answered.replace(true) => {
            let lines = [&[CONTACT], lines].concat();
            vec![respond(request, "200 OK", &lines, SDP)]
        }
        Some("BYE") => vec![respond(request, "200 OK", &[], "")],
        Some("ACK" | "SIP/2.0") | None => Vec::new(),
        Some(_) => rest(request),
    })
}

/// Holds a call for `hold`: what was seen, and when each message of one kind came, in seconds.
fn held(far: Script, hold: u64) -> (Observed, Network<Script>) {
    let mut network = Network::joining(far, Weather::CALM, 1);
    network.start(
        1,
        Task::Call(CallPlan {
            media: MediaPlan::None,
            hold: Duration::from_secs(hold),
            ..call(FAR, "0199001199")
        }),
    );
    let observed = network.result(Duration::from_secs(hold + 60));
    (observed, network)
}

/// When we sent what begins so, in whole seconds.
fn sent(observed: &Observed, start: &str) -> Vec<u64> {
    let steps = observed.ladder.iter();
    let ours = steps.filter(|step| step.direction == vigie::calls::observe::Direction::Sent);
    ours.filter(|step| step.what.starts_with(start) && step.repeat == 0)
        .map(|step| step.at.as_secs())
        .collect()
}

const WE_REFRESH: &[&str] = &[
    "Require: timer",
    "Session-Expires: 90;refresher=uac",
    "Allow: INVITE, ACK, BYE, UPDATE",
];
const WE_REFRESH_BY_INVITE: &[&str] = &[
    "Require: timer",
    "Session-Expires: 90;refresher=uac",
    "Allow: INVITE, ACK, BYE",
];
const THEY_REFRESH: &[&str] = &["Require: timer", "Session-Expires: 90;refresher=uas"];

#[test]
fn we_refresh_at_half_the_interval_by_update() {
    let far = far_end(WE_REFRESH, |request| {
        assert!(
            request.contains("Session-Expires: 90;refresher=uac"),
            "{request}"
        );
        vec![respond(request, "200 OK", WE_REFRESH, "")]
    });
    let (observed, _) = held(far, 200);
    assert_eq!(observed.outcome, Outcome::Completed { status: 200 });
    assert_eq!(sent(&observed, "UPDATE "), [45, 90, 135, 180]);
    assert_eq!(sent(&observed, "BYE "), [200]);
}

#[test]
fn we_refresh_by_invite_where_update_is_not_allowed() {
    let far = far_end(WE_REFRESH_BY_INVITE, |request| {
        let lines = [&[CONTACT], WE_REFRESH_BY_INVITE].concat();
        vec![respond(request, "200 OK", &lines, SDP)]
    });
    let (observed, network) = held(far, 100);
    assert_eq!(observed.outcome, Outcome::Completed { status: 200 });
    assert_eq!(sent(&observed, "INVITE "), [0, 45, 90]);
    // Each refresh repeats our own description: nothing changes but the time.
    let offers: Vec<&String> = network
        .far
        .heard
        .iter()
        .filter(|message| message.starts_with("INVITE "))
        .collect();
    let body = |message: &str| message.split_once("\r\n\r\n").unwrap().1.to_owned();
    assert_eq!(body(offers[0]), body(offers[1]));
    assert_eq!(network.far.heard("ACK"), 3);
}

#[test]
fn an_answer_without_a_timer_ends_the_refreshing_and_not_the_call() {
    let far = far_end(WE_REFRESH, |request| {
        vec![respond(request, "200 OK", &[], "")]
    });
    let (observed, _) = held(far, 300);
    assert_eq!(observed.outcome, Outcome::Completed { status: 200 });
    assert_eq!(sent(&observed, "UPDATE "), [45]);
}

#[test]
fn refreshes_without_success_end_the_call_before_the_far_end_forgets_it() {
    let silent: fn(&str) -> Vec<String> = |_| Vec::new();
    let refused: fn(&str) -> Vec<String> =
        |request| vec![respond(request, "500 Server Internal Error", &[], "")];
    for (case, lines, rest) in [
        ("UPDATE, silence", WE_REFRESH, silent),
        ("UPDATE, refused", WE_REFRESH, refused),
        ("INVITE, silence", WE_REFRESH_BY_INVITE, silent),
        ("INVITE, refused", WE_REFRESH_BY_INVITE, refused),
    ] {
        let (observed, network) = held(far_end(lines, rest), 300);
        let Outcome::Misbehaved { words } = &observed.outcome else {
            panic!("{case}: {:?}", observed.outcome);
        };
        assert!(words.contains("RFC 4028"), "{case}: {words}");
        let byes = sent(&observed, "BYE ");
        assert_eq!(byes.len(), 1, "{case}: {:#?}", observed.ladder);
        assert!(byes[0] < 90, "{case}: {byes:?}");
        assert_eq!(network.far.heard("BYE"), 1, "{case}");
    }
}

#[test]
fn a_dialog_that_the_far_end_has_forgotten_is_over_at_once() {
    let far = far_end(WE_REFRESH, |request| {
        vec![respond(
            request,
            "481 Call/Transaction Does Not Exist",
            &[],
            "",
        )]
    });
    let (observed, _) = held(far, 300);
    assert!(
        matches!(observed.outcome, Outcome::HungUpByFarEnd { .. }),
        "{:?}",
        observed.outcome
    );
    assert_eq!(sent(&observed, "BYE "), [45]);
}

#[test]
fn a_refresh_that_is_too_short_is_sent_again_with_the_interval_asked_for() {
    for lines in [WE_REFRESH, WE_REFRESH_BY_INVITE] {
        let far = far_end(lines, |request| {
            if request.contains("Session-Expires: 1800;refresher=uac") {
                let lines = [CONTACT, "Session-Expires: 1800;refresher=uac"];
                vec![respond(request, "200 OK", &lines, "")]
            } else {
                let min = "Min-SE: 1800";
                vec![respond(
                    request,
                    "422 Session Interval Too Small",
                    &[min],
                    "",
                )]
            }
        });
        let (observed, _) = held(far, 300);
        assert_eq!(observed.outcome, Outcome::Completed { status: 200 });
        let refreshes = [sent(&observed, "UPDATE "), sent(&observed, "INVITE ")].concat();
        let refreshes: Vec<u64> = refreshes.into_iter().filter(|at| *at > 0).collect();
        assert_eq!(refreshes, [45, 46], "{:#?}", observed.ladder);
    }
}

#[test]
fn a_far_end_that_always_wants_longer_is_not_answered_without_end() {
    let wanted = Cell::new(1800);
    let far = far_end(WE_REFRESH, move |request| {
        wanted.set(wanted.get() + 1);
        let min = format!("Min-SE: {}", wanted.get());
        vec![respond(
            request,
            "422 Session Interval Too Small",
            &[&min],
            "",
        )]
    });
    let (observed, network) = held(far, 300);
    assert!(
        matches!(observed.outcome, Outcome::Misbehaved { .. }),
        "{:?}",
        observed.outcome
    );
    assert!(network.far.heard("UPDATE") < 20);
}

#[test]
fn a_call_that_the_far_end_does_not_refresh_is_ended_before_its_time() {
    let (observed, _) = held(far_end(THEY_REFRESH, |_| Vec::new()), 300);
    assert!(
        matches!(observed.outcome, Outcome::Misbehaved { .. }),
        "{:?}",
        observed.outcome
    );
    // A third of the interval before its end (§10).
    assert_eq!(sent(&observed, "BYE "), [60]);
}

#[test]
fn no_refresh_falls_due_in_a_probe() {
    for lines in [WE_REFRESH, WE_REFRESH_BY_INVITE, THEY_REFRESH] {
        let (observed, _) = held(far_end(lines, |_| Vec::new()), 30);
        assert_eq!(observed.outcome, Outcome::Completed { status: 200 });
        assert_eq!(sent(&observed, "INVITE "), [0]);
        assert!(sent(&observed, "UPDATE ").is_empty());
    }
}

#[test]
fn a_call_that_is_too_short_for_a_proxy_is_placed_again_with_its_interval() {
    let seen = Rc::new(Cell::new(0));
    let count = Rc::clone(&seen);
    let far = Script::at(FAR, move |request| match request.split(' ').next() {
        Some("INVITE") if count.replace(count.get() + 1) == 0 => {
            vec![respond(
                request,
                "422 Session Interval Too Small",
                &["Min-SE: 1800"],
                "",
            )]
        }
        Some("INVITE") => {
            assert!(request.contains("Min-SE: 1800\r\n"), "{request}");
            assert!(request.contains("Session-Expires: 1800"), "{request}");
            let lines = [CONTACT, "Session-Expires: 1800;refresher=uas"];
            vec![respond(request, "200 OK", &lines, SDP)]
        }
        Some("BYE") => vec![respond(request, "200 OK", &[], "")],
        _ => Vec::new(),
    });
    let (observed, _) = held(far, 3);
    assert_eq!(observed.outcome, Outcome::Completed { status: 200 });
    assert_eq!(seen.get(), 2);
}

#[test]
fn a_far_end_that_refuses_every_interval_is_not_called_without_end() {
    let far = Script::at(FAR, move |request| {
        if request.starts_with("INVITE ") {
            let min = ["Min-SE: 1800"];
            vec![respond(request, "422 Session Interval Too Small", &min, "")]
        } else {
            Vec::new()
        }
    });
    let (observed, network) = held(far, 3);
    assert!(
        matches!(observed.outcome, Outcome::Refused { status: 422, .. }),
        "{:?}",
        observed.outcome
    );
    assert_eq!(network.far.heard("INVITE"), 3);
}

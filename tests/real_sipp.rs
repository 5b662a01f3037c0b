//! SIPp plays the far ends that a well-behaved PBX cannot be made to be (`sip-scenarios/`); vigie calls
//! them, and both are asked how it went: vigie for its verdict, SIPp for its own count of the call.
//!
//! `tests/run` runs these where SIPp is installed; `cargo test` alone lists them as ignored.

use crate::support::namespace::enter_own_network;
use crate::support::sipp::FarEnd;
use crate::support::vigie::{Report, probe, probe_with};

const ADDRESS: &str = "127.0.0.1:5070";
const URI: &str = "sip:test@127.0.0.1:5070";

/// Calls a far end that plays `scenario`; SIPp must count the call as done by the book.
#[track_caller]
fn call(scenario: &str, options: &[&str], arguments: &[&str]) -> (Report, FarEnd) {
    enter_own_network();
    let mut far_end = FarEnd::plays(scenario, ADDRESS, options);
    let arguments = [&["call", URI], arguments].concat();
    let report = probe_with(&arguments, &[("SECRET", "s3cret")]);
    let by_the_book = far_end.verdict();
    assert_eq!(
        by_the_book,
        Some(0),
        "SIPp says {by_the_book:?}\n{}\nvigie says {:#}",
        far_end.story(),
        report.json
    );
    (report, far_end)
}

#[test]
#[ignore = "needs SIPp: tests/run peers"]
fn a_prompt_is_heard() {
    let (report, _) = call("answer_prompt", &[], &["--hold", "1s"]);
    report.assert_good();
    assert!(
        report.json["rtp"]["received"].as_u64() > Some(20),
        "{:#}",
        report.json
    );
    assert_eq!(report.json["rtp"]["lost"], 0, "{:#}", report.json);
    assert!(report.json["answer_ms"].is_number(), "{:#}", report.json);
    assert!(
        report.json["first_media_ms"].is_number(),
        "{:#}",
        report.json
    );
}

#[test]
#[ignore = "needs SIPp: tests/run peers"]
fn two_phones_that_pick_up_are_one_call() {
    let (report, far_end) = call("forked_200", &[], &["--hold", "1s"]);
    assert_eq!(far_end.requests("BYE"), 2, "{}", far_end.story());
    assert!(report.json["answer_ms"].is_number(), "{:#}", report.json);
}

#[test]
#[ignore = "needs SIPp: tests/run peers"]
fn a_doubled_200_is_one_call() {
    let (report, far_end) = call("retransmitted_200", &["-pause_msg_ign"], &["--hold", "1s"]);
    assert_eq!(far_end.requests("BYE"), 1, "{}", far_end.story());
    assert!(report.json["answer_ms"].is_number(), "{:#}", report.json);
}

#[test]
#[ignore = "needs SIPp: tests/run peers"]
fn an_ack_that_got_lost_is_sent_again() {
    let (report, far_end) = call("lost_ack", &["-pause_msg_ign"], &["--hold", "2s"]);
    assert_eq!(far_end.requests("BYE"), 1, "{}", far_end.story());
    assert!(report.steps("ACK") >= 1, "{:#}", report.json);
}

#[test]
#[ignore = "needs SIPp: tests/run peers"]
fn an_answer_that_crosses_the_cancel_is_ended() {
    let (report, far_end) = call("late_200", &[], &[]);
    assert_eq!(report.verdict(), "down", "{:#}", report.json);
    assert_eq!(far_end.requests("CANCEL"), 1, "{}", far_end.story());
    assert_eq!(far_end.requests("BYE"), 1, "{}", far_end.story());
}

#[test]
#[ignore = "needs SIPp: tests/run peers"]
fn a_phone_that_rings_for_ever_is_cancelled() {
    let (report, far_end) = call("ring_no_answer", &[], &[]);
    assert_eq!(report.verdict(), "down", "{:#}", report.json);
    assert_eq!(report.blame(), "silent", "{:#}", report.json);
    assert_eq!(report.code, Some(2), "{:#}", report.json);
    assert_eq!(far_end.requests("CANCEL"), 1, "{}", far_end.story());
}

#[test]
#[ignore = "needs SIPp: tests/run peers"]
fn silence_is_down_and_gets_no_cancel() {
    let (report, far_end) = call("silent", &[], &[]);
    assert_eq!(report.verdict(), "down", "{:#}", report.json);
    assert_eq!(report.blame(), "silent", "{:#}", report.json);
    assert!(
        far_end.requests("INVITE") >= 2,
        "timer A resends: {}",
        far_end.story()
    );
    assert_eq!(far_end.requests("CANCEL"), 0, "{}", far_end.story());
}

#[test]
#[ignore = "needs SIPp: tests/run peers"]
fn a_busy_line_is_refused_once() {
    let (report, far_end) = call("busy_486", &[], &[]);
    assert_eq!(report.verdict(), "down", "{:#}", report.json);
    assert_eq!(report.blame(), "refused", "{:#}", report.json);
    assert!(report.failure().contains("486"), "{:#}", report.json);
    assert_eq!(far_end.requests("INVITE"), 1, "{}", far_end.story());
}

const ACCOUNT: [&str; 4] = ["--user", "vigie", "--secret", "env:SECRET"];

#[test]
#[ignore = "needs SIPp: tests/run peers"]
fn a_proxy_that_asks_is_told() {
    let (report, far_end) = call("auth_407", &[], &[&ACCOUNT[..], &["--hold", "1s"]].concat());
    assert!(report.json["answer_ms"].is_number(), "{:#}", report.json);
    assert_eq!(far_end.requests("INVITE"), 2, "{}", far_end.story());
    assert!(
        !report.json.to_string().contains("s3cret"),
        "{:#}",
        report.json
    );
}

#[test]
#[ignore = "needs SIPp: tests/run peers"]
fn a_stale_nonce_is_answered_with_the_new_one() {
    let (report, far_end) = call(
        "auth_stale_nonce",
        &[],
        &[&ACCOUNT[..], &["--hold", "1s"]].concat(),
    );
    assert!(report.json["answer_ms"].is_number(), "{:#}", report.json);
    assert_eq!(far_end.requests("INVITE"), 3, "{}", far_end.story());
}

#[test]
#[ignore = "needs SIPp: tests/run peers"]
fn a_call_follows_to_where_it_is_sent() {
    let (report, far_end) = call("redirect_302", &[], &["--hold", "1s"]);
    assert!(report.json["answer_ms"].is_number(), "{:#}", report.json);
    assert_eq!(far_end.requests("INVITE"), 2, "{}", far_end.story());
}

#[test]
#[ignore = "needs SIPp: tests/run peers"]
fn a_call_does_not_go_in_circles() {
    let (report, far_end) = call("redirect_loop", &[], &[]);
    assert_eq!(report.verdict(), "down", "{:#}", report.json);
    assert_ne!(report.blame(), "ours", "{:#}", report.json);
    let invites = far_end.requests("INVITE");
    assert!(
        (2..=10).contains(&invites),
        "{invites} INVITEs: {}",
        far_end.story()
    );
}

#[test]
#[ignore = "needs SIPp: tests/run peers"]
fn a_call_is_never_followed_to_an_emergency_number() {
    let (report, far_end) = call("redirect_emergency", &[], &[]);
    assert_eq!(report.verdict(), "down", "{:#}", report.json);
    assert_eq!(report.blame(), "misbehaved", "{:#}", report.json);
    assert_eq!(report.failure(), "emergency_redirect", "{:#}", report.json);
    assert_eq!(far_end.requests("INVITE"), 1, "{}", far_end.story());
}

#[test]
#[ignore = "needs SIPp: tests/run peers"]
fn a_reliable_provisional_gets_its_prack() {
    let (report, far_end) = call("prack_183", &[], &["--hold", "1s"]);
    assert!(report.json["answer_ms"].is_number(), "{:#}", report.json);
    assert_eq!(far_end.requests("PRACK"), 1, "{}", far_end.story());
}

#[test]
#[ignore = "needs SIPp: tests/run peers"]
fn a_caller_on_hold_stays() {
    let (report, far_end) = call("reinvite_hold", &[], &["--hold", "2s"]);
    assert!(report.json["answer_ms"].is_number(), "{:#}", report.json);
    assert_eq!(far_end.requests("BYE"), 1, "{}", far_end.story());
}

#[test]
#[ignore = "needs SIPp: tests/run peers"]
fn a_session_that_the_far_end_refreshes_goes_on() {
    let (report, far_end) = call("session_refresh", &[], &["--hold", "2s"]);
    assert_eq!(far_end.requests("BYE"), 1, "{}", far_end.story());
    assert_eq!(report.steps("UPDATE sip"), 1, "{:#}", report.json);
    // None of ours: the far end refreshes, and a probe is over before it would be our turn.
    assert_eq!(far_end.requests("UPDATE"), 0, "{}", far_end.story());
    assert_eq!(far_end.requests("INVITE"), 1, "{}", far_end.story());
}

#[test]
#[ignore = "needs SIPp: tests/run peers"]
fn a_session_that_is_too_short_is_asked_for_again() {
    let (report, far_end) = call("session_too_short", &[], &["--hold", "1s"]);
    assert!(report.json["answer_ms"].is_number(), "{:#}", report.json);
    assert_eq!(far_end.requests("INVITE"), 2, "{}", far_end.story());
}

#[test]
#[ignore = "needs SIPp: tests/run peers"]
fn a_line_without_a_voice_is_not_good() {
    let (report, _) = call("one_way_audio", &[], &["--hold", "1s"]);
    assert_ne!(report.verdict(), "good", "{:#}", report.json);
    assert_ne!(report.blame(), "ours", "{:#}", report.json);
    assert_eq!(report.json["rtp"]["received"], 0, "{:#}", report.json);
    assert!(
        report.json["rtp"]["sent"].as_u64() > Some(20),
        "{:#}",
        report.json
    );
}

#[test]
#[ignore = "needs SIPp: tests/run peers"]
fn a_far_end_that_hangs_up_first_is_noticed() {
    let (report, far_end) = call("hangs_up", &[], &["--hold", "3s"]);
    assert_ne!(report.verdict(), "good", "{:#}", report.json);
    assert_eq!(far_end.requests("BYE"), 0, "{}", far_end.story());
}

#[test]
#[ignore = "needs SIPp: tests/run peers"]
fn a_via_that_nobody_can_read_is_survived() {
    let (report, _) = call("malformed_via", &[], &["--hold", "1s"]);
    assert!(report.json["answer_ms"].is_number(), "{:#}", report.json);
}

#[test]
#[ignore = "needs SIPp: tests/run peers"]
fn a_closed_port_is_down_and_not_our_fault() {
    enter_own_network();
    let report = probe(&["call", "sip:test@127.0.0.1:5071"]);
    assert_eq!(report.verdict(), "down", "{:#}", report.json);
    assert_ne!(report.blame(), "ours", "{:#}", report.json);
    assert_eq!(report.code, Some(2), "{:#}", report.json);
}

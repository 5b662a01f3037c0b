//! Real Asterisk servers stand for the plant (`tests/lab`); vigie calls them as it calls the real one.
//!
//! `tests/run` runs these where Asterisk is installed; `cargo test` alone lists them as ignored. What a
//! fault of the plant looks like on the page, and after how many seconds, is `real_faults.rs`.

use std::time::Duration;

use crate::support::patience::wait_for;
use crate::support::plant::{FastAgi, RealPlant};
use crate::support::vigie::{probe, probe_with};

/// What a phone of the lab needs to register.
const SECRET: [(&str, &str); 1] = [("SECRET", "s3cret-4001")];

/// Counts what `log_sip` wrote: a request that came from `method`'s sender.
fn received(log: &str, method: &str) -> usize {
    log.lines()
        .filter(|line| line.starts_with(&format!("{method} sip:")))
        .count()
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn a_phone_registers_at_both_generations_of_pbx_and_leaves_no_trace() {
    let plant = RealPlant::start(&["xivo1", "xivo3"]);
    for (pbx, address) in [("xivo1", "127.0.1.1"), ("xivo3", "127.0.1.3")] {
        plant.log_sip(pbx);
        let aor = format!("sip:4001@{address}");
        let report = probe_with(&["register", &aor, "--secret", "env:SECRET"], &SECRET);
        report.assert_good();
        assert!(report.steps("REGISTER") >= 3, "{pbx}: {:#}", report.json);
        assert!(
            !report.json.to_string().contains("s3cret"),
            "{pbx}: {:#}",
            report.json
        );
        let log = plant.log(pbx);
        assert!(
            log.contains("WWW-Authenticate: Digest"),
            "{pbx} did not ask:\n{log}"
        );
    }
    // The challenges were of two kinds: that is why there are two PBXs here.
    assert!(plant.log("xivo1").contains("qop=\"auth\""));
    assert!(!plant.log("xivo3").contains("qop="));
    let contacts = plant.console("xivo1", "pjsip show aor 4001");
    assert!(!contacts.contains("Contact:  4001/"), "{contacts}");
    let peer = plant.console("xivo3", "sip show peer 4001");
    assert!(peer.contains("Addr->IP     : (null)"), "{peer}");
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn a_wrong_password_is_said_once_and_not_tried_again() {
    let plant = RealPlant::start(&["xivo1", "xivo3"]);
    for (pbx, address) in [("xivo1", "127.0.1.1"), ("xivo3", "127.0.1.3")] {
        plant.log_sip(pbx);
        let aor = format!("sip:4001@{address}");
        let report = probe_with(
            &["register", &aor, "--secret", "env:SECRET"],
            &[("SECRET", "wrong")],
        );
        // Our own lack, and no outage of theirs.
        assert_eq!(report.verdict(), "blind", "{pbx}: {:#}", report.json);
        assert_eq!(
            report.failure(),
            "wrong_password",
            "{pbx}: {:#}",
            report.json
        );
        // fail2ban counts every one of them; two are what a challenge needs.
        let log = plant.log(pbx);
        assert_eq!(
            received(&log, "REGISTER"),
            2,
            "{pbx}: {:#}\n{log}",
            report.json
        );
    }
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn any_answer_to_options_is_a_sign_of_life() {
    let _plant = RealPlant::start(&["xivo1", "xivo3", "patton"]);
    for uri in ["sip:127.0.1.1", "sip:127.0.1.3", "sip:127.0.1.10"] {
        probe(&["options", uri]).assert_good();
    }
    // From an address that the PBX does not know: 401 is an answer too.
    probe(&["options", "sip:127.0.1.1", "--local", "127.0.1.77:0"]).assert_good();
    let nobody = probe(&["options", "sip:127.0.1.2"]);
    assert_eq!(nobody.verdict(), "down", "{:#}", nobody.json);
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn the_test_number_answers_through_the_gateway_signs_and_echoes() {
    let plant = RealPlant::start(&["xivo1", "xivo2", "patton"]);
    plant.log_sip("patton");
    let report = probe(&[
        "call",
        "sip:0199001199@127.0.1.10",
        "--hold",
        "3s",
        "--expect-dtmf",
        "*1#",
    ]);
    report.assert_good();
    assert_eq!(report.json["dtmf"], "*1#", "{:#}", report.json);
    let sent = report.json["rtp"]["sent"].as_u64().expect("packets sent");
    let heard = report.json["rtp"]["received"]
        .as_u64()
        .expect("packets received");
    assert!(
        (100..=200).contains(&sent),
        "20 ms apart for 3 s: {:#}",
        report.json
    );
    assert!(heard > 50, "{:#}", report.json);
    assert_eq!(report.json["rtp"]["lost"], 0, "{:#}", report.json);
    // Nothing is left behind: the call was ended on both sides.
    wait_for("the call ends", Duration::from_secs(2), || {
        plant
            .console("xivo1", "core show channels count")
            .contains("0 active channels")
            .then_some(())
    });
    assert_eq!(
        received(&plant.log("patton"), "BYE"),
        2,
        "ours, and the gateway's own:\n{}",
        plant.log("patton")
    );
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn the_second_pbx_signs_with_its_own_digit() {
    let mut plant = RealPlant::start(&["xivo1", "xivo2", "patton"]);
    plant.kill("xivo1");
    let report = probe(&[
        "call",
        "sip:0199001199@127.0.1.10",
        "--hold",
        "3s",
        "--expect-dtmf",
        "*1#",
    ]);
    assert_eq!(report.json["dtmf"], "*2#", "{:#}", report.json);
    assert_ne!(
        report.verdict(),
        "good",
        "another node than the one expected: {:#}",
        report.json
    );
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn the_older_pbx_takes_a_call_too() {
    let _plant = RealPlant::start(&["xivo3"]);
    let report = probe(&[
        "call",
        "sip:0199001199@127.0.1.3",
        "--hold",
        "3s",
        "--expect-dtmf",
        "*3#",
    ]);
    report.assert_good();
}

#[test]
#[ignore = "needs Asterisk and baresip: tests/run peers"]
fn the_queue_is_answered_by_its_agent() {
    let plant = RealPlant::start(&["xivo1", "xivo2", "patton", "agent-4099"]);
    wait_for("the agent is available", Duration::from_secs(20), || {
        plant
            .console("xivo1", "queue show watch")
            .contains("Not in use")
            .then_some(())
    });
    let report = probe(&[
        "call",
        "sip:0199001198@127.0.1.10",
        "--hold",
        "4s",
        "--expect-dtmf",
        "*1#",
    ]);
    assert!(report.json["answer_ms"].is_number(), "{:#}", report.json);
    assert_eq!(report.json["dtmf"], "*1#", "{:#}", report.json);
    assert!(
        report.json["rtp"]["received"].as_u64() > Some(50),
        "{:#}",
        report.json
    );
    let queue = plant.console("xivo1", "queue show watch");
    assert!(queue.contains("has taken 1 calls"), "{queue}");
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn early_media_then_a_release_gives_its_cause() {
    let _plant = RealPlant::start(&["xivo1", "xivo2", "patton"]);
    for address in ["127.0.1.1", "127.0.1.10"] {
        let report = probe(&["call", &format!("sip:0199001197@{address}")]);
        assert_eq!(report.verdict(), "down", "{:#}", report.json);
        assert_eq!(report.blame(), "refused", "{:#}", report.json);
        assert!(
            report.json["failure"].to_string().contains("31"),
            "{:#}",
            report.json
        );
        assert!(report.steps("183") >= 1, "{:#}", report.json);
        assert!(
            report.json["rtp"]["received"].as_u64() > Some(10),
            "{:#}",
            report.json
        );
    }
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn an_unknown_number_is_refused_with_404() {
    let _plant = RealPlant::start(&["xivo1", "xivo2", "xivo3", "patton"]);
    for address in ["127.0.1.1", "127.0.1.3", "127.0.1.10"] {
        let report = probe(&["call", &format!("sip:0199009999@{address}")]);
        assert_eq!(report.verdict(), "down", "{:#}", report.json);
        assert_eq!(report.blame(), "refused", "{:#}", report.json);
        assert!(
            report.failure().contains("404"),
            "{address}: {:#}",
            report.json
        );
    }
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn a_pbx_without_its_fastagi_answers_options_and_no_call() {
    let _plant = RealPlant::start(&["xivo1"]);
    let fastagi = FastAgi::on("127.0.1.1");
    let number = [
        "call",
        "sip:0199001195@127.0.1.1",
        "--hold",
        "2s",
        "--expect-dtmf",
        "*1#",
    ];
    probe(&number).assert_good();
    drop(fastagi);
    probe(&["options", "sip:127.0.1.1"]).assert_good();
    let report = probe(&number);
    assert_eq!(report.verdict(), "down", "{:#}", report.json);
    assert_eq!(report.blame(), "refused", "{:#}", report.json);
}

#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn media_that_moves_by_re_invite_is_followed() {
    let plant = RealPlant::start_with(
        &["xivo1", "xivo2", "patton"],
        &[("VIGIE_LAB_DIRECT_MEDIA", "yes")],
    );
    plant.log_sip("patton");
    let report = probe(&["call", "sip:0199001199@127.0.1.10", "--hold", "4s"]);
    report.assert_good();
    assert_eq!(report.json["dtmf"], "*1#", "{:#}", report.json);
    let log = plant.log("patton");
    // Ours came in once; more INVITEs written by the gateway than the one to XIVO 1 are re-INVITEs.
    assert!(
        report.steps("INVITE") >= 2,
        "no re-INVITE came: {:#}\n{log}",
        report.json
    );
}

#[test]
#[ignore = "needs Asterisk and baresip: tests/run peers"]
fn an_update_in_the_call_is_answered() {
    let plant = RealPlant::start(&["xivo1", "agent-4099"]);
    plant.log_sip("xivo1");
    wait_for("the agent is available", Duration::from_secs(20), || {
        plant
            .console("xivo1", "queue show watch")
            .contains("Not in use")
            .then_some(())
    });
    // Who answers changes when the queue finds its agent: connected line, sent as UPDATE (RFC 3311).
    let report = probe(&["call", "sip:0199001198@127.0.1.1", "--hold", "4s"]);
    assert!(report.json["answer_ms"].is_number(), "{:#}", report.json);
    assert!(
        report.steps("UPDATE") >= 1,
        "no UPDATE came: {:#}\n{}",
        report.json,
        plant.log("xivo1")
    );
}

/// The only test that waits: half of the shortest session interval there is (RFC 4028 §4, §10).
#[test]
#[ignore = "needs Asterisk: tests/run peers"]
fn a_long_call_outlives_its_session_timer() {
    let plant = RealPlant::start_with(&["xivo1"], &[("VIGIE_LAB_SESSION_EXPIRES", "90")]);
    plant.log_sip("xivo1");
    let report = probe(&["call", "sip:0199001190@127.0.1.1", "--hold", "50s"]);
    report.assert_good();
    let log = plant.log("xivo1");
    assert!(log.contains("Session-Expires: 90;refresher="), "{log}");
    let refreshes = report.steps("UPDATE sip") + report.steps("INVITE sip") - 1;
    assert!(refreshes >= 1, "nobody refreshed: {:#}\n{log}", report.json);
    assert_eq!(report.steps("BYE sip"), 1, "{:#}", report.json);
}

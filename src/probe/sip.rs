//! How a SIP task that did not reach its end is judged: the same words for calls, registrations, OPTIONS.

use super::{Account, Blame, CERTIFICATE_DATES, Failure, Verdict, WRONG_PASSWORD};
use crate::calls::FlowFault;
use crate::calls::observe::{Observed, Outcome};

/// The verdict of an outcome that says everything by itself; `None` where what was heard decides.
pub(super) fn judge(observed: &Observed) -> Option<Verdict> {
    match &observed.outcome {
        Outcome::Completed { .. } | Outcome::HungUpByFarEnd { .. } => None,
        Outcome::Refused {
            status,
            reason,
            cause,
        } => Some(Verdict::down(refused(*status, reason, *cause))),
        Outcome::SentToEmergency { status } => Some(Verdict::down(Failure::new(
            Blame::Misbehaved,
            "emergency_redirect",
            format!(
                "{status}: it sends the call on to an emergency number, where we never call: nothing was \
                 sent there; take the forwarding off the test number"
            ),
        ))),
        Outcome::NoAnswer { heard, after } => {
            let seconds = after.as_secs_f64();
            Some(Verdict::down(match heard {
                None => Failure::new(
                    Blame::Silent,
                    "no_answer",
                    format!(
                        "no SIP answer at all in {seconds:.1} s: the server is dead, hung or cut off; \
                         look at its process and at the way there"
                    ),
                ),
                Some(status) => Failure::new(
                    Blame::Silent,
                    "no_final_answer",
                    format!(
                        "it said {status} and then nothing for {seconds:.1} s: the caller hears it ring \
                         and nobody takes the call; look at the queue and its agents"
                    ),
                ),
            }))
        }
        Outcome::Misbehaved { words } => Some(Verdict::down(Failure::new(
            Blame::Misbehaved,
            "broken_sip",
            words.clone(),
        ))),
        Outcome::Flow(fault) => Some(flow(fault)),
        Outcome::Aborted => Some(Verdict::blind(
            "aborted",
            "the probe was ended before it had seen enough",
        )),
        Outcome::Ours { words } => Some(Verdict::blind("own_fault", words.clone())),
    }
}

fn flow(fault: &FlowFault) -> Verdict {
    match fault {
        FlowFault::Refused { peer } => Verdict::down(Failure::new(
            Blame::Refused,
            "port_closed",
            format!("nobody listens on {peer}: the machine answers, its SIP server does not run"),
        )),
        FlowFault::Unreachable { peer, words } => Verdict::down(Failure::new(
            Blame::Silent,
            "unreachable",
            format!(
                "{peer} cannot be reached ({words}): look at the machine and the network before it"
            ),
        )),
        FlowFault::Dates { words } => Verdict::down(Failure::new(
            Blame::Misbehaved,
            CERTIFICATE_DATES,
            format!("no TLS with it: {words}"),
        )),
        FlowFault::Tls { words } => Verdict::down(Failure::new(
            Blame::Misbehaved,
            "tls",
            format!("no TLS with it: {words}"),
        )),
        FlowFault::NoTrust { words } => Verdict::blind("no_tls_authority", words.clone()),
        FlowFault::Closed => Verdict::down(Failure::new(
            Blame::Misbehaved,
            "connection_closed",
            "it closed the connection before it had answered",
        )),
        FlowFault::Ours { words } => Verdict::blind("own_socket", words.clone()),
    }
}

/// The server refuses an account of ours. That is a fault of our configuration, and says nothing of the
/// server but that it answers.
pub(super) fn login_refused(status: u16, account: &Account) -> Verdict {
    Verdict::blind(
        WRONG_PASSWORD,
        format!(
            "{status}: the server refuses {} with the secret {}: check user, secret and rights, and that \
             fail2ban has not banned this machine; tried again every 10 minutes, or at once on `vigie \
             reload`",
            account.user, account.secret
        ),
    )
}

/// The verdict with how long the far end took to answer.
pub(super) fn measured(verdict: Verdict, observed: &Observed) -> Verdict {
    match observed.answer_after {
        Some(after) => verdict
            .with_took(after)
            .measuring("answer_ms", after.as_secs_f64() * 1000.0),
        None => verdict,
    }
}

/// A final refusal in the words of who has to mend it. The code is `sip_` and the status.
pub(super) fn refused(status: u16, reason: &str, cause: Option<u16>) -> Failure {
    let advice = match status {
        401 | 407 => "it asks for a password, and this probe has no account",
        403 => "it refuses us: check the access list and fail2ban on the server",
        404 => "it does not know this number: check the incoming call (SDA) and its context",
        408 => "the server behind it did not answer in time",
        480 => {
            "nobody can be reached at this number now: check that its phones or agents are registered"
        }
        484 => "it finds the number incomplete",
        486 | 600 => "the number is busy: all channels or agents are taken",
        488 => "no codec in common: it must allow alaw or ulaw",
        500 => "the server met a fault of its own: read its log",
        502 | 504 => "the server behind it failed: look at the PBX behind the gateway",
        503 => "it takes no new calls: stopping, overloaded, or no PBX answers behind the gateway",
        603 => "it declines the call",
        _ => "read what it said",
    };
    let cause = cause.map_or_else(String::new, |cause| {
        format!(", cause {cause} ({})", cause_words(cause))
    });
    Failure::new(
        Blame::Refused,
        format!("sip_{status}"),
        format!("{status} {reason}{cause}: {advice}"),
    )
}

/// The causes of ITU-T Q.850 that a PBX or a gateway gives.
const fn cause_words(cause: u16) -> &'static str {
    match cause {
        1 => "unallocated number",
        16 => "normal clearing",
        17 => "user busy",
        18 => "no user responding",
        19 => "no answer from user",
        20 => "subscriber absent",
        21 => "call rejected",
        27 => "destination out of order",
        28 => "invalid number format",
        31 => "normal, unspecified",
        34 => "no circuit available",
        38 => "network out of order",
        41 => "temporary failure",
        42 => "switching equipment congestion",
        44 => "requested circuit not available",
        47 => "resource unavailable",
        88 => "incompatible destination",
        102 => "recovery on timer expiry",
        127 => "interworking",
        _ => "see ITU-T Q.850",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::calls::observe::RtpSeen;
    use crate::probe::Word;
    use crate::time::Instant;

    /// A call that went as it should: signed, echoed, nothing lost.
    pub(in crate::probe) fn a_good_call() -> Observed {
        Observed {
            started: Instant(0),
            finished: Instant(4_000_000_000),
            outcome: Outcome::Completed { status: 200 },
            progress_after: Some(Duration::from_millis(2)),
            answer_after: Some(Duration::from_millis(9)),
            first_media_after: Some(Duration::from_millis(600)),
            last_media_after: Some(Duration::from_millis(2990)),
            early_media: false,
            dtmf: "*1#".into(),
            echo_dbov: Some(-19.0),
            echoed: None,
            prompt: None,
            leg: None,
            answered: None,
            first_packet_after: Some(Duration::from_millis(40)),
            rtp: RtpSeen {
                sent: 150,
                received: 148,
                lost: 0,
                jitter_ms: 0.4,
                send_late_p99_us: 120,
                receive_lag_p99_us: 90,
                ..RtpSeen::default()
            },
            server: Some("XiVO PBX".into()),
            held: Some(Duration::from_secs(3)),
            goodbye_unanswered: false,
            granted: None,
            ladder: Vec::new(),
            recording: None,
        }
    }

    #[test]
    fn each_outcome_names_who_has_to_act() {
        let peer = ([127, 0, 0, 1], 5060).into();
        let silent = Duration::from_secs(8);
        let cases = [
            (
                Outcome::Refused {
                    status: 503,
                    reason: "Service Unavailable".into(),
                    cause: Some(34),
                },
                (Word::Down, Blame::Refused, "sip_503"),
            ),
            (
                Outcome::NoAnswer {
                    heard: None,
                    after: silent,
                },
                (Word::Down, Blame::Silent, "no_answer"),
            ),
            (
                Outcome::NoAnswer {
                    heard: Some(180),
                    after: silent,
                },
                (Word::Down, Blame::Silent, "no_final_answer"),
            ),
            (
                Outcome::Flow(FlowFault::Refused { peer }),
                (Word::Down, Blame::Refused, "port_closed"),
            ),
            (
                Outcome::Flow(FlowFault::Dates { words: "x".into() }),
                (Word::Down, Blame::Misbehaved, "certificate_dates"),
            ),
            (
                Outcome::Flow(FlowFault::Ours {
                    words: "no free port".into(),
                }),
                (Word::Blind, Blame::Ours, "own_socket"),
            ),
            (
                Outcome::Flow(FlowFault::Tls {
                    words: "the certificate of the far end has expired".into(),
                }),
                (Word::Down, Blame::Misbehaved, "tls"),
            ),
            (
                Outcome::Flow(FlowFault::NoTrust {
                    words: "no authority named".into(),
                }),
                (Word::Blind, Blame::Ours, "no_tls_authority"),
            ),
            (
                Outcome::SentToEmergency { status: 302 },
                (Word::Down, Blame::Misbehaved, "emergency_redirect"),
            ),
            (Outcome::Aborted, (Word::Blind, Blame::Ours, "aborted")),
        ];
        for (outcome, expected) in cases {
            let observed = Observed {
                outcome: outcome.clone(),
                ..a_good_call()
            };
            let verdict = judge(&observed).expect("these outcomes decide alone");
            let failure = verdict.failure.expect("not good");
            assert_eq!(
                (verdict.word, failure.blame, failure.code.as_ref()),
                expected,
                "{outcome:?}"
            );
        }
    }
}

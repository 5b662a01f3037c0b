//! The `call` probe: place a call, listen, hang up; the oracle of a line.

use std::time::Duration;

use super::{Account, Blame, Failure, Verdict, sip};
use crate::calls::observe::{Observed, Outcome};
use crate::calls::script::{CallPlan, Credentials, Keep, MediaPlan, Purpose, Route};
use crate::quality::limits::{Breach, Limits, Measured, breaches};
use crate::sip::Transport;

/// Sound that we sent later than this, one packet in a hundred, says more about us than about the line.
const OWN_LATENESS_US_MAX: u64 = 5_000;

/// Half a second of sound: fewer packets from a foreign host are strays of another call.
const STREAM_PACKETS_MIN: u64 = 25;

/// Our tone at −16 dBm0 comes back at about −19 dBov; weaker than this it is noise, not an echo.
const ECHO_DBOV_MIN: f64 = -45.0;

/// Coming so late to hang up or to give up says that we stood still: overload, suspend, a stepped clock.
const STOOD_STILL: Duration = Duration::from_secs(1);

/// An echo that is silent for so long before we hang up has stopped: no loss and no jitter looks like it.
const STOPPED: Duration = Duration::from_secs(1);

/// A call of eight seconds with RTP of 50 packets a second both ways is 160 kB; four times that is a flood.
const PACKET_BYTES_MAX: usize = 640 << 10;

/// What a person wants to hear of a call that failed.
const HEARD_MAX: Duration = Duration::from_secs(8);

/// What to ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Whom to call (Request-URI): `sip:0199001199@192.0.2.10`. Never an emergency number.
    pub to: String,
    /// Who calls (From URI): the one number of ours that the statistics of the call centre leave out.
    pub from: String,
    /// `host` or `host:port` to send to instead of where `to` points.
    pub proxy: Option<String>,
    pub transport: Transport,
    pub account: Option<Account>,
    /// How long to stay after the answer.
    pub hold: Duration,
    /// A later final response is as bad as none.
    pub answer_within: Duration,
    /// From the answer to the first RTP packet.
    pub media_within: Duration,
    /// One of these must be heard (`*1#`, `*2#`: which PBX answered); empty: none is expected.
    pub signatures: Vec<String>,
    pub hear: Hear,
    /// Digits sent once the far end is heard.
    pub send_dtmf: String,
    /// Where good ends, for each figure of what is heard.
    pub limits: Limits,
}

/// What must be heard for the call to be proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hear {
    /// Our own tone, sent back by the far end: both directions carry sound.
    Echo,
    /// RTP with any content: an announcement, music on hold.
    Anything,
    /// Signalling is all that is asked.
    Nothing,
}

impl Settings {
    /// Three seconds of echo, answered within eight.
    #[must_use]
    pub fn new(to: impl Into<String>, from: impl Into<String>) -> Self {
        Self {
            to: to.into(),
            from: from.into(),
            proxy: None,
            transport: Transport::Udp,
            account: None,
            hold: Duration::from_secs(3),
            answer_within: Duration::from_secs(8),
            media_within: Duration::from_secs(2),
            signatures: Vec::new(),
            hear: Hear::Echo,
            send_dtmf: String::new(),
            limits: Limits::default(),
        }
    }
}

impl Settings {
    /// The task that asks this.
    #[must_use]
    pub fn plan(&self, route: Route, credentials: Option<Credentials>, ladder: bool) -> CallPlan {
        CallPlan {
            route,
            to: self.to.clone(),
            from: self.from.clone(),
            credentials,
            hold: self.hold,
            answer_within: self.answer_within,
            media: match self.hear {
                Hear::Echo => MediaPlan::Tone,
                Hear::Anything => MediaPlan::Silence,
                Hear::Nothing => MediaPlan::None,
            },
            send_dtmf: self.send_dtmf.clone(),
            purpose: if ladder {
                Purpose::Trace
            } else {
                Purpose::Watch
            },
            keep: Some(self.keep()),
            live: false,
        }
    }

    /// What has to be kept to examine the call, and to show what went wrong: eight seconds of sound, or all
    /// that may hold the announcement.
    const fn keep(&self) -> Keep {
        Keep {
            packet_bytes: PACKET_BYTES_MAX,
            heard: HEARD_MAX,
        }
    }

    /// What was seen, as a verdict with its figures.
    #[must_use]
    pub fn judge(&self, observed: &Observed) -> Verdict {
        let verdict = self
            .judge_login(observed)
            .or_else(|| sip::judge(observed))
            .or_else(|| self.judge_source(observed).map(Verdict::degraded))
            .or_else(|| self.judge_sound(observed).map(Verdict::down))
            .or_else(|| self.judge_manners(observed).map(Verdict::degraded))
            .or_else(|| self.judge_quality(observed))
            .unwrap_or_else(|| Verdict::good(observed.answer_after.unwrap_or_default()));
        measured(self.doubted(verdict, observed), observed)
    }

    /// What went wrong while we stood still ourselves is not theirs.
    fn doubted(&self, verdict: Verdict, observed: &Observed) -> Verdict {
        let late = match &observed.outcome {
            Outcome::Completed { .. } => {
                observed.held.unwrap_or_default().saturating_sub(self.hold)
            }
            Outcome::NoAnswer { after, .. } => after.saturating_sub(self.answer_within),
            Outcome::HungUpByFarEnd { .. }
            | Outcome::Refused { .. }
            | Outcome::SentToEmergency { .. }
            | Outcome::Misbehaved { .. }
            | Outcome::Flow(_)
            | Outcome::Aborted
            | Outcome::Ours { .. } => Duration::ZERO,
        };
        match &verdict.failure {
            Some(failure) if late > STOOD_STILL && failure.blame != Blame::Ours => Verdict::blind(
                "own_overload",
                format!(
                    "{}; but we came {:.1} s late ourselves, so nothing is said of the line: relieve this \
                     machine, or look at suspend",
                    failure.words,
                    late.as_secs_f64()
                ),
            ),
            Some(_) | None => verdict,
        }
    }

    /// Sound came, all of it from a host that the SDP does not name: most gateways let it pass, and a
    /// strict firewall does not.
    fn judge_source(&self, observed: &Observed) -> Option<Failure> {
        let elsewhere = observed.rtp.wrong_source;
        if self.hear == Hear::Nothing
            || observed.first_media_after.is_some()
            || elsewhere < STREAM_PACKETS_MIN
        {
            return None;
        }
        let words = format!(
            "{elsewhere} RTP packets came, all from another host than the SDP names: look at its media \
             address (NAT, several interfaces)"
        );
        Some(Failure::new(Blame::Misbehaved, "wrong_source", words))
    }

    /// Which of the signatures was heard: that one and nothing else, for digits too many are another
    /// application.
    #[must_use]
    pub fn signature_in(&self, observed: &Observed) -> Option<&str> {
        let heard = self.signatures.iter().find(|one| **one == observed.dtmf);
        heard.map(String::as_str)
    }

    /// A refused account of ours is not a line that refuses its callers.
    fn judge_login(&self, observed: &Observed) -> Option<Verdict> {
        let account = self.account.as_ref()?;
        if let Outcome::Refused {
            status: status @ (401 | 403 | 407),
            ..
        } = observed.outcome
        {
            Some(sip::login_refused(status, account))
        } else {
            None
        }
    }

    /// An answered call on which the caller would hear nothing, or not be heard, is no call.
    fn judge_sound(&self, observed: &Observed) -> Option<Failure> {
        if self.hear == Hear::Nothing {
            return None;
        }
        let Some(first) = observed.first_media_after else {
            let words = if observed.rtp.first_packet_after.is_some() {
                "answered and signed by digits, and no sound came after them: the caller hears silence"
            } else {
                "answered, and not one RTP packet came: the caller hears silence; \
                 look at the RTP ports, the firewall and the addresses in the SDP"
            };
            return Some(Failure::new(Blame::Silent, "no_media", words));
        };
        // Digits are heard before the sound that follows them.
        let first = observed.rtp.first_packet_after.unwrap_or(first);
        if first > self.media_within {
            return Some(Failure::new(
                Blame::Silent,
                "late_media",
                format!(
                    "the first sound came {} ms after the answer, limit {} ms: callers hang up",
                    first.as_millis(),
                    self.media_within.as_millis()
                ),
            ));
        }
        let echo = observed
            .echo_dbov
            .is_some_and(|level| level >= ECHO_DBOV_MIN);
        // An echo that has not begun because the far end is gone is no one-way audio.
        let gone = observed
            .goodbye_unanswered
            .then(|| self.judge_end_of_sound(observed));
        if let Some(stopped) = gone.flatten() {
            return Some(stopped);
        }
        if self.hear == Hear::Echo && !echo {
            let words = match observed.echo_dbov {
                Some(level) => format!(
                    "our tone came back at {level:.0} dBov only: the caller is hardly heard"
                ),
                None => {
                    "RTP comes, and our own tone does not come back: one-way audio, the caller is \
                         not heard; or this number does not echo"
                        .to_owned()
                }
            };
            return Some(Failure::new(Blame::Misbehaved, "one_way_audio", words));
        }
        self.judge_end_of_sound(observed)
    }

    /// A far end that dies in the call loses no packet by its numbers: the echo just stops.
    fn judge_end_of_sound(&self, observed: &Observed) -> Option<Failure> {
        let we_hung_up = matches!(observed.outcome, Outcome::Completed { .. });
        let last = observed.last_media_after.unwrap_or_default();
        let silent = observed.held.unwrap_or(self.hold).saturating_sub(last);
        if self.hear != Hear::Echo || !we_hung_up || silent <= STOPPED {
            return None;
        }
        Some(Failure::new(
            Blame::Silent,
            "media_stopped",
            format!(
                "the sound stopped {:.1} s after the answer, {:.1} s before we hung up: the far end died in \
                 the call, or the way there broke",
                last.as_secs_f64(),
                silent.as_secs_f64()
            ),
        ))
    }

    /// The call can be held, but something is not as agreed.
    fn judge_manners(&self, observed: &Observed) -> Option<Failure> {
        if let Outcome::HungUpByFarEnd { after, cause } = &observed.outcome
            && *after < self.hold
        {
            let cause = cause.map_or_else(String::new, |cause| format!(" with cause {cause}"));
            return Some(Failure::new(
                Blame::Misbehaved,
                "hung_up_early",
                format!(
                    "it hung up{cause} {:.1} s after the answer, before we did",
                    after.as_secs_f64()
                ),
            ));
        }
        if observed.goodbye_unanswered {
            return Some(Failure::new(
                Blame::Silent,
                "goodbye_unanswered",
                "our BYE had no answer: the far end died at the end of the call, or keeps a channel taken",
            ));
        }
        if self.signatures.is_empty() || self.signature_in(observed).is_some() {
            return None;
        }
        let expected = self.signatures.join(" or ");
        Some(if observed.dtmf.is_empty() {
            Failure::new(
                Blame::Misbehaved,
                "no_signature",
                format!(
                    "no DTMF signature was heard, {expected} was expected: another application answers \
                     this number, or the gateway drops DTMF (RFC 4733)"
                ),
            )
        } else {
            Failure::new(
                Blame::Misbehaved,
                "wrong_signature",
                format!(
                    "signed {:?}, {expected} was expected: another PBX or another application answered",
                    observed.dtmf
                ),
            )
        })
    }

    /// Loss and jitter; when our own thread was late they say nothing about the line.
    fn judge_quality(&self, observed: &Observed) -> Option<Verdict> {
        if self.hear == Hear::Nothing {
            return None;
        }
        let rtp = &observed.rtp;
        let measured = Measured {
            loss_percent: Some(rtp.loss_percent()),
            jitter_ms: Some(rtp.jitter_ms),
            ..Measured::default()
        };
        let failure = broken(breaches(&self.limits, &measured).first()?);
        // The call is proven all the same; that we are late is told as a fault of our own.
        let late = rtp.send_late_p99_us.max(rtp.receive_lag_p99_us);
        (late <= OWN_LATENESS_US_MAX).then(|| Verdict::degraded(failure))
    }
}

/// The worst breach as a failure; its code is the key of the metric.
fn broken(breach: &Breach) -> Failure {
    Failure::new(Blame::Misbehaved, breach.metric.key(), breach.to_string())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of packets stay far below 2^52"
)]
const fn figure(count: u64) -> f64 {
    count as f64
}

fn measured(verdict: Verdict, observed: &Observed) -> Verdict {
    let ms = |span: Duration| span.as_secs_f64() * 1000.0;
    let mut verdict = sip::measured(verdict, observed);
    if let Some(after) = observed.first_media_after {
        let rtp = &observed.rtp;
        verdict = verdict
            .measuring("first_media_ms", ms(after))
            .measuring("rtp_sent_packets", figure(rtp.sent))
            .measuring("rtp_received_packets", figure(rtp.received))
            .measuring("rtp_loss_percent", rtp.loss_percent())
            .measuring("rtp_jitter_ms", rtp.jitter_ms)
            .measuring("own_send_late_p99_us", figure(rtp.send_late_p99_us))
            .measuring("own_receive_lag_p99_us", figure(rtp.receive_lag_p99_us));
    }
    if let Some(level) = observed.echo_dbov {
        verdict = verdict.measuring("echo_dbov", level);
    }
    if let Some(echoed) = &observed.echoed {
        verdict = verdict.measuring("audio_round_trip_ms", ms(echoed.round_trip));
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::observe::RtpSeen;
    use crate::probe::Word;
    use crate::probe::sip::tests::a_good_call;

    fn settings() -> Settings {
        Settings {
            signatures: vec!["*1#".into(), "*2#".into()],
            ..Settings::new("sip:0199001199@127.0.1.10", "sip:vigie@127.0.1.50")
        }
    }

    #[test]
    fn what_a_caller_would_hear_decides() {
        let good = a_good_call();
        let rtp = |lost, jitter_ms, send_late_p99_us| RtpSeen {
            lost,
            jitter_ms,
            send_late_p99_us,
            ..good.rtp.clone()
        };
        let cases = [
            ("signed and echoed", good.clone(), Word::Good, None),
            (
                "silence after the answer",
                Observed {
                    first_media_after: None,
                    last_media_after: None,
                    ..good.clone()
                },
                Word::Down,
                Some("no_media"),
            ),
            (
                "digits, and silence after them",
                Observed {
                    first_media_after: None,
                    rtp: RtpSeen {
                        first_packet_after: Some(Duration::from_millis(300)),
                        ..good.rtp.clone()
                    },
                    ..good.clone()
                },
                Word::Down,
                Some("no_media"),
            ),
            (
                "a stray packet of another call, and silence",
                Observed {
                    first_media_after: None,
                    last_media_after: None,
                    rtp: RtpSeen {
                        wrong_source: 1,
                        ..good.rtp.clone()
                    },
                    ..good.clone()
                },
                Word::Down,
                Some("no_media"),
            ),
            (
                "sound from another host than the SDP names",
                Observed {
                    first_media_after: None,
                    rtp: RtpSeen {
                        wrong_source: 120,
                        ..good.rtp.clone()
                    },
                    ..good.clone()
                },
                Word::Degraded,
                Some("wrong_source"),
            ),
            (
                "we are not heard",
                Observed {
                    echo_dbov: None,
                    ..good.clone()
                },
                Word::Down,
                Some("one_way_audio"),
            ),
            (
                "hardly heard",
                Observed {
                    echo_dbov: Some(-60.0),
                    ..good.clone()
                },
                Word::Down,
                Some("one_way_audio"),
            ),
            (
                "the echo stops in the middle",
                Observed {
                    last_media_after: Some(Duration::from_millis(1200)),
                    ..good.clone()
                },
                Word::Down,
                Some("media_stopped"),
            ),
            (
                "the far end hangs up, and its sound ends with it",
                Observed {
                    outcome: Outcome::HungUpByFarEnd {
                        after: Duration::from_millis(1200),
                        cause: None,
                    },
                    last_media_after: Some(Duration::from_millis(1200)),
                    ..good.clone()
                },
                Word::Degraded,
                Some("hung_up_early"),
            ),
            (
                "the far end is gone before the echo began",
                Observed {
                    echo_dbov: None,
                    last_media_after: Some(Duration::from_millis(700)),
                    goodbye_unanswered: true,
                    ..good.clone()
                },
                Word::Down,
                Some("media_stopped"),
            ),
            (
                "it lives, and hears nothing to send back",
                Observed {
                    echo_dbov: None,
                    last_media_after: Some(Duration::from_millis(700)),
                    ..good.clone()
                },
                Word::Down,
                Some("one_way_audio"),
            ),
            (
                "we slept through the second half",
                Observed {
                    held: Some(Duration::from_secs(600)),
                    last_media_after: Some(Duration::from_millis(1500)),
                    ..good.clone()
                },
                Word::Blind,
                Some("own_overload"),
            ),
            (
                "nobody answers our BYE",
                Observed {
                    goodbye_unanswered: true,
                    ..good.clone()
                },
                Word::Degraded,
                Some("goodbye_unanswered"),
            ),
            (
                "sound after three seconds",
                Observed {
                    first_media_after: Some(Duration::from_secs(3)),
                    ..good.clone()
                },
                Word::Down,
                Some("late_media"),
            ),
            (
                "signed by nobody",
                Observed {
                    dtmf: String::new(),
                    ..good.clone()
                },
                Word::Degraded,
                Some("no_signature"),
            ),
            (
                "signed by a third PBX",
                Observed {
                    dtmf: "*3#".into(),
                    ..good.clone()
                },
                Word::Degraded,
                Some("wrong_signature"),
            ),
            (
                "hung up on us",
                Observed {
                    outcome: Outcome::HungUpByFarEnd {
                        after: Duration::from_secs(1),
                        cause: Some(16),
                    },
                    ..good.clone()
                },
                Word::Degraded,
                Some("hung_up_early"),
            ),
            (
                "one packet in ten lost",
                Observed {
                    rtp: rtp(17, 0.4, 100),
                    ..good.clone()
                },
                Word::Degraded,
                Some("loss_percent"),
            ),
            (
                "jitter",
                Observed {
                    rtp: rtp(0, 55.0, 100),
                    ..good.clone()
                },
                Word::Degraded,
                Some("jitter_ms"),
            ),
            (
                "jitter of our own making",
                Observed {
                    rtp: rtp(0, 55.0, 9_000),
                    ..good.clone()
                },
                Word::Good,
                None,
            ),
        ];
        for (name, observed, word, code) in cases {
            let verdict = settings().judge(&observed);
            let failure = verdict.failure.map(|failure| failure.code.into_owned());
            assert_eq!((verdict.word, failure.as_deref()), (word, code), "{name}");
        }
    }

    #[test]
    fn a_signature_is_heard_exactly_where_the_verdict_says_so() {
        for (dtmf, heard) in [
            ("*1#", Some("*1#")),
            ("*2#", Some("*2#")),
            ("", None),
            ("*3#", None),
            ("*1#*2#", None),
            ("9*1#", None),
        ] {
            let observed = Observed {
                dtmf: dtmf.into(),
                ..a_good_call()
            };
            assert_eq!(settings().signature_in(&observed), heard, "{dtmf}");
            let is_good = settings().judge(&observed).word == Word::Good;
            assert_eq!(is_good, heard.is_some(), "{dtmf}");
        }
    }

    #[test]
    fn a_refused_account_blames_us_and_a_refused_caller_blames_them() {
        let account = Account {
            user: "vigie".into(),
            secret: crate::secret::SecretRef::Env("SECRET".into()),
        };
        let cases = [
            (Some(&account), 401, Word::Blind, "wrong_password"),
            (Some(&account), 403, Word::Blind, "wrong_password"),
            (Some(&account), 503, Word::Down, "sip_503"),
            (None, 401, Word::Down, "sip_401"),
            (None, 403, Word::Down, "sip_403"),
        ];
        for (account, status, word, code) in cases {
            let settings = Settings {
                account: account.cloned(),
                ..settings()
            };
            let verdict = settings.judge(&Observed {
                outcome: Outcome::Refused {
                    status,
                    reason: "no".into(),
                    cause: None,
                },
                ..a_good_call()
            });
            assert_eq!(verdict.word, word, "{account:?} {status}");
            assert_eq!(verdict.failure.unwrap().code, code, "{account:?} {status}");
        }
    }

    #[test]
    fn a_call_for_signalling_alone_needs_no_sound() {
        let settings = Settings {
            hear: Hear::Nothing,
            signatures: Vec::new(),
            ..settings()
        };
        let silent = Observed {
            first_media_after: None,
            echo_dbov: None,
            ..a_good_call()
        };
        assert_eq!(settings.judge(&silent).word, Word::Good);
    }
}

//! The `call` probe: place a call, listen, hang up; the oracle of a line.

mod heard;
mod sound;

use std::time::Duration;

use heard::Heard;

use super::prompt::Prompt;
use super::{Account, Blame, Failure, Verdict, sip};
use crate::calls::observe::{Observed, Outcome};
use crate::calls::script::{CallPlan, Credentials, Keep, MediaPlan, Purpose, Route};
use crate::quality::leg::Report;
use crate::quality::limits::{Limits, Severity, breaches};
use crate::sip::Transport;

/// Coming so late to hang up or to give up says that we stood still: overload, suspend, a stepped clock.
const STOOD_STILL: Duration = Duration::from_secs(1);

/// A call of eight seconds with RTP of 50 packets a second both ways takes some 200 kB; three times that is a flood.
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
    /// The announcement that must play.
    pub prompt: Option<Prompt>,
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
    /// RTP with any content: an announcement, music on hold. We are silent meanwhile, so a number that echoes
    /// would be silent too.
    Anything,
    /// The same, and our tone goes out and is measured if it comes back: for an engineer who tries a number.
    AnythingWithOurTone,
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
            prompt: None,
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
                Hear::Echo | Hear::AnythingWithOurTone => MediaPlan::Tone,
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
    fn keep(&self) -> Keep {
        let heard = match &self.prompt {
            Some(_) => HEARD_MAX.max(self.hold + Duration::from_secs(1)),
            None => HEARD_MAX,
        };
        Keep {
            packet_bytes: PACKET_BYTES_MAX,
            heard,
        }
    }

    /// What was seen, as a verdict with its figures.
    #[must_use]
    pub fn judge(&self, observed: &Observed) -> Verdict {
        self.judge_and_report(observed).0
    }

    /// The verdict, and the whole report of what was heard that it rests on; `None` when the call was not answered or
    /// had no sound.
    #[must_use]
    pub fn judge_and_report(&self, observed: &Observed) -> (Verdict, Option<Report>) {
        let report = heard::report(observed, self.hear);
        let heard = Heard::of(observed, report.as_ref());
        (self.judge_heard(observed, &heard), report)
    }

    fn judge_heard(&self, observed: &Observed, heard: &Heard) -> Verdict {
        let verdict = self
            .judge_login(observed)
            .or_else(|| sip::judge(observed))
            .or_else(|| self.judge_sound(observed, heard))
            .or_else(|| self.judge_manners(observed).map(Verdict::degraded))
            .or_else(|| {
                // What we dropped ourselves is missing from the recording.
                let prompt = self.prompt.as_ref().filter(|_| !heard.excluded)?;
                prompt.judge(observed).map(Verdict::degraded)
            })
            .or_else(|| self.judge_quality(heard))
            .unwrap_or_else(|| Verdict::good(observed.answer_after.unwrap_or_default()));
        let verdict = sip::measured(self.doubted(verdict, observed), observed);
        heard.measures(verdict, observed)
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

    /// The figures of what was heard against the limits of this line; when our own thread was late they say
    /// nothing about it, and that is told as a fault of our own.
    fn judge_quality(&self, heard: &Heard) -> Option<Verdict> {
        if self.hear == Hear::Nothing || heard.excluded {
            return None;
        }
        let breaches = breaches(&self.limits, &heard.measured);
        let worst = breaches.first()?;
        let words: Vec<String> = breaches.iter().map(ToString::to_string).collect();
        let failure = Failure::new(Blame::Misbehaved, worst.metric.key(), words.join("; "));
        // Only the opinion score counts towards down by the agreed rule, whatever else is as bad.
        let severe_voice = breaches
            .iter()
            .any(|breach| breach.metric.is_opinion() && breach.severity >= Severity::Severe);
        Some(match worst.severity {
            Severity::Down => Verdict::down(failure),
            Severity::Severe | Severity::Degraded if severe_voice => {
                Verdict::degraded(failure.severe())
            }
            Severity::Severe | Severity::Degraded => Verdict::degraded(failure),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Word;
    use crate::probe::sip::tests::a_good_call;
    use crate::quality::limits::Measured;
    use crate::quality::media_state::MediaState;
    use crate::quality::scale::Mos;

    fn settings() -> Settings {
        Settings {
            signatures: vec!["*1#".into(), "*2#".into()],
            ..Settings::new("sip:0199001199@127.0.1.10", "sip:vigie@127.0.1.50")
        }
    }

    #[test]
    fn what_a_caller_would_hear_decides() {
        let good = a_good_call();
        let measured = |loss_percent, jitter_ms| Measured {
            loss_percent: Some(loss_percent),
            jitter_ms: Some(jitter_ms),
            ..Measured::default()
        };
        let heard = |state| Heard {
            state,
            measured: measured(0.0, 0.4),
            longest_hole: Duration::ZERO,
            active: Duration::from_secs(2),
            excluded: false,
        };
        let fine = heard(MediaState::Ok);
        let silent = Observed {
            first_media_after: None,
            first_packet_after: None,
            last_media_after: None,
            echo_dbov: None,
            ..good.clone()
        };
        let cases = [
            (
                "signed and echoed",
                good.clone(),
                fine.clone(),
                Word::Good,
                None,
            ),
            (
                "silence after the answer",
                silent.clone(),
                heard(MediaState::NoMedia),
                Word::Down,
                Some("no_media"),
            ),
            (
                "digits, and silence after them",
                Observed {
                    first_packet_after: Some(Duration::from_millis(300)),
                    ..silent.clone()
                },
                heard(MediaState::NoMedia),
                Word::Down,
                Some("no_media"),
            ),
            (
                "sound from another host",
                silent.clone(),
                heard(MediaState::WrongSrc),
                Word::Degraded,
                Some("wrong_source"),
            ),
            (
                "sound of another type",
                silent,
                heard(MediaState::WrongPt),
                Word::Down,
                Some("wrong_payload"),
            ),
            (
                "nothing but hiss",
                good.clone(),
                heard(MediaState::CnOnly),
                Word::Down,
                Some("comfort_noise_only"),
            ),
            (
                "packets of nothing",
                good.clone(),
                heard(MediaState::DigitalSilence),
                Word::Down,
                Some("digital_silence"),
            ),
            (
                "faint",
                good.clone(),
                heard(MediaState::LowLevel),
                Word::Degraded,
                Some("low_level"),
            ),
            (
                "we are not heard",
                Observed {
                    echo_dbov: None,
                    ..good.clone()
                },
                heard(MediaState::OneWay),
                Word::Down,
                Some("one_way_audio"),
            ),
            (
                "the echo stops in the middle",
                Observed {
                    last_media_after: Some(Duration::from_millis(1200)),
                    ..good.clone()
                },
                heard(MediaState::Stopped),
                Word::Down,
                Some("media_stopped"),
            ),
            (
                "the echo is gone for a while",
                Observed {
                    last_media_after: Some(Duration::from_millis(2990)),
                    held: Some(Duration::from_secs(3)),
                    ..good.clone()
                },
                Heard {
                    longest_hole: Duration::from_millis(1300),
                    ..heard(MediaState::Stopped)
                },
                Word::Degraded,
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
                heard(MediaState::Stopped),
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
                heard(MediaState::Stopped),
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
                heard(MediaState::Stopped),
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
                heard(MediaState::Stopped),
                Word::Blind,
                Some("own_overload"),
            ),
            (
                "nobody answers our BYE",
                Observed {
                    goodbye_unanswered: true,
                    ..good.clone()
                },
                fine.clone(),
                Word::Degraded,
                Some("goodbye_unanswered"),
            ),
            (
                "sound after three seconds",
                Observed {
                    first_media_after: Some(Duration::from_secs(3)),
                    first_packet_after: Some(Duration::from_secs(3)),
                    ..good.clone()
                },
                fine.clone(),
                Word::Down,
                Some("late_media"),
            ),
            (
                "signed by nobody",
                Observed {
                    dtmf: String::new(),
                    ..good.clone()
                },
                fine.clone(),
                Word::Degraded,
                Some("no_signature"),
            ),
            (
                "signed by a third PBX",
                Observed {
                    dtmf: "*3#".into(),
                    ..good.clone()
                },
                fine.clone(),
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
                fine.clone(),
                Word::Degraded,
                Some("hung_up_early"),
            ),
            (
                "one packet in ten lost",
                good.clone(),
                Heard {
                    measured: measured(10.0, 0.4),
                    ..fine.clone()
                },
                Word::Degraded,
                Some("loss_percent"),
            ),
            (
                "jitter",
                good.clone(),
                Heard {
                    measured: measured(0.0, 55.0),
                    ..fine.clone()
                },
                Word::Degraded,
                Some("jitter_ms"),
            ),
            (
                "jitter of our own making",
                good.clone(),
                Heard {
                    measured: measured(0.0, 55.0),
                    longest_hole: Duration::ZERO,
                    active: Duration::from_secs(2),
                    excluded: true,
                    ..fine.clone()
                },
                Word::Good,
                None,
            ),
            (
                "as good as no call",
                good,
                Heard {
                    measured: Measured {
                        mos_cq: Some(Mos::new(2.0)),
                        ..Measured::default()
                    },
                    ..fine
                },
                Word::Down,
                Some("mos_cq"),
            ),
        ];
        for (name, observed, heard, word, code) in cases {
            let verdict = settings().judge_heard(&observed, &heard);
            let failure = verdict.failure.map(|failure| failure.code.into_owned());
            assert_eq!((verdict.word, failure.as_deref()), (word, code), "{name}");
        }
    }

    #[test]
    fn after_an_announcement_silence_may_follow() {
        let settings = Settings {
            hear: Hear::Anything,
            signatures: Vec::new(),
            ..settings()
        };
        let heard = |state, active_ms| Heard {
            state,
            measured: Measured::default(),
            longest_hole: Duration::ZERO,
            active: Duration::from_millis(active_ms),
            excluded: false,
        };
        let held = |seconds| Observed {
            held: Some(Duration::from_secs(seconds)),
            ..a_good_call()
        };
        let gone = Observed {
            goodbye_unanswered: true,
            ..a_good_call()
        };
        let (stopped, silent) = (MediaState::Stopped, MediaState::DigitalSilence);
        for (name, observed, heard, word) in [
            ("it ended", a_good_call(), heard(stopped, 2000), Word::Good),
            (
                "and then nothing",
                a_good_call(),
                heard(silent, 2000),
                Word::Good,
            ),
            (
                "a packet of nothing, and no more",
                a_good_call(),
                heard(stopped, 0),
                Word::Down,
            ),
            (
                "a syllable, and the PBX was gone",
                a_good_call(),
                heard(stopped, 300),
                Word::Down,
            ),
            (
                "an announcement, and the PBX was gone",
                gone,
                heard(stopped, 2000),
                Word::Down,
            ),
            (
                "nothing for three seconds",
                a_good_call(),
                heard(silent, 0),
                Word::Degraded,
            ),
            (
                "a hiss for three seconds",
                a_good_call(),
                heard(MediaState::CnOnly, 0),
                Word::Degraded,
            ),
            ("nothing for five", held(5), heard(silent, 0), Word::Down),
        ] {
            let settings = Settings {
                hold: observed.held.unwrap_or(settings.hold),
                ..settings.clone()
            };
            assert_eq!(settings.judge_heard(&observed, &heard).word, word, "{name}");
        }
    }

    #[test]
    fn every_breach_is_told_the_worst_first() {
        let heard = Heard {
            state: MediaState::Ok,
            measured: Measured {
                loss_percent: Some(2.0),
                loss_run: Some(9),
                mos_cq: Some(Mos::new(3.0)),
                ..Measured::default()
            },
            longest_hole: Duration::ZERO,
            active: Duration::from_secs(2),
            excluded: false,
        };
        let failure = settings()
            .judge_heard(&a_good_call(), &heard)
            .failure
            .unwrap();
        assert_eq!(
            failure.words,
            "MOS-CQ 3, limit 3.1; packet loss 2 %, limit 1 %; longest run of lost packets 9, limit 4"
        );
    }

    #[test]
    fn only_the_opinion_score_makes_a_call_severe() {
        let none = Measured::default();
        for (name, measured, word, severe) in [
            (
                "some complain",
                Measured {
                    mos_cq: Some(Mos::new(3.2)),
                    ..none
                },
                Word::Degraded,
                false,
            ),
            (
                "many complain",
                Measured {
                    mos_cq: Some(Mos::new(3.0)),
                    ..none
                },
                Word::Degraded,
                true,
            ),
            (
                "of G.722",
                Measured {
                    mos_cq_wideband: Some(Mos::new(3.0)),
                    ..none
                },
                Word::Degraded,
                true,
            ),
            (
                "of Opus",
                Measured {
                    mos_cq_fullband: Some(Mos::new(3.0)),
                    ..none
                },
                Word::Degraded,
                true,
            ),
            (
                "among others",
                Measured {
                    mos_cq: Some(Mos::new(3.0)),
                    loss_percent: Some(9.0),
                    active_dbov: Some(-60.0),
                    ..none
                },
                Word::Degraded,
                true,
            ),
            (
                "much is lost, and the score is only degraded",
                Measured {
                    mos_cq: Some(Mos::new(3.2)),
                    loss_percent: Some(9.0),
                    active_dbov: Some(-60.0),
                    ..none
                },
                Word::Degraded,
                false,
            ),
            (
                "down already",
                Measured {
                    mos_cq: Some(Mos::new(2.5)),
                    ..none
                },
                Word::Down,
                false,
            ),
        ] {
            let heard = Heard {
                state: MediaState::Ok,
                measured,
                longest_hole: Duration::ZERO,
                active: Duration::from_secs(2),
                excluded: false,
            };
            let verdict = settings().judge_heard(&a_good_call(), &heard);
            assert_eq!(verdict.word, word, "{name}");
            assert_eq!(verdict.failure.unwrap().severe, severe, "{name}");
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
            let fine = Heard {
                state: MediaState::Ok,
                measured: Measured::default(),
                longest_hole: Duration::ZERO,
                active: Duration::from_secs(2),
                excluded: false,
            };
            let is_good = settings().judge_heard(&observed, &fine).word == Word::Good;
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

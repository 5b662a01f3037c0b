//! What the sound of an answered call says of it: a call on which the caller hears nothing, or is not heard, is no call.

use std::time::Duration;

use super::heard::{Heard, is_echoed};
use super::{Hear, Settings};
use crate::calls::observe::{Observed, Outcome};
use crate::probe::{Blame, Failure, Verdict};
use crate::quality::media_state::MediaState;

impl Settings {
    pub(super) fn judge_sound(&self, observed: &Observed, heard: &Heard) -> Option<Verdict> {
        if self.hear == Hear::Nothing {
            return None;
        }
        if let Some(late) = self.judge_delay(observed) {
            return Some(Verdict::down(late));
        }
        match heard.state {
            MediaState::Ok => None,
            MediaState::NoMedia => Some(Verdict::down(no_media(observed))),
            // Most gateways let it pass; a strict firewall does not.
            MediaState::WrongSrc => Some(Verdict::degraded(Failure::new(
                Blame::Misbehaved,
                "wrong_source",
                "all RTP came from another host than the SDP names: look at its media address (NAT, several \
                 interfaces)",
            ))),
            MediaState::WrongPt => Some(Verdict::down(Failure::new(
                Blame::Misbehaved,
                "wrong_payload",
                "all RTP came with a payload type that was not agreed, or with a size that its codec cannot have: the \
                 caller hears noise or nothing; look at the codecs and at transcoding",
            ))),
            MediaState::Stopped => self.judge_stopped(observed, heard),
            MediaState::CnOnly => Some(self.nothing_said(
                observed,
                "comfort_noise_only",
                "RTP comes and carries comfort noise only: the caller hears a hiss; look at what should speak there",
            )),
            // After an announcement silence may follow.
            MediaState::DigitalSilence if self.hear != Hear::Echo && heard.active >= SAID_MIN => None,
            MediaState::DigitalSilence => Some(self.nothing_said(
                observed,
                "digital_silence",
                "RTP comes and carries nothing: packets without loss, and the caller hears silence; look at what should \
                 speak there, and at muted or broken audio in the PBX",
            )),
            MediaState::OneWay => Some(Verdict::down(one_way(observed))),
            MediaState::LowLevel => Some(Verdict::degraded(Failure::new(
                Blame::Misbehaved,
                "low_level",
                format!(
                    "the sound is hardly heard: {:.0} dBov; look at gains and at the recording",
                    heard.measured.active_dbov.unwrap_or_default()
                ),
            ))),
        }
    }

    fn judge_delay(&self, observed: &Observed) -> Option<Failure> {
        let first_sound = observed.first_media_after?;
        // Digits are heard before the sound that follows them.
        let first = observed.first_packet_after.unwrap_or(first_sound);
        (first > self.media_within).then(|| {
            Failure::new(
                Blame::Silent,
                "late_media",
                format!(
                    "the first sound came {} ms after the answer, limit {} ms: callers hang up",
                    first.as_millis(),
                    self.media_within.as_millis()
                ),
            )
        })
    }

    /// A far end that dies in the call loses no packet by its numbers: the echo just stops. An announcement may end.
    fn judge_stopped(&self, observed: &Observed, heard: &Heard) -> Option<Verdict> {
        if !matches!(observed.outcome, Outcome::Completed { .. }) {
            return None;
        }
        let ended = heard.active >= SAID_MIN && !observed.goodbye_unanswered;
        if self.hear != Hear::Echo && ended {
            return None;
        }
        // An echo that has not begun although the far end lives: it has nothing to send back.
        if self.hear == Hear::Echo && !is_echoed(observed) && !observed.goodbye_unanswered {
            return Some(Verdict::down(one_way(observed)));
        }
        let last = observed.last_media_after.unwrap_or_default();
        let silent = observed.held.unwrap_or(self.hold).saturating_sub(last);
        // It came back: what is missing is the hole, not the end.
        if silent < heard.longest_hole {
            return Some(Verdict::degraded(Failure::new(
                Blame::Silent,
                "media_stopped",
                format!(
                    "not one packet for {} in the middle of the call, and then they went on: the way there broke for so \
                     long",
                    seconds(heard.longest_hole)
                ),
            )));
        }
        Some(Verdict::down(Failure::new(
            Blame::Silent,
            "media_stopped",
            format!(
                "the sound stopped {} after the answer, {} before we hung up: the far end died in the call, or the \
                 way there broke",
                seconds(last),
                seconds(silent)
            ),
        )))
    }

    /// Packets, and no word. An echo is a dead one; an announcement may only be slow, when we did not wait for long.
    fn nothing_said(&self, observed: &Observed, code: &'static str, words: &str) -> Verdict {
        let held = observed.held.unwrap_or(self.hold);
        let failure = |words: String| Failure::new(Blame::Misbehaved, code, words);
        if self.hear == Hear::Echo || held >= PATIENCE {
            return Verdict::down(failure(words.to_owned()));
        }
        Verdict::degraded(failure(format!(
            "{words}; we listened for {} only, and from {} on this is down: raise \"hold\" to be sure",
            seconds(held),
            seconds(PATIENCE)
        )))
    }
}

/// Less than this is a click, or a voice that was cut off: no announcement that has ended.
const SAID_MIN: Duration = Duration::from_secs(1);

/// After so long a silence callers have hung up.
const PATIENCE: Duration = Duration::from_secs(5);

fn no_media(observed: &Observed) -> Failure {
    let words = if observed.first_packet_after.is_some() {
        "answered and signed by digits, and no sound came after them: the caller hears silence"
    } else {
        "answered, and not one RTP packet came: the caller hears silence; look at the RTP ports, the firewall and the \
         addresses in the SDP"
    };
    Failure::new(Blame::Silent, "no_media", words)
}

fn one_way(observed: &Observed) -> Failure {
    let words = match observed.echo_dbov {
        Some(level) => {
            format!("our tone came back at {level:.0} dBov only: the caller is hardly heard")
        }
        None => "RTP comes, and ours does not arrive there or does not come back: one-way audio, the caller is not heard; \
                 or this number does not echo"
            .to_owned(),
    };
    Failure::new(Blame::Misbehaved, "one_way_audio", words)
}

fn seconds(span: Duration) -> String {
    format!("{:.1} s", span.as_secs_f64())
}

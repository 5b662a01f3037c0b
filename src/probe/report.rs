//! What is told of one SIP probe: the ladder and the verdict, as words or as one JSON object. `vigie probe`
//! and `vigie call` print it; the evidence of a failed call is a file of it. The keys of the JSON are a
//! promise to scripts: they are added to, never changed.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use super::{Failure, Verdict};
use crate::calls::observe::{Direction, Observed, PromptHeard, RtpSeen, Step};
use crate::quality;

/// The verdict, and what it rests on.
#[derive(Debug)]
pub struct Report {
    pub verdict: Verdict,
    observed: Option<Box<Observed>>,
    quality: Option<Box<quality::leg::Report>>,
}

/// The report as the object it prints.
#[derive(Debug, Serialize)]
pub struct Json<'a> {
    verdict: &'static str,
    failure: Option<&'a Failure>,
    answer_ms: Option<f64>,
    first_media_ms: Option<f64>,
    dtmf: &'a str,
    rtp: Rtp,
    /// Every figure of what was heard; see docs/voice-quality.md.
    quality: Option<&'a quality::leg::Report>,
    ladder: Vec<Rung<'a>>,
    /// From our mouth to our ear, by a chirp in the echo.
    audio_round_trip_ms: Option<f64>,
    /// `right`, `wrong`, `nothing`; none when no announcement is expected.
    prompt: Option<&'static str>,
    prompt_after_ms: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Rtp {
    sent: u64,
    received: u64,
    lost: i64,
    jitter_ms: f64,
}

#[derive(Debug, Serialize)]
struct Rung<'a> {
    at_ms: f64,
    direction: &'static str,
    peer: String,
    what: &'a str,
    repeat: u32,
}

impl Report {
    #[must_use]
    pub fn seen(
        verdict: Verdict,
        quality: Option<quality::leg::Report>,
        observed: Observed,
    ) -> Self {
        Self {
            verdict,
            quality: quality.map(Box::new),
            observed: Some(Box::new(observed)),
        }
    }

    /// Nothing was sent.
    #[must_use]
    pub const fn unseen(verdict: Verdict) -> Self {
        Self {
            verdict,
            observed: None,
            quality: None,
        }
    }

    /// One line.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(&self.object()).expect("numbers and texts always print")
    }

    #[must_use]
    pub fn object(&self) -> Json<'_> {
        let observed = self.observed.as_deref();
        let silence = RtpSeen::default();
        let rtp = observed.map_or(&silence, |seen| &seen.rtp);
        let ms = |delay: Option<Duration>| delay.map(milliseconds);
        Json {
            verdict: self.verdict.word.as_str(),
            failure: self.verdict.failure.as_ref(),
            answer_ms: ms(observed.and_then(|seen| seen.answer_after)),
            first_media_ms: ms(observed.and_then(|seen| seen.first_media_after)),
            dtmf: observed.map_or("", |seen| &seen.dtmf),
            rtp: Rtp {
                sent: rtp.sent,
                received: rtp.received,
                lost: rtp.lost,
                jitter_ms: rounded(rtp.jitter_ms),
            },
            quality: self.quality.as_deref(),
            ladder: self.ladder().iter().map(Rung::of).collect(),
            audio_round_trip_ms: ms(observed.and_then(|seen| Some(seen.echoed?.round_trip))),
            prompt: observed.and_then(|seen| seen.prompt).map(word),
            prompt_after_ms: ms(observed.and_then(|seen| match seen.prompt? {
                PromptHeard::Right { after, .. } => Some(after),
                PromptHeard::Wrong | PromptHeard::Nothing => None,
            })),
        }
    }

    #[must_use]
    pub fn words(&self) -> String {
        let infallible = "writing to a string cannot fail";
        let mut text = String::new();
        for step in self.ladder() {
            let again = match step.repeat {
                0 => String::new(),
                times => format!("  (repeated, {times})"),
            };
            writeln!(
                text,
                "{:>9.1} ms  {:<2}  {:<21} {}{again}",
                milliseconds(step.at),
                arrow(step.direction),
                step.peer.to_string(),
                step.what
            )
            .expect(infallible);
        }
        if let Some(observed) = &self.observed {
            let figures = figures(observed);
            if !figures.is_empty() {
                writeln!(text, "{figures}").expect(infallible);
            }
        }
        if let Some(quality) = &self.quality {
            writeln!(text, "{}", heard(quality)).expect(infallible);
        }
        match &self.verdict.failure {
            None => write!(text, "{}", self.verdict.word),
            Some(failure) => write!(
                text,
                "{}: {} [{}]",
                self.verdict.word, failure.words, failure.code
            ),
        }
        .expect(infallible);
        text
    }

    fn ladder(&self) -> &[Step] {
        self.observed
            .as_ref()
            .map_or(&[], |observed| &observed.ladder)
    }
}

impl<'a> Rung<'a> {
    fn of(step: &'a Step) -> Self {
        Self {
            at_ms: milliseconds(step.at),
            direction: match step.direction {
                Direction::Sent => "sent",
                Direction::Received => "received",
                Direction::Note => "note",
            },
            peer: step.peer.to_string(),
            what: &step.what,
            repeat: step.repeat,
        }
    }
}

const fn word(heard: PromptHeard) -> &'static str {
    match heard {
        PromptHeard::Right { .. } => "right",
        PromptHeard::Wrong => "wrong",
        PromptHeard::Nothing => "nothing",
    }
}

const fn arrow(direction: Direction) -> &'static str {
    match direction {
        Direction::Sent => "->",
        Direction::Received => "<-",
        Direction::Note => "--",
    }
}

/// What was heard in one line; `--json` has all of it.
fn heard(report: &quality::leg::Report) -> String {
    let mut parts = vec![format!("heard {}", report.media_state)];
    if let Some(opinion) = &report.opinion {
        let grounded = if opinion.codec.grounded {
            ""
        } else {
            ", not grounded"
        };
        parts.push(format!(
            "MOS-CQ {:.2} ({} {}{grounded}; {:.2} without concealment)",
            opinion.mos_cq, opinion.codec.name, opinion.scale, opinion.mos_cq_bare
        ));
    }
    if let Some(stream) = &report.stream {
        let delay = stream.pdv.map_or(0.0, |pdv| pdv.p99_ms);
        parts.push(format!(
            "lost {:.1} %, {} in a row at most, delay variation {delay:.1} ms (p99)",
            stream.loss_percent, stream.loss_runs.longest
        ));
    }
    if let Some(level) = report.levels.and_then(|levels| levels.active_dbov) {
        parts.push(format!("{level:.0} dBov"));
    }
    parts.join("; ")
}

/// The figures of a call in one line; empty when there are none.
fn figures(observed: &Observed) -> String {
    let mut parts = Vec::new();
    if let Some(answer) = observed.answer_after {
        parts.push(format!("answered after {:.1} ms", milliseconds(answer)));
    }
    if let Some(media) = observed.first_media_after {
        parts.push(format!("first sound {:.1} ms later", milliseconds(media)));
    }
    if !observed.dtmf.is_empty() {
        parts.push(format!("heard {}", observed.dtmf));
    }
    let rtp = &observed.rtp;
    if rtp.sent + rtp.received > 0 {
        parts.push(format!(
            "RTP {} sent, {} received, {} lost, jitter {:.1} ms",
            rtp.sent, rtp.received, rtp.lost, rtp.jitter_ms
        ));
    }
    if let Some(echoed) = &observed.echoed {
        parts.push(format!(
            "our sound back after {:.1} ms",
            milliseconds(echoed.round_trip)
        ));
    }
    if let Some(heard) = observed.prompt {
        parts.push(match heard {
            PromptHeard::Right { after, .. } => {
                format!("announcement after {:.1} ms", milliseconds(after))
            }
            PromptHeard::Wrong => "another announcement".to_owned(),
            PromptHeard::Nothing => "no announcement".to_owned(),
        });
    }
    if let Some(granted) = observed.granted {
        parts.push(format!(
            "granted for {} s, removed again",
            granted.as_secs()
        ));
    }
    if let Some(server) = &observed.server {
        parts.push(format!("server {server}"));
    }
    parts.join("; ")
}

/// Three digits behind the point: a microsecond.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn milliseconds(delay: Duration) -> f64 {
    rounded(delay.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::calls::observe::Outcome;
    use crate::time::Instant;

    fn observed() -> Observed {
        let peer = SocketAddr::from(([127, 0, 1, 10], 5060));
        let step = |ms, direction, what: &str, repeat| Step {
            at: Duration::from_millis(ms),
            direction,
            peer,
            what: what.to_owned(),
            repeat,
        };
        Observed {
            started: Instant(0),
            finished: Instant(3_000_000_000),
            outcome: Outcome::Completed { status: 200 },
            progress_after: Some(Duration::from_millis(4)),
            answer_after: Some(Duration::from_micros(12_345)),
            first_media_after: Some(Duration::from_millis(20)),
            last_media_after: Some(Duration::from_secs(3)),
            early_media: false,
            dtmf: "*1#".to_owned(),
            echo_dbov: None,
            echoed: None,
            prompt: None,
            leg: None,
            answered: None,
            first_packet_after: None,
            rtp: RtpSeen {
                sent: 150,
                received: 149,
                lost: 1,
                jitter_ms: 0.123_456,
                ..RtpSeen::default()
            },
            server: None,
            held: Some(Duration::from_secs(3)),
            goodbye_unanswered: false,
            granted: None,
            ladder: vec![
                step(0, Direction::Sent, "INVITE sip:1@127.0.1.10", 0),
                step(500, Direction::Sent, "INVITE sip:1@127.0.1.10", 1),
                step(512, Direction::Received, "200 OK", 0),
            ],
            recording: None,
        }
    }

    #[test]
    fn the_json_keeps_its_keys() {
        let report = Report::seen(Verdict::good(Duration::from_millis(12)), None, observed());
        assert_eq!(
            report.json(),
            r#"{"verdict":"good","failure":null,"answer_ms":12.345,"first_media_ms":20.0,"dtmf":"*1#","rtp":{"sent":150,"received":149,"lost":1,"jitter_ms":0.123},"quality":null,"ladder":[{"at_ms":0.0,"direction":"sent","peer":"127.0.1.10:5060","what":"INVITE sip:1@127.0.1.10","repeat":0},{"at_ms":500.0,"direction":"sent","peer":"127.0.1.10:5060","what":"INVITE sip:1@127.0.1.10","repeat":1},{"at_ms":512.0,"direction":"received","peer":"127.0.1.10:5060","what":"200 OK","repeat":0}],"audio_round_trip_ms":null,"prompt":null,"prompt_after_ms":null}"#
        );
    }

    #[test]
    fn a_probe_that_sent_nothing_has_the_same_keys() {
        let report = Report::unseen(Verdict::blind(
            "no_secret",
            "env:X: the variable is not set",
        ));
        assert_eq!(
            report.json(),
            r#"{"verdict":"blind","failure":{"blame":"ours","code":"no_secret","words":"env:X: the variable is not set"},"answer_ms":null,"first_media_ms":null,"dtmf":"","rtp":{"sent":0,"received":0,"lost":0,"jitter_ms":0.0},"quality":null,"ladder":[],"audio_round_trip_ms":null,"prompt":null,"prompt_after_ms":null}"#
        );
        assert_eq!(
            report.words(),
            "blind: env:X: the variable is not set [no_secret]"
        );
    }

    #[test]
    fn the_words_end_with_the_verdict() {
        let report = Report::seen(Verdict::good(Duration::from_millis(12)), None, observed());
        assert_eq!(
            report.words(),
            "      0.0 ms  ->  127.0.1.10:5060       INVITE sip:1@127.0.1.10\n    \
             500.0 ms  ->  127.0.1.10:5060       INVITE sip:1@127.0.1.10  (repeated, 1)\n    \
             512.0 ms  <-  127.0.1.10:5060       200 OK\n\
             answered after 12.3 ms; first sound 20.0 ms later; heard *1#; RTP 150 sent, 149 received, 1 lost, jitter 0.1 ms\n\
             good"
        );
    }
}

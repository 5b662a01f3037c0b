//! One measurement of one target: what to ask, and how to judge what was seen.
//!
//! Each kind of probe has one file with its `Settings` (what to ask) and a pure judge that turns what
//! was observed into a [`Verdict`]. Nothing here sends a byte: `calls` places the SIP probes, and
//! `io::prober` fetches what the others ask for. Everything above (`health`, `engine`, `board`) knows
//! verdicts only.

pub mod call;
pub mod dns;
pub mod heartbeat;
pub mod http;
pub mod icmp;
pub mod learning;
pub mod options;
pub mod perfdata;
pub mod plugin;
pub mod prompt;
pub mod register;
pub mod report;
mod sip;
pub mod socket;
pub mod task;
pub mod tcp;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::secret::SecretRef;

/// Digest user and where its secret is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub user: String,
    pub secret: SecretRef,
}

/// What can be asked of a target.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    Call(call::Settings),
    Register(register::Settings),
    Options(options::Settings),
    Icmp(icmp::Settings),
    Tcp(tcp::Settings),
    Http(http::Settings),
    Dns(dns::Settings),
    Plugin(plugin::Settings),
    /// Somebody else says that he lives.
    Heartbeat(heartbeat::Settings),
}

impl Check {
    /// How it calls, if it does.
    #[must_use]
    pub const fn as_call(&self) -> Option<&call::Settings> {
        match self {
            Self::Call(settings) => Some(settings),
            Self::Register(_)
            | Self::Options(_)
            | Self::Icmp(_)
            | Self::Tcp(_)
            | Self::Http(_)
            | Self::Dns(_)
            | Self::Plugin(_)
            | Self::Heartbeat(_) => None,
        }
    }

    /// The word that names this kind in configuration, facts and metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Call(_) => "call",
            Self::Register(_) => "register",
            Self::Options(_) => "options",
            Self::Icmp(_) => "icmp",
            Self::Tcp(_) => "tcp",
            Self::Http(_) => "http",
            Self::Dns(_) => "dns",
            Self::Plugin(_) => "plugin",
            Self::Heartbeat(_) => "heartbeat",
        }
    }
}

/// The one word of a verdict, best first. `Blind` says that *we* could not see: it never counts as down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    Good,
    Degraded,
    Down,
    Blind,
}

impl Word {
    pub const ALL: [Self; 4] = [Self::Good, Self::Degraded, Self::Down, Self::Blind];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Degraded => "degraded",
            Self::Down => "down",
            Self::Blind => "blind",
        }
    }

    /// Exit code of a one-shot probe: 0 good, 1 degraded, 2 down, 3 blind.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Degraded => 1,
            Self::Down => 2,
            Self::Blind => 3,
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who has to act on a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Blame {
    /// They answered, and said no.
    Refused,
    /// They answered, and not what they should: a broken standard, a wrong prompt, an expired certificate.
    Misbehaved,
    /// Nobody answered in time.
    Silent,
    /// Our own socket, name resolution, disk, clock, plug-in or load: we saw nothing.
    Ours,
}

/// Why a verdict is not good, for a machine (`code`) and for an engineer (`words`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub blame: Blame,
    /// Stable, lower case with underscores: `sip_503`, `no_media`, `connection_refused`.
    pub code: Cow<'static, str>,
    /// One sentence that says what was seen and what to look at; never holds a secret.
    pub words: String,
    /// A call that passed with a voice callers complain of: three in a row are down. Left out when it is not so,
    /// so that facts without it keep their bytes and hashes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub severe: bool,
}

/// Our account was refused: its user or secret is wrong, or the server has shut us out.
pub const WRONG_PASSWORD: &str = "wrong_password";

impl Failure {
    /// Asking again now would make it worse: servers ban who fails to log in too often.
    #[must_use]
    pub fn is_of_login(&self) -> bool {
        self.code == WRONG_PASSWORD
    }

    pub fn new(blame: Blame, code: impl Into<Cow<'static, str>>, words: impl Into<String>) -> Self {
        Self {
            blame,
            code: code.into(),
            words: words.into(),
            severe: false,
        }
    }

    /// The same, of a call with a voice callers complain of.
    #[must_use]
    pub fn severe(self) -> Self {
        Self {
            severe: true,
            ..self
        }
    }

    /// Does it hold only if our wall clock is right?
    #[must_use]
    pub fn rests_on_dates(&self) -> bool {
        [
            CERTIFICATE_EXPIRED,
            CERTIFICATE_DATES,
            CERTIFICATE_ENDS_SOON,
        ]
        .contains(&self.code.as_ref())
    }
}

/// The certificate of the far end has ended.
const CERTIFICATE_EXPIRED: &str = "certificate_expired";
/// A date in the certificate or in those above it forbids its use now.
const CERTIFICATE_DATES: &str = "certificate_dates";
const CERTIFICATE_ENDS_SOON: &str = "certificate_ends_soon";

/// One figure of a probe with its unit in the name: `answer_ms`, `rtp_lost_packets`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    pub name: Cow<'static, str>,
    pub value: f64,
}

/// A measure of 1 beside figures that our own overload spoilt: nothing is judged by them.
pub const EXCLUDED: &str = "excluded";

/// Codes of calls that are worse than their line has been all week begin with this, and end with the metric.
pub const UNUSUAL: &str = "unusual_";

/// The judged result of one probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    pub word: Word,
    /// `None` exactly when the word is `Good`.
    pub failure: Option<Failure>,
    /// From the first packet sent to the answer that decided; `None` when there was none.
    pub took: Option<Duration>,
    pub measures: Vec<Measure>,
}

impl Verdict {
    #[must_use]
    pub const fn good(took: Duration) -> Self {
        Self {
            word: Word::Good,
            failure: None,
            took: Some(took),
            measures: Vec::new(),
        }
    }

    #[must_use]
    pub fn degraded(failure: Failure) -> Self {
        Self::failed(Word::Degraded, failure)
    }

    /// Down, or blind when the fault is ours: a fault of our own can never count as theirs.
    #[must_use]
    pub fn down(failure: Failure) -> Self {
        match failure.blame {
            Blame::Ours => Self::failed(Word::Blind, failure),
            Blame::Refused | Blame::Misbehaved | Blame::Silent => Self::failed(Word::Down, failure),
        }
    }

    /// We could not see; `code` and `words` say which part of ours failed and what to do.
    #[must_use]
    pub fn blind(code: impl Into<Cow<'static, str>>, words: impl Into<String>) -> Self {
        Self::failed(Word::Blind, Failure::new(Blame::Ours, code, words))
    }

    fn failed(word: Word, failure: Failure) -> Self {
        Self {
            word,
            failure: Some(failure),
            took: None,
            measures: Vec::new(),
        }
    }

    /// Whether its call is kept as evidence: a good one proves itself, and a fault of our own shows nothing of them.
    #[must_use]
    pub const fn leaves_evidence(&self) -> bool {
        match self.word {
            Word::Degraded | Word::Down => true,
            Word::Good | Word::Blind => false,
        }
    }

    #[must_use]
    pub fn with_took(mut self, took: Duration) -> Self {
        self.took = Some(took);
        self
    }

    #[must_use]
    pub fn measuring(mut self, name: impl Into<Cow<'static, str>>, value: f64) -> Self {
        self.measures.push(Measure {
            name: name.into(),
            value,
        });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_is_not_severe_is_written_as_ever() {
        let text = r#"{"blame":"misbehaved","code":"mos_cq","words":"w"}"#;
        let failure: Failure = serde_json::from_str(text).unwrap();
        assert!(!failure.severe);
        assert_eq!(serde_json::to_string(&failure).unwrap(), text);
        let text = serde_json::to_string(&failure.clone().severe()).unwrap();
        assert_eq!(
            serde_json::from_str::<Failure>(&text).unwrap(),
            failure.severe()
        );
    }

    #[test]
    fn a_fault_of_our_own_is_blind_and_never_down() {
        let verdict = Verdict::down(Failure::new(
            Blame::Ours,
            "no_socket",
            "no free file descriptor",
        ));
        assert_eq!(verdict.word, Word::Blind);
    }

    #[test]
    fn only_what_fails_for_others_is_evidence() {
        let failure = |blame| Failure::new(blame, "x", "");
        for (verdict, wanted) in [
            (Verdict::good(Duration::ZERO), false),
            (Verdict::down(failure(Blame::Silent)), true),
            (Verdict::degraded(failure(Blame::Misbehaved)), true),
            (Verdict::down(failure(Blame::Ours)), false),
        ] {
            assert_eq!(verdict.leaves_evidence(), wanted, "{verdict:?}");
        }
    }
}

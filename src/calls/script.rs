//! What to do: the plan of one call, registration or OPTIONS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub use super::recording::Keep;
use crate::sip::Transport;

/// One job of a shard.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    Call(CallPlan),
    Register(RegisterPlan),
    Options(OptionsPlan),
}

/// Where signalling goes and leaves from. Names are resolved before (`io::dns`); only addresses here.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    pub transport: Transport,
    pub peer: SocketAddr,
    /// Own address; port 0 lets the kernel choose.
    pub local: SocketAddr,
    /// For TLS: the name the certificate must carry.
    pub server_name: Option<String>,
    /// A flow of its own (new source port) instead of one shared with other tasks to this peer.
    pub fresh: bool,
}

/// Digest user and secret. `Debug` never shows the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    pub secret: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Place a call, hold it, end it.
#[derive(Clone, Debug, PartialEq)]
pub struct CallPlan {
    pub route: Route,
    /// Request-URI as text: `sip:0199001199@127.0.1.10`, `tel:+33…`.
    pub to: String,
    /// From URI as text; the own test number of the plant.
    pub from: String,
    pub credentials: Option<Credentials>,
    /// How long to stay after the answer; counted from the 2xx.
    pub hold: Duration,
    /// Give up (CANCEL) when no final response came this long after the INVITE.
    pub answer_within: Duration,
    pub media: MediaPlan,
    /// Digits to send (RFC 4733) once the far end is heard or one second after the answer.
    pub send_dtmf: String,
    pub purpose: Purpose,
    /// What to keep of it for later; `None` costs nothing.
    pub keep: Option<Keep>,
    /// Say how it goes while it goes (`Output::Live`), five times a second.
    pub live: bool,
}

/// What a call is placed for, and what it may spare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// One of thousands: it waits as long as its plan says, and never talks to anybody but its peer.
    Load,
    /// A probe: a far end that says nothing at all is given up early.
    Watch,
    /// A probe that an engineer reads: every message is recorded for the ladder.
    Trace,
}

/// What sounds we send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaPlan {
    /// Signalling only: the offer names a port that nobody reads (load tests).
    None,
    /// 1000 Hz at −16 dBm0, so that an echo can be heard and measured; a chirp now and then, so that it can
    /// be timed, when sound is kept.
    Tone,
    /// Digital silence.
    Silence,
    /// These samples (8000 Hz) from the answer on, then silence.
    Play(Arc<[i16]>),
}

/// REGISTER, then remove the binding again, even on failure.
#[derive(Clone, Debug, PartialEq)]
pub struct RegisterPlan {
    pub route: Route,
    /// Address of record: `sip:4001@127.0.1.1`.
    pub aor: String,
    pub credentials: Option<Credentials>,
    pub expires: Duration,
    pub answer_within: Duration,
    pub ladder: bool,
}

/// OPTIONS: any answer is a sign of life.
#[derive(Clone, Debug, PartialEq)]
pub struct OptionsPlan {
    pub route: Route,
    pub to: String,
    pub from: String,
    pub answer_within: Duration,
    pub ladder: bool,
}

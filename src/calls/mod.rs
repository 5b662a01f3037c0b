//! All calls of one shard: SIP, SDP, RTP and audio joined into "place this call and say what was seen".
//!
//! Not the judge (`probe` is) and not the wire (`io::shard` is). The shell owns the sockets: it opens
//! the flows and media ports that `Calls` asks for, hands in every datagram with the kernel's receive
//! stamp, and sends what comes out. Used by `io::shard` for probes and load, and by tests in memory.

pub mod observe;
pub mod recording;
pub mod script;

mod answers;
mod call;
mod examine;
mod flows;
mod job;
mod ladder;
mod lateness;
mod live;
mod machine;
mod media;
mod meter;
mod speech;

pub use machine::Calls;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::sip::{FlowId, Transport};
use crate::time::Instant;

/// Which job of the caller a task belongs to; chosen by the caller, returned with the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// One RTP/RTCP port pair, named by `Calls`, bound by the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaId(pub u32);

/// Which port of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    Rtp,
    Rtcp,
}

/// What the shell reports.
#[derive(Debug)]
pub enum Input<'a> {
    /// Do this; `Output::Done` follows exactly once, whatever happens.
    Start {
        job: JobId,
        /// Shared, because a load test starts thousands of the same.
        task: Arc<script::Task>,
    },
    /// End this job at once but cleanly (CANCEL, BYE, binding removed); `Done` still follows.
    Abort { job: JobId },
    /// The flow is open; for UDP and connections alike `local` is its own address.
    FlowOpened { flow: FlowId, local: SocketAddr },
    /// The flow could not be opened, or broke.
    FlowFailed { flow: FlowId, fault: FlowFault },
    /// One whole SIP message (streams are framed by the shell with `sip::wire::framing`).
    Signal {
        flow: FlowId,
        from: SocketAddr,
        /// When the kernel received it.
        stamp: Instant,
        message: &'a [u8],
    },
    MediaOpened {
        media: MediaId,
        /// Address of the RTP port; RTCP is the next port.
        local: SocketAddr,
    },
    /// There is no port to be had, or RTP cannot leave it.
    MediaFailed { media: MediaId, words: String },
    Media {
        media: MediaId,
        component: Component,
        from: SocketAddr,
        /// When the kernel received it.
        stamp: Instant,
        packet: &'a [u8],
    },
    /// A media packet left this long after it was due (own lateness, measured by the shell).
    MediaSent {
        media: MediaId,
        late: std::time::Duration,
    },
    /// The deadline has come.
    Wake,
}

/// Why a flow is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowFault {
    /// The far host answered with ICMP port unreachable or a TCP reset: nobody listens there.
    Refused { peer: SocketAddr },
    /// The far host could not be reached in time, or a router said so.
    Unreachable { peer: SocketAddr, words: String },
    /// A date in the certificate forbids its use now, if our clock is right.
    Dates { words: String },
    /// The TLS handshake failed: certificate, name or version.
    Tls { words: String },
    /// We do not know whom to believe: no authority was named, or its file cannot be used.
    NoTrust { words: String },
    /// The connection ended.
    Closed,
    /// Our own side: no port, no descriptor, no route.
    Ours { words: String },
}

impl fmt::Display for FlowFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { peer } => write!(f, "{peer} refused: nobody listens there"),
            Self::Unreachable { peer, words } => write!(f, "{peer} cannot be reached: {words}"),
            Self::Dates { words } => write!(f, "TLS failed: {words}"),
            Self::Tls { words } => write!(f, "TLS failed: {words}"),
            Self::NoTrust { words } => f.write_str(words),
            Self::Closed => f.write_str("the connection was closed"),
            Self::Ours { words } => write!(f, "our own side failed: {words}"),
        }
    }
}

/// What the shell must do.
#[derive(Debug)]
pub enum Output {
    OpenFlow {
        flow: FlowId,
        transport: Transport,
        /// Port 0 lets the kernel choose.
        local: SocketAddr,
        peer: SocketAddr,
        /// Name to check the certificate against, for TLS.
        server_name: Option<String>,
        /// A UDP flow that only ever talks to `peer` may be connected: cheaper, and refusals are heard.
        exclusive: bool,
    },
    CloseFlow {
        flow: FlowId,
    },
    Send {
        flow: FlowId,
        to: SocketAddr,
        message: Vec<u8>,
    },
    OpenMedia {
        media: MediaId,
        ip: IpAddr,
    },
    CloseMedia {
        media: MediaId,
    },
    SendMedia {
        media: MediaId,
        component: Component,
        to: SocketAddr,
        packet: Vec<u8>,
        /// When it was meant to leave; the shell reports lateness against it.
        due: Instant,
    },
    Done {
        job: JobId,
        observed: Box<observe::Observed>,
    },
    /// How a call goes, for plans that ask for it. Not for the network.
    Live {
        job: JobId,
        live: observe::Live,
    },
}

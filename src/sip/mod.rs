//! SIP (RFC 3261 and its companions) without sockets and without a clock.
//!
//! `wire` finds fields in bytes and writes messages; `header` reads one header field per file;
//! `transaction` holds the four machines of §17; `agent` is what all their users share; `dialog`, `call`,
//! `register`, `options` build on it; `endpoint` joins all of it for one local address. `calls` and `lab`
//! are the users.

pub mod digest;
pub mod emergency;
pub mod header;
pub mod transaction;
pub mod wire;

mod agent;
mod call;
mod dialog;
pub mod endpoint;
pub mod locate;
mod options;
mod register;

use std::fmt;

/// How messages travel (the transport parameter of RFC 3261 §19.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
}

impl Transport {
    /// Reliable transports need no retransmission (§17.1.1.1).
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp | Self::Tls => true,
        }
    }

    /// As it stands in a Via header.
    #[must_use]
    pub const fn via_token(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        })
    }
}

/// A bound UDP socket or one TCP or TLS connection, named by the layer above and opened by the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(pub u32);

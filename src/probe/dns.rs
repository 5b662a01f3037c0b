//! The `dns` probe: one question to one given server, and the answer expected from it.
//!
//! It asks that very server, never the resolver of this machine. `io::prober::dns` asks.

use std::net::SocketAddr;

/// What to ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub server: SocketAddr,
    /// `example.org`, `_ldap._tcp.dc._msdcs.example.org`; for PTR the reversed name.
    pub name: String,
    pub record: Record,
    /// Each of these must be among the answers, written as a zone file writes it (`192.0.2.7`,
    /// `10 mail.example.org.`). Empty: any answer of this type is good.
    pub expect: Vec<String>,
}

/// The type of record asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    A,
    Aaaa,
    Cname,
    Mx,
    Ns,
    Ptr,
    Soa,
    Srv,
    Txt,
}

impl Record {
    pub const ALL: [Self; 9] = [
        Self::A,
        Self::Aaaa,
        Self::Cname,
        Self::Mx,
        Self::Ns,
        Self::Ptr,
        Self::Soa,
        Self::Srv,
        Self::Txt,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Mx => "MX",
            Self::Ns => "NS",
            Self::Ptr => "PTR",
            Self::Soa => "SOA",
            Self::Srv => "SRV",
            Self::Txt => "TXT",
        }
    }
}

impl Settings {
    #[must_use]
    pub fn new(server: SocketAddr, name: impl Into<String>, record: Record) -> Self {
        Self {
            server,
            name: name.into(),
            record,
            expect: Vec::new(),
        }
    }
}

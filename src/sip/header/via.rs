//! Via (RFC 3261 §20.42, RFC 3581): which way a request came and its response goes back.

use std::fmt;
use std::net::IpAddr;

use super::uri::{host_address, host_length};
use super::{HeaderError, Params, elements, number, trim};

/// One element of a Via field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// `UDP`, `TCP`, `TLS`, or a transport we do not speak, as written.
    pub transport: Box<str>,
    /// The host of `sent-by`, IPv6 with its brackets.
    pub host: Box<str>,
    pub port: Option<u16>,
    pub params: Params,
}

impl Via {
    /// Every element of one Via line.
    ///
    /// # Errors
    /// When an element is no Via.
    pub fn list(text: &str) -> Result<Vec<Self>, HeaderError> {
        let list: Vec<Self> = elements(text).map(Self::read).collect::<Result<_, _>>()?;
        if list.is_empty() {
            return Err(HeaderError::Empty);
        }
        Ok(list)
    }

    /// One element: `SIP/2.0/UDP host:port;params`, blanks around the slashes allowed.
    ///
    /// # Errors
    /// When it is not that.
    pub fn read(text: &str) -> Result<Self, HeaderError> {
        let mut parts = text.splitn(3, '/').map(trim);
        let protocol = (parts.next(), parts.next(), parts.next());
        let (Some(name), Some(version), Some(rest)) = protocol else {
            return Err(HeaderError::Token);
        };
        if !name.eq_ignore_ascii_case("SIP") || version != "2.0" {
            return Err(HeaderError::Token);
        }
        let (transport, rest) = rest.split_once([' ', '\t']).ok_or(HeaderError::Host)?;
        if !crate::sip::wire::is_token(transport.as_bytes()) {
            return Err(HeaderError::Token);
        }
        let rest = trim(rest);
        let host_end = host_length(rest)?;
        let mut tail = rest[host_end..].trim_start();
        let mut port = None;
        if let Some(behind) = tail.strip_prefix(':') {
            let behind = behind.trim_start();
            let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
            port = Some(number(&behind[..digits]).map_err(|_| HeaderError::Port)?);
            tail = &behind[digits..];
        }
        Ok(Self {
            transport: transport.into(),
            host: rest[..host_end].into(),
            port,
            params: Params::read(tail)?,
        })
    }

    /// The name of the transaction (§8.1.1.7); absent from RFC 2543 senders.
    #[must_use]
    pub fn branch(&self) -> Option<String> {
        self.params.value("branch").map(Into::into)
    }

    /// Where a server saw the request come from (§18.2.1).
    #[must_use]
    pub fn received(&self) -> Option<IpAddr> {
        let received = self.params.value("received")?;
        // Some write an IPv6 address here without brackets, as the grammar says, some with.
        host_address(&received).or_else(|| received.parse().ok())
    }

    /// The port a server saw (RFC 3581 §4); `None` also for `rport` without value.
    #[must_use]
    pub fn rport(&self) -> Option<u16> {
        self.params.value("rport")?.parse().ok()
    }

    /// The host if it is an address.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        host_address(&self.host)
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.params.fmt(f)
    }
}

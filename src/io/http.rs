//! What every HTTP request of ours needs, of a probe and of an alert: where a URL leads, and a connection to it.

use std::net::{IpAddr, SocketAddr};

use hyper::Uri;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::leave;
use crate::probe::socket::SocketFault;

/// Where one request goes.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
    /// For the Host header: host, and port if it is not the usual one.
    pub(super) authority: String,
    pub(super) path: String,
}

impl Target {
    /// # Errors
    /// Why it leads nowhere, without the URL itself.
    pub(super) fn of(url: &str) -> Result<Self, String> {
        let uri: Uri = url
            .parse()
            .map_err(|error: hyper::http::uri::InvalidUri| error.to_string())?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) | None => return Err("it must start with http:// or https://".to_owned()),
        };
        let authority = uri.authority().ok_or("no host in it")?;
        Ok(Self {
            tls,
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            // Without user and password, if somebody wrote them.
            authority: authority
                .as_str()
                .rsplit('@')
                .next()
                .unwrap_or_default()
                .to_owned(),
            path: uri
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
        })
    }
}

/// Connects to the first address that answers before `end`, from `local` or where the kernel chooses; `trying` hears
/// of each.
///
/// # Errors
/// The first fault that accuses the far end.
pub(super) async fn connect(
    addresses: &[SocketAddr],
    local: Option<IpAddr>,
    end: Instant,
    mut trying: impl FnMut(SocketAddr),
) -> Result<TcpStream, SocketFault> {
    let mut fault = SocketFault::TimedOut;
    for (n, address) in addresses.iter().enumerate() {
        trying(*address);
        // An address that swallows packets must leave time for the next one.
        let left = end.saturating_duration_since(Instant::now());
        let others = u32::try_from(addresses.len() - n).unwrap_or(u32::MAX);
        match tokio::time::timeout(left / others, leave::connect(local, *address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            // The first fault that accuses them stays: no route to IPv6 is usual and says nothing.
            Ok(Err(error)) => match SocketFault::of(&error) {
                SocketFault::Ours { .. } if n > 0 => {}
                found @ (SocketFault::Refused
                | SocketFault::Closed
                | SocketFault::TimedOut
                | SocketFault::Unreachable
                | SocketFault::Ours { .. }) => fault = found,
            },
            Err(_) => fault = SocketFault::TimedOut,
        }
    }
    Err(fault)
}

//! Makes the task of a SIP probe, for the daemon and for `vigie probe`: guards against emergency numbers, finds
//! out where it is sent and where it leaves from (names through `io::dns`, the own address as the kernel would
//! choose it), and fetches the secret from where it is kept.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::config_file;
use super::dns::Resolver;
use super::leave::Own;
use crate::calls::script::{Credentials, Route, Task};
use crate::probe::task::Sip;
use crate::probe::{Blame, Failure};
use crate::sip::Transport;
use crate::sip::emergency::is_emergency;
use crate::sip::header::uri::Uri;

/// Where a request goes, as the settings write it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Where {
    host: String,
    port: Option<u16>,
}

/// The task of a probe, ready for a shard. `own` is the address it leaves from; unspecified lets the kernel
/// choose. `fresh`: by a flow of its own; `ladder`: record every message.
///
/// # Errors
/// When the call could ring an emergency service; and faults of our own: a name that cannot be resolved, no
/// route, no secret.
pub async fn prepare(
    resolver: &Resolver,
    sip: Sip<'_>,
    own: Own,
    fresh: bool,
    ladder: bool,
) -> Result<Task, Failure> {
    guard(sip)?;
    let route = route(resolver, sip, own, fresh).await?;
    Ok(sip.task(route, credentials(sip)?, ladder))
}

/// The last guard before a call exists: the check of the configuration has asked the same before.
fn guard(sip: Sip<'_>) -> Result<(), Failure> {
    let (uri, _) = sip.destination();
    if matches!(sip, Sip::Call(_)) && is_emergency(uri) {
        return Err(ours(
            "emergency_number",
            format!(
                "'{uri}' could ring an emergency service: call the test number of the plant instead"
            ),
        ));
    }
    Ok(())
}

async fn route(resolver: &Resolver, sip: Sip<'_>, own: Own, fresh: bool) -> Result<Route, Failure> {
    let (uri, proxy) = sip.destination();
    let transport = sip.transport();
    let place = destination(uri, proxy).map_err(|words| ours("bad_uri", words))?;
    let destinations = resolver
        .sip(
            &place.host,
            place.port,
            Some(transport),
            transport == Transport::Tls,
        )
        .await?;
    let first = destinations.first().ok_or_else(|| {
        ours(
            "name_resolution",
            format!("{} has no address; look at its DNS records", place.host),
        )
    })?;
    let local = own_address(own, first.peer).map_err(|words| ours("no_route", words))?;
    Ok(Route {
        transport: first.transport,
        peer: first.peer,
        local,
        server_name: (first.transport == Transport::Tls && place.host.parse::<IpAddr>().is_err())
            .then_some(place.host),
        fresh,
    })
}

/// The digest user and secret of a probe, if it has any; the words of a failure name the reference, never
/// the content.
fn credentials(sip: Sip<'_>) -> Result<Option<Credentials>, Failure> {
    sip.account()
        .map(|account| {
            let secret =
                config_file::resolve(&account.secret).map_err(|words| ours("no_secret", words))?;
            Ok(Credentials {
                user: account.user.clone(),
                secret: secret.reveal().to_owned(),
            })
        })
        .transpose()
}

fn ours(code: &'static str, words: String) -> Failure {
    Failure::new(Blame::Ours, code, words)
}

/// The proxy if there is one, else the host of the URI.
fn destination(uri: &str, proxy: Option<&str>) -> Result<Where, String> {
    // A proxy is written as the host and port of a URI, and read as one.
    let text = proxy.map_or_else(|| uri.to_owned(), |proxy| format!("sip:{proxy}"));
    let uri = Uri::read(&text).map_err(|error| format!("'{text}': {error}"))?;
    let host = uri
        .host()
        .ok_or_else(|| format!("'{text}' names no host to send to; give a proxy"))?;
    Ok(Where {
        host: host.trim_matches(['[', ']']).to_owned(),
        port: uri.port(),
    })
}

/// The address that packets to `peer` leave from. Connecting a UDP socket sends nothing; it makes the
/// kernel look into its routes.
fn own_address(own: Own, peer: SocketAddr) -> Result<SocketAddr, String> {
    let local = match own {
        Own::Preferred(local) => local,
        Own::Only(local) if local.is_ipv4() == peer.is_ipv4() => {
            return Ok(SocketAddr::new(local, 0));
        }
        Own::Only(local) => {
            return Err(format!(
                "{peer} cannot be asked from {local}: one is IPv4, the other IPv6"
            ));
        }
    };
    if !local.ip().is_unspecified() && local.is_ipv4() == peer.is_ipv4() {
        return Ok(local);
    }
    let any: IpAddr = match peer {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let chosen = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect(peer)?;
        socket.local_addr()
    });
    match chosen {
        Ok(chosen) => Ok(SocketAddr::new(chosen.ip(), local.port())),
        Err(error) => Err(format!(
            "no route from this machine to {peer}: {error}; look at `ip route`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxy_goes_before_the_uri() {
        for (uri, proxy, host, port) in [
            ("sip:119@127.0.1.10", None, "127.0.1.10", None),
            ("sip:119@127.0.1.10:5070", None, "127.0.1.10", Some(5070)),
            (
                "sip:119@pbx.example",
                Some("127.0.1.1:5061"),
                "127.0.1.1",
                Some(5061),
            ),
            ("tel:+33199001199", Some("gw.example"), "gw.example", None),
            ("sip:119@[::1]:5060", None, "::1", Some(5060)),
        ] {
            let found = destination(uri, proxy).unwrap();
            assert_eq!(
                (found.host.as_str(), found.port),
                (host, port),
                "{uri} {proxy:?}"
            );
        }
        for (uri, proxy) in [
            ("tel:+33199001199", None),
            ("nonsense", None),
            ("sip:", Some("")),
        ] {
            assert!(destination(uri, proxy).is_err(), "{uri}");
        }
    }

    #[test]
    fn an_emergency_number_is_never_called() {
        for (uri, refused) in [
            ("sip:119@127.0.1.10", true),
            ("sip:0199001199@127.0.1.10", false),
        ] {
            let settings = crate::probe::call::Settings::new(uri, "sip:vigie@127.0.0.1");
            assert_eq!(guard(Sip::Call(&settings)).is_err(), refused, "{uri}");
        }
    }

    #[test]
    fn an_unspecified_address_becomes_the_one_the_kernel_uses() {
        let peer = SocketAddr::from(([127, 0, 1, 10], 5060));
        let any = SocketAddr::from(([0, 0, 0, 0], 0));
        assert!(
            own_address(Own::Preferred(any), peer)
                .unwrap()
                .ip()
                .is_loopback()
        );
        let given = SocketAddr::from(([127, 0, 0, 9], 5099));
        assert_eq!(own_address(Own::Preferred(given), peer).unwrap(), given);
    }

    #[test]
    fn from_a_place_nothing_leaves_by_another_way() {
        let peer = SocketAddr::from(([127, 0, 1, 10], 5060));
        let place = IpAddr::from([127, 0, 0, 9]);
        let found = own_address(Own::Only(place), peer);
        assert_eq!(found, Ok(SocketAddr::new(place, 0)));
        let other: IpAddr = Ipv6Addr::LOCALHOST.into();
        assert!(own_address(Own::Only(other), peer).is_err());
    }
}

//! Addresses as they are typed: where a URI leads, and how one calls there.

use anyhow::{Context, bail};

use crate::probe::{Account, call};
use crate::sip::Transport;
use crate::sip::header::{Scheme, Uri};

/// A URI that says where to send.
pub(super) fn read(text: &str) -> anyhow::Result<Uri> {
    let uri =
        Uri::read(text).with_context(|| format!("'{text}' is no URI; write sip:USER@HOST"))?;
    match uri.scheme() {
        Scheme::Sip | Scheme::Sips => Ok(uri),
        Scheme::Tel | Scheme::Other => {
            bail!("'{text}' does not say where to send; write sip:NUMBER@HOST")
        }
    }
}

/// The transport that is `wanted` by name, else that of the URI.
pub(super) fn transport(uri: &Uri, wanted: Option<&str>) -> anyhow::Result<Transport> {
    let wanted = match wanted {
        Some("tcp") => Some(Transport::Tcp),
        Some("tls") => Some(Transport::Tls),
        Some("udp") => Some(Transport::Udp),
        Some(_) | None => uri.transport(),
    };
    match (uri.scheme(), wanted) {
        (Scheme::Sips, Some(Transport::Udp)) => bail!("sips: goes over TLS, not over UDP"),
        (Scheme::Sips, _) => Ok(Transport::Tls),
        (Scheme::Sip | Scheme::Tel | Scheme::Other, wanted) => Ok(wanted.unwrap_or(Transport::Udp)),
    }
}

/// The host of a URI.
pub(super) fn host(uri: &Uri) -> anyhow::Result<&str> {
    uri.host().context("the URI names no host to send to")
}

/// A call to this URI, by the way that it says itself.
pub(super) fn call(
    text: &str,
    account: Option<Account>,
    wanted: Option<&str>,
) -> anyhow::Result<call::Settings> {
    let uri = read(text)?;
    // The From of an account is its own address: PBXs find the account by it.
    let user = account.as_ref().map_or("vigie", |account| &account.user);
    let from = format!("sip:{user}@{}", host(&uri)?);
    Ok(call::Settings {
        transport: transport(&uri, wanted)?,
        account,
        ..call::Settings::new(text, from)
    })
}

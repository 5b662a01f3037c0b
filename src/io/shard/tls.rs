//! TLS for one connection: whom to believe, which name to demand, and what a refusal means in words.
//!
//! rustls is used without its sockets: `tcp` moves the bytes. The certificate is always checked.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, ClientConnection};

use crate::calls::FlowFault;
use crate::io::authorities;

/// Whose certificates are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// The authorities of the operating system.
    #[default]
    System,
    /// Those, and the authorities in this PEM file.
    Besides(PathBuf),
}

/// The client side of a new TLS session with `peer`.
pub(super) fn session(
    config: &Arc<ClientConfig>,
    peer: SocketAddr,
    server_name: Option<&str>,
) -> Result<ClientConnection, FlowFault> {
    let name = match server_name {
        Some(name) => ServerName::try_from(name.to_owned()).map_err(|_| FlowFault::Ours {
            words: format!("'{name}' is no name that a certificate can carry"),
        })?,
        None => ServerName::from(peer.ip()),
    };
    ClientConnection::new(Arc::clone(config), name).map_err(|error| ours(&error))
}

/// Reads the trusted authorities.
pub(super) fn client_config(trust: &Trust) -> Result<Arc<ClientConfig>, FlowFault> {
    let mut roots = authorities::of_system();
    match trust {
        Trust::System => {
            if roots.is_empty() {
                return Err(FlowFault::NoTrust {
                    words: "this system has no trusted certificates: install ca-certificates, or \
                            name a PEM file of your authority (tls_ca, --tls-ca)"
                        .to_owned(),
                });
            }
        }
        Trust::Besides(path) => {
            authorities::add_file(&mut roots, path)
                .map_err(|words| FlowFault::NoTrust { words })?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ours(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn ours(error: &rustls::Error) -> FlowFault {
    FlowFault::Ours {
        words: format!("TLS cannot be set up: {error}"),
    }
}

/// What went wrong, as an engineer who has to mend it would say.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign enum that grows: its own words serve for the rest"
)]
pub(super) fn fault(error: &rustls::Error, trust: &Trust) -> FlowFault {
    let words = match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            return unknown_issuer(trust);
        }
        rustls::Error::InvalidCertificate(why) => certificate_words(why),
        rustls::Error::AlertReceived(alert) => {
            format!("the far end refused the TLS session: {alert:?}")
        }
        rustls::Error::PeerIncompatible(why) => {
            format!("no TLS version or cipher in common: {why:?}")
        }
        rustls::Error::InvalidMessage(_) => {
            "the far end does not speak TLS on this port".to_owned()
        }
        other => other.to_string(),
    };
    if rests_on_dates(error) {
        FlowFault::Dates { words }
    } else {
        FlowFault::Tls { words }
    }
}

/// Whether a certificate is refused for a date alone, which is only as good as our clock.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign enum that grows: the dates are these"
)]
pub(in crate::io) fn rests_on_dates(error: &rustls::Error) -> bool {
    match error {
        rustls::Error::InvalidCertificate(why) => matches!(
            why,
            CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. }
        ),
        _ => false,
    }
}

/// Telephone servers have certificates of an authority of the house: as long as nobody named it to us,
/// that we cannot tell a good one from a bad one is our own lack.
fn unknown_issuer(trust: &Trust) -> FlowFault {
    match trust {
        Trust::System => FlowFault::NoTrust {
            words: "the certificate of the far end is signed by an authority that this system does not \
                    know: name the PEM file of that authority (tls_ca, --tls-ca)"
                .to_owned(),
        },
        Trust::Besides(path) => FlowFault::Tls {
            words: format!(
                "the certificate of the far end is signed by nobody we trust, nor by an authority of {}: \
                 ask who changed it, and name the new authority if that was right",
                path.display()
            ),
        },
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign enum that grows: its own words serve for the rest"
)]
fn certificate_words(why: &CertificateError) -> String {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the certificate of the far end has expired, renew it: {why}")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the certificate of the far end is not valid yet, or our clock is wrong: {why}")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!(
                "the certificate of the far end is for another name; call the far end by a name that it \
                 carries, or have one made for this name: {why}"
            )
        }
        CertificateError::BadSignature => {
            "the certificate of the far end does not fit the authority that we know by this name: \
             was the authority made anew?"
                .to_owned()
        }
        other => format!("the certificate of the far end is no good: {other}"),
    }
}

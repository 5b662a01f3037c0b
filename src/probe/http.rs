//! The `http` probe: one page fetched over HTTP or HTTPS, each phase timed, the certificate read even
//! when it is expired or bears the wrong name. `io::prober::http` fetches.

use std::net::SocketAddr;
use std::path::PathBuf;

/// What to ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `http://…` or `https://…`.
    pub url: String,
    /// Connect here instead of where the name of the URL leads; the name still goes into Host and SNI.
    pub connect_to: Option<SocketAddr>,
    /// Status codes that are good; empty: any 2xx.
    pub status: Vec<u16>,
    /// Text the body must hold. Without it, a default page of the web server passes.
    pub contains: Option<String>,
    pub trust: Trust,
    /// Fewer days than this before the certificate ends is degraded: 21 leaves three weeks to renew.
    pub certificate_days_left_min: u16,
    /// How many redirects are followed; one more is misbehaviour.
    pub redirects_max: u8,
    /// The body is read up to here, and `contains` looked for in it. Bytes.
    pub body_bytes_max: usize,
}

/// Who may sign the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The authorities of the operating system.
    System,
    /// Only the authorities of this PEM file.
    File(PathBuf),
    /// Anybody: an appliance with a certificate of its own. Its end date still counts.
    Any,
}

impl Settings {
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            connect_to: None,
            status: Vec::new(),
            contains: None,
            trust: Trust::System,
            certificate_days_left_min: 21,
            redirects_max: 3,
            body_bytes_max: 256 * 1024,
        }
    }
}

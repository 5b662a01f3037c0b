//! The `tcp` probe: a connection, and the banner that the service says first (SSH, SMTP, FTP, MySQL…).
//!
//! It sends nothing, so it leaves no failed log-in behind. `io::prober::tcp` connects.

use std::net::SocketAddr;

/// What to ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// By address, never by name: the check must not depend on the DNS of the plant it watches.
    pub peer: SocketAddr,
    /// Text that the first bytes from the service must hold: `SSH-2.0-`, `220 `, `mysql_native_password`.
    /// `None`: the open port is proof enough.
    pub banner: Option<String>,
}

impl Settings {
    #[must_use]
    pub const fn new(peer: SocketAddr) -> Self {
        Self { peer, banner: None }
    }
}

//! Which own address a probe leaves from, and streams that leave from it.
//!
//! A place of `[vantage.NAME]` is an address of this machine whose packets take another way out. Where that address
//! is gone, or the peer is of the other family, nothing is asked: by another way it would be another place's word.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::{TcpSocket, TcpStream};

/// The own address of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// This one where it is of the peer's family, else the one that the kernel chooses; port 0 for any.
    Preferred(SocketAddr),
    /// This one and no other.
    Only(IpAddr),
}

/// Connects from `local`, or from where the kernel chooses.
///
/// # Errors
/// Those of the sockets; `EADDRNOTAVAIL` when `local` is no address of this machine.
pub(super) async fn connect(local: Option<IpAddr>, peer: SocketAddr) -> io::Result<TcpStream> {
    let Some(local) = local else {
        return TcpStream::connect(peer).await;
    };
    let socket = match peer {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.bind(SocketAddr::new(local, 0))?;
    socket.connect(peer).await
}

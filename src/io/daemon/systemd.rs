//! Tells systemd that we are ready, alive, stopping: one datagram each (`sd_notify(3)`), if it listens.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Sends the words; without a listener nothing happens, and a lost one is nobody's harm.
pub(super) fn notify(words: &str) {
    if let Some(path) = std::env::var_os("NOTIFY_SOCKET") {
        let _ = send(path.as_bytes(), words);
    }
}

fn send(path: &[u8], words: &str) -> std::io::Result<()> {
    // A leading @ stands for the null byte of an abstract name.
    let address = match path.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path))?,
    };
    UnixDatagram::unbound()?.send_to_addr(words.as_bytes(), &address)?;
    Ok(())
}

/// Whether systemd restarts us when it hears nothing for a while. Every beat of the loop tells it then:
/// only a loop that turns, takes inputs and performs outputs comes by there.
pub(super) fn is_watched() -> bool {
    let is_ours = |pid: std::ffi::OsString| pid == std::process::id().to_string().as_str();
    std::env::var_os("WATCHDOG_USEC").is_some()
        && std::env::var_os("WATCHDOG_PID").is_none_or(is_ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_arrives_by_path_and_by_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str().as_bytes(), "READY=1").unwrap();
        let mut heard = [0; 16];
        let count = listener.recv(&mut heard).unwrap();
        assert_eq!(&heard[..count], b"READY=1");

        let name = format!("vigie-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixDatagram::bind_addr(&address).unwrap();
        send(format!("@{name}").as_bytes(), "STOPPING=1").unwrap();
        let count = listener.recv(&mut heard).unwrap();
        assert_eq!(&heard[..count], b"STOPPING=1");
    }
}

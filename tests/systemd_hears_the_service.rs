//! systemd is told when the service is ready, that its loop turns, and that it stops; or it would restart it.

use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const CONFIGURATION: &str = "[plant]\nname = \"p\"\n[service]\nlisten = \"127.0.0.1:0\"\ndata = \"@DATA@\"\n\
     [target.a]\nname = \"A\"\ngroup = \"G\"\naddress = \"127.0.0.1\"\nprobes = [\"ping\"]\n";

/// Ended with the test, whatever happens.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn ready_alive_and_stopping_are_told_in_this_order() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("notify");
    let systemd = UnixDatagram::bind(&socket).unwrap();
    systemd
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let hear = || {
        let mut words = [0; 64];
        let count = systemd.recv(&mut words).expect("a word from the service");
        String::from_utf8_lossy(&words[..count]).into_owned()
    };
    let file = folder.path().join("vigie.toml");
    let data = folder.path().join("data");
    std::fs::write(
        &file,
        CONFIGURATION.replace("@DATA@", &data.to_string_lossy()),
    )
    .unwrap();
    let mut service = Running(
        Command::new(env!("CARGO_BIN_EXE_vigie"))
            .args(["run", "--config"])
            .arg(&file)
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", "30000000")
            .env_remove("WATCHDOG_PID")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    assert_eq!(hear(), "READY=1");
    assert_eq!(hear(), "WATCHDOG=1");
    assert_eq!(hear(), "WATCHDOG=1");
    let pid = Pid::from_raw(i32::try_from(service.0.id()).unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    while hear() != "STOPPING=1" {}
    assert!(service.0.wait().unwrap().success());
}

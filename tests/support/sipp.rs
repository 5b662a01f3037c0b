//! SIPp as the far end of one call, playing a file of `sip-scenarios/`.

use std::fs;
use std::net::SocketAddrV4;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::namespace;
use super::patience::wait_for;

/// One SIPp that takes one call and ends.
#[derive(Debug)]
pub(crate) struct FarEnd {
    child: Child,
    logs: TempDir,
}

impl FarEnd {
    /// Listens on `address` (UDP) and plays the scenario once.
    pub(crate) fn plays(scenario: &str, address: &str, options: &[&str]) -> Self {
        let address: SocketAddrV4 = address.parse().expect("an address and a port");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sip-scenarios");
        let logs = tempfile::tempdir().expect("a folder for SIPp's logs");
        let log = |name: &str| logs.path().join(name).into_os_string();
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "sipp", "-sf"])
            .arg(folder.join(format!("{scenario}.xml")))
            .args([
                "-i",
                &address.ip().to_string(),
                "-p",
                &address.port().to_string(),
            ])
            .args([
                "-m",
                "1",
                "-nostdin",
                "-timeout",
                "30s",
                "-trace_msg",
                "-trace_err",
            ])
            .arg("-message_file")
            .arg(log("messages"))
            .arg("-error_file")
            .arg(log("errors"))
            .args(options)
            // It finds prompt.alaw beside the scenario.
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program sipp");
        let far_end = Self { child, logs };
        wait_for("SIPp listens", Duration::from_secs(10), || {
            namespace::udp_is_bound(address).then_some(())
        });
        far_end
    }

    /// Waits for SIPp to end; its exit code is 0 when the call went by the book.
    pub(crate) fn verdict(&mut self) -> Option<i32> {
        let (status, _) = wait_for("SIPp ends", Duration::from_secs(40), || {
            self.child.try_wait().expect("to wait for a child of ours")
        });
        status.code()
    }

    /// What SIPp saw and what it complained of, to read when a test fails.
    pub(crate) fn story(&self) -> String {
        ["errors", "messages"]
            .map(|name| fs::read_to_string(self.logs.path().join(name)).unwrap_or_default())
            .concat()
    }

    /// The messages SIPp received, one text each.
    pub(crate) fn received(&self) -> Vec<String> {
        let text = fs::read_to_string(self.logs.path().join("messages")).unwrap_or_default();
        let mut messages = Vec::new();
        for block in text.split("-----------------------------------------------") {
            if let Some((head, message)) = block.split_once("\n\n")
                && head.contains("message received")
            {
                messages.push(message.trim_start().to_owned());
            }
        }
        messages
    }

    /// How many requests of this method came, retransmissions included.
    pub(crate) fn requests(&self, method: &str) -> usize {
        self.received()
            .iter()
            .filter(|message| message.starts_with(method))
            .count()
    }
}

impl Drop for FarEnd {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// SIPp as a caller who stays on the line until it is dropped.
#[derive(Debug)]
pub(crate) struct Caller(Child);

impl Caller {
    /// Calls `number` at the server `at` (address and port) from the address `from`.
    pub(crate) fn waits_at(from: &str, number: &str, at: &str) -> Self {
        let from: SocketAddrV4 = from.parse().expect("an address and a port");
        let child = Command::new("setpriv")
            .args([
                "--pdeathsig",
                "KILL",
                "sipp",
                "-sn",
                "uac",
                at,
                "-s",
                number,
            ])
            .args(["-i", &from.ip().to_string()])
            .args(["-p", &from.port().to_string()])
            .args(["-m", "1", "-d", "600000", "-nostdin"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program sipp");
        Self(child)
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        // It may have been hung up on.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

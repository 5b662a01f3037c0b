//! dumpcap beside a call, and what tshark makes of the file: the instrument that ours is held against.

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::patience::wait_for;

/// A capture under way; ended by its own id when it is dropped.
#[derive(Debug)]
pub(crate) struct Capture {
    child: Child,
    folder: TempDir,
}

/// A capture that is complete on disk.
#[derive(Debug)]
pub(crate) struct Captured {
    folder: TempDir,
}

/// The last datagram of a capture; when the file has it, all before it are there, too.
const LAST: &[u8] = b"the capture may end here";

impl Capture {
    /// All UDP on this interface of the thread's network, from the moment this returns.
    pub(crate) fn on(device: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the capture");
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "dumpcap", "-P", "-i", device])
            // What does not fit into the kernel's buffer while others have the processor is lost.
            .args(["-f", "udp", "-B", "16", "-w"])
            .arg(file_in(folder.path()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program dumpcap");
        let mut said = BufReader::new(child.stderr.take().expect("its words are a pipe"));
        let mut words = String::new();
        // It names the file once the capture is open.
        while !words.contains("File: ") {
            let more = said.read_line(&mut words).expect("to read its words");
            assert!(more > 0, "dumpcap ended: {words}");
        }
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Self { child, folder }
    }

    /// Ends it, with every packet on disk; `to` is an address that is reached by the captured interface.
    pub(crate) fn end(mut self, to: &str) -> Captured {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
        socket
            .send_to(LAST, (to, 9))
            .expect("to send a last datagram");
        let file = file_in(self.folder.path());
        wait_for(
            "the last packet is on disk",
            Duration::from_secs(10),
            || {
                let bytes = std::fs::read(&file).ok()?;
                bytes
                    .windows(LAST.len())
                    .rev()
                    .any(|window| window == LAST)
                    .then_some(())
            },
        );
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        kill(pid, Signal::SIGINT).expect("to signal a child of ours");
        self.child.wait().expect("to wait for a child of ours");
        let empty = tempfile::tempdir().expect("a folder");
        let folder = std::mem::replace(&mut self.folder, empty);
        Captured { folder }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn file_in(folder: &Path) -> PathBuf {
    folder.join("call.pcap")
}

/// One row of `tshark -q -z rtp,streams`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub source: String,
    pub destination: String,
    pub ssrc: u32,
    pub packets: u64,
    pub lost: i64,
    /// Milliseconds with three decimals, as tshark prints them.
    pub delta_ms: [String; 3],
    /// Least, mean, most; milliseconds with three decimals.
    pub jitter_ms: [String; 3],
}

impl Captured {
    pub(crate) fn path(&self) -> PathBuf {
        file_in(self.folder.path())
    }

    /// One row per stream, as tshark has them. It learns what is RTP from the SIP in the capture.
    pub(crate) fn rows(&self) -> Vec<Row> {
        rows_of(&self.path(), &[])
    }

    /// The stream that came from this address.
    pub(crate) fn row_from(&self, source: &str) -> Row {
        let rows = self.rows();
        let mut of_it = rows.iter().filter(|row| row.source == source);
        match (of_it.next(), of_it.next()) {
            (Some(row), None) => row.clone(),
            _ => panic!("one stream from {source}: {rows:#?}"),
        }
    }
}

/// One row per stream of a file, the last one to begin first; the arguments may name a port of RTP.
pub(crate) fn rows_of(file: &Path, arguments: &[&str]) -> Vec<Row> {
    let done = Command::new("tshark")
        .args(["-n", "-q", "-z", "rtp,streams"])
        .args(arguments)
        .arg("-r")
        .arg(file)
        .output()
        .expect("the program tshark");
    assert!(
        done.status.success(),
        "tshark: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    let text = String::from_utf8_lossy(&done.stdout);
    text.lines().filter_map(row).collect()
}

/// `start end source port destination port SSRC payload... packets lost (%) 3 × delta 3 × jitter [X]`.
fn row(line: &str) -> Option<Row> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let ssrc = words.get(6)?.strip_prefix("0x")?;
    // The names of the payload types are as many words as there are types.
    let percent = words.iter().position(|word| word.ends_with("%)"))?;
    let after = |at: usize| words.get(percent + at).map(|word| (*word).to_owned());
    Some(Row {
        source: (*words.get(2)?).to_owned(),
        destination: (*words.get(4)?).to_owned(),
        ssrc: u32::from_str_radix(ssrc, 16).ok()?,
        packets: words.get(percent - 2)?.parse().ok()?,
        lost: words.get(percent - 1)?.parse().ok()?,
        delta_ms: [after(1)?, after(2)?, after(3)?],
        jitter_ms: [after(4)?, after(5)?, after(6)?],
    })
}

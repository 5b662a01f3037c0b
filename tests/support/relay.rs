//! `vigie impair` as a user starts it, and who sends and listens on either side of it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use vigie::calls::{Component, Input, MediaId, Output};
use vigie::impair::Record;
use vigie::io::clock;
use vigie::io::impair::{Line, Way};
use vigie::io::shard::{MediaPorts, Settings, Sockets};
use vigie::time::Instant;

use super::truth::{PTIME_MS, sound};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A relay that runs until it is told to stop.
#[derive(Debug)]
pub(crate) struct Relay {
    child: Child,
    said: BufReader<ChildStdout>,
    pub address: SocketAddr,
    folder: TempDir,
}

impl Relay {
    pub(crate) fn start(to: SocketAddr, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the truth");
        let mut child = Command::new(env!("CARGO_BIN_EXE_vigie"))
            .args(["impair", "--listen", "127.0.0.1:0", "--to", &to.to_string()])
            .arg("--truth")
            .arg(folder.path().join("truth"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program under test");
        let mut said = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        said.read_line(&mut line).expect("UTF-8");
        let address = line
            .strip_prefix("relaying ")
            .and_then(|rest| rest.split(' ').next()?.parse().ok())
            .unwrap_or_else(|| panic!("{arguments:?}: {line}"));
        Self {
            child,
            said,
            address,
            folder,
        }
    }

    fn truth(&self) -> PathBuf {
        self.folder.path().join("truth")
    }

    /// How many fates are sealed by now; cheap enough to be asked again and again.
    pub(crate) fn sealed(&self) -> usize {
        let text = fs::read(self.truth()).expect("the truth");
        let lines = text.iter().filter(|byte| **byte == b'\n').count();
        lines.saturating_sub(1)
    }

    /// The fates that are sealed by now.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let text = fs::read_to_string(self.truth()).expect("the truth");
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole
            .lines()
            .skip(1)
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }

    /// The fates of one direction, by packet.
    pub(crate) fn records(&self, component: Component, way: Way) -> Vec<Record> {
        let mut records: Vec<Record> = self
            .lines()
            .into_iter()
            .filter(|line| line.component == component && line.way == way)
            .map(|line| line.record)
            .collect();
        records.sort_by_key(|record| record.packet);
        records
    }

    /// Ends it as systemd would; what it said to the end.
    pub(crate) fn stop(&mut self, signal: Signal) -> String {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        kill(pid, signal).expect("our own child");
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).expect("UTF-8");
        let ended = self.child.wait().expect("our own child");
        assert!(ended.success(), "{ended}: {rest}");
        rest
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // Nothing to do when it was stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A packet that arrived, with the kernel's stamp.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub receiver: usize,
    pub component: Component,
    pub from: SocketAddr,
    pub at: Instant,
    pub bytes: Vec<u8>,
}

/// Receivers of RTP and RTCP on the media ports of the product.
#[derive(Debug)]
pub(crate) struct Receivers {
    sockets: Sockets,
    pub addresses: Vec<SocketAddr>,
}

impl Receivers {
    pub(crate) fn open(count: u32, range: RangeInclusive<u16>) -> Self {
        let rest = Duration::from_secs(5);
        let media_ports = MediaPorts {
            range,
            rest,
            ..MediaPorts::default()
        };
        let mut sockets = Sockets::new(&Settings {
            media_ports,
            ..Settings::default()
        })
        .expect("descriptors");
        let now = sockets.now();
        for media in (0..count).map(MediaId) {
            let ip = LOOPBACK;
            sockets.perform(now, Output::OpenMedia { media, ip });
        }
        let mut addresses = Vec::new();
        sockets.deliver(&mut |_, input| match input {
            Input::MediaOpened { local, .. } => addresses.push(local),
            other => panic!("{other:?}"),
        });
        Self { sockets, addresses }
    }

    /// Takes what comes until nothing is expected any more; panics after `patience`.
    pub(crate) fn receive(
        &mut self,
        patience: Duration,
        mut done: impl FnMut(&[Arrived]) -> bool,
    ) -> Vec<Arrived> {
        let give_up = clock::instant() + patience;
        let mut arrived = Vec::new();
        loop {
            // All that was sent before `done` looked is in the sockets by now: one more round takes it.
            let last = done(&arrived);
            let now = clock::instant();
            assert!(now < give_up, "not within {patience:?}");
            let pause = Duration::from_millis(if last { 0 } else { 20 });
            loop {
                let before = arrived.len();
                self.sockets.wait(Some(now + pause)).expect("waits");
                self.sockets.deliver(&mut |_, input| {
                    if let Input::Media {
                        media,
                        component,
                        from,
                        stamp,
                        packet,
                    } = input
                    {
                        arrived.push(Arrived {
                            receiver: usize::try_from(media.0).unwrap(),
                            component,
                            from,
                            at: stamp,
                            bytes: packet.to_vec(),
                        });
                    }
                });
                if arrived.len() == before {
                    break;
                }
            }
            if last {
                return arrived;
            }
        }
    }
}

/// Sends one stream to each address, a packet every 20 ms each and the streams spread over that time.
pub(crate) fn send_streams(socket: &UdpSocket, to: &[SocketAddr], count: u16) {
    let start = clock::instant() + Duration::from_millis(20);
    let apart = Duration::from_millis(PTIME_MS) / u32::try_from(to.len()).unwrap();
    for number in 0..count {
        for (stream, to) in (0_u32..).zip(to) {
            let due = start + Duration::from_millis(PTIME_MS) * u32::from(number) + apart * stream;
            clock::sleep_until(due);
            let packet = sound(ssrc(stream), number);
            socket.send_to(&packet, to).expect("loopback");
        }
    }
}

pub(crate) const fn ssrc(stream: u32) -> u32 {
    0x5600_0000 + stream
}

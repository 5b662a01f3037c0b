//! The plant of real Asterisk servers (`tests/lab`), on a lead: start, kill, hang, restart.
//!
//! Every server is a child of this process, ended by its own id when the plant is dropped, and by the
//! kernel when the test dies before that.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::namespace;
use super::patience::wait_for;

/// Real Asterisk servers and phones in a network of their own.
#[derive(Debug)]
pub(crate) struct RealPlant {
    dir: TempDir,
    running: BTreeMap<String, Child>,
    /// Consoles that wait for their server to stop.
    consoles: Vec<Child>,
}

impl RealPlant {
    /// The plant at its usual addresses, 127.0.1.x.
    pub(crate) fn start(names: &[&str]) -> Self {
        Self::start_with(names, &[])
    }

    /// The same with settings of `tests/lab/write`: `("VIGIE_LAB_DIRECT_MEDIA", "yes")`.
    pub(crate) fn start_with(names: &[&str], settings: &[(&str, &str)]) -> Self {
        namespace::enter_own_network();
        Self::start_here(names, settings)
    }

    /// The same in the network that this thread is already in.
    pub(crate) fn start_here(names: &[&str], settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("vigie-lab-")
            .tempdir()
            .expect("a folder for the lab");
        let written = Command::new(script("write"))
            .arg(dir.path())
            .envs(settings.iter().copied())
            .status()
            .expect("tests/lab/write");
        assert!(written.success(), "tests/lab/write: {written}");
        // The servers run as somebody else and have to get through.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(dir.path(), open).expect("to open the lab's folder");

        let mut plant = Self {
            dir,
            running: BTreeMap::new(),
            consoles: Vec::new(),
        };
        for name in names {
            plant.boot(name);
        }
        plant
    }

    /// Starts a server and waits until it answers.
    pub(crate) fn boot(&mut self, name: &str) {
        assert!(
            !self.running.contains_key(name),
            "{name} is running already"
        );
        let child = Command::new(script("boot"))
            .arg(self.dir.path())
            .arg(name)
            .env("VIGIE_LAB_DIE_WITH_PARENT", "yes")
            .stdin(Stdio::null())
            .spawn()
            .expect("tests/lab/boot");
        let pid = child.id();
        self.running.insert(name.to_owned(), child);
        let ready = Command::new(script("ready"))
            .arg(self.dir.path())
            .args([name, &pid.to_string()])
            .status()
            .expect("tests/lab/ready");
        assert!(ready.success(), "{name}:\n{}", self.log(name));
    }

    /// Power cut: no goodbye to anybody.
    pub(crate) fn kill(&mut self, name: &str) {
        let mut child = self
            .running
            .remove(name)
            .unwrap_or_else(|| panic!("{name} is not running"));
        child.kill().expect("to kill a child of ours");
        child.wait().expect("to wait for a child of ours");
    }

    /// The process stands still with its sockets open, as a hung PBX does.
    pub(crate) fn hang(&self, name: &str) {
        self.signal(name, Signal::SIGSTOP);
    }

    pub(crate) fn unhang(&self, name: &str) {
        self.signal(name, Signal::SIGCONT);
    }

    pub(crate) fn restart(&mut self, name: &str) {
        self.kill(name);
        self.boot(name);
    }

    /// Refuses new calls from now on, ends when the last one is over.
    pub(crate) fn stop_gracefully(&mut self, name: &str) {
        // The console stays as long as the server does, and the server as long as its last call.
        let mut console = self.command(name, "core stop gracefully");
        console.stdout(Stdio::null()).stderr(Stdio::null());
        self.consoles
            .push(console.spawn().expect("the program asterisk"));
    }

    /// Runs a command on a server's console.
    pub(crate) fn console(&self, name: &str, command: &str) -> String {
        let (code, text) = self.asterisk(name, command);
        assert_eq!(code, Some(0), "{name}> {command}: {text}");
        text
    }

    fn asterisk(&self, name: &str, command: &str) -> (Option<i32>, String) {
        let done = self.command(name, command).output();
        let done = done.expect("the program asterisk");
        (
            done.status.code(),
            String::from_utf8_lossy(&done.stdout).into_owned(),
        )
    }

    fn command(&self, name: &str, command: &str) -> Command {
        let mut asterisk = Command::new("asterisk");
        asterisk
            .arg("-C")
            .arg(self.folder(name).join("asterisk.conf"))
            .args(["-rx", command])
            .stdin(Stdio::null());
        asterisk
    }

    /// Logs every SIP message from now on, so that [`Self::log`] can be asked what came.
    pub(crate) fn log_sip(&self, name: &str) {
        if name == "xivo3" {
            self.console(name, "sip set debug on");
        } else {
            self.console(name, "pjsip set logger on");
        }
    }

    /// All that a server has said.
    pub(crate) fn log(&self, name: &str) -> String {
        let log = if name.starts_with("agent-") {
            self.folder(name).join("log")
        } else {
            self.folder(name).join("log/full")
        };
        fs::read(log).map_or_else(
            |error| error.to_string(),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// What the lab's numbers play, by its name in `tests/lab/sounds`: 8 kHz.
    pub(crate) fn sound(&self, name: &str) -> Vec<i16> {
        let file = self.dir.path().join(format!("sounds/{name}.wav"));
        let bytes = fs::read(file).expect("a sound of the lab");
        vigie::audio::wav::read(&bytes).expect("WAV of 8 kHz")
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn signal(&self, name: &str, signal: Signal) {
        let child = self
            .running
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not running"));
        kill(pid(child), signal).expect("to signal a child of ours");
    }
}

impl Drop for RealPlant {
    fn drop(&mut self) {
        for child in self.running.values_mut().chain(&mut self.consoles) {
            // It may be gone already; then there is nothing to end.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a process id"))
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/lab")
        .join(name)
}

/// Stands in for the daemon that a XiVO asks about every inbound call.
#[derive(Debug)]
pub(crate) struct FastAgi {
    address: SocketAddr,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FastAgi {
    /// Answers on port 4573 of a PBX's address until it is dropped; from then on the port is closed.
    pub(crate) fn on(address: &str) -> Self {
        let address: SocketAddr = format!("{address}:4573").parse().expect("an address");
        let listener = TcpListener::bind(address).expect("the port of FastAGI");
        let ending = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let ending = Arc::clone(&ending);
            move || {
                for caller in listener.incoming() {
                    if ending.load(Ordering::Relaxed) {
                        return;
                    }
                    if let Ok(caller) = caller {
                        // A caller that leaves in the middle is Asterisk's business.
                        let _ = converse(&caller);
                    }
                }
            }
        });
        Self {
            address,
            ending,
            thread: Some(thread),
        }
    }
}

/// Hears the call's variables up to the empty line, gives one harmless command, and hangs up the line
/// to Asterisk, which takes that for success.
fn converse(mut caller: &TcpStream) -> std::io::Result<()> {
    caller.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut lines = BufReader::new(caller).lines();
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    caller.write_all(b"VERBOSE \"the daemon is asked\" 1\n")?;
    lines.next().transpose()?;
    Ok(())
}

impl Drop for FastAgi {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        // Wakes the thread from its accept.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        wait_for("the port of FastAGI closes", Duration::from_secs(5), || {
            TcpStream::connect(self.address).is_err().then_some(())
        });
    }
}

//! Whoever is told: a real mail server (Exim) and an HTTP receiver (Python's), each until it is dropped.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::patience::{look_for, wait_for};

/// A start of Exim or Python on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// Exim hands a message from process to process before it is in the box.
const ARRIVES_WITHIN: Duration = Duration::from_secs(5);

/// STARTTLS and login on port 2525; neither on 2526.
#[derive(Debug)]
pub(crate) struct MailServer {
    folder: TempDir,
    child: Child,
}

impl MailServer {
    /// `pem`: key and certificate.
    pub(crate) fn start(pem: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for Exim");
        let dir = folder.path();
        fs::write(dir.join("server.pem"), pem).expect("a file for its certificate");
        let configuration =
            include_str!("../lab/alerts/exim.conf").replace("@DIR@", &dir.to_string_lossy());
        fs::write(dir.join("exim.conf"), configuration).expect("a file for its configuration");
        fs::create_dir(dir.join("spool")).expect("a folder for its spool");
        // Exim works under a user of its own, and trusts a configuration of root alone.
        for path in [dir.to_owned(), dir.join("spool"), dir.join("server.pem")] {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("our own file");
            let done = Command::new("chown").arg("Debian-exim").arg(&path).status();
            assert!(done.expect("the program chown").success());
        }
        let child = Self::spawn(dir);
        let server = Self { folder, child };
        server.wait_until_ready();
        server
    }

    fn spawn(dir: &Path) -> Child {
        let log = fs::File::create(dir.join("output")).expect("a file for its output");
        Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "exim4", "-bdf", "-C"])
            .arg(dir.join("exim.conf"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("the program exim4")
    }

    fn wait_until_ready(&self) {
        look_for(READY_WITHIN, || accepts(2525)).unwrap_or_else(|| panic!("Exim: {}", self.log()));
    }

    pub(crate) fn stop(&mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is ours");
    }

    pub(crate) fn start_again(&mut self) {
        self.child = Self::spawn(self.folder.path());
        self.wait_until_ready();
    }

    /// What it took so far, one text for each mail. Exim writes `From ` at the head of each.
    pub(crate) fn box_(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("box")).unwrap_or_default();
        let text = format!("\n{text}");
        text.split("\nFrom ").skip(1).map(str::to_owned).collect()
    }

    /// Waits until it holds so many.
    #[track_caller]
    pub(crate) fn wait_for(&self, count: usize) -> Vec<String> {
        look_for(ARRIVES_WITHIN, || {
            Some(self.box_()).filter(|mails| mails.len() >= count)
        })
        .unwrap_or_else(|| panic!("no {count} mails: {:#?}\n{}", self.box_(), self.log()))
        .0
    }

    pub(crate) fn log(&self) -> String {
        ["mainlog", "rejectlog", "paniclog", "output"]
            .map(|name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default())
            .join("\n")
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `tests/lab/alerts/receiver.py`: what it does under which path stands there.
#[derive(Debug)]
pub(crate) struct Receiver {
    folder: TempDir,
    child: Child,
}

impl Receiver {
    pub(crate) fn start(port: u16) -> Self {
        Self::spawn(port, None)
    }

    /// The same over TLS; `pem`: key and certificate.
    pub(crate) fn start_tls(port: u16, pem: &str) -> Self {
        Self::spawn(port, Some(pem))
    }

    fn spawn(port: u16, pem: Option<&str>) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the receiver");
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/lab/alerts/receiver.py");
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "python3"])
            .arg(script)
            .arg(folder.path())
            .arg(port.to_string());
        if let Some(pem) = pem {
            let file = folder.path().join("server.pem");
            fs::write(&file, pem).expect("a file for its certificate");
            command.arg(file);
        }
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .expect("the program python3");
        wait_for("the receiver listens", READY_WITHIN, || accepts(port));
        Self { folder, child }
    }

    /// All requests so far, oldest first.
    pub(crate) fn requests(&self) -> Vec<Value> {
        self.requests_after(0)
    }

    /// Those after the first `seen`.
    pub(crate) fn requests_after(&self, seen: usize) -> Vec<Value> {
        let mut files: Vec<PathBuf> = fs::read_dir(self.folder.path())
            .expect("its folder")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .collect();
        files.sort();
        files
            .iter()
            .skip(seen)
            .map(|file| {
                let text = fs::read_to_string(file).expect("whole by its name");
                serde_json::from_str(&text).expect("JSON")
            })
            .collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn accepts(port: u16) -> Option<()> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    TcpStream::connect_timeout(&address, Duration::from_millis(200))
        .ok()
        .map(drop)
}

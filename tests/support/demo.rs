//! `vigie demo`, as a visitor starts it, and the command by which it is broken.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::patience::{look_for, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_vigie");

/// A demonstration that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Demo {
    child: Child,
    address: String,
    /// Its temporary files go here, so that what it leaves behind is seen.
    folder: TempDir,
}

impl Demo {
    /// Starts it and waits until its page answers; the kernel ends it should the test die.
    pub(crate) fn start(address: &str) -> Self {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", PROGRAM, "demo", "--listen", address]);
        Self::spawned(command)
    }

    /// The same on any free port, with more arguments, in a working folder.
    pub(crate) fn start_in(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        command
            .args(["demo", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .current_dir(folder);
        Self::spawned(command)
    }

    fn spawned(mut command: Command) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the demonstration");
        let log = fs::File::create(folder.path().join("log")).expect("a file for the log");
        let child = command
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of the log"))
            .stderr(log)
            .spawn()
            .expect("the program under test");
        let mut demo = Self {
            child,
            address: String::new(),
            folder,
        };
        let (address, _) = wait_for("what vigie demo says", Duration::from_secs(20), || {
            let log = demo.log();
            if let Ok(Some(status)) = demo.child.try_wait() {
                panic!("vigie demo ended with {status}:\n{log}");
            }
            let (_, after) = log.split_once("the page          http://")?;
            Some(after.split_once('/')?.0.to_owned())
        });
        demo.address = address;
        demo
    }

    /// Where its page is, as it said.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// `http://ADDR:PORT` and the path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// `vigie lab fault SERVER FAULT`.
    pub(crate) fn fault(&self, server: &str, fault: &str) {
        let done = Command::new(PROGRAM)
            .args(["lab", "fault", server, fault, "--at", &self.address])
            .output()
            .expect("the program under test");
        assert!(done.status.success(), "{server} {fault}: {done:?}");
    }

    /// A power cut: no goodbye to any page.
    pub(crate) fn cut_off(&mut self) {
        self.child.kill().expect("to kill a child of ours");
        self.child.wait().expect("to wait for a child of ours");
    }

    /// Sends the signal; the exit code, and what is left in its temporary folder.
    pub(crate) fn ended_by(&mut self, signal: Signal) -> (Option<i32>, Vec<String>) {
        kill(self.pid(), signal).expect("to signal a child of ours");
        let (status, _) = wait_for("vigie demo ends", Duration::from_secs(10), || {
            self.child.try_wait().expect("to wait for a child of ours")
        });
        assert_eq!(status.signal(), None, "{}", self.log());
        let left = fs::read_dir(self.folder.path()).expect("our own folder");
        let names = left.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        (status.code(), names.filter(|name| name != "log").collect())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The answer of a page, if there is one.
    pub(crate) fn fetch(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: vigie\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let _ = kill(self.pid(), Signal::SIGTERM);
        let ended = look_for(Duration::from_secs(5), || match self.child.try_wait() {
            Ok(None) => None,
            Ok(Some(_)) | Err(_) => Some(()),
        });
        if ended.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

//! The program itself, as a user starts it.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use super::patience::{look_for, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_vigie");

/// What a one-shot probe said.
#[derive(Debug)]
pub(crate) struct Report {
    pub code: Option<i32>,
    pub json: Value,
}

/// `vigie probe ARGUMENTS --json`.
pub(crate) fn probe(arguments: &[&str]) -> Report {
    probe_with(arguments, &[])
}

/// The same with secrets in the environment.
pub(crate) fn probe_with(arguments: &[&str], environment: &[(&str, &str)]) -> Report {
    let done = Command::new(PROGRAM)
        .arg("probe")
        .args(arguments)
        .arg("--json")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("the program under test");
    let text = String::from_utf8_lossy(&done.stdout);
    let json = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!(
            "vigie probe {arguments:?} printed no JSON ({error}), exit {:?}:\n{text}\n{}",
            done.status.code(),
            String::from_utf8_lossy(&done.stderr)
        )
    });
    Report {
        code: done.status.code(),
        json,
    }
}

impl Report {
    pub(crate) fn verdict(&self) -> &str {
        self.json["verdict"].as_str().expect("a verdict in words")
    }

    /// The code of the failure, empty when there is none.
    pub(crate) fn failure(&self) -> &str {
        self.json["failure"]["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn blame(&self) -> &str {
        self.json["failure"]["blame"].as_str().unwrap_or_default()
    }

    /// How many steps of the ladder contain the text.
    pub(crate) fn steps(&self, text: &str) -> usize {
        let ladder = self.json["ladder"].as_array().expect("a ladder");
        ladder
            .iter()
            .filter(|step| step.to_string().contains(text))
            .count()
    }

    #[track_caller]
    pub(crate) fn assert_good(&self) {
        assert_eq!(self.verdict(), "good", "{:#}", self.json);
        assert_eq!(self.code, Some(0), "{:#}", self.json);
        assert!(self.json["failure"].is_null(), "{:#}", self.json);
    }
}

fn spawn(folder: &Path, secrets: &[(&str, &str)]) -> Child {
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .expect("a file for the log");
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL", PROGRAM, "run", "--config"])
        .arg(folder.join("vigie.toml"))
        .envs(secrets.iter().copied())
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle of the log"))
        .stderr(log)
        .spawn()
        .expect("the program under test")
}

/// `vigie run` on a configuration, until it is dropped.
#[derive(Debug)]
pub(crate) struct Service {
    child: Child,
    folder: TempDir,
    address: SocketAddr,
    secrets: Vec<(String, String)>,
}

impl Service {
    /// Starts the service; the configuration says `listen = "<address>"`, and finds its folder as `@DATA@`
    /// and its secrets in the environment.
    pub(crate) fn run(configuration: &str, address: &str, secrets: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the service");
        let file = folder.path().join("vigie.toml");
        let data = folder.path().join("data");
        fs::create_dir(&data).expect("a folder for the journal");
        let text = configuration.replace("@DATA@", &data.to_string_lossy());
        fs::write(&file, text).expect("to write the configuration");
        let mut service = Self {
            child: spawn(folder.path(), secrets),
            folder,
            address: address.parse().expect("an address and a port"),
            secrets: secrets
                .iter()
                .map(|(name, secret)| ((*name).to_owned(), (*secret).to_owned()))
                .collect(),
        };
        service.wait_for_the_page();
        service
    }

    /// A power cut, and the same service on the same folder again.
    pub(crate) fn killed_and_back(&mut self) {
        self.kill();
        self.start_again();
    }

    /// A power cut.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("to kill a child of ours");
        self.child.wait().expect("to wait for a child of ours");
    }

    /// The same service on the same folder, after a power cut.
    pub(crate) fn start_again(&mut self) {
        let secrets: Vec<(&str, &str)> = self
            .secrets
            .iter()
            .map(|(name, secret)| (name.as_str(), secret.as_str()))
            .collect();
        self.child = spawn(self.folder.path(), &secrets);
        self.wait_for_the_page();
    }

    fn wait_for_the_page(&mut self) {
        wait_for("vigie run serves its page", Duration::from_secs(20), || {
            if let Some(status) = self.child.try_wait().expect("to wait for a child of ours") {
                panic!("vigie run ended with {status}:\n{}", self.log());
            }
            self.fetch("/healthz").map(drop)
        });
    }

    /// The folder of its journal.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// `GET /api/v1/status`.
    pub(crate) fn status(&self) -> Value {
        let body = self
            .fetch("/api/v1/status")
            .unwrap_or_else(|| panic!("no status; log:\n{}", self.log()));
        serde_json::from_str(&body).expect("a status in JSON")
    }

    /// The body of a page, if the service answers.
    pub(crate) fn fetch(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: vigie\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        Some(body.to_owned())
    }

    /// CPU time used so far, user and system.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))
            .expect("the kernel's account");
        // After the name in parentheses: state is field 3, utime 14, stime 15, in ticks of 10 ms.
        let (_, fields) = stat.rsplit_once(") ").expect("a name in parentheses");
        let fields: Vec<&str> = fields.split(' ').collect();
        let ticks: u64 = [11, 12]
            .map(|at: usize| fields[at].parse::<u64>().expect("ticks"))
            .iter()
            .sum();
        Duration::from_millis(ticks * 10)
    }

    /// Resident memory in KiB.
    pub(crate) fn memory_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .expect("the kernel's account");
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS"))
            .expect("VmRSS");
        line.split_whitespace()
            .nth(1)
            .expect("a figure")
            .parse()
            .expect("KiB")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        // As systemd would; and for good if it does not listen.
        let _ = kill(pid, Signal::SIGTERM);
        let ended = look_for(Duration::from_secs(5), || match self.child.try_wait() {
            Ok(None) => None,
            Ok(Some(_)) | Err(_) => Some(()),
        });
        if ended.is_some() {
            return;
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! Runs a plug-in, for `probe::plugin`: no shell, an environment of its own, a process group of its own
//! that is killed as a whole, and output that cannot fill the memory.

use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::Deadline;
use crate::io::config_file;
use crate::probe::plugin::{End, OUTPUT_BYTES_MAX, Seen, Settings};

/// Plug-ins call `ping`, `snmpget`, `awk`; nothing else of our environment reaches them.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Error output is only shown when the plug-in prints nothing else.
const ERROR_BYTES_MAX: usize = 4096;

pub(super) async fn fetch(settings: &Settings, timeout: Duration) -> Seen {
    let deadline = Deadline::after(timeout);
    let mut command = match command(settings) {
        Ok(command) => command,
        Err(words) => return Seen::NotStarted { words },
    };
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            return Seen::NotStarted {
                words: format!("{error}: check that the plug-in is installed and executable"),
            };
        }
    };
    let mut group = Group::of(child);
    let ended = deadline.wait(group.collect()).await;
    let after = deadline.elapsed();
    match ended {
        Some(Ok((status, stdout, stderr))) => Seen::Ended {
            how: end(status),
            after,
            stdout,
            stderr,
        },
        Some(Err(error)) => Seen::NotStarted {
            words: format!("its output could not be read: {error}"),
        },
        None => Seen::TimedOut { after },
    }
}

fn command(settings: &Settings) -> Result<Command, String> {
    if !settings.command.is_absolute() {
        return Err("is no absolute path; write the whole path of the plug-in".to_owned());
    }
    let mut command = Command::new(&settings.command);
    command
        .args(&settings.arguments)
        .env_clear()
        .env("LC_ALL", "C")
        .env("PATH", PATH)
        .envs(
            settings
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        )
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    for (name, reference) in &settings.secrets {
        command.env(name, config_file::resolve(reference)?.reveal());
    }
    Ok(command)
}

/// A plug-in and whatever it started. Dropped before its end, the whole group is killed.
struct Group {
    child: Child,
    leader: Option<Pid>,
}

impl Group {
    fn of(child: Child) -> Self {
        let leader = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .map(Pid::from_raw);
        Self { child, leader }
    }

    /// Waits for the end of the plug-in itself; a daemon that it left behind with our pipe open is not
    /// waited for.
    async fn collect(&mut self) -> std::io::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
        let mut stdout = Capped::new(OUTPUT_BYTES_MAX);
        let mut stderr = Capped::new(ERROR_BYTES_MAX);
        let mut out = self.child.stdout.take();
        let mut err = self.child.stderr.take();
        let status = {
            let reading = async {
                tokio::join!(stdout.read(&mut out), stderr.read(&mut err));
            };
            tokio::pin!(reading);
            tokio::select! {
                biased;
                () = &mut reading => self.child.wait().await?,
                status = self.child.wait() => {
                    // What it wrote before its end is in the pipes already: read on until they are empty.
                    let _ = tokio::time::timeout(DRAIN, reading).await;
                    status?
                }
            }
        };
        Ok((status, stdout.bytes, stderr.bytes))
    }
}

/// Long enough to empty two pipes of 64 KiB, short enough for a pipe that somebody holds open.
const DRAIN: Duration = Duration::from_millis(100);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.leader {
            // The group may be empty by now; then there is nobody to kill. Its number cannot be another's
            // yet: process numbers in use as a group are not given out, and free ones come around slowly.
            let _ = killpg(leader, Signal::SIGKILL);
        }
    }
}

/// Keeps the start of a stream and drops the rest, so that the writer is never blocked.
struct Capped {
    bytes: Vec<u8>,
    max: usize,
}

impl Capped {
    const fn new(max: usize) -> Self {
        Self {
            bytes: Vec::new(),
            max,
        }
    }

    async fn read(&mut self, stream: &mut Option<impl AsyncRead + Unpin>) {
        let Some(stream) = stream else { return };
        let mut part = vec![0; 4096];
        loop {
            match stream.read(&mut part).await {
                Ok(0) | Err(_) => return,
                Ok(count) => {
                    let kept = count.min(self.max.saturating_sub(self.bytes.len()));
                    self.bytes
                        .extend_from_slice(part.get(..kept).unwrap_or(&[]));
                }
            }
        }
    }
}

fn end(status: ExitStatus) -> End {
    match status.code() {
        Some(code) => End::Code(code),
        None => End::Signal(status.signal().unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Word;
    use crate::probe::plugin::judge;
    use crate::secret::SecretRef;

    const LONG: Duration = Duration::from_secs(20);

    /// The plug-ins of these tests are shell scripts, given to the shell as an argument.
    fn script(text: &str) -> Settings {
        Settings {
            arguments: vec!["-c".to_owned(), text.to_owned()],
            ..Settings::new("/bin/sh")
        }
    }

    async fn run(settings: &Settings, timeout: Duration) -> Seen {
        fetch(settings, timeout).await
    }

    #[tokio::test]
    async fn the_ends_of_a_plugin() {
        for (text, word, code) in [
            ("echo 'OK|a=1'; exit 0", Word::Good, ""),
            ("echo WARNING; exit 1", Word::Degraded, "plugin_warning"),
            ("echo CRITICAL; exit 2", Word::Down, "plugin_critical"),
            ("exit 3", Word::Blind, "plugin_unknown"),
            ("exit 4", Word::Blind, "plugin_error"),
            ("/nonexistent/check_x", Word::Blind, "plugin_error"),
            ("/etc/passwd", Word::Blind, "plugin_error"),
            ("kill -9 $$", Word::Blind, "plugin_killed"),
            ("kill -11 $$", Word::Blind, "plugin_killed"),
        ] {
            let settings = script(text);
            let verdict = judge(&settings, &run(&settings, LONG).await);
            let found = verdict.failure.as_ref().map_or("", |f| f.code.as_ref());
            assert_eq!((verdict.word, found), (word, code), "{text}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_started_is_blind_and_says_why() {
        for path in ["/nonexistent/check_x", "/etc/passwd", "check_x"] {
            let settings = Settings::new(path);
            let verdict = judge(&settings, &run(&settings, LONG).await);
            assert_eq!(verdict.word, Word::Blind, "{path}");
            assert_eq!(
                verdict.failure.unwrap().code,
                "plugin_not_started",
                "{path}"
            );
        }
        let settings = Settings {
            secrets: vec![(
                "PASSWORD".to_owned(),
                SecretRef::Env("VIGIE_NEVER_SET".to_owned()),
            )],
            ..script("exit 0")
        };
        let verdict = judge(&settings, &run(&settings, LONG).await);
        assert!(verdict.failure.unwrap().words.contains("VIGIE_NEVER_SET"));
    }

    /// A pipe with a name that processes hold open: its end is the end of all of them.
    struct Thread {
        folder: tempfile::TempDir,
        held: tokio::sync::oneshot::Receiver<()>,
        ended: tokio::task::JoinHandle<()>,
    }

    impl Thread {
        fn new() -> Self {
            use std::io::Read;
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("pipe");
            nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
            let (holding, held) = tokio::sync::oneshot::channel();
            let ended = tokio::task::spawn_blocking(move || {
                // Opening waits for the first process that opens it to write; reading for the last end.
                let mut pipe = std::fs::File::open(path).unwrap();
                holding.send(()).unwrap();
                pipe.read_to_end(&mut Vec::new()).unwrap();
            });
            Self {
                folder,
                held,
                ended,
            }
        }

        fn script(&self, text: &str) -> Settings {
            script(&format!(
                "exec 9>{}/pipe; {text}",
                self.folder.path().display()
            ))
        }

        async fn all_are_dead(self) {
            tokio::time::timeout(LONG, self.ended)
                .await
                .expect("somebody lives")
                .unwrap();
        }
    }

    #[tokio::test]
    async fn a_plugin_that_hangs_is_timed_out() {
        let seen = run(&script("sleep 1000"), Duration::from_millis(50)).await;
        assert!(matches!(seen, Seen::TimedOut { .. }), "{seen:?}");
    }

    #[tokio::test]
    async fn a_plugin_given_up_is_killed_with_its_children() {
        let mut thread = Thread::new();
        let settings = thread.script("sleep 1000 & sleep 1000");
        let fetching = tokio::spawn(async move { run(&settings, LONG).await });
        (&mut thread.held).await.unwrap();
        fetching.abort();
        thread.all_are_dead().await;
    }

    #[tokio::test]
    async fn a_flood_of_output_is_cut_and_does_not_block() {
        let settings = script("echo OK; yes | head -c 1000000; exit 1");
        let Seen::Ended { how, stdout, .. } = run(&settings, LONG).await else {
            panic!("it ends by itself");
        };
        assert_eq!(how, End::Code(1));
        assert_eq!(stdout.len(), OUTPUT_BYTES_MAX);
    }

    #[tokio::test]
    async fn a_daemon_left_behind_is_not_waited_for_and_is_ended() {
        let thread = Thread::new();
        let settings = thread.script("sleep 1000 & echo OK");
        let Seen::Ended { how, stdout, .. } = run(&settings, LONG).await else {
            panic!("it ends by itself");
        };
        assert_eq!((how, stdout.as_slice()), (End::Code(0), b"OK\n".as_slice()));
        thread.all_are_dead().await;
    }

    #[tokio::test]
    async fn the_environment_is_clean_and_holds_what_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "hunter2\n").unwrap();
        let settings = Settings {
            environment: vec![("SITE".to_owned(), "paris".to_owned())],
            secrets: vec![("PASSWORD".to_owned(), SecretRef::File(file))],
            ..Settings::new("/usr/bin/env")
        };
        let Seen::Ended { stdout, .. } = run(&settings, LONG).await else {
            panic!("it ends by itself");
        };
        let text = String::from_utf8(stdout).unwrap();
        let mut names: Vec<_> = text
            .lines()
            .filter_map(|line| line.split('=').next())
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["LC_ALL", "PASSWORD", "PATH", "SITE"]);
        assert!(text.contains("PASSWORD=hunter2\n"));
    }
}

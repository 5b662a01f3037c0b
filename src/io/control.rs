//! The door for people's acts: a Unix socket in the data folder, for the user of the service and root.
//!
//! One connection, one act: a line of JSON in (an `incident::act::Act`), a line of JSON out (an [`Answer`]).
//! Who may open the socket may act; the author is who they say they are, and stands in the fact.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

use crate::incident::act::{Act, Refusal};

/// Its name in the data folder.
pub const SOCKET: &str = "control.sock";

/// A longer line is no act.
const LINE_MAX: u64 = 64 * 1024;

/// Who connects and says nothing for so long is sent away.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long an answer may take: a commit on a busy disk, and some.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// Acts that wait for the engine at most; more are refused.
const WAITING_MAX: usize = 64;

/// What became of an act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is this fact, and on disk.
    Fact(u64),
    Refused(String),
}

/// An act that waits for its answer.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) act: Act,
    pub(super) reply: oneshot::Sender<Result<u64, Refusal>>,
}

/// Opens the door; whoever stops serving drops the receiver.
pub(super) fn open(folder: &Path) -> std::io::Result<mpsc::Receiver<Request>> {
    // It is closed to others before it has its name: between bind and chmod anybody could have come in.
    let apart = tempfile::Builder::new()
        .prefix(".control-")
        .tempdir_in(folder)?;
    let closed = apart.path().join(SOCKET);
    let listener = UnixListener::bind(&closed)?;
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o600))?;
    // The journal's lock says that no other service is alive: what lies there was left by one that was killed.
    std::fs::rename(&closed, folder.join(SOCKET))?;
    let (sender, requests) = mpsc::channel(WAITING_MAX);
    tokio::spawn(serve(listener, sender));
    Ok(requests)
}

async fn serve(listener: UnixListener, requests: mpsc::Sender<Request>) {
    loop {
        tokio::select! {
            () = requests.closed() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    tokio::spawn(answer(stream, requests.clone()));
                }
                Err(error) => {
                    // Out of file descriptors: what is open now will close.
                    tracing::warn!("no act can be heard: {error}");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

async fn answer(mut stream: UnixStream, requests: mpsc::Sender<Request>) {
    let (reader, mut writer) = stream.split();
    let answer = match tokio::time::timeout(PATIENCE, read_line(reader)).await {
        Ok(Ok(line)) => ask(&line, &requests).await,
        // Nobody is left to be told.
        Ok(Err(_)) | Err(_) => return,
    };
    if let Ok(mut text) = serde_json::to_string(&answer) {
        text.push('\n');
        // Whoever went away does not want it.
        drop(writer.write_all(text.as_bytes()).await);
    }
}

async fn ask(line: &str, requests: &mpsc::Sender<Request>) -> Answer {
    let act = match serde_json::from_str::<Act>(line) {
        Ok(act) => act,
        Err(error) => return Answer::Refused(format!("this is no act: {error}")),
    };
    let (reply, answered) = oneshot::channel();
    if requests.try_send(Request { act, reply }).is_err() {
        return Answer::Refused("the service is busy or stops: try again".to_owned());
    }
    match answered.await {
        Ok(Ok(fact)) => Answer::Fact(fact),
        Ok(Err(refusal)) => Answer::Refused(refusal.0),
        Err(_) => {
            Answer::Refused("the service stopped before it was written: try again".to_owned())
        }
    }
}

async fn read_line(reader: impl tokio::io::AsyncRead + Unpin) -> std::io::Result<String> {
    let mut line = String::new();
    BufReader::new(reader.take(LINE_MAX))
        .read_line(&mut line)
        .await?;
    Ok(line)
}

/// Does `act` by the service whose data folder this is.
///
/// # Errors
/// No service runs there, or nobody may act.
pub async fn act(folder: &Path, act: &Act) -> std::io::Result<Answer> {
    let path: PathBuf = folder.join(SOCKET);
    let exchange = async {
        let mut stream = UnixStream::connect(&path).await?;
        let (reader, mut writer) = stream.split();
        let mut text = serde_json::to_string(act)?;
        text.push('\n');
        writer.write_all(text.as_bytes()).await?;
        read_line(reader).await
    };
    let line = tokio::time::timeout(ANSWER_WITHIN, exchange)
        .await
        .map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
    Ok(serde_json::from_str(&line)?)
}

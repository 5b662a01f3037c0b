//! Cutting a TCP or TLS stream into messages (RFC 3261 §18.3, keep-alives of RFC 5626 §3.5.1).
//!
//! Push the bytes as they come, pull whole messages. A stream that cannot be cut any more is an error and
//! the connection is to be closed: there is no way to find the next message in it.

use super::index::{MESSAGE_BYTES_MAX, WireError, index_head};

/// Bytes of start line and header fields together. Real heads are below 4 KB; more only invites abuse.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// What stands next in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// One whole message, for [`super::index()`].
    Message(&'a [u8]),
    /// Two line ends: the peer asks whether we live; answer one CRLF.
    Ping,
    /// One line end: the peer lives.
    Pong,
}

/// Why a stream cannot be cut any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("no end of the header fields within {HEAD_BYTES_MAX} bytes")]
    HeadTooLong,
    #[error("a message of {bytes} bytes")]
    MessageTooLong { bytes: usize },
    /// §18.3: on streams the field is mandatory.
    #[error("no content length")]
    NoContentLength,
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// The bytes of one connection that are not yet a whole message.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    /// What lies before has been pulled.
    taken: usize,
    /// Up to here no end of a head was found.
    scanned: usize,
    /// Length of the message at `taken`, once its head is complete.
    whole: Option<usize>,
    /// A single line end was given out as a pong; another one makes it a ping after all.
    half_ping: bool,
    broken: Option<FrameError>,
}

impl Framer {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what was received. Pull until `None` after each push; that bounds what is kept.
    pub fn push(&mut self, received: &[u8]) {
        if self.broken.is_some() {
            return;
        }
        if self.taken > 0 {
            self.buffer.drain(..self.taken);
            self.scanned = self.scanned.saturating_sub(self.taken);
            self.taken = 0;
        }
        self.buffer.extend_from_slice(received);
    }

    /// The next whole message or keep-alive, `None` until more is pushed.
    ///
    /// # Errors
    /// When the stream makes no sense; every later pull says the same.
    pub fn pull(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        match self.next_frame() {
            Ok(None) => Ok(None),
            Ok(Some(Cut::Ping)) => Ok(Some(Frame::Ping)),
            Ok(Some(Cut::Pong)) => Ok(Some(Frame::Pong)),
            Ok(Some(Cut::Message { start, end })) => {
                Ok(Some(Frame::Message(&self.buffer[start..end])))
            }
            Err(error) => {
                self.broken = Some(error);
                self.buffer = Vec::new();
                Err(error)
            }
        }
    }

    /// Bytes waiting for the rest of their message.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.buffer.len() - self.taken
    }

    fn next_frame(&mut self) -> Result<Option<Cut>, FrameError> {
        if self.whole.is_none() {
            if let Some(keep_alive) = self.keep_alive() {
                return Ok(Some(keep_alive));
            }
            self.whole = self.measure()?;
        }
        let Some(length) = self.whole else {
            return Ok(None);
        };
        if self.pending_bytes() < length {
            return Ok(None);
        }
        let start = self.taken;
        self.taken += length;
        self.scanned = self.taken;
        self.whole = None;
        Ok(Some(Cut::Message {
            start,
            end: start + length,
        }))
    }

    fn keep_alive(&mut self) -> Option<Cut> {
        let waiting = &self.buffer[self.taken..];
        let line_end = |bytes: &[u8]| match bytes {
            [b'\r', b'\n', ..] => 2,
            [b'\n', ..] => 1,
            _ => 0,
        };
        let first = line_end(waiting);
        if first == 0 {
            if !waiting.is_empty() && waiting != b"\r" {
                self.half_ping = false;
            }
            return None;
        }
        let second = line_end(&waiting[first..]);
        let cut = if self.half_ping {
            self.taken += first;
            self.half_ping = false;
            Cut::Ping
        } else if second > 0 {
            self.taken += first + second;
            Cut::Ping
        } else {
            self.taken += first;
            self.half_ping = self.taken == self.buffer.len();
            Cut::Pong
        };
        self.scanned = self.taken;
        Some(cut)
    }

    /// The length of the message at `taken`, if its head is complete.
    fn measure(&mut self) -> Result<Option<usize>, FrameError> {
        let waiting = &self.buffer[self.taken..];
        // The end may straddle two pushes: step back by the three bytes that could belong to it.
        let from = self.scanned.saturating_sub(self.taken).saturating_sub(3);
        let Some(head) = head_length(waiting, from) else {
            self.scanned = self.buffer.len();
            if waiting.len() > HEAD_BYTES_MAX {
                return Err(FrameError::HeadTooLong);
            }
            return Ok(None);
        };
        if head > HEAD_BYTES_MAX {
            return Err(FrameError::HeadTooLong);
        }
        let (message, _) = index_head(&waiting[..head])?;
        let body = message
            .content_length()?
            .ok_or(FrameError::NoContentLength)?;
        let bytes = head.saturating_add(body);
        if bytes > MESSAGE_BYTES_MAX {
            return Err(FrameError::MessageTooLong { bytes });
        }
        Ok(Some(bytes))
    }
}

enum Cut {
    Message { start: usize, end: usize },
    Ping,
    Pong,
}

/// Length of the head with its empty line, which is searched from `from` on.
fn head_length(bytes: &[u8], from: usize) -> Option<usize> {
    memchr::memchr_iter(b'\n', bytes.get(from..)?)
        .map(|at| from + at)
        .find_map(|at| match bytes.get(at + 1..)? {
            [b'\n', ..] => Some(at + 2),
            [b'\r', b'\n', ..] => Some(at + 3),
            _ => None,
        })
}

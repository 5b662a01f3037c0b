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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OPTIONS: &str = "OPTIONS sip:a@b SIP/2.0\r\nl: 4\r\n\r\nbody";
    const BARE_LF: &str = "OPTIONS sip:a@b SIP/2.0\nContent-Length: 0\n\n";

    /// What comes out when `stream` arrives in pieces of `piece` bytes, in words.
    fn frames(stream: &[u8], piece: usize) -> (Vec<String>, Option<FrameError>) {
        let mut framer = Framer::new();
        let mut out = Vec::new();
        for received in stream.chunks(piece) {
            framer.push(received);
            loop {
                match framer.pull() {
                    Ok(None) => break,
                    Ok(Some(Frame::Ping)) => out.push("ping".to_owned()),
                    Ok(Some(Frame::Pong)) => out.push("pong".to_owned()),
                    Ok(Some(Frame::Message(bytes))) => {
                        out.push(String::from_utf8_lossy(bytes).into_owned());
                    }
                    Err(error) => return (out, Some(error)),
                }
            }
        }
        (out, None)
    }

    #[test]
    fn messages_and_keep_alives_come_out_in_order() {
        let stream = format!("\r\n\r\n{OPTIONS}\r\n{BARE_LF}{OPTIONS}\r\n\r\nOPT");
        let (out, error) = frames(stream.as_bytes(), stream.len());
        assert_eq!(error, None);
        assert_eq!(out, ["ping", OPTIONS, "pong", BARE_LF, OPTIONS, "ping"]);
    }

    #[test]
    fn a_ping_cut_in_two_is_still_answered() {
        let (out, _) = frames(b"\r\n\r\n", 2);
        assert_eq!(out, ["pong", "ping"]);
    }

    #[test]
    fn what_cannot_be_cut_is_an_error_from_then_on() {
        let endless = [
            &b"OPTIONS sip:a@b SIP/2.0\r\nX: "[..],
            &[b'x'; HEAD_BYTES_MAX],
        ]
        .concat();
        let cases: [(&str, &[u8], FrameError); 5] = [
            (
                "garbage",
                b"\x16\x03\x01\x02 hello\r\n\r\n",
                FrameError::Wire(WireError::StartLine),
            ),
            (
                "no length",
                b"OPTIONS sip:a@b SIP/2.0\r\n\r\n",
                FrameError::NoContentLength,
            ),
            (
                "a length that is none",
                b"OPTIONS sip:a@b SIP/2.0\r\nl: -1\r\n\r\n",
                FrameError::Wire(WireError::ContentLength),
            ),
            (
                "a length beyond all bounds",
                b"OPTIONS sip:a@b SIP/2.0\r\nl: 70000\r\n\r\n",
                FrameError::MessageTooLong { bytes: 70_037 },
            ),
            ("an endless head", &endless, FrameError::HeadTooLong),
        ];
        for (name, stream, expected) in cases {
            let mut framer = Framer::new();
            framer.push(stream);
            assert_eq!(framer.pull(), Err(expected), "{name}");
            framer.push(OPTIONS.as_bytes());
            assert_eq!(framer.pull(), Err(expected), "{name}, once more");
            assert_eq!(framer.pending_bytes(), 0, "{name}");
        }
    }

    proptest! {
        #[test]
        fn messages_do_not_depend_on_how_the_stream_is_cut(piece in 1_usize..60) {
            let stream = format!("{OPTIONS}{BARE_LF}{OPTIONS}");
            let (out, error) = frames(stream.as_bytes(), piece);
            prop_assert_eq!(error, None);
            prop_assert_eq!(out, [OPTIONS, BARE_LF, OPTIONS]);
        }

        #[test]
        fn no_stream_makes_it_panic(stream in any::<Vec<u8>>(), piece in 1_usize..9) {
            frames(&stream, piece);
        }
    }
}

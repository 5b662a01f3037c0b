//! The `tcp` probe: a connection, and the banner that the service says first (SSH, SMTP, FTP, MySQL…).
//!
//! It sends nothing, so it leaves no failed log-in behind. `io::prober::tcp` connects.

use std::net::SocketAddr;
use std::time::Duration;

use super::socket::SocketFault;
use super::{Blame, Failure, Verdict};

/// What to ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// By address, never by name: the check must not depend on the DNS of the plant it watches.
    pub peer: SocketAddr,
    /// Text that the first bytes from the service must hold: `SSH-2.0-`, `220 `, `mysql_native_password`.
    /// `None`: the open port is proof enough.
    pub banner: Option<String>,
}

impl Settings {
    #[must_use]
    pub const fn new(peer: SocketAddr) -> Self {
        Self { peer, banner: None }
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Connected {
        connect: Duration,
        /// The first bytes of the service, when a banner was waited for.
        heard: Vec<u8>,
        /// From the first SYN to the last byte of `heard`.
        after: Duration,
        /// Why the listening ended.
        ended: Ended,
    },
    Failed {
        fault: SocketFault,
        after: Duration,
    },
}

/// Why the listening ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The banner is there, or none was asked for.
    Enough,
    /// More bytes came than a banner has.
    TooMuch,
    /// Time-out, close or error before the banner was complete.
    Broke(SocketFault),
}

/// The banner is looked for in this many bytes; the longest greetings (SMTP, MySQL) have a few hundred.
pub const BANNER_BYTES_MAX: usize = 4096;

/// Whether `heard` holds the banner.
#[must_use]
pub fn holds(heard: &[u8], banner: &str) -> bool {
    banner.is_empty()
        || heard
            .windows(banner.len())
            .any(|window| window == banner.as_bytes())
}

/// Judges what came back.
#[must_use]
pub fn judge(settings: &Settings, seen: &Seen) -> Verdict {
    let whom = settings.peer.to_string();
    let (connect, heard, after, ended) = match seen {
        Seen::Failed { fault, after } => return Verdict::down(fault.failure(&whom, *after)),
        Seen::Connected {
            connect,
            heard,
            after,
            ended,
        } => (connect, heard, after, ended),
    };
    let connect_ms = connect.as_secs_f64() * 1000.0;
    let verdict = match (&settings.banner, ended) {
        (None, _) | (Some(_), Ended::Enough) => Verdict::good(*after),
        (Some(_), Ended::Broke(fault)) if heard.is_empty() => Verdict::down(unsaid(&whom, fault)),
        (Some(banner), Ended::TooMuch | Ended::Broke(_)) => Verdict::down(Failure::new(
            Blame::Misbehaved,
            "wrong_banner",
            format!(
                "{whom} said \"{}\" and not \"{banner}\": another service, or an error greeting",
                excerpt(heard)
            ),
        )),
    };
    verdict.measuring("connect_ms", connect_ms)
}

/// The connection stood, and not a byte came.
fn unsaid(whom: &str, fault: &SocketFault) -> Failure {
    match fault {
        SocketFault::Closed | SocketFault::Refused => Failure::new(
            Blame::Refused,
            "closed_without_banner",
            format!(
                "{whom} accepted and closed at once: too many sessions, or this machine is not allowed"
            ),
        ),
        SocketFault::TimedOut | SocketFault::Unreachable => Failure::new(
            Blame::Silent,
            "no_banner",
            format!(
                "{whom} accepted the connection but says nothing: the service hangs behind an open port"
            ),
        ),
        SocketFault::Ours { .. } => fault.failure(whom, Duration::ZERO),
    }
}

/// The start of what was heard, as safe text.
fn excerpt(heard: &[u8]) -> String {
    let start = heard.get(..80).unwrap_or(heard);
    start.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Word;

    #[test]
    fn the_table_of_banners() {
        let broke = |fault| Ended::Broke(fault);
        for (banner, heard, ended, word, code) in [
            (None, "", Ended::Enough, Word::Good, ""),
            (
                Some("SSH-2.0-"),
                "SSH-2.0-OpenSSH_9.2\r\n",
                Ended::Enough,
                Word::Good,
                "",
            ),
            (
                Some("SSH-2.0-"),
                "HTTP/1.1 400\r\n",
                broke(SocketFault::Closed),
                Word::Down,
                "wrong_banner",
            ),
            (
                Some("220 "),
                "421 too busy\r\n",
                broke(SocketFault::TimedOut),
                Word::Down,
                "wrong_banner",
            ),
            (
                Some("220 "),
                "xxxx",
                Ended::TooMuch,
                Word::Down,
                "wrong_banner",
            ),
            (
                Some("220 "),
                "",
                broke(SocketFault::TimedOut),
                Word::Down,
                "no_banner",
            ),
            (
                Some("220 "),
                "",
                broke(SocketFault::Closed),
                Word::Down,
                "closed_without_banner",
            ),
            (
                Some("220 "),
                "",
                broke(SocketFault::Ours {
                    words: String::new(),
                }),
                Word::Blind,
                "no_socket",
            ),
        ] {
            let settings = Settings {
                peer: SocketAddr::from(([127, 0, 0, 1], 22)),
                banner: banner.map(str::to_owned),
            };
            let seen = Seen::Connected {
                connect: Duration::from_millis(1),
                heard: heard.as_bytes().to_vec(),
                after: Duration::from_millis(2),
                ended: ended.clone(),
            };
            let verdict = judge(&settings, &seen);
            let found = verdict.failure.as_ref().map_or("", |f| f.code.as_ref());
            assert_eq!(
                (verdict.word, found),
                (word, code),
                "{banner:?} {heard:?} {ended:?}"
            );
        }
    }

    #[test]
    fn a_refusal_is_theirs_and_a_missing_route_is_ours() {
        for (fault, word) in [
            (SocketFault::Refused, Word::Down),
            (SocketFault::TimedOut, Word::Down),
            (
                SocketFault::Ours {
                    words: "no route".to_owned(),
                },
                Word::Blind,
            ),
        ] {
            let settings = Settings::new(SocketAddr::from(([127, 0, 0, 1], 22)));
            let seen = Seen::Failed {
                fault: fault.clone(),
                after: Duration::from_secs(2),
            };
            assert_eq!(judge(&settings, &seen).word, word, "{fault:?}");
        }
    }

    #[test]
    fn a_banner_may_stand_anywhere_in_binary_bytes() {
        assert!(holds(
            b"\x4a\0\0\0\x0a8.0\0\xffmysql_native_password\0",
            "mysql_native_password"
        ));
        assert!(!holds(b"mysql", "mysql_native_password"));
        assert!(holds(b"", ""));
    }
}

//! What an error of a socket means for a verdict: theirs, or our own.
//!
//! The one table that keeps a watchdog without file descriptors, route or permission from calling the
//! plant down. Used by the judges of `tcp`, `http`, `dns` and `icmp`; the fetchers only carry the error.

use std::io;
use std::time::Duration;

use super::{Blame, Failure};

/// Why a socket gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketFault {
    /// The host lives, nobody listens there (a reset, or ICMP port unreachable).
    Refused,
    /// The connection ended before we had what we asked for.
    Closed,
    /// Nothing came back in time.
    TimedOut,
    /// Nobody answers for that address on its network, or a router says so.
    Unreachable,
    /// Our own side; the words say what to do.
    Ours { words: String },
}

impl SocketFault {
    /// Reads the error of a socket call. What we do not know is our own: it must not accuse the plant.
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        let ours = |advice: &str| Self::Ours {
            words: format!("{error}: {advice}"),
        };
        let Some(number) = error.raw_os_error() else {
            return if error.kind() == io::ErrorKind::UnexpectedEof {
                Self::Closed
            } else {
                ours("look at the network settings of this machine")
            };
        };
        match number {
            errno::ECONNREFUSED => Self::Refused,
            errno::ECONNRESET | errno::ECONNABORTED | errno::EPIPE => Self::Closed,
            errno::ETIMEDOUT => Self::TimedOut,
            errno::EHOSTUNREACH | errno::EHOSTDOWN => Self::Unreachable,
            errno::ENETUNREACH | errno::ENETDOWN => {
                ours("this machine has no route there; look at `ip route` and its links")
            }
            errno::EADDRNOTAVAIL => ours(
                "no free local port, or the own address is gone; look at `ip address` and `ss -s`",
            ),
            errno::EMFILE | errno::ENFILE => {
                ours("out of file descriptors; raise LimitNOFILE of the service")
            }
            errno::ENOBUFS | errno::ENOMEM => ours("this machine is out of memory"),
            errno::EACCES | errno::EPERM => ours(
                "forbidden on this machine; look at its firewall and the rights of the service",
            ),
            _ => ours("look at the network settings of this machine"),
        }
    }

    /// As the failure of a verdict; `whom` is what was asked: `192.0.2.7:22`.
    #[must_use]
    pub fn failure(&self, whom: &str, after: Duration) -> Failure {
        let after_ms = after.as_millis();
        match self {
            Self::Refused => Failure::new(
                Blame::Refused,
                "connection_refused",
                format!(
                    "{whom} refused after {after_ms} ms: the host lives, the service does not listen"
                ),
            ),
            Self::Closed => Failure::new(
                Blame::Refused,
                "connection_closed",
                format!("{whom} closed the connection after {after_ms} ms without an answer"),
            ),
            Self::TimedOut => Failure::new(
                Blame::Silent,
                "no_answer",
                format!(
                    "{whom} said nothing for {after_ms} ms: host down, network cut or firewall"
                ),
            ),
            Self::Unreachable => Failure::new(
                Blame::Silent,
                "unreachable",
                format!("{whom} cannot be reached: nobody answers for this address on its network"),
            ),
            Self::Ours { words } => Failure::new(
                Blame::Ours,
                "no_socket",
                format!("could not ask {whom}: {words}"),
            ),
        }
    }
}

/// The error numbers of Linux that are told apart (`asm-generic/errno.h`): names for numbers, no call.
mod errno {
    pub(super) const EPERM: i32 = 1;
    pub(super) const ENOMEM: i32 = 12;
    pub(super) const EACCES: i32 = 13;
    pub(super) const ENFILE: i32 = 23;
    pub(super) const EMFILE: i32 = 24;
    pub(super) const EPIPE: i32 = 32;
    pub(super) const EADDRNOTAVAIL: i32 = 99;
    pub(super) const ENETDOWN: i32 = 100;
    pub(super) const ENETUNREACH: i32 = 101;
    pub(super) const ECONNABORTED: i32 = 103;
    pub(super) const ECONNRESET: i32 = 104;
    pub(super) const ENOBUFS: i32 = 105;
    pub(super) const ETIMEDOUT: i32 = 110;
    pub(super) const ECONNREFUSED: i32 = 111;
    pub(super) const EHOSTDOWN: i32 = 112;
    pub(super) const EHOSTUNREACH: i32 = 113;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_its_culprit() {
        for (number, blame) in [
            (errno::ECONNREFUSED, Blame::Refused),
            (errno::ECONNRESET, Blame::Refused),
            (errno::ETIMEDOUT, Blame::Silent),
            (errno::EHOSTUNREACH, Blame::Silent),
            (errno::ENETUNREACH, Blame::Ours),
            (errno::ENETDOWN, Blame::Ours),
            (errno::EADDRNOTAVAIL, Blame::Ours),
            (98 /* EADDRINUSE */, Blame::Ours),
            (errno::EMFILE, Blame::Ours),
            (errno::ENFILE, Blame::Ours),
            (errno::ENOBUFS, Blame::Ours),
            (errno::EPERM, Blame::Ours),
            (22 /* EINVAL */, Blame::Ours),
        ] {
            let error = io::Error::from_raw_os_error(number);
            let failure = SocketFault::of(&error).failure("192.0.2.7:22", Duration::ZERO);
            assert_eq!(failure.blame, blame, "{error}");
            assert!(failure.words.contains("192.0.2.7:22"), "{error}");
        }
    }

    #[test]
    fn an_error_without_a_number_is_ours_unless_it_is_the_end_of_the_stream() {
        let end = io::Error::from(io::ErrorKind::UnexpectedEof);
        assert_eq!(SocketFault::of(&end), SocketFault::Closed);
        let odd = SocketFault::of(&io::Error::other("odd"));
        assert!(matches!(odd, SocketFault::Ours { .. }));
    }
}

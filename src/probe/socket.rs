//! What an error of a socket means for a verdict: theirs, or our own.
//!
//! The one table that keeps a watchdog without file descriptors, route or permission from calling the
//! plant down. Used by the judges of `tcp`, `http`, `dns` and `icmp`; the fetchers only carry the error.

use std::io;
use std::time::Duration;

use nix::errno::Errno;

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
        let Some(errno) = error.raw_os_error().map(Errno::from_raw) else {
            return if error.kind() == io::ErrorKind::UnexpectedEof {
                Self::Closed
            } else {
                ours("look at the network settings of this machine")
            };
        };
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "the list of error numbers is the kernel's, not ours"
        )]
        match errno {
            Errno::ECONNREFUSED => Self::Refused,
            Errno::ECONNRESET | Errno::ECONNABORTED | Errno::EPIPE => Self::Closed,
            Errno::ETIMEDOUT => Self::TimedOut,
            Errno::EHOSTUNREACH | Errno::EHOSTDOWN => Self::Unreachable,
            Errno::ENETUNREACH | Errno::ENETDOWN => {
                ours("this machine has no route there; look at `ip route` and its links")
            }
            Errno::EADDRNOTAVAIL => ours(
                "no free local port, or the own address is gone; look at `ip address` and `ss -s`",
            ),
            Errno::EMFILE | Errno::ENFILE => {
                ours("out of file descriptors; raise LimitNOFILE of the service")
            }
            Errno::ENOBUFS | Errno::ENOMEM => ours("this machine is out of memory"),
            Errno::EACCES | Errno::EPERM => ours(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_its_culprit() {
        for (errno, blame) in [
            (Errno::ECONNREFUSED, Blame::Refused),
            (Errno::ECONNRESET, Blame::Refused),
            (Errno::ETIMEDOUT, Blame::Silent),
            (Errno::EHOSTUNREACH, Blame::Silent),
            (Errno::ENETUNREACH, Blame::Ours),
            (Errno::ENETDOWN, Blame::Ours),
            (Errno::EADDRNOTAVAIL, Blame::Ours),
            (Errno::EADDRINUSE, Blame::Ours),
            (Errno::EMFILE, Blame::Ours),
            (Errno::ENFILE, Blame::Ours),
            (Errno::ENOBUFS, Blame::Ours),
            (Errno::EPERM, Blame::Ours),
            (Errno::EINVAL, Blame::Ours),
        ] {
            let error = io::Error::from_raw_os_error(errno as i32);
            let failure = SocketFault::of(&error).failure("192.0.2.7:22", Duration::ZERO);
            assert_eq!(failure.blame, blame, "{errno}");
            assert!(failure.words.contains("192.0.2.7:22"), "{errno}");
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

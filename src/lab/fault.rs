//! What can be broken in the lab, by name.

use std::fmt;
use std::str::FromStr;

/// A simulated server that faults can hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Server {
    Xivo1,
    Xivo2,
    Xivo3,
    Patton,
}

impl Server {
    pub const ALL: [Self; 4] = [Self::Xivo1, Self::Xivo2, Self::Xivo3, Self::Patton];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xivo1 => "xivo1",
            Self::Xivo2 => "xivo2",
            Self::Xivo3 => "xivo3",
            Self::Patton => "patton",
        }
    }
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The process is gone: its port answers with ICMP port unreachable.
    Kill,
    /// The process is stopped: its port takes packets and nobody reads them.
    Hang,
    /// Calls are answered, and nothing is ever heard.
    DropRtp,
    /// New calls are refused with 503, as in a graceful stop; OPTIONS still answers.
    Reject,
    /// Every answer comes two seconds late.
    Slow,
    /// All is well again.
    Restore,
}

impl Fault {
    pub const ALL: [Self; 6] = [
        Self::Kill,
        Self::Hang,
        Self::DropRtp,
        Self::Reject,
        Self::Slow,
        Self::Restore,
    ];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Hang => "hang",
            Self::DropRtp => "drop-rtp",
            Self::Reject => "reject",
            Self::Slow => "slow",
            Self::Restore => "restore",
        }
    }

    /// Whether it changes anything there: a gateway whose media goes past it has no sound to lose.
    #[must_use]
    pub fn hits(self, server: Server) -> bool {
        (server, self) != (Server::Patton, Self::DropRtp)
    }

    /// On the button of the demonstration page.
    #[must_use]
    pub const fn words_fr(self) -> &'static str {
        match self {
            Self::Kill => "Arrêt brutal",
            Self::Hang => "Figé",
            Self::DropRtp => "Plus de son",
            Self::Reject => "Refuse les appels",
            Self::Slow => "Lent",
            Self::Restore => "Rétablir",
        }
    }
}

/// A name that is none of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} {given:?}; write one of {known}")]
pub struct Unknown {
    what: &'static str,
    given: String,
    known: String,
}

impl FromStr for Server {
    type Err = Unknown;
    fn from_str(text: &str) -> Result<Self, Unknown> {
        known("server", text, &Self::ALL, |server| server.name())
    }
}

impl FromStr for Fault {
    type Err = Unknown;
    fn from_str(text: &str) -> Result<Self, Unknown> {
        known("fault", text, &Self::ALL, |fault| fault.name())
    }
}

fn known<T: Copy>(
    what: &'static str,
    given: &str,
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> Result<T, Unknown> {
    all.iter()
        .copied()
        .find(|one| name(*one) == given)
        .ok_or_else(|| Unknown {
            what,
            given: given.to_owned(),
            known: all
                .iter()
                .map(|one| name(*one))
                .collect::<Vec<_>>()
                .join(", "),
        })
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_told_the_known_ones() {
        assert_eq!("drop-rtp".parse::<Fault>(), Ok(Fault::DropRtp));
        let error = "xivo9".parse::<Server>().unwrap_err().to_string();
        assert!(
            error.ends_with("write one of xivo1, xivo2, xivo3, patton"),
            "{error}"
        );
    }
}

//! The words a probe can be asked for with: the kinds themselves, and short names for the usual cases
//! (`ssh` is a TCP connection to port 22 and the banner that an SSH server says first).

use std::time::Duration;

use super::probe_sip::GOODBYE;
use crate::engine::plant::Role;

/// What the probe does, before the details of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    Call,
    Register,
    Options,
    Icmp,
    Tcp {
        port: Option<u16>,
        banner: Option<&'static str>,
    },
    Http {
        url: &'static str,
    },
    Dns,
    Plugin,
    Heartbeat,
}

/// The kinds, then the short names, as `vigie check` lists them.
pub(super) const WORDS: [(&str, Base); 26] = [
    ("call", Base::Call),
    ("register", Base::Register),
    ("options", Base::Options),
    ("icmp", Base::Icmp),
    ("tcp", tcp_any()),
    (
        "http",
        Base::Http {
            url: "http://{address}/",
        },
    ),
    ("dns", Base::Dns),
    ("plugin", Base::Plugin),
    ("heartbeat", Base::Heartbeat),
    ("ping", Base::Icmp),
    (
        "https",
        Base::Http {
            url: "https://{address}/",
        },
    ),
    ("ssh", tcp(22, Some("SSH-"))),
    ("sftp", tcp(22, Some("SSH-"))),
    ("smtp", tcp(25, Some("220"))),
    ("imap", tcp(143, Some("* OK"))),
    ("ftp", tcp(21, Some("220"))),
    ("mariadb", tcp(3306, Some("MariaDB"))),
    ("ldap", tcp(389, None)),
    ("kerberos", tcp(88, None)),
    ("smb", tcp(445, None)),
    ("rdp", tcp(3389, None)),
    ("nfs", tcp(2049, None)),
    ("iscsi", tcp(3260, None)),
    ("jetdirect", tcp(9100, None)),
    ("ipp", tcp(631, None)),
    ("wsus", tcp(8530, None)),
];

const fn tcp(port: u16, banner: Option<&'static str>) -> Base {
    Base::Tcp {
        port: Some(port),
        banner,
    }
}

const fn tcp_any() -> Base {
    Base::Tcp {
        port: None,
        banner: None,
    }
}

/// How soon a failure of the target must be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// What a call passes through: PBX, gateway, its switch.
    Fast,
    #[default]
    Standard,
    /// What nobody needs within minutes.
    Slow,
}

impl Lane {
    pub(super) const CHOICES: [(&'static str, Self); 3] = [
        ("fast", Self::Fast),
        ("standard", Self::Standard),
        ("slow", Self::Slow),
    ];

    /// Fast: seen and confirmed within 12 s. Standard: within 40 s. Slow: within six minutes.
    pub(super) const fn every(self) -> Duration {
        Duration::from_secs(match self {
            Self::Fast => 5,
            Self::Standard => 30,
            Self::Slow => 300,
        })
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Standard => "standard",
            Self::Slow => "slow",
        }
    }

    /// The lane a cadence belongs to.
    pub(super) fn of(every: Duration) -> Self {
        if every < Duration::from_secs(15) {
            Self::Fast
        } else if every < Duration::from_secs(180) {
            Self::Standard
        } else {
            Self::Slow
        }
    }
}

impl Base {
    /// How often, when the file does not say.
    pub(super) const fn every(self, lane: Lane) -> Duration {
        match self {
            // One call a minute is 8 % of one channel of the trunk: proof enough, load for nobody.
            Self::Call => Duration::from_secs(60),
            // A registration is written to the PBX's database each time.
            Self::Register => Duration::from_secs(60),
            Self::Options
            | Self::Icmp
            | Self::Tcp { .. }
            | Self::Http { .. }
            | Self::Dns
            | Self::Plugin
            | Self::Heartbeat => lane.every(),
        }
    }

    /// Proof, or a sign only, when the file does not say.
    pub(super) const fn role(self) -> Role {
        match self {
            Self::Call
            | Self::Tcp { .. }
            | Self::Http { .. }
            | Self::Dns
            | Self::Plugin
            | Self::Heartbeat => Role::Oracle,
            Self::Register | Self::Options | Self::Icmp => Role::Hint,
        }
    }

    /// What a run may take beyond the time-out of the file, to leave cleanly.
    pub(super) const fn goodbye(self) -> Duration {
        match self {
            Self::Register => GOODBYE,
            // That of a call is part of what it takes.
            Self::Call
            | Self::Options
            | Self::Icmp
            | Self::Tcp { .. }
            | Self::Http { .. }
            | Self::Dns
            | Self::Plugin
            | Self::Heartbeat => Duration::ZERO,
        }
    }

    /// How long until silence counts, when the file does not say. Always shorter than the cadence.
    pub(super) const fn timeout(self, lane: Lane) -> Duration {
        Duration::from_secs(match (self, lane) {
            (Self::Options | Self::Icmp, _) => 2,
            // Three times in a row and the cadence are 12 s. A lost SYN is sent again after 1 s, so one may get lost.
            (Self::Tcp { .. } | Self::Dns, Lane::Fast) => 2,
            (Self::Tcp { .. } | Self::Dns, Lane::Standard | Lane::Slow) => 3,
            (Self::Register, _) => 5,
            (Self::Http { .. }, _) => 10,
            (Self::Plugin, _) => 20,
            // Nothing is sent: what came is looked at.
            (Self::Heartbeat, _) => 1,
            // Replaced by the sum of the parts of the call.
            (Self::Call, _) => 20,
        })
    }
}

pub(super) fn base_of(word: &str) -> Option<Base> {
    WORDS
        .iter()
        .find(|(known, _)| *known == word)
        .map(|(_, base)| *base)
}

pub(super) fn words() -> Vec<&'static str> {
    WORDS.iter().map(|(word, _)| *word).collect()
}

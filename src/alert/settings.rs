//! The channels of `[alert.NAME]` and the heartbeat of `[heartbeat]`. Filled by `config`; secrets are references.

use std::time::Duration;

use super::notice::{Notice, Reason};
use crate::probe::{Account, Word};
use crate::secret::SecretRef;

/// The NAME of `[alert.NAME]`. Facts hold it: a channel that is renamed is another one.
pub type ChannelName = String;

/// One way to tell somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    pub name: ChannelName,
    pub kind: Kind,
    pub filter: Filter,
    /// An incident that nobody acknowledged is told again after this; `None`: never.
    pub reminder: Option<Duration>,
    /// The first notice leaves at once, what follows within this time leaves together.
    pub digest: Duration,
    /// Connection and answer together may take this long.
    pub timeout: Duration,
    /// Address of the supervisor's page, for whoever reads the alert.
    pub page: Option<String>,
}

/// What a channel wants to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// `Degraded` or `Down`.
    pub min: Word,
    /// Groups of the inventory; none: all.
    pub groups: Vec<String>,
    /// That the watchdog itself cannot see.
    pub own_faults: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Mail(Mail),
    Webhook(Webhook),
    Alertmanager(Alertmanager),
    Nagios(Nagios),
}

impl Kind {
    /// The word of the configuration.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Mail(_) => "mail",
            Self::Webhook(_) => "webhook",
            Self::Alertmanager(_) => "alertmanager",
            Self::Nagios(_) => "nagios",
        }
    }
}

/// A message by SMTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Name or address of the server.
    pub host: String,
    pub port: u16,
    /// The name in its certificate, when that is not `host`.
    pub tls_name: Option<String>,
    pub starttls: Starttls,
    pub account: Option<Account>,
    pub from: String,
    pub to: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Starttls {
    /// A server that does not offer it, or whose certificate is not trusted, gets nothing.
    Required,
    /// In the clear.
    None,
}

/// Our own JSON, signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    pub url: String,
    /// Key of the signature.
    pub secret: SecretRef,
}

/// The JSON that Alertmanager sends to its webhook receivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alertmanager {
    pub url: String,
    /// Sent as `Authorization: Bearer …`.
    pub bearer: Option<SecretRef>,
}

/// Passive results for Nagios, by NRDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nagios {
    pub url: String,
    pub token: SecretRef,
    /// `host_name` of the services there.
    pub host: String,
}

/// `[heartbeat]`: somebody else misses us when we fall silent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    pub url: String,
    pub every: Duration,
    pub timeout: Duration,
    /// POST with a JSON body; otherwise GET with the same in the query.
    pub post: bool,
    /// Sent as `Authorization: Bearer …`.
    pub bearer: Option<SecretRef>,
}

/// A minute, as dead-man's switches expect; they ring after two or three.
pub const HEARTBEAT_EVERY: Duration = Duration::from_secs(60);
/// Long enough for a slow mail server's greeting, short enough to try again while it still matters.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// One switch that falls takes hundreds of targets within this; longer delays the second incident.
pub const DIGEST: Duration = Duration::from_secs(5);
/// Half an hour: shorter and people filter it away, longer and the limits of the contract pass unseen.
pub const REMINDER: Duration = Duration::from_secs(30 * 60);

impl Default for Filter {
    fn default() -> Self {
        Self {
            min: Word::Down,
            groups: Vec::new(),
            own_faults: true,
        }
    }
}

impl Filter {
    /// Is this worth this channel's while?
    #[must_use]
    pub fn wants(&self, notice: &Notice) -> bool {
        let at_home = self.groups.is_empty()
            || notice.groups.is_empty()
            || notice
                .groups
                .iter()
                .any(|group| self.groups.contains(group));
        at_home
            && match notice.reason {
                Reason::OwnFault | Reason::OwnFaultOver => self.own_faults,
                Reason::AtRisk | Reason::Breach => true,
                Reason::Opened
                | Reason::Worse
                | Reason::Relapsed
                | Reason::Restored
                | Reason::Merged
                | Reason::Dropped
                | Reason::Reminder => match notice.word {
                    Word::Down => true,
                    Word::Degraded => self.min == Word::Degraded,
                    Word::Blind => self.own_faults,
                    Word::Good => false,
                },
                Reason::Test => false,
            }
    }
}

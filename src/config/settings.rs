//! What the service itself needs to run, apart from the plant it watches.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::alert::settings::{Channel, Heartbeat};
use crate::id::ProbeId;

/// The `[service]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the page, the API and the metrics are served.
    pub listen: SocketAddr,
    /// Folder of the journal; nothing is kept elsewhere.
    pub data: PathBuf,
    /// What is logged, in the words of `tracing`: `info`, `vigie::io=debug,info`.
    pub log: String,
    /// Where the probes of this machine leave from.
    pub vantage: Vantage,
    /// Other addresses of this machine, which leave by ways of their own.
    pub elsewhere: Vec<Vantage>,
    /// Name servers to ask; empty: those of `/etc/resolv.conf`.
    pub resolvers: Vec<SocketAddr>,
    /// Certificate authorities to trust (PEM) in addition to the system's.
    pub tls_ca: Option<PathBuf>,
    /// How many probes may run at the same time; more wait, and waiting too long is blind. SIP probes do not count.
    pub probes_at_once: usize,
    pub evidence: Evidence,
    /// Folder of the announcements; `None`: `prompts` in the data folder.
    pub prompts: Option<PathBuf>,
    /// Who is told, in the order of the file.
    pub alerts: Vec<Channel>,
    pub heartbeat: Option<Heartbeat>,
}

/// The `[evidence]` table: what is kept of calls that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// `None`: `evidence` in the data folder.
    pub directory: Option<PathBuf>,
    /// Older is removed; 0 keeps nothing at all.
    pub keep_days: u32,
    /// The oldest is removed when all together is more.
    pub keep_megabytes: u32,
}

impl Settings {
    #[must_use]
    pub fn evidence_directory(&self) -> PathBuf {
        let named = self.evidence.directory.clone();
        named.unwrap_or_else(|| self.data.join("evidence"))
    }

    #[must_use]
    pub fn prompt_directory(&self) -> PathBuf {
        let named = self.prompts.clone();
        named.unwrap_or_else(|| self.data.join("prompts"))
    }

    /// The place that this probe leaves from, if there is one of that name; `None` inside: the main one.
    #[must_use]
    pub fn place_of(&self, probe: &ProbeId) -> Option<Option<&Vantage>> {
        let Some(name) = probe.vantage() else {
            return Some(None);
        };
        let place = self.elsewhere.iter().find(|place| place.name == name);
        place.map(Some)
    }
}

impl Default for Evidence {
    fn default() -> Self {
        Self {
            directory: None,
            keep_days: 30,
            keep_megabytes: 500,
        }
    }
}

/// The place probes are sent from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vantage {
    pub name: String,
    /// Own address of SIP and RTP; unspecified (`0.0.0.0`) lets the kernel choose per peer.
    pub local: IpAddr,
    /// UDP ports of RTP and RTCP, an even port and the next one for each call.
    pub media_ports: RangeInclusive<u16>,
}

/// A slot costs some kilobytes and a descriptor. When a switch falls, all probes behind it wait for their time-outs at
/// once: with fewer slots than those we are blind in the very minute that we are for.
const PROBES_AT_ONCE: usize = 1024;

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8119)),
            data: PathBuf::from("/var/lib/vigie"),
            log: "info".to_owned(),
            vantage: Vantage::default(),
            elsewhere: Vec::new(),
            resolvers: Vec::new(),
            tls_ca: None,
            probes_at_once: PROBES_AT_ONCE,
            evidence: Evidence::default(),
            prompts: None,
            alerts: Vec::new(),
            heartbeat: None,
        }
    }
}

impl Default for Vantage {
    fn default() -> Self {
        Self {
            name: "vigie".to_owned(),
            local: IpAddr::from([0, 0, 0, 0]),
            media_ports: 20_000..=20_999,
        }
    }
}

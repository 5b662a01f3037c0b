//! The plant that the simulated call centre is watched by: small, and of every kind that is judged differently.
//!
//! Two PBXs (an OPTIONS and a call each), a gateway with the call that proves the line, a switch above them
//! with three servers, the operator's side of the trunk, the internet link and a web site behind it: 13 probes. Two
//! channels tell of it. To ask one part from another place too is one more probe here and one more row of
//! `world::ASKED`, of the same part and from that vantage point.

use std::sync::Arc;
use std::time::Duration;

use super::post::Mailbox;
use super::world::SECRET_PLACE;
use crate::alert::settings::{
    Channel, DIGEST, Filter, Kind, Mail, REMINDER, Starttls, TIMEOUT, Webhook,
};
use crate::engine::plant::{Line, Plant, Probe, Role, Target};
use crate::id::{Seed, TargetId};
use crate::probe::{Account, Check, Word, call, http, icmp};
use crate::secret::SecretRef;
use crate::sla::contract::{Contract, Profile, Terms};

/// How often the plant is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// OPTIONS of the PBXs and of the gateway.
    pub fast: Duration,
    /// Pings of everything else, and the web site.
    pub slow: Duration,
    pub call: Duration,
}

impl Pace {
    /// A call a minute, the rest every half minute: what a careful service asks, but for the fast lane.
    /// Asking every 5 s is four times the work and meets no other rule of the engine.
    pub const USUAL: Self = Self {
        fast: Duration::from_secs(30),
        slow: Duration::from_secs(60),
        call: Duration::from_secs(60),
    };

    /// The fast lane of the service itself.
    pub const FAST: Self = Self {
        fast: Duration::from_secs(5),
        slow: Duration::from_secs(30),
        call: Duration::from_secs(60),
    };

    /// For hundreds of days in a build without optimisation.
    pub const COARSE: Self = Self {
        fast: Duration::from_secs(120),
        slow: Duration::from_secs(300),
        call: Duration::from_secs(300),
    };
}

/// Longest answer that a ping, an OPTIONS or a page may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// Longest a whole call may take: its set-up, three seconds of echo, and its end.
pub(super) const CALL_PATIENCE: Duration = Duration::from_secs(8);

/// Supported in office hours alone.
const OFFICE_HOURS: [&str; 2] = ["files", "directory"];

/// Which of two configurations: a reload goes from one to the other and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edition {
    First,
    /// One server less, and another asked something else.
    Second,
}

impl Edition {
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// The plant.
#[must_use]
pub fn plant(seed: u64, pace: Pace, edition: Edition) -> Plant {
    let mut targets = vec![
        target("switch", &[], vec![ping("switch/ping", pace.slow, 3)]),
        target(
            "patton",
            &["switch"],
            vec![
                ping("patton/options", pace.fast, 1),
                call("patton/call", "t2", pace.call),
            ],
        ),
        pbx("xivo1", pace),
        pbx("xivo2", pace),
        target(
            "operator",
            &[],
            vec![ping("operator/options", pace.slow, 1)],
        ),
        target("internet", &[], vec![ping("internet/ping", pace.slow, 3)]),
        target(
            "site",
            &["internet"],
            vec![Probe {
                check: Arc::new(Check::Http(http::Settings::new("https://www.example/"))),
                role: Role::Oracle,
                ..ping("site/http", pace.slow, 1)
            }],
        ),
    ];
    let servers: &[(&str, u16)] = match edition {
        Edition::First => &[("sql", 3), ("files", 3), ("directory", 3)],
        Edition::Second => &[("sql", 5), ("directory", 3)],
    };
    for (id, packets) in servers {
        let probe = ping(&format!("{id}/ping"), pace.slow, *packets);
        targets.push(target(id, &["switch"], vec![probe]));
    }
    Plant {
        name: "119".into(),
        seed: Seed(seed),
        targets,
        lines: vec![Line {
            id: "119".into(),
            name: "119, accueil".into(),
            proofs: vec!["patton/call".into()],
            signatures: vec![
                ("*1#".into(), "XIVO1".into()),
                ("*2#".into(), "XIVO2".into()),
            ],
        }],
        trunks: Vec::new(),
        alerts: channels(),
        places: crate::health::Places::default(),
        terms: terms(),
    }
}

/// One hears everything, is slow to give up and reminds; the other hears what is down, once.
fn channels() -> Vec<Channel> {
    let mail = Channel {
        name: Mailbox::Mail.name().into(),
        kind: Kind::Mail(Mail {
            host: "mail.example".into(),
            port: 587,
            tls_name: None,
            starttls: Starttls::Required,
            account: None,
            from: "vigie@example".into(),
            to: vec!["astreinte@example".into()],
        }),
        filter: Filter {
            min: Word::Degraded,
            ..Filter::default()
        },
        reminder: Some(REMINDER),
        digest: DIGEST,
        timeout: Duration::from_secs(60),
        page: None,
    };
    let webhook = Channel {
        name: Mailbox::Webhook.name().into(),
        kind: Kind::Webhook(Webhook {
            url: "https://www.example/vigie".into(),
            secret: SecretRef::Env(SECRET_PLACE.into()),
        }),
        filter: Filter::default(),
        reminder: None,
        timeout: TIMEOUT,
        ..mail.clone()
    };
    vec![mail, webhook]
}

pub(super) fn terms() -> Terms {
    let profile = Profile {
        web_targets: ["site".to_owned()].into(),
        ..Profile::default()
    };
    Terms {
        contract: Contract::new(profile),
        ..Terms::default()
    }
}

fn pbx(id: &str, pace: Pace) -> Target {
    target(
        id,
        &["switch"],
        vec![
            ping(&format!("{id}/options"), pace.fast, 1),
            call(&format!("{id}/call"), id, pace.call),
        ],
    )
}

/// What a probe asks matters to its digest only: the world answers by its name.
fn ping(id: &str, every: Duration, packets: u16) -> Probe {
    let mut settings = icmp::Settings::new(vec![std::net::Ipv4Addr::LOCALHOST.into()]);
    settings.packets = packets;
    Probe {
        id: id.into(),
        check: Arc::new(Check::Icmp(settings)),
        every,
        timeout: PATIENCE,
        trunk: None,
        role: Role::Hint,
    }
}

fn call(id: &str, trunk: &str, every: Duration) -> Probe {
    let mut settings = call::Settings::new("sip:0199001199@192.0.2.10", "sip:0199001111@192.0.2.1");
    settings.account = Some(Account {
        user: "vigie".into(),
        secret: SecretRef::Env(SECRET_PLACE.into()),
    });
    Probe {
        id: id.into(),
        check: Arc::new(Check::Call(settings)),
        every,
        timeout: CALL_PATIENCE,
        trunk: Some(trunk.into()),
        role: Role::Oracle,
    }
}

fn target(id: &str, parents: &[&str], probes: Vec<Probe>) -> Target {
    Target {
        id: id.into(),
        name: id.to_uppercase(),
        group: "Téléphonie".into(),
        description: String::new(),
        label: "PROD".into(),
        support: if OFFICE_HOURS.contains(&id) {
            "HO".into()
        } else {
            "HNO".into()
        },
        hds: false,
        parents: parents
            .iter()
            .map(|parent| TargetId::from(*parent))
            .collect(),
        probes,
    }
}

//! Where a SIP URI leads (RFC 3263 §4): which transport, which names to ask, in which order to try.
//!
//! Pure rules: `io::dns` asks the questions and brings the records. It is not the resolver, and it
//! does not send anything.

use std::net::IpAddr;

use super::Transport;

/// What a URI says about its destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Name or address as it stands in the URI; IPv6 with or without brackets.
    pub host: String,
    pub port: Option<u16>,
    /// The transport parameter.
    pub transport: Option<Transport>,
    /// `sips:`, which allows TLS alone.
    pub secure: bool,
}

/// A NAPTR record (RFC 3403) as far as SIP uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naptr {
    pub order: u16,
    pub preference: u16,
    pub flags: String,
    pub service: String,
    pub replacement: String,
}

/// An SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srv {
    pub priority: u16,
    pub weight: u16,
    pub port: u16,
    pub target: String,
}

/// What is known without asking, or must be asked first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum First {
    /// The host is an address: nothing to ask.
    Address {
        transport: Transport,
        ip: IpAddr,
        port: u16,
    },
    /// Ask for the addresses of this name (§4.2, a port was given).
    Addresses(Named),
    /// Ask for SRV of this name, because the transport was given.
    Service(Service),
    /// Ask for NAPTR of the host.
    Naptr,
}

/// A name whose A and AAAA records lead on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub transport: Transport,
    pub name: String,
    pub port: u16,
}

/// A name whose SRV records lead on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub transport: Transport,
    pub name: String,
}

impl Target {
    /// The first step (§4.1 and §4.2).
    #[must_use]
    pub fn first(&self) -> First {
        if let Some(ip) = self.ip() {
            let transport = self.plain_transport();
            let port = self.port.unwrap_or_else(|| default_port(transport));
            return First::Address {
                transport,
                ip,
                port,
            };
        }
        match (self.port, self.transport) {
            (Some(port), _) => First::Addresses(Named {
                transport: self.plain_transport(),
                name: self.host.clone(),
                port,
            }),
            (None, Some(_)) => First::Service(self.service(self.plain_transport())),
            (None, None) => First::Naptr,
        }
    }

    /// The services that the NAPTR records offer and that we can use, best first (§4.1).
    #[must_use]
    pub fn services(&self, records: &[Naptr]) -> Vec<Service> {
        let mut usable: Vec<(&Naptr, Transport)> = records
            .iter()
            .filter(|record| record.flags.eq_ignore_ascii_case("s"))
            .filter_map(|record| Some((record, service_transport(&record.service)?)))
            .filter(|(_, transport)| !self.secure || *transport == Transport::Tls)
            .collect();
        usable.sort_by_key(|(record, _)| (record.order, record.preference));
        usable
            .into_iter()
            .map(|(record, transport)| Service {
                transport,
                name: without_root(&record.replacement).to_owned(),
            })
            .collect()
    }

    /// What to ask for when there is no NAPTR record: SRV for each transport we have (§4.1).
    #[must_use]
    pub fn guessed_services(&self) -> Vec<Service> {
        let transports: &[Transport] = if self.secure {
            &[Transport::Tls]
        } else {
            &[Transport::Udp, Transport::Tcp, Transport::Tls]
        };
        transports
            .iter()
            .map(|transport| self.service(*transport))
            .collect()
    }

    /// What to ask for when there is no SRV record either (§4.2).
    #[must_use]
    pub fn fallback(&self) -> Named {
        let transport = self.plain_transport();
        Named {
            transport,
            name: self.host.clone(),
            port: default_port(transport),
        }
    }

    fn ip(&self) -> Option<IpAddr> {
        self.host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse()
            .ok()
    }

    /// The transport when DNS has no say: the one that was asked for, else UDP, or TLS for `sips:`.
    fn plain_transport(&self) -> Transport {
        match (self.secure, self.transport) {
            // §26.2.2: sips over TCP means TLS over TCP.
            (true, _) => Transport::Tls,
            (false, transport) => transport.unwrap_or(Transport::Udp),
        }
    }

    fn service(&self, transport: Transport) -> Service {
        let prefix = match transport {
            Transport::Udp => "_sip._udp",
            Transport::Tcp => "_sip._tcp",
            Transport::Tls => "_sips._tcp",
        };
        Service {
            transport,
            name: format!("{prefix}.{}", without_root(&self.host)),
        }
    }
}

/// The order in which the records are to be tried: by priority, then by chance according to weight
/// (RFC 2782). `chance(n)` gives a number from 0 to n.
///
/// The one record with the target `.` says that the service does not exist: then nothing is left.
#[must_use]
pub fn in_order(mut records: Vec<Srv>, mut chance: impl FnMut(u32) -> u32) -> Vec<Srv> {
    records.retain(|record| !without_root(&record.target).is_empty());
    // Records of weight zero first, so that they keep the small chance that the RFC gives them.
    records.sort_by_key(|record| (record.priority, record.weight));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|record| record.priority) {
        let same = records
            .iter()
            .take_while(|record| record.priority == priority);
        let total: u32 = same.map(|record| u32::from(record.weight)).sum();
        let drawn = chance(total).min(total);
        let mut running = 0;
        let index = records
            .iter()
            .take_while(|record| record.priority == priority)
            .position(|record| {
                running += u32::from(record.weight);
                running >= drawn
            })
            .unwrap_or(0);
        ordered.push(records.remove(index));
    }
    ordered
}

/// The port when none is given (§19.1.2 of RFC 3261).
#[must_use]
pub const fn default_port(transport: Transport) -> u16 {
    match transport {
        Transport::Udp | Transport::Tcp => 5060,
        Transport::Tls => 5061,
    }
}

/// The service field of a NAPTR record (§4.1); others, as `SIP+D2S` (SCTP), are not ours.
fn service_transport(service: &str) -> Option<Transport> {
    [
        ("SIP+D2U", Transport::Udp),
        ("SIP+D2T", Transport::Tcp),
        ("SIPS+D2T", Transport::Tls),
    ]
    .into_iter()
    .find(|(name, _)| service.eq_ignore_ascii_case(name))
    .map(|(_, transport)| transport)
}

fn without_root(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(host: &str, port: Option<u16>, transport: Option<Transport>, secure: bool) -> Target {
        Target {
            host: host.to_owned(),
            port,
            transport,
            secure,
        }
    }

    #[test]
    fn the_first_step_follows_section_4() {
        use Transport::{Tcp, Tls, Udp};
        let cases = [
            (
                "127.0.1.10",
                None,
                None,
                false,
                "udp to 127.0.1.10 port 5060",
            ),
            (
                "127.0.1.10",
                Some(5070),
                None,
                false,
                "udp to 127.0.1.10 port 5070",
            ),
            (
                "127.0.1.10",
                None,
                Some(Tcp),
                false,
                "tcp to 127.0.1.10 port 5060",
            ),
            (
                "127.0.1.10",
                None,
                None,
                true,
                "tls to 127.0.1.10 port 5061",
            ),
            ("[::1]", None, Some(Tls), false, "tls to ::1 port 5061"),
            ("::1", Some(5080), None, false, "udp to ::1 port 5080"),
            (
                "pbx.test",
                Some(5070),
                None,
                false,
                "udp, addresses of pbx.test, port 5070",
            ),
            (
                "pbx.test",
                Some(5070),
                Some(Tcp),
                true,
                "tls, addresses of pbx.test, port 5070",
            ),
            (
                "pbx.test",
                None,
                Some(Udp),
                false,
                "udp, SRV of _sip._udp.pbx.test",
            ),
            (
                "pbx.test.",
                None,
                Some(Tcp),
                false,
                "tcp, SRV of _sip._tcp.pbx.test",
            ),
            (
                "pbx.test",
                None,
                Some(Tcp),
                true,
                "tls, SRV of _sips._tcp.pbx.test",
            ),
            ("pbx.test", None, None, false, "NAPTR"),
            ("pbx.test", None, None, true, "NAPTR"),
        ];
        for (host, port, transport, secure, expected) in cases {
            let told = match target(host, port, transport, secure).first() {
                First::Address {
                    transport,
                    ip,
                    port,
                } => {
                    format!("{transport} to {ip} port {port}")
                }
                First::Addresses(Named {
                    transport,
                    name,
                    port,
                }) => {
                    format!("{transport}, addresses of {name}, port {port}")
                }
                First::Service(Service { transport, name }) => {
                    format!("{transport}, SRV of {name}")
                }
                First::Naptr => "NAPTR".to_owned(),
            };
            assert_eq!(told, expected, "{host} {port:?} {transport:?} {secure}");
        }
    }

    fn naptr(order: u16, preference: u16, flags: &str, service: &str) -> Naptr {
        Naptr {
            order,
            preference,
            flags: flags.to_owned(),
            service: service.to_owned(),
            replacement: format!("{}.pbx.test.", service.to_lowercase()),
        }
    }

    #[test]
    fn naptr_records_are_taken_by_order_then_preference_if_we_can_use_them() {
        // The example of §4.1, and what must be passed over.
        let records = [
            naptr(90, 50, "s", "SIP+D2T"),
            naptr(100, 50, "S", "sip+d2u"),
            naptr(50, 60, "s", "SIPS+D2T"),
            naptr(10, 1, "s", "SIP+D2S"),
            naptr(10, 1, "u", "E2U+sip"),
            naptr(90, 10, "s", "SIP+D2U"),
        ];
        let transports = |secure| -> Vec<Transport> {
            target("pbx.test", None, None, secure)
                .services(&records)
                .iter()
                .map(|service| service.transport)
                .collect()
        };
        use Transport::{Tcp, Tls, Udp};
        assert_eq!(transports(false), [Tls, Udp, Tcp, Udp]);
        assert_eq!(transports(true), [Tls]);
    }

    #[test]
    fn without_naptr_every_transport_of_ours_is_asked_for() {
        let names = |secure| -> Vec<String> {
            target("pbx.test", None, None, secure)
                .guessed_services()
                .into_iter()
                .map(|service| service.name)
                .collect()
        };
        assert_eq!(
            names(false),
            [
                "_sip._udp.pbx.test",
                "_sip._tcp.pbx.test",
                "_sips._tcp.pbx.test"
            ]
        );
        assert_eq!(names(true), ["_sips._tcp.pbx.test"]);
        let fallback = target("pbx.test", None, None, true).fallback();
        assert_eq!((fallback.transport, fallback.port), (Transport::Tls, 5061));
    }

    fn srv(priority: u16, weight: u16, target: &str) -> Srv {
        Srv {
            priority,
            weight,
            port: 5060,
            target: target.to_owned(),
        }
    }

    #[test]
    fn srv_records_are_tried_by_priority_and_drawn_by_weight() {
        let records = vec![
            srv(20, 0, "last"),
            srv(10, 60, "heavy"),
            srv(10, 0, "never"),
            srv(10, 40, "light"),
        ];
        // The running sums of priority 10 are 0 (never), 40 (light), 100 (heavy).
        let cases = [
            (0, ["never", "light", "heavy", "last"]),
            (1, ["light", "heavy", "never", "last"]),
            (100, ["heavy", "light", "never", "last"]),
        ];
        for (drawn, expected) in cases {
            let ordered = in_order(records.clone(), |total| drawn.min(total));
            let names: Vec<&str> = ordered
                .iter()
                .map(|record| record.target.as_str())
                .collect();
            assert_eq!(names, expected, "drawn {drawn}");
        }
    }

    #[test]
    fn the_root_as_target_says_that_there_is_no_such_service() {
        assert_eq!(in_order(vec![srv(0, 0, ".")], |_| 0), []);
    }

    proptest::proptest! {
        #[test]
        fn ordering_loses_no_record_and_never_mixes_priorities(
            records in proptest::collection::vec((0_u16..4, proptest::num::u16::ANY), 0..20),
            seed: u64,
        ) {
            let mut random = fastrand::Rng::with_seed(seed);
            let count = records.len();
            let records = records.into_iter().map(|(priority, weight)| srv(priority, weight, "t")).collect();
            let ordered = in_order(records, |total| random.u32(0..=total));
            proptest::prop_assert_eq!(ordered.len(), count);
            proptest::prop_assert!(ordered.is_sorted_by_key(|record| record.priority));
        }
    }
}

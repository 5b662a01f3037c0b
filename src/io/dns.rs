//! The resolver of the control side: from the host of a SIP URI or a page to addresses to try (RFC 3263).
//!
//! It asks what `sip::locate` wants to know. A resolver of ours that does not answer is a fault of our
//! own and makes a probe blind; a name that does not exist is a fault of whoever keeps the name.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::{Resolver as Hickory, TokioResolver};

use crate::probe::{Blame, Failure};
use crate::sip::Transport;
use crate::sip::locate::{First, Named, Naptr, Service, Srv, Target, in_order};

/// For one question to one server; asked [`AGAIN`] once more, a dead server costs 2 s, not the probe's
/// patience.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
const AGAIN: usize = 1;

/// What was found is believed this long at most: a fail-over by DNS must be followed within a minute.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// What was not found is asked again after this, or a name just put right would stay red.
const MISSED_FOR: Duration = Duration::from_secs(5);

/// One address to try, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination {
    pub transport: Transport,
    pub peer: SocketAddr,
}

/// Asks name servers, and remembers their answers for as long as these allow, a minute at most.
#[derive(Clone, Debug)]
pub struct Resolver(TokioResolver);

impl Resolver {
    /// Asks these servers, or those of the system when there are none.
    ///
    /// # Errors
    /// When the system's configuration cannot be read: a fault of our own.
    pub fn new(servers: &[SocketAddr]) -> Result<Self, Failure> {
        let mut builder = if servers.is_empty() {
            TokioResolver::builder_tokio().map_err(|error| ours("the system's resolver", &error))?
        } else {
            let servers = servers.iter().map(|server| {
                let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
                for connection in &mut connections {
                    connection.port = server.port();
                }
                NameServerConfig::new(server.ip(), true, connections)
            });
            let config = ResolverConfig::from_name_servers(servers.collect());
            Hickory::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.timeout = ANSWER_WITHIN;
        options.attempts = AGAIN;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.positive_max_ttl = Some(KEPT_FOR);
        options.negative_max_ttl = Some(MISSED_FOR);
        if !servers.is_empty() {
            options.use_hosts_file = ResolveHosts::Never;
        }
        let resolver = builder
            .build()
            .map_err(|error| ours("the resolver", &error))?;
        Ok(Self(resolver))
    }

    /// Where to send a request for this host, best first; never empty.
    ///
    /// # Errors
    /// Ours when no name server answers; theirs when the name leads nowhere.
    pub async fn sip(
        &self,
        host: &str,
        port: Option<u16>,
        transport: Option<Transport>,
        secure: bool,
    ) -> Result<Vec<Destination>, Failure> {
        let target = Target {
            host: host.to_owned(),
            port,
            transport,
            secure,
        };
        let services = match target.first() {
            First::Address {
                transport,
                ip,
                port,
            } => {
                let peer = (ip, port).into();
                return Ok(vec![Destination { transport, peer }]);
            }
            First::Addresses(named) => return self.named(&[named]).await,
            First::Service(service) => vec![service],
            First::Naptr => match target.services(&self.naptr(host).await?) {
                none if none.is_empty() => target.guessed_services(),
                services => services,
            },
        };
        let mut names = Vec::new();
        for service in services {
            names.extend(self.srv(service).await?);
        }
        if names.is_empty() {
            names.push(target.fallback());
        }
        self.named(&names).await
    }

    /// The addresses of a host that is not asked for SIP.
    ///
    /// # Errors
    /// Ours when no name server answers; theirs when the name leads nowhere.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Failure> {
        if let Ok(ip) = host.parse() {
            return Ok(vec![ip]);
        }
        match self.0.lookup_ip(host).await {
            Ok(found) => Ok(found.iter().collect()),
            Err(error) if error.is_no_records_found() => Err(no_such_name(host)),
            Err(error) => Err(ours(host, &error)),
        }
    }

    async fn named(&self, names: &[Named]) -> Result<Vec<Destination>, Failure> {
        let mut found = Vec::new();
        let mut missed = None;
        for named in names {
            match self.addresses(&named.name).await {
                Ok(addresses) => found.extend(addresses.into_iter().map(|ip| Destination {
                    transport: named.transport,
                    peer: (ip, named.port).into(),
                })),
                // Of several hosts, one without an address is passed over like one that is dead.
                Err(failure) => missed = Some(failure),
            }
        }
        match missed {
            Some(failure) if found.is_empty() => Err(failure),
            Some(_) | None => Ok(found),
        }
    }

    async fn naptr(&self, host: &str) -> Result<Vec<Naptr>, Failure> {
        self.records(host, RecordType::NAPTR, |data| {
            let RData::NAPTR(record) = data else {
                return None;
            };
            Some(Naptr {
                order: record.order,
                preference: record.preference,
                flags: String::from_utf8_lossy(&record.flags).into_owned(),
                service: String::from_utf8_lossy(&record.services).into_owned(),
                replacement: record.replacement.to_ascii(),
            })
        })
        .await
    }

    async fn srv(&self, service: Service) -> Result<Vec<Named>, Failure> {
        let records = self
            .records(&service.name, RecordType::SRV, |data| {
                let RData::SRV(record) = data else {
                    return None;
                };
                Some(Srv {
                    priority: record.priority,
                    weight: record.weight,
                    port: record.port,
                    target: record.target.to_ascii(),
                })
            })
            .await?;
        // Spreads the load as RFC 2782 wants; nothing that is replayed hangs on it.
        let ordered = in_order(records, |total| fastrand::u32(0..=total));
        Ok(ordered
            .into_iter()
            .map(|record| Named {
                transport: service.transport,
                name: record.target,
                port: record.port,
            })
            .collect())
    }

    /// The records of this kind; none when there are none.
    async fn records<T>(
        &self,
        name: &str,
        kind: RecordType,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Result<Vec<T>, Failure> {
        // The final dot keeps the system's search list out: these names are whole.
        let whole = format!("{}.", name.trim_end_matches('.'));
        match self.0.lookup(whole, kind).await {
            Ok(found) => Ok(found
                .answers()
                .iter()
                .filter_map(|record| read(&record.data))
                .collect()),
            Err(error) if error.is_no_records_found() => Ok(Vec::new()),
            Err(error) => Err(ours(name, &error)),
        }
    }
}

fn no_such_name(name: &str) -> Failure {
    Failure::new(
        Blame::Misbehaved,
        "dns_no_such_name",
        format!("the name {name} leads to no address: check its DNS records, or the configuration"),
    )
}

/// Whoever asked had no more time to wait.
pub(super) fn no_answer_in_time(name: &str) -> Failure {
    Failure::new(
        Blame::Ours,
        "dns_unavailable",
        format!("cannot resolve {name}: no answer in time; check the name servers of this machine"),
    )
}

fn ours(what: &str, error: &NetError) -> Failure {
    Failure::new(
        Blame::Ours,
        "dns_unavailable",
        format!("cannot resolve {what}: {error}; check the name servers of this machine"),
    )
}

#[cfg(test)]
pub(in crate::io) mod tests {
    use std::str::FromStr;

    use hickory_resolver::proto::op::{Message, ResponseCode};
    use hickory_resolver::proto::rr::rdata::{A, NAPTR, SRV};
    use hickory_resolver::proto::rr::{Name, Record};
    use tokio::net::UdpSocket;

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_str(text).expect(text)
    }

    fn naptr(order: u16, service: &str, replacement: &str) -> RData {
        RData::NAPTR(NAPTR::new(
            order,
            0,
            Box::from(*b"s"),
            Box::from(service.as_bytes()),
            Box::default(),
            name(replacement),
        ))
    }

    fn srv(priority: u16, port: u16, target: &str) -> RData {
        RData::SRV(SRV::new(priority, 1, port, name(target)))
    }

    /// The zone of the tests.
    fn zone(asked: &str, kind: RecordType) -> Vec<RData> {
        let address = |last| vec![RData::A(A::new(127, 0, 9, last))];
        match (asked, kind) {
            ("full.test.", RecordType::NAPTR) => vec![
                naptr(20, "SIP+D2U", "_sip._udp.full.test."),
                naptr(10, "SIPS+D2T", "_sips._tcp.full.test."),
            ],
            ("_sips._tcp.full.test.", RecordType::SRV) => vec![srv(1, 5071, "a.full.test.")],
            ("_sip._udp.full.test.", RecordType::SRV) => vec![
                srv(2, 5082, "b.full.test."),
                srv(1, 5081, "a.full.test."),
                srv(3, 5083, "gone.full.test."),
            ],
            ("_sip._tcp.half.test.", RecordType::SRV) => vec![srv(1, 5091, "half.test.")],
            ("a.full.test." | "plain.test." | "half.test.", RecordType::A) => address(1),
            ("b.full.test.", RecordType::A) => address(2),
            _ => Vec::new(),
        }
    }

    async fn answer_from_the_zone(socket: UdpSocket) {
        let mut bytes = [0; 1500];
        loop {
            let (count, from) = socket.recv_from(&mut bytes).await.expect("received");
            let question = Message::from_vec(&bytes[..count]).expect("a question");
            let query = question.queries[0].clone();
            let asked = query.name().to_ascii().to_lowercase();
            let mut answer = question.into_response();
            let found = zone(&asked, query.query_type());
            if asked.ends_with("refused.test.") {
                answer.metadata.response_code = ResponseCode::Refused;
            } else if asked.ends_with("broken.test.") {
                answer.metadata.response_code = ResponseCode::ServFail;
            } else if found.is_empty() && !asked.ends_with("plain.test.") {
                answer.metadata.response_code = ResponseCode::NXDomain;
            }
            for data in found {
                answer.add_answer(Record::from_rdata(query.name().clone(), 60, data));
            }
            let answer = answer.to_vec().expect("fits");
            socket.send_to(&answer, from).await.expect("sent");
        }
    }

    /// Knows `plain.test`; `refused.test` and `broken.test` are not answered, and nobody else exists.
    pub(in crate::io) async fn resolver() -> Resolver {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let address = socket.local_addr().expect("bound");
        tokio::spawn(answer_from_the_zone(socket));
        Resolver::new(&[address]).expect("a resolver")
    }

    #[tokio::test]
    async fn a_uri_leads_where_rfc_3263_says() {
        use Transport::{Tcp, Tls, Udp};
        let resolver = resolver().await;
        let cases = [
            // Nothing is asked for an address: nobody answers for this one.
            ("127.0.1.10", None, None, "udp 127.0.1.10:5060"),
            ("::1", None, Some(Tls), "tls [::1]:5061"),
            // A port was given: addresses only.
            ("a.full.test", Some(5099), Some(Tcp), "tcp 127.0.9.1:5099"),
            // The transport was given: SRV by priority, hosts without an address passed over.
            (
                "full.test",
                None,
                Some(Udp),
                "udp 127.0.9.1:5081, udp 127.0.9.2:5082",
            ),
            // NAPTR chooses the transports, the rest is second best.
            (
                "full.test",
                None,
                None,
                "tls 127.0.9.1:5071, udp 127.0.9.1:5081, udp 127.0.9.2:5082",
            ),
            // No NAPTR: the one transport that has SRV.
            ("half.test", None, None, "tcp 127.0.9.1:5091"),
            // Neither: the default.
            ("plain.test", None, None, "udp 127.0.9.1:5060"),
            ("plain.test", None, Some(Tls), "tls 127.0.9.1:5061"),
        ];
        for (host, port, transport, expected) in cases {
            let found = resolver
                .sip(host, port, transport, false)
                .await
                .expect(host);
            let told: Vec<String> = found
                .iter()
                .map(|found| format!("{} {}", found.transport, found.peer))
                .collect();
            assert_eq!(told.join(", "), expected, "{host} {port:?} {transport:?}");
        }
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_not_our_fault() {
        let failure = resolver().await.sip("nobody.test", None, None, false).await;
        let failure = failure.expect_err("nobody is there");
        assert_eq!(
            (failure.blame, &*failure.code),
            (Blame::Misbehaved, "dns_no_such_name")
        );
    }

    #[tokio::test]
    async fn a_resolver_that_refuses_to_answer_is_our_own_fault() {
        let resolver = resolver().await;
        for host in ["refused.test", "broken.test"] {
            for port in [None, Some(5060)] {
                let failure = resolver.sip(host, port, None, false).await;
                let failure = failure.expect_err("nobody answers");
                assert_eq!(
                    (failure.blame, &*failure.code),
                    (Blame::Ours, "dns_unavailable"),
                    "{host} {port:?}"
                );
            }
        }
    }
}

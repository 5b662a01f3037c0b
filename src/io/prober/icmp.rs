//! Sends echo requests, for `probe::icmp`: one socket per place and address family, shared by all targets.
//!
//! The unprivileged ICMP socket is tried first, then the raw one; which it became is logged once. With
//! the unprivileged one the kernel chooses the identifier and replies are told apart by target and
//! sequence number alone, so sequence numbers come from one counter for everybody.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use surge_ping::{Client, Config, ICMP, IcmpPacket, PingIdentifier, PingSequence, SurgeError};
use tokio::sync::Mutex;

use super::Deadline;
use crate::probe::icmp::{Host, Seen, Settings};
use crate::probe::socket::SocketFault;

/// As many bytes as `ping` sends; some firewalls drop shorter ones.
const PAYLOAD: [u8; 56] = [0x76; 56];

/// The ICMP sockets, opened when first needed, and again when that failed.
#[derive(Default)]
pub(super) struct Pinger {
    clients: Mutex<BTreeMap<Way, Client>>,
    sequence: AtomicU16,
}

/// The own address, where one is given, and whether the peers are IPv6.
type Way = (Option<IpAddr>, bool);

impl std::fmt::Debug for Pinger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pinger").finish_non_exhaustive()
    }
}

impl Pinger {
    pub(super) async fn fetch(
        &self,
        settings: &Settings,
        timeout: Duration,
        local: Option<IpAddr>,
    ) -> Seen {
        let deadline = Deadline::after(timeout);
        let mut pings = Vec::with_capacity(settings.addresses.len());
        for &address in &settings.addresses {
            match self.client(address, local).await {
                Ok(client) => pings.push((address, client)),
                Err(words) => return Seen::NoSocket { words },
            }
        }
        // A random identifier per run: two watchdogs behind one NAT must not collect each other's replies.
        let identifier = PingIdentifier(fastrand::u16(..));
        let tasks: Vec<_> = pings
            .into_iter()
            .map(|(address, client)| {
                let first = self.sequence.fetch_add(settings.packets, Ordering::Relaxed);
                let plan = Plan {
                    first,
                    packets: settings.packets,
                    interval: settings.interval,
                    deadline,
                };
                tokio::spawn(ping(client, address, identifier, plan))
            })
            .collect();
        let mut hosts = Vec::with_capacity(tasks.len());
        for task in tasks {
            // A panic in one of them becomes a panic of this probe, which ends it as blind.
            hosts.push(
                task.await
                    .expect("a ping task neither panics nor is cancelled"),
            );
        }
        Seen::Pinged(hosts)
    }

    async fn client(&self, address: IpAddr, local: Option<IpAddr>) -> Result<Client, String> {
        let kind = match address {
            IpAddr::V4(_) => ICMP::V4,
            IpAddr::V6(_) => ICMP::V6,
        };
        let mut clients = self.clients.lock().await;
        let way = (local, address.is_ipv6());
        if let Some(client) = clients.get(&way) {
            return Ok(client.clone());
        }
        let config = Config::builder().kind(kind);
        let config = match local {
            Some(local) => config.bind(SocketAddr::new(local, 0)),
            None => config,
        };
        let client = Client::new(&config.build()).map_err(|error| match local {
            Some(local) => format!("cannot ping from {local}: {error}"),
            None => error.to_string(),
        })?;
        let raw = client.get_socket().get_type() == socket2::Type::RAW;
        tracing::info!(family = ?kind, ?local, raw, "pinging by {} ICMP socket", if raw { "a raw" } else { "an unprivileged" });
        clients.insert(way, client.clone());
        Ok(client)
    }
}

struct Plan {
    first: u16,
    packets: u16,
    interval: Duration,
    deadline: Deadline,
}

async fn ping(client: Client, address: IpAddr, identifier: PingIdentifier, plan: Plan) -> Host {
    let mut host = Host {
        address,
        sent: 0,
        replies: Vec::new(),
        fault: None,
    };
    let mut pinger = client.pinger(address, identifier).await;
    let left = plan.packets.saturating_sub(1);
    // What one packet may wait: the time that remains when all others are sent on schedule.
    let patience = plan
        .deadline
        .end
        .saturating_duration_since(tokio::time::Instant::now())
        .saturating_sub(plan.interval * u32::from(left));
    pinger.timeout(patience);
    let mut next = tokio::time::interval(plan.interval.max(Duration::from_millis(1)));
    next.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for n in 0..plan.packets {
        next.tick().await;
        let sequence = PingSequence(plan.first.wrapping_add(n));
        let Some(result) = plan.deadline.wait(pinger.ping(sequence, &PAYLOAD)).await else {
            // This one left, and the time of the probe was over before its answer.
            host.sent += 1;
            break;
        };
        match result {
            Ok((packet, round_trip)) => {
                host.sent += 1;
                if is_echo_reply(&packet) {
                    host.replies.push(round_trip);
                } else {
                    host.fault = Some(SocketFault::Unreachable);
                }
            }
            Err(SurgeError::Timeout { .. }) => host.sent += 1,
            Err(SurgeError::IOError(error)) => host.fault = Some(SocketFault::of(&error)),
            Err(other) => {
                host.fault = Some(SocketFault::Ours {
                    words: other.to_string(),
                });
            }
        }
    }
    host
}

/// Errors of routers (host unreachable) are handed to the same waiter; they are no sign of life.
fn is_echo_reply(packet: &IcmpPacket) -> bool {
    match packet {
        IcmpPacket::V4(packet) => packet.get_icmp_type().0 == 0,
        IcmpPacket::V6(packet) => packet.get_icmpv6_type().0 == 129,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Word;
    use crate::probe::icmp::judge;

    #[tokio::test]
    async fn loopback_answers_or_we_are_blind() {
        let settings = Settings {
            interval: Duration::from_millis(1),
            ..Settings::new(vec![
                IpAddr::from([127, 0, 0, 1]),
                IpAddr::from([127, 0, 0, 2]),
            ])
        };
        let pinger = Pinger::default();
        let seen = pinger.fetch(&settings, Duration::from_secs(20), None).await;
        let verdict = judge(&settings, &seen);
        // Where no ICMP socket may be had, nothing else than blind is true.
        match seen {
            Seen::Pinged(hosts) => {
                assert_eq!(verdict.word, Word::Good, "{verdict:?}");
                assert!(
                    hosts
                        .iter()
                        .all(|host| host.sent == 3 && host.replies.len() == 3)
                );
            }
            Seen::NoSocket { .. } => assert_eq!(verdict.word, Word::Blind),
        }
    }
}

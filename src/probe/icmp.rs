//! The `icmp` probe: ICMP echo to one address or to a group, several packets each.
//!
//! A group (the phones of a floor, the access points) is judged by how many of its addresses answer.
//! A machine that must stay switched off is asked with [`Expect::Silent`]. `io::prober::icmp` sends.

use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use super::socket::SocketFault;
use super::{Blame, Failure, Verdict};

/// What to ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Whom to ping; never empty.
    pub addresses: Vec<IpAddr>,
    /// Echo requests sent to each address. One lost packet is no outage: with 3, all must be lost.
    pub packets: u16,
    /// Between two packets to one address.
    pub interval: Duration,
    /// How many addresses must answer; fewer is down, all is good, between is degraded.
    pub min_up: usize,
    pub expect: Expect,
    /// More packets lost than this by an answering address is degraded. Percent, 0 to 100.
    pub loss_percent_max: u8,
}

/// What a healthy target does with an echo request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    Answer,
    /// The machine is switched off on purpose: an answer means that somebody started it.
    Silent,
}

impl Settings {
    /// Three packets 200 ms apart to each address; all addresses must answer.
    #[must_use]
    pub fn new(addresses: Vec<IpAddr>) -> Self {
        Self {
            min_up: addresses.len(),
            addresses,
            packets: 3,
            interval: Duration::from_millis(200),
            expect: Expect::Answer,
            loss_percent_max: 34,
        }
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Pinged(Vec<Host>),
    /// Neither an unprivileged nor a raw ICMP socket could be had.
    NoSocket {
        words: String,
    },
}

/// The replies of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    pub address: IpAddr,
    pub sent: u16,
    /// Round trips of the packets that came back.
    pub replies: Vec<Duration>,
    /// The last error of sending, if a packet could not leave.
    pub fault: Option<SocketFault>,
}

impl Host {
    const fn is_up(&self) -> bool {
        !self.replies.is_empty()
    }

    /// Nothing came back, and our own side is why.
    fn is_unseen(&self) -> bool {
        !self.is_up() && matches!(self.fault, Some(SocketFault::Ours { .. }))
    }
}

/// Judges what came back.
#[must_use]
pub fn judge(settings: &Settings, seen: &Seen) -> Verdict {
    let hosts = match seen {
        Seen::Pinged(hosts) => hosts,
        Seen::NoSocket { words } => {
            return Verdict::blind(
                "no_icmp_socket",
                format!(
                    "cannot ping: {words}; give the service CAP_NET_RAW, or put its group into \
                     net.ipv4.ping_group_range"
                ),
            );
        }
    };
    let verdict = match settings.expect {
        Expect::Answer => judge_answers(settings, hosts),
        Expect::Silent => judge_silence(hosts),
    };
    measure(verdict, hosts)
}

fn judge_answers(settings: &Settings, hosts: &[Host]) -> Verdict {
    let up = hosts.iter().filter(|host| host.is_up()).count();
    let wanted = settings.min_up.min(hosts.len());
    if up < wanted {
        if let Some(blind) = blind_if_unseen(hosts, wanted - up) {
            return blind;
        }
        let words = match hosts {
            [host] => format!("{}: {} echo requests, no reply", host.address, host.sent),
            _ => format!(
                "{up} of {} addresses answer, {wanted} must; silent: {}",
                hosts.len(),
                silent_ones(hosts)
            ),
        };
        return Verdict::down(Failure::new(Blame::Silent, "no_echo_reply", words));
    }
    if up < hosts.len() {
        return Verdict::degraded(Failure::new(
            Blame::Silent,
            "some_silent",
            format!(
                "{up} of {} addresses answer; silent: {}",
                hosts.len(),
                silent_ones(hosts)
            ),
        ));
    }
    let lost = loss_percent(hosts);
    if lost > f64::from(settings.loss_percent_max) {
        return Verdict::degraded(Failure::new(
            Blame::Misbehaved,
            "packet_loss",
            format!(
                "{lost:.0} % of the echo requests were lost, at most {} % may be",
                settings.loss_percent_max
            ),
        ));
    }
    Verdict::good(median_round_trip(hosts).unwrap_or_default())
}

fn judge_silence(hosts: &[Host]) -> Verdict {
    let awake: Vec<String> = hosts
        .iter()
        .filter(|host| host.is_up())
        .map(|host| host.address.to_string())
        .collect();
    if !awake.is_empty() {
        // Nothing is lost by a machine too many, so this is not an outage.
        return Verdict::degraded(Failure::new(
            Blame::Misbehaved,
            "switched_on",
            format!(
                "{} answers but should be switched off: find out who started it, or change its label",
                awake.join(", ")
            ),
        ));
    }
    blind_if_unseen(hosts, 1).unwrap_or_else(|| Verdict::good(Duration::ZERO))
}

/// Blind, if at least `missing` addresses were not asked at all through a fault of our own.
fn blind_if_unseen(hosts: &[Host], missing: usize) -> Option<Verdict> {
    let mut unseen = hosts.iter().filter(|host| host.is_unseen()).peekable();
    let first = unseen.peek()?;
    let Some(SocketFault::Ours { words }) = &first.fault else {
        return None;
    };
    let words = format!("could not ping {}: {words}", first.address);
    (unseen.count() >= missing).then(|| Verdict::blind("no_socket", words))
}

fn measure(mut verdict: Verdict, hosts: &[Host]) -> Verdict {
    if let Some(round_trip) = median_round_trip(hosts) {
        verdict = verdict
            .with_took(round_trip)
            .measuring("round_trip_ms", round_trip.as_secs_f64() * 1000.0);
    }
    let up = hosts.iter().filter(|host| host.is_up()).count();
    verdict
        .measuring("loss_percent", loss_percent(hosts))
        .measuring(
            "addresses_up",
            f64::from(u32::try_from(up).unwrap_or(u32::MAX)),
        )
}

fn loss_percent(hosts: &[Host]) -> f64 {
    let sent: u32 = hosts.iter().map(|host| u32::from(host.sent)).sum();
    let back: usize = hosts.iter().map(|host| host.replies.len()).sum();
    if sent == 0 {
        return 0.0;
    }
    let back = f64::from(u32::try_from(back).unwrap_or(u32::MAX));
    (100.0 * (1.0 - back / f64::from(sent))).max(0.0)
}

fn median_round_trip(hosts: &[Host]) -> Option<Duration> {
    let mut replies: Vec<Duration> = hosts
        .iter()
        .flat_map(|host| &host.replies)
        .copied()
        .collect();
    replies.sort_unstable();
    replies.get(replies.len() / 2).copied()
}

/// At most five of them: a floor of phones does not fit in a sentence.
fn silent_ones(hosts: &[Host]) -> String {
    let silent: Vec<String> = hosts
        .iter()
        .filter(|host| !host.is_up())
        .map(|host| host.address.to_string())
        .collect();
    match silent.get(..5) {
        Some(first) if silent.len() > 5 => {
            format!("{} and {} more", first.join(", "), silent.len() - 5)
        }
        Some(_) | None => silent.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Word;

    /// One character per host: `u` up, `l` two of three lost, `s` silent, `o` not sent (our fault).
    fn seen(hosts: &str) -> Seen {
        let ms = Duration::from_millis(2);
        let host = |(n, kind): (usize, char)| Host {
            address: IpAddr::from([127, 0, 0, u8::try_from(n + 1).unwrap()]),
            sent: if kind == 'o' { 0 } else { 3 },
            replies: match kind {
                'u' => vec![ms; 3],
                'l' => vec![ms],
                _ => Vec::new(),
            },
            fault: (kind == 'o').then(|| SocketFault::Ours {
                words: "no route".to_owned(),
            }),
        };
        Seen::Pinged(hosts.chars().enumerate().map(host).collect())
    }

    #[test]
    fn the_table_of_answers() {
        for (hosts, min_up, expect, word, code) in [
            ("u", 1, Expect::Answer, Word::Good, ""),
            ("s", 1, Expect::Answer, Word::Down, "no_echo_reply"),
            ("l", 1, Expect::Answer, Word::Degraded, "packet_loss"),
            ("o", 1, Expect::Answer, Word::Blind, "no_socket"),
            ("uuuu", 4, Expect::Answer, Word::Good, ""),
            ("uuus", 3, Expect::Answer, Word::Degraded, "some_silent"),
            ("uuss", 3, Expect::Answer, Word::Down, "no_echo_reply"),
            // One unseen address could be the missing one: then we cannot tell.
            ("uuos", 3, Expect::Answer, Word::Blind, "no_socket"),
            ("uoss", 3, Expect::Answer, Word::Down, "no_echo_reply"),
            ("s", 1, Expect::Silent, Word::Good, ""),
            ("u", 1, Expect::Silent, Word::Degraded, "switched_on"),
            ("o", 1, Expect::Silent, Word::Blind, "no_socket"),
        ] {
            let addresses = vec![IpAddr::from([127, 0, 0, 1]); hosts.len()];
            let settings = Settings {
                min_up,
                expect,
                ..Settings::new(addresses)
            };
            let verdict = judge(&settings, &seen(hosts));
            let found = verdict.failure.as_ref().map_or("", |f| f.code.as_ref());
            assert_eq!(
                (verdict.word, found),
                (word, code),
                "{hosts} {min_up} {expect:?}"
            );
        }
    }

    #[test]
    fn without_a_socket_we_are_blind_and_say_what_to_do() {
        let settings = Settings::new(vec![IpAddr::from([127, 0, 0, 1])]);
        let verdict = judge(
            &settings,
            &Seen::NoSocket {
                words: "permission denied".to_owned(),
            },
        );
        assert_eq!(verdict.word, Word::Blind);
        assert!(verdict.failure.unwrap().words.contains("CAP_NET_RAW"));
    }

    #[test]
    fn a_long_list_of_silent_phones_is_cut() {
        let settings = Settings::new(vec![IpAddr::from([127, 0, 0, 1]); 9]);
        let verdict = judge(&settings, &seen("sssssssss"));
        assert!(
            verdict
                .failure
                .unwrap()
                .words
                .ends_with("127.0.0.5 and 4 more")
        );
    }
}

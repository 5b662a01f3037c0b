//! Fifteen captures made in code, each with one thing that happens to a stream: what an analysis says of them
//! is known to the last decimal. No clock and no socket has touched them.
//!
//! Chance comes from the Mersenne Twister as Python's `random` seeds it, so that anybody can make them again.

use std::net::SocketAddr;

use vigie::capture::Writer;
use vigie::rtp::packet::{self, Packet};
use vigie::time::Utc;

/// A capture by the packets in it.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) name: &'static str,
    packets: Vec<Sent>,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    at_ns: i64,
    sequence_number: u16,
    timestamp: u32,
    ssrc: u32,
    payload_type: u8,
    marker: bool,
}

/// Where the stream goes; no SIP says so, and the port is named instead.
pub(crate) const PORT: u16 = 5004;
const FROM_PORT: u16 = 4000;
const PTIME_NS: i64 = 20_000_000;
const BEGAN_NS: i64 = 1_700_000_000_000_000_000;
const SSRC: u32 = 0x1122_3344;

/// Which addresses the packets have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Family {
    V4,
    V6,
}

/// What stands before IP in each frame.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Link {
    Raw,
    Ethernet,
    Vlan,
    Cooked,
    Cooked2,
}

impl Link {
    pub(crate) const ALL: [Self; 5] = [
        Self::Raw,
        Self::Ethernet,
        Self::Vlan,
        Self::Cooked,
        Self::Cooked2,
    ];
}

impl Made {
    /// A stream of so many packets of G.711, in time.
    fn clean(name: &'static str, packets: u32) -> Self {
        let packets = (0..packets)
            .map(|n| Sent {
                at_ns: i64::from(n) * PTIME_NS,
                sequence_number: u16::try_from(n).unwrap(),
                timestamp: n * 160,
                ssrc: SSRC,
                payload_type: 8,
                marker: false,
            })
            .collect();
        Self { name, packets }
    }

    /// Each packet changed by what happens to it.
    fn with(mut self, change: impl Fn(usize, &mut Sent)) -> Self {
        for (n, packet) in self.packets.iter_mut().enumerate() {
            change(n, packet);
        }
        self
    }

    /// Only the packets that arrive.
    fn losing(mut self, is_lost: impl Fn(usize) -> bool) -> Self {
        let mut n = 0;
        self.packets.retain(|_| {
            n += 1;
            !is_lost(n - 1)
        });
        self
    }

    /// A file of raw IP with nanoseconds.
    pub(crate) fn file(&self, family: Family, link: Link) -> Vec<u8> {
        let host = |last: u8| match family {
            Family::V4 => std::net::IpAddr::from([192, 0, 2, last]),
            Family::V6 => std::net::IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()]),
        };
        let (from, to) = (
            SocketAddr::new(host(1), FROM_PORT),
            SocketAddr::new(host(2), PORT),
        );
        let mut writer = Writer::new();
        for sent in &self.packets {
            let bytes = packet::write(Packet {
                marker: sent.marker,
                payload_type: sent.payload_type,
                sequence_number: sent.sequence_number,
                timestamp: sent.timestamp,
                ssrc: sent.ssrc,
                payload: &[0xd5; 160],
            });
            writer.datagram(Utc(BEGAN_NS + sent.at_ns), from, to, &bytes);
        }
        behind(link, family, &writer.into_bytes())
    }
}

/// The same frames behind a link header.
pub(crate) fn behind(link: Link, family: Family, raw: &[u8]) -> Vec<u8> {
    let protocol: [u8; 2] = match family {
        Family::V4 => [0x08, 0x00],
        Family::V6 => [0x86, 0xdd],
    };
    let (number, header): (u32, Vec<u8>) = match link {
        Link::Raw => return raw.to_vec(),
        Link::Ethernet => (1, [&[0; 12][..], &protocol].concat()),
        Link::Vlan => (1, [&[0; 12][..], &[0x81, 0, 0, 7], &protocol].concat()),
        Link::Cooked => (113, [&[0; 14][..], &protocol].concat()),
        Link::Cooked2 => (276, [&protocol[..], &[0; 18]].concat()),
    };
    let (head, mut records) = raw.split_at(24);
    let mut bytes = [&head[..20], &number.to_le_bytes()].concat();
    while !records.is_empty() {
        let (times, rest) = records.split_at(8);
        let length = u32::from_le_bytes(rest[..4].try_into().unwrap());
        let (frame, rest) = rest[8..].split_at(usize::try_from(length).unwrap());
        let longer = length + u32::try_from(header.len()).unwrap();
        bytes.extend(times);
        bytes.extend(longer.to_le_bytes());
        bytes.extend(longer.to_le_bytes());
        bytes.extend(&header);
        bytes.extend(frame);
        records = rest;
    }
    bytes
}

/// All fifteen, A to O.
pub(crate) fn captures() -> Vec<Made> {
    const MS: i64 = 1_000_000;
    let lost = gilbert_elliott(42, 1000, 0.02, 0.4);
    let mut chance = Twister::seeded(7);
    let late: Vec<i64> = (0..500).map(|_| chance.below(10.0 * 1e6)).collect();
    let mut swapped = Made::clean("F two swapped", 500);
    let at = |n: usize| swapped.packets[n].at_ns;
    let (first, second) = (at(100), at(101));
    swapped.packets[100].at_ns = second;
    swapped.packets[101].at_ns = first;
    swapped.packets.swap(100, 101);
    let mut duplicate = Made::clean("H one twice", 500);
    let twice = duplicate.packets[100];
    duplicate.packets.insert(101, twice);
    vec![
        Made::clean("A clean", 500),
        Made::clean("B every other 5 ms late", 500)
            .with(|n, it| it.at_ns += if n % 2 == 1 { 5 * MS } else { 0 }),
        Made::clean("C 40 ms later from the middle on", 500)
            .with(|n, it| it.at_ns += if n >= 250 { 40 * MS } else { 0 }),
        Made::clean("D one 15 ms late", 500)
            .with(|n, it| it.at_ns += if n == 250 { 15 * MS } else { 0 }),
        Made::clean("E lost in bursts", 1000).losing(|n| lost.contains(&n)),
        swapped,
        Made::clean("G sequence numbers wrap", 500).with(|_, it| {
            it.sequence_number = it.sequence_number.wrapping_add(65_300);
        }),
        duplicate,
        Made::clean("I clock 200 ppm slow", 500).with(|_, it| it.at_ns += it.at_ns / 5000),
        Made::clean("J a second of silence not sent", 500).with(|n, it| {
            if n >= 250 {
                it.at_ns += 1000 * MS;
                it.timestamp += 8000;
                it.marker = n == 250;
            }
        }),
        Made::clean("K timestamp jumps", 500)
            .with(|n, it| it.timestamp += if n >= 250 { 80_000 } else { 0 }),
        Made::clean("L up to 10 ms late", 500).with(|n, it| it.at_ns += late[n]),
        Made::clean("M the source changes", 500).with(|n, it| {
            if n >= 250 {
                it.ssrc = 0x5566_7788;
            }
        }),
        Made::clean("N the payload type changes", 500).with(|n, it| {
            if n >= 250 {
                it.payload_type = 0;
            }
        }),
        Made::clean("O head and tail missing", 500).losing(|n| !(10..490).contains(&n)),
    ]
}

/// Numbers of the packets that a channel loses: from good to bad with `p`, back with `r`, all lost in bad.
fn gilbert_elliott(seed: u32, packets: usize, p: f64, r: f64) -> Vec<usize> {
    let mut chance = Twister::seeded(seed);
    let mut bad = false;
    (0..packets)
        .filter(|_| {
            bad = if bad {
                chance.next() >= r
            } else {
                chance.next() < p
            };
            bad
        })
        .collect()
}

/// MT19937 (Matsumoto and Nishimura 1998), seeded and read as Python's `random.Random(seed)` does.
struct Twister {
    state: Vec<u32>,
    at: usize,
}

const N: usize = 624;

impl Twister {
    fn seeded(seed: u32) -> Self {
        let mut state = vec![19_650_218_u32];
        for n in 1..624_u32 {
            let last = state[state.len() - 1];
            let mixed = (last ^ (last >> 30)).wrapping_mul(1_812_433_253);
            state.push(mixed.wrapping_add(n));
        }
        // `init_by_array` of one word.
        let mut at = 1;
        for round in 0..2 * N - 1 {
            let last = state[at - 1];
            let mixed = last ^ (last >> 30);
            state[at] = if round < N {
                (state[at] ^ mixed.wrapping_mul(1_664_525)).wrapping_add(seed)
            } else {
                let place = u32::try_from(at).unwrap();
                (state[at] ^ mixed.wrapping_mul(1_566_083_941)).wrapping_sub(place)
            };
            at += 1;
            if at == N {
                state[0] = state[N - 1];
                at = 1;
            }
        }
        state[0] = 0x8000_0000;
        Self { state, at: N }
    }

    fn word(&mut self) -> u32 {
        if self.at == N {
            for n in 0..N {
                let upper = self.state[n] & 0x8000_0000;
                let mixed = upper | (self.state[(n + 1) % N] & 0x7fff_ffff);
                let odd = if mixed % 2 == 1 { 0x9908_b0df } else { 0 };
                self.state[n] = self.state[(n + 397) % N] ^ (mixed >> 1) ^ odd;
            }
            self.at = 0;
        }
        let mut word = self.state[self.at];
        self.at += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// From 0 to 1, with 53 bits.
    fn next(&mut self) -> f64 {
        let (high, low) = (self.word() >> 5, self.word() >> 6);
        (f64::from(high) * 67_108_864.0 + f64::from(low)) / 9_007_199_254_740_992.0
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "nanoseconds of a few milliseconds"
    )]
    fn below(&mut self, most: f64) -> i64 {
        (self.next() * most) as i64
    }
}

#[test]
fn chance_is_that_of_python() {
    // random.Random(42).random(), twice; random.Random(7).random().
    let mut chance = Twister::seeded(42);
    assert_eq!(
        chance.next().to_bits(),
        0.639_426_798_457_883_7_f64.to_bits()
    );
    assert_eq!(
        chance.next().to_bits(),
        0.025_010_755_222_666_936_f64.to_bits()
    );
    let other = Twister::seeded(7).next();
    assert_eq!(other.to_bits(), 0.323_832_764_833_162_37_f64.to_bits());
}

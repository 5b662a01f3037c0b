//! The `icmp` probe: ICMP echo to one address or to a group, several packets each.
//!
//! A group (the phones of a floor, the access points) is judged by how many of its addresses answer.
//! A machine that must stay switched off is asked with [`Expect::Silent`]. `io::prober::icmp` sends.

use std::net::IpAddr;
use std::time::Duration;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

//! Which RTP packet leaves next, and when: absolute deadlines that never drift.
//!
//! Packet n is due at the start plus n times the packet time, however late its predecessors left. The
//! thread that keeps these times lives in `io::shard`; what is in the packets is the caller's.

use std::time::Duration;

use super::packet::{self, Packet};
use crate::time::Instant;

/// One stream being sent.
#[derive(Clone, Debug)]
pub struct Sender {
    pub ssrc: u32,
    sequence_number: u16,
    /// Of the next packet of sound.
    timestamp: u32,
    due: Instant,
    ptime_ms: u8,
    packets: u32,
    octets: u32,
    /// The next packet begins a talkspurt (RFC 3551 §4.1).
    marker: bool,
}

/// Samples of one millisecond at 8000 Hz.
const SAMPLES_PER_MS: u16 = 8;
/// Being later than this (the machine slept, the thread starved), packets are left out rather than
/// sent in a burst that no receiver could use.
const BURST_MAX: Duration = Duration::from_millis(200);

impl Sender {
    /// Sequence number and timestamp should be random (RFC 3550 §5.1).
    #[must_use]
    pub const fn new(
        ssrc: u32,
        sequence_number: u16,
        timestamp: u32,
        start: Instant,
        ptime_ms: u8,
    ) -> Self {
        Self {
            ssrc,
            sequence_number,
            timestamp,
            due: start,
            ptime_ms,
            packets: 0,
            octets: 0,
            marker: true,
        }
    }

    /// When the next packet is to leave.
    #[must_use]
    pub const fn due(&self) -> Instant {
        self.due
    }

    #[must_use]
    pub const fn timestamp(&self) -> u32 {
        self.timestamp
    }

    /// Samples in one packet.
    #[must_use]
    pub const fn samples(&self) -> u16 {
        self.ptime_ms as u16 * SAMPLES_PER_MS
    }

    #[must_use]
    pub const fn packets(&self) -> u32 {
        self.packets
    }

    #[must_use]
    pub const fn octets(&self) -> u32 {
        self.octets
    }

    /// The next packet leaves then; for a stream that has not begun.
    pub const fn start(&mut self, at: Instant) {
        self.due = at;
    }

    /// From the next packet on.
    pub const fn set_ptime(&mut self, ptime_ms: u8) {
        self.ptime_ms = ptime_ms;
    }

    /// The packet that is due, with sound.
    pub fn sound(&mut self, payload_type: u8, payload: &[u8]) -> Vec<u8> {
        let marker = std::mem::take(&mut self.marker);
        self.write(payload_type, payload, marker, self.timestamp)
    }

    /// The packet that is due, with a telephone event that began at `timestamp`.
    pub fn event(
        &mut self,
        payload_type: u8,
        payload: &[u8],
        marker: bool,
        timestamp: u32,
    ) -> Vec<u8> {
        self.write(payload_type, payload, marker, timestamp)
    }

    fn write(&mut self, payload_type: u8, payload: &[u8], marker: bool, timestamp: u32) -> Vec<u8> {
        let bytes = packet::write(Packet {
            marker,
            payload_type,
            sequence_number: self.sequence_number,
            timestamp,
            ssrc: self.ssrc,
            payload,
        });
        self.sequence_number = self.sequence_number.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        let octets = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        self.octets = self.octets.wrapping_add(octets);
        self.advance();
        bytes
    }

    /// Lets one packet time pass without a packet (on hold); the next one begins a talkspurt.
    pub fn pass(&mut self) {
        self.marker = true;
        self.advance();
    }

    fn advance(&mut self) {
        self.timestamp = self.timestamp.wrapping_add(u32::from(self.samples()));
        self.due = self.due + Duration::from_millis(u64::from(self.ptime_ms));
    }

    /// Leaves out what is hopelessly late; says how many packets that were.
    pub fn catch_up(&mut self, now: Instant) -> u32 {
        let mut left_out = 0;
        if now.since(self.due) > BURST_MAX {
            while self.due < now {
                self.pass();
                left_out += 1;
            }
        }
        left_out
    }
}

/// Where in the packet time a call sends, so that many calls do not send at one moment.
#[must_use]
pub fn phase(index: u32, ptime_ms: u8) -> Duration {
    // 7919 is a prime near 40 % of 20 ms in microseconds: neighbours lie far apart, and the sequence
    // visits every microsecond before it repeats.
    let slot = u64::from(ptime_ms) * 1000;
    Duration::from_micros(u64::from(index) * 7919 % slot.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender() -> Sender {
        Sender::new(1, 65_535, u32::MAX - 159, Instant(5), 20)
    }

    #[test]
    fn packets_are_due_on_a_grid_and_numbers_wrap() {
        let mut sender = sender();
        for n in 0..1000_u64 {
            assert_eq!(sender.due(), Instant(5 + n * 20_000_000));
            let bytes = sender.sound(8, &[0xd5; 160]);
            let packet = packet::parse(&bytes).unwrap();
            assert_eq!(u64::from(packet.sequence_number), (65_535 + n) % 65_536);
            assert_eq!(
                packet.timestamp,
                (u32::MAX - 159).wrapping_add(160 * u32::try_from(n).unwrap())
            );
            assert_eq!(packet.marker, n == 0);
        }
        assert_eq!((sender.packets(), sender.octets()), (1000, 160_000));
    }

    #[test]
    fn after_a_hold_the_clock_has_gone_on_and_a_talkspurt_begins() {
        let mut sender = sender();
        sender.sound(8, &[]);
        sender.pass();
        let bytes = sender.sound(8, &[]);
        let packet = packet::parse(&bytes).unwrap();
        assert!(packet.marker);
        assert_eq!((packet.sequence_number, packet.timestamp), (0, 160));
    }

    #[test]
    fn a_machine_that_slept_sends_no_burst() {
        let mut sender = sender();
        assert_eq!(sender.catch_up(Instant(100_000_000)), 0);
        assert_eq!(sender.catch_up(Instant(3_600_000_000_005)), 180_000);
        assert_eq!(sender.due(), Instant(3_600_000_000_005));
    }

    #[test]
    fn phases_spread_over_the_packet_time() {
        let mut tenths = [0_u32; 10];
        for index in 0..1000 {
            let at = phase(index, 20);
            assert!(at < Duration::from_millis(20));
            tenths[usize::try_from(at.as_millis() / 2).unwrap()] += 1;
        }
        assert!(
            tenths.iter().all(|count| (90..=110).contains(count)),
            "{tenths:?}"
        );
    }
}

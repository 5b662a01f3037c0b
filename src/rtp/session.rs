//! Both directions of one stream: what is sent, what was heard, and the reports about it.
//!
//! It trusts its caller about addresses and payload types: packets from elsewhere never get here.

use std::time::Duration;

use super::jitter::Jitter;
use super::rtcp::{self, Block, Report, SenderInfo};
use super::sender::Sender;
use super::source::{Arrival, Source};
use super::{Malformed, Packet};
use crate::time::{Instant, Now};

/// One RTP session with one peer.
#[derive(Clone, Debug)]
pub struct Session {
    pub sender: Sender,
    heard: Option<Heard>,
    /// Sums of the sources before the present one.
    earlier: Figures,
    pub jitter: Jitter,
    last_sr: Option<LastSr>,
    report_due: Instant,
    round_trip: Option<Duration>,
    /// What they last said of our stream.
    about_us: Option<Block>,
}

#[derive(Clone, Debug)]
struct Heard {
    ssrc: u32,
    source: Source,
}

#[derive(Clone, Copy, Debug)]
struct LastSr {
    middle: u32,
    at: Instant,
}

/// Received packets in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Duplicates included.
    pub received: u64,
    /// Expected minus received (RFC 3550 A.3).
    pub lost: i64,
    pub duplicates: u64,
    pub reordered: u64,
    /// Times that the far end began anew, with another SSRC or other numbers.
    pub restarts: u32,
}

/// With one peer a report may leave at once (RFC 3550 §6.2 allows no delay for unicast); a second lets
/// it say something.
const FIRST_REPORT: Duration = Duration::from_secs(1);
/// §6.2 recommends 5 s as the minimum.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// Of G.711.
const CLOCK_RATE: u32 = 8000;

impl Session {
    #[must_use]
    pub fn new(sender: Sender) -> Self {
        Self {
            report_due: sender.due() + FIRST_REPORT,
            sender,
            heard: None,
            earlier: Figures::default(),
            jitter: Jitter::default(),
            last_sr: None,
            round_trip: None,
            about_us: None,
        }
    }

    /// A packet of the peer, stamped by the kernel; `sound` is false for telephone events.
    pub fn hear(&mut self, at: Instant, packet: &Packet<'_>, sound: bool) -> Arrival {
        let arrival = match &mut self.heard {
            Some(heard) if heard.ssrc == packet.ssrc => heard.source.update(packet.sequence_number),
            Some(_) | None => {
                self.new_source(packet);
                Arrival::InOrder
            }
        };
        match arrival {
            // A late packet says nothing about its own transit that the next one does not (as tshark).
            Arrival::InOrder | Arrival::Reordered if sound => {
                self.jitter.hear(at, packet.timestamp, CLOCK_RATE);
            }
            Arrival::Restarted => self.jitter.forget_last(),
            Arrival::InOrder | Arrival::Reordered | Arrival::Duplicate | Arrival::Stray => {}
        }
        arrival
    }

    fn new_source(&mut self, packet: &Packet<'_>) {
        if self.heard.is_some() {
            self.earlier = self.figures();
            self.earlier.restarts += 1;
            self.jitter.forget_last();
            self.last_sr = None;
        }
        self.heard = Some(Heard {
            ssrc: packet.ssrc,
            source: Source::new(packet.sequence_number),
        });
    }

    /// Begins to send at this moment; the first report follows a second later.
    pub fn start(&mut self, at: Instant) {
        self.sender.start(at);
        self.report_due = at + FIRST_REPORT;
    }

    #[must_use]
    pub fn figures(&self) -> Figures {
        let mut sum = self.earlier;
        if let Some(Heard { source, .. }) = &self.heard {
            sum.received += u64::from(source.received());
            sum.lost += source.lost();
            sum.duplicates += u64::from(source.duplicates);
            sum.reordered += u64::from(source.reordered);
            sum.restarts += source.restarts();
        }
        sum
    }

    /// When our next report is due.
    #[must_use]
    pub const fn report_due(&self) -> Instant {
        self.report_due
    }

    /// Our report: SR once we sent something (§6.4), else RR; with BYE it is the last.
    pub fn report(&mut self, now: Now, bye: bool) -> Vec<u8> {
        self.report_due = now.instant + REPORT_INTERVAL;
        let sender = (self.sender.packets() > 0).then(|| SenderInfo {
            ntp: rtcp::ntp(now.utc),
            rtp_timestamp: self.timestamp_at(now.instant),
            packets: self.sender.packets(),
            octets: self.sender.octets(),
        });
        let blocks = self.block(now.instant).into_iter().collect();
        rtcp::write(&Report {
            ssrc: self.sender.ssrc,
            sender,
            blocks,
            bye,
        })
    }

    /// The timestamp that sound of this moment would carry (§6.4.1).
    fn timestamp_at(&self, now: Instant) -> u32 {
        let samples = |span: Duration| {
            let samples = span.as_nanos() * u128::from(CLOCK_RATE) / 1_000_000_000;
            u32::try_from(samples & u128::from(u32::MAX)).unwrap_or(0)
        };
        self.sender
            .timestamp()
            .wrapping_add(samples(now.since(self.sender.due())))
            .wrapping_sub(samples(self.sender.due().since(now)))
    }

    fn block(&mut self, now: Instant) -> Option<Block> {
        let Heard { ssrc, source } = self.heard.as_mut()?;
        Some(Block {
            ssrc: *ssrc,
            fraction_lost: source.fraction_lost(),
            lost: i32::try_from(source.lost()).unwrap_or(i32::MAX),
            extended_max: source.extended_max(),
            jitter: self.jitter.units(CLOCK_RATE),
            last_sr: self.last_sr.map_or(0, |sr| sr.middle),
            delay_since_last_sr: self.last_sr.map_or(0, |sr| rtcp::delay(sr.at, now)),
        })
    }

    /// A report of the peer; `stamp` is when the kernel received it, `now` the present.
    ///
    /// # Errors
    /// When the bytes are no RTCP compound.
    pub fn hear_report(&mut self, now: Now, stamp: Instant, bytes: &[u8]) -> Result<(), Malformed> {
        let report = rtcp::parse(bytes)?;
        if let Some(info) = report.sender
            && self
                .heard
                .as_ref()
                .is_none_or(|heard| heard.ssrc == report.ssrc)
        {
            self.last_sr = Some(LastSr {
                middle: rtcp::middle(info.ntp),
                at: stamp,
            });
        }
        let ours = self.sender.ssrc;
        if let Some(block) = report.blocks.into_iter().find(|block| block.ssrc == ours) {
            let arrival = rtcp::middle(rtcp::ntp(now.utc - now.instant.since(stamp)));
            self.round_trip = rtcp::round_trip(arrival, &block).or(self.round_trip);
            self.about_us = Some(block);
        }
        Ok(())
    }

    /// Round trip by RTCP, the last one measured.
    #[must_use]
    pub const fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// What they last reported of our stream: the only sign in RTP that they hear us.
    #[must_use]
    pub const fn about_us(&self) -> Option<&Block> {
        self.about_us.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::packet;

    fn session(ssrc: u32) -> Session {
        Session::new(Sender::new(ssrc, 100, 0, Instant(0), 20))
    }

    fn at(ms: u64) -> Now {
        Now::default().after(Duration::from_millis(ms))
    }

    #[test]
    fn two_sessions_measure_each_other() {
        let (mut here, mut there) = (session(1), session(2));
        for n in 0..100_u64 {
            let sent = here.sender.sound(8, &[0xd5; 160]);
            if n != 50 {
                let now = at(n * 20 + 30);
                there.hear(now.instant, &packet::parse(&sent).unwrap(), true);
            }
        }
        assert_eq!((there.figures().received, there.figures().lost), (99, 1));
        assert!(there.jitter.max_ms() < 0.001);

        let sr = here.report(at(2000), false);
        there.hear_report(at(2030), at(2030).instant, &sr).unwrap();
        let rr = there.report(at(2530), false);
        // The program reads the report late; the stamp says when it came.
        here.hear_report(at(2600), at(2560).instant, &rr).unwrap();
        let round_trip = here.round_trip().unwrap();
        assert!(round_trip.abs_diff(Duration::from_millis(60)) < Duration::from_micros(50));
        let block = here.about_us().unwrap();
        assert_eq!(
            (block.lost, block.fraction_lost, block.extended_max),
            (1, 2, 199)
        );
    }

    #[test]
    fn another_source_goes_on_in_the_same_figures() {
        let mut session = session(1);
        for (ssrc, first) in [(7, 1000), (8, 50_000)] {
            for n in [0_u16, 1, 3] {
                let bytes = packet::write(Packet {
                    marker: false,
                    payload_type: 8,
                    sequence_number: first + n,
                    timestamp: u32::from(n) * 160,
                    ssrc,
                    payload: &[],
                });
                session.hear(Instant(0), &packet::parse(&bytes).unwrap(), true);
            }
        }
        let figures = session.figures();
        assert_eq!(
            (figures.received, figures.lost, figures.restarts),
            (6, 2, 1)
        );
    }

    #[test]
    fn a_sender_report_says_where_the_clock_stands() {
        let mut session = session(1);
        session.sender.sound(8, &[0; 160]); // next packet: timestamp 160, due at 20 ms
        for (ms, expected) in [(10, 80), (20, 160), (30, 240)] {
            let report = rtcp::parse(&session.report(at(ms), false)).unwrap();
            assert_eq!(report.sender.unwrap().rtp_timestamp, expected, "{ms} ms");
        }
    }
}

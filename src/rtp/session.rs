//! Both directions of one stream: what is sent, what was heard, and the reports about it.
//!
//! It trusts its caller about addresses and payload types: packets from elsewhere never get here.

use std::time::Duration;

use super::rtcp::{self, Block, Delay, Extended, Report, SenderInfo, VoipMetrics};
use super::sender::Sender;
use super::source::Arrival;
use super::stream::{Content, Counts, Stream};
use super::{Malformed, Packet};
use crate::time::{Instant, Now};

/// One RTP session with one peer.
#[derive(Clone, Debug)]
pub struct Session {
    pub sender: Sender,
    /// Every source of the far end, in order of first sight, 16 at most.
    streams: Vec<Stream>,
    /// Packets of sources beyond these.
    strays: u64,
    /// The one that spoke last.
    present: usize,
    /// When the first report came or left: reports tell time from here on by the clock that nobody sets.
    anchor: Option<Now>,
    last_sr: Option<Stamp>,
    last_reference: Option<Stamp>,
    report_due: Instant,
    round_trip: Option<Duration>,
    far_end: FarEnd,
    /// Packets of ours that had left when the last report came.
    sent_before: u32,
}

/// A time that a far end told, and when it came.
#[derive(Clone, Copy, Debug)]
struct Stamp {
    ssrc: u32,
    middle: u32,
    at: Instant,
}

/// What the far end last reported: the only sign in RTP that they hear us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FarEnd {
    /// Their view of our stream.
    pub about_us: Option<Block>,
    /// The same as a voice (RFC 3611 §4.7).
    pub voice: Option<VoipMetrics>,
    /// What they say they sent: more than we expected was lost before the first or after the last packet.
    pub sender: Option<SenderInfo>,
    /// Reports in a row, while we sent, that know of nothing new of ours: no block about us (RFC 3550 §6.4.1),
    /// or the same highest sequence number again. Their fraction lost cannot tell: where nothing came,
    /// nothing was expected (A.3).
    pub deaf_reports: u32,
    /// They said that they leave.
    pub bye: bool,
}

/// A far end that moves a call ten times has a new source each time; more are forged.
const STREAMS_MAX: usize = 16;
/// Half a second of ours, between two reports of theirs: fewer may be on their way still.
const SENT_BETWEEN: u32 = 25;
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
            streams: Vec::new(),
            strays: 0,
            present: 0,
            anchor: None,
            last_sr: None,
            last_reference: None,
            round_trip: None,
            far_end: FarEnd::default(),
            sent_before: 0,
        }
    }

    /// A packet of the peer, stamped by the kernel.
    pub fn hear(&mut self, at: Instant, packet: &Packet<'_>, content: Content) -> Arrival {
        let ssrc = packet.ssrc;
        let known = match self.streams.get(self.present) {
            Some(stream) if stream.ssrc() == ssrc => Some(self.present),
            Some(_) | None => self.streams.iter().position(|known| known.ssrc() == ssrc),
        };
        self.present = match known {
            Some(known) => known,
            None if self.streams.len() < STREAMS_MAX => {
                self.streams.push(Stream::new(ssrc, CLOCK_RATE));
                self.streams.len() - 1
            }
            None => {
                self.strays += 1;
                return Arrival::Stray;
            }
        };
        self.streams[self.present].hear(at, packet, content)
    }

    /// Begins to send at this moment; the first report follows a second later.
    pub fn start(&mut self, at: Instant) {
        self.sender.start(at);
        self.report_due = at + FIRST_REPORT;
    }

    /// Every source of the far end, in order of first sight.
    #[must_use]
    pub fn streams(&self) -> &[Stream] {
        &self.streams
    }

    /// The same, when nothing more is to come.
    #[must_use]
    pub fn into_streams(self) -> Vec<Stream> {
        self.streams
    }

    /// All sources together; each after the first is a restart.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut sum = Counts {
            strays: self.strays,
            ..Counts::default()
        };
        for counts in self.streams.iter().map(Stream::counts) {
            sum.packets += counts.packets;
            sum.expected += counts.expected;
            sum.lost += counts.lost;
            sum.missing += counts.missing;
            sum.duplicates += counts.duplicates;
            sum.reordered += counts.reordered;
            sum.restarts += counts.restarts;
            sum.strays += counts.strays;
        }
        let others = self.streams.len().saturating_sub(1);
        sum.restarts += u32::try_from(others).unwrap_or(u32::MAX);
        sum
    }

    /// Of the source that spoke last, in milliseconds (RFC 3550 A.8).
    #[must_use]
    pub fn jitter_ms(&self) -> f64 {
        self.streams
            .get(self.present)
            .map_or(0.0, Stream::jitter_ms)
    }

    /// When our next report is due.
    #[must_use]
    pub const fn report_due(&self) -> Instant {
        self.report_due
    }

    /// Our report: SR once we sent something (§6.4), else RR; with BYE it is the last.
    pub fn report(&mut self, now: Now, bye: bool, voice: Option<VoipMetrics>) -> Vec<u8> {
        self.report_due = now.instant + REPORT_INTERVAL;
        let ntp = self.ntp(now, now.instant);
        let sender = (self.sender.packets() > 0).then(|| SenderInfo {
            ntp,
            rtp_timestamp: self.timestamp_at(now.instant),
            packets: self.sender.packets(),
            octets: self.sender.octets(),
        });
        let answer = self.last_reference.map(|reference| Delay {
            ssrc: reference.ssrc,
            last_rr: reference.middle,
            delay_since_last_rr: rtcp::delay(reference.at, now.instant),
        });
        rtcp::write(&Report {
            ssrc: self.sender.ssrc,
            sender,
            blocks: self.block(now.instant).into_iter().collect(),
            extended: Extended {
                reference_time: None,
                delays: answer.into_iter().collect(),
                voip_metrics: voice.into_iter().collect(),
            },
            bye,
        })
    }

    /// A moment as our reports name it: a wall clock that is set during the call would be the line's round trip.
    fn ntp(&mut self, now: Now, at: Instant) -> u64 {
        let anchor = *self.anchor.get_or_insert(now);
        let utc = anchor.utc + at.since(anchor.instant);
        rtcp::ntp(utc - anchor.instant.since(at))
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

    /// About the source that spoke last.
    fn block(&mut self, now: Instant) -> Option<Block> {
        let block = self.streams.get_mut(self.present)?.block()?;
        let sr = self.last_sr.filter(|sr| sr.ssrc == block.ssrc);
        Some(Block {
            last_sr: sr.map_or(0, |sr| sr.middle),
            delay_since_last_sr: sr.map_or(0, |sr| rtcp::delay(sr.at, now)),
            ..block
        })
    }

    /// A report of the peer; `stamp` is when the kernel received it, `now` the present.
    ///
    /// # Errors
    /// When the bytes are no RTCP compound.
    pub fn hear_report(&mut self, now: Now, stamp: Instant, bytes: &[u8]) -> Result<(), Malformed> {
        let report = rtcp::parse(bytes)?;
        let told = |ntp| Stamp {
            ssrc: report.ssrc,
            middle: rtcp::middle(ntp),
            at: stamp,
        };
        if let Some(info) = report.sender {
            self.last_sr = Some(told(info.ntp));
            self.far_end.sender = Some(info);
        }
        if let Some(time) = report.extended.reference_time {
            self.last_reference = Some(told(time));
        }
        self.far_end.bye |= report.bye;
        let ours = self.sender.ssrc;
        let arrival = rtcp::middle(self.ntp(now, stamp));
        let block = report.blocks.iter().find(|block| block.ssrc == ours);
        self.listen_for_ears(block);
        if let Some(block) = block {
            self.round_trip = rtcp::round_trip(arrival, block).or(self.round_trip);
            self.far_end.about_us = Some(*block);
        }
        if let Some(answer) = report.extended.delays.iter().find(|it| it.ssrc == ours) {
            self.round_trip = answer.round_trip(arrival).or(self.round_trip);
        }
        let mut voices = report.extended.voip_metrics.iter();
        if let Some(voice) = voices.find(|voice| voice.ssrc == ours) {
            self.far_end.voice = Some(*voice);
        }
        Ok(())
    }

    /// Whether a report shows that something of ours has come since the last one.
    fn listen_for_ears(&mut self, block: Option<&Block>) {
        let highest = |block: &Block| block.extended_max;
        let heard = block.map(highest) != self.far_end.about_us.as_ref().map(highest);
        if block.is_some() && heard {
            self.far_end.deaf_reports = 0;
        } else if self.sender.packets().wrapping_sub(self.sent_before) >= SENT_BETWEEN {
            self.far_end.deaf_reports += 1;
        } else {
            // On hold, or right after another report: it says nothing.
            return;
        }
        self.sent_before = self.sender.packets();
    }

    /// Round trip by RTCP, the last one measured.
    #[must_use]
    pub const fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// What the far end last reported.
    #[must_use]
    pub const fn far_end(&self) -> &FarEnd {
        &self.far_end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::packet;
    use crate::rtp::playout::Buffer;

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
                there.hear(now.instant, &packet::parse(&sent).unwrap(), Content::Sound);
            }
        }
        assert_eq!((there.counts().packets, there.counts().lost), (99, 1));
        assert!(there.jitter_ms() < 0.001);

        let sr = here.report(at(2000), false, None);
        there.hear_report(at(2030), at(2030).instant, &sr).unwrap();
        let rr = there.report(at(2530), false, None);
        // The program reads the report late; the stamp says when it came.
        here.hear_report(at(2600), at(2560).instant, &rr).unwrap();
        let round_trip = here.round_trip().unwrap();
        assert!(round_trip.abs_diff(Duration::from_millis(60)) < Duration::from_micros(50));
        let block = here.far_end().about_us.unwrap();
        assert_eq!(
            (block.lost, block.fraction_lost, block.extended_max),
            (1, 2, 199)
        );
    }

    #[test]
    fn reports_that_know_of_nothing_new_are_counted_while_we_send() {
        let mut here = session(1);
        let mut now = 0;
        // Packets sent before each report, the highest of ours that it knows, reports in a row without news.
        for (step, (sent, highest, deaf)) in [
            (50, None, 1),
            (3, None, 1),
            (50, Some(60), 0),
            (50, Some(60), 1),
            (0, Some(60), 1),
            (50, Some(60), 2),
            (50, None, 3),
            (1, Some(61), 0),
        ]
        .into_iter()
        .enumerate()
        {
            for _ in 0..sent {
                here.sender.sound(8, &[0xd5; 160]);
            }
            now += 1000;
            let mut there = session(2);
            if let Some(highest) = highest {
                let bytes = packet::write(Packet {
                    marker: false,
                    payload_type: 8,
                    sequence_number: highest,
                    timestamp: 0,
                    ssrc: here.sender.ssrc,
                    payload: &[],
                });
                let packet = packet::parse(&bytes).unwrap();
                there.hear(at(now).instant, &packet, Content::Sound);
            }
            let report = there.report(at(now), false, None);
            here.hear_report(at(now), at(now).instant, &report).unwrap();
            assert_eq!(here.far_end().deaf_reports, deaf, "step {step}");
        }
    }

    #[test]
    fn a_clock_that_is_set_is_no_round_trip() {
        for step in [Duration::from_secs(5), Duration::from_millis(200)] {
            let (mut here, mut there) = (session(1), session(2));
            let sent = here.sender.sound(8, &[0xd5; 160]);
            there.hear(
                at(30).instant,
                &packet::parse(&sent).unwrap(),
                Content::Sound,
            );
            let sr = here.report(at(2000), false, None);
            there.hear_report(at(2030), at(2030).instant, &sr).unwrap();
            let rr = there.report(at(2530), false, None);
            let mut now = at(2560);
            now.utc = now.utc + step;
            here.hear_report(now, now.instant, &rr).unwrap();
            let round_trip = here.round_trip().unwrap();
            let off = round_trip.abs_diff(Duration::from_millis(60));
            assert!(off < Duration::from_micros(50), "{step:?}: {round_trip:?}");
        }
    }

    #[test]
    fn another_source_is_another_stream_and_the_counts_go_on() {
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
                session.hear(Instant(0), &packet::parse(&bytes).unwrap(), Content::Sound);
            }
        }
        let counts = session.counts();
        assert_eq!((counts.packets, counts.lost, counts.restarts), (6, 2, 1));
    }

    #[test]
    fn a_source_that_changes_is_two_rows() {
        let mut session = session(1);
        for n in 0..500_u16 {
            let packet = Packet {
                marker: false,
                payload_type: 8,
                sequence_number: 1000 + n,
                timestamp: u32::from(n) * 160,
                ssrc: if n < 250 { 7 } else { 8 },
                payload: &[],
            };
            session.hear(at(u64::from(n) * 20).instant, &packet, Content::Sound);
        }
        for stream in session.streams() {
            let figures = stream.figures();
            assert_eq!((figures.counts.packets, figures.counts.lost), (250, 0));
            assert!(figures.jitter.max_ms < 1e-9);
            assert!((figures.delta.min_ms, figures.delta.max_ms) == (20.0, 20.0));
        }
        assert_eq!(session.streams().len(), 2);
    }

    #[test]
    fn a_sender_report_says_where_the_clock_stands() {
        let mut session = session(1);
        session.sender.sound(8, &[0; 160]); // next packet: timestamp 160, due at 20 ms
        for (ms, expected) in [(10, 80), (20, 160), (30, 240)] {
            let report = rtcp::parse(&session.report(at(ms), false, None)).unwrap();
            assert_eq!(report.sender.unwrap().rtp_timestamp, expected, "{ms} ms");
        }
    }

    #[test]
    fn each_side_learns_what_the_other_heard() {
        let (mut here, mut there) = (session(1), session(2));
        let lost = [0, 1, 60, 61, 65];
        for n in 0..100_u64 {
            let sent = here.sender.sound(8, &[0xd5; 160]);
            if !lost.contains(&n) {
                let at = at(n * 20).instant;
                there.hear(at, &packet::parse(&sent).unwrap(), Content::Sound);
            }
        }
        let figures = there.streams()[0].figures();
        let mut voice = figures.voip_metrics(Buffer::Fixed50);
        voice.scores.r = Some(77);
        let report = there.report(at(2000), true, Some(voice));
        here.hear_report(at(2000), at(2000).instant, &report)
            .unwrap();
        let far_end = here.far_end();
        assert_eq!(far_end.about_us.unwrap().lost, 3);
        assert_eq!((far_end.voice, far_end.bye), (Some(voice), true));
        // 3 of 98; a burst of 3 in 6.
        let losses = voice.losses;
        assert_eq!(
            (losses.lost_256, losses.burst_density_256, losses.burst_ms),
            (7, 128, 120)
        );

        // Two were lost before the first: only their count tells.
        let report = here.report(at(2000), false, None);
        there
            .hear_report(at(2000), at(2000).instant, &report)
            .unwrap();
        let sent = there.far_end().sender.unwrap().packets;
        assert_eq!((u64::from(sent), there.counts().expected), (100, 98));
    }

    #[test]
    fn a_reference_time_is_answered_and_an_answer_is_a_round_trip() {
        let mut session = session(1);
        let theirs = |delays| {
            rtcp::write(&Report {
                ssrc: 9,
                extended: Extended {
                    reference_time: Some(0x1234_5678_0000),
                    delays,
                    voip_metrics: vec![],
                },
                ..Report::default()
            })
        };
        session
            .hear_report(at(0), at(0).instant, &theirs(vec![]))
            .unwrap();
        let ours = rtcp::parse(&session.report(at(500), false, None)).unwrap();
        let answer = Delay {
            ssrc: 9,
            last_rr: 0x1234_5678,
            delay_since_last_rr: 32_768,
        };
        assert_eq!(ours.extended.delays, [answer]);

        let sent = rtcp::middle(rtcp::ntp(at(500).utc));
        let answer = Delay {
            ssrc: 1,
            last_rr: sent,
            delay_since_last_rr: 65_536,
        };
        let bytes = theirs(vec![answer]);
        session
            .hear_report(at(1540), at(1540).instant, &bytes)
            .unwrap();
        let round_trip = session.round_trip().unwrap();
        assert!(round_trip.abs_diff(Duration::from_millis(40)) < Duration::from_micros(50));
    }

    #[test]
    fn sources_beyond_the_bound_are_not_kept() {
        let mut session = session(1);
        for ssrc in 0..100 {
            let packet = Packet {
                marker: false,
                payload_type: 8,
                sequence_number: 1,
                timestamp: 0,
                ssrc,
                payload: &[],
            };
            session.hear(at(u64::from(ssrc)).instant, &packet, Content::Sound);
        }
        assert_eq!(session.streams().len(), STREAMS_MAX);
        let counts = session.counts();
        assert_eq!(
            (counts.packets, counts.strays),
            (STREAMS_MAX as u64, 100 - STREAMS_MAX as u64)
        );
    }
}

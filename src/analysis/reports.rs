//! RTCP of a capture: what each receiver says of each source, and how long the way is, seen from the point of capture.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::rtp::rtcp::{self, VoipMetrics};
use crate::time::Instant;

/// What the far end of one source reported last.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FarEnd {
    pub reports: u32,
    /// Since the beginning (RFC 3550 §6.4.1).
    pub lost_packets: i32,
    pub fraction_lost_percent: f64,
    /// Timestamp units, as reported.
    pub jitter_units: u32,
    pub voice: Option<VoipMetrics>,
}

#[derive(Debug, Default)]
pub(super) struct Reports {
    by_source: BTreeMap<u32, FarEnd>,
    /// When each SR went by, by its source and the middle of its NTP time.
    sender_reports: BTreeMap<(u32, u32), Instant>,
    round_trips: BTreeMap<u32, Duration>,
}

impl Reports {
    /// False when these bytes are no RTCP.
    pub(super) fn read(&mut self, at: Instant, bytes: &[u8]) -> bool {
        let Ok(report) = rtcp::parse(bytes) else {
            return false;
        };
        if let Some(sender) = report.sender {
            let key = (report.ssrc, rtcp::middle(sender.ntp));
            self.sender_reports.insert(key, at);
        }
        for block in &report.blocks {
            let far = self.by_source.entry(block.ssrc).or_default();
            far.reports += 1;
            far.lost_packets = block.lost;
            far.fraction_lost_percent = f64::from(block.fraction_lost) / 2.56;
            far.jitter_units = block.jitter;
            if let Some(sent) = self.sender_reports.get(&(block.ssrc, block.last_sr)) {
                // Both moments by one clock, finer than the NTP of `rtcp::round_trip`.
                let kept = u64::from(block.delay_since_last_sr) * 1_000_000_000 / 65_536;
                let round_trip = at.since(*sent).saturating_sub(Duration::from_nanos(kept));
                self.round_trips.insert(block.ssrc, round_trip);
            }
        }
        for voice in &report.extended.voip_metrics {
            self.by_source.entry(voice.ssrc).or_default().voice = Some(*voice);
        }
        true
    }

    pub(super) fn about(&self, ssrc: u32) -> Option<&FarEnd> {
        self.by_source.get(&ssrc)
    }

    /// From the point of capture to the receiver of this source and back.
    pub(super) fn round_trip(&self, ssrc: u32) -> Option<Duration> {
        self.round_trips.get(&ssrc).copied()
    }
}

//! Sender report (RFC 3550 §6.4.1): how much a far end says it sent, and at what time of its clock.

use rtcp_types::{SenderReport, SenderReportBuilder};

/// What a sender says of itself (§6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderInfo {
    /// Wall clock, 32.32 fixed point seconds since 1900.
    pub ntp: u64,
    pub rtp_timestamp: u32,
    pub packets: u32,
    /// Of payload.
    pub octets: u32,
}

impl SenderInfo {
    pub(super) fn read(sr: &SenderReport<'_>) -> Self {
        Self {
            ntp: sr.ntp_timestamp(),
            rtp_timestamp: sr.rtp_timestamp(),
            packets: sr.packet_count(),
            octets: sr.octet_count(),
        }
    }

    pub(super) fn write(self, ssrc: u32) -> SenderReportBuilder {
        SenderReport::builder(ssrc)
            .ntp_timestamp(self.ntp)
            .rtp_timestamp(self.rtp_timestamp)
            .packet_count(self.packets)
            .octet_count(self.octets)
    }
}

//! Extended report (RFC 3611): the blocks that calls use; others are skipped.

use rtcp_types::Xr;
use rtcp_types::prelude::{XrBlockParser, XrBlockParserExt, XrBlockStaticType};

use super::voip_metrics::{self, VoipMetrics};

/// RFC 3611 §2.
pub(super) const PACKET_TYPE: u8 = 207;
/// §4.4.
const REFERENCE_TIME: u8 = 4;
/// §4.5.
const DELAYS: u8 = 5;

/// What the extended reports of a compound say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extended {
    /// Receiver reference time: the sender's wall clock as NTP (§4.4), for a round trip without SR.
    pub reference_time: Option<u64>,
    /// Answers to reference times (§4.5).
    pub delays: Vec<Delay>,
    pub voip_metrics: Vec<VoipMetrics>,
}

/// How long ago a reference time came (§4.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delay {
    /// Whose reference time it was.
    pub ssrc: u32,
    /// Middle 32 bits of it; 0: none came.
    pub last_rr: u32,
    /// Since then, in 1/65536 s.
    pub delay_since_last_rr: u32,
}

impl Delay {
    /// Round trip, when this arrived at `arrival` (as of a report block).
    pub(in crate::rtp) fn round_trip(self, arrival: u32) -> Option<std::time::Duration> {
        super::report_block::there_and_back(arrival, self.last_rr, self.delay_since_last_rr)
    }
}

impl Extended {
    /// Adds the blocks of one packet; one whose length contradicts its kind is skipped.
    pub(super) fn read(&mut self, xr: &Xr<'_>) {
        for block in xr.block_iter() {
            match block.block_type() {
                REFERENCE_TIME => {
                    let octets = block.parse_into::<Octets<'_, REFERENCE_TIME>>().ok();
                    let time = octets.and_then(|block| Some(*block.0.first_chunk::<8>()?));
                    self.reference_time = time.map(u64::from_be_bytes).or(self.reference_time);
                }
                DELAYS => {
                    if let Ok(octets) = block.parse_into::<Octets<'_, DELAYS>>() {
                        self.delays
                            .extend(octets.0.chunks_exact(12).map(Delay::read));
                    }
                }
                voip_metrics::BLOCK_TYPE => {
                    let octets = block.parse_into::<Octets<'_, { voip_metrics::BLOCK_TYPE }>>();
                    let octets = octets.ok().and_then(|block| block.0.first_chunk());
                    self.voip_metrics.extend(octets.map(VoipMetrics::read));
                }
                _ => {}
            }
        }
    }

    /// The packet without its first word; empty if there is nothing to say.
    pub(super) fn write(&self, ssrc: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Some(time) = self.reference_time {
            bytes.extend([REFERENCE_TIME, 0, 0, 2]);
            bytes.extend(time.to_be_bytes());
        }
        let delays = &self.delays[..self.delays.len().min(DELAYS_MAX)];
        if let Ok(count @ 1..) = u8::try_from(delays.len()) {
            bytes.extend([DELAYS, 0, 0, count * 3]);
            for delay in delays {
                bytes.extend(delay.ssrc.to_be_bytes());
                bytes.extend(delay.last_rr.to_be_bytes());
                bytes.extend(delay.delay_since_last_rr.to_be_bytes());
            }
        }
        for metrics in self.voip_metrics.iter().take(METRICS_MAX) {
            bytes.extend([voip_metrics::BLOCK_TYPE, 0, 0, voip_metrics::WORDS]);
            bytes.extend(metrics.write());
        }
        if !bytes.is_empty() {
            bytes.splice(..0, ssrc.to_be_bytes());
        }
        bytes
    }
}

/// As many as a report has blocks; more would not be ours.
const DELAYS_MAX: usize = 31;
const METRICS_MAX: usize = 31;

impl Delay {
    fn read(octets: &[u8]) -> Self {
        let word = |at: usize| {
            let word = octets[at..].first_chunk::<4>();
            u32::from_be_bytes(*word.expect("the caller cuts pieces of twelve octets"))
        };
        Self {
            ssrc: word(0),
            last_rr: word(4),
            delay_since_last_rr: word(8),
        }
    }
}

/// The contents of a block of one type. The readers of rtcp-types know none of a voice, and refuse delays of
/// two sources.
struct Octets<'a, const TYPE: u8>(&'a [u8]);

impl<'a, const TYPE: u8> XrBlockParser<'a> for Octets<'a, TYPE> {
    fn parse(data: &'a [u8]) -> Result<Self, rtcp_types::RtcpParseError> {
        // `data` goes on to the end of the packet; the block has told its length.
        let words = data
            .get(2..4)
            .map_or(0, |w| u16::from_be_bytes([w[0], w[1]]));
        let length = usize::from(words) * 4;
        let contents = data.get(4..4 + length);
        contents
            .map(Self)
            .ok_or(rtcp_types::RtcpParseError::Truncated {
                expected: 4 + length,
                actual: data.len(),
            })
    }

    fn header_data(&self) -> [u8; 4] {
        let words = u16::try_from(self.0.len() / 4).unwrap_or(u16::MAX);
        let [high, low] = words.to_be_bytes();
        [TYPE, 0, high, low]
    }
}

impl<const TYPE: u8> XrBlockStaticType for Octets<'_, TYPE> {
    const BLOCK_TYPE: u8 = TYPE;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::rtcp::{Report, parse, write};

    fn report() -> Report {
        Report {
            ssrc: 7,
            extended: Extended {
                reference_time: Some(0x0102_0304_0506_0708),
                delays: vec![
                    Delay {
                        ssrc: 1,
                        last_rr: 2,
                        delay_since_last_rr: 3,
                    },
                    Delay {
                        ssrc: 4,
                        last_rr: 5,
                        delay_since_last_rr: 6,
                    },
                ],
                voip_metrics: vec![VoipMetrics::default()],
            },
            bye: true,
            ..Report::default()
        }
    }

    #[test]
    fn blocks_of_three_kinds_are_read_as_written() {
        let bytes = write(&report());
        assert_eq!(parse(&bytes), Ok(report()));
        // RR of 8 octets, SDES of 16; then XR before BYE.
        let expected = [
            0x80, 207, 0, 20, 0, 0, 0, 7, 4, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8, 5, 0, 0, 6,
        ];
        assert_eq!(bytes[24..48], expected);
        assert_eq!(bytes[bytes.len() - 8..bytes.len() - 4], [0x81, 203, 0, 1]);
    }

    #[test]
    fn unknown_and_misshapen_blocks_are_skipped() {
        let mut bytes = write(&report());
        let voice = bytes.len() - 8 - 36;
        // A block of a kind that we do not know, as long as it was.
        bytes[32] = 14;
        let read = parse(&bytes).unwrap().extended;
        assert_eq!((read.reference_time, read.delays.len()), (None, 2));
        // Metrics that end after three words, and a rest that reads as another block.
        bytes[voice + 3] = 3;
        bytes[voice + 16..voice + 20].copy_from_slice(&[99, 0, 0, 4]);
        let read = parse(&bytes).unwrap().extended;
        assert_eq!((read.voip_metrics, read.delays.len()), (vec![], 2));
    }

    proptest::proptest! {
        #[test]
        fn no_broken_blocks_make_it_panic(changes in proptest::collection::vec((24_usize..120, 0_u8..=255), 1..8)) {
            let mut bytes = write(&report());
            for (at, value) in changes {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            let _ = parse(&bytes);
        }
    }
}

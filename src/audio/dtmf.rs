//! DTMF digits as named events (RFC 4733): one event written over time, and digits heard.
//!
//! Only the four payload octets and their timestamps; the caller puts them into RTP packets. Tones in
//! the audio itself are `keypad`.

use arrayvec::ArrayVec;

/// The sixteen digits in event order (RFC 4733 §3.2).
const DIGITS: &[u8; 16] = b"0123456789*#ABCD";

/// The payload of one packet (RFC 4733 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// 0 to 15 are digits; others exist (flash, tones) and are not digits.
    pub code: u8,
    /// This packet ends the event.
    pub end: bool,
    /// Power below 0 dBm0, 0 to 63 dB.
    pub volume: u8,
    /// Since the timestamp of the packet, timestamp units.
    pub duration: u16,
}

impl Event {
    /// Reads the first event of a payload; `None` if it is too short to be one.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let &[code, flags, high, low, ..] = payload else {
            return None;
        };
        Some(Self {
            code,
            end: flags & 0x80 != 0,
            volume: flags & 0x3f,
            duration: u16::from_be_bytes([high, low]),
        })
    }

    #[must_use]
    pub const fn to_bytes(self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        let end = if self.end { 0x80 } else { 0 };
        [self.code, end | (self.volume & 0x3f), high, low]
    }

    #[must_use]
    pub fn digit(self) -> Option<char> {
        DIGITS
            .get(usize::from(self.code))
            .map(|digit| char::from(*digit))
    }
}

/// The event code of a digit; `None` for anything that no telephone key has.
#[must_use]
pub fn code(digit: char) -> Option<u8> {
    let digit = u8::try_from(digit.to_ascii_uppercase()).ok()?;
    let position = DIGITS.iter().position(|known| *known == digit)?;
    u8::try_from(position).ok()
}

/// One packet of a digit being sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    pub event: Event,
    /// Of the beginning of the event, the same in all its packets (§2.5.1.2).
    pub timestamp: u32,
    /// Set on the first packet of an event (§2.5.1.1).
    pub marker: bool,
}

/// A row of digits being sent; asked once per packet time.
#[derive(Clone, Debug)]
pub struct Sending {
    digits: std::collections::VecDeque<u8>,
    step: Step,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Sound between two digits, so that a detector sees them apart.
    Pause {
        left: u8,
    },
    Sounding {
        code: u8,
        start: u32,
        duration: u16,
    },
    /// The last packet is sent three times in all (§2.5.1.4).
    Ending {
        code: u8,
        start: u32,
        sent: u8,
    },
}

/// 100 ms at 8000 Hz: detectors want at least 40 ms, people press about 100.
const DIGIT_DURATION: u16 = 800;
const END_PACKETS: u8 = 3;
/// In packets; 3 of 20 ms. Detectors want at least 40 ms between two digits.
const PAUSE: u8 = 3;
/// A keypad's usual level, dB below 0 dBm0.
const VOLUME: u8 = 10;

impl Sending {
    /// Characters that are no digits are left out.
    #[must_use]
    pub fn new(digits: &str) -> Self {
        Self {
            digits: digits.chars().filter_map(code).collect(),
            step: Step::Pause { left: 0 },
        }
    }

    #[must_use]
    pub fn is_over(&self) -> bool {
        self.digits.is_empty() && matches!(self.step, Step::Pause { .. })
    }

    /// The event packet to send instead of sound at this stream position; `None`: send sound.
    /// `samples` is the packet time in timestamp units.
    pub fn next(&mut self, timestamp: u32, samples: u16) -> Option<Packet> {
        let (code, start, duration, marker) = match self.step {
            Step::Pause { left } if left > 0 => {
                self.step = Step::Pause { left: left - 1 };
                return None;
            }
            Step::Pause { .. } => (self.digits.pop_front()?, timestamp, samples, true),
            Step::Sounding {
                code,
                start,
                duration,
            } => (code, start, duration + samples, false),
            Step::Ending { code, start, sent } => return Some(self.end(code, start, sent)),
        };
        if duration >= DIGIT_DURATION {
            return Some(self.end(code, start, 0));
        }
        self.step = Step::Sounding {
            code,
            start,
            duration,
        };
        Some(packet(code, start, duration, false, marker))
    }

    fn end(&mut self, code: u8, start: u32, sent: u8) -> Packet {
        self.step = if sent + 1 == END_PACKETS {
            Step::Pause { left: PAUSE }
        } else {
            Step::Ending {
                code,
                start,
                sent: sent + 1,
            }
        };
        packet(code, start, DIGIT_DURATION, true, false)
    }
}

const fn packet(code: u8, timestamp: u32, duration: u16, end: bool, marker: bool) -> Packet {
    Packet {
        event: Event {
            code,
            end,
            volume: VOLUME,
            duration,
        },
        timestamp,
        marker,
    }
}

/// Hears digits: each event once, whichever of its packets arrive.
#[derive(Clone, Debug, Default)]
pub struct Receiver {
    /// Events heard lately, newest last, so that late packets of an earlier digit count for nothing.
    recent: ArrayVec<Heard, 8>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    code: u8,
    timestamp: u32,
    duration: u16,
    ended: bool,
}

impl Receiver {
    /// The digit, when this packet is the first that arrives of its event.
    pub fn hear(&mut self, timestamp: u32, event: Event) -> Option<char> {
        let digit = event.digit()?;
        if let Some(heard) = self
            .recent
            .iter_mut()
            .find(|heard| heard.timestamp == timestamp && heard.code == event.code)
        {
            heard.duration = heard.duration.max(event.duration);
            heard.ended |= event.end;
            return None;
        }
        let continues = self.recent.last().is_some_and(|heard| {
            // A long event goes on in a new segment, which starts where the last one stood (§2.5.1.3).
            heard.code == event.code
                && !heard.ended
                && timestamp == heard.timestamp.wrapping_add(u32::from(heard.duration))
        });
        if self.recent.is_full() {
            self.recent.remove(0);
        }
        self.recent.push(Heard {
            code: event.code,
            timestamp,
            duration: event.duration,
            ended: event.end,
        });
        (!continues).then_some(digit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(digits: &str) -> Vec<(u32, Option<Packet>)> {
        let mut sending = Sending::new(digits);
        let mut sent = Vec::new();
        let mut timestamp = 1000_u32;
        while !sending.is_over() {
            sent.push((timestamp, sending.next(timestamp, 160)));
            timestamp += 160;
        }
        sent
    }

    #[test]
    fn a_digit_is_sent_as_updates_and_three_ends() {
        let sent: Vec<_> = packets("#")
            .into_iter()
            .map(|(_, packet)| packet.unwrap())
            .map(|p| {
                (
                    p.event.code,
                    p.timestamp,
                    p.event.duration,
                    p.event.end,
                    p.marker,
                )
            })
            .collect();
        let expected = [
            (11, 1000, 160, false, true),
            (11, 1000, 320, false, false),
            (11, 1000, 480, false, false),
            (11, 1000, 640, false, false),
            (11, 1000, 800, true, false),
            (11, 1000, 800, true, false),
            (11, 1000, 800, true, false),
        ];
        assert_eq!(sent, expected);
    }

    #[test]
    fn digits_are_heard_once_each_whatever_is_lost() {
        let sent: Vec<Packet> = packets("*11#aX")
            .into_iter()
            .filter_map(|(_, p)| p)
            .collect();
        for (name, keep) in [
            ("all", 0b111_1111_u32),
            ("first only", 0b000_0001),
            ("last end only", 0b100_0000),
            ("no end packet", 0b000_1111),
        ] {
            let mut receiver = Receiver::default();
            let heard: String = sent
                .iter()
                .enumerate()
                .filter(|(n, _)| keep & (1 << (n % 7)) != 0)
                .filter_map(|(_, p)| receiver.hear(p.timestamp, Event::parse(&p.event.to_bytes())?))
                .collect();
            assert_eq!(heard, "*11#A", "{name}");
        }
    }

    #[test]
    fn late_packets_of_an_earlier_digit_count_for_nothing() {
        let mut receiver = Receiver::default();
        let one = |timestamp, code| packet(code, timestamp, 800, true, false);
        let order = [
            one(0, 1),
            one(2000, 2),
            one(0, 1),
            one(2000, 2),
            one(4000, 1),
        ];
        let heard: String = order
            .iter()
            .filter_map(|p| receiver.hear(p.timestamp, p.event))
            .collect();
        assert_eq!(heard, "121");
    }

    #[test]
    fn a_long_event_in_segments_is_one_digit() {
        let mut receiver = Receiver::default();
        let heard: String = [
            (0, 0xffff, false),
            (0xffff, 160, false),
            (0xffff, 320, true),
            (90_000, 160, false),
        ]
        .into_iter()
        .filter_map(|(timestamp, duration, end)| {
            receiver.hear(timestamp, packet(5, timestamp, duration, end, false).event)
        })
        .collect();
        assert_eq!(heard, "55");
    }

    #[test]
    fn what_is_no_digit_is_not_heard() {
        assert_eq!(Event::parse(&[1, 2, 3]), None);
        let flash = Event::parse(&[16, 0, 0, 160]).unwrap();
        assert_eq!(Receiver::default().hear(0, flash), None);
    }

    proptest::proptest! {
        #[test]
        fn an_event_survives_the_way_there_and_back(bytes: [u8; 4]) {
            let event = Event::parse(&bytes).unwrap();
            proptest::prop_assert_eq!(Event::parse(&event.to_bytes()), Some(event));
        }
    }
}

//! What a caller hears, in one word.
//!
//! Transport figures miss the worst failures: a call with 50 packets a second, no loss and a fine MOS may carry
//! nothing but comfort noise. This is the judgement over all of them, worst first; it counts nothing itself.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::audio::activity::Levels;

/// One direction of one leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaState {
    /// Sound, at a level one can follow.
    Ok,
    /// Not one packet.
    NoMedia,
    /// Packets came, and then no more, or no more for a while.
    Stopped,
    /// Packets whose sound is nothing.
    DigitalSilence,
    /// Comfort noise (RFC 3389) and no voice.
    CnOnly,
    /// Sound that one hardly hears.
    LowLevel,
    /// Packets of a payload type that was not agreed, or of a size that its codec cannot have.
    WrongPt,
    /// Packets from a host that the SDP does not name.
    WrongSrc,
    /// We hear them; they do not hear us.
    OneWay,
}

/// What was seen, as far as the word depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Signs {
    /// How long the direction was to carry sound.
    pub listened: Duration,
    /// Packets of voice, of comfort noise, of telephone events; agreed, and from the right host.
    pub sound: u64,
    pub comfort_noise: u64,
    pub events: u64,
    pub wrong_payload: u64,
    pub wrong_source: u64,
    /// From the last packet of any kind to the end of listening.
    pub ended_for: Duration,
    /// The longest time between two packets that no comfort noise before it and no marker after it explains; zero
    /// up to a second.
    pub longest_hole: Duration,
    /// Of all that could be decoded; `None` when nothing could.
    pub levels: Option<Levels>,
    /// Whether they hear us.
    pub heard_back: HeardBack,
}

/// What is known of the other direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeardBack {
    /// Nothing was sent, or nobody can tell.
    #[default]
    Unknown,
    Yes,
    No,
}

/// Half a second of sound: fewer packets from a foreign host, or of a foreign type, are strays.
pub const STREAM_PACKETS_MIN: u64 = 25;
/// A pause longer than this is an end; shorter ones are a slow PBX.
pub(super) const STOPPED_AFTER: Duration = Duration::from_secs(1);
/// Silence of this length after sound is no pause of a speaker any more.
const SILENT_AFTER_MS: u32 = 3000;
/// Frames of 20 ms: less than half a second of silence proves nothing.
const FRAMES_MIN: u32 = 25;
/// Speech is sent at about −26 dBov; 19 dB below that it is hardly heard.
const LOW_DBOV: f64 = -45.0;

impl MediaState {
    pub const ALL: [Self; 9] = [
        Self::Ok,
        Self::NoMedia,
        Self::Stopped,
        Self::DigitalSilence,
        Self::CnOnly,
        Self::LowLevel,
        Self::WrongPt,
        Self::WrongSrc,
        Self::OneWay,
    ];

    /// The word for these signs; what is worse for the caller comes first.
    #[must_use]
    pub fn of(signs: &Signs) -> Self {
        if signs.sound + signs.comfort_noise == 0 {
            return Self::without_sound(signs);
        }
        if signs.ended_for.max(signs.longest_hole) > STOPPED_AFTER {
            return Self::Stopped;
        }
        if signs.sound == 0 {
            return Self::CnOnly;
        }
        if signs.levels.is_some_and(|levels| is_silent(&levels)) {
            return Self::DigitalSilence;
        }
        if signs.heard_back == HeardBack::No {
            return Self::OneWay;
        }
        if signs.levels.is_some_and(|levels| is_low(&levels)) {
            return Self::LowLevel;
        }
        Self::Ok
    }

    const fn without_sound(signs: &Signs) -> Self {
        if signs.wrong_source >= STREAM_PACKETS_MIN {
            Self::WrongSrc
        } else if signs.wrong_payload >= STREAM_PACKETS_MIN {
            Self::WrongPt
        } else {
            Self::NoMedia
        }
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::NoMedia => "NO_MEDIA",
            Self::Stopped => "STOPPED",
            Self::DigitalSilence => "DIGITAL_SILENCE",
            Self::CnOnly => "CN_ONLY",
            Self::LowLevel => "LOW_LEVEL",
            Self::WrongPt => "WRONG_PT",
            Self::WrongSrc => "WRONG_SRC",
            Self::OneWay => "ONE_WAY",
        }
    }
}

/// Nothing from the first to the last, or nothing any more.
fn is_silent(levels: &Levels) -> bool {
    let from_the_first = levels.active_dbov.is_none() && levels.frames >= FRAMES_MIN;
    from_the_first || levels.trailing_silence_ms >= SILENT_AFTER_MS
}

fn is_low(levels: &Levels) -> bool {
    levels.active_dbov.is_some_and(|level| level < LOW_DBOV)
}

impl fmt::Display for MediaState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for MediaState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_for_each_way_of_not_hearing() {
        let levels = Levels {
            frames: 140,
            active_dbov: Some(-19.0),
            activity_percent: 80.0,
            noise_floor_dbov: -70.0,
            clip_percent: 0.0,
            dc_offset: 0.0,
            silent_percent: 20.0,
            longest_silence_ms: 400,
            trailing_silence_ms: 0,
            first_active_ms: Some(400),
        };
        let faint = Levels {
            active_dbov: Some(-50.0),
            ..levels
        };
        let silence = Levels {
            active_dbov: None,
            ..levels
        };
        let good = Signs {
            listened: Duration::from_secs(3),
            sound: 140,
            events: 9,
            levels: Some(levels),
            heard_back: HeardBack::Yes,
            ..Signs::default()
        };
        let nothing = Signs {
            sound: 0,
            events: 0,
            levels: None,
            ..good
        };
        let cases = [
            ("heard", good, MediaState::Ok),
            (
                "nobody knows whether we are",
                Signs {
                    heard_back: HeardBack::Unknown,
                    ..good
                },
                MediaState::Ok,
            ),
            ("not a packet", nothing, MediaState::NoMedia),
            (
                "digits only",
                Signs {
                    events: 20,
                    ..nothing
                },
                MediaState::NoMedia,
            ),
            (
                "a stray of another call",
                Signs {
                    wrong_source: 3,
                    ..nothing
                },
                MediaState::NoMedia,
            ),
            (
                "all from elsewhere",
                Signs {
                    wrong_source: 150,
                    ..nothing
                },
                MediaState::WrongSrc,
            ),
            (
                "all of another type",
                Signs {
                    wrong_payload: 150,
                    ..nothing
                },
                MediaState::WrongPt,
            ),
            (
                "crosstalk beside the right sound",
                Signs {
                    wrong_source: 150,
                    ..good
                },
                MediaState::Ok,
            ),
            (
                "comfort noise",
                Signs {
                    comfort_noise: 30,
                    ..nothing
                },
                MediaState::CnOnly,
            ),
            (
                "it ended",
                Signs {
                    ended_for: Duration::from_millis(1001),
                    ..good
                },
                MediaState::Stopped,
            ),
            (
                "it went on after a while",
                Signs {
                    longest_hole: Duration::from_millis(1001),
                    ..good
                },
                MediaState::Stopped,
            ),
            (
                "a pause",
                Signs {
                    ended_for: Duration::from_millis(900),
                    ..good
                },
                MediaState::Ok,
            ),
            (
                "comfort noise that ended",
                Signs {
                    comfort_noise: 30,
                    ended_for: Duration::from_secs(2),
                    ..nothing
                },
                MediaState::Stopped,
            ),
            (
                "packets of nothing",
                Signs {
                    levels: Some(silence),
                    ..good
                },
                MediaState::DigitalSilence,
            ),
            (
                "the voice fell silent",
                Signs {
                    levels: Some(Levels {
                        trailing_silence_ms: 3000,
                        ..levels
                    }),
                    ..good
                },
                MediaState::DigitalSilence,
            ),
            (
                "a codec we cannot decode",
                Signs {
                    levels: None,
                    ..good
                },
                MediaState::Ok,
            ),
            (
                "too short to tell",
                Signs {
                    levels: Some(Levels {
                        frames: 10,
                        ..silence
                    }),
                    ..good
                },
                MediaState::Ok,
            ),
            (
                "faint",
                Signs {
                    levels: Some(faint),
                    ..good
                },
                MediaState::LowLevel,
            ),
            (
                "we are not heard",
                Signs {
                    heard_back: HeardBack::No,
                    ..good
                },
                MediaState::OneWay,
            ),
            (
                "not heard, and faint",
                Signs {
                    heard_back: HeardBack::No,
                    levels: Some(faint),
                    ..good
                },
                MediaState::OneWay,
            ),
        ];
        for (name, signs, expected) in cases {
            assert_eq!(MediaState::of(&signs), expected, "{name}");
        }
    }

    #[test]
    fn every_word_is_its_own() {
        let mut words: Vec<&str> = MediaState::ALL.iter().map(|state| state.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), MediaState::ALL.len());
    }
}

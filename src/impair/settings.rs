//! What is done to one direction, as people write it (`docs/impair.md` has every key).
//!
//! The same structs are read from a file and from the command line. Nothing set is a good network.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Impairments in the order in which a packet meets them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Fields of the RTP header that are written anew.
    pub header: Header,
    /// What the sound becomes.
    pub sound: Sound,
    /// Packets that are lost for certain, by their number from 0: `[{}]` loses all, one way.
    pub outages: Vec<Span>,
    pub loss: Option<Loss>,
    pub rate: Option<Rate>,
    /// Each packet is on its way for this long at least.
    pub delay_ms: f64,
    pub jitter: Option<Jitter>,
    /// The delay grows by this share of the time that passes, as if the far clock were slow;
    /// negative: it shrinks, as far as there is delay.
    pub skew_ppm: f64,
    pub stall: Option<Stall>,
    pub reorder: Option<Reorder>,
    pub duplicate: Option<Duplicate>,
}

/// Packets by their number: `from` and later, before `until`. Empty means all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Span {
    pub from: u64,
    pub until: Option<u64>,
}

/// Gilbert–Elliott: two states, entered with chance `p` and left with chance `r` at each packet.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// From good to bad.
    pub p: f64,
    /// From bad to good; 1 / r is the mean length of a bad stretch in packets.
    pub r: f64,
    /// Chance of loss while bad.
    #[serde(default = "always")]
    pub bad: f64,
    /// Chance of loss while good.
    #[serde(default)]
    pub good: f64,
}

/// A token bucket with a queue, as `tc tbf` has it; sizes are those of the IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    pub kbit_per_s: f64,
    /// What may pass at once after a rest.
    #[serde(default = "one_frame")]
    pub burst_bytes: u32,
    /// A packet that would wait longer than this for its turn is lost.
    #[serde(default = "queue")]
    pub queue_ms: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jitter {
    pub shape: Shape,
    /// What it measures depends on the shape.
    pub ms: f64,
    /// Packets may pass each other; else a late one holds up those behind it, as a queue does.
    #[serde(default)]
    pub overtake: bool,
}

/// How the extra delay is spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Anything from 0 to `ms`.
    Uniform,
    /// Around `delay_ms` with a standard deviation of `ms`; no packet leaves before it came.
    Normal,
    /// A long tail (Lomax, exponent 3): half below 0.26 `ms`, one in a thousand above 9 `ms`, none above 100 `ms`.
    Pareto,
}

/// Every so often nothing moves, then everything that was held leaves at once.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stall {
    /// From one beginning to the next, counted from the first packet.
    pub every_ms: f64,
    pub for_ms: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reorder {
    pub chance: f64,
    /// How many later packets pass it.
    #[serde(default = "one")]
    pub by: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Duplicate {
    pub chance: f64,
    /// How long after the first the copy is due.
    #[serde(default)]
    pub after_ms: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Header {
    pub ssrc: Option<Replace<u32>>,
    pub payload_type: Option<Replace<u8>>,
    pub timestamp: Option<Jump<i32>>,
    pub sequence: Option<Jump<i16>>,
    pub strip_markers: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replace<T> {
    pub value: T,
    #[serde(default)]
    pub during: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jump<T> {
    /// The first packet that has jumped; all later ones keep the distance.
    pub from: u64,
    pub by: T,
}

/// What becomes of G.711 (payload types 0 and 8); other payloads pass untouched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sound {
    pub gain: Option<Gain>,
    pub noise: Option<Noise>,
    /// Digital silence.
    pub silence: Option<Span>,
    /// Each packet becomes one of comfort noise (RFC 3389, payload type 13).
    pub comfort_noise: Option<Level>,
}

/// Louder than full scale clips.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gain {
    pub db: f64,
    #[serde(default)]
    pub during: Span,
}

/// White noise, so far below the level of each packet.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    pub snr_db: f64,
    #[serde(default)]
    pub during: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Level {
    /// −127 to 0.
    pub dbov: i8,
    #[serde(default)]
    pub during: Span,
}

/// A value that means nothing; the words name the key and what it may be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(String);

/// No call bears more, and a slip of the pen must not hold packets for hours.
const MS_MAX: f64 = 60_000.0;

impl Settings {
    /// Whether every value makes sense.
    ///
    /// # Errors
    /// Names the first key that does not, and its limits.
    pub fn check(&self) -> Result<(), Unusable> {
        if let Some(loss) = self.loss {
            for (key, chance) in [
                ("loss.p", loss.p),
                ("loss.r", loss.r),
                ("loss.bad", loss.bad),
                ("loss.good", loss.good),
            ] {
                within(key, chance, 0.0, 1.0)?;
            }
        }
        if let Some(rate) = self.rate {
            within("rate.kbit_per_s", rate.kbit_per_s, 1.0, 10_000_000.0)?;
            within("rate.queue_ms", rate.queue_ms, 0.0, MS_MAX)?;
        }
        within("delay_ms", self.delay_ms, 0.0, MS_MAX)?;
        if let Some(jitter) = self.jitter {
            within("jitter.ms", jitter.ms, 0.0, MS_MAX / 100.0)?;
        }
        within("skew_ppm", self.skew_ppm, -100_000.0, 100_000.0)?;
        if let Some(stall) = self.stall {
            within("stall.every_ms", stall.every_ms, 1.0, 3_600_000.0)?;
            within(
                "stall.for_ms",
                stall.for_ms,
                0.0,
                stall.every_ms.min(MS_MAX),
            )?;
        }
        if let Some(reorder) = self.reorder {
            within("reorder.chance", reorder.chance, 0.0, 1.0)?;
            within("reorder.by", reorder.by.into(), 1.0, 1000.0)?;
        }
        if let Some(duplicate) = self.duplicate {
            within("duplicate.chance", duplicate.chance, 0.0, 1.0)?;
            within("duplicate.after_ms", duplicate.after_ms, 0.0, MS_MAX)?;
        }
        if let Some(replace) = self.header.payload_type {
            let key = "header.payload_type.value";
            within(key, replace.value.into(), 0.0, 127.0)?;
        }
        if let Some(gain) = self.sound.gain {
            within("sound.gain.db", gain.db, -96.0, 96.0)?;
        }
        if let Some(noise) = self.sound.noise {
            within("sound.noise.snr_db", noise.snr_db, -96.0, 96.0)?;
        }
        if let Some(level) = self.sound.comfort_noise {
            within("sound.comfort_noise.dbov", level.dbov.into(), -127.0, 0.0)?;
        }
        Ok(())
    }
}

impl Span {
    #[must_use]
    pub fn has(self, packet: u64) -> bool {
        packet >= self.from && self.until.is_none_or(|until| packet < until)
    }
}

/// A stretch of time from a setting; what is negative is no time at all.
pub(super) fn milliseconds(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default()
}

fn within(key: &str, value: f64, least: f64, most: f64) -> Result<(), Unusable> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(Unusable(format!(
            "{key} = {value}: write a number from {least} to {most}"
        )))
    }
}

const fn always() -> f64 {
    1.0
}

const fn one() -> u32 {
    1
}

/// The largest packet of an Ethernet: fewer tokens would never let it pass at full speed.
const fn one_frame() -> u32 {
    1500
}

/// What home routers of the worst kind hold.
const fn queue() -> f64 {
    200.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_set_is_a_good_network() {
        let read: Settings = serde_json::from_str("{}").unwrap();
        assert_eq!(read, Settings::default());
        assert_eq!(read.check(), Ok(()));
    }

    #[test]
    fn what_means_nothing_is_refused_by_its_key() {
        for (text, words) in [
            (
                r#"{"loss": {"p": 2, "r": 0.4}}"#,
                "loss.p = 2: write a number from 0 to 1",
            ),
            (
                r#"{"delay_ms": -1}"#,
                "delay_ms = -1: write a number from 0 to 60000",
            ),
            (
                r#"{"stall": {"every_ms": 100, "for_ms": 101}}"#,
                "stall.for_ms = 101: write a number from 0 to 100",
            ),
            (
                r#"{"header": {"payload_type": {"value": 128}}}"#,
                "header.payload_type.value = 128: write a number from 0 to 127",
            ),
            (
                r#"{"reorder": {"chance": 0.1, "by": 0}}"#,
                "reorder.by = 0: write a number from 1 to 1000",
            ),
        ] {
            let settings: Settings = serde_json::from_str(text).expect(text);
            assert_eq!(settings.check().unwrap_err().to_string(), words);
        }
        for unknown in [r#"{"delay": 5}"#, r#"{"loss": {"p": 0, "r": 1, "h": 1}}"#] {
            assert!(serde_json::from_str::<Settings>(unknown).is_err());
        }
    }

    #[test]
    fn a_span_ends_before_its_end() {
        let span = Span {
            from: 2,
            until: Some(4),
        };
        let has: Vec<bool> = (0..6).map(|packet| span.has(packet)).collect();
        assert_eq!(has, [false, false, true, true, false, false]);
        assert!(Span::default().has(u64::MAX));
    }
}

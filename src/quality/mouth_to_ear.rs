//! How long a word takes from one mouth to the other ear (Ta), put together from what was measured of it.

use serde::Serialize;

/// The stations of a word on its way, one direction, ms each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct MouthToEar {
    /// A packet leaves when its last sample is spoken.
    pub ptime_ms: f64,
    /// What the coder waits for beyond its frame; of [`super::codec::Codec`].
    pub lookahead_ms: f64,
    /// One way through the network: half an RTCP round trip, for the clocks of both ends differ.
    pub network_ms: f64,
    /// What a packet without extra delay waits for in the receiver's jitter buffer.
    pub jitter_buffer_ms: f64,
}

/// Sound card and converter of the listener, ms; not seen from outside, so assumed.
const PLAYOUT_MS: f64 = 10.0;

impl MouthToEar {
    /// Ta, ms.
    #[must_use]
    pub fn ms(&self) -> f64 {
        self.ptime_ms + self.lookahead_ms + self.network_ms + self.jitter_buffer_ms + PLAYOUT_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ta_is_the_sum_of_its_stations() {
        for (name, network_ms, jitter_buffer_ms, ms) in [
            ("a local call", 0.5, 40.0, 70.625),
            ("the limit of G.114", 79.875, 40.0, 150.0),
            ("a satellite", 280.0, 60.0, 370.125),
            ("two satellites", 560.0, 60.0, 650.125),
        ] {
            let way = MouthToEar {
                ptime_ms: 20.0,
                lookahead_ms: 0.125,
                network_ms,
                jitter_buffer_ms,
            };
            assert!((way.ms() - ms).abs() < 1e-9, "{name}: {}", way.ms());
        }
    }
}

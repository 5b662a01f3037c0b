//! Hears our own test tone coming back.
//!
//! Sound is judged in windows of 100 ms: a window is an echo when the tone is loud enough to be talked
//! over and is nearly all there is, so that speech or music with some energy at 1000 Hz is none.

use super::{level, tone};

/// Collects sound and the windows that held our tone.
#[derive(Clone, Debug, Default)]
pub struct Listener {
    window: Vec<i16>,
    echoes: u32,
    /// Sum of the mean squares of the echo windows, full scale = 1.
    power: f64,
}

/// 100 ms at 8000 Hz.
const WINDOW: usize = 800;
/// Below this nobody would hear it: 28 dB lower than sent.
const FAINTEST_DBOV: f64 = -50.0;
/// How far the tone may lie under the whole sound of its window; speech keeps 10 dB and more.
const DOMINANCE_DB: f64 = 3.0;
/// 300 ms: a beep of the far end is shorter, an echo lasts as long as we send.
const ECHOES_MIN: u32 = 3;

impl Listener {
    /// More sound, in the order it was sent.
    pub fn hear(&mut self, samples: impl IntoIterator<Item = i16>) {
        self.window.extend(samples);
        while self.window.len() >= WINDOW {
            self.judge();
            self.window.drain(..WINDOW);
        }
    }

    fn judge(&mut self) {
        let window = &self.window[..WINDOW];
        let heard = level::frequency_dbov(window, tone::FREQUENCY);
        if heard >= FAINTEST_DBOV && heard >= level::dbov(window) - DOMINANCE_DB {
            self.echoes += 1;
            self.power += 10_f64.powf(heard / 10.0);
        }
    }

    /// Mean level of the tone as it came back, dBov; `None` when it did not.
    #[must_use]
    pub fn dbov(&self) -> Option<f64> {
        (self.echoes >= ECHOES_MIN).then(|| 10.0 * (self.power / f64::from(self.echoes)).log10())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::g711::Law;

    #[test]
    fn only_our_tone_is_an_echo() {
        let mut random = fastrand::Rng::with_seed(1);
        let echo = |divide: i16, count: usize| -> Vec<i16> {
            (0..count)
                .map(|n| Law::A.decode(Law::A.encode(tone::sample(n) / divide)))
                .collect()
        };
        let noise: Vec<i16> = (0..8000).map(|_| random.i16(-8000..8000)).collect();
        let cases = [
            ("as sent", echo(1, 8000), Some(tone::LEVEL_DBOV)),
            ("20 dB lower", echo(10, 8000), Some(tone::LEVEL_DBOV - 20.0)),
            ("faint", echo(100, 8000), None),
            ("a beep", echo(1, 1600), None),
            ("silence", vec![8; 8000], None),
            ("noise", noise, None),
            ("nothing", vec![], None),
        ];
        for (name, samples, expected) in cases {
            let mut listener = Listener::default();
            for packet in samples.chunks(160) {
                listener.hear(packet.iter().copied());
            }
            match (listener.dbov(), expected) {
                (Some(heard), Some(expected)) => {
                    assert!((heard - expected).abs() < 0.5, "{name}: {heard}");
                }
                (heard, expected) => assert_eq!(heard, expected, "{name}"),
            }
        }
    }

    #[test]
    fn the_level_is_that_of_the_windows_with_echo() {
        let mut listener = Listener::default();
        listener.hear(vec![8; 4000]); // the far end signs first, then echoes
        listener.hear((0..8000).map(tone::sample));
        assert!((listener.dbov().unwrap() - tone::LEVEL_DBOV).abs() < 0.1);
    }
}

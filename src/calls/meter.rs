//! How loud the far end is just now, for whoever watches a call.

use crate::audio::level;

/// Collects sound between two looks.
#[derive(Debug, Default)]
pub(super) struct Meter {
    samples: Vec<i16>,
}

/// Two seconds: whoever looks more seldom is told of the first two.
const SAMPLES_MAX: usize = 16_000;

impl Meter {
    pub(super) fn hear(&mut self, samples: impl Iterator<Item = i16>) {
        if self.samples.len() < SAMPLES_MAX {
            self.samples.extend(samples);
        }
    }

    pub(super) fn take(&mut self) -> Option<f64> {
        let level = (!self.samples.is_empty()).then(|| level::dbov(&self.samples));
        self.samples.clear();
        level
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_tells_what_came_since_the_last_look() {
        let mut meter = Meter::default();
        assert_eq!(meter.take(), None);
        meter.hear(std::iter::repeat_n(16_384, 160));
        assert!((meter.take().unwrap() + 6.02).abs() < 0.01);
        assert_eq!(meter.take(), None);
    }
}

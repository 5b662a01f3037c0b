//! The shape of a sound's spectrum in time, one bit per band and frame (after Haitsma and Kalker).
//!
//! A bit says whether the step from one band to the next grows or shrinks within 20 ms. Level, filters and
//! small shifts of the clock leave most bits as they are, where a correlation of the waveform would fail.
//! `prompt` uses it beside `correlate`.

use std::ops::Range;

use realfft::RealFftPlanner;

use super::level;

/// Samples of a spectrum: 64 ms, so that a shift of a few milliseconds changes little.
const FRAME: usize = 512;
/// The time over which a bit tells growth: 20 ms.
const STEP: usize = 160;
/// Places looked at: every 5 ms.
const HOP: usize = 40;
const HOPS_PER_STEP: usize = STEP / HOP;
/// First bins of eleven edges from 300 to 3400 Hz, each 1.275 times the one before; a bin is 15.6 Hz wide.
const EDGES: [usize; 11] = [19, 24, 31, 40, 51, 65, 82, 105, 134, 171, 218];
const BANDS: usize = EDGES.len() - 1;
const BITS: u32 = 9;
/// Added to the energy of a band: what lies far below silence makes no bits.
const FLOOR: f32 = 1e4;
/// Frames of the piece below this say nothing, dBov.
const FAINTEST_DBOV: f64 = -50.0;

/// The bits of all places of a sound.
pub(super) struct Spectra(Vec<u16>);

/// The bits of a piece, at every step where it has sound: its place in hops, and its bits.
#[derive(Clone, Debug)]
pub(super) struct Print(Vec<(usize, u16)>);

impl Spectra {
    pub(super) fn new(sound: &[i16]) -> Self {
        let energies = energies(sound);
        let bits = (0..energies.len())
            .map(|place| match place.checked_sub(HOPS_PER_STEP) {
                Some(before) => bits(&energies[before], &energies[place]),
                None => 0,
            })
            .collect();
        Self(bits)
    }

    /// The print of the sound these are the spectra of.
    pub(super) fn print(&self, sound: &[i16]) -> Print {
        let frames = (HOPS_PER_STEP..self.0.len())
            .step_by(HOPS_PER_STEP)
            .filter(|place| {
                let start = place * HOP;
                level::dbov(&sound[start..start + FRAME]) >= FAINTEST_DBOV
            })
            .map(|place| (place, self.0[place]))
            .collect();
        Print(frames)
    }

    /// The place, in samples, where the fewest bits of a piece differ, and their share.
    pub(super) fn best(&self, print: &Print, places: Range<usize>) -> Option<(usize, f64)> {
        let last = print.0.last()?.0;
        let end = places
            .end
            .div_ceil(HOP)
            .min(self.0.len().saturating_sub(last));
        (places.start / HOP..end)
            .map(|place| (place, self.errors(print, place)))
            .min_by_key(|(_, errors)| *errors)
            .map(|(place, errors)| {
                let bits = u32::try_from(print.0.len()).unwrap_or(u32::MAX) * BITS;
                (place * HOP, f64::from(errors) / f64::from(bits))
            })
    }

    fn errors(&self, print: &Print, place: usize) -> u32 {
        print
            .0
            .iter()
            .map(|(at, bits)| (self.0[place + at] ^ bits).count_ones())
            .sum()
    }
}

fn bits(before: &[f32; BANDS], now: &[f32; BANDS]) -> u16 {
    let step = |energies: &[f32; BANDS], band: usize| energies[band] - energies[band + 1];
    (0..BANDS - 1).fold(0, |bits, band| {
        bits << 1 | u16::from(step(now, band) > step(before, band))
    })
}

/// Logarithms of the energy of each band, at every hop.
fn energies(sound: &[i16]) -> Vec<[f32; BANDS]> {
    let plan = RealFftPlanner::<f32>::new().plan_fft_forward(FRAME);
    let (mut input, mut output) = (plan.make_input_vec(), plan.make_output_vec());
    let mut scratch = plan.make_scratch_vec();
    let window = hann();
    let silence = [FLOOR.ln(); BANDS];
    sound
        .windows(FRAME)
        .step_by(HOP)
        .map(|frame| {
            if frame.iter().all(|sample| *sample == 0) {
                return silence;
            }
            for ((place, sample), weight) in input.iter_mut().zip(frame).zip(&window) {
                *place = f32::from(*sample) * weight;
            }
            plan.process_with_scratch(&mut input, &mut output, &mut scratch)
                .expect("the buffers were made by the plan");
            let mut bands = silence;
            for (band, edges) in bands.iter_mut().zip(EDGES.windows(2)) {
                let energy: f32 = output[edges[0]..edges[1]]
                    .iter()
                    .map(|bin| bin.norm_sqr())
                    .sum();
                *band = (energy + FLOOR).ln();
            }
            bands
        })
        .collect()
}

fn hann() -> [f32; FRAME] {
    let mut n = 0_u16;
    [(); FRAME].map(|()| {
        let angle = std::f32::consts::TAU * f32::from(n) / 512.0;
        n += 1;
        0.5 - 0.5 * angle.cos()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::sounds;

    #[test]
    fn a_piece_is_found_by_its_print_however_loud() {
        let sound = sounds::speech(1, 40_000);
        let piece = sounds::louder(&sound[12_000..28_000], -12.0);
        let print = Spectra::new(&piece).print(&piece);
        let spectra = Spectra::new(&sound);
        let (place, rate) = spectra.best(&print, 0..40_000).unwrap();
        assert_eq!(place, 12_000);
        assert!(rate < 0.01, "{rate}");
        let (_, elsewhere) = spectra.best(&print, 0..8000).unwrap();
        assert!(elsewhere > 0.35, "{elsewhere}");
    }

    #[test]
    fn silence_has_no_print() {
        let print = Spectra::new(&[8; 16_000]).print(&[8; 16_000]);
        assert_eq!(Spectra::new(&[8; 16_000]).best(&print, 0..16_000), None);
        assert_eq!(Spectra::new(&[8; 100]).0, Vec::<u16>::new());
    }
}

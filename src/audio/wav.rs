//! Sound files: 8000 Hz, mono, 16 bits, the one kind that can be sent as it is.
//!
//! Nothing is converted here, for a conversion that nobody asked for would be heard as the line's fault; the
//! error says how to convert. `cli` reads what is to be played and writes what was heard; the evidence of a
//! failed call is written too.

use std::io::Cursor;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

use super::SAMPLE_RATE;

/// Ten minutes: longer than any announcement, 9.6 MB in memory.
pub const SAMPLES_MAX: u32 = 600 * SAMPLE_RATE;

/// Why a file cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum WavError {
    #[error("no WAV file that can be read ({0}): {CONVERT}")]
    Unreadable(String),
    #[error(
        "{rate} Hz, {channels} channels, {bits} bits instead of 8000 Hz, mono, 16 bits: {CONVERT}"
    )]
    OtherFormat { rate: u32, channels: u16, bits: u16 },
    #[error("{seconds} s of sound, more than {} s", SAMPLES_MAX / SAMPLE_RATE)]
    TooLong { seconds: u32 },
}

const CONVERT: &str = "convert it with sox IN -r 8000 -c 1 -b 16 OUT.wav";

const SPEC: WavSpec = WavSpec {
    channels: 1,
    sample_rate: SAMPLE_RATE,
    bits_per_sample: 16,
    sample_format: SampleFormat::Int,
};

/// Reads a whole file.
///
/// # Errors
/// [`WavError`] when the bytes are no such file; the message says what to do.
pub fn read(bytes: &[u8]) -> Result<Vec<i16>, WavError> {
    let reader = WavReader::new(bytes).map_err(unreadable)?;
    let spec = reader.spec();
    if spec != SPEC {
        return Err(WavError::OtherFormat {
            rate: spec.sample_rate,
            channels: spec.channels,
            bits: spec.bits_per_sample,
        });
    }
    if reader.len() > SAMPLES_MAX {
        let seconds = reader.len() / SAMPLE_RATE;
        return Err(WavError::TooLong { seconds });
    }
    reader
        .into_samples()
        .collect::<Result<_, _>>()
        .map_err(unreadable)
}

fn unreadable(error: hound::Error) -> WavError {
    WavError::Unreadable(error.to_string())
}

/// The file of these samples.
#[must_use]
pub fn write(samples: &[i16]) -> Vec<u8> {
    let mut file = Cursor::new(Vec::with_capacity(44 + 2 * samples.len()));
    let mut writer = WavWriter::new(&mut file, SPEC).expect("memory takes a header");
    for sample in samples {
        writer
            .write_sample(*sample)
            .expect("memory takes a sample of the width that was announced");
    }
    writer.finalize().expect("memory takes the final length");
    file.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(spec: WavSpec, samples: u32) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        let mut writer = WavWriter::new(&mut file, spec).unwrap();
        for _ in 0..samples {
            match spec.sample_format {
                SampleFormat::Int => writer.write_sample(0_i32).unwrap(),
                SampleFormat::Float => writer.write_sample(0.0_f32).unwrap(),
            }
        }
        writer.finalize().unwrap();
        file.into_inner()
    }

    #[test]
    fn the_header_is_that_of_the_format() {
        let expected = b"RIFF\x28\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\x04\0\0\0\x01\0\xff\xff";
        assert_eq!(write(&[1, -1]), expected);
        assert_eq!(read(expected).unwrap(), [1, -1]);
    }

    #[test]
    fn an_error_says_what_to_do() {
        let other = |sample_rate, channels, bits_per_sample, sample_format| {
            file(
                WavSpec {
                    channels,
                    sample_rate,
                    bits_per_sample,
                    sample_format,
                },
                8,
            )
        };
        // G.711 in a WAV file: format 6 is A-law.
        let mut a_law = write(&[0; 8]);
        a_law[20] = 6;
        let mut cut = write(&[0; 100]);
        cut.truncate(100);
        for (name, bytes, words) in [
            (
                "CD",
                other(44_100, 2, 16, SampleFormat::Int),
                "44100 Hz, 2 channels, 16 bits instead of 8000 Hz, mono, 16 bits: convert it with sox IN -r 8000 -c 1 -b 16 OUT.wav",
            ),
            (
                "wideband",
                other(16_000, 1, 16, SampleFormat::Int),
                "16000 Hz, 1 channels",
            ),
            (
                "24 bits",
                other(8000, 1, 24, SampleFormat::Int),
                "24 bits instead",
            ),
            (
                "float",
                other(8000, 1, 32, SampleFormat::Float),
                "32 bits instead",
            ),
            ("A-law", a_law, "convert it with sox"),
            ("cut", cut, "Failed to read enough bytes"),
            (
                "text",
                b"ID3\x04 not sound".to_vec(),
                "no WAV file that can be read (Ill-formed WAVE file: no RIFF tag found)",
            ),
            ("nothing", vec![], "no WAV file that can be read"),
            (
                "11 minutes",
                file(SPEC, 660 * 8000),
                "660 s of sound, more than 600 s",
            ),
        ] {
            let message = read(&bytes).unwrap_err().to_string();
            assert!(message.contains(words), "{name}: {message}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(samples: Vec<i16>) {
            prop_assert_eq!(read(&write(&samples)).unwrap(), samples);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, samples: Vec<i16>, changes: Vec<(prop::sample::Index, u8)>) {
            let _ = read(&bytes);
            let mut file = write(&samples);
            for (place, byte) in changes {
                let place = place.index(file.len().min(60));
                file[place] = byte;
            }
            let _ = read(&file);
        }
    }
}

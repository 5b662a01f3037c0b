//! G.711: A-law and µ-law, both ways (ITU-T G.711 tables 1 and 2).
//!
//! Decoding is a table of 256 values, made from the formula when compiling; encoding counts the
//! leading bits. A-law octets are with even bits inverted, as they travel.

/// Which of the two laws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    A,
    Mu,
}

impl Law {
    /// By the encoding name of RFC 3551, in any case.
    #[must_use]
    pub fn named(encoding: &str) -> Option<Self> {
        if encoding.eq_ignore_ascii_case("PCMA") {
            Some(Self::A)
        } else if encoding.eq_ignore_ascii_case("PCMU") {
            Some(Self::Mu)
        } else {
            None
        }
    }

    #[must_use]
    pub const fn decode(self, octet: u8) -> i16 {
        match self {
            Self::A => A_TO_LINEAR[octet as usize],
            Self::Mu => MU_TO_LINEAR[octet as usize],
        }
    }

    #[must_use]
    pub const fn encode(self, sample: i16) -> u8 {
        match self {
            Self::A => linear_to_a(sample),
            Self::Mu => linear_to_mu(sample),
        }
    }

    /// The octet of digital silence.
    #[must_use]
    pub const fn silence(self) -> u8 {
        match self {
            Self::A => 0xd5,
            Self::Mu => 0xff,
        }
    }
}

static A_TO_LINEAR: [i16; 256] = table(Law::A);
static MU_TO_LINEAR: [i16; 256] = table(Law::Mu);

const fn table(law: Law) -> [i16; 256] {
    let mut table = [0; 256];
    let mut octet: u8 = 0;
    loop {
        table[octet as usize] = match law {
            Law::A => a_to_linear(octet),
            Law::Mu => mu_to_linear(octet),
        };
        if octet == u8::MAX {
            return table;
        }
        octet += 1;
    }
}

/// A 13-bit value with sign, segment and step, scaled to 16 bits.
const fn a_to_linear(octet: u8) -> i16 {
    let code = octet ^ 0x55;
    let step = (code & 0x0f) as i16;
    let segment = (code >> 4) & 0x07;
    let magnitude = match segment {
        0 => (step << 4) + 8,
        _ => ((step << 4) + 0x108) << (segment - 1),
    };
    // In A-law the sign bit is set for positive values.
    if code & 0x80 == 0 {
        -magnitude
    } else {
        magnitude
    }
}

/// A 14-bit value with sign, segment and step, scaled to 16 bits; 0x84 is the bias of 33 steps.
const fn mu_to_linear(octet: u8) -> i16 {
    let code = !octet;
    let step = (code & 0x0f) as i16;
    let segment = (code >> 4) & 0x07;
    let magnitude = (((step << 3) + 0x84) << segment) - 0x84;
    if code & 0x80 == 0 {
        magnitude
    } else {
        -magnitude
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "segment is at most 7 and step at most 15"
)]
const fn linear_to_a(sample: i16) -> u8 {
    // One's complement makes the two halves mirror each other without an overflow at -32768.
    let (sign, magnitude) = if sample >= 0 {
        (0x80, sample.cast_unsigned())
    } else {
        (0x00, (!sample).cast_unsigned())
    };
    let segment = (magnitude >> 8).checked_ilog2();
    let code = match segment {
        None => magnitude >> 4,
        Some(bit) => ((bit as u16 + 1) << 4) | ((magnitude >> (bit + 4)) & 0x0f),
    };
    (code as u8 | sign) ^ 0x55
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "segment is at most 7 and step at most 15"
)]
const fn linear_to_mu(sample: i16) -> u8 {
    const BIAS: u16 = 0x84;
    /// The largest magnitude that stays below 2^15 with the bias.
    const CLIP: u16 = 32_635;
    let sign = if sample < 0 { 0x80 } else { 0x00 };
    let magnitude = sample.unsigned_abs();
    let biased = if magnitude > CLIP { CLIP } else { magnitude } + BIAS;
    let segment = biased.ilog2() as u16 - 7;
    let code = (segment << 4) | ((biased >> (segment + 3)) & 0x0f);
    !(code as u8 | sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_standard() {
        for (law, octet, sample) in [
            (Law::A, 0xd5, 8),
            (Law::A, 0x55, -8),
            (Law::A, 0xaa, 32_256),
            (Law::A, 0x2a, -32_256),
            (Law::Mu, 0xff, 0),
            (Law::Mu, 0x7f, 0),
            (Law::Mu, 0x80, 32_124),
            (Law::Mu, 0x00, -32_124),
        ] {
            assert_eq!(law.decode(octet), sample, "{law:?} {octet:#x}");
        }
        assert_eq!(Law::A.encode(0), Law::A.silence());
        assert_eq!(Law::Mu.encode(0), Law::Mu.silence());
    }

    /// Every octet decodes to the formula written another way: sign, then 2^segment times the step.
    #[test]
    fn every_octet_decodes_by_the_formula() {
        for octet in 0..=u8::MAX {
            let a = octet ^ 0x55;
            let (segment, step) = (u32::from(a >> 4) & 7, f64::from(a & 15));
            let magnitude = if segment == 0 {
                (2.0 * step + 1.0) * 8.0
            } else {
                (2.0 * step + 33.0) * 2f64.powi(segment.cast_signed() - 1) * 8.0
            };
            let sign = if a & 0x80 == 0 { -1.0 } else { 1.0 };
            assert_eq!(
                f64::from(Law::A.decode(octet)),
                sign * magnitude,
                "A {octet:#x}"
            );

            let mu = !octet;
            let (segment, step) = (i32::from(mu >> 4) & 7, f64::from(mu & 15));
            let magnitude = ((2.0 * step + 33.0) * 2f64.powi(segment) - 33.0) * 4.0;
            let sign = if mu & 0x80 == 0 { 1.0 } else { -1.0 };
            assert_eq!(
                f64::from(Law::Mu.decode(octet)),
                sign * magnitude,
                "Mu {octet:#x}"
            );
        }
    }

    #[test]
    fn every_octet_survives_the_way_there_and_back() {
        for octet in 0..=u8::MAX {
            assert_eq!(Law::A.encode(Law::A.decode(octet)), octet);
            // µ-law has two zeros; the negative one comes back as the positive.
            let expected = if octet == 0x7f { 0xff } else { octet };
            assert_eq!(Law::Mu.encode(Law::Mu.decode(octet)), expected);
        }
    }

    /// Every one of the 65,536 samples lands within half a step of its segment, except where the law clips.
    #[test]
    fn every_sample_is_encoded_within_half_a_step() {
        for sample in i16::MIN..=i16::MAX {
            let magnitude = i32::from(sample).abs();
            // Steps double with each segment: 16 units up to 512 in A-law; 8 units up to 124 in µ-law.
            let a_step = 16 << (magnitude.max(256).ilog2() - 8);
            let mu_step = 8 << ((magnitude + 0x84).ilog2() - 7);
            for (law, step, loudest) in [(Law::A, a_step, 32_256), (Law::Mu, mu_step, 32_124)] {
                let error = (i32::from(law.decode(law.encode(sample))) - i32::from(sample)).abs();
                let clipped = magnitude - loudest;
                assert!(
                    error <= (step / 2).max(clipped),
                    "{law:?} {sample}: {error}"
                );
            }
        }
    }
}

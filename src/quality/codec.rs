//! What each codec costs, by the name it has in SDP (ITU-T G.113 Appendix I and IV).
//!
//! Where G.113 publishes no figure the nearest kin's stands in and `grounded` is false, so that nobody
//! takes our guess for a measurement. A codec that is not here has no MOS. Not here either: which
//! codec a payload type means, which the offer and answer say.

use serde::Serialize;

use super::emodel::{self, Equipment, Loss, Transmission};
use super::scale::{Fullband, RFactor, Scale, Wideband};
use super::wide;

/// A codec as the E-model sees it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Codec {
    /// As engineers call it.
    pub name: &'static str,
    pub band: Band,
    /// Equipment impairment without loss, on the scale of its band.
    pub ie: f64,
    /// Robustness Bpl for a receiver that plays silence for a lost packet.
    pub bpl_bare: f64,
    /// Robustness Bpl for a receiver that conceals it; the same for a codec that always conceals.
    pub bpl_concealed: f64,
    /// Whether G.113 publishes both Ie and Bpl.
    pub grounded: bool,
    /// What the coder waits for beyond its frame, ms.
    pub lookahead_ms: f64,
}

/// Which scale its opinions are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Band {
    Narrowband,
    Wideband,
    Fullband,
}

/// What the receiver does about a lost packet. Unknown from outside: the headline assumes
/// concealment, as nearly every gateway and telephone of today has it, and the other end of the range
/// is published beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concealment {
    Bare,
    Concealed,
}

/// A rating on the scale of its codec.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "scale", rename_all = "lowercase")]
pub enum Rated {
    Narrowband(emodel::Rating),
    Wideband(wide::Rating<RFactor<Wideband>>),
    Fullband(wide::Rating<RFactor<Fullband>>),
}

impl Codec {
    /// By encoding name and clock rate as `a=rtpmap` has them, in any case. `mode` is what the payload
    /// itself says: the frame type of AMR-WB (0 is 6.60 kbit/s), the rate bits of G.723.1 (1 is 5.3).
    #[must_use]
    pub fn named(encoding: &str, clock_rate: u32, mode: Option<u8>) -> Option<Self> {
        let encoding = encoding.to_ascii_uppercase();
        let codec = match (encoding.as_str(), clock_rate) {
            ("PCMU" | "PCMA", 8000) => G711,
            ("G729" | "G729A", 8000) => G729A,
            ("G723", 8000) if mode == Some(1) => G723_LOW,
            ("G723", 8000) => G723_HIGH,
            ("GSM-EFR", 8000) => GSM_EFR,
            ("G726-32", 8000) => G726_32,
            ("G728", 8000) => G728,
            ("GSM", 8000) => GSM_FR,
            ("GSM-HR" | "GSM-HR-08", 8000) => GSM_HR,
            ("ILBC", 8000) => ILBC,
            ("AMR", 8000) => AMR,
            // The clock of G.722 is 8000 by an old mistake (RFC 3551 §4.5.2); it samples at 16 000.
            ("G722", 8000) => G722,
            ("AMR-WB", 16_000) => amr_wb(mode),
            ("OPUS", 48_000) => OPUS,
            _ => return None,
        };
        Some(codec)
    }

    /// The rating of a connection that carries this codec with this loss. Its own equipment and loss
    /// are not looked at; echo, noise and sidetone count in the narrow band only.
    #[must_use]
    pub fn rate(&self, concealment: Concealment, loss: Loss, line: &Transmission) -> Rated {
        let bpl = match concealment {
            Concealment::Bare => self.bpl_bare,
            Concealment::Concealed => self.bpl_concealed,
        };
        match self.band {
            Band::Narrowband => Rated::Narrowband(
                Transmission {
                    equipment: Equipment {
                        ie: self.ie,
                        bpl,
                        ..line.equipment
                    },
                    loss,
                    ..*line
                }
                .rate(),
            ),
            Band::Wideband => Rated::Wideband(wide::wideband(self.ie, bpl, loss, line.delay)),
            Band::Fullband => Rated::Fullband(wide::fullband(self.ie, bpl, loss, line.delay)),
        }
    }
}

impl Rated {
    /// R as a bare number, on the scale that [`Rated::printed`] tells.
    #[must_use]
    pub const fn r(&self) -> f64 {
        match self {
            Self::Narrowband(rating) => rating.r.value(),
            Self::Wideband(rating) => rating.r.value(),
            Self::Fullband(rating) => rating.r.value(),
        }
    }

    /// The MOS as a bare number and the scale it is on, for print: they belong together.
    #[must_use]
    pub fn printed(&self) -> (f64, &'static str) {
        fn of<S: Scale>(r: RFactor<S>) -> (f64, &'static str) {
            (r.mos().value(), S::NAME)
        }
        match self {
            Self::Narrowband(rating) => of(rating.r),
            Self::Wideband(rating) => of(rating.r),
            Self::Fullband(rating) => of(rating.r),
        }
    }
}

/// Whether so many octets can be sound of this encoding: a whole number of its frames, of a millisecond for codecs
/// of samples (RFC 3551 §4.5, RFC 3952). What we do not know fits when there is anything.
#[must_use]
pub fn fits(encoding: &str, octets: usize) -> bool {
    let whole = |frame: usize| octets.is_multiple_of(frame);
    let fits = match encoding.to_ascii_uppercase().as_str() {
        "PCMU" | "PCMA" | "G722" => whole(8),
        // The last frame may describe silence, in two octets.
        "G729" | "G729A" => matches!(octets % 10, 0 | 2),
        // 24 and 20 octets, 4 of silence.
        "G723" | "G726-32" => whole(4),
        "G728" => whole(5),
        "GSM" => whole(33),
        "GSM-EFR" => whole(31),
        "ILBC" => whole(38) || whole(50),
        _ => true,
    };
    octets > 0 && fits
}

// Ie and Bpl of G.113 Appendix I. Bpl 25.1 is G.711 with its Appendix I concealment.

const G711: Codec = Codec {
    bpl_concealed: 25.1,
    ..narrowband("G.711", 0.0, 4.3, 0.125)
};
/// Published with VAD; plain G.729 (Ie 10) has the same name in SDP.
const G729A: Codec = narrowband("G.729A", 11.0, 19.0, 5.0);
const G723_HIGH: Codec = narrowband("G.723.1 6.3", 15.0, 16.1, 7.5);
const G723_LOW: Codec = Codec {
    // Only the higher rate has a Bpl.
    grounded: false,
    ..narrowband("G.723.1 5.3", 19.0, 16.1, 7.5)
};
const GSM_EFR: Codec = narrowband("GSM EFR", 5.0, 10.0, 0.0);

// Ie published, Bpl not. ADPCM loses its predictor with each packet: that of bare G.711. The others
// conceal as GSM EFR does.

const G726_32: Codec = Codec {
    grounded: false,
    ..narrowband("G.726-32", 7.0, 4.3, 0.125)
};
const G728: Codec = Codec {
    grounded: false,
    ..narrowband("G.728", 7.0, 10.0, 0.0)
};
const GSM_FR: Codec = Codec {
    grounded: false,
    ..narrowband("GSM FR", 20.0, 10.0, 0.0)
};
const GSM_HR: Codec = Codec {
    grounded: false,
    ..narrowband("GSM HR", 23.0, 10.0, 4.4)
};

// Nothing published: iLBC as G.729A, AMR as its highest mode, which is GSM EFR.

const ILBC: Codec = Codec {
    grounded: false,
    ..narrowband("iLBC", 11.0, 19.0, 0.0)
};
const AMR: Codec = Codec {
    grounded: false,
    ..narrowband("AMR", 5.0, 10.0, 5.0)
};

/// At 64 kbit/s (56 and 48 kbit/s cost 20 and 31). Its loss robustness on the wideband scale is not
/// confirmed: that of bare G.711.
const G722: Codec = Codec {
    band: Band::Wideband,
    grounded: false,
    ..narrowband("G.722", 13.0, 4.3, 1.5)
};

/// Nothing published; 10.2 and 4.3 are in use elsewhere for codecs of 48 kHz.
const OPUS: Codec = Codec {
    band: Band::Fullband,
    grounded: false,
    ..narrowband("Opus", 10.2, 4.3, 6.5)
};

/// G.113 Appendix IV, heard with one ear, by frame type. That 23.85 costs more than 23.05 is so printed.
/// The one Bpl published is for both ears, hence ungrounded. A mode not told is 12.65, the usual one.
fn amr_wb(mode: Option<u8>) -> Codec {
    const MODES: [(&str, f64); 9] = [
        ("AMR-WB 6.60", 41.0),
        ("AMR-WB 8.85", 26.0),
        ("AMR-WB 12.65", 13.0),
        ("AMR-WB 14.25", 10.0),
        ("AMR-WB 15.85", 7.0),
        ("AMR-WB 18.25", 5.0),
        ("AMR-WB 19.85", 3.0),
        ("AMR-WB 23.05", 1.0),
        ("AMR-WB 23.85", 8.0),
    ];
    let (name, ie) = mode
        .and_then(|mode| MODES.get(usize::from(mode)))
        .copied()
        .unwrap_or(MODES[2]);
    Codec {
        band: Band::Wideband,
        grounded: false,
        ..narrowband(name, ie, 4.3, 5.0)
    }
}

/// A codec whose concealment, if any, is part of it.
const fn narrowband(name: &'static str, ie: f64, bpl: f64, lookahead_ms: f64) -> Codec {
    Codec {
        name,
        band: Band::Narrowband,
        ie,
        bpl_bare: bpl,
        bpl_concealed: bpl,
        grounded: true,
        lookahead_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_a_whole_number_of_frames() {
        for (encoding, right, wrong) in [
            ("PCMA", &[80, 160, 240, 480][..], &[0, 1, 20, 33, 161][..]),
            ("pcmu", &[160], &[0, 38, 50]),
            ("G722", &[160], &[0, 33]),
            ("G729", &[10, 20, 2, 22], &[0, 5, 33, 24]),
            ("GSM", &[33, 66], &[0, 160, 31]),
            ("iLBC", &[38, 50, 76, 100], &[0, 88, 160]),
            ("G723", &[24, 20, 4, 48], &[0, 33, 10]),
            ("opus", &[1, 77], &[0]),
        ] {
            for octets in right {
                assert!(fits(encoding, *octets), "{encoding} {octets}");
            }
            for octets in wrong {
                assert!(!fits(encoding, *octets), "{encoding} {octets}");
            }
        }
    }

    #[test]
    fn codecs_by_their_name_in_sdp() {
        for (encoding, clock_rate, mode, expected) in [
            ("PCMA", 8000, None, Some((0.0, 4.3, 25.1, true))),
            ("pcmu", 8000, None, Some((0.0, 4.3, 25.1, true))),
            ("PCMA", 16_000, None, None),
            ("G729", 8000, None, Some((11.0, 19.0, 19.0, true))),
            ("G723", 8000, None, Some((15.0, 16.1, 16.1, true))),
            ("G723", 8000, Some(1), Some((19.0, 16.1, 16.1, false))),
            ("GSM-EFR", 8000, None, Some((5.0, 10.0, 10.0, true))),
            ("GSM", 8000, None, Some((20.0, 10.0, 10.0, false))),
            ("iLBC", 8000, None, Some((11.0, 19.0, 19.0, false))),
            ("AMR-WB", 16_000, None, Some((13.0, 4.3, 4.3, false))),
            ("AMR-WB", 16_000, Some(0), Some((41.0, 4.3, 4.3, false))),
            ("AMR-WB", 16_000, Some(8), Some((8.0, 4.3, 4.3, false))),
            ("AMR-WB", 16_000, Some(9), Some((13.0, 4.3, 4.3, false))),
            ("opus", 48_000, None, Some((10.2, 4.3, 4.3, false))),
            ("telephone-event", 8000, None, None),
            ("CN", 8000, None, None),
            ("", 8000, None, None),
        ] {
            let codec = Codec::named(encoding, clock_rate, mode);
            let figures = codec.map(|codec| {
                (
                    codec.ie,
                    codec.bpl_bare,
                    codec.bpl_concealed,
                    codec.grounded,
                )
            });
            assert_eq!(figures, expected, "{encoding}/{clock_rate} {mode:?}");
        }
    }

    #[test]
    fn each_codec_is_rated_on_its_own_scale() {
        let loss = Loss {
            percent: 2.0,
            ..Loss::default()
        };
        for (encoding, clock_rate, concealment, mos, scale) in [
            ("PCMA", 8000, Concealment::Concealed, 4.235, "narrowband"),
            ("PCMA", 8000, Concealment::Bare, 3.256, "narrowband"),
            ("G729", 8000, Concealment::Bare, 3.788, "narrowband"),
            ("G722", 8000, Concealment::Concealed, 3.585, "wideband"),
            ("opus", 48_000, Concealment::Concealed, 3.452, "fullband"),
        ] {
            let codec = Codec::named(encoding, clock_rate, None).unwrap();
            let rated = codec.rate(concealment, loss, &Transmission::default());
            let (got, on) = rated.printed();
            assert_eq!(on, scale, "{encoding}");
            assert!((got - mos).abs() < 1e-3, "{encoding}: {got}");
        }
    }

    #[test]
    fn json_says_the_scale() {
        let rated = Codec::named("opus", 48_000, None).unwrap().rate(
            Concealment::Concealed,
            Loss::default(),
            &Transmission::default(),
        );
        assert_eq!(
            serde_json::to_string(&rated).unwrap(),
            r#"{"scale":"fullband","r":137.8,"ro":148.0,"idd":0.0,"ie_eff":10.2}"#
        );
    }
}

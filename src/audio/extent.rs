//! Which part of an announcement was heard, once it is known that it is the right one and where it began.
//!
//! The announcement is followed in pieces of 100 ms; the part that was heard is the row of pieces that fits
//! best as a whole, so that a lost packet does not end it and another voice after it does not lengthen it.
//! `prompt` uses it.

use std::ops::Range;

use super::level;

/// The part of a reference that was heard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Extent {
    /// In samples of the reference.
    pub(super) from: usize,
    pub(super) to: usize,
    /// Nothing is missing at either end.
    pub(super) whole: bool,
    /// Median of its pieces, decibels.
    pub(super) louder_db: f64,
}

/// 100 ms: a few periods of any voice.
const PIECE: usize = 800;
/// Pieces this far below the loudest are pauses and are not asked.
const PAUSE_DB: f64 = 30.0;
/// The coefficient above which a piece speaks for the announcement, below which against it: a piece of
/// another voice reaches 0.4, one under noise as loud as itself 0.7.
const EVEN: f64 = 0.55;
/// A piece that fits as well as this tells where the next one is.
const SURE: f64 = 0.8;
/// Clocks move a piece by less than a sample; 1 ms is plenty.
const CLOCK: isize = 8;
/// A slip of a jitter buffer by one frame of 20 ms and some.
const SLIP: isize = 200;
/// Pieces with sound that may be missing at an end: the fade of a syllable is none.
const SLACK: usize = 2;

struct Piece {
    start: usize,
    ncc: f64,
    louder_db: f64,
}

impl Extent {
    /// Follows the reference through the sound, from this place on.
    pub(super) fn of(reference: &[i16], sound: &[i16], offset: f64) -> Self {
        let pieces = follow(reference, sound, offset);
        let heard = best_row(&pieces);
        let row = &pieces[heard.clone()];
        let (before, after) = (heard.start, pieces.len() - heard.end);
        let from = match row.first() {
            Some(first) if before > SLACK => first.start,
            _ => 0,
        };
        let to = match row.last() {
            Some(last) if after > SLACK => (last.start + PIECE).min(reference.len()),
            _ => reference.len(),
        };
        Self {
            from,
            to,
            whole: before <= SLACK && after <= SLACK,
            louder_db: median(
                row.iter()
                    .filter(|piece| piece.ncc > EVEN)
                    .map(|piece| piece.louder_db)
                    .collect(),
            ),
        }
    }
}

/// All pieces of the reference that hold sound, as they were heard.
fn follow(reference: &[i16], sound: &[i16], offset: f64) -> Vec<Piece> {
    let loudest = reference
        .chunks_exact(PIECE)
        .map(level::dbov)
        .fold(level::FLOOR_DBOV, f64::max);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a place in a sound of minutes; a cast of floats saturates"
    )]
    let mut offset = offset.round() as isize;
    let mut pieces = Vec::new();
    for (n, samples) in reference.chunks_exact(PIECE).enumerate() {
        let dbov = level::dbov(samples);
        if dbov < loudest - PAUSE_DB {
            continue;
        }
        let start = n * PIECE;
        let place = start.cast_signed() + offset;
        let mut best = best_near(samples, sound, place, CLOCK);
        if best.1 < SURE {
            let slipped = best_near(samples, sound, place, SLIP);
            if slipped.1 >= SURE {
                best = slipped;
            }
        }
        let (at, ncc) = best;
        if ncc >= SURE {
            offset += at - place;
        }
        let heard = window(sound, at).map_or(level::FLOOR_DBOV, level::dbov);
        pieces.push(Piece {
            start,
            ncc,
            louder_db: heard - dbov,
        });
    }
    pieces
}

fn window(sound: &[i16], at: isize) -> Option<&[i16]> {
    let at = usize::try_from(at).ok()?;
    sound.get(at..at + PIECE)
}

/// The best place of a piece within so many samples, and its coefficient; polarity does not count.
fn best_near(piece: &[i16], sound: &[i16], place: isize, reach: isize) -> (isize, f64) {
    let norm = real(dot(piece, piece));
    let mut energy = None;
    let mut best = (place, 0.0);
    for at in place - reach..=place + reach {
        let Some(window) = window(sound, at) else {
            energy = None;
            continue;
        };
        let now = energy.unwrap_or_else(|| dot(window, window));
        // The next window has the next sample and not the first.
        let next = usize::try_from(at)
            .ok()
            .and_then(|at| sound.get(at + PIECE));
        energy = next.map(|next| now + square(*next) - square(window[0]));
        if now > FAINTEST {
            let ncc = real(dot(piece, window)).abs() / (norm * real(now)).sqrt();
            if ncc > best.1 {
                best = (at, ncc);
            }
        }
    }
    best
}

/// Energy of a piece that fits nothing, for it is silence: of A-law silence it would be 64 a sample.
const FAINTEST: i64 = 100 * 800;

fn square(sample: i16) -> i64 {
    i64::from(sample) * i64::from(sample)
}

/// In whole numbers, which a machine multiplies several at once; 800 products of 30 bits need 40.
fn dot(one: &[i16], other: &[i16]) -> i64 {
    one.iter()
        .zip(other)
        .map(|(one, other)| i64::from(i32::from(*one) * i32::from(*other)))
        .sum()
}

#[expect(clippy::cast_precision_loss, reason = "energies stay below 2^53")]
fn real(energy: i64) -> f64 {
    energy as f64
}

/// The row of pieces that speaks most for the announcement.
fn best_row(pieces: &[Piece]) -> Range<usize> {
    let mut best = (0.0, 0..0);
    let (mut score, mut start) = (0.0, 0);
    for (n, piece) in pieces.iter().enumerate() {
        score += piece.ncc - EVEN;
        if score <= 0.0 {
            (score, start) = (0.0, n + 1);
        } else if score > best.0 {
            best = (score, start..n + 1);
        }
    }
    best.1
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

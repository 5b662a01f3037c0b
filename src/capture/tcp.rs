//! TCP put in order, one direction of one connection at a time: enough to read SIP from it.
//!
//! What was sent again is dropped, what came early waits for what lies before. A hole that is not filled by
//! the next segments (the capture missed a packet) is stepped over, and told: whoever reads the stream has
//! to look for the beginning of a message again.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

/// Every direction seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Directions<'a> {
    directions: BTreeMap<(SocketAddr, SocketAddr), Direction<'a>>,
}

#[derive(Clone, Debug, Default)]
struct Direction<'a> {
    next: Option<u32>,
    /// Ahead of `next`, by sequence number, in order of arrival.
    early: VecDeque<(u32, Cow<'a, [u8]>)>,
    early_bytes: usize,
}

/// The next bytes of a direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    /// Something before these bytes was not captured.
    pub(super) after_hole: bool,
}

/// A window of segments: what has not come within it was not captured.
const EARLY_MAX: usize = 64;
const EARLY_BYTES_MAX: usize = 256 * 1024;

impl<'a> Directions<'a> {
    /// A segment; gives what can be read now, in order.
    pub(super) fn hear(
        &mut self,
        direction: (SocketAddr, SocketAddr),
        sequence_number: u32,
        syn: bool,
        bytes: Cow<'a, [u8]>,
    ) -> Vec<Piece<'a>> {
        let direction = self.directions.entry(direction).or_default();
        if syn {
            // A new connection, maybe between the same ports; its first byte follows the SYN.
            *direction = Direction {
                next: Some(sequence_number.wrapping_add(1)),
                ..Direction::default()
            };
            return Vec::new();
        }
        if bytes.is_empty() {
            return Vec::new();
        }
        let after_hole = direction.next.is_none();
        let next = *direction.next.get_or_insert(sequence_number);
        let mut pieces = Vec::new();
        if ahead(sequence_number, next) > 0 {
            direction.early_bytes += bytes.len();
            direction.early.push_back((sequence_number, bytes));
        } else {
            direction.take(sequence_number, bytes, after_hole, &mut pieces);
        }
        direction.settle(&mut pieces);
        pieces
    }

    /// What still waits when the capture ends.
    pub(super) fn finish(self) -> Vec<((SocketAddr, SocketAddr), Vec<Piece<'a>>)> {
        self.directions
            .into_iter()
            .map(|(key, mut direction)| {
                let mut pieces = Vec::new();
                while direction.step_over(&mut pieces) {
                    direction.fill(&mut pieces);
                }
                (key, pieces)
            })
            .filter(|(_, pieces)| !pieces.is_empty())
            .collect()
    }
}

impl<'a> Direction<'a> {
    /// Takes the new part of a segment that begins at or before `next`.
    fn take(
        &mut self,
        sequence_number: u32,
        bytes: Cow<'a, [u8]>,
        after_hole: bool,
        pieces: &mut Vec<Piece<'a>>,
    ) {
        let next = self.next.unwrap_or(sequence_number);
        let old = usize::try_from(next.wrapping_sub(sequence_number)).unwrap_or(usize::MAX);
        if old >= bytes.len() {
            return;
        }
        let bytes = match bytes {
            Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[old..]),
            Cow::Owned(bytes) => Cow::Owned(bytes[old..].to_vec()),
        };
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.next = Some(next.wrapping_add(length));
        pieces.push(Piece { bytes, after_hole });
    }

    /// Takes what follows on what was taken, and gives up a hole that is older than the window.
    fn settle(&mut self, pieces: &mut Vec<Piece<'a>>) {
        self.fill(pieces);
        while self.early.len() > EARLY_MAX || self.early_bytes > EARLY_BYTES_MAX {
            self.step_over(pieces);
            self.fill(pieces);
        }
    }

    fn fill(&mut self, pieces: &mut Vec<Piece<'a>>) {
        while let Some(next) = self.next
            && let Some(place) = self
                .early
                .iter()
                .position(|(sequence_number, _)| ahead(*sequence_number, next) <= 0)
            && let Some((sequence_number, bytes)) = self.early.remove(place)
        {
            self.early_bytes -= bytes.len();
            self.take(sequence_number, bytes, false, pieces);
        }
    }

    /// Goes on behind the nearest hole; `false` when nothing waits.
    fn step_over(&mut self, pieces: &mut Vec<Piece<'a>>) -> bool {
        let next = self.next.unwrap_or_default();
        let nearest = (0..self.early.len()).min_by_key(|place| ahead(self.early[*place].0, next));
        let Some((sequence_number, bytes)) = nearest.and_then(|place| self.early.remove(place))
        else {
            return false;
        };
        self.early_bytes -= bytes.len();
        self.next = Some(sequence_number);
        self.take(sequence_number, bytes, true, pieces);
        true
    }
}

/// How far a sequence number lies ahead of another, around the clock.
const fn ahead(sequence_number: u32, of: u32) -> i32 {
    sequence_number.wrapping_sub(of).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Segments as (sequence number, bytes) after a SYN of number 99; what is read, holes as `…`.
    fn read(segments: &[(u32, &'static str)]) -> String {
        let key = (
            SocketAddr::from(([192, 0, 2, 1], 5060)),
            SocketAddr::from(([192, 0, 2, 2], 5060)),
        );
        let mut directions = Directions::default();
        directions.hear(key, 99, true, Cow::Borrowed(b""));
        let mut text = String::new();
        let mut note = |pieces: Vec<Piece<'_>>| {
            for piece in pieces {
                if piece.after_hole {
                    text.push('…');
                }
                text.push_str(std::str::from_utf8(&piece.bytes).unwrap());
            }
        };
        for (sequence_number, bytes) in segments {
            note(directions.hear(
                key,
                *sequence_number,
                false,
                Cow::Borrowed(bytes.as_bytes()),
            ));
        }
        for (_, pieces) in directions.finish() {
            note(pieces);
        }
        text
    }

    #[test]
    fn segments_are_put_in_order() {
        for (name, segments, expected) in [
            ("in order", &[(100, "ab"), (102, "cd")][..], "abcd"),
            (
                "sent again",
                &[(100, "ab"), (100, "ab"), (102, "cd")],
                "abcd",
            ),
            ("sent again, longer", &[(100, "ab"), (100, "abcd")], "abcd"),
            (
                "swapped",
                &[(102, "cd"), (100, "ab"), (104, "ef")],
                "abcdef",
            ),
            ("a hole", &[(100, "ab"), (104, "ef")], "ab…ef"),
            (
                "two holes",
                &[(100, "ab"), (110, "xy"), (104, "ef")],
                "ab…ef…xy",
            ),
            ("overlapping", &[(100, "abc"), (102, "cde")], "abcde"),
        ] {
            assert_eq!(read(segments), expected, "{name}");
        }
    }

    #[test]
    fn a_hole_is_given_up_after_a_window() {
        let segments: Vec<(u32, &'static str)> = (0..80).map(|n| (200 + n * 2, "zz")).collect();
        assert_eq!(read(&segments), format!("…{}", "zz".repeat(80)));
    }
}

//! What arrived from one source, counted by sequence numbers (RFC 3550 A.1 and A.3).
//!
//! Differs from the appendix in three ways, because this is a measuring instrument: packets of the
//! probation count once it is passed, a sender that restarts its numbers opens a new stretch
//! instead of losing thousands, and a number that is still missing is late however far behind it comes. Packets before the first and after the last one received are invisible
//! here, as everywhere in RFC 3550.

/// A larger step forward is taken for a restart of the sender (A.1).
const MAX_DROPOUT: u16 = 3000;
/// A larger step back is taken for a restart of the sender (A.1).
const MAX_MISORDER: u16 = 100;

/// One synchronization source.
#[derive(Clone, Debug)]
pub struct Source {
    base: u16,
    max: u16,
    /// Wraps of the sequence number, counted in 65536 each.
    cycles: u32,
    /// Set after a jump: the number that confirms a restart (A.1 `bad_seq`).
    after_jump: Option<u16>,
    /// Packets of this stretch, duplicates included.
    received: u32,
    /// Which of the last numbers up to `max` have come.
    seen: Seen,
    /// Sums of the stretches before the last restart.
    earlier: Earlier,
    /// At the last report, for its fraction (A.3).
    expected_prior: u32,
    received_prior: u32,
    pub duplicates: u32,
    pub reordered: u32,
    /// Far from the others, and never followed: of another sender that took the same SSRC.
    pub strays: u32,
}

/// A bit for each of the last 4096 numbers.
#[derive(Clone, Debug)]
struct Seen([u64; 64]);

impl Seen {
    const fn only(number: u16) -> Self {
        let mut seen = Self([0; 64]);
        seen.set(number, true);
        seen
    }

    const fn bit(number: u16) -> (usize, u64) {
        ((number >> 6) as usize & 63, 1 << (number & 63))
    }

    const fn has(&self, number: u16) -> bool {
        let (word, bit) = Self::bit(number);
        self.0[word] & bit != 0
    }

    const fn set(&mut self, number: u16, came: bool) {
        let (word, bit) = Self::bit(number);
        if came {
            self.0[word] |= bit;
        } else {
            self.0[word] &= !bit;
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Earlier {
    expected: u32,
    received: u32,
    restarts: u32,
}

/// How a packet fits into what came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Next, or a small step ahead of which packets are missing.
    InOrder,
    /// Later than its successor.
    Reordered,
    Duplicate,
    /// Far away from the others: not counted unless its successor follows.
    Stray,
    /// The sender began to count anew.
    Restarted,
}

impl Source {
    /// A source is known from its first packet on; the peer was agreed in SDP, so no proof is awaited.
    #[must_use]
    pub const fn new(first: u16) -> Self {
        Self {
            base: first,
            max: first,
            cycles: 0,
            after_jump: None,
            received: 1,
            seen: Seen::only(first),
            earlier: Earlier {
                expected: 0,
                received: 0,
                restarts: 0,
            },
            expected_prior: 0,
            received_prior: 0,
            duplicates: 0,
            reordered: 0,
            strays: 0,
        }
    }

    /// One more packet (A.1 `update_seq`).
    pub fn update(&mut self, sequence_number: u16) -> Arrival {
        let ahead = sequence_number.wrapping_sub(self.max);
        let behind = self.max.wrapping_sub(sequence_number);
        if ahead == 0 {
            return self.duplicate();
        }
        if ahead < MAX_DROPOUT {
            if sequence_number < self.max {
                self.cycles = self.cycles.wrapping_add(0x1_0000);
            }
            for skipped in 1..ahead {
                self.seen.set(self.max.wrapping_add(skipped), false);
            }
            self.max = sequence_number;
            self.seen.set(sequence_number, true);
            self.after_jump = None;
            self.received += 1;
            return Arrival::InOrder;
        }
        if behind <= MAX_MISORDER || self.misses(behind) {
            return self.late(behind);
        }
        if self.after_jump == Some(sequence_number) {
            self.strays -= 1;
            self.restart(sequence_number.wrapping_sub(1));
            self.update(sequence_number);
            return Arrival::Restarted;
        }
        self.after_jump = Some(sequence_number.wrapping_add(1));
        self.strays += 1;
        Arrival::Stray
    }

    /// How far behind `max` this stretch reaches.
    const fn extent(&self) -> u32 {
        self.extended_max().wrapping_sub(self.base as u32)
    }

    /// A number of this stretch that has not come, and whose bit is not yet used again.
    fn misses(&self, behind: u16) -> bool {
        behind < MAX_DROPOUT
            && u32::from(behind) <= self.extent()
            && !self.seen.has(self.max.wrapping_sub(behind))
    }

    fn late(&mut self, behind: u16) -> Arrival {
        let number = self.max.wrapping_sub(behind);
        if self.seen.has(number) {
            return self.duplicate();
        }
        self.seen.set(number, true);
        self.received += 1;
        self.reordered += 1;
        if self.extent() < u32::from(behind) {
            // It was sent before the first that we heard: the stretch began earlier.
            self.base = number;
            if self.base > self.max && self.cycles == 0 {
                self.cycles = 0x1_0000;
            }
        }
        Arrival::Reordered
    }

    fn duplicate(&mut self) -> Arrival {
        self.received += 1;
        self.duplicates += 1;
        Arrival::Duplicate
    }

    fn restart(&mut self, first: u16) {
        self.earlier = Earlier {
            expected: self.expected(),
            received: self.received(),
            restarts: self.earlier.restarts + 1,
        };
        (self.base, self.max, self.cycles) = (first, first, 0);
        (self.received, self.seen, self.after_jump) = (1, Seen::only(first), None);
    }

    /// Highest sequence number so far.
    pub(super) const fn max(&self) -> u16 {
        self.max
    }

    /// Highest sequence number with its wraps (A.3), as a report block carries it.
    #[must_use]
    pub const fn extended_max(&self) -> u32 {
        self.cycles.wrapping_add(self.max as u32)
    }

    /// Packets that the sender sent between the first and the last we heard.
    #[must_use]
    pub const fn expected(&self) -> u32 {
        self.earlier
            .expected
            .wrapping_add(self.extended_max().wrapping_sub(self.base as u32))
            .wrapping_add(1)
    }

    /// Packets that came, duplicates included (A.3).
    #[must_use]
    pub const fn received(&self) -> u32 {
        self.earlier.received.wrapping_add(self.received)
    }

    /// Expected minus received: negative with duplicates (A.3).
    #[must_use]
    pub fn lost(&self) -> i64 {
        i64::from(self.expected()) - i64::from(self.received())
    }

    #[must_use]
    pub const fn restarts(&self) -> u32 {
        self.earlier.restarts
    }

    /// The fraction lost since the last call of this, in 1/256 (A.3).
    pub fn fraction_lost(&mut self) -> u8 {
        let expected = self.expected().wrapping_sub(self.expected_prior);
        let received = self.received().wrapping_sub(self.received_prior);
        (self.expected_prior, self.received_prior) = (self.expected(), self.received());
        fraction(expected, received)
    }
}

/// Lost over expected in 1/256; everything lost is 255, for 256 does not fit (A.3 leaves it to overflow).
fn fraction(expected: u32, received: u32) -> u8 {
    let Some(lost) = expected.checked_sub(received).filter(|lost| *lost > 0) else {
        return 0;
    };
    u8::try_from((u64::from(lost) << 8) / u64::from(expected)).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(numbers: impl IntoIterator<Item = u16>) -> Source {
        let mut numbers = numbers.into_iter();
        let mut source = Source::new(numbers.next().unwrap());
        for number in numbers {
            source.update(number);
        }
        source
    }

    fn run(first: u16, count: u16) -> Vec<u16> {
        (0..count).map(|n| first.wrapping_add(n)).collect()
    }

    #[test]
    fn lost_is_expected_minus_received() {
        let without = |missing: &[u16]| {
            let all = run(1000, 500);
            all.into_iter()
                .filter(|n| !missing.contains(n))
                .collect::<Vec<_>>()
        };
        let mut swapped = run(0, 500);
        swapped.swap(100, 101);
        let mut doubled = run(0, 500);
        doubled.insert(200, 199);
        // expected, received, lost, duplicates, reordered
        let cases = [
            ("clean", run(1000, 500), (500, 500, 0, 0, 0)),
            (
                "three lost",
                without(&[1100, 1101, 1200]),
                (500, 497, 3, 0, 0),
            ),
            ("swapped", swapped, (500, 500, 0, 0, 1)),
            ("doubled", doubled, (500, 501, -1, 1, 0)),
            ("wrapped", run(65_300, 500), (500, 500, 0, 0, 0)),
            ("wrapped twice", run(65_300, 1000), (1000, 1000, 0, 0, 0)),
            (
                "late over the wrap",
                vec![65_534, 0, 65_535, 1],
                (4, 4, 0, 0, 1),
            ),
            ("first two swapped", vec![1001, 1000, 1002], (3, 3, 0, 0, 1)),
            (
                "first two swapped at the wrap",
                vec![0, 65_535, 1],
                (3, 3, 0, 0, 1),
            ),
            (
                "one stray packet",
                vec![10, 11, 40_000, 12],
                (3, 3, 0, 0, 0),
            ),
        ];
        for (name, numbers, expected) in cases {
            let source = hear(numbers);
            assert_eq!(
                (
                    source.expected(),
                    source.received(),
                    source.lost(),
                    source.duplicates,
                    source.reordered
                ),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn a_restart_loses_one_packet_and_not_thousands() {
        let source = hear(run(1000, 50).into_iter().chain(run(40_000, 50)));
        assert_eq!(source.restarts(), 1);
        // The first packet after the jump was only believed once the second came.
        assert_eq!((source.expected(), source.received()), (100, 100));
    }

    #[test]
    fn what_is_missing_is_late_however_late() {
        // Four seconds and more than a misorder behind.
        let overdue = |late: &[u16]| {
            let all = run(0, 300).into_iter().filter(|n| !late.contains(n));
            hear(all.chain(late.iter().copied()).chain(run(300, 400)))
        };
        for late in [&[100][..], &[100, 101, 102], &[100, 99, 98]] {
            let source = overdue(late);
            let counts = (
                source.expected(),
                source.lost(),
                source.restarts(),
                source.strays,
            );
            assert_eq!(counts, (700, 0, 0, 0), "{late:?}");
            assert_eq!(source.reordered as usize, late.len());
        }
        // Duplicates far behind hide no loss.
        let mut doubled: Vec<u16> = run(0, 200)
            .into_iter()
            .filter(|n| !(50..53).contains(n))
            .collect();
        let at = doubled.iter().position(|n| *n == 150).unwrap();
        doubled.splice(at..at, [80, 81, 82]);
        let source = hear(doubled);
        assert_eq!(
            (source.duplicates, source.lost(), source.reordered),
            (3, 0, 0)
        );
    }

    #[test]
    fn another_sender_is_counted_apart() {
        let pairs = run(0, 300).into_iter().zip(run(30_000, 300));
        let source = hear(pairs.flat_map(|(one, other)| [one, other]));
        assert_eq!(
            (source.received(), source.lost(), source.strays),
            (300, 0, 300)
        );
        let restarted = hear(run(0, 50).into_iter().chain(run(30_000, 50)));
        assert_eq!(restarted.strays, 0);
    }

    #[test]
    fn forged_wraps_overflow_nothing() {
        let mut source = Source::new(0);
        for n in 0..200_000_u32 {
            source.update(u16::try_from(n * 2999 % 65_536).unwrap());
        }
        source.cycles = u32::MAX - 0xffff;
        for number in [65_000, 2000, 1950, 1, 65_535] {
            source.update(number);
        }
    }

    #[test]
    fn fractions_of_the_appendix() {
        for (expected, received, fraction_lost) in [
            (250, 240, 10),
            (250, 251, 0),
            (500, 499, 0),
            (1, 0, 255),
            (0, 0, 0),
        ] {
            assert_eq!(fraction(expected, received), fraction_lost);
        }
        let mut source = hear(run(0, 10).into_iter().chain(run(15, 5)));
        assert_eq!(source.fraction_lost(), 64); // 5 of 20
        run(20, 10).into_iter().for_each(|n| {
            source.update(n);
        });
        assert_eq!(source.fraction_lost(), 0);
    }

    proptest::proptest! {
        #[test]
        fn lost_and_received_sum_to_sent_whatever_the_order(
            first: u16,
            fate in proptest::collection::vec(0_u8..10, 3..400),
            seed: u64,
        ) {
            // Each packet is lost (0), doubled (1) or delivered; neighbours may swap. The two ends arrive.
            let last = fate.len() - 1;
            let mut random = fastrand::Rng::with_seed(seed);
            let mut numbers = Vec::new();
            let mut lost = 0_i64;
            for (n, fate) in fate.iter().enumerate() {
                let number = first.wrapping_add(u16::try_from(n).unwrap());
                match fate {
                    0 if n != 0 && n != last => lost += 1,
                    1 => {
                        numbers.extend([number; 2]);
                        lost -= 1;
                    }
                    _ => numbers.push(number),
                }
            }
            for n in 1..numbers.len() {
                if random.u8(..4) == 0 {
                    numbers.swap(n - 1, n);
                }
            }
            let source = hear(numbers.clone());
            proptest::prop_assert_eq!(source.lost(), lost);
            proptest::prop_assert_eq!(source.received() as usize, numbers.len());
        }
    }
}

//! A story: what happens to the simulated call centre and to us, and when, drawn from a seed.
//!
//! Each seed mixes kinds of happenings in its own proportions, most of them not at all (swarm testing):
//! what goes wrong together is then not always the same.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::post::{Mailbox, Trouble};
use super::world::{How, Part, Vantage};

/// One thing that happens, for some time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Happening {
    /// Milliseconds after the start of the story.
    pub at_ms: u64,
    /// Milliseconds; what is over at once takes none.
    pub for_ms: u64,
    pub what: What,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A part fails: a PBX is killed or frozen, a trunk cut.
    Fails {
        part: Part,
        how: How,
    },
    /// A part comes and goes.
    Flaps {
        part: Part,
        every_ms: u64,
    },
    /// A vantage point has no network.
    Isolated {
        vantage: Vantage,
    },
    /// So many of a thousand packets are lost.
    Loss {
        per_mille: u16,
    },
    /// Our machine wakes us late, by up to this.
    Stalls {
        up_to_ms: u64,
    },
    DnsIsSlow,
    /// The wall clock is set by so many milliseconds.
    ClockSet {
        by_ms: i64,
    },
    /// Our machine sleeps.
    Suspended,
    DiskIsFull,
    DatabaseIsLocked,
    /// kill -9; the service is back when this is over.
    Killed,
    /// The configuration is read again, and is another one.
    Reloaded,
    /// Results are reported twice, and some after they were given up.
    ResultsRepeat,
    /// Somebody does something about what he sees; `choice` says who and what.
    Acts {
        choice: u64,
    },
    /// Alerts do not get through.
    Channel {
        mailbox: Mailbox,
        trouble: Trouble,
    },
}

impl What {
    /// Nothing of the call centre fails: whatever we say then, *down* is wrong.
    #[must_use]
    pub const fn is_noise(&self) -> bool {
        !matches!(self, Self::Fails { .. } | Self::Flaps { .. })
    }
}

/// All that happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Story {
    pub seed: u64,
    pub days: u32,
    /// In order of their beginning.
    pub happenings: Vec<Happening>,
}

/// Nothing happens in the first minutes, so that everything was seen once, nor in the last hour, in which all
/// must become good again.
pub const QUIET_START: Duration = Duration::from_secs(600);
pub const QUIET_END: Duration = Duration::from_secs(3_600);

const DAY_MS: u64 = 86_400_000;
const MINUTE_MS: u64 = 60_000;

impl Story {
    /// The story of this seed: faults of the call centre and of our own.
    #[must_use]
    pub fn of(seed: u64, days: u32) -> Self {
        let mut chance = fastrand::Rng::with_seed(seed);
        let all: &[Draw] = &[
            killed_pbx, frozen_pbx, part_fails, limps, flaps, isolated, loss, stalls, dns, clock,
            suspended, disk, locked, killed, reloaded, repeats,
        ];
        Self::drawn(seed, days, all, &mut chance)
            .with_long_nights()
            .with_people()
    }

    /// Now and then something is down for hours: people are reminded, and times of the contract are over.
    fn with_long_nights(mut self) -> Self {
        let mut chance = fastrand::Rng::with_seed(self.seed ^ 0x6e69_6768_7400_0000);
        for day in 0..u64::from(self.days) {
            if chance.u8(..6) == 0 {
                let (what, _) = part_fails(&mut chance);
                self.happenings.push(Happening {
                    at_ms: day * DAY_MS + chance.u64(10 * MINUTE_MS..720 * MINUTE_MS),
                    for_ms: chance.u64(60 * MINUTE_MS..240 * MINUTE_MS),
                    what,
                });
            }
        }
        self.happenings.sort_by_key(|one| one.at_ms);
        self
    }

    /// A story in which nothing of the call centre fails: any alarm is a false one.
    #[must_use]
    pub fn noise(seed: u64, days: u32) -> Self {
        let mut chance = fastrand::Rng::with_seed(seed ^ 0x6e6f_6973_6500_0000);
        let all: &[Draw] = &[loss, stalls, dns, clock, disk, locked];
        let mut story = Self::drawn(seed, days, all, &mut chance);
        // One packet in a hundred is lost all the time.
        story.happenings.insert(
            0,
            Happening {
                at_ms: 0,
                for_ms: u64::from(days) * DAY_MS,
                what: What::Loss { per_mille: 10 },
            },
        );
        story.with_people()
    }

    /// People act, mostly while something fails and after it, and their alerts do not always get through. Drawn apart:
    /// what else happens in a story does not hang on it.
    fn with_people(mut self) -> Self {
        let mut chance = fastrand::Rng::with_seed(self.seed ^ 0x7065_6f70_6c65_0000);
        let first = millis(QUIET_START);
        let last = (u64::from(self.days) * DAY_MS).saturating_sub(millis(QUIET_END));
        let faults: Vec<(u64, u64)> = self
            .happenings
            .iter()
            .filter(|one| !one.what.is_noise())
            .map(|one| (one.at_ms, one.for_ms))
            .collect();
        for _ in 0..u64::from(self.days) * chance.u64(..16) {
            let anywhen = chance.u64(first..last);
            let at_ms = if faults.is_empty() || chance.u8(..4) == 0 {
                anywhen
            } else {
                let (at_ms, for_ms) = faults[chance.usize(..faults.len())];
                at_ms + chance.u64(..2 * for_ms + 15 * MINUTE_MS)
            };
            self.happenings.push(Happening {
                at_ms: at_ms.min(last),
                for_ms: 0,
                what: What::Acts {
                    choice: chance.u64(..),
                },
            });
        }
        for _ in 0..u64::from(self.days) * chance.u64(..6) {
            let at_ms = chance.u64(first..last);
            let trouble = [Trouble::Refuses, Trouble::Hangs, Trouble::LosesAnswers];
            let what = What::Channel {
                mailbox: Mailbox::ALL[chance.usize(..2)],
                trouble: trouble[chance.usize(..3)],
            };
            self.happenings.push(Happening {
                at_ms,
                for_ms: long(&mut chance).min(last - at_ms),
                what,
            });
        }
        self.happenings.sort_by_key(|one| one.at_ms);
        self
    }

    fn drawn(seed: u64, days: u32, all: &[Draw], chance: &mut fastrand::Rng) -> Self {
        let weights: Vec<u32> = all
            .iter()
            .map(|_| if chance.bool() { chance.u32(1..10) } else { 0 })
            .collect();
        let whole: u32 = weights.iter().sum();
        let first = millis(QUIET_START);
        let last = (u64::from(days) * DAY_MS).saturating_sub(millis(QUIET_END));
        // From a quiet day to a bad one.
        let count = if whole == 0 {
            0
        } else {
            u64::from(days) * chance.u64(2..14)
        };
        let mut happenings: Vec<Happening> = (0..count)
            .map(|_| {
                let mut pick = chance.u32(..whole);
                let mut kind = 0;
                while pick >= weights[kind] {
                    pick -= weights[kind];
                    kind += 1;
                }
                let (what, for_ms) = all[kind](chance);
                let at_ms = chance.u64(first..last);
                Happening {
                    at_ms,
                    for_ms: for_ms.min(last - at_ms),
                    what,
                }
            })
            .collect();
        happenings.sort_by_key(|happening| happening.at_ms);
        Self {
            seed,
            days,
            happenings,
        }
    }
}

type Draw = fn(&mut fastrand::Rng) -> (What, u64);

fn killed_pbx(chance: &mut fastrand::Rng) -> (What, u64) {
    (fails(pbx(chance), How::Refusing), long(chance))
}

fn frozen_pbx(chance: &mut fastrand::Rng) -> (What, u64) {
    (fails(pbx(chance), How::Silent), long(chance))
}

fn part_fails(chance: &mut fastrand::Rng) -> (What, u64) {
    let part = Part::ALL[chance.usize(..Part::ALL.len())];
    let how = [How::Refusing, How::Silent][chance.usize(..2)];
    (fails(part, how), long(chance))
}

fn limps(chance: &mut fastrand::Rng) -> (What, u64) {
    let part = [Part::Xivo1, Part::Xivo2, Part::Site][chance.usize(..3)];
    (fails(part, How::Limping), long(chance))
}

fn flaps(chance: &mut fastrand::Rng) -> (What, u64) {
    let part = Part::ALL[chance.usize(..Part::ALL.len())];
    let every_ms = chance.u64(5_000..180_000);
    (What::Flaps { part, every_ms }, long(chance))
}

fn isolated(chance: &mut fastrand::Rng) -> (What, u64) {
    let vantage = Vantage::ALL[chance.usize(..3)];
    (What::Isolated { vantage }, long(chance))
}

fn loss(chance: &mut fastrand::Rng) -> (What, u64) {
    let per_mille = chance.u16(1..30);
    (What::Loss { per_mille }, long(chance))
}

fn stalls(chance: &mut fastrand::Rng) -> (What, u64) {
    let up_to_ms = chance.u64(50..4_000);
    (What::Stalls { up_to_ms }, long(chance))
}

fn dns(chance: &mut fastrand::Rng) -> (What, u64) {
    (What::DnsIsSlow, long(chance))
}

fn clock(chance: &mut fastrand::Rng) -> (What, u64) {
    let by_ms = chance.i64(-7_200_000..=7_200_000);
    (What::ClockSet { by_ms }, 0)
}

fn suspended(chance: &mut fastrand::Rng) -> (What, u64) {
    (What::Suspended, chance.u64(MINUTE_MS..20 * MINUTE_MS))
}

fn disk(chance: &mut fastrand::Rng) -> (What, u64) {
    (What::DiskIsFull, chance.u64(MINUTE_MS..10 * MINUTE_MS))
}

fn locked(chance: &mut fastrand::Rng) -> (What, u64) {
    (What::DatabaseIsLocked, chance.u64(1_000..MINUTE_MS))
}

fn killed(chance: &mut fastrand::Rng) -> (What, u64) {
    (What::Killed, chance.u64(1_000..5 * MINUTE_MS))
}

fn reloaded(_: &mut fastrand::Rng) -> (What, u64) {
    (What::Reloaded, 0)
}

fn repeats(chance: &mut fastrand::Rng) -> (What, u64) {
    (What::ResultsRepeat, long(chance))
}

const fn fails(part: Part, how: How) -> What {
    What::Fails { part, how }
}

fn pbx(chance: &mut fastrand::Rng) -> Part {
    [Part::Xivo1, Part::Xivo2][chance.usize(..2)]
}

/// From five seconds to forty minutes, the short ones as often as the long ones.
fn long(chance: &mut fastrand::Rng) -> u64 {
    let doublings = chance.u32(..9);
    chance.u64(5_000..10_000) << doublings
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.at_ms / 1_000;
        let (days, of_day) = (seconds / 86_400, seconds % 86_400);
        write!(
            f,
            "day {} {:02}:{:02}:{:02}.{:03}  {:?}",
            days + 1,
            of_day / 3_600,
            of_day / 60 % 60,
            of_day % 60,
            self.at_ms % 1_000,
            self.what
        )?;
        if self.for_ms > 0 {
            write!(
                f,
                " for {:.1} s",
                Duration::from_millis(self.for_ms).as_secs_f64()
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for happening in &self.happenings {
            writeln!(f, "  {happening}")?;
        }
        Ok(())
    }
}

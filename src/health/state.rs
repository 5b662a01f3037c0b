//! Soft and hard states of one probe, as one table.
//!
//! A failure is confirmed by two more in a row, asked for at once; a recovery by a second good run. A call
//! whose voice callers complain of (`Severe`) is degraded, and three in a row that are so or down are down.
//! What we could not see (`Blind`) moves nothing towards down: only time without any conclusive
//! verdict (`Stale`) leads to blind, or a server that refuses our account (`LockedOut`), for it is not asked
//! again soon. The words here are confirmed ones; `health` joins them by target.

use serde::{Deserialize, Serialize};

use crate::probe::Word;

/// So many failures in a row are an outage: the first and two confirmations. Fewer cry wolf on one
/// lost packet pair; more break the 12 seconds of the fast lane.
pub(super) const FAILURES_OF_AN_OUTAGE: u8 = 3;

/// Where a probe stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    Good,
    Degraded,
    Down,
    /// Failing since `seen` runs, the last `downs` of them down, the last `poor` of them severe or down;
    /// `was` is the confirmed word.
    Suspect {
        was: Word,
        seen: u8,
        downs: u8,
        poor: u8,
    },
    /// Better once (`now`); `was` is the confirmed word.
    Recovering {
        was: Word,
        now: Word,
    },
    /// We do not see it; `before` is what was known last.
    Blind {
        before: Option<Word>,
    },
}

/// What happened to a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Good,
    Degraded,
    /// Degraded, and so bad that three in a row are as good as no call.
    Severe,
    Down,
    Blind,
    /// A blind run that repeats itself if asked again: the server refuses our account.
    LockedOut,
    /// Other probes of the same target fail too: one failure of this one is enough.
    Corroborated,
    /// No conclusive verdict for longer than the freshness limit, or too many blind ones in a row (`sight`).
    Stale,
}

/// What an event leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub state: State,
    /// Ask again at once, from another source port.
    pub ask_again: bool,
}

impl From<Word> for Event {
    fn from(word: Word) -> Self {
        match word {
            Word::Good => Self::Good,
            Word::Degraded => Self::Degraded,
            Word::Down => Self::Down,
            Word::Blind => Self::Blind,
        }
    }
}

impl State {
    pub const UNSEEN: Self = Self::Blind { before: None };

    /// The confirmed word.
    #[must_use]
    pub const fn word(self) -> Word {
        match self {
            Self::Good => Word::Good,
            Self::Degraded => Word::Degraded,
            Self::Down => Word::Down,
            Self::Suspect { was, .. } | Self::Recovering { was, .. } => was,
            Self::Blind { .. } => Word::Blind,
        }
    }

    /// Nothing waits to be confirmed.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        match self {
            Self::Good | Self::Degraded | Self::Down | Self::Blind { .. } => true,
            Self::Suspect { .. } | Self::Recovering { .. } => false,
        }
    }

    /// Which way an unsettled state leans: `Some(true)` towards worse.
    #[must_use]
    pub const fn turn(self) -> Option<bool> {
        match self {
            Self::Good | Self::Degraded | Self::Down | Self::Blind { .. } => None,
            Self::Suspect { .. } => Some(true),
            Self::Recovering { .. } => Some(false),
        }
    }

    /// How often in a row it was down and that is not confirmed yet; `None` when it is not failing so.
    #[must_use]
    pub const fn fresh_downs(self) -> Option<u8> {
        match self {
            Self::Suspect { downs, .. } if downs > 0 => Some(downs),
            Self::Suspect { .. }
            | Self::Good
            | Self::Degraded
            | Self::Down
            | Self::Recovering { .. }
            | Self::Blind { .. } => None,
        }
    }

    /// How many runs in a row were severe or down, as far as that is counted.
    #[must_use]
    pub(super) const fn poor(self) -> u8 {
        match self {
            Self::Down => FAILURES_OF_AN_OUTAGE,
            Self::Suspect { poor, .. } => poor,
            Self::Good | Self::Degraded | Self::Recovering { .. } | Self::Blind { .. } => 0,
        }
    }

    /// Does `next` go the way that this unsettled state leans?
    #[must_use]
    pub(super) const fn goes_on_to(self, next: Self) -> bool {
        match (self.turn(), next) {
            (Some(true), Self::Suspect { .. } | Self::Degraded | Self::Down)
            | (Some(false), Self::Recovering { .. } | Self::Degraded | Self::Good) => true,
            (None, _)
            | (Some(true), Self::Good | Self::Recovering { .. } | Self::Blind { .. })
            | (Some(false), Self::Down | Self::Suspect { .. } | Self::Blind { .. }) => false,
        }
    }

    /// Two failures in a row or more.
    #[must_use]
    pub const fn fails_again(self) -> bool {
        match self {
            Self::Down => true,
            Self::Suspect { downs, .. } => downs >= 2,
            Self::Good | Self::Degraded | Self::Recovering { .. } | Self::Blind { .. } => false,
        }
    }

    /// The table.
    #[must_use]
    pub fn step(self, event: Event) -> Step {
        let stay = Step {
            state: self,
            ask_again: false,
        };
        match (self, event) {
            (Self::Good, Event::Good) => stay,
            (Self::Good, Event::Degraded) => suspect(Word::Good, 1, 0, 0),
            (Self::Good, Event::Severe) => suspect(Word::Good, 1, 0, 1),
            (Self::Good, Event::Down) => suspect(Word::Good, 1, 1, 1),
            (Self::Good, Event::Stale) => blind(Word::Good),

            (Self::Degraded, Event::Good) => recovering(Word::Degraded, Word::Good),
            (Self::Degraded, Event::Degraded) => stay,
            (Self::Degraded, Event::Severe) => suspect(Word::Degraded, 1, 0, 1),
            (Self::Degraded, Event::Down) => suspect(Word::Degraded, 1, 1, 1),
            (Self::Degraded, Event::Stale) => blind(Word::Degraded),

            (Self::Down, Event::Good) => recovering(Word::Down, Word::Good),
            (Self::Down, Event::Degraded) => recovering(Word::Down, Word::Degraded),
            // After what made it down this is one more in a row.
            (Self::Down, Event::Severe | Event::Down) => stay,
            (Self::Down, Event::Stale) => blind(Word::Down),

            (Self::Suspect { was, .. }, Event::Good) => match was {
                Word::Degraded | Word::Down => recovering(was, Word::Good),
                Word::Good | Word::Blind => settle(Self::Good),
            },
            (Self::Suspect { was, seen, .. }, Event::Degraded) => {
                if was == Word::Degraded || seen + 1 >= FAILURES_OF_AN_OUTAGE {
                    settle(Self::Degraded)
                } else {
                    suspect(was, seen + 1, 0, 0)
                }
            }
            (
                Self::Suspect {
                    was, seen, poor, ..
                },
                Event::Severe,
            ) => {
                if poor + 1 >= FAILURES_OF_AN_OUTAGE {
                    settle(Self::Down)
                } else if was == Word::Degraded || seen + 1 >= FAILURES_OF_AN_OUTAGE {
                    // Degraded is sure; the count towards down goes on.
                    suspect(Word::Degraded, poor + 1, 0, poor + 1)
                } else {
                    suspect(was, seen + 1, 0, poor + 1)
                }
            }
            (
                Self::Suspect {
                    was,
                    seen,
                    downs,
                    poor,
                },
                Event::Down,
            ) => {
                if poor + 1 >= FAILURES_OF_AN_OUTAGE {
                    settle(Self::Down)
                } else {
                    suspect(
                        was,
                        seen.saturating_add(1).min(FAILURES_OF_AN_OUTAGE),
                        downs + 1,
                        poor + 1,
                    )
                }
            }
            (Self::Suspect { downs, .. }, Event::Corroborated) => {
                if downs > 0 {
                    settle(Self::Down)
                } else {
                    stay
                }
            }
            (Self::Suspect { was, .. } | Self::Recovering { was, .. }, Event::Stale) => blind(was),

            (Self::Recovering { now, .. }, Event::Good) => match now {
                Word::Good => settle(Self::Good),
                Word::Degraded | Word::Down | Word::Blind => settle(Self::Degraded),
            },
            (Self::Recovering { .. }, Event::Degraded) => settle(Self::Degraded),
            (Self::Recovering { was, .. }, Event::Severe) => match was {
                Word::Down => settle(Self::Down),
                Word::Good | Word::Degraded | Word::Blind => suspect(Word::Degraded, 1, 0, 1),
            },
            (Self::Recovering { was, .. }, Event::Down) => match was {
                Word::Down => settle(Self::Down),
                Word::Good | Word::Degraded | Word::Blind => suspect(was, 1, 1, 1),
            },

            (Self::Blind { before }, Event::Good) => match before {
                Some(Word::Down | Word::Degraded) => recovering(Word::Blind, Word::Good),
                Some(Word::Good | Word::Blind) | None => settle(Self::Good),
            },
            (Self::Blind { before }, Event::Degraded) => match before {
                Some(Word::Degraded) => settle(Self::Degraded),
                Some(Word::Good | Word::Down | Word::Blind) | None => suspect(Word::Blind, 1, 0, 0),
            },
            (Self::Blind { before }, Event::Severe) => match before {
                Some(Word::Degraded) => suspect(Word::Degraded, 1, 0, 1),
                Some(Word::Good | Word::Down | Word::Blind) | None => suspect(Word::Blind, 1, 0, 1),
            },
            // The same on both sides of the time we did not see: it is still down.
            (Self::Blind { before }, Event::Down) => match before {
                Some(Word::Down) => settle(Self::Down),
                Some(Word::Good | Word::Degraded | Word::Blind) | None => {
                    suspect(Word::Blind, 1, 1, 1)
                }
            },
            (Self::Blind { .. }, Event::Stale | Event::LockedOut) => stay,
            (state, Event::LockedOut) => blind(state.word()),

            (
                Self::Good
                | Self::Degraded
                | Self::Down
                | Self::Suspect { .. }
                | Self::Recovering { .. }
                | Self::Blind { .. },
                Event::Blind,
            )
            | (
                Self::Good
                | Self::Degraded
                | Self::Down
                | Self::Recovering { .. }
                | Self::Blind { .. },
                Event::Corroborated,
            ) => stay,
        }
    }
}

const fn suspect(was: Word, seen: u8, downs: u8, poor: u8) -> Step {
    Step {
        state: State::Suspect {
            was,
            seen,
            downs,
            poor,
        },
        ask_again: true,
    }
}

const fn recovering(was: Word, now: Word) -> Step {
    Step {
        state: State::Recovering { was, now },
        ask_again: true,
    }
}

const fn settle(state: State) -> Step {
    Step {
        state,
        ask_again: false,
    }
}

const fn blind(before: Word) -> Step {
    settle(State::Blind {
        before: match before {
            Word::Good | Word::Degraded | Word::Down => Some(before),
            Word::Blind => None,
        },
    })
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Good => f.write_str("good"),
            Self::Degraded => f.write_str("degraded"),
            Self::Down => f.write_str("down"),
            Self::Suspect {
                was,
                seen,
                downs,
                poor,
            } if poor == downs => write!(f, "{was}, failed {seen} ({downs} down)"),
            Self::Suspect {
                was,
                seen,
                downs,
                poor,
            } => write!(f, "{was}, failed {seen} ({downs} down, {poor} poor)"),
            Self::Recovering { was, now } => write!(f, "{was}, {now} once"),
            Self::Blind { before: None } => f.write_str("unseen"),
            Self::Blind { before: Some(word) } => write!(f, "blind, was {word}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::fmt::Write as _;

    const EVENTS: [Event; 8] = [
        Event::Good,
        Event::Degraded,
        Event::Severe,
        Event::Down,
        Event::Blind,
        Event::LockedOut,
        Event::Corroborated,
        Event::Stale,
    ];

    /// Every state that can be reached, with where each event leads. `+` asks again at once.
    #[test]
    fn the_table() {
        let mut rows: BTreeMap<String, [String; 8]> = BTreeMap::new();
        let mut open = vec![State::UNSEEN];
        while let Some(state) = open.pop() {
            if rows.contains_key(&state.to_string()) {
                continue;
            }
            let cells = EVENTS.map(|event| {
                let step = state.step(event);
                open.push(step.state);
                let again = if step.ask_again { " +" } else { "" };
                if step.state == state && !step.ask_again {
                    "·".to_owned()
                } else {
                    format!("{}{again}", step.state)
                }
            });
            rows.insert(state.to_string(), cells);
        }
        let mut table = format!("{:36}", "");
        for event in EVENTS {
            write!(table, "| {:36}", format!("{event:?}")).unwrap();
        }
        for (state, cells) in rows {
            write!(table, "\n{state:36}").unwrap();
            for cell in cells {
                write!(table, "| {cell:36}").unwrap();
            }
        }
        let table: Vec<_> = table.lines().map(str::trim_end).collect();
        insta::assert_snapshot!(table.join("\n"));
    }

    proptest! {
        #[test]
        fn without_a_down_verdict_nothing_is_ever_down(
            events in prop::collection::vec(0..6_usize, 0..60),
        ) {
            let quiet = [
                Event::Good,
                Event::Degraded,
                Event::Blind,
                Event::LockedOut,
                Event::Corroborated,
                Event::Stale,
            ];
            let mut state = State::UNSEEN;
            for event in events {
                state = state.step(quiet[event]).state;
                prop_assert_ne!(state.word(), Word::Down);
            }
        }

        #[test]
        fn three_downs_are_down_and_two_goods_are_good_from_anywhere(
            events in prop::collection::vec(0..8_usize, 0..60),
        ) {
            let start = events.into_iter().fold(State::UNSEEN, |s, e| s.step(EVENTS[e]).state);
            let down = (0..3).fold(start, |s, _| s.step(Event::Down).state);
            prop_assert_eq!(down, State::Down, "from {}", start);
            let good = (0..3).fold(start, |s, _| s.step(Event::Good).state);
            prop_assert_eq!(good, State::Good, "from {}", start);
        }

        #[test]
        fn three_that_are_severe_or_down_are_down_from_anywhere(
            events in prop::collection::vec(0..8_usize, 0..60),
            three in prop::array::uniform3(prop::bool::ANY),
        ) {
            let start = events.into_iter().fold(State::UNSEEN, |s, e| s.step(EVENTS[e]).state);
            let poor = three.map(|severe| if severe { Event::Severe } else { Event::Down });
            let end = poor.into_iter().fold(start, |s, e| s.step(e).state);
            prop_assert_eq!(end, State::Down, "from {}", start);
        }

        #[test]
        fn fewer_severe_ones_in_a_row_are_never_down(
            events in prop::collection::vec((0..6_usize, 0..3_usize), 0..30),
        ) {
            let quiet = [
                Event::Good,
                Event::Degraded,
                Event::Good,
                Event::LockedOut,
                Event::Degraded,
                Event::Stale,
            ];
            let mut state = State::UNSEEN;
            for (event, severe) in events {
                state = state.step(quiet[event]).state;
                for _ in 0..severe {
                    state = state.step(Event::Severe).state;
                    state = state.step(Event::Blind).state;
                    state = state.step(Event::Corroborated).state;
                    prop_assert_ne!(state.word(), Word::Down);
                }
            }
        }
    }
}

//! How the tests of the four machines print their tables and run their timers.

use std::fmt::{Debug, Write as _};

use crate::time::Instant;

/// The moment at which every row of a table happens: one second after the states began.
pub(super) const LATER: Instant = Instant(1_000_000_000);

/// One line per state and event: the next state, and what to do.
pub(super) fn print<S: Copy + Debug + PartialEq, E: Copy + Debug, F: Debug + 'static>(
    states: &[S],
    events: &[E],
    on: impl Fn(S, E) -> (S, &'static [F]),
) -> String {
    let mut text = String::new();
    for state in states {
        writeln!(text, "{state:?}").unwrap();
        for event in events {
            let (next, effects) = on(*state, *event);
            let event = format!("{event:?}");
            if next == *state && effects.is_empty() {
                writeln!(text, "  {event:<15} -").unwrap();
            } else if next == *state {
                writeln!(text, "  {event:<15} {effects:?}").unwrap();
            } else {
                writeln!(text, "  {event:<15} {effects:?} -> {next:?}").unwrap();
            }
        }
    }
    text
}

/// Lets only timers happen until none is left, one line for each.
pub(super) fn run<S: Copy, E: Copy + Debug, F: Debug + 'static>(
    mut state: S,
    deadline: impl Fn(S) -> Option<Instant>,
    due: impl Fn(S, Instant) -> Option<E>,
    on: impl Fn(S, Instant, E) -> (S, &'static [F]),
) -> Vec<String> {
    let mut log = Vec::new();
    while let Some(now) = deadline(state) {
        assert!(log.len() < 100, "a timer that never ends");
        let event = due(state, now).expect("a timer fires at its deadline");
        let (next, effects) = on(state, now, event);
        log.push(format!("{now:?} {event:?} {effects:?}"));
        state = next;
    }
    log
}

//! What is known of one probe: its state, its last result, its counts.

use std::time::Duration;

use super::sight::{Run, Sight};
use super::state::{Event, State};
use super::{ProbeSettings, UNBORN};
use crate::probe::{Failure, Measure, Word};
use crate::time::{Instant, Now, Utc};

/// A conclusive verdict keeps its probe fresh for so many intervals (and one time-out). Fewer turn a
/// single skipped run into blindness; more show an old proof as a new one.
const FRESH_INTERVALS: u32 = 3;

/// A hint that failed for less than this when the oracle began to fail speaks of the same outage. A hint
/// asks the oracle at once; a call waits for its trunk, so less misses it; more takes the failure of a
/// ping that was switched off a while ago for news.
const SAME_OUTAGE: Duration = Duration::from_secs(30);

/// One finished run, as the engine hands it in.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// When the run was started, on our own clock.
    pub started: Instant,
    /// When its first packet left.
    pub sent: Utc,
    pub word: Word,
    pub failure: Option<Failure>,
    pub took_ns: Option<u64>,
    pub measures: Vec<Measure>,
    /// DTMF heard by a call.
    pub signature: Option<String>,
}

/// What a finished run asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Next {
    /// Ask again at once, from another source port.
    pub(super) ask_again: bool,
    /// Too many blind runs in a row: what was known is stale.
    pub(super) lost_sight: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub(super) settings: ProbeSettings,
    pub(super) state: State,
    pub(super) sight: Sight,
    /// Send time of the first run that led to the present word.
    pub(super) since: Utc,
    /// Send time of the first run that pointed away from it.
    pub(super) turned: Utc,
    /// Send time of the first run of the present series that is severe or down.
    pub(super) poor_from: Utc,
    /// Start of the first run of the present series of failures.
    pub(super) first_failed: Option<Instant>,
    /// When the present word was confirmed.
    pub(super) confirmed_at: Instant,
    /// Start of the last run that told anything; `None` if it was before this boot.
    pub(super) conclusive: Option<Instant>,
    /// Start of the last good run; `None` if it was before this boot.
    pub(super) proved: Option<Instant>,
    /// End of that run; decides freshness.
    pub(super) seen_at: Option<Instant>,
    /// The last run of all.
    pub last: Option<Seen>,
    /// The failure that the present series began with.
    pub(super) failure: Option<Failure>,
    pub last_good: Option<Utc>,
    pub(super) last_signature: Option<String>,
    /// Since start, by word, in the order of `Word::ALL`.
    pub runs: [u64; 4],
}

impl Record {
    pub(super) fn new(settings: ProbeSettings, now: Now) -> Self {
        Self {
            settings,
            state: State::UNSEEN,
            sight: Sight::Clear,
            since: now.utc,
            turned: now.utc,
            poor_from: now.utc,
            first_failed: None,
            confirmed_at: now.instant,
            conclusive: None,
            proved: None,
            seen_at: None,
            last: None,
            failure: None,
            last_good: None,
            last_signature: None,
            runs: [0; 4],
        }
    }

    /// It is asked for the first time from now on, if it was not known before.
    pub(super) fn born(&mut self, now: Now) {
        if self.since == UNBORN {
            (self.since, self.turned) = (now.utc, now.utc);
            self.confirmed_at = now.instant;
        }
    }

    /// Would this verdict change anything but counts and the last result? If not, it needs no fact.
    #[must_use]
    pub fn is_news(&self, word: Word, failure: Option<&Failure>) -> bool {
        match word {
            Word::Good => {
                self.state != State::Good
                    || self
                        .last
                        .as_ref()
                        .is_some_and(|last| last.word == Word::Blind)
            }
            Word::Degraded | Word::Down => true,
            Word::Blind => !self.last.as_ref().is_some_and(|last| {
                last.word == Word::Blind
                    && last.failure.as_ref().map(|f| &f.code) == failure.map(|f| &f.code)
            }),
        }
    }

    /// Takes in a finished run. `ended` is `None` for a run that the journal tells from an earlier boot.
    pub(super) fn observe(&mut self, ended: Option<Instant>, seen: Seen) -> Next {
        self.runs[index(seen.word)] += 1;
        match seen.word {
            Word::Good => {
                self.last_good = Some(seen.sent);
                self.proved = ended.map(|_| seen.started);
                self.last_signature.clone_from(&seen.signature);
            }
            Word::Degraded => self.last_signature.clone_from(&seen.signature),
            Word::Down | Word::Blind => {}
        }
        if seen.word != Word::Blind {
            self.conclusive = ended.map(|_| seen.started);
            self.seen_at = ended;
        }
        if matches!(seen.word, Word::Degraded | Word::Down) {
            self.first_failed.get_or_insert(seen.started);
            self.failure.clone_from(&seen.failure);
        }
        let locked_out = seen.failure.as_ref().is_some_and(Failure::is_of_login);
        let severe = seen.failure.as_ref().is_some_and(|failure| failure.severe);
        let event = match seen.word {
            Word::Blind if locked_out => Event::LockedOut,
            Word::Degraded if severe => Event::Severe,
            Word::Good | Word::Degraded | Word::Down | Word::Blind => Event::from(seen.word),
        };
        let sent = seen.sent;
        self.last = Some(seen);
        let sight = self.sight.step(match event {
            Event::Blind => Run::Blind,
            Event::Good
            | Event::Degraded
            | Event::Severe
            | Event::Down
            | Event::LockedOut
            | Event::Corroborated
            | Event::Stale => Run::Conclusive,
        });
        self.sight = sight.sight;
        let ask_again = self.step(ended.unwrap_or_default(), event, sent);
        let knew = self.stale_at().is_some();
        Next {
            ask_again: ask_again || knew && sight.ask_again,
            lost_sight: knew && sight.sight == Sight::Lost,
        }
    }

    /// Any event; `sent` is when the run that brought it left.
    pub(super) fn step(&mut self, at: Instant, event: Event, sent: Utc) -> bool {
        let before = self.state;
        let step = before.step(event);
        self.state = step.state;
        if !before.goes_on_to(step.state) {
            self.turned = sent;
        }
        if before.poor() == 0 && step.state.poor() > 0 {
            self.poor_from = sent;
        }
        if before.word() != step.state.word() {
            self.confirmed_at = at;
            self.since = match step.state.word() {
                Word::Down => self.poor_from,
                Word::Good | Word::Degraded | Word::Blind => self.turned,
            };
        }
        if step.state == State::Good {
            self.first_failed = None;
            self.failure = None;
        }
        step.ask_again
    }

    /// Shows every stamp of the wall clock that is remembered.
    pub(super) fn each_stamp(&mut self, visit: &mut dyn FnMut(&mut Utc)) {
        let stamps = [&mut self.since, &mut self.turned, &mut self.poor_from];
        stamps.into_iter().for_each(&mut *visit);
        self.last_good.iter_mut().for_each(&mut *visit);
        if let Some(last) = &mut self.last {
            visit(&mut last.sent);
        }
    }

    /// When this becomes stale, if nothing conclusive comes; `None` if it is blind already.
    pub(super) fn stale_at(&self) -> Option<Instant> {
        match self.state {
            State::Blind { .. } => None,
            State::Good
            | State::Degraded
            | State::Down
            | State::Suspect { .. }
            | State::Recovering { .. } => {
                Some(self.seen_at.map_or_else(Instant::default, |seen| {
                    seen + self.settings.every * FRESH_INTERVALS + self.settings.timeout
                }))
            }
        }
    }

    /// We were watching at `beat`, and what the journal tells last of this is good. Good runs have no fact
    /// each, but a bad one would have, and so would a proof that grew stale: it was fresh then.
    pub(super) fn good_until(&mut self, beat: Instant) {
        let was_good = self
            .last
            .as_ref()
            .is_some_and(|last| last.word == Word::Good);
        if was_good && self.state == State::Good {
            self.seen_at = self.seen_at.max(Some(beat));
        }
    }

    /// Does the failure of this hint make one failure of `oracle` enough? Only if both are of one outage:
    /// it was good once, began to fail not long before the oracle, and the oracle was not good since. A
    /// ping that is never answered says nothing about a call that failed once.
    pub(super) fn corroborates(&self, oracle: &Self) -> bool {
        let (Some(began), Some(failed)) = (self.first_failed, oracle.first_failed) else {
            return false;
        };
        self.state.fails_again()
            && self.last_good.is_some()
            && failed.since(began) <= SAME_OUTAGE
            && oracle.proved.is_none_or(|good| good < began)
    }

    /// A good run that started after `when` proves that it works in spite of what failed then.
    pub(super) fn is_good_since(&self, when: Instant) -> bool {
        self.state == State::Good && self.conclusive.is_some_and(|started| started >= when)
    }
}

const fn index(word: Word) -> usize {
    match word {
        Word::Good => 0,
        Word::Degraded => 1,
        Word::Down => 2,
        Word::Blind => 3,
    }
}

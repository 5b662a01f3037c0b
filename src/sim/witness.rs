//! Who knows the truth and hears what we say of it: outages of each target and line, seen or not.

use std::collections::VecDeque;
use std::time::Duration;

use super::plant::{CALL_PATIENCE, PATIENCE, Pace};
use super::property::Moment;
use super::world::{ASKED, Asked, World};
use crate::engine::plant::Plant;
use crate::health::standing::{Change, Subject};
use crate::probe::Word;
use crate::time::Instant;

/// A failure that ended this long before its alarm was still one when the runs left that confirmed it: three
/// calls in a row, each with its time-out.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(45);

/// Past outages are kept for this many turns, to look up the moment that a start or an end names.
const REMEMBERED: usize = 64;

/// Results that left in a trouble of our own have come by then, and what they began is settled.
const UNTROUBLED_AFTER: Duration = Duration::from_secs(900);

/// What waited for a trouble to be over has left by then.
const AT_EASE_AFTER: Duration = Duration::from_secs(60);

/// An allowance of 90 calls an hour, a third of it saved, lasts for so many turns in so long: each outage
/// takes three calls to confirm and two to end.
const SPENT_BY: usize = 4;
const SPENT_WITHIN: Duration = Duration::from_secs(1_800);

#[derive(Debug)]
pub(super) struct Witness {
    watched: Vec<Watched>,
    /// Troubles of our own that go on now.
    troubles: u32,
    /// When the last one ended.
    trouble_over: Option<Instant>,
    pub(super) outages: u64,
    pub(super) outages_to_see: u64,
    pub(super) outages_seen: u64,
    pub(super) alarms: u64,
    pub(super) detection: Vec<Duration>,
    pub(super) blind: Duration,
}

#[derive(Debug)]
struct Watched {
    subject: Subject,
    /// What decides its truth.
    by: &'static Asked,
    /// From the truth to our word, at most.
    budget: Duration,
    /// Without any result for so long it is unseen.
    fresh_for: Duration,
    /// It is in the plant of the present configuration.
    is_watched: bool,
    /// When the first of the last runs that saw the same left, and whether they saw a failure.
    series: Option<(Instant, bool)>,
    outage: Option<Open>,
    past: VecDeque<(Instant, Instant)>,
    word: Word,
    /// It was down when we lost sight of it.
    was_down: bool,
    blind_since: Option<Instant>,
}

#[derive(Debug)]
struct Open {
    from: Instant,
    /// Since when nothing of our own kept us from seeing it.
    clear: Option<Instant>,
    said: bool,
}

impl Witness {
    pub(super) fn new(now: Instant, plant: &Plant, pace: Pace) -> Self {
        let targets = plant.targets.iter().map(|target| {
            let name = target.id.as_str();
            let by = decider(
                &[
                    format!("{name}/call"),
                    format!("{name}/options"),
                    format!("{name}/ping"),
                    format!("{name}/http"),
                ],
                name,
            );
            (Subject::Target(target.id.clone()), by)
        });
        let line = plant.lines.iter().map(|line| {
            let by = decider(&["patton/call".to_owned()], "the line");
            (Subject::Line(line.id.clone()), by)
        });
        let watched = targets
            .chain(line)
            .map(|(subject, by)| Watched {
                budget: budget(&subject, by, pace),
                fresh_for: pace.call.max(pace.slow) * 3 + CALL_PATIENCE + Duration::from_secs(60),
                subject,
                by,
                is_watched: true,
                series: None,
                outage: None,
                past: VecDeque::new(),
                word: Word::Blind,
                was_down: false,
                blind_since: Some(now),
            })
            .collect();
        Self {
            watched,
            troubles: 0,
            trouble_over: Some(now),
            outages: 0,
            outages_to_see: 0,
            outages_seen: 0,
            alarms: 0,
            detection: Vec::new(),
            blind: Duration::ZERO,
        }
    }

    pub(super) fn subjects(&self) -> usize {
        self.watched.len()
    }

    /// The truth may have changed.
    pub(super) fn look(&mut self, at: Instant, world: &World, tell: &mut impl FnMut(&Moment<'_>)) {
        let clear = (self.troubles == 0).then(|| self.trouble_over.unwrap_or(at).max(at));
        for one in &mut self.watched {
            let is_down = world.fate(one.by).is_down();
            match (&one.outage, is_down) {
                (None, true) => {
                    self.outages += 1;
                    one.outage = Some(Open {
                        from: at,
                        clear: clear.filter(|_| one.is_watched),
                        said: one.word == Word::Down,
                    });
                }
                (Some(open), false) => {
                    let visible = open.clear.map_or(Duration::ZERO, |clear| at.since(clear));
                    self.outages_seen += u64::from(open.said);
                    self.outages_to_see += u64::from(open.said || visible > one.budget);
                    if !open.said {
                        tell(&Moment::Outage {
                            subject: &one.subject,
                            visible,
                            budget: one.budget,
                            said: false,
                        });
                    }
                    one.past.push_back((open.from, at));
                    if one.past.len() > REMEMBERED {
                        one.past.pop_front();
                    }
                    one.outage = None;
                }
                (None, false) | (Some(_), true) => {}
            }
        }
    }

    /// A run left and sees this.
    pub(super) fn ran(&mut self, at: Instant, asked: &Asked, word: Word) {
        let failed = match word {
            Word::Good | Word::Degraded => false,
            Word::Down => true,
            Word::Blind => return,
        };
        for one in &mut self.watched {
            if one.by.name == asked.name && one.series.is_none_or(|(_, before)| before != failed) {
                one.series = Some((at, failed));
            }
        }
    }

    /// Nothing of our own had a part in what we say now.
    fn is_untroubled(&self, at: Instant) -> bool {
        let over = self.trouble_over.unwrap_or(at);
        self.troubles == 0 && at.since(over) > UNTROUBLED_AFTER
    }

    /// Nothing of our own slows us down, nor did a minute ago.
    pub(super) fn is_at_ease(&self, at: Instant) -> bool {
        let over = self.trouble_over.unwrap_or(at);
        self.troubles == 0 && at.since(over) > AT_EASE_AFTER
    }

    /// A trouble of our own begins.
    pub(super) fn trouble(&mut self) {
        self.troubles += 1;
        for open in self
            .watched
            .iter_mut()
            .filter_map(|one| one.outage.as_mut())
        {
            open.clear = None;
        }
    }

    pub(super) fn trouble_over(&mut self, at: Instant) {
        self.troubles -= 1;
        self.trouble_over = self.trouble_over.max(Some(at));
        if self.troubles == 0 {
            for one in self.watched.iter_mut().filter(|one| one.is_watched) {
                if let Some(open) = &mut one.outage {
                    open.clear = self.trouble_over;
                }
            }
        }
    }

    /// We said this of a subject. `starts` are the moments that its *since* may name.
    pub(super) fn said(
        &mut self,
        at: Instant,
        change: &Change,
        starts: &[Instant],
        tell: &mut impl FnMut(&Moment<'_>),
    ) {
        let untroubled = self.is_untroubled(at);
        let Some(one) = self
            .watched
            .iter_mut()
            .find(|one| one.subject == change.subject)
        else {
            return;
        };
        let before = std::mem::replace(&mut one.word, change.to.word);
        if let Some(since) = one.blind_since.take() {
            self.blind += at.since(since);
        }
        match change.to.word {
            Word::Blind => {
                one.was_down = before == Word::Down;
                one.blind_since = Some(at);
                let ago = self.trouble_over.map(|over| at.since(over));
                tell(&Moment::Blinded {
                    subject: &one.subject,
                    trouble_ago: if self.troubles > 0 {
                        Some(Duration::ZERO)
                    } else {
                        ago
                    },
                    fresh_for: one.fresh_for,
                    calls_are_spent: one.has_spent_its_calls(at),
                });
            }
            Word::Down => {
                let again = before == Word::Blind && one.was_down;
                self.alarms += 1;
                tell(&Moment::Turned {
                    subject: &one.subject,
                    is_down: true,
                    truly_of_late: one.was_down_of_late(at),
                    truly_then: one.truth_at_any(starts, true),
                    first_of_its_series: one.is_first(starts, true).filter(|_| untroubled),
                    again,
                });
                if let Some(open) = &mut one.outage
                    && !open.said
                {
                    open.said = true;
                    self.detection.push(at.since(open.from));
                    let visible = open.clear.map_or(Duration::ZERO, |clear| at.since(clear));
                    tell(&Moment::Outage {
                        subject: &one.subject,
                        visible,
                        budget: one.budget,
                        said: true,
                    });
                }
            }
            Word::Good | Word::Degraded => {
                if before == Word::Down {
                    tell(&Moment::Turned {
                        subject: &one.subject,
                        is_down: false,
                        truly_of_late: one.was_down_of_late(at),
                        truly_then: one.truth_at_any(starts, false),
                        first_of_its_series: one.is_first(starts, false).filter(|_| untroubled),
                        again: false,
                    });
                    // It fell again between the run that left well and our word.
                    if let Some(open) = &mut one.outage {
                        open.said = false;
                        open.clear = open.clear.map(|_| at);
                    }
                }
            }
        }
    }

    /// After a restart: what the journal says is what we have said.
    pub(super) fn taken_over(&mut self, at: Instant, word_of: impl Fn(&Subject) -> Option<Word>) {
        for one in &mut self.watched {
            let Some(word) = word_of(&one.subject) else {
                continue;
            };
            if one.word == word {
                continue;
            }
            one.was_down |= one.word == Word::Down;
            one.word = word;
            if let Some(since) = one.blind_since.take() {
                self.blind += at.since(since);
            }
            one.blind_since = (word == Word::Blind).then_some(at);
            if let Some(open) = &mut one.outage {
                open.said = word == Word::Down;
            }
        }
    }

    /// These are watched no more, or again: nothing is known of them.
    pub(super) fn replanted(&mut self, at: Instant, is_watched: impl Fn(&Subject) -> bool) {
        for one in &mut self.watched {
            let was_watched = std::mem::replace(&mut one.is_watched, is_watched(&one.subject));
            if one.is_watched != was_watched {
                one.word = Word::Blind;
                one.was_down = false;
                if let Some(since) = one.blind_since.take() {
                    self.blind += at.since(since);
                }
                if let Some(open) = &mut one.outage {
                    open.said = false;
                    // Nobody can see what is not in the plant.
                    open.clear = one.is_watched.then_some(at);
                }
            }
        }
    }
}

impl Watched {
    /// Whether one of these moments began the series of runs that failed, or did not. A gateway is well again
    /// when its call is, too.
    fn is_first(&self, starts: &[Instant], failed: bool) -> Option<bool> {
        let (first, _) = self.series.filter(|(_, seen)| *seen == failed)?;
        (failed || self.by.name != "patton/options").then_some(starts.contains(&first))
    }

    /// A PBX that comes and goes is called at each turn, until the allowance of its trunk is used up.
    fn has_spent_its_calls(&self, at: Instant) -> bool {
        let recent = |(_, to): &&(Instant, Instant)| at.since(*to) <= SPENT_WITHIN;
        self.by.name.ends_with("/call") && self.past.iter().filter(recent).count() >= SPENT_BY
    }

    fn was_down_of_late(&self, at: Instant) -> bool {
        let recent = self.past.back();
        self.outage.is_some() || recent.is_some_and(|(_, to)| at.since(*to) <= CONFIRMED_WITHIN)
    }

    fn was_down_at(&self, at: Instant) -> bool {
        let open = self.outage.as_ref().is_some_and(|open| at >= open.from);
        open || self.past.iter().any(|(from, to)| at >= *from && at < *to)
    }

    /// The truth at one of these moments, the wanted one if there is a choice.
    fn truth_at_any(&self, moments: &[Instant], wanted: bool) -> Option<bool> {
        let mut truths = moments.iter().map(|at| self.was_down_at(*at)).peekable();
        truths.peek()?;
        Some(if truths.any(|truth| truth == wanted) {
            wanted
        } else {
            !wanted
        })
    }
}

fn decider(names: &[String], of: &str) -> &'static Asked {
    // The gateway's call proves the line, not the gateway.
    let is_own = |asked: &&Asked| of != "patton" || asked.name != "patton/call";
    names
        .iter()
        .find_map(|name| ASKED.iter().filter(is_own).find(|asked| asked.name == name))
        .expect("the world knows every probe of the plant")
}

/// How long an outage may last, and we see it, before we have to say so: one interval, the time-out of a first
/// run and of two confirmations with their pauses, and the word of the parents.
fn budget(subject: &Subject, by: &Asked, pace: Pace) -> Duration {
    const PAUSES: Duration = Duration::from_secs(1);
    const EXPLAINED: Duration = Duration::from_secs(6);
    let pings = PATIENCE * 3 + PAUSES + EXPLAINED;
    // A call may wait for one that runs and for the pause of a crisis.
    let calls = CALL_PATIENCE * 4 + PAUSES + EXPLAINED + Duration::from_secs(10);
    match subject {
        Subject::Line(_) => pace.call + calls,
        // The OPTIONS asks for the call at once.
        Subject::Target(_) if by.name.ends_with("/call") => pace.fast + calls,
        Subject::Target(_) if by.name == "patton/options" => pace.fast + pings,
        Subject::Target(_) => pace.slow + pings,
    }
}

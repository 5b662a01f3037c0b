//! What must hold in any world, each under its name, checked on every moment of a story.
//!
//! A property is a plain function on a [`Moment`]; one more is one more row of [`PROPERTIES`]. The names P8 to
//! P14 are those of the design; P5, P6, P7 and P13 speak of incidents, calendars and the duty roster.

use std::fmt;
use std::time::Duration;

use super::world::SECRET;
use crate::engine::fact::{Fact, Hash};
use crate::health::standing::Subject;
use crate::probe::Word;
use crate::time::{Instant, Utc};

/// What a property is asked about.
#[derive(Debug)]
pub enum Moment<'a> {
    /// A fact was made.
    Fact {
        fact: &'a Fact,
        last: Option<&'a Fact>,
        /// How far the wall clock was from the boot clock before any step, and all steps told since, in
        /// nanoseconds.
        offset_ns: i64,
        absence: Option<Absence>,
    },
    /// The journal was read by a fresh engine, or could not be.
    Read(Result<(), String>),
    /// What the page tells live, and what it tells after the journal was replayed.
    Replayed { live: &'a str, replayed: &'a str },
    /// A result came twice or too late; the page before and after it.
    Repeated { before: &'a str, after: &'a str },
    /// A page is to be shown with this fact, the last made being `made`.
    Page { fact: u64, made: u64 },
    /// The service was killed and is back: what the journal said last of a subject, and what is said now.
    Back {
        subject: &'a Subject,
        journal: &'a Told,
        now: &'a Told,
    },
    /// A subject was said to be down, or to be it no more.
    Turned {
        subject: &'a Subject,
        is_down: bool,
        /// Whether it was truly down now or just before.
        truly_of_late: bool,
        /// Whether it was truly down when the run was sent that the turn counts from; `None` if there was
        /// no such run.
        truly_then: Option<bool>,
        /// Whether that run was the first of the series that led here; `None` if our own troubles, or another
        /// probe of the same subject, may have had a part in it.
        first_of_its_series: Option<bool>,
        /// Whether it had been down, unseen in between.
        again: bool,
    },
    /// An outage is judged: how long it could be seen undisturbed, and when we said so.
    Outage {
        subject: &'a Subject,
        visible: Duration,
        budget: Duration,
        said: bool,
    },
    /// We said that we do not see this; our own side was last in trouble so long ago.
    Blinded {
        subject: &'a Subject,
        trouble_ago: Option<Duration>,
        fresh_for: Duration,
        /// It came and went so often that its trunk has no calls left for us: callers need them.
        calls_are_spent: bool,
    },
    /// Nothing failed for an hour.
    Calm { subject: &'a Subject, now: &'a Told },
}

/// What a page says of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    pub word: Word,
    pub since: Utc,
    pub confirmed: bool,
}

/// A time in which nobody watched.
#[derive(Clone, Copy, Debug)]
pub struct Absence {
    pub from: Instant,
    pub to: Instant,
    /// The journal could not be written before it: facts were lost with the process.
    pub facts_lost: bool,
}

/// One rule.
#[derive(Clone, Copy, Debug)]
pub struct Property {
    pub name: &'static str,
    pub check: fn(&Moment<'_>) -> Result<(), String>,
}

/// All rules; a moment is shown to each.
pub const PROPERTIES: &[Property] = &[
    Property {
        name: "facts form a chain",
        check: chain,
    },
    Property {
        name: "no page is ahead of the journal",
        check: page,
    },
    Property {
        name: "never down without a truth that is bad",
        check: no_false_alarm,
    },
    Property {
        name: "every outage is seen within its budget",
        check: no_missed_outage,
    },
    Property {
        name: "never blind without a trouble of our own",
        check: no_idle_blindness,
    },
    Property {
        name: "time in which nobody watched is accounted for",
        check: absence_told,
    },
    Property {
        name: "all is good again when nothing fails",
        check: calm,
    },
    Property {
        name: "P8: the journal replayed gives the same page",
        check: replayed,
    },
    Property {
        name: "P9: a late or repeated result changes nothing",
        check: repeated,
    },
    Property {
        name: "P10: a restart keeps the start of what is down",
        check: back,
    },
    Property {
        name: "P11: a step of the clock is told and bends no duration",
        check: clock,
    },
    Property {
        name: "P14: no secret in any fact",
        check: no_secret,
    },
];

/// A rule that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub property: &'static str,
    /// After the start of the story.
    pub after: Duration,
    pub words: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.after.as_secs();
        write!(
            f,
            "{}: day {} {:02}:{:02}:{:02}: {}",
            self.property,
            seconds / 86_400 + 1,
            seconds % 86_400 / 3_600,
            seconds / 60 % 60,
            seconds % 60,
            self.words
        )
    }
}

fn holds(condition: bool, words: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(words()) }
}

fn chain(moment: &Moment<'_>) -> Result<(), String> {
    if let Moment::Read(read) = moment {
        return read.clone();
    }
    let Moment::Fact { fact, last, .. } = moment else {
        return Ok(());
    };
    let (seq, hash) = last.map_or((0, Hash::default()), |last| (last.seq, last.hash));
    holds(fact.seq == seq + 1 && fact.prev == hash, || {
        format!(
            "fact {} ({}) does not follow fact {seq}",
            fact.seq, fact.kind
        )
    })
}

fn page(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Page { fact, made } = moment else {
        return Ok(());
    };
    holds(fact <= made, || {
        format!("a page shows fact {fact}; the last one is {made}")
    })
}

fn no_false_alarm(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Turned {
        subject,
        is_down: true,
        truly_of_late,
        ..
    } = moment
    else {
        return Ok(());
    };
    holds(*truly_of_late, || {
        format!("{subject:?} is said to be down and is not")
    })
}

fn no_missed_outage(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Outage {
        subject,
        visible,
        budget,
        said,
    } = moment
    else {
        return Ok(());
    };
    holds(visible <= budget, || {
        let end = if *said {
            "was said only then"
        } else {
            "was not said"
        };
        format!("{subject:?} was down for us to see for {visible:?} of {budget:?} and {end}")
    })
}

fn no_idle_blindness(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Blinded {
        subject,
        trouble_ago,
        fresh_for,
        calls_are_spent,
    } = moment
    else {
        return Ok(());
    };
    let in_trouble = trouble_ago.is_some_and(|ago| ago <= *fresh_for);
    holds(in_trouble || *calls_are_spent, || {
        format!("{subject:?} is said to be unseen; our own side was in trouble {trouble_ago:?} ago")
    })
}

/// Heartbeats are 5 s apart; one may be due at the very moment.
const SHARP: Duration = Duration::from_secs(6);

fn absence_told(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Fact {
        fact,
        last: Some(last),
        absence: Some(absence),
        ..
    } = moment
    else {
        return Ok(());
    };
    let told = fact.boot.since(last.boot);
    let true_gap = absence.to.since(absence.from);
    holds(told >= true_gap, || {
        format!("nobody watched for {true_gap:?}; the journal tells {told:?}")
    })?;
    let early = absence.from.since(last.boot);
    holds(absence.facts_lost || early <= SHARP, || {
        format!("the journal ends {early:?} before we went away")
    })
}

fn calm(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Calm { subject, now } = moment else {
        return Ok(());
    };
    holds(now.word == Word::Good && now.confirmed, || {
        format!(
            "{subject:?} is still {} after an hour of calm: {now:?}",
            now.word
        )
    })
}

fn replayed(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Replayed { live, replayed } = moment else {
        return Ok(());
    };
    holds(live == replayed, || {
        let at = live
            .bytes()
            .zip(replayed.bytes())
            .take_while(|(a, b)| a == b)
            .count();
        let near = |text: &str| {
            let bytes = &text.as_bytes()[at.saturating_sub(120).min(text.len())..];
            String::from_utf8_lossy(&bytes[..bytes.len().min(240)]).into_owned()
        };
        format!("live …{}…, replayed …{}…", near(live), near(replayed))
    })
}

fn repeated(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Repeated { before, after } = moment else {
        return Ok(());
    };
    holds(before == after, || {
        format!("before {before}, after {after}")
    })
}

fn back(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Back {
        subject,
        journal,
        now,
    } = moment
    else {
        return Ok(());
    };
    let kept = match now.word {
        Word::Down => now.since == journal.since,
        // Away for longer than a proof is fresh.
        Word::Blind => true,
        Word::Good | Word::Degraded => false,
    };
    holds(journal.word != Word::Down || kept, || {
        format!("{subject:?} was {journal:?} and is {now:?}")
    })
}

/// The clocks of one fact are read at one moment, so only rounding may differ.
const IN_STEP_NS: u64 = 1_000_000;

fn clock(moment: &Moment<'_>) -> Result<(), String> {
    if let Moment::Fact {
        fact, offset_ns, ..
    } = moment
    {
        let boot = i64::try_from(fact.boot.0).unwrap_or(i64::MAX);
        let astray = (fact.utc.0 - boot).abs_diff(*offset_ns);
        return holds(astray <= IN_STEP_NS, || {
            format!(
                "fact {} is {astray} ns off what the journal tells of steps",
                fact.seq
            )
        });
    }
    let Moment::Turned {
        subject,
        is_down,
        truly_then,
        first_of_its_series,
        again,
        ..
    } = moment
    else {
        return Ok(());
    };
    let side = if *is_down { "start" } else { "end" };
    holds(*again || *first_of_its_series != Some(false), || {
        format!("the {side} told of {subject:?} was not the first run that saw it")
    })?;
    holds(*again || *truly_then == Some(*is_down), || {
        format!("the {side} told of {subject:?} was not one in truth ({truly_then:?})")
    })
}

fn no_secret(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Fact { fact, .. } = moment else {
        return Ok(());
    };
    holds(!fact.payload.contains(SECRET), || {
        format!("fact {} ({}) holds a secret", fact.seq, fact.kind)
    })
}

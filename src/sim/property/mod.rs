//! What must hold in any world, each under its name, checked on every moment of a story.
//!
//! A property is a plain function on a [`Moment`]; one more is one more row of [`PROPERTIES`]. The names P8 to
//! P14 are those of the design; what of them is checked, and how, stands in `docs/simulation.md`.

mod alerts;
mod incidents;
mod people;
mod watching;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::alert::notice::Notice;
use crate::alert::settings::{Channel, ChannelName};
use crate::engine::fact::Fact;
use crate::health::standing::Subject;
use crate::incident::IncidentId;
use crate::incident::act::{Act, Refusal};
use crate::incident::book::{Incident, State};
use crate::incident::span::Span;
use crate::incident::step::Step;
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
    /// The engine decided about an incident: what it was before (`None`: there was none), and what it is.
    Decided {
        step: &'a Step,
        was: Option<(State, &'a Spans)>,
        is: &'a Incident,
        rested: Rested,
    },
    /// A person acted: the spans of all incidents that were concerned, before and after.
    Rearranged { before: &'a Spans, after: &'a Spans },
    /// A subject is down, and so many open incidents say so.
    Held { subject: &'a Subject, by: usize },
    /// Nothing failed for an hour; these incidents are not closed.
    Quiet { open: &'a [IncidentId] },
    /// A book read from facts was compared with that of the engine: an incident that is another one there, and
    /// whether proposals or planned work are.
    Survived {
        differing: Option<IncidentId>,
        people_differ: bool,
    },
    /// A restoration clock, and the seconds that an oracle counts; the edges of hours and exclusions make it
    /// unsharp by so much.
    Counted {
        incident: IncidentId,
        net: Duration,
        seconds: Duration,
        edges: Duration,
    },
    /// The same clock over an outage that is split, paused or longer.
    Varied {
        incident: IncidentId,
        what: &'static str,
        before: Duration,
        after: Duration,
        holds: bool,
    },
    /// A person acted and has his answer; `fact` is the act that became a fact meanwhile, with its author.
    Acted {
        act: &'a Act,
        must_be_refused: bool,
        outcome: &'a Result<u64, Refusal>,
        fact: Option<(u64, &'a str)>,
        /// Facts made meanwhile, the act's own and all that follow from it.
        facts_made: u64,
    },
    /// What a clock counts before an act and after it.
    Recounted {
        act: &'a Act,
        incident: IncidentId,
        before: (Duration, Duration),
        after: (Duration, Duration),
    },
    /// The outbox took a notice over; `in_hand`: somebody has acknowledged it.
    Owed {
        notice: &'a Notice,
        to: &'a [ChannelName],
        in_hand: bool,
    },
    /// A notice is handed to its far end.
    Handed(Sent<'a>),
    /// The end of the story: a notice that never left.
    Unsent {
        channel: &'a str,
        notice: Option<&'a str>,
    },
    /// The end of the story: an alarm that was heard, and whose end was not.
    Unended {
        channel: &'a str,
        key: Option<&'a str>,
    },
}

/// What failed when, in order.
pub type Spans = BTreeMap<Subject, Vec<Span>>;

/// The fact that a decision names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rested {
    /// It confirmed this word of the same subject.
    On(Word),
    /// Time passed, or it is watched no more.
    OnTime,
    OnNothing,
}

/// One notice on its way.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    pub channel: &'a Channel,
    pub notice: &'a Notice,
    /// Since it was decided and this channel was free; `None` if other things may have delayed it.
    pub waited: Option<Duration>,
    /// Another message left shortly before.
    pub in_digest: bool,
    /// Planned work goes on until then.
    pub held_until: Option<Utc>,
    /// The fact that says that it has arrived already.
    pub known: Option<u64>,
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
        check: watching::chain,
    },
    Property {
        name: "no page is ahead of the journal",
        check: watching::page,
    },
    Property {
        name: "never down without a truth that is bad",
        check: watching::no_false_alarm,
    },
    Property {
        name: "every outage is seen within its budget",
        check: watching::no_missed_outage,
    },
    Property {
        name: "never blind without a trouble of our own",
        check: watching::no_idle_blindness,
    },
    Property {
        name: "time in which nobody watched is accounted for",
        check: watching::absence_told,
    },
    Property {
        name: "all is good again when nothing fails",
        check: watching::calm,
    },
    Property {
        name: "P8: the journal replayed gives the same page",
        check: watching::replayed,
    },
    Property {
        name: "P9: a late or repeated result changes nothing",
        check: watching::repeated,
    },
    Property {
        name: "P10: a restart keeps the start of what is down",
        check: watching::back,
    },
    Property {
        name: "P11: a step of the clock is told and bends no duration",
        check: watching::clock,
    },
    Property {
        name: "P14: no secret in any fact",
        check: watching::no_secret,
    },
    Property {
        name: "P5: an incident closes once, and no span that ended is edited",
        check: incidents::once,
    },
    Property {
        name: "P5: every incident is closed after an hour of calm",
        check: incidents::closed,
    },
    Property {
        name: "an incident rests on a failure that was confirmed, never on blindness",
        check: incidents::rests_on_a_failure,
    },
    Property {
        name: "what is down is in one open incident",
        check: incidents::held_once,
    },
    Property {
        name: "P6: a clock shows the seconds that count",
        check: incidents::counted,
    },
    Property {
        name: "P7: parts add up, a pause never adds, longer is never less",
        check: incidents::varied,
    },
    Property {
        name: "P10: a restart keeps all incidents and acts",
        check: incidents::survived,
    },
    Property {
        name: "an act that is accepted is a fact, an absurd one is refused",
        check: people::answered,
    },
    Property {
        name: "an act that is refused changes nothing",
        check: people::refused,
    },
    Property {
        name: "exclusions and corrections leave the raw figure",
        check: people::raw,
    },
    Property {
        name: "P13: an outage is always somebody's to hear",
        check: alerts::somebody,
    },
    Property {
        name: "nobody is reminded of what is in hand",
        check: alerts::in_hand,
    },
    Property {
        name: "a first alert leaves at once, the rest in digests, whatever other channels do",
        check: alerts::at_once,
    },
    Property {
        name: "nobody is told again what he is known to have heard",
        check: alerts::once,
    },
    Property {
        name: "planned work holds an alert",
        check: alerts::held,
    },
    Property {
        name: "what is in the outbox is sent",
        check: alerts::sent,
    },
    Property {
        name: "whoever heard the alarm hears the end",
        check: alerts::ended,
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

//! What a simulated story was, in figures.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// The figures of one story, or of many together.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    pub days: u32,
    pub happenings: usize,
    pub runs: u64,
    pub facts: u64,
    /// Bytes of all payloads.
    pub bytes: u64,
    pub restarts: u64,
    /// Outages of a target or a line in truth.
    pub outages: u64,
    /// Those that could be seen, undisturbed, for longer than the detection budget.
    pub outages_to_see: u64,
    pub outages_seen: u64,
    /// Times that something was said to be down.
    pub alarms: u64,
    /// From the truth to our word for it; nanoseconds, sorted by `median`.
    #[serde(skip)]
    pub detection: Vec<Duration>,
    /// Facts that opened one.
    pub incidents: u64,
    /// Acts of people that became facts; others were refused.
    pub acts: u64,
    pub refusals: u64,
    /// Notices that the outbox took over, and messages handed to a channel.
    pub notices: u64,
    pub messages: u64,
    /// Clocks whose seconds were counted.
    pub clocks: u64,
    /// Nobody watched: suspended, or killed.
    pub away: Duration,
    /// Time in which a target or a line was said to be unseen, of all of them together.
    pub blind: Duration,
    pub subjects: usize,
    /// Hash of the last fact, of the first story if there are many.
    pub hash: String,
}

impl Summary {
    pub fn add(&mut self, other: Self) {
        self.days += other.days;
        self.happenings += other.happenings;
        self.runs += other.runs;
        self.facts += other.facts;
        self.bytes += other.bytes;
        self.restarts += other.restarts;
        self.outages += other.outages;
        self.outages_to_see += other.outages_to_see;
        self.outages_seen += other.outages_seen;
        self.alarms += other.alarms;
        self.incidents += other.incidents;
        self.acts += other.acts;
        self.refusals += other.refusals;
        self.notices += other.notices;
        self.messages += other.messages;
        self.clocks += other.clocks;
        self.detection.extend(other.detection);
        self.away += other.away;
        self.blind += other.blind;
        self.subjects = self.subjects.max(other.subjects);
        if self.hash.is_empty() {
            self.hash = other.hash;
        }
    }

    /// Fastest, middle and slowest detection.
    #[must_use]
    pub fn detected_in(&self) -> Option<[Duration; 3]> {
        let mut sorted = self.detection.clone();
        sorted.sort();
        let middle = sorted.get(sorted.len() / 2)?;
        Some([*sorted.first()?, *middle, *sorted.last()?])
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} days, {} happenings, {} restarts",
            self.days, self.happenings, self.restarts
        )?;
        writeln!(
            f,
            "{} runs, {} facts ({:.1} MB), last hash {}",
            self.runs,
            self.facts,
            self.bytes as f64 / 1e6,
            self.hash
        )?;
        writeln!(
            f,
            "{} outages in truth, {} long enough to see, {} seen; {} alarms",
            self.outages, self.outages_to_see, self.outages_seen, self.alarms
        )?;
        if let Some([fastest, middle, slowest]) = self.detected_in() {
            writeln!(
                f,
                "seen after {:.1} s at best, {:.1} s in the middle, {:.1} s at worst",
                fastest.as_secs_f64(),
                middle.as_secs_f64(),
                slowest.as_secs_f64()
            )?;
        }
        writeln!(
            f,
            "{} incidents, {} clocks counted; {} acts, {} refused; {} notices in {} messages",
            self.incidents, self.clocks, self.acts, self.refusals, self.notices, self.messages
        )?;
        write!(
            f,
            "nobody watched for {:.0} s; {:.0} s of blindness over {} targets and lines",
            self.away.as_secs_f64(),
            self.blind.as_secs_f64(),
            self.subjects
        )
    }
}

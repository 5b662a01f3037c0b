//! The promises of the outbox as stories, and then with chance: whatever happens in whatever order, nothing is
//! lost, doubled, or told to the wrong ones, and a crash at any record changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::alert::message::tests::{START, channel};
use crate::alert::settings::Filter;
use crate::incident::IncidentId;
use crate::probe::Word;

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// What the engine does around an outbox: facts in, decisions recorded and applied, messages sent and answered.
#[derive(Clone, Debug)]
struct Desk {
    outbox: Outbox,
    channels: Vec<Channel>,
    journal: Vec<(Utc, Entry)>,
    now: Utc,
    /// What arrived: channel, its key, and `reason:key` of its notices.
    arrived: Vec<(ChannelName, String, Vec<String>)>,
    /// Facts on disk, at least: what let a message leave.
    committed: usize,
}

/// A fact, as far as the outbox reads it.
#[derive(Clone, Debug)]
enum Entry {
    Owe(Notice),
    Acknowledged(String),
    Quiet(String, Utc),
    Closed(String),
    Merged(String, IncidentId),
    Stepped(i64),
    Alert(Record),
}

impl Desk {
    fn with(channels: Vec<Channel>) -> Self {
        Self {
            outbox: Outbox::new(channels.clone()),
            channels,
            journal: Vec::new(),
            now: START,
            arrived: Vec::new(),
            committed: 0,
        }
    }

    fn fold(outbox: &mut Outbox, seq: u64, at: Utc, entry: &Entry) {
        match entry {
            Entry::Owe(notice) => outbox.owe(notice.clone()),
            Entry::Acknowledged(key) => outbox.acknowledged(key),
            Entry::Quiet(key, until) => outbox.quiet(key, *until),
            Entry::Closed(key) => outbox.closed(key, at),
            Entry::Merged(key, into) => outbox.merged(key, *into, at),
            Entry::Stepped(by_ns) => {
                outbox.each_stamp(&mut |at| at.0 = at.0.saturating_add(*by_ns));
            }
            Entry::Alert(record) => outbox.apply(seq, at, record),
        }
    }

    fn record(&mut self, entry: Entry) {
        self.journal.push((self.now, entry.clone()));
        let seq = self.seq();
        Self::fold(&mut self.outbox, seq, self.now, &entry);
    }

    fn seq(&self) -> u64 {
        self.journal.len() as u64
    }

    /// A fact happens, and what follows from it at once.
    fn fact(&mut self, entry: Entry) {
        self.record(entry);
        self.decide();
    }

    fn decide(&mut self) {
        for _ in 0..10_000 {
            let Some(record) = self.outbox.due(self.now) else {
                return;
            };
            self.record(Entry::Alert(record));
        }
        panic!("it never ends: {:?}", self.outbox.due(self.now));
    }

    /// Everything is committed, and every message that may leave arrives.
    fn deliver(&mut self) {
        while let Some(outgoing) = self.outbox.sendable(self.now, self.seq()) {
            self.answer(&outgoing, Ok(()));
        }
    }

    fn answer(&mut self, outgoing: &Outgoing, outcome: Result<(), Failure>) {
        self.committed = self.journal.len();
        if outcome.is_ok() {
            self.arrived.push((
                outgoing.channel.name.clone(),
                outgoing.key(),
                outgoing
                    .notices
                    .iter()
                    .map(|notice| format!("{}:{}", notice.reason.as_str(), notice.key))
                    .collect(),
            ));
        }
        let record = self.outbox.tried(outgoing.id, outcome);
        self.record(Entry::Alert(record));
        self.decide();
    }

    fn after(&mut self, later: Duration) {
        self.now = self.now + later;
        self.decide();
    }

    /// Goes on to whatever comes next, for so long, delivering all.
    fn run_for(&mut self, during: Duration) {
        let end = self.now + during;
        self.deliver();
        while let Some(at) = self.outbox.deadline(self.now) {
            if at > end {
                break;
            }
            self.now = self.now.max(at);
            self.decide();
            self.deliver();
        }
        self.now = end;
        self.decide();
        self.deliver();
    }

    /// kill -9: of the journal only the first `kept` facts were committed.
    fn crash(&mut self, kept: usize) {
        self.journal.truncate(kept);
        self.outbox = Self::replayed(&self.channels, &self.journal);
        self.decide();
    }

    fn replayed(channels: &[Channel], journal: &[(Utc, Entry)]) -> Outbox {
        let mut outbox = Outbox::new(channels.to_vec());
        for (index, (at, entry)) in journal.iter().enumerate() {
            Self::fold(&mut outbox, index as u64 + 1, *at, entry);
        }
        outbox
    }

    /// What arrived at a channel, message by message.
    fn told(&self, name: &str) -> Vec<String> {
        self.arrived
            .iter()
            .filter(|(channel, ..)| channel == name)
            .map(|(_, _, notices)| notices.join(" "))
            .collect()
    }

    fn about(&self, incident: u64, reason: Reason, word: Word) -> Notice {
        let since = self.now;
        Notice::of_incident(
            IncidentId(incident),
            reason,
            self.seq(),
            "XIVO 1",
            (word, "ne répond pas".to_owned()),
            (since, self.now),
        )
    }

    fn owe(&mut self, incident: u64, reason: Reason, word: Word) {
        let notice = self.about(incident, reason, word);
        self.fact(Entry::Owe(notice));
    }
}

fn picky(name: &str, min: Word) -> Channel {
    Channel {
        filter: Filter {
            min,
            ..Filter::default()
        },
        ..channel(name)
    }
}

#[test]
fn the_first_alert_leaves_at_once_and_the_rest_five_seconds_later_together() {
    let mut desk = Desk::with(vec![channel("mail")]);
    desk.owe(1, Reason::Opened, Word::Down);
    desk.deliver();
    assert_eq!(desk.told("mail"), ["opened:incident-1"]);
    for incident in 2..=4 {
        desk.after(Duration::from_millis(500));
        desk.owe(incident, Reason::Opened, Word::Down);
        desk.deliver();
    }
    assert_eq!(desk.told("mail").len(), 1);
    desk.run_for(seconds(4));
    assert_eq!(
        desk.told("mail")[1..],
        ["opened:incident-2 opened:incident-3 opened:incident-4"]
    );
}

#[test]
fn six_hundred_targets_that_fall_at_once_are_one_message() {
    let mut desk = Desk::with(vec![channel("mail"), channel("hook")]);
    for incident in 1..=650 {
        let notice = desk.about(incident, Reason::Opened, Word::Down);
        desk.record(Entry::Owe(notice));
    }
    desk.decide();
    desk.deliver();
    assert_eq!(desk.told("mail").len(), 1);
    assert_eq!(desk.told("mail")[0].split(' ').count(), 650);
    assert_eq!(desk.outbox.deadline(desk.now), None);
}

#[test]
fn nothing_leaves_before_its_record_is_committed() {
    let mut desk = Desk::with(vec![channel("mail")]);
    desk.owe(1, Reason::Opened, Word::Down);
    let queued = desk.seq();
    assert_eq!(desk.outbox.sendable(desk.now, queued - 1), None);
    assert!(desk.outbox.sendable(desk.now, queued).is_some());
    // One at a time.
    assert_eq!(desk.outbox.sendable(desk.now, queued), None);
}

#[test]
fn a_recovery_is_told_to_whoever_heard_the_alarm_and_to_nobody_else() {
    let mut desk = Desk::with(vec![
        picky("all", Word::Degraded),
        picky("down-only", Word::Down),
    ]);
    desk.owe(1, Reason::Opened, Word::Degraded);
    desk.run_for(seconds(60));
    desk.owe(1, Reason::Restored, Word::Good);
    desk.run_for(seconds(60));
    assert_eq!(
        desk.told("all"),
        ["opened:incident-1", "restored:incident-1"]
    );
    assert_eq!(desk.told("down-only"), [""; 0]);

    // It grows down: now both hear of it, and of its end.
    desk.owe(2, Reason::Opened, Word::Degraded);
    desk.owe(2, Reason::Worse, Word::Down);
    desk.run_for(seconds(60));
    desk.owe(2, Reason::Restored, Word::Good);
    desk.run_for(seconds(60));
    assert_eq!(
        desk.told("down-only"),
        ["worse:incident-2", "restored:incident-2"]
    );
}

#[test]
fn a_recovery_is_told_after_a_restart_and_under_another_configuration() {
    let mut desk = Desk::with(vec![channel("mail"), channel("gone")]);
    desk.owe(1, Reason::Opened, Word::Down);
    desk.run_for(seconds(60));
    // Another file: `mail` wants other groups now, `gone` is gone, `new` is new.
    let mut mail = channel("mail");
    mail.filter.groups = vec!["Linux".to_owned()];
    desk.channels = vec![mail, channel("new")];
    desk.crash(desk.journal.len());
    let mut restored = desk.about(1, Reason::Restored, Word::Good);
    restored.groups = vec!["Téléphonie".to_owned()];
    desk.fact(Entry::Owe(restored));
    desk.run_for(seconds(60));
    assert_eq!(
        desk.told("mail"),
        ["opened:incident-1", "restored:incident-1"]
    );
    assert_eq!(desk.told("new"), [""; 0]);
    assert_eq!(desk.told("gone"), ["opened:incident-1"]);
    // It comes back, and hears what waited for it.
    desk.channels.push(channel("gone"));
    desk.outbox.reconfigure(desk.channels.clone());
    desk.decide();
    desk.run_for(seconds(60));
    assert_eq!(
        desk.told("gone"),
        ["opened:incident-1", "restored:incident-1"]
    );
}

#[test]
fn a_provider_that_hangs_delays_nobody_else() {
    let mut desk = Desk::with(vec![channel("hangs"), channel("works")]);
    desk.owe(1, Reason::Opened, Word::Down);
    let hanging = desk.outbox.sendable(desk.now, desk.seq()).unwrap();
    assert_eq!(hanging.channel.name, "hangs");
    desk.deliver();
    for incident in 2..=6 {
        desk.after(seconds(10));
        desk.owe(incident, Reason::Opened, Word::Down);
        desk.deliver();
    }
    assert_eq!(desk.told("works").len(), 6);
    // When it answers at last, what came meanwhile is one message.
    desk.answer(&hanging, Ok(()));
    desk.deliver();
    assert_eq!(desk.told("hangs").len(), 2);
    assert_eq!(desk.told("hangs")[1].split(' ').count(), 5);
}

#[test]
fn a_failed_message_is_tried_again_for_ever_under_the_same_key() {
    let mut desk = Desk::with(vec![channel("mail")]);
    desk.owe(1, Reason::Opened, Word::Down);
    let mut pauses = Vec::new();
    let mut keys = BTreeSet::new();
    for _ in 0..10 {
        let outgoing = desk.outbox.sendable(desk.now, desk.seq()).unwrap();
        keys.insert(outgoing.key());
        desk.answer(&outgoing, Err(Failure::passing("no answer")));
        let at = desk.outbox.deadline(desk.now).unwrap();
        pauses.push(at.since(desk.now).as_secs());
        assert_eq!(desk.outbox.sendable(desk.now, desk.seq()), None);
        desk.now = at;
    }
    assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300, 300, 300]);
    assert_eq!(keys.len(), 1);
    let stuck: Vec<_> = desk.outbox.stuck().collect();
    assert_eq!((stuck[0].channel, stuck[0].tries), ("mail", 10));
    desk.deliver();
    assert_eq!(desk.told("mail"), ["opened:incident-1"]);
    assert_eq!(desk.outbox.stuck().count(), 0);
}

#[test]
fn what_is_refused_holds_up_nothing_behind_it() {
    let mut desk = Desk::with(vec![channel("mail")]);
    desk.owe(1, Reason::Opened, Word::Down);
    let outgoing = desk.outbox.sendable(desk.now, desk.seq()).unwrap();
    desk.answer(&outgoing, Err(Failure::refused("550 no such user")));
    desk.after(seconds(10));
    desk.owe(2, Reason::Opened, Word::Down);
    desk.deliver();
    assert_eq!(desk.told("mail"), ["opened:incident-2"]);
    // Its end takes it along: no alarm arrives after its own end.
    desk.after(seconds(10));
    desk.owe(1, Reason::Restored, Word::Good);
    desk.deliver();
    assert_eq!(
        desk.told("mail")[1..],
        ["opened:incident-1 restored:incident-1"]
    );
}

#[test]
fn what_is_refused_is_tried_again_once_somebody_may_have_mended_it() {
    let mut desk = Desk::with(vec![channel("mail")]);
    desk.owe(1, Reason::Opened, Word::Down);
    let outgoing = desk.outbox.sendable(desk.now, desk.seq()).unwrap();
    desk.answer(&outgoing, Err(Failure::refused("550 no such user")));
    desk.run_for(seconds(14 * 60));
    assert_eq!(desk.told("mail"), [""; 0]);
    desk.run_for(seconds(60));
    assert_eq!(desk.told("mail"), ["opened:incident-1"]);
}

#[test]
fn reminders_come_until_somebody_has_it_in_hand_and_again_when_it_gets_worse() {
    let every = seconds(1800);
    let mut desk = Desk::with(vec![
        Channel {
            reminder: Some(every),
            ..channel("mail")
        },
        channel("without"),
    ]);
    desk.owe(1, Reason::Opened, Word::Down);
    desk.run_for(seconds(3 * 1800 + 60));
    assert_eq!(
        desk.told("mail")[1..],
        [
            "reminder:incident-1",
            "reminder:incident-1",
            "reminder:incident-1"
        ]
    );
    assert_eq!(desk.told("without").len(), 1);
    desk.fact(Entry::Acknowledged("incident-1".to_owned()));
    desk.run_for(seconds(4 * 1800));
    assert_eq!(desk.told("mail").len(), 4);
    desk.owe(1, Reason::Worse, Word::Down);
    desk.run_for(seconds(1860));
    assert_eq!(
        desk.told("mail")[4..],
        ["worse:incident-1", "reminder:incident-1"]
    );
    desk.owe(1, Reason::Restored, Word::Good);
    desk.run_for(seconds(4 * 1800));
    assert_eq!(desk.told("mail").len(), 7);
}

#[test]
fn a_provider_that_was_dead_for_hours_is_not_flooded_with_reminders() {
    let mut desk = Desk::with(vec![Channel {
        reminder: Some(seconds(600)),
        ..channel("mail")
    }]);
    desk.owe(1, Reason::Opened, Word::Down);
    for _ in 0..40 {
        let at = desk.outbox.deadline(desk.now).unwrap_or(desk.now);
        desk.now = desk.now.max(at);
        desk.decide();
        if let Some(outgoing) = desk.outbox.sendable(desk.now, desk.seq()) {
            desk.answer(&outgoing, Err(Failure::passing("no answer")));
        }
    }
    desk.run_for(seconds(301));
    assert_eq!(desk.told("mail")[0], "opened:incident-1");
    assert!(desk.told("mail").len() <= 2, "{:?}", desk.told("mail"));
}

#[test]
fn planned_work_holds_an_alarm_and_gives_it_when_it_ends() {
    let mut desk = Desk::with(vec![channel("mail")]);
    let end = desk.now + seconds(3600);
    let mut opened = desk.about(1, Reason::Opened, Word::Down);
    opened.quiet_until = Some(end);
    desk.fact(Entry::Owe(opened));
    desk.run_for(seconds(3599));
    assert_eq!(desk.told("mail"), [""; 0]);
    assert_eq!(desk.outbox.deadline(desk.now), Some(end));
    desk.run_for(seconds(1));
    assert_eq!(desk.told("mail"), ["opened:incident-1"]);
}

#[test]
fn what_was_held_and_recovered_is_told_as_one_when_the_work_ends() {
    let mut desk = Desk::with(vec![channel("mail")]);
    let end = desk.now + seconds(3600);
    let mut opened = desk.about(1, Reason::Opened, Word::Down);
    opened.quiet_until = Some(end);
    desk.fact(Entry::Owe(opened));
    desk.run_for(seconds(600));
    desk.owe(1, Reason::Restored, Word::Good);
    desk.run_for(seconds(900));
    desk.fact(Entry::Closed("incident-1".to_owned()));
    // The work takes longer.
    desk.fact(Entry::Quiet("incident-1".to_owned(), end + seconds(600)));
    desk.run_for(seconds(2200));
    assert_eq!(desk.told("mail"), [""; 0]);
    desk.run_for(seconds(600));
    assert_eq!(desk.told("mail"), ["opened:incident-1 restored:incident-1"]);
}

#[test]
fn a_target_that_is_watched_no_more_ends_its_alarm() {
    let mut desk = Desk::with(vec![channel("mail")]);
    desk.owe(1, Reason::Opened, Word::Down);
    desk.run_for(seconds(60));
    desk.fact(Entry::Closed("incident-1".to_owned()));
    desk.run_for(seconds(60));
    assert_eq!(
        desk.told("mail"),
        ["opened:incident-1", "dropped:incident-1"]
    );
}

#[test]
fn who_heard_of_an_incident_hears_the_end_of_the_one_it_became_part_of() {
    let mut desk = Desk::with(vec![
        picky("all", Word::Degraded),
        picky("down", Word::Down),
    ]);
    desk.owe(1, Reason::Opened, Word::Degraded);
    desk.owe(2, Reason::Opened, Word::Down);
    desk.run_for(seconds(60));
    desk.fact(Entry::Merged("incident-2".to_owned(), IncidentId(1)));
    desk.run_for(seconds(60));
    desk.owe(1, Reason::Restored, Word::Good);
    desk.run_for(seconds(60));
    assert_eq!(
        desk.told("down"),
        [
            "opened:incident-2",
            "merged:incident-2",
            "restored:incident-1"
        ]
    );
}

#[test]
fn a_journal_of_old_faults_tells_nobody_of_them() {
    let mut desk = Desk::with(vec![channel("mail")]);
    let failure = crate::probe::Failure::new(crate::probe::Blame::Ours, "store_full", "x");
    let past = |hours| START - seconds(hours * 3600);
    for hours in [90, 50] {
        let began = Notice::own_fault(&failure, 1000 - hours, past(hours));
        let ended =
            Notice::own_fault_over("store_full", 2000 - hours, past(hours), past(hours - 1));
        desk.record(Entry::Owe(began));
        desk.record(Entry::Owe(ended));
    }
    desk.run_for(seconds(60));
    assert_eq!(desk.told("mail"), [""; 0]);
    // A new one is.
    desk.fact(Entry::Owe(Notice::own_fault(&failure, 5000, desk.now)));
    desk.run_for(seconds(60));
    assert_eq!(desk.told("mail"), ["own_fault:own-store_full"]);
}

#[test]
fn a_stepped_clock_neither_delays_nor_repeats() {
    for step in [-7200_i64, 7200] {
        let mut desk = Desk::with(vec![Channel {
            reminder: Some(seconds(1800)),
            ..channel("mail")
        }]);
        desk.owe(1, Reason::Opened, Word::Down);
        desk.deliver();
        desk.owe(2, Reason::Opened, Word::Down);
        desk.now.0 += step * 1_000_000_000;
        desk.fact(Entry::Stepped(step * 1_000_000_000));
        desk.run_for(seconds(60));
        assert_eq!(
            desk.told("mail"),
            ["opened:incident-1", "opened:incident-2"],
            "{step}"
        );
        desk.run_for(seconds(1750));
        assert_eq!(
            desk.told("mail").len(),
            3,
            "{step}: {:?}",
            desk.told("mail")
        );
    }
}

#[test]
fn a_record_reads_back() {
    let mut desk = Desk::with(vec![channel("mail")]);
    desk.owe(1, Reason::Opened, Word::Down);
    let outgoing = desk.outbox.sendable(desk.now, desk.seq()).unwrap();
    desk.answer(&outgoing, Err(Failure::passing("no answer")));
    desk.deliver();
    let mut kinds = Vec::new();
    for (_, entry) in &desk.journal {
        if let Entry::Alert(record) = entry {
            let text = serde_json::to_string(record).unwrap();
            assert_eq!(&serde_json::from_str::<Record>(&text).unwrap(), record);
            kinds.push(text.split('"').nth(3).unwrap().to_owned());
        }
    }
    assert_eq!(kinds, ["taken", "queued", "failed"]);
}

/// One thing that happens, drawn by chance.
#[derive(Clone, Debug)]
enum Act {
    Opens {
        incident: u64,
        word: Word,
        quiet: u64,
    },
    Worsens(u64),
    Restores(u64),
    Closes(u64),
    Merges(u64, u64),
    Acknowledges(u64),
    Quiet(u64, u64),
    Passes(u64),
    Sends {
        arrives: bool,
        refused: bool,
    },
    Crashes {
        lost: usize,
    },
}

fn act() -> impl Strategy<Value = Act> {
    let incident = || 1..4_u64;
    prop_oneof![
        3 => (incident(), prop::bool::ANY, 0..3_u64).prop_map(|(incident, down, quiet)| Act::Opens {
            incident,
            word: if down { Word::Down } else { Word::Degraded },
            quiet: quiet.saturating_sub(1) * 600,
        }),
        1 => incident().prop_map(Act::Worsens),
        3 => incident().prop_map(Act::Restores),
        1 => incident().prop_map(Act::Closes),
        1 => (incident(), incident()).prop_map(|(one, into)| Act::Merges(one, into)),
        1 => incident().prop_map(Act::Acknowledges),
        1 => (incident(), 1..1000_u64).prop_map(|(incident, until)| Act::Quiet(incident, until)),
        4 => (1..400_u64).prop_map(Act::Passes),
        5 => (prop::bool::ANY, prop::bool::ANY)
            .prop_map(|(arrives, refused)| Act::Sends { arrives, refused }),
        1 => (0..4_usize).prop_map(|lost| Act::Crashes { lost }),
    ]
}

/// Which of our incidents stands where, for acts that make sense.
#[derive(Clone, Debug, Default)]
struct Story {
    /// Number that the facts know it by, and whether it is open.
    current: BTreeMap<u64, (u64, bool)>,
    last: u64,
}

impl Story {
    fn play(&mut self, desk: &mut Desk, act: &Act) {
        match act {
            Act::Opens {
                incident,
                word,
                quiet,
            } => {
                let known = self.current.get(incident).copied();
                let (number, reason) = match known {
                    Some((_, true)) => return,
                    Some((number, false)) => (number, Reason::Relapsed),
                    None => {
                        self.last += 1;
                        (self.last, Reason::Opened)
                    }
                };
                self.current.insert(*incident, (number, true));
                let mut notice = desk.about(number, reason, *word);
                notice.quiet_until = (*quiet > 0).then(|| desk.now + seconds(*quiet));
                desk.fact(Entry::Owe(notice));
            }
            Act::Worsens(incident) => {
                if let Some((number, true)) = self.current.get(incident) {
                    desk.owe(*number, Reason::Worse, Word::Down);
                }
            }
            Act::Restores(incident) => {
                if let Some((number, open @ true)) = self.current.get_mut(incident) {
                    *open = false;
                    desk.owe(*number, Reason::Restored, Word::Good);
                }
            }
            Act::Closes(incident) => {
                if let Some((number, _)) = self.current.remove(incident) {
                    desk.fact(Entry::Closed(format!("incident-{number}")));
                }
            }
            Act::Merges(one, into) if one != into => {
                let open = |incident| self.current.get(incident).copied();
                if let (Some((number, true)), Some((into, true))) = (open(one), open(into)) {
                    self.current.remove(one);
                    desk.fact(Entry::Merged(
                        format!("incident-{number}"),
                        IncidentId(into),
                    ));
                }
            }
            Act::Merges(..) => {}
            Act::Acknowledges(incident) => {
                if let Some((number, _)) = self.current.get(incident) {
                    desk.fact(Entry::Acknowledged(format!("incident-{number}")));
                }
            }
            Act::Quiet(incident, until) => {
                if let Some((number, _)) = self.current.get(incident) {
                    let until = desk.now + seconds(*until);
                    desk.fact(Entry::Quiet(format!("incident-{number}"), until));
                }
            }
            Act::Passes(time) => desk.after(seconds(*time)),
            Act::Sends { arrives, refused } => {
                if let Some(outgoing) = desk.outbox.sendable(desk.now, desk.seq()) {
                    // A far end that took a message before a crash knows its key, and does not refuse it then.
                    let is_known = desk
                        .arrived
                        .iter()
                        .any(|(_, key, _)| *key == outgoing.key());
                    let outcome = match (arrives, *refused && !is_known) {
                        (true, _) => Ok(()),
                        (false, true) => Err(Failure::refused("no")),
                        (false, false) => Err(Failure::passing("silence")),
                    };
                    desk.answer(&outgoing, outcome);
                }
            }
            // What the outbox recorded last was not committed. Facts of others are not lost here: they would not
            // have happened then.
            Act::Crashes { lost } => {
                let own = desk.journal[desk.committed..]
                    .iter()
                    .rev()
                    .take_while(|(_, entry)| matches!(entry, Entry::Alert(_)))
                    .count();
                desk.crash(desk.journal.len() - own.min(*lost));
            }
        }
    }

    /// Everything ends well, and there is time to tell it.
    fn end(&mut self, desk: &mut Desk) {
        let open: Vec<u64> = self.current.keys().copied().collect();
        for incident in open {
            self.play(desk, &Act::Restores(incident));
            self.play(desk, &Act::Closes(incident));
        }
        desk.run_for(seconds(2 * 3600));
    }
}

fn channels() -> Vec<Channel> {
    vec![
        Channel {
            reminder: Some(seconds(900)),
            ..picky("all", Word::Degraded)
        },
        picky("down", Word::Down),
    ]
}

/// All notices that arrived at a channel, without the messages that arrived twice after a crash.
fn heard(desk: &Desk, name: &str) -> Vec<String> {
    let mut keys = BTreeSet::new();
    desk.arrived
        .iter()
        .filter(|(channel, key, _)| channel == name && keys.insert(key.clone()))
        .flat_map(|(.., notices)| notices.clone())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Every alarm that arrived is followed by exactly one end, nothing waits for ever, and nobody hears the end
    /// of what he did not hear begin.
    #[test]
    fn whatever_happens_each_alarm_ends_exactly_once(acts in prop::collection::vec(act(), 1..60)) {
        let mut desk = Desk::with(channels());
        let mut story = Story::default();
        for act in &acts {
            story.play(&mut desk, act);
        }
        story.end(&mut desk);
        prop_assert!(desk.outbox.queues.values().all(|queue| queue.messages.is_empty() && queue.waiting.is_empty()),
            "not told: {:?}", desk.outbox.queues);
        prop_assert!(desk.outbox.threads.is_empty(), "{:?}", desk.outbox.threads);
        let mut merged = BTreeSet::new();
        for (_, entry) in &desk.journal {
            if let Entry::Merged(_, into) = entry {
                merged.insert(key_of(*into));
            }
        }
        for name in ["all", "down"] {
            let mut open: BTreeMap<String, bool> = BTreeMap::new();
            // Who was to hear of a part hears the end of the whole, alarm or not.
            let mut entitled = merged.clone();
            for told in heard(&desk, name) {
                let (reason, key) = told.split_once(':').unwrap();
                let is_open = open.entry(key.to_owned()).or_default();
                if matches!(reason, "restored" | "merged" | "dropped") {
                    prop_assert!(*is_open || entitled.remove(key), "{name}: {told} without an alarm: {:?}", desk.arrived);
                    *is_open = false;
                } else if reason != "reminder" {
                    *is_open = true;
                } else {
                    prop_assert!(*is_open, "{name}: {told} of nothing: {:?}", desk.arrived);
                }
            }
            prop_assert!(open.values().all(|open| !open), "{name}: no end: {open:?} {:?}", desk.arrived);
        }
    }

    /// What is owed and wanted arrives; once, where nothing crashes.
    #[test]
    fn each_notice_arrives_once_at_each_who_wants_it(acts in prop::collection::vec(act(), 1..60)) {
        let mut desk = Desk::with(channels());
        let mut story = Story::default();
        for act in &acts {
            story.play(&mut desk, act);
        }
        story.end(&mut desk);
        for name in ["all", "down"] {
            let mut wanted: Vec<String> = Vec::new();
            for (_, entry) in &desk.journal {
                if let Entry::Alert(Record::Taken { notice, to, .. }) = entry
                    && to.iter().any(|to| to == name)
                {
                    wanted.push(format!("{}:{}", notice.reason.as_str(), notice.key));
                }
            }
            let mut heard = heard(&desk, name);
            wanted.sort();
            heard.sort();
            // What was refused, then taken, then lost by a crash may come along with its end: under another key.
            if acts.iter().any(|act| matches!(act, Act::Crashes { .. })) {
                prop_assert!(heard.len() >= wanted.len());
                heard.dedup();
                wanted.dedup();
            }
            prop_assert_eq!(heard, wanted);
        }
    }

    /// The journal alone gives the state: after each record, a restart decides what the living one decides.
    #[test]
    fn a_crash_at_any_record_changes_nothing(acts in prop::collection::vec(act(), 1..30)) {
        let mut desk = Desk::with(channels());
        let mut story = Story::default();
        for act in &acts {
            story.play(&mut desk, act);
        }
        let whole = desk.journal.clone();
        for kept in 0..=whole.len() {
            // Only what the outbox recorded may be lost: it follows from the rest.
            let (own, later) = (&whole[..kept], whole.get(kept));
            let Some((at, Entry::Alert(next))) = later else { continue };
            if matches!(next, Record::Delivered { .. } | Record::Failed { .. }) {
                continue;
            }
            let outbox = Desk::replayed(&desk.channels, own);
            let due = outbox.due(*at);
            prop_assert_eq!(due.as_ref(), Some(next), "after {}", kept);
        }
    }
}

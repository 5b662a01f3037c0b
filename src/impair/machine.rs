//! The machine of one direction: a datagram comes, its fate is decided at once, it leaves when due.
//!
//! Fates follow from the seed, the settings, and the moments and bytes of what came; how late the caller
//! is changes only when packets left. Each impairment draws from a chance of its own, so that the packets which the seed
//! loses stay the same whatever else is set.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use fastrand::Rng;

use super::change;
use super::delay::Delay;
use super::fate::{Cause, Fate, Record, Tally};
use super::loss::Chain;
use super::rate::Bucket;
use super::settings::{Settings, milliseconds};
use crate::id::Seed;
use crate::time::Instant;

/// One direction of a bad network.
#[derive(Debug)]
pub struct Impairment {
    settings: Settings,
    chain: Chain,
    bucket: Bucket,
    delay: Delay,
    reorders: Rng,
    duplicates: Rng,
    noise: Rng,
    /// When the last datagram came: stamps that go back are taken as the same moment.
    last: Instant,
    /// By the moment they are due, and by the order of coming among those due together.
    waiting: BTreeMap<(Instant, u64), Departing>,
    pushed: u64,
    held: Vec<Held>,
    open: BTreeMap<u64, Open>,
    outputs: VecDeque<Output>,
    tally: Tally,
}

/// What happens to the machine.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram, and when it came (the kernel's stamp).
    Datagram { at: Instant, bytes: &'a [u8] },
    /// The deadline has come.
    Wake,
    /// What [`Output::Send`] asked for was done at this moment; `None`: it could not be.
    Left {
        packet: u64,
        due: Instant,
        at: Option<Instant>,
    },
    /// Nothing moves any more: whatever is on its way is lost.
    End,
}

/// What the machine wants.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this now, then say [`Input::Left`].
    Send(Departing),
    /// The fate of one packet is sealed.
    Sealed(Record),
}

/// A datagram on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departing {
    pub packet: u64,
    pub due: Instant,
    pub bytes: Vec<u8>,
}

/// A packet that later ones pass.
#[derive(Debug)]
struct Held {
    departing: Departing,
    copy_after: Option<Duration>,
    /// How many still have to pass it.
    passing: u32,
}

/// A packet of which something has not left yet.
#[derive(Debug)]
struct Open {
    record: Record,
    copies: u8,
    left: Vec<(Instant, Instant)>,
}

/// A packet held for others to pass it leaves after this, when nobody comes any more.
const HELD_MAX: Duration = Duration::from_secs(1);

impl Impairment {
    #[must_use]
    pub fn new(settings: Settings, seed: Seed) -> Self {
        let mut root = Rng::with_seed(seed.0);
        Self {
            settings,
            chain: Chain::new(root.fork()),
            bucket: Bucket::default(),
            delay: Delay::new(root.fork()),
            reorders: root.fork(),
            duplicates: root.fork(),
            noise: root.fork(),
            last: Instant(0),
            waiting: BTreeMap::new(),
            pushed: 0,
            held: Vec::new(),
            open: BTreeMap::new(),
            outputs: VecDeque::new(),
            tally: Tally::default(),
        }
    }

    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Datagram { at, bytes } => self.datagram(at, bytes),
            Input::Wake => {}
            Input::Left { packet, due, at } => self.left(packet, due, at),
            Input::End => self.end(),
        }
        self.give_up_holding(now);
        while let Some(first) = self.waiting.first_entry() {
            if first.key().0 > now {
                break;
            }
            self.outputs.push_back(Output::Send(first.remove()));
        }
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let waiting = self.waiting.keys().next().map(|(due, _)| *due);
        let held = self.held.iter().map(|held| held.departing.due + HELD_MAX);
        held.chain(waiting).min()
    }

    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    fn datagram(&mut self, at: Instant, bytes: &[u8]) {
        let at = self.last.max(at);
        self.last = at;
        self.give_up_holding(at);
        let packet = self.tally.came;
        self.tally.came += 1;
        let mut bytes = bytes.to_vec();
        let (rtp, changes) = change::apply(&self.settings, packet, &mut bytes, &mut self.noise);
        // Every chance is taken for every packet, so that none depends on the fate of another.
        let lost = self.chain.loses(self.settings.loss);
        let jitter_ms = self.delay.jitter_ms(self.settings.jitter);
        let passing = self.passing();
        let copy_after = self.copy_after();
        let record = Record {
            packet,
            at,
            bytes: bytes.len(),
            rtp,
            changes,
            // Replaced when it leaves; true if it never does.
            fate: Fate::Lost { by: Cause::Ended },
        };
        let outage = self.settings.outages.iter().any(|span| span.has(packet));
        if outage {
            return self.lose(record, Cause::Outage);
        }
        if lost {
            return self.lose(record, Cause::Loss);
        }
        let leaves = match self.settings.rate {
            Some(rate) => self.bucket.leaves(at, bytes.len(), rate),
            None => Some(at),
        };
        let Some(leaves) = leaves else {
            return self.lose(record, Cause::Queue);
        };
        let due = self.delay.due(at, leaves, jitter_ms, &self.settings);
        let open = Open {
            record,
            copies: 1 + u8::from(copy_after.is_some()),
            left: Vec::new(),
        };
        self.open.insert(packet, open);
        let departing = Departing { packet, due, bytes };
        match passing {
            Some(passing) => self.held.push(Held {
                departing,
                copy_after,
                passing,
            }),
            None => {
                self.push(departing, copy_after);
                self.pass_held(due);
            }
        }
    }

    /// How many later packets pass the next one, if any.
    fn passing(&mut self) -> Option<u32> {
        let chosen = self.reorders.f64();
        self.settings
            .reorder
            .filter(|reorder| chosen < reorder.chance)
            .map(|reorder| reorder.by)
    }

    /// How long after the next packet its copy is due, if it has one.
    fn copy_after(&mut self) -> Option<Duration> {
        let chosen = self.duplicates.f64();
        self.settings
            .duplicate
            .filter(|duplicate| chosen < duplicate.chance)
            .map(|duplicate| milliseconds(duplicate.after_ms))
    }

    fn push(&mut self, departing: Departing, copy_after: Option<Duration>) {
        let copy = copy_after.map(|after| Departing {
            due: departing.due + after,
            ..departing.clone()
        });
        for departing in [Some(departing), copy].into_iter().flatten() {
            self.pushed += 1;
            self.waiting.insert((departing.due, self.pushed), departing);
        }
    }

    /// One packet, due then, passes all that are held; those which enough have passed follow it.
    fn pass_held(&mut self, due: Instant) {
        for held in &mut self.held {
            held.passing -= 1;
        }
        for mut held in self
            .held
            .extract_if(.., |held| held.passing == 0)
            .collect::<Vec<_>>()
        {
            held.departing.due = held.departing.due.max(due);
            self.push(held.departing, held.copy_after);
        }
    }

    fn give_up_holding(&mut self, at: Instant) {
        let over = |held: &mut Held| held.departing.due + HELD_MAX <= at;
        for mut held in self.held.extract_if(.., over).collect::<Vec<_>>() {
            held.departing.due = held.departing.due + HELD_MAX;
            self.push(held.departing, held.copy_after);
        }
    }

    fn left(&mut self, packet: u64, due: Instant, at: Option<Instant>) {
        let Some(open) = self.open.get_mut(&packet) else {
            return;
        };
        open.copies -= 1;
        open.left.extend(at.map(|left| (due, left)));
        if open.copies == 0
            && let Some(open) = self.open.remove(&packet)
        {
            self.seal(open, Cause::Unsent);
        }
    }

    fn end(&mut self) {
        self.waiting.clear();
        self.held.clear();
        self.outputs
            .retain(|output| matches!(output, Output::Sealed(_)));
        for open in std::mem::take(&mut self.open).into_values() {
            self.seal(open, Cause::Ended);
        }
    }

    fn lose(&mut self, mut record: Record, by: Cause) {
        record.fate = Fate::Lost { by };
        self.tally.count(&record);
        self.outputs.push_back(Output::Sealed(record));
    }

    /// A packet of which nothing left is lost by this cause.
    fn seal(&mut self, open: Open, otherwise: Cause) {
        let fate = match open.left[..] {
            [] => Fate::Lost { by: otherwise },
            [(due, left)] => Fate::Delivered { due, left },
            [(due, left), (again_due, again_left), ..] => Fate::Duplicated {
                due,
                left,
                again_due,
                again_left,
            },
        };
        let record = Record {
            fate,
            ..open.record
        };
        self.tally.count(&record);
        self.outputs.push_back(Output::Sealed(record));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::packet::{self, Packet};
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;
    const START: u64 = 1_000_000 * MS;

    fn settings(text: &str) -> Settings {
        let settings: Settings = serde_json::from_str(text).expect(text);
        settings.check().expect(text);
        settings
    }

    /// A stream through the machine, each packet 20 ms after the last, whose caller is always `late_ms` late;
    /// the records by packet, and the order in which packets left.
    fn run(settings: Settings, seed: u64, count: u16, late_ms: u64) -> (Vec<Record>, Vec<u64>) {
        let mut machine = Impairment::new(settings, Seed(seed));
        let (mut records, mut order) = (Vec::new(), Vec::new());
        let mut came = 0;
        loop {
            let arrival = (came < count).then(|| Instant(START + u64::from(came) * 20 * MS));
            let next = arrival.into_iter().chain(machine.deadline()).min();
            let Some(next) = next else { break };
            let late = next + Duration::from_millis(late_ms);
            if arrival == Some(next) {
                let bytes = packet::write(Packet {
                    marker: came == 0,
                    payload_type: 8,
                    sequence_number: came,
                    timestamp: u32::from(came) * 160,
                    ssrc: 1,
                    payload: &[0xd5; 160],
                });
                let at = next;
                machine.handle(late, Input::Datagram { at, bytes: &bytes });
                came += 1;
            } else {
                machine.handle(late, Input::Wake);
            }
            while let Some(output) = machine.poll_output() {
                match output {
                    Output::Send(Departing { packet, due, .. }) => {
                        assert!(due <= late, "{packet} before its time");
                        order.push(packet);
                        let at = Some(late);
                        machine.handle(late, Input::Left { packet, due, at });
                    }
                    Output::Sealed(record) => records.push(record),
                }
            }
        }
        let tally = machine.tally().clone();
        assert_eq!(tally.came, u64::from(count));
        assert_eq!(tally.delivered + tally.lost, tally.came);
        assert_eq!(tally.lost_by.iter().sum::<u64>(), tally.lost);
        assert_eq!(tally.delivered + tally.duplicated, order.len() as u64);
        records.sort_by_key(|record| record.packet);
        (records, order)
    }

    fn lost(records: &[Record]) -> Vec<u64> {
        let lost = |record: &&Record| matches!(record.fate, Fate::Lost { .. });
        records.iter().filter(lost).map(|r| r.packet).collect()
    }

    const EVERYTHING: &str = r#"{
        "outages": [{"from": 30, "until": 33}], "loss": {"p": 0.05, "r": 0.4},
        "rate": {"kbit_per_s": 81}, "delay_ms": 60, "jitter": {"shape": "pareto", "ms": 15, "overtake": true},
        "skew_ppm": 300, "stall": {"every_ms": 1000, "for_ms": 120}, "reorder": {"chance": 0.05, "by": 3},
        "duplicate": {"chance": 0.05, "after_ms": 5}, "header": {"ssrc": {"value": 9, "during": {"from": 50}}},
        "sound": {"noise": {"snr_db": 10}}}"#;

    #[test]
    fn the_same_seed_and_input_have_the_same_fates_however_late_the_caller_is() {
        let due = |records: Vec<Record>| -> Vec<(u64, Option<Instant>)> {
            let due = |fate: &Fate| match *fate {
                Fate::Delivered { due, .. } | Fate::Duplicated { due, .. } => Some(due),
                Fate::Lost { .. } => None,
            };
            records.iter().map(|r| (r.packet, due(&r.fate))).collect()
        };
        for seed in 0..50 {
            let (first, order) = run(settings(EVERYTHING), seed, 400, 0);
            assert_eq!(
                run(settings(EVERYTHING), seed, 400, 0),
                (first.clone(), order)
            );
            let late = run(settings(EVERYTHING), seed, 400, 15).0;
            assert_eq!(due(first), due(late), "seed {seed}");
        }
        assert_ne!(
            run(settings(EVERYTHING), 1, 400, 0).0,
            run(settings(EVERYTHING), 2, 400, 0).0
        );
    }

    #[test]
    fn the_seed_loses_the_same_packets_whatever_else_is_set() {
        let only = r#"{"loss": {"p": 0.05, "r": 0.4}}"#;
        let more = r#"{"loss": {"p": 0.05, "r": 0.4}, "delay_ms": 60, "duplicate": {"chance": 0.3},
            "jitter": {"shape": "uniform", "ms": 40}, "sound": {"noise": {"snr_db": 3}}}"#;
        for seed in 0..20 {
            let (records, _) = run(settings(only), seed, 500, 0);
            assert_eq!(lost(&records), lost(&run(settings(more), seed, 500, 0).0));
        }
    }

    #[test]
    fn a_reordered_packet_leaves_right_after_those_that_passed_it() {
        let text = |by: u32| format!(r#"{{"reorder": {{"chance": 1, "by": {by}}}}}"#);
        // All held and none to pass them: each leaves a second later, in order.
        let (records, order) = run(settings(&text(1)), 1, 3, 0);
        assert_eq!(order, [0, 1, 2]);
        let Fate::Delivered { due, .. } = records[0].fate else {
            panic!("{records:?}");
        };
        assert_eq!(due, Instant(START) + HELD_MAX);
        for by in 1..=5_u64 {
            let text = format!(r#"{{"reorder": {{"chance": 0.02, "by": {by}}}}}"#);
            let (records, order) = run(settings(&text), 8, 300, 0);
            assert!(lost(&records).is_empty());
            // How many later ones came before it.
            let passed = |packet: &u64| {
                let place = order.iter().position(|it| it == packet).unwrap();
                order[..place].iter().filter(|it| *it > packet).count() as u64
            };
            let passed: Vec<u64> = order.iter().map(passed).filter(|n| *n > 0).collect();
            assert!(!passed.is_empty());
            assert!(passed.iter().all(|n| *n == by), "by {by}: {passed:?}");
        }
    }

    #[test]
    fn certain_settings_have_certain_fates() {
        for (text, expected_lost, expected_order) in [
            ("{}", &[][..], &[0, 1, 2, 3][..]),
            (r#"{"outages": [{}]}"#, &[0, 1, 2, 3], &[]),
            (r#"{"outages": [{"until": 2}]}"#, &[0, 1], &[2, 3]),
            (
                r#"{"duplicate": {"chance": 1}}"#,
                &[],
                &[0, 0, 1, 1, 2, 2, 3, 3],
            ),
            (
                r#"{"duplicate": {"chance": 1, "after_ms": 30}}"#,
                &[],
                &[0, 1, 0, 2, 1, 3, 2, 3],
            ),
            // 200 bytes of IP every 20 ms are 80 kbit/s.
            (
                r#"{"rate": {"kbit_per_s": 40, "burst_bytes": 200, "queue_ms": 30}}"#,
                &[2],
                &[0, 1, 3],
            ),
        ] {
            let (records, order) = run(settings(text), 1, 4, 0);
            assert_eq!(lost(&records), expected_lost, "{text}");
            assert_eq!(order, expected_order, "{text}");
        }
    }

    #[test]
    fn what_is_on_its_way_when_all_ends_is_lost() {
        let mut machine = Impairment::new(settings(r#"{"delay_ms": 50}"#), Seed(1));
        let at = Instant(START);
        machine.handle(at, Input::Datagram { at, bytes: b"1" });
        machine.handle(at, Input::Datagram { at, bytes: b"2" });
        let due = machine.deadline().unwrap();
        machine.handle(due, Input::Wake);
        let Some(Output::Send(first)) = machine.poll_output() else {
            panic!("due");
        };
        let (packet, left) = (first.packet, None);
        machine.handle(
            due,
            Input::Left {
                packet,
                due,
                at: left,
            },
        );
        machine.handle(due, Input::End);
        let mut fates = Vec::new();
        while let Some(output) = machine.poll_output() {
            match output {
                Output::Sealed(record) => fates.push(record.fate),
                Output::Send(_) => {}
            }
        }
        let lost = |by| Fate::Lost { by };
        assert_eq!(fates, [lost(Cause::Unsent), lost(Cause::Ended)]);
        assert_eq!(machine.deadline(), None);
        assert_eq!((machine.tally().came, machine.tally().lost), (2, 2));
    }

    proptest! {
        #[test]
        fn every_packet_has_exactly_one_fate(
            seed: u64, p in 0.0..1.0, r in 0.0..1.0, kbit in 20.0..200.0, delay in 0.0..100.0,
            ms in 0.0..200.0, overtake: bool, chance in 0.0..1.0, by in 1_u32..20, held in 0.0..1000.0,
        ) {
            let text = format!(
                r#"{{"loss": {{"p": {p}, "r": {r}}}, "rate": {{"kbit_per_s": {kbit}}}, "delay_ms": {delay},
                "jitter": {{"shape": "uniform", "ms": {ms}, "overtake": {overtake}}},
                "stall": {{"every_ms": 1000, "for_ms": {held}}}, "reorder": {{"chance": {chance}, "by": {by}}},
                "duplicate": {{"chance": {chance}}}}}"#
            );
            let (records, _) = run(settings(&text), seed, 200, 0);
            let packets: Vec<u64> = records.iter().map(|record| record.packet).collect();
            prop_assert_eq!(packets, (0..200).collect::<Vec<u64>>());
        }
    }
}

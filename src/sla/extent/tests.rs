//! Total or partial beside an oracle that asks each second by itself which lines are down.

use proptest::prelude::*;

use super::*;

const SECOND: i64 = 1_000_000_000;
/// Half of the channels.
const HALF: u32 = 50;

fn at(second: i64) -> Utc {
    Utc(second * SECOND)
}

fn span(word: Word, from: i64, until: Option<i64>, fact: u64) -> Span {
    Span {
        word,
        start: Bounds {
            earliest: at(from - 1),
            ..Bounds::exactly(at(from))
        },
        end: until.map(|until| Bounds::exactly(at(until))),
        facts: vec![fact],
    }
}

const fn weight(emergency: bool, channels: u16) -> Weight {
    Weight {
        emergency,
        channels,
    }
}

fn lineups(lines: &[(&str, Weight)]) -> Lineups {
    let mut lineups = Lineups::default();
    let lines = lines.iter().map(|(id, weight)| ((*id).into(), *weight));
    lineups.configured(1, at(0), lines.collect());
    lineups
}

/// The lines of these spans over time.
fn lines<'l>(lineups: &'l Lineups, spans: &[(LineId, Span)]) -> Lines<'l> {
    Lines {
        lineups,
        stretches: stretches(lineups, spans.iter().map(|(line, span)| (line, span))),
    }
}

fn counted_seconds(lines: &Lines<'_>, line: &str, spans: &[Span]) -> Vec<(i64, Option<i64>)> {
    let (counted, _) = lines.counted(&line.into(), spans, HALF);
    let seconds = |bounds: Bounds| bounds.at.0 / SECOND;
    counted
        .iter()
        .map(|span| (seconds(span.start), span.end.map(seconds)))
        .collect()
}

#[test]
fn total_is_no_emergency_line_or_less_than_half_of_the_channels() {
    let emergency = weight(true, 1);
    let office = weight(false, 1);
    /// Name, the lines, those that are down, what that makes.
    type Case<'c> = (&'c str, &'c [(&'c str, Weight)], &'c [&'c str], Extent);
    let cases: [Case<'_>; 8] = [
        ("the only line", &[("a", emergency)], &["a"], Extent::Total),
        (
            "one of three",
            &[("a", emergency), ("b", emergency), ("c", emergency)],
            &["a"],
            Extent::Partial,
        ),
        (
            "two of three",
            &[("a", emergency), ("b", emergency), ("c", emergency)],
            &["a", "b"],
            Extent::Total,
        ),
        (
            "the one number in need, of ten",
            &[("a", emergency), ("b", weight(false, 9))],
            &["a"],
            Extent::Total,
        ),
        (
            "half is enough",
            &[("a", office), ("b", office)],
            &["b"],
            Extent::Partial,
        ),
        (
            "one channel less than half",
            &[("a", weight(false, 15)), ("b", weight(false, 16))],
            &["b"],
            Extent::Total,
        ),
        (
            "the offices, while the emergency has most channels",
            &[("a", weight(true, 30)), ("b", office), ("c", office)],
            &["b", "c"],
            Extent::Partial,
        ),
        ("what no fact told of", &[], &["a"], Extent::Total),
    ];
    for (name, known, down, expected) in cases {
        let lineups = lineups(known);
        let spans: Vec<(LineId, Span)> = down
            .iter()
            .map(|line| ((*line).into(), span(Word::Down, 10, None, 5)))
            .collect();
        let lines = lines(&lineups, &spans);
        let [stretch] = lines.stretches.as_slice() else {
            panic!("{name}: {:?}", lines.stretches);
        };
        assert_eq!(stretch.standing.extent(HALF), expected, "{name}");
    }
}

#[test]
fn ic6_counts_an_emergency_line_always_and_another_while_it_is_total() {
    let lineups = lineups(&[
        ("119", weight(true, 2)),
        ("a", weight(false, 2)),
        ("b", weight(false, 2)),
    ]);
    let emergency = vec![span(Word::Down, 300, Some(310), 3)];
    let a = vec![
        span(Word::Down, 10, Some(100), 4),
        span(Word::Degraded, 100, Some(120), 5),
    ];
    let b = vec![
        span(Word::Down, 40, Some(150), 6),
        span(Word::Degraded, 150, Some(170), 7),
    ];
    let all: Vec<(LineId, Span)> = [("119", &emergency), ("a", &a), ("b", &b)]
        .into_iter()
        .flat_map(|(line, spans)| spans.iter().map(move |span| (line.into(), span.clone())))
        .collect();
    let lines = lines(&lineups, &all);
    assert_eq!(
        counted_seconds(&lines, "119", &emergency),
        [(300, Some(310))]
    );
    // Two of six channels are up from 40 to 100. What sounds badly after that is not restored yet.
    assert_eq!(
        counted_seconds(&lines, "a", &a),
        [(40, Some(100)), (100, Some(120))]
    );
    assert_eq!(counted_seconds(&lines, "b", &b), [(40, Some(100))]);
    // The start that another line made has the doubt of that line, and its facts.
    let (counted, facts) = lines.counted(&"a".into(), &a, HALF);
    assert_eq!(counted[0].start, b[0].start);
    assert_eq!(facts.into_iter().collect::<Vec<_>>(), [1, 4, 6]);
}

#[test]
fn another_configuration_counts_from_its_own_fact_on() {
    let mut lineups = lineups(&[("a", weight(false, 1)), ("b", weight(false, 1))]);
    let alone = BTreeMap::from([("a".into(), weight(false, 1))]);
    lineups.configured(9, at(60), alone);
    let a = vec![span(Word::Down, 10, Some(100), 4)];
    let all = vec![("a".into(), a[0].clone())];
    let lines = lines(&lineups, &all);
    assert_eq!(counted_seconds(&lines, "a", &a), [(60, Some(100))]);
}

/// One line of a random plant: what it weighs, and what it was from when to when.
type Story = (bool, u16, Vec<(i64, i64, bool)>);

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const LAST: i64 = 60;

fn stories() -> impl Strategy<Value = Vec<Story>> {
    let spans = proptest::collection::vec((1..LAST, 0..20_i64, any::<bool>()), 0..4);
    proptest::collection::vec((any::<bool>(), 1..4_u16, spans), 1..4)
}

proptest! {
    #[test]
    fn every_second_is_what_the_lines_of_that_second_say(
        before in stories(),
        after in proptest::collection::vec((any::<bool>(), 1..4_u16), 1..5),
        changed in 0..LAST,
        percent in 1..=100_u32,
    ) {
        let named = |weights: &mut dyn Iterator<Item = Weight>| -> BTreeMap<LineId, Weight> {
            NAMES.iter().map(|name| (*name).into()).zip(weights).collect()
        };
        let first = named(&mut before.iter().map(|(emergency, channels, _)| weight(*emergency, *channels)));
        let second = named(&mut after.iter().map(|(emergency, channels)| weight(*emergency, *channels)));
        let mut lineups = Lineups::default();
        lineups.configured(1, at(0), first.clone());
        lineups.configured(2, at(changed), second.clone());
        let mut all: Vec<(LineId, Span)> = Vec::new();
        for (name, (.., spans)) in NAMES.iter().zip(&before) {
            for (from, length, is_down) in spans {
                let word = if *is_down { Word::Down } else { Word::Degraded };
                all.push(((*name).into(), span(word, *from, Some(from + length), 3)));
            }
        }
        let lines = lines(&lineups, &all);
        for second_of in 0..LAST + 20 {
            let now = at(second_of);
            let lineup = if second_of < changed { &first } else { &second };
            // By hand: who is down, who is left.
            let is_down = |line: &LineId| all.iter().any(|(of, span)| {
                of == line
                    && span.word == Word::Down
                    && span.start.at <= now
                    && span.end.is_some_and(|end| now < end.at)
            });
            let mut known: BTreeMap<LineId, Weight> = lineup.clone();
            for (line, _) in all.iter().filter(|(line, _)| is_down(line)) {
                known.entry(line.clone()).or_insert(weight(true, 1));
            }
            let down = known.keys().filter(|line| is_down(line)).count();
            let up = |weight: &dyn Fn(&Weight) -> u32| -> u32 {
                known.iter().filter(|(line, _)| !is_down(line)).map(|(_, one)| weight(one)).sum()
            };
            let of = |weight: &dyn Fn(&Weight) -> u32| -> u32 { known.values().map(weight).sum() };
            let channels = |one: &Weight| u32::from(one.channels);
            let emergency = |one: &Weight| u32::from(one.emergency);
            let is_total = (of(&emergency) > 0 && up(&emergency) == 0)
                || up(&channels) * 100 < of(&channels) * percent;
            let expected = (down > 0).then_some(if is_total { Extent::Total } else { Extent::Partial });

            let holds = lines.stretches.iter().filter(|stretch| {
                stretch.from.at <= now && stretch.until.is_none_or(|until| now < until.at)
            });
            let held: Vec<&Stretch> = holds.collect();
            prop_assert!(held.len() <= 1, "two hold at {}: {:?}", second_of, held);
            let told = held.first().map(|stretch| stretch.standing);
            prop_assert_eq!(told.map(|one| one.extent(percent)), expected, "at {}", second_of);
            prop_assert_eq!(told.map(|one| one.down), expected.map(|_| u32::try_from(down).unwrap()));

            // What IC6 counts of a line that is down: all in an emergency, else what is total.
            for name in &NAMES[..before.len()] {
                let line: LineId = (*name).into();
                let mine: Vec<Span> = all.iter()
                    .filter(|(of, span)| *of == line && span.word == Word::Down)
                    .map(|(_, span)| span.clone())
                    .collect();
                let (counted, _) = lines.counted(&line, &mine, percent);
                let counts = counted.iter().any(|span| {
                    span.start.at <= now && span.end.is_some_and(|end| now < end.at)
                });
                // What a line is, is told by the lineup in which its failure began.
                let begun_in_need = mine.iter().any(|span| {
                    let then = if span.start.at < at(changed) { &first } else { &second };
                    span.start.at <= now
                        && span.end.is_some_and(|end| now < end.at)
                        && then.get(&line).is_none_or(|one| one.emergency)
                });
                prop_assert_eq!(counts, is_down(&line) && (begun_in_need || is_total), "{} at {}", name, second_of);
            }
        }
    }
}

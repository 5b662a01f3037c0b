//! What one, two or three places say, and what it means together.

use std::time::Duration;

use super::*;

const MINUTE: i64 = 60_000_000_000;

/// A second of the boot clock.
fn second(second: u64) -> Instant {
    Instant(0) + Duration::from_secs(second)
}

/// It became so `since` that minute; if it fails, the first failed run and its confirmation are of second 100.
fn told(place: &str, word: Word, since: i64) -> Told {
    let fails = matches!(word, Word::Down | Word::Degraded);
    Told {
        place: place.into(),
        judgement: Judgement {
            word,
            settled: true,
            since: Utc(since * MINUTE),
            failure: fails.then(|| Failure::new(Blame::Silent, place.to_owned(), "no answer")),
            again_at: None,
        },
        votes: true,
        first_failed: fails.then(|| second(100)),
        confirmed_at: second(100),
        good_since: (word == Word::Good).then(|| second(101)),
    }
}

fn judged(told: &[Told]) -> Judgement {
    combine(told, QUORUM, second(102)).expect("somebody votes")
}

/// What each place says, by its letter and word: `a down, b good`.
fn row(words: &[Word]) -> Vec<Told> {
    let places = ["a", "b", "c"].into_iter().zip(words);
    places.map(|(place, word)| told(place, *word, 1)).collect()
}

#[test]
fn two_places_make_an_outage_and_one_makes_a_suspect() {
    use Word::{Blind, Degraded, Down, Good};
    let cases: &[(&[Word], Word, Option<&str>)] = &[
        (&[Good, Good], Good, None),
        (&[Down, Good], Degraded, Some(SEEN_FROM_SOME_PLACES)),
        (&[Down, Down], Down, Some("a")),
        // Who sees nothing neither confirms nor denies.
        (&[Down, Blind], Down, Some("a")),
        (&[Good, Blind], Good, None),
        (&[Blind, Blind], Blind, None),
        (&[Down, Good, Good], Degraded, Some(SEEN_FROM_SOME_PLACES)),
        (&[Down, Down, Good], Down, Some("a")),
        (&[Down, Blind, Good], Degraded, Some(SEEN_FROM_SOME_PLACES)),
        (&[Down, Blind, Blind], Down, Some("a")),
        // One hears a bad voice: of itself that is no matter of the line.
        (&[Degraded, Good], Degraded, Some(SEEN_FROM_SOME_PLACES)),
        (&[Degraded, Degraded], Degraded, Some("a")),
        // Somebody gets through, badly: why it is bad is told.
        (&[Down, Degraded], Degraded, Some("b")),
    ];
    for (words, expected, code) in cases {
        let judged = judged(&row(words));
        assert_eq!(judged.word, *expected, "{words:?}");
        let failure = judged.failure.as_ref().map(|failure| &*failure.code);
        assert_eq!(failure, *code, "{words:?}");
        assert!(judged.settled, "{words:?}");
    }
}

#[test]
fn an_outage_begins_with_the_first_of_those_that_failed_together() {
    // The minutes since when each place fails, and the one that it began in.
    let cases: &[(&str, [i64; 2], i64)] = &[
        ("a minute apart", [10, 11], 10),
        ("whichever way round", [11, 10], 10),
        ("one had its own trouble before", [1, 11], 11),
    ];
    for (name, [a, b], began) in cases {
        let places = [told("a", Word::Down, *a), told("b", Word::Down, *b)];
        assert_eq!(judged(&places).since, Utc(began * MINUTE), "{name}");
    }
    let three = [
        told("a", Word::Down, 1),
        told("b", Word::Down, 11),
        told("c", Word::Down, 30),
    ];
    assert_eq!(judged(&three).since, Utc(11 * MINUTE), "two were enough");
}

#[test]
fn what_one_place_alone_saw_for_long_is_down_since_nobody_denies_it_any_more() {
    let places = [told("a", Word::Down, 1), told("b", Word::Blind, 30)];
    assert_eq!(judged(&places).since, Utc(30 * MINUTE));
    let places = [told("a", Word::Down, 30), told("b", Word::Blind, 1)];
    assert_eq!(judged(&places).since, Utc(30 * MINUTE), "blind before");
}

#[test]
fn one_place_waits_until_the_others_were_asked_and_no_longer() {
    let mut good = told("b", Word::Good, 1);
    good.good_since = Some(second(99));
    let places = [told("a", Word::Down, 1), good];
    let waiting = combine(&places, QUORUM, second(102)).expect("two vote");
    assert_eq!((waiting.word, waiting.settled), (Word::Good, false));
    let until = second(100) + WAIT_FOR_EXPLANATION;
    assert_eq!(waiting.again_at, Some(until));
    let decided = combine(&places, QUORUM, until).expect("two vote");
    assert_eq!((decided.word, decided.settled), (Word::Degraded, true));
}

#[test]
fn a_place_that_only_pings_cannot_deny_a_call_and_is_heard_all_the_same() {
    let mut pings = told("b", Word::Good, 1);
    pings.votes = false;
    let places = [told("a", Word::Down, 1), pings];
    assert_eq!(judged(&places).word, Word::Down);
    let mut pings = told("b", Word::Down, 1);
    pings.votes = false;
    let places = [told("a", Word::Good, 1), pings];
    let disputed = judged(&places);
    assert_eq!(disputed.word, Word::Degraded);
    let failure = disputed.failure.expect("it says who");
    assert_eq!(failure.code, SEEN_FROM_SOME_PLACES);
    assert_eq!(
        failure.words,
        "fails from b (no answer) and works from a: look at the way from b first"
    );
}

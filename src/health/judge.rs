//! From the probes of a target to its word, and from the calls of a line to its word.
//!
//! An oracle decides alone. A hint only explains: with a good oracle it makes its target degraded at
//! worst. A call through the gateway blames the line; the gateway itself is down only when its own
//! probes say so, and is degraded when it answers and no call passes although a PBX is there.

use std::time::Duration;

use super::record::Record;
use crate::probe::{Blame, Failure, Word};
use crate::time::{Instant, Utc};

/// How long a confirmed failure waits for the verdict of another probe, asked at once, that could
/// explain it. Shorter names the wrong culprit; longer delays the page.
pub(super) const WAIT_FOR_EXPLANATION: Duration = Duration::from_secs(6);

/// Failures that began further apart than this are no one failure: the older one was a trouble of its own. Less would miss
/// what is asked once a minute; more backdates an outage to that trouble.
pub(super) const ONE_FAILURE: Duration = Duration::from_secs(90);

/// What a probe proves about the target it is listed under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Oracle,
    Hint,
    /// A call of a caller's path: it proves the line.
    Line,
}

/// How the PBXs are that a gateway leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behind {
    /// One answers, or none is known.
    Answering,
    Unsettled,
    AllDown,
}

/// What the probes say together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Judgement {
    pub(super) word: Word,
    pub(super) settled: bool,
    pub(super) since: Utc,
    pub(super) failure: Option<Failure>,
    /// Judge again at this time even if nothing happens.
    pub(super) again_at: Option<Instant>,
}

/// The word of a target.
pub(super) fn target(
    probes: &[(Part, &Record)],
    behind: Behind,
    now: Instant,
) -> Option<Judgement> {
    let of = |part: Part| -> Vec<&Record> {
        probes
            .iter()
            .filter(|(its, _)| *its == part)
            .map(|(_, record)| *record)
            .collect()
    };
    let (oracles, hints, calls) = (of(Part::Oracle), of(Part::Hint), of(Part::Line));
    match (oracles.is_empty(), hints.is_empty(), calls.is_empty()) {
        (false, _, _) => with_oracles(&oracles, &hints, now),
        (true, false, false) => gateway(&hints, &calls, behind, now),
        (true, true, false) => worst(&calls),
        (true, _, true) => hints_alone(&hints),
    }
}

fn with_oracles(oracles: &[&Record], hints: &[&Record], now: Instant) -> Option<Judgement> {
    let mut judged = worst(oracles)?;
    let Some(hint) = failing(hints) else {
        unsettle(&mut judged, hints);
        if judged.word == Word::Blind && judged.failure.is_none() {
            // Not asked any more because a hint was told why: a refused account.
            judged.failure = hints.iter().find_map(|hint| of_record(hint).failure);
        }
        return Some(judged);
    };
    match judged.word {
        Word::Good => {
            let explained_at = hint.confirmed_at + WAIT_FOR_EXPLANATION;
            let since = hint.first_failed.unwrap_or_default();
            if oracles.iter().all(|oracle| oracle.is_good_since(since)) || now >= explained_at {
                // It is so since the hint fails and the oracle does not, whichever came last.
                let since = judged.since.max(hint.since);
                judged = of_record(hint);
                judged.word = Word::Degraded;
                judged.since = since;
                unsettle(&mut judged, oracles);
            } else {
                judged.settled = false;
                judged.failure.clone_from(&hint.failure);
                judged.again_at = Some(explained_at);
            }
        }
        Word::Blind => judged.failure.clone_from(&hint.failure),
        Word::Degraded | Word::Down => {}
    }
    Some(judged)
}

fn gateway(
    hints: &[&Record],
    calls: &[&Record],
    behind: Behind,
    now: Instant,
) -> Option<Judgement> {
    let mut judged = hints_alone(hints)?;
    let call = worst(calls)?;
    let confirmed_at = |records: &[&Record]| {
        let last = records.iter().map(|record| record.confirmed_at).max();
        last.unwrap_or_default() + WAIT_FOR_EXPLANATION
    };
    match (judged.word, call.word) {
        // It does not answer, yet a call may have passed since: then it is degraded at worst.
        (Word::Down, Word::Good) => {
            let since = hints.iter().filter_map(|hint| hint.first_failed).min();
            if calls
                .iter()
                .any(|call| call.is_good_since(since.unwrap_or_default()))
            {
                judged.word = Word::Degraded;
                judged.since = judged.since.max(call.since);
            } else if now < confirmed_at(hints) {
                judged.word = Word::Good;
                judged.since = call.since;
                judged.settled = false;
                judged.again_at = Some(confirmed_at(hints));
            }
        }
        (Word::Good, Word::Down | Word::Degraded) => match behind {
            Behind::AllDown => {}
            Behind::Unsettled if now < confirmed_at(calls) => {
                judged.settled = false;
                judged.failure = call.failure;
                judged.again_at = Some(confirmed_at(calls));
            }
            Behind::Answering | Behind::Unsettled => {
                judged = Judgement {
                    word: Word::Degraded,
                    since: judged.since.max(call.since),
                    ..call
                }
            }
        },
        // A call that passes proves the gateway while its own probes see nothing.
        (Word::Blind, Word::Good) => judged = call,
        (Word::Good, Word::Good | Word::Blind)
        | (Word::Degraded, _)
        | (Word::Down, Word::Degraded | Word::Down | Word::Blind)
        | (Word::Blind, Word::Degraded | Word::Down | Word::Blind) => {}
    }
    Some(judged)
}

/// Without any oracle the hints decide together: down only if all that see say so.
fn hints_alone(hints: &[&Record]) -> Option<Judgement> {
    let seeing = seeing(hints);
    if seeing.is_empty() {
        return worst(hints);
    }
    let mut judged = together(&seeing)?;
    unsettle(&mut judged, hints);
    Some(judged)
}

/// The word of a line by its calls from one place.
pub(super) fn calls(calls: &[&Record]) -> Option<Judgement> {
    let seeing = seeing(calls);
    if seeing.is_empty() {
        return worst(calls);
    }
    together(&seeing)
}

/// Down only if all of these are; then since the first of them, unless that one fell long before the others did.
fn together(seeing: &[&Record]) -> Option<Judgement> {
    let mut judged = worst(seeing)?;
    if judged.word != Word::Down {
        return Some(judged);
    }
    if seeing.iter().any(|one| one.state.word() != Word::Down) {
        judged.word = Word::Degraded;
        return Some(judged);
    }
    let last = seeing.iter().map(|one| one.since).max()?;
    let together = seeing
        .iter()
        .filter(|one| last.since(one.since) <= ONE_FAILURE);
    let settled = judged.settled;
    judged = of_record(together.min_by_key(|one| one.since)?);
    judged.settled = settled;
    Some(judged)
}

/// Who answered, by the first call that passes; `serving` names the PBX of a signature.
pub(super) fn answering(
    calls: &[&Record],
    serving: impl Fn(&str) -> Option<String>,
) -> Option<String> {
    let seeing = seeing(calls);
    let answering = seeing.iter().find(|call| call.state.word() != Word::Down);
    answering
        .and_then(|call| call.last_signature.as_deref())
        .and_then(serving)
}

/// A line that passes calls is worse than usual when `by` takes them, and not `normal`.
pub(super) fn put_on_backup(judged: &mut Judgement, by: &str, normal: &str) {
    if matches!(judged.word, Word::Good | Word::Degraded) {
        judged.word = Word::Degraded;
        judged.failure = Some(served_by_backup(by, normal));
    }
}

fn seeing<'r>(records: &[&'r Record]) -> Vec<&'r Record> {
    let sees = |record: &&Record| record.state.word() != Word::Blind;
    records.iter().copied().filter(sees).collect()
}

/// The line is answered, by another PBX than the normal one.
pub const SERVED_BY_BACKUP: &str = "served_by_backup";

fn served_by_backup(by: &str, normal: &str) -> Failure {
    Failure::new(
        Blame::Misbehaved,
        SERVED_BY_BACKUP,
        format!(
            "calls are answered by {by}, not by {normal}: look at {normal} and at the hunt group"
        ),
    )
}

/// The worst of several: down, then blind, then degraded.
fn worst(records: &[&Record]) -> Option<Judgement> {
    let rank = |word: Word| match word {
        Word::Good => 0,
        Word::Degraded => 1,
        Word::Blind => 2,
        Word::Down => 3,
    };
    // Of equals the one that failed first, or the one that became good last.
    let first = records.iter().max_by_key(|record| {
        let word = record.state.word();
        let since = match word {
            Word::Good => record.since.0,
            Word::Degraded | Word::Down | Word::Blind => -record.since.0,
        };
        (rank(word), since)
    })?;
    let mut judged = of_record(first);
    unsettle(&mut judged, records);
    Some(judged)
}

fn of_record(record: &Record) -> Judgement {
    let seen_now = record.last.as_ref().and_then(|last| last.failure.clone());
    Judgement {
        word: record.state.word(),
        settled: record.state.is_settled(),
        since: record.since,
        failure: match record.state.word() {
            Word::Blind if record.state.is_settled() => seen_now,
            Word::Good | Word::Degraded | Word::Down | Word::Blind => record.failure.clone(),
        },
        again_at: None,
    }
}

/// If one of these waits for confirmation, so does the whole.
fn unsettle(judged: &mut Judgement, records: &[&Record]) {
    if let Some(open) = records.iter().find(|record| !record.state.is_settled()) {
        judged.settled = false;
        if judged.failure.is_none() {
            judged.failure.clone_from(&open.failure);
        }
    }
}

fn failing<'a>(hints: &[&'a Record]) -> Option<&'a Record> {
    hints
        .iter()
        .copied()
        .find(|hint| matches!(hint.state.word(), Word::Down | Word::Degraded))
}

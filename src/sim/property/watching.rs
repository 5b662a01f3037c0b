//! What must hold of facts, states and pages.

use std::time::Duration;

use super::{Moment, holds};
use crate::engine::fact::Hash;
use crate::probe::Word;
use crate::sim::world::SECRET;

pub(super) fn chain(moment: &Moment<'_>) -> Result<(), String> {
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

pub(super) fn page(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Page { fact, made } = moment else {
        return Ok(());
    };
    holds(fact <= made, || {
        format!("a page shows fact {fact}; the last one is {made}")
    })
}

pub(super) fn no_false_alarm(moment: &Moment<'_>) -> Result<(), String> {
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

pub(super) fn no_missed_outage(moment: &Moment<'_>) -> Result<(), String> {
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

pub(super) fn no_idle_blindness(moment: &Moment<'_>) -> Result<(), String> {
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

pub(super) fn absence_told(moment: &Moment<'_>) -> Result<(), String> {
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

pub(super) fn calm(moment: &Moment<'_>) -> Result<(), String> {
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

pub(super) fn replayed(moment: &Moment<'_>) -> Result<(), String> {
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

pub(super) fn repeated(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Repeated { before, after } = moment else {
        return Ok(());
    };
    holds(before == after, || {
        format!("before {before}, after {after}")
    })
}

pub(super) fn back(moment: &Moment<'_>) -> Result<(), String> {
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

pub(super) fn clock(moment: &Moment<'_>) -> Result<(), String> {
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

pub(super) fn no_secret(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Fact { fact, .. } = moment else {
        return Ok(());
    };
    holds(!fact.payload.contains(SECRET), || {
        format!("fact {} ({}) holds a secret", fact.seq, fact.kind)
    })
}

//! What must hold of incidents and of the clocks that run for them.

use super::{Moment, Rested, holds};
use crate::incident::book::State;
use crate::incident::span::Span;
use crate::incident::step::What;
use crate::probe::Word;

pub(super) fn once(moment: &Moment<'_>) -> Result<(), String> {
    if let Moment::Rearranged { before, after } = moment {
        return holds(before == after, || {
            format!("an act makes or loses spans: before {before:?}, after {after:?}")
        });
    }
    let Moment::Decided { step, was, is, .. } = moment else {
        return Ok(());
    };
    let opens = matches!(step.what, What::Opened(_));
    let was_closed = was.is_some_and(|(state, _)| state == State::Closed);
    holds(opens == was.is_none() && !was_closed, || {
        format!("{step:?} is decided of an incident that was {was:?}")
    })?;
    let Some((_, before)) = was else {
        return Ok(());
    };
    let edited = before.iter().find(|(subject, spans)| {
        let now = is.members.get(*subject).map_or(&[][..], Vec::as_slice);
        let is_kept = |(span, now): (&Span, &Span)| span.end.is_none() || span == now;
        now.len() < spans.len() || !spans.iter().zip(now).all(is_kept)
    });
    holds(edited.is_none(), || {
        format!("{step:?} edits what was known: {edited:?}")
    })
}

pub(super) fn closed(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Quiet { open } = moment else {
        return Ok(());
    };
    holds(open.is_empty(), || {
        format!("incidents {open:?} are not closed after an hour of calm")
    })
}

pub(super) fn rests_on_a_failure(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Decided { step, rested, .. } = moment else {
        return Ok(());
    };
    let fits = match &step.what {
        What::Opened(failed)
        | What::Relapsed(failed)
        | What::Changed(failed)
        | What::Joined { failed, .. } => {
            matches!(failed.word, Word::Down | Word::Degraded)
                && matches!(rested, Rested::On(Word::Down | Word::Degraded))
        }
        // A line that its reserve answers is degraded, and restored.
        What::Restored { .. } => matches!(rested, Rested::On(Word::Good | Word::Degraded)),
        What::Dropped { .. } | What::Closed => *rested == Rested::OnTime,
    };
    holds(fits, || format!("{step:?} rests {rested:?}"))
}

pub(super) fn held_once(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Held { subject, by } = moment else {
        return Ok(());
    };
    holds(*by == 1, || {
        format!("{subject:?} is down, and {by} open incidents say so")
    })
}

pub(super) fn counted(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Counted {
        incident,
        net,
        seconds,
        edges,
    } = moment
    else {
        return Ok(());
    };
    holds(net.abs_diff(*seconds) <= *edges, || {
        format!(
            "incident {incident} counts {net:?}; its seconds are {seconds:?}, give or take {edges:?}"
        )
    })
}

pub(super) fn varied(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Varied {
        incident,
        what,
        before,
        after,
        holds: as_it_must,
    } = moment
    else {
        return Ok(());
    };
    holds(*as_it_must, || {
        format!("incident {incident} counts {before:?}; {what}, {after:?}")
    })
}

pub(super) fn survived(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Survived {
        differing,
        people_differ,
    } = moment
    else {
        return Ok(());
    };
    holds(differing.is_none(), || {
        format!("of incident {differing:?} the engine knows otherwise than its facts tell")
    })?;
    holds(!people_differ, || {
        "of proposals or planned work the engine knows otherwise than its facts tell".to_owned()
    })
}

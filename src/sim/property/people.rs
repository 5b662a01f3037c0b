//! What must hold of what people do.

use super::{Moment, holds};
use crate::incident::act::What;

pub(super) fn answered(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Acted {
        act,
        must_be_refused,
        outcome,
        fact,
        ..
    } = moment
    else {
        return Ok(());
    };
    match outcome {
        Ok(seq) => {
            holds(!must_be_refused, || format!("{act:?} was accepted"))?;
            holds(*fact == Some((*seq, act.author.as_str())), || {
                format!("{act:?} is said to be fact {seq}; the journal has {fact:?}")
            })
        }
        Err(refusal) => holds(*must_be_refused, || {
            format!("{act:?} was refused: {refusal}")
        }),
    }
}

pub(super) fn refused(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Acted {
        act,
        outcome: Err(_),
        facts_made,
        ..
    } = moment
    else {
        return Ok(());
    };
    holds(*facts_made == 0, || {
        format!("{act:?} was refused, and made {facts_made} facts")
    })
}

pub(super) fn raw(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Recounted {
        act,
        incident,
        before,
        after,
    } = moment
    else {
        return Ok(());
    };
    let (raw, net) = before;
    holds(after.0 == *raw, || {
        format!(
            "{act:?} turns the raw time of incident {incident} from {raw:?} into {:?}",
            after.0
        )
    })?;
    let agrees = matches!(act.what, What::Approve { .. });
    holds(after.1 == *net || agrees && after.1 < *net, || {
        format!(
            "{act:?} turns the net time of incident {incident} from {net:?} into {:?}",
            after.1
        )
    })
}

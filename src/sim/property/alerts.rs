//! What must hold of alerts, as their far ends see them.

use std::time::Duration;

use super::{Moment, Sent, holds};
use crate::alert::notice::Reason;
use crate::probe::Word;

pub(super) fn somebody(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Owed { notice, to, .. } = moment else {
        return Ok(());
    };
    let is_outage = notice.reason.is_alarm() && notice.word == Word::Down;
    holds(!is_outage || !to.is_empty(), || {
        format!("{} is nobody's to hear", notice.id)
    })
}

pub(super) fn in_hand(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Owed {
        notice, in_hand, ..
    } = moment
    else {
        return Ok(());
    };
    holds(notice.reason != Reason::Reminder || !in_hand, || {
        format!("{} is told although somebody has it in hand", notice.id)
    })
}

/// The commit of its record, at most 40 ms, and the wake of a machine that is not stalled.
const AT_ONCE: Duration = Duration::from_millis(200);

pub(super) fn at_once(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Handed(Sent {
        channel,
        notice,
        waited: Some(waited),
        in_digest,
        ..
    }) = moment
    else {
        return Ok(());
    };
    let most = if *in_digest {
        channel.digest + AT_ONCE
    } else {
        AT_ONCE
    };
    holds(*waited <= most, || {
        format!(
            "{} waited {waited:?} for {}, which was free",
            notice.id, channel.name
        )
    })
}

pub(super) fn once(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Handed(Sent {
        channel,
        notice,
        known,
        ..
    }) = moment
    else {
        return Ok(());
    };
    holds(known.is_none(), || {
        format!(
            "{} goes to {} again, which fact {known:?} says has heard it",
            notice.id, channel.name
        )
    })
}

pub(super) fn held(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Handed(Sent {
        channel,
        notice,
        held_until,
        ..
    }) = moment
    else {
        return Ok(());
    };
    holds(held_until.is_none(), || {
        format!(
            "{} goes to {}, and work is planned until {held_until:?}",
            notice.id, channel.name
        )
    })
}

pub(super) fn sent(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Unsent {
        channel,
        notice: Some(notice),
    } = moment
    else {
        return Ok(());
    };
    Err(format!("{notice} never arrived at {channel}"))
}

pub(super) fn ended(moment: &Moment<'_>) -> Result<(), String> {
    let Moment::Unended {
        channel,
        key: Some(key),
    } = moment
    else {
        return Ok(());
    };
    Err(format!(
        "{channel} heard the alarm of {key} and not its end"
    ))
}

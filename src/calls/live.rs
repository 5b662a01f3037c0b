//! How a call goes while it goes: for an engineer who watches it.

use std::time::Duration;

use super::job::Job;
use super::observe::Live;
use crate::quality::codec::{Codec, Concealment};
use crate::quality::emodel::{Loss, Transmission};
use crate::rtp::loss::share;
use crate::time::Now;

impl Job {
    /// `None` before the answer and without sound.
    pub(super) fn live(&mut self, now: Now) -> Option<Live> {
        let answered = self.seen.answered?;
        let media = self.media.as_mut()?;
        let level_dbov = media.take_level();
        let session = media.session();
        let counts = session.counts();
        let loss_percent = 100.0 * share(counts.missing, counts.expected);
        Some(Live {
            at: now.instant.since(answered),
            level_dbov,
            loss_percent,
            jitter_ms: session.jitter_ms(),
            mos: mos(loss_percent, session.round_trip()).filter(|_| counts.packets > 0),
        })
    }
}

/// Of G.711, both codecs that we offer; with half the round trip of RTCP as delay once it is known.
fn mos(loss_percent: f64, round_trip: Option<Duration>) -> Option<f64> {
    let codec = Codec::named("PCMA", 8000, None)?;
    let one_way_ms = round_trip.unwrap_or_default().as_secs_f64() * 500.0;
    let loss = Loss {
        percent: loss_percent,
        ..Loss::default()
    };
    let line = Transmission::default().delayed_by(one_way_ms);
    Some(codec.rate(Concealment::Concealed, loss, &line).printed().0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_costs_what_the_model_says() {
        for (percent, expected) in [(0.0, 4.409), (5.0, 3.923)] {
            let found = mos(percent, None).unwrap();
            assert!((found - expected).abs() < 0.001, "{percent}: {found}");
        }
    }
}

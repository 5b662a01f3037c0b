//! How a call goes while it goes: for an engineer who watches it.

use super::job::Job;
use super::observe::{Live, RtpSeen};
use crate::quality::codec::{Codec, Concealment};
use crate::quality::emodel::{Loss, Transmission};
use crate::time::Now;

impl Job {
    /// `None` before the answer and without sound.
    pub(super) fn live(&mut self, now: Now) -> Option<Live> {
        let answered = self.seen.answered?;
        let media = self.media.as_mut()?;
        let rtp = media.figures();
        Some(Live {
            at: now.instant.since(answered),
            level_dbov: media.take_level(),
            sent: rtp.sent,
            received: rtp.received,
            lost: rtp.lost,
            jitter_ms: rtp.jitter_ms,
            mos: mos(&rtp),
        })
    }
}

/// Of G.711, both codecs that we offer; with half the round trip of RTCP as delay once it is known.
fn mos(rtp: &RtpSeen) -> Option<f64> {
    if rtp.received == 0 {
        return None;
    }
    let codec = Codec::named("PCMA", 8000, None)?;
    let one_way = rtp.round_trip.unwrap_or_default().as_secs_f64() * 500.0;
    let loss = Loss {
        percent: rtp.loss_percent(),
        ..Loss::default()
    };
    let line = Transmission::default().delayed_by(one_way);
    Some(codec.rate(Concealment::Concealed, loss, &line).printed().0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_costs_what_the_model_says() {
        let seen = |received, lost| RtpSeen {
            received,
            lost,
            ..RtpSeen::default()
        };
        assert_eq!(mos(&seen(0, 0)), None);
        for (received, lost, expected) in [(100, 0, 4.409), (95, 5, 3.923)] {
            let found = mos(&seen(received, lost)).unwrap();
            assert!((found - expected).abs() < 0.001, "{lost}: {found}");
        }
    }
}

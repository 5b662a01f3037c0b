//! What a call let us hear, as figures for its judge: the word, the measures, and whether we may speak of them.

use std::time::Duration;

use super::Hear;
use crate::calls::observe::{Observed, PromptHeard};
use crate::probe::{EXCLUDED, Verdict};
use crate::quality::leg::{Report, Situation};
use crate::quality::limits::Measured;
use crate::quality::media_state::{HeardBack, MediaState};
use crate::quality::metric::Metric;

/// Sound that left or was read later than this, one packet in a hundred, says more about us than about the line.
const OWN_LATENESS_US_MAX: u64 = 5_000;

/// Our tone at −16 dBm0 comes back at about −22 dBov; weaker than this it is noise, not an echo.
const ECHO_DBOV_MIN: f64 = -45.0;

/// One call, heard.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) state: MediaState,
    pub(super) measured: Measured,
    /// Without a packet that the far end did not announce; zero when there is none of more than a second.
    pub(super) longest_hole: Duration,
    /// How long something was heard that one could follow.
    pub(super) active: Duration,
    /// We were late ourselves: loss, jitter and delay are no measurement.
    pub(super) excluded: bool,
}

impl Heard {
    pub(super) fn of(observed: &Observed, report: Option<&Report>) -> Self {
        let mut measured = report.map(Report::measured).unwrap_or_default();
        measured.audio_round_trip_ms = observed.echoed.map(|echo| milliseconds(echo.round_trip));
        let rtp = &observed.rtp;
        Self {
            state: report.map_or(MediaState::NoMedia, |report| report.media_state),
            measured,
            longest_hole: report.map(|report| report.longest_hole).unwrap_or_default(),
            active: report.map(Report::active).unwrap_or_default(),
            excluded: rtp.send_late_p99_us.max(rtp.receive_lag_p99_us) > OWN_LATENESS_US_MAX,
        }
    }

    /// The verdict with every figure; `excluded` among them says that those of quality are our own making.
    pub(super) fn measures(&self, mut verdict: Verdict, observed: &Observed) -> Verdict {
        let Some(first) = observed.first_media_after else {
            return verdict;
        };
        let rtp = &observed.rtp;
        verdict = verdict
            .measuring("first_media_ms", milliseconds(first))
            .measuring("rtp_sent_packets", figure(rtp.sent))
            .measuring("rtp_received_packets", figure(rtp.received))
            .measuring("own_send_late_p99_us", figure(rtp.send_late_p99_us))
            .measuring("own_receive_lag_p99_us", figure(rtp.receive_lag_p99_us));
        if self.excluded {
            verdict = verdict.measuring(EXCLUDED, 1.0);
        }
        for metric in Metric::ALL {
            // Loud and faint are two limits of one level.
            if metric != Metric::LevelHighDbov
                && let Some(value) = self.measured.value(metric)
            {
                verdict = verdict.measuring(metric.key(), value);
            }
        }
        if let Some(far) = observed.leg.as_ref().and_then(|leg| leg.far_end.about_us) {
            verdict = verdict.measuring("far_end_lost_packets", f64::from(far.lost));
        }
        // More than we expected was lost before the first packet or after the last, where no number shows it.
        if let Some(sender) = observed.leg.as_ref().and_then(|leg| leg.far_end.sender) {
            verdict = verdict.measuring("far_end_sent_packets", f64::from(sender.packets));
        }
        if let Some(round_trip) = rtp.round_trip {
            verdict = verdict.measuring("rtcp_round_trip_ms", milliseconds(round_trip));
        }
        if let Some(level) = observed.echo_dbov {
            verdict = verdict.measuring("echo_dbov", level);
        }
        if let Some(PromptHeard::Right {
            after, louder_db, ..
        }) = observed.prompt
        {
            verdict = verdict
                .measuring("prompt_after_ms", milliseconds(after))
                .measuring("prompt_louder_db", louder_db);
        }
        verdict
    }
}

pub(super) fn report(observed: &Observed, hear: Hear) -> Option<Report> {
    let leg = observed.leg.as_ref()?;
    let from = observed.answered?;
    let heard_back = match (hear, is_echoed(observed)) {
        (Hear::Echo, true) => HeardBack::Yes,
        (Hear::Echo, false) => HeardBack::No,
        (Hear::AnythingWithOurTone, true) => HeardBack::Yes,
        (Hear::Anything | Hear::AnythingWithOurTone | Hear::Nothing, _) => leg.heard_back(),
    };
    // The sound of the far end, without the network's way there and back twice.
    let by_echo = observed.echoed.map(|echo| echo.round_trip);
    let situation = Situation {
        from,
        to: from
            + observed
                .held
                .unwrap_or_else(|| observed.finished.since(from)),
        codec: leg.codec,
        round_trip: leg.round_trip.or(by_echo),
        heard_back,
    };
    Some(Report::of(&leg.streams, &leg.hearing, &situation))
}

/// Our own tone came back, loud enough to be one.
pub(super) fn is_echoed(observed: &Observed) -> bool {
    observed
        .echo_dbov
        .is_some_and(|level| level >= ECHO_DBOV_MIN)
}

fn milliseconds(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of packets stay far below 2^52"
)]
const fn figure(count: u64) -> f64 {
    count as f64
}

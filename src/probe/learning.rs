//! When the announcement that a call plays is over, and whether what was heard is all of it.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::calls::observe::{Live, Observed, Outcome};

/// Quieter is silence, here and to a caller.
const SILENT_DBOV: f64 = -60.0;

/// This long a silence ends an announcement: 3 s, at five looks a second.
const SILENT_LOOKS: u32 = 15;

/// Finds the end of an announcement in a call that plays it.
#[derive(Debug, Default)]
pub struct Ending {
    begun: bool,
    silent: u32,
}

impl Ending {
    /// One look at the call, five a second; breaks once the announcement is over.
    pub fn hear(&mut self, live: &Live) -> ControlFlow<()> {
        if live.level_dbov.is_some_and(|level| level > SILENT_DBOV) {
            self.begun = true;
            self.silent = 0;
        } else if self.begun {
            self.silent += 1;
        }
        if self.silent >= SILENT_LOOKS {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// Why what was heard is not the announcement as it is; nobody would hear that a word is missing.
    #[must_use]
    pub fn spoils(&self, observed: &Observed, chosen: Option<Duration>) -> Option<String> {
        let lost = observed.rtp.lost;
        if lost > 0 {
            return Some(format!("{lost} packets of it were lost; call again"));
        }
        let is_cut = match observed.outcome {
            // By Ctrl-C, or by a time that nobody chose.
            Outcome::Completed { .. } => {
                let as_chosen = chosen.is_some() && observed.held >= chosen;
                self.begun && self.silent < SILENT_LOOKS && !as_chosen
            }
            // Where an announcement ends, lines hang up.
            Outcome::HungUpByFarEnd { .. } => false,
            // Nothing was heard, which is told in better words.
            Outcome::Refused { .. }
            | Outcome::SentToEmergency { .. }
            | Outcome::NoAnswer { .. }
            | Outcome::Misbehaved { .. }
            | Outcome::Flow(_)
            | Outcome::Aborted
            | Outcome::Ours { .. } => false,
        };
        is_cut.then(|| "it still played when we hung up; if it repeats, say with --hold how much of it to learn".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Instant;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn what_was_cut_or_lost_a_packet_is_not_learned() {
        let completed = || Outcome::Completed { status: 200 };
        let hung_up = || Outcome::HungUpByFarEnd {
            after: Duration::ZERO,
            cause: None,
        };
        let six = Some(Duration::from_secs(6));
        for (name, outcome, chosen, silent, lost, spoilt) in [
            ("whole", completed(), None, SILENT_LOOKS, 0, false),
            ("cut by us", completed(), None, SILENT_LOOKS - 1, 0, true),
            ("cut as chosen", completed(), six, 0, 0, false),
            ("cut before that", completed(), Some(MINUTE), 0, 0, true),
            ("ended by them", hung_up(), None, 0, 0, false),
            ("a packet lost", completed(), None, SILENT_LOOKS, 1, true),
        ] {
            let ending = Ending {
                begun: true,
                silent,
            };
            let mut observed = Observed::nothing(Instant(0), Instant(0), outcome);
            observed.rtp.lost = lost;
            observed.held = six;
            assert_eq!(ending.spoils(&observed, chosen).is_some(), spoilt, "{name}");
        }
    }

    #[test]
    fn an_announcement_ends_with_three_seconds_of_silence_and_not_before_it_began() {
        let look = |level_dbov| Live {
            at: Duration::ZERO,
            level_dbov,
            loss_percent: 0.0,
            jitter_ms: 0.0,
            mos: None,
        };
        let mut ending = Ending::default();
        let silence = [None, Some(-72.0)].into_iter().cycle();
        for level in silence.clone().take(50) {
            assert!(ending.hear(&look(level)).is_continue(), "before it began");
        }
        for level in [Some(-20.0), None, Some(-30.0)] {
            assert!(ending.hear(&look(level)).is_continue());
        }
        let ended = silence.map(|level| ending.hear(&look(level)).is_break());
        assert_eq!(ended.take_while(|ended| !ended).count(), 14);
    }
}

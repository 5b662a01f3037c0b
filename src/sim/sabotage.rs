//! A watchdog broken on purpose, so that the checker is seen to fail: what never fails proves nothing.

use crate::engine::fact::Fact;
use crate::engine::input::Input;
use crate::probe::{Blame, Failure, Verdict, Word};

/// What is broken between the shell and the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sabotage {
    #[default]
    None,
    /// A PBX that is back is never heard.
    DeafToRecovery,
    /// Each fact about a word that changed is written twice.
    DoublesFacts,
    /// Every good call of the first PBX is told as silence.
    CriesWolf,
    /// Failures are told as good.
    SleepsThroughOutages,
}

impl Sabotage {
    pub const ALL: [(&'static str, Self); 4] = [
        ("deaf-to-recovery", Self::DeafToRecovery),
        ("doubles-facts", Self::DoublesFacts),
        ("cries-wolf", Self::CriesWolf),
        ("sleeps-through-outages", Self::SleepsThroughOutages),
    ];

    /// The input as the broken watchdog hears it. `was_down`: the probe has failed before.
    pub(super) fn hears(self, input: Input, was_down: bool) -> Input {
        let Input::ProbeDone {
            run,
            probe,
            sent,
            verdict,
            signature,
        } = input
        else {
            return input;
        };
        let silent = || Verdict::down(Failure::new(Blame::Silent, "silent", "no answer"));
        let verdict = match (self, verdict.word) {
            (Self::DeafToRecovery, Word::Good) if was_down && probe.as_str() == "xivo1/call" => {
                silent()
            }
            (Self::CriesWolf, Word::Good) if probe.as_str() == "xivo1/call" => silent(),
            (Self::SleepsThroughOutages, Word::Down) => Verdict::good(std::time::Duration::ZERO),
            (
                Self::None
                | Self::DeafToRecovery
                | Self::DoublesFacts
                | Self::CriesWolf
                | Self::SleepsThroughOutages,
                _,
            ) => verdict,
        };
        Input::ProbeDone {
            run,
            probe,
            sent,
            verdict,
            signature,
        }
    }

    pub(super) fn doubles(self, fact: &Fact) -> bool {
        self == Self::DoublesFacts && fact.kind == "hard"
    }
}

//! A watchdog broken on purpose, so that the checker is seen to fail: what never fails proves nothing.

use std::borrow::Cow;
use std::time::Duration;

use crate::alert::notice::Notice;
use crate::alert::outbox::Outgoing;
use crate::alert::record::Record;
use crate::engine::fact::{Event, Fact};
use crate::engine::input::Input;
use crate::incident::act::{Act, Refusal, What};
use crate::incident::step;
use crate::probe::{Blame, Failure, Verdict, Word};
use crate::sla::clock::Outage;
use crate::sla::contract::Support;
use crate::sla::exclusion::excluded_time;

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
    /// The end of an incident is told twice.
    ClosesTwice,
    /// It is never told.
    NeverCloses,
    /// A decision names the fact after the one that it rests on.
    MisquotesFacts,
    /// Nobody hears that an incident began.
    MissesOpenings,
    /// What is supported in office hours is counted at night too.
    CountsEveryHour,
    /// Time that is not to count makes the rest longer.
    LengthensPauses,
    /// What two people excluded leaves the raw figure.
    ExcludesRaw,
    /// A restart begins with an empty book.
    ForgetsIncidents,
    /// Acts are answered and never made.
    AnswersTooSoon,
    /// Whoever proposed it approves it under another name.
    ApprovesForHimself,
    /// What was refused is done for somebody else.
    ActsOnRefusals,
    /// An acknowledgement is taken for a remark.
    DeafToAcknowledgements,
    /// Planned work is over after a second.
    ShortensWork,
    /// No channel is to hear of anything.
    TellsNobody,
    /// A message waits for the one that is on its way, whatever its channel.
    WaitsInLine,
    /// What was sent before is sent again.
    TellsAgain,
    /// Ends are thrown away.
    SwallowsEnds,
    /// All messages are.
    LosesPost,
}

/// How the shell treats a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treated {
    Well,
    WaitsInLine,
    AgainLater,
    Swallowed,
    Lost,
}

type Answer = Option<Result<u64, Refusal>>;

impl Sabotage {
    pub const ALL: [(&'static str, Self); 22] = [
        ("deaf-to-recovery", Self::DeafToRecovery),
        ("doubles-facts", Self::DoublesFacts),
        ("cries-wolf", Self::CriesWolf),
        ("sleeps-through-outages", Self::SleepsThroughOutages),
        ("closes-twice", Self::ClosesTwice),
        ("never-closes", Self::NeverCloses),
        ("misquotes-facts", Self::MisquotesFacts),
        ("misses-openings", Self::MissesOpenings),
        ("counts-every-hour", Self::CountsEveryHour),
        ("lengthens-pauses", Self::LengthensPauses),
        ("excludes-raw", Self::ExcludesRaw),
        ("forgets-incidents", Self::ForgetsIncidents),
        ("answers-too-soon", Self::AnswersTooSoon),
        ("approves-for-himself", Self::ApprovesForHimself),
        ("acts-on-refusals", Self::ActsOnRefusals),
        ("deaf-to-acknowledgements", Self::DeafToAcknowledgements),
        ("shortens-work", Self::ShortensWork),
        ("tells-nobody", Self::TellsNobody),
        ("waits-in-line", Self::WaitsInLine),
        ("tells-again", Self::TellsAgain),
        ("swallows-ends", Self::SwallowsEnds),
        ("loses-post", Self::LosesPost),
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
        let is_first_call = probe.as_str() == "xivo1/call";
        let is_false = match verdict.word {
            Word::Good => {
                is_first_call
                    && (self == Self::CriesWolf || was_down && self == Self::DeafToRecovery)
            }
            Word::Down => self == Self::SleepsThroughOutages,
            Word::Degraded | Word::Blind => false,
        };
        let verdict = match verdict.word {
            Word::Good if is_false => {
                Verdict::down(Failure::new(Blame::Silent, "silent", "no answer"))
            }
            Word::Down if is_false => Verdict::good(Duration::ZERO),
            Word::Good | Word::Down | Word::Degraded | Word::Blind => verdict,
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

    /// A fact as whoever reads it is told of it.
    pub(super) fn reads_fact(self, event: &Event) -> Vec<Cow<'_, Event>> {
        if let Event::Incident(step) = event {
            let closes = step.what == step::What::Closed;
            let opens = matches!(step.what, step::What::Opened(_));
            if closes && self == Self::NeverCloses || opens && self == Self::MissesOpenings {
                return Vec::new();
            }
            if self == Self::MisquotesFacts {
                let mut step = step.clone();
                step.because += 1;
                return vec![Cow::Owned(Event::Incident(step))];
            }
            if closes && self == Self::ClosesTwice {
                return vec![Cow::Borrowed(event); 2];
            }
        }
        if let Event::Alert(Record::Taken {
            notice, held_until, ..
        }) = event
            && self == Self::TellsNobody
        {
            return vec![Cow::Owned(Event::Alert(Record::Taken {
                notice: notice.clone(),
                to: Vec::new(),
                held_until: *held_until,
            }))];
        }
        vec![Cow::Borrowed(event)]
    }

    /// An outage as a clock reads it; `None`: as it is.
    pub(super) fn reads(self, outage: &Outage) -> Option<Outage> {
        let mut read = outage.clone();
        let excluded = excluded_time(&outage.exclusions).total();
        let last = read.spans.last_mut().and_then(|span| span.end.as_mut());
        match (self, last) {
            (Self::CountsEveryHour, _) => read.support = Support::Hno,
            (Self::LengthensPauses, Some(end)) => end.at = end.at + excluded * 2,
            (Self::ExcludesRaw, Some(end)) => end.at = end.at - excluded,
            (_, _) => return None,
        }
        Some(read)
    }

    /// Hands an act to the engine, `made` facts after the beginning, and brings the answer.
    pub(super) fn acts(
        self,
        mut act: Act,
        made: u64,
        mut give: impl FnMut(Act) -> Answer,
    ) -> Answer {
        match (self, &mut act.what) {
            (Self::AnswersTooSoon, _) => return Some(Ok(made + 1)),
            (Self::ActsOnRefusals, _) => {
                let answer = give(act.clone());
                if matches!(answer, Some(Err(_))) {
                    act.author = "Quelqu’un d’autre".into();
                    give(act);
                }
                return answer;
            }
            (Self::ApprovesForHimself, What::Approve { .. }) => act.author.push_str(" bis"),
            (Self::DeafToAcknowledgements, What::Acknowledge { incident }) => {
                act.what = What::Comment {
                    incident: *incident,
                    text: "je m’en occupe".into(),
                };
            }
            (Self::ShortensWork, What::Maintain { from, until, .. }) => {
                *until = (*until).min(*from + Duration::from_secs(1));
            }
            (_, _) => {}
        }
        give(act)
    }

    /// What the shell does with a message.
    pub(super) fn posts(self, outgoing: &Outgoing) -> Treated {
        let ends = |notice: &Notice| notice.reason.is_end();
        if self == Self::WaitsInLine {
            Treated::WaitsInLine
        } else if self == Self::TellsAgain {
            Treated::AgainLater
        } else if self == Self::SwallowsEnds && outgoing.notices.iter().any(ends) {
            Treated::Swallowed
        } else if self == Self::LosesPost {
            Treated::Lost
        } else {
            Treated::Well
        }
    }
}

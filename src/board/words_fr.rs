//! The French of the supervisor's page: words, hours, durations. Customers read these; engineers read
//! the English of `Failure`. The page lives in Paris time, whatever the server's zone is.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::view::{Answer, TargetView};
use crate::probe::Word;
use crate::probe::icmp::Expect;
use crate::time::Utc;

/// The plant stands in France; its clock on the wall shows this zone.
const ZONE: &str = "Europe/Paris";

impl Answer {
    /// *Peut-on prendre des appels ?*, readable at four metres.
    #[must_use]
    pub const fn word_fr(self) -> &'static str {
        match self {
            Self::Yes => "OUI",
            Self::Partly => "PARTIELLEMENT",
            Self::No => "NON",
            Self::Unknown => "ON NE SAIT PAS",
        }
    }

    /// The state class that colours and shapes the answer.
    #[must_use]
    pub const fn word(self) -> Word {
        match self {
            Self::Yes => Word::Good,
            Self::Partly => Word::Degraded,
            Self::No => Word::Down,
            Self::Unknown => Word::Blind,
        }
    }
}

impl Word {
    #[must_use]
    pub const fn word_fr(self) -> &'static str {
        match self {
            Self::Good => "en service",
            Self::Degraded => "dégradé",
            Self::Down => "en panne",
            Self::Blind => "inconnu",
        }
    }

    /// A shape beside the word, so that no state is told by colour alone (RGAA 3.1).
    #[must_use]
    pub const fn shape(self) -> &'static str {
        match self {
            Self::Good => "●",
            Self::Degraded => "▲",
            Self::Down => "■",
            Self::Blind => "?",
        }
    }
}

impl TargetView {
    /// Its state in a word. What is off on purpose is good when it is silent, and *not* in service.
    #[must_use]
    pub fn word_fr(&self) -> &'static str {
        match (self.state, self.expect) {
            (Word::Good, Expect::Silent) if self.label == "PROJET" => "pas encore là",
            (Word::Good, Expect::Silent) => "éteint, comme prévu",
            (Word::Good, Expect::Answer) | (Word::Degraded | Word::Down | Word::Blind, _) => {
                self.state.word_fr()
            }
        }
    }
}

/// How many of a group are in service: `11 sur 12 en service, 2 hors service comme prévu`.
#[must_use]
pub fn in_service(targets: &[&TargetView]) -> String {
    let (silent, wanted): (Vec<&TargetView>, Vec<&TargetView>) = targets
        .iter()
        .partition(|target| target.expect == Expect::Silent);
    let good = |of: &[&TargetView]| of.iter().filter(|one| one.state == Word::Good).count();
    let mut parts = Vec::new();
    if !wanted.is_empty() {
        parts.push(format!("{} sur {} en service", good(&wanted), wanted.len()));
    }
    match good(&silent) {
        0 => {}
        quiet => parts.push(format!("{quiet} hors service comme prévu")),
    }
    parts.join(", ")
}

/// Time of day in Paris: `13:58:07`; with the date when it is not the day of `now`.
#[must_use]
pub fn hour(at: Utc, now: Utc) -> String {
    let (Some(at), Some(now)) = (paris(at), paris(now)) else {
        return at.rfc3339();
    };
    if at.date() == now.date() {
        at.strftime("%H:%M:%S").to_string()
    } else {
        at.strftime("%d/%m/%Y %H:%M:%S").to_string()
    }
}

fn paris(at: Utc) -> Option<jiff::ZonedDateTime> {
    let stamp = jiff::Timestamp::from_nanosecond(i128::from(at.0)).ok()?;
    let zone = TimeZone::get(ZONE).unwrap_or(TimeZone::UTC);
    Some(stamp.to_zoned_datetime(zone))
}

/// How long ago, in the coarsest units that still say enough: `6 s`, `12 min`, `3 h 05`, `2 j 4 h`.
#[must_use]
pub fn lasting(duration: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let seconds = duration.as_secs();
    if seconds < MINUTE {
        format!("{seconds} s")
    } else if seconds < HOUR {
        format!("{} min", seconds / MINUTE)
    } else if seconds < DAY {
        format!("{} h {:02}", seconds / HOUR, seconds % HOUR / MINUTE)
    } else {
        format!("{} j {} h", seconds / DAY, seconds % DAY / HOUR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-24 12:00:00 UTC.
    const NOON: Utc = Utc(1_795_521_600_000_000_000);

    #[test]
    fn hours_are_those_of_paris_in_winter_and_in_summer() {
        let cases = [
            ("winter, same day", NOON, NOON, "13:00:00"),
            (
                "summer, another day",
                Utc(1_784_289_600_000_000_000),
                NOON,
                "17/07/2026 14:00:00",
            ),
        ];
        for (name, at, now, expected) in cases {
            assert_eq!(hour(at, now), expected, "{name}");
        }
    }

    fn target(label: &str, expect: Expect, state: Word) -> TargetView {
        TargetView {
            id: "a".into(),
            name: "A".into(),
            group: "G".into(),
            description: String::new(),
            label: label.into(),
            support: "N/C".into(),
            hds: false,
            expect,
            state,
            confirmed: true,
            unstable: false,
            since: NOON,
            last_proof: None,
            failure: None,
            because_of: None,
            probes: Vec::new(),
        }
    }

    #[test]
    fn what_is_off_on_purpose_is_not_in_service() {
        for (label, expect, state, word) in [
            ("PROD", Expect::Answer, Word::Good, "en service"),
            ("ETEINT", Expect::Silent, Word::Good, "éteint, comme prévu"),
            ("PROJET", Expect::Silent, Word::Good, "pas encore là"),
            ("ETEINT", Expect::Silent, Word::Degraded, "dégradé"),
            ("PROJET", Expect::Silent, Word::Blind, "inconnu"),
            // It has come, and its probe wants an answer already.
            ("PROJET", Expect::Answer, Word::Good, "en service"),
        ] {
            assert_eq!(target(label, expect, state).word_fr(), word, "{label}");
        }
    }

    #[test]
    fn a_group_counts_what_should_be_in_service() {
        let up = target("PROD", Expect::Answer, Word::Good);
        let down = target("PROD", Expect::Answer, Word::Down);
        let off = target("ETEINT", Expect::Silent, Word::Good);
        let started = target("ETEINT", Expect::Silent, Word::Degraded);
        for (group, expected) in [
            (vec![&up, &down], "1 sur 2 en service"),
            (
                vec![&up, &off, &off],
                "1 sur 1 en service, 2 hors service comme prévu",
            ),
            (vec![&up, &started], "1 sur 1 en service"),
            (vec![&off], "1 hors service comme prévu"),
        ] {
            assert_eq!(in_service(&group), expected);
        }
    }

    #[test]
    fn durations_read_as_a_person_says_them() {
        let cases = [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3 * 3600 + 5 * 60, "3 h 05"),
            (2 * 86_400 + 4 * 3600 + 59, "2 j 4 h"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(lasting(Duration::from_secs(seconds)), expected);
        }
    }
}

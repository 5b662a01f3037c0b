//! What the contract promises, by version: start rule, limits, hours, what counts as measured.
//!
//! A figure uses the profile in force at the incident's restoration (of a ticket: at its solution), so that a
//! profile signed today changes no figure of yesterday. Nothing here computes; clocks and indicators read it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::calendar::{self, Calendar};
use super::extent::Weight;
use crate::id::LineId;
use crate::time::Utc;

/// The seven indicators of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Indicator {
    /// Requests of users: resolved of those received.
    Ic1,
    /// Incidents: resolved of those opened.
    Ic2,
    /// Time until a request is answered.
    Ic3,
    /// Time until an incident told by call or mail is resolved.
    Ic4,
    /// Time until systems and network are restored.
    Ic5,
    /// Time until the lines are restored.
    Ic6,
    /// Time until the web site is restored.
    Ic7,
}

/// Which moment starts the clock. All three are always shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// Send time of the first failed probe.
    Fact,
    /// When it was confirmed.
    Detected,
    /// When the customer said so.
    Declared,
}

/// What the inventory says of the hours in which a target is supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Support {
    #[serde(rename = "HO")]
    Ho,
    #[serde(rename = "HNO")]
    Hno,
    /// Not told. Counted round the clock: a figure may then be too severe, never too kind.
    #[serde(rename = "N/C")]
    Untold,
}

/// The hours of one indicator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hours {
    /// As the inventory says of each target.
    OfTarget,
    /// The same for all.
    Always(Support),
}

/// The hours that a support means.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calendars {
    pub ho: Calendar,
    pub hno: Calendar,
}

/// All that figures are counted by.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Terms {
    pub contract: Contract,
    pub calendars: Calendars,
    /// One that is not told weighs as [`Weight::default`] says.
    pub lines: BTreeMap<LineId, Weight>,
}

impl Terms {
    /// What a line weighs.
    #[must_use]
    pub fn weight(&self, line: &LineId) -> Weight {
        self.lines.get(line).copied().unwrap_or_default()
    }
}

/// One version of what was signed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Profile {
    pub version: u32,
    /// Civil date in Paris, from its midnight on.
    #[serde(serialize_with = "calendar::as_text")]
    pub valid_from: Date,
    pub start: Start,
    pub requests_resolved_percent: u32,
    pub incidents_resolved_percent: u32,
    /// IC3.
    pub request: Promise,
    /// IC4, of a desk.
    pub office: Promise,
    /// IC4, of what all share.
    pub infrastructure: Promise,
    /// IC5.
    pub systems: Promise,
    /// IC6.
    pub lines: Promise,
    /// IC7.
    pub web: Promise,
    /// Of all channels, in percent: with fewer up the outage of the lines is total.
    pub lines_up_percent_min: u32,
    /// Targets whose outages are those of the web site: IC7, not IC5.
    pub web_targets: BTreeSet<String>,
    /// Part of a limit, in percent, from which a clock is at risk.
    pub at_risk_percent: u32,
    /// A figure of a period that was measured for less than this part of it, in percent, is marked.
    pub coverage_min_percent: u32,
}

/// A limit, and the hours in which it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    pub limit: Duration,
    pub hours: Hours,
}

/// All versions of the profile.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Contract(Vec<Profile>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "profile {version} from {from} cannot follow the one from {last}: what is past is not rewritten, \
     choose a later date"
)]
pub struct NotLater {
    version: u32,
    from: Date,
    last: Date,
}

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

impl Default for Profile {
    /// Version 1, as proposed to the committee. Its limits are the objectives of the tender.
    fn default() -> Self {
        let round_the_clock = Hours::Always(Support::Hno);
        let office_hours = Hours::Always(Support::Ho);
        let promise = |limit, hours| Promise { limit, hours };
        Self {
            version: 1,
            valid_from: Date::MIN,
            // What callers suffered. Later starts are kinder to who restores, and hide slow detection.
            start: Start::Fact,
            requests_resolved_percent: 95,
            incidents_resolved_percent: 100,
            // Two days of nine open hours: two dates would promise a different time at 9 h and at 17 h.
            request: promise(minutes(2 * 9 * 60), office_hours),
            office: promise(minutes(60), office_hours),
            infrastructure: promise(minutes(30), round_the_clock),
            systems: promise(minutes(120), Hours::OfTarget),
            lines: promise(minutes(60), round_the_clock),
            web: promise(minutes(30), round_the_clock),
            // Half of the calls find a channel. Less would call a plant in service that turns most callers away;
            // more would count the loss of one trunk of three as the loss of all.
            lines_up_percent_min: 50,
            web_targets: BTreeSet::new(),
            // 45 min of the hour of IC6: the quarter that is left is what a fail-over takes. Later leaves no
            // time to act, earlier warns of what is in hand.
            at_risk_percent: 75,
            // 7 h 12 min of a month unseen: less would mark a month for one night of work, more hide a day.
            coverage_min_percent: 99,
        }
    }
}

impl Profile {
    /// What is promised of an outage or ticket; `None` for the two that are only rates.
    ///
    /// IC4 is the promise of a desk; [`Profile::infrastructure`] stands beside it.
    #[must_use]
    pub const fn promise(&self, indicator: Indicator) -> Option<Promise> {
        match indicator {
            Indicator::Ic1 | Indicator::Ic2 => None,
            Indicator::Ic3 => Some(self.request),
            Indicator::Ic4 => Some(self.office),
            Indicator::Ic5 => Some(self.systems),
            Indicator::Ic6 => Some(self.lines),
            Indicator::Ic7 => Some(self.web),
        }
    }

    /// The part of its items, in percent, that have to be kept. A promise of time binds each of them.
    #[must_use]
    pub const fn objective_percent(&self, indicator: Indicator) -> u32 {
        match indicator {
            Indicator::Ic1 => self.requests_resolved_percent,
            Indicator::Ic2 => self.incidents_resolved_percent,
            Indicator::Ic3 | Indicator::Ic4 | Indicator::Ic5 | Indicator::Ic6 | Indicator::Ic7 => {
                100
            }
        }
    }

    /// The indicator that the outage of a target counts for.
    #[must_use]
    pub fn of_target(&self, target: &str) -> Indicator {
        if self.web_targets.contains(target) {
            Indicator::Ic7
        } else {
            Indicator::Ic5
        }
    }

    /// The used part of `limit` from which it is at risk.
    #[must_use]
    pub fn risk(&self, limit: Duration) -> Duration {
        limit * self.at_risk_percent / 100
    }
}

impl Default for Contract {
    fn default() -> Self {
        Self::new(Profile::default())
    }
}

impl Contract {
    /// A contract whose first profile also holds for what was before it.
    #[must_use]
    pub fn new(first: Profile) -> Self {
        Self(vec![first])
    }

    /// The same with another profile from its date on.
    ///
    /// # Errors
    /// If it does not begin after the last one did.
    pub fn then(mut self, profile: Profile) -> Result<Self, NotLater> {
        if let Some(last) = self.0.last()
            && profile.valid_from <= last.valid_from
        {
            return Err(NotLater {
                version: profile.version,
                from: profile.valid_from,
                last: last.valid_from,
            });
        }
        self.0.push(profile);
        Ok(self)
    }

    /// The profile in force at that instant.
    ///
    /// # Panics
    /// Never: a contract has a first profile.
    #[must_use]
    pub fn in_force(&self, at: Utc) -> &Profile {
        let day = calendar::day_of(&calendar::paris(), at).unwrap_or(Date::MAX);
        let begun = self.0.iter().rfind(|profile| profile.valid_from <= day);
        begun
            .or_else(|| self.0.first())
            .expect("a contract is made with its first profile and only grows")
    }
}

impl Default for Calendars {
    fn default() -> Self {
        Self {
            ho: Calendar::ho(),
            hno: Calendar::hno(),
        }
    }
}

impl Calendars {
    /// The hours in which a promise runs for a target of that support.
    #[must_use]
    pub const fn of(&self, hours: Hours, support: Support) -> &Calendar {
        let support = match hours {
            Hours::OfTarget => support,
            Hours::Always(same) => same,
        };
        match support {
            Support::Ho => &self.ho,
            Support::Hno | Support::Untold => &self.hno,
        }
    }
}

impl Indicator {
    pub const ALL: [Self; 7] = [
        Self::Ic1,
        Self::Ic2,
        Self::Ic3,
        Self::Ic4,
        Self::Ic5,
        Self::Ic6,
        Self::Ic7,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ic1 => "IC1",
            Self::Ic2 => "IC2",
            Self::Ic3 => "IC3",
            Self::Ic4 => "IC4",
            Self::Ic5 => "IC5",
            Self::Ic6 => "IC6",
            Self::Ic7 => "IC7",
        }
    }
}

impl fmt::Display for Indicator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Support {
    /// As the inventory writes it.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        match text {
            "HO" => Some(Self::Ho),
            "HNO" => Some(Self::Hno),
            "N/C" => Some(Self::Untold),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn version_one_promises_what_the_tender_asks() {
        let profile = Profile::default();
        let limit = |indicator| {
            profile
                .promise(indicator)
                .map(|promise| promise.limit.as_secs())
        };
        assert_eq!(profile.objective_percent(Indicator::Ic1), 95);
        assert_eq!(profile.objective_percent(Indicator::Ic2), 100);
        assert_eq!(limit(Indicator::Ic3), Some(64_800));
        assert_eq!(limit(Indicator::Ic4), Some(3_600));
        assert_eq!(profile.infrastructure.limit.as_secs(), 1_800);
        assert_eq!(limit(Indicator::Ic5), Some(7_200));
        assert_eq!(limit(Indicator::Ic6), Some(3_600));
        assert_eq!(limit(Indicator::Ic7), Some(1_800));
        assert_eq!(profile.risk(minutes(60)), minutes(45));
    }

    #[test]
    fn the_profile_in_force_is_that_of_the_day_in_paris() {
        let second = Profile {
            version: 2,
            valid_from: date(2026, 11, 1),
            ..Profile::default()
        };
        let contract = Contract::default().then(second.clone()).unwrap();
        // 31 October, 23:30 and 1 November, 0:30 in Paris: both are 31 October in UTC.
        let midnight = calendar::midnight(&calendar::paris(), date(2026, 11, 1)).unwrap();
        assert_eq!(contract.in_force(midnight - minutes(30)).version, 1);
        assert_eq!(contract.in_force(midnight + minutes(30)).version, 2);
        let told = contract.then(second).unwrap_err().to_string();
        assert!(told.contains("profile 2 from 2026-11-01"), "{told}");
    }

    #[test]
    fn what_nobody_told_is_counted_round_the_clock() {
        let calendars = Calendars::default();
        let of = |hours, support| calendars.of(hours, support).name.clone();
        assert_eq!(of(Hours::OfTarget, Support::Ho), "HO");
        assert_eq!(of(Hours::OfTarget, Support::Hno), "HNO");
        assert_eq!(of(Hours::OfTarget, Support::Untold), "HNO");
        assert_eq!(of(Hours::Always(Support::Hno), Support::Ho), "HNO");
        assert_eq!(Support::named("24/7"), None);
    }
}

//! The table `[contract]`, and `[contract.from."2027-01-01"]` of what was signed later: what restoration clocks
//! run by.
//!
//! A later table holds what changes; the rest is as in the one before it. Office hours and days that differ are
//! part of it, so that a change of the hours rewrites no figure of before.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::{Date, Time};
use toml::de::DeValue;

use super::context::Context;
use super::reader::{At, Section, instead};
use super::target::{ReadLine, ReadTarget, Trunk};
use crate::id::LineId;
use crate::sla::calendar::{Calendar, Opening, Version, Week};
use crate::sla::contract::{Calendars, Contract, Profile, Start, Terms};
use crate::sla::extent::Weight;
use crate::sla::holiday::Holidays;

const STARTS: [(&str, Start); 3] = [
    ("fact", Start::Fact),
    ("detected", Start::Detected),
    ("declared", Start::Declared),
];

const HOLIDAYS: [(&str, Holidays); 3] = [
    ("france", Holidays::France),
    ("alsace-moselle", Holidays::AlsaceMoselle),
    ("none", Holidays::None),
];

/// No contract allows a minute, nor a month.
const LIMIT_MIN: Duration = Duration::from_secs(60);
const LIMIT_MAX: Duration = Duration::from_secs(30 * 86_400);

/// One version on its way: what it changes is written over the one before.
#[derive(Clone)]
struct Draft {
    profile: Profile,
    hours: Vec<Opening>,
    holidays: Holidays,
    /// Days that differ: open in office hours, or closed.
    days: BTreeMap<Date, bool>,
}

/// What is not said is as it was proposed.
pub(super) fn read_contract(
    section: &Section<'_>,
    targets: &[ReadTarget],
    context: &Context<'_>,
) -> Terms {
    let mut draft = Draft::default();
    if let Some(day) = section.read("valid_from", day) {
        draft.profile.valid_from = day.value;
    }
    draft.read(section, targets, context);
    let mut contract = Contract::new(draft.profile.clone());
    let mut ho = draft.calendar();
    for (name, later) in later(section, context) {
        let later = later.titled(format!("[contract.from.{:?}]", name.value));
        let from = match day(&name.value) {
            Ok(from) => Some(from),
            Err(words) => {
                context.findings.wrong(&name.span, words);
                None
            }
        };
        draft.profile.version += 1;
        draft.profile.valid_from = from.unwrap_or(draft.profile.valid_from);
        draft.read(&later, targets, context);
        later.finish();
        if from.is_none() {
            continue;
        }
        match contract.clone().then(draft.profile.clone()) {
            Ok(longer) => contract = longer,
            Err(words) => {
                context.findings.wrong(&name.span, words.to_string());
                continue;
            }
        }
        ho = ho
            .then(draft.version())
            .expect("a profile that follows the last one has hours that follow its hours");
    }
    section.finish();
    Terms {
        contract,
        calendars: Calendars {
            ho,
            ..Calendars::default()
        },
        lines: BTreeMap::new(),
    }
}

/// The tables of later versions, in the order of the file.
fn later<'t>(section: &Section<'t>, context: &Context<'_>) -> Vec<(At<String>, Section<'t>)> {
    let value = section.value("from");
    if let Some(value) = value
        && !matches!(value.get_ref(), DeValue::Table(_))
    {
        context.findings.wrong(
            &value.span(),
            "\"from\" is no table; write [contract.from.\"2027-01-01\"] for what changes then, or \
             valid_from = \"2026-01-01\" for the first day of [contract]",
        );
        return Vec::new();
    }
    section.named("from")
}

impl Default for Draft {
    fn default() -> Self {
        let Version { week, holidays, .. } = Calendar::ho()
            .on(Date::MIN)
            .cloned()
            .expect("the calendar of office hours has a version");
        let [monday, ..] = week.0;
        Self {
            profile: Profile::default(),
            hours: monday,
            holidays,
            days: BTreeMap::new(),
        }
    }
}

impl Draft {
    /// Writes over it what this table says.
    fn read(&mut self, section: &Section<'_>, targets: &[ReadTarget], context: &Context<'_>) {
        let profile = &mut self.profile;
        if let Some(start) = section.choice("start", &STARTS) {
            profile.start = start;
        }
        for (key, promise) in [
            ("ic5", &mut profile.systems),
            ("ic6", &mut profile.lines),
            ("ic7", &mut profile.web),
        ] {
            if let Some(limit) = section.duration(key, LIMIT_MIN..=LIMIT_MAX) {
                promise.limit = limit.value;
            }
        }
        if let Some(percent) = section.number("at_risk_percent", 1..=99u32) {
            profile.at_risk_percent = percent.value;
        }
        if let Some(percent) = section.number("lines_up_percent_min", 1..=100u32) {
            profile.lines_up_percent_min = percent.value;
        }
        if let Some(web) = section.texts("web") {
            profile.web_targets = web_targets(web, targets, context);
        }
        if let Some(hours) = section.texts("office_hours") {
            self.read_hours(&hours, context);
        }
        if let Some(holidays) = section.choice("holidays", &HOLIDAYS) {
            self.holidays = holidays;
        }
        self.read_days(section, context);
    }

    fn read_hours(&mut self, texts: &[At<String>], context: &Context<'_>) {
        let mut hours: Vec<(Time, Option<Time>)> = Vec::new();
        let mut length = Duration::ZERO;
        for text in texts {
            let read = opening(&text.value).and_then(|next| {
                let last = hours.last().map_or(Some(Time::MIN), |(_, until)| *until);
                if last.is_none_or(|last| next.0 < last) {
                    return Err(format!(
                        "{:?} begins before the hours before it end; write them in order",
                        text.value
                    ));
                }
                Ok(next)
            });
            match read {
                Ok((from, until)) => {
                    hours.push((from, until));
                    length += lasting(from, until);
                }
                Err(words) => {
                    context.findings.wrong(&text.span, words);
                    return;
                }
            }
        }
        if hours.is_empty() {
            return;
        }
        self.hours = hours
            .into_iter()
            .map(|(from, until)| match until {
                Some(until) => Opening::between(from, until)
                    .expect("hours that end before they begin were refused"),
                None => Opening::from_then_on(from),
            })
            .collect();
        // IC3 promises two days, whatever their hours.
        self.profile.request.limit = length * 2;
    }

    fn read_days(&mut self, section: &Section<'_>, context: &Context<'_>) {
        let mut named: BTreeMap<Date, &str> = BTreeMap::new();
        for (key, is_open) in [("closed", false), ("open", true)] {
            for text in section.texts(key).unwrap_or_default() {
                let from = self.profile.valid_from;
                let read = day(&text.value).and_then(|day| {
                    if let Some(other) = named.insert(day, key) {
                        Err(format!(
                            "{day} stands in {other:?} already; say once what that day is"
                        ))
                    } else if self.profile.version > 1 && day < from {
                        Err(format!(
                            "{day} lies before {from}, from which this table counts; write it in an earlier one"
                        ))
                    } else {
                        Ok(day)
                    }
                });
                match read {
                    Ok(day) => {
                        self.days.insert(day, is_open);
                    }
                    Err(words) => context.findings.wrong(&text.span, words),
                }
            }
        }
    }

    fn calendar(&self) -> Calendar {
        Calendar::new("HO", "Europe/Paris", self.version())
            .expect("the built-in tz database has Europe/Paris")
    }

    fn version(&self) -> Version {
        let hours = |is_open: bool| {
            if is_open {
                self.hours.clone()
            } else {
                Vec::new()
            }
        };
        let days = self.days.iter();
        Version {
            valid_from: self.profile.valid_from,
            week: Week::of_working_days(&self.hours),
            holidays: self.holidays,
            overrides: days.map(|(day, is_open)| (*day, hours(*is_open))).collect(),
        }
    }
}

fn web_targets(
    named: Vec<At<String>>,
    targets: &[ReadTarget],
    context: &Context<'_>,
) -> std::collections::BTreeSet<String> {
    let known: Vec<&str> = targets.iter().map(|read| read.target.id.as_str()).collect();
    for target in &named {
        if !known.contains(&target.value.as_str()) {
            context.findings.missing(
                &target.span,
                format!(
                    "no target is called {:?}; {}",
                    target.value,
                    instead(&target.value, &known)
                ),
            );
        }
    }
    named.into_iter().map(|target| target.value).collect()
}

/// A civil day, written in full: what a parser would take besides (a time, a zone) is a mistake here.
fn day(text: &str) -> Result<Date, String> {
    let day: Option<Date> = text.parse().ok();
    day.filter(|day| day.to_string() == text)
        .ok_or_else(|| format!("{text:?} is no day; write it as \"2027-01-01\""))
}

/// `09:00-18:00`; until 24:00 is to the end of the day.
fn opening(text: &str) -> Result<(Time, Option<Time>), String> {
    let refused = || format!("{text:?} are no hours; write them as \"09:00-18:00\"");
    let (from, until) = text.split_once('-').ok_or_else(refused)?;
    let from = time(from).ok_or_else(refused)?;
    if until == "24:00" {
        return Ok((from, None));
    }
    let until = time(until).ok_or_else(refused)?;
    Opening::between(from, until).map_err(|error| error.to_string())?;
    Ok((from, Some(until)))
}

/// `09:00`, to the minute.
fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let two = |digits: &str| -> Option<i8> {
        let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok())?
    };
    Time::new(two(hour)?, two(minute)?, 0, 0).ok()
}

/// How long these hours are on a day of 24.
fn lasting(from: Time, until: Option<Time>) -> Duration {
    let minutes = |time: Time| i64::from(time.hour()) * 60 + i64::from(time.minute());
    let until = until.map_or(24 * 60, minutes);
    Duration::from_secs(u64::try_from((until - minutes(from)) * 60).unwrap_or(0))
}

/// What each line weighs: as it says, else as many channels as the trunk of its first proof that has one.
pub(super) fn weights(
    lines: &[ReadLine],
    targets: &[ReadTarget],
    trunks: &[Trunk],
) -> BTreeMap<LineId, Weight> {
    let probes = || {
        let probes = targets.iter().flat_map(|read| &read.target.probes);
        probes.filter_map(|probe| Some((&probe.id, probe.trunk.as_ref()?)))
    };
    let of_trunk = |read: &ReadLine| {
        read.line.proofs.iter().find_map(|proof| {
            let (_, named) = probes().find(|(probe, _)| *probe == proof)?;
            let trunk = trunks.iter().find(|trunk| trunk.id == *named)?;
            Some(trunk.channels)
        })
    };
    lines
        .iter()
        .map(|read| {
            let usual = Weight::default();
            let weight = Weight {
                emergency: read.emergency.unwrap_or(usual.emergency),
                channels: read
                    .channels
                    .or_else(|| of_trunk(read))
                    .unwrap_or(usual.channels),
            };
            (read.line.id.clone(), weight)
        })
        .collect()
}

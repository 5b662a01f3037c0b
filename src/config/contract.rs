//! The table `[contract]`: what restoration clocks run by.

use std::time::Duration;

use super::context::Context;
use super::reader::{Section, instead};
use super::target::ReadTarget;
use crate::sla::contract::{Contract, Profile, Start, Terms};

const STARTS: [(&str, Start); 3] = [
    ("fact", Start::Fact),
    ("detected", Start::Detected),
    ("declared", Start::Declared),
];

/// No contract allows a minute, nor a month.
const LIMIT_MIN: Duration = Duration::from_secs(60);
const LIMIT_MAX: Duration = Duration::from_secs(30 * 86_400);

/// What is not said is as it was proposed.
pub(super) fn read_contract(
    section: &Section<'_>,
    targets: &[ReadTarget],
    context: &Context<'_>,
) -> Terms {
    let mut profile = Profile::default();
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
    let known: Vec<&str> = targets.iter().map(|read| read.target.id.as_str()).collect();
    for target in section.texts("web").unwrap_or_default() {
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
        profile.web_targets.insert(target.value);
    }
    section.finish();
    Terms {
        contract: Contract::new(profile),
        ..Terms::default()
    }
}

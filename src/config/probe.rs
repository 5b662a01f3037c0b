//! One entry of `probes`: a short name (`"ssh"`), or a table with `kind` and its details.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::context::Context;
use super::entry::{Entry, Kind};
use super::error::Span;
use super::kind::{Base, Lane, base_of, words};
use super::reader::{At, Section, instead, section_of};
use super::value::{parse_addresses, print_duration};
use super::vantage::{self, Place};
use super::{probe_beat, probe_net, probe_sip};
use crate::engine::plant::{Probe, Role};
use crate::id::{ProbeId, TargetId, TrunkId};

/// Between two runs of one probe.
const EVERY_MIN: Duration = Duration::from_secs(1);
const EVERY_MAX: Duration = Duration::from_secs(86_400);

/// A shorter silence than this is no sign of anything on a real network.
const TIMEOUT_MIN: Duration = Duration::from_millis(100);
const TIMEOUT_MAX: Duration = Duration::from_secs(120);

/// What a probe takes over from its target.
#[derive(Debug)]
pub(super) struct Machine<'a> {
    pub(super) id: &'a TargetId,
    pub(super) addresses: &'a Addresses,
    pub(super) lane: Lane,
    /// Where its probes are asked from, when they do not say.
    pub(super) places: &'a [Place],
    pub(super) switched_off: bool,
    /// It holds health data.
    pub(super) hds: bool,
}

/// A probe as read, with where it stands.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) probe: Probe,
    pub(super) span: Span,
    /// Where `trunk` stands, when the file names one.
    pub(super) trunk: Option<At<String>>,
    /// The places that ask it.
    pub(super) places: Vec<Place>,
}

pub(super) fn read_probe<'t>(
    entry: &'t Spanned<DeValue<'t>>,
    machine: &Machine<'_>,
    context: &Context<'t>,
) -> Option<Read> {
    let findings = context.findings;
    if let DeValue::String(word) = entry.get_ref() {
        let word = At {
            value: word.to_string(),
            span: entry.span(),
        };
        let empty = DeTable::new();
        let section = Section::new(title(&word.value), entry.span(), &empty, findings);
        return read_section(&section, &word, machine, context);
    }
    let section = section_of(entry, "a probe".to_owned(), entry.span(), findings)?;
    let word = section.required("kind", "\"icmp\"", section.text("kind"))?;
    let section = section.titled(title(&word.value));
    read_section(&section, &word, machine, context)
}

fn title(word: &str) -> String {
    format!("probe {word:?}")
}

fn read_section(
    section: &Section<'_>,
    word: &At<String>,
    machine: &Machine<'_>,
    context: &Context<'_>,
) -> Option<Read> {
    let Some(base) = base_of(&word.value) else {
        section.findings().wrong(
            &word.span,
            format!(
                "unknown kind {:?}; {}",
                word.value,
                instead(&word.value, &words())
            ),
        );
        return None;
    };
    let name = section.read("name", probe_name);
    let every = section.duration("every", EVERY_MIN..=EVERY_MAX);
    let role = section.choice("role", &[("oracle", Role::Oracle), ("hint", Role::Hint)]);
    let places = vantage::read_from(section, context);
    let leaves_from_nowhere = match base {
        Base::Plugin => Some(
            "a plug-in opens its own sockets, so vigie cannot choose where it leaves from; remove \"vantage\", \
             or give the plug-in an argument for it",
        ),
        Base::Heartbeat => Some("a heartbeat comes in and leaves from nowhere; remove \"vantage\""),
        Base::Call | Base::Register | Base::Options | Base::Icmp => None,
        Base::Tcp { .. } | Base::Http { .. } | Base::Dns => None,
    };
    if let (Some(words), Some(_)) = (leaves_from_nowhere, &places) {
        section
            .findings()
            .wrong(&section.key_span("vantage"), words);
    }
    let own = read_addresses(section);
    let addresses = own.as_ref().unwrap_or(machine.addresses);
    let entry = Entry {
        section,
        context,
        id: probe_id(
            machine.id,
            name.as_ref().map_or(&word.value, |name| &name.value),
        ),
        addresses: addresses.list.clone(),
        address_broken: addresses.broken,
        timeout: section.duration("timeout", TIMEOUT_MIN..=TIMEOUT_MAX),
        switched_off: machine.switched_off,
        hds: machine.hds,
    };
    let trunk = match base {
        Base::Call => section.text("trunk"),
        Base::Register | Base::Options | Base::Icmp | Base::Tcp { .. } => None,
        Base::Http { .. } | Base::Dns | Base::Plugin | Base::Heartbeat => None,
    };
    let kind = read_kind(&entry, base, machine.lane);
    section.finish();
    let kind = kind?;
    let every_value = every
        .as_ref()
        .map_or_else(|| base.every(machine.lane), |at| at.value);
    let timeout = fit(&entry, (base, machine.lane), &kind, every_value);
    let id = match (&name, &kind.name) {
        (None, Some(told_apart)) => probe_id(machine.id, told_apart),
        (Some(_), _) | (None, None) => entry.id,
    };
    let holds = match base {
        // A PBX entry, like a trunk, carries one synthetic call at a time.
        Base::Call => Some(trunk.as_ref().map_or_else(
            || TrunkId::from(machine.id.as_str()),
            |trunk| TrunkId::from(trunk.value.as_str()),
        )),
        Base::Register | Base::Options | Base::Icmp | Base::Tcp { .. } => None,
        Base::Http { .. } | Base::Dns | Base::Plugin | Base::Heartbeat => None,
    };
    Some(Read {
        probe: Probe {
            id,
            check: Arc::new(kind.check),
            every: every_value,
            timeout,
            trunk: holds,
            role: role.unwrap_or_else(|| base.role()),
        },
        span: section.span.clone(),
        trunk,
        places: match (leaves_from_nowhere, places) {
            (Some(_), _) => vec![None],
            (None, Some(places)) => places,
            (None, None) => machine.places.to_vec(),
        },
    })
}

fn read_kind(entry: &Entry<'_, '_>, base: Base, lane: Lane) -> Option<Kind> {
    match base {
        Base::Call => probe_sip::read_call(entry),
        Base::Register => probe_sip::read_register(entry, base.timeout(lane)),
        Base::Options => probe_sip::read_options(entry, base.timeout(lane)),
        Base::Icmp => probe_net::read_icmp(entry),
        Base::Tcp { port, banner } => probe_net::read_tcp(entry, port, banner),
        Base::Http { url } => probe_net::read_http(entry, url),
        Base::Dns => probe_net::read_dns(entry),
        Base::Plugin => probe_net::read_plugin(entry),
        Base::Heartbeat => probe_beat::read(entry),
    }
}

/// How long a run may last: long enough for what is asked, shorter than the cadence, so that no run meets
/// the next.
fn fit(
    entry: &Entry<'_, '_>,
    (base, lane): (Base, Lane),
    kind: &Kind,
    every: Duration,
) -> Duration {
    let usual = base
        .timeout(lane)
        .max(kind.takes)
        .min(every.max(TIMEOUT_MIN));
    let goodbye = base.goodbye();
    let Some(asked) = &entry.timeout else {
        if kind.takes > every {
            entry.wrong(
                &entry.section.span,
                format!(
                    "{} takes {} and comes every {}; make it rarer or shorter",
                    entry.section.title,
                    print_duration(kind.takes),
                    print_duration(every)
                ),
            );
        }
        return usual;
    };
    let lasting = asked.value + goodbye;
    if lasting > every {
        entry.wrong(
            &asked.span,
            format!(
                "\"timeout\" is {} and the probe comes every {}; write {} or less",
                print_duration(asked.value),
                print_duration(every),
                print_duration(every.saturating_sub(goodbye))
            ),
        );
    } else if lasting < kind.takes {
        entry.wrong(
            &asked.span,
            format!(
                "\"timeout\" is {} and what is asked takes {}; write {} or more",
                print_duration(asked.value),
                print_duration(kind.takes),
                print_duration(kind.takes)
            ),
        );
    }
    lasting
}

fn probe_id(target: &TargetId, name: &str) -> ProbeId {
    ProbeId::from(format!("{target}/{name}").as_str())
}

/// The word after the slash of a probe's id.
fn probe_name(text: &str) -> Result<String, String> {
    if is_id(text) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} may hold small letters, digits and -; write for example \"sda\""
        ))
    }
}

/// Small letters, digits and hyphens: safe in a URL, a label of a metric and a file name.
pub(super) fn is_id(text: &str) -> bool {
    (1..=48).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// What the key `address` of a target or a probe holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses {
    pub(super) list: Vec<IpAddr>,
    /// Some of it was refused; what is missing is missing because of that.
    pub(super) broken: bool,
}

/// One address, or a list of addresses, ranges and prefixes.
pub(super) fn read_addresses(section: &Section<'_>) -> Option<Addresses> {
    let mut all = Addresses {
        broken: section.has("address"),
        ..Addresses::default()
    };
    let Some(texts) = section.texts("address") else {
        return all.broken.then_some(all);
    };
    all.broken = texts.is_empty();
    for text in texts {
        match parse_addresses(&text.value) {
            Ok(addresses) => {
                if let Some(twice) = addresses.iter().find(|address| all.list.contains(address)) {
                    let words = format!("{twice} stands here twice; write it once");
                    section.findings().wrong(&text.span, words);
                }
                all.list.extend(addresses);
            }
            Err(words) => {
                section.findings().wrong(&text.span, words);
                all.broken = true;
            }
        }
    }
    Some(all)
}

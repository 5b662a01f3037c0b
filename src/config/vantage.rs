//! The tables `[vantage]` and `[vantage.NAME]`: the places that probes leave from, and which of them a probe or a
//! target names.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::context::Context;
use super::probe::{Read, is_id};
use super::reader::{At, Findings, Section, instead};
use super::settings::Vantage;
use crate::health::{self, QUORUM};
use crate::id::{ProbeId, VantageId};

/// More cannot be watched over by hand, and no quorum needs them.
const PLACES_MAX: u8 = 9;

/// All places, as the file names them.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) main: Vantage,
    pub(super) elsewhere: Vec<Vantage>,
    quorum: u8,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            main: Vantage::default(),
            elsewhere: Vec::new(),
            quorum: QUORUM,
        }
    }
}

impl Places {
    /// As health knows them.
    pub(super) fn of_health(&self) -> health::Places {
        health::Places {
            main: VantageId::from(self.main.name.as_str()),
            quorum: self.quorum,
        }
    }

    fn names(&self) -> Vec<&str> {
        let elsewhere = self.elsewhere.iter().map(|place| place.name.as_str());
        std::iter::once(self.main.name.as_str())
            .chain(elsewhere)
            .collect()
    }
}

/// One place that a probe is asked from; `None` is the main one.
pub(super) type Place = Option<VantageId>;

/// `[vantage]`.
pub(super) fn read_places(section: &Section<'_>) -> Places {
    let usual = Vantage::default();
    let name = section.text("name");
    let local = section.parsed::<IpAddr>("local", "\"192.0.2.5\" or \"0.0.0.0\"");
    let media_ports = section.read("media_ports", parse_ports);
    let quorum = section.number("quorum", 1..=PLACES_MAX);
    let main = Vantage {
        name: name.map_or(usual.name, |at| at.value),
        local: local.map_or(usual.local, |at| at.value),
        media_ports: media_ports.map_or(usual.media_ports, |at| at.value),
    };
    let mut places = Places {
        main,
        elsewhere: Vec::new(),
        quorum: quorum.as_ref().map_or(QUORUM, |at| at.value),
    };
    for (name, section) in section.finish_but_tables() {
        if let Some(place) = read_place(&name, &section, &places) {
            places.elsewhere.push(place);
        }
    }
    let count = places.names().len();
    if let Some(quorum) = quorum
        && usize::from(quorum.value) > count
    {
        section.findings().wrong(
            &quorum.span,
            format!(
                "\"quorum\" is {} and the places are {count}, so nothing could ever be down; write {count} or less, \
                 or add a table [vantage.NAME]",
                quorum.value
            ),
        );
    }
    places
}

/// `[vantage.NAME]`.
fn read_place(name: &At<String>, section: &Section<'_>, known: &Places) -> Option<Vantage> {
    let local = section.parsed::<IpAddr>("local", "\"192.0.2.9\"");
    let local = section.required("local", "\"192.0.2.9\"", local);
    let media_ports = section.read("media_ports", parse_ports);
    section.finish();
    let findings = section.findings();
    if !is_id(&name.value) {
        findings.wrong(
            &name.span,
            format!(
                "{:?} cannot be the name of a vantage point; write small letters, digits and hyphens, such as \
                 [vantage.4g]",
                name.value
            ),
        );
        return None;
    }
    if known.names().contains(&name.value.as_str()) {
        findings.wrong(
            &name.span,
            format!(
                "{:?} is the name of [vantage] itself; give this one another",
                name.value
            ),
        );
        return None;
    }
    let local = local?;
    if local.value.is_unspecified() {
        findings.wrong(
            &local.span,
            format!(
                "\"local\" is {}, which leaves as [vantage] does; write the address of this machine that leaves by \
                 another way",
                local.value
            ),
        );
        return None;
    }
    let twin = std::iter::once(&known.main)
        .chain(&known.elsewhere)
        .find(|place| place.local == local.value);
    if let Some(twin) = twin {
        findings.wrong(
            &local.span,
            format!(
                "{} is the address of vantage point {:?} as well: two places that leave by one way are one place",
                local.value, twin.name
            ),
        );
        return None;
    }
    Some(Vantage {
        name: name.value.clone(),
        local: local.value,
        media_ports: media_ports.map_or_else(|| known.main.media_ports.clone(), |at| at.value),
    })
}

/// The places that the key `vantage` of a probe or a target names; `None` without it.
pub(super) fn read_from(section: &Section<'_>, context: &Context<'_>) -> Option<Vec<Place>> {
    let texts = section.texts("vantage")?;
    let known = context.places.names();
    let mut places: Vec<Place> = Vec::new();
    for text in &texts {
        let name = text.value.as_str();
        if !known.contains(&name) {
            let advice = if known.len() > 1 {
                instead(name, &known)
            } else {
                format!("add a table [vantage.{name}]")
            };
            context.findings.missing(
                &text.span,
                format!("no vantage point is called {name:?}; {advice}"),
            );
            continue;
        }
        let place = (name != context.places.main.name).then(|| VantageId::from(name));
        if places.contains(&place) {
            let words = format!("{name:?} stands here twice; write it once");
            context.findings.wrong(&text.span, words);
        } else {
            places.push(place);
        }
    }
    if texts.is_empty() {
        context.findings.wrong(
            &section.key_span("vantage"),
            "\"vantage\" is empty, so nobody would ask; name a place or remove the line",
        );
    }
    // What is wrong is told; the rest of the file is judged as if it were not there.
    if places.is_empty() {
        places.push(None);
    }
    places.sort();
    Some(places)
}

/// One probe for each place that asks it.
pub(super) fn spread(read: &Read) -> impl Iterator<Item = Read> + '_ {
    read.places.iter().map(|place| {
        let mut at = read.clone();
        if let Some(place) = place {
            at.probe.id = read.probe.id.at(place.as_str());
        }
        at
    })
}

/// Every id that `proof` of a line stands for: a check without a place stands for all that ask it.
pub(super) fn meant_by<'p>(proof: &str, probes: impl Iterator<Item = &'p ProbeId>) -> Vec<ProbeId> {
    let means = |id: &&ProbeId| id.as_str() == proof || id.check() == proof;
    probes.filter(means).cloned().collect()
}

/// A place that nobody asks from watches nothing.
pub(super) fn judge(places: &Places, names: &Section<'_>, used: &[&ProbeId], findings: &Findings) {
    for place in &places.elsewhere {
        let asks = |id: &&ProbeId| id.vantage() == Some(place.name.as_str());
        if !used.iter().any(asks) {
            findings.warn(
                &names.key_span(&place.name),
                format!(
                    "no probe is asked from vantage point {:?}; add vantage = [{:?}] to a target or a \
                     probe",
                    place.name, place.name
                ),
            );
        }
    }
}

/// An even first port, and room for one pair at least (RFC 3550 §11: RTP on the even port).
fn parse_ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let refuse = || format!("{text:?} is no range of ports; write for example \"20000-20999\"");
    let (first, last) = text.split_once('-').ok_or_else(refuse)?;
    let first: u16 = first.trim().parse().map_err(|_| refuse())?;
    let last: u16 = last.trim().parse().map_err(|_| refuse())?;
    if first < 1024 || !first.is_multiple_of(2) || last <= first {
        return Err(format!(
            "{text:?} must begin with an even port of 1024 or more and end with a higher one, such as \
             \"20000-20999\""
        ));
    }
    Ok(first..=last)
}

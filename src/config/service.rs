//! The tables `[plant]`, `[service]`, `[evidence]` and `[prompts]`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::context::{Context, Reference};
use super::reader::{At, Section};
use super::settings::{Evidence, Settings};
use crate::id::Seed;

/// `[plant]`.
#[derive(Debug)]
pub(super) struct PlantHead {
    pub(super) name: String,
    pub(super) seed: Seed,
}

pub(super) fn read_plant(section: &Section<'_>) -> PlantHead {
    let name = section.required("name", "\"…\"", section.text("name"));
    let seed = section.number("seed", 0..=i64::MAX);
    section.finish();
    PlantHead {
        name: name.map_or_else(String::new, |name| name.value),
        seed: Seed(seed.map_or(119, |seed| seed.value.unsigned_abs())),
    }
}

/// `[service]`; what has a table of its own is taken from `apart`.
pub(super) fn read_service(
    section: &Section<'_>,
    apart: Settings,
    context: &Context<'_>,
) -> Settings {
    let usual = Settings::default();
    let listen = section.parsed::<SocketAddr>("listen", "\"127.0.0.1:8119\"");
    let data = section.read("data", absolute_path);
    let log = section.text("log");
    let resolvers = section
        .texts("resolvers")
        .unwrap_or_default()
        .iter()
        .filter_map(|text| read_resolver(section, text))
        .collect();
    let tls_ca = section.read("tls_ca", absolute_path);
    if let Some(path) = &tls_ca {
        context.refer(&path.span, Reference::Readable(path.value.clone()), None);
    }
    let probes_at_once = section.number("probes_at_once", 1..=8192u32);
    section.finish();
    Settings {
        listen: listen.map_or(usual.listen, |at| at.value),
        data: data.map_or(usual.data, |at| at.value),
        log: log.map_or(usual.log, |at| at.value),
        resolvers,
        tls_ca: tls_ca.map(|at| at.value),
        probes_at_once: probes_at_once
            .and_then(|at| usize::try_from(at.value).ok())
            .unwrap_or(usual.probes_at_once),
        ..apart
    }
}

/// `[evidence]`.
pub(super) fn read_evidence(section: &Section<'_>) -> Evidence {
    let usual = Evidence::default();
    let directory = section.read("directory", absolute_path);
    let keep_days = section.number("keep_days", 0..=3650u32);
    let keep_megabytes = section.number("keep_megabytes", 1..=1_000_000u32);
    section.finish();
    Evidence {
        directory: directory.map(|at| at.value),
        keep_days: keep_days.map_or(usual.keep_days, |at| at.value),
        keep_megabytes: keep_megabytes.map_or(usual.keep_megabytes, |at| at.value),
    }
}

/// `[prompts]`: the folder of the announcements.
pub(super) fn read_prompts(section: &Section<'_>) -> Option<PathBuf> {
    let directory = section.read("directory", absolute_path);
    section.finish();
    directory.map(|at| at.value)
}

/// `192.0.2.53` or `192.0.2.53:5353`.
fn read_resolver(section: &Section<'_>, text: &At<String>) -> Option<SocketAddr> {
    let found = text.value.parse::<SocketAddr>().or_else(|_| {
        text.value
            .parse::<IpAddr>()
            .map(|ip| SocketAddr::new(ip, 53))
    });
    if found.is_err() {
        section.findings().wrong(
            &text.span,
            format!(
                "{:?} is no name server; write its address, such as \"192.0.2.53\"",
                text.value
            ),
        );
    }
    found.ok()
}

fn absolute_path(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_absolute() && !text.contains('\0') {
        Ok(path)
    } else {
        Err(format!("{text:?} is not an absolute path; begin it with /"))
    }
}

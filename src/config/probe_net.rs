//! The keys of the kinds `icmp`, `tcp`, `http`, `dns` and `plugin`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::context::Reference;
use super::entry::{Entry, Kind};
use super::reader::At;
use crate::probe::dns::{self, Record};
use crate::probe::http::{self, Trust};
use crate::probe::icmp::{self, Expect};
use crate::probe::{Check, plugin, tcp};
use crate::secret::SecretRef;
use crate::sip::emergency;

/// After the last echo request: the way there and back, on the slowest line of the plant.
const ECHO_WAIT: Duration = Duration::from_secs(1);

pub(super) fn read_icmp(entry: &Entry<'_, '_>) -> Option<Kind> {
    let section = entry.section;
    let packets = section.number("packets", 1..=20u16);
    let interval = section.duration(
        "interval",
        Duration::from_millis(10)..=Duration::from_secs(1),
    );
    let min_up = section.number("min_up", 1..=256u16);
    let expect = section.choice(
        "expect",
        &[("answer", Expect::Answer), ("silent", Expect::Silent)],
    );
    let loss_percent_max = section.number("loss_percent_max", 0..=100u8);
    if entry.addresses.is_empty() || entry.address_broken {
        // Says what is missing.
        entry.address()?;
    }
    let usual = icmp::Settings::new(entry.addresses.clone());
    let expect = expect.unwrap_or(usual.expect);
    if entry.switched_off && expect == Expect::Answer {
        section.findings().warn(
            &section.span,
            "the target is labelled ETEINT and this probe wants an answer; write expect = \"silent\"",
        );
    }
    let min_up = min_up.map_or(usual.min_up, |at| {
        let wanted = usize::from(at.value);
        if wanted > usual.addresses.len() {
            entry.wrong(
                &at.span,
                format!(
                    "\"min_up\" is {wanted} and there are {} addresses; write {} or less",
                    usual.addresses.len(),
                    usual.addresses.len()
                ),
            );
        }
        wanted
    });
    let settings = icmp::Settings {
        packets: packets.map_or(usual.packets, |at| at.value),
        interval: interval.map_or(usual.interval, |at| at.value),
        min_up,
        expect,
        loss_percent_max: loss_percent_max.map_or(usual.loss_percent_max, |at| at.value),
        addresses: usual.addresses,
    };
    Some(Kind {
        takes: settings.interval * u32::from(settings.packets) + ECHO_WAIT,
        check: Check::Icmp(settings),
        name: None,
    })
}

pub(super) fn read_tcp(
    entry: &Entry<'_, '_>,
    usual_port: Option<u16>,
    usual_banner: Option<&str>,
) -> Option<Kind> {
    let section = entry.section;
    let port = section.number("port", 1..=u16::MAX);
    let banner = section.text("banner");
    let port = match (port, usual_port) {
        (Some(port), _) => port.value,
        (None, Some(usual)) => usual,
        (None, None) => section.required("port", "22", None)?,
    };
    let settings = tcp::Settings {
        banner: banner
            .map(|at| at.value)
            .or_else(|| usual_banner.map(str::to_owned)),
        ..tcp::Settings::new(SocketAddr::new(entry.address()?, port))
    };
    Some(Kind {
        check: Check::Tcp(settings),
        takes: Duration::ZERO,
        // A short name says what it is; a bare port does not.
        name: usual_port.is_none().then(|| format!("tcp-{port}")),
    })
}

pub(super) fn read_http(entry: &Entry<'_, '_>, usual_url: &str) -> Option<Kind> {
    let section = entry.section;
    let url = section.text("url");
    let status = section.numbers("status", 100..=599u16).unwrap_or_default();
    let contains = section.text("contains");
    if let Some(contains) = contains.as_ref().filter(|_| entry.hds) {
        entry.wrong(
            &contains.span,
            "\"contains\" reads pages and the target holds health data (hds); remove it",
        );
    }
    let trust = read_trust(entry);
    let days = section.number("certificate_days_left_min", 0..=365u16);
    let redirects_max = section.number("redirects_max", 0..=10u8);
    let body_bytes_max = section.number("body_bytes_max", 1..=4_194_304u32);
    let url = url.unwrap_or_else(|| At {
        value: usual_url.to_owned(),
        span: section.span.clone(),
    });
    let filled = entry.fill(&url)?;
    let host = match host_of_url(&filled) {
        Ok(host) => host,
        Err(words) => {
            entry.wrong(&url.span, format!("\"url\": {words}"));
            return None;
        }
    };
    // The machine itself is asked, whatever the name of its page leads to today.
    let connect_to = match (host.parse::<IpAddr>(), entry.addresses.as_slice()) {
        (Err(_), [one]) => Some(*one),
        (Ok(_), _) | (Err(_), [..]) => None,
    };
    let by_address = host.parse::<IpAddr>().is_ok();
    let usual = http::Settings::new(filled);
    let settings = http::Settings {
        connect_to,
        status: status.into_iter().map(|at| at.value).collect(),
        contains: contains.map(|at| at.value),
        // No authority signs an address of a private network.
        trust: trust.unwrap_or(if by_address { Trust::Any } else { usual.trust }),
        certificate_days_left_min: days.map_or(usual.certificate_days_left_min, |at| at.value),
        redirects_max: redirects_max.map_or(usual.redirects_max, |at| at.value),
        body_bytes_max: body_bytes_max
            .and_then(|at| usize::try_from(at.value).ok())
            .unwrap_or(usual.body_bytes_max),
        url: usual.url,
    };
    Some(Kind {
        check: Check::Http(settings),
        takes: Duration::ZERO,
        name: None,
    })
}

/// `system`, `any`, or `file:/path` of the authorities.
fn read_trust(entry: &Entry<'_, '_>) -> Option<Trust> {
    let text = entry.section.text("trust")?;
    match text.value.as_str() {
        "system" => return Some(Trust::System),
        "any" => return Some(Trust::Any),
        _ => {}
    }
    let path = text.value.strip_prefix("file:").map(PathBuf::from);
    let Some(path) = path.filter(|path| path.is_absolute()) else {
        entry.wrong(
            &text.span,
            format!(
                "\"trust\" cannot be {:?}; write \"system\", \"any\" or \"file:/path/to/ca.pem\"",
                text.value
            ),
        );
        return None;
    };
    entry.context.refer(
        &text.span,
        Reference::Readable(path.clone()),
        Some(entry.id.clone()),
    );
    Some(Trust::File(path))
}

/// The host of a web address that is written as it should be.
fn host_of_url(text: &str) -> Result<String, String> {
    let refuse =
        || format!("{text:?} is no web address; write for example \"https://{{address}}/\"");
    if text.len() > 2048 || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(
            "a web address holds no blanks and no accents; write them as %20, %C3%A9".to_owned(),
        );
    }
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .ok_or_else(refuse)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    if authority.contains('@') {
        // Not repeated: what stands there is a password.
        return Err("a web address may not hold a user and a password".to_owned());
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => {
            let (host, port) = v6.split_once(']').ok_or_else(refuse)?;
            (host, port.strip_prefix(':'))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    if host.is_empty() || !port.is_none_or(is_port) {
        return Err(refuse());
    }
    Ok(host.to_owned())
}

pub(super) fn read_dns(entry: &Entry<'_, '_>) -> Option<Kind> {
    let section = entry.section;
    let question = section.required("ask", "\"example.org\"", section.text("ask"));
    let record = section.choice(
        "record",
        &Record::ALL.map(|record| (record.as_str(), record)),
    );
    let expect = section.texts("answers").unwrap_or_default();
    let port = section.number("port", 1..=u16::MAX);
    let question = question?;
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if question.value.len() > 253 || !question.value.bytes().all(fine) {
        entry.wrong(
            &question.span,
            format!("\"ask\": {:?} is no name that DNS knows", question.value),
        );
        return None;
    }
    let server = SocketAddr::new(entry.address()?, port.map_or(53, |at| at.value));
    Some(Kind {
        check: Check::Dns(dns::Settings {
            expect: expect.into_iter().map(|at| at.value).collect(),
            ..dns::Settings::new(server, question.value, record.unwrap_or(Record::A))
        }),
        takes: Duration::ZERO,
        name: None,
    })
}

pub(super) fn read_plugin(entry: &Entry<'_, '_>) -> Option<Kind> {
    let section = entry.section;
    let command = section.required(
        "command",
        "\"/usr/lib/nagios/plugins/…\"",
        section.text("command"),
    );
    let arguments = section.texts("arguments").unwrap_or_default();
    let environment = section.pairs("environment").unwrap_or_default();
    let secrets = section.pairs("secrets").unwrap_or_default();
    let arguments = arguments
        .iter()
        .filter_map(|text| read_argument(entry, text))
        .collect();
    let environment = environment
        .into_iter()
        .filter_map(|(name, value)| read_variable(entry, name, value))
        .collect();
    let secrets = secrets
        .into_iter()
        .filter_map(|(name, value)| read_secret_variable(entry, &name, &value))
        .collect();
    let command = command?;
    let path = PathBuf::from(&command.value);
    if !path.is_absolute() || command.value.contains('\0') {
        entry.wrong(
            &command.span,
            format!(
                "\"command\" is started without a shell; write its whole path instead of {:?}",
                command.value
            ),
        );
        return None;
    }
    entry.context.refer(
        &command.span,
        Reference::Program(path.clone()),
        Some(entry.id.clone()),
    );
    Some(Kind {
        check: Check::Plugin(plugin::Settings {
            arguments,
            environment,
            secrets,
            ..plugin::Settings::new(path)
        }),
        takes: Duration::ZERO,
        name: None,
    })
}

fn read_argument(entry: &Entry<'_, '_>, text: &At<String>) -> Option<String> {
    let option = text.value.split('=').next().unwrap_or_default();
    if option.starts_with("--") && is_secret_name(option) {
        entry.wrong(
            &text.span,
            format!("everybody on this machine can read arguments; pass {option} by \"secrets\""),
        );
        return None;
    }
    let lower = text.value.to_lowercase();
    let dials = ["sip:", "sips:", "tel:", "urn:"]
        .iter()
        .any(|scheme| lower.contains(scheme));
    if dials && emergency::is_emergency(&text.value) {
        entry.wrong(&text.span, "this argument would ring an emergency service");
        return None;
    }
    if text.value.contains('\0') {
        entry.wrong(&text.span, "an argument cannot hold a NUL");
        return None;
    }
    entry.fill(text)
}

fn read_variable(
    entry: &Entry<'_, '_>,
    name: At<String>,
    value: At<String>,
) -> Option<(String, String)> {
    if is_secret_name(&name.value) {
        entry.wrong(
            &name.span,
            format!(
                "{} looks like a secret; write secrets = {{ {} = \"env:NAME\" }}",
                name.value, name.value
            ),
        );
        return None;
    }
    if !is_variable(&name.value) || value.value.contains('\0') {
        entry.wrong(
            &name.span,
            format!("{:?} is no name of a variable", name.value),
        );
        return None;
    }
    let value = entry.fill(&value)?;
    Some((name.value, value))
}

fn read_secret_variable(
    entry: &Entry<'_, '_>,
    name: &At<String>,
    value: &At<String>,
) -> Option<(String, SecretRef)> {
    if !is_variable(&name.value) {
        entry.wrong(
            &name.span,
            format!("{:?} is no name of a variable", name.value),
        );
        return None;
    }
    match value.value.parse::<SecretRef>() {
        Ok(reference) => {
            entry.context.refer(
                &value.span,
                Reference::Secret(reference.clone()),
                Some(entry.id.clone()),
            );
            Some((name.value.clone(), reference))
        }
        Err(words) => {
            entry.wrong(
                &value.span,
                format!("{:?} in \"secrets\": {words}", name.value),
            );
            None
        }
    }
}

fn is_variable(name: &str) -> bool {
    format!("env:{name}").parse::<SecretRef>().is_ok()
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_lowercase();
    [
        "pass",
        "secret",
        "token",
        "apikey",
        "api_key",
        "api-key",
        "credential",
    ]
    .iter()
    .any(|part| name.contains(part))
}

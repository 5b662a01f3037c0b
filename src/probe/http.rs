//! The `http` probe: one page fetched over HTTP or HTTPS, each phase timed, the certificate read even
//! when it is expired or bears the wrong name. `io::prober::http` fetches.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::socket::SocketFault;
use super::{
    Blame, CERTIFICATE_DATES, CERTIFICATE_ENDS_SOON, CERTIFICATE_EXPIRED, Failure, Verdict,
};
use crate::time::Utc;

/// What to ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `http://…` or `https://…`.
    pub url: String,
    /// The machine to connect to instead of where the name of the URL leads; the name still goes into
    /// Host and SNI. A redirect to another host goes where the name of that host leads.
    pub connect_to: Option<IpAddr>,
    /// Status codes that are good; empty: any 2xx.
    pub status: Vec<u16>,
    /// Text the body must hold. Without it, a default page of the web server passes.
    pub contains: Option<String>,
    pub trust: Trust,
    /// Fewer days than this before the certificate ends is degraded: 21 leaves three weeks to renew.
    pub certificate_days_left_min: u16,
    /// How many redirects are followed; one more is misbehaviour.
    pub redirects_max: u8,
    /// The body is read up to here, and `contains` looked for in it. Bytes.
    pub body_bytes_max: usize,
}

/// Who may sign the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The authorities of the operating system.
    System,
    /// Only the authorities of this PEM file.
    File(PathBuf),
    /// Anybody: an appliance with a certificate of its own. Its end date still counts.
    Any,
}

impl Settings {
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            connect_to: None,
            status: Vec::new(),
            contains: None,
            trust: Trust::System,
            certificate_days_left_min: 21,
            redirects_max: 3,
            body_bytes_max: 256 * 1024,
        }
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Address and port of the last connection: `192.0.2.7:443`; the host of the URL before there was one.
    pub peer: String,
    pub phases: Phases,
    /// Of the last TLS connection.
    pub certificate: Option<Certificate>,
    pub outcome: Outcome,
}

/// How long each phase of the last request took; `None`: not reached, or not needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    pub name: Option<Duration>,
    pub connect: Option<Duration>,
    pub tls: Option<Duration>,
    /// From the request to the first byte of the response.
    pub first_byte: Option<Duration>,
    /// Everything, redirects and body included.
    pub total: Duration,
}

/// The certificate of the server, judged after it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    pub not_after: Utc,
    /// What a visitor's browser would refuse it for.
    pub objection: Option<Objection>,
}

/// Why a browser refuses a certificate, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    /// A date in it, or in one above it: true if our clock is.
    Dates(String),
    /// Its name, its authority, its signature.
    Other(String),
}

/// How the fetch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Answered {
        status: u16,
        /// Whether the body holds the wanted text; `None` when none is wanted.
        found: Option<bool>,
    },
    TooManyRedirects {
        to: String,
    },
    /// A redirect to where no page can be.
    BadRedirect {
        to: String,
    },
    /// TLS was refused before a certificate could be judged: version, ciphers, alert.
    TlsFailed {
        words: String,
    },
    /// They answered, and it is no HTTP.
    Malformed {
        words: String,
    },
    /// The name of the page leads nowhere (theirs), or no name server answered (ours).
    NoAddress(Failure),
    /// The socket gave up.
    Failed(SocketFault),
    /// Our own certificate store or settings.
    Ours {
        code: &'static str,
        words: String,
    },
}

/// Where a redirect from `url` leads (RFC 3986 §5.2); `None` when no page can be there.
#[must_use]
pub fn follow(url: &str, location: &str) -> Option<String> {
    let next = Url::parse(url).ok()?.join(location).ok()?;
    matches!(next.scheme(), "http" | "https").then(|| next.into())
}

/// Judges what came back.
#[must_use]
pub fn judge(settings: &Settings, seen: &Seen, now: Utc) -> Verdict {
    let verdict = failed(settings, seen)
        .map(Verdict::down)
        .or_else(|| {
            seen.certificate
                .as_ref()
                .and_then(|certificate| judge_certificate(settings, certificate, now))
        })
        .unwrap_or_else(|| Verdict::good(seen.phases.total));
    measure(verdict, seen, now)
}

/// Why the page cannot be used, the certificate aside.
fn failed(settings: &Settings, seen: &Seen) -> Option<Failure> {
    let url = &settings.url;
    let misbehaved = |code, words| Some(Failure::new(Blame::Misbehaved, code, words));
    match &seen.outcome {
        Outcome::Answered { status, found } => {
            let good = match settings.status.as_slice() {
                [] => (200..300).contains(status),
                wanted => wanted.contains(status),
            };
            if !good {
                return Some(Failure::new(
                    Blame::Refused,
                    format!("http_{status}"),
                    format!("{url} answered {status}{}", hint(*status)),
                ));
            }
            match (found, &settings.contains) {
                (Some(false), Some(text)) => misbehaved(
                    "wrong_content",
                    format!("{url} answered {status} but the page does not hold \"{text}\""),
                ),
                (Some(_) | None, _) => None,
            }
        }
        Outcome::TooManyRedirects { to } => misbehaved(
            "too_many_redirects",
            format!(
                "{url} redirects more than {} times, last to {to}",
                settings.redirects_max
            ),
        ),
        Outcome::BadRedirect { to } => misbehaved(
            "bad_redirect",
            format!("{url} redirects to \"{to}\", where no page can be"),
        ),
        Outcome::TlsFailed { words } => misbehaved(
            "tls_failed",
            format!("{url}: TLS with {} failed: {words}", seen.peer),
        ),
        Outcome::Malformed { words } => misbehaved(
            "malformed_response",
            format!("{url}: {} does not speak HTTP: {words}", seen.peer),
        ),
        Outcome::NoAddress(failure) => Some(Failure::new(
            failure.blame,
            failure.code.clone(),
            format!("{url}: {}", failure.words),
        )),
        Outcome::Failed(fault) => Some(fault.failure(&seen.peer, seen.phases.total)),
        Outcome::Ours { code, words } => {
            Some(Failure::new(Blame::Ours, *code, format!("{url}: {words}")))
        }
    }
}

/// What the usual refusals mean.
const fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => ": it wants a log-in; give a status list if that is normal",
        404 => ": the page is gone, or the wrong site answers",
        500 => ": the application failed; see its log",
        502 | 504 => ": the web server lives, the application behind it does not",
        503 => ": overloaded, or in maintenance",
        _ => "",
    }
}

fn judge_certificate(settings: &Settings, certificate: &Certificate, now: Utc) -> Option<Verdict> {
    let url = &settings.url;
    let days_left = days_left(certificate, now);
    if days_left <= 0.0 {
        return Some(Verdict::down(Failure::new(
            Blame::Misbehaved,
            CERTIFICATE_EXPIRED,
            format!(
                "{url}: the certificate ended on {}, visitors are turned away: renew it",
                certificate.not_after.rfc3339()
            ),
        )));
    }
    if let (Some(objection), Trust::System | Trust::File(_)) =
        (&certificate.objection, &settings.trust)
    {
        let (code, why) = match objection {
            Objection::Dates(why) => (CERTIFICATE_DATES, why),
            Objection::Other(why) => ("certificate_refused", why),
        };
        return Some(Verdict::down(Failure::new(
            Blame::Misbehaved,
            code,
            format!("{url}: a browser refuses the certificate: {why}"),
        )));
    }
    (days_left < f64::from(settings.certificate_days_left_min)).then(|| {
        Verdict::degraded(Failure::new(
            Blame::Misbehaved,
            CERTIFICATE_ENDS_SOON,
            format!(
                "{url}: the certificate ends on {}, in {days_left:.0} days: renew it",
                certificate.not_after.rfc3339()
            ),
        ))
    })
}

/// Negative once it has ended.
fn days_left(certificate: &Certificate, now: Utc) -> f64 {
    const DAY: f64 = 86_400.0;
    (certificate.not_after.since(now).as_secs_f64()
        - now.since(certificate.not_after).as_secs_f64())
        / DAY
}

fn measure(mut verdict: Verdict, seen: &Seen, now: Utc) -> Verdict {
    verdict.took = Some(seen.phases.total);
    for (name, phase) in [
        ("name_ms", seen.phases.name),
        ("connect_ms", seen.phases.connect),
        ("tls_ms", seen.phases.tls),
        ("first_byte_ms", seen.phases.first_byte),
    ] {
        if let Some(phase) = phase {
            verdict = verdict.measuring(name, phase.as_secs_f64() * 1000.0);
        }
    }
    match &seen.certificate {
        Some(certificate) => {
            verdict.measuring("certificate_days_left", days_left(certificate, now))
        }
        None => verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Word;

    const NOW: Utc = Utc(1_782_000_000_000_000_000);

    fn day(n: i64) -> Utc {
        Utc(NOW.0 + n * 86_400_000_000_000)
    }

    fn verdict(settings: &Settings, outcome: Outcome, certificate: Option<Certificate>) -> Verdict {
        let seen = Seen {
            peer: "127.0.0.1:443".to_owned(),
            phases: Phases {
                total: Duration::from_millis(30),
                ..Phases::default()
            },
            certificate,
            outcome,
        };
        judge(settings, &seen, NOW)
    }

    #[test]
    fn the_table_of_answers() {
        let ok = |found| Outcome::Answered { status: 200, found };
        let status = |status| Outcome::Answered {
            status,
            found: None,
        };
        for (outcome, word, code) in [
            (ok(None), Word::Good, ""),
            (ok(Some(true)), Word::Good, ""),
            (ok(Some(false)), Word::Down, "wrong_content"),
            (status(204), Word::Good, ""),
            (status(302), Word::Down, "http_302"),
            (status(404), Word::Down, "http_404"),
            (status(503), Word::Down, "http_503"),
            (
                Outcome::TooManyRedirects { to: "/".into() },
                Word::Down,
                "too_many_redirects",
            ),
            (
                Outcome::BadRedirect { to: "x:".into() },
                Word::Down,
                "bad_redirect",
            ),
            (
                Outcome::TlsFailed {
                    words: "alert".into(),
                },
                Word::Down,
                "tls_failed",
            ),
            (
                Outcome::Malformed {
                    words: "SSH".into(),
                },
                Word::Down,
                "malformed_response",
            ),
            (
                Outcome::Failed(SocketFault::TimedOut),
                Word::Down,
                "no_answer",
            ),
            (
                Outcome::Failed(SocketFault::Refused),
                Word::Down,
                "connection_refused",
            ),
            (
                Outcome::Failed(SocketFault::Ours { words: "x".into() }),
                Word::Blind,
                "no_socket",
            ),
            (
                Outcome::NoAddress(Failure::new(Blame::Misbehaved, "dns_no_such_name", "x")),
                Word::Down,
                "dns_no_such_name",
            ),
            (
                Outcome::NoAddress(Failure::new(Blame::Ours, "dns_unavailable", "x")),
                Word::Blind,
                "dns_unavailable",
            ),
            (
                Outcome::Ours {
                    code: "tls_settings",
                    words: "x".into(),
                },
                Word::Blind,
                "tls_settings",
            ),
        ] {
            let settings = Settings {
                contains: Some("Bienvenue".to_owned()),
                ..Settings::new("https://example.org/")
            };
            let verdict = verdict(&settings, outcome.clone(), None);
            let found = verdict.failure.as_ref().map_or("", |f| f.code.as_ref());
            assert_eq!((verdict.word, found), (word, code), "{outcome:?}");
        }
    }

    #[test]
    fn redirects_lead_where_browsers_go() {
        for (url, location, expected) in [
            (
                "http://a.example/x/y",
                "https://b.example/",
                Some("https://b.example/"),
            ),
            (
                "https://a.example/x/y",
                "//b.example/z",
                Some("https://b.example/z"),
            ),
            (
                "https://a.example:8443/x/y",
                "/z",
                Some("https://a.example:8443/z"),
            ),
            (
                "https://a.example/",
                "/login?next=https://a.example/x",
                Some("https://a.example/login?next=https://a.example/x"),
            ),
            (
                "https://a.example/x/y?q=/1",
                "z",
                Some("https://a.example/x/z"),
            ),
            (
                "https://a.example/x/y/",
                "../é",
                Some("https://a.example/x/%C3%A9"),
            ),
            (
                "https://a.example/x?q=1",
                "?q=2",
                Some("https://a.example/x?q=2"),
            ),
            ("https://a.example", "z", Some("https://a.example/z")),
            ("https://a.example/", "mailto:x@a.example", None),
            ("https://a.example/", "https://", None),
        ] {
            assert_eq!(
                follow(url, location).as_deref(),
                expected,
                "{url} {location}"
            );
        }
    }

    #[test]
    fn a_listed_status_is_good_and_others_are_not() {
        let settings = Settings {
            status: vec![401],
            ..Settings::new("https://example.org/")
        };
        for (status, word) in [(401, Word::Good), (200, Word::Down)] {
            let outcome = Outcome::Answered {
                status,
                found: None,
            };
            assert_eq!(verdict(&settings, outcome, None).word, word, "{status}");
        }
    }

    #[test]
    fn the_table_of_certificates() {
        let wrong = Some(Objection::Other("not valid for this name".into()));
        let early = Some(Objection::Dates("not valid yet".into()));
        for (not_after, objection, trust, word, code) in [
            (day(22), None, Trust::System, Word::Good, ""),
            (
                day(20),
                None,
                Trust::System,
                Word::Degraded,
                "certificate_ends_soon",
            ),
            (
                day(-1),
                None,
                Trust::System,
                Word::Down,
                "certificate_expired",
            ),
            (
                day(90),
                wrong.clone(),
                Trust::System,
                Word::Down,
                "certificate_refused",
            ),
            (
                day(-1),
                wrong.clone(),
                Trust::System,
                Word::Down,
                "certificate_expired",
            ),
            (
                day(90),
                early.clone(),
                Trust::System,
                Word::Down,
                "certificate_dates",
            ),
            (day(90), early, Trust::Any, Word::Good, ""),
            (day(90), wrong.clone(), Trust::Any, Word::Good, ""),
            (
                day(20),
                wrong.clone(),
                Trust::Any,
                Word::Degraded,
                "certificate_ends_soon",
            ),
            (
                day(-1),
                wrong,
                Trust::Any,
                Word::Down,
                "certificate_expired",
            ),
        ] {
            let settings = Settings {
                trust,
                ..Settings::new("https://example.org/")
            };
            let certificate = Certificate {
                not_after,
                objection,
            };
            let outcome = Outcome::Answered {
                status: 200,
                found: None,
            };
            let verdict = verdict(&settings, outcome, Some(certificate.clone()));
            let found = verdict.failure.as_ref().map_or("", |f| f.code.as_ref());
            assert_eq!(
                (verdict.word, found),
                (word, code),
                "{certificate:?} {:?}",
                settings.trust
            );
        }
    }
}

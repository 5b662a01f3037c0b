//! The tables `[alert.NAME]` and `[heartbeat]`: who is told, and by what.

use std::net::IpAddr;
use std::time::Duration;

use toml::de::DeValue;

use super::context::{Context, Reference};
use super::reader::{At, Section, instead};
use super::target::{ReadTarget, check_id};
use crate::alert::settings::{
    Alertmanager, Channel, DIGEST, Filter, HEARTBEAT_EVERY, Heartbeat, Kind, Mail, Nagios,
    REMINDER, Starttls, TIMEOUT, Webhook,
};
use crate::probe::{Account, Word};
use crate::secret::SecretRef;

/// A channel as read; its groups are compared with those of the targets.
#[derive(Debug)]
pub(super) struct ReadChannel {
    pub(super) channel: Channel,
    groups: Vec<At<String>>,
}

#[derive(Clone, Copy)]
enum Which {
    Mail,
    Webhook,
    Alertmanager,
    Nagios,
}

const KINDS: [(&str, Which); 4] = [
    ("mail", Which::Mail),
    ("webhook", Which::Webhook),
    ("alertmanager", Which::Alertmanager),
    ("nagios", Which::Nagios),
];

const MIN: [(&str, Word); 2] = [("down", Word::Down), ("degraded", Word::Degraded)];

const STARTTLS: [(&str, Starttls); 2] =
    [("required", Starttls::Required), ("none", Starttls::None)];

const METHODS: [(&str, bool); 2] = [("GET", false), ("POST", true)];

/// Submission (RFC 6409); relays inside a network listen on 25, which has to be said.
const SUBMISSION: u16 = 587;

/// Sooner than the digest it would be no reminder, and after a week nobody remembers.
const REMINDER_MIN: Duration = Duration::from_secs(60);
const REMINDER_MAX: Duration = Duration::from_secs(7 * 86_400);

/// A digest is waited for: a minute is half of what an outage may take to be told.
const DIGEST_MAX: Duration = Duration::from_secs(60);

/// Less is no answer of a busy mail server; more, and the next try would come too late.
const TIMEOUT_MIN: Duration = Duration::from_secs(1);
const TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// Switches ring after minutes: more often tells nothing more, more rarely makes them ring for nothing.
const BEAT_MIN: Duration = Duration::from_secs(10);
const BEAT_MAX: Duration = Duration::from_secs(3600);

pub(super) fn read_alert(
    name: &At<String>,
    section: &Section<'_>,
    context: &Context<'_>,
) -> Option<ReadChannel> {
    let kind = section.required("kind", "\"mail\"", section.choice("kind", &KINDS));
    let min = section.choice("min", &MIN);
    let groups = section.texts("groups").unwrap_or_default();
    let own_faults = section.flag("own_faults");
    let reminder = read_reminder(section);
    let digest = section.duration("digest", Duration::ZERO..=DIGEST_MAX);
    let timeout = section.duration("timeout", TIMEOUT_MIN..=TIMEOUT_MAX);
    let page = section.read("page", is_url);
    let kind = match kind {
        Some(Which::Mail) => read_mail(section, context).map(Kind::Mail),
        Some(Which::Webhook) => read_webhook(section, context).map(Kind::Webhook),
        Some(Which::Alertmanager) => read_alertmanager(section, context).map(Kind::Alertmanager),
        Some(Which::Nagios) => read_nagios(section, context).map(Kind::Nagios),
        // Which keys it may have, nobody knows.
        None => return None,
    };
    section.finish();
    check_id("alert", name, context)?;
    let usual = Filter::default();
    Some(ReadChannel {
        channel: Channel {
            name: name.value.clone(),
            kind: kind?,
            filter: Filter {
                min: min.unwrap_or(usual.min),
                groups: groups.iter().map(|at| at.value.clone()).collect(),
                own_faults: own_faults.unwrap_or(usual.own_faults),
            },
            reminder,
            digest: digest.map_or(DIGEST, |at| at.value),
            timeout: timeout.map_or(TIMEOUT, |at| at.value),
            page: page.map(|at| at.value),
        },
        groups,
    })
}

/// Groups that no target is in: an alert of theirs would never come.
pub(super) fn judge(channels: &[ReadChannel], targets: &[ReadTarget], context: &Context<'_>) {
    let known: Vec<&str> = targets
        .iter()
        .map(|read| read.target.group.as_str())
        .collect();
    for group in channels.iter().flat_map(|read| &read.groups) {
        let name = group.value.as_str();
        if !known.contains(&name) {
            context.findings.missing(
                &group.span,
                format!("no target is of group {name:?}; {}", instead(name, &known)),
            );
        }
    }
}

/// `false` reminds nobody.
fn read_reminder(section: &Section<'_>) -> Option<Duration> {
    if section
        .value("reminder")
        .is_some_and(|value| matches!(value.get_ref(), DeValue::Boolean(false)))
    {
        return None;
    }
    let said = section.duration("reminder", REMINDER_MIN..=REMINDER_MAX);
    Some(said.map_or(REMINDER, |at| at.value))
}

fn read_mail(section: &Section<'_>, context: &Context<'_>) -> Option<Mail> {
    let server = section.required(
        "server",
        "\"mail.example.org:587\"",
        section.read("server", server),
    );
    let tls_name = section.text("tls_name");
    let starttls = section
        .choice("starttls", &STARTTLS)
        .unwrap_or(Starttls::Required);
    let allow_clear = section.flag("allow_clear").unwrap_or(false);
    let user = section.text("user");
    let secret = read_secret(section, "secret", context);
    let from = section.required(
        "from",
        "\"vigie@example.org\"",
        section.read("from", mail_address),
    );
    let to = section.required("to", "[\"astreinte@example.org\"]", section.texts("to"));
    if let Some(server) = &server
        && starttls == Starttls::None
        && !allow_clear
        && !is_loopback(&server.value.0)
    {
        section.findings().wrong(
            &section.key_span("starttls"),
            format!(
                "without STARTTLS everybody on the way to {:?} can read what is sent; write \"required\", or \
                 say allow_clear = true as well",
                server.value.0
            ),
        );
    }
    let account = match (user, secret) {
        (Some(user), Some(secret)) => Some(Account {
            user: user.value,
            secret: secret.value,
        }),
        (Some(user), None) => {
            if !section.has("secret") {
                section.findings().missing(
                    &user.span,
                    "\"user\" needs a \"secret\"; add secret = \"env:NAME\"",
                );
            }
            None
        }
        (None, Some(secret)) => {
            section.findings().missing(
                &secret.span,
                "\"secret\" needs a \"user\"; add user = \"…\"",
            );
            None
        }
        (None, None) => None,
    };
    let to = to?;
    for one in &to {
        if let Err(words) = mail_address(&one.value) {
            section
                .findings()
                .wrong(&one.span, format!("\"to\": {words}"));
        }
    }
    if to.is_empty() {
        section.findings().missing(
            &section.key_span("to"),
            "\"to\" is empty: nobody would be told; write an address",
        );
    }
    let (host, port) = server?.value;
    Some(Mail {
        host,
        port,
        tls_name: tls_name.map(|at| at.value),
        starttls,
        account,
        from: from?.value,
        to: to.into_iter().map(|at| at.value).collect(),
    })
}

fn read_webhook(section: &Section<'_>, context: &Context<'_>) -> Option<Webhook> {
    let url = read_url(section);
    let secret = section.required(
        "secret",
        "\"env:NAME\"",
        read_secret(section, "secret", context),
    );
    Some(Webhook {
        url: url?.value,
        secret: secret?.value,
    })
}

fn read_alertmanager(section: &Section<'_>, context: &Context<'_>) -> Option<Alertmanager> {
    let url = read_url(section);
    let bearer = read_secret(section, "secret", context);
    if let (Some(url), Some(_)) = (&url, &bearer) {
        warn_of_clear(section, url);
    }
    Some(Alertmanager {
        url: url?.value,
        bearer: bearer.map(|at| at.value),
    })
}

fn read_nagios(section: &Section<'_>, context: &Context<'_>) -> Option<Nagios> {
    let url = read_url(section);
    let token = section.required(
        "secret",
        "\"env:NAME\"",
        read_secret(section, "secret", context),
    );
    let host = section.required("host", "\"centre-119\"", section.text("host"));
    if let Some(url) = &url {
        warn_of_clear(section, url);
    }
    Some(Nagios {
        url: url?.value,
        token: token?.value,
        host: host?.value,
    })
}

/// `[heartbeat]`.
pub(super) fn read_heartbeat(section: &Section<'_>, context: &Context<'_>) -> Option<Heartbeat> {
    let url = read_url(section);
    let every = section.duration("every", BEAT_MIN..=BEAT_MAX);
    let timeout = section.duration("timeout", TIMEOUT_MIN..=TIMEOUT_MAX);
    let post = section.choice("method", &METHODS).unwrap_or(false);
    let bearer = read_secret(section, "secret", context);
    section.finish();
    Some(Heartbeat {
        url: url?.value,
        every: every.map_or(HEARTBEAT_EVERY, |at| at.value),
        timeout: timeout.map_or(TIMEOUT, |at| at.value),
        post,
        bearer: bearer.map(|at| at.value),
    })
}

fn read_url(section: &Section<'_>) -> Option<At<String>> {
    section.required("url", "\"https://…\"", section.read("url", is_url))
}

fn read_secret(
    section: &Section<'_>,
    key: &'static str,
    context: &Context<'_>,
) -> Option<At<SecretRef>> {
    let text = section.text(key)?;
    match text.value.parse::<SecretRef>() {
        Ok(reference) => {
            context.refer(&text.span, Reference::Secret(reference.clone()), None);
            Some(At {
                value: reference,
                span: text.span,
            })
        }
        Err(words) => {
            // The text itself may be the secret, and is not repeated.
            section
                .findings()
                .wrong(&text.span, format!("\"{key}\": {words}"));
            None
        }
    }
}

fn warn_of_clear(section: &Section<'_>, url: &At<String>) {
    let host = url::Url::parse(&url.value)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_default();
    if url.value.starts_with("http://") && !is_loopback(host.trim_matches(['[', ']'])) {
        section.findings().warn(
            &url.span,
            "the secret goes there in the clear; write https://",
        );
    }
}

/// The text is not repeated: the path of many a URL is a secret.
fn is_url(text: &str) -> Result<String, String> {
    let is_good = url::Url::parse(text)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some());
    // hyper sends it as it stands.
    if is_good && text.is_ascii() && !text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        Ok(text.to_owned())
    } else {
        Err(
            "this is no address of a page; write for example \"https://example.org/hook\""
                .to_owned(),
        )
    }
}

/// `mail.example.org`, `192.0.2.21:25`, `[2001:db8::1]:587`.
fn server(text: &str) -> Result<(String, u16), String> {
    let refuse = || format!("{text:?} is no server; write for example \"mail.example.org:587\"");
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok((ip.to_string(), SUBMISSION));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port > 0)),
        None => (text, Some(SUBMISSION)),
    };
    let host = host.trim_matches(['[', ']']);
    let is_name = host.parse::<IpAddr>().is_ok()
        || !host.is_empty()
            && host
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-');
    match port {
        Some(port) if is_name => Ok((host.to_owned(), port)),
        Some(_) | None => Err(refuse()),
    }
}

/// `a@example.org` or `Astreinte <a@example.org>`.
fn mail_address(text: &str) -> Result<String, String> {
    let address = match text.split_once('<') {
        Some((_, rest)) => rest.strip_suffix('>').unwrap_or_default(),
        None => text,
    };
    let is_good = address.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@')
    }) && !address.contains(|c: char| c.is_whitespace() || c == ',')
        && !text.contains(char::is_control);
    if is_good {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} is no mail address; write for example \"astreinte@example.org\""
        ))
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read;

    const HEAD: &str = "[plant]\nname = \"p\"\n[target.a]\nname = \"A\"\ngroup = \"Linux\"\naddress = \"192.0.2.1\"\n\
                        probes = [\"ping\"]\n";

    fn mistakes(lines: &str) -> Vec<String> {
        match read("f", &format!("{HEAD}{lines}\n")) {
            Ok(_) => Vec::new(),
            Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
        }
    }

    fn settings(lines: &str) -> crate::config::Settings {
        read("f", &format!("{HEAD}{lines}\n"))
            .unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
            .settings
    }

    #[test]
    fn a_mail_channel_needs_little_and_has_defaults() {
        let settings = settings(
            "[alert.equipe]\nkind = \"mail\"\nserver = \"mail.example.org\"\nfrom = \"vigie@example.org\"\n\
             to = \"a@example.org\"",
        );
        assert_eq!(
            settings.alerts,
            [Channel {
                name: "equipe".to_owned(),
                kind: Kind::Mail(Mail {
                    host: "mail.example.org".to_owned(),
                    port: 587,
                    tls_name: None,
                    starttls: Starttls::Required,
                    account: None,
                    from: "vigie@example.org".to_owned(),
                    to: vec!["a@example.org".to_owned()],
                }),
                filter: Filter::default(),
                reminder: Some(REMINDER),
                digest: DIGEST,
                timeout: TIMEOUT,
                page: None,
            }]
        );
        assert_eq!(settings.heartbeat, None);
    }

    #[test]
    fn every_kind_is_read_in_full() {
        let settings = settings(
            "[alert.a]\nkind = \"webhook\"\nurl = \"https://h.example/x\"\nsecret = \"env:S\"\nmin = \"degraded\"\n\
             groups = [\"Linux\"]\nown_faults = false\nreminder = false\ndigest = \"0s\"\ntimeout = \"3s\"\n\
             page = \"https://p.example/\"\n\
             [alert.b]\nkind = \"alertmanager\"\nurl = \"http://127.0.0.1:9093/x\"\nreminder = \"2h\"\n\
             [alert.c]\nkind = \"nagios\"\nurl = \"https://n.example/nrdp/\"\nsecret = \"file:/t\"\nhost = \"centre\"\n\
             [heartbeat]\nurl = \"https://b.example/ping\"\nevery = \"30s\"\nmethod = \"POST\"\nsecret = \"env:B\"",
        );
        let [webhook, alertmanager, nagios] = settings.alerts.as_slice() else {
            panic!("{:?}", settings.alerts);
        };
        assert_eq!(webhook.filter.min, Word::Degraded);
        assert_eq!(webhook.filter.groups, ["Linux"]);
        assert!(!webhook.filter.own_faults);
        assert_eq!((webhook.reminder, webhook.digest), (None, Duration::ZERO));
        assert_eq!(webhook.page.as_deref(), Some("https://p.example/"));
        assert_eq!(alertmanager.reminder, Some(Duration::from_secs(7200)));
        assert!(matches!(&nagios.kind, Kind::Nagios(nagios) if nagios.host == "centre"));
        let heartbeat = settings.heartbeat.unwrap();
        assert!(heartbeat.post);
        assert_eq!(heartbeat.every, Duration::from_secs(30));
    }

    #[test]
    fn all_mistakes_come_at_once_with_what_to_write() {
        assert_eq!(
            mistakes(
                "[alert.Equipe]\nkind = \"mail\"\nserver = \"192.0.2.21:25\"\nstarttls = \"none\"\nuser = \"u\"\n\
                 from = \"nobody\"\nto = [\"a@example.org\", \"b\"]\ngroups = [\"Linus\"]\nreminder = \"1s\"\n\
                 [alert.hook]\nkind = \"webhook\"\nurl = \"ftp://h/token-abc\"\nsecret = \"hunter2\"\n\
                 [alert.x]\nkind = \"pager\"\n\
                 [heartbeat]\nmethod = \"PUT\""
            ),
            [
                "f:8:8: the id of an alert holds small letters, digits and -; write for example [alert.equipe]",
                "f:11:1: without STARTTLS everybody on the way to \"192.0.2.21\" can read what is sent; write \
                 \"required\", or say allow_clear = true as well",
                "f:12:8: \"user\" needs a \"secret\"; add secret = \"env:NAME\"",
                "f:13:8: \"from\": \"nobody\" is no mail address; write for example \"astreinte@example.org\"",
                "f:14:24: \"to\": \"b\" is no mail address; write for example \"astreinte@example.org\"",
                "f:16:12: \"reminder\" is 1s; write 1m to 7d",
                "f:19:7: \"url\": this is no address of a page; write for example \"https://example.org/hook\"",
                "f:20:10: \"secret\": a secret may not stand here; write \"env:NAME\" or \"file:/path\"",
                "f:22:8: \"kind\" cannot be \"pager\"; known are alertmanager, mail, nagios, webhook",
                "f:23:2: [heartbeat] has no \"url\"; add url = \"https://…\"",
                "f:24:10: \"method\" cannot be \"PUT\"; known are GET, POST",
            ]
        );
    }

    #[test]
    fn a_group_of_no_target_is_a_slip_of_the_pen() {
        assert_eq!(
            mistakes(
                "[alert.a]\nkind = \"alertmanager\"\nurl = \"https://h.example/\"\ngroups = [\"Linus\"]"
            ),
            ["f:11:11: no target is of group \"Linus\"; write \"Linux\""]
        );
    }

    #[test]
    fn mail_in_the_clear_is_for_loopback_or_for_those_who_say_so() {
        let mail = |server: &str, more: &str| {
            mistakes(&format!(
                "[alert.a]\nkind = \"mail\"\nserver = \"{server}\"\nstarttls = \"none\"\nfrom = \"a@b\"\nto = \"c@d\"\n{more}"
            ))
        };
        for (server, more, is_good) in [
            ("127.0.0.1:25", "", true),
            ("localhost:25", "", true),
            ("[::1]:25", "", true),
            ("192.0.2.1:25", "", false),
            ("mail.example.org", "", false),
            ("192.0.2.1:25", "allow_clear = true", true),
        ] {
            assert_eq!(mail(server, more).is_empty(), is_good, "{server} {more}");
        }
    }

    #[test]
    fn servers_are_names_or_addresses_with_or_without_a_port() {
        for (text, expected) in [
            ("mail.example.org", Some(("mail.example.org", 587))),
            ("mail.example.org:25", Some(("mail.example.org", 25))),
            ("192.0.2.1:2525", Some(("192.0.2.1", 2525))),
            ("[2001:db8::1]:25", Some(("2001:db8::1", 25))),
            ("2001:db8::1", Some(("2001:db8::1", 587))),
            ("smtp://mail", None),
            ("mail:0", None),
            ("mail:x", None),
            (":25", None),
        ] {
            let found = server(text).ok();
            let expected = expected.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(found, expected, "{text}");
        }
    }
}

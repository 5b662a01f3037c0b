//! The keys of the kinds `call`, `register` and `options`.

use std::time::Duration;

use super::context::Reference;
use super::entry::{Entry, Kind, host_of};
use super::limits;
use super::reader::At;
use super::sip::{TRANSPORTS, user_part};
use super::value::print_duration;
use crate::probe::call::{self, Hear};
use crate::probe::prompt::{self, Prompt};
use crate::probe::{Account, Check, options, register};
use crate::secret::SecretRef;
use crate::sip::emergency::is_emergency;
use crate::sip::header::uri::Uri;

/// A held test call takes a channel from a caller; longer than this proves nothing more.
const HOLD_MAX: Duration = Duration::from_secs(30);

/// What a call may take besides waiting and holding, CANCEL or BYE and their answers; and a registration
/// besides waiting: a binding may exist although its 200 was lost, and is removed in any case.
pub(super) const GOODBYE: Duration = Duration::from_secs(2);

/// Three or four DTMF digits after the answer took 1.05 s where it was measured.
const SIGNATURE_HEARD: Duration = Duration::from_millis(1_500);

pub(super) fn read_call(entry: &Entry<'_, '_>) -> Option<Kind> {
    let section = entry.section;
    let to = read_callee(entry);
    let own_account = read_account(entry);
    let caller = section.read("caller", user_part);
    let from = section.read("from", sip_uri);
    let proxy = section.read("proxy", host_and_port);
    let transport = section.choice("transport", &TRANSPORTS);
    let hold = section.duration("hold", Duration::ZERO..=HOLD_MAX);
    let wait = Duration::from_millis(500)..=Duration::from_secs(60);
    let answer_within = section.duration("answer_within", wait.clone());
    let media_within = section.duration("media_within", wait);
    let signatures = section.texts("signatures").unwrap_or_default();
    let hear = section.choice(
        "hear",
        &[
            ("echo", Hear::Echo),
            ("anything", Hear::Anything),
            ("nothing", Hear::Nothing),
        ],
    );
    let prompt = read_prompt(entry, hear);
    let send_dtmf = section.read("send_dtmf", digits);
    refuse_dialled_emergency(entry, send_dtmf.as_ref());
    let limits = limits::of_call(section, &entry.context.limits);
    let signatures = signatures
        .iter()
        .filter_map(|text| read_signature(entry, text))
        .collect();
    if let Some(hold) = &hold
        && section.has("signatures")
        && hold.value < SIGNATURE_HEARD
    {
        entry.wrong(
            &hold.span,
            format!(
                "a signature takes about a second to be heard and the call is held for {}; write \"2s\" or more",
                print_duration(hold.value)
            ),
        );
    }
    let to = to?;
    let proxy = match proxy {
        Some(proxy) => Some(proxy.value),
        // A telephone number alone leads nowhere; the target is whom we ask to call it.
        None if to.starts_with("tel:") => Some(host_of(entry.address()?)),
        None => None,
    };
    let account = own_account.ok()?;
    let from = match (&from, &caller, &account) {
        (Some(from), _, _) => from.value.clone(),
        (None, Some(caller), _) => address_of(entry, &caller.value, &to),
        (None, None, Some(account)) => address_of(entry, &account.user, &to),
        (None, None, None) => address_of(entry, &entry.context.sip.caller, &to),
    };
    let usual = call::Settings::new(to, from);
    let usual_hear = match prompt {
        Some(_) => Hear::Anything,
        None => usual.hear,
    };
    let settings = call::Settings {
        proxy,
        transport: transport.unwrap_or(entry.context.sip.transport),
        account,
        hold: hold.map_or(usual.hold, |at| at.value),
        answer_within: answer_within.map_or(usual.answer_within, |at| at.value),
        media_within: media_within.map_or(usual.media_within, |at| at.value),
        signatures,
        hear: hear.unwrap_or(usual_hear),
        prompt,
        send_dtmf: send_dtmf.map_or(usual.send_dtmf, |at| at.value),
        limits,
        to: usual.to,
        from: usual.from,
    };
    Some(Kind {
        takes: settings.answer_within + settings.hold + GOODBYE,
        check: Check::Call(settings),
        name: None,
    })
}

/// Whom to call: `number` at the address of the target, or a whole URI in `to`.
fn read_callee(entry: &Entry<'_, '_>) -> Option<String> {
    let section = entry.section;
    let number = section.text("number");
    let to = section.text("to");
    if let (Some(_), Some(to)) = (&number, &to) {
        entry.wrong(
            &to.span,
            "\"number\" and \"to\" both say whom to call; remove one",
        );
        return None;
    }
    if let Some(number) = number {
        // Judged before anything else is: the message about an emergency number must never be hidden.
        if refuse_emergency(entry, "number", &number, &number.value) {
            return None;
        }
        if let Err(words) = user_part(&number.value) {
            entry.wrong(&number.span, format!("\"number\": {words}"));
            return None;
        }
        let number = number.value.replace('#', "%23");
        return Some(format!("sip:{number}@{}", host_of(entry.address()?)));
    }
    let Some(to) = to else {
        if !section.has("number") && !section.has("to") {
            section.findings().missing(
                &section.span,
                format!(
                    "{} has no \"number\"; add number = \"0199001199\"",
                    section.title
                ),
            );
        }
        return None;
    };
    let filled = entry.fill(&to)?;
    if refuse_emergency(entry, "to", &to, &filled) {
        return None;
    }
    match sip_uri(&filled) {
        Ok(uri) => Some(uri),
        Err(words) => {
            entry.wrong(&to.span, format!("\"to\": {words}"));
            None
        }
    }
}

fn refuse_emergency(entry: &Entry<'_, '_>, key: &str, at: &At<String>, dialled: &str) -> bool {
    let refused = is_emergency(dialled);
    if refused {
        entry.wrong(
            &at.span,
            format!(
                "\"{key}\" would ring an emergency service; write the unpublished test number (SDA) that \
                 leads to the echo of the PBX"
            ),
        );
    }
    refused
}

/// Digits sent into a PBX may be dialled by it.
fn refuse_dialled_emergency(entry: &Entry<'_, '_>, digits: Option<&At<String>>) {
    if let Some(digits) = digits {
        refuse_emergency(entry, "send_dtmf", digits, &digits.value);
    }
}

/// `prompt`: the announcement that must play, where one is expected.
fn read_prompt(entry: &Entry<'_, '_>, hear: Option<Hear>) -> Option<Prompt> {
    let section = entry.section;
    let name = section.read("prompt", prompt::name);
    let within = section.duration(
        "prompt_within",
        Duration::from_millis(100)..=Duration::from_secs(30),
    );
    let Some(name) = name else {
        if let Some(within) = within
            && !section.has("prompt")
        {
            entry.wrong(
                &within.span,
                "\"prompt_within\" says when an announcement must begin, and there is no \"prompt\"; add one or \
                 remove the line",
            );
        }
        return None;
    };
    if matches!(hear, Some(Hear::Echo | Hear::Nothing)) {
        entry.wrong(
            &name.span,
            "an announcement is neither an echo nor nothing; remove \"hear\", or write hear = \"anything\"",
        );
    }
    entry.context.refer(
        &name.span,
        Reference::Prompt(name.value.clone()),
        Some(entry.id.clone()),
    );
    Some(Prompt {
        name: name.value,
        within: within.map_or(prompt::WITHIN, |at| at.value),
    })
}

fn read_signature(entry: &Entry<'_, '_>, text: &At<String>) -> Option<String> {
    match digits(&text.value) {
        Ok(digits) => Some(digits),
        Err(words) => {
            entry.wrong(&text.span, format!("a signature: {words}"));
            None
        }
    }
}

/// What RFC 4733 can carry as keys.
pub(super) fn digits(text: &str) -> Result<String, String> {
    let fine = |b: u8| matches!(b, b'0'..=b'9' | b'*' | b'#' | b'A'..=b'D');
    if (1..=32).contains(&text.len()) && text.bytes().all(fine) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} is no row of keys; write digits, *, # and A to D, such as \"*1#\""
        ))
    }
}

/// The caller at the far end's own domain, which is what a PBX compares with its accounts.
fn address_of(entry: &Entry<'_, '_>, user: &str, to: &str) -> String {
    let user = user.replace('#', "%23");
    let host = match entry.addresses.as_slice() {
        [one] => host_of(*one),
        [..] => host_in(to).unwrap_or("localhost").to_owned(),
    };
    format!("sip:{user}@{host}")
}

fn host_in(uri: &str) -> Option<&str> {
    let (_, host) = uri.split_once('@')?;
    Some(host.split([';', '?', ':']).next().unwrap_or(host))
}

/// `user` and `secret`: both, or none. `Err` when what stands there is of no use.
fn read_account(entry: &Entry<'_, '_>) -> Result<Option<Account>, ()> {
    let section = entry.section;
    let user = section.read("user", user_part);
    let secret = section.text("secret");
    let secret = match secret {
        Some(text) => match text.value.parse::<SecretRef>() {
            Ok(reference) => {
                entry.context.refer(
                    &text.span,
                    Reference::Secret(reference.clone()),
                    Some(entry.id.clone()),
                );
                Some(reference)
            }
            Err(words) => {
                // The text itself may be the secret, and is not repeated.
                entry.wrong(&text.span, format!("\"secret\": {words}"));
                return Err(());
            }
        },
        None => None,
    };
    match (user, secret) {
        (Some(user), Some(secret)) => Ok(Some(Account {
            user: user.value,
            secret,
        })),
        (None, None) if !section.has("user") && !section.has("secret") => Ok(None),
        (Some(user), None) if !section.has("secret") => {
            section.findings().missing(
                &user.span,
                "\"user\" has no secret; add secret = \"env:NAME\" or \"file:/path\"",
            );
            Err(())
        }
        (None, Some(_)) if !section.has("user") => {
            section.findings().missing(
                &section.key_span("secret"),
                "\"secret\" has no user; add user = \"…\"",
            );
            Err(())
        }
        (Some(_) | None, Some(_) | None) => Err(()),
    }
}

pub(super) fn read_register(entry: &Entry<'_, '_>, usual_wait: Duration) -> Option<Kind> {
    let section = entry.section;
    let account = read_account(entry);
    let aor = section.text("aor");
    let proxy = section.read("proxy", host_and_port);
    let transport = section.choice("transport", &TRANSPORTS);
    let expires = section.duration(
        "expires",
        Duration::from_secs(10)..=Duration::from_secs(3600),
    );
    let account = match account {
        Ok(Some(account)) => account,
        Ok(None) => {
            section.findings().missing(
                &section.span,
                format!(
                    "{} has no account; add user = \"…\" and secret = \"env:NAME\"",
                    section.title
                ),
            );
            return None;
        }
        Err(()) => return None,
    };
    let aor = match aor {
        Some(aor) => {
            let filled = entry.fill(&aor)?;
            sip_uri(&filled)
                .map_err(|words| entry.wrong(&aor.span, format!("\"aor\": {words}")))
                .ok()?
        }
        None => format!("sip:{}@{}", account.user, host_of(entry.address()?)),
    };
    let wait = entry.timeout_or(usual_wait);
    Some(Kind {
        check: Check::Register(register::Settings {
            aor,
            proxy: proxy.map(|at| at.value),
            transport: transport.unwrap_or(entry.context.sip.transport),
            account,
            expires: expires.map_or(Duration::from_secs(60), |at| at.value),
            answer_within: wait,
        }),
        takes: wait + GOODBYE,
        name: None,
    })
}

pub(super) fn read_options(entry: &Entry<'_, '_>, usual_wait: Duration) -> Option<Kind> {
    let section = entry.section;
    let to = section.text("to");
    let from = section.read("from", sip_uri);
    let proxy = section.read("proxy", host_and_port);
    let transport = section.choice("transport", &TRANSPORTS);
    let to = match to {
        Some(to) => {
            let filled = entry.fill(&to)?;
            sip_uri(&filled)
                .map_err(|words| entry.wrong(&to.span, format!("\"to\": {words}")))
                .ok()?
        }
        None => format!("sip:{}", host_of(entry.address()?)),
    };
    let wait = entry.timeout_or(usual_wait);
    let from = from.map_or_else(
        || address_of(entry, &entry.context.sip.caller, &to),
        |at| at.value,
    );
    Some(Kind {
        check: Check::Options(options::Settings {
            to,
            from,
            proxy: proxy.map(|at| at.value),
            transport: transport.unwrap_or(entry.context.sip.transport),
            answer_within: wait,
        }),
        takes: wait,
        name: None,
    })
}

/// A SIP URI: first what people get wrong, in words for them; then the grammar of the SIP core.
fn sip_uri(text: &str) -> Result<String, String> {
    let refuse =
        || format!("{text:?} is no SIP address; write for example \"sip:0199001199@192.0.2.10\"");
    let fine = |b: u8| b.is_ascii_graphic() && !b"<>\"{}|\\^`".contains(&b);
    if text.len() > 255 || !text.bytes().all(fine) {
        return Err(refuse());
    }
    if let Some(number) = text.strip_prefix("tel:") {
        return if number.starts_with(|c: char| c == '+' || c.is_ascii_digit()) {
            by_the_grammar(text).ok_or_else(refuse)
        } else {
            Err(refuse())
        };
    }
    let rest = text
        .strip_prefix("sip:")
        .or_else(|| text.strip_prefix("sips:"))
        .ok_or_else(refuse)?;
    let (user, host) = rest.rsplit_once('@').unwrap_or(("-", rest));
    let host = host.split([';', '?']).next().unwrap_or(host);
    if user.contains(':') {
        // Not repeated: what stands there is a password.
        return Err(
            "a SIP address may not hold a password; use \"user\" and \"secret\"".to_owned(),
        );
    }
    if user.is_empty() || user.contains('@') || host_and_port(host).is_err() {
        return Err(refuse());
    }
    by_the_grammar(text).ok_or_else(refuse)
}

fn by_the_grammar(text: &str) -> Option<String> {
    Uri::read(text).is_ok().then(|| text.to_owned())
}

/// `192.0.2.10`, `192.0.2.10:5062`, `[2001:db8::1]:5060`, `pbx.example`.
fn host_and_port(text: &str) -> Result<String, String> {
    let refuse = || format!("{text:?} is no host; write for example \"192.0.2.10:5060\"");
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(refuse)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| refuse())?;
            (
                host,
                port.strip_prefix(':')
                    .or_else(|| port.is_empty().then_some("5060")),
            )
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, Some("5060")),
        },
    };
    let port = port.ok_or_else(refuse)?;
    let port_fine =
        port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|p| p > 0);
    let name_fine = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.' || b == b':';
    if port_fine && !host.is_empty() && host.bytes().all(name_fine) {
        Ok(text.to_owned())
    } else {
        Err(refuse())
    }
}

/// How long one call of these settings holds a channel.
pub(super) fn holds_channel(settings: &call::Settings) -> Duration {
    settings.hold + Duration::from_secs(1)
}

//! Our own JSON, and its signature.

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::Sha256;

use super::{Line, lines};
use crate::alert::outbox::Outgoing;
use crate::incident::IncidentId;
use crate::secret::Secret;

/// Seconds since 1970 at the moment of sending.
pub const TIMESTAMP: &str = "x-vigie-timestamp";
/// `v1=` and 64 hexadecimal digits.
pub const SIGNATURE: &str = "x-vigie-signature";
/// The same for every try of one message.
pub const ID: &str = "x-vigie-id";

#[derive(Debug, Serialize)]
struct Body<'a> {
    version: u8,
    id: &'a str,
    channel: &'a str,
    queued: String,
    page: Option<&'a str>,
    alerts: Vec<Alert<'a>>,
}

#[derive(Debug, Serialize)]
struct Alert<'a> {
    key: &'a str,
    incident: Option<IncidentId>,
    /// `firing` or `resolved`.
    status: &'static str,
    reason: &'static str,
    /// The alarm stands in this message too: nobody was told of it before.
    untold: bool,
    subject: &'a str,
    groups: &'a [String],
    state: &'static str,
    words: &'a str,
    since: String,
    at: String,
    hit: &'a [String],
    deadline: Option<Deadline<'a>>,
}

#[derive(Debug, Serialize)]
struct Deadline<'a> {
    indicator: &'a str,
    at: String,
}

/// The body that is signed and sent.
#[must_use]
pub fn body(outgoing: &Outgoing) -> String {
    let body = Body {
        version: 1,
        id: &outgoing.key(),
        channel: &outgoing.channel.name,
        queued: outgoing.queued.rfc3339(),
        page: outgoing.channel.page.as_deref(),
        alerts: lines(&outgoing.notices).iter().map(alert).collect(),
    };
    serde_json::to_string(&body).expect("texts always print")
}

fn alert<'n>(line: &Line<'n>) -> Alert<'n> {
    let notice = line.last;
    Alert {
        key: &notice.key,
        incident: notice.incident,
        status: if notice.reason.is_end() {
            "resolved"
        } else {
            "firing"
        },
        reason: notice.reason.as_str(),
        untold: line.is_whole(),
        subject: &notice.subject,
        groups: &notice.groups,
        state: notice.word.as_str(),
        words: &notice.words,
        since: notice.since.rfc3339(),
        at: notice.at.rfc3339(),
        hit: &notice.hit,
        deadline: notice.deadline.as_ref().map(|deadline| Deadline {
            indicator: &deadline.indicator,
            at: deadline.at.rfc3339(),
        }),
    }
}

/// What [`SIGNATURE`] says: HMAC-SHA256 (RFC 2104) of the timestamp, a full stop and the body.
#[must_use]
pub fn sign(secret: &Secret, timestamp: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes())
        .expect("a key of HMAC may have any length");
    mac.update(timestamp.to_string().as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    let mut text = "v1=".to_owned();
    for byte in mac.finalize().into_bytes() {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::*;
    use super::*;

    #[test]
    fn the_json_keeps_its_keys() {
        assert_eq!(
            body(&outgoing(&[opened()])),
            r#"{"version":1,"id":"vigie-equipe-12-1795525100000","channel":"equipe","queued":"2026-11-24T12:58:20.000Z","page":"https://vigie.example/","alerts":[{"key":"incident-7","incident":7,"status":"firing","reason":"opened","untold":false,"subject":"XIVO 1","groups":["Téléphonie"],"state":"down","words":"machine allumée, service arrêté","since":"2026-11-24T12:58:07.000Z","at":"2026-11-24T12:58:15.000Z","hit":["119, accueil"],"deadline":{"indicator":"IC6","at":"2026-11-24T13:58:07.000Z"}}]}"#
        );
    }

    #[test]
    fn what_was_held_and_recovered_is_one_alert_that_says_so() {
        let text = body(&outgoing(&[opened(), restored()]));
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["alerts"].as_array().unwrap().len(), 1);
        assert_eq!(json["alerts"][0]["status"], "resolved");
        assert_eq!(json["alerts"][0]["untold"], true);
    }

    /// `printf '1795525100.{"a":1}' | openssl dgst -sha256 -hmac s3cret`
    #[test]
    fn a_signature_is_that_of_openssl() {
        let secret = Secret::new("s3cret".to_owned());
        assert_eq!(
            sign(&secret, 1_795_525_100, r#"{"a":1}"#),
            "v1=e6c9e7b0255c6e15b582a8994b4d17fba8fd7b9f5047ed85ac7edd0707406a4f"
        );
    }
}

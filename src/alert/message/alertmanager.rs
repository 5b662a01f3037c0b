//! The JSON that Prometheus Alertmanager sends to its webhook receivers, version 4, so that whatever understands
//! Alertmanager understands us.
//!
//! Labels name an alert and never change between its alarm and its end; what changes is an annotation.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Line, lines};
use crate::alert::notice::Notice;
use crate::alert::outbox::Outgoing;

/// What Alertmanager writes as the end of an alert that has none: the zero time of Go.
const NO_END: &str = "0001-01-01T00:00:00Z";

type Texts = BTreeMap<&'static str, String>;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    receiver: &'a str,
    status: &'static str,
    alerts: Vec<Alert>,
    group_labels: Texts,
    common_labels: Texts,
    common_annotations: Texts,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    version: &'static str,
    group_key: String,
    truncated_alerts: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    status: &'static str,
    labels: Texts,
    annotations: Texts,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: String,
    fingerprint: String,
}

#[must_use]
pub fn body(outgoing: &Outgoing) -> String {
    let page = outgoing.channel.page.as_deref().unwrap_or_default();
    let alerts: Vec<Alert> = lines(&outgoing.notices)
        .iter()
        .map(|line| alert(line, page))
        .collect();
    let is_firing = alerts.iter().any(|alert| alert.status == "firing");
    let receiver = outgoing.channel.name.as_str();
    let body = Body {
        receiver,
        status: if is_firing { "firing" } else { "resolved" },
        group_labels: Texts::new(),
        common_labels: common(alerts.iter().map(|alert| &alert.labels)),
        common_annotations: common(alerts.iter().map(|alert| &alert.annotations)),
        alerts,
        external_url: page,
        version: "4",
        group_key: format!("{{}}/{{receiver={receiver:?}}}:{{}}"),
        truncated_alerts: 0,
    };
    serde_json::to_string(&body).expect("texts always print")
}

fn alert(line: &Line<'_>, page: &str) -> Alert {
    let notice = line.last;
    let is_over = notice.reason.is_end();
    Alert {
        status: if is_over { "resolved" } else { "firing" },
        labels: labels(notice),
        annotations: annotations(notice),
        starts_at: notice.since.rfc3339(),
        ends_at: if is_over {
            notice.at.rfc3339()
        } else {
            NO_END.to_owned()
        },
        generator_url: page.to_owned(),
        fingerprint: fingerprint(&notice.key),
    }
}

fn labels(notice: &Notice) -> Texts {
    let name = match (notice.incident, notice.reason.is_own()) {
        (Some(_), _) => "VigieIncident",
        (None, true) => "VigieBlind",
        (None, false) => "VigieTest",
    };
    let mut labels = Texts::from([("alertname", name.to_owned()), ("key", notice.key.clone())]);
    if let Some(incident) = notice.incident {
        labels.insert("incident", incident.to_string());
    }
    labels
}

fn annotations(notice: &Notice) -> Texts {
    let mut annotations = Texts::from([
        ("summary", format!("{} : {}", notice.subject, notice.words)),
        ("subject", notice.subject.clone()),
        ("state", notice.word.as_str().to_owned()),
        ("reason", notice.reason.as_str().to_owned()),
    ]);
    if !notice.hit.is_empty() {
        annotations.insert("hit", notice.hit.join("; "));
    }
    if let Some(deadline) = &notice.deadline {
        let text = format!("{} {}", deadline.indicator, deadline.at.rfc3339());
        annotations.insert("deadline", text);
    }
    annotations
}

/// What all of them have alike.
fn common<'t>(mut all: impl Iterator<Item = &'t Texts>) -> Texts {
    let first = all.next().cloned().unwrap_or_default();
    all.fold(first, |mut common, texts| {
        common.retain(|name, text| texts.get(name) == Some(text));
        common
    })
}

/// 16 hexadecimal digits, as theirs have, by which receivers join alarm and end.
fn fingerprint(key: &str) -> String {
    let digest = Sha256::digest(key.as_bytes());
    digest.iter().take(8).fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::tests::*;
    use super::*;

    fn json(notices: &[Notice]) -> Value {
        serde_json::from_str(&body(&outgoing(notices))).unwrap()
    }

    #[test]
    fn the_json_is_that_of_version_4() {
        assert_eq!(
            body(&outgoing(&[opened()])),
            r#"{"receiver":"equipe","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"VigieIncident","incident":"7","key":"incident-7"},"annotations":{"deadline":"IC6 2026-11-24T13:58:07.000Z","hit":"119, accueil","reason":"opened","state":"down","subject":"XIVO 1","summary":"XIVO 1 : machine allumée, service arrêté"},"startsAt":"2026-11-24T12:58:07.000Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"https://vigie.example/","fingerprint":"42b7e863641e6e26"}],"groupLabels":{},"commonLabels":{"alertname":"VigieIncident","incident":"7","key":"incident-7"},"commonAnnotations":{"deadline":"IC6 2026-11-24T13:58:07.000Z","hit":"119, accueil","reason":"opened","state":"down","subject":"XIVO 1","summary":"XIVO 1 : machine allumée, service arrêté"},"externalURL":"https://vigie.example/","version":"4","groupKey":"{}/{receiver=\"equipe\"}:{}","truncatedAlerts":0}"#
        );
    }

    #[test]
    fn an_end_has_the_labels_and_the_fingerprint_of_its_alarm() {
        let alarm = json(&[opened()]);
        let end = json(&[restored()]);
        assert_eq!(end["status"], "resolved");
        assert_eq!(end["alerts"][0]["endsAt"], "2026-11-24T13:38:26.000Z");
        for key in ["labels", "fingerprint", "startsAt"] {
            assert_eq!(alarm["alerts"][0][key], end["alerts"][0][key], "{key}");
        }
    }

    #[test]
    fn one_that_fires_makes_the_whole_fire_and_only_what_is_common_is_common() {
        let both = json(&[restored(), degraded()]);
        assert_eq!(both["status"], "firing");
        assert_eq!(
            both["commonLabels"],
            serde_json::json!({"alertname": "VigieIncident"})
        );
        assert_eq!(both["commonAnnotations"], serde_json::json!({}));
    }
}

//! Passive results as NRDP takes them (`cmd=submitcheck`): one service for each thing that can fail.

use serde::Serialize;

use super::{Line, lines};
use crate::alert::outbox::Outgoing;

/// Nagios refuses these in the names of its objects (`illegal_object_name_chars` of its sample configuration).
const ILLEGAL: &str = "`~!$%^&*|'\"<>?,()=";

#[derive(Debug, Serialize)]
struct Body {
    checkresults: Vec<CheckResult>,
}

#[derive(Debug, Serialize)]
struct CheckResult {
    checkresult: Attributes,
    hostname: String,
    servicename: String,
    /// 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
    state: String,
    output: String,
}

#[derive(Debug, Serialize)]
struct Attributes {
    r#type: &'static str,
    /// Passive.
    checktype: &'static str,
}

/// The `JSONDATA` of the form; `host` is the `host_name` of the services.
#[must_use]
pub fn body(outgoing: &Outgoing, host: &str) -> String {
    let body = Body {
        checkresults: lines(&outgoing.notices)
            .iter()
            .map(|line| result(line, host))
            .collect(),
    };
    serde_json::to_string(&body).expect("texts always print")
}

fn result(line: &Line<'_>, host: &str) -> CheckResult {
    let notice = line.last;
    let incident = notice
        .incident
        .map_or_else(String::new, |incident| format!(" (incident {incident})"));
    CheckResult {
        checkresult: Attributes {
            r#type: "service",
            checktype: "1",
        },
        hostname: host.to_owned(),
        servicename: name_of(&notice.subject),
        state: notice.word.exit_code().to_string(),
        // What follows a bar is figures, and a new line ends the result.
        output: format!(
            "{}: {}{incident}",
            notice.word,
            notice
                .words
                .replace('|', "/")
                .replace(|c: char| c.is_control(), " ")
        ),
    }
}

/// The `service_description` that a thing of this name has.
#[must_use]
pub fn name_of(subject: &str) -> String {
    let name: String = subject
        .chars()
        .filter(|c| !ILLEGAL.contains(*c) && !c.is_control())
        .collect();
    name.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::tests::*;
    use super::*;
    use crate::alert::notice::Notice;

    #[test]
    fn an_alarm_is_critical_and_its_end_is_ok_under_the_same_name() {
        assert_eq!(
            body(&outgoing(&[opened()]), "centre-119"),
            r#"{"checkresults":[{"checkresult":{"type":"service","checktype":"1"},"hostname":"centre-119","servicename":"XIVO 1","state":"2","output":"down: machine allumée, service arrêté (incident 7)"}]}"#
        );
        assert_eq!(
            body(&outgoing(&[restored()]), "centre-119"),
            r#"{"checkresults":[{"checkresult":{"type":"service","checktype":"1"},"hostname":"centre-119","servicename":"XIVO 1","state":"0","output":"good: répond de nouveau (incident 7)"}]}"#
        );
    }

    #[test]
    fn no_name_or_text_breaks_the_result() {
        let hostile = Notice {
            subject: "a|b<c>\n".to_owned(),
            words: "x|y\nz".to_owned(),
            ..opened()
        };
        let text = body(&outgoing(&[hostile]), "h");
        assert!(text.contains(r#""servicename":"abc""#), "{text}");
        assert!(text.contains("down: x/y z (incident 7)"), "{text}");
    }
}

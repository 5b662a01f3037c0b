//! The `dns` probe: one question to one given server, and the answer expected from it.
//!
//! It asks that very server, never the resolver of this machine. `io::prober::dns` asks.

use std::net::SocketAddr;
use std::time::Duration;

use super::socket::SocketFault;
use super::{Blame, Failure, Verdict};

/// What to ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub server: SocketAddr,
    /// `example.org`, `_ldap._tcp.dc._msdcs.example.org`; for PTR the reversed name.
    pub name: String,
    pub record: Record,
    /// Each of these must be among the answers, written as a zone file writes it (`192.0.2.7`,
    /// `10 mail.example.org.`). Empty: any answer of this type is good.
    pub expect: Vec<String>,
}

/// The type of record asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    A,
    Aaaa,
    Cname,
    Mx,
    Ns,
    Ptr,
    Soa,
    Srv,
    Txt,
}

impl Record {
    pub const ALL: [Self; 9] = [
        Self::A,
        Self::Aaaa,
        Self::Cname,
        Self::Mx,
        Self::Ns,
        Self::Ptr,
        Self::Soa,
        Self::Srv,
        Self::Txt,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Mx => "MX",
            Self::Ns => "NS",
            Self::Ptr => "PTR",
            Self::Soa => "SOA",
            Self::Srv => "SRV",
            Self::Txt => "TXT",
        }
    }
}

impl Settings {
    #[must_use]
    pub fn new(server: SocketAddr, name: impl Into<String>, record: Record) -> Self {
        Self {
            server,
            name: name.into(),
            record,
            expect: Vec::new(),
        }
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Answered {
        after: Duration,
        code: Code,
        /// Records of the type asked for, as a zone file writes them.
        records: Vec<String>,
    },
    /// Bytes that are no DNS answer to our question.
    Garbage {
        words: String,
    },
    /// The name in the settings is none; nothing was sent.
    BadName {
        words: String,
    },
    Failed {
        fault: SocketFault,
        after: Duration,
    },
}

/// The response code (RFC 1035 §4.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    NoError,
    /// The name does not exist.
    NxDomain,
    /// The server itself failed, refuses us, or anything else, in its own word: `SERVFAIL`.
    Other(String),
}

/// Judges what came back.
#[must_use]
pub fn judge(settings: &Settings, seen: &Seen) -> Verdict {
    let question = format!("{} {}", settings.record.as_str(), settings.name);
    let server = settings.server;
    match seen {
        Seen::Failed { fault, after } => Verdict::down(fault.failure(&server.to_string(), *after)),
        Seen::BadName { words } => Verdict::blind(
            "bad_name",
            format!(
                "{question}: not a name that can be asked for ({words}); mend the configuration"
            ),
        ),
        Seen::Garbage { words } => Verdict::down(Failure::new(
            Blame::Misbehaved,
            "malformed_answer",
            format!("{server} answered {question} with something that is no DNS answer: {words}"),
        )),
        Seen::Answered {
            after,
            code,
            records,
        } => {
            let verdict = match code {
                Code::NoError => judge_records(settings, &question, records, *after),
                Code::NxDomain => Verdict::down(Failure::new(
                    Blame::Misbehaved,
                    "nxdomain",
                    format!(
                        "{server} says that {} does not exist: the zone is not loaded, or the record is gone",
                        settings.name
                    ),
                )),
                Code::Other(word) => Verdict::down(Failure::new(
                    Blame::Refused,
                    "dns_error",
                    format!("{server} answered {question} with {word}"),
                )),
            };
            verdict
                .with_took(*after)
                .measuring("answer_ms", after.as_secs_f64() * 1000.0)
        }
    }
}

fn judge_records(
    settings: &Settings,
    question: &str,
    records: &[String],
    after: Duration,
) -> Verdict {
    if records.is_empty() {
        return Verdict::down(Failure::new(
            Blame::Misbehaved,
            "no_records",
            format!(
                "{} knows the name but has no record {question}",
                settings.server
            ),
        ));
    }
    let missing: Vec<&str> = settings
        .expect
        .iter()
        .filter(|wanted| !records.iter().any(|record| same(record, wanted)))
        .map(String::as_str)
        .collect();
    if missing.is_empty() {
        return Verdict::good(after);
    }
    let shown = records.get(..5).unwrap_or(records);
    Verdict::down(Failure::new(
        Blame::Misbehaved,
        "wrong_answer",
        format!(
            "{} answered {question} with {}, without {}",
            settings.server,
            shown.join(", "),
            missing.join(", ")
        ),
    ))
}

/// Names compare without case and without the final dot (RFC 4343).
fn same(record: &str, wanted: &str) -> bool {
    record
        .trim_end_matches('.')
        .eq_ignore_ascii_case(wanted.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Word;

    #[test]
    fn the_table_of_answers() {
        let answered = |code, records: &[&str]| Seen::Answered {
            after: Duration::from_millis(3),
            code,
            records: records.iter().map(|&r| r.to_owned()).collect(),
        };
        for (expect, seen, word, code) in [
            (
                vec![],
                answered(Code::NoError, &["127.0.0.7"]),
                Word::Good,
                "",
            ),
            (
                vec!["127.0.0.7"],
                answered(Code::NoError, &["127.0.0.8", "127.0.0.7"]),
                Word::Good,
                "",
            ),
            (
                vec!["10 MAIL.example.org"],
                answered(Code::NoError, &["10 mail.example.org."]),
                Word::Good,
                "",
            ),
            (
                vec!["127.0.0.9"],
                answered(Code::NoError, &["127.0.0.7"]),
                Word::Down,
                "wrong_answer",
            ),
            (
                vec![],
                answered(Code::NoError, &[]),
                Word::Down,
                "no_records",
            ),
            (
                vec![],
                answered(Code::NxDomain, &[]),
                Word::Down,
                "nxdomain",
            ),
            (
                vec![],
                answered(Code::Other("SERVFAIL".into()), &[]),
                Word::Down,
                "dns_error",
            ),
            (
                vec![],
                Seen::Garbage {
                    words: "short".into(),
                },
                Word::Down,
                "malformed_answer",
            ),
            (
                vec![],
                Seen::BadName {
                    words: "label too long".into(),
                },
                Word::Blind,
                "bad_name",
            ),
            (
                vec![],
                Seen::Failed {
                    fault: SocketFault::TimedOut,
                    after: Duration::from_secs(2),
                },
                Word::Down,
                "no_answer",
            ),
            (
                vec![],
                Seen::Failed {
                    fault: SocketFault::Ours {
                        words: String::new(),
                    },
                    after: Duration::ZERO,
                },
                Word::Blind,
                "no_socket",
            ),
        ] {
            let settings = Settings {
                expect: expect.iter().map(|&e| e.to_owned()).collect(),
                ..Settings::new(
                    SocketAddr::from(([127, 0, 0, 1], 53)),
                    "example.org",
                    Record::A,
                )
            };
            let verdict = judge(&settings, &seen);
            let found = verdict.failure.as_ref().map_or("", |f| f.code.as_ref());
            assert_eq!((verdict.word, found), (word, code), "{expect:?} {seen:?}");
        }
    }
}

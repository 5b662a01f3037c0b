//! People: what one of them does about what he sees, from a number and the book of incidents. Some of it is absurd.
//!
//! It says of each act whether it has to be refused, by its own knowledge of people; it asks no rule of the product.

use std::time::Duration;

use crate::health::standing::Subject;
use crate::id::TargetId;
use crate::incident::IncidentId;
use crate::incident::act::{Act, Audience, Excluded, Phase, What};
use crate::incident::book::{Book, Incident, State};
use crate::probe::Word;
use crate::time::Utc;

/// Who may act; the second spelling is the same person.
const PEOPLE: [(&str, &str); 3] = [
    ("Léa Durand", "léa durand"),
    ("Karim Benali", "KARIM  BENALI"),
    ("Odile Roche", " Odile roche"),
];

/// Incidents that somebody still speaks of.
const REMEMBERED: usize = 6;

/// One act, and whether it makes sense.
#[derive(Clone, Debug)]
pub(super) struct Deed {
    pub(super) act: Act,
    pub(super) must_be_refused: bool,
}

/// What is done by the person that this number stands for.
pub(super) fn deed(choice: u64, now: Utc, book: &Book, watched: &[Subject]) -> Deed {
    let mut person = Person {
        chance: fastrand::Rng::with_seed(choice),
        now,
        book,
        watched,
    };
    person.acts()
}

struct Person<'b> {
    chance: fastrand::Rng,
    now: Utc,
    book: &'b Book,
    watched: &'b [Subject],
}

impl Person<'_> {
    fn acts(&mut self) -> Deed {
        match self.chance.u8(..24) {
            0..3 => self.about_one(|incident, _| What::Acknowledge { incident }),
            3 => self.about_one(|incident, _| What::Comment {
                incident,
                text: "vu, on regarde".into(),
            }),
            4 => self.about_one(|incident, _| What::Cause {
                incident,
                text: "une carte réseau".into(),
            }),
            5 => self.about_one(|incident, _| What::Attach {
                incident,
                name: "cdr.csv".into(),
                sha256: "ab".repeat(32),
            }),
            6 => self.about_one(|incident, now| What::Declare {
                incident,
                at: now - Duration::from_secs(240),
                text: "appel de la plateforme".into(),
            }),
            7 => self.about_one(|incident, _| What::Publish {
                incident,
                phase: Phase::Identified,
                text: String::new(),
            }),
            8 => self.about_one(|incident, _| What::Show {
                incident,
                audience: Audience::Customer,
            }),
            9 | 10 => self.merges(),
            11 | 12 => self.splits(),
            13..16 => self.works(),
            16 | 17 => self.proposes(),
            18..21 => self.agrees(),
            _ => self.blunders(),
        }
    }

    fn by_anybody(&mut self, what: What, must_be_refused: bool) -> Deed {
        let (author, _) = PEOPLE[self.chance.usize(..PEOPLE.len())];
        Deed {
            act: Act {
                author: author.into(),
                what,
            },
            must_be_refused,
        }
    }

    fn incident(&mut self) -> Option<Incident> {
        let recent: Vec<&Incident> = self.book.incidents().rev().take(REMEMBERED).collect();
        let one = (!recent.is_empty()).then(|| self.chance.usize(..recent.len()))?;
        Some(recent[one].clone())
    }

    fn about_one(&mut self, what: fn(IncidentId, Utc) -> What) -> Deed {
        let incident = self.incident();
        // Nobody speaks of an incident that does not exist, or is part of another.
        let is_absurd = incident
            .as_ref()
            .is_none_or(|one| one.merged_into.is_some());
        let id = incident.map_or(IncidentId(1), |one| one.id);
        let what = what(id, self.now);
        self.by_anybody(what, is_absurd)
    }

    fn merges(&mut self) -> Deed {
        let (Some(one), Some(into)) = (self.incident(), self.incident()) else {
            return self.blunders();
        };
        let is_absurd = one.id == into.id
            || one.merged_into.is_some()
            || into.merged_into.is_some()
            || (into.state == State::Closed && one.state != State::Closed);
        let what = What::Merge {
            incident: one.id,
            into: into.id,
        };
        self.by_anybody(what, is_absurd)
    }

    fn splits(&mut self) -> Deed {
        let Some(one) = self.incident() else {
            return self.blunders();
        };
        let subject = self.chance.usize(..one.members.len().max(1));
        let subjects: Vec<Subject> = one.members.keys().skip(subject).take(1).cloned().collect();
        let is_absurd = one.merged_into.is_some() || one.members.len() < 2;
        // Nobody splits off what is not watched any more: it has no name.
        let is_gone = subjects.iter().any(|one| !self.watched.contains(one));
        let what = What::Split {
            incident: one.id,
            subjects,
        };
        self.by_anybody(what, is_absurd || is_gone)
    }

    fn works(&mut self) -> Deed {
        let mut subjects: Vec<Subject> = (0..self.chance.usize(1..4))
            .map(|_| self.watched[self.chance.usize(..self.watched.len())].clone())
            .collect();
        // Often on what is planned to fail; now and then on what fails already.
        if self.chance.bool()
            && let Some(incident) = self.book.current().next()
        {
            subjects = incident.members.keys().cloned().collect();
            subjects.retain(|subject| self.watched.contains(subject));
        }
        // A move of the whole site.
        if self.chance.u8(..4) == 0 {
            subjects = self.watched.to_vec();
        }
        let is_absurd = subjects.is_empty();
        let later = Duration::from_secs(self.chance.u64(..1_800));
        let lasting = Duration::from_secs(self.chance.u64(60..3_600));
        let from = if self.chance.bool() {
            self.now - later
        } else {
            self.now + later
        };
        let what = What::Maintain {
            subjects,
            from,
            until: self.now + later + lasting,
            text: "mise à jour".into(),
        };
        self.by_anybody(what, is_absurd)
    }

    /// Some of what an outage lasted is not to count, or was not one.
    fn proposes(&mut self) -> Deed {
        let Some(one) = self.incident() else {
            return self.blunders();
        };
        let number = self.chance.usize(..one.members.len().max(1));
        let Some((subject, spans)) = one.members.iter().nth(number) else {
            return self.blunders();
        };
        let (Some(first), subject) = (spans.first(), subject.clone()) else {
            return self.blunders();
        };
        let from = first.start.at + Duration::from_secs(self.chance.u64(..60));
        let until = from + Duration::from_secs(self.chance.u64(1..2_400));
        let is_gone = !self.watched.contains(&subject);
        let what = if self.chance.bool() {
            What::Exclude {
                subject,
                from,
                until,
                reason: Excluded::Operator,
                text: "ticket de l’opérateur".into(),
                sha256: "cd".repeat(32),
            }
        } else {
            What::Correct {
                subject,
                from,
                until,
                word: Word::Good,
                text: "la sonde était débranchée".into(),
            }
        };
        self.by_anybody(what, is_gone)
    }

    /// A second person agrees or does not; the first one may not.
    fn agrees(&mut self) -> Deed {
        let waiting: Vec<(u64, String)> = self
            .book
            .waiting()
            .map(|(fact, proposal)| (fact, proposal.act.author.clone()))
            .collect();
        let Some((fact, author)) = waiting.last().cloned() else {
            return self.by_anybody(What::Approve { fact: 7 }, true);
        };
        let number = self.chance.usize(..PEOPLE.len());
        let (name, again) = PEOPLE[number];
        let is_author = name == author;
        let what = if self.chance.u8(..4) == 0 {
            What::Reject {
                fact,
                text: "ce n’est pas prouvé".into(),
            }
        } else {
            What::Approve { fact }
        };
        let must_be_refused = is_author && matches!(what, What::Approve { .. });
        Deed {
            act: Act {
                author: if is_author { again } else { name }.into(),
                what,
            },
            must_be_refused,
        }
    }

    fn blunders(&mut self) -> Deed {
        let unknown = IncidentId(987_654);
        let nobody = Subject::Target(TargetId::from("telecopieur"));
        let known = self.watched[0].clone();
        let (author, what) = match self.chance.u8(..7) {
            0 => ("Léa Durand", What::Acknowledge { incident: unknown }),
            1 => (
                "Karim Benali",
                What::Comment {
                    incident: unknown,
                    text: "?".into(),
                },
            ),
            2 => (
                "Odile Roche",
                What::Maintain {
                    subjects: vec![nobody],
                    from: self.now,
                    until: self.now + Duration::from_secs(600),
                    text: "travaux".into(),
                },
            ),
            3 => (
                "Odile Roche",
                What::Maintain {
                    subjects: vec![known],
                    from: self.now,
                    until: self.now - Duration::from_secs(600),
                    text: "travaux".into(),
                },
            ),
            4 => (
                "  ",
                What::Correct {
                    subject: known,
                    from: self.now - Duration::from_secs(600),
                    until: self.now,
                    word: Word::Good,
                    text: "par personne".into(),
                },
            ),
            5 => (
                "Karim Benali",
                What::Exclude {
                    subject: known,
                    from: self.now - Duration::from_secs(600),
                    until: self.now,
                    reason: Excluded::ForceMajeure,
                    text: "sans preuve".into(),
                    sha256: "contrat.pdf".into(),
                },
            ),
            _ => (
                "Léa Durand",
                What::Merge {
                    incident: IncidentId(1),
                    into: IncidentId(1),
                },
            ),
        };
        Deed {
            act: Act {
                author: author.into(),
                what,
            },
            must_be_refused: true,
        }
    }
}

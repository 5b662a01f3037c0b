//! A mail in French, in plain text: what is down and since when stands in the subject, for whoever reads it on the
//! lock screen of a telephone.

use super::{Line, lines};
use crate::alert::notice::Reason;
use crate::alert::outbox::Outgoing;
use crate::board::words_fr::{hour, lasting};
use crate::probe::Word;
use crate::time::Utc;

/// More names than this make a subject that no telephone shows.
const NAMES_IN_SUBJECT: usize = 3;

/// What a mail says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    pub subject: String,
    pub body: String,
}

#[must_use]
pub fn text(outgoing: &Outgoing) -> Text {
    let lines = lines(&outgoing.notices);
    Text {
        subject: subject(&lines),
        body: body(&lines, outgoing),
    }
}

fn subject(lines: &[Line<'_>]) -> String {
    if let [line] = lines {
        return format!("[vigie] {}", headline(line));
    }
    // What is down now comes before what is over.
    let count = lines
        .iter()
        .filter(|line| !line.last.reason.is_end())
        .count();
    let over = lines.len() - count;
    let plural = |count: usize| if count > 1 { "s" } else { "" };
    let alerts = format!("{count} alerte{}", plural(count));
    let ends = format!("{over} fin{}", plural(over));
    let counted = match (count, over) {
        (0, _) => ends,
        (_, 0) => alerts,
        (_, _) => format!("{alerts}, {ends}"),
    };
    let open = lines.iter().filter(|line| !line.last.reason.is_end());
    let ended = lines.iter().filter(|line| line.last.reason.is_end());
    let names: Vec<&str> = open
        .chain(ended)
        .map(|line| line.last.subject.as_str())
        .collect();
    let more = if names.len() > NAMES_IN_SUBJECT {
        "…"
    } else {
        ""
    };
    let named = names
        .iter()
        .take(NAMES_IN_SUBJECT)
        .copied()
        .collect::<Vec<_>>();
    one_line(&format!("[vigie] {counted} : {}{more}", named.join(", ")))
}

/// `EN PANNE : XIVO 1 (incident 7)`.
fn headline(line: &Line<'_>) -> String {
    let notice = line.last;
    let mut text = format!("{} : {}", what(notice.reason, notice.word), notice.subject);
    if notice.reason.is_end() {
        text.push_str(&format!(
            ", après {}",
            lasting(notice.at.since(notice.since))
        ));
    }
    if let Some(incident) = notice.incident {
        text.push_str(&format!(" (incident {incident})"));
    }
    one_line(&text)
}

const fn what(reason: Reason, word: Word) -> &'static str {
    match (reason, word) {
        (Reason::Opened, Word::Degraded) => "DÉGRADÉ",
        (Reason::Opened, Word::Good | Word::Down) => "EN PANNE",
        (Reason::Opened, Word::Blind) => "INCONNU",
        (Reason::Worse, _) => "AGGRAVÉ",
        (Reason::Relapsed, _) => "RECHUTE",
        (Reason::Restored, _) => "RÉTABLI",
        (Reason::Merged, _) => "RÉUNI À UN AUTRE INCIDENT",
        (Reason::Dropped, _) => "SUIVI TERMINÉ",
        (Reason::Reminder, Word::Degraded) => "TOUJOURS DÉGRADÉ",
        (Reason::Reminder, Word::Good | Word::Down) => "TOUJOURS EN PANNE",
        (Reason::Reminder, Word::Blind) => "TOUJOURS INCONNU",
        (Reason::AtRisk, _) => "ÉCHÉANCE PROCHE",
        (Reason::Breach, _) => "ÉCHÉANCE DÉPASSÉE",
        (Reason::OwnFault, _) => "SURVEILLANCE AVEUGLE",
        (Reason::OwnFaultOver, _) => "SURVEILLANCE DE RETOUR",
        (Reason::Test, _) => "ESSAI",
    }
}

fn body(lines: &[Line<'_>], outgoing: &Outgoing) -> String {
    let now = outgoing.queued;
    let mut parts: Vec<String> = lines.iter().map(|line| paragraph(line, now)).collect();
    let mut end = "-- \nvigie, surveillance de la téléphonie. Heures de Paris.".to_owned();
    if let Some(page) = &outgoing.channel.page {
        end.push_str(&format!("\nÉtat en direct : {page}"));
    }
    parts.push(end);
    let mut text = parts.join("\n\n");
    text.push('\n');
    text
}

fn paragraph(line: &Line<'_>, now: Utc) -> String {
    let notice = line.last;
    let mut rows = vec![headline(line)];
    match notice.reason {
        Reason::Restored | Reason::OwnFaultOver => {
            rows.push(format!(
                "  De {} à {}",
                hour(notice.since, now),
                hour(notice.at, now)
            ));
            if line.is_whole() {
                rows.push(format!("  Ce qui avait été vu : {}", line.first.words));
            }
        }
        Reason::Opened
        | Reason::Worse
        | Reason::Relapsed
        | Reason::Reminder
        | Reason::AtRisk
        | Reason::Breach
        | Reason::Merged
        | Reason::Dropped
        | Reason::OwnFault => rows.push(format!(
            "  Depuis {} ({})",
            hour(notice.since, now),
            lasting(now.since(notice.since))
        )),
        Reason::Test => {}
    }
    rows.push(format!("  Vu : {}", notice.words));
    if !notice.hit.is_empty() {
        rows.push(format!("  Touchés : {}", notice.hit.join(" ; ")));
    }
    if let Some(deadline) = &notice.deadline {
        let left = if now < deadline.at {
            format!("reste {}", lasting(deadline.at.since(now)))
        } else {
            format!("dépassée de {}", lasting(now.since(deadline.at)))
        };
        rows.push(format!(
            "  Échéance {} : {}, {left}",
            deadline.indicator,
            hour(deadline.at, now)
        ));
    }
    rows.iter()
        .map(|row| one_line(row))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Texts of far ends stand in these lines: none of them may begin a new one.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::*;
    use super::*;
    use crate::alert::notice::Notice;

    #[test]
    fn an_alarm_says_since_when_who_is_hit_and_what_time_is_left() {
        let mail = text(&outgoing(&[opened()]));
        assert_eq!(mail.subject, "[vigie] EN PANNE : XIVO 1 (incident 7)");
        assert_eq!(
            mail.body,
            "EN PANNE : XIVO 1 (incident 7)\n  Depuis 13:58:07 (13\u{a0}s)\n  \
             Vu : machine allumée, service arrêté\n  Touchés : 119, accueil\n  \
             Échéance IC6 : 14:58:07, reste 59\u{a0}min\n\n\
             -- \nvigie, surveillance de la téléphonie. Heures de Paris.\n\
             État en direct : https://vigie.example/\n"
        );
    }

    #[test]
    fn a_recovery_says_how_long_it_lasted() {
        let mail = text(&outgoing(&[restored()]));
        assert_eq!(
            mail.subject,
            "[vigie] RÉTABLI : XIVO 1, après 40\u{a0}min (incident 7)"
        );
        assert!(
            mail.body.contains("  De 13:58:07 à 14:38:26\n"),
            "{}",
            mail.body
        );
    }

    #[test]
    fn what_was_held_and_recovered_is_one_paragraph() {
        let mail = text(&outgoing(&[opened(), restored()]));
        assert_eq!(
            mail.body.split("\n\n").next(),
            Some(
                "RÉTABLI : XIVO 1, après 40\u{a0}min (incident 7)\n  De 13:58:07 à 14:38:26\n  \
                 Ce qui avait été vu : machine allumée, service arrêté\n  Vu : répond de nouveau"
            )
        );
    }

    #[test]
    fn a_digest_counts_and_names_what_is_down_first() {
        let mail = text(&outgoing(&[restored(), degraded()]));
        assert_eq!(
            mail.subject,
            "[vigie] 1 alerte, 1 fin : Passerelle Patton, XIVO 1"
        );
    }

    #[test]
    fn no_text_of_a_far_end_writes_a_header_or_a_row_of_its_own() {
        let hostile = Notice {
            subject: "x\r\nBcc: a@b".to_owned(),
            words: "a\nb\u{1b}[2J".to_owned(),
            ..opened()
        };
        let mail = text(&outgoing(&[hostile]));
        assert!(!mail.subject.chars().any(char::is_control));
        assert!(mail.body.contains("Vu : a b [2J\n"), "{}", mail.body);
    }
}

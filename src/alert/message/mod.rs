//! The messages of each kind of channel, as text. The shapes are a promise (`docs/alerts.md`): keys are added to,
//! never changed. No message holds a secret or anything of a caller.

pub mod alertmanager;
pub mod mail;
pub mod nagios;
pub mod webhook;

use super::notice::Notice;

/// All that a message tells of one key: what was held or failed and came back meanwhile is one line.
#[derive(Clone, Copy, Debug)]
struct Line<'n> {
    /// The newest notice: how it is now.
    last: &'n Notice,
    /// The oldest, when there is more than one.
    first: &'n Notice,
}

/// In the order in which the keys were first told.
fn lines(notices: &[Notice]) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for notice in notices {
        match lines.iter_mut().find(|line| line.last.key == notice.key) {
            Some(line) => line.last = notice,
            None => lines.push(Line {
                last: notice,
                first: notice,
            }),
        }
    }
    lines
}

impl Line<'_> {
    /// It began and ended before anybody could be told.
    fn is_whole(&self) -> bool {
        self.last.reason.is_end() && self.first.reason.is_alarm()
    }
}

#[cfg(test)]
pub(in crate::alert) mod tests {
    use super::*;
    use crate::alert::notice::{Deadline, Reason};
    use crate::alert::outbox::Outgoing;
    use crate::alert::settings::{Channel, DIGEST, Filter, Kind, Nagios, TIMEOUT};
    use crate::incident::IncidentId;
    use crate::probe::Word;
    use crate::secret::SecretRef;
    use crate::time::Utc;

    /// 24 November 2026, 13:58:07 in Paris.
    pub(in crate::alert) const START: Utc = Utc(1_795_525_087_000_000_000);

    pub(in crate::alert) fn after(seconds: u64) -> Utc {
        START + std::time::Duration::from_secs(seconds)
    }

    pub(in crate::alert) fn channel(name: &str) -> Channel {
        Channel {
            name: name.to_owned(),
            // Rendering looks at the notices alone, whatever the kind.
            kind: Kind::Nagios(Nagios {
                url: "https://nagios.example/nrdp/".to_owned(),
                token: SecretRef::Env("TOKEN".to_owned()),
                host: "centre-119".to_owned(),
            }),
            filter: Filter::default(),
            reminder: None,
            digest: DIGEST,
            timeout: TIMEOUT,
            page: Some("https://vigie.example/".to_owned()),
        }
    }

    pub(in crate::alert) fn opened() -> Notice {
        Notice {
            groups: vec!["Téléphonie".to_owned()],
            hit: vec!["119, accueil".to_owned()],
            deadline: Some(Deadline {
                indicator: "IC6".to_owned(),
                at: after(3600),
            }),
            ..Notice::of_incident(
                IncidentId(7),
                Reason::Opened,
                1234,
                "XIVO 1",
                (Word::Down, "machine allumée, service arrêté".to_owned()),
                (START, after(8)),
            )
        }
    }

    pub(in crate::alert) fn restored() -> Notice {
        Notice::of_incident(
            IncidentId(7),
            Reason::Restored,
            1301,
            "XIVO 1",
            (Word::Good, "répond de nouveau".to_owned()),
            (START, after(2419)),
        )
    }

    pub(in crate::alert) fn degraded() -> Notice {
        Notice::of_incident(
            IncidentId(8),
            Reason::Opened,
            1240,
            "Passerelle Patton",
            (Word::Degraded, "le son est haché".to_owned()),
            (after(4), after(10)),
        )
    }

    pub(in crate::alert) fn outgoing(notices: &[Notice]) -> Outgoing {
        Outgoing {
            id: 12,
            channel: channel("equipe"),
            notices: notices.to_vec(),
            queued: after(13),
            tries: 0,
        }
    }

    #[test]
    fn what_is_told_of_one_key_is_one_line() {
        let notices = [opened(), degraded(), restored()];
        let lines = lines(&notices);
        let told: Vec<_> = lines
            .iter()
            .map(|line| (line.last.key.as_str(), line.last.reason, line.is_whole()))
            .collect();
        assert_eq!(
            told,
            [
                ("incident-7", Reason::Restored, true),
                ("incident-8", Reason::Opened, false),
            ]
        );
    }
}

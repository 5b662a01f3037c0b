//! The French of the supervisor's page: words, hours, durations, what is wrong. Customers read these;
//! engineers read the English of `Failure`. The page lives in Paris time, whatever the server's zone is.

use std::collections::BTreeMap;
use std::time::Duration;

use super::view::{Answer, TargetView};
use crate::health::{SEEN_FROM_SOME_PLACES, SERVED_BY_BACKUP};
use crate::id::VantageId;
use crate::probe::icmp::Expect;
use crate::probe::{Blame, Failure, UNUSUAL, Word};
use crate::time::{Utc, paris};

impl Answer {
    /// *Peut-on prendre des appels ?*, readable at four metres.
    #[must_use]
    pub const fn word_fr(self) -> &'static str {
        match self {
            Self::Yes => "OUI",
            Self::Partly => "PARTIELLEMENT",
            Self::No => "NON",
            Self::Unknown => "ON NE SAIT PAS",
        }
    }

    /// The state class that colours and shapes the answer.
    #[must_use]
    pub const fn word(self) -> Word {
        match self {
            Self::Yes => Word::Good,
            Self::Partly => Word::Degraded,
            Self::No => Word::Down,
            Self::Unknown => Word::Blind,
        }
    }
}

impl Word {
    #[must_use]
    pub const fn word_fr(self) -> &'static str {
        match self {
            Self::Good => "en service",
            Self::Degraded => "dégradé",
            Self::Down => "en panne",
            Self::Blind => "inconnu",
        }
    }

    /// A shape beside the word, so that no state is told by colour alone (RGAA 3.1).
    #[must_use]
    pub const fn shape(self) -> &'static str {
        match self {
            Self::Good => "●",
            Self::Degraded => "▲",
            Self::Down => "■",
            Self::Blind => "?",
        }
    }
}

/// How much of the lines is out: `partielle : 1 ligne sur 3`.
#[must_use]
pub fn extent(is_total: bool, down: u32, of: u32) -> String {
    let word = if is_total { "totale" } else { "partielle" };
    let lines = if down > 1 { "lignes" } else { "ligne" };
    format!("{word} : {down} {lines} sur {of}")
}

impl TargetView {
    /// Its state in a word. What is off on purpose is good when it is silent, and *not* in service.
    #[must_use]
    pub fn word_fr(&self) -> &'static str {
        match (self.state, self.expect) {
            (Word::Good, Expect::Silent) if self.label == "PROJET" => "pas encore là",
            (Word::Good, Expect::Silent) => "éteint, comme prévu",
            (Word::Good, Expect::Answer) | (Word::Degraded | Word::Down | Word::Blind, _) => {
                self.state.word_fr()
            }
        }
    }
}

impl Failure {
    /// What a supervisor has to know of it, in a few words. What only an engineer can use is in `words`.
    #[must_use]
    pub fn words_fr(&self) -> String {
        if let Some(metric) = self.code.strip_prefix(UNUSUAL) {
            return unusual_fr(metric).to_owned();
        }
        if let Some(heard) = heard_fr(&self.code) {
            return heard.to_owned();
        }
        let known = match self.code.as_ref() {
            SERVED_BY_BACKUP => "appels pris par le secours",
            SEEN_FROM_SOME_PLACES => "vu en panne d’un seul côté : c’est ce côté qui est suspect",
            "port_closed" | "connection_refused" => "machine allumée, service arrêté",
            "unreachable" => "injoignable par le réseau",
            "no_final_answer" => "sonne sans que personne décroche",
            "goodbye_unanswered" => "ne répond plus à la fin de l’appel",
            "emergency_redirect" => "renvoie les appels vers un numéro d’urgence",
            "no_signature" | "wrong_signature" => "un autre équipement que prévu décroche",
            "hung_up_early" => "raccroche trop tôt",
            "packet_loss" => "des paquets se perdent",
            "sip_404" | "sip_484" => "numéro refusé comme inconnu",
            "sip_486" | "sip_600" => "occupé",
            "sip_503" => "ne prend plus de nouveaux appels",
            "wrong_password" | "sip_401" | "sip_403" | "sip_407" => {
                "refuse le compte de surveillance"
            }
            "some_silent" => "une partie ne répond pas",
            "switched_on" => "allumé alors qu’il devrait être éteint",
            "certificate_expired" => "certificat expiré",
            "certificate_ends_soon" => "certificat bientôt expiré",
            "certificate_refused" | "tls" | "tls_failed" => "certificat refusé",
            "certificate_dates" => "certificat expiré ou pas encore valable",
            "bad_redirect" | "too_many_redirects" => "renvoie vers une page qui n’existe pas",
            "dns_no_such_name" => "son nom n’existe plus",
            "plugin_critical" | "plugin_warning" => "un contrôle donne l’alerte",
            "no_sign_of_life" => "ne donne plus signe de vie",
            "no_beat_yet" => "aucun signe de vie attendu pour l’instant",
            "beat_failed" => "signale son propre échec",
            "beat_degraded" => "signale un fonctionnement dégradé",
            "overloaded" | "own_overload" | "woken_late" | "probe_stuck" | "media_late" => {
                "la machine de la surveillance est trop lente"
            }
            "store_full" => "le disque du journal est plein",
            code if code.starts_with("store_") => "le journal ne peut plus être écrit",
            _ => match self.blame {
                Blame::Refused => "refuse ce qu’on lui demande",
                Blame::Misbehaved => "répond de travers",
                Blame::Silent => "ne répond pas",
                Blame::Ours => "la surveillance ne peut pas voir",
            },
        };
        match self.code.strip_prefix("sip_") {
            Some(status) => format!("{known} (SIP {status})"),
            None => known.to_owned(),
        }
    }
}

/// What a caller hears of it, for the codes of a call that was answered: those of its sound, those of its
/// announcement, and the keys of the metrics that limits know.
fn heard_fr(code: &str) -> Option<&'static str> {
    Some(match code {
        "no_media" => "décroche, sans aucun son",
        "late_media" => "décroche, le son vient trop tard",
        "media_stopped" => "décroche, puis le son s’arrête",
        "digital_silence" => "décroche, silence total",
        "comfort_noise_only" => "décroche, un souffle et aucune voix",
        "low_level" | "level_low_dbov" => "voix trop faible",
        "level_high_dbov" => "voix trop forte",
        "clip_percent" => "voix saturée",
        "wrong_payload" => "le son vient dans un format que l’appelant ne peut pas entendre",
        "wrong_source" => "le son vient d’un autre équipement que prévu",
        "one_way_audio" => "décroche, le son ne passe que dans un sens",
        "wrong_prompt" => "l’annonce n’est pas la bonne",
        "no_prompt" => "décroche, et aucune annonce",
        "prompt_level" => "l’annonce est bien plus forte ou plus faible que d’habitude",
        "prompt_truncated" => "l’annonce est coupée",
        "prompt_late" => "l’annonce vient trop tard",
        "no_prompt_reference" => "l’annonce de référence attend d’être validée",
        "mos_cq" | "mos_cq_wideband" | "mos_cq_fullband" => "mauvaise qualité de la voix",
        "loss_percent" => "des mots se perdent",
        "loss_run" => "des syllabes manquent",
        "discard_percent" | "pdv_p99_ms" | "jitter_ms" => "son haché",
        "audio_round_trip_ms" => "la voix arrive en retard, on se coupe la parole",
        "greeting_delay_ms" => "décroche, puis un long silence avant l’accueil",
        _ => return None,
    })
}

/// The same for a line that is still good by its limits, and worse than it has been all week.
fn unusual_fr(metric: &str) -> &'static str {
    match metric {
        "level_low_dbov" => "voix plus faible que d’habitude",
        "level_high_dbov" => "voix plus forte que d’habitude",
        "clip_percent" => "voix plus saturée que d’habitude",
        "mos_cq" | "mos_cq_wideband" | "mos_cq_fullband" => {
            "voix de moins bonne qualité que d’habitude"
        }
        "loss_percent" | "loss_run" => "plus de mots se perdent que d’habitude",
        "discard_percent" | "pdv_p99_ms" | "jitter_ms" => "son plus haché que d’habitude",
        "audio_round_trip_ms" => "la voix arrive plus tard que d’habitude",
        "greeting_delay_ms" => "l’accueil vient plus tard que d’habitude",
        _ => "moins bien que d’habitude",
    }
}

/// Who sees it how, where it is watched from several places: `4g : en panne ; salle : en service`.
#[must_use]
pub fn seen_from(places: &BTreeMap<VantageId, Word>) -> String {
    let words = |word: Word| match word {
        Word::Blind => "ne voit pas",
        Word::Good | Word::Degraded | Word::Down => word.word_fr(),
    };
    let places: Vec<String> = places
        .iter()
        .map(|(place, word)| format!("{place} : {}", words(*word)))
        .collect();
    places.join(" ; ")
}

/// How many of a group are in service: `11 sur 12 en service, 2 hors service comme prévu`.
#[must_use]
pub fn in_service(targets: &[&TargetView]) -> String {
    let (silent, wanted): (Vec<&TargetView>, Vec<&TargetView>) = targets
        .iter()
        .partition(|target| target.expect == Expect::Silent);
    let good = |of: &[&TargetView]| of.iter().filter(|one| one.state == Word::Good).count();
    let mut parts = Vec::new();
    if !wanted.is_empty() {
        parts.push(format!("{} sur {} en service", good(&wanted), wanted.len()));
    }
    match good(&silent) {
        0 => {}
        quiet => parts.push(format!("{quiet} hors service comme prévu")),
    }
    parts.join(", ")
}

/// Time of day in Paris: `13:58:07`; with the date when it is not the day of `now`.
#[must_use]
pub fn hour(at: Utc, now: Utc) -> String {
    let (Some(at), Some(now)) = (on_the_wall(at), on_the_wall(now)) else {
        return at.rfc3339();
    };
    if at.date() == now.date() {
        at.strftime("%H:%M:%S").to_string()
    } else {
        at.strftime("%d/%m/%Y %H:%M:%S").to_string()
    }
}

fn on_the_wall(at: Utc) -> Option<jiff::ZonedDateTime> {
    let stamp = jiff::Timestamp::from_nanosecond(i128::from(at.0)).ok()?;
    Some(stamp.to_zoned_datetime(paris()))
}

/// How long ago, in the coarsest units that still say enough: `6 s`, `12 min`, `3 h 05`, `2 j 4 h`.
/// A number is never torn from its unit: the spaces do not break.
#[must_use]
pub fn lasting(duration: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let seconds = duration.as_secs();
    if seconds < MINUTE {
        format!("{seconds}\u{a0}s")
    } else if seconds < HOUR {
        format!("{}\u{a0}min", seconds / MINUTE)
    } else if seconds < DAY {
        format!(
            "{}\u{a0}h\u{a0}{:02}",
            seconds / HOUR,
            seconds % HOUR / MINUTE
        )
    } else {
        format!(
            "{}\u{a0}j\u{a0}{}\u{a0}h",
            seconds / DAY,
            seconds % DAY / HOUR
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-24 12:00:00 UTC.
    const NOON: Utc = Utc(1_795_521_600_000_000_000);

    #[test]
    fn hours_are_those_of_paris_in_winter_and_in_summer() {
        let cases = [
            ("winter, same day", NOON, NOON, "13:00:00"),
            (
                "summer, another day",
                Utc(1_784_289_600_000_000_000),
                NOON,
                "17/07/2026 14:00:00",
            ),
        ];
        for (name, at, now, expected) in cases {
            assert_eq!(hour(at, now), expected, "{name}");
        }
    }

    fn target(label: &str, expect: Expect, state: Word) -> TargetView {
        TargetView {
            id: "a".into(),
            name: "A".into(),
            group: "G".into(),
            description: String::new(),
            label: label.into(),
            support: "N/C".into(),
            hds: false,
            expect,
            state,
            confirmed: true,
            unstable: false,
            since: NOON,
            last_proof: None,
            failure: None,
            because_of: None,
            seen_from: BTreeMap::new(),
            probes: Vec::new(),
        }
    }

    #[test]
    fn what_is_off_on_purpose_is_not_in_service() {
        for (label, expect, state, word) in [
            ("PROD", Expect::Answer, Word::Good, "en service"),
            ("ETEINT", Expect::Silent, Word::Good, "éteint, comme prévu"),
            ("PROJET", Expect::Silent, Word::Good, "pas encore là"),
            ("ETEINT", Expect::Silent, Word::Degraded, "dégradé"),
            ("PROJET", Expect::Silent, Word::Blind, "inconnu"),
            // It has come, and its probe wants an answer already.
            ("PROJET", Expect::Answer, Word::Good, "en service"),
        ] {
            assert_eq!(target(label, expect, state).word_fr(), word, "{label}");
        }
    }

    #[test]
    fn a_group_counts_what_should_be_in_service() {
        let up = target("PROD", Expect::Answer, Word::Good);
        let down = target("PROD", Expect::Answer, Word::Down);
        let off = target("ETEINT", Expect::Silent, Word::Good);
        let started = target("ETEINT", Expect::Silent, Word::Degraded);
        for (group, expected) in [
            (vec![&up, &down], "1 sur 2 en service"),
            (
                vec![&up, &off, &off],
                "1 sur 1 en service, 2 hors service comme prévu",
            ),
            (vec![&up, &started], "1 sur 1 en service"),
            (vec![&off], "1 hors service comme prévu"),
        ] {
            assert_eq!(in_service(&group), expected);
        }
    }

    #[test]
    fn every_failure_has_french_words() {
        let cases = [
            (
                Blame::Refused,
                "sip_503",
                "ne prend plus de nouveaux appels (SIP 503)",
            ),
            (
                Blame::Refused,
                "sip_606",
                "refuse ce qu’on lui demande (SIP 606)",
            ),
            (Blame::Silent, "no_media", "décroche, sans aucun son"),
            (Blame::Silent, "no_echo_reply", "ne répond pas"),
            (
                Blame::Ours,
                "store_io",
                "le journal ne peut plus être écrit",
            ),
            (Blame::Ours, "no_socket", "la surveillance ne peut pas voir"),
        ];
        for (blame, code, expected) in cases {
            assert_eq!(Failure::new(blame, code, "").words_fr(), expected);
        }
    }

    #[test]
    fn durations_read_as_a_person_says_them() {
        let cases = [
            (0, "0\u{a0}s"),
            (59, "59\u{a0}s"),
            (60, "1\u{a0}min"),
            (3 * 3600 + 5 * 60, "3\u{a0}h\u{a0}05"),
            (2 * 86_400 + 4 * 3600 + 59, "2\u{a0}j\u{a0}4\u{a0}h"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(lasting(Duration::from_secs(seconds)), expected);
        }
    }
}

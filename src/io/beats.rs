//! The signs of life that came, one for each `heartbeat` probe: `io::web` puts them in, the daemon has them judged.
//!
//! The last beat alone is kept, in memory: any number of them costs no fact and no room. After a start nobody knows
//! what was said before, and the probe is blind until a beat comes or its time has passed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::config_file;
use crate::engine::plant::Plant;
use crate::id::ProbeId;
use crate::probe::heartbeat::{Beat, Heard, Settings, judge};
use crate::probe::{Check, Verdict};
use crate::secret::{Secret, SecretRef};
use crate::time::Instant;

/// The loop says every second that we listen. Silent for longer, this machine slept or we were stopped, and what was
/// not heard meanwhile is nobody's silence; shorter would take a busy second for sleep.
const ASLEEP_AFTER: Duration = Duration::from_secs(5);

/// Who is listened to, and what was heard.
#[derive(Clone, Debug, Default)]
pub struct Beats(Arc<Mutex<Ears>>);

#[derive(Debug, Default)]
struct Ears {
    senders: BTreeMap<ProbeId, Sender>,
    awake: Option<Instant>,
}

#[derive(Debug)]
struct Sender {
    settings: Settings,
    heard: Heard,
    /// Its last beat had a wrong token, and the log says so.
    is_refused: bool,
}

/// Why a beat is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error(
        "no probe of kind heartbeat has this id; `vigie check` lists none, or its target is spelt otherwise"
    )]
    Unknown,
    #[error("send Authorization: Bearer and the token of this probe")]
    Unauthorised,
    #[error("the token of this probe cannot be read: {0}")]
    NoSecret(String),
}

impl Beats {
    /// Listens to the senders of this plant from now on; what was heard of those that stay is kept.
    pub fn watch(&self, plant: &Plant, now: Instant) {
        let mut ears = self.ears();
        let mut old = std::mem::take(&mut ears.senders);
        let probes = plant.targets.iter().flat_map(|target| &target.probes);
        for probe in probes {
            let Check::Heartbeat(settings) = &*probe.check else {
                continue;
            };
            let sender = match old.remove(&probe.id) {
                Some(known) if known.settings.secret == settings.secret => Sender {
                    settings: settings.clone(),
                    ..known
                },
                Some(_) | None => Sender {
                    settings: settings.clone(),
                    heard: Heard {
                        listening_since: now,
                        last: None,
                    },
                    is_refused: false,
                },
            };
            ears.senders.insert(probe.id.clone(), sender);
        }
        ears.awake = Some(now);
    }

    /// We are awake and listen.
    pub fn awake(&self, now: Instant) {
        self.ears().awake(now);
    }

    /// May `token` speak for this probe?
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self, probe: &ProbeId, token: Option<&str>) -> Result<(), Refused> {
        let reference = self.secret_of(probe).ok_or(Refused::Unknown)?;
        let secret = config_file::resolve(&reference).map_err(Refused::NoSecret)?;
        let admitted = token.is_some_and(|token| are_equal(token, &secret));
        let mut ears = self.ears();
        let sender = ears.senders.get_mut(probe).ok_or(Refused::Unknown)?;
        if !admitted && !sender.is_refused {
            tracing::warn!(%probe, "a beat came with a wrong token, or with none; further ones are not logged");
        }
        sender.is_refused = !admitted;
        if admitted {
            Ok(())
        } else {
            Err(Refused::Unauthorised)
        }
    }

    /// Takes a beat of an admitted sender; within which time the next one must come.
    ///
    /// # Errors
    /// The plant was changed meanwhile.
    pub fn hear(&self, probe: &ProbeId, beat: Beat) -> Result<Duration, Refused> {
        let mut ears = self.ears();
        let sender = ears.senders.get_mut(probe).ok_or(Refused::Unknown)?;
        sender.heard.last = Some(beat);
        Ok(sender.settings.within)
    }

    /// What is known of the sender now.
    #[must_use]
    pub fn judge(&self, probe: &ProbeId, now: Instant) -> Verdict {
        let unreadable = self
            .secret_of(probe)
            .and_then(|secret| config_file::resolve(&secret).err());
        if let Some(words) = unreadable {
            return Verdict::blind("no_secret", format!("no beat can be admitted: {words}"));
        }
        let mut ears = self.ears();
        ears.awake(now);
        match ears.senders.get(probe) {
            Some(sender) => judge(&sender.settings, &sender.heard, now),
            None => Verdict::blind("not_listening", "nobody listens to beats of this probe yet"),
        }
    }

    fn secret_of(&self, probe: &ProbeId) -> Option<SecretRef> {
        let ears = self.ears();
        let sender = ears.senders.get(probe)?;
        Some(sender.settings.secret.clone())
    }

    /// A panic elsewhere leaves whole entries: each is written at once.
    fn ears(&self) -> MutexGuard<'_, Ears> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ears {
    fn awake(&mut self, now: Instant) {
        let slept = self
            .awake
            .is_some_and(|before| now.since(before) > ASLEEP_AFTER);
        if slept {
            for sender in self.senders.values_mut() {
                sender.heard.listening_since = now;
            }
        }
        self.awake = Some(now);
    }
}

/// Takes as long for a token that begins well as for any other: digests are compared, and every byte of them.
fn are_equal(token: &str, secret: &Secret) -> bool {
    let (one, other) = (Sha256::digest(token), Sha256::digest(secret.reveal()));
    let differing = one.iter().zip(&other).fold(0, |sum, (a, b)| sum | (a ^ b));
    std::hint::black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::probe::Word;
    use crate::probe::heartbeat::Status;

    fn second(second: u64) -> Instant {
        Instant::default() + Duration::from_secs(second)
    }

    fn beat(at: u64) -> Beat {
        Beat {
            at: second(at),
            status: Status::Ok,
            text: String::new(),
        }
    }

    /// `$PATH` is set wherever tests run: its value is the token.
    fn plant(secret: &str) -> Plant {
        let text = format!(
            "[plant]\nname = \"p\"\n[target.backup]\nname = \"B\"\ngroup = \"Linux\"\nprobes = [{{ kind = \
             \"heartbeat\", within = \"5m\", secret = \"{secret}\" }}]\n"
        );
        config::read("f", &text).expect("a good file").plant
    }

    #[test]
    fn a_reload_keeps_what_was_heard_unless_somebody_else_speaks() {
        let probe = ProbeId::from("backup/heartbeat");
        for (name, after, word) in [
            ("the same", "env:PATH", Word::Good),
            ("another token", "env:HOME", Word::Blind),
        ] {
            let beats = Beats::default();
            beats.watch(&plant("env:PATH"), second(0));
            beats.hear(&probe, beat(1)).unwrap();
            beats.watch(&plant(after), second(2));
            assert_eq!(beats.judge(&probe, second(3)).word, word, "{name}");
        }
    }

    #[test]
    fn a_machine_that_slept_accuses_nobody() {
        let probe = ProbeId::from("backup/heartbeat");
        let beats = Beats::default();
        beats.watch(&plant("env:PATH"), second(0));
        beats.hear(&probe, beat(1)).unwrap();
        assert_eq!(beats.judge(&probe, second(3600)).word, Word::Blind);
        for awake in 3601..3901 {
            beats.awake(second(awake));
        }
        assert_eq!(beats.judge(&probe, second(3901)).word, Word::Down);
    }

    #[test]
    fn only_the_right_token_speaks() {
        let probe = ProbeId::from("backup/heartbeat");
        let beats = Beats::default();
        beats.watch(&plant("env:PATH"), second(0));
        let path = std::env::var("PATH").unwrap();
        for (token, expected) in [
            (Some(path.as_str()), Ok(())),
            (Some(&path[1..]), Err(Refused::Unauthorised)),
            (Some(""), Err(Refused::Unauthorised)),
            (None, Err(Refused::Unauthorised)),
        ] {
            assert_eq!(beats.admit(&probe, token), expected);
        }
        let other = ProbeId::from("backup/ping");
        assert_eq!(beats.admit(&other, Some(&path)), Err(Refused::Unknown));
    }
}

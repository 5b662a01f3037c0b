//! The announcements of a plant: WAV files in one folder, each approved by somebody, as it is.
//!
//! `vigie prompt` fills the folder; the service loads what its probes name, at start and on reload. Beside
//! NAME.wav lies NAME.json with who approved it, when, and the SHA-256 of the file: a file that was changed
//! since is no longer approved, for whatever it holds would then be called right.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::file;
use crate::audio::prompt::Reference;
use crate::audio::{SAMPLE_RATE, wav};
use crate::engine::plant::Plant;
use crate::probe::Check;
use crate::time::Utc;

/// The folder.
#[derive(Clone, Debug)]
pub struct Shelf {
    folder: PathBuf,
}

/// Who said that this is the right recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub by: String,
    /// RFC 3339.
    pub at: String,
    /// Of the whole WAV file, lower-case hexadecimal.
    pub sha256: String,
}

/// One recording on the shelf.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub name: String,
    /// Length of the file, seconds; `None` when it cannot be read.
    pub seconds: Option<f64>,
    pub state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Approved(Approval),
    /// Nobody has listened to it yet.
    Unapproved,
    /// It is not the file that was approved.
    Changed(Approval),
    /// Nothing that can be compared with a call; why.
    Unusable(String),
}

/// The recordings that the probes of a plant name, or why they cannot be used.
pub type Loaded = BTreeMap<String, Result<Arc<Reference>, String>>;

/// Longer is no announcement, and no recording of ours.
const FILE_BYTES_MAX: u64 = 16 << 20;

impl Shelf {
    #[must_use]
    pub const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    #[must_use]
    pub fn wav(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.wav"))
    }

    fn approval_file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    /// Where a new recording will lie; asked before a call is placed for it.
    ///
    /// # Errors
    /// When there is one of this name.
    pub fn place(&self, name: &str, replace: bool) -> Result<PathBuf, String> {
        let path = self.wav(name);
        if path.exists() && !replace {
            return Err(format!(
                "{}: there is an announcement of this name; give another one, or --replace",
                path.display()
            ));
        }
        Ok(path)
    }

    /// Puts a new recording on the shelf; nobody has approved it.
    ///
    /// # Errors
    /// When there is one of this name, when nobody could tell it from another, or the folder cannot be
    /// written.
    pub fn learn(&self, name: &str, samples: &[i16], replace: bool) -> Result<PathBuf, String> {
        Reference::new(samples).map_err(|error| error.to_string())?;
        let path = self.place(name, replace)?;
        let told = |error: io::Error| format!("{}: {error}", self.folder.display());
        std::fs::create_dir_all(&self.folder).map_err(told)?;
        match std::fs::remove_file(self.approval_file(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(told(error)),
            Ok(()) | Err(_) => {}
        }
        file::write_whole(&path, &wav::write(samples), file::SHARED).map_err(told)?;
        Ok(path)
    }

    /// Records that `by` has listened to it and says that callers should hear this.
    ///
    /// # Errors
    /// When there is no such recording, or the folder cannot be written.
    pub fn approve(&self, name: &str, by: &str, at: Utc) -> Result<Approval, String> {
        let bytes = self.bytes(name)?;
        reference(&bytes)?;
        let approval = Approval {
            by: by.to_owned(),
            at: at.rfc3339(),
            sha256: fingerprint(&bytes),
        };
        let text = serde_json::to_string_pretty(&approval).expect("texts always print");
        let path = self.approval_file(name);
        file::write_whole(&path, text.as_bytes(), file::SHARED)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(approval)
    }

    /// All recordings, by name.
    ///
    /// # Errors
    /// When the folder cannot be read; one that is not there is empty.
    pub fn list(&self) -> io::Result<Vec<Entry>> {
        let folder = match std::fs::read_dir(&self.folder) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut entries = Vec::new();
        for file in folder {
            let path = file?.path();
            let name = path.file_stem().and_then(|stem| stem.to_str());
            let is_wav = path.extension().is_some_and(|extension| extension == "wav");
            if let (Some(name), true) = (name, is_wav)
                && crate::probe::prompt::name(name).is_ok()
            {
                entries.push(self.entry(name));
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn entry(&self, name: &str) -> Entry {
        let bytes = self.bytes(name);
        let samples = bytes
            .as_ref()
            .ok()
            .and_then(|bytes| wav::read(bytes).ok())
            .and_then(|samples| u32::try_from(samples.len()).ok());
        let state = match bytes.and_then(|bytes| self.state(name, &bytes)) {
            Ok((state, _)) => state,
            Err(words) => State::Unusable(words),
        };
        Entry {
            name: name.to_owned(),
            seconds: samples.map(|samples| f64::from(samples) / f64::from(SAMPLE_RATE)),
            state,
        }
    }

    /// Who approved these bytes, and what they sound like.
    fn state(&self, name: &str, bytes: &[u8]) -> Result<(State, Reference), String> {
        let reference = reference(bytes)?;
        let state = match self.approval(name)? {
            None => State::Unapproved,
            Some(approval) if approval.sha256 == fingerprint(bytes) => State::Approved(approval),
            Some(approval) => State::Changed(approval),
        };
        Ok((state, reference))
    }

    /// The recording as it lies there, approved or not.
    ///
    /// # Errors
    /// Why it is of no use, with what to do.
    pub fn recording(&self, name: &str) -> Result<Reference, String> {
        reference(&self.bytes(name)?)
    }

    /// The recording to judge calls by.
    ///
    /// # Errors
    /// Why it may not be used, with what to do.
    pub fn approved(&self, name: &str) -> Result<Reference, String> {
        let refused = |words: String| Err(format!("the announcement {name:?} {words}"));
        // Read once: what is used is what was approved.
        let found = self.bytes(name).and_then(|bytes| self.state(name, &bytes));
        let wav = self.wav(name);
        let listen = format!(
            "listen to {}, then vigie prompt approve {name}",
            wav.display()
        );
        match found {
            Ok((State::Approved(_), reference)) => Ok(reference),
            Ok((State::Unapproved, _)) => {
                refused(format!("was learned and not approved: {listen}"))
            }
            Ok((State::Changed(approval), _)) => refused(format!(
                "is not the file that {} approved on {}: {listen}",
                approval.by, approval.at
            )),
            Ok((State::Unusable(words), _)) | Err(words) => refused(format!(
                "cannot be used: {words}; vigie prompt learn {name} NUMBER records it anew"
            )),
        }
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, String> {
        let path = self.wav(name);
        file::fetch(&path, FILE_BYTES_MAX).map_err(|words| format!("{}: {words}", path.display()))
    }

    fn approval(&self, name: &str) -> Result<Option<Approval>, String> {
        let path = self.approval_file(name);
        if !path.exists() {
            return Ok(None);
        }
        let told = |words: String| format!("{}: {words}", path.display());
        let bytes = file::fetch(&path, FILE_BYTES_MAX).map_err(told)?;
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| told(error.to_string()))
    }

    /// Every announcement that a probe of the plant names.
    #[must_use]
    pub fn load(&self, plant: &Plant) -> Loaded {
        let probes = plant.targets.iter().flat_map(|target| &target.probes);
        let mut loaded = Loaded::new();
        for probe in probes {
            if let Some(name) = expected(&probe.check) {
                loaded
                    .entry(name.to_owned())
                    .or_insert_with(|| self.approved(name).map(Arc::new));
            }
        }
        loaded
    }
}

/// The announcement that a probe wants to hear.
#[must_use]
pub fn expected(check: &Check) -> Option<&str> {
    Some(&check.as_call()?.prompt.as_ref()?.name)
}

/// A WAV file that can be played or compared.
///
/// # Errors
/// Why not, with its name and what to do.
pub fn read_wav(path: &Path) -> Result<Vec<i16>, String> {
    let told = |words: String| format!("{}: {words}", path.display());
    let bytes = file::fetch(path, FILE_BYTES_MAX).map_err(told)?;
    wav::read(&bytes).map_err(|error| told(error.to_string()))
}

fn reference(bytes: &[u8]) -> Result<Reference, String> {
    let samples = wav::read(bytes).map_err(|error| error.to_string())?;
    Reference::new(&samples).map_err(|error| error.to_string())
}

fn fingerprint(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").expect("a String takes every character");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two seconds that sound like something.
    fn announcement(seed: u64) -> Vec<i16> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut level = 0;
        (0..16_000)
            .map(|n| {
                if n % 800 == 0 {
                    level = random.i16(500..8_000);
                }
                random.i16(-level..=level)
            })
            .collect()
    }

    #[test]
    fn only_the_very_file_that_was_approved_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(folder.path().join("prompts"));
        assert!(
            shelf.list().unwrap().is_empty(),
            "no folder is no recording"
        );
        assert!(
            shelf
                .approved("accueil")
                .unwrap_err()
                .contains("vigie prompt learn")
        );

        shelf.learn("accueil", &announcement(1), false).unwrap();
        assert!(
            shelf
                .approved("accueil")
                .unwrap_err()
                .contains("not approved")
        );

        let approval = shelf.approve("accueil", "Ada", Utc(0)).unwrap();
        assert_eq!((approval.by.as_str(), approval.sha256.len()), ("Ada", 64));
        assert!(shelf.approved("accueil").is_ok());

        std::fs::write(shelf.wav("accueil"), wav::write(&announcement(2))).unwrap();
        assert!(
            shelf
                .approved("accueil")
                .unwrap_err()
                .contains("not the file that Ada approved")
        );

        let refused = shelf.learn("accueil", &announcement(1), false);
        assert!(refused.unwrap_err().contains("--replace"));
        shelf.learn("accueil", &announcement(1), true).unwrap();
        let states: Vec<_> = shelf
            .list()
            .unwrap()
            .into_iter()
            .map(|entry| entry.state)
            .collect();
        assert_eq!(
            states,
            [State::Unapproved],
            "what is learned anew is approved anew"
        );
    }

    #[test]
    fn silence_is_no_announcement() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(folder.path().to_owned());
        assert!(shelf.learn("nuit", &[0; 16_000], false).is_err());
        std::fs::write(shelf.wav("nuit"), b"no sound").unwrap();
        let entries = shelf.list().unwrap();
        assert!(
            matches!(entries[0].state, State::Unusable(_)),
            "{entries:?}"
        );
        assert_eq!(entries[0].seconds, None);
    }
}

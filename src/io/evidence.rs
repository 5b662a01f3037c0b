//! What is kept of a synthetic call that failed: its packets, what was heard, and what was made of it.
//!
//! ID.pcap, ID.wav and ID.json in one folder, with a bound on age and on size, oldest first. It holds the
//! sound of our own calls to our own test numbers only; no caller is ever recorded. Writing takes a disk's
//! time, so the daemon does it beside its loop, and a disk that is full is a fault of our own and nothing else.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::file;
use crate::audio::wav;
use crate::calls::recording::Recording;
use crate::capture::write::Writer;
use crate::config;
use crate::id::ProbeId;
use crate::probe::report::{Json, Report};
use crate::probe::{Blame, Failure};
use crate::time::{Now, Utc};

/// The folder and its bounds.
#[derive(Clone, Debug)]
pub struct Evidence {
    folder: PathBuf,
    keep_days: u32,
    bytes_max: u64,
}

/// One call to be kept.
#[derive(Debug)]
pub struct Case {
    pub at: Now,
    pub probe: ProbeId,
    pub report: Report,
    pub recording: Box<Recording>,
}

/// The file of words and figures.
#[derive(Serialize)]
struct Words<'a> {
    id: &'a str,
    probe: &'a str,
    at: String,
    /// Packets that found no room in the recording.
    packets_left_out: u64,
    #[serde(flatten)]
    report: Json<'a>,
}

/// The code of the fault that evidence could not be kept.
pub const NOT_KEPT: &str = "evidence_not_kept";

/// What a file of ours ends in.
const KINDS: [&str; 3] = ["json", "pcap", "wav"];

/// A probe's name is cut to this in the name of a file; file systems take 255.
const PROBE_MAX: usize = 100;

/// A file that is not whole after this long never will be.
const PART_STALE: Duration = Duration::from_secs(3600);

/// What `st_blocks` counts (stat(2)), whatever the file system does.
const BLOCK_BYTES: u64 = 512;

const DAY_NS: i64 = 86_400_000_000_000;

impl Evidence {
    /// `None` when nothing is to be kept.
    #[must_use]
    pub fn new(settings: &config::Settings) -> Option<Self> {
        let evidence = &settings.evidence;
        (evidence.keep_days > 0).then(|| Self {
            folder: settings.evidence_directory(),
            keep_days: evidence.keep_days,
            bytes_max: u64::from(evidence.keep_megabytes) << 20,
        })
    }

    /// Keeps one call, then drops what is too much.
    ///
    /// # Errors
    /// When the folder cannot be written: a fault of our own. Nothing is left of this case then.
    pub fn keep(&self, case: &Case) -> Result<(), Failure> {
        let id = case.id();
        if let Err(error) = self.write(&id, case) {
            self.drop_case(&id);
            let folder = self.folder.display();
            return Err(not_kept(format!(
                "{folder}: {error}; look at its owner and at the room on the disk"
            )));
        }
        if let Err(error) = self.tidy(case.at.utc) {
            // The case is there all the same, and the next one tries again.
            tracing::warn!(%error, folder = %self.folder.display(), "old evidence cannot be dropped");
        }
        Ok(())
    }

    fn write(&self, id: &str, case: &Case) -> io::Result<()> {
        let recording = &*case.recording;
        std::fs::create_dir_all(&self.folder)?;
        let write = |kind: &str, bytes: &[u8]| {
            file::write_whole(&self.folder.join(format!("{id}.{kind}")), bytes, file::OWN)
        };
        write("pcap", &pcap(case.at, recording))?;
        if !recording.heard.samples.is_empty() {
            write("wav", &wav::write(&recording.heard.samples))?;
        }
        let words = Words {
            id,
            probe: case.probe.as_str(),
            at: case.at.utc.rfc3339(),
            packets_left_out: recording.packets.left_out,
            report: case.report.object(),
        };
        // The last one: a case with its JSON is whole.
        write("json", &serde_json::to_vec_pretty(&words)?)
    }

    fn drop_case(&self, id: &str) {
        for kind in KINDS {
            // It failed already, and that is what is told.
            let _ = std::fs::remove_file(self.folder.join(format!("{id}.{kind}")));
        }
    }

    /// Enforces both bounds, oldest first; of too much, that of the probe that fills most, so that a line which
    /// is always bad leaves the evidence of the others. Touches files that are named as ours are, and no others.
    fn tidy(&self, now: Utc) -> io::Result<()> {
        let mut cases = self.cases()?;
        let oldest = stamp(Utc(now.0 - i64::from(self.keep_days) * DAY_NS));
        // Names begin with their time, so their order is that of age.
        let young = cases.split_off(&oldest);
        for id in cases.keys() {
            self.drop_case(id);
        }
        let mut sum: u64 = young.values().sum();
        let mut probes: BTreeMap<&str, (u64, VecDeque<&str>)> = BTreeMap::new();
        for (id, bytes) in &young {
            let (filled, ids) = probes.entry(probe_of(id)).or_default();
            *filled += bytes;
            ids.push_back(id);
        }
        while sum > self.bytes_max
            && let Some((filled, ids)) = probes.values_mut().max_by_key(|(filled, _)| *filled)
            && let Some(id) = ids.pop_front()
        {
            self.drop_case(id);
            let bytes = young.get(id).copied().unwrap_or(0);
            *filled -= bytes;
            sum -= bytes;
        }
        Ok(())
    }

    /// The cases and their sizes, oldest first.
    fn cases(&self) -> io::Result<BTreeMap<String, u64>> {
        let mut cases = BTreeMap::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // Renamed or dropped since the folder was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let path = entry.path();
            if let Some(id) = case_of(&path) {
                *cases.entry(id.to_owned()).or_insert(0) += metadata.blocks() * BLOCK_BYTES;
            } else if is_stale_part(&path, metadata.modified()?) {
                let _ = std::fs::remove_file(&path);
            }
        }
        Ok(cases)
    }
}

impl Case {
    /// Its name, which is known before it is written: when, and which probe.
    #[must_use]
    pub fn id(&self) -> String {
        id(self.at.utc, self.probe.as_str())
    }
}

/// Evidence is lost; why.
pub(super) fn not_kept(why: String) -> Failure {
    let words = format!("the evidence of a failed call cannot be kept: {why}");
    Failure::new(Blame::Ours, NOT_KEPT, words)
}

/// All packets of a call, as a capture would show them. SIP over TCP or TLS is shown as datagrams.
#[must_use]
pub fn pcap(now: Now, recording: &Recording) -> Vec<u8> {
    let mut writer = Writer::new();
    // Ours are kept when they are due, theirs when they are read: a little out of order.
    let mut packets: Vec<_> = recording.packets.iter().collect();
    packets.sort_by_key(|packet| packet.at);
    for packet in packets {
        let at = now.utc - now.instant.since(packet.at);
        writer.datagram(at, packet.from, packet.to, packet.payload);
    }
    writer.into_bytes()
}

fn id(at: Utc, probe: &str) -> String {
    let probe: String = probe
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(PROBE_MAX)
        .collect();
    format!("{}-{probe}", stamp(at))
}

/// `20260102T030405678Z`.
fn stamp(at: Utc) -> String {
    at.rfc3339().replace(['-', ':', '.'], "")
}

/// The probe in the name of a case.
fn probe_of(id: &str) -> &str {
    id.split_once('-').map_or(id, |(_, probe)| probe)
}

fn case_of(path: &Path) -> Option<&str> {
    let kind = path.extension()?.to_str()?;
    let id = path.file_stem()?.to_str()?;
    let (time, probe) = id.split_once('-')?;
    let is_time = time.len() == 19
        && time.bytes().enumerate().all(|(n, byte)| match n {
            8 => byte == b'T',
            18 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
    (KINDS.contains(&kind) && is_time && !probe.is_empty()).then_some(id)
}

fn is_stale_part(path: &Path, modified: SystemTime) -> bool {
    let is_part = path
        .file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.starts_with(file::PART_PREFIX));
    is_part && modified.elapsed().is_ok_and(|age| age > PART_STALE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::observe::{Observed, Outcome};
    use crate::probe::Verdict;
    use crate::time::Instant;

    const PROBE: &str = "patton/call";

    fn evidence(folder: &Path, keep_days: u32, keep_megabytes: u32) -> Evidence {
        Evidence::new(&config::Settings {
            evidence: config::Evidence {
                directory: Some(folder.to_owned()),
                keep_days,
                keep_megabytes,
            },
            ..config::Settings::default()
        })
        .unwrap()
    }

    fn on_day(day: i64) -> Now {
        Now {
            instant: Instant(0),
            utc: Utc(day * DAY_NS),
        }
    }

    fn keep(evidence: &Evidence, now: Now, samples: usize) -> Result<String, Failure> {
        keep_of(PROBE, evidence, now, samples)
    }

    fn keep_of(
        probe: &str,
        evidence: &Evidence,
        now: Now,
        samples: usize,
    ) -> Result<String, Failure> {
        let verdict = Verdict::down(Failure::new(Blame::Silent, "no_media", "silence"));
        let outcome = Outcome::Completed { status: 200 };
        let observed = Observed::nothing(Instant(0), Instant(0), outcome);
        let mut recording = Recording::default();
        recording.heard.samples = vec![1; samples];
        let case = Case {
            at: now,
            probe: ProbeId::from(probe),
            report: Report::seen(verdict, None, observed),
            recording: Box::new(recording),
        };
        evidence.keep(&case).map(|()| case.id())
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_case_is_three_files_that_say_which_call_they_are_of() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("evidence");
        let id = keep(&evidence(&folder, 30, 1), on_day(1), 80).unwrap();
        assert_eq!(id, "19700102T000000000Z-patton-call");
        let expected = KINDS.map(|kind| format!("{id}.{kind}"));
        assert_eq!(names(&folder), expected);
        let json = std::fs::read(folder.join(&expected[0])).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(
            (&json["verdict"], &json["failure"]["code"]),
            (&"down".into(), &"no_media".into())
        );
        assert_eq!((&json["probe"], &json["id"]), (&PROBE.into(), &id.into()));
    }

    #[test]
    fn the_oldest_go_first_by_age_and_by_size_and_what_is_not_ours_stays() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        for stranger in ["notes.txt", "2026-holiday.wav", "19700101T000000000Z.pcap"] {
            std::fs::write(folder.join(stranger), vec![0; 2 << 20]).unwrap();
        }
        let strangers = names(folder);
        let kept = |folder: &Path| -> Vec<String> {
            let mut days: Vec<String> = names(folder)
                .iter()
                .filter(|name| name.ends_with("-patton-call.json"))
                .map(|name| name[6..8].to_owned())
                .collect();
            days.sort();
            days
        };
        let evidence = evidence(folder, 5, 1);
        for day in 1..=3 {
            keep(&evidence, on_day(day), 80).unwrap();
        }
        assert_eq!(kept(folder), ["02", "03", "04"]);
        keep(&evidence, on_day(8), 80).unwrap();
        assert_eq!(kept(folder), ["04", "09"], "five days");
        keep(&evidence, on_day(8), 500_000).unwrap();
        keep(&evidence, on_day(9), 100_000).unwrap();
        assert_eq!(
            kept(folder),
            ["10"],
            "a megabyte, and the case before had almost all of it"
        );
        for stranger in strangers {
            assert!(folder.join(&stranger).exists(), "{stranger}");
        }
    }

    #[test]
    fn a_line_that_is_always_bad_leaves_the_evidence_of_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let evidence = evidence(folder.path(), 90, 1);
        let outage = keep_of("xivo1/call", &evidence, on_day(1), 80_000).unwrap();
        for day in 2..20 {
            keep(&evidence, on_day(day), 80_000).unwrap();
        }
        assert!(folder.path().join(format!("{outage}.wav")).exists());
        let blocks: u64 = evidence.cases().unwrap().values().sum();
        assert!((700_000..=1 << 20).contains(&blocks), "{blocks}");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_our_own_fault() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("evidence");
        std::fs::write(&path, "a file stands in its place").unwrap();
        let failure = keep(&evidence(&path, 30, 1), on_day(1), 80).unwrap_err();
        assert_eq!(
            (failure.blame, failure.code.as_ref()),
            (Blame::Ours, NOT_KEPT)
        );
    }

    #[test]
    fn cases_that_come_together_do_not_trip_over_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let evidence = &evidence(folder.path(), 30, 1);
        std::thread::scope(|scope| {
            for worker in 0..8 {
                scope.spawn(move || {
                    for n in 0..20 {
                        keep(evidence, on_day(worker * 20 + n), 40_000).unwrap();
                    }
                });
            }
        });
    }
}

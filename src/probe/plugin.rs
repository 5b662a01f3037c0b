//! The `plugin` probe: any check plug-in of the Nagios family, judged by its exit code alone.
//!
//! The text only explains, and the performance figures become measures. What is not one of the four
//! codes of the contract (126, 127, a signal, our own time-out) is a fault of ours, never an outage:
//! Nagios calls it critical, and pages at night for a missing library. `io::prober::plugin` runs it.

use std::path::PathBuf;
use std::time::Duration;

use super::{Blame, Failure, Verdict, perfdata};
use crate::secret::SecretRef;

/// What to ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Absolute path of the program; started without a shell.
    pub command: PathBuf,
    pub arguments: Vec<String>,
    /// Added to the otherwise empty environment (`LC_ALL=C` and `PATH` are always set).
    pub environment: Vec<(String, String)>,
    /// Added to the environment too, fetched when the plug-in starts.
    pub secrets: Vec<(String, SecretRef)>,
}

impl Settings {
    #[must_use]
    pub fn new(command: impl Into<PathBuf>) -> Self {
        Self {
            command: command.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            secrets: Vec::new(),
        }
    }
}

/// What came of running it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Ended {
        how: End,
        after: Duration,
        /// What it printed, cut at [`OUTPUT_BYTES_MAX`].
        stdout: Vec<u8>,
        stderr: Vec<u8>,
    },
    /// Our own time-out; the whole process group was killed.
    TimedOut { after: Duration },
    /// It could not be started; the words say why.
    NotStarted { words: String },
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Code(i32),
    Signal(i32),
}

/// More is no status text: somebody made the plug-in print a file.
pub const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// A plug-in with more figures than this watches many things at once; the rest is dropped.
const MEASURES_MAX: usize = 64;

/// Judges the end of a plug-in.
#[must_use]
pub fn judge(settings: &Settings, seen: &Seen) -> Verdict {
    let program = settings.command.display();
    let (how, after, stdout, stderr) = match seen {
        Seen::NotStarted { words } => {
            return Verdict::blind("plugin_not_started", format!("{program}: {words}"));
        }
        Seen::TimedOut { after } => {
            return Verdict::blind(
                "plugin_timeout",
                format!(
                    "{program} did not end within {} ms and was killed; give it a shorter time-out of its own",
                    after.as_millis()
                ),
            );
        }
        Seen::Ended {
            how,
            after,
            stdout,
            stderr,
        } => (how, after, stdout, stderr),
    };
    let output = String::from_utf8_lossy(stdout);
    let said = said(&output, &String::from_utf8_lossy(stderr));
    let mut verdict = match how {
        End::Code(0) => Verdict::good(*after),
        End::Code(1) => Verdict::degraded(Failure::new(Blame::Misbehaved, "plugin_warning", said)),
        End::Code(2) => Verdict::down(Failure::new(Blame::Misbehaved, "plugin_critical", said)),
        End::Code(3) => Verdict::blind("plugin_unknown", format!("{program} cannot tell: {said}")),
        End::Code(126) => Verdict::blind(
            "plugin_error",
            format!("{program} or what it calls may not be executed (exit code 126): {said}"),
        ),
        End::Code(127) => Verdict::blind(
            "plugin_error",
            format!("{program} misses a program or a library (exit code 127): {said}"),
        ),
        End::Code(code) => Verdict::blind(
            "plugin_error",
            format!(
                "{program} ended with exit code {code}, which means nothing in the plug-in contract: {said}"
            ),
        ),
        End::Signal(signal) => Verdict::blind(
            "plugin_killed",
            format!("{program} was killed by signal {signal}: {said}"),
        ),
    };
    verdict.took = Some(*after);
    let figures = perfdata::parse(&output);
    verdict.measures = figures
        .iter()
        .filter_map(perfdata::Item::measure)
        .take(MEASURES_MAX)
        .collect();
    verdict
}

/// The short text: first line without figures; else the first line of the error output. Safe to show:
/// no control characters (colours of a terminal), no tags.
fn said(stdout: &str, stderr: &str) -> String {
    let first = |text: &str| {
        let line = text.lines().map(str::trim).find(|line| !line.is_empty());
        line.map(|line| clean(line.split_once('|').map_or(line, |(words, _)| words)))
    };
    first(stdout)
        .filter(|words| !words.is_empty())
        .or_else(|| first(stderr))
        .unwrap_or_else(|| "it printed nothing".to_owned())
}

/// Longer does not fit on a page.
const WORDS_CHARS_MAX: usize = 300;

/// Without terminal sequences, tags and control characters.
fn clean(line: &str) -> String {
    let mut text = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            // A terminal sequence ends with its first letter: ESC [ 3 1 m.
            '\x1b' => drop(chars.by_ref().find(char::is_ascii_alphabetic)),
            '<' => match chars.as_str().split_once('>') {
                // A tag, not a comparison: a letter or a slash follows at once.
                Some((tag, after))
                    if tag.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') =>
                {
                    chars = after.chars();
                }
                Some(_) | None => text.push('<'),
            },
            c if c.is_control() => text.push(' '),
            c => text.push(c),
        }
    }
    text.trim().chars().take(WORDS_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Word;

    fn ended(how: End, stdout: &str) -> Verdict {
        let seen = Seen::Ended {
            how,
            after: Duration::from_millis(8),
            stdout: stdout.as_bytes().to_vec(),
            stderr: b"loader error".to_vec(),
        };
        judge(&Settings::new("/usr/lib/nagios/plugins/check_x"), &seen)
    }

    #[test]
    fn the_exit_code_decides_and_only_it() {
        for (how, word, code) in [
            (End::Code(0), Word::Good, ""),
            (End::Code(1), Word::Degraded, "plugin_warning"),
            (End::Code(2), Word::Down, "plugin_critical"),
            (End::Code(3), Word::Blind, "plugin_unknown"),
            (End::Code(4), Word::Blind, "plugin_error"),
            (End::Code(126), Word::Blind, "plugin_error"),
            (End::Code(127), Word::Blind, "plugin_error"),
            (End::Code(255), Word::Blind, "plugin_error"),
            (End::Signal(9), Word::Blind, "plugin_killed"),
            (End::Signal(11), Word::Blind, "plugin_killed"),
        ] {
            let verdict = ended(
                how,
                "CRITICAL - Could not interpret output from ping command",
            );
            let found = verdict.failure.as_ref().map_or("", |f| f.code.as_ref());
            assert_eq!((verdict.word, found), (word, code), "{how:?}");
        }
    }

    #[test]
    fn our_own_trouble_is_blind() {
        let settings = Settings::new("/usr/lib/nagios/plugins/check_x");
        for seen in [
            Seen::TimedOut {
                after: Duration::from_secs(10),
            },
            Seen::NotStarted {
                words: "no such file".to_owned(),
            },
        ] {
            assert_eq!(judge(&settings, &seen).word, Word::Blind, "{seen:?}");
        }
    }

    #[test]
    fn the_words_are_the_first_line_made_safe() {
        for (stdout, words) in [
            (
                "DISK WARNING - 5% free|/=95%\nlong text",
                "DISK WARNING - 5% free",
            ),
            ("\x1b[31mred\x1b[0m text", "red text"),
            (
                "a <A HREF=\"http://x\">link</A> and 3 < 4 > 2",
                "a link and 3 < 4 > 2",
            ),
            ("\n\n  late line \n", "late line"),
            ("", "loader error"),
            ("|only=1", "loader error"),
        ] {
            assert_eq!(
                ended(End::Code(2), stdout).failure.unwrap().words,
                words,
                "{stdout}"
            );
        }
    }

    #[test]
    fn figures_become_measures_whatever_the_code() {
        let verdict = ended(End::Code(2), "PING CRITICAL|rta=2ms;1;2 pl=60%");
        let names: Vec<_> = verdict.measures.iter().map(|m| m.name.as_ref()).collect();
        assert_eq!(names, ["rta_seconds", "pl_percent"]);
    }
}

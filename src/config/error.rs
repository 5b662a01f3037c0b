//! What is wrong with a configuration file, where, and what to write instead.

use std::fmt;
use std::ops::Range;

/// One mistake, or one thing worth a look. Its text never repeats a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file as the user named it.
    pub file: String,
    /// Line and column, from 1, the column in characters; `None` when the file as a whole is meant.
    pub at: Option<(usize, usize)>,
    /// What is wrong and what to do, in one line.
    pub words: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some((line, column)) => {
                write!(f, "{}:{line}:{column}: {}", self.file, self.words)
            }
            None => write!(f, "{}: {}", self.file, self.words),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Bytes of the text that a mistake is about.
pub(super) type Span = Range<usize>;

/// A mistake on its way to the list.
#[derive(Clone, Debug)]
struct Mistake {
    span: Span,
    words: String,
    /// May vanish by itself once an earlier mistake is mended (a key that is missing because its line
    /// could not be read); not shown beside a mistake of the grammar.
    may_follow: bool,
    /// A bracket or quote is open from here to nobody knows where.
    unclosed: bool,
}

/// Gathers every mistake while the file is read to its end.
#[derive(Debug, Default)]
pub(super) struct Mistakes {
    grammar: Vec<Mistake>,
    meaning: Vec<Mistake>,
    warnings: Vec<Mistake>,
}

impl Mistakes {
    /// The text is no TOML here.
    pub(super) fn grammar(&mut self, span: Span, words: impl Into<String>, unclosed: bool) {
        self.grammar.push(Mistake {
            span,
            words: words.into(),
            may_follow: false,
            unclosed,
        });
    }

    /// This value or key is wrong, whatever stands elsewhere.
    pub(super) fn wrong(&mut self, span: Span, words: impl Into<String>) {
        self.meaning.push(Mistake {
            span,
            words: words.into(),
            may_follow: false,
            unclosed: false,
        });
    }

    /// Something is not there that should be.
    pub(super) fn missing(&mut self, span: Span, words: impl Into<String>) {
        self.meaning.push(Mistake {
            span,
            words: words.into(),
            may_follow: true,
            unclosed: false,
        });
    }

    /// Right, but perhaps not meant.
    pub(super) fn warn(&mut self, span: Span, words: impl Into<String>) {
        self.warnings.push(Mistake {
            span,
            words: words.into(),
            may_follow: false,
            unclosed: false,
        });
    }

    /// The mistakes in the order of the file, and the warnings in theirs.
    pub(super) fn into_lists(mut self, place: &Place<'_>) -> (Vec<ConfigError>, Vec<ConfigError>) {
        // One slip of the grammar often breaks the rest of its line several times over.
        self.grammar.sort_by_key(|mistake| mistake.span.start);
        let line = |mistake: &Mistake| place.line_and_column(mistake.span.start).0;
        self.grammar.dedup_by_key(|mistake| line(mistake));
        let broken: Vec<usize> = self.grammar.iter().map(line).collect();
        // What follows a bracket that was never closed has been read as something else.
        let lost = self
            .grammar
            .iter()
            .find(|mistake| mistake.unclosed)
            .map_or(usize::MAX, line);
        let meaning = self.meaning.into_iter().filter(|mistake| {
            let line = line(mistake);
            broken.is_empty() || !(mistake.may_follow || broken.contains(&line) || line >= lost)
        });
        let mistakes = self.grammar.iter().cloned().chain(meaning).collect();
        (in_order(mistakes, place), in_order(self.warnings, place))
    }
}

fn in_order(mut mistakes: Vec<Mistake>, place: &Place<'_>) -> Vec<ConfigError> {
    mistakes.sort_by_key(|mistake| mistake.span.start);
    let mut list: Vec<ConfigError> = Vec::with_capacity(mistakes.len());
    for mistake in mistakes {
        let error = place.error(&mistake.span, mistake.words);
        if list.last() != Some(&error) {
            list.push(error);
        }
    }
    list
}

/// Turns bytes of the text into lines and columns.
#[derive(Debug)]
pub(super) struct Place<'t> {
    file: &'t str,
    text: &'t str,
    /// Byte at which each line begins.
    lines: Vec<usize>,
}

impl<'t> Place<'t> {
    pub(super) fn new(file: &'t str, text: &'t str) -> Self {
        let lines = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self { file, text, lines }
    }

    pub(super) fn error(&self, span: &Span, words: String) -> ConfigError {
        ConfigError {
            file: self.file.to_owned(),
            at: Some(self.line_and_column(span.start)),
            words,
        }
    }

    pub(super) fn line_and_column(&self, byte: usize) -> (usize, usize) {
        let byte = byte.min(self.text.len());
        let line = self.lines.partition_point(|start| *start <= byte);
        let start = self.lines[line - 1];
        let column = self
            .text
            .get(start..byte)
            .map_or(byte - start, |before| before.chars().count());
        (line, column + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_from_one() {
        let place = Place::new("f", "a\nÉté = 1\n");
        for (byte, expected) in [
            (0, (1, 1)),
            (1, (1, 2)),
            (2, (2, 1)),
            (8, (2, 5)),
            (99, (3, 1)),
        ] {
            assert_eq!(place.line_and_column(byte), expected, "byte {byte}");
        }
    }
}

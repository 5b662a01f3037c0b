//! Walks a TOML table key by key and remembers every mistake, so that the whole list comes at once.
//!
//! A [`Section`] knows which keys were asked for; what is left over is unknown and refused. The readers of
//! the single tables (`service`, `target`, `probe`…) know what the keys mean; this file does not.

use std::cell::{Ref, RefCell};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeInteger, DeString, DeTable, DeValue};

use super::error::{Mistakes, Span};
use super::suggest::nearest;
use super::value::{parse_duration, print_duration};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Span,
}

/// Where the readers of all tables put what they find wrong.
#[derive(Debug, Default)]
pub(super) struct Findings(RefCell<Mistakes>);

impl Findings {
    pub(super) fn grammar(&self, span: Span, words: impl Into<String>, unclosed: bool) {
        self.0.borrow_mut().grammar(span, words, unclosed);
    }

    pub(super) fn wrong(&self, span: &Span, words: impl Into<String>) {
        self.0.borrow_mut().wrong(span.clone(), words);
    }

    pub(super) fn missing(&self, span: &Span, words: impl Into<String>) {
        self.0.borrow_mut().missing(span.clone(), words);
    }

    pub(super) fn warn(&self, span: &Span, words: impl Into<String>) {
        self.0.borrow_mut().warn(span.clone(), words);
    }

    pub(super) fn into_inner(self) -> Mistakes {
        self.0.into_inner()
    }
}

/// One table on its way to a struct.
#[derive(Debug)]
pub(super) struct Section<'t> {
    /// As the user knows it, for messages: `[service]`, `target "xivo1"`.
    pub(super) title: String,
    /// Where its header or opening brace stands.
    pub(super) span: Span,
    table: &'t DeTable<'t>,
    findings: &'t Findings,
    asked: RefCell<Vec<&'static str>>,
}

impl<'t> Section<'t> {
    pub(super) const fn new(
        title: String,
        span: Span,
        table: &'t DeTable<'t>,
        findings: &'t Findings,
    ) -> Self {
        Self {
            title,
            span,
            table,
            findings,
            asked: RefCell::new(Vec::new()),
        }
    }

    /// The same section under a better name, once its kind is known.
    pub(super) fn titled(self, title: String) -> Self {
        Self { title, ..self }
    }

    pub(super) const fn findings(&self) -> &'t Findings {
        self.findings
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The value under this key, whatever it is.
    pub(super) fn value(&self, key: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.asked.borrow_mut().push(key);
        self.table.get(key)
    }

    /// A key that must be there.
    pub(super) fn required<T>(
        &self,
        key: &'static str,
        example: &str,
        found: Option<T>,
    ) -> Option<T> {
        if found.is_none() && !self.has(key) {
            self.findings.missing(
                &self.span,
                format!("{} has no \"{key}\"; add {key} = {example}", self.title),
            );
        }
        found
    }

    pub(super) fn text(&self, key: &'static str) -> Option<At<String>> {
        let value = self.value(key)?;
        let text = as_text(value, &quoted(key), self.findings)?;
        if text.value.trim().is_empty() {
            self.findings.wrong(
                &text.span,
                format!("\"{key}\" is empty; fill it or remove the line"),
            );
            return None;
        }
        Some(text)
    }

    /// A text of a type that can be parsed, such as an address.
    pub(super) fn parsed<T>(&self, key: &'static str, example: &str) -> Option<At<T>>
    where
        T: FromStr,
    {
        let text = self.text(key)?;
        match text.value.trim().parse() {
            Ok(value) => Some(At {
                value,
                span: text.span,
            }),
            Err(_) => {
                self.findings.wrong(
                    &text.span,
                    format!(
                        "\"{key}\" cannot be {:?}; write for example {example}",
                        text.value
                    ),
                );
                None
            }
        }
    }

    /// A text judged by `read`, which says what is wrong in words that need no context.
    pub(super) fn read<T, E: Display>(
        &self,
        key: &'static str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<At<T>> {
        let text = self.text(key)?;
        match read(&text.value) {
            Ok(value) => Some(At {
                value,
                span: text.span,
            }),
            Err(words) => {
                self.findings
                    .wrong(&text.span, format!("\"{key}\": {words}"));
                None
            }
        }
    }

    /// One word of a closed list.
    pub(super) fn choice<T: Copy>(
        &self,
        key: &'static str,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        let text = self.text(key)?;
        let found = choices.iter().find(|(word, _)| *word == text.value);
        if found.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            self.findings.wrong(
                &text.span,
                format!(
                    "\"{key}\" cannot be {:?}; {}",
                    text.value,
                    instead(&text.value, &words)
                ),
            );
        }
        found.map(|(_, value)| *value)
    }

    pub(super) fn duration(
        &self,
        key: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Option<At<Duration>> {
        let value = self.value(key)?;
        if !matches!(value.get_ref(), DeValue::String(_)) {
            self.findings.wrong(
                &value.span(),
                format!(
                    "\"{key}\" is {}; write a number and its unit in quotes: \"5s\"",
                    kind_of(value)
                ),
            );
            return None;
        }
        let found = self.read(key, parse_duration)?;
        if !range.contains(&found.value) {
            self.findings.wrong(
                &found.span,
                format!(
                    "\"{key}\" is {}; write {} to {}",
                    print_duration(found.value),
                    print_duration(*range.start()),
                    print_duration(*range.end())
                ),
            );
            return None;
        }
        Some(found)
    }

    /// A whole number of any of our types; `range` says what makes sense.
    pub(super) fn number<T>(&self, key: &'static str, range: RangeInclusive<T>) -> Option<At<T>>
    where
        T: TryFrom<i64> + PartialOrd + Display,
    {
        let value = self.value(key)?;
        as_number(value, &quoted(key), range, self.findings)
    }

    pub(super) fn flag(&self, key: &'static str) -> Option<bool> {
        let value = self.value(key)?;
        let DeValue::Boolean(flag) = value.get_ref() else {
            self.findings.wrong(
                &value.span(),
                format!("\"{key}\" is {}; write true or false", kind_of(value)),
            );
            return None;
        };
        Some(*flag)
    }

    /// A list of texts; one text alone is a list of one.
    pub(super) fn texts(&self, key: &'static str) -> Option<Vec<At<String>>> {
        let value = self.value(key)?;
        let what = format!("each entry of \"{key}\"");
        match value.get_ref() {
            DeValue::Array(entries) => Some(
                entries
                    .iter()
                    .filter_map(|entry| as_text(entry, &what, self.findings))
                    .collect(),
            ),
            DeValue::String(_) => as_text(value, &what, self.findings).map(|text| vec![text]),
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => {
                self.findings.wrong(
                    &value.span(),
                    format!(
                        "\"{key}\" is {}; write a list: {key} = [\"…\"]",
                        kind_of(value)
                    ),
                );
                None
            }
        }
    }

    /// A list of whole numbers.
    pub(super) fn numbers<T>(
        &self,
        key: &'static str,
        range: RangeInclusive<T>,
    ) -> Option<Vec<At<T>>>
    where
        T: TryFrom<i64> + PartialOrd + Display + Clone,
    {
        let value = self.value(key)?;
        let what = format!("each entry of \"{key}\"");
        match value.get_ref() {
            DeValue::Array(entries) => Some(
                entries
                    .iter()
                    .filter_map(|entry| as_number(entry, &what, range.clone(), self.findings))
                    .collect(),
            ),
            DeValue::Integer(_) => {
                as_number(value, &what, range, self.findings).map(|number| vec![number])
            }
            DeValue::String(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => {
                self.findings.wrong(
                    &value.span(),
                    format!("\"{key}\" is {}; write a list of numbers", kind_of(value)),
                );
                None
            }
        }
    }

    /// The entries of a list, whatever they are; the caller reads each.
    pub(super) fn entries(&self, key: &'static str) -> Option<&'t [Spanned<DeValue<'t>>]> {
        let value = self.value(key)?;
        if let DeValue::Array(entries) = value.get_ref() {
            return Some(entries);
        }
        self.findings.wrong(
            &value.span(),
            format!("\"{key}\" is {}; write a list: {key} = […]", kind_of(value)),
        );
        None
    }

    /// A table under this key.
    pub(super) fn section(&self, key: &'static str) -> Option<Self> {
        let span = self.key_span(key);
        let value = self.value(key)?;
        section_of(value, format!("[{key}]"), span, self.findings)
    }

    /// Named tables under this key (`[target.xivo1]`, `[target.xivo2]`), in the order of the file.
    pub(super) fn named(&self, key: &'static str) -> Vec<(At<String>, Self)> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let DeValue::Table(table) = value.get_ref() else {
            self.findings.wrong(
                &value.span(),
                format!("\"{key}\" is {}; write [{key}.name]", kind_of(value)),
            );
            return Vec::new();
        };
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        entries
            .into_iter()
            .filter_map(|(name, value)| self.named_table(key, name, value))
            .collect()
    }

    /// One named table, `[key.name]`.
    fn named_table(
        &self,
        key: &str,
        name: &Spanned<DeString<'t>>,
        value: &'t Spanned<DeValue<'t>>,
    ) -> Option<(At<String>, Self)> {
        let span = name.span();
        let title = format!("{key} {:?}", name.get_ref());
        let section = section_of(value, title, span.clone(), self.findings)?;
        let name = At {
            value: name.get_ref().to_string(),
            span,
        };
        Some((name, section))
    }

    /// Pairs of texts under this key (`signatures = { "*1#" = "XIVO 1" }`), in the order of the file.
    pub(super) fn pairs(&self, key: &'static str) -> Option<Vec<(At<String>, At<String>)>> {
        let value = self.value(key)?;
        let DeValue::Table(table) = value.get_ref() else {
            self.findings.wrong(
                &value.span(),
                format!(
                    "\"{key}\" is {}; write pairs: {key} = {{ \"…\" = \"…\" }}",
                    kind_of(value)
                ),
            );
            return None;
        };
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        let pairs = entries.into_iter().filter_map(|(name, value)| {
            let text = as_text(
                value,
                &format!("{:?} in \"{key}\"", name.get_ref()),
                self.findings,
            )?;
            let name = At {
                value: name.get_ref().to_string(),
                span: name.span(),
            };
            Some((name, text))
        });
        Some(pairs.collect())
    }

    /// Where the key stands; the section itself when it is not there.
    pub(super) fn key_span(&self, key: &str) -> Span {
        self.table
            .get_key_value(key)
            .map_or_else(|| self.span.clone(), |(key, _)| key.span())
    }

    /// Refuses what nobody asked for, except tables: their names are free, and they are handed out in the order
    /// of the file.
    pub(super) fn finish_but_tables(&self) -> Vec<(At<String>, Self)> {
        let mut tables = Vec::new();
        self.finish_or(|key, value| {
            let is_table = matches!(value.get_ref(), DeValue::Table(_));
            if is_table {
                tables.push((key, value));
            }
            is_table
        });
        tables.sort_by_key(|(name, _)| name.span().start);
        let key = self.title.trim_matches(['[', ']']);
        tables
            .into_iter()
            .filter_map(|(name, value)| self.named_table(key, name, value))
            .collect()
    }

    /// Refuses what nobody asked for.
    pub(super) fn finish(&self) {
        self.finish_or(|_, _| false);
    }

    fn finish_or(
        &self,
        mut takes: impl FnMut(&'t Spanned<DeString<'t>>, &'t Spanned<DeValue<'t>>) -> bool,
    ) {
        let asked: Ref<'_, Vec<&'static str>> = self.asked.borrow();
        for (key, value) in self.table {
            let name: &DeString<'_> = key.get_ref();
            if asked.iter().any(|known| known == name) || takes(key, value) {
                continue;
            }
            self.findings.wrong(
                &key.span(),
                format!(
                    "unknown key {:?} in {}; {}",
                    shorten(name),
                    self.title,
                    instead(name, &asked)
                ),
            );
        }
    }
}

/// A value that must be a table.
pub(super) fn section_of<'t>(
    value: &'t Spanned<DeValue<'t>>,
    title: String,
    span: Span,
    findings: &'t Findings,
) -> Option<Section<'t>> {
    let DeValue::Table(table) = value.get_ref() else {
        findings.wrong(
            &value.span(),
            format!("{title} is {}; write a table", kind_of(value)),
        );
        return None;
    };
    Some(Section::new(title, span, table, findings))
}

fn as_text(value: &Spanned<DeValue<'_>>, what: &str, findings: &Findings) -> Option<At<String>> {
    let DeValue::String(text) = value.get_ref() else {
        findings.wrong(
            &value.span(),
            format!("{what} is {}; write a text in quotes", kind_of(value)),
        );
        return None;
    };
    Some(At {
        value: text.to_string(),
        span: value.span(),
    })
}

fn as_number<T>(
    value: &Spanned<DeValue<'_>>,
    what: &str,
    range: RangeInclusive<T>,
    findings: &Findings,
) -> Option<At<T>>
where
    T: TryFrom<i64> + PartialOrd + Display,
{
    let DeValue::Integer(number) = value.get_ref() else {
        findings.wrong(
            &value.span(),
            format!(
                "{what} is {}; write a whole number without quotes",
                kind_of(value)
            ),
        );
        return None;
    };
    let found = whole(number)
        .and_then(|number| T::try_from(number).ok())
        .filter(|number| range.contains(number));
    if found.is_none() {
        findings.wrong(
            &value.span(),
            format!(
                "{what} is {}; write {} to {}",
                shorten(number.as_str()),
                range.start(),
                range.end()
            ),
        );
    }
    found.map(|number| At {
        value: number,
        span: value.span(),
    })
}

/// A number with or without a fraction; `range` says what makes sense.
pub(super) fn as_fraction(
    value: &Spanned<DeValue<'_>>,
    what: &str,
    range: RangeInclusive<f64>,
    findings: &Findings,
) -> Option<At<f64>> {
    let (text, number) = match value.get_ref() {
        DeValue::Float(number) => (number.as_str(), number.as_str().parse().ok()),
        DeValue::Integer(number) => {
            let small = whole(number).and_then(|number| i32::try_from(number).ok());
            (number.as_str(), small.map(f64::from))
        }
        DeValue::String(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => {
            findings.wrong(
                &value.span(),
                format!(
                    "{what} is {}; write a number without quotes",
                    kind_of(value)
                ),
            );
            return None;
        }
    };
    let found = number.filter(|number| range.contains(number));
    if found.is_none() {
        findings.wrong(
            &value.span(),
            format!(
                "{what} is {}; write {} to {}",
                shorten(text),
                range.start(),
                range.end()
            ),
        );
    }
    found.map(|value_found| At {
        value: value_found,
        span: value.span(),
    })
}

fn whole(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

pub(super) fn kind_of(value: &Spanned<DeValue<'_>>) -> &'static str {
    match value.get_ref() {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// What to write instead of an unknown word.
pub(super) fn instead(word: &str, known: &[&str]) -> String {
    if let Some(near) = nearest(word, known) {
        return format!("write \"{near}\"");
    }
    let mut known = known.to_vec();
    known.sort_unstable();
    known.dedup();
    if known.is_empty() {
        "remove it".to_owned()
    } else if known.len() > 30 {
        // A screen full of names helps nobody.
        format!("none of the {} known names is near", known.len())
    } else {
        format!("known are {}", known.join(", "))
    }
}

fn quoted(key: &str) -> String {
    format!("{key:?}")
}

/// Enough of a foreign text to recognise it.
fn shorten(text: &str) -> String {
    const CHARACTERS_MAX: usize = 40;
    if text.chars().count() <= CHARACTERS_MAX {
        text.to_owned()
    } else {
        text.chars().take(CHARACTERS_MAX).chain(['…']).collect()
    }
}

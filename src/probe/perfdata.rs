//! Performance figures in the text of a Nagios plug-in: `'label'=value[unit];warn;crit;min;max`.
//!
//! Accepts a superset of what the plug-ins of the distributions print and drops what it cannot read:
//! figures never decide a verdict. Only `probe::plugin` calls it.

use std::borrow::Cow;

use super::Measure;

/// One figure as the plug-in printed it.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub label: String,
    /// `None` when the plug-in says that it could not be determined (`U`).
    pub value: Option<f64>,
    /// As printed: `ms`, `%`, `MiB`, `c`, or empty.
    pub unit: String,
    pub warning: Option<Range>,
    pub critical: Option<Range>,
    pub min: Option<f64>,
    pub max: Option<f64>,
}

/// A threshold: alert outside of `start..=end`, or inside of it when `inside` (written with `@`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    pub inside: bool,
    pub start: f64,
    pub end: f64,
}

impl Range {
    /// `10`, `10:`, `~:10`, `10:20`, `@10:20`; `None` if it is none of them, or ends before it starts.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (inside, text) = text
            .strip_prefix('@')
            .map_or((false, text), |rest| (true, rest));
        let (start, end) = match text.split_once(':') {
            None => (0.0, number(text)?),
            Some((start, end)) => (
                match start {
                    "~" => f64::NEG_INFINITY,
                    "" => 0.0,
                    _ => number(start)?,
                },
                match end {
                    "" => f64::INFINITY,
                    _ => number(end)?,
                },
            ),
        };
        (start <= end).then_some(Self { inside, start, end })
    }

    /// Whether this value is one to alert on; both ends belong to the range.
    #[must_use]
    pub fn alerts(&self, value: f64) -> bool {
        (self.start..=self.end).contains(&value) == self.inside
    }
}

impl Item {
    /// In base units with the unit in the name: `time=12ms` is `time_seconds` 0.012.
    #[must_use]
    pub fn measure(&self) -> Option<Measure> {
        let (factor, suffix) = base(&self.unit);
        let value = self.value? * factor;
        value.is_finite().then(|| Measure {
            name: Cow::Owned(match suffix {
                "" => self.label.clone(),
                _ => format!("{}_{suffix}", self.label),
            }),
            value,
        })
    }
}

/// All figures of a plug-in's output: after `|` in the first line, and in later lines after the second `|`
/// (Nagios) or after any `|` that a `=` follows (Icinga).
#[must_use]
pub fn parse(output: &str) -> Vec<Item> {
    let mut items = Vec::new();
    let mut all_figures = false;
    for (n, line) in output.lines().enumerate() {
        match line.split_once('|') {
            Some((_, figures)) => {
                items.extend(parse_line(figures));
                // After the second `|`, whole lines are figures.
                all_figures |= n > 0;
            }
            None if all_figures => items.extend(parse_line(line)),
            None => {}
        }
    }
    items
}

fn parse_line(mut rest: &str) -> Vec<Item> {
    let mut items = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', '|']);
        if rest.is_empty() {
            return items;
        }
        let Some((label, after)) = label(rest) else {
            // Not an item: skip the word, the next one may be.
            rest = rest.split_once(' ').map_or("", |(_, next)| next);
            continue;
        };
        let (body, next) = after.split_once([' ', '\t']).unwrap_or((after, ""));
        items.extend(item(label, body));
        rest = next;
    }
}

/// The label and what follows its `=`. In quotes, `''` is one quote; without, the last `=` of the word
/// ends it, as in Icinga: labels such as `a=b` exist.
fn label(text: &str) -> Option<(String, &str)> {
    if let Some(mut quoted) = text.strip_prefix('\'') {
        let mut label = String::new();
        loop {
            let (part, after) = quoted.split_once('\'')?;
            label.push_str(part);
            if let Some(more) = after.strip_prefix('\'') {
                label.push('\'');
                quoted = more;
            } else {
                return (!label.is_empty()).then_some((label, after.strip_prefix('=')?));
            }
        }
    }
    let word = text.split([' ', '\t']).next()?;
    let equals = word.rfind('=')?;
    let label = text.get(..equals)?;
    (!label.is_empty()).then_some((label.to_owned(), text.get(equals + 1..)?))
}

fn item(label: String, body: &str) -> Option<Item> {
    let mut fields = body.split(';');
    let figure = fields.next()?;
    let (value, unit) = if figure == "U" {
        (None, "")
    } else {
        let end = number_end(figure);
        (Some(number(figure.get(..end)?)?), figure.get(end..)?)
    };
    // A decimal comma reads as a number with an odd unit; such a figure is wrong by its fraction.
    if unit.starts_with([',', '.']) || unit.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    Some(Item {
        label,
        value,
        unit: unit.to_owned(),
        warning: fields.next().and_then(Range::parse),
        critical: fields.next().and_then(Range::parse),
        min: fields.next().and_then(number),
        max: fields.next().and_then(number),
    })
}

/// Where the number at the start of `text` ends; an `e` counts only when an exponent follows it.
fn number_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let sign = |at: usize| at + usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
    let mut end = digits(sign(0));
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let exponent = sign(end + 1);
        if digits(exponent) > exponent {
            end = digits(exponent);
        }
    }
    end
}

/// A plain decimal number; `inf`, `nan` and the like are none.
fn number(text: &str) -> Option<f64> {
    if text.is_empty() || number_end(text) != text.len() {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// What to multiply with, and the base unit as a suffix of the name.
fn base(unit: &str) -> (f64, &str) {
    const KIBI: f64 = 1024.0;
    match unit {
        "" => (1.0, ""),
        "s" => (1.0, "seconds"),
        "ms" => (1e-3, "seconds"),
        "us" => (1e-6, "seconds"),
        "ns" => (1e-9, "seconds"),
        "m" => (60.0, "seconds"),
        "h" => (3_600.0, "seconds"),
        "d" => (86_400.0, "seconds"),
        "%" => (1.0, "percent"),
        "c" => (1.0, "total"),
        "B" => (1.0, "bytes"),
        "KB" | "kB" => (1e3, "bytes"),
        "MB" => (1e6, "bytes"),
        "GB" => (1e9, "bytes"),
        "TB" => (1e12, "bytes"),
        "PB" => (1e15, "bytes"),
        "KiB" => (KIBI, "bytes"),
        "MiB" => (KIBI.powi(2), "bytes"),
        "GiB" => (KIBI.powi(3), "bytes"),
        "TiB" => (KIBI.powi(4), "bytes"),
        "PiB" => (KIBI.powi(5), "bytes"),
        other => (1.0, other),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Name, value in base units, warning range end.
    fn measures(output: &str) -> Vec<(String, f64)> {
        parse(output)
            .iter()
            .filter_map(Item::measure)
            .map(|measure| (measure.name.into_owned(), measure.value))
            .collect()
    }

    #[test]
    fn lines_of_real_plugins_are_read() {
        for (output, expected) in [
            (
                "PROCS OK: 106 processes | procs=106;1:400;1:1000;0;",
                vec![("procs", 106.0)],
            ),
            (
                "DISK OK| /=24221057024B;216442024755;243497277849;0;270552530944",
                vec![("/_bytes", 24_221_057_024.0)],
            ),
            (
                "OK - load average: 6.24|load1=6.240;5.000;10.000;0; load5=5.1;4;8;0; ",
                vec![("load1", 6.24), ("load5", 5.1)],
            ),
            (
                "OK|rta=0.018ms;200.000;500.000;0; pl=0%;40;80;; rtmax=0.049ms;;;;",
                vec![
                    ("rta_seconds", 0.000_018),
                    ("pl_percent", 0.0),
                    ("rtmax_seconds", 0.000_049),
                ],
            ),
            (
                "TCP OK|time=0.001325s;;;0.000000",
                vec![("time_seconds", 0.001_325)],
            ),
            ("text only", vec![]),
            ("|", vec![]),
        ] {
            let found = measures(output);
            assert_eq!(found.len(), expected.len(), "{output}: {found:?}");
            for ((name, value), (name_expected, value_expected)) in found.iter().zip(expected) {
                assert_eq!(name, name_expected, "{output}");
                assert!((value - value_expected).abs() < 1e-12, "{output}: {value}");
            }
        }
    }

    #[test]
    fn the_grammar_and_its_edges() {
        for (output, expected) in [
            ("x|'free space'=5", vec![("free space", 5.0)]),
            ("x|'it''s'=5", vec![("it's", 5.0)]),
            ("x|a=b=5", vec![("a=b", 5.0)]),
            ("x|a=-1.5e3 b=+.5", vec![("a", -1500.0), ("b", 0.5)]),
            ("x|a=U b=1", vec![("b", 1.0)]),
            ("x|a=1,5 b=1", vec![("b", 1.0)]),
            ("x|a=inf b=nan c=1", vec![("c", 1.0)]),
            ("x|junk a=1 'open=3", vec![("a", 1.0)]),
            ("x|up=5c", vec![("up_total", 5.0)]),
            ("x|a=2EB", vec![("a_EB", 2.0)]),
            (
                "x|a=1\nlong text\nmore|b=2\nc=3",
                vec![("a", 1.0), ("b", 2.0), ("c", 3.0)],
            ),
            (
                "x|web::check_http::time=1s",
                vec![("web::check_http::time_seconds", 1.0)],
            ),
        ] {
            let expected: Vec<_> = expected.iter().map(|&(n, v)| (n.to_owned(), v)).collect();
            assert_eq!(measures(output), expected, "{output}");
        }
    }

    #[test]
    fn ranges_follow_the_guidelines() {
        for (text, alerts_on, quiet_on) in [
            ("10", vec![-1.0, 10.1], vec![0.0, 10.0]),
            ("10:", vec![9.9], vec![10.0, 1e9]),
            ("~:10", vec![10.1], vec![-1e9, 10.0]),
            ("10:20", vec![9.0, 21.0], vec![10.0, 20.0]),
            ("@10:20", vec![10.0, 15.0, 20.0], vec![9.0, 21.0]),
        ] {
            let range = Range::parse(text).unwrap();
            for value in alerts_on {
                assert!(range.alerts(value), "{text} {value}");
            }
            for value in quiet_on {
                assert!(!range.alerts(value), "{text} {value}");
            }
        }
        for text in ["20:10", "", "a", "1:2:3", "@", "inf"] {
            assert_eq!(Range::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_finite_figures_or_none(text in "[ -~é\n]*") {
            for item in parse(&text) {
                prop_assert!(!item.label.is_empty());
                prop_assert!(item.value.is_none_or(f64::is_finite));
            }
        }

        #[test]
        fn what_is_printed_is_read(label in "[a-z ]{1,8}", value in -1e9..1e9f64) {
            let items = parse(&format!("OK|'{label}'={value};1:2;@3:4;0;9"));
            prop_assert_eq!(items.len(), 1);
            prop_assert_eq!(items[0].value, Some(value));
            prop_assert_eq!(&items[0].label, &label);
            prop_assert_eq!(items[0].warning, Range::parse("1:2"));
            prop_assert_eq!(items[0].critical.map(|range| range.inside), Some(true));
            prop_assert_eq!((items[0].min, items[0].max), (Some(0.0), Some(9.0)));
        }
    }
}

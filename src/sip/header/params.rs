//! Parameters of header fields and URIs: `;name=value;flag;name="quoted value"`.

use std::fmt;

use super::{HeaderError, closing_quote, separated, trim, unquoted};

/// Parameters as they came. Names compare without regard to case (RFC 3261 §7.3.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Params(Box<str>);

impl Params {
    /// Reads `;a=b;c`, or nothing. Empty ones between two semicolons are refused.
    ///
    /// # Errors
    /// When a name or value is not what §25.1 `generic-param` allows, or quotes do not close.
    pub fn read(text: &str) -> Result<Self, HeaderError> {
        let text = trim(text);
        if text.is_empty() {
            return Ok(Self::default());
        }
        let list = text.strip_prefix(';').ok_or(HeaderError::Parameter)?;
        for param in separated(list, b';') {
            let (name, value) = name_and_value(param);
            if name.is_empty() || name.contains([' ', '\t', '"', '<', '>', ',']) {
                return Err(HeaderError::Parameter);
            }
            if let Some(value) = value {
                check_value(value)?;
            }
        }
        Ok(Self(text.into()))
    }

    /// The value of `name`, without quotes; empty for one that has no value, `None` if it is not there.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<std::borrow::Cow<'_, str>> {
        self.iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| unquoted(value.unwrap_or_default()))
    }

    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.iter()
            .any(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    /// Names and values in their order, values with their quotes.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        separated(&self.0, b';').skip(1).map(name_and_value)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn name_and_value(param: &str) -> (&str, Option<&str>) {
    match param.split_once('=') {
        Some((name, value)) => (trim(name), Some(trim(value))),
        None => (trim(param), None),
    }
}

/// A token, a host (IPv6 with brackets), a quoted string, or a URI in angle brackets.
fn check_value(value: &str) -> Result<(), HeaderError> {
    if value.starts_with('"') {
        return match closing_quote(value.as_bytes(), 0) {
            Some(end) if end + 1 == value.len() => Ok(()),
            Some(_) => Err(HeaderError::Parameter),
            None => Err(HeaderError::Unclosed),
        };
    }
    if value.is_empty() || value.contains([' ', '\t', '"']) {
        return Err(HeaderError::Parameter);
    }
    Ok(())
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found() {
        let params = Params::read(
            r#";tag=1 ; Line=q1;flag;+sip.instance="<urn:uuid:0c;67>";q = 0.5;r=[2001:db8::1]"#,
        )
        .unwrap();
        for (name, expected) in [
            ("tag", Some("1")),
            ("line", Some("q1")),
            ("FLAG", Some("")),
            ("+sip.instance", Some("<urn:uuid:0c;67>")),
            ("q", Some("0.5")),
            ("r", Some("[2001:db8::1]")),
            ("67>", None),
        ] {
            assert_eq!(params.value(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn what_is_no_parameter_is_refused() {
        for text in [
            ";", ";;", ";a=", ";=b", "a=b", ";a=\"b", ";a b=c", ";a=b c", ";,",
        ] {
            assert!(Params::read(text).is_err(), "{text}");
        }
    }
}

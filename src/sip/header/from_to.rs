//! From and To (RFC 3261 §20.20, §20.39), and every other field that holds one address: Refer-To,
//! P-Asserted-Identity, Diversion.
//!
//! Two forms: `"Name" <sip:a@b>;tag=1` and `sip:a@b;tag=1`, where the parameters belong to the field.

use std::fmt;

use super::{HeaderError, Params, Uri, closing_quote, quoted, trim, unquoted, without_controls};

/// A display name, a URI and parameters of the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Without quotes and escapes.
    pub display: Option<Box<str>>,
    pub uri: Uri,
    pub params: Params,
}

impl Address {
    /// An address to write: no display name, no parameters.
    #[must_use]
    pub fn of(uri: Uri) -> Self {
        Self {
            display: None,
            uri,
            params: Params::default(),
        }
    }

    /// Reads one address with its parameters.
    ///
    /// # Errors
    /// When quotes or brackets do not close, or the URI or a parameter cannot be read.
    pub fn read(text: &str) -> Result<Self, HeaderError> {
        let text = trim(text);
        if text.is_empty() {
            return Err(HeaderError::Empty);
        }
        match opening_bracket(text)? {
            Some(open) => Self::read_bracketed(text, open),
            None => Self::read_bare(text),
        }
    }

    fn read_bracketed(text: &str, open: usize) -> Result<Self, HeaderError> {
        let close = open + text[open..].find('>').ok_or(HeaderError::Unclosed)?;
        let name = trim(&text[..open]);
        let display = match name {
            "" => None,
            name if name.starts_with('"') => {
                if closing_quote(name.as_bytes(), 0) != Some(name.len() - 1) {
                    return Err(HeaderError::Token);
                }
                Some(unquoted(name).into())
            }
            name => Some(name.into()),
        };
        Ok(Self {
            display,
            // Blanks inside the brackets are against §25.1 but leave no doubt (RFC 4475 §3.1.2.14).
            uri: Uri::read(trim(&text[open + 1..close]))?,
            params: Params::read(&text[close + 1..])?,
        })
    }

    /// §20.10: without brackets what follows a semicolon belongs to the field; a comma or a question mark
    /// cannot be told apart from the URI's and is refused.
    fn read_bare(text: &str) -> Result<Self, HeaderError> {
        let end = text.find(';').unwrap_or(text.len());
        let uri = text[..end].trim_end();
        if uri.contains([',', '?']) {
            return Err(HeaderError::Uri);
        }
        Ok(Self {
            display: None,
            uri: Uri::read(uri)?,
            params: Params::read(&text[end..])?,
        })
    }

    #[must_use]
    pub fn tag(&self) -> Option<String> {
        self.params
            .value("tag")
            .filter(|tag| !tag.is_empty())
            .map(Into::into)
    }

    /// The same address with a display name.
    ///
    /// # Errors
    /// When the name holds a control character.
    pub fn named(mut self, display: &str) -> Result<Self, HeaderError> {
        without_controls(display)?;
        self.display = Some(display.into());
        Ok(self)
    }
}

/// Where the angle bracket opens that is not inside quotes.
fn opening_bracket(text: &str) -> Result<Option<usize>, HeaderError> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'<' => return Ok(Some(at)),
            b'"' => at = closing_quote(bytes, at).ok_or(HeaderError::Unclosed)?,
            b';' => return Ok(None),
            _ => {}
        }
        at += 1;
    }
    Ok(None)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            write!(f, "{} ", quoted(display))?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

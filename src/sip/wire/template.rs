//! Messages that are written often: their bytes once, with slots for what changes.
//!
//! A call fixes most of its INVITE, ACK and BYE when it starts; rendering is then a few copies into a
//! reused buffer. Content-Length and body are added by [`Template::render`], never part of the text.

use super::writer::has_control;

/// A message head with slots.
#[derive(Clone, Debug)]
pub struct Template {
    /// The fixed bytes, slots left out.
    fixed: Vec<u8>,
    /// Where in `fixed` the value of which slot goes, in order.
    slots: Vec<Slot>,
    /// How many values `render` takes.
    values: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    at: usize,
    value: usize,
}

/// What fills a slot.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    Bytes(&'a [u8]),
    Number(u64),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Bytes(text.as_bytes())
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Number(u64::from(number))
    }
}

/// Why a template cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("the text names the slot {0:?}, which is not in the list")]
    UnknownSlot(String),
    #[error("a slot is opened and not closed")]
    SlotUnclosed,
    #[error("a header line without CRLF at its end, or a bare CR or LF")]
    LineEnd,
    #[error("Content-Length is written by render and must not be in the text")]
    ContentLength,
    #[error("{given} values for {wanted} slots")]
    ValueCount { given: usize, wanted: usize },
    #[error("a control character in the value of slot {0}")]
    ControlByte(usize),
}

impl Template {
    /// A template from `text`, in which `{name}` stands for the value at the place of `name` in `names`.
    /// The text is the start line and header lines, each with its CRLF, without Content-Length.
    ///
    /// # Errors
    /// When the text is no such thing.
    pub fn new(text: &str, names: &[&str]) -> Result<Self, TemplateError> {
        check_lines(text)?;
        let mut fixed = Vec::with_capacity(text.len());
        let mut slots = Vec::new();
        let mut rest = text;
        while let Some((before, slot)) = rest.split_once('{') {
            let (name, after) = slot.split_once('}').ok_or(TemplateError::SlotUnclosed)?;
            let value = names
                .iter()
                .position(|known| *known == name)
                .ok_or_else(|| TemplateError::UnknownSlot(name.to_owned()))?;
            fixed.extend_from_slice(before.as_bytes());
            slots.push(Slot {
                at: fixed.len(),
                value,
            });
            rest = after;
        }
        fixed.extend_from_slice(rest.as_bytes());
        Ok(Self {
            fixed,
            slots,
            values: names.len(),
        })
    }

    /// Appends the message to `out`: slots filled, Content-Length, empty line, body.
    ///
    /// # Errors
    /// When a value holds a control byte or their number is wrong; `out` is then as it was before.
    pub fn render(
        &self,
        values: &[Value<'_>],
        body: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), TemplateError> {
        if values.len() != self.values {
            return Err(TemplateError::ValueCount {
                given: values.len(),
                wanted: self.values,
            });
        }
        for (number, value) in values.iter().enumerate() {
            if let Value::Bytes(bytes) = value
                && has_control(bytes)
            {
                return Err(TemplateError::ControlByte(number));
            }
        }
        out.reserve(self.fixed.len() + body.len() + 256);
        let mut from = 0;
        for slot in &self.slots {
            out.extend_from_slice(&self.fixed[from..slot.at]);
            match values[slot.value] {
                Value::Bytes(bytes) => out.extend_from_slice(bytes),
                Value::Number(number) => push_number(out, number),
            }
            from = slot.at;
        }
        out.extend_from_slice(&self.fixed[from..]);
        out.extend_from_slice(b"Content-Length: ");
        push_number(out, body.len() as u64);
        out.extend_from_slice(b"\r\n\r\n");
        out.extend_from_slice(body);
        Ok(())
    }
}

fn check_lines(text: &str) -> Result<(), TemplateError> {
    let lines = text.strip_suffix("\r\n").ok_or(TemplateError::LineEnd)?;
    for line in lines.split("\r\n") {
        if line.is_empty() || has_control(line.as_bytes()) {
            return Err(TemplateError::LineEnd);
        }
        let name = line.split(':').next().unwrap_or_default().trim_end();
        if super::HeaderName::read(name.as_bytes()) == super::HeaderName::ContentLength {
            return Err(TemplateError::ContentLength);
        }
    }
    Ok(())
}

/// Decimal digits without going through a formatter.
fn push_number(out: &mut Vec<u8>, mut number: u64) {
    // Twenty digits hold every u64.
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::wire::index;

    const TEXT: &str = "INVITE {to} SIP/2.0\r\nVia: SIP/2.0/UDP h;branch={branch}\r\n\
                        Call-ID: {branch}@h\r\nCSeq: {cseq} INVITE\r\n";

    #[test]
    fn slots_are_filled_and_the_length_is_right() {
        let template = Template::new(TEXT, &["branch", "cseq", "to"]).unwrap();
        let mut out = b"before".to_vec();
        for body in [&b""[..], b"v=0\r\n"] {
            out.truncate(6);
            template
                .render(
                    &[
                        "z9hG4bK1".into(),
                        4_294_967_295_u32.into(),
                        "sip:a@b".into(),
                    ],
                    body,
                    &mut out,
                )
                .unwrap();
            let text = String::from_utf8(out[6..].to_vec()).unwrap();
            assert_eq!(
                text,
                format!(
                    "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\
                     Call-ID: z9hG4bK1@h\r\nCSeq: 4294967295 INVITE\r\nContent-Length: {}\r\n\r\n{}",
                    body.len(),
                    String::from_utf8_lossy(body)
                )
            );
            assert_eq!(index(&out[6..]).unwrap().body(), body);
        }
    }

    #[test]
    fn no_value_breaks_out_of_its_line() {
        let template = Template::new(TEXT, &["branch", "cseq", "to"]).unwrap();
        let mut out = Vec::new();
        for evil in ["a\r\nEvil: 1", "a\nb", "a\rb", "a\0b"] {
            let refused = template.render(
                &[evil.into(), 1_u32.into(), "sip:a@b".into()],
                b"",
                &mut out,
            );
            assert_eq!(refused, Err(TemplateError::ControlByte(0)), "{evil:?}");
            assert!(out.is_empty());
        }
        let too_few = template.render(&["a".into()], b"", &mut out);
        assert_eq!(
            too_few,
            Err(TemplateError::ValueCount {
                given: 1,
                wanted: 3
            })
        );
    }

    #[test]
    fn what_is_no_template_is_refused() {
        let unknown = TemplateError::UnknownSlot("nobody".to_owned());
        for (text, expected) in [
            ("A b SIP/2.0\r\nTo: {nobody}\r\n", unknown),
            ("A b SIP/2.0\r\nTo: {to\r\n", TemplateError::SlotUnclosed),
            ("A b SIP/2.0\r\nTo: x", TemplateError::LineEnd),
            ("A b SIP/2.0\r\n\r\n", TemplateError::LineEnd),
            ("A b SIP/2.0\nTo: x\r\n", TemplateError::LineEnd),
            ("A b SIP/2.0\r\nl: 4\r\n", TemplateError::ContentLength),
            (
                "A b SIP/2.0\r\nContent-length : 4\r\n",
                TemplateError::ContentLength,
            ),
        ] {
            assert_eq!(
                Template::new(text, &["to"]).err(),
                Some(expected),
                "{text:?}"
            );
        }
    }
}

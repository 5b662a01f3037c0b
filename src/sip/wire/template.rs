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

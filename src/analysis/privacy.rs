//! What of a capture may be printed: telephone numbers, passwords and names of real calls are covered, and nothing
//! that a far end wrote can move the cursor of the terminal.

/// Whether numbers are printed in full, as an engineer may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Privacy {
    pub(super) show_numbers: bool,
}

/// So many digits in a row are a telephone number; ports and extensions have fewer.
const NUMBER_MIN: usize = 6;

impl Privacy {
    /// Any text of a message.
    pub(super) fn text(self, text: &str) -> String {
        let plain: String = text
            .chars()
            .map(|c| if c.is_control() { '\u{fffd}' } else { c })
            .collect();
        if self.show_numbers {
            return plain;
        }
        let mut covered = String::with_capacity(plain.len());
        let mut digits = String::new();
        for c in plain.chars().map(Some).chain([None]) {
            match c {
                Some(digit) if digit.is_ascii_digit() => digits.push(digit),
                other => {
                    if digits.len() < NUMBER_MIN {
                        covered.push_str(&digits);
                    } else {
                        covered.push('…');
                        covered.push_str(&digits[digits.len() - 2..]);
                    }
                    digits.clear();
                    covered.extend(other);
                }
            }
        }
        covered
    }

    /// A URI without its parameters and password; of its user the last two digits are left, of a name nothing.
    pub(super) fn uri(self, uri: &str) -> String {
        let plain = uri.split([';', '?']).next().unwrap_or(uri);
        let Some((scheme_and_user, host)) = plain.rsplit_once('@') else {
            return self.text(plain);
        };
        let (scheme, user) = scheme_and_user
            .split_once(':')
            .unwrap_or(("", scheme_and_user));
        let user = user.split(':').next().unwrap_or(user);
        let user = if self.show_numbers {
            self.text(user)
        } else {
            cover(user)
        };
        format!("{scheme}:{user}@{}", self.text(host))
    }

    /// Digits that somebody typed: a code, perhaps of a card.
    pub(super) fn typed(self, digits: &str) -> String {
        if self.show_numbers {
            digits.to_owned()
        } else {
            "•".repeat(digits.chars().count())
        }
    }
}

fn cover(user: &str) -> String {
    let digits: Vec<char> = user.chars().filter(char::is_ascii_digit).collect();
    let kept = if digits.len() > 4 { 2 } else { 0 };
    let tail: String = digits[digits.len() - kept..].iter().collect();
    format!("…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_names_passwords_and_escapes_are_covered() {
        let privacy = Privacy {
            show_numbers: false,
        };
        for (uri, shown) in [
            (
                "sip:0612345678@192.0.2.1:5060;user=phone",
                "sip:…78@192.0.2.1:5060",
            ),
            ("sip:0612345678:hunter2@h", "sip:…78@h"),
            ("sip:jeanne.dupont@h", "sip:…@h"),
            ("sip:0612345678", "sip:…78"),
            ("tel:+33612345678;phone-context=x", "tel:+…78"),
            ("urn:service:0612345678", "urn:service:…78"),
            ("sip:4001@h", "sip:…@h"),
        ] {
            assert_eq!(privacy.uri(uri), shown);
        }
        for (text, shown) in [
            ("0612345678-1@x", "…78-1@x"),
            ("Busy\u{1b}[2J here", "Busy\u{fffd}[2J here"),
            ("a84b4c76e66710@192.0.2.1", "a84b4c76e66710@192.0.2.1"),
        ] {
            assert_eq!(privacy.text(text), shown);
        }
        assert_eq!(privacy.typed("1234#"), "•••••");
    }

    #[test]
    fn an_engineer_may_ask_for_numbers_and_never_sees_a_password() {
        let privacy = Privacy { show_numbers: true };
        assert_eq!(
            privacy.uri("sip:0612345678:hunter2@h;x"),
            "sip:0612345678@h"
        );
        assert_eq!(privacy.text("0612345678"), "0612345678");
        assert_eq!(privacy.typed("12"), "12");
    }
}

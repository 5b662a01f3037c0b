//! Takes out of a copy of a message what would let a reader try passwords at leisure.
//!
//! The answer to a digest challenge (RFC 3261 §22.4) is a hash of the secret with values that stand beside it:
//! whoever reads a recording can guess until the hash fits. The same is true of the proof that a server gives
//! back (`rspauth`, RFC 2617 §3.2.3). Only copies that are kept are masked; the length of the message stays.

use super::is_lws;

/// What stands in the place of each digit.
const MASK: u8 = b'x';

const SECRETS: [&[u8]; 2] = [b"response", b"rspauth"];

/// The message with its `response` and `rspauth` values masked, wherever in its header they stand.
#[must_use]
pub fn masked(message: &[u8]) -> Vec<u8> {
    let mut copy = message.to_vec();
    let header = header_length(&copy);
    for name in SECRETS {
        let mut from = 0;
        while let Some(at) = find(&copy[from..header], name) {
            let after = from + at + name.len();
            let begins_word = from + at == 0 || !is_word(copy[from + at - 1]);
            if begins_word {
                mask_value(&mut copy[after..header]);
            }
            from = after;
        }
    }
    copy
}

/// Up to the empty line; all of it when there is none.
fn header_length(message: &[u8]) -> usize {
    memchr::memmem::find(message, b"\r\n\r\n").unwrap_or(message.len())
}

fn find(text: &[u8], name: &[u8]) -> Option<usize> {
    text.windows(name.len())
        .position(|window| window.eq_ignore_ascii_case(name))
}

/// `rest` begins behind the name: blanks, `=`, blanks, perhaps a quote, the value.
fn mask_value(rest: &mut [u8]) {
    let skip = |rest: &[u8], at: usize| at + rest[at..].iter().take_while(|b| is_lws(**b)).count();
    let equals = skip(rest, 0);
    if rest.get(equals) != Some(&b'=') {
        return;
    }
    let mut at = skip(rest, equals + 1);
    if rest.get(at) == Some(&b'"') {
        at += 1;
    }
    for byte in rest[at..].iter_mut().take_while(|b| is_word(**b)) {
        *byte = MASK;
    }
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+' | b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_proves_the_secret_is_masked() {
        for (name, message, expected) in [
            (
                "as we write it",
                "REGISTER sip:a SIP/2.0\r\nAuthorization: Digest username=\"4001\", nonce=\"abc\", response=\"0123abcd\", algorithm=MD5\r\n\r\n",
                "REGISTER sip:a SIP/2.0\r\nAuthorization: Digest username=\"4001\", nonce=\"abc\", response=\"xxxxxxxx\", algorithm=MD5\r\n\r\n",
            ),
            (
                "folded, unquoted, in capitals, twice",
                "A\r\nProxy-Authorization: Digest Response =\r\n 0aF,\r\n RESPONSE=\"12\"\r\n\r\n",
                "A\r\nProxy-Authorization: Digest Response =\r\n xxx,\r\n RESPONSE=\"xx\"\r\n\r\n",
            ),
            (
                "the proof of the server",
                "A\r\nAuthentication-Info: rspauth=\"ff00\", cnonce=\"c\"\r\n\r\n",
                "A\r\nAuthentication-Info: rspauth=\"xxxx\", cnonce=\"c\"\r\n\r\n",
            ),
            (
                "another word, a name without value, a body",
                "A\r\nX: no-response=1, myresponse=2; response\r\n\r\nresponse=\"3\"",
                "A\r\nX: no-response=1, myresponse=2; response\r\n\r\nresponse=\"3\"",
            ),
            ("cut short", "response=\"12", "response=\"xx"),
            ("empty", "", ""),
        ] {
            let copy = masked(message.as_bytes());
            assert_eq!(String::from_utf8_lossy(&copy), expected, "{name}");
        }
    }
}

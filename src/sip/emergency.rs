//! Numbers that a machine must never dial: the emergency numbers of France, in any spelling.
//!
//! A probe that rings one takes a place in the queue from somebody in danger. The check of the
//! configuration and the one-shot probe ask [`is_emergency`] before a call exists. It lives below `calls`
//! so that whatever sends an INVITE can ask it too. It errs on the side of refusal: an extension that only
//! looks like one can be renumbered.

use std::borrow::Cow;
use std::net::Ipv4Addr;

/// The list of ARCEP (decision 2002-1179 and its successors), the European 116 numbers, and the foreign
/// ones that mobile networks and gateways turn into 112.
const NUMBERS: [&str; 18] = [
    "15", "17", "18", "112", "114", "115", "119", "191", "196", "197", "911", "999", "116000",
    "116006", "116111", "116117", "116123", "3114",
];

/// France and the overseas territories where the same short numbers are served.
const COUNTRY_CODES: [&str; 8] = ["33", "262", "590", "594", "596", "508", "687", "689"];

/// Emergency services by name (RFC 5031 §4.2 and §4.3), and the user part of older practice.
const SERVICES: [&str; 2] = ["urn:service:sos", "urn:service:counseling"];

/// Whether calling `uri` (SIP, tel, URN or bare digits) could ring an emergency service.
#[must_use]
pub fn is_emergency(uri: &str) -> bool {
    // Escapes may hide digits and may hide delimiters: both readings of the text are judged.
    let unescaped = unescape(uri);
    names_service(&unescaped) || rings(uri) || rings(&unescaped)
}

/// `urn:service:sos.fire`, `sip:sos@…`.
fn names_service(uri: &str) -> bool {
    let address = lower_address(uri);
    SERVICES.iter().any(|service| address.starts_with(service))
        || user_part(&address).is_some_and(|(user, _)| user == "sos")
}

fn rings(uri: &str) -> bool {
    let address = lower_address(uri);
    let Some((user, parameters)) = user_part(&address) else {
        return false;
    };
    let user = unescape(user);
    // A local number counts as dialled in its context (RFC 3966 §5.1.5): `19` in `+331` is +33 119.
    let context = parameters
        .split(['@', '?'])
        .next()
        .and_then(|own| {
            own.split(';')
                .find_map(|p| p.trim().strip_prefix("phone-context="))
        })
        .filter(|context| context.starts_with('+'));
    is_emergency_number(&user)
        || context.is_some_and(|context| is_emergency_number(&format!("{context}{user}")))
}

/// Without display name, brackets, blanks and schemes, in lower case.
fn lower_address(uri: &str) -> String {
    let inner = uri
        .rsplit_once('<')
        .map_or(uri, |(_, rest)| rest.split('>').next().unwrap_or(rest));
    let text: String = inner
        .chars()
        .filter(|c| !is_invisible(*c))
        .flat_map(char::to_lowercase)
        .collect();
    let mut rest = text.as_str();
    // Schemes may be doubled by whoever pasted the address into a form.
    while let Some(shorter) = ["sip:", "sips:", "tel:", "callto:", "//"]
        .iter()
        .find_map(|scheme| rest.strip_prefix(scheme))
    {
        rest = shorter;
    }
    rest.to_owned()
}

/// What is dialled, and the parameters after it; `None` for a bare IPv4 host, which dials nobody.
fn user_part(address: &str) -> Option<(&str, &str)> {
    let end = address.find(['@', ';', '?', ':']).unwrap_or(address.len());
    let (user, rest) = address.split_at(end);
    let is_host = !address.contains('@') && user.parse::<Ipv4Addr>().is_ok();
    (!is_host).then_some((user, rest))
}

/// Judges digits with whatever separators, prefixes and service codes a person or a PBX may add.
fn is_emergency_number(dialled: &str) -> bool {
    let digits: Option<String> = dialled
        .chars()
        .filter(|c| !is_separator(*c))
        .map(digit_or_code)
        .collect();
    // A letter makes it a name: `agent119` is somebody's account.
    let Some(digits) = digits else {
        return false;
    };
    // `#31#119` hides the caller, `0p119` waits for a dial tone: each part may be what rings.
    digits
        .split(['*', '#', 'p', 'w', ','])
        .any(is_emergency_digits)
}

fn is_emergency_digits(digits: &str) -> bool {
    let international = digits.starts_with('+') || digits.starts_with("00");
    let digits = digits.trim_start_matches(['+', '0']);
    if NUMBERS.contains(&digits) {
        return true;
    }
    COUNTRY_CODES.iter().any(|code| {
        digits.strip_prefix(code).is_some_and(|national| {
            let national = national.trim_start_matches('0');
            // Without + or 00, `3315` is more likely an extension than 33 15.
            NUMBERS.contains(&national) && (international || national.len() > 2)
        })
    })
}

/// Digits of any script become ASCII; service codes and pauses stay; anything else is a name.
fn digit_or_code(c: char) -> Option<char> {
    /// Where the ten digits begin: Arabic-Indic, its Persian form, Devanagari, Bengali, full width,
    /// five mathematical alphabets, superscript-like subscripts.
    const ZEROS: [u32; 11] = [
        0x0660, 0x06F0, 0x0966, 0x09E6, 0xFF10, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6, 0x2080,
    ];
    match c {
        '0'..='9' | '*' | '#' | 'p' | 'w' | ',' | '+' => return Some(c),
        '＋' => return Some('+'),
        '¹' => return Some('1'),
        '⁹' => return Some('9'),
        '⁵' => return Some('5'),
        '⁷' => return Some('7'),
        '⁸' => return Some('8'),
        '²' => return Some('2'),
        '³' => return Some('3'),
        '⁴' => return Some('4'),
        '⁶' => return Some('6'),
        '⁰' => return Some('0'),
        _ => {}
    }
    ZEROS.iter().find_map(|zero| {
        let value = u32::from(c).checked_sub(*zero)?;
        char::from_digit(value, 10)
    })
}

/// Visual separators (RFC 3966 §5.1.1) and the ones people type.
fn is_separator(c: char) -> bool {
    is_invisible(c)
        || matches!(
            c,
            '-' | '.' | '(' | ')' | '/' | '_' | '\'' | '"' | '[' | ']' | '‐'..='―' | '·' | '−'
        )
}

/// Blanks, controls and the characters of no width.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}')
}

/// Undoes `%HH` until nothing changes: some gateways unescape twice.
fn unescape(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    while let Some(next) = unescape_once(&text) {
        text = Cow::Owned(next);
    }
    text
}

/// `None` when there is nothing to unescape; otherwise a shorter text, so that this ends.
fn unescape_once(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut changed = false;
    let mut at = 0;
    while at < bytes.len() {
        if let Some(byte) = escaped_byte(&bytes[at..]) {
            out.push(byte);
            at += 3;
            changed = true;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    // Bytes that are no UTF-8 cannot be digits; a replacement mark keeps their place. It must not make
    // the text longer for ever, and does not: no mark holds a percent sign.
    changed.then(|| String::from_utf8_lossy(&out).into_owned())
}

fn escaped_byte(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = bytes else {
        return None;
    };
    let high = char::from(*high).to_digit(16)?;
    let low = char::from(*low).to_digit(16)?;
    u8::try_from(high * 16 + low).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_spelling_of_an_emergency_number_passes() {
        for uri in [
            "119",
            "sip:119@192.0.2.10",
            "sips:119@xivo.example",
            "SIP:119@192.0.2.10",
            "sip:119",
            "sip:119;transport=udp",
            "sip://119@192.0.2.10",
            "sip:sip:119@192.0.2.10",
            " sip:119@192.0.2.10 ",
            "\"Accueil\" <sip:119@192.0.2.10>;tag=1",
            "<tel:119>",
            "sip:119:secret@192.0.2.10",
            "sip:119@192.0.2.10;user=phone",
            "sip:119;phone-context=+33@192.0.2.10;user=phone",
            "sip:119;npdi;rn=+33199001199@192.0.2.10",
            "tel:119",
            "TEL:119",
            "tel:119;phone-context=+33",
            "tel:119;phone-context=giped.example",
            "tel:19;phone-context=+331",
            "tel:1-1-9",
            "tel:1.1.9",
            "tel:(1)19",
            "tel:1 1 9",
            "tel:1\u{a0}1\u{202f}9",
            "tel:1\u{200b}19",
            "tel:1\t1\r\n9",
            "tel:1–1—9",
            "tel:+33119",
            "tel:+33 119",
            "tel:+33(0)119",
            "tel:0033119",
            "tel:33119",
            "tel:+3315",
            "tel:+262119",
            "tel:+33-116-000",
            "sip:0119@192.0.2.10",
            "sip:0,119@192.0.2.10",
            "sip:0p119@192.0.2.10",
            "sip:00119@192.0.2.10",
            "sip:+119@192.0.2.10",
            "sip:%31%31%39@192.0.2.10",
            "sip:1%319@192.0.2.10",
            "sip:%2531%2531%2539@192.0.2.10",
            "sip:%2B33119@192.0.2.10",
            "sip:119%40elsewhere@192.0.2.10",
            "sip:119%3Bx=y@192.0.2.10",
            "sip%3A119%40192.0.2.10",
            "sip:%EF%BC%91%EF%BC%91%EF%BC%99@192.0.2.10",
            "sip:１１９@192.0.2.10",
            "sip:١١٩@192.0.2.10",
            "sip:¹¹⁹@192.0.2.10",
            "sip:*31#119@192.0.2.10",
            "sip:%23%33%31%23119@192.0.2.10",
            "#31#119",
            "**119",
            "sip:15@192.0.2.10",
            "sip:17@192.0.2.10",
            "sip:18@192.0.2.10",
            "sip:015@192.0.2.10",
            "sip:112@192.0.2.10",
            "sip:114@192.0.2.10",
            "sip:115@192.0.2.10",
            "sip:116000@192.0.2.10",
            "sip:116.000@192.0.2.10",
            "sip:116111@192.0.2.10",
            "sip:191@192.0.2.10",
            "sip:196@192.0.2.10",
            "sip:197@192.0.2.10",
            "sip:911@192.0.2.10",
            "urn:service:sos",
            "URN:service:sos.police",
            "urn:service:counseling.children",
            "urn%3Aservice%3Asos",
            "sip:sos@192.0.2.10",
        ] {
            assert!(is_emergency(uri), "{uri:?} would have been dialled");
        }
    }

    #[test]
    fn test_numbers_extensions_and_hosts_are_not_emergencies() {
        for uri in [
            "",
            "sip:0199001199@192.0.2.10",
            "sip:+33199001199@192.0.2.10",
            "tel:+33199001198",
            "sip:0199001119@192.0.2.10",
            "sip:1190@192.0.2.10",
            "sip:4119@192.0.2.10",
            "sip:3315@192.0.2.10",
            "sip:4001@192.0.2.119",
            "sip:4001@192.0.2.10:119",
            "sip:*43@192.0.2.11",
            "sip:*431@192.0.2.11",
            "sip:agent119@192.0.2.10",
            "sip:vigie@119.example",
            "sip:vigie:119@192.0.2.10",
            "sip:192.0.2.11",
            "sip:1.160.0.0",
            "sip:1.160.0.0:5060",
            "sip:[2001:db8::119]",
            "sip:%ff%fe@192.0.2.10",
            "sip:%zz@192.0.2.10",
            "tel:+119900",
            "%",
            "<",
            "sip:",
            "@",
            ";",
        ] {
            assert!(!is_emergency(uri), "{uri:?} was refused");
        }
    }

    /// One way of writing a digit.
    fn spelled(digit: char) -> impl Strategy<Value = String> {
        let value = digit.to_digit(10).unwrap();
        let wide = char::from_u32(0xFF10 + value).unwrap();
        prop_oneof![
            Just(digit.to_string()),
            Just(format!("%3{digit}")),
            Just(format!("%253{digit}")),
            Just(wide.to_string()),
            Just(format!("{digit}-")),
            Just(format!(".{digit}")),
            Just(format!("({digit})")),
            Just(format!("{digit}%20")),
            Just(format!("{digit}\u{200b}")),
        ]
    }

    fn number() -> impl Strategy<Value = String> {
        proptest::sample::select(NUMBERS.to_vec())
            .prop_flat_map(|number| number.chars().map(spelled).collect::<Vec<_>>())
            .prop_map(|digits| digits.concat())
    }

    proptest! {
        #[test]
        fn every_number_is_refused_in_every_dress(
            number in number(),
            scheme in proptest::sample::select(vec!["sip:", "sips:", "tel:", "SIP:", "", "<sip:", "Tel:"]),
            prefix in proptest::sample::select(vec!["", "+33", "0033", "0", "+33(0)", "%2B33", "#31#", "+33 "]),
            tail in proptest::sample::select(vec![
                "", "@192.0.2.10", ";phone-context=+33", "@[::1]:5060;transport=tcp", ";user=phone",
                "@h;user=phone?Subject=a", ":pw@h",
            ]),
        ) {
            let uri = format!("{scheme}{prefix}{number}{tail}");
            prop_assert!(is_emergency(&uri), "{uri}");
        }

        #[test]
        fn ten_digit_numbers_of_the_plant_pass(last in 0u32..100_000_000) {
            let uri = format!("sip:01{last:08}@192.0.2.10");
            prop_assert!(!is_emergency(&uri), "{uri}");
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = is_emergency(&text);
        }
    }
}

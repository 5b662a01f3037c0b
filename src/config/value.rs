//! Small values as people write them: durations, address ranges, port ranges.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// More addresses than this in one group is a slip of the pen: a /16 instead of a /26.
pub(super) const ADDRESSES_MAX: usize = 256;

/// Reads `500ms`, `5s`, `1m`, `2h`, `1d`, and sums such as `1m30s`.
///
/// # Errors
/// Says what a duration looks like.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let refuse =
        || format!("{text:?} is not a duration; write a number and ms, s, m, h or d: \"5s\"");
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(refuse());
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().map_err(|_| refuse())?;
        rest = &rest[digits..];
        let letters = rest.len()
            - rest
                .trim_start_matches(|c: char| c.is_ascii_alphabetic())
                .len();
        let unit_ms: u64 = match &rest[..letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(refuse()),
        };
        rest = &rest[letters..];
        total = number
            .checked_mul(unit_ms)
            .and_then(|ms| total.checked_add(Duration::from_millis(ms)))
            .ok_or_else(refuse)?;
    }
    Ok(total)
}

/// The same duration in the fewest words: `1m30s`.
pub(super) fn print_duration(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    let mut text = String::new();
    for (unit, unit_ms) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ] {
        let count = rest / unit_ms;
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
            rest %= unit_ms;
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

/// Reads one address, a range (`192.0.2.101-117`, `192.0.2.101-192.0.2.117`) or a prefix
/// (`192.0.2.96/28`, its network and broadcast addresses left out).
pub(super) fn parse_addresses(text: &str) -> Result<Vec<IpAddr>, String> {
    let text = text.trim();
    if let Ok(address) = text.parse() {
        return Ok(vec![address]);
    }
    let refuse = || {
        format!(
            "{text:?} is no address; write one (\"192.0.2.7\"), a range (\"192.0.2.7-12\") or a prefix \
             (\"192.0.2.96/28\")"
        )
    };
    let (first, last) = if let Some((network, bits)) = text.split_once('/') {
        let network: Ipv4Addr = network.parse().map_err(|_| refuse())?;
        let bits: u32 = bits.parse().map_err(|_| refuse())?;
        prefix_bounds(u32::from(network), bits).ok_or_else(refuse)?
    } else {
        let (first, last) = text.split_once('-').ok_or_else(refuse)?;
        let first: Ipv4Addr = first.trim().parse().map_err(|_| refuse())?;
        let last = last.trim();
        let last = match last.parse::<u8>() {
            Ok(byte) => {
                let [a, b, c, _] = first.octets();
                Ipv4Addr::new(a, b, c, byte)
            }
            Err(_) => last.parse().map_err(|_| refuse())?,
        };
        (u32::from(first), u32::from(last))
    };
    if last < first {
        return Err(format!("{text:?} ends before it begins; turn it round"));
    }
    let count = last - first;
    if usize::try_from(count).map_or(true, |count| count >= ADDRESSES_MAX) {
        return Err(format!(
            "{text:?} holds more than {ADDRESSES_MAX} addresses; write a smaller range"
        ));
    }
    Ok((first..=last)
        .map(|address| IpAddr::V4(address.into()))
        .collect())
}

/// First and last usable host of an IPv4 prefix; `None` for what is no prefix.
fn prefix_bounds(network: u32, bits: u32) -> Option<(u32, u32)> {
    let hosts = match bits {
        0 => u32::MAX,
        1..=32 => u32::try_from((1u64 << (32 - bits)) - 1).ok()?,
        33.. => return None,
    };
    let (first, last) = (network & !hosts, network | hosts);
    // RFC 3021: a /31 has two hosts, and a /32 is one.
    if bits >= 31 {
        Some((first, last))
    } else {
        Some((first + 1, last - 1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_and_printed() {
        for (text, ms, printed) in [
            ("5s", 5_000, "5s"),
            ("500ms", 500, "500ms"),
            ("1m", 60_000, "1m"),
            ("1m30s", 90_000, "1m30s"),
            ("90s", 90_000, "1m30s"),
            ("0s", 0, "0s"),
            (" 2h ", 7_200_000, "2h"),
            ("7d", 604_800_000, "7d"),
        ] {
            let duration = parse_duration(text).unwrap();
            assert_eq!(duration, Duration::from_millis(ms), "{text}");
            assert_eq!(print_duration(duration), printed, "{text}");
        }
        for text in [
            "",
            "5",
            "s",
            "5 s",
            "-5s",
            "1.5s",
            "5S",
            "5é",
            "é",
            "5sm",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_come_alone_as_range_and_as_prefix() {
        for (text, expected) in [
            ("192.0.2.7", Ok((1, "192.0.2.7", "192.0.2.7"))),
            ("::1", Ok((1, "::1", "::1"))),
            ("192.0.2.101-117", Ok((17, "192.0.2.101", "192.0.2.117"))),
            ("192.0.2.254-192.0.3.1", Ok((4, "192.0.2.254", "192.0.3.1"))),
            ("192.0.2.96/28", Ok((14, "192.0.2.97", "192.0.2.110"))),
            ("192.0.2.99/28", Ok((14, "192.0.2.97", "192.0.2.110"))),
            ("192.0.2.4/31", Ok((2, "192.0.2.4", "192.0.2.5"))),
            ("192.0.2.4/32", Ok((1, "192.0.2.4", "192.0.2.4"))),
            ("0.0.0.0/0", Err("more than 256")),
            ("10.0.0.0/8", Err("more than 256")),
            ("192.0.2.9-7", Err("ends before")),
            ("192.0.2.9-", Err("is no address")),
            ("192.0.2.0/33", Err("is no address")),
            ("192.0.2.256", Err("is no address")),
            ("2001:db8::/64", Err("is no address")),
            ("xivo1", Err("is no address")),
            ("", Err("is no address")),
        ] {
            match (parse_addresses(text), expected) {
                (Ok(found), Ok((count, first, last))) => {
                    assert_eq!(found.len(), count, "{text}");
                    assert_eq!(found[0].to_string(), first, "{text}");
                    assert_eq!(found[count - 1].to_string(), last, "{text}");
                }
                (Err(words), Err(expected)) => assert!(words.contains(expected), "{text}: {words}"),
                (found, expected) => panic!("{text}: {found:?} instead of {expected:?}"),
            }
        }
    }

    proptest! {
        #[test]
        fn a_printed_duration_reads_back(ms in 0u64..10_000_000_000) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse_duration(&print_duration(duration)), Ok(duration));
        }

        #[test]
        fn no_text_makes_them_panic(text in "[0-9./:smhd -]{0,24}|\\PC{0,12}") {
            let _ = parse_duration(&text);
            let _ = parse_addresses(&text);
        }
    }
}

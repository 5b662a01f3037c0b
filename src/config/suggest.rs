//! "Did you mean": the known word that an unknown one was probably meant to be.

/// Words of other tools, and ours. Left what people write, right what this file calls it.
const SYNONYMS: [(&str, &str); 36] = [
    ("every", "lane"),
    ("interval", "lane"),
    ("interval", "every"),
    ("period", "every"),
    ("check_interval", "every"),
    ("frequency", "every"),
    ("host", "address"),
    ("ip", "address"),
    ("addresses", "address"),
    ("hostname", "address"),
    ("type", "kind"),
    ("check", "probes"),
    ("checks", "probes"),
    ("probe", "probes"),
    ("parent", "parents"),
    ("depends_on", "parents"),
    ("password", "secret"),
    ("pass", "secret"),
    ("username", "user"),
    ("login", "user"),
    ("title", "name"),
    ("folder", "group"),
    ("duration", "hold"),
    ("bind", "listen"),
    ("uri", "to"),
    ("ping", "icmp"),
    ("https", "http"),
    ("plug-in", "plugin"),
    ("push", "heartbeat"),
    ("token", "secret"),
    ("loss_percent_max", "limits"),
    ("jitter_max", "limits"),
    ("jitter", "jitter_ms"),
    ("packet_loss", "loss_percent"),
    ("mos", "mos_cq"),
    ("level", "level_low_dbov"),
];

/// The nearest of `known`, when it is near enough to be meant.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let word = word.to_lowercase();
    // One letter of a short word makes another word: `id` is not `ip`.
    let tolerance = (word.chars().count() / 3).min(3);
    let direct = known
        .iter()
        .map(|known| (distance(&word, &known.to_lowercase()), *known));
    let by_synonym = SYNONYMS.iter().filter_map(|(theirs, ours)| {
        let ours = known.iter().find(|known| *known == ours)?;
        Some((distance(&word, theirs), *ours))
    });
    direct
        .chain(by_synonym)
        .filter(|(distance, _)| *distance <= tolerance)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// Letters to insert, remove, change or exchange with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = changed.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_and_words_of_other_tools_are_found() {
        let known = ["every", "timeout", "kind", "address", "name", "parents"];
        for (word, expected) in [
            ("evry", Some("every")),
            ("Every", Some("every")),
            ("intervall", Some("every")),
            ("parent", Some("parents")),
            ("adress", Some("address")),
            ("ip", Some("address")),
            ("tiemout", Some("timeout")),
            ("KIND", Some("kind")),
            ("knid", Some("kind")),
            ("colour", None),
            ("", None),
            ("id", None),
        ] {
            assert_eq!(nearest(word, &known), expected, "{word}");
        }
    }
}

//! "Did you mean": the known word that an unknown one was probably meant to be.

/// Words of other tools, and ours. Left what people write, right what this file calls it.
const SYNONYMS: [(&str, &str); 26] = [
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
];

/// The nearest of `known`, when it is near enough to be meant.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let word = word.to_lowercase();
    // One letter of a short word makes another word: `id` is not `ip`.
    let tolerance = (word.chars().count() / 3).min(3);
    let direct = known.iter().map(|known| (distance(&word, known), *known));
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

/// Letters to insert, remove or change (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let changed = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
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
            ("colour", None),
            ("", None),
            ("id", None),
        ] {
            assert_eq!(nearest(word, &known), expected, "{word}");
        }
    }
}

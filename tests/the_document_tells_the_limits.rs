//! docs/voice-quality.md says where good ends and which words there are: it must say what the program does.

use vigie::quality::limits::{Breach, Limits, Severity};
use vigie::quality::media_state::MediaState;
use vigie::quality::metric::Metric;

const DOCUMENT: &str = include_str!("../docs/voice-quality.md");

#[test]
fn each_metric_stands_there_with_its_limits() {
    let limits = Limits::default();
    let rows: Vec<String> = Metric::ALL
        .into_iter()
        .map(|metric| {
            let (name, unit) = name_and_unit(metric);
            let limit = limits.limit(metric);
            let worse = if metric.is_worse(1.0, 0.0) {
                "more"
            } else {
                "less"
            };
            let [degraded, severe, down] = [limit.degraded, limit.severe, limit.down]
                .map(|step| step.map_or_else(|| "–".to_owned(), |step| step.to_string()));
            let key = metric.key();
            format!("| `{key}` | {name} | {unit} | {worse} | {degraded} | {severe} | {down} |\n")
        })
        .collect();
    let table = rows.concat();
    assert!(DOCUMENT.contains(&table), "the document needs\n{table}");
}

/// As a failure prints them.
fn name_and_unit(metric: Metric) -> (String, String) {
    let sentence = Breach {
        severity: Severity::Degraded,
        metric,
        value: 7.0,
        limit: 5.0,
        usual: None,
    }
    .to_string();
    let (name, rest) = sentence.rsplit_once(" 7").unwrap();
    let (_, unit) = rest.rsplit_once("limit 5").unwrap();
    (name.to_owned(), unit.trim().to_owned())
}

#[test]
fn each_word_stands_there() {
    for state in MediaState::ALL {
        assert!(DOCUMENT.contains(&format!("\n| `{state}` | ")), "{state}");
    }
}

//! The table `[contract]`, later contracts, and what a line weighs.

use super::*;

/// A file with this contract and one line over a trunk of 30 channels.
fn signed(contract: &str, line: &str) -> Result<Loaded, Vec<ConfigError>> {
    let text = format!(
        "[plant]\nname = \"p\"\n[contract]\n{contract}\n[trunk.t2]\nname = \"T2\"\nchannels = 30\n\
         [target.patton]\nname = \"Patton\"\ngroup = \"Voix\"\naddress = \"192.0.2.1\"\n\
         probes = [{{ kind = \"call\", name = \"sda\", number = \"0142000119\", trunk = \"t2\", every = \"5m\", \
         signatures = [\"*1#\"] }}]\n[line.sda]\nname = \"SDA\"\nproofs = [\"patton/sda\"]\n\
         signatures = {{ \"*1#\" = \"Patton\" }}\n{line}\n"
    );
    read("vigie.toml", &text)
}

#[test]
fn a_later_contract_holds_what_changes_from_its_day_in_paris_on() {
    use crate::sla::interval::Interval;
    let terms = signed(
        "ic6 = \"45m\"\nclosed = [\"2026-12-24\"]\n[contract.from.\"2027-01-01\"]\nic5 = \"1h\"\n\
         office_hours = [\"08:30-12:00\", \"13:30-24:00\"]\nopen = [\"2027-01-03\"]\n\
         [contract.from.\"2027-06-01\"]\nlines_up_percent_min = 34\nclosed = \"2027-06-03\"\n",
        "",
    )
    .expect("a good file")
    .plant
    .terms;
    let midnight = |month, day| {
        let day = jiff::civil::date(2027, month, day);
        crate::sla::calendar::midnight(&crate::time::paris(), day).expect("a day")
    };
    // One second before midnight in Paris it is 22:59:59 UTC, and still the old one.
    let second = Duration::from_secs(1);
    for (at, version, ic5, ic6, percent) in [
        (midnight(1, 1) - second, 1, 7_200, 2_700, 50),
        (midnight(1, 1), 2, 3_600, 2_700, 50),
        (midnight(6, 1) - second, 2, 3_600, 2_700, 50),
        (midnight(6, 1), 3, 3_600, 2_700, 34),
    ] {
        let profile = terms.contract.in_force(at);
        assert_eq!(profile.version, version, "{at:?}");
        assert_eq!(profile.systems.limit.as_secs(), ic5, "{at:?}");
        assert_eq!(profile.lines.limit.as_secs(), ic6, "{at:?}");
        assert_eq!(profile.lines_up_percent_min, percent, "{at:?}");
    }
    let request = |at| terms.contract.in_force(at).request.limit.as_secs();
    assert_eq!(request(midnight(1, 1) - second), 2 * 9 * 3_600);
    assert_eq!(request(midnight(1, 1)), 2 * 14 * 3_600);
    for (name, month, day, hours) in [
        ("a Monday", 1, 4, 14),
        ("a holiday", 1, 1, 0),
        ("a Sunday that is open", 1, 3, 14),
        ("another Sunday", 1, 10, 0),
        ("a Wednesday", 6, 2, 14),
        ("a Thursday that is closed", 6, 3, 0),
    ] {
        let open = terms.calendars.ho.open_within(Interval::new(
            midnight(month, day),
            midnight(month, day + 1),
        ));
        assert_eq!(open.total().as_secs(), hours * 3_600, "{name}");
    }
    // The day that the first table closed, and the one before it under its hours.
    let december = |day| {
        let day = jiff::civil::date(2026, 12, day);
        crate::sla::calendar::midnight(&crate::time::paris(), day).expect("a day")
    };
    for (day, hours) in [(23, 9), (24, 0)] {
        let day = Interval::new(december(day), december(day + 1));
        let open = terms.calendars.ho.open_within(day);
        assert_eq!(open.total().as_secs(), hours * 3_600);
    }
}

#[test]
fn a_mistake_in_the_contract_has_its_line_and_its_column() {
    for (contract, place, words) in [
        (
            "[contract.from.\"2027-13-01\"]",
            "4:16",
            "is no day; write it as",
        ),
        ("[contract.from.\"2027-1-1\"]", "4:16", "is no day"),
        (
            "[contract.from.\"2027-02-01\"]\n[contract.from.\"2027-01-01\"]",
            "5:16",
            "cannot follow the one from 2027-02-01",
        ),
        (
            "valid_from = \"2027-01-01\"\n[contract.from.\"2026-12-01\"]",
            "5:16",
            "choose a later date",
        ),
        (
            "[contract.from.\"2027-01-01\"]\nic8 = \"1h\"",
            "5:1",
            "unknown key \"ic8\"",
        ),
        (
            "[contract.from.\"2027-01-01\"]\nvalid_from = \"2027-01-01\"",
            "5:1",
            "unknown key \"valid_from\"",
        ),
        ("from = \"2027-01-01\"", "4:8", "write [contract.from."),
        ("valid_from = \"1 janvier\"", "4:14", "is no day"),
        ("closed = [\"2026-12-24T10:00\"]", "4:11", "is no day"),
        (
            "closed = [\"2026-12-24\"]\nopen = [\"2026-11-01\", \"2026-12-24\"]",
            "5:23",
            "stands in \"closed\" already",
        ),
        (
            "[contract.from.\"2027-01-01\"]\nclosed = [\"2026-12-24\"]",
            "5:11",
            "lies before 2027-01-01",
        ),
        (
            "office_hours = \"9-18\"",
            "4:16",
            "write them as \"09:00-18:00\"",
        ),
        ("office_hours = \"22:00-06:00\"", "4:16", "on the next day"),
        (
            "office_hours = [\"13:00-18:00\", \"09:00-12:00\"]",
            "4:32",
            "write them in order",
        ),
        ("lines_up_percent_min = 0", "4:24", "lines_up_percent_min"),
        ("holidays = \"bavaria\"", "4:12", "holidays"),
    ] {
        let mistakes = signed(contract, "").expect_err(contract);
        let told = mistakes[0].to_string();
        assert!(
            told.starts_with(&format!("vigie.toml:{place}: ")),
            "{contract}: {told}"
        );
        assert!(told.contains(words), "{contract}: {told}");
        assert_eq!(mistakes.len(), 1, "{contract}: {mistakes:?}");
    }
}

#[test]
fn a_line_weighs_what_it_says_or_what_its_trunk_carries() {
    for (line, emergency, channels) in [
        ("", true, 30),
        ("emergency = false", false, 30),
        ("channels = 4", true, 4),
    ] {
        let loaded = signed("", line).expect(line);
        let weight = loaded.plant.terms.weight(&"sda".into());
        assert_eq!(
            (weight.emergency, weight.channels),
            (emergency, channels),
            "{line}"
        );
    }
}

//! Several places that probes leave from.

use super::*;

/// A server room with a 4G modem.
const TWO_PLACES: &str = "[vantage]\nname = \"salle\"\n[vantage.4g]\nlocal = \"192.0.2.9\"\n";

#[test]
fn a_probe_from_several_places_is_one_probe_for_each() {
    let loaded = good(&format!(
        "{HEAD}vantage = [\"4g\", \"salle\"]\nprobes = [\"ping\", {{ kind = \"call\", number = \"0199001199\", \
         every = \"2m\" }}, {{ kind = \"ssh\", vantage = [\"4g\"] }}, {{ kind = \"plugin\", command = \"/p\" }}, \
         {{ kind = \"heartbeat\", within = \"5m\", secret = \"env:BEAT\" }}]\n\
         [line.l]\nname = \"L\"\nproofs = [\"a/call\"]\n[line.m]\nname = \"M\"\nproofs = [\"a/call@4g\"]\n\
         {TWO_PLACES}"
    ));
    let ids: Vec<&str> = loaded.plant.targets[0]
        .probes
        .iter()
        .map(|probe| probe.id.as_str())
        .collect();
    assert_eq!(
        ids,
        [
            "a/ping",
            "a/ping@4g",
            "a/call",
            "a/call@4g",
            "a/ssh@4g",
            "a/plugin",
            "a/heartbeat"
        ]
    );
    let proofs: Vec<Vec<&str>> = loaded
        .plant
        .lines
        .iter()
        .map(|line| line.proofs.iter().map(ProbeId::as_str).collect())
        .collect();
    assert_eq!(proofs, [vec!["a/call", "a/call@4g"], vec!["a/call@4g"]]);
    assert_eq!(loaded.plant.places.main.as_str(), "salle");
    assert_eq!(loaded.plant.places.quorum, 2);
    let elsewhere = &loaded.settings.elsewhere[0];
    assert_eq!(elsewhere.name, "4g");
    assert_eq!(elsewhere.local.to_string(), "192.0.2.9");
    assert_eq!(elsewhere.media_ports, loaded.settings.vantage.media_ports);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn a_place_of_which_the_file_says_too_little_or_nonsense_is_refused() {
    for (tables, expected) in [
        (
            "quorum = 7\nmedia = 1\n[vantage.4g]\nlocal = \"192.0.2.9\"",
            [
                "f:10:10: \"quorum\" is 7 and the places are 2, so nothing could ever be down; write 2 or less, or \
                 add a table [vantage.NAME]",
                "f:11:1: unknown key \"media\" in [vantage]; known are local, media_ports, name, quorum",
            ]
            .as_slice(),
        ),
        (
            "[vantage.4g]\nloacl = \"192.0.2.9\"",
            &[
                "f:10:10: vantage \"4g\" has no \"local\"; add local = \"192.0.2.9\"",
                "f:11:1: unknown key \"loacl\" in vantage \"4g\"; write \"local\"",
            ],
        ),
        (
            "[vantage.salle]\nlocal = \"192.0.2.6\"",
            &["f:10:10: \"salle\" is the name of [vantage] itself; give this one another"],
        ),
        (
            "local = \"192.0.2.5\"\n[vantage.vpn]\nlocal = \"192.0.2.5\"",
            &[
                "f:12:9: 192.0.2.5 is the address of vantage point \"salle\" as well: two places that leave by one \
                 way are one place",
            ],
        ),
        (
            "[vantage.vpn]\nlocal = \"0.0.0.0\"",
            &[
                "f:11:9: \"local\" is 0.0.0.0, which leaves as [vantage] does; write the address of this machine \
                 that leaves by another way",
            ],
        ),
        (
            "[vantage.\"VPN 1\"]\nlocal = \"192.0.2.9\"",
            &[
                "f:10:10: \"VPN 1\" cannot be the name of a vantage point; write small letters, digits and hyphens, \
                 such as [vantage.4g]",
            ],
        ),
    ] {
        let lines = format!("probes = [\"ping\"]\n[vantage]\nname = \"salle\"\n{tables}");
        check(&lines, expected);
    }
}

#[test]
fn a_probe_names_places_that_there_are() {
    check(
        &format!(
            "probes = [\n{{ kind = \"ssh\", vantage = [\"4h\", \"salle\", \"salle\"] }},\n\
             {{ kind = \"plugin\", command = \"/p\", vantage = [\"4g\"] }},\n\
             {{ kind = \"dns\", ask = \"a.example\", vantage = [] }}]\n{TWO_PLACES}"
        ),
        &[
            "f:8:28: no vantage point is called \"4h\"; known are 4g, salle",
            "f:8:43: \"salle\" stands here twice; write it once",
            "f:9:36: a plug-in opens its own sockets, so vigie cannot choose where it leaves from; remove \
             \"vantage\", or give the plug-in an argument for it",
            "f:10:36: \"vantage\" is empty, so nobody would ask; name a place or remove the line",
        ],
    );
    check(
        "vantage = [\"4g\"]\nprobes = [\"ping\"]",
        &["f:7:12: no vantage point is called \"4g\"; add a table [vantage.4g]"],
    );
}

#[test]
fn a_place_that_nobody_asks_from_is_worth_a_look() {
    let loaded = good(&format!("{HEAD}probes = [\"ping\"]\n{TWO_PLACES}"));
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "f:10:10: no probe is asked from vantage point \"4g\"; add vantage = [\"4g\"] to a target or a \
             probe"
        ]
    );
}

#[test]
fn calls_from_every_place_count_for_the_trunk() {
    check(
        &format!(
            "vantage = [\"salle\", \"4g\"]\nprobes = [{{ kind = \"call\", number = \"0199001199\" }}]\n{TWO_PLACES}"
        ),
        &[
            "f:8:11: with this probe 120 calls an hour go over trunk \"a\" (each holds a channel for 4 s); at most 90 \
             are allowed: call more rarely",
        ],
    );
}

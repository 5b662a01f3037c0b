//! The configuration we ship watches the whole inventory of the customer, each line with a check that
//! means something. The inventory is written again here, from the tender, so that the two cannot err together.

use std::collections::BTreeSet;

use vigie::config::{self, Loaded};
use vigie::engine::plant::{Role, Target};
use vigie::probe::Check;
use vigie::probe::icmp::Expect;

const SAMPLE: &str = include_str!("../deploy/vigie.toml");

/// Name, folder, label, support, health data: the 34 servers of the tender, in its order.
const SERVERS: [(&str, &str, &str, &str, bool); 34] = [
    ("XIVO 1", "Téléphonie", "PROD", "HNO", false),
    ("XIVO 2", "Téléphonie", "PROD", "HNO", false),
    ("SRV VIRTUAL 05", "VMWARE", "BACKUP", "HO", false),
    ("SRV VIRTUAL 06", "VMWARE", "BACKUP", "HO", false),
    ("SRV VIRTUAL 07", "VMWARE", "PROD", "HNO", false),
    ("SRV VIRTUAL 08", "VMWARE", "PROD", "HNO", false),
    ("SRV VIRTUAL 09", "VMWARE", "PROD", "HNO", false),
    ("SRV NAGIOS", "Linux", "SUPPORT", "HO", false),
    ("SRV NFS2", "Linux", "PROD", "HNO", false),
    ("SRV PEDRO", "Linux", "PROD", "HO", false),
    ("SRV SAUVEGARDE", "Linux", "SUPPORT", "HO", false),
    ("SRV SFTP", "Linux", "PROD", "HO", false),
    ("SRV SIDO", "Linux", "PROD", "HO", false),
    ("SRV SQL1", "Linux", "PROD", "HNO", true),
    ("SRV SQL2", "Linux", "PROD", "HNO", true),
    ("SRV SQL3", "Linux", "PROD", "HNO", true),
    ("SRV SSL", "Linux", "PROD", "HNO", true),
    ("SRV SUPPORT", "Linux", "SUPPORT", "HO", false),
    ("SRV TEST LINUX 3", "Linux", "PROD", "HO", true),
    ("SRV WAPT", "Linux", "SUPPORT", "HO", false),
    ("SRV WEB", "Linux", "PROD", "HNO", true),
    ("XIVO 3 - Administratif", "Téléphonie", "PROD", "HO", false),
    ("SRV ACCES", "Windows", "PROD", "HNO", false),
    ("SRV BACKUP", "Windows", "PROD", "HO", true),
    ("SRV FSECURE", "Windows", "SUPPORT", "HO", false),
    ("SRV SNEG", "Windows", "PROD", "HO", false),
    ("SRV SNEG 2", "Windows", "PROD", "HO", false),
    ("SRV VCENTER", "Windows", "SUPPORT", "HO", false),
    ("SRV VCENTER2", "Windows", "SUPPORT", "HO", false),
    ("SRVAD1", "Windows", "PROD", "HNO", false),
    ("SRVAD2", "Windows", "PROD", "HNO", false),
    ("SRVDC2", "Windows", "PROD", "HO", false),
    ("SRVMAIL2", "Windows", "ETEINT", "N/C", false),
    ("SRVWSUS", "Windows", "ETEINT", "N/C", false),
];

/// What the servers' notes say, and what the machine does, as the tender describes it.
const DESCRIPTIONS: [(&str, &str); 5] = [
    (
        "XIVO 1",
        "Serveur de téléphonie 119 (Migration vers virtuel en cours)",
    ),
    ("SRV SQL2", "Serveur Noeud MARIA DB 2"),
    (
        "SRV SNEG 2",
        "Serveur Compta & PAIE (Externalisation SAAS en cours)",
    ),
    ("SRVWSUS", "Active Directory, WSUS"),
    ("SRV WEB", "Serveur WEB Application LISA / Intranet ..."),
];

/// Equipment: name, and how many addresses its check reaches (0: none of its own is known).
const EQUIPMENT: [(&str, usize); 19] = [
    ("Firewall Sophos", 1),
    ("Routeur ADSL", 1),
    ("Routeur SDSL", 1),
    ("Fibre", 1),
    ("Routeur téléphonique", 1),
    ("Passerelle Patton", 1),
    ("Bornes Wi-Fi", 8),
    ("Switchs", 4),
    ("SAN 1", 1),
    ("SAN 2", 1),
    ("Serveur FAX", 1),
    ("Imprimantes réseau", 5),
    ("Téléphones SNOM", 17),
    ("Téléphones YEALINK", 36),
    ("Téléconférence Polycom", 1),
    ("Téléconférence Cisco", 2),
    ("Postes centre d'appel CentOS 7", 15),
    ("Postes administratifs Windows", 0),
    ("Smartphones", 0),
];

const SITES: [&str; 3] = [
    "https://www.giped.gouv.fr/",
    "https://www.allo119.gouv.fr/",
    "https://www.onpe.gouv.fr/",
];

fn sample() -> Loaded {
    config::read("deploy/vigie.toml", SAMPLE).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

fn named<'p>(loaded: &'p Loaded, name: &str) -> &'p Target {
    let found: Vec<&Target> = loaded
        .plant
        .targets
        .iter()
        .filter(|target| target.name == name)
        .collect();
    assert_eq!(found.len(), 1, "{name}");
    found[0]
}

#[test]
fn all_34_servers_are_watched_with_what_the_inventory_says_of_them() {
    let loaded = sample();
    for (name, group, label, support, hds) in SERVERS {
        let target = named(&loaded, name);
        assert_eq!(
            (
                target.group.as_str(),
                target.label.as_str(),
                target.support.as_str(),
                target.hds
            ),
            (group, label, support, hds),
            "{name}"
        );
    }
    for (name, description) in DESCRIPTIONS {
        assert_eq!(named(&loaded, name).description, description, "{name}");
    }
}

#[test]
fn each_server_has_a_check_that_decides_and_those_switched_off_an_inverse_one() {
    let loaded = sample();
    for (name, _, label, _, _) in SERVERS {
        let target = named(&loaded, name);
        let decides = target.probes.iter().any(|probe| probe.role == Role::Oracle);
        let silent = target.probes.iter().any(|probe| {
            matches!(probe.check.as_ref(), Check::Icmp(echo) if echo.expect == Expect::Silent)
        });
        let told = target.expect() == Expect::Silent;
        assert_eq!(told, label == "ETEINT", "{name}");
        if label == "ETEINT" {
            assert!(silent && target.probes.len() == 1, "{name}");
        } else {
            assert!(decides && !silent, "{name}");
        }
    }
}

#[test]
fn all_equipment_is_watched_to_the_last_piece() {
    let loaded = sample();
    for (name, count) in EQUIPMENT {
        let target = named(&loaded, name);
        let reached: BTreeSet<_> = target
            .probes
            .iter()
            .filter_map(|probe| {
                if let Check::Icmp(echo) = probe.check.as_ref() {
                    Some(echo.addresses.clone())
                } else {
                    None
                }
            })
            .flatten()
            .collect();
        assert_eq!(reached.len(), count, "{name}");
        assert!(!target.probes.is_empty(), "{name}");
    }
    assert_eq!(
        loaded.plant.targets.len(),
        SERVERS.len() + EQUIPMENT.len() + SITES.len(),
        "the sample watches something that the inventory does not name"
    );
}

#[test]
fn the_three_web_sites_are_fetched_and_their_certificates_read() {
    let loaded = sample();
    for url in SITES {
        let probe = loaded
            .plant
            .targets
            .iter()
            .flat_map(|target| &target.probes)
            .find_map(|probe| {
                if let Check::Http(page) = probe.check.as_ref()
                    && page.url == url
                {
                    Some(page)
                } else {
                    None
                }
            })
            .unwrap_or_else(|| panic!("{url}"));
        assert_eq!(probe.certificate_days_left_min, 21);
        assert_eq!(probe.connect_to, None);
    }
}

#[test]
fn the_line_is_proven_by_calls_through_the_gateway() {
    let loaded = sample();
    let line = &loaded.plant.lines[0];
    assert_eq!(
        line.signatures,
        [
            ("*1#".into(), "XIVO 1".into()),
            ("*2#".into(), "XIVO 2".into())
        ]
    );
    let calls: Vec<String> = line
        .proofs
        .iter()
        .map(|proof| {
            let probe = named(&loaded, "Passerelle Patton")
                .probes
                .iter()
                .find(|probe| probe.id == *proof)
                .unwrap_or_else(|| panic!("{proof}"));
            let Check::Call(call) = probe.check.as_ref() else {
                panic!("{proof} is no call");
            };
            assert_eq!(probe.trunk.as_ref().map(|trunk| trunk.as_str()), Some("t2"));
            call.to.split('@').next().unwrap_or_default().to_owned()
        })
        .collect();
    assert_eq!(calls, ["sip:0199001199", "sip:0199001198"]);
    for xivo in ["XIVO 1", "XIVO 2", "XIVO 3 - Administratif"] {
        let kinds: BTreeSet<&str> = named(&loaded, xivo)
            .probes
            .iter()
            .map(|probe| probe.check.kind())
            .collect();
        assert!(
            kinds.is_superset(&["call", "options", "register"].into()),
            "{xivo}: {kinds:?}"
        );
    }
}

#[test]
fn the_sample_stays_within_what_one_service_should_send() {
    let loaded = sample();
    let probes: usize = loaded
        .plant
        .targets
        .iter()
        .map(|target| target.probes.len())
        .sum();
    assert!((90..=150).contains(&probes), "{probes} probes");
    assert_eq!(loaded.warnings, []);
}

#[test]
fn every_address_of_the_sample_is_for_documentation_and_stands_in_a_key_address() {
    for (number, line) in SAMPLE.lines().enumerate() {
        let text = line.split('#').next().unwrap_or_default();
        if text.contains("192.0.2.") {
            assert!(text.contains("address = "), "line {}: {line}", number + 1);
        }
    }
    let loaded = sample();
    for target in &loaded.plant.targets {
        for probe in &target.probes {
            if let Check::Icmp(echo) = probe.check.as_ref() {
                for address in &echo.addresses {
                    assert!(
                        address.to_string().starts_with("192.0.2."),
                        "{}: {address}",
                        target.id
                    );
                }
            }
        }
    }
}

/// Two tests run this plant against a lab by exchanging one prefix for another.
#[test]
fn the_sample_moves_to_loopback_by_one_replacement() {
    let moved = SAMPLE.replace("192.0.2.", "127.0.2.");
    let loaded = config::read("moved", &moved).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    assert_eq!(loaded.plant.targets.len(), sample().plant.targets.len());
}

#[test]
fn every_key_that_the_loader_knows_is_explained_in_the_sample() {
    // A wrong key makes the loader list those it knows; each must stand in the head of the sample.
    let wrong = "[plant]\nzzzz = 1\n[service]\nzzzz = 1\n[vantage]\nzzzz = 1\n[sip]\nzzzz = 1\n\
                 [voice]\nzzzz = 1\n[voice.limits]\nzzzz = 1\njitter_ms = { zzzz = 1 }\n\
                 [evidence]\nzzzz = 1\n[prompts]\nzzzz = 1\n[heartbeat]\nzzzz = 1\n\
                 [alert.m]\nkind = \"mail\"\nzzzz = 1\n[alert.w]\nkind = \"webhook\"\nzzzz = 1\n\
                 [alert.a]\nkind = \"alertmanager\"\nzzzz = 1\n[alert.n]\nkind = \"nagios\"\nzzzz = 1\n\
                 [trunk.t]\nname = \"t\"\nzzzz = 1\n[line.l]\nzzzz = 1\n[target.t]\nzzzz = 1\nprobes = [\n\
                 { kind = \"call\", zzzz = 1 }, { kind = \"register\", zzzz = 1 }, { kind = \"options\", zzzz = 1 },\n\
                 { kind = \"icmp\", zzzz = 1 }, { kind = \"tcp\", zzzz = 1 }, { kind = \"http\", zzzz = 1 },\n\
                 { kind = \"dns\", zzzz = 1 }, { kind = \"plugin\", zzzz = 1 },\n\
                 { kind = \"heartbeat\", zzzz = 1 }]\n";
    let mistakes = config::read("f", wrong).expect_err("zzzz is no key");
    let mut known = BTreeSet::new();
    for mistake in &mistakes {
        if let Some((_, keys)) = mistake.words.split_once("known are ") {
            known.extend(keys.split(", ").map(str::to_owned));
        }
    }
    assert!(known.len() > 60, "{known:?}");
    let missing: Vec<&String> = known
        .iter()
        .filter(|key| {
            !SAMPLE
                .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .any(|word| word == key.as_str())
        })
        .collect();
    assert!(missing.is_empty(), "not explained: {missing:?}");
}

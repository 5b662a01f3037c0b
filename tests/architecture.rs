//! The arrows between the rooms of `src/`, as a test.
//!
//! A room may name the rooms listed for it, and no other; only `io` and `cli` touch the world; a crate
//! that speaks to the world, or that we keep behind one door, is named behind that door alone. Changing
//! a table below is an architectural change and gets its own commit.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Every room may name these.
const FOUNDATION: [&str; 4] = ["time", "wheel", "id", "secret"];

/// Each room and the rooms it may name besides the foundation, lowest first.
const ARROWS: &[(&str, &[&str])] = &[
    ("id", &[]),
    ("secret", &[]),
    ("time", &[]),
    ("wheel", &[]),
    ("audio", &[]),
    ("rtp", &[]),
    ("sdp", &[]),
    ("sip", &[]),
    ("quality", &["rtp", "audio"]),
    ("calls", &["sip", "sdp", "rtp", "audio", "quality"]),
    ("capture", &[]),
    (
        "analysis",
        &["capture", "sip", "sdp", "rtp", "audio", "quality"],
    ),
    ("impair", &["rtp", "audio"]),
    ("load", &["calls"]),
    ("probe", &["calls", "sip", "quality"]),
    ("health", &["probe"]),
    ("schedule", &[]),
    ("incident", &["health", "probe"]),
    ("sla", &["incident", "health", "probe"]),
    ("board", &["incident", "health", "probe"]),
    // The hours, durations and failures of an alert read as those of the page.
    ("alert", &["board", "incident", "health", "probe"]),
    (
        "engine",
        &[
            "alert", "board", "sla", "incident", "health", "schedule", "probe", "load", "quality",
        ],
    ),
    (
        "sim",
        &[
            "engine", "alert", "board", "sla", "incident", "schedule", "health", "probe",
        ],
    ),
    (
        "config",
        &[
            "engine", "alert", "board", "sla", "health", "schedule", "probe", "load", "sip",
            "quality",
        ],
    ),
    ("lab", &["calls", "sip", "sdp", "rtp", "audio"]),
    ("io", ANYTHING),
    ("cli", ANYTHING),
    ("main", &["cli"]),
];

const ANYTHING: &[&str] = &["*"];

/// The floors of `sip`, lowest first: a part names those on floors below its own.
const FLOORS_OF_SIP: &[&[&str]] = &[
    &["wire", "emergency"],
    &["header", "transaction"],
    &["digest", "locate"],
    &["agent"],
    &["dialog"],
    &["call", "options", "register"],
    &["endpoint"],
];

/// Rooms that touch the world: sockets, files, tasks, clocks, the environment.
const SHELL: [&str; 3] = ["io", "cli", "main"];

/// Names that only the shell may write. Chance is allowed from a seed only.
const WORLD: &[&str] = &[
    "std::env",
    "std::fs",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::ToSocketAddrs",
    "std::net::UdpSocket",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
    "Utc::now",
    "Zoned::now",
    "Rng::new",
    "fastrand::bool",
    "fastrand::choice",
    "fastrand::shuffle",
    "fastrand::u16",
    "fastrand::u32",
    "fastrand::u64",
    "fastrand::usize",
    "axum",
    "hickory_resolver",
    "hyper",
    "hyper_util",
    "lettre",
    "libc",
    "nix",
    "rustls",
    "socket2",
    "sqlx",
    "surge_ping",
    "tempfile",
    "tokio",
    "tokio_rustls",
    "tokio_stream",
    "tracing_subscriber",
];

/// Crates kept behind one door, by the path prefixes that may name them.
const DOORS: &[(&str, &[&str])] = &[
    ("rsip", &["sip/wire"]),
    ("rtcp_types", &["rtp"]),
    ("rtp_rs", &["rtp"]),
    ("realfft", &["audio"]),
    ("hound", &["audio"]),
    ("pesq", &["audio"]),
    ("pcap_parser", &["capture"]),
    ("etherparse", &["capture"]),
    ("sdp_types", &["sdp"]),
    ("csv", &["sla/ticket"]),
    ("toml", &["config", "cli"]),
    ("sqlx", &["io/store"]),
    ("askama", &["io/web"]),
    ("axum", &["io/web"]),
    ("lettre", &["io/notify"]),
    ("hmac", &["alert"]),
    ("anyhow", &["cli", "main"]),
    ("clap", &["cli"]),
];

#[test]
fn a_room_names_only_the_rooms_below_it() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut trespasses = Vec::new();
    for file in source_files() {
        let rooms_allowed = allowed.get(file.room.as_str()).copied().unwrap_or_default();
        if rooms_allowed == ANYTHING {
            continue;
        }
        for named in file.rooms_named(&allowed) {
            let free = named == file.room || FOUNDATION.contains(&named.as_str());
            if !free && !rooms_allowed.contains(&named.as_str()) {
                trespasses.push(format!("{} names {named}", file.path));
            }
        }
    }
    assert!(trespasses.is_empty(), "{}", trespasses.join("\n"));
}

#[test]
fn a_part_of_sip_names_only_the_floors_below_it() {
    let floors: BTreeMap<&str, usize> = FLOORS_OF_SIP
        .iter()
        .enumerate()
        .flat_map(|(floor, parts)| parts.iter().map(move |part| (*part, floor)))
        .collect();
    let mut trespasses = Vec::new();
    for file in source_files() {
        let Some(part) = file.part_of("sip") else {
            continue;
        };
        let Some(floor) = floors.get(part) else {
            trespasses.push(format!("{} stands on no floor", file.path));
            continue;
        };
        for named in file.parts_named("sip", &floors) {
            if named != part && floors[named] >= *floor {
                trespasses.push(format!("{} names {named}", file.path));
            }
        }
    }
    assert!(trespasses.is_empty(), "{}", trespasses.join("\n"));
}

#[test]
fn only_the_shell_touches_the_world() {
    let mut trespasses = Vec::new();
    for file in source_files() {
        if SHELL.contains(&file.room.as_str()) {
            continue;
        }
        for name in WORLD {
            if file.writes(name) {
                trespasses.push(format!("{} writes {name}", file.path));
            }
        }
    }
    assert!(trespasses.is_empty(), "{}", trespasses.join("\n"));
}

#[test]
fn a_crate_stays_behind_its_door() {
    let mut trespasses = Vec::new();
    for file in source_files() {
        for (name, doors) in DOORS {
            if !doors.iter().any(|door| file.path.starts_with(door)) && file.writes(name) {
                trespasses.push(format!("{} writes {name}, kept to {doors:?}", file.path));
            }
        }
    }
    assert!(trespasses.is_empty(), "{}", trespasses.join("\n"));
}

#[test]
fn every_room_has_its_row() {
    let rooms: BTreeSet<String> = source_files().into_iter().map(|file| file.room).collect();
    let rows: BTreeSet<String> = ARROWS.iter().map(|(room, _)| room.to_string()).collect();
    assert_eq!(
        rooms, rows,
        "rooms of src/ on the left, rows of ARROWS on the right"
    );
}

#[test]
fn the_reader_of_this_test_sees_what_it_must() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("plain", "use crate::engine::Fact;", &["engine"]),
        (
            "group",
            "use crate::{probe::{Check, call}, health as h};",
            &["health", "probe"],
        ),
        (
            "inline",
            "fn f() -> crate::probe::Verdict { x }",
            &["probe"],
        ),
        (
            "super to the root",
            "use super::super::health::State;",
            &["health"],
        ),
        ("super inside", "use super::Verdict;", &[]),
        ("comment", "// crate::engine\n/// [`crate::engine`]\n", &[]),
        ("text", "const T: &str = \"crate::engine\";", &[]),
        (
            "block comment",
            "/* crate::engine */ use crate::id::Seed;",
            &["id"],
        ),
    ];
    let rooms: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    for (name, text, expected) in cases {
        let file = SourceFile::new("calls/script.rs", text);
        let named: Vec<String> = file.rooms_named(&rooms).into_iter().collect();
        assert_eq!(named, *expected, "{name}");
    }
    assert!(
        SourceFile::new("sip/uac.rs", "let t = std::time::Instant::now();")
            .writes("std::time::Instant")
    );
    assert!(
        SourceFile::new("sip/uac.rs", "use std::time::{Duration, Instant};")
            .writes("std::time::Instant")
    );
    assert!(
        !SourceFile::new("sip/uac.rs", "use std::time::Duration;").writes("std::time::Instant")
    );
    assert!(!SourceFile::new("sip/uac.rs", "let nixed = 1;").writes("nix"));
}

/// One file of `src/`, its comments and texts blanked out.
struct SourceFile {
    /// From `src/` on, with slashes.
    path: String,
    room: String,
    /// How many `super` lead from this file's module to the crate root.
    depth: usize,
    /// Every path written, groups unfolded: `crate::probe::Check`.
    paths: BTreeSet<String>,
}

impl SourceFile {
    fn new(path: &str, text: &str) -> Self {
        let module = path.trim_end_matches(".rs").trim_end_matches("/mod");
        let room = module.split('/').next().unwrap_or(module).to_owned();
        Self {
            path: path.to_owned(),
            room,
            depth: module.split('/').count(),
            paths: unfold(&tokens(&blank(text))),
        }
    }

    fn rooms_named(&self, rooms: &BTreeMap<&str, &[&str]>) -> BTreeSet<String> {
        let to_root = "super::".repeat(self.depth);
        self.paths
            .iter()
            .filter_map(|path| {
                path.strip_prefix("crate::")
                    .or_else(|| path.strip_prefix(&to_root))
            })
            .filter_map(|rest| rest.split("::").next())
            .filter(|room| rooms.contains_key(room))
            .map(str::to_owned)
            .collect()
    }

    /// The part of `room` that this file belongs to; `None` for other rooms and the room's own `mod.rs`.
    fn part_of(&self, room: &str) -> Option<&str> {
        let inside = self.path.strip_prefix(room)?.strip_prefix('/')?;
        let part = inside.split('/').next()?.trim_end_matches(".rs");
        (part != "mod").then_some(part)
    }

    /// The parts of its own `room` that this file names.
    fn parts_named<'p>(&self, room: &str, parts: &BTreeMap<&'p str, usize>) -> BTreeSet<&'p str> {
        let from_root = format!("crate::{room}::");
        let to_room = "super::".repeat(self.depth - 1);
        self.paths
            .iter()
            .filter_map(|path| {
                path.strip_prefix(&from_root)
                    .or_else(|| path.strip_prefix(&to_room))
            })
            .filter_map(|rest| rest.split("::").next())
            .filter_map(|name| parts.get_key_value(name).map(|(part, _)| *part))
            .collect()
    }

    /// Whether some path is `name`, lies below it, or ends in it at a word's border.
    fn writes(&self, name: &str) -> bool {
        self.paths.iter().any(|path| {
            path == name
                || path.starts_with(&format!("{name}::"))
                || (name.contains("::") && path.ends_with(&format!("::{name}")))
        })
    }
}

fn source_files() -> Vec<SourceFile> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = vec![src.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of src/") {
            let path = entry.expect("an entry of src/").path();
            let name = path
                .strip_prefix(&src)
                .expect("below src/")
                .to_string_lossy()
                .into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".rs") && name != "lib.rs" {
                let text = fs::read_to_string(&path).expect("a source file in UTF-8");
                files.push(SourceFile::new(&name, &text));
            }
        }
    }
    assert!(files.len() > 30, "the source tree was not found");
    files
}

/// The text with comments, strings and character literals turned into spaces.
fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(hashes) = raw_string_hashes(rest) {
            let close = format!("\"{}", "#".repeat(hashes));
            let open = hashes + 2;
            rest[open..]
                .find(&close)
                .map_or(rest.len(), |end| open + end + close.len())
        } else if first == '"' {
            string_length(rest)
        } else if first == '\'' {
            char_length(rest)
        } else {
            0
        };
        if skipped > 0 {
            out.push(' ');
            rest = &rest[skipped..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// `r#"` opens a raw string with one hash; a name that ends in r is none, and no path needs telling them apart.
fn raw_string_hashes(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix('r')?;
    let hashes = after.bytes().take_while(|byte| *byte == b'#').count();
    after[hashes..].starts_with('"').then_some(hashes)
}

fn string_length(rest: &str) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Length of `'x'` or `'\x'`; 0 for a lifetime.
fn char_length(rest: &str) -> usize {
    let mut characters = rest.char_indices().skip(1);
    match characters.next() {
        Some((_, '\\')) => rest[2..]
            .char_indices()
            .skip(1)
            .find(|(_, c)| *c == '\'')
            .map_or(0, |(at, _)| at + 3),
        Some(_) => match characters.next() {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
        None => 0,
    }
}

/// Words, `::`, braces and commas; everything else becomes one separator.
fn tokens(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character.is_alphanumeric() || character == '_' {
            let mut word = String::from(character);
            while let Some(next) = characters.next_if(|c| c.is_alphanumeric() || *c == '_') {
                word.push(next);
            }
            out.push(word);
        } else if character == ':' && characters.peek() == Some(&':') {
            characters.next();
            out.push("::".to_owned());
        } else if character.is_whitespace() {
            // Whitespace parts words and nothing else: `crate :: x` is a path.
        } else {
            out.push(character.to_string());
        }
    }
    out
}

/// All paths in the tokens, `a::{b, c::d}` as `a::b` and `a::c::d`.
fn unfold(tokens: &[String]) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    let mut at = 0;
    while at < tokens.len() {
        if is_word(&tokens[at]) {
            at = path_from(tokens, at, "", &mut paths);
        } else {
            at += 1;
        }
    }
    paths
}

/// Reads one path that begins at `at`, with its groups; returns where it ends.
fn path_from(
    tokens: &[String],
    mut at: usize,
    prefix: &str,
    paths: &mut BTreeSet<String>,
) -> usize {
    let mut path = format!("{prefix}{}", tokens[at]);
    at += 1;
    while tokens.get(at).is_some_and(|token| token == "::") {
        match tokens.get(at + 1) {
            Some(word) if is_word(word) => {
                path = format!("{path}::{word}");
                at += 2;
            }
            Some(brace) if brace == "{" => {
                at += 2;
                let prefix = format!("{path}::");
                while tokens.get(at).is_some_and(|token| token != "}") {
                    if is_word(&tokens[at]) {
                        at = path_from(tokens, at, &prefix, paths);
                    } else {
                        at += 1;
                    }
                }
                return at + 1;
            }
            _ => break,
        }
    }
    paths.insert(path);
    at
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

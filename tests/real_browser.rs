//! The page in a real Chromium: an outage is seen without a reload, a lost link is told, nothing is
//! asked of anybody else, and it reads on a telephone and without scripts.
#![expect(
    clippy::print_stdout,
    reason = "the seconds are what these tests are for"
)]

use std::fs;
use std::time::Duration;

use crate::support::browser::Browser;
use crate::support::demo::Demo;
use crate::support::namespace::enter_own_network;
use crate::support::patience::{look_for, wait_for};

/// What the demonstration promises, from the fault to the page.
const SEEN_WITHIN: Duration = Duration::from_secs(12);

/// From mended to a page that says so: two good calls, after the pause of a trunk in a crisis.
const MENDED_WITHIN: Duration = Duration::from_secs(40);

const ADDRESS: &str = "127.0.0.1:8119";

fn demo() -> Demo {
    enter_own_network();
    Demo::start(ADDRESS)
}

/// The big answer, the sentence under it, and the names of all that is red.
#[derive(Debug, PartialEq)]
struct Seen {
    word: String,
    because: String,
    red: Vec<String>,
}

fn look(browser: &Browser) -> Seen {
    // In one step of the browser: the page is written anew every second.
    let seen = browser.script(
        "return [document.getElementById('answer').innerText, \
         document.getElementById('because').innerText, \
         ...[...document.querySelectorAll('tr:has(.state.down) th')].map(th => th.firstChild.data.trim())]",
    );
    let mut texts = seen
        .as_array()
        .unwrap_or_else(|| panic!("no page: {seen}"))
        .iter()
        .map(|text| text.as_str().unwrap_or_default().to_owned());
    Seen {
        word: texts.next().unwrap_or_default(),
        because: texts.next().unwrap_or_default(),
        red: texts.collect(),
    }
}

fn is_well(seen: &Seen) -> bool {
    seen.word == "● OUI" && seen.red.is_empty()
}

fn wait_until_well(browser: &Browser) -> Duration {
    let ((), took) = wait_for("a page that says OUI", MENDED_WITHIN, || {
        is_well(&look(browser)).then_some(())
    });
    took
}

#[test]
#[ignore = "needs Chromium: tests/run peers"]
fn every_fault_of_xivo_1_is_on_the_open_page_within_twelve_seconds() {
    enter_own_network();
    let browser = Browser::open();
    let by_the_backup = "Les appels sont pris par le secours, XIVO 2.";
    let as_ever = "La ligne 119, accueil répond à nos appels d’essai.";
    let mute = "La ligne 119, accueil décroche, mais on n’entend rien.";
    for (fault, word, because, red) in [
        ("kill", "▲ OUI", by_the_backup, &["XIVO 1"][..]),
        ("hang", "▲ OUI", by_the_backup, &["XIVO 1"]),
        ("reject", "▲ OUI", by_the_backup, &["XIVO 1"]),
        // Its calls are answered, late; what hears it directly gives up before.
        ("slow", "● OUI", as_ever, &["XIVO 1"]),
        // The gateway sees XIVO 1 answer, and does not hunt on: callers hear nothing.
        ("drop-rtp", "■ NON", mute, &["119, accueil", "XIVO 1"]),
    ] {
        // A plant of its own for each: one that has just seen four outages is watched as a flapping one.
        let demo = Demo::start(ADDRESS);
        browser.go(&demo.url("/"));
        wait_until_well(&browser);
        browser.script("window.never_reloaded = true");
        let expected = Seen {
            word: word.into(),
            because: because.into(),
            red: red.iter().map(|&name| name.into()).collect(),
        };
        demo.fault("xivo1", fault);
        let mut seen = look(&browser);
        let found = look_for(SEEN_WITHIN, || {
            seen = look(&browser);
            (seen == expected).then_some(())
        });
        let Some(((), took)) = found else {
            panic!("{fault}: not {expected:?} within {SEEN_WITHIN:?}, but {seen:?}");
        };
        let broken = browser.text(".broken");
        assert!(broken.starts_with("En panne : XIVO 1, depuis "), "{broken}");
        demo.fault("xivo1", "restore");
        let mended = wait_until_well(&browser);
        println!(
            "{fault:8}  on the page after {:4.1} s, well again after {:4.1} s",
            took.as_secs_f64(),
            mended.as_secs_f64()
        );
        assert_eq!(browser.script("return window.never_reloaded"), true);
        let complaints = browser.complaints();
        assert!(complaints.is_empty(), "{complaints:#?}");
        for url in browser.requests() {
            assert!(url.starts_with(&demo.url("/")), "{url} is not ours");
        }
    }
}

/// `VIGIE_PICTURE=FILE` keeps it: the picture of the README.
#[test]
#[ignore = "needs Chromium: tests/run peers"]
fn the_picture_of_the_readme_is_what_chromium_shows() {
    let demo = demo();
    let browser = Browser::open();
    browser.go(&demo.url("/"));
    wait_until_well(&browser);
    demo.fault("xivo1", "kill");
    wait_for("calls taken by the backup", SEEN_WITHIN, || {
        let seen = look(&browser);
        (seen.word == "▲ OUI" && seen.red == ["XIVO 1"]).then_some(())
    });
    browser.resize(1280, 900);
    let picture = browser.picture();
    assert!(picture.len() < 150_000, "{} bytes", picture.len());
    if let Ok(file) = std::env::var("VIGIE_PICTURE") {
        fs::write(&file, picture).expect("to write the picture");
        println!("the picture is in {file}");
    }
}

#[test]
#[ignore = "needs Chromium: tests/run peers"]
fn the_buttons_of_the_demonstration_break_and_mend() {
    let demo = demo();
    let (buttons, page) = (Browser::open(), Browser::open());
    page.go(&demo.url("/"));
    wait_until_well(&page);
    buttons.go(&demo.url("/"));
    buttons.click("a[href='/demo']");
    wait_for("the page with the buttons", SEEN_WITHIN, || {
        (buttons.text("h1") == "Provoquer une panne").then_some(())
    });
    let button = |server: &str, fault: &str| {
        format!(
            "form:has(input[name=server][value={server}]):has(input[name=fault][value={fault}]) button"
        )
    };

    buttons.click(&button("xivo2", "kill"));
    let ((), took) = wait_for("XIVO 2 en panne", SEEN_WITHIN, || {
        (look(&page).red == ["XIVO 2"]).then_some(())
    });
    assert_eq!(look(&page).word, "● OUI", "XIVO 1 takes the calls");
    println!(
        "a click is on the other page after {:.1} s",
        took.as_secs_f64()
    );
    assert_eq!(buttons.text("h1"), "Provoquer une panne", "still there");
    buttons.click(&button("xivo2", "restore"));
    wait_until_well(&page);
    let complaints = buttons.complaints();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
#[ignore = "needs Chromium: tests/run peers"]
fn without_scripts_the_page_follows_by_itself() {
    let demo = demo();
    let (with, without) = (Browser::open(), Browser::without_scripts());
    with.go(&demo.url("/"));
    wait_until_well(&with);
    without.go(&demo.url("/"));
    assert_eq!(without.text("#answer"), "● OUI");
    demo.fault("xivo1", "kill");
    let (because, took) = wait_for(
        "the backup on the page without scripts",
        SEEN_WITHIN,
        || {
            // The page reloads itself under our eyes: for a moment there may be none.
            let because = without.text("#because");
            because.contains("XIVO 2").then_some(because)
        },
    );
    println!(
        "without scripts it is on the page after {:.1} s",
        took.as_secs_f64()
    );
    assert_eq!(because, look(&with).because, "the same answer");
    assert_eq!(without.text("#answer"), "▲ OUI");

    let requests = without.requests();
    let live = requests
        .iter()
        .any(|url| url.contains("/live") || url.contains(".js"));
    assert!(!live, "its scripts are off: {requests:?}");
    let loads = requests.iter().filter(|url| **url == demo.url("/")).count();
    assert!(loads >= 2, "it loads itself anew: {requests:?}");
}

#[test]
#[ignore = "needs Chromium: tests/run peers"]
fn a_dead_watchdog_is_told_by_the_open_page_and_never_a_yes() {
    let mut demo = demo();
    let browser = Browser::open();
    browser.go(&demo.url("/"));
    wait_until_well(&browser);
    browser.script("window.never_reloaded = true");
    demo.cut_off();
    let (lost, took) = wait_for("a word on the lost link", SEEN_WITHIN, || {
        let lost = browser.text("#lost");
        (!lost.is_empty()).then_some(lost)
    });
    println!(
        "the open page tells the lost link after {:.1} s",
        took.as_secs_f64()
    );
    assert!(
        lost.starts_with("Liaison perdue : informations de "),
        "{lost}"
    );
    let page = browser.text("body");
    assert!(page.contains("ON NE SAIT PAS"), "{page}");
    assert!(!page.contains("OUI"), "{page}");
    assert!(
        !page.contains("il y a 0 s"),
        "no age that stands still: {page}"
    );

    // The same page, when the watchdog is back.
    drop(demo);
    let _back = Demo::start(ADDRESS);
    let mended = wait_until_well(&browser);
    println!(
        "and is live again {:.1} s after the service",
        mended.as_secs_f64()
    );
    assert_eq!(browser.text("#lost"), "");
    assert_eq!(browser.script("return window.never_reloaded"), true);
}

#[test]
#[ignore = "needs Chromium: tests/run peers"]
fn both_pages_fit_a_telephone_and_a_wall() {
    let demo = demo();
    let browser = Browser::open();
    browser.go(&demo.url("/"));
    wait_until_well(&browser);
    // The page with the longest words on it.
    demo.fault("xivo1", "kill");
    wait_for("the outage on the page", SEEN_WITHIN, || {
        (!look(&browser).red.is_empty()).then_some(())
    });
    for path in ["/", "/demo"] {
        browser.go(&demo.url(path));
        for width in [320, 768, 1280, 1920] {
            browser.resize(width, 800);
            let wide = browser.script("return document.documentElement.scrollWidth");
            assert_eq!(wide, width, "{path} at {width}");
        }
    }
}

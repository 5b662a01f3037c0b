//! The supervisor's page: one word, who is hit, since when, last proof, and how old all of it is.

use askama::Template;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::{Age, Pages};
use crate::board::view::{Answer, LineView, TargetView, View};
use crate::board::words_fr::{hour, in_service, lasting};
use crate::probe::Word;
use crate::time::Utc;

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    board: String,
    vantage: &'a str,
    demo: bool,
}

#[derive(Template)]
#[template(path = "board.html")]
struct Board<'a> {
    plant: &'a str,
    answer: Answer,
    because: &'a str,
    since: Since,
    stale: bool,
    shown_at: String,
    age: String,
    own_faults: Vec<&'a str>,
    lines: Vec<Row<'a>>,
    telephony: Vec<Row<'a>>,
    rest: Vec<Group<'a>>,
}

/// A moment with its distance: `13:58:07 (12 min)`.
struct Since {
    hour: String,
    lasting: String,
}

/// One line or target as a row of a table.
struct Row<'a> {
    name: &'a str,
    note: String,
    state: Word,
    word: &'static str,
    confirmed: bool,
    unstable: bool,
    since: Since,
    proof: Option<Since>,
    why: String,
}

/// The targets of one folder of the inventory.
struct Group<'a> {
    name: &'a str,
    /// How many are in service.
    summary: String,
    /// Something in it is not as it should be.
    open: bool,
    rows: Vec<Row<'a>>,
}

pub(super) async fn page(State(pages): State<Pages>) -> Response {
    let page = board(&pages.view()).and_then(|board| {
        Page {
            board,
            vantage: &pages.vantage,
            demo: pages.lab.is_some(),
        }
        .render()
    });
    answer(page)
}

/// The part that changes, for readers without a live stream.
pub(super) async fn fragment(State(pages): State<Pages>) -> Response {
    answer(board(&pages.view()))
}

pub(super) async fn style() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/css; charset=utf-8")],
        include_str!("static/board.css"),
    )
}

pub(super) async fn script() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")],
        include_str!("static/board.js"),
    )
}

fn answer(page: askama::Result<String>) -> Response {
    match page {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Renders what changes, as it is true now.
pub(super) fn board(view: &View) -> askama::Result<String> {
    render(view, &Age::of(view))
}

fn render(view: &View, age: &Age) -> askama::Result<String> {
    let since = |at| Since {
        hour: hour(at, age.now),
        lasting: lasting(age.now.since(at)),
    };
    let row = |target| target_row(target, &since);
    let stale = age.is_stale();
    let (telephony, others): (Vec<_>, Vec<_>) = view
        .targets
        .iter()
        .partition(|target| target.group == TELEPHONY);
    Board {
        plant: &view.plant,
        answer: if stale { Answer::Unknown } else { view.answer },
        because: if stale {
            "La surveillance n’a plus rien publié : ce qui suit n’est plus à jour."
        } else {
            &view.because
        },
        since: since(if stale { view.at } else { view.since }),
        stale,
        shown_at: hour(view.at, age.now),
        age: lasting(age.seconds),
        own_faults: view
            .own_faults
            .iter()
            .map(|fault| fault.words.as_str())
            .collect(),
        lines: view
            .lines
            .iter()
            .map(|line| line_row(line, &since))
            .collect(),
        telephony: telephony.into_iter().map(row).collect(),
        rest: groups(&others, row),
    }
    .render()
}

/// Folder of the inventory that is shown beside the lines.
const TELEPHONY: &str = "Téléphonie";

fn line_row<'a>(line: &'a LineView, since: &impl Fn(Utc) -> Since) -> Row<'a> {
    Row {
        name: &line.name,
        note: line
            .answered_by
            .as_ref()
            .map(|pbx| format!("répond : {pbx}"))
            .unwrap_or_default(),
        state: line.state,
        word: line.state.word_fr(),
        confirmed: true,
        unstable: line.unstable,
        since: since(line.since),
        proof: line.last_proof.map(since),
        why: line
            .failure
            .as_ref()
            .map(|failure| failure.words.clone())
            .unwrap_or_default(),
    }
}

fn target_row<'a>(target: &'a TargetView, since: &impl Fn(Utc) -> Since) -> Row<'a> {
    let why = match (&target.because_of, &target.failure) {
        (Some(parent), _) => format!("à cause de {parent}"),
        (None, Some(failure)) => failure.words.clone(),
        (None, None) => String::new(),
    };
    Row {
        name: &target.name,
        note: target.description.clone(),
        state: target.state,
        word: target.word_fr(),
        confirmed: target.confirmed,
        unstable: target.unstable,
        since: since(target.since),
        proof: target.last_proof.map(since),
        why,
    }
}

/// Groups in the order of the inventory, what is not good first within each.
fn groups<'a>(
    targets: &[&'a TargetView],
    row: impl Fn(&'a TargetView) -> Row<'a>,
) -> Vec<Group<'a>> {
    let mut folders: Vec<(&'a str, Vec<&'a TargetView>)> = Vec::new();
    for target in targets {
        match folders.iter_mut().find(|(name, _)| *name == target.group) {
            Some((_, inside)) => inside.push(target),
            None => folders.push((&target.group, vec![target])),
        }
    }
    folders
        .into_iter()
        .map(|(name, mut inside)| {
            inside.sort_by_key(|target| target.state == Word::Good);
            Group {
                name,
                summary: in_service(&inside),
                open: inside.iter().any(|target| target.state != Word::Good),
                rows: inside.into_iter().map(&row).collect(),
            }
        })
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::probe::icmp::Expect;
    use crate::probe::{Blame, Failure};
    use crate::time::{Instant, Now};

    const NOON: Utc = Utc(1_795_521_600_000_000_000);

    pub(in crate::io::web) fn a_view() -> View {
        View {
            at: NOON,
            made: Instant(0),
            fact: 12,
            plant: "119".into(),
            answer: Answer::Yes,
            because: "Les appels aboutissent.".into(),
            since: NOON,
            lines: vec![LineView {
                id: "accueil".into(),
                name: "119, accueil".into(),
                state: Word::Good,
                unstable: false,
                since: NOON,
                last_proof: Some(NOON),
                answered_by: Some("XIVO 1".into()),
                failure: None,
            }],
            targets: vec![TargetView {
                id: "xivo2".into(),
                name: "XIVO 2".into(),
                group: TELEPHONY.into(),
                description: "<b>backup</b>".into(),
                label: "PROD".into(),
                support: "HNO".into(),
                hds: false,
                expect: Expect::Answer,
                state: Word::Down,
                confirmed: true,
                unstable: false,
                since: NOON,
                last_proof: None,
                failure: Some(Failure::new(
                    Blame::Silent,
                    "no_answer",
                    "no answer to INVITE",
                )),
                because_of: None,
                probes: Vec::new(),
            }],
            own_faults: Vec::new(),
        }
    }

    fn shown(view: &View, later: u64) -> String {
        let made = Now {
            instant: view.made,
            utc: view.at,
        };
        let now = made.after(Duration::from_secs(later));
        render(view, &Age::at(view, now)).unwrap()
    }

    #[test]
    fn a_fresh_page_says_yes_and_tells_its_age() {
        let page = shown(&a_view(), 2);
        assert!(page.contains("OUI"), "{page}");
        assert!(page.contains("il y a 2 s"), "{page}");
        assert!(page.contains("répond : XIVO 1"), "{page}");
    }

    #[test]
    fn a_stale_page_does_not_say_yes() {
        let page = shown(&a_view(), 30);
        assert!(page.contains("ON NE SAIT PAS"), "{page}");
        assert!(!page.contains("OUI"), "{page}");
    }

    #[test]
    fn a_machine_that_is_off_on_purpose_is_told_as_such() {
        let mut view = a_view();
        view.targets[0].group = "Windows".into();
        view.targets[0].state = Word::Good;
        view.targets[0].expect = Expect::Silent;
        let page = shown(&view, 0);
        assert!(page.contains("éteint, comme prévu"), "{page}");
        assert!(
            page.contains("Windows : 1 hors service comme prévu"),
            "{page}"
        );
    }

    #[test]
    fn names_from_the_configuration_cannot_write_markup() {
        let page = shown(&a_view(), 0);
        assert!(!page.contains("<b>backup</b>"), "{page}");
    }
}

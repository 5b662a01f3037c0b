//! The supervisor's page: one word, who is hit, since when, last proof, and how old all of it is.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::{Age, Pages};
use crate::board::view::{Answer, LineView, TargetView, View};
use crate::board::words_fr::{hour, in_service, lasting, seen_from};
use crate::id::VantageId;
use crate::probe::{Failure, Word};
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
    /// How the answer looks: a yes that leans on the backup is not painted like any other.
    look: Word,
    because: &'a str,
    /// What is down by its own fault, for the big answer.
    down: Vec<Named<'a>>,
    more_down: usize,
    since: Since,
    stale: bool,
    shown_at: String,
    age: String,
    own_faults: Vec<Why>,
    /// Places of ours to be looked at: `4g, vpn`.
    suspects: String,
    lines: Vec<Row<'a>>,
    telephony: Vec<Row<'a>>,
    rest: Vec<Group<'a>>,
}

/// A moment with its distance: `13:58:07 (12 min)`.
struct Since {
    hour: String,
    lasting: String,
}

/// A target beside the big answer.
struct Named<'a> {
    name: &'a str,
    since: Since,
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
    why: Option<Why>,
    /// What each place sees, where they do not agree.
    seen_from: String,
}

/// What is wrong, for the supervisor, and for the engineer who points at it.
struct Why {
    french: String,
    english: String,
}

impl From<&Failure> for Why {
    fn from(failure: &Failure) -> Self {
        Self {
            french: failure.words_fr(),
            english: failure.words.clone(),
        }
    }
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

pub(super) async fn icon() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "image/svg+xml")],
        include_str!("static/icon.svg"),
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
    let row = |target| target_row(target, &view.targets, &since);
    let stale = age.is_stale();
    let answer = if stale { Answer::Unknown } else { view.answer };
    let down = if stale {
        Vec::new()
    } else {
        down(&view.targets, &since)
    };
    let (telephony, others): (Vec<_>, Vec<_>) = view
        .targets
        .iter()
        .partition(|target| target.group == TELEPHONY);
    Board {
        plant: &view.plant,
        answer,
        look: look(answer, &view.lines),
        because: if stale {
            "La surveillance n’a plus rien publié : ce qui suit n’est plus à jour."
        } else {
            &view.because
        },
        more_down: down.len().saturating_sub(NAMED_MAX),
        down: down.into_iter().take(NAMED_MAX).collect(),
        since: since(if stale { view.at } else { view.since }),
        stale,
        shown_at: hour(view.at, age.now),
        age: lasting(age.seconds),
        own_faults: view.own_faults.iter().map(Why::from).collect(),
        suspects: suspects(view),
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

/// Calls are taken, and somebody should still look: that is told by another shape and colour.
fn look(answer: Answer, lines: &[LineView]) -> Word {
    let leans = lines.iter().any(|line| line.state == Word::Degraded);
    if answer == Answer::Yes && leans {
        Word::Degraded
    } else {
        answer.word()
    }
}

/// What is down and nobody else's fault, in the order of the inventory.
fn down<'a>(targets: &'a [TargetView], since: &impl Fn(Utc) -> Since) -> Vec<Named<'a>> {
    targets
        .iter()
        .filter(|target| target.state == Word::Down && target.because_of.is_none())
        .map(|target| Named {
            name: &target.name,
            since: since(target.since),
        })
        .collect()
}

/// More names than this beside the big word are not read any more; the tables have them all.
const NAMED_MAX: usize = 4;

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
        confirmed: line.confirmed,
        unstable: line.unstable,
        since: since(line.since),
        proof: line.last_proof.map(since),
        why: line.failure.as_ref().map(Why::from),
        seen_from: disagreement(&line.seen_from),
    }
}

fn target_row<'a>(
    target: &'a TargetView,
    all: &[TargetView],
    since: &impl Fn(Utc) -> Since,
) -> Row<'a> {
    let mut why = target.failure.as_ref().map(Why::from);
    if let Some(parent) = &target.because_of {
        let known = all.iter().find(|one| one.id == *parent);
        let name = known.map_or(parent.as_str(), |parent| parent.name.as_str());
        why = Some(Why {
            french: format!("à cause de {name}"),
            english: why.map(|why| why.english).unwrap_or_default(),
        });
    }
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
        seen_from: disagreement(&target.seen_from),
    }
}

fn suspects(view: &View) -> String {
    let names: Vec<&str> = view.suspects().into_iter().map(VantageId::as_str).collect();
    names.join(", ")
}

/// Who sees it how. All places saying one thing is the usual, and needs no words.
fn disagreement(places: &BTreeMap<VantageId, Word>) -> String {
    let mut words = places.values();
    let first = words.next();
    if words.all(|word| Some(word) == first) {
        return String::new();
    }
    seen_from(places)
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
    use crate::health::SEEN_FROM_SOME_PLACES;
    use crate::probe::Blame;
    use crate::probe::icmp::Expect;
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
                confirmed: true,
                unstable: false,
                since: NOON,
                last_proof: Some(NOON),
                answered_by: Some("XIVO 1".into()),
                failure: None,
                seen_from: BTreeMap::new(),
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
                seen_from: BTreeMap::new(),
                probes: Vec::new(),
            }],
            incidents: Vec::new(),
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
        assert!(page.contains("il y a 2\u{a0}s"), "{page}");
        assert!(page.contains("répond : XIVO 1"), "{page}");
    }

    #[test]
    fn a_yes_by_the_backup_names_what_is_down_and_does_not_look_like_any_other() {
        let mut view = a_view();
        assert!(shown(&view, 0).contains("answer good"));
        view.lines[0].state = Word::Degraded;
        let page = shown(&view, 0);
        assert!(page.contains("answer degraded"), "{page}");
        assert!(page.contains("En panne : XIVO 2"), "{page}");
        assert!(page.contains("ne répond pas"), "{page}");
    }

    #[test]
    fn what_a_parent_explains_is_told_by_the_name_of_the_parent() {
        let mut view = a_view();
        let mut child = view.targets[0].clone();
        child.id = "phones".into();
        child.because_of = Some("xivo2".into());
        view.targets.push(child);
        assert!(shown(&view, 0).contains("à cause de XIVO 2"));
    }

    #[test]
    fn who_sees_it_is_told_where_places_do_not_agree_and_names_the_suspect() {
        let mut view = a_view();
        let line = &mut view.lines[0];
        line.seen_from = [("4g".into(), Word::Good), ("salle".into(), Word::Good)].into();
        let page = shown(&view, 0);
        assert!(!page.contains("vu de"), "all agree: {page}");
        let line = &mut view.lines[0];
        line.seen_from.insert("4g".into(), Word::Down);
        line.failure = Some(Failure::new(Blame::Ours, SEEN_FROM_SOME_PLACES, ""));
        let page = shown(&view, 0);
        assert!(
            page.contains("vu de 4g : en panne ; salle : en service"),
            "{page}"
        );
        assert!(
            page.contains("Point de vue suspect, à vérifier d’abord : 4g"),
            "{page}"
        );
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

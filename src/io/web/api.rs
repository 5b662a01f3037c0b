//! The API for machines: the status of the plant in JSON, and the health of the watchdog itself.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::{Age, Pages};
use crate::board::view::View;
use crate::id::VantageId;

#[derive(Serialize)]
struct Status<'a> {
    /// The view is younger than five seconds; else nothing below may be believed.
    fresh: bool,
    age_ms: u128,
    /// Where the plant is watched from: two watchdogs may see two truths.
    vantage: &'a str,
    /// Places that see something fail which works from the others.
    suspect: BTreeSet<&'a VantageId>,
    #[serde(flatten)]
    view: &'a View,
}

/// `GET /api/v1/status`: the whole view, each target with `verdict` good, degraded, down or blind.
pub(super) async fn status(State(pages): State<Pages>) -> Response {
    let view = pages.view();
    let age = Age::of(&view);
    Json(Status {
        fresh: !age.is_stale(),
        age_ms: age.seconds.as_millis(),
        vantage: &pages.vantage,
        suspect: view.suspects(),
        view: &view,
    })
    .into_response()
}

/// `GET /api/v1/incidents`: those that are not closed, with their clocks; older ones are in the journal.
pub(super) async fn incidents(State(pages): State<Pages>) -> Response {
    Json(&pages.view().incidents).into_response()
}

#[derive(Serialize)]
struct Health<'a> {
    ok: bool,
    age_ms: u128,
    faults: Vec<&'a str>,
}

/// `GET /healthz`: 200 while the watchdog sees, 503 with its own faults when it does not.
pub(super) async fn health(State(pages): State<Pages>) -> Response {
    let view = pages.view();
    let age = Age::of(&view);
    let ok = !age.is_stale() && view.own_faults.is_empty();
    let health = Health {
        ok,
        age_ms: age.seconds.as_millis(),
        faults: view
            .own_faults
            .iter()
            .map(|fault| fault.words.as_str())
            .collect(),
    };
    let status = if ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(health)).into_response()
}

//! The demonstration page: buttons that break the embedded lab. A real service does not have it.

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::Pages;
use crate::lab::fault::{Fault, Server};

/// Where faults for the embedded lab are sent.
#[derive(Clone, Debug)]
pub struct LabControl(pub mpsc::Sender<(Server, Fault)>);

#[derive(Template)]
#[template(path = "demo.html")]
struct Demo {
    servers: Vec<Buttons>,
}

/// What can happen to one server: the fault's name and the words on its button.
struct Buttons {
    server: &'static str,
    faults: Vec<(&'static str, &'static str)>,
}

#[derive(Deserialize)]
pub(super) struct Wish {
    server: String,
    fault: String,
}

pub(super) async fn page() -> Response {
    let demo = Demo {
        servers: Server::ALL.into_iter().map(buttons).collect(),
    };
    demo.render().map_or_else(
        |_| StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        |html| Html(html).into_response(),
    )
}

fn buttons(server: Server) -> Buttons {
    let faults = Fault::ALL.into_iter().filter(|fault| fault.hits(server));
    Buttons {
        server: server.name(),
        faults: faults
            .map(|fault| (fault.name(), fault.words_fr()))
            .collect(),
    }
}

/// Breaks or restores one server; a browser is sent back to the buttons, a script gets 204.
pub(super) async fn fault(
    State(pages): State<Pages>,
    headers: HeaderMap,
    Form(wish): Form<Wish>,
) -> Response {
    let (server, fault) = match (wish.server.parse::<Server>(), wish.fault.parse::<Fault>()) {
        (Ok(server), Ok(fault)) => (server, fault),
        (Err(unknown), _) | (_, Err(unknown)) => {
            return (StatusCode::BAD_REQUEST, unknown.to_string()).into_response();
        }
    };
    let Some(LabControl(lab)) = pages.lab else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if !fault.hits(server) {
        let words = format!("{server} carries no sound: {fault} is for a XIVO");
        return (StatusCode::UNPROCESSABLE_ENTITY, words).into_response();
    }
    if lab.send((server, fault)).await.is_err() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "the embedded lab has stopped",
        )
            .into_response();
    }
    let browser = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if browser {
        Redirect::to("/demo").into_response()
    } else {
        StatusCode::NO_CONTENT.into_response()
    }
}

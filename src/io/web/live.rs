//! The live stream: the changing part of the page, already written, by server-sent events.
//!
//! One event for each published view, at least every second, so that silence on the stream means that
//! the page is no longer true. The client needs no rule of ours: it replaces and shows its age.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use axum::{Extension, response::IntoResponse};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt};

use super::{Pages, board};
use crate::board::view::View;

/// Becomes true when the server stops; every stream ends then.
#[derive(Clone, Debug)]
pub(super) struct Closed(pub(super) watch::Receiver<bool>);

pub(super) async fn stream(
    State(pages): State<Pages>,
    Extension(Closed(closed)): Extension<Closed>,
) -> impl IntoResponse {
    Sse::new(events(pages, closed)).keep_alive(
        KeepAlive::new()
            .interval(Duration::from_secs(15))
            .text("still here"),
    )
}

fn events(
    pages: Pages,
    closed: watch::Receiver<bool>,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let views = WatchStream::new(pages.view).map(Some);
    let end = WatchStream::new(closed)
        .filter(|closed| *closed)
        .map(|_| None);
    views
        .merge(end)
        .take_while(Option::is_some)
        .filter_map(|view| view.and_then(|view| event(&view)))
        .map(Ok)
}

/// The event of a view; one that cannot be written is skipped, and the page ages.
fn event(view: &View) -> Option<Event> {
    match board::board(view) {
        Ok(html) => Some(
            Event::default()
                .event("board")
                .id(view.fact.to_string())
                .data(html),
        ),
        Err(error) => {
            tracing::error!(%error, "the live page could not be written");
            None
        }
    }
}

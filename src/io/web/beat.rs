//! `POST /api/v1/beat/TARGET/PROBE`: somebody says that he lives (`io::beats`).
//!
//! What he adds stands in the query, in a form, in JSON or as plain text: `status` (ok, degraded, failed) and `text`.
//! Other names are left alone, so that the heartbeat of another vigie may come as it is.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use super::Pages;
use crate::id::ProbeId;
use crate::io::beats::Refused;
use crate::io::clock;
use crate::probe::heartbeat::{Beat, Status, tidy};

/// A status and a sentence; what is longer is a log, and belongs elsewhere.
pub(super) const BODY_BYTES_MAX: usize = 4096;

/// What a sender says besides that he lives.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Told {
    status: Option<String>,
    text: Option<String>,
}

#[derive(Serialize)]
struct Heard {
    probe: ProbeId,
    /// Silence from then on is an alarm.
    next_before: String,
    within_s: u64,
}

/// RFC 9457.
#[derive(Serialize)]
struct Problem {
    title: &'static str,
    status: u16,
    detail: String,
}

pub(super) async fn receive(
    State(pages): State<Pages>,
    Path(probe): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let probe = ProbeId::from(probe.as_str());
    let now = clock::now();
    if let Err(refused) = pages.beats.admit(&probe, bearer(&headers)) {
        return refused.into_response();
    }
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return problem(rejection.status(), rejection.body_text()),
    };
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let told = Told::default()
        .with_form(query.unwrap_or_default().as_bytes())
        .with_body(kind, &body);
    let beat = told.and_then(|told| told.beat(now.instant));
    let beat = match beat {
        Ok(beat) => beat,
        Err((status, words)) => return problem(status, words),
    };
    match pages.beats.hear(&probe, beat) {
        Ok(within) => Json(Heard {
            probe,
            next_before: (now.utc + within).rfc3339(),
            within_s: within.as_secs(),
        })
        .into_response(),
        Err(refused) => refused.into_response(),
    }
}

/// RFC 6750 §2.1; the name of the scheme in any case (RFC 9110 §11.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_start())
}

impl Told {
    fn with_form(mut self, form: &[u8]) -> Self {
        for (name, value) in form_urlencoded::parse(form) {
            match &*name {
                "status" => self.status = Some(value.into_owned()),
                "text" => self.text = Some(value.into_owned()),
                _ => {}
            }
        }
        self
    }

    fn with_body(self, kind: &str, body: &[u8]) -> Result<Self, (StatusCode, String)> {
        if body.is_empty() {
            return Ok(self);
        }
        match kind.split(';').next().unwrap_or_default().trim() {
            "application/json" => {
                let told: Self = serde_json::from_slice(body)
                    .map_err(|error| (StatusCode::BAD_REQUEST, format!("no JSON: {error}")))?;
                Ok(Self {
                    status: told.status.or(self.status),
                    text: told.text.or(self.text),
                })
            }
            "application/x-www-form-urlencoded" => Ok(self.with_form(body)),
            "text/plain" => Ok(Self {
                text: Some(String::from_utf8_lossy(body).into_owned()),
                ..self
            }),
            _ => Err((
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send a form, application/json, text/plain, or no body".to_owned(),
            )),
        }
    }

    fn beat(self, at: crate::time::Instant) -> Result<Beat, (StatusCode, String)> {
        let status = self.status.map_or(Ok(Status::Ok), |word| {
            Status::parse(&word).map_err(|words| (StatusCode::BAD_REQUEST, words))
        })?;
        Ok(Beat {
            at,
            status,
            text: tidy(&self.text.unwrap_or_default()),
        })
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::Unauthorised => StatusCode::UNAUTHORIZED,
            Self::NoSecret(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let mut response = problem(status, self.to_string());
        if status == StatusCode::UNAUTHORIZED {
            let scheme = header::HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

fn problem(status: StatusCode, detail: String) -> Response {
    let problem = Problem {
        title: status.canonical_reason().unwrap_or("refused"),
        status: status.as_u16(),
        detail,
    };
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    (status, kind, Json(problem)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Instant;

    #[test]
    fn a_sender_tells_of_himself_in_the_form_he_has() {
        const FORM: &str = "application/x-www-form-urlencoded";
        for (name, query, kind, body, expected) in [
            ("nothing", "", "", "", Ok((Status::Ok, ""))),
            (
                "query",
                "status=failed&text=disk+full",
                "",
                "",
                Ok((Status::Failed, "disk full")),
            ),
            (
                "form",
                "",
                FORM,
                "status=degraded&text=slow",
                Ok((Status::Degraded, "slow")),
            ),
            (
                "json",
                "status=failed",
                "application/json; charset=utf-8",
                "{\"status\":\"ok\",\"text\":\"a\\nb\"}",
                Ok((Status::Ok, "a b")),
            ),
            (
                "another vigie",
                "",
                "application/json",
                "{\"fact\":7,\"verdicts\":9,\"at\":\"2026-11-24T00:00:00Z\"}",
                Ok((Status::Ok, "")),
            ),
            ("text", "", "text/plain", "done", Ok((Status::Ok, "done"))),
            ("bad status", "status=fine", "", "", Err(400)),
            ("bad json", "", "application/json", "{", Err(400)),
            ("a picture", "", "image/png", "x", Err(415)),
        ] {
            let told = Told::default()
                .with_form(query.as_bytes())
                .with_body(kind, body.as_bytes())
                .and_then(|told| told.beat(Instant::default()));
            let told = told
                .as_ref()
                .map(|beat| (beat.status, beat.text.as_str()))
                .map_err(|(status, _)| status.as_u16());
            assert_eq!(told, expected, "{name}");
        }
    }
}

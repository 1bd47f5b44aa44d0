//! Pausing and resuming a producer: off without a token, and only for whoever has it. Pages of other sites do not come so far
//! (`guard`).

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use secrecy::ExposeSecret;
use serde_json::json;
use subtle::ConstantTimeEq;
use tracing::{info, warn};

use super::App;
use crate::watch::services;

pub(super) async fn pause(State(app): State<App>, Path(name): Path<String>, from: HeaderMap) -> Response {
    set(&app, &name, &from, true).await
}

pub(super) async fn resume(State(app): State<App>, Path(name): Path<String>, from: HeaderMap) -> Response {
    set(&app, &name, &from, false).await
}

async fn set(app: &App, name: &str, from: &HeaderMap, paused: bool) -> Response {
    let dashboard = &app.shared.sources.dashboard;
    let refuse = |status: StatusCode, words: &str| (status, Json(json!({ "error": words }))).into_response();
    let token = dashboard.token.expose_secret();
    if token.is_empty() {
        return refuse(
            StatusCode::NOT_FOUND,
            "pausing is off; dashboard.token (DASHBOARD_TOKEN in .env) turns it on",
        );
    }
    if !has(from, token) {
        warn!(service = name, "pause or resume without the token");
        return refuse(StatusCode::FORBIDDEN, "this is not the token");
    }
    let Some(address) = dashboard.services.iter().find(|address| address.name == name) else {
        return refuse(StatusCode::NOT_FOUND, "there is no such service");
    };
    match services::pause(&app.shared.client, address, paused).await {
        Ok(()) => {
            info!(service = name, paused, "an operator's wish");
            Json(json!({ "paused": paused })).into_response()
        }
        Err(error) => refuse(StatusCode::BAD_GATEWAY, &error),
    }
}

fn has(from: &HeaderMap, token: &str) -> bool {
    let given = from.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    // As long for a token that is nearly right as for any other.
    given.as_bytes().ct_eq(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn the_token_is_the_whole_token() {
        let token = "0123456789abcdef";
        assert!(has(&headers(&[("authorization", "Bearer 0123456789abcdef")]), token));
        for wrong in ["Bearer 0123456789abcde", "Bearer ", "0123456789abcdef", "Bearer 0123456789abcdef0"] {
            assert!(!has(&headers(&[("authorization", wrong)]), token), "{wrong}");
        }
        assert!(!has(&HeaderMap::new(), token));
    }
}

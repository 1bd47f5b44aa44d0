//! Pausing and resuming a producer: off without a token, and only for whoever has it.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use secrecy::ExposeSecret;
use serde_json::json;
use subtle::ConstantTimeEq;
use tracing::{info, warn};

use super::App;
use super::guard::is_from_elsewhere;
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
    if !is_own_page(from) {
        return refuse(StatusCode::FORBIDDEN, "not from another site");
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

// A browser says which page a request comes from; a tool says nothing.
fn is_own_page(from: &HeaderMap) -> bool {
    let text = |name| from.get(name).map(|value| value.to_str().unwrap_or_default());
    let host = text(header::HOST).unwrap_or_default();
    let own = |origin: &str| origin.split_once("://").is_some_and(|(_, named)| named == host);
    !is_from_elsewhere(from) && text(header::ORIGIN).is_none_or(own)
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
    fn only_the_page_itself_and_tools_may_ask() {
        let host = ("host", "127.0.0.1:9000");
        assert!(is_own_page(&headers(&[host])));
        assert!(is_own_page(&headers(&[
            host,
            ("origin", "http://127.0.0.1:9000"),
            ("sec-fetch-site", "same-origin")
        ])));
        for origin in ["http://127.0.0.1:9001", "https://evil.example", "null", ""] {
            assert!(!is_own_page(&headers(&[host, ("origin", origin)])), "{origin}");
        }
        for site in ["cross-site", "same-site"] {
            assert!(!is_own_page(&headers(&[host, ("sec-fetch-site", site)])), "{site}");
        }
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

//! The providers' own error bodies, word for word where known (upstream documentation and source).

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use crate::faults::{RANDOM_USER, RECENT_CHANGE, WEATHER};

pub(crate) const JSON: &str = "application/json; charset=utf-8";
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";
pub(crate) const HTML: &str = "text/html; charset=utf-8";

pub(crate) const INVALID_KEY: &str = r#"{"cod":401, "message": "Invalid API key. Please see https://openweathermap.org/faq#error401 for more info."}"#;
const BLOCKED: &str = r#"{"cod":429, "message": "Your account is temporary blocked due to exceeding of requests limitation of your subscription type. Please choose the proper subscription https://openweathermap.org/price"}"#;
const COWBOY: &str = r#"{"error":"Whoa, ease up there cowboy. You've requested too many users in the last minute. Help us keep this service free and spare some bandwidth for other users please :)"}"#;
const UH_OH: &str =
    r#"{"error":"Uh oh, something has gone wrong. Please tweet us @randomapi about the issue. Thank you."}"#;
const PROXY_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Sign in to the network</title></head><body><h1>Sign in</h1><form action=\"/login\"></form></body></html>\n";
/// The clouds' metadata service.
const METADATA: &str = "http://169.254.169.254/";

pub(crate) fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// 200 with a JSON body.
pub(crate) fn ok(body: Vec<u8>) -> Response {
    answer(StatusCode::OK, JSON, body)
}

/// 429 in the words of the provider behind `path`.
pub(crate) fn rate_limited(path: &str) -> Response {
    let status = StatusCode::TOO_MANY_REQUESTS;
    match path {
        WEATHER => answer(status, JSON, BLOCKED),
        RANDOM_USER => answer(status, JSON, COWBOY),
        RECENT_CHANGE => answer(status, TEXT, "Too Many Concurrent Connections From Your Client IP\n"),
        // The provider's own words for this one are not known; these are its framework's.
        _ => answer(status, JSON, r#"{"message":"Too Many Attempts."}"#),
    }
}

/// 5xx in the words of the provider behind `path`.
pub(crate) fn server_error(path: &str) -> Response {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    match path {
        WEATHER => answer(status, JSON, r#"{"cod":"500","message":"Internal server error"}"#),
        RANDOM_USER => answer(status, JSON, UH_OH),
        RECENT_CHANGE => answer(StatusCode::BAD_GATEWAY, HTML, "<html><body>502 Bad Gateway</body></html>\n"),
        _ => answer(status, JSON, r#"{"message":"Server Error"}"#),
    }
}

/// 401 for a key, 403 for a client without a name.
pub(crate) fn refused(path: &str) -> Response {
    match path {
        WEATHER => answer(StatusCode::UNAUTHORIZED, JSON, INVALID_KEY),
        _ => answer(StatusCode::FORBIDDEN, TEXT, "Please set a user-agent and respect our robot policy\n"),
    }
}

/// 302 to where a client inside a cloud must not be led.
pub(crate) fn redirected() -> Response {
    let mut response = answer(StatusCode::FOUND, HTML, Body::empty());
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static(METADATA));
    response
}

/// What stands between a client and the net answers in the upstream's place.
pub(crate) fn proxy_page() -> Response {
    answer(StatusCode::OK, HTML, PROXY_PAGE)
}

/// 404 of fakerapi.it.
pub(crate) fn faker_not_found() -> Response {
    answer(StatusCode::NOT_FOUND, JSON, r#"{"status":"Not found","code":404,"total":0}"#)
}

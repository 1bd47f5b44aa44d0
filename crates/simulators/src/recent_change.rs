//! Wikimedia's GET /v2/stream/recentchange: a clock and a seed -> server-sent events without end.
//!
//! Event `n` is a function of (seed, n) and has its own time slot, so that a connection can resume anywhere
//! within the retention and a restarted simulator tells the same history again.

mod datacentres;
mod event;
mod feed;
mod log;
mod slots;
mod words;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{self, ConnectInfo, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;

use crate::app::{App, Query};
use crate::faults::RECENT_CHANGE;
use crate::refusals;
pub(crate) use datacentres::Switches;
use datacentres::{Positions, assignments};
use feed::{Feed, Form};
use slots::{Resume, Slots};

/// Both names are known upstream.
const STREAMS: [&str; 2] = ["recentchange", "mediawiki.recentchange"];

pub(crate) async fn answer(
    State(app): State<Arc<App>>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    Path(streams): Path<String>,
    query: extract::Query<Query>,
    headers: HeaderMap,
) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // The policy on robots, enforced since July 2025: a client says who it is.
    if header("user-agent").is_empty() {
        return refusals::refused(RECENT_CHANGE);
    }
    if let Some(unknown) = streams.split(',').find(|stream| !STREAMS.contains(stream)) {
        return bad_request(format!("{unknown} is not available. Available: recentchange\n"));
    }
    let since = query.get("since").map(String::as_str).filter(|since| !since.is_empty());
    let place = assignments(header("last-event-id")).and_then(|id| Ok((Resume::from(&id, since)?, id)));
    let (resume, last_event_id) = match place {
        Ok(place) => place,
        Err(reason) => return bad_request(format!("{reason}\n")),
    };
    let Some(seat) = app.seat(client.ip()) else {
        return refusals::rate_limited(RECENT_CHANGE);
    };
    let slots = Slots { per_s: app.settings.wikipedia_per_s };
    let first = slots.start(resume, app.now().timestamp_millis(), app.settings.wikipedia_retention);
    let form = if header("accept").contains("application/json") { Form::Lines } else { Form::Events };
    let content_type = match form {
        Form::Events => "text/event-stream; charset=utf-8",
        Form::Lines => "application/x-ndjson; charset=utf-8",
    };
    let feed = Feed::new(app, seat, slots, first, Positions::resumed(&last_event_id), form);
    let mut response = refusals::answer(StatusCode::OK, content_type, feed.body());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn bad_request(reason: String) -> Response {
    refusals::answer(StatusCode::BAD_REQUEST, refusals::TEXT, reason)
}

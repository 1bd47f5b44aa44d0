//! OpenWeatherMap's current weather: GET /data/2.5/weather -> one observation of a city or a point.
//!
//! An observation lasts ten minutes of the clock, as upstream. `lang` and `mode` are accepted and have no effect.

mod place;
mod report;

use std::sync::Arc;

use axum::extract::{self, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::app::{App, Query};
use crate::faults::WEATHER;
use crate::{limits, refusals};

pub(crate) async fn answer(State(app): State<Arc<App>>, query: extract::Query<Query>) -> Response {
    let given = |name: &str| query.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
    let Some(key) = given("appid").filter(|key| *key != "invalid") else {
        return refusals::refused(WEATHER);
    };
    if !app.within(limits::WEATHER, format!("weather {key}"), 1) {
        return refusals::rate_limited(WEATHER);
    }
    let place = match place::find(given("q"), given("id"), given("lat"), given("lon")) {
        Ok(place) => place,
        Err(refusal) => return refuse(&refusal),
    };
    let report = report::observe(&place, app.settings.seed, app.now(), given("units"));
    refusals::ok(report)
}

fn refuse(refusal: &place::Refusal) -> Response {
    let (status, body) = match refusal {
        place::Refusal::NotFound => (StatusCode::NOT_FOUND, r#"{"cod":"404","message":"city not found"}"#),
        place::Refusal::Nothing => {
            (StatusCode::BAD_REQUEST, r#"{"cod":"400","message":"Nothing to geocode"}"#)
        }
        place::Refusal::Latitude => (StatusCode::BAD_REQUEST, r#"{"cod":"400","message":"wrong latitude"}"#),
        place::Refusal::Longitude => {
            (StatusCode::BAD_REQUEST, r#"{"cod":"400","message":"wrong longitude"}"#)
        }
    };
    refusals::answer(status, refusals::JSON, body)
}

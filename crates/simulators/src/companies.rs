//! fakerapi.it: GET /api/v1|v2/companies and /persons -> envelopes of invented records.
//!
//! As upstream, `id` counts 1..n in every response anew, whatever the level, so it identifies nothing.

mod record;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{self, ConnectInfo, Path, State};
use axum::response::Response;
use chrono::NaiveDate;
use serde::Serialize;

use crate::app::{App, Query};
use crate::dice::{Dice, hash};
use crate::{limits, refusals};
use record::{Locale, PersonOrder};

const QUANTITY_DEFAULT: u64 = 10;
const QUANTITY_MAX: u64 = 1000;

#[derive(Serialize)]
struct Envelope<'a, T> {
    status: &'static str,
    code: u16,
    locale: &'a str,
    seed: Option<&'a str>,
    total: u64,
    data: Vec<T>,
}

pub(crate) async fn answer(
    State(app): State<Arc<App>>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    Path((version, resource)): Path<(String, String)>,
    query: extract::Query<Query>,
) -> Response {
    let known =
        matches!(version.as_str(), "v1" | "v2") && matches!(resource.as_str(), "companies" | "persons");
    if !known {
        return refusals::faker_not_found();
    }
    let path = format!("/api/{version}/{resource}");
    if !app.within(limits::FAKER_API, format!("{path} {}", client.ip()), 1) {
        return refusals::rate_limited(&path);
    }
    let given = |name: &str| query.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let quantity = given("_quantity").and_then(|text| text.parse().ok()).filter(|n| *n > 0);
    let quantity = quantity.unwrap_or(QUANTITY_DEFAULT).min(QUANTITY_MAX);
    let locale = Locale::named(given("_locale"));
    let seed = given("_seed");
    let source = match seed {
        Some(seed) => hash(seed),
        None => app.unseeded().roll(),
    };
    let kind = hash(&format!("{resource} {}", locale.name));
    let dice = |n| Dice::new(&[app.settings.seed, kind, source, n]);
    let day = |name: &str| given(name).and_then(|text| text.parse::<NaiveDate>().ok());
    let body = if resource == "companies" {
        let data = (1..=quantity).map(|n| record::company(&mut dice(n), n, &locale)).collect();
        serde_json::to_vec(&envelope(&locale, seed, quantity, data))
    } else {
        let order = PersonOrder {
            gender: given("_gender"),
            born_from: day("_birthday_start"),
            born_to: day("_birthday_end"),
        };
        let data = (1..=quantity).map(|n| record::person(&mut dice(n), n, &locale, &order)).collect();
        serde_json::to_vec(&envelope(&locale, seed, quantity, data))
    };
    refusals::ok(body.expect("a struct of strings and numbers serialises"))
}

fn envelope<'a, T>(locale: &'a Locale, seed: Option<&'a str>, total: u64, data: Vec<T>) -> Envelope<'a, T> {
    Envelope { status: "OK", code: 200, locale: &locale.name, seed, total, data }
}

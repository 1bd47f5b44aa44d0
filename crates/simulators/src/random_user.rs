//! randomuser.me, version 1.4: GET /api/1.4/ -> pages of invented users.
//!
//! User `i` of page `p` is a function of (seed, p, i, nationalities). `format` other than JSON is not simulated.

mod user;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{self, ConnectInfo, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::app::{App, Query};
use crate::dice::{Dice, hash};
use crate::faults::RANDOM_USER;
use crate::nations::{self, Nation};
use crate::{Settings, limits, refusals};

const VERSION: &str = "1.4";
const RESULTS_MAX: u64 = 5000;
const PAGE_MAX: u64 = 10_000;
/// A seed of this length carries its nationality in the last two hexadecimal digits.
const SEED_WITH_NATION: usize = 18;

#[derive(Serialize)]
struct Page<'a> {
    results: Vec<user::User>,
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<Info<'a>>,
}

#[derive(Serialize)]
struct Info<'a> {
    seed: &'a str,
    results: u64,
    page: u64,
    version: &'static str,
}

pub(crate) async fn answer(
    State(app): State<Arc<App>>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    Path(version): Path<String>,
    query: extract::Query<Query>,
) -> Response {
    if version != VERSION {
        return refusals::answer(StatusCode::NOT_FOUND, refusals::TEXT, "Not Found\n");
    }
    let given = |name: &str| query.get(name).map(String::as_str).filter(|value| !value.is_empty());
    // Out of range, or no number at all, silently becomes 1.
    let number = |name: &str, max: u64| {
        given(name).and_then(|text| text.parse().ok()).filter(|n| (1..=max).contains(n)).unwrap_or(1)
    };
    let results = number("results", RESULTS_MAX);
    if !app.within(limits::RANDOM_USER, format!("users {}", client.ip()), results) {
        return refusals::rate_limited(RANDOM_USER);
    }
    let page = number("page", PAGE_MAX);
    let mut nations = wanted(given("nat"));
    let seed = match given("seed") {
        Some(seed) => {
            if let Some(nation) = nation_of(seed)
                && given("nat").is_none()
            {
                nations = vec![nation];
            }
            seed.to_owned()
        }
        None => new_seed(&app, &nations),
    };
    let order = user::Order {
        // A seed disables the choice of gender.
        gender: given("gender").filter(|_| given("seed").is_none()),
        password: given("password"),
        include: given("inc"),
        exclude: given("exc"),
        now: app.now(),
    };
    let info = (!query.contains_key("noinfo")).then(|| Info { seed: &seed, results, page, version: VERSION });
    let results = invent(app.settings.seed, &seed, page, results, &nations, &order);
    refusals::ok(body(&Page { results, info }))
}

/// The body that answers `?seed=SEED&page=PAGE&results=RESULTS&exc=EXCLUDE` at that time, without a server: for loads
/// of a million users. Unlike the API it has no limit to the results.
#[must_use]
pub fn users(seed: &str, page: u64, results: u64, exclude: &str, now: DateTime<Utc>) -> Vec<u8> {
    let order = user::Order { gender: None, password: None, include: None, exclude: Some(exclude), now };
    let results = invent(Settings::default().seed, seed, page, results, &wanted(None), &order);
    body(&Page { results, info: None })
}

fn invent(
    simulator: u64,
    seed: &str,
    page: u64,
    results: u64,
    nations: &[&'static Nation],
    order: &user::Order<'_>,
) -> Vec<user::User> {
    let one = |n| {
        let mut dice = Dice::new(&[simulator, hash("user"), hash(seed), page, n]);
        let nation = dice.pick(nations);
        user::invent(dice, nation, order)
    };
    (0..results).map(one).collect()
}

fn body(page: &Page<'_>) -> Vec<u8> {
    serde_json::to_vec(page).expect("a struct of strings and numbers serialises")
}

/// The nations asked for; unknown codes are ignored, and none at all means every one.
fn wanted(nat: Option<&str>) -> Vec<&'static Nation> {
    let codes = nat.unwrap_or_default().split(',').map(str::trim);
    let known: Vec<&Nation> = codes.filter_map(nations::find).collect();
    if known.is_empty() { nations::all().iter().collect() } else { known }
}

fn new_seed(app: &App, nations: &[&'static Nation]) -> String {
    let seed = app.unseeded().hex(16);
    let index = nations::all().iter().position(|nation| nations.len() == 1 && nation.code == nations[0].code);
    index.map_or_else(|| seed.clone(), |index| format!("{seed}{index:02x}"))
}

fn nation_of(seed: &str) -> Option<&'static Nation> {
    let digits = (seed.len() == SEED_WITH_NATION).then(|| seed.get(16..)).flatten()?;
    nations::all().get(usize::from_str_radix(digits, 16).ok()?)
}

//! Four public APIs, offline: OpenWeatherMap, randomuser.me, fakerapi.it and Wikimedia's recentchange stream.
//!
//! A seed and a clock -> the same paths, parameters, bodies, errors and SSE framing as the real ones -> the
//! producers, which only swap a base URL. Nothing is stored: every record is a function of the seed and of what
//! was asked, so that a restarted simulator continues where it was. Each provider is one module; `faults`
//! scripts what goes wrong, `journal` tells what was asked.
//!
//! Beside the upstreams' paths: `GET /health`, `GET|POST|DELETE /faults`, `GET|DELETE /requests`.

use std::sync::Arc;

use chrono::{DateTime, Utc};

mod app;
mod companies;
mod dice;
mod faults;
mod journal;
mod limits;
mod nations;
mod number;
mod random_user;
mod recent_change;
mod refusals;
mod server;
mod settings;
mod weather;

pub use faults::{Fault, Faults, RANDOM_USER, RECENT_CHANGE, Script, WEATHER};
pub use random_user::users;
pub use server::{serve, serve_at};
pub use settings::Settings;

/// Tells the simulators the time.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

//! Four public APIs, offline: OpenWeatherMap, randomuser.me, fakerapi.it and Wikimedia's recentchange stream.
//!
//! A seed and a clock -> the same paths, parameters, bodies, errors and SSE framing as the real ones -> the
//! producers, which only swap a base URL. Nothing is stored: every record is a function of the seed and of what
//! was asked, so that a restarted simulator continues where it was. Each provider is one module; `faults`
//! scripts what goes wrong, `journal` tells what was asked.
//!
//! Beside the upstreams' paths, for tests and whoever rehearses a failure:
//!
//! - `GET /health`.
//! - `POST /faults` with a [`Script`] puts one more fault in the queue of its path, and answers with all that is still
//!   to strike, as `GET /faults` does; `DELETE /faults` ends the trouble. [`Fault`] says what there is, in snake case:
//!   `{"path": "/api/1.4/", "fault": "rate_limited", "count": 3, "retry_after": 2}`.
//! - `GET /requests` tells how a client behaved: `{"paths": {PATH: {STATUS: COUNT}}, "events": COUNT, "recent": [{"at",
//!   "path", "query", "status", "fault"}]}`, with `fault` where one answered. Two neighbours of one path in `recent` give
//!   the pause between two requests, and so whether a `Retry-After` was kept; a connection of the stream is one request.
//!   `DELETE /requests` begins anew.

use std::sync::Arc;

use chrono::{DateTime, Utc};

mod app;
mod bodies;
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

//! What must hold for any bytes: of a message, of a route file, of an event stream.
//!
//! Each module has one `check`, which panics where something does not hold. `bin` hands it what libFuzzer comes up
//! with; `tests/corpus.rs` hands it, on every `cargo test`, the cases in `corpus` that were found so or written by hand.

pub mod json;
pub mod routes;
pub mod schema;
pub mod sse;

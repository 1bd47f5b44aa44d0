//! Services, broker and store -> what was last seen of each, kept up to date by a task each.

pub(crate) mod broker;
mod link;
pub(crate) mod services;
pub(crate) mod store;

pub(crate) use link::{Link, SILENCE_MAX};

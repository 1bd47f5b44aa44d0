//! What the end-to-end tests share: a world of one's own on real servers, a load with a memory, a judge.
//!
//! A test gets a keyspace and topics of its own (`World`), publishes (`Load`, or single messages), starts the real
//! binaries, and compares what the tables hold with what Kafka has acknowledged (`Expected`).

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod attempts;
mod cells;
mod health;
mod hostile;
mod judge;
mod ledger;
mod load;
mod publish;
mod published;
mod topics;
mod world;

pub use attempts::{TOPICS, USERS, roles_try_everything, users_try_everything};
pub use cells::{fits, text};
pub use health::{ended, healthy, metric, red, tells_deleted};
pub use judge::{all_committed, committed_is_stored, consumed, converges, publish_more};
pub use ledger::Entries;
pub use load::{Expected, Load, Mix, Row};
pub use publish::{Record, publish};
pub use published::{Hostile, HostileRow, Published, Winner, hash, version, writetime};
pub use testbed::get;
pub use topics::{
    DeadLetter, Message, admin, commit, committed, dead_letters, delete_before, each_message, ends, exists,
    messages, messages_between, note, recreate,
};
pub use world::{StoredUser, TABLES, World, user};

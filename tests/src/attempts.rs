//! Each user tries everything: what secure/acls.conf and the roles grant succeeds, all else is refused.
//!
//! What is expected stands here by hand, so that a grant too many in those files is found.

mod cassandra;
mod kafka;

use std::collections::{BTreeMap, BTreeSet};

pub use cassandra::roles_try_everything;
pub use kafka::{TOPICS, USERS, users_try_everything};

/// Who did what successfully.
type Allowed = BTreeMap<&'static str, BTreeSet<String>>;

/// What was tried, by whom, and what came of it.
#[derive(Debug)]
struct Table {
    title: &'static str,
    tried: Vec<String>,
    allowed: Allowed,
}

impl Table {
    fn new(title: &'static str, tried: Vec<String>) -> Self {
        Self { title, tried, allowed: Allowed::new() }
    }

    // A line for each attempt, a column for each of them.
    fn print(&self, columns: &[&str]) {
        let Self { title, tried, allowed } = self;
        let width = tried.iter().map(String::len).max().unwrap();
        println!("{title:width$}  {}", columns.join("  "));
        for attempt in tried {
            let cells: Vec<String> = columns
                .iter()
                .map(|user| {
                    let cell = if allowed[*user].contains(attempt) { "yes" } else { "refused" };
                    format!("{cell:width$}", width = user.len().max(7))
                })
                .collect();
            println!("{attempt:width$}  {}", cells.join("  "));
        }
    }
}

//! What a check comes to.

use serde::Serialize;

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// It works, but not as well or as safely as it could.
    Warning,
    /// It does not work.
    Wrong,
    /// Nobody knows: something else is in the way.
    NotChecked,
}

/// One line of the doctor's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was looked at, and where.
    pub(super) what: String,
    /// How it is.
    pub(super) state: State,
    /// What was seen, or why nothing was.
    pub(super) says: String,
    /// The command or the setting that mends it; empty where there is nothing to mend.
    pub(super) remedy: String,
}

impl Finding {
    pub(super) fn ok(what: impl Into<String>, says: impl Into<String>) -> Self {
        Self { what: what.into(), state: State::Ok, says: says.into(), remedy: String::new() }
    }

    pub(super) fn not_checked(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), state: State::NotChecked, says: why.into(), remedy: String::new() }
    }

    pub(super) fn warning(
        what: impl Into<String>,
        says: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { what: what.into(), state: State::Warning, says: says.into(), remedy: remedy.into() }
    }

    pub(super) fn wrong(what: impl Into<String>, says: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), state: State::Wrong, says: says.into(), remedy: remedy.into() }
    }
}

/// How a remedy begins in the messages of the consumer, which tell it behind their last semicolon.
const IMPERATIVES: [&str; 11] = [
    "apply ",
    "build ",
    "consumer.",
    "correct ",
    "create ",
    "grant ",
    "look at ",
    "lower ",
    "raise ",
    "run ",
    "set ",
];

/// A message of the consumer's -> what it says, and the remedy if it tells one.
pub(super) fn parted(message: &str) -> (String, Option<String>) {
    let remedy =
        message.rsplit_once("; ").filter(|(_, tail)| IMPERATIVES.iter().any(|verb| tail.starts_with(verb)));
    match remedy {
        Some((says, remedy)) => (says.to_owned(), Some(remedy.to_owned())),
        None => (message.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_is_what_stands_behind_the_last_semicolon_and_tells_to_do_something() {
        let both = |says: &str, remedy: &str| (says.to_owned(), Some(remedy.to_owned()));
        assert_eq!(
            parted("topic a does not exist on k:1; did you mean b?; create it (kafka/create-topics.sh does)"),
            both("topic a does not exist on k:1; did you mean b?", "create it (kafka/create-topics.sh does)")
        );
        let none = "the table has no column x; did you mean y?";
        assert_eq!(parted(none), (none.to_owned(), None));
    }
}

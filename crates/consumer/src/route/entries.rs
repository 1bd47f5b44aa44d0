//! The entries of one TOML table, asked for by name; every wrong one becomes a problem with its place.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Problem, SourceFile};
use crate::path::Path;
use crate::plan::nearest;

/// What is wrong with a file so far.
pub(super) struct Problems<'a> {
    pub(super) file: &'a SourceFile,
    pub(super) found: Vec<Problem>,
}

/// The entries of a table. `what` names it in messages: `column id`, or nothing for the route itself.
pub(super) struct Entries<'a> {
    table: &'a DeTable<'a>,
    what: &'a str,
    span: Range<usize>,
    misspelt: bool,
}

/// An entry's value, and where it is.
pub(super) type Value<'a> = Spanned<&'a DeValue<'a>>;

impl Problems<'_> {
    pub(super) fn add(&mut self, span: &Range<usize>, message: impl Into<String>) {
        self.found.push(self.file.problem(span, message));
    }
}

impl<'a> Entries<'a> {
    /// The entries of `table`; those that are not `known` are problems.
    pub(super) fn of(
        table: &'a DeTable<'a>,
        span: Range<usize>,
        what: &'a str,
        known: &[&str],
        problems: &mut Problems<'_>,
    ) -> Self {
        for key in table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            let name = key.get_ref().as_ref();
            let near = nearest(name, known.iter().copied());
            problems.add(&key.span(), format!("{} has no key {name}{near}", subject(what)));
        }
        let misspelt = table.keys().any(|key| !known.contains(&key.get_ref().as_ref()));
        Self { table, what, span, misspelt }
    }

    /// Whether one of the keys is none that is known.
    pub(super) fn is_misspelt(&self) -> bool {
        self.misspelt
    }

    /// The value of that name.
    pub(super) fn get(&self, name: &str) -> Option<Value<'a>> {
        self.table.get(name).map(|value| Spanned::new(value.span(), value.get_ref()))
    }

    /// As [`Entries::get`]; a missing one is a problem.
    pub(super) fn required(
        &self,
        name: &str,
        example: &str,
        problems: &mut Problems<'_>,
    ) -> Option<Value<'a>> {
        let value = self.get(name);
        if value.is_none() {
            problems.add(&self.span, format!("{} needs {name}, such as {example}", subject(self.what)));
        }
        value
    }

    pub(super) fn text(&self, name: &str, problems: &mut Problems<'_>) -> Option<Spanned<String>> {
        text(&self.named(name), &self.get(name)?, problems)
    }

    pub(super) fn boolean(&self, name: &str, problems: &mut Problems<'_>) -> Option<bool> {
        let value = self.get(name)?;
        let found = value.get_ref().as_bool();
        if found.is_none() {
            let (name, found) = (self.named(name), kind(value.get_ref()));
            problems.add(&value.span(), format!("{name}: expected true or false, found {found}"));
        }
        found
    }

    pub(super) fn choice<T: Copy>(
        &self,
        name: &str,
        choices: &[(&str, T)],
        problems: &mut Problems<'_>,
    ) -> Option<T> {
        choice(&self.named(name), &self.get(name)?, choices, problems)
    }

    // The key as messages call it: `column id: time`.
    pub(super) fn named(&self, name: &str) -> String {
        if self.what.is_empty() { name.to_owned() } else { format!("{}: {name}", self.what) }
    }
}

fn subject(what: &str) -> &str {
    if what.is_empty() { "a route" } else { what }
}

/// The text of a value that has to be a string.
pub(super) fn text(name: &str, value: &Value<'_>, problems: &mut Problems<'_>) -> Option<Spanned<String>> {
    let found = value.get_ref().as_str();
    if found.is_none() {
        problems.add(
            &value.span(),
            format!("{name}: expected a text in quotes, found {}", kind(value.get_ref())),
        );
    }
    found.map(|text| Spanned::new(value.span(), text.to_owned()))
}

/// The choice that a value names.
pub(super) fn choice<T: Copy>(
    name: &str,
    value: &Value<'_>,
    choices: &[(&str, T)],
    problems: &mut Problems<'_>,
) -> Option<T> {
    let word = value.get_ref().as_str();
    let found = choices.iter().find(|(choice, _)| Some(*choice) == word).map(|(_, value)| *value);
    if found.is_none() {
        let names: Vec<String> = choices.iter().map(|(choice, _)| format!("{choice:?}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let expected = listed(&names);
        let message = match word {
            Some(word) => format!("{name} = {word:?}: expected {expected}"),
            None => format!("{name}: expected {expected}, found {}", kind(value.get_ref())),
        };
        problems.add(&value.span(), message);
    }
    found
}

/// A path out of a text, whose place is known.
pub(super) fn path(name: &str, text: &Spanned<String>, problems: &mut Problems<'_>) -> Option<Path> {
    match text.get_ref().parse() {
        Ok(path) => Some(path),
        Err(error) => {
            problems.add(&text.span(), format!("{name}: {error}"));
            None
        }
    }
}

/// `a, b or c`
pub(super) fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [others @ .., last] => format!("{} or {last}", others.join(", ")),
    }
}

/// A value's kind, as messages name it.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

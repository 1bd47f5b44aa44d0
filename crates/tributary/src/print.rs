//! Lines for a person, of words that came from anywhere; and behind them one object for a script.
//!
//! All that a command says passes here: `println!` and `eprintln!` end the process where nobody reads any more.

use std::fmt::{Arguments, Display, Write};
use std::io::{self, ErrorKind, Write as _};

use anyhow::Context;
use serde::Serialize;
use service::words::{in_json, lines, shown};

/// Nobody reads standard output any more, as behind `| head`: no fault, and an end of the command.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output any more")]
pub(crate) struct Closed;

/// What became of something that was written to standard output.
///
/// # Errors
/// [`Closed`], or why it was not written.
pub(crate) fn written(written: io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Closed.into()),
        written => written.context("write to stdout"),
    }
}

/// Writes bytes to standard output, at once.
///
/// # Errors
/// As [`written`].
pub(crate) fn raw(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    written(out.write_all(bytes).and_then(|()| out.flush()))
}

/// Writes a line to standard output, at once: one of many that end with their reader.
///
/// # Errors
/// As [`written`].
pub(crate) fn tell(words: impl Display) -> anyhow::Result<()> {
    raw(format!("{words}\n").as_bytes())
}

/// Writes a line to standard output, at once. Where nobody reads, what it tells of goes on.
///
/// # Errors
/// It cannot be written.
pub(crate) fn say(words: impl Display) -> anyhow::Result<()> {
    or_unread(tell(words))
}

fn or_unread(written: anyhow::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if error.is::<Closed>() => Ok(()),
        written => written,
    }
}

/// Writes to stderr, in one piece. That nobody reads it is no reason to end.
pub(crate) fn aside(words: &str) {
    let _ = io::stderr().write_all(words.as_bytes());
}

/// Prints what a person reads, and with `json` the object on a last line. Where nobody reads, the exit code still tells.
///
/// # Errors
/// It cannot be written.
pub(crate) fn output(text: &str, json: bool, object: &impl Serialize) -> anyhow::Result<()> {
    let mut text = text.to_owned();
    if json {
        line(&mut text, format_args!("{}", self::json(object)?));
    }
    or_unread(raw(text.as_bytes()))
}

/// An object on one line, in which no character steers a terminal.
///
/// # Errors
/// It has no form in JSON.
pub(crate) fn json(object: &impl Serialize) -> anyhow::Result<String> {
    Ok(in_json(&serde_json::to_string(object).context("write the outcome as JSON")?))
}

/// Appends a line.
pub(crate) fn line(text: &mut String, arguments: Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{arguments}");
}

/// `1 error`, `2 errors`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// 1234567 -> 1,234,567
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Words of a message, of a header or of a server: cut behind about `max` bytes, and no control character of theirs
/// reaches the terminal.
pub(crate) fn safe(words: &str, max: usize) -> String {
    let mut safe = String::new();
    for c in words.chars() {
        if safe.len() >= max {
            safe.push_str("...");
            break;
        }
        safe.extend(shown(c));
    }
    safe
}

/// Prints what somebody should know before it is too late, and goes on.
pub(crate) fn warn(warnings: &[String]) {
    for warning in warnings {
        aside(&format!("warning: {}\n", lines(warning)));
    }
}

/// Prints why a command ends. The words may quote messages; lines stay lines.
pub(crate) fn complain(error: &str) {
    aside(&format!("error: {}\n", lines(error)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_from_outside_cannot_steer_the_terminal() {
        let hostile = "red \x1b[31m, bell \x07, next\nline, turned \u{202e}, \u{9b}2J";
        let shown = safe(hostile, 1_000);
        assert_eq!(shown, r"red \u{1b}[31m, bell \u{7}, next\nline, turned \u{202e}, \u{9b}2J");
    }

    #[test]
    fn a_closed_output_is_told_from_one_that_fails() {
        let written = |kind: ErrorKind| written(Err(kind.into())).unwrap_err();
        assert!(written(ErrorKind::BrokenPipe).is::<Closed>());
        assert!(!written(ErrorKind::StorageFull).is::<Closed>());
    }

    #[test]
    fn digits_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1_000, 12_345_678].map(grouped), ["0", "999", "1,000", "12,345,678"]);
    }

    #[test]
    fn long_words_are_cut_between_two_characters() {
        assert_eq!(safe("äöü", 4), "äö...");
        assert_eq!(safe("äöü", 6), "äöü");
    }
}

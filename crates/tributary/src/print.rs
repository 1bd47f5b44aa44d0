//! Lines for a person, of words that came from anywhere; and behind them one object for a script.

use std::fmt::{Arguments, Write};
use std::io::Write as _;

use anyhow::Context;
use serde::Serialize;
use service::words::{in_json, steers};

/// Prints what a person reads, and with `json` the object on a last line.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn output(text: &str, json: bool, object: &impl Serialize) -> anyhow::Result<()> {
    let mut text = text.to_owned();
    if json {
        line(&mut text, format_args!("{}", self::json(object)?));
    }
    std::io::stdout().write_all(text.as_bytes()).context("write to stdout")
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
        push(&mut safe, c);
    }
    safe
}

/// Prints why a command ends. The words may quote messages; lines stay lines.
pub(crate) fn complain(error: &str) {
    eprintln!("error: {}", lines(error));
}

fn lines(words: &str) -> String {
    let mut safe = String::new();
    for c in words.chars() {
        if c == '\n' { safe.push(c) } else { push(&mut safe, c) }
    }
    safe
}

fn push(safe: &mut String, c: char) {
    if steers(c) {
        safe.extend(c.escape_default());
    } else {
        safe.push(c);
    }
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
    fn an_error_keeps_its_lines_and_nothing_else_that_steers() {
        assert_eq!(
            lines("routes/a.toml:1: no\nroutes/b.toml:2: \x1b[2J\u{9b}\r"),
            "routes/a.toml:1: no\nroutes/b.toml:2: \\u{1b}[2J\\u{9b}\\r"
        );
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

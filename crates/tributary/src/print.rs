//! Lines for a person, of words that came from anywhere; and behind them one object for a script.

use std::fmt::{Arguments, Write};
use std::io::Write as _;

use anyhow::Context;
use serde::Serialize;

/// Prints what a person reads, and with `json` the object on a last line.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn output(text: &str, json: bool, object: &impl Serialize) -> anyhow::Result<()> {
    let mut text = text.to_owned();
    if json {
        text.push_str(&serde_json::to_string(object).context("write the outcome as JSON")?);
        text.push('\n');
    }
    std::io::stdout().write_all(text.as_bytes()).context("write to stdout")
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

/// Words of a message, of a header or of a server: cut behind about `max` bytes, and no control character of theirs
/// reaches the terminal.
pub(crate) fn safe(words: &str, max: usize) -> String {
    let mut safe = String::new();
    for c in words.chars() {
        if safe.len() >= max {
            safe.push_str("...");
            break;
        }
        // Those of U+20xx and U+FEFF turn the direction of what follows, or hide it.
        if c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
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
    fn long_words_are_cut_between_two_characters() {
        assert_eq!(safe("äöü", 4), "äö...");
        assert_eq!(safe("äöü", 6), "äöü");
    }
}

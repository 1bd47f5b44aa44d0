//! Words from anywhere -> words that steer no terminal and begin no line of a log.

use std::fmt::Write;

/// Whether a terminal obeys it instead of showing it: a control character, or one that turns the direction of what
/// follows, or hides it.
pub fn steers(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Words of several lines -> the same lines, in which none of these characters stands.
pub fn lines(words: &str) -> String {
    let mut lines = String::with_capacity(words.len());
    for c in words.chars() {
        if c == '\n' { lines.push(c) } else { lines.extend(shown(c)) }
    }
    lines
}

/// The character itself, or the escape of one of these.
pub fn shown(c: char) -> impl Iterator<Item = char> {
    let escape = steers(c).then(|| c.escape_default());
    let itself = escape.is_none().then_some(c);
    escape.into_iter().flatten().chain(itself)
}

/// JSON on one line -> the same JSON, in which none of these characters stands: they can only be in its strings. The line
/// feed behind an object stays.
pub fn in_json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if steers(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_lines_and_nothing_else_that_steers() {
        assert_eq!(
            lines("routes/a.toml:1: no\nroutes/b.toml:2: \x1b[2J\u{9b}\r"),
            "routes/a.toml:1: no\nroutes/b.toml:2: \\u{1b}[2J\\u{9b}\\r"
        );
    }

    #[test]
    fn an_object_has_no_such_character_either_and_is_the_same_object() {
        let hostile = "\u{7f} \u{9b}2J \u{202e} \u{61c} \u{e0041} \x1b äöü 日本 😀";
        let json = in_json(&serde_json::to_string(&[hostile]).unwrap());
        assert!(!json.chars().any(steers), "{json:?}");
        assert!(
            json.contains(r"\u007f \u009b2J \u202e \u061c \udb40\udc41") && json.contains("äöü 日本 😀"),
            "{json}"
        );
        assert_eq!(serde_json::from_str::<[String; 1]>(&json).unwrap(), [hostile]);
    }
}

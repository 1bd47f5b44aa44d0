//! What is wrong with a body or an event, in the two ways that a caller acts upon differently.

use serde::Deserialize;

const SHOWN_CHARS_MAX: usize = 200;

/// Why a body or an event became no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// It is not what the upstream's contract says: a proxy's page, a truncated body, a changed API.
    #[error("malformed {place}: {what}")]
    Malformed {
        /// Where: the body's line and column, or the field.
        place: String,
        /// What was found or missing there.
        what: String,
    },
    /// It is the upstream's own error, well formed.
    #[error("refused by the upstream: {message}")]
    Refused {
        /// The upstream's words, shortened and on one line.
        message: String,
        /// Whether asking the same again is useless until somebody changes something.
        terminal: bool,
    },
}

impl ParseError {
    pub(crate) fn malformed(place: impl Into<String>, what: impl AsRef<str>) -> Self {
        Self::Malformed { place: place.into(), what: brief(what.as_ref()) }
    }

    pub(crate) fn refused(message: &str, terminal: bool) -> Self {
        Self::Refused { message: brief(message), terminal }
    }

    /// Takes the line and the column out of serde_json's sentence into their own field.
    pub(crate) fn json(error: &serde_json::Error) -> Self {
        let text = error.to_string();
        let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
        Self::malformed(format!("JSON at line {} column {}", error.line(), error.column()), what)
    }
}

/// The code in an error body: upstreams send it as a number, and the same upstream sometimes as a string.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Code {
    Number(i64),
    Text(String),
}

impl Code {
    /// Returns the number, or `None` when the text holds none.
    pub(crate) fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
        }
    }
}

/// Returns whether a refusal with this code stays one until a person changes the request or the credential.
/// 408 and 429 are the client errors that time heals.
pub(crate) fn is_terminal(code: i64) -> bool {
    (400..500).contains(&code) && code != 408 && code != 429
}

/// Shortens foreign text for a log line and keeps it on one line.
pub(crate) fn brief(text: &str) -> String {
    let mut short: String =
        text.chars().take(SHOWN_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        short.push('…');
    }
    short
}

//! What a polled dataset asks its upstream: a GET request without the base URL.

use std::fmt;

/// A GET request. Its secret is kept apart from the query, so that nothing that prints a request prints the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// What it asks for, in a word, for logs and metrics: a city, for example.
    pub label: String,
    /// The path under the upstream's base URL, with its leading slash.
    pub path: String,
    /// The query's pairs, not yet percent-encoded.
    pub query: Vec<(&'static str, String)>,
    /// One more pair of the query that must appear in no log and no error.
    pub secret: Option<(&'static str, String)>,
}

impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Request")
            .field("label", &self.label)
            .field("path", &self.path)
            .field("query", &self.query)
            .field("secret", &self.secret.as_ref().map(|(name, _)| (name, "redacted")))
            .finish()
    }
}

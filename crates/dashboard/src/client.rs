//! What the page is told, for programs: the operator's command asks the running dashboard.

use axum::http::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::{Snapshot, http};

/// Characters of a refusal that are passed on.
const SAID_CHARS_MAX: usize = 300;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers there, or somebody else.
    #[error("the dashboard at {url} does not answer: {why}")]
    Unavailable {
        /// Where it was asked.
        url: String,
        /// Why.
        why: String,
    },
    /// It answers, and says no.
    #[error("{0}")]
    Refused(String),
}

/// Asks one dashboard; keeps its connection.
#[derive(Debug)]
pub struct Client {
    url: String,
    http: http::Client,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Client {
    /// Of the dashboard at this URL, such as `http://127.0.0.1:9000`.
    pub fn new(url: &str) -> Self {
        Self { url: url.trim_end_matches('/').to_owned(), http: http::Client::new() }
    }

    /// The whole pipeline at this moment.
    ///
    /// # Errors
    /// It does not answer, refuses, or is another version's.
    pub async fn snapshot(&self) -> Result<Snapshot, ClientError> {
        let (status, text) = self.ask(Method::GET, "/api/snapshot", None).await?;
        if status != StatusCode::OK {
            return Err(ClientError::Refused(format!("{} answers {status}: {}", self.url, beginning(&text))));
        }
        let odd = |odd| ClientError::Refused(format!("{} answers no snapshot of ours: {odd}", self.url));
        serde_json::from_str(&text).map_err(odd)
    }

    /// Pauses a producer, or lets it go on.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub async fn pause(&self, service: &str, pause: bool, token: &SecretString) -> Result<(), ClientError> {
        let what = if pause { "pause" } else { "resume" };
        // Nothing that would make another path of it.
        if !service.chars().all(|character| character.is_ascii_alphanumeric() || "-_".contains(character)) {
            return Err(ClientError::Refused(format!("{what} {service:?}: there is no such service")));
        }
        let path = format!("/api/services/{service}/{what}");
        let (status, text) = self.ask(Method::POST, &path, Some(token)).await?;
        if status == StatusCode::OK {
            return Ok(());
        }
        let said = serde_json::from_str::<Refusal>(&text).map_or(text, |refusal| refusal.error);
        Err(ClientError::Refused(format!("{what} {service}: {}", beginning(&said))))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        token: Option<&SecretString>,
    ) -> Result<(StatusCode, String), ClientError> {
        let token = token.map(ExposeSecret::expose_secret);
        let asked = self.http.ask(method, &format!("{}{path}", self.url), token).await;
        asked.map_err(|why| self.unavailable(why))
    }

    fn unavailable(&self, why: String) -> ClientError {
        ClientError::Unavailable { url: self.url.clone(), why }
    }
}

// A stranger's answer may be a whole page.
fn beginning(text: &str) -> String {
    text.trim().chars().take(SAID_CHARS_MAX).collect()
}

//! What the page is told, for programs: the operator's command asks the running dashboard.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use service::telemetry::chain;

use crate::Snapshot;

const PATIENCE: Duration = Duration::from_secs(3);
const ANSWER_BYTES_MAX: usize = 4 << 20;

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
    client: legacy::Client<HttpConnector, Empty<Bytes>>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Client {
    /// Of the dashboard at this URL, such as `http://127.0.0.1:9000`.
    pub fn new(url: &str) -> Self {
        let client = legacy::Client::builder(TokioExecutor::new()).build_http();
        Self { url: url.trim_end_matches('/').to_owned(), client }
    }

    /// The whole pipeline at this moment.
    ///
    /// # Errors
    /// It does not answer, or is another version's.
    pub async fn snapshot(&self) -> Result<Snapshot, ClientError> {
        let (_, text) = self.ask(Method::GET, "/api/snapshot", None).await?;
        serde_json::from_str(&text)
            .map_err(|odd| self.unavailable(format!("its answer is not a snapshot of ours: {odd}")))
    }

    /// Pauses a producer, or lets it go on.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub async fn pause(&self, service: &str, pause: bool, token: &SecretString) -> Result<(), ClientError> {
        let what = if pause { "pause" } else { "resume" };
        let (status, text) =
            self.ask(Method::POST, &format!("/api/services/{service}/{what}"), Some(token)).await?;
        if status.is_success() {
            return Ok(());
        }
        let said = serde_json::from_str::<Refusal>(&text).map_or(text, |refusal| refusal.error);
        Err(ClientError::Refused(format!("{what} {service}: {said}")))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        token: Option<&SecretString>,
    ) -> Result<(StatusCode, String), ClientError> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose_secret()));
        }
        let request = request.body(Empty::new()).map_err(|odd| self.unavailable(chain(&odd)))?;
        let asked = async {
            let answer =
                self.client.request(request).await.map_err(|error| self.unavailable(chain(&error)))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| self.unavailable(error.to_string()))?.to_bytes();
            Ok((status, String::from_utf8_lossy(&body).into_owned()))
        };
        let asked = tokio::time::timeout(PATIENCE, asked).await;
        asked.unwrap_or_else(|_| Err(self.unavailable(format!("within {} s", PATIENCE.as_secs()))))
    }

    fn unavailable(&self, why: String) -> ClientError {
        ClientError::Unavailable { url: self.url.clone(), why }
    }
}

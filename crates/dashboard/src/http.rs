//! Plain HTTP to the services and to the dashboard itself: one request, one bounded answer, in bounded time.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use service::telemetry::chain;

const PATIENCE: Duration = Duration::from_secs(2);
/// Some thousand topics' metrics.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// Keeps its connections.
#[derive(Debug, Clone)]
pub(crate) struct Client(legacy::Client<HttpConnector, Empty<Bytes>>);

impl Client {
    pub(crate) fn new() -> Self {
        Self(legacy::Client::builder(TokioExecutor::new()).build_http())
    }

    /// Status and text of the answer; waits 2 s at most.
    ///
    /// # Errors
    /// There is none, and why.
    pub(crate) async fn ask(
        &self,
        method: Method,
        url: &str,
        token: Option<&str>,
    ) -> Result<(StatusCode, String), String> {
        let mut request = Request::builder().method(method).uri(url);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Empty::new()).map_err(|odd| chain(&odd))?;
        let asked = async {
            let answer = self.0.request(request).await.map_err(|error| chain(&error))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| error.to_string())?.to_bytes();
            Ok((status, String::from_utf8_lossy(&body).into_owned()))
        };
        let asked = tokio::time::timeout(PATIENCE, asked).await;
        asked.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
    }
}

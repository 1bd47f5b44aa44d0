//! The HTTP side of an event stream for eventsource-client, on our own client: deadlines, bounds, no redirects.
//!
//! Its own transport has no limit on a line and no deadline for the answer, so what comes back here is either an event
//! stream, watched byte by byte, or a [`FetchError`] that says what to do.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use launchdarkly_sdk_transport::{
    ByteStream, HttpTransport, Request, Response, ResponseFuture, TransportError,
};
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Client, StatusCode};

use crate::counts::Kind;
use crate::fetch::{FetchError, judge, transport, wait_asked};
use crate::framing::{Framing, START};

const EVENT_STREAM: &str = "text/event-stream";
const LAST_EVENT_ID: &str = "last-event-id";

/// Opens event streams.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    client: Client,
    answer_timeout: Duration,
    event_bytes_max: usize,
    retry_ms: Arc<AtomicU64>,
}

impl Transport {
    /// `answer_timeout` is the time until the answer's head; an event of more than `event_bytes_max` is cut.
    pub(crate) fn new(client: Client, answer_timeout: Duration, event_bytes_max: usize) -> Self {
        Self { client, answer_timeout, event_bytes_max, retry_ms: Arc::default() }
    }

    /// Returns the least wait before a reconnect that the server last asked for, if it did.
    pub(crate) fn retry(&self) -> Option<Duration> {
        Some(Duration::from_millis(self.retry_ms.load(Ordering::Relaxed))).filter(|wait| !wait.is_zero())
    }

    async fn open(self, request: Request<Option<Bytes>>) -> Result<Response<ByteStream>, FetchError> {
        let (head, body) = request.into_parts();
        let resumes = head.headers.contains_key(LAST_EVENT_ID);
        let request = self
            .client
            .request(head.method, head.uri.to_string())
            .headers(head.headers)
            .body(body.unwrap_or_default());
        let answer = tokio::time::timeout(self.answer_timeout, request.send()).await;
        let response = answer
            .map_err(|_| FetchError::Retry {
                kind: Kind::Timeout,
                what: format!("no answer within {:.1} s", self.answer_timeout.as_secs_f64()),
                after: None,
            })?
            .map_err(transport)?;
        let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        if response.status() == StatusCode::BAD_REQUEST && resumes {
            return Err(FetchError::PlaceRefused(format!(
                "HTTP {} to the place to resume from",
                response.status()
            )));
        }
        if response.status().as_u16() != 200 {
            return Err(judge(response.status(), None, text(LOCATION), wait_asked(&response)));
        }
        let content_type = text(CONTENT_TYPE).unwrap_or("no content type");
        if !content_type.to_ascii_lowercase().starts_with(EVENT_STREAM) {
            return Err(FetchError::Malformed(format!(
                "answered with {content_type}, not with {EVENT_STREAM}"
            )));
        }
        let status = response.status();
        let mut answer = Response::new(self.watched(response));
        *answer.status_mut() = status;
        Ok(answer)
    }

    fn watched(self, response: reqwest::Response) -> ByteStream {
        let mut framing = Framing::new(self.event_bytes_max);
        let chunks = response.bytes_stream().flat_map(move |chunk| {
            let accepted = match chunk {
                Ok(chunk) => framing.accept(&chunk),
                Err(error) => {
                    return stream::iter([Some(Err(TransportError::new(transport(error)))), None]);
                }
            };
            if let Some(retry) = accepted.retry {
                let ms = u64::try_from(retry.as_millis()).unwrap_or(u64::MAX);
                self.retry_ms.store(ms, Ordering::Relaxed);
            }
            let endless = accepted.endless.map(|endless| {
                let what = endless.to_string();
                Err(TransportError::new(FetchError::Retry { kind: Kind::TooLarge, what, after: None }))
            });
            // What came before the end is passed on first.
            stream::iter([Some(Ok(accepted.bytes)), endless])
        });
        let start = stream::iter([Ok(Bytes::from_static(START))]);
        let chunks = start.chain(chunks.filter_map(std::future::ready));
        Box::pin(Exclusive(Mutex::new(Box::pin(chunks))))
    }
}

impl HttpTransport for Transport {
    fn request(&self, request: Request<Option<Bytes>>) -> ResponseFuture {
        let opened = self.clone().open(request);
        let opened = async { opened.await.map_err(TransportError::new) };
        Box::pin(Exclusive(Mutex::new(Box::pin(opened))))
    }
}

/// Makes `Sync` what is only ever polled by its one owner, as the transport's types ask; the lock is never taken.
struct Exclusive<T>(Mutex<T>);

impl<T: Unpin> Exclusive<T> {
    fn inner(self: Pin<&mut Self>) -> &mut T {
        self.get_mut().0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: Future + Unpin> Future for Exclusive<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(self.inner()).poll(context)
    }
}

impl<S: Stream + Unpin> Stream for Exclusive<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(self.inner()).poll_next(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_comes_before_an_endless_line_in_the_same_chunk_is_passed_on() {
        let client = crate::http::streaming_client(&crate::Producer::default()).unwrap();
        let transport = Transport::new(client, Duration::from_secs(1), 10);
        let body = format!("data: 1\n\n{}", "x".repeat(1000));
        let response = reqwest::Response::from(axum::http::Response::new(body));
        let chunks: Vec<_> = transport.watched(response).collect().await;
        assert_eq!(chunks[0].as_ref().unwrap(), START);
        assert!(chunks[1].as_ref().unwrap().starts_with(b"data: 1\n\n"));
        let error = chunks[2].as_ref().unwrap_err().to_string();
        assert!(error.contains("more than 640 bytes") && chunks.len() == 3, "{error}");
    }
}

//! One GET request -> its body, or what to do instead: wait, or leave the request alone.
//!
//! The body is read piece by piece up to a limit that counts decompressed bytes. No error says the secret: URLs are
//! left out of them, and an upstream that repeats the key has it taken out of its words.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use datasets::{ParseError, Parsed, Polled, Request};
use reqwest::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use service::telemetry::chain;

use crate::counts::Kind;
use crate::retry_after;

/// Stands in for a key where only a simulator listens.
pub(crate) const SIMULATED_SECRET: &str = "simulated";
/// Enough of an error's body for its message.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// Why a request brought nothing, by what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FetchError {
    /// Time heals it: wait, at least as long as the upstream asks, then try again.
    #[error("{what}")]
    Retry {
        /// For the metrics.
        kind: Kind,
        /// In words.
        what: String,
        /// The upstream's own wish.
        after: Option<Duration>,
    },
    /// The upstream refuses us, whatever we ask: a person must act.
    #[error("{0}")]
    Refused(String),
    /// The upstream refuses this request: a person must act, the other requests may go on.
    #[error("{what}")]
    RequestRefused {
        /// In words.
        what: String,
        /// Whether the words are the upstream's own, by its contract: then it is there, and took the key.
        by_contract: bool,
    },
    /// The upstream refuses the place to resume a stream from.
    #[error("{0}")]
    PlaceRefused(String),
    /// The answer is not what the contract says.
    #[error("{0}")]
    Malformed(String),
}

impl FetchError {
    /// Returns the label for the metrics.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Retry { kind, .. } => *kind,
            Self::Refused(_) | Self::RequestRefused { .. } | Self::PlaceRefused(_) => Kind::Refused,
            Self::Malformed(_) => Kind::Malformed,
        }
    }
}

/// Asks one upstream.
#[derive(Debug, Clone)]
pub(crate) struct Fetcher {
    pub(crate) client: Client,
    pub(crate) body_bytes_max: usize,
}

impl Fetcher {
    /// Asks for `request` under `base` and parses the answer.
    pub(crate) async fn fetch(
        &self,
        base: &Url,
        request: &Request,
        dataset: &dyn Polled,
    ) -> Result<Parsed, FetchError> {
        let secret = request.secret.as_ref().map(|(_, secret)| secret.as_str());
        self.ask(base, request, dataset).await.map_err(|error| redact_error(error, secret))
    }

    async fn ask(&self, base: &Url, request: &Request, dataset: &dyn Polled) -> Result<Parsed, FetchError> {
        let get =
            self.client.get(join(base, &request.path)).query(&request.query).query(request.secret.as_slice());
        let response = get.send().await.map_err(transport)?;
        let status = response.status();
        if !status.is_success() {
            let after = wait_asked(&response);
            let location = header(&response, LOCATION.as_str());
            // The words help; that they could not be read is not worth another error.
            let body = read(response, ERROR_BYTES_MAX).await.unwrap_or_default();
            let (said, terminal) = match dataset.parse(request, &body) {
                Err(ParseError::Refused { message, terminal }) => (Some(message), terminal),
                _ => (None, false),
            };
            return Err(match judge(status, said.as_deref(), location.as_deref(), after) {
                FetchError::RequestRefused { what, .. } => {
                    FetchError::RequestRefused { what, by_contract: terminal }
                }
                other => other,
            });
        }
        let content_type = header(&response, CONTENT_TYPE.as_str());
        let body = read(response, self.body_bytes_max).await?;
        match dataset.parse(request, &body) {
            Ok(parsed) => Ok(parsed),
            // Nothing tells here whether it is the request or the key that is refused.
            Err(ParseError::Refused { message, terminal: true }) => {
                Err(FetchError::RequestRefused { what: message, by_contract: false })
            }
            Err(ParseError::Refused { message, terminal: false }) => {
                Err(FetchError::Retry { kind: Kind::Throttled, what: message, after: None })
            }
            Err(error @ ParseError::Malformed { .. }) => {
                let content_type = content_type.as_deref().unwrap_or("no content type");
                Err(FetchError::Malformed(format!(
                    "{error} (answered with {content_type}, {} bytes)",
                    body.len()
                )))
            }
        }
    }
}

/// Returns the request with its secret replaced: no simulator is ever told a real key.
pub(crate) fn without_secret(mut request: Request) -> Request {
    if let Some((_, secret)) = &mut request.secret {
        SIMULATED_SECRET.clone_into(secret);
    }
    request
}

/// Appends a path to a base URL, which may have a path of its own.
pub(crate) fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url
}

/// Returns the wait that the answer's `Retry-After` asks for.
pub(crate) fn wait_asked(response: &Response) -> Option<Duration> {
    retry_after::parse(&header(response, RETRY_AFTER.as_str())?, SystemTime::now())
}

/// Sorts an answer that is not a success. `said` is the upstream's own message.
pub(crate) fn judge(
    status: StatusCode,
    said: Option<&str>,
    location: Option<&str>,
    after: Option<Duration>,
) -> FetchError {
    let what = match said {
        Some(said) => format!("HTTP {status}: {said}"),
        None => format!("HTTP {status}"),
    };
    match status.as_u16() {
        408 | 425 | 429 => FetchError::Retry { kind: Kind::Throttled, what, after },
        401 | 403 => FetchError::Refused(what),
        400..=499 => FetchError::RequestRefused { what, by_contract: false },
        300..=399 => {
            let what =
                format!("{what}: a redirect to {}, which is not followed", location.unwrap_or("nowhere"));
            FetchError::Retry { kind: Kind::Redirect, what, after }
        }
        _ => FetchError::Retry { kind: Kind::Server, what, after },
    }
}

/// Sorts an error of the connection; the URL, which may hold a secret, is left out.
pub(crate) fn transport(error: reqwest::Error) -> FetchError {
    let timed_out = error.is_timeout();
    let kind = if timed_out { Kind::Timeout } else { Kind::Transport };
    FetchError::Retry { kind, what: chain(&error.without_url()), after: None }
}

async fn read(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    loop {
        let chunk: Option<Bytes> = response.chunk().await.map_err(transport)?;
        let Some(chunk) = chunk else { return Ok(body) };
        if body.len() + chunk.len() > bytes_max {
            let what = format!("a body of more than {bytes_max} bytes");
            return Err(FetchError::Retry { kind: Kind::TooLarge, what, after: None });
        }
        body.extend_from_slice(&chunk);
    }
}

fn header(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}

fn redact_error(error: FetchError, secret: Option<&str>) -> FetchError {
    let clean = |text: String| redact(text, secret);
    match error {
        FetchError::Retry { kind, what, after } => FetchError::Retry { kind, what: clean(what), after },
        FetchError::Refused(what) => FetchError::Refused(clean(what)),
        FetchError::RequestRefused { what, by_contract } => {
            FetchError::RequestRefused { what: clean(what), by_contract }
        }
        FetchError::PlaceRefused(what) => FetchError::PlaceRefused(clean(what)),
        FetchError::Malformed(what) => FetchError::Malformed(clean(what)),
    }
}

/// Takes the secret out of a text, plain and percent-encoded.
fn redact(text: String, secret: Option<&str>) -> String {
    let Some(secret) = secret.filter(|secret| !secret.is_empty() && *secret != SIMULATED_SECRET) else {
        return text;
    };
    let mut encoded = Url::parse("http://localhost").expect("a constant URL parses");
    encoded.query_pairs_mut().append_key_only(secret);
    let encoded = encoded.query().unwrap_or(secret);
    text.replace(secret, "[redacted]").replace(encoded, "[redacted]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(error: &FetchError) -> Option<Kind> {
        match error {
            FetchError::Retry { kind, .. } => Some(*kind),
            _ => None,
        }
    }

    #[test]
    fn statuses_are_sorted_by_what_to_do() {
        let judge = |status: u16| judge(StatusCode::from_u16(status).unwrap(), None, None, None);
        for status in [408, 425, 429] {
            assert_eq!(retry(&judge(status)), Some(Kind::Throttled), "{status}");
        }
        for status in [500, 502, 503, 504] {
            assert_eq!(retry(&judge(status)), Some(Kind::Server), "{status}");
        }
        for status in [301, 302, 307, 308] {
            assert_eq!(retry(&judge(status)), Some(Kind::Redirect), "{status}");
        }
        for status in [401, 403] {
            assert!(matches!(judge(status), FetchError::Refused(_)), "{status}");
        }
        for status in [400, 404, 405, 410, 422] {
            assert!(matches!(judge(status), FetchError::RequestRefused { .. }), "{status}");
        }
    }

    #[test]
    fn secrets_leave_no_trace_in_any_form() {
        let secret = Some("k+y/ä 1");
        let text = "GET /?appid=k%2By%2F%C3%A4+1 said: key k+y/ä 1 is wrong".to_owned();
        assert_eq!(redact(text, secret), "GET /?appid=[redacted] said: key [redacted] is wrong");
    }

    #[test]
    fn simulators_are_told_no_key() {
        let request = Request {
            label: "Oslo".to_owned(),
            path: "/x".to_owned(),
            query: Vec::new(),
            secret: Some(("appid", "real".to_owned())),
        };
        assert_eq!(without_secret(request).secret, Some(("appid", "simulated".to_owned())));
    }

    #[test]
    fn base_url_may_have_a_path() {
        let base = Url::parse("http://localhost:1/proxy/").unwrap();
        assert_eq!(join(&base, "/api/1.4/").as_str(), "http://localhost:1/proxy/api/1.4/");
    }
}

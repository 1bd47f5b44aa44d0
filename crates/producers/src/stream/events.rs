//! One connection to an event stream, as eventsource-client has it.

use eventsource_client::{Client, ClientBuilder, Error, ReconnectOptions, SSE};
use reqwest::Url;

use crate::counts::Kind;
use crate::fetch::{FetchError, join};
use crate::transport::Transport;

/// What comes, until it breaks.
pub(super) type Events = eventsource_client::BoxStream<eventsource_client::Result<SSE>>;

/// Asks for the events behind `from`; without it for those from now on.
pub(super) fn open(
    transport: &Transport,
    base: &Url,
    path: &str,
    from: Option<&str>,
) -> Result<Events, String> {
    // One connection and no more: waiting and trying again is this module's own.
    let once = ReconnectOptions::reconnect(false).retry_initial(false).build();
    let url = join(base, path);
    let mut builder = ClientBuilder::for_url(url.as_str())
        .map_err(|error| format!("{url}: {error}"))?
        .reconnect(once)
        .redirect_limit(0);
    if let Some(id) = from {
        builder = builder.last_event_id(id.to_owned());
    }
    Ok(builder.build_with_transport(transport.clone()).stream())
}

/// An error of the library -> what to do about it.
pub(super) fn failure(error: Error) -> FetchError {
    let retry = |kind, what: &str| FetchError::Retry { kind, what: what.to_owned(), after: None };
    match error {
        Error::Transport(error) => match error.inner().downcast_ref::<FetchError>() {
            Some(known) => known.clone(),
            None => retry(Kind::Transport, &error.to_string()),
        },
        Error::Eof => retry(Kind::Transport, "the stream ended"),
        Error::UnexpectedEof => retry(Kind::Transport, "the stream ended in the middle of an event"),
        Error::TimedOut => retry(Kind::Timeout, "the stream fell silent"),
        // The place that we were given back is not even a header's value.
        Error::InvalidParameter(error) => FetchError::PlaceRefused(error.to_string()),
        other => FetchError::Malformed(other.to_string()),
    }
}

//! A good answer -> the same with its body cut, slow or far too long.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use tokio::time::sleep;

use crate::refusals;

/// Between two bytes of what is slow: too seldom for any deadline, too often for a watch on silence alone.
pub(crate) const BYTE_EVERY: Duration = Duration::from_millis(50);

const BODY_BYTES_MAX: usize = 64 << 20;
const HUGE_BYTES: usize = 1 << 30;
const PIECE_BYTES: usize = 64 << 10;

/// Half of the body, with the length of the whole, and a lost connection.
pub(crate) async fn truncated(response: Response) -> Response {
    with_body(response, |whole| {
        let half = whole.slice(..whole.len() / 2);
        Body::from_stream(stream::iter([Ok(half)]).chain(lost()))
    })
    .await
}

/// Half of the body, as if it were all.
pub(crate) async fn malformed(response: Response) -> Response {
    let mut response = with_body(response, |whole| Body::from(whole.slice(..whole.len() / 2))).await;
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response
}

/// The whole body, byte by byte.
pub(crate) async fn slow(response: Response) -> Response {
    with_body(response, |whole| {
        let bytes = stream::iter(0..whole.len()).then(move |at| {
            let byte = whole.slice(at..=at);
            async {
                sleep(BYTE_EVERY).await;
                Ok::<_, io::Error>(byte)
            }
        });
        Body::from_stream(bytes)
    })
    .await
}

/// 200 with blanks, which JSON allows anywhere, until the client leaves or a gigabyte is full.
pub(crate) fn huge() -> Response {
    let piece = Bytes::from(vec![b' '; PIECE_BYTES]);
    let pieces = std::iter::repeat_n(piece, HUGE_BYTES / PIECE_BYTES).map(Ok::<_, io::Error>);
    refusals::answer(StatusCode::OK, refusals::JSON, Body::from_stream(stream::iter(pieces)))
}

/// A body's end by a lost connection, late enough that what came before it has left.
pub(crate) fn lost() -> impl futures::Stream<Item = io::Result<Bytes>> {
    stream::once(async {
        sleep(Duration::from_millis(20)).await;
        Err(io::Error::from(io::ErrorKind::ConnectionAborted))
    })
}

/// The response with another body, made of the whole one, whose length it keeps.
async fn with_body(response: Response, spoil: impl FnOnce(Bytes) -> Body) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(whole) = to_bytes(body, BODY_BYTES_MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    Response::from_parts(parts, spoil(whole))
}

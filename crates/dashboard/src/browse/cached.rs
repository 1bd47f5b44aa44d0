//! An answer that many ask for -> read once, and told to all for some seconds.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::BrowseError;

/// As long as a page waits before it asks again, about.
const KEPT_FOR: Duration = Duration::from_secs(4);
/// A server that is away costs its askers one attempt and not one each; that it is back is soon told.
const ERROR_KEPT_FOR: Duration = Duration::from_secs(1);

/// See the module. Whoever comes while it is read waits for that answer, which comes also when its first asker has left.
#[derive(Debug, Default)]
pub(crate) struct Cached(Mutex<Option<watch::Receiver<Option<Answer>>>>);

#[derive(Debug)]
struct Answer {
    at: Instant,
    json: Result<Bytes, BrowseError>,
}

impl Cached {
    /// The answer as JSON; `read` is begun where the last one is old.
    ///
    /// # Errors
    /// As `read`.
    pub(crate) async fn get<T: Serialize>(
        &self,
        read: impl Future<Output = Result<T, BrowseError>> + Send + 'static,
    ) -> Result<Bytes, BrowseError> {
        let mut answer = self.begun(read);
        let answer = answer.wait_for(Option::is_some).await;
        let kept = answer.ok().and_then(|answer| answer.as_ref().map(|answer| answer.json.clone()));
        kept.unwrap_or_else(|| Err(BrowseError::Unavailable("it was not read to its end".to_owned())))
    }

    fn begun<T: Serialize>(
        &self,
        read: impl Future<Output = Result<T, BrowseError>> + Send + 'static,
    ) -> watch::Receiver<Option<Answer>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = kept.as_ref().filter(|answer| is_new(answer)) {
            return answer.clone();
        }
        let (told, answer) = watch::channel(None);
        tokio::spawn(async move {
            let json = read.await.and_then(|found| written(&found));
            told.send_replace(Some(Answer { at: Instant::now(), json }));
        });
        kept.insert(answer).clone()
    }
}

fn is_new(answer: &watch::Receiver<Option<Answer>>) -> bool {
    match &*answer.borrow() {
        Some(Answer { at, json }) => at.elapsed() < if json.is_ok() { KEPT_FOR } else { ERROR_KEPT_FOR },
        // It is being read, unless its reader has panicked.
        None => answer.has_changed().is_ok(),
    }
}

fn written<T: Serialize>(found: &T) -> Result<Bytes, BrowseError> {
    let json = serde_json::to_vec(found);
    json.map(Bytes::from).map_err(|odd| BrowseError::Unavailable(odd.to_string()))
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::sync::Arc;

    use tokio::sync::oneshot;

    use super::*;

    async fn away() -> Result<u32, BrowseError> {
        Err(BrowseError::Unavailable("away".to_owned()))
    }

    // What is told to who would read `number`; 0 stands for an error.
    async fn told(cached: &Cached, number: u32) -> u32 {
        let json = cached.get(ready(Ok(number))).await;
        json.map_or(0, |json| serde_json::from_slice(&json).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_read_once_for_some_seconds_and_an_error_for_one() {
        let cached = Cached::default();
        assert!(cached.get(away()).await.is_err());
        assert_eq!(told(&cached, 1).await, 0);
        tokio::time::advance(ERROR_KEPT_FOR).await;
        assert_eq!(told(&cached, 2).await, 2);
        assert_eq!(told(&cached, 3).await, 2);
        tokio::time::advance(KEPT_FOR).await;
        assert_eq!(told(&cached, 4).await, 4);
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_does_not_end_the_reading_for_the_others() {
        let cached = Arc::new(Cached::default());
        let (read, reading) = oneshot::channel();
        let first = {
            let cached = Arc::clone(&cached);
            let reading = async { reading.await.map_err(|gone| BrowseError::Unavailable(gone.to_string())) };
            tokio::spawn(async move { cached.get(reading).await })
        };
        tokio::task::yield_now().await;
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        read.send(5).unwrap();
        assert_eq!(told(&cached, 6).await, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_wait_for_a_server_that_is_away_are_told_at_once() {
        let cached = Cached::default();
        let slow = || async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            away().await
        };
        let began = Instant::now();
        let (one, other, third) = tokio::join!(cached.get(slow()), cached.get(slow()), cached.get(slow()));
        assert!(one.is_err() && other.is_err() && third.is_err());
        assert_eq!(began.elapsed(), Duration::from_secs(3));
    }

    #[tokio::test]
    async fn a_reader_that_panicked_is_followed_by_another() {
        let cached = Cached::default();
        let failed = tokio::spawn(pending::<Result<u32, BrowseError>>());
        failed.abort();
        let torn = async { failed.await.expect("it was ended") };
        assert!(cached.get(torn).await.is_err());
        assert_eq!(told(&cached, 7).await, 7);
    }
}

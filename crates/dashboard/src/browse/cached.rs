//! An answer that many ask for -> read once, and told to all for some seconds.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::BrowseError;

/// As long as a page waits before it asks again, about.
const KEPT_FOR: Duration = Duration::from_secs(4);

/// See the module. Whoever comes while it is read waits for that answer.
#[derive(Debug, Default)]
pub(crate) struct Cached(Mutex<Option<(Instant, Arc<str>)>>);

impl Cached {
    /// The answer as JSON; `read` is called where the last one is old.
    ///
    /// # Errors
    /// As `read`; an error is not kept.
    pub(crate) async fn get<T: Serialize>(
        &self,
        read: impl Future<Output = Result<T, BrowseError>>,
    ) -> Result<Arc<str>, BrowseError> {
        let mut kept = self.0.lock().await;
        if let Some((at, text)) = &*kept
            && at.elapsed() < KEPT_FOR
        {
            return Ok(Arc::clone(text));
        }
        let text = serde_json::to_string(&read.await?);
        let text: Arc<str> = text.map_err(|odd| BrowseError::Unavailable(odd.to_string()))?.into();
        *kept = Some((Instant::now(), Arc::clone(&text)));
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_read_once_for_some_seconds_and_an_error_each_time() {
        let cached = Cached::default();
        let away = || async { Err::<u32, _>(BrowseError::Unavailable("away".to_owned())) };
        assert!(cached.get(away()).await.is_err());
        assert_eq!(&*cached.get(async { Ok(1) }).await.unwrap(), "1");
        assert_eq!(&*cached.get(async { Ok(2) }).await.unwrap(), "1");
        tokio::time::advance(KEPT_FOR).await;
        assert!(cached.get(away()).await.is_err());
        assert_eq!(&*cached.get(async { Ok(3) }).await.unwrap(), "3");
    }
}

//! What a person asks for -> read from Kafka and from the store at that moment. Bounded in number, bytes and time.

pub(crate) mod cached;
pub(crate) mod files;
pub(crate) mod letters;
mod message;
pub(crate) mod pictures;
pub(crate) mod records;
pub(crate) mod tables;
pub(crate) mod topics;

use std::time::{Duration, Instant};

use consumer::topic::{Topics, Unread};
use serde::Serialize;
use service::kafka;
use tokio::sync::Semaphore;

/// Why there is no answer; a page shows it in words.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum BrowseError {
    /// There is no such topic or table.
    #[error("{0}")]
    Unknown(String),
    /// The server does not answer now.
    #[error("{0}")]
    Unavailable(String),
}

/// How long a person waits at most.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long one answer of Kafka may take: less, so that its reason is told and not that it took long.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// Questions to Kafka at once: each has a client of its own.
static CLIENTS: Semaphore = Semaphore::const_new(2);

/// Asks Kafka by a client of its own, on a thread that may block. `work` is told when nobody waits any more.
pub(crate) async fn ask_kafka<T: Send + 'static>(
    settings: &kafka::Settings,
    client: &'static str,
    work: impl FnOnce(&Topics, Deadline) -> Result<T, BrowseError> + Send + 'static,
) -> Result<T, BrowseError> {
    let settings = settings.clone();
    let deadline = Deadline(Instant::now() + PATIENCE);
    within(async {
        let permit =
            CLIENTS.acquire().await.map_err(|closed| BrowseError::Unavailable(closed.to_string()))?;
        blocking(move || {
            let _held = permit;
            let topics = Topics::connect_within(ANSWER_MAX, &settings, client);
            work(&topics.map_err(|error| unavailable(&error))?, deadline)
        })
        .await
    })
    .await
}

/// When nobody waits any more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    fn is_over(self) -> bool {
        Instant::now() >= self.0
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BrowseError> + Send + 'static,
) -> Result<T, BrowseError> {
    let worked = tokio::task::spawn_blocking(work).await;
    worked.map_err(|panicked| BrowseError::Unavailable(panicked.to_string()))?
}

async fn within<T>(answer: impl Future<Output = Result<T, BrowseError>>) -> Result<T, BrowseError> {
    let late = || BrowseError::Unavailable(format!("no answer within {} s", PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(late()))
}

fn unavailable(error: &Unread) -> BrowseError {
    BrowseError::Unavailable(error.to_string())
}

/// Bytes of one text that are shown, where nothing less is asked for.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// Bytes as text: what is not UTF-8 as hexadecimal digits, what is long cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) hex: bool,
    pub(crate) cut: bool,
}

impl Text {
    pub(crate) fn of(bytes: &[u8], bytes_max: usize) -> Self {
        let cut = bytes.len() > bytes_max;
        let mut shown = &bytes[..bytes.len().min(bytes_max)];
        if cut {
            // Not amid a character.
            let whole = shown.utf8_chunks().next().map_or(0, |chunk| chunk.valid().len());
            if bytes_max - whole < 4 {
                shown = &shown[..whole];
            }
        }
        match str::from_utf8(shown) {
            Ok(text) => Self { text: text.to_owned(), hex: false, cut },
            Err(_) => {
                let shown = &shown[..shown.len().min(bytes_max / 2)];
                let text = shown.iter().map(|byte| format!("{byte:02x}")).collect();
                Self { text, hex: true, cut: cut || shown.len() < bytes.len() }
            }
        }
    }
}

/// Whether what a person searches for is in it; the case does not matter.
pub(crate) fn contains(text: &str, search: &str) -> bool {
    search.is_empty() || text.to_lowercase().contains(search)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters_and_bytes_become_digits() {
        let text = |bytes: &[u8]| Text::of(bytes, TEXT_BYTES_MAX);
        let short = text("äöü".as_bytes());
        assert_eq!(short, Text { text: "äöü".to_owned(), hex: false, cut: false });
        let long = text("ä".repeat(TEXT_BYTES_MAX).as_bytes());
        assert!(long.cut && !long.hex && long.text.len() == TEXT_BYTES_MAX);
        let odd = text(format!("x{}", "ä".repeat(TEXT_BYTES_MAX)).as_bytes());
        assert!(odd.cut && !odd.hex && odd.text.len() == TEXT_BYTES_MAX - 1);
        assert_eq!(text(&[0xff, 0x00]), Text { text: "ff00".to_owned(), hex: true, cut: false });
        assert!(text(&[0xff; TEXT_BYTES_MAX]).cut);
    }
}

//! Offsets of a topic -> chunks of their messages, read by a thread of its own that is never far ahead.

use std::ops::ControlFlow;
use std::sync::Arc;

use rdkafka::message::Message as _;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinHandle;

use super::{Ranges, Topics, push};
use crate::message::{Chunk, Partition};

/// As many as a chunk has at most where nobody wants fewer.
pub(crate) const CHUNK_MESSAGES: usize = 512;
const CHUNK_BYTES: usize = 256 * 1024;
/// Chunks that wait at most.
const WAITING: usize = 8;

/// A topic that is being read.
pub(crate) struct Walk {
    chunks: Receiver<Chunk>,
    thread: Option<JoinHandle<Result<(), String>>>,
}

impl Walk {
    /// Begins to read these offsets.
    pub(crate) fn start(topics: &Arc<Topics>, topic: &str, ranges: Ranges) -> Self {
        Self::in_chunks_of(CHUNK_MESSAGES, topics, topic, ranges)
    }

    /// As [`Walk::start`], in chunks of at most so many messages.
    pub(crate) fn in_chunks_of(
        messages_max: usize,
        topics: &Arc<Topics>,
        topic: &str,
        ranges: Ranges,
    ) -> Self {
        let (sender, chunks) = channel(WAITING);
        let (topics, topic) = (Arc::clone(topics), topic.to_owned());
        let thread = tokio::task::spawn_blocking(move || {
            let mut chunk = Chunk::default();
            let read = topics.read(&topic, &ranges, |message| {
                push(&mut chunk, Partition { topic: 0, number: message.partition() }, message);
                if chunk.len() < messages_max && chunk.size() < CHUNK_BYTES {
                    return ControlFlow::Continue(());
                }
                let next = chunk.same_capacity();
                match sender.blocking_send(std::mem::replace(&mut chunk, next)) {
                    Ok(()) => ControlFlow::Continue(()),
                    // Nobody wants more.
                    Err(_) => ControlFlow::Break(()),
                }
            });
            if !chunk.is_empty() {
                let _ = sender.blocking_send(chunk);
            }
            read.map_err(|error| error.to_string())
        });
        Self { chunks, thread: Some(thread) }
    }

    /// Whether the next messages have still to come.
    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The next messages, all of the topic with index 0; `None` at the end.
    ///
    /// # Errors
    /// Kafka does not deliver them.
    pub(crate) async fn next(&mut self) -> Result<Option<Chunk>, String> {
        if let Some(chunk) = self.chunks.recv().await {
            return Ok(Some(chunk));
        }
        match &mut self.thread {
            None => Ok(None),
            Some(thread) => {
                let ended = thread.await.map_err(|error| error.to_string());
                self.thread = None;
                ended?.map(|()| None)
            }
        }
    }
}

//! Dead letters on their way: what Kafka has not acknowledged holds back its own file's checkpoint, and no other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::FileId;
use crate::dead_letter::DeadLetters;
use crate::decode::DataError;
use crate::message::{Chunk, Message};
use crate::plan::Plan;

pub(super) struct Letters {
    client: DeadLetters,
    sending: JoinSet<(FileId, i64)>,
    unsettled: BTreeMap<FileId, BTreeSet<i64>>,
}

impl Letters {
    pub(super) fn new(client: DeadLetters) -> Self {
        Self { client, sending: JoinSet::new(), unsettled: BTreeMap::new() }
    }

    /// Sends the dead letter of a message of that chunk until it is acknowledged.
    pub(super) fn send(
        &mut self,
        file: FileId,
        chunk: &Arc<Chunk>,
        plan: &Plan,
        message: &Message<'_>,
        error: &DataError,
    ) {
        let (client, letter) = (self.client.clone(), self.client.letter(plan, message, error));
        let (chunk, offset) = (Arc::clone(chunk), message.offset);
        self.unsettled.entry(file).or_default().insert(offset);
        self.sending.spawn(async move {
            client.send(letter, CancellationToken::new()).await;
            // Only now its share of the memory budget is free.
            drop(chunk);
            (file, offset)
        });
    }

    /// Waits for the next acknowledgement; `None` when no letter is on its way. Can be cancelled.
    pub(super) async fn acknowledged(&mut self) -> Option<Result<(), JoinError>> {
        let acknowledged = self.sending.join_next().await?;
        Some(acknowledged.map(|(file, offset)| {
            if let Some(offsets) = self.unsettled.get_mut(&file) {
                offsets.remove(&offset);
            }
        }))
    }

    /// How many are on their way.
    pub(super) fn len(&self) -> usize {
        self.sending.len()
    }

    /// How many of that file are on their way.
    pub(super) fn of(&self, file: FileId) -> usize {
        self.unsettled.get(&file).map_or(0, BTreeSet::len)
    }

    /// The first offset of that file whose letter is on its way; beyond every offset if there is none.
    pub(super) fn settled(&self, file: FileId) -> i64 {
        self.unsettled.get(&file).and_then(BTreeSet::first).copied().unwrap_or(i64::MAX)
    }
}

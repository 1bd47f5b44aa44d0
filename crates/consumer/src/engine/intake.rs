//! Chunks -> spans of the ledger and rows of the batcher; what cannot become a row goes to the dead letters.

use std::sync::Arc;
use std::time::Instant;

use metrics::counter;
use tracing::warn;

use super::Engine;
use crate::batch::Origin;
use crate::decode::Decoded;
use crate::ledger::Joint;
use crate::message::{Chunk, Partition};
use crate::receive::Delivery;
use crate::routes::target_of;

impl Engine {
    pub(super) fn deliver(&mut self, delivery: Delivery) -> anyhow::Result<()> {
        // A chunk is behind the events that gave us its partitions and began its epoch.
        while let Ok(control) = self.receiver.control.try_recv() {
            self.control(control)?;
        }
        self.allowed();
        if self.leaving.is_none() && self.epochs.takes(delivery.epoch) {
            self.take_in(delivery.chunk);
        }
        Ok(())
    }

    fn take_in(&mut self, chunk: Chunk) {
        let chunk = Arc::new(chunk);
        let now_ms = chrono::Utc::now().timestamp_millis();
        for run in chunk.spans() {
            let partition = run.partition;
            let plans = self.plans_of[partition.topic].clone();
            let outcomes = u32::try_from(run.messages.len() * plans.len()).unwrap_or(u32::MAX);
            let (span, joint) = self.ledger.begin(partition, run.first, run.end, outcomes);
            self.note(partition, run.first, joint);
            self.progress.read(partition, run.messages.len());
            for place in run.messages.clone() {
                for &plan in &plans {
                    let origin = Origin { chunk: Arc::clone(&chunk), place, partition, span };
                    self.decode(plan, origin, now_ms);
                }
            }
        }
    }

    fn decode(&mut self, route: usize, origin: Origin, now_ms: i64) {
        let topic = &self.receiver.shared.topics[origin.partition.topic];
        let message = origin.chunk.message(topic, origin.partition.number, origin.place);
        let plan = target_of(&self.targets, route, &message);
        let rows = self.batcher.rows(plan);
        let before = rows.bytes.len();
        let bytes_max = self.settings.consumer.row_bytes_max;
        let decoded = self.decoder.decode_within(bytes_max, &self.targets[plan].plan, &message, now_ms, rows);
        match decoded {
            Ok(Decoded::Row) => {
                let group = self.replicas[plan].group(rows, &self.targets[plan].plan.partition_key);
                self.batcher.pushed(plan, group, before, origin);
            }
            Ok(Decoded::Expired) => {
                self.progress.expired(origin.partition);
                let now = self.horizon.now(Instant::now());
                self.ledger.settle(origin.partition, origin.span, 1, now);
            }
            Err(error) => self.bury(plan, origin, error),
        }
    }

    fn note(&self, partition: Partition, first: i64, joint: Joint) {
        let topic = &self.receiver.shared.topics[partition.topic];
        let number = partition.number;
        match joint {
            // Whether something was lost there, the receiver tells.
            Joint::Next | Joint::Gap { .. } => {}
            Joint::Back { expected } => {
                counter!("tributary_offset_resets_total", "topic" => topic.clone()).increment(1);
                warn!(
                    topic,
                    partition = number,
                    expected,
                    first,
                    "partition starts again: topic recreated or offsets reset"
                );
            }
        }
    }
}

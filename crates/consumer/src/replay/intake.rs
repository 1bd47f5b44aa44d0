//! Chunks -> rows of the batcher; what can be no row is counted and named.

use std::sync::Arc;
use std::time::Instant;

use super::flow::Flow;
use super::{Replay, Topic};
use crate::batch::Origin;
use crate::decode::Decoded;
use crate::message::{Chunk, Partition};
use crate::routes::target_of;

impl Flow<'_> {
    pub(super) fn take_in(&mut self, place: usize, topic: &Topic, mut chunk: Chunk) {
        // The last one may be larger than what is left.
        let bytes = chunk.size().min(self.budget.available_permits());
        let permit =
            Arc::clone(&self.budget).try_acquire_many_owned(u32::try_from(bytes).unwrap_or(u32::MAX));
        if let Ok(permit) = permit {
            chunk.hold(permit);
        }
        let chunk = Arc::new(chunk);
        self.reaches[place].took(&chunk);
        let mut taken = 0;
        let now_ms = chrono::Utc::now().timestamp_millis();
        for run in chunk.spans() {
            let number = run.partition.number;
            let before = self.positions.insert(number, run.end).unwrap_or(run.first);
            let of_topic = &mut self.report.topics[place];
            of_topic.passed += u64::try_from(run.end - before).unwrap_or(0);
            for message in run.messages.clone() {
                let of_topic = &mut self.report.topics[place];
                if self.replay.until_ms.is_some_and(|until| chunk.timestamp_ms(message) >= Some(until)) {
                    of_topic.later += 1;
                    continue;
                }
                taken += 1;
                of_topic.messages += 1;
                for &route in &topic.routes {
                    let partition = Partition { topic: place, number };
                    self.decode(route, Origin::alone(&chunk, message, partition), now_ms);
                }
            }
        }
        self.pace.took(taken, Instant::now());
    }

    fn decode(&mut self, route: usize, origin: Origin, now_ms: i64) {
        let Replay { settings, targets, topics, .. } = self.replay;
        let (topic, number) = (origin.partition.topic, origin.partition.number);
        let message = origin.chunk.message(&topics[topic].name, number, origin.place);
        let target = target_of(targets, route, &message);
        let plan = &targets[target].plan;
        let rows = self.batcher.rows(target);
        let before = rows.bytes.len();
        let bytes_max = settings.consumer.row_bytes_max;
        match self.decoder.decode_within(bytes_max, plan, &message, now_ms, rows) {
            Ok(Decoded::Row) if self.proof.is_none() => {
                rows.pop(before);
                self.count(topic, target, 1);
            }
            Ok(Decoded::Row) => {
                let group = self.replicas[target].group(rows, &plan.partition_key);
                self.batcher.pushed(target, group, before, origin);
            }
            Ok(Decoded::Expired) => self.report.topics[topic].expired += 1,
            Err(error) => self.report.refuse(topic, &plan.table, &message, &error),
        }
    }
}

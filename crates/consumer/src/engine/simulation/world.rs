//! What surrounds the engine: the topic and the group, the polling thread, the table.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::mpsc;
use std::time::Instant;

use uuid::Uuid;

use super::SYNC;
use crate::horizon::Answer;
use crate::message::{Chunk, Partition};
use crate::receive::{Committed, Control, Delivery, seek_targets};

/// A message, by partition and offset.
pub(super) type Place = (i32, i64);

/// What the engine asks of the polling thread.
#[derive(Debug)]
pub(super) enum Command {
    Store(Vec<(Partition, i64)>),
    Seek(Vec<(Partition, i64)>),
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) at: Instant,
    pub(super) published: BTreeMap<i32, i64>,
    pub(super) committed: BTreeMap<i32, i64>,
    dead_letters: BTreeSet<Place>,
    /// When each row was first acknowledged since Cassandra was started; long ago for what it had on disk then.
    table: BTreeMap<Place, Option<Instant>>,
    generation: i32,
    pub(super) control: VecDeque<Control>,
    pub(super) chunks: VecDeque<Delivery>,
    pub(super) commands: VecDeque<Command>,
    /// The next offset to fetch of each assigned partition.
    assigned: BTreeMap<i32, i64>,
    starts: BTreeMap<Partition, i64>,
    chunk: Chunk,
    chunk_epoch: u64,
    epoch: u64,
    /// A revocation waits for the engine.
    revoking: Option<mpsc::Receiver<Vec<(Partition, i64)>>>,
}

fn place(number: i32) -> Partition {
    Partition { topic: 0, number }
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            at: Instant::now(),
            published: BTreeMap::new(),
            committed: BTreeMap::new(),
            dead_letters: BTreeSet::new(),
            table: BTreeMap::new(),
            generation: 1,
            control: VecDeque::new(),
            chunks: VecDeque::new(),
            commands: VecDeque::new(),
            assigned: BTreeMap::new(),
            starts: BTreeMap::new(),
            chunk: Chunk::default(),
            chunk_epoch: 0,
            epoch: 0,
            revoking: None,
        }
    }

    /// The first message whose offset is committed, and that a power cut would take away now.
    pub(super) fn lost(&self) -> Option<Place> {
        let all =
            self.committed.iter().flat_map(|(partition, end)| (0..*end).map(|offset| (*partition, offset)));
        all.into_iter().find(|place| !self.is_on_disk(place) && !self.dead_letters.contains(place))
    }

    fn is_on_disk(&self, place: &Place) -> bool {
        self.table.get(place).is_some_and(|at| at.is_none_or(|at| self.at - at >= SYNC))
    }

    pub(super) fn write(&mut self, place: Place) {
        self.table.entry(place).or_insert(Some(self.at));
    }

    pub(super) fn bury(&mut self, place: Place) {
        self.dead_letters.insert(place);
    }

    pub(super) fn restart_cassandra(&mut self) {
        self.generation += 1;
        let on_disk: Vec<Place> = self.table.keys().copied().filter(|place| self.is_on_disk(place)).collect();
        self.table = on_disk.into_iter().map(|place| (place, None)).collect();
    }

    pub(super) fn answer(&self) -> Answer {
        Answer::from([(Uuid::from_u128(1), Some(self.generation))])
    }

    /// Everything that the process knew is gone.
    pub(super) fn restart_consumer(&mut self) {
        let World { at, published, committed, dead_letters, table, generation, .. } =
            std::mem::replace(self, Self::new());
        *self = Self { at, published, committed, dead_letters, table, generation, ..Self::new() };
    }

    pub(super) fn poll(&mut self, partition: i32, messages: i64) {
        if self.revoking.is_some() {
            return;
        }
        let Some(position) = self.assigned.get_mut(&partition) else { return };
        let end = self.published.get(&partition).copied().unwrap_or(0).min(position.saturating_add(messages));
        for offset in *position..end {
            if self.chunk_epoch != self.epoch {
                self.chunk = Chunk::default();
                self.chunk_epoch = self.epoch;
            }
            self.chunk.push(place(partition), offset, None, None, None, std::iter::empty());
        }
        *position = end.max(*position);
    }

    fn note_starts(&mut self) {
        for span in self.chunk.spans() {
            self.starts.entry(span.partition).or_insert(span.first);
        }
    }

    pub(super) fn offer(&mut self) {
        if self.revoking.is_some() || self.chunk.is_empty() {
            return;
        }
        let current = self.chunk_epoch == self.epoch;
        if current {
            self.note_starts();
        }
        let chunk = std::mem::take(&mut self.chunk);
        if current {
            self.chunks.push_back(Delivery { epoch: self.epoch, chunk });
        }
    }

    pub(super) fn command(&mut self) {
        if self.revoking.is_some() {
            return;
        }
        match self.commands.pop_front() {
            None => {}
            Some(Command::Store(offsets)) => self.store(&offsets),
            Some(Command::Seek(settled)) => {
                self.note_starts();
                self.chunk = Chunk::default();
                let is_assigned = |partition: Partition| self.assigned.contains_key(&partition.number);
                for (partition, offset) in seek_targets(self.starts.clone(), &settled, is_assigned) {
                    self.assigned.insert(partition.number, offset);
                }
                self.epoch += 1;
                self.control.push_back(Control::Sought { epoch: self.epoch });
            }
        }
    }

    // Of partitions that are not ours, nothing can be stored.
    fn store(&mut self, offsets: &[(Partition, i64)]) {
        for (Partition { number, .. }, offset) in offsets {
            if self.assigned.contains_key(number) {
                self.committed.insert(*number, *offset);
            }
        }
    }

    pub(super) fn revoke(&mut self) {
        if self.revoking.is_some() || self.assigned.is_empty() {
            return;
        }
        let partitions: Vec<Partition> = self.assigned.keys().copied().map(place).collect();
        self.epoch += 1;
        self.starts.retain(|known, _| !partitions.contains(known));
        let (done, finished) = mpsc::channel();
        self.control.push_back(Control::Revoked { epoch: self.epoch, partitions, done });
        self.revoking = Some(finished);
    }

    /// The engine has answered the revocation, or its time is over.
    pub(super) fn revoked(&mut self, over: bool) {
        let Some(finished) = self.revoking.take() else { return };
        match finished.try_recv() {
            Ok(durable) => self.store(&durable),
            Err(_) if over => {}
            Err(_) => return self.revoking = Some(finished),
        }
        self.assigned.clear();
        // The poll in which partitions go ends with what was read of them thrown away.
        self.chunk = Chunk::default();
    }

    pub(super) fn assign(&mut self, partitions: [bool; 2], elsewhere: i64, told: bool) {
        if self.revoking.is_some() || !self.assigned.is_empty() {
            return;
        }
        let ours = (0..).zip(partitions).filter_map(|(number, ours)| ours.then_some(number));
        let mut known = Vec::new();
        for number in ours {
            let before = self.committed.get(&number).copied();
            let published = self.published.get(&number).copied().unwrap_or(0);
            let position = before.unwrap_or(0);
            // The other member has written them, and waited until they were durable.
            let after = (position + elsewhere).min(published);
            for offset in position..after {
                self.table.insert((number, offset), None);
            }
            if after > position {
                self.committed.insert(number, after);
            }
            let offset = self.committed.get(&number).copied();
            self.assigned.insert(number, offset.unwrap_or(0));
            known.push(Committed {
                partition: place(number),
                offset: offset.filter(|_| told),
                note: String::new(),
            });
        }
        self.control.push_back(Control::Assigned(known));
    }
}

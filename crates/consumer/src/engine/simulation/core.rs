//! The state machines, wired as in `engine`: the same decisions in the same order, with lists in place of tasks.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Instant;

use super::SYNC;
use super::world::{Command, Place, World};
use crate::batch::{Batch, Batcher, Limits, Origin, Shape};
use crate::engine::epochs::{Epochs, Phase};
use crate::horizon::{Horizon, Verdict};
use crate::ledger::Ledger;
use crate::message::Partition;
use crate::receive::{Committed, Control};
use crate::rows::Cell;

const IN_FLIGHT: usize = 3;

#[derive(Debug)]
pub(super) struct Core {
    ledger: Ledger,
    horizon: Horizon,
    batcher: Batcher,
    epochs: Epochs,
    /// Counts the times at which all in flight became void.
    void: u64,
    leaving: Option<Leaving>,
    tasks: Vec<Task>,
    probing: bool,
}

#[derive(Debug)]
struct Leaving {
    epoch: u64,
    partitions: Vec<Partition>,
    done: Sender<Vec<(Partition, i64)>>,
    over: bool,
}

#[derive(Debug)]
struct Task {
    work: Work,
    void: u64,
    fate: Option<Fate>,
}

#[derive(Debug)]
enum Work {
    Write(Batch),
    Letter(Origin),
}

#[derive(Debug, Clone, Copy)]
enum Fate {
    Acknowledged(Instant),
    Refused,
}

fn batcher() -> Batcher {
    let limits = Limits { rows: 4, bytes: 1_000 };
    Batcher::new(limits, [Shape { width: 1, overhead: 0, groups: 2 }])
}

fn message(origin: &Origin) -> Place {
    let Origin { chunk, place, partition, .. } = origin;
    (partition.number, chunk.message("t", partition.number, *place).offset)
}

impl Core {
    pub(super) fn new() -> Self {
        Self {
            ledger: Ledger::default(),
            horizon: Horizon::new(SYNC),
            batcher: batcher(),
            epochs: Epochs::new(),
            void: 0,
            leaving: None,
            tasks: Vec::new(),
            probing: false,
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.tasks.len()
    }

    pub(super) fn control_next(&mut self, world: &mut World) {
        if let Some(control) = world.control.pop_front() {
            self.control(world, control);
        }
    }

    fn control(&mut self, world: &mut World, control: Control) {
        self.leave_now(world);
        match control {
            Control::Assigned(partitions) => {
                for Committed { partition, offset, .. } in partitions {
                    if let Some(offset) = offset {
                        self.ledger.open(partition, offset);
                    }
                }
            }
            Control::Revoked { epoch, partitions, done } => {
                self.batcher = batcher();
                self.leaving = Some(Leaving { epoch, partitions, done, over: false });
            }
            Control::Sought { epoch } => self.epochs.sought(epoch),
            _ => {}
        }
    }

    pub(super) fn deliver(&mut self, world: &mut World) {
        let hungry = self.epochs.reads() && self.leaving.is_none() && self.batcher.waiting() < IN_FLIGHT;
        if !hungry {
            return;
        }
        let Some(delivery) = world.chunks.pop_front() else { return };
        while let Some(control) = world.control.pop_front() {
            self.control(world, control);
        }
        if self.leaving.is_some() || !self.epochs.takes(delivery.epoch) {
            return;
        }
        let chunk = Arc::new(delivery.chunk);
        for run in chunk.spans() {
            let partition = run.partition;
            let outcomes = u32::try_from(run.messages.len()).unwrap();
            let (span, _) = self.ledger.begin(partition, run.first, run.end, outcomes);
            for place in run.messages.clone() {
                let rows = self.batcher.rows(0);
                let start = rows.bytes.len();
                rows.push(Cell::UNSET);
                self.batcher.pushed(
                    0,
                    place % 2,
                    start,
                    Origin { chunk: Arc::clone(&chunk), place, partition, span },
                );
            }
        }
    }

    pub(super) fn dispatch(&mut self, world: &World) {
        while self.epochs.writes() && self.writes() < IN_FLIGHT {
            let Some(batch) = self.batcher.next(world.chunks.is_empty()) else { break };
            self.tasks.push(Task { work: Work::Write(batch), void: self.void, fate: None });
        }
    }

    fn writes(&self) -> usize {
        self.tasks.iter().filter(|task| matches!(task.work, Work::Write(_))).count()
    }

    fn new_epoch(&mut self) -> Vec<(Partition, i64)> {
        self.void += 1;
        self.batcher = batcher();
        self.ledger.rewind()
    }

    fn rewind(&mut self, world: &mut World) {
        let targets = self.new_epoch();
        self.epochs.seeking();
        world.commands.push_back(Command::Seek(targets));
    }

    pub(super) fn patience_ends(&mut self) {
        if let Some(leaving) = &mut self.leaving {
            leaving.over = true;
        }
    }

    pub(super) fn leave(&mut self, world: &mut World) {
        let Some(leaving) = &self.leaving else { return world.revoked(false) };
        if self.epochs.writes() && self.writes() > 0 && !leaving.over {
            return;
        }
        self.leave_now(world);
    }

    fn leave_now(&mut self, world: &mut World) {
        let Some(leaving) = self.leaving.take() else { return };
        let durable = self.ledger.watermarks().map(|(partition, _, durable)| (partition, durable));
        let durable = durable.filter(|(partition, _)| leaving.partitions.contains(partition)).collect();
        self.new_epoch();
        self.ledger.forget(&leaving.partitions);
        self.epochs.left(leaving.epoch);
        let _ = leaving.done.send(durable);
        world.revoked(false);
    }

    pub(super) fn probe(&mut self, world: &World) {
        if !std::mem::replace(&mut self.probing, true) {
            self.horizon.sent(world.at);
        }
    }

    pub(super) fn probed(&mut self, world: &mut World, lost: bool) {
        if !std::mem::take(&mut self.probing) || lost {
            return;
        }
        match self.horizon.answered(world.at, &world.answer()) {
            Verdict::First => self.epochs.proved(),
            Verdict::Same { durable_up_to } => {
                let moved = durable_up_to.map(|limit| self.ledger.advance(limit)).unwrap_or_default();
                if !moved.is_empty() {
                    world.commands.push_back(Command::Store(moved));
                }
            }
            Verdict::Restarted { .. } => {
                if self.epochs.phase() != Phase::Misfit {
                    self.rewind(world);
                }
            }
            Verdict::Unanswered => {}
            Verdict::Replaced => unreachable!("there is one node, and it stays"),
        }
    }

    pub(super) fn misfit(&mut self) {
        if self.epochs.writes() && self.epochs.misfit() {
            self.new_epoch();
        }
    }

    pub(super) fn fits(&mut self, world: &mut World) {
        if self.epochs.phase() == Phase::Misfit {
            self.rewind(world);
        }
    }

    pub(super) fn apply(&mut self, world: &mut World, pick: usize) {
        let Some(task) = self.waiting(pick) else { return };
        task.fate = Some(Fate::Acknowledged(world.at));
        match &task.work {
            Work::Write(batch) => batch.origins.iter().for_each(|origin| world.write(message(origin))),
            Work::Letter(origin) => world.bury(message(origin)),
        }
    }

    pub(super) fn refuse(&mut self, pick: usize) {
        if let Some(task) = self.waiting(pick)
            && matches!(task.work, Work::Write(_))
        {
            task.fate = Some(Fate::Refused);
        }
    }

    // One that the server has not answered.
    fn waiting(&mut self, pick: usize) -> Option<&mut Task> {
        let mut waiting: Vec<_> = self.tasks.iter_mut().filter(|task| task.fate.is_none()).collect();
        if waiting.is_empty() { None } else { Some(waiting.swap_remove(pick % waiting.len())) }
    }

    pub(super) fn stale(&mut self, world: &mut World, pick: usize) {
        let void = self.void;
        let current = self.waiting(pick).is_some_and(|task| task.void == void);
        if current {
            self.rewind(world);
        }
    }

    // A task has ended: it was answered, or is void and was cancelled.
    pub(super) fn hear(&mut self, pick: usize) {
        let ended = |task: &Task| task.fate.is_some() || task.void < self.void;
        let ended: Vec<usize> = (0..self.tasks.len()).filter(|place| ended(&self.tasks[*place])).collect();
        if ended.is_empty() {
            return;
        }
        let Task { work, fate, .. } = self.tasks.remove(ended[pick % ended.len()]);
        let Some(fate) = fate else { return };
        match (work, fate) {
            (Work::Write(batch), _) if !batch.is_current(&self.ledger) => self.batcher.recycle(batch),
            (Work::Write(batch), Fate::Acknowledged(at)) => {
                let now = self.horizon.now(at);
                let key = |origin: &Origin| (origin.partition, origin.span);
                for run in batch.origins.chunk_by(|one, next| key(one) == key(next)) {
                    self.ledger.settle(run[0].partition, run[0].span, u32::try_from(run.len()).unwrap(), now);
                }
                self.batcher.recycle(batch);
            }
            (Work::Write(batch), Fate::Refused) => match batch.split() {
                Ok((left, right)) => {
                    self.batcher.again(right);
                    self.batcher.again(left);
                }
                Err(single) => {
                    let letter = Work::Letter(single.origins[0].clone());
                    self.tasks.push(Task { work: letter, void: self.void, fate: None });
                }
            },
            (Work::Letter(origin), Fate::Acknowledged(at)) => {
                self.ledger.settle(origin.partition, origin.span, 1, self.horizon.now(at));
            }
            (Work::Letter(_), Fate::Refused) => {}
        }
    }
}

//! Any sequence of rows and refusals, beside a batcher that is lists of sizes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { rows: 4, bytes: 300 };
/// Two plans; the rows of the first go to three groups of replicas.
const PLANS: [Shape; 2] =
    [Shape { width: 1, overhead: 20, groups: 3 }, Shape { width: 1, overhead: 45, groups: 1 }];

#[derive(Debug, Clone)]
enum Step {
    /// A row of so many bytes.
    Push { plan: usize, group: usize, size: usize },
    /// A writer is free.
    Take { dry: bool },
    /// A batch was refused: its halves go before everything else.
    Refuse { pick: prop::sample::Index },
    /// A batch was written.
    Recycle { pick: prop::sample::Index },
}

fn step() -> impl Strategy<Value = Step> {
    let target = prop_oneof![8 => Just((0, 0)), 4 => Just((0, 1)), 1 => Just((0, 2)), 4 => Just((1, 0))];
    let size = prop_oneof![8 => 0..100_usize, 1 => 200..400_usize];
    prop_oneof![
        12 => (target, size).prop_map(|((plan, group), size)| Step::Push { plan, group, size }),
        2 => any::<bool>().prop_map(|dry| Step::Take { dry }),
        1 => any::<prop::sample::Index>().prop_map(|pick| Step::Refuse { pick }),
        1 => any::<prop::sample::Index>().prop_map(|pick| Step::Recycle { pick }),
    ]
}

/// A row: its number and its bytes.
type Row = (usize, usize);

#[derive(Debug, Default)]
struct Model {
    /// By plan and group: the number of the push that opened it, and its rows.
    open: BTreeMap<(usize, usize), (usize, Vec<Row>)>,
    full: VecDeque<(usize, Vec<Row>)>,
    pushed: usize,
}

impl Model {
    fn bytes(plan: usize, rows: &[Row]) -> usize {
        rows.iter().map(|(_, size)| size + PLANS[plan].overhead).sum()
    }

    fn close(&mut self, key: (usize, usize)) {
        self.full.extend(self.open.remove(&key).map(|(_, rows)| (key.0, rows)));
    }

    fn oldest(&self) -> Option<(usize, (usize, usize))> {
        self.open.iter().map(|(key, (since, _))| (*since, *key)).min()
    }

    fn push(&mut self, key: (usize, usize), size: usize) {
        let row = (self.pushed, size);
        self.pushed += 1;
        if self
            .open
            .get(&key)
            .is_some_and(|(_, rows)| Self::bytes(key.0, rows) + size + PLANS[key.0].overhead > LIMITS.bytes)
        {
            self.close(key);
        }
        let (_, rows) = self.open.entry(key).or_insert((self.pushed, Vec::new()));
        rows.push(row);
        if rows.len() == LIMITS.rows || Self::bytes(key.0, rows) >= LIMITS.bytes {
            self.close(key);
        }
        if self.pushed.is_multiple_of(LIMITS.rows) {
            while let Some((since, key)) = self.oldest()
                && since + OPEN_BATCHES * LIMITS.rows < self.pushed
            {
                self.close(key);
            }
        }
    }

    fn take(&mut self, dry: bool) -> Option<(usize, Vec<Row>)> {
        if self.full.is_empty() && dry {
            let (_, key) = self.oldest()?;
            self.close(key);
        }
        self.full.pop_front()
    }
}

// As the model writes it, checked against the limits and its own bytes.
fn rows(batch: &Batch) -> (usize, Vec<Row>) {
    let row = |(row, origin): (usize, &Origin)| {
        let CellValue::Bytes(bytes) = batch.rows.cell(row, 0) else { panic!("no cell") };
        assert!(bytes.iter().all(|byte| usize::from(*byte) == origin.place % 251), "another row's bytes");
        (origin.place, bytes.len())
    };
    let rows: Vec<Row> = batch.origins.iter().enumerate().map(row).collect();
    assert_eq!(batch.rows.len(), rows.len());
    let within = rows.len() <= LIMITS.rows && Model::bytes(batch.plan, &rows) <= LIMITS.bytes;
    assert!(within || rows.len() == 1, "{rows:?}");
    (batch.plan, rows)
}

proptest! {
    #[test]
    fn batches_are_those_of_a_model_and_every_row_is_settled_once(
        steps in prop::collection::vec(step(), 1..400)
    ) {
        let mut batcher = Batcher::new(LIMITS, PLANS);
        let mut model = Model::default();
        let mut targets = Vec::new();
        let mut in_flight: Vec<Batch> = Vec::new();
        let mut settled: Vec<usize> = Vec::new();
        for step in steps {
            match step {
                Step::Push { plan, group, size } => {
                    push_into(&mut batcher, plan, group, targets.len(), size);
                    model.push((plan, group), size);
                    targets.push((plan, group));
                }
                Step::Take { dry } => {
                    let batch = batcher.next(dry);
                    prop_assert_eq!(batch.as_ref().map(rows), model.take(dry));
                    in_flight.extend(batch);
                }
                Step::Refuse { pick } if !in_flight.is_empty() => {
                    match in_flight.swap_remove(pick.index(in_flight.len())).split() {
                        Ok((left, right)) => {
                            let before = [rows(&left), rows(&right)];
                            batcher.again(right);
                            batcher.again(left);
                            before.into_iter().rev().for_each(|half| model.full.push_front(half));
                        }
                        // The one that is at fault.
                        Err(single) => settled.push(single.origins[0].place),
                    }
                }
                Step::Recycle { pick } if !in_flight.is_empty() => {
                    let batch = in_flight.swap_remove(pick.index(in_flight.len()));
                    settled.extend(places(&batch));
                    batcher.recycle(batch);
                }
                Step::Refuse { .. } | Step::Recycle { .. } => {}
            }
            prop_assert_eq!(batcher.waiting(), model.full.len());
            prop_assert_eq!(batcher.is_empty(), model.full.is_empty() && model.open.is_empty());
            let waits = model.oldest().map_or(0, |(since, _)| model.pushed - since);
            prop_assert!(waits <= (OPEN_BATCHES + 1) * LIMITS.rows, "a rare row waits for {waits} others");
        }
        while let Some(batch) = batcher.next(true) {
            prop_assert_eq!(Some(rows(&batch)), model.take(true));
            in_flight.push(batch);
        }
        for batch in &in_flight {
            let key = targets[batch.origins[0].place];
            prop_assert!(batch.origins.iter().all(|origin| targets[origin.place] == key), "groups are mixed");
            settled.extend(places(batch));
        }
        settled.sort_unstable();
        prop_assert_eq!(settled, (0..targets.len()).collect::<Vec<_>>());
    }
}

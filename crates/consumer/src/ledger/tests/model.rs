//! Any history of a ledger, beside a model that keeps every span and every stamp of its outcomes for ever.

use proptest::prelude::*;

use super::*;

const PARTITIONS: i32 = 3;

#[derive(Debug, Clone)]
enum Step {
    /// The group gives the partition, and where it had got to.
    Open {
        partition: i32,
        committed: i64,
    },
    /// Messages arrive so far behind what is expected; before it, where that is negative.
    Begin {
        partition: i32,
        jump: i64,
        length: i64,
    },
    /// Some outcomes of any span that ever was, told so late.
    Settle {
        pick: prop::sample::Index,
        outcomes: u32,
        late: u64,
    },
    Wait {
        millis: u64,
    },
    /// A probe says what is durable.
    Advance {
        age: u64,
    },
    Rewind,
    Forget {
        partitions: Vec<i32>,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let partition = 0..PARTITIONS;
    // Most messages follow those before them.
    let jump = prop_oneof![12 => Just(0), 2 => 1..30_i64, 1 => -60..0_i64];
    let late = prop_oneof![3 => Just(0), 1 => 0..6_000_u64];
    prop_oneof![
        1 => (partition.clone(), 0..1_000_i64).prop_map(|(partition, committed)| Step::Open { partition, committed }),
        6 => (partition, jump, 1..50_i64)
            .prop_map(|(partition, jump, length)| Step::Begin { partition, jump, length }),
        9 => (any::<prop::sample::Index>(), 1..50_u32, late)
            .prop_map(|(pick, outcomes, late)| Step::Settle { pick, outcomes, late }),
        3 => (0..3_000_u64).prop_map(|millis| Step::Wait { millis }),
        3 => (0..4_000_u64).prop_map(|age| Step::Advance { age }),
        1 => Just(Step::Rewind),
        1 => prop::collection::vec(0..PARTITIONS, 0..3).prop_map(|partitions| Step::Forget { partitions }),
    ]
}

#[derive(Debug)]
struct Span {
    partition: i32,
    id: SpanId,
    end: i64,
    left: u32,
    /// Of its outcomes, the youngest.
    stamp: Duration,
    /// When the last of all before it, and it, had their outcomes: the youngest stamp by then.
    passed: Option<Duration>,
    void: bool,
}

/// A partition that is ours.
#[derive(Debug, Clone, Copy)]
struct Place {
    durable: i64,
    expected: i64,
}

#[derive(Debug, Default)]
struct Model {
    /// In the order in which they began.
    spans: Vec<Span>,
    places: BTreeMap<i32, Place>,
    now: Duration,
}

impl Model {
    fn of(&self, partition: i32) -> impl Iterator<Item = &Span> {
        self.spans.iter().filter(move |span| span.partition == partition && !span.void)
    }

    fn void(&mut self, void: impl Fn(i32) -> bool) {
        self.spans.iter_mut().filter(|span| void(span.partition)).for_each(|span| span.void = true);
    }

    fn settle(&mut self, pick: usize, outcomes: u32, stamp: Duration) {
        let span = &mut self.spans[pick];
        span.left -= outcomes;
        span.stamp = span.stamp.max(stamp);
        let partition = span.partition;
        let youngest = self.of(partition).map(|span| span.stamp).max();
        let ours = self.spans.iter_mut().filter(|span| span.partition == partition && !span.void);
        for span in ours.take_while(|span| span.left == 0) {
            span.passed = span.passed.or(youngest);
        }
    }

    fn written(&self, partition: i32) -> i64 {
        let durable = self.places[&partition].durable;
        self.of(partition).take_while(|span| span.left == 0).last().map_or(durable, |span| span.end)
    }

    // What may be durable by `limit` at most, and what has to be.
    fn durable(&self, partition: i32, limit: Duration) -> (i64, i64) {
        let before = self.places[&partition].durable;
        let most = self.of(partition).take_while(|span| span.left == 0 && span.stamp <= limit).last();
        let least = self
            .of(partition)
            .take_while(|span| span.passed.is_some_and(|passed| passed + MARK_SPREAD <= limit))
            .last();
        let end = |span: Option<&Span>| span.map_or(before, |span| span.end.max(before));
        (end(least), end(most))
    }
}

fn run(step: Step, ledger: &mut Ledger, model: &mut Model) -> Result<(), TestCaseError> {
    let place = |number| Partition { topic: 0, number };
    match step {
        Step::Open { partition, committed } => {
            ledger.open(place(partition), committed);
            model.void(|number| number == partition);
            model.places.insert(partition, Place { durable: committed, expected: committed });
        }
        Step::Begin { partition, jump, length } => {
            let known = model.places.get(&partition).copied();
            let first = known.map_or(500, |known| known.expected) + jump;
            let (end, left) = (first + length, u32::try_from(length).unwrap());
            let (id, joint) = ledger.begin(place(partition), first, end, left);
            let expected = known.map_or(first, |known| known.expected);
            prop_assert_eq!(
                joint,
                match first - expected {
                    0 => Joint::Next,
                    1.. => Joint::Gap { expected },
                    _ => Joint::Back { expected },
                }
            );
            if matches!(joint, Joint::Back { .. }) {
                model.void(|number| number == partition);
            }
            let back = matches!(joint, Joint::Back { .. }) || known.is_none();
            let durable = if back { first } else { model.places[&partition].durable };
            prop_assert!(model.spans.iter().all(|span| span.id != id), "a name is used again");
            model.places.insert(partition, Place { durable, expected: end });
            let stamp = Duration::ZERO;
            model.spans.push(Span { partition, id, end, left, stamp, passed: None, void: false });
        }
        Step::Settle { pick, outcomes, late } => {
            if model.spans.is_empty() {
                return Ok(());
            }
            let pick = pick.index(model.spans.len());
            let Span { partition, id, left, void, .. } = model.spans[pick];
            let outcomes = if void { outcomes } else { outcomes.min(left) };
            // The engine is told the outcomes of writes, of letters and of rounds in any order.
            let stamp = model.now.saturating_sub(at(late));
            if outcomes > 0 {
                ledger.settle(place(partition), id, outcomes, stamp);
            }
            if !void && outcomes > 0 {
                model.settle(pick, outcomes, stamp);
            }
        }
        Step::Wait { millis } => model.now += at(millis),
        Step::Advance { age } => {
            let limit = model.now.saturating_sub(at(age));
            let moved: BTreeMap<Partition, i64> = ledger.advance(limit).into_iter().collect();
            for partition in model.places.keys().copied().collect::<Vec<_>>() {
                let before = model.places[&partition].durable;
                let durable = moved.get(&place(partition)).copied();
                prop_assert!(durable.is_none_or(|durable| durable > before), "what is told has moved");
                let durable = durable.unwrap_or(before);
                let (least, most) = model.durable(partition, limit);
                prop_assert!((least..=most).contains(&durable), "{least} <= {durable} <= {most}: {model:?}");
                model.places.insert(partition, Place { durable, ..model.places[&partition] });
            }
            prop_assert!(moved.keys().all(|partition| model.places.contains_key(&partition.number)));
        }
        Step::Rewind => {
            let targets = ledger.rewind().into_iter().map(|(partition, offset)| (partition.number, offset));
            model.void(|_| true);
            model.places.values_mut().for_each(|place| place.expected = place.durable);
            let durable = model.places.iter().map(|(partition, place)| (*partition, place.durable));
            prop_assert!(targets.eq(durable));
        }
        Step::Forget { partitions } => {
            ledger.forget(&partitions.iter().copied().map(place).collect::<Vec<_>>());
            model.void(|partition| partitions.contains(&partition));
            model.places.retain(|partition, _| !partitions.contains(partition));
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn watermarks_are_those_of_a_model_that_keeps_every_span(steps in prop::collection::vec(step(), 1..150)) {
        let (mut ledger, mut model) = (Ledger::default(), Model::default());
        for step in steps {
            run(step, &mut ledger, &mut model)?;
            let place = |number| Partition { topic: 0, number };
            let expected = model.places.iter().map(|(number, known)| {
                (place(*number), model.written(*number), known.durable)
            });
            prop_assert!(ledger.watermarks().eq(expected), "{ledger:?} {model:?}");
            let left: u32 = model.spans.iter().filter(|span| !span.void).map(|span| span.left).sum();
            prop_assert_eq!(ledger.outcomes_left(), u64::from(left));
            prop_assert_eq!(ledger.all_written(), left == 0);
            for Span { partition, id, left, void, .. } in &model.spans {
                let knows = ledger.knows(place(*partition), *id);
                prop_assert!(if *void { !knows } else { knows || *left == 0 }, "{id:?} {knows}");
            }
        }
    }
}

use proptest::prelude::*;

use super::*;

const P: Partition = Partition { topic: 0, number: 0 };

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn watermark_waits_for_the_slowest_span_before_it() {
    let mut ledger = Ledger::default();
    let (a, _) = ledger.begin(P, 10, 20, 10);
    let (b, _) = ledger.begin(P, 20, 30, 10);
    ledger.settle(P, b, 10, at(0));
    assert_eq!(ledger.advance(Duration::MAX), [], "span b is done, a is not");
    ledger.settle(P, a, 9, at(1));
    assert_eq!(ledger.advance(Duration::MAX), []);
    ledger.settle(P, a, 1, at(2));
    assert!(ledger.all_written());
    assert_eq!(ledger.advance(Duration::MAX), [(P, 30)]);
}

#[test]
fn offsets_become_durable_only_with_the_age_of_their_last_row() {
    let mut ledger = Ledger::default();
    let (a, _) = ledger.begin(P, 0, 5, 1);
    let (b, _) = ledger.begin(P, 5, 9, 1);
    ledger.settle(P, a, 1, at(1_000));
    ledger.settle(P, b, 1, at(2_000));
    assert_eq!(ledger.advance(at(999)), []);
    assert_eq!(ledger.advance(at(1_000)), [(P, 5)]);
    assert_eq!(ledger.advance(at(2_000)), [(P, 9)]);
}

#[test]
fn rewind_returns_to_the_durable_watermark_and_forgets_late_outcomes() {
    let mut ledger = Ledger::default();
    let (a, _) = ledger.begin(P, 0, 5, 1);
    let (b, _) = ledger.begin(P, 5, 9, 1);
    ledger.settle(P, a, 1, at(0));
    ledger.advance(at(0));
    assert_eq!(ledger.rewind(), [(P, 5)]);
    ledger.settle(P, b, 1, at(1));
    assert_eq!(ledger.advance(Duration::MAX), [], "an outcome of before the rewind counts for nothing");
    let (c, joint) = ledger.begin(P, 5, 9, 1);
    assert_eq!(joint, Joint::Next);
    ledger.settle(P, c, 1, at(2));
    assert_eq!(ledger.advance(Duration::MAX), [(P, 9)]);
}

#[test]
fn late_outcomes_never_meet_a_partition_that_came_back() {
    let mut ledger = Ledger::default();
    let (old, _) = ledger.begin(P, 0, 5, 1);
    ledger.forget(&[P]);
    let (_new, _) = ledger.begin(P, 0, 5, 1);
    ledger.settle(P, old, 1, at(0));
    assert_eq!(ledger.advance(Duration::MAX), []);
}

#[test]
fn a_partition_that_starts_again_is_noticed_and_followed() {
    let mut ledger = Ledger::default();
    ledger.open(P, 100);
    assert_eq!(ledger.begin(P, 120, 130, 1).1, Joint::Gap { expected: 100 });
    let (again, joint) = ledger.begin(P, 0, 10, 1);
    assert_eq!(joint, Joint::Back { expected: 130 });
    ledger.settle(P, again, 1, at(0));
    assert_eq!(ledger.advance(Duration::MAX), [(P, 10)]);
}

#[test]
fn marks_stay_few_at_any_rate() {
    let mut ledger = Ledger::default();
    for n in 0..160_000_i64 {
        let (id, _) = ledger.begin(P, n, n + 1, 1);
        ledger.settle(P, id, 1, Duration::from_micros(u64::try_from(n).unwrap() * 100));
    }
    let marks = ledger.logs[&P].marks.len();
    assert!(marks <= 161, "{marks} marks for 16 s");
}

#[test]
fn spans_behind_a_stuck_one_are_kept_as_one() {
    let mut ledger = Ledger::default();
    let (stuck, _) = ledger.begin(P, 0, 10, 10);
    let behind: Vec<_> = (1..1_000).map(|n| ledger.begin(P, n * 10, n * 10 + 10, 10).0).collect();
    // In an order that leaves holes before it fills them.
    let (even, odd): (Vec<_>, Vec<_>) = behind.into_iter().enumerate().partition(|(n, _)| n % 2 == 0);
    for (_, id) in even.into_iter().chain(odd) {
        assert!(ledger.knows(P, id));
        ledger.settle(P, id, 10, at(1));
    }
    assert_eq!(ledger.logs[&P].spans.len(), 2, "the stuck one, and one for all behind it");
    assert_eq!(ledger.advance(Duration::MAX), []);
    ledger.settle(P, stuck, 10, at(2));
    assert!(ledger.all_written());
    assert_eq!(ledger.advance(Duration::MAX), [(P, 10_000)]);
}

// What the ledger must say, from a model that keeps every offset.
#[derive(Debug, Clone)]
enum Step {
    Begin { partition: i32, length: i64 },
    Settle { pick: usize },
    Wait { millis: u64 },
    Advance,
    Rewind,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3, 1..50_i64).prop_map(|(partition, length)| Step::Begin { partition, length }),
        4 => any::<usize>().prop_map(|pick| Step::Settle { pick }),
        2 => (0..3_000_u64).prop_map(|millis| Step::Wait { millis }),
        2 => Just(Step::Advance),
        1 => Just(Step::Rewind),
    ]
}

#[derive(Debug, Default)]
struct Model {
    spans: BTreeMap<i32, Vec<Span>>,
    durable: BTreeMap<i32, i64>,
}

#[derive(Debug)]
struct Span {
    first: i64,
    end: i64,
    id: SpanId,
    written_at: Option<Duration>,
}

const HORIZON: Duration = Duration::from_secs(2);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_offset_is_durable_before_all_up_to_it_are_written_and_old_enough(steps in prop::collection::vec(step(), 1..120)) {
        let mut ledger = Ledger::default();
        let mut model = Model::default();
        let mut now = Duration::ZERO;
        for step in steps {
            match step {
                Step::Begin { partition, length } => {
                    let spans = model.spans.entry(partition).or_default();
                    let durable = *model.durable.entry(partition).or_insert(0);
                    let first = spans.last().map_or(durable, |span| span.end);
                    let place = Partition { topic: 0, number: partition };
                    let (id, joint) = ledger.begin(place, first, first + length, u32::try_from(length).unwrap());
                    prop_assert_eq!(joint, Joint::Next);
                    spans.push(Span { first, end: first + length, id, written_at: None });
                }
                Step::Settle { pick } => {
                    let mut open: Vec<_> = model
                        .spans
                        .iter_mut()
                        .flat_map(|(partition, spans)| spans.iter_mut().map(move |span| (*partition, span)))
                        .filter(|(_, span)| span.written_at.is_none())
                        .collect();
                    if open.is_empty() {
                        continue;
                    }
                    let pick = pick % open.len();
                    let (partition, span) = &mut open[pick];
                    let place = Partition { topic: 0, number: *partition };
                    ledger.settle(place, span.id, u32::try_from(span.end - span.first).unwrap(), now);
                    span.written_at = Some(now);
                }
                Step::Wait { millis } => now += Duration::from_millis(millis),
                Step::Advance => {
                    let Some(limit) = now.checked_sub(HORIZON) else { continue };
                    for (partition, watermark) in ledger.advance(limit) {
                        let spans = &model.spans[&partition.number];
                        for span in spans.iter().filter(|span| span.first < watermark) {
                            prop_assert!(span.written_at.is_some_and(|at| at <= limit), "{span:?} {watermark}");
                        }
                        let before = model.durable.insert(partition.number, watermark).unwrap();
                        prop_assert!(watermark > before, "watermarks only rise");
                    }
                    // And nothing stays behind for ever: what is old enough by the mark's spread is durable.
                    for (partition, spans) in &model.spans {
                        let durable = model.durable[partition];
                        let next = spans.iter().find(|span| span.end > durable);
                        let old = |span: &Span| span.written_at.is_some_and(|at| at + MARK_SPREAD * 2 <= limit);
                        prop_assert!(!next.is_some_and(old), "{next:?} is old enough, durable {durable}");
                    }
                }
                Step::Rewind => {
                    for (partition, offset) in ledger.rewind() {
                        prop_assert_eq!(offset, model.durable[&partition.number]);
                        model.spans.insert(partition.number, Vec::new());
                    }
                }
            }
        }
    }
}

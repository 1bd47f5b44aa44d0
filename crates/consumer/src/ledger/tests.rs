//! Ledgers by hand; any history is in `model`.

mod model;

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
fn an_outcome_that_is_told_late_does_not_age_those_that_it_held_up() {
    let mut ledger = Ledger::default();
    let (a, _) = ledger.begin(P, 0, 5, 1);
    let (b, _) = ledger.begin(P, 5, 9, 1);
    ledger.settle(P, b, 1, at(5_000));
    ledger.settle(P, a, 1, at(1_000));
    assert_eq!(ledger.advance(at(4_999)), [], "b was acknowledged at 5 s");
    assert_eq!(ledger.advance(at(5_000)), [(P, 9)]);
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

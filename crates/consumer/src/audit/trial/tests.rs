use proptest::prelude::*;

use super::*;
use crate::audit::glance::{Glance, Look};
use crate::key::Key;
use crate::store::Found;

const COLUMNS: usize = 2;

// A message: what it does to each column, or that it deletes the row.
#[derive(Debug, Clone)]
struct Op {
    writetime: i64,
    deletes: bool,
    // Its time to live is nearly over, or quite.
    fades: bool,
    over: bool,
    // Its time to live was the same for all and is over: whether it was written before.
    expired: Option<bool>,
    cells: [Does; COLUMNS],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Nothing,
    Null,
    Value(u8),
}

impl Op {
    fn insert(writetime: i64, cells: [Does; COLUMNS]) -> Self {
        Self { writetime, deletes: false, fades: false, over: false, expired: None, cells }
    }

    fn delete(writetime: i64) -> Self {
        Self { deletes: true, ..Self::insert(writetime, [Does::Nothing; COLUMNS]) }
    }

    fn fading(self, over: bool) -> Self {
        Self { fades: true, over, ..self }
    }

    fn expired(self, was_written: bool) -> Self {
        Self { expired: Some(was_written), ..self.fading(true) }
    }

    fn effect(&self) -> Effect<'_> {
        let bound = |does: &'_ Does| match does {
            _ if self.deletes => Bound::Gone,
            Does::Nothing => Bound::Untouched,
            Does::Null => Bound::Gone,
            Does::Value(value) => Bound::Value(one_byte(*value)),
        };
        Effect {
            writetime: self.writetime,
            deletes: self.deletes,
            fades: self.fades,
            cells: self.cells.iter().map(bound).collect(),
        }
    }
}

fn one_byte(value: u8) -> &'static [u8] {
    const ALL: [u8; 256] = {
        let mut all = [0; 256];
        let mut value = u8::MAX;
        while value > 0 {
            all[value as usize] = value;
            value -= 1;
        }
        all
    };
    &ALL[usize::from(value)..=usize::from(value)]
}

// What a cell is to Cassandra: of two, the greater is kept. Values are ranked below values with a time to live, and
// those below tombstones.
type Version = (i64, u8, u8);
const TOMBSTONE: u8 = 2;

// A row as Cassandra keeps it, whatever the order of the writes.
#[derive(Debug, Default)]
struct Row {
    deleted: i64,
    marker: Option<(Version, bool)>,
    cells: [Option<(Version, bool)>; COLUMNS],
}

impl Row {
    fn write(&mut self, op: &Op) {
        if op.deletes {
            self.deleted = self.deleted.max(op.writetime);
            return;
        }
        let rank = u8::from(op.fades);
        self.marker = self.marker.max(Some(((op.writetime, rank, 0), op.over)));
        for (cell, does) in self.cells.iter_mut().zip(op.cells) {
            let version = match does {
                Does::Nothing => continue,
                Does::Null => ((op.writetime, TOMBSTONE, 0), true),
                Does::Value(value) => ((op.writetime, rank, value), op.over),
            };
            *cell = (*cell).max(Some(version));
        }
    }

    fn of(ops: &[Op]) -> Seen {
        let mut row = Self::default();
        ops.iter().filter(|op| op.expired != Some(false)).for_each(|op| row.write(op));
        let alive = |version: Option<(Version, bool)>| {
            version
                .filter(|((at, ..), over)| !over && *at > row.deleted)
                .map(|((at, _, value), _)| (value, at))
        };
        let cells = row.cells.map(alive);
        (cells.iter().any(Option::is_some) || alive(row.marker).is_some()).then_some(cells)
    }
}

// The row as a read shows it: values and WRITETIMEs.
type Seen = Option<[Option<(u8, i64)>; COLUMNS]>;

fn row() -> RowKey {
    (0, Key::pack([&b"k"[..]].into_iter()))
}

fn found(seen: &Seen) -> Found {
    let mut found = Found::new(COLUMNS);
    if let Some(cells) = seen {
        let cells = cells.iter().map(|cell| cell.map(|(value, at)| (one_byte(value), at)));
        found.add(row().1, cells).unwrap();
    }
    found
}

fn selected() -> Vec<Selected> {
    let column = |name: &str| Selected { name: name.to_owned(), multi_cell: false };
    vec![column("a"), column("b")]
}

// A glance at every message in its turn, then the trial if the row is open.
fn audit(ops: &[Op], seen: &Seen) -> Vec<Fault<usize>> {
    let found = found(seen);
    let row = row();
    let mut glance = Glance::default();
    for op in ops.iter().filter(|op| op.expired.is_none()) {
        glance.look(&row, &op.effect(), found.get(&row.1));
    }
    let mut trial = Trial::of(glance.take().into_iter());
    for (place, op) in ops.iter().enumerate() {
        let certain = op.expired.is_none();
        trial.hear(&row, &op.effect(), found.get(&row.1), &selected(), certain, &place);
    }
    trial.faults(&row, found.get(&row.1))
}

fn does() -> impl Strategy<Value = Does> {
    prop_oneof![Just(Does::Nothing), Just(Does::Null), (0_u8..3).prop_map(Does::Value)]
}

fn insert() -> impl Strategy<Value = Op> {
    (1_i64..8, [does(), does()]).prop_map(|(writetime, cells)| Op::insert(writetime, cells))
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => insert(),
        2 => (insert(), any::<bool>()).prop_map(|(op, over)| op.fading(over)),
        1 => (insert(), any::<bool>()).prop_map(|(op, was_written)| op.expired(was_written)),
        1 => (1_i64..8).prop_map(Op::delete),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_history_that_was_written_is_clean(ops in prop::collection::vec(op(), 1..8)) {
        let seen = Row::of(&ops);
        prop_assert_eq!(audit(&ops, &seen), vec![], "{:?}", seen);
    }

    #[test]
    fn a_row_that_was_judged_clean_comes_to_no_other_trial_until_it_changes(
        ops in prop::collection::vec(op(), 1..8),
        other in prop::collection::vec(op(), 1..8),
    ) {
        let (seen, changed) = (Row::of(&ops), Row::of(&other));
        let (row, held, holds) = (row(), found(&seen), found(&changed));
        let mut glance = Glance::default();
        glance.settle(&row, held.get(&row.1));
        for op in &ops {
            prop_assert_ne!(glance.look(&row, &op.effect(), held.get(&row.1)), Look::Open);
            prop_assert_eq!(glance.unsettled(), 0);
        }
        prop_assume!(seen != changed);
        let mut fresh = Glance::default();
        for op in &ops {
            let looks = [&mut glance, &mut fresh].map(|glance| glance.look(&row, &op.effect(), holds.get(&row.1)));
            prop_assert_eq!(looks[0], looks[1]);
        }
        prop_assert_eq!(glance.take(), fresh.take());
    }

    #[test]
    fn a_lost_row_is_missing(ops in prop::collection::vec(insert(), 1..6), deleted in 0_i64..8) {
        let ops = [ops, vec![Op::delete(deleted)]].concat();
        prop_assume!(Row::of(&ops).is_some());
        let faults = audit(&ops, &None);
        prop_assert!(!faults.is_empty());
        for fault in faults {
            prop_assert_eq!((fault.kind, fault.column), (Kind::Missing, None));
            prop_assert!(ops[fault.place].writetime > deleted, "what was deleted is not missed");
        }
    }

    #[test]
    fn any_other_cell_is_named_with_the_message_that_should_be_there(
        ops in prop::collection::vec(insert(), 1..6),
        column in 0..COLUMNS,
        other in prop_oneof![
            Just(None),
            // Bytes of nobody, an older version, one of the future.
            (200_u8..202, -1_i64..10).prop_map(Some),
            (0_u8..3, prop_oneof![-1_i64..1, 8_i64..10]).prop_map(Some),
        ],
    ) {
        let mut cells = Row::of(&ops).unwrap_or_default();
        let right = cells[column];
        prop_assume!(right != other);
        // Somebody must have said something of the column.
        let winner = ops.iter().enumerate().filter(|(_, op)| op.cells[column] != Does::Nothing);
        let rank = |op: &Op| (op.writetime, op.cells[column] == Does::Null);
        let Some(winner) = winner.map(|(_, op)| rank(op)).max() else { return Ok(()) };
        cells[column] = other;
        let faults = audit(&ops, &Some(cells));
        prop_assert_eq!(faults.len(), 1, "{:?}", faults);
        let fault = &faults[0];
        prop_assert_eq!((rank(&ops[fault.place]), fault.column, fault.more), (winner, Some(column), 0));
        let kind = match other {
            None => Kind::Missing,
            Some((_, at)) if at < winner.0 || (at == winner.0 && winner.1) => Kind::Stale,
            Some(_) => Kind::Different,
        };
        prop_assert_eq!(fault.kind, kind);
    }
}

#[test]
fn what_may_have_been_written_explains_and_is_not_missed() {
    let value = |writetime, value| Op::insert(writetime, [Does::Value(value), Does::Nothing]);
    let faults = |ops: &[(Op, bool)], seen: &Seen| {
        let found = found(seen);
        let mut trial = Trial::of([row()].into_iter());
        for (place, (op, certain)) in ops.iter().enumerate() {
            trial.hear(&row(), &op.effect(), found.get(&row().1), &selected(), *certain, &place);
        }
        trial.faults(&row(), found.get(&row().1)).len()
    };
    let (old, new) = ((value(1, 7), true), (value(2, 8), false));
    for seen in [Some([Some((7, 1)), None]), Some([Some((8, 2)), None])] {
        assert_eq!(faults(&[old.clone(), new.clone()], &seen), 0, "{seen:?}");
    }
    assert_eq!(faults(&[old.clone(), new], &None), 1, "neither is there");
    assert_eq!(faults(&[old.clone(), (Op::delete(2), false)], &None), 0);
    assert_eq!(faults(&[old.clone(), (Op::delete(0), false)], &None), 1);
    assert_eq!(faults(&[old, (Op::delete(2), true)], &Some([Some((7, 1)), None])), 1, "not deleted");
}

#[test]
fn inserts_of_one_writetime_may_mix_the_elements_of_a_collection() {
    let ops = [7, 8].map(|value| Op::insert(1, [Does::Value(value), Does::Nothing]));
    let mixed = found(&Some([Some((78, 1)), None]));
    for (multi_cell, faults) in [(true, 0), (false, 1)] {
        let mut selected = selected();
        selected[0].multi_cell = multi_cell;
        let mut trial = Trial::of([row()].into_iter());
        for (place, op) in ops.iter().enumerate() {
            trial.hear(&row(), &op.effect(), mixed.get(&row().1), &selected, true, &place);
        }
        assert_eq!(trial.faults(&row(), mixed.get(&row().1)).len(), faults);
    }
}

#[test]
fn a_row_waits_for_the_message_that_superseded_and_no_longer() {
    let [old, new] = [1, 2].map(|writetime| {
        Op::insert(writetime, [Does::Value(1), Does::Value(u8::try_from(writetime).unwrap())])
    });
    let seen = found(&Row::of(&[old.clone(), new.clone()]));
    let seen = seen.get(&row().1);
    let mut glance = Glance::default();
    assert_eq!(glance.look(&row(), &old.effect(), seen), Look::Superseded);
    assert_eq!(glance.unsettled(), 1);
    assert_eq!(glance.look(&row(), &new.effect(), seen), Look::Stored);
    assert_eq!(glance.unsettled(), 0);
    // Nobody knows then whether it will be the next.
    assert_eq!(glance.look(&row(), &old.effect(), seen), Look::Superseded);
    assert_eq!(glance.take().len(), 1);
}

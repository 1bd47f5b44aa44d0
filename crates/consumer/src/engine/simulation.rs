//! The engine's state machines between a simulated Kafka and a simulated Cassandra, over any history: whatever happens,
//! no committed offset is without a row on disk or a dead letter, and once all is well again, none is missing.
//!
//! The ledger, the batcher, the horizon, the epochs and the choice of where to seek are the product's. `core` wires them
//! as the engine does, without its tasks; `world` is what surrounds them.

mod core;
mod world;

use std::time::Duration;

use proptest::prelude::*;

use core::Core;
use world::World;

const PARTITIONS: i32 = 2;
/// What the server takes to sync its commit log, at most.
const SYNC: Duration = Duration::from_secs(4);

#[derive(Debug, Clone, Copy)]
enum Step {
    Wait {
        millis: u64,
    },
    Publish {
        partition: i32,
        messages: i64,
    },
    // The polling thread.
    Poll {
        partition: i32,
        messages: i64,
    },
    Offer,
    Command,
    Revoke,
    /// The engine did not answer the revocation in time.
    RevokeTimesOut,
    /// Which partitions, whether another member has had them meanwhile, and whether the committed offsets are told.
    Assign {
        partitions: [bool; 2],
        elsewhere: i64,
        told: bool,
    },
    // The engine.
    Control,
    Deliver,
    Leave,
    Probe,
    ProbeAnswered {
        lost: bool,
    },
    Misfit,
    Fits,
    // A write or a dead letter in flight: what the server makes of it, and when the engine hears of that.
    Apply {
        pick: usize,
    },
    Refuse {
        pick: usize,
    },
    Hear {
        pick: usize,
    },
    Stale {
        pick: usize,
    },
    RestartCassandra,
    RestartConsumer,
}

fn step() -> impl Strategy<Value = Step> {
    let pick = any::<usize>;
    let partition = 0..PARTITIONS;
    prop_oneof![
        8 => (0..2_500_u64).prop_map(|millis| Step::Wait { millis }),
        3 => (partition.clone(), 1..20_i64).prop_map(|(partition, messages)| Step::Publish { partition, messages }),
        8 => (partition, 1..9_i64).prop_map(|(partition, messages)| Step::Poll { partition, messages }),
        8 => Just(Step::Offer),
        8 => Just(Step::Command),
        1 => Just(Step::Revoke),
        1 => Just(Step::RevokeTimesOut),
        3 => (any::<[bool; 2]>(), prop_oneof![Just(0), 1..30_i64], prop::bool::weighted(0.8))
            .prop_map(|(partitions, elsewhere, told)| Step::Assign { partitions, elsewhere, told }),
        12 => Just(Step::Control),
        10 => Just(Step::Deliver),
        2 => Just(Step::Leave),
        6 => Just(Step::Probe),
        8 => prop::bool::weighted(0.1).prop_map(|lost| Step::ProbeAnswered { lost }),
        1 => Just(Step::Misfit),
        2 => Just(Step::Fits),
        12 => pick().prop_map(|pick| Step::Apply { pick }),
        2 => pick().prop_map(|pick| Step::Refuse { pick }),
        14 => pick().prop_map(|pick| Step::Hear { pick }),
        1 => pick().prop_map(|pick| Step::Stale { pick }),
        1 => Just(Step::RestartCassandra),
        1 => Just(Step::RestartConsumer),
    ]
}

fn run(step: Step, core: &mut Core, world: &mut World) {
    match step {
        Step::Wait { millis } => world.at += Duration::from_millis(millis),
        Step::Publish { partition, messages } => *world.published.entry(partition).or_default() += messages,
        Step::Poll { partition, messages } => world.poll(partition, messages),
        Step::Offer => world.offer(),
        Step::Command => world.command(),
        Step::Revoke => world.revoke(),
        Step::RevokeTimesOut => world.revoked(true),
        Step::Assign { partitions, elsewhere, told } => world.assign(partitions, elsewhere, told),
        Step::Control => core.control_next(world),
        Step::Deliver => core.deliver(world),
        Step::Leave => core.patience_ends(),
        Step::Probe => core.probe(world),
        Step::ProbeAnswered { lost } => core.probed(world, lost),
        Step::Misfit => core.misfit(),
        Step::Fits => core.fits(world),
        Step::Apply { pick } => core.apply(world, pick),
        Step::Refuse { pick } => core.refuse(pick),
        Step::Hear { pick } => core.hear(pick),
        Step::Stale { pick } => core.stale(world, pick),
        Step::RestartCassandra => world.restart_cassandra(),
        Step::RestartConsumer => {
            *core = Core::new();
            world.restart_consumer();
        }
    }
    // As at the end of each turn of the engine's loop.
    core.leave(world);
    core.dispatch(world);
}

// Nothing fails any more, and everybody has their turn.
fn heal(core: &mut Core, world: &mut World) {
    for turn in 0..60 {
        let steps = [Step::Control, Step::Control, Step::Leave, Step::Fits, Step::Command, Step::Probe];
        let steps = steps.into_iter().chain([
            Step::ProbeAnswered { lost: false },
            Step::Assign { partitions: [true; 2], elsewhere: 0, told: true },
            Step::Command,
            Step::Control,
            Step::Poll { partition: turn % 2, messages: i64::MAX },
            Step::Offer,
            Step::Deliver,
            Step::Wait { millis: 1_000 },
        ]);
        steps.for_each(|step| run(step, core, world));
        while core.in_flight() > 0 {
            run(Step::Apply { pick: 0 }, core, world);
            run(Step::Hear { pick: 0 }, core, world);
        }
    }
}

fn check(steps: Vec<Step>, rebalance: bool) -> Result<(), TestCaseError> {
    let (mut world, mut core) = (World::new(), Core::new());
    for step in steps {
        run(step, &mut core, &mut world);
        prop_assert_eq!(world.lost(), None, "{:?}", core);
    }
    // Else those that another member has are never ours.
    if rebalance {
        world.revoked(true);
        world.revoke();
        core.patience_ends();
    }
    heal(&mut core, &mut world);
    prop_assert_eq!(world.lost(), None);
    for (partition, published) in &world.published {
        prop_assert_eq!(world.committed.get(partition), Some(published), "{:?} {:?}", core, world);
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_committed_offset_is_undurable_and_none_is_forgotten(steps in prop::collection::vec(step(), 1..400)) {
        check(steps, true)?;
    }
}

const BOTH: Step = Step::Assign { partitions: [true; 2], elsewhere: 0, told: true };
const PROVED: [Step; 2] = [Step::Probe, Step::ProbeAnswered { lost: false }];

#[test]
fn messages_that_overtake_their_assignment_are_not_forgotten_by_it() {
    let begin = [
        Step::Publish { partition: 0, messages: 2 },
        Step::Assign { partitions: [true; 2], elsewhere: 1, told: true },
        Step::Poll { partition: 0, messages: 1 },
        Step::Offer,
        Step::Deliver,
        Step::Control,
    ];
    check(PROVED.into_iter().chain(begin).collect(), false).unwrap();
}

#[test]
fn a_revocation_that_was_given_up_voids_nothing_that_was_read_after_it() {
    let read = [Step::Poll { partition: 0, messages: 1 }, Step::Offer, Step::Deliver];
    let publish = [BOTH, Step::Publish { partition: 0, messages: 2 }];
    let again = [Step::Revoke, Step::RevokeTimesOut, BOTH];
    // The first write is cancelled before it arrives.
    let end = [Step::Leave, Step::Hear { pick: 0 }];
    let steps = PROVED.into_iter().chain(publish).chain(read).chain(again).chain(read).chain(end);
    check(steps.collect(), false).unwrap();
}

//! A generator -> its records, at a steady rate or as fast as Kafka takes them.
//!
//! At full speed the records are made on a blocking thread, a batch at a time, so that the service keeps answering.

use std::time::Duration;

use datasets::Generated;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::pacer::Pacer;
use crate::publish::{Publisher, Record, Stopped};
use crate::runtime::Runtime;
use crate::upstream::Origin;

/// Between two looks at the pause and the shutdown, at full speed: some tens of milliseconds.
const BATCH: u64 = 8192;
/// Between two steps aside for other tasks, at a rate.
const STRETCH: u64 = 256;
const ONCE: Duration = Duration::from_secs(1);

/// Generates until the end.
pub(crate) async fn run(runtime: &mut Runtime, mut dataset: Box<dyn Generated>) -> anyhow::Result<()> {
    runtime.counts.origin(Origin::Generated);
    let (Ok(()) | Err(Stopped)) = match dataset.rate() {
        0 => full_speed(runtime, dataset).await,
        rate if runtime.once => make(runtime, &mut *dataset, u64::from(rate)).await,
        rate => paced(runtime, &mut *dataset, rate).await,
    };
    Ok(())
}

async fn paced(runtime: &mut Runtime, dataset: &mut dyn Generated, rate: u32) -> Result<(), Stopped> {
    let mut pacer = Pacer::new(rate);
    let mut ticks = interval(pacer.tick());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let start = Instant::now();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = runtime.stop.cancelled() => return Err(Stopped),
        }
        runtime.gate().await?;
        make(runtime, dataset, pacer.due(start.elapsed())).await?;
    }
}

async fn make(runtime: &Runtime, dataset: &mut dyn Generated, number: u64) -> Result<(), Stopped> {
    for made in 1..=number {
        let (key, value) = dataset.next();
        runtime.counts.fetched.add(1);
        runtime.publisher.send(Record { key, value, origin: Origin::Generated, sse_id: None }).await?;
        if made % STRETCH == 0 {
            tokio::task::yield_now().await;
            if runtime.stop.is_cancelled() {
                return Err(Stopped);
            }
        }
    }
    if number > 0 {
        runtime.succeeded();
    }
    Ok(())
}

async fn full_speed(runtime: &mut Runtime, mut dataset: Box<dyn Generated>) -> Result<(), Stopped> {
    let start = Instant::now();
    loop {
        runtime.gate().await?;
        let (publisher, counts) = (runtime.publisher.clone(), runtime.counts.clone());
        let made = tokio::task::spawn_blocking(move || {
            let made = batch(&publisher, &mut *dataset);
            counts.fetched.add(*made.as_ref().unwrap_or(&0));
            made.map(|_| dataset)
        });
        // A thread that panicked has printed why; there is nothing to go on with.
        dataset = made.await.map_err(|_| Stopped)??;
        runtime.succeeded();
        if runtime.once && start.elapsed() >= ONCE {
            return Ok(());
        }
    }
}

fn batch(publisher: &Publisher, dataset: &mut dyn Generated) -> Result<u64, Stopped> {
    for _ in 0..BATCH {
        let (key, value) = dataset.next();
        publisher.send_blocking(Record { key, value, origin: Origin::Generated, sse_id: None })?;
    }
    Ok(BATCH)
}

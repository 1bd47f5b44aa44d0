//! `decode`: JSON bytes in memory -> CQL cells on one thread, beside serde_json into a borrowed struct.
//!
//! The messages lie in chunks as the polling thread packs them, and the plan is that of `routes/random-user.toml`.
//! The runs of all three alternate, so that a noisy minute hits each alike.

use std::collections::VecDeque;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use chrono::Utc;
use consumer::batch::{Batch, Batcher, Limits, Origin, Shape};
use consumer::decode::{Decoded, Decoder};
use consumer::ledger::Ledger;
use consumer::message::{Chunk, Partition};
use consumer::plan::Plan;
use consumer::route;
use consumer::rows::{CellValue, Rows};
use consumer::schema::{Column, CqlType, Native, Role, Table};
use uuid::Uuid;

use crate::messages::{Messages, TABLE, TOPIC};
use crate::report::{Figures, Report, as_figure, grouped, median, rounded, table};
use crate::user::{COLUMNS, User};

const CHUNK: usize = 512;
const PARTITIONS: usize = 6;
const IN_FLIGHT: usize = 8;
const LIMITS: Limits = Limits { rows: 64, bytes: 48 * 1024 };

struct Input {
    messages: Messages,
    chunks: Vec<Arc<Chunk>>,
    plan: Plan,
    now_ms: i64,
}

/// Goes through all messages once; returns how many it saw.
type Contender = fn(&Input) -> Result<u64>;

/// What is compared, in the order of the table.
const CONTENDERS: [(&str, Contender); 3] = [
    ("decode into rows", into_rows),
    ("decode and batch", into_batches),
    ("serde_json, parse only", by_serde_json),
];

/// Measures, after having checked that the decoded cells are right.
pub(crate) fn run(rows: u32, runs: u32) -> Result<Report> {
    let messages = Messages::generate(rows)?;
    let now_ms = Utc::now().timestamp_millis();
    let input = Input { chunks: chunks(&messages, now_ms), messages, plan: plan()?, now_ms };
    check(&input)?;
    let mut seconds: [Vec<f64>; 3] = Default::default();
    let mut cpu: [Vec<f64>; 3] = Default::default();
    // The first round warms up and does not count.
    for round in 0..=runs {
        for (place, (name, contender)) in CONTENDERS.iter().enumerate() {
            let cpu_before = testbed::cpu_s(std::process::id())?;
            let started = Instant::now();
            let done = contender(&input).with_context(|| (*name).to_owned())?;
            let elapsed = started.elapsed().as_secs_f64();
            ensure!(done == input.messages.len(), "{name}: {done} of {rows} rows");
            if round > 0 {
                seconds[place].push(elapsed);
                cpu[place].push(testbed::cpu_s(std::process::id())? - cpu_before);
            }
        }
    }
    Ok(report(&input, runs, &seconds, &cpu))
}

fn report(input: &Input, runs: u32, seconds: &[Vec<f64>; 3], cpu: &[Vec<f64>; 3]) -> Report {
    let rows = as_figure(input.messages.len());
    let bytes = as_figure(input.messages.value_bytes());
    let line = |place: usize| {
        let (name, _) = CONTENDERS[place];
        let median_s = median(&seconds[place]);
        let fastest = seconds[place].iter().copied().fold(f64::INFINITY, f64::min);
        let slowest = seconds[place].iter().copied().fold(0.0, f64::max);
        vec![
            name.to_owned(),
            grouped(rows / median_s),
            grouped(rows / slowest),
            grouped(rows / fastest),
            format!("{:.0}", bytes / median_s / 1e6),
            format!("{:.2}", median(&cpu[place]) / rows * 1e6),
        ]
    };
    let header = ["one thread", "rows/s", "slowest", "fastest", "MB/s", "CPU-s per M"];
    let mut text = format!(
        "decode: {} messages of {:.0} bytes, medians of {runs} rounds\n",
        input.messages.len(),
        bytes / rows
    );
    text += &table(&header, &[line(0), line(1), line(2)]);
    let figures = Figures {
        rows_per_s: Some(rounded(rows / median(&seconds[0]), 0)),
        client_cpu_s_per_million: Some(rounded(median(&cpu[0]) / rows * 1e6, 3)),
        ..Figures::default()
    };
    Report { name: "decode", rows: input.messages.len(), figures, text }
}

fn into_rows(input: &Input) -> Result<u64> {
    let mut decoder = Decoder::default();
    let mut rows = Rows::new(input.plan.width());
    let mut done = 0;
    for chunk in &input.chunks {
        for span in chunk.spans() {
            for place in span.messages.clone() {
                let message = chunk.message(TOPIC, span.partition.number, place);
                let decoded = decoder.decode(&input.plan, &message, input.now_ms, &mut rows)?;
                ensure!(decoded == Decoded::Row, "a row expired");
                if rows.len() == LIMITS.rows {
                    done += black_box(&rows).len() as u64;
                    rows.clear();
                }
            }
        }
    }
    Ok(done + rows.len() as u64)
}

// With the ledger and the batcher, as in the engine; a queue that gives each batch back after a while is the writers.
fn into_batches(input: &Input) -> Result<u64> {
    let mut decoder = Decoder::default();
    let mut batcher = Batcher::new(LIMITS, [Shape::of(&input.plan, 1)]);
    let mut ledger = Ledger::default();
    let mut writing: VecDeque<Batch> = VecDeque::new();
    let mut done = 0;
    for chunk in &input.chunks {
        for run in chunk.spans() {
            let partition = run.partition;
            let outcomes = u32::try_from(run.messages.len())?;
            let (span, _) = ledger.begin(partition, run.first, run.end, outcomes);
            for place in run.messages.clone() {
                let message = chunk.message(TOPIC, partition.number, place);
                let rows = batcher.rows(0);
                let bytes = rows.bytes.len();
                let decoded = decoder.decode(&input.plan, &message, input.now_ms, rows)?;
                ensure!(decoded == Decoded::Row, "a row expired");
                batcher.pushed(0, 0, bytes, Origin { chunk: Arc::clone(chunk), place, partition, span });
                while let Some(batch) = batcher.next(false) {
                    done += black_box(&batch).rows.len() as u64;
                    writing.push_back(batch);
                }
                if writing.len() > IN_FLIGHT
                    && let Some(written) = writing.pop_front()
                {
                    batcher.recycle(written);
                }
            }
        }
    }
    while let Some(batch) = batcher.next(true) {
        done += batch.rows.len() as u64;
    }
    Ok(done)
}

fn by_serde_json(input: &Input) -> Result<u64> {
    let mut done = 0;
    for chunk in &input.chunks {
        for span in chunk.spans() {
            for place in span.messages.clone() {
                let message = chunk.message(TOPIC, span.partition.number, place);
                black_box(User::parse(message.value.unwrap_or_default())?);
                done += 1;
            }
        }
    }
    Ok(done)
}

// Whole chunks of one partition after the other, with the header that the producer adds.
fn chunks(messages: &Messages, now_ms: i64) -> Vec<Arc<Chunk>> {
    let mut offsets = [0_i64; PARTITIONS];
    let mut chunks = vec![Chunk::default()];
    for (place, (key, value)) in messages.iter().enumerate() {
        if place > 0 && place % CHUNK == 0 {
            chunks.push(Chunk::default());
        }
        let number = (chunks.len() - 1) % PARTITIONS;
        let offset = offsets[number];
        offsets[number] += 1;
        let partition =
            Partition { topic: 0, number: i32::try_from(number).expect("one of a few partitions") };
        let header = [(&b"origin"[..], Some(&b"simulated"[..]))];
        if let Some(chunk) = chunks.last_mut() {
            chunk.push(partition, offset, Some(now_ms), Some(key), Some(value), header.into_iter());
        }
    }
    chunks.into_iter().map(Arc::new).collect()
}

fn plan() -> Result<Plan> {
    let path = Path::new("routes/random-user.toml");
    let text = include_str!("../../routes/random-user.toml").to_owned();
    let listed = |problems: Vec<route::Problem>| anyhow::anyhow!(route::listed(&problems));
    let route = route::parse(path, text).map_err(listed)?;
    let column = |name: &&str| {
        let id = *name == "id";
        let cql = CqlType::Native(if id { Native::Uuid } else { Native::Text });
        let role = if id { Role::PartitionKey } else { Role::Regular };
        Column { name: (*name).to_owned(), cql, role }
    };
    let table = Table { name: TABLE.to_owned(), columns: COLUMNS.iter().map(column).collect() };
    Plan::for_table(&route, &table).map_err(listed)
}

// A fast decoder of wrong cells is worth nothing: each cell of some messages of every chunk is compared.
fn check(input: &Input) -> Result<()> {
    let mut decoder = Decoder::default();
    let mut rows = Rows::new(input.plan.width());
    for chunk in &input.chunks {
        for span in chunk.spans() {
            for place in span.messages.clone().step_by(100) {
                let message = chunk.message(TOPIC, span.partition.number, place);
                let user = User::parse(message.value.unwrap_or_default())?;
                rows.clear();
                decoder.decode(&input.plan, &message, input.now_ms, &mut rows)?;
                let id = Uuid::parse_str(user.id)?;
                ensure!(rows.cell(0, 0) == CellValue::Bytes(id.as_bytes()), "id of {}", user.id);
                for (column, text) in user.texts().iter().enumerate() {
                    if rows.cell(0, column + 1) != CellValue::Bytes(text.as_bytes()) {
                        bail!("{} of {} is not {text:?}", COLUMNS[column + 1], user.id);
                    }
                }
            }
        }
    }
    Ok(())
}

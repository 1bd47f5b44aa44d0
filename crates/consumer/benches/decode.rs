//! Decoding alone: `cargo bench -p consumer --bench decode`.
//!
//! `users.jsonl` holds messages of topic `users_created` as the producer publishes them, one a line.

use std::path::Path;

use consumer::decode::{Decoded, Decoder};
use consumer::json::Reader;
use consumer::message::{Headers, Message};
use consumer::plan::Plan;
use consumer::route;
use consumer::rows::Rows;
use consumer::schema::{Column, CqlType, Native, Role, Table};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};

const USERS: &str = include_str!("users.jsonl");
const NOW_MS: i64 = 1_767_355_200_000;
const BATCH_ROWS: usize = 32;

fn main() {
    divan::main();
}

// The columns of `columns`, all text but a uuid `id`.
fn plan(columns: &[&str]) -> Plan {
    let rules: String = columns.iter().map(|name| format!("{name} = \"{name}\"\n")).collect();
    let text = format!("topic = \"users_created\"\ntable = \"shop.users\"\n[columns]\n{rules}");
    let route = route::parse(Path::new("users.toml"), text).expect("a good route");
    let column = |name: &&str| match *name {
        "id" => {
            Column { name: "id".to_owned(), cql: CqlType::Native(Native::Uuid), role: Role::PartitionKey }
        }
        name => Column { name: name.to_owned(), cql: CqlType::Native(Native::Text), role: Role::Regular },
    };
    let table = Table { name: "shop.users".to_owned(), columns: columns.iter().map(column).collect() };
    Plan::for_table(&route, &table).expect("a route that fits")
}

fn messages() -> Vec<Message<'static>> {
    let message = |(offset, value): (i64, &'static str)| Message {
        topic: "users_created",
        partition: 0,
        offset,
        timestamp_ms: Some(NOW_MS),
        key: None,
        value: Some(value.as_bytes()),
        headers: Headers::NONE,
    };
    (0..).zip(USERS.lines()).map(message).collect()
}

fn decode(bencher: Bencher, columns: &[&str]) {
    let (plan, messages) = (plan(columns), messages());
    let mut decoder = Decoder::default();
    let mut rows = Rows::new(plan.width());
    bencher.counter(ItemsCount::new(messages.len())).counter(BytesCount::of_str(USERS)).bench_local(
        move || {
            for message in &messages {
                let decoded = decoder.decode(&plan, black_box(message), NOW_MS, &mut rows);
                assert_eq!(decoded, Ok(Decoded::Row));
                if rows.len() == BATCH_ROWS {
                    black_box(&rows);
                    rows.clear();
                }
            }
        },
    );
}

#[divan::bench]
fn every_field(bencher: Bencher) {
    decode(
        bencher,
        &[
            "id",
            "first_name",
            "last_name",
            "gender",
            "address",
            "post_code",
            "email",
            "username",
            "registered_date",
            "phone",
            "picture",
        ],
    );
}

#[divan::bench]
fn two_fields_of_eleven(bencher: Bencher) {
    decode(bencher, &["id", "email"]);
}

/// What reading costs without a plan: the floor of the two above.
#[divan::bench]
fn skip_the_value(bencher: Bencher) {
    bencher.counter(ItemsCount::new(USERS.lines().count())).counter(BytesCount::of_str(USERS)).bench_local(
        || {
            for line in USERS.lines() {
                let mut reader = Reader::new(black_box(line.as_bytes())).expect("text");
                black_box(reader.skip().expect("json"));
            }
        },
    );
}

use std::path::Path;

use super::*;
use crate::message::Partition;
use crate::schema::{Column, CqlType, Native, Table};

fn table() -> Table {
    let column =
        |name: &str, native, role| Column { name: name.to_owned(), cql: CqlType::Native(native), role };
    Table {
        name: "shop.orders".to_owned(),
        columns: vec![
            column("id", Native::Int, Role::PartitionKey),
            column("at", Native::Text, Role::Clustering),
            column("note", Native::Text, Role::Regular),
            column("amount", Native::Int, Role::Regular),
        ],
    }
}

fn plan(head: &str) -> Plan {
    let columns = "id = \"id\"\nat = \"at\"\nnote = \"note\"\namount = \"amount\"\n";
    let text = format!("topic = \"orders\"\ntable = \"shop.orders\"\n{head}\n[columns]\n{columns}");
    let route = crate::route::parse(Path::new("r.toml"), text).unwrap();
    Plan::for_table(&route, &table()).unwrap()
}

fn chunk(values: &[String]) -> Arc<Chunk> {
    let mut chunk = Chunk::default();
    let partition = Partition { topic: 0, number: 3 };
    for (offset, value) in (100..).zip(values) {
        let value = (!value.is_empty()).then_some(value.as_bytes());
        chunk.push(partition, offset, Some(1_000_000), None, value, std::iter::empty());
    }
    Arc::new(chunk)
}

fn sampled(plan: &Plan, values: &[String], settings: &Consumer) -> Sample {
    sample(plan, "orders", &chunk(values), settings, 2_000_000)
}

fn order(id: usize, rest: &str) -> String {
    format!("{{\"id\":{id},\"at\":\"noon\"{rest}}}")
}

#[test]
fn rows_batches_and_cells_are_counted_as_the_consumer_and_the_server_count_them() {
    let settings = Consumer { batch_rows: 4, ..Consumer::default() };
    let values: Vec<String> = (0..10).map(|id| order(id % 2, ",\"note\":\"12345\"")).collect();
    let sample = sampled(&plan("missing = \"null\""), &values, &settings);
    assert_eq!((sample.messages, sample.rows, sample.dead_letters, sample.expired), (10, 10, 0, 0));
    // id 4 bytes, at 4, note 5.
    assert_eq!(sample.row_bytes, Spread { mean: 13.0, p99: 13, max: 13 });
    // Two full batches; the third is a rest.
    assert_eq!(sample.batch_rows, Spread { mean: 4.0, p99: 4, max: 4 });
    // And the WRITETIME, 8.
    assert_eq!(sample.batch_bytes.max, 4 * (13 + 8));
    // Clustering 4, row 21, two cells of 20, note 5; two partitions of 29.
    assert_eq!(sample.batch_server_bytes.max, 4 * (4 + 21 + 2 * 20 + 5) + 2 * 29);
    assert_eq!(sample.batch_partitions.max, 2);
    assert_eq!((sample.null_cells.mean, sample.unset_cells.mean), (1.0, 0.0));
    assert_eq!(sample.null_columns, BTreeMap::from([("amount".to_owned(), 10)]));
}

#[test]
fn unset_cells_cost_nothing_and_a_lone_rest_is_a_batch() {
    for ttl in ["ttl = \"1h\"", "ttl = { path = \"lives\", unit = \"h\" }"] {
        let orders = [order(1, ",\"lives\":1"), order(2, ",\"lives\":1")];
        let sample = sampled(&plan(ttl), &orders, &Consumer::default());
        assert_eq!((sample.null_cells.max, sample.unset_cells.max), (0, 2));
        assert_eq!((sample.batch_rows.max, sample.batch_server_bytes.max), (2, 2 * (4 + 21 + 12 + 29)));
    }
}

#[test]
fn batches_of_one_partition_are_none_that_the_server_measures() {
    let orders: Vec<String> = (0..20).map(|_| order(7, ",\"note\":\"12345\"")).collect();
    let sample = sampled(&plan(""), &orders, &Consumer { batch_rows: 8, ..Consumer::default() });
    assert_eq!((sample.batch_rows.max, sample.batch_partitions.max), (8, 1));
    assert_eq!(sample.batch_server_bytes, Spread::default());
}

#[test]
fn dead_letters_are_grouped_by_reason_with_the_first_as_example() {
    let mut values: Vec<String> = (0..3).map(|id| order(id, "")).collect();
    values.push(order(3, ",\"amount\":1.5"));
    values.extend([String::new(), String::new()]);
    values.extend((0..4).map(|id| order(id, &format!(",\"amount\":{}", 3_000_000_000_u64 + id as u64))));
    let sample = sampled(&plan(""), &values, &Consumer::default());
    assert_eq!((sample.messages, sample.rows, sample.dead_letters), (10, 3, 7));
    let found: Vec<_> =
        sample.reasons.iter().map(|known| (known.class.as_str(), known.count, known.offset)).collect();
    assert_eq!(found, [("value", 4, 106), ("tombstone", 2, 104), ("value", 1, 103)]);
    assert_eq!(sample.reasons[0].partition, 3);
    assert!(sample.reasons[0].reason.contains("column amount"), "{}", sample.reasons[0].reason);
}

#[test]
fn more_reasons_than_can_be_told_apart_are_one() {
    // Names without digits, each another: a, b, .. ax, bx, ..
    let letters = |number: usize| {
        let first = ('a'..='z').nth(number % 26).unwrap();
        format!("{first}{}", "x".repeat(number / 26))
    };
    let values: Vec<String> =
        (0..80).map(|number| order(number, &format!(",\"amount\":{{\"{}\":1}}", letters(number)))).collect();
    let sample = sampled(&plan(""), &values, &Consumer::default());
    assert_eq!(sample.reasons.iter().map(|known| known.count).sum::<usize>(), sample.dead_letters);
    assert_eq!(sample.dead_letters, 80);
    assert!(sample.reasons.len() <= REASONS_MAX + 1, "{}", sample.reasons.len());
}

#[test]
fn expired_and_oversized_messages_are_no_rows() {
    let old = sampled(&plan("ttl = \"10s\""), &[order(1, "")], &Consumer::default());
    assert_eq!((old.expired, old.rows), (1, 0));
    let settings = Consumer { row_bytes_max: 30, ..Consumer::default() };
    let large = sampled(&plan(""), &[order(1, ",\"note\":\"0123456789012345\"")], &settings);
    assert_eq!((large.dead_letters, large.rows), (1, 0));
    assert!(large.reasons[0].reason.contains("consumer.row_bytes_max"), "{}", large.reasons[0].reason);
}

#[test]
fn messages_without_a_value_delete_where_the_route_says_so() {
    let head = "topic = \"orders\"\ntable = \"shop.orders\"\ndeletes = \"row\"\n[columns]\n";
    let columns = "id = { meta = \"partition\" }\nat = { meta = \"key\" }\nnote = \"note\"\n";
    let route = crate::route::parse(Path::new("r.toml"), format!("{head}{columns}")).unwrap();
    let plan = Plan::for_table(&route, &table()).unwrap();
    let mut chunk = Chunk::default();
    let partition = Partition { topic: 0, number: 3 };
    let messages =
        [(Some(&b"noon"[..]), None), (None, None), (Some(&b"noon"[..]), Some(&b"{\"note\":\"a\"}"[..]))];
    for (offset, (key, value)) in (0..).zip(messages) {
        chunk.push(partition, offset, Some(1_000_000), key, value, std::iter::empty());
    }
    let sample = sample(&plan, "orders", &Arc::new(chunk), &Consumer::default(), 2_000_000);
    assert_eq!((sample.messages, sample.rows, sample.deletes, sample.dead_letters), (3, 1, 1, 1));
}

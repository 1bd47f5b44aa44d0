use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::check::report::Spread;
use crate::schema::{Column, CqlType, Native, Role, Table};

fn config(pairs: &[(&str, &str)]) -> Config {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn plan() -> Plan {
    let text = "topic = \"t\"\ntable = \"shop.orders\"\n[columns]\nid = \"id\"\n".to_owned();
    let route = crate::route::parse(Path::new("r.toml"), text).unwrap();
    let id = Column { name: "id".to_owned(), cql: CqlType::Native(Native::Int), role: Role::PartitionKey };
    Plan::for_table(&route, &Table { name: "shop.orders".to_owned(), columns: vec![id] }).unwrap()
}

fn good() -> Sample {
    let spread = |value: u64| Spread { mean: value as f64, p99: value, max: value };
    Sample {
        messages: 100,
        rows: 100,
        deletes: 0,
        expired: 0,
        dead_letters: 0,
        reasons: Vec::new(),
        row_bytes: spread(50),
        batch_rows: spread(10),
        batch_bytes: spread(500),
        batch_server_bytes: spread(1_000),
        batch_partitions: spread(10),
        null_cells: spread(0),
        unset_cells: spread(0),
        null_columns: BTreeMap::new(),
    }
}

fn of(sample: &Sample) -> Vec<(bool, String)> {
    of_sample("t", &plan(), sample, &Thresholds::shipped())
}

#[test]
fn topics_as_they_should_be_need_no_advice() {
    let source = config(&[("message.timestamp.type", "CreateTime"), ("max.message.bytes", "1048588")]);
    let letters = config(&[("cleanup.policy", "compact"), ("max.message.bytes", "2097152")]);
    assert!(of_topic("t", Some(&source), Some(&letters)).is_empty());
    assert!(of_topic("t", None, None).is_empty());
    assert!(of(&good()).is_empty());
}

#[test]
fn odd_settings_of_topics_are_named() {
    let source = config(&[("message.timestamp.type", "LogAppendTime"), ("max.message.bytes", "1000")]);
    let letters = config(&[("cleanup.policy", "delete"), ("max.message.bytes", "1000")]);
    let odd = of_topic("t", Some(&source), Some(&letters));
    assert_eq!(odd.len(), 3, "{odd:#?}");
    assert!(odd[0].contains("LogAppendTime") && odd[0].contains("CreateTime"), "{}", odd[0]);
    assert!(odd[1].contains("t.dlq is not compacted"), "{}", odd[1]);
    assert!(odd[2].contains("max.message.bytes=1000"), "{}", odd[2]);
}

#[test]
fn removals_of_dead_letters_are_kept_as_long_as_their_messages() {
    let odd = |source: &[(&str, &str)], kept: &str| {
        let letters = config(&[("cleanup.policy", "compact"), ("delete.retention.ms", kept)]);
        of_topic("t", Some(&config(source)), Some(&letters)).pop()
    };
    let week = [("cleanup.policy", "delete"), ("retention.ms", "604800000")];
    assert_eq!(odd(&week, "604800000"), None);
    let short = odd(&week, "86400000").unwrap();
    assert!(short.contains("t.dlq has delete.retention.ms=86400000"), "{short}");
    assert!(short.contains("set it to 604800000"), "{short}");
    for for_ever in [
        [("cleanup.policy", "delete"), ("retention.ms", "-1")],
        [("cleanup.policy", "compact"), ("retention.ms", "1000")],
    ] {
        assert!(
            odd(&for_ever, "604800000").unwrap().contains("set it to 9223372036854775807"),
            "{for_ever:?}"
        );
        assert_eq!(odd(&for_ever, "9223372036854775807"), None, "{for_ever:?}");
    }
}

#[test]
fn some_dead_letters_are_a_warning_and_only_dead_letters_an_error() {
    let reason = Reason {
        class: "value".to_owned(),
        reason: "column n: no number".to_owned(),
        count: 3,
        partition: 2,
        offset: 77,
    };
    let some = Sample { rows: 97, dead_letters: 3, reasons: vec![reason.clone()], ..good() };
    let odd = of(&some);
    assert!(!odd[0].0 && odd[0].1.starts_with("3 of 100 sampled messages of t would be"), "{odd:?}");
    assert!(odd[0].1.contains("column n: no number (partition 2, offset 77)"), "{odd:?}");
    let all = Sample { rows: 0, dead_letters: 100, reasons: vec![reason.clone(), reason], ..good() };
    let odd = of(&all);
    assert!(odd[0].0 && odd[0].1.starts_with("all 100 sampled messages"), "{odd:?}");
    assert!(odd[0].1.contains("for 2 reasons"), "{odd:?}");
}

#[test]
fn batches_above_the_servers_thresholds_are_named_with_a_size_that_fits() {
    let spread = |max: u64| Spread { mean: 1.0, p99: max, max };
    let warned = of(&Sample { batch_server_bytes: spread(6 * 1024), ..good() });
    assert!(warned[0].1.contains("6 KiB") && warned[0].1.contains("batch_size_warn_threshold is 5 KiB"));
    let refused = of(&Sample { batch_server_bytes: spread(100 * 1024), ..good() });
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].1.contains("or batch_rows to 5"), "{refused:?}");
    let partitions = of(&Sample { batch_partitions: spread(32), ..good() });
    assert!(partitions[0].1.contains("up to 32 partitions"), "{partitions:?}");
}

#[test]
fn tombstones_that_break_a_page_and_a_sample_that_is_all_expired_are_named() {
    let nulls = Spread { mean: 25.0, p99: 25, max: 25 };
    let odd = of(&Sample { null_cells: nulls, ..good() });
    assert!(odd[0].1.contains("meets 125000 and fails"), "{odd:?}");
    let odd = of(&Sample { rows: 0, expired: 100, ..good() });
    assert!(!odd[0].0 && odd[0].1.contains("older than the route's ttl"), "{odd:?}");
}

//! Wrong routes, and what is said of each: `wrong_routes/*.toml` against one schema -> `wrong_routes.golden`.
//!
//! After a change of messages: `TRIBUTARY_REWRITE=1 cargo test -p consumer --test wrong_routes`, then read the diff.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::{Path, PathBuf};

use consumer::plan::Plan;
use consumer::route::{Problem, parse};
use consumer::routes::{Misfit, fit};
use consumer::schema::{Column, CqlType, Native, Role, Table};

fn table(name: &str, columns: Vec<(&str, CqlType, Role)>) -> Table {
    let column = |(name, cql, role): (&str, CqlType, Role)| Column { name: name.to_owned(), cql, role };
    Table { name: name.to_owned(), columns: columns.into_iter().map(column).collect() }
}

fn schema() -> Vec<Table> {
    use Native::*;
    use Role::*;
    let native = CqlType::Native;
    let list = |frozen| CqlType::List { frozen, element: Box::new(native(Text)) };
    let street = vec![("street".to_owned(), native(Text))];
    let address = CqlType::Udt { name: "address".to_owned(), fields: street };
    vec![
        table(
            "shop.orders",
            vec![
                ("customer", native(Text), PartitionKey),
                ("ordered_at", native(Timestamp), Clustering),
                ("id", native(Uuid), Clustering),
                ("address", address, Regular),
                ("day", native(Date), Regular),
                ("items", list(true), Regular),
                ("note", native(Text), Regular),
                ("paid", native(Boolean), Regular),
                ("photo", native(Blob), Regular),
                ("quantity", native(Int), Regular),
                ("ref", native(TimeUuid), Regular),
                ("tags", list(false), Regular),
                ("total", native(Double), Regular),
            ],
        ),
        table("shop.hits", vec![("page", native(Text), PartitionKey), ("count", native(Counter), Regular)]),
        table(
            "shop.visits",
            vec![("page", native(Text), PartitionKey), ("number", native(BigInt), Clustering)],
        ),
    ]
}

fn plans(path: &Path, text: String) -> Result<Vec<Plan>, Vec<Problem>> {
    let route = parse(path, text)?;
    let schema = schema();
    let table = |name: &str| schema.iter().find(|table| table.name == name).cloned();
    let names = || schema.iter().map(|table| table.name.clone()).collect();
    fit(&[route], table, names).map_err(|misfit| match misfit {
        Misfit::MissingTables(problems) | Misfit::Problems(problems) => problems,
        Misfit::Changed | Misfit::Store(_) => panic!("{}", misfit.describe()),
    })
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrong_routes");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_wrong_route_gets_its_messages() {
    let mut said = String::new();
    let files = files();
    assert!(files.len() >= 50, "{} files", files.len());
    for path in &files {
        let name = path.file_name().unwrap();
        let Err(problems) = plans(Path::new(name), std::fs::read_to_string(path).unwrap()) else {
            panic!("{} is a right route", path.display())
        };
        let lines: Vec<String> = problems.iter().map(|problem| format!("{problem}\n")).collect();
        assert!(!lines.is_empty(), "{}", path.display());
        said.push_str(&lines.concat());
        said.push('\n');
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrong_routes.golden");
    if std::env::var_os("TRIBUTARY_REWRITE").is_some() {
        std::fs::write(&golden, &said).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap();
    for (said, expected) in said.lines().zip(expected.lines()) {
        assert_eq!(said, expected, "TRIBUTARY_REWRITE=1 rewrites the golden file");
    }
    assert_eq!(said, expected, "TRIBUTARY_REWRITE=1 rewrites the golden file");
}

// Without it, a schema that fits no route at all would pass for fifty wrong routes.
#[test]
fn the_right_route_beside_them_is_accepted() {
    let text = r#"
        topic = ["orders-eu", "orders-us"]
        table = "shop.orders"
        deletes = ["row", "cells"]
        ttl = { path = "expires_in", unit = "d", default = 30 }
        writetime = { path = "updated_at", time = "epoch_ms" }
        consistency = "quorum"
        [columns]
        customer = { key = "customer" }
        ordered_at = { key = "at", time = "epoch_s" }
        id = { header = "id" }
        day = { meta = "timestamp", bucket = "day" }
        items = "items"
        note = { value = "eu" }
        paid = { path = "paid", default = false }
        quantity = { meta = "partition" }
        total = { path = "price.total", default = 0.5 }
    "#;
    let plans = plans(Path::new("right.toml"), text.to_owned()).unwrap();
    assert_eq!(
        plans[0].statement,
        "INSERT INTO shop.orders (customer, ordered_at, id, day, items, note, paid, quantity, total) \
         VALUES ((text)?, (timestamp)?, (uuid)?, (date)?, (frozen<list<text>>)?, (text)?, (boolean)?, (int)?, (double)?) \
         USING TIMESTAMP ? AND TTL ?"
    );
    assert_eq!(
        plans[0].delete.as_ref().unwrap().statement,
        "DELETE FROM shop.orders USING TIMESTAMP ? WHERE customer = (text)? AND ordered_at = (timestamp)? AND id = (uuid)?"
    );
}

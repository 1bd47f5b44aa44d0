use super::*;
use crate::schema::{Column, CqlType, Native};

fn table(columns: &[(&str, Native, Role)]) -> Table {
    let column = |(name, native, role): &(&str, Native, Role)| Column {
        name: (*name).to_owned(),
        cql: CqlType::Native(*native),
        role: *role,
    };
    Table { name: "shop.orders".to_owned(), columns: columns.iter().map(column).collect() }
}

fn route(columns: &str) -> Route {
    let text = format!("topic = \"t\"\ntable = \"shop.orders\"\nttl = \"1d\"\n[columns]\n{columns}");
    crate::route::parse(std::path::Path::new("r.toml"), text).unwrap()
}

#[test]
fn statement_binds_columns_timestamp_and_ttl() {
    let table = table(&[("id", Native::Int, Role::PartitionKey), ("Odd Name", Native::Text, Role::Regular)]);
    let plan = Plan::for_table(&route("\"Odd Name\" = \"a\"\nid = \"b\"\n"), &table).unwrap();
    assert_eq!(
        plan.statement,
        "INSERT INTO shop.orders (\"Odd Name\", id) VALUES ((text)?, (int)?) USING TIMESTAMP ? AND TTL ?"
    );
    assert_eq!((plan.width(), plan.partition_key), (4, vec![1]));
}

#[test]
fn all_misfits_are_reported_with_place_and_nearest_name() {
    let table =
        table(&[("order_id", Native::Uuid, Role::PartitionKey), ("n", Native::Counter, Role::Regular)]);
    let found = Plan::for_table(&route("ordr_id = \"id\"\nn = \"n\"\n"), &table).unwrap_err();
    let found: Vec<String> = found.iter().map(Problem::to_string).collect();
    assert_eq!(found.len(), 3, "{found:#?}");
    assert_eq!(found[0], "r.toml:5:1: shop.orders has no column ordr_id; did you mean order_id?");
    assert!(found[1].starts_with("r.toml:6:1: column n (counter): a counter adds"), "{}", found[1]);
    assert!(
        found[2].starts_with("r.toml:2:9: shop.orders has the primary key column order_id"),
        "{}",
        found[2]
    );
}

fn orders() -> Table {
    table(&[
        ("id", Native::Int, Role::PartitionKey),
        ("at", Native::Timestamp, Role::Clustering),
        ("day", Native::Date, Role::Regular),
        ("note", Native::Text, Role::Regular),
        ("ref", Native::Uuid, Role::Regular),
    ])
}

fn plan_of(head: &str, columns: &str) -> Result<Plan, Vec<String>> {
    let text = format!("topic = [\"t\", \"u\"]\ntable = \"shop.orders\"\n{head}\n[columns]\n{columns}");
    let route = crate::route::parse(std::path::Path::new("r.toml"), text).unwrap();
    Plan::for_table(&route, &orders())
        .map_err(|problems| problems.into_iter().map(|problem| problem.message).collect())
}

#[test]
fn a_route_that_deletes_has_a_plan_of_its_key_columns() {
    let plan = plan_of(
        "deletes = \"row\"\nttl = \"1d\"\nconsistency = \"one\"",
        "note = \"note\"\nat = { key = \"at\" }\nid = { header = \"id\" }\n",
    )
    .unwrap();
    let delete = plan.delete.as_ref().unwrap();
    assert_eq!(
        delete.statement,
        "DELETE FROM shop.orders USING TIMESTAMP ? WHERE at = (timestamp)? AND id = (int)?"
    );
    assert_eq!((delete.width(), &delete.partition_key[..]), (3, &[1][..]));
    assert!(delete.deletes && !plan.deletes && delete.ttl_s.is_none());
    assert_eq!(delete.consistency, Consistency::One);
    assert!(plan_of("", "at = { key = \"at\" }\nid = { header = \"id\" }\n").unwrap().delete.is_none());
}

#[test]
fn keys_that_a_tombstone_does_not_tell_are_problems() {
    for source in
        ["\"at\"", "{ meta = \"timestamp\" }", "{ path = \"at\", default = \"2026-01-01T00:00:00Z\" }"]
    {
        let found =
            plan_of("deletes = \"row\"", &format!("id = {{ meta = \"key\" }}\nat = {source}\n")).unwrap_err();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("deletes = \"row\": primary key column at comes from"), "{found:?}");
        assert!(
            plan_of("deletes = \"cells\"", &format!("id = {{ meta = \"key\" }}\nat = {source}\n")).is_ok()
        );
    }
}

#[test]
fn what_can_be_known_of_a_value_is_checked_before_the_first_message() {
    let bad = [
        ("day = { value = \"today\" }", "value: expected a date"),
        (
            "note = { path = \"n\", default = 1 }\nday = { path = \"d\", default = 1 }",
            "default: expected a date",
        ),
        ("day = { meta = \"offset\" }", "offset: expected a date"),
        ("ref = { meta = \"topic\" }", "topic: expected a UUID, found \"t\""),
        ("day = { uuid = [\"a\"] }", "one of version 5"),
    ];
    for (column, part) in bad {
        let found = plan_of("", &format!("id = \"id\"\nat = \"at\"\n{column}\n")).unwrap_err();
        assert!(found.len() == 1 && found[0].contains(part), "{column}: {found:?}");
    }
    let good = [
        "day = { meta = \"timestamp\", bucket = \"day\" }",
        "note = { meta = \"timestamp\", bucket = \"month\" }",
        "note = { meta = \"timestamp\" }",
        "note = { uuid = [\"a\"] }\nref = { uuid = [\"a\", \".\"] }",
        "ref = { header = \"ref\", default = \"7d9b2a52-0b5e-4d0a-9f0e-3c1c6a4b1f10\" }",
    ];
    for column in good {
        plan_of("", &format!("id = \"id\"\nat = \"at\"\n{column}\n")).unwrap();
    }
}

#[test]
fn a_wrong_default_is_told_with_its_own_place() {
    let text = "topic = \"t\"\ntable = \"shop.orders\"\n[columns]\nid = \"id\"\nat = \"at\"\n\
                day = { path = \"d\", default = \"soon\" }\n";
    let route = crate::route::parse(std::path::Path::new("r.toml"), text.to_owned()).unwrap();
    let found = Plan::for_table(&route, &orders()).unwrap_err();
    let places: Vec<_> = found.iter().map(|problem| (problem.line, problem.column)).collect();
    assert_eq!(places, [(6, 31)], "{found:?}");
}

#[test]
fn nearest_names_are_the_same_every_time() {
    let known = ["beta", "alpha", "gamma", "alpha"];
    assert_eq!(nearest("alhpa", known.into_iter()), "; did you mean alpha?");
    assert_eq!(nearest("zzz", known.into_iter()), "; it has alpha, beta, gamma");
    assert_eq!(nearest("zzz", [].into_iter()), "");
}

//! Every CQL type: JSON -> the consumer's cells -> Cassandra -> the driver's values, over random schemas.
//!
//! The library's own parts do the work, from the route's text to the write; `value` says independently of them what
//! must come back. `TRIBUTARY_SCHEMAS` is how many schemas are tried, `TRIBUTARY_SEED` repeats a run.

mod number;
mod one_of_each;
mod schema;
mod value;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use consumer::decode::{DataError, Decoder};
use consumer::message::{Headers, Message};
use consumer::plan::Plan;
use consumer::rows::Rows;
use consumer::settings::Cassandra;
use consumer::store::Store;
use end_to_end::World;
use futures::{StreamExt, stream};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::value::CqlValue;

use schema::{Column, NATIVES, Schema, Type};
use value::{Values, canonical};

const SCHEMAS: u64 = 40;
const COLUMNS: usize = 15;
const ROWS: usize = 10;

fn number_from(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable}={value}: expected a number")))
}

fn credentials(world: &World) -> [String; 2] {
    let environment = world.environment();
    ["USERNAME", "PASSWORD"]
        .map(|key| environment.get(&format!("TRIBUTARY__CASSANDRA__{key}")).cloned().unwrap_or_default())
}

async fn connect(world: &World) -> Store {
    let contact_points = world.contact_point.clone();
    let [username, password] = credentials(world);
    let settings = Cassandra { contact_points, username, password: password.into(), ..Cassandra::default() };
    Store::connect(&settings).await.unwrap()
}

// A session for hundreds of schema changes: it asks often whether the one node agrees, and reads no schema.
async fn changer(world: &World) -> Session {
    let [username, password] = credentials(world);
    let mut builder = SessionBuilder::new()
        .known_node(&world.contact_point)
        .schema_agreement_interval(Duration::from_millis(5))
        .refresh_metadata_on_auto_schema_agreement(false);
    if !username.is_empty() {
        builder = builder.user(username, password);
    }
    builder.build().await.unwrap()
}

// The way of messages into a table, as the consumer takes it.
struct Pipe<'a> {
    store: &'a Store,
    plan: Plan,
}

impl<'a> Pipe<'a> {
    fn new(store: &'a Store, table: &str, columns: &str) -> Self {
        let text = format!("topic = \"t\"\ntable = \"{table}\"\n[columns]\n{columns}");
        let route = consumer::route::parse(Path::new("types.toml"), text).unwrap();
        let table = store.table(table).unwrap_or_else(|| panic!("no table {table}"));
        Self { store, plan: Plan::for_table(&route, &table).unwrap_or_else(|wrong| panic!("{wrong:?}")) }
    }

    fn decode(&self, value: &str, offset: i64, rows: &mut Rows) -> Result<(), DataError> {
        let message = Message {
            topic: "t",
            partition: 0,
            offset,
            timestamp_ms: Some(1_767_225_600_000),
            key: None,
            value: Some(value.as_bytes()),
            headers: Headers::NONE,
        };
        Decoder::default().decode(&self.plan, &message, 1_767_225_600_000, rows).map(drop)
    }

    async fn write(&self, values: &[String]) {
        let mut rows = Rows::new(self.plan.width());
        for (offset, value) in values.iter().enumerate() {
            self.decode(value, i64::try_from(offset).unwrap(), &mut rows)
                .unwrap_or_else(|error| panic!("{error}: {value}"));
        }
        let insert = self.store.prepare(&self.plan).await.unwrap();
        // One at a time, so that an error names its row.
        for (place, value) in values.iter().enumerate() {
            let written = self.store.write(&insert, &rows.slice(place..place + 1)).await;
            written.unwrap_or_else(|error| panic!("{error}: {value}"));
        }
    }
}

// A schema with rows: what is sent, and by the row's number what must be read.
struct Case {
    seed: u64,
    table: String,
    schema: Schema,
    messages: Vec<String>,
    expected: BTreeMap<i32, Vec<Option<String>>>,
}

impl Case {
    fn random(seed: u64, number: usize, keyspace: &str) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let schema = Schema::random(&mut dice, number, COLUMNS);
        let mut case = Self {
            seed,
            table: format!("t{number}"),
            schema,
            messages: Vec::new(),
            expected: BTreeMap::new(),
        };
        for number in 0..i32::try_from(ROWS).unwrap() {
            let mut message = format!("{{\"n\":{number}");
            let mut cells = Vec::new();
            for (place, column) in case.schema.keys.iter().chain(&case.schema.columns).enumerate() {
                let is_key = place < case.schema.keys.len();
                if !is_key && dice.random_bool(0.1) {
                    message.push_str(&format!(",\"{}\":null", column.name));
                    cells.push(None);
                    continue;
                }
                let mut values = Values { dice: &mut dice, keyspace, hex: column.hex, unique: false };
                let (json, value) = values.of(&column.kind);
                message.push_str(&format!(", \"{}\" : {}", column.name, json.value(&mut dice)));
                cells.push(is_there(column, &value).then(|| canonical(&value)));
            }
            case.messages.push(message + "}");
            case.expected.insert(number, cells);
        }
        case
    }

    fn route(&self) -> String {
        let mut columns = "n = \"n\"\n".to_owned();
        for Column { name, hex, .. } in self.schema.keys.iter().chain(&self.schema.columns) {
            let format = if *hex { ", format = \"hex\"" } else { "" };
            columns.push_str(&format!("{name} = {{ path = \"{name}\"{format} }}\n"));
        }
        columns
    }

    async fn check(&self, world: &World, store: &Store) {
        let table = format!("{}.{}", world.name, self.table);
        let pipe = Pipe::new(store, &table, &self.route());
        pipe.write(&self.messages).await;
        let mut names = vec!["n"];
        names.extend(self.schema.keys.iter().chain(&self.schema.columns).map(|column| column.name.as_str()));
        let rows = world.rows(&format!("SELECT {} FROM {table}", names.join(", "))).await;
        assert_eq!(rows.len(), self.expected.len(), "{}", self.name(world));
        for row in rows {
            let number = row[0].as_ref().and_then(CqlValue::as_int).unwrap();
            let cells = row[1..].iter().map(|cell| cell.as_ref().map(canonical));
            for ((cell, expected), name) in cells.zip(&self.expected[&number]).zip(&names[1..]) {
                let message = &self.messages[usize::try_from(number).unwrap()];
                assert_eq!(&cell, expected, "{name} of {message}\n{}", self.name(world));
            }
        }
    }

    fn name(&self, world: &World) -> String {
        let statements = self.schema.create(&world.name, &self.table).join(";\n");
        format!("TRIBUTARY_SCHEMAS=1 TRIBUTARY_SEED={} repeats it:\n{statements}", self.seed)
    }
}

// Cassandra has no empty value for what is not frozen: it has no cells, and reads as null.
fn is_there(column: &Column, value: &CqlValue) -> bool {
    column.frozen
        || match value {
            CqlValue::Set(elements) => !elements.is_empty(),
            CqlValue::Map(pairs) => !pairs.is_empty(),
            CqlValue::UserDefinedType { fields, .. } => fields.iter().any(|(_, field)| field.is_some()),
            _ => true,
        }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_values_of_random_types_read_back_as_they_were_written() {
    let seed = number_from("TRIBUTARY_SEED").unwrap_or_else(rand::random);
    let schemas = number_from("TRIBUTARY_SCHEMAS").unwrap_or(SCHEMAS);
    println!("TRIBUTARY_SEED={seed} TRIBUTARY_SCHEMAS={schemas}");
    let world = World::shared("types").await;
    let started = Instant::now();
    let cases: Vec<Case> = (0..schemas)
        .map(|number| Case::random(seed.wrapping_add(number), usize::try_from(number).unwrap(), &world.name))
        .collect();
    let changer = changer(&world).await;
    for statement in cases.iter().flat_map(|case| case.schema.create(&world.name, &case.table)) {
        let changed = changer.query_unpaged(statement.as_str(), ()).await;
        changed.unwrap_or_else(|error| panic!("{error}: {statement}"));
    }
    let created = started.elapsed();
    let store = connect(&world).await;
    stream::iter(&cases).for_each_concurrent(8, |case| case.check(&world, &store)).await;
    println!("created in {created:?}, written and read in {:?}", started.elapsed() - created);
}

// Sets and maps of random types, alone and inside a tuple: alone the server sorts them, inside it keeps what it gets.
#[tokio::test(flavor = "multi_thread")]
async fn sets_and_maps_are_sent_in_the_order_that_cassandra_gives_them() {
    let seed = number_from("TRIBUTARY_SEED").unwrap_or_else(rand::random);
    println!("TRIBUTARY_SEED={seed}");
    let world = World::shared("order").await;
    let mut dice = StdRng::seed_from_u64(seed);
    let mut schema = Schema::default();
    let natives = NATIVES.iter().filter(|native| **native != "duration").map(|native| Type::Native(native));
    let mut kinds: Vec<Type> = natives.collect();
    kinds.extend((0..40).map(|_| schema.kind(&mut dice, 0, 2, true)));
    for udt in &schema.types {
        world.cql(&udt.create(&world.name)).await;
    }
    let mut statement = format!("CREATE TABLE {}.t (n int PRIMARY KEY", world.name);
    let mut columns = "n = \"n\"\n".to_owned();
    let mut names = Vec::new();
    for (place, kind) in kinds.iter().enumerate() {
        let (set, map) = (format!("set<{}>", kind.frozen()), format!("map<{}, int>", kind.frozen()));
        let all = [&set, &format!("tuple<frozen<{set}>>"), &map, &format!("tuple<frozen<{map}>>")];
        for (letter, column) in ["s", "st", "m", "mt"].iter().zip(all) {
            statement.push_str(&format!(", {letter}{place} {column}"));
            columns.push_str(&format!("{letter}{place} = \"{letter}{place}\"\n"));
            names.push(format!("{letter}{place}"));
        }
    }
    world.cql(&(statement + ")")).await;
    let store = connect(&world).await;
    let pipe = Pipe::new(&store, &format!("{}.t", world.name), &columns);
    let mut messages = Vec::new();
    for number in 0..20 {
        let mut message = format!("{{\"n\":{number}");
        for (place, kind) in kinds.iter().enumerate() {
            let mut values = Values { dice: &mut dice, keyspace: &world.name, hex: false, unique: false };
            let distinct = values.distinct(kind);
            let set: Vec<_> = distinct.iter().map(|(json, _)| json.value(&mut dice)).collect();
            let set = format!("[{}]", set.join(","));
            let map: Vec<_> = distinct.iter().map(|(json, _)| json.key(&mut dice) + ":1").collect();
            let map = format!("{{{}}}", map.join(","));
            for (name, json) in
                [("s", &set), ("st", &format!("[{set}]")), ("m", &map), ("mt", &format!("[{map}]"))]
            {
                message.push_str(&format!(",\"{name}{place}\":{json}"));
            }
        }
        messages.push(message + "}");
    }
    pipe.write(&messages).await;
    let rows = world.rows(&format!("SELECT {} FROM {}.t", names.join(", "), world.name)).await;
    assert_eq!(rows.len(), messages.len());
    for row in rows {
        for (pair, place) in row.chunks(2).zip(0..) {
            let [alone, Some(CqlValue::Tuple(inside))] = pair else { panic!("{pair:?} is no pair") };
            // An empty set that is not frozen reads as null.
            let inside = inside[0].clone().filter(|inside| {
                !matches!(inside,
                CqlValue::Set(elements) if elements.is_empty())
                    && !matches!(inside, CqlValue::Map(pairs) if pairs.is_empty())
            });
            let kind = kinds[place / 2].loose();
            assert_eq!(format!("{alone:?}"), format!("{inside:?}"), "{kind}; TRIBUTARY_SEED={seed}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_is_one_key_in_whatever_order_it_is_sent() {
    let world = World::shared("set_keys").await;
    for (table, key) in
        [("plain", "frozen<set<int>>"), ("nested", "tuple<frozen<set<int>>, frozen<map<text, int>>>")]
    {
        world.cql(&format!("CREATE TABLE {}.{table} (k {key} PRIMARY KEY, v int)", world.name)).await;
    }
    let store = connect(&world).await;
    let columns = "k = \"k\"\nv = \"v\"\n";
    let sets = ["[3,1,2]", "[1,2,3]", "[2,3,1,3,2]"];
    let messages = sets.map(|set| format!("{{\"k\":{set},\"v\":1}}"));
    Pipe::new(&store, &format!("{}.plain", world.name), columns).write(&messages).await;
    let maps = [r#"{"b":2,"a":1}"#, r#"{"a":1,"b":2}"#, r#"{"b":2.0,"a":1}"#];
    let keys: Vec<_> = sets.iter().zip(maps).map(|(set, map)| format!("[{set},{map}]")).collect();
    let messages: Vec<_> = keys.iter().map(|key| format!("{{\"k\":{key},\"v\":1}}")).collect();
    Pipe::new(&store, &format!("{}.nested", world.name), columns).write(&messages).await;
    for table in ["plain", "nested"] {
        assert_eq!(world.count(table).await, 1, "{table}");
    }
    // And it is the key that Cassandra itself makes of a literal.
    let literal = format!("SELECT v FROM {}.nested WHERE k = ({{3, 1, 2}}, {{'b': 2, 'a': 1}})", world.name);
    assert_eq!(world.rows(&literal).await.len(), 1);
}

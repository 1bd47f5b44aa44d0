//! A table with a column of every kind, for routes to be compiled against.

use consumer::schema::{Column, CqlType, Native, Role, Table};

/// The table, under that name.
pub fn table(name: &str) -> Table {
    use Native::*;
    use Role::*;
    let native = CqlType::Native;
    let column = |(name, cql, role): (&str, CqlType, Role)| Column { name: name.to_owned(), cql, role };
    let place = vec![("street".to_owned(), native(Text)), ("no".to_owned(), native(TinyInt))];
    let columns = [
        ("id", native(Text), PartitionKey),
        ("at", native(Timestamp), Clustering),
        ("flag", native(Boolean), Regular),
        ("count", native(BigInt), Regular),
        ("small", native(Int), Regular),
        ("price", native(Double), Regular),
        ("exact", native(Decimal), Regular),
        ("huge", native(VarInt), Regular),
        ("day", native(Date), Regular),
        ("bytes", native(Blob), Regular),
        ("uuid", native(Uuid), Regular),
        ("address", native(Inet), Regular),
        ("span", native(Duration), Regular),
        ("json", native(Text), Regular),
        ("numbers", CqlType::List { frozen: true, element: Box::new(native(Int)) }, Regular),
        ("tags", CqlType::Set(Box::new(native(Text))), Regular),
        ("scores", CqlType::Map(Box::new(native(Int)), Box::new(native(Float))), Regular),
        ("pair", CqlType::Tuple(vec![native(Time), native(SmallInt)]), Regular),
        ("vector", CqlType::Vector(Box::new(native(Float)), 2), Regular),
        ("place", CqlType::Udt { name: "place".to_owned(), fields: place }, Regular),
    ];
    Table { name: name.to_owned(), columns: columns.into_iter().map(column).collect() }
}

//! The driver's schema metadata -> [`Table`].

use scylla::cluster::ClusterState;
use scylla::cluster::metadata::{CollectionType, ColumnKind, ColumnType, NativeType};

use crate::schema::{Column, CqlType, Native, Role, Table};

pub(super) fn table(state: &ClusterState, name: &str) -> Option<Table> {
    let (keyspace, short) = name.split_once('.')?;
    let known = state.get_keyspace(keyspace)?.tables.get(short)?;
    let column = |name: &String, role: Role| {
        known.columns.get(name).map(|column| Column { name: name.clone(), cql: cql_type(&column.typ), role })
    };
    let mut columns: Vec<Column> = known
        .partition_key
        .iter()
        .filter_map(|name| column(name, Role::PartitionKey))
        .chain(known.clustering_key.iter().filter_map(|name| column(name, Role::Clustering)))
        .collect();
    let regular = |kind: &ColumnKind| !matches!(kind, ColumnKind::PartitionKey | ColumnKind::Clustering);
    let mut others: Vec<&String> =
        known.columns.iter().filter(|(_, column)| regular(&column.kind)).map(|(name, _)| name).collect();
    others.sort_unstable();
    columns.extend(others.into_iter().filter_map(|name| column(name, Role::Regular)));
    Some(Table { name: name.to_owned(), columns })
}

pub(super) fn table_names(state: &ClusterState) -> Vec<String> {
    let names = |(keyspace, contents): (&str, &scylla::cluster::metadata::Keyspace)| {
        contents.tables.keys().map(|table| format!("{keyspace}.{table}")).collect::<Vec<_>>()
    };
    state.keyspaces_iter().filter(|(keyspace, _)| !keyspace.starts_with("system")).flat_map(names).collect()
}

fn cql_type(known: &ColumnType<'_>) -> CqlType {
    let boxed = |inner: &ColumnType<'_>| Box::new(cql_type(inner));
    match known {
        ColumnType::Native(native) => native_type(native),
        ColumnType::Collection { frozen, typ: CollectionType::List(element) } => {
            CqlType::List { frozen: *frozen, element: boxed(element) }
        }
        ColumnType::Collection { typ: CollectionType::Set(element), .. } => CqlType::Set(boxed(element)),
        ColumnType::Collection { typ: CollectionType::Map(key, value), .. } => {
            CqlType::Map(boxed(key), boxed(value))
        }
        ColumnType::Tuple(parts) => CqlType::Tuple(parts.iter().map(cql_type).collect()),
        ColumnType::Vector { typ, dimensions } => CqlType::Vector(boxed(typ), *dimensions),
        ColumnType::UserDefinedType { definition, .. } => CqlType::Udt {
            name: definition.name.to_string(),
            fields: definition
                .field_types
                .iter()
                .map(|(name, inner)| (name.to_string(), cql_type(inner)))
                .collect(),
        },
        other => CqlType::Other(format!("{other:?}")),
    }
}

fn native_type(known: &NativeType) -> CqlType {
    CqlType::Native(match known {
        NativeType::Ascii => Native::Ascii,
        NativeType::BigInt => Native::BigInt,
        NativeType::Blob => Native::Blob,
        NativeType::Boolean => Native::Boolean,
        NativeType::Counter => Native::Counter,
        NativeType::Date => Native::Date,
        NativeType::Decimal => Native::Decimal,
        NativeType::Double => Native::Double,
        NativeType::Duration => Native::Duration,
        NativeType::Float => Native::Float,
        NativeType::Inet => Native::Inet,
        NativeType::Int => Native::Int,
        NativeType::SmallInt => Native::SmallInt,
        NativeType::Text => Native::Text,
        NativeType::Time => Native::Time,
        NativeType::Timestamp => Native::Timestamp,
        NativeType::Timeuuid => Native::TimeUuid,
        NativeType::TinyInt => Native::TinyInt,
        NativeType::Uuid => Native::Uuid,
        NativeType::Varint => Native::VarInt,
        other => return CqlType::Other(format!("{other:?}")),
    })
}

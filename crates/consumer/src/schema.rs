//! A table as the routes see it: names, types and keys, free of any driver's types.

use std::fmt;

/// A CQL type that a column, or part of one, can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CqlType {
    /// `ascii`, `bigint`, ...
    Native(Native),
    /// `list<t>`; `frozen` tells whether it is one cell.
    List {
        /// Whether the whole list is one cell.
        frozen: bool,
        /// The elements' type.
        element: Box<CqlType>,
    },
    /// `set<t>`
    Set(Box<CqlType>),
    /// `map<k, v>`
    Map(Box<CqlType>, Box<CqlType>),
    /// `tuple<a, b, ..>`
    Tuple(Vec<CqlType>),
    /// `vector<t, n>`
    Vector(Box<CqlType>, u16),
    /// A user-defined type: its name and its fields in order.
    Udt {
        /// The type's name.
        name: String,
        /// Field names and types, in the order of the type's definition.
        fields: Vec<(String, CqlType)>,
    },
    /// A type that no route can fill, by name.
    Other(String),
}

/// The simple CQL types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are CQL's own")]
pub enum Native {
    Ascii,
    BigInt,
    Blob,
    Boolean,
    Counter,
    Date,
    Decimal,
    Double,
    Duration,
    Float,
    Inet,
    Int,
    SmallInt,
    Text,
    Time,
    Timestamp,
    TimeUuid,
    TinyInt,
    Uuid,
    VarInt,
}

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Part of the partition key.
    PartitionKey,
    /// Part of the clustering key.
    Clustering,
    /// Anything else.
    Regular,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name as stored, without quotes.
    pub name: String,
    /// Its type.
    pub cql: CqlType,
    /// Its place in the key.
    pub role: Role,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// `keyspace.table`
    pub name: String,
    /// All columns, key columns first in key order.
    pub columns: Vec<Column>,
}

impl Table {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The partition key's columns, in order.
    pub fn partition_key(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| column.role == Role::PartitionKey)
    }
}

impl fmt::Display for CqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Native(native) => f.write_str(&format!("{native:?}").to_lowercase()),
            Self::List { frozen: true, element } => write!(f, "frozen<list<{element}>>"),
            Self::List { frozen: false, element } => write!(f, "list<{element}>"),
            Self::Set(element) => write!(f, "set<{element}>"),
            Self::Map(key, value) => write!(f, "map<{key}, {value}>"),
            Self::Tuple(parts) => {
                let parts: Vec<_> = parts.iter().map(Self::to_string).collect();
                write!(f, "tuple<{}>", parts.join(", "))
            }
            Self::Vector(element, length) => write!(f, "vector<{element}, {length}>"),
            Self::Udt { name, .. } | Self::Other(name) => f.write_str(name),
        }
    }
}

/// A CQL identifier, quoted where it must be.
pub fn quoted(name: &str) -> String {
    let plain = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

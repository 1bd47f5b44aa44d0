//! Random CQL types and tables of them, as statements.

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// A CQL type.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Type {
    Native(&'static str),
    List(Box<Type>),
    Set(Box<Type>),
    Map(Box<Type>, Box<Type>),
    Tuple(Vec<Type>),
    Vector(Box<Type>, usize),
    Udt(Udt),
}

/// A user-defined type: its name and its fields.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Udt {
    pub(super) name: String,
    pub(super) fields: Vec<(String, Type)>,
    /// Whether collections among its fields are declared without `frozen`: it can then only be used frozen.
    pub(super) loose: bool,
}

/// A column.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Type,
    pub(super) frozen: bool,
    /// Whether blobs are written as hexadecimal digits.
    pub(super) hex: bool,
}

/// The columns of a table, and the types that they need, in this order.
#[derive(Debug, Default)]
pub(super) struct Schema {
    pub(super) types: Vec<Udt>,
    /// The number of the row is the first part of the partition key, then these.
    pub(super) keys: Vec<Column>,
    pub(super) columns: Vec<Column>,
}

pub(super) const NATIVES: [&str; 20] = [
    "ascii",
    "bigint",
    "blob",
    "boolean",
    "date",
    "decimal",
    "double",
    "duration",
    "float",
    "inet",
    "int",
    "smallint",
    "text",
    "time",
    "timestamp",
    "timeuuid",
    "tinyint",
    "uuid",
    "varchar",
    "varint",
];

impl Type {
    /// Whether it contains that native type.
    pub(super) fn has(&self, native: &str) -> bool {
        match self {
            Self::Native(name) => *name == native,
            Self::List(element) | Self::Set(element) | Self::Vector(element, _) => element.has(native),
            Self::Map(key, value) => key.has(native) || value.has(native),
            Self::Tuple(parts) => parts.iter().any(|part| part.has(native)),
            Self::Udt(udt) => udt.fields.iter().any(|(_, field)| field.has(native)),
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::Native(_) => 0,
            Self::List(element) | Self::Set(element) | Self::Vector(element, _) => 1 + element.depth(),
            Self::Map(key, value) => 1 + key.depth().max(value.depth()),
            Self::Tuple(parts) => 1 + parts.iter().map(Self::depth).max().unwrap_or(0),
            Self::Udt(udt) => 1 + udt.fields.iter().map(|(_, field)| field.depth()).max().unwrap_or(0),
        }
    }

    /// As a statement names it inside a frozen value or as a frozen column.
    pub(super) fn frozen(&self) -> String {
        match self {
            Self::Native(_) | Self::Tuple(_) | Self::Vector(..) => self.loose(),
            _ => format!("frozen<{}>", self.loose()),
        }
    }

    /// As a statement names it without `frozen` around it.
    pub(super) fn loose(&self) -> String {
        match self {
            Self::Native(name) => (*name).to_owned(),
            Self::List(element) => format!("list<{}>", element.frozen()),
            Self::Set(element) => format!("set<{}>", element.frozen()),
            Self::Map(key, value) => format!("map<{}, {}>", key.frozen(), value.frozen()),
            Self::Tuple(parts) => {
                format!("tuple<{}>", parts.iter().map(Self::frozen).collect::<Vec<_>>().join(", "))
            }
            Self::Vector(element, length) => format!("vector<{}, {length}>", element.frozen()),
            Self::Udt(udt) => udt.name.clone(),
        }
    }
}

impl Udt {
    pub(super) fn create(&self, keyspace: &str) -> String {
        let field = |(name, kind): &(String, Type)| {
            let loose = self.loose && !matches!(kind, Type::Udt(_));
            format!("{name} {}", if loose { kind.loose() } else { kind.frozen() })
        };
        let fields: Vec<String> = self.fields.iter().map(field).collect();
        format!("CREATE TYPE {keyspace}.{} ({})", self.name, fields.join(", "))
    }
}

impl Schema {
    /// A table of random columns; `number` makes its names its own.
    pub(super) fn random(dice: &mut StdRng, number: usize, columns: usize) -> Self {
        let mut schema = Self::default();
        for name in ["p", "c"] {
            let kind = schema.kind(dice, number, 2, true);
            schema.keys.push(Column { name: name.to_owned(), kind, frozen: true, hex: false });
        }
        for place in 0..columns {
            let kind = schema.kind(dice, number, 3, false);
            let frozen = match &kind {
                Type::Set(_) | Type::Map(..) => dice.random(),
                Type::Udt(udt) => udt.loose || dice.random(),
                _ => true,
            };
            let hex = kind.has("blob") && dice.random();
            schema.columns.push(Column { name: format!("v{place}"), kind, frozen, hex });
        }
        schema
    }

    /// All statements.
    pub(super) fn create(&self, keyspace: &str, table: &str) -> Vec<String> {
        let mut statements: Vec<String> = self.types.iter().map(|udt| udt.create(keyspace)).collect();
        let mut columns = "n int, ".to_owned();
        for Column { name, kind, frozen, .. } in self.keys.iter().chain(&self.columns) {
            columns.push_str(&format!("{name} {}, ", if *frozen { kind.frozen() } else { kind.loose() }));
        }
        statements.push(format!("CREATE TABLE {keyspace}.{table} ({columns}PRIMARY KEY ((n, p), c))"));
        statements
    }

    // A type of at most that many levels; an `ordered` one can be sorted, as keys and elements of sets are.
    pub(super) fn kind(&mut self, dice: &mut StdRng, number: usize, depth: usize, ordered: bool) -> Type {
        let nested = depth > 0 && dice.random_bool(0.6);
        let pick = if nested { dice.random_range(0..6) } else { 6 };
        match pick {
            0 => Type::List(Box::new(self.kind(dice, number, depth - 1, ordered))),
            1 => Type::Set(Box::new(self.kind(dice, number, depth - 1, true))),
            2 => {
                let key = self.kind(dice, number, depth - 1, true);
                Type::Map(Box::new(key), Box::new(self.kind(dice, number, depth - 1, ordered)))
            }
            3 => {
                let parts = dice.random_range(1..=3);
                Type::Tuple((0..parts).map(|_| self.kind(dice, number, depth - 1, ordered)).collect())
            }
            4 => {
                let length = dice.random_range(1..=4);
                Type::Vector(Box::new(self.kind(dice, number, depth - 1, ordered)), length)
            }
            5 if dice.random() => self.known(dice, number, depth, ordered),
            5 => {
                let fields = dice.random_range(1..=3);
                let fields = (0..fields).map(|field| {
                    let kind = self.kind(dice, number, depth - 1, ordered);
                    (format!("f{field}"), kind)
                });
                let fields = fields.collect();
                let udt =
                    Udt { name: format!("u{number}_{}", self.types.len()), fields, loose: dice.random() };
                self.types.push(udt.clone());
                Type::Udt(udt)
            }
            _ => loop {
                let native = NATIVES[dice.random_range(0..NATIVES.len())];
                if !(ordered && native == "duration") {
                    break Type::Native(native);
                }
            },
        }
    }

    // One of the types that were made before, to make fewer statements.
    fn known(&mut self, dice: &mut StdRng, number: usize, depth: usize, ordered: bool) -> Type {
        let fitting = self.types.iter().map(|udt| Type::Udt(udt.clone()));
        let fitting: Vec<Type> =
            fitting.filter(|udt| udt.depth() <= depth && !(ordered && udt.has("duration"))).collect();
        match fitting.choose(dice) {
            Some(known) => known.clone(),
            None => self.kind(dice, number, depth, ordered),
        }
    }
}

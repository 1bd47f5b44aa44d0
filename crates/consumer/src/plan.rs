//! A route and the table it fills -> a plan: the statement, a codec a column, and a tree of the fields to look for.

use std::collections::HashSet;

use crate::codec::{self, Codec};
use crate::path::{Path, Step};
use crate::route::{ColumnRule, Meta, Missing, Problem, Route, Source};
use crate::rows::Cell;
use crate::schema::{Role, Table, quoted};

/// How the messages of one topic become rows of one table.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The topic.
    pub topic: String,
    /// `keyspace.table`
    pub table: String,
    /// The columns, in the order of the statement.
    pub columns: Vec<PlanColumn>,
    /// The insert; after the columns it binds the WRITETIME, and the TTL if there is one. Empty for CSV.
    pub statement: String,
    /// Places of the partition key's columns among the columns, in key order.
    pub partition_key: Vec<usize>,
    /// Seconds that a row lives from its message's timestamp on.
    pub ttl_s: Option<i64>,
    /// What a column without a field becomes.
    pub(crate) missing: Cell,
    /// What to look for in the value.
    pub(crate) fields: Node,
    /// Columns that come from the message itself.
    pub(crate) metas: Vec<(usize, Meta)>,
    /// Columns that come from headers.
    pub(crate) headers: Vec<(usize, String)>,
}

/// One column of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanColumn {
    /// Its name.
    pub name: String,
    /// How its values are written.
    pub codec: Codec,
    /// Its place in the key.
    pub role: Role,
    /// Where the value comes from, as error messages name it.
    pub origin: String,
}

/// A place in the JSON value: the columns that want it, and the places below that are wanted.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Node {
    pub(crate) columns: Vec<usize>,
    pub(crate) fields: Vec<(String, Node)>,
    pub(crate) elements: Vec<(usize, Node)>,
}

impl Node {
    fn insert(&mut self, path: &[Step], column: usize) {
        let Some((step, rest)) = path.split_first() else {
            self.columns.push(column);
            return;
        };
        let below = match step {
            Step::Key(name) => entry(&mut self.fields, name.clone()),
            Step::Index(index) => entry(&mut self.elements, *index),
        };
        below.insert(rest, column);
    }
}

fn entry<K: PartialEq>(list: &mut Vec<(K, Node)>, key: K) -> &mut Node {
    let place = list.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
        list.push((key, Node::default()));
        list.len() - 1
    });
    &mut list[place].1
}

impl Plan {
    /// Cells of a row: the columns, the WRITETIME, the TTL.
    pub fn width(&self) -> usize {
        self.columns.len() + usize::from(!self.statement.is_empty()) + usize::from(self.ttl_s.is_some())
    }

    /// The plan for a table.
    ///
    /// # Errors
    /// Every way in which the route does not fit the table, with its place in the route's file.
    pub fn for_table(route: &Route, table: &Table) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut columns = Vec::new();
        for rule in &route.columns {
            match column_of(rule, table) {
                Ok(column) => columns.push(column),
                Err(message) => problems.push(route.file.problem(&rule.span, message)),
            }
        }
        for key in table.columns.iter().filter(|column| column.role != Role::Regular) {
            if !route.columns.iter().any(|rule| rule.column == key.name) {
                let message = format!(
                    "{} has the primary key column {} ({}), which this route does not fill",
                    table.name, key.name, key.cql
                );
                problems.push(route.file.problem(&route.table.span(), message));
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let places =
            table.partition_key().filter_map(|key| columns.iter().position(|column| column.name == key.name));
        let partition_key = places.collect();
        let names: Vec<_> = columns.iter().map(|column| quoted(&column.name)).collect();
        let marks = vec!["?"; columns.len()].join(", ");
        let ttl = if route.ttl.is_some() { " AND TTL ?" } else { "" };
        let statement = format!(
            "INSERT INTO {} ({}) VALUES ({marks}) USING TIMESTAMP ?{ttl}",
            table_name(route.table.get_ref()),
            names.join(", ")
        );
        Ok(Self { statement, partition_key, ..Self::new(route, columns) })
    }

    /// The plan for CSV files, which take their columns from the route alone.
    ///
    /// # Errors
    /// Options that contradict each other.
    pub fn for_csv(route: &Route) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut columns = Vec::new();
        for rule in &route.columns {
            match codec::for_csv(&rule.options) {
                Ok(codec) => columns.push(plan_column(rule, for_meta(codec, &rule.source), Role::Regular)),
                Err(why) => problems.push(route.file.problem(&rule.span, format!("{}: {why}", rule.column))),
            }
        }
        if problems.is_empty() {
            Ok(Self { ttl_s: None, ..Self::new(route, columns) })
        } else {
            Err(problems)
        }
    }

    fn new(route: &Route, columns: Vec<PlanColumn>) -> Self {
        let mut fields = Node::default();
        let mut metas = Vec::new();
        let mut headers = Vec::new();
        for (place, rule) in route.columns.iter().enumerate() {
            match &rule.source {
                Source::Field(Path(steps)) => fields.insert(steps, place),
                Source::Header(name) => headers.push((place, name.clone())),
                Source::Meta(meta) => metas.push((place, *meta)),
            }
        }
        Self {
            topic: route.topic.clone(),
            table: route.table.get_ref().clone(),
            columns,
            statement: String::new(),
            partition_key: Vec::new(),
            ttl_s: route.ttl.and_then(|ttl| i64::try_from(ttl.as_secs()).ok()),
            missing: match route.missing {
                Missing::Unset => Cell::UNSET,
                Missing::Null => Cell::NULL,
            },
            fields,
            metas,
            headers,
        }
    }
}

fn column_of(rule: &ColumnRule, table: &Table) -> Result<PlanColumn, String> {
    let Some(column) = table.column(&rule.column) else {
        let near = nearest(&rule.column, table.columns.iter().map(|column| column.name.as_str()));
        return Err(format!("{} has no column {}{near}", table.name, rule.column));
    };
    let mut options = rule.options.clone();
    if rule.source == Source::Meta(Meta::Timestamp) && options.time.is_none() {
        options.time = matches!(column.cql, crate::schema::CqlType::Native(crate::schema::Native::Timestamp))
            .then(|| "epoch_ms".to_owned());
    }
    let codec = codec::for_column(&column.cql, &options)
        .map_err(|why| format!("column {} ({}): {why}", column.name, column.cql))?;
    Ok(plan_column(rule, codec, column.role))
}

fn for_meta(codec: Codec, source: &Source) -> Codec {
    // Outside JSON a value is a plain word; quotes around it would be part of the field.
    if codec == Codec::Json && !matches!(source, Source::Field(_)) { Codec::Plain } else { codec }
}

fn plan_column(rule: &ColumnRule, codec: Codec, role: Role) -> PlanColumn {
    let origin = match &rule.source {
        Source::Field(path) => format!("field {path}"),
        Source::Header(name) => format!("header {name}"),
        Source::Meta(meta) => format!("{meta:?}").to_lowercase(),
    };
    PlanColumn { name: rule.column.clone(), codec, role, origin }
}

fn table_name(name: &str) -> String {
    name.split('.').map(quoted).collect::<Vec<_>>().join(".")
}

/// `; did you mean X?`, or all that there is, for a name that is not among `known`.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect::<HashSet<_>>().into_iter().collect();
    let close = known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), *candidate))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match close {
        Some((_, candidate)) => format!("; did you mean {candidate}?"),
        None if known.is_empty() => String::new(),
        None => {
            let mut known = known;
            known.sort_unstable();
            format!("; it has {}", known.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Column, CqlType, Native};

    pub(crate) fn table(columns: &[(&str, Native, Role)]) -> Table {
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
        let table =
            table(&[("id", Native::Int, Role::PartitionKey), ("Odd Name", Native::Text, Role::Regular)]);
        let plan = Plan::for_table(&route("\"Odd Name\" = \"a\"\nid = \"b\"\n"), &table).unwrap();
        assert_eq!(
            plan.statement,
            "INSERT INTO shop.orders (\"Odd Name\", id) VALUES (?, ?) USING TIMESTAMP ? AND TTL ?"
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
}

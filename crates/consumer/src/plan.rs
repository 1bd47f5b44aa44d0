//! A route and the table it fills -> a plan: the statement, a codec a column, and a tree of the fields to look for.

mod columns;
mod fields;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use crate::codec::{self, Codec};
use crate::marker::marker;
use crate::message::Message;
use crate::route::{Consistency, Meta, Missing, Options, Problem, Route, Source, Ttl, Unit, WriteTime};
use crate::rows::Cell;
use crate::schema::{CqlType, Native, Role, Table, quoted};

use columns::Filled;
pub(crate) use fields::Node;

/// How the messages of some topics become rows of one table.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The topics.
    pub topics: Vec<String>,
    /// `keyspace.table`
    pub table: String,
    /// The columns, in the order of the statement.
    pub columns: Vec<PlanColumn>,
    /// The insert; after the columns it binds the WRITETIME, and the TTL if there is one. Or a delete, which binds
    /// the WRITETIME first. Empty for CSV.
    pub statement: String,
    /// How many replicas acknowledge a write.
    pub consistency: Consistency,
    /// Places of the partition key's columns among the columns, in key order.
    pub partition_key: Vec<usize>,
    /// Seconds that a row lives from its message's timestamp on, if that is the same for all.
    pub ttl_s: Option<i64>,
    /// How a message without a value deletes a row, where the route says so.
    pub delete: Option<Arc<Plan>>,
    /// Whether this plan's rows are keys of rows to delete.
    pub deletes: bool,
    /// The field that tells how long the row lives.
    pub(crate) ttl_field: Option<TtlField>,
    /// The field that tells the WRITETIME.
    pub(crate) writetime: Option<WriteTimeField>,
    /// What a column without a field becomes.
    pub(crate) missing: Cell,
    /// What a column whose field is null becomes; never the same cell as `missing`.
    pub(crate) null: Cell,
    /// What to look for in the value.
    pub(crate) fields: Node,
    /// What to look for in the key, if it is read as JSON.
    pub(crate) key_fields: Option<Node>,
    /// Columns that come from the message itself.
    pub(crate) metas: Vec<(usize, Meta)>,
    /// Columns that come from headers.
    pub(crate) headers: Vec<(usize, String)>,
    /// Cells of columns that have no value by then: constants and defaults.
    pub(crate) defaults: Vec<(usize, Vec<u8>)>,
    /// Columns that hold a UUID of the fields in these slots.
    pub(crate) uuids: Vec<(usize, Range<usize>)>,
    /// Fields of the value that are kept aside until it has been read: their names. In [`Node`] a slot is a column
    /// behind the last one.
    pub(crate) slots: Vec<String>,
    /// Why a message without a value is a data error.
    pub(crate) tombstone: &'static str,
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

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TtlField {
    pub(crate) slot: usize,
    pub(crate) unit: Unit,
    pub(crate) default: Option<i64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WriteTimeField {
    pub(crate) slot: usize,
    /// Yields milliseconds.
    pub(crate) codec: Codec,
}

impl Plan {
    /// Cells of a row: the columns, the WRITETIME, the TTL.
    pub fn width(&self) -> usize {
        self.columns.len() + usize::from(!self.statement.is_empty()) + usize::from(self.expires())
    }

    /// Whether the statement binds a TTL: what was left of it when the row was decoded.
    pub fn expires(&self) -> bool {
        self.ttl_s.is_some() || self.ttl_field.is_some()
    }

    /// The plan for this message: without a value it may be the one that deletes.
    pub fn of(&self, message: &Message<'_>) -> &Self {
        self.delete.as_deref().filter(|_| message.value.is_none()).unwrap_or(self)
    }

    /// The plan for a table.
    ///
    /// # Errors
    /// Every way in which the route does not fit the table, with its place in the route's file.
    pub fn for_table(route: &Route, table: &Table) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut filled = Vec::new();
        for rule in &route.columns {
            match columns::of_table(rule, table, &route.topics) {
                Ok(column) => filled.push(column),
                Err((place, message)) => problems.push(route.file.problem(&place, message)),
            }
        }
        for key in table.columns.iter().filter(|column| column.role != Role::Regular) {
            if !route.columns.iter().any(|rule| rule.column == key.name) {
                let message = format!(
                    "{} has the primary key column {} ({}), which this route does not fill: add it to [columns], \
                     as in {} = \"some.field\"",
                    table.name,
                    key.name,
                    key.cql,
                    quoted(&key.name)
                );
                problems.push(route.file.problem(&route.table.span(), message));
            }
        }
        if route.deletes.row {
            for key in filled.iter().filter(|filled| filled.column.role != Role::Regular) {
                if let Err(message) = columns::known_without_value(key.rule) {
                    problems.push(route.file.problem(&key.rule.span, message));
                }
            }
        }
        let writetime = writetime_codec(route).map_err(|problem| problems.push(problem)).unwrap_or_default();
        if !problems.is_empty() {
            return Err(problems);
        }
        let keys: Vec<Filled<'_>> =
            filled.iter().filter(|filled| filled.column.role != Role::Regular).cloned().collect();
        let mut plan = Self::new(route, filled);
        plan.partition_key = plan.places(table);
        plan.take_times(route, writetime);
        plan.statement = plan.insert(table);
        if route.deletes.row {
            let mut delete = Self::new(route, keys);
            delete.partition_key = delete.places(table);
            delete.statement = delete.delete(table);
            delete.deletes = true;
            plan.delete = Some(Arc::new(delete));
        }
        Ok(plan)
    }

    /// The plan for CSV files, which take their columns from the route alone.
    ///
    /// # Errors
    /// Options that contradict each other.
    pub fn for_csv(route: &Route) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut filled = Vec::new();
        for rule in &route.columns {
            match columns::of_csv(rule, &route.topics) {
                Ok(column) => filled.push(column),
                Err((place, message)) => problems.push(route.file.problem(&place, message)),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut plan = Self::new(route, filled);
        if route.deletes.row {
            plan.tombstone = "the message has no value: it deletes a row, which a CSV file cannot";
        }
        Ok(plan)
    }

    fn new(route: &Route, filled: Vec<Filled<'_>>) -> Self {
        let missing = match route.missing {
            Missing::Unset => Cell::UNSET,
            Missing::Null => Cell::NULL,
        };
        let null = if route.deletes.cells { Cell::NULL } else { missing };
        let mut plan = Self {
            topics: route.topics.clone(),
            table: route.table.get_ref().clone(),
            columns: Vec::new(),
            statement: String::new(),
            consistency: route.consistency,
            partition_key: Vec::new(),
            ttl_s: None,
            delete: None,
            deletes: false,
            ttl_field: None,
            writetime: None,
            missing,
            null: null.of_null(),
            fields: Node::default(),
            key_fields: None,
            metas: Vec::new(),
            headers: Vec::new(),
            defaults: Vec::new(),
            uuids: Vec::new(),
            slots: Vec::new(),
            tombstone: "the message has no value; deletes = \"row\" in the route would delete its key's row",
        };
        let width = filled.len();
        for (place, Filled { rule, column, default }) in filled.into_iter().enumerate() {
            plan.columns.push(column);
            plan.defaults.extend(default.map(|cell| (place, cell)));
            match &rule.source {
                Source::Field(path) => plan.fields.insert(&path.0, place),
                Source::Key(path) => plan.key_fields.get_or_insert_default().insert(&path.0, place),
                Source::Header(name) => plan.headers.push((place, name.clone())),
                Source::Meta(meta) => plan.metas.push((place, *meta)),
                // Its cell is among the defaults.
                Source::Constant(_) => {}
                Source::Uuid(paths) => {
                    let first = plan.slots.len();
                    for path in paths {
                        plan.slot(width, path);
                    }
                    plan.uuids.push((place, first..plan.slots.len()));
                }
            }
        }
        plan
    }

    // Keeps a field of the value aside.
    fn slot(&mut self, width: usize, path: &crate::path::Path) -> usize {
        let slot = self.slots.len();
        self.fields.insert(&path.0, width + slot);
        self.slots.push(format!("field {path}"));
        slot
    }

    fn take_times(&mut self, route: &Route, writetime: Option<(&WriteTime, Codec)>) {
        let width = self.columns.len();
        match &route.ttl {
            None => {}
            Some(Ttl::Constant(seconds)) => self.ttl_s = Some(*seconds),
            Some(Ttl::Field { path, unit, default }) => {
                let slot = self.slot(width, path);
                self.ttl_field = Some(TtlField { slot, unit: *unit, default: *default });
            }
        }
        if let Some((WriteTime { path, .. }, codec)) = writetime {
            let slot = self.slot(width, path);
            self.writetime = Some(WriteTimeField { slot, codec });
        }
    }

    fn places(&self, table: &Table) -> Vec<usize> {
        let place = |key: &str| self.columns.iter().position(|column| column.name == key);
        table.partition_key().filter_map(|key| place(&key.name)).collect()
    }

    fn insert(&self, table: &Table) -> String {
        let names: Vec<_> = self.columns.iter().map(|column| quoted(&column.name)).collect();
        let marks: Vec<_> = self.columns.iter().map(|column| mark(column, table)).collect();
        let ttl = if self.expires() { " AND TTL ?" } else { "" };
        let (table, names, marks) = (table_name(&self.table), names.join(", "), marks.join(", "));
        format!("INSERT INTO {table} ({names}) VALUES ({marks}) USING TIMESTAMP ?{ttl}")
    }

    fn delete(&self, table: &Table) -> String {
        let equal = |column: &PlanColumn| format!("{} = {}", quoted(&column.name), mark(column, table));
        let key: Vec<_> = self.columns.iter().map(equal).collect();
        format!("DELETE FROM {} USING TIMESTAMP ? WHERE {}", table_name(&self.table), key.join(" AND "))
    }
}

fn mark(column: &PlanColumn, table: &Table) -> String {
    table.column(&column.name).map_or_else(|| "?".to_owned(), |column| marker(&column.cql))
}

fn writetime_codec(route: &Route) -> Result<Option<(&WriteTime, Codec)>, Problem> {
    let Some(writetime) = &route.writetime else { return Ok(None) };
    let Options { time, zone, truncate, .. } = writetime.options.clone();
    let options = Options { time, zone, truncate, ..Options::default() };
    match codec::for_column(&CqlType::Native(Native::Timestamp), &options) {
        Ok(codec) => Ok(Some((writetime, codec))),
        Err(why) => Err(route.file.problem(&writetime.span, format!("writetime: {why}"))),
    }
}

fn table_name(name: &str) -> String {
    name.split('.').map(quoted).collect::<Vec<_>>().join(".")
}

/// `; did you mean X?`, or all that there is, for a name that is not among `known`.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest_of("it has", name, known)
}

/// As [`nearest`]; `there_are` begins the list of all that there is.
pub fn nearest_of<'a>(there_are: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = known.collect();
    known.sort_unstable();
    known.dedup();
    let close = known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), *candidate))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match close {
        Some((_, candidate)) => format!("; did you mean {candidate}?"),
        None if known.is_empty() => String::new(),
        None => format!("; {there_are} {}", known.join(", ")),
    }
}

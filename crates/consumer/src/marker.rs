//! A column's type -> its bind marker: `(int)?`, with the type that the values are encoded for.
//!
//! The id of a prepared statement is a hash of its text alone. When a table is dropped and created with other types,
//! the server forgets the statement, the driver prepares the same text again, gets the same id, and sends values in
//! the old encoding: four bytes of an int are a valid text. With its type in the text, the statement is refused
//! instead, and the consumer reads the schema again.
//!
//! Not refused is what Cassandra holds to be compatible: any type into `blob`, `bigint` into `timestamp`, `ascii` into
//! `text`. That is left to [`crate::routes::changed`].

use crate::schema::CqlType;

/// The marker of a column of that type.
pub fn marker(cql: &CqlType) -> String {
    if certain(cql) { format!("({cql})?") } else { "?".to_owned() }
}

// Whether the type's text is the type itself, whole: that of sets and maps does not tell frozen ones apart, that of a
// user-defined type lacks its keyspace.
fn certain(cql: &CqlType) -> bool {
    match cql {
        CqlType::Native(_) => true,
        CqlType::List { element, .. } | CqlType::Vector(element, _) => certain(element),
        CqlType::Tuple(parts) => parts.iter().all(certain),
        CqlType::Set(_) | CqlType::Map(..) | CqlType::Udt { .. } | CqlType::Other(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Native;

    #[test]
    fn marker_has_the_type_where_its_text_is_certain() {
        let int = || Box::new(CqlType::Native(Native::Int));
        assert_eq!(marker(&int()), "(int)?");
        assert_eq!(marker(&CqlType::List { frozen: true, element: int() }), "(frozen<list<int>>)?");
        assert_eq!(marker(&CqlType::Tuple(vec![*int(), *int()])), "(tuple<int, int>)?");
        assert_eq!(marker(&CqlType::Vector(int(), 3)), "(vector<int, 3>)?");
        assert_eq!(marker(&CqlType::Set(int())), "?");
        assert_eq!(marker(&CqlType::Tuple(vec![CqlType::Map(int(), int())])), "?");
    }
}

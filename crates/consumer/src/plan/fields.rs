//! The fields that a plan wants, as a tree that follows the JSON value.

use crate::path::Step;

/// A place in the JSON value: the columns that want it, and the places below that are wanted.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Node {
    pub(crate) columns: Vec<usize>,
    pub(crate) fields: Vec<Field>,
    pub(crate) elements: Vec<(usize, Node)>,
}

/// A field that is wanted, or holds what is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// The name in quotes and a colon, as writers without white space have it.
    pub(crate) written: String,
    pub(crate) node: Node,
}

impl Node {
    pub(super) fn insert(&mut self, path: &[Step], column: usize) {
        let Some((step, rest)) = path.split_first() else {
            self.columns.push(column);
            return;
        };
        let below = match step {
            Step::Key(name) => self.field(name),
            Step::Index(index) => self.element(*index),
        };
        below.insert(rest, column);
    }

    /// The places below, whatever their name.
    pub(crate) fn below(&self) -> impl Iterator<Item = &Self> {
        self.fields.iter().map(|field| &field.node).chain(self.elements.iter().map(|(_, node)| node))
    }

    /// Any of the columns that want this place or one below.
    pub(crate) fn first_column(&self) -> Option<usize> {
        self.columns.first().copied().or_else(|| self.below().find_map(Self::first_column))
    }

    fn field(&mut self, name: &str) -> &mut Self {
        let place = self.fields.iter().position(|known| known.name == name).unwrap_or_else(|| {
            let written = format!("{}:", serde_json::Value::from(name));
            self.fields.push(Field { name: name.to_owned(), written, node: Self::default() });
            self.fields.len() - 1
        });
        &mut self.fields[place].node
    }

    fn element(&mut self, index: usize) -> &mut Self {
        let place = self.elements.iter().position(|(known, _)| *known == index).unwrap_or_else(|| {
            self.elements.push((index, Self::default()));
            self.elements.len() - 1
        });
        &mut self.elements[place].1
    }
}

//! The fields that a plan wants, as a tree that follows the JSON value.

use crate::path::Step;

/// A place in the JSON value: the columns that want it, and the places below that are wanted.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Node {
    pub(crate) columns: Vec<usize>,
    pub(crate) fields: Vec<(String, Node)>,
    pub(crate) elements: Vec<(usize, Node)>,
}

impl Node {
    pub(super) fn insert(&mut self, path: &[Step], column: usize) {
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

    /// The places below, whatever their name.
    pub(crate) fn below(&self) -> impl Iterator<Item = &Self> {
        self.fields.iter().map(|(_, node)| node).chain(self.elements.iter().map(|(_, node)| node))
    }

    /// Any of the columns that want this place or one below.
    pub(crate) fn first_column(&self) -> Option<usize> {
        self.columns.first().copied().or_else(|| self.below().find_map(Self::first_column))
    }
}

fn entry<K: PartialEq>(list: &mut Vec<(K, Node)>, key: K) -> &mut Node {
    let place = list.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
        list.push((key, Node::default()));
        list.len() - 1
    });
    &mut list[place].1
}

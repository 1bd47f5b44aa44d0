//! A row's primary key, packed: each column's length in four bytes, then its value.
//!
//! That is how the protocol binds values, and how a list of them is written, so that a key goes into a request as it is.

use std::borrow::Cow;

use crate::codec::shortest_decimal;
use crate::rows::{CellValue, Rows};
use crate::schema::{CqlType, Native, Role, Table};

/// Bytes of a partition key, and of each value of a key: what Cassandra writes before them is their length in two bytes.
const BYTES_MAX: usize = 65_535;

/// The primary key of one row, its columns in the order of the key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Box<[u8]>);

impl Key {
    /// The key of a decoded row; `places` are those of the key's columns in the row.
    pub fn of(rows: &Rows, row: usize, places: &[usize]) -> Self {
        Self::pack(places.iter().map(|place| match rows.cell(row, *place) {
            CellValue::Bytes(bytes) => bytes,
            // A row without its key never comes here.
            CellValue::Null | CellValue::Unset => &[],
        }))
    }

    /// A key of these values.
    pub fn pack<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut packed = Vec::new();
        for value in values {
            // A value of a row has less than 2 GiB.
            packed.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
            packed.extend_from_slice(value);
        }
        Self(packed.into_boxed_slice())
    }

    /// The same key to Cassandra, with the decimals in these places in their shortest form; see [`decimals`].
    #[must_use]
    pub fn canonical(self, decimals: &[usize]) -> Self {
        if decimals.is_empty() {
            return self;
        }
        let spelt = |(place, value)| {
            if decimals.contains(&place) { Cow::Owned(shortest_decimal(value)) } else { Cow::Borrowed(value) }
        };
        let values: Vec<Cow<'_, [u8]>> = self.values().enumerate().map(spelt).collect();
        Self::pack(values.iter().map(AsRef::as_ref))
    }

    /// Its values, in the order of the key.
    pub fn values(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (length, bytes) = rest.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
            let (value, after) = bytes.split_at_checked(length)?;
            rest = after;
            Some(value)
        })
    }

    /// Whether there can be a row of this key; the first `partition` of its values are the partition key. Cassandra refuses
    /// longer ones, whether they are written or asked for: `Validation.validateKey` and `ClusteringPrefix.validate`.
    pub fn fits(&self, partition: usize) -> bool {
        let lengths = || self.values().map(<[u8]>::len);
        // Several columns are one key to the server: beside each value its length in two bytes, and one more.
        let beside = if partition > 1 { 3 } else { 0 };
        let of_partition: usize = lengths().take(partition).map(|length| length + beside).sum();
        of_partition <= BYTES_MAX && lengths().all(|length| length <= BYTES_MAX)
    }

    /// All of it.
    pub fn packed(&self) -> &[u8] {
        &self.0
    }
}

/// The places in the key of a table at which one value may be spelt in several ways: clustering columns are compared by
/// their values, and `DecimalType` of Cassandra 5.0 holds 1.0 and 1.00 to be equal. A partition key is compared by its bytes.
pub fn decimals(table: &Table) -> Vec<usize> {
    let keys = table.columns.iter().filter(|column| column.role != Role::Regular).enumerate();
    let decimals = keys.filter(|(_, column)| {
        column.role == Role::Clustering && column.cql == CqlType::Native(Native::Decimal)
    });
    decimals.map(|(place, _)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Column;

    #[test]
    fn a_decimal_is_one_clustering_key_however_it_is_spelt() {
        let decimal = |scale: i32, unscaled: &[u8]| [&scale.to_be_bytes()[..], unscaled].concat();
        let column =
            |name: &str, role| Column { name: name.to_owned(), cql: CqlType::Native(Native::Decimal), role };
        let columns =
            vec![column("p", Role::PartitionKey), column("c", Role::Clustering), column("v", Role::Regular)];
        let decimals = decimals(&Table { name: "k.t".to_owned(), columns });
        assert_eq!(decimals, [1]);
        // 1.0 and 1.00.
        let [one, other] = [decimal(1, &[10]), decimal(2, &[100])];
        let key = |partition: &[u8], clustering: &[u8]| {
            Key::pack([partition, clustering].into_iter()).canonical(&decimals)
        };
        assert_eq!(key(&one, &one), key(&one, &other));
        assert_ne!(key(&one, &one), key(&other, &one), "two partitions");
        assert_ne!(key(&one, &one), key(&one, &decimal(2, &[10])));
    }

    #[test]
    fn a_key_that_the_server_cannot_hold_is_told() {
        let key = |lengths: &[usize]| {
            let values: Vec<Vec<u8>> = lengths.iter().map(|length| vec![b'x'; *length]).collect();
            Key::pack(values.iter().map(Vec::as_slice))
        };
        assert!(key(&[65_535]).fits(1) && !key(&[65_536]).fits(1));
        assert!(key(&[65_000, 529]).fits(2) && !key(&[65_000, 530]).fits(2), "a composite");
        assert!(key(&[10, 65_535]).fits(1) && !key(&[10, 65_536]).fits(1), "a clustering column");
    }

    #[test]
    fn a_key_has_the_values_that_it_was_packed_of() {
        let values: [&[u8]; 4] = [b"Ines", b"", &[0; 300], b"x"];
        let key = Key::pack(values.into_iter());
        assert_eq!(key.values().collect::<Vec<_>>(), values);
        let ambiguous = |left: &[u8], right: &[u8]| Key::pack([left, right].into_iter());
        assert_ne!(ambiguous(b"ab", b"c"), ambiguous(b"a", b"bc"));
    }
}

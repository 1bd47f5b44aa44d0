//! Offsets that librdkafka would not commit by itself.
//!
//! It commits what is above all that it has committed of a partition before. In a topic that was created anew, offsets begin
//! below that again.

use std::collections::HashMap;

use crate::message::Partition;

/// The highest offset that was stored of each partition.
#[derive(Debug, Default)]
pub(super) struct Lowered {
    highest: HashMap<Partition, i64>,
}

impl Lowered {
    /// Those of the offsets that are below what was stored before.
    pub(super) fn among(&mut self, offsets: &[(Partition, i64)]) -> Vec<(Partition, i64)> {
        let mut lowered = Vec::new();
        for &(partition, offset) in offsets {
            let highest = self.highest.entry(partition).or_insert(offset);
            if offset < *highest {
                lowered.push((partition, offset));
            }
            *highest = offset.max(*highest);
        }
        lowered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_lowered_until_they_are_above_all_before() {
        let [one, other] = [0, 1].map(|number| Partition { topic: 0, number });
        let mut lowered = Lowered::default();
        assert_eq!(lowered.among(&[(one, 10), (other, 3)]), []);
        assert_eq!(lowered.among(&[(one, 4), (other, 4)]), [(one, 4)]);
        assert_eq!(lowered.among(&[(one, 9)]), [(one, 9)]);
        assert_eq!(lowered.among(&[(one, 10), (one, 11)]), []);
    }
}

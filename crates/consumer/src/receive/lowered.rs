//! Offsets that librdkafka would not commit by itself.
//!
//! It commits what is above all that it has committed of a partition before. In a topic that was created anew, offsets begin
//! below that again.

use std::collections::HashMap;

use crate::message::Partition;

/// The highest offset of each partition that is ours: what the group had committed, or what was stored since.
#[derive(Debug, Default)]
pub(super) struct Lowered {
    highest: HashMap<Partition, i64>,
}

impl Lowered {
    /// The partition is ours from here on, and so much of it is committed.
    pub(super) fn begin(&mut self, partition: Partition, committed: i64) {
        self.highest.insert(partition, committed);
    }

    /// The partition is ours no longer.
    pub(super) fn forget(&mut self, partition: Partition) {
        self.highest.remove(&partition);
    }

    /// Those of the offsets that are below what was committed or stored before.
    pub(super) fn among(&mut self, offsets: &[(Partition, i64)]) -> Vec<(Partition, i64)> {
        let mut lowered = Vec::new();
        for &(partition, offset) in offsets {
            let Some(highest) = self.highest.get_mut(&partition) else { continue };
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
        assert_eq!(lowered.among(&[(one, 1)]), [], "not ours");
        lowered.begin(one, 9);
        lowered.begin(other, 0);
        assert_eq!(lowered.among(&[(one, 10), (other, 3)]), []);
        assert_eq!(lowered.among(&[(one, 4), (other, 4)]), [(one, 4)]);
        assert_eq!(lowered.among(&[(one, 9)]), [(one, 9)]);
        assert_eq!(lowered.among(&[(one, 10), (one, 11)]), []);
        lowered.forget(one);
        // Committed before this process was there, of a topic that was created anew since.
        lowered.begin(one, 5_000);
        assert_eq!(lowered.among(&[(one, 100)]), [(one, 100)]);
    }
}

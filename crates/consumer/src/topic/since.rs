//! A place in a topic, as an operator names it -> an offset in each partition.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Ranges, Topics, Unread};

/// A place in each partition of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// The first message that is there.
    Beginning,
    /// The first message of this time or later, in milliseconds since 1970.
    Time(i64),
    /// This offset.
    Offset(i64),
}

impl Topics {
    /// The offset of that place in each partition of the topic, of which `whole` is there now.
    ///
    /// # Errors
    /// The broker does not answer.
    pub fn offsets_of(
        &self,
        topic: &str,
        since: Since,
        whole: &Ranges,
    ) -> Result<BTreeMap<i32, i64>, Unread> {
        match since {
            Since::Beginning => Ok(whole.iter().map(|(number, range)| (*number, range.start)).collect()),
            // Beyond its end a partition would be read from its beginning.
            Since::Offset(offset) => {
                let first = |range: &Range<i64>| offset.clamp(range.start, range.end);
                Ok(whole.iter().map(|(number, range)| (*number, first(range))).collect())
            }
            Since::Time(time_ms) => self.offsets_at(topic, time_ms),
        }
    }
}

//! A JSON number written the way the upstreams write theirs: 5 and not 5.0.

use serde::{Serialize, Serializer};

/// Whole values become JSON integers, so that readers meet both forms in one field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Number(pub(crate) f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match whole(self.0) {
            Some(integer) => serializer.serialize_i64(integer),
            None => serializer.serialize_f64(self.0),
        }
    }
}

/// The integer that `value` is, if it is one; small enough to be exact.
pub(crate) fn whole(value: f64) -> Option<i64> {
    (value.fract() == 0.0 && value.abs() < 9e15).then(|| floor(value))
}

/// The integer at or below `value`; meant for values far below 2^53.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a float cast saturates, and callers stay far below 2^53"
)]
pub(crate) fn floor(value: f64) -> i64 {
    value.floor() as i64
}

#[cfg(test)]
mod tests {
    use super::Number;

    #[test]
    fn whole_numbers_are_written_as_integers() {
        let text = serde_json::to_string(&[Number(5.0), Number(-0.5), Number(52.37), Number(-3.0)]).unwrap();
        assert_eq!(text, "[5,-0.5,52.37,-3]");
    }
}

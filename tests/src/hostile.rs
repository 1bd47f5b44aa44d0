//! Messages that no producer should send: fuzzed, cut off, of wrong types, too deep, too large.
//!
//! Each is of a user of its own. What a sink makes of one, a row or a dead letter, is for the sink to say; that it makes
//! exactly one of the two of it is for the judge.

use rand::RngExt;
use rand::seq::IndexedRandom;
use uuid::Uuid;

use crate::world::user;

/// The header that tells a hostile message from the load's own.
pub(crate) const HOSTILE: &str = "hostile";

/// Nested so deep that a recursive parser overflows its stack.
const DEPTH: usize = 10_000;
/// Below what Kafka takes by default, above what a cell should hold.
const LARGE: usize = 900_000;
/// Of so many hostile messages the first is large.
const LARGE_ONE_IN: usize = 2_000;
/// Of so many hostile messages the second is deep.
const DEEP_ONE_IN: usize = 100;

/// The value of a hostile message, the how manieth; `None` is a null.
pub(crate) fn hostile(random: &mut impl RngExt, number: usize) -> Option<Vec<u8>> {
    let id = Uuid::from_u128(random.random());
    let good = user(id, "hostile", &format!("of {id}"));
    if number.is_multiple_of(LARGE_ONE_IN) {
        return Some(good.replace("Testville", &"v".repeat(LARGE)).into_bytes());
    }
    if number % DEEP_ONE_IN == 1 {
        let (open, close) = ("[".repeat(DEPTH), "]".repeat(DEPTH));
        return Some(good.replacen('{', &format!("{{\"extra\":{open}{close},"), 1).into_bytes());
    }
    let id = id.to_string();
    let text = match random.random_range(0..10) {
        0 => return None,
        1 => return Some(Vec::new()),
        2 => return Some(flipped(good.into_bytes(), random)),
        3 => return Some(good.as_bytes()[..random.random_range(1..good.len())].to_vec()),
        4 => return Some((0..random.random_range(1..300)).map(|_| random.random()).collect()),
        5 => good.replace(&format!("\"{id}\""), ["7", "null", "true", "\"\"", "[]", "NaN"].choose(random)?),
        6 => good.replace(
            "\"Q12 P34-5678\"",
            ["NaN", "-Infinity", "1e999", "[[1]]", "{\"a\":{}}", "'x'"].choose(random)?,
        ),
        7 => good
            .replace("Testville", ["\0", "\u{1}", "\\ud800", "\\u0000", "\u{202e}", "\\x"].choose(random)?),
        8 => format!("{good}{good}"),
        _ => format!("[{good}]"),
    };
    Some(text.into_bytes())
}

// Some bytes become others.
fn flipped(mut value: Vec<u8>, random: &mut impl RngExt) -> Vec<u8> {
    for _ in 0..random.random_range(1..4) {
        let place = random.random_range(0..value.len());
        value[place] = random.random();
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn a_seed_gives_the_same_messages_of_many_kinds() {
        let of = |seed| {
            let mut random = StdRng::seed_from_u64(seed);
            (0..5_000).map(|number| hostile(&mut random, number)).collect::<Vec<_>>()
        };
        let messages = of(7);
        assert_eq!(messages, of(7));
        let parse = |value: &Vec<u8>| serde_json::from_slice::<serde_json::Value>(value).is_ok();
        let count = |what: &dyn Fn(&Option<Vec<u8>>) -> bool| messages.iter().filter(|m| what(m)).count();
        assert!(count(&|value| value.is_none()) > 300);
        assert!(count(&|value| value.as_ref().is_some_and(parse)) > 300);
        assert!(count(&|value| value.as_ref().is_some_and(|value| !parse(value))) > 2_000);
        assert_eq!(count(&|value| value.as_ref().is_some_and(|value| value.len() > LARGE)), 3);
    }
}

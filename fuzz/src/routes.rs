//! Bytes as a route file: a plan, or words with a place.

use std::path::Path;

use consumer::decode::Decoder;
use consumer::message::{Headers, Message};
use consumer::plan::Plan;
use consumer::route::{Problem, parse};
use consumer::routes::{Misfit, fit};
use consumer::rows::Rows;

use crate::schema::table;

const NAME: &str = "route.toml";

type KeyAndValue = (Option<&'static [u8]>, Option<&'static [u8]>);

/// What is read is a route or problems with their places; what is a route compiles, or is refused in the same way; what
/// compiles decodes.
///
/// # Panics
/// It does not hold.
pub fn check(bytes: &[u8]) {
    // A file that is not UTF-8 is refused when it is read.
    let Ok(text) = str::from_utf8(bytes) else { return };
    let route = match parse(Path::new(NAME), text.to_owned()) {
        Ok(route) => route,
        Err(problems) => return check_problems(text, &problems),
    };
    match Plan::for_csv(&route) {
        Ok(plan) => decode(&plan),
        Err(problems) => check_problems(text, &problems),
    }
    match fit(&[route], |name| Some(table(name)), Vec::new) {
        Ok(plans) => {
            assert_eq!(plans.len(), 1);
            plans.iter().for_each(decode);
        }
        Err(Misfit::Problems(problems)) => check_problems(text, &problems),
        Err(other) => panic!("{}", other.describe()),
    }
}

fn check_problems(text: &str, problems: &[Problem]) {
    assert!(!problems.is_empty(), "refused without a word");
    let lines: Vec<&str> = text.split('\n').collect();
    for problem @ Problem { file, line, column, message } in problems {
        assert_eq!(file, Path::new(NAME));
        assert!(!message.is_empty());
        let there = lines.get(line - 1).is_some_and(|line| (1..=line.chars().count() + 1).contains(column));
        assert!(there, "there is no such place: {problem}");
    }
}

fn decode(plan: &Plan) {
    let messages: [KeyAndValue; 4] = [
        (Some(b"k"), None),
        (None, Some(b"{}")),
        (
            Some(br#"{"id":"k","at":1}"#),
            Some(br#"{"id":"k","at":1,"count":2,"tags":["a"],"j":{"k":[null]}}"#),
        ),
        (Some(br#""k""#), Some(b"[1,2]")),
    ];
    for (key, value) in messages {
        let message = Message {
            topic: "t",
            partition: 0,
            offset: 7,
            timestamp_ms: Some(1_700_000_000_000),
            key,
            value,
            headers: Headers::NONE,
        };
        let plan = plan.of(&message);
        let mut rows = Rows::new(plan.width());
        // A row, nothing or a data error: none of them a panic.
        let _ = Decoder::default().decode(plan, &message, 1_700_000_001_000, &mut rows);
    }
}

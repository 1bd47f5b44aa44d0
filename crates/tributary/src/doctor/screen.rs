//! Findings -> text for a person, and the JSON object for a script.

use serde::Serialize;

use super::finding::{Finding, State};
use crate::print::{counted, line, safe};

/// Bytes of what a server or a file said.
const WORDS_MAX: usize = 1_000;

/// What `--json` prints.
#[derive(Serialize)]
pub(super) struct Json<'a> {
    ok: bool,
    exit_code: i32,
    findings: &'a [Finding],
}

impl<'a> Json<'a> {
    pub(super) fn of(findings: &'a [Finding]) -> Self {
        let exit_code = exit_code(findings);
        Self { ok: exit_code == 0, exit_code, findings }
    }
}

/// 1 if something is wrong.
pub(super) fn exit_code(findings: &[Finding]) -> i32 {
    i32::from(findings.iter().any(|finding| finding.state == State::Wrong))
}

/// A line a finding, and one of what to do.
pub(super) fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { what, state, says, remedy } in findings {
        let (what, says) = (safe(what, WORDS_MAX), safe(says, WORDS_MAX));
        line(&mut text, format_args!("{:<12} {what}: {says}", label(*state)));
        if !remedy.is_empty() {
            line(&mut text, format_args!("{:<12} -> {}", "", safe(remedy, WORDS_MAX)));
        }
    }
    let count = |state: State| findings.iter().filter(|finding| finding.state == state).count();
    line(
        &mut text,
        format_args!(
            "\n{} wrong, {}, {} ok, {} not checked",
            count(State::Wrong),
            counted(count(State::Warning), "warning"),
            count(State::Ok),
            count(State::NotChecked)
        ),
    );
    text
}

fn label(state: State) -> &'static str {
    match state {
        State::Ok => "ok",
        State::Warning => "warning",
        State::Wrong => "WRONG",
        State::NotChecked => "not checked",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Vec<Finding> {
        vec![
            Finding::ok("memory", "8.0 GB in this machine"),
            Finding::wrong("kafka a:1", "nobody listens\u{1b}[2J", "start it"),
            Finding::warning("disk of /csv", "full", "free space"),
            Finding::not_checked("kafka client", "no broker can be reached"),
        ]
    }

    #[test]
    fn text_has_a_line_a_finding_and_one_of_what_to_do() {
        let expected = "ok           memory: 8.0 GB in this machine\n\
                        WRONG        kafka a:1: nobody listens\\u{1b}[2J\n\
                        \x20            -> start it\n\
                        warning      disk of /csv: full\n\
                        \x20            -> free space\n\
                        not checked  kafka client: no broker can be reached\n\
                        \n\
                        1 wrong, 1 warning, 1 ok, 1 not checked\n";
        assert_eq!(text(&findings()), expected);
    }

    #[test]
    fn only_what_is_wrong_is_a_failure() {
        let findings = findings();
        assert_eq!([exit_code(&findings), exit_code(&findings[2..]), exit_code(&[])], [1, 0, 0]);
        let object = serde_json::to_value(Json::of(&findings)).unwrap();
        assert_eq!((&object["ok"], &object["findings"][1]["state"]), (&false.into(), &"wrong".into()));
        assert_eq!(object["findings"][3]["state"], "not_checked");
    }
}

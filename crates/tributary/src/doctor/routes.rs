//! The routes against live tables and topics, as `tributary check` compares them -> findings.

use consumer::check::{self, Report};

use super::finding::{Finding, State, parted};
use crate::print::counted;

const REMEDY: &str = "correct the route (docs/routes.md), or create the table or alter it; tributary check tries the messages too";

/// The topics of all routes, as far as they exist.
pub(super) fn topics(report: &Report) -> Vec<String> {
    let topics = report.routes.iter().flat_map(|route| &route.topics).filter(|topic| topic.partitions > 0);
    let mut names: Vec<String> = topics.map(|topic| topic.topic.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// What does not fit.
pub(super) fn judge(report: &Report) -> Vec<Finding> {
    let Report { errors, warnings, cassandra, kafka, routes, .. } = report;
    let mut findings: Vec<Finding> = errors.iter().map(|error| finding(error, State::Wrong)).collect();
    findings.extend(warnings.iter().map(|warning| finding(warning, State::Warning)));
    let mut compared = true;
    for (what, server) in [("tables of the routes", cassandra), ("topics of the routes", kafka)] {
        if let Some(why) = &server.error {
            findings.push(Finding::not_checked(what, why.as_str()));
            compared = false;
        }
    }
    if errors.is_empty() && compared {
        let count = counted(routes.len(), "route");
        findings.push(Finding::ok("routes", format!("{count}, each with its table and its topics")));
    }
    findings
}

fn finding(found: &check::Finding, state: State) -> Finding {
    let (says, remedy) = parted(&found.message);
    let what = match (&found.file, found.line) {
        (Some(file), Some(line)) => format!("route {}:{line}", file.display()),
        _ => "routes".to_owned(),
    };
    Finding { what, state, says, remedy: remedy.unwrap_or_else(|| REMEDY.to_owned()) }
}

#[cfg(test)]
mod tests {
    use consumer::check::{RouteReport, Server, Thresholds, TopicReport};

    use super::*;

    fn report(errors: &[&str], warnings: &[&str], kafka: Option<&str>) -> Report {
        let found = |messages: &[&str]| {
            let at = |message: &&str| check::Finding {
                file: Some("routes/orders.toml".into()),
                line: Some(2),
                column: Some(9),
                message: (*message).to_owned(),
            };
            messages.iter().map(at).collect()
        };
        let server =
            |error: Option<&str>| Server { address: "a:1".to_owned(), error: error.map(str::to_owned) };
        let topic = |name: &str, partitions| TopicReport {
            topic: name.to_owned(),
            partitions,
            offsets: 0,
            sample: None,
        };
        let route = RouteReport {
            file: "routes/orders.toml".into(),
            table: "shop.orders".to_owned(),
            topics: vec![topic("orders", 6), topic("missing", 0), topic("orders", 6)],
        };
        Report {
            errors: found(errors),
            warnings: found(warnings),
            cassandra: server(None),
            thresholds: Thresholds::shipped(),
            kafka: server(kafka),
            not_sampled: Vec::new(),
            routes: vec![route],
        }
    }

    #[test]
    fn what_check_finds_is_told_with_its_place_and_its_remedy() {
        let missing = "topic ordrs does not exist on k:1; did you mean orders?; create it (kafka/create-topics.sh does)";
        let letters = "topic orders.dlq is not compacted: a second dead letter; set cleanup.policy=compact";
        let column = "the table has no column x; did you mean y?";
        let findings = judge(&report(&[missing, column], &[letters], None));
        let states: Vec<State> = findings.iter().map(|finding| finding.state).collect();
        assert_eq!(states, [State::Wrong, State::Wrong, State::Warning]);
        assert_eq!(findings[0].what, "route routes/orders.toml:2");
        assert_eq!(findings[0].remedy, "create it (kafka/create-topics.sh does)");
        assert_eq!((findings[1].says.as_str(), findings[1].remedy.as_str()), (column, REMEDY));
        assert_eq!(findings[2].remedy, "set cleanup.policy=compact");
    }

    #[test]
    fn routes_that_fit_are_said_to_and_what_was_not_compared_is_told() {
        let fits = judge(&report(&[], &[], None));
        assert_eq!(fits, [Finding::ok("routes", "1 route, each with its table and its topics")]);
        let half = judge(&report(&[], &[], Some("kafka cannot be reached")));
        assert_eq!(half, [Finding::not_checked("topics of the routes", "kafka cannot be reached")]);
    }

    #[test]
    fn topics_that_exist_are_asked_for_once() {
        assert_eq!(topics(&report(&[], &[], None)), ["orders"]);
    }
}

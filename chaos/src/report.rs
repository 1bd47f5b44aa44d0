//! Outcomes -> a table for people and one line of JSON for scripts.

use std::fmt;

use serde::Serialize;

use crate::findings::Violation;
use crate::play::Outcome;
use crate::scenario::Scenario;

/// What a scenario and a run of several have in common.
#[derive(Debug, Default, Serialize)]
struct Figures {
    seed: u64,
    /// Those that were played to their end.
    cycles: u32,
    acknowledged: usize,
    lost: usize,
    doubled: usize,
    stale: usize,
    /// Rows that Cassandra had acknowledged and did not have after a kill.
    forgotten: usize,
    heal_s_max: f64,
    peak_rss_mb: f64,
    seconds: f64,
    /// Whether the promise was kept; or was seen broken, where it is broken on purpose.
    kept: bool,
}

/// One scenario.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    scenario: String,
    row: u8,
    /// What had to be found; then `kept` tells that it was.
    must_find: Option<Violation>,
    #[serde(flatten)]
    figures: Figures,
    /// Everything that is wrong, with examples.
    violations: Vec<String>,
}

/// All of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Reports {
    scenario: &'static str,
    #[serde(flatten)]
    figures: Figures,
    scenarios: Vec<Report>,
}

impl Figures {
    fn of(outcome: &Outcome, must_find: Option<Violation>, seed: u64, seconds: f64) -> Self {
        let findings = &outcome.findings;
        let sum =
            |violations: &[Violation]| violations.iter().map(|violation| findings.count(*violation)).sum();
        Self {
            seed,
            cycles: outcome.cycles,
            acknowledged: outcome.acknowledged,
            lost: sum(&[Violation::Lost, Violation::DeadLettered, Violation::CommittedTooSoon]),
            doubled: sum(&[Violation::Doubled, Violation::Invented]),
            stale: sum(&[Violation::Stale, Violation::Different]),
            forgotten: outcome.forgotten,
            heal_s_max: tenths(outcome.heal_max.as_secs_f64()),
            peak_rss_mb: outcome.peak_rss_mb.round(),
            seconds: tenths(seconds),
            kept: match must_find {
                None => findings.is_empty(),
                Some(violation) => findings.are_proof_of(violation),
            },
        }
    }

    // Of both together.
    fn and(self, other: &Self) -> Self {
        Self {
            seed: self.seed,
            cycles: self.cycles + other.cycles,
            acknowledged: self.acknowledged + other.acknowledged,
            lost: self.lost + other.lost,
            doubled: self.doubled + other.doubled,
            stale: self.stale + other.stale,
            forgotten: self.forgotten + other.forgotten,
            heal_s_max: self.heal_s_max.max(other.heal_s_max),
            peak_rss_mb: self.peak_rss_mb.max(other.peak_rss_mb),
            seconds: tenths(self.seconds + other.seconds),
            kept: self.kept && other.kept,
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cycles, acknowledged, lost, doubled, stale, forgotten, heal_s_max, .. } = self;
        let Self { peak_rss_mb, seconds, .. } = self;
        write!(f, "{cycles:>6} {acknowledged:>12} {lost:>5} {doubled:>7} {stale:>5} {forgotten:>9} ")?;
        write!(f, "{heal_s_max:>6} {peak_rss_mb:>6} {seconds:>7}")
    }
}

impl Report {
    pub(crate) fn new(scenario: &Scenario, seed: u64, seconds: f64, outcome: &Outcome) -> Self {
        Self {
            scenario: scenario.name.clone(),
            row: scenario.row,
            must_find: scenario.must_find,
            figures: Figures::of(outcome, scenario.must_find, seed, seconds),
            violations: outcome.findings.told(),
        }
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.figures.kept
    }

    fn verdict(&self) -> &'static str {
        match (self.must_find, self.is_kept()) {
            (None, true) => "kept",
            (None, false) => "BROKEN",
            (Some(_), true) => "found",
            (Some(_), false) => "MISSED",
        }
    }

    /// What is wrong, if anything is.
    pub(crate) fn complain(&self) {
        for violation in &self.violations {
            eprintln!("==> {}: {violation}", self.scenario);
        }
    }
}

impl Reports {
    /// By the rows of the failure matrix.
    pub(crate) fn of(mut scenarios: Vec<Report>) -> Self {
        scenarios.sort_by(|one, other| (one.row, &one.scenario).cmp(&(other.row, &other.scenario)));
        let seed = scenarios.first().map_or(0, |report| report.figures.seed);
        let start = Figures { seed, kept: true, ..Figures::default() };
        // What is broken on purpose is no loss.
        let promised = scenarios.iter().filter(|report| report.must_find.is_none() || !report.is_kept());
        let figures = promised.fold(start, |sum, report| sum.and(&report.figures));
        Self { scenario: "all", figures, scenarios }
    }

    /// Whether every promise was kept.
    pub(crate) fn are_kept(&self) -> bool {
        self.figures.kept
    }

    /// The table, and on the last line the JSON: of the one scenario, or of all.
    pub(crate) fn print(&self, json: bool) {
        println!(
            "row {:<20} cycles acknowledged  lost doubled stale forgotten heal_s rss_mb seconds  seed {}",
            "scenario", self.figures.seed
        );
        for report @ Report { scenario, row, figures, .. } in &self.scenarios {
            println!("{row:>3} {scenario:<20} {figures}  {}", report.verdict());
        }
        if self.scenarios.len() > 1 {
            println!("    {:<20} {}", self.scenario, self.figures);
        }
        for report in self.scenarios.iter().filter(|report| !report.is_kept()) {
            for violation in &report.violations {
                println!("{}: {violation}", report.scenario);
            }
        }
        if json {
            let text = match self.scenarios.as_slice() {
                [report] => serde_json::to_string(report),
                _ => serde_json::to_string(self),
            };
            println!("{}", text.expect("numbers and texts serialise"));
        }
    }
}

fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_be_found_is_proved_by_it_alone() {
        let kept = |violations: &[Violation], must_find| {
            let mut outcome = Outcome::default();
            violations.iter().for_each(|violation| outcome.findings.add(*violation, String::new));
            Figures::of(&outcome, must_find, 0, 0.0).kept
        };
        assert!(kept(&[], None) && !kept(&[Violation::Slow], None));
        assert!(kept(&[Violation::Lost, Violation::Stale], Some(Violation::Lost)));
        assert!(!kept(&[Violation::Stale], Some(Violation::Lost)));
        assert!(!kept(&[Violation::Lost, Violation::Unproved], Some(Violation::Lost)));
        assert!(kept(&[Violation::Unproved], Some(Violation::Unproved)));
    }
}

//! Outcomes -> a table for people and one line of JSON for scripts.

use serde::Serialize;

use crate::findings::Violation;
use crate::play::Outcome;
use crate::scenario::Scenario;

/// One scenario's figures.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    scenario: String,
    row: u8,
    seed: u64,
    cycles: u32,
    acknowledged: usize,
    lost: usize,
    doubled: usize,
    stale: usize,
    forgotten: usize,
    heal_s_max: f64,
    peak_rss_mb: f64,
    seconds: f64,
    /// Whether the promise was kept; or was seen broken, where it is broken on purpose.
    kept: bool,
    /// Everything that is wrong, with examples.
    violations: Vec<String>,
}

/// All of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Reports {
    scenario: &'static str,
    seed: u64,
    cycles: u32,
    acknowledged: usize,
    lost: usize,
    doubled: usize,
    stale: usize,
    heal_s_max: f64,
    peak_rss_mb: f64,
    seconds: f64,
    kept: bool,
    scenarios: Vec<Report>,
}

impl Report {
    pub(crate) fn new(scenario: &Scenario, seed: u64, cycles: u32, seconds: f64, outcome: &Outcome) -> Self {
        let Outcome { acknowledged, forgotten, heal_max, peak_rss_mb, findings } = outcome;
        let sum =
            |violations: &[Violation]| violations.iter().map(|violation| findings.count(*violation)).sum();
        Self {
            scenario: scenario.name.clone(),
            row: scenario.row,
            seed,
            cycles,
            acknowledged: *acknowledged,
            lost: sum(&[Violation::Lost, Violation::DeadLettered, Violation::CommittedTooSoon]),
            doubled: sum(&[Violation::Doubled, Violation::Invented]),
            stale: sum(&[Violation::Stale, Violation::Different]),
            forgotten: *forgotten,
            heal_s_max: tenths(heal_max.as_secs_f64()),
            peak_rss_mb: peak_rss_mb.round(),
            seconds: tenths(seconds),
            kept: match scenario.must_find {
                None => findings.is_empty(),
                Some(violation) => findings.count(violation) > 0,
            },
            violations: findings.told(),
        }
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.kept
    }

    /// What is wrong, if anything is.
    pub(crate) fn complain(&self) {
        for violation in &self.violations {
            eprintln!("==> {}: {violation}", self.scenario);
        }
    }
}

impl Reports {
    pub(crate) fn of(seed: u64, mut scenarios: Vec<Report>) -> Self {
        scenarios.sort_by(|one, other| (one.row, &one.scenario).cmp(&(other.row, &other.scenario)));
        let sum = |figure: fn(&Report) -> usize| scenarios.iter().map(figure).sum();
        let most = |figure: fn(&Report) -> f64| scenarios.iter().map(figure).fold(0.0, f64::max);
        Self {
            scenario: "all",
            seed,
            cycles: scenarios.iter().map(|report| report.cycles).sum(),
            acknowledged: sum(|report| report.acknowledged),
            lost: sum(|report| report.lost),
            doubled: sum(|report| report.doubled),
            stale: sum(|report| report.stale),
            heal_s_max: most(|report| report.heal_s_max),
            peak_rss_mb: most(|report| report.peak_rss_mb),
            seconds: tenths(scenarios.iter().map(|report| report.seconds).sum()),
            kept: scenarios.iter().all(Report::is_kept),
            scenarios,
        }
    }

    /// The table, and on the last line the JSON: of the one scenario, or of all.
    pub(crate) fn print(&self, json: bool) {
        println!(
            "{:>3} {:<20} {:>6} {:>12} {:>5} {:>7} {:>5} {:>9} {:>6} {:>6} {:>7}  seed {}",
            "row",
            "scenario",
            "cycles",
            "acknowledged",
            "lost",
            "doubled",
            "stale",
            "forgotten",
            "heal_s",
            "rss_mb",
            "seconds",
            self.seed
        );
        for report in &self.scenarios {
            let Report { scenario, row, cycles, acknowledged, lost, doubled, stale, forgotten, .. } = report;
            let Report { heal_s_max, peak_rss_mb, seconds, kept, .. } = report;
            println!(
                "{row:>3} {scenario:<20} {cycles:>6} {acknowledged:>12} {lost:>5} {doubled:>7} {stale:>5} {forgotten:>9} {heal_s_max:>6} {peak_rss_mb:>6} {seconds:>7}  {}",
                if *kept { "kept" } else { "BROKEN" }
            );
        }
        for report in self.scenarios.iter().filter(|report| !report.kept) {
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

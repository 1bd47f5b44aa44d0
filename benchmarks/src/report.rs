//! Figures -> a table for people and one line of JSON for scripts.

use std::time::Duration;

use serde::Serialize;

/// What a benchmark found out: text for people, and the fields that it has.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// The benchmark's name.
    pub(crate) name: &'static str,
    /// Messages or rows of one run.
    pub(crate) rows: u64,
    #[serde(flatten)]
    pub(crate) figures: Figures,
    #[serde(skip)]
    pub(crate) text: String,
}

/// The figures that scripts may read; absent ones are left out.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Figures {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rows_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_cpu_s_per_million: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server_cpu_s_per_million: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) peak_rss_mb: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) floor_rows_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) floor_ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p50_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p99_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) core_share: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) viewers_core_share: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status_core_share: Option<f64>,
}

impl Report {
    /// Prints the text, and the JSON after it if asked to.
    pub(crate) fn print(&self, json: bool) {
        print!("{}", self.text);
        if json {
            println!("{}", serde_json::to_string(self).expect("numbers and texts serialise"));
        }
    }
}

/// Lines of right-aligned columns; the first column is aligned to the left.
pub(crate) fn table(header: &[&str], lines: &[Vec<String>]) -> String {
    let mut all = vec![header.iter().map(|word| (*word).to_owned()).collect()];
    all.extend_from_slice(lines);
    let width = |column: usize| {
        all.iter().filter_map(|line: &Vec<String>| line.get(column)).map(|cell| cell.chars().count()).max()
    };
    let mut text = String::new();
    for line in &all {
        for (column, cell) in line.iter().enumerate() {
            let width = width(column).unwrap_or(0);
            text += &if column == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") };
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

/// The middle of some figures; of an even number the mean of the two in the middle.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// The largest figure: a limit is to hold in every run.
pub(crate) fn highest(figures: impl Iterator<Item = f64>) -> f64 {
    figures.fold(f64::NEG_INFINITY, f64::max)
}

/// The time that so many percent of all did not exceed, by the nearest rank; `sorted` is in ascending order.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// Milliseconds, rounded to hundredths.
pub(crate) fn millis(time: Duration) -> f64 {
    rounded(time.as_secs_f64() * 1e3, 2)
}

/// A count to calculate with.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn as_figure(count: u64) -> f64 {
    count as f64
}

/// A figure rounded for JSON, where sixteen digits would claim too much.
pub(crate) fn rounded(figure: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    (figure * scale).round() / scale
}

/// Whole thousands apart: `1 234 567`.
pub(crate) fn grouped(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_fields_that_are_known() {
        let figures = Figures { rows_per_s: Some(1.5), ..Figures::default() };
        let report = Report { name: "decode", rows: 3, figures, text: "for people".to_owned() };
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(json, r#"{"name":"decode","rows":3,"rows_per_s":1.5}"#);
    }

    #[test]
    fn medians_of_odd_and_even_numbers_of_figures() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), Duration::from_millis(100));
        assert_eq!(percentile(&times, 99), Duration::from_millis(198));
        assert_eq!(percentile(&times[..1], 99), Duration::from_millis(1));
    }

    #[test]
    fn figures_are_grouped_and_rounded() {
        assert_eq!(grouped(1_234_567.4), "1 234 567");
        assert_eq!(grouped(999.0), "999");
        assert_eq!(rounded(2.345_67, 2), 2.35);
    }

    #[test]
    fn columns_are_aligned() {
        let lines = [vec!["a".to_owned(), "10".to_owned()], vec!["long".to_owned(), "5".to_owned()]];
        assert_eq!(table(&["what", "n"], &lines), "what   n\na     10\nlong   5\n");
    }
}

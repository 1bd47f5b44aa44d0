//! The text of a service's `/metrics` -> its samples, asked for by name and labels.
//!
//! Reads what our own services write (the Prometheus text format, version 0.0.4): a line a sample, comments skipped. A
//! line that is not understood is skipped too: a newer service may say more.
//!
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::collections::{BTreeMap, BTreeSet};

/// All samples of an instance of a service, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Metrics {
    samples: BTreeMap<String, Vec<Sample>>,
}

#[derive(Debug, Clone, PartialEq)]
struct Sample {
    labels: Vec<(String, String)>,
    value: f64,
}

impl Sample {
    fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Metrics {
    /// Reads the text.
    pub(crate) fn read(text: &str) -> Self {
        let mut samples: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
        for (name, sample) in text.lines().filter_map(sample) {
            samples.entry(name).or_default().push(sample);
        }
        Self { samples }
    }

    /// The sum of such samples; `None` where there is none.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        // A lag that is not known, or an empty summary, says NaN.
        let values = self.select(name, labels).map(|sample| sample.value).filter(|value| value.is_finite());
        values.reduce(|one, other| one + other)
    }

    /// Whether such a sample says that it is not known.
    pub(crate) fn is_unknown(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.select(name, labels).any(|sample| sample.value.is_nan())
    }

    /// The values of one label where the others are as given, and the sample is not 0; each once, sorted.
    pub(crate) fn label_values(&self, name: &str, label: &str, labels: &[(&str, &str)]) -> BTreeSet<&str> {
        let samples = self.select(name, labels).filter(|sample| sample.value != 0.0);
        samples.filter_map(|sample| sample.label(label)).collect()
    }

    fn select(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = &Sample> {
        let samples = self.samples.get(name).into_iter().flatten();
        samples.filter(move |sample| labels.iter().all(|(label, value)| sample.label(label) == Some(value)))
    }
}

// `name{label="value",...} 1.5`, with a timestamp behind it or none.
fn sample(line: &str) -> Option<(String, Sample)> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            rest = rest.trim_start_matches([',', ' ']);
            if let Some(behind) = rest.strip_prefix('}') {
                rest = behind;
                break;
            }
            let (label, value) = rest.split_once("=\"")?;
            let (value, behind) = quoted(value)?;
            labels.push((label.to_owned(), value));
            rest = behind;
        }
    }
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some((name.to_owned(), Sample { labels, value }))
}

// Up to the closing quote, and what is behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((place, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[place + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_found_by_name_and_labels() {
        let text = "# TYPE stored counter\nstored{topic=\"a\",outcome=\"stored\"} 5\nstored{topic=\"b\"} 7 1700000000\n\nup 1\n";
        let metrics = Metrics::read(text);
        assert_eq!(metrics.sum("stored", &[("topic", "a")]), Some(5.0));
        assert_eq!(metrics.sum("stored", &[]), Some(12.0));
        assert_eq!(metrics.sum("stored", &[("topic", "a"), ("outcome", "expired")]), None);
        assert_eq!(metrics.sum("up", &[]), Some(1.0));
        assert_eq!(metrics.label_values("stored", "topic", &[]), BTreeSet::from(["a", "b"]));
    }

    #[test]
    fn a_label_may_hold_anything() {
        let metrics = Metrics::read("lag{topic=\"a \\\"b\\\"} \\\\ \\n, c=\\\"1\",kind=\"written\"} 3");
        assert_eq!(
            metrics.label_values("lag", "topic", &[("kind", "written")]),
            ["a \"b\"} \\ \n, c=\"1"].into()
        );
    }

    #[test]
    fn what_is_no_sample_is_passed_over() {
        let metrics =
            Metrics::read("lag{topic=\"a\nlag\nlag{} x\nlag{topic=} 1\nlag NaN\n}{\n\"\nlag{a=\"b\\");
        assert_eq!(metrics.sum("lag", &[]), None);
    }

    #[test]
    fn what_the_exporter_writes_is_read_back() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let hostile = "a\"b\\c\nd{}";
        metrics::with_local_recorder(&recorder, || {
            metrics::counter!("read_total", "topic" => hostile).increment(3);
            metrics::gauge!("lag", "kind" => "written").set(f64::NAN);
            (0..100).for_each(|wait| {
                metrics::histogram!("wait_seconds", "topic" => hostile).record(f64::from(wait));
            });
        });
        let metrics = Metrics::read(&recorder.handle().render());
        assert_eq!(metrics.sum("read_total", &[("topic", hostile)]), Some(3.0));
        assert_eq!(metrics.sum("lag", &[]), None, "what is not known is no number");
        let p99 = metrics.sum("wait_seconds", &[("topic", hostile), ("quantile", "0.99")]).unwrap();
        assert!((95.0..=100.0).contains(&p99), "{p99}");
    }
}

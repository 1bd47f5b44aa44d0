//! The text of a service's `/metrics` -> its samples, asked for by name and labels.
//!
//! Reads what our own services write (the Prometheus text format, version 0.0.4): a line a sample, comments skipped. A
//! line that is not understood is skipped too: a newer service may say more.
//!
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::collections::BTreeSet;

/// All samples of some instances of a service.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Metrics {
    samples: Vec<Sample>,
}

#[derive(Debug, Clone, PartialEq)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Sample {
    fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Metrics {
    /// Takes in what one more instance says.
    pub(crate) fn read(&mut self, text: &str) {
        self.samples.extend(text.lines().filter_map(sample));
    }

    /// The sum over all instances; `None` where none has such a sample.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.values(name, labels).reduce(|one, other| one + other)
    }

    /// The greatest over all instances. Of a quantile it is a bound: that of all together is no greater.
    pub(crate) fn max(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.values(name, labels).reduce(f64::max)
    }

    /// The values of one label where the others are as given, and the sample is not 0; each once, sorted.
    pub(crate) fn label_values(&self, name: &str, label: &str, labels: &[(&str, &str)]) -> BTreeSet<&str> {
        let samples = self.select(name, labels).filter(|sample| sample.value != 0.0);
        samples.filter_map(|sample| sample.label(label)).collect()
    }

    fn values(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = f64> {
        // An empty summary says NaN, or 0 in place of it.
        self.select(name, labels).map(|sample| sample.value).filter(|value| value.is_finite())
    }

    fn select(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| {
            sample.name == name && labels.iter().all(|(label, value)| sample.label(label) == Some(value))
        })
    }
}

// `name{label="value",...} 1.5`, with a timestamp behind it or none.
fn sample(line: &str) -> Option<Sample> {
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
    Some(Sample { name: name.to_owned(), labels, value })
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

    fn read(texts: &[&str]) -> Metrics {
        let mut metrics = Metrics::default();
        texts.iter().for_each(|text| metrics.read(text));
        metrics
    }

    #[test]
    fn samples_are_found_by_name_and_labels_over_all_instances() {
        let first = "# TYPE stored counter\nstored{topic=\"a\",outcome=\"stored\"} 5\nstored{topic=\"b\"} 7 1700000000\n";
        let metrics = read(&[first, "stored{topic=\"a\",outcome=\"stored\"} 2.5\n\nup 1\n"]);
        assert_eq!(metrics.sum("stored", &[("topic", "a")]), Some(7.5));
        assert_eq!(metrics.sum("stored", &[("topic", "a"), ("outcome", "expired")]), None);
        assert_eq!(metrics.max("stored", &[]), Some(7.0));
        assert_eq!(metrics.sum("up", &[]), Some(1.0));
        assert_eq!(metrics.label_values("stored", "topic", &[]), BTreeSet::from(["a", "b"]));
    }

    #[test]
    fn a_label_may_hold_anything() {
        let metrics = read(&["lag{topic=\"a \\\"b\\\"} \\\\ \\n, c=\\\"1\",kind=\"written\"} 3"]);
        assert_eq!(
            metrics.label_values("lag", "topic", &[("kind", "written")]),
            ["a \"b\"} \\ \n, c=\"1"].into()
        );
    }

    #[test]
    fn what_is_no_sample_is_passed_over() {
        let metrics = read(&["lag{topic=\"a\nlag\nlag{} x\nlag{topic=} 1\nlag NaN\n}{\n\"\nlag{a=\"b\\"]);
        assert_eq!(metrics.sum("lag", &[]), None);
    }

    #[test]
    fn what_the_exporter_writes_is_read_back() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let hostile = "a\"b\\c\nd{}";
        metrics::with_local_recorder(&recorder, || {
            metrics::counter!("read_total", "topic" => hostile).increment(3);
            (0..100).for_each(|wait| {
                metrics::histogram!("wait_seconds", "topic" => hostile).record(f64::from(wait));
            });
        });
        let metrics = read(&[&recorder.handle().render()]);
        assert_eq!(metrics.sum("read_total", &[("topic", hostile)]), Some(3.0));
        let p99 = metrics.max("wait_seconds", &[("topic", hostile), ("quantile", "0.99")]).unwrap();
        assert!((95.0..=100.0).contains(&p99), "{p99}");
    }
}

//! A service of the pipeline as a child process: its settings, its metrics, its CPU time and its memory.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use testbed::Service;

/// Between two looks at a child's metrics, each of which costs the child some work.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The child; killed when dropped.
pub(crate) struct Child {
    service: Service,
    /// Just before it was started.
    pub(crate) started: Instant,
}

impl Child {
    /// Starts a binary that lies beside this one, with these settings (`SECTION__KEY`), logging into `folder`.
    pub(crate) fn start(binary: &str, settings: &[(&str, &str)], folder: &Path) -> Result<Self> {
        let named: Vec<(String, &str)> =
            settings.iter().map(|(key, value)| (format!("TRIBUTARY__{key}"), *value)).collect();
        let environment: Vec<(&str, &str)> =
            named.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        let log = folder.join(format!("{binary}.log"));
        let started = Instant::now();
        let service =
            Service::spawn(binary, &environment, &log).with_context(|| format!("start {binary}"))?;
        Ok(Self { service, started })
    }

    /// Looks again and again until `probe` has an answer.
    ///
    /// # Errors
    /// The time is up, the child has ended, or the probe fails: each with the child's log.
    pub(crate) fn wait<T>(
        &self,
        what: &str,
        within: Duration,
        mut probe: impl FnMut(&Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let until = Instant::now() + within;
        loop {
            match probe(self) {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => {}
                Err(error) => return Err(error.context(format!("its log:\n{}", self.service.log()))),
            }
            if !self.service.is_running() {
                bail!("ended before {what}; its log:\n{}", self.service.log());
            }
            if Instant::now() > until {
                bail!("waited {within:?} in vain for {what}; its log:\n{}", self.service.log());
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Its `/metrics`; `None` until it answers.
    pub(crate) fn metrics(&self) -> Option<Metrics> {
        testbed::get(self.service.http(), "/metrics")
            .filter(|(status, _)| *status == 200)
            .map(|(_, body)| Metrics(body))
    }

    /// Where its `/health` and `/metrics` are, as `host:port`.
    pub(crate) fn http(&self) -> &str {
        self.service.http()
    }

    /// CPU seconds so far.
    pub(crate) fn cpu_s(&self) -> Result<f64> {
        Ok(testbed::cpu_s(self.pid()?)?)
    }

    /// The most memory it ever had, in MB.
    pub(crate) fn peak_rss_mb(&self) -> Result<f64> {
        Ok(testbed::peak_rss_mb(self.pid()?)?)
    }

    /// SIGTERM, and what it logged if it does not end well.
    pub(crate) fn end(mut self) -> Result<()> {
        match self.service.terminate()? {
            0 => Ok(()),
            code => bail!("ended with {code}; its log:\n{}", self.service.log()),
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.service.kill();
    }

    fn pid(&self) -> Result<u32> {
        self.service.pid().with_context(|| format!("it has ended; its log:\n{}", self.service.log()))
    }
}

/// One look at a child's metrics.
pub(crate) struct Metrics(String);

impl Metrics {
    /// The sum of a counter's series that have all of `labels`, such as `outcome="stored"`.
    pub(crate) fn sum(&self, name: &str, labels: &[&str]) -> u64 {
        let series = self.0.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|label| line.contains(label))
        });
        series.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_one_name_are_added_by_label() {
        let metrics = Metrics(
            "# TYPE a_total counter\na_total{topic=\"x\",outcome=\"stored\"} 3\n\
                       a_total{topic=\"y\",outcome=\"stored\"} 4\na_total{outcome=\"dead\"} 5\na_total_b 9\n"
                .to_owned(),
        );
        assert_eq!(metrics.sum("a_total", &["outcome=\"stored\""]), 7);
        assert_eq!(metrics.sum("a_total", &[]), 12);
        assert_eq!(metrics.sum("a", &[]), 0);
    }
}

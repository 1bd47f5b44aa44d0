//! `producer.upstreams` and a probe -> whether records come from the real upstream or from the simulator.
//!
//! Once live, never back: an outage of the real upstream is waited out. Simulated is said loudly, in the log, in the
//! health and on every record.

use std::time::Duration;

use reqwest::Url;
use service::Health;
use service::config::ConfigError;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::runtime::clock_in;
use crate::settings::{self, Producer, Upstreams};

/// The health's part that tells of the upstream.
pub(crate) const PART: &str = "upstream";

/// Where a record comes from: the value of its header `origin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The real upstream.
    Live,
    /// Our simulator.
    Simulated,
    /// Made here.
    Generated,
}

impl Origin {
    /// As it stands in the header.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Simulated => "simulated",
            Self::Generated => "generated",
        }
    }
}

/// What the settings alone decide.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    Live,
    Probe,
    Simulated(String),
}

fn plan(mode: Upstreams, dataset: &str, missing: Option<&str>) -> Result<Plan, ConfigError> {
    match (mode, missing) {
        (Upstreams::Simulated, _) => Ok(Plan::Simulated("producer.upstreams says so".to_owned())),
        (Upstreams::Live, None) => Ok(Plan::Live),
        (Upstreams::Live, Some(variable)) => Err(ConfigError::Range {
            key: "producer.upstreams".to_owned(),
            value: "live".to_owned(),
            expected: format!("{dataset} needs a key for that: set {variable}"),
        }),
        (Upstreams::Auto, None) => Ok(Plan::Probe),
        // No probe can help here, so none is announced either.
        (Upstreams::Auto, Some(variable)) => {
            Ok(Plan::Simulated(format!("no key is configured, set {variable}")))
        }
    }
}

/// Checks what [`Upstream::choose`] needs of the settings, before anything is waited for.
///
/// # Errors
/// The settings contradict each other, or name no usable simulator.
pub(crate) fn check(settings: &Producer, dataset: &str, missing: Option<&str>) -> Result<(), ConfigError> {
    settings::url("producer.simulator", &settings.simulator)?;
    plan(settings.upstreams, dataset, missing).map(drop)
}

/// The upstream in use.
#[derive(Debug)]
pub(crate) struct Upstream {
    origin: Origin,
    live: Url,
    simulator: Url,
    why: String,
    /// When the real one is probed next; never when the settings or a missing key decide.
    probe_at: Option<Instant>,
    probe_every: Duration,
}

impl Upstream {
    /// Decides; `probe` asks the `live` upstream and is awaited only where the settings leave it open. `missing` names the variable of a
    /// missing credential.
    ///
    /// # Errors
    /// The settings contradict each other.
    pub(crate) async fn choose(
        settings: &Producer,
        dataset: &str,
        live: Url,
        missing: Option<&str>,
        probe: impl Future<Output = Result<(), String>> + Send,
    ) -> Result<Self, ConfigError> {
        let simulator = settings::url("producer.simulator", &settings.simulator)?;
        let (origin, why, probed) = match plan(settings.upstreams, dataset, missing)? {
            Plan::Live => (Origin::Live, String::new(), false),
            Plan::Simulated(why) => (Origin::Simulated, why, false),
            Plan::Probe => match timed(settings.probe_timeout, probe).await {
                Ok(()) => (Origin::Live, String::new(), true),
                Err(why) => (Origin::Simulated, format!("{live} does not serve: {why}"), true),
            },
        };
        let probe_every = settings.probe_every;
        let probe_at = (probed && origin == Origin::Simulated).then(|| Instant::now() + probe_every);
        let upstream = Self { origin, live, simulator, why, probe_at, probe_every };
        match upstream.origin {
            Origin::Simulated => {
                let next_probe = upstream.next_probe();
                warn!(
                    dataset, simulator = %upstream.simulator, reason = upstream.why, next_probe,
                    "data is simulated, not real"
                );
            }
            _ => info!(dataset, upstream = %upstream.live, "live upstream"),
        }
        Ok(upstream)
    }

    /// Probes the real upstream, which `probe` asks, if it is time; returns whether it serves from now on.
    pub(crate) async fn recheck(
        &mut self,
        dataset: &str,
        probe_timeout: Duration,
        probe: impl Future<Output = Result<(), String>> + Send,
    ) -> bool {
        if self.probe_at.is_none_or(|at| at > Instant::now()) {
            return false;
        }
        match timed(probe_timeout, probe).await {
            Ok(()) => {
                info!(dataset, upstream = %self.live, "live upstream answers, no more simulated data");
                (self.origin, self.probe_at) = (Origin::Live, None);
                true
            }
            Err(why) => {
                self.why = format!("{} does not serve: {why}", self.live);
                self.probe_at = Some(Instant::now() + self.probe_every);
                false
            }
        }
    }

    /// Reports that the upstream in use works.
    pub(crate) fn report(&self, health: &Health) {
        match self.origin {
            Origin::Simulated => {
                let (simulator, why, next) = (&self.simulator, &self.why, self.next_probe());
                health.yellow(PART, format!("simulated data from {simulator}: {why}; {next}"));
            }
            _ => health.green(PART),
        }
    }

    /// Returns where requests go.
    pub(crate) fn base(&self) -> &Url {
        if self.origin == Origin::Simulated { &self.simulator } else { &self.live }
    }

    /// Returns the real upstream.
    pub(crate) fn live(&self) -> &Url {
        &self.live
    }

    /// Returns what the records are.
    pub(crate) fn origin(&self) -> Origin {
        self.origin
    }

    /// Returns when the real upstream is probed next.
    pub(crate) fn probe_at(&self) -> Option<Instant> {
        self.probe_at
    }

    fn next_probe(&self) -> String {
        match self.probe_at {
            Some(at) => {
                format!(
                    "the live one is probed again at {}",
                    clock_in(at.saturating_duration_since(Instant::now()))
                )
            }
            None => "the live one is not probed".to_owned(),
        }
    }
}

async fn timed(limit: Duration, probe: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let late = || Err(format!("no answer within {:.1} s", limit.as_secs_f64()));
    tokio::time::timeout(limit, probe).await.unwrap_or_else(|_| late())
}

#[cfg(test)]
mod tests {
    use service::health::State;

    use super::*;

    async fn ok() -> Result<(), String> {
        Ok(())
    }

    async fn down(why: &str) -> Result<(), String> {
        Err(why.to_owned())
    }

    async fn chosen(mode: Upstreams, missing: Option<&str>, answer: Result<(), String>) -> Upstream {
        let settings = Producer { upstreams: mode, ..Producer::default() };
        let live = Url::parse("https://live.example").unwrap();
        Upstream::choose(&settings, "weather", live, missing, std::future::ready(answer)).await.unwrap()
    }

    #[test]
    fn live_without_a_key_refuses_to_start_and_names_the_variable() {
        let error = plan(Upstreams::Live, "weather", Some("THE_VARIABLE")).unwrap_err().to_string();
        assert!(error.contains("THE_VARIABLE") && error.contains("weather"), "{error}");
    }

    #[tokio::test]
    async fn auto_is_live_only_where_the_probe_succeeds() {
        let live = chosen(Upstreams::Auto, None, Ok(())).await;
        assert_eq!((live.origin(), live.base().host_str()), (Origin::Live, Some("live.example")));
        let simulated = chosen(Upstreams::Auto, None, Err("a login page".to_owned())).await;
        assert_eq!((simulated.origin(), simulated.base().port()), (Origin::Simulated, Some(8090)));
    }

    #[tokio::test]
    async fn missing_key_means_simulated_without_a_probe() {
        let upstream = chosen(Upstreams::Auto, Some("THE_VARIABLE"), Ok(())).await;
        assert_eq!((upstream.origin(), upstream.probe_at()), (Origin::Simulated, None));
        assert!(upstream.why.contains("THE_VARIABLE"), "{}", upstream.why);
    }

    #[tokio::test]
    async fn forced_modes_do_not_probe() {
        let forced = chosen(Upstreams::Live, None, Err("down".to_owned())).await;
        assert_eq!((forced.origin(), forced.probe_at()), (Origin::Live, None));
        let forced = chosen(Upstreams::Simulated, None, Ok(())).await;
        assert_eq!((forced.origin(), forced.probe_at()), (Origin::Simulated, None));
    }

    #[tokio::test]
    async fn health_of_simulated_data_is_yellow_with_the_reason_and_the_next_probe() {
        let health = Health::default();
        chosen(Upstreams::Auto, None, Err("a login page".to_owned())).await.report(&health);
        let report = health.report();
        assert_eq!(report.state, State::Yellow);
        let reason = &report.parts[PART].reason;
        assert!(reason.contains("a login page") && reason.contains("probed again at"), "{reason}");
    }

    #[tokio::test(start_paused = true)]
    async fn probe_is_repeated_every_five_minutes_until_live_and_then_never() {
        let mut upstream = chosen(Upstreams::Auto, None, Err("down".to_owned())).await;
        let limit = Duration::from_secs(1);
        assert!(!upstream.recheck("weather", limit, ok()).await, "too early");
        tokio::time::advance(Duration::from_secs(300)).await;
        assert!(!upstream.recheck("weather", limit, down("still down")).await);
        assert!(upstream.why.contains("still down"));
        tokio::time::advance(Duration::from_secs(300)).await;
        assert!(upstream.recheck("weather", limit, ok()).await);
        assert_eq!((upstream.origin(), upstream.probe_at()), (Origin::Live, None));
        tokio::time::advance(Duration::from_secs(86_400)).await;
        assert!(!upstream.recheck("weather", limit, down("down")).await);
        assert_eq!(upstream.origin(), Origin::Live);
    }

    #[tokio::test(start_paused = true)]
    async fn probe_without_an_answer_ends_after_its_timeout() {
        let settings = Producer::default();
        let live = Url::parse("https://live.example").unwrap();
        let started = Instant::now();
        let silent = std::future::pending();
        let upstream = Upstream::choose(&settings, "weather", live, None, silent).await.unwrap();
        assert_eq!(started.elapsed(), Duration::from_millis(1500));
        assert!(upstream.why.contains("1.5 s"), "{}", upstream.why);
    }
}

//! The consumer's settings, as the commands that look after it use them.

use std::path::PathBuf;

use consumer::{Settings, Sink};
use service::config::{self, ConfigError};

/// As the consumer would read them here; `routes` takes the place of the folder that is configured.
///
/// # Errors
/// The configuration cannot be used.
pub(crate) fn of_consumer(routes: Option<PathBuf>) -> Result<Settings, ConfigError> {
    let mut settings: Settings = config::load()?;
    settings.consumer.check()?;
    settings.kafka.check()?;
    if let Some(routes) = routes {
        settings.consumer.routes = routes;
    }
    Ok(settings)
}

/// Refuses settings of a consumer that writes CSV files; `what` says who asks for tables, and why.
///
/// # Errors
/// They are of such a consumer.
pub(crate) fn of_tables(settings: &Settings, what: &str) -> Result<(), ConfigError> {
    match settings.consumer.sink {
        Sink::Cassandra => Ok(()),
        Sink::Csv => Err(ConfigError::Section(format!(
            "consumer.sink = \"csv\": {what}, and CSV files have none; set it to cassandra for this command \
             (TRIBUTARY__CONSUMER__SINK=cassandra)"
        ))),
    }
}

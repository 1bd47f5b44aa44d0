//! Section `[dashboard]`, and those of the servers that it looks at.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use consumer::settings::{Cassandra, Consumer};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use service::config::ConfigError;
use service::{http, kafka};

/// Everything that the dashboard reads.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Section `[dashboard]`.
    pub dashboard: Dashboard,
    /// Section `[http]`.
    pub http: http::Settings,
    /// Section `[kafka]`.
    pub kafka: kafka::Settings,
    /// Section `[cassandra]`.
    pub cassandra: Cassandra,
    /// Section `[consumer]`: the consumer's group, and where its rows go.
    pub consumer: Consumer,
}

impl service::Configured for Settings {
    fn http(&self) -> &http::Settings {
        &self.http
    }
}

/// Section `[dashboard]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dashboard {
    /// Where the page is served. Where the port is taken, the demo takes the next free one, and the service ends.
    pub bind: SocketAddr,
    /// Where the operator's command asks the running dashboard.
    pub url: String,
    /// The services to look at, `name=host:port`: a list, or one text separated by commas. A producer has the name of its
    /// dataset.
    #[serde(deserialize_with = "addresses")]
    pub services: Vec<Address>,
    /// Names beside `localhost` and addresses under which browsers may ask for the page, separated by commas. Any other is
    /// refused: else a page from anywhere could have its own name point here, and read the data.
    pub hosts: String,
    /// Whoever has it may pause and resume producers. Empty: nobody may.
    pub token: SecretString,
}

impl Default for Dashboard {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 9000)),
            url: "http://127.0.0.1:9000".to_owned(),
            services: Vec::new(),
            hosts: String::new(),
            token: SecretString::default(),
        }
    }
}

/// Where a service answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Its name.
    pub name: String,
    /// `host:port` of its `/health` and `/metrics`.
    pub at: String,
}

/// A shorter one could be guessed.
const TOKEN_BYTES_MIN: usize = 16;

impl Dashboard {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut names = BTreeSet::new();
        if let Some(twice) = self.services.iter().find(|service| !names.insert(&service.name)) {
            return Err(ConfigError::Section(format!(
                "dashboard.services: {} is there twice; several instances of one service share a host name",
                twice.name
            )));
        }
        match self.token.expose_secret().len() {
            0 | TOKEN_BYTES_MIN.. => Ok(()),
            length => Err(ConfigError::Section(format!(
                "dashboard.token has {length} characters: expected {TOKEN_BYTES_MIN} or more, such as openssl rand -hex 16 \
                 makes; or none, and nobody can pause producers here"
            ))),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum List {
    Text(String),
    Items(Vec<String>),
}

fn addresses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Address>, D::Error> {
    let items = match List::deserialize(deserializer)? {
        List::Text(text) => text.split(',').map(str::to_owned).collect(),
        List::Items(items) => items,
    };
    let items = items.iter().map(|item| item.trim()).filter(|item| !item.is_empty());
    items.map(|item| address(item).map_err(serde::de::Error::custom)).collect()
}

fn address(text: &str) -> Result<Address, String> {
    let split = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let port = |at: &str| {
        at.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
    };
    match split {
        Some((name, at)) if port(at) => Ok(Address { name: name.to_owned(), at: at.to_owned() }),
        _ => Err(format!(
            "dashboard.services: {text:?}: expected name=host:port, such as weather=weather:8080"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Dashboard, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn services_are_a_list_or_a_text() {
        let list = parse(r#"services = ["weather=weather:8080", "consumer=[::1]:8080"]"#).unwrap();
        let text = parse(r#"services = " weather=weather:8080,\n consumer=[::1]:8080, ""#).unwrap();
        assert_eq!(list.services, text.services);
        assert_eq!(text.services[1], Address { name: "consumer".to_owned(), at: "[::1]:8080".to_owned() });
    }

    #[test]
    fn a_service_without_a_port_or_a_name_is_refused_with_an_example() {
        for wrong in ["weather", "weather=weather", "=weather:8080", "weather=:8080", "weather=weather:http"]
        {
            let error = parse(&format!("services = {wrong:?}")).unwrap_err().to_string();
            assert!(error.contains(wrong) && error.contains("weather=weather:8080"), "{error}");
        }
    }

    #[test]
    fn a_token_that_could_be_guessed_and_a_service_named_twice_are_refused() {
        let short = parse(r#"token = "secret""#).unwrap().check().unwrap_err().to_string();
        assert!(short.contains("openssl rand") && !short.contains("secret"), "{short}");
        let twice = parse(r#"services = "a=b:1,a=c:1""#).unwrap().check().unwrap_err().to_string();
        assert!(twice.contains("a is there twice"), "{twice}");
        assert!(parse(r#"token = "0123456789abcdef""#).unwrap().check().is_ok());
    }
}

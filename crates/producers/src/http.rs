//! The HTTP clients of all upstreams: timeouts, no redirects, an honest User-Agent.

use std::time::Duration;

use anyhow::Context;
use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};
use service::config::ConfigError;

use crate::settings::Producer;

/// A client for single requests: the whole answer within the request timeout.
pub(crate) fn client(settings: &Producer) -> anyhow::Result<Client> {
    builder(settings)?.timeout(settings.request_timeout).build().context("set up the HTTP client")
}

/// A client for streams: no end, but no silence either.
pub(crate) fn streaming_client(settings: &Producer) -> anyhow::Result<Client> {
    builder(settings)?.read_timeout(settings.idle_timeout).build().context("set up the HTTP client")
}

fn builder(settings: &Producer) -> anyhow::Result<ClientBuilder> {
    // Fails only when a provider is installed already, which then serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let agent = user_agent(&settings.contact);
    let agent = HeaderValue::from_str(&agent).map_err(|_| ConfigError::Range {
        key: "producer.contact".to_owned(),
        value: settings.contact.clone(),
        expected: "a mail address or URL in ASCII".to_owned(),
    })?;
    Ok(Client::builder()
        .user_agent(agent)
        // A redirect could lead anywhere, into the own network too; no upstream's contract has one.
        .redirect(Policy::none())
        .connect_timeout(settings.connect_timeout)
        .pool_idle_timeout(Duration::from_secs(90)))
}

/// `client/version (contact) library/version`, as Wikimedia's policy asks:
/// <https://foundation.wikimedia.org/wiki/Policy:Wikimedia_Foundation_User-Agent_Policy>.
fn user_agent(contact: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    match contact.trim() {
        "" => format!("tributary/{version} reqwest/0.13"),
        contact => format!("tributary/{version} ({contact}) reqwest/0.13"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_agent_carries_version_and_contact() {
        let agent = user_agent("ops@example.com");
        assert_eq!(agent, format!("tributary/{} (ops@example.com) reqwest/0.13", env!("CARGO_PKG_VERSION")));
        assert!(!user_agent(" ").contains("()"));
    }

    #[test]
    fn contact_that_no_header_can_carry_is_a_configuration_error() {
        let settings = Producer { contact: "a\nb".to_owned(), ..Producer::default() };
        let error = client(&settings).unwrap_err();
        assert!(error.downcast_ref::<ConfigError>().is_some(), "{error}");
        assert!(error.to_string().contains("producer.contact"), "{error}");
    }
}

//! How a client and the brokers make sure of each other: the part of section `[kafka]` that says so -> librdkafka's.
//!
//! Names and values are Kafka's own: <https://kafka.apache.org/documentation/#security>.

use std::fs::File;

use rdkafka::config::ClientConfig;
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::Settings;
use crate::config::ConfigError;

/// Kafka's `security.protocol`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Neither encrypted nor authenticated.
    #[default]
    Plaintext,
    /// TLS.
    Ssl,
    /// A user and a password, not encrypted.
    SaslPlaintext,
    /// A user and a password, over TLS.
    SaslSsl,
}

/// Kafka's `sasl.mechanism`: how the password is shown to the broker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum Mechanism {
    /// Never sent, only proved.
    #[default]
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
    /// As above, with the shorter hash.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// Sent as it is, as some hosted clusters ask for.
    #[serde(rename = "PLAIN")]
    Plain,
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }

    /// Whether the connection is one of TLS.
    pub fn encrypts(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    fn authenticates(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

impl Mechanism {
    fn name(self) -> &'static str {
        match self {
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
        }
    }
}

/// Checks what belongs together: a user that is never sent, or an authority that is never asked, is a slip.
pub(super) fn check(settings: &Settings) -> Result<(), ConfigError> {
    let protocol = settings.security_protocol;
    let wrong = |key: &str, value: &str, expected: String| {
        Err(ConfigError::Range { key: format!("kafka.{key}"), value: value.to_owned(), expected })
    };
    let name = protocol.name();
    if protocol != Protocol::Plaintext && !cfg!(feature = "tls") {
        let expected =
            "this binary was built without TLS: build it with --features tls, or run the one of the image";
        return wrong("security_protocol", name, expected.to_owned());
    }
    let no_password = settings.password.expose_secret().is_empty();
    match (protocol.authenticates(), settings.username.is_empty()) {
        (true, true) => {
            return wrong("username", "", format!("expected a user for security_protocol {name}"));
        }
        (true, false) if no_password => {
            return wrong("password", "", "expected the user's password, or password_file".to_owned());
        }
        (false, false) => {
            let expected =
                format!("security_protocol {name} sends no user; expected sasl_ssl or sasl_plaintext");
            return wrong("username", &settings.username, expected);
        }
        _ => {}
    }
    if settings.ca.as_os_str().is_empty() {
        return Ok(());
    }
    let ca = settings.ca.display().to_string();
    if !protocol.encrypts() {
        let expected = format!("security_protocol {name} checks no certificate; expected sasl_ssl or ssl");
        return wrong("ca", &ca, expected);
    }
    match File::open(&settings.ca) {
        Ok(_) => Ok(()),
        Err(error) => wrong("ca", &ca, format!("a file with certificates (PEM) that can be read: {error}")),
    }
}

/// Sets what librdkafka is to do.
pub(super) fn apply(settings: &Settings, config: &mut ClientConfig) {
    let protocol = settings.security_protocol;
    if protocol == Protocol::Plaintext {
        return;
    }
    config.set("security.protocol", protocol.name());
    if protocol.encrypts() {
        // The default since librdkafka 2.0; here it does not depend on that.
        config.set("ssl.endpoint.identification.algorithm", "https");
        if !settings.ca.as_os_str().is_empty() {
            config.set("ssl.ca.location", settings.ca.display().to_string());
        }
    }
    if protocol.authenticates() {
        config
            .set("sasl.mechanism", settings.sasl_mechanism.name())
            .set("sasl.username", &settings.username)
            .set("sasl.password", settings.password.expose_secret());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        toml::from_str(text).unwrap()
    }

    fn refusal(text: &str) -> String {
        settings(text).check().unwrap_err().to_string()
    }

    #[test]
    fn nothing_is_asked_of_a_cluster_without_security() {
        let settings = settings("");
        settings.check().unwrap();
        let config = settings.client("test");
        assert_eq!(config.get("security.protocol"), None);
        assert_eq!(config.get("sasl.username"), None);
    }

    #[test]
    fn passwords_are_not_shown() {
        let settings = settings("security_protocol = 'sasl_ssl'\nusername = 'u'\npassword = 'hunter2'");
        assert!(!format!("{settings:?}").contains("hunter2"), "{settings:?}");
    }

    #[test]
    fn settings_that_would_have_no_effect_are_refused() {
        let said = refusal("username = 'u'");
        assert!(said.contains("kafka.username") && said.contains("plaintext sends no user"), "{said}");
        let said = refusal("ca = '/ca.pem'");
        assert!(said.contains("kafka.ca") && said.contains("plaintext checks no certificate"), "{said}");
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn a_binary_without_tls_says_so() {
        let said = refusal("security_protocol = 'ssl'");
        assert!(said.contains("built without TLS") && said.contains("--features tls"), "{said}");
    }

    #[cfg(feature = "tls")]
    mod with_tls {
        use rdkafka::consumer::BaseConsumer;

        use super::*;

        #[test]
        fn incomplete_settings_are_told_with_key_and_remedy() {
            let said = refusal("security_protocol = 'sasl_ssl'");
            assert!(said.contains("kafka.username") && said.contains("sasl_ssl"), "{said}");
            let said = refusal("security_protocol = 'sasl_ssl'\nusername = 'u'");
            assert!(said.contains("kafka.password") && said.contains("password_file"), "{said}");
            let said = refusal("security_protocol = 'ssl'\nca = '/none/ca.pem'");
            assert!(said.contains("kafka.ca") && said.contains("/none/ca.pem"), "{said}");
        }

        #[test]
        fn every_mechanism_is_built_in() {
            for mechanism in ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] {
                let settings = settings(&format!(
                    "brokers = '127.0.0.1:1'\nsecurity_protocol = 'sasl_ssl'\nsasl_mechanism = '{mechanism}'\n\
                     username = 'u'\npassword = 'p'"
                ));
                settings.check().unwrap();
                let mut config = settings.client("test");
                assert_eq!(config.get("sasl.mechanism"), Some(mechanism));
                assert_eq!(config.get("ssl.endpoint.identification.algorithm"), Some("https"));
                // librdkafka refuses what it was built without.
                let client: BaseConsumer = config.set("group.id", "test").create().unwrap();
                drop(client);
            }
        }
    }
}

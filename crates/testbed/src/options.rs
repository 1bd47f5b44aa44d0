//! What a test may ask of a server beyond the defaults.

use std::path::{Path, PathBuf};

/// TLS on a server, and for Kafka a listener that asks for a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secure {
    /// What `secure/certificates.sh` has made: `kafka.p12`, `cassandra.p12` and the password of each in a file beside it.
    pub certificates: PathBuf,
    /// Kafka's users with their passwords.
    pub users: Vec<(String, String)>,
}

impl Secure {
    /// The store of this server's key, and its password.
    pub(crate) fn store(&self, server: &str) -> std::io::Result<(PathBuf, String)> {
        let password = std::fs::read_to_string(self.certificates.join(format!("{server}.password")))?;
        Ok((self.certificates.join(format!("{server}.p12")), password))
    }
}

/// How a server is started. The default is what most tests want.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The JVM's heap in MiB; by default 512 for Kafka and 1024 for Cassandra.
    pub heap_mb: Option<u32>,
    /// Further JVM properties, without `-D`.
    pub properties: Vec<(String, String)>,
    /// Lines of `server.properties` or top-level keys of `cassandra.yaml`, in place of the defaults.
    pub settings: Vec<(String, String)>,
    /// Kafka alone: the name by which the broker tells clients to reach it, in place of its address on the loopback. It listens on
    /// every address then.
    pub advertised_name: Option<String>,
    /// Cassandra alone: passwords and permissions are checked; the superuser is `cassandra`/`cassandra`.
    pub authentication: bool,
    /// Beside the plain way in, one with TLS. Kafka checks rights then; whoever comes by the plain way has all.
    pub secure: Option<Secure>,
}

impl Options {
    /// Sets the JVM's heap, in MiB.
    #[must_use]
    pub fn heap_mb(mut self, heap_mb: u32) -> Self {
        self.heap_mb = Some(heap_mb);
        self
    }

    /// Adds a JVM property, named without `-D`.
    #[must_use]
    pub fn property(mut self, name: &str, value: &str) -> Self {
        self.properties.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets a line of `server.properties` or a top-level key of `cassandra.yaml`; the last one wins.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lets Kafka tell clients to reach it by a name.
    #[must_use]
    pub fn advertised_name(mut self, name: &str) -> Self {
        self.advertised_name = Some(name.to_owned());
        self
    }

    /// Turns Cassandra's authentication and authorization on or off.
    #[must_use]
    pub fn authentication(mut self, on: bool) -> Self {
        self.authentication = on;
        self
    }

    /// Adds a way in with TLS, with the certificates of that folder; for Kafka with these users and their passwords.
    #[must_use]
    pub fn secure(mut self, certificates: &Path, users: &[(&str, &str)]) -> Self {
        let users =
            users.iter().map(|(user, password)| ((*user).to_owned(), (*password).to_owned())).collect();
        self.secure = Some(Secure { certificates: certificates.to_owned(), users });
        self
    }

    /// `defaults` with the settings asked for in their place, in a stable order.
    pub(crate) fn settings_over(&self, defaults: Vec<(String, String)>) -> Vec<(String, String)> {
        let mut merged = defaults;
        for (name, value) in &self.settings {
            match merged.iter_mut().find(|(known, _)| known == name) {
                Some((_, old)) => old.clone_from(value),
                None => merged.push((name.clone(), value.clone())),
            }
        }
        merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_replaces_its_default_and_the_last_one_wins() {
        let options = Options::default().setting("b", "2").setting("c", "3").setting("b", "4");
        let merged = options.settings_over(vec![("a".into(), "1".into()), ("b".into(), "1".into())]);
        let merged: Vec<(&str, &str)> = merged.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(merged, [("a", "1"), ("b", "4"), ("c", "3")]);
    }
}

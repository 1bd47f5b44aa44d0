//! What a test may ask of a server beyond the defaults.

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

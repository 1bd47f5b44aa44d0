//! The servers of these tests: TLS with certificates from the repository's own script, users with passwords, rights.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use end_to_end::USERS;
use testbed::{Cassandra, Kafka, Options, pair, unique};

/// A password that nobody has.
pub(super) const WRONG: &str = "canary-of-a-wrong-password";

/// A user without any line there.
pub(super) const GUEST: &str = "guest";

/// See the module.
pub(super) struct Scene {
    pub(super) kafka: Kafka,
    pub(super) cassandra: Cassandra,
    /// Of every user and role; nothing else contains it.
    pub(super) password: String,
    folder: PathBuf,
}

/// The root of the repository.
pub(super) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The process's own pair of secure servers.
pub(super) fn scene() -> &'static Scene {
    static SCENE: OnceLock<Scene> = OnceLock::new();
    SCENE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("secure");
        let password = unique("canary");
        certificates(&folder.join("ours"));
        certificates(&folder.join("others"));
        fs::write(folder.join("password"), &password).unwrap();
        let users: Vec<(&str, &str)> =
            USERS.iter().chain([&GUEST]).map(|user| (*user, password.as_str())).collect();
        let secured = |options: Options, users: &[(&str, &str)]| options.secure(&folder.join("ours"), users);
        // Without the cache of two seconds a revoked grant is gone at once.
        let cassandra = Options::default().authentication(true).setting("permissions_validity", "0ms");
        let started = pair(secured(Options::default(), &users), secured(cassandra, &[]));
        let (kafka, cassandra) = started.unwrap_or_else(|error| panic!("{error}"));
        Scene { kafka, cassandra, password, folder }
    })
}

fn certificates(folder: &Path) {
    let script = root().join("secure/certificates.sh");
    let servers = ["kafka=dns:kafka,dns:localhost", "cassandra=dns:cassandra"];
    let output = Command::new("bash").arg(script).arg(folder).args(servers).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

impl Scene {
    /// The settings of a service that has everything right: as this user of Kafka, as this role of Cassandra.
    pub(super) fn settings(&self, user: &str, role: &str) -> Vec<(String, String)> {
        let path = |name: &str| self.folder.join(name).display().to_string();
        let settings = [
            ("KAFKA__BROKERS", self.kafka.secure_brokers()),
            ("KAFKA__SECURITY_PROTOCOL", "sasl_ssl".to_owned()),
            ("KAFKA__CA", path("ours/ca.pem")),
            ("KAFKA__USERNAME", user.to_owned()),
            ("KAFKA__PASSWORD_FILE", path("password")),
            ("CASSANDRA__CA", path("ours/ca.pem")),
            ("CASSANDRA__TLS_NAME", "cassandra".to_owned()),
            ("CASSANDRA__USERNAME", role.to_owned()),
            ("CASSANDRA__PASSWORD_FILE", path("password")),
        ];
        settings.map(|(key, value)| (key.to_owned(), value)).to_vec()
    }

    /// The certificate of an authority that has signed nothing here.
    pub(super) fn other_authority(&self) -> String {
        self.folder.join("others/ca.pem").display().to_string()
    }

    /// The authority's certificate.
    pub(super) fn authority(&self) -> PathBuf {
        self.folder.join("ours/ca.pem")
    }

    /// Makes the topics of kafka/topics.conf, once.
    pub(super) fn topics(&self) {
        static MADE: OnceLock<()> = OnceLock::new();
        MADE.get_or_init(|| {
            for topic in lines("kafka/topics.conf").iter().map(|words| words[0].clone()) {
                self.kafka.create_topic(&topic, 1, &[]).unwrap();
            }
        });
    }
}

/// The words of each line of a file of the repository that is no comment.
pub(super) fn lines(file: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(root().join(file)).unwrap();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

//! One Kafka broker in KRaft mode, which is its own controller: jars or image -> formatted folder -> address.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::docker::Container;
use crate::jars::{self, Jars};
use crate::server::{Launch, Server};
use crate::{Operation, Options, Port, Resource, StartError, Tools, TopicError, docker, kafka_wire, tools};

pub(crate) const JARS: Jars = Jars { name: "kafka_2.13-4.3.1", pom: include_str!("../poms/kafka.xml") };
pub(crate) const IMAGE: &str = "apache/kafka:4.3.1";

const START_WITHIN: Duration = Duration::from_secs(120);
const HEAP_MB: u32 = 512;
const CLUSTER_ID: &str = "4L6g3nShT-eMCtK--X86sw";
// As the broker's own start script has them.
const JVM: [&str; 6] = [
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
];
// Without the hook the logger would close before the broker has told of its own shutdown.
const LOGGING: &str = "\
shutdownHook = disable
rootLogger.level = INFO
rootLogger.appenderRef.stdout.ref = stdout
appender.stdout.type = Console
appender.stdout.name = stdout
appender.stdout.layout.type = PatternLayout
appender.stdout.layout.pattern = [%d] %p %m (%c)%n
";

/// A broker that lives as long as this value; or one that was started elsewhere and is only used.
#[derive(Debug)]
pub struct Kafka {
    brokers: String,
    server: Option<Server>,
    ports: Option<Ports>,
}

#[derive(Debug)]
struct Ports {
    client: Port,
    controller: Port,
    secure: Option<Port>,
}

impl Kafka {
    /// Starts a broker on free ports with an empty folder, and returns when it answers.
    ///
    /// # Errors
    /// See [`StartError`]; the log is kept.
    #[expect(clippy::needless_pass_by_value, reason = "callers build the options in place")]
    pub fn start(options: Options) -> Result<Kafka, StartError> {
        if options.authentication {
            return Err(StartError::Options("authentication is an option of Cassandra, not of Kafka"));
        }
        let tools = tools()?;
        let claim = || Port::claim().map_err(StartError::Io);
        let secure = options.secure.as_ref().map(|_| claim()).transpose()?;
        let ports = Ports { client: claim()?, controller: claim()?, secure };
        let folder = Server::folder("kafka")?;
        let launch = match &tools {
            Tools::Jvm { java, maven } => {
                let jars = JARS.folder(java, maven)?;
                on_jvm(java, &jars, folder.path(), &ports, &options)?
            }
            Tools::Docker { .. } if options.secure.is_some() => {
                return Err(StartError::Options(
                    "a Kafka with TLS needs Java 17 and Maven: a container does not see the certificates",
                ));
            }
            Tools::Docker { docker } => in_container(docker, folder.path(), &ports, &options)?,
        };
        let server = Server::new("kafka", launch, folder);
        let brokers = ports.client.address();
        let mut kafka = Kafka { brokers, server: Some(server), ports: Some(ports) };
        kafka.restart()?;
        Ok(kafka)
    }

    /// A broker that someone else started and will stop.
    #[must_use]
    pub fn elsewhere(brokers: &str) -> Kafka {
        Kafka { brokers: brokers.to_owned(), server: None, ports: None }
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn brokers(&self) -> String {
        self.brokers.clone()
    }

    /// `localhost:PORT`, where clients come by TLS and with a user's password.
    ///
    /// # Panics
    /// For a broker that was started without [`Options::secure`].
    #[must_use]
    pub fn secure_brokers(&self) -> String {
        let port = self.ports.as_ref().and_then(|ports| ports.secure.as_ref());
        format!("localhost:{}", port.expect("a broker that was started with TLS").number())
    }

    /// Lets a user do that; returns when the controller knows.
    ///
    /// # Errors
    /// When the broker refuses or does not answer.
    pub fn allow(&self, user: &str, operation: Operation, resource: Resource<'_>) -> io::Result<()> {
        kafka_wire::allow(&self.brokers, user, operation, resource)
    }

    /// Takes that right away again.
    ///
    /// # Errors
    /// When the broker refuses, does not answer, or the user had no such right.
    pub fn disallow(&self, user: &str, operation: Operation, resource: Resource<'_>) -> io::Result<()> {
        kafka_wire::disallow(&self.brokers, user, operation, resource)
    }

    /// Creates a topic with one replica; returns when every partition has a leader.
    ///
    /// # Errors
    /// When the broker refuses or does not answer; also when the topic exists.
    pub fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Result<(), TopicError> {
        kafka_wire::create_topic(&self.brokers, name, partitions, configs)
    }

    /// SIGKILL; returns when the broker is gone.
    pub fn kill(&mut self) {
        self.own().kill();
    }

    /// SIGTERM; returns when the broker is gone, killed if it took longer than 30 s.
    pub fn stop(&mut self) {
        self.own().stop();
    }

    /// Starts the broker again on the same port with the same data; one that runs is stopped first.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn restart(&mut self) -> Result<(), StartError> {
        let brokers = self.brokers.clone();
        let server = self.own();
        server.stop();
        server.start(START_WITHIN, || kafka_wire::ready(&brokers).map_err(|error| error.to_string()))
    }

    /// SIGSTOP, or a paused container: connections stay open and nothing answers.
    ///
    /// # Panics
    /// When the engine cannot pause the container.
    pub fn pause(&mut self) {
        self.own().signal("STOP");
    }

    /// SIGCONT.
    pub fn resume(&mut self) {
        self.own().signal("CONT");
    }

    /// The broker's log.
    ///
    /// # Panics
    /// For a broker that was started elsewhere.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.server.as_ref().expect("a broker that was started elsewhere has its log there").log()
    }

    /// The process id of the broker while it runs, for reading its CPU time.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().and_then(Server::pid)
    }

    fn own(&mut self) -> &mut Server {
        self.server.as_mut().expect("a broker that was started elsewhere is not ours to stop")
    }
}

/// Lines of `server.properties`; `host` is where it listens inside, `logs` where its data is.
fn settings(host: &str, logs: &str, ports: &Ports, options: &Options) -> io::Result<Vec<(String, String)>> {
    let (client, controller) = (ports.client.number(), ports.controller.number());
    let (host, advertised) = match &options.advertised_name {
        Some(name) => ("0.0.0.0", name.as_str()),
        None => (host, "127.0.0.1"),
    };
    let defaults = [
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", "1".to_owned()),
        ("listeners", format!("PLAINTEXT://{host}:{client},CONTROLLER://127.0.0.1:{controller}")),
        ("advertised.listeners", format!("PLAINTEXT://{advertised}:{client}")),
        ("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT".to_owned()),
        ("inter.broker.listener.name", "PLAINTEXT".to_owned()),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("controller.quorum.voters", format!("1@127.0.0.1:{controller}")),
        ("log.dirs", logs.to_owned()),
        ("auto.create.topics.enable", "false".to_owned()),
        ("min.insync.replicas", "1".to_owned()),
        ("offsets.topic.replication.factor", "1".to_owned()),
        ("offsets.topic.num.partitions", "5".to_owned()),
        ("transaction.state.log.replication.factor", "1".to_owned()),
        ("transaction.state.log.min.isr", "1".to_owned()),
        ("transaction.state.log.num.partitions", "5".to_owned()),
        ("share.coordinator.state.topic.replication.factor", "1".to_owned()),
        ("share.coordinator.state.topic.min.isr", "1".to_owned()),
        ("group.initial.rebalance.delay.ms", "0".to_owned()),
        // After a SIGKILL the broker may register again only when its old session is over; shipped are 9 s and 2 s.
        ("broker.session.timeout.ms", "4000".to_owned()),
        ("broker.heartbeat.interval.ms", "500".to_owned()),
    ];
    let mut settings = defaults.map(|(name, value)| (name.to_owned(), value)).to_vec();
    if let (Some(secure), Some(port)) = (&options.secure, &ports.secure) {
        secured(&mut settings, host, port.number(), secure.store("kafka")?);
    }
    Ok(options.settings_over(settings))
}

// A second listener, by TLS and with a user. The plain one stays for the tests' own work: nobody is its user, and may all.
fn secured(
    settings: &mut Vec<(String, String)>,
    host: &str,
    port: u16,
    (store, password): (PathBuf, String),
) {
    let more = |name: &str| match name {
        "listeners" => Some(format!(",SECURE://{host}:{port}")),
        "advertised.listeners" => Some(format!(",SECURE://localhost:{port}")),
        "listener.security.protocol.map" => Some(",SECURE:SASL_SSL".to_owned()),
        _ => None,
    };
    for (name, value) in settings.iter_mut() {
        value.extend(more(name));
    }
    let added = [
        ("sasl.enabled.mechanisms", "SCRAM-SHA-512".to_owned()),
        (
            "listener.name.secure.scram-sha-512.sasl.jaas.config",
            "org.apache.kafka.common.security.scram.ScramLoginModule required;".to_owned(),
        ),
        ("ssl.keystore.type", "PKCS12".to_owned()),
        ("ssl.keystore.location", store.display().to_string()),
        ("ssl.keystore.password", password),
        ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned()),
        ("super.users", "User:ANONYMOUS".to_owned()),
    ];
    settings.extend(added.map(|(name, value)| (name.to_owned(), value)));
}

fn on_jvm(
    java: &Path,
    jars: &Path,
    folder: &Path,
    ports: &Ports,
    options: &Options,
) -> Result<Launch, StartError> {
    let properties = folder.join("server.properties");
    let logging = folder.join("log4j2.properties");
    let data = folder.join("data").display().to_string();
    let lines: Vec<String> = settings("127.0.0.1", &data, ports, options)
        .map_err(StartError::Io)?
        .iter()
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect();
    fs::write(&properties, lines.concat()).map_err(StartError::Io)?;
    fs::write(&logging, LOGGING).map_err(StartError::Io)?;
    let logging = format!("-Dlog4j2.configurationFile={}", logging.display());
    let class_path = jars::class_path(jars);
    let mut format = Command::new(java);
    format.args(["-Xmx128m", "-XX:TieredStopAtLevel=1", &logging, "-cp", &class_path]);
    format
        .args(["kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER_ID, "--config"])
        .arg(&properties);
    for (user, password) in options.secure.iter().flat_map(|secure| &secure.users) {
        format.args(["--add-scram", &format!("SCRAM-SHA-512=[name={user},password={password}]")]);
    }
    let output = format.current_dir(folder).output().map_err(StartError::Io)?;
    if !output.status.success() {
        let text = [output.stdout, output.stderr].concat();
        let reason = format!("format Kafka's folder: {}", String::from_utf8_lossy(&text).trim());
        return Err(StartError::Io(std::io::Error::other(reason)));
    }
    let heap = options.heap_mb.unwrap_or(HEAP_MB);
    let mut arguments: Vec<OsString> = vec![format!("-Xms{heap}m").into(), format!("-Xmx{heap}m").into()];
    arguments.extend(JVM.map(OsString::from));
    arguments.extend(options.properties.iter().map(|(name, value)| format!("-D{name}={value}").into()));
    arguments.extend([logging, "-cp".to_owned(), class_path, "kafka.Kafka".to_owned()].map(OsString::from));
    arguments.push(properties.into());
    Ok(Launch::Jvm { java: java.to_path_buf(), arguments })
}

fn in_container(
    docker: &Path,
    folder: &Path,
    ports: &Ports,
    options: &Options,
) -> Result<Launch, StartError> {
    docker::pull(docker, IMAGE)?;
    let heap = options.heap_mb.unwrap_or(HEAP_MB);
    let client = ports.client.number();
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut arguments: Vec<String> = ["create", "--name", &name].map(str::to_owned).to_vec();
    arguments.extend(["--publish".to_owned(), format!("127.0.0.1:{client}:{client}")]);
    let opts: Vec<String> =
        options.properties.iter().map(|(name, value)| format!("-D{name}={value}")).collect();
    let mut variables = vec![
        format!("CLUSTER_ID={CLUSTER_ID}"),
        format!("KAFKA_HEAP_OPTS=-Xms{heap}m -Xmx{heap}m"),
        format!("KAFKA_OPTS={}", opts.join(" ")),
    ];
    let settings = settings("0.0.0.0", "/var/lib/kafka/data/logs", ports, options).map_err(StartError::Io)?;
    for (name, value) in settings {
        // The image's rule: dots become underscores.
        variables.push(format!("KAFKA_{}={value}", name.replace('.', "_").to_uppercase()));
    }
    arguments.extend(variables.into_iter().flat_map(|variable| ["--env".to_owned(), variable]));
    arguments.push(IMAGE.to_owned());
    docker::run(docker, &arguments)?;
    Ok(Launch::Container(Container { docker: docker.to_path_buf(), name }))
}

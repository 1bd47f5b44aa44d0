//! One Cassandra node, which is its own cluster, or a ring of some: jars or image -> folder with its settings ->
//! contact point.
//!
//! What matters to the write path is as shipped. Starting is shortened by three properties that only skip waiting
//! for other nodes, and errors of the disk end the process instead of leaving it deaf.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::docker::Container;
use crate::jars::{self, Jars};
use crate::server::{Launch, Server};
use crate::{Options, Port, StartError, Tools, cql, docker, tools};

mod place;
mod settings;

use place::Place;

pub(crate) const JARS: Jars =
    Jars { name: "cassandra-all-5.0.9", pom: include_str!("../poms/cassandra.xml") };
pub(crate) const IMAGE: &str = "cassandra:5.0.9";

const START_WITHIN: Duration = Duration::from_secs(180);
const HEAP_MB: u32 = 1024;
const SUPERUSER: (&str, &str) = ("cassandra", "cassandra");
const FAST_START: [(&str, &str); 3] = [
    ("cassandra.skip_wait_for_gossip_to_settle", "0"),
    ("cassandra.ring_delay_ms", "100"),
    ("cassandra.superuser_setup_delay_ms", "0"),
];
// A node that joins gives up when the first one has not answered within twice this time.
const JOIN_WITHIN: (&str, &str) = ("cassandra.ring_delay_ms", "10000");
// logback reads a comma in a date's pattern as the start of a time zone, hence ISO8601 by name.
const LOGGING: &str = r#"<configuration>
  <appender name="stdout" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%-5level [%thread] %date{ISO8601} %F:%L - %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="stdout"/></root>
</configuration>
"#;

/// A node that lives as long as this value; or one that was started elsewhere and is only used.
#[derive(Debug)]
pub struct Cassandra {
    contact_point: String,
    authentication: bool,
    server: Option<Server>,
    _ports: Option<Arc<[Port; 2]>>,
}

impl Cassandra {
    /// Starts a node on free ports with an empty folder, and returns when it takes queries.
    ///
    /// # Errors
    /// See [`StartError`]; the log is kept.
    #[expect(clippy::needless_pass_by_value, reason = "callers build the options in place")]
    pub fn start(options: Options) -> Result<Cassandra, StartError> {
        let mut cassandra = Cassandra::prepare(&Place::alone(claim()?), &options)?;
        cassandra.restart()?;
        Ok(cassandra)
    }

    /// Starts that many nodes of one cluster on 127.0.0.1, 127.0.0.2 and so on, with the same ports on each, and
    /// returns when all take queries and know each other. Each owns as much of the ring as any other.
    ///
    /// # Errors
    /// See [`StartError`]; containers cannot form a ring.
    pub fn start_ring(nodes: u8, options: Options) -> Result<Vec<Cassandra>, StartError> {
        let ports = claim()?;
        let options = options.property(JOIN_WITHIN.0, JOIN_WITHIN.1);
        let mut ring: Vec<Cassandra> = Vec::new();
        for place in Place::ring(nodes, &ports) {
            let mut node = Cassandra::prepare(&place, &options)?;
            let credentials = node.superuser();
            let known = ring.len();
            // One after another: two that join at once may miss each other's tokens. The new one is asked first.
            let points: Vec<String> =
                [&node].into_iter().chain(&ring).map(Cassandra::contact_point).collect();
            node.own().start(START_WITHIN, || {
                points.iter().try_for_each(|point| knows(point, known, credentials))
            })?;
            ring.push(node);
        }
        Ok(ring)
    }

    fn prepare(place: &Place, options: &Options) -> Result<Cassandra, StartError> {
        let tools = tools()?;
        let folder = Server::folder("cassandra")?;
        let launch = match &tools {
            Tools::Jvm { java, maven } => {
                let jars = JARS.folder(java, maven)?;
                on_jvm(java, &jars, folder.path(), place, options)?
            }
            Tools::Docker { .. } if place.is_in_ring() => {
                return Err(StartError::Options(
                    "several Cassandra nodes need Java 17 and Maven: containers do not share the loopback addresses",
                ));
            }
            Tools::Docker { .. } if options.secure.is_some() => {
                return Err(StartError::Options(
                    "a Cassandra with TLS needs Java 17 and Maven: a container does not see the certificates",
                ));
            }
            Tools::Docker { docker } => in_container(docker, folder.path(), place, options)?,
        };
        Ok(Cassandra {
            contact_point: place.contact_point(),
            authentication: options.authentication,
            server: Some(Server::new("cassandra", launch, folder)),
            _ports: Some(Arc::clone(place.ports())),
        })
    }

    /// A node that someone else started, with or without authentication, and will stop.
    #[must_use]
    pub fn elsewhere(contact_point: &str, authentication: bool) -> Cassandra {
        Cassandra { contact_point: contact_point.to_owned(), authentication, server: None, _ports: None }
    }

    /// `127.0.0.1:PORT`, or the node's own loopback address in a ring.
    #[must_use]
    pub fn contact_point(&self) -> String {
        self.contact_point.clone()
    }

    /// Changes a top-level key of `cassandra.yaml`, from the node's next start on.
    ///
    /// # Errors
    /// The file cannot be written; a container has none.
    pub fn set(&mut self, name: &str, value: &str) -> io::Result<()> {
        let yaml = self.log().with_file_name("conf").join("cassandra.yaml");
        let start = format!("{name}: ");
        let text = fs::read_to_string(&yaml)?;
        let lines = text.lines().map(|line| {
            if line.starts_with(&start) { format!("{start}{value}\n") } else { format!("{line}\n") }
        });
        fs::write(&yaml, lines.collect::<String>())
    }

    /// Name and password of the superuser, where passwords are asked for.
    #[must_use]
    pub fn superuser(&self) -> Option<(&'static str, &'static str)> {
        self.authentication.then_some(SUPERUSER)
    }

    /// SIGKILL; returns when the node is gone.
    pub fn kill(&mut self) {
        self.own().kill();
    }

    /// SIGTERM; returns when the node is gone, killed if it took longer than 30 s.
    pub fn stop(&mut self) {
        self.own().stop();
    }

    /// Starts the node again on the same port with the same data; one that runs is stopped first. Returns when
    /// it takes queries, with authentication those of `cassandra`/`cassandra`: leave that password as it is.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn restart(&mut self) -> Result<(), StartError> {
        let contact_point = self.contact_point.clone();
        let credentials = self.superuser();
        let server = self.own();
        server.stop();
        server.start(START_WITHIN, || {
            cql::peers(&contact_point, credentials).map(drop).map_err(|error| error.to_string())
        })
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

    /// The node's log.
    ///
    /// # Panics
    /// For a node that was started elsewhere.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.server.as_ref().expect("a node that was started elsewhere has its log there").log()
    }

    /// The process id of the node while it runs, for reading its CPU time.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().and_then(Server::pid)
    }

    fn own(&mut self) -> &mut Server {
        self.server.as_mut().expect("a node that was started elsewhere is not ours to stop")
    }
}

fn claim() -> Result<Arc<[Port; 2]>, StartError> {
    let ports = [Port::claim().map_err(StartError::Io)?, Port::claim().map_err(StartError::Io)?];
    Ok(Arc::new(ports))
}

/// Whether the node at that address takes queries and knows so many others.
fn knows(contact_point: &str, nodes: usize, credentials: Option<(&str, &str)>) -> Result<(), String> {
    match cql::peers(contact_point, credentials) {
        Ok(peers) if usize::try_from(peers) == Ok(nodes) => Ok(()),
        Ok(peers) => Err(format!("{contact_point} knows {peers} other nodes of {nodes}")),
        Err(error) => Err(format!("{contact_point}: {error}")),
    }
}

fn on_jvm(
    java: &Path,
    jars: &Path,
    folder: &Path,
    place: &Place,
    options: &Options,
) -> Result<Launch, StartError> {
    let conf = folder.join("conf");
    fs::create_dir(&conf).map_err(StartError::Io)?;
    fs::write(conf.join("logback.xml"), LOGGING).map_err(StartError::Io)?;
    let yaml = conf.join("cassandra.yaml");
    let text = settings::yaml(place, options).map_err(StartError::Io)?;
    fs::write(&yaml, text).map_err(StartError::Io)?;
    let heap = options.heap_mb.unwrap_or(HEAP_MB);
    let mut arguments: Vec<OsString> = vec![format!("-Xms{heap}M").into(), format!("-Xmx{heap}M").into()];
    arguments.extend(settings::JVM.map(OsString::from));
    arguments.push(format!("-javaagent:{}", jars::jar(jars, "jamm-")?.display()).into());
    let own = [
        ("cassandra.config", format!("file://{}", yaml.display())),
        ("cassandra.storagedir", folder.join("data").display().to_string()),
        ("cassandra.logdir", folder.display().to_string()),
        ("cassandra-foreground", "yes".to_owned()),
        ("java.io.tmpdir", folder.display().to_string()),
    ];
    arguments.extend(own.iter().map(|(name, value)| format!("-D{name}={value}").into()));
    arguments.extend(FAST_START.iter().map(|(name, value)| format!("-D{name}={value}").into()));
    arguments.extend(options.properties.iter().map(|(name, value)| format!("-D{name}={value}").into()));
    let class_path = format!("{}:{}", conf.display(), jars::class_path(jars));
    arguments
        .extend(["-cp", &class_path, "org.apache.cassandra.service.CassandraDaemon"].map(OsString::from));
    Ok(Launch::Jvm { java: java.to_path_buf(), arguments })
}

fn in_container(
    docker: &Path,
    folder: &Path,
    place: &Place,
    options: &Options,
) -> Result<Launch, StartError> {
    docker::pull(docker, IMAGE)?;
    let heap = options.heap_mb.unwrap_or(HEAP_MB);
    let client = place.client_port();
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut properties = vec!["-Dcassandra.config.allow_system_properties=true".to_owned()];
    for (name, value) in settings::beside_the_image(client, options) {
        if value.contains(char::is_whitespace) {
            return Err(StartError::Options(
                "a setting of a Cassandra in a container is one word: its start script splits properties at blanks",
            ));
        }
        properties.push(format!("-Dcassandra.settings.{name}={value}"));
    }
    properties.extend(FAST_START.iter().map(|(name, value)| format!("-D{name}={value}")));
    properties.extend(options.properties.iter().map(|(name, value)| format!("-D{name}={value}")));
    let variables = [
        format!("MAX_HEAP_SIZE={heap}M"),
        format!("JVM_EXTRA_OPTS={}", properties.join(" ")),
        // Drivers connect to what the node tells of itself: the published port of the host.
        "CASSANDRA_BROADCAST_RPC_ADDRESS=127.0.0.1".to_owned(),
    ];
    let mut arguments: Vec<String> = ["create", "--name", &name].map(str::to_owned).to_vec();
    arguments.extend(["--publish".to_owned(), format!("127.0.0.1:{client}:{client}")]);
    arguments.extend(variables.into_iter().flat_map(|variable| ["--env".to_owned(), variable]));
    arguments.push(IMAGE.to_owned());
    docker::run(docker, &arguments)?;
    Ok(Launch::Container(Container { docker: docker.to_path_buf(), name }))
}

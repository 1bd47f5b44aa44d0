//! The testbed against itself: real servers answer, survive a SIGKILL with their data, and die with their owner.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows it in tests, and not in what they share")]

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use testbed::{Cassandra, Kafka, Options, StartError, TopicError, pair, unique, wait_for};

const OWNER: &str = "TESTBED_OWNER_WRITES_TO";

/// Asks a node for its options, the one request before any login: opcode 5, answered by opcode 6.
fn answers_options(contact_point: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(contact_point) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut header = [0; 9];
    stream.write_all(&[4, 0, 0, 0, 5, 0, 0, 0, 0]).is_ok()
        && stream.read_exact(&mut header).is_ok()
        && header[4] == 6
}

/// Asks a broker which requests it knows (key 18, version 0, correlation 1, no client id) and reads all it answers.
fn answers_api_versions(connection: &mut TcpStream) -> bool {
    let mut length = [0; 4];
    if connection.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff]).is_err()
        || connection.read_exact(&mut length).is_err()
    {
        return false;
    }
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    connection.read_exact(&mut answer).is_ok()
}

fn is_alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn exists(outcome: &Result<(), TopicError>) -> bool {
    matches!(outcome, Err(TopicError::Refused { code: 36, .. }))
}

#[test]
fn killed_servers_start_again_with_their_data() {
    let started = Instant::now();
    let (mut kafka, mut cassandra) =
        pair(Options::default(), Options::default().authentication(true)).unwrap();
    println!("kafka and cassandra started together in {:.1?}", started.elapsed());
    let (brokers, contact_point) = (kafka.brokers(), cassandra.contact_point());
    let topic = unique("kept");
    kafka.create_topic(&topic, 6, &[("max.message.bytes", "2097152")]).unwrap();
    assert!(exists(&kafka.create_topic(&topic, 6, &[])));
    let refused = kafka.create_topic(&unique("bad"), 1, &[("no.such.config", "1")]).unwrap_err();
    assert!(refused.to_string().contains("no.such.config"), "{refused}");
    assert!(answers_options(&contact_point));

    for _ in 0..2 {
        let killed = kafka.pid().unwrap();
        kafka.kill();
        assert!(!is_alive(killed));
        assert!(TcpStream::connect(&brokers).is_err());
        let started = Instant::now();
        kafka.restart().unwrap();
        println!("kafka restarted after SIGKILL in {:.1?}", started.elapsed());
        assert_eq!(kafka.brokers(), brokers);
        assert!(exists(&kafka.create_topic(&topic, 6, &[])));
    }

    let killed = cassandra.pid().unwrap();
    cassandra.kill();
    assert!(!is_alive(killed));
    assert!(!answers_options(&contact_point));
    let started = Instant::now();
    cassandra.restart().unwrap();
    println!("cassandra restarted after SIGKILL in {:.1?}", started.elapsed());
    assert_eq!(cassandra.contact_point(), contact_point);
    assert!(answers_options(&contact_point));
}

#[test]
fn a_paused_broker_answers_on_the_same_connection_once_it_is_resumed() {
    let mut kafka = Kafka::start(Options::default()).unwrap();
    let mut connection = TcpStream::connect(kafka.brokers()).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    kafka.pause();
    wait_for("a question that is not answered", Duration::from_secs(10), || {
        (!answers_api_versions(&mut connection)).then_some(())
    });
    kafka.resume();
    connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    connection.read_exact(&mut [0; 4]).unwrap();
    kafka.create_topic(&unique("resumed"), 1, &[]).unwrap();
    kafka.stop();
    assert_eq!(kafka.pid(), None);
    let log = fs::read_to_string(kafka.log()).unwrap();
    assert!(log.contains("shut down completed"), "no clean shutdown in the log");
    assert!(matches!(kafka.create_topic("x", 1, &[]), Err(TopicError::Unreachable { .. })));
}

#[test]
fn servers_die_with_an_owner_that_is_killed() {
    if let Ok(path) = env::var(OWNER) {
        own_servers_until_killed(Path::new(&path));
    }
    let folder = tempfile::tempdir().unwrap();
    let told = folder.path().join("told");
    let mut owner = Command::new(env::current_exe().unwrap())
        .args(["--exact", "servers_die_with_an_owner_that_is_killed", "--nocapture"])
        .env(OWNER, &told)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let facts = wait_for("the owner's servers", Duration::from_secs(240), || {
        assert!(owner.try_wait().unwrap().is_none(), "the owner ended early");
        fs::read_to_string(&told).ok()
    });
    let facts: Vec<&str> = facts.lines().collect();
    let [kafka_pid, brokers, kafka_folder, cassandra_pid, contact_point, cassandra_folder] = facts[..] else {
        panic!("{facts:?}")
    };
    let pids: Vec<u32> = [kafka_pid, cassandra_pid].iter().map(|pid| pid.parse().unwrap()).collect();
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    assert!(TcpStream::connect(brokers).is_ok() && answers_options(contact_point));
    assert!(Path::new(kafka_folder).exists() && Path::new(cassandra_folder).exists());

    owner.kill().unwrap();
    owner.wait().unwrap();
    wait_for("the end of both servers", Duration::from_secs(60), || {
        let alive = pids.iter().any(|pid| is_alive(*pid));
        let answers = TcpStream::connect(brokers).is_ok() || TcpStream::connect(contact_point).is_ok();
        (!alive && !answers).then_some(())
    });
    wait_for("the removal of their folders", Duration::from_secs(20), || {
        (!Path::new(kafka_folder).exists() && !Path::new(cassandra_folder).exists()).then_some(())
    });
}

fn own_servers_until_killed(told: &Path) -> ! {
    let (kafka, cassandra) = pair(Options::default(), Options::default()).unwrap();
    let folder = |log: std::path::PathBuf| log.parent().unwrap().display().to_string();
    let facts = [
        kafka.pid().unwrap().to_string(),
        kafka.brokers(),
        folder(kafka.log()),
        cassandra.pid().unwrap().to_string(),
        cassandra.contact_point(),
        folder(cassandra.log()),
    ];
    let partial = told.with_extension("partial");
    fs::write(&partial, facts.join("\n")).unwrap();
    fs::rename(partial, told).unwrap();
    // Until SIGKILL; the end of the pipe means that the test itself has gone.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    std::process::exit(1);
}

#[test]
fn a_node_that_cannot_start_is_reported_with_its_own_words() {
    let error = Cassandra::start(Options::default().setting("commitlog_sync", "sometimes")).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("sometimes"), "{message}");
    let StartError::Ended { log, .. } = error else { panic!("{message}") };
    assert!(message.contains(&format!("its log is kept at {}", log.display())), "{message}");
    fs::remove_file(log).unwrap();
}

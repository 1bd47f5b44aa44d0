//! The stack with docker-compose.secure.yml: it flows, its secrets are nowhere but in their volume, nobody else is let in.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use end_to_end::{roles_try_everything, users_try_everything};
use openssl::ssl::{SslContext, SslMethod, SslVerifyMode};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use scylla::client::session_builder::SessionBuilder;
use serde_json::json;
use tokio::runtime::Runtime;

use super::stack::{Stack, show, within};

const FILES: &[&str] = &["docker-compose.yml", "docker-compose.secure.yml"];
const BROKER: &str = "localhost:9092";
const BROKERS: [&str; 2] = [BROKER, "localhost:29092"];
const NODE: &str = "localhost:9042";
/// `X509_V_ERR_IP_ADDRESS_MISMATCH` of OpenSSL.
const IP_ADDRESS_MISMATCH: i32 = 64;
const IMAGE: &str = "tributary:local";

#[test]
fn the_secure_stack_flows_and_keeps_its_secrets() {
    let stack = show("the image is built", || Stack::build(FILES));
    let up = ["up", "-d", "--wait", "--wait-timeout", "300"];
    show("docker compose up --wait succeeds", || stack.compose(&up));
    assert_eq!(stack.troubles(), Vec::<String>::new());
    super::tables_fill(&stack);
    super::page::the_page_shows_the_pipeline(&stack);
    super::containers_have_no_rights(&stack);
    show("up again succeeds, on what is there", || stack.compose(&up));
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.pem");
    std::fs::write(&authority, secrets(&stack, "cat /secrets/all/ca.pem")).unwrap();
    let operator = secrets(&stack, "cat /secrets/all/kafka/operator");
    let other = folder.path().join("other.pem");
    std::fs::write(&other, of_another_authority(&stack)).unwrap();
    show("from the host, the operator sees topics, and nobody else does", || {
        let right = ClientConfig::new()
            .set("security.protocol", "sasl_ssl")
            .set("ssl.ca.location", authority.display().to_string())
            .set("sasl.mechanism", "SCRAM-SHA-512")
            .set("sasl.username", "operator")
            .set("sasl.password", operator.trim())
            .clone();
        for broker in BROKERS {
            assert!(topics(broker, right.clone()).contains(&"weather".to_owned()), "{broker}");
        }
        for (setting, wrong) in
            [("sasl.password", "wrong"), ("ssl.ca.location", &other.display().to_string())]
        {
            let mut changed = right.clone();
            changed.set(setting, wrong);
            assert_eq!(topics(BROKER, changed), Vec::<String>::new(), "{setting}");
        }
    });
    show("no other door is open", || no_other_door_is_open(&stack, &other));
    show("each service sees its own secrets alone", || {
        let found = stack.compose(&["exec", "-T", "weather", "ls", "/run/tributary"]);
        assert_eq!(found.split_whitespace().collect::<Vec<_>>(), ["ca.pem", "kafka"]);
        let found = stack.compose(&["exec", "-T", "consumer", "ls", "/run/tributary"]);
        assert_eq!(found.split_whitespace().collect::<Vec<_>>(), ["ca.pem", "cassandra", "kafka"]);
    });
    stack.compose(&["restart", "wikipedia"]);
    within(60, "wikipedia reads its own topic, to resume", || {
        stack.compose(&["logs", "wikipedia"]).contains("stream continues where it was left").then_some(())
    });
    let operator = ["run", "--rm", "-T", "tributary"];
    show("the operator checks and lists dead letters", || {
        stack.compose(&[&operator[..], &["check"]].concat());
        stack.compose(&[&operator[..], &["dead-letters", "list"]].concat());
    });
    // Not before something of each topic is committed.
    within(90, "the operator's audit finds nothing wrong and nothing missing", || {
        let audited = stack.try_compose(&[&operator[..], &["audit"]].concat());
        audited.map_err(|told| println!("{told}")).ok()
    });
    no_secret_is_shown(&stack);
    nobody_can_do_more_than_its_work(&stack, &authority);
}

// Last: what is published and written here is no record of anything. The consumer must not be in its group.
fn nobody_can_do_more_than_its_work(stack: &Stack, authority: &Path) {
    stack.compose(&["stop", "consumer"]);
    let password = |of: &str| secrets(stack, &format!("cat /secrets/all/{of}"));
    let runtime = Runtime::new().unwrap();
    let settings = |user: &str| {
        let settings = json!({
            "brokers": BROKER, "security_protocol": "sasl_ssl", "ca": authority,
            "username": user, "password": password(&format!("kafka/{user}")),
        });
        serde_json::from_value(settings).unwrap()
    };
    show("each user of Kafka may do its work and nothing else", || {
        runtime.block_on(users_try_everything(settings));
    });
    let session = async |role: &str| {
        let wrong = SessionBuilder::new().known_node(NODE).user(role, "wrong");
        let refused = wrong.tls_context(Some(trusting(authority))).build().await.unwrap_err();
        assert!(format!("{refused:?}").contains("incorrect"), "{refused:?}");
        let password = password(&format!("cassandra/{}", role.trim_start_matches("tributary_")));
        let right = SessionBuilder::new().known_node(NODE).user(role, password);
        right.tls_context(Some(trusting(authority))).build().await.unwrap()
    };
    show("each role of Cassandra may do its work and nothing else", || {
        runtime.block_on(roles_try_everything(session));
    });
}

// What the one-shot's container says to a command.
fn secrets(stack: &Stack, command: &str) -> String {
    stack.compose(&["run", "--rm", "--no-deps", "-T", "secrets", "bash", "-c", command])
}

// A certificate that has signed nothing here.
fn of_another_authority(stack: &Stack) -> String {
    secrets(
        stack,
        "bash /etc/tributary/secure/certificates.sh /tmp/other kafka=dns:kafka && cat /tmp/other/ca.pem",
    )
}

// Whoever gets in without TLS is nobody, who may do all: on the broker's own loopback alone.
fn no_other_door_is_open(stack: &Stack, other: &Path) {
    for broker in BROKERS {
        assert_eq!(topics(broker, ClientConfig::new()), Vec::<String>::new(), "{broker}");
    }
    for (from, door) in [
        // The admins' listener, the controller's, and that of Cassandra's nodes.
        ("weather", "kafka/9094"),
        ("weather", "kafka/9093"),
        ("consumer", "cassandra/7000"),
        ("consumer", "cassandra/7199"),
    ] {
        assert!(!connects(stack, from, door), "{door} from {from}");
    }
    // That it would be seen.
    assert!(connects(stack, "weather", "kafka/19092") && connects(stack, "consumer", "cassandra/9042"));
    assert!(
        answers_without_tls(stack, "kafka", "localhost/9094")
            && !answers_without_tls(stack, "weather", "kafka/19092")
    );
    let runtime = Runtime::new().unwrap();
    let password = secrets(stack, "cat /secrets/all/cassandra/reader");
    for tls in [None, Some(trusting(other))] {
        let session = SessionBuilder::new().known_node(NODE).user("tributary_reader", &password);
        let asks_for_tls = tls.is_none();
        let refused = format!("{:?}", runtime.block_on(session.tls_context(tls).build()).unwrap_err());
        assert!(asks_for_tls || refused.contains("certificate verify failed"), "{refused}");
    }
}

// A request for the versions of Kafka's protocol. To TLS it is nonsense, which is answered with seven bytes.
fn answers_without_tls(stack: &Stack, from: &str, door: &str) -> bool {
    let asked = r"printf '\x00\x00\x00\x0a\x00\x12\x00\x00\x00\x00\x00\x07\xff\xff' >&3";
    let tried = format!("exec 3<>/dev/tcp/{door} && {asked} && timeout 3 head -c 10 <&3 | wc -c");
    stack.compose(&["exec", "-T", from, "bash", "-c", &tried]).trim() == "10"
}

fn connects(stack: &Stack, from: &str, door: &str) -> bool {
    let tried = format!("timeout 3 bash -c '</dev/tcp/{door}' && echo open || echo shut");
    stack.compose(&["exec", "-T", from, "bash", "-c", &tried]).contains("open")
}

fn trusting(authority: &Path) -> SslContext {
    let mut tls = SslContext::builder(SslMethod::tls_client()).unwrap();
    tls.set_ca_file(authority).unwrap();
    // The driver asks for the node's address, and the certificate has names.
    tls.set_verify_callback(SslVerifyMode::PEER, |accepted, chain| {
        accepted || chain.error().as_raw() == IP_ADDRESS_MISMATCH
    });
    tls.build()
}

fn topics(broker: &str, mut config: ClientConfig) -> Vec<String> {
    let consumer: BaseConsumer =
        config.set("bootstrap.servers", broker).set("group.id", "unused").create().unwrap();
    let Ok(metadata) = consumer.fetch_metadata(None, Duration::from_secs(5)) else { return Vec::new() };
    metadata.topics().iter().map(|topic| topic.name().to_owned()).collect()
}

fn no_secret_is_shown(stack: &Stack) {
    let every = "cd /secrets/all; for file in *.password kafka/* cassandra/*; do cat $file; echo; done";
    let all =
        Secrets(secrets(stack, every).lines().filter(|line| !line.is_empty()).map(str::to_owned).collect());
    assert!(all.0.len() == 15 && all.0.iter().all(|secret| secret.len() > 40), "{} secrets", all.0.len());
    show("the search finds a secret in a variable, in a log, and in a layer", || {
        let variable = format!("PLANTED={}", all.0[0]);
        let planted = stack.docker(&["create", "-e", &variable, IMAGE]);
        assert_eq!(all.shown(&stack.docker(&["inspect", planted.trim()])), 1);
        stack.docker(&["rm", planted.trim()]);

        let planted = "tributary-test-planted";
        sh(&format!("printf %s '{}' | docker run -i --name {planted} {IMAGE} cat", all.0[1]));
        assert_eq!(all.shown(&logs(planted)), 1);
        stack.docker(&["rm", planted]);

        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("planted"), &all.0[2]).unwrap();
        std::fs::write(folder.path().join("Dockerfile"), format!("FROM {IMAGE}\nCOPY planted /\n")).unwrap();
        let planted = stack.docker(&["build", "--quiet", folder.path().to_str().unwrap()]);
        assert_eq!(all.lines_in_layers(planted.trim()), 1);
        stack.docker(&["rmi", planted.trim()]);
    });
    show("no secret is in a log, a variable, a command line or the image", || {
        for container in stack.all_containers() {
            assert_eq!(all.shown(&stack.docker(&["inspect", &container])), 0, "{container}");
            assert_eq!(all.shown(&logs(&container)), 0, "{container}");
        }
        for service in ["kafka", "cassandra", "consumer", "weather"] {
            assert_eq!(all.shown(&stack.compose(&["top", service])), 0, "{service}");
        }
        assert_eq!(all.shown(&stack.docker(&["history", "--no-trunc", IMAGE])), 0);
        assert_eq!(all.lines_in_layers(IMAGE), 0);
    });
}

struct Secrets(Vec<String>);

impl Secrets {
    // How many of them are in the text.
    fn shown(&self, text: &str) -> usize {
        self.0.iter().filter(|secret| text.contains(*secret)).count()
    }

    // Lines with any of them in the layers and the settings of an image. Engines may keep layers compressed; `gzip -f` passes
    // on what is not.
    fn lines_in_layers(&self, image: &str) -> usize {
        let folder = tempfile::tempdir().unwrap();
        let (path, patterns) = (folder.path().display(), self.0.join("\n"));
        std::fs::write(folder.path().join("patterns"), patterns).unwrap();
        let unpack = format!("mkdir {path}/image && docker save {image} | tar -x -C {path}/image");
        let search = "-type f -exec gzip -dcf {} + | grep -caFf";
        // grep ends with 1 where it counts none.
        let count = sh(&format!("{unpack} && find {path}/image {search} {path}/patterns || true"));
        count.trim().parse().unwrap()
    }
}

fn sh(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

// Both streams: services log to the second.
fn logs(container: &str) -> String {
    sh(&format!("docker logs {container} 2>&1"))
}

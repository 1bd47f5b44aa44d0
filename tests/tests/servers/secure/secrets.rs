//! `secure/secrets.sh`: a folder for each service, made once, renewed only when it is told to.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use super::scene::root;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn secrets(folder: &Path, arguments: &[&str]) -> Output {
    let own = fs::metadata(folder).unwrap();
    let owner = format!("{}:{}", own.uid(), own.gid());
    let mut command = Command::new("bash");
    command.arg(root().join("secure/secrets.sh")).arg(folder).args(arguments);
    command.envs(["OURS", "KAFKA", "CASSANDRA", "CSV"].map(|user| (user, &owner)));
    command.output().unwrap()
}

fn done(folder: &Path, arguments: &[&str]) -> String {
    let output = secrets(folder, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

// Each file with its content.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for service in
        fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.file_name() != "all")
    {
        for file in fs::read_dir(service.path()).unwrap().map(Result::unwrap) {
            let name = format!("{}/{}", service.file_name().display(), file.file_name().display());
            let mode = file.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{name}: {mode:o}");
            files.insert(name, fs::read(file.path()).unwrap());
        }
    }
    files
}

#[test]
fn secrets_are_made_once_and_certificates_are_renewed_when_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    done(folder.path(), &[]);
    let made = files(folder.path());
    let of = |service: &str| -> Vec<&str> {
        made.keys().filter_map(|name| name.strip_prefix(&format!("{service}/"))).collect()
    };
    assert_eq!(of("weather"), ["ca.pem", "kafka"]);
    assert_eq!(of("consumer"), ["ca.pem", "cassandra", "kafka"]);
    assert_eq!(of("kafka"), ["ca.pem", "kafka.p12", "kafka.password"]);
    assert_ne!(made["weather/kafka"], made["faker/kafka"]);

    let authority = File::open(folder.path().join("all/ca.pem")).unwrap();
    assert!(!done(folder.path(), &[]).contains("docs/security.md"));
    authority.set_modified(SystemTime::now() - 340 * DAY).unwrap();
    assert!(done(folder.path(), &[]).contains("docs/security.md"));
    assert_eq!(files(folder.path()), made);

    done(folder.path(), &["renew"]);
    let renewed = files(folder.path());
    let changed: Vec<&String> = made.keys().filter(|name| renewed[*name] != made[*name]).collect();
    assert!(made.keys().all(|name| renewed.contains_key(name)));
    assert!(made.keys().filter(|name| name.ends_with("ca.pem")).all(|name| changed.contains(&name)));
    assert_ne!(renewed["cassandra/cassandra.p12"], made["cassandra/cassandra.p12"]);
    assert_eq!(renewed["weather/kafka"], made["weather/kafka"]);

    let refused = secrets(folder.path(), &["renwe"]);
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("renwe"));
    assert_eq!(files(folder.path()), renewed);
}

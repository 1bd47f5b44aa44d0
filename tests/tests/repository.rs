//! The repository agrees with itself: each dataset has all its parts, each named file exists.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use datasets::REGISTRY;
use openssl::sha::sha256;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn files_under(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files_under(&path) } else { vec![path] }).collect()
}

fn documents() -> Vec<String> {
    let mut documents = vec!["ARCHITECTURE.md".to_owned(), "README.md".to_owned()];
    for file in files_under(&root().join("docs")) {
        let name = file.file_name().unwrap().to_str().unwrap();
        if name.ends_with(".md") {
            documents.push(format!("docs/{name}"));
        }
    }
    documents
}

// Every part that a dataset needs beside its module: what is missing, in words.
fn missing(name: &str, topic: &str, full_table: &str) -> Vec<String> {
    let table = full_table.split_once('.').unwrap().1;
    let file = |path: String| (!root().join(&path).exists()).then(|| format!("{name}: no file {path}"));
    let line = |path: &str, text: String| {
        let there = std::fs::read_to_string(root().join(path)).is_ok_and(|file| file.contains(&text));
        (!there).then(|| format!("{name}: no {text:?} in {path}"))
    };
    [
        file(format!("crates/producers/src/bin/{name}.rs")),
        file(format!("routes/{name}.toml")),
        file(format!("cassandra/tables/{table}.cql")),
        line(&format!("routes/{name}.toml"), format!("topic = \"{topic}\"")),
        line(&format!("routes/{name}.toml"), format!("table = \"{full_table}\"")),
        line(&format!("cassandra/tables/{table}.cql"), format!("CREATE TABLE IF NOT EXISTS {full_table} (")),
        line("cassandra/roles.cql", full_table.to_owned()),
        line("kafka/topics.conf", format!("{topic} ")),
        line("kafka/topics.conf", format!("{topic}.dlq ")),
        line("docker-compose.yml", format!("\n  {name}:")),
        line("docker/Dockerfile", format!(" {name} ")),
        line("README.md", format!("| {name} |")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn every_dataset_has_all_its_parts() {
    let missing = REGISTRY.iter().flat_map(|dataset| missing(dataset.name, dataset.topic, dataset.table));
    let missing: Vec<String> = missing.collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn each_missing_part_is_named() {
    let found = missing("tides", "tides", "sea.tides");
    assert_eq!(found.len(), 12, "{found:#?}");
    assert!(found.contains(&"tides: no file routes/tides.toml".to_owned()), "{found:#?}");
}

// Each folder of others' files has a file VERSION, which ends with the lines of `sha256sum`.
#[test]
fn every_file_of_others_is_the_one_that_its_version_names() {
    for folder in ["crates/dashboard/assets/vendor/uplot", "tests/assets/axe-core"] {
        let version = read(&format!("{folder}/VERSION"));
        let (_, sums) = version.split_once("sha256:\n").unwrap();
        let mut named = vec!["VERSION".to_owned()];
        for line in sums.lines() {
            let (sum, file) = line.trim().split_once("  ").unwrap();
            let bytes = std::fs::read(root().join(folder).join(file)).unwrap();
            let found: String = sha256(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(found, sum, "{folder}/{file}");
            named.push(file.to_owned());
        }
        let there = std::fs::read_dir(root().join(folder)).unwrap();
        let there: Vec<String> =
            there.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert!(there.iter().all(|file| named.contains(file)), "{there:?}, {named:?}");
    }
}

#[test]
fn every_file_that_the_documents_name_exists() {
    let mut named_in_all = 0;
    for document in documents() {
        let text = read(&document);
        // Code between backticks that begins like a path of ours.
        let folders = [
            "crates/",
            "tests/",
            "benchmarks/",
            "chaos/",
            "routes/",
            "cassandra/",
            "kafka/",
            "docker/",
            "docs/",
            "secure/",
        ];
        let named = text
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|code| folders.iter().any(|folder| code.starts_with(folder)));
        let named: Vec<&str> = named.filter(|code| !code.contains(['<', '*', '{', ' '])).collect();
        named_in_all += named.len();
        for path in named {
            assert!(root().join(path).exists(), "{document} names {path}, which does not exist");
        }
    }
    assert!(named_in_all > 100, "the documents name {named_in_all} files");
}

#[test]
fn every_metric_is_in_the_list_of_metrics() {
    let list = read("docs/metrics.md");
    let is_name = |word: &&str| {
        word.starts_with("tributary_") && word.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase())
    };
    let mut metrics = BTreeSet::new();
    for code in ["crates/consumer/src", "crates/producers/src", "crates/service/src", "crates/simulators/src"]
    {
        for file in files_under(&root().join(code)) {
            let text = std::fs::read_to_string(&file).unwrap();
            if ["counter!(", "gauge!(", "histogram!("].iter().any(|kind| text.contains(kind)) {
                metrics.extend(text.split('"').filter(is_name).map(str::to_owned));
            }
        }
    }
    assert!(metrics.len() > 20, "{metrics:?}");
    for metric in metrics {
        assert!(list.contains(&format!("| `{metric}` |")), "docs/metrics.md does not have {metric}");
    }
}

//! The kept cases, and those that other tests are made of.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::{Path, PathBuf};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

type Check = fn(&[u8]);

fn check(folder: &str, at_least: usize, check: Check) {
    let files = files(folder);
    assert!(files.len() >= at_least, "{} files in {folder}", files.len());
    for file in files {
        // Told when it panics.
        eprintln!("{}", file.display());
        check(&std::fs::read(&file).unwrap());
    }
}

#[test]
fn messages_hold() {
    check("corpus/json", 10, fuzz::json::check);
}

#[test]
fn routes_hold() {
    check("corpus/routes", 1, fuzz::routes::check);
    check("../routes", 5, fuzz::routes::check);
    check("../crates/consumer/tests/wrong_routes", 50, fuzz::routes::check);
}

#[test]
fn event_streams_hold() {
    check("corpus/sse", 10, fuzz::sse::check);
}

// Any byte of a case is cut off, doubled or changed: the neighbourhood of what was found before.
#[test]
fn cases_hold_with_one_byte_changed() {
    let targets: [(&str, Check); 3] = [
        ("corpus/json", fuzz::json::check),
        ("corpus/routes", fuzz::routes::check),
        ("corpus/sse", fuzz::sse::check),
    ];
    for (folder, check) in targets {
        for file in files(folder) {
            let bytes = std::fs::read(&file).unwrap();
            for place in 0..bytes.len().min(200) {
                check(&bytes[..place]);
                for other in [0, b'"', b'\\', b'\n', 0x80, bytes[place] ^ 1] {
                    let mut changed = bytes.clone();
                    changed[place] = other;
                    check(&changed);
                }
            }
        }
    }
}

//! Where the binaries of this workspace are: in a folder, or in the image that ships, of which each runs in a container
//! with the rights that docker-compose.yml gives it.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{self, Path, PathBuf};

use crate::docker::{Container, docker_engine};
use crate::supervised::Leftovers;
use crate::unique;

/// Where the binaries to run are, if not beside the running executable: a folder, or `docker:IMAGE`.
pub const BINARIES_VARIABLE: &str = "TRIBUTARY_BINARIES";

/// What [`BINARIES_VARIABLE`] says for the image that `docker compose build` makes.
pub const SHIPPED: &str = "docker:tributary:local";

/// What docker-compose.yml says of everything of ours.
const RIGHTS: [&str; 13] = [
    "--pull",
    "never",
    "--user",
    "10001:10001",
    "--read-only",
    "--tmpfs",
    "/tmp:size=16m,mode=1777",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges:true",
    "--pids-limit",
    "512",
];

/// What docker-compose.yml limits the service of a binary to.
const MEMORY: [(&str, &str); 9] = [
    ("weather", "128m"),
    ("faker", "128m"),
    ("wikipedia", "128m"),
    ("companies", "128m"),
    ("random-user", "128m"),
    ("consumer", "256m"),
    ("simulators", "256m"),
    ("dashboard", "128m"),
    ("tributary", "256m"),
];

/// Of whoever runs the tests, as docker-compose.yml hands them on.
const LOG_VARIABLES: [&str; 2] = ["RUST_LOG", "LOG_FORMAT"];

const SINK_OF_FILES: (&str, &str) = ("TRIBUTARY__CONSUMER__SINK", "csv");

/// The image whose binaries run in containers, if [`BINARIES_VARIABLE`] names one.
#[must_use]
pub fn image() -> Option<String> {
    image_of(&env::var(BINARIES_VARIABLE).ok()?).map(str::to_owned)
}

fn image_of(binaries: &str) -> Option<&str> {
    binaries.strip_prefix("docker:").filter(|image| !image.is_empty())
}

/// The path of a binary of this workspace: in the folder that [`BINARIES_VARIABLE`] names, or beside the running test
/// executable.
///
/// # Panics
/// When it was not built, with the command that builds it.
#[track_caller]
pub(crate) fn binary(name: &str) -> PathBuf {
    let path = env::var_os(BINARIES_VARIABLE).map_or_else(beside, PathBuf::from).join(name);
    assert!(
        path.is_file(),
        "no binary {name} at {}: run `cargo build --bins` or `cargo xtask test`",
        path.display()
    );
    path
}

fn beside() -> PathBuf {
    let test = env::current_exe().expect("a running executable has a path");
    let folder = test.parent().expect("an executable is in a folder");
    // Tests are in target/<profile>/deps, binaries one level up.
    if folder.ends_with("deps") { folder.parent().unwrap_or(folder).to_owned() } else { folder.to_owned() }
}

/// The Docker client, what it is told to run a binary of that image, before the binary's own arguments, and the
/// container that is to be removed. The folder of the log is there inside, at the same path.
pub(crate) fn in_container(
    image: &str,
    binary: &str,
    environment: &[(&str, &str)],
    log: &Path,
) -> io::Result<(PathBuf, Vec<OsString>, Leftovers)> {
    let docker = docker_engine().map_err(io::Error::other)?;
    let name = unique(&format!("testbed-{binary}"));
    let log = path::absolute(log)?;
    let folder = log.parent().unwrap_or(&log);
    let mut words: Vec<String> = ["run", "--name", &name].map(str::to_owned).to_vec();
    words.extend(limits(binary, environment, folder)?);
    words.extend([image, binary].map(str::to_owned));
    let container = Some(Container { docker: docker.clone(), name });
    Ok((docker, words.into_iter().map(OsString::from).collect(), Leftovers { folder: None, container }))
}

/// What a binary's container may do and see, as options of `docker run`.
fn limits(binary: &str, environment: &[(&str, &str)], folder: &Path) -> io::Result<Vec<String>> {
    // The servers are on this machine's loopback.
    let mut words = vec!["--network", "host"];
    words.extend(RIGHTS);
    if let Some((_, limit)) = MEMORY.iter().find(|(known, _)| *known == binary) {
        words.extend(["--memory", limit]);
    }
    // By name alone: the values come with the client's environment, and are in no list of processes.
    let variables = environment.iter().map(|(name, _)| *name).chain(LOG_VARIABLES);
    words.extend(variables.flat_map(|name| ["--env", name]));
    let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    let mut mount = format!("type=bind,source={0},target={0}", folder.display());
    if environment.contains(&SINK_OF_FILES) {
        // As with consumer-csv: the files are of whom the folder is. The last of two users counts.
        let metadata = fs::metadata(folder)?;
        words.extend(["--user".to_owned(), format!("{}:{}", metadata.uid(), metadata.gid())]);
    } else {
        mount.push_str(",readonly");
    }
    words.extend(["--mount".to_owned(), mount]);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPOSE: &str = include_str!("../../../docker-compose.yml");

    fn depth(line: &str) -> usize {
        line.len() - line.trim_start().len()
    }

    /// The keys and values below a title of docker-compose.yml.
    fn block(title: &str) -> Vec<(&'static str, &'static str)> {
        let mut lines = COMPOSE.lines().skip_while(|line| *line != title);
        assert!(lines.next().is_some(), "docker-compose.yml has no {title}");
        let inside = lines.take_while(|line| line.is_empty() || depth(line) > depth(title));
        let lines = inside.map(str::trim_start).filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| line.split_once(": ")).collect()
    }

    fn value(block: &[(&str, &'static str)], key: &str) -> Option<&'static str> {
        block.iter().find(|(known, _)| *known == key).map(|(_, value)| *value)
    }

    fn bare(value: &str) -> &str {
        value.trim_matches(|character| "[]\"".contains(character))
    }

    #[test]
    fn a_container_has_the_rights_that_docker_compose_gives_and_no_others() {
        let ours = block("x-ours: &ours");
        let mut expected = Vec::new();
        for (key, value) in &ours {
            match *key {
                // No limits, and a test starts and ends it, and has its log.
                "image" | "restart" | "stop_grace_period" | "logging" => {}
                "read_only" => expected.push("--read-only".to_owned()),
                "pull_policy" => expected.extend(["--pull".to_owned(), (*value).to_owned()]),
                "user" | "tmpfs" | "cap_drop" | "security_opt" | "pids_limit" => {
                    expected.extend([format!("--{}", key.replace('_', "-")), bare(value).to_owned()]);
                }
                _ => panic!("{key} of docker-compose.yml is new: what is its option of `docker run`?"),
            }
        }
        assert_eq!(RIGHTS.to_vec(), expected);
        assert_eq!(value(&ours, "image"), image_of(SHIPPED));
    }

    #[test]
    fn a_container_has_the_memory_that_docker_compose_gives_its_service() {
        let mut seen = Vec::new();
        for title in COMPOSE.lines().filter(|line| depth(line) == 2 && line.ends_with(':')) {
            let own = block(title);
            let shared = match value(&own, "<<") {
                Some("*ours") => Vec::new(),
                Some("*producer") => block("x-producer: &producer"),
                _ => continue,
            };
            let limit = value(&own, "mem_limit").or_else(|| value(&shared, "mem_limit")).unwrap();
            let binary = value(&own, "entrypoint").or_else(|| value(&own, "command"));
            seen.push((bare(binary.unwrap()), limit));
        }
        assert!(MEMORY.iter().all(|known| seen.contains(known)), "{seen:?}");
        assert!(seen.iter().all(|limit| MEMORY.contains(limit)), "{seen:?}");
    }

    #[test]
    fn a_container_reads_the_folder_and_its_values_are_on_no_command_line() {
        let folder = tempfile::tempdir().unwrap();
        let environment = [("TRIBUTARY__CASSANDRA__PASSWORD", "secret")];
        let words = limits("consumer", &environment, folder.path()).unwrap();
        assert!(
            words.windows(2).any(|pair| pair == ["--env", "TRIBUTARY__CASSANDRA__PASSWORD"]),
            "{words:?}"
        );
        assert!(words.windows(2).any(|pair| pair == ["--memory", "256m"]), "{words:?}");
        assert!(!words.iter().any(|word| word.contains("secret")), "{words:?}");
        let path = folder.path().display();
        assert_eq!(words.last().unwrap(), &format!("type=bind,source={path},target={path},readonly"));
    }

    #[test]
    fn a_sink_of_files_writes_as_whoever_has_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let words = limits("consumer", &[SINK_OF_FILES], folder.path()).unwrap();
        let metadata = fs::metadata(folder.path()).unwrap();
        let user = words.iter().rposition(|word| word == "--user").unwrap();
        assert_eq!(words[user + 1], format!("{}:{}", metadata.uid(), metadata.gid()));
        assert!(!words.last().unwrap().contains("readonly"), "{words:?}");
    }

    #[test]
    fn an_image_is_told_from_a_folder() {
        assert_eq!(image_of(SHIPPED), Some("tributary:local"));
        assert_eq!(image_of("docker:"), None);
        assert_eq!(image_of("/target/docker:debug"), None);
    }

    #[test]
    fn a_binary_that_was_not_built_is_named_with_the_command_that_builds_it() {
        let panicked = std::panic::catch_unwind(|| binary("no-such-binary")).unwrap_err();
        let message = panicked.downcast_ref::<String>().unwrap();
        assert!(message.starts_with("no binary no-such-binary at "), "{message}");
        assert!(message.ends_with("run `cargo build --bins` or `cargo xtask test`"), "{message}");
    }
}

//! What this machine offers to run servers with: environment and usual folders -> Java 17 and Maven, else Docker.
//!
//! Java is wanted in version 17 exactly: Cassandra 5.0 supports 11 and 17, Kafka 4 needs 17 for its broker.

use std::collections::HashSet;
use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::docker;

/// Names the backend to use, `jvm` or `docker`, in place of the first that is found.
pub const BACKEND_VARIABLE: &str = "TRIBUTARY_TEST_BACKEND";
const WANTED_JAVA: u32 = 17;

/// A way to run the servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tools {
    /// Jars on this machine's Java.
    Jvm {
        /// The `java` of version 17.
        java: PathBuf,
        /// `mvn`, which fetches the jars.
        maven: PathBuf,
    },
    /// The official images on an engine that answers.
    Docker {
        /// The Docker client.
        docker: PathBuf,
    },
}

impl fmt::Display for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tools::Jvm { java, maven } => {
                write!(f, "java {WANTED_JAVA} at {}, maven at {}", java.display(), maven.display())
            }
            Tools::Docker { docker } => write!(f, "docker at {}", docker.display()),
        }
    }
}

/// What was sought in vain, where, and what was found instead: to be shown as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing(Box<Search>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Search {
    forced: Option<String>,
    /// The one that would have done, if only Maven is absent.
    java: Option<PathBuf>,
    java_sought: Vec<String>,
    /// Each as `java 21 at /usr/bin/java`.
    java_found: Vec<String>,
    maven: Option<PathBuf>,
    maven_sought: Vec<String>,
    docker: String,
}

impl std::error::Error for Missing {}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Missing(search) = self;
        writeln!(f, "real servers need Java {WANTED_JAVA} exactly and Maven, or a Docker engine")?;
        if let Some(forced) = &search.forced {
            writeln!(f, "  {BACKEND_VARIABLE}={forced} allows one of them alone; known are jvm and docker")?;
        }
        match &search.java {
            Some(java) => writeln!(f, "  java {WANTED_JAVA}: found at {}", java.display())?,
            None => writeln!(f, "  java {WANTED_JAVA}: not in {}", search.java_sought.join(", "))?,
        }
        for found in &search.java_found {
            writeln!(f, "    found {found}")?;
        }
        match &search.maven {
            Some(maven) => writeln!(f, "  maven: found at {}", maven.display())?,
            None => writeln!(f, "  maven: no mvn in {}", search.maven_sought.join(", "))?,
        }
        writeln!(f, "  docker: {}", search.docker)?;
        write!(f, "  on Debian 12 or Ubuntu: apt-get install openjdk-17-jdk-headless maven")
    }
}

/// Finds Java 17 and Maven, or else a Docker engine that answers.
///
/// # Errors
/// [`Missing`], to be shown to the user.
pub fn tools() -> Result<Tools, Missing> {
    Places::of_this_machine().find()
}

/// Where tools are sought: apart from the machine, so that a test can lay out one of its own.
struct Places {
    forced: Option<String>,
    java_home: Option<PathBuf>,
    maven_home: Option<PathBuf>,
    path: Vec<PathBuf>,
    /// Folders whose children are homes of Java.
    java_folders: Vec<PathBuf>,
    /// Folders whose children are homes of Maven.
    maven_folders: Vec<PathBuf>,
    docker: fn(&[PathBuf]) -> Result<PathBuf, String>,
}

impl Places {
    fn of_this_machine() -> Places {
        let home = env::home_dir().unwrap_or_default();
        let in_home = |names: &[&str]| names.iter().map(|name| home.join(name)).collect::<Vec<_>>();
        let system = ["/usr/lib/jvm", "/usr/java", "/opt", "/opt/java", "/Library/Java/JavaVirtualMachines"];
        let mut java_folders: Vec<PathBuf> = system.iter().map(PathBuf::from).collect();
        java_folders.extend(in_home(&[".sdkman/candidates/java", ".jdks", ".asdf/installs/java"]));
        let mut maven_folders: Vec<PathBuf> = ["/opt", "/usr/share"].iter().map(PathBuf::from).collect();
        maven_folders.extend(in_home(&[".sdkman/candidates/maven"]));
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        Places {
            forced: set(BACKEND_VARIABLE).map(|value| value.to_string_lossy().into_owned()),
            java_home: set("JAVA_HOME").map(PathBuf::from),
            maven_home: set("MAVEN_HOME").or_else(|| set("M2_HOME")).map(PathBuf::from),
            path: env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect(),
            java_folders,
            maven_folders,
            docker: docker::engine,
        }
    }

    fn find(&self) -> Result<Tools, Missing> {
        let mut search = Search { forced: self.forced.clone(), ..Search::default() };
        let allowed = |backend: &str| self.forced.as_deref().is_none_or(|forced| forced == backend);
        self.find_java(&mut search);
        self.find_maven(&mut search);
        if let (true, Some(java), Some(maven)) = (allowed("jvm"), &search.java, &search.maven) {
            return Ok(Tools::Jvm { java: java.clone(), maven: maven.clone() });
        }
        if !allowed("docker") {
            search.docker = "not tried".to_owned();
            return Err(Missing(Box::new(search)));
        }
        match (self.docker)(&self.path) {
            Ok(docker) => Ok(Tools::Docker { docker }),
            Err(reason) => {
                search.docker = reason;
                Err(Missing(Box::new(search)))
            }
        }
    }

    fn find_java(&self, search: &mut Search) {
        search.java_sought = sought("JAVA_HOME", self.java_home.as_deref(), &self.java_folders);
        let mut homes: Vec<PathBuf> = self.java_home.iter().cloned().collect();
        homes.extend(children(&self.java_folders));
        let mut candidates: Vec<PathBuf> = self.java_home.iter().map(|home| home.join("bin/java")).collect();
        candidates.extend(self.path.iter().map(|folder| folder.join("java")));
        candidates.extend(
            homes.iter().flat_map(|home| [home.join("bin/java"), home.join("Contents/Home/bin/java")]),
        );
        let mut seen = HashSet::new();
        for candidate in candidates {
            // One installation is reachable by many names; asking it once is enough.
            let Ok(real) = candidate.canonicalize() else { continue };
            if !seen.insert(real) {
                continue;
            }
            match java_version(&candidate) {
                Some(WANTED_JAVA) => {
                    search.java = Some(candidate);
                    return;
                }
                Some(version) => {
                    search.java_found.push(format!("java {version} at {}", candidate.display()));
                }
                None => {
                    search.java_found.push(format!("{}, which tells no version", candidate.display()));
                }
            }
        }
    }

    fn find_maven(&self, search: &mut Search) {
        search.maven_sought = sought("MAVEN_HOME", self.maven_home.as_deref(), &self.maven_folders);
        let mut candidates: Vec<PathBuf> = self.maven_home.iter().map(|home| home.join("bin/mvn")).collect();
        candidates.extend(self.path.iter().map(|folder| folder.join("mvn")));
        candidates.extend(children(&self.maven_folders).into_iter().map(|home| home.join("bin/mvn")));
        search.maven = candidates.into_iter().find(|candidate| candidate.is_file());
    }
}

fn sought(variable: &str, value: Option<&Path>, folders: &[PathBuf]) -> Vec<String> {
    let mut places = vec![match value {
        Some(value) => format!("{variable} ({})", value.display()),
        None => format!("{variable} (unset)"),
    }];
    places.push("PATH".to_owned());
    places.extend(folders.iter().map(|folder| format!("{}/*", folder.display())));
    places
}

fn children(folders: &[PathBuf]) -> Vec<PathBuf> {
    let mut homes = Vec::new();
    for folder in folders {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        found.sort();
        homes.extend(found);
    }
    homes
}

fn java_version(java: &Path) -> Option<u32> {
    let output = Command::new(java).arg("-version").output().ok()?;
    let text = [output.stderr, output.stdout].concat();
    parse_java_version(&String::from_utf8_lossy(&text))
}

/// The feature release in what `java -version` prints: 17 for `"17.0.15"`, 8 for `"1.8.0_292"`.
fn parse_java_version(text: &str) -> Option<u32> {
    let quoted = text.lines().find(|line| line.contains(" version \""))?.split('"').nth(1)?;
    let mut numbers = quoted.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse().ok());
    match numbers.next()? {
        1 => numbers.next().or(Some(1)),
        feature => Some(feature),
    }
}

#[cfg(test)]
mod tests;

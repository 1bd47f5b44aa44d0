//! The servers' jars: pinned poms -> `mvn dependency:copy-dependencies` -> a folder in the cache, once.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{StartError, Tools, cache, cassandra, docker, kafka};

/// A pinned set of jars.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Jars {
    pub(crate) name: &'static str,
    pub(crate) pom: &'static str,
}

/// Fetches what the servers need, so that a test does not wait for it or fail in the middle for want of a network.
///
/// # Errors
/// When Maven or Docker cannot fetch; the error carries their output.
pub fn prepare(tools: &Tools) -> Result<(), StartError> {
    match tools {
        Tools::Jvm { java, maven } => {
            kafka::JARS.folder(java, maven)?;
            cassandra::JARS.folder(java, maven)?;
        }
        Tools::Docker { docker } => {
            docker::pull(docker, kafka::IMAGE)?;
            docker::pull(docker, cassandra::IMAGE)?;
        }
    }
    Ok(())
}

impl Jars {
    /// The folder with the jars, fetched if need be. Several processes may ask at once.
    pub(crate) fn folder(&self, java: &Path, maven: &Path) -> Result<PathBuf, StartError> {
        let all = cache().join("jars");
        let folder = all.join(self.name);
        if self.is_complete(&folder) {
            return Ok(folder);
        }
        fs::create_dir_all(&all).map_err(StartError::Io)?;
        let lock = File::create(all.join(format!("{}.lock", self.name))).map_err(StartError::Io)?;
        lock.lock().map_err(StartError::Io)?;
        if !self.is_complete(&folder) {
            self.fetch(java, maven, &all, &folder)?;
        }
        Ok(folder)
    }

    // The folder appears by a rename with everything in it; the pom inside says what was fetched.
    fn is_complete(&self, folder: &Path) -> bool {
        fs::read_to_string(folder.join("pom.xml")).is_ok_and(|pom| pom == self.pom)
    }

    fn fetch(&self, java: &Path, maven: &Path, all: &Path, folder: &Path) -> Result<(), StartError> {
        let partial = tempfile::Builder::new().prefix(".partial-").tempdir_in(all).map_err(StartError::Io)?;
        let pom = partial.path().join("pom.xml");
        fs::write(&pom, self.pom).map_err(StartError::Io)?;
        let mut command = Command::new(maven);
        command.args(["-B", "-q", "-f"]).arg(&pom).arg("dependency:copy-dependencies");
        command.args(["-DincludeScope=runtime", "-Dmdep.overWriteReleases=true"]);
        command.arg(format!("-DoutputDirectory={}", partial.path().join("lib").display()));
        command.current_dir(partial.path());
        if let Some(home) = home_of(java) {
            command.env("JAVA_HOME", home);
        }
        let output = command.output().map_err(StartError::Io)?;
        let fetched = fs::read_dir(partial.path().join("lib")).map_or(0, Iterator::count);
        if !output.status.success() || fetched == 0 {
            let text = [output.stdout, output.stderr].concat();
            return Err(StartError::Jars {
                name: self.name,
                output: String::from_utf8_lossy(&text).trim().to_owned(),
            });
        }
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(StartError::Io)?;
        }
        fs::rename(partial.keep(), folder).map_err(StartError::Io)
    }
}

fn home_of(java: &Path) -> Option<PathBuf> {
    let real = java.canonicalize().ok()?;
    real.parent()?.parent().map(Path::to_path_buf)
}

/// The class path entry for all jars of a folder.
pub(crate) fn class_path(folder: &Path) -> String {
    folder.join("lib").join("*").display().to_string()
}

/// The one jar whose name starts with `prefix`.
pub(crate) fn jar(folder: &Path, prefix: &str) -> Result<PathBuf, StartError> {
    let entries = fs::read_dir(folder.join("lib")).map_err(StartError::Io)?;
    let found = entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)));
    found.ok_or_else(|| {
        StartError::Io(io::Error::other(format!("no {prefix}*.jar in {}/lib", folder.display())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const SAMPLE: Jars = Jars { name: "sample-1", pom: "<project/>" };

    fn maven(folder: &Path, script: &str) -> PathBuf {
        let path = folder.join("mvn");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn a_fetch_that_fails_leaves_no_folder_and_tells_what_maven_said() {
        let all = tempfile::tempdir().unwrap();
        let tools = tempfile::tempdir().unwrap();
        let maven = maven(tools.path(), "echo 'Could not transfer artifact'; exit 1");
        let folder = all.path().join(SAMPLE.name);
        let error = SAMPLE.fetch(Path::new("/no/java"), &maven, all.path(), &folder).unwrap_err();
        assert!(error.to_string().contains("Could not transfer artifact"), "{error}");
        assert_eq!(fs::read_dir(all.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_of_another_pom_is_fetched_anew() {
        let all = tempfile::tempdir().unwrap();
        let tools = tempfile::tempdir().unwrap();
        let maven = maven(tools.path(), "mkdir lib && touch lib/logger-2.jar");
        let folder = all.path().join(SAMPLE.name);
        fs::create_dir_all(folder.join("lib")).unwrap();
        fs::write(folder.join("pom.xml"), "<project>old</project>").unwrap();
        fs::write(folder.join("lib/logger-1.jar"), "").unwrap();
        assert!(!SAMPLE.is_complete(&folder));
        SAMPLE.fetch(Path::new("/no/java"), &maven, all.path(), &folder).unwrap();
        assert!(SAMPLE.is_complete(&folder));
        assert_eq!(jar(&folder, "logger-").unwrap(), folder.join("lib/logger-2.jar"));
        assert_eq!(fs::read_dir(folder.join("lib")).unwrap().count(), 1);
    }
}

//! A disk of its own for a server, small enough to be filled: a folder with a file system in memory.
//!
//! The harness runs in a mount namespace of its own (see `cargo xtask chaos`), with which the mount ends at the latest.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// The file that takes what is left.
const FILLER: &str = "filler";

/// See the module.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: TempDir,
}

impl Disk {
    /// Of a size such as `256m`.
    pub(crate) fn mount(size: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let options = format!("size={size}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tributary-chaos"]).arg(folder.path());
        run(&mut mount)?;
        Ok(Self { folder })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes every byte that is left.
    pub(crate) fn fill(&self) -> io::Result<()> {
        let mut filler = File::create(self.filler())?;
        let block = vec![0; 64 * 1024];
        let mut size = block.len();
        while size > 0 {
            match filler.write(&block[..size]) {
                Ok(_) => {}
                // Blocks that no longer fit, down to the last bytes.
                Err(error) if error.kind() == ErrorKind::StorageFull => size /= 2,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Gives it back.
    pub(crate) fn free(&self) -> io::Result<()> {
        std::fs::remove_file(self.filler())
    }

    fn filler(&self) -> PathBuf {
        self.path().join(FILLER)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whatever fails here ends with the namespace.
        let _ = run(Command::new("umount").arg("--lazy").arg(self.folder.path()));
    }
}

/// Runs a command of the machine and returns what it printed; fails with what it complained of.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("start {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}: {}", output.status, said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

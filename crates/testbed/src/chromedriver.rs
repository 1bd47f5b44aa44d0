//! PATH -> the chromedriver that steers the Chromium of this machine.

use std::env;
use std::path::PathBuf;

use thiserror::Error;

/// There is none: to be shown as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "browser tests need Chromium and its chromedriver, and no chromedriver is in PATH\n  \
     on Debian 12: apt-get install chromium chromium-driver"
)]
pub struct NoChromedriver;

/// Finds chromedriver, which finds the browser by itself.
///
/// # Errors
/// [`NoChromedriver`], to be shown to the user.
pub fn chromedriver() -> Result<PathBuf, NoChromedriver> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join("chromedriver")).find(|file| file.is_file());
    found.ok_or(NoChromedriver)
}

//! Where jars, port claims and the logs of failed servers are kept between runs.

use std::env;
use std::path::PathBuf;

/// The cache folder: `$TRIBUTARY_CACHE`, else `~/.cache/tributary`. It may not exist yet.
#[must_use]
pub fn cache() -> PathBuf {
    if let Some(folder) = env::var_os("TRIBUTARY_CACHE").filter(|value| !value.is_empty()) {
        return PathBuf::from(folder);
    }
    env::home_dir().unwrap_or_else(env::temp_dir).join(".cache").join("tributary")
}

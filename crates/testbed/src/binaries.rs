//! Where the binaries of this workspace are.

use std::env;
use std::path::PathBuf;

/// The folder of the binaries to run, if it is not that of the running executable.
pub const BINARIES_VARIABLE: &str = "TRIBUTARY_BINARIES";

/// The path of a binary of this workspace: in the folder that [`BINARIES_VARIABLE`] names, or beside the running test
/// executable.
///
/// # Panics
/// When it was not built, with the command that builds it.
#[track_caller]
#[must_use]
pub fn binary(name: &str) -> PathBuf {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_that_was_not_built_is_named_with_the_command_that_builds_it() {
        let panicked = std::panic::catch_unwind(|| binary("no-such-binary")).unwrap_err();
        let message = panicked.downcast_ref::<String>().unwrap();
        assert!(message.starts_with("no binary no-such-binary at "), "{message}");
        assert!(message.ends_with("run `cargo build --bins` or `cargo xtask test`"), "{message}");
    }
}

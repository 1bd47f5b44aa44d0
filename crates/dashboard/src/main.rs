//! The dashboard's binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::main("dashboard", "Shows the pipeline as a page, at http://127.0.0.1:9000", &[], dashboard::run)
}

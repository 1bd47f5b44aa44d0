//! The service `wikipedia`: its dataset in the producers' loop.

use std::process::ExitCode;

fn main() -> ExitCode {
    producers::main(&datasets::wikipedia::DATASET)
}

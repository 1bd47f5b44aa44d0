//! The service `companies`: its dataset in the producers' loop.

use std::process::ExitCode;

fn main() -> ExitCode {
    producers::main(&datasets::companies::DATASET)
}

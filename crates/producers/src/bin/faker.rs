//! The service `faker`: its dataset in the producers' loop.

use std::process::ExitCode;

fn main() -> ExitCode {
    producers::main(&datasets::faker::DATASET)
}

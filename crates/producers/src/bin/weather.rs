//! The service `weather`: its dataset in the producers' loop.

use std::process::ExitCode;

fn main() -> ExitCode {
    producers::main(&datasets::weather::DATASET)
}

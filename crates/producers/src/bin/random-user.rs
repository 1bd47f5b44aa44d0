//! The service `random-user`: its dataset in the producers' loop.

use std::process::ExitCode;

fn main() -> ExitCode {
    producers::main(&datasets::random_user::DATASET)
}

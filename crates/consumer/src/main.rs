//! The consumer's process.

use std::process::ExitCode;

use consumer::Settings;

fn main() -> ExitCode {
    let about = "Writes Kafka topics into Cassandra tables, or CSV files, by the routes in a folder";
    service::main("consumer", about, &[], |settings: Settings, service| consumer::run(settings, service))
}

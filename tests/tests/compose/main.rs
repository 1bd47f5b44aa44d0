//! `docker compose up`, as the README gives it: the stack starts, flows, is hardened, survives kills, scales.
//!
//! One test a stack, since it takes a minute to start: the claims are shown in order, each with the time it took.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod identities;
mod page;
mod secure;
mod stack;

use end_to_end::TABLES;
use identities::{published, stored};
use stack::{Stack, show, within};

const PRODUCERS: [&str; 5] = ["weather", "faker", "wikipedia", "companies", "random-user"];
/// Both addresses that the broker has for the host.
const LISTENERS: [&str; 2] = ["localhost:9092", "localhost:29092"];

#[test]
fn the_stack_does_what_the_readme_says() {
    let stack = show("the image is built", || Stack::build(&["docker-compose.yml"]));
    let up = ["up", "-d", "--wait", "--wait-timeout", "240"];
    show("docker compose up --wait succeeds", || stack.compose(&up));
    assert_eq!(stack.troubles(), Vec::<String>::new());
    tables_fill(&stack);
    page::the_page_shows_the_pipeline(&stack);
    cqlsh_answers_in_every_form_of_the_readme(&stack);
    containers_have_no_rights(&stack);
    image_and_memory_are_small(&stack);
    show("scale consumer=3 is healthy", || {
        stack.compose(&[
            "up",
            "-d",
            "--no-recreate",
            "--wait",
            "--wait-timeout",
            "120",
            "--scale",
            "consumer=3",
        ])
    });
    page::the_page_names_who_is_away(&stack);
    for service in ["consumer", "cassandra", "kafka"] {
        kill_and_start(&stack, service);
    }
    everything_published_is_stored_once(&stack);
    csv_files_belong_to_the_host(&stack);
}

fn tables_fill(stack: &Stack) {
    for table in TABLES {
        within(60, &format!("{table} holds rows"), || {
            let answer = stack.cqlsh(&format!("select * from {table} limit 3"));
            (!answer.contains("(0 rows)") && answer.contains("rows)")).then_some(())
        });
    }
}

fn cqlsh_answers_in_every_form_of_the_readme(stack: &Stack) {
    show("every form of cqlsh answers", || {
        let count = "select count(*) from spark_streams.companies_created";
        for form in [
            &["exec", "cassandra", "cqlsh", "-e", count][..],
            &[
                "exec",
                "cassandra",
                "cqlsh",
                "-u",
                "cassandra",
                "-p",
                "cassandra",
                "localhost",
                "9042",
                "-e",
                count,
            ],
        ] {
            assert!(stack.docker(form).contains("(1 rows)"), "{form:?}");
        }
    });
}

fn containers_have_no_rights(stack: &Stack) {
    show("our containers are non-root, read-only, without capabilities and new privileges", || {
        let format = "{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} \
                      {{.HostConfig.SecurityOpt}} {{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}";
        for service in PRODUCERS.into_iter().chain(["consumer", "dashboard", "upstreams"]) {
            for container in stack.containers(service) {
                let found = stack.docker(&["inspect", "--format", format, &container]);
                assert!(
                    found.starts_with("10001:10001 true [ALL] [no-new-privileges:true]"),
                    "{service}: {found}"
                );
                let reads_tables = ["consumer", "dashboard"].contains(&service);
                assert_eq!(found.contains("cassandra-network"), reads_tables, "{service}: {found}");
            }
        }
    });
    show("host ports are on 127.0.0.1 only", || {
        let ports = stack.compose(&["ps", "--format", "{{.Ports}}"]);
        assert!(!ports.contains("0.0.0.0:") && !ports.contains("[::]"), "{ports}");
    });
}

fn image_and_memory_are_small(stack: &Stack) {
    // The builder keeps the base among its own layers, not among the images.
    if !stack.has_image("debian:bookworm-slim") {
        stack.docker(&["pull", "debian:bookworm-slim"]);
    }
    let size = |image: &str| {
        stack.docker(&["image", "inspect", "--format", "{{.Size}}", image]).trim().parse::<u64>().unwrap()
    };
    let over_base = (size("tributary:local") - size("debian:bookworm-slim")) / 1_000_000;
    println!("          the image is {over_base} MB over its base");
    assert!(over_base <= 100, "{over_base} MB over the base");
    for service in ["consumer", "dashboard"] {
        let container = &stack.containers(service)[0];
        let usage = stack.docker(&["stats", "--no-stream", "--format", "{{.MemUsage}}", container]);
        println!("          the {service} uses {}", usage.trim());
        let used = usage.split("MiB").next().and_then(|megabytes| megabytes.trim().parse::<f64>().ok());
        assert!(used.is_some_and(|used| used < 40.0), "{service}: {usage}");
    }
}

// `up --wait` gives up on the first service that an outage has turned red; a user waits until it is green again.
fn kill_and_start(stack: &Stack, service: &str) {
    stack.compose(&["kill", "-s", "KILL", service]);
    stack.compose(&["start", service]);
    within(180, &format!("{service} killed and started again: all is healthy"), || {
        stack.troubles().is_empty().then_some(())
    });
}

// Producers stop first, so that there is an end to compare at.
fn everything_published_is_stored_once(stack: &Stack) {
    stack.compose(&[&["stop"], &PRODUCERS[..]].concat());
    for (dataset, listener) in datasets::REGISTRY.iter().zip(LISTENERS.into_iter().cycle()) {
        let claim = format!("{} holds every {} published, once", dataset.table, dataset.name);
        let expected = published(listener, dataset);
        assert!(!expected.is_empty(), "{} has published nothing", dataset.name);
        let mut found = stored(dataset);
        within(120, &claim, || {
            found = stored(dataset);
            (found.len() >= expected.len()).then_some(())
        });
        let lost: Vec<_> = expected.keys().filter(|id| !found.contains_key(*id)).collect();
        let strange: Vec<_> = found.keys().filter(|id| !expected.contains_key(*id)).collect();
        let twice: Vec<_> = found.iter().filter(|(_, rows)| **rows > 1).collect();
        assert!(
            lost.is_empty() && strange.is_empty() && twice.is_empty(),
            "{claim}: lost {lost:?}, never published {strange:?}, in more than one row {twice:?}"
        );
        println!("          {} rows", found.len());
    }
}

fn csv_files_belong_to_the_host(stack: &Stack) {
    show("profile csv is healthy", || {
        stack.compose(&[
            "--profile",
            "csv",
            "up",
            "-d",
            "--no-recreate",
            "--wait",
            "--wait-timeout",
            "120",
            "consumer-csv",
        ])
    });
    let folder = stack.csv_folder();
    within(60, "the csv files hold rows and can be read", || {
        let files = std::fs::read_dir(folder).ok()?;
        let paths = files.flatten().map(|entry| entry.path());
        let csv: Vec<_> =
            paths.filter(|path| path.extension().is_some_and(|extension| extension == "csv")).collect();
        let rows = |path: &std::path::PathBuf| {
            csv::Reader::from_path(path).map_or(0, |mut csv| csv.records().count())
        };
        (csv.iter().map(rows).sum::<usize>() > 0).then_some(())
    });
}

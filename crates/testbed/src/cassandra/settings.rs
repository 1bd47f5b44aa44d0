//! The node's `cassandra.yaml` and its JVM flags: as shipped with 5.0.9, apart from what the comments say.

use std::io;

use super::place::Place;
use crate::Options;

/// The shipped JVM flags for Java 17, without touching the whole heap at the start.
pub(super) const JVM: [&str; 46] = [
    "-XX:+UseG1GC",
    "-XX:+ParallelRefProcEnabled",
    "-XX:MaxTenuringThreshold=2",
    "-XX:G1HeapRegionSize=16m",
    "-XX:+UnlockExperimentalVMOptions",
    "-XX:G1NewSizePercent=50",
    "-XX:G1RSetUpdatingPauseTimePercent=5",
    "-XX:MaxGCPauseMillis=300",
    "-XX:InitiatingHeapOccupancyPercent=70",
    "-XX:+ResizeTLAB",
    "-XX:+PerfDisableSharedMem",
    "-XX:+ExitOnOutOfMemoryError",
    "-Xss512k",
    "-ea",
    "-da:net.openhft...",
    "-Djava.net.preferIPv4Stack=true",
    "-Djdk.attach.allowAttachSelf=true",
    "-Djava.security.manager=allow",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Djava.awt.headless=true",
    "--add-exports=java.base/jdk.internal.misc=ALL-UNNAMED",
    "--add-exports=java.management.rmi/com.sun.jmx.remote.internal.rmi=ALL-UNNAMED",
    "--add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED",
    "--add-exports=java.rmi/sun.rmi.server=ALL-UNNAMED",
    "--add-exports=java.sql/java.sql=ALL-UNNAMED",
    "--add-exports=java.base/java.lang.ref=ALL-UNNAMED",
    "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
    "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-exports=jdk.unsupported/sun.misc=ALL-UNNAMED",
    "--add-opens=java.base/java.lang.module=ALL-UNNAMED",
    "--add-opens=java.base/jdk.internal.loader=ALL-UNNAMED",
    "--add-opens=java.base/jdk.internal.ref=ALL-UNNAMED",
    "--add-opens=java.base/jdk.internal.reflect=ALL-UNNAMED",
    "--add-opens=java.base/jdk.internal.math=ALL-UNNAMED",
    "--add-opens=java.base/jdk.internal.module=ALL-UNNAMED",
    "--add-opens=java.base/jdk.internal.util.jar=ALL-UNNAMED",
    "--add-opens=jdk.management/com.sun.management.internal=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--add-opens=java.base/java.lang.reflect=ALL-UNNAMED",
    "--add-opens=java.base/java.math=ALL-UNNAMED",
    "--add-opens=java.base/java.net=ALL-UNNAMED",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.rmi/sun.rmi.transport.tcp=ALL-UNNAMED",
];

/// What a node of the testbed has on either backend and the shipped file has not.
fn differences(client: u16, options: &Options) -> Vec<(&'static str, String)> {
    let mut differences = vec![
        ("native_transport_port", client.to_string()),
        // The shipped `stop` leaves a process that answers nobody.
        ("disk_failure_policy", "die".to_owned()),
        ("commit_failure_policy", "die".to_owned()),
        // Just below batch_size_fail_threshold, 50 KiB: the shipped 5 KiB would log every good batch.
        ("batch_size_warn_threshold", "49KiB".to_owned()),
        // Rows of many partitions share a batch; the shipped 10 would log every one.
        ("unlogged_batch_across_partitions_warn_threshold", "1000".to_owned()),
        // Tests drop keyspaces by the dozen.
        ("auto_snapshot", "false".to_owned()),
    ];
    if options.authentication {
        differences.push(("authenticator", "PasswordAuthenticator".to_owned()));
        differences.push(("authorizer", "CassandraAuthorizer".to_owned()));
    }
    differences
}

fn owned(settings: Vec<(&str, String)>) -> Vec<(String, String)> {
    settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn syncs_periodically(options: &Options) -> bool {
    let asked = options.settings.iter().rfind(|(name, _)| name == "commitlog_sync");
    asked.is_none_or(|(_, value)| value == "periodic")
}

/// A whole `cassandra.yaml`.
pub(super) fn yaml(place: &Place, options: &Options) -> io::Result<String> {
    let storage = place.storage_port();
    let mut settings = vec![
        ("cluster_name", "testbed".to_owned()),
        // One node gains nothing by more, and starts faster with one.
        ("num_tokens", place.tokens().len().max(1).to_string()),
        ("partitioner", "org.apache.cassandra.dht.Murmur3Partitioner".to_owned()),
        ("endpoint_snitch", "SimpleSnitch".to_owned()),
        ("listen_address", place.address().to_string()),
        ("rpc_address", place.address().to_string()),
        ("storage_port", storage.to_string()),
        ("start_native_transport", "true".to_owned()),
        ("commitlog_sync", "periodic".to_owned()),
        ("commitlog_segment_size", "32MiB".to_owned()),
        ("concurrent_reads", "32".to_owned()),
        ("concurrent_writes", "32".to_owned()),
        ("memtable_allocation_type", "heap_buffers".to_owned()),
        ("column_index_size", "4KiB".to_owned()),
        ("compaction_throughput", "64MiB/s".to_owned()),
        ("write_request_timeout", "2000ms".to_owned()),
        ("read_request_timeout", "5000ms".to_owned()),
        ("range_request_timeout", "10000ms".to_owned()),
        ("request_timeout", "10000ms".to_owned()),
        ("batch_size_fail_threshold", "50KiB".to_owned()),
        ("storage_compatibility_mode", "CASSANDRA_4".to_owned()),
    ];
    // The node refuses a period beside any other way of syncing.
    if syncs_periodically(options) {
        settings.push(("commitlog_sync_period", "10000ms".to_owned()));
    }
    if place.is_in_ring() {
        let tokens: Vec<String> = place.tokens().iter().map(i64::to_string).collect();
        // There is nothing to fetch from those that are there.
        settings.extend([("initial_token", tokens.join(",")), ("auto_bootstrap", "false".to_owned())]);
    }
    settings.extend(differences(place.client_port(), options));
    if let Some(secure) = &options.secure {
        let (store, password) = secure.store("cassandra")?;
        // Optional: what the testbed itself asks goes without.
        let encryption = format!(
            "{{enabled: true, optional: true, keystore: {}, keystore_password: {password}, store_type: PKCS12}}",
            store.display()
        );
        settings.push(("client_encryption_options", encryption));
    }
    let lines = options.settings_over(owned(settings));
    let mut yaml: String = lines.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    yaml.push_str(&format!(
        "seed_provider:\n  - class_name: org.apache.cassandra.locator.SimpleSeedProvider\n    \
         parameters:\n      - seeds: \"127.0.0.1:{storage}\"\n"
    ));
    Ok(yaml)
}

/// The settings to lay over the official image's own file.
pub(super) fn beside_the_image(client: u16, options: &Options) -> Vec<(String, String)> {
    let mut settings = differences(client, options);
    if !syncs_periodically(options) {
        settings.push(("commitlog_sync_period", "0ms".to_owned()));
    }
    options.settings_over(owned(settings)).into_iter().map(as_property).collect()
}

// A property's value is a text and no YAML: of a class with a name, the name has a property of its own.
fn as_property((name, value): (String, String)) -> (String, String) {
    match value.strip_prefix("[{class_name: ").and_then(|class| class.strip_suffix("}]")) {
        Some(class) => (format!("{name}.class_name"), class.to_owned()),
        None => (name, value),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Port;

    fn lines(options: &Options) -> Vec<String> {
        let ports = Arc::new([Port::claim().unwrap(), Port::claim().unwrap()]);
        yaml(&Place::alone(ports), options).unwrap().lines().map(str::to_owned).collect()
    }

    fn has(lines: &[String], line: &str) -> bool {
        lines.iter().any(|known| known == line)
    }

    #[test]
    fn the_commit_log_syncs_as_shipped_unless_asked_otherwise() {
        let shipped = lines(&Options::default());
        assert!(has(&shipped, "commitlog_sync: periodic"), "{shipped:?}");
        assert!(has(&shipped, "commitlog_sync_period: 10000ms"), "{shipped:?}");
        let batch = lines(&Options::default().setting("commitlog_sync", "batch"));
        assert!(has(&batch, "commitlog_sync: batch"), "{batch:?}");
        assert!(!batch.iter().any(|line| line.starts_with("commitlog_sync_period")), "{batch:?}");
    }

    #[test]
    fn the_image_gets_as_properties_what_a_node_of_ours_gets_as_yaml() {
        let options = Options::default()
            .setting("commitlog_compression", "[{class_name: LZ4Compressor}]")
            .setting("commitlog_sync_period", "2000ms");
        let properties = beside_the_image(9042, &options);
        let value = |name: &str| properties.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        assert_eq!(value("commitlog_compression.class_name").unwrap(), "LZ4Compressor");
        assert_eq!(value("commitlog_compression"), None);
        assert_eq!(value("commitlog_sync_period").unwrap(), "2000ms");
        assert_eq!(value("native_transport_port").unwrap(), "9042");
    }

    #[test]
    fn passwords_are_asked_for_only_with_authentication() {
        let open = lines(&Options::default());
        assert!(!open.iter().any(|line| line.starts_with("authenticator")), "{open:?}");
        let closed = lines(&Options::default().authentication(true));
        assert!(has(&closed, "authenticator: PasswordAuthenticator"), "{closed:?}");
        assert!(has(&closed, "authorizer: CassandraAuthorizer"), "{closed:?}");
    }
}

//! Three nodes: a batch goes to a node that holds all of its rows, and one node may be gone.

use std::time::Duration;

use end_to_end::{Load, World, all_committed, converges, ends, metric, publish_more};
use scylla::policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy};
use scylla::statement::unprepared::Statement;
use testbed::{Cassandra, Kafka, Options, Service, wait_for};

const NODES: u8 = 3;

struct Scene {
    ring: Vec<Cassandra>,
    world: World,
    topic: String,
    _kafka: Kafka,
}

async fn scene(test: &str, copies: u8) -> Scene {
    let start = || {
        let ring = Cassandra::start_ring(NODES, Options::default().heap_mb(512));
        (Kafka::start(Options::default()).unwrap(), ring.unwrap())
    };
    let (kafka, ring) = tokio::task::spawn_blocking(start).await.unwrap();
    let world = World::replicated(&kafka, &ring[0], test, copies).await;
    let topic = world.create_topic("users_created", 6);
    world.script("cassandra/tables/created_users.cql").await;
    world.route("random-user");
    Scene { ring, world, topic, _kafka: kafka }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_batch_goes_to_a_node_that_holds_all_its_rows() {
    let Scene { ring, world, topic, _kafka } = scene("grouped", 1).await;
    // All before the consumer starts, so that its batches fill.
    let load = Load::start(&world.brokers, &topic, 2_000);
    publish_more(&load, 3_000);
    let expected = load.stop();
    let messages: i64 = ends(&world.brokers, &topic).values().sum();

    let before = answers(&world, &ring).await;
    let consumer = world.consumer(&[]);
    stored(&consumer, messages);
    let forwarded = answers(&world, &ring).await - before;

    // A row counts where it is written. Of one node all batches would be right, and so would batches of one row.
    for node in &ring {
        let question = format!(
            "SELECT \"count\" FROM system_views.local_write_latency \
             WHERE keyspace_name = '{}' AND table_name = 'created_users'",
            world.name
        );
        let held = ask(&world, node, question).await;
        assert!(held > messages / 10, "{held} of {messages} rows are on {}", node.contact_point());
    }
    let batches = metric(&consumer, "tributary_write_seconds_count", &[]);
    let rows = metric(&consumer, "tributary_messages_total", &["outcome=\"stored\""]);
    println!("{rows} rows in {batches} batches, {forwarded} requests between nodes");
    assert!(rows > 10.0 * batches, "{rows} rows in {batches} batches");
    // The consumer's probes are among them, one or two a second.
    assert!(forwarded < messages / 20, "{forwarded} requests between nodes for {messages} rows");
    converges(&world, &expected, &consumer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_killed_node_of_three_stops_neither_rows_nor_commits() {
    let Scene { mut ring, world, topic, _kafka } = scene("node_killed", 3).await;
    let load = Load::start(&world.brokers, &topic, 500);
    let consumer = world.consumer(&[]);
    stored(&consumer, 1_000);
    // The only node that the consumer was told of.
    ring[0].kill();
    publish_more(&load, 2_000);
    let expected = load.stop();
    converges(&world, &expected, &consumer).await;
    all_committed(&world, &world.name, &topic, Duration::from_secs(90), &consumer);
    assert!(consumer.is_running(), "{}", consumer.log());
}

fn stored(consumer: &Service, messages: i64) {
    let messages = f64::from(u32::try_from(messages).unwrap());
    wait_for("rows to be stored", Duration::from_secs(90), || {
        (metric(consumer, "tributary_messages_total", &["outcome=\"stored\""]) >= messages).then_some(())
    });
}

// Answers that the nodes had from each other so far: one a row that its coordinator does not hold. Gossip is not
// among them.
async fn answers(world: &World, ring: &[Cassandra]) -> i64 {
    let mut sum = 0;
    for node in ring {
        let question =
            "SELECT completed_tasks FROM system_views.thread_pools WHERE name = 'RequestResponseStage'";
        sum += ask(world, node, question.to_owned()).await;
    }
    sum
}

// Virtual tables tell what is so on the node that is asked; it has no row for what has not happened yet.
async fn ask(world: &World, node: &Cassandra, question: String) -> i64 {
    let node = NodeIdentifier::NodeAddress(node.contact_point().parse().unwrap());
    let mut question = Statement::new(question);
    question.set_load_balancing_policy(Some(SingleTargetLoadBalancingPolicy::new(node, None)));
    let answer = world.session.query_unpaged(question, ()).await.unwrap();
    answer.into_rows_result().unwrap().maybe_first_row::<(i64,)>().unwrap().map_or(0, |(count,)| count)
}

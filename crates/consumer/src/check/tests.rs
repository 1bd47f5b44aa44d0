use super::*;

#[test]
fn routes_beside_a_broken_one_are_still_read() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("a.toml", "topic = \"a\"\ntable = \"shop.a\"\n[columns]\nid = \"id\"\n");
    write("b.toml", "topic = \"b b\"\ntable = \"b\"\n[columns]\nid = \"id\"\n");
    write("c.toml", "topic = \"c\"\ntable = \"shop.c\"\n[columns]\nid = \"id\"\n");
    let (routes, problems) = route::load_all(folder.path());
    let topics: Vec<_> = routes.iter().flat_map(|route| &route.topics).collect();
    assert_eq!(topics, ["a", "c"]);
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[test]
fn folder_without_routes_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let (routes, problems) = route::load_all(&folder.path().join("none"));
    assert!(routes.is_empty() && problems.len() == 1, "{problems:?}");
}

#[test]
fn problem_with_a_topic_points_to_where_the_route_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    std::fs::write(&file, "# orders\n\n topic = \"a\"\ntable = \"shop.a\"\n[columns]\nid = \"id\"\n")
        .unwrap();
    let (routes, _) = route::load_all(folder.path());
    let finding = at_topic(&routes[0], "wrong".to_owned());
    assert_eq!(finding.to_string(), format!("{}:3:10: wrong", file.display()));
}

#[tokio::test]
async fn servers_that_do_not_answer_are_named_and_the_routes_read_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.toml"), "topic = \"a\"\n").unwrap();
    let mut settings = Settings::default();
    settings.consumer.routes = folder.path().to_owned();
    settings.cassandra.contact_points = "127.0.0.1:1".to_owned();
    settings.kafka.brokers = "127.0.0.1:1".to_owned();
    let report = check(&settings, 10).await.unwrap();
    assert!(report.cassandra.error.is_some() && report.kafka.error.is_some(), "{report:?}");
    // It has no table and no columns.
    assert_eq!(report.errors.len(), 2, "{report:?}");
    assert_eq!(report.exit_code(), 1);
    std::fs::write(
        folder.path().join("a.toml"),
        "topic = \"a\"\ntable = \"shop.a\"\n[columns]\nid = \"id\"\n",
    )
    .unwrap();
    let report = check(&settings, 10).await.unwrap();
    assert_eq!((report.errors.len(), report.exit_code()), (0, 69), "{report:?}");
}

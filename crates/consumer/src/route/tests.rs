use super::*;

fn read(text: &str) -> Result<Route, Vec<String>> {
    let result = parse(FilePath::new("routes/x.toml"), text.to_owned());
    result.map_err(|problems| problems.iter().map(Problem::to_string).collect())
}

fn problems(text: &str) -> Vec<String> {
    read(text).unwrap_err()
}

// A route with these entries above its columns and these columns.
fn route(head: &str, columns: &str) -> Route {
    let text = format!("topic = \"t\"\ntable = \"k.t\"\n{head}\n[columns]\n{columns}");
    read(&text).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn source(column: &str) -> Source {
    route("", &format!("c = {column}\n")).columns[0].source.clone()
}

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

#[test]
fn route_reads_paths_headers_metadata_and_options() {
    let route = route(
        "missing = \"null\"\nttl = \"30d\"",
        "id = \"id\"\nat = { path = \"when\", time = \"epoch_ms\" }\norigin = { header = \"origin\" }\n\
         seen = { meta = \"timestamp\" }\n",
    );
    assert_eq!(route.ttl, Some(Ttl::Constant(30 * 86_400)));
    assert_eq!(route.missing, Missing::Null);
    let sources: Vec<_> = route.columns.iter().map(|rule| rule.source.clone()).collect();
    assert_eq!(sources[2..], [Source::Header("origin".to_owned()), Source::Meta(Meta::Timestamp)]);
    assert_eq!(route.columns[1].options.time.as_deref(), Some("epoch_ms"));
}

#[test]
fn one_topic_or_several() {
    assert_eq!(route("", "id = \"id\"\n").topics, ["t"]);
    let route = read("topic = [\"a\", \"b\"]\ntable = \"k.t\"\n[columns]\nid = \"id\"\n").unwrap();
    assert_eq!(route.topics, ["a", "b"]);
}

#[test]
fn key_value_uuid_and_the_whole_are_sources() {
    assert_eq!(source("{ key = \"a.b\" }"), Source::Key(path("a.b")));
    assert_eq!(source("{ uuid = [\"a\", \"b.c\"] }"), Source::Uuid(vec![path("a"), path("b.c")]));
    assert_eq!(source("\".\""), Source::Field(Path(Vec::new())));
    assert_eq!(source("{ key = \".\" }"), Source::Key(Path(Vec::new())));
    for (toml, json) in [
        ("\"e\\\"u\"", r#""e\"u""#),
        ("7", "7"),
        ("-1_000", "-1000"),
        ("0xff", "255"),
        ("+1.5e3", "1.5e3"),
        ("true", "true"),
    ] {
        assert_eq!(source(&format!("{{ value = {toml} }}")), Source::Constant(json.to_owned()), "{toml}");
        let column = &route("", &format!("c = {{ path = \"c\", default = {toml} }}\n")).columns[0];
        assert_eq!(column.default.as_ref().map(|json| json.get_ref().as_str()), Some(json));
    }
}

#[test]
fn times_consistency_and_deletes_are_read() {
    let plain = route("", "id = \"id\"\n");
    assert_eq!((plain.consistency, plain.deletes), (Consistency::LocalQuorum, Deletes::default()));
    assert!(plain.ttl.is_none() && plain.writetime.is_none());
    let full = route(
        "consistency = \"each_quorum\"\ndeletes = [\"row\", \"cells\"]\n\
         ttl = { path = \"a.b\", unit = \"h\", default = 2 }\n\
         writetime = { path = \"u\", time = \"epoch_us\", truncate = true }\n",
        "id = \"id\"\n",
    );
    assert_eq!(full.consistency, Consistency::EachQuorum);
    assert_eq!(full.deletes, Deletes { row: true, cells: true });
    assert_eq!(full.ttl, Some(Ttl::Field { path: path("a.b"), unit: Unit::Hours, default: Some(2) }));
    let hexadecimal = route("ttl = { path = \"a\", unit = \"s\", default = 0x10 }", "id = \"id\"\n");
    assert_eq!(hexadecimal.ttl, Some(Ttl::Field { path: path("a"), unit: Unit::Seconds, default: Some(16) }));
    let writetime = full.writetime.unwrap();
    assert_eq!((writetime.path, writetime.options.truncate), (path("u"), true));
    assert_eq!(route("deletes = \"cells\"", "id = \"id\"\n").deletes, Deletes { row: false, cells: true });
    assert_eq!(route("writetime = \"u\"", "id = \"id\"\n").writetime.unwrap().options, Options::default());
}

#[test]
fn units_count_whole_seconds_up_to_twenty_years() {
    for (unit, count, seconds) in [
        (Unit::Milliseconds, 999, None),
        (Unit::Milliseconds, 1_999, Some(1)),
        (Unit::Seconds, 0, None),
        (Unit::Seconds, -1, None),
        (Unit::Seconds, TTL_MAX_S, Some(TTL_MAX_S)),
        (Unit::Seconds, TTL_MAX_S + 1, None),
        (Unit::Minutes, 2, Some(120)),
        (Unit::Hours, 2, Some(7_200)),
        (Unit::Days, 7_300, Some(TTL_MAX_S)),
        (Unit::Days, i64::MAX, None),
    ] {
        assert_eq!(unit.seconds(count), seconds, "{count} {unit:?}");
    }
}

#[test]
fn every_problem_is_reported_with_its_place() {
    let found = problems("topic = \"a b\"\ntable = \"orders\"\nttl = \"0s\"\n[columns]\nid = \"a..b\"\n");
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(found[0].starts_with("routes/x.toml:1:9: topic \"a b\": a topic's name"), "{}", found[0]);
    assert!(
        found[1].starts_with("routes/x.toml:2:9: table \"orders\": expected keyspace.table"),
        "{}",
        found[1]
    );
    assert!(found[2].starts_with("routes/x.toml:3:7: ttl"), "{}", found[2]);
    assert!(found[3].starts_with("routes/x.toml:5:6: column id: path \"a..b\", character 3"), "{}", found[3]);
}

#[test]
fn unknown_keys_are_errors_at_every_level() {
    let levels = [
        ("ttll = \"1d\"\n[columns]\nid = \"id\"\n", "3:1: a route has no key ttll; did you mean ttl?"),
        ("[columns]\nid = { pth = \"id\" }\n", "4:8: column id has no key pth; did you mean path?"),
        (
            "ttl = { path = \"a\", unit = \"s\", defalt = 1 }\n[columns]\nid = \"id\"\n",
            "3:33: ttl has no key defalt; did you mean default?",
        ),
        (
            "writetime = { path = \"a\", tmie = \"epoch_s\" }\n[columns]\nid = \"id\"\n",
            "3:27: writetime has no key tmie; did you mean time?",
        ),
    ];
    for (rest, message) in levels {
        let found = problems(&format!("topic = \"t\"\ntable = \"k.t\"\n{rest}"));
        assert_eq!(found, [format!("routes/x.toml:{message}")]);
    }
}

#[test]
fn a_folder_tells_the_problems_of_all_its_files_and_the_routes_that_are_right() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("a.toml", "topic = \"t\"\n");
    write("b.toml", "topic = \"t\"\ntable = \"k.t\"\n[columns]\nid = \"id\"\n");
    write("c.toml", "topic = 1\ntable = \"k.t\"\n[columns]\nid = 2\n");
    write("notes.txt", "no route");
    let (routes, problems) = load_all(folder.path());
    assert_eq!((routes.len(), problems.len()), (1, 4), "{problems:#?}");
    assert_eq!(load(folder.path()).unwrap_err(), problems);
    let places: Vec<_> = problems.iter().map(|problem| (problem.file.file_name(), problem.line)).collect();
    let name = |name: &'static str| Some(std::ffi::OsStr::new(name));
    assert_eq!(places, [(name("a.toml"), 1), (name("a.toml"), 1), (name("c.toml"), 1), (name("c.toml"), 4)]);
}

#[test]
fn an_entry_of_the_folder_that_cannot_be_read_is_told() {
    let entries = [Ok("b.toml"), Err(io::Error::other("lost")), Ok("notes.txt"), Ok("a.toml")];
    let (files, unread) = files(entries.into_iter().map(|entry| entry.map(PathBuf::from)));
    assert_eq!(files, [PathBuf::from("a.toml"), PathBuf::from("b.toml")]);
    assert_eq!(unread.len(), 1);
}

#[test]
fn options_that_a_header_or_the_metadata_has_no_use_for_are_problems() {
    let found =
        |column: &str| problems(&format!("topic = \"t\"\ntable = \"k.t\"\n[columns]\nc = {column}\n"));
    for (column, part) in [
        ("{ header = \"h\", format = \"json\" }", "4:30: column c: format = \"json\" has no meaning"),
        ("{ meta = \"key\", format = \"json\" }", "format = \"json\" has no meaning"),
        ("{ meta = \"timestamp\", time = \"epoch_s\" }", "4:34: column c: a message's timestamp is a number"),
        ("{ meta = \"timestamp\", default = 0 }", "default has no meaning beside meta = \"timestamp\""),
    ] {
        let found = found(column);
        assert!(found.len() == 1 && found[0].contains(part), "{column}: {found:?}");
    }
    for column in [
        "{ header = \"h\", format = \"hex\" }",
        "{ key = \"a\", format = \"json\" }",
        "{ meta = \"timestamp\", time = \"epoch_ms\", bucket = \"day\" }",
    ] {
        source(column);
    }
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,200}") {
            let _ = read(&text);
        }

        // Whatever a route says wrongly, the message points into the file.
        #[test]
        fn places_are_inside_the_file(
            lines in prop::collection::vec(
                "(topic|table|missing|deletes|ttl|writetime|consistency|columns|x) = (\"[a-z.]{0,9}\"|[0-9]{1,3}|\\[\"[a-z ]{0,4}\"\\]|\\{ (path|unit|key|value) = \"[a-z.]{0,5}\" \\})",
                0..9,
            )
        ) {
            let text = lines.join("\n");
            let count = text.lines().count().max(1);
            if let Err(problems) = parse(FilePath::new("x.toml"), text) {
                prop_assert!(!problems.is_empty());
                for problem in problems {
                    prop_assert!((1..=count).contains(&problem.line), "{}", problem);
                }
            }
        }

        #[test]
        fn a_path_reads_back_as_it_was_written(
            steps in prop::collection::vec((prop_oneof!["[a-z]{1,4}", "[a-z.\"\\[\\] é]{0,6}"], prop::option::of(0..20_usize)), 1..5)
        ) {
            let steps = steps.into_iter().flat_map(|(name, index)| {
                [Some(crate::path::Step::Key(name)), index.map(crate::path::Step::Index)]
            });
            let path = Path(steps.flatten().collect());
            prop_assert_eq!(path.to_string().parse::<Path>().unwrap(), path);
        }
    }
}

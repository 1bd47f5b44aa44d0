use super::*;
use std::os::unix::fs::PermissionsExt;

#[test]
fn the_feature_release_is_read_from_every_form_of_version() {
    let cases = [
        ("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime Environment", Some(17)),
        ("Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version \"21\" 2023-09-19", Some(21)),
        ("java version \"1.8.0_292\"", Some(8)),
        ("openjdk version \"17-ea\" 2021-09-14", Some(17)),
        ("openjdk version \"25.0.1+8\"", Some(25)),
        ("The operation couldn't be completed. Unable to locate a Java Runtime.", None),
        ("openjdk version \"unknown\"", None),
        ("", None),
    ];
    for (text, expected) in cases {
        assert_eq!(parse_java_version(text), expected, "{text:?}");
    }
}

fn executable(path: &Path, script: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn java(path: &Path, version: &str) {
    executable(path, &format!("echo 'openjdk version \"{version}\" 2025-04-15' >&2"));
}

fn places(machine: &Path) -> Places {
    Places {
        forced: None,
        java_home: None,
        maven_home: None,
        path: vec![machine.join("bin")],
        java_folders: vec![machine.join("jvm")],
        maven_folders: vec![machine.join("opt")],
        docker: |_| Err("no docker in PATH".to_owned()),
    }
}

#[test]
fn java_17_in_a_usual_folder_is_preferred_to_another_java_in_the_path() {
    let machine = tempfile::tempdir().unwrap();
    java(&machine.path().join("bin/java"), "21.0.2");
    java(&machine.path().join("jvm/a-11/bin/java"), "11.0.20");
    java(&machine.path().join("jvm/b-17/bin/java"), "17.0.15");
    executable(&machine.path().join("opt/maven/bin/mvn"), "exit 0");
    let found = places(machine.path()).find().unwrap();
    let expected = Tools::Jvm {
        java: machine.path().join("jvm/b-17/bin/java"),
        maven: machine.path().join("opt/maven/bin/mvn"),
    };
    assert_eq!(found, expected);
}

#[test]
fn java_home_comes_first() {
    let machine = tempfile::tempdir().unwrap();
    java(&machine.path().join("home/bin/java"), "17.0.1");
    java(&machine.path().join("bin/java"), "17.0.15");
    executable(&machine.path().join("bin/mvn"), "exit 0");
    let mut places = places(machine.path());
    places.java_home = Some(machine.path().join("home"));
    let Tools::Jvm { java, .. } = places.find().unwrap() else { panic!("not the JVM") };
    assert_eq!(java, machine.path().join("home/bin/java"));
}

#[test]
fn docker_serves_where_java_or_maven_is_absent_and_only_there() {
    let machine = tempfile::tempdir().unwrap();
    java(&machine.path().join("bin/java"), "17.0.15");
    let mut places = places(machine.path());
    places.docker = |_| Ok(PathBuf::from("/usr/bin/docker"));
    assert_eq!(places.find().unwrap(), Tools::Docker { docker: PathBuf::from("/usr/bin/docker") });
    executable(&machine.path().join("bin/mvn"), "exit 0");
    assert!(matches!(places.find().unwrap(), Tools::Jvm { .. }));
    places.forced = Some("docker".to_owned());
    assert!(matches!(places.find().unwrap(), Tools::Docker { .. }));
}

#[test]
fn what_is_missing_is_told_with_all_that_was_sought_and_found() {
    let machine = tempfile::tempdir().unwrap();
    let at = machine.path().display();
    java(&machine.path().join("bin/java"), "21.0.2");
    java(&machine.path().join("jvm/b-25/bin/java"), "25");
    executable(&machine.path().join("jvm/c-broken/bin/java"), "exit 1");
    let expected = format!(
        "real servers need Java 17 exactly and Maven, or a Docker engine
  java 17: not in JAVA_HOME (unset), PATH, {at}/jvm/*
    found java 21 at {at}/bin/java
    found java 25 at {at}/jvm/b-25/bin/java
    found {at}/jvm/c-broken/bin/java, which tells no version
  maven: no mvn in MAVEN_HOME (unset), PATH, {at}/opt/*
  docker: no docker in PATH
  on Debian 12 or Ubuntu: apt-get install openjdk-17-jdk-headless maven"
    );
    assert_eq!(places(machine.path()).find().unwrap_err().to_string(), expected);
}

#[test]
fn an_unknown_backend_is_refused_by_name() {
    let machine = tempfile::tempdir().unwrap();
    java(&machine.path().join("bin/java"), "17.0.15");
    executable(&machine.path().join("bin/mvn"), "exit 0");
    let mut places = places(machine.path());
    places.forced = Some("podman".to_owned());
    let message = places.find().unwrap_err().to_string();
    assert!(message.contains("TRIBUTARY_TEST_BACKEND=podman allows one of them alone"), "{message}");
    assert!(
        message.contains(&format!("java 17: found at {}/bin/java", machine.path().display())),
        "{message}"
    );
}

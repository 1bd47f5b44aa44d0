//! `tributary doctor` where users and certificates are checked: who is refused, and for what.

use std::time::Duration;

use end_to_end::World;
use testbed::{Operation, Resource};

use super::Case;
use super::scene::{WRONG, scene};

const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_user_and_a_refused_certificate_are_named_with_the_settings_to_look_at() {
    let scene = scene();
    let world = World::on(&scene.kafka, &scene.cassandra, "secure_doctor").await;
    let topic = world.create_topic("users_created", 1);
    world.script("cassandra/tables/created_users.cql").await;
    world.route("random-user");
    for name in [topic.clone(), format!("{topic}.dlq")] {
        scene.kafka.allow("operator", Operation::Read, Resource::Topic(&name)).unwrap();
        scene.kafka.allow("operator", Operation::DescribeConfigs, Resource::Topic(&name)).unwrap();
    }
    let role = format!("{}_operator", world.name);
    world.cql(&format!("CREATE ROLE {role} WITH PASSWORD = '{}' AND LOGIN = true", scene.password)).await;
    world.cql(&format!("GRANT MODIFY ON TABLE {}.created_users TO {role}", world.name)).await;
    world.cql(&format!("GRANT MODIFY ON TABLE tributary.durability_probe TO {role}")).await;
    let doctor = |changes: &[(&str, &str)]| {
        let settings = scene.settings("operator", &role);
        let settings = settings.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let settings: Vec<(&str, &str)> = settings.chain(changes.iter().copied()).collect();
        let mut doctor = world.run("tributary", &["doctor"], &settings);
        (doctor.wait(SOON), doctor.log())
    };

    let (code, text) = doctor(&[]);
    assert_eq!(code, Some(0), "{text}");
    let other = scene.other_authority();
    let cases: [Case<'_>; 4] = [
        (
            &[("KAFKA__PASSWORD_FILE", ""), ("KAFKA__PASSWORD", WRONG)],
            &["WRONG        kafka client: the user or the certificate is refused", "kafka.password"],
        ),
        (
            &[("KAFKA__CA", &other)],
            &["WRONG        kafka client: the user or the certificate is refused", "kafka.ca"],
        ),
        (
            &[("CASSANDRA__PASSWORD_FILE", ""), ("CASSANDRA__PASSWORD", WRONG)],
            &["WRONG        cassandra session", "refuses user", "cassandra.password"],
        ),
        (&[("CASSANDRA__CA", &other)], &["WRONG        cassandra session", "certificate", "cassandra.ca"]),
    ];
    for (changes, words) in cases {
        let (code, text) = doctor(changes);
        assert_eq!(code, Some(1), "{changes:?}:\n{text}");
        assert!(words.iter().all(|word| text.contains(word)), "{changes:?}: no {words:?} in\n{text}");
        assert!(!text.contains(WRONG), "{text}");
    }
}

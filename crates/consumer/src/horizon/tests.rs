//! Horizons by hand; any history of nodes and probes is in `model`.

mod model;

use super::*;

const A: Uuid = Uuid::from_u128(1);
const B: Uuid = Uuid::from_u128(2);
const AFTER: Duration = Duration::from_secs(16);

struct Scene {
    horizon: Horizon,
    at: Instant,
}

impl Scene {
    fn new() -> Self {
        Self { horizon: Horizon::new(AFTER), at: Instant::now() }
    }

    fn wait(&mut self, seconds: f64) {
        self.at += Duration::from_secs_f64(seconds);
    }

    fn probe(&mut self, took: f64, nodes: &[(Uuid, Option<i32>)]) -> Verdict {
        self.horizon.sent(self.at);
        self.wait(took);
        self.horizon.answered(self.at, &nodes.iter().copied().collect())
    }

    fn stamp(&self) -> Duration {
        self.horizon.now(self.at)
    }

    // Probes once a second until a row stamped `stamp` is durable; seconds that this took.
    fn until_durable(&mut self, stamp: Duration) -> u32 {
        for second in 1..100 {
            self.wait(1.0);
            match self.probe(0.001, &[(A, Some(1))]) {
                Verdict::Same { durable_up_to: Some(limit) } if stamp <= limit => return second,
                Verdict::Same { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        panic!("never durable");
    }
}

#[test]
fn rows_are_durable_after_the_horizon_and_not_before() {
    let mut scene = Scene::new();
    assert_eq!(scene.probe(0.0, &[(A, Some(1))]), Verdict::First);
    let stamp = scene.stamp();
    let took = scene.until_durable(stamp);
    assert!((16..=17).contains(&took), "{took} s");
}

#[test]
fn an_outage_does_not_age_rows_into_durability() {
    let mut scene = Scene::new();
    scene.probe(0.0, &[(A, Some(1))]);
    let stamp = scene.stamp();
    // Sent at once, answered after a minute: the node hung meanwhile.
    assert_eq!(scene.probe(60.0, &[(A, Some(1))]), Verdict::Same { durable_up_to: None });
    assert_eq!(scene.probe(60.0, &[(A, None)]), Verdict::Unanswered);
    let took = scene.until_durable(stamp);
    assert!(took >= 15, "{took} s");
}

#[test]
fn a_consumer_that_stood_still_gains_two_seconds_at_most() {
    let mut scene = Scene::new();
    scene.probe(0.0, &[(A, Some(1))]);
    let stamp = scene.stamp();
    scene.wait(3_600.0);
    assert_eq!(scene.probe(0.0, &[(A, Some(1))]), Verdict::Same { durable_up_to: None });
    assert!(scene.until_durable(stamp) >= 13);
}

#[test]
fn a_restarted_node_asks_for_a_rewind_once() {
    let mut scene = Scene::new();
    scene.probe(0.0, &[(A, Some(1))]);
    assert!(matches!(scene.probe(0.0, &[(A, Some(2))]), Verdict::Restarted { .. }));
    assert!(matches!(scene.probe(0.0, &[(A, Some(2))]), Verdict::Same { .. }));
}

#[test]
fn another_database_is_no_restart() {
    let mut scene = Scene::new();
    scene.probe(0.0, &[(A, Some(1))]);
    assert_eq!(scene.probe(0.0, &[(B, Some(1))]), Verdict::Replaced);
}

#[test]
fn a_lost_node_of_several_rewinds_once_and_is_then_left_out() {
    let mut scene = Scene::new();
    scene.probe(0.0, &[(A, Some(1)), (B, Some(1))]);
    let mut rewinds = 0;
    for _ in 0..30 {
        scene.wait(1.0);
        match scene.probe(0.0, &[(A, Some(1)), (B, None)]) {
            Verdict::Restarted { .. } => rewinds += 1,
            Verdict::Unanswered => assert_eq!(rewinds, 0, "left out after the rewind"),
            Verdict::Same { .. } => assert_eq!(rewinds, 1),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(rewinds, 1);
    assert!(matches!(scene.probe(0.0, &[(A, Some(1)), (B, Some(2))]), Verdict::Restarted { .. }));
}

#[test]
fn writing_does_not_begin_before_every_node_has_answered() {
    let mut scene = Scene::new();
    assert_eq!(scene.probe(0.0, &[(A, Some(1)), (B, None)]), Verdict::Unanswered);
    assert_eq!(scene.probe(0.0, &[(A, Some(1)), (B, Some(1))]), Verdict::First);
}

#[test]
fn a_node_that_is_down_from_the_start_is_left_out_and_rewinds_once_when_it_comes() {
    let mut scene = Scene::new();
    let mut waited = 0;
    while scene.probe(0.0, &[(A, Some(1)), (B, None)]) == Verdict::Unanswered {
        scene.wait(1.0);
        waited += 1;
        assert!(waited < 100, "never begins");
    }
    assert_eq!(waited, 10);
    assert!(matches!(scene.probe(0.0, &[(A, Some(1)), (B, None)]), Verdict::Same { .. }));
    assert!(matches!(scene.probe(0.0, &[(A, Some(1)), (B, Some(7))]), Verdict::Restarted { .. }));
    assert!(matches!(scene.probe(0.0, &[(A, Some(1)), (B, Some(7))]), Verdict::Same { .. }));
}

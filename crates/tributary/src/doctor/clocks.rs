//! Clocks: this machine's against Cassandra's, and against the timestamps of Kafka's newest messages.

use chrono::Utc;
use consumer::topic::{Topics, Unread};

use super::finding::Finding;

/// More than what NTP leaves, on any machine.
const OFF_MAX_MS: i64 = 5_000;
/// A message that is so far ahead is a dead letter.
const AHEAD_MAX_MS: i64 = 3_600_000;
const REMEDY: &str = "let NTP set the clocks of all machines (timedatectl set-ntp true)";

/// A clock that was asked, and when, by ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock {
    pub(super) before_ms: i64,
    pub(super) their_ms: i64,
    pub(super) after_ms: i64,
}

impl Clock {
    // By how much it is ahead of ours at least, however long question and answer were on their way.
    fn ahead_ms(self) -> i64 {
        let Self { before_ms, their_ms, after_ms } = self;
        if their_ms > after_ms { their_ms - after_ms } else { (their_ms - before_ms).min(0) }
    }
}

/// A partition with messages that are more than an hour ahead of this machine's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ahead {
    topic: String,
    partition: i32,
    offset: i64,
}

/// This machine's clock.
pub(super) fn now_ms() -> i64 {
    Utc::now().timestamp_millis()
}

/// Looks for messages of the future; blocks.
pub(super) fn observe(topics: &Topics, names: &[String]) -> Result<Vec<Ahead>, Unread> {
    let mut ahead = Vec::new();
    for topic in names {
        let ends = topics.ranges(topic)?;
        // The end of a partition where there is none, and later where some have come meanwhile.
        for (partition, offset) in topics.offsets_at(topic, now_ms() + AHEAD_MAX_MS)? {
            if ends.get(&partition).is_some_and(|range| range.contains(&offset)) {
                ahead.push(Ahead { topic: topic.clone(), partition, offset });
            }
        }
    }
    Ok(ahead)
}

/// Cassandra's clock.
pub(super) fn judge(clock: &Clock) -> Finding {
    let what = "cassandra's clock";
    let ahead_ms = clock.ahead_ms();
    if ahead_ms.abs() <= OFF_MAX_MS {
        return Finding::ok(what, "as this machine's");
    }
    let way = if ahead_ms > 0 { "ahead of" } else { "behind" };
    let says = format!("{} s {way} this machine's", ahead_ms.abs() / 1_000);
    if ahead_ms.abs() > AHEAD_MAX_MS {
        let says = format!("{says}: messages more than an hour ahead are dead letters");
        return Finding::wrong(what, says, REMEDY);
    }
    let says = format!("{says}: rows with a time to live go that much too early or too late");
    Finding::warning(what, says, REMEDY)
}

/// The newest messages' timestamps.
pub(super) fn judge_newest(ahead: &[Ahead]) -> Vec<Finding> {
    if ahead.is_empty() {
        return vec![Finding::ok(
            "kafka's newest messages",
            "none is more than an hour ahead of this machine's clock",
        )];
    }
    let finding = |Ahead { topic, partition, offset }: &Ahead| {
        Finding::wrong(
            format!("clock of topic {topic}"),
            format!(
                "the message at {topic}:{partition}:{offset} is more than an hour ahead of this machine's clock: such are dead \
                 letters; its producer's clock is wrong, or this machine's"
            ),
            REMEDY,
        )
    };
    ahead.iter().map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    fn clock(before_ms: i64, their_ms: i64, after_ms: i64) -> Clock {
        Clock { before_ms, their_ms, after_ms }
    }

    #[test]
    fn the_round_trip_is_no_difference() {
        assert_eq!(clock(1_000, 1_000, 1_001).ahead_ms(), 0);
        assert_eq!(clock(1_000, 9_000, 11_000).ahead_ms(), 0, "the answer may have been on its way so long");
        assert_eq!(clock(1_000, 7_001, 1_001).ahead_ms(), 6_000);
        assert_eq!(clock(7_000, 1_000, 7_001).ahead_ms(), -6_000);
    }

    #[test]
    fn a_clock_that_is_off_is_told_with_how_much() {
        assert_eq!(judge(&clock(0, 5_000, 0)).state, State::Ok);
        let ahead = judge(&clock(0, 90_000, 0));
        assert_eq!(
            (ahead.state, ahead.says.starts_with("90 s ahead of")),
            (State::Warning, true),
            "{ahead:?}"
        );
        let behind = judge(&clock(7_200_000, 0, 7_200_000));
        assert_eq!(
            (behind.state, behind.says.starts_with("7200 s behind")),
            (State::Wrong, true),
            "{behind:?}"
        );
    }

    #[test]
    fn messages_of_the_future_are_named() {
        assert_eq!(judge_newest(&[])[0].state, State::Ok);
        let ahead = Ahead { topic: "weather".to_owned(), partition: 3, offset: 17 };
        let finding = judge_newest(&[ahead]).remove(0);
        assert_eq!(finding.state, State::Wrong);
        assert!(finding.says.contains("weather:3:17"), "{finding:?}");
    }
}

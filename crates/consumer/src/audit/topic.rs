//! One topic of an audit: what is judged of it, how far the first pass has come, and what became of its messages.

use std::collections::BTreeMap;
use std::ops::Range;

use super::letters::Letters;
use super::report::{Counts, Lost, TopicReport};
use super::sources::{Sources, Unready, by_topic};
use super::{CLIENT, Options};
use crate::settings::Settings;
use crate::topic::{Ranges, Since, Topics};

/// A topic that is judged; or one that fills the same tables, whose messages are heard.
pub(super) struct AuditedTopic {
    pub(super) name: String,
    pub(super) routes: Vec<usize>,
    /// What each partition held at the beginning.
    pub(super) whole: Ranges,
    /// What is judged of it.
    pub(super) judged: Ranges,
    /// What was deleted before the group had read it.
    lost: Ranges,
    /// What the first pass has looked at since the last trial.
    pub(super) segment: Ranges,
    pub(super) letters: Letters,
    /// Whether its end is known: the group has committed something of it, or that is not asked for.
    pub(super) is_committed: bool,
    pub(super) messages: u64,
    pub(super) tallies: BTreeMap<usize, Tally>,
}

/// What became of a topic's messages by one route.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) counts: Counts,
    /// Messages of open rows, until the trial.
    pub(super) open: u64,
    /// Messages that the trial found missing, stale or different.
    pub(super) faulty: u64,
}

impl AuditedTopic {
    /// The topics that were asked for, and those that fill the same tables.
    pub(super) async fn open(
        settings: &Settings,
        options: &Options,
        sources: &Sources,
    ) -> Result<Vec<Self>, Unready> {
        let by_topic = by_topic(&sources.routes);
        for asked in &options.topics {
            if !by_topic.contains_key(asked) {
                let near = crate::plan::nearest(asked, by_topic.keys().map(String::as_str));
                return Err(Unready::Refused(format!("no route has the topic {asked}{near}")));
            }
        }
        let asked =
            |topic: &str| options.topics.is_empty() || options.topics.iter().any(|asked| asked == topic);
        let asked_tables: Vec<usize> = by_topic
            .iter()
            .filter(|(topic, _)| asked(topic))
            .flat_map(|(_, routes)| routes.iter().map(|route| sources.routes[*route].table))
            .collect();
        let fills = |routes: &[usize]| {
            routes.iter().any(|route| asked_tables.contains(&sources.routes[*route].table))
        };
        let wanted: Vec<(String, Vec<usize>, bool)> = by_topic
            .into_iter()
            .filter(|(_, routes)| fills(routes))
            .map(|(topic, routes)| (topic.clone(), routes, asked(&topic)))
            .collect();
        let tables: Vec<String> = sources.tables.iter().map(|table| table.name.clone()).collect();
        let (settings, options) = (settings.clone(), options.clone());
        let opened = tokio::task::spawn_blocking(move || {
            let topics = Topics::connect(&settings.kafka, CLIENT)?;
            let open = |(name, routes, judged)| {
                Self::ask(&settings, &options, &topics, &tables, name, routes, judged)
            };
            wanted.into_iter().map(open).collect()
        });
        opened.await.map_err(|error| Unready::Away(error.to_string()))?
    }

    fn ask(
        settings: &Settings,
        options: &Options,
        topics: &Topics,
        tables: &[String],
        name: String,
        routes: Vec<usize>,
        is_judged: bool,
    ) -> Result<Self, Unready> {
        if topics.partitions(&name).is_none() {
            return Err(Unready::Refused(format!(
                "topic {name} does not exist on {}",
                settings.kafka.brokers
            )));
        }
        let whole = topics.ranges(&name)?;
        let mut judged = Ranges::new();
        let mut lost = Ranges::new();
        let mut is_committed = options.to_end;
        if is_judged {
            let begins = topics.offsets_of(&name, options.since, &whole)?;
            let commits = topics.committed(&settings.kafka, &settings.consumer.group, &name)?;
            is_committed |= !commits.is_empty();
            for (number, range) in &whole {
                let committed = commits.get(number).map(|commit| commit.offset);
                // What is not committed may be on its way: nothing is judged of a partition without a commit.
                let end = if options.to_end { range.end } else { committed.unwrap_or(range.start) };
                let end = end.clamp(range.start, range.end);
                let begin = begins.get(number).copied().unwrap_or(range.start);
                judged.insert(*number, begin.clamp(range.start, end)..end);
                lost.insert(*number, unread(committed, range.start, options.since, begin));
            }
        }
        // After the offsets: the letters of what is committed are there by now.
        let letters = Letters::read(topics, &settings.consumer.group, &name, tables)?;
        let tallies = routes.iter().map(|route| (*route, Tally::default())).collect();
        let segment = judged.iter().map(|(number, range)| (*number, range.start..range.start)).collect();
        Ok(Self { name, routes, whole, judged, lost, segment, letters, is_committed, messages: 0, tallies })
    }

    pub(super) fn is_judged(&self) -> bool {
        !self.judged.is_empty()
    }

    fn is_bare(&self) -> bool {
        self.whole.values().all(Range::is_empty)
    }

    /// Whether it has messages, and nothing of them is judged: the group has committed nothing of it.
    pub(super) fn is_uncommitted(&self) -> bool {
        self.is_judged() && !self.is_committed && !self.is_bare()
    }

    /// Offsets to be judged.
    pub(super) fn offsets(&self) -> u64 {
        self.judged.values().map(length).sum()
    }

    pub(super) fn tally(&mut self, route: usize) -> &mut Tally {
        self.tallies.entry(route).or_default()
    }

    /// So many messages up to `end` were looked at.
    pub(super) fn passed(&mut self, partition: i32, end: i64, messages: u64) {
        if let Some(segment) = self.segment.get_mut(&partition) {
            segment.end = end;
        }
        self.messages += messages;
    }

    /// It has nothing more: what was not there up to its end is gone.
    pub(super) fn ended(&mut self) {
        for (number, segment) in &mut self.segment {
            segment.end = self.judged.get(number).map_or(segment.end, |judged| judged.end);
        }
    }

    pub(super) fn report(&self, route: usize) -> TopicReport {
        let offsets = self.offsets();
        let left = |(number, judged): (&i32, &Range<i64>)| {
            self.whole.get(number).map_or(0, |whole| length(&(judged.end..whole.end)))
        };
        let passed = |(number, judged): (&i32, &Range<i64>)| {
            self.segment.get(number).map_or(0, |segment| length(&(judged.start..segment.end)))
        };
        let passed: u64 = self.judged.iter().map(passed).sum();
        TopicReport {
            topic: self.name.clone(),
            partitions: self.whole.len(),
            offsets,
            not_committed: self.judged.iter().map(left).sum(),
            gone: passed.saturating_sub(self.messages),
            not_read: offsets.saturating_sub(passed),
            counts: self.tallies.get(&route).map(|tally| tally.counts).unwrap_or_default(),
        }
    }

    /// What retention deleted before the group had read it.
    pub(super) fn lost(&self) -> impl Iterator<Item = Lost> {
        let lost = self.lost.iter().filter(|(_, lost)| !lost.is_empty());
        lost.map(|(number, lost)| Lost {
            topic: self.name.clone(),
            partition: *number,
            from: lost.start,
            to: lost.end,
            offsets: length(lost),
        })
    }

    pub(super) fn notes(&self, group: &str) -> Vec<String> {
        if !self.is_committed {
            let topic = &self.name;
            let offsets: u64 = self.whole.values().map(length).sum();
            return vec![match offsets {
                0 => format!("topic {topic}: it is empty, and group {group} has committed nothing of it"),
                _ => format!(
                    "topic {topic}: group {group} has committed nothing of its {offsets} offsets: none is judged"
                ),
            }];
        }
        let without: Vec<String> = self
            .judged
            .iter()
            .filter(|(number, judged)| {
                judged.is_empty() && self.whole.get(number).is_some_and(|whole| !whole.is_empty())
            })
            .map(|(number, _)| number.to_string())
            .collect();
        match without.len() {
            0 => Vec::new(),
            _ => vec![format!(
                "topic {}: nothing to judge in partition {}: group {group} has not committed there, or nothing since then",
                self.name,
                without.join(", ")
            )],
        }
    }
}

// Offsets that the group had still to read when they were deleted: those from its commit up to the first that is there.
fn unread(committed: Option<i64>, first: i64, since: Since, begin: i64) -> Range<i64> {
    let from = committed.unwrap_or(first);
    match since {
        Since::Beginning => from..first,
        Since::Offset(offset) => from.max(offset)..first,
        // What was deleted is older than what is there.
        Since::Time(_) if begin > first => first..first,
        Since::Time(_) => from..first,
    }
}

fn length(range: &Range<i64>) -> u64 {
    u64::try_from(range.end - range.start).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_deleted_behind_the_commit_is_lost_and_what_was_read_is_not() {
        let lost = |committed, since, begin| unread(committed, 20, since, begin);
        assert_eq!(lost(Some(5), Since::Beginning, 20), 5..20);
        assert!(lost(Some(20), Since::Beginning, 20).is_empty());
        assert!(lost(Some(30), Since::Beginning, 20).is_empty());
        assert!(lost(None, Since::Beginning, 20).is_empty(), "nobody knows whether it was to be read");
        assert_eq!(lost(Some(5), Since::Offset(12), 20), 12..20);
        assert!(lost(Some(5), Since::Offset(25), 25).is_empty());
        assert_eq!(lost(Some(5), Since::Time(1), 20), 5..20);
        assert!(lost(Some(5), Since::Time(1), 21).is_empty(), "it is older than what is asked for");
    }

    fn topic(whole: Ranges, judged: Ranges, is_committed: bool) -> AuditedTopic {
        AuditedTopic {
            name: "t".to_owned(),
            routes: vec![0],
            segment: judged.iter().map(|(number, range)| (*number, range.start..range.start)).collect(),
            whole,
            judged,
            lost: Ranges::new(),
            letters: Letters::default(),
            is_committed,
            messages: 0,
            tallies: BTreeMap::new(),
        }
    }

    #[test]
    fn a_topic_of_which_nothing_is_committed_is_told_once() {
        let whole = || Ranges::from([(0, 0..100), (1, 50..90)]);
        let never = topic(whole(), [(0, 0..0), (1, 50..50)].into(), false);
        assert!(never.is_uncommitted());
        let note = "topic t: group g has committed nothing of its 140 offsets: none is judged";
        assert_eq!(never.notes("g"), [note]);
        let partly = topic(whole(), [(0, 0..100), (1, 50..50)].into(), true);
        assert!(!partly.is_uncommitted());
        assert!(partly.notes("g")[0].contains("nothing to judge in partition 1:"), "{:?}", partly.notes("g"));
        let empty = topic([(0, 7..7)].into(), [(0, 7..7)].into(), false);
        assert!(!empty.is_uncommitted(), "there is nothing to judge, and nothing is wrong");
        assert_eq!(empty.notes("g"), ["topic t: it is empty, and group g has committed nothing of it"]);
        assert!(!topic(whole(), Ranges::new(), false).is_uncommitted(), "it is only heard");
    }

    #[test]
    fn what_is_not_read_yet_is_not_gone() {
        let ranges = [(0, 0..100), (1, 50..90)].into();
        let mut topic = topic(ranges, [(0, 0..100), (1, 50..80)].into(), true);
        let told = |topic: &AuditedTopic| {
            let TopicReport { offsets, not_committed, gone, not_read, .. } = topic.report(0);
            (offsets, not_committed, gone, not_read)
        };
        assert_eq!(told(&topic), (130, 10, 0, 130));
        topic.passed(0, 40, 38);
        assert_eq!(told(&topic), (130, 10, 2, 90));
        topic.passed(1, 79, 29);
        topic.ended();
        assert_eq!(told(&topic), (130, 10, 63, 0));
    }
}

//! What the letters' group has committed -> whether its rows belong into this database.
//!
//! The consumer notes the nodes that it writes to beside its offsets ([`crate::hosts`]), and stops where none of them is known.
//! A replay elsewhere would store some of the rows in one database and remove their letters in all.

use std::collections::{BTreeMap, BTreeSet};

use super::Replay;
use crate::command::Failed;
use crate::dead_letter::{Letters, Selected};
use crate::hosts::Hosts;
use crate::topic::Commit;

/// What a group has committed, by topic; `None` is a topic that does not exist any more.
type Committed = BTreeMap<String, Option<Vec<Commit>>>;

impl Replay {
    /// Compares this database with the one that the group has written to, as the consumer does: by all that is noted beside
    /// what it has committed of the routes' topics. A topic of which it has read nothing for long may have the note of nodes
    /// that were replaced since, one after the other. Where nothing is noted, nothing is held against the database.
    ///
    /// # Errors
    /// It is another one, or the group writes no tables; or Kafka does not tell.
    pub async fn is_of_the_group(
        &self,
        letters: &Letters,
        selected: &[(String, Vec<Selected>)],
    ) -> Result<(), Failed> {
        let (kafka, group) = (&self.settings.kafka, &self.settings.consumer.group);
        let selected: BTreeSet<&String> = selected.iter().map(|(topic, _)| topic).collect();
        if selected.is_empty() {
            return Ok(());
        }
        let mut committed = Committed::new();
        for topic in self.routes.iter().flat_map(|route| &route.topics).chain(selected.iter().copied()) {
            if !committed.contains_key(topic) {
                let of_topic = letters.committed(kafka, group, topic).await;
                let of_topic = of_topic.map_err(|error| Failed::Unavailable(error.to_string()))?;
                committed.insert(topic.clone(), of_topic);
            }
        }
        refusal(&selected, &committed, &self.store.hosts()).map_or(Ok(()), |why| {
            let points = &self.settings.cassandra.contact_points;
            Err(Failed::Refused(format!("group {group}, cassandra at {points}: {why}")))
        })
    }
}

// Why letters of these topics, of a group that has committed this, do not belong onto these nodes.
fn refusal(selected: &BTreeSet<&String>, committed: &Committed, now: &Hosts) -> Option<String> {
    let commits = || committed.values().flatten().flatten();
    // A topic that was deleted has no offsets, and its letters still stand: then the others tell.
    let is_uncommitted = |topic: &&&String| {
        committed.get(**topic).is_some_and(|of_topic| of_topic.as_ref().is_some_and(Vec::is_empty))
    };
    if let Some(topic) = selected.iter().find(is_uncommitted) {
        return Some(format!(
            "the group has committed nothing of topic {topic}, as one that writes CSV files: its letters are no rows of a table. \
             Name the group of the consumer that writes tables (--group, or consumer.group); if it is this one, let it run \
             until it has committed"
        ));
    }
    let mut written_to = Hosts::default();
    commits().for_each(|commit| written_to.extend(Hosts::of_note(&commit.note)));
    written_to.are_strange_to(now).then(|| {
        "this is not the database that the group has written to: none of its nodes is known. Name the right one \
         (cassandra.contact_points); if the old one is lost, rewind the group with kafka-consumer-groups.sh \
         --reset-offsets, let the consumer read everything again, then replay"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn hosts(number: u128) -> Hosts {
        Hosts::from_iter([Uuid::from_u128(number)])
    }

    // Topic `a` and `b`: of each partition the node that is noted, 0 for none.
    fn refused(selected: &[&str], a: Option<&[u128]>, b: Option<&[u128]>) -> Option<String> {
        let note = |host: &u128| if *host == 0 { String::new() } else { hosts(*host).note() };
        let commits = |notes: &[u128]| {
            notes.iter().map(|host| Commit { offset: 7, note: note(host) }).collect::<Vec<_>>()
        };
        let committed = [("a", a), ("b", b)];
        let committed =
            committed.map(|(topic, notes)| (topic.to_owned(), notes.map(commits))).into_iter().collect();
        let selected: Vec<String> = selected.iter().map(|topic| (*topic).to_owned()).collect();
        refusal(&selected.iter().collect(), &committed, &hosts(1))
    }

    #[test]
    fn letters_are_replayed_only_where_their_group_has_written() {
        assert_eq!(refused(&["a"], Some(&[1]), None), None);
        assert_eq!(refused(&["a"], Some(&[0]), Some(&[])), None, "an older consumer, or a rewound group");
        assert_eq!(refused(&["a"], Some(&[2, 1]), None), None, "one partition knows it");
        assert_eq!(refused(&["a"], Some(&[2, 0]), Some(&[1])), None, "another topic knows it");
        for other in [
            refused(&["a"], Some(&[2, 0]), None),
            refused(&["a"], Some(&[2]), Some(&[3])),
            refused(&["a"], Some(&[0]), Some(&[2])),
            refused(&["a"], None, Some(&[2])),
        ] {
            let other = other.unwrap();
            assert!(
                other.contains("not the database") && other.contains("cassandra.contact_points"),
                "{other}"
            );
        }
    }

    #[test]
    fn letters_of_a_group_that_has_committed_nothing_are_no_rows() {
        for (nobody, of) in [
            (refused(&["a"], Some(&[]), Some(&[])), "nothing of topic a,"),
            (refused(&["a", "b"], Some(&[1]), Some(&[])), "nothing of topic b,"),
        ] {
            let nobody = nobody.unwrap();
            assert!(nobody.contains(of) && nobody.contains("CSV") && nobody.contains("--group"), "{nobody}");
        }
        assert_eq!(refused(&["a"], None, None), None, "their topics are gone, and nothing can be compared");
        assert_eq!(refused(&["a"], None, Some(&[])), None, "nor where the others are empty");
        assert_eq!(refused(&["a"], None, Some(&[1])), None);
    }
}

//! What the letters' group has committed -> whether its rows belong into this database.
//!
//! The consumer notes the nodes that it writes to beside its offsets ([`crate::hosts`]), and stops where none of them is known.
//! A replay elsewhere would store some of the rows in one database and remove their letters in all.

use super::{Failed, Replay};
use crate::dead_letter::{Letters, Selected};
use crate::hosts::Hosts;
use crate::topic::Commit;

impl Replay {
    /// Compares this database with the one that the group has written to. Where nothing is noted, nothing is held against it.
    ///
    /// # Errors
    /// It is another one, or the group writes no tables; or Kafka does not tell.
    pub async fn is_of_the_group(
        &self,
        letters: &Letters,
        selected: &[(String, Vec<Selected>)],
    ) -> Result<(), Failed> {
        let (kafka, consumer) = (&self.settings.kafka, &self.settings.consumer);
        for (topic, _) in selected {
            let committed = letters.committed(kafka, &consumer.group, topic).await;
            let committed = committed.map_err(|error| Failed::Unavailable(error.to_string()))?;
            // A topic that was deleted has no offsets, and its letters still stand.
            let Some(committed) = committed else { continue };
            let why = refusal(&committed, &self.store.hosts());
            if let Some(why) = why {
                let group = &consumer.group;
                let points = &self.settings.cassandra.contact_points;
                return Err(Failed::Refused(format!(
                    "group {group}, topic {topic}, cassandra at {points}: {why}"
                )));
            }
        }
        Ok(())
    }
}

// Why rows of a group that has committed this do not belong onto these nodes.
fn refusal(committed: &[Commit], now: &Hosts) -> Option<String> {
    if committed.is_empty() {
        return Some(
            "the group has committed nothing of the topic, as one that writes CSV files: its letters are no rows of a \
             table. Name the group of the consumer that writes tables (--group, or consumer.group); if it is this one, let \
             it run until it has committed"
                .to_owned(),
        );
    }
    let mut written_to = Hosts::default();
    committed.iter().for_each(|commit| written_to.extend(Hosts::of_note(&commit.note)));
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

    #[test]
    fn letters_are_replayed_only_where_their_group_has_written() {
        let hosts = |number| Hosts::from_iter([Uuid::from_u128(number)]);
        let commit = |note: String| Commit { offset: 7, note };
        assert_eq!(refusal(&[commit(hosts(1).note())], &hosts(1)), None);
        assert_eq!(
            refusal(&[commit(String::new())], &hosts(1)),
            None,
            "an older consumer, or a rewound group"
        );
        assert_eq!(refusal(&[commit(hosts(2).note()), commit(hosts(1).note())], &hosts(1)), None);
        let other = refusal(&[commit(hosts(2).note()), commit(String::new())], &hosts(1)).unwrap();
        assert!(other.contains("not the database") && other.contains("cassandra.contact_points"), "{other}");
        let nobody = refusal(&[], &hosts(1)).unwrap();
        assert!(nobody.contains("CSV") && nobody.contains("--group"), "{nobody}");
    }
}

//! I1, I2 and I3 of a load of users: its ledger and its topic against the table.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::Result;
use end_to_end::{Entries, Hostile, HostileRow, Published, StoredUser, dead_letters, hash};
use uuid::Uuid;

use super::is_dead;
use crate::findings::{Findings, Violation};
use crate::stage::Stage;

/// Once the load has ended. What is not committed need not be in the table yet: that it is not committed is told elsewhere.
pub(crate) async fn users(stage: &mut Stage<'_>, entries: &Entries, findings: &mut Findings) -> Result<()> {
    let mut published = std::mem::take(&mut stage.earlier);
    let topic = stage.users()?.topic.clone();
    let committed: BTreeMap<i32, i64> = crate::topic::committed(stage)?;
    published.read(&stage.world.brokers, &topic, |partition, offset| offset < committed[&partition]);
    for version in &published.twice {
        findings.add(Violation::Doubled, || format!("version {version} is on the topic twice"));
    }
    for version in published.lacks(entries) {
        findings
            .add(Violation::Lost, || format!("version {version} was acknowledged and is not on the topic"));
    }
    if published.hostile.is_empty() && stage.users()?.load.hostile_sent() > 0 {
        findings.add(Violation::Unproved, || "no hostile message is on the topic".to_owned());
    }
    let mut accepted = hostile(stage, &topic, &published.hostile, findings);
    let mut seen = HashSet::new();
    let see = |user: StoredUser| {
        if accepted.get(&user.id).is_some_and(|message| message.row.is_some_and(|row| row.is(&user))) {
            accepted.remove(&user.id);
            return;
        }
        seen.insert(user.id);
        if let Some((violation, what)) = judge(&user, &published, entries) {
            findings.add(violation, || format!("user {}: {what}", user.id));
        }
    };
    stage.world.each_user(see).await?;
    for (id, winner) in published.winners.iter().filter(|(id, _)| !seen.contains(*id)) {
        findings.add(Violation::Lost, || format!("user {id}, version {}", winner.version));
    }
    for (id, _) in accepted.iter().filter(|(_, message)| message.due) {
        findings.add(Violation::Lost, || format!("hostile user {id} is neither row nor dead letter"));
    }
    Ok(())
}

// I1 of hostile messages: each is one dead letter with its bytes, or a row: the rows are returned. And no other letter is there.
fn hostile(
    stage: &Stage<'_>,
    topic: &str,
    messages: &[Hostile],
    findings: &mut Findings,
) -> HashMap<Uuid, Hostile> {
    let (name, table) = (&stage.world.name, format!("{}.created_users", stage.world.name));
    let mut letters = dead_letters(&stage.world.brokers, topic);
    let mut accepted = HashMap::new();
    for message in messages {
        let place = format!("{topic}/{}/{}", message.partition, message.offset);
        match (letters.remove(&format!("{name}/{place}/{table}")), message.row) {
            (Some(letter), _) if hash(&letter.value) == message.hash => {}
            (Some(_), _) => {
                findings.add(Violation::Different, || format!("{place}: other bytes in its letter"));
            }
            (None, Some(HostileRow { id, .. })) => drop(accepted.insert(id, *message)),
            (None, None) if !message.due => {}
            (None, None) => {
                findings.add(Violation::Lost, || format!("{place} is neither row nor dead letter"));
            }
        }
    }
    letters.values().for_each(|letter| is_dead(letter, findings));
    accepted
}

fn judge(user: &StoredUser, published: &Published, entries: &Entries) -> Option<(Violation, String)> {
    let version: Option<u64> = user.cells[0].parse().ok();
    let ours = version.filter(|version| entries.attempted.get(version) == Some(&user.id));
    let own = ours.and_then(|version| published.versions.get(&version));
    let (Some(own), Some(winner)) = (own, published.winners.get(&user.id)) else {
        return Some((Violation::Invented, format!("{user:?}")));
    };
    // Two of the same WRITETIME: Cassandra takes either.
    if *own < winner.writetime {
        return Some((Violation::Stale, format!("version {version:?} instead of {winner:?}")));
    }
    if user.writetime != *own || !user.is_whole() {
        return Some((Violation::Different, format!("{user:?}, whose WRITETIME is {own}")));
    }
    None
}

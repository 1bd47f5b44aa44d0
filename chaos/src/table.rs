//! What the table of users holds, and what it held before.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use uuid::Uuid;

use crate::findings::{Findings, Violation};
use crate::stage::Stage;
use crate::topic::LOOK_EVERY;

/// Rows that are looked at before and after a kill.
const NOTED: usize = 400;
/// How long a node may be busy with its start.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);
/// How far behind the consumer may be.
const NOTED_WITHIN: Duration = Duration::from_secs(60);

/// All rows, with their WRITETIMEs.
pub(crate) async fn snapshot(stage: &Stage<'_>) -> Result<BTreeMap<Uuid, String>> {
    let mut rows = BTreeMap::new();
    stage.world.each_user(|user| drop(rows.insert(user.id, format!("{user:?}")))).await?;
    Ok(rows)
}

/// I2: the table is as it was when the snapshot was taken.
pub(crate) async fn same_snapshot(stage: &mut Stage<'_>, findings: &mut Findings) -> Result<()> {
    let before = stage.snapshot.take().context("`same_snapshot` comes after `snapshot`")?;
    let now = snapshot(stage).await?;
    for (id, row) in &before {
        if now.get(id) != Some(row) {
            findings.add(Violation::Different, || format!("{row} became {:?}", now.get(id)));
        }
    }
    for (id, row) in now.iter().filter(|(id, _)| !before.contains_key(*id)) {
        findings.add(Violation::Invented, || format!("user {id} came of nothing: {row}"));
    }
    Ok(())
}

/// Remembers the youngest rows that can be read: Cassandra has acknowledged them.
pub(crate) async fn note_stored(stage: &mut Stage<'_>) -> Result<()> {
    let until = Instant::now() + NOTED_WITHIN;
    loop {
        stage.noted = writetimes(stage, stage.users()?.load.latest(NOTED)).await?;
        if !stage.noted.is_empty() {
            return Ok(());
        }
        // The consumer is behind: the youngest are asked again.
        ensure!(
            Instant::now() < until,
            "none of the youngest {NOTED} users is stored after {NOTED_WITHIN:?}"
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Counts those of which an older version is there now, or none.
pub(crate) async fn count_forgotten(stage: &mut Stage<'_>) -> Result<()> {
    let noted = std::mem::take(&mut stage.noted);
    let now = writetimes(stage, noted.keys().copied().collect()).await?;
    stage.forgotten += noted.iter().filter(|(id, noted)| now.get(*id).is_none_or(|now| now < *noted)).count();
    Ok(())
}

/// The WRITETIMEs of those users that are stored.
pub(crate) async fn writetimes(stage: &Stage<'_>, users: Vec<Uuid>) -> Result<HashMap<Uuid, i64>> {
    ensure!(users.len() <= NOTED, "too many for one question");
    let keyspace = &stage.world.name;
    let question = format!("SELECT id, writetime(first_name) FROM {keyspace}.created_users WHERE id IN ?");
    let ask = || async { Ok(stage.world.session.query_unpaged(question.as_str(), (&users,)).await?) };
    let rows = patiently(ask).await?.into_rows_result()?;
    let rows: Result<Vec<(Uuid, Option<i64>)>, _> = rows.rows()?.collect();
    Ok(rows?.into_iter().filter_map(|(id, writetime)| Some((id, writetime?))).collect())
}

/// Asks again while a node that has just come back does not answer.
async fn patiently<T, F: Future<Output = Result<T>>>(ask: impl Fn() -> F) -> Result<T> {
    let until = Instant::now() + ANSWERED_WITHIN;
    loop {
        match ask().await {
            Err(_) if Instant::now() < until => tokio::time::sleep(LOOK_EVERY).await,
            answer => return answer,
        }
    }
}

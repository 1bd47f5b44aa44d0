//! I4: the committed offsets against the table.

use std::collections::HashMap;

use anyhow::Result;
use end_to_end::{messages_between, version, writetime};
use futures::{StreamExt, TryStreamExt, stream};
use rdkafka::Message;
use uuid::Uuid;

use crate::findings::{Findings, Violation};
use crate::stage::Stage;
use crate::table::writetimes;
use crate::topic;

const USERS_A_QUESTION: usize = 100;
/// Questions that wait for their answer at once.
const ASKED_AT_ONCE: usize = 8;

/// I4: what is committed is in the table, or a newer version of its user. The consumer must not write meanwhile.
pub(crate) async fn committed_is_stored(stage: &mut Stage<'_>, findings: &mut Findings) -> Result<()> {
    let committed = topic::committed(stage)?;
    let before = std::mem::replace(&mut stage.compared, committed.clone());
    let mut asked: HashMap<Uuid, i64> = HashMap::new();
    messages_between(&stage.world.brokers, &stage.users()?.topic, &before, &committed, |message| {
        if let Some((_, id)) = version(message.payload().unwrap_or_default()) {
            let known = asked.entry(id).or_insert(i64::MIN);
            *known = writetime(message).max(*known);
        }
    });
    stage.committed_seen += asked.len();
    let stage = &*stage;
    let asked: Vec<(Uuid, i64)> = asked.into_iter().collect();
    let answers = stream::iter(asked.chunks(USERS_A_QUESTION)).map(|wanted| async move {
        let ids = wanted.iter().map(|(id, _)| *id).collect();
        anyhow::Ok((wanted, writetimes(stage, ids).await?))
    });
    let mut answers = answers.buffer_unordered(ASKED_AT_ONCE);
    while let Some((wanted, found)) = answers.try_next().await? {
        for (id, wanted) in wanted {
            let found = found.get(id).copied();
            if found.is_none_or(|found| found < *wanted) {
                let what = || format!("user {id}: {found:?} instead of {wanted}");
                findings.add(Violation::CommittedTooSoon, what);
            }
        }
    }
    Ok(())
}

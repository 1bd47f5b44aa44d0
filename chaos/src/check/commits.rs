//! I4: the committed offsets against the table.

use std::collections::HashMap;

use anyhow::Result;
use end_to_end::{messages_between, version, writetime};
use futures::{StreamExt, TryStreamExt, stream};
use rdkafka::Message;
use uuid::Uuid;

use crate::findings::{Findings, Violation};
use crate::stage::Stage;
use crate::table::patiently;
use crate::topic;

/// Rows that are asked for at once.
const ASKED_AT_ONCE: usize = 64;

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
    let keyspace = &stage.world.name;
    let question = format!("SELECT writetime(first_name) FROM {keyspace}.created_users WHERE id = ?");
    let prepare = || async { Ok(stage.world.session.prepare(question.as_str()).await?) };
    let prepared = patiently(prepare).await?;
    let (session, prepared) = (&stage.world.session, &prepared);
    let answers = stream::iter(asked).map(|(id, wanted)| async move {
        let ask = || async { Ok(session.execute_unpaged(prepared, (id,)).await?) };
        let answer = patiently(ask).await?;
        let found = answer.into_rows_result()?.maybe_first_row::<(Option<i64>,)>()?;
        anyhow::Ok((id, wanted, found.and_then(|(found,)| found)))
    });
    let mut answers = answers.buffer_unordered(ASKED_AT_ONCE);
    while let Some((id, wanted, found)) = answers.try_next().await? {
        if found.is_none_or(|found| found < wanted) {
            findings.add(Violation::CommittedTooSoon, || format!("user {id}: {found:?} instead of {wanted}"));
        }
    }
    Ok(())
}

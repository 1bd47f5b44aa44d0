//! A scenario's steps, cycle by cycle -> what the checker found in the end.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::check;
use crate::feed::Feed;
use crate::findings::{Findings, Violation, guarded};
use crate::scenario::Scenario;
use crate::servers::Servers;
use crate::stage::Stage;
use crate::step::{Step, Time};
use crate::{heal, rates, table, topic, upstreams};

/// What a run found.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Those that were played to their end.
    pub(crate) cycles: u32,
    pub(crate) acknowledged: usize,
    pub(crate) forgotten: usize,
    pub(crate) heal_max: Duration,
    pub(crate) peak_rss_mb: f64,
    pub(crate) findings: Findings,
}

/// Plays so many cycles. A step that breaks off ends them; what is in the tables then is looked at all the same.
///
/// # Errors
/// The harness itself failed, before anything flowed or when everything was over.
pub(crate) async fn play(
    servers: &mut Servers,
    scenario: &Scenario,
    cycles: u32,
    seed: u64,
    outcome: &mut Outcome,
) -> Result<()> {
    let mut stage = Stage::open(servers, scenario, seed).await?;
    let run = run(&mut stage, scenario, cycles, seed, outcome).await;
    if run.is_err() {
        outcome.findings.note(run);
        // Whatever it left broken is mended, so that rows can be compared.
        outcome.findings.note(guarded(stage.restore()).await.context("restore"));
    }
    let concluded = guarded(conclude(&mut stage, outcome)).await.context("in the end");
    outcome.findings.note(concluded);
    if scenario.forgets && stage.forgotten == 0 {
        outcome.findings.add(Violation::Unproved, || "Cassandra has forgotten no row".to_owned());
    }
    if scenario.cycle.iter().any(|step| matches!(step, Step::CommittedIsStored)) && stage.committed_seen == 0
    {
        outcome
            .findings
            .add(Violation::Unproved, || "nothing was committed when it was looked for".to_owned());
    }
    outcome.findings.note(stage.weigh());
    outcome.forgotten = stage.forgotten;
    outcome.peak_rss_mb = stage.peak_rss_mb;
    if !outcome.findings.is_empty() {
        let folder = testbed::cache().join("logs").join(format!("chaos-{}", scenario.name));
        outcome.findings.note(stage.keep_logs(&folder));
        eprintln!("==> {}: the services' and the servers' logs are in {}", scenario.name, folder.display());
    }
    stage.close().await
}

async fn run(
    stage: &mut Stage<'_>,
    scenario: &Scenario,
    cycles: u32,
    seed: u64,
    outcome: &mut Outcome,
) -> Result<()> {
    let mut random = StdRng::seed_from_u64(seed);
    for cycle in 1..=cycles {
        let mut heal = Duration::ZERO;
        let played = steps(stage, &scenario.cycle, &mut random, &mut outcome.findings, &mut heal);
        played.await.with_context(|| format!("cycle {cycle}"))?;
        outcome.cycles = cycle;
        outcome.heal_max = outcome.heal_max.max(heal);
        eprintln!("==> {} {cycle}/{cycles}: healed in {:.1} s", scenario.name, heal.as_secs_f64());
        stage.weigh()?;
    }
    Ok(())
}

// One after the other; notes the longest time to heal.
async fn steps(
    stage: &mut Stage<'_>,
    steps: &[Step],
    random: &mut StdRng,
    findings: &mut Findings,
    heal: &mut Duration,
) -> Result<()> {
    for (number, step) in steps.iter().enumerate() {
        let began = Instant::now();
        let performed = perform(stage, step, random, findings, heal);
        guarded(performed).await.with_context(|| format!("step {} {step:?}", number + 1))?;
        if matches!(step, Step::HealsWithin(_)) {
            *heal = began.elapsed().max(*heal);
        }
    }
    Ok(())
}

async fn perform(
    stage: &mut Stage<'_>,
    step: &Step,
    random: &mut StdRng,
    findings: &mut Findings,
    heal: &mut Duration,
) -> Result<()> {
    match step {
        Step::OneOf(choices) => {
            let chosen = choices.choose(random).context("a choice has no steps")?;
            Box::pin(steps(stage, chosen, random, findings, heal)).await?;
        }
        Step::Flow(between) => tokio::time::sleep(between.choose(random)).await,
        Step::Kill(part) => stage.kill(*part)?,
        Step::Stop(part) => stage.stop(*part)?,
        Step::Term(part) => stage.term(*part)?,
        Step::EndedWithin(part, time) => stage.ended_within(*part, time.0)?,
        Step::SentIsPublished => check::sent_is_published(stage, findings),
        Step::Freeze(part) => stage.freeze(*part)?,
        Step::Thaw(part) => stage.thaw(*part),
        Step::Start(part) => stage.start(*part).await?,
        Step::Scale(count) => stage.scale(*count)?,
        Step::Cut(part) => {
            let port = stage.port(*part)?;
            stage.links()?.cut(&port)?;
        }
        Step::Reset(part) => {
            let port = stage.port(*part)?;
            stage.links()?.reset(&port)?;
        }
        Step::ResetSome(part, percent) => {
            let port = stage.port(*part)?;
            stage.links()?.reset_some(&port, *percent)?;
        }
        Step::Lose(part, percent) => {
            let port = stage.port(*part)?;
            stage.links()?.lose(&port, *percent)?;
        }
        Step::Slice(bytes) => stage.links()?.slice(*bytes)?,
        Step::Mend => {
            let links = stage.links()?;
            links.struck().await?;
            links.mend()?;
            stage.world.answers().await;
        }
        Step::Move(part) => stage.move_server(*part).await?,
        Step::Fill(part) => stage.servers.disk(*part)?.fill()?,
        Step::Free(part) => stage.servers.disk(*part)?.free()?,
        Step::Backlog(messages) => topic::backlog(stage, *messages).await?,
        Step::Rate(per_s) => stage.users()?.load.pace(*per_s),
        Step::Hostile(percent) => stage.users()?.load.hostile(*percent),
        Step::Drained(name) => rates::drained(stage, name).await?,
        Step::Ratio(whole, part, least) => rates::ratio(stage, whole, part, *least, findings)?,
        Step::Hold => topic::hold(stage).await?,
        Step::Go => stage.users()?.load.hold(false),
        Step::CommittedWithin(time) => topic::committed_within(stage, time.0).await?,
        Step::Snapshot => stage.snapshot = Some(table::snapshot(stage).await?),
        Step::SameSnapshot => table::same_snapshot(stage, findings).await?,
        Step::RewindGroup => topic::rewind_group(stage)?,
        Step::RecreateTopic => topic::recreate(stage).await?,
        Step::Cql(statement) => stage.world.cql(&statement.replace("{ks}", &stage.world.name)).await,
        Step::Script(file) => stage.world.script(file).await,
        Step::ClockAhead(time) => stage.users()?.load.skew(millis(*time)?),
        Step::ClockBehind(time) => stage.users()?.load.skew(-millis(*time)?),
        Step::MetricsMakeSense => check::metrics_make_sense(stage, findings)?,
        Step::Fault(script) => upstreams::fault(stage, script).await?,
        Step::Calm => upstreams::calm(stage).await?,
        Step::RedWithin(time) => heal::red_within(stage, time.0).await?,
        Step::NoticedWithin(time) => heal::noticed_within(stage, time.0).await?,
        Step::HealsWithin(time) => heal::heals_within(stage, time.0).await?,
        Step::NoteStored => table::note_stored(stage).await?,
        Step::CountForgotten => table::count_forgotten(stage).await?,
        Step::CommittedIsStored => check::committed_is_stored(stage, findings).await?,
    }
    Ok(())
}

fn millis(time: Time) -> Result<i64> {
    Ok(i64::try_from(time.0.as_millis())?)
}

// Ends what flows, waits until all of it is committed, and compares.
async fn conclude(stage: &mut Stage<'_>, outcome: &mut Outcome) -> Result<()> {
    let findings = &mut outcome.findings;
    let mut entries = None;
    for feed in &mut stage.feeds {
        match feed {
            Feed::Users(users) => {
                let finished = guarded(async { Ok(users.load.finish()) }).await;
                entries = finished.map_err(|error| findings.note(Err(error))).ok();
            }
            Feed::Produced(produced) => findings.note(produced.stop()),
        }
    }
    findings.note(topic::committed_within(stage, topic::ALL_COMMITTED_WITHIN).await);
    if let Some(entries) = entries {
        outcome.acknowledged += entries.acknowledged.len();
        let pending = entries.pending();
        if pending > 0 {
            findings
                .add(Violation::NotHealed, || format!("Kafka has answered nothing to {pending} messages"));
        }
        let refused = entries.refused.len();
        if refused > 0 {
            findings.add(Violation::Unproved, || format!("Kafka has refused {refused} messages"));
        }
        let compared = guarded(check::users(stage, &entries, findings)).await;
        findings.note(compared);
    }
    outcome.acknowledged += check::records(stage, findings).await?;
    Ok(())
}

//! A scenario's steps, cycle by cycle -> what the checker found in the end.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::check;
use crate::feed::Feed;
use crate::findings::{Findings, Violation};
use crate::scenario::{Scenario, Step};
use crate::servers::Servers;
use crate::stage::Stage;
use crate::{heal, rates, table, topic, upstreams};

/// What a run found.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) acknowledged: usize,
    pub(crate) forgotten: usize,
    pub(crate) heal_max: Duration,
    pub(crate) peak_rss_mb: f64,
    pub(crate) findings: Findings,
}

/// A step that found a promise broken: the cycles end, and the tables are looked at all the same.
#[derive(Debug, thiserror::Error)]
#[error("{1}")]
pub(crate) struct Broken(pub(crate) Violation, pub(crate) String);

/// Plays so many cycles.
///
/// # Errors
/// The harness itself failed: nothing is known.
pub(crate) async fn play(
    servers: &mut Servers,
    scenario: &Scenario,
    cycles: u32,
    seed: u64,
) -> Result<Outcome> {
    let mut stage = Stage::open(servers, scenario, seed).await?;
    let mut outcome = Outcome::default();
    if let Err(broken) = run(&mut stage, scenario, cycles, seed, &mut outcome).await {
        outcome.findings.add(broken.0, || broken.1);
        // Whatever it left broken is mended, so that rows can be compared all the same.
        stage.restore().await?;
    }
    conclude(&mut stage, &mut outcome).await?;
    if scenario.forgets && stage.forgotten == 0 {
        outcome.findings.add(Violation::Unproved, || "Cassandra has forgotten no row".to_owned());
    }
    stage.weigh()?;
    outcome.forgotten = stage.forgotten;
    outcome.peak_rss_mb = stage.peak_rss_mb;
    if !outcome.findings.is_empty() {
        let folder = testbed::cache().join("logs").join(format!("chaos-{}", scenario.name));
        stage.keep_logs(&folder)?;
        eprintln!("==> {}: the services' logs are in {}", scenario.name, folder.display());
    }
    stage.close().await?;
    Ok(outcome)
}

async fn run(
    stage: &mut Stage<'_>,
    scenario: &Scenario,
    cycles: u32,
    seed: u64,
    outcome: &mut Outcome,
) -> Result<(), Broken> {
    let mut random = StdRng::seed_from_u64(seed);
    for cycle in 1..=cycles {
        let mut heal = Duration::ZERO;
        for (number, step) in scenario.cycle.iter().enumerate() {
            let began = Instant::now();
            if let Err(error) = perform(stage, step, &mut random, &mut outcome.findings).await {
                let what = format!("cycle {cycle}, step {} {step:?}: {error:#}", number + 1);
                let violation = error.downcast_ref::<Broken>().map_or(Violation::Unproved, |broken| broken.0);
                return Err(Broken(violation, what));
            }
            if matches!(step, Step::HealsWithin(_)) {
                heal = heal.max(began.elapsed());
            }
        }
        outcome.heal_max = outcome.heal_max.max(heal);
        eprintln!("==> {} {cycle}/{cycles}: healed in {:.1} s", scenario.name, heal.as_secs_f64());
        stage.weigh().map_err(|error| Broken(Violation::Unproved, error.to_string()))?;
    }
    Ok(())
}

async fn perform(
    stage: &mut Stage<'_>,
    step: &Step,
    random: &mut StdRng,
    findings: &mut Findings,
) -> Result<()> {
    match step {
        Step::Flow(between) => tokio::time::sleep(between.choose(random)).await,
        Step::Kill(part) => stage.kill(*part)?,
        Step::Stop(part) => ended(stage.stop(*part))?,
        Step::Term(part) => stage.term(*part)?,
        Step::EndedWithin(part, time) => ended(stage.ended_within(*part, time.0))?,
        Step::SentIsPublished => check::sent_is_published(stage, findings),
        Step::Freeze(part) => stage.freeze(*part),
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
        Step::Mend => {
            stage.links()?.mend()?;
            stage.world.answers().await;
        }
        Step::Fill(part) => stage.servers.disk(*part)?.fill()?,
        Step::Free(part) => stage.servers.disk(*part)?.free()?,
        Step::Backlog(messages) => topic::backlog(stage, *messages).await?,
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

fn ended(stopped: Result<()>) -> Result<()> {
    stopped.map_err(|error| anyhow!(Broken(Violation::Ended, format!("{error:#}"))))
}

// Ends what flows, waits until all of it is committed, and compares.
async fn conclude(stage: &mut Stage<'_>, outcome: &mut Outcome) -> Result<()> {
    let findings = &mut outcome.findings;
    let mut entries = None;
    for feed in &mut stage.feeds {
        match feed {
            Feed::Users(users) => entries = Some(users.load.finish()),
            Feed::Produced(produced) => {
                if let Err(error) = produced.stop() {
                    findings.add(Violation::Ended, || format!("{error:#}"));
                }
            }
        }
    }
    if let Err(error) = topic::committed_within(stage, topic::ALL_COMMITTED_WITHIN).await {
        findings.add(Violation::NotHealed, || format!("in the end: {error:#}"));
    }
    if let Some(entries) = entries {
        outcome.acknowledged += entries.acknowledged.len();
        check::users(stage, &entries, findings).await?;
    }
    outcome.acknowledged += check::records(stage, findings).await?;
    Ok(())
}

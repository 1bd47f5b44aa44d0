//! Faults of the simulated upstreams.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use reqwest::{Client, Method};
use toml::Table;

use crate::feed::Feed;
use crate::stage::Stage;
use crate::topic::LOOK_EVERY;

/// What the faults may take until all have struck.
const STRUCK_WITHIN: Duration = Duration::from_secs(60);
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// Scripts one more fault; it strikes whoever asks for its path next.
pub(crate) async fn fault(stage: &Stage<'_>, script: &Table) -> Result<()> {
    ask(stage, Method::POST, serde_json::to_string(script)?).await.map(drop)
}

/// Waits until every fault has struck.
pub(crate) async fn calm(stage: &Stage<'_>) -> Result<()> {
    let until = Instant::now() + STRUCK_WITHIN;
    loop {
        let left = ask(stage, Method::GET, String::new()).await?;
        if left.iter().all(|scripts| scripts == "[]") {
            return Ok(());
        }
        ensure!(Instant::now() < until, "faults that have not struck after {STRUCK_WITHIN:?}: {left:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

// Asks every simulator for its faults; returns the answers.
async fn ask(stage: &Stage<'_>, method: Method, body: String) -> Result<Vec<String>> {
    let client = Client::builder().timeout(ANSWERS_WITHIN).build()?;
    let mut answers = Vec::new();
    for feed in &stage.feeds {
        if let Feed::Produced(produced) = feed {
            let address = format!("http://{}/faults", produced.simulators.http());
            let request = client.request(method.clone(), address).header("content-type", "application/json");
            let answer = request.body(body.clone()).send().await?.error_for_status()?;
            answers.push(answer.text().await?);
        }
    }
    Ok(answers)
}

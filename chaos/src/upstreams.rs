//! Faults of the simulated upstreams.

use anyhow::Result;
use reqwest::{Client, Method};
use toml::Table;

use crate::feed::Feed;
use crate::stage::Stage;

/// Scripts one more fault; it strikes whoever asks for its path next.
pub(crate) async fn fault(stage: &Stage<'_>, script: &Table) -> Result<()> {
    ask(stage, Method::POST, serde_json::to_string(script)?).await
}

/// Takes back what has not struck.
pub(crate) async fn calm(stage: &Stage<'_>) -> Result<()> {
    ask(stage, Method::DELETE, String::new()).await
}

async fn ask(stage: &Stage<'_>, method: Method, body: String) -> Result<()> {
    let client = Client::new();
    for feed in &stage.feeds {
        if let Feed::Produced(produced) = feed {
            let address = format!("http://{}/faults", produced.simulators.http());
            let request = client.request(method.clone(), address).header("content-type", "application/json");
            request.body(body.clone()).send().await?.error_for_status()?;
        }
    }
    Ok(())
}

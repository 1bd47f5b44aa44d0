//! The accessibility of a page, as axe-core judges it (`tests/assets/axe-core`): each violation in a line.

use serde_json::Value;

use crate::chromium::Chromium;

const AXE: &str = include_str!("../../assets/axe-core/axe.min.js");

/// What is wrong with the page as it is shown now.
pub(crate) fn violations(chromium: &Chromium) -> Vec<String> {
    if chromium.run("return typeof axe", Vec::new()) == "undefined" {
        chromium.run(AXE, Vec::new());
    }
    let script = "const done = arguments[arguments.length - 1]; axe.run().then(\
        (found) => done(found.violations), \
        (error) => done([{ id: 'axe', help: String(error), nodes: [] }]))";
    let found = chromium.run_async(script);
    found.as_array().unwrap().iter().map(line).collect()
}

fn line(violation: &Value) -> String {
    let nodes: Vec<String> = violation["nodes"].as_array().unwrap().iter().map(node).collect();
    format!("{}: {}: {}", violation["id"], violation["help"], nodes.join("; "))
}

fn node(node: &Value) -> String {
    format!("{} {} {}", node["target"], node["html"], node["failureSummary"])
}

#[tokio::test(flavor = "multi_thread")]
async fn page_that_shuts_people_out_is_told() {
    let chromium = Chromium::start();
    chromium.open("data:text/html,<html lang=en><title>x</title><main><h1>x</h1><img src=data:,>");
    let found = violations(&chromium);
    assert!(found.len() == 1 && found[0].contains("image-alt"), "{found:#?}");
}

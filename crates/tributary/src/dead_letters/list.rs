//! `list`: what stands, by cause, and what to do next.

use consumer::dead_letter::{Letters, SUFFIX};
use serde::Serialize;

use super::causes::{self, Counted};
use super::{List, configured};
use crate::print::{counted, line, output};

#[derive(Serialize)]
struct Json<'a> {
    letters: usize,
    causes: &'a [Counted],
    /// Of other groups, which --group names.
    of_other_groups: usize,
    /// Records that are no dead letters.
    foreign: usize,
    /// Topics that have no topic of dead letters.
    missing: &'a [String],
}

pub(super) async fn run(list: List) -> anyhow::Result<i32> {
    let (settings, routes) = configured(&list.common)?;
    let (letters, select) = list.filters.read(&settings, &routes).await?;
    let causes = causes::of(&letters, &select);
    let json = Json {
        letters: causes.iter().map(|cause| cause.count).sum(),
        causes: &causes,
        of_other_groups: of_other_groups(&letters, &select.group),
        foreign: letters.folds.iter().map(|(_, fold)| fold.foreign).sum(),
        missing: &letters.missing,
    };
    let mut text = causes::text(&causes);
    line(&mut text, format_args!("{} of the group {}", counted(json.letters, "letter"), select.group));
    if json.of_other_groups > 0 {
        let others = counted(json.of_other_groups, "letter");
        line(&mut text, format_args!("{others} of other groups: --group names one"));
    }
    if json.foreign > 0 {
        let foreign = counted(json.foreign, "record");
        line(&mut text, format_args!("{foreign} that no consumer of ours has sent, which are left alone"));
    }
    for topic in &letters.missing {
        line(&mut text, format_args!("topic {topic}{SUFFIX} does not exist"));
    }
    output(&text, list.common.json, &json)?;
    Ok(0)
}

fn of_other_groups(letters: &Letters, group: &str) -> usize {
    let others = |(_, fold): &(String, consumer::dead_letter::Fold)| {
        fold.standing().filter(|(_, entry)| fold.causes[entry.cause].group != group).count()
    };
    letters.folds.iter().map(others).sum()
}

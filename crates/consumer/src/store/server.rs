//! What a node says of its own settings.

use std::collections::BTreeMap;

use scylla::statement::Consistency;
use scylla::statement::unprepared::Statement;
use scylla::value::CqlTimestamp;

use super::{Store, WriteError, error};

impl Store {
    /// `system_views.settings` of one node: names and values. Empty where the role may not read it, and on servers
    /// that have no such table.
    pub async fn server_settings(&self) -> BTreeMap<String, String> {
        let mut question = Statement::new("SELECT name, value FROM system_views.settings");
        question.set_consistency(Consistency::One);
        let Ok(answer) = self.session().query_unpaged(question, ()).await else { return BTreeMap::new() };
        let Ok(answer) = answer.into_rows_result() else { return BTreeMap::new() };
        let Ok(rows) = answer.rows::<(String, Option<String>)>() else { return BTreeMap::new() };
        rows.filter_map(Result::ok).filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// The version of the node that answers, such as `5.0.9`, and its clock in milliseconds since 1970.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn version_and_clock(&self) -> Result<(String, i64), WriteError> {
        let mut question = Statement::new("SELECT release_version, toTimestamp(now()) FROM system.local");
        question.set_consistency(Consistency::One);
        let answer = self.session().query_unpaged(question, ()).await;
        let answer = answer.map_err(|error| error::of_execution(&error))?;
        let unknown = |error: &dyn std::error::Error| WriteError::Failed(error.to_string());
        let rows = answer.into_rows_result().map_err(|error| unknown(&error))?;
        let row = rows.single_row::<(String, CqlTimestamp)>().map_err(|error| unknown(&error))?;
        Ok((row.0, row.1.0))
    }

    /// What the nodes say of their disks, by address: `SPACIOUS`, `STUFFED`, `FULL`. Empty where the role may not read it, on
    /// servers that do not tell, and where the guardrail of the disk is off.
    pub async fn disk_usage(&self) -> BTreeMap<String, String> {
        let question = "SELECT address, disk_usage FROM system_views.gossip_info";
        let mut question = Statement::new(question);
        question.set_consistency(Consistency::One);
        let Ok(answer) = self.session().query_unpaged(question, ()).await else { return BTreeMap::new() };
        let Ok(answer) = answer.into_rows_result() else { return BTreeMap::new() };
        let Ok(rows) = answer.rows::<(std::net::IpAddr, Option<String>)>() else { return BTreeMap::new() };
        rows.filter_map(Result::ok).filter_map(|(node, usage)| Some((node.to_string(), usage?))).collect()
    }
}

/// Reads a size or a count as the settings tell it: `5KiB`, `16MiB`, `10`.
pub(crate) fn size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match text[digits..].trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    text[..digits].parse::<u64>().ok()?.checked_mul(unit)
}

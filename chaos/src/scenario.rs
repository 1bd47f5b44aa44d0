//! `scenarios/NAME.toml` -> what a run does: what flows, the servers' settings, and the steps of one cycle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use toml::{Table, Value};

use crate::feed::Kind;
use crate::findings::Violation;
use crate::step::Step;

/// How much of a scenario is played. Wherever a file has `{ short = .., long = .. }`, the form chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The few cycles of the continuous integration.
    Short,
    /// By hand.
    Long,
}

/// One file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// The file's name.
    #[serde(skip)]
    pub(crate) name: String,
    /// The fault, in words.
    pub(crate) about: String,
    /// Its row of the failure matrix.
    pub(crate) row: u8,
    /// What flows, each into a topic of its own.
    #[serde(default = "users")]
    pub(crate) feeds: Vec<Kind>,
    /// Messages a second, of users.
    pub(crate) rate: u32,
    /// Of a hundred users, how many are not simply new.
    #[serde(default)]
    pub(crate) mix: Mix,
    /// How often the cycle runs; not at all among `all` if 0.
    pub(crate) cycles: u32,
    /// The size of the disk that each server has to itself, such as `256m`; else they share the machine's.
    #[serde(default)]
    pub(crate) disk: Option<String>,
    /// Lines of server.properties.
    #[serde(default)]
    pub(crate) kafka: BTreeMap<String, String>,
    /// Keys of cassandra.yaml.
    #[serde(default)]
    pub(crate) cassandra: BTreeMap<String, String>,
    /// Settings of the services, such as `consumer.durable_after`.
    #[serde(default)]
    pub(crate) settings: BTreeMap<String, String>,
    /// A promise that is broken here on purpose: the checker must see it.
    #[serde(default)]
    pub(crate) must_find: Option<Violation>,
    /// Whether Cassandra must have forgotten rows for the run to prove something.
    #[serde(default)]
    pub(crate) forgets: bool,
    /// One cycle.
    pub(crate) cycle: Vec<Step>,
}

/// Of a hundred messages: see [`end_to_end::Mix`].
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mix {
    pub(crate) updates: u8,
    pub(crate) late: u8,
    pub(crate) ties: u8,
    #[serde(default)]
    pub(crate) hostile: u8,
}

impl Default for Mix {
    fn default() -> Self {
        let end_to_end::Mix { updates, late, ties, hostile } = end_to_end::Mix::default();
        Self { updates, late, ties, hostile }
    }
}

impl From<Mix> for end_to_end::Mix {
    fn from(Mix { updates, late, ties, hostile }: Mix) -> Self {
        Self { updates, late, ties, hostile }
    }
}

fn users() -> Vec<Kind> {
    vec![Kind::Users]
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Long => "long",
        }
    }

    // What a form has in common for all scenarios: short.toml, long.toml.
    fn base(self) -> Result<Table> {
        table(&root().join(format!("{}.toml", self.name())))
    }
}

impl Scenario {
    /// Those that are there, in the order of their rows.
    pub(crate) fn all(form: Form) -> Result<Vec<Self>> {
        let folder = root().join("scenarios");
        let files = std::fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))?;
        let mut scenarios = Vec::new();
        for file in files {
            let path = file?.path();
            if path.extension().is_some_and(|ending| ending == "toml") {
                scenarios.push(Self::read(&path, form)?);
            }
        }
        scenarios.sort_by(|one, other| (one.row, &one.name).cmp(&(other.row, &other.name)));
        Ok(scenarios)
    }

    /// The one of that name.
    pub(crate) fn named(name: &str, form: Form) -> Result<Self> {
        let mut all = Self::all(form)?;
        match all.iter().position(|scenario| scenario.name == name) {
            Some(place) => Ok(all.swap_remove(place)),
            None => {
                let names: Vec<&str> = all.iter().map(|scenario| scenario.name.as_str()).collect();
                bail!("there is no scenario {name}: all, or one of {}", names.join(", "))
            }
        }
    }

    /// Whether it is played in namespaces alone, and not on containers.
    pub(crate) fn needs_namespaces(&self) -> bool {
        self.disk.is_some() || self.cycle.iter().any(Step::needs_namespaces)
    }

    fn read(path: &Path, form: Form) -> Result<Self> {
        let mut scenario = chosen(table(path)?, form);
        for (key, shared) in form.base()? {
            let value = match (shared, scenario.remove(&key)) {
                (Value::Table(mut merged), Some(Value::Table(own))) => {
                    merged.extend(own);
                    merged.into()
                }
                (shared, own) => own.unwrap_or(shared),
            };
            scenario.insert(key, value);
        }
        let mut scenario: Self = scenario.try_into().with_context(|| path.display().to_string())?;
        scenario.name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        scenario.check().with_context(|| path.display().to_string())?;
        Ok(scenario)
    }

    // Each table is compared with one topic: rows of another would look invented.
    fn check(&self) -> Result<()> {
        let mut tables = BTreeSet::new();
        match self.feeds.iter().find(|feed| !tables.insert(feed.table())) {
            Some(feed) => bail!("two feeds fill the table {}; leave one out", feed.table()),
            None => Ok(()),
        }
    }
}

fn table(path: &Path) -> Result<Table> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    toml::from_str(&text).with_context(|| path.display().to_string())
}

// With each `{ short = .., long = .. }` replaced by what the form has.
fn chosen(table: Table, form: Form) -> Table {
    table.into_iter().map(|(key, value)| (key, of_form(value, form))).collect()
}

fn of_form(value: Value, form: Form) -> Value {
    match value {
        Value::Table(mut table) => {
            let is_choice = table.len() == 2 && table.contains_key("short") && table.contains_key("long");
            match table.remove(form.name()) {
                Some(value) if is_choice => of_form(value, form),
                Some(value) => {
                    table.insert(form.name().to_owned(), value);
                    Value::Table(chosen(table, form))
                }
                None => Value::Table(chosen(table, form)),
            }
        }
        Value::Array(values) => Value::Array(values.into_iter().map(|value| of_form(value, form)).collect()),
        value => value,
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_scenarios_are_read_in_both_forms_and_each_cycle_ends_healed() {
        for form in [Form::Short, Form::Long] {
            let scenarios = Scenario::all(form).unwrap();
            assert!(scenarios.len() >= 3);
            for Scenario { name, cycle, .. } in scenarios {
                assert!(matches!(cycle.last(), Some(Step::HealsWithin(_))), "{name}");
                let choices = cycle.iter().filter_map(|step| match step {
                    Step::OneOf(choices) => Some(choices),
                    _ => None,
                });
                for steps in choices.flatten().chain([&cycle]) {
                    for pair in steps.windows(2).filter(|pair| matches!(pair[1], Step::RedWithin(_))) {
                        assert!(is_fault(&pair[0]), "{name}: {pair:?}: red is measured from the fault");
                    }
                }
                // As a prefix of topics and keyspaces: see `testbed::unique`.
                assert!(name.len() <= 20, "{name}");
            }
        }
    }

    // Whether the health turns red of it.
    fn is_fault(step: &Step) -> bool {
        matches!(step, Step::Kill(_) | Step::Freeze(_) | Step::Cut(_) | Step::EndedWithin(..) | Step::Cql(_))
    }

    #[test]
    fn two_feeds_of_one_table_are_refused() {
        let mut soak = Scenario::named("soak", Form::Long).unwrap();
        soak.feeds.push(Kind::RandomUser);
        let refused = soak.check().unwrap_err().to_string();
        assert!(refused.contains("created_users"), "{refused}");
    }

    #[test]
    fn a_name_that_does_not_exist_is_answered_with_those_that_do() {
        let refused = Scenario::named("kill-everything", Form::Long).unwrap_err().to_string();
        assert!(refused.contains("kill-broker"), "{refused}");
    }

    #[test]
    fn what_a_broken_copy_must_show_is_a_violation() {
        #[derive(Deserialize)]
        struct Change {
            must_find: Violation,
        }
        let text = std::fs::read_to_string(root().join("broken.toml")).unwrap();
        let changes: BTreeMap<String, Change> = toml::from_str(&text).unwrap();
        assert!(changes.values().any(|change| change.must_find == Violation::Stale));
    }

    #[test]
    fn the_form_chooses_at_any_depth() {
        let text = "cycles = { short = 1, long = 50 }\ncycle = [{ flow = { short = [\"1s\", \"1s\"], long = [\"1s\", \"9s\"] } }]";
        let table: Table = toml::from_str(text).unwrap();
        let short = chosen(table.clone(), Form::Short).to_string();
        let long = chosen(table, Form::Long).to_string();
        assert!(short.contains("cycles = 1\n") && !short.contains("9s"), "{short}");
        assert!(long.contains("cycles = 50\n") && long.contains("9s"), "{long}");
    }

    #[test]
    fn times_that_are_none_are_refused() {
        let wrong = |cycle: &str| {
            let text = format!("about = \"\"\nrow = 1\nrate = 1\ncycles = 1\ncycle = [{cycle}]");
            toml::from_str::<Scenario>(&text).unwrap_err().to_string()
        };
        assert!(wrong(r#"{ flow = ["2s", "1s"] }"#).contains("the shorter time comes first"));
        assert!(wrong(r#"{ heals_within = "soon" }"#).contains("expected number"));
        assert!(wrong(r#"{ kill = "everything" }"#).contains("unknown variant"));
    }
}

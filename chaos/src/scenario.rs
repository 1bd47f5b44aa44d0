//! `scenarios/NAME.toml` -> what a run does: what flows, the servers' settings, and the steps of one cycle.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rand::RngExt;
use serde::Deserialize;
use toml::{Table, Value};

use crate::feed::Kind;
use crate::findings::Violation;

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
    /// Whether the services know the servers by names, whose addresses can change.
    #[serde(default)]
    pub(crate) named: bool,
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

/// What is done, or waited for.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// The stream flows for a random time between the two.
    Flow(Between),
    /// SIGKILL.
    Kill(Part),
    /// SIGTERM; the exit code must be 0, within ten seconds.
    Stop(Part),
    /// SIGTERM, without waiting.
    Term(Part),
    /// It ends by then: a service with 0, whatever a server says.
    EndedWithin(Part, Time),
    /// What the producers said they had sent when they were told to end is on their topics.
    SentIsPublished,
    /// SIGSTOP.
    Freeze(Part),
    /// SIGCONT.
    Thaw(Part),
    /// Starts it again, and waits until a server answers.
    Start(Part),
    /// So many consumers: new ones are started, surplus ones end by SIGTERM and SIGKILL in turn.
    Scale(usize),
    /// Packets from and to it are dropped: nobody is told.
    Cut(Part),
    /// Packets to it are answered with a reset.
    Reset(Part),
    /// Of a hundred packets to it, so many are answered with a reset.
    ResetSome(Part, u8),
    /// Of a hundred packets from and to it, so many are dropped: TCP sends them again, late.
    Lose(Part, u8),
    /// Packets have so many bytes at most.
    Slice(u16),
    /// Packets flow again. Some must have been struck.
    Mend,
    /// The server is at another address, which its name has now; nobody answers at the old one.
    Move(Part),
    /// Its disk has no byte left.
    Fill(Part),
    /// Its disk has room again.
    Free(Part),
    /// The load goes on until the topic holds so many more messages than are committed.
    Backlog(i64),
    /// From here on so many messages a second are published, of users.
    Rate(u32),
    /// From here on so many hostile messages come beside a hundred others.
    Hostile(u8),
    /// Waits until the consumer that was just started has an outcome for all of the topic, and notes the good rows a second
    /// under that name.
    Drained(String),
    /// The second of two noted rates is at least that much of the first.
    Ratio(String, String, f64),
    /// The load pauses, with everything acknowledged.
    Hold,
    /// The load goes on.
    Go,
    /// What is on the topics is committed by then.
    CommittedWithin(Time),
    /// The table is remembered, with all WRITETIMEs.
    Snapshot,
    /// The table is as it was.
    SameSnapshot,
    /// The group's offsets go back to the beginning. Nobody may be in the group.
    RewindGroup,
    /// The topic is deleted and created again, empty.
    RecreateTopic,
    /// A statement of the superuser, with `{ks}` for the keyspace.
    Cql(String),
    /// A CQL file of the repository.
    Script(String),
    /// From here on whoever publishes users has a clock that is ahead of the consumer's by so much.
    ClockAhead(Time),
    /// As `ClockAhead`, behind it.
    ClockBehind(Time),
    /// No metric of a consumer is negative.
    MetricsMakeSense,
    /// A fault of the simulated upstreams, as their `POST /faults` takes it.
    Fault(Table),
    /// Every one of them has struck.
    Calm,
    /// The consumer's health is red by then. It comes right after the fault, so that the time is that since the fault.
    RedWithin(Time),
    /// The consumer's health is red by then, or its metric of offset resets is above what it was before the topic was made anew.
    NoticedWithin(Time),
    /// What Kafka acknowledges from now on is stored by then, and the consumer's health is green.
    HealsWithin(Time),
    /// The youngest rows that can be read are remembered.
    NoteStored,
    /// Counts which of them Cassandra has forgotten.
    CountForgotten,
    /// Each message below the committed offset is in the table, or a newer one of its user.
    CommittedIsStored,
    /// One of these lists, by chance.
    OneOf(Vec<Vec<Step>>),
}

/// What a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Part {
    Consumer,
    Producer,
    Kafka,
    Cassandra,
}

impl Step {
    // Whether the health turns red of it.
    #[cfg(test)]
    fn is_fault(&self) -> bool {
        matches!(self, Self::Kill(_) | Self::Freeze(_) | Self::Cut(_) | Self::EndedWithin(..) | Self::Cql(_))
    }
}

/// A duration, such as `20s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Time(pub(crate) Duration);

/// Two durations, the shorter first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "(Time, Time)")]
pub(crate) struct Between(Duration, Duration);

fn users() -> Vec<Kind> {
    vec![Kind::Users]
}

impl TryFrom<String> for Time {
    type Error = humantime::DurationError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        humantime::parse_duration(&text).map(Self)
    }
}

impl TryFrom<(Time, Time)> for Between {
    type Error = &'static str;

    fn try_from((Time(least), Time(most)): (Time, Time)) -> Result<Self, Self::Error> {
        if least <= most { Ok(Self(least, most)) } else { Err("the shorter time comes first") }
    }
}

impl Between {
    pub(crate) fn choose(self, random: &mut impl RngExt) -> Duration {
        random.random_range(self.0..=self.1)
    }
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
        Ok(scenario)
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
                        assert!(pair[0].is_fault(), "{name}: {pair:?}: red is measured from the fault");
                    }
                }
                // As a prefix of topics and keyspaces: see `testbed::unique`.
                assert!(name.len() <= 20, "{name}");
            }
        }
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

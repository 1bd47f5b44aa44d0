//! Any history of nodes, probes and writes, beside a model that remembers all of it.

use proptest::prelude::*;

use super::*;

const NODES: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    Wait {
        millis: u64,
    },
    /// A write is acknowledged; the engine hears of it so late.
    Acknowledge {
        late: u64,
    },
    /// A round of probes. Lost: the statement failed, and nothing is known of any node.
    Probe {
        took: u64,
        lost: bool,
    },
    /// A node starts again, seen or unseen.
    Restart {
        node: usize,
    },
    /// A node does not answer, or answers again.
    Silence {
        node: usize,
        silent: bool,
    },
    /// A node joins the ring, or leaves it.
    Member {
        node: usize,
        member: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let node = 0..NODES;
    let took = prop_oneof![6 => 0..50_u64, 1 => 0..70_000_u64];
    prop_oneof![
        // Mostly as the engine probes, now and then a process that stood still.
        8 => (0..1_500_u64).prop_map(|millis| Step::Wait { millis }),
        1 => (0..20_000_u64).prop_map(|millis| Step::Wait { millis }),
        5 => prop_oneof![Just(0), 0..8_000_u64].prop_map(|late| Step::Acknowledge { late }),
        12 => (took, prop::bool::weighted(0.1)).prop_map(|(took, lost)| Step::Probe { took, lost }),
        1 => node.clone().prop_map(|node| Step::Restart { node }),
        2 => (node.clone(), prop::bool::weighted(0.4)).prop_map(|(node, silent)| Step::Silence { node, silent }),
        1 => (node, any::<bool>()).prop_map(|(node, member)| Step::Member { node, member }),
    ]
}

#[derive(Debug)]
struct Node {
    generation: i32,
    silent: bool,
    member: bool,
}

/// A row whose write was acknowledged since the last rewind.
#[derive(Debug)]
struct Row {
    at: Instant,
    late: bool,
    stamp: Duration,
    /// The generations that were known when it was acknowledged.
    told: BTreeMap<Uuid, i32>,
}

#[derive(Debug)]
struct Model {
    at: Instant,
    nodes: Vec<Node>,
    /// Each node's generation as it was last answered, while it is a member.
    told: BTreeMap<Uuid, i32>,
    /// Since which answered round a node has not answered, and whether that has caused a rewind.
    silent: BTreeMap<Uuid, (Instant, bool)>,
    partial_since: Option<Instant>,
    /// The times that count: from an answer to the next probe, two seconds of each at most.
    counted: Vec<(Instant, Instant)>,
    answered_at: Option<Instant>,
    rows: Vec<Row>,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    First,
    Same,
    Restarted,
    Replaced,
    Unanswered,
}

fn kind(verdict: &Verdict) -> Kind {
    match verdict {
        Verdict::First => Kind::First,
        Verdict::Same { .. } => Kind::Same,
        Verdict::Restarted { .. } => Kind::Restarted,
        Verdict::Replaced => Kind::Replaced,
        Verdict::Unanswered => Kind::Unanswered,
    }
}

impl Model {
    fn new() -> Self {
        let node = |number| Node { generation: 1, silent: false, member: number < 2 };
        Self {
            at: Instant::now(),
            nodes: (0..NODES).map(node).collect(),
            told: BTreeMap::new(),
            silent: BTreeMap::new(),
            partial_since: None,
            counted: Vec::new(),
            answered_at: None,
            rows: Vec::new(),
        }
    }

    fn answer(&self) -> Answer {
        let members = self.nodes.iter().zip(1..).filter(|(node, _)| node.member);
        members
            .map(|(node, number)| (Uuid::from_u128(number), (!node.silent).then_some(node.generation)))
            .collect()
    }

    // How long the row's age has grown, by the times that count.
    fn age(&self, row: &Row) -> Duration {
        self.counted.iter().map(|(from, to)| to.saturating_duration_since((*from).max(row.at))).sum()
    }

    fn sent(&mut self) {
        if let Some(since) = self.answered_at.take() {
            self.counted.push((since, self.at.min(since + STEP_MAX)));
        }
    }

    // The rules, one after the other. Returns what the answer means.
    fn answered(&mut self, answer: &Answer) -> Kind {
        if answer.values().all(Option::is_none) {
            return Kind::Unanswered;
        }
        let long = |since: Instant, now: Instant| now - since >= LEFT_OUT_AFTER;
        let first = self.told.is_empty();
        if first {
            let partial_since = *self.partial_since.get_or_insert(self.at);
            if answer.values().any(Option::is_none) && !long(partial_since, self.at) {
                return Kind::Unanswered;
            }
        } else if !answer.keys().any(|host| self.told.contains_key(host)) {
            return Kind::Replaced;
        }
        let mut rewind = false;
        for (host, generation) in answer {
            match generation {
                Some(generation) => {
                    rewind |= self.told.insert(*host, *generation) != Some(*generation);
                    self.silent.remove(host);
                }
                None if self.told.contains_key(host) => {
                    let (since, given_up) = self.silent.entry(*host).or_insert((self.at, false));
                    if !*given_up && long(*since, self.at) {
                        *given_up = true;
                        rewind = true;
                    }
                }
                None => {}
            }
        }
        self.told.retain(|host, _| answer.contains_key(host));
        self.silent.retain(|host, _| answer.contains_key(host));
        // A node that leaves the ring hands its rows over.
        self.rows.iter_mut().for_each(|row| row.told.retain(|host, _| answer.contains_key(host)));
        if !first && !rewind && self.silent.values().any(|(_, given_up)| !given_up) {
            return Kind::Unanswered;
        }
        self.answered_at = Some(self.at);
        match (first, rewind) {
            (true, _) => Kind::First,
            (_, true) => Kind::Restarted,
            (..) => Kind::Same,
        }
    }
}

fn probe(
    horizon: &mut Horizon,
    model: &mut Model,
    took: Duration,
    lost: bool,
) -> Result<bool, TestCaseError> {
    horizon.sent(model.at);
    model.sent();
    model.at += took;
    if lost {
        return Ok(true);
    }
    let answer = model.answer();
    let verdict = horizon.answered(model.at, &answer);
    prop_assert_eq!(kind(&verdict), model.answered(&answer), "{:?} {:?}", answer, model);
    match verdict {
        Verdict::Replaced => return Ok(false),
        // What is not durable is written again.
        Verdict::Restarted { .. } => model.rows.clear(),
        Verdict::Same { durable_up_to } => {
            for row in &model.rows {
                let durable = durable_up_to.is_some_and(|limit| row.stamp <= limit);
                let old = model.age(row) >= horizon.durable_after;
                prop_assert!(
                    durable == old || row.late && old,
                    "durable {durable}, aged {:?}: {row:?}",
                    model.age(row)
                );
                if !durable {
                    continue;
                }
                for (host, generation) in &answer {
                    match generation {
                        Some(generation) => {
                            prop_assert_eq!(row.told.get(host), Some(generation), "{:?}", row);
                        }
                        None => prop_assert!(!row.told.contains_key(host) || model.silent[host].1, "{host}"),
                    }
                }
            }
        }
        Verdict::First | Verdict::Unanswered => {}
    }
    Ok(true)
}

proptest! {
    #[test]
    fn rows_are_durable_by_a_model_that_remembers_every_answer(
        seconds in prop_oneof![Just(1), Just(4), Just(16)],
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let mut horizon = Horizon::new(Duration::from_secs(seconds));
        let mut model = Model::new();
        for step in steps {
            match step {
                Step::Wait { millis } => model.at += Duration::from_millis(millis),
                Step::Acknowledge { late } if !model.told.is_empty() => {
                    // Sent after the last rewind, since those from before are void.
                    let last = model.rows.last().map_or(model.at, |row| row.at);
                    let at = (model.at - Duration::from_millis(late)).max(last);
                    let (late, stamp, told) = (at < model.at, horizon.now(at), model.told.clone());
                    model.rows.push(Row { at, late, stamp, told });
                }
                Step::Acknowledge { .. } => {}
                Step::Probe { took, lost } => {
                    if !probe(&mut horizon, &mut model, Duration::from_millis(took), lost)? {
                        return Ok(());
                    }
                }
                Step::Restart { node } => model.nodes[node].generation += 1,
                Step::Silence { node, silent } => model.nodes[node].silent = silent,
                Step::Member { node, member } => model.nodes[node].member = member,
            }
            prop_assert!(horizon.hosts().eq(model.told.keys()));
        }
    }
}

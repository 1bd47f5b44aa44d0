//! Counted records by partition -> the summary at the end: a table, a JSON object, and what does not add up.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

/// One partition, when nobody writes any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) dataset: &'static str,
    pub(super) topic: &'static str,
    pub(super) partition: i32,
    /// By the topic's end.
    pub(super) published: i64,
    /// Rows in the file.
    pub(super) stored: i64,
    /// Distinct dead letters.
    pub(super) dead_lettered: i64,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Reckoning {
    accounts: Vec<Account>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    published: i64,
    stored: i64,
    dead_lettered: i64,
}

impl Sum {
    fn of<'a>(accounts: impl Iterator<Item = &'a Account>) -> Self {
        accounts.fold(Self::default(), |sum, account| Self {
            published: sum.published + account.published,
            stored: sum.stored + account.stored,
            dead_lettered: sum.dead_lettered + account.dead_lettered,
        })
    }

    fn in_flight(self) -> i64 {
        self.published - self.stored - self.dead_lettered
    }
}

impl Reckoning {
    /// Of accounts in the order in which the datasets are to be listed.
    pub(super) fn new(accounts: Vec<Account>) -> Self {
        Self { accounts }
    }

    /// Says of each partition whose rows and dead letters are not its records, what is wrong.
    pub(super) fn mismatches(&self) -> impl Iterator<Item = String> {
        let wrong = self.accounts.iter().filter(|account| Sum::of([*account].into_iter()).in_flight() != 0);
        wrong.map(|account| {
            let Account { topic, partition, published, stored, dead_lettered, .. } = account;
            format!(
                "{topic}:{partition} does not add up: {published} published, {stored} stored, \
                 {dead_lettered} dead-lettered"
            )
        })
    }

    fn by_dataset(&self) -> Vec<(&'static str, Sum)> {
        let mut names: Vec<&str> = self.accounts.iter().map(|account| account.dataset).collect();
        names.dedup();
        let of = |name| Sum::of(self.accounts.iter().filter(move |account| account.dataset == name));
        names.into_iter().map(|name| (name, of(name))).collect()
    }

    /// The table for people.
    pub(super) fn table(&self, elapsed: Duration, folder: &Path) -> String {
        let head = format!("after {:.1} s", elapsed.as_secs_f64());
        let mut text = format!(
            "\n{head:<14}{:>11}{:>11}{:>15}{:>11}\n",
            "published", "stored", "dead-lettered", "in flight"
        );
        let total = ("all", Sum::of(self.accounts.iter()));
        for (name, sum) in self.by_dataset().into_iter().chain([total]) {
            let Sum { published, stored, dead_lettered } = sum;
            let in_flight = sum.in_flight();
            // Writing into a string does not fail.
            let _ = writeln!(text, "{name:<14}{published:>11}{stored:>11}{dead_lettered:>15}{in_flight:>11}");
        }
        let wrong = self.mismatches().count();
        let verdict = if wrong == 0 { "it adds up in every partition" } else { "it does not add up" };
        let _ = write!(
            text,
            "\npublished: by the topics' ends; stored: rows counted in {}; {verdict}",
            folder.display()
        );
        text
    }

    /// The object for scripts.
    pub(super) fn json(&self, elapsed: Duration) -> String {
        let by = |number: fn(Sum) -> i64| {
            self.by_dataset().into_iter().map(|(name, sum)| (name, number(sum))).collect()
        };
        let summary = Summary {
            seconds: (elapsed.as_secs_f64() * 10.0).round() / 10.0,
            published: by(|sum| sum.published),
            stored: by(|sum| sum.stored),
            dead_lettered: by(|sum| sum.dead_lettered),
            in_flight: Sum::of(self.accounts.iter()).in_flight(),
        };
        serde_json::to_string(&summary).expect("numbers under string keys are JSON")
    }
}

/// What `--json` prints; the names are fixed, scripts rely on them.
#[derive(Serialize)]
struct Summary {
    /// How long the producers ran.
    seconds: f64,
    published: BTreeMap<&'static str, i64>,
    stored: BTreeMap<&'static str, i64>,
    dead_lettered: BTreeMap<&'static str, i64>,
    in_flight: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(partition: i32, published: i64, stored: i64, dead_lettered: i64) -> Account {
        Account { dataset: "faker", topic: "faker", partition, published, stored, dead_lettered }
    }

    #[test]
    fn rows_and_dead_letters_together_are_what_was_published() {
        let reckoning = Reckoning::new(vec![account(0, 5, 5, 0), account(1, 4, 3, 1)]);
        assert_eq!(reckoning.mismatches().count(), 0);
        let json = reckoning.json(Duration::from_millis(2040));
        assert_eq!(
            json,
            r#"{"seconds":2.0,"published":{"faker":9},"stored":{"faker":8},"dead_lettered":{"faker":1},"in_flight":0}"#
        );
    }

    #[test]
    fn a_row_lost_here_and_one_doubled_there_do_not_make_it_right() {
        let reckoning = Reckoning::new(vec![account(0, 5, 4, 0), account(1, 4, 5, 0)]);
        let wrong: Vec<String> = reckoning.mismatches().collect();
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(wrong[0].contains("faker:0 does not add up: 5 published, 4 stored"), "{wrong:?}");
        assert!(reckoning.table(Duration::ZERO, Path::new("x")).contains("does not add up"));
    }
}

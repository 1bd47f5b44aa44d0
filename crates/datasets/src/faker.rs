//! Invented people: made here with the crate `fake` -> topic faker -> kafkapipeline.fakerdata.
//!
//! One seed is one sequence of people, on every machine. Without a seed in the settings the caller's entropy is it.

mod person;

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use serde_json::Value;

use self::person::Person;
use crate::settings::Section;
use crate::{Dataset, Generated, SettingsError, Upstream};

/// People made up on the spot.
pub static DATASET: Dataset = Dataset {
    name: "faker",
    topic: "faker",
    table: "kafkapipeline.fakerdata",
    about: "invented people of twelve fields, generated here",
    upstream: Upstream::Generated { new: |section, entropy| Ok(Box::new(Faker::new(section, entropy)?)) },
};

const KEYS: &[&str] = &["rate", "seed"];

struct Faker {
    rate: u32,
    rng: Xoshiro256PlusPlus,
    person: Person,
    value: Vec<u8>,
}

impl Faker {
    fn new(value: &Value, entropy: u64) -> Result<Self, SettingsError> {
        let section = Section::open("faker", value, KEYS)?;
        let seed = section.whole("seed", 0..=u64::MAX)?.unwrap_or(entropy);
        Ok(Self {
            rate: section.whole("rate", 0..=10_000_000)?.unwrap_or(10),
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            person: Person::default(),
            value: Vec::with_capacity(512),
        })
    }
}

impl Generated for Faker {
    fn rate(&self) -> u32 {
        self.rate
    }

    fn next(&mut self) -> (&str, &[u8]) {
        self.person.become_another(&mut self.rng);
        self.value.clear();
        serde_json::to_writer(&mut self.value, &self.person)
            .expect("a person has string keys only and a Vec takes every byte");
        (&self.person.id, &self.value)
    }
}

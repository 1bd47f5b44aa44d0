//! Which messages are new versions, late, ties.

/// Of a hundred messages, how many are not of a new user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix {
    /// New versions of an earlier user.
    pub updates: u8,
    /// Updates with a timestamp that is older than that of a version before them.
    pub late: u8,
    /// Updates of the message before them, with its timestamp.
    pub ties: u8,
    /// Beside the hundred: messages that no producer should send.
    pub hostile: u8,
}

impl Default for Mix {
    fn default() -> Self {
        Self { updates: 20, late: 1, ties: 1, hostile: 0 }
    }
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    New,
    Update,
    Late,
    Tie,
}

impl Mix {
    /// Of a version. Each hundred have the same kinds in the same order, spread.
    pub(super) fn kind(self, version: usize) -> Kind {
        let place = u8::try_from(version % 100 * 37 % 100).unwrap();
        match place {
            // The first of all has nothing before it.
            0 => Kind::New,
            place if place <= self.ties => Kind::Tie,
            place if place <= self.ties + self.late => Kind::Late,
            place if place <= self.ties + self.late + self.updates => Kind::Update,
            _ => Kind::New,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_versions_have_as_many_of_each_kind_as_asked() {
        let mix = Mix { updates: 60, late: 20, ties: 10, hostile: 0 };
        assert_eq!(mix.kind(0), Kind::New);
        for first in [0, 700] {
            let count = |kind| (first..first + 100).filter(|version| mix.kind(*version) == kind).count();
            let counts = [Kind::New, Kind::Update, Kind::Late, Kind::Tie].map(count);
            assert_eq!(counts, [10, 60, 20, 10]);
        }
    }
}

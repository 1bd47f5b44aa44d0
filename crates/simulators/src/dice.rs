//! Seed and record number -> the same choices for ever.
//!
//! Our own SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014) and not a
//! library's generator: a simulated record must not change because a dependency was updated.

use uuid::Uuid;

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of choices that is a pure function of what it was made from.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Dice for one record: each part (seed, dataset, number ...) changes every roll.
    pub(crate) fn new(parts: &[u64]) -> Self {
        Self(parts.iter().fold(0x7472_6962_7574_6172, |state, part| mix(state.rotate_left(23) ^ mix(*part))))
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number in `0..bound`; 0 when `bound` is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.roll()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// A number in `low..=high`.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low.saturating_add_unsigned(self.below(low.abs_diff(high).saturating_add(1)))
    }

    /// True once in `n` rolls.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    /// A number in `low..high` rounded to `decimals` places, as the upstreams round theirs.
    pub(crate) fn real(&mut self, low: f64, high: f64, decimals: i32) -> f64 {
        // 32 bits are exact in a double and finer than any rounding asked for here.
        let share = f64::from(u32::try_from(self.roll() >> 32).unwrap_or(0)) / f64::from(u32::MAX);
        round(low + share * (high - low), decimals)
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.index(of.len())]
    }

    /// Picks by weight.
    pub(crate) fn weighted<'a, T>(&mut self, of: &'a [T], weight: impl Fn(&T) -> u32) -> &'a T {
        let total = of.iter().map(|item| u64::from(weight(item))).sum();
        let mut left = self.below(total);
        for item in of {
            let weight = u64::from(weight(item));
            if left < weight {
                return item;
            }
            left -= weight;
        }
        &of[0]
    }

    /// A UUID in the layout of version 4.
    pub(crate) fn uuid(&mut self) -> Uuid {
        let bytes = (u128::from(self.roll()) << 64) | u128::from(self.roll());
        uuid::Builder::from_random_bytes(bytes.to_be_bytes()).into_uuid()
    }

    pub(crate) fn hex(&mut self, len: usize) -> String {
        self.string(b"0123456789abcdef", len)
    }

    pub(crate) fn string(&mut self, alphabet: &[u8], len: usize) -> String {
        (0..len).map(|_| char::from(self.pick(alphabet))).collect()
    }

    /// Fills a pattern: `#` a digit, `@` a capital letter, anything else itself.
    pub(crate) fn fill(&mut self, pattern: &str) -> String {
        let one = |c| match c {
            '#' => char::from(self.pick(b"0123456789")),
            '@' => char::from(self.pick(b"ABCDEFGHJKLMNPRSTVWXYZ")),
            other => other,
        };
        pattern.chars().map(one).collect()
    }
}

/// FNV-1a, mixed: a seed from a text such as a city or a client's `seed`.
pub(crate) fn hash(text: &str) -> u64 {
    let fnv = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3));
    mix(fnv)
}

pub(crate) fn round(value: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    (value * scale).round() / scale
}

fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dice_never_change_between_releases() {
        let mut dice = Dice::new(&[1, 2, 3]);
        let rolls = [dice.roll(), dice.roll()];
        let mut again = Dice::new(&[1, 2, 3]);
        assert_eq!(rolls, [again.roll(), again.roll()]);
        assert_ne!(rolls[0], Dice::new(&[1, 3, 2]).roll());
        // The published first output of SplitMix64 for state 0.
        assert_eq!(Dice(0).roll(), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn ranges_are_reached_at_both_ends_and_never_left() {
        let mut dice = Dice::new(&[7]);
        let rolls: Vec<i64> = (0..1000).map(|_| dice.between(-2, 2)).collect();
        assert_eq!((rolls.iter().min(), rolls.iter().max()), (Some(&-2), Some(&2)));
        assert_eq!(dice.below(0), 0);
        let real = dice.real(-1.0, 1.0, 2);
        assert!((-1.0..=1.0).contains(&real));
    }
}

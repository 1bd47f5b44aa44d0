//! Durations as ISO 8601 or Cassandra write them -> months, days and nanoseconds.
//!
//! The three never mix: a month has no fixed number of days, and a day none of hours.

use super::vint;

/// Appends a `duration`: three signed vints.
pub(super) fn encode(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let (months, days, nanos) = parse(text)?;
    vint::signed(months.into(), out);
    vint::signed(days.into(), out);
    vint::signed(nanos, out);
    Some(())
}

fn parse(text: &str) -> Option<(i32, i32, i64)> {
    let (negative, text) = signed(text);
    let mut sum = Sum::default();
    match text.strip_prefix('P') {
        Some(iso) => sum.add_iso(iso, negative)?,
        None => sum.add_compact(text, negative)?,
    }
    Some((sum.months.try_into().ok()?, sum.days.try_into().ok()?, sum.nanos.try_into().ok()?))
}

#[derive(Clone, Copy)]
enum Part {
    Months,
    Days,
    Nanos,
}

use Part::{Days, Months, Nanos};

// Units in the order in which they must come.
const ISO_DATE: [(&str, Part, i128); 4] =
    [("Y", Months, 12), ("M", Months, 1), ("W", Days, 7), ("D", Days, 1)];
const ISO_TIME: [(&str, Part, i128); 3] =
    [("H", Nanos, 3_600_000_000_000), ("M", Nanos, 60_000_000_000), ("S", Nanos, 1_000_000_000)];
const COMPACT: [(&str, Part, i128); 10] = [
    ("y", Months, 12),
    ("mo", Months, 1),
    ("w", Days, 7),
    ("d", Days, 1),
    ("h", Nanos, 3_600_000_000_000),
    ("m", Nanos, 60_000_000_000),
    ("s", Nanos, 1_000_000_000),
    ("ms", Nanos, 1_000_000),
    ("us", Nanos, 1_000),
    ("ns", Nanos, 1),
];

#[derive(Default)]
struct Sum {
    months: i128,
    days: i128,
    nanos: i128,
    positive: bool,
    negative: bool,
}

impl Sum {
    // `1Y2M3DT4H5M6.7S`: a sign before each number, a fraction of seconds.
    fn add_iso(&mut self, text: &str, negative: bool) -> Option<()> {
        let (date, time) = match text.split_once('T') {
            Some((date, time)) if !time.is_empty() => (date, time),
            Some(_) => return None,
            None if text.is_empty() => return None,
            None => (text, ""),
        };
        for (mut rest, mut units) in [(date, &ISO_DATE[..]), (time, &ISO_TIME[..])] {
            while !rest.is_empty() {
                let (minus, unsigned) = signed(rest);
                let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.')?;
                let (number, unit) = unsigned.split_at(end);
                let (place, (name, part, size)) =
                    units.iter().enumerate().find(|(_, (name, ..))| unit.starts_with(name))?;
                let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
                if number.contains('.') && (*name != "S" || fraction.is_empty()) {
                    return None;
                }
                let nanos = nanos_of(fraction)?;
                self.add(*part, digits(whole)? * size + nanos, minus != negative)?;
                (rest, units) = (&unit[name.len()..], &units[place + 1..]);
            }
        }
        Some(())
    }

    // `1y2mo3d4h5m6s7ms8us9ns`: Cassandra's own, in either case.
    fn add_compact(&mut self, text: &str, negative: bool) -> Option<()> {
        let text = text.to_lowercase().replace(['µ', 'μ'], "u");
        let (mut rest, mut units) = (text.as_str(), &COMPACT[..]);
        if rest.is_empty() {
            return None;
        }
        while !rest.is_empty() {
            let (number, unit) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
            let (unit, next) = unit.split_at(unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len()));
            let place = units.iter().position(|(name, ..)| *name == unit)?;
            let (_, part, size) = units[place];
            self.add(part, digits(number)? * size, negative)?;
            (rest, units) = (next, &units[place + 1..]);
        }
        Some(())
    }

    // Cassandra refuses a duration of both signs.
    fn add(&mut self, part: Part, amount: i128, negative: bool) -> Option<()> {
        self.negative |= negative && amount != 0;
        self.positive |= !negative && amount != 0;
        if self.negative && self.positive {
            return None;
        }
        let sum = match part {
            Months => &mut self.months,
            Days => &mut self.days,
            Nanos => &mut self.nanos,
        };
        *sum += if negative { -amount } else { amount };
        Some(())
    }
}

fn signed(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn digits(text: &str) -> Option<i128> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then_some(text)?.parse::<u64>().ok().map(i128::from)
}

fn nanos_of(fraction: &str) -> Option<i128> {
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        return Some(0);
    }
    let missing = 9_usize.checked_sub(fraction.len())?;
    Some(digits(fraction)? * 10_i128.pow(u32::try_from(missing).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_notations_mean_the_same() {
        let time = ((4 * 60 + 5) * 60 + 6) * 1_000_000_000;
        let cases = [
            ("P1Y2M3DT4H5M6.7S", Some((14, 3, time + 700_000_000))),
            ("1y2mo3d4h5m6s7ms8us9ns", Some((14, 3, time + 7_008_009))),
            ("-1y2mo3d4h5m6s700ms", Some((-14, -3, -time - 700_000_000))),
            ("-P1Y2M3DT4H5M6.700S", Some((-14, -3, -time - 700_000_000))),
            ("P-1Y-2M", Some((-14, 0, 0))),
            ("-PT-5.5S", Some((0, 0, 5_500_000_000))),
            ("P2W", Some((0, 14, 0))),
            ("1W2D", Some((0, 9, 0))),
            ("P1Y2W3D", Some((12, 17, 0))),
            ("PT0S", Some((0, 0, 0))),
            ("0s", Some((0, 0, 0))),
            ("+12H30M", Some((0, 0, 45_000_000_000_000))),
            ("5µs", Some((0, 0, 5_000))),
            ("PT0.000000001S", Some((0, 0, 1))),
            ("PT1.0000000010S", Some((0, 0, 1_000_000_001))),
            ("2147483647mo2147483647d9223372036854775807ns", Some((i32::MAX, i32::MAX, i64::MAX))),
            ("-2147483648mo2147483648d9223372036854775808ns", Some((i32::MIN, i32::MIN, i64::MIN))),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn what_would_lose_or_guess_is_refused() {
        for text in [
            "",
            "P",
            "PT",
            "P1YT",
            "-",
            "5",
            "1.5h",
            "P1.5D",
            "PT1.5H",
            "PT.5S",
            "PT5.S",
            "P1D2Y",
            "1m1h",
            "1y1y",
            "P1Y-2M",
            "-P1YT-5S",
            "1y-2mo",
            "P1H",
            "PT1D",
            "1 d",
            "1d ",
            "p1y",
            "P1y",
            "1mon",
            "yes",
            "P0001-02-03T04:05:06",
            "PT0.0000000001S",
            "2147483648mo",
            "2147483648d",
            "9223372036854775808ns",
            "2562048h",
            "99999999999999999999d",
            "PT1,5S",
            "1h2",
            "٣d",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_duration_is_three_vints() {
        let mut out = Vec::new();
        encode("-P1M2DT0.000000064S", &mut out).unwrap();
        assert_eq!(out, [0x01, 0x03, 0x7f]);
        out.clear();
        encode("12h", &mut out).unwrap();
        // 43,200,000,000,000 ns, twice: 47 bits in seven bytes.
        assert_eq!(out, [0x00, 0x00, 0xfc, 0x4e, 0x94, 0x91, 0x4f, 0x00, 0x00]);
    }
}

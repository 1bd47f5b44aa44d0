//! Numbers, and the texts that stand for them: by school arithmetic, without the consumer's libraries.

use std::fmt::{Display, LowerExp};

use rand::RngExt;
use rand::rngs::StdRng;

/// An integer of that range, often one of its ends or close to zero.
pub(super) fn edge(dice: &mut StdRng, low: i64, high: i64) -> i64 {
    match dice.random_range(0..6) {
        0 => low,
        1 => high,
        2 => dice.random_range(-1..=1),
        _ => dice.random_range(low..=high),
    }
}

/// An integer's literal.
pub(super) fn integer(dice: &mut StdRng, value: i64) -> String {
    match dice.random_range(0..6) {
        0 => format!("{value}.0"),
        1 if value != 0 => format!("{value}0e-1"),
        2 if value % 100 == 0 => format!("{}E+2", value / 100),
        _ => value.to_string(),
    }
}

/// The first finite one.
pub(super) fn finite<T>(mut draw: impl FnMut() -> T, is_finite: impl Fn(&T) -> bool) -> T {
    loop {
        let value = draw();
        if is_finite(&value) {
            return value;
        }
    }
}

/// A float's literal: all its digits, or an exponent.
pub(super) fn float(dice: &mut StdRng, value: &(impl Display + LowerExp)) -> String {
    if dice.random() { value.to_string() } else { format!("{value:e}") }
}

/// A long integer: two's complement as short as it can be, and its digits.
pub(super) fn long(dice: &mut StdRng) -> (Vec<u8>, String) {
    let length = match dice.random_range(0..10) {
        0 => 200,
        1 | 2 => dice.random_range(17..40),
        _ => dice.random_range(1..=17),
    };
    let mut bytes: Vec<u8> = (0..length).map(|_| dice.random()).collect();
    if dice.random_bool(0.3) {
        // The ends of a length, where a byte more or less is needed.
        bytes.fill(0);
        bytes[0] = 0x80;
    }
    while bytes.len() > 1 && (bytes[0] == 0 && bytes[1] < 0x80 || bytes[0] == 0xff && bytes[1] >= 0x80) {
        bytes.remove(0);
    }
    let digits = digits(&bytes);
    (bytes, digits)
}

/// A decimal: its text, its scale and its unscaled bytes. Of a `unique` one no other text has the same value.
pub(super) fn decimal(dice: &mut StdRng, unique: bool) -> (String, i32, Vec<u8>) {
    let (bytes, mut digits) = long(dice);
    let scale: i32 = match dice.random_range(0..8) {
        0 => dice.random_range(-9_000..=9_000),
        1 => 0,
        _ => dice.random_range(-20..=40),
    };
    if unique && (digits.ends_with('0')) {
        return decimal(dice, unique);
    }
    let minus = if digits.starts_with('-') { digits.remove(0).to_string() } else { String::new() };
    let text = match usize::try_from(scale) {
        Ok(0) => digits,
        Ok(places) if dice.random() => {
            let padded = format!("{}{digits}", "0".repeat((places + 1).saturating_sub(digits.len())));
            let (whole, fraction) = padded.split_at(padded.len() - places);
            format!("{whole}.{fraction}")
        }
        // The point anywhere before the exponent.
        _ if digits.len() > 1 && dice.random() => {
            let (whole, fraction) = digits.split_at(1);
            format!("{whole}.{fraction}e{}", i64::try_from(fraction.len()).unwrap() - i64::from(scale))
        }
        _ => format!("{digits}E{}", -scale),
    };
    (minus + &text, scale, bytes)
}

/// A duration: its text, months and days, nanoseconds.
pub(super) fn duration(dice: &mut StdRng) -> (String, [i32; 2], i64) {
    let mut up_to = |most: i64| if dice.random_bool(0.3) { 0 } else { edge(dice, 0, most).max(0) };
    let (months, days) = (up_to(i32::MAX.into()), up_to(i32::MAX.into()));
    let nanos = up_to(i64::MAX);
    let (years, odd_months) = (months / 12, months % 12);
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let (hours, minutes, odd_seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let negative = dice.random();
    let text = match dice.random_range(0..3) {
        0 => format!("P{years}Y{odd_months}M{days}DT{hours}H{minutes}M{odd_seconds}.{rest:09}S"),
        1 => {
            let (millis, micros, nanos) = (rest / 1_000_000, rest / 1_000 % 1_000, rest % 1_000);
            format!(
                "{years}y{odd_months}mo{days}d{hours}h{minutes}m{odd_seconds}s{millis}ms{micros}us{nanos}ns"
            )
        }
        _ => format!("P{months}M{}W{}DT{seconds}.{rest:09}S", days / 7, days % 7),
    };
    let sign = if negative { -1 } else { 1 };
    let [months, days] = [months, days].map(|part| i32::try_from(sign * part).unwrap());
    (format!("{}{text}", if negative { "-" } else { "" }), [months, days], sign * nanos)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0_usize, |word, byte| word << 8 | usize::from(*byte))
            << (8 * (3 - group.len()));
        for place in 0..4 {
            let letter = char::from(LETTERS[word >> (18 - 6 * place) & 63]);
            text.push(if place <= group.len() { letter } else { '=' });
        }
    }
    text
}

// Two's complement -> decimal digits, one byte after the other.
fn digits(bytes: &[u8]) -> String {
    let negative = bytes[0] >= 0x80;
    // The magnitude of a negative number is the complement of its bytes, plus one.
    let flip = if negative { 0xff } else { 0 };
    let mut decimal = vec![0_u32];
    let mut carry_in = u32::from(negative);
    for (place, byte) in bytes.iter().enumerate() {
        let last = place + 1 == bytes.len();
        let mut carry = u32::from(byte ^ flip) + if last { std::mem::take(&mut carry_in) } else { 0 };
        for digit in decimal.iter_mut() {
            let value = *digit * 256 + carry;
            (*digit, carry) = (value % 10, value / 10);
        }
        while carry > 0 {
            decimal.push(carry % 10);
            carry /= 10;
        }
    }
    let digits: String = decimal.iter().rev().map(u32::to_string).collect();
    let digits = digits.trim_start_matches('0');
    let digits = if digits.is_empty() { "0" } else { digits };
    if negative { format!("-{digits}") } else { digits.to_owned() }
}

#[test]
fn digits_are_those_of_the_number() {
    for value in [0, 1, -1, 127, -128, 255, 256, -256, 99_999, i64::MAX, i64::MIN, i64::MIN + 1] {
        assert_eq!(digits(&value.to_be_bytes()), value.to_string());
    }
    assert_eq!(base64(b"any carnal pleas"), "YW55IGNhcm5hbCBwbGVhcw==");
}

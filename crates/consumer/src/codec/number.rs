//! Number literals -> integers, floats, `varint` and `decimal`: exactly, or not at all.

use std::cmp::Ordering;

use num_bigint::BigInt;

/// Digits on either side of the point. More is an attack or a mistake: `1e1000000` is nine bytes that a reader
/// expands to a megabyte.
pub(super) const DIGITS_MAX: usize = 10_000;

/// `digits` x 10^-`scale`; the digits have no leading zeros, and zero has none.
struct Literal {
    negative: bool,
    digits: String,
    scale: i64,
}

impl Literal {
    fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let unsigned = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
        let (whole, fraction) = match unsigned.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (unsigned, ""),
        };
        if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let mut digits = whole.trim_start_matches('0').to_owned();
        digits.push_str(if digits.is_empty() { fraction.trim_start_matches('0') } else { fraction });
        let scale = i64::try_from(fraction.len()).ok()? - i64::from(exponent);
        Some(Self { negative: mantissa.starts_with('-'), digits, scale })
    }

    /// The digits of the integer that this is; `None` if it is none, or too long.
    fn integral(mut self) -> Option<Self> {
        if self.digits.is_empty() {
            self.scale = 0;
        }
        while self.scale > 0 {
            if self.digits.pop()? != '0' {
                return None;
            }
            self.scale -= 1;
        }
        let zeros = usize::try_from(-self.scale).ok()?;
        if zeros > DIGITS_MAX || self.digits.len() + zeros > DIGITS_MAX {
            return None;
        }
        self.digits.extend(std::iter::repeat_n('0', zeros));
        self.scale = 0;
        Some(self)
    }

    // Two's complement, big-endian, as short as it can be.
    fn append(&self, out: &mut Vec<u8>) -> Option<()> {
        let sign = if self.negative { "-" } else { "" };
        let digits = if self.digits.is_empty() { "0" } else { &self.digits };
        let number = format!("{sign}{digits}");
        match number.parse::<i128>() {
            Ok(small) => {
                let bytes = small.to_be_bytes();
                let fill = if small < 0 { 0xff } else { 0 };
                let spare = bytes.windows(2).take_while(|pair| pair[0] == fill && (pair[1] ^ fill) < 0x80);
                out.extend_from_slice(&bytes[spare.count()..]);
            }
            Err(_) => out.extend_from_slice(&number.parse::<BigInt>().ok()?.to_signed_bytes_be()),
        }
        Some(())
    }
}

/// The integer that a literal stands for, also written as `5.0` or `1e3`; `None` for anything else.
pub(super) fn integer(literal: &str) -> Option<i64> {
    if let Ok(plain) = literal.parse() {
        return Some(plain);
    }
    let Literal { negative, digits, .. } = Literal::parse(literal)?.integral()?;
    if digits.is_empty() {
        return Some(0);
    }
    format!("{}{digits}", if negative { "-" } else { "" }).parse().ok()
}

/// A `varint`: as [`integer`], without bounds but [`DIGITS_MAX`].
pub(super) fn varint(literal: &str, out: &mut Vec<u8>) -> Option<()> {
    Literal::parse(literal)?.integral()?.append(out)
}

/// A `decimal`: the scale, then the digits as a varint. `1.50` and `1.5` keep their scales, 2 and 1.
pub(super) fn decimal(literal: &str, out: &mut Vec<u8>) -> Option<()> {
    let literal = Literal::parse(literal)?;
    let most = i64::try_from(DIGITS_MAX).ok()?;
    let before_point = i64::try_from(literal.digits.len().max(1)).ok()? - literal.scale;
    if literal.scale > most || before_point > most {
        return None;
    }
    out.extend_from_slice(&i32::try_from(literal.scale).ok()?.to_be_bytes());
    literal.append(out)
}

/// A float: the nearest, but an integer must not become another, and nothing but zero becomes zero.
pub(super) fn float(literal: &str) -> Option<f32> {
    let value: f32 = literal.parse().ok().filter(|value: &f32| value.is_finite())?;
    let kept = match value {
        0.0 => is_zero(literal),
        // Integers of seven digits are exact.
        _ if literal.len() <= 7 || is_fraction(literal) => true,
        _ => keeps(literal, &[format!("{value}"), format!("{value:.0}")]),
    };
    kept.then_some(value)
}

/// As [`float`], of 64 bits.
pub(super) fn double(literal: &str) -> Option<f64> {
    let value: f64 = literal.parse().ok().filter(|value: &f64| value.is_finite())?;
    let kept = match value {
        0.0 => is_zero(literal),
        _ if literal.len() <= 15 || is_fraction(literal) => true,
        _ => keeps(literal, &[format!("{value}"), format!("{value:.0}")]),
    };
    kept.then_some(value)
}

fn is_zero(literal: &str) -> bool {
    literal.bytes().take_while(|byte| !matches!(byte, b'e' | b'E')).all(|byte| !matches!(byte, b'1'..=b'9'))
}

fn is_fraction(literal: &str) -> bool {
    literal.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
}

// JavaScript and Go write a float of up to 21 digits as its shortest digits and zeros: 2^55 is 36028797018963970, and
// is meant. All other integers that the type would change are refused.
fn keeps(literal: &str, written: &[String; 2]) -> bool {
    let unsigned = |text: &str| text.trim_start_matches(['-', '+', '0']).to_owned();
    written.iter().any(|written| unsigned(written) == unsigned(literal))
}

/// The order of two varints, both as short as they can be.
pub(super) fn compare_varints(left: &[u8], right: &[u8]) -> Ordering {
    let negative = |bytes: &[u8]| bytes.first().is_some_and(|first| *first >= 0x80);
    match (negative(left), negative(right)) {
        (false, true) => Ordering::Greater,
        (true, false) => Ordering::Less,
        (false, false) => left.len().cmp(&right.len()).then_with(|| left.cmp(right)),
        (true, true) => right.len().cmp(&left.len()).then_with(|| left.cmp(right)),
    }
}

/// The order of two decimals by their value: 1.5 and 1.50 are equal.
pub(super) fn compare_decimals(left: &[u8], right: &[u8]) -> Ordering {
    Magnitude::of(left).cmp(&Magnitude::of(right))
}

/// 0.`digits` x 10^`exponent`, of a decimal's cell: comparing these never multiplies, however far apart two scales are.
#[derive(PartialEq, Eq)]
pub(super) struct Magnitude {
    sign: Ordering,
    exponent: i64,
    digits: String,
}

impl Magnitude {
    pub(super) fn of(cell: &[u8]) -> Self {
        let (scale, unscaled) = cell.split_first_chunk::<4>().unwrap_or((&[0; 4], &[]));
        let number = match i128_of(unscaled) {
            Some(small) => small.to_string(),
            None => BigInt::from_signed_bytes_be(unscaled).to_string(),
        };
        let digits = number.trim_start_matches('-');
        let sign = match (digits, number.len() == digits.len()) {
            ("0", _) => Ordering::Equal,
            (_, true) => Ordering::Greater,
            (_, false) => Ordering::Less,
        };
        let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
        let exponent = match sign {
            Ordering::Equal => 0,
            _ => length.saturating_sub(i32::from_be_bytes(*scale).into()),
        };
        Self { sign, exponent, digits: digits.trim_end_matches('0').to_owned() }
    }

    fn cmp_absolute(&self, other: &Self) -> Ordering {
        self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits))
    }
}

/// The decimal of the same value that has no zeros at its end; bytes that are no decimal as they are.
pub(crate) fn shortest_decimal(cell: &[u8]) -> Vec<u8> {
    let Some((scale, unscaled)) = cell.split_first_chunk::<4>() else { return cell.to_vec() };
    let scale = i32::from_be_bytes(*scale);
    let number = BigInt::from_signed_bytes_be(unscaled).to_string();
    if number == "0" {
        return [0; 5].to_vec();
    }
    let zeros = number.len() - number.trim_end_matches('0').len();
    let shorter = i32::try_from(zeros).ok().and_then(|zeros| scale.checked_sub(zeros));
    match (shorter, number[..number.len() - zeros].parse::<BigInt>()) {
        (Some(scale), Ok(number)) => [&scale.to_be_bytes()[..], &number.to_signed_bytes_be()].concat(),
        _ => cell.to_vec(),
    }
}

impl Ord for Magnitude {
    fn cmp(&self, other: &Self) -> Ordering {
        self.sign.cmp(&other.sign).then_with(|| match self.sign {
            Ordering::Less => other.cmp_absolute(self),
            Ordering::Equal => Ordering::Equal,
            Ordering::Greater => self.cmp_absolute(other),
        })
    }
}

impl PartialOrd for Magnitude {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn i128_of(unscaled: &[u8]) -> Option<i128> {
    let missing = 16_usize.checked_sub(unscaled.len())?;
    let fill = if unscaled.first().is_some_and(|first| *first >= 0x80) { 0xff } else { 0 };
    let mut bytes = [fill; 16];
    bytes[missing..].copy_from_slice(unscaled);
    Some(i128::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests;

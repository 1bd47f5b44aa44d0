//! JSON number literals -> integers, exactly.

/// The integer that a literal stands for, also written as `5.0` or `1e3`; `None` for anything else.
pub(super) fn integer(literal: &str) -> Option<i64> {
    if let Ok(plain) = literal.parse() {
        return Some(plain);
    }
    let (mantissa, exponent) = match literal.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (literal, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = format!("{whole}{fraction}");
    let unsigned = digits.strip_prefix('-').unwrap_or(&digits);
    if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: i128 = digits.parse().ok()?;
    if value == 0 {
        return Some(0);
    }
    let mut shift = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let mut value = value;
    while shift < 0 {
        if value % 10 != 0 {
            return None;
        }
        value /= 10;
        shift += 1;
    }
    value.checked_mul(10_i128.checked_pow(u32::try_from(shift).ok()?)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::integer;

    #[test]
    fn integral_literals_are_exact_and_others_are_refused() {
        let cases = [
            ("0", Some(0)),
            ("-7", Some(-7)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("5.0", Some(5)),
            ("1e3", Some(1000)),
            ("1.25E2", Some(125)),
            ("1.255E2", None),
            ("100e-2", Some(1)),
            ("1e-1", None),
            ("1e400", None),
            ("0e999999", Some(0)),
            ("-0.0", Some(0)),
            ("abc", None),
            ("", None),
            ("-", None),
            ("1e99999999999", None),
        ];
        for (literal, expected) in cases {
            assert_eq!(integer(literal), expected, "{literal}");
        }
    }
}

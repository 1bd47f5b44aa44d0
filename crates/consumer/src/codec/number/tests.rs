use super::*;

fn encoded(encode: fn(&str, &mut Vec<u8>) -> Option<()>, literal: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    encode(literal, &mut out).map(|()| out)
}

#[test]
fn integral_literals_are_exact_and_others_are_refused() {
    let cases = [
        ("0", Some(0)),
        ("-7", Some(-7)),
        ("9223372036854775807", Some(i64::MAX)),
        ("-9223372036854775808", Some(i64::MIN)),
        ("-9223372036854775808.0", Some(i64::MIN)),
        ("9223372036854775808", None),
        ("5.0", Some(5)),
        ("1e3", Some(1000)),
        ("1.25E2", Some(125)),
        ("1.255E2", None),
        ("100e-2", Some(1)),
        ("1e-1", None),
        ("1e400", None),
        ("0e999999", Some(0)),
        ("0.000", Some(0)),
        ("-0.0", Some(0)),
        ("abc", None),
        ("", None),
        ("-", None),
        (".", None),
        (".5e1", None),
        ("5.", None),
        ("5e", None),
        ("--5", None),
        ("1_000", None),
        ("0x10", None),
        (" 5", None),
        ("1e99999999999", None),
    ];
    for (literal, expected) in cases {
        assert_eq!(integer(literal), expected, "{literal}");
    }
}

// The table of section 6.24 of the native protocol, version 5.
#[test]
fn varints_have_the_bytes_of_the_protocol() {
    let cases: [(&str, &[u8]); 9] = [
        ("0", &[0x00]),
        ("1", &[0x01]),
        ("127", &[0x7f]),
        ("128", &[0x00, 0x80]),
        ("129", &[0x00, 0x81]),
        ("-1", &[0xff]),
        ("-128", &[0x80]),
        ("-129", &[0xff, 0x7f]),
        ("-0", &[0x00]),
    ];
    for (literal, bytes) in cases {
        assert_eq!(encoded(varint, literal).unwrap(), bytes, "{literal}");
    }
    assert_eq!(encoded(varint, "1.28e2"), encoded(varint, "128"));
    for refused in ["1.5", "", "1e10000", "NaN", "Infinity", "12a", "--1"] {
        assert_eq!(encoded(varint, refused), None, "{refused}");
    }
}

#[test]
fn long_varints_are_exact_and_as_short_as_java_writes_them() {
    // 2^(8n - 1) is where a byte more is needed, on either side of the sign.
    for bytes in [8_usize, 16, 17, 40] {
        let bound: BigInt = BigInt::from(1) << (8 * bytes - 1);
        let below = [&[0x7f][..], &vec![0xff; bytes - 1]].concat();
        let above = [&[0x00, 0x80][..], &vec![0; bytes - 1]].concat();
        let lowest = [&[0x80][..], &vec![0; bytes - 1]].concat();
        assert_eq!(encoded(varint, &(&bound - 1_i32).to_string()).unwrap(), below, "{bytes} bytes");
        assert_eq!(encoded(varint, &bound.to_string()).unwrap(), above, "{bytes} bytes");
        assert_eq!(encoded(varint, &(-bound).to_string()).unwrap(), lowest, "{bytes} bytes");
    }
    assert!(encoded(varint, &"9".repeat(DIGITS_MAX)).is_some());
    assert_eq!(encoded(varint, &"9".repeat(DIGITS_MAX + 1)), None);
    assert_eq!(encoded(varint, "1e9999"), encoded(varint, &format!("1{}", "0".repeat(9_999))));
    assert!(encoded(varint, &format!("{}7", "0".repeat(20_000))).is_some(), "leading zeros are no digits");
}

#[test]
fn decimals_keep_value_and_scale() {
    let cases: [(&str, i32, &[u8]); 10] = [
        ("0", 0, &[0]),
        ("0.00", 2, &[0]),
        ("-0.00", 2, &[0]),
        ("1.5", 1, &[15]),
        ("1.50", 2, &[0x00, 0x96]),
        ("-1.28", 2, &[0x80]),
        ("1e3", -3, &[1]),
        ("1.25E+2", 0, &[125]),
        ("12e-5", 5, &[12]),
        ("0.0012", 4, &[12]),
    ];
    for (literal, scale, unscaled) in cases {
        let expected = [&scale.to_be_bytes()[..], unscaled].concat();
        assert_eq!(encoded(decimal, literal).unwrap(), expected, "{literal}");
    }
    let longest = format!("{}.{}", "9".repeat(DIGITS_MAX), "9".repeat(DIGITS_MAX));
    for taken in ["1e9999", "1e-10000", "0e9999", longest.as_str()] {
        assert!(encoded(decimal, taken).is_some(), "{taken}");
    }
    for refused in ["1e1000000", "1e-1000000", "1e10000", "1e-10001", "1e99999999999", "1.", "", "e5", "NaN"]
    {
        assert_eq!(encoded(decimal, refused), None, "{refused}");
    }
}

#[test]
fn decimals_are_ordered_by_value() {
    let ascending =
        ["-1e9999", "-10", "-9.99", "-1e-10000", "0.0", "1e-10000", "0.5", "9.99", "10", "10.001", "1e9999"];
    for (place, left) in ascending.iter().enumerate() {
        for (other, right) in ascending.iter().enumerate() {
            let (left, right) = (encoded(decimal, left).unwrap(), encoded(decimal, right).unwrap());
            assert_eq!(compare_decimals(&left, &right), place.cmp(&other));
        }
    }
    let [short, long] = ["1.5", "1.500"].map(|literal| encoded(decimal, literal).unwrap());
    assert_eq!(compare_decimals(&short, &long), Ordering::Equal);
    let [short, long] = ["0", "0.000"].map(|literal| Magnitude::of(&encoded(decimal, literal).unwrap()));
    assert!(short == long, "zeros are equal, whatever their scale");
    let [short, long] =
        ["-1e40", &format!("-1{}", "0".repeat(40))].map(|literal| encoded(decimal, literal).unwrap());
    assert_eq!(compare_decimals(&short, &long), Ordering::Equal);
}

#[test]
fn varints_are_ordered_by_value() {
    let ascending = ["-9e99", "-256", "-129", "-128", "-1", "0", "1", "127", "128", "255", "256", "9e99"];
    for (place, left) in ascending.iter().enumerate() {
        for (other, right) in ascending.iter().enumerate() {
            let (left, right) = (encoded(varint, left).unwrap(), encoded(varint, right).unwrap());
            assert_eq!(compare_varints(&left, &right), place.cmp(&other));
        }
    }
}

#[test]
fn floats_are_the_nearest_and_lose_no_integer() {
    assert_eq!(double("0.1"), Some(0.1));
    assert_eq!(double("9007199254740992"), Some(9_007_199_254_740_992.0));
    assert_eq!(double("-9007199254740993"), None, "the nearest double is one less");
    assert_eq!(double("18446744073709551616"), Some(18_446_744_073_709_551_616.0));
    assert_eq!(
        double("9007199254740993.0"),
        Some(9_007_199_254_740_992.0),
        "a fraction asks for the nearest"
    );
    // 2^67, as JavaScript writes it and in full.
    assert_eq!(double("147573952589676410000"), double("147573952589676412928"));
    assert!(double("147573952589676410000").is_some() && double("147573952589676412927").is_none());
    assert_eq!(double("1e999"), None);
    assert_eq!(double("1e-400"), None, "not zero");
    assert_eq!(double("0e-400"), Some(0.0));
    assert_eq!(double("5e-324"), Some(5e-324));
    assert_eq!(float("16777216"), Some(16_777_216.0));
    assert_eq!(float("16777217"), None);
    // 2^27 + 2^4, as Go writes it, in full, and another.
    assert_eq!(float("134217740"), float("134217744"));
    assert!(float("134217740").is_some() && float("134217741").is_none());
    assert_eq!(double("1e22"), Some(1e22));
    assert_eq!(float("3.4028235e38"), Some(f32::MAX));
    assert_eq!(float("3.5e38"), None);
    assert_eq!(float("1e-46"), None);
    assert_eq!(double("NaN"), None);
    assert_eq!(double("-0.0").map(f64::to_bits), Some((-0.0_f64).to_bits()));
}

#[test]
fn a_decimal_has_one_shortest_form() {
    let decimal = |scale: i32, unscaled: i64| {
        [&scale.to_be_bytes()[..], &BigInt::from(unscaled).to_signed_bytes_be()].concat()
    };
    for (scale, unscaled, shortest) in [
        (2, 100, decimal(0, 1)),
        (1, 10, decimal(0, 1)),
        (0, 100, decimal(-2, 1)),
        (-2, 1, decimal(-2, 1)),
        (3, -1_250, decimal(2, -125)),
        (7, 0, decimal(0, 0)),
        (i32::MIN, 10, decimal(i32::MIN, 10)),
    ] {
        assert_eq!(shortest_decimal(&decimal(scale, unscaled)), shortest, "{unscaled} of scale {scale}");
    }
    assert_eq!(shortest_decimal(b"abc"), b"abc");
}

#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::row::{from_bytes, to_bytes};
use proptest::prelude::*;

fn d(text: &str) -> Decimal {
    text.parse().unwrap()
}

#[test]
fn texts() {
    for (text, shown) in [
        ("0", "0"),
        ("-0.00", "0"),
        ("1.50", "1.5"),
        ("+12", "12"),
        ("-0.05", "-0.05"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1.5e3", "1500"),
        ("1.5E-3", "0.0015"),
        ("120e-1", "12"),
        ("170141183460469231731687303715884105727", "170141183460469231731687303715884105727"),
        ("0.00000000000000000000000000000000000001", "0.00000000000000000000000000000000000001"),
    ] {
        assert_eq!(d(text).to_string(), shown, "{text}");
    }
    assert_eq!(format!("{:>6}|{:<6}|{:06}", d("-1.5"), d("1.5"), d("1.5")), "  -1.5|1.5   |0001.5");
    for text in
        ["", "-", ".", "1.2.3", "1e", "x", "1x", "--1", "1e99", "1e-39", "1 ", "0x1", "1_0", "²"]
    {
        let error = text.parse::<Decimal>().unwrap_err();
        assert_eq!(error.kind(), Kind::Input, "{text}");
    }
    assert!("170141183460469231731687303715884105728".parse::<Decimal>().is_err());
}

#[test]
fn what_does_not_fit_is_none() {
    let most = Decimal::new(i128::MAX, 0).unwrap();
    let least_step = Decimal::new(1, 38).unwrap();
    assert_eq!(most.checked_add(d("1")), None);
    assert_eq!(most.checked_add(d("0.1")), None);
    assert_eq!(most.checked_sub(most), Some(Decimal::ZERO));
    assert_eq!(least_step.checked_mul(d("0.1")), None);
    assert_eq!(least_step.checked_mul(d("10")), Decimal::new(1, 37));
    assert_eq!(Decimal::new(i128::MIN, 0), None);
    assert_eq!(Decimal::new(1, 39), None);
    assert_eq!(Decimal::new(10, 39), Some(least_step));
    assert_eq!(d("0.1").checked_add(d("0.2")), Some(d("0.3")));
    assert_eq!(d("0.1").to_f64(), 0.1);
}

#[test]
fn order_over_scales() {
    let ascending = [
        "-170141183460469231731687303715884105727",
        "-1.5",
        "-1.05",
        "-1",
        "-0.1",
        "0",
        "1e-38",
        "0.9",
        "1",
        "1.01",
        "1e38",
    ];
    for (i, a) in ascending.iter().enumerate() {
        for (j, b) in ascending.iter().enumerate() {
            assert_eq!(d(a).cmp(&d(b)), i.cmp(&j), "{a} {b}");
        }
    }
}

#[test]
fn other_forms_of_a_number_do_not_decode() {
    for (digits, scale) in [(10_i128, 1_u8), (0, 1), (i128::MIN, 0), (1, 39)] {
        assert!(from_bytes::<Decimal>(&to_bytes(&(digits, scale))).is_err(), "{digits} {scale}");
    }
}

#[test]
fn json() {
    let read = |json: &str| serde_json::from_str::<Decimal>(json);
    for (json, value) in [
        ("1", "1"),
        ("-7", "-7"),
        ("0.1", "0.1"),
        ("12345678901234567890.12345", "12345678901234567890.12345"),
        ("\"0.10\"", "0.1"),
        ("1e2", "100"),
        ("18446744073709551616", "18446744073709551616"),
    ] {
        assert_eq!(read(json).unwrap(), d(value), "{json}");
        assert_eq!(sonic_rs::from_str::<Decimal>("0.1").unwrap(), d("0.1"));
    }
    for json in ["\"x\"", "1e99", "null", "{}", "[]", "true", "{\"a\":1}"] {
        let error = read(json).unwrap_err().to_string();
        assert!(error.contains("a decimal number of at most 38 digits"), "{json}: {error}");
    }
    assert_eq!(serde_json::to_string(&d("-1.50")).unwrap(), "\"-1.5\"");
}

proptest! {
    #[test]
    fn arithmetic_is_that_of_integers(a in any::<i64>(), b in any::<i64>(), s in 0..9_u32, t in 0..9_u32) {
        let (x, y) = (Decimal::new(a.into(), s).unwrap(), Decimal::new(b.into(), t).unwrap());
        let (a, b) = (i128::from(a) * 10_i128.pow(9 - s), i128::from(b) * 10_i128.pow(9 - t));
        prop_assert_eq!(x.checked_add(y), Decimal::new(a + b, 9));
        prop_assert_eq!(x.checked_sub(y), Decimal::new(a - b, 9));
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        prop_assert_eq!(x == y, a == b);
        prop_assert_eq!(to_bytes(&x) == to_bytes(&y), a == b);
        prop_assert_eq!(d(&x.to_string()), x);
        if let Some(product) = x.checked_mul(y) {
            let exact = i128::from(x.digits() as i64) * i128::from(y.digits() as i64);
            prop_assert_eq!(product, Decimal::new(exact, u32::from(x.scale() + y.scale())).unwrap());
        }
    }
}

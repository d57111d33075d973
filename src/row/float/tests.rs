#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::row::{from_bytes, to_bytes};
use proptest::prelude::*;

#[test]
fn one_zero_and_one_nan() {
    let nan = F64::new(f64::from_bits(0xfff0_0000_0000_0001));
    assert_eq!(F64::new(-0.0), F64::new(0.0));
    assert!(F64::new(-0.0).get().is_sign_positive());
    assert_eq!(nan, F64::new(f64::NAN));
    assert_eq!(to_bytes(&nan), to_bytes(&F64::new(f64::NAN)));
    assert!(nan > F64::new(f64::INFINITY));
    assert!(F64::new(f64::NEG_INFINITY) < F64::new(f64::MIN));
    // The bytes of -0.0 and of a NaN with another payload.
    assert!(from_bytes::<F64>(&(!(-0.0_f64).to_bits()).to_be_bytes()).is_err());
    assert!(from_bytes::<F64>(&0xfff8_0000_0000_0001_u64.to_be_bytes()).is_err());
}

#[test]
fn json() {
    for (value, json) in [
        (1.5, "1.5"),
        (-0.0, "0.0"),
        (1e300, "1e+300"),
        (f64::NAN, "\"NaN\""),
        (f64::INFINITY, "\"Infinity\""),
        (f64::NEG_INFINITY, "\"-Infinity\""),
    ] {
        assert_eq!(serde_json::to_string(&F64::new(value)).unwrap(), json);
        assert_eq!(serde_json::from_str::<F64>(json).unwrap(), F64::new(value), "{json}");
        assert_eq!(sonic_rs::from_str::<F64>(json).unwrap(), F64::new(value), "{json}");
    }
    assert_eq!(serde_json::from_str::<F64>("-3").unwrap(), F64::new(-3.0));
    for json in ["1e999", "\"1e999\"", "\"x\"", "null", "{}"] {
        assert!(serde_json::from_str::<F64>(json).is_err(), "{json}");
    }
}

proptest! {
    #[test]
    fn the_order_is_that_of_floats_and_of_bytes(a in any::<f64>(), b in any::<f64>()) {
        let (x, y) = (F64::new(a), F64::new(b));
        prop_assert_eq!(a.partial_cmp(&b), Some(x.cmp(&y)));
        prop_assert_eq!(to_bytes(&x).cmp(&to_bytes(&y)), x.cmp(&y));
        prop_assert_eq!(from_bytes::<F64>(&to_bytes(&x)).unwrap().get(), a);
    }
}

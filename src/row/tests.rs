#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::EventTime;
use expect_test::{expect, expect_file};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

#[derive(Row)]
pub(crate) struct Click {
    pub(crate) user: u64,
    pub(crate) page: String,
    pub(crate) at: EventTime,
}

#[derive(Row)]
enum Shape<T> {
    Unit,
    Point(i32, T),
    Named { x: Option<T>, r#type: Vec<u8> },
}

#[derive(Row)]
struct Everything {
    small: (bool, char, u8, i8, u16, i16, ()),
    wide: (u32, i32, u64, i64, u128, i128, usize, isize),
    floats: Vec<F64>,
    money: Decimal,
    shape: Box<Shape<String>>,
    shared: Arc<[u16; 3]>,
    set: BTreeSet<String>,
    map: BTreeMap<(i8, u8), Vec<Option<String>>>,
    clicks: Vec<Click>,
}

fn event_time() -> impl Strategy<Value = EventTime> {
    (EventTime::MIN.micros()..=EventTime::MAX.micros())
        .prop_map(|micros| EventTime::from_micros(micros).unwrap())
}

fn shape() -> impl Strategy<Value = Shape<String>> {
    prop_oneof![
        Just(Shape::Unit),
        (any::<i32>(), ".{0,9}").prop_map(|(x, y)| Shape::Point(x, y)),
        (prop::option::of(".{0,9}"), prop::collection::vec(any::<u8>(), 0..9))
            .prop_map(|(x, r#type)| Shape::Named { x, r#type }),
    ]
}

fn everything() -> impl Strategy<Value = Everything> {
    let click = ((any::<u64>(), ".{0,9}"), event_time()).prop_map(|((user, page), at)| Click {
        user,
        page,
        at,
    });
    let floats = prop::collection::vec(any::<u64>(), 0..4);
    let plain = (any::<(bool, char, u8, i8, u16, i16, ())>(), any::<(u32, i32, u64, i64)>());
    let wide = any::<(u128, i128, usize, isize)>();
    let set = prop::collection::btree_set(".{0,4}", 0..3);
    let lists = prop::collection::vec(prop::option::of(".{0,4}"), 0..3);
    let map = prop::collection::btree_map(any::<(i8, u8)>(), lists, 0..3);
    let rest = (any::<[u16; 3]>(), set, map);
    let parts = (plain, wide, floats, (any::<i64>(), 0..39_u32), shape(), rest);
    (parts, prop::collection::vec(click, 0..4)).prop_map(|(parts, clicks)| {
        let ((small, (a, b, c, d)), (e, f, g, h), floats, (digits, scale), shape, rest) = parts;
        Everything {
            small,
            wide: (a, b, c, d, e, f, g, h),
            floats: floats.into_iter().map(|bits| F64::new(f64::from_bits(bits))).collect(),
            money: Decimal::new(digits.into(), scale).unwrap(),
            shape: Box::new(shape),
            shared: Arc::new(rest.0),
            set: rest.1,
            map: rest.2,
            clicks,
        }
    })
}

/// Whatever the bytes are: no panic, and what decodes is the encoding of what it decodes to.
fn canonical<R: Row>(bytes: &[u8]) {
    let mut input = bytes;
    match R::decode(&mut input) {
        Ok(row) => assert_eq!(to_bytes(&row), bytes[..bytes.len() - input.len()]),
        Err(error) => assert!(error.offset(bytes.len()) <= bytes.len()),
    }
}

proptest! {
    #[test]
    fn a_row_survives_its_bytes(row in everything()) {
        let bytes = to_bytes(&row);
        prop_assert_eq!(from_bytes::<Everything>(&bytes).unwrap(), row.clone());
        let mut twice = [bytes.clone(), bytes.clone()].concat();
        let mut input = twice.as_slice();
        prop_assert_eq!(Everything::decode(&mut input).unwrap(), row);
        prop_assert_eq!(input, bytes.as_slice());
        twice.pop();
        prop_assert!(from_bytes::<Everything>(&twice).is_err());
        prop_assert!(from_bytes::<Everything>(&bytes[..bytes.len() - 1]).is_err());
    }

    #[test]
    fn a_shape_survives_json(row in shape()) {
        let json = serde_json::to_string(&row).unwrap();
        prop_assert_eq!(serde_json::from_str::<Shape<String>>(&json).unwrap(), row);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(1), any::<u8>()], 0..200)) {
        canonical::<Everything>(&bytes);
        canonical::<Shape<Shape<u8>>>(&bytes);
        canonical::<Vec<Click>>(&bytes);
        canonical::<BTreeMap<String, BTreeSet<i16>>>(&bytes);
        canonical::<(Vec<()>, char, F64, Decimal)>(&bytes);
        canonical::<Decimal>(&bytes);
    }

    #[test]
    fn a_flipped_bit_does_not_panic(row in everything(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut bytes = to_bytes(&row);
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        canonical::<Everything>(&bytes);
        prop_assert!(from_bytes::<Everything>(&bytes).ok() != Some(row));
    }

    #[test]
    fn integers_order_as_their_bytes(a in any::<i64>(), b in any::<i64>(), c in any::<u128>(), d in any::<u128>()) {
        prop_assert_eq!(a.cmp(&b), to_bytes(&a).cmp(&to_bytes(&b)));
        prop_assert_eq!((a as i8).cmp(&(b as i8)), to_bytes(&(a as i8)).cmp(&to_bytes(&(b as i8))));
        prop_assert_eq!((c as i128).cmp(&(d as i128)), to_bytes(&(c as i128)).cmp(&to_bytes(&(d as i128))));
        prop_assert_eq!(c.cmp(&d), to_bytes(&c).cmp(&to_bytes(&d)));
    }
}

/// Stored bytes never change: whoever must change one changes `schema::ENCODING`, and keeps reading the old ones.
#[test]
fn the_bytes_are_those_of_encoding_1() {
    let mut text = String::new();
    fn line<R: Row>(text: &mut String, row: R) {
        let hex: String = to_bytes(&row).iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "{}\n  {row:?}\n  {hex}", R::schema()).unwrap();
    }
    line(&mut text, (true, 'é', 1_u8, -1_i8, 258_u16, -2_i16, ()));
    line(&mut text, (1_u32, -1_i32, 1_u64, i64::MIN, 1_u128, 0_i128, 7_usize, -7_isize));
    line(&mut text, ("häh".to_owned(), Some(1_u8), None::<u8>, vec![1_u16, 2], [3_u8; 2]));
    line(&mut text, BTreeMap::from([(2_u8, "b".to_owned()), (1, "a".to_owned())]));
    line(&mut text, BTreeSet::from([-1_i8, 1]));
    line(&mut text, [-1.5, 0.0, 1.5, f64::INFINITY, f64::NAN].map(F64::new));
    line(&mut text, ["-1.50", "0", "12300"].map(|d| d.parse::<Decimal>().unwrap()));
    line(&mut text, EventTime::parse("2026-01-02T03:04:05.678Z").unwrap());
    line(&mut text, Click { user: 7, page: "/".into(), at: EventTime::MIN });
    line(&mut text, Shape::<u8>::Unit);
    line(&mut text, Shape::Point(-1, 2_u8));
    line(&mut text, Shape::Named { x: Some(1_u8), r#type: vec![9] });
    expect_file!["tests/encoding-1.txt"].assert_eq(&text);
}

#[test]
fn errors_name_type_and_byte() {
    let row = (1_u8, "ab".to_owned(), true);
    let bytes = to_bytes(&row);
    type T = (u8, String, bool);
    let message = |bytes: &[u8]| from_bytes::<T>(bytes).unwrap_err().to_string();
    let mut all = Vec::new();
    for cut in [0, 3, 6, 7] {
        all.push(message(&bytes[..cut]));
    }
    all.push(message(&[&bytes[..], &[0]].concat()));
    all.push(message(&[1, 0, 0, 0, 2, b'a', 0xff, 1]));
    all.push(message(&[1, 0, 0, 0, 0, 2]));
    all.push(from_bytes::<Click>(&[0; 9]).unwrap_err().to_string());
    all.push(from_bytes::<Shape<u8>>(&[3]).unwrap_err().to_string());
    all.push(from_bytes::<Vec<Option<u8>>>(&[0, 0, 0, 2, 0, 2]).unwrap_err().to_string());
    all.push(from_bytes::<BTreeSet<u16>>(&[0, 0, 0, 2, 0, 1, 0, 1]).unwrap_err().to_string());
    all.push(from_bytes::<EventTime>(&[0xff; 8]).unwrap_err().to_string());
    expect![[r#"
        corrupt: stored row (u8, String, bool), byte 0 of 0: an integer is cut off
        corrupt: stored row (u8, String, bool), byte 1 of 3: a length is cut off
        corrupt: stored row (u8, String, bool), byte 1 of 6: a string is longer than what follows
        corrupt: stored row (u8, String, bool), byte 7 of 7: a bool is missing
        corrupt: stored row (u8, String, bool), byte 8 of 9: the row ends here, but bytes follow
        corrupt: stored row (u8, String, bool), byte 6 of 8: a string is not UTF-8
        corrupt: stored row (u8, String, bool), byte 5 of 6: a bool is 0 or 1
        corrupt: stored row Click, byte 8 of 9: a length is cut off
        corrupt: stored row Shape, byte 0 of 1: the enum has no such variant
        corrupt: stored row Vec<Option<u8>>, byte 5 of 6: an option begins with 0 or 1
        corrupt: stored row BTreeSet<u16>, byte 6 of 8: keys are not in ascending order
        corrupt: stored row EventTime, byte 0 of 8: an event time lies outside the years 0001 to 9999"#]].assert_eq(&all.join("\n"));
}

#[test]
fn a_length_reserves_nothing_that_is_not_there() {
    for count in [u32::MAX, 1 << 20] {
        let bytes = count.to_be_bytes();
        assert!(from_bytes::<Vec<()>>(&bytes).is_err());
        assert!(from_bytes::<Vec<[u128; 32]>>(&bytes).is_err());
        assert!(from_bytes::<Vec<u8>>(&bytes).is_err());
        assert!(from_bytes::<String>(&bytes).is_err());
        assert!(from_bytes::<BTreeMap<u8, u8>>(&bytes).is_err());
    }
    let row = vec![(); 1000];
    assert_eq!(from_bytes::<Vec<()>>(&to_bytes(&row)).unwrap(), row);
}

#[test]
fn rows_that_contain_themselves_are_refused() {
    #[derive(Row)]
    struct Tree {
        children: Vec<Tree>,
    }
    let panic = std::panic::catch_unwind(Tree::schema).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("Tree contains itself"), "{message}");
    // The guard is off again.
    assert_eq!(Click::schema().name(), "Click");
    assert_eq!(<(Click, Vec<Click>)>::schema().name(), "(Click, Vec<Click>)");
}

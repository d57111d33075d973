#![expect(clippy::unwrap_used, reason = "tests")]

use crate::Row;
use std::cmp::Ordering;
use std::hash::{BuildHasher, Hash};

#[derive(Row)]
struct Named {
    b: u8,
    a: String,
}

#[derive(Row, Copy, Default)]
struct Tuple(u8, i16);

#[derive(Row, Copy, Default)]
struct Unit;

#[derive(Row)]
enum Each {
    Unit,
    Tuple(u8, Tuple),
    Named { x: i8 },
}

#[derive(Row)]
struct Generic<T, const N: usize>
where
    T: Copy,
{
    items: Vec<T>,
}

#[derive(Row)]
#[serde(rename_all = "kebab-case", tag = "type")]
enum Tagged {
    LeftTurn {
        #[serde(rename = "by", default)]
        degrees: u16,
    },
    Straight,
}

#[derive(Row)]
#[serde(default)]
#[row(manual(Debug))]
struct Chosen {
    kept: u8,
    #[serde(skip)]
    unseen: u8,
    #[serde(flatten)]
    inner: Tuple2,
}

#[derive(Row, Default)]
struct Tuple2 {
    x: Option<u8>,
}

impl Default for Chosen {
    fn default() -> Chosen {
        Chosen { kept: 7, unseen: 8, inner: Tuple2 { x: None } }
    }
}

impl std::fmt::Debug for Chosen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("by hand")
    }
}

/// In ascending order.
fn each() -> Vec<Each> {
    vec![
        Each::Unit,
        Each::Tuple(1, Tuple(0, -1)),
        Each::Tuple(1, Tuple(0, 1)),
        Each::Tuple(2, Tuple(0, 0)),
        Each::Named { x: -1 },
        Each::Named { x: 0 },
    ]
}

#[test]
fn order_equality_and_hash_go_by_variant_then_fields() {
    let hasher = foldhash::fast::FixedState::default();
    for (i, a) in each().iter().enumerate() {
        for (j, b) in each().iter().enumerate() {
            assert_eq!(a.cmp(b), i.cmp(&j), "{a:?} {b:?}");
            assert_eq!(a.partial_cmp(b), Some(i.cmp(&j)));
            assert_eq!(a == b, i == j);
            assert_eq!(hasher.hash_one(a) == hasher.hash_one(b), i == j, "{a:?} {b:?}");
        }
    }
    let named = |b, a: &str| Named { b, a: a.to_owned() };
    assert_eq!(named(1, "z").cmp(&named(2, "a")), Ordering::Less, "fields in the order of writing");
    assert_eq!(named(1, "z").cmp(&named(1, "a")), Ordering::Greater);
    assert_eq!(named(1, "z"), named(1, "z").clone());
    assert_eq!(Unit.cmp(&Unit), Ordering::Equal);
}

#[test]
fn debug_is_that_of_std() {
    #[derive(Debug)]
    #[expect(dead_code, reason = "only shown")]
    enum Each {
        Unit,
        Tuple(u8, Tuple),
        Named { x: i8 },
    }
    let std = [Each::Unit, Each::Tuple(1, Tuple(0, -1)), Each::Named { x: -1 }];
    let ours = [0, 1, 4].map(|i| each()[i].clone());
    assert_eq!(format!("{ours:#?}"), format!("{std:#?}"));
    assert_eq!(format!("{:?}", Chosen::default()), "by hand");
}

#[test]
fn bytes_and_json_survive() {
    fn check<R: Row>(row: R, json: &str) {
        assert_eq!(super::super::from_bytes::<R>(&super::super::to_bytes(&row)).unwrap(), row);
        assert_eq!(serde_json::to_string(&row).unwrap(), json);
        assert_eq!(serde_json::from_str::<R>(json).unwrap(), row);
    }
    check(Named { b: 1, a: "x".to_owned() }, r#"{"b":1,"a":"x"}"#);
    check(Tuple(1, -1), "[1,-1]");
    check(Unit, "null");
    check(
        each(),
        r#"["Unit",{"Tuple":[1,[0,-1]]},{"Tuple":[1,[0,1]]},{"Tuple":[2,[0,0]]},{"Named":{"x":-1}},{"Named":{"x":0}}]"#,
    );
    check(Generic::<u8, 3> { items: vec![1] }, r#"{"items":[1]}"#);
    check(Tagged::LeftTurn { degrees: 9 }, r#"{"type":"left-turn","by":9}"#);
    check(Tagged::Straight, r#"{"type":"straight"}"#);
}

#[test]
fn serde_attributes_reach_serde() {
    let read = |json: &str| serde_json::from_str::<Chosen>(json).unwrap();
    assert_eq!(read("{}"), Chosen::default());
    assert_eq!(read(r#"{"x":1,"unseen":3,"other":[]}"#).inner.x, Some(1));
    assert_eq!(read(r#"{"kept":9,"unseen":3}"#).unseen, 8);
    let turn = serde_json::from_str::<Tagged>(r#"{"type":"left-turn"}"#).unwrap();
    assert_eq!(turn, Tagged::LeftTurn { degrees: 0 });
    let error = serde_json::from_str::<Named>(r#"{"b":1}"#).unwrap_err();
    assert!(error.to_string().starts_with("missing field `a`"), "{error}");
    let error = serde_json::from_str::<Named>("3").unwrap_err();
    assert!(error.to_string().contains("struct Named"), "{error}");
}

#[test]
fn bounds_are_written_once() {
    fn hash<T: Row + Hash>(row: &T) -> u64 {
        foldhash::fast::FixedState::default().hash_one(row)
    }
    assert_ne!(
        hash(&Generic::<u8, 1> { items: vec![1] }),
        hash(&Generic::<u8, 1> { items: vec![2] })
    );
    assert_eq!(Generic::<Tuple, 1>::schema().to_string(), "Generic { items: Vec<Tuple(u8, i16)> }");
}

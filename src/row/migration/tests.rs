#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::row::{Row, decode_migrated, from_bytes, to_bytes};
use crate::{Decimal, EventTime, Kind};
use expect_test::{Expect, expect};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// As a stored schema comes back: without what the current one knows about its past.
fn stored<A: Row>() -> Schema {
    Schema::from_json(&A::schema().to_json()).unwrap()
}

fn between<A: Row, B: Row>() -> Result<Migration> {
    Migration::between(&stored::<A>(), &B::schema())
}

#[track_caller]
fn migrates<A: Row, B: Row>(row: A, expected: B) {
    let migration = between::<A, B>().unwrap();
    assert_eq!(decode_migrated::<B>(&migration, &to_bytes(&row)).unwrap(), expected);
}

#[track_caller]
fn refused<A: Row, B: Row>(expected: Expect) {
    let error = between::<A, B>().unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    expected.assert_eq(error.message());
}

mod v1 {
    use super::*;

    #[derive(Row)]
    pub(super) struct Click {
        pub(super) user: u32,
        pub(super) page: String,
        pub(super) ip: u64,
    }

    #[derive(Row)]
    pub(super) enum Change {
        Add(Click),
        Drop { user: u32, why: Option<Click> },
        Nothing,
    }
}

mod v2 {
    use super::*;

    #[derive(Row)]
    #[row(removed = "ip: u64")]
    pub(super) struct Click {
        #[row(default = "none".to_owned())]
        pub(super) country: String,
        #[row(was = "page")]
        pub(super) url: String,
        pub(super) user: u64,
        #[row(default)]
        pub(super) seen: Vec<u8>,
    }

    #[derive(Row)]
    pub(super) enum Change {
        Nothing,
        #[row(was = "Add")]
        Insert(Click),
        #[row(removed = "why: Option<v1::Click>")]
        Drop {
            #[row(default = EventTime::MIN)]
            at: EventTime,
            user: i64,
        },
        New,
    }
}

fn click(user: u32) -> v1::Click {
    v1::Click { user, page: "/p".to_owned(), ip: 9 }
}

fn current(user: u64) -> v2::Click {
    v2::Click { country: "none".to_owned(), url: "/p".to_owned(), user, seen: vec![] }
}

#[test]
fn default_removed_renamed_and_widened_at_once() {
    migrates(click(7), current(7));
}

#[test]
fn wherever_the_struct_is() {
    migrates(vec![click(7), click(8)], vec![current(7), current(8)]);
    migrates(Some(click(7)), Some(current(7)));
    migrates(None::<v1::Click>, None::<v2::Click>);
    migrates((1_u8, click(7)), (1_u8, current(7)));
    migrates([click(7), click(8)], [current(7), current(8)]);
    migrates(Box::new(click(7)), current(7));
    migrates(BTreeMap::from([(1_u8, click(7))]), BTreeMap::from([(1_u16, current(7))]));
    migrates(vec![Some((click(1), vec![click(2)]))], vec![Some((current(1), vec![current(2)]))]);
}

#[test]
fn variants_by_name() {
    migrates(v1::Change::Add(click(7)), v2::Change::Insert(current(7)));
    migrates(v1::Change::Nothing, v2::Change::Nothing);
    migrates(
        v1::Change::Drop { user: 3, why: Some(click(1)) },
        v2::Change::Drop { at: EventTime::MIN, user: 3 },
    );
}

#[test]
fn equal_schemas_need_nothing() {
    let migration = between::<v1::Change, v1::Change>().unwrap();
    assert!(migration.is_identity() && migration.keeps_order());
    assert!(!between::<v1::Click, v2::Click>().unwrap().is_identity());
    migrates(v1::Change::Nothing, v1::Change::Nothing);
}

macro_rules! widening {
    ($($from:ident => $($to:ident)*;)*) => {
        #[test]
        fn integers_widen() {
            $($(for value in [$from::MIN, 0, 1, 77, $from::MAX / 3, $from::MAX] {
                migrates(value, $to::from(value));
            })*)*
        }
    };
}

widening! {
    u8 => u16 u32 u64 u128 i16 i32 i64 i128;
    u16 => u32 u64 u128 i32 i64 i128;
    u32 => u64 u128 i64 i128;
    u64 => u128 i128;
    i8 => i16 i32 i64 i128;
    i16 => i32 i64 i128;
    i32 => i64 i128;
    i64 => i128;
}

#[test]
fn integers_do_not_narrow_or_lose_their_sign() {
    assert!(between::<u16, u8>().is_err());
    assert!(between::<u8, i8>().is_err());
    assert!(between::<u64, i64>().is_err());
    assert!(between::<i8, u16>().is_err());
    assert!(between::<i64, u128>().is_err());
    assert!(between::<u64, Decimal>().is_err());
    assert!(between::<u32, String>().is_err());
    assert!(between::<u32, EventTime>().is_err());
    assert!(between::<(u8, u8), (u8,)>().is_err());
    assert!(between::<[u8; 2], [u8; 3]>().is_err());
    assert!(between::<Vec<u8>, BTreeSet<u8>>().is_err());
}

/// One module for a declaration, so that types can have equal names.
macro_rules! version {
    ($name:ident $($item:tt)*) => {
        mod $name {
            use super::*;
            #[derive(Row)]
            $($item)*
        }
    };
}

version!(plain pub(super) struct Click { pub(super) user: u32, pub(super) page: String });
version!(gone pub(super) struct Click { pub(super) user: u32 });
version!(new pub(super) struct Click { pub(super) user: u32, pub(super) page: String, pub(super) extra: u8 });
version!(renamed pub(super) struct Click { pub(super) user: u32, pub(super) url: String });
version!(retyped pub(super) struct Click { pub(super) user: u32, pub(super) page: Vec<u8> });
version!(other pub(super) struct Visit { pub(super) user: u32, pub(super) page: String });
version!(other_was #[row(was = "Click")] pub(super) struct Visit { pub(super) user: u32, pub(super) page: String });
version!(misdeclared #[row(removed = "page: u8")] pub(super) struct Click { pub(super) user: u32 });
version!(replaced #[row(removed = "page: String")] pub(super) struct Click {
    pub(super) user: u32,
    #[row(default)]
    pub(super) page: Vec<u8>,
});
version!(moved pub(super) struct Click {
    pub(super) user: u32,
    #[row(was = "page")]
    pub(super) url: String,
    #[row(default = "new".to_owned())]
    pub(super) page: String,
});
version!(twice pub(super) struct Click {
    pub(super) user: u32,
    #[row(was = "page")]
    pub(super) a: String,
    #[row(was = "page")]
    pub(super) b: String,
});
version!(reordered pub(super) struct Click { pub(super) page: String, pub(super) user: u32 });
version!(wide pub(super) struct Click { pub(super) user: u64, pub(super) page: String });

fn plain() -> plain::Click {
    plain::Click { user: 1, page: "/".to_owned() }
}

#[test]
fn what_is_not_declared_is_refused_with_what_to_do() {
    refused::<plain::Click, gone::Click>(expect![[
        r#"stored rows do not fit the program: the field Click.page is gone: declare #[row(removed = "page: String")], or #[row(was = "page")] on its successor. Stored: Click { user: u32, page: String }. Program: Click { user: u32 }"#
    ]]);
    refused::<plain::Click, new::Click>(expect![[
        r#"stored rows do not fit the program: the field Click.extra is new: give it #[row(default)], or #[row(was = "..")] if it had another name. Stored: Click { user: u32, page: String }. Program: Click { user: u32, page: String, extra: u8 }"#
    ]]);
    refused::<plain::Click, renamed::Click>(expect![[
        r#"stored rows do not fit the program: the field Click.url is new: give it #[row(default)], or #[row(was = "..")] if it had another name; the field Click.page is gone: declare #[row(removed = "page: String")], or #[row(was = "page")] on its successor. Stored: Click { user: u32, page: String }. Program: Click { user: u32, url: String }"#
    ]]);
    refused::<plain::Click, retyped::Click>(expect![
        "stored rows do not fit the program: Click.page was String, is Vec<u8>: no way leads from one to the other. Give the new one another name with #[row(default)] and declare the old one removed. Stored: Click { user: u32, page: String }. Program: Click { user: u32, page: Vec<u8> }"
    ]);
    refused::<plain::Click, other::Visit>(expect![[
        r#"stored rows do not fit the program: Visit was of type Click, is Visit: if it is the same, say #[row(was = "Click")] on Visit. Stored: Click { user: u32, page: String }. Program: Visit { user: u32, page: String }"#
    ]]);
    refused::<plain::Click, misdeclared::Click>(expect![[
        r#"stored rows do not fit the program: the field Click.page is gone: declare #[row(removed = "page: String")], or #[row(was = "page")] on its successor. Stored: Click { user: u32, page: String }. Program: Click { user: u32 }"#
    ]]);
    refused::<plain::Click, twice::Click>(expect![
        "stored rows do not fit the program: Click.b and another field say that they were page. Stored: Click { user: u32, page: String }. Program: Click { user: u32, a: String, b: String }"
    ]);
    refused::<Vec<(u8, wide::Click)>, Vec<(u8, plain::Click)>>(expect![
        "stored rows do not fit the program: Vec<(u8, Click)>.1.user was u64, is u32: no way leads from one to the other. Give the new one another name with #[row(default)] and declare the old one removed. Stored: Vec<(u8, Click { user: u64, page: String })>. Program: Vec<(u8, Click { user: u32, page: String })>"
    ]);
}

version!(three pub(super) enum Change { A(u32), B, C { x: u8 } });
version!(two pub(super) enum Change { A(u32), C { x: u8 } });
version!(merged pub(super) enum Change { #[row(was = "B")] A2, #[row(was = "B")] B2, A(u32), C { x: u8 } });
version!(narrowed pub(super) enum Change { A(u8), B, C { x: u8, y: u8 } });

#[test]
fn what_is_not_declared_of_an_enum_is_refused_with_what_to_do() {
    refused::<three::Change, two::Change>(expect![[
        r#"stored rows do not fit the program: the variant Change::B is gone: keep it, or name it in #[row(was = "B")] on its successor. Stored: Change { A(u32) | B | C { x: u8 } }. Program: Change { A(u32) | C { x: u8 } }"#
    ]]);
    refused::<three::Change, merged::Change>(expect![
        "stored rows do not fit the program: two variants say that they were Change::B. Stored: Change { A(u32) | B | C { x: u8 } }. Program: Change { A2 | B2 | A(u32) | C { x: u8 } }"
    ]);
    refused::<Option<three::Change>, Option<narrowed::Change>>(expect![[
        r#"stored rows do not fit the program: Option<Change>::A.0 was u32, is u8: no way leads from one to the other. Give the new one another name with #[row(default)] and declare the old one removed; the field Option<Change>::C.y is new: give it #[row(default)], or #[row(was = "..")] if it had another name. Stored: Option<Change { A(u32) | B | C { x: u8 } }>. Program: Option<Change { A(u8) | B | C { x: u8, y: u8 } }>"#
    ]]);
}

#[test]
fn names_are_followed() {
    migrates(plain(), other_was::Visit { user: 1, page: "/".to_owned() });
    migrates(plain(), replaced::Click { user: 1, page: vec![] });
    migrates(plain(), reordered::Click { user: 1, page: "/".to_owned() });
    let moved = moved::Click { user: 1, url: "/".to_owned(), page: "new".to_owned() };
    migrates(plain(), moved.clone());
    // Rows already written by the newer program.
    migrates(moved.clone(), moved);
    let replaced = replaced::Click { user: 1, page: vec![3] };
    migrates(replaced.clone(), replaced);
}

#[test]
fn keys_keep_their_order_or_are_refused() {
    assert!(between::<plain::Click, wide::Click>().unwrap().keeps_order());
    assert!(between::<plain::Click, moved::Click>().unwrap().keeps_order());
    assert!(!between::<plain::Click, reordered::Click>().unwrap().keeps_order());
    assert!(!between::<plain::Click, replaced::Click>().unwrap().keeps_order());
    assert!(!between::<v1::Change, v2::Change>().unwrap().keeps_order());

    migrates(BTreeSet::from([-1_i8, 1]), BTreeSet::from([-1_i64, 1]));
    migrates(
        BTreeMap::from([(plain(), 1_u8)]),
        BTreeMap::from([(wide::Click { user: 1, page: "/".to_owned() }, 1_u8)]),
    );
    refused::<BTreeSet<plain::Click>, BTreeSet<reordered::Click>>(expect![
        "stored rows do not fit the program: BTreeSet<Click> has keys Click whose order or distinctness would change: keep their fields and variants in order. Stored: BTreeSet<Click { user: u32, page: String }>. Program: BTreeSet<Click { page: String, user: u32 }>"
    ]);
    assert!(between::<BTreeMap<plain::Click, u8>, BTreeMap<reordered::Click, u8>>().is_err());
}

#[test]
fn settings_and_encoding_stay() {
    let schema = |window: &str| u64::schema().with("window", window);
    assert!(Migration::between(&schema("10 s"), &schema("10 s")).unwrap().is_identity());
    let error =
        Migration::between(&schema("10 s").with("lateness", 0), &schema("20 s")).unwrap_err();
    expect![[r#"stored rows do not fit the program: lateness was "0", is not set: use a new uid, or drop the state; window was "10 s", is "20 s": use a new uid, or drop the state. Stored: u64, lateness = 0, window = 10 s. Program: u64, window = 20 s"#]].assert_eq(error.message());
    let newer = Schema { encoding: 2, ..u64::schema() };
    let error = Migration::between(&newer, &u64::schema()).unwrap_err();
    expect!["stored rows do not fit the program: they have encoding 2, this release reads 1: start from a snapshot of this release. Stored: u64. Program: u64"].assert_eq(error.message());
}

#[test]
fn bytes_that_are_no_stored_row_are_named() {
    let migration = between::<v1::Click, v2::Click>().unwrap();
    let bytes = to_bytes(&click(7));
    let error = |bytes: &[u8]| decode_migrated::<v2::Click>(&migration, bytes).unwrap_err();
    for cut in 0..bytes.len() {
        assert_eq!(error(&bytes[..cut]).kind(), Kind::Corrupt, "{cut}");
    }
    let longer = [&bytes[..], &[0]].concat();
    expect!["stored row Click, byte 18 of 19: the stored row ends here, but bytes follow"]
        .assert_eq(error(&longer).message());
    expect!["stored row Click, byte 4 of 5: a length is cut off"]
        .assert_eq(error(&bytes[..5]).message());
}

fn change() -> impl Strategy<Value = v1::Change> {
    let click = || {
        (any::<u32>(), ".{0,5}", any::<u64>()).prop_map(|(user, page, ip)| v1::Click {
            user,
            page,
            ip,
        })
    };
    prop_oneof![
        click().prop_map(v1::Change::Add),
        (any::<u32>(), prop::option::of(click()))
            .prop_map(|(user, why)| v1::Change::Drop { user, why }),
        Just(v1::Change::Nothing),
    ]
}

/// The migration, written by hand.
fn by_hand(change: v1::Change) -> v2::Change {
    match change {
        v1::Change::Add(click) => {
            v2::Change::Insert(v2::Click { url: click.page, ..current(click.user.into()) })
        }
        v1::Change::Drop { user, why: _ } => {
            v2::Change::Drop { at: EventTime::MIN, user: user.into() }
        }
        v1::Change::Nothing => v2::Change::Nothing,
    }
}

proptest! {
    #[test]
    fn as_by_hand(rows in prop::collection::vec(change(), 0..5)) {
        let migration = between::<Vec<v1::Change>, Vec<v2::Change>>().unwrap();
        let migrated: Vec<v2::Change> = decode_migrated(&migration, &to_bytes(&rows)).unwrap();
        prop_assert_eq!(migrated, rows.into_iter().map(by_hand).collect::<Vec<_>>());
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(prop_oneof![3 => 0..3_u8, 1 => any::<u8>()], 0..100)) {
        let migration = between::<Vec<v1::Change>, Vec<v2::Change>>().unwrap();
        let migrated = decode_migrated::<Vec<v2::Change>>(&migration, &bytes);
        if let Ok(rows) = from_bytes::<Vec<v1::Change>>(&bytes) {
            prop_assert_eq!(migrated.unwrap(), rows.into_iter().map(by_hand).collect::<Vec<_>>());
        }
    }
}

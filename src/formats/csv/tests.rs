#![expect(clippy::unwrap_used, reason = "tests")]

use super::super::tests::raw;
use super::*;
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Click {
    user: u64,
    page: String,
    note: Option<i32>,
}

fn clicks() -> Csv {
    Csv::new(["user", "page", "note"]).unwrap()
}

fn decode(csv: &Csv, bytes: &[u8]) -> Result<Option<Click>, Rejected> {
    csv.decode(&raw(bytes))
}

fn fields(line: &str) -> Result<Vec<String>, Rejected> {
    split(line, b',', 3).map(|record| record.iter().map(str::to_owned).collect())
}

#[test]
fn gives_rows_by_column_name() {
    let click = |page: &str, note| Ok(Some(Click { user: 1, page: page.into(), note }));
    assert_eq!(decode(&clicks(), b"1,home,-3"), click("home", Some(-3)));
    assert_eq!(decode(&clicks(), b"1,\"a,\"\"b\"\"\","), click("a,\"b\"", None));
    assert_eq!(decode(&clicks(), b"1, x ,"), click(" x ", None));
    let other_order = Csv::new(["note", "page", "user"]).unwrap().delimiter(';').unwrap();
    assert_eq!(decode(&other_order, b"2;\xc3\xbc,;1"), click("ü,", Some(2)));
}

#[test]
fn splits_as_rfc_4180_says() {
    for (line, expected) in [
        ("", vec![""]),
        (",", vec!["", ""]),
        ("a,,b", vec!["a", "", "b"]),
        ("\"\"", vec![""]),
        ("\"\"\"\"", vec!["\""]),
        ("\"a\"\"\",b", vec!["a\"", "b"]),
        ("ü,\"日,本\"", vec!["ü", "日,本"]),
    ] {
        assert_eq!(fields(line).unwrap(), expected, "{line}");
    }
}

#[test]
fn says_why_a_line_is_rejected() {
    for (line, reason, detail) in [
        (&b"1,home"[..], Reason::MissingField, "2 fields, declared are 3"),
        (b"1,home,2,3", Reason::Malformed, "4 fields, declared are 3"),
        (
            b"1,\"home,2",
            Reason::Malformed,
            "a quoted field that does not end: it begins at byte 2 of the line",
        ),
        (
            b"1,ho\"me,2",
            Reason::Malformed,
            "a quote inside a field without quotes at byte 4 of the line",
        ),
        (b"1,\"home\"x,2", Reason::Malformed, "text behind a quoted field at byte 8 of the line"),
        (b"one,home,2", Reason::Malformed, "column \"user\": invalid digit found in string"),
        (b"1,\xff,2", Reason::Utf8, "byte 2 is not UTF-8"),
    ] {
        assert_eq!(
            decode(&clicks(), line),
            Err(Rejected::new(reason, detail)),
            "{}",
            line.escape_ascii()
        );
    }
    let csv = Csv::new(["user", "page"]).unwrap();
    let rejected = <Csv as Decode<'_, Click>>::decode(&csv, &raw(b"1,a")).map(|_| ());
    assert_eq!(rejected, Ok(()), "an optional field needs no column");
    let csv = Csv::new(["user", "note"]).unwrap();
    assert_eq!(decode(&csv, b"1,2").unwrap_err().reason, Reason::MissingField);
}

#[test]
fn a_header_line_is_checked_and_gives_no_row() {
    let csv = clicks().header_line(true);
    let at_start = |bytes| Raw { offset: 0, ..raw(bytes) };
    let decode = |raw: Raw<'_>| <Csv as Decode<'_, Click>>::decode(&csv, &raw);
    assert_eq!(decode(at_start(b"user,page,note")), Ok(None));
    assert_eq!(decode(at_start(b"\xef\xbb\xbf\"user\",page,note")), Ok(None));
    assert_eq!(
        decode(at_start(b"user,note,page")),
        Err(Rejected::new(
            Reason::Malformed,
            "the header line is \"user,note,page\", declared are \"user,page,note\""
        ))
    );
    assert!(decode(raw(b"1,home,")).unwrap().is_some());
    assert!(decode(raw(b"user,page,note")).is_err(), "elsewhere it is a row like any other");
}

#[test]
fn columns_and_delimiters_are_checked() {
    assert!(Csv::new(Vec::<String>::new()).is_err());
    assert!(Csv::new(["a", "b", "a"]).unwrap_err().message().contains("\"a\" is named twice"));
    for bad in ['"', '\n', '\r', 'ü', '日'] {
        assert!(clicks().delimiter(bad).is_err(), "{bad:?}");
    }
}

#[derive(crate::Row)]
struct Sale {
    wide: i128,
    at: crate::EventTime,
    price: crate::Decimal,
    open: bool,
}

#[test]
fn rows_are_written_in_the_order_of_their_fields() {
    let mut out = b"before\n".to_vec();
    let click = Click { user: 1, page: "a,\"b\"".into(), note: None };
    encode_csv_into(&click, &mut out).unwrap();
    assert_eq!(out, b"before\n1,\"a,\"\"b\"\"\",");
    let sale = Sale {
        wide: i128::MIN,
        at: crate::EventTime::from_millis(1).unwrap(),
        price: "-1.50".parse().unwrap(),
        open: true,
    };
    let mut out = Vec::new();
    encode_csv_into(&sale, &mut out).unwrap();
    let csv = Csv::new(["wide", "at", "price", "open"]).unwrap();
    assert_eq!(csv.decode(&raw(&out)), Ok(Some(sale)), "{}", String::from_utf8_lossy(&out));
}

#[test]
fn what_can_not_be_a_line_leaves_the_output_as_it_was() {
    let mut out = b"before".to_vec();
    let click = |page: &str| Click { user: 1, page: page.into(), note: None };
    for page in ["a\nb", "a\rb"] {
        let error = encode_csv_into(&click(page), &mut out).unwrap_err();
        assert_eq!(error.kind(), Kind::Input);
        assert!(error.message().contains("line break"), "{error}");
    }
    let nested = std::collections::BTreeMap::from([(1, click("x"))]);
    assert_eq!(encode_csv_into(&nested, &mut out).unwrap_err().kind(), Kind::Input);
    assert_eq!(out, b"before");
}

proptest! {
    #[test]
    fn what_is_written_is_read(user: u64, page in "[^\r\n]*", note: Option<i32>) {
        let click = Click { user, page, note };
        let mut out = Vec::new();
        encode_csv_into(&click, &mut out).unwrap();
        prop_assert_eq!(decode(&clicks(), &out), Ok(Some(click)));
    }

    #[test]
    fn reads_what_another_writer_wrote(row in proptest::collection::vec("[^\r\n]*", 1..6)) {
        let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
        writer.write_record(&row).unwrap();
        let line = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        prop_assert_eq!(fields(line.trim_end_matches('\n')).unwrap(), row);
    }
}

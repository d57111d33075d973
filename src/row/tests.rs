#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::EventTime;

#[derive(Row)]
struct Click {
    user: u64,
    page: String,
    at: EventTime,
}

#[derive(Row)]
enum Shape<T> {
    Unit,
    Point(i32, T),
    Named { x: Option<T>, r#type: Vec<u8> },
}

#[test]
fn smoke() {
    let row = Click { user: 3, page: "/".into(), at: EventTime::MAX };
    assert_eq!(from_bytes::<Click>(&to_bytes(&row)).unwrap(), row);
    let json = serde_json::to_string(&row).unwrap();
    assert_eq!(json, r#"{"user":3,"page":"/","at":"9999-12-31T23:59:59.999999Z"}"#);
    assert_eq!(serde_json::from_str::<Click>(&json).unwrap(), row);
    assert_eq!(Click::schema().to_string(), "Click { user: u64, page: String, at: EventTime }");
    for row in [Shape::Unit, Shape::Point(-1, 2u8), Shape::Named { x: None, r#type: vec![1] }] {
        assert_eq!(from_bytes::<Shape<u8>>(&to_bytes(&row)).unwrap(), row);
        let json = serde_json::to_string(&row).unwrap();
        assert_eq!(serde_json::from_str::<Shape<u8>>(&json).unwrap(), row);
    }
}

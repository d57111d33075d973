#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use proptest::prelude::*;

fn next() -> Next {
    Next {
        generation: Generation(3),
        tick: 77,
        program: program_mark("p1"),
        view: "visits".into(),
        key: None,
        from: Some("ü".into()),
        to: None,
        after: "[1,2]".into(),
    }
}

proptest! {
    #[test]
    fn bytes_come_back(bytes in prop::collection::vec(any::<u8>(), 0..50)) {
        let text = encode(&bytes);
        prop_assert!(text.bytes().all(|byte| DIGITS.contains(&byte)));
        prop_assert_eq!(decode(&text), Some(bytes));
    }

    #[test]
    fn no_text_breaks_the_reader(text in ".{0,40}") {
        prop_assert!(Next::read(&text, "visits", "p1").is_err());
    }
}

#[test]
fn a_token_is_of_its_view_and_program() {
    let text = next().write();
    assert_eq!(Next::read(&text, "visits", "p1").unwrap(), next());
    assert_eq!(Next::read(&text, "users", "p1").unwrap_err().status, 400);
    assert_eq!(Next::read(&text, "visits", "p2").unwrap_err().status, 410);
    let ask = next().ask(5);
    assert_eq!(
        (ask.from.as_deref(), ask.after.as_deref(), ask.limit),
        (Some("ü"), Some("[1,2]"), 5)
    );
}

use super::*;
use std::io::Write as _;

const LONG: Duration = Duration::from_secs(30);

#[test]
fn a_line_is_found_while_the_stream_runs_and_its_absence_once_it_has_ended() {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let lines = Lines::new();
    lines.follow(reader);
    let waiting = std::thread::spawn({
        let lines = lines.clone();
        move || lines.wait_for("second", LONG)
    });
    writer.write_all(b"the first\nthe second\n").expect("the reader lives");
    assert_eq!(waiting.join().expect("no panic"), Found::Line(1, "the second".into()));
    assert_eq!(lines.next(), 2);
    writer.write_all(b"without an end").expect("the reader lives");
    drop(writer);
    assert_eq!(lines.wait_from(2, LONG, |line| line.contains("third")), Found::Ended);
    assert_eq!(lines.since(1), ["the second", "without an end"]);
    assert_eq!(lines.tail(1), "without an end");
}

#[test]
fn an_earlier_line_is_not_found_again() {
    let lines = Lines::new();
    lines.follow(&b"tick\ntock\ntick\n"[..]);
    let (first, _) = lines.wait_for("tick", LONG).line().expect("is there");
    assert_eq!(first, 0);
    let again = lines.wait_from(first + 1, LONG, |line| line == "tick");
    assert_eq!(again, Found::Line(2, "tick".into()));
}

#[test]
fn bytes_that_are_no_text_do_not_end_the_stream() {
    let lines = Lines::new();
    lines.follow(&b"\xff\xfe\nplain\n"[..]);
    assert_eq!(lines.wait_for("plain", LONG), Found::Line(1, "plain".into()));
}

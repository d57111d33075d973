use super::*;

#[test]
fn a_beat_that_is_due_goes_first_and_listening_ends_at_what_comes_next() {
    let now = clock::instant();
    let at = |millis| now + Duration::from_millis(millis);
    let listen = |millis| Step::Listen(Duration::from_millis(millis));
    let table = [
        // beat at, silent at
        (at(0), at(0), Step::Beat),
        (at(0), at(40), Step::Beat),
        (at(10), at(40), listen(10)),
        (at(10), at(4), listen(4)),
        // A read that may take no time at all is none: the limit is asked after the next.
        (at(10), at(0), listen(1)),
    ];
    for (beat_at, silent_at, expected) in table {
        assert_eq!(step(now, beat_at, silent_at), expected);
    }
}

use super::*;

fn lost(kind: Kind) -> Result<Put> {
    Err(Error::new(kind, "lost"))
}

#[test]
fn of_creates_at_the_same_moment_one_is_done() {
    let (created, exists) = (Ok(Put::Created), Ok(Put::Exists));
    let open = |kind| Verdict::Open(Error::new(kind, "lost"));
    let refused = Verdict::Unfit("the store has the bytes of a create that it refused");
    let cases: [(&str, [Result<Put>; 3], Option<&[u8]>, Verdict); 12] = [
        ("one", [exists.clone(), created.clone(), exists.clone()], Some(&[1]), Verdict::One),
        (
            "all",
            [created.clone(), created.clone(), created.clone()],
            Some(&[2]),
            Verdict::Unfit(AGAIN),
        ),
        ("two", [created.clone(), created.clone(), lost(Kind::Retry)], None, Verdict::Unfit(AGAIN)),
        ("another's bytes", [created.clone(), exists.clone(), exists.clone()], Some(&[1]), refused),
        (
            "one made, one lost, the lost one's bytes",
            [created.clone(), lost(Kind::Undecided), exists.clone()],
            Some(&[1]),
            Verdict::Unfit("the store has the bytes of a create that it refused"),
        ),
        (
            "not shown",
            [created.clone(), exists.clone(), exists.clone()],
            None,
            Verdict::Unfit("the store does not show an object that it has just made"),
        ),
        (
            "never made",
            [exists.clone(), exists.clone(), exists.clone()],
            None,
            Verdict::Unfit(
                "the store says of an object that nobody has made that it exists already",
            ),
        ),
        (
            "an answer lost",
            [exists.clone(), lost(Kind::Undecided), exists.clone()],
            Some(&[1]),
            Verdict::One,
        ),
        // 409: another one was on its way and came to nothing.
        (
            "all in each other's way",
            [lost(Kind::Retry), lost(Kind::Retry), lost(Kind::Retry)],
            None,
            open(Kind::Retry),
        ),
        (
            "all lost",
            [lost(Kind::Undecided), lost(Kind::Undecided), exists.clone()],
            None,
            open(Kind::Undecided),
        ),
        (
            "denied",
            [lost(Kind::Config), lost(Kind::Retry), created.clone()],
            Some(&[2]),
            open(Kind::Config),
        ),
        (
            "bytes of nobody",
            [lost(Kind::Undecided), exists.clone(), exists],
            Some(b"??"),
            Verdict::Unfit("the store has the bytes of a create that it refused"),
        ),
    ];
    for (what, outcomes, found, expected) in cases {
        let racers: Vec<_> = (0..).zip(outcomes).collect();
        assert_eq!(judge(&racers, found), expected, "{what}");
    }
}

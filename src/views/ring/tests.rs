use super::*;

const G: Generation = Generation(3);

fn text(tick: Tick, rows: usize, bytes: usize) -> TickText {
    let rows: Vec<String> =
        (0..rows).map(|n| format!("{{\"n\":{n},\"x\":\"{}\"}}", "x".repeat(bytes))).collect();
    TickText::new(G, tick, &rows)
}

fn drain(ring: &Ring, mut place: Place) -> (String, Read) {
    let mut out = String::new();
    loop {
        match ring.read(place) {
            Read::Text(bytes, next) => {
                out.push_str(std::str::from_utf8(&bytes).expect("text"));
                place = next;
            }
            other => return (out, other),
        }
    }
}

#[test]
fn a_tick_ends_with_its_own_event_and_only_that_has_an_id() {
    let ticks = TickText::new(G, 7, &["{\"diff\":-1}".into(), "{\"diff\":1}".into()]);
    let all = ticks.chunks.concat();
    expect_test::expect![[r#"
        event: change
        data: {"diff":-1}

        event: change
        data: {"diff":1}

        event: tick
        id: 3-7
        data: {"tick":7,"generation":3,"changes":2}

    "#]]
    .assert_eq(std::str::from_utf8(&all).expect("text"));
}

#[test]
fn a_reader_gets_every_tick_once_in_order() {
    let mut ring = Ring::new(5, 1 << 20);
    let start = Place { tick: 5, chunk: 0 };
    assert_eq!(ring.read(start), Read::Wait(start));
    ring.push(text(6, 1, 1));
    ring.push(text(8, 3, CHUNK_BYTES));
    ring.complete(11);
    let (out, end) = drain(&ring, start);
    let ids: Vec<_> = out.lines().filter(|line| line.starts_with("id")).collect();
    assert_eq!(ids, ["id: 3-6", "id: 3-8"]);
    assert_eq!(out.matches("event: change").count(), 4);
    assert_eq!(end, Read::Wait(Place { tick: 12, chunk: 0 }));
    // A place inside a tick goes on inside it.
    let (rest, _) = drain(&ring, Place { tick: 8, chunk: 2 });
    assert_eq!(rest.matches("event: change").count(), 1);
    // A chunk is no larger than its bound and one row.
    assert!(ring.ticks[1].chunks.iter().all(|chunk| chunk.len() < 2 * CHUNK_BYTES));
}

#[test]
fn bytes_are_bounded_and_who_falls_out_is_told() {
    let mut ring = Ring::new(1, 10_000);
    for tick in 1..=100 {
        ring.push(text(tick, 1, 1000));
        assert!(ring.bytes <= 10_000);
    }
    let (start, through) = ring.span();
    assert_eq!(through, 100);
    assert!(start > 85, "{start}");
    assert_eq!(ring.read(Place { tick: start - 1, chunk: 0 }), Read::Before(start));
    assert!(matches!(ring.read(Place { tick: start, chunk: 0 }), Read::Text(..)));
    // One tick that is larger than the ring stays until the next.
    ring.push(text(101, 30, 1000));
    assert_eq!(ring.span(), (101, 101));
    ring.push(text(102, 1, 1));
    assert_eq!(ring.span(), (102, 102));
}

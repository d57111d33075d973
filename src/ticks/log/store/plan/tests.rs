use super::*;
use crate::ticks::fixtures::*;

/// How many records each object has; together they are all, in order.
fn sizes(records: &[Record], payloads: &[Vec<u8>]) -> Vec<usize> {
    let groups = groups(records, payloads);
    assert!(groups.iter().cloned().flatten().eq(0..records.len()));
    groups.iter().map(ExactSizeIterator::len).collect()
}

#[test]
fn an_open_and_a_state_begin_an_object() {
    let cases: [(&[Record], &[usize]); 5] = [
        (&[], &[]),
        (&[tick(1, 1)], &[1]),
        (&[tick(1, 1), tick(1, 2), tick(1, 3)], &[3]),
        (&[open(1), tick(1, 1), tick(1, 2)], &[3]),
        (&[tick(1, 1), state(1, 1), tick(1, 2), state(1, 2)], &[1, 2, 1]),
    ];
    for (records, expected) in cases {
        let payloads = vec![vec![0; 10]; records.len()];
        assert_eq!(sizes(records, &payloads), expected, "{records:?}");
    }
}

#[test]
fn an_object_is_bounded_in_bytes_and_records() {
    let records = vec![tick(1, 1); 4];
    let payloads: Vec<_> = [5, BYTES_MAX, 5, BYTES_MAX - 5].map(|len| vec![0; len]).into();
    assert_eq!(sizes(&records, &payloads), [1, 1, 2]);

    let most = RECORDS_MAX as usize;
    let records = vec![tick(1, 1); most + 1];
    assert_eq!(sizes(&records, &vec![vec![]; most + 1]), [most, 1]);
}

#[test]
fn only_a_newer_open_overtakes() {
    let cases = [
        (tick(1, 1), open(2), true),
        (open(2), open(3), true),
        (open(3), open(2), false),
        (open(2), tick(1, 7), false),
        (tick(3, 1), open(2), false),
    ];
    for (own, other, expected) in cases {
        let others = [tick(1, 1), other.clone()];
        assert_eq!(overtaken(std::slice::from_ref(&own), &others), expected, "{own:?} {other:?}");
    }
}

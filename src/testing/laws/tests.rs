use super::{Input, Random, commutes, differ, interleave};
use crate::EventTime;
use crate::error::Result;
use crate::flow::Rec;
use crate::operators::aggregate::{Aggregate, average, count, first, last_by, max_by, sum};

fn rows() -> Vec<(EventTime, u64)> {
    let at = |n: u64| EventTime::from_millis(n as i64).expect("a near time");
    (0..12).map(|n| (at(n % 3), n % 5)).collect()
}

#[test]
fn accumulators_commute() {
    let all = (
        count(),
        sum(|n: &u64| *n),
        average(|n: &u64| *n),
        first(|n: &u64| *n),
        last_by(|n: &u64| n % 2, |n| *n),
        max_by(|n: &u64| n % 2, |n| *n),
    );
    commutes(&all, &rows());
}

/// Not one: it holds what came last.
struct Arrived;

impl Aggregate<u64> for Arrived {
    type State = u64;
    type Out = u64;

    fn zero(&self) -> u64 {
        0
    }

    fn add(&self, state: &mut u64, rec: &Rec<u64>) -> Result<()> {
        *state = rec.row;
        Ok(())
    }

    fn finish(&self, state: &u64) -> u64 {
        *state
    }

    fn describe(&self) -> String {
        "arrived".to_owned()
    }
}

#[test]
#[should_panic(expected = "accumulator \"arrived\" depends on the order of records")]
fn what_came_last_does_not() {
    commutes(&Arrived, &rows());
}

#[test]
fn interleaving_keeps_the_order_of_each_partition() {
    let mut random = Random(1);
    let input: Vec<_> = (0..200)
        .map(|n| Input::new("s", u32::try_from(random.below(3)).expect("small"), &n))
        .collect();
    let other = interleave(&input, 7);
    assert_ne!(input, other);
    for partition in ["0", "1", "2"] {
        let of = |all: &[Input]| -> Vec<_> {
            all.iter().filter(|r| r.partition == partition).cloned().collect()
        };
        assert_eq!(of(&input), of(&other));
    }
    assert_eq!(interleave(&input, 0), input);
}

#[test]
fn a_difference_is_said_row_by_row() {
    let rows = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
    assert_eq!(differ(&rows(&["a"]), &rows(&["a"])), None);
    let text = differ(&rows(&["a", "b", "b"]), &rows(&["a", "c"])).expect("they differ");
    assert_eq!(
        text,
        "1 row(s) only in the first:\n  b (2 times)\n1 row(s) only in the second:\n  c\n"
    );
    let text = differ(&rows(&["a", "b"]), &rows(&["b", "a"])).expect("they differ");
    assert_eq!(text, "the same 2 rows in another order");
}

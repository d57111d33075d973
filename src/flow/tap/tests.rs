use super::*;
use crate::ids::{Inlet, Pos};

fn rec<D>(row: D) -> Rec<D> {
    Rec { at: 1, stamp: 2, pos: Pos::new(Inlet(3), 4), row }
}

/// What a step was given.
fn heard<D: Clone + 'static>(tap: &Tap<D>) -> Rc<RefCell<Vec<Rec<D>>>> {
    let rows: Rc<RefCell<Vec<_>>> = Rc::default();
    let filled = Rc::clone(&rows);
    tap.take(move |rec| filled.borrow_mut().push(rec));
    rows
}

#[test]
fn every_step_gets_every_row_with_its_stamps() {
    let tap: Rc<Tap<u64>> = Tap::new(&Rc::default());
    let (first, second) = (heard(&tap), heard(&tap));
    let even = heard(&tap.filter(|n| n % 2 == 0));
    let twice = tap.flat_map(|n| [*n, *n + 10]);
    let tens = heard(&twice.flat_map(|n| (*n > 9).then(|| n.to_string())));
    (1..=3).for_each(|n| tap.push(rec(n)));
    assert_eq!(*first.borrow(), [rec(1), rec(2), rec(3)]);
    assert_eq!(*second.borrow(), *first.borrow());
    assert_eq!(*even.borrow(), [rec(2)]);
    let text = |n: u64| rec(n.to_string());
    assert_eq!(*tens.borrow(), [text(11), text(12), text(13)]);
}

#[test]
fn a_row_with_one_taker_is_not_copied() {
    #[derive(Debug)]
    struct Guarded(Rc<()>);
    impl Clone for Guarded {
        fn clone(&self) -> Self {
            panic!("copied");
        }
    }
    let tap: Rc<Tap<Guarded>> = Tap::new(&Rc::default());
    let seen = tap.flat_map(|row| [Rc::strong_count(&row.0)]);
    let (seen, kept) = (heard(&seen), heard(&tap.filter(|_| true)));
    tap.push(rec(Guarded(Rc::new(()))));
    assert_eq!((seen.borrow().len(), kept.borrow().len()), (1, 1));
}

//! Which record of a tick is to blame for its panic: which to leave out next, given what the trials so far have shown. Pure; it runs no
//! trial and knows no record.

use std::ops::Range;

/// What was left out, and whether the tick got through without it.
pub(crate) type Trial = (Range<usize>, bool);

/// What follows from the trials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Leave these out.
    Try(Range<usize>),
    /// Without this record alone the tick gets through.
    Blame(usize),
    /// Without any record of the tick it panics all the same: what it meets was there before.
    Earlier,
    /// Without these it gets through, without one of the halves it does not: it takes several of them.
    Several(Range<usize>),
}

/// What to do about a tick of `records` records that panics with all of them.
///
/// All are left out first. Then halves of what is suspected, the first and, if that was not enough, the second.
pub(crate) fn next(records: usize, trials: &[Trial]) -> Next {
    let Some((first, rest)) = trials.split_first() else {
        return if records == 0 { Next::Earlier } else { Next::Try(0..records) };
    };
    if !first.1 {
        return Next::Earlier;
    }
    let mut suspected = first.0.clone();
    let mut guiltless = None;
    for (left_out, through) in rest {
        match (through, &guiltless) {
            (true, _) => (suspected, guiltless) = (left_out.clone(), None),
            (false, None) => guiltless = Some(left_out),
            (false, Some(_)) => return Next::Several(suspected),
        }
    }
    if suspected.len() == 1 {
        return Next::Blame(suspected.start);
    }
    let middle = suspected.start + suspected.len() / 2;
    match guiltless {
        None => Next::Try(suspected.start..middle),
        Some(_) => Next::Try(middle..suspected.end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out where the tick gets through without `left_out` if `through` says so, and after how many trials.
    fn search(records: usize, through: impl Fn(&Range<usize>) -> bool) -> (Next, usize) {
        let mut trials = Vec::new();
        loop {
            match next(records, &trials) {
                Next::Try(left_out) => {
                    assert!(!left_out.is_empty() && left_out.end <= records, "{left_out:?}");
                    let through = through(&left_out);
                    trials.push((left_out, through));
                }
                found => return (found, trials.len()),
            }
        }
    }

    #[test]
    fn one_record_is_found_wherever_it_is_in_few_trials() {
        for records in [1, 2, 3, 7, 64, 1000] {
            for guilty in 0..records {
                let (found, trials) = search(records, |left_out| left_out.contains(&guilty));
                assert_eq!(found, Next::Blame(guilty), "of {records}");
                let halvings = usize::BITS - (records - 1).leading_zeros();
                assert!(trials <= 1 + 2 * halvings as usize, "{trials} trials of {records}");
            }
        }
    }

    #[test]
    fn the_decision_on_each_history() {
        let table: [(usize, &[Trial], Next); 9] = [
            (0, &[], Next::Earlier),
            (8, &[], Next::Try(0..8)),
            (8, &[(0..8, false)], Next::Earlier),
            (1, &[(0..1, true)], Next::Blame(0)),
            (8, &[(0..8, true)], Next::Try(0..4)),
            (8, &[(0..8, true), (0..4, true)], Next::Try(0..2)),
            (8, &[(0..8, true), (0..4, false)], Next::Try(4..8)),
            (8, &[(0..8, true), (0..4, false), (4..8, false)], Next::Several(0..8)),
            (3, &[(0..3, true), (0..1, false), (1..3, true)], Next::Try(1..2)),
        ];
        for (records, trials, expected) in table {
            assert_eq!(next(records, trials), expected, "{records} records, {trials:?}");
        }
    }

    #[test]
    fn two_that_panic_each_by_itself_are_told_as_several() {
        // Either is enough: only without both it gets through.
        let both = |left_out: &Range<usize>| left_out.contains(&2) && left_out.contains(&6);
        assert_eq!(search(8, both).0, Next::Several(0..8));
        // Both are needed: without either it gets through, and the first that is found is named.
        let either = |left_out: &Range<usize>| left_out.contains(&2) || left_out.contains(&6);
        assert_eq!(search(8, either).0, Next::Blame(2));
    }
}

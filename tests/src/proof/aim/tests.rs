use super::*;
use std::collections::BTreeSet;

#[test]
fn a_kill_counts_only_by_evidence() {
    let evidence = |recovering, led, aborted: usize, uncounted_segments| Evidence {
        recovering,
        led,
        aborted: vec!["lane".into(); aborted],
        uncounted_segments,
    };
    for (aim, evidence, spot) in [
        (Spot::Transaction, evidence(true, true, 1, 0), Spot::Transaction),
        (Spot::Transaction, evidence(true, true, 0, 0), Spot::Elsewhere),
        (Spot::Transaction, evidence(true, true, 0, 2), Spot::Snapshot),
        (Spot::Transaction, evidence(true, true, 1, 2), Spot::Transaction),
        (Spot::Snapshot, evidence(true, true, 1, 2), Spot::Snapshot),
        (Spot::Snapshot, evidence(true, true, 1, 0), Spot::Transaction),
        (Spot::Snapshot, evidence(true, true, 0, 0), Spot::Elsewhere),
        (Spot::Elsewhere, evidence(true, true, 0, 1), Spot::Snapshot),
        // A mark of the takeover was aborted, or segments of a generation that never led lie there: still a recovery.
        (Spot::Recovery, evidence(true, false, 1, 1), Spot::Recovery),
        (Spot::Recovery, evidence(true, true, 0, 0), Spot::Elsewhere),
        (Spot::Recovery, evidence(false, false, 0, 0), Spot::Elsewhere),
    ] {
        assert_eq!(judge(aim, &evidence), spot, "{aim:?} {evidence:?}");
    }
}

#[test]
fn what_is_lacking_is_aimed_at_in_time() {
    let quota = Tally { transaction: 10, snapshot: 5, recovery: 3, elsewhere: 0 };
    for seed in 0..200 {
        let (mut random, mut tally, mut missed) = (Random::new(seed), Tally::default(), 0);
        for left in (1..=30).rev() {
            let spot = next(&tally, &quota, left, &mut random);
            // Some kills miss, as many as can be spared.
            if missed < 6 && random.chance(200) {
                missed += 1;
                tally.add(Spot::Elsewhere);
            } else {
                tally.add(spot);
            }
        }
        assert_eq!(tally.total(), 30);
        assert!(tally.reaches(&quota), "seed {seed}: {tally}");
    }
    assert!(!Tally { snapshot: 4, ..quota }.reaches(&quota));
}

#[test]
fn every_moment_is_chosen_and_belongs_to_its_aim() {
    let mut random = Random::new(4);
    let mut of = |aim| (0..200).map(|_| moment(aim, &mut random)).collect::<BTreeSet<_>>();
    let all = |names: &[&'static str]| names.iter().copied().map(Some).collect::<BTreeSet<_>>();
    let begin_rows_commit =
        ["sink-transaction-begin", "sink-transaction-rows", "sink-transaction-commit"];
    assert_eq!(of(Spot::Transaction), all(&begin_rows_commit));
    assert_eq!(of(Spot::Snapshot), all(&["snapshot-begin", "snapshot-written"]));
    assert_eq!(of(Spot::Recovery), all(&["recovery-restore", "recovery-replay"]));
    assert_eq!(of(Spot::Elsewhere), BTreeSet::from([None]));
}

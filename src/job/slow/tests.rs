use super::*;

fn slow(worker: usize, seconds: u64) -> (usize, SlowWorker, Duration) {
    let (worker_of_all, step) = (worker + 4, None);
    let slow = SlowWorker { worker: worker_of_all, tick: 7, step, seconds, waits_for_store: false };
    (worker, slow, Duration::from_secs(seconds))
}

#[test]
fn a_slow_worker_is_told_of_at_each_doubling_and_when_it_is_over() {
    let mut told = BTreeMap::new();
    let mut at = |now: &[(usize, SlowWorker, Duration)]| lines(&mut told, now).len();
    let counts: Vec<_> = (5..=50).map(|seconds| at(&[slow(1, seconds)])).collect();
    assert_eq!(counts.iter().sum::<usize>(), 4, "at 5, 10, 20 and 40 seconds: {counts:?}");
    assert_eq!(at(&[slow(1, 51), slow(2, 6)]), 1);
    let over = lines(&mut told, &[]);
    assert_eq!(over.len(), 2);
    assert_eq!(over[0], "worker 5 has come round again, after more than 51 s in tick 7");
    assert!(lines(&mut told, &[]).is_empty());
}

#[test]
fn who_has_come_round_is_not_slow() {
    let rounds = Rounds::new(2);
    rounds.round(1, 9);
    let now = clock::instant();
    assert!(rounds.slow(now).is_empty());
    let later = rounds.slow(now + SLOW + Duration::from_secs(1));
    // The other restores still.
    let slow: Vec<_> = later.iter().map(|(local, tick, _)| (*local, *tick)).collect();
    assert_eq!(slow, [(1, 9)]);
}

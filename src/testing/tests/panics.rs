//! The user's code panics on a record: the record is rejected, wholly, and each time that it is read.

use crate::error::Kind;
use crate::flow::endpoint::kafka;
use crate::flow::{Flow, OnError, SourceOptions};
use crate::job::panics;
use crate::testing::Job;
use differential_dataflow::operators::Iterate;

fn picky(flow: &Flow<'_>) {
    let numbers = flow.source("numbers", kafka::topic("numbers").json::<i64>());
    let all = numbers.map(|n| n * 10);
    let picky = numbers.flat_map(|n| {
        let both = [*n, -*n].into_iter();
        both.inspect(|n| assert!(*n != -3, "minus three is not for me"))
    });
    flow.sink("all", &all, kafka::topic("all").json());
    flow.sink("picky", &picky, kafka::topic("picky").json());
    flow.serve("seen", &numbers.upsert("seen", |n| *n));
}

fn job(on_error: OnError) -> Job {
    let options = SourceOptions { on_error, ..SourceOptions::default() };
    Job::new(picky).source_options("numbers", options)
}

#[test]
fn fail_names_the_record_and_what_the_panic_said() {
    let mut job = job(OnError::Fail);
    job.push("numbers", [1, 2]).tick();
    let error = job.push("numbers", [3, 4]).failing_tick();
    assert_eq!(error.kind(), Kind::Input);
    let told = error.to_string();
    for part in ["source numbers, partition 0, offset 2", "panicked", "minus three is not for me"] {
        assert!(told.contains(part), "no {part:?} in {told}");
    }
}

#[test]
fn skip_leaves_nothing_of_the_record_in_any_branch_before_and_after_a_crash() {
    let mut job = job(OnError::Skip);
    let all = ["10", "20", "40"];
    job.push("numbers", [1, 2, 3, 4]).tick();
    for workers in [2, 1] {
        assert_eq!(job.sink("all"), all);
        let mut rows = job.sink("picky");
        rows.sort();
        assert_eq!(rows, ["-1", "-2", "-4", "1", "2", "4"]);
        let seen: Vec<_> =
            [1, 2, 4].iter().map(|n| format!("{{\"key\":{n},\"value\":{n}}}")).collect();
        assert_eq!(job.table("seen"), seen);
        job.crash();
        job.restart(workers);
    }
}

#[test]
fn dead_letters_have_the_record_and_the_reason() {
    let mut job = job(OnError::DeadLetter);
    job.push("numbers", [3, 5]).tick();
    assert_eq!(job.sink("all"), ["50"]);
    let letters = job.sink("numbers-dead-letter");
    assert_eq!(letters.len(), 1, "{letters:?}");
    for part in ["\"reason\":\"panicked\"", "minus three is not for me", "\"excerpt\":\"3\""] {
        assert!(letters[0].contains(part), "no {part:?} in {letters:?}");
    }
}

/// Operators of differential, in a loop of theirs too, have no mark of ours: the id that timely keeps leads to the step behind them.
fn looping(flow: &Flow<'_>) {
    let numbers = flow.source("numbers", kafka::topic("numbers").json::<i64>());
    let kept = numbers.keep("kept");
    let halved = kept.collection().iterate(|_, inner| {
        let half = |n: i64| {
            assert!(n != 3, "three can not be halved");
            n / 2
        };
        inner.clone().concat(inner.map(half)).distinct()
    });
    let halved = flow.table(halved);
    flow.serve("halved", &halved.filter(|n| *n != 0));
}

#[test]
fn a_panic_in_a_loop_of_differential_names_the_step_behind_it() {
    panics::install();
    for workers in [1, 2] {
        let mut job = Job::new(looping).workers(workers);
        job.push("numbers", [8]).tick();
        let told = job.push("numbers", [6]).failing_tick().to_string();
        for part in ["in collection (src/testing/tests/panics.rs:", "three can not be halved"] {
            assert!(told.contains(part), "no {part:?} in {told}");
        }
    }
}

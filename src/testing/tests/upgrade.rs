//! Each line of the table in `doc/operating/upgrade.md` about kept state: what goes on, and what the user reads.
#![expect(clippy::unwrap_used, reason = "tests")]

use crate::flow::endpoint::kafka;
use crate::flow::{Build, Flow, Lag};
use crate::job::engine;
use crate::operators::aggregate::{count, sum};
use crate::operators::window::tumbling;
use crate::testing::Job;
use crate::{EventTime, Row};
use serde::Serialize;
use std::time::Duration;

#[derive(Row)]
pub(super) struct Bid {
    pub(super) item: u64,
    pub(super) price: u64,
    pub(super) at: EventTime,
}

pub(super) fn bid(item: u64, price: u64, second: i64) -> Bid {
    Bid { item, price, at: EventTime::from_millis(second * 1000).unwrap() }
}

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn bids<'s>(flow: &Flow<'s>) -> crate::flow::Stream<'s, Bid> {
    flow.source("bids", kafka::topic("bids").json::<Bid>()).event_time(|b| b.at, Lag(secs(1)))
}

/// Runs `first` on `rows`, stops it cleanly, and makes the input so far unreadable.
fn ran<R: Serialize>(first: Build, source: &str, rows: Vec<R>) -> Job {
    let mut job = Job::new(first);
    job.push(source, rows).tick();
    job.stop();
    let topic = job.topic(source);
    topic.trim("0", topic.latest("0"));
    job
}

pub(super) fn refused(job: &mut Job) -> String {
    let error = job.try_start().expect_err("it is refused");
    assert_eq!(error.kind(), crate::Kind::Config, "{error}");
    error.message().to_owned()
}

pub(super) fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

fn totals(flow: &Flow<'_>) {
    let sums = bids(flow).key_by(|b| b.item).aggregate("sums", sum(|b: &Bid| b.price));
    flow.serve("totals", &sums);
}

fn doubled(flow: &Flow<'_>) {
    let sums = bids(flow).key_by(|b| b.item).aggregate("sums", sum(|b: &Bid| b.price));
    let doubled = sums.map_values(|_, sum| sum * 2);
    flow.serve("totals", &doubled);
    flow.serve("large", &doubled.filter(|_, sum| *sum > 20));
}

#[test]
fn what_comes_after_a_kept_table_is_as_if_it_had_always_been_so() {
    let mut job = ran(totals, "bids", vec![bid(1, 7, 1), bid(2, 20, 2)]);
    job.upgrade(doubled, "two").push("bids", [bid(1, 3, 3), bid(3, 1, 3)]).tick();
    assert_eq!(job.replayed(), 0);
    let mut always = Job::new(doubled);
    always.push("bids", [bid(1, 7, 1), bid(2, 20, 2), bid(1, 3, 3), bid(3, 1, 3)]).tick();
    for view in ["totals", "large"] {
        assert_eq!(job.table(view), always.table(view), "{view}");
    }
    assert_eq!(job.table("large"), [r#"{"key":2,"value":40}"#]);
    job.restart(2);
    assert_eq!((job.replayed(), job.table("large").len()), (1, 1));
}

#[test]
fn another_program_needs_a_clean_stop() {
    let mut job = Job::new(totals);
    job.push("bids", [bid(1, 7, 1)]).snapshot();
    job.push("bids", [bid(1, 8, 2)]).tick();
    job.crash().upgrade(doubled, "two");
    let text = refused(&mut job);
    says(&text, &["differs from test", "last tick 2", "no snapshot at tick 2", "`tidemark stop`"]);
    job.upgrade(totals, "test").try_start().unwrap();
    job.stop().upgrade(doubled, "two").tick();
    assert_eq!(job.table("totals"), [r#"{"key":1,"value":30}"#]);
}

#[test]
fn a_changed_step_before_a_kept_table_acts_on_later_records_and_the_start_says_so() {
    fn kept(flow: &Flow<'_>) {
        flow.serve("rows", &bids(flow).map(|b| b.price).keep("prices"));
    }
    fn in_cents(flow: &Flow<'_>) {
        flow.serve("rows", &bids(flow).map(|b| b.price * 100).keep("prices"));
    }
    let mut job = ran(kept, "bids", vec![bid(1, 7, 1)]);
    job.upgrade(in_cents, "two").push("bids", [bid(1, 8, 2)]).tick();
    assert_eq!(job.table("rows"), [r#"{"row":7}"#, r#"{"row":800}"#]);
    let notes = job.notes().join("\n");
    says(&notes, &["\"prices\" goes on from tick 2", "as test made them", "later records only"]);
    job.restart(1);
    assert_eq!(job.notes().len(), 1, "it starts from the same snapshot");
    job.snapshot();
    job.restart(1);
    assert!(job.notes().is_empty(), "{:?}", job.notes());
}

#[test]
fn other_windows_or_aggregates_under_a_uid_are_refused_until_told() {
    fn first(flow: &Flow<'_>) {
        let open = bids(flow).key_by(|b| b.item).window(tumbling(secs(10)));
        flow.serve("open", &open.aggregate("open", count()).table);
    }
    fn size(flow: &Flow<'_>) {
        let open = bids(flow).key_by(|b| b.item).window(tumbling(secs(20)));
        flow.serve("open", &open.aggregate("open", count()).table);
    }
    fn lateness(flow: &Flow<'_>) {
        let open = bids(flow).key_by(|b| b.item).window(tumbling(secs(10)));
        flow.serve("open", &open.allowed_lateness(secs(1)).aggregate("open", count()).table);
    }
    fn aggregate(flow: &Flow<'_>) {
        let open = bids(flow).key_by(|b| b.item).window(tumbling(secs(10)));
        flow.serve("open", &open.aggregate("open", sum(|b: &Bid| b.price)).table);
    }
    fn new_uid(flow: &Flow<'_>) {
        let open = bids(flow).key_by(|b| b.item).window(tumbling(secs(20)));
        flow.serve("open", &open.aggregate("open-20", count()).table);
    }
    for (build, was, is) in [
        (size as Build, "window tumbling 10s", "is \"window tumbling 20s"),
        (lateness, "allowed lateness 0ns", "allowed lateness 1s"),
        (aggregate, "(count)", "(sum)"),
    ] {
        let mut job = ran(first, "bids", vec![bid(1, 7, 1), bid(1, 7, 2)]);
        job.upgrade(build, "two");
        let text = refused(&mut job);
        says(&text, &["\"open\"", "upgrade.rs:", was, is, "new uid", "--drop-state open"]);
        job.drop_state("open").push("bids", [bid(1, 1, 3)]).tick();
        let rows = job.table("open");
        assert!(rows.len() == 1 && rows[0].ends_with(r#""value":1}"#), "{rows:?}");
        assert_eq!(job.notes(), ["kept state \"open\" of tick 2 is given up, as told"]);
    }
    let mut job = ran(first, "bids", vec![bid(1, 7, 1)]);
    job.upgrade(new_uid, "two");
    says(&refused(&mut job), &["no kept state \"open\"", "--drop-state open"]);
    job.drop_state("open").push("bids", [bid(1, 1, 3)]).tick();
    let notes = job.notes().join("\n");
    says(&notes, &["new kept state \"open-20\": it begins empty at tick 2", "\"open\" of tick 2"]);
}

/// Row types of three programs.
mod rows {
    macro_rules! accounts {
        ($version:ident, $(#[$type:meta])* { $($(#[$field:meta])* $name:ident: $of:ty),* }) => {
            pub(super) mod $version {
                use crate::Row;
                use crate::flow::Flow;
                use crate::flow::endpoint::kafka;

                #[derive(Row)]
                $(#[$type])*
                pub(crate) struct Account { $($(#[$field])* pub(crate) $name: $of),* }

                pub(crate) fn build(flow: &Flow<'_>) {
                    let rows = flow.source("rows", kafka::topic("rows").json::<Account>());
                    flow.serve("accounts", &rows.upsert("accounts", |row| row.id));
                }

                /// Whole rows are the key here.
                pub(crate) fn keep(flow: &Flow<'_>) {
                    let rows = flow.source("rows", kafka::topic("rows").json::<Account>());
                    flow.serve("accounts", &rows.keep("accounts"));
                }
            }
        };
    }
    accounts!(one, { id: u32, owner: String, old: bool });
    accounts!(two, #[row(removed = "old: bool")] {
        id: u64, #[row(was = "owner")] name: String, #[row(default = 5)] limit: i64
    });
    accounts!(other, { id: u32, owner: u64, old: bool });
    accounts!(wider, { id: u32, owner: String, old: bool, #[row(default)] limit: i64 });
}

#[test]
fn rows_are_migrated_on_read_or_refused_with_both_schemas() {
    let row = |id: u32| rows::one::Account { id, owner: format!("o{id}"), old: true };
    let mut job = ran(rows::one::build, "rows", (1..=40).map(row).collect());
    job.upgrade(rows::other::build, "other");
    let text = refused(&mut job);
    says(
        &text,
        &["\"accounts\"", "upgrade.rs:", "owner: String", "owner: u64", "--drop-state accounts"],
    );
    // A program that starts and never has a tick changes nothing.
    job.upgrade(rows::wider::build, "wider");
    assert!(job.table("accounts")[0].ends_with(r#""old":true,"limit":0}}"#));
    job.crash().upgrade(rows::two::build, "two");
    assert_eq!(job.table("accounts").len(), 40);
    let seven = r#"{"key":7,"value":{"id":7,"name":"o7","limit":5}}"#;
    assert_eq!(job.table("accounts")[6], seven);
    says(&job.notes().join("\n"), &["\"accounts\" goes on from tick 2, its rows migrated"]);
    let new = rows::two::Account { id: 3, name: "new".into(), limit: 9 };
    job.push("rows", [new]).tick();
    let before = job.table("accounts");
    assert_eq!(before[2], r#"{"key":3,"value":{"id":3,"name":"new","limit":9}}"#);
    // Once migrated from the old snapshot again, then from one that has them in the new form.
    job.restart(2);
    assert_eq!((job.replayed(), job.table("accounts")), (1, before.clone()));
    job.snapshot();
    job.restart(3);
    assert_eq!((job.replayed(), job.table("accounts")), (0, before));
}

#[test]
fn rows_become_others_by_a_closure_where_no_migration_leads() {
    fn numbered(flow: &Flow<'_>) {
        rows::other::build(flow);
        flow.migrate("accounts", |old: rows::one::Account| {
            assert_ne!(old.owner, "nobody", "an owner without a number");
            let owner = old.owner.trim_start_matches('o').parse().unwrap();
            rows::other::Account { id: old.id, owner, old: !old.old }
        });
    }
    let row = |id: u32| rows::one::Account { id, owner: format!("o{id}"), old: true };
    let mut job = ran(rows::one::build, "rows", (1..=40).map(row).collect());
    job.upgrade(rows::other::build, "two");
    refused(&mut job);
    job.upgrade(numbered, "three");
    assert_eq!(job.table("accounts")[6], r#"{"key":7,"value":{"id":7,"owner":7,"old":false}}"#);
    says(&job.notes().join("\n"), &["\"accounts\" goes on from tick 2, its rows migrated"]);
    let new = rows::other::Account { id: 3, owner: 9, old: true };
    job.push("rows", [new]).tick();
    let before = job.table("accounts");
    assert_eq!((before.len(), before[2].contains(r#""owner":9,"old":true"#)), (40, true));
    // Once more from the old snapshot, then from one whose rows are of the new type: those do not go through the closure.
    job.restart(2);
    assert_eq!((job.replayed(), job.table("accounts")), (1, before.clone()));
    job.snapshot();
    job.restart(3);
    assert_eq!((job.replayed(), job.table("accounts")), (0, before));

    let nobody = rows::one::Account { id: 1, owner: "nobody".into(), old: true };
    let mut job = ran(rows::one::build, "rows", vec![nobody]);
    job.upgrade(numbered, "three");
    // Rows come back while the job starts, or soon after.
    let error = job.try_start().err().unwrap_or_else(|| job.failing_tick());
    let said = ["\"accounts\"", "flow.migrate panicked on", "nobody", "an owner without a number"];
    says(&error.to_string(), &said);
}

#[test]
fn a_closure_that_fits_nothing_is_a_problem_of_the_dataflow() {
    fn wrong(flow: &Flow<'_>) {
        rows::other::build(flow);
        flow.migrate("accounts", |old: rows::other::Account| rows::one::Account {
            id: old.id,
            owner: old.owner.to_string(),
            old: old.old,
        });
        flow.migrate("accounts", |old: rows::one::Account| old);
        flow.migrate("acounts", |old: u64| old);
    }
    let error = engine::plan(wrong, Default::default(), Default::default()).unwrap_err();
    let text = error.message();
    says(
        text,
        &[
            "the closure gives",
            "kept state \"accounts\" is",
            "migration of \"accounts\" is used twice",
            "there is no kept state \"acounts\"",
            "upgrade.rs:",
        ],
    );
    // What it takes is neither what is stored nor of the program.
    fn astray(flow: &Flow<'_>) {
        rows::other::build(flow);
        flow.migrate("accounts", |old: rows::two::Account| rows::other::Account {
            id: 0,
            owner: old.id,
            old: false,
        });
    }
    fn items(flow: &Flow<'_>) {
        flow.serve("accounts", &bids(flow).upsert("accounts", |b| u32::try_from(b.item).unwrap()));
    }
    let mut job = ran(items, "bids", vec![bid(1, 2, 3)]);
    job.upgrade(astray, "astray");
    says(&refused(&mut job), &["do not fit the program", "nor are they what flow.migrate takes"]);
}

#[test]
fn rows_that_are_keys_may_not_lose_a_field() {
    let row = |id: u32, old| rows::one::Account { id, owner: "o".into(), old };
    let mut job = ran(rows::one::keep, "rows", vec![row(1, true), row(1, false), row(1, true)]);
    job.upgrade(rows::other::keep, "other");
    says(&refused(&mut job), &["owner: u64", "--drop-state accounts"]);
    job.upgrade(rows::two::keep, "two");
    says(&refused(&mut job), &["\"accounts\"", "would become one", "--drop-state accounts"]);
    job.upgrade(rows::wider::keep, "wider");
    let row =
        |old, count| format!(r#"{{"row":{{"id":1,"owner":"o","old":{old},"limit":0}}{count}}}"#);
    let rows = [row(false, ""), row(true, ",\"count\":2")];
    assert_eq!(job.table("accounts"), rows);
    job.snapshot();
    job.restart(2);
    assert_eq!(job.table("accounts"), rows);
}

#[test]
fn a_uid_that_is_gone_is_refused_unless_renamed_or_given_up() {
    fn nothing(flow: &Flow<'_>) {
        flow.serve("items", &bids(flow).upsert("items", |b| b.item));
    }
    fn both(flow: &Flow<'_>) {
        let bids = bids(flow);
        let sums = bids.key_by(|b| b.item).aggregate("sums", sum(|b: &Bid| b.price));
        flow.serve("totals", &sums);
        flow.serve("items", &bids.upsert("items", |b| b.item));
    }
    fn renamed(flow: &Flow<'_>) {
        let sums = bids(flow).key_by(|b| b.item).aggregate("by-item", sum(|b: &Bid| b.price));
        flow.renamed("sums", "by-item");
        flow.serve("totals", &sums);
    }
    let mut job = ran(totals, "bids", vec![bid(1, 7, 1)]);
    job.upgrade(nothing, "two");
    let text = refused(&mut job);
    says(
        &text,
        &["no kept state \"sums\"", "tick 2", "flow.renamed(\"sums\"", "--drop-state sums"],
    );
    job.upgrade(both, "three").tick();
    assert_eq!(job.notes().len(), 2, "{:?}", job.notes());
    says(&job.notes().join("\n"), &["new kept state \"items\": it begins empty at tick 2"]);
    assert!(job.table("items").is_empty());

    let mut job = ran(totals, "bids", vec![bid(1, 7, 1)]);
    job.upgrade(renamed, "two").push("bids", [bid(1, 3, 2)]).tick();
    let ten = [r#"{"key":1,"value":10}"#];
    assert_eq!(job.table("totals"), ten);
    says(&job.notes()[0], &["\"by-item\" goes on from tick 2, renamed from \"sums\""]);
    job.restart(2);
    assert_eq!((job.replayed(), job.table("totals")), (1, ten.map(str::to_owned).to_vec()));
    job.snapshot();
    job.restart(3);
    assert_eq!((job.replayed(), job.table("totals")), (0, ten.map(str::to_owned).to_vec()));
    // The words may stay in the code.
    job.stop().upgrade(renamed, "three").tick();
    assert_eq!(job.table("totals"), ten);
}

#[test]
fn state_is_given_up_once_and_by_what_the_log_says() {
    let mut job = ran(totals, "bids", vec![bid(1, 7, 1), bid(2, 7, 1)]);
    // The same program, the same schema: nothing but the word makes it begin empty.
    job.drop_state("sums").push("bids", [bid(1, 1, 2)]).tick();
    let one = [r#"{"key":1,"value":1}"#];
    assert_eq!(job.table("totals"), one);
    // A restart from the old snapshot knows it from the log, told again or not.
    let told = job.restart(2).table("totals");
    assert_eq!((job.replayed(), told), (1, one.map(str::to_owned).to_vec()));
    job.crash().forget_drop_state();
    assert_eq!(job.table("totals"), one);
    job.snapshot();
    job.restart(3);
    assert_eq!((job.replayed(), job.table("totals")), (0, one.map(str::to_owned).to_vec()));
    // Told again, it keeps what it has gathered since.
    job.stop().drop_state("sums");
    assert_eq!(job.table("totals"), one);
    // Another program gives up its own.
    job.stop().upgrade(totals, "two");
    assert!(job.table("totals").is_empty());
    job.stop().drop_state("summs");
    says(&refused(&mut job), &["--drop-state summs", "no such kept state", "it has: sums"]);
}

#[test]
fn state_is_given_up_only_at_a_drained_end() {
    let mut job = Job::new(totals);
    job.push("bids", [bid(1, 7, 1)]).tick();
    job.crash().drop_state("sums");
    says(&refused(&mut job), &["no snapshot at tick 1"]);
}

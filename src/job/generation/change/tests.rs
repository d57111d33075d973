use super::*;
use crate::job::generation::lanes::next_sinks;
use crate::ticks::fixtures::*;
use std::collections::BTreeMap;

fn want(name: &str, lanes: u16, change: Option<OnChange>) -> Wanted {
    Wanted { name: name.into(), lanes, address: BTreeMap::new(), change }
}

#[test]
fn a_whole_table_is_given_to_new_sinks_and_to_those_that_are_told() {
    use OnChange::{FromNow, Reconcile, Refuse, Rewrite};
    let image = |less_written| Some(Image { tick: 8, less_written });
    let open = open_with(1, vec![sink("a", 2, 1), gone(sink("r", 1, 1))]);
    #[rustfmt::skip]
    let table = [
        ("a stream's", want("a", 2, None), true, None),
        ("a new stream's: from now", want("b", 2, None), true, None),
        ("a new one", want("b", 1, Some(Refuse)), true, image(false)),
        ("a new one of the same program", want("b", 1, Some(Refuse)), false, image(false)),
        ("a removed one that comes back", want("r", 1, Some(FromNow)), true, image(false)),
        ("the same program goes on", want("a", 2, Some(Rewrite)), false, None),
        ("the same program with other lanes", want("a", 1, Some(Rewrite)), false, None),
        ("told to go on", want("a", 2, Some(FromNow)), true, None),
        ("told to rewrite", want("a", 2, Some(Rewrite)), true, image(false)),
        ("told to rewrite, with other lanes", want("a", 1, Some(Rewrite)), true, image(false)),
        ("told to reconcile", want("a", 2, Some(Reconcile)), true, image(true)),
    ];
    for (name, wanted, switches, expected) in table {
        assert_eq!(first_image(&wanted, Some(&open), 7, switches), expected, "{name}");
        let next = next_sinks(Some(&open), &open.sinks, &[wanted], 7, switches);
        assert_eq!(next.last().and_then(|s| s.image), expected, "{name}");
    }
    let new = want("a", 1, Some(Refuse));
    assert_eq!(first_image(&new, None, 0, false), None, "a new job's tables are empty");
}

/// A restart before the image is written writes it, whatever the configuration says by then.
#[test]
fn an_image_is_carried_on_by_the_same_program() {
    let before = crate::ticks::record::SinkDecl {
        image: Some(Image { tick: 8, less_written: true }),
        ..sink("a", 2, 1)
    };
    let open = open_with(2, vec![before.clone()]);
    let wanted = [want("a", 2, Some(OnChange::Refuse))];
    assert_eq!(next_sinks(Some(&open), &open.sinks, &wanted, 9, false), [before]);
}

#[test]
fn sinks_that_are_not_told_are_named_with_the_choices() {
    let open = open_with(1, vec![sink("a", 2, 1), sink("b", 1, 1), sink("s", 1, 1)]);
    let wanted = [
        want("a", 2, Some(OnChange::Refuse)),
        want("b", 1, Some(OnChange::Rewrite)),
        want("s", 1, None),
        want("new", 1, Some(OnChange::Refuse)),
    ];
    assert_eq!(untold(Some(&open), &wanted), ["a"]);
    let error = refusal(&["a", "c"], "one");
    let parts = [
        "sinks a, c;",
        "sink.a.on_change and sink.c.on_change",
        "reconcile",
        "rewrite",
        "from-now",
    ];
    for part in parts {
        assert!(error.message().contains(part), "{part}: {error}");
    }
}

use super::super::tests::{held, wrote};
use super::*;
use crate::ticks::fixtures::*;

fn on(connector: &str, topic: &str, sink: SinkDecl) -> SinkDecl {
    let address = [(CONNECTOR, connector), ("topic", topic)];
    let address = address.map(|(k, v)| (k.to_string(), v.to_string())).into();
    SinkDecl { address, ..sink }
}

fn want(sink: &SinkDecl) -> Wanted {
    let (name, address) = (sink.name.clone(), sink.address.clone());
    Wanted { name, lanes: sink.lanes, address, change: None }
}

/// Name, sinks in force, sinks known, sinks wanted; expected sinks.
type Case = (&'static str, Vec<SinkDecl>, Vec<SinkDecl>, Vec<Wanted>, Vec<SinkDecl>);

/// PROTOCOL 3, 10, D7.
#[test]
fn sinks_of_the_next_open() {
    let kafka = |topic, sink| on("kafka", topic, sink);
    let before = vec![sink("a", 2, 1), gone(sink("r", 1, 1))];
    let k = || kafka("x", sink("k", 1, 1));
    #[rustfmt::skip]
    let table: Vec<Case> = vec![
        ("the first sinks", vec![], vec![], vec![want(&sink("a", 2, 0))], vec![sink("a", 2, 8)]),
        ("a sink goes on, a removed one is carried on", before.clone(), before.clone(), vec![want(&sink("a", 2, 0))],
            vec![gone(sink("r", 1, 1)), sink("a", 2, 1)]),
        ("D7: a sink is removed", before.clone(), before.clone(), vec![], vec![gone(sink("a", 2, 1)), gone(sink("r", 1, 1))]),
        ("a removed one comes back as a new one", before.clone(), before.clone(), vec![want(&sink("r", 1, 0))],
            vec![gone(sink("a", 2, 1)), gone(sink("r", 1, 1)), sink("r", 1, 8)]),
        ("10: other lanes begin after the end, the old stay fenced", before.clone(), before.clone(), vec![want(&sink("a", 1, 0))],
            vec![gone(sink("a", 2, 1)), gone(sink("r", 1, 1)), sink("a", 1, 8)]),
        ("left out by an open that never ticked: not gone", before.clone(), vec![gone(sink("a", 2, 1)), sink("b", 1, 5)],
            vec![want(&sink("a", 2, 0))], vec![gone(sink("b", 1, 5)), sink("a", 2, 1)]),
        ("declared by an open that never ticked: not owed", before.clone(), vec![sink("b", 1, 5)],
            vec![want(&sink("b", 1, 0))], vec![gone(sink("b", 1, 5)), sink("b", 1, 8)]),
        ("another address, same connector: the same sink elsewhere", vec![k()], vec![k()], vec![want(&kafka("y", k()))],
            vec![kafka("y", k())]),
        ("another connector: another sink", vec![k()], vec![k()], vec![want(&on("file", "x", k()))],
            vec![gone(k()), on("file", "x", sink("k", 1, 8))]),
    ];
    for (name, in_force, known, wanted, expected) in table {
        let open = open_with(1, in_force);
        assert_eq!(next_sinks(Some(&open), &known, &wanted, 7, false), expected, "{name}");
    }
}

#[test]
fn every_lane_that_ever_was_is_fenced() {
    let known = [
        gone(sink("a", 3, 1)),
        gone(on("file", "x", sink("a", 2, 1))),
        gone(sink("r", 1, 1)),
        sink("a", 2, 8),
    ];
    let fence = to_fence(&known);
    assert_eq!(fence, [sink("a", 3, 8), known[1].clone(), known[2].clone()]);
}

/// PROTOCOL 3, D5, D10, D18, D19.
#[test]
fn after_a_fence() {
    let mark = |generation, nonce| Mark { generation: Generation(generation), nonce: Nonce(nonce) };
    let exit = |by| AfterFence::Exit { by: Generation(by) };
    let marked = |g, n| Fencing::Marked(Some(mark(g, n)));
    #[rustfmt::skip]
    let table = [
        ("nobody was there", Fencing::Marked(None), 4, AfterFence::Held),
        ("an older one was there", marked(3, 1), 4, AfterFence::Held),
        ("one's own mark, whose answer was lost", marked(4, 40), 4, AfterFence::Held),
        ("D18, D19: a newer one was there first", marked(5, 1), 4, exit(5)),
        ("a claim was lost: two of one generation", marked(4, 41), 4, exit(4)),
        ("fenced by a loser that never opened", Fencing::FencedMeanwhile, 4, AfterFence::Again),
        ("D5: fenced by a newer leader", Fencing::FencedMeanwhile, 6, exit(6)),
    ];
    for (name, fencing, newest, expected) in table {
        assert_eq!(after_fence(mark(4, 40), fencing, Generation(newest)), expected, "{name}");
    }
}

#[test]
fn what_a_lane_has_reached() {
    let decl = sink("a", 4, 5);
    let mut held = held(decl.clone(), &[9, 9, 2, 0]);
    held.progress[1].as_mut().expect("it wrote").last = false;
    let ticks: Vec<_> = reached(&decl, &[held]).into_iter().map(|(_, tick)| tick).collect();
    assert_eq!(ticks, [9, 8, 4, 4], "whole, in pieces, before its first tick, nothing");
}

/// PROTOCOL 4.
#[test]
fn progress_is_checked() {
    let facts = |newest_claim, proven| Facts {
        own: Generation(4),
        newest_claim: Generation(newest_claim),
        end: 9,
        proven,
    };
    let refuse = Checked::Refuse;
    let lost_log =
        |lane, tick| refuse(Refusal::LogLost { sink: "a".into(), lane: Lane(lane), tick, end: 9 });
    let lost = |lane, reached, proven| {
        refuse(Refusal::ProgressLost { sink: "a".into(), lane: Lane(lane), reached, proven })
    };
    let fine = |least| Checked::Fine { least };
    let exit = |by| Checked::Exit { by: Generation(by) };
    #[rustfmt::skip]
    let table = [
        ("all at the end", sink("a", 2, 1), [9, 9], facts(4, 0), fine(9)),
        ("the least counts", sink("a", 2, 1), [9, 3], facts(4, 0), fine(3)),
        ("nothing written at all", sink("a", 2, 1), [0, 0], facts(4, 0), fine(0)),
        ("18: a new sink is owed from its first tick", sink("a", 2, 7), [0, 9], facts(4, 0), fine(6)),
        ("a new sink, after drops that did not know it", sink("a", 2, 10), [0, 0], facts(4, 8), fine(9)),
        ("one that came back holds what it held", sink("a", 2, 10), [3, 2], facts(4, 8), fine(9)),
        ("beyond E, a newer one has claimed", sink("a", 2, 1), [9, 10], facts(5, 0), exit(5)),
        ("27: beyond E, nobody has claimed: the log was lost", sink("a", 2, 1), [9, 10], facts(4, 0), lost_log(1, 10)),
        ("17: none, where drops prove that there was", sink("a", 2, 1), [9, 0], facts(4, 5), lost(1, None, 5)),
        ("less than drops prove", sink("a", 2, 1), [4, 9], facts(4, 5), lost(0, Some(4), 5)),
        ("just what drops prove", sink("a", 2, 1), [5, 9], facts(4, 5), fine(5)),
        ("a removed sink holds nothing back", gone(sink("a", 2, 1)), [0, 3], facts(4, 5), fine(9)),
        ("but beyond E it tells that the log was lost", gone(sink("a", 2, 1)), [0, 10], facts(4, 0), lost_log(1, 10)),
    ];
    for (name, sink, ticks, facts, expected) in table {
        let held = [held(sink.clone(), &ticks)];
        assert_eq!(check_progress(&[sink], &held, facts), expected, "{name}");
    }
    assert_eq!(check_progress(&[], &[], facts(4, 0)), fine(9), "no sink holds nothing back");
    let mut newer = held(sink("a", 1, 1), &[3]);
    newer.progress[0].as_mut().expect("it wrote").generation = Generation(6);
    assert_eq!(check_progress(&[sink("a", 1, 1)], &[newer], facts(4, 0)), exit(6));
}

/// A tick that is there only in part is beyond E like a whole one, and does not count as reached.
#[test]
fn a_tick_in_pieces() {
    let piece = |tick| {
        let mut progress = wrote(tick).expect("not 0");
        progress.last = false;
        [Held { sink: sink("a", 1, 1), progress: vec![Some(progress)] }]
    };
    let (own, end) = (Generation(1), 4);
    let facts = Facts { own, newest_claim: own, end, proven: 0 };
    let check = |tick| check_progress(&[sink("a", 1, 1)], &piece(tick), facts);
    assert_eq!(check(4), Checked::Fine { least: 3 });
    assert!(matches!(check(5), Checked::Refuse(Refusal::LogLost { .. })));
}

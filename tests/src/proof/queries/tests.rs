#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use tidemark_oracle::Generator;

fn facts(offset: u64) -> TickFacts {
    TickFacts { offsets: vec![offset; PARTITIONS], watermark: None }
}

/// Right answers at ticks 1 and 2 of two clients.
fn seen() -> Seen {
    let mut seen = Seen { refused: 3, ..Seen::default() };
    let mut oracle = Oracle::new(Rules::default(), PARTITIONS);
    let mut rows = BTreeSet::new();
    let generator = Generator::new(1, 4);
    for tick in [1, 2] {
        for partition in 0..PARTITIONS {
            while oracle.next(partition) < tick * 500 {
                let next = oracle.next(partition);
                oracle.take(partition, generator.event(partition as u64, next));
            }
        }
        for (row, diff) in oracle.settle(None) {
            if diff > 0 {
                rows.insert(row)
            } else {
                rows.remove(&row)
            };
        }
        seen.ticks.insert(tick, facts(tick * 500));
        let node = *oracle.components().keys().next().unwrap();
        for question in [Question::Joined(0), Question::Component(node), Question::Top] {
            let rows = right_answer(&question, &rows, &oracle.components());
            let (client, as_of, generation) = (usize::from(tick == 2), false, tick);
            seen.answers.push(Answer { client, as_of, generation, tick, question, rows });
        }
    }
    seen
}

fn judge_all(seen: &Seen) -> Result<Judged> {
    let generator = Generator::new(1, 4);
    judge(Rules::default(), |partition, offset| generator.event(partition, offset), seen)
}

#[test]
fn right_answers_are_counted() {
    let seen = seen();
    assert!(seen.answers.iter().any(|answer| answer.rows.len() > 10), "the top has rows");
    let judged = judge_all(&seen).unwrap();
    let expected = Judged { asked: 9, right: 6, ticks: 2, after_a_kill: 3, as_of: 0 };
    assert_eq!(judged, expected);
    assert!(judged.reaches(&judged));
    assert!(!Judged { right: 5, ..judged }.reaches(&judged));
    assert!(!Judged { asked: 10, right: 6, ..judged }.reaches(&judged), "a smaller share");
    let mut unknown = seen;
    unknown.ticks.remove(&1);
    let judged = judge_all(&unknown).unwrap();
    assert_eq!((judged.asked, judged.right), (9, 3), "an answer that can't be judged is none");
}

#[test]
fn wrong_answers_are_found() {
    for (number, answer) in seen().answers.iter().enumerate() {
        if let Some(row) = answer.rows.first().cloned() {
            let mut less = seen();
            less.answers[number].rows.remove(&row);
            judge_all(&less).unwrap_err();
        }
        let mut more = seen();
        more.answers[number].rows.insert(Row::Component { node: 5_000, label: 1 });
        judge_all(&more).unwrap_err();
        let mut other = seen();
        other.answers[number].tick = 3 - answer.tick;
        other.answers[number].client = 7;
        if answer.question == Question::Top {
            judge_all(&other).unwrap_err();
        }
    }
    let mut back = seen();
    back.answers.iter_mut().for_each(|answer| answer.client = 0);
    judge_all(&back).unwrap();
    back.answers.reverse();
    assert!(judge_all(&back).unwrap_err().0.contains("saw tick"));
    // What was asked for with `as_of` may well be older.
    back.answers.iter_mut().for_each(|answer| answer.as_of = true);
    assert_eq!(judge_all(&back).unwrap().as_of, 6);
}

#[test]
fn bodies_are_read() {
    let body =
        r#"{"view":"component","generation":3,"tick":20,"rows":[{"key":6,"value":2}],"next":null}"#;
    let answer = read(body, 1, Question::Component(6), Some(20)).unwrap();
    assert_eq!((answer.generation, answer.tick, answer.as_of), (3, 20, true));
    assert_eq!(answer.rows, BTreeSet::from([Row::Component { node: 6, label: 2 }]));
    assert!(read(body, 1, Question::Component(6), Some(19)).is_err(), "another tick");
    assert!(read(body, 1, Question::Joined(6), None).is_err(), "another row");
    let top = r#"{"generation":3,"tick":20,"rows":[{"row":{"category":1,"auction":2,"bids":3}}],"next":null}"#;
    let top = read(top, 1, Question::Top, None).unwrap();
    assert_eq!(top.rows, BTreeSet::from([Row::Top { category: 1, auction: 2, bids: 3 }]));

    let record = r#"{"generation":3,"tick":20,"wall":1,"watermarks":{"events":-7},
        "next_offsets":{"events":{"0":4,"2":6,"3":0}}}"#;
    let facts = read_tick(record).unwrap();
    assert_eq!(facts, TickFacts { offsets: vec![4, 0, 6, 0], watermark: Some(-7) });
}

//! Clients that ask views over HTTP while the engine is killed and started again, and the judgement of their answers: each is right
//! for exactly the input of the tick that it names, and no client sees time go back.

use super::{PARTITIONS, SOURCE};
use crate::{Failure, Result};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tidemark_oracle::{Event, Oracle, Output, Random, Row, Rules};

/// Between two questions of a client.
const PAUSE: Duration = Duration::from_millis(50);
/// After a question without an answer, when nobody is there or it recovers: as the `retry-after` of such an answer says.
const PAUSE_REFUSED: Duration = Duration::from_secs(1);

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// The joined row of an auction.
    Joined(u64),
    /// The label of a node.
    Component(u64),
    /// All rows of the top, at one tick.
    Top,
}

/// An answer with status 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Which client got it.
    pub client: usize,
    /// Whether the client had asked for an old tick.
    pub as_of: bool,
    /// The generation that answered.
    pub generation: u64,
    /// The tick that it names.
    pub tick: u64,
    /// What was asked.
    pub question: Question,
    /// The rows.
    pub rows: BTreeSet<Row>,
}

/// What a tick's record says (`GET /api/v1/job/ticks/T`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TickFacts {
    /// The next offset of each partition after it.
    pub offsets: Vec<u64>,
    /// The watermark in force at it.
    pub watermark: Option<i64>,
}

/// What some clients saw.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Answers, for each client in the order in which it got them.
    pub answers: Vec<Answer>,
    /// Questions without one: nobody there, 503 while recovering, or an old tick that is gone.
    pub refused: usize,
    /// The records of ticks that answers named, as far as they were got.
    pub ticks: BTreeMap<u64, TickFacts>,
}

/// What the judgement found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Questions.
    pub asked: usize,
    /// Right answers; there are no others, or the judgement fails.
    pub right: usize,
    /// Distinct ticks that they name.
    pub ticks: usize,
    /// Right answers of a generation but the first.
    pub after_a_kill: usize,
    /// Right answers for an old tick that was asked for.
    pub as_of: usize,
}

impl Judged {
    /// Whether it is at least `wanted`, with the share of right answers that `wanted` has.
    pub fn reaches(&self, wanted: &Judged) -> bool {
        let enough = |mine: usize, wanted: usize| mine >= wanted;
        enough(self.asked, wanted.asked)
            && enough(self.right * wanted.asked, wanted.right * self.asked)
            && enough(self.ticks, wanted.ticks)
            && enough(self.after_a_kill, wanted.after_a_kill)
            && enough(self.as_of, wanted.as_of)
    }
}

/// Clients that ask until they are told to end.
pub struct Clients {
    end: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<Seen>>>,
}

impl Clients {
    /// `count` clients of the server at `port` on loopback; what they ask is drawn from `seed`. Keys up to `keys`.
    pub fn start(port: u16, count: usize, seed: u64, keys: u64) -> Clients {
        let end = Arc::new(AtomicBool::new(false));
        let threads = (0..count).map(|number| {
            let end = Arc::clone(&end);
            std::thread::spawn(move || {
                let random = Random::of(seed, &[3, number as u64]);
                ask(&Asking { port, number, keys, agent: agent() }, random, &end)
            })
        });
        Clients { end: Arc::clone(&end), threads: threads.collect() }
    }

    /// Ends them and gives what they saw.
    ///
    /// # Errors
    /// If an answer was not as documented.
    pub fn finish(mut self) -> Result<Seen> {
        self.end.store(true, Ordering::Relaxed);
        let mut seen = Seen::default();
        for thread in self.threads.drain(..) {
            let of_one = thread.join().map_err(|_| Failure::new("a client panicked"))??;
            seen.answers.extend(of_one.answers);
            seen.refused += of_one.refused;
            for (tick, facts) in of_one.ticks {
                if seen.ticks.insert(tick, facts.clone()).is_some_and(|other| other != facts) {
                    return Err(Failure(format!(
                        "two clients were told otherwise about tick {tick}"
                    )));
                }
            }
        }
        Ok(seen)
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
    }
}

struct Asking {
    port: u16,
    number: usize,
    keys: u64,
    agent: ureq::Agent,
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    config.timeout_global(Some(Duration::from_secs(10))).build().into()
}

impl Asking {
    /// The body of an answer with status 200; `None` for another status or no answer.
    fn get(&self, path: &str) -> Option<String> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let mut response = self.agent.get(url).call().ok()?;
        let body = response.body_mut().read_to_string().ok()?;
        (response.status().as_u16() == 200).then_some(body)
    }

    fn question(&self, random: &mut Random) -> Question {
        match random.below(3) {
            0 => Question::Joined(random.below(self.keys)),
            1 => Question::Component(random.below(1_000)),
            _ => Question::Top,
        }
    }
}

fn ask(asking: &Asking, mut random: Random, end: &AtomicBool) -> Result<Seen> {
    let mut seen = Seen::default();
    while !end.load(Ordering::Relaxed) {
        let question = asking.question(&mut random);
        // Now and then a tick that was seen a little while ago.
        let back = usize::try_from(1 + random.below(5)).expect("below 6");
        let old = seen.answers.iter().rev().nth(back).filter(|_| random.chance(100));
        let as_of = old.map(|answer: &Answer| answer.tick);
        let mut path = match question {
            Question::Joined(auction) => format!("/api/v1/views/joined?key={auction}"),
            Question::Component(node) => format!("/api/v1/views/component?key={node}"),
            Question::Top => "/api/v1/views/top?limit=1000".to_owned(),
        };
        if let Some(tick) = as_of {
            path.push_str(&format!("&as_of={tick}"));
        }
        let Some(body) = asking.get(&path) else {
            seen.refused += 1;
            std::thread::sleep(PAUSE_REFUSED);
            continue;
        };
        let answer = read(&body, asking.number, question, as_of)?;
        if !seen.ticks.contains_key(&answer.tick)
            && let Some(record) = asking.get(&format!("/api/v1/job/ticks/{}", answer.tick))
        {
            seen.ticks.insert(answer.tick, read_tick(&record)?);
        }
        seen.answers.push(answer);
        std::thread::sleep(PAUSE);
    }
    Ok(seen)
}

/// The answer that a body holds.
fn read(body: &str, client: usize, question: Question, as_of: Option<u64>) -> Result<Answer> {
    #[derive(Deserialize)]
    struct Body {
        generation: u64,
        tick: u64,
        rows: Vec<Value>,
        next: Option<String>,
    }
    let wrong = |what: String| Failure(format!("{question:?} as of {as_of:?}: {what}: {body}"));
    let Body { generation, tick, rows, next } =
        serde_json::from_str(body).map_err(|error| wrong(error.to_string()))?;
    if next.is_some() || as_of.is_some_and(|wanted| wanted != tick) {
        return Err(wrong("another tick than was asked for, or not all rows".to_owned()));
    }
    let output = match question {
        Question::Joined(_) => Output::Joined,
        Question::Component(_) => Output::Components,
        Question::Top => Output::Top,
    };
    let mut set = BTreeSet::new();
    for row in rows {
        // A view's rows are a changelog's without the diff; a view without a key has rows alone.
        let value = row.get("value").or_else(|| row.get("row")).cloned().unwrap_or_default();
        let key = row.get("key").cloned().unwrap_or_default();
        let change = serde_json::json!({"key": key, "value": value, "diff": 1});
        let (row, _) = output.read(&change.to_string()).map_err(&wrong)?;
        if !set.insert(row) {
            return Err(wrong("a row twice".to_owned()));
        }
    }
    Ok(Answer { client, as_of: as_of.is_some(), generation, tick, question, rows: set })
}

fn read_tick(body: &str) -> Result<TickFacts> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        watermarks: BTreeMap<String, i64>,
        next_offsets: BTreeMap<String, BTreeMap<String, u64>>,
    }
    let wrong = |what: String| Failure(format!("a tick's record: {what}: {body}"));
    let Body { watermarks, next_offsets } =
        serde_json::from_str(body).map_err(|error| wrong(error.to_string()))?;
    // A partition that appears with a later tick is not in it yet.
    let of_source = next_offsets.get(SOURCE).cloned().unwrap_or_default();
    let next = |number: usize| of_source.get(&number.to_string()).copied().unwrap_or_default();
    let offsets = (0..PARTITIONS).map(next).collect();
    Ok(TickFacts { offsets, watermark: watermarks.get(SOURCE).copied() })
}

/// Judges all answers whose tick's record is known; the others count as refused.
///
/// # Errors
/// At the first answer that is not right for its tick, or whose tick is before one that the same client saw earlier.
pub fn judge(rules: Rules, event: impl Fn(u64, u64) -> Event, seen: &Seen) -> Result<Judged> {
    let mut newest: BTreeMap<usize, u64> = BTreeMap::new();
    for answer in seen.answers.iter().filter(|answer| !answer.as_of) {
        let before = newest.insert(answer.client, answer.tick);
        if before.is_some_and(|before| before > answer.tick) {
            return Err(Failure(format!("a client saw tick {before:?}, then {answer:?}")));
        }
    }
    let mut by_tick: BTreeMap<u64, Vec<&Answer>> = BTreeMap::new();
    for answer in &seen.answers {
        by_tick.entry(answer.tick).or_default().push(answer);
    }
    let first = seen.answers.iter().map(|answer| answer.generation).min();
    let mut judged = Judged { asked: seen.answers.len() + seen.refused, ..Judged::default() };
    let mut oracle = Oracle::new(rules, PARTITIONS);
    let mut rows: BTreeSet<Row> = BTreeSet::new();
    for (tick, answers) in by_tick {
        let Some(facts) = seen.ticks.get(&tick) else { continue };
        for (partition, end) in facts.offsets.iter().enumerate() {
            if oracle.next(partition) > *end {
                return Err(Failure(format!("tick {tick} is before an earlier one: {facts:?}")));
            }
            while oracle.next(partition) < *end {
                oracle.take(partition, event(partition as u64, oracle.next(partition)));
            }
        }
        for (row, diff) in oracle.settle(facts.watermark) {
            if matches!(row, Row::Joined { .. } | Row::Top { .. }) {
                if diff > 0 {
                    rows.insert(row)
                } else {
                    rows.remove(&row)
                };
            }
        }
        let asked = answers.iter().any(|answer| matches!(answer.question, Question::Component(_)));
        let components = if asked { oracle.components() } else { BTreeMap::new() };
        for answer in answers {
            let right = right_answer(&answer.question, &rows, &components);
            if answer.rows != right {
                return Err(Failure(format!("{answer:?} should be {right:?}, by {facts:?}")));
            }
            judged.right += 1;
            judged.after_a_kill += usize::from(Some(answer.generation) != first);
            judged.as_of += usize::from(answer.as_of);
        }
        judged.ticks += 1;
    }
    Ok(judged)
}

fn right_answer(
    question: &Question,
    rows: &BTreeSet<Row>,
    components: &BTreeMap<u64, u64>,
) -> BTreeSet<Row> {
    match *question {
        Question::Joined(wanted) => {
            let is_it =
                |row: &&Row| matches!(row, Row::Joined { auction, .. } if *auction == wanted);
            rows.iter().filter(is_it).cloned().collect()
        }
        Question::Component(node) => {
            let label = components.get(&node).copied();
            label.into_iter().map(|label| Row::Component { node, label }).collect()
        }
        Question::Top => {
            rows.iter().filter(|row| matches!(row, Row::Top { .. })).cloned().collect()
        }
    }
}

impl std::fmt::Display for Judged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Judged { asked, right, ticks, after_a_kill, as_of } = self;
        write!(
            f,
            "{asked} queries: {right} answered, all right, over {ticks} ticks, {after_a_kill} after a kill, {as_of} of an old tick"
        )
    }
}

#[cfg(test)]
mod tests;

//! File to nothing: what the engine costs beside the same query by hand.

use crate::hand::{Given, query};
use crate::process::{Usage, run as run_child, warm};
use crate::table::{Table, head, median, say};
use crate::{input, table};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use tidemark_tests::{Failure, Result};

const ROUNDS: usize = 3;
/// What a hand-written program reads at once.
const BLOCK: usize = 256 << 10;

struct Case {
    query: &'static str,
    /// 0 is by hand.
    workers: usize,
    runs: Vec<Usage>,
    given: Vec<Given>,
}

/// The bench: `only` leaves out all queries but one.
pub(crate) fn run(events: u64, only: Option<&str>) -> Result<()> {
    let folder = input::nexmark(events)?;
    let mut bytes = 0;
    for partition in 0..input::PARTITIONS {
        bytes += warm(&folder.join(format!("{partition}.jsonl")))?;
    }
    head(
        "files: what does the engine cost an event, from a file to nothing, beside the same query by hand?",
    );
    say(&format!(
        "{events} Nexmark events of {} bytes in {} files; median of {ROUNDS} rounds, by hand and by engine in turn\n\
         microseconds an event; bad: x hand above 1.5 for q1 and q5, above 2 for q3\n",
        bytes / events,
        input::PARTITIONS
    ));
    let mut cases = Vec::new();
    for query in ["q1", "q5", "q3"] {
        if only.is_none_or(|only| only == query) {
            let case = |workers| Case { query, workers, runs: Vec::new(), given: Vec::new() };
            cases.extend((0..3).map(case));
        }
    }
    // The first run after a pause pays for the machine waking up: not counted.
    by_hand(&folder, "q1")?;
    for _ in 0..ROUNDS {
        for case in &mut cases {
            let (usage, given) = match case.workers {
                0 => by_hand(&folder, case.query)?,
                workers => by_engine(&folder, case.query, workers)?,
            };
            case.runs.push(usage);
            case.given.push(given);
        }
    }
    report(events, &cases)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn report(events: u64, cases: &[Case]) -> Result<()> {
    let mut table =
        Table::new(&["", "cpu", "user", "sys", "wall", "x hand", "x hand by round", "rows"]);
    for case in cases {
        let of_query: Vec<&Case> = cases.iter().filter(|c| c.query == case.query).collect();
        let each = |of: fn(&Usage) -> f64| {
            let runs = case.runs.iter().map(of).collect();
            format!("{:.3}", median(runs) * 1e6 / events as f64)
        };
        let cpu = |usage: &Usage| usage.cpu().as_secs_f64();
        let ratios: Vec<f64> =
            case.runs.iter().zip(&of_query[0].runs).map(|(a, b)| cpu(a) / cpu(b)).collect();
        let by_round: Vec<String> = ratios.iter().map(|r| format!("{r:.2}")).collect();
        let given = case.given[0];
        if case.given.iter().any(|other| *other != given) || given != of_query[0].given[0] {
            return Err(Failure(format!(
                "{}: by hand {:?}, by {} workers {:?}: not the same work",
                case.query, of_query[0].given, case.workers, case.given
            )));
        }
        let name = match case.workers {
            0 => format!("{} by hand", case.query),
            1 => format!("{} 1 worker", case.query),
            workers => format!("{} {workers} workers", case.query),
        };
        table.row(vec![
            name,
            each(|u| u.cpu().as_secs_f64()),
            each(|u| u.user.as_secs_f64()),
            each(|u| u.sys.as_secs_f64()),
            each(|u| u.wall.as_secs_f64()),
            format!("{:.2}", median(ratios)),
            by_round.join("/"),
            given.rows.to_string(),
        ]);
    }
    table.print();
    Ok(())
}

fn by_hand(folder: &Path, query: &str) -> Result<(Usage, Given)> {
    let arguments = ["hand", query, &folder.to_string_lossy()].map(str::to_owned);
    let (usage, text) = run_child(&arguments)?;
    let mut words = text.split_whitespace().map(str::parse::<u64>);
    match (words.next(), words.next()) {
        (Some(Ok(rows)), Some(Ok(bytes))) => Ok((usage, Given { rows, bytes })),
        _ => Err(Failure(format!("by hand said {text:?}"))),
    }
}

fn by_engine(folder: &Path, query: &str, workers: usize) -> Result<(Usage, Given)> {
    let state = tempfile::tempdir()?;
    let mut arguments: Vec<String> =
        ["run", query, "--workers", &workers.to_string(), "--http", "127.0.0.1:0"]
            .map(str::to_owned)
            .into();
    arguments.extend(["--state".to_owned(), state.path().to_string_lossy().into_owned()]);
    let settings = [
        "source.events.connector=file".to_owned(),
        format!("source.events.path={}", folder.display()),
        format!("sink.{query}.connector=blackhole"),
    ];
    arguments.extend(settings.into_iter().flat_map(|setting| ["-D".to_owned(), setting]));
    let (usage, text) = run_child(&arguments)?;
    let line = text.lines().find(|line| line.contains(" rows of ") && line.contains("threw"));
    let mut numbers =
        line.unwrap_or_default().rsplit("threw").next().unwrap_or_default().split(' ');
    let mut number = || numbers.find_map(|word| word.parse::<u64>().ok());
    match (number(), number()) {
        (Some(rows), Some(bytes)) => Ok((usage, Given { rows, bytes })),
        _ => Err(Failure(format!("the engine did not say what it threw away:\n{text}"))),
    }
}

/// The child: a query by hand over a folder; prints what it gave.
pub(crate) fn hand(arguments: &[String]) -> Result<()> {
    let [_, name, folder] = arguments else { return Err(Failure::new("hand QUERY FOLDER")) };
    let mut query = query(name)?;
    let mut files = Vec::new();
    for partition in 0..input::PARTITIONS {
        files.push(Lines::open(&Path::new(folder).join(format!("{partition}.jsonl")))?);
    }
    // Event n is in file n modulo their number: in turn they come in order.
    'read: loop {
        for (partition, file) in files.iter_mut().enumerate() {
            match file.next()? {
                Some(line) => query.line(partition, line)?,
                None => break 'read,
            }
        }
    }
    let given = query.end()?;
    table::say(&format!("{} {}", given.rows, given.bytes));
    Ok(())
}

/// Lines out of blocks, without a copy of each.
struct Lines {
    file: File,
    buffer: Vec<u8>,
    at: usize,
    filled: usize,
}

impl Lines {
    fn open(path: &Path) -> Result<Lines> {
        Ok(Lines { file: File::open(path)?, buffer: vec![0; BLOCK], at: 0, filled: 0 })
    }

    fn next(&mut self) -> Result<Option<&[u8]>> {
        loop {
            let rest = &self.buffer[self.at..self.filled];
            if let Some(length) = memchr::memchr(b'\n', rest) {
                let from = self.at;
                self.at += length + 1;
                return Ok(Some(&self.buffer[from..from + length]));
            }
            self.buffer.copy_within(self.at..self.filled, 0);
            self.filled -= self.at;
            self.at = 0;
            let count = self.file.read(&mut self.buffer[self.filled..])?;
            if count == 0 {
                return Ok(None);
            }
            self.filled += count;
        }
    }
}

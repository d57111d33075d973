//! The status of a job for people. Knows only the JSON that the job answers.

use super::table;
use crate::telemetry::holding::grouped;
use crate::time::EventTime;
use serde_json::Value as Json;
use std::fmt::Write;

/// The answer of `GET /api/v1/job` as text: a headline, the ticks, what holds the job up, then watermarks and sinks as tables.
pub(crate) fn text(job: &Json) -> String {
    let word = |name: &str| table::shown_text(job[name].as_str().unwrap_or("unknown"));
    let tick = |name: &str| match job[name].as_u64() {
        Some(tick) => grouped(tick),
        None => "none".to_owned(),
    };
    let mut out =
        format!("{}: {}, generation {}\n", word("name"), word("state"), tick("generation"));
    let mut line = |name: &str, text: &str| {
        writeln!(out, "  {name:<10}{text}").expect("writing to a string can't fail");
    };
    let (released, durable, current) = (tick("tick"), tick("tick_durable"), tick("tick_current"));
    line("tick", &format!("{released} released, {durable} durable, {current} current"));
    if let (Some(processes), Some(workers)) = (job["processes"].as_u64(), job["workers"].as_u64()) {
        line("size", &format!("{processes} x {workers} (processes x workers)"));
    }
    line("snapshot", &tick("snapshot"));
    let holding = word("holding");
    match (holding.as_str(), job["state"].as_str()) {
        ("", Some("running")) => line("held by", "nothing"),
        ("", _) => {}
        (holding, _) => line("held by", holding),
    }
    line("program", &word("program"));
    if let Some(error) = job["error"].as_str() {
        line("error", &table::shown_text(error));
    }
    let number = |n: &Json| n.as_u64().map_or_else(String::new, grouped);
    let head = ["source", "watermark", "held by", "lag"];
    out += &section(job, "watermarks", head, |source| {
        let holding = source["holding"].as_str().map(table::shown_text);
        let watermark = source["watermark"].as_i64().map_or_else(|| "none".to_owned(), time);
        [watermark, holding.unwrap_or_default(), number(&source["lag_records"])]
    });
    let head = ["sink", "committed tick", "behind", "commit ms"];
    out += &section(job, "sinks", head, |sink| {
        [&sink["committed_tick"], &sink["behind_ticks"], &sink["commit_ms"]].map(number)
    });
    out
}

/// The member `name` of `job` as a table below an empty line; nothing if it is empty.
fn section(
    job: &Json,
    name: &str,
    head: [&str; 4],
    cells: impl Fn(&Json) -> [String; 3],
) -> String {
    let Some(all) = job[name].as_object().filter(|all| !all.is_empty()) else {
        return String::new();
    };
    let rows = all.iter().map(|(name, facts)| {
        std::iter::once(table::shown_text(name)).chain(cells(facts)).collect::<Vec<_>>()
    });
    let lines = std::iter::once(head.map(str::to_owned).to_vec()).chain(rows).collect();
    let text = name == "watermarks";
    format!("\n{}", table::aligned(lines, &[false, !text, !text, true]))
}

fn time(micros: i64) -> String {
    EventTime::from_micros(micros).map_or_else(|_| "none".to_owned(), |at| at.to_string())
}

#[cfg(test)]
mod tests;

//! What a dataflow consists of, for people.

use crate::config::connectors::{SinkConnector, SourceConnector};
use crate::config::{Settings, show_duration};
use crate::flow::{Input, Plan, Step};
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::Duration;

/// Sources, the steps between, kept state with what bounds it, views and sinks.
pub(super) fn text(name: &str, plan: &Plan, settings: &Settings) -> String {
    let workers = if settings.workers == 1 { "worker" } else { "workers" };
    let mut out =
        format!("dataflow {name}, {} {workers}, state in {}\n", settings.workers, settings.state);
    let mut line = |text: String| {
        writeln!(out, "{text}").expect("writing to a string can't fail");
    };
    line("\nsources".into());
    for source in &plan.sources {
        let from = settings.sources.get(&source.name).map(|s| source_text(&s.connector));
        let time = match source.lag {
            Some(lag) => format!("event time with a lag of {}", lag_text(lag)),
            None => "no event time".to_owned(),
        };
        line(format!("  {}: {}; {time}", source.name, from.unwrap_or_default()));
        line(format!("      row {}", source.schema));
    }
    line("\nsteps, behind those that feed them (=> rows are exchanged between workers, -> they are not)".into());
    for (number, step) in plan.steps.iter().enumerate() {
        line(format!("  {:>2}  {}", number + 1, step_text(step)));
    }
    heading(&mut line, "kept state", plan.kept.len());
    for kept in &plan.kept {
        line(format!("  {}: {}", kept.uid, kept.operator));
        line(format!("      bounded by {}", kept.bound));
        line(format!("      key {}, state {}", kept.key, kept.state));
    }
    heading(&mut line, "views", plan.views.len());
    for view in &plan.views {
        let decl = view.kind.decl();
        line(format!("  {}: GET /api/v1/views/{}", decl.name, decl.name));
        line(if decl.keyed {
            format!("      key {}, value {}", decl.key, decl.value)
        } else {
            format!("      row {}", decl.key)
        });
    }
    heading(&mut line, "sinks", plan.sinks.len());
    for sink in &plan.sinks {
        let to = settings.sinks.get(&sink.name);
        let lanes = match to.map_or(1, |s| s.lanes) {
            1 => "1 lane".to_owned(),
            lanes => format!("{lanes} lanes"),
        };
        let connector = to.map(|s| sink_text(&s.connector)).unwrap_or_default();
        line(format!("  {}: {connector}; {}, {lanes}", sink.name, sink.mode));
    }
    out
}

/// "3 closed => sink (append) visits; 1 copy (visits.rs:12)".
fn step_text(step: &Step) -> String {
    let mut text = String::new();
    for of in [false, true] {
        let inputs = step.inputs.iter().filter(|input| input.exchange == of);
        let inputs: Vec<_> = inputs.map(output_text).collect();
        if !inputs.is_empty() {
            text += &format!("{} {} ", inputs.join(", "), if of { "=>" } else { "->" });
        }
    }
    text += &step.kind;
    if let Some(name) = &step.name {
        text += &format!(" {name:?}");
    }
    text += &match step.copies {
        0 => String::new(),
        1 => "; 1 copy".to_owned(),
        copies => format!("; {copies} copies"),
    };
    text + &format!(" ({}:{})", step.place.file(), step.place.line())
}

fn output_text(input: &Input) -> String {
    let output = input.output.map(|output| format!(" {output}"));
    format!("{}{}", input.step + 1, output.unwrap_or_default())
}

/// The steps for programs; inputs are numbers of steps, from 1 as in the text.
pub(super) fn steps(plan: &Plan) -> Value {
    let input = |input: &Input| json!({ "step": input.step + 1, "output": input.output, "exchange": input.exchange });
    let step = |(number, step): (usize, &Step)| {
        json!({
            "step": number + 1,
            "kind": step.kind,
            "name": step.name,
            "inputs": step.inputs.iter().map(input).collect::<Vec<_>>(),
            "copies": step.copies,
            "place": format!("{}:{}", step.place.file(), step.place.line()),
        })
    };
    plan.steps.iter().enumerate().map(step).collect()
}

fn heading(line: &mut dyn FnMut(String), what: &str, count: usize) {
    line(if count == 0 { format!("\n{what}: none") } else { format!("\n{what}") });
}

fn lag_text(micros: i64) -> String {
    show_duration(Duration::from_micros(micros.unsigned_abs()))
}

fn source_text(connector: &SourceConnector) -> String {
    match connector {
        SourceConnector::Kafka(kafka) => {
            format!("Kafka topic {} ([connection.{}])", kafka.topic, kafka.connection)
        }
        SourceConnector::File(file) if file.follow => format!("files at {}, followed", file.path),
        SourceConnector::File(file) => format!("files at {}", file.path),
        SourceConnector::Nexmark(nexmark) => {
            let events =
                nexmark.events.map_or_else(|| "endless".to_owned(), |n| format!("{n} events"));
            let rate = nexmark
                .rate
                .map_or_else(|| "flat out".to_owned(), |rate| format!("{rate} a second"));
            format!(
                "Nexmark generator, {events}, {rate}, {} partitions, seed {}",
                nexmark.partitions, nexmark.seed
            )
        }
    }
}

fn sink_text(connector: &SinkConnector) -> String {
    match connector {
        SinkConnector::Kafka(kafka) => {
            format!("Kafka topic {} ([connection.{}])", kafka.topic, kafka.connection)
        }
        SinkConnector::File(file) => format!("files in {}", file.path),
        SinkConnector::Stdout => "standard output".to_owned(),
        SinkConnector::Blackhole => "nowhere".to_owned(),
    }
}

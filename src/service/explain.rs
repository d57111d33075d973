//! What a dataflow consists of, for people.

use crate::config::connectors::{SinkConnector, SourceConnector};
use crate::config::{Settings, show_duration};
use crate::flow::Plan;
use std::fmt::Write;
use std::time::Duration;

/// Sources, kept state with what bounds it, views and sinks, one line each.
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
    heading(&mut line, "kept state", plan.kept.len());
    for kept in &plan.kept {
        line(format!("  {}: {}", kept.uid, kept.operator));
        line(format!("      bounded by {}", kept.bound));
        line(format!("      key {}, state {}", kept.key, kept.state));
        line("      survives crashes; 1 exchange by key, 1 copy in memory".to_owned());
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
        line("      1 exchange by key, 1 copy in memory".to_owned());
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

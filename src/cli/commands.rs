//! What each command does.

use super::args::{Address, Arguments, Command, Config, ConfigArguments, Place, Query};
use super::client::{Client, Refusal, segment};
use super::exit::Exit;
use super::fleet::post::Wanted;
use super::resize::{self, Change};
use super::{Runner, fleet, logging, status, table};
use crate::config::{Layered, Resolved, nearest, reference};
use crate::error::{Error, Result};
use clap::Parser;
use clap::error::ErrorKind;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;

/// What the commands see of the process.
pub(crate) struct Outside<'a> {
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) out: &'a mut dyn Write,
    pub(crate) err: &'a mut dyn Write,
}

/// Does what `args` say.
pub(crate) fn execute(
    runner: &dyn Runner,
    args: impl Iterator<Item = OsString>,
    outside: &mut Outside<'_>,
) -> Exit {
    let arguments = match Arguments::try_parse_from(args) {
        Ok(arguments) => arguments,
        Err(e) => {
            let help = matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let to = if help { &mut *outside.out } else { &mut *outside.err };
            let _ = write!(to, "{}", e.render());
            return if help { Exit::Done } else { Exit::Usage };
        }
    };
    let json = arguments.json;
    let refusal = match command(runner, arguments, outside) {
        Ok(text) => {
            // A reader that has gone away (`| head`) has seen what it wanted.
            let _ = outside.out.write_all(text.as_bytes()).and_then(|()| outside.out.flush());
            return Exit::Done;
        }
        Err(refusal) => refusal,
    };
    let _ = if json {
        let error = json!({"error": {"code": refusal.code, "message": refusal.message}});
        writeln!(outside.err, "{error}")
    } else {
        writeln!(outside.err, "error ({}): {}", refusal.code, refusal.message)
    };
    refusal.exit
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal {
            exit: error.kind().into(),
            code: error.kind().code().to_owned(),
            message: error.message().to_owned(),
        }
    }
}

/// What goes to standard output.
fn command(
    runner: &dyn Runner,
    arguments: Arguments,
    outside: &mut Outside<'_>,
) -> Result<String, Refusal> {
    let json = arguments.json;
    match arguments.command {
        Command::List => Ok(list(&runner.names(), json)),
        Command::Run { dataflow, drop_state, place, config } => {
            let once = Once { drop_state: &drop_state, place };
            let resolved = resolved(runner, &dataflow, &config, &once, outside)?;
            run(runner, &dataflow, &resolved, arguments.log, outside)
        }
        Command::Cluster(cluster) => {
            let once = Once { drop_state: &cluster.drop_state, ..Once::default() };
            let resolved = resolved(runner, &cluster.dataflow, &cluster.config, &once, outside)?;
            let log = arguments.log.or_else(|| outside.environment.get("RUST_LOG").cloned());
            logging::start(log.as_deref().filter(|f| !f.is_empty()))?;
            fleet::supervise(&fleet::Fleet::new(&cluster, &resolved, log)?)?;
            Ok(String::new())
        }
        Command::Replay { dataflow, tick, config } => {
            let resolved = resolved(runner, &dataflow, &config, &Once::default(), outside)?;
            let log = arguments.log.or_else(|| outside.environment.get("RUST_LOG").cloned());
            logging::start(Some(log.as_deref().filter(|f| !f.is_empty()).unwrap_or("error")))?;
            let (text, through) = runner.replay(&dataflow, &resolved.settings(), tick)?;
            let whole = json!({ "replay": text.trim_end(), "through": through });
            let text = if json { format!("{whole}\n") } else { text };
            if through {
                return Ok(text);
            }
            let _ = outside.out.write_all(text.as_bytes());
            let tick = tick.map_or_else(String::new, |tick| format!(" {tick}"));
            let message = format!("the replayed tick{tick} does not get through");
            Err(Refusal { exit: Exit::Input, code: "input".to_owned(), message })
        }
        Command::Explain { dataflow, config } => {
            let layered = layered(runner, &dataflow, &config, &Once::default(), outside)?
                .without_connections();
            let settings = layered.resolve(&dataflow)?.settings();
            let (text, steps) = runner.explain(&dataflow, &settings)?;
            let text = text.trim_end().to_owned();
            let whole = json!({ "explain": text, "steps": steps });
            Ok(if json { format!("{whole}\n") } else { text + "\n" })
        }
        Command::Config(Config::Reference) => Ok(reference()),
        Command::Config(Config::Check { dataflow, config }) => {
            let resolved = resolved(runner, &dataflow, &config, &Once::default(), outside)?;
            for warning in resolved.settings().warnings() {
                let _ = writeln!(outside.err, "warning: {warning}");
            }
            Ok(if json { format!("{}\n", resolved.to_json()) } else { resolved.to_toml() })
        }
        Command::Status { at } => {
            let answer = client(&at, outside)?.get("/api/v1/job", &[])?;
            Ok(if json { format!("{answer}\n") } else { status::text(&answer) })
        }
        Command::Query(query) => ask(&query, json, outside),
        Command::Savepoint { name, at } => {
            Ok(facts(&client(&at, outside)?.savepoint(&name)?, json))
        }
        Command::Retry { at } => {
            Ok(facts(&client(&at, outside)?.post("/api/v1/job/retry", &Json::Null)?, json))
        }
        Command::Skip { source, partition, offset, at } => {
            let place = json!({ "source": source, "partition": partition, "offset": offset });
            Ok(facts(&client(&at, outside)?.post("/api/v1/job/skip", &place)?, json))
        }
        Command::Rescale { processes, workers, savepoint, at } => {
            let wanted = Wanted {
                processes: processes.map(usize::from),
                workers: workers.map(usize::from),
                program: None,
            };
            change(&at, &Change { wanted, savepoint }, json, outside)
        }
        Command::Upgrade { to, savepoint, at } => {
            let program = to.canonicalize().map_err(|e| {
                Error::config(format!("--to {}: there is no such program ({e})", to.display()))
            })?;
            let wanted = Wanted { program: Some(program), ..Wanted::default() };
            change(&at, &Change { wanted, savepoint }, json, outside)
        }
        Command::Stop { savepoint, at } => {
            let client = client(&at, outside)?;
            let mut answer = json!({});
            if let Some(name) = savepoint {
                answer["savepoint"] = client.savepoint(&name)?;
            }
            answer["stop"] = client.post("/api/v1/job/stop", &Json::Null)?;
            Ok(facts(&answer, json))
        }
    }
}

/// An answer as it is, or for people.
fn facts(answer: &Json, json: bool) -> String {
    if json { format!("{answer}\n") } else { table::facts(answer) }
}

fn change(
    at: &Address,
    change: &Change,
    json: bool,
    outside: &mut Outside<'_>,
) -> Result<String, Refusal> {
    let client = client(at, outside)?;
    Ok(facts(&resize::change(&client, change, outside.err)?, json))
}

fn list(names: &[String], json: bool) -> String {
    if json {
        return format!("{}\n", json!(names));
    }
    names.iter().map(|name| format!("{name}\n")).collect()
}

fn client(at: &Address, outside: &Outside<'_>) -> Result<Client> {
    Client::new(at, &outside.environment)
}

fn run(
    runner: &dyn Runner,
    dataflow: &str,
    resolved: &Resolved,
    log: Option<String>,
    outside: &Outside<'_>,
) -> Result<String, Refusal> {
    let filter = log.or_else(|| outside.environment.get("RUST_LOG").cloned());
    logging::start(filter.filter(|f| !f.is_empty()).as_deref())?;
    let settings = resolved.settings();
    runner.run(dataflow, settings)?;
    Ok(String::new())
}

fn ask(query: &Query, json: bool, outside: &mut Outside<'_>) -> Result<String, Refusal> {
    let path = format!("/api/v1/views/{}", segment(&query.view));
    let answer = client(&query.at, outside)?.get(&path, &query.parameters())?;
    if json {
        return Ok(format!("{answer}\n"));
    }
    let rows = answer.get("rows").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let tick = answer.get("tick").map_or_else(|| "unknown".to_owned(), Json::to_string);
    let more = match answer.get("next") {
        None | Some(Json::Null) => String::new(),
        Some(Json::String(next)) => format!("; more follow: --next {next}"),
        Some(next) => format!("; more follow: --next {next}"),
    };
    // Beside the rows, not among them.
    let _ = writeln!(outside.err, "{} rows at tick {tick}{more}", rows.len());
    Ok(if rows.is_empty() { String::new() } else { table::rows(rows) })
}

fn resolved(
    runner: &dyn Runner,
    dataflow: &str,
    config: &ConfigArguments,
    once: &Once<'_>,
    outside: &Outside<'_>,
) -> Result<Resolved> {
    layered(runner, dataflow, config, once, outside)?.resolve(dataflow)
}

/// What is said for one start only.
#[derive(Default)]
struct Once<'a> {
    drop_state: &'a [String],
    place: Place,
}

fn layered(
    runner: &dyn Runner,
    dataflow: &str,
    config: &ConfigArguments,
    once: &Once<'_>,
    outside: &Outside<'_>,
) -> Result<Layered> {
    let names = runner.names();
    if !names.iter().any(|name| name == dataflow) {
        let near = nearest(dataflow, names.iter().map(String::as_str));
        let near = near.map_or_else(String::new, |near| format!(", did you mean {near}?"));
        return Err(Error::config(format!(
            "there is no dataflow {dataflow:?}{near}; there are: {}",
            names.join(", ")
        )));
    }
    let mut layered = Layered::new().with_environment(outside.environment.clone());
    if let Some(file) = &config.config {
        layered = layered.with_file(file)?;
    }
    for define in &config.define {
        layered = layered.with_define(define)?;
    }
    for (path, flag, value) in [
        ("workers", "--workers", &config.workers),
        ("state", "--state", &config.state),
        ("http.addr", "--http", &config.http),
        ("cluster.process", "--process", &once.place.process),
        ("cluster.hosts", "--hosts", &once.place.hosts),
    ] {
        if let Some(value) = value {
            layered = layered.with_flag(path, flag, value.clone());
        }
    }
    if !once.drop_state.is_empty() {
        layered = layered.with_flag("job.drop_state", "--drop-state", once.drop_state.join(","));
    }
    runner.declare(dataflow, layered)
}

#[cfg(test)]
mod tests;

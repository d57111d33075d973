//! `main`, and a job from configuration to end.

use super::connectors::{Configured, kafka_log};
use super::{cluster, explain, program, replay, store};
use crate::cli::progress::{Facts, Progress};
use crate::cli::signals::{self, Urgency};
use crate::cli::{Runner, SUPERVISOR_VARIABLE, run_cli};
use crate::cluster::Port;
use crate::config::{self, Layered, Settings, connectors};
use crate::error::{Error, Result};
use crate::flow::{Build, OnError, Plan, SinkOptions, SourceOptions};
use crate::formats::Limits;
use crate::hash::Map;
use crate::http::{self, HttpSettings};
use crate::ids::Tick;
use crate::job::deaths;
use crate::job::engine::member::{self, Outsides};
use crate::job::engine::{self, Connectors, Options, Parts, Running};
use crate::job::generation::change::OnChange;
use crate::job::pace::Bounds;
use crate::job::panics;
use crate::job::patience::persist;
use crate::job::peers::{Peers, Up};
use crate::job::setup::Pacing;
use crate::job::shared::{Shared, Wanted};
use crate::job::skip::{self, Wish};
use crate::sources::Budget;
use crate::state::store::Store;
use crate::ticks::counts::Counter;
use crate::ticks::log::file::FileLog;
use crate::ticks::log::store::StoreLog;
use crate::ticks::log::{Log, read_and_count};
use crate::time::clock::{self, Wall};
use crate::views::follow::FollowLimits;
use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a start tries again what it can't reach.
const START_TIME_MAX: Duration = Duration::from_secs(300);
/// How often new partitions are looked for, unless a source says so.
const DISCOVERY: Duration = Duration::from_secs(30);
/// How often the end of the job is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// The `main` of a program that has these dataflows: the whole command line (`run`, `list`, `status`, ...).
///
/// ```no_run
/// use tidemark::flow::{Build, Flow};
///
/// fn nothing(_: &Flow<'_>) {}
///
/// fn main() -> std::process::ExitCode {
///     tidemark::main([("nothing", nothing as Build)])
/// }
/// ```
pub fn main<const N: usize>(dataflows: [(&'static str, Build); N]) -> ExitCode {
    run_cli(&Program { dataflows: dataflows.to_vec() }, std::env::args_os())
}

struct Program {
    dataflows: Vec<(&'static str, Build)>,
}

impl Program {
    fn build(&self, name: &str) -> Result<Build> {
        let found = self.dataflows.iter().find(|(known, _)| *known == name);
        found.map(|(_, build)| *build).ok_or_else(|| {
            let known: Vec<_> = self.dataflows.iter().map(|(name, _)| *name).collect();
            Error::config(format!("no dataflow {name:?}; there are: {}", known.join(", ")))
        })
    }
}

impl Runner for Program {
    fn names(&self) -> Vec<String> {
        self.dataflows.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    fn declare(&self, name: &str, layered: Layered) -> Result<Layered> {
        let plan = engine::plan(self.build(name)?, every_letter_box(), Map::default())?;
        let names = |all: Vec<String>| all;
        let sources = names(plan.sources.iter().map(|s| s.name.clone()).collect());
        let sinks = names(plan.sinks.iter().map(|s| s.name.clone()).collect());
        let views = names(plan.views.iter().map(|v| v.name().to_owned()).collect());
        let mut layered = layered
            .with_declared("source", sources.iter().map(String::as_str))
            .with_declared("sink", sinks.iter().map(String::as_str))
            .with_declared("view", views.iter().map(String::as_str));
        for source in &plan.sources {
            let section = format!("source.{}", source.name);
            for (key, value) in &source.defaults {
                layered = layered.with_code_default(&section, key, value.as_str());
            }
        }
        for sink in &plan.sinks {
            let section = format!("sink.{}", sink.name);
            for (key, value) in &sink.defaults {
                layered = layered.with_code_default(&section, key, value.as_str());
            }
        }
        Ok(layered)
    }

    fn run(&self, name: &str, settings: Settings) -> Result<()> {
        run(self.build(name)?, name, settings)
    }

    fn replay(
        &self,
        name: &str,
        settings: &Settings,
        tick: Option<Tick>,
    ) -> Result<(String, bool)> {
        replay::replay(self.build(name)?, name, settings, tick)
    }

    fn explain(&self, name: &str, settings: &Settings) -> Result<(String, serde_json::Value)> {
        let plan =
            engine::plan(self.build(name)?, source_options(settings)?, sink_options(settings))?;
        Ok((explain::text(name, &plan, settings), explain::steps(&plan)))
    }
}

fn every_letter_box() -> Map<String, SourceOptions> {
    Map::default()
}

pub(super) fn source_options(settings: &Settings) -> Result<Map<String, SourceOptions>> {
    let mut options = Map::default();
    for (name, source) in &settings.sources {
        let format = match &source.connector {
            connectors::SourceConnector::Kafka(kafka) => Some(kafka.format),
            connectors::SourceConnector::File(file) => Some(file.format),
            connectors::SourceConnector::Nexmark(_) => None,
        };
        let format = format.map(|format| match format {
            connectors::Format::Json => "json".to_owned(),
            connectors::Format::Csv => "csv".to_owned(),
        });
        let (header, delimiter) = match &source.connector {
            connectors::SourceConnector::File(file) => (Some(file.header), Some(file.delimiter)),
            // A topic has no first line.
            connectors::SourceConnector::Kafka(kafka) => (Some(false), Some(kafka.delimiter)),
            connectors::SourceConnector::Nexmark(_) => (None, None),
        };
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let limits = Limits::new(size(source.record_bytes_max), size(source.nesting_max))
            .map_err(|error| error.at(format_args!("source.{name}")))?;
        options.insert(
            name.clone(),
            SourceOptions {
                on_error: match source.on_error {
                    connectors::OnError::Fail => OnError::Fail,
                    connectors::OnError::Skip => OnError::Skip,
                    connectors::OnError::DeadLetter => OnError::DeadLetter,
                },
                dead_letter: Some(source.dead_letter.clone()),
                idle: Some(source.idle).filter(|idle| !idle.is_zero()),
                format: format.or_else(|| Some("json".to_owned())),
                columns: None,
                header,
                delimiter,
                limits,
            },
        );
    }
    Ok(options)
}

pub(super) fn sink_options(settings: &Settings) -> Map<String, SinkOptions> {
    let options = |sink: &connectors::Sink| SinkOptions {
        on_change: match sink.on_change {
            connectors::OnChange::Refuse => OnChange::Refuse,
            connectors::OnChange::Reconcile => OnChange::Reconcile,
            connectors::OnChange::Rewrite => OnChange::Rewrite,
            connectors::OnChange::FromNow => OnChange::FromNow,
        },
        keeps_written: sink.reconcile,
    };
    settings.sinks.iter().map(|(name, sink)| (name.clone(), options(sink))).collect()
}

pub(super) fn options(name: &str, plan: &Plan, settings: &Settings) -> Result<Options> {
    let build = program::fingerprint(name)?;
    let program = settings.job.program.clone().unwrap_or_else(|| build.clone());
    check_sinks(plan, settings)?;
    let tick = &settings.tick;
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let discovery = settings.sources.values().filter_map(|source| match &source.connector {
        connectors::SourceConnector::Kafka(kafka) => Some(kafka.discovery),
        _ => None,
    });
    Ok(Options {
        job: settings.job.name.clone(),
        program,
        build,
        size: cluster::size(settings),
        bounds: Bounds {
            interval_min: tick.interval_min,
            interval_max: tick.interval_max,
            heartbeat: tick.heartbeat,
            ahead_max: tick.ahead_max,
            durable_ahead_max: tick.durable_ahead_max,
            sink_bytes_max: settings.limits.sink_bytes_max,
        },
        budget: Budget { records: size(tick.records_max), bytes: size(tick.bytes_max) },
        snapshot_interval: settings.snapshots.interval,
        snapshots_kept: settings.snapshots.kept,
        stop_time_max: settings.limits.stop_time_max,
        start_time_max: START_TIME_MAX,
        exit_when_finished: plan.views.is_empty(),
        pacing: Pacing::Clock,
        source_options: source_options(settings)?,
        sink_options: sink_options(settings),
        discovery: discovery.min().unwrap_or(DISCOVERY),
        view_history: settings
            .views
            .iter()
            .map(|(name, view)| (name.clone(), view.history))
            .collect(),
        drop_state: settings.job.drop_state.clone(),
        memory_budget: settings.memory.budget,
        feed_bytes_max: settings.limits.follow_feed_bytes_max,
        traces: None,
    })
}

/// Refuses what the configuration can say of sinks and the engine does not do.
fn check_sinks(plan: &Plan, settings: &Settings) -> Result<()> {
    for sink in &plan.sinks {
        let Some(configured) = settings.sinks.get(&sink.name) else { continue };
        let mode = match configured.mode {
            connectors::Mode::Append => "append",
            connectors::Mode::Upsert => "upsert",
            connectors::Mode::Changelog => "changelog",
        };
        let place = format!("sink.{}", sink.name);
        if mode != sink.mode {
            return Err(Error::config(format!(
                "{place}.mode = {mode}, but the dataflow writes it as {} ({}:{}); change the dataflow, since the mode decides which \
                 tables it can take",
                sink.mode,
                sink.place.file(),
                sink.place.line()
            )));
        }
        if configured.format == connectors::Format::Csv {
            return Err(Error::config(format!(
                "{place}.format = csv: sinks write json only, as yet"
            )));
        }
        if configured.when_behind == connectors::WhenBehind::Spool {
            return Err(Error::config(format!(
                "{place}.when_behind = spool: there is no outbox yet; leave it at stall, which stops the clock while the sink is behind"
            )));
        }
    }
    Ok(())
}

fn open_log(settings: &Settings, store: &Store, outsides: &Configured) -> Result<Box<dyn Log>> {
    match &settings.log {
        config::Log::File { path } => {
            Ok(Box::new(FileLog::open(log_file(settings, path.as_deref()))?))
        }
        config::Log::Kafka { connection, topic, replication } => {
            let connection = outsides.connection(connection)?;
            kafka_log(true, connection, topic, *replication)
        }
        config::Log::Store => Ok(Box::new(StoreLog::open(store.clone())?)),
    }
}

/// The file of a log in a file: in the directory that is said, or in that of the state.
pub(super) fn log_file(settings: &Settings, directory: Option<&str>) -> PathBuf {
    Path::new(directory.unwrap_or_else(|| local(&settings.state))).join("tick.log")
}

pub(super) fn local(state: &str) -> &str {
    state.strip_prefix("file://").unwrap_or(state)
}

fn http_settings(settings: &Settings) -> Result<HttpSettings> {
    let addr = &settings.http.addr;
    let mut found = addr.to_socket_addrs().map_err(|error| {
        Error::config(format!("http.addr = {addr} is no address ({error}); write 127.0.0.1:8090"))
    })?;
    let address = found
        .next()
        .ok_or_else(|| Error::config(format!("http.addr = {addr} names no address")))?;
    let limits = &settings.limits;
    let token = settings.http.token.as_ref().map(config::Secret::reveal).transpose()?;
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    Ok(HttpSettings {
        address,
        token: token.map(|token| token.expose().to_owned()),
        body_bytes_max: size(limits.http_body_bytes_max),
        connections_max: limits.http_connections_max,
        rows_max: limits.query_rows_max,
        rows_default: limits.query_rows_default,
        query_time_max: limits.query_time_max,
        command_time_max: limits.command_time_max,
        follow: FollowLimits {
            ring_bytes_max: limits.follow_ring_bytes_max,
            feed_bytes_max: limits.follow_feed_bytes_max,
            ..FollowLimits::default()
        },
        ..HttpSettings::default()
    })
}

fn run(build: Build, name: &str, settings: Settings) -> Result<()> {
    panics::install();
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    let plan = engine::plan(build, source_options(&settings)?, sink_options(&settings))?;
    let options = options(name, &plan, &settings)?;
    let shared = Shared::new(&options.job, &options.program, options.size.peers());
    shared.update(|status| {
        (status.processes, status.workers) = (options.size.processes, options.size.workers);
        status.supervisor = std::env::var(SUPERVISOR_VARIABLE).ok();
    });
    let job = Job { build, plan, shared, stopper: Stopper::watch()?, settings };
    match cluster::open(&job.settings, &options.program)? {
        Some(port) if !options.size.is_first() => job.follow(options, port),
        port => job.lead(options, port),
    }
}

pub(super) fn open_store(settings: &Settings) -> Result<Store> {
    let environment = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    persist("opening the state store", START_TIME_MAX, || store::open(settings, &environment))
}

/// What a job is in this process, before it runs.
struct Job {
    build: Build,
    plan: Plan,
    shared: Arc<Shared>,
    stopper: Stopper,
    settings: Settings,
}

impl Job {
    /// Leads it: claims a generation and serves HTTP.
    fn lead(self, options: Options, port: Option<Port>) -> Result<()> {
        let (shared, settings) = (&self.shared, &self.settings);
        let serving = http::serve(Arc::clone(shared), http_settings(settings)?)?;
        let address = serving.address();
        tracing::info!(
            "job {}: status page at http://{address}/, state in {}",
            options.job,
            settings.state
        );
        let wall: Arc<dyn Wall> = Arc::new(clock::System);
        let store = open_store(settings)?;
        let outsides = Arc::new(Configured { settings: settings.clone() });
        let progress = progress(shared, &wall);
        let peers = port.map(|port| {
            let others = options.size.processes - 1;
            tracing::info!("process 0 waits at {} for {others} others", port.address());
            Peers::join(port)
        });
        let peers = peers.transpose()?;
        // The others wait to hear how to begin, and stay.
        let open = || {
            persist("opening the tick log", START_TIME_MAX, || {
                open_log(settings, &store, &outsides)
            })
        };
        let skip = self.wait_if_stuck(&store, &options.build, &open, outsides.as_ref())?;
        let log = open()?;
        let parts = Parts::alone(log, store, outsides, wall);
        let parts = match peers {
            Some(peers) => parts.with_peers(peers),
            None => parts,
        };
        let parts = match skip {
            Some(wish) => parts.with_skip(wish),
            None => parts,
        };
        let running = engine::start(self.build, &self.plan, options, parts, Arc::clone(shared))
            .inspect_err(|error| {
                shared.update(|status| status.error = Some(error.to_string()));
            })?;
        let outcome = self.attend(running);
        drop(progress);
        drop(serving);
        outcome
    }

    /// Runs nothing as long as the last generations died of the same panic and nobody wants it tried again; the record that is to be left
    /// out then.
    fn wait_if_stuck(
        &self,
        store: &Store,
        build: &str,
        open: &dyn Fn() -> Result<Box<dyn Log>>,
        connectors: &dyn Connectors,
    ) -> Result<Option<Wish>> {
        let look = || deaths::repeated(store, build);
        let Some(death) = persist("reading how generations ended", START_TIME_MAX, look)? else {
            return Ok(None);
        };
        tracing::error!("{death}");
        let told = death.to_string();
        let skip = loop {
            let (place, reply) = match self.shared.await_wanted(&told) {
                Wanted::Retry => break None,
                Wanted::Skip(place, reply) => (place, reply),
            };
            let wish = Wish { place, stuck: death.tick, reply };
            match self.may_skip(&wish, open, connectors) {
                Ok(()) => break Some(wish),
                Err(error) => wish.answer(Err(error)),
            }
        };
        self.shared.go_on();
        tracing::info!("tried again, as wanted");
        persist("forgetting how generations ended", START_TIME_MAX, || deaths::forget(store))?;
        Ok(skip)
    }

    /// Whether a record may be left out, as far as that can be told before a generation is claimed for it.
    fn may_skip(
        &self,
        wish: &Wish,
        open: &dyn Fn() -> Result<Box<dyn Log>>,
        connectors: &dyn Connectors,
    ) -> Result<()> {
        let mut log = Counter::new();
        read_and_count(open()?.as_mut(), &mut log)?;
        let sources = &self.plan.sources;
        let names: Vec<_> = sources.iter().map(|source| source.name.as_str()).collect();
        let read = skip::read(&log, &names, &wish.place, wish.stuck)?;
        let Some(source) = sources.iter().find(|source| source.name == wish.place.source) else {
            return Ok(());
        };
        let transport = connectors.source(source)?;
        transport.resumed();
        skip::look::exists(transport.as_ref(), &wish.place, read.from)
    }

    /// Does the share of a process that does not lead.
    fn follow(self, options: Options, port: Port) -> Result<()> {
        let (shared, settings, size) = (&self.shared, &self.settings, options.size);
        tracing::info!(
            "job {}: process {} of {}, at {}, joins process 0",
            options.job,
            size.process,
            size.processes,
            port.address()
        );
        let outsides = Outsides {
            store: open_store(settings)?,
            connectors: Arc::new(Configured { settings: settings.clone() }),
            wall: Arc::new(clock::System),
        };
        let up = Up::join(port)?;
        let running =
            member::follow(self.build, &self.plan, options, outsides, up, Arc::clone(shared))?;
        running.map_or(Ok(()), |running| self.attend(running))
    }

    /// Waits for the end.
    fn attend(&self, running: Running) -> Result<()> {
        self.stopper.set(running.stopper());
        while !running.is_over() {
            std::thread::sleep(LOOK);
        }
        match running.error() {
            Some(error) => {
                running.abandon();
                Err(error)
            }
            None => running.wait(),
        }
    }
}

/// What a signal does.
#[derive(Clone, Default)]
struct Stopper(Arc<Mutex<Option<Box<dyn Fn() + Send + Sync>>>>);

impl Stopper {
    /// Waits for signals from now on.
    fn watch() -> Result<Stopper> {
        let stopper = Stopper::default();
        let told = stopper.clone();
        signals::watch(move |urgency| match urgency {
            Urgency::Clean => {
                match told.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
                    Some(stop) => {
                        tracing::info!(
                            "stopping: the last tick, its commits and a snapshot; once more ends at once"
                        );
                        stop();
                    }
                    // Nothing was released yet.
                    None => std::process::exit(0),
                }
            }
            Urgency::AtOnce => std::process::exit(130),
        })?;
        Ok(stopper)
    }

    /// From now on the first signal does this.
    fn set(&self, stop: impl Fn() + Send + Sync + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(stop));
    }
}

fn progress(shared: &Arc<Shared>, wall: &Arc<dyn Wall>) -> Progress {
    let (shared, wall) = (Arc::clone(shared), Arc::clone(wall));
    let records =
        shared.registry().counter("records_total", "Records read, over all sources.", &[]);
    let seen = Mutex::new((None, clock::instant()));
    Progress::start(move || {
        let status = shared.status();
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.0 != status.snapshot {
            *seen = (status.snapshot, clock::instant());
        }
        // When the restored one was taken is not known here.
        let taken = seen.0.filter(|tick| status.restored != Some(*tick));
        let age = taken.map(|_| clock::instant() - seen.1);
        Facts::of(&status, wall.micros(), records.value(), age)
    })
}

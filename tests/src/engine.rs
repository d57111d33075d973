//! The `tidemark` binary as a child: started, watched, asked, killed. Knows its command line and its HTTP, nothing of its inside.

use crate::broker::free_port;
use crate::lines::{Found, Lines};
use crate::phase::{Phase, TARGET};
use crate::process::{self, Signal};
use crate::{Failure, Result};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// The variable with the path of the binary; the test command sets it.
pub const BINARY_VARIABLE: &str = "TIDEMARK_BIN";

/// How to start the engine. Fields left at their default are not passed.
#[derive(Clone, Debug, Default)]
pub struct Launch {
    /// The dataflow to run.
    pub dataflow: String,
    /// `--workers`; 0 leaves it to the engine.
    pub workers: usize,
    /// `--state`: the folder or URL of log and store.
    pub state: PathBuf,
    /// The port of `--http` on loopback; 0 picks a free one.
    pub http: u16,
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `-D key=value`, in order.
    pub settings: Vec<(String, String)>,
    /// Further arguments, as they are.
    pub arguments: Vec<String>,
    /// The program, if it is not the one under test: one of `dataflows/examples/`.
    pub program: Option<PathBuf>,
    /// Variables of the environment.
    pub environment: Vec<(String, String)>,
}

impl Launch {
    /// Runs `dataflow` with `workers` workers and its state in `state`, serving on a free port.
    pub fn new(dataflow: &str, workers: usize, state: &Path) -> Launch {
        let state = state.to_owned();
        Launch { dataflow: dataflow.to_owned(), workers, state, ..Launch::default() }
    }

    /// The same with `-D key=value`.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl std::fmt::Display) -> Launch {
        self.settings.push((key.to_owned(), value.to_string()));
        self
    }

    fn arguments(&self, http: u16) -> Vec<String> {
        let mut all = vec!["run".to_owned(), self.dataflow.clone()];
        let mut option = |name: &str, value: String| all.extend([name.to_owned(), value]);
        if self.workers > 0 {
            option("--workers", self.workers.to_string());
        }
        option("--state", self.state.to_string_lossy().into_owned());
        option("--http", format!("127.0.0.1:{http}"));
        if let Some(config) = &self.config {
            option("--config", config.to_string_lossy().into_owned());
        }
        for (key, value) in &self.settings {
            option("-D", format!("{key}={value}"));
        }
        all.extend(self.arguments.iter().cloned());
        all
    }
}

/// A running engine. Killed when dropped.
pub struct Engine {
    child: Child,
    http: u16,
    stderr: Lines,
    stdout: Lines,
    told: String,
}

/// An answer over HTTP, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// If it is none; the message has the body.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_str(&self.body)
            .map_err(|error| Failure::from(error).at(format!("{} {}", self.status, self.body)))
    }
}

/// The path of the binary under test.
///
/// # Errors
/// If the variable is not set; says how to.
pub fn binary() -> Result<PathBuf> {
    let path = std::env::var_os(BINARY_VARIABLE).map(PathBuf::from).ok_or_else(|| {
        Failure(format!(
            "{BINARY_VARIABLE} is not set: run the tests with ./test, which builds the binary and \
             sets it, or `cargo build -p dataflows` and set it to target/debug/tidemark"
        ))
    })?;
    if path.is_file() {
        return Ok(path);
    }
    Err(Failure(format!("{BINARY_VARIABLE} names {}, which is no file", path.display())))
}

/// The path of an example of `dataflows/`, which the test command builds beside the binary under test.
///
/// # Errors
/// If it is not there.
pub fn example(name: &str) -> Result<PathBuf> {
    let path = binary()?.with_file_name("examples").join(name);
    if path.is_file() {
        return Ok(path);
    }
    let place = path.display();
    Err(Failure(format!("{place} is no file: `cargo build -p dataflows --examples` makes it")))
}

impl Engine {
    /// Starts the engine and returns at once; [`Engine::wait_for`] tells when it has come how far.
    ///
    /// # Errors
    /// If the binary is missing or can't be started.
    pub fn launch(launch: &Launch) -> Result<Engine> {
        let http = if launch.http == 0 { free_port()? } else { launch.http };
        Engine::start(launch, &launch.arguments(http), http)
    }

    /// Starts the binary with just these arguments: other commands than `run`.
    ///
    /// # Errors
    /// As [`Engine::launch`].
    pub fn command(arguments: &[&str]) -> Result<Engine> {
        let arguments: Vec<_> = arguments.iter().map(|&a| a.to_owned()).collect();
        Engine::start(&Launch::default(), &arguments, 0)
    }

    /// Starts another command that takes what `run` takes for the dataflow of `launch`, with more arguments.
    ///
    /// # Errors
    /// As [`Engine::launch`].
    pub fn beside(launch: &Launch, command: &str, more: &[&str]) -> Result<Engine> {
        let mut arguments = launch.arguments(0);
        arguments[0] = command.to_owned();
        arguments.extend(more.iter().map(|&a| a.to_owned()));
        Engine::start(launch, &arguments, 0)
    }

    /// Runs the processes of `launch` under `tidemark cluster`.
    ///
    /// # Errors
    /// As [`Engine::launch`].
    pub fn launch_cluster(launch: &Launch, processes: usize) -> Result<Engine> {
        let http = if launch.http == 0 { free_port()? } else { launch.http };
        let mut arguments = launch.arguments(http);
        arguments[0] = "cluster".to_owned();
        arguments.extend(["--processes".to_owned(), processes.to_string()]);
        Engine::start(launch, &arguments, http)
    }

    /// Starts the binary with just these arguments and variables; it serves at `http`, if anywhere.
    ///
    /// # Errors
    /// As [`Engine::launch`].
    pub fn with(
        arguments: &[String],
        environment: &[(String, String)],
        http: u16,
    ) -> Result<Engine> {
        let launch = Launch { environment: environment.to_vec(), ..Launch::default() };
        Engine::start(&launch, arguments, http)
    }

    fn start(launch: &Launch, arguments: &[String], http: u16) -> Result<Engine> {
        let mut command = Command::new(launch.program.clone().map_or_else(binary, Ok)?);
        command
            .args(arguments)
            .env("NO_COLOR", "1")
            .envs(launch.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let wanted = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned());
        command.env("RUST_LOG", format!("{wanted},{TARGET}=debug"));
        let mut child = process::spawn(command)?;
        let (stderr, stdout) = (Lines::new(), Lines::new());
        stderr.follow(child.stderr.take().expect("is piped"));
        stdout.follow(child.stdout.take().expect("is piped"));
        Ok(Engine { child, http, stderr, stdout, told: arguments.join(" ") })
    }

    /// What it prints on standard error: its log.
    pub fn stderr(&self) -> &Lines {
        &self.stderr
    }

    /// What it prints on standard output.
    pub fn stdout(&self) -> &Lines {
        &self.stdout
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has; never waits.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Its HTTP port.
    pub fn http(&self) -> u16 {
        self.http
    }

    /// Waits for a line on standard error that contains `text`, from the start of the log, and returns it.
    ///
    /// # Errors
    /// If it does not come within `limit` or the engine ends first; the message has the end of its log.
    pub fn wait_for(&self, text: &str, limit: Duration) -> Result<String> {
        match self.stderr.wait_for(text, limit) {
            Found::Line(_, line) => Ok(line),
            end => {
                Err(self.not_found(&format!("a line with `{text}`"), limit, end == Found::Ended))
            }
        }
    }

    /// Waits for a phase line with number `from` or higher for which `matches` holds; returns its number and the phase.
    ///
    /// # Errors
    /// As [`Engine::wait_for`].
    pub fn wait_phase(
        &self,
        from: usize,
        limit: Duration,
        matches: impl Fn(&Phase) -> bool,
    ) -> Result<(usize, Phase)> {
        let found = self.stderr.wait_from(from, limit, |line| {
            line.contains(TARGET) && Phase::parse(line).is_some_and(|phase| matches(&phase))
        });
        match found {
            Found::Line(number, line) => {
                Ok((number, Phase::parse(&line).expect("the line was just parsed")))
            }
            end => Err(self.not_found("the awaited phase line", limit, end == Found::Ended)),
        }
    }

    fn not_found(&self, what: &str, limit: Duration, ended: bool) -> Failure {
        let how = if ended { "the engine ended".to_owned() } else { format!("{limit:?} passed") };
        Failure(format!(
            "{how} before {what} came; `tidemark {}` ended its log with:\n{}",
            self.told,
            self.stderr.tail(40)
        ))
    }

    /// Kills it (SIGKILL), at once, and waits for its end.
    ///
    /// # Errors
    /// If it can't be killed.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// If it has ended and was waited for.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        process::signal(self.child.id(), signal)
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// If it has not within `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        // No line matches: these wait for the streams' end, which is the end of the process.
        let ended = self.stderr.wait_from(0, limit, |_| false) == Found::Ended;
        if !ended {
            return Err(self.not_found("its end", limit, false));
        }
        Ok(self.child.wait()?)
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// As [`Engine::wait`].
    pub fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.signal(Signal::Term)?;
        self.wait(limit)
    }

    /// The answer to a GET of `path`, which begins with a slash.
    ///
    /// # Errors
    /// If there is no answer within ten seconds.
    pub fn get(&self, path: &str) -> Result<Answer> {
        let request = ureq::get(self.url(path));
        let request = request.config().http_status_as_error(false);
        answer(request.timeout_global(Some(Duration::from_secs(10))).build().call()?)
    }

    /// The answer to a POST of `body` to `path`.
    ///
    /// # Errors
    /// If there is no answer within a minute: some commands wait for a snapshot.
    pub fn post(&self, path: &str, body: &str) -> Result<Answer> {
        let request = ureq::post(self.url(path));
        let request = request.config().http_status_as_error(false);
        answer(request.timeout_global(Some(Duration::from_secs(60))).build().send(body)?)
    }

    /// The body of a GET as it comes: for subscriptions.
    ///
    /// # Errors
    /// If there is no answer, or not 200.
    pub fn stream(&self, path: &str) -> Result<impl Read + Send + 'static + use<>> {
        Ok(ureq::get(self.url(path)).call()?.into_body().into_reader())
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.http)
    }
}

fn answer(response: ureq::http::Response<ureq::Body>) -> Result<Answer> {
    let status = response.status().as_u16();
    let body = response.into_body().into_with_config().limit(1 << 30).read_to_string()?;
    Ok(Answer { status, body })
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        drop(self.kill());
    }
}

#[cfg(test)]
mod tests;

//! The progress line of `run`: facts in, one line of text out; and a thread that shows it.
//!
//! On a terminal the line is rewritten in place, elsewhere a line is written from time to time. It asks for facts
//! and changes nothing.

use super::screen;
use crate::config::show_duration;
use crate::ids::{Generation, Tick};
use crate::time::clock;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the line is rewritten on a terminal.
const REDRAW: Duration = Duration::from_millis(200);
/// How often a line is written elsewhere.
const REPEAT: Duration = Duration::from_secs(5);

/// What a job is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// It claims its generation, opens the log and restores.
    #[default]
    Starting,
    /// It replays recorded ticks up to this one.
    Replaying {
        /// The last recorded tick.
        to: Tick,
    },
    /// It leads.
    Running,
    /// All input is finished; sinks still commit.
    Finishing,
    /// It was asked to stop.
    Stopping,
    /// It has failed.
    Failed,
}

/// What the line tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// What the job is doing.
    pub phase: Phase,
    /// Its generation.
    pub generation: Generation,
    /// The newest tick opened.
    pub tick: Tick,
    /// The newest tick released.
    pub released: Tick,
    /// Input records read since the process began; the rate is computed from two looks.
    pub records: u64,
    /// The wall clock less the least watermark of all sources, if there is one.
    pub watermark_lag: Option<Duration>,
    /// Time since the newest snapshot, if there is one.
    pub snapshot_age: Option<Duration>,
    /// What holds the job up, in words: "watermark held by clicks/3 (lagging 12,400 records)".
    pub holding: Option<String>,
}

/// The line for `facts`, with the records a second since the last look.
pub fn line(facts: &Facts, rate: Option<u64>) -> String {
    let phase = match facts.phase {
        Phase::Starting => "starting".to_owned(),
        Phase::Replaying { to } => format!("replaying to {}", grouped(to)),
        Phase::Running => "running".to_owned(),
        Phase::Finishing => "finishing".to_owned(),
        Phase::Stopping => "stopping".to_owned(),
        Phase::Failed => "failed".to_owned(),
    };
    if facts.phase == Phase::Starting {
        return phase;
    }
    let behind = facts.tick.saturating_sub(facts.released);
    let mut parts = vec![
        phase,
        format!("generation {}", facts.generation),
        format!("tick {}", grouped(facts.tick)),
    ];
    parts.extend(rate.map(|rate| format!("{} records/s", grouped(rate))));
    parts.extend(facts.watermark_lag.map(|lag| format!("watermark {} behind", rounded(lag))));
    parts.push(match behind {
        0 => format!("released {}", grouped(facts.released)),
        _ => format!("released {} ({} behind)", grouped(facts.released), grouped(behind)),
    });
    parts.push(match facts.snapshot_age {
        Some(age) => format!("snapshot {} old", rounded(age)),
        None => "no snapshot".to_owned(),
    });
    parts.extend(facts.holding.clone());
    parts.join(" | ").replace(char::is_control, " ")
}

/// Records a second between two counts; none if no time has passed or the count went back.
pub fn rate(before: u64, after: u64, elapsed: Duration) -> Option<u64> {
    let records = u128::from(after.checked_sub(before)?) * 1_000_000;
    let rate = records.checked_div(elapsed.as_micros())?;
    u64::try_from(rate).ok()
}

/// `12,345,678`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The duration in two digits or so: milliseconds below ten seconds, then seconds, minutes, hours.
fn rounded(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let cut = match seconds {
        0..10 => Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)),
        10..600 => Duration::from_secs(seconds),
        600..36_000 => Duration::from_secs(seconds / 60 * 60),
        36_000.. => Duration::from_secs(seconds / 3600 * 3600),
    };
    show_duration(cut)
}

/// Shows the line until it is dropped.
pub struct Progress {
    ended: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Begins to show what `facts` gives, on standard error. `facts` is called from another thread, a few times a second.
    pub fn start(facts: impl Fn() -> Facts + Send + 'static) -> Progress {
        let pause = if screen::with_stderr(|s| s.is_terminal()) { REDRAW } else { REPEAT };
        let ended = Arc::new((Mutex::new(false), Condvar::new()));
        let show = {
            let ended = ended.clone();
            move || show(&facts, pause, &ended)
        };
        // Without the thread the job runs as well, only silently.
        let thread = std::thread::Builder::new().name("progress".into()).spawn(show).ok();
        Progress { ended, thread }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        *self.ended.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.ended.1.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn show(facts: &dyn Fn() -> Facts, pause: Duration, ended: &(Mutex<bool>, Condvar)) {
    let mut last: Option<(u64, std::time::Instant)> = None;
    let mut over = *ended.0.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let (now, seen) = (clock::instant(), facts());
        let rate = last.and_then(|(before, at)| rate(before, seen.records, now - at));
        last = Some((seen.records, now));
        screen::with_stderr(|screen| screen.draw(&line(&seen, rate)));
        if over {
            screen::with_stderr(|screen| screen.end());
            return;
        }
        let guard = ended.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = ended.1.wait_timeout_while(guard, pause, |ended| !*ended);
        over = *waited.unwrap_or_else(PoisonError::into_inner).0;
    }
}

#[cfg(test)]
mod tests;

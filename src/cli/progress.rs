//! The progress line of `run`: facts in, one line of text out; and a thread that shows it.
//!
//! On a terminal the line is rewritten in place, elsewhere a line is written from time to time. It asks for facts
//! and changes nothing.

use super::screen;
use crate::config::show_duration;
use crate::ids::{Generation, Tick};
use crate::telemetry::status::{Replay, State, Status};
use crate::time::{EventTime, clock};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the line is rewritten on a terminal.
const REDRAW: Duration = Duration::from_millis(200);
/// How often a line is written elsewhere.
const REPEAT: Duration = Duration::from_secs(5);

/// What the line tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// What the job is doing.
    pub state: State,
    /// Its generation.
    pub generation: Generation,
    /// How far a replay has come.
    pub replay: Option<Replay>,
    /// The newest tick opened.
    pub tick: Tick,
    /// The newest tick released.
    pub released: Tick,
    /// Input records read since the process began; the rate is computed from two looks.
    pub records: u64,
    /// The least watermark of all sources in microseconds, if there is one.
    pub watermark: Option<i64>,
    /// The wall clock less that watermark, if it is within a day.
    pub watermark_lag: Option<Duration>,
    /// The tick of the newest snapshot, if there is one.
    pub snapshot: Option<Tick>,
    /// Time since it, if this generation took it.
    pub snapshot_age: Option<Duration>,
    /// What holds the job up, in words: "watermark held by clicks/3 (lagging 12,400 records)"; empty if nothing does.
    pub holding: String,
}

/// A watermark further from the clock is of recorded or made-up event times, where a lag says nothing: its time is shown.
const LAG_MAX: Duration = Duration::from_secs(86_400);

impl Facts {
    /// The facts in `status`, with the wall clock in microseconds and what the status does not have.
    pub fn of(status: &Status, wall: i64, records: u64, snapshot_age: Option<Duration>) -> Facts {
        let least = status.watermarks.values().filter_map(|source| source.watermark).min();
        let lag = least.and_then(|least| u64::try_from(wall.checked_sub(least)?).ok());
        Facts {
            state: status.state,
            generation: status.generation,
            replay: status.replay,
            tick: status.tick_current,
            released: status.tick,
            records,
            watermark: least,
            watermark_lag: lag.map(Duration::from_micros).filter(|lag| *lag <= LAG_MAX),
            snapshot: status.snapshot,
            snapshot_age,
            holding: status.holding.clone(),
        }
    }
}

/// The line for `facts`, with the records a second since the last look.
pub fn line(facts: &Facts, rate: Option<u64>) -> String {
    let state = match (facts.state, facts.replay) {
        (State::Starting, _) => return "starting".to_owned(),
        (State::Replaying, Some(Replay { replayed, of })) => {
            format!("replaying {} of {} ticks", grouped(replayed), grouped(of))
        }
        (state, _) => state.name().to_owned(),
    };
    let behind = facts.tick.saturating_sub(facts.released);
    let mut parts = vec![
        state,
        format!("generation {}", facts.generation),
        format!("tick {}", grouped(facts.tick)),
    ];
    parts.extend(rate.map(|rate| format!("{} records/s", grouped(rate))));
    parts.extend(match (facts.watermark_lag, facts.watermark) {
        (Some(lag), _) => Some(format!("watermark {} behind", rounded(lag))),
        (None, Some(at)) => {
            let at = EventTime::from_micros(at - at.rem_euclid(1_000_000));
            at.ok().map(|at| format!("watermark {at}"))
        }
        (None, None) => None,
    });
    parts.push(match behind {
        0 => format!("released {}", grouped(facts.released)),
        _ => format!("released {} ({} behind)", grouped(facts.released), grouped(behind)),
    });
    parts.push(match (facts.snapshot_age, facts.snapshot) {
        (Some(age), _) => format!("snapshot {} old", rounded(age)),
        (None, Some(tick)) => format!("snapshot of tick {}", grouped(tick)),
        (None, None) => "no snapshot".to_owned(),
    });
    parts.extend(Some(facts.holding.clone()).filter(|holding| !holding.is_empty()));
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

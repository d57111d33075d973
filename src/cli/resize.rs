//! `tidemark rescale` and `tidemark upgrade`: a job of `tidemark cluster` ends cleanly and goes on in another shape, watched from the
//! outside: what was shown before is compared with what is shown after.

use super::client::{Client, Refusal};
use super::exit::Exit;
use super::fleet::post::{Line, Told, Wanted};
use crate::error::{Error, Kind};
use crate::time::clock;
use serde_json::{Value as Json, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

/// How often the job is asked where it is.
const LOOK: Duration = Duration::from_millis(20);
/// After so long without an end it is given up to watch; the change goes on.
const TIME_MAX: Duration = Duration::from_secs(600);

/// What is asked for.
pub(super) struct Change {
    pub(super) wanted: Wanted,
    pub(super) savepoint: Option<String>,
}

/// Changes the job that `client` talks to; says on `err` how far it is. Gives what was found.
pub(super) fn change(
    client: &Client,
    change: &Change,
    err: &mut dyn Write,
) -> Result<Json, Refusal> {
    let before = client.get("/api/v1/job", &[])?;
    let mut say = |line: String| {
        // Nobody may be reading.
        let _ = writeln!(err, "{line}");
    };
    let supervisor = before["supervisor"].as_str().ok_or_else(|| {
        Error::config(
            "the job's processes were not started by `tidemark cluster`: stop it with `tidemark stop`, which leaves a snapshot at its last \
             tick, and start the processes that are to go on",
        )
    })?;
    say(format!("now {}", shape(&before)));
    let savepoint = change.savepoint.as_ref().map(|name| {
        let made = client.savepoint(name)?;
        say(format!("savepoint {name} at tick {}", made["tick"]));
        Ok::<_, Refusal>(made)
    });
    let savepoint = savepoint.transpose()?;
    let away = |e: std::io::Error| {
        Error::new(
            Kind::Retry,
            format!(
                "the supervisor does not answer at {supervisor} ({e}): is the job on this machine, and of this user?"
            ),
        )
    };
    let mut stream = UnixStream::connect(supervisor).map_err(away)?;
    send(&mut stream, &Line::Wanted(change.wanted.clone())).map_err(away)?;
    let told = listen(stream.try_clone().map_err(away)?);
    let mut watch = Watch { client, before: &before, shown: None, stopped: false };
    let found = watch.until_changed(&told, &mut say)?;
    // It may have ended in this moment; then there is nothing to go back to.
    let _ = send(&mut stream, &Line::Good);
    Ok(watch.report(&found, savepoint))
}

fn send(stream: &mut UnixStream, line: &Line) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    stream.write_all(&text)
}

fn listen(stream: UnixStream) -> Receiver<Told> {
    let (sender, told) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let Ok(told) = serde_json::from_str(&line) else { return };
            if sender.send(told).is_err() {
                return;
            }
        }
    });
    told
}

/// "2 processes of 3 workers, generation 5, tick 1234".
fn shape(job: &Json) -> String {
    let number = |name: &str| job[name].as_u64().unwrap_or(0);
    format!(
        "{} processes of {} workers, program {}, generation {}, tick {}",
        number("processes"),
        number("workers"),
        job["program"].as_str().unwrap_or("unknown"),
        number("generation"),
        number("tick"),
    )
}

struct Watch<'a> {
    client: &'a Client,
    before: &'a Json,
    /// The newest tick of the former generation that was seen, and when it was.
    shown: Option<(u64, Instant)>,
    stopped: bool,
}

/// The changed job at work.
struct Found {
    after: Json,
    still: Duration,
}

impl Watch<'_> {
    fn until_changed(
        &mut self,
        told: &Receiver<Told>,
        say: &mut dyn FnMut(String),
    ) -> Result<Found, Refusal> {
        let until = clock::instant() + TIME_MAX;
        loop {
            match told.try_recv() {
                Ok(Told::Checked) => {
                    say("checked: the program takes the dataflow and its configuration; the job stops".into());
                }
                Ok(Told::Stopped) => {
                    self.stopped = true;
                    say("stopped: every process ended cleanly, with a snapshot at the last tick"
                        .into());
                }
                Ok(Told::Started) => say("started".into()),
                Ok(Told::Refused(why)) => return Err(Error::config(why).into()),
                Ok(Told::Back(why)) => return Err(Error::new(Kind::Retry, why).into()),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => {
                    let text = "the supervisor has ended; what of the change has happened, its log and `tidemark status` say";
                    return Err(Error::new(Kind::Undecided, text).into());
                }
            }
            if let Some(found) = self.look()? {
                return Ok(found);
            }
            if clock::instant() > until {
                let text = format!(
                    "the changed job is not at work after {TIME_MAX:?}; its log says why, and the change goes on"
                );
                return Err(Error::new(Kind::Undecided, text).into());
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Asks once where the job is.
    fn look(&mut self) -> Result<Option<Found>, Refusal> {
        let job = match self.client.get("/api/v1/job", &[]) {
            Ok(job) => job,
            // Between two generations nobody answers.
            Err(refusal) if refusal.exit == Exit::NoAnswer => return Ok(None),
            Err(refusal) => return Err(refusal),
        };
        let number = |name: &str| job[name].as_u64().unwrap_or(0);
        let (tick, now) = (number("tick"), clock::instant());
        if number("generation") <= self.before["generation"].as_u64().unwrap_or(0) {
            if self.shown.is_none_or(|(shown, _)| tick > shown) && !self.stopped && tick > 0 {
                self.shown = Some((tick, now));
            }
            return Ok(None);
        }
        let since = self.shown.map_or(now, |(_, at)| at);
        let at_work = job["state"] == "running" && tick > number("restored");
        Ok(at_work.then(|| Found { after: job.clone(), still: now - since }))
    }

    /// What was asked for, what was found, and whether it fits.
    fn report(&self, found: &Found, savepoint: Option<Json>) -> Json {
        let after = &found.after;
        let number = |name: &str| after[name].as_u64().unwrap_or(0);
        let restored = number("restored");
        let replayed = after["replay"]["replayed"].as_u64().unwrap_or(0);
        let shown = self.shown.map(|(tick, _)| tick);
        let sinks = after["sinks"].as_object().into_iter().flatten();
        let behind: Vec<_> = sinks
            .filter(|(_, sink)| sink["committed_tick"].as_u64().unwrap_or(0) < restored)
            .map(|(name, _)| name.clone())
            .collect();
        json!({
            "generation": number("generation"),
            "processes": number("processes"),
            "workers": number("workers"),
            "program": after["program"],
            "last_tick_before": shown,
            "restored_tick": restored,
            "first_tick_after": restored + 1,
            "ticks_read_again": replayed,
            "nothing_shown_is_lost": shown.is_none_or(|shown| restored >= shown),
            "sinks_behind_restored_tick": behind,
            "output_stood_still_ms": u64::try_from(found.still.as_millis()).unwrap_or(u64::MAX),
            "savepoint": savepoint,
        })
    }
}

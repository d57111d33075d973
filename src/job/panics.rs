//! Panics in the threads of a job: where they were, and that each is told once, by whoever catches it.

use super::whereabouts;
use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;

/// What is done with the text of a panic.
type LastWord = Rc<dyn Fn(&str)>;

thread_local! {
    /// The panic of which this thread's stack unwinds, until somebody has caught and told it.
    static UNWINDING: RefCell<Option<Panic>> = const { RefCell::new(None) };
    /// Told of a panic that nobody can catch.
    static LAST_WORD: RefCell<Option<LastWord>> = const { RefCell::new(None) };
}

struct Panic {
    text: String,
    place: Option<String>,
    /// The step of the dataflow that ran.
    step: Option<String>,
}

impl Panic {
    fn told(&self) -> String {
        match &self.place {
            Some(place) => format!("{} ({place})", self.text),
            None => self.text.clone(),
        }
    }

    /// The same behind the step that ran, if it was in one.
    fn told_with_step(&self) -> String {
        match &self.step {
            Some(step) => format!("in {step}: {}", self.told()),
            None => self.told(),
        }
    }
}

/// Threads whose panics are caught and told with their place.
const CAUGHT: &str = "timely:work-";
/// Threads between processes: when a process ends, those of the others say so with a panic, and the cause is told elsewhere.
const EXCHANGE: [&str; 2] = ["timely:send-", "timely:recv-"];
/// In the place of a panic by which timely says that the exchange with another process is gone.
const EXCHANGE_PLACE: &str = "/timely_communication-";

/// From now on panics of workers are told by whoever catches them only. Call once a process.
pub(crate) fn install() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or_default();
        let text = panic.payload_as_str().unwrap_or_default();
        if EXCHANGE.iter().any(|exchange| name.starts_with(exchange)) {
            tracing::debug!(text, "the exchange with another process ended");
        } else if name.starts_with(CAUGHT) {
            let place = panic.location().map(|at| format!("{}:{}", at.file(), at.line()));
            tracing::debug!(text, place, "a worker panicked");
            // Here the stack is as it was; where it is caught the worker is out of the step.
            panicked(Panic { text: text.to_owned(), place, step: whereabouts::here() });
        } else {
            before(panic);
        }
    }));
}

/// A worker panics. If it does so while it unwinds, as when a handle that is dropped sends its last rows over an exchange that is
/// gone, the process would be aborted without a word: then the first panic is told, and the thread stands still until the process ends.
fn panicked(panic: Panic) {
    let first = UNWINDING.with_borrow_mut(|unwinding| match unwinding.take() {
        None => {
            *unwinding = Some(panic);
            None
        }
        first => first,
    });
    let last_word = LAST_WORD.with_borrow(Clone::clone);
    if let (Some(first), Some(last_word)) = (first, last_word) {
        last_word(&first.told_with_step());
        loop {
            std::thread::park();
        }
    }
}

/// What to do with a panic of this thread that it can't unwind from.
pub(crate) fn on_last_word(tell: impl Fn(&str) + 'static) {
    LAST_WORD.set(Some(Rc::new(tell)));
}

/// What a panic said that this thread caught, and where it was: "index out of bounds: .. (visits.rs:12)".
pub(crate) fn told(panic: &(dyn Any + Send)) -> String {
    caught(panic).told()
}

/// As [`told`], behind the step of the dataflow that ran: "in reduce (visits.rs:10): index out of bounds: .. (visits.rs:12)".
pub(crate) fn told_with_step(panic: &(dyn Any + Send)) -> String {
    caught(panic).told_with_step()
}

fn caught(panic: &(dyn Any + Send)) -> Panic {
    let unwinding = UNWINDING.take();
    let (place, step) = unwinding.map_or((None, None), |panic| (panic.place, panic.step));
    Panic { text: text(panic), place, step }
}

/// What a panic said.
pub(crate) fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no text".to_owned())
}

/// Whether what was told is timely's way to say that the exchange with another process is gone.
pub(crate) fn is_broken_exchange(told: &str) -> bool {
    told.rsplit_once(" (").is_some_and(|(_, place)| place.contains(EXCHANGE_PLACE))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::time::Duration;

    /// A thread that panicked while it unwound would take the process with it.
    #[test]
    fn a_second_panic_tells_the_first_and_goes_no_further() {
        let (said, heard) = channel();
        std::thread::spawn(move || {
            let more = said.clone();
            on_last_word(move |text| said.send(text.to_owned()).unwrap());
            let panic = |text: &str| {
                let step = Some("map (a.rs:0)".to_owned());
                Panic { text: text.to_owned(), place: Some("a.rs:1".into()), step }
            };
            // One that is caught and told is over.
            panicked(panic("caught"));
            assert_eq!(told(&"caught"), "caught (a.rs:1)");
            panicked(panic("first"));
            panicked(panic("second"));
            more.send("it went on".to_owned()).unwrap();
        });
        assert_eq!(heard.recv().unwrap(), "in map (a.rs:0): first (a.rs:1)");
        assert_eq!(heard.recv_timeout(Duration::from_millis(200)), Err(RecvTimeoutError::Timeout));
    }

    #[test]
    fn the_exchange_is_known_by_the_place_of_the_panic() {
        let of = |text: &str, place: &str| {
            let (place, step) = (Some(place.to_owned()), Some("map (a.rs:0)".to_owned()));
            Panic { text: text.to_owned(), place, step }.told_with_step()
        };
        let place =
            "/registry/timely_communication-0.32.0/src/allocator/zero_copy/bytes_exchange.rs:82";
        assert!(is_broken_exchange(&of("MergeQueue poisoned.", place)));
        assert!(!is_broken_exchange(&of(
            "Failed to find /timely_communication-0 (in it)",
            "visits.rs:12"
        )));
        assert!(!is_broken_exchange("MergeQueue poisoned."));
    }
}

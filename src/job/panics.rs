//! Panics in the threads of a job: where they were, and that each is told once, by whoever catches it.

use std::any::Any;
use std::cell::RefCell;

thread_local! {
    /// Where this thread panicked last.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Threads whose panics are caught and told with their place.
const CAUGHT: &str = "timely:work-";
/// Threads between processes: when a process ends, those of the others say so with a panic, and the cause is told elsewhere.
const EXCHANGE: [&str; 2] = ["timely:send-", "timely:recv-"];

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
            PLACE.set(place);
        } else {
            before(panic);
        }
    }));
}

/// What a panic said that this thread caught, and where it was: "index out of bounds: .. (visits.rs:12)".
pub(crate) fn told(panic: &(dyn Any + Send)) -> String {
    let text = text(panic);
    match PLACE.take() {
        Some(place) => format!("{text} ({place})"),
        None => text,
    }
}

/// What a panic said.
pub(crate) fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no text".to_owned())
}

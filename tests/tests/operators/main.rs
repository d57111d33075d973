//! Every operator against recomputation from scratch at every tick, on one worker and on two, with crashes, restores and clean ends on
//! the way. The oracles are a few lines over all records so far; they know no tick, no state and no differential collection.
#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::cast_possible_wrap, reason = "numbers of a test are small")]

mod aggregates;
mod errors;
mod machine;
mod streams;
mod tables;
mod windows;

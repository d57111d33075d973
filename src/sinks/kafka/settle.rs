//! What a lane's progress partition says, read up to one's own mark (PROTOCOL 3 and 4). Pure; no I/O.

use super::progress::{Entry, Mark};
use crate::ids::{Generation, Nonce};
use crate::sinks::Progress;

/// What follows from the records that were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// One's own mark is not among them: read on.
    Unmarked,
    /// A higher generation has marked or written the lane: end.
    Fenced(Generation),
    /// The lane belongs to another job or sink.
    Foreign {
        /// Its job.
        job: String,
        /// Its sink.
        sink: String,
    },
    /// The same generation with another nonce: its number was given out twice, so the store of generations was lost or replaced.
    Twin(Nonce),
    /// The lane is one's own and this is its progress. `None` holds for the records read: there may be progress before them.
    Own(Option<Progress>),
}

/// What `entries`, in the order of the partition, mean to whoever committed `mine`. Entries behind the mark are not looked at:
/// they are no concern of this taking (whoever wrote them has fenced it).
///
/// Looking back as far as the newest progress is enough to see a higher generation: whoever wrote that progress saw no higher one
/// before its own mark, and was fenced before any that came after could mark.
pub(super) fn settle<'a>(entries: impl IntoIterator<Item = &'a Entry>, mine: &Mark) -> Settled {
    let mut progress = None;
    for entry in entries {
        let (job, sink, generation, nonce) = match entry {
            Entry::Mark(mark) if mark == mine => return Settled::Own(progress),
            Entry::Mark(mark) => (&mark.job, &mark.sink, mark.generation, mark.nonce),
            Entry::Progress(found) => (&found.job, &found.sink, found.generation, found.nonce),
            Entry::Unknown => continue,
        };
        if (job, sink) != (&mine.job, &mine.sink) {
            return Settled::Foreign { job: job.clone(), sink: sink.clone() };
        }
        if generation > mine.generation {
            return Settled::Fenced(generation);
        }
        if generation == mine.generation && nonce != mine.nonce {
            return Settled::Twin(nonce);
        }
        if let Entry::Progress(found) = entry {
            progress = Some(found.clone());
        }
    }
    Settled::Unmarked
}

/// How far before the mark to begin reading: a little first, further if that showed no progress, at last from the beginning.
pub(super) fn windows(low: u64, mark: u64) -> impl Iterator<Item = u64> {
    let mut previous = None;
    [64, 4_096, 1 << 18, u64::MAX]
        .into_iter()
        .map(move |back| mark.saturating_sub(back).max(low))
        .filter(move |from| previous.replace(*from) != Some(*from))
}

#[cfg(test)]
mod tests;

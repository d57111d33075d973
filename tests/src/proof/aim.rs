//! When to kill, and what a kill hit. Pure: facts in, decisions out.

use tidemark_oracle::Random;

/// What a kill is meant to hit, and, judged afterwards, what it hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spot {
    /// An open transaction of a sink.
    Transaction,
    /// A snapshot that is written and does not count yet.
    Snapshot,
    /// A recovery: after the restore began, before the engine leads.
    Recovery,
    /// Anything else.
    Elsewhere,
}

/// How many kills hit what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// In a transaction.
    pub transaction: usize,
    /// In a snapshot.
    pub snapshot: usize,
    /// In a recovery.
    pub recovery: usize,
    /// Elsewhere.
    pub elsewhere: usize,
}

impl Tally {
    /// One more.
    pub fn add(&mut self, spot: Spot) {
        match spot {
            Spot::Transaction => self.transaction += 1,
            Spot::Snapshot => self.snapshot += 1,
            Spot::Recovery => self.recovery += 1,
            Spot::Elsewhere => self.elsewhere += 1,
        }
    }

    /// All kills.
    pub fn total(&self) -> usize {
        self.transaction + self.snapshot + self.recovery + self.elsewhere
    }

    /// Whether at least as many as in `quota` hit each spot.
    pub fn reaches(&self, quota: &Tally) -> bool {
        lacking(self, quota).iter().all(|(_, count)| *count == 0)
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Tally { transaction, snapshot, recovery, elsewhere } = self;
        write!(
            f,
            "{} kills: {transaction} inside a transaction, {snapshot} in a snapshot, {recovery} during recovery, \
             {elsewhere} elsewhere",
            self.total()
        )
    }
}

fn lacking(tally: &Tally, quota: &Tally) -> [(Spot, usize); 3] {
    [
        (Spot::Transaction, quota.transaction.saturating_sub(tally.transaction)),
        (Spot::Snapshot, quota.snapshot.saturating_sub(tally.snapshot)),
        (Spot::Recovery, quota.recovery.saturating_sub(tally.recovery)),
    ]
}

/// What to aim at next. As long as something is lacking it is aimed at nine times in ten, and always when no kill can be
/// spared; a kill can miss, so what is lacking comes early.
pub fn next(tally: &Tally, quota: &Tally, kills_left: usize, random: &mut Random) -> Spot {
    let lacking = lacking(tally, quota);
    let sum: usize = lacking.iter().map(|(_, count)| count).sum();
    if sum > 0 && (sum >= kills_left || random.chance(900)) {
        // By chance, weighted by how many are lacking.
        let mut dice = usize::try_from(random.below(sum as u64)).expect("below a usize");
        for (spot, count) in lacking {
            if dice < count {
                return spot;
            }
            dice -= count;
        }
    }
    [Spot::Transaction, Spot::Snapshot, Spot::Recovery, Spot::Elsewhere]
        [usize::try_from(random.below(4)).expect("below 4")]
}

/// The phase at whose line to kill, for what is aimed at; `None` is any. Mostly the one that hits best, now and then a neighbour.
pub fn moment(aim: Spot, random: &mut Random) -> Option<&'static str> {
    let dice = random.below(10);
    match aim {
        // At `begin` the broker does not know of the transaction yet, at `commit` the decision is under way; but the sinks of one
        // tick are close together, so that another one's transaction may well be open.
        Spot::Transaction => Some(match dice {
            0 => "sink-transaction-begin",
            1..=5 => "sink-transaction-commit",
            _ => "sink-transaction-rows",
        }),
        // When they are written, segments and manifest are there, and the record is about to be appended.
        Spot::Snapshot => Some(if dice == 0 { "snapshot-begin" } else { "snapshot-written" }),
        Spot::Recovery => Some(if dice < 5 { "recovery-restore" } else { "recovery-replay" }),
        Spot::Elsewhere => None,
    }
}

/// What is known about a kill once the next engine leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Whether the killed engine had begun to recover.
    pub recovering: bool,
    /// Whether it had come to lead.
    pub led: bool,
    /// Transactional ids whose transaction was open at the kill and that the broker aborted.
    pub aborted: Vec<String>,
    /// Segments of the killed generation without a counted record.
    pub uncounted_segments: usize,
}

/// What a kill hit by the evidence, whatever was aimed at; what was aimed at decides only if it hit two things.
pub fn judge(aim: Spot, evidence: &Evidence) -> Spot {
    let (transaction, snapshot) = (!evidence.aborted.is_empty(), evidence.uncounted_segments > 0);
    match (evidence.led, transaction, snapshot) {
        (false, ..) if evidence.recovering => Spot::Recovery,
        (false, ..) | (true, false, false) => Spot::Elsewhere,
        (true, true, true) if aim == Spot::Snapshot => Spot::Snapshot,
        (true, true, _) => Spot::Transaction,
        (true, false, true) => Spot::Snapshot,
    }
}

#[cfg(test)]
mod tests;

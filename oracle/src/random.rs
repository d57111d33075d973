//! Seeded numbers. The same seed gives the same numbers for ever.

/// A sequence of numbers that is a function of its seed (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The sequence that belongs to `seed` and these numbers together.
    pub fn of(seed: u64, numbers: &[u64]) -> Random {
        numbers.iter().fold(Random(seed), |mut random, number| Random(random.next() ^ *number))
    }

    /// The next number.
    #[expect(
        clippy::should_implement_trait,
        reason = "it never ends; an iterator would only be in the way"
    )]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    ///
    /// # Panics
    /// If `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True in `of_a_thousand` of 1,000 cases.
    pub fn chance(&mut self, of_a_thousand: u64) -> bool {
        self.below(1_000) < of_a_thousand
    }
}

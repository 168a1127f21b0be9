//! PURE. The runs under way that count as failures where they are killed together with their `cb` (`count-stopped`).
//!
//! Each has a number, and holds a lock that goes by it. The state says how many there are: where fewer locks are held,
//! the others are gone without a report. Who they were is neither known nor needed.

use std::ops::Range;

/// The most that are counted at once; what comes beyond is not.
const MOST: u64 = 10_000;
/// Numbers stay below this.
const END: u64 = 1 << 48;

/// How many runs are under way, since these numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnderWay {
    /// Where and since when their locks can be asked for: others count as nothing.
    pub(super) epoch: u64,
    /// The generation in which they were let in.
    pub(super) generation: u64,
    /// The first number that one of them may have.
    pub(super) first: u64,
    /// The number of the next one.
    pub(super) next: u64,
    /// How many they are.
    pub(super) count: u64,
}

impl UnderWay {
    /// What a state says, where that can be.
    pub(super) fn read(self) -> Option<Self> {
        let Self { first, next, count, .. } = self;
        (first <= next && next < END && count <= MOST.min(next - first)).then_some(self)
    }

    /// Whether they are of this epoch and this generation.
    pub(super) fn are_of(&self, epoch: u64, generation: u64) -> bool {
        (self.epoch, self.generation) == (epoch, generation)
    }

    /// Forgets those of another epoch or generation. The numbers go on: one of them may hold its lock for long yet.
    pub(super) fn move_on(&mut self, epoch: u64, generation: u64) {
        if !self.are_of(epoch, generation) {
            *self = Self { epoch, generation, first: self.next, next: self.next, count: 0 };
        }
    }

    /// Counts one more, and says its number; `None` where there are too many.
    pub(super) fn begin(&mut self) -> Option<u64> {
        if self.count >= MOST {
            return None;
        }
        if self.next + 1 >= END {
            (self.first, self.next, self.count) = (0, 0, 0);
        }
        let number = self.next;
        self.next += 1;
        self.count += 1;
        Some(number)
    }

    /// Counts out the one with this number, if it is one of these.
    pub(super) fn end(&mut self, generation: u64, number: u64) {
        if self.generation == generation && self.numbers().contains(&number) {
            self.lose(1);
        }
    }

    /// Counts out so many.
    pub(super) fn lose(&mut self, gone: u64) {
        self.count = self.count.saturating_sub(gone);
        if self.count == 0 {
            self.first = self.next;
        }
    }

    /// How many they are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The numbers that they may have.
    pub fn numbers(&self) -> Range<u64> {
        self.first..self.next
    }
}

/// Runs that are gone without a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// How many that were none of the probes.
    pub runs: u64,
    /// The probes, by the numbers of their permits.
    pub probes: Vec<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_of_another_generation_or_epoch_is_not_counted_out() {
        let mut runs = UnderWay::default();
        runs.move_on(7, 1);
        let (old, other) = (runs.begin(), runs.begin());
        assert_eq!((old, other, runs.count(), runs.numbers()), (Some(0), Some(1), 2, 0..2));
        for (epoch, generation) in [(7, 2), (8, 2)] {
            runs.move_on(epoch, generation);
            assert_eq!((runs.count(), runs.numbers().is_empty()), (0, true));
            let number = runs.begin().expect("there is room");
            runs.end(1, 0);
            runs.end(generation, 1);
            assert_eq!((runs.count(), number + 1), (1, runs.next), "its number is of before");
        }
        runs.end(2, runs.next - 1);
        assert_eq!((runs.count(), runs.numbers().is_empty()), (0, true));
    }

    #[test]
    fn there_is_an_end_to_what_is_counted() {
        let mut runs = UnderWay::default();
        assert_eq!((0..MOST + 5).filter_map(|_| runs.begin()).count() as u64, MOST);
        assert_eq!((runs.begin(), runs.count()), (None, MOST));
        runs.lose(u64::MAX);
        assert_eq!((runs.count(), runs.begin()), (0, Some(MOST)));
        let mut last = UnderWay { next: END - 1, first: END - 2, count: 1, ..UnderWay::default() };
        assert!(last.read().is_some());
        assert_eq!((last.begin(), last.read().map(|runs| runs.count)), (Some(0), Some(1)), "they begin anew");
        for odd in [
            UnderWay { first: 2, next: 1, ..UnderWay::default() },
            UnderWay { next: END, first: END, ..UnderWay::default() },
            UnderWay { next: 3, count: 4, ..UnderWay::default() },
            UnderWay { next: 2 * MOST, count: MOST + 1, ..UnderWay::default() },
        ] {
            assert_eq!(odd.read(), None, "{odd:?}");
        }
    }
}

//! PURE. What is remembered of past results: the last ones as a ring, those of a time span in slices, failures by their time.

use std::collections::VecDeque;
use std::time::Duration;

use crate::settings::{MOST_BUDGET, MOST_CALLS};
use crate::time::{LONGEST, Timestamp, millis};

/// One result, as far as rates care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// It failed.
    pub failed: bool,
    /// It took as long as `slow-after` or longer.
    pub slow: bool,
}

/// How many results a window holds, and how many of them were bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All results.
    pub calls: u32,
    /// Those that failed.
    pub failures: u32,
    /// Those that were slow, failed or not.
    pub slow: u32,
}

impl Tally {
    /// Full far above what anybody can run within one window, so that a slice stays short as text,
    /// and that no sum of slices overflows.
    pub(super) const MOST: u32 = 0x0fff_ffff;

    /// A full count stays as it is: were only its parts to grow, they would become all of it.
    fn add(&mut self, mark: Mark) {
        if self.calls < Self::MOST {
            self.calls += 1;
            self.failures += u32::from(mark.failed);
            self.slow += u32::from(mark.slow);
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            failures: self.failures.saturating_add(other.failures),
            slow: self.slow.saturating_add(other.slow),
        }
    }
}

/// Whether `part` of `whole` is `percent` per cent or more, exactly.
pub fn reaches(part: u32, whole: u32, percent: u8) -> bool {
    u64::from(part) * 100 >= u64::from(percent) * u64::from(whole)
}

/// The last 1,000 results, oldest first: enough for a count window of any size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recent(pub(super) VecDeque<Mark>);

impl Recent {
    /// Adds the newest result; beyond 1,000 the oldest falls out.
    pub fn push(&mut self, mark: Mark) {
        if self.0.len() == usize::from(MOST_CALLS) {
            self.0.pop_front();
        }
        self.0.push_back(mark);
    }

    /// What the last `calls` results were.
    pub fn count(&self, calls: u16) -> Tally {
        let mut count = Tally::default();
        self.last(calls.into()).for_each(|mark| count.add(mark));
        count
    }

    /// The last so many results, oldest first.
    pub fn last(&self, most: usize) -> impl Iterator<Item = Mark> + '_ {
        self.0.iter().skip(self.0.len().saturating_sub(most)).copied()
    }

    /// Whether there is no result.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The results of the last `length`, in at most ten slices of time.
///
/// A slice begins with the first result that falls into it and leaves when that result is `length` old. So no result
/// outlives the window, and none leaves more than a tenth of it early, however long the gap between two runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slices {
    pub(super) length: Duration,
    pub(super) slices: Vec<(Timestamp, Tally)>,
}

impl Slices {
    pub(super) const MOST: usize = 10;

    /// An empty window of this length.
    pub fn new(length: Duration) -> Self {
        Self { length, slices: Vec::new() }
    }

    /// How long it reaches back.
    pub fn length(&self) -> Duration {
        self.length
    }

    /// Adds a result of `now`, and drops what has left the window or lies in the future.
    pub fn push(&mut self, mark: Mark, now: Timestamp) {
        let length = self.length;
        self.slices.retain(|slice| within(slice.0, length, now));
        let width = Duration::from_millis(millis(length).div_ceil(10));
        match self.slices.last_mut() {
            Some((start, count)) if within(*start, width, now) => count.add(mark),
            _ => {
                let mut count = Tally::default();
                count.add(mark);
                self.slices.push((now, count));
                // Only of a state that somebody has edited are there more.
                self.slices.drain(..self.slices.len().saturating_sub(Self::MOST));
            }
        }
    }

    /// What the results of the last `length` before `now` were.
    pub fn count(&self, now: Timestamp) -> Tally {
        let live = self.slices.iter().filter(|slice| within(slice.0, self.length, now));
        live.fold(Tally::default(), |sum, slice| sum.plus(slice.1))
    }

    /// The slices, oldest first, also those that have left the window.
    #[cfg(test)]
    pub fn slices(&self) -> &[(Timestamp, Tally)] {
        &self.slices
    }
}

/// Whether `time` is less than `span` ago. What is exactly so long ago is out, and so is what is yet to come.
fn within(time: Timestamp, span: Duration, now: Timestamp) -> bool {
    time.age(now).is_some_and(|age| age < span)
}

/// The times of the last 100 failures, oldest first: enough for a budget of any size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailureTimes(pub(super) VecDeque<Timestamp>);

impl FailureTimes {
    /// Adds a failure of `now`, and drops those that lie in the future or so far back that no budget reaches them: so the
    /// gaps between all of them have a bounded length as text.
    pub fn push(&mut self, now: Timestamp) {
        self.0.retain(|&time| within(time, LONGEST, now));
        if self.0.len() == usize::from(MOST_BUDGET) {
            self.0.pop_front();
        }
        self.0.push_back(now);
    }

    /// How many failures are less than `span` ago.
    pub fn count(&self, span: Duration, now: Timestamp) -> usize {
        self.0.iter().filter(|&&time| within(time, span, now)).count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The times, oldest first.
    #[cfg(test)]
    pub fn times(&self) -> impl Iterator<Item = Timestamp> + '_ {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Mark = Mark { failed: false, slow: false };
    const BAD: Mark = Mark { failed: true, slow: false };

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    #[test]
    fn rates_are_exact() {
        assert!(reaches(1, 2, 50));
        assert!(!reaches(499_999, 1_000_000, 50));
        assert!(reaches(u32::MAX, u32::MAX, 100));
        assert!(!reaches(33, 100, 34));
    }

    #[test]
    fn a_full_count_keeps_its_rate() {
        let mut count = Tally { calls: Tally::MOST - 1, failures: 10, slow: 20 };
        count.add(BAD);
        let full = Tally { calls: Tally::MOST, failures: 11, slow: 20 };
        assert_eq!(count, full);
        count.add(BAD);
        assert_eq!(count, full);
    }

    #[test]
    fn the_ring_forgets_the_oldest() {
        let mut recent = Recent::default();
        recent.push(BAD);
        for _ in 0..999 {
            recent.push(GOOD);
        }
        assert_eq!(recent.count(1_000), Tally { calls: 1_000, failures: 1, slow: 0 });
        recent.push(GOOD);
        assert_eq!(recent.count(1_000), Tally { calls: 1_000, failures: 0, slow: 0 });
        recent.push(BAD);
        assert_eq!(recent.count(1), Tally { calls: 1, failures: 1, slow: 0 });
    }

    #[test]
    fn a_result_leaves_at_most_a_tenth_early_and_never_late() {
        let mut slices = Slices::new(Duration::from_secs(10));
        slices.push(BAD, at(0));
        slices.push(BAD, at(999));
        slices.push(BAD, at(1_000));
        assert_eq!(slices.count(at(9_999)).failures, 3);
        assert_eq!(slices.count(at(10_000)).failures, 1, "both of the first slice are out");
        assert_eq!(slices.count(at(11_000)).failures, 0);
        slices.push(GOOD, at(86_400_000));
        assert_eq!(slices.count(at(86_400_000)), Tally { calls: 1, failures: 0, slow: 0 }, "after a long gap");
    }

    #[test]
    fn a_window_never_has_more_than_ten_slices() {
        for length in [1, 5, 19, 99, 100, 60_000] {
            let mut slices = Slices::new(Duration::from_millis(length));
            for now in 0..3_000 {
                slices.push(GOOD, at(now));
                assert!(slices.slices.len() <= 10, "{length} ms");
            }
        }
    }

    #[test]
    fn results_of_the_future_are_dropped() {
        let mut slices = Slices::new(Duration::from_secs(10));
        let mut times = FailureTimes::default();
        slices.push(BAD, at(5_000));
        times.push(at(5_000));
        assert_eq!((slices.count(at(0)).calls, times.count(Duration::from_secs(10), at(0))), (0, 0));
        slices.push(BAD, at(0));
        times.push(at(0));
        assert_eq!((slices.count(at(6_000)).calls, times.count(Duration::from_secs(10), at(6_000))), (1, 1));
    }

    #[test]
    fn a_budget_is_exact_to_the_millisecond() {
        let mut times = FailureTimes::default();
        times.push(at(0));
        times.push(at(10));
        assert_eq!(times.count(Duration::from_secs(1), at(999)), 2);
        assert_eq!(times.count(Duration::from_secs(1), at(1_000)), 1);
        for now in 0..200 {
            times.push(at(2_000 + now));
        }
        assert_eq!(times.count(Duration::from_secs(1), at(2_199)), 100);
    }
}

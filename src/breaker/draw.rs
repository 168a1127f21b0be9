//! PURE. Numbers drawn at random: where a run stands in a ramp.

use std::time::Duration;

use crate::time::millis;

/// A number from 0 to 1, drawn at random for a run: a ramp lets the run through once that share of it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// In units of 2^-64.
    share: u64,
}

impl Draw {
    /// Let through as soon as anybody is.
    pub const FIRST: Self = Self { share: 0 };

    /// The number of this place in a row of numbers, which is as random as its seed.
    pub fn nth(seed: [u64; 2], place: u64) -> Self {
        Self { share: scattered(scattered(seed[0].wrapping_add(place.wrapping_mul(STEP))) ^ seed[1]) }
    }

    /// So much of a span, less than the whole of it.
    pub fn of(self, span: Duration) -> Duration {
        let part = (u128::from(millis(span)) * u128::from(self.share)) >> 64;
        Duration::from_millis(u64::try_from(part).unwrap_or(u64::MAX))
    }
}

/// What `SplitMix64` adds at each step.
pub(super) const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finalizer of `SplitMix64`: numbers near each other become numbers that have nothing to do with each other.
pub(super) fn scattered(mut bits: u64) -> u64 {
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

#[cfg(test)]
impl Draw {
    /// Let through once half of a ramp is over.
    pub const HALF: Self = Self { share: 1 << 63 };
    /// Let through as late as anybody is.
    pub const LAST: Self = Self { share: u64::MAX };

    /// So many thousandths.
    pub fn thousandths(share: u64) -> Self {
        // Rounded up, so that a share of a span is not rounded down twice.
        Self { share: u64::try_from((u128::from(share) << 64).div_ceil(1_000)).expect("less than the whole") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    /// How many of these draws fall into each tenth of a span.
    fn tenths(draws: impl Iterator<Item = Draw>) -> [usize; 10] {
        let mut tenths = [0; 10];
        draws.for_each(|draw| tenths[usize::try_from(draw.of(HOUR).as_secs() / 360).expect("less than ten")] += 1);
        tenths
    }

    #[test]
    fn draws_are_spread_evenly_over_processes_and_within_one() {
        let even = |tenths: [usize; 10]| tenths.iter().all(|count| (900..1_100).contains(count));
        // Seeds that differ as little as they can.
        let first = tenths((0..10_000).map(|seed| Draw::nth([seed, 0], 0)));
        let second = tenths((0..10_000).map(|seed| Draw::nth([0, seed], 0)));
        let row = tenths((0..10_000).map(|place| Draw::nth([7, 9], place)));
        assert!(even(first) && even(second) && even(row), "{first:?} {second:?} {row:?}");
    }

    #[test]
    fn two_draws_of_a_process_say_nothing_of_each_other() {
        let late = |draw: Draw| draw.of(HOUR) >= HOUR / 2;
        let mut pairs = [0; 4];
        for seed in 0..10_000 {
            let [one, other] = [0, 1].map(|place| late(Draw::nth([seed, !seed], place)));
            pairs[usize::from(one) + 2 * usize::from(other)] += 1;
        }
        assert!(pairs.iter().all(|count| (2_300..2_700).contains(count)), "{pairs:?}");
    }

    #[test]
    fn a_draw_is_a_share_of_a_span_and_never_the_whole() {
        for (span, most) in [(0, 0), (1, 0), (2, 1), (1_000, 999), (3_153_600_000_000, 3_153_599_999_999)] {
            let span = Duration::from_millis(span);
            assert_eq!((Draw::FIRST.of(span), Draw::LAST.of(span)), (Duration::ZERO, Duration::from_millis(most)));
        }
        assert_eq!(Draw::thousandths(250).of(Duration::from_secs(60)), Duration::from_secs(15));
    }
}

//! PURE. Permits: what an admitted run holds until it reports.

use std::fmt;
use std::str::FromStr;

/// The right to report one result. It carries no time: the breaker's random identity, the generation and a number.
#[must_use = "a permit that is never recorded leaves a probe's place taken until its lease is over"]
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    breaker: u64,
    generation: u64,
    serial: Option<u64>,
    probe: bool,
    /// The number among the runs that count as failures where they are killed.
    counted: Option<u64>,
}

impl Permit {
    pub(super) fn new(breaker: u64, generation: u64, serial: Option<u64>, probe: bool) -> Self {
        Self { breaker, generation, serial, probe, counted: None }
    }

    pub(super) fn breaker(&self) -> u64 {
        self.breaker
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// The number of a probe, or of a permit that a script holds.
    pub fn serial(&self) -> Option<u64> {
        self.serial
    }

    /// Its number among the runs that count as failures where they are killed, if it is one of them.
    pub fn counted(&self) -> Option<u64> {
        self.counted
    }

    /// The same permit, of a run that has no lock to be missed by.
    pub fn uncounted(self) -> Self {
        self.counted_as(None)
    }

    /// The same permit, with this number.
    pub(super) fn counted_as(self, counted: Option<u64>) -> Self {
        Self { counted, ..self }
    }

    /// Whether the run tests recovery.
    pub fn is_probe(&self) -> bool {
        self.probe
    }
}

/// As a word for scripts: `IDENTITY-GENERATION-SERIAL`, with a `p` at the end for a probe.
impl fmt::Display for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let probe = if self.probe { "p" } else { "" };
        write!(f, "{:016x}-{}-{}{probe}", self.breaker, self.generation, self.serial.unwrap_or(0))
    }
}

impl FromStr for Permit {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let (body, probe) = word.strip_suffix('p').map_or((word, false), |body| (body, true));
        let number = |part: &str, radix| {
            let plain = part.bytes().all(|byte| byte.is_ascii_hexdigit());
            if plain { u64::from_str_radix(part, radix).ok() } else { None }
        };
        let mut parts = body.split('-');
        let mut next = |radix| parts.next().and_then(|part| number(part, radix));
        match (next(16), next(10), next(10), parts.next()) {
            (Some(breaker), Some(generation), Some(serial), None) => {
                Ok(Self { breaker, generation, serial: Some(serial), probe, counted: None })
            }
            _ => Err(format!("'{word}' is not a permit; give the word that cb allow printed")),
        }
    }
}

/// One bit for each of the last 256 numbered permits: whether it was recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spent(pub(super) [u64; 4]);

impl Spent {
    const KEPT: u64 = 256;

    fn place(serial: u64) -> (usize, u64) {
        let bit = serial % Self::KEPT;
        // At most 3.
        ((bit / 64) as usize, 1 << (bit % 64))
    }

    /// Makes room for a new permit, in place of the one 256 before it.
    pub(super) fn forget(&mut self, serial: u64) {
        let (word, bit) = Self::place(serial);
        self.0[word] &= !bit;
    }

    /// Whether the permit is good for a record, and no more afterwards: not recorded, not too old, not of the future.
    pub(super) fn spend(&mut self, serial: u64, next: u64) -> bool {
        let (word, bit) = Self::place(serial);
        let known = serial < next && next - serial <= Self::KEPT;
        let fresh = known && self.0[word] & bit == 0;
        if fresh {
            self.0[word] |= bit;
        }
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_is_a_word() {
        for word in ["00000000000000ff-3-7", "00000000000000ff-3-7p"] {
            assert_eq!(word.parse::<Permit>().map(|permit| permit.to_string()), Ok(word.to_owned()));
        }
        for word in ["", "p", "1-2", "1-2-3-4", "x-2-3", "1-+2-3", "1-2-", "unguarded", "99999999999999999-1-1"] {
            assert!(word.parse::<Permit>().is_err(), "{word:?}");
        }
    }

    #[test]
    fn a_permit_is_good_once_and_not_for_ever() {
        let mut spent = Spent::default();
        assert!(spent.spend(3, 10));
        assert!(!spent.spend(3, 10), "a second time");
        assert!(!spent.spend(10, 10), "not yet issued");
        assert!(spent.spend(4, 260));
        assert!(!spent.spend(4, 300), "older than 256");
        spent.forget(259);
        assert!(spent.spend(259, 260));
    }
}

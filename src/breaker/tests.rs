//! The core against a model, and sentence by sentence against its contract.

mod histories;
mod model;
mod protocol;
mod scripts;

use super::{Breaker, FailureTimes, Slices};

/// What nobody but the state and its tests is told.
impl Breaker {
    /// The random identity.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The numbers of the last 256 permits that are good for nothing any more.
    pub fn spent_permits(&self) -> Vec<u64> {
        let fresh = |serial: u64| self.spent.clone().spend(serial, self.serial);
        (self.serial.saturating_sub(256)..self.serial).filter(|&serial| !fresh(serial)).collect()
    }

    /// The time window, whatever length the settings have.
    pub fn slices(&self) -> Option<&Slices> {
        self.slices.as_ref()
    }

    /// The times of failures.
    pub fn failure_times(&self) -> &FailureTimes {
        &self.failures
    }
}

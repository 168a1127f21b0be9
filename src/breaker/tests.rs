//! The core against a model, and sentence by sentence against its contract.

mod histories;
mod model;
mod protocol;
mod scripts;
mod tables;

use std::time::Duration;

use super::{Breaker, Change, FailureTimes, HoldKind, Order, Ordered, Outage, Slices};
use crate::time::Timestamp;

impl Ordered {
    /// What it changed.
    pub fn change(self) -> Option<Change> {
        match self {
            Self::InForce(change, _) | Self::Ended(change) => Some(change),
            Self::Dropped(_) | Self::NoneToEnd | Self::Unchanged => None,
        }
    }
}

/// What nobody but the state and its tests is told.
impl Breaker {
    /// The random identity.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// `cb trip`; `None` if that changes nothing.
    pub fn trip(
        &mut self,
        span: Option<Duration>,
        reason: Option<String>,
        by: String,
        now: Timestamp,
    ) -> Option<Change> {
        self.order(Order { kind: HoldKind::Trip, span, replace: false, reason, by }, now).change()
    }

    /// `cb disable`; `None` if that changes nothing.
    pub fn disable(
        &mut self,
        span: Option<Duration>,
        reason: Option<String>,
        by: String,
        now: Timestamp,
    ) -> Option<Change> {
        self.order(Order { kind: HoldKind::Disable, span, replace: false, reason, by }, now).change()
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

    /// The outage that goes on, or the last one.
    pub fn outage(&self) -> Option<Outage> {
        self.outage
    }

    /// The times of failures.
    pub fn failure_times(&self) -> &FailureTimes {
        &self.failures
    }
}

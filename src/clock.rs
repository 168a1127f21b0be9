//! The only reader of the clock.

use std::time::{Duration, Instant, SystemTime};

use jiff::tz::TimeZone;

use crate::time::Timestamp;

/// The wall clock: what the state is judged by, and the only clock that processes and reboots share.
#[expect(clippy::disallowed_methods, reason = "this is the one place that may ask")]
pub fn now() -> Timestamp {
    SystemTime::now().into()
}

/// The time zone of local clocks, by `TZ` and the system's data. UTC where these say nothing, as for `date`.
pub fn zone() -> TimeZone {
    TimeZone::system()
}

/// Waits. A signal that ends `cb` ends this too.
#[expect(clippy::disallowed_methods, reason = "a wait that was asked for, not one that hopes for something")]
pub fn sleep(span: Duration) {
    std::thread::sleep(span);
}

/// The monotonic clock: for the length of a run and for waiting, which a step of the wall clock must not touch.
#[expect(clippy::disallowed_methods, reason = "this is the one place that may ask")]
pub fn instant() -> Instant {
    Instant::now()
}

//! The tests of `cb` from outside: real processes, exact output, no sleeps.
//!
//! Time moves by shifting the times in the state file; "still running" is a pipe that the test holds open; concurrency is
//! proved by counting.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests start processes, write files, and fail by panicking; the program's own rules are for it"
)]

mod support;

mod by_hand;
mod cases;
mod core;
mod cron;
mod history;
mod hooks;
mod metrics;
mod refused;
mod two_step;

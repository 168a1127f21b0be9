//! The tests of `cb` from outside: real processes, exact output, no sleeps.
//!
//! Time moves by shifting the times in the state file; "still running" is a pipe that the test holds open; concurrency is
//! proved by counting.
#![expect(
    clippy::disallowed_methods,
    reason = "tests start processes and write files; the program's own rules are for it"
)]

mod python;
mod support;

mod core;
mod signals;

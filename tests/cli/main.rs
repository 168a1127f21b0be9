//! The tests of `cb` from outside: real processes, exact output, no sleeps.
//!
//! Time moves by shifting the times in the state file; "still running" is a pipe that the test holds open; concurrency is
//! proved by counting.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests start processes, write files, fail by a panic and say what they skip; the program's own rules are for it"
)]

mod support;

mod breaking;
mod budget;
mod by_hand;
mod cases;
mod completion;
mod config;
mod cron;
mod crowd;
mod directory;
mod disks;
mod failing;
mod files;
mod history;
mod hooks;
mod kill_switch;
mod killed;
mod locks;
mod looking;
mod manual;
mod metrics;
mod outage;
mod package;
mod readme;
mod recipes;
mod refused;
mod remove;
mod scripts;
mod secrets;
mod settings;
mod signals;
mod timeout;
mod transparent;
mod two_step;
mod unsafety;
mod usage;
mod wrapper;

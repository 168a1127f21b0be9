//! The tests of `cb` from outside: real processes, exact output, no sleeps.
//!
//! Time moves by shifting the times in the state file; "still running" is a pipe that the test holds open; concurrency is
//! proved by counting. Each file tests one subject, with the tools of [`support`].
//!
//! # The quick loop
//!
//! ```text
//! cargo test --test cli two_step::a_pipeline_is_guarded  one test
//! cargo test --test cli two_step                         one subject, here two_step.rs
//! cargo test --bin cb -- --skip histories --skip protocol --skip no_text
//!                                                        all units but the random histories, the explored
//!                                                        protocols and the random texts: seconds, not minutes
//! cargo test                                             everything: minutes
//! ```
//!
//! A test whose program is not installed says `skipped`; under `CB_REQUIRE_TOOLS=1` it fails.
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
mod check;
mod completion;
mod config;
mod cron;
mod crowd;
mod cures;
mod directory;
mod disks;
mod failing;
mod files;
mod healthy;
mod history;
mod hooks;
mod http;
mod kill_switch;
mod killed;
mod linking;
mod locks;
mod looking;
mod manual;
mod metrics;
mod orders;
mod outage;
mod output;
mod package;
mod readme;
mod recipes;
mod recovery;
mod refused;
mod remove;
mod scripts;
mod secrets;
mod settings;
mod signals;
mod slots;
mod snippets;
mod stopped;
mod timeout;
mod transparent;
mod two_step;
mod unsafety;
mod usage;
mod wrapper;

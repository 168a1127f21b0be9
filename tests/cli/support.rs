//! The tools of the tests.
//!
//! | module | what it is |
//! |---|---|
//! | [`sandbox`] | a home for each test, and what a test does with `cb` there |
//! | [`run`] | the builder of commands: no output and exit 0 unless the test says otherwise |
//! | [`begun`] | a run that is still running |
//! | [`text`] | texts and documents: compared without what depends on the day, and moved in time |
//! | [`trouble`] | runs that find trouble with the state |
//! | [`tools`] | programs that may be missing |
//! | [`help`] | the subcommands and options in the help |
//! | [`namespace`] | a process 1 and an `/etc/passwd` of a test's own |
//! | [`python`] | test programs in Python, with `prelude.py` |
//! | [`server`] | an HTTP server that stops and comes back |
//! | [`strace`] | system calls: counted, failed, killed at |
//! | [`terminal`] | a terminal |

mod begun;
pub mod help;
pub mod namespace;
pub mod python;
mod run;
mod sandbox;
pub mod server;
pub mod strace;
pub mod terminal;
mod text;
mod tools;
mod trouble;

pub use begun::Begun;
pub use run::Run;
pub use sandbox::{CB, NOBODY, Sandbox, is_root, names_in};
pub use text::{is_like, is_time, millis, pick, shift_times, timeless, unmeasured};
pub use tools::{cargo_tool, have, linked_statically};
pub use trouble::{COMMAND, refused, unguarded};

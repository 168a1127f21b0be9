//! What the tests stand on.
//!
//! | module | what it is |
//! |---|---|
//! | [`sandbox`] | a home of its own for each test, and what a test does with `cb` in it |
//! | [`run`] | the builder of commands: output is empty and the exit 0 unless the test says otherwise |
//! | [`begun`] | a run that is still running |
//! | [`text`] | texts and documents, compared where they depend on the day, and moved in time |
//! | [`trouble`] | runs that find trouble with the state |
//! | [`tools`] | programs that may be missing |
//! | [`help`] | what the help says there is |
//! | [`namespace`] | a process 1 and an `/etc/passwd` of our own |
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
pub use text::{is_like, is_time, millis, pick, shift_times, timeless};
pub use tools::{cargo_tool, have, linked_statically};
pub use trouble::{COMMAND, refused, unguarded};

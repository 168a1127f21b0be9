//! `cb` puts a circuit breaker around any command.
//!
//! # The way of one run
//!
//! ```text
//! argv -> Settings -> lock, load, admit(now), save, unlock -> child -> Exit -> Outcome
//!      -> lock, load, record(now), save, unlock -> a line if the state changed -> end as the child did
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`cli`] | what a user can say: arguments and their help, no logic |
//! | [`command`] | one file a subcommand: the story of that command, no decision of its own |
//! | [`breaker`] | PURE: states, permits, admit, record, holds; its windows, history and permits below it |
//! | [`settings`], [`outcome`], [`name`], [`time`] | PURE: what a breaker is told, what counts, names, times |
//! | [`config`], [`places`] | options + `config.toml` + defaults; where files live |
//! | [`store`] | the state directory: lock, load, save; nobody else knows where state is |
//! | [`child`] | start, wait, pass on signals, keep the limit; `child::unix` holds the system calls and the `unsafe` |
//! | [`clock`], [`exit`] | the only reader of the clock; the exit codes of `cb` itself |
//! | [`report`] | table, JSON, metrics, lines on stderr |
//!
//! Imports run one way: `command` -> `config`, `store`, `child`, `report` -> the pure ones, which know no file, process,
//! environment or clock: they are told `now` and return values.
//!
//! # The budget of a run
//!
//! After what the C library does to start: one `sigaction` and one `sigprocmask` to ready ourselves, one failed `open` of
//! the configuration; then twice, to decide and to record, four looks (the directory, the file before it is opened, the
//! open file, the path again under the lock), `open`, `flock`, `pread`, `pwrite`, `close`; between them `sigprocmask`,
//! `clone` (which waits for the `exec`), `sigtimedwait`, `wait4`. A test counts them.
#![cfg_attr(not(test), no_main)]

mod breaker;
mod child;
mod cli;
mod clock;
mod command;
mod config;
mod entry;
mod exit;
#[cfg(test)]
mod fuzz;
mod name;
mod outcome;
mod places;
mod report;
mod settings;
mod store;
mod time;

use std::ffi::OsString;

use crate::child::unix;
use crate::command::{Context, usage};
use crate::exit::Exit;
use crate::report::speech::say;

/// The program, from its arguments to how it ends.
fn run(args: &[OsString]) -> Exit {
    let inherited = unix::take_over();
    let cli = match usage::parse(args) {
        Ok(cli) => cli,
        Err(exit) => return exit,
    };
    let outcome = Context::new(&cli.common, inherited).and_then(|context| command::dispatch(&cli.command, &context));
    outcome.unwrap_or_else(|error| {
        say(&format!("{error:#}"));
        Exit::Failed
    })
}

//! `cb` puts a circuit breaker around any command.
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

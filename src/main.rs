//! `cb` puts a circuit breaker around any command.
//!
//! # One run
//!
//! ```text
//! argv -> Setup -> Guard::enter: change(admit) -> child -> End -> Outcome
//!      -> Guard::leave: change(record) -> a line if the state changed -> end as the child did
//! ```
//!
//! | room | what is in it |
//! |---|---|
//! | [`entry`] | the C function `main` |
//! | [`cli`] | what a user can say: arguments and their help, no logic |
//! | [`command`] | one file per subcommand, which tells its story and decides nothing |
//! | [`context`] | what every command has |
//! | [`guard`] | one breaker as one caller sees it: enter, leave, observe, change |
//! | [`store`] | where breakers are kept; nobody else knows where, and by which clock |
//! | [`config`], [`locations`], [`environment`] | `config.toml`; where files live; the only reader of the environment |
//! | [`child`] | start the command, wait, pass on signals, keep the time limit; the file into which it writes headers |
//! | [`report`] | table, JSON, metrics, history, lines on stderr, all of one view |
//! | [`breaker`] | PURE: states and rules; [`breaker::stored`] is its form on disk |
//! | [`settings`] | PURE: what a run is told; `settings::rows` has one row for each setting |
//! | [`http`] | PURE: what the headers of HTTP answers say |
//! | [`outcome`], [`signals`], [`name`], [`time`], [`exit`] | PURE: what counts, names of signals and breakers, times, exit codes |
//! | [`sys`], [`clock`], [`chance`] | the facade of the platform, with all `unsafe`; the only reader of the clock; the only source of draws |
//!
//! Imports run one way: `command` -> `guard` -> `store`, `config`, `child`, `report` -> `breaker` -> `settings` -> the
//! rest, with `sys` on the ground. The PURE rooms know no file, process, environment or clock: they are told `now` and
//! return values.
//!
//! # The budget of a run
//!
//! The system calls of a run in their order, after those of the C library and beside a `brk` where the heap grows. A
//! test reads this table, and fails where a run makes others.
//!
//! | to | call | why |
//! |---|---|---|
//! | begin | `rt_sigaction` | SIGCHLD to its default, whatever the caller made of it |
//! | begin | `rt_sigprocmask` | SIGPIPE and SIGXFSZ are errors of a write, not our end |
//! | root elsewhere | `statx` | whose HOME is, where root's is not `/root` |
//! | begin | `openat` | the configuration of the user, which mostly is not there |
//! | begin | `openat` | that of the machine, likewise |
//! | decide | `getpid` | the number that a probe would be shown by |
//! | decide, record | `statx` | the state directory: no link, ours, not writable by others |
//! | decide, record | `geteuid` | whose it should be |
//! | decide, record | `statx` | the state file: what is no regular file must not even be opened |
//! | decide, record | `openat` | the state file, once to decide and once to record, kept no longer |
//! | decide, record | `flock` | its lock |
//! | decide, record | `statx` | the open file: its access rights, and which it is |
//! | decide, record | `statx` | what is at its path: still the same, not removed or replaced while we waited |
//! | decide, record | `pread64` | the state, whole |
//! | decide, record | `pwrite64` | the new one, in place |
//! | decide, record | `close` | gives up the lock |
//! | refuse | `ioctl` | whether somebody at a terminal is to be told |
//! | run | `rt_sigprocmask` | signals wait until we can pass them on |
//! | run | `clone` | the child, in our memory until it executes |
//! | in the child | `prctl` | it is killed when we are |
//! | in the child | `getppid` | unless we were before that |
//! | in the child | `rt_sigprocmask` | its signals are as we found them |
//! | run | `rt_sigtimedwait` | its end, or a signal for it |
//! | run | `wait4` | how it ended |
//! | end | `exit_group` | the end |
//! | descriptor | `fcntl` | with `--http`: whether the descriptor is free, before anything is opened |
//! | lend | `memfd_create` | the file for the headers, of which the child makes the descriptor |
//! | lend | `fcntl` | what is written to it is appended |
//! | read | `statx` | how much was written |
//! | read | `pread64` | what was written |
//! | forget | `close` | gives it up |
#![cfg_attr(not(test), no_main)]

mod breaker;
mod chance;
mod child;
mod cli;
mod clock;
mod command;
mod config;
mod context;
mod entry;
mod environment;
mod exit;
#[cfg(test)]
mod fuzz;
mod guard;
mod http;
mod locations;
mod name;
mod outcome;
#[cfg(test)]
mod paperwork;
mod report;
mod settings;
mod signals;
mod store;
mod sys;
mod time;

use std::ffi::OsString;

use crate::command::usage;
use crate::context::Context;
use crate::exit::Exit;
use crate::report::speech::say;

/// The program, from its arguments to how it ends.
fn run(args: &[OsString]) -> Exit {
    let inherited = sys::take_over();
    let cli = match usage::parse(args) {
        Ok(cli) => cli,
        Err(exit) => return exit,
    };
    command::dispatch(&cli.command, &Context::new(&cli.common, inherited)).unwrap_or_else(|error| {
        say(&format!("{error:#}"));
        Exit::Failed
    })
}

//! Runs that find trouble with the state.

use super::sandbox::Sandbox;

/// A run of breaker `a`, which prints `ran`.
pub const COMMAND: [&str; 6] = ["run", "-n", "a", "--", "echo", "ran"];

/// A run that must be unguarded, with this as its one warning.
#[track_caller]
pub fn unguarded(sandbox: &Sandbox, warning: &str) {
    sandbox.cb(COMMAND).stdout("ran\n").stderr(format!("cb: a: unguarded: {warning}\n")).run();
}

/// Under `--on-state-error refuse` the same trouble is 125, and nothing is started.
#[track_caller]
pub fn refused(sandbox: &Sandbox, warning: &str) {
    let args = ["run", "-n", "a", "--on-state-error", "refuse", "--", "echo", "ran"];
    sandbox.cb(args).code(125).stderr(format!("cb: {warning}\n")).run();
}

//! Test programs in Python, for what neither the standard library nor a shell can do: masks of signals, exact statuses,
//! terminals.

use std::fs;

use super::{Run, Sandbox, have};

/// A program that has imported `prelude.py` and makes its own assertions. `None` where there is no Python.
pub fn python(sandbox: &Sandbox, program: &str) -> Option<Run> {
    let path = |name: &str| sandbox.home().join(name);
    fs::write(path("prelude.py"), include_str!("prelude.py")).expect("the prelude");
    fs::write(path("program.py"), format!("from prelude import *\n{program}")).expect("the program");
    have("python3").then(|| sandbox.command("python3", ["-B".into(), path("program.py")]))
}

/// Runs a program in a sandbox of its own. It prints nothing if all is well, or what it skips.
#[track_caller]
pub fn check(program: &str) {
    let sandbox = Sandbox::new();
    let Some(run) = python(&sandbox, program) else { return };
    let printed = String::from_utf8_lossy(&run.any_stdout().run().stdout).into_owned();
    assert!(printed.is_empty() || printed.starts_with("skipped: "), "it printed {printed}");
    eprint!("{printed}");
}

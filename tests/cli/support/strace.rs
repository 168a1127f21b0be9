//! System calls, as strace sees them: which a command makes, and what becomes of it where one kills it or fails.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::process::{Command, Stdio};

use super::{CB, Run, Sandbox, have};

/// One system call of a command.
pub struct Call {
    /// Its name.
    pub name: String,
    /// Its number among the calls of this name, as strace counts.
    nth: usize,
    /// Whether it is one of ours: `main` begins with the first `rt_sigaction`.
    pub ours: bool,
    /// The line of the trace, with its arguments and what came back.
    pub line: String,
}

/// Whether processes can be traced here. Containers may forbid it.
pub fn can_trace() -> bool {
    if !have("strace") {
        return false;
    }
    let tried = Command::new("strace").args(["-o", "/dev/null", "true"]).stdin(Stdio::null()).output();
    let can = tried.is_ok_and(|output| output.status.success());
    if !can {
        eprintln!("skipped: no process can be traced here");
    }
    can
}

/// The system calls of `cb` with these arguments, in order, without the `execve` that starts it and those of its child.
#[track_caller]
pub fn calls(sandbox: &Sandbox, args: &[&str]) -> Vec<Call> {
    let trace = sandbox.work().join("trace");
    let words = [OsStr::new("-o"), trace.as_os_str(), OsStr::new(CB)].into_iter().chain(args.iter().map(OsStr::new));
    sandbox.command("strace", words).with(silent).spawn().wait().expect("it ends");
    let text = fs::read_to_string(&trace).expect("a trace");
    let mut counts = HashMap::new();
    let mut ours = false;
    let mut calls = Vec::new();
    for line in text.lines() {
        // Signals and the end begin with something else than a name.
        let Some((name, _)) = line.split_once('(').filter(|_| line.starts_with(|letter: char| letter.is_alphabetic()))
        else {
            continue;
        };
        if name == "execve" {
            // It begins before the process is ours to trace.
            continue;
        }
        let nth: &mut usize = counts.entry(name.to_owned()).or_default();
        *nth += 1;
        ours |= name == "rt_sigaction";
        calls.push(Call { name: name.to_owned(), nth: *nth, ours, line: line.to_owned() });
    }
    assert!(calls.iter().filter(|call| call.ours).count() > 10, "the trace of {args:?} is whole:\n{text}");
    calls
}

fn silent(command: &mut Command) {
    command.stdout(Stdio::null()).stderr(Stdio::null());
}

/// `cb` with these arguments and a fault at one of its calls: `signal=KILL`, `error=EIO`.
pub fn inject(sandbox: &Sandbox, call: &Call, what: &str, args: &[&str]) -> Run {
    let Call { name, nth, .. } = call;
    let trace = format!("trace={name}");
    let inject = format!("inject={name}:{what}:when={nth}");
    // If it hangs, `timeout` ends it with all its processes, and the code is 124.
    let words = ["-k", "1", "60", "strace", "-qqq", "-o", "/dev/null", "-e", &trace, "-e", &inject, CB];
    sandbox.command("timeout", words.into_iter().chain(args.iter().copied()))
}

//! What a run costs in system calls: a budget, which a change may lower, but not raise unseen.

use std::collections::BTreeMap;

use crate::strace::{Call, calls, can_trace};
use crate::support::Sandbox;

/// What the C library does in a static program before `main`; `execve` is not counted.
const BEFORE_MAIN: [(&str, &str); 13] = [
    ("brk", "where is the heap"),
    ("brk", "room for the thread's own variables"),
    ("arch_prctl", "where they are"),
    ("set_tid_address", "threads"),
    ("set_robust_list", "threads"),
    ("rseq", "threads"),
    ("prlimit64", "how large the stack is"),
    ("readlink", "where the program is"),
    ("getrandom", "a secret for the allocator"),
    ("brk", "a heap"),
    ("brk", "a heap"),
    ("brk", "a heap, to a whole page"),
    ("mprotect", "what is constant from now on"),
];

/// How often the heap may grow later, which depends on how much there is to read.
const HEAP: usize = 2;

/// What it takes to lock a breaker, to read it and to write it: twice in a run.
const CYCLE: [(&str, &str); 10] = [
    ("statx", "the state directory: no link, ours, not writable by others"),
    ("geteuid", "whose it should be"),
    ("statx", "the state file: what is no regular file must not even be opened"),
    ("openat", "the state file, once a cycle, kept no longer"),
    ("flock", "its lock"),
    ("statx", "the open file"),
    ("statx", "what is at its path: still the same, not removed or replaced while we waited"),
    ("pread64", "the state, whole"),
    ("pwrite64", "the new one, in place"),
    ("close", "gives up the lock"),
];

/// What a run does before it asks the breaker.
const BEGIN: [(&str, &str); 3] = [
    ("rt_sigaction", "SIGCHLD to its default, whatever the caller made of it"),
    ("rt_sigprocmask", "SIGPIPE and SIGXFSZ are errors of a write, not our end"),
    ("openat", "the configuration, which mostly is not there"),
];

/// The child.
const CHILD: [(&str, &str); 4] = [
    ("rt_sigprocmask", "signals wait until we can pass them on"),
    ("clone", "the child, in our memory until it executes"),
    ("rt_sigtimedwait", "its end, or a signal for it"),
    ("wait4", "how it ended"),
];

const END: [(&str, &str); 1] = [("exit_group", "the end")];

/// What the decision asks for while the breaker is locked.
const DECISION: [(&str, &str); 1] = [("getpid", "the number that a probe would be shown by")];

/// What only a refusal asks for.
const REFUSAL: [(&str, &str); 1] = [("ioctl", "whether somebody at a terminal is to be told")];

fn count<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    names.fold(BTreeMap::new(), |mut counts, name| {
        *counts.entry(name).or_default() += 1;
        counts
    })
}

#[track_caller]
fn is_within(sandbox: &Sandbox, args: &[&str], budget: &[&[(&str, &str)]]) {
    // Only a debug build asks, before it closes a descriptor, whether that is open.
    let calls: Vec<Call> = calls(sandbox, args).into_iter().filter(|call| !call.line.contains("F_GETFD")).collect();
    let trace = calls.iter().map(|call| &*call.line).collect::<Vec<_>>().join("\n");
    let before_main = calls.iter().filter(|call| !call.ours).count();
    let budget_before = BEFORE_MAIN.len();
    assert!(before_main <= budget_before, "{before_main} calls before main, its budget is {budget_before}:\n{trace}");

    let mut needed = count(calls.iter().filter(|call| call.ours).map(|call| &*call.name));
    let growth = needed.remove("brk").unwrap_or_default();
    assert!(growth <= HEAP, "{args:?} lets the heap grow {growth} times, its budget is {HEAP}:\n{trace}");
    let budget = count(budget.iter().copied().flatten().map(|(name, _)| *name));
    for (name, needed) in &needed {
        let allowed = budget.get(name).copied().unwrap_or_default();
        assert!(*needed <= allowed, "{args:?} makes {needed} calls of {name}, its budget is {allowed}:\n{trace}");
    }
    for name in budget.keys() {
        assert!(needed.contains_key(name), "{name} is in the budget of {args:?} and not needed:\n{trace}");
    }
    let total: usize = needed.values().sum();
    eprintln!("{total} system calls after {before_main} of the C library: cb {}", args.join(" "));
}

#[test]
fn a_guarded_run() {
    if !can_trace() {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 1);
    for command in ["true", "false"] {
        let budget: [&[_]; 6] = [&BEGIN, &DECISION, &CYCLE, &CHILD, &CYCLE, &END];
        is_within(&sandbox, &["run", "-n", "a", "--", command], &budget);
    }
}

#[test]
fn a_refused_run() {
    if !can_trace() {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.open_by("a", &["--cooldown", "1h"], 1);
    let budget: [&[_]; 5] = [&BEGIN, &DECISION, &CYCLE, &REFUSAL, &END];
    is_within(&sandbox, &["run", "-n", "a", "--", "true"], &budget);
}

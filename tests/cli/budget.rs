//! What a run costs in system calls: the budget in the documentation of the crate, call for call.

use std::fs;

use crate::support::strace::{Call, calls, can_trace};
use crate::support::{CB, Sandbox, is_root, linked_statically};

/// The calls of the C library in a static program before `main`, without `execve`.
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

/// How often the heap may grow later, by how much there is to read.
const HEAP: usize = 2;

/// The calls in the crate's documentation for this step, in order.
fn documented(step: &str) -> Vec<String> {
    documented_for(&[step])
}

/// The same for several steps.
fn documented_for(wanted: &[&str]) -> Vec<String> {
    let source =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/main.rs")).expect("the crate's documentation");
    let rows = source.lines().filter_map(|line| line.strip_prefix("//! | ")?.split_once(" | `"));
    let of_step = rows.filter(|(steps, _)| steps.split(", ").any(|step| wanted.contains(&step)));
    of_step.filter_map(|(_, rest)| Some(rest.split_once('`')?.0.to_owned())).collect()
}

#[track_caller]
fn is_as_documented(sandbox: &Sandbox, args: &[&str], steps: &[&str]) {
    // Only a debug build checks that a descriptor is open before it closes it.
    let calls: Vec<Call> = calls(sandbox, args).into_iter().filter(|call| !call.line.contains("F_GETFD")).collect();
    let trace = calls.iter().map(|call| &*call.line).collect::<Vec<_>>().join("\n");
    let before_main = calls.iter().filter(|call| !call.ours).count();
    let budget_before = BEFORE_MAIN.len();
    let within = before_main <= budget_before || !linked_statically();
    assert!(within, "{before_main} calls before main, its budget is {budget_before}:\n{trace}");

    let (growth, ours): (Vec<&str>, Vec<&str>) =
        calls.iter().filter(|call| call.ours).map(|call| &*call.name).partition(|&name| name == "brk");
    let growth = growth.len();
    assert!(growth <= HEAP, "{args:?} lets the heap grow {growth} times, its budget is {HEAP}:\n{trace}");
    // The sandbox is not root's usual home.
    let begin: &[&str] = if is_root() { &["begin", "root elsewhere"] } else { &["begin"] };
    let documented = |step: &&str| documented_for(if *step == "begin" { begin } else { std::slice::from_ref(step) });
    let expected: Vec<String> = steps.iter().flat_map(documented).collect();
    assert_eq!(ours, expected, "{args:?}:\n{trace}");
}

#[test]
fn a_guarded_run() {
    if !can_trace() {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 1);
    for command in ["true", "false"] {
        let args = ["run", "-n", "a", "--", command];
        is_as_documented(&sandbox, &args, &["begin", "decide", "run", "record", "end"]);
    }
}

#[test]
fn a_child_before_it_executes() {
    if !can_trace() {
        return;
    }
    let sandbox = Sandbox::new();
    let trace = sandbox.work().join("trace");
    let words = ["-f", "-o", "trace", CB, "run", "-n", "a", "--", "true"];
    sandbox.command("strace", words).run();
    let text = fs::read_to_string(trace).expect("a trace");
    let calls: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once(' ')).collect();
    let cb = calls.first().expect("a call").0;
    let of_child = calls.iter().filter(|call| call.0 != cb).filter_map(|call| call.1.trim_start().split_once('('));
    let names: Vec<&str> = of_child.map(|call| call.0).take_while(|name| *name != "execve").collect();
    assert_eq!(names, documented("in the child"), "{text}");
}

#[test]
fn a_run_that_is_judged_by_its_answers() {
    if !can_trace() {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 1);
    let args = ["run", "-n", "a", "--http", "--", "sh", "-c", "echo HTTP/1.1 200 OK >&3"];
    let steps = ["begin", "descriptor", "decide", "lend", "run", "read", "record", "forget", "end"];
    is_as_documented(&sandbox, &args, &steps);
}

#[test]
fn a_refused_run() {
    if !can_trace() {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.open_by("a", &["--cooldown", "1h"], 1);
    is_as_documented(&sandbox, &["run", "-n", "a", "--", "true"], &["begin", "decide", "refuse", "end"]);
    // To draw in a ramp costs no call.
    sandbox.cb(["record", "a", "success"]).any_stderr().run();
    let in_a_ramp = ["run", "-n", "a", "--ramp", "10000d", "--", "true"];
    is_as_documented(&sandbox, &in_a_ramp, &["begin", "decide", "refuse", "end"]);
}

/// The budget may shrink, but must not grow unseen.
#[test]
fn the_budget_is_no_larger_than_it_was() {
    let calls = |steps: &[&str]| steps.iter().map(|step| documented(step).len()).sum::<usize>();
    assert_eq!(calls(&["begin", "decide", "run", "record", "end"]), 30);
    assert_eq!(calls(&["begin", "decide", "refuse", "end"]), 17);
}

//! Each system call fails once, in every way. Either the command runs and its own status comes back, with one warning at
//! most, or it does not run and `cb` exits 125: never both, never a panic, never a failure that looks like a success.
//! See cb-contract(7) 3.19 to 3.22, 3.24 and 4.12.
//!
//! Left out, as they cannot fail so:
//! - what the C library does before `main`;
//! - `execve` and `exit_group`, which do not come back;
//! - `close`: Linux closes the descriptor even where it returns an error, but strace leaves it open;
//! - `brk`, which returns the break and no error (the C library then uses `mmap`);
//! - giving up a lock (`LOCK_UN`), for which the kernel needs nothing;
//! - `getpid` and its like, and `rt_sigprocmask` and `rt_sigaction` with arguments that are right.

use std::fs;
use std::os::unix::process::ExitStatusExt;

use crate::support::strace::{Call, calls, can_trace, inject};
use crate::support::{CB, Sandbox};

/// The ways in which a call fails.
const ERRORS: [&str; 8] = ["EIO", "ENOSPC", "EINTR", "EMFILE", "EACCES", "ENOMEM", "EROFS", "ENOLCK"];

/// Calls that cannot fail.
const SURE: [&str; 9] =
    ["exit_group", "brk", "close", "getpid", "getuid", "geteuid", "rt_sigprocmask", "rt_sigaction", "restart_syscall"];

/// The result of one run.
struct Outcome {
    code: i32,
    /// How often the command has run.
    ran: usize,
    stdout: String,
    stderr: String,
    /// The fault that was injected.
    fault: String,
}

impl Outcome {
    fn lines(&self) -> usize {
        self.stderr.lines().count()
    }

    /// The lines other than the warning that the configuration is left out.
    fn trouble(&self) -> &str {
        let left_out =
            |line: &str| line.starts_with("cb: could not read the configuration ") && line.contains("left out");
        if self.lines() == 1 && left_out(&self.stderr) { "" } else { &self.stderr }
    }
}

/// Makes each system call of `cb` with these arguments fail in every way, each time from the present state. The command
/// among the arguments writes a line into `ran`.
#[track_caller]
fn fails_everywhere(sandbox: &Sandbox, args: &[&str], judge: impl Fn(&Outcome)) {
    if !can_trace() {
        return;
    }
    let restore = sandbox.restorer("a");
    let ran = sandbox.work().join("ran");
    let calls = calls(sandbox, args);
    let can_fail = |call: &&Call| call.ours && !SURE.contains(&&*call.name) && !call.line.contains("LOCK_UN");
    let (mut faults, mut told) = (0, 0);
    for call in calls.iter().filter(can_fail) {
        for error in ERRORS {
            restore();
            drop(fs::remove_file(&ran));
            let output = inject(sandbox, call, &format!("error={error}"), args).output();
            let status = output.status;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            judge(&Outcome {
                code: status.code().or(status.signal().map(|signal| 128 + signal)).expect("it has ended"),
                ran: fs::read_to_string(&ran).map_or(0, |text| text.lines().count()),
                stdout: text(&output.stdout),
                stderr: text(&output.stderr),
                fault: format!("{error} at {}\nsays {}", call.line, text(&output.stderr)),
            });
            faults += 1;
            told += usize::from(!output.stderr.is_empty());
        }
    }
    assert!(told > 0, "some of {faults} faults make trouble");
    eprintln!("{faults} faults, {told} of them told: cb {}", args.join(" "));
}

const COMMAND: &str = "echo ran >>ran; exit 3";
const RUN: [&str; 9] = ["run", "-n", "a", "--cooldown", "1h", "--", "sh", "-c", COMMAND];

/// A run whose command exits 3.
#[track_caller]
fn is_let_through(sandbox: &Sandbox, options: &[&str]) {
    let args: Vec<&str> = RUN[..3].iter().chain(options).chain(&RUN[3..]).copied().collect();
    // News stand beside the warning.
    let told = |line: &&str| line.starts_with("cb: a: opened: ");
    fails_everywhere(sandbox, &args, |outcome| {
        let fault = &outcome.fault;
        assert_eq!(outcome.stdout, "", "{fault}");
        let warnings = outcome.stderr.lines().filter(|line| !told(line)).count();
        match (outcome.code, outcome.ran) {
            (3, 1) => assert!(warnings <= 1, "{fault}"),
            // Trouble of our own stops nothing, unless there is no process to be had.
            (125, 0) => {
                assert_eq!(outcome.lines(), 1, "{fault}");
                assert!(fault.contains(" at clone("), "{fault}");
            }
            other => panic!("{other:?}: {fault}"),
        }
    });
}

#[test]
fn a_run_of_a_new_breaker() {
    is_let_through(&Sandbox::new(), &[]);
}

#[test]
fn a_run_of_a_closed_breaker() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 1);
    is_let_through(&sandbox, &[]);
}

#[test]
fn a_run_that_opens_the_breaker() {
    let sandbox = Sandbox::new();
    for _ in 0..4 {
        sandbox.exits("a", &[], 1);
    }
    is_let_through(&sandbox, &[]);
}

/// A breaker that is open for an hour.
fn open() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.open_by("a", &["--cooldown", "1h"], 1);
    sandbox
}

#[test]
fn a_probe() {
    let sandbox = open();
    sandbox.shift("a", 3_600_000);
    is_let_through(&sandbox, &[]);
}

#[test]
fn a_run_that_is_refused() {
    fails_everywhere(&open(), &RUN, |outcome| {
        let fault = &outcome.fault;
        assert_eq!((outcome.ran, &*outcome.stdout), (0, ""), "{fault}");
        match outcome.code {
            75 => assert!(outcome.lines() <= 1, "{fault}"),
            125 => assert_eq!(outcome.lines(), 1, "{fault}"),
            other => panic!("{other}: {fault}"),
        }
    });
}

#[test]
fn a_run_whose_command_is_killed() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 1);
    let args = ["run", "-n", "a", "--", "sh", "-c", "echo ran >>ran; kill -TERM $$"];
    fails_everywhere(&sandbox, &args, |outcome| {
        let fault = &outcome.fault;
        match (outcome.code, outcome.ran) {
            // `cb` dies of the signal, or where it cannot, has the status.
            (143, 1) => assert!(outcome.lines() <= 1, "{fault}"),
            (125, 0) => assert_eq!(outcome.lines(), 1, "{fault}"),
            other => panic!("{other:?}: {fault}"),
        }
    });
}

#[test]
fn a_run_with_a_time_limit() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 1);
    is_let_through(&sandbox, &["--timeout", "1h"]);
}

#[test]
fn changes_by_hand() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 1);
    let start = sandbox.bytes("a");
    for (args, before, after) in [(["-q", "trip", "a"], "closed", "open"), (["-q", "reset", "a"], "open", "closed")] {
        if before == "open" {
            sandbox.cb(["trip", "a"]).run();
        }
        fails_everywhere(&sandbox, &args, |outcome| {
            let fault = &outcome.fault;
            assert_eq!(outcome.stdout, "", "{fault}");
            let state = sandbox.state("a");
            match outcome.code {
                0 => assert_eq!((outcome.trouble(), &*state), ("", after), "{fault}"),
                125 => assert_eq!((outcome.lines(), &*state), (1, before), "{fault}"),
                other => panic!("{other}: {fault}"),
            }
        });
        sandbox.put("a", &start);
    }
}

#[test]
fn a_report() {
    let sandbox = open();
    fails_everywhere(&sandbox, &["-q", "record", "a", "success"], |outcome| {
        let fault = &outcome.fault;
        assert_eq!(outcome.stdout, "", "{fault}");
        let state = sandbox.state("a");
        match (outcome.code, outcome.trouble()) {
            (0, "") => assert_eq!(state, "closed", "{fault}"),
            // The state could not be had.
            (0 | 125, _) => assert_eq!((outcome.lines(), &*state), (1, "open"), "{fault}"),
            other => panic!("{other:?}: {fault}"),
        }
    });
}

#[test]
fn a_permit() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 1);
    fails_everywhere(&sandbox, &["allow", "a"], |outcome| {
        let fault = &outcome.fault;
        match (outcome.code, &*outcome.stdout) {
            // The permit is `unguarded`, or could not be printed.
            (0, "unguarded\n") | (125, "") => assert_eq!(outcome.lines(), 1, "{fault}"),
            (0, permit) => assert_eq!((permit.lines().count(), outcome.trouble()), (1, ""), "{fault}"),
            other => panic!("{other:?}: {fault}"),
        }
    });
}

#[test]
fn nothing_is_told_of_what_was_not_kept() {
    if !can_trace() {
        return;
    }
    let sandbox = Sandbox::new();
    let path = sandbox.state_file("a").display().to_string();
    let full = format!(
        "could not write {path}: No space left on device; make room on the disk, or give another --state-dir\n"
    );
    // The first write is that of who asks, the second that of who reports.
    let fails = |nth: usize, args: &[&str], code: i32, told: &str| {
        let inject = format!("inject=pwrite64:error=ENOSPC:when={nth}");
        let words = ["-qqq", "-o", "/dev/null", "-e", "trace=pwrite64", "-e", &inject, CB];
        let run = sandbox.command("strace", words.iter().chain(args)).code(code);
        run.stderr(format!("cb: {told}{full}")).run();
    };
    let unrecorded = "a: could not record the result: ";
    let vain = ["run", "-n", "a", "--", "sh", "-c", "exit 75"];
    for _ in 0..4 {
        sandbox.cb(vain).code(75).run();
    }
    fails(2, &vain, 75, unrecorded);

    let window = |length| ["run", "-n", "a", "--failure-rate", "50", "--window", length, "--", "true"];
    sandbox.cb(window("5m")).run();
    fails(2, &window("6m"), 0, unrecorded);

    sandbox.cb(["trip", "a", "--for", "60"]).run();
    fails(1, &["trip", "a", "--for", "120"], 125, "");
    sandbox.cb(["trip", "a", "--for", "0"]).run();
    fails(1, &["run", "-v", "-n", "a", "--threshold", "7", "--", "true"], 0, "a: unguarded: ");
}

#[test]
fn those_who_look() {
    let sandbox = open();
    // A breaker that cannot be read is left out, with a warning.
    let all_or_one_line = |outcome: &Outcome, whole: &str| {
        let fault = &outcome.fault;
        match outcome.code {
            0 if outcome.stderr.is_empty() => assert!(outcome.stdout.contains(whole), "{fault}"),
            // Or the configuration cannot be read, and the built-in settings show it.
            0 => {
                let said = ["cb: a: left out: ", "cb: could not read the configuration "];
                assert!(said.iter().any(|said| outcome.stderr.starts_with(said)) && outcome.lines() == 1, "{fault}");
            }
            125 => assert_eq!(outcome.lines(), 1, "{fault}"),
            other => panic!("{other}: {fault}"),
        }
    };
    fails_everywhere(&sandbox, &["status", "--json"], |outcome| all_or_one_line(outcome, "\"a\""));
    fails_everywhere(&sandbox, &["status"], |outcome| all_or_one_line(outcome, "a"));
    fails_everywhere(&sandbox, &["history"], |outcome| all_or_one_line(outcome, "a"));
    fails_everywhere(&sandbox, &["metrics"], |outcome| all_or_one_line(outcome, "cb_state{"));
    fails_everywhere(&sandbox, &["check", "a"], |outcome| {
        let fault = &outcome.fault;
        match outcome.code {
            75 => assert!(outcome.lines() <= 1, "{fault}"),
            // It does not know, and says so.
            0 | 125 => assert_eq!(outcome.lines(), 1, "{fault}"),
            other => panic!("{other}: {fault}"),
        }
    });
}

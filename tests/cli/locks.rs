//! The lock of a breaker: its holder hangs, the file system refuses it, many wait for it.
//! See cb-contract(7) 3.19, 3.20, 4.3, 5.6 and 5.15.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use crate::support::strace::can_trace;
use crate::support::{Begun, CB, COMMAND, Sandbox, have, linked_statically, refused, unguarded};

/// Longer than anything here takes on any machine. Only a test that hangs reaches it.
const FOREVER: Duration = Duration::from_secs(60);

/// The kernel's list of locks.
fn kernel_list() -> String {
    fs::read_to_string("/proc/locks").expect("the kernel's list of locks")
}

/// Its lines about the lock of a file: `1: FLOCK ADVISORY WRITE pid device:inode 0 EOF`, with `->` for a waiter.
fn lines_about(path: &Path) -> Vec<String> {
    let inode = format!(":{}", fs::metadata(path).expect("the file").ino());
    let about = |line: &&str| line.contains("FLOCK") && line.split_whitespace().any(|word| word.ends_with(&inode));
    kernel_list().lines().filter(about).map(str::to_owned).collect()
}

/// How many processes wait for the lock of a file.
fn waiters(path: &Path) -> usize {
    lines_about(path).iter().filter(|line| line.contains("->")).count()
}

/// The process that holds the lock of a file.
fn holder(path: &Path) -> Option<String> {
    let lines = lines_about(path);
    let holder = lines.iter().find(|line| !line.contains("->"))?;
    holder.split_whitespace().nth(4).map(str::to_owned)
}

/// Asks until there is an answer.
#[track_caller]
fn until<T>(what: &str, ask: impl Fn() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < FOREVER, "never: {what}");
        std::thread::yield_now();
    }
}

fn ended_with(process: Child, code: i32, stderr: &str) {
    let output = process.wait_with_output().expect("it ends");
    let found = (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned());
    assert_eq!(found, (Some(code), stderr.to_owned()));
}

/// A process that holds the lock of a breaker's file until the test lets it go.
fn lock(sandbox: &Sandbox, name: &str) -> Option<Begun> {
    if !have("flock") {
        return None;
    }
    let path = sandbox.state_file(name);
    let script = ["sh", "-c", "echo started; read -r line"].map(AsRef::as_ref);
    Some(sandbox.command("flock", [path.as_os_str()].into_iter().chain(script)).begin())
}

/// The warning about a lock that cannot be had.
fn locked(sandbox: &Sandbox) -> String {
    format!(
        "could not lock {}: another process holds the lock; 'fuser -v' on the file says which",
        sandbox.state_file("a").display()
    )
}

/// Waits until a process waits for a lock, as the kernel shows it.
fn until_waiting(pid: u32) {
    let pid = pid.to_string();
    let waits = |line: &str| line.contains("-> FLOCK") && line.split_whitespace().any(|word| word == pid);
    until("it waits for the lock", || kernel_list().lines().any(waits).then_some(()));
}

#[test]
fn a_holder_that_is_frozen_delays_the_others_and_then_goes_on() {
    // A loader of shared libraries would be the first to call pread64.
    if !(can_trace() && linked_statically()) {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 1);
    let path = sandbox.state_file("a");
    let before = sandbox.bytes("a");
    // It stops between the lock and the first look at the state.
    let freeze = ["-qqq", "-o", "/dev/null", "-e", "trace=pread64", "-e", "inject=pread64:signal=STOP:when=1", CB];
    let frozen = sandbox.command("strace", freeze.into_iter().chain(["run", "-n", "a", "--", "false"])).spawn();
    let pid = until("the lock is held", || holder(&path));

    // After two seconds the run goes on unguarded.
    sandbox.runs("a", &[], 1).stderr(format!("cb: a: unguarded: {}\n", locked(&sandbox))).run();
    // Commands that only look show the old state at once.
    assert_eq!(sandbox.status("a")["consecutive_failures"], 1);
    assert_eq!(sandbox.bytes("a"), before);

    // A run that still waits gets its turn.
    let waiting = sandbox.runs("a", &[], 1).spawn();
    until("another waits", || (waiters(&path) == 1).then_some(()));
    sandbox.bash(&format!("kill -CONT {pid}")).run();
    ended_with(frozen, 1, "");
    ended_with(waiting, 1, "");
    let status = sandbox.status("a");
    assert_eq!((&status["consecutive_failures"], &status["totals"]["admitted"]), (&3.into(), &3.into()));
}

#[test]
fn a_file_system_without_locks_stops_nothing() {
    if !can_trace() {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.exits("closed", &[], 1);
    sandbox.open_by("open", &["--cooldown", "1h"], 1);
    let run = |name: &str, call: &str, error: &str, options: &[&str]| {
        let trace = format!("trace={call}");
        let inject = format!("inject={call}:error={error}");
        let words = ["-qqq", "-o", "/dev/null", "-e", &trace, "-e", &inject, CB, "run", "-n", name];
        sandbox.command("strace", words.iter().chain(options).chain(&["--", "echo", "ran"]))
    };
    for (error, text) in [("ENOLCK", "No locks available"), ("EOPNOTSUPP", "Operation not supported")] {
        for name in ["closed", "new"] {
            let path = sandbox.state_file(name);
            let trouble =
                format!("could not lock {}: {text}; give a --state-dir on a local file system\n", path.display());
            let content = || fs::read(&path).unwrap_or_default();
            let before = content();
            run(name, "flock", error, &[]).stdout("ran\n").stderr(format!("cb: {name}: unguarded: {trouble}")).run();
            let refuse = ["--on-state-error", "refuse"];
            run(name, "flock", error, &refuse).code(125).stderr(format!("cb: {trouble}")).run();
            assert_eq!(content(), before, "nothing is written");
        }
        run("open", "flock", error, &[]).code(75).run();
    }
}

#[test]
fn fifty_who_wait_each_get_their_turn() {
    // Nobody waits for longer than two seconds. If the machine is too busy to start fifty processes in that time, the
    // attempt proves nothing and is repeated.
    for _ in 0..20 {
        let sandbox = Sandbox::new();
        sandbox.exits("a", &["--threshold", "100"], 1);
        let path = sandbox.state_file("a");
        let Some(lock) = lock(&sandbox, "a") else { return };
        let started = Instant::now();
        let runs: Vec<_> = (0..50).map(|_| sandbox.runs("a", &["--threshold", "100"], 1).spawn()).collect();
        until("all wait", || (waiters(&path) == 50 || started.elapsed() > Duration::from_secs(2)).then_some(()));
        let looked = Instant::now();
        assert_eq!(sandbox.status("a")["consecutive_failures"], 1, "it is answered meanwhile");
        let answered = looked.elapsed();
        lock.ends(0);
        let in_time = started.elapsed() < Duration::from_millis(1500);
        if !in_time {
            for run in runs {
                drop(run.wait_with_output());
            }
            continue;
        }
        for run in runs {
            ended_with(run, 1, "");
        }
        assert!(answered < Duration::from_secs(1), "'cb status' took {answered:?}");
        let status = sandbox.status("a");
        assert_eq!((&status["consecutive_failures"], &status["totals"]["failures"]), (&51.into(), &51.into()));
        return;
    }
    panic!("fifty processes do not start within a second and a half");
}

#[test]
fn status_answers_while_many_write() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &["--threshold", "1000000"], 1);
    let file = File::open(sandbox.state_file("a")).expect("the state");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    sandbox.exits("a", &["--threshold", "1000000"], 1);
                }
            });
        }
        let mut before = 1;
        let started = Instant::now();
        while before < 101 {
            assert!(started.elapsed() < FOREVER, "some were not counted");
            let status = sandbox.status("a");
            assert!(status["error"].is_null(), "nothing is read half: {status}");
            let now = status["consecutive_failures"].as_u64().expect("a number");
            assert!(now >= before, "{now} after {before}");
            before = now;
        }
    });
    assert_eq!(file.metadata().expect("the state").len(), 4096);
}

// Held by a process that does nothing else.

#[test]
fn a_lock_that_is_not_given_up_delays_a_run_for_two_seconds() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 1);
    let before = sandbox.bytes("a");
    let Some(lock) = lock(&sandbox, "a") else { return };
    let started = Instant::now();
    unguarded(&sandbox, &locked(&sandbox));
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(2), "it waited only {took:?}");
    assert!(took < Duration::from_secs(4), "one wait, not two: {took:?}");
    assert_eq!(sandbox.bytes("a"), before, "it did not try to record");
    refused(&sandbox, &locked(&sandbox));
    sandbox.cb(["reset", "a"]).code(125).stderr(format!("cb: {}\n", locked(&sandbox))).run();
    lock.ends(0);
    sandbox.exits("a", &[], 1);
    assert_eq!(sandbox.status("a")["consecutive_failures"], 2);
}

#[test]
fn those_who_look_do_not_wait_for_the_lock() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 1);
    let Some(lock) = lock(&sandbox, "a") else { return };
    let started = Instant::now();
    assert_eq!(sandbox.status("a")["consecutive_failures"], 1);
    sandbox.cb(["check", "a"]).run();
    sandbox.cb(["status"]).any_stdout().run();
    assert!(started.elapsed() < Duration::from_secs(2), "three answers took {:?}", started.elapsed());
    // Where the text is unreadable, perhaps for a moment, they wait for the lock, but not for long.
    fs::write(sandbox.state_file("a"), "half of somethi").expect("the state file");
    let started = Instant::now();
    sandbox.cb(["check", "a"]).stderr_has("is not readable: it is not a state of cb").run();
    assert!(started.elapsed() < Duration::from_secs(1), "the answer took {:?}", started.elapsed());
    lock.ends(0);
}

#[test]
fn an_open_breaker_refuses_though_its_lock_cannot_be_had() {
    let sandbox = Sandbox::new();
    sandbox.open_by("a", &["--cooldown", "1h"], 1);
    let refused = sandbox.status("a")["totals"]["refused"].clone();
    let Some(lock) = lock(&sandbox, "a") else { return };
    sandbox.cb(COMMAND).code(75).run();
    lock.ends(0);
    assert_eq!(sandbox.status("a")["totals"]["refused"], refused, "without the lock nothing is counted");
}

#[test]
fn a_lock_that_is_held_when_the_command_has_ended_costs_its_result() {
    let sandbox = Sandbox::new();
    let run = sandbox.begin("a", &[]);
    let Some(lock) = lock(&sandbox, "a") else { return };
    run.ends_saying(3, &format!("cb: a: could not record the result: {}\n", locked(&sandbox)));
    lock.ends(0);
    assert_eq!(sandbox.status("a")["totals"]["failures"], 0);
}

#[test]
fn a_file_that_was_replaced_while_one_waited_for_it_is_opened_again() {
    let sandbox = Sandbox::new();
    sandbox.open_by("a", &["--cooldown", "1h"], 1);
    let open = sandbox.bytes("a");
    sandbox.cb(["reset", "a"]).run();
    let closed = sandbox.bytes("a");
    let Some(lock) = lock(&sandbox, "a") else { return };
    let old = File::open(sandbox.state_file("a")).expect("the state file");
    let run = sandbox.cb(COMMAND).spawn();
    until_waiting(run.id());
    fs::remove_file(sandbox.state_file("a")).expect("it is there");
    sandbox.put("a", &open);
    lock.ends(0);
    let output = run.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(75), 0), "the new file says that it is open");
    let mut left = Vec::new();
    std::io::Read::read_to_end(&mut &old, &mut left).expect("the old file");
    assert_eq!(left, closed, "the old file was not written");
    assert_eq!(sandbox.status("a")["totals"]["refused"], 1);
}

#[test]
fn waiters_are_served_when_the_lock_is_free() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 1);
    let Some(lock) = lock(&sandbox, "a") else { return };
    let runs: Vec<_> = (0..5).map(|_| sandbox.runs("a", &["--threshold", "100"], 1).spawn()).collect();
    for run in &runs {
        until_waiting(run.id());
    }
    lock.ends(0);
    for run in runs {
        let output = run.wait_with_output().expect("it ends");
        assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(1), ""));
    }
    assert_eq!(sandbox.status("a")["consecutive_failures"], 6);
}

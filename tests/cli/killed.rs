//! A process that is killed at any of its system calls leaves the old state or the new one: no mixture, no lock, no
//! litter.
//! See cb-contract(7) 1.27, 5.7 and 5.19.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use serde_json::Value;

use crate::support::strace::{calls, can_trace, inject};
use crate::support::{Sandbox, names_in};

/// The state after a death, in short.
fn view(sandbox: &Sandbox) -> (String, Value) {
    let output = sandbox.cb(["status", "--json"]).any_stdout().run();
    let document: Value = serde_json::from_slice(&output.stdout).expect("status prints JSON");
    let status = document["breakers"][0].clone();
    if status.is_null() {
        return ("nothing".to_owned(), status);
    }
    assert!(status["error"].is_null(), "the state is readable: {status}");
    let totals = &status["totals"];
    let view = format!(
        "{} row={} admitted={} failed={} succeeded={} opened={} abandoned={}",
        status["state"].as_str().expect("a state"),
        status["consecutive_failures"],
        totals["admitted"],
        totals["failures"],
        totals["successes"],
        totals["opened"],
        totals["abandoned"],
    );
    (view, status)
}

/// Kills `cb` with these arguments at each of its system calls in turn, each time from the present state. Every state
/// of the list must follow from some of them, and no other state may.
#[track_caller]
fn killed_everywhere(sandbox: &Sandbox, args: &[&str], allowed: &[&str]) {
    if !can_trace() {
        return;
    }
    let restore = sandbox.restorer("a");
    let calls = calls(sandbox, args);
    let mut found = BTreeSet::new();
    for call in &calls {
        restore();
        inject(sandbox, call, "signal=KILL", args).any_stdout().any_stderr().code(128 + 9).run();
        let (view, status) = view(sandbox);
        assert!(allowed.contains(&&*view), "killed at {}\nthere is {view}", call.line);
        // The next run works without a warning, and finds a place, wherever the last one died.
        let admits = status.is_null() || status["admits"] == true;
        let closes = admits && !status.is_null() && status["state"] != "closed";
        sandbox
            .cb(["run", "-n", "a", "--cooldown", "1h", "--", "true"])
            .code(if admits { 0 } else { 75 })
            .stderr(if closes { "cb: a: closed again: probe succeeded\n" } else { "" })
            .run();
        let after = sandbox.status("a");
        assert_eq!((&after["state"] == "closed", &after["probes"]), (admits, &Value::Array(Vec::new())));
        assert_eq!(names_in(&sandbox.state_dir()), ["a.json"], "killed at {}", call.line);
        found.insert(view);
    }
    assert_eq!(found, allowed.iter().map(|&state| state.to_owned()).collect());
    eprintln!("killed at {} system calls: cb {}", calls.len(), args.join(" "));
}

const FAILS: [&str; 7] = ["run", "-n", "a", "--cooldown", "1h", "--", "false"];

#[test]
fn a_run_of_a_new_breaker() {
    killed_everywhere(
        &Sandbox::new(),
        &FAILS,
        &[
            "nothing",
            // An empty file.
            "closed row=0 admitted=0 failed=0 succeeded=0 opened=0 abandoned=0",
            "closed row=0 admitted=1 failed=0 succeeded=0 opened=0 abandoned=0",
            "closed row=1 admitted=1 failed=1 succeeded=0 opened=0 abandoned=0",
        ],
    );
}

#[test]
fn a_run_of_a_closed_breaker() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 1);
    killed_everywhere(
        &sandbox,
        &FAILS,
        &[
            "closed row=1 admitted=1 failed=1 succeeded=0 opened=0 abandoned=0",
            "closed row=1 admitted=2 failed=1 succeeded=0 opened=0 abandoned=0",
            "closed row=2 admitted=2 failed=2 succeeded=0 opened=0 abandoned=0",
        ],
    );
}

#[test]
fn a_run_that_opens_the_breaker() {
    let sandbox = Sandbox::new();
    for _ in 0..4 {
        sandbox.exits("a", &[], 1);
    }
    killed_everywhere(
        &sandbox,
        &FAILS,
        &[
            "closed row=4 admitted=4 failed=4 succeeded=0 opened=0 abandoned=0",
            "closed row=4 admitted=5 failed=4 succeeded=0 opened=0 abandoned=0",
            "open row=5 admitted=5 failed=5 succeeded=0 opened=1 abandoned=0",
        ],
    );
}

/// A breaker whose next run is a probe.
fn due() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.open_by("a", &["--cooldown", "1h"], 1);
    sandbox.shift("a", 3_600_000);
    sandbox
}

#[test]
fn a_probe_that_fails() {
    killed_everywhere(
        &due(),
        &FAILS,
        &[
            "open row=5 admitted=5 failed=5 succeeded=0 opened=1 abandoned=0",
            "half_open row=5 admitted=6 failed=5 succeeded=0 opened=1 abandoned=1",
            "open row=6 admitted=6 failed=6 succeeded=0 opened=2 abandoned=0",
        ],
    );
}

#[test]
fn a_probe_that_closes_the_breaker() {
    killed_everywhere(
        &due(),
        &["run", "-n", "a", "--", "true"],
        &[
            "open row=5 admitted=5 failed=5 succeeded=0 opened=1 abandoned=0",
            "half_open row=5 admitted=6 failed=5 succeeded=0 opened=1 abandoned=1",
            "closed row=0 admitted=6 failed=5 succeeded=1 opened=1 abandoned=0",
        ],
    );
}

#[test]
fn a_run_that_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.open_by("a", &["--cooldown", "1h"], 1);
    killed_everywhere(&sandbox, &FAILS, &["open row=5 admitted=5 failed=5 succeeded=0 opened=1 abandoned=0"]);
}

#[test]
fn changes_by_hand() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 1);
    let closed = "closed row=1 admitted=1 failed=1 succeeded=0 opened=0 abandoned=0";
    let held = "open row=1 admitted=1 failed=1 succeeded=0 opened=1 abandoned=0";
    let reset = "closed row=0 admitted=1 failed=1 succeeded=0 opened=0 abandoned=0";
    let start = sandbox.bytes("a");
    killed_everywhere(&sandbox, &["trip", "a"], &[closed, held]);
    sandbox.put("a", &start);
    killed_everywhere(&sandbox, &["reset", "a"], &[closed, reset]);
}

#[test]
fn a_report() {
    let sandbox = due();
    killed_everywhere(
        &sandbox,
        &["record", "a", "success"],
        &[
            "open row=5 admitted=5 failed=5 succeeded=0 opened=1 abandoned=0",
            "closed row=0 admitted=5 failed=5 succeeded=1 opened=1 abandoned=0",
        ],
    );
}

/// The whole state, read under the lock, so that nobody is writing it.
#[track_caller]
fn whole_state(file: &File) -> Value {
    fs2::FileExt::lock_shared(file).expect("the lock");
    let mut bytes = vec![0; 8192];
    let length = file.read_at(&mut bytes, 0).expect("the state");
    fs2::FileExt::unlock(file).expect("the lock is given up");
    assert_eq!(length, 4096, "a state is one block");
    let state: Value = serde_json::from_slice(&bytes[..length]).expect("a state is JSON");
    assert_eq!(state["write"], state["end"], "it was written at once");
    state
}

#[test]
fn a_thousand_writers() {
    const DEATHS: usize = 1000;
    const OPTIONS: [&str; 2] = ["--threshold", "1000000"];
    let sandbox = Sandbox::new();
    let begin = Instant::now();
    for _ in 0..10 {
        sandbox.exits("a", &OPTIONS, 0);
    }
    let one_run = begin.elapsed() / 10;
    let file = File::open(sandbox.state_file("a")).expect("the state");
    let deaths = AtomicUsize::new(0);
    let started = AtomicUsize::new(10);
    thread::scope(|scope| {
        for worker in 0..4_u32 {
            let (sandbox, file, deaths, started) = (&sandbox, &file, &deaths, &started);
            scope.spawn(move || {
                // Any numbers will do, but each run of the test has the same.
                let mut random = 1 + worker;
                while deaths.load(Ordering::Relaxed) < DEATHS {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let report = ["record", "a", "failure"].into_iter().chain(OPTIONS);
                    let run = ["run", "-n", "a"].into_iter().chain(OPTIONS).chain(["--", "true"]);
                    let writer = if random >> 31 == 0 { sandbox.cb(report) } else { sandbox.cb(run) };
                    let mut writer = writer.spawn();
                    started.fetch_add(1, Ordering::Relaxed);
                    // Where it dies, not a wait for anything.
                    thread::sleep(one_run.mul_f64(f64::from(random >> 8 & 0xffff) / 131_072.0));
                    writer.kill().expect("it may have ended");
                    let output = writer.wait_with_output().expect("it is over");
                    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "none of them finds anything amiss");
                    deaths.fetch_add(usize::from(output.status.signal() == Some(9)), Ordering::Relaxed);
                    whole_state(file);
                }
            });
        }
    });
    let before = whole_state(&file);
    sandbox.exits("a", &OPTIONS, 0);
    let after = whole_state(&file);
    assert_eq!(after["write"].as_u64(), before["write"].as_u64().map(|write| write + 2));
    assert_eq!(names_in(&sandbox.state_dir()), ["a.json"]);
    let admitted = sandbox.status("a")["totals"]["admitted"].as_u64().expect("a number");
    let started = started.into_inner();
    assert!(admitted > 10, "some have written before they died");
    assert!(admitted <= started as u64 + 1);
    eprintln!("killed {} writers of {started}; {admitted} runs were admitted", deaths.into_inner());
}

//! Many processes at once, proved by counting.
//! See cb-contract(7) 1.25, 5.6 and 5.7.

use std::fs;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Output;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Sandbox, is_like, pick, unmeasured};

/// Longer than anything here takes on any machine. Only a test that hangs reaches it.
const FOREVER: Duration = Duration::from_secs(120);

/// A FIFO, held open on both sides, so that no open of it ever waits.
fn fifo(path: &Path) -> File {
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
    OpenOptions::new().read(true).write(true).open(path).expect("the fifo")
}

/// Many runs of one breaker. Their children come to a gate and wait there.
struct Crowd {
    sandbox: Sandbox,
    /// Children read from it until the test closes it.
    gate: File,
    /// One line for each child at the gate.
    arrived: Receiver<String>,
    /// The result of each run, as they end.
    ended: Receiver<Output>,
}

impl Crowd {
    /// Starts `count` runs at once.
    fn start(sandbox: Sandbox, count: usize, options: &[&str]) -> Self {
        let gate = fifo(&sandbox.work().join("gate"));
        let arrivals = fifo(&sandbox.work().join("arrivals"));
        let (sender, arrived) = channel();
        // The thread waits for lines until the tests are over: the FIFO never ends.
        std::thread::spawn(move || {
            for line in BufReader::new(arrivals).lines() {
                if sender.send(line.expect("a line")).is_err() {
                    return;
                }
            }
        });
        let script = "exec 3<gate; echo started >>started; echo started >arrivals; cat <&3";
        let (sender, ended) = channel();
        for _ in 0..count {
            let args = ["run", "-n", "a"].into_iter().chain(options.iter().copied()).chain(["--", "sh", "-c", script]);
            let process = sandbox.cb(args).spawn();
            let sender = sender.clone();
            std::thread::spawn(move || {
                // The test may have failed and stopped listening.
                drop(sender.send(process.wait_with_output().expect("it ends")));
            });
        }
        Self { sandbox, gate, arrived, ended }
    }

    /// The next run to end.
    fn next(&self) -> Output {
        self.ended.recv_timeout(FOREVER).expect("another run ends")
    }

    /// Waits until so many children are at the gate.
    fn wait_for_children(&self, count: usize) {
        for _ in 0..count {
            self.arrived.recv_timeout(FOREVER).expect("another child starts");
        }
    }

    /// Lets the children end. Once every run has ended, returns how many children there were and what the runs printed.
    fn end(self, runs: usize) -> (Sandbox, usize, String) {
        let Self { sandbox, gate, ended, .. } = self;
        drop(gate);
        let mut lines = String::new();
        for _ in 0..runs {
            let output = ended.recv_timeout(FOREVER).expect("another run ends");
            assert_eq!(output.status.code(), Some(0));
            lines.push_str(&String::from_utf8_lossy(&output.stderr));
        }
        let started = fs::read_to_string(sandbox.work().join("started")).expect("some have started").lines().count();
        (sandbox, started, lines)
    }
}

#[test]
fn no_failure_is_lost() {
    let sandbox = Sandbox::new();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    sandbox.exits("a", &["--threshold", "1000000"], 1);
                }
            });
        }
    });
    let status = sandbox.status("a");
    assert_eq!(status["consecutive_failures"], 400);
    assert_eq!((&status["totals"]["failures"], &status["totals"]["admitted"]), (&400.into(), &400.into()));
    assert_eq!(status["state"], "closed");
}

/// Fifty runs at once on a breaker that is due: exactly `probes` children start, the others are refused.
fn fifty(probes: usize, options: &[&str]) -> Value {
    let sandbox = Sandbox::new();
    sandbox.open_by("a", options, 1);
    sandbox.shift("a", 3_600_000);
    let crowd = Crowd::start(sandbox, 50, options);
    for _ in 0..50 - probes {
        let output = crowd.next();
        assert_eq!(output.status.code(), Some(75));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
    crowd.wait_for_children(probes);
    let status = crowd.sandbox.status("a");
    assert_eq!(status["probes"].as_array().map(Vec::len), Some(probes));
    assert_eq!(status["totals"]["refused"], 50 - probes);
    let (sandbox, started, lines) = crowd.end(probes);
    assert_eq!(started, probes);
    assert_eq!(unmeasured(&lines), "cb: a: closed again: probe succeeded\n", "one of them says it, once");
    sandbox.status("a")
}

#[test]
fn of_fifty_runs_one_probes() {
    let status = fifty(1, &["--cooldown", "1h"]);
    assert_eq!((&status["totals"]["late"], &status["totals"]["abandoned"]), (&0.into(), &0.into()));
}

#[test]
fn of_fifty_runs_three_probe_where_three_may() {
    // The first success closes, so the other two are late.
    let status = fifty(3, &["--cooldown", "1h", "--probes", "3"]);
    assert_eq!((&status["totals"]["late"], &status["totals"]["abandoned"]), (&2.into(), &0.into()));
}

#[test]
fn those_that_trip_at_the_same_time_open_it_once() {
    let sandbox = Sandbox::new();
    let options = &["--threshold", "1", "--cooldown", "1h"];
    let mut runs: Vec<_> = (0..8).map(|_| sandbox.begin("a", options)).collect();
    for run in &mut runs {
        run.release(1);
    }
    let mut lines = String::new();
    for run in runs {
        let output = run.wait();
        assert_eq!(output.status.code(), Some(1));
        lines.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    let line = "cb: a: opened: 1 failure in a row: exit 1; next try in 1h (<time>), or now with 'cb reset a'\n";
    assert!(is_like(line, &lines), "one of them says it, once: {lines}");
    let totals = &sandbox.status("a")["totals"];
    assert_eq!((&totals["opened"], &totals["failures"], &totals["late"]), (&1.into(), &1.into(), &7.into()));
}

/// Runs `cb` with these arguments, a line for each run, 64 at a time.
fn many(sandbox: &Sandbox, lines: &[String]) -> Output {
    fs::write(sandbox.work().join("lines"), lines.join("\n") + "\n").expect("the lines");
    let script = "ulimit -n 4096; exec xargs -a lines -P 64 -L 1 cb";
    sandbox.bash(script).code(123).any_stdout().any_stderr().run()
}

/// Two thousand runs over so many breakers, of which every third fails: every count is exact.
#[track_caller]
fn two_thousand(breakers: usize) {
    const RUNS: usize = 2000;
    let sandbox = Sandbox::new();
    let fails = |run: usize| (run / breakers) % 3 == 0;
    let line = |run: usize| {
        let command = if fails(run) { "false" } else { "true" };
        format!("run -n b{} --threshold 1000000 -- {command}", run % breakers)
    };
    let output = many(&sandbox, &(0..RUNS).map(line).collect::<Vec<_>>());
    assert_eq!(
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)),
        ("".into(), "".into())
    );
    let document = sandbox.cb(["status", "--json"]).any_stdout().run().stdout;
    let document: Value = serde_json::from_slice(&document).expect("status prints JSON");
    let found = document["breakers"].as_array().expect("a list");
    assert_eq!(found.len(), breakers);
    for breaker in found {
        let number: usize = breaker["name"].as_str().expect("a name")[1..].parse().expect("a number");
        let own = || (0..RUNS).filter(|run| run % breakers == number);
        let failures = own().filter(|&run| fails(run)).count();
        let counted = pick(
            breaker,
            ["totals.admitted", "totals.failures", "totals.successes", "totals.late", "totals.refused", "state"],
        );
        let runs = own().count();
        assert_eq!(counted, serde_json::json!([runs, failures, runs - failures, 0, 0, "closed"]), "b{number}");
    }
}

#[test]
fn two_thousand_runs_of_one_breaker_are_all_counted() {
    two_thousand(1);
}

#[test]
fn two_thousand_runs_of_eight_breakers_are_all_counted() {
    two_thousand(8);
}

#[test]
fn two_thousand_runs_of_a_hundred_breakers_are_all_counted() {
    two_thousand(100);
}

/// Two hundred runs ask a half-open breaker, 64 at a time. Probes say when they begin and when they end.
#[track_caller]
fn two_hundred(probes: usize) {
    const ASKERS: usize = 200;
    let sandbox = Sandbox::new();
    sandbox.open_by("a", &["--cooldown", "1h"], 1);
    sandbox.shift("a", 3_600_000);
    sandbox.script("probe", "echo + >>log; seq 5000 >seq.$$; echo - >>log");
    let settings = format!("--cooldown 1h --probes {probes} --probe-successes 1000");
    let line = format!("run -n a {settings} -- probe");
    let output = many(&sandbox, &vec![line.clone(); ASKERS]);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let log = fs::read_to_string(sandbox.work().join("log")).expect("some have probed");
    let (mut now, mut most, mut ran) = (0_usize, 0, 0_usize);
    for line in log.lines() {
        match line {
            "+" => (now, ran) = (now + 1, ran + 1),
            _ => now -= 1,
        }
        most = most.max(now);
    }
    assert_eq!(now, 0, "all have ended");
    assert!(most <= probes, "{most} at once, where {probes} may");
    assert!(ran < ASKERS, "they were many at once");
    let status = sandbox.status("a");
    let counted = pick(&status, ["state", "probe_successes", "totals.refused", "totals.abandoned", "probes"]);
    assert_eq!(counted, serde_json::json!(["half_open", ran, ASKERS - ran, 0, []]));
    // No run keeps a place: the next runs get all of them.
    let held: Vec<_> = (0..probes).map(|_| sandbox.begin("a", &settings.split(' ').collect::<Vec<_>>())).collect();
    sandbox.cb(line.split(' ')).code(75).run();
    for probe in held {
        probe.ends(0);
    }
    eprintln!("{ran} of {ASKERS} ran, at most {most} at once");
}

#[test]
fn of_two_hundred_one_at_a_time_probes() {
    two_hundred(1);
}

#[test]
fn of_two_hundred_three_at_a_time_probe() {
    two_hundred(3);
}

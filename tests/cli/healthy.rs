//! `--healthy-after`: for what does not end, as a tunnel, a worker, a service. That it runs on is its result.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::python::check;
use crate::support::{Sandbox, pick};

const SOON: [&str; 2] = ["--healthy-after", "100ms"];

/// A breaker whose next run is a probe.
fn due() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.open_by("a", &["--cooldown", "1h"], 1);
    sandbox.shift("a", 3_600_000);
    sandbox
}

/// Waits until a run of it has succeeded.
#[track_caller]
fn until_healthy(sandbox: &Sandbox) -> Value {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let status = sandbox.status("a");
        if status["totals"]["successes"] == 1 {
            return status;
        }
        assert!(Instant::now() < deadline, "it is never healthy: {status}");
    }
}

const RESULT: [&str; 4] = ["outcome", "exit_code", "signal", "took_ms"];

#[test]
fn a_probe_that_runs_well_closes_the_breaker_while_it_runs() {
    let sandbox = due();
    // It is never slow, however long it is.
    let slow = ["--slow-after", "10ms", "--slow-rate", "1", "--min-calls", "1", "--cooldown", "1h"];
    let probe = sandbox.begin("a", &[&SOON[..], &slow].concat());
    assert!(probe.probe);
    let status = until_healthy(&sandbox);
    assert_eq!(status["state"], "closed");
    assert_eq!(pick(&status["last"], RESULT), json!(["success", null, null, 100]));
    assert_eq!((&status["probes"], &status["window"]["slow"]), (&json!([]), &json!(0)));
    // It has told so already, and how it ends counts as nothing: no fifth failure of these.
    for _ in 0..4 {
        sandbox.exits("a", &[], 1);
    }
    probe.ends_saying(4, "cb: a: closed again: probe succeeded\n");
    let facts = ["state", "consecutive_failures", "totals.failures", "totals.successes", "totals.late"];
    assert_eq!(pick(&sandbox.status("a"), facts), json!(["closed", 4, 9, 1, 0]));
}

#[test]
fn before_that_it_is_judged_as_ever() {
    let sandbox = Sandbox::new();
    for (code, outcome) in [(0, "success"), (1, "failure"), (75, "ignored")] {
        sandbox.exits("a", &["--healthy-after", "1h"], code);
        assert_eq!(pick(&sandbox.status("a")["last"], ["outcome", "exit_code"]), json!([outcome, code]));
    }
    // 0 is never.
    sandbox.begin("a", &["--healthy-after", "0"]).ends(1);
    assert_eq!(pick(&sandbox.status("a")["last"], ["outcome", "exit_code"]), json!(["failure", 1]));
}

#[test]
fn a_limit_that_comes_later_counts_as_nothing() {
    let sandbox = Sandbox::new();
    let limit = ["run", "-n", "a", "--healthy-after", "100ms", "--timeout", "300ms", "--", "sleep", "60"];
    sandbox.cb(limit).code(124).run();
    let status = sandbox.status("a");
    assert_eq!(pick(&status["last"], RESULT), json!(["success", null, null, 100]));
    assert_eq!(pick(&status, ["totals.admitted", "totals.successes", "totals.failures"]), json!([1, 1, 0]));
}

#[test]
fn a_result_that_is_late_or_of_a_removed_breaker_is_so_at_that_moment() {
    let sandbox = Sandbox::new();
    let run = sandbox.begin("a", &["--healthy-after", "300ms"]);
    sandbox.cb(["reset", "a"]).run();
    let deadline = Instant::now() + Duration::from_secs(60);
    while sandbox.status("a")["totals"]["late"] != 1 {
        assert!(Instant::now() < deadline, "{}", sandbox.status("a"));
    }
    run.ends(1);
    assert_eq!(pick(&sandbox.status("a")["totals"], ["late", "failures", "successes"]), json!([1, 0, 0]));

    let run = sandbox.begin("a", &["--healthy-after", "1ms"]);
    sandbox.cb(["remove", "a"]).run();
    run.ends(1);
    assert!(!sandbox.state_file("a").exists(), "nothing is made anew");
}

#[test]
fn where_nothing_guards_it_is_a_run_as_any() {
    let sandbox = Sandbox::new();
    sandbox.runs("a", &SOON, 3).env("CB_DISABLED", "1").run();
    assert!(!sandbox.state_dir().exists());
    // A refusal that is overruled has no result but that it is late.
    sandbox.cb(["trip", "a"]).any_stderr().run();
    let run = sandbox.begin("a", &["--observe", "--healthy-after", "1ms"]);
    let deadline = Instant::now() + Duration::from_secs(60);
    while sandbox.status("a")["totals"]["late"] != 1 {
        assert!(Instant::now() < deadline, "{}", sandbox.status("a"));
    }
    run.ends(0);
    assert_eq!(sandbox.status("a")["totals"]["late"], 1, "once");
}

#[test]
fn what_would_end_it_sooner_is_an_error_that_names_both() {
    let sandbox = Sandbox::new();
    let error = |key: &str, bound: &str| {
        format!("cb: --{key}: {bound} is not longer than healthy-after, which is 5s: it would never be healthy\n")
    };
    for (options, key, bound) in [
        (&["--timeout", "5s"][..], "timeout", "5s"),
        (&["--timeout", "4999ms", "--lease", "1m"], "timeout", "4s 999ms"),
        (&["--timeout", "1m", "--probe-timeout", "3s"], "probe-timeout", "3s"),
        (&["--probe-timeout", "5s"], "probe-timeout", "5s"),
        (&["--lease", "5s"], "lease", "5s"),
    ] {
        let options = [&["--healthy-after", "5s"], options].concat();
        sandbox.runs("a", &options, 0).code(125).stderr(error(key, bound)).run();
    }
    for options in [&["--timeout", "5001ms"][..], &["--timeout", "0", "--probe-timeout", "0"], &["--lease", "5001ms"]] {
        sandbox.exits("a", &[&["--healthy-after", "5s"], options].concat(), 0);
    }
    sandbox.configure("[breakers.a]\nhealthy-after = '1m'\ntimeout = '10s'\n");
    let said = "config.toml:3: timeout: 10s is not longer than healthy-after, which is 1m: it would never be healthy \
                (healthy-after in line 2)\n";
    sandbox.runs("a", &[], 0).code(125).stderr_has(said).run();
    // Who starts nothing has no time, whatever the file says.
    sandbox.cb(["allow", "a"]).any_stdout().run();
    sandbox.cb(["record", "a", "success"]).run();
}

/// The hook hangs until the test lets it go; signals go to the command meanwhile, which ends by one.
#[test]
fn the_on_change_command_runs_beside_it() {
    check(
        r#"
subprocess.run(["cb", "trip", "x", "--for", "0"], check=True, stderr=subprocess.DEVNULL)
reports = Reports()
hook, gate = os.pipe(), os.pipe()
os.set_inheritable(hook[1], True)
os.set_inheritable(gate[0], True)
command = "echo $CB_FROM $CB_TO >&%d; read line <&%d; echo over >&%d" % (hook[1], gate[0], hook[1])
process = start(
    CB + ["--healthy-after", ".1", "--on-change", command] + reports.child("SIGTERM=7"), stderr=subprocess.PIPE)
for end_of_pipe in hook[1], gate[0]:
    os.close(end_of_pipe)
told = os.fdopen(hook[0])
same(reports.line(), "ready")
same(told.readline(), "half_open closed\n")
for number in signal.SIGUSR1, signal.SIGHUP:
    os.kill(process.pid, number)
    same(reports.line(), called(number) + " by cb")
same(last(), ["success", None, None, False])
os.kill(process.pid, signal.SIGTERM)
same(reports.line(), "SIGTERM by cb")
# The command has ended: cb waits for the hook.
os.write(gate[1], b"\n")
same(told.read(), "over\n")
same(end(process.pid), "exit 7")
same(__import__("re").sub(b"after [0-9a-z ]+:", b"after N:", process.stderr.read()), b"cb: x: closed again after N: probe succeeded\n")
same(last(), ["success", None, None, False])
"#,
    );
}

#[test]
fn the_on_change_command_has_its_10_s_beside_it() {
    check(
        r#"
subprocess.run(["cb", "trip", "x", "--for", "0"], check=True, stderr=subprocess.DEVNULL)
process = start(
    CB + ["--healthy-after", ".1", "--on-change", "exec sleep 60", "sh", "-c", "read line; exit 5"],
    stdin=subprocess.PIPE, stderr=subprocess.PIPE)
same(__import__("re").sub(b"after [0-9a-z ]+:", b"after N:", process.stderr.readline()), b"cb: x: closed again after N: probe succeeded\n")
same(process.stderr.readline(), b"cb: x: the on-change command took more than 10s and was ended\n")
process.stdin.close()
same(end(process.pid), "exit 5")
"#,
    );
}

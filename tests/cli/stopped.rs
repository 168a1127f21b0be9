//! `cb` killed by SIGKILL: the command goes with it; and with `--count-stopped` that is a failure.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::namespace::may_unshare;
use crate::support::python::check;
use crate::support::strace::{calls, can_trace, inject};
use crate::support::{Sandbox, have, pick};

/// Waits for the end of all that could write to a pipe, and fails where that does not come.
const GONE: &str = r#"
import select, time
def gone(reports):
    os.close(reports.writer)
    reports.writer = os.open(os.devnull, os.O_WRONLY)
    assert select.select([reports.reader], [], [], 60)[0], "it lives on"
    same(reports.rest(), [])
"#;

#[test]
fn sigkill_of_cb_takes_with_it_what_it_has_started() {
    check(&format!(
        r#"{GONE}
subprocess.run(["cb", "trip", "held"], stderr=subprocess.DEVNULL)
for options, name in (
    ([], "x"), (["--count-stopped"], "x"), (["--timeout", "9m"], "x"), (["--foreground", "--timeout", "9m"], "x"),
    (["--fallback", "SAYS"], "held"), (["--threshold", "1", "--on-change", "SAYS"], "opens"),
):
    reports = Reports()
    says = "echo ready >&%d; exec sleep 600" % reports.writer
    options = [says if option == "SAYS" else option for option in options]
    child = says if name == "x" else "exit 1"
    process = start(["cb", "run", "-n", name, *options, "--", "sh", "-c", child], stderr=subprocess.DEVNULL)
    same(reports.line(), "ready")
    os.kill(process.pid, signal.SIGKILL)
    same(end(process.pid), "died of SIGKILL")
    gone(reports)
"#
    ));
}

#[test]
fn what_the_command_has_started_lives_on() {
    check(
        r#"
reports = Reports()
process = start(CB + ["sh", "-c", '"$@" & echo $! >&$0; wait', str(reports.writer)] + reports.child("MARK=0"))
grandchild = int(reports.line())
same(reports.line(), "ready")
os.kill(process.pid, signal.SIGKILL)
same(end(process.pid), "died of SIGKILL")
os.kill(grandchild, MARK)
same(reports.rest(), ["MARK by another"])
"#,
    );
}

#[test]
fn killed_at_any_moment_it_leaves_nothing_behind() {
    check(&format!(
        r#"{GONE}
reports = Reports()
for delay in range(120):
    process = start(CB + ["--threshold", "999", "sleep", "600"])
    # Where it dies, not a wait for anything.
    time.sleep(delay / 10000)
    os.kill(process.pid, signal.SIGKILL)
    same(end(process.pid), "died of SIGKILL")
gone(reports)
"#
    ));
}

/// Its birth is held up until `cb` is dead: nobody would tell it of that any more.
#[test]
fn a_child_that_was_orphaned_before_it_could_know_does_not_start() {
    if !can_trace() {
        return;
    }
    check(
        r#"
slow = ["strace", "-qqq", "-f", "-o", "trace", "-e", "trace=prctl,getppid", "-e", "inject=prctl:delay_enter=1500000"]
process = start(slow + CB + ["touch", "started"])

def children(pid):
    try:
        return [int(child) for child in open("/proc/%d/task/%d/children" % (pid, pid)).read().split()]
    except FileNotFoundError:
        return []

# strace may have others, for a moment.
while not (parents := [child for child in children(process.pid) if children(child)]):
    assert process.poll() is None
cb = parents[0]
os.kill(cb, signal.SIGKILL)
process.wait()
assert not os.path.exists("started")
assert "getppid()" in open("trace").read(), open("trace").read()
"#,
    );
}

#[test]
fn a_parent_in_another_namespace_is_none_that_died() {
    // Without --fork: only the child of cb is in the new one.
    let options = ["--user", "--map-root-user", "--pid"];
    if !may_unshare(&options) {
        return;
    }
    let sandbox = Sandbox::new();
    let cb = ["cb", "run", "-n", "x", "--", "sh", "-c", "echo $$; exit 3"];
    sandbox.command("unshare", options.into_iter().chain(cb)).stdout("1\n").code(3).run();
}

#[test]
fn process_1_reaps_orphans() {
    let options = ["--user", "--map-root-user", "--pid", "--fork", "--mount-proc"];
    if !may_unshare(&options) || !have("ps") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.cb(["trip", "x", "--for", "0"]).any_stderr().run();
    let script = "for i in 1 2 3; do sh -c 'true &'; done; i=0\n\
                  while ps -o stat= --ppid 1 | grep -q Z; do i=$((i + 1)); [ $i -lt 500 ] || exit 9; done; exit 4";
    let cb = ["cb", "run", "-n", "x", "--healthy-after", "1ms", "--on-change", "sh -c 'true &'", "sh", "-c", script];
    let closed = "cb: x: closed again: probe succeeded\n";
    sandbox.command("unshare", options.into_iter().chain(cb)).code(4).stderr(closed).run();
}

// What that counts as.

const COUNTS: &str = "--count-stopped";

fn totals(sandbox: &Sandbox) -> Value {
    let facts = ["state", "totals.admitted", "totals.successes", "totals.failures", "totals.late", "totals.abandoned"];
    pick(&sandbox.status("a"), facts)
}

#[test]
fn the_sixth_that_is_killed_from_outside_is_refused() {
    let sandbox = Sandbox::new();
    let limited = format!("timeout -s KILL .05 cb run -n a {COUNTS} --cooldown 1h -- sleep 60");
    for _ in 0..5 {
        sandbox.bash(&limited).code(137).run();
    }
    // The fifth is found by the next that asks.
    assert_eq!(totals(&sandbox), json!(["closed", 5, 0, 4, 0, 0]));
    let opened = "cb: a: opened: 5 failures in a row: SIGKILL; next try in 1h (TIME), or now with 'cb reset a'\n";
    sandbox.bash(&limited).code(75).stderr_timeless(opened).run();
    assert_eq!(totals(&sandbox), json!(["open", 5, 0, 5, 0, 0]));
    let last = ["outcome", "exit_code", "signal", "timed_out", "took_ms"];
    assert_eq!(pick(&sandbox.status("a")["last"], last), json!(["failure", null, "SIGKILL", false, null]));
    assert_eq!(sandbox.status("a")["totals"]["refused"], 1);
    // Without the setting nothing counts, and nothing of it stands in the state.
    for _ in 0..6 {
        sandbox.bash(&limited.replace("-n a", "-n b").replace(COUNTS, "")).code(137).run();
    }
    sandbox.exits("b", &[COUNTS], 0);
    assert_eq!(sandbox.status("b")["totals"]["failures"], 0);
    sandbox.exits("c", &[], 0);
    assert!(!String::from_utf8_lossy(&sandbox.bytes("c")).contains("under_way"));
}

#[test]
fn a_limit_of_a_program_that_calls_cb_counts() {
    check(
        r#"
def limited():
    subprocess.run(CB + ["--count-stopped", "sleep", "60"], timeout=.05, stderr=subprocess.PIPE)
for _ in range(5):
    try:
        limited()
        raise AssertionError("it ended")
    except subprocess.TimeoutExpired:
        pass
refused = subprocess.run(CB + ["--count-stopped", "sleep", "60"], timeout=60, stderr=subprocess.PIPE)
same(refused.returncode, 75)
"#,
    );
}

#[test]
fn those_in_flight_are_never_taken_for_dead() {
    let sandbox = Sandbox::new();
    let options = [COUNTS, "--threshold", "99"];
    let mut runs: Vec<_> = (0..9).map(|_| sandbox.begin("a", &options)).collect();
    for _ in 0..3 {
        sandbox.exits("a", &options, 0);
    }
    assert_eq!(totals(&sandbox), json!(["closed", 12, 3, 0, 0, 0]));
    // Some with the setting and some without, at once; in the middle of the others.
    let mut without = sandbox.begin("a", &["--threshold", "99"]);
    without.kill();
    for index in [7, 4, 3, 0] {
        runs.remove(index).kill();
    }
    sandbox.exits("a", &["--threshold", "99"], 0);
    assert_eq!(totals(&sandbox), json!(["closed", 14, 4, 0, 0, 0]), "who asks without it finds nothing");
    sandbox.exits("a", &options, 0);
    assert_eq!(totals(&sandbox), json!(["closed", 15, 5, 4, 0, 0]));
    sandbox.exits("a", &options, 0);
    assert_eq!(totals(&sandbox), json!(["closed", 16, 6, 4, 0, 0]), "once");
    for run in runs {
        run.ends(1);
    }
    assert_eq!(totals(&sandbox), json!(["closed", 16, 6, 9, 0, 0]));
}

#[test]
fn all_that_were_killed_at_once_are_failures_and_judged_once() {
    let sandbox = Sandbox::new();
    let told = "[breakers.a]\ncount-stopped = true\ncooldown = '1h'\non-change = 'echo told: $CB_FROM $CB_TO'\n";
    sandbox.configure(told);
    let runs: Vec<_> = (0..8).map(|_| sandbox.begin("a", &[])).collect();
    for mut run in runs {
        run.kill();
    }
    // Those who only look: what is recorded, and what a run would be told.
    assert_eq!(totals(&sandbox), json!(["closed", 8, 0, 0, 0, 0]));
    sandbox.cb(["-q", "check", "a"]).code(75).run();
    assert_eq!(totals(&sandbox), json!(["closed", 8, 0, 0, 0, 0]));
    let opened = "cb: a: opened: 8 failures in a row: SIGKILL; next try in 1h (TIME), or now with 'cb reset a'\n";
    sandbox.runs("a", &[], 75).stderr_timeless(format!("{opened}told: closed open\n")).run();
    sandbox.runs("a", &[], 75).run();
    assert_eq!(totals(&sandbox), json!(["open", 8, 0, 8, 0, 0]));
}

#[test]
fn a_probe_that_was_killed_has_failed() {
    let sandbox = Sandbox::new();
    let options = [COUNTS, "--cooldown", "1h", "--probes", "3", "--probe-failures", "2"];
    sandbox.cb(["trip", "a", "--for", "0"]).any_stderr().run();
    let killed = |options: &[&str]| sandbox.begin("a", options).kill();
    killed(&options);
    let other = sandbox.begin("a", &options);
    assert_eq!(totals(&sandbox), json!(["half_open", 2, 0, 1, 0, 0]), "judged when the other asked");
    // The report of another, and who only looks, leave the next to be judged.
    killed(&options);
    assert_eq!(sandbox.status("a")["probes"].as_array().map(Vec::len), Some(1), "its place is free");
    other.ends(75);
    sandbox.runs("a", &options, 75).run();
    assert_eq!(totals(&sandbox), json!(["open", 3, 0, 2, 0, 0]));
    // Who asks without the setting, or orders, gives it up.
    for next in [&["run", "-n", "a", "--cooldown", "1h", "--", "sh", "-c", "exit 75"][..], &["reset", "a"]] {
        sandbox.cb(["reset", "a"]).run();
        sandbox.cb(["trip", "a", "--for", "0"]).any_stderr().run();
        let before = sandbox.status("a")["totals"].clone();
        killed(&options);
        sandbox.cb(next).code(if next[0] == "run" { 75 } else { 0 }).run();
        let after = sandbox.status("a")["totals"].clone();
        assert_eq!(after["abandoned"].as_u64(), before["abandoned"].as_u64().map(|count| count + 1), "{next:?}");
        assert_eq!(after["failures"], before["failures"]);
    }
}

#[test]
fn of_another_generation_file_or_boot_they_count_as_nothing() {
    let sandbox = Sandbox::new();
    let kill = || sandbox.begin("a", &[COUNTS]).kill();
    let next = |expected: Value| {
        sandbox.exits("a", &[COUNTS], 0);
        assert_eq!(pick(&sandbox.status("a")["totals"], ["failures", "late", "abandoned"]), expected);
    };
    kill();
    sandbox.cb(["reset", "a"]).run();
    next(json!([0, 0, 0]));
    // One of an older generation still holds its lock; it hides none of the newer ones, and counts none of them out.
    let old = sandbox.begin("a", &[COUNTS]);
    sandbox.cb(["reset", "a"]).run();
    kill();
    old.ends(1);
    next(json!([1, 1, 0]));
    kill();
    sandbox.cb(["remove", "a"]).run();
    next(json!([0, 0, 0]));
    // A copy is another file, where nobody has locks.
    let running = sandbox.begin("a", &[COUNTS]);
    sandbox.bash("cd ~/.cache/cb && cp -p a.json copy && mv copy a.json").run();
    next(json!([0, 0, 0]));
    running.ends(1);
    kill();
    next(json!([2, 0, 0]));
    // The first letters say how long the numbers are; the next are the boot and the file.
    kill();
    let text = String::from_utf8(sandbox.bytes("a")).expect("text");
    let at = text.find("\"under_way\":\"").expect("runs under way") + "\"under_way\":\"".len() + 6 + 5;
    let other = if &text[at..=at] == "A" { "B" } else { "A" };
    sandbox.put("a", format!("{}{other}{}", &text[..at], &text[at + 1..]));
    next(json!([2, 0, 0]));
}

#[test]
fn one_that_is_healthy_gives_its_lock_back() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.begin("a", &[COUNTS, "--healthy-after", "1ms"]);
    let deadline = Instant::now() + Duration::from_secs(60);
    while sandbox.status("a")["totals"]["successes"] != 1 {
        assert!(Instant::now() < deadline, "it is never healthy");
    }
    run.kill();
    sandbox.exits("a", &[COUNTS], 0);
    assert_eq!(totals(&sandbox), json!(["closed", 2, 2, 0, 0, 0]));
}

#[test]
fn disabled_or_overruled_they_change_nothing() {
    let sandbox = Sandbox::new();
    let options = [COUNTS, "--threshold", "1", "--cooldown", "1h"];
    sandbox.cb(["disable", "a"]).any_stderr().run();
    sandbox.begin("a", &options).kill();
    sandbox.exits("a", &options, 0);
    assert_eq!(totals(&sandbox), json!(["closed", 2, 1, 1, 0, 0]));
    sandbox.cb(["reset", "a"]).run();
    sandbox.cb(["trip", "a"]).run();
    // It was not let in, so that it is not missed.
    sandbox.begin("a", &[COUNTS, "--observe"]).kill();
    sandbox.runs("a", &options, 75).run();
    assert_eq!(totals(&sandbox), json!(["open", 2, 1, 1, 0, 0]));
}

#[test]
fn who_waits_finds_them_too() {
    let sandbox = Sandbox::new();
    let options = [COUNTS, "--threshold", "1", "--cooldown", "1h"];
    sandbox.begin("a", &options).kill();
    let opened = "cb: a: opened: 1 failure in a row: SIGKILL; next try in 1h (TIME), or now with 'cb reset a'\n";
    sandbox.runs("a", &[&options[..], &["--wait=1ms"]].concat(), 75).stderr_timeless(opened).run();
    assert_eq!(totals(&sandbox), json!(["open", 1, 0, 1, 0, 0]));
}

#[test]
fn one_that_can_have_no_lock_is_not_missed() {
    if !can_trace() {
        return;
    }
    for error in ["ENOLCK", "EINVAL"] {
        let sandbox = Sandbox::new();
        let inject = format!("inject=fcntl:error={error}");
        let script = "echo started; read -r line";
        let traced = ["-qqq", "-o", "/dev/null", "-e", "trace=fcntl", "-e", &inject, "cb", "run", "-n", "a", COUNTS];
        let begun = sandbox.command("strace", traced.into_iter().chain(["--", "sh", "-c", script])).begin();
        let pid = sandbox.bash(&format!("ps -o pid= --ppid {}", begun.id())).any_stdout().run().stdout;
        sandbox.bash(&format!("kill -KILL {}", String::from_utf8_lossy(&pid).trim())).run();
        drop(begun.wait());
        sandbox.exits("a", &[COUNTS], 0);
        assert_eq!(totals(&sandbox), json!(["closed", 2, 1, 0, 0, 0]), "{error}");
    }
}

/// Wherever it dies: who was let in is judged once, and the next finds nothing more.
#[test]
fn killed_at_each_system_call_it_is_judged_once() {
    if !can_trace() {
        return;
    }
    let due = || {
        let sandbox = Sandbox::new();
        sandbox.cb(["trip", "a", "--for", "0"]).any_stderr().run();
        sandbox
    };
    for (sandbox, args) in [
        (Sandbox::new(), ["run", "-n", "a", COUNTS, "--threshold=99", "true"]),
        (Sandbox::new(), ["run", "-n", "a", COUNTS, "--threshold=99", "false"]),
        (due(), ["run", "-n", "a", COUNTS, "--cooldown=0", "false"]),
        (due(), ["run", "-n", "a", COUNTS, "--cooldown=0", "true"]),
    ] {
        let restore = sandbox.restorer("a");
        let calls = calls(&sandbox, &args);
        let mut failures = BTreeSet::new();
        for call in &calls {
            restore();
            inject(&sandbox, call, "signal=KILL", &args).any_stdout().any_stderr().code(137).run();
            for _ in 0..2 {
                let options = [COUNTS, "--threshold=99", "--cooldown=0"];
                sandbox.runs("a", &options, 0).any_stderr().run();
                let totals = sandbox.status("a")["totals"].clone();
                let count = |key: &str| totals[key].as_u64().expect("a number");
                let judged = count("successes") + count("failures");
                assert_eq!(count("admitted"), judged, "killed at {}: {totals}", call.line);
                assert_eq!((count("late"), count("abandoned")), (0, 0), "killed at {}: {totals}", call.line);
                failures.insert(count("failures"));
            }
        }
        assert_eq!(failures, BTreeSet::from([0, 1]), "{args:?}");
    }
}

/// Many at once, and those of them that are killed at any moment.
#[test]
fn of_many_that_are_killed_each_is_judged_once() {
    let sandbox = Sandbox::new();
    let options = [COUNTS, "--threshold", "1000000"];
    thread::scope(|scope| {
        for worker in 0..4_u32 {
            let (sandbox, options) = (&sandbox, &options);
            scope.spawn(move || {
                // Any numbers will do; these are the same each time.
                let mut random = 1 + worker;
                for _ in 0..60 {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let run = ["run", "-n", "a"].iter().chain(options).chain(&["--", "sleep", ".01"]);
                    let mut run = sandbox.cb(run).spawn();
                    // Where it dies, not a wait for anything.
                    thread::sleep(Duration::from_micros(u64::from(random >> 8) % 25_000));
                    run.kill().expect("it may have ended");
                    let output = run.wait_with_output().expect("it is over");
                    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
                }
            });
        }
    });
    sandbox.exits("a", &options, 0);
    let totals = sandbox.status("a")["totals"].clone();
    let count = |key: &str| totals[key].as_u64().expect("a number");
    assert_eq!(count("admitted"), count("successes") + count("failures"), "{totals}");
    assert!(count("failures") > 0 && count("successes") > 1, "some of both: {totals}");
}

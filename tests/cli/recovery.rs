//! How a service that was away gets its runs back: step by step where that is asked for, and not at once where it flaps.
//! See cb-contract(7) 1.57 and 1.58.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Sandbox, millis, pick};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// Opens `a`, and lets a probe close it.
fn recover(sandbox: &Sandbox, options: &[&str]) {
    let options = [&["--threshold", "1"], options].concat();
    sandbox.runs("a", &options, 1).any_stderr().run();
    sandbox.shift("a", 24 * HOUR);
    sandbox.runs("a", &options, 0).any_stderr().run();
    assert_eq!(sandbox.state("a"), "closed");
}

/// How many of a hundred that ask by `cb check` would be let through, by the configuration.
fn let_through(sandbox: &Sandbox) -> usize {
    let code = || sandbox.cb(["check", "a"]).output().status.code();
    (0..100).map(|_| code()).filter(|code| *code == Some(0)).count()
}

#[test]
fn in_a_ramp_the_share_of_runs_that_pass_grows() {
    let sandbox = Sandbox::new();
    sandbox.configure("[defaults]\nramp = \"100h\"\n");
    recover(&sandbox, &[]);
    let before = sandbox.bytes("a");
    let mut shares = vec![let_through(&sandbox)];
    assert_eq!(sandbox.bytes("a"), before, "to ask writes nothing");
    for _ in 0..2 {
        sandbox.shift("a", 50 * HOUR);
        shares.push(let_through(&sandbox));
    }
    let &[first, half, last] = shares.as_slice() else { panic!("three shares") };
    // Six standard deviations are no chance.
    assert!(first <= 10 && (20..=80).contains(&half) && last == 100, "{shares:?}");
}

#[test]
fn runs_and_permits_draw_as_well_and_each_anew() {
    let sandbox = Sandbox::new();
    recover(&sandbox, &[]);
    sandbox.shift("a", 50 * HOUR);
    let mut passed = [0; 2];
    for _ in 0..60 {
        let options = ["-n", "a", "--ramp", "100h", "--", "true"];
        passed[0] += usize::from(sandbox.cb(["run"].iter().chain(&options)).output().status.success());
        passed[1] += usize::from(sandbox.cb(["allow", "a", "--ramp", "100h"]).output().status.success());
    }
    assert!(passed.iter().all(|passed| (6..=54).contains(passed)), "{passed:?}");
    // What one that does not pass has counted is its refusal.
    let totals = sandbox.status("a")["totals"].clone();
    let passed: usize = passed.iter().sum();
    assert_eq!((&totals["admitted"], &totals["refused"]), (&json!(2 + passed), &json!(120 - passed)));
}

#[test]
fn a_refusal_in_a_ramp_says_so_and_when_its_turn_comes() {
    let sandbox = Sandbox::new();
    recover(&sandbox, &["--ramp", "10000d"]);
    let told = "cb: a: refused, closed again, letting runs in step by step; next try in ";
    let refused = sandbox.cb(["run", "-n", "a", "-v", "--threshold", "1", "--ramp", "10000d", "--", "true"]).code(75);
    refused.stderr_has(told).stderr_has("or now with 'cb reset a'\n").run();
    sandbox.runs("a", &["--threshold", "1", "--ramp", "10000d"], 0).code(75).run();
    let json = sandbox.cb(["allow", "a", "--json", "--ramp", "10000d"]).code(75).any_stdout().run().stdout;
    let json: Value = serde_json::from_slice(&json).expect("JSON");
    let (refused, since) = (&json["refused"], millis(&sandbox.status("a")["since"]));
    assert_eq!(refused["reason"], "closed again, letting runs in step by step");
    assert!((since..since + 864_000_000_000).contains(&millis(&refused["retry_at"])), "{refused}");
    assert!(refused["retry_in_ms"].as_u64() > Some(0));
    sandbox.cb(["reset", "a", "-q"]).run();
    sandbox.exits("a", &["--threshold", "1", "--ramp", "10000d"], 0);
}

#[test]
fn json_and_the_table_show_a_ramp() {
    let sandbox = Sandbox::new();
    recover(&sandbox, &["--ramp", "1h"]);
    let status = sandbox.status("a");
    assert_eq!(
        pick(&status, ["state", "mode", "admits", "retry_at", "retry_in_ms"]),
        json!(["closed", "normal", null, null, null])
    );
    assert_eq!(millis(&status["ramp_until"]) - millis(&status["since"]), 3_600_000);
    sandbox.cb(["status"]).stdout_has("closed  0/1       within ").stdout_has("letting runs in step by step\n").run();
    sandbox
        .cb(["status", "a"])
        .stdout_has("  next try:     within ")
        .stdout_has("  ramp:         letting runs in step by step until 20")
        .run();
    sandbox.cb(["metrics"]).stdout_has("cb_retry_seconds{name=\"a\"} 0\n").run();
    let admits = |mode: &str| pick(&sandbox.status("a"), ["mode", "admits", "ramp_until"]) == json!([mode, true, null]);
    sandbox.cb(["disable", "a", "-q"]).run();
    assert!(admits("disabled"), "all pass while it is disabled");
    sandbox.cb(["enable", "a", "-q"]).run();
    assert_eq!(sandbox.status("a")["admits"], Value::Null);
    sandbox.shift("a", HOUR);
    assert!(admits("normal"), "it is over");
    sandbox.cb(["status"]).stdout_has("closed  0/1       now ").stdout_has("exit 1, 1d ago\n").run();
}

#[test]
fn a_run_that_waits_keeps_its_place_in_a_ramp() {
    let sandbox = Sandbox::new();
    let options = &["--threshold", "1", "--ramp", "2s"];
    sandbox.runs("a", options, 1).any_stderr().run();
    sandbox.shift("a", HOUR);
    let waits = [&options[..], &["--wait=1m"]].concat();
    sandbox.runs("a", options, 0).any_stderr().run();
    let closed = Instant::now();
    for _ in 0..3 {
        sandbox.exits("a", &waits, 0);
    }
    assert!(closed.elapsed() < Duration::from_secs(30), "its turn comes within the ramp: {:?}", closed.elapsed());
    assert_eq!(pick(&sandbox.status("a"), ["totals.refused", "totals.successes"]), json!([0, 4]));
    // Who gives up before his turn is refused once.
    let ramp = &["--threshold", "1", "--ramp", "10000d", "--wait=1ms"];
    sandbox.runs("a", ramp, 0).code(75).run();
    assert_eq!(sandbox.status("a")["totals"]["refused"], 1);
}

#[test]
fn a_run_that_observes_is_refused_in_a_ramp_and_goes_on() {
    let sandbox = Sandbox::new();
    recover(&sandbox, &[]);
    sandbox.exits("a", &["--observe", "--ramp", "10000d"], 3);
    assert_eq!(pick(&sandbox.status("a"), ["totals.refused", "totals.late", "totals.failures"]), json!([1, 1, 1]));
    // And where a fallback is given, that is run.
    let fallback = ["run", "-n", "a", "--ramp", "10000d", "--fallback", "echo instead", "--", "false"];
    sandbox.cb(fallback).stdout("instead\n").run();
}

#[test]
fn a_success_that_is_reported_begins_a_ramp_and_a_reset_none() {
    let sandbox = Sandbox::new();
    let ramp = &["--threshold", "1", "--ramp", "10000d"];
    sandbox.runs("a", ramp, 1).any_stderr().run();
    sandbox.cb(["record", "a", "success"]).any_stderr().run();
    sandbox.runs("a", ramp, 0).code(75).run();
    for by_hand in [["reset", "a"].as_slice(), &["trip", "a"], &["reset", "a"]] {
        sandbox.cb(by_hand.iter().chain(&["-q"])).run();
    }
    sandbox.exits("a", ramp, 0);
}

#[test]
fn a_state_that_can_only_be_read_refuses_in_a_ramp_as_well() {
    let sandbox = Sandbox::unprivileged();
    let ramp = &["--threshold", "1", "--ramp", "10000d"];
    recover(&sandbox, ramp);
    sandbox.command("chmod", ["0400", sandbox.state_file("a").to_str().expect("text")]).run();
    sandbox.runs("a", ramp, 0).code(75).run();
    sandbox.command("chmod", ["0600", sandbox.state_file("a").to_str().expect("text")]).run();
    sandbox.runs("a", ramp, 0).code(75).run();
}

#[test]
fn a_crowd_that_comes_back_is_let_in_by_degrees_and_counted_to_the_last() {
    let sandbox = Sandbox::new();
    recover(&sandbox, &[]);
    sandbox.shift("a", 50 * HOUR);
    let crowd: Vec<_> =
        (0..60).map(|_| sandbox.cb(["run", "-n", "a", "--ramp", "100h", "--", "true"]).spawn()).collect();
    let passed = crowd.into_iter().filter_map(|run| run.wait_with_output().ok()).filter(|run| run.status.success());
    let passed = passed.count();
    assert!((6..=54).contains(&passed), "{passed} of 60");
    let totals = pick(&sandbox.status("a"), ["totals.admitted", "totals.refused", "totals.successes"]);
    assert_eq!(totals, json!([2 + passed, 60 - passed, 1 + passed]));
}

#[test]
fn a_service_that_flaps_is_asked_less_and_less() {
    let sandbox = Sandbox::new();
    let options = &["--threshold", "1", "--cooldown", "1m", "--backoff", "2", "--backoff-reset", "1h"];
    let mut spans = Vec::new();
    for after in [1, 1, 1, 59, 60, 1] {
        sandbox.runs("a", options, 1).any_stderr().run();
        let status = sandbox.status("a");
        spans.push((millis(&status["retry_at"]) - millis(&status["since"])) / 60_000);
        sandbox.shift("a", HOUR);
        sandbox.runs("a", options, 0).any_stderr().run();
        sandbox.shift("a", after * MINUTE - 30_000);
        assert_eq!(sandbox.state("a"), "closed");
        if after == 60 {
            sandbox.shift("a", 30_000);
        }
    }
    assert_eq!(spans, [1, 2, 4, 8, 16, 1]);
}

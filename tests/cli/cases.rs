//! The histories of other breakers in `tests/cases/breaker.json`, replayed: each step is a process, and time moves in the
//! state file. See cb-contract(7) 1.4 to 1.28, 1.32, 1.35 and 1.40 to 1.44.
//!
//! A millisecond of a case is ten seconds here. So the moments between two processes never add up to one, and "exactly
//! then" and "just before" hold under any load.
//!
//! The policy of a case becomes options:
//!
//! | policy | options |
//! |---|---|
//! | `trip` `consecutive` N | `--threshold N` |
//! | `trip` `rate_time`, `rate_count` | `--failure-rate`, `--window`, `--min-calls` |
//! | `trip` `failures_in_window` N in D | `--failure-budget N/D` |
//! | `trip` `failures_of_last` K of N | `--failure-rate`, `--window N`, `--min-calls`, `--threshold K`, see [`of_last`] |
//! | `slow` | `--slow-after`, `--slow-rate` |
//! | `open` `ms` | `--cooldown` |
//! | `half_open` `limit`, none is no limit | `--probes`, at most 16 |
//! | `half_open` `close_successes`, else `decide_after` | `--probe-successes` |
//! | `half_open` `open_failures`, else `open_rate` of `decide_after` | `--probe-failures` |
//! | `half_open` `takeover_ms` | `--lease` |
//! | `ignored` `neutral`, `success` | `--ignore-codes` or `--success-codes` for the exit code that stands for it |
//!
//! and its steps become commands:
//!
//! | step | command |
//! |---|---|
//! | `call` | `cb run`; where it says how long it took, `cb allow` and `cb record --took` |
//! | `begin`, `end` | `cb run` whose child waits, and once more as `cb allow` and `cb record` |
//! | `observe` | nothing but the look that follows every step |
//! | `force_open` for a time, else for the cool-down | `cb trip --for` |
//! | `force_half_open` | `cb trip --for 0`: open with a probe due, which shows as `half_open` once a run asks |
//! | `hold_open` | `cb trip` |
//! | `metrics_only`, `disable` | `cb disable` |
//! | `force_closed`, `reset` | `cb reset` |

use std::collections::HashMap;
use std::process::Output;

use serde_json::Value;

use crate::support::{Begun, Sandbox};

/// How many milliseconds here stand for one of a case.
const SCALE: u64 = 4_000;
/// The breaker of all cases.
const NAME: &str = "t";
/// The exit codes by which a child says its outcome. None is 75, which is a refusal.
const CODES: [(&str, i32); 3] = [("success", 0), ("failure", 1), ("ignored", 3)];

/// Further cases, for what the policies say and no case shows: a late result, a call at the very boundary, a success
/// that completes the window, a slow call, a half-open state that is judged as a whole.
const MORE: &str = r#"[
{"id": "late-success", "policy": {"trip": {"kind": "consecutive", "failures": 2}, "open": {"ms": 1000}, "half_open": {"limit": 1, "close_successes": 1, "open_failures": 1}, "ignored": "neutral", "late_results": "count"}, "steps": [
    {"at_ms": 0, "action": "begin", "call": "late", "expect_admitted": true},
    {"at_ms": 0, "action": "call", "outcome": "failure", "expect_admitted": true, "expect_counters": {"fail_counter": 1}},
    {"at_ms": 0, "action": "call", "outcome": "failure", "expect_admitted": true, "expect_state_after": "open"},
    {"at_ms": 1000, "action": "begin", "call": "probe", "expect_admitted": true, "expect_state_after": "half_open"},
    {"at_ms": 1000, "action": "call", "outcome": null, "expect_admitted": false},
    {"at_ms": 1001, "action": "end", "call": "late", "outcome": "success", "expect_state_after": "closed"}]},
{"id": "strict-boundary", "policy": {"trip": {"kind": "rate_count", "window": 4, "min_calls": 2, "rate": 0.5, "cmp": ">="}, "open": {"ms": 1000, "boundary": "strict"}, "half_open": {"limit": 1, "close_successes": 1, "open_failures": 1}, "ignored": "neutral"}, "steps": [
    {"at_ms": 0, "action": "call", "outcome": "success", "expect_admitted": true, "expect_state_after": "closed"},
    {"at_ms": 0, "action": "call", "outcome": "failure", "expect_admitted": true, "expect_state_after": "open"},
    {"at_ms": 999, "action": "call", "outcome": null, "expect_admitted": false, "expect_retry_after_ms": 1},
    {"at_ms": 1000, "action": "call", "outcome": "success", "expect_admitted": false}]},
{"id": "trips-on-success", "policy": {"trip": {"kind": "rate_count", "window": 4, "min_calls": 4, "rate": 0.5, "cmp": ">=", "evaluate_on": "any"}, "open": {"ms": 1000}, "half_open": {"limit": 1, "close_successes": 1, "open_failures": 1}, "ignored": "neutral"}, "steps": [
    {"at_ms": 0, "action": "call", "outcome": "failure", "expect_state_after": "closed", "expect_counters": {"failure_rate_pct": -1}},
    {"at_ms": 0, "action": "call", "outcome": "failure", "expect_state_after": "closed"},
    {"at_ms": 0, "action": "call", "outcome": "failure", "expect_state_after": "closed"},
    {"at_ms": 0, "action": "call", "outcome": "success", "expect_counters": {"failure_rate_pct": 75}, "expect_state_after": "open"}]},
{"id": "slow-calls", "policy": {"trip": {"kind": "rate_count", "window": 4, "min_calls": 2, "rate": 1.0, "cmp": ">="}, "slow": {"duration_ms": 4000, "cmp": ">", "rate": 0.5}, "open": {"ms": 1000}, "half_open": {"limit": 1, "close_successes": 1, "open_failures": 1}, "ignored": "neutral"}, "steps": [
    {"at_ms": 0, "action": "call", "outcome": "success", "duration_ms": 4000, "expect_counters": {"slow": 0}},
    {"at_ms": 0, "action": "call", "outcome": "failure", "duration_ms": 1, "expect_state_after": "closed", "expect_counters": {"failure_rate_pct": 50, "slow_rate_pct": 0}},
    {"at_ms": 0, "action": "begin", "call": "long", "expect_admitted": true},
    {"at_ms": 4000, "action": "call", "outcome": "success", "duration_ms": 4001, "expect_state_after": "closed", "expect_counters": {"slow": 1}},
    {"at_ms": 4001, "action": "end", "call": "long", "outcome": "success", "expect_state_after": "open", "expect_counters": {"slow_rate_pct": 50}}]},
{"id": "half-open-rate", "policy": {"trip": {"kind": "failures_of_last", "failures": 2, "of": 4}, "open": {"ms": 1000}, "half_open": {"limit": 4, "decide_after": 4, "open_rate": 0.5}, "ignored": "neutral"}, "steps": [
    {"at_ms": 0, "action": "call", "outcome": "failure", "expect_state_after": "closed"},
    {"at_ms": 0, "action": "call", "outcome": "failure", "expect_state_after": "open"},
    {"at_ms": 1000, "action": "call", "outcome": "failure", "expect_state_after": "half_open"},
    {"at_ms": 1000, "action": "call", "outcome": "success", "expect_state_after": "half_open"},
    {"at_ms": 1000, "action": "call", "outcome": "failure", "expect_state_after": "half_open"},
    {"at_ms": 1000, "action": "call", "outcome": "success", "expect_state_after": "open"}]}
]"#;

/// Where the contract decides otherwise than the project of a case: the case; the step, from 0, at which they differ;
/// what is found there; the sentence that decides.
///
/// Up to that step the case must hold, and there it must differ in just that way. Later steps do not matter.
const DECIDED_OTHERWISE: &[(&str, usize, &str, &str)] = &[
    (
        "late-success",
        5,
        r#"expect_state_after is "half_open", expected "closed""#,
        "A result admitted under an older generation changes no state and no rate; it is counted as `late`.",
    ),
    ("strict-boundary", 3, "expect_admitted is true, expected false", "A run asks at `retry_at` or later (inclusive)."),
    (
        "trips-on-success",
        3,
        r#"expect_state_after is "closed", expected "open""#,
        "Trip rules are judged after a bad result, never after a good one.",
    ),
    (
        "half-open-rate",
        4,
        r#"expect_state_after is "open", expected "half_open""#,
        "`probe-failures` probes have failed: open again. Whichever is reached first.",
    ),
];

#[test]
fn every_case_is_replayed() {
    let read = |text| serde_json::from_str::<Vec<Value>>(text).expect("the cases are a list in JSON");
    let mut cases = read(include_str!("../cases/breaker.json"));
    cases.extend(read(MORE));
    let mut wrong = Vec::new();
    for case in &cases {
        let overlaps = steps(case).iter().any(|step| step["action"] == "begin");
        let timed = case["policy"]["slow"].is_object() || steps(case).iter().any(|step| step["duration_ms"].is_u64());
        // No test can make a waiting child have taken long.
        let ways = [(Way::Child, !(timed && overlaps)), (Way::TwoSteps, timed || overlaps)];
        for (way, _) in ways.into_iter().filter(|way| way.1) {
            wrong.extend(judge(case, way));
        }
    }
    for (id, ..) in DECIDED_OTHERWISE {
        if !cases.iter().any(|case| case["id"] == *id) {
            wrong.push(format!("{id}: listed as decided otherwise, and there is no such case"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Replays a case, and says what is wrong with the case or with its entry in the list.
fn judge(case: &Value, way: Way) -> Option<String> {
    let id = case["id"].as_str().expect("an id");
    let listed = DECIDED_OTHERWISE.iter().find(|entry| entry.0 == id);
    match (Replay::new(case, way).run(), listed) {
        (Ok(()), None) => None,
        (Err((step, message)), Some(&(_, parted, instead, _))) if (step, message.as_str()) == (parted, instead) => None,
        (Err((step, message)), _) => Some(format!("{id}, {way:?}, step {step}: {message}")),
        (Ok(()), Some((_, step, _, sentence))) => {
            Some(format!("{id}, {way:?}: it holds, but step {step} is listed as decided otherwise by: {sentence}"))
        }
    }
}

fn steps(case: &Value) -> &[Value] {
    case["steps"].as_array().expect("steps")
}

fn scaled(millis: u64) -> String {
    format!("{}ms", millis * SCALE)
}

/// How to make a run that overlaps others.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// `cb run` with a child that waits.
    Child,
    /// `cb allow` and `cb record`.
    TwoSteps,
}

/// A run that has begun.
enum Running {
    Child(Begun),
    Permit { word: String, begun: u64 },
}

/// One case under way.
struct Replay<'a> {
    case: &'a Value,
    way: Way,
    sandbox: Sandbox,
    options: Vec<String>,
    now: u64,
    running: HashMap<String, Running>,
    /// How many runs had been refused when the generation began: some projects count from there.
    refused_before: (u64, u64),
}

/// The options for a policy.
fn options(policy: &Value) -> Vec<String> {
    let mut options: Vec<(&str, String)> = Vec::new();
    let number = |value: &Value| value.as_u64();
    let per_cent = |rate: &Value, cmp: &Value| {
        let exact = rate.as_f64().expect("a rate") * 100.0;
        // Comparisons are `>=`, in whole per cent.
        let whole = if cmp == ">" { (exact + 1e-9).floor() + 1.0 } else { (exact - 1e-9).ceil() };
        whole.to_string()
    };
    let trip = &policy["trip"];
    match trip["kind"].as_str().expect("a kind of trip rule") {
        "consecutive" => options.push(("--threshold", trip["failures"].to_string())),
        "failures_in_window" => {
            let within = scaled(number(&trip["window_ms"]).expect("a window"));
            options.push(("--failure-budget", format!("{}/{within}", trip["failures"])));
        }
        "failures_of_last" => {
            options.extend(of_last(number(&trip["failures"]).expect("failures"), number(&trip["of"]).expect("of")));
        }
        kind @ ("rate_time" | "rate_count") => {
            let window = if kind == "rate_time" {
                scaled(number(&trip["window_ms"]).expect("a window"))
            } else {
                trip["window"].to_string()
            };
            options.push(("--failure-rate", per_cent(&trip["rate"], &trip["cmp"])));
            options.push(("--window", window));
            options.push(("--min-calls", number(&trip["min_calls"]).unwrap_or(1).max(1).to_string()));
        }
        kind => panic!("no option is like the trip rule {kind:?}"),
    }
    if let Some(slow) = policy.get("slow").filter(|slow| slow.is_object()) {
        let after = number(&slow["duration_ms"]).expect("a duration") * SCALE + u64::from(slow["cmp"] == ">");
        options.push(("--slow-after", format!("{after}ms")));
        if slow["rate"].is_number() {
            options.push(("--slow-rate", per_cent(&slow["rate"], &Value::Null)));
        }
    }
    options.push(("--cooldown", scaled(number(&policy["open"]["ms"]).expect("a cool-down"))));
    let half_open = &policy["half_open"];
    let decide_after = number(&half_open["decide_after"]);
    // The least number of failures that reaches the rate.
    let rate = half_open["open_rate"].is_number().then(|| per_cent(&half_open["open_rate"], &Value::Null));
    let rate = rate.map(|rate| rate.parse::<u64>().expect("a whole number"));
    let by_rate = rate.zip(decide_after).and_then(|(rate, of)| (1..=of).find(|failures| failures * 100 >= rate * of));
    let failures = number(&half_open["open_failures"]).or(by_rate);
    options.push(("--probes", number(&half_open["limit"]).unwrap_or(16).min(16).to_string()));
    options
        .push(("--probe-successes", number(&half_open["close_successes"]).or(decide_after).unwrap_or(1).to_string()));
    options.push(("--probe-failures", failures.unwrap_or(1).to_string()));
    // A project without leases takes no place away, so the lease must outlast the case.
    options.push(("--lease", number(&half_open["takeover_ms"]).map_or("36500d".to_owned(), scaled)));
    let ignored = if policy["ignored"] == "success" { "--success-codes" } else { "--ignore-codes" };
    options.push((ignored, CODES[2].1.to_string()));
    options.into_iter().map(|(option, value)| format!("{option}={value}")).collect()
}

/// K failures among the last N runs, as a rate that whole per cent can say.
///
/// The window is judged as soon as no smaller number of failures could reach the rate. Before that, K failures in a row
/// are K of the last N as well. Only where more than K + 1 runs are asked for does a breaker open a few runs later than
/// one that counts: K failures with successes between them, in a window that is not yet full.
fn of_last(failures: u64, of: u64) -> Vec<(&'static str, String)> {
    let rate = failures * 100 / of;
    let min_calls = (failures - 1) * 100 / rate + 1;
    vec![
        ("--failure-rate", rate.to_string()),
        ("--window", of.to_string()),
        ("--min-calls", min_calls.to_string()),
        ("--threshold", failures.to_string()),
    ]
}

impl<'a> Replay<'a> {
    fn new(case: &'a Value, way: Way) -> Self {
        let options = options(&case["policy"]);
        let sandbox = Sandbox::new();
        Self { case, way, sandbox, options, now: 0, running: HashMap::new(), refused_before: (0, 0) }
    }

    /// Takes all steps.
    ///
    /// # Errors
    /// The first step that differs from the case, and how.
    fn run(mut self) -> Result<(), (usize, String)> {
        for (index, step) in steps(self.case).iter().enumerate() {
            self.pass_time(step["at_ms"].as_u64().expect("a time"));
            self.take(step).and_then(|()| self.look(step)).map_err(|message| (index, message))?;
        }
        Ok(())
    }

    fn pass_time(&mut self, at: u64) {
        let passed = (at - self.now) * SCALE;
        self.now = at;
        if passed > 0 && self.sandbox.state_file(NAME).exists() {
            self.sandbox.shift(NAME, passed.try_into().expect("a time that fits"));
        }
    }

    fn take(&mut self, step: &Value) -> Result<(), String> {
        let action = step["action"].as_str().expect("an action");
        let call = || step["call"].as_str().expect("the name of a call").to_owned();
        match action {
            "call" => return self.call(step),
            "begin" => return self.begin(call(), step),
            "end" => self.end(&call(), step),
            "observe" => {}
            "force_open" => {
                let span = step["for_ms"].as_u64().or(self.case["policy"]["open"]["ms"].as_u64());
                self.by_hand(&["trip", NAME, "--for", &scaled(span.expect("a time"))]);
            }
            "force_half_open" => {
                if self.sandbox.state_file(NAME).exists() && self.sandbox.status(NAME)["hold"]["until"].is_null() {
                    // No --for shortens a hold without end.
                    self.by_hand(&["reset", NAME]);
                }
                self.by_hand(&["trip", NAME, "--for", "0"]);
            }
            "hold_open" => self.by_hand(&["trip", NAME]),
            "metrics_only" | "disable" => self.by_hand(&["disable", NAME]),
            "force_closed" | "reset" => self.by_hand(&["reset", NAME]),
            action => panic!("no command is like the step {action:?}"),
        }
        Ok(())
    }

    fn by_hand(&self, args: &[&str]) {
        // It does not matter that this makes a breaker.
        self.sandbox.cb(["-q"].iter().chain(args)).run();
    }

    fn with_options<'b>(&'b self, words: &[&'b str]) -> Vec<&'b str> {
        words.iter().copied().chain(self.options.iter().map(String::as_str)).collect()
    }

    /// A whole run.
    fn call(&mut self, step: &Value) -> Result<(), String> {
        if let Some(took) = step["duration_ms"].as_u64() {
            self.begin(String::new(), step)?;
            if self.running.contains_key("") {
                self.finish("", step, took);
            }
            return Ok(());
        }
        let code = code(step).unwrap_or(0);
        let script = format!("echo ran; exit {code}");
        let mut args = self.with_options(&["run", "-n", NAME]);
        args.extend(["--", "sh", "-c", &script]);
        let output = self.ended(args);
        let admitted = output.stdout == b"ran\n";
        assert_eq!(output.status.code(), Some(if admitted { code } else { 75 }), "the status of {step}");
        expect(step, "expect_admitted", &Value::Bool(admitted))
    }

    /// The first half of a run.
    fn begin(&mut self, call: String, step: &Value) -> Result<(), String> {
        let running = if self.way == Way::Child {
            let begun = self.sandbox.try_begin(NAME, &self.with_options(&[]));
            if let Err(output) = &begun {
                assert_eq!(output.status.code(), Some(75), "the status of {step}");
            }
            begun.ok().map(Running::Child)
        } else {
            let output = self.ended(self.with_options(&["allow", NAME]));
            let word = String::from_utf8(output.stdout).expect("a permit").trim().to_owned();
            assert_eq!(output.status.code(), Some(if word.is_empty() { 75 } else { 0 }), "the status of {step}");
            (!word.is_empty()).then_some(Running::Permit { word, begun: self.now })
        };
        let admitted = running.is_some();
        self.running.extend(running.map(|running| (call, running)));
        expect(step, "expect_admitted", &Value::Bool(admitted))
    }

    /// The second half of a run.
    fn end(&mut self, call: &str, step: &Value) {
        let now = self.now;
        let begun = match &self.running[call] {
            Running::Child(_) => now,
            Running::Permit { begun, .. } => *begun,
        };
        self.finish(call, step, now - begun);
    }

    fn finish(&mut self, call: &str, step: &Value, took: u64) {
        let code = code(step).unwrap_or(CODES[2].1);
        match self.running.remove(call).expect("a call that has begun") {
            Running::Child(mut run) => {
                run.release(code);
                assert_eq!(run.wait().status.code(), Some(code), "the status of {step}");
            }
            Running::Permit { word, .. } => {
                // The policy decides what counts as ignored, so the run reports an exit code.
                let (code, took) = (code.to_string(), scaled(took));
                let words = ["record", NAME, "--exit-code", &code, "--permit", &word, "--took", &took];
                self.sandbox.cb(self.with_options(&words)).any_stderr().run();
            }
        }
    }

    /// The result of a command that may be refused, and may print the line of a change.
    fn ended(&self, args: Vec<&str>) -> Output {
        self.sandbox.cb(args).spawn().wait_with_output().expect("the command ends")
    }

    /// Compares what `cb status` shows with what the case expects after a step.
    fn look(&mut self, step: &Value) -> Result<(), String> {
        if !self.sandbox.state_file(NAME).exists() {
            return expect(step, "expect_state_after", &Value::from("closed"));
        }
        let status = self.sandbox.status(NAME);
        let totals = &status["totals"];
        let (generation, refused) = (status["generation"].as_u64().expect("a number"), totals["refused"].as_u64());
        let refused = refused.expect("a number");
        if generation != self.refused_before.0 {
            self.refused_before = (generation, refused);
        }
        for (key, expected) in step.as_object().expect("a step") {
            match key.as_str() {
                "at_ms" | "action" | "call" | "outcome" | "for_ms" | "duration_ms" | "expect_admitted" => {}
                "expect_state_after" => {
                    expect(step, key, &Value::from(Self::state(step, &status)))?;
                }
                "expect_retry_after_ms" => {
                    let left = status["retry_in_ms"].as_u64().expect("a time to the next try");
                    expect(step, key, &Value::from(left.div_ceil(SCALE)))?;
                }
                "expect_open_events" => expect(step, key, &totals["opened"])?,
                "expect_counters" => {
                    for counter in expected.as_object().expect("counters").keys() {
                        let actual = self.counter(counter, &status, refused);
                        expect(expected, counter, &actual)?;
                    }
                }
                key => panic!("nothing checks {key:?}"),
            }
        }
        Ok(())
    }

    /// The state in the words of the cases.
    fn state(step: &Value, status: &Value) -> String {
        let (state, mode) = (status["state"].as_str().expect("a state"), status["mode"].as_str().expect("a mode"));
        let expected = step["expect_state_after"].as_str().expect("a state");
        let only_looked = matches!(step["action"].as_str(), Some("observe" | "force_half_open"));
        match (expected, state, mode) {
            // `state` stays `open` while a probe is due, and `admits` is then true.
            ("half_open", "open", "normal") if only_looked && status["admits"] == true => "half_open".to_owned(),
            ("forced_open", "open", "held") => "forced_open".to_owned(),
            ("metrics_only" | "disabled", _, "disabled") => expected.to_owned(),
            // A breaker that is forced open for a time is a hold here.
            ("open", "open", "held") if !status["hold"]["until"].is_null() => "open".to_owned(),
            (_, state, "normal") => state.to_owned(),
            (_, state, mode) => format!("{state}, {mode}"),
        }
    }

    fn counter(&self, name: &str, status: &Value, refused: u64) -> Value {
        let window = &status["window"];
        let calls = |key: &str| window[key].as_u64().expect("a number");
        // The cases have -1 for what is not known.
        let rate = |key: &str| if window[key].is_null() { Value::from(-1.0) } else { window[key].clone() };
        match name {
            "not_permitted" => Value::from(refused - self.refused_before.1),
            "buffered" => Value::from(calls("calls")),
            "failed" => Value::from(calls("failures")),
            "successful" => Value::from(calls("calls") - calls("failures")),
            "slow" => Value::from(calls("slow")),
            "failure_rate_pct" => rate("failure_rate"),
            "slow_rate_pct" => rate("slow_rate"),
            "success_counter" => status["probe_successes"].clone(),
            "fail_counter" => status["consecutive_failures"].clone(),
            name => panic!("nothing counts {name:?}"),
        }
    }
}

/// The exit code that stands for the outcome of a step; `None` where it has none.
fn code(step: &Value) -> Option<i32> {
    let outcome = step["outcome"].as_str()?;
    let code = CODES.iter().find(|code| code.0 == outcome);
    Some(code.unwrap_or_else(|| panic!("no exit code is like the outcome {outcome:?}")).1)
}

/// Compares one expectation, if there is one. Numbers are compared as numbers: 60 is 60.0.
fn expect(of: &Value, key: &str, actual: &Value) -> Result<(), String> {
    let Some(expected) = of.get(key) else { return Ok(()) };
    let close = |(left, right): (f64, f64)| (left - right).abs() < 1e-6;
    let same = expected == actual || expected.as_f64().zip(actual.as_f64()).is_some_and(close);
    if same { Ok(()) } else { Err(format!("{key} is {actual}, expected {expected}")) }
}

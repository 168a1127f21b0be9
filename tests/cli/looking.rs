//! Looking at breakers: `status`, its table and its JSON, `check`, and where their output goes.
//! See cb-contract(7) 4.2 to 4.4, 4.15 to 4.17, 4.20 and 4.22.

use serde_json::{Value, json};

use crate::support::terminal::Terminal;
use crate::support::{Sandbox, have, is_time, millis, pick};

const HOUR: &[&str] = &["--cooldown", "1h"];

/// A document without what depends on the day: times, and how long things took.
fn blurred(value: &Value) -> Value {
    let measured = |key: &str| ["took_ms", "retry_in_ms", "pid"].contains(&key);
    match value {
        Value::String(text) if is_time(text) => "<time>".into(),
        Value::Array(items) => items.iter().map(blurred).collect(),
        Value::Object(map) => {
            let blur = |(key, value): (&String, &Value)| {
                let value = if measured(key) && value.is_u64() { "<number>".into() } else { blurred(value) };
                (key.clone(), value)
            };
            map.iter().map(blur).collect()
        }
        other => other.clone(),
    }
}

/// The built-in settings.
fn built_in() -> Value {
    json!({
        "threshold": 5, "failure_rate": null, "window": 20, "window_ms": null, "min_calls": 10,
        "slow_after_ms": null, "slow_rate": null, "failure_budget": null,
        "cooldown_ms": 30_000, "backoff": 1.0, "max_cooldown_ms": 3_600_000, "backoff_reset_ms": 0, "jitter": 0,
        "ramp_ms": 0,
        "probes": 1, "probe_successes": 1, "probe_failures": 1, "lease_ms": null, "max_retry_after_ms": 3_600_000,
        "success_codes": null, "failure_codes": null, "ignore_codes": null, "trip_codes": null, "count_stopped": false,
    })
}

/// The whole object of an unused breaker. The other tests say what differs.
fn unused(sandbox: &Sandbox) -> Value {
    json!({
        "name": "a", "state": "closed", "mode": "normal", "admits": true,
        "since": null, "retry_at": null, "retry_in_ms": null, "reason": null,
        "generation": 1, "consecutive_failures": 0, "probe_successes": 0,
        "window": { "calls": 0, "failures": 0, "slow": 0, "failure_rate": null, "slow_rate": null },
        "totals": {
            "admitted": 0, "successes": 0, "failures": 0, "ignored": 0, "late": 0, "refused": 0, "opened": 0,
            "abandoned": 0,
        },
        "last": null, "last_failure": null, "probes": [], "hold": null, "settings": built_in(),
        "path": sandbox.state_file("a"), "ramp_until": null,
    })
}

/// Merges changes into a document, level by level.
fn with(mut base: Value, changes: Value) -> Value {
    match (&mut base, changes) {
        (Value::Object(base), Value::Object(changes)) => {
            for (key, change) in changes {
                let old = base.remove(&key).unwrap_or_default();
                base.insert(key, with(old, change));
            }
        }
        (base, change) => *base = change,
    }
    base
}

/// The whole object must be that of an unused breaker with these changes.
#[track_caller]
fn shows(sandbox: &Sandbox, changes: Value) -> Value {
    let status = sandbox.status("a");
    assert_eq!(blurred(&status), with(unused(sandbox), changes));
    status
}

fn failed(code: i32) -> Value {
    json!({
        "at": "<time>", "outcome": "failure", "exit_code": code, "signal": null, "timed_out": false,
        "took_ms": "<number>", "http_status": null,
    })
}

// status --json

#[test]
fn the_document_is_one_line_with_a_version() {
    let sandbox = Sandbox::new();
    sandbox.cb(["status", "--json"]).stdout("{\"version\":1,\"breakers\":[]}\n").run();
    for name in ["b", "a", "B"] {
        sandbox.exits(name, &[], 0);
    }
    let output = sandbox.cb(["status", "--json"]).any_stdout().run();
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(text.matches('\n').count(), 1);
    let document: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(document["version"], 1);
    let names: Vec<_> = document["breakers"].as_array().expect("a list").iter().map(|item| &item["name"]).collect();
    assert_eq!(names, ["B", "a", "b"]);
    // The named breakers, each once.
    let output = sandbox.cb(["status", "b", "a", "b", "--json"]).any_stdout().run();
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let names: Vec<_> = document["breakers"].as_array().expect("a list").iter().map(|item| &item["name"]).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn json_of_an_unused_breaker_of_the_configuration() {
    let sandbox = Sandbox::new();
    sandbox.configure("[breakers.a]\nthreshold = 3\n");
    shows(&sandbox, json!({ "settings": { "threshold": 3 } }));
    assert!(!sandbox.state_dir().exists(), "to look makes nothing");
}

#[test]
fn json_of_a_closed_breaker() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 0);
    sandbox.exits("a", &[], 7);
    let status = shows(
        &sandbox,
        json!({
            "consecutive_failures": 1,
            "window": { "calls": 2, "failures": 1 },
            "totals": { "admitted": 2, "successes": 1, "failures": 1 },
            "last": failed(7), "last_failure": failed(7),
        }),
    );
    assert!(status["last"]["took_ms"].is_u64());
    sandbox.exits("a", &[], 0);
    let status = sandbox.status("a");
    assert_eq!((&status["last"]["exit_code"], &status["last_failure"]["exit_code"]), (&json!(0), &json!(7)));
}

#[test]
fn json_of_how_the_last_one_ended() {
    let sandbox = Sandbox::new();
    let last = |script: &str, options: &[&str], code: i32| {
        let args = ["run", "-n", "a"].into_iter().chain(options.iter().copied()).chain(["--", "sh", "-c", script]);
        sandbox.cb(args).code(code).run();
        let last = &sandbox.status("a")["last"];
        json!([last["outcome"], last["exit_code"], last["signal"], last["timed_out"]])
    };
    assert_eq!(last("exit 0", &[], 0), json!(["success", 0, null, false]));
    assert_eq!(last("exit 3", &[], 3), json!(["failure", 3, null, false]));
    assert_eq!(last("kill -TERM $$", &[], 143), json!(["failure", null, "SIGTERM", false]));
    assert_eq!(last("exit 127", &[], 127), json!(["ignored", 127, null, false]));
    assert_eq!(last("sleep 60", &["--timeout", "0.05"], 124), json!(["failure", null, null, true]));
    // The child of a killed run lives on, and its result is lost.
    sandbox.begin("a", &[]).kill();
    assert_eq!(sandbox.status("a")["last"]["timed_out"], true);
}

#[test]
fn json_of_rates() {
    let sandbox = Sandbox::new();
    let options = &["--failure-rate", "90", "--window", "8", "--min-calls", "3", "--slow-after", "1h"];
    for code in [0, 1] {
        sandbox.exits("a", options, code);
    }
    assert_eq!(
        sandbox.status("a")["window"],
        json!({ "calls": 2, "failures": 1, "slow": 0, "failure_rate": null, "slow_rate": null }),
        "no rate below min-calls"
    );
    sandbox.exits("a", options, 1);
    assert_eq!(
        sandbox.status("a")["window"],
        json!({ "calls": 3, "failures": 2, "slow": 0, "failure_rate": 66.67, "slow_rate": 0.0 })
    );
    for _ in 0..6 {
        sandbox.exits("a", options, 0);
    }
    assert_eq!(
        sandbox.status("a")["window"],
        json!({ "calls": 8, "failures": 2, "slow": 0, "failure_rate": 25.0, "slow_rate": 0.0 })
    );
    sandbox.exits("a", &["--slow-after", "0", "--failure-rate", "90", "--window", "8", "--min-calls", "3"], 0);
    assert_eq!(
        sandbox.status("a")["window"],
        json!({ "calls": 8, "failures": 1, "slow": 1, "failure_rate": 12.5, "slow_rate": 12.5 })
    );
}

/// What differs in a breaker that five failures have opened for an hour.
fn opened() -> Value {
    json!({
        "state": "open", "admits": false, "since": "<time>", "retry_at": "<time>", "retry_in_ms": "<number>",
        "reason": "5 failures in a row: exit 1", "generation": 2, "consecutive_failures": 5,
        "window": { "calls": 5, "failures": 5 },
        "totals": { "admitted": 5, "failures": 5, "opened": 1 },
        "last": failed(1), "last_failure": failed(1),
        "settings": { "cooldown_ms": 3_600_000 },
    })
}

#[test]
fn json_of_an_open_breaker() {
    let sandbox = Sandbox::new();
    sandbox.open_by("a", HOUR, 1);
    let status = shows(&sandbox, opened());
    assert_eq!(millis(&status["retry_at"]) - millis(&status["since"]), 3_600_000);
    assert_eq!(status["since"], status["last"]["at"]);
    let left = status["retry_in_ms"].as_u64().expect("a number");
    assert!((3_480_000..=3_600_000).contains(&left), "{left} ms are left of an hour");
    sandbox.runs("a", HOUR, 75).run();
    shows(&sandbox, with(opened(), json!({ "totals": { "refused": 1 } })));
}

#[test]
fn json_of_a_breaker_that_is_due() {
    let sandbox = Sandbox::new();
    sandbox.open_by("a", HOUR, 1);
    sandbox.shift("a", 3_600_000);
    let status = shows(&sandbox, with(opened(), json!({ "admits": true })));
    assert_eq!(status["retry_in_ms"], 0);
}

#[test]
fn json_of_a_half_open_breaker() {
    let sandbox = Sandbox::new();
    sandbox.open_by("a", HOUR, 1);
    sandbox.shift("a", 3_600_000);
    let probe = sandbox.begin("a", HOUR);
    let half_open = json!({
        "state": "half_open", "retry_at": null, "retry_in_ms": null, "generation": 3,
        "totals": { "admitted": 6 },
        "probes": [{ "pid": "<number>", "since": "<time>" }],
    });
    let status = shows(&sandbox, with(opened(), half_open));
    assert_eq!(status["probes"][0]["pid"], probe.id());
    assert_eq!(status["probes"][0]["since"], status["since"]);
    probe.ends_saying(0, "cb: a: closed again: probe succeeded\n");
    shows(
        &sandbox,
        json!({
            "since": "<time>", "reason": "probe succeeded", "generation": 4,
            "totals": { "admitted": 6, "successes": 1, "failures": 5, "opened": 1 },
            "last": with(failed(0), json!({ "outcome": "success" })), "last_failure": failed(1),
            "settings": { "cooldown_ms": 3_600_000 },
        }),
    );
}

#[test]
fn json_of_several_probes() {
    let sandbox = Sandbox::new();
    let options = &["--cooldown", "1h", "--probes", "2", "--probe-successes", "3", "--lease", "10m"];
    sandbox.open_by("a", options, 1);
    sandbox.shift("a", 3_600_000);
    sandbox.exits("a", options, 0);
    let probes = [sandbox.begin("a", options), sandbox.begin("a", options)];
    let status = sandbox.status("a");
    assert_eq!((&status["probe_successes"], &status["admits"]), (&1.into(), &false.into()));
    let pids: Vec<_> = status["probes"].as_array().expect("a list").iter().map(|probe| &probe["pid"]).collect();
    assert_eq!(pids, [probes[0].id(), probes[1].id()]);
    sandbox.shift("a", 600_000);
    assert_eq!(sandbox.status("a")["admits"], true, "the leases are over");
}

#[test]
fn json_of_a_hold() {
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "a"]).run();
    let held = json!({
        "state": "open", "mode": "held", "admits": false, "since": "<time>", "generation": 2,
        "totals": { "opened": 1 },
        "hold": { "by": "tester", "reason": null, "until": null },
    });
    shows(&sandbox, held.clone());
    sandbox.cb(["trip", "a", "--reason", "maintenance", "--replace"]).any_stderr().run();
    let because = json!({ "reason": "maintenance", "generation": 3, "hold": { "reason": "maintenance" } });
    shows(&sandbox, with(held, because));
}

#[test]
fn json_of_a_hold_that_ends() {
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "a", "--for", "90s", "--reason", "Retry-After: 90"]).run();
    let held = json!({
        "state": "open", "mode": "held", "admits": false, "since": "<time>", "retry_at": "<time>",
        "retry_in_ms": "<number>", "reason": "Retry-After: 90", "generation": 2,
        "totals": { "opened": 1 },
        "hold": { "by": "tester", "reason": "Retry-After: 90", "until": "<time>" },
    });
    let status = shows(&sandbox, held);
    assert_eq!(status["hold"]["until"], status["retry_at"]);
    assert_eq!(millis(&status["retry_at"]) - millis(&status["since"]), 90_000);

    sandbox.shift("a", 90_000);
    let over = json!({
        "state": "open", "admits": true, "since": "<time>", "retry_at": "<time>", "retry_in_ms": "<number>",
        "reason": "Retry-After: 90", "generation": 2, "totals": { "opened": 1 },
    });
    assert_eq!(shows(&sandbox, over)["retry_in_ms"], 0);
}

#[test]
fn json_after_a_reset() {
    let sandbox = Sandbox::new();
    sandbox.open_by("a", HOUR, 1);
    sandbox.cb(["trip", "a"]).run();
    sandbox.cb(["reset", "a"]).run();
    shows(
        &sandbox,
        json!({
            "since": "<time>", "reason": "reset", "generation": 4,
            "totals": { "admitted": 5, "failures": 5, "opened": 1 },
            "last": failed(1), "last_failure": failed(1),
            "settings": { "cooldown_ms": 3_600_000 },
        }),
    );
}

#[test]
fn json_of_all_settings() {
    let sandbox = Sandbox::new();
    let options = [
        "--threshold=7",
        "--failure-rate=50%",
        "--window=1h",
        "--min-calls=3",
        "--slow-after=1.5s",
        "--slow-rate=20",
        "--failure-budget=3/1h",
        "--cooldown=1m",
        "--backoff=1.5",
        "--max-cooldown=2m",
        "--backoff-reset=15m",
        "--jitter=10",
        "--ramp=5m",
        "--probes=2",
        "--probe-successes=3",
        "--probe-failures=4",
        "--lease=5m",
        "--max-retry-after=2h",
        "--success-codes=0,22",
        "--failure-codes=1-9",
        "--ignore-codes=SIGTERM",
        "--trip-codes=9,timeout",
        "--count-stopped",
    ];
    sandbox.exits("a", &options, 0);
    assert_eq!(
        sandbox.status("a")["settings"],
        json!({
            "threshold": 7, "failure_rate": 50, "window": null, "window_ms": 3_600_000, "min_calls": 3,
            "slow_after_ms": 1_500, "slow_rate": 20, "failure_budget": "3/1h",
            "cooldown_ms": 60_000, "backoff": 1.5, "max_cooldown_ms": 120_000,
            "backoff_reset_ms": 900_000, "jitter": 10, "ramp_ms": 300_000,
            "probes": 2, "probe_successes": 3, "probe_failures": 4, "lease_ms": 300_000,
            "max_retry_after_ms": 7_200_000,
            "success_codes": "0,22", "failure_codes": "1-9,timeout", "ignore_codes": "SIGTERM", "trip_codes": "9,timeout",
            "count_stopped": true,
        })
    );
}

#[test]
fn the_settings_last_used_are_shown_not_those_of_the_configuration() {
    let sandbox = Sandbox::new();
    sandbox.configure("[defaults]\nthreshold = 3\n");
    sandbox.exits("a", &["--threshold", "7"], 1);
    assert_eq!(sandbox.status("a")["settings"]["threshold"], 7);
    sandbox.exits("a", &[], 1);
    assert_eq!(sandbox.status("a")["settings"]["threshold"], 3);
}

// The table

#[test]
fn the_table() {
    let sandbox = Sandbox::new();
    sandbox.configure("[breakers.of-the-configuration]\nthreshold = 3\n");
    sandbox.exits("ok", &[], 0);
    for _ in 0..3 {
        sandbox.exits("db:5432", &[], 1);
    }
    sandbox.exits("by-rate", &["--failure-rate", "50"], 1);
    for name in ["due", "open", "half-open"] {
        sandbox.open_by(name, HOUR, 22);
    }
    sandbox.shift("open", 2_850_000);
    sandbox.shift("due", 3_600_000);
    sandbox.shift("half-open", 3_600_000);
    let probe = sandbox.begin("half-open", HOUR);
    sandbox.cb(["-q", "trip", "held"]).run();
    sandbox.cb(["-q", "trip", "held-for", "--for", "1h"]).run();
    sandbox.shift("held-for", 2_850_000);
    sandbox.bash("cb run -n killed -- sh -c 'kill -9 $$'; true").any_stderr().run();
    sandbox.put("new", "{\"version\":2}");
    let new = sandbox.state_file("new").display().to_string();
    sandbox
        .cb(["status"])
        .stdout_like(format!(
            "\
NAME                  STATE       FAILURES  NEXT TRY    RECENT  LAST FAILURE
by-rate               closed      1         now         F       exit 1, <span> ago
db:5432               closed      3/5       now         FFF     exit 1, <span> ago
due                   probe due   5/5       now         FFFFF   exit 22, <span> ago
half-open             half-open   5/5       probing     FFFFF   exit 22, <span> ago
held                  held open   0/5       on reset    -       by tester
held-for              held open   0/5       in <span>  -       by tester
killed                closed      1/5       now         F       SIGKILL, <span> ago
new                   unreadable  -         -           -       could not read {new}: it was written by a newer cb \
(its version is 2, this cb knows 1); update cb, or forget the breaker with 'cb remove new'
of-the-configuration  closed      0/3       now         -       -
ok                    closed      0/5       now         .       -
open                  open        5/5       in <span>  FFFFF   exit 22, <span> ago
"
        ))
        .run();
    sandbox
        .cb(["status", "open", "ok"])
        .stdout_like(format!(
            "\
ok: closed
  next try:     now
  failures:     0/5 in a row
  window:       0 of 1 calls failed
  recent:       .
  last run:     success: exit 0, <span> ago, took <span>
  runs:         1 let through, 0 refused
  results:      1 succeeded, 0 failed, 0 ignored, 0 late, 0 abandoned
  opened:       never
  settings:     as built in
  file:         {ok}

open: open
  since:        <time> (<span> ago)
  reason:       5 failures in a row: exit 22
  next try:     in <span> (<time>)
  failures:     5/5 in a row
  window:       5 of 5 calls failed
  recent:       FFFFF
  last run:     failure: exit 22, <span> ago, took <span>
  runs:         5 let through, 0 refused
  results:      0 succeeded, 5 failed, 0 ignored, 0 late, 0 abandoned
  opened:       once
  settings:     cooldown 1h
  file:         {open}
",
            ok = sandbox.state_file("ok").display(),
            open = sandbox.state_file("open").display(),
        ))
        .run();
    probe.ends_saying(0, "cb: half-open: closed again: probe succeeded\n");
}

#[test]
fn the_table_without_breakers() {
    let sandbox = Sandbox::new();
    sandbox.cb(["status"]).stdout("no breakers yet; the first 'cb run --name NAME -- COMMAND' makes one\n").run();
    assert!(!sandbox.home().join(".cache").exists(), "to look makes nothing");
}

#[test]
fn nothing_stored_reaches_the_terminal_as_it_is() {
    let sandbox = Sandbox::new();
    let reason = "a\n\u{1b}[2J\u{202e}b";
    sandbox.cb(["-q", "trip", "a", "--reason", reason]).env("LOGNAME", "\u{1b}[31mroot").run();
    let output = sandbox.cb(["status"]).any_stdout().run();
    assert!(!output.stdout.contains(&0x1b));
    sandbox
        .cb(["run", "-v", "-n", "a", "--", "true"])
        .code(75)
        .stderr("cb: a: refused, it is held open by \\u{1b}[31mroot (a\\n\\u{1b}[2J\\u{202e}b) until 'cb reset a'\n")
        .run();
    assert_eq!(sandbox.status("a")["hold"]["reason"], reason, "JSON has its own way to say it");
}

#[test]
fn colours_can_be_forced_and_forbidden() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 0);
    let coloured = |variables: &[(&str, &str)]| {
        let run = variables.iter().fold(sandbox.cb(["status"]), |run, (name, value)| run.env(name, value));
        run.any_stdout().run().stdout.contains(&0x1b)
    };
    assert!(!coloured(&[]));
    assert!(coloured(&[("CLICOLOR_FORCE", "1")]));
    assert!(coloured(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "")]));
    assert!(!coloured(&[("CLICOLOR_FORCE", "0")]));
    assert!(!coloured(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
}

#[test]
fn a_terminal_that_may_not_know_escape_sequences_gets_none() {
    if !have("script") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 0);
    let on_terminal = |line: &str| Terminal::start(&sandbox, line).end().1;
    for term in ["TERM=dumb", "TERM="] {
        for line in ["cb status", "cb status a", "timeout --foreground 0.5 cb status --watch"] {
            let seen = on_terminal(&format!("{term} exec {line}"));
            assert!(seen.contains('a') && !seen.contains('\u{1b}'), "{line}: {seen:?}");
        }
    }
    assert!(on_terminal("cb status").contains('\u{1b}'));
    assert!(on_terminal("TERM=dumb CLICOLOR_FORCE=1 cb status").contains('\u{1b}'), "who forces it gets it");
}

#[test]
fn no_line_of_the_table_is_wider_than_its_terminal() {
    if !have("script") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.open_by("api.example.com", &["--cooldown", "2h"], 7);
    sandbox.cb(["-q", "trip", &"x".repeat(128), "--for", "90d"]).run();
    sandbox.exits("b", &["--slow-after", "0s"], 0);
    // Neither time may be a whole number of its largest unit.
    for name in ["api.example.com", &"x".repeat(128)] {
        sandbox.shift(name, 60_000);
    }
    for columns in [25, 30, 39, 40, 41, 45, 50, 55, 60, 70, 80, 100, 110, 120, 200] {
        let (_, seen) = Terminal::start(&sandbox, &format!("stty rows 24 cols {columns}; NO_COLOR=1 cb status")).end();
        assert_eq!(seen.lines().count(), 4, "{columns}: {seen}");
        assert!(seen.lines().all(|line| line.trim_end().len() <= columns), "{columns}: {seen}");
        if columns >= 40 {
            // What is left is whole: state, next try and newest results.
            for word in ["NEXT TRY", "held open", "closed", "in 1h", "in 89d", "FFFFF"] {
                assert!(seen.contains(word), "{columns} without {word:?}: {seen}");
            }
        }
    }
}

#[test]
fn codes_that_trip_are_shown_among_those_that_fail() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &["--failure-codes", "22", "--trip-codes", "22"], 0);
    sandbox.exits("b", &["--failure-codes", "5-9,SIGTERM", "--trip-codes", "7"], 0);
    sandbox.exits("c", &["--trip-codes", "7"], 0);
    for (name, failures, trips) in [("a", json!("22"), "22"), ("b", json!("5-9,SIGTERM"), "7"), ("c", Value::Null, "7")]
    {
        let settings = &sandbox.status(name)["settings"];
        assert_eq!(pick(settings, ["failure_codes", "trip_codes"]), json!([failures, trips]), "{name}");
    }
    sandbox.cb(["status", "a"]).stdout_has("settings:     failure-codes 22, trip-codes 22\n").run();
}

#[test]
fn who_watches_sees_what_is_removed_and_what_comes_back() {
    if !have("script") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 0);
    sandbox.exits("b", &[], 0);
    let mut terminal = Terminal::start(&sandbox, "export NO_COLOR=1; timeout --foreground 60 cb status a b --watch");
    terminal.until("a: closed");
    terminal.until("b: closed");
    sandbox.cb(["remove", "b"]).run();
    terminal.until("a: closed");
    terminal.until("there is no breaker 'b'; 'cb status' lists those there are");
    sandbox.exits("b", &[], 0);
    terminal.until("b: closed");
    terminal.hang_up();
}

#[test]
fn who_watches_is_shown_what_fits_the_screen() {
    if !have("script") {
        return;
    }
    let sandbox = Sandbox::new();
    let tables: Vec<String> = (0..9).map(|number| format!("[breakers.a{number}]\n")).collect();
    sandbox.configure(&tables.concat());
    let mut terminal =
        Terminal::start(&sandbox, "stty rows 6 cols 80; export NO_COLOR=1; timeout --foreground 60 cb status --watch");
    terminal.until("\u{1b}[J");
    let lines = [
        "NAME  STATE   FAILURES  NEXT TRY  RECENT  LAST FAILURE",
        "a0    closed  0/5       now       -       -",
        "a1    closed  0/5       now       -       -",
        "a2    closed  0/5       now       -       -",
        "and 6 more lines; this screen is too low",
    ];
    let screen = lines.join("\u{1b}[K\r\n");
    assert_eq!(terminal.hang_up(), format!("\u{1b}[H{screen}\u{1b}[K\r\n\u{1b}[J"));
    // On a screen just high enough nothing is missing, and on a narrow one no line wraps.
    for colour in ["NO_COLOR=1", "CLICOLOR_FORCE=1"] {
        let line = format!("stty rows 11 cols 25; export {colour}; timeout --foreground 60 cb status --watch");
        let mut terminal = Terminal::start(&sandbox, &line);
        terminal.until("\u{1b}[J");
        let seen = terminal.hang_up();
        let lines: Vec<&str> = seen.split("\u{1b}[K\r\n").collect();
        assert_eq!(lines.len(), 11, "{seen:?}");
        for line in &lines[1..10] {
            let bare = line.replace("\u{1b}[32m", "").replace("\u{1b}[0m", "");
            assert!(bare.starts_with('a') && bare.len() <= 25, "{seen:?}");
            assert_eq!(bare.len() < line.len(), colour == "CLICOLOR_FORCE=1", "{seen:?}");
        }
    }
}

// The help

#[test]
fn the_help_is_one_screen_and_begins_with_an_example() {
    let sandbox = Sandbox::new();
    let output = sandbox.cb(["--help"]).any_stdout().run();
    let help = String::from_utf8(output.stdout).expect("text");
    assert!(help.starts_with("Examples: cb run -n openai --http -- curl "), "{help}");
    // A screen has 24 lines of 80 columns, one of them for the prompt.
    assert!(help.lines().count() <= 23, "{help}");
    assert!(help.lines().all(|line| line.len() <= 80), "{help}");
}

// Where the output goes

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 0);
    for command in ["status", "status --json", "config", "--help", "run --help", "--version"] {
        sandbox.unread(&format!("cb {command}")).run();
        sandbox.bash(&format!("set -o pipefail; cb {command} | head -1")).any_stdout().run();
    }
}

#[test]
fn an_output_that_somebody_made_non_blocking_gets_all_of_it() {
    crate::support::python::check(
        r#"
names = ["n%d" % number for number in range(100)]
for name in names:
    subprocess.run(["cb", "run", "-n", name, "true"], check=True)
reader, writer = os.pipe()
os.set_blocking(writer, False)
process = start(["cb", "status", "--json"], stdout=writer)
os.close(writer)
# It is full before it is read.
waiting = lambda: struct.unpack("i", fcntl.ioctl(reader, termios.FIONREAD, bytes(4)))[0]
while waiting() < fcntl.fcntl(reader, fcntl.F_GETPIPE_SZ) and process.poll() is None:
    os.sched_yield()
with open(reader, "rb") as text:
    told = json.loads(text.read())
same(process.wait(), 0)
same(sorted(one["name"] for one in told["breakers"]), sorted(names))
"#,
    );
}

#[test]
fn an_output_that_is_full_or_closed_is_an_error_and_no_crash() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 0);
    for command in
        ["status", "status a --json", "config", "config --json", "--help", "help run", "run --help", "--version"]
    {
        sandbox
            .bash(&format!("exec cb {command} >/dev/full"))
            .code(125)
            .stderr("cb: could not write to standard output: No space left on device\n")
            .run();
        sandbox
            .bash(&format!("exec cb {command} >&-"))
            .code(125)
            .stderr("cb: could not write to standard output: Bad file descriptor\n")
            .run();
    }
    // Without stderr there is no message.
    sandbox.bash("timeout --foreground 60 cb status b 2>/dev/full").code(125).run();
    sandbox.bash("timeout --foreground 60 cb status b 2>&-").code(125).run();
    sandbox.bash("timeout --foreground 60 cb status b >&- 2>&- <&-").code(125).run();
}

// Names nobody knows

#[test]
fn an_unknown_name_is_an_error_that_suggests_near_ones() {
    let sandbox = Sandbox::new();
    // To reset or remove it again is no error.
    let commands = [("status", 125), ("history", 125), ("reset", 0), ("enable", 125), ("remove", 0)];
    for (command, code) in commands {
        sandbox
            .cb([command, "opnai"])
            .code(code)
            .stderr("cb: there is no breaker 'opnai'; there is none yet; the first 'cb run' makes one\n")
            .run();
    }
    for name in ["openai", "github", "db"] {
        sandbox.exits(name, &[], 0);
    }
    for (command, code) in commands {
        let unknown = |name: &str, hint: &str| {
            let line = format!("cb: there is no breaker '{name}'; {hint}\n");
            sandbox.cb([command, name]).code(code).stderr(line).run();
        };
        unknown("opnai", "did you mean 'openai'?");
        unknown("GitHub", "did you mean 'github'?");
        unknown("weather", "'cb status' lists those there are");
    }
    assert!(!sandbox.state_file("opnai").exists());
    sandbox.cb(["status", "openai", "opnai", "--json"]).code(125).stderr_has("did you mean 'openai'?").run();
    // These commands need no breaker.
    sandbox.cb(["check", "opnai"]).run();
    sandbox.cb(["config", "opnai"]).any_stdout().run();
    sandbox.cb(["-q", "trip", "opnai"]).run();
    assert_eq!(sandbox.status("opnai")["mode"], "held");
}

#[test]
fn names_of_the_configuration_are_known() {
    let sandbox = Sandbox::new();
    sandbox.configure("[breakers.a]\n");
    sandbox.cb(["reset", "a"]).run();
    assert_eq!(sandbox.state("a"), "closed");
    assert!(!sandbox.state_dir().exists());
}

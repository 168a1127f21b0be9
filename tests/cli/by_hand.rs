//! What a person does: trip, disable, enable, reset; and a child that trips its own breaker.
//! See cb-contract(7) 1.40 to 1.45, 1.51 to 1.53 and 4.5 to 4.7.

use std::fs;

use serde_json::json;

use crate::support::server::{Answer, Server};
use crate::support::{CB, Sandbox, have, millis, pick};

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const YEAR: i64 = 365 * 24 * HOUR;

/// A cool-down that does not end by itself even on a slow machine.
const AN_HOUR: [&str; 2] = ["--cooldown", "1h"];

/// A run that says on stdout whether it is a probe.
const PROBE: [&str; 4] = ["--", "sh", "-c", "echo \"probe ${CB_PROBE-no}\""];

fn run_of(name: &str) -> Vec<&str> {
    ["run", "-n", name].into_iter().chain(PROBE).collect()
}

// Trip.

#[test]
fn a_trip_holds_until_reset() {
    let sandbox = Sandbox::new();
    sandbox
        .cb(["trip", "a", "b", "-v"])
        .stderr(
            "cb: a: held open by tester until 'cb reset a'\ncb: a: it is new: nobody has used a breaker of this name\n\
             cb: b: held open by tester until 'cb reset b'\ncb: b: it is new: nobody has used a breaker of this name\n",
        )
        .run();
    sandbox.cb(["run", "-n", "a", "--", "touch", "started"]).code(75).run();
    sandbox
        .runs("a", &["-v"], 0)
        .code(75)
        .stderr("cb: a: refused, it is held open by tester until 'cb reset a'\n")
        .run();
    sandbox.shift("a", 10 * YEAR);
    sandbox.runs("a", &[], 0).code(75).run();
    sandbox.runs("b", &[], 0).code(75).run();
    assert!(!sandbox.work().join("started").exists());
    let status = sandbox.status("a");
    assert_eq!(pick(&status, ["state", "mode", "admits"]), json!(["open", "held", false]));
    assert_eq!(status["hold"], json!({ "by": "tester", "reason": null, "until": null }));
    assert_eq!(pick(&status, ["retry_at", "retry_in_ms"]), json!([null, null]));
    assert_eq!(pick(&status, ["totals.refused", "totals.opened"]), json!([3, 1]));
    sandbox.cb(["reset", "a"]).run();
    sandbox.cb(run_of("a")).stdout("probe no\n").run();
    let status = sandbox.status("a");
    assert_eq!(pick(&status, ["state", "mode", "hold"]), json!(["closed", "normal", null]));
}

#[test]
fn a_trip_for_a_time_ends_by_itself_with_a_probe_due() {
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "a", "--for", "90s", "--reason", "maintenance"]).run();
    let status = sandbox.status("a");
    let since = humantime::parse_rfc3339(status["since"].as_str().expect("a time")).expect("a time");
    let until = humantime::format_rfc3339_millis(since + std::time::Duration::from_secs(90)).to_string();
    assert_eq!(status["hold"], json!({ "by": "tester", "reason": "maintenance", "until": until }));
    assert_eq!(status["retry_at"], until.as_str());
    sandbox.shift("a", 60 * SECOND);
    sandbox.runs("a", &[], 0).code(75).run();
    sandbox.shift("a", 30 * SECOND);
    let status = sandbox.status("a");
    assert_eq!(pick(&status, ["state", "mode", "admits"]), json!(["open", "normal", true]));
    assert_eq!(pick(&status, ["hold", "reason"]), json!([null, "maintenance"]));
    sandbox.cb(run_of("a")).stdout("probe 1\n").stderr("cb: a: closed again: probe succeeded\n").run();
}

#[test]
fn the_probe_after_a_trip_for_a_time_may_fail() {
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "a", "--for", "1h", "--reason", "maintenance"]).run();
    sandbox
        .runs("a", &["-v"], 0)
        .code(75)
        .stderr_like(
            "cb: a: refused, it is held open by tester (maintenance); next try in <span> (<time>), \
             or now with 'cb reset a'\n",
        )
        .run();
    sandbox.shift("a", 59 * MINUTE);
    sandbox.runs("a", &[], 0).code(75).run();
    sandbox.shift("a", MINUTE);
    // The breaker is open with a probe due.
    sandbox.exits("a", &AN_HOUR, 1);
    assert_eq!(sandbox.status("a")["reason"], "probe failed: exit 1");
    sandbox.runs("a", &AN_HOUR, 0).code(75).run();
}

#[test]
fn after_a_trip_the_back_off_is_at_its_first_step() {
    let sandbox = Sandbox::new();
    let options = ["--threshold", "1", "--cooldown", "10s", "--backoff", "2"];
    let cooldown = || {
        let status = sandbox.status("a");
        millis(&status["retry_at"]) - millis(&status["since"])
    };
    sandbox.runs("a", &options, 1).any_stderr().run();
    assert_eq!(cooldown(), 10_000);
    for expected in [20_000, 40_000, 80_000] {
        sandbox.shift("a", HOUR);
        sandbox.runs("a", &options, 1).any_stderr().run();
        assert_eq!(cooldown(), expected);
    }
    for (span, passes) in [("5m", 5 * MINUTE), ("0", 0)] {
        sandbox.cb(["trip", "a", "--for", span]).run();
        sandbox.shift("a", passes);
        sandbox.exits("a", &options, 1);
        assert_eq!(cooldown(), 20_000, "a failed probe reopens it with the next longer cool-down, after {span}");
        sandbox.shift("a", HOUR);
        sandbox.exits("a", &options, 1);
        assert_eq!(cooldown(), 40_000);
    }
}

#[test]
fn a_trip_for_no_time_makes_a_probe_due_at_once() {
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "a", "--for", "0"]).run();
    let status = sandbox.status("a");
    assert_eq!(pick(&status, ["state", "mode", "admits"]), json!(["open", "normal", true]));
    sandbox.cb(["check", "a"]).run();
    let probe = sandbox.begin("a", &[]);
    assert!(probe.probe);
    sandbox.runs("a", &[], 0).code(75).run();
    sandbox.cb(["check", "a"]).code(75).run();
    probe.ends(1);
    assert_eq!(sandbox.state("a"), "open");
    sandbox.cb(["trip", "a", "--for", "0"]).run();
    sandbox.runs("a", &["-v"], 0).stderr("cb: a: this run is a probe\ncb: a: closed again: probe succeeded\n").run();
}

#[test]
fn of_two_holds_of_a_kind_the_later_end_wins_with_its_owner_and_reason() {
    for (word, what, way_out) in [("trip", "held open", "reset"), ("disable", "disabled", "enable")] {
        let sandbox = Sandbox::new();
        sandbox.configure("[defaults]\non-change = 'echo told >> ~/told'\n");
        let as_bob = |args: &[&str]| sandbox.cb([&[word, "a"], args].concat()).env("LOGNAME", "bob");
        sandbox.cb([word, "a", "--for", "1h", "--reason", "maintenance"]).any_stderr().run();
        let before = sandbox.bytes("a");
        let kept = format!(
            "cb: a: unchanged, it is {what} by tester until TIME (maintenance), which does not end sooner; to shorten it: \
             --replace\n"
        );
        as_bob(&["--for", "2s"]).stderr_timeless(&kept).run();
        as_bob(&["--for", "59m"]).stderr_timeless(&kept).run();
        assert_eq!(sandbox.bytes("a"), before, "no history, no generation");
        let told = || fs::read_to_string(sandbox.home().join("told")).expect("what the hook wrote");
        assert_eq!(told(), "told\n", "nor a hook");
        let dropped = format!("cb: a: it was {what} by tester until TIME (maintenance); that is dropped\n");
        as_bob(&["--for", "2h", "--reason", "longer"]).stderr_timeless(dropped).run();
        let hold = &sandbox.status("a")["hold"];
        assert_eq!(pick(hold, ["by", "reason"]), json!(["bob", "longer"]));
        // A hold without an end ends last.
        as_bob(&[])
            .stderr_timeless(format!("cb: a: it was {what} by bob until TIME (longer); that is dropped\n"))
            .run();
        let kept = format!(
            "cb: a: unchanged, it is {what} by bob until 'cb {way_out} a', which does not end sooner; to shorten it: \
             --replace\n"
        );
        for args in [&[][..], &["--for", "10d"], &["--reason", "another"]] {
            sandbox.cb([&[word, "a"], args].concat()).stderr(&kept).run();
        }
        // `--replace` shortens it.
        let dropped = format!("cb: a: it was {what} by bob until 'cb {way_out} a'; that is dropped\n");
        sandbox.cb([word, "a", "--for", "1m", "--replace"]).stderr(dropped).run();
        assert_eq!(sandbox.status("a")["hold"]["by"], "tester");
        sandbox.shift("a", MINUTE);
        assert_eq!(sandbox.status("a")["mode"], "normal", "{word}");
        assert_eq!(told(), "told\n".repeat(4));
    }
}

#[test]
fn for_no_time_ends_a_hold_of_its_kind() {
    let sandbox = Sandbox::new();
    sandbox.cb(["trip", "a"]).any_stderr().run();
    sandbox.cb(["disable", "a", "--for", "0"]).stderr("cb: a: it was not disabled\n").run();
    assert_eq!(sandbox.status("a")["mode"], "held");
    sandbox.cb(["-v", "trip", "a", "--for", "0"]).stderr("cb: a: hold ended by tester: open, with a probe due\n").run();
    assert_eq!(pick(&sandbox.status("a"), ["state", "mode", "admits"]), json!(["open", "normal", true]));
    sandbox.cb(["reset", "a"]).run();
    sandbox.cb(["disable", "a"]).run();
    sandbox.cb(["-v", "disable", "a", "--for", "0"]).stderr("cb: a: enabled by tester, and closed as before\n").run();
    assert_eq!(sandbox.status("a")["mode"], "normal");
    sandbox.cb(["disable", "b", "--for", "0"]).stderr("cb: b: it was not disabled\n").run();
    assert!(!sandbox.state_file("b").exists(), "nothing was made");
    sandbox.cb(["history", "a"]).stdout_has("hold is over, by tester\n").run();
}

#[test]
fn the_end_of_a_hold_is_told_once_by_the_first_command_that_writes() {
    let sandbox = Sandbox::new();
    sandbox.configure("[defaults]\non-change = 'echo $CB_FROM $CB_TO $CB_REASON >> ~/told'\n");
    let told = || fs::read_to_string(sandbox.home().join("told")).expect("what the hook wrote");
    sandbox.cb(["disable", "a", "--for", "5m"]).run();
    let until = sandbox.status("a")["hold"]["until"].as_str().expect("a time").to_owned();
    sandbox.shift("a", HOUR);
    let until = humantime::parse_rfc3339(&until).expect("a time") - std::time::Duration::from_secs(3_600);
    // A command that only looks says nothing.
    sandbox.cb(["check", "a"]).run();
    sandbox.status("a");
    assert_eq!(told(), "closed disabled disabled\n");
    // The run does not wait for the hook, which still runs, once.
    sandbox
        .cb(["run", "-n", "a", "--", "wc", "-l", "../told"])
        .stdout("1 ../told\n")
        .stderr("cb: a: hold is over: disabled no more, and closed as before\n")
        .run();
    sandbox.exits("a", &[], 0);
    assert_eq!(told(), "closed disabled disabled\ndisabled closed hold is over\n");
    let history = sandbox.cb(["history", "a", "--json"]).any_stdout().run().stdout;
    let history: serde_json::Value = serde_json::from_slice(&history).expect("JSON");
    let last = &history["breakers"][0]["changes"][1];
    assert_eq!(
        pick(last, ["at", "from", "to", "reason", "by"]),
        json!([humantime::format_rfc3339_millis(until).to_string(), "disabled", "closed", "hold is over", null])
    );
    // The end of a trip is a remark, and begins no generation.
    sandbox.cb(["trip", "a", "--for", "5m"]).run();
    sandbox.shift("a", HOUR);
    let generation = sandbox.status("a")["generation"].clone();
    let permit = sandbox.cb(["allow", "a", "-v"]);
    let over = "cb: a: hold is over: open; the next run is a probe, or close it with 'cb reset a'\n";
    permit.any_stdout().stderr(over).run();
    assert_eq!(told().lines().last(), Some("open open hold is over"));
    assert_eq!(sandbox.status("a")["generation"].as_u64(), generation.as_u64().map(|number| number + 1), "half-open");
    // Any command that writes first will do: here a report and a person.
    for (name, args) in [("b", &["record", "b", "success"][..]), ("c", &["reset", "c"]), ("d", &["trip", "d"])] {
        sandbox.cb(["disable", name, "--for", "5m"]).run();
        sandbox.shift(name, HOUR);
        let line = format!("cb: {name}: hold is over: disabled no more, and closed as before\n");
        sandbox.cb(args).stderr(line).run();
    }
    // A refusal writes too.
    sandbox.runs("e", &["--threshold", "1", "--cooldown", "2h"], 1).any_stderr().run();
    sandbox.cb(["disable", "e", "--for", "5m"]).run();
    sandbox.shift("e", HOUR);
    let refused = || sandbox.cb(["run", "-n", "e", "--", "true"]).code(75);
    refused().stderr_has("cb: e: hold is over: disabled no more, and open; next try in ").run();
    refused().run();
}

#[test]
fn a_trip_makes_the_results_of_runs_before_it_late() {
    let sandbox = Sandbox::new();
    let run = sandbox.begin("a", &[]);
    sandbox.cb(["trip", "a", "--for", "1h"]).run();
    run.ends(0);
    let status = sandbox.status("a");
    assert_eq!(pick(&status, ["state", "mode"]), json!(["open", "held"]));
    assert_eq!(pick(&status, ["totals.late", "totals.successes"]), json!([1, 0]));
}

// Disable and enable.

#[test]
fn a_disabled_breaker_lets_everything_through_and_stands_still() {
    let sandbox = Sandbox::new();
    sandbox.cb(["disable", "a"]).run();
    for _ in 0..7 {
        sandbox.exits("a", &[], 1);
    }
    let status = sandbox.status("a");
    assert_eq!(pick(&status, ["state", "mode", "admits"]), json!(["closed", "disabled", true]));
    assert_eq!(pick(&status, ["consecutive_failures", "window.failures"]), json!([7, 7]));
    assert_eq!(pick(&status, ["totals.failures", "totals.admitted"]), json!([7, 7]));
    assert_eq!(status["last"]["exit_code"], 1);
    // Enabling judges nothing by itself.
    sandbox.cb(["enable", "a"]).run();
    let status = sandbox.status("a");
    assert_eq!(pick(&status, ["state", "mode"]), json!(["closed", "normal"]));
    assert_eq!(status["consecutive_failures"], 7);
    // It goes on from there.
    sandbox
        .runs("a", &[], 1)
        .stderr_timeless(
            "cb: a: opened: 8 failures in a row: exit 1; next try in 30s (TIME), or now with 'cb reset a'\n",
        )
        .run();
}

#[test]
fn a_success_ends_the_row_of_a_disabled_breaker_too() {
    let sandbox = Sandbox::new();
    sandbox.cb(["disable", "a"]).run();
    for _ in 0..4 {
        sandbox.exits("a", &[], 1);
    }
    sandbox.exits("a", &[], 0);
    assert_eq!(sandbox.status("a")["consecutive_failures"], 0);
    sandbox.cb(["enable", "a"]).run();
    for _ in 0..4 {
        sandbox.exits("a", &[], 1);
    }
    assert_eq!(sandbox.state("a"), "closed");
}

#[test]
fn disabled_while_open_runs_pass_and_are_no_probes() {
    let sandbox = Sandbox::new();
    sandbox.runs("a", &["--threshold", "1", "--cooldown", "1h"], 1).any_stderr().run();
    let opened = sandbox.status("a");
    sandbox.cb(["disable", "a"]).run();
    sandbox.cb(run_of("a")).stdout("probe no\n").run();
    sandbox.shift("a", 2 * HOUR);
    sandbox.cb(run_of("a")).stdout("probe no\n").run();
    let status = sandbox.status("a");
    assert_eq!(pick(&status, ["state", "mode"]), json!(["open", "disabled"]));
    assert_eq!(status["generation"], opened["generation"]);
    assert_eq!(pick(&status, ["totals.successes", "totals.late"]), json!([2, 0]));
    // The cool-down has gone on meanwhile, so a probe is due.
    sandbox.cb(["enable", "a"]).run();
    sandbox.cb(run_of("a")).stdout("probe 1\n").stderr("cb: a: closed again: probe succeeded\n").run();
}

#[test]
fn enabled_within_the_cool_down_it_is_still_open() {
    let sandbox = Sandbox::new();
    let options = ["--threshold", "1", "--cooldown", "1h"];
    sandbox.runs("a", &options, 1).any_stderr().run();
    let opened = sandbox.status("a");
    sandbox.cb(["disable", "a"]).run();
    sandbox.exits("a", &options, 1);
    sandbox.cb(["enable", "a"]).run();
    sandbox.runs("a", &options, 0).code(75).run();
    let status = sandbox.status("a");
    // It also has its former reason.
    let unchanged = ["retry_at", "since", "reason"];
    assert_eq!(pick(&status, unchanged), pick(&opened, unchanged));
    assert_eq!(status["totals"]["opened"], 1);
}

#[test]
fn disabled_while_half_open_a_probe_decides_nothing() {
    for code in [0, 1] {
        let sandbox = Sandbox::new();
        sandbox.cb(["-q", "trip", "a", "--for", "0"]).run();
        let probe = sandbox.begin("a", &[]);
        sandbox.cb(["disable", "a"]).run();
        sandbox.cb(run_of("a")).stdout("probe no\n").run();
        probe.ends(code);
        let status = sandbox.status("a");
        assert_eq!(pick(&status, ["state", "mode"]), json!(["half_open", "disabled"]), "exit {code}");
        assert_eq!(pick(&status, ["totals.late", "probe_successes"]), json!([0, 0]));
        // Its place is free.
        sandbox.cb(["enable", "a"]).run();
        sandbox.cb(run_of("a")).stdout("probe 1\n").stderr("cb: a: closed again: probe succeeded\n").run();
    }
}

#[test]
fn disabled_for_a_time_it_enables_itself() {
    let sandbox = Sandbox::new();
    sandbox.cb(["disable", "a", "--for", "5m", "--reason", "moving house"]).run();
    let status = sandbox.status("a");
    assert_eq!(pick(&status, ["hold.by", "hold.reason"]), json!(["tester", "moving house"]));
    assert!(status["hold"]["until"].is_string());
    for _ in 0..5 {
        sandbox.exits("a", &[], 1);
    }
    sandbox.shift("a", 5 * MINUTE);
    let status = sandbox.status("a");
    assert_eq!(pick(&status, ["state", "mode", "hold"]), json!(["closed", "normal", null]));
    sandbox.runs("a", &[], 1).stderr_has("cb: a: opened: 6 failures in a row: exit 1; ").run();
}

#[test]
fn disable_and_trip_replace_each_other_and_enable_ends_only_disable() {
    let sandbox = Sandbox::new();
    sandbox.cb(["disable", "a"]).run();
    sandbox.cb(["trip", "a", "--reason", "no"]).run();
    sandbox.runs("a", &[], 0).code(75).run();
    assert_eq!(sandbox.status("a")["mode"], "held");
    sandbox.cb(["enable", "a"]).run();
    sandbox.cb(["-v", "enable", "a"]).stderr("cb: a: it was not disabled\n").run();
    sandbox.runs("a", &[], 0).code(75).run();
    sandbox.cb(["disable", "a", "--for", "1h"]).run();
    sandbox.cb(run_of("a")).stdout("probe no\n").run();
    assert_eq!(sandbox.status("a")["mode"], "disabled");
    // The trip without end is gone too, as there is one hold.
    sandbox.cb(["enable", "a"]).run();
    let status = sandbox.status("a");
    assert_eq!(pick(&status, ["state", "mode", "hold"]), json!(["open", "normal", null]));
    sandbox.cb(run_of("a")).stdout("probe 1\n").stderr("cb: a: closed again: probe succeeded\n").run();
}

#[test]
fn reset_ends_both_holds_and_clears_what_trips() {
    for hold in ["trip", "disable"] {
        let sandbox = Sandbox::new();
        let options = ["--failure-budget=9/1h", "--failure-rate=100", "--min-calls=9", "--window=1h"];
        for _ in 0..4 {
            sandbox.exits("a", &options, 1);
        }
        let before = sandbox.status("a");
        assert_eq!(pick(&before, ["consecutive_failures", "window.failures"]), json!([4, 4]));
        sandbox.cb([hold, "a"]).run();
        sandbox.cb(["reset", "a"]).run();
        let status = sandbox.status("a");
        assert_eq!(pick(&status, ["state", "mode"]), json!(["closed", "normal"]), "{hold}");
        assert_eq!(pick(&status, ["hold", "consecutive_failures"]), json!([null, 0]));
        assert_eq!(status["window"]["calls"], 0);
        assert_eq!(status["totals"]["failures"], 4, "totals stay");
        sandbox.cb(["status", "a"]).stdout_has("budget:       0 of 9 failures within 1h\n").run();
    }
}

#[test]
fn reset_closes_what_failures_have_opened() {
    let sandbox = Sandbox::new();
    sandbox.open_by("a", &AN_HOUR, 1);
    sandbox.cb(["reset", "a"]).run();
    for _ in 0..4 {
        sandbox.exits("a", &AN_HOUR, 1);
    }
    assert_eq!(sandbox.state("a"), "closed", "the row begins anew");
    sandbox.cb(["reset", "a", "-v"]).stderr("cb: a: closed by tester\n").run();
}

#[test]
fn a_reset_makes_the_results_of_runs_before_it_late() {
    let sandbox = Sandbox::new();
    let run = sandbox.begin("a", &["--threshold", "1"]);
    sandbox.cb(["reset", "a"]).run();
    run.ends(1);
    let status = sandbox.status("a");
    assert_eq!(pick(&status, ["state", "totals.late"]), json!(["closed", 1]));
}

#[test]
fn a_clock_that_was_set_back_ends_holds_for_a_time_and_no_others() {
    let sandbox = Sandbox::new();
    for (word, state) in [("disable", "closed"), ("trip", "open")] {
        sandbox.cb([word, "a", "--for", "1h"]).any_stderr().run();
        sandbox.shift("a", -2 * HOUR);
        assert_eq!(pick(&sandbox.status("a"), ["state", "mode", "admits"]), json!([state, "normal", true]));
    }
    for (word, mode) in [("disable", "disabled"), ("trip", "held")] {
        sandbox.cb([word, "a"]).any_stderr().run();
        sandbox.shift("a", -2 * HOUR);
        assert_eq!(sandbox.status("a")["mode"], mode);
    }
    // A step of a minute ends no hold.
    sandbox.cb(["trip", "a", "--for", "1h", "--replace"]).any_stderr().run();
    sandbox.shift("a", -30 * SECOND);
    let status = sandbox.status("a");
    assert_eq!(pick(&status, ["mode", "admits"]), json!(["held", false]));
    let (left, until) = (status["retry_in_ms"].as_u64().expect("a time"), millis(&status["hold"]["until"]));
    assert_eq!((left, until - millis(&status["since"])), (3_600_000, 3_600_000), "it stands still meanwhile");
}

// Who and why.

#[test]
fn holds_say_who_made_them() {
    let sandbox = Sandbox::new();
    let user = String::from_utf8(sandbox.command("id", ["-un"]).any_stdout().run().stdout).expect("a name");
    let long = "x".repeat(40);
    let cases: [(&[(&str, &str)], &str); 8] = [
        (&[("SUDO_USER", "eve"), ("LOGNAME", "root"), ("USER", "root")], "eve"),
        (&[("SUDO_USER", ""), ("LOGNAME", "ann")], "ann"),
        (&[("LOGNAME", "ann"), ("USER", "bob")], "ann"),
        (&[("USER", "bob")], "bob"),
        (&[("LOGNAME", ""), ("USER", "bob")], "bob"),
        (&[], user.trim()),
        (&[("LOGNAME", ""), ("USER", "")], user.trim()),
        (&[("LOGNAME", &long)], &long[..32]),
    ];
    for (variables, expected) in cases {
        for word in ["trip", "disable"] {
            let run = sandbox.cb(["-q", word, "a"]).env_remove("LOGNAME");
            variables.iter().fold(run, |run, (name, value)| run.env(name, value)).run();
            assert_eq!(sandbox.status("a")["hold"]["by"], expected, "{word} by {variables:?}");
        }
    }
}

#[test]
fn a_reason_is_bounded_by_what_it_takes_to_store() {
    let sandbox = Sandbox::new();
    let too_long = [
        ("x".repeat(121), 121),
        ("é".repeat(61), 122),
        ("\"".repeat(61), 122),
        ("\u{1}".repeat(21), 126),
        ("\u{1b}".repeat(21), 126),
    ];
    for word in ["trip", "disable"] {
        for (reason, bytes) in &too_long {
            sandbox
                .cb([word, "a", "--reason", reason])
                .code(125)
                .stderr(format!("cb: --reason: {bytes} bytes are too many, at most 120 are kept\n"))
                .run();
        }
        assert!(!sandbox.state_file("a").exists(), "nothing was done");
    }
    for reason in ["x".repeat(120), "é".repeat(60), "\"".repeat(60), "\u{1}".repeat(20), "\u{1b}".repeat(20)] {
        sandbox.cb(["trip", "a", "--replace", "--reason", &reason]).any_stderr().run();
        assert_eq!(sandbox.status("a")["hold"]["reason"], reason.as_str());
    }
    sandbox.cb(["trip", "a", "--replace", "--reason", ""]).any_stderr().run();
    assert_eq!(sandbox.status("a")["hold"]["reason"], json!(null), "an empty one is none");
}

#[test]
fn a_duration_among_the_names_is_no_name() {
    let sandbox = Sandbox::new();
    for args in [&["trip", "a", "for", "1h"][..], &["trip", "a", "90s"], &["disable", "a", "1.5h"]] {
        let last = args[args.len() - 1];
        let line = format!("cb: '{last}' would be one more breaker; to hold for that long write --for {last}\n");
        sandbox.cb(args).code(125).stderr(line).run();
    }
    assert!(!sandbox.state_dir().exists());
    // Alone, beside an end, or as a bare number it is a name.
    sandbox.cb(["trip", "1h"]).any_stderr().run();
    sandbox.cb(["trip", "a", "2h", "--for", "1h"]).any_stderr().run();
    sandbox.cb(["disable", "a", "8080"]).run();
    sandbox.cb(["status", "1h", "a", "8080"]).any_stdout().run();
}

#[test]
fn no_escape_sequence_of_a_reason_reaches_the_terminal() {
    const HOSTILE: &str = "\u{1b}[31mred\u{7}\n\u{202e}\u{9b}2J";
    const SHOWN: &str = "\\u{1b}[31mred\\u{7}\\n\\u{202e}\\u{9b}2J";
    let sandbox = Sandbox::new();
    sandbox
        .cb(["-v", "trip", "a", "--reason", HOSTILE])
        .stderr(format!(
            "cb: a: held open by tester until 'cb reset a': {SHOWN}\ncb: a: it is new: nobody has used a breaker of \
             this name\n"
        ))
        .run();
    sandbox
        .runs("a", &["-v"], 0)
        .code(75)
        .stderr(format!("cb: a: refused, it is held open by tester ({SHOWN}) until 'cb reset a'\n"))
        .run();
    let table = "NAME  STATE      FAILURES  NEXT TRY  RECENT  LAST FAILURE\n";
    let row = format!("a     held open  0/5       on reset  -       by tester: {SHOWN}\n");
    sandbox.cb(["status"]).stdout(format!("{table}{row}")).run();
    sandbox.cb(["status", "a"]).stdout_has(format!("\n  reason:       {SHOWN}\n")).run();
    sandbox.cb(["history"]).stdout_has(format!("  a  closed -> open  {SHOWN}, by tester\n")).run();
    // JSON escapes it too, as people may print it as it is.
    sandbox.cb(["status", "--json"]).stdout_has(r#""reason":"\u001b[31mred\u0007\n\u202e\u009b2J""#).run();
    assert_eq!(sandbox.status("a")["hold"]["reason"], HOSTILE);
    // The name from the environment is escaped too.
    sandbox.cb(["disable", "a"]).env("LOGNAME", "\u{1b}]0;x\u{7}").run();
    sandbox
        .cb(["status"])
        .stdout(
            "NAME  STATE     FAILURES  NEXT TRY  RECENT  LAST FAILURE\n\
             a     disabled  0/5       now       -       by \\u{1b}]0;x\\u{7}\n",
        )
        .run();
}

// What is said.

#[test]
fn each_change_by_hand_has_a_line_that_is_told_with_v() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 0);
    let steps: [(&[&str], &str); 20] = [
        (&["trip", "a"], "a: held open by tester until 'cb reset a'"),
        (&["disable", "a"], "a: disabled by tester until 'cb enable a'"),
        (&["enable", "a"], "a: enabled by tester, and open as before"),
        (
            &["disable", "a", "--for", "5m", "--reason", "why"],
            "a: disabled by tester for 5m (until TIME), or 'cb enable a': why",
        ),
        (&["enable", "a"], "a: enabled by tester, and open as before"),
        (&["enable", "a"], "a: it was not disabled"),
        (&["trip", "a", "--for", "90s"], "a: held open by tester for 1m 30s (until TIME), or 'cb reset a'"),
        (&["trip", "a", "--for", "0"], "a: hold ended by tester: open, with a probe due"),
        (&["trip", "a", "--for", "0"], "a: unchanged: it is open, with a probe due"),
        (&["trip", "a", "--reason", "fire"], "a: held open by tester until 'cb reset a': fire"),
        (&["reset", "a"], "a: closed by tester"),
        (&["reset", "a"], "a: closed by tester"),
        (&["disable", "a"], "a: disabled by tester until 'cb enable a'"),
        (&["trip", "a", "--for", "0"], "a: open by tester, with a probe due"),
        (&["disable", "a"], "a: disabled by tester until 'cb enable a'"),
        (&["reset", "a"], "a: closed by tester"),
        (&["disable", "a", "--for", "1d"], "a: disabled by tester for 1d (until TIME), or 'cb enable a'"),
        (&["enable", "a"], "a: enabled by tester, and closed as before"),
        (&["reset", "--all"], "a: closed by tester"),
        (&["remove", "a"], "a: removed"),
    ];
    for (args, line) in steps {
        sandbox.cb([&["-v"], args].concat()).stderr_timeless(format!("cb: {line}\n")).run();
    }
    // The person knows about it, so without -v nothing is said.
    sandbox.exits("a", &[], 0);
    for (args, _) in steps {
        sandbox.cb(args).run();
    }
}

#[test]
fn a_half_open_breaker_is_enabled_to_what_it_was() {
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "a", "--for", "0"]).run();
    let probe = sandbox.begin("a", &[]);
    sandbox.cb(["disable", "a"]).run();
    sandbox.cb(["-v", "enable", "a"]).stderr("cb: a: enabled by tester, and half-open as before\n").run();
    sandbox.runs("a", &[], 0).code(75).run();
    probe.ends_saying(0, "cb: a: closed again: probe succeeded\n");
}

#[test]
fn several_breakers_at_once_and_what_fails_for_one_stops_no_other() {
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "a", "b", "c"]).run();
    sandbox
        .cb(["reset", "a", "other", "c"])
        .stderr("cb: there is no breaker 'other'; 'cb status' lists those there are\n")
        .run();
    assert_eq!(["a", "b", "c"].map(|name| sandbox.state(name)), ["closed", "open", "closed"]);
    sandbox.cb(["enable", "bb"]).code(125).stderr("cb: there is no breaker 'bb'; did you mean 'b'?\n").run();
    sandbox.cb(["disable", "a", "b"]).run();
    sandbox.cb(["enable", "a", "b"]).run();
    sandbox.cb(["trip", "a", "b", "c"]).run();
    sandbox.cb(["reset", "--all"]).run();
    assert_eq!(["a", "b", "c"].map(|name| sandbox.state(name)), ["closed", "closed", "closed"]);
    sandbox.cb(["remove", "--all"]).run();
    assert_eq!(fs::read_dir(sandbox.state_dir()).expect("the directory").count(), 0);
    sandbox
        .cb(["reset", "a"])
        .stderr("cb: there is no breaker 'a'; there is none yet; the first 'cb run' makes one\n")
        .run();
}

#[test]
fn reset_of_several_and_of_all() {
    let sandbox = Sandbox::new();
    sandbox.cb(["reset", "--all"]).run();
    assert!(!sandbox.home().join(".cache").exists());
    for name in ["a", "b", "c"] {
        sandbox.open_by(name, &AN_HOUR, 1);
    }
    sandbox.cb(["reset", "a", "b"]).run();
    assert_eq!(["a", "b", "c"].map(|name| sandbox.state(name)), ["closed", "closed", "open"]);
    sandbox.open_by("a", &AN_HOUR, 1);
    sandbox.cb(["reset", "--all"]).run();
    assert_eq!(["a", "b", "c"].map(|name| sandbox.state(name)), ["closed", "closed", "closed"]);
    // A failure with one does not stop the others.
    sandbox.open_by("c", &AN_HOUR, 1);
    sandbox.cb(["reset", "b", "nobody", "c"]).stderr_has("cb: there is no breaker 'nobody'").run();
    assert_eq!(sandbox.state("c"), "closed");
}

#[test]
fn a_breaker_that_only_the_configuration_knows_may_be_meant() {
    let sandbox = Sandbox::new();
    // What is wrong elsewhere in it does not matter.
    sandbox.configure("[breakers.openai]\n[breakers.other]\nthreshold = \"five\"\n");
    let told = "there is no breaker 'opnai'; did you mean 'openai'?\n";
    sandbox.cb(["enable", "opnai"]).code(125).stderr(format!("cb: {told}")).run();
    sandbox.cb(["reset", "opnai"]).stderr(format!("cb: {told}")).run();
    let new = "cb: opnai: it is new; did you mean 'openai'? To take it back write 'cb remove opnai'\n";
    sandbox.cb(["trip", "opnai"]).stderr(new).run();
    sandbox.cb(["remove", "opnai"]).run();
    // There is one, though it has no state yet.
    sandbox.cb(["reset", "z"]).stderr("cb: there is no breaker 'z'; 'cb status' lists those there are\n").run();
}

#[test]
fn a_breaker_of_the_configuration_is_known_before_its_first_run() {
    let sandbox = Sandbox::new();
    sandbox.configure("[breakers.planned]\nthreshold = 3\n");
    sandbox.cb(["reset", "planned"]).run();
    sandbox.cb(["remove", "planned"]).run();
    sandbox.cb(["-v", "enable", "planned"]).stderr("cb: planned: it was not disabled\n").run();
    assert!(!sandbox.state_dir().exists(), "nothing was written");
}

#[test]
fn whoever_sets_an_unreadable_state_aside_says_so() {
    let sandbox = Sandbox::new();
    let path = sandbox.state_file("a");
    let notice = format!(
        "cb: a: {path} was not readable (it is not a state of cb): set aside as a.json.corrupt, the breaker starts anew, \
         closed\n",
        path = path.display()
    );
    let spoil = || fs::write(&path, "spoilt").expect("the state file can be written");
    sandbox.exits("a", &[], 0);
    for args in [&["trip", "a"][..], &["reset", "a"], &["disable", "a"], &["enable", "a"], &["record", "a", "failure"]]
    {
        spoil();
        sandbox.cb(args).stderr(&notice).run();
        let aside = sandbox.state_dir().join("a.json.corrupt");
        assert_eq!(fs::read_to_string(&aside).expect("it was set aside"), "spoilt", "{args:?}");
        fs::remove_file(aside).expect("it can be removed");
    }
    sandbox.cb(["remove", "a"]).run();
    let run = sandbox.begin("a", &[]);
    spoil();
    run.ends_saying(3, &notice);
    let permit = String::from_utf8(sandbox.cb(["allow", "a"]).any_stdout().run().stdout).expect("a permit");
    spoil();
    let late =
        "cb: a: late: the permit is of a breaker that was removed, or of one with another name; it changes nothing\n";
    sandbox.cb(["record", "a", "failure", "--permit", permit.trim()]).stderr(format!("{notice}{late}")).run();
    sandbox.exits("a", &[], 0);
    assert_eq!(pick(&sandbox.status("a"), ["totals.admitted", "totals.failures"]), json!([1, 0]));
}

// A child that trips its own breaker.

#[test]
fn what_a_command_reports_of_itself_is_no_order() {
    let sandbox = Sandbox::new();
    // As after HTTP 429 with a time to stay away.
    let report = |span: &str| {
        ["run", "-n", "a", "--", "sh", "-c", &format!("cb trip \"$CB_NAME\" {span}; exit 22")].map(str::to_owned)
    };
    let opened = "cb: a: opened: reported by the run; next try in 1m 30s (TIME), or now with 'cb reset a'\n";
    sandbox.cb(report("--for 90s")).code(22).stderr_timeless(opened).run();
    let status = sandbox.status("a");
    assert_eq!(pick(&status, ["state", "mode", "hold"]), json!(["open", "normal", null]));
    assert_eq!(pick(&status, ["totals.late", "totals.failures", "totals.opened"]), json!([1, 1, 1]));
    assert_eq!(pick(&status, ["last.outcome", "window.failures"]), json!(["failure", 1]));
    assert_eq!(millis(&status["retry_at"]) - millis(&status["since"]), 90_000);
    sandbox.runs("a", &[], 0).code(75).run();
    // A probe reopens it, for the longer of that and the next cool-down.
    sandbox.shift("a", 90 * SECOND);
    sandbox.cb(report("--for 1s")).code(22).run();
    let status = sandbox.status("a");
    assert_eq!(millis(&status["retry_at"]) - millis(&status["since"]), 30_000);
    // Without a time it is for the cool-down, and never for more than an hour.
    for (span, seconds) in [("--reason 'HTTP 429'", 30), ("--for 0", 30), ("--for 2d", 3_600)] {
        sandbox.cb(["reset", "a"]).run();
        sandbox.cb(report(span)).code(22).any_stderr().run();
        let status = sandbox.status("a");
        assert_eq!(millis(&status["retry_at"]) - millis(&status["since"]), seconds * 1_000, "{span}");
    }
}

#[test]
fn a_report_of_a_run_touches_no_hold() {
    let sandbox = Sandbox::new();
    let (mut run, mut other) = (sandbox.begin("a", &[]), sandbox.begin("b", &[]));
    sandbox.cb(["trip", "a", "--for", "1h", "--reason", "maintenance"]).run();
    sandbox.cb(["disable", "b"]).run();
    let report = |name: &str| sandbox.cb(["trip", name, "--for", "5s"]).env("CB_NAME", name);
    let told = "the report is counted and changes nothing, it is";
    report("a").stderr_timeless(format!("cb: a: {told} held open by tester until TIME (maintenance)\n")).run();
    report("b").stderr(format!("cb: b: {told} disabled by tester until 'cb enable b'\n")).run();
    run.release(0);
    other.release(0);
    run.wait();
    other.wait();
    assert_eq!(pick(&sandbox.status("a"), ["mode", "totals.failures", "totals.late"]), json!(["held", 1, 1]));
    // No generation has begun, so the run's own result counts as any.
    let status = sandbox.status("b");
    assert_eq!(pick(&status, ["mode", "totals.failures", "totals.successes"]), json!(["disabled", 1, 1]));
}

#[test]
fn who_orders_within_a_run_is_obeyed() {
    let sandbox = Sandbox::new();
    let trip = |name: &str, args: &[&str]| sandbox.cb([&["trip", name], args].concat()).env("CB_NAME", "a");
    for (variable, value, mode) in [
        ("CB_HOOK", "1", "held"),
        ("CB_FALLBACK", "1", "held"),
        ("CB_HOOK", "2", "normal"),
        ("CB_FALLBACK", "2", "normal"),
    ] {
        trip("a", &["--for", "1h"]).env(variable, value).any_stderr().run();
        assert_eq!(sandbox.status("a")["mode"], mode, "{variable}={value}");
        sandbox.cb(["reset", "a"]).run();
    }
    // For another breaker, or with `--replace`, it is an order.
    trip("b", &[]).any_stderr().run();
    trip("a", &["--replace"]).run();
    assert_eq!(["a", "b"].map(|name| sandbox.status(name)["mode"].clone()), ["held", "held"]);
    sandbox.cb(["reset", "a", "b"]).run();
    // Of several only the run's own is a report.
    sandbox.cb(["trip", "a", "b"]).env("CB_NAME", "a").stderr_has("cb: a: opened: reported by the run; ").run();
    assert_eq!(["a", "b"].map(|name| sandbox.status(name)["mode"].clone()), ["normal", "held"]);
    // The kill switch stops reports of runs, not orders of people.
    sandbox.cb(["reset", "a", "b"]).run();
    let before = sandbox.bytes("a");
    trip("a", &[]).env("CB_DISABLED", "1").run();
    assert_eq!(sandbox.bytes("a"), before);
    trip("b", &[]).env("CB_DISABLED", "1").run();
    assert_eq!(sandbox.status("b")["mode"], "held");
}

#[test]
fn a_script_that_is_told_to_stay_away_stays_away() {
    const SCRIPT: &str = r#"#!/bin/sh
# Fetches a page. A server that answers 429 says for how long it wants no more requests: everybody heeds that.
answer=$(curl -sS -D headers -o body -w '%{http_code}' "$1") || exit
case $answer in
429)
    retry_after=$(sed -n 's/^[Rr]etry-[Aa]fter: *\([0-9]*\).*/\1/p' headers)
    cb trip "$CB_NAME" --for "${retry_after:-60}" --reason 'HTTP 429'
    exit 22
    ;;
200) cat body ;;
*) exit 1 ;;
esac
"#;
    if !have("curl") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.script("fetch", SCRIPT);
    let server = Server::start();
    server.answers_first([Answer(429, "Retry-After: 120\r\n".to_owned(), String::new())]);
    let url = server.url();
    let fetch = ["run", "-n", "api", "fetch", &url];
    sandbox.cb(fetch).code(22).stderr_has("cb: api: opened: HTTP 429; next try in ").run();
    let status = sandbox.status("api");
    assert_eq!(pick(&status, ["state", "mode", "reason"]), json!(["open", "normal", "HTTP 429"]));
    let left = status["retry_in_ms"].as_i64().expect("a time");
    assert!(left <= 120 * SECOND && left > 90 * SECOND, "{left}");
    // The result of the run that reported is late.
    assert_eq!(pick(&status, ["totals.late", "totals.failures"]), json!([1, 1]));
    // No run is let through before the time is over.
    sandbox.cb(fetch).code(75).run();
    sandbox.cb(fetch).code(75).run();
    assert_eq!(server.answered(), 1);
    sandbox.shift("api", 120 * SECOND);
    sandbox.cb(fetch).stdout("ok\n").stderr("cb: api: closed again: probe succeeded\n").run();
    assert_eq!(server.answered(), 2);
}

#[test]
fn a_child_trips_the_breaker_it_runs_under_wherever_that_is_kept() {
    let sandbox = Sandbox::new();
    let trip = format!("{CB} trip \"$CB_NAME\" --for 1h");
    let state = sandbox.work().join("state");
    fs::create_dir(&state).expect("a directory");
    sandbox
        .cb(["run", "-n", "a", "--state-dir", "state", "--", "sh", "-c", &format!("cd / && {trip}")])
        .any_stderr()
        .run();
    sandbox.cb(["check", "a", "--state-dir", "state"]).code(75).run();
    assert!(!sandbox.state_dir().exists());
}

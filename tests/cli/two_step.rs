//! `cb allow` and `cb record`: two steps for what `cb` cannot start, and reports of what was seen elsewhere.
//! See cb-contract(7) 1.28, 1.29, 1.33, 2.9 and 4.8 to 4.12.

use std::fs;

use serde_json::json;

use crate::support::{Sandbox, pick};

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const DAY: i64 = 24 * 60 * MINUTE;

const LATE: &str = "the permit was recorded before, is too old, or the state has moved on since; it changes nothing";

/// Asks and must get a permit, which it returns.
#[track_caller]
fn allow(sandbox: &Sandbox, options: &[&str]) -> String {
    let args = ["allow", "a"].into_iter().chain(options.iter().copied());
    let permit = String::from_utf8(sandbox.cb(args).any_stdout().run().stdout).expect("a permit");
    permit.strip_suffix('\n').expect("a line").to_owned()
}

/// Records with a permit, in silence.
#[track_caller]
fn record(sandbox: &Sandbox, permit: &str, words: &[&str]) {
    let args = ["record", "a", "--permit", permit].into_iter().chain(words.iter().copied());
    sandbox.cb(args).run();
}

/// Records with a permit that is late, which `cb` must say.
#[track_caller]
fn record_late(sandbox: &Sandbox, permit: &str, words: &[&str]) {
    let args = ["record", "a", "--permit", permit].into_iter().chain(words.iter().copied());
    sandbox.cb(args).stderr(format!("cb: a: late: {LATE}\n")).run();
}

/// A breaker that is open, with this cool-down.
fn opened(cooldown: &str, options: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    let args = ["--threshold", "1", "--cooldown", cooldown].into_iter().chain(options.iter().copied());
    sandbox.runs("a", &args.collect::<Vec<_>>(), 1).any_stderr().run();
    sandbox
}

/// A half-open breaker, and the permit of its probe.
fn probing(options: &[&str]) -> (Sandbox, String) {
    let sandbox = opened("10s", options);
    sandbox.shift("a", 10 * SECOND);
    let args = ["--threshold", "1", "--cooldown", "10s"].into_iter().chain(options.iter().copied());
    let permit = allow(&sandbox, &args.collect::<Vec<_>>());
    assert_eq!(sandbox.state("a"), "half_open");
    (sandbox, permit)
}

// Permits.

#[test]
fn as_json_a_permit_or_a_refusal_can_be_read_by_a_program() {
    let sandbox = Sandbox::new();
    let asked = |sandbox: &Sandbox, code: i32| {
        let output = sandbox.cb(["allow", "a", "--json"]).code(code).any_stdout().run();
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("JSON")
    };
    let allowed = asked(&sandbox, 0);
    let permit = allowed["permit"].as_str().expect("a permit");
    assert_eq!(allowed, json!({ "permit": permit }));
    record(&sandbox, permit, &["success"]);
    sandbox.cb(["-q", "trip", "a"]).run();
    assert_eq!(asked(&sandbox, 75), json!({ "refused": { "reason": null, "retry_at": null, "retry_in_ms": null } }));
    sandbox.cb(["-q", "trip", "a", "--for", "0"]).run();
    sandbox.cb(["-q", "trip", "a", "--for", "1h", "--reason", "moving house"]).run();
    let mut refused = asked(&sandbox, 75);
    let left = refused["refused"]["retry_in_ms"].take().as_u64().expect("a number");
    assert!((3_500_000..=3_600_000).contains(&left), "{left}");
    let retry_at = sandbox.status("a")["retry_at"].clone();
    let expected = json!({ "reason": "moving house", "retry_at": retry_at, "retry_in_ms": null });
    assert_eq!(refused, json!({ "refused": expected }));
    sandbox.cb(["allow", "a", "--json", "-E", "9"]).code(9).any_stdout().run();
    // Where nobody can be asked, it is allowed; a permit that nobody reads comes to nothing.
    sandbox.cb(["allow", "a", "--json"]).env("CB_DISABLED", "1").stdout("{\"permit\":\"unguarded\"}\n").run();
    let sandbox = Sandbox::new();
    sandbox.unread("cb allow a --json").run();
    assert_eq!(pick(&sandbox.status("a"), ["totals.admitted", "totals.ignored"]), json!([1, 1]));
}

#[test]
fn a_permit_is_one_word_and_good_for_one_result() {
    let sandbox = Sandbox::new();
    let permit = allow(&sandbox, &[]);
    let parts: Vec<&str> = permit.split('-').collect();
    assert!(
        parts.len() == 3 && parts[0].len() == 16 && permit.bytes().all(|byte| b"0123456789abcdef-".contains(&byte))
    );
    assert_eq!(pick(&sandbox.status("a"), ["totals.admitted", "totals.failures", "last"]), json!([1, 0, null]));
    record(&sandbox, &permit, &["failure"]);
    let after = json!([1, 1, 0, 1, "failure"]);
    let facts = ["totals.admitted", "totals.failures", "totals.late", "consecutive_failures", "last.outcome"];
    assert_eq!(pick(&sandbox.status("a"), facts), after);
    record_late(&sandbox, &permit, &["failure"]);
    record_late(&sandbox, &permit, &["success"]);
    assert_eq!(
        pick(&sandbox.status("a"), facts),
        json!([1, 1, 2, 1, "failure"]),
        "a late result is late and nothing else"
    );
    sandbox.cb(["-q", "record", "a", "success", "--permit", &permit]).run();
}

#[test]
fn each_permit_is_another() {
    let sandbox = Sandbox::new();
    let (first, second) = (allow(&sandbox, &[]), allow(&sandbox, &[]));
    assert_ne!(first, second);
    // In any order.
    record(&sandbox, &second, &["success"]);
    record(&sandbox, &first, &["failure"]);
    record_late(&sandbox, &second, &["failure"]);
    assert_eq!(pick(&sandbox.status("a"), ["totals.successes", "totals.failures"]), json!([1, 1]));
}

#[test]
fn a_refused_caller_gets_no_permit() {
    let sandbox = opened("1h", &[]);
    sandbox.cb(["allow", "a"]).code(75).run();
    let line = sandbox.cb(["-v", "allow", "a"]).code(75).any_stderr().run().stderr;
    let line = String::from_utf8(line).expect("text");
    assert!(line.starts_with("cb: a: refused, it is open (1 failure in a row: exit 1); next try in "), "{line}");
    assert!(line.ends_with("), or now with 'cb reset a'\n"), "{line}");
    assert_eq!(sandbox.status("a")["totals"]["refused"], 2);
}

#[test]
fn a_permit_is_late_once_the_state_has_moved_on() {
    let sandbox = Sandbox::new();
    let before = allow(&sandbox, &[]);
    sandbox.runs("a", &["--threshold", "1"], 1).any_stderr().run();
    record_late(&sandbox, &before, &["success"]);
    assert_eq!(pick(&sandbox.status("a"), ["state", "totals.late"]), json!(["open", 1]));
    sandbox.cb(["reset", "a"]).run();
    let before = allow(&sandbox, &[]);
    sandbox.cb(["reset", "a"]).run();
    record_late(&sandbox, &before, &["failure"]);
    assert_eq!(pick(&sandbox.status("a"), ["consecutive_failures", "totals.late"]), json!([0, 2]));
}

#[test]
fn a_permit_of_a_closed_breaker_has_no_end() {
    let sandbox = Sandbox::new();
    let permit = allow(&sandbox, &["--lease", "1s"]);
    sandbox.shift("a", 400 * DAY);
    record(&sandbox, &permit, &["failure"]);
    assert_eq!(pick(&sandbox.status("a"), ["totals.failures", "totals.late"]), json!([1, 0]));
}

#[test]
fn of_all_permits_the_last_256_are_known() {
    let sandbox = Sandbox::new();
    let permits: Vec<String> = (0..257).map(|_| allow(&sandbox, &[])).collect();
    record_late(&sandbox, &permits[0], &["success"]);
    for permit in [&permits[1], &permits[128], &permits[256]] {
        record(&sandbox, permit, &["success"]);
        record_late(&sandbox, permit, &["success"]);
    }
    assert_eq!(pick(&sandbox.status("a"), ["totals.successes", "totals.late"]), json!([3, 4]));
    // The next permit takes the bit of the second, and counts for itself.
    let next = allow(&sandbox, &[]);
    record_late(&sandbox, &permits[1], &["success"]);
    record(&sandbox, &next, &["success"]);
}

#[test]
fn what_is_no_permit_is_an_error() {
    let sandbox = Sandbox::new();
    for word in ["", "x", "1-2", "\u{1b}[31m"] {
        let shown = word.escape_debug();
        sandbox
            .cb(["record", "a", "success", "--permit", word])
            .code(125)
            .stderr(format!("cb: --permit: '{shown}' is not a permit; give the word that cb allow printed\n"))
            .run();
    }
    assert!(!sandbox.state_file("a").exists());
}

#[test]
fn an_invented_permit_is_late() {
    let sandbox = Sandbox::new();
    let permit = allow(&sandbox, &[]);
    let unissued = permit.replace("-1-0", "-1-1");
    record_late(&sandbox, &unissued, &["failure"]);
    record(&sandbox, &permit, &["success"]);
    assert_eq!(pick(&sandbox.status("a"), ["totals.failures", "totals.late"]), json!([0, 1]));
}

// Places.

#[test]
fn a_probes_place_is_kept_for_a_minute() {
    let (sandbox, permit) = probing(&[]);
    let status = sandbox.status("a");
    assert_eq!(status["probes"], json!([{ "pid": null, "since": status["since"] }]));
    assert!(permit.ends_with('p'), "{permit}");
    sandbox.shift("a", 55 * SECOND);
    sandbox.cb(["allow", "a"]).code(75).run();
    sandbox.runs("a", &[], 0).code(75).run();
    sandbox.shift("a", 5 * SECOND);
    let next = allow(&sandbox, &[]);
    assert_eq!(pick(&sandbox.status("a"), ["state", "totals.abandoned"]), json!(["half_open", 1]));
    // Only from now on is the first permit late.
    record_late(&sandbox, &permit, &["success"]);
    assert_eq!(sandbox.state("a"), "half_open");
    sandbox.cb(["record", "a", "success", "--permit", &next]).stderr("cb: a: closed again: probe succeeded\n").run();
}

#[test]
fn a_place_that_nobody_wanted_is_still_the_probes() {
    let (sandbox, permit) = probing(&[]);
    sandbox.shift("a", DAY);
    sandbox.cb(["record", "a", "success", "--permit", &permit]).stderr("cb: a: closed again: probe succeeded\n").run();
}

#[test]
fn a_lease_says_for_how_long_a_place_is_kept() {
    let (sandbox, _permit) = probing(&["--lease", "10m"]);
    sandbox.shift("a", 9 * MINUTE);
    sandbox.cb(["allow", "a"]).code(75).run();
    sandbox.shift("a", MINUTE);
    allow(&sandbox, &[]);
    // A clock that was set back costs at most one early probe, and no place for ever.
    sandbox.shift("a", -DAY);
    allow(&sandbox, &[]);
    assert_eq!(sandbox.status("a")["totals"]["abandoned"], 2);
}

#[test]
fn no_time_limit_of_a_run_stops_who_has_no_command() {
    let sandbox = Sandbox::new();
    sandbox.configure("[defaults]\ntimeout = \"2m\"\nkill-after = \"10s\"\n[breakers.a]\nlease = \"130s\"\n");
    sandbox.cb(["run", "-n", "a", "--", "true"]).code(125).stderr_has(
        ":5: lease: 2m 10s is not longer than the 2m 10s that a probe may run, kill-after included, so its place would be \
         given away ",
    ).run();
    let permit = allow(&sandbox, &["--lease", "60s"]);
    record(&sandbox, &permit, &["success", "--lease", "60s"]);
    for command in [["trip", "a"], ["reset", "a"], ["disable", "a"], ["enable", "a"]] {
        sandbox.cb(command).run();
    }
}

#[test]
fn the_lease_of_the_configuration_holds_for_allow_too() {
    let sandbox = opened("10s", &[]);
    sandbox.configure("[breakers.a]\nlease = \"10m\"\n");
    sandbox.shift("a", 10 * SECOND);
    allow(&sandbox, &[]);
    sandbox.shift("a", 9 * MINUTE);
    sandbox.cb(["allow", "a"]).code(75).run();
    sandbox.shift("a", MINUTE);
    allow(&sandbox, &[]);
}

#[test]
fn a_probe_in_two_steps_closes_reopens_or_gives_its_place_back() {
    let (sandbox, permit) = probing(&[]);
    record(&sandbox, &permit, &["ignored"]);
    assert_eq!(pick(&sandbox.status("a"), ["state", "admits", "probes"]), json!(["half_open", true, []]));
    record_late(&sandbox, &permit, &["success"]);
    let permit = allow(&sandbox, &[]);
    record(&sandbox, &permit, &["failure"]);
    assert_eq!(pick(&sandbox.status("a"), ["state", "reason"]), json!(["open", "probe failed"]));
    sandbox.shift("a", MINUTE);
    let permit = allow(&sandbox, &[]);
    sandbox
        .cb(["record", "a", "--exit-code", "0", "--permit", &permit])
        .stderr("cb: a: closed again: probe succeeded\n")
        .run();
}

#[test]
fn a_permit_that_nobody_gets_gives_its_place_back() {
    let sandbox = opened("10s", &[]);
    sandbox.shift("a", 10 * SECOND);
    sandbox
        .bash("exec cb allow a >/dev/full")
        .code(125)
        .stderr("cb: could not write to standard output: No space left on device\n")
        .run();
    sandbox.unread("cb allow a").run();
    let status = sandbox.status("a");
    assert_eq!(pick(&status, ["state", "admits", "probes", "totals.ignored"]), json!(["half_open", true, [], 2]));
    record(&sandbox, &allow(&sandbox, &[]), &["ignored"]);
}

#[test]
fn a_report_under_a_wrong_name_is_late_and_the_right_one_is_suggested() {
    let sandbox = Sandbox::new();
    sandbox.exits("openai", &[], 0);
    let permit = allow(&sandbox, &[]);
    sandbox
        .cb(["record", "opnai", "success", "--permit", &permit])
        .stderr("cb: opnai: late: there is no breaker of this name (any more); did you mean 'openai'?\n")
        .run();
    sandbox
        .cb(["record", "openai", "success", "--permit", &permit])
        .stderr(
            "cb: openai: late: the permit is of a breaker that was removed, or of one with another name; \
             it changes nothing\n",
        )
        .run();
    assert!(!sandbox.state_file("opnai").exists());
    record(&sandbox, &permit, &["success"]);
}

#[test]
fn a_second_record_of_a_probe_is_not_a_second_success() {
    let (sandbox, permit) = probing(&["--probe-successes", "2"]);
    record(&sandbox, &permit, &["success"]);
    record_late(&sandbox, &permit, &["success"]);
    assert_eq!(pick(&sandbox.status("a"), ["state", "probe_successes"]), json!(["half_open", 1]));
}

#[test]
fn several_probes_at_once_each_have_a_place() {
    let options = ["--probes", "3", "--probe-successes", "3"];
    let (sandbox, first) = probing(&options);
    let (second, third) = (allow(&sandbox, &options), allow(&sandbox, &options));
    sandbox.cb(["allow", "a"].into_iter().chain(options)).code(75).run();
    record(&sandbox, &second, &["success"]);
    record(&sandbox, &third, &["success"]);
    sandbox
        .cb(["record", "a", "success", "--permit", &first])
        .stderr("cb: a: closed again: 3 probes succeeded\n")
        .run();
}

// What is reported.

#[test]
fn an_exit_status_is_judged_as_that_of_a_child() {
    let cases = [
        ("0", "success", json!(0), json!(null)),
        ("1", "failure", json!(1), json!(null)),
        ("7", "failure", json!(7), json!(null)),
        ("75", "ignored", json!(75), json!(null)),
        // 124 is the child's own code, as `cb` keeps no time limit here.
        ("124", "failure", json!(124), json!(null)),
        ("125", "ignored", json!(125), json!(null)),
        ("126", "ignored", json!(126), json!(null)),
        ("127", "ignored", json!(127), json!(null)),
        ("128", "failure", json!(128), json!(null)),
        ("129", "failure", json!(null), json!("SIGHUP")),
        ("130", "ignored", json!(null), json!("SIGINT")),
        ("137", "failure", json!(null), json!("SIGKILL")),
        ("141", "ignored", json!(null), json!("SIGPIPE")),
        ("143", "failure", json!(null), json!("SIGTERM")),
        ("192", "failure", json!(null), json!("SIG64")),
        // There is no signal 65, and none after it.
        ("193", "failure", json!(193), json!(null)),
        ("255", "failure", json!(255), json!(null)),
    ];
    let sandbox = Sandbox::new();
    for (code, outcome, exit_code, signal) in cases {
        sandbox.cb(["reset", "--all"]).run();
        let permit = allow(&sandbox, &[]);
        record(&sandbox, &permit, &["--exit-code", code]);
        assert_eq!(
            pick(&sandbox.status("a"), ["last.outcome", "last.exit_code", "last.signal", "last.timed_out"]),
            json!([outcome, exit_code, signal, false]),
            "{code}"
        );
    }
}

#[test]
fn an_exit_status_is_judged_by_the_code_lists() {
    let sandbox = Sandbox::new();
    let lists: [(&[&str], &str, &str); 5] = [
        (&["--ignore-codes", "SIGTERM"], "143", "ignored"),
        (&["--success-codes", "22"], "22", "success"),
        (&["--failure-codes", "7"], "22", "ignored"),
        (&["--failure-codes", "7"], "7", "failure"),
        (&["--failure-codes", "0"], "0", "failure"),
    ];
    for (options, code, outcome) in lists {
        let permit = allow(&sandbox, options);
        record(&sandbox, &permit, &["--exit-code", code]);
        assert_eq!(sandbox.status("a")["last"]["outcome"], outcome, "{code} with {options:?}");
    }
    let permit = allow(&sandbox, &["--trip-codes", "22"]);
    sandbox
        .cb(["record", "a", "--exit-code", "22", "--permit", &permit])
        .stderr_timeless("cb: a: opened: a trip code: exit 22; next try in 30s (TIME), or now with 'cb reset a'\n")
        .run();
}

#[test]
fn what_cannot_be_recorded_is_an_error_before_anything_is_done() {
    let sandbox = Sandbox::new();
    let words: [&[&str]; 6] = [
        &[],
        &["broken"],
        &["success", "--exit-code", "0"],
        &["--exit-code", "256"],
        &["--exit-code", "-1"],
        &["success", "--took", "soon"],
    ];
    for words in words {
        let output = sandbox.cb(["record", "a"].iter().chain(words)).code(125).any_stderr().run();
        let line = String::from_utf8(output.stderr).expect("text");
        assert!(line.starts_with("cb: ") && line.lines().count() == 1, "{words:?}: {line}");
    }
    assert!(!sandbox.state_dir().exists());
}

#[test]
fn what_took_long_is_slow() {
    let slow = ["--slow-after", "2s", "--slow-rate", "50", "--window", "4", "--min-calls", "2"];
    let sandbox = Sandbox::new();
    for took in ["1999ms", "1s"] {
        let permit = allow(&sandbox, &slow);
        record(&sandbox, &permit, &["success", "--took", took]);
    }
    assert_eq!(pick(&sandbox.status("a"), ["window.slow", "last.took_ms"]), json!([0, 1000]));
    let permit = allow(&sandbox, &slow);
    record(&sandbox, &permit, &["success", "--took", "2s"]);
    assert_eq!(pick(&sandbox.status("a"), ["state", "window.slow", "window.slow_rate"]), json!(["closed", 1, 33.33]));
    let permit = allow(&sandbox, &slow);
    sandbox
        .cb(["record", "a", "success", "--took", "1m", "--permit", &permit])
        .stderr_timeless(
            "cb: a: opened: slow rate 50% (2 of 4 calls); next try in 30s (TIME), or now with 'cb reset a'\n",
        )
        .run();
    // Without --took, nothing is slow.
    sandbox.cb(["reset", "a"]).run();
    let permit = allow(&sandbox, &slow);
    record(&sandbox, &permit, &["success"]);
    assert_eq!(pick(&sandbox.status("a"), ["window.slow", "last.took_ms"]), json!([0, null]));
}

#[test]
fn a_probe_that_took_long_has_failed() {
    let (sandbox, permit) = probing(&["--slow-after", "2s"]);
    sandbox
        .cb(["-v", "record", "a", "success", "--took", "3s", "--permit", &permit])
        .stderr_timeless(
            "cb: a: open again: probe was slow: took 3s; next try in 10s (TIME), or now with 'cb reset a'\n",
        )
        .run();
    let (sandbox, permit) = probing(&["--slow-after", "2s"]);
    sandbox
        .cb(["record", "a", "success", "--took", "1.9s", "--permit", &permit])
        .stderr("cb: a: closed again: probe succeeded\n")
        .run();
}

// By which settings.

#[test]
fn a_result_is_judged_by_the_settings_last_used() {
    let sandbox = Sandbox::new();
    let options = ["--threshold", "2", "--cooldown", "5m"];
    let (first, second) = (allow(&sandbox, &options), allow(&sandbox, &options));
    record(&sandbox, &first, &["failure"]);
    sandbox
        .cb(["record", "a", "failure", "--permit", &second])
        .stderr_timeless("cb: a: opened: 2 failures in a row; next try in 5m (TIME), or now with 'cb reset a'\n")
        .run();
}

#[test]
fn a_result_is_judged_by_the_settings_given_with_it() {
    let sandbox = Sandbox::new();
    let permits: Vec<String> = (0..3).map(|_| allow(&sandbox, &["--threshold", "2"])).collect();
    for permit in &permits[..2] {
        record(&sandbox, permit, &["failure", "--threshold", "3"]);
    }
    sandbox
        .cb(["record", "a", "failure", "--threshold", "3", "--permit", &permits[2]])
        .stderr_timeless("cb: a: opened: 3 failures in a row; next try in 30s (TIME), or now with 'cb reset a'\n")
        .run();
}

#[test]
fn a_setting_that_is_given_changes_no_other_and_is_not_kept() {
    let sandbox = Sandbox::new();
    sandbox.configure("[defaults]\nthreshold = 9\ncooldown = \"9m\"\nmax-cooldown = \"10m\"\n");
    let last_used = || {
        pick(
            &sandbox.status("a"),
            ["settings.threshold", "settings.cooldown_ms", "settings.failure_codes", "settings.trip_codes"],
        )
    };
    let options = ["--threshold", "1", "--cooldown", "5m", "--trip-codes", "99"];
    let permit = allow(&sandbox, &options);
    let kept = json!([1, 300_000, null, "99"]);
    assert_eq!(last_used(), kept);
    sandbox
        .cb(["record", "a", "--exit-code", "22", "--failure-codes", "22", "--permit", &permit])
        .stderr_timeless(
            "cb: a: opened: 1 failure in a row: exit 22; next try in 5m (TIME), or now with 'cb reset a'\n",
        )
        .run();
    assert_eq!(last_used(), kept);
    sandbox.cb(["reset", "a"]).run();
    record(&sandbox, &allow(&sandbox, &options), &["failure", "--threshold", "2"]);
    sandbox
        .cb(["record", "a", "failure", "--threshold", "2", "--cooldown", "7m"])
        .stderr_timeless("cb: a: opened: 2 failures in a row; next try in 7m (TIME), or now with 'cb reset a'\n")
        .run();
    assert_eq!(last_used(), kept);
}

#[test]
fn a_first_report_leaves_no_settings_behind() {
    let sandbox = Sandbox::new();
    sandbox.cb(["record", "a", "failure", "--threshold", "3", "--cooldown", "5m"]).run();
    assert_eq!(pick(&sandbox.status("a"), ["settings.threshold", "settings.cooldown_ms"]), json!([5, 30_000]));
}

#[test]
fn a_setting_that_contradicts_those_last_used_is_refused() {
    let sandbox = Sandbox::new();
    let permit = allow(&sandbox, &["--max-cooldown", "1m", "--success-codes", "3"]);
    let longer = "max-cooldown as last used: 1m is shorter than the cooldown of 5m (--cooldown)";
    let twice = "--failure-codes: 3 is in success-codes too; list it once (success-codes as last used)";
    let nothing = "--threshold: 0 switches off the only rule, so the breaker could never open; give failure-rate, \
                   slow-rate or failure-budget, or a threshold";
    for (options, line) in
        [(["--cooldown", "5m"], longer), (["--failure-codes", "3"], twice), (["--threshold", "0"], nothing)]
    {
        let words = ["record", "a", "failure", "--permit", &permit].into_iter().chain(options);
        sandbox.cb(words).code(125).stderr(format!("cb: {line}\n")).run();
    }
    assert_eq!(sandbox.status("a")["consecutive_failures"], 0);
    record(&sandbox, &permit, &["failure", "--max-cooldown", "5m", "--cooldown", "5m"]);
    assert_eq!(sandbox.status("a")["consecutive_failures"], 1);
    // A wrong call makes no breaker.
    sandbox.cb(["record", "new", "failure", "--threshold", "0"]).code(125).stderr(format!("cb: {nothing}\n")).run();
    assert!(!sandbox.state_file("new").exists());
}

#[test]
fn a_first_report_is_judged_by_the_configuration() {
    let sandbox = Sandbox::new();
    sandbox.configure("[breakers.a]\nthreshold = 1\ncooldown = \"5m\"\n");
    sandbox
        .cb(["record", "a", "--exit-code", "7"])
        .stderr_timeless("cb: a: opened: 1 failure in a row: exit 7; next try in 5m (TIME), or now with 'cb reset a'\n")
        .run();
}

// Without a permit.

#[test]
fn a_report_to_a_closed_breaker_is_a_result_as_any() {
    let sandbox = Sandbox::new();
    for _ in 0..4 {
        sandbox.cb(["record", "a", "failure"]).run();
    }
    sandbox.cb(["record", "a", "ignored"]).run();
    assert_eq!(pick(&sandbox.status("a"), ["state", "consecutive_failures"]), json!(["closed", 4]));
    sandbox.cb(["record", "a", "success"]).run();
    assert_eq!(pick(&sandbox.status("a"), ["state", "consecutive_failures"]), json!(["closed", 0]));
    for _ in 0..4 {
        sandbox.cb(["record", "a", "failure"]).run();
    }
    sandbox
        .cb(["record", "a", "--exit-code", "6"])
        .stderr_timeless(
            "cb: a: opened: 5 failures in a row: exit 6; next try in 30s (TIME), or now with 'cb reset a'\n",
        )
        .run();
    let totals = sandbox.status("a")["totals"].clone();
    assert_eq!(pick(&totals, ["admitted", "successes", "failures", "ignored", "late"]), json!([0, 1, 9, 1, 0]));
}

#[test]
fn a_report_to_an_open_breaker_closes_it_or_changes_nothing_but_totals() {
    let sandbox = opened("1h", &[]);
    let before = sandbox.status("a");
    let unchanged = ["state", "since", "retry_at", "generation", "consecutive_failures", "window", "totals.opened"];
    sandbox.cb(["record", "a", "failure"]).run();
    sandbox.cb(["record", "a", "ignored"]).run();
    let status = sandbox.status("a");
    assert_eq!(pick(&status, unchanged), pick(&before, unchanged));
    assert_eq!(pick(&status, ["totals.failures", "totals.ignored", "last.outcome"]), json!([2, 1, "ignored"]));
    sandbox.cb(["record", "a", "success"]).stderr("cb: a: closed again: success reported\n").run();
    let status = sandbox.status("a");
    assert_eq!(
        pick(&status, ["state", "consecutive_failures", "totals.successes", "reason"]),
        json!(["closed", 0, 1, "success reported"])
    );
}

#[test]
fn a_report_to_an_open_breaker_with_a_probe_due_is_the_same() {
    let sandbox = opened("10s", &[]);
    sandbox.shift("a", MINUTE);
    sandbox.cb(["record", "a", "failure"]).run();
    assert_eq!(pick(&sandbox.status("a"), ["state", "admits", "totals.opened"]), json!(["open", true, 1]));
    sandbox.cb(["record", "a", "success"]).stderr("cb: a: closed again: success reported\n").run();
}

#[test]
fn a_report_to_a_half_open_breaker_decides() {
    let (sandbox, permit) = probing(&["--probe-failures", "3", "--backoff", "2"]);
    sandbox.cb(["record", "a", "ignored"]).run();
    assert_eq!(sandbox.state("a"), "half_open");
    sandbox
        .cb(["-v", "record", "a", "--exit-code", "7"])
        .stderr_timeless(
            "cb: a: open again: failure reported: exit 7; next try in 20s (TIME), or now with 'cb reset a'\n",
        )
        .run();
    assert_eq!(pick(&sandbox.status("a"), ["state", "totals.opened"]), json!(["open", 2]));
    record_late(&sandbox, &permit, &["success"]);
    let (sandbox, permit) = probing(&["--probe-successes", "3"]);
    sandbox.cb(["record", "a", "success"]).stderr("cb: a: closed again: success reported\n").run();
    record_late(&sandbox, &permit, &["failure"]);
    assert_eq!(sandbox.state("a"), "closed");
}

#[test]
fn a_report_ends_no_hold() {
    for args in [&["-q", "trip", "a"][..], &["-q", "trip", "a", "--for", "1h"]] {
        let sandbox = Sandbox::new();
        sandbox.cb(args).run();
        let before = sandbox.status("a");
        for word in ["success", "failure", "ignored"] {
            sandbox.cb(["record", "a", word]).run();
        }
        let status = sandbox.status("a");
        let unchanged = ["state", "mode", "hold", "retry_at", "generation", "totals.opened", "window"];
        assert_eq!(pick(&status, unchanged), pick(&before, unchanged));
        assert_eq!(pick(&status, ["totals.successes", "totals.failures", "totals.ignored"]), json!([1, 1, 1]));
    }
}

#[test]
fn a_report_to_a_disabled_breaker_is_counted_and_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.cb(["disable", "a"]).run();
    for _ in 0..6 {
        sandbox.cb(["record", "a", "failure"]).run();
    }
    assert_eq!(
        pick(&sandbox.status("a"), ["state", "consecutive_failures", "window.failures"]),
        json!(["closed", 6, 6])
    );
    let sandbox = opened("1h", &[]);
    sandbox.cb(["disable", "a"]).run();
    sandbox.cb(["record", "a", "success"]).run();
    assert_eq!(pick(&sandbox.status("a"), ["state", "mode", "totals.successes"]), json!(["open", "disabled", 1]));
    let (sandbox, _permit) = probing(&[]);
    sandbox.cb(["disable", "a"]).run();
    sandbox.cb(["record", "a", "success"]).run();
    sandbox.cb(["record", "a", "failure"]).run();
    assert_eq!(pick(&sandbox.status("a"), ["state", "mode"]), json!(["half_open", "disabled"]));
}

// Without a breaker.

#[test]
fn where_no_breaker_can_be_asked_the_permit_says_so() {
    let sandbox = Sandbox::new();
    let file = sandbox.work().join("file");
    fs::write(&file, "").expect("a file");
    let trouble = format!("{} is not a directory; move it away, or give another --state-dir", file.display());
    sandbox
        .cb(["allow", "a", "--state-dir", "file"])
        .stdout("unguarded\n")
        .stderr(format!("cb: a: unguarded: {trouble}\n"))
        .run();
    sandbox.cb(["record", "a", "failure", "--permit", "unguarded"]).run();
    assert!(!sandbox.state_dir().exists(), "it records nothing");
    sandbox
        .cb(["record", "a", "failure", "--state-dir", "file"])
        .stderr(format!("cb: a: could not record the result: {trouble}\n"))
        .run();
    sandbox.cb(["record", "a", "failure", "--permit", "unguarded", "--state-dir", "file"]).run();
}

// In scripts. A shell function is guarded in the README.

#[test]
fn a_pipeline_is_guarded() {
    let sandbox = Sandbox::new();
    sandbox
        .bash(
            r#"
            set -o pipefail
            dump() { printf 'b\na\n'; return "$1"; }
            for status in 0 3 0; do
                permit=$(cb allow a --threshold 1) || { echo "refused: $?"; continue; }
                dump "$status" | sort > sorted
                cb record a --exit-code "$?" --permit "$permit"
                cat sorted
            done
            "#,
        )
        .stdout("a\nb\na\nb\nrefused: 75\n")
        .stderr_timeless(
            "cb: a: opened: 1 failure in a row: exit 3; next try in 30s (TIME), or now with 'cb reset a'\n",
        )
        .run();
}

#[test]
fn a_script_that_stops_at_errors_stops_where_it_is_refused() {
    let sandbox = opened("1h", &[]);
    sandbox
        .bash(
            r#"
            set -e
            trap 'echo "ended with $?"' EXIT
            permit=$(cb allow a)
            echo "not reached with $permit"
            "#,
        )
        .code(75)
        .stdout("ended with 75\n")
        .run();
}

#[test]
fn a_loop_leaves_a_dead_service_alone() {
    let sandbox = Sandbox::new();
    sandbox
        .bash(
            r#"
            calls=0
            for step in {1..20}; do
                if permit=$(cb allow a); then
                    calls=$((calls + 1))
                    cb record a failure --permit "$permit"
                fi
            done
            echo "$calls calls of $step"
            "#,
        )
        .stdout("5 calls of 20\n")
        .stderr_timeless("cb: a: opened: 5 failures in a row; next try in 30s (TIME), or now with 'cb reset a'\n")
        .run();
    assert_eq!(pick(&sandbox.status("a"), ["totals.admitted", "totals.refused"]), json!([5, 15]));
}

#[test]
fn a_status_of_http_is_judged_as_that_of_a_run() {
    let sandbox = Sandbox::new();
    for (words, outcome) in [
        (&["--http-status", "200"][..], "success"),
        (&["--http-status", "302"], "success"),
        (&["--http-status", "404"], "success"),
        (&["--http-status", "408"], "failure"),
        (&["--http-status", "429"], "failure"),
        (&["--http-status", "503"], "failure"),
        (&["--http-status", "503", "--exit-code", "0"], "failure"),
        (&["--http-status", "404", "--exit-code", "22"], "success"),
        (&["--http-status", "200", "--exit-code", "18"], "failure"),
        (&["--http-status", "200", "--exit-code", "75"], "ignored"),
        (&["--http-status", "503", "--exit-code", "22", "--success-codes", "22"], "success"),
        (&["--http-status", "404", "--exit-code", "22", "--failure-codes", "22"], "failure"),
        // Beside a word it is only noted, as is one of no time to stay away.
        (&["success", "--http-status", "503"], "success"),
        (&["ignored", "--http-status", "503", "--retry-after", "0"], "ignored"),
        (&["failure", "--http-status", "200"], "failure"),
        (&["--http-status", "200", "--retry-after", "0s"], "success"),
    ] {
        let permit = allow(&sandbox, &["--threshold", "100"]);
        record(&sandbox, &permit, words);
        let last = &sandbox.status("a")["last"];
        let status = words.iter().find_map(|word| word.parse::<u16>().ok().filter(|status| *status >= 100));
        assert_eq!((&last["outcome"], &last["http_status"]), (&outcome.into(), &status.into()), "{words:?}");
    }
}

#[test]
fn a_retry_after_that_is_reported_opens_at_once() {
    let sandbox = Sandbox::new();
    let opened =
        |why: &str, next: &str| format!("cb: a: opened: {why}; next try in {next} (TIME), or now with 'cb reset a'\n");
    for (words, why, next) in [
        (&["--http-status", "429", "--retry-after", "20s"][..], "HTTP 429, retry after 20s", "20s"),
        (&["--http-status", "404", "--retry-after", "20"], "HTTP 404, retry after 20s", "20s"),
        (&["--exit-code", "1", "--retry-after", "1m30s"], "retry after 1m 30s: exit 1", "1m 30s"),
        (&["failure", "--retry-after", "2h"], "retry after 1h", "1h"),
        (&["failure", "--retry-after", "2h", "--max-retry-after", "90m"], "retry after 1h 30m", "1h 30m"),
        (&["failure", "--retry-after", "20s", "--reason", "quota"], "quota", "20s"),
        (&["failure", "--threshold", "1", "--http-status", "503"], "1 failure in a row: HTTP 503", "30s"),
        (&["failure", "--threshold", "1", "--reason", "moving house"], "moving house", "30s"),
        (&["failure", "--threshold", "1", "--reason", ""], "1 failure in a row", "30s"),
    ] {
        for permit in [false, true] {
            let permit = permit.then(|| allow(&sandbox, &[]));
            let permit = permit.iter().flat_map(|permit| ["--permit", permit]);
            let words = ["record", "a"].into_iter().chain(words.iter().copied()).chain(permit);
            sandbox.cb(words).stderr_timeless(opened(why, next)).run();
            assert_eq!(sandbox.status("a")["reason"], *why);
            sandbox.cb(["reset", "a"]).run();
        }
    }
    // Who was let in before and comes late lengthens it, and does not shorten it.
    let [first, second, third] = [(); 3].map(|()| allow(&sandbox, &[]));
    sandbox.cb(["-q", "record", "a", "failure", "--retry-after", "10m", "--permit", &first]).run();
    sandbox.cb(["-q", "record", "a", "failure", "--retry-after", "1m", "--permit", &second]).run();
    let left = || sandbox.status("a")["retry_in_ms"].as_u64().expect("a number") / 60_000;
    assert_eq!(left(), 9);
    sandbox.cb(["-q", "record", "a", "failure", "--retry-after", "30m", "--permit", &third]).run();
    assert_eq!(left(), 29);
    // A reason is for an opening, and for nothing else.
    sandbox.cb(["record", "b", "failure", "--reason", "why"]).run();
    sandbox.cb(["record", "b", "success", "--reason", "why"]).run();
    assert!(!String::from_utf8(sandbox.bytes("b")).expect("text").contains("why"));
}

#[test]
fn a_retry_after_of_what_is_no_failure_is_an_error() {
    let sandbox = Sandbox::new();
    let wrong = |what: &str| {
        format!("cb: --retry-after goes with a failure, and this is {what}; leave it out, or report failure\n")
    };
    let (success, ignored) = ("a success", "a result that counts as nothing");
    for (words, what) in [
        (&["success"][..], success),
        (&["success", "--http-status", "429"], success),
        (&["--http-status", "200"], success),
        (&["--exit-code", "0"], success),
        (&["--exit-code", "22", "--http-status", "429", "--success-codes", "22"], success),
        (&["ignored"], ignored),
        (&["--exit-code", "75"], ignored),
        (&["--exit-code", "7", "--failure-codes", "8"], ignored),
    ] {
        let words = ["record", "a", "--retry-after", "20s"].iter().chain(words);
        sandbox.cb(words).code(125).stderr(wrong(what)).run();
    }
    let long = "é".repeat(61);
    let too_long = "cb: --reason: 122 bytes are too many, at most 120 are kept\n";
    sandbox.cb(["record", "a", "failure", "--reason", &long]).code(125).stderr(too_long).run();
    for status in ["99", "1000", "+42", "ok", ""] {
        let said = format!("cb: --http-status: '{status}' is not an HTTP status from 100 to 999\n");
        let option = format!("--http-status={status}");
        let run = sandbox.cb(["record", "a", &option]).code(125);
        if status.is_empty() {
            run.stderr_has("--http-status").run()
        } else {
            run.stderr(said).run()
        };
    }
    assert!(!sandbox.state_dir().exists(), "before anything is done");
    // By the codes last used it is a success.
    let permit = allow(&sandbox, &["--success-codes", "22"]);
    let words = ["record", "a", "--exit-code", "22", "--retry-after", "20s", "--permit", &permit];
    sandbox.cb(words).code(125).stderr(wrong(success)).run();
    assert_eq!(sandbox.status("a")["totals"]["successes"], 0);
}

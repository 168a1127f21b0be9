//! What happens in place of a refused run: it waits, falls back or runs anyway; and how much is said about it.
//! See cb-contract(7) 1.50, 3.8, 3.17, 3.18 and 3.25 to 3.27.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::terminal::Terminal;
use crate::support::{Sandbox, have, pick, timeless, unmeasured};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// How often the state was written.
fn writes(sandbox: &Sandbox) -> u64 {
    let text = fs::read_to_string(sandbox.state_file("a")).expect("a state");
    serde_json::from_str::<Value>(&text).expect("JSON")["write"].as_u64().expect("a number")
}

// --wait.

#[test]
fn a_run_that_waits_gives_up_at_its_deadline_and_is_refused_once() {
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "a"]).run();
    let before = writes(&sandbox);
    let begun = Instant::now();
    sandbox.runs("a", &["--wait=1200ms"], 0).code(75).run();
    assert!(begun.elapsed() >= Duration::from_millis(1200), "it waited {:?}", begun.elapsed());
    assert_eq!(sandbox.status("a")["totals"]["refused"], 1);
    assert_eq!(writes(&sandbox), before + 1, "nothing was written meanwhile");
    sandbox.runs("a", &["--wait=0"], 0).code(75).run();
    sandbox.runs("a", &["--wait=0", "-E", "9"], 0).code(9).run();
    assert_eq!(sandbox.status("a")["totals"]["refused"], 3);
}

#[test]
fn a_run_that_need_not_wait_does_not() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &["--wait"], 3);
    sandbox.exits("a", &["--wait=1h"], 0);
    sandbox.cb(["trip", "a", "--for", "0"]).run();
    sandbox.runs("a", &["--wait"], 0).stderr("cb: a: closed again: probe succeeded\n").run();
}

#[test]
fn a_run_that_waits_is_let_through_when_the_cool_down_is_over() {
    let sandbox = Sandbox::new();
    sandbox.runs("a", &["--threshold", "1", "--cooldown", "300ms"], 1).any_stderr().run();
    sandbox.runs("a", &["--wait=1m"], 0).stderr("cb: a: closed again: probe succeeded\n").run();
    assert_eq!(pick(&sandbox.status("a"), ["state", "totals.refused"]), json!(["closed", 0]));
}

#[test]
fn those_who_wait_for_the_same_moment_are_all_let_through_in_the_end() {
    let sandbox = Sandbox::new();
    sandbox.runs("a", &["--threshold", "1", "--cooldown", "1s"], 1).any_stderr().run();
    let before = writes(&sandbox);
    let waiting: Vec<_> = (0..12)
        .map(|_| sandbox.cb(["run", "-n", "a", "--wait=1m", "--", "sh", "-c", "echo \"probe ${CB_PROBE-no}\""]).spawn())
        .collect();
    let mut probes = 0;
    for waiter in waiting {
        let output = waiter.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0));
        probes += usize::from(output.stdout == b"probe 1\n");
    }
    assert_eq!(probes, 1);
    assert_eq!(pick(&sandbox.status("a"), ["totals.refused", "totals.successes"]), json!([0, 12]));
    assert_eq!(writes(&sandbox), before + 24, "the start of each run and its result");
}

#[test]
fn a_run_that_waits_for_a_probe_is_let_through_when_that_is_over() {
    if !have("script") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "a", "--for", "0"]).run();
    let probe = sandbox.begin("a", &[]);
    let mut terminal = Terminal::start(&sandbox, "cb run -n a --wait -- echo passed");
    terminal.until("cb: a: waiting, ");
    probe.ends_saying(0, "cb: a: closed again: probe succeeded\n");
    let (status, seen) = terminal.end();
    assert!(status.success() && seen.ends_with("\r\u{1b}[Kpassed\n"), "{seen:?}");
}

#[test]
fn a_run_that_waits_wakes_for_a_reset() {
    if !have("script") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "a"]).run();
    let mut terminal = Terminal::start(&sandbox, "cb run -n a --wait -- echo passed");
    terminal.until("cb: a: waiting, until it is let through\u{1b}[K");
    let before = writes(&sandbox);
    sandbox.cb(["reset", "a"]).run();
    let reset = Instant::now();
    let (status, seen) = terminal.end();
    assert!(reset.elapsed() < Duration::from_secs(30), "it looks each second, and took {:?}", reset.elapsed());
    // The countdown is erased before the command starts.
    assert!(status.success() && seen.ends_with("\r\u{1b}[Kpassed\n"), "{seen:?}");
    assert_eq!(writes(&sandbox), before + 3, "the reset, the start of the run and its result");
}

#[test]
fn a_signal_ends_the_wait_at_once_and_nothing_is_recorded() {
    if !have("script") {
        return;
    }
    for signal in ["INT", "TERM", "HUP"] {
        let sandbox = Sandbox::new();
        sandbox.cb(["-q", "trip", "a"]).run();
        let before = fs::read(sandbox.state_file("a")).expect("a state");
        let line = "echo $$ > pid; exec cb run -n a --wait --fallback 'echo fallback' -- echo passed";
        let mut terminal = Terminal::start(&sandbox, line);
        terminal.until("waiting,");
        let pid = fs::read_to_string(sandbox.work().join("pid")).expect("a file");
        sandbox.command("kill", ["-s", signal, pid.trim()]).run();
        let (status, seen) = terminal.end();
        let number = [("INT", 2), ("TERM", 15), ("HUP", 1)].iter().find(|pair| pair.0 == signal).expect("a number").1;
        assert_eq!(status.code(), Some(128 + number), "{signal}");
        assert!(!seen.contains("passed") && !seen.contains("fallback"), "{seen:?}");
        assert_eq!(fs::read(sandbox.state_file("a")).expect("a state"), before);
    }
}

#[test]
fn there_is_a_countdown_on_a_terminal_and_nothing_elsewhere() {
    if !have("script") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "a", "--for", "1h"]).run();
    let refused = "cb: a: refused, it is held open by tester; next try in ";
    let on_terminal = |line: &str| {
        let (status, seen) = Terminal::start(&sandbox, line).end();
        assert_eq!(status.code(), Some(75));
        seen
    };
    let seen = on_terminal("cb run -n a --wait=2100ms -- true");
    // What it waits for is said once.
    let (waiting, seen) = seen.split_once('\n').expect("a line");
    assert!(waiting.starts_with("cb: a: waiting, it is held open by tester; next try in "), "{waiting:?}");
    let (countdown, line) = seen.split_once("\r\u{1b}[K").expect("the countdown is taken away");
    assert!(line.starts_with(refused) && line.lines().count() == 1, "{seen:?}");
    let mut shown = countdown.split("\u{1b}[K").filter(|part| !part.is_empty());
    assert!(shown.clone().count() >= 2, "it is told each second: {seen:?}");
    assert!(shown.all(|part| part.starts_with("\rcb: a: waiting, ") && !part.contains('\n')), "{seen:?}");
    assert_eq!(on_terminal("cb -q run -n a --wait=0.1 -- true"), "");
    // Only stderr matters.
    assert_eq!(on_terminal("cb run -n a --wait=0.1 -- true 2>&-"), "");
    sandbox.runs("a", &["--wait=0.1"], 0).code(75).run();
}

#[test]
fn a_run_that_waits_says_once_for_what() {
    let sandbox = Sandbox::new();
    let wait = |options: &[&str]| sandbox.runs("a", &[&["--wait=10ms"], options].concat(), 0).code(75);
    sandbox.cb(["-q", "trip", "a", "--reason", "the disk is being changed"]).run();
    let why = "it is held open by tester (the disk is being changed) until 'cb reset a'";
    wait(&["-v"]).stderr(format!("cb: a: waiting, {why}\ncb: a: refused, {why}\n")).run();
    wait(&[]).run();
    sandbox.cb(["reset", "a"]).run();
    sandbox.cb(["trip", "a", "--for", "0"]).run();
    let probe = sandbox.begin("a", &[]);
    let why = "a probe is under way to see whether it is back (tripped)";
    wait(&["-v"]).stderr(format!("cb: a: waiting, {why}\ncb: a: refused, {why}\n")).run();
    probe.ends_saying(0, "cb: a: closed again: probe succeeded\n");
}

#[test]
fn a_run_that_waits_falls_back_when_it_gives_up() {
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "a"]).run();
    sandbox.runs("a", &["--wait=10ms", "--fallback", "echo cached"], 0).stdout("cached\n").run();
}

// --fallback.

#[test]
fn a_fallback_runs_in_place_of_a_refused_command() {
    let sandbox = Sandbox::new();
    let fallback = ["--fallback", "echo cached; exit 9"];
    sandbox.exits("a", &fallback, 3);
    assert_eq!(sandbox.status("a")["totals"]["refused"], 0);
    sandbox.cb(["trip", "a"]).run();
    sandbox.runs("a", &fallback, 3).code(9).stdout("cached\n").run();
    // Its status is neither an exit code of `cb` nor a result.
    sandbox.runs("a", &["--fallback", "exit 0", "-E", "8"], 3).code(0).run();
    sandbox.runs("a", &["--fallback", "exit 75"], 3).code(75).run();
    sandbox.runs("a", &["--fallback", "kill -TERM $$"], 3).code(143).run();
    sandbox.runs("a", &["--fallback", ""], 3).code(75).run();
    let totals = json!([5, 1, 1, 0]);
    let status = sandbox.status("a");
    assert_eq!(pick(&status, ["totals.refused", "totals.admitted", "totals.failures", "totals.late"]), totals);
}

#[test]
fn a_fallback_has_what_the_command_would_have_had() {
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "a"]).run();
    let run = r#"cb run -n a --fallback 'echo "$CB_NAME ${CB_PROBE-no} $COLOUR"; pwd; cat; echo told >&2' -- cat"#;
    sandbox
        .bash(&format!("echo data | {run}"))
        .env("COLOUR", "blue")
        .stdout(format!("a no blue\n{}\ndata\n", sandbox.work().display()))
        .stderr("told\n")
        .run();
}

#[test]
fn a_fallback_may_stand_in_the_configuration() {
    let sandbox = Sandbox::new();
    sandbox.configure("[breakers.a]\nfallback = 'echo cached'\nopen-exit-code = 7\n");
    sandbox.cb(["-q", "trip", "a"]).run();
    sandbox.runs("a", &[], 0).stdout("cached\n").run();
    sandbox.runs("a", &["--fallback", "echo option"], 0).stdout("option\n").run();
    sandbox.runs("a", &["--fallback="], 0).code(7).run();
    // `false` is no command, and overrides the one in the defaults.
    sandbox.configure("[defaults]\nfallback = 'echo cached'\n[breakers.a]\nfallback = false\n");
    sandbox.runs("a", &[], 0).code(75).run();
    sandbox.cb(["-q", "trip", "b"]).run();
    sandbox.runs("b", &[], 3).code(0).stdout("cached\n").run();
    sandbox.runs("a", &["--fallback", "false"], 0).code(1).run();
}

#[test]
fn a_fallback_runs_no_fallback() {
    let sandbox = Sandbox::new();
    sandbox.configure(
        "[defaults]\nfallback = 'echo \"$CB_NAME\"; cb run -n backup -- true'\n\
         [breakers.b]\nfallback = 'echo \"$CB_NAME\"; cb run -n c -E 9 -- true'\n\
         [breakers.d]\nfallback = 'echo \"$CB_NAME\"; cb run -n free -- cb run -n backup -- true'\n",
    );
    sandbox.cb(["-q", "trip", "a", "b", "c", "d", "backup"]).run();
    sandbox.runs("a", &[], 0).code(75).stdout("a\n").run();
    sandbox.runs("backup", &[], 0).code(75).stdout("backup\n").run();
    sandbox.runs("b", &[], 0).code(9).stdout("b\n").run();
    // Nor does a run below one that is let through in a fallback.
    sandbox.runs("d", &[], 0).code(75).stdout("d\n").run();
    assert_eq!(sandbox.status("backup")["totals"]["refused"], 4);
}

#[test]
fn a_fallback_and_what_is_below_it_are_told_where_they_are() {
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "a"]).run();
    let show = "echo \"${CB_HOOK-no} ${CB_FALLBACK-no}\"";
    let fallback = format!("{show}; cb run -n b -- sh -c '{show}; cb run -n b -- sh -c \"$0\"' '{show}'");
    let run = || sandbox.runs("a", &["--fallback", &fallback], 0);
    run().stdout("no 1\nno 2\nno 2\n").run();
    // Below a hook a fallback may run, and finds both variables.
    run().env("CB_HOOK", "1").stdout("2 1\n2 2\n2 2\n").run();
    // In a fallback it may not.
    for value in ["1", "2", "x"] {
        run().env("CB_FALLBACK", value).code(75).run();
    }
    run().env("CB_FALLBACK", "").stdout("no 1\nno 2\nno 2\n").run();
}

#[test]
fn a_fallback_may_also_follow_a_failure() {
    let sandbox = Sandbox::new();
    let options = ["--fallback-on", "failure", "--fallback", "echo cached; exit 9", "--ignore-codes", "4"];
    let falls_back = |code: i32| sandbox.runs("a", &options, code).code(9).stdout("cached\n");
    falls_back(3).run();
    sandbox.runs("a", &options, 0).run();
    // What counts as nothing says nothing.
    for ignored in [4, 75, 125, 126, 127] {
        sandbox.runs("a", &options, ignored).run();
    }
    sandbox.cb(["run", "-n", "a"].iter().chain(&options).chain(&["--", "/nowhere"])).code(127).any_stderr().run();
    let totals = ["totals.failures", "totals.successes", "totals.ignored", "totals.admitted"];
    assert_eq!(pick(&sandbox.status("a"), totals), json!([1, 1, 6, 8]), "what it ends with is no result");
    // A refusal is still one.
    sandbox.cb(["-q", "trip", "a"]).run();
    falls_back(0).run();
    assert_eq!(sandbox.status("a")["totals"]["refused"], 1);
    // It is told where it is, and starts no further one.
    sandbox.configure("[defaults]\nfallback-on = 'failure'\n[breakers.b]\nfallback = 'echo \"$CB_NAME $CB_FALLBACK\"; cb run -n b -- false'\n");
    sandbox.runs("b", &[], 3).code(1).stdout("b 1\n").run();
    sandbox.runs("b", &["--fallback-on", "refused"], 3).run();
    sandbox.runs("b", &["--fallback-on=refused"], 3).run();
    sandbox.runs("c", &[], 3).run();
}

#[test]
fn a_fallback_goes_by_what_the_run_was_counted_or_not() {
    let sandbox = Sandbox::new();
    let options = ["--fallback-on", "failure", "--fallback", "echo cached"];
    let falls_back = |code: i32| sandbox.runs("a", &options, code).code(0).stdout("cached\n");
    // Late.
    let late = sandbox.begin("a", &options);
    sandbox.cb(["-q", "reset", "a"]).run();
    let output = {
        let mut late = late;
        late.release(3);
        late.wait()
    };
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"cached\n"[..]));
    assert_eq!(sandbox.status("a")["totals"]["late"], 1);
    // Unguarded.
    falls_back(3).env("CB_DISABLED", "1").run();
    fs::write(sandbox.work().join("file"), "").expect("a file");
    falls_back(3).env("CB_STATE_DIR", "file").any_stderr().run();
    // Where the command runs in any case, nothing runs in its place.
    sandbox.configure("[defaults]\nobserve = true\nfallback = 'echo cached'\nfallback-on = 'failure'\n");
    sandbox.exits("o", &[], 3);
}

#[test]
fn no_fallback_follows_a_run_that_somebody_stops() {
    let sandbox = Sandbox::new();
    for signal in ["INT", "QUIT", "HUP", "TERM"] {
        // The command ends with a failure after it.
        let child = format!("trap 'exit 3' {signal}; kill -{signal} $PPID; while :; do sleep 0.01; done");
        let line = format!(
            "exec cb run -n a --fallback-on failure --fallback 'echo cached' -- bash -c \"{}\"",
            child.replace('$', "\\$")
        );
        sandbox.bash(&line).code(3).run();
    }
    assert_eq!(pick(&sandbox.status("a"), ["totals.ignored", "totals.failures"]), json!([4, 0]));
}

#[test]
fn a_fallback_has_the_time_limit_of_the_command_and_all_of_it() {
    let sandbox = Sandbox::new();
    let run = |fallback: &str| {
        let options = ["--timeout", "0.3", "--fallback-on", "failure", "--fallback", fallback];
        sandbox.cb(["run", "-n", "a"].iter().chain(&options).chain(&["--", "sleep", "60"]))
    };
    run("sleep 0.1; echo cached").stdout("cached\n").run();
    run("sleep 60").code(124).run();
    sandbox.cb(["-q", "trip", "a"]).run();
    run("sleep 60").code(124).run();
    run("echo cached").stdout("cached\n").run();
    sandbox
        .runs("a", &["--fallback-on", "failure"], 125)
        .stderr("cb: --fallback-on: there is no fallback; give one with --fallback\n")
        .run();
    sandbox
        .runs("a", &["--fallback-on", "never", "--fallback", "x"], 125)
        .stderr("cb: --fallback-on: 'never' is not known; write refused or failure\n")
        .run();
}

// --observe.

#[test]
fn an_observed_run_is_decided_and_counted_and_always_runs() {
    let sandbox = Sandbox::new();
    let options = ["--observe", "--threshold", "2"];
    sandbox.exits("a", &options, 1);
    sandbox
        .runs("a", &options, 7)
        .stderr_timeless(
            "cb: a: opened: 2 failures in a row: exit 7; next try in 30s (TIME), or now with 'cb reset a'\n",
        )
        .run();
    let opened = sandbox.status("a");
    // From here on the run would be refused.
    let probe = ["run", "-n", "a", "--observe", "--", "sh", "-c", "echo \"probe ${CB_PROBE-no}\"; exit 3"];
    sandbox.cb(probe).code(3).stdout("probe no\n").run();
    sandbox.exits("a", &options, 0);
    let status = sandbox.status("a");
    let unchanged = ["state", "since", "retry_at", "generation", "consecutive_failures", "window", "last"];
    assert_eq!(pick(&status, unchanged), pick(&opened, unchanged), "a late result changes nothing");
    let totals = ["totals.admitted", "totals.refused", "totals.late", "totals.successes", "totals.failures"];
    assert_eq!(pick(&status, totals), json!([2, 2, 2, 0, 2]));
    // The configuration may set it, and an option override it. Then there is no wait.
    sandbox.configure("[defaults]\nobserve = true\nfallback = \"echo fallback\"\n");
    sandbox.exits("a", &["--wait=1h", "--threshold", "2"], 0);
    sandbox.runs("a", &["--observe=false", "--threshold", "2"], 0).stdout("fallback\n").run();
    assert_eq!(pick(&sandbox.status("a"), totals), json!([2, 4, 3, 0, 2]));
    sandbox.configure("");
    // An observed run may be a probe.
    sandbox.shift("a", MINUTE);
    sandbox.cb(probe).code(3).stdout("probe 1\n").run();
    sandbox.shift("a", MINUTE);
    sandbox.runs("a", &options, 0).stderr("cb: a: closed again: probe succeeded\n").run();
}

#[test]
fn an_observed_run_tells_of_a_refusal_like_any() {
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "a"]).run();
    sandbox
        .runs("a", &["-v", "--observe"], 0)
        .stderr("cb: a: refused, it is held open by tester until 'cb reset a'\n")
        .run();
    sandbox.exits("a", &["--observe", "-E", "9"], 4);
    sandbox.exits("a", &["-q", "--observe"], 4);
}

// -E.

#[test]
fn a_refusal_has_the_exit_code_that_was_asked_for() {
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "a"]).run();
    for code in [0, 1, 75, 255] {
        let word = code.to_string();
        sandbox.runs("a", &["-E", &word], 3).code(code).run();
        sandbox.runs("a", &["--open-exit-code", &word], 3).code(code).run();
    }
    sandbox.configure("[defaults]\nopen-exit-code = 0\n");
    sandbox.runs("a", &[], 3).code(0).run();
    sandbox.runs("a", &["-E", "75"], 3).code(75).run();
    sandbox.cb(["check", "a"]).code(0).run();
    sandbox.cb(["allow", "a"]).code(0).run();
    for word in ["256", "-1", "x", ""] {
        let option = format!("--open-exit-code={word}");
        let message = format!("cb: --open-exit-code: '{word}' is not a whole number from 0 to 255\n");
        sandbox.runs("a", &[&option], 3).code(125).stderr(message).run();
    }
}

// Quiet and verbose.

/// A whole outage, run by run: the exit code of each child, what is passed before it, and its line in full.
const OUTAGE: [(i32, i64, &str); 8] = [
    (0, 0, ""),
    (7, 0, ""),
    (7, 0, "cb: a: opened: 2 failures in a row: exit 7; next try in 1h (TIME), or now with 'cb reset a'\n"),
    (
        75,
        0,
        "cb: a: refused, it is open (2 failures in a row: exit 7); next try in SPAN (TIME), or now with 'cb reset a'\n",
    ),
    (
        7,
        HOUR,
        "cb: a: this run is a probe\n\
         cb: a: open again: probe failed: exit 7; next try in 1h (TIME), or now with 'cb reset a'\n",
    ),
    (75, 0, "cb: a: refused, it is open (probe failed: exit 7); next try in SPAN (TIME), or now with 'cb reset a'\n"),
    (
        0,
        HOUR,
        "cb: a: this run is a probe\n\
         cb: a: closed again: probe succeeded\n",
    ),
    (0, 0, ""),
];

/// Runs through the outage, and compares what was said of each run.
fn outage(run: impl Fn(&Sandbox, &str) -> (Option<i32>, String), expected: impl Fn(&str) -> String) {
    let sandbox = Sandbox::new();
    for (index, (code, passes, line)) in OUTAGE.into_iter().enumerate() {
        if passes > 0 {
            sandbox.shift("a", passes);
        }
        let child = if code == 75 { 0 } else { code };
        let line_of_run = format!("run -n a --threshold 2 --cooldown 1h -- sh -c 'exit {child}'");
        let (status, said) = run(&sandbox, &line_of_run);
        assert_eq!((status, spanless(&timeless(&unmeasured(&said)))), (Some(code), expected(line)), "run {index}");
    }
}

/// How long it is to the next try depends on how long the test takes; that it is an hour at first is exact.
fn spanless(text: &str) -> String {
    let span = |line: &str| match line.split_once("refused").and_then(|(_, rest)| rest.split_once("next try in ")) {
        Some((_, tail)) => {
            let head = &line[..line.len() - tail.len()];
            let (_, after) = tail.split_once(" (").expect("a time in brackets");
            format!("{head}SPAN ({after}")
        }
        None => line.to_owned(),
    };
    text.split_inclusive('\n').map(span).collect()
}

fn piped(options: &'static str) -> impl Fn(&Sandbox, &str) -> (Option<i32>, String) {
    move |sandbox, line| {
        let output = sandbox.bash(&format!("cb {options} {line}")).spawn().wait_with_output().expect("it ends");
        assert_eq!(output.stdout, b"", "nothing but the command's own");
        (output.status.code(), String::from_utf8(output.stderr).expect("text"))
    }
}

#[test]
fn of_an_outage_two_lines_are_told() {
    let news = |line: &str| {
        let quiet = line.contains("refused") || line.contains("open again");
        let lines = line.split_inclusive('\n').filter(|line| !quiet && !line.contains("this run is a probe"));
        lines.collect::<String>()
    };
    outage(piped(""), news);
}

#[test]
fn quiet_says_nothing_of_it() {
    outage(piped("-q"), |_| String::new());
}

#[test]
fn verbose_says_all_of_it() {
    outage(piped("-v"), str::to_owned);
}

#[test]
fn on_a_terminal_all_of_it_is_said() {
    if !have("script") {
        return;
    }
    let on_terminal = |sandbox: &Sandbox, line: &str| {
        let (status, seen) = Terminal::start(sandbox, &format!("cb {line}")).end();
        (status.code(), seen)
    };
    outage(on_terminal, str::to_owned);
    outage(
        |sandbox, line| {
            let (status, seen) = Terminal::start(sandbox, &format!("cb -q {line}")).end();
            (status.code(), seen)
        },
        |_| String::new(),
    );
}

#[test]
fn a_refusal_names_its_cause() {
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "a", "--for", "0"]).run();
    let probe = sandbox.begin("a", &[]);
    let probing = "cb: a: refused, a probe is under way to see whether it is back (tripped)\n";
    for words in [&["-v", "run", "-n", "a", "--", "true"][..], &["-v", "check", "a"], &["-v", "allow", "a"]] {
        sandbox.cb(words).code(75).stderr(probing).run();
    }
    probe.ends(1);
    sandbox.cb(["trip", "a", "--for", "1h", "--reason", "rate limited"]).run();
    for words in [&["-v", "run", "-n", "a", "--", "true"][..], &["-v", "check", "a"], &["-v", "allow", "a"]] {
        let stderr = sandbox.cb(words).code(75).any_stderr().run().stderr;
        assert_eq!(
            spanless(&timeless(&String::from_utf8(stderr).expect("text"))),
            "cb: a: refused, it is held open by tester (rate limited); next try in SPAN (TIME), or now with 'cb reset a'\n"
        );
    }
}

#[test]
fn who_finds_other_trip_rules_is_told_with_v() {
    const LINE: &str = "cb: a: another caller has other trip rules; each run judges by its own, see 'cb status a'\n";
    let sandbox = Sandbox::new();
    sandbox.exits("a", &["--threshold", "3"], 0);
    sandbox.exits("a", &["--threshold", "4"], 0);
    sandbox.runs("a", &["-v", "--threshold", "3"], 0).stderr(LINE).run();
    sandbox.exits("a", &["-v", "--threshold", "3"], 0);
    sandbox.cb(["allow", "-v", "a", "--threshold", "4"]).any_stdout().stderr(LINE).run();
    // A report is judged by its own and leaves those last used as they are.
    sandbox.cb(["record", "-v", "a", "success", "--threshold", "3"]).stderr(LINE).run();
    sandbox.cb(["record", "-v", "a", "success", "--threshold", "4"]).run();
    sandbox.cb(["record", "-v", "a", "success"]).run();
    sandbox.exits("a", &["-v", "--threshold", "4"], 0);
    // How long it stays open is no trip rule.
    sandbox.exits("a", &["-v", "--threshold", "4", "--cooldown", "1h"], 0);
}

#[test]
fn the_environment_and_the_configuration_may_ask_for_remarks_too() {
    const LINE: &str = "cb: a: refused, it is held open by tester until 'cb reset a'\n";
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "a"]).run();
    let run = || sandbox.runs("a", &[], 0).code(75);
    for value in ["1", "true", "yes"] {
        run().env("CB_VERBOSE", value).stderr(LINE).run();
    }
    for value in ["", "0", "false"] {
        run().env("CB_VERBOSE", value).run();
    }
    sandbox.runs("a", &["-q"], 0).code(75).env("CB_VERBOSE", "1").run();
    sandbox.cb(["check", "a"]).code(75).env("CB_VERBOSE", "1").stderr(LINE).run();
    sandbox.configure("[breakers.a]\nverbose = true\n");
    run().stderr(LINE).run();
    sandbox.runs("a", &["-q"], 0).code(75).run();
    for words in [["check", "a"], ["allow", "a"]] {
        sandbox.cb(words).code(75).stderr(LINE).run();
    }
    // Each breaker's is its own.
    sandbox.cb(["-q", "trip", "b"]).run();
    sandbox.cb(["check", "a", "b"]).code(75).stderr(LINE).run();
    sandbox.cb(["reset", "b", "a"]).stderr("cb: a: closed by tester\n").run();
    sandbox.configure("[defaults]\nverbose = true\n[breakers.b]\nverbose = false\n");
    sandbox.cb(["trip", "a", "b"]).stderr("cb: a: held open by tester until 'cb reset a'\n").run();
    sandbox.cb(["remove", "a", "b"]).stderr("cb: a: removed\n").run();
    sandbox.cb(["config", "b"]).stdout_has("verbose").run();
}

#[test]
fn quiet_and_verbose_exclude_each_other() {
    let sandbox = Sandbox::new();
    sandbox
        .cb(["-q", "-v", "status"])
        .code(125)
        .stderr("cb: --quiet and --verbose contradict each other; give one of them\n")
        .run();
}

#[test]
fn quiet_keeps_the_warning_of_an_unguarded_run() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work().join("file"), "").expect("a file");
    let path = sandbox.work().join("file");
    sandbox
        .runs("a", &["-q", "--state-dir", "file"], 3)
        .stderr(format!(
            "cb: a: unguarded: {} is not a directory; move it away, or give another --state-dir\n",
            path.display()
        ))
        .run();
}

#[test]
fn a_duration_after_a_bare_wait_is_no_command() {
    let sandbox = Sandbox::new();
    sandbox
        .cb(["run", "-n", "a", "--wait", "2s", "--", "true"])
        .code(125)
        .stderr("cb: '--wait 2s' would run the command '2s'; write --wait=2s\n")
        .run();
    assert!(!sandbox.state_dir().exists(), "nothing is touched");
    // Where it can be meant, it is the command.
    sandbox.script("5", "echo ran");
    sandbox.cb(["run", "-n", "a", "--wait", "--", "5"]).stdout("ran\n").run();
    sandbox.cb(["run", "-n", "a", "--wait", "-v", "5"]).stdout("ran\n").run();
    sandbox.cb(["run", "-n", "a", "--wait=1s", "5"]).stdout("ran\n").run();
}

#[test]
fn a_countdown_is_no_wider_than_its_terminal_and_none_where_lines_cannot_be_overwritten() {
    if !have("script") {
        return;
    }
    let sandbox = Sandbox::new();
    let name = "a-name-of-more-than-twenty-columns";
    sandbox.cb(["-q", "trip", name, "--for", "1h"]).run();
    let on_terminal = |line: &str| Terminal::start(&sandbox, line).end().1;
    let seen = on_terminal(&format!("stty rows 24 cols 20; cb run -n {name} --wait=1100ms -- true"));
    let mut shown = 0;
    for part in seen.split('\r').filter_map(|part| part.split_once("\u{1b}[K")).map(|(line, _)| line) {
        assert!(part.len() <= 19, "{part:?} is too wide: {seen:?}");
        shown += usize::from(!part.is_empty());
    }
    assert!(shown >= 2, "{seen:?}");
    for term in ["TERM=dumb", "TERM="] {
        let seen = on_terminal(&format!("{term} cb run -n {name} --wait=1100ms -- true"));
        assert!(!seen.contains(['\u{1b}', '\r']), "{seen:?}");
        assert_eq!(seen.lines().count(), 2, "{seen:?}");
    }
}

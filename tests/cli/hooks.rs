//! `--on-change`: a command that runs once for each change, over all processes.
//! See cb-contract(7) 3.28 to 3.31.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::terminal::Terminal;
use crate::support::{Sandbox, have, pick, timeless};

const MINUTE: i64 = 60_000;

/// A hook that writes one line about each change into the file `told`.
const TELL: &str =
    r#"printf '%s: %s -> %s (%s) %s\n' "$CB_NAME" "$CB_FROM" "$CB_TO" "$CB_REASON" "$CB_RETRY_AT" >> ~/told"#;

/// Options that open at the first failure and run the hook.
const TOLD: [&str; 4] = ["--threshold", "1", "--on-change", TELL];

/// The lines of the hook, without the times.
fn told(sandbox: &Sandbox) -> String {
    timeless(&fs::read_to_string(sandbox.home().join("told")).unwrap_or_default())
}

/// A configuration that runs the hook for all changes.
fn configured() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.configure(&format!("[defaults]\non-change = '''{TELL}'''\n"));
    sandbox
}

// When, and with what.

#[test]
fn a_run_tells_when_it_opens_and_when_it_closes() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &TOLD, 0);
    assert_eq!(told(&sandbox), "");
    sandbox
        .runs("a", &TOLD, 7)
        .stderr_timeless(
            "cb: a: opened: 1 failure in a row: exit 7; next try in 30s (TIME), or now with 'cb reset a'\n",
        )
        .run();
    let opened = "a: closed -> open (1 failure in a row: exit 7) TIME\n";
    assert_eq!(told(&sandbox), opened);
    let retry_at = sandbox.status("a")["retry_at"].as_str().expect("a time").to_owned();
    assert!(fs::read_to_string(sandbox.home().join("told")).expect("a file").ends_with(&format!(" {retry_at}\n")));
    // A refusal and a failed probe are no news.
    sandbox.runs("a", &TOLD, 0).code(75).run();
    sandbox.shift("a", MINUTE);
    sandbox.exits("a", &TOLD, 1);
    assert_eq!(told(&sandbox), opened);
    sandbox.shift("a", MINUTE);
    sandbox.runs("a", &TOLD, 0).stderr("cb: a: closed again: probe succeeded\n").run();
    assert_eq!(told(&sandbox), format!("{opened}a: half_open -> closed (probe succeeded) \n"));
}

#[test]
fn what_a_person_does_is_told_to_the_command_of_the_configuration() {
    let sandbox = configured();
    let steps: [(&[&str], &str); 11] = [
        (&["trip", "a", "--reason", "fire"], "closed -> open (fire) "),
        (&["trip", "a"], ""),
        (&["trip", "a", "--replace"], "open -> open (tripped) "),
        (&["disable", "a"], "open -> disabled (disabled) "),
        (&["enable", "a"], "disabled -> open (enabled) TIME"),
        (&["reset", "a"], "open -> closed (reset) "),
        (&["trip", "a", "--for", "1h"], "closed -> open (tripped) TIME"),
        (&["record", "a", "failure"], ""),
        (&["reset", "--all"], "open -> closed (reset) "),
        (&["record", "a", "failure", "--threshold", "1"], "closed -> open (1 failure in a row) TIME"),
        (&["record", "a", "success"], "open -> closed (success reported) "),
    ];
    let mut expected = String::new();
    for (args, line) in steps {
        sandbox.cb([&["-q"], args].concat()).run();
        if !line.is_empty() {
            expected.extend(["a: ", line, "\n"]);
        }
        assert_eq!(told(&sandbox), expected, "{args:?}");
    }
}

#[test]
fn what_changes_nothing_is_not_told() {
    let sandbox = configured();
    sandbox.exits("a", &[], 0);
    sandbox.cb(["reset", "a"]).run();
    sandbox.cb(["enable", "a"]).run();
    sandbox.cb(["record", "a", "failure"]).run();
    assert_eq!(told(&sandbox), "");
    sandbox.cb(["trip", "a"]).run();
    let unchanged = "cb: a: unchanged, it is held open by tester until 'cb reset a', which does not end sooner; to shorten it: --replace\n";
    sandbox.cb(["trip", "a", "--for", "1s"]).stderr(unchanged).run();
    assert_eq!(told(&sandbox), "a: closed -> open (tripped) \n");
    sandbox.cb(["remove", "a"]).run();
    assert_eq!(told(&sandbox), "a: closed -> open (tripped) \n");
}

#[test]
fn the_command_of_an_option_goes_before_that_of_the_breaker_and_that_before_the_defaults() {
    let sandbox = Sandbox::new();
    sandbox.configure(
        "[defaults]\nthreshold = 1\non-change = 'echo defaults'\n[breakers.b]\non-change = 'echo breaker'\n\
         [breakers.c]\non-change = ''\n[breakers.f]\non-change = false\n",
    );
    let heard = |name: &str, options: &[&str]| {
        let stderr = sandbox.runs(name, options, 1).any_stderr().run().stderr;
        String::from_utf8(stderr).expect("text").split_once('\n').expect("a line").1.to_owned()
    };
    assert_eq!(heard("a", &[]), "defaults\n");
    assert_eq!(heard("b", &[]), "breaker\n");
    assert_eq!(heard("c", &[]), "");
    assert_eq!(heard("f", &[]), "");
    assert_eq!(heard("d", &["--on-change", "echo option"]), "option\n");
    assert_eq!(heard("e", &["--on-change", ""]), "");
}

#[test]
fn it_is_told_who_did_it() {
    let sandbox = Sandbox::new();
    sandbox.configure("[defaults]\nthreshold = 1\non-change = 'echo \"$CB_FROM $CB_TO <$CB_BY>\"'\n");
    sandbox.cb(["-q", "trip", "a"]).stderr("closed open <tester>\n").run();
    sandbox.cb(["disable", "a"]).env("LOGNAME", "ann").stderr("open disabled <ann>\n").run();
    sandbox.cb(["enable", "a"]).env("SUDO_USER", "bob").stderr("disabled open <bob>\n").run();
    sandbox.cb(["reset", "a"]).stderr("open closed <tester>\n").run();
    // A change by a run or a report has no person, whatever an earlier hook left in the environment.
    sandbox.runs("a", &[], 1).env("CB_BY", "ann").stderr_has("closed open <>\n").run();
    sandbox.cb(["-q", "record", "a", "success"]).stderr("open closed <>\n").run();
}

#[test]
fn when_it_closes_it_is_told_how_long_it_was_open_and_how_many_were_refused() {
    let sandbox = Sandbox::new();
    sandbox.configure("[defaults]\nthreshold = 1\non-change = 'echo \"<$CB_OPEN_MS> <$CB_REFUSED>\" >>~/told'\n");
    let refused = |runs: u32| (0..runs).for_each(|_| drop(sandbox.runs("a", &[], 0).code(75).run()));
    sandbox.runs("a", &[], 1).any_stderr().run();
    refused(2);
    sandbox.shift("a", MINUTE);
    // A reopening belongs to the same outage.
    sandbox.exits("a", &[], 1);
    refused(1);
    sandbox.shift("a", MINUTE);
    sandbox.runs("a", &[], 0).any_stderr().run();
    // The next outage begins anew, even by hand, and even if the breaker is disabled meanwhile.
    sandbox.cb(["trip", "a"]).run();
    refused(1);
    sandbox.cb(["disable", "a"]).run();
    sandbox.shift("a", MINUTE);
    sandbox.cb(["reset", "a"]).run();
    // No outage ends where the breaker was closed below the hold.
    sandbox.cb(["disable", "a"]).run();
    sandbox.cb(["enable", "a"]).run();
    sandbox.cb(["disable", "a"]).run();
    sandbox.cb(["reset", "a"]).run();
    let told = told(&sandbox);
    let lines: Vec<(Option<u64>, &str)> = told
        .lines()
        .map(|line| {
            let (span, refused) = line.split_once("> ").expect("two values");
            (span[1..].parse::<u64>().ok().map(|millis| millis / 60_000), refused)
        })
        .collect();
    let nothing = (None, "<>");
    let closed = [(Some(2), "<3>"), nothing, nothing, (Some(1), "<1>"), nothing, nothing, nothing, nothing];
    assert_eq!(lines, [&[nothing][..], &closed].concat());
}

#[test]
fn a_reason_reaches_the_command_as_it_was_given() {
    const REASON: &str = "it's \"odd\" $HOME `x`\n\u{1b}[31m é";
    let sandbox = Sandbox::new();
    sandbox.configure("[defaults]\non-change = 'printf %s \"$CB_REASON\" > ~/reason'\n");
    sandbox.cb(["-q", "trip", "a", "--reason", REASON]).run();
    assert_eq!(fs::read_to_string(sandbox.home().join("reason")).expect("a file"), REASON);
}

#[test]
fn quiet_silences_the_lines_and_not_the_command() {
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "run", "-n", "a"].into_iter().chain(TOLD).chain(["--", "false"])).code(1).run();
    assert_eq!(told(&sandbox), "a: closed -> open (1 failure in a row: exit 1) TIME\n");
}

// How it runs.

#[test]
fn it_reads_nothing_and_its_output_is_speech() {
    let sandbox = Sandbox::new();
    let hook = "readlink /proc/self/fd/0; cat; echo out; echo err >&2";
    let run = format!("cb run -n a --threshold 1 --on-change '{hook}' -- sh -c 'echo child; exit 1'");
    sandbox
        .bash(&format!("echo data | {{ {run}; cat; }}"))
        .stdout("child\ndata\n")
        .stderr_timeless(
            "cb: a: opened: 1 failure in a row: exit 1; next try in 30s (TIME), or now with 'cb reset a'\n\
             /dev/null\nout\nerr\n",
        )
        .run();
    // Without stderr, its output goes nowhere, not among the data.
    sandbox.cb(["reset", "a"]).run();
    sandbox
        .bash("cb run -n a --threshold 1 --on-change 'echo out' -- sh -c 'echo child; exit 1' 2>&-")
        .code(1)
        .stdout("child\n")
        .run();
}

#[test]
fn it_is_in_the_directory_and_environment_of_the_run() {
    let sandbox = Sandbox::new();
    let hook = r#"pwd; echo "$COLOUR ${CB_PROBE-no}""#;
    sandbox.cb(["-q", "trip", "a", "--for", "0"]).run();
    // A hook is no probe, even if the run is one.
    sandbox
        .runs("a", &["--on-change", hook], 0)
        .env("COLOUR", "blue")
        .stderr(format!("cb: a: closed again: probe succeeded\n{}\nblue no\n", sandbox.work().display()))
        .run();
}

#[test]
fn it_can_ask_cb_itself_for_the_change_is_recorded_and_nothing_is_locked() {
    let sandbox = Sandbox::new();
    let hook = r#"cb check "$CB_NAME"; echo "check $?"
        cb run -n "$CB_NAME" -- echo run; echo "run $?"
        cb status "$CB_NAME" | head -1
        cb reset "$CB_NAME" && cb run -n "$CB_NAME" -- echo passed"#;
    sandbox
        .runs("a", &["--threshold", "1", "--on-change", hook], 1)
        .stderr_timeless(
            "cb: a: opened: 1 failure in a row: exit 1; next try in 30s (TIME), or now with 'cb reset a'\n\
             check 75\nrun 75\na: open\npassed\n",
        )
        .run();
    assert_eq!(pick(&sandbox.status("a"), ["state", "totals.refused"]), json!(["closed", 1]));
}

#[test]
fn it_can_ask_cb_itself_after_a_change_by_hand_or_by_a_report_too() {
    let sandbox = Sandbox::new();
    sandbox.configure("[defaults]\non-change = 'cb run -n a -- echo run; echo \"status $?\"'\n");
    for (args, told) in [
        (&["-q", "trip", "a"][..], "status 75\n"),
        (&["disable", "a"], "run\nstatus 0\n"),
        (&["enable", "a"], "run\ncb: a: closed again: probe succeeded\nstatus 0\n"),
        (&["trip", "a", "--for", "1h"], "status 75\n"),
        (&["reset", "a"], "run\nstatus 0\n"),
        (&["-q", "record", "a", "failure", "--threshold", "1"], "status 75\n"),
        (&["-q", "record", "a", "success"], "run\nstatus 0\n"),
    ] {
        sandbox.cb(args).stderr(told).run();
    }
    assert_eq!(sandbox.status("a")["totals"]["late"], 0);
}

#[test]
fn it_asks_about_the_breakers_of_the_same_place() {
    let sandbox = Sandbox::new();
    sandbox.configure("[defaults]\nthreshold = 9\n");
    let config = sandbox.work().join("other.toml");
    fs::write(&config, "[defaults]\nthreshold = 1\non-change = 'cd /; cb status | tail -1; cb config | head -1'\n")
        .expect("a file");
    fs::create_dir(sandbox.work().join("state")).expect("a directory");
    let stderr = sandbox.runs("a", &["--state-dir", "state", "--config", "other.toml"], 1).any_stderr().run().stderr;
    let stderr = String::from_utf8(stderr).expect("text");
    let lines: Vec<&str> = stderr.lines().skip(1).collect();
    assert_eq!(lines.len(), 2, "{stderr}");
    assert!(lines[0].starts_with("a     open "), "{stderr}");
    assert_eq!(lines[1].split_whitespace().collect::<Vec<_>>(), ["threshold", "1", "defaults,", "line", "2"]);
    assert!(!sandbox.state_dir().exists());
}

#[test]
fn fifty_processes_at_the_moment_of_tripping_tell_it_once() {
    let sandbox = Sandbox::new();
    let options = ["--on-change", TELL];
    let mut runs: Vec<_> = (0..50).map(|_| sandbox.begin("a", &options)).collect();
    for run in &mut runs {
        run.release(1);
    }
    let mut lines = String::new();
    for run in runs {
        let output = run.wait();
        assert_eq!(output.status.code(), Some(1));
        lines.push_str(&String::from_utf8(output.stderr).expect("text"));
    }
    let opened = "opened: 5 failures in a row: exit 1; next try in 30s (TIME), or now with 'cb reset a'";
    assert_eq!(timeless(&lines), format!("cb: a: {opened}\n"));
    assert_eq!(told(&sandbox), "a: closed -> open (5 failures in a row: exit 1) TIME\n");
    assert_eq!(pick(&sandbox.status("a"), ["totals.failures", "totals.late", "totals.opened"]), json!([5, 45, 1]));
}

// It cannot feed itself.

/// A breaker whose hook writes a line into a file and then does this.
fn feeding(hooks: &[(&str, &str)]) -> Sandbox {
    let sandbox = Sandbox::new();
    let table = |(name, next): &(&str, &str)| {
        format!("[breakers.{name}]\non-change = '''echo \"$CB_NAME $CB_TO\" >>~/hooks; {next}'''\nthreshold = 1\n")
    };
    sandbox.configure(&hooks.iter().map(table).collect::<String>());
    sandbox
}

/// The hooks that ran, in order.
fn hooks(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.home().join("hooks")).unwrap_or_default()
}

#[test]
fn a_hook_that_changes_its_own_breaker_is_run_once() {
    let sandbox = feeding(&[("api", r#"test "$CB_TO" = open && cb trip api --for 10m"#)]);
    sandbox.runs("api", &[], 7).any_stderr().run();
    assert_eq!(hooks(&sandbox), "api open\n");
    assert_eq!(sandbox.status("api")["mode"], "held", "the change is made");
    let sandbox = feeding(&[("api", "cb reset api; cb trip api; cb disable api; cb enable api; cb reset api")]);
    sandbox.cb(["trip", "api"]).run();
    assert_eq!(hooks(&sandbox), "api open\n");
    let sandbox = feeding(&[("api", "cb record api success; cb run -n api -- cb trip api")]);
    sandbox.runs("api", &[], 7).any_stderr().run();
    assert_eq!(hooks(&sandbox), "api open\n", "nor below a run in it");
}

#[test]
fn breakers_that_trip_each_other_end_where_they_meet() {
    let sandbox = feeding(&[("a", "cb trip b"), ("b", "cb run -n b -- true; cb trip a; cb reset b; cb trip b")]);
    sandbox.cb(["trip", "a"]).run();
    assert_eq!(hooks(&sandbox), "a open\n");
    sandbox.cb(["reset", "a", "b"]).run();
    assert_eq!(hooks(&sandbox), "a open\na closed\nb closed\n");
    assert_eq!([sandbox.state("a"), sandbox.state("b")], ["open", "open"]);
}

#[test]
fn what_changes_in_a_hook_is_told_as_ever() {
    let sandbox = feeding(&[("a", "cb run -n b -- sh -c 'exit 3'; :"), ("b", "echo never")]);
    let told = "cb: b: opened: 1 failure in a row: exit 3; next try in 30s (TIME), or now with 'cb reset b'\n";
    sandbox.cb(["trip", "a"]).stderr_timeless(told).run();
    assert_eq!(hooks(&sandbox), "a open\n");
    assert_eq!(sandbox.state("b"), "open");
}

#[test]
fn a_fallback_in_a_hook_and_a_hook_in_a_fallback_end_too() {
    let sandbox = Sandbox::new();
    let again =
        "echo \"$1 $CB_NAME\" >>~/hooks; cb run -n \"$CB_NAME\" -- true; cb reset b; cb trip b; cb run -n b -- true";
    sandbox.script("again", again);
    sandbox.configure("[defaults]\non-change = 'again hook'\nfallback = 'again fallback'\n");
    sandbox.exits("b", &[], 0);
    sandbox.cb(["-q", "trip", "a"]).any_stderr().run();
    let started = hooks(&sandbox);
    assert_eq!(started, "hook a\nfallback a\nfallback b\n");
    fs::remove_file(sandbox.home().join("hooks")).expect("the list");
    sandbox.runs("a", &[], 0).code(75).any_stderr().run();
    // Of the reset alone: in its hook it was tripped again, and no trip changes that.
    assert_eq!(hooks(&sandbox), "fallback a\nhook b\n");
}

#[test]
fn a_hook_and_what_is_below_it_are_told_where_they_are() {
    let sandbox = Sandbox::new();
    let show = "echo \"${CB_HOOK-no} ${CB_FALLBACK-no}\"";
    let hook = format!("{show}; cb run -n b -- sh -c '{show}'");
    let run = || sandbox.runs("a", &["--threshold", "1", "--on-change", &hook], 1);
    let opened = "cb: a: opened: 1 failure in a row: exit 1; next try in 30s (TIME), or now with 'cb reset a'\n";
    run().stderr_timeless(format!("{opened}1 no\n2 no\n")).run();
    sandbox.cb(["reset", "a"]).run();
    // Below a fallback the hook runs, and runs no further one.
    run().env("CB_FALLBACK", "2").stderr_timeless(format!("{opened}1 2\n2 2\n")).run();
    for value in ["1", "2", "x"] {
        sandbox.cb(["reset", "a"]).run();
        run().env("CB_HOOK", value).stderr_timeless(opened).run();
    }
}

// When it fails.

#[test]
fn its_failure_is_a_warning_and_the_status_is_the_childs() {
    let sandbox = Sandbox::new();
    for (hook, trouble) in
        [("exit 3", "exit 3"), ("kill -KILL $$", "SIGKILL"), ("exec /nonexistent/program 2>/dev/null", "exit 127")]
    {
        let warning = format!("cb: a: the on-change command failed: {trouble}\n");
        sandbox
            .runs("a", &["--threshold", "1", "--on-change", hook], 7)
            .stderr_timeless(format!(
                "cb: a: opened: 1 failure in a row: exit 7; next try in 30s (TIME), or now with 'cb reset a'\n{warning}"
            ))
            .run();
        sandbox.configure(&format!("[defaults]\non-change = '{hook}'\n"));
        // The change is made all the same.
        sandbox.cb(["reset", "a"]).stderr(&warning).run();
        assert_eq!(sandbox.state("a"), "closed");
        sandbox.cb(["record", "a", "failure", "--threshold", "1"]).stderr_has(&warning).run();
        sandbox.cb(["record", "a", "success"]).stderr_has(&warning).run();
    }
}

#[test]
fn quiet_silences_its_trouble() {
    let sandbox = Sandbox::new();
    let fails = "exit 3";
    sandbox.cb(["-q", "run", "-n", "a", "--threshold", "1", "--on-change", fails, "--", "false"]).code(1).run();
    sandbox.configure("[defaults]\non-change = 'exit 3'\n");
    for args in [&["trip", "a"][..], &["disable", "a"], &["enable", "a"], &["reset", "a"]] {
        let warning = "cb: a: the on-change command failed: exit 3\n";
        sandbox.cb(args).stderr(warning).run();
    }
    for args in [&["trip", "a"][..], &["disable", "a"], &["enable", "a"], &["reset", "a"]] {
        sandbox.cb([&["-q"], args].concat()).run();
    }
    sandbox.cb(["-q", "record", "a", "failure", "--threshold", "1"]).run();
    assert_eq!(sandbox.state("a"), "open");
    // Where there is no process to be had for it.
    let few = "ulimit -v 60000; exec cb -q reset a";
    sandbox.cb(["trip", "a"]).any_stderr().run();
    sandbox.bash(few).run();
}

#[test]
fn a_hook_may_write_to_a_terminal_that_stops_the_background() {
    if !have("script") {
        return;
    }
    let sandbox = Sandbox::new();
    let line = "stty tostop; cb run -n a --threshold 1 --on-change 'echo told; echo also >/dev/stderr; (read x </dev/tty) || echo none' -- false";
    let (status, seen) = Terminal::start(&sandbox, line).end();
    assert_eq!(status.code(), Some(1));
    let opened = "cb: a: opened: 1 failure in a row: exit 1; next try in 30s (TIME), or now with 'cb reset a'\n";
    let after = timeless(&seen);
    let after = after.strip_prefix(opened).unwrap_or_else(|| panic!("{after}"));
    assert!(after.starts_with("told\nalso\n") && after.ends_with("none\n"), "{after}");
}

#[test]
fn the_shell_is_found_whatever_the_path() {
    let sandbox = Sandbox::new();
    sandbox.configure("[defaults]\non-change = 'echo told'\n");
    sandbox.cb(["-q", "trip", "a"]).env("PATH", "/nonexistent").stderr("told\n").run();
    assert_eq!(sandbox.state("a"), "open");
}

/// Slow: it takes the ten seconds that a hook may take.
#[test]
fn slow_a_hook_that_does_not_end_is_ended_with_all_it_started() {
    let sandbox = Sandbox::new();
    // All of them hold stderr open: this test would not end before they do.
    let leaves = "setsid sh -c 'read word <~/to; echo \"$word\" >~/from' >/dev/null 2>&1 &";
    let hook = "trap '' TERM INT HUP; echo started; (trap '' TERM; sleep 300) & sleep 300; echo not reached";
    let hook = &format!("{leaves} {hook}");
    sandbox.bash("mkfifo ~/to ~/from").run();
    let begun = Instant::now();
    sandbox
        .runs("a", &["--threshold", "1", "--on-change", hook], 7)
        .stderr_timeless(
            "cb: a: opened: 1 failure in a row: exit 7; next try in 30s (TIME), or now with 'cb reset a'\n\
             started\n\
             cb: a: the on-change command took more than 10s and was ended\n",
        )
        .run();
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(10) && took < Duration::from_secs(200), "{took:?}");
    assert_eq!(pick(&sandbox.status("a"), ["state", "last.took_ms"])[0], "open");
    assert!(sandbox.status("a")["last"]["took_ms"].as_u64() < Some(10_000), "the hook is no part of the run");
    // A process that has left its group is not killed.
    sandbox.bash("timeout 60 sh -c 'echo alive >~/to; cat ~/from'").stdout("alive\n").run();
}

/// Slow: it takes the ten seconds that hooks may take.
#[test]
fn all_names_are_changed_before_the_first_hook_runs() {
    let sandbox = Sandbox::new();
    let hook = r#"cb check c && echo "$CB_NAME: c lets runs through" || echo "$CB_NAME: c refuses""#;
    sandbox.configure(&format!("[defaults]\non-change = '''{hook}'''\n"));
    let seen = |does: &str| format!("a: c {does}\nb: c {does}\nc: c {does}\n");
    sandbox.cb(["trip", "-q", "a", "b", "c"]).stderr(seen("refuses")).run();
    sandbox.cb(["disable", "-q", "a", "b", "c"]).stderr(seen("lets runs through")).run();
    sandbox.cb(["trip", "-q", "a", "b", "c"]).stderr(seen("refuses")).run();
    sandbox.cb(["reset", "-q", "--all"]).stderr(seen("lets runs through")).run();
}

#[test]
fn slow_the_hooks_of_several_names_share_their_time() {
    let sandbox = Sandbox::new();
    let hook = "echo \"$CB_NAME\" >>~/hooks; test \"$CB_NAME\" = a || exec sleep 300";
    sandbox.configure(&format!("[defaults]\non-change = '{hook}'\n"));
    for name in ["a", "b", "c", "d"] {
        sandbox.exits(name, &[], 0);
    }
    let begun = Instant::now();
    let all = "the 10s that all have together";
    sandbox
        .cb(["trip", "a", "b", "c", "d"])
        .stderr(format!(
            "cb: b: the on-change command, with those before it, took more than 10s and was ended\n\
             cb: c: the on-change command was not run: those before it took {all}\n\
             cb: d: the on-change command was not run: those before it took {all}\n"
        ))
        .run();
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(9) && took < Duration::from_secs(60), "{took:?}");
    assert_eq!(hooks(&sandbox), "a\nb\n");
    for name in ["a", "b", "c", "d"] {
        assert_eq!(sandbox.state(name), "open");
    }
}

//! Wrong usage: one line on stderr that says what would be right, exit 125, nothing started and no file made.
//! See cb-contract(7) 3.23, 4.1, 4.7, 4.23 and 4.24.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::support::Sandbox;

/// `cb` with these arguments must say exactly this line, fail with 125 and leave no trace.
#[track_caller]
fn wrong<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>, line: &str) {
    let sandbox = Sandbox::new();
    sandbox.cb(args).code(125).stderr(format!("cb: {line}\n")).run();
    assert!(!sandbox.work().join("started").exists(), "the command was not started");
    assert!(!sandbox.home().join(".cache").exists(), "no state was made");
}

/// The same for `cb run -n a [options] -- touch started`.
#[track_caller]
fn wrong_run(options: &[&str], line: &str) {
    wrong(["run", "-n", "a"].iter().chain(options).chain(&["--", "touch", "started"]), line);
}

#[test]
fn the_proof_of_not_starting_would_see_a_start() {
    let sandbox = Sandbox::new();
    sandbox.cb(["run", "-n", "a", "--", "touch", "started"]).run();
    assert!(sandbox.work().join("started").exists() && sandbox.home().join(".cache").exists());
}

// Names.

const NO_NAME: &str = "is not a name for a breaker, use letters, digits and . _ @ : + - after a letter or digit";

#[test]
fn a_name_that_could_be_a_path_an_option_or_a_hidden_file() {
    for (name, shown) in [
        ("../x", "../x"),
        ("/x", "/x"),
        (".x", ".x"),
        ("-x", "-x"),
        ("--", "--"),
        ("_x", "_x"),
        ("a/b", "a/b"),
        ("a b", "a b"),
        ("a\nb", "a\\nb"),
        ("a\u{1b}[2J", "a\\u{1b}[2J"),
        ("é", "é"),
        ("*", "*"),
    ] {
        wrong(["run", "-n", name, "--", "touch", "started"], &format!("--name: '{shown}' {NO_NAME}"));
        wrong(["run", &format!("--name={name}"), "--", "touch", "started"], &format!("--name: '{shown}' {NO_NAME}"));
        for command in ["status", "check", "reset", "trip", "config"] {
            if !name.starts_with('-') {
                wrong([command, name], &format!("'{shown}' {NO_NAME}"));
            }
        }
    }
}

#[test]
fn an_empty_name() {
    let line = "a breaker needs a name, use letters, digits and . _ @ : + - after a letter or digit";
    wrong(["run", "-n", "", "--", "touch", "started"], &format!("--name: {line}"));
    wrong(["run", "--name=", "--", "touch", "started"], &format!("--name: {line}"));
    wrong(["check", ""], line);
}

#[test]
fn a_name_that_is_too_long() {
    let line = "a breaker's name has at most 128 characters, this one has 129";
    let long = "x".repeat(129);
    wrong(["run", "-n", &long, "--", "touch", "started"], &format!("--name: {line}"));
    wrong(["status", &long], line);
    let sandbox = Sandbox::new();
    sandbox.exits(&"x".repeat(128), &[], 0);
}

#[test]
fn a_name_that_is_no_text() {
    let name = OsStr::from_bytes(b"\xff");
    wrong(
        [OsStr::new("run"), OsStr::new("-n"), name, OsStr::new("true")],
        "an argument is not valid UTF-8; see 'cb run --help'",
    );
}

#[test]
fn the_word_after_a_name_option_is_the_name() {
    // The name is missing, so the line is not "there is no option '-E'".
    wrong(["run", "-n", "-E", "7", "--", "touch", "started"], &format!("--name: '-E' {NO_NAME}"));
}

// What is missing.

#[test]
fn something_is_missing() {
    let write = "write 'cb run --name NAME -- COMMAND'";
    wrong([""; 0], "a subcommand is missing; try 'cb run --name NAME -- COMMAND', 'cb status', or 'cb --help'");
    wrong(["run"], &format!("--name NAME and COMMAND are missing; {write}"));
    wrong(["run", "touch", "started"], &format!("--name NAME is missing; {write}"));
    wrong(["run", "--", "touch", "started"], &format!("--name NAME is missing; {write}"));
    wrong(["run", "-n", "a"], &format!("COMMAND is missing; {write}"));
    wrong(["run", "-n", "a", "--"], &format!("COMMAND is missing; {write}"));
    wrong(["run", "-n"], "--name needs a value, NAME; see 'cb run --help'");
    wrong(["run", "-n", "a", "--cooldown"], "--cooldown needs a value, DURATION; see 'cb run --help'");
    wrong(["check"], "NAME is missing; see 'cb check --help'");
    wrong(
        ["record", "a"],
        "OUTCOME is missing; write success, failure or ignored, or give --exit-code N or --http-status N",
    );
    wrong(["reset"], "NAME is missing; write a NAME, or --all");
    wrong(["trip"], "NAME is missing; write a NAME, or --all");
    wrong(["enable"], "NAME is missing; write a NAME, or --all");
    for words in [&["api", "--", "touch", "started"][..], &["api", "--threshold", "3", "--", "touch", "started"]] {
        let line = "--name NAME is missing; write 'cb run --name api -- COMMAND'";
        wrong(["run"].iter().chain(words), line);
    }
    wrong(["run", "a/b", "--", "touch", "started"], &format!("--name NAME is missing; {write}"));
    wrong(["trip", "a", "--for"], "--for needs a value, DURATION; see 'cb trip --help'");
    wrong(["trip", "a", "--reason"], "--reason needs a value, TEXT; see 'cb trip --help'");
    wrong(["status", "--state-dir"], "--state-dir needs a value, DIR; see 'cb status --help'");
}

// What is unknown or too much.

#[test]
fn an_unknown_option() {
    wrong_run(&["--bogus"], "there is no option '--bogus'; see 'cb run --help'");
    wrong_run(&["-x"], "there is no option '-x'; see 'cb run --help'");
    wrong_run(&["--threshhold", "3"], "there is no option '--threshhold'; did you mean '--threshold'?");
    wrong_run(&["--treshold=3"], "there is no option '--treshold'; did you mean '--threshold'?");
    wrong(["run", "--naem", "a", "--", "touch", "started"], "there is no option '--naem'; did you mean '--name'?");
    wrong(
        ["-q", "run", "-n", "a", "--bogus", "--", "touch", "started"],
        "there is no option '--bogus'; see 'cb run --help'",
    );
    wrong(["status", "--jsn"], "there is no option '--jsn'; did you mean '--json'?");
    wrong(["status", "--threshold", "5"], "there is no option '--threshold'; see 'cb status --help'");
    wrong(["check", "-n", "a"], "there is no option '-n' of cb check; write 'cb check NAME'");
    wrong(["allow", "--name", "a"], "there is no option '--name' of cb allow; write 'cb allow NAME'");
    wrong_run(
        &["--dry-run"],
        "there is no option '--dry-run', as the command would be run; to run it and count what would be refused write \
         --observe",
    );
    wrong(["check", "-x", "a"], "there is no option '-x'; see 'cb check --help'");
    wrong(["--config", "run", "status", "-x"], "there is no option '-x'; see 'cb status --help'");
}

#[test]
fn an_option_before_its_subcommand() {
    let line = "there is no option '--name' before 'run'; write its options after it";
    wrong(["--name", "a", "run", "--", "touch", "started"], line);
    let line = "there is no option '-n' here; guard a command with 'cb run --name NAME -- COMMAND', or see 'cb --help'";
    wrong(["-n", "a", "--", "touch", "started"], line);
}

#[test]
fn an_unknown_subcommand() {
    wrong(["statsu"], "there is no subcommand 'statsu'; did you mean 'status'?");
    wrong(["chekc", "a"], "there is no subcommand 'chekc'; did you mean 'check'?");
    for (word, meant) in [
        ("ls", "status"),
        ("open", "trip"),
        ("close", "reset"),
        ("delete", "remove"),
        ("exec", "run"),
        ("version", "--version"),
        ("watch", "status --watch"),
    ] {
        wrong([word], &format!("there is no subcommand '{word}'; did you mean '{meant}'?"));
    }
    Sandbox::new().cb(["--version"]).any_stdout().run();
    wrong(
        ["touch", "started"],
        "there is no subcommand 'touch'; guard a command with 'cb run --name NAME -- COMMAND', or see 'cb --help'",
    );
}

#[test]
fn too_much() {
    wrong(["record", "a", "success", "b"], "'b' is one word too many; see 'cb record --help'");
    wrong(["config", "a", "b"], "'b' is one word too many; see 'cb config --help'");
    wrong_run(&["--quiet=yes"], "--quiet takes no value; see 'cb run --help'");
}

/// This lets an alias or a wrapper give defaults.
#[test]
fn of_an_option_that_is_given_twice_the_last_word_counts() {
    let sandbox = Sandbox::new();
    let options =
        ["-n", "b", "--threshold", "9", "--threshold", "1", "-q", "-q", "--wait", "--wait=1ms", "-E", "1", "-E", "2"];
    sandbox.exits("a", &options, 7);
    assert_eq!(sandbox.state("b"), "open");
    sandbox.cb(["run", "-n", "a"].into_iter().chain(options).chain(["--", "true"])).code(2).run();
    assert!(!sandbox.state_file("a").exists());
}

// Values.

#[test]
fn durations() {
    let like = "write one like 30s, 1.5m or 1h30m";
    for option in
        ["--cooldown", "--max-cooldown", "--slow-after", "--lease", "--timeout", "--probe-timeout", "--kill-after"]
    {
        for (value, why) in [
            ("5M", "'5M' would be months, of no certain length; for minutes write '5m'".to_owned()),
            ("-5s", format!("a duration cannot be negative, {like}")),
            ("42D", "'42D' is not a duration; did you mean '42d'?".to_owned()),
            ("", format!("a duration is missing, {like}")),
            ("soon", format!("'soon' is not a duration, {like}")),
            ("--", format!("'--' is not a duration, {like}")),
            ("1h30", format!("'1h30' is not a duration, {like}")),
            ("\u{1b}[31m", format!("'\\u{{1b}}[31m' is not a duration, {like}")),
        ] {
            wrong_run(&[option, value], &format!("{option}: {why}"));
        }
        wrong_run(&[&format!("{option}=-5s")], &format!("{option}: a duration cannot be negative, {like}"));
    }
    wrong(["trip", "a", "--for", "5M"], "--for: '5M' would be months, of no certain length; for minutes write '5m'");
    wrong(["trip", "a", "--for", "-5s"], &format!("--for: a duration cannot be negative, {like}"));
    wrong_run(&["-k", "5M"], "--kill-after: '5M' would be months, of no certain length; for minutes write '5m'");
}

#[test]
fn numbers() {
    wrong_run(&["--threshold", "-1"], "--threshold: '-1' is not a whole number from 0 to 4294967295");
    wrong_run(&["--threshold", "five"], "--threshold: 'five' is not a whole number from 0 to 4294967295");
    wrong_run(&["--threshold", ""], "--threshold: '' is not a whole number from 0 to 4294967295");
    wrong_run(&["--threshold", "+5"], "--threshold: '+5' is not a whole number from 0 to 4294967295");
    wrong_run(&["--threshold", "4294967296"], "--threshold: '4294967296' is not a whole number from 0 to 4294967295");
    wrong_run(&["--min-calls", "0"], "--min-calls: '0' is not a whole number from 1 to 4294967295");
    wrong_run(&["--probes", "0"], "--probes: '0' is not a whole number from 1 to 16");
    wrong_run(&["--probes", "17"], "--probes: '17' is not a whole number from 1 to 16");
    wrong_run(&["--probe-successes", "0"], "--probe-successes: '0' is not a whole number from 1 to 4294967295");
    wrong_run(&["--probe-failures", "1.5"], "--probe-failures: '1.5' is not a whole number from 1 to 4294967295");
    wrong_run(&["-E", "256"], "--open-exit-code: '256' is not a whole number from 0 to 255");
    wrong_run(&["--open-exit-code=-1"], "--open-exit-code: '-1' is not a whole number from 0 to 255");
    for bad in ["0.5", "101", "1.0000001", "x", "", ".", "-2", "1e1"] {
        let line = format!("--backoff: '{bad}' is not a factor from 1 to 100, like 2 or 1.5 (at most 6 decimals)");
        wrong_run(&["--backoff", bad], &line);
    }
}

#[test]
fn percentages() {
    let not_whole = |option: &str, value: &str, meant: &str| {
        wrong_run(
            &["--slow-after", "1s", option, value],
            &format!("{option}: '{value}' is not a whole number of per cent; did you mean {meant}%?"),
        );
    };
    not_whole("--failure-rate", "0.5", "50");
    not_whole("--failure-rate", ".25", "25");
    not_whole("--failure-rate", "0.5%", "50");
    not_whole("--failure-rate", "0.001", "1");
    not_whole("--slow-rate", "0.9", "90");
    not_whole("--jitter", "0.1", "10");
    for (option, value, least) in [
        ("--failure-rate", "0", 1),
        ("--failure-rate", "101", 1),
        ("--failure-rate", "50.5", 1),
        ("--slow-rate", "half", 1),
        ("--slow-rate", "-5", 1),
        ("--jitter", "100.5%", 0),
        ("--jitter", "50%%", 0),
    ] {
        wrong_run(
            &["--slow-after", "1s", option, value],
            &format!("{option}: '{value}' is not a whole number of per cent from {least} to 100; write 50 or 50%"),
        );
    }
}

#[test]
fn windows_and_budgets() {
    let calls = "is not a number of calls from 1 to 1000";
    wrong_run(&["--window", "1001"], &format!("--window: '1001' {calls}; for a time write '1001s'"));
    wrong_run(&["--window", "0"], &format!("--window: '0' {calls}"));
    wrong_run(&["--window", "0s"], "--window: a window of no time holds no result; write one like 5m");
    wrong_run(&["--window", "5M"], "--window: '5M' would be months, of no certain length; for minutes write '5m'");
    wrong_run(&["--failure-budget", "3"], "--failure-budget: '3' is not a budget; write failures/duration like 3/1h");
    wrong_run(
        &["--failure-budget", "3/"],
        "--failure-budget: a duration is missing, write one like 30s, 1.5m or 1h30m",
    );
    wrong_run(&["--failure-budget", "0/1h"], "--failure-budget: '0' is not a whole number from 1 to 100");
    wrong_run(&["--failure-budget", "101/1h"], "--failure-budget: '101' is not a whole number from 1 to 100");
    wrong_run(
        &["--failure-budget", "3/0s"],
        "--failure-budget: a budget over no time holds no failure; write failures/duration like 3/1h",
    );
}

#[test]
fn lists_of_codes() {
    let item = "is not an exit code (0-255), a range like 64-78, a signal like SIGTERM, or timeout";
    for option in ["--success-codes", "--failure-codes", "--ignore-codes", "--trip-codes"] {
        wrong_run(&[option, "256"], &format!("{option}: '256' {item}"));
        wrong_run(&[option, "1,,2"], &format!("{option}: '' {item}"));
        wrong_run(&[option, "SIGNOPE"], &format!("{option}: 'SIGNOPE' {item}"));
        wrong_run(&[option, "9-5"], &format!("{option}: the range 9-5 runs backwards; write 5-9"));
        let long = ["1"; 33].join(",");
        wrong_run(&[option, &long], &format!("{option}: 33 items are too many, at most 32 fit; use ranges like 64-78"));
    }
    wrong_run(
        &["--success-codes", "7", "--failure-codes", "7"],
        "--failure-codes: 7 is in success-codes too; list it once",
    );
    wrong_run(
        &["--success-codes", "5-9", "--trip-codes", "8-12"],
        "--trip-codes: 8 is in success-codes too; list it once",
    );
    wrong_run(&["--ignore-codes", "7", "--trip-codes", "7"], "--trip-codes: 7 is in ignore-codes too; list it once");
}

#[test]
fn words_of_a_few() {
    wrong_run(&["--on-state-error", "maybe"], "--on-state-error: 'maybe' is not known; write run or refuse");
    wrong(["record", "a", "sucess"], "OUTCOME: 'sucess' is not known; write success, failure or ignored");
    for code in ["", "256", "-1", "+1", "1.5", "one", "99999999999999999999", "SIGTERM"] {
        let line = format!("--exit-code: '{code}' is not an exit code from 0 to 255");
        wrong(["record", "a", "--exit-code", code], &line);
    }
    wrong_run(&["--observe=maybe"], "--observe: 'maybe' is not known; write true or false");
    wrong_run(&["--preserve-status=maybe"], "--preserve-status: 'maybe' is not known; write true or false");
    wrong_run(
        &["--signal", "NOPE"],
        "--signal: 'NOPE' is not a signal; write a name like TERM or a number from 0 to 64",
    );
    wrong_run(&["-s", "65"], "--signal: '65' is not a signal; write a name like TERM or a number from 0 to 64");
}

// What cannot be meant together.

#[test]
fn contradictions() {
    wrong_run(&["-q", "-v"], "--quiet and --verbose contradict each other; give one of them");
    wrong_run(&["--observe", "--wait"], "--observe and --wait contradict each other; give one of them");
    wrong_run(&["--observe", "--fallback", "x"], "--observe and --fallback contradict each other; give one of them");
    wrong(["reset", "--all", "a"], "--all and NAME contradict each other; give one of them");
    wrong_run(
        &["--threshold", "0"],
        "--threshold: 0 switches off the only rule, so the breaker could never open; give failure-rate, slow-rate or \
         failure-budget, or a threshold",
    );
    wrong_run(
        &["--slow-rate", "50"],
        "--slow-rate: it needs slow-after, which says from what duration on a run is slow",
    );
    wrong_run(
        &["--max-cooldown", "5s"],
        "--max-cooldown: 5s is shorter than the cooldown of 30s (cooldown is built in)",
    );
    wrong_run(&["--max-cooldown", "5s", "--cooldown", "10s"], "--max-cooldown: 5s is shorter than the cooldown of 10s");
    wrong_run(
        &["--timeout", "10s", "--lease", "10s"],
        "--lease: 10s is not longer than the 10s that a probe may run, so its place would be given away",
    );
    wrong_run(
        &["--timeout", "5s", "--probe-timeout", "1m", "--lease", "30s"],
        "--lease: 30s is not longer than the 1m that a probe may run, so its place would be given away",
    );
}

#[test]
fn no_run_could_open_the_breaker() {
    let line = "no run can end like that, so the breaker could never open;";
    let codes = "list an exit code or a signal";
    let timed = format!("without timeout {line} give timeout, or {codes}");
    wrong_run(&["--failure-codes", "timeout"], &format!("--failure-codes: {timed}"));
    wrong_run(&["--failure-codes", "timeout", "--probe-timeout", "5s"], &format!("--failure-codes: {timed}"));
    wrong_run(&["--threshold", "0", "--trip-codes", "timeout"], &format!("--trip-codes: {timed}"));
    wrong_run(
        &["--failure-codes", "5-6", "--success-codes", "5,6,timeout"],
        &format!("--success-codes: {line} {codes}"),
    );
    let sandbox = Sandbox::new();
    for options in [
        &["--failure-codes", "timeout", "--timeout", "1m"][..],
        &["--failure-codes", "timeout,7"],
        &["--failure-codes", "timeout", "--trip-codes", "SIGTERM"],
        &["--failure-codes", "timeout", "--slow-rate", "50", "--slow-after", "1m"],
        &["--threshold", "0", "--trip-codes", "timeout", "--timeout", "1m"],
    ] {
        sandbox.exits("a", options, 0);
    }
    // `cb record failure` opens it whatever the lists say.
    let record = ["record", "b", "failure", "--failure-codes", "timeout", "--threshold", "1"];
    sandbox.cb(record).stderr_has("cb: b: opened: 1 failure in a row").run();
    // The line names the place in the file.
    let path = sandbox.configure("[breakers.a]\nfailure-codes = \"timeout\"\n");
    sandbox.runs("a", &[], 125).stderr(format!("cb: {}:2: failure-codes: {timed}\n", path.display())).run();
    sandbox.exits("a", &["--timeout", "1m"], 0);
}

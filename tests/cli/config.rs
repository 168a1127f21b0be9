//! The configuration: the mistakes in it, and what `cb config` shows.
//! See cb-contract(7) 1.19, 4.14, 4.19, 4.24 to 4.27, 4.33 and 4.34.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::Sandbox;
use crate::support::namespace::may_unshare;

// What is wrong in the configuration

/// A run of breaker `a` with this configuration must fail with 125 and this line, `:` being the path of the file, and start
/// nothing.
#[track_caller]
fn wrong(text: &str, line: &str) {
    is_wrong(text, line, false);
}

#[track_caller]
fn is_wrong(text: &str, line: &str, completed_by_options: bool) {
    let sandbox = Sandbox::new();
    let path = sandbox.configure(text);
    let line = format!("cb: {}{line}\n", path.display());
    sandbox.cb(["run", "-n", "a", "--", "touch", "started"]).code(125).stderr(&line).run();
    sandbox.cb(["config", "a"]).code(125).stderr(&line).run();
    // Commands that look report the mistake, and show the breakers.
    sandbox.cb(["status"]).any_stdout().stderr(&line).run();
    if !completed_by_options {
        sandbox.cb(["check", "a"]).code(125).stderr(&line).run();
    }
    assert!(!sandbox.work().join("started").exists() && !sandbox.home().join(".cache").exists());
}

#[test]
fn what_is_no_configuration() {
    let key = "invalid unquoted key, expected letters, numbers, `-`, `_`";
    let table = "write [defaults] or [breakers.NAME], the NAME in quotes where it has . @ : + * or ?";
    wrong("[defaults\nthreshold = 3\n", &format!(":1: '[defaults' is no TOML (unclosed table, expected `]`); {table}"));
    wrong("[breakers.a@b]\n", &format!(":1: '[breakers.a@b]' is no TOML ({key}); {table}"));
    let line = "write KEY = VALUE, and text in quotes, like cooldown = \"1m\"";
    for (wrote, words) in [
        ("cooldown = 1m", "string values must be quoted, expected literal string"),
        ("signal = TERM", "invalid boolean, expected `true`"),
        ("threshold =", "string values must be quoted, expected literal string"),
        ("threshold 3", "key with no value, expected `=`"),
        ("a\u{1b}[2J", "key with no value, expected `=`"),
    ] {
        let shown = wrote.escape_debug();
        wrong(&format!("[defaults]\n{wrote}\nprobes = 3\n"), &format!(":2: '{shown}' is no TOML ({words}); {line}"));
    }
    wrong("[defaults]\n\nthreshold = 3\nthreshold = 4\n", ":4: threshold is there twice; keep one of them");
    wrong("[breakers.a]\n[breakers.b]\n[breakers.a]\n", ":3: [breakers.a] is there twice; keep one of them");
    let twice = ":2: [breakers.\"a.b\"] is there twice; keep one of them";
    wrong("[breakers.\"a.b\"]\n[breakers.\"a.b\"]\n", twice);
    wrong("threshold = 3\n", ":1: threshold must stand in a table, [defaults] or [breakers.NAME]");
    wrong("[default]\nthreshold = 3\n", ":1: 'default' is not a table; did you mean defaults?");
    wrong("\n[breaker.a]\nthreshold = 3\n", ":2: 'breaker' is not a table; did you mean breakers?");
    wrong("[colours]\nred = 3\n", ":1: 'colours' is not a table; there are [defaults] and [breakers.NAME]");
    wrong("defaults = 3\n", ":1: defaults must be a table, [defaults]");
    wrong("[[defaults]]\nthreshold = 3\n", ":1: defaults must be a table, [defaults]");
    wrong("breakers = []\n", ":1: breakers must be a table, [breakers]");
    wrong("[breakers]\na = 3\n", ":2: breakers.a must be a table, [breakers.a]");
}

#[test]
fn what_is_no_setting() {
    wrong("[defaults]\nthreshhold = 3\n", ":2: 'threshhold' is not a setting; did you mean threshold?");
    wrong("[breakers.a]\nslow_after = 3\n", ":2: 'slow_after' is not a setting; did you mean slow-after?");
    wrong("[breakers.a]\nThreshold = 3\n", ":2: 'Threshold' is not a setting; did you mean threshold?");
    wrong("[defaults]\nname = \"x\"\n", ":2: 'name' is not a setting; 'cb config' lists them");
    wrong("[defaults]\n\"a\\u001b[2J\" = 1\n", ":2: 'a\\u{1b}[2J' is not a setting; 'cb config' lists them");
}

#[test]
fn what_is_no_value() {
    let list = "write a string, a number, true or false";
    wrong("[defaults]\nthreshold = 2026-01-01\n", &format!(":2: threshold: it cannot be a datetime; {list}"));
    wrong("[defaults]\nthreshold = { n = 3 }\n", &format!(":2: threshold: it cannot be a table; {list}"));
    wrong("[defaults]\nthreshold = [3]\n", &format!(":2: threshold: it cannot be an array; {list}"));
    wrong("[defaults]\ncooldown = [30]\n", &format!(":2: cooldown: it cannot be an array; {list}"));
    wrong(
        "[defaults]\ntrip-codes = 12:00:00\n",
        &format!(":2: trip-codes: it cannot be a datetime; {list}, or a list of them"),
    );
    for text in ["1.5", "\"1.5\""] {
        wrong(
            &format!("[defaults]\nwindow = {text}\nfailure-rate = 50\n"),
            ":2: window: '1.5' is not a number of calls, as 16 is one; for a time write '1.5s'",
        );
    }
    wrong("[defaults]\nthreshold = \"five\"\n", ":2: threshold: 'five' is not a whole number from 0 to 4294967295");
    wrong("[defaults]\nthreshold = -5\n", ":2: threshold: '-5' is not a whole number from 0 to 4294967295");
    wrong("[defaults]\nthreshold = 1.5\n", ":2: threshold: '1.5' is not a whole number from 0 to 4294967295");
    wrong(
        "[defaults]\nfailure-rate = 0.5\n",
        ":2: failure-rate: '0.5' is not a whole number of per cent; did you mean 50%?",
    );
    wrong(
        "# why\n[breakers.a]\n\ncooldown = \"5M\" # minutes\n",
        ":4: cooldown: '5M' would be months, of no certain length; for minutes write '5m'",
    );
    wrong("[defaults]\ncooldown = true\n", ":2: cooldown: 'true' is not a duration, write one like 30s, 1.5m or 1h30m");
    wrong(
        "[defaults]\ncooldown = -5\n",
        ":2: cooldown: a duration cannot be negative, write one like 30s, 1.5m or 1h30m",
    );
    wrong("[defaults]\nprobes = 17\n", ":2: probes: '17' is not a whole number from 1 to 16");
    wrong("[defaults]\npreserve-status = \"yes\"\n", ":2: preserve-status: 'yes' is neither true nor false");
    wrong("[defaults]\non-state-error = \"die\"\n", ":2: on-state-error: 'die' is not known; write run or refuse");
    wrong("[defaults]\nopen-exit-code = 256\n", ":2: open-exit-code: '256' is not a whole number from 0 to 255");
    wrong(
        "[defaults]\nsignal = \"NOPE\"\n",
        ":2: signal: 'NOPE' is not a signal; write a name like TERM or a number from 0 to 64",
    );
    for key in ["fallback", "on-change"] {
        for (value, kind) in [
            ("true", "a boolean"),
            ("1", "an integer"),
            ("1.5", "a float"),
            ("[\"echo\", \"hi\"]", "an array"),
            ("[]", "an array"),
            ("1979-05-27", "a datetime"),
            ("{ command = \"echo\" }", "a table"),
        ] {
            let right = "a command is a string, and false is none";
            wrong(&format!("[defaults]\n{key} = {value}\n"), &format!(":2: {key}: it cannot be {kind}; {right}"));
        }
    }
    wrong("[defaults]\nfallback = \"a\\u0000b\"\n", ":2: fallback: a command cannot contain a NUL byte");
    wrong(
        "[defaults]\ntrip-codes = [22, 300]\n",
        ":2: trip-codes: '300' is not an exit code (0-255), a range like 64-78, a signal like SIGTERM, or timeout",
    );
    wrong(
        "[defaults]\nthreshold = 123456789012345678901234567890123456789012345678\n",
        ":2: threshold: '123456789012345678901234567890123456789012345678' is not a whole number from 0 to 4294967295",
    );
    // An overruled value must be right too.
    wrong("[defaults]\nprobes = 0\n[breakers.a]\nprobes = 2\n", ":2: probes: '0' is not a whole number from 1 to 16");
}

#[test]
fn what_no_run_could_open_is_known_without_a_run() {
    let sandbox = Sandbox::new();
    let path = sandbox.configure("[breakers.a]\nfailure-codes = \"timeout\"\n");
    let why = "without timeout no run can end like that, so the breaker could never open; give timeout, or list an exit \
               code or a signal";
    let line = format!("cb: {}:2: failure-codes: {why}\n", path.display());
    sandbox.runs("a", &[], 125).stderr(&*line).run();
    for args in [&["config", "a"][..], &["config", "b"], &["config"]] {
        sandbox.cb(args).code(125).stderr(&*line).run();
    }
    // `cb record` may still report a failure by that word.
    sandbox.cb(["record", "a", "failure"]).run();
}

/// The dots belong to the name of a breaker, and its settings are not judged.
#[test]
fn a_name_with_dots_and_no_quotes() {
    let sandbox = Sandbox::new();
    let path = sandbox.configure("[breakers.api.example.com]\nthreshold = 1\n");
    let line =
        format!("cb: {}:1: a name with dots must stand in quotes: [breakers.\"api.example.com\"]\n", path.display());
    for name in ["api.example.com", "api"] {
        sandbox.runs(name, &[], 125).stderr(&*line).run();
    }
    sandbox.cb(["config"]).code(125).stderr(&*line).run();
    sandbox.exits("api2", &[], 1);
    sandbox.configure("[breakers.\"api.example.com\"]\nthreshold = 1\n");
    sandbox.runs("api.example.com", &[], 1).stderr_has("opened: 1 failure").run();
}

#[test]
fn what_cannot_be_meant_together() {
    let wrong = |text, line| is_wrong(text, line, true);
    wrong(
        "[breakers.a]\nthreshold = 0\n",
        ":2: threshold: 0 switches off the only rule, so the breaker could never open; give failure-rate, slow-rate or \
         failure-budget, or a threshold",
    );
    wrong(
        "[breakers.a]\nslow-rate = 50\n",
        ":2: slow-rate: it needs slow-after, which says from what duration on a run is slow",
    );
    wrong(
        "[defaults]\nmax-cooldown = \"1m\"\n[breakers.a]\ncooldown = \"5m\"\n",
        ":2: max-cooldown: 1m is shorter than the cooldown of 5m (cooldown in line 4)",
    );
    wrong(
        "[defaults]\ntimeout = 30\n[breakers.a]\nlease = \"20s\"\n",
        ":4: lease: 20s is not longer than the 30s that a probe may run, so its place would be given away \
         (timeout in line 2)",
    );
    wrong(
        "[defaults]\nsuccess-codes = [1, 22]\n[breakers.a]\ntrip-codes = 22\n",
        ":4: trip-codes: 22 is in success-codes too; list it once (success-codes in line 2)",
    );
    wrong(
        "[breakers.a]\nmax-cooldown = \"5s\"\n",
        ":2: max-cooldown: 5s is shorter than the cooldown of 30s (cooldown is built in)",
    );
    // For a contradiction between an option and the file, the line names both places.
    let sandbox = Sandbox::new();
    let path = sandbox.configure("[defaults]\nmax-cooldown = \"1m\"\nsuccess-codes = 1\n");
    let file = path.display();
    let line = format!("cb: {file}:2: max-cooldown: 1m is shorter than the cooldown of 5m (--cooldown)\n");
    sandbox.runs("a", &["--cooldown", "5m"], 125).stderr(line).run();
    let line = format!("cb: --failure-codes: 1 is in success-codes too; list it once (success-codes at {file}:3)\n");
    sandbox.runs("a", &["--failure-codes", "1"], 125).stderr(line).run();
    sandbox.exits("a", &["--max-cooldown", "1h", "--cooldown", "5m"], 0);
}

/// A file that needs the options of a run must not stop other commands, least of all those that the run starts.
#[test]
fn a_file_that_options_complete_stops_only_a_run_without_them() {
    let sandbox = Sandbox::new();
    let wrong = "threshold: 0 switches off the only rule, so the breaker could never open; give failure-rate, slow-rate \
                 or failure-budget, or a threshold";
    let path = sandbox.configure("[defaults]\nthreshold = 0\n[breakers.a]\nlease = \"20s\"\ntimeout = 20\n");
    let wrong = format!("{}:2: {wrong}", path.display());
    let stopped = |args: &[&str]| sandbox.cb(args).code(125).stderr(format!("cb: {wrong}\n")).run();
    stopped(&["run", "-n", "a", "--", "true"]);
    stopped(&["allow", "a"]);
    assert!(!sandbox.state_file("a").exists());
    let options = ["run", "-n", "a", "--failure-rate", "50", "--lease", "1m", "--"];
    let learns = ["sh", "-c", "cb trip \"$CB_NAME\" --for 90s || echo lost"];
    let told = "cb: a: opened: reported by the run; next try in <span> (<time>), or now with 'cb reset a'\n";
    sandbox.cb(options.into_iter().chain(learns)).stderr_like(told).run();
    assert_eq!(sandbox.state("a"), "open");
    sandbox.cb(["check", "a"]).code(75).run();
    for args in [&["reset", "a"][..], &["disable", "a"], &["enable", "a"], &["check", "a"], &["record", "a", "failure"]]
    {
        sandbox.cb(args).run();
    }
    // `cb check` judges by the settings last used, and says so.
    let remark = format!("cb: a: judged by the settings last used, as a run needs options: {wrong}\n");
    sandbox.cb(["check", "a", "-v"]).stderr(remark).run();
    assert_eq!(sandbox.status("a")["admits"], true);
    sandbox.cb(["record", "b", "failure", "--cooldown", "1m"]).run();
    sandbox.cb(["allow", "a", "--failure-rate", "50"]).any_stdout().run();
}

#[test]
fn what_is_done_by_hand_needs_nothing_but_the_hook() {
    let sandbox = Sandbox::new();
    let hook = "on-change = 'echo \"$CB_TO\" >>changes'";
    let path = sandbox.configure(&format!("[defaults]\nthreshold = \"five\"\ncooldwn = 3\n{hook}\n[deafults]\n"));
    sandbox.runs("a", &[], 125).stderr_has(":2: threshold: 'five'").run();
    for args in [&["-q", "trip", "a"][..], &["reset", "a"], &["disable", "a"], &["enable", "a"]] {
        sandbox.cb(args).run();
    }
    let changes = fs::read_to_string(sandbox.work().join("changes")).expect("the hook has run");
    assert_eq!(changes, "open\nclosed\ndisabled\nclosed\n");
    sandbox.configure("[defaults]\non-change = \"a\\u0000b\"\n");
    let line = format!("cb: {}:2: on-change: a command cannot contain a NUL byte\n", path.display());
    for args in [&["trip", "a"][..], &["record", "a", "failure"]] {
        sandbox.cb(args).code(125).stderr(&*line).run();
    }
    sandbox.cb(["allow", "a"]).code(125).stderr(&*line).run();
}

#[test]
fn one_that_can_be_read_but_once_is_read_but_once() {
    let sandbox = Sandbox::new();
    let config = r#"--config <(printf "[defaults]\non-change = 'echo \$CB_NAME \$CB_TO >>changes'\n")"#;
    // New ones, whose names are looked for in it too; several of them; and all there are.
    for command in ["trip a b c", "reset a b c", "disable --all", "enable --all", "remove a", "disable a", "reset a"] {
        sandbox.bash(&format!("cb -q {command} {config}")).run();
    }
    let changes = fs::read_to_string(sandbox.work().join("changes")).expect("the hook has run");
    let each = |to: &str| ["a", "b", "c"].map(|name| format!("{name} {to}\n")).concat();
    let all = ["open", "closed", "disabled", "closed"].map(each).concat();
    assert_eq!(changes, format!("{all}a disabled\na closed\n"));
}

#[test]
fn what_stands_in_breakers_and_is_no_table_is_wrong_for_everybody() {
    let sandbox = Sandbox::new();
    for (text, words) in [
        ("[breakers]\nthreshold = 1\n", "threshold must stand in a table, [defaults] or [breakers.NAME]"),
        ("[breakers]\nb = 3\n", "breakers.b must be a table, [breakers.b]"),
        ("[breakers]\n\"b\\u001b\" = [[1]]\n", "breakers.b\\u{1b} must be a table, [breakers.b\\u{1b}]"),
    ] {
        let line = format!("cb: {}:2: {words}\n", sandbox.configure(text).display());
        for args in [
            &["run", "-n", "a", "--", "true"][..],
            &["check", "a"],
            &["allow", "a"],
            &["record", "a", "failure"],
            &["trip", "a"],
            &["disable", "a"],
            &["enable", "a"],
            &["reset", "a"],
            &["config"],
            &["config", "a"],
        ] {
            sandbox.cb(args).code(125).stderr(&*line).run();
        }
        sandbox.cb(["status"]).any_stdout().stderr(&*line).run();
    }
}

/// An answer is that of a run without options, whatever options earlier runs had.
#[test]
fn an_answer_is_that_of_a_run_without_options() {
    let sandbox = Sandbox::new();
    sandbox.configure("[breakers.a]\nprobes = 2\n");
    for _ in 0..5 {
        sandbox.runs("a", &["--probes", "1"], 1).any_stderr().run();
        sandbox.runs("b", &["--probes", "2"], 1).any_stderr().run();
    }
    for (name, admits, code) in [("a", true, 0), ("b", false, 75)] {
        sandbox.shift(name, 86_400_000);
        sandbox.cb(["allow", name, "--probes", if name == "a" { "1" } else { "2" }]).any_stdout().run();
        assert_eq!(sandbox.status(name)["admits"], admits, "{name}");
        sandbox.cb(["check", name]).code(code).run();
    }
}

/// All refusals have the same code, from the configuration or an option.
#[test]
fn a_refusal_ends_the_same_everywhere() {
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "a"]).run();
    let refused = |options: &[&str], code: i32| {
        for command in [&["check", "a"][..], &["allow", "a"], &["run", "-n", "a"]] {
            let run = if command[0] == "run" { &["--", "true"][..] } else { &[] };
            sandbox.cb(command.iter().chain(options).chain(run)).code(code).run();
        }
    };
    refused(&[], 75);
    refused(&["-E", "9"], 9);
    refused(&["--open-exit-code=0"], 0);
    sandbox.configure("[defaults]\nopen-exit-code = 8\n");
    refused(&[], 8);
    refused(&["-E9"], 9);
    let line = "cb: --open-exit-code: '256' is not a whole number from 0 to 255\n";
    for command in [&["check", "a", "-E256"][..], &["allow", "a", "-E", "256"], &["run", "-n", "a", "-E256", "true"]] {
        sandbox.cb(command).code(125).stderr(line).run();
    }
}

#[test]
fn a_time_limit_is_none_of_allow() {
    let sandbox = Sandbox::new();
    sandbox.configure("[defaults]\ntimeout = \"5m\"\nprobe-timeout = 90\n[breakers.b]\nlease = \"1m\"\n");
    sandbox.cb(["allow", "a", "--lease", "60s"]).any_stdout().run();
    sandbox.cb(["allow", "b"]).any_stdout().run();
    sandbox.cb(["record", "b", "failure", "--lease", "60s"]).run();
    sandbox.runs("b", &[], 125).stderr_has(":5: lease: 1m is not longer than the 1m 30s that a probe may run").run();
}

#[test]
fn what_is_wrong_for_others_is_not_this_runs_business() {
    let sandbox = Sandbox::new();
    let path = sandbox.configure("[defaults]\nthreshold = 3\n[breakers.b]\nthreshhold = 4\n");
    sandbox.exits("a", &[], 0);
    sandbox.cb(["check", "a"]).run();
    let line = format!("cb: {}:4: 'threshhold' is not a setting; did you mean threshold?\n", path.display());
    sandbox.runs("b", &[], 125).stderr(&line).run();
    // But they concern `cb config`.
    sandbox.cb(["config"]).code(125).stderr(&line).run();
    sandbox.cb(["config", "a"]).code(125).stderr(&line).run();
    sandbox.configure("[breakers.b]\nthreshold = 4\n[breakers.\"a/b\"]\n");
    let no_name = "is not a name for a breaker, use letters, digits and . _ @ : + - after a letter or digit";
    sandbox.cb(["config"]).code(125).stderr(format!("cb: {}:3: 'a/b' {no_name}\n", path.display())).run();
    sandbox.configure("[breakers.b]\nthreshold = 0\n");
    sandbox.cb(["config"]).code(125).stderr_has(":2: threshold: 0 switches off the only rule").run();
    sandbox.exits("a", &[], 0);
}

#[test]
fn a_configuration_that_cannot_be_read() {
    let sandbox = Sandbox::unprivileged();
    let run = |config: &str| sandbox.cb(["run", "-n", "a", "--config", config, "--", "touch", "started"]).code(125);
    let work = sandbox.work();
    let work = work.display();
    let check = "check --config and CB_CONFIG";
    run("absent.toml")
        .stderr(format!(
            "cb: could not read the configuration {work}/absent.toml: No such file or directory; {check}\n"
        ))
        .run();
    let by_variable = sandbox.runs("a", &[], 125).env("CB_CONFIG", "absent.toml");
    by_variable
        .stderr(format!(
            "cb: could not read the configuration {work}/absent.toml: No such file or directory; {check}\n"
        ))
        .run();
    run(".").stderr(format!("cb: could not read the configuration {work}: Is a directory; {check}\n")).run();
    run("/dev/zero")
        .stderr(format!("cb: could not read the configuration /dev/zero: it is larger than 1 MiB; {check}\n"))
        .run();
    fs::write(sandbox.work().join("latin1"), b"# caf\xe9\n").expect("a file");
    run("latin1")
        .stderr(format!("cb: could not read the configuration {work}/latin1: it is not text in UTF-8; {check}\n"))
        .run();
    let path = sandbox.configure("[defaults]\n");
    for dir in [".config", ".config/cb"] {
        sandbox.own(&sandbox.home().join(dir));
    }
    sandbox.exits("a", &[], 0);
    // A closed file was meant to be read: one warning, and the run goes on.
    fs::set_permissions(&path, Permissions::from_mode(0o000)).expect("ours");
    sandbox.own(&path);
    sandbox
        .runs("a", &[], 0)
        .stderr(format!(
            "cb: could not read the configuration {0}, so it is left out: Permission denied; run 'chmod u+r {0}'\n",
            path.display()
        ))
        .run();
    let left_out =
        |why: &str| format!("cb: could not read the configuration {}, so it is left out: {why}\n", path.display());
    // So was one in a directory that its owner has closed.
    for dir in [".config/cb", ".config"].map(|dir| sandbox.home().join(dir)) {
        fs::set_permissions(&dir, Permissions::from_mode(0o000)).expect("ours");
        let closed = left_out(&format!("Permission denied; run 'chmod u+rx {}'", dir.display()));
        sandbox.runs("a", &[], 0).stderr(closed).run();
        fs::set_permissions(&dir, Permissions::from_mode(0o755)).expect("ours");
    }
    fs::remove_file(&path).expect("it is there");
    std::os::unix::fs::symlink("gone/config.toml", &path).expect("a link");
    let nowhere = "it is a symbolic link that leads nowhere; make what it leads to, or move it away";
    sandbox.runs("a", &[], 0).stderr(left_out(nowhere)).run();
    fs::remove_file(&path).expect("it is there");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    sandbox.own(&path);
    sandbox.runs("a", &[], 0).stderr(left_out("it is no regular file; move it away")).run();
    fs::remove_file(&path).expect("it is there");
    std::os::unix::fs::symlink("/dev/zero", &path).expect("a link");
    sandbox.runs("a", &[], 0).stderr(left_out("it is no regular file; move it away")).run();
    fs::remove_file(&path).expect("it is there");
    std::os::unix::fs::symlink("/dev/null", &path).expect("a link");
    sandbox.exits("a", &[], 0);
    fs::remove_file(&path).expect("it is there");
    sandbox.exits("a", &[], 0);
    fs::create_dir(&path).expect("a directory in its place");
    sandbox
        .runs("a", &[], 0)
        .stderr(format!(
            "cb: could not read the configuration {}, so it is left out: Is a directory; move it away\n",
            path.display()
        ))
        .run();
}

// Patterns, and the configuration of the machine

/// Each key comes from the narrowest table that has it.
#[test]
fn a_pattern_is_for_all_names_that_it_describes() {
    let sandbox = Sandbox::new();
    sandbox.configure(
        "[defaults]\nthreshold = 9\ncooldown = \"9m\"\n\
         [breakers.\"*\"]\nthreshold = 8\nprobes = 8\njitter = 8\n\
         [breakers.\"*.example.com\"]\nthreshold = 3\nprobes = 3\n\
         [breakers.\"api*\"]\nprobes = 4\nbackoff = 4\nlease = \"4m\"\n\
         [breakers.\"*com\"]\nbackoff = 5\nlease = \"5m\"\n\
         [breakers.\"api.example.com\"]\nthreshold = 2\n\
         [breakers.\"db-?\"]\nthreshold = 1\n",
    );
    let said = |name: &str, key: &str| {
        let output = sandbox.cb(["config", name]).any_stdout().run();
        let text = String::from_utf8(output.stdout).expect("text");
        let line = text.lines().find(|line| line.starts_with(&format!("{key} "))).expect("the setting").to_owned();
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    for (name, key, expected) in [
        ("api.example.com", "threshold", "2 breaker, line 19"),
        ("api.example.com", "probes", "3 pattern *.example.com, line 10"),
        ("api.example.com", "backoff", "4 pattern api*, line 13"),
        ("api.example.com", "lease", "4m pattern api*, line 14"),
        ("api.example.com", "jitter", "8 pattern *, line 7"),
        ("api.example.com", "cooldown", "9m defaults, line 3"),
        ("a.b.example.com", "threshold", "3 pattern *.example.com, line 9"),
        ("example.com", "backoff", "5 pattern *com, line 16"),
        ("example.com", "threshold", "8 pattern *, line 5"),
        ("db-1", "threshold", "1 pattern db-?, line 21"),
        ("db-12", "threshold", "8 pattern *, line 5"),
    ] {
        assert_eq!(said(name, key), expected, "{name} {key}");
    }
    sandbox.runs("db-1", &[], 1).stderr_has("db-1: opened: 1 failure in a row").run();
    let output = sandbox.cb(["config", "db-1", "--json"]).any_stdout().run();
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let file = sandbox.home().join(".config/cb/config.toml");
    let threshold = json!({ "value": "1", "origin": "pattern", "pattern": "db-?", "line": 21, "file": file });
    assert_eq!(document["settings"]["threshold"], threshold);
    // The pattern's table is no table of a breaker.
    sandbox.cb(["status", "x.example.com"]).code(125).stderr_has("there is no breaker 'x.example.com'").run();
    assert!(!String::from_utf8_lossy(&sandbox.cb(["status"]).any_stdout().run().stdout).contains('*'));
}

#[test]
fn what_is_wrong_in_a_pattern_is_wrong_for_the_names_that_it_describes() {
    let sandbox = Sandbox::new();
    let path = sandbox.configure("[breakers.\"db-*\"]\nthreshold = \"five\"\n[breakers.\"x*\"]\nslow-rate = 50\n");
    let line = |text: &str| format!("cb: {}{text}\n", path.display());
    let five = line(":2: threshold: 'five' is not a whole number from 0 to 4294967295");
    let slow = line(":4: slow-rate: it needs slow-after, which says from what duration on a run is slow");
    sandbox.exits("a", &[], 0);
    sandbox.runs("db-1", &[], 125).stderr(&*five).run();
    sandbox.runs("x1", &[], 125).stderr(&*slow).run();
    sandbox.exits("x1", &["--slow-after", "1h"], 0);
    for name in ["a", "x1"] {
        sandbox.cb(["config", name]).code(125).stderr(format!("{five}{slow}")).run();
    }
    sandbox.configure("[breakers.\"a/*\"]\n");
    let no_pattern = "is not a pattern for names, use letters, digits and . _ @ : + - after a letter or digit, * and ?";
    sandbox.cb(["config"]).code(125).stderr(line(&format!(":1: 'a/*' {no_pattern}"))).run();
    sandbox.exits("a", &[], 0);
}

#[test]
fn the_configuration_of_the_machine_is_below_the_users() {
    if !may_unshare(&["-Urm"]) {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox
        .configure("[defaults]\nthreshold = 4\n[breakers.a]\nprobes = 3\n[breakers.\"a*\"]\njitter = 5\nbackoff = 5\n");
    fs::create_dir_all(sandbox.work().join("etc/cb")).expect("a directory");
    let machine = sandbox.work().join("etc/cb/config.toml");
    let configure = |text: &str| fs::write(&machine, text).expect("a file");
    configure(
        "[defaults]\nthreshold = 9\ncooldown = \"9m\"\n[breakers.a]\nprobes = 9\nprobe-successes = 9\n\
         [breakers.\"*a\"]\njitter = 6\nlease = \"6m\"\n[breakers.\"?a*\"]\nlease = \"7m\"\n\
         [breakers.known]\n[breakers.\"a*b\"]\nbackoff = 7\n",
    );
    let there =
        |command: &str| sandbox.bash(&format!("exec unshare -Urm sh -c 'mount --bind etc /etc && exec {command}'"));
    let output = there("cb config a").any_stdout().run();
    let text = String::from_utf8(output.stdout).expect("text");
    for line in [
        "threshold        4                    defaults, line 2",
        "cooldown         9m                   defaults, line 3 of /etc/cb/config.toml",
        "probes           3                    breaker, line 4",
        "probe-successes  9                    breaker, line 6 of /etc/cb/config.toml",
        "jitter           5%                   pattern a*, line 6",
        "lease            6m                   pattern *a, line 9 of /etc/cb/config.toml",
    ] {
        let line = line.replace("5%  ", "5   ");
        assert!(text.lines().any(|there| there == line), "{line}\n{text}");
    }
    let output = there("cb config axb --json").any_stdout().run();
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let backoff = json!({
        "value": "7", "origin": "pattern", "pattern": "a*b", "line": 14, "file": "/etc/cb/config.toml",
    });
    assert_eq!(document["settings"]["backoff"], backoff);
    // Its tables make a breaker known too.
    there("cb reset known").run();
    // A named file replaces both.
    fs::write(sandbox.work().join("named.toml"), "[defaults]\nprobes = 2\n").expect("a file");
    for named in ["cb config a --config named.toml", "env CB_CONFIG=named.toml cb config a"] {
        let output = there(named).any_stdout().run();
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(text.contains("threshold        5                    built in\n"), "{text}");
        assert!(text.contains("probes           2                    defaults, line 2\n"), "{text}");
    }
    // Its mistakes come with its name, after those of the user's file.
    configure("[defaults]\nprobes = 0\nmax-cooldown = \"1s\"\n");
    let path = sandbox.configure("[defaults]\nthreshold = 1.5\ncooldown = \"2s\"\n");
    let threshold = format!("cb: {}:2: threshold: '1.5' is not a whole number from 0 to 4294967295\n", path.display());
    let probes = "cb: /etc/cb/config.toml:2: probes: '0' is not a whole number from 1 to 16\n";
    let shorter = format!(
        "cb: /etc/cb/config.toml:3: max-cooldown: 1s is shorter than the cooldown of 2s (cooldown at {}:3)\n",
        path.display()
    );
    there("cb config").code(125).stderr(format!("{threshold}{probes}{shorter}")).run();
    there("cb run -n a -- true").code(125).stderr(&*threshold).run();
    there("env -u HOME CB_STATE_DIR=state cb run -n a -- true").code(125).stderr(probes).run();
}

// cb config

/// People can then mend the file once, not once for each mistake.
#[test]
fn config_tells_of_all_that_is_wrong() {
    let sandbox = Sandbox::new();
    let path = sandbox.configure(
        "[defaults]\nthreshold = \"five\"\nprobes = 17\n[breakers.b]\nthreshhold = 4\ncooldown = \"5M\"\n\
         [breakers.c]\nslow-rate = 50\nmax-cooldown = \"5s\"\nlease = 5\ntimeout = 5\n[breakers.\"d/e\"]\n\
         [breakers.x.y]\nthreshold = 3\n[colours]\nred = 1\n",
    );
    let file = path.display();
    let lines = [
        "2: threshold: 'five' is not a whole number from 0 to 4294967295",
        "3: probes: '17' is not a whole number from 1 to 16",
        "5: 'threshhold' is not a setting; did you mean threshold?",
        "6: cooldown: '5M' would be months, of no certain length; for minutes write '5m'",
        "12: 'd/e' is not a name for a breaker, use letters, digits and . _ @ : + - after a letter or digit",
        "13: a name with dots must stand in quotes: [breakers.\"x.y\"]",
        "15: 'colours' is not a table; there are [defaults] and [breakers.NAME]",
        "8: slow-rate: it needs slow-after, which says from what duration on a run is slow",
        "9: max-cooldown: 5s is shorter than the cooldown of 30s (cooldown is built in)",
        "10: lease: 5s is not longer than the 5s that a probe may run, so its place would be given away (timeout in line 11)",
    ];
    let expected = lines.map(|line| format!("cb: {file}:{line}\n")).concat();
    for args in [&["config"][..], &["config", "a"], &["config", "c", "--json"]] {
        sandbox.cb(args).code(125).stderr(&*expected).run();
    }
    // A run reports the first mistake that concerns it.
    sandbox.runs("b", &[], 125).stderr(format!("cb: {file}:{}\n", lines[0])).run();
}

#[test]
fn config_shows_what_holds_and_where_it_was_said() {
    let sandbox = Sandbox::new();
    let built_in = "\
threshold        5                    built in
failure-rate     -                    built in
window           20                   built in
min-calls        10                   built in
slow-after       -                    built in
slow-rate        -                    built in
failure-budget   -                    built in
cooldown         30s                  built in
backoff          1                    built in
max-cooldown     1h                   built in
backoff-reset    0s                   built in
jitter           0%                   built in
ramp             0s                   built in
probes           1                    built in
probe-successes  1                    built in
probe-failures   1                    built in
lease            -                    built in
max-retry-after  1h                   built in
success-codes    -                    built in
failure-codes    -                    built in
ignore-codes     -                    built in
trip-codes       -                    built in
count-stopped    false                built in
http             false                built in
healthy-after    -                    built in
failure-output   -                    built in
timeout          -                    built in
probe-timeout    -                    built in
kill-after       -                    built in
signal           TERM                 built in
preserve-status  false                built in
foreground       false                built in
open-exit-code   75                   built in
on-state-error   run                  built in
observe          false                built in
fallback         -                    built in
fallback-on      refused              built in
on-change        -                    built in
verbose          false                built in
";
    sandbox.cb(["config"]).stdout(built_in).run();
    sandbox.configure(
        "[defaults]\nfailure-rate = \"50%\"\ncooldown = \"2h\"\n[breakers.a]\ncooldown = 90\nfailure-codes = [7, 22]\n",
    );
    let said = |of_a: bool| {
        let text = built_in.replace("threshold        5 ", "threshold        0 ").replace(
            "failure-rate     -                    built in",
            "failure-rate     50%                  defaults, line 2",
        );
        if of_a {
            text.replace(
                "cooldown         30s                  built in",
                "cooldown         90                   breaker, line 5",
            )
            .replace(
                "failure-codes    -                    built in",
                "failure-codes    7,22                 breaker, line 6",
            )
        } else {
            text.replace(
                "cooldown         30s                  built in",
                "cooldown         2h                   defaults, line 3",
            )
            .replace("max-cooldown     1h ", "max-cooldown     2h ")
        }
    };
    sandbox.cb(["config"]).stdout(said(false)).run();
    sandbox.cb(["config", "b"]).stdout(said(false)).run();
    sandbox.cb(["config", "a"]).stdout(said(true)).run();
    assert!(!sandbox.home().join(".cache").exists(), "it touches no state");
}

#[test]
fn config_as_json() {
    let sandbox = Sandbox::new();
    let path = sandbox.configure("[defaults]\nthreshold = 3\n[breakers.a]\ntrip-codes = [22]\n");
    let read = |args: &[&str]| -> Value {
        let output = sandbox.cb(args).any_stdout().run();
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let document = read(&["config", "a", "--json"]);
    assert_eq!(document["version"], 1);
    assert_eq!((&document["name"], &document["file"]), (&json!("a"), &json!(path)));
    let settings = document["settings"].as_object().expect("an object");
    let text = sandbox.cb(["config", "a"]).any_stdout().run().stdout;
    assert_eq!(settings.len(), text.split(|byte| *byte == b'\n').count() - 1, "each that is shown to people");
    let said = |value: Value, origin: &str, line: Value| {
        let file = if line.is_null() { Value::Null } else { json!(path) };
        json!({ "value": value, "origin": origin, "line": line, "pattern": null, "file": file })
    };
    assert_eq!(settings["threshold"], said(json!("3"), "defaults", json!(2)));
    assert_eq!(settings["trip-codes"], said(json!("22"), "breaker", json!(4)));
    assert_eq!(settings["cooldown"], said(json!("30s"), "built in", Value::Null));
    assert_eq!(settings["lease"], said(Value::Null, "built in", Value::Null));
    let document = read(&["config", "--json"]);
    assert_eq!((&document["name"], &document["settings"]["trip-codes"]["value"]), (&Value::Null, &Value::Null));
}

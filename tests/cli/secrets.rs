//! Commands carry secrets in their arguments, environment and output. `cb` neither keeps nor prints them.
//! See cb-contract(7) 5.18.

use std::fs;
use std::path::Path;

use crate::support::Sandbox;

/// A part of every secret.
const SECRET: &str = "hunter2";

/// Every file below a directory, with its content.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    let files = entries.flat_map(|path| {
        if path.is_dir() { files(&path) } else { vec![(path.display().to_string(), fs::read(&path).expect("a file"))] }
    });
    files.collect()
}

/// Asserts that a text holds no secret.
#[track_caller]
fn is_clean(what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert!(!what.contains(SECRET) && !text.contains(SECRET), "{what} tells a secret: {text}");
}

/// Runs `cb` with secrets in the environment. Its output and its files must be clean.
#[track_caller]
fn tells_nothing(sandbox: &Sandbox, args: &[&str], code: i32) -> String {
    let token = format!("environment-{SECRET}");
    let run = sandbox.cb(args).env("TOKEN", &token).env("CB_TOKEN", &token).env("AWS_SECRET_ACCESS_KEY", token);
    let output = run.code(code).any_stdout().any_stderr().run();
    is_clean(&format!("stdout of {}", args[0]), &output.stdout);
    is_clean(&format!("stderr of {}", args[0]), &output.stderr);
    for (path, content) in files(&sandbox.home().join(".cache")) {
        is_clean(&path, &content);
    }
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// `cb run -v` of a script that finds secrets in its arguments.
#[track_caller]
fn run(sandbox: &Sandbox, options: &[&str], script: &str, code: i32) -> String {
    let argument = format!("--password={SECRET}");
    let run = ["-v", "run", "-n", "a", "--cooldown", "1h"].into_iter().chain(options.iter().copied());
    let args: Vec<&str> = run.chain(["--", "sh", "-c", script, "sh", &argument]).collect();
    tells_nothing(sandbox, &args, code)
}

#[test]
fn no_secret_of_a_command_is_kept_or_told() {
    let sandbox = Sandbox::new();
    // The child sends its output elsewhere, so ours is that of `cb`.
    let fails = "echo \"$TOKEN $1\" >out; echo \"$TOKEN $1\" >err; exit 1";
    for _ in 0..4 {
        run(&sandbox, &[], fails, 1);
    }
    assert!(run(&sandbox, &[], fails, 1).starts_with("cb: a: opened: "));
    assert!(run(&sandbox, &[], fails, 75).starts_with("cb: a: refused"));
    assert!(run(&sandbox, &["--observe"], fails, 1).starts_with("cb: a: "));
    assert_eq!(run(&sandbox, &["-E", "9"], fails, 9).lines().count(), 1);
    run(&sandbox, &["--fallback", "exit 4"], fails, 4);
    // The probes: one fails, one reaches its time limit, a signal kills one, and one closes the breaker.
    sandbox.shift("a", 3_600_000);
    assert!(run(&sandbox, &[], fails, 1).contains("probe"));
    sandbox.shift("a", 3_600_000);
    run(&sandbox, &["--timeout", "10ms"], "exec sleep 60", 124);
    sandbox.shift("a", 3_600_000);
    run(&sandbox, &[], "kill -KILL $$", 137);
    sandbox.shift("a", 3_600_000);
    run(&sandbox, &["--on-change", "exit 1"], "exit 0", 0);
    for args in [
        &["status"][..],
        &["status", "-v", "--json"],
        &["history"],
        &["history", "--json"],
        &["metrics"],
        &["config", "a"],
        &["check", "-v", "a"],
        &["trip", "-v", "a"],
        &["reset", "-v", "a"],
        &["disable", "-v", "a"],
        &["enable", "-v", "a"],
        &["allow", "-v", "a"],
        &["record", "-v", "a", "failure"],
    ] {
        tells_nothing(&sandbox, args, 0);
    }
}

#[test]
fn no_secret_is_told_where_something_fails() {
    let sandbox = Sandbox::new();
    let word = format!("--password={SECRET}");
    // Commands that are missing or not executable, an unusable state, and a wrong command line.
    let missing = sandbox.home().join("missing").display().to_string();
    assert!(tells_nothing(&sandbox, &["run", "-v", "-n", "a", "--", &missing, &word], 127).contains("not found"));
    let directory = sandbox.work().display().to_string();
    assert!(tells_nothing(&sandbox, &["run", "-v", "-n", "a", "--", &directory, &word], 126).contains("could not run"));
    sandbox.put("a", "not a state");
    assert!(tells_nothing(&sandbox, &["run", "-v", "-n", "a", "--", "true", &word], 0).contains("not readable"));
    sandbox.put("a", "not a state");
    let refuses = ["run", "-n", "a", "--on-state-error", "refuse", "--state-dir", "/dev/null", "--", "true", &word];
    assert_eq!(tells_nothing(&sandbox, &refuses, 125).lines().count(), 1);
    assert!(!tells_nothing(&sandbox, &["run", "-n", "a", "--cooldown", "never", "--", "true", &word], 125).is_empty());
    assert!(!tells_nothing(&sandbox, &["run", "--", "true", &word], 125).is_empty());
    // A run with a mistake in its configuration.
    sandbox.configure("[defaults]\nthresh = 1\n");
    assert!(tells_nothing(&sandbox, &["run", "-n", "a", "--", "true", &word], 125).contains("thresh"));
}

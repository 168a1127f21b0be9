//! `CB_DISABLED=1`: all breakers off, for once.
//! See cb-contract(7) 4.29.

use std::fs;

use serde_json::json;

use crate::support::{Sandbox, pick};

#[test]
fn the_kill_switch_lets_everything_through_and_touches_no_file() {
    const ON: [&str; 5] = ["1", "true", "yes", "no", " "];
    let sandbox = Sandbox::new();
    for value in ON {
        sandbox.runs("a", &["--threshold", "1"], 3).env("CB_DISABLED", value).run();
        sandbox.cb(["allow", "a"]).env("CB_DISABLED", value).stdout("unguarded\n").run();
        sandbox.cb(["check", "a"]).env("CB_DISABLED", value).run();
        sandbox.cb(["record", "a", "failure"]).env("CB_DISABLED", value).run();
        sandbox.cb(["status"]).env("CB_DISABLED", value).any_stdout().run();
    }
    assert!(!sandbox.home().join(".cache").exists(), "no directory was made");
    sandbox.cb(["-q", "trip", "a"]).run();
    let before = sandbox.bytes("a");
    let probe = ["run", "-n", "a", "--", "sh", "-c", "echo \"probe ${CB_PROBE-no}\""];
    for value in ON {
        sandbox.cb(probe).env("CB_DISABLED", value).stdout("probe no\n").run();
        sandbox.runs("a", &[], 3).env("CB_DISABLED", value).run();
        sandbox.runs("b", &[], 3).env("CB_DISABLED", value).run();
        sandbox.cb(["allow", "a"]).env("CB_DISABLED", value).stdout("unguarded\n").run();
        sandbox.cb(["check", "a"]).env("CB_DISABLED", value).run();
        sandbox.cb(["record", "a", "success"]).env("CB_DISABLED", value).run();
        sandbox
            .cb(["status"])
            .env("CB_DISABLED", value)
            .stdout(
                "CB_DISABLED is set: every run passes and nothing is recorded\n\
                 NAME  STATE      FAILURES  NEXT TRY  RECENT  LAST FAILURE\n\
                 a     held open  0/5       on reset  -       by tester\n",
            )
            .run();
    }
    assert_eq!(sandbox.bytes("a"), before);
    assert!(!sandbox.state_file("b").exists());
    for value in ["", "0", "false"] {
        sandbox.cb(["check", "a"]).env("CB_DISABLED", value).code(75).run();
        sandbox.cb(["allow", "a"]).env("CB_DISABLED", value).code(75).run();
        sandbox.runs("a", &[], 0).env("CB_DISABLED", value).code(75).run();
        sandbox.cb(["status"]).env("CB_DISABLED", value).any_stdout().run();
    }
    // Wrong usage is still an error.
    sandbox.runs("a", &["--probes", "0"], 125).env("CB_DISABLED", "1").stderr_has("--probes: '0'").run();
}

#[test]
fn the_kill_switch_needs_no_place_for_the_state() {
    let sandbox = Sandbox::new();
    let file = sandbox.work().join("file");
    fs::write(&file, "").expect("a file");
    sandbox.runs("a", &["--on-state-error", "refuse"], 3).env("CB_DISABLED", "1").env("CB_STATE_DIR", &file).run();
}

#[test]
fn status_tells_of_the_kill_switch() {
    const LINE: &str = "CB_DISABLED is set: every run passes and nothing is recorded\n";
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "a"]).run();
    let plain = |args: &[&str]| String::from_utf8(sandbox.cb(args).any_stdout().run().stdout).expect("text");
    sandbox.cb(["status"]).env("CB_DISABLED", "1").stdout(format!("{LINE}{}", plain(&["status"]))).run();
    let about = plain(&["status", "a"]).lines().next().expect("a line").to_owned();
    sandbox.cb(["status", "a"]).env("CB_DISABLED", "1").stdout_has(format!("{LINE}{about}\n")).run();
    // Data is data, speech is speech.
    sandbox
        .cb(["status", "--json"])
        .env("CB_DISABLED", "1")
        .stdout(plain(&["status", "--json"]))
        .stderr(format!("cb: {LINE}"))
        .run();
    sandbox.cb(["-q", "status", "--json"]).env("CB_DISABLED", "1").stdout(plain(&["status", "--json"])).run();
}

#[test]
fn the_kill_switch_stops_no_change_by_hand() {
    let sandbox = Sandbox::new();
    let changes: [(&[&str], &str, &str); 4] = [
        (&["-q", "trip", "a"], "open", "held"),
        (&["disable", "a"], "open", "disabled"),
        (&["enable", "a"], "open", "normal"),
        (&["reset", "a"], "closed", "normal"),
    ];
    for (args, state, mode) in changes {
        sandbox.cb(args).env("CB_DISABLED", "1").run();
        let status = sandbox.status("a");
        assert_eq!(pick(&status, ["state", "mode"]), json!([state, mode]), "{args:?}");
    }
    sandbox.cb(["remove", "a"]).env("CB_DISABLED", "1").run();
    assert!(!sandbox.state_file("a").exists());
}

#[test]
fn under_the_kill_switch_what_a_run_reports_itself_is_as_little_recorded_as_its_result() {
    let sandbox = Sandbox::new();
    let script = |command: &'static str| ["run", "-n", "a", "--", "sh", "-c", command];
    let off = |command| sandbox.cb(script(command)).env("CB_DISABLED", "1");
    off("cb trip \"$CB_NAME\" --for 90s --reason 'HTTP 429'; exit 3").code(3).run();
    assert!(!sandbox.home().join(".cache").exists(), "no directory was made");
    off("cb trip a; cb record a failure; cb run -n b -- cb trip b").run();
    assert!(!sandbox.home().join(".cache").exists(), "not by a run below it either");
    // Of several names only the run's own is a report; the others are an order.
    off("cb trip a b").stderr("cb: b: it is new: nobody has used a breaker of this name\n").run();
    assert!(!sandbox.state_file("a").exists());
    assert_eq!(sandbox.status("b")["mode"], "held");
    // So are all from elsewhere, and those of a hook or a fallback.
    off("cd /; env -u CB_NAME cb -q trip a").run();
    assert_eq!(sandbox.status("a")["mode"], "held");
    for variable in ["CB_HOOK", "CB_FALLBACK"] {
        for (value, mode) in [("1", "held"), ("2", "normal")] {
            sandbox.cb(["reset", "a"]).run();
            sandbox.cb(["trip", "a"]).env("CB_DISABLED", "1").env("CB_NAME", "a").env(variable, value).run();
            assert_eq!(sandbox.status("a")["mode"], mode, "{variable}={value}");
        }
    }
}

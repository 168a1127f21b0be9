//! `cb check`: cb-contract(7) 4.4.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Sandbox, pick};

const HOUR: &[&str] = &["--cooldown", "1h"];

#[test]
fn check_says_whether_a_run_would_pass_and_never_writes() {
    let sandbox = Sandbox::new();
    sandbox.cb(["check", "a"]).run();
    assert!(!sandbox.home().join(".cache").exists(), "nobody has used it");
    let check = |code: i32| {
        let file = sandbox.state_file("a");
        let before = (sandbox.bytes("a"), fs::metadata(&file).expect("it is there").modified().expect("a time"));
        sandbox.cb(["check", "a"]).code(code).run();
        let after = (sandbox.bytes("a"), fs::metadata(&file).expect("it is there").modified().expect("a time"));
        assert_eq!(after, before);
    };
    sandbox.exits("a", HOUR, 0);
    check(0);
    sandbox.open_by("a", HOUR, 1);
    check(75);
    sandbox
        .cb(["check", "a", "-v"])
        .code(75)
        .stderr_like(
            "cb: a: refused, it is open (5 failures in a row: exit 1); next try in <span> (<time>), \
             or now with 'cb reset a'\n",
        )
        .run();
    sandbox.shift("a", 3_600_000);
    check(0);
    let mut probe = sandbox.begin("a", HOUR);
    check(75);
    probe.kill();
    check(0);
    sandbox.cb(["trip", "a", "--for", "1h"]).run();
    check(75);
    sandbox.shift("a", 3_600_000);
    check(0);
}

/// The breakers that `cb check --json` prints.
#[track_caller]
fn printed(sandbox: &Sandbox, words: &[&str], code: i32) -> Vec<Value> {
    let output = sandbox.cb(["check", "--json"].iter().chain(words)).code(code).any_stdout().run();
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(document["version"], 1);
    document["breakers"].as_array().expect("a list").clone()
}

#[test]
fn of_several_all_must_be_let_through() {
    let sandbox = Sandbox::new();
    sandbox.cb(["check", "--all"]).run();
    sandbox.exits("a", HOUR, 0);
    sandbox.exits("c", HOUR, 0);
    sandbox.cb(["check", "--all"]).run();
    sandbox.cb(["-q", "trip", "b"]).run();
    sandbox.cb(["check", "a", "c"]).run();
    for words in [&["a", "b"][..], &["b", "a"], &["--all"]] {
        sandbox.cb(["check"].iter().chain(words)).code(75).run();
        sandbox.cb(["check", "-E", "9"].iter().chain(words)).code(9).run();
        sandbox
            .cb(["check", "-v"].iter().chain(words))
            .code(75)
            .stderr("cb: b: refused, it is held open by tester until 'cb reset b'\n")
            .run();
    }
    // It ends as the run would that is refused first.
    sandbox.configure("[breakers.b]\nopen-exit-code = 7\n[breakers.d]\nopen-exit-code = 8\n");
    sandbox.cb(["-q", "trip", "d"]).run();
    sandbox.cb(["check", "a", "b", "d"]).code(7).run();
    sandbox.cb(["check", "d", "b"]).code(8).run();
    sandbox.cb(["check", "--all"]).code(7).run();
    sandbox.cb(["check", "a", "--all"]).code(125).any_stderr().run();
    sandbox.cb(["check"]).code(125).any_stderr().run();
}

#[test]
fn of_any_the_first_that_lets_runs_through_is_printed_and_nothing_else() {
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "a", "c"]).run();
    sandbox.cb(["check", "--any", "a", "b", "d"]).stdout("b\n").run();
    sandbox.cb(["check", "--any", "-v", "a", "b"]).stdout("b\n").run();
    sandbox.cb(["check", "--any", "d", "b"]).stdout("d\n").run();
    sandbox.cb(["check", "--any", "b"]).stdout("b\n").run();
    sandbox.cb(["check", "--any", "a", "c"]).code(75).run();
    sandbox.cb(["check", "--any", "--all"]).code(75).run();
    sandbox.exits("e", &[], 0);
    sandbox.cb(["check", "--any", "--all"]).stdout("e\n").run();
    // A name, so that a script can go on with it; of none at all there is none.
    sandbox.bash("cb run -n \"$(cb check --any a b)\" -- sh -c 'echo $CB_NAME'").stdout("b\n").run();
    Sandbox::new().cb(["check", "--any", "--all"]).code(75).run();
    // What is behind it is not even looked at.
    sandbox.put("f", "not a state");
    sandbox.cb(["check", "--any", "b", "f"]).stdout("b\n").run();
}

#[test]
fn json_is_that_of_status_whatever_the_answer() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", HOUR, 0);
    sandbox.cb(["-q", "trip", "b", "--reason", "moving house"]).run();
    for (words, names) in [(&["a", "b"][..], &["a", "b"][..]), (&["b", "a"], &["b", "a"]), (&["--all"], &["a", "b"])] {
        let breakers = printed(&sandbox, words, 75);
        assert_eq!(breakers.iter().map(|breaker| breaker["name"].clone()).collect::<Vec<_>>(), names);
        for breaker in &breakers {
            let mut status = sandbox.status(breaker["name"].as_str().expect("a name"));
            let mut breaker = breaker.clone();
            // It grows less from call to call.
            for answer in [&mut breaker, &mut status] {
                answer["retry_in_ms"] = json!(null);
            }
            assert_eq!(breaker, status);
        }
    }
    assert_eq!(printed(&sandbox, &["a"], 0).len(), 1);
    let chosen = printed(&sandbox, &["--any", "b", "c", "a"], 0);
    assert_eq!(chosen.len(), 1);
    assert_eq!(pick(&chosen[0], ["name", "state", "admits"]), json!(["c", "closed", true]));
    sandbox.cb(["-q", "trip", "a"]).run();
    let names: Vec<Value> = printed(&sandbox, &["--any", "b", "a"], 75).iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["b", "a"]);
    assert_eq!(printed(&sandbox, &["b"], 75)[0]["reason"], "moving house");
    // A state that cannot be used says yes, as a run would, and why.
    sandbox.put("d", "not a state");
    let output = sandbox.cb(["check", "--json", "d"]).any_stdout().stderr_has("cb: d: unguarded: ").run();
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(document["breakers"][0]["error"].is_string(), "{document}");
    assert_eq!(
        Sandbox::new().cb(["check", "--all", "--json"]).any_stdout().run().stdout,
        b"{\"version\":1,\"breakers\":[]}\n"
    );
}

#[test]
fn it_waits_until_the_answer_is_yes_and_writes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.cb(["check", "--wait", "a"]).run();
    sandbox.cb(["-q", "trip", "a"]).run();
    let before = sandbox.bytes("a");
    sandbox.cb(["check", "--wait=10ms", "a"]).code(75).run();
    sandbox.cb(["check", "--wait=0", "b", "a"]).code(75).run();
    sandbox.cb(["check", "--wait=10ms", "--any", "a"]).code(75).run();
    sandbox.cb(["check", "--wait=1h", "--any", "a", "b"]).stdout("b\n").run();
    assert_eq!(printed(&sandbox, &["--wait=10ms", "a"], 75)[0]["mode"], "held");
    assert_eq!(sandbox.bytes("a"), before, "nothing is counted");
    // It is told of the breaker that it waits for, and that one is closed then.
    let script = "exec 3< <(cb check -v --wait b a 2>&1 >said; echo $?)
        read -r line <&3; echo \"$line\"
        cb reset -q a
        cat <&3; cat said";
    sandbox.bash(script).stdout("cb: a: waiting, it is held open by tester until 'cb reset a'\n0\n").run();
}

#[test]
fn a_state_that_cannot_be_used_is_no_reason_to_say_no() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work().join("file"), "").expect("a file");
    let check = |words: &[&str]| sandbox.cb(["check", "--state-dir", "file"].iter().chain(words));
    check(&["a", "b"]).stderr_has("cb: b: unguarded: ").run();
    check(&["--any", "a", "b"]).stdout("a\n").stderr_has("cb: a: unguarded: ").run();
    check(&["--wait", "a"]).stderr_has("cb: a: unguarded: ").run();
    check(&["--all"]).stderr_has("cb: unguarded: ").run();
}

#[test]
fn the_kill_switch_says_yes_and_touches_no_file() {
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "a"]).run();
    let check = |words: &[&str]| sandbox.cb(["check"].iter().chain(words)).env("CB_DISABLED", "1");
    check(&["a", "b"]).run();
    check(&["--all", "--wait"]).run();
    check(&["--any", "a", "b"]).stdout("a\n").run();
    check(&["--json", "a"]).stdout("{\"version\":1,\"breakers\":[]}\n").run();
}

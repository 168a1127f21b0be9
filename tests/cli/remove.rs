//! `cb remove`: what it deletes, what it leaves alone, and what becomes of earlier runs and permits.
//! See cb-contract(7) 1.34, 5.12, 5.15 and 5.16.

use std::fs;

use serde_json::json;

use crate::support::{Sandbox, pick};

#[test]
fn remove_forgets_a_breaker_and_nothing_else() {
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "a", "b"]).run();
    let kept = sandbox.bytes("b");
    sandbox.cb(["remove", "a"]).run();
    assert!(!sandbox.state_file("a").exists());
    assert_eq!(sandbox.bytes("b"), kept);
    sandbox
        .cb(["status", "a"])
        .code(125)
        .stderr("cb: there is no breaker 'a'; 'cb status' lists those there are\n")
        .run();
    sandbox.cb(["remove", "a"]).stderr("cb: there is no breaker 'a'; 'cb status' lists those there are\n").run();
    sandbox.exits("a", &[], 0);
    let status = sandbox.status("a");
    assert_eq!(pick(&status, ["state", "generation"]), json!(["closed", 1]), "it starts anew");
}

#[test]
fn remove_works_for_what_a_newer_version_wrote_and_for_what_is_damaged() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 0);
    let path = sandbox.state_file("a");
    for text in [
        r#"{"version":2,"name":"a","shape":"unheard of"}"#,
        r#"{"version":99999999999999999999,"name":"a"}"#,
        r#"{"version":1,"name":"a","breaker":"damaged"}"#,
        "",
    ] {
        fs::write(&path, text).expect("the state file can be written");
        sandbox.cb(["remove", "a"]).run();
        assert!(!path.exists(), "{text}");
    }
}

#[test]
fn remove_leaves_alone_what_is_not_the_state_of_this_breaker() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 0);
    let path = sandbox.state_file("a");
    let another = fs::read_to_string(&path).expect("a state").replace(r#""name":"a""#, r#""name":"b""#);
    for text in
        [another.as_str(), r#"{"hello":1}"#, "[]", "not JSON", r#"{"name":"a"}"#, r#"{"version":"1","name":"a"}"#]
    {
        fs::write(&path, text).expect("the state file can be written");
        sandbox
            .cb(["remove", "a"])
            .code(125)
            .stderr(format!(
                "cb: {0} is not the state of a, so it was left alone; to remove it run 'rm {0}'\n",
                path.display()
            ))
            .run();
        assert_eq!(fs::read_to_string(&path).expect("it is still there"), text);
    }
    fs::remove_file(&path).expect("it can be removed");
    let elsewhere = sandbox.work().join("elsewhere");
    fs::write(&elsewhere, r#"{"version":1,"name":"a"}"#).expect("a file");
    std::os::unix::fs::symlink(&elsewhere, &path).expect("a link");
    sandbox
        .cb(["remove", "a"])
        .code(125)
        .stderr(format!(
            "cb: {0} is a symbolic link, so it was left alone; to remove it run 'rm {0}'\n",
            path.display()
        ))
        .run();
    assert!(elsewhere.exists() && path.symlink_metadata().is_ok());
}

#[test]
fn one_without_any_time_is_as_old_as_its_file() {
    let sandbox = Sandbox::new();
    let run = sandbox.begin("run", &[]);
    sandbox.cb(["allow", "allowed"]).any_stdout().run();
    sandbox.put("empty", "");
    let all = ["allowed", "empty", "run"];
    sandbox.cb(["-v", "remove", "--unused", "30d"]).run();
    for name in all {
        assert!(sandbox.state_file(name).exists(), "{name} was made just now");
        let file = fs::File::options().write(true).open(sandbox.state_file(name)).expect("a state");
        let old = std::time::SystemTime::now() - std::time::Duration::from_secs(31 * 86_400);
        file.set_modified(old).expect("it is ours");
    }
    let told = all.map(|name| format!("cb: {name}: removed\n")).concat();
    sandbox.cb(["-v", "remove", "--unused", "30d"]).stderr(told).run();
    run.ends(1);
}

#[test]
fn the_result_of_a_removed_breaker_is_dropped() {
    let sandbox = Sandbox::new();
    let run = sandbox.begin("a", &["--threshold", "1"]);
    sandbox.cb(["remove", "a"]).run();
    run.ends(1);
    assert!(!sandbox.state_file("a").exists(), "no file was made for it");
    // Nor does the result count in a new breaker of that name.
    let run = sandbox.begin("a", &["--threshold", "1"]);
    sandbox.cb(["remove", "a"]).run();
    sandbox.exits("a", &["--threshold", "1"], 0);
    run.ends(1);
    let status = sandbox.status("a");
    assert_eq!(pick(&status, ["state", "totals.late"]), json!(["closed", 0]));
    assert_eq!(pick(&status, ["totals.admitted", "totals.failures"]), json!([1, 0]));
}

#[test]
fn a_permit_of_a_removed_breaker_never_counts_in_a_new_one() {
    let sandbox = Sandbox::new();
    let permit = String::from_utf8(sandbox.cb(["allow", "a"]).any_stdout().run().stdout).expect("a permit");
    let record = ["record", "a", "failure", "--threshold", "1", "--permit", permit.trim()];
    let late = "cb: a: late: there is no breaker of this name (any more); it changes nothing\n";
    sandbox.cb(["remove", "a"]).run();
    sandbox.cb(record).stderr(late).run();
    assert!(!sandbox.state_file("a").exists(), "no file was made for it");
    let again = String::from_utf8(sandbox.cb(["allow", "a"]).any_stdout().run().stdout).expect("a permit");
    assert_ne!(again, permit);
    let before = sandbox.bytes("a");
    let late =
        "cb: a: late: the permit is of a breaker that was removed, or of one with another name; it changes nothing\n";
    sandbox.cb(record).stderr(late).run();
    assert_eq!(sandbox.bytes("a"), before, "nothing was written");
}

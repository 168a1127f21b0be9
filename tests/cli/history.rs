//! `cb history`: when each breaker changed, from what to what, why, and by whom.
//! See cb-contract(7) 4.13, 4.18 and 5.17.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Sandbox, pick, timeless};

const MINUTE: i64 = 60_000;

/// The changes of the breaker `a`, oldest first.
fn changes(sandbox: &Sandbox) -> Vec<Value> {
    let output = sandbox.cb(["history", "a", "--json"]).any_stdout().run();
    let document: Value = serde_json::from_slice(&output.stdout).expect("history prints JSON");
    document["breakers"][0]["changes"].as_array().expect("a list").clone()
}

/// The same without the times.
fn stories(sandbox: &Sandbox) -> Vec<Value> {
    let story = |mut change: Value| {
        change.as_object_mut().expect("a change").remove("at");
        change
    };
    changes(sandbox).into_iter().map(story).collect()
}

fn story(from: &str, to: &str, reason: &str, by: Option<&str>, count: u32) -> Value {
    json!({ "from": from, "to": to, "reason": reason, "by": by, "count": count })
}

#[test]
fn every_change_says_from_what_to_what_why_and_who() {
    let sandbox = Sandbox::new();
    let options = ["--threshold", "2", "--cooldown", "10s"];
    sandbox.exits("a", &options, 0);
    sandbox.exits("a", &options, 1);
    sandbox.runs("a", &options, 7).any_stderr().run();
    sandbox.shift("a", MINUTE);
    sandbox.runs("a", &options, 0).any_stderr().run();
    sandbox.cb(["trip", "a", "--reason", "moving house"]).run();
    sandbox.cb(["disable", "a"]).env("LOGNAME", "ann").run();
    sandbox.cb(["enable", "a"]).run();
    sandbox.cb(["reset", "a"]).run();
    sandbox.cb(["disable", "a", "--reason", "drill"]).run();
    sandbox.cb(["enable", "a"]).run();
    sandbox.cb(["trip", "a", "--for", "0"]).run();
    sandbox.cb(["record", "a", "success"]).any_stderr().run();
    assert_eq!(
        stories(&sandbox),
        [
            story("closed", "open", "2 failures in a row: exit 7", None, 1),
            story("half_open", "closed", "probe succeeded", None, 1),
            story("closed", "open", "moving house", Some("tester"), 1),
            story("open", "disabled", "disabled", Some("ann"), 1),
            story("disabled", "open", "enabled", Some("tester"), 1),
            story("open", "closed", "reset", Some("tester"), 1),
            story("closed", "disabled", "drill", Some("tester"), 1),
            story("disabled", "closed", "enabled", Some("tester"), 1),
            story("closed", "open", "tripped", Some("tester"), 1),
            story("open", "closed", "success reported", None, 1),
        ]
    );
}

#[test]
fn the_why_names_the_rule_and_its_figures() {
    let cases: [(&[&str], i32, &str); 6] = [
        (&["--threshold", "1"], 7, "1 failure in a row: exit 7"),
        (&["--threshold", "1", "--timeout", "10ms"], 100, "1 failure in a row: timeout"),
        (&["--failure-rate", "50", "--window", "4", "--min-calls", "1"], 3, "failure rate 100% (1 of 1 calls): exit 3"),
        (&["--failure-budget", "1/1h"], 3, "1 failure within 1h: exit 3"),
        (&["--trip-codes", "22"], 22, "a trip code: exit 22"),
        (
            &["--slow-after", "1ms", "--slow-rate", "1", "--window", "4", "--min-calls", "1"],
            0,
            "slow rate 100% (1 of 1 calls)",
        ),
    ];
    for (options, code, reason) in cases {
        let sandbox = Sandbox::new();
        // 100 stands for a child that does not end.
        let script = if code == 100 { "read -r line <&3".to_owned() } else { format!("sleep 0.01; exit {code}") };
        let script = format!("exec sh -c 'mkfifo gate; exec 3<>gate; {script}'");
        let args = ["run", "-n", "a"].into_iter().chain(options.iter().copied()).chain(["--", "sh", "-c", &script]);
        sandbox.cb(args).code(if code == 100 { 124 } else { code }).any_stderr().run();
        assert_eq!(stories(&sandbox), [story("closed", "open", reason, None, 1)], "{options:?}");
    }
}

#[test]
fn the_times_are_those_of_the_changes() {
    let sandbox = Sandbox::new();
    sandbox.runs("a", &["--threshold", "1"], 1).any_stderr().run();
    let status = sandbox.status("a");
    assert_eq!((&changes(&sandbox)[0]["at"], &status["since"]), (&status["since"], &status["last"]["at"]));
    sandbox.shift("a", MINUTE);
    let older = changes(&sandbox)[0]["at"].clone();
    assert_eq!(older, sandbox.status("a")["since"]);
    sandbox.runs("a", &["--threshold", "1"], 0).any_stderr().run();
    let times: Vec<Value> = changes(&sandbox).iter().map(|change| change["at"].clone()).collect();
    assert_eq!(times, [older.clone(), sandbox.status("a")["since"].clone()], "a time that was once told stays");
    sandbox.cb(["trip", "a", "--for", "1h"]).run();
    sandbox.cb(["disable", "a", "--for", "1h"]).run();
    let times = changes(&sandbox);
    assert_eq!((times.len(), &times[0]["at"], &times[2]["at"]), (4, &older, &sandbox.status("a")["since"]));
    let parse = |time: &Value| humantime::parse_rfc3339(time.as_str().expect("a time")).expect("a time");
    let until = parse(&sandbox.status("a")["hold"]["until"]);
    assert_eq!(until.duration_since(parse(&times[3]["at"])).expect("later").as_secs(), 3600);
}

#[test]
fn a_clock_that_was_set_back_shows_as_it_was() {
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "a"]).run();
    sandbox.shift("a", -60 * MINUTE);
    let later = sandbox.status("a")["since"].clone();
    sandbox.cb(["reset", "a"]).run();
    let times = changes(&sandbox);
    assert_eq!((&times[0]["at"], &times[1]["at"]), (&later, &sandbox.status("a")["since"]));
    assert!(times[0]["at"].as_str() > times[1]["at"].as_str(), "{times:?}");
}

#[test]
fn a_row_of_failed_probes_is_one_entry_with_its_count() {
    let sandbox = Sandbox::new();
    let options = ["--threshold", "1", "--cooldown", "10s"];
    sandbox.runs("a", &options, 1).any_stderr().run();
    for code in [1, 1, 7] {
        sandbox.shift("a", MINUTE);
        sandbox.runs("a", &options, code).any_stderr().run();
    }
    let reasons = "probe failed: exit 7, before that probe failed: exit 1";
    let row = story("half_open", "open", reasons, None, 3);
    let opened = story("closed", "open", "1 failure in a row: exit 1", None, 1);
    assert_eq!(stories(&sandbox), [opened.clone(), row.clone()]);
    let status = sandbox.status("a");
    assert_eq!(changes(&sandbox)[1]["at"], status["since"], "it tells of the last one");
    assert_eq!(status["reason"], "probe failed: exit 7", "it is open for the last one");
    // A change by hand between them ends the row.
    sandbox.cb(["trip", "a", "--for", "1m"]).run();
    sandbox.shift("a", MINUTE);
    sandbox.exits("a", &options, 1);
    sandbox.shift("a", MINUTE);
    sandbox.exits("a", &options, 1);
    let tripped = story("open", "open", "tripped", Some("tester"), 1);
    let again = story("half_open", "open", "probe failed: exit 1", None, 2);
    let over = story("open", "open", "hold is over", None, 1);
    assert_eq!(stories(&sandbox), [opened, row, tripped, over, again]);
    let text = sandbox.cb(["history", "a"]).any_stdout().run().stdout;
    assert_eq!(
        timeless(&String::from_utf8(text).expect("text")),
        "TIME  a  closed -> open     1 failure in a row: exit 1\n\
         TIME  a  half_open -> open  probe failed: exit 7, before that probe failed: exit 1 (3 times)\n\
         TIME  a  open -> open       tripped, by tester\n\
         TIME  a  open -> open       hold is over\n\
         TIME  a  half_open -> open  probe failed: exit 1 (2 times)\n"
    );
}

#[test]
fn what_changes_nothing_is_no_history() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 0);
    sandbox.exits("a", &[], 1);
    sandbox.cb(["record", "a", "failure"]).run();
    sandbox.cb(["allow", "a"]).any_stdout().run();
    sandbox.cb(["enable", "a"]).run();
    assert_eq!(stories(&sandbox), [] as [Value; 0]);
    sandbox.cb(["history", "a"]).run();
    sandbox.cb(["trip", "a"]).run();
    sandbox.cb(["trip", "a", "--for", "1m"]).any_stderr().run();
    sandbox.runs("a", &[], 0).code(75).run();
    assert_eq!(stories(&sandbox), [story("closed", "open", "tripped", Some("tester"), 1)]);
}

#[test]
fn at_least_the_last_four_are_kept_with_the_best_of_their_reasons() {
    let sandbox = Sandbox::new();
    let who = "w".repeat(32);
    let reason = |index: usize| format!("{index:03}{}", "\u{1b}".repeat(19));
    for index in 0..40 {
        let trip = ["-q", "trip", "a", "--replace", "--reason", &reason(index)];
        sandbox.cb(trip).env("LOGNAME", &who).run();
    }
    let kept = stories(&sandbox);
    assert!(kept.len() >= 4, "{} are kept", kept.len());
    let first = 40 - kept.len();
    for (index, change) in kept.iter().enumerate() {
        let from = if first + index == 0 { "closed" } else { "open" };
        assert_eq!(pick(change, ["from", "to", "by", "count"]), json!([from, "open", who, 1]));
        // 40 bytes as they are stored, and an escape takes six of them.
        let told = change["reason"].as_str().expect("a reason");
        assert!(told.len() >= 9 && reason(first + index).starts_with(told), "{told:?}");
    }
    assert_eq!(kept.last().expect("a change")["reason"], reason(39), "the newest is whole");
}

#[test]
fn history_outlives_a_reset_and_not_a_remove() {
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "a"]).run();
    sandbox.cb(["reset", "a"]).run();
    assert_eq!(stories(&sandbox).len(), 2);
    sandbox.cb(["remove", "a"]).run();
    sandbox.exits("a", &[], 0);
    assert_eq!(stories(&sandbox), [] as [Value; 0]);
}

#[test]
fn the_changes_of_several_breakers_are_told_in_the_order_of_time() {
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "b"]).run();
    sandbox.cb(["-q", "trip", "a-long-name"]).run();
    sandbox.cb(["reset", "b"]).run();
    sandbox.cb(["-q", "trip", "c"]).run();
    sandbox.cb(["disable", "c", "--reason", "no"]).run();
    sandbox.cb(["disable", "c", "--reason", "no, no", "--replace"]).any_stderr().run();
    // No two changes may fall into the same millisecond.
    for (name, millis) in [("b", 50), ("a-long-name", 40), ("c", -50)] {
        sandbox.shift(name, millis);
    }
    let text = |args: &[&str]| {
        let text = sandbox.cb(["history"].iter().chain(args)).any_stdout().run().stdout;
        timeless(&String::from_utf8(text).expect("text"))
    };
    let first = |text: String| text.lines().next().expect("a line").to_owned();
    assert_eq!(first(text(&[])), "TIME  b            closed -> open        tripped, by tester");
    assert_eq!(
        text(&["c"]),
        "TIME  c  closed -> open        tripped, by tester\n\
         TIME  c  open -> disabled      no, by tester\n\
         TIME  c  disabled -> disabled  no, no, by tester\n"
    );
    assert_eq!(text(&["a-long-name"]), "TIME  a-long-name  closed -> open  tripped, by tester\n");
    assert_eq!(text(&["a-long-name", "c"]).lines().count(), 4);
    let all = sandbox.cb(["history"]).any_stdout().run().stdout;
    let all = String::from_utf8(all).expect("text");
    let times: Vec<&str> = all.lines().map(|line| line.split_once(' ').expect("words").0).collect();
    assert!(times.len() == 6 && times.is_sorted(), "{times:?}");
}

#[test]
fn the_json_is_a_document_of_breakers() {
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "b"]).run();
    sandbox.exits("a", &[], 0);
    let text = sandbox.cb(["history", "--json"]).any_stdout().run().stdout;
    assert_eq!(
        timeless(&String::from_utf8(text).expect("text")),
        concat!(
            r#"{"version":1,"breakers":[{"name":"a","changes":[]},{"name":"b","changes":["#,
            r#"{"at":"TIME","from":"closed","to":"open","reason":"tripped","by":"tester","count":1}]}]}"#,
            "\n"
        )
    );
}

#[test]
fn an_unknown_breaker_is_an_error_and_a_planned_one_has_no_history() {
    let sandbox = Sandbox::new();
    sandbox.cb(["history"]).run();
    sandbox.cb(["history", "--json"]).stdout("{\"version\":1,\"breakers\":[]}\n").run();
    sandbox.cb(["-q", "trip", "openai"]).run();
    sandbox
        .cb(["history", "opnai"])
        .code(125)
        .stderr("cb: there is no breaker 'opnai'; did you mean 'openai'?\n")
        .run();
    sandbox.configure("[breakers.planned]\nthreshold = 3\n");
    sandbox.cb(["history", "planned"]).run();
}

#[test]
fn what_cannot_be_read_is_left_out_and_said() {
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "a", "b"]).run();
    fs::write(sandbox.state_file("b"), "[]").expect("a file");
    let path = sandbox.state_file("b");
    sandbox
        .cb(["history"])
        .stdout_has("  a  closed -> open  tripped, by tester\n")
        .stderr(format!(
            "cb: b: left out: {0} is not readable: it is not a state of cb; the next run sets it aside, or run 'rm {0}'\n",
            path.display()
        ))
        .run();
    // In JSON it is in the list.
    sandbox.cb(["history", "--json"]).stdout_has("{\"name\":\"b\",\"error\":").run();
}

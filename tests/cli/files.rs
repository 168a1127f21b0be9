//! The file of a state: whatever is in its place, the command runs, and one line says what is wrong and what to do.
//! See cb-contract(7) 1.36 to 1.39, 4.1, 5.5 and 5.10 to 5.18.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{COMMAND, Sandbox, names_in, refused, shift_times, unguarded};

/// The state of a closed breaker after four runs, as text without its padding.
fn used(sandbox: &Sandbox) -> String {
    for code in [0, 1, 1, 1] {
        sandbox.exits("a", &[], code);
    }
    let bytes = sandbox.bytes("a");
    assert_eq!(bytes.len(), 4096, "a state is one block");
    String::from_utf8(bytes).expect("text").trim_end().to_owned()
}

/// The same state as JSON, to be changed.
fn used_json(sandbox: &Sandbox) -> Value {
    serde_json::from_str(&used(sandbox)).expect("JSON")
}

/// A breaker that is open for an hour.
fn open_for_an_hour(sandbox: &Sandbox) {
    sandbox.open_by("a", &["--cooldown", "1h"], 1);
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it is there").mode() & 0o7777
}

// What is in the file.

#[test]
fn an_empty_file_is_an_unused_breaker() {
    let sandbox = Sandbox::new();
    sandbox.put("a", "");
    sandbox.cb(["check", "a"]).run();
    sandbox.exits("a", &[], 1);
    assert_eq!(sandbox.status("a")["consecutive_failures"], 1);
    assert_eq!(mode(&sandbox.state_file("a")), 0o600, "it is ours from now on");
}

/// Unreadable content: one warning, the file is set aside, and the breaker starts anew. Commands that only look leave
/// it.
#[track_caller]
fn is_set_aside(content: impl AsRef<[u8]>, why: &str) {
    let sandbox = Sandbox::new();
    sandbox.put("a", &content);
    let path = sandbox.state_file("a");
    let aside = sandbox.state_dir().join("a.json.corrupt");
    let shown = path.display();

    let error = format!("{shown} is not readable: {why}; the next run sets it aside, or run 'rm {shown}'");
    sandbox.cb(["check", "a"]).stderr(format!("cb: a: unguarded: {error}\n")).run();
    assert_eq!(sandbox.status("a"), json!({ "name": "a", "error": error, "path": path }));
    assert_eq!(sandbox.bytes("a"), content.as_ref());
    assert_eq!(names_in(&sandbox.state_dir()), ["a.json"]);

    let notice =
        format!("{shown} was not readable ({why}): set aside as a.json.corrupt, the breaker starts anew, closed");
    sandbox.runs("a", &[], 1).stderr(format!("cb: a: {notice}\n")).run();
    assert_eq!(fs::read(&aside).expect("it was set aside"), content.as_ref());
    assert_eq!(sandbox.status("a")["consecutive_failures"], 1, "the run was guarded");
    sandbox.exits("a", &[], 1);
    assert_eq!(sandbox.status("a")["consecutive_failures"], 2, "and so is the next, in silence");
    assert_eq!(names_in(&sandbox.state_dir()), ["a.json", "a.json.corrupt"]);
}

const FOREIGN: &str = "it is not a state of cb";
const DAMAGED: &str = "it is damaged";

#[test]
fn foreign_content_is_set_aside() {
    for content in [
        "hello\n".as_bytes(),
        b"{}",
        b"[]",
        b"null",
        b"\0",
        &[0; 4096],
        b"\xff\xfe{\0}\0",
        b"{\"version\":1",
        b"{\"version\":\"1\"}",
        b"{\"version\":1.5}",
        b"{\"version\":-1}",
        b"{\"version\":null}",
        b"    \n",
    ] {
        is_set_aside(content, FOREIGN);
    }
    is_set_aside("[".repeat(60_000), FOREIGN);
    is_set_aside("{\"a\":".repeat(12_000), FOREIGN);
    is_set_aside("{\"version\":1}", DAMAGED);
    is_set_aside("{\"version\":0,\"name\":\"a\"}", DAMAGED);
}

#[test]
fn a_damaged_state_is_set_aside() {
    let state = used(&Sandbox::new());
    for length in [1, 20, state.len() / 2, state.len() - 1] {
        is_set_aside(&state[..length], FOREIGN);
    }
    is_set_aside(format!("\u{feff}{state}"), FOREIGN);
    is_set_aside(format!("{state}\0\0\0\0"), FOREIGN);
    is_set_aside(format!("{state}{state}"), FOREIGN);
    is_set_aside(state.replacen("\"a\"", "\"\u{0}\"", 1), FOREIGN);
    let mut bytes = state.clone().into_bytes();
    let name = state.find("\"name\":\"a\"").expect("its name") + "\"name\":\"".len();
    bytes[name] = 0xff;
    is_set_aside(&bytes, DAMAGED);
    // Two writes are mixed, as after a power cut.
    is_set_aside(state.replacen("\"write\":8", "\"write\":9", 1), "it was written only in part");
}

#[test]
fn wrong_types_are_set_aside() {
    let state = used_json(&Sandbox::new());
    for (pointer, wrong) in [
        ("/breaker", json!(null)),
        ("/breaker", json!([])),
        ("/breaker/state", json!("closed")),
        ("/breaker/state", json!({ "ajar": {} })),
        ("/breaker/state", json!({ "open": { "since": "yesterday", "cooldown_ms": 1, "reopened": 0 } })),
        ("/breaker/state", json!({ "open": { "since": "2026-13-45T99:99:99.999Z", "cooldown_ms": 1, "reopened": 0 } })),
        (
            "/breaker/state",
            json!({ "open": { "since": "2026-01-02T03:04:05.678Z", "cooldown_ms": -1, "reopened": 0 } }),
        ),
        ("/breaker/id", json!("not hexadecimal")),
        ("/breaker/generation", json!(-1)),
        ("/breaker/consecutive_failures", json!("3")),
        ("/breaker/consecutive_failures", json!(1e300)),
        ("/breaker/recent", json!([3, "!"])),
        ("/breaker/recent", json!([1_000_000, ""])),
        ("/breaker/totals", json!({ "admitted": -1 })),
        ("/breaker/last/at", json!(12)),
        ("/breaker/last/outcome", json!("maybe")),
        ("/end", json!("1")),
    ] {
        let mut changed = state.clone();
        *changed.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} is there")) = wrong;
        is_set_aside(changed.to_string(), DAMAGED);
    }
}

#[test]
fn another_breakers_state_is_set_aside() {
    let mut state = used_json(&Sandbox::new());
    state["name"] = json!("b");
    is_set_aside(state.to_string(), "it is the state of another breaker");
    state["name"] = json!("../../etc/passwd");
    is_set_aside(state.to_string(), "it is the state of another breaker");
}

#[test]
fn a_state_that_is_too_large_is_set_aside() {
    let state = used(&Sandbox::new());
    let padded = |length: usize| format!("{}{state}", " ".repeat(length - state.len()));
    is_set_aside(padded(64 * 1024 + 1), "it is larger than any state");
    is_set_aside(vec![b'x'; 1_000_000], "it is larger than any state");

    let sandbox = Sandbox::new();
    sandbox.put("a", padded(64 * 1024));
    assert_eq!(sandbox.status("a")["consecutive_failures"], 3, "as much is read");
    sandbox.exits("a", &[], 1);
    assert_eq!(sandbox.bytes("a").len(), 4096, "and shrinks when it is written");
    assert_eq!(sandbox.status("a")["consecutive_failures"], 4);
    assert_eq!(names_in(&sandbox.state_dir()), ["a.json"]);
}

#[test]
fn what_was_left_behind_the_block_is_cut_off() {
    // As a process leaves it that dies after writing the block and before shortening the file.
    let sandbox = Sandbox::new();
    used(&sandbox);
    let mut bytes = sandbox.bytes("a");
    bytes.extend_from_slice("  \"tail\": [\"of something larger\n".repeat(100).as_bytes());
    sandbox.put("a", bytes);
    assert_eq!(sandbox.status("a")["consecutive_failures"], 3);
    sandbox.exits("a", &[], 1);
    assert_eq!(sandbox.bytes("a").len(), 4096);
    assert_eq!(names_in(&sandbox.state_dir()), ["a.json"]);
    // `cb remove` too takes it for the breaker's.
    sandbox.put("a", [sandbox.bytes("a"), b"{".to_vec()].concat());
    sandbox.cb(["remove", "a"]).run();
    assert_eq!(names_in(&sandbox.state_dir()), [""; 0]);
}

#[test]
fn an_older_corrupt_file_is_replaced() {
    let sandbox = Sandbox::new();
    let aside = sandbox.state_dir().join("a.json.corrupt");
    for content in ["first", "second"] {
        sandbox.put("a", content);
        sandbox.runs("a", &[], 0).stderr_has("set aside as a.json.corrupt").run();
        assert_eq!(fs::read_to_string(&aside).expect("it was set aside"), content);
    }
    // It is not written through a link that somebody has put there.
    let victim = sandbox.work().join("victim");
    fs::write(&victim, "precious").expect("a file");
    fs::remove_file(&aside).expect("it is there");
    symlink(&victim, &aside).expect("a link");
    sandbox.put("a", "third");
    sandbox.runs("a", &[], 0).stderr_has("set aside as a.json.corrupt").run();
    assert_eq!(fs::read_to_string(&victim).expect("the victim"), "precious");
    assert_eq!(fs::read_to_string(&aside).expect("it was set aside"), "third");
}

#[test]
fn what_cannot_be_set_aside_is_left_alone() {
    let sandbox = Sandbox::new();
    sandbox.put("a", "garbage");
    fs::create_dir(sandbox.state_dir().join("a.json.corrupt")).expect("a directory in the way");
    let path = sandbox.state_file("a");
    let warning = format!(
        "{0} is not readable (it is not a state of cb) and could not be set aside: Is a directory; run 'rm {0}'",
        path.display()
    );
    unguarded(&sandbox, &warning);
    refused(&sandbox, &warning);
    assert_eq!(sandbox.bytes("a"), b"garbage");
}

#[test]
fn reset_and_trip_of_a_corrupt_file_say_so_and_do_it() {
    for (args, state, mode) in [(["reset", "a"], "closed", "normal"), (["trip", "a"], "open", "held")] {
        let sandbox = Sandbox::new();
        sandbox.put("a", "garbage");
        let path = sandbox.state_file("a");
        let notice = format!(
            "cb: a: {} was not readable (it is not a state of cb): set aside as a.json.corrupt, \
             the breaker starts anew, closed\n",
            path.display()
        );
        sandbox.cb(args).stderr(notice).run();
        let status = sandbox.status("a");
        assert_eq!((&status["state"], &status["mode"]), (&state.into(), &mode.into()));
    }
}

#[test]
fn a_state_that_is_damaged_while_the_command_runs_is_told_of() {
    let sandbox = Sandbox::new();
    let run = sandbox.begin("a", &[]);
    fs::write(sandbox.state_file("a"), "garbage").expect("the state file");
    let path = sandbox.state_file("a");
    run.ends_saying(
        1,
        &format!(
            "cb: a: {} was not readable (it is not a state of cb): set aside as a.json.corrupt, \
             the breaker starts anew, closed\n",
            path.display()
        ),
    );
    sandbox.exits("a", &[], 1);
    assert_eq!(sandbox.status("a")["consecutive_failures"], 1, "what was asked of the lost one does not count here");
}

#[test]
fn a_newer_version_is_left_byte_for_byte() {
    for (content, version) in [
        ("{\"version\":2}", "2"),
        ("{\"version\":3,\"name\":17,\"write\":[],\"x\":{\"y\":null}}\n\n", "3"),
        ("{\"version\":18446744073709551616}", "18446744073709551616"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.put("a", content);
        let path = sandbox.state_file("a");
        let error = format!(
            "could not read {}: it was written by a newer cb (its version is {version}, this cb knows 1); \
             update cb, or forget the breaker with 'cb remove a'",
            path.display()
        );
        unguarded(&sandbox, &error);
        refused(&sandbox, &error);
        sandbox.cb(["check", "a"]).stderr(format!("cb: a: unguarded: {error}\n")).run();
        assert_eq!(sandbox.status("a"), json!({ "name": "a", "error": error, "path": path }));
        sandbox.cb(["reset", "a"]).code(125).stderr(format!("cb: {error}\n")).run();
        sandbox.cb(["reset", "--all"]).code(125).stderr(format!("cb: {error}\n")).run();
        sandbox.cb(["trip", "a"]).code(125).stderr(format!("cb: {error}\n")).run();
        assert_eq!(sandbox.bytes("a"), content.as_bytes());
        assert_eq!(names_in(&sandbox.state_dir()), ["a.json"]);
    }
}

#[test]
fn a_newer_state_of_our_shape_is_left_alone_too() {
    let sandbox = Sandbox::new();
    let mut state = used_json(&sandbox);
    state["version"] = json!(2);
    sandbox.put("a", state.to_string());
    sandbox.cb(COMMAND).stdout("ran\n").stderr_has("its version is 2, this cb knows 1").run();
    assert_eq!(sandbox.bytes("a"), state.to_string().as_bytes());
}

#[test]
fn one_bad_breaker_is_no_trouble_to_others() {
    let sandbox = Sandbox::new();
    sandbox.put("bad", "garbage");
    sandbox.put("new", "{\"version\":2}");
    sandbox.exits("good", &[], 1);
    let output = sandbox.cb(["status", "--json"]).any_stdout().run();
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let names: Vec<_> = document["breakers"].as_array().expect("a list").iter().map(|item| &item["name"]).collect();
    assert_eq!(names, ["bad", "good", "new"]);
    assert_eq!(document["breakers"][1]["state"], "closed");
    sandbox.cb(["reset", "new", "good"]).code(125).stderr_has("its version is 2").run();
    assert_eq!(sandbox.status("good")["consecutive_failures"], 0, "the other one was reset all the same");
}

#[test]
fn unknown_fields_are_ignored_and_not_kept() {
    let sandbox = Sandbox::new();
    let mut state = used_json(&sandbox);
    state["colour"] = json!("red");
    state["breaker"]["mood"] = json!({ "deep": [[[]]] });
    state["breaker"]["last"]["weather"] = json!(1);
    sandbox.put("a", state.to_string());
    assert_eq!(sandbox.status("a")["consecutive_failures"], 3);
    sandbox.exits("a", &[], 1);
    let text = String::from_utf8(sandbox.bytes("a")).expect("text");
    for word in ["colour", "mood", "weather"] {
        assert!(!text.contains(word), "{word} is not kept");
    }
    assert_eq!(sandbox.status("a")["consecutive_failures"], 4);
}

#[test]
fn a_nesting_bomb_is_no_crash() {
    let sandbox = Sandbox::new();
    let state = used(&sandbox);
    let bomb = format!("{{\"bomb\":{}{},{}", "[".repeat(20_000), "]".repeat(20_000), &state[1..]);
    sandbox.put("a", bomb);
    assert_eq!(sandbox.status("a")["consecutive_failures"], 3, "an unknown field, however deep, is ignored");
    sandbox.exits("a", &[], 1);
    assert_eq!(sandbox.bytes("a").len(), 4096);
}

// Absurd times.

#[test]
fn a_file_from_the_future_or_from_before_1970_keeps_nothing_open() {
    let sandbox = Sandbox::new();
    open_for_an_hour(&sandbox);
    let state = String::from_utf8(sandbox.bytes("a")).expect("text");
    let since = sandbox.status("a")["since"].as_str().expect("a time").to_owned();
    for time in
        ["9999-12-31T23:59:59.999Z", "2400-01-01T00:00:00.000Z", "1970-01-01T00:00:00.000Z", "0001-01-01T00:00:00.000Z"]
    {
        sandbox.put("a", state.replace(&since, time));
        let status = sandbox.status("a");
        assert_eq!((&status["state"], &status["admits"]), (&"open".into(), &true.into()), "a probe is due");
        sandbox.cb(["status"]).stdout_has("probe due").run();
        sandbox.cb(["check", "a"]).run();
        sandbox.runs("a", &[], 0).stderr("cb: a: closed again: probe succeeded\n").run();
    }
}

#[test]
fn a_clock_that_was_set_back_costs_at_most_one_early_probe() {
    let sandbox = Sandbox::new();
    let options = &["--cooldown", "1h"];
    open_for_an_hour(&sandbox);
    sandbox.shift("a", -7_200_000);
    sandbox.exits("a", options, 1);
    assert_eq!(sandbox.status("a")["reason"], "probe failed: exit 1");
    sandbox.runs("a", options, 75).run();
}

#[test]
fn holds_and_leases_from_another_time_are_over() {
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "a", "--for", "1h"]).run();
    sandbox.cb(["check", "a"]).code(75).run();
    sandbox.shift("a", -7_200_000);
    sandbox.cb(["check", "a"]).run();
    sandbox.runs("a", &[], 0).stderr("cb: a: closed again: probe succeeded\n").run();

    open_for_an_hour(&sandbox);
    sandbox.shift("a", 3_600_000);
    let probe = sandbox.begin("a", &[]);
    sandbox.cb(["check", "a"]).code(75).run();
    sandbox.shift("a", -7_200_000);
    sandbox.cb(["check", "a"]).run();
    probe.ends_saying(0, "cb: a: closed again: probe succeeded\n");
}

#[test]
fn results_dated_after_now_leave_windows() {
    let sandbox = Sandbox::new();
    let options = &["--failure-budget", "5/1h", "--failure-rate", "50", "--window", "1h", "--min-calls", "5"];
    for _ in 0..4 {
        sandbox.exits("a", options, 1);
    }
    assert_eq!(sandbox.status("a")["window"]["calls"], 4);
    sandbox.shift("a", -7_200_000);
    assert_eq!(sandbox.status("a")["window"]["calls"], 0);
    sandbox.exits("a", options, 1);
    assert_eq!(sandbox.status("a")["window"]["calls"], 1);
    assert_eq!(sandbox.state("a"), "closed");
}

// What is no file.

#[test]
fn what_is_not_a_regular_file_is_left_where_it_is() {
    type Make = fn(&Sandbox, &Path);
    let kinds: [(&str, Make); 7] = [
        ("a directory", |_, path| fs::create_dir(path).expect("a directory")),
        ("no regular file", |_, path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).expect("a fifo")),
        ("no regular file", |_, path| drop(std::os::unix::net::UnixListener::bind(path).expect("a socket"))),
        ("a symbolic link", |sandbox, path| {
            fs::write(sandbox.work().join("victim"), "precious").expect("a file");
            symlink(sandbox.work().join("victim"), path).expect("a link");
        }),
        ("a symbolic link", |sandbox, path| symlink(sandbox.work().join("nowhere"), path).expect("a link")),
        ("a symbolic link", |_, path| symlink("/dev/null", path).expect("a link")),
        ("a symbolic link", |_, path| symlink(path, path).expect("a loop")),
    ];
    for (kind, make) in kinds {
        let sandbox = Sandbox::new();
        sandbox.make_state_dir();
        let path = sandbox.state_file("a");
        make(&sandbox, &path);
        let before = fs::symlink_metadata(&path).expect("it is there");
        let error = format!("{} is {kind}, which cb leaves alone; move it away", path.display());
        // Every run warns.
        unguarded(&sandbox, &error);
        unguarded(&sandbox, &error);
        refused(&sandbox, &error);
        sandbox.cb(["check", "a"]).stderr(format!("cb: a: unguarded: {error}\n")).run();
        assert_eq!(sandbox.status("a"), json!({ "name": "a", "error": error, "path": path }));
        sandbox.cb(["reset", "a"]).code(125).stderr(format!("cb: {error}\n")).run();
        sandbox.cb(["trip", "a"]).code(125).stderr(format!("cb: {error}\n")).run();
        let after = fs::symlink_metadata(&path).expect("it is there");
        assert_eq!((after.ino(), after.mode(), after.mtime_nsec()), (before.ino(), before.mode(), before.mtime_nsec()));
        assert_eq!(names_in(&sandbox.state_dir()), ["a.json"]);
        assert!(!sandbox.work().join("nowhere").exists(), "nothing was made through a link");
        if let Ok(text) = fs::read_to_string(sandbox.work().join("victim")) {
            assert_eq!(text, "precious");
        }
    }
}

#[test]
fn a_device_is_not_opened() {
    let sandbox = Sandbox::new();
    sandbox.make_state_dir();
    let path = sandbox.state_file("a");
    // A device cannot be linked here, so root makes another one.
    let made = sandbox.command("mknod", [path.as_os_str(), "c".as_ref(), "1".as_ref(), "3".as_ref()]).spawn().wait();
    if !made.expect("mknod runs").success() {
        eprintln!("skipped: no device can be made here");
        return;
    }
    assert!(fs::symlink_metadata(&path).expect("it is there").file_type().is_char_device());
    unguarded(&sandbox, &format!("{} is no regular file, which cb leaves alone; move it away", path.display()));
}

#[test]
fn names_that_differ_only_in_case_are_an_error_where_they_share_a_file() {
    let sandbox = Sandbox::new();
    used(&sandbox);
    let state = sandbox.bytes("a");
    // As on a file system that does not tell the two names apart.
    fs::hard_link(sandbox.state_file("a"), sandbox.state_file("A")).expect("one file with two names");
    let path = sandbox.state_file("A");
    let error = format!(
        "could not read {}: it belongs to the breaker 'a', and this file system does not tell the two names apart; \
         use that name",
        path.display()
    );
    sandbox.cb(["run", "-n", "A", "--", "echo", "ran"]).code(125).stderr(format!("cb: {error}\n")).run();
    for args in [&["trip", "A"][..], &["check", "A"], &["allow", "A"]] {
        sandbox.cb(args).code(125).stderr(format!("cb: {error}\n")).run();
    }
    assert_eq!(sandbox.bytes("A"), state);
    assert_eq!(names_in(&sandbox.state_dir()), ["A.json", "a.json"]);
}

#[test]
fn a_copy_with_a_name_in_another_case_is_the_state_of_another_breaker() {
    let sandbox = Sandbox::new();
    used(&sandbox);
    let state = sandbox.bytes("a");
    sandbox.put("A", &state);
    let path = sandbox.state_file("A").display().to_string();
    let left = format!("cb: {path} is not the state of A, so it was left alone; to remove it run 'rm {path}'\n");
    sandbox.cb(["remove", "A"]).code(125).stderr(left).run();
    let aside = format!("{path} was not readable (it is the state of another breaker): set aside as A.json.corrupt");
    sandbox.runs("A", &[], 0).stderr(format!("cb: A: {aside}, the breaker starts anew, closed\n")).run();
    sandbox.exits("A", &[], 0);
    assert_eq!(names_in(&sandbox.state_dir()), ["A.json", "A.json.corrupt", "a.json"]);
    assert_eq!(sandbox.bytes("a"), state);
}

#[test]
fn names_that_differ_only_in_case_are_two_breakers() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 1);
    sandbox.exits("A", &[], 0);
    assert_eq!(sandbox.status("a")["consecutive_failures"], 1);
    assert_eq!(sandbox.status("A")["consecutive_failures"], 0);
}

// A breaker that goes while a command runs.

#[test]
fn the_result_of_a_removed_breaker_makes_no_file() {
    let sandbox = Sandbox::new();
    let run = sandbox.begin("a", &["--threshold", "1"]);
    fs::remove_file(sandbox.state_file("a")).expect("it is there");
    run.ends(1);
    assert_eq!(names_in(&sandbox.state_dir()), [""; 0]);
    // It makes no directory either.
    let run = sandbox.begin("a", &["--threshold", "1"]);
    fs::remove_dir_all(sandbox.home().join(".cache")).expect("it is there");
    run.ends(1);
    assert!(!sandbox.home().join(".cache").exists());
}

#[test]
fn a_result_does_not_count_in_a_new_breaker_of_the_same_name() {
    let sandbox = Sandbox::new();
    let run = sandbox.begin("a", &["--threshold", "1"]);
    fs::remove_file(sandbox.state_file("a")).expect("it is there");
    sandbox.exits("a", &[], 0);
    let before = sandbox.bytes("a");
    run.ends(1);
    assert_eq!(sandbox.bytes("a"), before, "not even as late");
}

// What is not stored.

#[test]
fn nothing_of_the_command_or_its_environment_is_stored() {
    let sandbox = Sandbox::new();
    let script = "echo secret-output; echo secret-output >&2; exit \"$1\"";
    for code in ["0", "1", "1", "1", "1", "1", "0"] {
        sandbox
            .cb(["run", "-n", "a", "--", "sh", "-c", script, "sh", code, "secret-argument"])
            .env("TOKEN", "secret-variable")
            .code(code.parse().expect("a code"))
            .stdout("secret-output\n")
            .stderr_has("secret-output\n")
            .run();
        if code == "1" && sandbox.state("a") == "open" {
            sandbox.shift("a", 30_000);
        }
    }
    assert_eq!(names_in(&sandbox.state_dir()), ["a.json"]);
    let text = String::from_utf8(sandbox.bytes("a")).expect("text");
    for secret in ["secret", "TOKEN", "echo", &*sandbox.home().to_string_lossy()] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
}

#[test]
fn every_time_in_a_state_has_the_one_form() {
    let sandbox = Sandbox::new();
    let options = &["--failure-budget", "3/1h", "--window", "1h", "--failure-rate", "90", "--threshold", "5"];
    for code in [0, 1, 0, 1] {
        sandbox.exits("a", options, code);
    }
    sandbox.cb(["trip", "a", "--for", "1h"]).run();
    let before = String::from_utf8(sandbox.bytes("a")).expect("text");
    let after = shift_times(&before, 86_400_000);
    assert_eq!(before.len(), after.len());
    // A year stands only in times, so only times differ.
    let year = &sandbox.status("a")["since"].as_str().expect("a time")[..4].to_owned();
    let times = before.matches(&format!("{year}-")).count();
    assert_eq!(before.matches(year.as_str()).count(), times);
    assert!(times >= 4, "{before}");
}

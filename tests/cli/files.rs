//! The state on disk: whatever is there in place of it, whatever the directory is, whoever holds the lock. The command runs
//! all the same, and one line says what is wrong and what to do.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Begun, NOBODY, Sandbox, have, is_root, shift_times};

/// The state of a breaker that four runs have left behind, closed, as text without its padding.
fn used(sandbox: &Sandbox) -> String {
    for code in [0, 1, 1, 1] {
        sandbox.exits("a", &[], code);
    }
    let bytes = sandbox.bytes("a");
    assert_eq!(bytes.len(), 4096, "a state is one block");
    String::from_utf8(bytes).expect("text").trim_end().to_owned()
}

/// The same as JSON, to change it.
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

/// What is in a directory, sorted.
fn names_in(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .expect("the directory")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .collect();
    names.sort();
    names
}

/// What no longer fits into one breaker's state stays apart from it.
const COMMAND: [&str; 6] = ["run", "-n", "a", "--", "echo", "ran"];

/// A run that must be unguarded, with this as its one warning.
#[track_caller]
fn unguarded(sandbox: &Sandbox, warning: &str) {
    sandbox.cb(COMMAND).stdout("ran\n").stderr(format!("cb: a: unguarded: {warning}\n")).run();
}

/// With `--on-state-error refuse` the same trouble is 125, and nothing is started.
#[track_caller]
fn refused(sandbox: &Sandbox, warning: &str) {
    let args = ["run", "-n", "a", "--on-state-error", "refuse", "--", "echo", "ran"];
    sandbox.cb(args).code(125).stderr(format!("cb: {warning}\n")).run();
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

/// Content that nobody can read: one warning, set aside, and the breaker starts anew. Those who only look leave it alone.
#[track_caller]
fn is_set_aside(content: impl AsRef<[u8]>, why: &str) {
    let sandbox = Sandbox::new();
    sandbox.put("a", &content);
    let path = sandbox.state_file("a");
    let aside = sandbox.state_dir().join("a.json.corrupt");
    let shown = path.display();

    let error = format!("{shown} is not readable: {why}; the next run sets it aside, or remove it yourself");
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
    // Two writes mixed, as after a power cut.
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
    // As a process leaves it that dies between writing the block and shortening the file.
    let sandbox = Sandbox::new();
    used(&sandbox);
    let mut bytes = sandbox.bytes("a");
    bytes.extend_from_slice("  \"tail\": [\"of something larger\n".repeat(100).as_bytes());
    sandbox.put("a", bytes);
    assert_eq!(sandbox.status("a")["consecutive_failures"], 3);
    sandbox.exits("a", &[], 1);
    assert_eq!(sandbox.bytes("a").len(), 4096);
    assert_eq!(names_in(&sandbox.state_dir()), ["a.json"]);
    // It is the breaker's for those too who remove it.
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
    // Not written through a link that somebody has put there.
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
        "{} is not readable (it is not a state of cb) and could not be set aside: Is a directory; remove it",
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
    sandbox.cb(["trip", "a", "--for", "1h"]).run();
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
    // A hard link to a device is out of reach, so it is made anew; only root may.
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
    let state = used(&sandbox);
    // As a file system shows it that does not tell the two names apart.
    sandbox.put("A", &state);
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
    assert_eq!(sandbox.bytes("A"), state.as_bytes());
    assert_eq!(names_in(&sandbox.state_dir()), ["A.json", "a.json"]);
}

#[test]
fn names_that_differ_only_in_case_are_two_breakers() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 1);
    sandbox.exits("A", &[], 0);
    assert_eq!(sandbox.status("a")["consecutive_failures"], 1);
    assert_eq!(sandbox.status("A")["consecutive_failures"], 0);
}

// Access rights.

#[test]
fn files_are_private_whatever_the_umask() {
    for umask in ["000", "022", "077", "277", "777"] {
        let sandbox = Sandbox::unprivileged();
        for _ in 0..2 {
            sandbox.bash(&format!("umask {umask}; exec cb run -n a -- false")).code(1).run();
        }
        assert_eq!(sandbox.status("a")["consecutive_failures"], 2, "umask {umask}");
        assert_eq!(mode(&sandbox.state_file("a")), 0o600, "umask {umask}");
        assert_eq!(mode(&sandbox.state_dir()), 0o700, "umask {umask}");
        assert_eq!(mode(&sandbox.home().join(".cache")), 0o700, "umask {umask}");
    }
}

#[test]
fn the_child_has_the_umask_of_the_caller() {
    let sandbox = Sandbox::new();
    sandbox.bash("umask 027; cb run -n a -- sh -c umask").stdout("0027\n").run();
}

#[test]
fn a_directory_that_is_shared_gives_its_files_to_its_group() {
    let sandbox = Sandbox::new();
    let dir = sandbox.home().join("shared-state");
    fs::create_dir(&dir).expect("a directory");
    // Any group will do where root gives it; others can only give their own.
    if is_root() {
        chown(&dir, None, Some(12_345)).expect("root may");
    }
    fs::set_permissions(&dir, Permissions::from_mode(0o770)).expect("ours");
    let group = fs::metadata(&dir).expect("it is there").gid();
    sandbox.bash("umask 077; cb run -n a --state-dir ../shared-state -- true").run();
    let made = fs::metadata(dir.join("a.json")).expect("the state");
    assert_eq!((made.mode() & 0o7777, made.gid()), (0o660, group));
    // Without the group's right to write nothing is shared.
    fs::set_permissions(&dir, Permissions::from_mode(0o750)).expect("ours");
    sandbox.bash("cb run -n b --state-dir ../shared-state -- true").run();
    assert_eq!(mode(&dir.join("b.json")), 0o600);
}

#[test]
fn a_directory_need_not_be_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let sandbox = Sandbox::new();
    let dir = sandbox.home().join(OsStr::from_bytes(b"\xff"));
    sandbox.cb(["run", "-n", "a", "--", "true"]).env("CB_STATE_DIR", &dir).run();
    fs::write(dir.join("b.json"), "{").expect("a file");
    for command in ["status", "history"] {
        let run = sandbox.cb([command, "--json"]).env("CB_STATE_DIR", &dir).any_stderr();
        run.stdout_has(format!("{}/\u{fffd}/b.json\"", sandbox.home().display())).run();
    }
}

#[test]
fn a_file_that_cannot_be_given_to_the_group_stays_private() {
    if !is_root() {
        eprintln!("skipped: only root can make a directory of a group that is not ours");
        return;
    }
    let sandbox = Sandbox::unprivileged();
    let dir = sandbox.home().join("shared-state");
    fs::create_dir(&dir).expect("a directory");
    chown(&dir, Some(NOBODY), Some(12_345)).expect("root may");
    fs::set_permissions(&dir, Permissions::from_mode(0o770)).expect("root may");
    sandbox.cb(["run", "-n", "a", "--state-dir", "../shared-state", "--", "true"]).run();
    let made = fs::metadata(dir.join("a.json")).expect("the state");
    assert_eq!((made.mode() & 0o7777, made.gid()), (0o600, NOBODY), "not readable by a group that nobody chose");
}

#[test]
fn a_directory_that_everybody_can_write_to_is_not_used() {
    let sandbox = Sandbox::new();
    let dir = sandbox.home().join("open-to-all");
    fs::create_dir(&dir).expect("a directory");
    for bits in [0o777, 0o1777, 0o702] {
        fs::set_permissions(&dir, Permissions::from_mode(bits)).expect("ours");
        let warning = format!(
            "{0} is writable by everybody, who could hold its locks; run 'chmod o-w {0}', or give another --state-dir",
            dir.display()
        );
        sandbox
            .cb(COMMAND)
            .env("CB_STATE_DIR", &dir)
            .stdout("ran\n")
            .stderr(format!("cb: a: unguarded: {warning}\n"))
            .run();
        sandbox.cb(["status"]).env("CB_STATE_DIR", &dir).code(125).stderr(format!("cb: {warning}\n")).run();
        assert_eq!(names_in(&dir), [""; 0]);
    }
    // The advice works.
    sandbox.command("chmod", ["o-w".as_ref(), dir.as_os_str()]).run();
    sandbox.cb(COMMAND).env("CB_STATE_DIR", &dir).stdout("ran\n").run();
    assert_eq!(names_in(&dir), ["a.json"]);
}

#[test]
fn advice_can_be_pasted_whatever_is_in_the_path() {
    let sandbox = Sandbox::new();
    let dir = sandbox.home().join("my \"$HOME\" `x` \\ it's!now");
    fs::create_dir(&dir).expect("a directory");
    fs::set_permissions(&dir, Permissions::from_mode(0o777)).expect("ours");
    let output = sandbox.cb(["status"]).env("CB_STATE_DIR", &dir).code(125).any_stderr().run();
    let said = String::from_utf8(output.stderr).expect("text");
    let (_, advice) = said.split_once("; run '").expect("advice");
    let (advice, _) = advice.rsplit_once("', or ").expect("an end of it");
    // History is expanded as where somebody types.
    let typed = format!("set -o history -H\n{advice}\n");
    fs::write(sandbox.work().join("typed"), typed).expect("a file");
    sandbox.bash("bash <typed").run();
    assert_eq!(fs::metadata(&dir).expect("it is there").mode() & 0o777, 0o775);
}

#[test]
fn the_default_directory_must_not_be_the_groups_either() {
    let sandbox = Sandbox::new();
    sandbox.make_state_dir();
    fs::set_permissions(sandbox.state_dir(), Permissions::from_mode(0o770)).expect("ours");
    let warning = format!(
        "{0} is writable by its group; run 'chmod g-w {0}', or name it with --state-dir to share it",
        sandbox.state_dir().display()
    );
    unguarded(&sandbox, &warning);
    refused(&sandbox, &warning);
    assert_eq!(names_in(&sandbox.state_dir()), [""; 0]);
}

#[test]
fn the_default_directory_must_be_ones_own() {
    if !is_root() {
        eprintln!("skipped: only root can leave a directory behind that is another's");
        return;
    }
    let sandbox = Sandbox::unprivileged();
    sandbox.make_state_dir();
    chown(sandbox.state_dir(), Some(0), Some(0)).expect("root may");
    let shown = sandbox.state_dir().display().to_string();
    let warning = format!(
        "{shown} belongs to another user (0); run 'sudo chown -R {NOBODY} {shown}', or give another --state-dir"
    );
    unguarded(&sandbox, &warning);
    // One that was named may be another's.
    fs::set_permissions(sandbox.state_dir(), Permissions::from_mode(0o755)).expect("root may");
    let dir = sandbox.state_dir();
    sandbox.cb(["status", "--state-dir"].map(AsRef::as_ref).into_iter().chain([dir.as_os_str()])).any_stdout().run();
}

#[test]
fn root_is_not_advised_to_take_a_users_directory() {
    if !is_root() {
        eprintln!("skipped: only root can be root");
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.make_state_dir();
    chown(sandbox.state_dir(), Some(NOBODY), Some(NOBODY)).expect("root may");
    let warning = format!(
        "{} belongs to another user ({NOBODY}); run cb as that user, or give another --state-dir",
        sandbox.state_dir().display()
    );
    unguarded(&sandbox, &warning);
    assert_eq!(names_in(&sandbox.state_dir()), [""; 0]);
}

#[test]
fn left_overs_of_a_run_under_sudo_are_explained() {
    if !is_root() {
        eprintln!("skipped: only root can leave a file behind that is root's");
        return;
    }
    let sandbox = Sandbox::unprivileged();
    sandbox.put("a", "");
    chown(sandbox.state_file("a"), Some(0), Some(0)).expect("root may");
    fs::set_permissions(sandbox.state_file("a"), Permissions::from_mode(0o600)).expect("root may");
    let (path, dir) = (sandbox.state_file("a"), sandbox.state_dir());
    let warning = format!(
        "could not open {}: it belongs to another user (0), perhaps from a run under sudo; run 'sudo chown -R {NOBODY} {}'",
        path.display(),
        dir.display()
    );
    unguarded(&sandbox, &warning);
    refused(&sandbox, &warning);
    sandbox.cb(["trip", "a"]).code(125).stderr(format!("cb: {warning}\n")).run();
    // The advice works, as root.
    chown(&path, Some(NOBODY), Some(NOBODY)).expect("root may");
    sandbox.exits("a", &[], 0);
}

#[test]
fn nobody_is_advised_to_take_what_is_not_theirs() {
    if !is_root() {
        eprintln!("skipped: only root can become a user whose home is not theirs");
        return;
    }
    let sandbox = Sandbox::unprivileged();
    for (home, above) in [("/nonexistent", "/"), ("/usr/sbin", "/usr/sbin")] {
        let why = format!("Permission denied; {above} belongs to another user (0); give --state-dir");
        let warning = format!("could not make the state directory {home}/.cache/cb: {why}");
        sandbox.cb(COMMAND).env("HOME", home).stdout("ran\n").stderr(format!("cb: a: unguarded: {warning}\n")).run();
    }
    // Its own cache, made by root, it may have back.
    let cache = sandbox.home().join(".cache");
    fs::create_dir(&cache).expect("a directory");
    chown(&cache, Some(0), Some(0)).expect("root may");
    let (cache, dir) = (cache.display(), sandbox.state_dir());
    let why = format!("Permission denied; {cache} belongs to another user (0); run 'sudo chown -R {NOBODY} {cache}'");
    unguarded(&sandbox, &format!("could not make the state directory {}: {why}, or give --state-dir", dir.display()));
}

#[test]
fn a_file_that_another_member_of_the_group_made_for_himself_is_his_to_share() {
    if !is_root() {
        eprintln!("skipped: only root can make files of others");
        return;
    }
    let sandbox = Sandbox::unprivileged();
    let dir = sandbox.home().join("shared");
    fs::create_dir(&dir).expect("a directory");
    sandbox.own(&dir);
    fs::set_permissions(&dir, Permissions::from_mode(0o2770)).expect("root may");
    let path = dir.join("a.json");
    fs::write(&path, "").expect("a file");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("root may");
    let shown = path.display();
    let warning = format!("could not open {shown}: it belongs to another user (0), who must run 'chmod 660 {shown}'");
    sandbox
        .cb(COMMAND)
        .env("CB_STATE_DIR", &dir)
        .stdout("ran\n")
        .stderr(format!("cb: a: unguarded: {warning}\n"))
        .run();
}

#[test]
fn a_file_that_somebody_else_could_lock_is_made_private_again() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 0);
    for bits in [0o644, 0o666, 0o640] {
        fs::set_permissions(sandbox.state_file("a"), Permissions::from_mode(bits)).expect("ours");
        sandbox.exits("a", &[], 0);
        assert_eq!(mode(&sandbox.state_file("a")), 0o600);
    }
}

// The directory.

#[test]
fn a_directory_that_is_a_link_is_not_followed() {
    let sandbox = Sandbox::new();
    let elsewhere = sandbox.home().join("elsewhere");
    fs::create_dir(&elsewhere).expect("a directory");
    fs::create_dir(sandbox.home().join(".cache")).expect("a directory");
    symlink(&elsewhere, sandbox.state_dir()).expect("a link");
    let warning = format!(
        "{} is a symbolic link, which cb does not follow; give the directory itself as --state-dir",
        sandbox.state_dir().display()
    );
    unguarded(&sandbox, &warning);
    sandbox.cb(["status"]).code(125).stderr(format!("cb: {warning}\n")).run();
    // A slash, as completion adds it, would look through the link.
    for end in ["/", "//", "/."] {
        let dir = format!("{}{end}", sandbox.state_dir().display());
        sandbox.cb(["status", "--state-dir", &dir]).code(125).stderr(format!("cb: {warning}\n")).run();
        sandbox.cb(["status"]).env("CB_STATE_DIR", dir).code(125).stderr(format!("cb: {warning}\n")).run();
    }
    assert_eq!(names_in(&elsewhere), [""; 0]);
}

#[test]
fn a_directory_below_a_link_is_fine() {
    let sandbox = Sandbox::new();
    let elsewhere = sandbox.home().join("elsewhere");
    fs::create_dir(&elsewhere).expect("a directory");
    symlink(&elsewhere, sandbox.home().join(".cache")).expect("a link");
    sandbox.exits("a", &[], 1);
    assert_eq!(sandbox.status("a")["consecutive_failures"], 1);
    assert_eq!(names_in(&elsewhere.join("cb")), ["a.json"]);
}

#[test]
fn a_directory_that_is_a_file_is_not_used() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.home().join(".cache")).expect("a directory");
    fs::write(sandbox.state_dir(), "precious").expect("a file");
    let shown = sandbox.state_dir().display().to_string();
    unguarded(&sandbox, &format!("{shown} is not a directory; move it away, or give another --state-dir"));
    fs::remove_file(sandbox.state_dir()).expect("it is there");
    fs::remove_dir(sandbox.home().join(".cache")).expect("it is empty");
    fs::write(sandbox.home().join(".cache"), "precious").expect("a file");
    unguarded(&sandbox, &format!("could not look at {shown}: Not a directory; give another --state-dir"));
}

#[test]
fn a_home_in_which_nothing_can_be_made() {
    let sandbox = Sandbox::unprivileged();
    fs::set_permissions(sandbox.home(), Permissions::from_mode(0o500)).expect("ours");
    let shown = sandbox.state_dir().display().to_string();
    let warning =
        format!("could not make the state directory {shown}: Permission denied; make it yourself, or give --state-dir");
    unguarded(&sandbox, &warning);
    refused(&sandbox, &warning);
    sandbox.cb(["trip", "a"]).code(125).stderr(format!("cb: {warning}\n")).run();
    // Where nothing is, nothing is in the way of those who look.
    sandbox.cb(["check", "a"]).run();
    sandbox.cb(["status"]).stdout("no breakers yet; the first 'cb run --name NAME -- COMMAND' makes one\n").run();
}

#[test]
fn a_home_that_is_not_there() {
    let sandbox = Sandbox::unprivileged();
    fs::set_permissions(sandbox.home(), Permissions::from_mode(0o500)).expect("ours");
    let home = sandbox.home().join("absent");
    let warning = format!(
        "could not make the state directory {}/.cache/cb: Permission denied; make it yourself, or give --state-dir",
        home.display()
    );
    sandbox.cb(COMMAND).env("HOME", &home).stdout("ran\n").stderr(format!("cb: a: unguarded: {warning}\n")).run();
}

#[test]
fn a_directory_in_which_nothing_can_be_made() {
    let sandbox = Sandbox::unprivileged();
    sandbox.exits("b", &[], 1);
    fs::set_permissions(sandbox.state_dir(), Permissions::from_mode(0o500)).expect("ours");
    let path = sandbox.state_file("a");
    let warning = format!(
        "could not open {}: Permission denied; check its access rights, or give another --state-dir",
        path.display()
    );
    unguarded(&sandbox, &warning);
    sandbox.exits("b", &[], 1);
    assert_eq!(sandbox.status("b")["consecutive_failures"], 2, "a file that is there is written in place");
}

#[test]
fn a_directory_that_cannot_be_listed() {
    let sandbox = Sandbox::unprivileged();
    sandbox.exits("a", &[], 1);
    fs::set_permissions(sandbox.state_dir(), Permissions::from_mode(0o300)).expect("ours");
    let line = format!(
        "cb: could not list {}: Permission denied; check its access rights, or give another --state-dir\n",
        sandbox.state_dir().display()
    );
    sandbox.cb(["status"]).code(125).stderr(&line).run();
    sandbox.cb(["reset", "--all"]).code(125).stderr(&line).run();
    sandbox.exits("a", &[], 1);
    assert_eq!(sandbox.status("a")["consecutive_failures"], 2, "its files can be used all the same");
}

#[test]
fn a_file_that_can_only_be_read_still_refuses() {
    let sandbox = Sandbox::unprivileged();
    open_for_an_hour(&sandbox);
    fs::set_permissions(sandbox.state_file("a"), Permissions::from_mode(0o400)).expect("ours");
    let before = sandbox.bytes("a");
    sandbox.cb(COMMAND).code(75).run();
    sandbox.cb(["run", "-v", "-n", "a", "--", "echo", "ran"]).code(75).stderr_has("cb: a: refused, it is open").run();
    let warning = format!(
        "could not open {}: Permission denied; check its access rights, or give another --state-dir",
        sandbox.state_file("a").display()
    );
    refused(&sandbox, &warning);
    assert_eq!(sandbox.bytes("a"), before);
    // Once the cool-down is over it lets runs through, and says why nothing is recorded.
    fs::set_permissions(sandbox.state_file("a"), Permissions::from_mode(0o600)).expect("ours");
    sandbox.shift("a", 3_600_000);
    fs::set_permissions(sandbox.state_file("a"), Permissions::from_mode(0o400)).expect("ours");
    unguarded(&sandbox, &warning);
    // And nothing at all can be said of one that cannot be read.
    fs::set_permissions(sandbox.state_file("a"), Permissions::from_mode(0o000)).expect("ours");
    unguarded(&sandbox, &warning);
}

/// Runs a script in a mount namespace of its own, as root there. `false` if this machine does not allow it.
fn can_unshare() -> bool {
    let can = have("unshare")
        && std::process::Command::new("unshare")
            .args(["-Urm", "true"])
            .output()
            .is_ok_and(|output| output.status.success());
    if !can {
        eprintln!("skipped: no mount namespace can be made here");
    }
    can
}

#[test]
fn a_read_only_disk_still_refuses_and_otherwise_runs() {
    if !can_unshare() {
        return;
    }
    let sandbox = Sandbox::new();
    open_for_an_hour(&sandbox);
    sandbox.exits("closed", &[], 1);
    let script = |command: &str| {
        format!(
            "exec unshare -Urm sh -c 'mount --bind \"$HOME/.cache\" \"$HOME/.cache\" && \
             mount -o remount,bind,ro \"$HOME/.cache\" && exec {command}'"
        )
    };
    sandbox.bash(&script("cb run -n a -- echo ran")).code(75).run();
    let warning = |name: &str| {
        format!(
            "cb: {name}: unguarded: could not open {}: Read-only file system; give another --state-dir\n",
            sandbox.state_file(name).display()
        )
    };
    sandbox.bash(&script("cb run -n closed -- echo ran")).stdout("ran\n").stderr(warning("closed")).run();
    sandbox.bash(&script("cb run -n unused -- echo ran")).stdout("ran\n").stderr(warning("unused")).run();
    sandbox.bash(&script("cb status --json")).any_stdout().run();
    sandbox
        .bash(&script("cb trip closed"))
        .code(125)
        .stderr(warning("closed").replace("closed: unguarded: ", ""))
        .run();
}

#[test]
fn a_full_disk_stops_nothing() {
    if !can_unshare() {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.make_state_dir();
    let script = "exec unshare -Urm sh -c '\
        mount -t tmpfs -o size=64k,mode=700 none \"$HOME/.cache/cb\" && cb run -n old -- true && \
        { cat /dev/zero >\"$HOME/.cache/cb/filler\" 2>/dev/null; cb run -n old -- echo old; \
          cb run -n a -- echo ran; cb status old --json; }'";
    let output = sandbox
        .bash(script)
        .any_stdout()
        .stderr(format!(
            "cb: a: unguarded: could not write {}: No space left on device; make room on the disk, \
             or give another --state-dir\n",
            sandbox.state_file("a").display()
        ))
        .run();
    let text = String::from_utf8(output.stdout).expect("text");
    let status = text.strip_prefix("old\nran\n").expect("both have run");
    let status: Value = serde_json::from_str(status).expect("JSON");
    assert_eq!(status["breakers"][0]["totals"]["successes"], 2, "what is there is written in place");
}

#[test]
fn a_file_size_limit_stops_nothing_and_spoils_nothing() {
    let sandbox = Sandbox::new();
    used(&sandbox);
    let before = sandbox.bytes("a");
    let path = sandbox.state_file("a");
    let shown = path.display();
    sandbox
        .bash("ulimit -f 0; exec cb run -n a -- echo ran")
        .stdout("ran\n")
        .stderr(format!(
            "cb: a: unguarded: could not write {shown}: File too large; raise the file size limit (ulimit -f)\n"
        ))
        .run();
    sandbox
        .bash("ulimit -f 1; exec cb run -n a -- echo ran")
        .stdout("ran\n")
        .stderr(format!(
            "cb: a: unguarded: could not write {shown}: only 1024 of 4096 bytes fit; make room on the disk, \
             or raise the file size limit (ulimit -f)\n"
        ))
        .run();
    assert_eq!(sandbox.bytes("a"), before, "half a state was not left behind");
    sandbox.bash("ulimit -f 1; exec cb run -n new -- true").stderr_has("only 1024 of 4096 bytes fit").run();
    sandbox.exits("new", &[], 0);
}

#[test]
fn descriptors_that_are_exhausted_stop_nothing() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 0);
    let path = sandbox.state_file("a");
    sandbox
        // The child is cb too, as it needs no descriptor to start: it is linked statically.
        .bash("ulimit -n 3; exec cb run -n a -- cb --version")
        .stdout(concat!("cb ", env!("CARGO_PKG_VERSION"), "\n"))
        .stderr(format!(
            "cb: a: unguarded: could not open {}: Too many open files; raise the limit on open files (ulimit -n)\n",
            path.display()
        ))
        .run();
}

// Where home is.

#[test]
fn relative_paths_of_the_environment_are_not_used() {
    let sandbox = Sandbox::new();
    sandbox.cb(["run", "-n", "a", "--", "true"]).env("XDG_CACHE_HOME", "relative").run();
    assert_eq!(names_in(&sandbox.state_dir()), ["a.json"]);
    let cache = sandbox.home().join("other-cache");
    sandbox.cb(["run", "-n", "b", "--", "true"]).env("XDG_CACHE_HOME", &cache).run();
    assert_eq!(names_in(&cache.join("cb")), ["b.json"]);
    sandbox.cb(["run", "-n", "c", "--", "true"]).env("XDG_CACHE_HOME", &cache).env("HOME", "relative").run();
    sandbox.cb(["run", "-n", "d", "--", "true"]).env("XDG_CACHE_HOME", &cache).env_remove("HOME").run();
    assert_eq!(names_in(&cache.join("cb")), ["b.json", "c.json", "d.json"]);
    assert_eq!(names_in(&sandbox.work()), [""; 0]);
}

#[test]
fn without_home_the_one_in_passwd_is_used() {
    if !can_unshare() {
        return;
    }
    let sandbox = Sandbox::new();
    let home = sandbox.home().display();
    fs::write(sandbox.work().join("passwd"), format!("root:x:0:0::{home}/of-passwd:/bin/sh\n")).expect("a file");
    fs::create_dir(sandbox.home().join("of-passwd")).expect("a directory");
    for (name, home) in [("unset", "unset HOME"), ("empty", "HOME="), ("relative", "HOME=relative")] {
        let script = format!(
            "exec unshare -Urm sh -c 'mount --bind passwd /etc/passwd && {home} && exec cb run -n {name} -- echo ran'"
        );
        sandbox.bash(&script).stdout("ran\n").run();
    }
    let dir = sandbox.home().join("of-passwd/.cache/cb");
    assert_eq!(names_in(&dir), ["empty.json", "relative.json", "unset.json"]);
    assert_eq!(names_in(&sandbox.work()), ["passwd"]);
}

#[test]
fn without_any_home_the_command_runs() {
    if !can_unshare() {
        return;
    }
    let sandbox = Sandbox::new();
    let script = |command: &str| {
        format!("exec unshare -Urm sh -c 'mount --bind /dev/null /etc/passwd && unset HOME && exec {command}'")
    };
    let why = "there is no home directory to keep the state in; set HOME to an absolute path, or give --state-dir";
    let run = sandbox.bash(&script("cb run -n a -- echo ran"));
    run.stdout("ran\n").stderr(format!("cb: a: unguarded: {why}\n")).run();
    let run = sandbox.bash(&script("cb run -n a --on-state-error refuse -- echo ran"));
    run.code(125).stderr(format!("cb: {why}\n")).run();
    sandbox.bash(&script("cb status")).code(125).stderr(format!("cb: {why}\n")).run();
    sandbox.bash(&script("cb run -n a --state-dir state -- echo ran")).stdout("ran\n").run();
    assert_eq!(names_in(&sandbox.work().join("state")), ["a.json"]);
}

// The lock.

/// A process that holds the lock of a breaker's file until the test lets it go.
fn lock(sandbox: &Sandbox, name: &str) -> Option<Begun> {
    if !have("flock") {
        return None;
    }
    let path = sandbox.state_file(name);
    let script = ["sh", "-c", "echo started; read -r line"].map(AsRef::as_ref);
    Some(sandbox.command("flock", [path.as_os_str()].into_iter().chain(script)).begin())
}

fn locked(sandbox: &Sandbox) -> String {
    format!(
        "could not lock {}: another process holds the lock; 'fuser -v' on the file says which",
        sandbox.state_file("a").display()
    )
}

#[test]
fn a_lock_that_is_not_given_up_delays_a_run_for_two_seconds() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 1);
    let before = sandbox.bytes("a");
    let Some(lock) = lock(&sandbox, "a") else { return };
    let started = Instant::now();
    unguarded(&sandbox, &locked(&sandbox));
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(2), "it waited only {took:?}");
    assert!(took < Duration::from_secs(4), "one wait, not two: {took:?}");
    assert_eq!(sandbox.bytes("a"), before, "it did not try to record");
    refused(&sandbox, &locked(&sandbox));
    sandbox.cb(["reset", "a"]).code(125).stderr(format!("cb: {}\n", locked(&sandbox))).run();
    lock.ends(0);
    sandbox.exits("a", &[], 1);
    assert_eq!(sandbox.status("a")["consecutive_failures"], 2);
}

#[test]
fn those_who_look_do_not_wait_for_the_lock() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 1);
    let Some(lock) = lock(&sandbox, "a") else { return };
    let started = Instant::now();
    assert_eq!(sandbox.status("a")["consecutive_failures"], 1);
    sandbox.cb(["check", "a"]).run();
    sandbox.cb(["status"]).any_stdout().run();
    assert!(started.elapsed() < Duration::from_secs(2), "three answers took {:?}", started.elapsed());
    // Where what is there is unreadable, perhaps for a moment, they wait, but hardly.
    fs::write(sandbox.state_file("a"), "half of somethi").expect("the state file");
    let started = Instant::now();
    sandbox.cb(["check", "a"]).stderr_has("is not readable: it is not a state of cb").run();
    assert!(started.elapsed() < Duration::from_secs(1), "the answer took {:?}", started.elapsed());
    lock.ends(0);
}

#[test]
fn an_open_breaker_refuses_though_its_lock_cannot_be_had() {
    let sandbox = Sandbox::new();
    open_for_an_hour(&sandbox);
    let refused = sandbox.status("a")["totals"]["refused"].clone();
    let Some(lock) = lock(&sandbox, "a") else { return };
    sandbox.cb(COMMAND).code(75).run();
    lock.ends(0);
    assert_eq!(sandbox.status("a")["totals"]["refused"], refused, "without the lock nothing is counted");
}

#[test]
fn a_lock_that_is_held_when_the_command_has_ended_costs_its_result() {
    let sandbox = Sandbox::new();
    let run = sandbox.begin("a", &[]);
    let Some(lock) = lock(&sandbox, "a") else { return };
    run.ends_saying(3, &format!("cb: a: could not record the result: {}\n", locked(&sandbox)));
    lock.ends(0);
    assert_eq!(sandbox.status("a")["totals"]["failures"], 0);
}

/// Waits until a process waits for a lock, as the kernel shows it.
fn until_waiting(pid: u32) {
    let started = Instant::now();
    let pid = pid.to_string();
    let waits = |line: &str| line.contains("-> FLOCK") && line.split_whitespace().any(|word| word == pid);
    while !fs::read_to_string("/proc/locks").expect("the kernel's list of locks").lines().any(waits) {
        assert!(started.elapsed() < Duration::from_secs(60), "it never waited for the lock");
        std::thread::yield_now();
    }
}

#[test]
fn a_file_that_was_replaced_while_one_waited_for_it_is_opened_again() {
    let sandbox = Sandbox::new();
    open_for_an_hour(&sandbox);
    let open = sandbox.bytes("a");
    sandbox.cb(["reset", "a"]).run();
    let closed = sandbox.bytes("a");
    let Some(lock) = lock(&sandbox, "a") else { return };
    let old = File::open(sandbox.state_file("a")).expect("the state file");
    let run = sandbox.cb(COMMAND).spawn();
    until_waiting(run.id());
    fs::remove_file(sandbox.state_file("a")).expect("it is there");
    sandbox.put("a", &open);
    lock.ends(0);
    let output = run.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(75), 0), "the new file says that it is open");
    let mut left = Vec::new();
    std::io::Read::read_to_end(&mut &old, &mut left).expect("the old file");
    assert_eq!(left, closed, "the old file was not written");
    assert_eq!(sandbox.status("a")["totals"]["refused"], 1);
}

#[test]
fn waiters_are_served_when_the_lock_is_free() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 1);
    let Some(lock) = lock(&sandbox, "a") else { return };
    let runs: Vec<_> = (0..5).map(|_| sandbox.runs("a", &["--threshold", "100"], 1).spawn()).collect();
    for run in &runs {
        until_waiting(run.id());
    }
    lock.ends(0);
    for run in runs {
        let output = run.wait_with_output().expect("it ends");
        assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(1), ""));
    }
    assert_eq!(sandbox.status("a")["consecutive_failures"], 6);
}

// A breaker that goes while a command runs.

#[test]
fn the_result_of_a_removed_breaker_makes_no_file() {
    let sandbox = Sandbox::new();
    let run = sandbox.begin("a", &["--threshold", "1"]);
    fs::remove_file(sandbox.state_file("a")).expect("it is there");
    run.ends(1);
    assert_eq!(names_in(&sandbox.state_dir()), [""; 0]);
    // Nor a directory.
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
    // What differs is only times: a year is nowhere else.
    let year = &sandbox.status("a")["since"].as_str().expect("a time")[..4].to_owned();
    let times = before.matches(&format!("{year}-")).count();
    assert_eq!(before.matches(year.as_str()).count(), times);
    assert!(times >= 4, "{before}");
}

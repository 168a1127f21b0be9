//! What a probe holds where the kernel cannot lock a byte of a file (WSL 1, old gVisor): a file of its own. The fault
//! is injected per process, so that processes with and without such locks meet in one directory.
//! See cb-contract(7) 1.27 and 5.20.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::strace::can_trace;
use crate::support::{Begun, CB, Run, Sandbox, names_in, pick};

const CLOSED: &str = "cb: a: closed again: probe succeeded\n";

/// `cb` with these arguments on a kernel that answers every request for the lock of a byte with this error.
fn without(sandbox: &Sandbox, error: &str, args: &[&str]) -> Run {
    let inject = format!("inject=fcntl:error={error}");
    let words = ["-qqq", "-o", "/dev/null", "-e", "trace=fcntl", "-e", &inject, CB];
    sandbox.command("strace", words.into_iter().chain(args.iter().copied()))
}

/// A run on such a kernel, or on this one.
fn run(sandbox: &Sandbox, error: Option<&str>, options: &[&str], script: &str) -> Run {
    let args = [&["run", "-n", "a"], options, &["--", "sh", "-c", script]].concat();
    match error {
        Some(error) => without(sandbox, error, &args),
        None => sandbox.cb(args),
    }
}

/// The same for a probe that is still running.
#[track_caller]
fn probe(sandbox: &Sandbox, error: Option<&str>, options: &[&str]) -> Begun {
    let script = r#"echo "started${CB_PROBE+ $CB_PROBE}"; read -r code; exit "$code""#;
    let begun = run(sandbox, error, options, script).begin();
    assert!(begun.probe);
    begun
}

/// A breaker whose next run is a probe.
fn due() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.open_by("a", &["--cooldown", "1h"], 1);
    sandbox.shift("a", 3_600_000);
    sandbox
}

/// The files of the probes of `a`.
fn files(sandbox: &Sandbox) -> Vec<String> {
    let of_a = |name: &String| name.strip_prefix("a.probe.").is_some_and(|rest| !rest.contains(".json"));
    names_in(&sandbox.state_dir()).into_iter().filter(of_a).collect()
}

/// Kills the `cb` of a probe, which the state tells of; what it has started and what traces it go with it.
#[track_caller]
fn kill(sandbox: &Sandbox, probe: Begun) {
    let pid = sandbox.status("a")["probes"][0]["pid"].as_u64().expect("a probe");
    sandbox.bash(&format!("kill -KILL {pid}")).run();
    drop(probe.wait());
}

#[test]
fn a_probe_has_a_file_for_its_life() {
    if !can_trace() {
        return;
    }
    for error in ["EINVAL", "ENOSYS", "ENOLCK", "EOPNOTSUPP"] {
        let sandbox = due();
        let probe = probe(&sandbox, Some(error), &[]);
        let [file] = &*files(&sandbox) else { panic!("{:?}", names_in(&sandbox.state_dir())) };
        let mode = fs::metadata(sandbox.state_dir().join(file)).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(file.ends_with('p'), "{file} ends with the permit of a probe");
        // No command takes the file for a breaker, and every command takes its holder for alive.
        let listed = sandbox.cb(["status", "--json"]).any_stdout().run();
        let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("JSON");
        assert_eq!(listed["breakers"].as_array().map(Vec::len), Some(1));
        for asker in [Some(error), None] {
            run(&sandbox, asker, &[], "echo ran").code(75).run();
        }
        assert_eq!(sandbox.status("a")["probes"].as_array().map(Vec::len), Some(1));
        probe.ends_saying(0, CLOSED);
        assert_eq!(names_in(&sandbox.state_dir()), ["a.json"]);
    }
}

#[test]
fn a_probe_that_is_killed_frees_its_place_at_once_for_all() {
    if !can_trace() {
        return;
    }
    for next in [Some("EINVAL"), None] {
        let sandbox = due();
        kill(&sandbox, probe(&sandbox, Some("EINVAL"), &[]));
        // Those who only look see it too, and remove nothing.
        assert_eq!(sandbox.status("a")["admits"], true);
        without(&sandbox, "EINVAL", &["check", "a"]).run();
        assert_eq!(files(&sandbox).len(), 1);
        run(&sandbox, next, &[], "exit 0").stderr(CLOSED).run();
        let status = sandbox.status("a");
        assert_eq!(pick(&status, ["state", "totals.abandoned"]), serde_json::json!(["closed", 1]));
        assert_eq!(names_in(&sandbox.state_dir()), ["a.json"]);
    }
}

#[test]
fn a_place_lasts_until_its_lease_is_over_where_nobody_can_tell() {
    if !can_trace() {
        return;
    }
    let sandbox = due();
    let probe = probe(&sandbox, None, &["--lease", "1h"]);
    assert_eq!(files(&sandbox), [""; 0], "it holds a byte");
    kill(&sandbox, probe);
    run(&sandbox, Some("EINVAL"), &[], "echo ran").code(75).run();
    sandbox.shift("a", 3_600_000);
    run(&sandbox, Some("EINVAL"), &[], "exit 0").stderr(CLOSED).run();
}

#[test]
fn what_the_dead_have_left_is_removed_by_the_next_probe_and_with_the_breaker() {
    if !can_trace() {
        return;
    }
    let sandbox = due();
    sandbox.cb(["-q", "trip", "a.probe.x"]).run();
    let late = probe(&sandbox, Some("EINVAL"), &["--lease", "1m"]);
    let stale = files(&sandbox);
    // The place goes to another probe.
    sandbox.shift("a", 60_000);
    let next = probe(&sandbox, Some("EINVAL"), &["--lease", "1h"]);
    assert_eq!(files(&sandbox).len(), 2);
    late.ends(0);
    assert!(!sandbox.state_dir().join(&stale[0]).exists(), "who ends takes its own file away");
    kill(&sandbox, next);
    // As left by a probe that was killed after the state had forgotten it.
    fs::write(sandbox.state_dir().join(&stale[0]), "").expect("a file");
    let left = files(&sandbox);
    assert_eq!(left.len(), 2);
    let last = probe(&sandbox, Some("EINVAL"), &[]);
    let there = files(&sandbox);
    assert!(there.len() == 1 && !left.contains(&there[0]), "its own alone: {there:?}");
    without(&sandbox, "EINVAL", &["remove", "a"]).run();
    assert_eq!(names_in(&sandbox.state_dir()), ["a.probe.x.json"]);
    last.ends(0);
    assert_eq!(names_in(&sandbox.state_dir()), ["a.probe.x.json"]);
}

#[test]
fn remove_takes_the_files_of_probes_along() {
    if !can_trace() {
        return;
    }
    let sandbox = due();
    kill(&sandbox, probe(&sandbox, Some("EINVAL"), &[]));
    assert_eq!(files(&sandbox).len(), 1);
    sandbox.cb(["remove", "a"]).run();
    assert_eq!(names_in(&sandbox.state_dir()), [""; 0]);
}

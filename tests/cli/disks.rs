//! Disks that are full or forbid writing, limits that are reached, and users that the system does not know.
//! See cb-contract(7) 3.19, 3.20, 3.24 and 5.7.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::namespace::may_unshare;
use crate::support::{Run, Sandbox, have, is_root, linked_statically};

/// A script with a small disk in place of the state directory, of this size and with so many files.
fn on_a_disk(sandbox: &Sandbox, options: &str, script: &str) -> Run {
    sandbox.make_state_dir();
    let mount = format!("mount -t tmpfs -o mode=700,{options} none \"$HOME/.cache/cb\"");
    sandbox.bash(&format!("exec unshare -Urm bash -c '{mount} || exit; {script}'"))
}

const FULL: &str = "No space left on device; make room on the disk, or give another --state-dir";

#[test]
fn a_whole_outage_on_a_full_disk() {
    if !may_unshare(&["-Urm"]) {
        return;
    }
    let sandbox = Sandbox::new();
    // The state exists before the disk is full, and is then written in place.
    let script = "
        set -- run -n a --threshold 2 --cooldown 1h --
        cb \"$@\" true
        cat /dev/zero >\"$HOME/.cache/cb/filler\" 2>/dev/null
        cb \"$@\" false; cb \"$@\" false
        cb \"$@\" true; echo refused $?
        cb trip a --for 0; cb \"$@\" false; echo probe $?
        cb trip a --for 0; cb \"$@\" true; echo probe $?
        cb trip a --reason disk; echo trip $?
        cb run -n a -- echo not reached; echo held $?
        cb reset a; echo reset $?
        cb trip new; echo new $?
        cb run -n other -- echo unguarded
        cb status a --json
    ";
    let path = |name: &str| sandbox.state_file(name).display().to_string();
    let output = on_a_disk(&sandbox, "size=64k", script)
        .any_stdout()
        .stderr_like(format!(
            "cb: a: opened: 2 failures in a row: exit 1; next try in 1h (<time>), or now with 'cb reset a'\n\
             cb: a: closed again: probe succeeded\n\
             cb: could not write {}: {FULL}\n\
             cb: other: unguarded: could not write {}: {FULL}\n",
            path("new"),
            path("other"),
        ))
        .run();
    let text = String::from_utf8(output.stdout).expect("text");
    let told = "refused 75\nprobe 1\nprobe 0\ntrip 0\nheld 75\nreset 0\nnew 125\nunguarded\n";
    let status = text.strip_prefix(told).unwrap_or_else(|| panic!("{text}\nbegins with\n{told}"));
    let status: Value = serde_json::from_str(status).expect("JSON");
    let totals = &status["breakers"][0]["totals"];
    let counted = ["admitted", "successes", "failures", "refused", "opened"].map(|key| &totals[key]);
    assert_eq!(counted.map(Value::as_u64), [5, 2, 3, 2, 3].map(Some));
}

#[test]
fn a_disk_without_room_for_another_file() {
    if !may_unshare(&["-Urm"]) {
        return;
    }
    let sandbox = Sandbox::new();
    // The directory itself, one breaker, and nothing else.
    let script = "cb run -n old -- false; cb run -n new -- echo unguarded; cb run -n old -- false; \
                  cb run -n new --on-state-error refuse -- echo not reached; echo new $?; cb status --json";
    let path = sandbox.state_file("new").display().to_string();
    let output = on_a_disk(&sandbox, "nr_inodes=2", script)
        .any_stdout()
        .stderr(format!("cb: new: unguarded: could not open {path}: {FULL}\ncb: could not open {path}: {FULL}\n"))
        .run();
    let text = String::from_utf8(output.stdout).expect("text");
    let status = text.strip_prefix("unguarded\nnew 125\n").expect("what the commands say");
    let status: Value = serde_json::from_str(status).expect("JSON");
    assert_eq!(status["breakers"].as_array().map(Vec::len), Some(1));
    assert_eq!(status["breakers"][0]["consecutive_failures"], 2);
}

#[test]
fn a_disk_without_room_for_the_directory() {
    if !may_unshare(&["-Urm"]) {
        return;
    }
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.home().join(".cache")).expect("a directory");
    let script = "exec unshare -Urm bash -c 'mount -t tmpfs -o nr_inodes=1 none \"$HOME/.cache\" && \
                  exec cb run -n a -- echo unguarded'";
    let stderr = format!(
        "cb: a: unguarded: could not make the state directory {}: No space left on device; make room on the disk, \
         or give another --state-dir\n",
        sandbox.state_dir().display()
    );
    sandbox.bash(script).stdout("unguarded\n").stderr(stderr).run();
}

#[test]
fn a_read_only_disk_keeps_holds_and_lets_due_probes_run() {
    if !may_unshare(&["-Urm"]) {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.open_by("due", &["--cooldown", "1h"], 1);
    sandbox.shift("due", 3_600_000);
    sandbox.cb(["-q", "trip", "held", "--for", "1h"]).run();
    sandbox.cb(["-q", "trip", "disabled"]).run();
    sandbox.cb(["disable", "disabled"]).run();
    let before = ["due", "held", "disabled"].map(|name| sandbox.bytes(name));
    let script = |command: &str| {
        format!(
            "exec unshare -Urm bash -c 'mount --bind \"$HOME/.cache\" \"$HOME/.cache\" && \
             mount -o remount,bind,ro \"$HOME/.cache\" && exec {command}'"
        )
    };
    let unguarded = |name: &str| {
        let path = sandbox.state_file(name).display().to_string();
        format!("cb: {name}: unguarded: could not open {path}: Read-only file system; give another --state-dir\n")
    };
    for name in ["due", "disabled"] {
        // No run is a probe, as none can take a place.
        let command = format!("cb run -n {name} -- bash -c \"echo \\${{CB_PROBE-none}}; exit 3\"");
        sandbox.bash(&script(&command)).code(3).stdout("none\n").stderr(unguarded(name)).run();
    }
    sandbox.bash(&script("cb run -n held -- echo ran")).code(75).run();
    sandbox.bash(&script("cb run -n held --on-state-error refuse -- echo ran")).code(125).any_stderr().run();
    sandbox.bash(&script("cb check held")).code(75).run();
    sandbox.bash(&script("cb check due")).run();
    assert_eq!(["due", "held", "disabled"].map(|name| sandbox.bytes(name)), before);
}

#[test]
fn a_read_only_disk_still_refuses_and_otherwise_runs() {
    if !may_unshare(&["-Urm"]) {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.open_by("a", &["--cooldown", "1h"], 1);
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
    if !may_unshare(&["-Urm"]) {
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
    for code in [0, 1, 1, 1] {
        sandbox.exits("a", &[], code);
    }
    let before = sandbox.bytes("a");
    assert_eq!(before.len(), 4096, "a state is one block");
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
    // The child is cb too: a static program needs no descriptor to start.
    if !linked_statically() {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 0);
    let path = sandbox.state_file("a");
    sandbox
        .bash("ulimit -n 3; exec cb run -n a -- cb --version")
        .stdout(concat!("cb ", env!("CARGO_PKG_VERSION"), "\n"))
        .stderr(format!(
            "cb: a: unguarded: could not open {}: Too many open files; raise the limit on open files (ulimit -n)\n",
            path.display()
        ))
        .run();
}

/// A path that nobody can change, not even root, until this is dropped.
struct Immutable<'a>(&'a Path);

impl<'a> Immutable<'a> {
    /// `None` where this is not possible: it needs root and a file system that supports it.
    fn new(path: &'a Path) -> Option<Self> {
        if !have("chattr") {
            return None;
        }
        let made = Command::new("chattr").arg("+i").arg(path).output().is_ok_and(|output| output.status.success());
        if !made {
            eprintln!("skipped: nothing can be made immutable here");
        }
        made.then_some(Self(path))
    }
}

impl Drop for Immutable<'_> {
    fn drop(&mut self) {
        drop(Command::new("chattr").arg("-i").arg(self.0).output());
    }
}

#[test]
fn an_immutable_state_refuses_and_otherwise_stops_nothing() {
    let sandbox = Sandbox::new();
    sandbox.open_by("open", &["--cooldown", "1h"], 1);
    sandbox.exits("closed", &[], 1);
    for (name, code, stdout) in [("open", 75, ""), ("closed", 0, "ran\n")] {
        let path = sandbox.state_file(name);
        let Some(immutable) = Immutable::new(&path) else { return };
        let sudo = if is_root() { "" } else { "sudo " };
        let trouble = format!(
            "could not open {0}: Operation not permitted; if it is immutable run '{sudo}chattr -ia {0}', or give another \
             --state-dir\n",
            path.display()
        );
        let stderr = if code == 75 { String::new() } else { format!("cb: {name}: unguarded: {trouble}") };
        sandbox.cb(["run", "-n", name, "--", "echo", "ran"]).code(code).stdout(stdout).stderr(stderr).run();
        sandbox.cb(["reset", name]).code(125).stderr(format!("cb: {trouble}")).run();
        drop(immutable);
    }
    sandbox.exits("closed", &[], 1);
    assert_eq!(sandbox.status("closed")["consecutive_failures"], 2);
}

#[test]
fn an_immutable_directory_keeps_the_breakers_it_has() {
    let sandbox = Sandbox::new();
    sandbox.exits("old", &[], 1);
    let dir = sandbox.state_dir();
    let Some(immutable) = Immutable::new(&dir) else { return };
    sandbox.exits("old", &[], 1);
    assert_eq!(sandbox.status("old")["consecutive_failures"], 2);
    let sudo = if is_root() { "" } else { "sudo " };
    let stderr = format!(
        "cb: new: unguarded: could not open {}: Operation not permitted; if it is immutable run '{sudo}chattr -ia {}', \
         or give another --state-dir\n",
        sandbox.state_file("new").display(),
        dir.display()
    );
    sandbox.runs("new", &[], 3).stderr(stderr).run();
    sandbox.cb(["remove", "old"]).code(125).stderr_has("could not remove").run();
    drop(immutable);
    sandbox.cb(["remove", "old"]).run();
}

#[test]
fn a_user_of_whom_the_system_knows_nothing() {
    const STRANGER: u32 = 54_321;
    if !is_root() {
        eprintln!("skipped: only root can become a user that is in no passwd");
        return;
    }
    let sandbox = Sandbox::unprivileged();
    fs::set_permissions(sandbox.home(), Permissions::from_mode(0o755)).expect("ours");
    let as_stranger = |args: &[&str]| {
        let run = sandbox.cb(args.iter().copied()).env_remove("HOME").env_remove("LOGNAME");
        run.with(|command| {
            command.uid(STRANGER).gid(STRANGER);
        })
    };
    let why = "there is no home directory to keep the state in; set HOME to an absolute path, or give --state-dir";
    let run = ["run", "-n", "a", "--", "sh", "-c", "id -u; exit 3"];
    as_stranger(&run).code(3).stdout("54321\n").stderr(format!("cb: a: unguarded: {why}\n")).run();
    as_stranger(&["reset", "a"]).code(125).stderr(format!("cb: {why}\n")).run();
    // With a named directory the run is guarded, and the user is known by number.
    let dir = sandbox.home().join("states");
    fs::create_dir(&dir).expect("a directory");
    std::os::unix::fs::chown(&dir, Some(STRANGER), Some(STRANGER)).expect("root may give things away");
    let named = dir.to_str().expect("text");
    let command = as_stranger(&run).env("CB_STATE_DIR", named);
    command.code(3).stdout("54321\n").run();
    as_stranger(&["trip", "a"]).env("CB_STATE_DIR", named).run();
    let output = as_stranger(&["status", "a", "--json"]).env("CB_STATE_DIR", named).any_stdout().run();
    let status: Value = serde_json::from_slice(&output.stdout).expect("status prints JSON");
    let status = &status["breakers"][0];
    assert_eq!((&status["totals"]["failures"], &status["hold"]["by"]), (&1.into(), &"54321".into()));
    assert!(dir.join("a.json").exists());
}

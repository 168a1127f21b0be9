//! The cases that a wrapper around a command must get right, most of them from the tests of other wrappers.
//! See cb-contract(7) 3.1 to 3.16.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde::Deserialize;

use crate::support::namespace::may_unshare;
use crate::support::{CB, Run, Sandbox, have};

/// One case of `cases/wrapper.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    id: String,
    /// What a wrapper must support for this case to concern it. `cb` supports all of it.
    needs: Vec<String>,
    /// What a shell runs first.
    #[serde(default)]
    setup: String,
    /// What a shell runs, where `{CB}` is the wrapper with its options.
    cmd_template: String,
    expect_status: i32,
    expect_stdout: Option<String>,
    expect_stderr_contains: Option<String>,
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "notes")]
    _notes: Option<String>,
}

/// What a case may ask of a wrapper.
const KNOWN: [&str; 5] = ["core", "timeout", "kill-after", "signal", "open"];
/// The programs in the cases that may be missing.
const TOOLS: [&str; 3] = ["ps", "script", "setsid"];
/// How long a case may take. Most take no time, none takes more than a second.
const LONGEST: Duration = Duration::from_secs(60);
/// How many cases run at the same time, as most of them wait.
const AT_ONCE: usize = 4;

impl Case {
    fn uses(&self, program: &str) -> bool {
        self.cmd_template.split(|letter: char| !letter.is_ascii_alphanumeric()).any(|word| word == program)
    }

    /// Runs it, and says what was wrong.
    fn run(&self) -> Result<(), String> {
        if !TOOLS.iter().filter(|tool| self.uses(tool)).all(|tool| have(tool)) {
            return Ok(());
        }
        let sandbox = Sandbox::new();
        if self.id.starts_with("open-") {
            sandbox.cb(["-q", "trip", "t"]).run();
        }
        // By its path: some cases change the PATH.
        let cb = format!("'{CB}' run --name t");
        let script = format!("{}; {}", self.setup, self.cmd_template.replace("{CB}", &cb));
        let script = script.trim_start_matches("; ");
        // Without HOME the state is in the user's home by `/etc/passwd`, which must then be our own.
        let homeless = self.cmd_template.contains("env -i");
        let Some(run) = (if homeless { homeless_bash(&sandbox, script) } else { Some(sandbox.bash(script)) }) else {
            return Ok(());
        };
        // A wrapper that hangs is wrong, and is left behind.
        let (send, receive) = mpsc::channel();
        let child = run.spawn();
        thread::spawn(move || send.send(child.wait_with_output()));
        let output = receive.recv_timeout(LONGEST).map_err(|_| format!("{}: {script}\n  it hangs", self.id))?;
        let output = output.expect("its output");
        let code = output.status.code().or(output.status.signal().map(|signal| 128 + signal));
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let right = code == Some(self.expect_status)
            && self.expect_stdout.as_ref().is_none_or(|text| *text == stdout)
            && self.expect_stderr_contains.as_ref().is_none_or(|text| stderr.contains(text));
        // Every case is guarded, except those that make no use of `cb`.
        let guarded = sandbox.state_file("t").exists();
        if right && guarded == (self.expect_status != 125) {
            return Ok(());
        }
        Err(format!(
            "{}: {script}\n  status {code:?}, stdout {stdout:?}, stderr {stderr:?}, guarded {guarded}",
            self.id
        ))
    }
}

/// A script for bash where `/etc/passwd` says that the sandbox is the user's home. `None` where that cannot be arranged.
fn homeless_bash(sandbox: &Sandbox, script: &str) -> Option<Run> {
    if !may_unshare(&["--user", "--map-root-user", "--mount"]) {
        return None;
    }
    let home = sandbox.home().display();
    fs::write(sandbox.home().join("passwd"), format!("root:x:0:0::{home}:/bin/sh\n")).expect("a passwd");
    let script = format!("mount --bind ~/passwd /etc/passwd || exit 99\n{script}");
    Some(sandbox.command("unshare", ["--user", "--map-root-user", "--mount", "bash", "-c", &script]))
}

#[test]
fn every_case_of_other_wrappers_holds() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("../cases/wrapper.json")).expect("tests/cases/wrapper.json");
    assert!(!cases.is_empty(), "tests/cases/wrapper.json has no cases");
    for case in &cases {
        let unknown: Vec<_> = case.needs.iter().filter(|need| !KNOWN.contains(&need.as_str())).collect();
        assert!(unknown.is_empty() && !case.needs.is_empty(), "{} needs {unknown:?}", case.id);
        assert!(case.cmd_template.contains("{CB}"), "{} does not run {{CB}}", case.id);
    }
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut wrong = Vec::new();
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            wrong.extend(case.run().err());
        }
        wrong
    };
    let wrong: Vec<String> = thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker")).collect()
    });
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

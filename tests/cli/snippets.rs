//! Shell to be copied, from the README and the manual, is right in every shell and mode into which it may be pasted: it
//! records how a step ended even where `set -e` ends the shell, and frees a probe's place.
//! See cb-contract(7) 4.8 and 4.9.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::support::{Run, Sandbox, have, pick};

const MINUTE: i64 = 60_000;

/// The modes of a script.
const SHELLS: [&[&str]; 4] = [&["sh"], &["sh", "-eu"], &["bash"], &["bash", "-euo", "pipefail"]];

/// A text that asks the breaker and reports, or looks at a status.
struct Snippet {
    file: &'static str,
    /// Its first line.
    begins: &'static str,
    /// Its breaker.
    breaker: &'static str,
    /// What calls it, where it is a function.
    call: &'static str,
    /// Its output and exit code after a step with this exit code; 75 is a refusal.
    ends: fn(i32) -> (&'static str, i32),
}

/// The status of the step, and nothing printed.
fn as_the_step(code: i32) -> (&'static str, i32) {
    ("", code)
}

const SNIPPETS: [Snippet; 5] = [
    Snippet { file: "README.md", begins: "guarded() (", breaker: "api", call: "guarded", ends: as_the_step },
    Snippet {
        file: "man/prose/cb-allow.md",
        begins: "permit=$(cb allow api) || exit",
        breaker: "api",
        call: "",
        ends: as_the_step,
    },
    Snippet { file: "man/prose/cb-allow.md", begins: "set -o pipefail", breaker: "db", call: "", ends: |_| ("", 0) },
    Snippet {
        file: "man/prose/cb-record.md",
        begins: "permit=$(cb allow api) || exit",
        breaker: "api",
        call: "",
        ends: as_the_step,
    },
    Snippet {
        file: "man/prose/cb-run.md",
        begins: "status=0",
        breaker: "api",
        call: "",
        ends: |code| match code {
            0 => ("done\n", 0),
            75 => ("later\n", 0),
            _ => ("failed\n", 0),
        },
    },
];

/// The texts of a page that stand in a fence for a shell, or are indented.
fn texts(page: &str) -> Vec<String> {
    let mut texts = vec![String::new()];
    let mut fence = None;
    for line in page.lines() {
        let code = match (fence, line.strip_prefix("```")) {
            (None, Some(language)) => {
                fence = Some(language);
                None
            }
            (Some(_), Some(_)) => {
                fence = None;
                None
            }
            (Some("sh" | "bash"), None) => Some(line),
            (Some(_), None) => None,
            (None, None) => line.strip_prefix("    "),
        };
        match code {
            Some(code) => texts.last_mut().expect("there is one").extend([code, "\n"]),
            None => texts.push(String::new()),
        }
    }
    texts.retain(|text| !text.is_empty());
    texts
}

/// Every text that looks at an exit status or reports one: the file, and the text.
fn judging() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let prose = fs::read_dir(root.join("man/prose")).expect("the manual");
    let prose = prose.map(|entry| format!("man/prose/{}", entry.expect("a page").file_name().to_str().expect("text")));
    let mut files: Vec<_> = prose.chain(["README.md".to_owned()]).collect();
    files.sort();
    let all = files.into_iter().flat_map(|file| {
        let page = fs::read_to_string(root.join(&file)).expect("a page");
        texts(&page).into_iter().map(move |text| (file.clone(), text))
    });
    all.filter(|(_, text)| text.contains("$?") || text.contains("cb record") && text.contains("cb allow")).collect()
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[test]
fn every_text_that_judges_is_tried() {
    let found: Vec<_> = judging().into_iter().filter(|(_, text)| !text.starts_with("#!")).collect();
    let found: Vec<_> = found.iter().map(|(file, text)| (file.as_str(), first_line(text))).collect();
    assert_eq!(found, SNIPPETS.each_ref().map(|snippet| (snippet.file, snippet.begins)));
}

#[test]
fn a_step_is_recorded_in_every_shell_and_mode() {
    let judging = judging();
    for shell in SHELLS {
        for snippet in &SNIPPETS {
            let found = judging.iter().find(|(file, text)| file == snippet.file && first_line(text) == snippet.begins);
            let text = &found.expect("there is such a text").1;
            if text.contains("pipefail") && shell[0] == "sh" {
                // Not every sh has this option.
                continue;
            }
            Trial { shell, snippet, text, sandbox: Sandbox::new() }.run();
        }
    }
}

/// One text in one shell.
struct Trial<'a> {
    shell: &'a [&'a str],
    snippet: &'a Snippet,
    text: &'a str,
    sandbox: Sandbox,
}

impl Trial<'_> {
    fn run(&self) {
        let Self { snippet, sandbox, .. } = self;
        let name = snippet.breaker;
        // A step may be a function or a program.
        for program in ["sync", "pg_dump"] {
            sandbox.script(program, "exit \"$(cat ~/status)\"");
        }
        fs::rename(sandbox.home().join("bin/sync"), sandbox.work().join("sync")).expect("a script");
        self.step(0).run();
        self.counted([1, 0], "closed");
        self.step(7).run();
        self.counted([1, 1], "closed");
        // A failed probe gives its place back, so the next one gets it.
        sandbox.cb(["trip", name, "--for", "0"]).run();
        self.step(7).run();
        self.counted([1, 2], "open");
        self.step(75).run();
        sandbox.shift(name, MINUTE);
        self.step(0).stderr(format!("cb: {name}: closed again: probe succeeded\n")).run();
        self.counted([2, 2], "closed");
        assert_eq!(sandbox.status(name)["totals"]["abandoned"], 0);
    }

    /// Runs the text with a step of this exit code; 75 is a refusal.
    fn step(&self, code: i32) -> Run {
        let Self { shell, snippet, text, sandbox } = self;
        fs::write(sandbox.home().join("status"), code.to_string()).expect("a status");
        let step = "sh -c \"exit $(cat ~/status)\" || return; :";
        let script = format!("step() {{ {step}; }}\nfetch_all_pages() {{ {step}; }}\n{text}{}\n", snippet.call);
        let (stdout, ends) = (snippet.ends)(code);
        sandbox.command(shell[0], shell[1..].iter().chain(&["-c", &script])).stdout(stdout).code(ends)
    }

    #[track_caller]
    fn counted(&self, [successes, failures]: [u64; 2], state: &str) {
        let status = self.sandbox.status(self.snippet.breaker);
        let seen = pick(&status, ["totals.successes", "totals.failures", "state", "probes"]);
        assert_eq!(seen, json!([successes, failures, state, []]), "{:?}: {}", self.shell, self.text);
    }
}

#[test]
fn a_step_that_ends_the_shell_is_recorded_as_it_ended() {
    for shell in [["sh", "-eu"], ["bash", "-eu"]] {
        for step in ["false; echo never", "exit 3", "echo \"$unset\""] {
            let sandbox = Sandbox::new();
            let judging = judging();
            let guarded = &judging.iter().find(|(file, _)| file == "README.md").expect("it is there").1;
            let script = format!("step() {{ {step}; }}\n{guarded}guarded\necho never\n");
            let output = sandbox.command(shell[0], [shell[1], "-c", &script]).output();
            assert!(!output.status.success() && output.stdout.is_empty(), "{shell:?} {step}: {output:?}");
            let counted = pick(&sandbox.status("api"), ["totals.failures", "last.exit_code"]);
            let code = output.status.code().expect("an exit");
            // 127 is how bash ends by an unset variable, and no failure.
            assert_eq!(counted, json!([u8::from(code != 127), code]), "{shell:?} {step}");
        }
    }
}

/// A program sets its own mode, but its text may be pasted into a script with another mode.
#[test]
fn the_retry_around_the_breaker_is_right_in_every_mode() {
    if !have("bash") {
        return;
    }
    let all = judging();
    let fetch = &all.iter().find(|(_, text)| text.lines().nth(1) == Some("# fetch URL")).expect("it is there").1;
    for shell in SHELLS {
        let sandbox = Sandbox::new();
        sandbox.script("curl", "echo tried; exit 7");
        sandbox.script("sleep", "");
        let run = || sandbox.command(shell[0], shell[1..].iter().chain(&["-c", fetch, "fetch", "http://localhost/"]));
        run().code(7).stdout("tried\n".repeat(4)).run();
        let output = run().any_stderr().any_stdout().code(75).run();
        assert_eq!(String::from_utf8(output.stdout).expect("text"), "tried\n", "{shell:?}: the fifth opens it");
    }
}

//! `cb metrics`: what Prometheus reads.
//! See cb-contract(7) 4.21.

use std::fmt::Write as _;
use std::fs;

use crate::support::{Sandbox, have};

const MINUTE: i64 = 60_000;

/// One breaker as the metrics must show it.
struct Expected {
    name: &'static str,
    state: &'static str,
    /// success, failure, ignored, late, abandoned
    runs: [u32; 5],
    refused: u32,
    opened: u32,
    retry: &'static str,
    /// Whether a result was ever recorded.
    ran: bool,
}

impl Expected {
    fn unused(name: &'static str) -> Self {
        Self { name, state: "closed", runs: [0; 5], refused: 0, opened: 0, retry: "0", ran: false }
    }
}

/// The whole text. The time of the last result is that of `cb status`.
fn render(sandbox: &Sandbox, breakers: &[Expected]) -> String {
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, samples: &dyn Fn(&Expected) -> Vec<(String, String)>| {
        writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("text");
        for breaker in breakers {
            for (label, value) in samples(breaker) {
                writeln!(text, "{name}{{name=\"{}\"{label}}} {value}", breaker.name).expect("text");
            }
        }
    };
    family("cb_state", "gauge", "The state of the breaker: 1 for the one it is in.", &|breaker| {
        let state = |word: &str| (format!(",state=\"{word}\""), u8::from(word == breaker.state).to_string());
        ["closed", "open", "half_open"].map(state).to_vec()
    });
    family("cb_runs_total", "counter", "Runs let through, by what they counted as.", &|breaker| {
        let outcomes = ["success", "failure", "ignored", "late", "abandoned"];
        let sample = |(word, count): (&str, u32)| (format!(",outcome=\"{word}\""), count.to_string());
        outcomes.into_iter().zip(breaker.runs).map(sample).collect()
    });
    let plain = |value: String| vec![(String::new(), value)];
    family("cb_refused_total", "counter", "Runs not let through.", &|breaker| plain(breaker.refused.to_string()));
    family("cb_opened_total", "counter", "How often the breaker opened, reopenings included.", &|breaker| {
        plain(breaker.opened.to_string())
    });
    family(
        "cb_retry_seconds",
        "gauge",
        "Time until a run may be let through; 0 now, +Inf not before a reset.",
        &|breaker| plain(breaker.retry.to_owned()),
    );
    family("cb_last_run_timestamp_seconds", "gauge", "When the last result was recorded, in Unix time.", &|breaker| {
        if !breaker.ran {
            return Vec::new();
        }
        let at = sandbox.status(breaker.name)["last"]["at"].clone();
        let at = humantime::parse_rfc3339(at.as_str().expect("a time")).expect("a time");
        let since = at.duration_since(std::time::SystemTime::UNIX_EPOCH).expect("after 1970");
        plain(format!("{}.{:03}", since.as_secs(), since.subsec_millis()))
    });
    text
}

/// Breakers in every state, with metrics that do not depend on the time.
fn every_state(sandbox: &Sandbox) -> Vec<Expected> {
    // Closed, with one result of each kind.
    for code in [0, 0, 1, 125] {
        sandbox.exits("closed", &[], code);
    }
    let late = sandbox.begin("closed", &[]);
    sandbox.cb(["reset", "closed"]).run();
    late.ends(0);
    // Disabled, and open below.
    sandbox.cb(["-q", "trip", "db:5432"]).run();
    sandbox.cb(["disable", "db:5432"]).run();
    // Open with a probe due.
    sandbox.runs("due", &["--threshold", "1"], 1).any_stderr().run();
    sandbox.runs("due", &[], 0).code(75).run();
    sandbox.shift("due", MINUTE);
    // Half-open with a free place, after a probe was given up.
    sandbox.cb(["-q", "trip", "half.open", "--for", "0"]).run();
    sandbox.cb(["allow", "half.open"]).any_stdout().run();
    sandbox.shift("half.open", MINUTE);
    sandbox.cb(["allow", "half.open", "--probes", "2"]).any_stdout().run();
    sandbox.shift("half.open", MINUTE);
    sandbox.cb(["allow", "half.open"]).any_stdout().run();
    sandbox.shift("half.open", MINUTE);
    // Held open without end.
    sandbox.cb(["-q", "trip", "held@host"]).run();
    sandbox.runs("held@host", &[], 0).code(75).run();
    sandbox.runs("held@host", &[], 0).code(75).run();
    vec![
        Expected { runs: [2, 1, 1, 1, 0], ran: true, ..Expected::unused("closed") },
        Expected { state: "open", opened: 1, ..Expected::unused("db:5432") },
        Expected { state: "open", runs: [0, 1, 0, 0, 0], refused: 1, opened: 1, ran: true, ..Expected::unused("due") },
        Expected { state: "half_open", runs: [0, 0, 0, 0, 2], opened: 1, ..Expected::unused("half.open") },
        Expected { state: "open", refused: 2, opened: 1, retry: "+Inf", ..Expected::unused("held@host") },
    ]
}

#[test]
fn every_state_has_its_exact_text() {
    let sandbox = Sandbox::new();
    let expected = every_state(&sandbox);
    sandbox.cb(["metrics"]).stdout(render(&sandbox, &expected)).run();
}

#[test]
fn without_breakers_there_are_the_families_alone() {
    let sandbox = Sandbox::new();
    sandbox.cb(["metrics"]).stdout(render(&sandbox, &[])).run();
    assert!(!sandbox.state_dir().exists(), "it writes nothing");
}

#[test]
fn a_breaker_of_the_configuration_counts_before_its_first_run() {
    let sandbox = Sandbox::new();
    sandbox.configure("[breakers.planned]\nthreshold = 3\n");
    sandbox.cb(["metrics"]).stdout(render(&sandbox, &[Expected::unused("planned")])).run();
}

/// The seconds until a run may be let through.
fn retry_seconds(sandbox: &Sandbox) -> String {
    let text = String::from_utf8(sandbox.cb(["metrics"]).any_stdout().run().stdout).expect("text");
    let value = text.lines().find_map(|line| line.strip_prefix("cb_retry_seconds{name=\"a\"} "));
    value.expect("the metric").to_owned()
}

#[test]
fn the_time_to_the_next_try_is_that_of_the_cool_down_the_hold_or_the_probe() {
    let near = |actual: String, expected: f64| {
        let actual: f64 = actual.parse().expect("a number");
        assert!(actual <= expected && actual > expected - 60.0, "{actual} for {expected}");
    };
    let sandbox = Sandbox::new();
    sandbox.runs("a", &["--threshold", "1", "--cooldown", "10m"], 1).any_stderr().run();
    near(retry_seconds(&sandbox), 600.0);
    sandbox.shift("a", 5 * MINUTE);
    near(retry_seconds(&sandbox), 300.0);
    sandbox.cb(["trip", "a", "--for", "2h"]).run();
    near(retry_seconds(&sandbox), 7200.0);
    sandbox.cb(["trip", "a", "--for", "0"]).run();
    assert_eq!(retry_seconds(&sandbox), "0");
    // A probe keeps its place until its lease is over at most.
    sandbox.cb(["allow", "a", "--lease", "20m"]).any_stdout().run();
    near(retry_seconds(&sandbox), 1200.0);
    sandbox.shift("a", 20 * MINUTE);
    assert_eq!(retry_seconds(&sandbox), "0");
}

#[test]
fn what_cannot_be_read_is_left_out_and_said() {
    let sandbox = Sandbox::new();
    sandbox.exits("broken", &[], 0);
    sandbox.cb(["-q", "trip", "a"]).run();
    let path = sandbox.state_file("broken");
    fs::write(&path, r#"{"version":2,"name":"broken"}"#).expect("a file");
    let a = Expected { state: "open", opened: 1, retry: "+Inf", ..Expected::unused("a") };
    sandbox
        .cb(["metrics"])
        .stdout(render(&sandbox, &[a]))
        .stderr(format!(
            "cb: broken: left out: could not read {path}: it was written by a newer cb (its version is 2, this cb \
             knows 1); update cb, or forget the breaker with 'cb remove broken'\n",
            path = path.display()
        ))
        .run();
}

#[test]
fn promtool_has_nothing_to_say() {
    if !have("promtool") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.bash("cb metrics | promtool check metrics").run();
    every_state(&sandbox);
    sandbox.bash("cb metrics | promtool check metrics").run();
}

#[test]
fn it_is_fit_for_the_textfile_collector() {
    let sandbox = Sandbox::new();
    let expected = every_state(&sandbox);
    sandbox.bash("cb metrics > cb.prom.new && mv cb.prom.new cb.prom").run();
    let text = fs::read_to_string(sandbox.work().join("cb.prom")).expect("a file");
    assert_eq!(text, render(&sandbox, &expected));
    sandbox
        .bash("cb metrics > /dev/full")
        .code(125)
        .stderr("cb: could not write to standard output: No space left on device\n")
        .run();
}

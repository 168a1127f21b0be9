//! Settings: each does what it says, wherever it is given, and the stronger place wins.
//! See cb-contract(7) 1.9 to 1.30, 1.46, 2.2 to 2.5, 3.8, 3.13 to 3.16, 3.21, 3.27 and 4.24 to 4.28.

use std::fmt::Debug;
use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::support::{CB, Run, Sandbox, millis};

/// The effect of a setting must differ without it, and be the same whether an option, `[defaults]` or the breaker's own
/// table gives it. `observe` gets a fresh sandbox and the options for its runs of breaker `a`; `fixed` are options that
/// are always there.
#[track_caller]
fn proves<T: Debug + PartialEq>(
    (key, value): (&str, &str),
    fixed: &[&str],
    observe: impl Fn(&Sandbox, &[&str]) -> T,
    without: &T,
    with: &T,
) {
    assert_ne!(without, with, "a test that cannot fail");
    assert_eq!(observe(&Sandbox::new(), fixed), *without, "without {key}");
    let option = format!("--{key}={value}");
    let options: Vec<&str> = fixed.iter().copied().chain([option.as_str()]).collect();
    assert_eq!(observe(&Sandbox::new(), &options), *with, "with {option}");
    for table in ["defaults", "breakers.a"] {
        let sandbox = Sandbox::new();
        sandbox.configure(&format!("[{table}]\n{key} = \"{value}\"\n"));
        assert_eq!(observe(&sandbox, fixed), *with, "with {key} in [{table}]");
    }
    let sandbox = Sandbox::new();
    sandbox.configure(&format!("[breakers.b]\n{key} = \"{value}\"\n"));
    assert_eq!(observe(&sandbox, fixed), *without, "with {key} in another's table");
}

/// Runs with these exit codes, and the state afterwards.
fn state_after(sandbox: &Sandbox, options: &[&str], codes: &[i32]) -> String {
    for &code in codes {
        sandbox.runs("a", options, code).any_stderr().run();
    }
    sandbox.state("a")
}

/// How many failures open the breaker; 0 if twelve do not.
fn failures_to_open(sandbox: &Sandbox, options: &[&str]) -> usize {
    (1..=12).find(|_| state_after(sandbox, options, &[1]) == "open").unwrap_or(0)
}

/// Opens the breaker, whatever its settings, and lets every cool-down pass.
fn due(sandbox: &Sandbox, options: &[&str]) {
    for _ in 0..5 {
        sandbox.runs("a", options, 1).any_stderr().run();
    }
    sandbox.shift("a", 86_400_000);
    assert_eq!((sandbox.state("a").as_str(), &sandbox.status("a")["admits"]), ("open", &true.into()));
}

/// How long the breaker stays open, in milliseconds.
fn cooldown(sandbox: &Sandbox) -> u64 {
    let status = sandbox.status("a");
    millis(&status["retry_at"]) - millis(&status["since"])
}

// Tripping

#[test]
fn threshold() {
    proves(("threshold", "2"), &[], failures_to_open, &5, &2);
    proves(("threshold", "1"), &[], failures_to_open, &5, &1);
    proves(("threshold", "0"), &["--trip-codes", "9"], failures_to_open, &5, &0);
}

#[test]
fn failure_rate() {
    let fixed = &["--threshold=100", "--slow-rate=100", "--slow-after=1h", "--window=4", "--min-calls=4"];
    let observe = |sandbox: &Sandbox, options: &[&str]| state_after(sandbox, options, &[0, 0, 1, 1]);
    proves(("failure-rate", "50"), fixed, observe, &"closed".into(), &"open".into());
    proves(("failure-rate", "50%"), fixed, observe, &"closed".into(), &"open".into());
    // The rate is not reached, and not judged after a good result.
    let sandbox = Sandbox::new();
    let options = &["--failure-rate", "51", "--window", "4", "--min-calls", "4"];
    assert_eq!(state_after(&sandbox, options, &[0, 0, 1, 1]), "closed");
    let sandbox = Sandbox::new();
    let options = &["--failure-rate", "50", "--window", "4", "--min-calls", "4"];
    assert_eq!(state_after(&sandbox, options, &[1, 1, 0, 0]), "closed");
}

#[test]
fn window_of_calls() {
    let fixed = &["--failure-rate", "50", "--min-calls", "2"];
    let observe = |sandbox: &Sandbox, options: &[&str]| state_after(sandbox, options, &[0, 0, 0, 0, 0, 1]);
    proves(("window", "2"), fixed, observe, &"closed".into(), &"open".into());
}

#[test]
fn window_of_time() {
    let fixed = &["--failure-rate", "50"];
    let observe = |sandbox: &Sandbox, options: &[&str]| {
        sandbox.exits("a", options, 1);
        sandbox.shift("a", 3_600_000);
        sandbox.exits("a", options, 1);
        sandbox.status("a")["window"]["calls"].clone()
    };
    proves(("window", "1h"), fixed, observe, &json!(2), &json!(1));
}

#[test]
fn min_calls() {
    proves(("min-calls", "3"), &["--failure-rate", "50"], failures_to_open, &10, &3);
    // A number above the count window means the whole window.
    proves(("min-calls", "30"), &["--failure-rate", "50", "--window", "11"], failures_to_open, &10, &11);
}

#[test]
fn slow_after() {
    let observe = |sandbox: &Sandbox, options: &[&str]| {
        due(sandbox, options);
        state_after(sandbox, options, &[0])
    };
    proves(("slow-after", "0s"), &[], observe, &"closed".into(), &"open".into());
}

#[test]
fn slow_rate() {
    let fixed = &["--slow-after", "0s", "--min-calls", "2"];
    let observe = |sandbox: &Sandbox, options: &[&str]| state_after(sandbox, options, &[0, 0]);
    proves(("slow-rate", "50"), fixed, observe, &"closed".into(), &"open".into());
}

#[test]
fn failure_budget() {
    let fixed = &["--threshold", "100"];
    let observe = |sandbox: &Sandbox, options: &[&str]| state_after(sandbox, options, &[1, 0, 1]);
    proves(("failure-budget", "2/1h"), fixed, observe, &"closed".into(), &"open".into());
    let late = |sandbox: &Sandbox, options: &[&str]| {
        sandbox.exits("a", options, 1);
        sandbox.shift("a", 1_800_000);
        state_after(sandbox, options, &[1])
    };
    proves(("failure-budget", "2/1h"), fixed, late, &"closed".into(), &"open".into());
    let too_late = |sandbox: &Sandbox, options: &[&str]| {
        sandbox.exits("a", options, 1);
        sandbox.shift("a", 3_600_000);
        state_after(sandbox, options, &[1])
    };
    assert_eq!(too_late(&Sandbox::new(), &["--failure-budget", "2/1h"]), "closed");
}

#[test]
fn trip_codes() {
    let observe = |sandbox: &Sandbox, options: &[&str]| state_after(sandbox, options, &[22]);
    for list in ["22", "1,20-30", "22,SIGTERM,timeout"] {
        proves(("trip-codes", list), &[], observe, &"closed".into(), &"open".into());
    }
    let sandbox = Sandbox::new();
    sandbox
        .runs("a", &["--trip-codes", "22"], 22)
        .stderr_like("cb: a: opened: a trip code: exit 22; next try in 30s (<time>), or now with 'cb reset a'\n")
        .run();
}

#[test]
fn another_rule_switches_the_threshold_off() {
    for rule in [
        &["--failure-rate=100", "--min-calls=1000"][..],
        &["--failure-budget=100/1h"],
        &["--slow-rate=100", "--slow-after=1h"],
    ] {
        assert_eq!(failures_to_open(&Sandbox::new(), rule), 0, "{rule:?}");
        let both: Vec<&str> = rule.iter().copied().chain(["--threshold=3"]).collect();
        assert_eq!(failures_to_open(&Sandbox::new(), &both), 3, "{rule:?} and a threshold");
        let sandbox = Sandbox::new();
        sandbox.configure("[defaults]\nthreshold = 4\n");
        assert_eq!(failures_to_open(&sandbox, rule), 4, "{rule:?} and a threshold of the configuration");
    }
    let sandbox = Sandbox::new();
    sandbox.configure("[defaults]\nfailure-budget = \"100/1h\"\n");
    assert_eq!(failures_to_open(&sandbox, &[]), 0);
    // These are no rules.
    assert_eq!(failures_to_open(&Sandbox::new(), &["--slow-after=1h"]), 5);
    assert_eq!(failures_to_open(&Sandbox::new(), &["--min-calls=1"]), 5);
}

/// A window for this breaker must have an effect; a window for many breakers is for those with a rate.
#[test]
fn a_window_of_which_no_rate_is_taken() {
    let idle = "it is the window of failure-rate and slow-rate, and neither is set; for 3 failures in 5 minutes write \
                --failure-budget 3/5m";
    let sandbox = Sandbox::new();
    for options in [&["--window=5m"][..], &["--window=50", "--threshold=3"], &["--window=5m", "--failure-budget=3/5m"]]
    {
        sandbox.runs("a", options, 125).stderr(format!("cb: --window: {idle}\n")).run();
    }
    for command in ["allow", "record"] {
        let outcome = if command == "record" { Some("failure") } else { None };
        let words = [command, "a", "--window=5m"].into_iter().chain(outcome);
        sandbox.cb(words).code(125).stderr(format!("cb: --window: {idle}\n")).run();
    }
    let path = sandbox.configure("[breakers.a]\nwindow = \"5m\"\n");
    let line = format!("cb: {}:2: window: {idle}\n", path.display());
    sandbox.runs("a", &[], 125).stderr(&*line).run();
    sandbox.cb(["config"]).code(125).stderr(&*line).run();
    sandbox.exits("a", &["--failure-rate=50"], 0);
    // The rate is one of those last used.
    sandbox.cb(["record", "a", "failure", "--window=5m"]).run();
    for table in ["defaults", "breakers.\"*\""] {
        sandbox.configure(&format!("[{table}]\nwindow = \"5m\"\n[breakers.b]\nslow-rate = 50\nslow-after = 1\n"));
        sandbox.exits("c", &[], 0);
        sandbox.exits("c", &["--threshold=3"], 0);
        sandbox.cb(["config"]).any_stdout().run();
        sandbox.exits("b", &[], 0);
        assert_eq!(sandbox.status("b")["settings"]["window_ms"], 300_000);
    }
}

// Recovery

#[test]
fn cool_down() {
    let observe = |sandbox: &Sandbox, options: &[&str]| {
        assert_eq!(state_after(sandbox, options, &[1; 5]), "open");
        cooldown(sandbox)
    };
    proves(("cooldown", "1h"), &[], observe, &30_000, &3_600_000);
    proves(("cooldown", "0.25"), &[], observe, &30_000, &250);
}

/// The cool-downs of the opening and of three reopenings in a row.
fn cooldowns(sandbox: &Sandbox, options: &[&str]) -> Vec<u64> {
    assert_eq!(state_after(sandbox, options, &[1; 5]), "open");
    let mut all = vec![cooldown(sandbox)];
    for _ in 0..3 {
        sandbox.shift("a", 86_400_000);
        assert_eq!(state_after(sandbox, options, &[1]), "open");
        all.push(cooldown(sandbox));
    }
    all
}

#[test]
fn backoff() {
    proves(("backoff", "3"), &[], cooldowns, &vec![30_000; 4], &vec![30_000, 90_000, 270_000, 810_000]);
    proves(("backoff", "1.5"), &[], cooldowns, &vec![30_000; 4], &vec![30_000, 45_000, 67_500, 101_250]);
    // Closing resets it.
    let sandbox = Sandbox::new();
    let options = &["--backoff", "3"];
    assert_eq!(cooldowns(&sandbox, options)[3], 810_000);
    sandbox.shift("a", 86_400_000);
    assert_eq!(state_after(&sandbox, options, &[0, 1, 1, 1, 1, 1]), "open");
    assert_eq!(cooldown(&sandbox), 30_000);
}

#[test]
fn max_cooldown() {
    let fixed = &["--backoff", "10"];
    let by_itself = vec![30_000, 300_000, 3_000_000, 3_600_000];
    proves(("max-cooldown", "40s"), fixed, cooldowns, &by_itself, &vec![30_000, 40_000, 40_000, 40_000]);
    proves(("max-cooldown", "2h"), fixed, cooldowns, &by_itself, &vec![30_000, 300_000, 3_000_000, 7_200_000]);
    // Where the cool-down is longer than the built-in limit, it is the limit.
    assert_eq!(cooldowns(&Sandbox::new(), &["--backoff", "10", "--cooldown", "2h"]), [7_200_000; 4]);
}

#[test]
fn jitter() {
    let observe = |sandbox: &Sandbox, options: &[&str]| {
        let all = cooldowns(sandbox, options);
        assert!(all.iter().all(|span| (30_000..=60_000).contains(span)), "{all:?}");
        all.iter().all(|&span| span == 30_000)
    };
    proves(("jitter", "100"), &[], observe, &true, &false);
    proves(("jitter", "100%"), &[], observe, &true, &false);
    let all = cooldowns(&Sandbox::new(), &["--jitter", "10"]);
    assert!(all.iter().all(|span| (30_000..=33_000).contains(span)), "{all:?}");
    assert!(all.iter().any(|&span| span != all[0]), "each is drawn anew: {all:?}");
}

#[test]
fn probes() {
    let observe = |sandbox: &Sandbox, options: &[&str]| {
        due(sandbox, options);
        let ask = || sandbox.cb(["allow", "a"].into_iter().chain(options.iter().copied())).output();
        (0..20).take_while(|_| ask().status.success()).count()
    };
    proves(("probes", "3"), &[], observe, &1, &3);
    proves(("probes", "16"), &[], observe, &1, &16);
}

#[test]
fn probe_successes() {
    let observe = |sandbox: &Sandbox, options: &[&str]| {
        due(sandbox, options);
        [0, 0].map(|code| state_after(sandbox, options, &[code]))
    };
    proves(
        ("probe-successes", "2"),
        &[],
        observe,
        &["closed", "closed"].map(String::from),
        &["half_open", "closed"].map(String::from),
    );
    let sandbox = Sandbox::new();
    let options = &["--probe-successes", "2"];
    due(&sandbox, options);
    sandbox.exits("a", options, 0);
    sandbox.runs("a", options, 0).stderr("cb: a: closed again: 2 probes succeeded\n").run();
}

#[test]
fn probe_failures() {
    let observe = |sandbox: &Sandbox, options: &[&str]| {
        due(sandbox, options);
        let first = state_after(sandbox, options, &[1]);
        if first == "open" {
            return vec![first];
        }
        vec![first, state_after(sandbox, options, &[1])]
    };
    let (without, with) = (vec!["open".to_owned()], vec!["half_open".to_owned(), "open".to_owned()]);
    proves(("probe-failures", "2"), &[], observe, &without, &with);
}

/// Whether a run would be let through when a probe has run for so long.
fn admits_after(sandbox: &Sandbox, options: &[&str], millis: i64) -> Value {
    due(sandbox, options);
    let mut probe = sandbox.begin("a", options);
    sandbox.shift("a", millis);
    let admits = sandbox.status("a")["admits"].clone();
    probe.kill();
    admits
}

#[test]
fn backoff_reset() {
    let fixed = &["--threshold", "1", "--backoff", "2"];
    let observe = |sandbox: &Sandbox, options: &[&str]| {
        assert_eq!(state_after(sandbox, options, &[1]), "open");
        sandbox.shift("a", 30_000);
        assert_eq!(state_after(sandbox, options, &[0]), "closed");
        sandbox.shift("a", 1_800_000);
        assert_eq!(state_after(sandbox, options, &[1]), "open");
        cooldown(sandbox)
    };
    proves(("backoff-reset", "1h"), fixed, observe, &30_000, &60_000);
    assert_eq!(observe(&Sandbox::new(), &[&fixed[..], &["--backoff-reset", "30m"]].concat()), 30_000);
}

#[test]
fn ramp() {
    let observe = |sandbox: &Sandbox, options: &[&str]| {
        due(sandbox, options);
        assert_eq!(state_after(sandbox, options, &[0]), "closed");
        sandbox.shift("a", 3_600_000);
        sandbox.runs("a", options, 0).output().status.code()
    };
    proves(("ramp", "36500d"), &[], observe, &Some(0), &Some(75));
    assert_eq!(observe(&Sandbox::new(), &["--ramp", "1h"]), Some(0), "it is over");
}

#[test]
fn max_retry_after() {
    let observe = |sandbox: &Sandbox, options: &[&str]| {
        sandbox.exits("a", options, 0);
        sandbox.cb(["trip", "a", "--for", "2h"]).env("CB_NAME", "a").any_stderr().run();
        cooldown(sandbox)
    };
    proves(("max-retry-after", "90s"), &[], observe, &3_600_000, &90_000);
    proves(("max-retry-after", "90m"), &[], observe, &3_600_000, &5_400_000);
    proves(("max-retry-after", "0"), &[], observe, &3_600_000, &30_000);
}

#[test]
fn lease() {
    let after = |millis| move |sandbox: &Sandbox, options: &[&str]| admits_after(sandbox, options, millis);
    proves(("lease", "10m"), &[], after(600_000), &json!(false), &json!(true));
    proves(("lease", "2h"), &[], after(3_600_000), &json!(true), &json!(false));
}

#[test]
fn the_lease_follows_from_the_limits() {
    let after = |millis| move |sandbox: &Sandbox, options: &[&str]| admits_after(sandbox, options, millis);
    // The default is the limit + kill-after + 10 s.
    proves(("timeout", "10m"), &[], after(610_000), &json!(false), &json!(true));
    proves(("probe-timeout", "10m"), &["--timeout", "2h"], after(610_000), &json!(false), &json!(true));
    proves(("kill-after", "20m"), &["--timeout", "10m"], after(660_000), &json!(true), &json!(false));
    proves(("healthy-after", "2h"), &[], after(7_200_000), &json!(true), &json!(false));
}

// What counts

/// What a run with this exit code counted as.
fn outcome(sandbox: &Sandbox, options: &[&str], code: i32) -> Value {
    sandbox.runs("a", options, code).run();
    sandbox.status("a")["last"]["outcome"].clone()
}

#[test]
fn success_codes() {
    let of = |code| move |sandbox: &Sandbox, options: &[&str]| outcome(sandbox, options, code);
    proves(("success-codes", "0,22"), &[], of(22), &json!("failure"), &json!("success"));
    proves(("success-codes", "20-29"), &[], of(22), &json!("failure"), &json!("success"));
    proves(("success-codes", "127"), &[], of(127), &json!("ignored"), &json!("success"));
}

#[test]
fn failure_codes() {
    let of = |code| move |sandbox: &Sandbox, options: &[&str]| outcome(sandbox, options, code);
    proves(("failure-codes", "22"), &[], of(1), &json!("failure"), &json!("ignored"));
    proves(("failure-codes", "127"), &[], of(127), &json!("ignored"), &json!("failure"));
    proves(("failure-codes", "0"), &[], of(0), &json!("success"), &json!("failure"));
}

#[test]
fn ignore_codes() {
    let of = |code| move |sandbox: &Sandbox, options: &[&str]| outcome(sandbox, options, code);
    proves(("ignore-codes", "22"), &[], of(22), &json!("failure"), &json!("ignored"));
    proves(("ignore-codes", "0"), &[], of(0), &json!("success"), &json!("ignored"));
    let killed = |sandbox: &Sandbox, options: &[&str]| {
        let args = ["run", "-n", "a"].iter().chain(options).chain(&["--", "sh", "-c", "kill -TERM $$"]);
        sandbox.cb(args).code(143).run();
        sandbox.status("a")["last"]["outcome"].clone()
    };
    proves(("ignore-codes", "SIGTERM"), &[], killed, &json!("failure"), &json!("ignored"));
}

// Conduct and limits

#[test]
fn open_exit_code() {
    let observe = |sandbox: &Sandbox, options: &[&str]| {
        sandbox.cb(["-q", "trip", "a"]).run();
        let args = ["run", "-n", "a"].iter().chain(options).chain(&["--", "true"]);
        sandbox.cb(args).spawn().wait().expect("it ends").code()
    };
    for code in [0, 1, 123, 255] {
        proves(("open-exit-code", &code.to_string()), &[], observe, &Some(75), &Some(code));
    }
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "a"]).run();
    sandbox.runs("a", &["-E", "9"], 9).run();
    // The fallback is for refused runs alone.
    sandbox.runs("b", &["-E", "9"], 0).run();
}

#[test]
fn on_state_error() {
    let observe = |sandbox: &Sandbox, options: &[&str]| {
        sandbox.make_state_dir();
        fs::create_dir(sandbox.state_file("a")).expect("a directory in its place");
        let args = ["run", "-n", "a"].iter().chain(options).chain(&["--", "true"]);
        sandbox.cb(args).spawn().wait().expect("it ends").code()
    };
    proves(("on-state-error", "refuse"), &[], observe, &Some(0), &Some(125));
}

#[test]
fn observe() {
    let observe = |sandbox: &Sandbox, options: &[&str]| {
        sandbox.cb(["-q", "trip", "a"]).run();
        let args = ["run", "-n", "a"].iter().chain(options).chain(&["--", "true"]);
        sandbox.cb(args).spawn().wait().expect("it ends").code()
    };
    proves(("observe", "true"), &[], observe, &Some(75), &Some(0));
}

#[test]
fn limits_of_time() {
    let run = |script: &'static str| {
        move |sandbox: &Sandbox, options: &[&str]| {
            let child = ["--", "sh", "-c", script];
            let args = ["run", "-n", "a"].iter().chain(options).chain(&child);
            let ended = sandbox.cb(args).spawn().wait().expect("it ends");
            std::os::unix::process::ExitStatusExt::signal(&ended).map_or(ended.code(), |signal| Some(128 + signal))
        }
    };
    proves(("timeout", "0.05"), &[], run("exec sleep 0.5"), &Some(0), &Some(124));
    let limited = &["--timeout", "0.05"];
    proves(("signal", "KILL"), limited, run("exec sleep 60"), &Some(124), &Some(137));
    proves(("preserve-status", "true"), limited, run("exec sleep 60"), &Some(124), &Some(143));
    // The child ignores TERM from its birth, so it cannot be too late to do so.
    let deaf = |sandbox: &Sandbox, options: &[&str]| {
        let run = ["--ignore-signal=TERM", CB, "run", "-n", "a"];
        let args = run.iter().chain(options).chain(&["--", "sleep", "0.5"]);
        sandbox.command("env", args).spawn().wait().expect("it ends").code()
    };
    proves(("kill-after", "0.05"), limited, deaf, &Some(124), &Some(137));
}

#[test]
fn the_limit_of_a_probe() {
    let observe = |sandbox: &Sandbox, options: &[&str]| {
        due(sandbox, options);
        let args = ["run", "-n", "a"].iter().chain(options).chain(&["--", "sleep", "0.5"]);
        sandbox.cb(args).spawn().wait().expect("it ends").code()
    };
    proves(("probe-timeout", "0.05"), &["--timeout", "1h"], observe, &Some(0), &Some(124));
}

// Where settings come from

/// The threshold in force, by `cb config a`.
#[track_caller]
fn threshold_of(run: Run) -> String {
    let output = run.any_stdout().run();
    let text = String::from_utf8(output.stdout).expect("text");
    let line = text.lines().next().expect("a line");
    line.strip_prefix("threshold").expect("the first setting").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_stronger_place_wins() {
    let sandbox = Sandbox::new();
    assert_eq!(failures_to_open(&sandbox, &[]), 5);
    let sandbox = Sandbox::new();
    sandbox.configure("[defaults]\nthreshold = 4\n");
    assert_eq!(failures_to_open(&sandbox, &[]), 4);
    let sandbox = Sandbox::new();
    sandbox.configure("[defaults]\nthreshold = 4\n[breakers.a]\nthreshold = 3\n");
    assert_eq!(failures_to_open(&sandbox, &[]), 3);
    let sandbox = Sandbox::new();
    // The order in the file does not matter.
    sandbox.configure("[breakers.a]\nthreshold = 3\n[defaults]\nthreshold = 4\n");
    assert_eq!(failures_to_open(&sandbox, &[]), 3);
    sandbox.cb(["reset", "a"]).run();
    assert_eq!(failures_to_open(&sandbox, &["--threshold", "2"]), 2);
}

#[test]
fn each_setting_is_taken_from_its_own_place() {
    let sandbox = Sandbox::new();
    sandbox.configure("[defaults]\nthreshold = 2\ncooldown = \"7m\"\n[breakers.a]\ncooldown = \"9m\"\n");
    assert_eq!(state_after(&sandbox, &["--backoff", "2"], &[1, 1]), "open");
    assert_eq!(cooldown(&sandbox), 540_000);
    sandbox.runs("b", &[], 1).run();
    sandbox.runs("b", &[], 1).stderr_has("next try in 7m (").run();
}

#[test]
fn values_of_the_configuration_can_be_numbers_flags_and_lists() {
    let sandbox = Sandbox::new();
    sandbox.configure(
        "[breakers.a]\nthreshold = 0x2\ncooldown = 90\nbackoff = 1.5\njitter = 0\npreserve-status = true\n\
         failure-codes = [1, \"20-29\", 'SIGTERM', \"timeout\"]\nsuccess-codes = []\n",
    );
    sandbox
        .cb(["config", "a"])
        .code(125)
        .stderr_has(":8: success-codes: '' is not an exit code (0-255), a range like 64-78, a signal like SIGTERM, or timeout\n")
        .run();
    sandbox.configure(
        "[breakers.a]\nthreshold = 0x2\ncooldown = 90\nbackoff = 1.5\njitter = 0\npreserve-status = true\n\
         failure-codes = [1, \"20-29\", 'SIGTERM', \"timeout\"]\n",
    );
    assert_eq!(state_after(&sandbox, &[], &[2, 1, 22]), "open");
    assert_eq!(cooldown(&sandbox), 90_000);
    assert_eq!(sandbox.status("a")["settings"]["failure_codes"], "1,20-29,SIGTERM,timeout");
}

#[test]
fn where_the_configuration_is() {
    let sandbox = Sandbox::new();
    let place = |dir: &str, threshold: u32| {
        let dir = sandbox.home().join(dir);
        fs::create_dir_all(&dir).expect("a directory");
        fs::write(dir.join("config.toml"), format!("[defaults]\nthreshold = {threshold}\n")).expect("a file");
        dir
    };
    let config = || sandbox.cb(["config", "a"]);
    assert_eq!(threshold_of(config()), "5 built in");
    place(".config/cb", 11);
    assert_eq!(threshold_of(config()), "11 defaults, line 2");
    let xdg = place("xdg/cb", 12);
    let xdg = xdg.parent().expect("a directory");
    assert_eq!(threshold_of(config().env("XDG_CONFIG_HOME", xdg)), "12 defaults, line 2");
    assert_eq!(
        threshold_of(config().env("XDG_CONFIG_HOME", "xdg")),
        "11 defaults, line 2",
        "a relative one is not used"
    );
    place("work/named", 13);
    let by_variable = || config().env("CB_CONFIG", "named/config.toml");
    assert_eq!(threshold_of(by_variable()), "13 defaults, line 2");
    assert_eq!(threshold_of(config().env("CB_CONFIG", "")), "11 defaults, line 2", "an empty one is unset");
    place("option", 14);
    let by_option = ["config", "a", "--config", "../option/config.toml"];
    assert_eq!(threshold_of(sandbox.cb(by_option).env("CB_CONFIG", "named/config.toml")), "14 defaults, line 2");
    assert_eq!(threshold_of(sandbox.cb(by_option).dir(sandbox.home().join("bin"))), "14 defaults, line 2");
    symlink("../option/config.toml", sandbox.work().join("link.toml")).expect("a link");
    assert_eq!(threshold_of(config().env("CB_CONFIG", "link.toml")), "14 defaults, line 2", "a link is fine");
    assert_eq!(threshold_of(config().env("CB_CONFIG", "/dev/null")), "5 built in");
    // A run has the same settings.
    sandbox.runs("a", &["--config", "named/config.toml", "--threshold", "1"], 1).any_stderr().run();
    sandbox.cb(["reset", "a"]).run();
    for _ in 0..13 {
        sandbox.runs("a", &[], 1).env("CB_CONFIG", "named/config.toml").any_stderr().run();
    }
    assert_eq!(sandbox.state("a"), "open");
}

#[test]
fn where_the_state_is() {
    let sandbox = Sandbox::new();
    let file = |dir: &str| sandbox.home().join(dir).join("a.json").exists();
    sandbox.runs("a", &[], 0).env("CB_STATE_DIR", "by-variable").run();
    assert!(file("work/by-variable"));
    sandbox.runs("a", &["--state-dir", "by-option"], 0).env("CB_STATE_DIR", "unused").run();
    assert!(file("work/by-option") && !file("work/unused"));
    sandbox.runs("a", &["--state-dir", "deep/er"], 0).run();
    assert!(file("work/deep/er"));
    assert!(!file(".cache/cb"));
    sandbox.runs("a", &[], 0).env("CB_STATE_DIR", "").run();
    assert!(file(".cache/cb"), "an empty one is unset");
    // Every other command finds it too.
    for args in [["trip", "a"], ["check", "a"], ["reset", "a"]] {
        sandbox.cb(args).env("CB_STATE_DIR", "by-variable").code(if args[0] == "check" { 75 } else { 0 }).run();
    }
    sandbox.cb(["check", "a"]).run();
}

#[test]
fn the_child_finds_what_was_given_by_option_or_inherited() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work().join("c.toml"), "").expect("a file");
    let script = "echo \"${CB_STATE_DIR-none} ${CB_CONFIG-none}\"";
    let run =
        |options: &[&str]| sandbox.cb(["run", "-n", "a"].iter().chain(options).chain(&["--", "sh", "-c", script]));
    let work = sandbox.work();
    let work = work.display();
    run(&[]).stdout("none none\n").run();
    run(&["--state-dir", "s", "--config", "c.toml"]).stdout(format!("{work}/s {work}/c.toml\n")).run();
    run(&["--state-dir", "s"]).env("CB_CONFIG", "c.toml").stdout(format!("{work}/s {work}/c.toml\n")).run();
    run(&["--state-dir", "s"]).env("CB_STATE_DIR", "other").stdout(format!("{work}/s none\n")).run();
}

#[test]
fn no_other_variable_is_a_setting() {
    let sandbox = Sandbox::new();
    let run = sandbox.runs("a", &[], 1);
    run.env("CB_THRESHOLD", "1").env("CB_TIMEOUT", "0.001").env("CB_NAME", "b").env("CB_COOLDOWN", "x").run();
    assert_eq!(sandbox.state("a"), "closed");
    assert!(!sandbox.state_file("b").exists());
}

#[test]
fn each_caller_judges_by_its_own_settings() {
    let sandbox = Sandbox::new();
    for _ in 0..3 {
        sandbox.exits("a", &["--threshold", "100"], 1);
    }
    let remark = "cb: a: another caller has other trip rules; each run judges by its own, see 'cb status a'\n";
    sandbox.runs("a", &["--threshold", "50", "-v"], 1).stderr(remark).run();
    sandbox.runs("a", &["--threshold", "50", "-v"], 1).run();
    sandbox.exits("a", &["--threshold", "60"], 1);
    sandbox.runs("a", &["--threshold", "7"], 1).stderr_has("cb: a: opened: 7 failures in a row").run();
}

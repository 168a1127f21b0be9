//! Command lines as cron runs them: with a bare environment, by `/bin/sh`, and with all output mailed.
//! See cb-contract(7) 3.17, 3.18 and 4.6.

use std::fs;
use std::process::Output;

use serde_json::json;

use crate::support::{CB, Sandbox, pick, timeless, unmeasured};

const MINUTE: i64 = 60_000;

/// Runs a line of a crontab.
pub fn cron(sandbox: &Sandbox, line: &str) -> Output {
    let home = format!("HOME={}", sandbox.home().display());
    let words = ["-i", &home, "PATH=/usr/bin:/bin", "SHELL=/bin/sh", "/bin/sh", "-c", line];
    sandbox.command("/usr/bin/env", words).spawn().wait_with_output().expect("it ends")
}

/// Runs a line once a minute, and returns cron's mail of each run, without the times.
fn mails(sandbox: &Sandbox, name: &str, line: &str, minutes: usize, before: impl Fn(usize)) -> Vec<String> {
    let tick = |minute| {
        if minute > 0 {
            sandbox.shift(name, MINUTE);
        }
        before(minute);
        // A mail holds both, in the order in which they were written.
        let output = cron(sandbox, &format!("exec 2>&1; {line}"));
        unmeasured(&timeless(&String::from_utf8(output.stdout).expect("text")))
    };
    (0..minutes).map(tick).collect()
}

/// The expected mails: none except in these minutes.
fn expected(minutes: usize, mails: &[(usize, &str)]) -> Vec<String> {
    let of = |minute| mails.iter().filter(move |mail| mail.0 == minute).map(|mail| mail.1).collect();
    (0..minutes).map(of).collect()
}

#[test]
fn of_an_outage_of_twenty_ticks_cron_mails_two_lines_and_what_the_command_said() {
    let sandbox = Sandbox::new();
    // A service that answers while the file is there, and a command that complains while it is not.
    let up = sandbox.work().join("up");
    let fetch = r#"test -e up || { echo "feed: connection refused" >&2; exit 7; }"#;
    let line = format!("{CB} run --name feed --cooldown 5m -- sh -c '{fetch}'");
    let outage = 2..22;
    let before = |minute| match outage.contains(&minute) {
        true if up.exists() => fs::remove_file(&up).expect("the service is gone"),
        false => fs::write(&up, "").expect("the service is there"),
        true => {}
    };
    let mails = mails(&sandbox, "feed", &line, 30, before);
    let refused = "feed: connection refused\n";
    let opened = "feed: connection refused\n\
                  cb: feed: opened: 5 failures in a row: exit 7; next try in 5m (TIME), or now with 'cb reset feed'\n";
    let closed = "cb: feed: closed again: probe succeeded\n";
    // Five failures open it. Then there is one try in five minutes, of which only the command speaks, until one
    // succeeds.
    let news = [
        (2, refused),
        (3, refused),
        (4, refused),
        (5, refused),
        (6, opened),
        (11, refused),
        (16, refused),
        (21, refused),
        (26, closed),
    ];
    assert_eq!(mails, expected(30, &news));
    assert_eq!(
        pick(&sandbox.status("feed"), ["state", "totals.successes", "totals.failures", "totals.refused"]),
        json!(["closed", 6, 8, 16])
    );
}

#[test]
fn of_a_silent_command_cron_mails_two_lines_and_once_that_every_run_is_a_probe() {
    let sandbox = Sandbox::new();
    let up = sandbox.work().join("up");
    let line = format!("{CB} run -n feed --threshold 2 test -e up");
    let before = |minute| {
        if minute == 20 {
            fs::write(&up, "").expect("the service is there");
        }
    };
    let mails = mails(&sandbox, "feed", &line, 24, before);
    let opened = "cb: feed: opened: 2 failures in a row: exit 1; next try in 30s (TIME), or now with 'cb reset feed'\n";
    let probes = only_probes("feed");
    let closed = "cb: feed: closed again: probe succeeded\n";
    assert_eq!(mails, expected(24, &[(1, opened), (4, &probes), (20, closed)]));
    // The cool-down is shorter than a minute, so each tick was a probe.
    assert_eq!(pick(&sandbox.status("feed"), ["totals.admitted", "totals.refused"]), json!([24, 0]));
}

#[test]
fn with_its_output_sent_away_or_quiet_cron_mails_nothing() {
    for line in [
        format!("{CB} run -n feed --threshold 2 -- sh -c 'echo out; echo err >&2; exit 1' >/dev/null 2>&1"),
        format!("{CB} run -q -n feed --threshold 2 -- false"),
        format!("{CB} -q run -n feed --threshold 2 -- false || true"),
    ] {
        let sandbox = Sandbox::new();
        assert_eq!(mails(&sandbox, "feed", &line, 5, |_| ()), expected(5, &[]), "{line}");
        assert_eq!(sandbox.state("feed"), "open");
    }
}

#[test]
fn a_line_of_cron_can_tell_a_refusal_from_a_failure() {
    let sandbox = Sandbox::new();
    let line = format!(
        "{CB} run -n feed --threshold 1 --cooldown 1d -- sh -c 'exit 7'; case $? in 75) echo refused ;; *) echo \"exit $?\" ;; esac"
    );
    let opened =
        "cb: feed: opened: 1 failure in a row: exit 7; next try in 1d (TIME), or now with 'cb reset feed'\nexit 7\n";
    let refused = "refused\n";
    assert_eq!(mails(&sandbox, "feed", &line, 3, |_| ()), expected(3, &[(0, opened), (1, refused), (2, refused)]));
    // A refusal that is no failure of the line.
    assert_eq!(cron(&sandbox, &format!("{CB} run -n feed -E 0 -- false && echo fine")).stdout, b"fine\n");
}

#[test]
fn two_lines_of_cron_under_one_name_share_what_they_learn() {
    let sandbox = Sandbox::new();
    let line = format!(
        "{CB} run -n api --threshold 4 -- sh -c 'echo one; exit 1' & {CB} run -n api --threshold 4 -- sh -c 'echo two; exit 1' & wait"
    );
    let mut ran = Vec::new();
    for mail in mails(&sandbox, "api", &line, 2, |_| ()) {
        ran.push(mail.lines().filter(|line| !line.starts_with("cb: ")).count());
    }
    assert_eq!(ran, [2, 2]);
    let mut opened = mails(&sandbox, "api", &line, 1, |_| ());
    assert_eq!(opened.pop().as_deref(), Some(""), "both are refused");
    assert_eq!(pick(&sandbox.status("api"), ["state", "totals.failures", "totals.refused"]), json!(["open", 4, 2]));
}

#[test]
fn a_person_without_a_login_name_in_the_environment_is_known_by_passwd() {
    let sandbox = Sandbox::new();
    let line = format!(
        "{CB} -q trip feed --for 1h && test \"$({CB} status feed --json | grep -o '\"by\":\"[^\"]*\"')\" = \"\\\"by\\\":\\\"$(id -un)\\\"\""
    );
    let output = cron(&sandbox, &line);
    assert!(output.status.success(), "{output:?}");
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b""[..], &b""[..]));
}

/// What is printed where a breaker opens for the third time in a row and has refused nothing.
fn only_probes(name: &str) -> String {
    format!(
        "cb: {name}: opened again for the third time in a row, and no run was refused: runs come further apart than the \
         cool-down, so every run is a probe; for runs to be refused give a longer --cooldown\n"
    )
}

#[test]
fn that_every_run_is_a_probe_is_told_once_an_outage() {
    let sandbox = Sandbox::new();
    let line = format!("{CB} run --name rare --threshold 2 --cooldown 30s --backoff 1.1 -- false");
    let opened = "cb: rare: opened: 2 failures in a row: exit 1; next try in 30s (TIME), or now with 'cb reset rare'\n";
    let probes = only_probes("rare");
    assert_eq!(mails(&sandbox, "rare", &line, 12, |_| {}), expected(12, &[(1, opened), (4, &probes)]));
    sandbox.shift("rare", 10 * MINUTE);
    sandbox.runs("rare", &["--threshold", "2"], 0).any_stderr().run();
    assert_eq!(mails(&sandbox, "rare", &line, 6, |_| {}), expected(6, &[(1, opened), (4, &probes)]));
}

#[test]
fn a_refusal_since_it_opened_is_enough_for_the_cooldown_to_be_worth_something() {
    let sandbox = Sandbox::new();
    let line = format!("{CB} run --name often --threshold 2 --cooldown 30s -- false");
    let refused = |minute| {
        if minute == 2 {
            // It opened this moment ago, one minute later by the clock of the state.
            sandbox.shift("often", -MINUTE);
            sandbox.runs("often", &[], 0).code(75).run();
            sandbox.shift("often", MINUTE);
        }
    };
    let mails = mails(&sandbox, "often", &line, 8, refused);
    let opened =
        "cb: often: opened: 2 failures in a row: exit 1; next try in 30s (TIME), or now with 'cb reset often'\n";
    assert_eq!(mails, expected(8, &[(1, opened)]));
}

//! The six behaviours of a breaker within one process, across processes; and what processes add: they can be late, be
//! stopped and die.
//! See cb-contract(7) 1.2 to 1.9, 1.25, 1.27, 1.28, 1.31 to 1.35 and 2.12.

use crate::support::{Sandbox, millis};

/// A cool-down that does not end by itself even on a slow machine.
const HOUR: &[&str] = &["--cooldown", "1h"];
const HOUR_MS: i64 = 3_600_000;

/// Lets the cool-down of [`HOUR`] pass.
fn pass(sandbox: &Sandbox) {
    sandbox.shift("a", HOUR_MS);
}

#[test]
fn a_closing_tells_how_long_it_was_open_and_how_many_runs_were_refused() {
    const CLOSED: &str = "probe succeeded";
    let sandbox = Sandbox::new();
    let closes = |refused: usize, told: &str| {
        sandbox.open_by("a", HOUR, 1);
        for _ in 0..refused {
            sandbox.runs("a", &[], 0).code(75).run();
        }
        // A second later at most: rounded up to one more.
        sandbox.shift("a", 7_260_000);
        let output = sandbox.runs("a", &[], 0).any_stderr().run();
        let line = String::from_utf8(output.stderr).expect("text");
        let (start, end) = line.split_once(&format!(": {CLOSED}")).expect("why");
        assert!(start.starts_with("cb: a: closed again after 2h 1m"), "{line}");
        assert_eq!(end, told);
    };
    closes(0, "\n");
    closes(1, "; 1 run was refused meanwhile\n");
    closes(3, "; 3 runs were refused meanwhile\n");
}

#[test]
fn starts_closed() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 0);
    assert_eq!(sandbox.state("a"), "closed");
}

#[test]
fn opens_at_the_threshold_and_not_before() {
    let sandbox = Sandbox::new();
    for _ in 0..4 {
        sandbox.exits("a", &[], 1);
    }
    assert_eq!(sandbox.state("a"), "closed");
    sandbox
        .runs("a", &[], 1)
        .stderr_like("cb: a: opened: 5 failures in a row: exit 1; next try in 30s (<time>), or now with 'cb reset a'\n")
        .run();
    assert_eq!(sandbox.state("a"), "open");
    sandbox.runs("a", &[], 0).code(75).run();
}

#[test]
fn a_refused_run_starts_nothing() {
    let sandbox = Sandbox::new();
    sandbox.open_by("a", HOUR, 1);
    sandbox.cb(["run", "-n", "a", "--", "touch", "started"]).code(75).run();
    assert!(!sandbox.work().join("started").exists());
    sandbox
        .runs("a", &["-v"], 75)
        .stderr_like(
            "cb: a: refused, it is open (5 failures in a row: exit 1); next try in <span> (<time>), \
             or now with 'cb reset a'\n",
        )
        .run();
    assert_eq!(sandbox.status("a")["totals"]["refused"], 2);
}

#[test]
fn a_success_clears_the_row() {
    let sandbox = Sandbox::new();
    for _ in 0..4 {
        sandbox.exits("a", &[], 1);
    }
    sandbox.exits("a", &[], 0);
    for _ in 0..4 {
        sandbox.exits("a", &[], 1);
    }
    assert_eq!(sandbox.state("a"), "closed");
    assert_eq!(sandbox.status("a")["consecutive_failures"], 4);
}

#[test]
fn stays_open_for_the_whole_cool_down() {
    let sandbox = Sandbox::new();
    sandbox.open_by("a", HOUR, 1);
    sandbox.shift("a", HOUR_MS - 60_000);
    sandbox.runs("a", HOUR, 75).run();
    sandbox.shift("a", 60_000);
    sandbox.runs("a", HOUR, 0).stderr("cb: a: closed again: probe succeeded\n").run();
}

#[test]
fn half_open_lets_exactly_one_probe_through() {
    let sandbox = Sandbox::new();
    sandbox.open_by("a", HOUR, 1);
    pass(&sandbox);
    let probe = sandbox.begin("a", HOUR);
    assert_eq!(sandbox.state("a"), "half_open");
    for _ in 0..3 {
        sandbox.runs("a", HOUR, 75).run();
    }
    sandbox
        .runs("a", &["-v"], 75)
        .stderr("cb: a: refused, a probe is under way to see whether it is back (5 failures in a row: exit 1)\n")
        .run();
    assert_eq!(sandbox.status("a")["probes"].as_array().map(Vec::len), Some(1));
    probe.ends_saying(0, "cb: a: closed again: probe succeeded\n");
    assert_eq!(sandbox.status("a")["totals"]["refused"], 4);
}

#[test]
fn a_failed_probe_opens_for_another_whole_cool_down() {
    let sandbox = Sandbox::new();
    sandbox.open_by("a", HOUR, 1);
    pass(&sandbox);
    sandbox.exits("a", HOUR, 2);
    let status = sandbox.status("a");
    assert_eq!(status["state"], "open");
    assert_eq!(status["reason"], "probe failed: exit 2");
    assert_eq!(millis(&status["retry_at"]) - millis(&status["since"]), 3_600_000);
    sandbox.shift("a", HOUR_MS - 60_000);
    sandbox.runs("a", HOUR, 75).run();
    sandbox.shift("a", 60_000);
    sandbox
        .runs("a", &["--cooldown", "1h", "-v"], 3)
        .stderr_like(
            "cb: a: this run is a probe\n\
             cb: a: open again: probe failed: exit 3; next try in 1h (<time>), or now with 'cb reset a'\n",
        )
        .run();
}

#[test]
fn a_successful_probe_closes_and_clears() {
    let sandbox = Sandbox::new();
    sandbox.open_by("a", HOUR, 1);
    pass(&sandbox);
    sandbox.runs("a", HOUR, 0).stderr("cb: a: closed again: probe succeeded\n").run();
    let status = sandbox.status("a");
    assert_eq!(status["state"], "closed");
    assert_eq!(status["consecutive_failures"], 0);
    assert_eq!(status["window"]["calls"], 0, "everything counted so far is cleared");
    assert_eq!(status["totals"]["failures"], 5, "but for the totals");
    for _ in 0..4 {
        sandbox.exits("a", HOUR, 1);
    }
    assert_eq!(sandbox.state("a"), "closed", "the row begins anew");
}

#[test]
fn only_a_probe_knows_that_it_is_one() {
    let sandbox = Sandbox::new();
    let script = "echo \"$CB_NAME ${CB_PROBE-none}\"; exit 1";
    let run = || sandbox.cb(["run", "-n", "a", "--cooldown", "1h", "--", "sh", "-c", script]).code(1);
    run().stdout("a none\n").run();
    run().env("CB_PROBE", "1").stdout("a none\n").run();
    for _ in 0..3 {
        run().stdout("a none\n").any_stderr().run();
    }
    pass(&sandbox);
    run().stdout("a 1\n").run();
}

#[test]
fn quiet_is_quiet_but_for_errors_and_unguarded_runs() {
    let sandbox = Sandbox::new();
    let options = &["-q", "--cooldown", "1h"];
    for _ in 0..5 {
        sandbox.exits("a", options, 1);
    }
    assert_eq!(sandbox.state("a"), "open");
    sandbox.exits("a", options, 75);
    pass(&sandbox);
    sandbox.exits("a", options, 0);
    assert_eq!(sandbox.state("a"), "closed");
    sandbox.put("new", "{\"version\":2}");
    sandbox.runs("new", &["-q"], 3).stderr_has("cb: new: unguarded: could not read ").run();
    sandbox.runs("a", &["-q", "--probes", "0"], 125).stderr_has("cb: --probes: ").run();
}

// Late results.

#[test]
fn a_run_admitted_before_the_opening_changes_nothing() {
    for code in [0, 1] {
        let sandbox = Sandbox::new();
        let late = sandbox.begin("a", HOUR);
        sandbox.open_by("a", HOUR, 1);
        let before = sandbox.status("a");
        late.ends(code);
        let after = sandbox.status("a");
        assert_eq!(after["state"], "open");
        assert_eq!(after["retry_at"], before["retry_at"]);
        assert_eq!(after["totals"]["late"], 1);
        for untouched in ["generation", "consecutive_failures", "window", "last", "reason"] {
            assert_eq!(after[untouched], before[untouched], "{untouched}");
        }
        assert_eq!(after["totals"]["failures"], before["totals"]["failures"]);
        assert_eq!(after["totals"]["successes"], before["totals"]["successes"]);
    }
}

#[test]
fn a_run_admitted_before_a_reset_counts_only_as_late() {
    let sandbox = Sandbox::new();
    let options = &["--threshold", "1"];
    let late = sandbox.begin("a", options);
    sandbox.cb(["reset", "a"]).run();
    late.ends(1);
    let status = sandbox.status("a");
    assert_eq!(status["state"], "closed");
    assert_eq!(status["totals"]["late"], 1);
    assert_eq!(status["totals"]["failures"], 0);
    assert_eq!(status["last"], serde_json::Value::Null);
}

#[test]
fn a_probe_that_ends_after_a_reset_does_not_reopen() {
    let sandbox = Sandbox::new();
    sandbox.open_by("a", HOUR, 1);
    pass(&sandbox);
    let probe = sandbox.begin("a", HOUR);
    sandbox.cb(["reset", "a"]).run();
    probe.ends(1);
    let status = sandbox.status("a");
    assert_eq!((&status["state"], &status["totals"]["late"]), (&"closed".into(), &1.into()));
}

#[test]
fn a_probe_that_ends_after_a_trip_does_not_close() {
    let sandbox = Sandbox::new();
    sandbox.open_by("a", HOUR, 1);
    pass(&sandbox);
    let probe = sandbox.begin("a", HOUR);
    sandbox.cb(["trip", "a"]).run();
    probe.ends(0);
    let status = sandbox.status("a");
    assert_eq!((&status["state"], &status["mode"]), (&"open".into(), &"held".into()));
    assert_eq!(status["totals"]["late"], 1);
}

#[test]
fn a_probe_whose_lease_was_over_is_late_only_once_its_place_is_taken() {
    let options = &["--cooldown", "1h", "--lease", "10m"];
    let sandbox = Sandbox::new();
    sandbox.open_by("a", options, 1);
    pass(&sandbox);
    let old = sandbox.begin("a", options);
    sandbox.runs("a", options, 75).run();
    sandbox.shift("a", 600_000);
    let new = sandbox.begin("a", options);
    old.ends(1);
    let status = sandbox.status("a");
    assert_eq!(status["state"], "half_open", "the old probe decides nothing any more");
    assert_eq!((&status["totals"]["late"], &status["totals"]["abandoned"]), (&1.into(), &1.into()));
    new.ends_saying(0, "cb: a: closed again: probe succeeded\n");

    // No run asked for the place, so the probe is still good.
    sandbox.open_by("a", options, 1);
    pass(&sandbox);
    let probe = sandbox.begin("a", options);
    sandbox.shift("a", 600_000);
    probe.ends_saying(0, "cb: a: closed again: probe succeeded\n");
    assert_eq!(sandbox.status("a")["totals"]["late"], 1);
}

// Ignored results.

#[test]
fn what_was_never_started_counts_nowhere_and_resets_nothing() {
    let sandbox = Sandbox::new();
    for _ in 0..4 {
        sandbox.exits("a", &[], 1);
    }
    for code in [75, 125, 126, 127] {
        sandbox.exits("a", &[], code);
    }
    for (signal, code) in [("INT", 130), ("PIPE", 141)] {
        sandbox.cb(["run", "-n", "a", "--", "sh", "-c", &format!("kill -{signal} $$")]).code(code).run();
    }
    sandbox
        .cb(["run", "-n", "a", "--", "./no-such-command"])
        .code(127)
        .stderr("cb: could not run './no-such-command': not found: no such file, or the interpreter that it names is missing\n")
        .run();
    let status = sandbox.status("a");
    assert_eq!((&status["consecutive_failures"], &status["window"]["calls"]), (&4.into(), &4.into()));
    assert_eq!((&status["totals"]["ignored"], &status["totals"]["admitted"]), (&7.into(), &11.into()));
    sandbox.runs("a", &[], 1).stderr_has("cb: a: opened: 5 failures in a row: exit 1").run();
}

#[test]
fn a_refusal_inside_opens_nothing_outside_and_where_all_ends_so_that_is_told_once() {
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "inner"]).run();
    let run = || sandbox.cb(["run", "-n", "outer", "--", "sh", "-c", "cb run -n inner -- true"]).code(75);
    for _ in 0..4 {
        run().run();
    }
    let told = "cb: outer: the last 5 runs ended with 75 (try again later), which counts as nothing; if that means an outage, \
                make it a failure with --failure-codes 1-124\n";
    run().stderr(told).run();
    for _ in 0..5 {
        run().run();
    }
    assert_eq!(sandbox.state("outer"), "closed");
    sandbox
        .cb(["status", "outer"])
        .stdout_has("note:         the last runs ended with 75, which counts as nothing; ")
        .run();
    sandbox.cb(["status"]).stdout_has("outer  closed     0/5       now       -       5 times exit 75\n").run();
    // The cure in the line works.
    let options = ["--failure-codes", "1-124", "--threshold", "1"];
    sandbox.runs("outer", &options, 75).stderr_has("cb: outer: opened: 1 failure in a row: exit 75; ").run();
    sandbox.cb(["status", "outer"]).stdout_has("last run:     failure: exit 75").run();
}

#[test]
fn an_ignored_probe_gives_its_place_back() {
    let sandbox = Sandbox::new();
    sandbox.open_by("a", HOUR, 1);
    pass(&sandbox);
    sandbox.exits("a", HOUR, 127);
    let status = sandbox.status("a");
    assert_eq!((&status["state"], &status["admits"]), (&"half_open".into(), &true.into()));
    assert_eq!(status["probes"], serde_json::json!([]));
    assert_eq!(status["totals"]["abandoned"], 0, "it has reported");
    sandbox.runs("a", HOUR, 0).stderr("cb: a: closed again: probe succeeded\n").run();
}

// The death of a prober.

#[test]
fn the_next_run_probes_at_once_when_a_prober_was_killed() {
    let sandbox = Sandbox::new();
    sandbox.open_by("a", HOUR, 1);
    pass(&sandbox);
    let mut prober = sandbox.begin("a", HOUR);
    sandbox.runs("a", HOUR, 75).run();
    prober.kill();
    let status = sandbox.status("a");
    assert_eq!((&status["state"], &status["admits"]), (&"half_open".into(), &true.into()));
    assert_eq!(status["probes"], serde_json::json!([]), "those who look see it too");
    sandbox.cb(["check", "a"]).run();
    sandbox.cb(["run", "-n", "a", "--cooldown", "1h", "--", "sh", "-c", "exit \"${CB_PROBE:-9}\""]).code(1).run();
    let status = sandbox.status("a");
    assert_eq!(status["state"], "open", "it was a probe and failed");
    assert_eq!(status["totals"]["abandoned"], 1);
    assert_eq!((&status["totals"]["failures"], &status["totals"]["opened"]), (&6.into(), &2.into()));
}

#[test]
fn a_prober_that_died_is_neither_success_nor_failure() {
    let options = &["--cooldown", "1h", "--probe-failures", "2", "--probe-successes", "2"];
    let sandbox = Sandbox::new();
    sandbox.open_by("a", options, 1);
    pass(&sandbox);
    for _ in 0..3 {
        sandbox.begin("a", options).kill();
    }
    sandbox.exits("a", options, 0);
    sandbox.exits("a", options, 1);
    let status = sandbox.status("a");
    assert_eq!((&status["state"], &status["probe_successes"]), (&"half_open".into(), &1.into()));
    assert_eq!(status["totals"]["abandoned"], 3);
}

#[test]
fn a_prober_that_died_is_counted_whatever_happens_next() {
    let died = || {
        let sandbox = Sandbox::new();
        let options = &["--cooldown", "1h", "--probes", "2"];
        sandbox.open_by("a", options, 1);
        pass(&sandbox);
        let other = sandbox.begin("a", options);
        sandbox.begin("a", options).kill();
        assert_eq!(sandbox.status("a")["totals"]["abandoned"], 1);
        (sandbox, other)
    };
    for by_hand in [
        &["reset", "a"][..],
        &["trip", "a"],
        &["disable", "a"],
        &["record", "a", "success"],
        &["record", "a", "failure"],
    ] {
        let (sandbox, other) = died();
        sandbox.cb(by_hand).any_stderr().run();
        assert_eq!(sandbox.status("a")["totals"]["abandoned"], 1, "{by_hand:?}");
        other.ends(0);
    }
    for code in [0, 1] {
        let (sandbox, other) = died();
        other.ends_saying(code, if code == 0 { "cb: a: closed again: probe succeeded\n" } else { "" });
        assert_eq!(sandbox.status("a")["totals"]["abandoned"], 1, "the other probe exits with {code}");
    }
}

#[test]
fn the_orphan_of_a_killed_prober_does_not_hold_its_place() {
    let sandbox = Sandbox::new();
    sandbox.open_by("a", HOUR, 1);
    pass(&sandbox);
    // Its input stays open with the test, so what the child has started is alive all the while.
    let script = "exec 3<&0; { echo \"started${CB_PROBE+ $CB_PROBE}\"; read -r line <&3; } & wait";
    let mut prober = sandbox.cb(["run", "-n", "a", "--cooldown", "1h", "--", "sh", "-c", script]).begin();
    prober.kill();
    sandbox.runs("a", HOUR, 0).stderr("cb: a: closed again: probe succeeded\n").run();
    prober.release(0);
}

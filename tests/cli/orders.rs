//! Orders by hand: until when, for which breakers, and for breakers that do not exist.
//! See cb-contract(7) 1.40, 1.42, 4.2, 4.5, 4.31 and 4.32.

use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::support::{Sandbox, millis, pick};

const SECOND: i64 = 1_000;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;

/// The Unix time so many seconds from now.
fn unix_in(seconds: u64) -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    now.as_secs() + seconds
}

fn wrong(args: &[&str], line: &str) {
    let sandbox = Sandbox::new();
    sandbox.cb(args).code(125).stderr(format!("cb: {line}\n")).run();
    assert!(!sandbox.state_dir().exists(), "nothing is touched: {args:?}");
}

// Until when.

#[test]
fn a_hold_lasts_until_the_time_that_was_said() {
    let sandbox = Sandbox::new();
    let end = unix_in(7_200);
    let utc = humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + Duration::from_secs(end)).to_string();
    let local = utc.replace('Z', "+00:00");
    for (until, expected) in [
        (end.to_string(), end * 1_000),
        (format!("{end}.25"), end * 1_000 + 250),
        (utc, end * 1_000),
        (local, end * 1_000),
    ] {
        for order in ["trip", "disable"] {
            sandbox.cb(["-q", order, "a", "--until", &until]).run();
            assert_eq!(millis(&sandbox.status("a")["hold"]["until"]), expected, "{order} until {until}");
            sandbox.cb(["reset", "a"]).run();
        }
    }
    sandbox.cb(["trip", "a", "--until", &end.to_string()]).run();
    sandbox.runs("a", &[], 0).code(75).run();
    sandbox.shift("a", 2 * HOUR);
    sandbox.runs("a", &[], 0).stderr("cb: a: closed again: probe succeeded\n").run();
}

#[test]
fn a_time_of_day_is_that_of_local_clocks() {
    let sandbox = Sandbox::new();
    let day = u64::try_from(DAY).expect("positive");
    for (zone, east) in [("UTC0", 0), ("XYZ-5:45", 5 * 60 + 45), ("XYZ3", 24 * 60 - 180), ("", 0)] {
        // It is in two hours by the clocks of that zone, to the minute.
        let minutes = (unix_in(7_200) / 60 + east) % (24 * 60);
        let clock = format!("{:02}:{:02}", minutes / 60, minutes % 60);
        sandbox.cb(["-q", "trip", "a", "--until", &clock]).env("TZ", zone).run();
        let until = millis(&sandbox.status("a")["hold"]["until"]);
        assert_eq!((until / 60_000 + east) % (24 * 60), minutes, "{clock} in {zone}");
        assert_eq!(until % 60_000, 0);
        assert!(until > unix_in(0) * 1_000 && until < unix_in(0) * 1_000 + day, "{clock} in {zone}");
        sandbox.cb(["reset", "a"]).run();
    }
}

/// Static as it is, it reads the zones of the system.
#[test]
fn a_zone_may_be_named() {
    let sandbox = Sandbox::new();
    let date = sandbox.command("date", ["+%z"]).env("TZ", "Asia/Kathmandu").any_stdout().run();
    if date.stdout != b"+0545\n" {
        eprintln!("skipped: this system knows no time zones");
        return;
    }
    let minutes = (unix_in(7_200) / 60 + 5 * 60 + 45) % (24 * 60);
    let clock = format!("{:02}:{:02}", minutes / 60, minutes % 60);
    for zone in ["Asia/Kathmandu", ":Asia/Kathmandu", "/usr/share/zoneinfo/Asia/Kathmandu"] {
        sandbox.cb(["-q", "disable", "a", "--until", &clock]).env("TZ", zone).run();
        let until = millis(&sandbox.status("a")["hold"]["until"]);
        assert!(until.abs_diff(unix_in(7_200) * 1_000) <= 120_000, "{clock} in {zone}: {until}");
    }
}

#[test]
fn what_cannot_be_the_end_of_a_hold() {
    for order in ["trip", "disable"] {
        let seconds = "looks like a Unix time; write --until 1795000000";
        wrong(&[order, "a", "--for", "1795000000"], &format!("--for: 1795000000 {seconds}"));
        let finer = "looks like a Unix time in more than seconds; write --until 1795000000";
        wrong(&[order, "a", "--for", "1795000000123"], &format!("--for: 1795000000123 {finer}"));
        wrong(&[order, "a", "--until", "1795000000123"], &format!("--until: 1795000000123 {finer}"));
        let long = "'367d' is longer than 366 days; without --for it holds until it is ended by hand";
        wrong(&[order, "a", "--for", "367d"], &format!("--for: {long}"));
        let small = "90 is too small for a Unix time; for so many seconds write --for 90";
        wrong(&[order, "a", "--until", "90"], &format!("--until: {small}"));
        wrong(&[order, "a", "--until", "90s"], "--until: '90s' is a duration; write --for '90s'");
        wrong(&[order, "a", "--until", "24:00"], "--until: no clock shows 24:00; write a time from 00:00 to 23:59");
        let both = "--until and --for contradict each other; give one of them";
        wrong(&[order, "a", "--until", "9:00", "--for", "1h"], both);
        let sandbox = Sandbox::new();
        let past = "cb: --until: 2020-01-02T03:04:05.000Z is past, it is TIME; write a time that is yet to come\n"
            .replace("2020-01-02T03:04:05.000Z", "TIME");
        for until in ["2020-01-02T03:04:05Z", "1577934245"] {
            sandbox.cb([order, "a", "--until", until]).code(125).stderr_timeless(&past).run();
        }
        let far = "cb: --until: TIME is more than 366 days ahead; without --until it holds until it is ended by hand\n";
        for until in ["9999-01-01T00:00:00Z".to_owned(), (unix_in(367 * 86_400)).to_string()] {
            sandbox.cb([order, "a", "--until", &until]).code(125).stderr_timeless(far).run();
        }
        assert!(!sandbox.state_dir().exists(), "nothing is touched");
        sandbox.cb(["-q", order, "a", "--until", &unix_in(366 * 86_400 - 60).to_string()]).run();
        sandbox.cb([order, "a", "--for", "366d"]).stderr_has("; that is dropped\n").run();
    }
    // A time among the names would make a breaker that nobody wants.
    for last in ["14:02", "1795000000"] {
        let line = format!("'{last}' would be one more breaker; to hold until then write --until {last}");
        wrong(&["trip", "a", last], &line);
        wrong(&["disable", "a", last], &line);
    }
}

// All of them.

#[test]
fn all_are_tripped_disabled_and_enabled_also_those_that_are_only_configured() {
    let sandbox = Sandbox::new();
    for order in ["trip", "disable", "enable"] {
        sandbox.cb([order, "--all"]).run();
    }
    assert!(!sandbox.state_dir().exists(), "of none there is nothing to do");
    sandbox.configure("[breakers.d]\nthreshold = 3\n");
    let names = ["a", "b", "c", "d"];
    for name in &names[..3] {
        sandbox.exits(name, &[], 0);
    }
    let modes = || names.map(|name| sandbox.status(name)["mode"].as_str().expect("a mode").to_owned());
    sandbox.cb(["enable", "--all"]).run();
    sandbox.cb(["trip", "--all", "--for", "1h", "--reason", "no network"]).run();
    assert_eq!(modes(), ["held"; 4]);
    for name in names {
        sandbox.runs(name, &[], 0).code(75).run();
        assert_eq!(sandbox.status(name)["hold"]["reason"], "no network");
    }
    sandbox.cb(["disable", "--all"]).run();
    assert_eq!(modes(), ["disabled"; 4]);
    sandbox.cb(["enable", "--all"]).run();
    assert_eq!(modes(), ["normal"; 4]);
    sandbox.cb(["enable", "--all", "-v"]).run();
    wrong(&["trip", "--all", "a"], "--all and NAME contradict each other; give one of them");
}

// What is not there.

#[test]
fn a_trip_that_makes_a_breaker_says_that_it_is_new() {
    let sandbox = Sandbox::new();
    sandbox.cb(["trip", "openai"]).stderr("cb: openai: it is new: nobody has used a breaker of this name\n").run();
    sandbox.cb(["trip", "openai", "--replace"]).any_stderr().run();
    let line = "cb: opnai: it is new; did you mean 'openai'? To take it back write 'cb remove opnai'\n";
    sandbox.cb(["trip", "opnai"]).stderr(line).run();
    assert_eq!(pick(&sandbox.status("opnai"), ["state", "mode"]), json!(["open", "held"]));
    // The cure works.
    sandbox.cb(["remove", "opnai"]).run();
    sandbox.cb(["-q", "trip", "opnai"]).run();
    sandbox
        .cb(["trip", "opnaai"])
        .stderr("cb: opnaai: it is new; did you mean 'opnai' or 'openai'? To take it back write 'cb remove opnaai'\n")
        .run();
    // A configured name was meant.
    sandbox.configure("[breakers.planned]\nthreshold = 3\n");
    sandbox.cb(["trip", "planned"]).run();
    sandbox.cb(["disable", "weather"]).run();
    let line = "cb: wether: disabled by tester until 'cb enable wether'\ncb: wether: it is new; did you mean \
                'weather'? To take it back write 'cb remove wether'\n";
    sandbox.cb(["-v", "disable", "wether"]).stderr(line).run();
}

#[test]
fn what_is_not_there_is_reset_and_removed_already() {
    let sandbox = Sandbox::new();
    let none = "cb: there is no breaker 'opnai'; there is none yet; the first 'cb run' makes one\n";
    for order in ["reset", "remove"] {
        sandbox.cb([order, "opnai"]).stderr(none).run();
        sandbox.cb([order, "--all"]).run();
    }
    assert!(!sandbox.state_dir().exists());
    for name in ["openai", "opnaj", "other"] {
        sandbox.open_by(name, &["--cooldown", "1h"], 1);
    }
    for order in ["reset", "remove"] {
        sandbox
            .cb([order, "opnai"])
            .stderr("cb: there is no breaker 'opnai'; did you mean 'openai' or 'opnaj'?\n")
            .run();
        sandbox.cb(["-q", order, "opnai"]).run();
    }
    // The other names are dealt with all the same.
    sandbox.cb(["reset", "openai", "nobody", "other"]).stderr_has("cb: there is no breaker 'nobody'; ").run();
    assert_eq!(["openai", "opnaj", "other"].map(|name| sandbox.state(name)), ["closed", "open", "closed"]);
    sandbox.cb(["remove", "openai", "nobody", "other"]).stderr_has("cb: there is no breaker 'nobody'; ").run();
    assert_eq!(crate::support::names_in(&sandbox.state_dir()), ["opnaj.json"]);
    sandbox.cb(["enable", "nobody"]).code(125).stderr_has("cb: there is no breaker 'nobody'; ").run();
}

// What is not used.

#[test]
fn only_what_nobody_uses_is_removed_as_unused() {
    let sandbox = Sandbox::new();
    let long = ["--threshold", "1", "--cooldown", "1d"];
    sandbox.exits("old", &[], 0);
    sandbox.exits("failed", &[], 1);
    sandbox.exits("ignored", &["--ignore-codes", "3"], 3);
    sandbox.cb(["-q", "trip", "held"]).run();
    sandbox.cb(["-q", "trip", "held-for", "--for", "10d"]).run();
    sandbox.cb(["-q", "trip", "was-held", "--for", "1h"]).run();
    sandbox.cb(["disable", "disabled"]).run();
    sandbox.cb(["disable", "was-disabled", "--for", "1h"]).run();
    sandbox.runs("open", &["--threshold", "1", "--cooldown", "10d"], 1).any_stderr().run();
    sandbox.runs("due", &long, 1).any_stderr().run();
    sandbox.runs("probing", &long, 1).any_stderr().run();
    sandbox.shift("probing", 2 * DAY);
    let permit = sandbox.cb(["allow", "probing", "--lease", "30d"]).any_stdout().run();
    assert!(!permit.stdout.is_empty());
    let names = crate::support::names_in(&sandbox.state_dir());
    assert_eq!(names.len(), 11);
    for name in &names {
        sandbox.shift(name.trim_end_matches(".json"), 5 * DAY);
    }
    sandbox.exits("new", &[], 0);
    sandbox.exits("future", &[], 0);
    sandbox.shift("future", -HOUR);
    // They are at least that old, by a little.
    sandbox.cb(["remove", "--unused", "6d"]).run();
    assert_eq!(crate::support::names_in(&sandbox.state_dir()).len(), 13);
    let removed =
        ["due", "failed", "ignored", "old", "was-disabled", "was-held"].map(|name| format!("cb: {name}: removed\n"));
    sandbox.cb(["-v", "remove", "--unused", "5d"]).stderr(removed.concat()).run();
    let kept = ["disabled", "future", "held-for", "held", "new", "open", "probing"].map(|name| format!("{name}.json"));
    let mut kept = kept.to_vec();
    kept.sort();
    assert_eq!(crate::support::names_in(&sandbox.state_dir()), kept);
    // An unreadable state is not deleted unasked.
    sandbox.put("broken", "nonsense");
    let path = sandbox.state_file("broken");
    sandbox
        .cb(["remove", "--unused", "5d"])
        .code(125)
        .stderr(format!(
            "cb: {0} is not readable: it is not a state of cb; the next run sets it aside, or run 'rm {0}'\n",
            path.display()
        ))
        .run();
    assert!(path.exists());
    wrong(&["remove", "--unused", "5d", "a"], "--unused and NAME contradict each other; give one of them");
    wrong(&["remove"], "NAME is missing; write a NAME, or --all, or --unused DURATION");
}

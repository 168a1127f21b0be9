//! Which settings are possible, and the errors of the others.

use super::*;
use crate::breaker::{pack, stored};

/// Looks these settings up, as text.
fn given<'a>(pairs: &'a [(Key, &'a str)]) -> impl Fn(Key) -> Option<&'a str> + Copy {
    |asked| pairs.iter().find(|pair| pair.0 == asked).map(|pair| pair.1)
}

fn setup(pairs: &[(Key, &str)]) -> Result<Setup, Fault> {
    Setup::parse(given(pairs))
}

fn limits(pairs: &[(Key, &str)]) -> Result<TimeLimits, Fault> {
    setup(pairs).map(|setup| setup.limits)
}

fn fault(key: Key, text: &str) -> String {
    let fault = key.read(&mut Setup::default(), text).expect_err(text);
    assert_eq!(fault.key, key, "{text}");
    fault.message
}

#[test]
fn a_probe_may_have_a_limit_of_its_own() {
    let seconds = |pairs: &[(Key, &str)]| {
        let limits = limits(pairs).expect("good limits");
        [false, true].map(|probe| limits.limit(probe).map(|limit| limit.as_secs()))
    };
    assert_eq!(seconds(&[]), [None, None]);
    assert_eq!(seconds(&[(Key::Timeout, "0"), (Key::ProbeTimeout, "0")]), [None, None], "0 disables");
    assert_eq!(seconds(&[(Key::Timeout, "1m")]), [Some(60), Some(60)]);
    assert_eq!(seconds(&[(Key::ProbeTimeout, "5s")]), [None, Some(5)]);
    assert_eq!(seconds(&[(Key::Timeout, "1m"), (Key::ProbeTimeout, "5s")]), [Some(60), Some(5)]);
    assert_eq!(seconds(&[(Key::Timeout, "1m"), (Key::ProbeTimeout, "0")]), [Some(60), None], "in place of timeout");
}

#[test]
fn a_lease_is_as_long_as_a_probe_may_take_and_ten_seconds() {
    let seconds = |pairs: &[(Key, &str)]| setup(pairs).expect("good limits").lease().as_secs();
    assert_eq!(seconds(&[]), 3_600);
    assert_eq!(seconds(&[(Key::KillAfter, "5s")]), 3_600);
    assert_eq!(seconds(&[(Key::Timeout, "1m")]), 70);
    assert_eq!(seconds(&[(Key::Timeout, "1m"), (Key::KillAfter, "5s")]), 75);
    assert_eq!(seconds(&[(Key::Timeout, "1m"), (Key::KillAfter, "5s"), (Key::ProbeTimeout, "20s")]), 35);
    assert_eq!(seconds(&[(Key::Timeout, "1m"), (Key::Lease, "61s")]), 61);
    assert_eq!(seconds(&[(Key::Timeout, "1m"), (Key::ProbeTimeout, "0")]), 3_600, "a probe has no limit");
}

#[test]
fn a_lease_that_a_probe_would_outlive_is_refused() {
    let run = |pairs: &[(Key, &str)]| {
        let setup = Setup::parse(|key| pairs.iter().find(|pair| pair.0 == key).map(|pair| pair.1));
        setup.expect("one of a script").suits_a_run()
    };
    let refused = |pairs: &[(Key, &str)]| run(pairs).expect_err("no such lease");
    let outlived = "1m is not longer than the 1m that a probe may run, so its place would be given away";
    for limit in [Key::Timeout, Key::ProbeTimeout] {
        assert_eq!(refused(&[(Key::Lease, "1m"), (limit, "1m")]), Fault::new(Key::Lease, outlived).against(limit));
        assert_eq!(run(&[(Key::Lease, "60001ms"), (limit, "1m")]), Ok(()));
        // Some commands end only by KILL.
        let killed = "1m 10s is not longer than the 1m 10s that a probe may run, kill-after included, so its place would \
                      be given away";
        let both = |lease| [(Key::Lease, lease), (limit, "1m"), (Key::KillAfter, "10s")];
        assert_eq!(refused(&both("70s")), Fault::new(Key::Lease, killed).against(limit));
        assert_eq!(run(&both("70001ms")), Ok(()));
    }
    assert_eq!(run(&[(Key::Lease, "1m"), (Key::Timeout, "2m"), (Key::ProbeTimeout, "30s")]), Ok(()));
    assert_eq!(run(&[(Key::Lease, "1m"), (Key::Timeout, "2m"), (Key::ProbeTimeout, "0")]), Ok(()));
    // Without a time limit no probe outlives its place, whatever `kill-after`.
    assert_eq!(run(&[(Key::Lease, "1s"), (Key::KillAfter, "1m")]), Ok(()));
    let refused = |pairs: &[(Key, &str)]| limits(pairs).expect_err("no such lease");
    let none = "a probe without a place would be no probe; give it longer than it runs, like 1m";
    assert_eq!(refused(&[(Key::Lease, "0")]), Fault::new(Key::Lease, none));
}

#[test]
fn what_ends_a_child_is_as_gnu_timeout_has_it() {
    assert_eq!(limits(&[]).expect("no limits"), TimeLimits::NONE);
    let all = [(Key::Signal, "KILL"), (Key::PreserveStatus, "true"), (Key::Foreground, "true")];
    let expected = TimeLimits { signal: libc::SIGKILL, preserve_status: true, foreground: true, ..TimeLimits::NONE };
    assert_eq!(limits(&all).expect("good limits"), expected);
    let off = [(Key::PreserveStatus, "false"), (Key::Foreground, "false")];
    assert_eq!(limits(&off).expect("good limits"), TimeLimits::NONE);
    for (text, number) in [("TERM", 15), ("sigint", 2), ("9", 9), ("64", 64), ("SIG34", 34), ("rtmax", 64), ("0", 0)] {
        assert_eq!(limits(&[(Key::Signal, text)]).expect("a signal").signal, number);
    }
    for wrong in ["65", "-9", "00", "SIG0", "NOPE", ""] {
        let message = format!("'{wrong}' is not a signal; write a name like TERM or a number from 0 to 64");
        assert_eq!(fault(Key::Signal, wrong), message);
    }
    assert_eq!(fault(Key::Foreground, "yes"), "'yes' is neither true nor false");
}

#[test]
fn a_run_is_told_what_to_do_beside_guarding() {
    let of_run = |pairs: &[(Key, &str)]| setup(pairs).expect("good settings of a run").run;
    let plain = RunSettings {
        http: None,
        open_exit_code: 75,
        on_state_error: OnStateError::Run,
        observe: false,
        failure_output: None,
        fallback: None,
        fallback_on: FallbackOn::Refused,
        on_change: None,
        verbose: false,
        healthy_after: None,
    };
    assert_eq!(of_run(&[]), plain);
    let nothing = [(Key::OnStateError, "run"), (Key::Fallback, ""), (Key::OnChange, ""), (Key::HealthyAfter, "0")];
    assert_eq!(of_run(&nothing), plain);
    let given = of_run(&[
        (Key::Http, "true"),
        (Key::OpenExitCode, "255"),
        (Key::OnStateError, "refuse"),
        (Key::Observe, "true"),
        (Key::FailureOutput, "rate limit"),
        (Key::Fallback, "cat old"),
        (Key::FallbackOn, "failure"),
        (Key::OnChange, "mail root"),
        (Key::Verbose, "true"),
        (Key::HealthyAfter, "1m"),
    ]);
    let expected = RunSettings {
        http: Some(3),
        open_exit_code: 255,
        on_state_error: OnStateError::Refuse,
        observe: true,
        failure_output: Some("rate limit".parse().expect("a pattern")),
        fallback: Some("cat old".to_owned()),
        fallback_on: FallbackOn::Failure,
        on_change: Some("mail root".to_owned()),
        verbose: true,
        healthy_after: Some(Duration::from_secs(60)),
    };
    assert_eq!(given, expected);
    assert_eq!(of_run(&[(Key::OpenExitCode, "0")]).open_exit_code, 0);
    assert_eq!(fault(Key::OpenExitCode, "256"), "'256' is not a whole number from 0 to 255");
    for number in 3..=9 {
        assert_eq!(of_run(&[(Key::Http, &number.to_string())]).http, Some(number));
    }
    assert_eq!(of_run(&[(Key::Http, "false")]).http, None);
    for wrong in ["2", "10", "", "-3", "yes", "true "] {
        let message = format!("'{wrong}' is neither true nor false nor a descriptor from 3 to 9");
        assert_eq!(fault(Key::Http, wrong), message);
    }
    assert_eq!(fault(Key::OnStateError, "ignore"), "'ignore' is not known; write run or refuse");
    assert_eq!(fault(Key::FallbackOn, "failed"), "'failed' is not known; write refused or failure");
    assert_eq!(fault(Key::Verbose, "1"), "'1' is neither true nor false");
    assert_eq!(of_run(&[(Key::FailureOutput, "")]), plain);
    for (pattern, message) in [
        ("a(b", "'a(b' is not a regular expression: unclosed group"),
        ("*", "'*' is not a regular expression: repetition operator missing expression"),
        (r"\pL", r"'\pL' is not a regular expression: Unicode not allowed here"),
        ("(a{1000}){1000}", "'(a{1000}){1000}' would take too much memory; repeat less in it"),
        (&"x".repeat(201), "201 bytes are too many, at most 200 fit"),
    ] {
        assert_eq!(fault(Key::FailureOutput, pattern), message);
    }
    assert!(of_run(&[(Key::FailureOutput, &"x".repeat(200))]).failure_output.is_some());
    for key in [Key::Fallback, Key::OnChange] {
        assert_eq!(fault(key, "a\0b"), "a command cannot contain a NUL byte");
    }
}

#[test]
fn what_nobody_gives_is_known_as_well() {
    let setup = |pairs: &[(Key, &str)]| setup(pairs).expect("good settings");
    let plain = setup(&[]);
    for key in Key::all() {
        let expected = match key {
            Key::Threshold => Some("5"),
            Key::Window => Some("20"),
            Key::MinCalls => Some("10"),
            Key::Cooldown => Some("30s"),
            Key::Backoff | Key::Probes | Key::ProbeSuccesses | Key::ProbeFailures => Some("1"),
            Key::MaxCooldown | Key::MaxRetryAfter => Some("1h"),
            Key::Jitter => Some("0%"),
            Key::BackoffReset | Key::Ramp => Some("0s"),
            Key::Signal => Some("TERM"),
            Key::CountStopped | Key::PreserveStatus | Key::Foreground | Key::Http | Key::Observe | Key::Verbose => {
                Some("false")
            }
            Key::OpenExitCode => Some("75"),
            Key::OnStateError => Some("run"),
            Key::FallbackOn => Some("refused"),
            _ => None,
        };
        let default = key.default(&plain);
        assert_eq!(default.text().as_deref(), expected, "{}", key.name());
        assert_eq!(key.value(&plain), default, "{}", key.name());
        // To give the default changes nothing.
        if let Some(text) = default.text() {
            assert_eq!(setup(&[(key, &text)]), plain, "{}", key.name());
        }
    }
    let rate = setup(&[(Key::FailureRate, "50%"), (Key::Cooldown, "2h")]);
    assert_eq!(Key::Threshold.default(&rate), Value::Number(0), "switched off by the other rule");
    assert_eq!(Key::MaxCooldown.default(&rate).text().as_deref(), Some("2h"), "the cool-down is longer");
    assert_eq!(setup(&[(Key::FailureRate, "50%"), (Key::Cooldown, "2h"), (Key::MaxCooldown, "2h")]), rate);
}

#[test]
fn a_share_or_a_number_that_is_none_says_what_would_be_right() {
    let whole =
        |least, shown| format!("'{shown}' is not a whole number of per cent from {least} to 100; write 50 or 50%");
    let meant = |shown, percent| format!("'{shown}' is not a whole number of per cent; did you mean {percent}%?");
    assert_eq!(fault(Key::FailureRate, "0.5"), meant("0.5", 50));
    assert_eq!(fault(Key::FailureRate, "0.125%"), meant("0.125%", 13));
    assert_eq!(fault(Key::FailureRate, "0.0001"), meant("0.0001", 1));
    for wrong in ["0", "0.0", "1.0", "2.5", "-0.5", "101", "+5", "", "%"] {
        assert_eq!(fault(Key::FailureRate, wrong), whole(1, wrong));
    }
    assert_eq!(fault(Key::Jitter, "101"), whole(0, "101"));
    for wrong in ["4294967296", "99999999999999999999", "-1", "+1", "1.0", " 1", "x", ""] {
        let message = format!("'{wrong}' is not a whole number from 0 to 4294967295");
        assert_eq!(fault(Key::Threshold, wrong), message);
    }
}

#[test]
fn a_window_or_a_budget_that_is_none_says_what_would_be_right() {
    assert_eq!(fault(Key::Window, "1001"), "'1001' is not a number of calls from 1 to 1000; for a time write '1001s'");
    assert_eq!(fault(Key::Window, "00"), "'00' is not a number of calls from 1 to 1000");
    assert_eq!(fault(Key::Window, ""), "a duration is missing, write one like 30s, 1.5m or 1h30m");
    for (text, time) in [("1.5", "1.5s"), (".5", ".5s"), ("16.", "16.s"), ("16.0", "16.0s")] {
        let message = format!("'{text}' is not a number of calls, as 16 is one; for a time write '{time}'");
        assert_eq!(fault(Key::Window, text), message);
    }
    assert_eq!(fault(Key::Window, "0m"), "a window of no time holds no result; write one like 5m");
    assert_eq!(fault(Key::FailureBudget, "3"), "'3' is not a budget; write failures/duration like 3/1h");
    assert_eq!(fault(Key::FailureBudget, "0/1h"), "'0' is not a whole number from 1 to 100");
    let none = "a budget over no time holds no failure; write failures/duration like 3/1h";
    assert_eq!(fault(Key::FailureBudget, "3/0s"), none);
}

#[test]
fn a_back_off_is_a_decimal_number() {
    for (text, shown) in [("1.5", "1.5"), ("01.50", "1.5"), ("2.", "2"), ("1.000001", "1.000001"), ("100", "100")] {
        let setup = setup(&[(Key::Backoff, text)]).expect("a factor");
        assert_eq!(Key::Backoff.value(&setup).text().as_deref(), Some(shown));
    }
    for wrong in ["0.999999", "100.000001", "1.0000001", "+1.5", "1.+5", "1e1", "-1.5", ".5", "", "1.5.0"] {
        let message = format!("'{wrong}' is not a factor from 1 to 100, like 2 or 1.5 (at most 6 decimals)");
        assert_eq!(fault(Key::Backoff, wrong), message);
    }
}

#[test]
fn what_cannot_be_meant_together_is_refused() {
    let refused = |pairs: &[(Key, &str)]| Settings::parse(given(pairs)).map_err(|fault| (fault.key, fault.message));
    let no_limit = "it needs slow-after, which says from what duration on a run is slow";
    assert_eq!(refused(&[(Key::SlowRate, "50")]), Err((Key::SlowRate, no_limit.to_owned())));
    assert!(refused(&[(Key::SlowRate, "50"), (Key::SlowAfter, "1s")]).is_ok());
    let shorter = "29s is shorter than the cooldown of 30s".to_owned();
    assert_eq!(refused(&[(Key::MaxCooldown, "29s")]), Err((Key::MaxCooldown, shorter)));
    assert!(refused(&[(Key::MaxCooldown, "30s")]).is_ok());
    let never = "0 switches off the only rule, so the breaker could never open; \
                 give failure-rate, slow-rate or failure-budget, or a threshold";
    for useless in [Key::SlowAfter, Key::FailureCodes, Key::SuccessCodes] {
        let refused = refused(&[(Key::Threshold, "0"), (useless, "1")]);
        assert_eq!(refused, Err((Key::Threshold, never.to_owned())));
    }
    for (rule, text) in
        [(Key::FailureRate, "50"), (Key::SlowRate, "50"), (Key::FailureBudget, "3/1h"), (Key::TripCodes, "9")]
    {
        let good = [(Key::Threshold, "0"), (Key::SlowAfter, "1s"), (rule, text)];
        assert!(refused(&good).is_ok(), "{text}");
    }
}

#[test]
fn a_setting_is_written_only_where_it_differs() {
    let all = [
        (Key::Threshold, "7"),
        (Key::FailureRate, "50%"),
        (Key::Window, "5m"),
        (Key::MinCalls, "3"),
        (Key::SlowAfter, "2s"),
        (Key::SlowRate, "60%"),
        (Key::FailureBudget, "3/1h"),
        (Key::Cooldown, "10s"),
        (Key::Backoff, "1.5"),
        (Key::MaxCooldown, "20m"),
        (Key::BackoffReset, "15m"),
        (Key::Jitter, "10%"),
        (Key::Ramp, "5m"),
        (Key::Probes, "2"),
        (Key::ProbeSuccesses, "3"),
        (Key::ProbeFailures, "4"),
        (Key::Lease, "2m"),
        (Key::MaxRetryAfter, "3h"),
        (Key::SuccessCodes, "0,22"),
        (Key::FailureCodes, "1-9"),
        (Key::IgnoreCodes, "SIGTERM"),
        (Key::TripCodes, "timeout"),
    ];
    let settings = Settings::parse(given(&all)).expect("settings that agree");
    let written = |settings: &Settings| settings.given().map(|(key, value)| (key, value.text())).collect::<Vec<_>>();
    assert_eq!(written(&settings), all.map(|(key, text)| (key, Some(text.to_owned()))));
    assert_eq!(written(&Settings::default()), []);
    let text = stored::settings_text(&settings);
    let words = "A7 B50% C300000ms D3 E2000ms F60% G3/3600000ms H10000ms I1.5 J1200000ms Q900000ms K10% R300000ms L2 M3 N4 O120000ms P10800000ms";
    assert_eq!(text.0, words);
    assert_eq!(stored::settings(&text), settings);
    assert_eq!(stored::settings_text(&Settings::default()), (String::new(), String::new()));
}

#[test]
fn every_setting_has_an_option_and_every_such_option_a_row() {
    use clap::Args;

    use crate::cli::{AllowOptions, BreakerOptions, RefusalOptions, RunOptions};

    let options = |command: clap::Command| {
        let names = command.get_arguments().filter_map(|option| option.get_long().map(str::to_owned));
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        names
    };
    let rows = |is_option: fn(Key) -> bool| {
        let mut names: Vec<&str> = Key::all().filter(|key| is_option(*key)).map(Key::name).collect();
        names.sort_unstable();
        names
    };
    // `--verbose` is one of the options of every command.
    assert_eq!(options(RunOptions::augment_args(clap::Command::new("run"))), rows(|key| key != Key::Verbose));
    let of_breaker = options(BreakerOptions::augment_args(clap::Command::new("record")));
    assert_eq!(of_breaker, rows(Key::is_of_breaker));
    let of_allow = options(AllowOptions::augment_args(clap::Command::new("allow")));
    assert_eq!(of_allow, rows(|key| key.is_of_breaker() || key == Key::OpenExitCode));
    let of_check = options(RefusalOptions::augment_args(clap::Command::new("check")));
    assert_eq!(of_check, ["open-exit-code"]);
}

#[test]
fn a_letter_in_the_state_stands_for_one_setting() {
    let letters = Key::all().filter_map(|key| match key.stored() {
        Stored::Letter(letter) => Some((letter, key)),
        Stored::Packed | Stored::Not => None,
    });
    let letters: Vec<_> = letters.collect();
    let distinct: std::collections::BTreeSet<char> = letters.iter().map(|pair| pair.0).collect();
    assert_eq!(distinct.len(), letters.len(), "{letters:?}");
}

#[test]
fn what_cannot_be_read_of_stored_settings_costs_no_more_than_itself() {
    let read = |words: &str, codes: &str| stored::settings(&(words.to_owned(), codes.to_owned()));
    let settings = |pairs: &[(Key, &str)]| setup(pairs).expect("settings that can be read").breaker;
    let (threshold, cooldown) = ((Key::Threshold, "7"), (Key::Cooldown, "10s"));
    let both = settings(&[threshold, cooldown]);
    for words in ["A7 H10000ms", "A7 Z9 H10000ms", "Z5 A7 H10000ms a1", " A7  H10000ms é", "A7 H10000ms \u{0}"] {
        assert_eq!(read(words, ""), both, "{words:?}");
    }
    for words in ["A7 Hsoon", "A7 H", "A7 H-1ms K101% L0 G3/0ms C0 I0.5 Ox"] {
        assert_eq!(read(words, ""), settings(&[threshold]), "{words:?}");
    }
    assert_eq!(read("Aseven H10000ms", ""), settings(&[cooldown]));
    let other_rule = settings(&[(Key::FailureRate, "50%")]);
    assert_eq!(read("Aseven B50%", ""), other_rule, "as where no threshold was given");
    assert_eq!(read("B150%", ""), Settings::default(), "the threshold is not switched off by what is no rule");
    assert_eq!(read(&"Hsoon ".repeat(5_000), ""), Settings::default());
    // Contradictions do not matter either.
    let contradicting: Vec<Key> = read("A0 F50% J1ms", "").contradictions().iter().map(|fault| fault.key).collect();
    assert_eq!(contradicting, [Key::SlowRate, Key::MaxCooldown]);
    let codes = settings(&[threshold, (Key::TripCodes, "2")]).codes;
    let packed = pack::digits(codes.to_numbers(), Codes::KINDS);
    assert_eq!(read("A7 Hsoon", &packed), Settings { codes, ..settings(&[threshold]) });
    for packed in ["!", "C", "__", &format!("{packed}?")] {
        assert_eq!(read("A7 H10000ms", packed), both, "{packed:?}");
    }
}

#[test]
fn where_answers_are_judged_any_end_that_no_list_has_may_be_a_failure() {
    let opens = |pairs: &[(Key, &str)]| setup(pairs).is_ok_and(|setup| setup.suits_a_run() == Ok(()));
    let all = "0-255,timeout";
    let signals = (1..=64).map(|number| format!("SIG{number}")).collect::<Vec<_>>();
    let signals: Vec<String> = signals.chunks(30).map(|part| part.join(",")).collect();
    assert!(!opens(&[(Key::Threshold, "0")]) && opens(&[(Key::Threshold, "0"), (Key::Http, "true")]));
    let codes = [(Key::IgnoreCodes, &*signals[0]), (Key::FailureCodes, &*signals[1]), (Key::SuccessCodes, all)];
    assert!(opens(&codes), "a signal is a failure");
    let codes = [(Key::FailureCodes, "timeout")];
    assert!(!opens(&codes) && opens(&[codes[0], (Key::Http, "4")]));
    let none = [(Key::FailureCodes, "timeout"), (Key::SuccessCodes, "0-255"), (Key::Http, "4")];
    assert!(opens(&none), "a signal that no list has");
    assert!(opens(&[(Key::Threshold, "0"), (Key::FailureCodes, "7"), (Key::Http, "true")]));
    assert!(!opens(&[(Key::Threshold, "0"), (Key::FailureCodes, "7"), (Key::Http, "false")]));
}

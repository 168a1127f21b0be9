//! Section 1 of cb-contract(7), sentence by sentence, as little plays: what happens, and what comes of it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::breaker::permit::Permit;
use crate::breaker::{
    Admission, Answer, Ask, Breaker, Cause, Draw, HoldKind, Order, Ordered, Phase, Recorded, Reported, State,
};
use crate::outcome::{End, Finished, Outcome};
use crate::settings::{Fault, Key, Settings};
use crate::time::{Timestamp, format_duration, parse_duration};

/// 2026-01-02T03:04:05.678Z
const TODAY: u64 = 1_767_323_045_678;
/// How long a probe keeps its place where `lease` says nothing and it has no time limit.
const LEASE: Duration = Duration::from_secs(3_600);

/// A breaker, a clock, and permits by their names.
struct Play {
    breaker: Breaker,
    settings: Settings,
    /// What the clock says, and the time by which the breaker is judged.
    clock: Timestamp,
    now: Timestamp,
    permits: BTreeMap<String, Copied>,
    /// What each run that asks has drawn.
    draw: Draw,
}

/// What a permit is made of, so that it can be used twice.
#[derive(Clone, Copy)]
struct Copied {
    breaker: u64,
    generation: u64,
    serial: Option<u64>,
    probe: bool,
}

/// Settings as `threshold=3 cooldown=30s`.
fn read(settings: &str) -> Result<Settings, Fault> {
    Settings::parse(|key| {
        settings.split(' ').filter_map(|word| word.split_once('=')).find(|pair| pair.0 == key.name()).map(|pair| pair.1)
    })
}

fn fault(settings: &str) -> (Key, String) {
    let fault = read(settings).expect_err(settings);
    (fault.key, fault.message)
}

/// A new breaker, and a caller with these settings.
fn with(settings: &str) -> Play {
    Play {
        breaker: Breaker::new(7),
        settings: read(settings).unwrap_or_else(|fault| panic!("{settings}: {fault:?}")),
        clock: Timestamp::from_millis(TODAY),
        now: Timestamp::from_millis(TODAY),
        permits: BTreeMap::new(),
        draw: Draw::FIRST,
    }
}

/// A result by its word: `slow` ones take a minute, `fatal` is one of the trip codes, `fail^20s` was told by an answer of
/// 429 to stay away for so long.
fn run(word: &str) -> Option<Finished<'static>> {
    if let Some((word, away)) = word.split_once('^') {
        let retry_after = Some(parse_duration(away).unwrap_or_else(|error| panic!("{error}")));
        return run(word).map(|run| Finished { http_status: Some(429), retry_after, ..run });
    }
    let (outcome, end, took) = match word {
        "ok" => (Outcome::Success, End::Exit(0), Duration::ZERO),
        "fail" | "fatal" => (Outcome::Failure, End::Exit(1), Duration::ZERO),
        "ignored" => (Outcome::Ignored, End::NotStarted, Duration::ZERO),
        "later" => (Outcome::Ignored, End::Exit(75), Duration::ZERO),
        "slow" => (Outcome::Success, End::Exit(0), Duration::from_secs(60)),
        "slowfail" => (Outcome::Failure, End::Exit(1), Duration::from_secs(60)),
        _ => return None,
    };
    Some(Finished { trips: word == "fatal", end: Some(end), took: Some(took), ..Finished::of(outcome) })
}

impl Play {
    /// Another caller takes over, with settings of its own.
    fn but_with(&mut self, settings: &str) -> &mut Self {
        self.settings = read(settings).unwrap_or_else(|fault| panic!("{settings}: {fault:?}"));
        self
    }

    /// Plays a script and compares what came of each word of it; a word of the clock is without effect by itself.
    ///
    /// `ok fail fatal slow slowfail ignored later`: a whole run. `NAME!`: a run begins, `NAME:fail`: it ends. `NAME?`: a permit
    /// is asked for. `NAME~`: the prober dies. `seen:ok`: reported without a permit. `+30s -1h`: the clock. `ask`: what a
    /// run would be told. `left`: until the next try. `trip trip:10s disable disable:10s enable reset`: by hand.
    /// `draw:250`: whoever asks from now on has drawn so many thousandths. `trip=10s disable=10s`: the same with `--replace`. `away away:10s`: what the run itself reports.
    /// `fail*9`: nine times, of which the last counts.
    #[track_caller]
    fn goes(&mut self, script: &str, story: &str) -> &mut Self {
        let mut told = Vec::new();
        for word in script.split_whitespace() {
            let (word, times) = word.split_once('*').unwrap_or((word, "1"));
            let times: u32 = times.parse().expect("a number of times");
            let last = (0..times).map(|_| self.word(word)).last();
            told.extend(last.flatten());
        }
        let expected: Vec<_> = story.split_whitespace().collect();
        assert_eq!(told.join(" "), expected.join(" "), "{script}");
        self
    }

    fn set_clock(&mut self, clock: Timestamp) {
        self.clock = clock;
        self.now = self.breaker.time(clock);
    }

    fn word(&mut self, word: &str) -> Option<String> {
        self.set_clock(self.clock);
        let span = |text: &str| parse_duration(text).unwrap_or_else(|error| panic!("{error}"));
        if let Some(ahead) = word.strip_prefix('+') {
            self.set_clock(self.clock.after(span(ahead)));
            return None;
        }
        if let Some(back) = word.strip_prefix('-') {
            let back = u64::try_from(span(back).as_millis()).expect("at most a century");
            self.set_clock(Timestamp::from_millis(self.clock.as_millis().saturating_sub(back)));
            return None;
        }
        if let Some(run) = run(word) {
            return Some(match self.begin("it", Some(1)) {
                "refused" => "refused".to_owned(),
                _ => self.end("it", &run),
            });
        }
        if let Some(name) = word.strip_suffix('!') {
            return Some(self.begin(name, Some(1)).to_owned());
        }
        if let Some(name) = word.strip_suffix('?') {
            return Some(self.begin(name, None).to_owned());
        }
        if let Some(name) = word.strip_suffix('~') {
            self.breaker.abandon(self.permits[name].serial.expect("a probe"));
            return Some(self.state());
        }
        let by = || "somebody".to_owned();
        let (verb, object) = word.split_once([':', '=']).unwrap_or((word, ""));
        let for_span = (!object.is_empty()).then_some(object);
        let replace = word.contains('=');
        match (verb, run(object)) {
            ("seen", Some(run)) => drop(self.breaker.observe(&run, &self.settings, self.now)),
            (name, Some(run)) => return Some(self.end(name, &run)),
            ("ask", None) => {
                return Some(match self.breaker.answer(&self.settings, self.draw, self.now) {
                    Answer::Pass => "passes".to_owned(),
                    Answer::Probe => "probes".to_owned(),
                    Answer::Refuse(_) => "refused".to_owned(),
                });
            }
            ("left", None) => {
                let Answer::Refuse(refusal) = self.breaker.answer(&self.settings, self.draw, self.now) else {
                    return Some("nothing".to_owned());
                };
                let left = refusal.retry_at.map(|at| format_duration(at.left(self.now)).replace(' ', ""));
                return Some(left.unwrap_or_else(|| "endless".to_owned()));
            }
            ("trip" | "disable", None) => {
                let kind = if verb == "trip" { HoldKind::Trip } else { HoldKind::Disable };
                let order = Order { kind, span: for_span.map(span), replace, reason: None, by: by() };
                drop(self.breaker.order(order, self.now));
            }
            ("away", None) => drop(self.breaker.report(for_span.map(span), None, self.now)),
            ("draw", None) => {
                self.draw = Draw::thousandths(object.parse().expect("thousandths"));
                return None;
            }
            ("enable", None) => drop(self.breaker.enable(by(), self.now)),
            ("reset", None) => drop(self.breaker.reset(by(), self.now)),
            _ => panic!("'{word}' is no word of a script"),
        }
        Some(self.state())
    }

    fn begin(&mut self, name: &str, pid: Option<u32>) -> &'static str {
        let lease = self.settings.lease.unwrap_or(LEASE);
        let ask = Ask { settings: &self.settings, lease, pid, draw: self.draw };
        let Admission::Admitted(permit) = self.breaker.admit(&ask, self.now) else { return "refused" };
        let (generation, serial, probe) = (permit.generation(), permit.serial(), permit.is_probe());
        self.permits.insert(name.to_owned(), Copied { breaker: self.breaker.id, generation, serial, probe });
        if probe { "probe" } else { "run" }
    }

    fn end(&mut self, name: &str, run: &Finished) -> String {
        let Copied { breaker, generation, serial, probe } = self.permits[name];
        let permit = Permit::new(breaker, generation, serial, probe);
        match self.breaker.record(&permit, run, &self.settings, self.now) {
            Recorded::Counted(_) => self.state(),
            Recorded::Late => "late".to_owned(),
            Recorded::Foreign => "foreign".to_owned(),
        }
    }

    fn state(&self) -> String {
        match self.breaker.state() {
            State::Closed { .. } => "closed",
            State::Open { .. } => "open",
            State::HalfOpen { .. } => "half-open",
        }
        .to_owned()
    }

    /// The window of the caller: results, failures, slow ones.
    fn window(&self) -> (u32, u32, u32) {
        let count = self.breaker.window(&self.settings, self.now);
        (count.calls, count.failures, count.slow)
    }
}

// States.

#[test]
fn a_breaker_nobody_has_used_is_closed() {
    with("").goes("ask left", "passes nothing");
    assert!(matches!(Breaker::new(1).state(), State::Closed { since: None, recovered: None }));
}

#[test]
fn closed_runs_pass_and_open_runs_are_refused_until_retry_at() {
    with("threshold=3").goes("fail fail fail +30s ok", "closed closed open closed");
    with("threshold=3").goes("fail*3 ok +29.999s ok left +1ms ok", "open refused refused 1ms closed");
}

#[test]
fn half_open_probes_pass_and_the_rest_are_refused() {
    with("threshold=3").goes("fail*3 +30s a! b! ok a:ok ok", "open probe refused refused closed closed");
}

#[test]
fn an_open_breaker_is_half_open_when_a_run_asks_and_not_before() {
    let mut play = with("threshold=1");
    play.goes("fail +1d ask ask", "open probes probes");
    assert!(matches!(play.breaker.state(), State::Open { .. }), "nobody but a run changes it");
    play.goes("a! ask", "probe refused");
    assert!(matches!(play.breaker.state(), State::HalfOpen { .. }));
}

#[test]
fn retry_at_is_inclusive() {
    with("threshold=1 cooldown=1ms").goes("fail ask +1ms a!", "open refused probe");
    with("threshold=1 cooldown=0").goes("fail left a! a:fail b!", "open nothing probe open probe");
}

#[test]
fn it_closes_when_as_many_probes_have_succeeded_and_everything_counted_so_far_is_cleared() {
    let mut play = with("threshold=2 failure-rate=50 min-calls=3 failure-budget=3/1h probe-successes=2");
    play.goes("fail fail +30s ok", "closed open half-open");
    assert_eq!(play.window(), (3, 2, 0));
    play.goes("ok", "closed");
    assert_eq!(play.window(), (0, 0, 0));
    assert_eq!(play.breaker.consecutive_failures(), 0);
    assert_eq!(play.breaker.budget_used(&play.settings, play.now), 0);
    play.goes("fail fail", "closed open");
}

#[test]
fn it_opens_again_when_as_many_probes_have_failed() {
    with("threshold=1 probe-failures=2 probes=2")
        .goes("fail +30s a! b! a:fail b:fail", "open probe probe half-open open")
        .goes("left", "30s");
}

#[test]
fn whichever_is_reached_first() {
    let mut play = with("threshold=1 probe-successes=2 probe-failures=2");
    play.goes("fail +30s ok fail ok", "open half-open half-open closed");
    play.goes("fail +30s ok fail fail", "open half-open half-open open");
}

#[test]
fn a_slow_probe_fails_where_slow_after_is_set() {
    with("threshold=1").goes("fail +30s slow", "open closed");
    with("threshold=1 slow-after=1m").goes("fail +30s slow +30s ok", "open open closed");
    with("threshold=1 slow-after=61s").goes("fail +30s slow", "open closed");
}

#[test]
fn slow_after_alone_watches_probes() {
    with("threshold=2 slow-after=1m").goes("slow*20 fail fail +30s slow", "closed closed open open");
}

// Trip rules.

#[test]
fn any_rule_that_is_set_may_trip() {
    let all = "threshold=3 failure-rate=50 min-calls=4 slow-rate=50 slow-after=1m failure-budget=4/1h";
    with(all).goes("fail fail fail", "closed closed open");
    with(all).goes("fail ok ok fail", "closed closed closed open");
    with(all).goes("ok ok slow slow", "closed closed closed open");
    with(all).goes("ok*8 fail ok fail ok fail ok fail", "closed closed closed closed closed closed closed open");
}

#[test]
fn rules_are_judged_after_a_bad_result_and_never_after_a_good_one() {
    with("failure-rate=50 min-calls=3").goes("fail fail ok fail", "closed closed closed open");
    with("slow-rate=50 slow-after=1m min-calls=3").goes("slow slow ok slow", "closed closed closed open");
    // A fast failure is bad too.
    with("slow-rate=50 slow-after=1m min-calls=3").goes("slow slow fail", "closed closed open");
    with("failure-rate=50 min-calls=3").goes("fail fail ignored ok", "closed closed closed closed");
}

#[test]
fn comparisons_are_exact() {
    with("failure-rate=33 min-calls=3").goes("ok ok fail", "closed closed open");
    with("failure-rate=34 min-calls=3").goes("ok ok fail", "closed closed closed");
    with("failure-rate=100 min-calls=3").goes("fail fail fail", "closed closed open");
    with("failure-rate=1 window=100 min-calls=100").goes("ok*99 fail", "closed open");
    with("failure-rate=1 window=101 min-calls=101").goes("ok*100 fail", "closed closed");
    with("slow-rate=67 slow-after=1m min-calls=3").goes("ok slow slow", "closed closed closed");
    with("slow-rate=66 slow-after=1m min-calls=3").goes("ok slow slow", "closed closed open");
}

#[test]
fn threshold_is_five_by_default() {
    with("").goes("fail fail fail fail fail", "closed closed closed closed open");
}

#[test]
fn a_threshold_of_zero_is_off() {
    with("threshold=0 failure-budget=50/1h").goes("fail*49 fail", "closed open");
    with("threshold=0 trip-codes=9").goes("fail*500 fatal", "closed open");
    assert_eq!(fault("threshold=0").0, Key::Threshold);
}

#[test]
fn a_success_sets_the_row_to_zero() {
    with("threshold=3").goes(
        "fail fail ok fail fail ok fail fail fail",
        "closed closed closed closed closed closed closed closed open",
    );
}

#[test]
fn time_does_not_age_the_row() {
    with("threshold=3").goes("fail +400d fail +400d fail", "closed closed open");
}

#[test]
fn a_rate_is_of_the_last_twenty_results_by_default() {
    with("failure-rate=100").goes("ok fail*19 fail", "closed closed open");
    with("failure-rate=55").goes("ok*9 fail*10 fail", "closed closed open");
}

#[test]
fn a_count_window_is_the_last_results_however_old() {
    with("failure-rate=100 window=2").goes("fail +400d fail", "closed open");
    with("failure-rate=60 window=3").goes("fail ok ok fail fail", "closed closed closed closed open");
}

#[test]
fn a_rate_is_judged_only_once_min_calls_results_are_in_the_window() {
    with("failure-rate=50").goes("fail*9 fail", "closed open");
    with("failure-rate=50 min-calls=1").goes("fail", "open");
    with("failure-rate=50 window=10s min-calls=3")
        .goes("fail fail +10s fail fail fail", "closed closed closed closed open");
}

#[test]
fn min_calls_above_a_count_window_means_the_window() {
    with("failure-rate=50 window=3 min-calls=10").goes("fail fail fail", "closed closed open");
    with("failure-rate=50 window=3").goes("fail fail fail", "closed closed open");
    with("failure-rate=50 window=10s min-calls=100").goes("fail*99 fail", "closed open");
}

#[test]
fn a_percentage_is_whole_from_1_to_100() {
    for good in ["failure-rate=1", "failure-rate=50", "failure-rate=50%", "failure-rate=100%"] {
        assert!(read(good).is_ok(), "{good}");
    }
    let hint = "'0.5' is not a whole number of per cent; did you mean 50%?";
    assert_eq!(fault("failure-rate=0.5"), (Key::FailureRate, hint.to_owned()));
    for bad in ["failure-rate=0", "failure-rate=101", "failure-rate=-1", "failure-rate=1.5", "failure-rate="] {
        assert_eq!(fault(bad).0, Key::FailureRate, "{bad}");
    }
}

#[test]
fn no_result_outlives_a_time_window() {
    let mut play = with("failure-rate=50 window=10s min-calls=1000");
    play.goes("fail +9.999s", "closed");
    assert_eq!(play.window(), (1, 1, 0));
    play.goes("+1ms", "");
    assert_eq!(play.window(), (0, 0, 0), "one of exactly 10 s ago is out");
}

#[test]
fn none_leaves_more_than_a_tenth_of_the_window_early() {
    let mut play = with("failure-rate=50 window=10s min-calls=1000");
    play.goes("fail +999ms fail +1ms fail", "closed closed closed");
    play.goes("+8.999s", "");
    assert_eq!(play.window(), (3, 3, 0));
    play.goes("+1ms", "");
    assert_eq!(play.window(), (1, 1, 0), "the first slice is 10 s old, and with it what is 999 ms younger");
    play.goes("+999ms", "");
    assert_eq!(play.window(), (1, 1, 0));
    play.goes("+1ms", "");
    assert_eq!(play.window(), (0, 0, 0));
}

#[test]
fn a_time_window_is_as_exact_however_long_the_gap_between_two_runs() {
    let mut play = with("failure-rate=50 window=10h min-calls=3");
    play.goes("fail +4h fail +5h59m59.999s fail", "closed closed open");
    let mut play = with("failure-rate=50 window=10h min-calls=3");
    play.goes("fail +4h fail +6h fail", "closed closed closed");
    play.goes("+100d fail +1d fail +1d fail", "closed closed closed");
    assert_eq!(play.window(), (1, 1, 0));
}

#[test]
fn a_slow_run_took_at_least_slow_after() {
    with("slow-rate=100 slow-after=60s min-calls=1").goes("slow", "open");
    with("slow-rate=100 slow-after=60001ms min-calls=1").goes("slow", "closed");
    with("slow-rate=100 slow-after=0 min-calls=1").goes("ok", "open");
    assert_eq!(fault("slow-rate=50").0, Key::SlowRate);
}

#[test]
fn a_slow_success_sets_the_row_to_zero_and_is_judged_for_slow_rate_only() {
    with("threshold=3 slow-after=1m").goes("fail fail slow fail fail", "closed closed closed closed closed");
    let rates = "failure-rate=50 slow-rate=100 slow-after=1m min-calls=3";
    with(rates).goes("fail fail slow fail", "closed closed closed open");
    with("failure-budget=1/1h slow-rate=100 slow-after=1m").goes("slow", "closed");
}

#[test]
fn a_slow_failure_is_judged_for_everything() {
    with("slow-rate=100 slow-after=1m min-calls=2").goes("slowfail slowfail", "closed open");
    with("threshold=2 slow-after=1m").goes("slowfail slowfail", "closed open");
}

#[test]
fn a_budget_is_of_failures_within_a_time_exactly() {
    with("failure-budget=2/1h").goes("fail +59m59.999s fail", "closed open");
    with("failure-budget=2/1h").goes("fail +1h fail", "closed closed");
    with("failure-budget=3/1h").goes("fail +30m fail +30m fail +29m59.999s fail", "closed closed closed open");
    with("failure-budget=1/1ms").goes("ok fail", "closed open");
    with("failure-budget=100/1s").goes("fail*99 fail", "closed open");
    with("failure-budget=2/800d").goes("fail +799d fail", "closed open");
    with("failure-budget=2/800d").goes("fail +800d fail", "closed closed");
}

#[test]
fn successes_between_the_failures_of_a_budget_do_not_matter() {
    with("failure-budget=3/1h").goes("fail ok*500 fail ok*500 fail", "closed closed closed closed open");
}

#[test]
fn any_other_rule_switches_the_default_threshold_off_unless_it_is_given_too() {
    for rule in ["failure-rate=100 min-calls=50 window=50", "slow-rate=1 slow-after=1m", "failure-budget=50/1h"] {
        with(rule).goes("fail*20", "closed");
        with(&format!("{rule} threshold=5")).goes("fail*4 fail", "closed open");
    }
    with("trip-codes=9").goes("fail*4 fail", "closed open");
}

#[test]
fn a_trip_code_opens_at_once() {
    with("trip-codes=9").goes("ok fatal", "closed open");
    with("trip-codes=9 threshold=1 probe-failures=3").goes("fail +30s fail fatal", "open half-open open");
}

// Cool-down.

#[test]
fn the_cool_down_is_thirty_seconds_and_fixed_by_default() {
    with("threshold=1").goes("fail left +30s fail left +30s fail left", "open 30s open 30s open 30s");
}

#[test]
fn the_cool_down_grows_with_each_reopening_in_a_row_up_to_its_most() {
    with("threshold=1 cooldown=10s backoff=2 max-cooldown=1m")
        .goes("fail left +10s fail left +20s fail left", "open 10s open 20s open 40s")
        .goes("+40s fail left +60s fail left", "open 1m open 1m");
    with("threshold=1 cooldown=1s backoff=1.5")
        .goes("fail +1s fail left +2s fail left", "open open 1s500ms open 2s250ms");
}

#[test]
fn a_cool_down_grows_up_to_an_hour_by_default_or_as_long_as_it_is_itself() {
    with("threshold=1 cooldown=50m backoff=2").goes("fail +50m fail left", "open open 1h");
    with("threshold=1 cooldown=2h backoff=2").goes("fail left +2h fail left", "open 2h open 2h");
    assert_eq!(fault("cooldown=2h max-cooldown=1h").0, Key::MaxCooldown);
}

#[test]
fn closing_resets_the_growth() {
    let settings = "threshold=1 cooldown=10s backoff=2";
    with(settings).goes("fail +10s fail +20s ok fail left +10s fail left", "open open closed open 10s open 20s");
    with(settings).goes("fail +10s fail reset fail left", "open open closed open 10s");
    with(settings).goes("fail +10s fail seen:ok fail left", "open open closed open 10s");
}

#[test]
fn backoff_is_from_1_to_100_with_decimals() {
    for good in ["backoff=1", "backoff=1.5", "backoff=1.000001", "backoff=100"] {
        assert!(read(good).is_ok(), "{good}");
    }
    for bad in ["backoff=0.5", "backoff=0", "backoff=100.1", "backoff=-2", "backoff=x", "backoff="] {
        assert_eq!(fault(bad).0, Key::Backoff, "{bad}");
    }
}

#[test]
fn jitter_lengthens_by_up_to_its_share_and_never_shortens() {
    for (jitter, most) in [(0, 100_000), (1, 101_000), (25, 125_000), (100, 200_000)] {
        let settings = read(&format!("threshold=1 cooldown=100s jitter={jitter}%")).expect("good settings");
        let mut seen = Vec::new();
        for id in 0..2_000_u64 {
            let mut breaker = Breaker::new(id.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let now = Timestamp::from_millis(TODAY);
            let failure = run("fail").expect("a result");
            assert!(breaker.observe(&failure, &settings, now).is_some());
            let State::Open { cooldown, .. } = *breaker.state() else { panic!("a failure opens it") };
            seen.push(cooldown.as_millis());
        }
        let (least, longest) = (seen.iter().min(), seen.iter().max());
        assert!(least >= Some(&100_000) && longest <= Some(&most), "{jitter}%: {least:?} to {longest:?}");
        // All of the range is used, about evenly.
        let middle = u128::midpoint(100_000, most);
        let short = seen.iter().filter(|&&cooldown| cooldown < middle).count();
        assert!(jitter == 0 || (800..1_200).contains(&short), "{jitter}%: {short} of 2000 in the lower half");
    }
}

#[test]
fn jitter_is_that_of_a_known_generator() {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let dice = |id, generation| Breaker { generation, ..Breaker::new(id) }.dice();
    // The upper halves of what SplitMix64 gives first when it begins at 0.
    assert_eq!(
        [1, 2, 3, 4].map(|generation| dice(0, generation)),
        [0xe220_a839, 0x6e78_9e6a, 0x06c4_5d18, 0xf88b_b8a8]
    );
    assert_eq!(dice(STEP ^ STEP.wrapping_mul(2), 1), 0x6e78_9e6a, "another breaker begins elsewhere");
}

#[test]
fn jitter_comes_after_the_most() {
    let mut play = with("threshold=1 cooldown=1h max-cooldown=1h jitter=100");
    let mut longer = 0;
    for _ in 0..20 {
        play.goes("fail", "open");
        let State::Open { cooldown, .. } = *play.breaker.state() else { panic!("a failure opens it") };
        assert!((Duration::from_secs(3_600)..Duration::from_secs(7_200)).contains(&cooldown), "{cooldown:?}");
        longer += u32::from(cooldown > Duration::from_secs(3_660));
        play.goes("reset", "closed");
    }
    assert!(longer > 0, "twenty times in a row almost none");
}

#[test]
fn a_million_reopenings_overflow_nothing() {
    for (settings, longest) in [
        ("threshold=1 cooldown=0 backoff=100", "nothing"),
        ("threshold=1 cooldown=1ms backoff=1", "1ms"),
        ("threshold=1 cooldown=1ms backoff=1.000001", "3ms"),
        ("threshold=1 cooldown=1ms backoff=100", "1h"),
        ("threshold=1 cooldown=99999d backoff=100", "36500d"),
        ("threshold=1 cooldown=1d backoff=100 max-cooldown=99999d", "36500d"),
    ] {
        let mut play = with(settings);
        play.goes("fail", "open");
        let State::Open { reopened, .. } = &mut play.breaker.state else { panic!("a failure opens it") };
        *reopened = 999_999;
        play.goes("-61s fail left", &format!("open {longest}"));
        let State::Open { reopened, .. } = &mut play.breaker.state else { panic!("a failed probe opens it") };
        assert_eq!(*reopened, 1_000_000);
        *reopened = u32::MAX;
        play.goes("-61s fail", "open");
        let text = serde_json::to_string(&play.breaker).expect("plain data");
        assert_eq!(serde_json::from_str::<Breaker>(&text).expect("our own text"), play.breaker);
        // Counters end where JSON does, and generations begin again.
        play.breaker.totals.opened = (1 << 53) - 2;
        play.breaker.generation = u64::MAX;
        play.goes("-61s fail -61s fail", "open open");
        assert_eq!(play.breaker.totals().opened, (1 << 53) - 1);
    }
}

#[test]
fn ten_thousand_reopenings_one_after_another_are_as_many() {
    let mut play = with("threshold=1 cooldown=1ms backoff=1.1 max-cooldown=5ms");
    play.goes("fail", "open");
    for _ in 0..10_000 {
        play.goes("+5ms fail", "open");
    }
    let State::Open { reopened, cooldown, .. } = *play.breaker.state() else { panic!("a failed probe opens it") };
    assert_eq!((reopened, cooldown), (10_000, Duration::from_millis(5)));
    assert_eq!(play.breaker.totals().opened, 10_001);
}

#[test]
fn by_backoff_reset_the_growth_begins_anew_only_once_it_has_stayed_closed_for_so_long() {
    let settings = "threshold=1 cooldown=10s backoff=2 backoff-reset=1m";
    with(settings)
        .goes("fail +10s ok +59.999s fail left +20s ok +59.999s fail left", "open closed open 20s closed open 40s")
        .goes("+40s ok +1m fail left", "closed open 10s");
    // An opening again is a step as well, and so is every probe that fails.
    with(settings)
        .goes("fail +10s fail +20s ok fail left +40s fail left", "open open closed open 40s open 1m20s")
        .goes("+80s ok +1h fail left", "closed open 10s");
    with(settings).goes("fail seen:ok fail left seen:ok fail left", "open closed open 20s closed open 40s");
    with(settings).goes("ok +1s fail left", "closed open 10s");
    with(&format!("{settings} max-cooldown=30s"))
        .goes("fail +10s ok fail left +20s ok fail left", "open closed open 20s closed open 30s");
    // By 0, as nobody says otherwise, whenever it closes; at once is no time later.
    with("threshold=1 cooldown=10s backoff=2").goes("fail +10s ok fail left", "open closed open 10s");
    // Each judges by its own, whoever has closed it.
    let mut play = with("threshold=1 cooldown=10s backoff=2");
    play.goes("fail +10s ok", "open closed").but_with(settings).goes("fail left", "open 20s");
    play.goes("+20s ok", "closed").but_with("threshold=1 cooldown=10s backoff=2").goes("fail left", "open 10s");
}

#[test]
fn a_trip_and_a_closing_by_hand_begin_the_growth_anew() {
    let settings = "threshold=1 cooldown=10s backoff=2 backoff-reset=1h";
    with(settings).goes("fail +10s ok fail left reset fail left", "open closed open 20s closed open 10s");
    with(settings).goes("fail +10s ok reset fail left", "open closed closed open 10s");
    with(settings).goes("fail +10s ok trip reset fail left", "open closed open closed open 10s");
    // A trip is at the first step, and what comes after its end goes on from there.
    with(settings)
        .goes("fail +10s fail +20s ok trip:1m +1m fail left", "open open closed open open 20s")
        .goes("trip:1m +1m ok fail left", "open closed open 20s");
    with(settings).goes("fail +10s fail +20s ok trip:0 ok fail left", "open open closed open closed open 20s");
}

#[test]
fn time_under_disable_counts_as_closed() {
    let settings = "threshold=1 cooldown=10s backoff=2 backoff-reset=1m";
    with(settings).goes("fail +10s ok disable +1m enable fail left", "open closed closed closed open 10s");
    with(settings)
        .goes("fail +10s ok disable +59.999s fail enable fail left", "open closed closed closed closed open 20s");
    // What was open under it was not closed.
    with(settings).goes("fail disable +1h enable ok fail left", "open open open closed open 20s");
}

#[test]
fn an_opening_for_as_long_as_it_is_told_is_a_step() {
    let settings = "threshold=1 cooldown=10s backoff=2 backoff-reset=1m";
    for told in ["fail^5s", "away:5s", "seen:fail^5s"] {
        with(settings).goes(&format!("{told} left +5s ok fail left"), "open 5s closed open 20s");
        with(settings)
            .goes(&format!("fail +10s ok {told} left +5s ok fail left"), "open closed open 5s closed open 40s");
        with(settings).goes(&format!("fail +10s ok +1m {told} +5s ok fail left"), "open closed open closed open 20s");
    }
    // A report that does not say how long is for the step that it is.
    with(settings).goes("fail +10s ok away left", "open closed open 20s");
    // Half-open, for the longer of that and the next cool-down.
    with(settings).goes("fail +10s ok fail +20s fail^5s left", "open closed open open 40s");
    with(settings).goes(
        "fail +10s ok fail +20s fail^90s left +90s ok fail left",
        "open closed open open 1m30s closed open 1m20s",
    );
}

#[test]
fn a_step_of_the_clock_begins_the_growth_anew_and_nothing_overflows() {
    let settings = "threshold=1 cooldown=10s backoff=2 backoff-reset=1m";
    with(settings).goes("fail +10s ok -61s fail left", "open closed open 10s");
    with(settings).goes("fail +10s ok -1m fail left", "open closed open 20s");
    with(settings).goes("fail +10s ok +400d fail left", "open closed open 10s");
    let mut play = with("threshold=1 cooldown=1ms backoff=100 backoff-reset=36500d max-cooldown=36500d jitter=100");
    play.goes("fail seen:ok", "open closed");
    for before in [999_999, u32::MAX - 1, u32::MAX] {
        let State::Closed { recovered, .. } = &mut play.breaker.state else { panic!("it has closed") };
        *recovered = Some(before);
        play.goes("fail", "open");
        let State::Open { reopened, cooldown, .. } = *play.breaker.state() else { panic!("a failure opens it") };
        assert_eq!(reopened, before.saturating_add(1));
        assert!(cooldown >= crate::time::LONGEST, "{cooldown:?}");
        play.goes("seen:ok", "closed");
        let text = serde_json::to_string(&play.breaker).expect("plain data");
        assert_eq!(serde_json::from_str::<Breaker>(&text).expect("our own text"), play.breaker);
    }
}

#[test]
fn a_service_that_flaps_is_asked_less_and_less() {
    let mut play = with("threshold=1 cooldown=1s backoff=2 backoff-reset=1h max-cooldown=10m");
    let mut spans = Vec::new();
    for _ in 0..12 {
        play.goes("fail", "open");
        let State::Open { cooldown, .. } = *play.breaker.state() else { panic!("a failure opens it") };
        spans.push(cooldown.as_secs());
        play.goes("+10m ok +1m", "closed");
    }
    assert_eq!(spans, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
}

// Ramp.

#[test]
fn in_a_ramp_each_run_is_let_through_once_its_share_of_it_is_over() {
    let settings = "threshold=1 cooldown=10s ramp=1m";
    with(settings)
        .goes("fail +10s draw:500 a! a:ok ask left", "open probe closed refused 30s")
        .goes("+29.999s ok left +1ms ok", "refused 1ms closed");
    with(settings).goes("fail +10s ok draw:0 ask draw:1 left draw:999 left", "open closed passes 60ms 59s940ms");
    with(settings).goes("fail +10s ok draw:999 +59.939s ask +1ms ask", "open closed refused passes");
    with(settings).goes("fail +10s ok draw:250 +15s ask draw:251 ask", "open closed passes refused");
    // It is over at its end, and 0 is none.
    with("threshold=1 ramp=1ms").goes("fail +30s ok draw:999 ask", "open closed passes");
    with("threshold=1 ramp=2ms").goes("fail +30s ok draw:999 left +1ms ask", "open closed 1ms passes");
    with("threshold=1").goes("fail +30s ok draw:999 ask", "open closed passes");
}

#[test]
fn a_ramp_comes_after_probes_and_reported_success_and_nothing_else() {
    let settings = "threshold=1 cooldown=10s ramp=1m";
    let mut play = with(settings);
    play.goes("draw:999 ok ask fail seen:ok ask left", "closed passes open closed refused 59s940ms");
    with(&format!("{settings} probe-successes=2"))
        .goes("fail +10s draw:999 ok ask ok ask", "open half-open probes closed refused");
    with(settings).goes("draw:999 fail +10s a! seen:ok ask a:ok", "open probe closed refused late");
    with(settings).goes("draw:999 trip:0 ok ask", "open closed refused");
    for by_hand in ["fail reset", "trip reset", "disable reset"] {
        let mut play = with(settings);
        play.goes("draw:999", "");
        by_hand.split(' ').for_each(|word| drop(play.word(word)));
        play.goes("ask", "passes");
    }
    // A reset ends one.
    with(settings).goes("draw:999 fail +10s ok ask reset ask", "open closed refused closed passes");
    // What is reported of a closed breaker begins none anew.
    with(settings).goes("draw:500 fail +10s ok +20s seen:ok left", "open closed closed 10s");
}

#[test]
fn a_failure_in_the_ramp_is_judged_as_any() {
    let settings = "threshold=2 cooldown=10s ramp=1m backoff=2 backoff-reset=1h";
    with(settings).goes("fail fail +10s ok fail fail left", "closed open closed closed open 20s");
    with(settings).goes("fail fail +10s ok fail ok fail", "closed open closed closed closed closed");
    with(settings).goes("fail fail +10s ok fail^90s left", "closed open closed open 1m30s");
    with(settings).goes("fail fail +10s ok seen:fail seen:fail draw:0 ask", "closed open closed closed open refused");
    // It begins again when it closes again.
    with(settings)
        .goes("fail fail +10s ok +30s fail fail +20s ok draw:500 left", "closed open closed closed open closed 30s");
}

#[test]
fn in_a_ramp_nothing_but_the_refusal_is_written() {
    let mut play = with("threshold=1 ramp=1m");
    play.goes("fail +30s ok", "open closed");
    let mut expected = play.breaker.clone();
    play.goes("draw:500 ok*3", "refused");
    expected.totals.refused += 3;
    assert_eq!(play.breaker, expected);
    let Answer::Refuse(refusal) = play.breaker.answer(&play.settings, play.draw, play.now) else {
        panic!("it is refused")
    };
    assert_eq!((refusal.cause, refusal.retry_at), (Cause::Ramp, Some(play.now.after(Duration::from_secs(30)))));
    assert_eq!(play.breaker.ramp_until(&play.settings, play.now), Some(play.now.after(Duration::from_secs(60))));
    assert_eq!(play.breaker.retry_at(play.now), None, "each run has its own");
    play.goes("+1m", "");
    assert_eq!(play.breaker.ramp_until(&play.settings, play.now), None);
}

#[test]
fn each_run_judges_by_its_own_ramp() {
    let mut play = with("threshold=1 ramp=1m");
    play.goes("fail +30s ok draw:500 left", "open closed 30s");
    play.but_with("threshold=1 ramp=10m").goes("left", "5m").but_with("threshold=1").goes("ask", "passes");
    // Also where whoever closed it has none.
    let mut play = with("threshold=1");
    play.goes("fail +30s ok +30s", "open closed").but_with("threshold=1 ramp=10m").goes("draw:500 left", "4m30s");
}

#[test]
fn a_hold_comes_before_a_ramp() {
    let settings = "threshold=1 ramp=1m";
    let mut play = with(settings);
    play.goes("fail +30s ok draw:999 disable ask ok enable ask", "open closed closed passes closed closed refused");
    play.goes("disable:10s", "closed");
    assert_eq!(play.breaker.ramp_until(&play.settings, play.now), None);
    play.goes("+10s left +50s ask", "49s940ms passes");
    with(settings).goes("fail +30s ok trip:10s draw:0 left +10s ask", "open closed open 10s probes");
}

#[test]
fn a_step_of_the_clock_ends_a_ramp() {
    let settings = "threshold=1 ramp=1m";
    with(settings).goes("fail +30s ok draw:999 -61s ask", "open closed passes");
    with(settings).goes("fail +30s ok draw:999 -30s left", "open closed 59s940ms");
    with(settings).goes("fail +30s ok draw:999 +400d ask", "open closed passes");
    for start in [0, 253_402_300_799_999] {
        let mut play = with("threshold=1 ramp=36500d");
        play.clock = Timestamp::from_millis(start);
        play.goes(
            "fail seen:ok draw:999 ask -400d ask +400d",
            if start == 0 { "open closed refused refused" } else { "open closed passes passes" },
        );
    }
}

// Probes.

#[test]
fn at_most_so_many_probes_run_at_once() {
    with("threshold=1").goes("fail +30s a! b!", "open probe refused");
    with("threshold=1 probes=3 probe-successes=3")
        .goes("fail +30s a! b! c! d!", "open probe probe probe refused")
        .goes("a:ok d! e!", "half-open probe refused")
        .goes("b:ok c:ok", "half-open closed");
    with("threshold=1 probes=16 probe-successes=16").goes("fail +30s p!*16 p!", "open probe refused");
}

#[test]
fn a_prober_that_dies_frees_its_place_at_once_and_counts_as_neither() {
    let mut play = with("threshold=1");
    play.goes("fail +30s a! ask a~ ask b! b:ok", "open probe refused half-open probes probe closed");
    let totals = play.breaker.totals();
    assert_eq!((totals.admitted, totals.successes, totals.failures, totals.abandoned), (3, 1, 1, 1));
    // Nor does it come back.
    with("threshold=1").goes("fail +30s a! a~ b! a:ok b:fail", "open probe half-open probe late open");
    // It dies once, and not when it has reported.
    let mut play = with("threshold=1 probe-successes=2");
    play.goes("fail +30s a! b! a~ a~ b! b:ok b~", "open probe refused half-open half-open probe half-open half-open");
    assert_eq!(play.breaker.totals().abandoned, 1);
}

#[test]
fn a_place_whose_lease_is_over_is_given_to_the_next_run_that_asks() {
    let mut play = with("threshold=1 lease=1m");
    play.goes("fail +30s a! +59.999s b! left +1ms b!", "open probe refused 1ms probe");
    assert_eq!(play.breaker.totals().abandoned, 1);
    play.goes("c! a:ok b:ok", "refused late closed");
    assert_eq!(play.breaker.totals().late, 1);
}

#[test]
fn only_from_then_on_is_the_old_probes_result_late() {
    with("threshold=1 lease=1m").goes("fail +30s a! +1d ask a:ok", "open probe probes closed");
    with("threshold=1 lease=1m").goes("fail +30s a! +1d a:fail", "open probe open");
    with("threshold=1 lease=1m").goes("fail +30s a! +1d b! a:fail b:fail", "open probe probe late open");
}

#[test]
fn the_next_try_beside_probes_is_when_enough_leases_are_over() {
    let mut play = with("threshold=1 lease=1m probes=2");
    play.goes("fail +30s a! +10s b! left", "open probe probe 50s");
    play.but_with("threshold=1 lease=1m probes=1").goes("left", "1m");
    play.goes("+50s ask left +10s ask", "refused 10s probes");
}

#[test]
fn an_overdue_probe_makes_room_for_one_and_not_for_more_than_the_caller_has_places() {
    let mut play = with("threshold=1 probes=3 lease=1m");
    play.goes("fail +30s a! +30s b! c! +30s", "open probe probe probe");
    play.but_with("threshold=1 probes=2 lease=1m").goes("d!", "refused");
    assert_eq!(play.breaker.totals().abandoned, 0, "a place is given away only to a run that gets it");
    play.but_with("threshold=1 probes=3 lease=1m").goes("d! e! a:ok", "probe refused late");
}

// Late results.

#[test]
fn a_result_admitted_before_a_change_of_state_is_late() {
    with("threshold=2").goes("a! b! fail fail a:fail b:ok ask", "run run closed open late late refused");
    with("threshold=2").goes("a! fail fail +30s a:ok b! a:ok b:ok a:ok", "run closed open late probe late closed late");
    with("threshold=1 probes=2").goes("fail +30s a! b! a:ok b:fail ask", "open probe probe closed late passes");
    with("threshold=1 probes=2").goes("fail +30s a! b! a:fail b:ok ask", "open probe probe open late refused");
}

#[test]
fn a_result_admitted_before_a_reset_or_a_trip_is_late() {
    with("threshold=1").goes("a! reset a:fail", "run closed late");
    with("threshold=1").goes("a! trip a:ok reset a:fail", "run open late closed late");
    with("threshold=1").goes("fail +30s a! reset a:fail ask", "open probe closed late passes");
    with("threshold=1").goes("fail +30s a! trip:0 a:ok", "open probe open late");
}

#[test]
fn a_late_result_changes_no_state_and_no_rate_and_counts_as_late_only() {
    let mut play = with("threshold=5 failure-rate=50 min-calls=5");
    play.goes("a! b! c! d! e! reset", "run run run run run closed");
    play.goes("a:fail b:fail c:fail d:fail e:fail", "late late late late late");
    assert_eq!((play.window(), play.breaker.consecutive_failures()), ((0, 0, 0), 0));
    let totals = play.breaker.totals();
    assert_eq!((totals.admitted, totals.failures, totals.late), (5, 0, 5));
    assert!(play.breaker.last().is_none());
}

#[test]
fn a_permit_of_a_removed_breaker_never_counts_in_a_new_one_of_that_name() {
    let mut play = with("threshold=1");
    play.goes("a!", "run");
    play.breaker = Breaker::new(8);
    let untouched = play.breaker.clone();
    play.goes("a:fail", "foreign");
    assert_eq!(play.breaker, untouched);
}

#[test]
fn a_permit_is_good_once() {
    let mut play = with("threshold=3");
    play.goes("a? a:fail a:fail a:ok", "run closed late late");
    play.goes("b? c? c:fail b:fail", "run run closed open");
    assert_eq!(play.breaker.totals().late, 2);
    with("threshold=1").goes("fail +30s a? a:ignored a:ok b? b:ok", "open probe half-open late probe closed");
}

#[test]
fn of_the_last_256_permits_each_is_good_and_an_older_one_is_late() {
    with("threshold=1").goes("a? b? x?*255 a:fail b:fail", "run run run late open");
    with("threshold=1").goes("a? x?*255 a:fail", "run run open");
    // So is that of a probe, whose place is free all the same.
    with("threshold=1")
        .goes("fail +30s a! disable x?*256 enable a:ok b!", "open probe half-open run half-open late probe");
    // Those of runs are not numbered, and are good as long as their generation.
    with("threshold=1").goes("a! x?*500 a:fail", "run run open");
}

// Ignored results.

#[test]
fn ignored_results_are_neutral() {
    let mut play = with("threshold=3 failure-rate=60 min-calls=3");
    play.goes("fail fail ignored", "closed closed closed");
    assert_eq!((play.window(), play.breaker.consecutive_failures()), ((2, 2, 0), 2));
    play.goes("fail", "open");
}

#[test]
fn an_ignored_probe_gives_its_place_back() {
    with("threshold=1").goes("fail +30s a! b! a:ignored b! b:ok", "open probe refused half-open probe closed");
    with("threshold=1").goes("fail +30s ignored*100 fail", "open half-open open");
}

// Clock.

#[test]
fn a_clock_that_steps_back_makes_a_probe_due() {
    with("threshold=1").goes("fail -61s ask a! a:ok", "open probes probe closed");
    with("threshold=1 cooldown=1h").goes("fail -400d ask", "open probes");
    // A reboot into 1970, and a file from a host that is ahead.
    with("threshold=1").goes("fail -99999d ask", "open probes");
    with("threshold=1").goes("+20000d fail -20000d ask", "open probes");
}

#[test]
fn a_clock_that_steps_back_by_a_minute_stands_still_meanwhile() {
    // The cool-down goes on when the clock is where it was.
    with("threshold=1").goes("fail -1m left +1m left +29s left +1s ask", "open 30s 30s 1s probes");
    with("threshold=1").goes("fail +10s -1s left -9.001s left", "open 21s 30s");
    with("threshold=1").goes("fail -60.001s ask", "open probes");
    // Neither a hold nor a probe's place is lost.
    with("threshold=1").goes("trip:1h -1s ask left", "open refused 1h");
    with("threshold=1").goes("disable:1h -1m fail*9 enable", "closed closed closed");
    with("threshold=1 lease=2m").goes("fail +30s a! -1m b! left +1m left a:ok", "open probe refused 2m 2m closed");
    // Nor a failure, whatever came after it.
    for last in ["ok", "ignored", "fail"] {
        let mut play = with("failure-rate=100 window=1h min-calls=100 failure-budget=100/1h");
        play.goes(
            &format!("fail fail {last} -30s ignored ok ok fail"),
            "closed closed closed closed closed closed closed",
        );
        let failures = if last == "fail" { 4 } else { 3 };
        assert_eq!(play.breaker.budget_used(&play.settings, play.now), failures, "{last}");
        assert_eq!(play.window().1, u32::try_from(failures).expect("few"), "{last}");
    }
    // A step by more than that is found even beside what is not so far ahead.
    with("threshold=1").goes("fail +30s a! -75s ask", "open probe probes");
}

#[test]
fn a_clock_that_was_once_far_ahead_costs_no_later_step_its_tolerance() {
    let mut play = with("threshold=9 failure-budget=3/1h");
    play.goes("+400d reset -400d fail fail -2s fail", "closed closed closed open");
}

#[test]
fn a_step_of_the_clock_costs_at_most_one_early_probe() {
    with("threshold=1").goes("fail -1h fail left ask +30s ask", "open open 30s refused probes");
    with("threshold=1").goes("fail +1h fail left ask", "open open 30s refused");
}

#[test]
fn a_step_back_frees_the_places_of_probes_and_ends_holds() {
    with("threshold=1").goes("fail +30s a! -1h b!", "open probe probe");
    with("threshold=1").goes("trip:1d -1h ask", "open probes");
    with("threshold=1").goes("disable:1d fail*5 -1h ask fail", "closed closed passes open");
    with("threshold=1").goes("trip -400d ask left", "open refused endless");
}

#[test]
fn results_dated_after_now_leave_windows_and_budgets() {
    let mut play = with("failure-rate=50 window=1h min-calls=3 failure-budget=3/1h");
    play.goes("fail fail -61s", "closed closed");
    assert_eq!(play.window(), (0, 0, 0));
    assert_eq!(play.breaker.budget_used(&play.settings, play.now), 0);
    play.goes("fail", "closed");
    assert_eq!(play.window(), (1, 1, 0));
    assert_eq!(play.breaker.budget_used(&play.settings, play.now), 1);
    play.goes("+61s", "");
    assert_eq!(play.window(), (1, 1, 0), "what has left does not come back");
}

#[test]
fn absurd_times_are_no_panic_and_no_endless_refusal() {
    for start in [0, 1, 253_402_300_799_998, 253_402_300_799_999, u64::MAX] {
        let mut play = with("threshold=1 failure-rate=50 window=1h failure-budget=3/1h");
        play.clock = Timestamp::from_millis(start);
        play.goes("fail +30s ok fail +30s a! +1h b! b:ok", "open closed open probe probe closed");
        play.goes("trip:1h +1h ask reset disable:1h ok", "open probes closed closed closed");
    }
}

#[test]
fn a_hold_without_end_holds_whatever_the_clock_does() {
    let mut play = with("threshold=1");
    play.clock = Timestamp::from_millis(u64::MAX);
    play.goes("trip ask left -99999d ask +400d ask", "open refused endless refused refused");
}

// By hand.

#[test]
fn a_trip_holds_it_open_until_reset() {
    with("threshold=1").goes("trip left +400d ask ok reset ok", "open endless refused refused closed closed");
    with("threshold=1").goes("fail trip +30s ask", "open open refused");
}

#[test]
fn a_trip_for_a_span_holds_it_open_so_long() {
    with("threshold=1").goes("trip:90s left +89.999s ask +1ms ask a! a:ok", "open 1m30s refused probes probe closed");
}

#[test]
fn disabled_everything_passes() {
    with("threshold=1").goes("fail disable ok a! left enable ask", "open open open run nothing open refused");
    with("threshold=1").goes("disable fail*9 +400d fail", "closed closed closed");
    with("threshold=1").goes("disable:1m fail +59.999s fail +1ms fail", "closed closed closed open");
}

#[test]
fn disable_and_trip_replace_each_other() {
    with("threshold=1").goes("trip disable ask trip ask", "open open passes open refused");
    with("threshold=1").goes("disable trip:10s ask +10s ask", "closed open refused probes");
    // What the trip left is open, with a probe due.
    with("threshold=1").goes("trip disable ok enable ask", "open open open open probes");
}

#[test]
fn enable_ends_only_a_disable_and_reset_ends_both() {
    with("threshold=1").goes("trip enable ask", "open open refused");
    with("threshold=1").goes("disable enable fail", "closed closed open");
    with("threshold=1").goes("trip reset ask", "open closed passes");
    with("threshold=1").goes("disable reset fail", "closed closed open");
}

#[test]
fn a_trip_without_end_is_shortened_by_none_that_ends() {
    let mut play = with("threshold=1");
    play.goes("trip", "open");
    let before = play.breaker.clone();
    let hold = play.breaker.hold(play.now).cloned().expect("it is held");
    for span in [Some(Duration::from_secs(1)), None] {
        let (kind, by) = (HoldKind::Trip, "another".to_owned());
        let order = Order { kind, span, replace: false, reason: Some("no".to_owned()), by };
        assert_eq!(play.breaker.order(order, play.now), Ordered::Dropped(hold.clone()));
        assert_eq!(play.breaker, before, "no history, no generation");
    }
    play.goes("trip:10s left", "open endless");
    // One that ends is replaced by one that does not.
    with("threshold=1").goes("trip:10s trip left", "open open endless");
}

#[test]
fn of_two_holds_of_a_kind_the_later_end_wins() {
    with("threshold=1").goes("trip:10s trip:5s left +5s trip:5s left", "open open 10s open 5s");
    with("threshold=1").goes("trip:10s trip:1d left", "open open 1d");
    with("threshold=1").goes("disable:10s disable:5s +5s fail +5s fail", "closed closed closed open");
    with("threshold=1").goes("disable:10s disable:15s +10s fail +5s fail", "closed closed closed open");
    with("threshold=1").goes("disable disable:1s +1s fail enable fail", "closed closed closed closed open");
    // What is over is no hold.
    with("threshold=1").goes("trip:1h +1h trip:5s left", "open open 5s");
}

#[test]
fn replace_shortens_a_hold() {
    with("threshold=1").goes("trip trip=5s left +5s ask", "open open 5s probes");
    with("threshold=1").goes("trip:1h trip=5s left", "open open 5s");
    with("threshold=1").goes("disable disable=5s fail +5s fail", "closed closed closed open");
}

#[test]
fn a_hold_for_no_time_ends_one_of_its_kind_at_once() {
    with("threshold=1").goes("trip trip:0 ask a! a:ok", "open open probes probe closed");
    with("threshold=1").goes("trip:1h trip:0 ask", "open open probes");
    with("threshold=1").goes("disable disable:0 fail", "closed closed open");
    with("threshold=1").goes("fail disable disable:0 left", "open open open 30s");
    // It ends none of the other kind, but a trip replaces a disable.
    with("threshold=1").goes("trip disable:0 ask left", "open open refused endless");
    with("threshold=1").goes("disable trip:0 ask", "closed open probes");
    // The person is in the history, and what it was for remains.
    let mut play = with("threshold=1");
    drop(play.breaker.trip(None, Some("moving".to_owned()), "ann".to_owned(), play.now));
    play.goes("trip:0", "open");
    assert_eq!(told(&play), ["open open hold is over somebody", "closed open moving ann"]);
    assert_eq!(play.breaker.reason(play.now).as_deref(), Some("moving"));
    play.goes("reset disable disable:0", "closed closed closed");
    assert_eq!(told(&play)[0], "disabled closed hold is over somebody");
    let (before, order) = (play.breaker.clone(), |kind| {
        let by = "ann".to_owned();
        Order { kind, span: Some(Duration::ZERO), replace: false, reason: None, by }
    });
    assert_eq!(play.breaker.order(order(HoldKind::Disable), play.now), Ordered::NoneToEnd);
    assert_eq!(play.breaker, before);
    let Ordered::Ended(change) = play.breaker.order(order(HoldKind::Trip), play.now) else { panic!("it opens") };
    assert_eq!((change.from, change.to, &*change.reason.text()), (Phase::Closed, Phase::Open, "tripped"));
    let before = play.breaker.clone();
    assert_eq!(play.breaker.order(order(HoldKind::Trip), play.now), Ordered::Unchanged, "it is so already");
    assert_eq!(play.breaker, before);
}

/// The changes that are remembered, newest first: from, to, why, who.
fn told(play: &Play) -> Vec<String> {
    let changes = play.breaker.history().newest_first().map(|change| {
        let by = change.by.as_deref().unwrap_or("-");
        format!("{} {} {} {by}", change.from.word(), change.to.word(), change.reason)
    });
    changes.collect()
}

#[test]
fn the_end_of_a_hold_is_in_the_history_once_as_of_its_end() {
    let mut play = with("threshold=1");
    play.goes("trip:10s +1h ask left", "open probes nothing");
    assert_eq!(told(&play), ["closed open tripped somebody"], "nobody has written");
    let generation = play.breaker.generation();
    let change = play.breaker.settle(play.now).expect("it is over");
    assert_eq!(change.at, Timestamp::from_millis(TODAY + 10_000));
    assert_eq!(told(&play), ["open open hold is over -", "closed open tripped somebody"]);
    assert_eq!((play.breaker.settle(play.now), play.breaker.generation()), (None, generation));
    // Whatever comes first finds it over.
    for deed in ["ok", "seen:fail", "enable", "reset", "disable:1s"] {
        let mut play = with("threshold=9");
        play.goes("disable:10s +1h", "closed");
        play.goes(deed, "closed");
        let all = told(&play);
        assert_eq!(all[all.len() - 2], "disabled closed hold is over -", "{deed}");
    }
    let mut play = with("threshold=1");
    play.goes("fail disable:10s +10s ok", "open open refused");
    assert_eq!(told(&play)[0], "disabled open hold is over -");
    // One that is over because the clock was set back has no end yet.
    let mut play = with("threshold=1");
    play.goes("trip:10s -1h ok", "open closed");
    let over = play.breaker.history().newest_first().nth(1).expect("a change");
    assert_eq!((over.at, &*over.reason.text()), (play.now, "hold is over"));
    // What is replaced or ended by hand is no more to be over.
    for story in ["trip:10s disable enable", "disable:10s trip reset", "disable:10s disable:0", "trip:10s reset"] {
        let mut play = with("threshold=9");
        for word in story.split(' ') {
            play.word(word);
        }
        play.goes("+1h", "");
        assert_eq!(play.breaker.settle(play.now), None, "{story}");
    }
}

// What a run is told.

#[test]
fn a_retry_after_opens_at_once_for_as_long_as_it_says() {
    with("threshold=9").goes("fail^20s left ok +19.999s ok +1ms ok", "open 20s refused refused closed");
    // Neither a cool-down nor the longest of them bounds it, and every rule may be off but this.
    with("trip-codes=9 cooldown=1s max-cooldown=2s").goes("fail^20s left", "open 20s");
    with("threshold=9 max-retry-after=1m").goes("fail^1h left", "open 1m");
    with("threshold=9").goes("fail^2h left", "open 1h");
    let mut play = with("threshold=9 failure-rate=50 failure-budget=9/1h");
    play.goes("fail^20s", "open");
    assert_eq!(told(&play), ["closed open HTTP 429, retry after 20s -"]);
    let totals = play.breaker.totals();
    assert_eq!((totals.failures, totals.opened, play.window()), (1, 1, (1, 1, 0)));
    assert_eq!(play.breaker.budget_used(&play.settings, play.now), 1);
    assert_eq!(play.breaker.last().and_then(|last| last.http_status), Some(429));
    assert_eq!(play.breaker.last_failure().and_then(|last| last.http_status), Some(429));
    play.goes("+20s ok", "closed");
    assert_eq!(play.breaker.last().and_then(|last| last.http_status), None);
    assert_eq!(play.breaker.last_failure().and_then(|last| last.http_status), Some(429));
    // Where no status is known, only what it was told.
    let told_only = |end| {
        let mut play = with("threshold=9");
        let run = Finished { end, retry_after: Some(Duration::from_secs(90)), ..Finished::of(Outcome::Failure) };
        drop(play.breaker.observe(&run, &play.settings, play.now));
        play.breaker.reason(play.now).map(String::from)
    };
    assert_eq!(told_only(None).as_deref(), Some("retry after 1m 30s"));
    assert_eq!(told_only(Some(End::Exit(22))).as_deref(), Some("retry after 1m 30s: exit 22"));
}

#[test]
fn a_retry_after_holds_for_what_counts_as_failure_and_for_longer_than_no_time() {
    with("threshold=9").goes("ok^20s ignored^20s slow^20s fail^0", "closed closed closed closed");
    with("threshold=9 max-retry-after=0").goes("fail^20s", "closed");
    with("threshold=2 max-retry-after=0").goes("fail^20s fail^20s left", "closed open 30s");
    // Whichever rule would have opened it, or row has decided.
    with("threshold=1").goes("fail^20s left", "open 20s");
    with("trip-codes=9").goes("fatal^20s left", "open 20s");
    with("slow-rate=1 slow-after=1m min-calls=1").goes("slowfail^20s left", "open 20s");
}

#[test]
fn half_open_a_retry_after_reopens_for_the_longer_of_it_and_the_next_cool_down() {
    let settings = "threshold=1 cooldown=10s backoff=2 max-cooldown=1m";
    with(settings).goes("fail +10s fail^5s left +20s fail left", "open open 20s open 40s");
    with(settings).goes("fail +10s fail^90s left", "open open 1m30s");
    // Whatever `probe-failures` says, and whoever says it.
    let several = "threshold=1 probes=3 probe-failures=3";
    with(several).goes("fail +30s a! b! a:fail^90s left b:ok", "open probe probe open 1m30s late");
    with(several).goes("fail +30s a! seen:fail^90s left a:ok", "open probe open 1m30s late");
    with(several)
        .goes("fail +30s a! disable b! enable b:fail^90s left", "open probe half-open run half-open open 1m30s");
    let mut play = with(settings);
    play.goes("fail +10s fail +20s fail^90s", "open open open");
    assert_eq!(told(&play)[0], "half_open open HTTP 429, retry after 1m 30s, before that probe failed: exit 1 -");
    // It counts as a step.
    play.goes("+90s fail left", "open 1m");
}

#[test]
fn jitter_lengthens_a_retry_after_and_never_shortens_it() {
    let mut longer = 0;
    for id in 0..100 {
        let mut play = with("threshold=9 jitter=50");
        play.breaker = Breaker::new(id);
        play.goes("a! fail^100s", "run open");
        let end = |play: &Play| play.breaker.retry_at(play.now).expect("it is open").left(play.now);
        let first = end(&play);
        assert!((Duration::from_secs(100)..Duration::from_secs(150)).contains(&first), "{first:?}");
        longer += u32::from(first > Duration::from_secs(125));
        play.goes("+1s a:fail^100s", "late");
        assert_eq!(end(&play), first, "by the same share");
    }
    assert!((25..75).contains(&longer), "{longer} of 100 in the upper half");
}

#[test]
fn of_several_that_are_told_at_once_the_longest_holds() {
    with("threshold=9").goes(
        "a! b! c! a:fail^20s b:fail^90s left c:fail^5s left +90s ask",
        "run run run open late 1m30s late 1m30s probes",
    );
    // A cool-down by any rule.
    with("threshold=1").goes("a! fail +10s a:fail^90s left", "run open late 1m30s");
    with("threshold=1").goes("a! fail +10s a:fail^20s left a:fail^19.999s left", "run open late 20s late 20s");
    with("threshold=1 max-retry-after=1m").goes("a! fail a:fail^90s left", "run open late 1m");
    // Nothing but that changes.
    let mut play = with("threshold=9");
    play.goes("a! fail^20s", "run open");
    let before = (play.breaker.generation(), told(&play), play.window(), play.breaker.last().copied());
    play.goes("+1s a:fail^90s left", "late 1m30s");
    assert_eq!((play.breaker.generation(), told(&play), play.window(), play.breaker.last().copied()), before);
    let totals = play.breaker.totals();
    assert_eq!((totals.failures, totals.late, totals.opened), (1, 1, 1));
    // Also of a run whose refusal was overruled, of a second report, and of what was seen elsewhere.
    let permit = play.breaker.overrule();
    let run = run("fail^2m").expect("a result");
    assert_eq!(play.breaker.record(&permit, &run, &play.settings, play.now), Recorded::Late);
    play.goes("left a:fail^3m left seen:fail^4m left seen:fail left", "2m late 3m open 4m open 4m");
    assert_eq!(play.breaker.totals().failures, 3, "what is seen is counted");
    // Also of one that was let in while the breaker was disabled.
    with("threshold=1").goes("fail disable a! enable a:fail^90s left", "open open run open open 1m30s");
}

#[test]
fn a_late_retry_after_begins_no_cool_down_and_touches_no_hold() {
    with("threshold=1").goes("a! fail +30s a:fail^90s ask", "run open late probes");
    with("threshold=1").goes("a! fail +30s b! a:fail^90s b:ok", "run open probe late closed");
    with("threshold=1").goes("a! fail +30s ok a:fail^90s ok", "run open closed late closed");
    with("threshold=1").goes("a! fail -1h a:fail^90s ask", "run open late probes");
    with("threshold=1").goes("fail +30s seen:fail^90s ask", "open open probes");
    // A hold stays as it is, and what is behind it.
    with("threshold=9").goes("a! trip:10s a:fail^90s left +10s ask", "run open late 10s probes");
    with("threshold=9").goes("a! trip a:fail^90s seen:fail^90s left", "run open late open endless");
    with("threshold=9").goes("a! fail^20s disable a:fail^90s enable left", "run open open late open 20s");
    with("threshold=9").goes("fail^20s disable seen:fail^90s enable left", "open open open open 20s");
    let mut play = with("threshold=1");
    play.goes("a! fail", "run open");
    play.breaker = Breaker::new(8);
    play.goes("fail", "open");
    let untouched = play.breaker.clone();
    play.goes("a:fail^90s left", "foreign 30s");
    assert_eq!(play.breaker, untouched, "the breaker was removed");
}

#[test]
fn disabled_a_retry_after_counts_as_any_failure() {
    let mut play = with("threshold=2");
    play.goes("disable fail^90s enable ok", "closed closed closed closed");
    assert_eq!((play.breaker.totals().failures, play.window()), (1, (2, 1, 0)));
    with("threshold=1")
        .goes("fail +30s a! disable a:fail^90s enable ask", "open probe half-open half-open half-open probes");
}

// What a run reports by itself.

#[test]
fn a_runs_own_report_opens_for_as_long_as_it_says_or_for_the_cool_down() {
    with("threshold=9").goes("a! away:90s left a:ok +90s ask", "run open 1m30s late probes");
    with("threshold=9 cooldown=10s").goes("a! away left", "run open 10s");
    with("threshold=9").goes("a! away:0 left", "run open 30s");
    with("threshold=9").goes("a! away:1d left", "run open 1h");
    with("threshold=9 max-retry-after=2h").goes("a! away:1d left", "run open 2h");
    with("threshold=9 max-retry-after=0").goes("a! away:1d left", "run open 30s");
    // No longest cool-down bounds it.
    with("threshold=9 cooldown=1s max-cooldown=2s").goes("a! away:90s left", "run open 1m30s");
    let mut play = with("threshold=9");
    play.goes("a! away:90s", "run open");
    let totals = play.breaker.totals();
    assert_eq!((totals.failures, totals.opened, play.window()), (1, 1, (1, 1, 0)));
    assert_eq!(play.breaker.last_failure().map(|last| last.at), Some(play.now));
    assert_eq!(told(&play), ["closed open reported by the run -"]);
}

#[test]
fn half_open_a_runs_own_report_reopens_for_the_longer_of_it_and_the_next_cool_down() {
    let settings = "threshold=1 cooldown=10s backoff=2";
    with(settings)
        .goes("fail +10s a! away:5s left a:ok +20s b! b:fail left", "open probe open 20s late probe open 40s");
    with(settings).goes("fail +10s a! away:90s left", "open probe open 1m30s");
}

#[test]
fn open_a_runs_own_report_only_lengthens() {
    with("threshold=1").goes("a! fail away:90s left away:10s left a:ok", "run open open 1m30s open 1m30s late");
    with("threshold=1").goes("fail +10s away left", "open open 30s");
    // With a probe due as well, also where the clock was set back.
    with("threshold=1").goes("fail +1h away:10s left", "open open 10s");
    with("threshold=1").goes("fail -1h away:10s left", "open open 10s");
    let mut play = with("threshold=1");
    play.goes("fail", "open");
    let before = (play.breaker.generation(), told(&play));
    assert_eq!(play.breaker.report(Some(Duration::from_secs(90)), None, play.now), Reported::Lengthened);
    assert_eq!(play.breaker.report(Some(Duration::from_secs(90)), None, play.now), Reported::Open);
    assert_eq!((play.breaker.generation(), told(&play)), before);
    assert_eq!(play.breaker.totals().failures, 3);
}

#[test]
fn a_runs_own_report_is_counted_under_a_hold_and_changes_nothing() {
    with("threshold=1").goes("a! trip:10s away:90s left a:ok", "run open open 10s late");
    let mut play = with("threshold=1");
    play.goes("disable a! away:90s ask a:ok enable ask", "closed run closed passes closed closed passes");
    let totals = play.breaker.totals();
    assert_eq!((totals.failures, totals.successes, totals.late), (1, 1, 0), "no generation has begun");
}

#[test]
fn a_trip_that_is_over_leaves_it_plainly_open_with_a_probe_due_and_back_off_at_its_first_step() {
    let settings = "threshold=1 cooldown=10s backoff=2";
    with(settings).goes("fail +10s fail +20s fail trip:1m +1m fail left", "open open open open open 20s");
    let mut play = with(settings);
    play.goes("trip:1m +1m", "open");
    assert!(play.breaker.hold(play.now).is_none());
    play.goes("ask a! b! a:fail left", "probes probe refused open 20s");
}

#[test]
fn a_trip_for_no_time_is_over_at_once() {
    with("threshold=1").goes("trip:0 ask a! a:ok", "open probes probe closed");
}

#[test]
fn disabled_the_state_stands_still() {
    with("threshold=1").goes("fail disable +30s ok enable ask", "open open open open probes");
    // The result of a probe that was under way frees its place, and decides nothing.
    with("threshold=1").goes("fail +30s a! disable a:ok enable b!", "open probe half-open half-open half-open probe");
    with("threshold=1").goes("disable fatal seen:fail seen:ok enable", "closed closed closed closed closed");
    with("threshold=1").goes("fail disable seen:ok enable", "open open open open");
}

#[test]
fn disabled_none_is_a_probe() {
    with("threshold=1").goes("fail disable +30s a! b! c?", "open open run run run");
    // Nor does it become one by what ends before it.
    with("threshold=1").goes(
        "fail +30s a! disable b! c! enable b:ok c:fail a:ok",
        "open probe half-open run run half-open half-open half-open closed",
    );
}

#[test]
fn disabled_results_enter_counters_windows_and_the_row_of_failures() {
    let mut play = with("threshold=5 failure-rate=50 failure-budget=100/1h");
    play.goes("disable fail*3 slow ignored fail*2", "closed closed closed closed closed");
    assert_eq!((play.window(), play.breaker.consecutive_failures()), ((6, 5, 0), 2));
    assert_eq!(play.breaker.budget_used(&play.settings, play.now), 5);
    let totals = play.breaker.totals();
    assert_eq!((totals.successes, totals.failures, totals.ignored), (1, 5, 1));
}

#[test]
fn enable_judges_nothing_by_itself_and_goes_on_from_there() {
    with("threshold=3").goes("disable fail*9 enable ask", "closed closed closed passes");
    with("threshold=3").goes("disable fail*9 enable fail", "closed closed closed open");
    with("threshold=3").goes("disable fail fail enable fail", "closed closed closed closed open");
    with("threshold=3").goes("disable fail*9 enable ok fail", "closed closed closed closed closed");
}

#[test]
fn a_reset_clears_what_trips_and_holds_and_keeps_totals_and_history() {
    let mut play = with("threshold=3 failure-rate=100 failure-budget=4/1h");
    play.goes("fail fail reset", "closed closed closed");
    assert_eq!((play.window(), play.breaker.consecutive_failures()), ((0, 0, 0), 0));
    assert_eq!(play.breaker.budget_used(&play.settings, play.now), 0);
    assert_eq!(play.breaker.totals().failures, 2);
    play.goes("fail fail fail trip:1m reset ok", "closed closed open open closed closed");
    assert_eq!(play.breaker.totals().opened, 1, "by hand it was opened while it was open");
    let changes: Vec<_> = play.breaker.history().newest_first().map(|change| (change.from, change.to)).collect();
    let expected = [
        (Phase::Open, Phase::Closed),
        (Phase::Open, Phase::Open),
        (Phase::Closed, Phase::Open),
        (Phase::Closed, Phase::Closed),
    ];
    assert_eq!(changes, expected);
}

// Settings.

#[test]
fn each_run_judges_by_its_own_settings() {
    let mut play = with("threshold=10");
    play.goes("fail*5", "closed").but_with("threshold=3").goes("ok fail fail fail", "closed closed closed open");
    let mut play = with("threshold=10");
    play.goes("fail*5", "closed").but_with("threshold=3").goes("fail", "open");
    // The cool-down is that of who opened it.
    play.but_with("threshold=3 cooldown=1h").goes("left", "30s");
}

#[test]
fn count_windows_and_budgets_of_any_size_find_their_own() {
    let mut play = with("threshold=0 failure-budget=100/36500d");
    play.goes("fail*99", "closed");
    for (settings, window, budget) in [
        ("failure-rate=1 window=1 failure-budget=1/1s", (1, 1, 0), 99),
        ("failure-rate=1 window=50 failure-budget=60/1s", (50, 50, 0), 99),
        ("failure-rate=1 window=1000 failure-budget=100/1s", (99, 99, 0), 99),
    ] {
        play.but_with(settings);
        assert_eq!((play.window(), play.breaker.budget_used(&play.settings, play.now)), (window, budget), "{settings}");
    }
    play.but_with("threshold=0 failure-budget=100/1ms failure-rate=100 window=1000 min-calls=1000");
    play.goes("ok*2000", "closed");
    assert_eq!(play.window(), (1_000, 0, 0));
    assert_eq!(play.breaker.budget_used(&play.settings, play.now), 99);
}

#[test]
fn of_time_windows_another_length_starts_it_empty() {
    let mut play = with("failure-rate=100 window=10s min-calls=100");
    play.goes("fail fail", "closed closed");
    assert_eq!(play.window(), (2, 2, 0));
    play.but_with("failure-rate=100 window=20s min-calls=100");
    assert_eq!(play.window(), (0, 0, 0));
    assert!(!play.breaker.windows_differ(), "nobody has written");
    play.goes("fail", "closed");
    assert!(play.breaker.windows_differ());
    assert_eq!(play.window(), (1, 1, 0));
    play.but_with("failure-rate=100 window=10s min-calls=100");
    assert_eq!(play.window(), (0, 0, 0));
    assert!(play.breaker.windows_differ());
    play.goes("reset", "closed");
    assert!(!play.breaker.windows_differ(), "it is told again once all is cleared");
    play.but_with("failure-rate=100 window=20s min-calls=100").goes("fail", "closed");
    // Who counts calls leaves it as it is, and adds to it.
    play.but_with("failure-rate=100 window=20 min-calls=20").goes("fail", "closed");
    play.but_with("failure-rate=100 window=20s min-calls=100");
    assert_eq!(play.window(), (2, 2, 0));
}

#[test]
fn the_settings_last_used_are_kept() {
    let mut play = with("threshold=3");
    assert_eq!(play.breaker.settings(), None);
    play.goes("ok", "closed").but_with("threshold=1 cooldown=1m").goes("fail", "open");
    play.but_with("threshold=2 cooldown=2m").goes("ok", "refused");
    assert_eq!(play.breaker.settings(), Some(&play.settings));
}

#[test]
fn beyond_the_bounds_is_an_error() {
    for (good, bad, key) in [
        ("probes=16", "probes=17", Key::Probes),
        ("probes=1", "probes=0", Key::Probes),
        ("window=1000", "window=1001", Key::Window),
        ("window=1", "window=0", Key::Window),
        ("window=1ms", "window=0s", Key::Window),
        ("failure-budget=100/1h", "failure-budget=101/1h", Key::FailureBudget),
        ("failure-budget=1/1h", "failure-budget=0/1h", Key::FailureBudget),
        ("failure-budget=1/1ms", "failure-budget=1/0", Key::FailureBudget),
        ("jitter=100", "jitter=101", Key::Jitter),
        ("probe-successes=1", "probe-successes=0", Key::ProbeSuccesses),
        ("probe-failures=1", "probe-failures=0", Key::ProbeFailures),
        ("min-calls=1", "min-calls=0", Key::MinCalls),
    ] {
        assert!(read(good).is_ok(), "{good}");
        assert_eq!(fault(bad).0, key, "{bad}");
    }
    let list = |items: usize| format!("trip-codes={}", vec!["1"; items].join(","));
    assert!(read(&list(32)).is_ok());
    assert_eq!(fault(&list(33)).0, Key::TripCodes);
}

#[test]
fn five_refusals_in_a_row_are_noticed_and_any_other_result_ends_it() {
    let mut play = with("threshold=1");
    play.goes("later*4", "closed");
    assert!(!play.breaker.is_in_vain());
    for other in ["ok", "ignored", "seen:ok"] {
        play.goes("later", "closed");
        assert!(play.breaker.is_in_vain());
        play.goes("later*300", "closed");
        assert!(play.breaker.is_in_vain());
        play.goes(other, "closed");
        assert!(!play.breaker.is_in_vain(), "{other}");
        play.goes("later*4", "closed");
        assert!(!play.breaker.is_in_vain());
    }
    // Also of a probe, which is none the wiser.
    play.goes("seen:fail +30s later a! ask a:later ask", "open half-open probe refused half-open probes");
    assert!(!play.breaker.is_in_vain());
    play.goes("later later later", "half-open half-open half-open");
    assert!(play.breaker.is_in_vain());
    // Where a list says what 75 is, nothing need be said.
    let mut play = with("ignore-codes=75");
    play.goes("later*9", "closed");
    assert!(!play.breaker.is_in_vain());
}

// Reported without a permit.

#[test]
fn a_success_seen_elsewhere_closes_from_any_state_but_a_hold() {
    with("threshold=1").goes("fail seen:ok ask", "open closed passes");
    with("threshold=1 probe-successes=3").goes("fail +30s a! seen:ok a:fail", "open probe closed late");
    with("threshold=1").goes("trip seen:ok trip:1m seen:ok", "open open open open");
    with("threshold=1").goes("trip:1m +1m seen:ok", "open closed");
    // It is a success as any where it is closed.
    with("threshold=3").goes("fail fail seen:ok fail fail fail", "closed closed closed closed closed open");
}

#[test]
fn a_failure_seen_elsewhere_is_judged_as_any_when_closed() {
    with("threshold=3").goes("fail seen:fail seen:fail", "closed closed open");
    with("failure-rate=50 min-calls=2").goes("ok seen:fail", "closed open");
}

#[test]
fn a_failure_seen_elsewhere_reopens_when_half_open() {
    let settings = "threshold=1 probe-failures=3 cooldown=10s backoff=2";
    with(settings).goes("fail +10s a! seen:fail left a:ok", "open probe open 20s late");
}

#[test]
fn a_failure_seen_elsewhere_changes_nothing_but_totals_when_open() {
    let mut play = with("threshold=1 failure-rate=1 failure-budget=9/1h");
    play.goes("fail", "open");
    let window = play.window();
    play.goes("+29s seen:fail left", "open 1s");
    assert_eq!((play.window(), play.breaker.consecutive_failures()), (window, 1));
    assert_eq!(play.breaker.budget_used(&play.settings, play.now), 1);
    assert_eq!(play.breaker.totals().failures, 2);
}

// What is told.

#[test]
fn a_row_of_failed_probes_is_one_entry_with_its_count() {
    let mut play = with("threshold=1");
    play.goes("fail +30s fail +30s fail +30s fail +30s ok fail +30s fail", "open open open open closed open open");
    let told: Vec<_> = play
        .breaker
        .history()
        .newest_first()
        .map(|change| (change.from.word(), change.to.word(), change.count))
        .collect();
    let expected = [
        ("half_open", "open", 1),
        ("closed", "open", 1),
        ("half_open", "closed", 1),
        ("half_open", "open", 3),
        ("closed", "open", 1),
    ];
    assert_eq!(told, expected);
    let newest = play.breaker.history().newest_first().next().expect("a change");
    assert_eq!((newest.at, &*newest.reason.text()), (play.now, "probe failed: exit 1"));
}

#[test]
fn the_time_of_the_next_try_is_told_where_there_is_one() {
    let told = |script: &str, story: &str| {
        let mut play = with("threshold=1");
        play.goes(script, story);
        play.breaker.retry_at(play.now).map(|at| i128::from(at.as_millis()) - i128::from(play.now.as_millis()))
    };
    assert_eq!(told("ok", "closed"), None);
    assert_eq!(told("fail +10s", "open"), Some(20_000));
    assert_eq!(told("fail +40s", "open"), Some(-10_000), "a probe is due");
    assert_eq!(told("fail +30s a!", "open probe"), None);
    assert_eq!(told("trip:1m +10s", "open"), Some(50_000));
    assert_eq!(told("trip", "open"), None);
    assert_eq!(told("fail disable:1m", "open open"), None);
    assert_eq!(told("fail +10s disable enable", "open open open"), Some(20_000));
}

#[test]
fn the_reason_of_a_state_is_that_of_the_change_which_led_to_it() {
    let told = |script: &str, story: &str| {
        let mut play = with("threshold=1");
        play.goes(script, story);
        play.breaker.reason(play.now).map(String::from)
    };
    let said = |reason: &str| Some(reason.to_owned());
    let opened = said("1 failure in a row: exit 1");
    assert_eq!(told("ok", "closed"), None);
    assert_eq!(told("fail", "open"), opened);
    assert_eq!(told("fail +30s a!", "open probe"), opened, "half open is still for the reason for which it opened");
    assert_eq!(told("fail +30s fail", "open open"), said("probe failed: exit 1"));
    assert_eq!(told("fail +30s ok", "open closed"), said("probe succeeded"));
    assert_eq!(told("trip:0", "open"), said("tripped"));
    // To be enabled again is to be as before.
    assert_eq!(told("fail disable enable", "open open open"), opened);
    assert_eq!(told("fail disable reset", "open open closed"), said("reset"));
    // Of a hold it is what was said, or nothing.
    let mut play = with("threshold=1");
    play.goes("fail trip", "open open");
    assert_eq!(play.breaker.reason(play.now), None);
    for reason in ["deploy", "enabled"] {
        play.goes("reset", "closed");
        let for_a_minute = Some(Duration::from_secs(60));
        drop(play.breaker.trip(for_a_minute, Some(reason.to_owned()), "ann".to_owned(), play.now));
        assert_eq!(play.breaker.reason(play.now).as_deref(), Some(reason));
        play.goes("+1m", "");
        assert_eq!(
            play.breaker.reason(play.now).as_deref(),
            Some(reason),
            "it is open by that trip even when it is over"
        );
    }
    // What a person says is a reason, even if the program says the same of something else.
    play.goes("reset disable", "closed closed");
    drop(play.breaker.trip(Some(Duration::ZERO), Some("enabled".to_owned()), "ann".to_owned(), play.now));
    assert_eq!(play.breaker.reason(play.now).as_deref(), Some("enabled"));
    let text = serde_json::to_string(&play.breaker).expect("plain data");
    let again: Breaker = serde_json::from_str(&text).expect("our own text");
    assert_eq!(again.reason(play.now).as_deref(), Some("enabled"));
}

#[test]
fn a_run_whose_refusal_is_overruled_counts_as_refused_and_its_result_as_late() {
    let mut play = with("threshold=1");
    play.goes("fail ok", "open refused");
    let permit = play.breaker.overrule();
    let run = run("ok").expect("a result");
    assert_eq!(play.breaker.record(&permit, &run, &play.settings, play.now), Recorded::Late);
    let totals = play.breaker.totals();
    assert_eq!((totals.admitted, totals.refused, totals.late, totals.successes), (1, 1, 1, 0));
    assert_eq!(play.state(), "open");
}

//! The format on disk is frozen: every later version reads these files, and understands them as the one that wrote them.
//!
//! `tests/golden/v1` holds states, `NAME.json`, and beside each what it means, `NAME.meaning`. Neither is ever changed, and
//! nothing here writes them: what is new gets new files, in which it differs from what holds where nothing is said.
//!
//! What a state means is said in words of this file alone. Were they taken from the program, a name or an order that
//! changes there would change what is expected along with what is read. A fact that a later version adds is said only
//! where it is not what holds without it: so the files from before it keep their meaning.

use std::collections::BTreeSet;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use super::{Content, parse, render};
use crate::breaker::window::{Mark, Tally};
use crate::breaker::{Breaker, Change, Hold, HoldKind, Last, Outage, Phase, Probe, State, Totals};
use crate::name::Name;
use crate::outcome::{End, Outcome};
use crate::settings::{Key, Settings};

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/v1");

/// One state, and what it means.
pub(super) struct Golden {
    pub(super) name: Name,
    pub(super) state: Vec<u8>,
    meaning: String,
}

/// All of them, by name.
pub(super) fn golden() -> Vec<Golden> {
    let mut files: BTreeSet<String> = fs::read_dir(DIRECTORY)
        .expect("the directory of golden states")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .collect();
    let names: Vec<Name> = files.iter().filter_map(|file| Name::from_file_name(file)).collect();
    assert!(!names.is_empty(), "{DIRECTORY} holds no states");
    let mut take = |file: String| {
        assert!(files.remove(&file), "{file} is missing");
        fs::read(Path::new(DIRECTORY).join(file)).expect("a file")
    };
    let read = |name: Name| {
        let state = take(name.file_name());
        let meaning = String::from_utf8(take(format!("{name}.meaning"))).expect("text");
        Golden { name, state, meaning }
    };
    let golden = names.into_iter().map(read).collect();
    assert!(files.is_empty(), "they are neither a state nor the meaning of one: {files:?}");
    golden
}

/// What a state file means, a fact a line.
fn meaning(state: &[u8], name: &Name) -> String {
    let facts = match parse(state, name) {
        Content::Unused => vec!["unused".to_owned()],
        Content::Breaker { write, breaker, .. } => {
            [vec![format!("write: {write}")], facts(&breaker), changes(&breaker), settings(breaker.settings())].concat()
        }
        Content::Unreadable(why) => vec![format!("unreadable: {why}")],
        Content::NotOurs(_) => vec!["left alone".to_owned()],
    };
    facts.join("\n") + "\n"
}

/// Everything but history and settings.
fn facts(breaker: &Breaker) -> Vec<String> {
    let mut facts = vec![
        format!("id: {:016x}", breaker.id()),
        format!("generation: {}", breaker.generation()),
        format!("serial: {}", breaker.serial()),
        format!("spent: {}", join(&breaker.spent_permits())),
    ];
    facts.extend(state(breaker.state()));
    match breaker.hold_or_what_was() {
        None => facts.push("hold: none".to_owned()),
        Some(Hold { kind, by, reason, since, span }) => {
            let kind = match kind {
                HoldKind::Trip => "held open",
                HoldKind::Disable => "disabled",
            };
            facts.push(format!("hold: {kind}"));
            facts.push(format!("hold.by: {by:?}"));
            facts.push(format!("hold.reason: {}", reason.as_ref().map_or("none".to_owned(), |why| format!("{why:?}"))));
            facts.push(format!("hold.since: {since}"));
            facts.push(format!("hold.for: {}", span.map_or("ever".to_owned(), millis)));
        }
    }
    facts.push(format!("consecutive failures: {}", breaker.consecutive_failures()));
    let recent: Vec<char> = breaker.recent().last(usize::MAX).map(mark).collect();
    facts.extend(recent.chunks(100).map(|results| format!("recent: {}", results.iter().collect::<String>())));
    match breaker.slices() {
        None => facts.push("slices: none".to_owned()),
        Some(slices) => {
            facts.push(format!("slices: of {}", millis(slices.length())));
            for (index, (start, Tally { calls, failures, slow })) in slices.slices().iter().enumerate() {
                facts.push(format!("slices[{index}]: {start} calls={calls} failures={failures} slow={slow}"));
            }
        }
    }
    facts.extend(breaker.failure_times().times().enumerate().map(|(index, time)| format!("failure[{index}]: {time}")));
    let &Totals { admitted, successes, failures, ignored, late, refused, opened, abandoned } = breaker.totals();
    facts.push(format!("totals.admitted: {admitted}"));
    facts.push(format!("totals.successes: {successes}"));
    facts.push(format!("totals.failures: {failures}"));
    facts.push(format!("totals.ignored: {ignored}"));
    facts.push(format!("totals.late: {late}"));
    facts.push(format!("totals.refused: {refused}"));
    facts.push(format!("totals.opened: {opened}"));
    facts.push(format!("totals.abandoned: {abandoned}"));
    facts.push(format!("last: {}", last(breaker.last())));
    facts.push(format!("last failure: {}", last(breaker.last_failure())));
    facts.push(format!("rules differ: {}", if breaker.rules_differ() { "yes" } else { "no" }));
    // What no version before 0.2 knew is a fact only where it is there.
    if breaker.windows_differ() {
        facts.push("windows differ: yes".to_owned());
    }
    if breaker.is_in_vain() {
        facts.push("in vain: yes".to_owned());
    }
    if let Some(Outage { since, refused_before }) = breaker.outage() {
        facts.push(format!("outage: since {since}, refused before: {refused_before}"));
    }
    let under_way = breaker.under_way();
    if under_way.count() > 0 {
        facts.push(format!("under way: {} of {:?}", under_way.count(), under_way.numbers()));
    }
    facts
}

fn state(state: &State) -> Vec<String> {
    match state {
        State::Closed { since, recovered } => {
            let since = since.map_or("ever".to_owned(), |since| since.to_string());
            let mut facts = vec!["state: closed".to_owned(), format!("state.since: {since}")];
            // No version before 0.2 knew it.
            facts.extend(recovered.map(|before| format!("state.recovered: from opening {before} in a row")));
            facts
        }
        State::Open { since, cooldown, reopened } => vec![
            "state: open".to_owned(),
            format!("state.since: {since}"),
            format!("state.cooldown: {}", millis(*cooldown)),
            format!("state.reopened: {reopened}"),
        ],
        State::HalfOpen { since, reopened, successes, failures, probes } => {
            let mut facts = vec![
                "state: half-open".to_owned(),
                format!("state.since: {since}"),
                format!("state.reopened: {reopened}"),
                format!("state.successes: {successes}"),
                format!("state.failures: {failures}"),
            ];
            for (index, Probe { serial, pid, since, lease, counts }) in probes.iter().enumerate() {
                let counts = if *counts { ", counts" } else { "" };
                let pid = pid.map_or("none".to_owned(), |pid| pid.to_string());
                let lease = millis(*lease);
                facts.push(format!("probe[{index}]: serial={serial} pid={pid} since={since} lease={lease}{counts}"));
            }
            facts
        }
    }
}

fn mark(mark: Mark) -> char {
    match mark {
        Mark { failed: false, slow: false } => '.',
        Mark { failed: true, slow: false } => 'F',
        Mark { failed: false, slow: true } => 's',
        Mark { failed: true, slow: true } => 'S',
    }
}

fn last(last: Option<&Last>) -> String {
    let Some(Last { at, outcome, end, took, http_status }) = last else { return "none".to_owned() };
    let end = match end {
        None => "unknown".to_owned(),
        Some(End::Exit(code)) => format!("exit {code}"),
        Some(End::Signal(number)) => format!("signal {number}"),
        Some(End::TimedOut) => "timed out".to_owned(),
        Some(End::NotStarted) => "not started".to_owned(),
    };
    let took = took.map_or("unknown".to_owned(), millis);
    // No version before 0.2 knew it.
    let status = http_status.map_or(String::new(), |status| format!(", http status: {status}"));
    format!("{at} {}, end: {end}, took: {took}{status}", outcome_word(*outcome))
}

fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "success",
        Outcome::Failure => "failure",
        Outcome::Ignored => "ignored",
    }
}

/// The history, oldest first.
fn changes(breaker: &Breaker) -> Vec<String> {
    let phase = |phase: &Phase| match phase {
        Phase::Closed => "closed",
        Phase::Open => "open",
        Phase::HalfOpen => "half-open",
        Phase::Disabled => "disabled",
    };
    let change = |(index, Change { at, from, to, reason, by, count }): (usize, &Change)| {
        let by = by.as_ref().map_or(String::new(), |by| format!(" by {by:?}"));
        let reason = reason.text();
        format!("history[{index}]: {at} {} -> {} {reason:?}{by} x{count}", phase(from), phase(to))
    };
    breaker.history().newest_first().rev().enumerate().map(change).collect()
}

/// The settings that do not have their built-in values, by name; and what the code lists say of every end.
fn settings(settings: Option<&Settings>) -> Vec<String> {
    let Some(settings) = settings else { return vec!["settings: none".to_owned()] };
    let said = settings.given().filter_map(|(key, value)| {
        let name = setting_name(key)?;
        value.text().map(|text| format!("settings.{name}: {text}"))
    });
    let mut facts: Vec<String> = said.collect();
    facts.sort_unstable();
    if facts.is_empty() {
        facts.push("settings: built-in".to_owned());
    }
    if facts.iter().any(|fact| fact.contains("-codes: ")) {
        facts.extend(listed(settings));
    }
    facts
}

/// The settings of a breaker; those of a run are in no state.
fn setting_name(key: Key) -> Option<&'static str> {
    Some(match key {
        Key::Threshold => "threshold",
        Key::FailureRate => "failure-rate",
        Key::Window => "window",
        Key::MinCalls => "min-calls",
        Key::SlowAfter => "slow-after",
        Key::SlowRate => "slow-rate",
        Key::FailureBudget => "failure-budget",
        Key::Cooldown => "cooldown",
        Key::Backoff => "backoff",
        Key::MaxCooldown => "max-cooldown",
        Key::BackoffReset => "backoff-reset",
        Key::Jitter => "jitter",
        Key::Ramp => "ramp",
        Key::Probes => "probes",
        Key::ProbeSuccesses => "probe-successes",
        Key::ProbeFailures => "probe-failures",
        Key::Lease => "lease",
        Key::MaxRetryAfter => "max-retry-after",
        Key::SuccessCodes => "success-codes",
        Key::FailureCodes => "failure-codes",
        Key::IgnoreCodes => "ignore-codes",
        Key::TripCodes => "trip-codes",
        Key::CountStopped => "count-stopped",
        Key::HealthyAfter
        | Key::Timeout
        | Key::ProbeTimeout
        | Key::KillAfter
        | Key::Signal
        | Key::PreserveStatus
        | Key::Foreground
        | Key::Http
        | Key::OpenExitCode
        | Key::OnStateError
        | Key::Observe
        | Key::FailureOutput
        | Key::Fallback
        | Key::FallbackOn
        | Key::OnChange
        | Key::Verbose => return None,
    })
}

/// What the lists say of each end, a line for each row of equal ones; what is in no list is left to the program.
fn listed(settings: &Settings) -> Vec<String> {
    let numbers: Vec<u8> = settings.codes.to_numbers().collect();
    let (flag, slots) = numbers.split_first().expect("a flag and a number for each end");
    let mut facts = vec![format!("settings.failures listed: {}", if *flag == 1 { "yes" } else { "no" })];
    let mut rows: Vec<(RangeInclusive<usize>, &str)> = Vec::new();
    for (slot, number) in slots.iter().enumerate() {
        let listed = match number {
            0 => "none",
            1 => "success",
            2 => "failure",
            3 => "ignored",
            4 => "failure that trips",
            other => panic!("{other} is no class"),
        };
        match rows.last_mut() {
            Some((range, same)) if *same == listed => *range = *range.start()..=slot,
            _ => rows.push((slot..=slot, listed)),
        }
    }
    // Exit codes, then the signals from 1 on, then the timeout.
    let end = |slot: usize| match slot {
        0..256 => format!("exit {slot}"),
        256..320 => format!("signal {}", slot - 255),
        _ => "timed out".to_owned(),
    };
    let said = |(range, listed): &(RangeInclusive<usize>, &str)| {
        format!("settings.listed[{} to {}]: {listed}", end(*range.start()), end(*range.end()))
    };
    facts.extend(rows.iter().filter(|row| row.1 != "none").map(said));
    facts
}

fn millis(span: Duration) -> String {
    format!("{}ms", span.as_millis())
}

fn join(numbers: &[u64]) -> String {
    let words: Vec<String> = numbers.iter().map(u64::to_string).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(",") }
}

/// The first line in which two texts differ.
fn first_difference(expected: &str, found: &str) -> String {
    let (mut expected, mut found) = (expected.lines(), found.lines());
    loop {
        match (expected.next(), found.next()) {
            (None, None) => return "they differ in line ends alone".to_owned(),
            (expected, found) if expected == found => {}
            (expected, found) => {
                return format!("it meant '{}', it is read as '{}'", expected.unwrap_or(""), found.unwrap_or(""));
            }
        }
    }
}

#[test]
fn every_golden_state_means_what_it_meant() {
    let wrong = golden().into_iter().filter_map(|golden| {
        let found = meaning(&golden.state, &golden.name);
        (found != golden.meaning).then(|| format!("\n{}: {}", golden.name, first_difference(&golden.meaning, &found)))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "the format has changed:{}", wrong.concat());
}

#[test]
fn what_is_read_of_a_golden_state_is_written_so_that_it_is_read_again() {
    for Golden { name, state, .. } in golden() {
        let Content::Breaker { write, mut breaker, .. } = parse(&state, &name) else { continue };
        let before = breaker.clone();
        let block = render(&mut breaker, &name, write, &[]).expect("it fits");
        let Content::Breaker { write: again, breaker: read, .. } = parse(&block, &name) else {
            panic!("{name} was written so that it cannot be read")
        };
        assert_eq!(again, write, "{name}");
        assert!(*read == *before, "something of {name} was lost on the way through the text");
        // Not even history gives way.
        assert!(*breaker == *before, "{name} was shortened");
    }
}

#[test]
fn every_setting_of_a_breaker_and_every_pair_of_phases_is_in_a_golden_state() {
    let meanings: String = golden().into_iter().map(|golden| golden.meaning).collect();
    for name in Key::all().filter_map(setting_name) {
        assert!(meanings.contains(&format!("\nsettings.{name}: ")), "no state has {name}");
    }
    let phases = ["closed", "open", "half-open", "disabled"];
    for pair in phases.iter().flat_map(|from| phases.map(|to| format!(" {from} -> {to} "))) {
        assert!(meanings.contains(&pair), "no history has{pair}");
    }
}

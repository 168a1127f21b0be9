//! PURE. One row for each setting: its name, its letter in the state, its default, how it is read and shown.
//!
//! A new setting is one row here, one option with its help in `cli.rs`, and its use. The order is that in which settings
//! are shown.

use std::num::NonZeroU32;
use std::time::Duration;

use super::{
    BUILT_IN, Budget, FallbackOn, Fault, MOST_BUDGET, MOST_CALLS, MOST_PROBES, OnStateError, OutputPattern, Setup,
    Window,
};
use crate::outcome::{CodeList, Codes};
use crate::signals;
use crate::time::{format_duration, parse_duration};

/// The name of a setting. Each is documented at its option, in `cli.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Threshold,
    FailureRate,
    Window,
    MinCalls,
    SlowAfter,
    SlowRate,
    FailureBudget,
    Cooldown,
    Backoff,
    MaxCooldown,
    BackoffReset,
    Jitter,
    Ramp,
    Probes,
    ProbeSuccesses,
    ProbeFailures,
    Lease,
    MaxRetryAfter,
    SuccessCodes,
    FailureCodes,
    IgnoreCodes,
    TripCodes,
    CountStopped,
    Http,
    HealthyAfter,
    FailureOutput,
    Timeout,
    ProbeTimeout,
    KillAfter,
    Signal,
    PreserveStatus,
    Foreground,
    OpenExitCode,
    OnStateError,
    Observe,
    Fallback,
    FallbackOn,
    OnChange,
    Verbose,
}

impl Key {
    /// All of them, in the order in which they are shown.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(|row| row.key)
    }

    /// How many there are.
    pub const COUNT: usize = ROWS.len();

    /// Its name, as it is written after `--` and in `config.toml`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The key of this name.
    pub fn named(name: &str) -> Option<Self> {
        ROWS.iter().find(|row| row.name == name).map(|row| row.key)
    }

    /// How the state stores it.
    pub fn stored(self) -> Stored {
        self.row().stored
    }

    /// Reads it into `setup`.
    ///
    /// # Errors
    /// It cannot be read: what is wrong with the text, and what would be right.
    pub fn read(self, setup: &mut Setup, text: &str) -> Result<(), Fault> {
        (self.row().read)(setup, text).map_err(|message| Fault::new(self, message))
    }

    /// What it is in `setup`.
    pub fn value(self, setup: &Setup) -> Value {
        (self.row().value)(setup)
    }

    /// Its default. For two settings it depends on others in `setup`.
    pub fn default(self, setup: &Setup) -> Value {
        self.row().default.map_or_else(|| self.value(&BUILT_IN), |default| default(setup))
    }

    /// Whether it is of the breaker, for those too who start nothing, and not of a run alone.
    pub fn is_of_breaker(self) -> bool {
        self.stored() != Stored::Not && self != Self::CountStopped
    }

    /// Whether its option stands alone, for `true`.
    pub fn is_switch(self) -> bool {
        matches!(self.value(&BUILT_IN), Value::Flag(_))
    }

    /// Whether it is a command line for `sh -c`.
    pub fn is_command(self) -> bool {
        matches!(self, Self::Fallback | Self::OnChange)
    }

    fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }
}

/// How a setting stands in the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// As this letter and its text. No letter is used twice, ever.
    Letter(char),
    /// With the other lists of codes, packed.
    Packed,
    /// Not at all: it is a run's own.
    Not,
}

/// What a setting is, for all who write it down. `None` is no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Number(u64),
    Percent(Option<u8>),
    Time(Option<Duration>),
    /// In millionths.
    Factor(u32),
    Window(Window),
    Budget(Option<Budget>),
    Flag(bool),
    Word(Option<String>),
}

impl Value {
    /// As it could be written as an option; `None` where it is nothing at all.
    pub fn text(&self) -> Option<String> {
        self.written(format_duration)
    }

    /// The same, with lengths of time written as `time` does.
    pub fn written(&self, time: fn(Duration) -> String) -> Option<String> {
        match self {
            Self::Number(number) => Some(number.to_string()),
            Self::Percent(percent) => percent.map(|percent| format!("{percent}%")),
            Self::Time(span) => span.map(time),
            Self::Factor(millionths) => {
                let text = format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000);
                Some(text.trim_end_matches('0').trim_end_matches('.').to_owned())
            }
            Self::Window(Window::Calls(calls)) => Some(calls.to_string()),
            Self::Window(Window::Time(span)) => Some(time(*span)),
            Self::Budget(budget) => budget.map(|budget| format!("{}/{}", budget.failures, time(budget.within))),
            Self::Flag(flag) => Some(flag.to_string()),
            Self::Word(word) => word.clone(),
        }
    }
}

struct Row {
    key: Key,
    name: &'static str,
    stored: Stored,
    read: fn(&mut Setup, &str) -> Result<(), String>,
    value: fn(&Setup) -> Value,
    /// Where it follows from the other settings.
    default: Option<fn(&Setup) -> Value>,
}

// The place of a row is the number of its key.
const _: () = {
    let mut index = 0;
    while index < ROWS.len() {
        assert!(ROWS[index].key as usize == index);
        index += 1;
    }
};

static ROWS: &[Row] = &[
    Row {
        key: Key::Threshold,
        name: "threshold",
        stored: Stored::Letter('A'),
        read: |setup, text| put(&mut setup.breaker.trip.threshold, count(text, 0, u32::MAX).map(NonZeroU32::new)),
        value: |setup| Value::Number(setup.breaker.trip.threshold.map_or(0, NonZeroU32::get).into()),
        default: Some(|setup| Value::Number(if setup.breaker.trip.has_other_rule() { 0 } else { 5 })),
    },
    Row {
        key: Key::FailureRate,
        name: "failure-rate",
        stored: Stored::Letter('B'),
        read: |setup, text| put(&mut setup.breaker.trip.failure_rate, percent(text, 1).map(Some)),
        value: |setup| Value::Percent(setup.breaker.trip.failure_rate),
        default: None,
    },
    Row {
        key: Key::Window,
        name: "window",
        stored: Stored::Letter('C'),
        read: |setup, text| put(&mut setup.breaker.trip.window, window(text)),
        value: |setup| Value::Window(setup.breaker.trip.window),
        default: None,
    },
    Row {
        key: Key::MinCalls,
        name: "min-calls",
        stored: Stored::Letter('D'),
        read: |setup, text| put(&mut setup.breaker.trip.min_calls, count(text, 1, u32::MAX)),
        value: |setup| Value::Number(setup.breaker.trip.min_calls.into()),
        default: None,
    },
    Row {
        key: Key::SlowAfter,
        name: "slow-after",
        stored: Stored::Letter('E'),
        read: |setup, text| put(&mut setup.breaker.slow_after, parse_duration(text).map(Some)),
        value: |setup| Value::Time(setup.breaker.slow_after),
        default: None,
    },
    Row {
        key: Key::SlowRate,
        name: "slow-rate",
        stored: Stored::Letter('F'),
        read: |setup, text| put(&mut setup.breaker.trip.slow_rate, percent(text, 1).map(Some)),
        value: |setup| Value::Percent(setup.breaker.trip.slow_rate),
        default: None,
    },
    Row {
        key: Key::FailureBudget,
        name: "failure-budget",
        stored: Stored::Letter('G'),
        read: |setup, text| put(&mut setup.breaker.trip.budget, budget(text).map(Some)),
        value: |setup| Value::Budget(setup.breaker.trip.budget),
        default: None,
    },
    Row {
        key: Key::Cooldown,
        name: "cooldown",
        stored: Stored::Letter('H'),
        read: |setup, text| put(&mut setup.breaker.cooldown, parse_duration(text)),
        value: |setup| Value::Time(Some(setup.breaker.cooldown)),
        default: None,
    },
    Row {
        key: Key::Backoff,
        name: "backoff",
        stored: Stored::Letter('I'),
        read: |setup, text| put(&mut setup.breaker.backoff, backoff(text)),
        value: |setup| Value::Factor(setup.breaker.backoff),
        default: None,
    },
    Row {
        key: Key::MaxCooldown,
        name: "max-cooldown",
        stored: Stored::Letter('J'),
        read: |setup, text| put(&mut setup.breaker.max_cooldown, parse_duration(text).map(Some)),
        value: |setup| Value::Time(Some(setup.breaker.longest_cooldown())),
        default: Some(|setup| Value::Time(Some(setup.breaker.default_longest_cooldown()))),
    },
    Row {
        key: Key::BackoffReset,
        name: "backoff-reset",
        stored: Stored::Letter('Q'),
        read: |setup, text| put(&mut setup.breaker.backoff_reset, parse_duration(text)),
        value: |setup| Value::Time(Some(setup.breaker.backoff_reset)),
        default: None,
    },
    Row {
        key: Key::Jitter,
        name: "jitter",
        stored: Stored::Letter('K'),
        read: |setup, text| put(&mut setup.breaker.jitter, percent(text, 0)),
        value: |setup| Value::Percent(Some(setup.breaker.jitter)),
        default: None,
    },
    Row {
        key: Key::Ramp,
        name: "ramp",
        stored: Stored::Letter('R'),
        read: |setup, text| put(&mut setup.breaker.ramp, parse_duration(text)),
        value: |setup| Value::Time(Some(setup.breaker.ramp)),
        default: None,
    },
    Row {
        key: Key::Probes,
        name: "probes",
        stored: Stored::Letter('L'),
        read: |setup, text| put(&mut setup.breaker.probes, count(text, 1, MOST_PROBES)),
        value: |setup| Value::Number(setup.breaker.probes.into()),
        default: None,
    },
    Row {
        key: Key::ProbeSuccesses,
        name: "probe-successes",
        stored: Stored::Letter('M'),
        read: |setup, text| put(&mut setup.breaker.probe_successes, count(text, 1, u32::MAX)),
        value: |setup| Value::Number(setup.breaker.probe_successes.into()),
        default: None,
    },
    Row {
        key: Key::ProbeFailures,
        name: "probe-failures",
        stored: Stored::Letter('N'),
        read: |setup, text| put(&mut setup.breaker.probe_failures, count(text, 1, u32::MAX)),
        value: |setup| Value::Number(setup.breaker.probe_failures.into()),
        default: None,
    },
    Row {
        key: Key::Lease,
        name: "lease",
        stored: Stored::Letter('O'),
        read: |setup, text| put(&mut setup.breaker.lease, parse_duration(text).map(Some)),
        value: |setup| Value::Time(setup.breaker.lease),
        default: None,
    },
    Row {
        key: Key::MaxRetryAfter,
        name: "max-retry-after",
        stored: Stored::Letter('P'),
        read: |setup, text| put(&mut setup.breaker.max_retry_after, parse_duration(text)),
        value: |setup| Value::Time(Some(setup.breaker.max_retry_after)),
        default: None,
    },
    Row {
        key: Key::SuccessCodes,
        name: "success-codes",
        stored: Stored::Packed,
        read: |_, text| list(CodeList::Success, text),
        value: |setup| Value::Word(setup.breaker.codes.list(CodeList::Success)),
        default: None,
    },
    Row {
        key: Key::FailureCodes,
        name: "failure-codes",
        stored: Stored::Packed,
        read: |_, text| list(CodeList::Failure, text),
        value: |setup| Value::Word(setup.breaker.codes.list(CodeList::Failure)),
        default: None,
    },
    Row {
        key: Key::IgnoreCodes,
        name: "ignore-codes",
        stored: Stored::Packed,
        read: |_, text| list(CodeList::Ignored, text),
        value: |setup| Value::Word(setup.breaker.codes.list(CodeList::Ignored)),
        default: None,
    },
    Row {
        key: Key::TripCodes,
        name: "trip-codes",
        stored: Stored::Packed,
        read: |_, text| list(CodeList::Trip, text),
        value: |setup| Value::Word(setup.breaker.codes.list(CodeList::Trip)),
        default: None,
    },
    Row {
        key: Key::CountStopped,
        name: "count-stopped",
        stored: Stored::Letter('S'),
        read: |setup, text| put(&mut setup.breaker.count_stopped, flag(text)),
        value: |setup| Value::Flag(setup.breaker.count_stopped),
        default: None,
    },
    Row {
        key: Key::Http,
        name: "http",
        stored: Stored::Not,
        read: |setup, text| put(&mut setup.run.http, descriptor(text)),
        value: |setup| setup.run.http.map_or(Value::Flag(false), |number| Value::Number(number.into())),
        default: None,
    },
    Row {
        key: Key::HealthyAfter,
        name: "healthy-after",
        stored: Stored::Not,
        read: |setup, text| put(&mut setup.run.healthy_after, limit(text)),
        value: |setup| Value::Time(setup.run.healthy_after),
        default: None,
    },
    Row {
        key: Key::FailureOutput,
        name: "failure-output",
        stored: Stored::Not,
        read: |setup, text| put(&mut setup.run.failure_output, output_pattern(text)),
        value: |setup| Value::Word(setup.run.failure_output.as_ref().map(|pattern| pattern.as_str().to_owned())),
        default: None,
    },
    Row {
        key: Key::Timeout,
        name: "timeout",
        stored: Stored::Not,
        read: |setup, text| put(&mut setup.limits.timeout, limit(text)),
        value: |setup| Value::Time(setup.limits.timeout),
        default: None,
    },
    Row {
        key: Key::ProbeTimeout,
        name: "probe-timeout",
        stored: Stored::Not,
        read: |setup, text| put(&mut setup.limits.probe_timeout, parse_duration(text).map(Some)),
        value: |setup| Value::Time(setup.limits.probe_timeout),
        default: None,
    },
    Row {
        key: Key::KillAfter,
        name: "kill-after",
        stored: Stored::Not,
        read: |setup, text| put(&mut setup.limits.kill_after, limit(text)),
        value: |setup| Value::Time(setup.limits.kill_after),
        default: None,
    },
    Row {
        key: Key::Signal,
        name: "signal",
        stored: Stored::Not,
        read: |setup, text| put(&mut setup.limits.signal, signal(text)),
        value: |setup| Value::Word(Some(signals::name(setup.limits.signal).trim_start_matches("SIG").to_owned())),
        default: None,
    },
    Row {
        key: Key::PreserveStatus,
        name: "preserve-status",
        stored: Stored::Not,
        read: |setup, text| put(&mut setup.limits.preserve_status, flag(text)),
        value: |setup| Value::Flag(setup.limits.preserve_status),
        default: None,
    },
    Row {
        key: Key::Foreground,
        name: "foreground",
        stored: Stored::Not,
        read: |setup, text| put(&mut setup.limits.foreground, flag(text)),
        value: |setup| Value::Flag(setup.limits.foreground),
        default: None,
    },
    Row {
        key: Key::OpenExitCode,
        name: "open-exit-code",
        stored: Stored::Not,
        read: |setup, text| put(&mut setup.run.open_exit_code, count(text, 0, u8::MAX)),
        value: |setup| Value::Number(setup.run.open_exit_code.into()),
        default: None,
    },
    Row {
        key: Key::OnStateError,
        name: "on-state-error",
        stored: Stored::Not,
        read: |setup, text| put(&mut setup.run.on_state_error, on_state_error(text)),
        value: |setup| Value::Word(Some(setup.run.on_state_error.word().to_owned())),
        default: None,
    },
    Row {
        key: Key::Observe,
        name: "observe",
        stored: Stored::Not,
        read: |setup, text| put(&mut setup.run.observe, flag(text)),
        value: |setup| Value::Flag(setup.run.observe),
        default: None,
    },
    Row {
        key: Key::Fallback,
        name: "fallback",
        stored: Stored::Not,
        read: |setup, text| put(&mut setup.run.fallback, command(text)),
        value: |setup| Value::Word(setup.run.fallback.clone()),
        default: None,
    },
    Row {
        key: Key::FallbackOn,
        name: "fallback-on",
        stored: Stored::Not,
        read: |setup, text| put(&mut setup.run.fallback_on, fallback_on(text)),
        value: |setup| Value::Word(Some(setup.run.fallback_on.word().to_owned())),
        default: None,
    },
    Row {
        key: Key::OnChange,
        name: "on-change",
        stored: Stored::Not,
        read: |setup, text| put(&mut setup.run.on_change, command(text)),
        value: |setup| Value::Word(setup.run.on_change.clone()),
        default: None,
    },
    Row {
        key: Key::Verbose,
        name: "verbose",
        stored: Stored::Not,
        read: |setup, text| put(&mut setup.run.verbose, flag(text)),
        value: |setup| Value::Flag(setup.run.verbose),
        default: None,
    },
];

fn put<T>(target: &mut T, value: Result<T, String>) -> Result<(), String> {
    *target = value?;
    Ok(())
}

/// A list of codes is read by itself here; with the others, once all are known.
fn list(class: CodeList, text: &str) -> Result<(), String> {
    Codes::parse(&[(class, text)])
        .map(drop)
        .map_err(|faults| faults.into_iter().map(|fault| fault.message).collect::<Vec<_>>().join("; "))
}

/// A limit of 0 is none, as for GNU timeout.
fn limit(text: &str) -> Result<Option<Duration>, String> {
    Ok(Some(parse_duration(text)?).filter(|limit| !limit.is_zero()))
}

/// A command for the shell; an empty one is none.
fn command(text: &str) -> Result<Option<String>, String> {
    if text.contains('\0') {
        return Err("a command cannot contain a NUL byte".to_owned());
    }
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}

fn count<T: TryFrom<u64> + Into<u64> + Copy>(text: &str, least: u64, most: T) -> Result<T, String> {
    let most = most.into();
    // The standard library would take a plus sign as well.
    let number = if digits(text) { text.parse().ok() } else { None };
    let number = number.filter(|number| (least..=most).contains(number)).and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| format!("'{text}' is not a whole number from {least} to {most}"))
}

/// Whether a text is a whole number without a sign, or empty.
fn digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn percent(text: &str, least: u64) -> Result<u8, String> {
    let number = text.strip_suffix('%').unwrap_or(text);
    count(number, least, 100_u8).map_err(|_| match number.parse::<f64>() {
        Ok(ratio) if ratio > 0.0 && ratio < 1.0 => {
            format!("'{text}' is not a whole number of per cent; did you mean {}%?", (ratio * 100.0).round().max(1.0))
        }
        _ => format!("'{text}' is not a whole number of per cent from {least} to 100; write 50 or 50%"),
    })
}

fn window(text: &str) -> Result<Window, String> {
    if !text.is_empty() && digits(text) {
        return count(text, 1, MOST_CALLS).map(Window::Calls).map_err(|_| {
            let hint = if text.bytes().all(|byte| byte == b'0') {
                String::new()
            } else {
                format!("; for a time write '{text}s'")
            };
            format!("'{text}' is not a number of calls from 1 to {MOST_CALLS}{hint}")
        });
    }
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && !text.is_empty() {
        return Err(format!("'{text}' is not a number of calls, as 16 is one; for a time write '{text}s'"));
    }
    match parse_duration(text)? {
        span if span.is_zero() => Err("a window of no time holds no result; write one like 5m".to_owned()),
        span => Ok(Window::Time(span)),
    }
}

fn budget(text: &str) -> Result<Budget, String> {
    let Some((failures, within)) = text.split_once('/') else {
        return Err(format!("'{text}' is not a budget; write failures/duration like 3/1h"));
    };
    let budget = Budget { failures: count(failures, 1, MOST_BUDGET)?, within: parse_duration(within)? };
    if budget.within.is_zero() {
        return Err("a budget over no time holds no failure; write failures/duration like 3/1h".to_owned());
    }
    Ok(budget)
}

fn backoff(text: &str) -> Result<u32, String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let millionths = if digits(whole) && digits(fraction) && fraction.len() <= 6 {
        format!("{whole}{fraction:0<6}").parse().ok()
    } else {
        None
    };
    millionths
        .filter(|factor| (1_000_000..=100_000_000).contains(factor))
        .ok_or_else(|| format!("'{text}' is not a factor from 1 to 100, like 2 or 1.5 (at most 6 decimals)"))
}

fn signal(text: &str) -> Result<i32, String> {
    // As for kill(2), 0 sends nothing.
    if text == "0" {
        return Ok(0);
    }
    signals::number(text)
        .or_else(|| signals::number(&format!("SIG{text}")))
        .map(i32::from)
        .ok_or_else(|| format!("'{text}' is not a signal; write a name like TERM or a number from 0 to 64"))
}

fn flag(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("'{text}' is neither true nor false")),
    }
}

/// An empty one is none: it would match every line.
fn output_pattern(text: &str) -> Result<Option<OutputPattern>, String> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
}

fn fallback_on(text: &str) -> Result<FallbackOn, String> {
    let known = [FallbackOn::Refused, FallbackOn::Failure].into_iter().find(|known| known.word() == text);
    known.ok_or_else(|| format!("'{text}' is not known; write refused or failure"))
}

/// The descriptor of a file that a child finds; none by `false`.
fn descriptor(text: &str) -> Result<Option<u8>, String> {
    match text {
        "true" => Ok(Some(3)),
        "false" => Ok(None),
        _ => count(text, 3, 9_u8)
            .map(Some)
            .map_err(|_| format!("'{}' is neither true nor false nor a descriptor from 3 to 9", text.escape_debug())),
    }
}

fn on_state_error(text: &str) -> Result<OnStateError, String> {
    let known = [OnStateError::Run, OnStateError::Refuse].into_iter().find(|known| known.word() == text);
    known.ok_or_else(|| format!("'{text}' is not known; write run or refuse"))
}

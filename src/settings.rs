//! PURE. What a breaker is told: trip rules, cool-down, probes, code lists; and what a run is told beside them.
//!
//! A setting is written as text, on the command line, in `config.toml` and in the state. [`Settings::parse`] is the one
//! place where that text becomes types; [`Settings::text`] is its reverse.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::breaker::pack;
use crate::exit;
use crate::outcome::{Class, Codes};
use crate::signals;
use crate::time::{LONGEST, format_duration, millis, parse_duration};

/// The name of a setting: an option of `cb run`, a key of `config.toml`. Each is documented at its option, in cli.rs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    Jitter,
    Probes,
    ProbeSuccesses,
    ProbeFailures,
    Lease,
    SuccessCodes,
    FailureCodes,
    IgnoreCodes,
    TripCodes,
    Timeout,
    ProbeTimeout,
    KillAfter,
    Signal,
    PreserveStatus,
    Foreground,
    OpenExitCode,
    OnStateError,
    Fallback,
    OnChange,
}

impl Key {
    /// Every key with its name, in the order in which they are shown. Those of a breaker come first.
    pub const ALL: [(Self, &'static str); 29] = [
        (Self::Threshold, "threshold"),
        (Self::FailureRate, "failure-rate"),
        (Self::Window, "window"),
        (Self::MinCalls, "min-calls"),
        (Self::SlowAfter, "slow-after"),
        (Self::SlowRate, "slow-rate"),
        (Self::FailureBudget, "failure-budget"),
        (Self::Cooldown, "cooldown"),
        (Self::Backoff, "backoff"),
        (Self::MaxCooldown, "max-cooldown"),
        (Self::Jitter, "jitter"),
        (Self::Probes, "probes"),
        (Self::ProbeSuccesses, "probe-successes"),
        (Self::ProbeFailures, "probe-failures"),
        (Self::Lease, "lease"),
        (Self::SuccessCodes, "success-codes"),
        (Self::FailureCodes, "failure-codes"),
        (Self::IgnoreCodes, "ignore-codes"),
        (Self::TripCodes, "trip-codes"),
        (Self::Timeout, "timeout"),
        (Self::ProbeTimeout, "probe-timeout"),
        (Self::KillAfter, "kill-after"),
        (Self::Signal, "signal"),
        (Self::PreserveStatus, "preserve-status"),
        (Self::Foreground, "foreground"),
        (Self::OpenExitCode, "open-exit-code"),
        (Self::OnStateError, "on-state-error"),
        (Self::Fallback, "fallback"),
        (Self::OnChange, "on-change"),
    ];

    /// Its name, as it is written after `--` and in `config.toml`.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// The key of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|key| key.1 == name).map(|key| key.0)
    }
}

/// A setting that cannot be, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The setting.
    pub key: Key,
    /// What is wrong with it and what would be right.
    pub message: String,
    /// The other setting, with which it cannot go.
    pub with: Option<Key>,
}

impl Fault {
    fn new(key: Key, message: impl Into<String>) -> Self {
        Self { key, message: message.into(), with: None }
    }

    /// The same of a setting that is right but for another one.
    fn against(self, other: Key) -> Self {
        Self { with: Some(other), ..self }
    }
}

/// Over which results a rate is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The last so many results.
    Calls(u16),
    /// The results of the last so much time.
    Time(Duration),
}

/// The largest count window.
pub const MOST_CALLS: u16 = 1_000;
/// The most failures of a budget.
pub const MOST_BUDGET: u8 = 100;
/// The most probes at once.
pub const MOST_PROBES: u8 = 16;

/// So many failures within so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How many failures open the breaker.
    pub failures: u8,
    /// Within how long.
    pub within: Duration,
}

/// The rules that open a closed breaker. Any that is set may do so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TripRules {
    /// So many failures in a row.
    pub threshold: Option<NonZeroU32>,
    /// So many per cent of the window failed (1 to 100).
    pub failure_rate: Option<u8>,
    /// So many per cent of the window were slow (1 to 100).
    pub slow_rate: Option<u8>,
    /// The window of both rates.
    pub window: Window,
    /// Rates are judged once the window holds so many results.
    pub min_calls: u32,
    /// So many failures within so much time.
    pub budget: Option<Budget>,
}

impl TripRules {
    /// How many results must be in the window for a rate to be judged; more than a count window holds means the window.
    pub fn enough(&self) -> u32 {
        match self.window {
            Window::Calls(calls) => self.min_calls.min(calls.into()),
            Window::Time(_) => self.min_calls,
        }
    }
}

/// What a breaker is told. Each run judges by its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// When to open.
    pub trip: TripRules,
    /// A run that takes this long is slow.
    pub slow_after: Option<Duration>,
    /// How long to stay open, the first time.
    pub cooldown: Duration,
    /// By how much the cool-down grows with each reopening in a row, in millionths (`1.5` is 1,500,000).
    pub backoff: u32,
    /// How far it grows, if that was said.
    pub max_cooldown: Option<Duration>,
    /// By how much it is lengthened at random, in per cent (0 to 100).
    pub jitter: u8,
    /// How many probes may run at once.
    pub probes: u8,
    /// How many of them must succeed to close.
    pub probe_successes: u32,
    /// How many of them must fail to open again.
    pub probe_failures: u32,
    /// How long a probe keeps its place, if that was said.
    pub lease: Option<Duration>,
    /// What counts as what.
    pub codes: Codes,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            trip: TripRules {
                threshold: NonZeroU32::new(5),
                failure_rate: None,
                slow_rate: None,
                window: Window::Calls(20),
                min_calls: 10,
                budget: None,
            },
            slow_after: None,
            cooldown: Duration::from_secs(30),
            backoff: 1_000_000,
            max_cooldown: None,
            jitter: 0,
            probes: 1,
            probe_successes: 1,
            probe_failures: 1,
            lease: None,
            codes: Codes::default(),
        }
    }
}

impl Settings {
    /// The settings that `given` says, the built-in ones where it says nothing.
    ///
    /// # Errors
    /// The first setting that cannot be read, or that contradicts another.
    pub fn parse<'a>(given: impl Fn(Key) -> Option<&'a str>) -> Result<Self, Fault> {
        let settings = Self::read(given)?;
        settings.contradiction()?;
        Ok(settings)
    }

    fn read<'a>(given: impl Fn(Key) -> Option<&'a str>) -> Result<Self, Fault> {
        let mut settings = Self::default();
        let trip = &mut settings.trip;
        let other_rule =
            [Key::FailureRate, Key::SlowRate, Key::FailureBudget].into_iter().any(|key| given(key).is_some());
        match given(Key::Threshold) {
            Some(text) => trip.threshold = NonZeroU32::new(count(text, 0, u32::MAX).at(Key::Threshold)?),
            None if other_rule => trip.threshold = None,
            None => {}
        }
        trip.failure_rate = read(&given, Key::FailureRate, |text| percent(text, 1))?;
        trip.slow_rate = read(&given, Key::SlowRate, |text| percent(text, 1))?;
        trip.budget = read(&given, Key::FailureBudget, parse_budget)?;
        set(&mut trip.window, read(&given, Key::Window, parse_window)?);
        set(&mut trip.min_calls, read(&given, Key::MinCalls, |text| count(text, 1, u32::MAX))?);
        settings.slow_after = read(&given, Key::SlowAfter, parse_duration)?;
        set(&mut settings.cooldown, read(&given, Key::Cooldown, parse_duration)?);
        set(&mut settings.backoff, read(&given, Key::Backoff, parse_backoff)?);
        settings.max_cooldown = read(&given, Key::MaxCooldown, parse_duration)?;
        set(&mut settings.jitter, read(&given, Key::Jitter, |text| percent(text, 0))?);
        set(&mut settings.probes, read(&given, Key::Probes, |text| count(text, 1, MOST_PROBES))?);
        set(&mut settings.probe_successes, read(&given, Key::ProbeSuccesses, |text| count(text, 1, u32::MAX))?);
        set(&mut settings.probe_failures, read(&given, Key::ProbeFailures, |text| count(text, 1, u32::MAX))?);
        settings.lease = read(&given, Key::Lease, parse_duration)?;
        let listed: Vec<_> = CODE_KEYS.iter().filter_map(|&(key, class)| Some((class, given(key)?))).collect();
        if !listed.is_empty() {
            let key = |class| CODE_KEYS.iter().find(|pair| pair.1 == class).map_or(Key::TripCodes, |pair| pair.0);
            settings.codes = Codes::parse(&listed)
                .map_err(|(class, message, other)| Fault { with: other.map(key), ..Fault::new(key(class), message) })?;
        }
        Ok(settings)
    }

    /// What cannot be meant together.
    fn contradiction(&self) -> Result<(), Fault> {
        let trip = &self.trip;
        if trip.slow_rate.is_some() && self.slow_after.is_none() {
            return Err(Fault::new(
                Key::SlowRate,
                "it needs slow-after, which says from what duration on a run is slow",
            ));
        }
        if let Some(max) = self.max_cooldown
            && max < self.cooldown
        {
            let (max, cooldown) = (format_duration(max), format_duration(self.cooldown));
            let message = format!("{max} is shorter than the cooldown of {cooldown}");
            return Err(Fault::new(Key::MaxCooldown, message).against(Key::Cooldown));
        }
        let no_rule = trip.threshold.is_none() && trip.failure_rate.is_none() && trip.slow_rate.is_none();
        if no_rule && trip.budget.is_none() && self.codes.list(Class::Trip).is_none() {
            let message = "0 switches off the only rule, so the breaker could never open; \
                           give failure-rate, slow-rate or failure-budget, or a threshold";
            return Err(Fault::new(Key::Threshold, message));
        }
        Ok(())
    }

    /// A breaker's setting as it could be written again; `None` where it has its built-in value.
    pub fn text(&self, key: Key) -> Option<String> {
        self.written(key, format_duration)
    }

    /// The same, with lengths of time written as `time` does.
    fn written(&self, key: Key, time: fn(Duration) -> String) -> Option<String> {
        let plain = Self::default();
        let trip = &self.trip;
        let differs = |value: u32, default: u32| (value != default).then(|| value.to_string());
        let percent = |value: u8| format!("{value}%");
        match key {
            Key::Threshold => {
                // Any other rule switches it off unless it is given.
                let other_rule = trip.failure_rate.is_some() || trip.slow_rate.is_some() || trip.budget.is_some();
                let unsaid = plain.trip.threshold.filter(|_| !other_rule);
                let number = |threshold: Option<NonZeroU32>| threshold.map_or(0, NonZeroU32::get);
                differs(number(trip.threshold), number(unsaid))
            }
            Key::FailureRate => trip.failure_rate.map(percent),
            Key::SlowRate => trip.slow_rate.map(percent),
            Key::Window if trip.window == plain.trip.window => None,
            Key::Window => Some(match trip.window {
                Window::Calls(calls) => calls.to_string(),
                Window::Time(span) => time(span),
            }),
            Key::MinCalls => differs(trip.min_calls, plain.trip.min_calls),
            Key::FailureBudget => trip.budget.map(|budget| format!("{}/{}", budget.failures, time(budget.within))),
            Key::SlowAfter => self.slow_after.map(time),
            Key::Cooldown => (self.cooldown != plain.cooldown).then(|| time(self.cooldown)),
            Key::Backoff => (self.backoff != plain.backoff).then(|| self.backoff_text()),
            Key::MaxCooldown => self.max_cooldown.map(time),
            Key::Jitter => (self.jitter != plain.jitter).then(|| percent(self.jitter)),
            Key::Probes => differs(self.probes.into(), plain.probes.into()),
            Key::ProbeSuccesses => differs(self.probe_successes, plain.probe_successes),
            Key::ProbeFailures => differs(self.probe_failures, plain.probe_failures),
            Key::Lease => self.lease.map(time),
            _ => CODE_KEYS.iter().find(|pair| pair.0 == key).and_then(|pair| self.codes.list(pair.1)),
        }
    }

    /// The back-off as a decimal number, `1.5`.
    pub fn backoff_text(&self) -> String {
        let (whole, fraction) = (self.backoff / 1_000_000, self.backoff % 1_000_000);
        let text = format!("{whole}.{fraction:06}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    /// How long the breaker stays open when it has been reopened `reopened` times in a row, before jitter.
    ///
    /// A float is exact enough for a length of time to the millisecond, and cannot overflow. But it can become infinite,
    /// and no cool-down at all times infinity would be no number.
    pub fn cooldown_after(&self, reopened: u32) -> Duration {
        let growth = (f64::from(self.backoff) / 1e6).powi(i32::try_from(reopened).unwrap_or(i32::MAX)).min(f64::MAX);
        let grown = Duration::try_from_secs_f64(self.cooldown.as_secs_f64() * growth).unwrap_or(LONGEST);
        let nearest = (grown.min(LONGEST) + Duration::from_micros(500)).as_millis();
        u64::try_from(nearest).map_or(LONGEST, Duration::from_millis).min(self.longest_cooldown())
    }

    /// How far the cool-down grows, before jitter.
    pub fn longest_cooldown(&self) -> Duration {
        self.max_cooldown.unwrap_or(self.cooldown.max(Duration::from_secs(3_600)))
    }
}

const CODE_KEYS: [(Key, Class); 4] = [
    (Key::SuccessCodes, Class::Success),
    (Key::FailureCodes, Class::Failure),
    (Key::IgnoreCodes, Class::Ignored),
    (Key::TripCodes, Class::Trip),
];

/// How long a child may run and what ends it, as GNU `timeout` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long any child may run; `None` is for ever.
    pub timeout: Option<Duration>,
    /// How long a probe's child may run, in place of `timeout`.
    pub probe_timeout: Option<Duration>,
    /// How long after the signal SIGKILL follows; `None` is never.
    pub kill_after: Option<Duration>,
    /// The signal that ends it.
    pub signal: i32,
    /// Return the child's status even when its time was over.
    pub preserve_status: bool,
    /// Leave the child in the caller's process group and signal it alone.
    pub foreground: bool,
}

impl Limits {
    /// No limits.
    pub const NONE: Self = Self {
        timeout: None,
        probe_timeout: None,
        kill_after: None,
        signal: libc::SIGTERM,
        preserve_status: false,
        foreground: false,
    };

    /// The time limit of a run.
    pub fn limit(&self, probe: bool) -> Option<Duration> {
        self.probe_timeout.filter(|_| probe).or(self.timeout)
    }

    /// How long a probe keeps its place: what `lease` says, else its limit + `kill-after` + 10 s, without a limit 1 h.
    pub fn lease(&self, settings: &Settings) -> Duration {
        settings.lease.unwrap_or_else(|| match self.limit(true) {
            Some(limit) => limit + self.kill_after.unwrap_or_default() + Duration::from_secs(10),
            None => Duration::from_secs(3_600),
        })
    }

    /// The limits that `given` says.
    ///
    /// # Errors
    /// The first setting that cannot be read, or a lease that a probe would outlive.
    pub fn parse<'a>(given: impl Fn(Key) -> Option<&'a str>, settings: &Settings) -> Result<Self, Fault> {
        // A limit of 0 is none, as for GNU timeout.
        let limit = |key| Ok(read(&given, key, parse_duration)?.filter(|limit| !limit.is_zero()));
        let limits = Self {
            timeout: limit(Key::Timeout)?,
            probe_timeout: limit(Key::ProbeTimeout)?,
            kill_after: limit(Key::KillAfter)?,
            signal: read(&given, Key::Signal, parse_signal)?.unwrap_or(libc::SIGTERM),
            preserve_status: read(&given, Key::PreserveStatus, parse_flag)?.unwrap_or(false),
            foreground: read(&given, Key::Foreground, parse_flag)?.unwrap_or(false),
        };
        if settings.lease.is_some_and(|lease| lease.is_zero()) {
            let message = "a probe without a place would be no probe; give it longer than it runs, like 1m";
            return Err(Fault::new(Key::Lease, message));
        }
        if let (Some(lease), Some(limit)) = (settings.lease, limits.limit(true))
            && lease <= limit
        {
            let (lease, limit) = (format_duration(lease), format_duration(limit));
            let message = format!(
                "{lease} is not longer than the {limit} that a probe may run, so its place would be given away"
            );
            let by = if limits.probe_timeout.is_some() { Key::ProbeTimeout } else { Key::Timeout };
            return Err(Fault::new(Key::Lease, message).against(by));
        }
        Ok(limits)
    }
}

/// Why no run under these settings could ever open the breaker, if that is so.
///
/// It is for runs alone: who reports `failure` by hand has said what it is.
///
/// # Errors
/// The list of codes at fault.
pub fn can_open(settings: &Settings, limits: &Limits) -> Result<(), Fault> {
    if settings.codes == Codes::default() {
        return Ok(());
    }
    let trip = &settings.trip;
    let by_failures = trip.threshold.is_some() || trip.failure_rate.is_some() || trip.budget.is_some();
    let opens = |timed| {
        let (fails, trips) = settings.codes.can_fail(timed);
        by_failures && fails || trips
    };
    if trip.slow_rate.is_some() || opens(limits.timeout.is_some()) {
        return Ok(());
    }
    let blamed = [Key::FailureCodes, Key::TripCodes, Key::IgnoreCodes, Key::SuccessCodes];
    let given = |key: &Key| CODE_KEYS.iter().any(|pair| pair.0 == *key && settings.codes.list(pair.1).is_some());
    let key = if by_failures { blamed.into_iter().find(given) } else { None }.unwrap_or(Key::TripCodes);
    let (when, cure) = if opens(true) { ("without timeout ", "give timeout, or ") } else { ("", "") };
    let message =
        format!("{when}no run can end like that, so the breaker could never open; {cure}list an exit code or a signal");
    Err(Fault::new(key, message))
}

/// What to do when the state cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnStateError {
    /// Run the command all the same, unguarded.
    Run,
    /// Exit 125 and do not run it.
    Refuse,
}

/// What a run does beside guarding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conduct {
    /// The exit code of a refusal.
    pub open_exit_code: u8,
    /// What to do when the state cannot be used.
    pub on_state_error: OnStateError,
    /// The shell command to run when refused.
    pub fallback: Option<String>,
    /// The shell command to run when the breaker changed.
    pub on_change: Option<String>,
}

impl Conduct {
    /// The conduct that `given` says.
    ///
    /// # Errors
    /// The first setting that cannot be read.
    pub fn parse<'a>(given: impl Fn(Key) -> Option<&'a str>) -> Result<Self, Fault> {
        let command = |key| {
            let text = given(key).filter(|text| !text.is_empty());
            let nul = text.is_some_and(|text| text.contains('\0'));
            if nul { Err(Fault::new(key, "a command cannot contain a NUL byte")) } else { Ok(text.map(str::to_owned)) }
        };
        Ok(Self {
            open_exit_code: read(&given, Key::OpenExitCode, |text| count(text, 0, u8::MAX))?.unwrap_or(exit::REFUSED),
            on_state_error: read(&given, Key::OnStateError, |text| match text {
                "run" => Ok(OnStateError::Run),
                "refuse" => Ok(OnStateError::Refuse),
                _ => Err(format!("'{}' is not known; write run or refuse", text.escape_debug())),
            })?
            .unwrap_or(OnStateError::Run),
            fallback: command(Key::Fallback)?,
            on_change: command(Key::OnChange)?,
        })
    }
}

/// What holds for a setting that nobody gave, as it could be written; `None` where that is nothing at all.
///
/// What depends on others is said as it follows from `settings`.
pub fn built_in(key: Key, settings: &Settings) -> Option<String> {
    Some(match key {
        Key::Threshold => settings.trip.threshold.map_or(0, NonZeroU32::get).to_string(),
        Key::Window => "20".to_owned(),
        Key::MinCalls => "10".to_owned(),
        Key::Cooldown => "30s".to_owned(),
        Key::Backoff | Key::Probes | Key::ProbeSuccesses | Key::ProbeFailures => "1".to_owned(),
        Key::MaxCooldown => format_duration(settings.longest_cooldown()),
        Key::Jitter => "0%".to_owned(),
        Key::Signal => "TERM".to_owned(),
        Key::PreserveStatus | Key::Foreground => "false".to_owned(),
        Key::OpenExitCode => exit::REFUSED.to_string(),
        Key::OnStateError => "run".to_owned(),
        _ => return None,
    })
}

/// Reads one setting by itself, for what is wrong with it whatever else holds.
///
/// # Errors
/// It cannot be read.
pub fn check(key: Key, text: &str) -> Result<(), Fault> {
    let given = |asked| (asked == key).then_some(text);
    Settings::read(given)?;
    Limits::parse(given, &Settings::default())?;
    Conduct::parse(given)?;
    Ok(())
}

/// Reads one setting if it was given, and says of a bad one which it is.
fn read<'a, T>(
    given: impl Fn(Key) -> Option<&'a str>,
    key: Key,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, Fault> {
    given(key).map(|text| parse(text).at(key)).transpose()
}

trait At<T> {
    fn at(self, key: Key) -> Result<T, Fault>;
}

impl<T> At<T> for Result<T, String> {
    fn at(self, key: Key) -> Result<T, Fault> {
        self.map_err(|message| Fault::new(key, message))
    }
}

fn set<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}

fn count<T: TryFrom<u64> + Into<u64> + Copy>(text: &str, least: u64, most: T) -> Result<T, String> {
    let most = most.into();
    // The standard library would take a plus sign as well.
    let number = if digits(text) { text.parse().ok() } else { None };
    let number = number.filter(|number| (least..=most).contains(number)).and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| format!("'{}' is not a whole number from {least} to {most}", text.escape_debug()))
}

/// Whether a text is a whole number without a sign, or empty.
fn digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn percent(text: &str, least: u64) -> Result<u8, String> {
    let number = text.strip_suffix('%').unwrap_or(text);
    count(number, least, 100_u8).map_err(|_| {
        let shown = text.escape_debug();
        match number.parse::<f64>() {
            Ok(ratio) if ratio > 0.0 && ratio < 1.0 => {
                format!(
                    "'{shown}' is not a whole number of per cent; did you mean {}%?",
                    (ratio * 100.0).round().max(1.0)
                )
            }
            _ => format!("'{shown}' is not a whole number of per cent from {least} to 100; write 50 or 50%"),
        }
    })
}

fn parse_window(text: &str) -> Result<Window, String> {
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
    match parse_duration(text)? {
        span if span.is_zero() => Err("a window of no time holds no result; write one like 5m".to_owned()),
        span => Ok(Window::Time(span)),
    }
}

fn parse_budget(text: &str) -> Result<Budget, String> {
    let Some((failures, within)) = text.split_once('/') else {
        return Err(format!("'{}' is not a budget; write failures/duration like 3/1h", text.escape_debug()));
    };
    let budget = Budget { failures: count(failures, 1, MOST_BUDGET)?, within: parse_duration(within)? };
    if budget.within.is_zero() {
        return Err("a budget over no time holds no failure; write failures/duration like 3/1h".to_owned());
    }
    Ok(budget)
}

fn parse_backoff(text: &str) -> Result<u32, String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let millionths = if digits(whole) && digits(fraction) && fraction.len() <= 6 {
        format!("{whole}{fraction:0<6}").parse().ok()
    } else {
        None
    };
    millionths.filter(|factor| (1_000_000..=100_000_000).contains(factor)).ok_or_else(|| {
        format!("'{}' is not a factor from 1 to 100, like 2 or 1.5 (at most 6 decimals)", text.escape_debug())
    })
}

fn parse_signal(text: &str) -> Result<i32, String> {
    // As for kill(2), 0 sends nothing.
    if text == "0" {
        return Ok(0);
    }
    signals::number(text).or_else(|| signals::number(&format!("SIG{text}"))).map(i32::from).ok_or_else(|| {
        format!("'{}' is not a signal; write a name like TERM or a number from 0 to 64", text.escape_debug())
    })
}

fn parse_flag(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("'{}' is neither true nor false", text.escape_debug())),
    }
}

/// In the state a setting is its letter, from `A` in the order of [`Key::ALL`], and its text. `z` is never given away.
const FIRST_LETTER: u8 = b'A';

impl Serialize for Settings {
    /// Only what differs from the built-in values; the code lists packed, since as text they would be too long.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut words = Vec::new();
        for (key, letter) in Key::ALL[..=Key::Lease as usize].iter().map(|pair| pair.0).zip(FIRST_LETTER..) {
            if let Some(text) = self.written(key, |span| format!("{}ms", millis(span))) {
                words.push(format!("{}{text}", char::from(letter)));
            }
        }
        let codes = (self.codes != Codes::default()).then(|| pack::digits(self.codes.to_numbers(), Codes::KINDS));
        (words.join(" "), codes.unwrap_or_default()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Settings {
    /// What cannot be read, of a version with other settings or other values, has its built-in value: it must not cost
    /// the state. Nor is it judged whether the settings agree.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (words, codes) = <(String, String)>::deserialize(deserializer)?;
        let mut words: Vec<&str> = words.split(' ').collect();
        let letter = |key| char::from(FIRST_LETTER + key as u8);
        let settings = loop {
            let given = |key| words.iter().find_map(|word| word.strip_prefix(letter(key)));
            match Self::read(|key| if key <= Key::Lease { given(key) } else { None }) {
                Ok(settings) => break settings,
                // A fault is of a key that was given, so each turn leaves fewer words, at most one turn for each key.
                Err(fault) => words.retain(|word| !word.starts_with(letter(fault.key))),
            }
        };
        let codes = pack::undigits(&codes, Codes::KINDS).and_then(|numbers| Codes::from_numbers(&numbers));
        Ok(Self { codes: codes.unwrap_or_default(), ..settings })
    }
}

#[cfg(test)]
mod tests;

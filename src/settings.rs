//! PURE. The settings of a run: how its breaker decides, how long its child may run, what else it does.
//!
//! A setting is text on the command line, in `config.toml` and in the state. Its row in [`rows`] turns that text into a
//! type and back; [`Setup::judge`] judges all settings together.

mod rows;

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use regex::bytes::{Regex, RegexBuilder};

pub use self::rows::{Key, Stored, Value};
use crate::exit;
use crate::outcome::{CodeList, Codes, End, Outcome, Stopped};
use crate::time::{LONGEST, format_duration};

/// All settings of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// How the breaker decides.
    pub breaker: Settings,
    /// How long the child may run, and what ends it.
    pub limits: TimeLimits,
    /// What else the run does.
    pub run: RunSettings,
}

/// The built-in defaults.
static BUILT_IN: Setup = Setup { breaker: Settings::BUILT_IN, limits: TimeLimits::NONE, run: RunSettings::BUILT_IN };

impl Default for Setup {
    fn default() -> Self {
        BUILT_IN.clone()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::BUILT_IN
    }
}

impl Setup {
    /// The settings in `given`, with the defaults for the others, and all faults: first settings that cannot be read,
    /// then contradictions between settings that can.
    pub fn judge<'a>(given: impl Fn(Key) -> Option<&'a str>) -> (Self, Vec<Fault>) {
        let mut setup = Self::default();
        let mut faults = Vec::new();
        for key in Key::all() {
            if let Some(text) = given(key) {
                faults.extend(key.read(&mut setup, text).err());
            }
        }
        let unreadable: Vec<Key> = faults.iter().map(|fault| fault.key).collect();
        let readable = |keys: &[Key]| !keys.iter().any(|key| unreadable.contains(key));
        let listed: Vec<_> = CODE_KEYS.iter().filter_map(|&(key, class)| Some((class, given(key)?))).collect();
        if !listed.is_empty() && readable(&CODE_KEYS.map(|pair| pair.0)) {
            let key = |class| CODE_KEYS.iter().find(|pair| pair.1 == class).map_or(Key::TripCodes, |pair| pair.0);
            match Codes::parse(&listed) {
                Ok(codes) => setup.breaker.codes = codes,
                Err(found) => {
                    faults.extend(found.into_iter().map(|fault| Fault {
                        with: fault.other.map(key),
                        ..Fault::new(key(fault.list), fault.message)
                    }));
                }
            }
        }
        setup.breaker.complete(given(Key::Threshold).is_some());
        let contradictions = setup.breaker.contradictions().into_iter().chain(setup.contradiction().err());
        let contradictions = contradictions.filter(|fault| fault.key != Key::Threshold || !setup.opens_by_answers());
        faults.extend(contradictions.filter(|fault| readable(fault.key.judged_by())));
        (setup, faults)
    }

    /// As [`Self::judge`], for text that another version may have written: a setting that cannot be read counts as not
    /// given, and contradictions are no fault.
    pub fn read<'a>(given: impl Fn(Key) -> Option<&'a str>) -> Self {
        let mut setup = Self::default();
        let mut threshold_given = false;
        for key in Key::all() {
            let read = given(key).is_some_and(|text| key.read(&mut setup, text).is_ok());
            threshold_given |= read && key == Key::Threshold;
        }
        setup.breaker.complete(threshold_given);
        setup
    }

    /// Whether an answer may open the breaker by itself, as it says for how long.
    fn opens_by_answers(&self) -> bool {
        self.run.http.is_some() && !self.breaker.max_retry_after.is_zero()
    }

    /// A setting that every command must refuse, not only a run.
    fn contradiction(&self) -> Result<(), Fault> {
        if self.breaker.lease.is_some_and(|lease| lease.is_zero()) {
            let message = "a probe without a place would be no probe; give it longer than it runs, like 1m";
            return Err(Fault::new(Key::Lease, message));
        }
        Ok(())
    }

    /// Checks what only a run must refuse. A command that starts nothing has no time limit, and reports any outcome.
    ///
    /// # Errors
    /// The setting at fault.
    pub fn suits_a_run(&self) -> Result<(), Fault> {
        self.faults_of_a_run().next().map_or(Ok(()), Err)
    }

    /// All settings that a run must refuse.
    pub fn faults_of_a_run(&self) -> impl Iterator<Item = Fault> {
        let healthy = self.is_ended_before_it_is_healthy();
        [self.outlives_its_place(), self.can_open()].into_iter().filter_map(Result::err).chain(healthy)
    }

    /// Checks that a probe keeps its place until its command has been ended.
    fn outlives_its_place(&self) -> Result<(), Fault> {
        let limits = &self.limits;
        let longest = limits.limit(true).map(|limit| limit + limits.kill_after.unwrap_or_default());
        let Some((lease, longest)) = self.breaker.lease.zip(longest).filter(|(lease, longest)| lease <= longest) else {
            return Ok(());
        };
        let (lease, longest) = (format_duration(lease), format_duration(longest));
        let with = if limits.kill_after.is_some() { ", kill-after included" } else { "" };
        let message = format!(
            "{lease} is not longer than the {longest} that a probe may run{with}, so its place would be given away"
        );
        let by = if limits.probe_timeout.is_some() { Key::ProbeTimeout } else { Key::Timeout };
        Err(Fault::new(Key::Lease, message).against(by))
    }

    /// What would end each run, or give its place away, before it is healthy.
    fn is_ended_before_it_is_healthy(&self) -> Vec<Fault> {
        let Self { breaker, limits, run } = self;
        let Some(after) = run.healthy_after else { return Vec::new() };
        let bounds =
            [(Key::Timeout, limits.timeout), (Key::ProbeTimeout, limits.probe_timeout), (Key::Lease, breaker.lease)];
        // A limit of 0 is none, and a lease of 0 is told elsewhere.
        let bounds = bounds.map(|(key, bound)| (key, bound.filter(|bound| !bound.is_zero())));
        let short = bounds.into_iter().filter_map(|(key, bound)| Some((key, bound.filter(|bound| *bound <= after)?)));
        let fault = |(key, bound): (Key, Duration)| {
            let (bound, after) = (format_duration(bound), format_duration(after));
            let message =
                format!("{bound} is not longer than healthy-after, which is {after}: it would never be healthy");
            Fault::new(key, message).against(Key::HealthyAfter)
        };
        short.map(fault).collect()
    }

    /// How long a probe keeps its place: what `lease` says, else its limit + `kill-after` + 10 s, without a limit 1 h or as
    /// long as it takes to be healthy.
    pub fn lease(&self) -> Duration {
        const MARGIN: Duration = Duration::from_secs(10);
        self.breaker.lease.unwrap_or_else(|| match self.limits.limit(true) {
            Some(limit) => limit + self.limits.kill_after.unwrap_or_default() + MARGIN,
            None => Duration::from_secs(3_600).max(self.run.healthy_after.unwrap_or_default() + MARGIN),
        })
    }

    /// Checks that some run can open the breaker.
    ///
    /// This concerns runs alone, as `cb record failure` opens it whatever the lists say.
    ///
    /// # Errors
    /// The list of codes at fault.
    fn can_open(&self) -> Result<(), Fault> {
        let settings = &self.breaker;
        if settings.codes == Codes::default() {
            return Ok(());
        }
        let trip = &settings.trip;
        let by_failures = trip.threshold.is_some() || trip.failure_rate.is_some() || trip.budget.is_some();
        let opens = |timed| {
            let (fails, trips) =
                settings.codes.can_fail(timed, self.run.http.is_some() || self.run.failure_output.is_some());
            by_failures && (fails || settings.count_stopped) || trips || fails && self.opens_by_answers()
        };
        if trip.slow_rate.is_some() || opens(self.limits.timeout.is_some()) {
            return Ok(());
        }
        let blamed = [Key::FailureCodes, Key::TripCodes, Key::IgnoreCodes, Key::SuccessCodes];
        let given = |key: &Key| CODE_KEYS.iter().any(|pair| pair.0 == *key && settings.codes.list(pair.1).is_some());
        let key = if by_failures { blamed.into_iter().find(given) } else { None }.unwrap_or(Key::TripCodes);
        let (when, cure) = if opens(true) { ("without timeout ", "give timeout, or ") } else { ("", "") };
        let message = format!(
            "{when}no run can end like that, so the breaker could never open; {cure}list an exit code or a signal"
        );
        Err(Fault::new(key, message))
    }
}

impl Key {
    /// The other settings that decide whether this one makes sense.
    fn judged_by(self) -> &'static [Self] {
        match self {
            Self::Threshold => &[Self::FailureRate, Self::SlowRate, Self::FailureBudget, Self::TripCodes],
            Self::SlowRate => &[Self::SlowAfter],
            Self::MaxCooldown => &[Self::MaxCooldown, Self::Cooldown],
            Self::Lease => &[Self::Lease, Self::Timeout, Self::ProbeTimeout, Self::KillAfter],
            _ => &[],
        }
    }
}

/// An impossible setting, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The setting.
    pub key: Key,
    /// What is wrong with it, and what would be right.
    pub message: String,
    /// The other setting, which it contradicts.
    pub with: Option<Key>,
}

impl Fault {
    fn new(key: Key, message: impl Into<String>) -> Self {
        Self { key, message: message.into(), with: None }
    }

    /// The same fault, of a setting that only the other one makes wrong.
    fn against(self, other: Key) -> Self {
        Self { with: Some(other), ..self }
    }
}

/// The results over which a rate is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The last so many results.
    Calls(u16),
    /// The results of this much time before now.
    Time(Duration),
}

/// The largest count window.
pub const MOST_CALLS: u16 = 1_000;
/// The most failures of a budget.
pub const MOST_BUDGET: u8 = 100;
/// The most probes at once.
pub const MOST_PROBES: u8 = 16;

/// A failure budget: so many failures within so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How many failures open the breaker.
    pub failures: u8,
    /// Within how much time.
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
    /// Rates are judged once the window holds this many results.
    pub min_calls: u32,
    /// So many failures within so much time.
    pub budget: Option<Budget>,
}

impl TripRules {
    /// Whether any rule but `threshold` is set.
    fn has_other_rule(&self) -> bool {
        self.failure_rate.is_some() || self.slow_rate.is_some() || self.budget.is_some()
    }

    /// How many results the window must hold before a rate is judged: a count window at most all it can hold.
    pub fn enough(&self) -> u32 {
        match self.window {
            Window::Calls(calls) => self.min_calls.min(calls.into()),
            Window::Time(_) => self.min_calls,
        }
    }
}

/// The settings of a breaker. Each run judges by its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// When to open.
    pub trip: TripRules,
    /// A run that takes at least this long is slow.
    pub slow_after: Option<Duration>,
    /// How long to stay open, the first time.
    pub cooldown: Duration,
    /// By how much the cool-down grows with each reopening in a row, in millionths (`1.5` is 1,500,000).
    pub backoff: u32,
    /// The longest cool-down, if given.
    pub max_cooldown: Option<Duration>,
    /// How long the breaker must stay closed for the cool-down to begin anew.
    pub backoff_reset: Duration,
    /// By how much the cool-down is lengthened at random, at most, in per cent (0 to 100).
    pub jitter: u8,
    /// Over how long runs are let in step by step once the breaker has recovered.
    pub ramp: Duration,
    /// How many probes may run at once.
    pub probes: u8,
    /// How many of them must succeed to close.
    pub probe_successes: u32,
    /// How many of them must fail to open again.
    pub probe_failures: u32,
    /// How long a probe keeps its place, if given.
    pub lease: Option<Duration>,
    /// For how long the breaker opens at most because a run says so, by a Retry-After or a report of its own.
    pub max_retry_after: Duration,
    /// What counts as what.
    pub codes: Codes,
    /// Whether a run that TERM or SIGKILL to `cb` has ended is a failure.
    pub count_stopped: bool,
}

impl Settings {
    /// The built-in defaults.
    pub const BUILT_IN: Self = Self {
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
        backoff_reset: Duration::ZERO,
        jitter: 0,
        ramp: Duration::ZERO,
        probes: 1,
        probe_successes: 1,
        probe_failures: 1,
        lease: None,
        max_retry_after: Duration::from_secs(3_600),
        codes: Codes::NONE,
        count_stopped: false,
    };

    /// What an end counts as, and whether it opens the breaker at once; `answered` is what an answer says of the service.
    pub fn judge(&self, end: End, stopped: Stopped, answered: Option<Outcome>) -> (Outcome, bool) {
        match stopped {
            // That it was stopped is decided before any list of codes is looked at.
            Stopped::ByTerm if self.count_stopped && end != End::Exit(0) => (Outcome::Failure, false),
            _ => self.codes.judge(end, stopped != Stopped::Not, answered),
        }
    }

    /// The settings of a breaker and their values, for people: with all that counts as a failure.
    pub fn shown(&self) -> impl Iterator<Item = (Key, Value)> {
        self.values().map(|(key, value)| match key {
            Key::FailureCodes => (key, Value::Word(self.codes.failures())),
            _ => (key, value),
        })
    }

    /// The settings of a breaker and their values.
    fn values(&self) -> impl Iterator<Item = (Key, Value)> {
        let setup = self.alone();
        Key::all().filter(|key| key.stored() != Stored::Not).map(move |key| (key, key.value(&setup)))
    }

    /// Those of [`Self::shown`] that differ from their defaults.
    pub fn shown_given(&self) -> impl Iterator<Item = (Key, Value)> {
        let setup = self.alone();
        self.shown().filter(move |(key, value)| *value != key.default(&setup))
    }

    /// Those settings that differ from their defaults.
    pub fn given(&self) -> impl Iterator<Item = (Key, Value)> {
        let setup = self.alone();
        self.values().filter(move |(key, value)| *value != key.default(&setup))
    }

    fn alone(&self) -> Setup {
        Setup { breaker: self.clone(), ..Setup::default() }
    }

    /// Settles the settings whose default depends on others.
    fn complete(&mut self, threshold_given: bool) {
        if self.trip.has_other_rule() && !threshold_given {
            self.trip.threshold = None;
        }
        // To give the default is to give nothing.
        let default = self.default_longest_cooldown();
        self.max_cooldown = self.max_cooldown.filter(|max| *max != default);
    }

    /// The settings that contradict others.
    fn contradictions(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let trip = &self.trip;
        if trip.slow_rate.is_some() && self.slow_after.is_none() {
            faults
                .push(Fault::new(Key::SlowRate, "it needs slow-after, which says from what duration on a run is slow"));
        }
        if let Some(max) = self.max_cooldown.filter(|max| *max < self.cooldown) {
            let (max, cooldown) = (format_duration(max), format_duration(self.cooldown));
            let message = format!("{max} is shorter than the cooldown of {cooldown}");
            faults.push(Fault::new(Key::MaxCooldown, message).against(Key::Cooldown));
        }
        let no_rule = trip.threshold.is_none() && !trip.has_other_rule();
        if no_rule && self.codes.list(CodeList::Trip).is_none() {
            let message = "0 switches off the only rule, so the breaker could never open; \
                           give failure-rate, slow-rate or failure-budget, or a threshold";
            faults.push(Fault::new(Key::Threshold, message));
        }
        faults
    }

    /// The fault of a window without a rate.
    pub fn idle_window(&self) -> Option<Fault> {
        let idle = self.trip.failure_rate.is_none() && self.trip.slow_rate.is_none();
        let message = "it is the window of failure-rate and slow-rate, and neither is set; \
                       for 3 failures in 5 minutes write --failure-budget 3/5m";
        idle.then(|| Fault::new(Key::Window, message))
    }

    /// How long the breaker stays open when it has been reopened `reopened` times in a row, before jitter.
    ///
    /// A float is exact to the millisecond here, and does not overflow. But it can become infinite, and a cool-down of
    /// zero times infinity would be no number.
    pub fn cooldown_after(&self, reopened: u32) -> Duration {
        let growth = (f64::from(self.backoff) / 1e6).powi(i32::try_from(reopened).unwrap_or(i32::MAX)).min(f64::MAX);
        let grown = Duration::try_from_secs_f64(self.cooldown.as_secs_f64() * growth).unwrap_or(LONGEST);
        let nearest = (grown.min(LONGEST) + Duration::from_micros(500)).as_millis();
        u64::try_from(nearest).map_or(LONGEST, Duration::from_millis).min(self.longest_cooldown())
    }

    /// For how long a run that says `away` keeps others away. Zero is as nothing said: a service that says so does not mean
    /// to be asked the harder.
    pub fn stays_away(&self, away: Option<Duration>) -> Option<Duration> {
        away.map(|away| away.min(self.max_retry_after)).filter(|away| !away.is_zero())
    }

    /// The longest cool-down, before jitter.
    pub fn longest_cooldown(&self) -> Duration {
        self.max_cooldown.unwrap_or(self.default_longest_cooldown())
    }

    fn default_longest_cooldown(&self) -> Duration {
        self.cooldown.max(LONGEST_COOLDOWN)
    }
}

/// The default longest cool-down, unless the first is longer.
const LONGEST_COOLDOWN: Duration = Duration::from_secs(3_600);

const CODE_KEYS: [(Key, CodeList); 4] = [
    (Key::SuccessCodes, CodeList::Success),
    (Key::FailureCodes, CodeList::Failure),
    (Key::IgnoreCodes, CodeList::Ignored),
    (Key::TripCodes, CodeList::Trip),
];

/// How long a child may run and what ends it, as in GNU `timeout`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeLimits {
    /// How long any child may run; `None` is for ever.
    pub timeout: Option<Duration>,
    /// How long a probe's child may run, in place of `timeout`; no time at all is for ever, as it was given.
    pub probe_timeout: Option<Duration>,
    /// How long after the signal SIGKILL is sent; `None` is never.
    pub kill_after: Option<Duration>,
    /// The signal that ends the child.
    pub signal: i32,
    /// Return the child's status even after a timeout.
    pub preserve_status: bool,
    /// Leave the child in the caller's process group, and signal only the child.
    pub foreground: bool,
}

impl TimeLimits {
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
        self.probe_timeout.filter(|_| probe).or(self.timeout).filter(|limit| !limit.is_zero())
    }
}

/// What to do when the state cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnStateError {
    /// Run the command unguarded.
    Run,
    /// Exit 125 and do not run it.
    Refuse,
}

impl OnStateError {
    /// The word for it.
    fn word(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Refuse => "refuse",
        }
    }
}

/// When the fallback is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FallbackOn {
    /// When the run is refused.
    Refused,
    /// Also when it has failed.
    Failure,
}

impl FallbackOn {
    /// The word for it.
    fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Failure => "failure",
        }
    }
}

/// A regular expression for a line of output: bytes, in which letters are those of ASCII.
#[derive(Clone, Debug)]
pub struct OutputPattern(Regex);

impl OutputPattern {
    /// The most bytes that one may have.
    const LONGEST: usize = 200;
    /// The most memory that one may take, in bytes.
    const LARGEST: usize = 1 << 20;

    /// Whether it matches anywhere in a line.
    pub fn matches(&self, line: &[u8]) -> bool {
        self.0.is_match(line)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for OutputPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > Self::LONGEST {
            return Err(format!("{} bytes are too many, at most {} fit", text.len(), Self::LONGEST));
        }
        let regex = RegexBuilder::new(text).unicode(false).size_limit(Self::LARGEST).build();
        regex.map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => format!("'{text}' would take too much memory; repeat less in it"),
            // The last of its lines says what is wrong; those before it point at it.
            other => {
                let told = other.to_string();
                let what = told.lines().last().unwrap_or_default().trim_start_matches("error: ");
                format!("'{text}' is not a regular expression: {what}")
            }
        })
    }
}

impl PartialEq for OutputPattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for OutputPattern {}

/// What else a run does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSettings {
    /// The descriptor under which the child finds a file for the headers of HTTP answers; `None` where it is not judged by
    /// these.
    pub http: Option<u8>,
    /// The exit code of a refusal.
    pub open_exit_code: u8,
    /// What to do when the state cannot be used.
    pub on_state_error: OnStateError,
    /// Decide and count, but run the command even where it is refused.
    pub observe: bool,
    /// A line of output that makes it a failure.
    pub failure_output: Option<OutputPattern>,
    /// The shell command to run when refused.
    pub fallback: Option<String>,
    /// When else to run it.
    pub fallback_on: FallbackOn,
    /// The shell command to run when the breaker changed.
    pub on_change: Option<String>,
    /// Print remarks too.
    pub verbose: bool,
    /// A command that still runs after so long is a success.
    pub healthy_after: Option<Duration>,
}

impl RunSettings {
    const BUILT_IN: Self = Self {
        http: None,
        open_exit_code: exit::REFUSED,
        on_state_error: OnStateError::Run,
        observe: false,
        failure_output: None,
        fallback: None,
        fallback_on: FallbackOn::Refused,
        on_change: None,
        verbose: false,
        healthy_after: None,
    };
}

#[cfg(test)]
impl Setup {
    /// The settings in `given`, or their first fault.
    pub fn parse<'a>(given: impl Fn(Key) -> Option<&'a str>) -> Result<Self, Fault> {
        let (setup, faults) = Self::judge(given);
        faults.into_iter().next().map_or(Ok(setup), Err)
    }
}

#[cfg(test)]
impl Settings {
    /// The settings of a breaker alone, as [`Setup::parse`] reads them.
    pub fn parse<'a>(given: impl Fn(Key) -> Option<&'a str>) -> Result<Self, Fault> {
        Setup::parse(given).map(|setup| setup.breaker)
    }
}

#[cfg(test)]
mod tests;

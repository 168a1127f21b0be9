//! `--json`: stable and append-only.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use super::acts;
use super::view::{Look, View};
use crate::breaker::{self, Breaker, State, Totals};
use crate::name::Name;
use crate::outcome::End;
use crate::settings::{Settings, Value as Setting, Window};
use crate::signals;
use crate::time::{Timestamp, millis};

/// The document around all breakers.
#[derive(Serialize)]
pub struct Document<T> {
    version: u32,
    breakers: Vec<T>,
}

impl<T: Serialize> Document<T> {
    /// The document as one line of text.
    ///
    /// # Errors
    /// None that can happen, as the document is plain data.
    pub fn render(breakers: Vec<T>) -> anyhow::Result<String> {
        line(&Self { version: 1, breakers })
    }
}

/// A document as one line of text. Characters that a terminal would act on are escaped.
///
/// # Errors
/// None that can happen, as the document is plain data.
pub fn line(document: &impl Serialize) -> anyhow::Result<String> {
    let text = serde_json::to_string(document)?;
    let mut line = String::with_capacity(text.len() + 1);
    if text.bytes().all(|byte| (b' '..0x7f).contains(&byte)) {
        line.push_str(&text);
    } else {
        for letter in text.chars() {
            if acts(letter) {
                // These characters stand only in JSON's strings, and all have at most four digits.
                write!(line, "\\u{:04x}", u32::from(letter))?;
            } else {
                line.push(letter);
            }
        }
    }
    line.push('\n');
    Ok(line)
}

/// `cb status --json`.
///
/// # Errors
/// None that can happen: it is plain data.
pub fn status(views: &[View]) -> anyhow::Result<String> {
    Document::render(views.iter().map(Item::new).collect())
}

/// `cb allow --json`, where it is allowed.
///
/// # Errors
/// None that can happen: it is plain data.
pub fn permit(permit: &str) -> anyhow::Result<String> {
    #[derive(Serialize)]
    struct Allowed<'a> {
        permit: &'a str,
    }
    line(&Allowed { permit })
}

/// `cb allow --json`, where it is refused: why, and when it is worth another try.
///
/// # Errors
/// None that can happen: it is plain data.
pub fn refused(reason: Option<&str>, retry_at: Option<Timestamp>, left: Option<Duration>) -> anyhow::Result<String> {
    #[derive(Serialize)]
    struct Answer<'a> {
        refused: Refused<'a>,
    }
    #[derive(Serialize)]
    struct Refused<'a> {
        reason: Option<&'a str>,
        retry_at: Option<Timestamp>,
        retry_in_ms: Option<u64>,
    }
    line(&Answer { refused: Refused { reason, retry_at, retry_in_ms: left.map(millis) } })
}

#[derive(Serialize)]
#[serde(untagged)]
enum Item<'a> {
    Breaker(Box<Status<'a>>),
    Error { name: &'a Name, error: &'a str, path: String },
}

impl<'a> Item<'a> {
    fn new(view: &'a View) -> Self {
        let (name, path) = (&view.name, view.path.display().to_string());
        match &view.look {
            Ok(look) => Self::Breaker(Box::new(Status::new(name, look, path))),
            Err(error) => Self::Error { name, error, path },
        }
    }
}

/// Everything about a breaker.
#[derive(Serialize)]
struct Status<'a> {
    name: &'a Name,
    state: &'static str,
    mode: &'static str,
    admits: Option<bool>,
    since: Option<Timestamp>,
    retry_at: Option<Timestamp>,
    retry_in_ms: Option<u64>,
    reason: Option<Cow<'a, str>>,
    generation: u64,
    consecutive_failures: u32,
    probe_successes: u32,
    window: Rates,
    totals: Counts,
    last: Option<Last>,
    last_failure: Option<Last>,
    probes: Vec<Probe>,
    hold: Option<Hold<'a>>,
    settings: Map<String, Value>,
    path: String,
    ramp_until: Option<Timestamp>,
}

#[derive(Serialize)]
struct Rates {
    calls: u32,
    failures: u32,
    slow: u32,
    failure_rate: Option<f64>,
    slow_rate: Option<f64>,
}

#[derive(Serialize)]
struct Counts {
    admitted: u64,
    successes: u64,
    failures: u64,
    ignored: u64,
    late: u64,
    refused: u64,
    opened: u64,
    abandoned: u64,
}

#[derive(Serialize)]
struct Last {
    at: Timestamp,
    outcome: &'static str,
    exit_code: Option<u8>,
    signal: Option<String>,
    timed_out: bool,
    took_ms: Option<u64>,
    http_status: Option<u16>,
}

#[derive(Serialize)]
struct Probe {
    pid: Option<u32>,
    since: Timestamp,
}

#[derive(Serialize)]
struct Hold<'a> {
    by: &'a str,
    reason: Option<&'a str>,
    until: Option<Timestamp>,
}

impl<'a> Status<'a> {
    fn new(name: &'a Name, look: &'a Look, path: String) -> Self {
        let Look { breaker, now, settings, .. } = look;
        let now = *now;
        let probe_successes = if let State::HalfOpen { successes, .. } = breaker.state() { *successes } else { 0 };
        let retry_at = breaker.retry_at(now);
        let admits = look.admits();
        Self {
            name,
            state: look.state(),
            mode: look.mode(),
            admits,
            since: look.since(),
            retry_at,
            // A probe is due even before `retry_at` if the clock was set back.
            retry_in_ms: retry_at.map(|at| if admits == Some(true) { 0 } else { millis(at.left(now)) }),
            reason: breaker.reason(now),
            generation: breaker.generation(),
            consecutive_failures: breaker.consecutive_failures(),
            probe_successes,
            window: Rates::new(breaker, settings, now),
            totals: Counts::new(breaker.totals()),
            last: breaker.last().map(Last::new),
            last_failure: breaker.last_failure().map(Last::new),
            probes: breaker.probes().iter().map(|probe| Probe { pid: probe.pid, since: probe.since }).collect(),
            hold: breaker.hold(now).map(|hold| Hold {
                by: &hold.by,
                reason: hold.reason.as_deref(),
                until: hold.until(),
            }),
            settings: self::settings(settings),
            path,
            ramp_until: look.ramp_until(),
        }
    }
}

impl Last {
    fn new(last: &breaker::Last) -> Self {
        Self {
            at: last.at,
            outcome: last.outcome.word(),
            exit_code: if let Some(End::Exit(code)) = last.end { Some(code) } else { None },
            signal: if let Some(End::Signal(number)) = last.end { Some(signals::name(number)) } else { None },
            timed_out: last.end == Some(End::TimedOut),
            took_ms: last.took.map(millis),
            http_status: last.http_status,
        }
    }
}

impl Counts {
    fn new(totals: &Totals) -> Self {
        let &Totals { admitted, successes, failures, ignored, late, refused, opened, abandoned } = totals;
        Self { admitted, successes, failures, ignored, late, refused, opened, abandoned }
    }
}

impl Rates {
    fn new(breaker: &Breaker, settings: &Settings, now: Timestamp) -> Self {
        let count = breaker.window(settings, now);
        let enough = count.calls >= settings.trip.enough();
        // Two decimals are for people; the breaker decides exactly.
        let rate = |part: u32| (f64::from(part) * 10_000.0 / f64::from(count.calls)).round() / 100.0;
        let rate = |part| (enough && count.calls > 0).then(|| rate(part));
        Self {
            calls: count.calls,
            failures: count.failures,
            slow: count.slow,
            failure_rate: rate(count.failures),
            slow_rate: rate(count.slow),
        }
    }
}

/// All settings as JSON: durations in milliseconds, rates in per cent, lists as they are written.
fn settings(settings: &Settings) -> Map<String, Value> {
    let mut map = Map::new();
    for (key, value) in settings.shown() {
        let name = key.name().replace('-', "_");
        let timed = format!("{name}_ms");
        let text = value.text();
        match value {
            Setting::Number(number) => drop(map.insert(name, number.into())),
            Setting::Percent(percent) => drop(map.insert(name, percent.into())),
            Setting::Time(span) => drop(map.insert(timed, span.map(millis).into())),
            Setting::Factor(millionths) => drop(map.insert(name, (f64::from(millionths) / 1e6).into())),
            Setting::Window(window) => {
                let (calls, span) = match window {
                    Window::Calls(calls) => (Some(calls), None),
                    Window::Time(span) => (None, Some(millis(span))),
                };
                map.insert(name, calls.into());
                map.insert(timed, span.into());
            }
            Setting::Flag(flag) => drop(map.insert(name, flag.into())),
            Setting::Budget(_) | Setting::Word(_) => drop(map.insert(name, text.into())),
        }
    }
    map
}

//! Lines on stderr. Each is one write, so that those of many processes do not mix.

use std::io::IsTerminal;

use super::{escape, stderr, write_all};
use crate::breaker::{Breaker, Cause, Change, HoldKind, Phase, Refusal};
use crate::name::Name;
use crate::time::{Timestamp, format_rough};

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volume {
    /// `-q`: errors and warnings.
    Quiet,
    /// Also when a breaker opens from closed and when it closes; on a terminal as [`Volume::Verbose`].
    Normal,
    /// `-v`: refusals, probes and remarks too.
    Verbose,
}

impl Volume {
    /// Says what a run changed: the breaker opened from closed, or closed.
    pub fn news(self, line: &str) {
        if self != Self::Quiet {
            say(line);
        }
    }

    /// Says what only somebody who looks wants to know.
    pub fn remark(self, line: impl FnOnce() -> String) {
        if self == Self::Verbose || self == Self::Normal && stderr().is_terminal() {
            say(&line());
        }
    }
}

/// Says what is wrong, whatever the volume: writes one line to stderr. Where that is closed or full there is nobody to tell.
pub fn say(line: &str) {
    drop(write_all(&stderr(), format!("cb: {}\n", escape(line)).as_bytes()));
}

/// What happened, for the line that a change is worth; `None` if it is worth only a remark.
pub fn change(name: &Name, change: &Change, breaker: &Breaker, now: Timestamp) -> (String, bool) {
    match (change.from, change.to) {
        (_, Phase::Closed) => (format!("{name}: closed again: {}", change.reason), true),
        (from, Phase::Open) => {
            let verb = if from == Phase::HalfOpen { "open again" } else { "opened" };
            let next = next_try(breaker.retry_at(now), now);
            (format!("{name}: {verb}: {}; {next}, or now with 'cb reset {name}'", change.reason), from == Phase::Closed)
        }
        (from, to) => (format!("{name}: {} -> {}: {}", from.word(), to.word(), change.reason), false),
    }
}

/// Why a run was refused, when it may be let through, and the way out.
pub fn refusal(name: &Name, refusal: &Refusal, breaker: &Breaker, now: Timestamp) -> String {
    let next = next_try(refusal.retry_at, now);
    let reason = breaker.reason(now).map_or(String::new(), |reason| format!(" ({reason})"));
    match refusal.cause {
        Cause::Open => format!("{name}: refused, it is open{reason}; {next}, or now with 'cb reset {name}'"),
        Cause::Probing => format!("{name}: refused, a probe is under way to see whether it is back{reason}"),
        Cause::Held => {
            let by = breaker.hold(now).filter(|hold| hold.kind == HoldKind::Trip).map_or("", |hold| hold.by.as_str());
            match refusal.retry_at {
                Some(_) => {
                    format!("{name}: refused, it is held open by {by}{reason}; {next}, or now with 'cb reset {name}'")
                }
                None => format!("{name}: refused, it is held open by {by}{reason} until 'cb reset {name}'"),
            }
        }
    }
}

/// When the next run may pass; empty where nobody knows.
fn next_try(at: Option<Timestamp>, now: Timestamp) -> String {
    at.map_or(String::new(), |at| format!("next try in {} ({at})", format_rough(at.left(now))))
}

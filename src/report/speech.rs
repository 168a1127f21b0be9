//! Lines on stderr. Each is one write, so that those of many processes do not mix.

use std::io::IsTerminal;
use std::time::Duration;

use terminal_size::{Width, terminal_size_of};

use super::table::cut;
use super::{escape, stderr, write_all};
use crate::breaker::{Breaker, Cause, Change, Hold, HoldKind, Phase, Reason, Refusal};
use crate::environment;
use crate::name::Name;
use crate::time::{Timestamp, format_duration, format_rough};

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
    /// Says news: a breaker opened from closed or closed, an order came to nothing, `on-change` failed.
    pub fn news(self, line: &str) {
        if self != Self::Quiet {
            say(line);
        }
    }

    /// Says what matters only to somebody who watches.
    pub fn remark(self, line: impl FnOnce() -> String) {
        if self.has_remarks() {
            say(&line());
        }
    }

    /// Whether [`Volume::remark`] says anything.
    pub fn has_remarks(self) -> bool {
        self == Self::Verbose || self == Self::Normal && to_terminal()
    }
}

/// Lines that wait to be said until this is dropped, when the breaker is unlocked.
pub struct Lines {
    volume: Volume,
    lines: Vec<(Weight, String)>,
}

/// At which volumes a line is said.
enum Weight {
    Warning,
    News,
    Remark,
}

impl Lines {
    /// Nothing to say yet.
    pub fn new(volume: Volume) -> Self {
        Self { volume, lines: Vec::new() }
    }

    /// Drops all lines, as the decision that they belong to is made anew.
    pub fn forget(&mut self) {
        self.lines.clear();
    }

    /// Says the warnings alone: what happened before has happened, but nothing of what was decided is kept.
    pub fn forget_decision(&mut self) {
        self.lines.retain(|(weight, _)| matches!(weight, Weight::Warning));
    }

    /// Adds a line for every volume.
    pub fn warn(&mut self, line: String) {
        self.lines.push((Weight::Warning, line));
    }

    /// Adds a line for [`Volume::news`].
    pub fn news(&mut self, line: String) {
        self.lines.push((Weight::News, line));
    }

    /// Adds a line for [`Volume::remark`].
    pub fn remark(&mut self, line: String) {
        self.lines.push((Weight::Remark, line));
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        for (weight, line) in self.lines.drain(..) {
            match weight {
                Weight::Warning => say(&line),
                Weight::News => self.volume.news(&line),
                Weight::Remark => self.volume.remark(|| line),
            }
        }
    }
}

/// Writes one line to stderr, whatever the volume. Where stderr is closed or full, the line is lost.
pub fn say(line: &str) {
    drop(write_all(&stderr(), format!("cb: {}\n", escape(line)).as_bytes()));
}

/// Whether a person may be watching: stderr is a terminal.
pub fn to_terminal() -> bool {
    stderr().is_terminal()
}

/// Whether a line on stderr can replace the one before it.
pub fn can_overwrite() -> bool {
    to_terminal() && !environment::dumb_terminal()
}

/// Replaces the line that the last call wrote; an empty line erases it. A line wider than the terminal would wrap, and
/// its first part would stay: so it is cut.
pub fn overwrite(line: &str) {
    let line = if line.is_empty() { String::new() } else { format!("cb: {}", escape(line)) };
    let columns = terminal_size_of(stderr()).map_or(usize::MAX, |(Width(width), _)| usize::from(width));
    // The cursor needs the last column. A terminal that does not know its size says 0.
    let line = if columns == 0 { line } else { cut(&line, columns.saturating_sub(1)) };
    drop(write_all(&stderr(), format!("\r{line}\u{1b}[K").as_bytes()));
}

/// What happened, when the next try is, and the way out.
pub fn change(name: &Name, change: &Change, breaker: &Breaker, now: Timestamp) -> String {
    if let Some(by) = &change.by {
        return format!("{name}: {}", by_hand(name, by, change, breaker, now));
    }
    let reason = &change.reason;
    if change.reason == Reason::HoldOver {
        let to = change.to.word().replace('_', "-");
        return match (change.from, breaker.retry_at(now)) {
            (Phase::Disabled, None) => format!("{name}: {reason}: disabled no more, and {to} as before"),
            (Phase::Disabled, at) => {
                format!("{name}: {reason}: disabled no more, and {to}; {}", next_try(name, at, now))
            }
            (_, at) => format!("{name}: {reason}: {to}; {}", next_try(name, at, now)),
        };
    }
    if change.to == Phase::Closed {
        // An older version has not written down when it opened.
        let Some((length, refused)) = breaker.ended_outage(now) else {
            return format!("{name}: closed again: {reason}");
        };
        let refused = match refused {
            0 => String::new(),
            1 => "; 1 run was refused meanwhile".to_owned(),
            _ => format!("; {refused} runs were refused meanwhile"),
        };
        return format!("{name}: closed again after {}: {reason}{refused}", format_rough(length));
    }
    let verb = if change.from == Phase::Closed { "opened" } else { "open again" };
    format!("{name}: {verb}: {reason}; {}", next_try(name, breaker.retry_at(now), now))
}

/// What a person did, and how it ends.
fn by_hand(name: &Name, by: &str, change: &Change, breaker: &Breaker, now: Timestamp) -> String {
    let Some(hold) = breaker.hold(now) else {
        let to = change.to.word().replace('_', "-");
        return match (change.from, change.to) {
            (from, _) if from != Phase::Disabled && change.reason == Reason::HoldOver => {
                format!("hold ended by {by}: {to}, with a probe due")
            }
            (Phase::Disabled, _) if matches!(change.reason, Reason::Enabled | Reason::HoldOver) => {
                format!("enabled by {by}, and {to} as before")
            }
            (_, Phase::Closed) => format!("closed by {by}"),
            _ => format!("{to} by {by}, with a probe due"),
        };
    };
    let reason = hold.reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
    let (what, way_out) = match hold.kind {
        HoldKind::Trip => ("held open", format!("'cb reset {name}'")),
        HoldKind::Disable => ("disabled", format!("'cb enable {name}'")),
    };
    match hold.until() {
        Some(until) => {
            format!("{what} by {by} for {} (until {until}), or {way_out}{reason}", format_rough(until.left(now)))
        }
        None => format!("{what} by {by} until {way_out}{reason}"),
    }
}

/// A hold in words: its kind, owner, end and reason.
fn held(name: &Name, hold: &Hold) -> String {
    let (what, way_out) = match hold.kind {
        HoldKind::Trip => ("held open", "reset"),
        HoldKind::Disable => ("disabled", "enable"),
    };
    let until = hold.until().map_or_else(|| format!("'cb {way_out} {name}'"), |until| until.to_string());
    let reason = hold.reason.as_ref().map_or(String::new(), |reason| format!(" ({reason})"));
    format!("{what} by {} until {until}{reason}", hold.by)
}

/// That the new hold is dropped, as one of the same kind ends no sooner.
pub fn outlasted(name: &Name, hold: &Hold) -> String {
    format!("{name}: unchanged, it is {}, which does not end sooner; to shorten it: --replace", held(name, hold))
}

/// That the new hold replaces one of the same kind.
pub fn replaced(name: &Name, hold: &Hold) -> String {
    format!("{name}: it was {}; that is dropped", held(name, hold))
}

/// That a run's own report leaves a hold as it is.
pub fn not_touched(name: &Name, hold: &Hold) -> String {
    format!("{name}: the report is counted and changes nothing, it is {}", held(name, hold))
}

/// That a time window was emptied, as this caller's has another length.
pub fn emptied(name: &Name, before: Option<Duration>, after: Option<Duration>) -> String {
    let [before, after] = [before, after].map(|length| format_duration(length.unwrap_or_default()));
    format!(
        "{name}: the window of {after} begins empty, as another caller has one of {before} and a breaker keeps one window \
         of time; give all its callers the same, or each a name of its own"
    )
}

/// That no run is refused, however often the breaker opens.
pub fn only_probes(name: &Name) -> String {
    format!(
        "{name}: opened again for the third time in a row, and no run was refused: runs come further apart than the \
         cool-down, so every run is a probe; for runs to be refused give a longer --cooldown"
    )
}

/// That many runs in a row ended with 75, and that none of them counts.
pub fn in_vain(name: &Name) -> String {
    format!(
        "{name}: the last {} runs ended with 75 (try again later), which counts as nothing; if that means an outage, \
         make it a failure with --failure-codes 1-124",
        Breaker::MANY_IN_VAIN
    )
}

/// That a run was refused, why, when it may be let through, and the way out.
pub fn refusal(name: &Name, refusal: &Refusal, breaker: &Breaker, now: Timestamp) -> String {
    format!("{name}: refused, {}", why(name, refusal, breaker, now))
}

/// That a run waits, why, when it may be let through, and the way out.
pub fn waiting(name: &Name, refusal: &Refusal, breaker: &Breaker, now: Timestamp) -> String {
    format!("{name}: waiting, {}", why(name, refusal, breaker, now))
}

fn why(name: &Name, refusal: &Refusal, breaker: &Breaker, now: Timestamp) -> String {
    let next = next_try(name, refusal.retry_at, now);
    let reason = breaker.reason(now).map_or(String::new(), |reason| format!(" ({reason})"));
    match refusal.cause {
        Cause::Open => format!("it is open{reason}; {next}"),
        Cause::Ramp => format!("{IN_A_RAMP}; {next}"),
        Cause::Probing => format!("a probe is under way to see whether it is back{reason}"),
        Cause::Held => {
            let by = breaker.hold(now).filter(|hold| hold.kind == HoldKind::Trip).map_or("", |hold| hold.by.as_str());
            match refusal.retry_at {
                Some(_) => format!("it is held open by {by}{reason}; {next}"),
                None => format!("it is held open by {by}{reason} until 'cb reset {name}'"),
            }
        }
    }
}

/// Why a run is refused in a ramp.
pub const IN_A_RAMP: &str = "closed again, letting runs in step by step";
/// What a breaker does in a ramp.
pub(super) const STEP_BY_STEP: &str = "letting runs in step by step";

/// When the next try is, and the way out.
pub fn next_try(name: &Name, at: Option<Timestamp>, now: Timestamp) -> String {
    match at.map(|at| (at, at.left(now))) {
        Some((_, left)) if left.is_zero() => format!("the next run is a probe, or close it with 'cb reset {name}'"),
        Some((at, left)) => format!("next try in {} ({at}), or now with 'cb reset {name}'", format_rough(left)),
        None => format!("no next try before 'cb reset {name}'"),
    }
}

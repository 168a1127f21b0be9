//! One breaker as every report shows it: the one input of table, JSON, metrics and history.

use std::path::PathBuf;

use crate::breaker::{Answer, Breaker, Draw, HoldKind, Standing, State};
use crate::name::Name;
use crate::settings::Settings;
use crate::time::Timestamp;

/// One breaker to show.
pub struct View {
    /// Its name.
    pub name: Name,
    /// Where it is kept.
    pub path: PathBuf,
    /// What was read, or what was wrong.
    pub look: Result<Look, String>,
}

/// What was read of a breaker.
pub struct Look {
    /// The breaker.
    pub breaker: Breaker,
    /// The time by which it is judged.
    pub now: Timestamp,
    /// The settings last used, else those of the configuration.
    pub settings: Settings,
    /// The settings of a run without options that asked now.
    pub of_run: Settings,
}

impl Look {
    /// With the settings of a run without options, which it has none of where the configuration needs the options of runs.
    pub fn new(breaker: Breaker, now: Timestamp, of_run: Option<Settings>) -> Self {
        let settings = breaker.settings().or(of_run.as_ref()).cloned().unwrap_or_default();
        let of_run = of_run.unwrap_or_else(|| settings.clone());
        Self { breaker, now, settings, of_run }
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        self.breaker.standing(&self.of_run, self.now)
    }

    /// The answer to a run without options that asked now; in a ramp, to the luckiest.
    pub fn answer(&self) -> Answer {
        self.breaker.answer(&self.of_run, Draw::FIRST, self.now)
    }

    /// Whether a run without options that asked now would be let through; `None` where that is drawn.
    pub fn admits(&self) -> Option<bool> {
        self.ramp_until().is_none().then(|| !matches!(self.answer(), Answer::Refuse(_)))
    }

    /// Until when it lets runs in step by step, by the settings last used.
    pub fn ramp_until(&self) -> Option<Timestamp> {
        self.breaker.ramp_until(&self.settings, self.now)
    }

    /// The word for its state, whatever its hold.
    pub fn state(&self) -> &'static str {
        match self.breaker.state() {
            State::Closed { .. } => "closed",
            State::Open { .. } => "open",
            State::HalfOpen { .. } => "half_open",
        }
    }

    /// The word for its hold.
    pub fn mode(&self) -> &'static str {
        match self.breaker.hold(self.now).map(|hold| hold.kind) {
            None => "normal",
            Some(HoldKind::Trip) => "held",
            Some(HoldKind::Disable) => "disabled",
        }
    }

    /// Since when it has been in its state; `None` if it never was in another.
    pub fn since(&self) -> Option<Timestamp> {
        match *self.breaker.state() {
            State::Closed { since, .. } => since,
            State::Open { since, .. } | State::HalfOpen { since, .. } => Some(since),
        }
    }
}

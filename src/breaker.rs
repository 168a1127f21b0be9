//! PURE. The circuit breaker: states, permits, admit, record, reset, holds.
//!
//! A function of the stored state and of `now`: no daemon, no timer. A state changes only when somebody asks or
//! reports. Every change of state starts a new *generation*; a permit of an older generation changes nothing, so late
//! results are harmless (the idea is gobreaker's).
//!
//! The clock is the wall clock, and it may step. So every span has two ends: it is over at its end, and before its
//! beginning: a clock that was set back never keeps a breaker open beyond its cool-down.

mod draw;
mod history;
pub mod pack;
mod permit;
mod reason;
pub mod stored;
#[cfg(test)]
mod tests;
mod under_way;
pub mod window;

use std::borrow::Cow;
use std::time::Duration;

pub use self::draw::Draw;
use self::draw::{STEP, scattered};
pub use self::history::{Change, History, Phase, shorten, stored_len};
pub use self::permit::Permit;
use self::permit::Spent;
pub use self::reason::Reason;
use self::reason::Share;
pub use self::under_way::{Gone, UnderWay};
use self::window::{FailureTimes, Mark, Recent, Slices, Tally, reaches};
use crate::outcome::{End, Finished, How, Outcome};
use crate::settings::{Budget, Settings, Window};
use crate::time::{LONGEST, Timestamp, millis};

/// The most bytes that a reason given by a person may have, as it is stored (escaped as JSON).
pub const LONGEST_REASON: usize = 120;
/// How far the clock may be set back without any effect.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);
/// The most bytes of a login name that are kept.
pub const LONGEST_WHO: usize = 32;

/// One named circuit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// The random identity: a permit of a removed breaker never counts in a new breaker of that name.
    id: u64,
    generation: u64,
    /// The number of the next permit that is numbered.
    serial: u64,
    spent: Spent,
    state: State,
    hold: Option<Hold>,
    consecutive_failures: u32,
    recent: Recent,
    slices: Option<Slices>,
    failures: FailureTimes,
    totals: Totals,
    last: Option<Last>,
    /// The last failure, if the last result was no failure.
    last_failure: Option<Last>,
    history: History,
    /// The settings last used; `None` where no run was ever asked for.
    settings: Option<Settings>,
    /// Whether callers with different trip rules met here since the counters were cleared.
    rules_differ: bool,
    /// Whether a window of time was emptied for one of another length since the counters were cleared.
    windows_differ: bool,
    /// How many of the last results in a row were exit 75 that counted as nothing, up to [`Breaker::MANY_IN_VAIN`].
    in_vain: u8,
    /// The present outage, or the last one.
    outage: Option<Outage>,
    /// The runs that count as failures where they are killed, but for the probes.
    under_way: UnderWay,
}

/// From the first opening to the next closing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// When it opened from closed.
    pub since: Timestamp,
    /// How many runs had been refused before.
    pub refused_before: u64,
}

/// The three states, each with exactly its own data. Times other than `since` are relative to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Runs pass.
    Closed {
        /// When it closed; `None` if it never was anything else.
        since: Option<Timestamp>,
        /// From which opening in a row it recovered by itself, as [`State::Open`] counts them. `None` where it did not: it was
        /// never open, or a person has closed it.
        recovered: Option<u32>,
    },
    /// Runs are refused until `since` + `cooldown`.
    Open {
        /// When it opened.
        since: Timestamp,
        /// How long it stays open, jitter included.
        cooldown: Duration,
        /// Which opening in a row this is, the first being 0.
        reopened: u32,
    },
    /// Probes pass; other runs are refused.
    HalfOpen {
        /// When the first probe was let through.
        since: Timestamp,
        /// Which opening in a row was before.
        reopened: u32,
        /// How many probes have succeeded.
        successes: u32,
        /// How many probes have failed.
        failures: u32,
        /// The probes that are under way.
        probes: Vec<Probe>,
    },
}

/// A run that was let through to test recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The number of its permit.
    pub serial: u64,
    /// The process that runs it, for people to see; `None` if no process of ours does (`cb allow`).
    pub pid: Option<u32>,
    /// When it began.
    pub since: Timestamp,
    /// How long it keeps its place.
    pub lease: Duration,
    /// Whether it is a failure if it is killed.
    pub counts: bool,
}

impl Probe {
    /// Whether its place may be given to another.
    fn is_overdue(&self, now: Timestamp) -> bool {
        !self.since.lasts(self.lease, now)
    }
}

/// A hold by a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Held open, or disabled.
    pub kind: HoldKind,
    /// Who ordered it.
    pub by: String,
    /// The reason, if given.
    pub reason: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// For how long; `None` is until it is ended by hand.
    pub span: Option<Duration>,
}

/// The two kinds of hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldKind {
    /// `cb trip`: every run is refused.
    Trip,
    /// `cb disable`: every run passes and nothing changes state.
    Disable,
}

impl Hold {
    /// When it ends by itself.
    pub fn until(&self) -> Option<Timestamp> {
        self.span.map(|span| self.since.after(span))
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.span.is_some_and(|span| !self.since.lasts(span, now))
    }
}

/// A hold as a person orders it.
#[derive(Clone, Debug)]
pub struct Order {
    /// Hold it open, or disable it.
    pub kind: HoldKind,
    /// For how long; `None` is until it is ended by hand, and no time at all ends a hold of its kind.
    pub span: Option<Duration>,
    /// Whether it replaces a hold that ends later.
    pub replace: bool,
    /// The reason, if given.
    pub reason: Option<String>,
    /// Who orders it.
    pub by: String,
}

/// What became of an [`Order`].
#[derive(Debug, PartialEq, Eq)]
pub enum Ordered {
    /// It is in force; and the hold of its kind that is dropped for it, if there was one.
    InForce(Change, Option<Hold>),
    /// It was for no time: what it ended, or what it left open with a probe due.
    Ended(Change),
    /// It is dropped, as this hold of its kind does not end sooner.
    Dropped(Hold),
    /// There is no hold of its kind to end.
    NoneToEnd,
    /// It would leave all as it is: open with a probe due, the back-off at its first step.
    Unchanged,
}

/// What became of a run's own report.
#[derive(Debug, PartialEq, Eq)]
pub enum Reported {
    /// It opened the breaker, or opened it again.
    Opened(Change),
    /// It was open, and now is for longer.
    Lengthened,
    /// It already stays open at least as long.
    Open,
    /// It is held or disabled, which a report does not change.
    Held(Hold),
}

/// What was counted since the breaker was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Runs let through.
    pub admitted: u64,
    /// Results that counted as success.
    pub successes: u64,
    /// Results that counted as failure.
    pub failures: u64,
    /// Results that counted as nothing.
    pub ignored: u64,
    /// Late results.
    pub late: u64,
    /// Runs not let through.
    pub refused: u64,
    /// How often it opened, reopenings included.
    pub opened: u64,
    /// Probes that ended without a report, or were given up after their lease.
    pub abandoned: u64,
}

/// Adds one, up to the largest number that every JSON reader can hold.
fn bump(count: &mut u64) {
    *count = count.saturating_add(1).min((1 << 53) - 1);
}

/// The last result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Last {
    /// When it was recorded.
    pub at: Timestamp,
    /// What it counted as.
    pub outcome: Outcome,
    /// How the child ended, if there was one.
    pub end: Option<End>,
    /// How long it took, if that is known.
    pub took: Option<Duration>,
    /// The status of the last HTTP answer, where it is known.
    pub http_status: Option<u16>,
}

impl Last {
    /// How it came about, as far as that is known.
    pub fn how(&self) -> Option<How> {
        How::of(self.end, self.http_status)
    }
}

/// Who asks for admission, and by which rules.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The caller's settings.
    pub settings: &'a Settings,
    /// How long the place lasts, should it be a probe's.
    pub lease: Duration,
    /// The process that will hold the place; `None` for `cb allow`, whose permit is numbered.
    pub pid: Option<u32>,
    /// Where in a ramp the caller is let through.
    pub draw: Draw,
}

/// The answer to [`Breaker::admit`].
#[derive(Debug)]
pub enum Admission {
    /// Go ahead.
    Admitted(Permit),
    /// Leave it alone.
    Refused(Refusal),
}

/// Why a run is not let through, and when the next one may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub cause: Cause,
    /// When it is worth another try, if that is known.
    pub retry_at: Option<Timestamp>,
}

/// Why a run is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The cool-down is not over.
    Open,
    /// It has closed again and lets runs in step by step; this one not yet.
    Ramp,
    /// A probe is under way, or as many as may be.
    Probing,
    /// Somebody holds it open.
    Held,
}

/// The answer to a run that asked now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It would pass.
    Pass,
    /// It would pass, as a probe.
    Probe,
    /// It would be refused.
    Refuse(Refusal),
}

impl Answer {
    /// Why it would be refused, if it would be.
    pub fn refusal(self) -> Option<Refusal> {
        if let Self::Refuse(refusal) = self { Some(refusal) } else { None }
    }
}

/// How a breaker stands, as people see it: its state, and what a person has ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Runs pass.
    Closed,
    /// Runs are refused until the cool-down is over.
    Open,
    /// The cool-down is over: the next run is a probe.
    ProbeDue,
    /// Probes are under way.
    HalfOpen,
    /// A person holds it open.
    HeldOpen,
    /// A person has disabled it: runs pass.
    Disabled,
}

/// What became of a result.
#[derive(Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It counted; perhaps it changed the state.
    Counted(Option<Change>),
    /// It was admitted before the last change of state, or was recorded before: it changes nothing. But where it brings a
    /// Retry-After, a cool-down that is running may have become longer.
    Late,
    /// It belongs to a breaker of this name that was removed: it is not even counted.
    Foreign,
}

impl Breaker {
    /// After this many ignored results in a row with exit code 75, `cb` says so.
    pub const MANY_IN_VAIN: u8 = 5;

    /// A breaker that nobody has used: closed. `id` is random.
    pub fn new(id: u64) -> Self {
        Self {
            id,
            generation: 1,
            serial: 0,
            spent: Spent::default(),
            state: State::Closed { since: None, recovered: None },
            hold: None,
            consecutive_failures: 0,
            recent: Recent::default(),
            slices: None,
            failures: FailureTimes::default(),
            totals: Totals::default(),
            last: None,
            last_failure: None,
            history: History::default(),
            settings: None,
            rules_differ: false,
            windows_differ: false,
            in_vain: 0,
            outage: None,
            under_way: UnderWay::default(),
        }
    }

    // What it is.

    /// The state, as of the last change.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The generation: it grows with every change of state.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The number of the next permit that is numbered.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// The failures in a row.
    pub fn consecutive_failures(&self) -> u32 {
        self.consecutive_failures
    }

    /// All counters.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The last result.
    pub fn last(&self) -> Option<&Last> {
        self.last.as_ref()
    }

    /// The last failure.
    pub fn last_failure(&self) -> Option<&Last> {
        self.last.as_ref().filter(|last| last.outcome == Outcome::Failure).or(self.last_failure.as_ref())
    }

    /// The history.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The last 1,000 results.
    pub fn recent(&self) -> &Recent {
        &self.recent
    }

    /// The settings last used; `None` where no run was ever asked for.
    pub fn settings(&self) -> Option<&Settings> {
        self.settings.as_ref()
    }

    /// Whether callers with different trip rules met here since the counters were cleared.
    pub fn rules_differ(&self) -> bool {
        self.rules_differ
    }

    /// Whether a window of time was emptied for one of another length since the counters were cleared.
    pub fn windows_differ(&self) -> bool {
        self.windows_differ
    }

    /// The length of the window of time that is kept, if there is one.
    pub fn window_length(&self) -> Option<Duration> {
        self.slices.as_ref().map(Slices::length)
    }

    /// Whether the last results, [`Breaker::MANY_IN_VAIN`] of them, were all exit 75 and counted as nothing. A program that
    /// means an outage by it would never open the breaker.
    pub fn is_in_vain(&self) -> bool {
        self.in_vain >= Self::MANY_IN_VAIN
    }

    /// Whether it was just opened again for the third time in a row, and no run was refused since it opened from closed: each
    /// run came after the cool-down and was a probe.
    pub fn only_probes(&self) -> bool {
        let none_refused = self.outage.is_some_and(|outage| outage.refused_before == self.totals.refused);
        matches!(self.state, State::Open { reopened: 3, .. }) && none_refused
    }

    /// The length of the outage that ends at this time, and how many runs it refused. `None` if none ends, or if an
    /// older version has not written down when it began.
    pub fn ended_outage(&self, now: Timestamp) -> Option<(Duration, u64)> {
        let closes = matches!(self.state, State::Closed { since: Some(since), .. } if since == now);
        let outage = self.outage.filter(|_| closes)?;
        Some((now.left(outage.since), self.totals.refused.saturating_sub(outage.refused_before)))
    }

    /// The hold that is in force.
    pub fn hold(&self, now: Timestamp) -> Option<&Hold> {
        self.hold.as_ref().filter(|hold| !hold.is_over(now))
    }

    /// The hold, also one that is over and was not taken away yet.
    pub fn hold_or_what_was(&self) -> Option<&Hold> {
        self.hold.as_ref()
    }

    fn held_by(&self, kind: HoldKind, now: Timestamp) -> bool {
        self.hold(now).is_some_and(|hold| hold.kind == kind)
    }

    /// The probes that are under way.
    pub fn probes(&self) -> &[Probe] {
        if let State::HalfOpen { probes, .. } = &self.state { probes } else { &[] }
    }

    /// The permit of a probe that is under way, as a word: all of them have been let in since the breaker became half-open.
    pub fn permit_of(&self, serial: u64) -> String {
        Permit::new(self.id, self.generation, Some(serial), true).to_string()
    }

    /// The results over which a rate is taken: those in the window of these settings.
    pub fn window(&self, settings: &Settings, now: Timestamp) -> Tally {
        match settings.trip.window {
            Window::Calls(calls) => self.recent.count(calls),
            Window::Time(length) => {
                let slices = self.slices.as_ref().filter(|slices| slices.length() == length);
                slices.map(|slices| slices.count(now)).unwrap_or_default()
            }
        }
    }

    /// How many failures lie in the budget of these settings; 0 without one.
    pub fn budget_used(&self, settings: &Settings, now: Timestamp) -> usize {
        settings.trip.budget.map_or(0, |budget| self.failures.count(budget.within, now))
    }

    /// When the cool-down is over, or the hold; `None` where there is no such time.
    pub fn retry_at(&self, now: Timestamp) -> Option<Timestamp> {
        match (self.hold(now), &self.state) {
            (Some(Hold { kind: HoldKind::Disable, .. }), _) => None,
            (Some(hold), _) => hold.until(),
            (None, State::Open { since, cooldown, .. }) => Some(since.after(*cooldown)),
            (None, _) => None,
        }
    }

    /// Why it is in this state, if there was a change that says so.
    pub fn reason(&self, now: Timestamp) -> Option<Cow<'_, str>> {
        if let Some(hold) = self.hold(now) {
            return hold.reason.as_deref().map(Cow::Borrowed);
        }
        let phase = if matches!(self.state, State::Closed { .. }) { Phase::Closed } else { Phase::Open };
        // After a hold the breaker is as it was, for its former reason.
        let as_before = |change: &Change| {
            change.reason == Reason::HoldOver || change.from == Phase::Disabled && change.reason == Reason::Enabled
        };
        let mut changes = self.history.newest_first().filter(|change| !as_before(change));
        changes.find(|change| change.to == phase).map(Change::last_reason)
    }

    /// Until when it lets runs in step by step, by these settings; `None` where it does not.
    pub fn ramp_until(&self, settings: &Settings, now: Timestamp) -> Option<Timestamp> {
        let State::Closed { since: Some(since), recovered: Some(_) } = self.state else { return None };
        let ramps = since.lasts(settings.ramp, now) && !self.held_by(HoldKind::Disable, now);
        ramps.then(|| since.after(settings.ramp))
    }

    /// What a run that asked now, with this draw, would be told.
    pub fn answer(&self, settings: &Settings, draw: Draw, now: Timestamp) -> Answer {
        let refuse = |cause, retry_at| Answer::Refuse(Refusal { cause, retry_at });
        match self.hold(now) {
            Some(Hold { kind: HoldKind::Disable, .. }) => return Answer::Pass,
            Some(hold) => return refuse(Cause::Held, hold.until()),
            None => {}
        }
        match &self.state {
            State::Closed { since: Some(since), .. } if self.ramp_until(settings, now).is_some() => {
                match since.after(draw.of(settings.ramp)) {
                    turn if turn > now => refuse(Cause::Ramp, Some(turn)),
                    _ => Answer::Pass,
                }
            }
            State::Closed { .. } => Answer::Pass,
            State::Open { since, cooldown, .. } if since.lasts(*cooldown, now) => {
                refuse(Cause::Open, Some(since.after(*cooldown)))
            }
            // The cool-down is over, or the clock has stepped out of it.
            State::Open { .. } => Answer::Probe,
            State::HalfOpen { probes, .. } => {
                // A caller with more places than this one may have let in more probes than this one would.
                let live = probes.iter().filter(|probe| !probe.is_overdue(now));
                let mut ends: Vec<_> = live.map(|probe| probe.since.after(probe.lease)).collect();
                ends.sort_unstable();
                match ends.len().checked_sub(settings.probes.into()) {
                    None => Answer::Probe,
                    Some(too_many) => refuse(Cause::Probing, ends.get(too_many).copied()),
                }
            }
        }
    }

    /// How it stands, for those who look.
    pub fn standing(&self, settings: &Settings, now: Timestamp) -> Standing {
        match (self.hold(now).map(|hold| hold.kind), &self.state) {
            (Some(HoldKind::Disable), _) => Standing::Disabled,
            (Some(HoldKind::Trip), _) => Standing::HeldOpen,
            (None, State::Closed { .. }) => Standing::Closed,
            (None, State::HalfOpen { .. }) => Standing::HalfOpen,
            (None, State::Open { .. }) => match self.answer(settings, Draw::FIRST, now) {
                Answer::Refuse(_) => Standing::Open,
                Answer::Pass | Answer::Probe => Standing::ProbeDue,
            },
        }
    }

    /// The time by which it is judged, where the clock says `clock`.
    ///
    /// A clock that was set back by at most a minute (NTP, a virtual machine that was paused) stands still until it
    /// reaches the newest event: so such a step loses neither a hold nor a result. What lies further ahead has not
    /// happened by this clock. Ends that lie ahead are no events.
    pub fn time(&self, clock: Timestamp) -> Timestamp {
        let state = match self.state {
            State::Closed { since, .. } => since,
            State::Open { since, .. } | State::HalfOpen { since, .. } => Some(since),
        };
        let results = [&self.last, &self.last_failure].into_iter().flatten().map(|last| last.at);
        let others = self.probes().iter().map(|probe| probe.since).chain(self.hold.iter().map(|hold| hold.since));
        let events = results.chain(others).chain(state);
        events.filter(|&event| event <= clock.after(CLOCK_TOLERANCE)).max().map_or(clock, |newest| newest.max(clock))
    }

    // What a run does.

    /// Remembers the settings by which it is judged, for those who look and for reports that bring none.
    pub fn use_settings(&mut self, settings: &Settings) {
        self.rules_differ |= self.settings.as_ref().is_some_and(|last| last.trip != settings.trip);
        self.settings = Some(settings.clone());
    }

    /// Asks for admission, and counts the answer.
    pub fn admit(&mut self, ask: &Ask<'_>, now: Timestamp) -> Admission {
        drop(self.settle(now));
        self.use_settings(ask.settings);
        match self.answer(ask.settings, ask.draw, now) {
            Answer::Refuse(refusal) => {
                bump(&mut self.totals.refused);
                Admission::Refused(refusal)
            }
            Answer::Pass => {
                bump(&mut self.totals.admitted);
                let serial = if ask.pid.is_none() { Some(self.next_serial()) } else { None };
                Admission::Admitted(Permit::new(self.id, self.generation, serial, false))
            }
            Answer::Probe => {
                bump(&mut self.totals.admitted);
                Admission::Admitted(self.admit_probe(ask, now))
            }
        }
    }

    fn admit_probe(&mut self, ask: &Ask<'_>, now: Timestamp) -> Permit {
        if let State::Open { reopened, .. } = self.state {
            self.generation = self.generation.wrapping_add(1);
            self.state = State::HalfOpen { since: now, reopened, successes: 0, failures: 0, probes: Vec::new() };
        }
        let serial = self.next_serial();
        if let State::HalfOpen { probes, .. } = &mut self.state {
            while probes.len() >= usize::from(ask.settings.probes) {
                let overdue = probes.iter().position(|probe| probe.is_overdue(now));
                let Some(overdue) = overdue else { break };
                probes.remove(overdue);
                bump(&mut self.totals.abandoned);
            }
            probes.push(Probe { serial, pid: ask.pid, since: now, lease: ask.lease, counts: false });
        }
        Permit::new(self.id, self.generation, Some(serial), true)
    }

    fn next_serial(&mut self) -> u64 {
        let serial = self.serial;
        self.serial = self.serial.wrapping_add(1);
        self.spent.forget(serial);
        serial
    }

    /// A permit that is already late, for a run whose refusal is overruled (`observe`): it was refused, not admitted.
    pub fn overrule(&self) -> Permit {
        Permit::new(self.id, 0, None, false)
    }

    /// Counts one that was let in among those that are failures where they are killed. `epoch` says where and since when
    /// its lock can be asked for.
    pub fn watch(&mut self, permit: Permit, epoch: u64) -> Permit {
        self.under_way.move_on(epoch, self.generation);
        match &mut self.state {
            State::HalfOpen { probes, .. } if permit.is_probe() => {
                let own = probes.iter_mut().filter(|probe| Some(probe.serial) == permit.serial());
                for probe in own {
                    probe.counts = true;
                }
                permit
            }
            _ => permit.counted_as(self.under_way.begin()),
        }
    }

    /// Counts out a run that has no lock.
    pub fn unwatch(&mut self, number: u64) {
        self.under_way.end(self.generation, number);
    }

    /// The runs that count as failures where they are killed, and of which that can be asked in this epoch.
    pub fn under_way(&self) -> &UnderWay {
        &self.under_way
    }

    /// Whether the locks of those that count as failures where they are killed can be asked for in this epoch.
    pub fn is_watched(&self, epoch: u64) -> bool {
        self.under_way.are_of(epoch, self.generation)
    }

    /// Reports those that were killed: failures, all of them, by which it is judged once. It is not known how long they
    /// took.
    pub fn killed(&mut self, gone: &Gone, settings: &Settings, now: Timestamp) -> Option<Change> {
        drop(self.settle(now));
        let run = Finished { end: Some(End::Signal(libc::SIGKILL)), ..Finished::of(Outcome::Failure) };
        self.under_way.lose(gone.runs);
        if let State::HalfOpen { probes, .. } = &mut self.state {
            probes.retain(|probe| !gone.probes.contains(&probe.serial));
        }
        let count = gone.runs.saturating_add(gone.probes.len() as u64);
        let mark = (0..count).filter_map(|_| self.count(&run, settings, now)).last()?;
        match self.state {
            _ if self.held_by(HoldKind::Disable, now) => None,
            State::Closed { .. } => self.judge(&run, mark, settings, now),
            State::HalfOpen { .. } => gone.probes.iter().find_map(|_| self.judge_probe(&run, mark, settings, now)),
            State::Open { .. } => None,
        }
    }

    /// Counts out probes that were killed when nobody is left to judge them.
    pub fn lose(&mut self, probes: &[u64]) {
        for _ in probes {
            bump(&mut self.totals.abandoned);
        }
    }

    /// Frees the place of a probe that died without reporting. It counts as neither success nor failure.
    pub fn abandon(&mut self, serial: u64) {
        if let State::HalfOpen { probes, .. } = &mut self.state {
            let before = probes.len();
            probes.retain(|probe| probe.serial != serial);
            if probes.len() < before {
                bump(&mut self.totals.abandoned);
            }
        }
    }

    /// Reports a run that was admitted.
    pub fn record(&mut self, permit: &Permit, run: &Finished, settings: &Settings, now: Timestamp) -> Recorded {
        if permit.breaker() != self.id {
            return Recorded::Foreign;
        }
        drop(self.settle(now));
        if let Some(number) = permit.counted() {
            self.under_way.end(permit.generation(), number);
        }
        if !self.redeem(permit) {
            bump(&mut self.totals.late);
            self.lengthen(run, settings, now);
            return Recorded::Late;
        }
        let mark = self.count(run, settings, now);
        Recorded::Counted(mark.and_then(|mark| match self.state {
            _ if self.held_by(HoldKind::Disable, now) => None,
            State::Closed { .. } => self.judge(run, mark, settings, now),
            State::HalfOpen { .. } if permit.is_probe() => self.judge_probe(run, mark, settings, now),
            // It was let in while the breaker was disabled, and decides nothing but by what it was told.
            State::HalfOpen { .. } => self.reopen_if_told(run, settings, now),
            State::Open { .. } => {
                self.lengthen(run, settings, now);
                None
            }
        }))
    }

    /// Opens a half-open breaker again if the run was told to stay away: for as long as that, or for the next cool-down
    /// where that is longer.
    fn reopen_if_told(&mut self, run: &Finished, settings: &Settings, now: Timestamp) -> Option<Change> {
        let away = told_away(run, settings)?;
        let cooldown = settings.cooldown_after(self.next_step(settings, now)).max(away);
        Some(self.open_for(cooldown, why(run, Reason::RetryAfter(run.http_status, away, run.end)), settings, now))
    }

    /// Makes a cool-down that is running longer, if a run that decides nothing any more was told to stay away for longer. Of
    /// several that were told so at once, the longest holds.
    fn lengthen(&mut self, run: &Finished, settings: &Settings, now: Timestamp) {
        let Some(away) = told_away(run, settings).filter(|_| self.hold.is_none()) else { return };
        let end = now.after(self.with_jitter(away, settings));
        if let State::Open { since, cooldown, .. } = &mut self.state {
            if since.lasts(*cooldown, now) && end > since.after(*cooldown) {
                *cooldown = end.left(*since).min(2 * LONGEST);
            }
        }
    }

    /// Reports what was seen elsewhere, without a permit.
    ///
    /// A success closes from any state but a hold. A failure is judged as any when closed, reopens when half-open, and
    /// changes nothing but totals when open, where a Retry-After may lengthen the cool-down.
    pub fn observe(&mut self, run: &Finished, settings: &Settings, now: Timestamp) -> Option<Change> {
        drop(self.settle(now));
        let disabled = self.held_by(HoldKind::Disable, now);
        if !disabled
            && matches!(self.state, State::Open { .. })
            && (run.outcome != Outcome::Success || self.hold.is_some())
        {
            self.note(run, settings, now);
            self.lengthen(run, settings, now);
            return None;
        }
        let mark = self.count(run, settings, now)?;
        match (&self.state, run.outcome) {
            _ if disabled => None,
            (State::Closed { .. }, _) => self.judge(run, mark, settings, now),
            (_, Outcome::Success) => Some(self.close(Reason::SuccessReported, now)),
            (State::HalfOpen { .. }, _) => {
                let told = self.reopen_if_told(run, settings, now);
                let reason = why(run, Reason::FailureReported(run.how()));
                told.or_else(|| Some(self.open(reason, settings, now)))
            }
            (State::Open { .. }, _) => None,
        }
    }

    /// Reports what a run has learned by itself: that it is to stay away, for `away`, else for the cool-down.
    ///
    /// It counts as a failure that opens at once. Open, the breaker stays so for longer if that is longer; a hold is not
    /// touched.
    pub fn report(&mut self, away: Option<Duration>, reason: Option<String>, now: Timestamp) -> Reported {
        drop(self.settle(now));
        let settings = self.settings.clone().unwrap_or_default();
        let run = Finished { trips: true, ..Finished::of(Outcome::Failure) };
        self.count(&run, &settings, now);
        if let Some(hold) = &self.hold {
            return Reported::Held(hold.clone());
        }
        let away = settings.stays_away(away);
        let reason = reason.map_or(Reason::OwnReport, Reason::Words);
        let next = settings.cooldown_after(self.next_step(&settings, now));
        match self.state {
            State::Closed { .. } => Reported::Opened(self.open_for(away.unwrap_or(next), reason, &settings, now)),
            State::HalfOpen { .. } => {
                Reported::Opened(self.open_for(next.max(away.unwrap_or_default()), reason, &settings, now))
            }
            State::Open { since, cooldown, reopened } => {
                let away = away.unwrap_or(settings.cooldown_after(reopened));
                let (end, running) = (now.after(away), since.lasts(cooldown, now));
                if running && end <= since.after(cooldown) {
                    return Reported::Open;
                }
                let (since, cooldown) = if running { (since, end.left(since).min(2 * LONGEST)) } else { (now, away) };
                self.state = State::Open { since, cooldown, reopened };
                Reported::Lengthened
            }
        }
    }

    /// Uses the permit up, and returns whether it was good. Frees the probe's place.
    fn redeem(&mut self, permit: &Permit) -> bool {
        if permit.generation() != self.generation {
            return false;
        }
        let fresh = permit.serial().is_none_or(|serial| self.spent.spend(serial, self.serial));
        match &mut self.state {
            State::HalfOpen { probes, .. } if permit.is_probe() => {
                let before = probes.len();
                probes.retain(|probe| Some(probe.serial) != permit.serial());
                // Without a place of its own it was given up: the lease was over and another took it.
                fresh && probes.len() < before
            }
            _ => fresh,
        }
    }

    /// Adds a result to the totals and remembers it as the last one.
    fn note(&mut self, run: &Finished, settings: &Settings, now: Timestamp) {
        bump(match run.outcome {
            Outcome::Success => &mut self.totals.successes,
            Outcome::Failure => &mut self.totals.failures,
            Outcome::Ignored => &mut self.totals.ignored,
        });
        self.last_failure = self.last_failure().copied().filter(|_| run.outcome != Outcome::Failure);
        let Finished { outcome, end, took, http_status, .. } = *run;
        self.last = Some(Last { at: now, outcome, end, took, http_status });
        let in_vain = run.outcome == Outcome::Ignored && run.end.is_some_and(|end| settings.codes.tried_in_vain(end));
        self.in_vain = if in_vain { self.in_vain.saturating_add(1).min(Self::MANY_IN_VAIN) } else { 0 };
    }

    /// Adds a result to everything that counts results; `None` if it is neutral.
    fn count(&mut self, run: &Finished, settings: &Settings, now: Timestamp) -> Option<Mark> {
        self.note(run, settings, now);
        let failed = match run.outcome {
            Outcome::Success => false,
            Outcome::Failure => true,
            Outcome::Ignored => return None,
        };
        let slow = settings.slow_after.is_some_and(|limit| run.took.is_some_and(|took| took >= limit));
        let mark = Mark { failed, slow };
        self.consecutive_failures = if failed { self.consecutive_failures.saturating_add(1) } else { 0 };
        if failed {
            self.failures.push(now);
        }
        self.recent.push(mark);
        if let Window::Time(length) = settings.trip.window {
            if self.slices.as_ref().is_none_or(|slices| slices.length() != length) {
                self.windows_differ |= self.slices.is_some();
                self.slices = Some(Slices::new(length));
            }
        }
        if let Some(slices) = &mut self.slices {
            slices.push(mark, now);
        }
        Some(mark)
    }

    /// Opens a closed breaker if the result was bad and a rule holds, or if the run was told to stay away.
    fn judge(&mut self, run: &Finished, mark: Mark, settings: &Settings, now: Timestamp) -> Option<Change> {
        if let Some(away) = told_away(run, settings) {
            let reason = why(run, Reason::RetryAfter(run.http_status, away, run.end));
            return Some(self.open_for(away, reason, settings, now));
        }
        let reason = why(run, self.tripped(run, mark, settings, now)?);
        Some(self.open(reason, settings, now))
    }

    /// The rule that holds.
    fn tripped(&self, run: &Finished, mark: Mark, settings: &Settings, now: Timestamp) -> Option<Reason> {
        let trip = &settings.trip;
        let window = self.window(settings, now);
        let rate = |part: u32, percent: Option<u8>| {
            let percent = percent.filter(|_| window.calls >= trip.enough())?;
            reaches(part, window.calls, percent).then_some(Share { part, calls: window.calls })
        };
        if mark.failed {
            if run.trips {
                return Some(Reason::TripCode(run.end));
            }
            if trip.threshold.is_some_and(|limit| self.consecutive_failures >= limit.get()) {
                return Some(Reason::InARow(self.consecutive_failures, run.how()));
            }
            if let Some(share) = rate(window.failures, trip.failure_rate) {
                return Some(Reason::FailureRate(share, run.how()));
            }
            let spent = |budget: &Budget| self.failures.count(budget.within, now) >= budget.failures.into();
            if let Some(budget) = trip.budget.filter(spent) {
                return Some(Reason::Budget(budget.failures.into(), budget.within, run.how()));
            }
        }
        let bad = mark.failed || mark.slow;
        rate(window.slow, trip.slow_rate).filter(|_| bad).map(Reason::SlowRate)
    }

    /// Counts a probe's result, and closes or reopens if that decides.
    fn judge_probe(&mut self, run: &Finished, mark: Mark, settings: &Settings, now: Timestamp) -> Option<Change> {
        if let Some(change) = self.reopen_if_told(run, settings, now) {
            return Some(change);
        }
        let State::HalfOpen { successes, failures, .. } = &mut self.state else { return None };
        if mark.failed || mark.slow {
            *failures = failures.saturating_add(1);
            if *failures < settings.probe_failures && !(mark.failed && run.trips) {
                return None;
            }
            let reason = if mark.failed { Reason::ProbeFailed(run.how()) } else { Reason::ProbeSlow(run.took) };
            return Some(self.open(why(run, reason), settings, now));
        }
        *successes = successes.saturating_add(1);
        if *successes < settings.probe_successes {
            return None;
        }
        let reason = Reason::ProbesSucceeded(*successes);
        Some(self.close(reason, now))
    }

    /// Which opening in a row one would be that came now. Closing ends the row; by `backoff-reset` only once the breaker has
    /// been closed for that long, unless a person has closed it.
    fn next_step(&self, settings: &Settings, now: Timestamp) -> u32 {
        match self.state {
            State::Closed { since: Some(since), recovered: Some(before) }
                if since.lasts(settings.backoff_reset, now) =>
            {
                before.saturating_add(1)
            }
            State::Closed { .. } => 0,
            State::Open { reopened, .. } | State::HalfOpen { reopened, .. } => reopened.saturating_add(1),
        }
    }

    fn open(&mut self, reason: Reason, settings: &Settings, now: Timestamp) -> Change {
        self.open_for(settings.cooldown_after(self.next_step(settings, now)), reason, settings, now)
    }

    fn open_for(&mut self, cooldown: Duration, reason: Reason, settings: &Settings, now: Timestamp) -> Change {
        let reopened = self.next_step(settings, now);
        let from = self.phase(now);
        self.begin_outage(now);
        self.generation = self.generation.wrapping_add(1);
        self.state = State::Open { since: now, cooldown: self.with_jitter(cooldown, settings), reopened };
        bump(&mut self.totals.opened);
        self.changed(from, reason, None, now)
    }

    /// A cool-down of this generation, lengthened by chance.
    fn with_jitter(&self, cooldown: Duration, settings: &Settings) -> Duration {
        let jitter = u128::from(millis(cooldown)) * u128::from(settings.jitter) * u128::from(self.dice()) / (100 << 32);
        cooldown + Duration::from_millis(u64::try_from(jitter).unwrap_or(0))
    }

    /// Remembers when it opens, if it is closed until then.
    fn begin_outage(&mut self, now: Timestamp) {
        if matches!(self.state, State::Closed { .. }) {
            self.outage = Some(Outage { since: now, refused_before: self.totals.refused });
        }
    }

    /// A number from 0 to 2^32, the same for one generation of one breaker, unlike that of any other.
    fn dice(&self) -> u64 {
        // The identity of the breaker is random already.
        scattered(self.id ^ self.generation.wrapping_mul(STEP)) >> 32
    }

    /// Closes, everything counted so far cleared; totals and history stay.
    fn close(&mut self, reason: Reason, now: Timestamp) -> Change {
        let from = self.phase(now);
        let recovered = match self.state {
            State::Open { reopened, .. } | State::HalfOpen { reopened, .. } => Some(reopened),
            State::Closed { recovered, .. } => recovered,
        };
        self.clear(recovered, now);
        self.changed(from, reason, None, now)
    }

    fn clear(&mut self, recovered: Option<u32>, now: Timestamp) {
        // A closed breaker has no outage to end.
        self.outage = self.outage.filter(|_| !matches!(self.state, State::Closed { .. }));
        self.generation = self.generation.wrapping_add(1);
        self.state = State::Closed { since: Some(now), recovered };
        self.consecutive_failures = 0;
        self.rules_differ = false;
        self.windows_differ = false;
        self.recent = Recent::default();
        self.slices = None;
        self.failures = FailureTimes::default();
    }

    /// Removes a hold that is over, and reports that once. The state below it remains: after a trip, open with a probe
    /// due. No generation begins, for nothing changes but what is shown.
    pub fn settle(&mut self, now: Timestamp) -> Option<Change> {
        let hold = self.hold.take_if(|hold| hold.is_over(now))?;
        let to = self.phase(now);
        let from = if hold.kind == HoldKind::Disable { Phase::Disabled } else { to };
        // Where the clock was set back to before it began, its end is yet to come.
        let at = hold.until().map_or(now, |until| until.min(now));
        let change = Change { at, from, to, reason: Reason::HoldOver, by: None, count: 1 };
        self.history.push(change.clone());
        Some(change)
    }

    fn phase(&self, now: Timestamp) -> Phase {
        match self.state {
            _ if self.held_by(HoldKind::Disable, now) => Phase::Disabled,
            State::Closed { .. } => Phase::Closed,
            State::Open { .. } => Phase::Open,
            State::HalfOpen { .. } => Phase::HalfOpen,
        }
    }

    /// Remembers a change, and says it.
    fn changed(&mut self, from: Phase, reason: Reason, by: Option<String>, now: Timestamp) -> Change {
        let change = Change { at: now, from, to: self.phase(now), reason, by, count: 1 };
        self.history.push(change.clone());
        change
    }

    /// Takes less room as text: gives up the oldest of the history. `false` if it is as small as it gets.
    pub fn shrink(&mut self) -> bool {
        self.history.shrink()
    }

    // What a person does.

    /// Closes, clears what trips and ends any hold.
    pub fn reset(&mut self, by: String, now: Timestamp) -> Change {
        drop(self.settle(now));
        let from = self.phase(now);
        self.hold = None;
        self.clear(None, now);
        self.changed(from, Reason::Reset, Some(by), now)
    }

    /// Holds it open until [`Breaker::reset`], or disables it until [`Breaker::enable`], or either for a span.
    ///
    /// Of two holds of a kind the one that ends later is in force. The two kinds replace each other. Disabled, the
    /// state stands still: results are counted, and nothing trips or closes.
    pub fn order(&mut self, order: Order, now: Timestamp) -> Ordered {
        drop(self.settle(now));
        let Order { kind, span, replace, reason, by } = order;
        let same = self.hold.clone().filter(|hold| hold.kind == kind);
        if span == Some(Duration::ZERO) {
            return self.end_hold(kind, same.is_some(), reason, by, now);
        }
        let until = span.map(|span| now.after(span));
        match same {
            Some(hold) if !replace && !ends_later(until, hold.until()) => Ordered::Dropped(hold),
            same => {
                let from = self.phase(now);
                if kind == HoldKind::Trip {
                    self.open_by_hand(now);
                }
                let plain = if kind == HoldKind::Trip { Reason::Tripped } else { Reason::Disabled };
                let told = reason.clone().map_or(plain, Reason::Words);
                self.hold = Some(Hold { kind, by: by.clone(), reason, since: now, span });
                Ordered::InForce(self.changed(from, told, Some(by), now), same)
            }
        }
    }

    /// An order for no time at all: it ends a hold of its kind. A trip leaves the breaker open with a probe due, whatever
    /// it was.
    fn end_hold(
        &mut self,
        kind: HoldKind,
        was_held: bool,
        reason: Option<String>,
        by: String,
        now: Timestamp,
    ) -> Ordered {
        let from = self.phase(now);
        let told = match kind {
            HoldKind::Disable if !was_held => return Ordered::NoneToEnd,
            HoldKind::Trip if self.is_as_tripped(now) => return Ordered::Unchanged,
            // The reason for ending the hold is not the reason for the state.
            HoldKind::Disable => Reason::HoldOver,
            HoldKind::Trip => {
                self.open_by_hand(now);
                reason.map_or(if was_held { Reason::HoldOver } else { Reason::Tripped }, Reason::Words)
            }
        };
        self.hold = None;
        Ordered::Ended(self.changed(from, told, Some(by), now))
    }

    /// Whether it is what a trip for no time makes of it, and not held.
    fn is_as_tripped(&self, now: Timestamp) -> bool {
        let State::Open { since, cooldown, reopened: 0 } = self.state else { return false };
        self.hold.is_none() && !since.lasts(cooldown, now)
    }

    fn open_by_hand(&mut self, now: Timestamp) {
        if !matches!(self.state, State::Open { .. }) {
            bump(&mut self.totals.opened);
        }
        self.begin_outage(now);
        self.generation = self.generation.wrapping_add(1);
        self.state = State::Open { since: now, cooldown: Duration::ZERO, reopened: 0 };
    }

    /// Ends a disable, and goes on from there. `None` if it is not disabled.
    pub fn enable(&mut self, by: String, now: Timestamp) -> Option<Change> {
        drop(self.settle(now));
        self.hold.take_if(|hold| hold.kind == HoldKind::Disable)?;
        Some(self.changed(Phase::Disabled, Reason::Enabled, Some(by), now))
    }
}

/// Why a run opens the breaker: in the words of who reports it, if there are any.
fn why(run: &Finished, reason: Reason) -> Reason {
    run.reason.map_or(reason, |words| Reason::Words(words.to_owned()))
}

/// For how long a run was told to stay away, where that counts: it is a failure, and the caller's settings bound it.
fn told_away(run: &Finished, settings: &Settings) -> Option<Duration> {
    settings.stays_away(run.retry_after.filter(|_| run.outcome == Outcome::Failure))
}

/// Whether a hold until `this` ends later than one until `other`; a hold without an end ends last.
fn ends_later(this: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    match (this, other) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(this), Some(other)) => this > other,
    }
}

//! The protocol between processes, explored to its end: everything that three processes (two, where callers differ or
//! people hold it), people and a clock that steps can do to one real breaker, in every order, and after each step what
//! must hold always. What must hold is said by cb-contract(7) 1.25, 1.27, 1.31 to 1.33, 1.37, 1.40, 1.42, 1.54, 1.55,
//! 1.57 and 1.58.
//!
//! What is explored are worlds: a breaker, a clock, and who holds which permit. Two worlds count as one if nothing that may
//! still happen can tell them apart: totals, history and times of closing decide nothing, of generations it matters only
//! which permits are of the present one, and processes that hold the same are the same. Times are few and near each
//! other, but the clock may be set to any of them at any moment. So the worlds are finitely many.

use std::collections::{HashSet, VecDeque};
use std::num::NonZeroU32;
use std::time::Duration;

use crate::breaker::permit::Permit;
use crate::breaker::{Admission, Ask, Breaker, Draw, History, Hold, HoldKind, Phase, Recorded, State};
use crate::outcome::{Finished, Outcome};
use crate::settings::{Settings, TripRules};
use crate::time::Timestamp;

const PROCESSES: usize = 3;
/// 2026-01-02T03:04:05.678Z
const TODAY: u64 = 1_767_323_045_678;
/// How many moments there are, a millisecond apart.
const MOMENTS: u64 = 3;
/// In milliseconds, as all that follow: how long it stays open at first, and when it was reopened.
const COOLDOWN: u64 = 1;
const LONGEST_COOLDOWN: u64 = 2;
const LEASE: u64 = 2;
const HOLD: u64 = 1;
/// For how long a run is told to stay away, how long it lets runs in step by step, and how long a row of openings goes on.
const AWAY: u64 = 2;
const RAMP: u64 = 2;
const BACKOFF_RESET: u64 = 2;

/// A caller's settings: failures that open it, probes at once, probes that decide.
fn caller(threshold: u32, probes: u8, deciding: u32) -> Settings {
    Settings {
        trip: TripRules { threshold: NonZeroU32::new(threshold), ..Settings::default().trip },
        cooldown: Duration::from_millis(COOLDOWN),
        backoff: 2_000_000,
        max_cooldown: Some(Duration::from_millis(LONGEST_COOLDOWN)),
        probes,
        probe_successes: deciding,
        probe_failures: deciding,
        ..Settings::default()
    }
}

/// The same, and when it has recovered it does so by degrees.
fn gentle(threshold: u32, probes: u8, deciding: u32) -> Settings {
    Settings { ramp: ms(RAMP), backoff_reset: ms(BACKOFF_RESET), ..caller(threshold, probes, deciding) }
}

/// Whether a caller is one of these; then some are told to stay away, and some have drawn a late place in a ramp.
fn is_gentle(caller: &Settings) -> bool {
    !caller.ramp.is_zero()
}

/// What is known of a lease by who waits for its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Lease {
    /// It was never over.
    Kept,
    /// It was over at some time, and no probe was let through since.
    Over,
    /// It was over, and a probe was let through since: the place may be given away.
    Contested,
}

/// A permit that somebody holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    generation: u64,
    serial: Option<u64>,
    probe: bool,
    /// A run of `cb` holds it, whose place the kernel frees when it dies; else a script does, by `cb allow`.
    run: bool,
    since: u64,
    lease: Lease,
}

impl Held {
    fn permit(self, breaker: &Breaker) -> Permit {
        Permit::new(breaker.id, self.generation, self.serial, self.probe)
    }
}

#[derive(Clone, Debug)]
struct World {
    breaker: Breaker,
    now: u64,
    processes: [Option<Held>; PROCESSES],
    /// A numbered permit of this generation that was reported: a script may do so again.
    reported: Option<Held>,
}

/// What a permit is worth: none at all, that of an old generation or without a place, that of a run, that of a probe with
/// this place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Worth {
    Nothing,
    Late,
    Passing { run: bool },
    Probing { run: bool, place: usize, lease: Lease },
}

/// The present of a world, as far as it decides the future.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    now: u64,
    phase: u8,
    open: Option<(u64, Duration)>,
    /// When it has closed by itself, where that matters.
    recovered: Option<u64>,
    reopened: u32,
    deciding: (u32, u32),
    places: Vec<u64>,
    failures: u32,
    hold: Option<(bool, u64, Option<Duration>)>,
    processes: [Worth; PROCESSES],
    reported: Worth,
}

/// A result, and whether it brings a Retry-After.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    outcome: Outcome,
    told: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Clock(u64),
    Ask { process: usize, caller: usize, run: bool, late: bool },
    Report { process: usize, caller: usize, result: Seen },
    Die(usize),
    Observe { caller: usize, result: Seen },
    Trip(Option<u64>),
    Disable(Option<u64>),
    Enable,
    Reset,
}

/// A rule that is left out on purpose, to see that the exploration finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    /// The generation of a permit is not looked at.
    Generations,
    /// A prober's death frees nothing.
    Deaths,
    /// One more probe is let through than may be.
    Places,
    /// A lease never ends.
    Leases,
    /// A success ends what a person has ordered.
    Holds,
    /// Which permits were reported is forgotten.
    Reported,
    /// A change of state starts no generation.
    Changes,
    /// A late Retry-After holds, whether it is longer or not.
    Lengthening,
    /// A ramp never ends.
    Ramps,
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn time(moment: u64) -> Timestamp {
    Timestamp::from_millis(TODAY + moment)
}

fn phase(state: &State) -> Phase {
    match state {
        State::Closed { .. } => Phase::Closed,
        State::Open { .. } => Phase::Open,
        State::HalfOpen { .. } => Phase::HalfOpen,
    }
}

fn seen(Seen { outcome, told }: Seen) -> Finished<'static> {
    Finished { retry_after: told.then(|| ms(AWAY)), ..Finished::of(outcome) }
}

const SUCCESS: Seen = Seen { outcome: Outcome::Success, told: false };
const FAILURE: Seen = Seen { outcome: Outcome::Failure, told: false };
const IGNORED: Seen = Seen { outcome: Outcome::Ignored, told: false };
const TOLD: Seen = Seen { outcome: Outcome::Failure, told: true };

fn must(holds: bool, rule: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(rule) }
}

impl World {
    fn new() -> Self {
        Self { breaker: Breaker::new(1), now: 0, processes: [None; PROCESSES], reported: None }
    }

    fn at(&self) -> Timestamp {
        time(self.now)
    }

    fn hold(&self) -> Option<&Hold> {
        self.breaker.hold(self.at())
    }

    fn worth(&self, held: Option<Held>) -> Worth {
        match held {
            None => Worth::Nothing,
            Some(held) if held.generation != self.breaker.generation => Worth::Late,
            Some(Held { probe: false, run, .. }) => Worth::Passing { run },
            Some(Held { run, lease, serial, .. }) => {
                let place = self.breaker.probes().iter().position(|probe| Some(probe.serial) == serial);
                place.map_or(Worth::Late, |place| Worth::Probing { run, place, lease })
            }
        }
    }

    fn key(&self, callers: &[Settings]) -> Key {
        let moment = |time: Timestamp| time.as_millis() - TODAY;
        let most = callers.iter().filter_map(|caller| caller.trip.threshold).max().map_or(0, NonZeroU32::get);
        let recovered = match self.breaker.state {
            State::Closed { since, recovered: Some(_) } if callers.iter().any(is_gentle) => since.map(moment),
            _ => None,
        };
        let (open, reopened, deciding) = match self.breaker.state {
            State::Closed { recovered: Some(before), .. } if recovered.is_some() => (None, before.min(1), (0, 0)),
            State::Closed { .. } => (None, 0, (0, 0)),
            State::Open { since, cooldown, reopened } => (
                // A span of no time is over, whenever it began.
                Some((if cooldown.is_zero() { 0 } else { moment(since) }, cooldown)),
                // From the first reopening on, the cool-down is the longest.
                reopened.min(1),
                (0, 0),
            ),
            State::HalfOpen { reopened, successes, failures, .. } => (None, reopened.min(1), (successes, failures)),
        };
        let mut processes = self.processes.map(|held| self.worth(held));
        processes.sort_unstable();
        Key {
            now: self.now,
            phase: phase(&self.breaker.state) as u8,
            open,
            recovered,
            reopened,
            deciding,
            places: self.breaker.probes().iter().map(|probe| moment(probe.since)).collect(),
            failures: self.breaker.consecutive_failures.min(most),
            hold: self.breaker.hold.as_ref().map(|hold| {
                let since = hold.span.filter(|span| !span.is_zero()).map_or(0, |_| moment(hold.since));
                (hold.kind == HoldKind::Trip, since, hold.span)
            }),
            processes,
            reported: self.worth(self.reported),
        }
    }

    /// Everything that may happen next.
    fn actions(&self, scope: &Scope<'_>) -> Vec<Action> {
        let is_gentle = scope.callers.iter().any(is_gentle);
        let results: &[Seen] =
            if is_gentle { &[SUCCESS, FAILURE, IGNORED, TOLD] } else { &[SUCCESS, FAILURE, IGNORED] };
        let late: &[bool] = if is_gentle { &[false, true] } else { &[false] };
        let mut actions: Vec<_> = (0..MOMENTS).filter(|&moment| moment != self.now).map(Action::Clock).collect();
        for caller in 0..scope.callers.len() {
            // Those that hold nothing are all the same.
            if let Some(process) = self.processes[..scope.processes].iter().position(Option::is_none) {
                for &late in late {
                    actions.extend([true, false].map(|run| Action::Ask { process, caller, run, late }));
                }
            }
            for process in (0..PROCESSES).filter(|&process| self.processes[process].is_some()) {
                actions.extend(results.iter().map(|&result| Action::Report { process, caller, result }));
            }
            actions.extend(results.iter().map(|&result| Action::Observe { caller, result }));
        }
        actions.extend((0..PROCESSES).filter(|&process| self.processes[process].is_some()).map(Action::Die));
        actions.extend([Action::Trip(None), Action::Trip(Some(0)), Action::Reset]);
        if scope.holds {
            actions.extend([
                Action::Trip(Some(HOLD)),
                Action::Disable(None),
                Action::Disable(Some(HOLD)),
                Action::Enable,
            ]);
        }
        actions
    }

    /// Whether there is such a hold, and one for `span` from now on would end no later.
    fn outlasts(&self, kind: HoldKind, span: Option<u64>) -> bool {
        let no_later = |hold: &Hold| match (hold.until(), span) {
            // For no time is to end it.
            (_, Some(0)) | (Some(_), None) => false,
            (None, _) => true,
            (Some(until), Some(span)) => time(self.now + span) <= until,
        };
        self.hold().is_some_and(|hold| hold.kind == kind && no_later(hold))
    }

    /// Whether a trip for no time would leave it as it is.
    fn is_as_tripped(&self) -> bool {
        let State::Open { since, cooldown, reopened: 0 } = self.breaker.state else { return false };
        self.hold().is_none() && !since.lasts(cooldown, self.at())
    }

    /// Does one of them, and looks at what came of it.
    fn after(&self, action: Action, callers: &[Settings], broken: Option<Broken>) -> Result<Self, &'static str> {
        let mut world = self.clone();
        let (now, by) = (self.at(), || "ann".to_owned());
        match action {
            Action::Clock(moment) => world.set_clock(moment),
            Action::Ask { process, caller, run, late } => world.ask(process, &callers[caller], run, late, broken)?,
            Action::Report { process, caller, result } => {
                let held = world.processes[process].take().expect("it holds one");
                world.report(held, result, &callers[caller], broken)?;
                if !held.run && held.generation == world.breaker.generation {
                    world.reported = Some(held);
                }
            }
            Action::Die(process) => {
                let held = world.processes[process].take().expect("it holds one");
                if held.run && broken != Some(Broken::Deaths) {
                    held.serial.into_iter().for_each(|serial| world.breaker.abandon(serial));
                }
            }
            Action::Observe { caller, result } => {
                let change = world.breaker.observe(&seen(result), &callers[caller], now);
                must(change.is_some() == world.changed(self), "what is told as a change is one")?;
                world.look_at_cooldown(self.breaker.clone(), result)?;
                if broken == Some(Broken::Holds) && result == SUCCESS {
                    world.breaker.hold = None;
                }
            }
            Action::Trip(span) => {
                let tripped = world.breaker.trip(span.map(ms), None, by(), now).is_some();
                let in_vain = self.outlasts(HoldKind::Trip, span) || span == Some(0) && self.is_as_tripped();
                must(tripped != in_vain, "of two trips the later end wins, and one that changes nothing is none")?;
                must(tripped == world.changed(self), "a trip starts a generation")?;
            }
            Action::Disable(span) => {
                let disabled = world.breaker.disable(span.map(ms), None, by(), now).is_some();
                must(disabled != self.outlasts(HoldKind::Disable, span), "of two disables the later end wins")?;
            }
            Action::Enable => drop(world.breaker.enable(by(), now)),
            Action::Reset => {
                world.breaker.reset(by(), now);
                must(world.changed(self), "a reset starts a generation")?;
                must(phase(&world.breaker.state) == Phase::Closed && world.breaker.hold.is_none(), "a reset closes")?;
            }
        }
        if broken == Some(Broken::Changes) {
            world.breaker.generation = self.breaker.generation;
        }
        if world.reported.is_some_and(|held| held.generation != world.breaker.generation) {
            world.reported = None;
        }
        self.look_at_change(action, &world)?;
        world.look_at_places(callers)?;
        world.look_at_late_ones(callers, broken)?;
        // It decides nothing, and would fill the memory.
        world.breaker.history = History::default();
        Ok(world)
    }

    fn changed(&self, before: &Self) -> bool {
        self.breaker.generation != before.breaker.generation
    }

    fn set_clock(&mut self, moment: u64) {
        self.now = moment;
        for held in self.processes.iter_mut().flatten() {
            if held.probe && !(held.since..held.since + LEASE).contains(&moment) && held.lease == Lease::Kept {
                held.lease = Lease::Over;
            }
        }
    }

    fn ask(
        &mut self,
        process: usize,
        caller: &Settings,
        run: bool,
        late: bool,
        broken: Option<Broken>,
    ) -> Result<(), &'static str> {
        let (before, now) = (self.clone(), self.at());
        let endless = Settings { ramp: ms(100_000), ..caller.clone() };
        let caller = if broken == Some(Broken::Ramps) { &endless } else { caller };
        let generous = Settings { probes: caller.probes + 1, ..caller.clone() };
        let ask = Ask {
            settings: if broken == Some(Broken::Places) { &generous } else { caller },
            lease: if broken == Some(Broken::Leases) { ms(100_000) } else { ms(LEASE) },
            pid: run.then_some(7),
            draw: if late { LATE } else { Draw::FIRST },
        };
        let Admission::Admitted(permit) = self.breaker.admit(&ask, now) else {
            let mut expected = before.breaker.clone();
            expected.settle(now);
            expected.use_settings(ask.settings);
            expected.totals.refused += 1;
            if let State::Closed { since, recovered } = before.breaker.state {
                let ramps = recovered.is_some() && since.is_some_and(|since| since.lasts(ms(RAMP / 2), now));
                must(late && ramps, "closed, none is refused but by its draw in a ramp")?;
            }
            return must(self.breaker == expected, "a refusal changes nothing but its count");
        };
        let held = Held {
            generation: permit.generation(),
            serial: permit.serial(),
            probe: permit.is_probe(),
            run,
            since: self.now,
            lease: Lease::Kept,
        };
        must(held.generation == self.breaker.generation, "a permit is of the generation that began with it")?;
        if held.probe {
            for other in self.processes.iter_mut().flatten().filter(|other| other.lease == Lease::Over) {
                other.lease = Lease::Contested;
            }
        } else {
            let free = before.breaker.hold(now).is_some() || phase(&before.breaker.state) == Phase::Closed;
            must(free, "only probes pass where it is not closed")?;
        }
        self.processes[process] = Some(held);
        Ok(())
    }

    fn report(
        &mut self,
        held: Held,
        result: Seen,
        caller: &Settings,
        broken: Option<Broken>,
    ) -> Result<(), &'static str> {
        let (before, now) = (self.breaker.clone(), self.at());
        let claimed =
            if broken == Some(Broken::Generations) { Held { generation: before.generation, ..held } } else { held };
        if broken == Some(Broken::Reported) {
            self.breaker.spent = super::super::Spent::default();
        }
        let recorded = self.breaker.record(&claimed.permit(&before), &seen(result), caller, now);
        match recorded {
            Recorded::Foreign => Err("a permit of this breaker is known"),
            Recorded::Counted(_) if held.generation != before.generation => {
                Err("a result of an old generation is late")
            }
            Recorded::Counted(change) => {
                must(change.is_some() == (self.breaker.generation != before.generation), "a change is told")?;
                let totals = |breaker: &Breaker| {
                    let totals = breaker.totals;
                    totals.successes + totals.failures + totals.ignored
                };
                must(totals(&self.breaker) == totals(&before) + 1, "what is not late is counted")?;
                must(self.breaker.totals.late == before.totals.late, "what is counted is not late")?;
                let place = |breaker: &Breaker| breaker.probes().iter().any(|probe| Some(probe.serial) == held.serial);
                must(!held.probe || place(&before) && !place(&self.breaker), "a report gives the place back")?;
                let held_now = before.hold(now).is_some();
                let opened = held_now || !result.told || phase(&self.breaker.state) == Phase::Open;
                must(opened, "who is told to stay away opens it at once")?;
                self.look_at_cooldown(before, result)?;
                if broken == Some(Broken::Holds) && result == SUCCESS {
                    self.breaker.hold = None;
                }
                Ok(())
            }
            Recorded::Late => {
                let timely = held.generation == before.generation && held.lease != Lease::Contested;
                must(!timely, "a place is kept until its lease is over and another takes it")?;
                if let State::Open { cooldown, .. } = &mut self.breaker.state {
                    if broken == Some(Broken::Lengthening) && result.told {
                        *cooldown = ms(AWAY / 2);
                    }
                }
                self.look_at_late(held, result, before)
            }
        }
    }

    /// Who is told to stay away keeps it open for at least that long, and what keeps it open for longer already stays.
    fn look_at_cooldown(&self, mut before: Breaker, result: Seen) -> Result<(), &'static str> {
        let now = self.at();
        before.settle(now);
        let State::Open { since, cooldown, .. } = self.breaker.state else { return Ok(()) };
        let end = since.after(cooldown);
        let told = result.told && before.hold.is_none();
        let State::Open { since, cooldown, .. } = before.state else {
            return must(!told || end >= now.after(ms(AWAY)), "who is told to stay away opens it for so long");
        };
        let (runs, end_before) = (since.lasts(cooldown, now), since.after(cooldown));
        let expected = if told && runs { end_before.max(now.after(ms(AWAY))) } else { end_before };
        must(end >= end_before, "no result shortens a cool-down")?;
        must(end == expected, "a Retry-After lengthens a cool-down that is running, and nothing else does")
    }

    /// A late result has changed nothing but the count of late ones, and where it is told to stay away the cool-down; of a
    /// place that was given away, it is the last.
    fn look_at_late(&self, held: Held, result: Seen, mut before: Breaker) -> Result<(), &'static str> {
        self.look_at_cooldown(before.clone(), result)?;
        if let (State::Open { cooldown, .. }, State::Open { cooldown: after, .. }) =
            (&mut before.state, &self.breaker.state)
        {
            *cooldown = *after;
        }
        if held.generation == before.generation {
            before.spent.clone_from(&self.breaker.spent);
        }
        before.settle(self.at());
        before.totals.late += 1;
        must(self.breaker == before, "a late result changes nothing")
    }

    /// What no change may do, whatever it is.
    fn look_at_change(&self, action: Action, after: &Self) -> Result<(), &'static str> {
        let (before, after_it) = (&self.breaker, &after.breaker);
        let (from, to) = (phase(&before.state), phase(&after_it.state));
        must(after_it.generation >= before.generation, "a generation never returns")?;
        must(from == to || after_it.generation > before.generation, "a change of state starts a generation")?;
        must(after_it.totals.opened <= before.totals.opened + 1, "it opens once")?;
        let machine = matches!(
            action,
            Action::Clock(_) | Action::Ask { .. } | Action::Report { .. } | Action::Die(_) | Action::Observe { .. }
        );
        if !machine {
            return Ok(());
        }
        must(from != to || after_it.generation == before.generation, "a generation begins with a change of state")?;
        if let Some(hold) = self.hold().filter(|_| !matches!(action, Action::Clock(_))) {
            must(after.hold() == Some(hold), "no result ends a hold")?;
            must(from == to, "under a hold nothing moves")?;
        }
        let outcome = match action {
            Action::Report { result, .. } | Action::Observe { result, .. } => Some(result.outcome),
            _ => None,
        };
        let observed = matches!(action, Action::Observe { .. });
        let may = match (from, to) {
            (from, to) if from == to => true,
            (Phase::Closed | Phase::HalfOpen, Phase::Open) => outcome == Some(Outcome::Failure),
            (Phase::HalfOpen, Phase::Closed) => outcome == Some(Outcome::Success),
            (Phase::Open, Phase::Closed) => outcome == Some(Outcome::Success) && observed,
            (Phase::Open, Phase::HalfOpen) => {
                let State::Open { since, cooldown, .. } = before.state else { return Err("it is open") };
                let refuses = since.as_millis()..(since.as_millis() + u64::try_from(cooldown.as_millis()).unwrap_or(0));
                matches!(action, Action::Ask { .. }) && !refuses.contains(&self.at().as_millis())
            }
            _ => false,
        };
        must(may, "no change of state but those of the table")
    }

    /// Who probes, and which places are taken.
    fn look_at_places(&self, callers: &[Settings]) -> Result<(), &'static str> {
        let most = usize::from(callers.iter().map(|caller| caller.probes).max().unwrap_or(0));
        let probing = |held: &&Held| held.probe && held.generation == self.breaker.generation;
        let kept = self.processes.iter().flatten().filter(probing).filter(|held| held.lease == Lease::Kept);
        must(kept.count() <= most, "at most so many probes are within their leases")?;
        must(self.breaker.probes().len() <= most, "at most so many places are taken")?;
        for place in self.breaker.probes().iter().filter(|place| place.pid.is_some()) {
            let alive = self.processes.iter().flatten().any(|held| held.serial == Some(place.serial) && probing(&held));
            must(alive, "the dead have no places")?;
        }
        Ok(())
    }

    /// A report that was made is late when it is made again.
    fn look_at_late_ones(&self, callers: &[Settings], broken: Option<Broken>) -> Result<(), &'static str> {
        let Some(held) = self.reported else { return Ok(()) };
        for result in [SUCCESS, FAILURE] {
            let mut again = self.clone();
            if broken == Some(Broken::Reported) {
                again.breaker.spent = super::super::Spent::default();
            }
            let before = again.breaker.clone();
            let recorded = again.breaker.record(&held.permit(&before), &seen(result), &callers[0], self.at());
            must(recorded == Recorded::Late, "a permit is good once")?;
            again.look_at_late(held, result, before)?;
        }
        Ok(())
    }

    /// Whether it can recover: soon a run is let through, and successes close it. A person's order may forbid it.
    fn look_at_recovery(&self, callers: &[Settings]) -> Result<(), &'static str> {
        let most = callers.iter().map(|caller| caller.probes).max().unwrap_or(0);
        // Behind a hold there may be a cool-down, if the clock was set back between the two.
        let held = if self.breaker.hold.is_some() { HOLD } else { 0 };
        for caller in callers {
            // The leases of another's probes, more than this one would let through, may then be one behind the other.
            let patience = held + LONGEST_COOLDOWN.max(LEASE * u64::from(most - caller.probes + 1));
            // Where the clock was set back since it was told, the end lies so much further ahead.
            let patience = if is_gentle(caller) { patience + MOMENTS - 1 + AWAY } else { patience };
            let soon = (self.at(), time(self.now + patience));
            // Where the clock has left it all behind, in either direction, nobody need wait.
            let ever = [0, u64::MAX].map(Timestamp::from_millis);
            for (first, last) in [soon, (ever[0], ever[0]), (ever[1], ever[1])] {
                match &self.breaker.hold {
                    Some(Hold { kind: HoldKind::Trip, span: None, .. }) => {
                        let mut breaker = self.breaker.clone();
                        must(!passes(&mut breaker, caller, last), "a hold without end has none")?;
                        breaker.reset("ann".to_owned(), last);
                        must(passes(&mut breaker, caller, last), "a reset lets runs through")?;
                    }
                    Some(Hold { kind: HoldKind::Disable, span: None, .. }) => {
                        must(passes(&mut self.breaker.clone(), caller, last), "whoever is not guarded passes")?;
                    }
                    _ => self.recovers(caller, first, last)?,
                }
            }
        }
        Ok(())
    }

    fn recovers(&self, caller: &Settings, first: Timestamp, last: Timestamp) -> Result<(), &'static str> {
        let mut moments = (first.as_millis()..=last.as_millis()).map(Timestamp::from_millis);
        let free = moments.find(|&now| {
            let disabled = self.breaker.hold(now).is_some_and(|hold| hold.kind == HoldKind::Disable);
            !disabled && passes(&mut self.breaker.clone(), caller, now)
        });
        let now = free.ok_or("no state is stuck")?;
        let mut breaker = self.breaker.clone();
        for _ in 0..caller.probe_successes.max(1) {
            let ask = Ask { settings: caller, lease: ms(LEASE), pid: Some(7), draw: Draw::FIRST };
            let Admission::Admitted(permit) = breaker.admit(&ask, now) else { return Err("no probe is stuck") };
            let run = seen(SUCCESS);
            must(matches!(breaker.record(&permit, &run, caller, now), Recorded::Counted(_)), "a timely result counts")?;
        }
        must(phase(&breaker.state) == Phase::Closed, "successes close it")
    }
}

/// The half of a ramp must be over.
const LATE: Draw = Draw::HALF;

fn passes(breaker: &mut Breaker, caller: &Settings, now: Timestamp) -> bool {
    let ask = Ask { settings: caller, lease: ms(LEASE), pid: Some(7), draw: LATE };
    matches!(breaker.admit(&ask, now), Admission::Admitted(_))
}

/// What an exploration has seen.
#[derive(Debug, Default)]
struct Explored {
    worlds: usize,
    steps: usize,
}

/// A rule that does not hold, and the shortest way there.
#[derive(Debug)]
struct Violation {
    rule: &'static str,
    #[expect(dead_code, reason = "it is for people to read")]
    way: Vec<Action>,
}

/// How much of it is explored.
struct Scope<'a> {
    callers: &'a [Settings],
    processes: usize,
    /// Whether people disable it, and hold it for a span.
    holds: bool,
}

fn explore(scope: &Scope<'_>, broken: Option<Broken>) -> Result<Explored, Violation> {
    let callers = scope.callers;
    let mut known = HashSet::from([World::new().key(callers)]);
    let mut ahead = VecDeque::from([(World::new(), 0)]);
    // By which action each world was found, and from which other.
    let mut trail: Vec<Option<(usize, Action)>> = vec![None];
    let mut steps = 0;
    let violation = |rule, last: Option<Action>, mut from: usize, trail: &[Option<(usize, Action)>]| {
        let mut way: Vec<_> = last.into_iter().collect();
        while let Some((before, action)) = trail[from] {
            way.push(action);
            from = before;
        }
        way.reverse();
        Violation { rule, way }
    };
    while let Some((world, index)) = ahead.pop_front() {
        world.look_at_recovery(callers).map_err(|rule| violation(rule, None, index, &trail))?;
        for action in world.actions(scope) {
            steps += 1;
            let next = world.after(action, callers, broken);
            let next = next.map_err(|rule| violation(rule, Some(action), index, &trail))?;
            if known.insert(next.key(callers)) {
                ahead.push_back((next, trail.len()));
                trail.push(Some((index, action)));
            }
        }
    }
    Ok(Explored { worlds: known.len(), steps })
}

#[track_caller]
fn holds_everywhere(scope: &Scope<'_>, least: (usize, usize)) {
    let Explored { worlds, steps } = explore(scope, None).unwrap_or_else(|violation| panic!("{violation:#?}"));
    assert!(worlds >= least.0 && steps >= least.1, "only {worlds} worlds and {steps} steps: something is left out");
}

#[test]
fn one_place_and_the_first_failure() {
    holds_everywhere(&Scope { callers: &[caller(1, 1, 1)], processes: 3, holds: false }, (900, 15_000));
}

#[test]
fn two_places_and_two_that_decide() {
    holds_everywhere(&Scope { callers: &[caller(2, 2, 2)], processes: 3, holds: false }, (35_000, 620_000));
}

#[test]
fn callers_who_differ() {
    holds_everywhere(
        &Scope { callers: &[caller(1, 1, 1), caller(2, 2, 2)], processes: 2, holds: false },
        (19_000, 460_000),
    );
}

#[test]
fn runs_that_are_told_to_stay_away_and_a_ramp() {
    holds_everywhere(&Scope { callers: &[gentle(1, 1, 1)], processes: 3, holds: false }, (1_700, 37_000));
    holds_everywhere(&Scope { callers: &[gentle(1, 1, 1)], processes: 2, holds: true }, (25_000, 570_000));
}

#[test]
fn people_who_hold_it() {
    holds_everywhere(&Scope { callers: &[caller(1, 1, 1)], processes: 2, holds: true }, (17_000, 320_000));
}

#[test]
fn a_rule_that_is_left_out_is_missed() {
    for (broken, rule) in [
        (Broken::Generations, "a result of an old generation is late"),
        (Broken::Deaths, "the dead have no places"),
        (Broken::Places, "at most so many probes are within their leases"),
        (Broken::Leases, "no state is stuck"),
        (Broken::Holds, "no result ends a hold"),
        (Broken::Reported, "a permit is good once"),
        (Broken::Changes, "a change of state starts a generation"),
        (Broken::Lengthening, "a Retry-After lengthens a cool-down that is running, and nothing else does"),
        (Broken::Ramps, "closed, none is refused but by its draw in a ramp"),
    ] {
        let callers =
            if [Broken::Lengthening, Broken::Ramps].contains(&broken) { [gentle(1, 1, 1)] } else { [caller(1, 1, 1)] };
        let scope = Scope { callers: &callers, processes: 3, holds: true };
        let found = explore(&scope, Some(broken)).map_err(|violation| violation.rule);
        assert_eq!(found.map(|explored| explored.worlds), Err(rule), "without {broken:?}");
    }
}

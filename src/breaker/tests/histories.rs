//! Random histories: after each step the core, the model, and the core read from its own text must agree in everything.

use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::model::{Away, Change as Told, END_OF_TIME, Millis, Model, Pass, Report, Verdict};
use crate::breaker::permit::Permit;
use crate::breaker::stored;
use crate::breaker::{
    Admission, Answer, Ask, Breaker, Cause, Change, Draw, Gone, HoldKind, Order, Phase, Recorded, Reported, State,
};
use crate::outcome::{End, Finished, Outcome};
use crate::settings::{Budget, Key, Settings, TripRules, Window};
use crate::time::{LONGEST, Timestamp};

const ID: u64 = 0x00c0_ffee_0000_0001;
const DAY: Millis = 86_400_000;
/// 2026-01-02T03:04:05.678Z
const TODAY: Millis = 1_767_323_045_678;
/// The bytes that a state file has beside the breaker: the longest name, the version, two write numbers.
const AROUND: usize = 300;

/// A number that choices are taken from. Zero takes the first of each, so a history shrinks to what is plain.
struct Choices(u64);

impl Choices {
    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        let count = choices.len() as u64;
        let choice = choices[usize::try_from(self.0 % count).expect("less than the length of a slice")];
        self.0 /= count;
        choice
    }
}

/// One of the callers, each with settings of its own.
fn caller(number: u64) -> Settings {
    let mut choose = Choices(number);
    let ms = Duration::from_millis;
    let threshold = choose.of(&[1, 2, 3, 5, 0]);
    let failure_rate = choose.of(&[None, Some(50), Some(100), Some(34), Some(1)]);
    let slow_after = choose.of(&[None, Some(ms(100)), Some(ms(0)), Some(ms(1_000))]);
    let slow_rate = choose.of(&[None, Some(50), Some(100)]).filter(|_| slow_after.is_some());
    let window = choose.of(&[
        Window::Calls(20),
        Window::Calls(1),
        Window::Calls(3),
        Window::Time(ms(10_000)),
        Window::Time(ms(1_000)),
        Window::Time(ms(95)),
        Window::Time(ms(7)),
        Window::Time(ms(300_000)),
        Window::Time(ms(400 * DAY)),
        Window::Time(LONGEST),
    ]);
    let min_calls = choose.of(&[1, 2, 3, 4, 10, 1_000]);
    let budget = choose.of(&[None, Some((2, 1_000)), Some((3, 10_000)), Some((1, 1)), Some((4, 3_600_000))]);
    let budget = budget.map(|(failures, within)| Budget { failures, within: ms(within) });
    // Now and then one that reaches back for years.
    let within = choose.of(&[None, None, Some(ms(1_000 * DAY)), Some(LONGEST)]);
    let budget = budget.map(|budget| Budget { within: within.unwrap_or(budget.within), ..budget });
    let cooldown = ms(choose.of(&[30_000, 1_000, 0, 1, 600_000, 200 * DAY + 123]));
    let max_cooldown = choose.of(&[None, Some(cooldown), Some(cooldown * 5), Some(LONGEST)]);
    // What goes without saying is nothing that was said.
    let max_cooldown = max_cooldown.filter(|max| *max != cooldown.max(ms(3_600_000)));
    let backoff = choose.of(&[1_000_000, 2_000_000, 1_500_000, 100_000_000, 1_000_001]);
    Settings {
        trip: TripRules { threshold: NonZeroU32::new(threshold), failure_rate, slow_rate, window, min_calls, budget },
        slow_after,
        cooldown,
        backoff,
        max_cooldown,
        backoff_reset: ms(choose.of(&[0, 10_000, 1, 3_600_000, 400 * DAY])),
        jitter: choose.of(&[0, 10, 100]),
        ramp: choose.of(&[ms(0), ms(10_000), ms(1), ms(1_001), ms(DAY), LONGEST]),
        probes: choose.of(&[1, 2, 3, 16]),
        probe_successes: choose.of(&[1, 2, 3]),
        probe_failures: choose.of(&[1, 2, 3]),
        lease: choose.of(&[None, Some(ms(60_000)), Some(ms(1_000)), Some(ms(0))]),
        max_retry_after: choose.of(&[ms(3_600_000), ms(5_000), ms(0), LONGEST]),
        ..Settings::default()
    }
}

fn lease(settings: &Settings) -> Duration {
    settings.lease.unwrap_or(Duration::from_secs(3_600))
}

/// Where the clock goes before something happens.
#[derive(Clone, Copy, Debug)]
enum Clock {
    Stays,
    /// It goes on.
    Goes(Millis),
    /// It is set back.
    Returns(Millis),
    /// To one of the moments at which something changes, or one millisecond beside it.
    Reaches(u16, i64),
    Is(Millis),
}

/// What a run was seen to be.
#[derive(Clone, Copy, Debug)]
struct Seen {
    outcome: Outcome,
    trips: bool,
    took: Option<Millis>,
    /// What it was told by a Retry-After, with a status if it is odd.
    away: Option<Millis>,
}

/// What a run may draw, in thousandths.
const DRAWS: [Millis; 8] = [0, 0, 0, 1, 250, 500, 500, 999];

/// What happens. Callers, permits and probes are meant modulo how many there are.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Call(usize, Seen, Millis),
    Begin {
        caller: usize,
        numbered: bool,
        draw: Millis,
        dry: bool,
    },
    End {
        permit: usize,
        caller: usize,
        seen: Seen,
    },
    Again {
        permit: usize,
        caller: usize,
        seen: Seen,
    },
    Observe(usize, Seen),
    Die(usize),
    /// So many runs, and so many of the probes, are found to have been killed.
    Kill {
        caller: usize,
        runs: usize,
        probes: usize,
    },
    Trip(Option<Millis>, bool),
    Disable(Option<Millis>, bool),
    Enable,
    Reset,
    /// A run reports by itself that it is to stay away.
    Report(Option<Millis>),
    Foreign(usize, Seen),
    /// Many calls in a row, or permits that are asked for.
    Many {
        caller: usize,
        seen: Seen,
        numbered: bool,
        count: u16,
    },
}

#[derive(Clone, Copy, Debug)]
struct Step {
    clock: Clock,
    deed: Deed,
}

/// The kinds of deeds, as often as they are wanted.
#[derive(Clone, Copy)]
enum Kind {
    Call,
    Begin,
    End,
    Again,
    Observe,
    Die,
    Kill,
    Trip,
    Disable,
    Enable,
    Reset,
    Report,
    Foreign,
    Many,
}

/// One in sixteen.
const RARELY: [bool; 16] = {
    let mut choices = [false; 16];
    choices[15] = true;
    choices
};

impl From<u64> for Step {
    fn from(number: u64) -> Self {
        use Kind::{Again, Begin, Call, Die, Disable, Enable, End, Foreign, Kill, Many, Observe, Report, Reset, Trip};
        let mut choose = Choices(number);
        let kind = choose.of(&[
            Call, Call, Call, Call, Call, Call, Call, Begin, Begin, Begin, Begin, End, End, End, End, End, Again,
            Observe, Observe, Die, Kill, Trip, Trip, Disable, Disable, Enable, Reset, Report, Foreign, Many,
        ]);
        let caller = choose.of(&[0, 1, 2]);
        let which = choose.of(&[0, 1, 2, 3, 4, 5, 6, 7]);
        let outcome = choose.of(&[
            Outcome::Failure,
            Outcome::Failure,
            Outcome::Failure,
            Outcome::Success,
            Outcome::Success,
            Outcome::Ignored,
        ]);
        let trips = choose.of(&RARELY);
        let took = choose.of(&[None, Some(0), Some(99), Some(100), Some(1_000), Some(1_000_000)]);
        let away = choose.of(&[None, None, None, None, None, None, Some(20_000), Some(1), Some(0), Some(DAY + 1)]);
        let seen = Seen { outcome, trips: trips && outcome == Outcome::Failure, took, away };
        let span = choose.of(&[None, Some(10_000), Some(1_000), Some(0), Some(DAY)]);
        let replace = choose.of(&[false, false, false, true]);
        let numbered = choose.of(&[false, true]);
        let dry = choose.of(&[false, false, false, true]);
        let draw = choose.of(&DRAWS);
        let deed = match kind {
            Call => Deed::Call(caller, seen, draw),
            Begin => Deed::Begin { caller, numbered, draw, dry },
            End => Deed::End { permit: which, caller, seen },
            Again => Deed::Again { permit: which, caller, seen },
            Observe => Deed::Observe(caller, seen),
            Die => Deed::Die(which),
            Kill => Deed::Kill { caller, runs: which % 4, probes: if replace { 16 } else { which / 4 } },
            Trip => Deed::Trip(span, replace),
            Disable => Deed::Disable(span, replace),
            Report => Deed::Report(span),
            Enable => Deed::Enable,
            Reset => Deed::Reset,
            Foreign => Deed::Foreign(caller, seen),
            Many => Deed::Many { caller, seen, numbered, count: choose.of(&[3, 10, 12]) },
        };
        let far = choose.of(&[1, 7, 100, 999, 1_000, 10_000, 30_000, 600_000, 3_600_000, DAY, 400 * DAY, 20_000 * DAY]);
        let moment = 8 * choose.of(&[0, 1, 2, 3, 4, 5, 6, 7]) + choose.of(&[0, 1, 2, 3, 4, 5, 6, 7]);
        let beside = choose.of(&[0, 0, -1, 1]);
        let extreme = choose.of(&[TODAY, 0, END_OF_TIME - 5_000, END_OF_TIME]);
        let clock = choose.of(&[
            Clock::Stays,
            Clock::Stays,
            Clock::Stays,
            Clock::Goes(1),
            Clock::Goes(far),
            Clock::Goes(far),
            Clock::Goes(far),
            Clock::Reaches(moment, beside),
            Clock::Reaches(moment, beside),
            Clock::Reaches(moment, beside),
            Clock::Reaches(moment, beside),
            Clock::Returns(far),
        ]);
        // To where the clock is plainly wrong.
        let wrong = choose.of(&RARELY) && choose.of(&[false, true]);
        Self { clock: if wrong { Clock::Is(extreme) } else { clock }, deed }
    }
}

/// The core and the model side by side.
struct World {
    breaker: Breaker,
    model: Model,
    callers: Vec<Settings>,
    /// Whose settings were used last.
    last_caller: Option<usize>,
    /// When a failure was last counted.
    last_failure: Option<Millis>,
    /// What the clock says, and the time by which all is judged.
    clock: Millis,
    now: Millis,
    /// What was admitted and has not reported.
    under_way: Vec<Pass>,
    /// What has.
    reported: Vec<Pass>,
}

type Checked<T = ()> = Result<T, TestCaseError>;

impl World {
    fn new(callers: [u64; 3], now: Millis) -> Self {
        let callers = callers.into_iter().map(caller).collect();
        let (under_way, reported) = (Vec::new(), Vec::new());
        Self {
            breaker: Breaker::new(ID),
            model: Model::new(),
            callers,
            last_caller: None,
            last_failure: None,
            clock: now,
            now,
            under_way,
            reported,
        }
    }

    fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    fn set_clock(&mut self, clock: Clock) -> Checked {
        self.clock = match clock {
            Clock::Stays => self.clock,
            Clock::Goes(far) => self.clock.saturating_add(far).min(END_OF_TIME),
            Clock::Returns(far) => self.clock.saturating_sub(far),
            Clock::Reaches(moment, beside) => {
                let moments = self.model.moments(&self.callers);
                let moment = moments[usize::from(moment) % moments.len()];
                moment.saturating_add_signed(beside).min(END_OF_TIME)
            }
            Clock::Is(moment) => moment,
        };
        self.now = self.model.time(self.clock);
        prop_assert_eq!(self.breaker.time(Timestamp::from_millis(self.clock)), self.at());
        Ok(())
    }

    fn step(&mut self, step: Step) -> Checked {
        self.set_clock(step.clock)?;
        self.act(step.deed)?;
        self.compare()?;
        self.write_and_read()
    }

    fn act(&mut self, deed: Deed) -> Checked {
        let (now, at) = (self.now, self.at());
        match deed {
            Deed::Call(caller, seen, draw) => {
                if let Some(pass) = self.ask(caller, false, draw)? {
                    self.record(pass, caller, seen)?;
                }
            }
            Deed::Begin { caller, numbered, draw, dry } => match self.ask(caller, numbered, draw)? {
                Some(pass) => self.under_way.push(pass),
                None if dry => {
                    let permit = self.breaker.overrule();
                    let pass = Model::overrule();
                    prop_assert_eq!(permit, permit_of(pass));
                    self.under_way.push(pass);
                }
                None => {}
            },
            Deed::End { permit, caller, seen } if !self.under_way.is_empty() => {
                let pass = self.under_way.remove(permit % self.under_way.len());
                self.record(pass, caller, seen)?;
            }
            Deed::Again { permit, caller, seen } if !self.reported.is_empty() => {
                let pass = self.reported[permit % self.reported.len()];
                self.record(pass, caller, seen)?;
            }
            Deed::End { .. } | Deed::Again { .. } => {}
            Deed::Observe(caller, seen) => {
                let settings = &self.callers[caller];
                let lengthens = self.model.lengthens(&run(seen), settings, now);
                let change = self.breaker.observe(&run(seen), settings, at);
                let told = self.model.observe(&run(seen), settings, now);
                self.note(seen);
                self.compare_change(change.as_ref(), told.as_ref(), caller)?;
                self.lengthen(lengthens.filter(|_| change.is_none()))?;
            }
            Deed::Die(which) => {
                let probes: Vec<u64> = self.breaker.probes().iter().map(|probe| probe.serial).collect();
                if !probes.is_empty() {
                    let serial = probes[which % probes.len()];
                    self.breaker.abandon(serial);
                    self.model.abandon(serial);
                }
            }
            Deed::Kill { caller, runs, probes } => {
                let settings = &self.callers[caller];
                let probes = self.breaker.probes().iter().take(probes).map(|probe| probe.serial).collect();
                let gone = Gone { runs: runs as u64, probes };
                let change = self.breaker.killed(&gone, settings, at);
                let told = self.model.killed(runs, &gone.probes, settings, now);
                if runs + gone.probes.len() > 0 {
                    self.last_failure = Some(now);
                }
                self.compare_change(change.as_ref(), told.as_ref(), caller)?;
            }
            Deed::Trip(span, replace) => {
                let change = self.order(HoldKind::Trip, span, replace);
                let told = self.model.trip(span, replace, now);
                self.compare_change(change.as_ref(), told.as_ref(), 0)?;
            }
            Deed::Disable(span, replace) => {
                let change = self.order(HoldKind::Disable, span, replace);
                let told = self.model.disable(span, replace, now);
                self.compare_change(change.as_ref(), told.as_ref(), 0)?;
            }
            Deed::Report(away) => self.report(away)?,
            Deed::Enable => {
                let change = self.breaker.enable("somebody".to_owned(), at);
                let told = self.model.enable(now);
                self.compare_change(change.as_ref(), told.as_ref(), 0)?;
            }
            Deed::Reset => {
                let change = self.breaker.reset("somebody".to_owned(), at);
                let told = self.model.reset(now);
                self.compare_change(Some(&change), Some(&told), 0)?;
            }
            Deed::Foreign(caller, seen) => {
                let permit = Permit::new(ID + 1, self.breaker.generation(), None, false);
                let recorded = self.breaker.record(&permit, &run(seen), &self.callers[caller], at);
                prop_assert_eq!(recorded, Recorded::Foreign);
            }
            Deed::Many { caller, seen, numbered, count } => {
                for index in 0..count {
                    let draw = DRAWS[usize::from(index) % DRAWS.len()];
                    if let Some(pass) = self.ask(caller, numbered, draw)? {
                        if numbered {
                            self.under_way.push(pass);
                        } else {
                            self.record(pass, caller, seen)?;
                        }
                    }
                    self.set_clock(Clock::Goes(1))?;
                }
            }
        }
        Ok(())
    }

    fn order(&mut self, kind: HoldKind, span: Option<Millis>, replace: bool) -> Option<Change> {
        let (span, by) = (span.map(Duration::from_millis), "somebody".to_owned());
        self.breaker.order(Order { kind, span, replace, reason: None, by }, self.at()).change()
    }

    fn report(&mut self, away: Option<Millis>) -> Checked {
        let (now, at) = (self.now, self.at());
        let settings = self.last_caller.map_or_else(Settings::default, |caller| self.callers[caller].clone());
        let reported = self.breaker.report(away.map(Duration::from_millis), None, at);
        let expected = self.model.report(away, &settings, now);
        self.last_failure = Some(now);
        match (reported, self.breaker.state().clone(), expected) {
            (Reported::Held(hold), _, Away::Held) => prop_assert_eq!(self.breaker.hold(at), Some(&hold)),
            (Reported::Opened(change), State::Open { cooldown, .. }, Away::Opened(told, least, most)) => {
                compare_told(&change, &told)?;
                let cooldown: Millis = cooldown.as_millis().try_into().expect("less than half a billion years");
                prop_assert!((least..=most).contains(&cooldown), "{} is not in {}..={}", cooldown, least, most);
                self.model.set_cooldown(cooldown);
            }
            (Reported::Open, _, Away::Until(least, _)) => {
                prop_assert!(self.model.cools_until(now).is_some_and(|before| least <= before));
            }
            (Reported::Lengthened, State::Open { since, cooldown, .. }, Away::Until(least, most)) => {
                let until = since.after(cooldown).as_millis();
                // No state says more than this.
                let longest = cooldown == 2 * LONGEST;
                prop_assert!(longest || (least..=most).contains(&until), "{until} is not in {least}..={most}");
                prop_assert!(self.model.cools_until(now).is_none_or(|before| longest || before < until));
                self.model.stay_open(until, now);
                // At the end of time a span reaches beyond what it can.
                self.model.set_cooldown(cooldown.as_millis().try_into().expect("less than half a billion years"));
            }
            (reported, state, expected) => {
                prop_assert!(false, "the core says {reported:?} in {state:?}, the model {expected:?}");
            }
        }
        Ok(())
    }

    fn ask(&mut self, caller: usize, numbered: bool, draw: Millis) -> Checked<Option<Pass>> {
        let settings = &self.callers[caller];
        let (now, at) = (self.now, self.at());
        let pid = if numbered { None } else { Some(42) };
        let ask = Ask { settings, lease: lease(settings), pid, draw: Draw::thousandths(draw) };
        let answer = self.breaker.answer(settings, ask.draw, at);
        let admission = self.breaker.admit(&ask, at);
        let verdict = self.model.ask(settings, lease(settings), numbered, draw, now);
        self.last_caller = Some(caller);
        match (admission, verdict) {
            (Admission::Admitted(permit), Ok(pass)) => {
                prop_assert_eq!(permit, permit_of(pass));
                prop_assert_eq!(answer, if pass.probe { Answer::Probe } else { Answer::Pass });
                Ok(Some(pass))
            }
            (Admission::Refused(refusal), Err(Verdict::Refused(retry_at))) => {
                prop_assert_eq!(refusal.retry_at.map(Timestamp::as_millis), retry_at);
                let cause = match self.model.state() {
                    _ if self.model.is_held(HoldKind::Trip, now) => Cause::Held,
                    Phase::HalfOpen => Cause::Probing,
                    Phase::Closed => Cause::Ramp,
                    _ => Cause::Open,
                };
                prop_assert_eq!(refusal.cause, cause);
                prop_assert_eq!(answer, Answer::Refuse(refusal));
                Ok(None)
            }
            (admission, verdict) => {
                prop_assert!(false, "the core says {admission:?}, the model {verdict:?}");
                Ok(None)
            }
        }
    }

    fn record(&mut self, pass: Pass, caller: usize, seen: Seen) -> Checked {
        let settings = &self.callers[caller];
        let lengthens = self.model.lengthens(&run(seen), settings, self.now);
        let recorded = self.breaker.record(&permit_of(pass), &run(seen), settings, self.at());
        let report = self.model.record(pass, &run(seen), settings, self.now);
        if pass.serial.is_some() {
            self.reported.push(pass);
        }
        match (recorded, report) {
            (Recorded::Late, Report::Late) => self.lengthen(lengthens),
            (Recorded::Counted(change), Report::Counts(told)) => {
                self.note(seen);
                let last = self.breaker.last().expect("a result was recorded");
                prop_assert_eq!((last.at, last.outcome), (self.at(), seen.outcome));
                self.compare_change(change.as_ref(), told.as_ref(), caller)?;
                self.lengthen(lengthens.filter(|_| change.is_none()))
            }
            (recorded, report) => {
                prop_assert!(false, "the core says {recorded:?}, the model {report:?}");
                Ok(())
            }
        }
    }

    /// What a run that moves nothing was told, between these, may have made the cool-down longer.
    fn lengthen(&mut self, lengthens: Option<(Millis, Millis)>) -> Checked {
        let Some((least, most)) = lengthens else { return Ok(()) };
        let State::Open { since, cooldown, .. } = *self.breaker.state() else {
            return Err(TestCaseError::fail("it is open no more"));
        };
        let (until, before) = (since.after(cooldown).as_millis(), self.model.cools_until(self.now));
        let before = before.expect("its cool-down is running");
        // No state says more than this.
        let longest = cooldown == 2 * LONGEST;
        let longer = before < until && (longest || (least..=most).contains(&until));
        prop_assert!(longer || until == before && least <= before, "{before} becomes {until}, not {least}..={most}");
        if longer {
            self.model.set_cooldown(cooldown.as_millis().try_into().expect("less than half a billion years"));
        }
        Ok(())
    }

    fn note(&mut self, seen: Seen) {
        if seen.outcome == Outcome::Failure {
            self.last_failure = Some(self.now);
        }
    }

    /// What changed must be told, and how long it stays open must be as the caller's settings say.
    fn compare_change(&mut self, change: Option<&Change>, told: Option<&Told>, caller: usize) -> Checked {
        let (Some(change), Some(told)) = (change, told) else {
            prop_assert_eq!(change.is_some(), told.is_some(), "the core tells {:?}, the model {:?}", change, told);
            return Ok(());
        };
        prop_assert_eq!(told.count, 1);
        compare_told(change, told)?;
        if told.to == Phase::Open && !told.by_hand {
            let State::Open { cooldown, .. } = *self.breaker.state() else {
                return Err(TestCaseError::fail("it is said to be open but is not"));
            };
            let cooldown: Millis = cooldown.as_millis().try_into().expect("less than half a billion years");
            let (least, most) = self.model.next_cooldown(&self.callers[caller]);
            prop_assert!((least..=most).contains(&cooldown), "{} is not in {}..={}", cooldown, least, most);
            self.model.set_cooldown(cooldown);
        }
        Ok(())
    }

    fn compare(&self) -> Checked {
        let (breaker, model, now) = (&self.breaker, &self.model, self.at());
        prop_assert_eq!(breaker.generation(), model.generation() as u64);
        prop_assert_eq!(*breaker.totals(), model.totals());
        prop_assert_eq!(breaker.consecutive_failures(), model.consecutive_failures());
        prop_assert_eq!(breaker.rules_differ(), model.rules_differ());
        prop_assert_eq!(breaker.is_in_vain(), model.is_in_vain());
        prop_assert_eq!(breaker.windows_differ(), model.windows_differ());
        prop_assert_eq!(breaker.settings(), self.last_caller.map(|caller| &self.callers[caller]));
        let time = |millis: Option<Millis>| millis.map(Timestamp::from_millis);
        prop_assert_eq!(breaker.last_failure().map(|last| last.at), time(self.last_failure));
        match *breaker.state() {
            State::Closed { since, recovered } => {
                prop_assert_eq!((Phase::Closed, since), (model.state(), time(model.since())));
                prop_assert_eq!(recovered, model.recovered());
            }
            State::Open { since, cooldown, reopened } => {
                prop_assert_eq!((Phase::Open, Some(since)), (model.state(), time(model.since())));
                prop_assert_eq!(cooldown, Duration::from_millis(model.cooldown()));
                prop_assert_eq!(reopened, model.reopenings());
            }
            State::HalfOpen { since, reopened, successes, failures, .. } => {
                prop_assert_eq!((Phase::HalfOpen, Some(since)), (model.state(), time(model.since())));
                prop_assert_eq!(reopened, model.reopenings());
                prop_assert_eq!((successes, failures), (model.probe_successes(), model.probe_failures()));
            }
        }
        let probes: Vec<_> = breaker.probes().iter().map(|probe| (probe.serial, probe.since, probe.lease)).collect();
        let expected = model
            .probes_under_way()
            .into_iter()
            .map(|probe| (probe.serial, Timestamp::from_millis(probe.since), Duration::from_millis(probe.lease)));
        prop_assert_eq!(probes, expected.collect::<Vec<_>>());
        let marks: Vec<_> = breaker.recent().last(usize::MAX).map(|mark| (mark.failed, mark.slow)).collect();
        prop_assert_eq!(marks, model.last_results());
        for settings in &self.callers {
            let count = breaker.window(settings, now);
            prop_assert_eq!((count.calls, count.failures, count.slow), model.window(settings, self.now));
            let budget = settings.trip.budget.map(|budget| budget.within.as_millis().try_into().unwrap_or(0));
            let used = budget.map_or(0, |within| model.budget_used(within, self.now));
            prop_assert_eq!(breaker.budget_used(settings, now), used);
        }
        let history: Vec<_> = breaker.history().newest_first().rev().collect();
        let expected = &model.changes[model.changes.len().saturating_sub(32)..];
        prop_assert_eq!(history.len(), expected.len());
        for (change, told) in history.into_iter().zip(expected) {
            prop_assert_eq!(change.count, told.count);
            compare_told(change, told)?;
        }
        Ok(())
    }

    /// The text says everything, and is short enough.
    fn write_and_read(&mut self) -> Checked {
        let mut text = serde_json::to_string(&self.breaker).expect("plain data");
        let read: Breaker = serde_json::from_str(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(&read, &self.breaker);
        let mut smaller = read.clone();
        while text.len() + AROUND > 4096 {
            prop_assert!(smaller.shrink(), "{} bytes are as few as it gets", text.len());
            text = serde_json::to_string(&smaller).expect("plain data");
        }
        self.breaker = read;
        Ok(())
    }
}

fn compare_told(change: &Change, told: &Told) -> Checked {
    prop_assert_eq!(change.at.as_millis(), told.at);
    prop_assert_eq!((change.from, change.to), (told.from, told.to));
    prop_assert_eq!(change.by.as_deref(), told.by_hand.then_some("somebody"));
    let told_so = told.reasons.iter().any(|reason| change.reason.text().starts_with(reason));
    prop_assert!(told_so, "{:?} is none of {:?}", change.reason, told.reasons);
    Ok(())
}

fn permit_of(pass: Pass) -> Permit {
    Permit::new(ID, pass.generation, pass.serial, pass.probe)
}

fn run(seen: Seen) -> Finished<'static> {
    let end = match seen.outcome {
        Outcome::Success => End::Exit(0),
        Outcome::Failure => End::Exit(1),
        Outcome::Ignored if seen.took.is_none() => End::Exit(75),
        Outcome::Ignored => End::NotStarted,
    };
    let [took, retry_after] = [seen.took, seen.away].map(|span| span.map(Duration::from_millis));
    let http_status = seen.away.filter(|away| away % 2 == 1).map(|_| 429);
    Finished { trips: seen.trips, end: Some(end), took, http_status, retry_after, ..Finished::of(seen.outcome) }
}

fn many(number: u64) -> Deed {
    let mut choose = Choices(number);
    let caller = choose.of(&[0, 1, 2]);
    let outcome = choose.of(&[Outcome::Failure, Outcome::Failure, Outcome::Success]);
    let seen = Seen { outcome, trips: false, took: choose.of(&[None, Some(100)]), away: None };
    Deed::Many { caller, seen, numbered: choose.of(&[false, false, true]), count: choose.of(&[99, 101, 260, 520]) }
}

/// So many histories, or more if `PROPTEST_CASES` says so.
fn histories(least: u32) -> ProptestConfig {
    let given = ProptestConfig::default();
    ProptestConfig { cases: given.cases.max(least), failure_persistence: None, ..given }
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(any::<u64>().prop_map(Step::from), 1..=most)
}

fn live(callers: [u64; 3], start: Millis, steps: Vec<Step>) -> Checked {
    let mut world = World::new(callers, start);
    steps.into_iter().try_for_each(|step| world.step(step))
}

// Two properties of five thousand histories each, since two can be tested at once.
proptest! {
    #![proptest_config(histories(5_000))]

    #[test]
    fn every_history_goes_as_the_contract_says(callers: [u64; 3], steps in steps(30)) {
        live(callers, TODAY, steps)?;
    }

    #[test]
    fn every_history_goes_so_at_the_ends_of_time_too(callers: [u64; 3], late: bool, steps in steps(30)) {
        live(callers, if late { END_OF_TIME - 3_600_000 } else { 0 }, steps)?;
    }
}

proptest! {
    #![proptest_config(histories(300))]

    /// More results than are kept, more failures, and more permits.
    #[test]
    fn every_long_history_goes_so_as_well(
        callers: [u64; 3],
        chapters in prop::collection::vec((any::<u64>(), steps(8)), 1..=4),
    ) {
        let mut world = World::new(callers, TODAY);
        for (number, steps) in chapters {
            world.step(Step { clock: Clock::Goes(1), deed: many(number) })?;
            steps.into_iter().try_for_each(|step| world.step(step))?;
        }
    }
}

/// One of these settings as somebody may write it, or none.
fn one_of(key: Key, texts: &'static [&'static str]) -> impl Strategy<Value = (Key, Option<&'static str>)> {
    prop::option::of(prop::sample::select(texts)).prop_map(move |text| (key, text))
}

proptest! {
    #![proptest_config(histories(1_000))]

    #[test]
    fn settings_come_back_from_the_state_as_they_were_given(given in [
        one_of(Key::Threshold, &["0", "1", "5", "4294967295"]),
        one_of(Key::FailureRate, &["1", "50%", "100"]),
        one_of(Key::Window, &["1", "20", "1000", "1500us", "95ms", "5m", "36500d"]),
        one_of(Key::MinCalls, &["1", "10", "4294967295"]),
        one_of(Key::SlowAfter, &["0", "0.1ms", "1.5s", "1h30m"]),
        one_of(Key::SlowRate, &["1", "100"]),
        one_of(Key::FailureBudget, &["1/1ns", "3/1h", "100/99999d"]),
        one_of(Key::Cooldown, &["0", "30", "1us", "36500d"]),
        one_of(Key::Backoff, &["1", "1.000001", "1.5", "99.9", "100"]),
        one_of(Key::MaxCooldown, &["1h", "36500d"]),
        one_of(Key::BackoffReset, &["0", "1ms", "1h", "36500d"]),
        one_of(Key::Jitter, &["0", "1%", "100"]),
        one_of(Key::Ramp, &["0", "1us", "5m", "36500d"]),
        one_of(Key::Probes, &["1", "16"]),
        one_of(Key::ProbeSuccesses, &["1", "4294967295"]),
        one_of(Key::ProbeFailures, &["1", "2"]),
        one_of(Key::Lease, &["1s", "1h"]),
        one_of(Key::MaxRetryAfter, &["0", "1h", "1ms", "36500d"]),
        one_of(Key::SuccessCodes, &["0,22", "0-9"]),
        one_of(Key::FailureCodes, &["64-78,SIGTERM", "100"]),
        one_of(Key::IgnoreCodes, &["125-127,timeout", "126"]),
        one_of(Key::TripCodes, &["64", "130-140,SIG64"]),
    ]) {
        let text = |asked| given.iter().find(|pair| pair.0 == asked).and_then(|pair| pair.1);
        // What contradicts itself is refused before it can be stored.
        if let Ok(settings) = Settings::parse(text) {
            prop_assert_eq!(stored::settings(&stored::settings_text(&settings)), settings);
        }
    }
}

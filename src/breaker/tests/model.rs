//! The breaker once more, as section 1 of cb-contract(7) words it and in the least clever way: everything that ever
//! happened is kept, and every answer is computed from all of it. It shares no code with the core but the types of what
//! goes in.

use std::time::Duration;

use crate::breaker::{HoldKind, Phase, Totals};
use crate::outcome::{End, Finished, Outcome};
use crate::settings::{Settings, TripRules, Window};
use crate::time::{LONGEST, format_duration};

/// A point of time or a length of time, in milliseconds.
pub type Millis = u64;

/// The last moment there is; what would be later is then.
pub const END_OF_TIME: Millis = 253_402_300_799_999;

fn span(duration: Duration) -> Millis {
    duration.as_millis().try_into().expect("less than half a billion years")
}

fn later(time: Millis, by: Millis) -> Millis {
    (time + by).min(END_OF_TIME)
}

/// Everything that ever happened to one breaker.
#[derive(Debug)]
pub struct Model {
    /// The states it was in, oldest first. Each is a generation.
    eras: Vec<Era>,
    /// The results that entered windows and rows, and where those were cleared.
    results: Vec<Entry>,
    /// The trip rules of everyone who asked, and how many results, and marks of clearing, there were before.
    asked: Vec<(TripRules, usize)>,
    /// Every probe there ever was.
    probes: Vec<Probe>,
    /// The numbers of the permits that were reported.
    reported: Vec<u64>,
    /// How many permits were numbered.
    numbered: u64,
    /// What is counted.
    events: Vec<Event>,
    /// The last order by hand, until somebody finds that it is over.
    hold: Option<Hold>,
    /// Of each result whether it was exit 75 and counted as nothing.
    in_vain: Vec<bool>,
    /// When the last result came, and the last failure.
    last_result: Option<Millis>,
    last_failure: Option<Millis>,
    /// The changes, a row of failed probes as one.
    pub changes: Vec<Change>,
}

#[derive(Debug)]
struct Era {
    since: Option<Millis>,
    kind: Kind,
    /// It opened again: from half-open, or too soon after it had closed.
    again: bool,
    /// A person has closed it.
    by_hand: bool,
    /// How long it stays open, if it is.
    cooldown: Millis,
    /// The Retry-After for which it opened, if it did.
    away: Option<Millis>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Closed,
    Open,
    HalfOpen,
}

#[derive(Clone, Copy, Debug)]
enum Entry {
    Result { at: Millis, failed: bool, slow: bool, window: Window },
    Cleared,
}

#[derive(Debug)]
pub struct Probe {
    generation: usize,
    pub serial: u64,
    pub since: Millis,
    pub lease: Millis,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    UnderWay,
    Succeeded,
    Failed,
    /// Ignored, or reported while the breaker was disabled.
    SaidNothing,
    /// Died, or its place was given away.
    Abandoned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Admitted,
    Refused,
    Opened,
    Abandoned,
    Late,
    Result(Outcome),
}

#[derive(Debug)]
struct Hold {
    kind: HoldKind,
    since: Millis,
    span: Option<Millis>,
}

impl Hold {
    fn is_in_force(&self, now: Millis) -> bool {
        self.span.is_none_or(|span| self.since <= now && now < later(self.since, span))
    }

    /// When it ends. Without end is later than any time.
    fn end(&self) -> Millis {
        self.span.map_or(Millis::MAX, |span| later(self.since, span))
    }
}

/// A change, as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub at: Millis,
    pub from: Phase,
    pub to: Phase,
    pub count: u32,
    pub by_hand: bool,
    /// The reasons that would all be true; it begins with one of them.
    pub reasons: Vec<String>,
}

/// The right to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    pub generation: u64,
    pub serial: Option<u64>,
    pub probe: bool,
}

/// The answer to a run that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Passes,
    Probes,
    /// Until then, if there is such a time.
    Refused(Option<Millis>),
}

/// What became of what a run reports by itself.
#[derive(Debug)]
pub enum Away {
    /// It opened, for at least and at most so long.
    Opened(Change, Millis, Millis),
    /// It is open at least until some time between these.
    Until(Millis, Millis),
    Held,
}

/// What became of a report.
#[derive(Debug, PartialEq, Eq)]
pub enum Report {
    Late,
    Counts(Option<Change>),
}

impl Model {
    pub fn new() -> Self {
        let closed = Era { since: None, kind: Kind::Closed, again: false, by_hand: false, cooldown: 0, away: None };
        Self {
            eras: vec![closed],
            results: Vec::new(),
            asked: Vec::new(),
            probes: Vec::new(),
            reported: Vec::new(),
            numbered: 0,
            events: Vec::new(),
            hold: None,
            in_vain: Vec::new(),
            last_result: None,
            last_failure: None,
            changes: Vec::new(),
        }
    }

    // What there is.

    pub fn generation(&self) -> usize {
        self.eras.len()
    }

    fn era(&self) -> &Era {
        self.eras.last().expect("there is always one")
    }

    pub fn state(&self) -> Phase {
        match self.era().kind {
            Kind::Closed => Phase::Closed,
            Kind::Open => Phase::Open,
            Kind::HalfOpen => Phase::HalfOpen,
        }
    }

    pub fn since(&self) -> Option<Millis> {
        self.era().since
    }

    pub fn cooldown(&self) -> Millis {
        self.era().cooldown
    }

    /// What an order by hand makes of the state.
    fn phase(&self, now: Millis) -> Phase {
        if self.is_held(HoldKind::Disable, now) { Phase::Disabled } else { self.state() }
    }

    pub fn is_held(&self, kind: HoldKind, now: Millis) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.kind == kind && hold.is_in_force(now))
    }

    fn is_due_at_first_step(&self, now: Millis) -> bool {
        let since = self.era().since.unwrap_or(0);
        let cools = (since..later(since, self.era().cooldown)).contains(&now);
        self.state() == Phase::Open && self.reopenings() == 0 && !cools
    }

    /// "for each reopening in a row": since it opened from closed, having been closed for long enough, or by hand.
    pub fn reopenings(&self) -> u32 {
        let row = self.eras.iter().rev().take_while(|era| era.kind != Kind::Open || era.again);
        row.filter(|era| era.again).count().try_into().expect("few")
    }

    /// Whether it is closed "by probes or by a reported success", by no person; and then, after how many reopenings.
    pub fn recovered(&self) -> Option<u32> {
        let era = self.era();
        let recovered = era.kind == Kind::Closed && era.since.is_some() && !era.by_hand;
        recovered.then(|| self.reopenings())
    }

    /// Whether this span since it has recovered is under way; when that was.
    fn is_within(&self, span: Millis, now: Millis) -> Option<Millis> {
        self.recovered()?;
        self.era().since.filter(|&since| since <= now && now < later(since, span))
    }

    /// "with `backoff-reset` only once the breaker has stayed closed for that long: an opening before that goes on with the
    /// next step"
    fn goes_on(&self, settings: &Settings, now: Millis) -> bool {
        self.is_within(span(settings.backoff_reset), now).is_some()
    }

    fn probes_of_now(&self) -> impl Iterator<Item = &Probe> {
        self.probes.iter().filter(|probe| self.state() == Phase::HalfOpen && probe.generation == self.generation())
    }

    fn fates(&self, fate: Fate) -> u32 {
        self.probes_of_now().filter(|probe| probe.fate == fate).count().try_into().expect("few")
    }

    pub fn probe_successes(&self) -> u32 {
        self.fates(Fate::Succeeded)
    }

    pub fn probe_failures(&self) -> u32 {
        self.fates(Fate::Failed)
    }

    pub fn probes_under_way(&self) -> Vec<&Probe> {
        self.probes_of_now().filter(|probe| probe.fate == Fate::UnderWay).collect()
    }

    pub fn totals(&self) -> Totals {
        let count = |event| self.events.iter().filter(|&&happened| happened == event).count() as u64;
        Totals {
            admitted: count(Event::Admitted),
            successes: count(Event::Result(Outcome::Success)),
            failures: count(Event::Result(Outcome::Failure)),
            ignored: count(Event::Result(Outcome::Ignored)),
            late: count(Event::Late),
            refused: count(Event::Refused),
            opened: count(Event::Opened),
            abandoned: count(Event::Abandoned),
        }
    }

    /// Every result since the last time that everything counted so far was cleared: when, failed, slow, by which window.
    fn results(&self) -> Vec<(Millis, bool, bool, Window)> {
        let row = self.results.iter().rev().map_while(|entry| match *entry {
            Entry::Result { at, failed, slow, window } => Some((at, failed, slow, window)),
            Entry::Cleared => None,
        });
        let mut results: Vec<_> = row.collect();
        results.reverse();
        results
    }

    /// "who finds other trip rules than its own says so", and so it stays until everything counted so far is cleared.
    pub fn rules_differ(&self) -> bool {
        let cleared = self.results.iter().rposition(|entry| matches!(entry, Entry::Cleared));
        let found_others =
            |pair: &[(TripRules, usize)]| pair[0].0 != pair[1].0 && cleared.is_none_or(|at| pair[1].1 > at);
        self.asked.windows(2).any(found_others)
    }

    /// "another length starts it empty, which is told once", until everything counted so far is cleared.
    pub fn windows_differ(&self) -> bool {
        let results = self.results();
        let lengths = results.iter().filter_map(|result| match result.3 {
            Window::Time(length) => Some(length),
            Window::Calls(_) => None,
        });
        let lengths: Vec<Duration> = lengths.collect();
        lengths.windows(2).any(|pair| pair[0] != pair[1])
    }

    /// "The file keeps the last 1,000 results": failed, slow.
    pub fn last_results(&self) -> Vec<(bool, bool)> {
        let results = self.results();
        results.iter().skip(results.len().saturating_sub(1_000)).map(|result| (result.1, result.2)).collect()
    }

    /// "N failures in a row … A success sets the count to 0; time does not age it."
    pub fn consecutive_failures(&self) -> u32 {
        self.results().iter().rev().take_while(|result| result.1).count().try_into().expect("few")
    }

    /// "the last 5 results were all exit code 75 and ignored"
    pub fn is_in_vain(&self) -> bool {
        self.in_vain.len() >= 5 && self.in_vain[self.in_vain.len() - 5..].iter().all(|&in_vain| in_vain)
    }

    /// What the window of these settings holds: results, failures, slow ones.
    pub fn window(&self, settings: &Settings, now: Millis) -> (u32, u32, u32) {
        let sum = |results: &[(bool, bool)]| {
            let count = |yes: &dyn Fn(&(bool, bool)) -> bool| results.iter().filter(|result| yes(result)).count();
            let counts = [count(&|_| true), count(&|result| result.0), count(&|result| result.1)];
            let [calls, failures, slow] = counts.map(|count| u32::try_from(count).expect("few"));
            (calls, failures, slow)
        };
        match settings.trip.window {
            Window::Calls(calls) => {
                let results = self.last_results();
                sum(&results[results.len().saturating_sub(calls.into())..])
            }
            Window::Time(length) => sum(&self.time_window(span(length), now)),
        }
    }

    /// The results in a time window, as failed and slow.
    fn time_window(&self, length: Millis, now: Millis) -> Vec<(bool, bool)> {
        // "of time windows it keeps one: another length starts it empty"
        let results = self.results();
        let kept_by = |result: &(Millis, bool, bool, Window)| match result.3 {
            Window::Time(kept) => Some(span(kept)),
            Window::Calls(_) => None,
        };
        let foreign = results.iter().rposition(|result| kept_by(result).is_some_and(|kept| kept != length));
        let own = results.iter().enumerate().position(|(index, result)| {
            foreign.is_none_or(|foreign| index > foreign) && kept_by(result) == Some(length)
        });
        let Some(own) = own else { return Vec::new() };
        // "A slice begins with the first result that falls into it and leaves when that result is `window` old": one of
        // exactly so long ago is out. "results dated after now leave".
        let lives = |start: Millis, now: Millis| start <= now && now - start < length;
        let mut slices: Vec<(Millis, Vec<(bool, bool)>)> = Vec::new();
        for &(at, failed, slow, _) in &results[own..] {
            slices.retain(|slice| lives(slice.0, at));
            // "at least 10 slices"
            match slices.iter_mut().find(|slice| 10 * (at - slice.0) < length) {
                Some(slice) => slice.1.push((failed, slow)),
                None => slices.push((at, vec![(failed, slow)])),
            }
        }
        slices.into_iter().filter(|slice| lives(slice.0, now)).flat_map(|slice| slice.1).collect()
    }

    /// "N failures within DURATION, exactly", of "the times of the last 100 failures".
    pub fn budget_used(&self, within: Millis, now: Millis) -> usize {
        // "results dated after now leave … budgets", and so does what is older than the longest time there is.
        let lives = |at: Millis, within: Millis, now: Millis| at <= now && now - at < within;
        let mut kept: Vec<Millis> = Vec::new();
        for &(at, ..) in self.results().iter().filter(|result| result.1) {
            kept.retain(|&before| lives(before, span(LONGEST), at));
            kept.push(at);
            kept = kept.split_off(kept.len().saturating_sub(100));
        }
        kept.into_iter().filter(|&at| lives(at, within, now)).count()
    }

    /// The moments at which something may change by itself.
    pub fn moments(&self, settings: &[Settings]) -> Vec<Millis> {
        let mut moments = vec![later(self.era().since.unwrap_or(0), self.era().cooldown)];
        moments.extend(self.era().since);
        for probe in self.probes_under_way() {
            moments.extend([probe.since, later(probe.since, probe.lease)]);
        }
        if let Some(hold) = &self.hold {
            moments.extend([hold.since, later(hold.since, hold.span.unwrap_or(0))]);
        }
        for settings in settings {
            let closed = self.recovered().and(self.era().since).into_iter();
            let shares = [0, 1, 250, 500, 999, 1_000].map(|share| span(settings.ramp) * share / 1_000);
            let after = [span(settings.backoff_reset)].into_iter().chain(shares);
            moments.extend(closed.flat_map(|since| after.clone().map(move |after| later(since, after))));
            let length = if let Window::Time(length) = settings.trip.window { Some(length) } else { None };
            let results = self.results();
            let recent = results.iter().rev().take(12).map(|result| result.0);
            for at in recent {
                moments.extend(length.map(|length| later(at, span(length))));
                moments.extend(length.map(|length| later(at, span(length).div_ceil(10))));
                moments.extend(settings.trip.budget.map(|budget| later(at, span(budget.within))));
            }
        }
        moments
    }

    // What a run does.

    /// What a run that asked now would be told, which has drawn so many thousandths.
    pub fn verdict(&self, settings: &Settings, draw: Millis, now: Millis) -> Verdict {
        if self.is_held(HoldKind::Disable, now) {
            return Verdict::Passes;
        }
        if self.is_held(HoldKind::Trip, now) {
            let hold = self.hold.as_ref().expect("it is held");
            return Verdict::Refused(hold.span.map(|span| later(hold.since, span)));
        }
        let since = self.era().since.unwrap_or(0);
        match self.era().kind {
            // "draws a number u from 0 to 1 and is let through from `closed_since + u x ramp` on"
            Kind::Closed => match self.is_within(span(settings.ramp), now) {
                Some(since) if now < later(since, span(settings.ramp) * draw / 1_000) => {
                    Verdict::Refused(Some(later(since, span(settings.ramp) * draw / 1_000)))
                }
                _ => Verdict::Passes,
            },
            Kind::Open => {
                let retry_at = later(since, self.era().cooldown);
                // "A time outside `since..retry_at` means that a probe is due", `retry_at` itself included.
                if (since..retry_at).contains(&now) { Verdict::Refused(Some(retry_at)) } else { Verdict::Probes }
            }
            Kind::HalfOpen => {
                // "At most `probes` run at once"; "A place whose lease is over is given to the next run that asks".
                let mut ends: Vec<Millis> = self
                    .probes_under_way()
                    .iter()
                    .map(|probe| (probe.since, later(probe.since, probe.lease)))
                    .filter(|lease| (lease.0..lease.1).contains(&now))
                    .map(|lease| lease.1)
                    .collect();
                ends.sort_unstable();
                let places = usize::from(settings.probes);
                if ends.len() < places { Verdict::Probes } else { Verdict::Refused(Some(ends[ends.len() - places])) }
            }
        }
    }

    /// "Where the newest past event in the state is after now by at most a minute, that time is now"
    pub fn time(&self, clock: Millis) -> Millis {
        let mut events: Vec<Millis> = self.era().since.into_iter().chain(self.last_result).collect();
        events.extend(self.last_failure);
        events.extend(self.probes_under_way().iter().map(|probe| probe.since));
        events.extend(self.hold.iter().map(|hold| hold.since));
        let ahead = events.into_iter().filter(|&event| event > clock && event - clock <= 60_000);
        ahead.max().unwrap_or(clock)
    }

    /// "The end of a hold is told, in the history, … once, by the first command that writes and finds it over, dated with
    /// its end"; where the clock was set back to before it began, that is yet to come.
    fn notice(&mut self, now: Millis) {
        let Some(hold) = self.hold.take_if(|hold| !hold.is_in_force(now)) else { return };
        let to = self.state();
        let from = if hold.kind == HoldKind::Disable { Phase::Disabled } else { to };
        let reasons = vec!["hold is over".to_owned()];
        self.changes.push(Change { at: hold.end().min(now), from, to, count: 1, by_hand: false, reasons });
    }

    fn number(&mut self) -> u64 {
        self.numbered += 1;
        self.numbered - 1
    }

    pub fn ask(
        &mut self,
        settings: &Settings,
        lease: Duration,
        numbered: bool,
        draw: Millis,
        now: Millis,
    ) -> Result<Pass, Verdict> {
        self.notice(now);
        self.asked.push((settings.trip.clone(), self.results.len()));
        let verdict = self.verdict(settings, draw, now);
        let serial = match verdict {
            Verdict::Refused(_) => {
                self.events.push(Event::Refused);
                return Err(verdict);
            }
            Verdict::Passes => numbered.then(|| self.number()),
            Verdict::Probes => {
                if self.state() == Phase::Open {
                    self.begin(Kind::HalfOpen, false, now);
                }
                let serial = self.number();
                self.give_away_places(settings, now);
                let generation = self.generation();
                let probe = Probe { generation, serial, since: now, lease: span(lease), fate: Fate::UnderWay };
                self.probes.push(probe);
                Some(serial)
            }
        };
        self.events.push(Event::Admitted);
        Ok(Pass { generation: self.generation() as u64, serial, probe: verdict == Verdict::Probes })
    }

    /// Makes room for one probe: of those whose lease is over, the longest admitted go first.
    fn give_away_places(&mut self, settings: &Settings, now: Millis) {
        while self.probes_under_way().len() >= settings.probes.into() {
            let over = |probe: &&Probe| !(probe.since..later(probe.since, probe.lease)).contains(&now);
            let serial = self.probes_under_way().into_iter().find(over).map(|probe| probe.serial);
            self.abandon(serial.expect("there is a place for a probe that is let through"));
        }
    }

    pub fn abandon(&mut self, serial: u64) {
        let under_way = self.probes_under_way().iter().any(|probe| probe.serial == serial);
        if under_way {
            self.set_fate(serial, Fate::Abandoned);
            self.events.push(Event::Abandoned);
        }
    }

    /// "All are counted, and then it is judged once. A probe among them has failed."
    pub fn killed(&mut self, runs: usize, probes: &[u64], settings: &Settings, now: Millis) -> Option<Change> {
        self.notice(now);
        let run = Finished { end: Some(End::Signal(9)), ..Finished::of(Outcome::Failure) };
        for _ in 0..runs + probes.len() {
            self.happen(&run, now);
            self.enter(&run, settings, now);
        }
        let disabled = self.is_held(HoldKind::Disable, now);
        for &serial in probes {
            self.set_fate(serial, if disabled { Fate::SaidNothing } else { Fate::Failed });
        }
        let decides = !probes.is_empty() && self.probe_failures() >= settings.probe_failures;
        match self.state() {
            _ if disabled || runs + probes.len() == 0 => None,
            Phase::Closed => self.judge(&run, settings, now),
            Phase::HalfOpen if decides => Some(self.open(vec!["probe failed".to_owned()], true, now)),
            _ => None,
        }
    }

    fn set_fate(&mut self, serial: u64, fate: Fate) {
        let probe = self.probes.iter_mut().find(|probe| probe.serial == serial);
        probe.expect("every probe is known").fate = fate;
    }

    pub fn overrule() -> Pass {
        Pass { generation: 0, serial: None, probe: false }
    }

    pub fn record(&mut self, pass: Pass, run: &Finished, settings: &Settings, now: Millis) -> Report {
        self.notice(now);
        if !self.is_good(pass) {
            self.events.push(Event::Late);
            // A probe that is late only because its permit is too old has ended all the same.
            let mut places = self.probes_under_way().into_iter().map(|probe| probe.serial);
            if let Some(serial) = places.find(|&serial| pass.probe && Some(serial) == pass.serial) {
                self.set_fate(serial, Fate::SaidNothing);
            }
            return Report::Late;
        }
        self.reported.extend(pass.serial);
        self.happen(run, now);
        let slow = is_slow(run, settings);
        self.enter(run, settings, now);
        let disabled = self.is_held(HoldKind::Disable, now);
        if pass.probe {
            let fate = match run.outcome {
                Outcome::Ignored => Fate::SaidNothing,
                _ if disabled => Fate::SaidNothing,
                Outcome::Success if !slow => Fate::Succeeded,
                Outcome::Success | Outcome::Failure => Fate::Failed,
            };
            self.set_fate(pass.serial.expect("probes are numbered"), fate);
            let change = match fate {
                Fate::Succeeded if self.probe_successes() >= settings.probe_successes => {
                    let reason = match self.probe_successes() {
                        1 => "probe succeeded".to_owned(),
                        several => format!("{several} probes succeeded"),
                    };
                    Some(self.close(reason, now))
                }
                Fate::Failed if told_away(run, settings).is_some() => Some(self.open_for(run, settings, true, now)),
                Fate::Failed if self.probe_failures() >= settings.probe_failures || run.trips => {
                    let how = if run.outcome == Outcome::Failure { "probe failed" } else { "probe was slow" };
                    Some(self.open(vec![how.to_owned()], true, now))
                }
                _ => None,
            };
            return Report::Counts(change);
        }
        if disabled || run.outcome == Outcome::Ignored {
            return Report::Counts(None);
        }
        Report::Counts(match self.state() {
            Phase::Closed => self.judge(run, settings, now),
            // It was let through while the breaker was disabled.
            Phase::HalfOpen if told_away(run, settings).is_some() => Some(self.open_for(run, settings, true, now)),
            _ => None,
        })
    }

    /// "may lengthen a cool-down that is running, never shorten it, and touches no hold": of a run that does not move an
    /// open breaker, until when it would be open, at least and at most.
    pub fn lengthens(&self, run: &Finished, settings: &Settings, now: Millis) -> Option<(Millis, Millis)> {
        let away = told_away(run, settings)?;
        let held = self.hold.as_ref().is_some_and(|hold| hold.is_in_force(now));
        if held || self.state() != Phase::Open || self.cools_until(now).is_none() {
            return None;
        }
        Some((later(now, away), later(now, lengthened(away, settings))))
    }

    /// "A result admitted under an older one … is counted as late"; "a second record, or an older one, is late"; and of a
    /// place that was given away "only from then on is the old probe's result late".
    fn is_good(&self, pass: Pass) -> bool {
        if pass.generation != self.generation() as u64 {
            return false;
        }
        let Some(serial) = pass.serial else { return true };
        let has_place = self.probes_under_way().iter().any(|probe| probe.serial == serial);
        !self.reported.contains(&serial) && self.numbered - serial <= 256 && (has_place || !pass.probe)
    }

    /// A report of what was seen elsewhere.
    pub fn observe(&mut self, run: &Finished, settings: &Settings, now: Millis) -> Option<Change> {
        self.notice(now);
        self.happen(run, now);
        let disabled = self.is_held(HoldKind::Disable, now);
        let success = run.outcome == Outcome::Success;
        // "changes nothing but totals when open"
        if self.state() == Phase::Open && !disabled && (!success || self.hold.is_some()) {
            return None;
        }
        self.enter(run, settings, now);
        if disabled || run.outcome == Outcome::Ignored {
            return None;
        }
        match self.state() {
            Phase::Closed => self.judge(run, settings, now),
            _ if success => Some(self.close("success reported".to_owned(), now)),
            _ if told_away(run, settings).is_some() => Some(self.open_for(run, settings, true, now)),
            _ => Some(self.open(vec!["failure reported".to_owned()], true, now)),
        }
    }

    fn happen(&mut self, run: &Finished, now: Millis) {
        self.last_result = Some(now);
        if run.outcome == Outcome::Failure {
            self.last_failure = Some(now);
        }
        self.events.push(Event::Result(run.outcome));
        // No caller of these histories lists codes.
        self.in_vain.push(run.outcome == Outcome::Ignored && run.end == Some(End::Exit(75)));
    }

    /// Puts a result into windows and rows. "Ignored results are neutral".
    fn enter(&mut self, run: &Finished, settings: &Settings, now: Millis) {
        let failed = run.outcome == Outcome::Failure;
        if run.outcome != Outcome::Ignored {
            let (slow, window) = (is_slow(run, settings), settings.trip.window);
            self.results.push(Entry::Result { at: now, failed, slow, window });
        }
    }

    /// "it opens at once, from closed for that long, from half-open for the longer of that and the next cool-down"
    fn open_for(&mut self, run: &Finished, settings: &Settings, again: bool, now: Millis) -> Change {
        let away = told_away(run, settings);
        let told = format_duration(Duration::from_millis(away.expect("it was told")));
        let reason = match run.http_status {
            Some(status) => format!("HTTP {status}, retry after {told}"),
            None => format!("retry after {told}"),
        };
        let change = self.open(vec![reason], again, now);
        self.eras.last_mut().expect("there is always one").away = away;
        change
    }

    /// Opens it if the result was bad and a rule holds.
    fn judge(&mut self, run: &Finished, settings: &Settings, now: Millis) -> Option<Change> {
        if told_away(run, settings).is_some() {
            return Some(self.open_for(run, settings, self.goes_on(settings, now), now));
        }
        let failed = run.outcome == Outcome::Failure;
        let trip = &settings.trip;
        let (calls, failures, slow) = self.window(settings, now);
        let enough = match trip.window {
            Window::Calls(window) => calls >= trip.min_calls.min(window.into()),
            Window::Time(_) => calls >= trip.min_calls,
        };
        let share = |part: u32| u64::from(part) * 100 / u64::from(calls);
        let mut reasons = Vec::new();
        if failed && run.trips {
            reasons.push("a trip code".to_owned());
        }
        if failed && trip.threshold.is_some_and(|limit| self.consecutive_failures() >= limit.get()) {
            reasons.push(format!("{} failure", self.consecutive_failures()));
        }
        let reaches = |part: u32, percent: u8| 100 * u64::from(part) >= u64::from(percent) * u64::from(calls);
        if failed && enough && trip.failure_rate.is_some_and(|percent| reaches(failures, percent)) {
            reasons.push(format!("failure rate {}% ({failures} of {calls} calls)", share(failures)));
        }
        if let Some(budget) = trip.budget.filter(|_| failed) {
            if self.budget_used(span(budget.within), now) >= budget.failures.into() {
                let plural = if budget.failures == 1 { "failure" } else { "failures" };
                reasons.push(format!("{} {plural} within {}", budget.failures, format_duration(budget.within)));
            }
        }
        let bad = failed || is_slow(run, settings);
        if bad && enough && trip.slow_rate.is_some_and(|percent| reaches(slow, percent)) {
            reasons.push(format!("slow rate {}% ({slow} of {calls} calls)", share(slow)));
        }
        let again = self.goes_on(settings, now);
        if reasons.is_empty() { None } else { Some(self.open(reasons, again, now)) }
    }

    // How it changes.

    fn begin(&mut self, kind: Kind, again: bool, now: Millis) {
        self.eras.push(Era { since: Some(now), kind, again, by_hand: false, cooldown: 0, away: None });
    }

    fn open(&mut self, reasons: Vec<String>, again: bool, now: Millis) -> Change {
        let from = self.phase(now);
        self.begin(Kind::Open, again, now);
        self.events.push(Event::Opened);
        self.tell(from, reasons, false, now)
    }

    fn close(&mut self, reason: String, now: Millis) -> Change {
        let from = self.phase(now);
        self.begin(Kind::Closed, false, now);
        self.results.push(Entry::Cleared);
        self.tell(from, vec![reason], false, now)
    }

    fn tell(&mut self, from: Phase, reasons: Vec<String>, by_hand: bool, now: Millis) -> Change {
        let change = Change { at: now, from, to: self.phase(now), count: 1, by_hand, reasons };
        let row = |change: &Change| (change.from, change.to, change.by_hand) == (Phase::HalfOpen, Phase::Open, false);
        match self.changes.last_mut() {
            // "a row of failed probes is one entry with its count"
            Some(last) if row(last) && row(&change) => *last = Change { count: last.count + 1, ..change.clone() },
            _ => self.changes.push(change.clone()),
        }
        change
    }

    /// How long it is to stay open now that it has opened: at least this, and at most that.
    pub fn next_cooldown(&self, settings: &Settings) -> (Millis, Millis) {
        let (least, most) = self.grown_cooldown(settings);
        let before = &self.eras[self.eras.len() - 2];
        let (least, most) = match self.era().away {
            None => (least, most),
            Some(away) if before.kind == Kind::HalfOpen => (least.max(away), most.max(away)),
            Some(away) => (away, away),
        };
        (least, lengthened(most, settings))
    }

    /// The cool-down of this opening in the row, before chance lengthens it.
    fn grown_cooldown(&self, settings: &Settings) -> (Millis, Millis) {
        const ONE: u128 = 1 << 40;
        let longest = settings.max_cooldown.unwrap_or(settings.cooldown.max(Duration::from_secs(3_600)));
        let longest = u128::from(span(longest)) * ONE;
        let mut grown = u128::from(span(settings.cooldown)) * ONE;
        for _ in 0..self.reopenings() {
            grown = (grown * u128::from(settings.backoff) / 1_000_000).min(longest);
        }
        // Whether half a millisecond is rounded up or down is not said.
        let (least, most) = (grown / ONE, grown.div_ceil(ONE));
        (least.try_into().expect("a century"), most.try_into().expect("a century"))
    }

    /// Chance has decided on this one.
    pub fn set_cooldown(&mut self, cooldown: Millis) {
        self.eras.last_mut().expect("there is always one").cooldown = cooldown;
    }

    // What a person does.

    pub fn reset(&mut self, now: Millis) -> Change {
        self.notice(now);
        let from = self.phase(now);
        self.hold = None;
        self.begin(Kind::Closed, false, now);
        self.eras.last_mut().expect("there is always one").by_hand = true;
        self.results.push(Entry::Cleared);
        self.tell(from, vec!["reset".to_owned()], true, now)
    }

    /// "Of two holds of the same kind the later end wins"; "`--replace` shortens one"
    fn loses(&self, kind: HoldKind, span: Option<Millis>, replace: bool, now: Millis) -> bool {
        let end = span.map_or(Millis::MAX, |span| later(now, span));
        !replace && self.is_held(kind, now) && self.hold.as_ref().is_some_and(|hold| end <= hold.end())
    }

    pub fn trip(&mut self, span: Option<Millis>, replace: bool, now: Millis) -> Option<Change> {
        self.notice(now);
        if span != Some(0) && self.loses(HoldKind::Trip, span, replace, now) {
            return None;
        }
        // "A trip that changes nothing … is no change": it is open with a probe due, the back-off at its first step.
        if span == Some(0) && self.hold.is_none() && self.is_due_at_first_step(now) {
            return None;
        }
        let was_held = self.is_held(HoldKind::Trip, now);
        let from = self.phase(now);
        if self.state() != Phase::Open {
            self.events.push(Event::Opened);
        }
        self.begin(Kind::Open, false, now);
        // "One hold at a time: `disable` and `trip` replace each other": nothing of a hold outlives it.
        self.set_cooldown(0);
        // "`--for 0` ends a hold of its kind at once …; without one opens with a probe due"
        self.hold = (span != Some(0)).then_some(Hold { kind: HoldKind::Trip, since: now, span });
        let reason = if span == Some(0) && was_held { "hold is over" } else { "tripped" };
        Some(self.tell(from, vec![reason.to_owned()], true, now))
    }

    /// "Disabled, the state stands still".
    pub fn disable(&mut self, span: Option<Millis>, replace: bool, now: Millis) -> Option<Change> {
        self.notice(now);
        let from = self.phase(now);
        if span == Some(0) {
            // "without one changes nothing"
            self.hold.take_if(|hold| hold.kind == HoldKind::Disable)?;
            return Some(self.tell(from, vec!["hold is over".to_owned()], true, now));
        }
        if self.loses(HoldKind::Disable, span, replace, now) {
            return None;
        }
        self.hold = Some(Hold { kind: HoldKind::Disable, since: now, span });
        Some(self.tell(from, vec!["disabled".to_owned()], true, now))
    }

    /// "what the run has learned: it counts as one failure with a trip code … by the settings last used and opens for
    /// `--for` …, without it for the cool-down". How long it then stays open, at least and at most, where it does anything.
    pub fn report(&mut self, away: Option<Millis>, settings: &Settings, now: Millis) -> Away {
        self.notice(now);
        let run = Finished { trips: true, ..Finished::of(Outcome::Failure) };
        self.happen(&run, now);
        self.enter(&run, settings, now);
        if self.hold.is_some() {
            return Away::Held;
        }
        let away = away.and_then(|away| at_most(away, settings));
        let lengthened = |span: Millis| lengthened(span, settings);
        let reasons = vec!["reported by the run".to_owned()];
        match self.state() {
            Phase::Closed => {
                let again = self.goes_on(settings, now);
                let change = self.open(reasons, again, now);
                let (least, most) = self.next_cooldown(settings);
                Away::Opened(change, away.unwrap_or(least), away.map_or(most, lengthened))
            }
            Phase::HalfOpen => {
                // "from half-open for the longer of it and the next cool-down"
                let change = self.open(reasons, true, now);
                let (least, most) = self.next_cooldown(settings);
                Away::Opened(change, away.unwrap_or(0).max(least), away.map_or(0, lengthened).max(most))
            }
            // "Open, it only lengthens"
            _ => {
                let (least, most) = self.grown_cooldown(settings);
                Away::Until(later(now, away.unwrap_or(least)), later(now, away.unwrap_or(most)))
            }
        }
    }

    /// It stays open until then; where its cool-down was over, as from now on.
    pub fn stay_open(&mut self, until: Millis, now: Millis) {
        let runs = self.verdict(&Settings::default(), 0, now) != Verdict::Probes;
        let era = self.eras.last_mut().expect("there is always one");
        let since = if runs { era.since.unwrap_or(0) } else { now };
        (era.since, era.cooldown) = (Some(since), until - since);
    }

    /// Whether its cool-down is under way, and until when.
    pub fn cools_until(&self, now: Millis) -> Option<Millis> {
        match self.verdict(&Settings::default(), 0, now) {
            Verdict::Refused(until) => until,
            Verdict::Passes | Verdict::Probes => None,
        }
    }

    /// "`enable` ends only `disable`"
    pub fn enable(&mut self, now: Millis) -> Option<Change> {
        self.notice(now);
        self.hold.take_if(|hold| hold.kind == HoldKind::Disable)?;
        Some(self.tell(Phase::Disabled, vec!["enabled".to_owned()], true, now))
    }
}

/// "A Retry-After … holds for every run that counts as failure"
fn told_away(run: &Finished, settings: &Settings) -> Option<Millis> {
    let away = run.retry_after.filter(|_| run.outcome == Outcome::Failure)?;
    at_most(span(away), settings)
}

/// "at most `max-retry-after`"; and for no time is as nothing said.
fn at_most(away: Millis, settings: &Settings) -> Option<Millis> {
    Some(away.min(span(settings.max_retry_after))).filter(|&away| away > 0)
}

/// By all that chance may add.
fn lengthened(cooldown: Millis, settings: &Settings) -> Millis {
    cooldown + cooldown * Millis::from(settings.jitter) / 100
}

fn is_slow(run: &Finished, settings: &Settings) -> bool {
    match (run.took, settings.slow_after) {
        (Some(took), Some(limit)) => took >= limit,
        _ => false,
    }
}

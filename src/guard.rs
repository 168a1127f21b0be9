//! One breaker, as one caller sees it: enter, leave, observe, change, would it refuse. Each is written once, for all
//! commands.
//!
//! What is said waits until the breaker is free again: a slow reader must not hold up others.

mod hook;

use std::borrow::Cow;
use std::time::{Duration, Instant};

use anyhow::{Error, anyhow};

pub use self::hook::Hook;
use crate::breaker::{
    Admission, Answer, Ask, Breaker, Cause, Change, Draw, Gone, HoldKind, Order, Ordered, Permit, Phase, Recorded,
    Refusal, Reported,
};
use crate::clock;
use crate::context::Context;
use crate::environment::{HOOK, is_within};
use crate::name::Name;
use crate::outcome::Finished;
use crate::report::speech::{self, Lines, say};
use crate::settings::{OnStateError, Settings};
use crate::store::{IfAbsent, Keep, Kept, Seen, Slot, Trouble, Turn};
use crate::time::Timestamp;

pub use self::hook::Later;

/// One breaker, as one caller sees it.
pub struct Guard<'a> {
    /// Its name.
    pub name: &'a Name,
    /// The context of the command.
    pub context: &'a Context,
    /// The command to run when the breaker changes.
    pub on_change: Option<&'a str>,
    /// Where that command waits until the caller runs it; `None` is to run it at once.
    pub later: Option<&'a Later>,
}

/// How a caller asks for admission.
pub struct Entering<'a> {
    /// The caller's settings.
    pub settings: &'a Settings,
    /// How long the place lasts, should it be a probe's.
    pub lease: Duration,
    /// The process that will hold the place; `None` for `cb allow`.
    pub pid: Option<u32>,
    /// Where in a ramp the caller is let through.
    pub draw: Draw,
    /// Run even if refused: the refusal counts, and the result is late.
    pub overrule: bool,
    /// Where it would be refused, wait and count nothing.
    pub patient: bool,
    /// What to do when the state cannot be used.
    pub on_trouble: OnStateError,
}

/// What the breaker said.
pub enum Entrance {
    /// Go ahead, and report.
    Admitted(Ticket),
    /// Do not, for this reason.
    Refused(Denial),
    /// To a patient caller: not now.
    NotYet,
    /// The state cannot be used: go ahead unguarded.
    Unguarded,
}

/// A refusal, as it can be told elsewhere than in a line.
pub struct Denial {
    /// Why the breaker is in its state, if a change says so.
    pub reason: Option<String>,
    /// When it is worth another try, if that is known.
    pub retry_at: Option<Timestamp>,
    /// How long that is from now.
    pub retry_in: Option<Duration>,
}

impl Denial {
    fn new(refusal: &Refusal, breaker: &Breaker, now: Timestamp) -> Self {
        // In a ramp, why it has closed is not why a run is refused.
        let ramps = refusal.cause == Cause::Ramp;
        let reason = if ramps { Some(speech::IN_A_RAMP.into()) } else { breaker.reason(now) };
        Self {
            reason: reason.map(Cow::into_owned),
            retry_at: refusal.retry_at,
            retry_in: refusal.retry_at.map(|at| at.left(now)),
        }
    }
}

/// The right to go ahead, and the duty to report.
#[must_use = "a ticket that is never handed in leaves a probe's place taken until its lease is over"]
pub struct Ticket {
    /// The permit.
    pub permit: Permit,
    /// A probe's slot, held until its result is kept.
    slot: Option<Slot>,
    /// What was found on the way in, of which the `on-change` command is yet to be told.
    untold: Untold,
}

impl Ticket {
    /// The ticket of somebody who kept the permit alone: a script, between `cb allow` and `cb record`.
    pub fn of(permit: Permit) -> Self {
        Self { permit, slot: None, untold: Untold::default() }
    }
}

/// Changes, in the order in which they were made, of which the `on-change` command is yet to be told.
#[derive(Default)]
#[must_use = "the on-change command is to be told of them"]
pub struct Untold(Vec<News>);

/// A result, and the settings to judge it by.
pub struct Report<'a> {
    /// The result.
    pub run: Finished<'a>,
    /// How it is judged.
    pub settings: Cow<'a, Settings>,
}

/// What became of a result.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// It counted.
    Counted,
    /// It came too late, and changed nothing.
    Late,
    /// It came too late, but it was told to stay away for longer than the cool-down that is running.
    Lengthened,
    /// It is of a breaker that was removed, or of another.
    Foreign,
    /// There is no breaker of this name.
    Absent,
}

/// What became of a change by hand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It was made.
    Changed,
    /// There was nothing to change.
    Unchanged,
    /// There is no breaker of this name.
    Absent,
}

/// A change of state as it will be told, taken down while nobody else can change the breaker.
struct News {
    change: Change,
    line: String,
    retry_at: Option<Timestamp>,
    /// How long the outage was that it ends, and how many runs were refused in it.
    outage: Option<(Duration, u64)>,
}

impl News {
    fn new(name: &Name, change: Change, turn: &Turn<'_>) -> Self {
        let line = speech::change(name, &change, turn.breaker, turn.now);
        let outage = turn.breaker.ended_outage(turn.now).filter(|_| change.to == Phase::Closed);
        Self { line, retry_at: turn.breaker.retry_at(turn.now), outage, change }
    }
}

impl Guard<'_> {
    /// Asks to be let in. Trouble with the state stops a caller only if `on_trouble` says so. An open breaker that can
    /// only be read refuses; else the caller goes ahead with a warning.
    ///
    /// # Errors
    /// Misuse; or trouble, where it is to stop the caller.
    pub fn enter(&self, entering: &Entering<'_>) -> Result<Entrance, Error> {
        let error = match self.ask(entering) {
            Ok(entrance) => return Ok(entrance),
            Err(Trouble::Unusable(error)) if entering.on_trouble == OnStateError::Run => error,
            Err(trouble) => return Err(trouble.into()),
        };
        let refusal = self.would_refuse(entering.settings, entering.draw, clock::instant());
        if let Some((refusal, seen)) = refusal.filter(|_| !entering.overrule) {
            self.context.volume().remark(|| speech::refusal(self.name, &refusal, &seen.breaker, seen.now));
            return Ok(Entrance::Refused(Denial::new(&refusal, &seen.breaker, seen.now)));
        }
        say(&format!("{}: unguarded: {error:#}", self.name));
        Ok(Entrance::Unguarded)
    }

    fn ask(&self, entering: &Entering<'_>) -> Result<Entrance, Trouble> {
        let &Entering { settings, lease, pid, draw, .. } = entering;
        // Who starts nothing is none that could be killed with his command.
        let counts = settings.count_stopped && pid.is_some();
        let (entered, ended) = self.change_and_end(IfAbsent::Create, |turn, lines| {
            let now = turn.now;
            let gone = if counts { (turn.find_gone)(turn.breaker) } else { None };
            let (epoch, news) = match gone {
                Some((epoch, gone)) if gone != Gone::default() => {
                    (Some(epoch), Some(self.judge_killed(&gone, settings, turn, lines)))
                }
                Some((epoch, _)) => (Some(epoch), None),
                None => {
                    turn.give_up_killed();
                    (None, None)
                }
            };
            let judged = news.is_some();
            let news = news.flatten();
            if entering.patient && matches!(turn.breaker.answer(settings, draw, now), Answer::Refuse(_)) {
                return if judged { Keep::Must((None, news)) } else { Keep::Nothing((None, None)) };
            }
            self.remark_other_rules(turn.breaker, settings, lines);
            match turn.breaker.admit(&Ask { settings, lease, pid, draw }, now) {
                Admission::Admitted(permit) => {
                    if permit.is_probe() && pid.is_some() {
                        lines.remark(format!("{}: this run is a probe", self.name));
                    }
                    let permit = match epoch {
                        Some(epoch) => turn.breaker.watch(permit, epoch),
                        None => permit,
                    };
                    Keep::Must((Some(Ok(permit)), news))
                }
                Admission::Refused(refusal) => {
                    lines.remark(speech::refusal(self.name, &refusal, turn.breaker, now));
                    // An overruled refusal must be counted, or the run's result would count.
                    if entering.overrule {
                        Keep::Must((Some(Ok(turn.breaker.overrule())), news))
                    } else {
                        let denial = Some(Err(Denial::new(&refusal, turn.breaker, now)));
                        // What was judged must be kept, so that nobody judges it again.
                        if judged { Keep::Must((denial, news)) } else { Keep::Should((denial, None)) }
                    }
                }
            }
        })?;
        let gone = || Trouble::Unusable(anyhow!("the state is gone"));
        let Kept { value: (value, news), slot } = entered.ok_or_else(gone)?;
        // The hook must not delay the command, so it runs when the run leaves.
        let starts = matches!(value, Some(Ok(_))) && pid.is_some();
        let mut untold = Untold(ended.into_iter().chain(news).collect());
        if !starts {
            self.run_hooks(std::mem::take(&mut untold));
        }
        Ok(match value {
            None => Entrance::NotYet,
            Some(Err(denial)) => Entrance::Refused(denial),
            Some(Ok(permit)) => {
                let permit = if slot.is_some() { permit } else { permit.uncounted() };
                Entrance::Admitted(Ticket { permit, slot, untold })
            }
        })
    }

    /// Judges those that were killed. What that changes is said before anything else, and returned for the hook.
    fn judge_killed(&self, gone: &Gone, settings: &Settings, turn: &mut Turn<'_>, lines: &mut Lines) -> Option<News> {
        let change = turn.breaker.killed(gone, settings, turn.now)?;
        let news = News::new(self.name, change, turn);
        if news.change.is_aloud() {
            lines.news(news.line.clone());
        } else {
            lines.remark(news.line.clone());
        }
        Some(news)
    }

    /// Hands in a ticket with the result, of which `report` tells once it knows the breaker.
    ///
    /// # Errors
    /// Misuse, also what `report` says is wrong; or the result could not be recorded.
    pub fn leave<'s>(
        &self,
        ticket: Ticket,
        report: impl Fn(&Breaker) -> Result<Report<'s>, Error>,
    ) -> Result<Left, Trouble> {
        let (left, untold) = self.hand_in(ticket, report);
        self.run_hooks(untold);
        left
    }

    /// The same, but for the `on-change` command, which is the caller's to run.
    pub fn hand_in<'s>(
        &self,
        ticket: Ticket,
        report: impl Fn(&Breaker) -> Result<Report<'s>, Error>,
    ) -> (Result<Left, Trouble>, Untold) {
        let Ticket { permit, slot, mut untold } = ticket;
        let left = self.record(IfAbsent::Leave, report, |turn, report| {
            turn.breaker.record(&permit, &report.run, &report.settings, turn.now)
        });
        // The slot is freed only now: freed before the result is kept, it would look like a dead probe's.
        drop(slot);
        let left = left.map(|(left, news)| {
            untold.0.extend(news.0);
            left
        });
        (left, untold)
    }

    /// Reports what was seen elsewhere, without a ticket.
    ///
    /// # Errors
    /// Misuse, also what `report` says is wrong; or the result could not be recorded.
    pub fn observe<'s>(&self, report: impl Fn(&Breaker) -> Result<Report<'s>, Error>) -> Result<Left, Trouble> {
        let (left, untold) = self.record(IfAbsent::Create, report, |turn, report| {
            Recorded::Counted(turn.breaker.observe(&report.run, &report.settings, turn.now))
        })?;
        self.run_hooks(untold);
        Ok(left)
    }

    fn record<'s>(
        &self,
        if_absent: IfAbsent,
        report: impl Fn(&Breaker) -> Result<Report<'s>, Error>,
        record: impl Fn(&mut Turn<'_>, &Report<'s>) -> Recorded,
    ) -> Result<(Left, Untold), Trouble> {
        let (kept, ended) = self.change_and_end(if_absent, |turn, lines| {
            let report = match report(turn.breaker) {
                Ok(report) => report,
                Err(error) => return Keep::Nothing(Err(error)),
            };
            self.remark_other_rules(turn.breaker, &report.settings, lines);
            let before = (turn.breaker.generation(), turn.breaker.retry_at(turn.now));
            let recorded = record(turn, &report);
            let after = (turn.breaker.generation(), turn.breaker.retry_at(turn.now));
            if before.0 != after.0 {
                turn.breaker.lose(turn.killed);
            }
            let longer = before.0 == after.0 && before.1 < after.1;
            if longer {
                let next = speech::next_try(self.name, after.1, turn.now);
                lines.remark(format!("{}: open for longer, as a run was told to stay away: {next}", self.name));
            }
            match recorded {
                Recorded::Foreign => Keep::Nothing(Ok((Left::Foreign, None))),
                Recorded::Late if longer => Keep::Must(Ok((Left::Lengthened, None))),
                Recorded::Late => Keep::Must(Ok((Left::Late, None))),
                Recorded::Counted(change) => {
                    Keep::Must(Ok((Left::Counted, change.map(|change| News::new(self.name, change, turn)))))
                }
            }
        })?;
        let Some(Kept { value, .. }) = kept else { return Ok((Left::Absent, Untold::default())) };
        let (left, news) = value.map_err(Trouble::Misuse)?;
        if let Some(news) = &news {
            self.tell(news);
        }
        Ok((left, Untold(ended.into_iter().chain(news).collect())))
    }

    /// Changes the breaker by hand. `None` from `act` is no change.
    ///
    /// # Errors
    /// Misuse; or it could not be changed.
    pub fn change(
        &self,
        if_absent: IfAbsent,
        act: impl Fn(&mut Breaker, Timestamp) -> Option<Change>,
    ) -> Result<Done, Trouble> {
        let kept = self.change_state(if_absent, |turn, _| match act(turn.breaker, turn.now) {
            Some(change) => Keep::Must(Some(News::new(self.name, change, turn))),
            None => Keep::Nothing(None),
        })?;
        Ok(match kept.map(|kept| kept.value) {
            None => Done::Absent,
            Some(None) => Done::Unchanged,
            Some(Some(news)) => {
                self.announce(news);
                Done::Changed
            }
        })
    }

    /// Holds the breaker, or ends a hold, as a person orders, until a time where the order has no span. Whichever hold is
    /// dropped is said.
    ///
    /// # Errors
    /// Misuse; or it could not be changed.
    pub fn order(&self, order: &Order, until: Option<Timestamp>) -> Result<(), Trouble> {
        let ends = order.kind == HoldKind::Disable && order.span == Some(Duration::ZERO);
        let if_absent = if ends { IfAbsent::Leave } else { IfAbsent::Create };
        let kept = self.change_state(if_absent, |turn, lines| {
            match turn
                .breaker
                .order(Order { span: order.span.or(until.map(|end| left(end, turn.now))), ..order.clone() }, turn.now)
            {
                Ordered::InForce(change, dropped) => {
                    if let Some(dropped) = dropped {
                        lines.news(speech::replaced(self.name, &dropped));
                    }
                    Keep::Must(Some(Some(News::new(self.name, change, turn))))
                }
                Ordered::Ended(change) => Keep::Must(Some(Some(News::new(self.name, change, turn)))),
                Ordered::Dropped(hold) => {
                    lines.news(speech::outlasted(self.name, &hold));
                    Keep::Nothing(Some(None))
                }
                Ordered::NoneToEnd => Keep::Nothing(None),
                Ordered::Unchanged => {
                    lines.remark(format!("{}: unchanged: it is open, with a probe due", self.name));
                    Keep::Nothing(Some(None))
                }
            }
        })?;
        match kept.and_then(|kept| kept.value) {
            None => self.context.volume().news(&format!("{}: it was not disabled", self.name)),
            Some(news) => news.into_iter().for_each(|news| self.announce(news)),
        }
        Ok(())
    }

    /// Reports what a run has learned by itself: that it is to stay away.
    ///
    /// # Errors
    /// Misuse; or it could not be recorded.
    pub fn report(
        &self,
        away: Option<Duration>,
        until: Option<Timestamp>,
        reason: Option<&str>,
    ) -> Result<(), Trouble> {
        let kept = self.change_state(IfAbsent::Create, |turn, lines| {
            let away = away.or(until.map(|end| left(end, turn.now)));
            let reported = turn.breaker.report(away, reason.map(str::to_owned), turn.now);
            let next = || speech::next_try(self.name, turn.breaker.retry_at(turn.now), turn.now);
            let change = match reported {
                Reported::Opened(change) => Some(change),
                Reported::Lengthened => {
                    lines.remark(format!("{}: open for longer, as the run reports: {}", self.name, next()));
                    None
                }
                Reported::Open => {
                    lines.remark(format!("{}: open for as long already: {}", self.name, next()));
                    None
                }
                Reported::Held(hold) => {
                    lines.news(speech::not_touched(self.name, &hold));
                    None
                }
            };
            Keep::Must(change.map(|change| News::new(self.name, change, turn)))
        })?;
        if let Some(news) = kept.and_then(|kept| kept.value) {
            self.announce(news);
        }
        Ok(())
    }

    /// Why a run would be refused now, as far as the state can be read; `None` if it would not be, or if nobody can say.
    /// Nothing is written. Waits for a writer until `deadline`.
    pub fn would_refuse(&self, settings: &Settings, draw: Draw, deadline: Instant) -> Option<(Refusal, Seen)> {
        let seen = self.context.store.read(self.name, deadline).ok()??;
        let seen = seen.asked_with(settings);
        Some((seen.breaker.answer(settings, draw, seen.now).refusal()?, seen))
    }

    /// Changes the state, and says afterwards what the decision that was kept had to say. A hold that is found over is told
    /// before that.
    fn change_state<T>(
        &self,
        if_absent: IfAbsent,
        decide: impl Fn(&mut Turn<'_>, &mut Lines) -> Keep<T>,
    ) -> Result<Option<Kept<T>>, Trouble> {
        let decide = |turn: &mut Turn<'_>, lines: &mut Lines| {
            turn.give_up_killed();
            decide(turn, lines)
        };
        let (kept, ended) = self.change_and_end(if_absent, decide)?;
        if let Some(ended) = ended {
            self.run_hook(ended);
        }
        Ok(kept)
    }

    /// The same, but for the `on-change` command of a hold that was found over: that is the caller's to run.
    fn change_and_end<T>(
        &self,
        if_absent: IfAbsent,
        decide: impl Fn(&mut Turn<'_>, &mut Lines) -> Keep<T>,
    ) -> Result<(Option<Kept<T>>, Option<News>), Trouble> {
        let mut lines = Lines::new(self.context.volume());
        let changed = self.context.store.change(self.name, if_absent, |turn| {
            lines.forget();
            if let Some(notice) = turn.notice {
                lines.warn(format!("{}: {notice}", self.name));
            }
            let ended = turn.breaker.settle(turn.now).map(|change| News::new(self.name, change, turn));
            let (in_vain, windows) = (turn.breaker.is_in_vain(), turn.breaker.windows_differ());
            let (only_probes, length) = (turn.breaker.only_probes(), turn.breaker.window_length());
            let keep = decide(turn, &mut lines);
            if turn.breaker.is_in_vain() && !in_vain {
                lines.news(speech::in_vain(self.name));
            }
            if turn.breaker.windows_differ() && !windows {
                lines.news(speech::emptied(self.name, length, turn.breaker.window_length()));
            }
            if turn.breaker.only_probes() && !only_probes {
                lines.news(speech::only_probes(self.name));
            }
            // A line that is said once must be kept, so that no other command repeats it.
            match (keep, ended) {
                (Keep::Nothing(value), _) => Keep::Nothing((value, None)),
                (Keep::Must(value) | Keep::Should(value), Some(ended)) => Keep::Must((value, Some(ended))),
                (Keep::Must(value), None) => Keep::Must((value, None)),
                (Keep::Should(value), None) => Keep::Should((value, None)),
            }
        });
        let kept = match changed {
            Ok(kept) => kept,
            Err(trouble) => {
                lines.forget_decision();
                return Err(trouble);
            }
        };
        let Some(Kept { value: (value, ended), slot }) = kept else { return Ok((None, None)) };
        if let Some(ended) = &ended {
            self.tell(ended);
        }
        drop(lines);
        Ok((Some(Kept { value, slot }), ended))
    }

    /// Says that the last caller had other trip rules, before its settings give way to ours.
    fn remark_other_rules(&self, breaker: &Breaker, settings: &Settings, lines: &mut Lines) {
        if breaker.settings().is_some_and(|last| last.trip != settings.trip) {
            let name = self.name;
            lines.remark(format!(
                "{name}: another caller has other trip rules; each run judges by its own, see 'cb status {name}'"
            ));
        }
    }

    /// Tells of a change once it is kept: by a line, and where it is news by the `on-change` command, but not from within
    /// such a command.
    fn announce(&self, news: News) {
        self.tell(&news);
        self.run_hook(news);
    }

    fn tell(&self, news: &News) {
        if news.change.is_aloud() {
            self.context.volume().news(&news.line);
        } else {
            self.context.volume().remark(|| news.line.clone());
        }
    }

    fn run_hook(&self, news: News) {
        match self.later {
            None => {
                if let Some(hook) = self.start_hook(&news) {
                    hook.wait();
                }
            }
            Some(later) => {
                if let Some(command) = self.command_for(&news) {
                    later.add(command, self.name, news);
                }
            }
        }
    }

    fn run_hooks(&self, untold: Untold) {
        for news in untold.0 {
            self.run_hook(news);
        }
    }

    /// The command to which a change is told, if it is.
    fn command_for(&self, news: &News) -> Option<&str> {
        self.on_change.filter(|_| news.change.is_news() && !is_within(HOOK))
    }

    fn start_hook(&self, news: &News) -> Option<Hook<'_>> {
        hook::start(self.command_for(news)?, self.name, news, self.context)
    }

    /// Starts the `on-change` command for the first of these changes for which it is run.
    pub fn next_hook(&self, untold: &mut Untold) -> Option<Hook<'_>> {
        while !untold.0.is_empty() {
            let news = untold.0.remove(0);
            if let Some(hook) = self.start_hook(&news) {
                return Some(hook);
            }
        }
        None
    }
}

/// The time to an end, at least 1 ms, as zero has another meaning.
fn left(end: Timestamp, now: Timestamp) -> Duration {
    end.left(now).max(Duration::from_millis(1))
}

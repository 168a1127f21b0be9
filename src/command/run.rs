//! `cb run`: admit, start, wait, record, and end as the command did.

use std::ffi::{CString, OsString};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};

use super::{Context, Told, announce, entries, remark_other_rules, shell, switched_off};
use crate::breaker::{Admission, Answer, Ask, Breaker, Cause, Permit, Recorded, Refusal};
use crate::child::{self, Ended, Limit, NotStarted, Task};
use crate::cli::RunArgs;
use crate::clock;
use crate::config::{Config, Resolved, Tables};
use crate::exit::Exit;
use crate::name::Name;
use crate::outcome::{End, Run};
use crate::report::speech::{self, Later, Volume, say};
use crate::settings::{Limits, OnStateError};
use crate::store::{CaseClash, Missing, Place, READERS_PATIENCE};
use crate::time::{LONGEST, Timestamp, format_rough, millis, parse_duration};

/// How often `--wait` looks at least.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What the breaker said.
enum Entrance {
    /// Go ahead, and report.
    Guarded(Ticket),
    /// Do not.
    Refused,
    /// Nobody could say: run without a guard.
    Unguarded,
}

/// What is needed to report.
struct Ticket {
    permit: Permit,
    /// A probe's lock, held until its result is on disk.
    place: Option<Place>,
}

/// Runs the command if the breaker lets it.
///
/// # Errors
/// Wrong configuration, or with `--on-state-error refuse` a state that cannot be used: nothing was started.
pub fn run(args: &RunArgs, context: &Context) -> Result<Exit> {
    if let (Some(LONGEST), Some(word)) = (args.wait, args.command.first().and_then(|word| word.to_str()))
        && parse_duration(word).is_ok()
    {
        // The one option whose value needs a sign before it: without, the duration would be the command.
        bail!("'--wait {word}' would run the command '{word}'; write --wait={word}");
    }
    // The kill switch touches no file.
    let file = if switched_off() { Config::default() } else { context.config(Tables::Only(&args.name))? };
    let config = file.resolve(Some(&args.name), args.options.given())?;
    file.check_run(&config)?;
    let guard = Guard { name: &args.name, config: &config, context, dry_run: args.dry_run };
    if switched_off() {
        return Ok(guard.start(&args.command, false).exit);
    }
    let deadline = args.wait.map(|most| clock::instant().checked_add(most));
    let entrance = loop {
        // Those who wait see the same moment come; all but one are told to wait on.
        let patient = deadline.is_some_and(|deadline| guard.wait(deadline));
        if let Some(entrance) = guard.enter(patient)? {
            break entrance;
        }
    };
    match entrance {
        Entrance::Guarded(ticket) => {
            let ended = guard.start(&args.command, ticket.permit.is_probe());
            guard.record(ticket, &ended);
            Ok(ended.exit)
        }
        Entrance::Unguarded => Ok(guard.start(&args.command, false).exit),
        Entrance::Refused => Ok(guard.refuse()),
    }
}

/// One breaker, as one run sees it.
struct Guard<'a> {
    name: &'a Name,
    config: &'a Resolved,
    context: &'a Context,
    dry_run: bool,
}

impl Guard<'_> {
    /// Asks the breaker. Trouble with the state never stops the command, unless that was asked for.
    ///
    /// `None` is for a patient caller, in place of a refusal: not now, and nothing was counted.
    fn enter(&self, patient: bool) -> Result<Option<Entrance>> {
        let error = match self.ask(patient) {
            Ok(entrance) => return Ok(entrance),
            Err(error) => error,
        };
        // Wrong usage, not trouble of ours.
        if error.is::<CaseClash>() || self.config.setup.conduct.on_state_error == OnStateError::Refuse {
            return Err(error);
        }
        // What cannot be written can perhaps be read: an open breaker on a read-only disk refuses.
        let refusal = self.context.refused_by_what_is_there(self.name, &self.config.setup.breaker);
        if let Some(refusal) = refusal.filter(|_| !self.dry_run) {
            self.context.volume.remark(|| refusal);
            return Ok(Some(Entrance::Refused));
        }
        say(&format!("{}: unguarded: {error:#}", self.name));
        Ok(Some(Entrance::Unguarded))
    }

    /// Asks under the lock.
    fn ask(&self, patient: bool) -> Result<Option<Entrance>> {
        let settings = &self.config.setup.breaker;
        let mut later = Later::new(self.context.volume);
        let locked = self.context.lock(self.name, Missing::Create, &mut later)?;
        let mut locked = locked.ok_or_else(|| anyhow!("the state is gone"))?;
        let before = locked.breaker.generation();
        let now = clock::now();
        if patient && matches!(locked.breaker.answer(settings, now), Answer::Refuse(_)) {
            return Ok(None);
        }
        remark_other_rules(self.name, &locked.breaker, settings, &mut later);
        let ask = Ask { settings, lease: self.config.setup.lease(), pid: Some(std::process::id()) };
        let admission = locked.breaker.admit(&ask, now);
        match admission {
            Admission::Refused(refusal) => {
                later.remark(speech::refusal(self.name, &refusal, &locked.breaker, now));
                let permit = self.dry_run.then(|| locked.breaker.overrule());
                let saved = locked.save();
                let Some(permit) = permit else {
                    // That one refusal could not be counted is no reason to run.
                    return Ok(Some(Entrance::Refused));
                };
                saved?;
                Ok(Some(Entrance::Guarded(Ticket { permit, place: None })))
            }
            Admission::Admitted(permit) if permit.is_probe() => {
                if let Some(serial) = permit.serial() {
                    locked.claim_place(serial)?;
                }
                locked.save()?;
                let changed = locked.breaker.generation() != before;
                let unlocked = locked.unlock();
                if changed {
                    unlocked.flush();
                }
                self.context.volume.remark(|| format!("{}: this run is a probe", self.name));
                Ok(Some(Entrance::Guarded(Ticket { permit, place: Some(unlocked.into_place()) })))
            }
            Admission::Admitted(permit) => {
                locked.save()?;
                Ok(Some(Entrance::Guarded(Ticket { permit, place: None })))
            }
        }
    }

    /// Waits until a run may be let through, but not beyond `deadline`; `None` is for ever. Only looks: nothing is counted
    /// and nothing written. `false` if the time is over.
    fn wait(&self, deadline: Option<Instant>) -> bool {
        let mut countdown = Countdown { name: self.name, cause: None, shown: false, volume: self.context.volume };
        let look = || self.context.refusal(self.name, &self.config.setup.breaker, clock::instant() + READERS_PATIENCE);
        while let Some((refusal, breaker)) = look() {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(clock::instant()));
            if left.is_some_and(|left| left.is_zero()) {
                return false;
            }
            let now = clock::now();
            countdown.show(&refusal, &breaker, now);
            let due = refusal.retry_at.map(|at| at.left(now)).filter(|due| !due.is_zero());
            let pause = LOOK_AGAIN.min(due.unwrap_or(LOOK_AGAIN)).min(left.unwrap_or(LOOK_AGAIN));
            clock::sleep(Duration::from_millis(millis(pause)));
        }
        true
    }

    /// What a refused run does instead.
    fn refuse(&self) -> Exit {
        match &self.config.setup.conduct.fallback {
            None => Exit::Refused(self.config.setup.conduct.open_exit_code),
            Some(line) => self.child(&shell(line), false, Limit { time: None, limits: &Limits::NONE }).exit,
        }
    }

    /// Runs the command and waits for its end.
    fn start(&self, command: &[OsString], probe: bool) -> Ended {
        let limits = &self.config.setup.limits;
        self.child(command, probe, Limit { time: limits.limit(probe), limits })
    }

    fn child(&self, command: &[OsString], probe: bool, limit: Limit<'_>) -> Ended {
        let task = Task { command, variables: self.variables(probe), limit, apart: false };
        child::run(task, self.context.inherited).unwrap_or_else(|NotStarted { exit, message }| {
            let word = command.first().map(|word| word.to_string_lossy()).unwrap_or_default();
            say(&format!("could not run '{word}': {message}"));
            Ended { end: End::NotStarted, exit, stopped: false, took: Duration::ZERO }
        })
    }

    /// What the child finds in its environment.
    fn variables(&self, probe: bool) -> Vec<CString> {
        let name = [("CB_NAME", OsString::from(self.name.as_str()))].into_iter();
        let probe = probe.then(|| ("CB_PROBE", OsString::from("1")));
        entries(name.chain(probe).chain(self.context.locations.variables.iter().cloned()))
    }

    /// Reports how it ended. Trouble is a warning: the command has run.
    fn record(&self, ticket: Ticket, ended: &Ended) {
        // What could not be started is judged by the code that says so.
        let end = if ended.end == End::NotStarted { End::Exit(ended.exit.code()) } else { ended.end };
        let (outcome, trips) = self.config.setup.breaker.codes.judge(end, ended.stopped);
        let run = Run { outcome, trips, end: Some(ended.end), took: Some(ended.took) };
        match self.report(ticket, &run) {
            Ok(Some(told)) => announce(self.context, self.name, &told, self.config.setup.conduct.on_change.as_deref()),
            Ok(None) => {}
            Err(error) => say(&format!("{}: could not record the result: {error:#}", self.name)),
        }
    }

    fn report(&self, ticket: Ticket, run: &Run) -> Result<Option<Told>> {
        let Ticket { permit, place } = ticket;
        // If the breaker was removed meanwhile, its result goes with it.
        let mut later = Later::new(self.context.volume);
        let Some(mut locked) = self.context.lock(self.name, Missing::Leave, &mut later)? else { return Ok(None) };
        let now = clock::now();
        let recorded = locked.breaker.record(permit, run, &self.config.setup.breaker, now);
        if recorded == Recorded::Foreign {
            return Ok(None);
        }
        locked.save()?;
        // Only now: a place that is free before the result is on disk would look like that of a dead probe.
        drop(place);
        let Recorded::Counted(Some(change)) = recorded else { return Ok(None) };
        let told = Told::new(self.name, change, &locked.breaker, now);
        locked.unlock().flush();
        Ok(Some(told))
    }
}

/// What `--wait` waits for, told once; and the line that it keeps up to date on a terminal.
struct Countdown<'a> {
    name: &'a Name,
    /// What was told last.
    cause: Option<Cause>,
    shown: bool,
    volume: Volume,
}

impl Countdown<'_> {
    fn show(&mut self, refusal: &Refusal, breaker: &Breaker, now: Timestamp) {
        if self.cause.replace(refusal.cause) != Some(refusal.cause) {
            self.take_away();
            self.volume.remark(|| speech::waiting(self.name, refusal, breaker, now));
        }
        if self.volume == Volume::Quiet || !speech::to_terminal() {
            return;
        }
        self.shown = true;
        let next = refusal.retry_at.map_or("until it is let through".to_owned(), |at| format_rough(at.left(now)));
        speech::overwrite(&format!("{}: waiting, {next}", self.name));
    }

    fn take_away(&mut self) {
        if std::mem::take(&mut self.shown) {
            speech::overwrite("");
        }
    }
}

impl Drop for Countdown<'_> {
    fn drop(&mut self) {
        self.take_away();
    }
}

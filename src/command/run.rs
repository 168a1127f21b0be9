//! `cb run`: admit, start, wait, record, and end as the command did.

use std::borrow::Cow;
use std::ffi::OsString;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};

use crate::breaker::{Breaker, Cause, Draw, Refusal};
use crate::chance;
use crate::child::{self, Ended, Headers, Meanwhile, NotStarted, Task, TimeLimit, Watch};
use crate::cli::RunArgs;
use crate::clock;
use crate::config::{Config, Origin, Resolved, Tables, Use};
use crate::context::Context;
use crate::environment::{FALLBACK, is_within, switched_off, within};
use crate::exit::Exit;
use crate::guard::{Entering, Entrance, Guard, Hook, Report, Ticket, Untold};
use crate::http::{Answer, last_answer};
use crate::name::Name;
use crate::outcome::{End, Finished, Outcome, Stopped};
use crate::report::speech::{self, Volume, say};
use crate::settings::{FallbackOn, Key, Settings, Setup};
use crate::store::READERS_PATIENCE;
use crate::sys::{self, is_open};
use crate::time::{Timestamp, format_rough, millis};

/// How often `--wait` looks at least.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long `--wait` pauses, where it may wait for `left`, before it looks again at what is due after these times.
pub(super) fn pause(left: Option<Duration>, due: impl IntoIterator<Item = Duration>) -> Duration {
    let due = due.into_iter().filter(|due| !due.is_zero());
    Duration::from_millis(millis(due.chain(left).fold(LOOK_AGAIN, Duration::min)))
}

/// Runs the command if the breaker lets it.
///
/// # Errors
/// Wrong configuration, or with `--on-state-error refuse` a state that cannot be used: nothing was started.
pub fn run(args: &RunArgs, context: &Context) -> Result<Exit> {
    let name = &args.name;
    let given = args.options.given();
    let observes = given.iter().any(|(key, text)| *key == Key::Observe && text == "true");
    let falls_back = given.iter().any(|(key, _)| *key == Key::Fallback);
    if observes && (args.wait.is_some() || falls_back) {
        let other = if falls_back { "--fallback" } else { "--wait" };
        bail!("--observe and {other} contradict each other; give one of them");
    }
    // The kill switch touches no file.
    let file = if switched_off() { Config::default() } else { context.config(Tables::Only(name, Use::Run))? };
    let config = file.resolve(Some(name), given)?;
    file.check_run(&config)?;
    let setup = &config.setup;
    if setup.run.fallback.is_none() && given.iter().any(|(key, _)| *key == Key::FallbackOn) {
        bail!("--fallback-on: there is no fallback; give one with --fallback");
    }
    let guard = Guard { name, context, on_change: setup.run.on_change.as_deref(), later: None };
    // An observed run does not wait.
    let wait = args.wait.filter(|_| !setup.run.observe);
    let guarded = Guarded { guard, setup, http: descriptor(name, &file, &config)? };
    match if switched_off() { Entrance::Unguarded } else { guarded.enter(wait)? } {
        Entrance::Admitted(ticket) => {
            let traces = guarded.traces();
            let probe = ticket.permit.is_probe();
            let mut duty = Duty::new(&guarded, ticket, &traces);
            let ended = guarded.start(&args.command, probe, &traces, Some(&mut duty));
            let outcome = duty.end(&ended);
            Ok(guarded.end(&ended, outcome))
        }
        Entrance::Unguarded => {
            let traces = guarded.traces();
            let ended = guarded.start(&args.command, false, &traces, None);
            let healthy = setup.run.healthy_after.is_some_and(|after| ended.took >= after);
            let outcome = guarded.judge(&ended, &traces).outcome;
            Ok(guarded.end(&ended, Some(outcome).filter(|_| !healthy)))
        }
        Entrance::Refused(_) | Entrance::NotYet => {
            let refused = Exit::Refused(setup.run.open_exit_code);
            Ok(guarded.fallback().map_or(refused, |fallback| fallback.exit))
        }
    }
}

/// The descriptor under which the command finds a file for the headers of HTTP answers, where it is to be judged by these.
///
/// # Errors
/// An option wants one that is in use. One that the configuration wants is in use in some runs, and they are not stopped.
fn descriptor(name: &Name, file: &Config, config: &Resolved) -> Result<Option<u8>> {
    let in_use = |number: u8| is_open(number.into());
    let Some(number) = config.setup.run.http else { return Ok(None) };
    if !in_use(number) {
        return Ok(Some(number));
    }
    let by_option = *config.origin(Key::Http).1 == Origin::Option;
    let cure = match (3..=9).find(|&number| !in_use(number)) {
        Some(free) if by_option => format!("write --http={free}"),
        Some(free) => format!("write http = {free}"),
        None => format!("all from 3 to 9 are; close one for cb, as {number}>&- does"),
    };
    let wrong = format!("descriptor {number} is in use already");
    if by_option {
        return Err(anyhow!("--http: {wrong}; {cure}"));
    }
    let origin = config.origin(Key::Http).1;
    let path = file.file(origin).map_or(String::new(), |path| path.display().to_string());
    let line = file.line(origin).unwrap_or_default();
    say(&format!("{name}: {path}:{line}: http: {wrong}, so the run is judged without; {cure}"));
    Ok(None)
}

/// One run of a guarded command.
struct Guarded<'a> {
    guard: Guard<'a>,
    setup: &'a Setup,
    /// The descriptor under which the command finds a file for the headers of HTTP answers.
    http: Option<u8>,
}

impl Guarded<'_> {
    /// Asks the breaker, and where it would refuse waits until it does not, but not beyond `wait`.
    fn enter(&self, wait: Option<Duration>) -> Result<Entrance> {
        let deadline = wait.map(|most| clock::instant().checked_add(most));
        // Once for a run, however often it asks: else the more patient would be let through the sooner.
        let draw = chance::draw();
        loop {
            // All waiters ask at the same moment, and all but one must wait on.
            let patient = deadline.is_some_and(|deadline| self.wait(draw, deadline));
            let entrance = self.guard.enter(&Entering {
                settings: &self.setup.breaker,
                lease: self.setup.lease(),
                pid: u32::try_from(sys::own_pid()).ok(),
                draw,
                overrule: self.setup.run.observe,
                patient,
                on_trouble: self.setup.run.on_state_error,
            })?;
            if !matches!(entrance, Entrance::NotYet) {
                return Ok(entrance);
            }
        }
    }

    /// Waits until a run may be let through, but not beyond `deadline`; `None` is for ever. Only looks: nothing is counted
    /// and nothing written. `false` if the time is over.
    fn wait(&self, draw: Draw, deadline: Option<Instant>) -> bool {
        let Guard { name, context, .. } = self.guard;
        let mut countdown = Countdown::new(name, context.volume());
        let look = || self.guard.would_refuse(&self.setup.breaker, draw, clock::instant() + READERS_PATIENCE);
        while let Some((refusal, seen)) = look() {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(clock::instant()));
            if left.is_some_and(|left| left.is_zero()) {
                return false;
            }
            countdown.show(&refusal, &seen.breaker, seen.now);
            clock::sleep(pause(left, refusal.retry_at.map(|at| at.left(seen.now))));
        }
        true
    }

    /// How the run ends: as its command did, or where it has failed and that is wanted, as the fallback does. It has no
    /// outcome where it was healthy before its end.
    fn end(&self, ended: &Ended, outcome: Option<Outcome>) -> Exit {
        let run = &self.setup.run;
        let falls_back = run.fallback_on == FallbackOn::Failure
            && outcome == Some(Outcome::Failure)
            && ended.stopped == Stopped::Not
            && !run.observe;
        let fallback = if falls_back { self.fallback() } else { None };
        fallback.map_or(ended.exit, |fallback| fallback.exit)
    }

    /// Runs the fallback in place of the command, if there is one.
    fn fallback(&self) -> Option<Ended> {
        let line = self.setup.run.fallback.as_deref().filter(|_| !is_within(FALLBACK))?;
        let limits = &self.setup.limits;
        let limit = TimeLimit { time: limits.limit(false), limits };
        Some(self.child(&child::shell(line), Some((FALLBACK, "1")), limit, &Traces::default(), None))
    }

    /// Where the command may write the headers of HTTP answers, where it is judged by them.
    fn headers(&self) -> Option<Headers> {
        let headers = self.http.map(Headers::new);
        if headers.as_ref().is_some_and(|headers| !headers.is_kept()) {
            let name = self.guard.name;
            self.guard
                .context
                .volume()
                .remark(|| format!("{name}: no file in memory is to be had, so what is written for --http is lost"));
        }
        headers
    }

    /// What looks at the output of the command, where it is judged by that. Where there can be none, the command runs all
    /// the same.
    fn watch(&self) -> Option<Watch> {
        let watch = self.setup.run.failure_output.as_ref().map(Watch::new)?;
        watch
            .inspect_err(|error| {
                say(&format!("{}: the output is not looked at: {}", self.guard.name, sys::message(error)));
            })
            .ok()
    }

    /// By what the command will be judged beside its end.
    fn traces(&self) -> Traces {
        Traces { headers: self.headers(), watch: self.watch() }
    }

    /// Runs the command and waits for its end.
    fn start(&self, command: &[OsString], probe: bool, traces: &Traces, duty: Option<&mut dyn Meanwhile>) -> Ended {
        let limits = &self.setup.limits;
        let variable = if probe { Some(("CB_PROBE", "1")) } else { None };
        let mut ended = self.child(command, variable, TimeLimit { time: limits.limit(probe), limits }, traces, duty);
        if let Some(error) = traces.watch.as_ref().and_then(Watch::failure) {
            say(&format!("{}: could not pass on all of the output: {}", self.guard.name, sys::message(&error)));
            if ended.exit == Exit::Child(0) {
                ended.exit = Exit::Failed;
            }
        }
        ended
    }

    /// Runs a command that finds in its environment whose it is, and this variable.
    fn child(
        &self,
        command: &[OsString],
        variable: Option<(&'static str, &str)>,
        limit: TimeLimit<'_>,
        traces: &Traces,
        duty: Option<&mut dyn Meanwhile>,
    ) -> Ended {
        let Guard { name, context, .. } = self.guard;
        let own = [Some(("CB_NAME", name.as_str())), variable].into_iter().flatten();
        let own = own.map(|(variable, value)| (variable, OsString::from(value)));
        let within = within().filter(|inherited| variable.is_none_or(|own| own.0 != inherited.0));
        let variables = own.chain(within);
        let task = Task {
            command,
            variables: context.environment(variables),
            limit,
            is_hook: false,
            headers: traces.headers.as_ref(),
            watch: traces.watch.as_ref(),
        };
        child::run(task, context.inherited, duty).unwrap_or_else(|NotStarted { exit, message }| {
            let word = command.first().map(|word| word.to_string_lossy()).unwrap_or_default();
            say(&format!("could not run '{word}': {message}"));
            Ended { end: End::NotStarted, exit, stopped: Stopped::Not, took: Duration::ZERO }
        })
    }

    /// The last answer whose headers were written until now.
    fn answer(&self, headers: &Headers) -> Option<Answer> {
        let Answer { status, retry_after } = last_answer(&headers.written(), clock::now)?;
        Some(Answer { status, retry_after: self.setup.breaker.stays_away(retry_after) })
    }

    /// What a run counts as that ended so.
    fn judge(&self, ended: &Ended, traces: &Traces) -> Finished<'static> {
        // A command that was not started is judged by its exit code.
        let end = if ended.end == End::NotStarted { End::Exit(ended.exit.code()) } else { ended.end };
        let settings = &self.setup.breaker;
        let answer = traces.headers.as_ref().and_then(|headers| self.answer(headers));
        let matched = traces.matched();
        let answered = if matched { Some(Outcome::Failure) } else { answer.and_then(|answer| answer.outcome()) };
        let (outcome, trips) = settings.judge(end, ended.stopped, answered);
        Finished {
            trips,
            end: Some(ended.end),
            took: Some(ended.took),
            http_status: answer.map(|answer| answer.status),
            retry_after: answer.and_then(|answer| answer.retry_after),
            matched,
            ..Finished::of(outcome)
        }
    }

    /// Hands in the ticket with a result. Trouble is a warning: the command has run. If the breaker was removed meanwhile,
    /// its result goes with it.
    fn record(&self, ticket: Ticket, run: Finished, settings: &Settings) -> Untold {
        let (left, untold) = self.guard.hand_in(ticket, |_| Ok(Report { run, settings: Cow::Borrowed(settings) }));
        if let Err(trouble) = left {
            say(&format!("{}: could not record the result: {:#}", self.guard.name, anyhow::Error::from(trouble)));
        }
        untold
    }
}

/// By what a command is judged beside its end.
#[derive(Default)]
struct Traces {
    headers: Option<Headers>,
    watch: Option<Watch>,
}

impl Traces {
    /// Whether a line of its output has matched until now.
    fn matched(&self) -> bool {
        self.watch.as_ref().is_some_and(Watch::matched)
    }
}

/// What a run that was let in owes: its result, once, which is that it is healthy or how it ended.
struct Duty<'a> {
    guarded: &'a Guarded<'a>,
    traces: &'a Traces,
    /// Whether an answer had failed or a line had matched when it would have been healthy: its end decides.
    failed: bool,
    /// Until there is a result.
    ticket: Option<Ticket>,
    untold: Untold,
    hook: Option<Hook<'a>>,
}

impl<'a> Duty<'a> {
    fn new(guarded: &'a Guarded<'a>, ticket: Ticket, traces: &'a Traces) -> Self {
        Self { guarded, traces, failed: false, ticket: Some(ticket), untold: Untold::default(), hook: None }
    }

    /// After how long it is healthy, if that is yet to be seen.
    fn healthy_after(&self) -> Option<Duration> {
        self.ticket.as_ref().and(self.guarded.setup.run.healthy_after).filter(|_| !self.failed)
    }

    /// The command has run for as long as it takes to be healthy. That is its result, however it ends, and it is not slow.
    fn is_healthy(&mut self, after: Duration) {
        let answer = self.traces.headers.as_ref().and_then(|headers| self.guarded.answer(headers));
        self.failed = self.traces.matched() || answer.and_then(|answer| answer.outcome()) == Some(Outcome::Failure);
        let Some(ticket) = self.ticket.take_if(|_| !self.failed) else { return };
        let http_status = answer.map(|answer| answer.status);
        let run = Finished { took: Some(after), http_status, ..Finished::of(Outcome::Success) };
        let settings = Settings { slow_after: None, ..self.guarded.setup.breaker.clone() };
        self.untold = self.guarded.record(ticket, run, &settings);
    }

    /// The command has ended: what that counts as, if that is its result.
    fn end(mut self, ended: &Ended) -> Option<Outcome> {
        let outcome = self.ticket.take().map(|ticket| {
            let run = self.guarded.judge(ended, self.traces);
            self.untold = self.guarded.record(ticket, run, &self.guarded.setup.breaker);
            run.outcome
        });
        while let Some(hook) = self.hook.take().or_else(|| self.guarded.guard.next_hook(&mut self.untold)) {
            hook.wait();
        }
        outcome
    }
}

impl Meanwhile for Duty<'_> {
    fn left(&self, ran: Duration) -> Option<Duration> {
        let healthy = self.healthy_after().map(|after| after.saturating_sub(ran));
        [healthy, self.hook.as_ref().and_then(Hook::left)].into_iter().flatten().min()
    }

    fn turn(&mut self, ran: Duration) {
        if let Some(after) = self.healthy_after().filter(|after| ran >= *after) {
            self.is_healthy(after);
        }
        if self.hook.as_mut().is_none_or(Hook::look) {
            self.hook = self.guarded.guard.next_hook(&mut self.untold);
        }
    }

    fn child(&self) -> Option<libc::pid_t> {
        self.hook.as_ref().map(Hook::pid)
    }
}

/// The reason of the wait, said once; on a terminal, the countdown.
pub(super) struct Countdown {
    name: Name,
    /// What was told last.
    cause: Option<Cause>,
    shown: bool,
    volume: Volume,
}

impl Countdown {
    /// Nothing is shown yet.
    pub(super) fn new(name: &Name, volume: Volume) -> Self {
        Self { name: name.clone(), cause: None, shown: false, volume }
    }

    /// The breaker that is waited for.
    pub(super) fn name(&self) -> &Name {
        &self.name
    }

    /// Shows for how long.
    pub(super) fn show(&mut self, refusal: &Refusal, breaker: &Breaker, now: Timestamp) {
        if self.cause.replace(refusal.cause) != Some(refusal.cause) {
            self.take_away();
            self.volume.remark(|| speech::waiting(&self.name, refusal, breaker, now));
        }
        if self.volume == Volume::Quiet || !speech::can_overwrite() {
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

impl Drop for Countdown {
    fn drop(&mut self) {
        self.take_away();
    }
}

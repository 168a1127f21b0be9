//! The `on-change` command.

use std::cell::RefCell;
use std::time::Duration;

use super::News;
use crate::child::{self, Beside, Ended, NotStarted, Task, TimeLimit};
use crate::context::Context;
use crate::environment::HOOK;
use crate::name::Name;
use crate::outcome::End;
use crate::settings::TimeLimits;
use crate::time::{format_duration, millis};

/// How long those of one process may take together.
const LIMIT: Duration = Duration::from_secs(10);

/// Commands that wait until all breakers that one call is to change are changed: one that hangs must not hold up a change.
#[derive(Default)]
pub struct Later(RefCell<Vec<(String, Name, News)>>);

impl Later {
    /// Adds one.
    pub(super) fn add(&self, command: &str, name: &Name, news: News) {
        self.0.borrow_mut().push((command.to_owned(), name.clone(), news));
    }

    /// Runs them, in the order in which they were added.
    pub fn run(&self, context: &Context) {
        for (command, name, news) in self.0.take() {
            if let Some(hook) = start(&command, &name, &news, context) {
                hook.wait();
            }
        }
    }
}

/// What ends one.
static LIMITS: TimeLimits = TimeLimits { signal: libc::SIGKILL, ..TimeLimits::NONE };

/// One that runs. Its trouble is a warning, unless nothing is to be said.
#[must_use = "its end is to be waited for"]
pub struct Hook<'a> {
    beside: Beside<'static>,
    name: &'a Name,
    context: &'a Context,
    /// How long those before it took.
    spent: Duration,
}

/// Starts it; `None` if that cannot be, which is told.
pub(super) fn start<'a>(command: &str, name: &'a Name, news: &News, context: &'a Context) -> Option<Hook<'a>> {
    let News { change, retry_at, outage, .. } = news;
    let variables = [
        ("CB_NAME", name.to_string()),
        ("CB_FROM", change.from.word().to_owned()),
        ("CB_TO", change.to.word().to_owned()),
        ("CB_REASON", change.reason.to_string()),
        ("CB_BY", change.by.clone().unwrap_or_default()),
        (HOOK, "1".to_owned()),
        ("CB_RETRY_AT", retry_at.map_or(String::new(), |at| at.to_string())),
        ("CB_OPEN_MS", outage.map_or(String::new(), |outage| millis(outage.0).to_string())),
        ("CB_REFUSED", outage.map_or(String::new(), |outage| outage.1.to_string())),
    ];
    // A hand-edited reason may hold a NUL byte, which no environment can.
    let variables = variables.into_iter().map(|(variable, value)| (variable, value.replace('\0', "").into()));
    let spent = context.time_in_hooks.get();
    let left = LIMIT.saturating_sub(spent);
    if left.is_zero() {
        let limit = format_duration(LIMIT);
        let message =
            format!("the on-change command was not run: those before it took the {limit} that all have together");
        warn(name, context, &message);
        return None;
    }
    let limit = TimeLimit { time: Some(left), limits: &LIMITS };
    let variables = context.environment(variables);
    let task = Task { command: &child::shell(command), variables, limit, is_hook: true, headers: None, watch: None };
    match Beside::start(task, limit, context.inherited) {
        Ok(beside) => Some(Hook { beside, name, context, spent }),
        Err(NotStarted { message, .. }) => {
            warn(name, context, &format!("could not run the on-change command: {message}"));
            None
        }
    }
}

impl Hook<'_> {
    /// Its process number.
    pub fn pid(&self) -> libc::pid_t {
        self.beside.pid()
    }

    /// How long it is until its time is over.
    pub fn left(&self) -> Option<Duration> {
        self.beside.left()
    }

    /// Whether it has ended; ends it if its time is over.
    pub fn look(&mut self) -> bool {
        let ended = self.beside.look();
        ended.inspect(|ended| tell_end(self.name, self.context, self.spent, ended)).is_some()
    }

    /// Waits for its end.
    pub fn wait(self) {
        let Self { beside, name, context, spent } = self;
        tell_end(name, context, spent, &beside.wait());
    }
}

fn tell_end(name: &Name, context: &Context, spent: Duration, &Ended { end, took, .. }: &Ended) {
    context.time_in_hooks.set(spent.saturating_add(took));
    match end {
        End::Exit(0) => {}
        End::TimedOut => {
            let limit = format_duration(LIMIT);
            let whose = if spent.is_zero() { "" } else { ", with those before it," };
            warn(name, context, &format!("the on-change command{whose} took more than {limit} and was ended"));
        }
        _ => warn(name, context, &format!("the on-change command failed: {end}")),
    }
}

fn warn(name: &Name, context: &Context, message: &str) {
    context.volume().news(&format!("{name}: {message}"));
}
